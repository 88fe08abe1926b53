//! `equal_rows`: a table has one row for each row of another one.

use serde_saphyr::Spanned;

use super::rule::{Effect, Scope};
use crate::error::{Result, number_of};
use crate::task::{Limit, RuleSpec};

/// An `equal_rows` rule. The rows are compared once all tables are computed.
#[derive(Debug)]
pub(crate) struct EqualRows {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(super) max: Option<Limit>,
    /// The source or model whose accepted rows are counted.
    pub(crate) table: String,
}

impl EqualRows {
    pub(super) fn bind(
        scope: &Scope<'_>,
        name: &str,
        effect: Effect,
        spec: &Spanned<RuleSpec>,
        table: &str,
    ) -> Result<Self> {
        if effect == Effect::Reject {
            let error = scope.error(spec, name, "`equal_rows` compares whole tables: it rejects no row");
            return Err(Box::new(error.with_help("move the rule to fail_unless or warn_unless")).into());
        }
        if table == scope.table {
            return Err(Box::new(scope.error(spec, name, "the table is compared with itself")).into());
        }
        if !scope.schemas.contains_key(table) {
            let error = scope.error(spec, name, format!("`{table}` is neither a source nor a model"));
            return Err(Box::new(error.nearest(table, scope.schemas.keys().map(String::as_str))).into());
        }
        Ok(Self { name: name.to_owned(), effect, max: spec.value.max, table: table.to_owned() })
    }

    /// What is wrong if the judged table has so many rows, and the other one so many.
    pub(crate) fn compare(&self, rows: u64, of_other: u64) -> Option<String> {
        let differ = || format!("{} for {} of `{}`", number_of(rows, "row"), number_of(of_other, "row"), self.table);
        (rows != of_other).then(differ)
    }
}
