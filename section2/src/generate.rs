//! Generates any number of plausible sales as test data. A few members order very often, a few items are in very many
//! orders, there are weekly and yearly patterns, and most orders are paid.
//!
//! Existing rows stay and take part: existing members order too, and existing items are ordered. The same [`Generate`]
//! adds the same rows to the same database. All rows are added in one transaction.

mod calendar;
mod copy;
mod items;
mod known;
mod members;
mod payments;
#[path = "../../section1/src/generate/people.rs"]
mod people;
mod random;
mod sales;

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::{Client, Error as ServerError, Transaction};

use crate::{Error, Result};
use calendar::Calendar;
use copy::{Rows, Stopped, copy};
use items::Catalogue;
use known::{Known, advance};
use members::Members;
use random::{Popularity, Random};
use sales::Sales;

/// Parameters of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// Members to add.
    pub members: u64,
    /// Orders to add, over all members.
    pub orders: u64,
    /// Items to add; by default [`ITEMS`], or none if there are items for sale.
    pub items: Option<u64>,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The day after the last sale; sales begin three years before.
    pub until: NaiveDate,
}

/// Number of items added to a database without any.
pub const ITEMS: u64 = 1000;

/// Added rows, by table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generated {
    /// Rows of `member`.
    pub members: u64,
    /// Rows of `manufacturer`.
    pub manufacturers: u64,
    /// Rows of `item`.
    pub items: u64,
    /// Rows of `orders`.
    pub orders: u64,
    /// Rows of `orders_item`.
    pub lines: u64,
    /// Rows of `txn`.
    pub payments: u64,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, manufacturers, items, orders, lines, payments } = self;
        write!(f, "{members} members, {manufacturers} manufacturers, {items} items, ")?;
        write!(f, "{orders} orders with {lines} lines, {payments} payments")
    }
}

/// Progress of the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Number of rows sent to the server since the last report.
    Rows(u64),
    /// All rows are copied; the server updates the summaries.
    Summaries,
}

/// The purpose of a stream of random numbers. Streams of a table also depend on its first key, so that the same seed
/// does not add the same members twice.
#[derive(Clone, Copy)]
enum Stream {
    Activity,
    Popularity,
    Calendar,
    Members,
    Items,
    ItemNames,
    Sales,
}

/// Adds all rows or none, and reports to `progress`.
///
/// # Errors
/// If there are no members to order, or no items for sale; if the server refuses, or the connection breaks.
pub async fn generate(
    database: &Database,
    client: &mut Client,
    what: &Generate,
    progress: impl Fn(Progress),
) -> Result<Generated> {
    let failed = |error| Error::from(database.statement_error(&error));
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(LOCK).await.map_err(failed)?;
    let known = Known::read(&transaction).await.map_err(failed)?;
    known.check(database, what)?;
    let recompute = what.orders > known.orders;
    if recompute {
        transaction.batch_execute(WITHOUT_TRIGGERS).await.map_err(failed)?;
    }
    let first = known.first;
    let plan = Plan::new(what, known);
    let generated = write(&transaction, plan, &|rows| progress(Progress::Rows(rows))).await.map_err(failed)?;
    advance(&transaction, first, &generated).await.map_err(failed)?;
    progress(Progress::Summaries);
    if recompute {
        transaction.batch_execute(SUM_UP).await.map_err(failed)?;
    }
    transaction.batch_execute(ANALYZE).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(generated)
}

/// Blocks other writers of keys and of the summaries' input. Readers are not blocked.
const LOCK: &str = "lock table member, manufacturer, item, orders, orders_item, txn in share row exclusive mode";

/// Recomputing the summaries is faster than maintaining them while most rows are added. The only other trigger refuses
/// retired items, and none is ordered here.
const WITHOUT_TRIGGERS: &str = "alter table orders_item disable trigger user; alter table txn disable trigger user";

/// The statistics let the server choose a good plan for the summaries.
const SUM_UP: &str = "
    analyze orders, orders_item, txn;
    call summary.rebuild();
    alter table orders_item enable trigger user;
    alter table txn enable trigger user";

const ANALYZE: &str = "
    analyze member, manufacturer, item, orders, orders_item, txn,
        summary.member_spending, summary.item_buyer, summary.item_sales";

/// All input of the rows; small compared with the rows.
struct Plan {
    catalogue: Catalogue,
    item_names: Random,
    people: Random,
    sales: Sales,
}

impl Plan {
    fn new(what: &Generate, known: Known) -> Self {
        let Known { members, items, manufacturers, first, .. } = known;
        let random = |stream: Stream, first: i64| Random::new(what.seed, stream as u64 + ((first as u64) << 3));
        let calendar = Calendar::new(what.until, what.orders, &mut random(Stream::Calendar, 0));
        let period = calendar.period();
        let members =
            Members { known: members, first: first.member, made: what.members, begin: period.start, until: what.until };
        let to_make = what.items.unwrap_or(if items.is_empty() { ITEMS } else { 0 });
        let catalogue = Catalogue::new(
            (first.manufacturer, first.item),
            to_make as usize,
            &period,
            &manufacturers,
            &mut random(Stream::Items, first.item),
        );
        // The first item is always for sale: an existing one, or the first new one.
        let items = [items, catalogue.items.clone()].concat();
        // With these offsets the most active 1 % of the members place a third of the orders, and of a thousand items
        // the most popular one is in one of eleven orders.
        let [of_members, of_items] = [members.count() as f64 / 1000.0, items.len() as f64 / 200.0];
        let activity = Popularity::new(members.count(), of_members, &mut random(Stream::Activity, 0));
        let popularity = Popularity::new(items.len(), of_items, &mut random(Stream::Popularity, 0));
        let sales = Sales {
            random: random(Stream::Sales, first.order),
            members,
            activity,
            items,
            popularity,
            calendar,
            orders: what.orders,
            first_order: first.order,
            first_payment: first.payment,
        };
        let (item_names, people) = (random(Stream::ItemNames, first.item), random(Stream::Members, first.member));
        Self { catalogue, item_names, people, sales }
    }
}

type WriteTable = fn(&Plan, &mut Rows) -> Result<(), Stopped>;

/// The tables in the order of their references, each with the function that writes it.
const TABLES: [(&str, WriteTable); 6] = [
    (members::COLUMNS, |plan, rows| plan.sales.members.write(plan.people.clone(), rows)),
    (items::MANUFACTURER_COLUMNS, |plan, rows| plan.catalogue.write_manufacturers(rows)),
    (items::COLUMNS, |plan, rows| plan.catalogue.write_items(plan.item_names.clone(), rows)),
    (sales::ORDER_COLUMNS, |plan, rows| plan.sales.write_orders(rows)),
    (sales::LINE_COLUMNS, |plan, rows| plan.sales.write_lines(rows)),
    (sales::PAYMENT_COLUMNS, |plan, rows| plan.sales.write_payments(rows)),
];

/// Writes all tables, one after the other.
async fn write(transaction: &Transaction<'_>, plan: Plan, progress: &impl Fn(u64)) -> Result<Generated, ServerError> {
    let plan = Arc::new(plan);
    let mut counts = [0; TABLES.len()];
    for (count, (target, write)) in counts.iter_mut().zip(TABLES) {
        let plan = Arc::clone(&plan);
        *count = copy(transaction, target, progress, move |rows| write(&plan, rows)).await?;
    }
    let [members, manufacturers, items, orders, lines, payments] = counts;
    Ok(Generated { members, manufacturers, items, orders, lines, payments })
}
