//! The queries are exact at any time, for any statements in any order, with concurrent writers.
#![allow(clippy::unwrap_used)]

mod naive;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use naive::{DIFFERENCES, QUESTIONS};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::Shop;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::error::SqlState;
use weir_postgres::tokio_postgres::{Client, Error, SimpleQueryMessage};

/// A blocking session.
struct Session {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Session {
    fn of(shop: &Shop) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let database: Database = shop.url.parse().unwrap();
        let client = runtime.block_on(database.connect(Duration::ZERO)).unwrap();
        Self { runtime, client }
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    /// The rows of a result, as texts.
    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect()
    }

    /// Fails unless summaries, query results and orders agree with the sales, all in one snapshot.
    #[track_caller]
    fn is_exact(&self, after: &str) {
        self.run("begin isolation level repeatable read read only").unwrap();
        assert_eq!(self.rows(DIFFERENCES), [[Some("0".to_owned())]], "after {after}");
        for (question, naive) in QUESTIONS {
            assert_eq!(self.rows(question), self.rows(naive), "after {after}");
        }
        self.run("commit").unwrap();
    }
}

/// A shop with some members and items, the last of which is retired.
fn shop() -> Shop {
    let shop = Shop::migrated();
    shop.sql(
        "insert into member (membership_id, first_name, last_name, birthday, mobile, email)
            select 'Lee_0a1b2', 'Ann', 'Lee', '1990-02-01', '12345678', 'ann' || n || '@lee.com'
            from generate_series(1, 12) as n;
        insert into manufacturer (name) values ('Nord Ltd');
        insert into item (manufacturer_id, name, cost, weight_kg)
            select 1, 'item ' || n, n * 1.25, n * 0.125 from generate_series(1, 8) as n;",
    );
    shop
}

/// Statements of a writer. The numbers choose among existing rows: `{a}` and `{b}` are arbitrary, `{k}` is small.
const STATEMENTS: [&str; 20] = [
    "insert into orders (member_id) select 1 + ({a} + n) % 12 from generate_series(1, {k}) as n",
    "insert into orders (member_id) values (1 + {a} % 12)",
    // Lines of many orders in one statement, and of one order.
    "insert into orders_item
        select order_id, 1 + (order_id * {a} + {b}) % 8, {k}, 1.5, 0.5 from orders where order_id % {k} = {b} % {k}
        on conflict do nothing",
    "insert into orders_item
        select order_id, n, {k}, n * 0.75, 0.25 from orders, generate_series(1, {k}) as n
        where order_id = (select max(order_id) - {a} % 3 from orders)
        on conflict (order_id, item_id) do update set quantity = orders_item.quantity + excluded.quantity",
    "update orders_item set quantity = quantity + {k} where item_id = 1 + {a} % 8",
    "update orders_item set unit_price = unit_price + 1 where order_id % {k} = 0",
    // The key of a line changes.
    "update orders_item as line set item_id = 1 + {a} % 8
        where item_id = 1 + {b} % 8
            and not exists (select from orders_item where order_id = line.order_id and item_id = 1 + {a} % 8)",
    "update orders_item as line set order_id = (select max(order_id) from orders)
        where order_id = (select min(order_id) from orders_item)
            and not exists (
                select from orders_item
                where order_id = (select max(order_id) from orders) and item_id = line.item_id
            )",
    "delete from orders_item where item_id = 1 + {a} % 8 and order_id % {k} = 0",
    "delete from orders_item where (order_id + item_id) % {k} = {b} % {k}",
    "insert into txn (order_id, amount, status, settled_at)
        select order_id, 1 + {a} % 100 * 0.37, 'settled', now() from orders where order_id % {k} = {b} % {k}",
    "insert into txn (order_id, amount) select order_id, total_price from order_total where total_price > 0",
    "update txn set status = 'settled', settled_at = now() where status = 'pending' and txn_id % {k} = 0",
    "update txn set status = 'refunded' where status = 'settled' and txn_id % {k} = {a} % {k}",
    "update txn set status = 'failed', settled_at = null, completed_at = null where txn_id % 5 = {a} % 5",
    "update txn set amount = amount + {k} where txn_id % {k} = 0",
    // A payment is reassigned to another order.
    "update txn set order_id = (select max(order_id) from orders) where txn_id % 7 = {a} % 7",
    "delete from txn where txn_id % {k} = {b} % {k}",
    "delete from txn where order_id % 4 = {a} % 4; delete from orders_item where order_id % 4 = {a} % 4;
        delete from orders where order_id % 4 = {a} % 4",
    "truncate txn, orders_item",
];

/// A statement, and whether it is rolled back.
fn statement() -> impl Strategy<Value = String> {
    let chosen = prop_oneof![30 => 0..STATEMENTS.len() - 1, 1 => Just(STATEMENTS.len() - 1)];
    (chosen, 0..1000_u32, 0..1000_u32, 1..5_u32, prop::bool::weighted(0.1)).prop_map(
        |(chosen, a, b, k, rolled_back)| {
            let numbers = [("{a}", a), ("{b}", b), ("{k}", k)];
            let sql = numbers
                .iter()
                .fold(STATEMENTS[chosen].to_owned(), |sql, (name, number)| sql.replace(name, &number.to_string()));
            if rolled_back { format!("begin; savepoint before; {sql}; rollback to before; commit") } else { sql }
        },
    )
}

#[test]
fn queries_are_exact_after_every_statement() {
    let shop = shop();
    let session = Session::of(&shop);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() });
    let sequences = vec(statement(), 10..40);
    let tested = runner.run(&sequences, |statements| {
        // A previous case may have failed within a transaction.
        session.run("rollback; truncate orders, orders_item, txn restart identity").unwrap();
        session.run(STATEMENTS[0].replace("{a}", "3").replace("{k}", "9").as_str()).unwrap();
        for statement in statements {
            session.run(&statement).unwrap();
            session.is_exact(&statement);
        }
        Ok(())
    });
    tested.unwrap();
}

/// Twelve orders, each with two lines, a settled payment and an unsettled one.
const FILLING: &str = "
    insert into orders (member_id) select n from generate_series(1, 12) as n;
    insert into orders_item select order_id, 1 + (order_id + n) % 8, 2, 1, 1 from orders, (values (0), (3)) as line (n);
    insert into txn (order_id, amount, status, settled_at) select order_id, 2, 'settled', now() from orders;
    insert into txn (order_id, amount) select order_id, 2 from orders";

#[test]
fn every_statement_of_the_test_above_changes_something() {
    let shop = shop();
    let session = Session::of(&shop);
    for statement in STATEMENTS {
        session.run("truncate orders, orders_item, txn restart identity").unwrap();
        session.run(FILLING).unwrap();
        let statement = statement.replace("{a}", "4").replace("{b}", "1").replace("{k}", "3");
        let all = "select (select jsonb_agg(o order by order_id) from orders as o),
            (select jsonb_agg(i order by order_id, item_id) from orders_item as i),
            (select jsonb_agg(t order by txn_id) from txn as t)";
        let before = session.rows(all);
        session.run(&statement).unwrap();
        assert_ne!(session.rows(all), before, "{statement}");
    }
}

const WRITERS: usize = 4;
const TRANSACTIONS: u32 = 60;

/// One of a writer's transactions: all writers order the same few items for the same few members, in two statements and
/// in any order, so that they conflict.
fn transaction(writer: usize, number: u32) -> String {
    let (a, b) = (number * 7 + writer as u32 * 3, number * 5 + writer as u32);
    let level = if number.is_multiple_of(4) { "repeatable read" } else { "read committed" };
    let change = match number % 5 {
        0 => {
            "update txn set status = 'refunded' where order_id = (select max(order_id) from own) and status = 'settled'"
        }
        1 => "delete from orders_item where order_id = (select max(order_id) from own)",
        2 => "update orders_item set quantity = quantity + 1 where order_id = (select max(order_id) from own)",
        3 => "delete from txn where order_id = (select min(order_id) from own)",
        _ => "update txn set amount = amount + 1 where order_id in (select order_id from own)",
    };
    format!(
        "begin isolation level {level};
        insert into orders (member_id) values (1 + {a} % 3);
        insert into orders_item
            select currval('orders_order_id_seq'), 1 + ({a} + n) % 5, 1 + {b} % 3, 2.5, 0.5 from generate_series(0, 1) as n;
        insert into txn (order_id, amount, status, settled_at)
            values (currval('orders_order_id_seq'), 5, 'settled', now());
        insert into orders_item
            select currval('orders_order_id_seq'), 1 + ({a} + n) % 5, 1, 1.5, 0.5 from generate_series(2, 3) as n;
        {change};
        insert into own values (currval('orders_order_id_seq'));
        commit"
    )
}

/// Runs transactions, each until it succeeds without a conflict; returns the number of retries.
fn write(shop: &Shop, writer: usize) -> usize {
    let session = Session::of(shop);
    session.run("set deadlock_timeout = '20ms'; create temporary table own (order_id bigint)").unwrap();
    let mut repeated = 0;
    for number in 0..TRANSACTIONS {
        while let Err(error) = session.run(&transaction(writer, number)) {
            let code = error.code().cloned();
            let in_the_way = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].map(Some);
            assert!(in_the_way.contains(&code), "{error:?}");
            session.run("rollback").unwrap();
            repeated += 1;
        }
    }
    repeated
}

#[test]
fn concurrent_writers_and_readers_see_exact_results() {
    let shop = shop();
    let (writing, read) = (AtomicUsize::new(WRITERS), AtomicUsize::new(0));
    let repeated: usize = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (shop, writing) = (&shop, &writing);
                scope.spawn(move || {
                    // A writer that fails stops the readers too.
                    struct Done<'a>(&'a AtomicUsize);
                    impl Drop for Done<'_> {
                        fn drop(&mut self) {
                            self.0.fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                    let _done = Done(writing);
                    write(shop, writer)
                })
            })
            .collect();
        scope.spawn(|| {
            let session = Session::of(&shop);
            while writing.load(Ordering::Relaxed) > 0 {
                session.is_exact("writes that go on");
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    Session::of(&shop).is_exact("all writes");
    let orders = WRITERS * TRANSACTIONS as usize;
    assert_eq!(shop.sql("select count(*) from orders"), orders.to_string());
    assert!(read.into_inner() > 0, "no read happened during {orders} orders, {repeated} of them retried");
}
