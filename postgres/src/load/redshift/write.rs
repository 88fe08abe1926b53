//! The rows of one staging table on their way into its target.

use chrono::Utc;

use super::apply::compares;
use super::{Names, Session, differs, free, history, kind_of, moment};
use crate::Result;

use crate::load::{Counts, Kind, Load, Mark, Mode, deletion};
use crate::sql::{list, list_of, quoted};

/// A load within its transaction.
pub(super) struct Transfer<'a> {
    pub(super) load: &'a Load,
    pub(super) session: &'a Session<'a>,
    pub(super) names: Names,
    /// Rows in the staging table.
    pub(super) rows: u64,
}

impl Transfer<'_> {
    /// Fails if the target has several rows of a key that the run has, of which one is to be changed.
    pub(super) async fn check_key(&self) -> Result<()> {
        let Self { load, session, names, .. } = self;
        let current = match &load.mode {
            Mode::History { columns, .. } => format!(" and {}.{} is null", names.row, quoted(&columns.valid_to)),
            _ if compares(load) => String::new(),
            _ => return Ok(()),
        };
        let mut key = load.table.primary_key.clone();
        if let Mode::History { update_key, .. } = &load.mode {
            key.extend(update_key.clone());
        }
        let several = format!(
            "select 1 from {} join {} on {}{current} group by {} having count(*) > 1 limit 1",
            names.aliased_target(),
            names.aliased_staging(),
            self.same_key(),
            list_of(&names.staged, key.iter().map(String::as_str))
        );
        if !session.has(&several).await? {
            return Ok(());
        }
        let message = format!("has several rows with the same ({})", load.table.primary_key.join(", "));
        let help = "nothing was changed; the server enforces no key: delete all but one of those rows, or choose another \
                    `primary_key`";
        Err(load.error(session.database, message, help))
    }

    /// Deletes the rows of the target that the load replaces and does not have, or marks them; returns their number.
    pub(super) async fn delete(&self) -> Result<u64> {
        let (load, names) = (self.load, &self.names);
        let using = format!(" using {}", names.aliased_staging());
        match (&load.mode, &load.deletion) {
            (Mode::Overwrite, _) => self.delete_rows(&[("", vec![])]).await,
            (Mode::Replace { partition_by }, _) => {
                let patterns = self.patterns_of_null(partition_by).await?;
                let partitions = patterns.iter().map(|of_null| {
                    let mut same = Vec::new();
                    for (name, is_null) in partition_by.iter().zip(of_null) {
                        let name = quoted(name);
                        same.push(match is_null {
                            true => format!("{}.{name} is null and {}.{name} is null", names.row, names.staged),
                            false => format!("{}.{name} = {}.{name}", names.row, names.staged),
                        });
                    }
                    (using.as_str(), same)
                });
                self.delete_rows(&partitions.collect::<Vec<_>>()).await
            }
            (Mode::Merge { update_key }, Some(deletion)) => {
                let gone = format!("{}.{}", names.staged, quoted(&deletion.marker));
                let gone = [vec![self.same_key(), gone], self.not_newer(update_key.as_deref())].concat();
                let Some(mark) = &deletion.mark else { return self.delete_rows(&[(&using, gone)]).await };
                let mut set = vec![self.mark(mark, true)];
                set.extend(update_key.iter().map(|newer| format!("{0} = {1}.{0}", quoted(newer), names.staged)));
                let unmarked = deletion::is_not_set(mark, &names.row);
                self.update(&set, &[gone, vec![unmarked]].concat()).await
            }
            _ => Ok(0),
        }
    }

    /// Deletes rows by conditions, each with a further table; those whose key the run has stay where there are keys and
    /// partitions or all rows are replaced.
    async fn delete_rows(&self, conditions: &[(&str, Vec<String>)]) -> Result<u64> {
        let Self { load, session, names, .. } = self;
        let before = session.count(&names.target).await?;
        let replaces = matches!(load.mode, Mode::Overwrite | Mode::Replace { .. });
        for (using, condition) in conditions {
            let mut condition = condition.clone();
            if replaces && !load.table.primary_key.is_empty() {
                let same = load
                    .table
                    .primary_key
                    .iter()
                    .map(|key| format!("{2}_kept.{0} = {1}.{0}", quoted(key), names.row, names.staged));
                let same = same.collect::<Vec<_>>().join(" and ");
                condition.push(format!(
                    "not exists (select 1 from {} as {}_kept where {same})",
                    names.staging, names.staged
                ));
            }
            let condition = match condition.is_empty() {
                true => String::new(),
                false => format!(" where {}", condition.join(" and ")),
            };
            session.run(&format!("delete from {}{using}{condition}", names.target)).await?;
        }
        Ok(before - session.count(&names.target).await?)
    }

    /// Which of the columns are null, for each combination that the staging table has. An equality of columns is a join,
    /// one of nulls is not.
    async fn patterns_of_null(&self, columns: &[String]) -> Result<Vec<Vec<bool>>> {
        let is_null = columns.iter().map(|name| format!("case when {} is null then 1 else 0 end", quoted(name)));
        let patterns =
            format!("select distinct {} from {}", is_null.collect::<Vec<_>>().join(", "), self.names.staging);
        let rows = self.session.rows(&patterns).await?;
        Ok(rows.iter().map(|row| row.iter().map(|is_null| is_null.as_deref() == Some("1")).collect()).collect())
    }

    /// Writes the rows to the target, of which that many were deleted.
    pub(super) async fn write(&self, deleted: u64) -> Result<Counts> {
        let mut counts = Counts::default();
        match &self.load.mode {
            Mode::Overwrite | Mode::Replace { .. } if compares(self.load) => {
                (counts.updated, counts.inserted) = self.merge(None).await?;
                counts.unchanged = self.rows - counts.updated - counts.inserted;
            }
            Mode::Append | Mode::Overwrite | Mode::Replace { .. } => counts.inserted = self.insert_all().await?,
            Mode::Insert => {
                (_, counts.inserted) = self.merge(None).await?;
                counts.unchanged = self.rows - counts.inserted;
            }
            Mode::Merge { update_key } => {
                counts.superseded = self.older(update_key.as_deref()).await?;
                (counts.updated, counts.inserted) = self.merge(update_key.as_deref()).await?;
                counts.unchanged = self.rows - (counts.superseded + counts.updated + counts.inserted + deleted);
            }
            Mode::History { update_key, columns } => {
                counts = history::write(self, update_key.as_deref(), columns).await?;
            }
        }
        Ok(counts)
    }

    async fn insert_all(&self) -> Result<u64> {
        let (names, columns) = (&self.names, list(&self.load.table.columns().collect::<Vec<_>>()));
        let insert = format!("insert into {} ({columns}) select {columns} from {}", names.target, names.staging);
        self.session.run(&insert).await?;
        Ok(self.rows)
    }

    /// Updates the rows that differ from the staging table and are not newer, and inserts the missing ones; returns both
    /// counts.
    async fn merge(&self, update_key: Option<&str>) -> Result<(u64, u64)> {
        let Self { load, session, names, .. } = self;
        let mark = load.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref());
        let marker = load.deletion.as_ref().map(|deletion| format!("{}.{}", names.staged, quoted(&deletion.marker)));
        let stays: Vec<String> = marker.iter().map(|marker| format!("not {marker}")).collect();
        let others: Vec<_> = load.table.others().collect();
        let mut set: Vec<_> = others.iter().map(|name| format!("{0} = {1}.{0}", quoted(name), names.staged)).collect();
        let mut changed: Vec<_> = others.iter().map(|name| self.differs(name)).collect();
        if let Some(mark) = mark {
            set.push(self.mark(mark, false));
            changed.push(format!("not ({})", deletion::is_not_set(mark, &names.row)));
        }
        let mut updated = 0;
        if load.mode != Mode::Insert && !set.is_empty() {
            let changed = format!("({})", changed.join(" or "));
            let condition = [vec![self.same_key(), changed], stays.clone(), self.not_newer(update_key)];
            updated = self.update(&set, &condition.concat()).await?;
        }
        let all: Vec<_> = load.table.columns().collect();
        let key = load.table.primary_key.first().map(|key| quoted(key)).unwrap_or_default();
        let missing = [vec![format!("{}.{key} is null", names.row)], stays].concat().join(" and ");
        let missing = format!(
            "{} left join {} on {} where {missing}",
            names.aliased_staging(),
            names.aliased_target(),
            self.same_key()
        );
        let inserted = session.count(&missing).await?;
        // A column of the target that only says whether a row is deleted.
        let (also, none) =
            mark.map(|mark| (format!(", {}", quoted(&mark.column)), format!(", {}", deletion::none(mark)))).unzip();
        let insert = format!(
            "insert into {} ({}{}) select {}{} from {missing}",
            names.target,
            list(&all),
            also.unwrap_or_default(),
            list_of(&names.staged, all.iter().copied()),
            none.unwrap_or_default(),
        );
        session.run(&insert).await?;
        Ok((updated, inserted))
    }

    /// Updates rows of the target with those of the staging table; returns how many.
    pub(super) async fn update(&self, set: &[String], condition: &[String]) -> Result<u64> {
        let Self { session, names, .. } = self;
        let condition = condition.join(" and ");
        let rows = session
            .count(&format!(
                "{} join {} on {} where {condition}",
                names.aliased_target(),
                names.aliased_staging(),
                self.same_key()
            ))
            .await?;
        if rows > 0 {
            let set = set.join(", ");
            let update =
                format!("update {} set {set} from {} where {condition}", names.target, names.aliased_staging());
            session.run(&update).await?;
        }
        Ok(rows)
    }

    /// The number of rows in the staging table that are older than the target's.
    async fn older(&self, update_key: Option<&str>) -> Result<u64> {
        let Some(newer) = update_key else { return Ok(0) };
        let (target, staging) = (self.names.aliased_target(), self.names.aliased_staging());
        let older = format!("{target} join {staging} on {} where {}", self.same_key(), self.is_older(newer));
        self.session.count(&older).await
    }

    pub(super) fn same_key(&self) -> String {
        self.names.same(&self.load.table.primary_key)
    }

    /// Whether a row of the staging table differs from that of the target in a column.
    pub(super) fn differs(&self, name: &str) -> String {
        let column = quoted(name);
        let (target, staged) = (format!("{}.{column}", self.names.row), format!("{}.{column}", self.names.staged));
        differs(kind_of(&self.load.table, name), &target, &staged)
    }

    /// The condition that the target's row is not newer, if that matters.
    fn not_newer(&self, update_key: Option<&str>) -> Vec<String> {
        update_key.map(|newer| format!("not ({})", self.is_older(newer))).into_iter().collect()
    }

    /// Whether a staging row is older than the target's; a row without a version is older than any with one.
    fn is_older(&self, newer: &str) -> String {
        let newer = quoted(newer);
        let (target, staged) = (format!("{}.{newer}", self.names.row), format!("{}.{newer}", self.names.staged));
        format!("{target} is not null and ({staged} is null or {staged} < {target})")
    }

    fn mark(&self, mark: &Mark, is_deleted: bool) -> String {
        let value = match (is_deleted, mark.is_boolean) {
            (false, _) => deletion::none(mark).to_owned(),
            (true, true) => "true".to_owned(),
            (true, false) => moment(&Utc::now()),
        };
        format!("{} = {value}", quoted(&mark.column))
    }

    /// The type of a column of the target.
    pub(super) async fn kind_in_target(&self, name: &str) -> Result<Kind> {
        let Self { load, session, .. } = self;
        let oid = session.target(&load.table).await?.map(|relation| relation.oid).unwrap_or_default();
        let sql = format!(
            "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = {oid} and attname = {}",
            session.literal(name)
        );
        Ok(Kind::of_name(session.row(&sql).await?.first().and_then(Option::as_deref).unwrap_or_default()))
    }

    /// Names of computed columns that no column of the table has.
    pub(super) fn free(&self, name: &str) -> String {
        quoted(&free(name, &self.load.table.columns().collect::<Vec<_>>()))
    }
}
