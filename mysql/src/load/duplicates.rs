//! Several rows of one run with the same key: the newest one is left, and rows between which nothing decides are an error.
//!
//! The keys that several rows have are put into a table of their own, by the index of the staging table. All else is asked of the
//! rows of these keys only, beginning with that table: `straight_join` keeps the server from looking up each row's key instead.

use mysql_async::Row;
use weir_database::load::free_name;

use super::staging::{make, type_of};
use super::table::Column;
use super::{Load, Mode};
use crate::Result;
use crate::session::Session;
use crate::sql::{list, quoted};

/// Rows are deleted from the staging table as long as at most this part of them is to be written again; otherwise all others
/// are copied.
const FEW: u64 = 4;

/// Deletes all but the newest of several rows with the same key; returns the number of deleted rows.
pub(super) async fn delete(load: &Load, session: &mut Session, rows: u64) -> Result<u64> {
    if load.table.primary_key.is_empty() {
        return Ok(0);
    }
    let key = list(&load.table.primary_key);
    let any = format!("select 1 from {} group by {key} having count(*) > 1 limit 1", load.staging());
    if session.query_first::<Row>(&any).await?.is_none() {
        return Ok(0);
    }
    let duplicates = Duplicates::of(load);
    let found = duplicates.find(session).await?;
    if found.are_alike {
        duplicates.check(session).await?;
    }
    // Without rows that are alike, a history has a version for each of them.
    let left = match duplicates.has_history && !found.are_alike {
        true => rows,
        false => duplicates.delete(session, &found, rows).await?,
    };
    session.execute(&format!("drop table if exists {}, {}", load.keys(), load.last())).await?;
    Ok(rows - left)
}

/// The statements about the repeated keys of a load.
struct Duplicates<'a> {
    load: &'a Load,
    /// The column that orders the rows of a key.
    version: Option<&'a Column>,
    /// Whether each version of a key is a row of its own.
    has_history: bool,
    /// The columns of the primary key, with their names in the table of keys.
    key: Vec<(&'a Column, String)>,
}

/// What repeated keys there are.
struct Found {
    keys: u64,
    /// The rows that have them.
    rows: u64,
    /// Whether rows of a key may be alike: they have the same version, or none is compared.
    are_alike: bool,
}

impl<'a> Duplicates<'a> {
    fn of(load: &'a Load) -> Self {
        let column = |name: &String| load.table.columns.iter().find(|column| column.name == *name);
        let (version, has_history) = match &load.mode {
            Mode::Merge { update_key } => (update_key.as_ref(), false),
            Mode::History { update_key, .. } => (update_key.as_ref(), true),
            _ => (None, false),
        };
        let named = |(number, column)| (column, free_name(&format!("key_{number}"), load.table.columns()));
        let key = load.table.primary_key.iter().filter_map(column).enumerate().map(named).collect();
        Self { load, version: version.and_then(column), has_history, key }
    }

    /// The rows of the staging table with the keys of a table or query.
    fn rows_of(&self, keys: &str) -> String {
        let same = self.key.iter().map(|(column, name)| format!("staged.{} = repeated.{name}", quoted(&column.name)));
        format!(
            "{keys} as repeated straight_join {} as staged on {}",
            self.load.staging(),
            same.collect::<Vec<_>>().join(" and ")
        )
    }

    /// The table of the repeated keys.
    fn repeated(&self) -> String {
        if self.version.is_some() { self.load.last() } else { self.load.keys() }
    }

    /// Fills the table of the repeated keys.
    async fn find(&self, session: &mut Session) -> Result<Found> {
        let Self { load, version, .. } = self;
        let (keys, staging) = (load.keys(), load.staging());
        let columns = |more: &[String]| {
            let key = self.key.iter().map(|(column, name)| format!("{name} {} not null", type_of(load, column)));
            key.chain(more.iter().cloned()).collect::<Vec<_>>().join(", ")
        };
        let several = "several bigint not null".to_owned();
        session.execute(&format!("drop table if exists {keys}, {}", load.last())).await?;
        make(load, session, &keys, &columns(std::slice::from_ref(&several))).await?;
        // The index has the rows in this order. As a part of another statement it would be sorted again.
        let of_key = list(&load.table.primary_key);
        let fill = format!(
            "insert into {keys} select {of_key}, count(*) from {staging} group by {of_key} having count(*) > 1"
        );
        session.execute(&fill).await?;
        if let Some(version) = version {
            let newest = format!("newest {} null", type_of(load, version));
            let alike = "are_alike tinyint(1) not null".to_owned();
            make(load, session, &load.last(), &columns(&[newest, several, alike])).await?;
            let names = self.key.iter().map(|(_, name)| format!("repeated.{name}")).collect::<Vec<_>>().join(", ");
            let version = format!("staged.{}", quoted(&version.name));
            // A missing version is one of its own.
            let fill = format!(
                "insert into {} select {names}, max({version}), count(*),
                     count(*) > count(distinct {version}) + (count({version}) < count(*))
                 from {} group by {names}",
                load.last(),
                self.rows_of(&keys)
            );
            session.execute(&fill).await?;
        }
        let alike = if version.is_some() { "coalesce(max(are_alike), 0)" } else { "1" };
        let sums = format!("select count(*), coalesce(sum(several), 0), {alike} from {}", self.repeated());
        let (keys, rows, alike) = session.query_first::<(u64, u64, u64)>(&sums).await?.unwrap_or_default();
        Ok(Found { keys, rows, are_alike: alike > 0 })
    }

    /// Fails if rows differ between which nothing decides.
    async fn check(&self, session: &mut Session) -> Result<()> {
        let Self { load, version, has_history, .. } = self;
        // Rows that differ only by what a collation ignores are different rows.
        let by_bytes = |column: &Column| match column.is_text() {
            true => format!(", cast(staged.{0} as binary) as {0}", quoted(&column.name)),
            false => format!(", staged.{0} as {0}", quoted(&column.name)),
        };
        let all = load.table.columns.iter().map(by_bytes);
        let marker = load.deletion.iter().map(|deletion| format!(", staged.{0} as {0}", quoted(&deletion.marker)));
        let mut apart = self.key.clone();
        let mut of_key = load.table.primary_key.clone();
        if let (true, Some(version)) = (has_history, version) {
            apart.push((version, free_name(&format!("key_{}", apart.len()), load.table.columns())));
            of_key.push(version.name.clone());
        }
        let plain = apart.iter().map(|(column, name)| format!("staged.{} as {name}", quoted(&column.name)));
        let (plain, names) = (plain.collect::<Vec<_>>(), apart.into_iter().map(|(_, name)| name).collect::<Vec<_>>());
        let (apart, help) = match version {
            Some(version) if !has_history => (
                format!("{}, {}", names.join(", "), quoted(&version.name)),
                "reject such rows with the rule `unique`, or choose an `update_key` that orders them",
            ),
            _ => (names.join(", "), "reject such rows with the rule `unique`, or set an `update_key`"),
        };
        let only = if version.is_some() { " where repeated.are_alike" } else { "" };
        let differ = format!(
            "select 1 from (select distinct {}{} from {}{only}) as different
             group by {apart} having count(*) > 1 limit 1",
            plain.join(", "),
            all.chain(marker).collect::<String>(),
            self.rows_of(&self.repeated())
        );
        if session.query_first::<Row>(&differ).await?.is_none() {
            return Ok(());
        }
        let columns = of_key.join(", ");
        let message =
            format!("rows of this run differ and have the same ({columns}), as the column's collation compares them");
        Err(load.error(session.database(), message, help))
    }

    /// Deletes all but one row of each repeated key; returns how many rows there are then.
    async fn delete(&self, session: &mut Session, found: &Found, rows: u64) -> Result<u64> {
        /// The user may not delete rows: loads have not always needed that.
        const DENIED: u16 = 1142;
        let (load, from) = (self.load, self.rows_of(&self.repeated()));
        let is_denied = |error: &crate::Error| error.server().is_some_and(|server| server.code() == DENIED);
        // Of a text, the greatest may be another than the last in order.
        let version = self.version.filter(|version| !version.is_text() && !self.has_history && !found.are_alike);
        if let Some(version) = version {
            let older = format!("not (staged.{} <=> repeated.newest)", quoted(&version.name));
            match session.execute(&format!("delete staged from {from} where {older}")).await {
                Err(error) if is_denied(&error) => {}
                deleted => {
                    let left = rows - deleted?;
                    if left == rows - found.rows + found.keys {
                        return Ok(left);
                    }
                }
            }
        } else if found.rows <= rows / FEW {
            let newest = self.keep(session, &from).await?;
            match session.execute(&format!("delete staged from {from}")).await {
                Err(error) if is_denied(&error) => {}
                deleted => {
                    let (columns, staging, kept) = (list(&self.columns()), load.staging(), load.kept());
                    let again = format!("insert into {staging} ({columns}) select {columns} from {kept}");
                    let left = rows - deleted? + newest;
                    session.execute(&again).await?;
                    session.execute(&format!("drop table {kept}")).await?;
                    return Ok(left);
                }
            }
        }
        let staging = load.staging();
        let left = self.keep(session, &format!("{staging} as staged")).await?;
        session.execute(&format!("drop table {staging}")).await?;
        session.execute(&format!("rename table {} to {staging}", load.kept())).await?;
        Ok(left)
    }

    /// Copies the newest row of each key into the table of kept rows; returns how many they are.
    async fn keep(&self, session: &mut Session, from: &str) -> Result<u64> {
        let Self { load, version, has_history, .. } = self;
        let (staging, kept) = (load.staging(), load.kept());
        let staged = |name: &&str| format!("staged.{}", quoted(name));
        let mut key: Vec<&str> = load.table.primary_key.iter().map(String::as_str).collect();
        let order = match version {
            Some(version) if *has_history => {
                key.push(&version.name);
                "1".to_owned()
            }
            Some(version) => format!("staged.{0} is null, staged.{0} desc", quoted(&version.name)),
            None => "1".to_owned(),
        };
        let place = free_name("place", load.table.columns());
        let columns = self.columns();
        let comma = |names: &[&str]| names.iter().map(staged).collect::<Vec<_>>().join(", ");
        session.execute(&format!("drop table if exists {kept}")).await?;
        session.execute(&format!("create table {kept} like {staging}")).await?;
        let fill = format!(
            "insert into {kept} ({0}) select {0} from (
                 select {1}, row_number() over (partition by {2} order by {order}) as {place} from {from}
             ) as ranked where {place} = 1",
            list(&columns),
            comma(&columns),
            comma(&key)
        );
        session.execute(&fill).await
    }

    /// All columns of the staging table.
    fn columns(&self) -> Vec<&str> {
        let marker = self.load.deletion.iter().map(|deletion| deletion.marker.as_str());
        self.load.table.columns().chain(marker).collect()
    }
}
