//! Every version of a row: slowly changing dimension, type 2.

use weir_database::load::{Counts, HistoryColumns, free_name};

use super::write::Transfer;
use crate::Result;
use crate::session::Session;
use crate::sql::{list, literal, quoted};

/// Ends the versions that have changed and inserts the new ones.
///
/// With an `update_key` a run may bring several versions of a row. One that began before the newest version in the table is
/// superseded; one that began with it corrects it.
pub(super) async fn write(
    transfer: &Transfer<'_>,
    session: &mut Session,
    update_key: Option<&str>,
    columns: &HistoryColumns,
) -> Result<Counts> {
    let (table, staging) = (&transfer.load.table, transfer.load.staging());
    let (target, same) = (table.name(), transfer.same_key());
    let (from, to) = (quoted(&columns.valid_from), quoted(&columns.valid_to));
    // What is compared: the time of a version alone is no change.
    let others: Vec<&str> = table.others().filter(|name| Some(*name) != update_key).collect();
    // A run never ends a version before it began, whatever the clocks are.
    let time = format!("cast({} as datetime(6))", literal(&utc(&columns.at)));
    let run_time = format!(
        "greatest({time}, coalesce((select max(greatest(of_key.{from}, coalesce(of_key.{to}, of_key.{from})))
             + interval 1 microsecond from {target} as of_key where {}), {time}))",
        same.replace("target.", "of_key.")
    );
    let at = update_key.map_or(run_time, |newer| format!("staged.{}", quoted(newer)));
    let marker = match &transfer.load.deletion {
        Some(deletion) => format!("coalesce(staged.{}, 0)", quoted(&deletion.marker)),
        None => "0".to_owned(),
    };
    let is_late = update_key.map_or("false".to_owned(), |_| {
        format!(
            "exists (select 1 from {target} as target where {same} and (target.{from} > {at} or target.{to} > {at}))"
        )
    });
    let superseded = format!("select count(*) from {staging} as staged where {is_late}");
    let superseded: u64 = session.query_first(&superseded).await?.unwrap_or_default();

    // The current version was brought again, with other values.
    let mut corrected = 0;
    if update_key.is_some() && !others.is_empty() {
        let set =
            others.iter().map(|name| format!("target.{0} = staged.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
        let correct = format!(
            "update {target} as target join {staging} as staged on {same} set {set}
             where target.{to} is null and target.{from} = {at} and not {marker} and {}",
            transfer.differs(&others)
        );
        corrected = session.execute(&correct).await?;
    }

    let names: Vec<&str> = table.columns().collect();
    let free = |name: &str| free_name(name, names.iter().copied());
    let (at_, gone, current) = (free("version_at"), free("is_gone"), free("is_current_version"));
    let (differs, until) = (free("is_other_version"), free("version_until"));
    let key = list(&table.primary_key);
    let values = |of: &str| names.iter().map(|name| format!("{of}.{}", quoted(name))).collect::<Vec<_>>().join(", ");
    let was_gone = free("was_gone");
    // Window functions stand alone: in conditions, MariaDB 10.11 takes some of them for others.
    let before: Vec<String> = (0..others.len()).map(|number| free(&format!("before_{number}"))).collect();
    let paired = others.iter().zip(&before);
    let paired = paired.map(|(name, before)| format!(", lag(versions.{}) over by_time as {before}", quoted(name)));
    let same_values = others.iter().zip(&before).map(|(name, before)| {
        format!("{} <=> {}", transfer.compared("paired", name), transfer.as_compared(name, &format!("paired.{before}")))
    });
    let changed = match others.is_empty() {
        true => "false".to_owned(),
        false => format!("not ({})", same_values.collect::<Vec<_>>().join(" and ")),
    };
    let is_same_time = update_key.map_or("false".to_owned(), |_| format!("target.{from} = {at}"));
    // The versions in question, in a table of the session: the statements that write cannot compute them.
    let kept = quoted(&format!("{}_kept", transfer.load.staging));
    let compute = format!(
        "create temporary table {kept} engine = InnoDB
         with versions as (
             select {}, target.{from} as {at_}, 0 as {gone}, 1 as {current} from {target} as target
             where target.{to} is null and exists (select 1 from {staging} as staged where {same})
             union all
             select {}, {at} as {at_}, {marker} as {gone}, 0 as {current} from {staging} as staged
             where not {is_late}
                 and not exists (select 1 from {target} as target where {same} and target.{to} is null
                     and {is_same_time} and not {marker})
         ),
         paired as (
             select versions.*, lag({gone}) over by_time as {was_gone}{}
             from versions window by_time as (partition by {key} order by {current} desc, {at_})
         ),
         compared as (
             select paired.*, case when {was_gone} is null then not {gone} when {gone} <> {was_gone} then 1
                 when {gone} then 0 else {changed} end as {differs}
             from paired
         )
         select compared.*, lead({at_}) over (partition by {key} order by {current} desc, {at_}) as {until}
         from compared where {differs} or {current}",
        values("target"),
        values("staged"),
        paired.collect::<String>(),
    );
    session.execute(&format!("drop temporary table if exists {kept}")).await?;
    session.execute(&compute).await?;
    let end = format!(
        "update {target} as target join {kept} as staged on {same} set target.{to} = staged.{until}
         where target.{to} is null and staged.{current} and staged.{until} is not null"
    );
    let ended = session.execute(&end).await?;
    let all = list(&names);
    let insert = format!(
        "insert into {target} ({all}, {from}, {to}) select {all}, {at_}, {until} from {kept}
         where not {current} and not {gone}"
    );
    let inserted = session.execute(&insert).await?;
    let count = format!("select coalesce(sum({gone}), 0) from {kept}");
    let gone: u64 = session.query_first(&count).await?.unwrap_or_default();
    session.execute(&format!("drop temporary table {kept}")).await?;
    let unchanged = transfer.rows - superseded - corrected - inserted - gone;
    Ok(Counts { inserted, updated: ended + corrected, unchanged, superseded, deleted: 0 })
}

/// An RFC 3339 time in UTC as the server reads it: without its zone.
fn utc(at: &str) -> String {
    let zoneless = at.trim_end_matches('Z').trim_end_matches("+00:00");
    zoneless.replace('T', " ")
}
