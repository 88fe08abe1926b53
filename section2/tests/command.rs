//! The command line of `section2`.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Ran, Shop, command};
use weir_postgres_testing::{Cluster, PASSWORD};

const SALES: &str = "
    insert into manufacturer (name) values ('Acme, Inc.'), ('Best');
    insert into item (manufacturer_id, name, cost, weight_kg)
    values (1, 'Anvil', 100, 50), (2, 'Brush', 1.50, 0.2), (1, 'Crate', 20, 3), (2, 'Drum', 80, 6);
    insert into member (membership_id, first_name, last_name, birthday, mobile, email)
    values ('Lee_0a1b2', 'Ann', 'Lee', '1990-02-01', '12345678', 'ann@lee.com'),
        ('Lee_0a1b2', 'Bo', 'Lee', '1990-02-01', '12345678', 'bo@lee.com'),
        ('Tan_fffff', 'Cy', 'Tan', '1985-12-31', '87654321', 'cy@tan.net');
    insert into orders (member_id) values (1), (1), (2), (3);
    insert into orders_item (order_id, item_id, quantity, unit_price, unit_weight_kg)
    values (1, 1, 1, 99, 50), (1, 2, 4, 1.5, 0.2), (2, 2, 1, 1.5, 0.2), (3, 2, 1, 1.5, 0.2), (3, 3, 2, 20, 3),
        (4, 3, 1, 20, 3), (4, 4, 5, 80, 6);
    insert into txn (order_id, amount, status, settled_at)
    values (1, 105, 'settled', now()), (2, 1.5, 'pending', null), (3, 41.5, 'settled', now()),
        (4, 420, 'failed', null), (4, 105, 'settled', now());";

#[test]
fn members_are_ranked_by_settled_payments_then_by_member_id() {
    let shop = Shop::migrated();
    shop.sql(SALES);
    let answer = shop.section2(&["query", "top-members", "--format", "csv"]);
    let rows = ["1,Lee_0a1b2,Ann,Lee,105.00", "3,Tan_fffff,Cy,Tan,105.00", "2,Lee_0a1b2,Bo,Lee,41.50"];
    assert_eq!(answer.out, format!("member_id,membership_id,first_name,last_name,spent\n{}\n", rows.join("\n")));
}

#[test]
fn items_are_ranked_by_orders_then_by_units() {
    let shop = Shop::migrated();
    shop.sql(SALES);
    let answer = shop.section2(&["query", "top-items", "--format", "csv"]);
    let rows = ["2,Brush,Best,3,6,2", "3,Crate,\"Acme, Inc.\",2,3,2", "4,Drum,Best,1,5,1"];
    assert_eq!(answer.out, format!("item_id,item,manufacturer,orders,units,members\n{}\n", rows.join("\n")));
}

#[test]
fn a_result_can_be_a_table_or_json() {
    let shop = Shop::migrated();
    shop.sql(SALES);
    let table = shop.section2(&["query", "top-items"]);
    let expected = " item_id  item   manufacturer  orders  units  members
       2  Brush  Best               3      6        2
       3  Crate  Acme, Inc.         2      3        2
       4  Drum   Best               1      5        1
";
    assert_eq!(table.out, expected);
    let json = shop.section2(&["query", "top-members", "--format", "json"]);
    assert!(json.out.starts_with("[{\"member_id\":1,") && json.out.contains("\"spent\":105.00}"), "{}", json.out);
}

#[test]
fn without_sales_a_result_is_empty() {
    let shop = Shop::migrated();
    assert_eq!(shop.section2(&["query", "top-items", "--format", "json"]).out, "[]\n");
    assert_eq!(shop.section2(&["query", "top-members", "--format", "csv"]).out.lines().count(), 1);
    assert_eq!(shop.section2(&["query", "top-members"]).out.lines().count(), 1);
}

#[test]
fn the_sql_of_a_query_is_printed_without_a_database() {
    let ran = Ran::of(command("", &["query", "top-items", "--sql"]).output().unwrap());
    ran.ended(0, "from summary.item_sales");
}

#[test]
fn migrating_again_changes_nothing() {
    let shop = Shop::empty();
    shop.section2(&["migrate"]).ended(0, "applied V1__tables");
    let ran = shop.section2(&["migrate"]);
    ran.ended(0, "schema version");
    assert!(!ran.out.contains("applied"), "{}", ran.out);
}

#[test]
fn concurrent_migrations_are_applied_once() {
    let shop = Shop::empty();
    let started: Vec<_> = (0..4).map(|_| shop.command(&["migrate"]).spawn().unwrap()).collect();
    let ran: Vec<_> = started.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect();
    ran.iter().for_each(|ran| ran.ended(0, "schema version"));
    assert_eq!(ran.iter().filter(|ran| ran.out.contains("applied V1__tables")).count(), 1, "{ran:#?}");
}

#[test]
fn concurrently_migrated_databases_of_a_server_share_its_roles() {
    let cluster = Cluster::start();
    let started: Vec<_> = (0..8).map(|_| command(&cluster.database(), &["migrate"]).spawn().unwrap()).collect();
    started.into_iter().for_each(|child| Ran::of(child.wait_with_output().unwrap()).ended(0, "schema version"));
    let roles = "select count(*) from pg_roles where rolname in ('logistics', 'analytics', 'sales')";
    assert_eq!(cluster.sql("postgres", roles), "3");
}

#[test]
fn a_failed_migration_is_rolled_back() {
    let shop = Shop::empty();
    shop.sql("create schema summary");
    shop.section2(&["migrate"]).ended(1, "schema \"summary\" already exists");
    assert_eq!(shop.sql("select tablename from pg_tables where schemaname = 'public'"), "refinery_schema_history");
}

#[test]
fn a_database_without_the_schema_is_refused() {
    Shop::empty().section2(&["query", "top-items"]).ended(1, "run `section2 migrate`");
}

#[test]
fn a_schema_newer_than_the_program_is_refused() {
    let shop = Shop::migrated();
    shop.sql("insert into refinery_schema_history values (999, 'later', now()::text, '1')");
    for arguments in [&["migrate"][..], &["query", "top-items"], &["import-members", "/"]] {
        shop.section2(arguments).ended(1, "its schema has version 999");
    }
}

#[test]
fn a_password_is_never_printed() {
    let shop = Shop::migrated();
    let wrong = shop.url.replace("correct%20horse", "sesame");
    let ran = [
        shop.section2(&["--help"]),
        shop.section2(&["query", "--help"]),
        shop.section2(&["query", "nonsense"]),
        shop.section2(&["import-members", "/nowhere"]),
        Ran::of(command(&wrong, &["migrate"]).output().unwrap()),
        Ran::of(command(&format!("{}?sslmode=nonsense", shop.url), &["migrate"]).output().unwrap()),
        Ran::of(command(&format!("{}_", shop.url), &["migrate"]).output().unwrap()),
    ];
    for ran in &ran {
        for secret in [PASSWORD, "correct%20horse", "sesame"] {
            assert!(!format!("{}{}", ran.out, ran.err).contains(secret), "{ran:#?}");
        }
    }
    ran[4].ended(1, "password");
    ran[6].ended(1, "does not exist");
}

#[test]
fn a_server_that_starts_late_is_waited_for() {
    let cluster = Cluster::start();
    let url = cluster.database();
    cluster.kill();
    Ran::of(command(&url, &["migrate"]).output().unwrap()).ended(1, "");
    let waiting = command(&url, &["migrate", "--wait", "2m"]).spawn().unwrap();
    cluster.launch();
    Ran::of(waiting.wait_with_output().unwrap()).ended(0, "schema version");
}
