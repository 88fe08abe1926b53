//! The privileges of each role, granted by [`V3__roles.sql`](../migrations/V3__roles.sql), as the server enforces them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use section2::query::Question;
use support::Shop;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::error::SqlState;
use weir_postgres::tokio_postgres::{Client, SimpleQueryMessage};
use weir_postgres_testing::{Cluster, PASSWORD};

/// A column of each table.
const TABLES: [(&str, &str); 9] = [
    ("member", "first_name"),
    ("manufacturer", "name"),
    ("item", "name"),
    ("orders", "ordered_at"),
    ("orders_item", "quantity"),
    ("txn", "status"),
    ("summary.member_spending", "spent"),
    ("summary.item_buyer", "orders"),
    ("summary.item_sales", "units"),
];

/// The only view; it is not writable, because it aggregates.
const VIEW: (&str, &str) = ("order_total", "ordered_at");

const SALES: &str = "
    insert into manufacturer (name) values ('Acme');
    insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'Anvil', 100, 50);
    insert into member (membership_id, first_name, last_name, birthday, mobile, email)
    values ('Lee_0a1b2', 'Ann', 'Lee', '1990-02-01', '12345678', 'ann@lee.com');
    insert into orders (member_id) values (1);
    insert into orders_item values (1, 1, 2, 100, 50);
    insert into txn (order_id, amount, status, settled_at) values (1, 200, 'settled', now());";

/// A session of a member of a role.
struct Session {
    client: Client,
    shop: Shop,
}

impl Session {
    /// Users belong to the server, so each test has its own.
    async fn of(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let shop = Shop::migrated();
        shop.sql(SALES);
        let user = format!("{role}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        shop.sql(&format!("create user {user} password '{PASSWORD}' in role {role}"));
        let database: Database = Cluster::shared().url_of(&user, PASSWORD, shop.name()).parse().unwrap();
        Self { client: database.connect(std::time::Duration::ZERO).await.unwrap(), shop }
    }

    /// Fails unless the statement is permitted; returns the first value.
    #[track_caller]
    fn can(&self, sql: &str) -> impl Future<Output = Option<String>> {
        let at = std::panic::Location::caller();
        async move {
            let messages = self.client.simple_query(sql).await;
            let messages = messages.unwrap_or_else(|error| panic!("{at}: {sql}: {:?}", error.as_db_error()));
            messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        }
    }

    /// Fails unless the server refuses the statement because of a missing privilege.
    #[track_caller]
    fn cannot(&self, sql: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let refused = self.client.simple_query(sql).await.err();
            let code = refused.as_ref().and_then(|error| error.code());
            assert_eq!(code, Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{at}: {sql}: {refused:?}");
        }
    }

    /// Fails unless the session can neither add nor remove rows anywhere, nor create or call anything that would.
    async fn cannot_change_tables(&self) {
        for (table, _) in TABLES {
            self.cannot(&format!("insert into {table} default values")).await;
            self.cannot(&format!("delete from {table}")).await;
            self.cannot(&format!("truncate {table} cascade")).await;
        }
        self.cannot("create table public.own (id int)").await;
        self.cannot("create table summary.own (id int)").await;
        self.cannot("create schema own").await;
        self.cannot("call summary.rebuild()").await;
        self.cannot("alter table orders disable trigger all").await;
    }
}

#[tokio::test]
async fn all_tables_are_tested() {
    let known = Shop::migrated().sql(
        "select class.oid::regclass from pg_class as class
        where relnamespace in ('public'::regnamespace, 'summary'::regnamespace) and relkind in ('r', 'v', 'm', 'p')
            and relname <> 'refinery_schema_history'
        order by 1::text",
    );
    let mut known: Vec<_> = known.lines().collect();
    let mut tested: Vec<_> = TABLES.iter().chain([&VIEW]).map(|(table, _)| *table).collect();
    known.sort_unstable();
    tested.sort_unstable();
    assert_eq!(known, tested);
}

#[tokio::test]
async fn the_roles_themselves_cannot_log_in() {
    let can = Shop::migrated().sql(
        "select rolname from pg_roles where rolname in ('logistics', 'analytics', 'sales')
            and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolbypassrls)",
    );
    assert_eq!(can, "");
}

#[tokio::test]
async fn logistics_reads_orders_with_their_weights() {
    let logistics = Session::of("logistics").await;
    assert_eq!(logistics.can("select total_weight_kg from order_total").await.unwrap(), "100.000");
    assert_eq!(logistics.can("select unit_weight_kg * quantity from orders_item").await.unwrap(), "100.000");
    assert_eq!(logistics.can("select weight_kg from item where name = 'Anvil'").await.unwrap(), "50.000");
    assert_eq!(logistics.can("select member_id from orders where ordered_at <= now()").await.unwrap(), "1");
    assert_eq!(logistics.can("select status from txn").await.unwrap(), "settled");
}

#[tokio::test]
async fn logistics_completes_transactions_and_changes_nothing_else_of_them() {
    let logistics = Session::of("logistics").await;
    logistics.can("update txn set completed_at = now() where order_id = 1").await;
    assert_eq!(logistics.shop.sql("select completed_at is not null from txn"), "t");
    for column in [
        "txn_id = default",
        "order_id = 1",
        "amount = 1",
        "status = 'failed'",
        "created_at = now()",
        "settled_at = now()",
    ] {
        logistics.cannot(&format!("update txn set {column}")).await;
    }
    logistics.cannot_change_tables().await;
    for (table, column) in TABLES {
        logistics.cannot(&format!("update {table} set {column} = null")).await;
    }
}

#[tokio::test]
async fn logistics_reads_neither_prices_nor_members_nor_summaries() {
    let logistics = Session::of("logistics").await;
    for (table, columns) in [
        ("item", "cost"),
        ("orders_item", "unit_price"),
        ("order_total", "total_price"),
        ("txn", "amount"),
        ("member", "first_name"),
        ("member", "count(*)"),
        ("manufacturer", "name"),
        ("summary.member_spending", "spent"),
        ("summary.item_sales", "units"),
    ] {
        logistics.cannot(&format!("select {columns} from {table}")).await;
    }
    // What must not be read must not be compared or returned either.
    logistics.cannot("select order_id from txn where amount > 100").await;
    logistics.cannot("update txn set completed_at = now() returning amount").await;
    logistics.cannot("select * from txn").await;
}

#[tokio::test]
async fn analytics_reads_everything_except_contact_data_and_birthdays() {
    let analytics = Session::of("analytics").await;
    for (table, column) in TABLES.into_iter().chain([VIEW]) {
        analytics.can(&format!("select {column} from {table}")).await;
        if table != "member" {
            analytics.can(&format!("select * from {table}")).await;
        }
    }
    analytics.can("select member_id, membership_id, first_name, last_name, joined_at from member").await;
    for private in ["email", "mobile", "birthday"] {
        analytics.cannot(&format!("select {private} from member")).await;
        analytics.cannot(&format!("select member_id from member where {private} is not null")).await;
        analytics.cannot(&format!("select member_id from member order by {private}")).await;
        analytics.cannot(&format!("select count(member.{private}) from member join orders using (member_id)")).await;
        analytics.cannot(&format!("copy member ({private}) to stdout")).await;
    }
    analytics.cannot("select * from member").await;
    analytics.cannot("select member from member").await;
    analytics.cannot("select to_jsonb(member) from member").await;
    // A view of its own has its own privileges.
    analytics.cannot("create temporary view mine as select * from member; select email from mine").await;
}

#[tokio::test]
async fn no_view_shows_analytics_what_is_private() {
    let analytics = Session::of("analytics").await;
    let shown = analytics.shop.sql(
        "select class.relname, attribute.attname
        from pg_class as class
        join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum > 0
        where class.relkind in ('v', 'm') and class.relnamespace in ('public'::regnamespace, 'summary'::regnamespace)
            and attribute.attname in ('email', 'mobile', 'birthday')",
    );
    assert_eq!(shown, "");
}

#[tokio::test]
async fn analytics_changes_nothing() {
    let analytics = Session::of("analytics").await;
    analytics.cannot_change_tables().await;
    for (table, column) in TABLES {
        analytics.cannot(&format!("update {table} set {column} = {column}")).await;
        analytics.cannot(&format!("select {column} from {table} for update")).await;
    }
}

#[tokio::test]
async fn analytics_can_run_both_queries() {
    let analytics = Session::of("analytics").await;
    assert_eq!(analytics.can(Question::TopMembers.sql()).await.unwrap(), "1");
    assert_eq!(analytics.can(Question::TopItems.sql()).await.unwrap(), "1");
}

#[tokio::test]
async fn sales_adds_manufacturers_and_items_and_retires_them() {
    let sales = Session::of("sales").await;
    sales.can("insert into manufacturer (name) values ('Best')").await;
    let added =
        "insert into item (manufacturer_id, name, cost, weight_kg) values (2, 'Brush', 1.5, 0.2) returning item_id";
    assert_eq!(sales.can(added).await.unwrap(), "2");
    sales.can("update item set retired_at = now() where item_id = 1").await;
    assert_eq!(sales.shop.sql("select count(*) from item where retired_at is null"), "1");
}

#[tokio::test]
async fn sales_changes_nothing_else_of_items() {
    let sales = Session::of("sales").await;
    for column in ["cost = 1", "weight_kg = 1", "name = 'x'", "manufacturer_id = 1", "added_at = now()"] {
        sales.cannot(&format!("update item set {column}")).await;
    }
    sales.cannot("update manufacturer set name = 'x'").await;
    // Neither a chosen id nor a false start of sale.
    sales.cannot("insert into manufacturer (manufacturer_id, name) overriding system value values (9, 'x')").await;
    sales
        .cannot("insert into item (manufacturer_id, name, cost, weight_kg, added_at) values (1, 'x', 1, 1, now())")
        .await;
    sales.cannot("delete from item").await;
    sales.cannot("delete from manufacturer").await;
    sales.cannot("truncate item cascade").await;
    sales.cannot("create table public.own (id int)").await;
    sales.cannot("call summary.rebuild()").await;
}

#[tokio::test]
async fn sales_can_access_neither_members_nor_orders() {
    let sales = Session::of("sales").await;
    sales.cannot("select total_price from order_total").await;
    for (table, column) in TABLES {
        if ["item", "manufacturer"].contains(&table) {
            continue;
        }
        sales.cannot(&format!("select {column} from {table}")).await;
        sales.cannot(&format!("insert into {table} default values")).await;
        sales.cannot(&format!("update {table} set {column} = null")).await;
        sales.cannot(&format!("delete from {table}")).await;
    }
}
