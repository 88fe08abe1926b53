//! Orders, their lines and their payments.

use super::calendar::{Calendar, Times};
use super::copy::{Rows, Stopped};
use super::items::Item;
use super::members::Members;
use super::payments::{Payment, pay};
use super::random::{Popularity, Random};

pub(super) const ORDER_COLUMNS: &str = "orders (order_id, member_id, ordered_at)";
pub(super) const LINE_COLUMNS: &str = "orders_item (order_id, item_id, quantity, unit_price, unit_weight_kg)";
pub(super) const PAYMENT_COLUMNS: &str = "txn (txn_id, order_id, amount, status, created_at, settled_at, completed_at)";

/// Input of the sales. Each table is written from the same orders, which are regenerated for it: that takes less than a
/// second per million and no memory.
#[derive(Debug)]
pub(super) struct Sales {
    pub(super) random: Random,
    pub(super) members: Members,
    /// Which members order often.
    pub(super) activity: Popularity,
    pub(super) items: Vec<Item>,
    /// Which items are ordered often.
    pub(super) popularity: Popularity,
    pub(super) calendar: Calendar,
    pub(super) orders: u64,
    pub(super) first_order: i64,
    pub(super) first_payment: i64,
}

/// An order.
#[derive(Debug, Default)]
struct Order {
    key: i64,
    member: i64,
    /// In microseconds since 1970.
    time: i64,
    /// In the order of their items.
    lines: Vec<Line>,
    payments: Vec<Payment>,
}

#[derive(Debug)]
struct Line {
    item: i64,
    quantity: i64,
    /// In hundredths of the currency.
    price: i64,
    /// In grams.
    weight: i64,
}

impl Sales {
    pub(super) fn write_orders(&self, rows: &mut Rows) -> Result<(), Stopped> {
        self.each(|order| {
            rows.row(3)?;
            rows.bigint(order.key);
            rows.bigint(order.member);
            rows.time(Some(order.time));
            Ok(())
        })
    }

    pub(super) fn write_lines(&self, rows: &mut Rows) -> Result<(), Stopped> {
        self.each(|order| {
            for line in &order.lines {
                rows.row(5)?;
                rows.bigint(order.key);
                rows.bigint(line.item);
                rows.integer(line.quantity as i32);
                rows.numeric::<2>(line.price);
                rows.numeric::<3>(line.weight);
            }
            Ok(())
        })
    }

    pub(super) fn write_payments(&self, rows: &mut Rows) -> Result<(), Stopped> {
        let mut key = self.first_payment;
        self.each(|order| {
            for payment in &order.payments {
                rows.row(7)?;
                rows.bigint(key);
                rows.bigint(order.key);
                rows.numeric::<2>(payment.amount);
                rows.text(payment.status);
                rows.time(Some(payment.created));
                rows.time(payment.settled);
                rows.time(payment.completed);
                key += 1;
            }
            Ok(())
        })
    }

    fn each(&self, mut write: impl FnMut(&Order) -> Result<(), Stopped>) -> Result<(), Stopped> {
        let mut random = self.random.clone();
        let mut times = self.calendar.times();
        let mut order = Order::default();
        for number in 0..self.orders {
            order.key = self.first_order + number as i64;
            self.fill(&mut order, &mut times, &mut random);
            write(&order)?;
        }
        Ok(())
    }

    fn fill(&self, order: &mut Order, times: &mut Times<'_>, random: &mut Random) {
        order.time = times.next(random);
        order.member = self.member(order.time, random);
        order.lines.clear();
        let wanted = 1 + random.weighted(&LINES);
        for _ in 0..wanted * TRIES {
            if order.lines.len() == wanted {
                break;
            }
            let item = &self.items[self.popularity.choose(random)];
            if item.is_for_sale(order.time) && order.lines.iter().all(|line| line.item != item.key) {
                order.lines.push(self.line(item, order.time, random));
            }
        }
        if order.lines.is_empty() {
            // The first item is always for sale.
            order.lines.push(self.line(&self.items[0], order.time, random));
        }
        order.lines.sort_unstable_by_key(|line| line.item);
        order.payments.clear();
        let total = order.lines.iter().map(|line| line.quantity * line.price).sum();
        pay(total, order.time..self.calendar.period().end, random, &mut order.payments);
    }

    /// A member who has joined by then. The first member always has.
    fn member(&self, time: i64, random: &mut Random) -> i64 {
        let mut tries = (0..100).map(|_| self.activity.choose(random));
        let number = tries.find(|&number| self.members.has_joined(number, time)).unwrap_or(0);
        self.members.key(number)
    }

    /// Prices rise to the item's final cost, with occasional discounts.
    fn line(&self, item: &Item, time: i64, random: &mut Random) -> Line {
        const QUARTER: i64 = 91 * super::calendar::DAY;
        let quarters = (self.calendar.period().end - time) / QUARTER;
        let off = if random.per_mille(120) { random.one_of(&[50, 100, 150, 200]) } else { 0 };
        let price = item.cost * (1000 - 6 * quarters) / 1000 * (1000 - off) / 1000;
        Line { item: item.key, quantity: 1 + random.weighted(&QUANTITIES) as i64, price, weight: item.weight }
    }
}

/// Number of attempts, per line, to replace an item that is not for sale or already in the order. There may be fewer
/// items than lines.
const TRIES: usize = 8;
/// Frequencies of 1, 2, 3, ... lines per thousand orders.
const LINES: [u64; 8] = [200, 240, 205, 145, 90, 55, 38, 27];
/// Frequencies of 1, 2, 3, ... units per thousand lines.
const QUANTITIES: [u64; 6] = [700, 180, 60, 35, 15, 10];
