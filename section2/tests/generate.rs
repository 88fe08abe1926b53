//! `section2 generate`: plausible sales, reproducible by seed, all or nothing.
#![allow(clippy::unwrap_used)]

mod naive;
mod support;

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use naive::{DIFFERENCES, QUESTIONS};
use support::{Ran, Shop, command, members_file};
use weir_postgres_testing::Cluster;

/// The number of rows of each table and a sum of their hashes.
fn checksums(sql: impl Fn(&str) -> String) -> Vec<String> {
    let tables = ["member", "manufacturer", "item", "orders", "orders_item", "txn", "summary.member_spending"];
    let sum = |table| sql(&format!("select count(*), sum(hashtextextended(row::text, 0)) from {table} as row"));
    tables.map(sum).into()
}

fn sums_of(shop: &Shop) -> Vec<String> {
    checksums(|query| shop.sql(query))
}

fn generate(shop: &Shop, arguments: &[&str]) -> Ran {
    shop.section2(&[&["generate"], arguments].concat())
}

/// A database with this number of generated rows.
fn generated(members: &str, orders: &str) -> Shop {
    let shop = Shop::migrated();
    generate(&shop, &["--members", members, "--orders", orders]).ended(0, &format!("{orders} orders"));
    shop
}

#[track_caller]
fn is_exact(shop: &Shop) {
    assert_eq!(shop.sql(DIFFERENCES), "0");
    for (question, naive) in QUESTIONS {
        let answer = shop.sql(question);
        assert!(!answer.is_empty());
        assert_eq!(answer, shop.sql(naive));
    }
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let shops = [generated("300", "1000"), generated("300", "1000")];
    assert_eq!(sums_of(&shops[0]), sums_of(&shops[1]));
    for shop in &shops {
        generate(shop, &["--members", "50", "--orders", "2000", "--items", "40", "--seed", "7"])
            .ended(0, "2000 orders");
    }
    assert_eq!(sums_of(&shops[0]), sums_of(&shops[1]));
}

#[test]
fn another_seed_gives_other_rows() {
    let (one, other) = (generated("300", "1000"), Shop::migrated());
    generate(&other, &["--members", "300", "--orders", "1000", "--seed", "2"]).ended(0, "1000 orders");
    let same: Vec<_> = sums_of(&one).iter().zip(sums_of(&other)).map(|(one, other)| *one == other).collect();
    // Manufacturers have the same names, in the order of their numbers.
    assert_eq!(same, [false, true, false, false, false, false, false]);
}

#[test]
fn a_few_members_and_items_have_many_times_their_share() {
    let shop = generated("3000", "10000");
    let share = |of: &str, by: &str| {
        let query = format!(
            "select sum(rows) filter (where rank <= (select count(*) from {of}) / 100) / sum(rows)
            from (select count(*) as rows, rank() over (order by count(*) desc, {by}) as rank
                from orders join orders_item using (order_id) group by {by}) as counted"
        );
        shop.sql(&query).parse::<f64>().unwrap()
    };
    let (members, items) = (share("member", "member_id"), share("item", "item_id"));
    assert!(members > 0.15, "the first hundredth of the members has {members} of the lines");
    assert!(items > 0.10, "the first hundredth of the items has {items} of the lines");
}

#[test]
fn orders_are_plausible() {
    let shop = generated("2000", "8000");
    let wrong = "
        select count(*)
        from orders
        join member using (member_id)
        join orders_item using (order_id)
        join item using (item_id)
        where ordered_at not between '2023-01-01' and '2026-01-01'
            or ordered_at < joined_at
            or ordered_at < added_at
            or ordered_at >= retired_at
            or unit_price not between cost * 0.7 and cost
            or unit_weight_kg <> weight_kg
            or birthday > '2008-01-01'";
    assert_eq!(shop.sql(wrong), "0");
    assert_eq!(shop.sql("select min(lines), max(lines), round(avg(lines)) from order_total"), "1|8|3");
    assert_eq!(shop.sql("select count(*) from member where membership_id !~ ('^' || last_name || '_')"), "0");
    assert_ne!(shop.sql("select count(*) from item where retired_at is not null"), "0");
}

#[test]
fn payments_match_the_total_of_their_order() {
    let shop = generated("2000", "8000");
    let overpaid = "
        select count(*) from (
            select order_id, sum(amount) from txn where status in ('settled', 'refunded', 'pending') group by order_id
        ) as paid (order_id, amount) join order_total using (order_id) where amount > total_price";
    assert_eq!(shop.sql(overpaid), "0");
    let settled = "
        select count(*) filter (where amount = total_price) * 10 > count(*) * 9
        from order_total
        left join (select order_id, sum(amount) as amount from txn where status = 'settled' group by 1) as paid
            using (order_id)";
    assert_eq!(shop.sql(settled), "t");
    assert_eq!(
        shop.sql("select status from txn group by status order by count(*) > 4000, status"),
        "failed\npending\nrefunded\nsettled"
    );
    let ways = "select count(*) from (
        select string_agg(status, ' ' order by created_at) as way from txn group by order_id
    ) as paid where way in ('failed settled', 'settled settled', 'settled settled settled') group by way";
    assert_eq!(shop.sql(ways).lines().count(), 3);
    let late = "select count(*) from txn where settled_at < created_at or completed_at < settled_at
        or greatest(created_at, settled_at, completed_at) >= '2026-01-01'";
    assert_eq!(shop.sql(late), "0");
}

#[test]
fn summaries_are_exact_and_maintained_afterwards() {
    let shop = generated("500", "2000");
    is_exact(&shop);
    assert_eq!(shop.sql("select count(*) from pg_trigger where tgenabled <> 'O'"), "0");
    shop.sql("delete from orders_item where order_id % 3 = 0; update txn set amount = amount + 1 where txn_id % 2 = 0");
    is_exact(&shop);
}

#[test]
fn generating_again_adds() {
    let shop = generated("200", "1000");
    // Fewer orders than exist: the triggers maintain the summaries. Then more: they are recomputed.
    generate(&shop, &["--members", "30", "--orders", "400"])
        .ended(0, "30 members, 0 manufacturers, 0 items, 400 orders");
    is_exact(&shop);
    generate(&shop, &["--members", "0", "--orders", "2000", "--items", "50"])
        .ended(0, "0 members, 3 manufacturers, 50 items, 2000 orders");
    is_exact(&shop);
    let counts =
        "select (select count(*) from member), (select count(*) from item), count(*), max(order_id) from orders";
    assert_eq!(shop.sql(counts), "230|1050|3400|3400");
}

#[test]
fn keys_continue_after_all_used_ones() {
    let shop = Shop::migrated();
    shop.sql(
        "insert into member (membership_id, first_name, last_name, birthday, mobile, email)
            select 'Lee_0a1b2', 'Ann', 'Lee', '1990-02-01', '12345678', 'ann' || n || '@lee.com'
            from generate_series(1, 5) as n;
        delete from member where member_id > 3",
    );
    generate(&shop, &["--members", "10", "--orders", "20"]).ended(0, "10 members");
    assert_eq!(
        shop.sql("select string_agg(member_id::text, ' ' order by member_id) from member"),
        "1 2 3 6 7 8 9 10 11 12 13 14 15"
    );
    assert_eq!(shop.sql("insert into orders (member_id) values (1) returning order_id"), "21");
    let pay = "insert into txn (order_id, amount) values (1, 1) returning txn_id = (select max(txn_id) + 1 from txn)";
    assert_eq!(shop.sql(pay), "t");
}

#[test]
fn members_of_section_1_order_too() {
    let shop = Shop::migrated();
    let folder = tempfile::tempdir().unwrap();
    members_file(
        &folder.path().join("part.csv"),
        &[
            "Ann,Lee,ann@lee.com,19900201,12345678,true,Lee_0a1b2",
            "Bob,Tan,bob@tan.net,19851231,87654321,true,Tan_fffff",
        ],
    );
    shop.section2(&["import-members", folder.path().to_str().unwrap()]).ended(0, "2 inserted");
    generate(&shop, &["--members", "0", "--orders", "300"])
        .ended(0, "0 members, 50 manufacturers, 1000 items, 300 orders");
    assert_eq!(shop.sql("select count(distinct member_id), count(*) from orders"), "2|300");
    is_exact(&shop);
}

#[test]
fn items_of_the_shop_are_ordered_unless_they_are_retired() {
    let shop = Shop::migrated();
    shop.sql(
        "insert into manufacturer (name) values ('Nord Ltd');
        insert into item (manufacturer_id, name, cost, weight_kg, retired_at)
            values (1, 'kettle', 10, 1, null), (1, 'pan', 9999999999.99, 1, null), (1, 'gift', 0, 1, null),
                (1, 'lamp', 10, 1, now())",
    );
    generate(&shop, &["--members", "5", "--orders", "200"]).ended(0, "5 members, 0 manufacturers, 0 items, 200 orders");
    let ordered = "select distinct name from orders_item join item using (item_id) order by 1";
    assert_eq!(shop.sql(ordered), "gift\nkettle\npan");
    is_exact(&shop);
}

#[test]
fn members_alone_need_no_items() {
    let shop = Shop::migrated();
    generate(&shop, &["--members", "5", "--orders", "0", "--items", "0"])
        .ended(0, "5 members, 0 manufacturers, 0 items");
}

#[test]
fn sales_need_members_and_items() {
    let shop = Shop::migrated();
    let empty = sums_of(&shop);
    generate(&shop, &["--members", "0"]).ended(1, "there are no members who could order");
    generate(&shop, &["--members", "1", "--items", "0"]).ended(1, "there are no items for sale");
    assert_eq!(sums_of(&shop), empty);
    generate(&Shop::empty(), &[]).ended(1, "section2 migrate");
}

#[test]
fn out_of_range_numbers_are_refused() {
    let shop = Shop::empty();
    for (arguments, said) in [
        (["--members", "-1"], "must be a whole number from 0 to 20000000"),
        (["--orders", "-5"], "must be a whole number from 0 to 100000000"),
        (["--orders", "1e6"], "must be a whole number from 0 to 100000000"),
        (["--items", "99999999999"], "must be a whole number from 0 to 1000000"),
        (["--seed", "-1"], "must be a whole number from 0 to 18446744073709551615"),
        (["--until", "soon"], "must be a date such as"),
        (["--until", "0001-01-01"], "the year must be from 1900 to 9999"),
    ] {
        generate(&shop, &arguments).ended(2, said);
    }
}

/// Starts to generate into a database with some sales; returns when lines are being copied.
fn loading(cluster: &Cluster, url: &str) -> Child {
    let mut child = command(url, &["generate", "--members", "100", "--orders", "400000"]).spawn().unwrap();
    let database = url.rsplit('/').next().unwrap();
    let lines = "select count(*) from pg_stat_progress_copy
        where relid = 'orders_item'::regclass and tuples_processed > 0";
    while cluster.sql(database, lines) == "0" {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn a_server_crash_leaves_nothing() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let database = url.rsplit('/').next().unwrap();
    let run = |arguments: &[&str]| Ran::of(command(&url, arguments).output().unwrap());
    run(&["migrate"]).ended(0, "schema version");
    run(&["generate", "--members", "100", "--orders", "300"]).ended(0, "300 orders");
    let before = checksums(|query| cluster.sql(database, query));
    let child = loading(&cluster, &url);
    cluster.kill();
    Ran::of(child.wait_with_output().unwrap()).ended(1, database);
    cluster.launch();
    assert_eq!(checksums(|query| cluster.sql(database, query)), before);
    run(&["generate", "--members", "0", "--orders", "10"]).ended(0, "10 orders");
    assert_eq!(cluster.sql(database, DIFFERENCES), "0");
}

#[test]
fn an_interrupted_load_leaves_nothing() {
    let shop = generated("100", "300");
    let before = sums_of(&shop);
    let mut child = loading(Cluster::shared(), &shop.url);
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(sums_of(&shop), before);
    // Waits for the end of the transaction, in case the server has not noticed yet.
    shop.sql("begin; lock table orders, orders_item, txn; commit");
    assert_eq!(sums_of(&shop), before);
    assert_eq!(shop.sql("select count(*) from pg_trigger where tgenabled <> 'O'"), "0");
}
