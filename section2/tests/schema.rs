//! The constraints of the tables, and what stays unchanged.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::Shop;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::error::{DbError, SqlState};
use weir_postgres::tokio_postgres::{Client, Error};

/// Two items, two members, an order of three anvils, and its payment.
const SALES: &str = "
    insert into manufacturer (name) values ('Acme');
    insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'Anvil', 100, 50), (1, 'Brush', 1.5, 0.2);
    insert into member (membership_id, first_name, last_name, birthday, mobile, email)
    values ('Lee_0a1b2', 'Ann', 'Lee', '1990-02-01', '12345678', 'ann@lee.com'),
        ('Tan_fffff', 'Cy', 'Tan', '1985-12-31', '87654321', 'cy@tan.net');
    insert into orders (member_id) values (1);
    insert into orders_item values (1, 1, 3, 100, 50);
    insert into txn (order_id, amount, status, settled_at) values (1, 300, 'settled', now());";

async fn session(shop: &Shop) -> Client {
    let database: Database = shop.url.parse().unwrap();
    database.connect(Duration::ZERO).await.unwrap()
}

async fn shop() -> (Shop, Client) {
    let shop = Shop::migrated();
    shop.sql(SALES);
    let client = session(&shop).await;
    (shop, client)
}

#[track_caller]
fn refusal(refused: Result<(), Error>, sql: &str) -> DbError {
    let Err(error) = refused else { panic!("not refused: {sql}") };
    error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}")).clone()
}

/// Fails unless each statement is refused by the constraint before it.
async fn each_is_refused(state: SqlState, statements: &[(&str, &str)]) {
    let (_shop, client) = shop().await;
    for (constraint, sql) in statements {
        let refused = refusal(client.batch_execute(sql).await, sql);
        assert_eq!((refused.code(), refused.constraint()), (&state, Some(*constraint)), "{sql}: {refused}");
    }
}

fn member(changes: &[(&str, &str)]) -> String {
    let mut columns = vec![
        ("membership_id", "Ng_12345"),
        ("first_name", "Di"),
        ("last_name", "Ng"),
        ("birthday", "2000-01-01"),
        ("mobile", "11112222"),
        ("email", "di@ng.com"),
    ];
    for column in &mut columns {
        if let Some(change) = changes.iter().find(|(name, _)| *name == column.0) {
            column.1 = change.1;
        }
    }
    let (names, values): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(name, value)| (name, format!("'{value}'"))).unzip();
    format!("insert into member ({}) values ({})", names.join(", "), values.join(", "))
}

#[tokio::test]
async fn a_member_has_a_valid_id_name_mobile_and_email() {
    for (constraint, column, values) in [
        (
            "membership_id_is_name_and_five_hex_digits",
            "membership_id",
            &["Ng", "Ng_1234", "Ng_12345 ", "Ng_ABCDE", "Ng_1234g"][..],
        ),
        ("first_name_is_not_empty", "first_name", &[""]),
        ("last_name_is_not_empty", "last_name", &[""]),
        ("mobile_has_eight_digits", "mobile", &["1234567", "123456789", "1234567a", "+1234567", "12345678\n"]),
        ("email_has_one_at_sign", "email", &["di", "@ng.com", "di@", "d@i@ng.com"]),
    ] {
        let statements: Vec<_> = values.iter().map(|value| member(&[(column, value)])).collect();
        let statements: Vec<_> = statements.iter().map(|sql| (constraint, sql.as_str())).collect();
        each_is_refused(SqlState::CHECK_VIOLATION, &statements).await;
    }
}

#[tokio::test]
async fn members_may_share_a_membership_id_but_are_unique() {
    let (shop, _client) = shop().await;
    shop.sql(&member(&[]));
    shop.sql(&member(&[("first_name", "Ed")]));
    shop.sql(&member(&[("email", "other@ng.com")]));
    assert_eq!(shop.sql("select count(*) from member where membership_id = 'Ng_12345'"), "3");
    let again = format!("{};{}", member(&[]), member(&[("mobile", "99999999")]));
    each_is_refused(SqlState::UNIQUE_VIOLATION, &[("member_is_known_once", &again)]).await;
}

#[tokio::test]
async fn items_have_a_name_a_cost_and_a_weight() {
    let item = |values: &str| format!("insert into item (manufacturer_id, name, cost, weight_kg) values (1, {values})");
    let statements = [
        ("item_has_a_name", item("'', 1, 1")),
        ("cost_is_not_negative", item("'x', -0.01, 1")),
        ("weight_is_positive", item("'x', 1, 0")),
        ("item_is_retired_after_it_is_added", "update item set retired_at = added_at - interval '1s'".to_owned()),
        ("manufacturer_has_a_name", "insert into manufacturer (name) values ('')".to_owned()),
    ];
    each_is_refused(
        SqlState::CHECK_VIOLATION,
        &statements.each_ref().map(|(constraint, sql)| (*constraint, sql.as_str())),
    )
    .await;
    let again = [
        ("item_is_known_once", item("'Anvil', 1, 1")),
        ("manufacturer_is_known_once", "insert into manufacturer (name) values ('Acme')".to_owned()),
    ];
    each_is_refused(SqlState::UNIQUE_VIOLATION, &again.each_ref().map(|(constraint, sql)| (*constraint, sql.as_str())))
        .await;
}

#[tokio::test]
async fn lines_and_payments_have_valid_values() {
    each_is_refused(
        SqlState::CHECK_VIOLATION,
        &[
            ("quantity_is_positive", "insert into orders_item values (1, 2, 0, 1, 1)"),
            ("unit_price_is_not_negative", "insert into orders_item values (1, 2, 1, -1, 1)"),
            ("unit_weight_is_positive", "insert into orders_item values (1, 2, 1, 1, 0)"),
            ("amount_is_positive", "insert into txn (order_id, amount) values (1, 0)"),
            ("status_is_known", "insert into txn (order_id, amount, status) values (1, 1, 'paid')"),
            ("money_that_came_has_a_time", "insert into txn (order_id, amount, status) values (1, 1, 'settled')"),
            ("money_that_came_has_a_time", "insert into txn (order_id, amount, settled_at) values (1, 1, now())"),
            ("money_that_came_has_a_time", "update txn set settled_at = null"),
            ("only_paid_orders_are_completed", "insert into txn (order_id, amount, completed_at) values (1, 1, now())"),
        ],
    )
    .await;
    let again = ("orders_item_pkey", "insert into orders_item values (1, 1, 1, 100, 50)");
    each_is_refused(SqlState::UNIQUE_VIOLATION, &[again]).await;
}

#[tokio::test]
async fn references_exist_and_sold_items_cannot_be_deleted() {
    each_is_refused(
        SqlState::FOREIGN_KEY_VIOLATION,
        &[
            (
                "item_manufacturer_id_fkey",
                "insert into item (manufacturer_id, name, cost, weight_kg) values (9, 'x', 1, 1)",
            ),
            ("orders_member_id_fkey", "insert into orders (member_id) values (9)"),
            ("orders_item_order_id_fkey", "insert into orders_item values (9, 1, 1, 1, 1)"),
            ("orders_item_item_id_fkey", "insert into orders_item values (1, 9, 1, 1, 1)"),
            ("txn_order_id_fkey", "insert into txn (order_id, amount) values (9, 1)"),
            ("item_manufacturer_id_fkey", "delete from manufacturer"),
            ("orders_item_item_id_fkey", "delete from item where item_id = 1"),
            ("orders_member_id_fkey", "delete from member where member_id = 1"),
            ("orders_item_order_id_fkey", "delete from orders"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_new_cost_does_not_change_the_totals_of_past_orders() {
    let (shop, _client) = shop().await;
    let total = "select total_price, total_weight_kg from order_total where order_id = 1";
    assert_eq!(shop.sql(total), "300.00|150.000");
    shop.sql("update item set cost = 999, weight_kg = 1");
    assert_eq!(shop.sql(total), "300.00|150.000");
}

#[tokio::test]
async fn an_order_keeps_its_member() {
    let (shop, client) = shop().await;
    let refused = refusal(client.batch_execute("update orders set member_id = 2").await, "another member");
    assert_eq!((refused.code(), refused.message()), (&SqlState::RESTRICT_VIOLATION, "order 1 keeps its member"));
    shop.sql("update orders set member_id = 1, ordered_at = now() - interval '1 day'");
    assert_eq!(shop.sql("select member_id from orders"), "1");
}

#[tokio::test]
async fn a_retired_item_can_be_in_past_orders_but_not_in_later_ones() {
    let (shop, client) = shop().await;
    shop.sql("update item set retired_at = now() where item_id = 1");
    shop.sql("insert into orders (member_id) values (2)");
    for sql in [
        "insert into orders_item values (2, 2, 1, 1.5, 0.2), (2, 1, 1, 100, 50)",
        "insert into orders_item values (2, 2, 1, 1.5, 0.2); update orders_item set item_id = 1 where order_id = 2",
    ] {
        let refused = refusal(client.batch_execute(sql).await, sql);
        assert_eq!(
            (refused.code(), refused.constraint()),
            (&SqlState::CHECK_VIOLATION, Some("retired_items_are_not_ordered"))
        );
    }
    // Orders from before can still be corrected.
    shop.sql("update orders_item set quantity = 2 where order_id = 1");
    shop.sql("insert into orders (member_id, ordered_at) values (2, now() - interval '1 day')");
    shop.sql("insert into orders_item select max(order_id), 1, 1, 100, 50 from orders");
    assert_eq!(
        shop.sql("select string_agg(order_id || ':' || item_id, ' ' order by order_id) from orders_item"),
        "1:1 3:1"
    );
}

#[tokio::test]
async fn a_total_equals_its_lines_during_concurrent_writes() {
    let (shop, reader) = shop().await;
    let writers: Vec<_> = [1, 2]
        .into_iter()
        .map(|quantity| {
            let url = shop.url.clone();
            tokio::spawn(async move {
                let client = session(&Shop { url }).await;
                for price in 0..50 {
                    let sql = format!(
                        "begin; update orders_item set quantity = {quantity}, unit_price = {price} where order_id = 1 and item_id = 1;
                        insert into orders_item values (1, 2, {quantity}, {price}, 1)
                        on conflict (order_id, item_id) do update set quantity = excluded.quantity + orders_item.quantity;
                        commit"
                    );
                    client.batch_execute(&sql).await.unwrap();
                }
            })
        })
        .collect();
    // One statement has one snapshot.
    let differs = "
        select count(*)
        from order_total
        join (
            select order_id, sum(quantity * unit_price) as price, sum(quantity * unit_weight_kg) as weight, count(*) as lines
            from orders_item
            group by order_id
        ) as line using (order_id)
        where (total_price, total_weight_kg, order_total.lines) is distinct from (line.price, line.weight, line.lines)";
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(reader.query_one(differs, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(shop.sql("select lines, total_price > 0 from order_total"), "2|t");
}

#[tokio::test]
async fn an_order_without_lines_has_a_total_of_zero() {
    let (shop, _client) = shop().await;
    shop.sql("insert into orders (member_id) values (2)");
    assert_eq!(shop.sql("select lines, total_price, total_weight_kg from order_total where order_id = 2"), "0|0|0");
}
