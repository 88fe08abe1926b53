//! Every version of a row: slowly changing dimension, type 2. The same rules as [`crate::load::history`].

use chrono::{DateTime, Utc};

use super::write::Transfer;
use super::{differs, kind_of, moment, staging_name, type_name};
use crate::Result;

use crate::load::{Counts, HistoryColumns, Kind, SCHEMA};
use crate::sql::{list, list_of, quoted};

/// Ends the versions that have changed and inserts the new ones.
pub(super) async fn write(
    transfer: &Transfer<'_>,
    update_key: Option<&str>,
    columns: &HistoryColumns,
) -> Result<Counts> {
    let Transfer { load, session, names, rows } = transfer;
    let (row, staged) = (&names.row, &names.staged);
    let (from, to) = (quoted(&columns.valid_from), quoted(&columns.valid_to));
    let others: Vec<&str> = load.table.others().filter(|name| Some(*name) != update_key).collect();
    let marker = load.deletion.as_ref().map(|deletion| format!("{staged}.{}", quoted(&deletion.marker)));
    let begin = update_key.map(|newer| format!("{staged}.{}", quoted(newer)));

    // The current version was brought again, with other values.
    let mut corrected = 0;
    if let Some(begin) = begin.as_ref().filter(|_| !others.is_empty()) {
        let set: Vec<_> = others.iter().map(|name| format!("{0} = {staged}.{0}", quoted(name))).collect();
        let changed: Vec<_> = others.iter().map(|name| transfer.differs(name)).collect();
        let changed = format!("({})", changed.join(" or "));
        let is_current = format!("{row}.{to} is null and {row}.{from} = {begin}");
        let stays = marker.iter().map(|marker| format!("not {marker}"));
        let condition = [transfer.same_key(), is_current, changed].into_iter().chain(stays).collect::<Vec<_>>();
        corrected = transfer.update(&set, &condition).await?;
    }

    let superseded = match &begin {
        Some(begin) => {
            let newest = Newest::of(transfer);
            let late = newest.is_after(begin);
            session
                .count(&format!("{} {} where {late}", names.aliased_staging(), newest.join(transfer, columns)))
                .await?
        }
        None => 0,
    };
    let kept = format!("{SCHEMA}.{}", quoted(&format!("{}_kept", staging_name(load))));
    session.run(&format!("create table {kept} as {}", versions(transfer, update_key, columns).await?)).await?;
    let [gone, is_current, until, at] =
        ["is_gone", "is_current", "version_until", "version_at"].map(|name| transfer.free(name));

    let to_end = format!("{staged}.{is_current} = 1 and {staged}.{until} is not null");
    let ended = session.count(&format!("{kept} as {staged} where {to_end}")).await?;
    let end = format!(
        "update {} set {to} = {staged}.{until} from {kept} as {staged} where {} and {row}.{to} is null and {to_end}",
        names.target,
        transfer.same_key()
    );
    session.run(&end).await?;
    let new = format!("{kept} where {is_current} = 0 and {gone} = 0");
    let inserted = session.count(&new).await?;
    let all = list(&load.table.columns().collect::<Vec<_>>());
    session
        .run(&format!("insert into {} ({all}, {from}, {to}) select {all}, {at}, {until} from {new}", names.target))
        .await?;
    let gone = session.count(&format!("{kept} where {gone} = 1")).await?;
    session.run(&format!("drop table {kept}")).await?;
    let unchanged = rows - superseded - corrected - inserted - gone;
    Ok(Counts { inserted, updated: ended + corrected, unchanged, superseded, deleted: 0 })
}

/// The query of the versions that begin or end: the current ones of the table, and those of the staging table that differ
/// from the one before.
async fn versions(transfer: &Transfer<'_>, update_key: Option<&str>, columns: &HistoryColumns) -> Result<String> {
    let Transfer { load, names, .. } = transfer;
    let (row, staged) = (&names.row, &names.staged);
    let (from, to) = (quoted(&columns.valid_from), quoted(&columns.valid_to));
    let others: Vec<&str> = load.table.others().filter(|name| Some(*name) != update_key).collect();
    let key = list(&load.table.primary_key);
    let all: Vec<&str> = load.table.columns().collect();
    let [at, gone, is_current, is_new, until, before] =
        ["version_at", "is_gone", "is_current", "is_new", "version_until", "gone_before"]
            .map(|name| transfer.free(name));
    let marker = load.deletion.as_ref().map(|deletion| format!("{staged}.{}", quoted(&deletion.marker)));
    let is_gone = marker.map_or("0".to_owned(), |marker| format!("case when {marker} then 1 else 0 end"));

    let newest = Newest::of(transfer);
    let begin = match update_key {
        Some(newer) => format!("{staged}.{}", quoted(newer)),
        None => newest.or_time_of_run(transfer, columns).await?,
    };
    let mut of_staging = format!(
        "select {}, {begin} as {at}, {is_gone} as {gone}, 0 as {is_current} from {} {}",
        list_of(staged, all.iter().copied()),
        names.aliased_staging(),
        newest.join(transfer, columns)
    );
    if update_key.is_some() {
        // A version that is there is none, and neither is one that began before the newest.
        of_staging += &format!(
            " left join {} on {} and {row}.{to} is null and {row}.{from} = {begin} where not {} and ({row}.{from} is null or {is_gone} = 1)",
            names.aliased_target(),
            transfer.same_key(),
            newest.is_after(&begin)
        );
    }
    let of_target = format!(
        "select {}, {row}.{from} as {at}, 0 as {gone}, 1 as {is_current} from {} join (select distinct {key} from {}) as {staged} on {}
         where {row}.{to} is null",
        list_of(row, all.iter().copied()),
        names.aliased_target(),
        names.staging,
        transfer.same_key()
    );
    let order = format!("(partition by {key} order by {is_current} desc, {at})");
    let value_before = |place: usize| transfer.free(&format!("value_before_{place}"));
    let before_it = others
        .iter()
        .enumerate()
        .map(|(place, name)| format!(", lag({}) over {order} as {}", quoted(name), value_before(place)));
    let before_it = before_it.collect::<String>();
    let changed = others
        .iter()
        .enumerate()
        .map(|(place, name)| differs(kind_of(&load.table, name), &quoted(name), &value_before(place)));
    let changed = std::iter::once("1 = 0".to_owned()).chain(changed).collect::<Vec<_>>().join(" or ");
    let all = list(&all);
    Ok(format!(
        "with versions as ({of_target} union all {of_staging}),
         ordered as (select {all}, {at}, {gone}, {is_current}, lag({gone}) over {order} as {before}{before_it} from versions),
         compared as (
             select {all}, {at}, {gone}, {is_current}, case
                 when {before} is null then 1 - {gone}
                 when {gone} <> {before} then 1
                 when {gone} = 0 and ({changed}) then 1
                 else 0 end as {is_new}
             from ordered
         )
         select {all}, {at}, {gone}, {is_current}, lead({at}) over {order} as {until}
         from compared where {is_new} = 1 or {is_current} = 1"
    ))
}

/// The newest time of each key in the table.
struct Newest {
    alias: String,
    began: String,
    ended: String,
}

impl Newest {
    fn of(transfer: &Transfer<'_>) -> Self {
        let alias = format!("{}_newest", transfer.names.staged);
        let [began, ended] = ["newest_from", "newest_to"].map(|name| format!("{alias}.{}", transfer.free(name)));
        Self { alias, began, ended }
    }

    /// Its join with each staged row.
    fn join(&self, transfer: &Transfer<'_>, columns: &HistoryColumns) -> String {
        let Transfer { load, names, .. } = transfer;
        let Self { alias, .. } = self;
        let same = load.table.primary_key.iter().map(|key| format!("{alias}.{0} = {1}.{0}", quoted(key), names.staged));
        format!(
            "left join (select {key}, max({}) as {}, max({}) as {} from {} group by {key}) as {alias} on {}",
            quoted(&columns.valid_from),
            transfer.free("newest_from"),
            quoted(&columns.valid_to),
            transfer.free("newest_to"),
            names.target,
            same.collect::<Vec<_>>().join(" and "),
            key = list(&load.table.primary_key),
        )
    }

    /// Whether a version of the staging table began before it.
    fn is_after(&self, begin: &str) -> String {
        format!("(coalesce({} > {begin}, false) or coalesce({} > {begin}, false))", self.began, self.ended)
    }

    /// The time of versions without one of their own. A run never ends a version before it began, whatever the clocks are.
    async fn or_time_of_run(&self, transfer: &Transfer<'_>, columns: &HistoryColumns) -> Result<String> {
        let Self { began, ended, .. } = self;
        let kind = transfer.kind_in_target(&columns.valid_from).await?;
        let at: DateTime<Utc> = columns.at.parse().unwrap_or_default();
        let zone = if kind == Kind::TimestampTz { "" } else { " at time zone 'UTC'" };
        let run = format!("({}{zone})", moment(&at));
        let last = format!("case when {ended} is null or {began} > {ended} then {began} else {ended} end");
        let next = format!("({last}) + interval '1 microsecond'");
        let kind = type_name(&kind);
        Ok(format!("cast(case when {began} is null or {next} < {run} then {run} else {next} end as {kind})"))
    }
}
