//! The rows of one staging table on their way into its target.

use weir_database::load::Deletion;

use super::staging::CHECKS;
use super::{Counts, Load, Mode, deletion, history};
use crate::Result;
use crate::session::Session;
use crate::sql::{list, quoted};

/// A load within its transaction.
pub(super) struct Transfer<'a> {
    /// Its position among the loads.
    pub(super) number: usize,
    pub(super) load: &'a Load,
    /// Rows in the staging table.
    pub(super) rows: u64,
    /// Whether this load has made the target.
    pub(super) is_new: bool,
}

impl Transfer<'_> {
    pub(super) async fn record(&self, session: &mut Session, counts: Counts) -> Result<()> {
        let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
        let sql = "update weir_applied set inserted = ?, updated = ?, unchanged = ?, superseded = ?, deleted = ?
                   where run = ? and sink = ?";
        let Load { run, sink, .. } = self.load;
        session.execute_with(sql, (inserted, updated, unchanged, superseded, deleted, run, sink)).await?;
        Ok(())
    }

    /// Deletes the rows of the target that the load replaces and does not have; returns their number.
    pub(super) async fn delete(&self, session: &mut Session) -> Result<u64> {
        let (staging, target) = (self.load.staging(), self.load.table.name());
        let others = || match self.load.table.primary_key.is_empty() {
            true => String::new(),
            false => format!(" left join {staging} as staged on {}", self.same_key()),
        };
        let is_other = || match self.load.table.primary_key.first() {
            Some(key) => format!("staged.{} is null", quoted(key)),
            None => "true".to_owned(),
        };
        let delete = match (&self.load.mode, &self.load.deletion) {
            (Mode::Overwrite, _) => format!("delete target from {target} as target{} where {}", others(), is_other()),
            (Mode::Replace { partition_by }, _) => format!(
                "delete target from {target} as target{} where {} and exists (select 1 from {staging} as partitions where {})",
                others(),
                is_other(),
                self.same_partition(partition_by)
            ),
            (Mode::Merge { update_key }, Some(deletion)) => {
                let gone = format!("{target} as target join {staging} as staged on {}", self.same_key());
                let is_gone = format!("staged.{}{}", quoted(&deletion.marker), not_newer(update_key.as_deref()));
                match &deletion.mark {
                    Some(mark) => {
                        let version =
                            update_key.iter().map(|newer| format!(", target.{0} = staged.{0}", quoted(newer)));
                        format!(
                            "update {gone} set {}{} where {is_gone} and {}",
                            deletion::set(mark, true),
                            version.collect::<String>(),
                            deletion::is_not_set(mark, "target")
                        )
                    }
                    None => format!("delete target from {gone} where {is_gone}"),
                }
            }
            _ => return Ok(0),
        };
        session.execute(&delete).await
    }

    /// Whether a row of the target has the values of a row of the staging table in these columns, null or not.
    fn same_partition(&self, columns: &[String]) -> String {
        let same = columns.iter().map(|name| format!("target.{0} <=> partitions.{0}", quoted(name)));
        same.collect::<Vec<_>>().join(" and ")
    }

    /// Writes the rows to the target, of which that many were deleted.
    pub(super) async fn write(&self, session: &mut Session, deleted: u64) -> Result<Counts> {
        let mut counts = Counts::default();
        match &self.load.mode {
            Mode::Overwrite | Mode::Replace { .. } if !self.load.table.primary_key.is_empty() => {
                (counts.updated, counts.inserted) = self.merge(session, None).await?;
                counts.unchanged = self.rows - counts.updated - counts.inserted;
            }
            Mode::Append | Mode::Overwrite | Mode::Replace { .. } => {
                counts.inserted = self.insert(session).await?;
                self.check(session, self.rows, counts.inserted)?;
            }
            Mode::Insert => {
                (counts.updated, counts.inserted) = self.merge(session, None).await?;
                counts.unchanged = self.rows - counts.inserted;
            }
            Mode::Merge { update_key } => {
                (counts.updated, counts.inserted) = self.merge(session, update_key.as_deref()).await?;
                let left = self.rows.saturating_sub(counts.updated + counts.inserted + deleted);
                // What was written is not older than itself: those that are, are among the others.
                counts.superseded = if left == 0 { 0 } else { self.older(session, update_key.as_deref()).await? };
                counts.unchanged = left.saturating_sub(counts.superseded);
            }
            Mode::History { update_key, columns } => {
                counts = history::write(self, session, update_key.as_deref(), columns).await?;
            }
        }
        Ok(counts)
    }

    /// Fails if a statement has written other rows than it was given.
    pub(super) fn check(&self, session: &Session, given: u64, written: u64) -> Result<()> {
        if given == written {
            return Ok(());
        }
        let message = format!("{given} rows were to be inserted, and {written} were");
        let help = "nothing was changed; look for triggers of the table, or reject such rows in the task";
        Err(self.load.error(session.database(), message, help))
    }

    /// Inserts all rows of the staging table.
    async fn insert(&self, session: &mut Session) -> Result<u64> {
        let columns: Vec<_> = self.load.table.columns().collect();
        let (target, columns) = (self.load.table.name(), list(&columns));
        let insert = format!("insert into {target} ({columns}) select {columns} from {}", self.load.staging());
        self.fill(session, &insert).await
    }

    /// Inserts rows by a statement. A table that this load has made has no constraint but its key, which no two of the rows
    /// have in common: without these checks MariaDB writes its pages in bulk. Another load may have written to it
    /// since it was made, before this one had the lock.
    async fn fill(&self, session: &mut Session, insert: &str) -> Result<u64> {
        if !self.is_new || !self.is_empty(session).await? {
            return session.execute(insert).await;
        }
        session.execute("set session unique_checks = 0, foreign_key_checks = 0").await?;
        let inserted = session.execute(insert).await;
        let checks = session.execute(CHECKS).await;
        let inserted = inserted?;
        checks?;
        // What cannot be written in bulk is undone, without an error of the statement.
        // The primary key tells whose rows they are; for each row of another index it would be looked up.
        let by_key = if self.load.table.primary_key.is_empty() { "" } else { " force index (primary)" };
        let there = session.query_first(&format!("select count(*) from {}{by_key}", self.load.table.name())).await?;
        self.check(session, inserted, there.unwrap_or_default())?;
        Ok(inserted)
    }

    /// Updates the rows that differ from the staging table and are not newer, and inserts the missing ones; returns both
    /// counts.
    async fn merge(&self, session: &mut Session, update_key: Option<&str>) -> Result<(u64, u64)> {
        let table = &self.load.table;
        let (target, staging, same) = (table.name(), self.load.staging(), self.same_key());
        // The key, too: a collation may hold keys equal whose bytes differ.
        let texts = table.columns.iter().filter(|column| column.is_text()).map(|column| column.name.as_str());
        let of_key = texts.filter(|name| table.primary_key.iter().any(|key| key == name));
        let changing: Vec<&str> = of_key.chain(table.others()).collect();
        let stays = match &self.load.deletion {
            Some(Deletion { marker, .. }) => format!("not coalesce(staged.{}, 0)", quoted(marker)),
            None => "true".to_owned(),
        };
        let mark = self.load.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref());
        let mut set: Vec<_> = changing.iter().map(|name| format!("target.{0} = staged.{0}", quoted(name))).collect();
        let mut differs: Vec<_> = (!changing.is_empty()).then(|| self.differs(&changing)).into_iter().collect();
        if let Some(mark) = mark {
            set.push(deletion::set(mark, false));
            differs.push(format!("not ({})", deletion::is_not_set(mark, "target")));
        }
        let all: Vec<_> = table.columns().collect();
        let (also, none) = mark.map(|mark| (format!(", {}", quoted(&mark.column)), deletion::none(mark))).unzip();
        let (also, none) = (also.unwrap_or_default(), none.map(|none| format!(", {none}")).unwrap_or_default());
        let insert = format!(
            "insert into {target} ({}{also}) select {}{none} from {staging} as staged",
            list(&all),
            all.iter().map(|name| format!("staged.{}", quoted(name))).collect::<Vec<_>>().join(", "),
        );
        // Nothing is looked up in a table without rows.
        if self.is_empty(session).await? {
            return Ok((0, self.fill(session, &format!("{insert} where {stays}")).await?));
        }
        let mut updated = 0;
        if self.load.mode != Mode::Insert && !set.is_empty() {
            let update = format!(
                "update {target} as target join {staging} as staged on {same} set {} where {stays} and ({}){}",
                set.join(", "),
                differs.join(" or "),
                not_newer(update_key)
            );
            updated = session.execute(&update).await?;
        }
        let key = table.primary_key.first().map(|key| quoted(key)).unwrap_or_default();
        let is_new = format!("left join {target} as target on {same} where target.{key} is null and {stays}");
        let inserted = session.execute(&format!("{insert} {is_new}")).await?;
        Ok((updated, inserted))
    }

    async fn is_empty(&self, session: &mut Session) -> Result<bool> {
        let any = format!("select 1 from {} limit 1 lock in share mode", self.load.table.name());
        Ok(session.query_first::<u64>(&any).await?.is_none())
    }

    /// The number of rows in the staging table that are older than the target's.
    async fn older(&self, session: &mut Session, update_key: Option<&str>) -> Result<u64> {
        let Some(newer) = update_key else { return Ok(0) };
        let count = format!(
            "select count(*) from {} as target join {} as staged on {} where {}",
            self.load.table.name(),
            self.load.staging(),
            self.same_key(),
            is_older(newer)
        );
        Ok(session.query_first(&count).await?.unwrap_or_default())
    }

    /// Whether a row of the staging table differs from that of the target in these columns: text by its bytes, whatever a
    /// collation holds equal.
    pub(super) fn differs(&self, columns: &[&str]) -> String {
        let same = columns
            .iter()
            .map(|name| format!("{} <=> {}", self.compared("target", name), self.compared("staged", name)));
        format!("not ({})", same.collect::<Vec<_>>().join(" and "))
    }

    /// A column as it is compared.
    pub(super) fn compared(&self, table: &str, name: &str) -> String {
        self.as_compared(name, &format!("{table}.{}", quoted(name)))
    }

    /// A value of a column as it is compared.
    pub(super) fn as_compared(&self, column: &str, value: &str) -> String {
        let is_text = self.load.table.columns.iter().any(|of| of.name == column && of.is_text());
        if is_text { format!("cast({value} as binary)") } else { value.to_owned() }
    }

    pub(super) fn same_key(&self) -> String {
        let same = |name: &String| format!("target.{0} = staged.{0}", quoted(name));
        self.load.table.primary_key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }
}

/// The condition, in addition to others, that the target's row is not newer.
fn not_newer(update_key: Option<&str>) -> String {
    update_key.map(|newer| format!(" and not coalesce({}, 0)", is_older(newer))).unwrap_or_default()
}

/// Whether a staging row is older than the target's; a row without a version is older than any with one.
fn is_older(newer: &str) -> String {
    let newer = quoted(newer);
    format!("(target.{newer} is not null and (staged.{newer} is null or staged.{newer} < target.{newer}))")
}
