//! Triggers that change what is written.

use super::apply::QueryResult;
use super::deduplicate::query_bool;
use super::write::Transfer;
use crate::sql::{literal, quoted};

/// Takes the rows out of the staging table that a trigger makes what the target's row is already: they would be written again
/// by each run. The update is tried and undone.
pub(super) async fn drop_futile(transfer: &Transfer<'_>, update: &Update<'_>) -> QueryResult<()> {
    let (client, target, staging) = (transfer.client, transfer.load.table.name(), transfer.load.staging());
    let has_trigger = format!(
        "select exists (select from pg_trigger where tgrelid = to_regclass({}) and not tgisinternal
             and tgenabled in ('O', 'A') and tgtype & 19 = 19)",
        literal(&target)
    );
    if update.columns.is_empty() || !query_bool(client, &has_trigger).await? {
        return Ok(());
    }
    let values = |of: &str| {
        let values = update.columns.iter().enumerate();
        values
            .map(|(at, name)| format!("{} as {of}{at}", transfer.compared("target", &[name])))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let row = |of: &str| (0..update.columns.len()).map(|at| format!("{of}{at}")).collect::<Vec<_>>().join(", ");
    let set =
        update.columns.iter().map(|name| format!("{0} = staged.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
    let same = transfer.same_key();
    let attempt = format!(
        "with before as materialized (
             select staged.ctid as place, {} from {staging} as staged join {target} as target on {same} where {}
         ),
         after as (
             update {target} as target set {set} from {staging} as staged
             where {same} and staged.ctid in (select place from before) returning staged.ctid as place, {}
         )
         select array_agg(place::text) from before join after using (place)
         where row({}) is not distinct from row({})",
        values("old"),
        update.condition,
        values("new"),
        row("old"),
        row("new"),
    );
    client.batch_execute("savepoint trigger").await?;
    let places: Option<Vec<String>> = client.query_one(&attempt, &[]).await?.get(0);
    client.batch_execute("rollback to savepoint trigger; release savepoint trigger").await?;
    if let Some(places) = places {
        let drop = format!("delete from {staging} where ctid = any ($1::text[]::tid[])");
        client.execute(&drop, &[&places]).await?;
    }
    Ok(())
}

/// An update of rows with the same key.
pub(super) struct Update<'a> {
    /// The columns that it sets.
    pub(super) columns: &'a [&'a str],
    /// The rows that it changes.
    pub(super) condition: &'a str,
}
