//! The rights that a load needs, checked before anything is written.

use super::{Load, Mode};
use crate::Result;
use crate::session::Session;
use crate::sql::quoted;

/// Fails if the user lacks a right to stage, publish or record the load; the help has the statements that grant them.
pub(super) async fn check(load: &Load, session: &mut Session, exists: bool) -> Result<()> {
    let grants: Vec<String> = session.query("show grants").await?;
    let grants = Grants::of(&grants);
    if grants.has_roles {
        // What a role grants is listed only in parts: the server says what is missing when it is needed.
        return Ok(());
    }
    let user: Option<String> = session.query_first("select current_user()").await?;
    let user = user.unwrap_or_default();
    let account =
        user.split_once('@').map_or_else(|| quoted(&user), |(name, host)| format!("{}@{}", quoted(name), quoted(host)));
    let own = session.database().name().to_owned();
    let schema = load.table.schema.clone().unwrap_or_else(|| own.clone());
    let mut staging = vec!["select", "insert", "update", "create", "drop", "alter"];
    if matches!(load.mode, Mode::History { .. }) {
        staging.push("create temporary tables");
    }
    let mut missing = Vec::new();
    let lacking: Vec<_> = staging.into_iter().filter(|right| !grants.allow(right, &own, None)).collect();
    if !lacking.is_empty() {
        let rights = lacking.join(", ");
        let what = format!("{rights} in database `{own}`, where rows are staged and runs recorded");
        missing.push((what, format!("grant {rights} on {}.* to {account}", quoted(&own))));
    }
    let mut of_target = vec!["select", "insert", "update"];
    let marks = load.deletion.as_ref().is_some_and(|deletion| deletion.mark.is_some());
    let deletes_marked = load.deletion.is_some() && !marks && matches!(load.mode, Mode::Merge { .. });
    if matches!(load.mode, Mode::Overwrite | Mode::Replace { .. }) || deletes_marked {
        of_target.push("delete");
    }
    if !exists {
        of_target.push("create");
    } else if load.adds_columns {
        of_target.push("alter");
    }
    let table = load.table.name.as_str();
    let lacking: Vec<_> = of_target.into_iter().filter(|right| !grants.allow(right, &schema, Some(table))).collect();
    if !lacking.is_empty() {
        let rights = lacking.join(", ");
        let on = format!("{}.{}", quoted(&schema), quoted(table));
        missing.push((format!("{rights} in the table"), format!("grant {rights} on {on} to {account}")));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (what, statements): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    let help = format!("let an administrator run: {}", statements.join("; "));
    Err(load.error(session.database(), format!("user {user} may not {}", what.join(", ")), &help))
}

/// What a user may do, as `show grants` lists it.
struct Grants {
    /// The rights, and the database and table that they are for; `*` are all.
    all: Vec<(Vec<String>, String, String)>,
    has_roles: bool,
}

impl Grants {
    fn of(lines: &[String]) -> Self {
        let mut grants = Self { all: vec![], has_roles: false };
        for line in lines {
            let Some(rest) = line.strip_prefix("GRANT ") else { continue };
            let Some((rights, rest)) = rest.split_once(" ON ") else {
                grants.has_roles = true;
                continue;
            };
            let on = rest.rsplit_once(" TO ").map_or(rest, |(on, _)| on);
            let Some((schema, table)) = split(on) else { continue };
            // A right on some columns only has them behind its name.
            let rights = rights.split(", ").filter(|right| !right.contains('(')).map(str::to_ascii_lowercase);
            grants.all.push((rights.collect(), schema, table));
        }
        grants
    }

    /// Whether a right is granted on a table, or on all tables of a database.
    fn allow(&self, right: &str, schema: &str, table: Option<&str>) -> bool {
        self.all.iter().any(|(rights, of_schema, of_table)| {
            let is_right = rights.iter().any(|granted| granted == right || granted == "all privileges");
            let is_table = of_table == "*" || table.is_some_and(|table| table == of_table);
            is_right && is_table && matches(of_schema, schema)
        })
    }
}

/// The parts of `` `shop`.`item` ``, without quotes.
fn split(on: &str) -> Option<(String, String)> {
    let (schema, table) = match on.strip_prefix('`') {
        Some(rest) => rest.split_once("`.")?,
        None => on.split_once('.')?,
    };
    let plain = |name: &str| name.trim_matches('`').replace("``", "`");
    Some((plain(schema), plain(table)))
}

/// Whether the name of a database is one of those of a grant: `%` are any characters, `_` is one, a backslash takes that
/// meaning away.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('*') if pattern.as_str().is_empty() => true,
        Some('%') => {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(pattern.as_str(), &name[at..]))
        }
        Some(c) => {
            let mut rest = name.chars();
            let Some(first) = rest.next() else { return false };
            let is_same = match c {
                '_' => true,
                '\\' => pattern.next() == Some(first),
                c => c == first,
            };
            is_same && matches(pattern.as_str(), rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read() {
        let lines = [
            "GRANT USAGE ON *.* TO `ann`@`%` IDENTIFIED BY PASSWORD '*AB'",
            r"GRANT SELECT, INSERT ON `my\_shop`.* TO `ann`@`%`",
            "GRANT ALL PRIVILEGES ON `a%`.* TO `ann`@`%`",
            "GRANT UPDATE, SELECT (`name`) ON `shop`.`item` TO `ann`@`%`",
        ];
        let grants = Grants::of(&lines.map(str::to_owned));
        for (right, schema, table, expected) in [
            ("select", "my_shop", None, true),
            ("select", "myXshop", None, false),
            ("delete", "my_shop", Some("item"), false),
            ("drop", "abc", Some("item"), true),
            ("update", "shop", Some("item"), true),
            ("select", "shop", Some("item"), false),
            ("update", "shop", None, false),
        ] {
            assert_eq!(grants.allow(right, schema, table), expected, "{right} on {schema}.{table:?}");
        }
        assert!(!grants.has_roles);
        assert!(Grants::of(&["GRANT `loader` TO `ann`@`%`".to_owned()]).has_roles);
        assert!(Grants::of(&["GRANT ALL PRIVILEGES ON *.* TO `ann`@`%`".to_owned()]).allow("drop", "x", None));
    }
}
