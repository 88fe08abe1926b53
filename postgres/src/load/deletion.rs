//! Rows that say that a row is gone.

use weir_database::load::Mark;

use crate::sql::quoted;

/// What a mark is of a row that is not deleted.
pub(super) fn none(mark: &Mark) -> &'static str {
    if mark.is_boolean { "false" } else { "null" }
}

pub(super) fn set(mark: &Mark, is_deleted: bool) -> String {
    let value = match (is_deleted, mark.is_boolean) {
        (false, _) => none(mark),
        (true, true) => "true",
        (true, false) => "now()",
    };
    format!("{} = {value}", quoted(&mark.column))
}

/// Whether a row is not deleted.
pub(super) fn is_not_set(mark: &Mark, table: &str) -> String {
    let column = quoted(&mark.column);
    match mark.is_boolean {
        true => format!("{table}.{column} is not true"),
        false => format!("{table}.{column} is null"),
    }
}

pub(super) fn definition(mark: &Mark) -> String {
    let kind = if mark.is_boolean { "boolean not null default false" } else { "timestamptz" };
    format!("{} {kind}", quoted(&mark.column))
}
