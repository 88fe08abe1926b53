//! Every version of a row: slowly changing dimension, type 2.

use weir_database::load::free_name;

use super::deduplicate::query_bool;
use super::write::Transfer;
use super::{Counts, HistoryColumns};
use crate::sql::{list, list_of, literal, quoted};
use crate::{Database, Result};

/// Ends the versions that have changed and inserts the new ones.
///
/// With an `update_key` a run may bring several versions of a row. One that began before the newest version in the table is
/// superseded; one that began with it corrects it.
pub(super) async fn write(
    transfer: &Transfer<'_>,
    database: &Database,
    update_key: Option<&str>,
    columns: &HistoryColumns,
) -> Result<Counts> {
    let failed = |error| database.statement_error(&error);
    let (client, table, staging) = (transfer.client, &transfer.load.table, transfer.load.staging());
    let (target, same) = (table.name(), transfer.same_key());
    let (from, to) = (quoted(&columns.valid_from), quoted(&columns.valid_to));
    // What is compared: the time of a version alone is no change.
    let others: Vec<&str> = table.others().filter(|name| Some(*name) != update_key).collect();
    let zoneless = format!(
        "select atttypid <> 'timestamptz'::regtype from pg_attribute where attrelid = {}::regclass and attname = {}",
        literal(&target),
        literal(&columns.valid_from)
    );
    let zone = if query_bool(client, &zoneless).await.map_err(failed)? { " at time zone 'UTC'" } else { "" };
    // A run never ends a version before it began, whatever the clocks are.
    let run_time = format!(
        "greatest({}::timestamptz{zone}, (select max(greatest(of_key.{from}, of_key.{to})) + interval '1 microsecond' from {target} as of_key
             where {}))",
        literal(&columns.at),
        same.replace("target.", "of_key.")
    );
    let at = update_key.map_or(run_time, |newer| format!("staged.{}", quoted(newer)));
    let marker = match &transfer.load.deletion {
        Some(deletion) => format!("coalesce(staged.{}, false)", quoted(&deletion.marker)),
        None => "false".to_owned(),
    };
    let count = |row: &tokio_postgres::Row, column| row.get::<_, i64>(column) as u64;

    let is_late = update_key.map_or("false".to_owned(), |_| {
        format!("exists (select from {target} as target where {same} and (target.{from} > {at} or target.{to} > {at}))")
    });
    let superseded = format!("select count(*) from {staging} as staged where {is_late}");
    let superseded = count(&client.query_one(&superseded, &[]).await.map_err(failed)?, 0);

    // The current version was brought again, with other values.
    let mut corrected = 0;
    if update_key.is_some() && !others.is_empty() {
        let set = others.iter().map(|name| format!("{0} = staged.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
        let correct = format!(
            "update {target} as target set {set} from {staging} as staged
             where {same} and target.{to} is null and target.{from} = {at} and not {marker} and {}",
            transfer.differs(&others)
        );
        corrected = client.execute(&correct, &[]).await.map_err(failed)?;
    }

    let key = list(&table.primary_key);
    let all: Vec<_> = table.columns().collect();
    let names = Names::free(&all);
    let Names { at: at_, gone, current, differs, until } = &names;
    let values = |of: &str| list_of(of, all.iter().copied());
    let before = others.iter().map(|name| format!("lag({}) over by_time", compared(transfer, name)));
    let now = others.iter().map(|name| compared(transfer, name));
    let changed = match others.is_empty() {
        true => "false".to_owned(),
        false => format!(
            "row({}) is distinct from row({})",
            now.collect::<Vec<_>>().join(", "),
            before.collect::<Vec<_>>().join(", ")
        ),
    };
    let write = format!(
        "with versions as (
             select {}, target.{from} as {at_}, false as {gone}, true as {current} from {target} as target
             where target.{to} is null and exists (select from {staging} as staged where {same})
             union all
             select {}, {at} as {at_}, {marker} as {gone}, false as {current} from {staging} as staged
             where not {is_late}
                 and not exists (select from {target} as target where {same} and target.{to} is null
                     and {is_same_time} and not {marker})
         ),
         compared as (
             select *, case when lag({gone}) over by_time is null then not {gone}
                 else {gone} <> lag({gone}) over by_time or not {gone} and {changed} end as {differs}
             from versions window by_time as (partition by {key} order by {current} desc, {at_})
         ),
         kept as materialized (
             select *, lead({at_}) over (partition by {key} order by {current} desc, {at_}) as {until}
             from compared where {differs} or {current}
         ),
         ended as (
             update {target} as target set {to} = staged.{until} from kept as staged
             where {same} and target.{to} is null and staged.{current} and staged.{until} is not null returning 1
         ),
         inserted as (
             insert into {target} ({}, {from}, {to}) select {}, {at_}, {until} from kept
             where not {current} and not {gone} returning 1
         )
         select (select count(*) from ended), (select count(*) from inserted),
             (select count(*) from kept where {current} and {until} is not null),
             (select count(*) from kept where not {current} and not {gone}),
             (select count(*) from kept where {gone})",
        values("target"),
        values("staged"),
        list(&all),
        list(&all),
        is_same_time = update_key.map_or("false".to_owned(), |_| format!("target.{from} = {at}")),
    );
    let row = client.query_one(&write, &[]).await.map_err(failed)?;
    let [ended, inserted, to_end, to_insert, gone] = [0, 1, 2, 3, 4].map(|column| count(&row, column));
    transfer.check(database, "updated", to_end, ended)?;
    transfer.check(database, "inserted", to_insert, inserted)?;
    let unchanged = transfer.rows - superseded - corrected - inserted - gone;
    Ok(Counts { inserted, updated: ended + corrected, unchanged, superseded, deleted: 0 })
}

/// A column as it is compared, without a table.
fn compared(transfer: &Transfer<'_>, name: &str) -> String {
    transfer.compared("", &[name])
}

/// Names of computed columns. The columns of the table may have any.
struct Names {
    at: String,
    gone: String,
    current: String,
    differs: String,
    until: String,
}

impl Names {
    fn free(all: &[&str]) -> Self {
        let free = |name: &str| free_name(name, all.iter().copied());
        Self {
            at: free("version_at"),
            gone: free("is_gone"),
            current: free("is_current_version"),
            differs: free("is_other_version"),
            until: free("version_until"),
        }
    }
}
