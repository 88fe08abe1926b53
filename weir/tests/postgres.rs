//! Sinks that write to tables of a real PostgreSQL server.
#![allow(clippy::unwrap_used)]

mod support;

use support::Ran;
use support::warehouse::Warehouse;
use weir_postgres_testing::{Cluster, PASSWORD};

const TASK: &str = r#"
name: stock
sources:
  delivery:
    files: {path: "in/*.csv", format: csv}
    columns: {item: string, amount: bigint, counted: timestamp}
models:
  stock: stock.sql
sinks:
  stock:
    from: stock
    mode: merge
    primary_key: [item]
    update_key: counted
    postgres: {connection: warehouse, table: stock, create: true, comment: "What there is.", comments: {amount: "Pieces."}}
  refused:
    from: stock.rejected
    mode: overwrite
    publish: always
    files: {path: out/refused, format: csv}
  copy:
    from: stock
    mode: overwrite
    files: {path: out/copy, format: csv}
"#;

fn warehouse() -> Warehouse {
    Warehouse::with(TASK, "select item, amount, counted from delivery")
}

#[test]
fn rows_are_merged_and_the_same_rows_again_change_nothing() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,5,2024-01-01 10:00:00\nnut,,2024-01-01 10:00:00");
    warehouse.run().ended(0, "2 inserted, 0 updated, 0 unchanged");
    assert_eq!(warehouse.stock(), "bolt|5|2024-01-01 10:00:00 nut||2024-01-01 10:00:00");
    let version = "select item, xmin, ctid from stock order by 1";
    let before = warehouse.sql(version);
    warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
    assert_eq!(warehouse.sql(version), before);
    warehouse.deliver("bolt,7,2024-01-02 10:00:00\nnut,9,2023-01-01 00:00:00\nscrew,1,");
    warehouse.run().ended(0, "1 inserted, 1 updated, 0 unchanged, 1 superseded");
    assert_eq!(warehouse.stock(), "bolt|7|2024-01-02 10:00:00 nut||2024-01-01 10:00:00 screw|1|");
    assert_eq!(warehouse.tables(), "public.stock");
    assert_eq!(
        warehouse.sql("select obj_description('stock'::regclass), col_description('stock'::regclass, 2)"),
        "What there is.|Pieces."
    );
    assert_eq!(warehouse.project.rows("out/copy").len(), 4);
    assert_eq!(warehouse.sql("select count(*) from weir.applied"), "3");
}

#[test]
fn values_of_every_type_survive_a_round_trip() {
    let task = r#"
name: types
sources:
  row:
    files: {path: "in/*.csv", format: csv}
    columns: {id: integer, flag: boolean, big: bigint, real: double, money: "decimal(38,10)", day: date, at: timestamp, name: string}
sinks:
  types: {from: row, mode: append, postgres: {connection: warehouse, table: types, create: true}}
  lines: {from: row.rejected, mode: overwrite, files: {path: out/lines, format: csv}}
"#;
    let warehouse = Warehouse::with(
        &task.replace(
            "files: {path: \"in/*.csv\", format: csv}",
            "read: new\n    files: {path: \"in/*.csv\", format: csv}",
        ),
        "",
    );
    let rows = [
        "1,true,9223372036854775807,1.5,1234567890123456789012345678.0123456789,9999-12-31,9999-12-31 23:59:59.999999,Ann",
        "2,false,-9223372036854775808,-0.1,-0.0000000001,0001-01-01,0001-01-01 00:00:00,\"\"",
        "3,,0,0,10000,1999-12-31,1999-12-31 23:59:59.999999,ünïcode 字",
        "4,,,1e300,9999.9999,2000-01-01,2000-01-01 00:00:00,tab\tquote\"\"",
        "5,,,-1e-300,100000000.00000001,,,",
        "6,,,,0,,,\\N",
    ];
    warehouse.project.file(
        "in/a.csv",
        format!(
            "id,flag,big,real,money,day,at,name\n{}\n",
            rows.join("\n").replace("tab\tquote\"\"", "\"tab\tquote\"\"\"")
        ),
    );
    warehouse.run().ended(0, "6 inserted");
    let expected = [
        "1|t|9223372036854775807|1.5|1234567890123456789012345678.0123456789|9999-12-31|9999-12-31 23:59:59.999999|Ann",
        "2|f|-9223372036854775808|-0.1|-0.0000000001|0001-01-01|0001-01-01 00:00:00|",
        "3||0|0|10000.0000000000|1999-12-31|1999-12-31 23:59:59.999999|ünïcode 字",
        "4|||1e+300|9999.9999000000|2000-01-01|2000-01-01 00:00:00|tab\tquote\"",
        "5|||-1e-300|100000000.0000000100|||",
        "6||||0.0000000000|||\\N",
    ];
    assert_eq!(warehouse.sql("select * from types order by id"), expected.join("\n"));
    assert_eq!(warehouse.sql("select id from types where name is null"), "5");
    assert_eq!(
        warehouse.sql("select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) from pg_attribute where attrelid = 'types'::regclass and attnum > 0"),
        "integer,boolean,bigint,double precision,numeric(38,10),date,timestamp without time zone,text"
    );
    // Appending depends on the files that were read: nothing is added twice.
    warehouse.run().ended(0, "nothing to do");
    assert_eq!(warehouse.sql("select count(*) from types"), "6");
}

#[test]
fn a_row_that_the_table_cannot_hold_is_rejected_with_a_reason() {
    let warehouse = warehouse();
    warehouse.sql(
        "create table stock (amount smallint, item varchar(4) primary key, counted timestamp, note text default 'x')",
    );
    warehouse.deliver("bolt,5,\nlong one,5,\nnut,40000,\n,5,\nn\0l,5,\nbig,-32768,");
    warehouse.run().ended(0, "2 inserted");
    assert_eq!(warehouse.stock(), "big|-32768| bolt|5|");
    let refused = warehouse.project.rows("out/refused");
    let expected = [
        "long one,5,,item_unfit_for_stock",
        "nut,40000,,amount_unfit_for_stock",
        ",5,,item_missing",
        "n\0l,5,,item_unfit_for_stock",
    ];
    let mut got = refused[1..].to_vec();
    got.sort();
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(got, expected);
    assert_eq!(warehouse.project.rows("out/copy").len(), 3, "what the table cannot take goes to no other sink either");
}

#[test]
fn a_closed_gate_leaves_the_table_unchanged() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,5,");
    warehouse.run().ended(0, "1 inserted");
    warehouse
        .project
        .task("sinks:", "quality: {stock: {reject_unless: {positive: amount > 0}, gate: {max_rejected: 0}}}\nsinks:");
    warehouse.deliver("bolt,6,\nnut,-1,");
    warehouse.run().ended(3, "gate closed");
    assert_eq!(warehouse.stock(), "bolt|5|");
    assert_eq!(warehouse.tables(), "public.stock");
}

#[test]
fn a_run_that_dies_at_any_point_is_rolled_forward_or_back_by_the_next_start() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,0,");
    warehouse.run().ended(0, "1 inserted");
    let points = ["begun", "staging_made", "prepared", "decided", "committed", "published", "published:2", "ended"];
    for (number, point) in points.iter().enumerate() {
        let amount = 2 * number + 1;
        warehouse.deliver(&format!("bolt,{amount},\nnut {number},1,"));
        let died = warehouse.run_with(point);
        assert_eq!(died.code, None, "{point}: {died:#?}");
        // Whatever state the dead run left, the next one finds a complete table, and leaves its own.
        let is_in = warehouse.stock().contains(&format!("nut {number}|"));
        assert_eq!(is_in, warehouse.stock().contains(&format!("bolt|{amount}|")), "{point}");
        warehouse.deliver(&format!("bolt,{},", amount + 1));
        warehouse.run().ended(0, "1 updated");
        let is_finished = warehouse.stock().contains(&format!("nut {number}|"));
        let is_committed = ["committed", "published", "published:2", "ended"].contains(point);
        assert_eq!(is_finished, is_committed, "{point}");
        assert!(warehouse.stock().contains(&format!("bolt|{}|", amount + 1)), "{point}");
        assert_eq!(warehouse.tables(), "public.stock", "{point}");
    }
}

#[test]
fn rows_of_one_key_that_nothing_tells_apart_end_the_run() {
    let warehouse = warehouse();
    warehouse.project.task("    update_key: counted\n", "");
    warehouse.deliver("bolt,5,\nbolt,6,");
    let ran = warehouse.run();
    ran.ended(1, "rows of this run differ and have the same (item)");
    assert_eq!(warehouse.project.left("out"), [""; 0]);
}

#[test]
fn an_incompatible_table_is_reported_before_anything_is_read() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,5,");
    warehouse.sql("create table stock (item text, amount uuid)");
    let ran = warehouse.run();
    ran.ended(1, "its column `amount` is uuid, but the rows have bigint; it has no column `counted`");
    warehouse.project.task("create: true, ", "");
    warehouse.sql("drop table stock");
    let ran = warehouse.run();
    ran.ended(1, "table stock: does not exist");
    ran.ended(1, "create it, or set `create: true` in the sink");
    assert_eq!(warehouse.tables(), "");
}

#[test]
fn a_task_with_an_inconsistent_table_sink_is_refused() {
    for (from, to, said) in [
        ("connection: warehouse", "connection: warehuose", "unknown connection `warehuose`; did you mean `warehouse`?"),
        ("primary_key: [item]", "primary_key: [itme]", "it has no column `itme`; did you mean `item`?"),
        ("    primary_key: [item]\n", "", "`mode: merge` needs a `primary_key`"),
        ("mode: merge", "mode: overwrite", "`update_key` is for `mode: merge`"),
        ("    postgres: {", "    files: {path: x, format: csv}\n    postgres: {", "has two targets"),
        ("files: {path: out/copy, format: csv}", "publish: gated", "has no target"),
        (
            "mode: overwrite\n    files: {path: out/copy",
            "mode: merge\n    files: {path: out/copy",
            "is a folder, which has no keys",
        ),
        (
            "mode: merge",
            "mode: append\n    primary_keys: [item]",
            "unknown key `primary_keys`; did you mean `primary_key`?",
        ),
    ] {
        let warehouse = warehouse();
        warehouse.project.task(from, to);
        warehouse.deliver("bolt,5,");
        let ran = warehouse.run();
        let (message, help) = said.split_once("; ").unwrap_or((said, ""));
        ran.ended(2, message);
        ran.ended(2, help);
    }
}

#[test]
fn a_table_that_refuses_a_row_gets_none_and_the_run_is_rolled_back() {
    let warehouse = warehouse();
    warehouse.sql("create table stock (item text primary key, amount bigint constraint unlucky check (amount <> 13), counted timestamp)");
    warehouse.deliver("bolt,5,");
    warehouse.run().ended(0, "1 inserted");
    warehouse.deliver("bolt,6,\nnut,13,");
    let ran = warehouse.run();
    ran.ended(1, "violates check constraint");
    ran.ended(1, "for example: item = nut");
    assert!(!ran.err.contains("13,"), "{}", ran.err);
    let runs = warehouse.project.weir(&["runs", "--state", ".weir", "--json"]).out;
    assert!(runs.contains("constraint `unlucky`") && !runs.contains("nut"), "{runs}");
    assert_eq!(warehouse.stock(), "bolt|5|");
    assert_eq!(warehouse.project.rows("out/copy").len(), 2);
    warehouse.deliver("bolt,6,\nnut,12,");
    warehouse.run().ended(0, "1 inserted, 1 updated");
    assert_eq!(warehouse.tables(), "public.stock");
}

#[test]
fn a_dead_run_whose_rows_are_refused_is_rolled_back_by_the_next_start() {
    let warehouse = warehouse();
    warehouse.sql("create table stock (item text primary key, amount bigint, counted timestamp)");
    warehouse.deliver("bolt,13,");
    assert_eq!(warehouse.run_with("committed").code, None);
    warehouse.sql("alter table stock add check (amount <> 13)");
    warehouse.deliver("bolt,5,");
    let ran = warehouse.run();
    ran.ended(0, "1 inserted");
    ran.ended(0, "nothing of it is published");
    assert_eq!(warehouse.stock(), "bolt|5|");
    assert_eq!(warehouse.tables(), "public.stock");
}

#[test]
fn a_table_accepts_rows_of_a_source_only_if_all_values_fit() {
    let warehouse = warehouse();
    warehouse.project.task("    from: stock\n    mode: merge", "    from: delivery\n    mode: merge");
    warehouse.sql("create table stock (item text primary key, amount integer, counted timestamp)");
    warehouse.deliver("bolt,5,");
    warehouse.run().ended(1, "column `amount` is integer, and not every value of `delivery` fits");
}

#[test]
fn secrets_are_references_and_are_not_printed() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,5,");
    let url = warehouse.url.replace("correct%20horse", "${file:password}");
    warehouse.project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}'}}}}"));
    warehouse.project.file("password", format!("{PASSWORD}\n"));
    warehouse.run().ended(0, "1 inserted");
    let said = |arguments: &[&str]| {
        let ran = warehouse.project.weir(arguments);
        format!("{}{}", ran.out, ran.err)
    };
    warehouse.project.file("password", "open sesame\n");
    let ran = warehouse.run();
    ran.ended(1, "password");
    let all = [
        format!("{}{}", ran.out, ran.err),
        said(&["plan", "--task-config", "task.yaml"]),
        said(&["doctor", "--task-config", "task.yaml"]),
        said(&["runs", "--state", ".weir", "--json"]),
    ];
    assert!(all[2].contains("password"), "{}", all[2]);
    assert!(all.iter().all(|text| !text.contains("sesame") && !text.contains(PASSWORD)), "{all:#?}");
    let ledger = std::fs::read(warehouse.project.path(".weir/ledger.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&ledger).contains("correct"), "the ledger has the password");
    std::fs::remove_file(warehouse.project.path("password")).unwrap();
    warehouse.run().ended(2, "the secret in password cannot be read");
}

#[test]
fn a_task_can_be_validated_without_the_secrets_of_its_connections() {
    let warehouse = warehouse();
    let validate = || warehouse.project.weir(&["validate", "--task-config", "task.yaml"]);
    validate().ended(0, "`stock` is valid");
    warehouse.deliver("bolt,5,");
    warehouse
        .project
        .weir(&["run", "--task-config", "task.yaml"])
        .ended(2, "the environment variable `WAREHOUSE` is not set");
}

#[test]
fn rejected_rows_and_lines_can_go_to_tables_too() {
    let warehouse = warehouse();
    warehouse.project.task(
        "files: {path: out/refused, format: csv}",
        "postgres: {connection: warehouse, table: refused, create: true}",
    );
    warehouse.project.task("sinks:\n", "sinks:\n  unreadable:\n    from: delivery.rejected\n    mode: overwrite\n    publish: always\n    postgres: {connection: warehouse, table: unreadable, create: true}\n");
    warehouse.project.task("sinks:", "quality: {stock: {reject_unless: {positive: amount > 0}}}\nsinks:");
    warehouse.deliver("bolt,5,\nnut,-1,\nthree,fields,are,too many\nscrew,many,");
    warehouse.run().ended(0, "1 inserted");
    assert_eq!(warehouse.sql("select item, amount, reasons from refused"), "nut|-1|positive");
    let unreadable = "select _line, _raw, reasons from unreadable order by 1";
    assert_eq!(warehouse.sql(unreadable), "4|three,fields,are,too many|too_many_fields\n5|screw,many,|invalid_amount");
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
    assert_eq!(warehouse.sql("select count(*) from refused"), "1");
    assert_eq!(warehouse.tables(), "public.refused public.stock public.unreadable".replace(' ', "\n"));
}

#[test]
fn doctor_checks_the_table() {
    let warehouse = warehouse();
    warehouse.deliver("bolt,5,");
    let doctor = || {
        let mut command = warehouse.project.command(&["doctor", "--task-config", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("WAREHOUSE", &warehouse.url).output().unwrap())
    };
    doctor().ended(0, "warehouse: stock: accepts the rows");
    warehouse.sql("create table stock (item text)");
    doctor().ended(1, "it has no column `amount`");
    assert_eq!(warehouse.tables(), "public.stock");
}

/// Two tables, the child first, and a folder.
const ORDERS: &str = r#"
name: orders
sources:
  customer: {files: {path: in/customers.csv, format: csv}, columns: {id: bigint}}
  order: {files: {path: in/orders.csv, format: csv}, columns: {id: bigint, customer: bigint}}
sinks:
  order: {from: order, mode: overwrite, primary_key: [id], postgres: {connection: warehouse, table: orders}}
  customer: {from: customer, mode: overwrite, primary_key: [id], postgres: {connection: warehouse, table: customers}}
  copy: {from: order, mode: overwrite, files: {path: out/copy, format: csv}}
  lines: {from: customer.rejected, mode: overwrite, files: {path: out/customer_lines, format: csv}}
  order_lines: {from: order.rejected, mode: overwrite, files: {path: out/order_lines, format: csv}}
"#;

struct Orders(Warehouse);

impl Orders {
    fn new() -> Self {
        let warehouse = Warehouse::with(ORDERS, "");
        warehouse.sql(
            "create table customers (id bigint primary key);
             create table orders (id bigint primary key, customer bigint references customers (id))",
        );
        Self(warehouse)
    }

    /// One customer and one order of it.
    fn deliver(&self, id: u32, customer: u32) {
        self.0.project.file("in/customers.csv", format!("id\n{id}\n"));
        self.0.project.file("in/orders.csv", format!("id,customer\n{id},{customer}\n"));
    }

    /// What each target holds: customers, orders, the folder.
    fn all(&self) -> [String; 3] {
        let copy = self.0.project.path("out/copy");
        let copy = if copy.exists() { support::rows(&copy).split_off(1).join(" ") } else { String::new() };
        let ids = |table: &str| self.0.sql(&format!("select id from {table}"));
        [ids("customers"), ids("orders"), copy]
    }
}

#[test]
fn all_tables_of_a_connection_are_published_in_one_transaction_whatever_their_order_is() {
    let orders = Orders::new();
    for id in 1..=3 {
        orders.deliver(id, id);
        orders.0.run().ended(0, "1 inserted");
        assert_eq!(orders.all(), [format!("{id}"), format!("{id}"), format!("{id},{id}")]);
    }
    assert_eq!(orders.0.sql("select count(distinct applied_at) from weir.applied"), "3");
}

#[test]
fn one_table_that_refuses_a_row_leaves_all_targets_as_they_were_and_the_next_run_works() {
    let orders = Orders::new();
    orders.deliver(1, 1);
    orders.0.run().ended(0, "");
    let before = orders.all();
    orders.deliver(2, 7);
    let ran = orders.0.run();
    ran.ended(1, "constraint `orders_customer_fkey`");
    ran.ended(1, "for example: (customer)=(7)");
    assert_eq!(orders.all(), before);
    assert_eq!(orders.0.tables(), "public.customers\npublic.orders");
    assert_eq!(orders.0.project.left("out"), ["copy", "customer_lines", "order_lines"]);
    orders.deliver(3, 3);
    orders.0.run().ended(0, "");
    assert_eq!(orders.all(), ["3", "3", "3,3"].map(str::to_owned));
}

#[test]
fn a_run_that_dies_before_or_after_its_commit_leaves_all_tables_new_or_all_as_they_were() {
    let orders = Orders::new();
    orders.deliver(1, 1);
    orders.0.run().ended(0, "");
    for (id, point) in
        ["prepared", "decided", "committed", "published"].into_iter().enumerate().map(|(n, p)| (n + 2, p))
    {
        orders.deliver(id as u32, id as u32);
        let [customers, _, _] = orders.all();
        assert_eq!(orders.0.run_with(point).code, None, "{point}");
        let [after, its_orders, _] = orders.all();
        assert_eq!(after, its_orders, "{point}");
        assert_eq!(after != customers, point == "published", "{point}");
        orders.0.run().ended(0, "");
        assert_eq!(orders.all(), [format!("{id}"), format!("{id}"), format!("{id},{id}")], "{point}");
        assert_eq!(orders.0.tables(), "public.customers\npublic.orders", "{point}");
    }
}

#[test]
fn a_locked_table_is_waited_for_and_then_nothing_is_published() {
    let orders = Orders::new();
    orders.deliver(1, 1);
    orders.0.run().ended(0, "");
    let before = orders.all();
    orders.deliver(2, 2);
    let cluster = Cluster::shared();
    let database = orders.0.url.rsplit('/').next().unwrap().to_owned();
    let lock = |seconds: u32| {
        let sql = format!("begin; lock orders in share row exclusive mode; select pg_sleep({seconds}); commit");
        let database = database.clone();
        std::thread::spawn(move || cluster.sql(&database, &sql))
    };
    // A lock that ends is waited for.
    let locked = lock(10);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let ran = orders.0.run();
    ran.ended(0, "");
    ran.ended(0, "trying again");
    ran.ended(0, "waiting for a lock of orders, which another session has");
    locked.join().unwrap();
    assert_ne!(orders.all(), before);
    // One that does not end: nothing is published, the folder included.
    let before = orders.all();
    orders.deliver(3, 3);
    let locked = lock(300);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let ran = orders.0.run();
    ran.ended(1, "lock timeout");
    ran.ended(1, "table orders is locked by process ");
    ran.ended(1, "of user owner (psql)");
    ran.ended(1, "wait for that session, or end it; then start the run again");
    cluster.sql(
        &database,
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like '%pg_sleep(300)%' and pid <> pg_backend_pid()",
    );
    assert!(locked.join().is_err(), "the lock ended before the run");
    assert_eq!(orders.all(), before);
    orders.0.run().ended(0, "");
}

#[test]
fn a_table_that_no_run_has_written_is_not_overwritten_unless_it_is_adopted() {
    let warehouse = warehouse();
    warehouse.project.task(
        "    mode: merge
    primary_key: [item]
    update_key: counted
",
        "    mode: overwrite
",
    );
    warehouse
        .sql("create table stock (item text, amount bigint, counted timestamp); insert into stock values ('mine', 1)");
    warehouse.deliver("bolt,5,");
    let ran = warehouse.run();
    ran.ended(1, "has rows that no run of this task has written");
    ran.ended(1, "adopt: true");
    assert_eq!(warehouse.stock(), "mine|1|");
    warehouse.project.task("    mode: overwrite\n    postgres", "    mode: overwrite\n    adopt: true\n    postgres");
    warehouse.run().ended(0, "1 inserted");
    warehouse.project.task("    adopt: true\n", "");
    warehouse.deliver("nut,7,");
    warehouse.run().ended(0, "1 inserted");
    assert_eq!(warehouse.stock(), "nut|7|");
    // Another environment is another owner.
    warehouse.project.task("name: stock\n", "name: stock\nenvironments: {dev: {}}\n");
    let mut command =
        warehouse.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir", "--env", "dev"]);
    let ran = Ran::of(command.env("WAREHOUSE", &warehouse.url).output().unwrap());
    ran.ended(1, "was written by sink `stock` of task `stock.default`, and `mode: overwrite` would replace its rows");
    assert_eq!(warehouse.stock(), "nut|7|");
}

#[test]
fn rows_are_not_appended_when_the_ledger_of_earlier_runs_is_lost() {
    let warehouse = warehouse();
    warehouse.project.task("    mode: merge\n    primary_key: [item]\n    update_key: counted\n", "    mode: append\n");
    warehouse.project.task(
        "    files: {path: \"in/*.csv\", format: csv}",
        "    read: new\n    files: {path: \"in/*.csv\", format: csv}",
    );
    warehouse.deliver("bolt,5,");
    warehouse.run().ended(0, "1 inserted");
    std::fs::remove_dir_all(warehouse.project.path(".weir")).unwrap();
    warehouse.run().ended(1, "which the ledger does not have");
    assert_eq!(warehouse.stock(), "bolt|5|");
    warehouse.sql("truncate stock");
    warehouse.run().ended(0, "1 inserted");
}

#[test]
fn two_sinks_cannot_be_one_table_under_two_names() {
    let orders = Orders::new();
    orders.0.project.task("table: customers}", "table: public.orders}");
    orders.0.project.task("columns: {id: bigint}}", "columns: {id: bigint, customer: bigint}}");
    orders.deliver(1, 1);
    orders.0.project.file("in/customers.csv", "id,customer\n1,1\n");
    orders
        .0
        .run()
        .ended(1, "sink `customer`: warehouse: public.orders: is the table of sink `order` under another name");
    let long = "x".repeat(64);
    orders.0.project.task("table: public.orders}", &format!("table: {long}}}"));
    orders.0.run().ended(2, "is longer than the 63 bytes that PostgreSQL keeps of it");
}

#[test]
fn tables_of_two_connections_are_published_by_a_run_and_the_next_start_or_not_at_all() {
    let orders = Orders::new();
    let other = Cluster::shared().database();
    let url = &orders.0.url;
    orders.0.project.file(
        "weir.yaml",
        format!("connections: {{warehouse: {{postgres: '{url}'}}, other: {{postgres: '{other}'}}}}"),
    );
    orders.0.project.task("connection: warehouse, table: customers}", "connection: other, table: customers}");
    let at_other = |sql: &str| Cluster::shared().sql(other.rsplit('/').next().unwrap(), sql);
    orders.0.sql("alter table orders drop constraint orders_customer_fkey; drop table customers");
    at_other("create table customers (id bigint primary key check (id <> 13))");
    let both = || (orders.0.sql("select id from orders"), at_other("select id from customers"));
    let same = |id: &str| (id.to_owned(), id.to_owned());
    orders.deliver(1, 1);
    orders.0.run().ended(0, "");
    assert_eq!(both(), same("1"));
    // The second server refuses a row before the first has committed.
    orders.deliver(13, 13);
    orders.0.run().ended(1, "for example: id = 13");
    assert_eq!(both(), same("1"));
    // The process dies between the two commits: the next start carries the second one out.
    orders.deliver(2, 2);
    assert_eq!(orders.0.run_with("published").code, None);
    assert_eq!(both(), ("2".to_owned(), "1".to_owned()));
    orders
        .0
        .project
        .weir(&["recover", "--retry", "--task-config", "task.yaml", "--state", ".weir"])
        .ended(0, "rolled forward");
    assert_eq!(both(), same("2"));
}
