//! What becomes of the rows that are in a table: the modes of its sink.
#![allow(clippy::unwrap_used)]

mod support;

use support::Ran;
use support::warehouse::Warehouse;
use weir_postgres_testing::{Cluster, PASSWORD};

/// A task that reads stock and writes it to the table `stock` with these keys of the sink.
fn warehouse(sink: &str) -> Warehouse {
    warehouse_of("item: string, day: date, amount: bigint, op: string", sink)
}

fn warehouse_of(columns: &str, sink: &str) -> Warehouse {
    let task = format!(
        "name: stock
sources:
  delivery: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{{columns}}}}}
models: {{stock: stock.sql}}
sinks:
  stock: {{from: stock, {sink}}}
  refused: {{from: stock.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}}}}
"
    );
    Warehouse::with(&task, "select * from delivery")
}

const TABLE: &str = "postgres: {connection: warehouse, table: stock, create: true}";

fn deliver(warehouse: &Warehouse, lines: &str) {
    warehouse.project.file("in/a.csv", format!("item,day,amount,op\n{lines}\n"));
}

fn rows(warehouse: &Warehouse, columns: &str) -> String {
    warehouse.sql(&format!("select {columns} from stock order by 1, 2, 3")).replace('\n', " ")
}

#[test]
fn insert_leaves_rows_whose_key_is_there() {
    let sink = format!("mode: insert, primary_key: [item], columns: [item, amount], {TABLE}");
    let warehouse = warehouse(&sink.replace("create: true", ""));
    // No index says that the key is unique.
    warehouse
        .sql("create table stock (id bigserial primary key, item text, amount bigint, at timestamptz default now())");
    warehouse.sql("insert into stock (item, amount) values ('bolt', 1)");
    deliver(&warehouse, "bolt,,5,\nnut,,7,\nnut,,7,\n,,1,");
    warehouse.run().ended(0, "1 inserted, 0 updated, 1 unchanged");
    assert_eq!(rows(&warehouse, "item, amount, at is not null"), "bolt|1|t nut|7|t");
    warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
    assert_eq!(warehouse.project.rows("out/refused")[1..], [",,1,,item_missing"]);
    deliver(&warehouse, "screw,,5,\nscrew,,6,");
    warehouse.run().ended(1, "rows of this run differ and have the same (item)");
}

#[test]
fn replace_replaces_the_partitions_of_the_rows_and_leaves_the_others() {
    for (key, again) in [
        ("", "2 inserted, 0 updated, 0 unchanged, 2 deleted"),
        ("primary_key: [item, day],", "0 inserted, 0 updated, 2 unchanged"),
    ] {
        let sink = format!("mode: replace, partition_by: [day], {key} columns: [day, item, amount], {TABLE}");
        let warehouse = warehouse(&sink);
        deliver(&warehouse, "bolt,2024-01-01,5,\nnut,2024-01-01,7,\nbolt,2024-01-02,6,");
        warehouse.run().ended(0, "3 inserted");
        deliver(&warehouse, "bolt,2024-01-02,8,\nscrew,2024-01-02,1,");
        warehouse.run().ended(0, "");
        let all = "2024-01-01|bolt|5 2024-01-01|nut|7 2024-01-02|bolt|8 2024-01-02|screw|1";
        assert_eq!(rows(&warehouse, "day, item, amount"), all);
        warehouse.run().ended(0, again);
        assert_eq!(rows(&warehouse, "day, item, amount"), all);
        deliver(&warehouse, "bolt,2024-01-01,5,");
        warehouse.run().ended(0, "");
        assert_eq!(rows(&warehouse, "day, item, amount"), "2024-01-01|bolt|5 2024-01-02|bolt|8 2024-01-02|screw|1");
        assert_eq!(warehouse.tables(), "public.stock");
    }
}

#[test]
fn rows_without_a_partition_are_one_partition() {
    let warehouse = warehouse(&format!("mode: replace, partition_by: [day, op], columns: [day, op, item], {TABLE}"));
    deliver(&warehouse, "bolt,,5,\nnut,,5,x\nscrew,2024-01-01,1,");
    warehouse.run().ended(0, "3 inserted");
    deliver(&warehouse, "washer,,5,");
    warehouse.run().ended(0, "1 inserted, 0 updated, 0 unchanged, 1 deleted");
    assert_eq!(rows(&warehouse, "day, op, item"), "2024-01-01||screw |x|nut ||washer");
}

#[test]
fn partitions_that_no_run_has_written_are_not_replaced_unless_they_are_adopted() {
    let warehouse = warehouse(&format!("mode: replace, partition_by: [day], columns: [day, item], {TABLE}"));
    warehouse.sql("create table stock (day date, item text); insert into stock values ('2024-01-01', 'mine')");
    deliver(&warehouse, "bolt,2024-01-01,5,");
    warehouse.run().ended(1, "has rows that no run of this task has written, and `mode: replace` would replace them");
    warehouse.project.task("mode: replace,", "mode: replace, adopt: true,");
    warehouse.run().ended(0, "1 inserted, 0 updated, 0 unchanged, 1 deleted");
}

#[test]
fn a_merge_deletes_rows_that_are_said_to_be_gone() {
    let sink = format!(
        "mode: merge, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\", columns: [item, day, amount], {TABLE}"
    );
    let warehouse = warehouse(&sink);
    deliver(&warehouse, "bolt,2024-01-02,5,\nnut,2024-01-02,7,\nnever,2024-01-02,1,D");
    warehouse.run().ended(0, "2 inserted, 0 updated, 1 unchanged");
    assert_eq!(rows(&warehouse, "item, day, amount"), "bolt|2024-01-02|5 nut|2024-01-02|7");
    // A deletion that is older than the row does not count, and the newest row of a key decides.
    deliver(
        &warehouse,
        "bolt,2024-01-01,,D\nnut,2024-01-03,,D\nnut,2024-01-02,9,\nscrew,2024-01-03,,D\nscrew,2024-01-04,3,",
    );
    warehouse.run().ended(0, "1 inserted, 0 updated, 0 unchanged, 3 superseded, 1 deleted");
    assert_eq!(rows(&warehouse, "item, day, amount"), "bolt|2024-01-02|5 screw|2024-01-04|3");
    warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
    assert_eq!(warehouse.tables(), "public.stock");
    let columns = "select string_agg(attname, ',' order by attnum) from pg_attribute
                   where attrelid = 'stock'::regclass and attnum > 0";
    assert_eq!(warehouse.sql(columns), "item,day,amount");
}

#[test]
fn a_row_that_says_that_another_is_gone_needs_its_key_alone() {
    let sink = "mode: merge, primary_key: [item], deleted_when: \"op = 'D'\", columns: [item, amount],
    postgres: {connection: warehouse, table: stock}";
    let warehouse = warehouse(sink);
    warehouse
        .sql("create table stock (item text primary key, amount bigint not null); insert into stock values ('nut', 1)");
    deliver(&warehouse, "nut,,,D\nbolt,,,\nscrew,,1,");
    warehouse.run().ended(0, "1 inserted, 0 updated, 0 unchanged, 1 deleted");
    assert_eq!(rows(&warehouse, "item, amount, 1"), "screw|1|1");
    assert_eq!(warehouse.project.rows("out/refused")[1..], ["bolt,,,,amount_missing"]);
}

#[test]
fn a_deleted_row_can_be_marked_and_loses_the_mark_when_it_comes_back() {
    for (column, kind) in [("gone_at", ""), ("gone", "gone boolean not null"), ("gone_on", "gone_on timestamp")] {
        let sink = format!(
            "mode: merge, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\", soft_delete: {column},
    columns: [item, day, amount], {TABLE}"
        );
        let warehouse = warehouse(&sink);
        if !kind.is_empty() {
            warehouse.sql(&format!("create table stock (item text primary key, day date, amount bigint, {kind})"));
        }
        let is_gone = if kind.contains("boolean") { column.to_owned() } else { format!("{column} is not null") };
        let all = format!("item, amount, {is_gone}");
        deliver(&warehouse, "bolt,2024-01-01,5,\nnut,2024-01-01,7,");
        warehouse.run().ended(0, "2 inserted");
        deliver(&warehouse, "bolt,2024-01-03,,D");
        warehouse.run().ended(0, "0 inserted, 0 updated, 0 unchanged, 1 deleted");
        assert_eq!(rows(&warehouse, &all), "bolt|5|t nut|7|f");
        warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
        // What is older than the deletion does not bring it back.
        deliver(&warehouse, "bolt,2024-01-02,6,");
        warehouse.run().ended(0, "0 inserted, 0 updated, 0 unchanged, 1 superseded");
        deliver(&warehouse, "bolt,2024-01-04,5,");
        warehouse.run().ended(0, "0 inserted, 1 updated, 0 unchanged");
        assert_eq!(rows(&warehouse, &all), "bolt|5|f nut|7|f");
    }
}

#[test]
fn scd2_keeps_every_version_of_a_row() {
    let sink = format!(
        "mode: scd2, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\", columns: [item, day, amount],
    history: {{valid_from: since, valid_to: until}}, {TABLE}"
    );
    let warehouse = warehouse(&sink);
    let all = "item, since, until, amount";
    deliver(&warehouse, "bolt,2024-01-01,5,\nnut,2024-01-01,7,\nnever,2024-01-01,7,D\n,2024-01-01,7,\nlost,,7,");
    warehouse.run().ended(0, "2 inserted, 0 updated, 1 unchanged");
    assert_eq!(rows(&warehouse, all), "bolt|2024-01-01||5 nut|2024-01-01||7");
    assert_eq!(warehouse.project.rows("out/refused").len(), 3);
    warehouse.run().ended(0, "0 inserted, 0 updated, 3 unchanged");
    // Several versions of one row at once; a version without a change is none.
    deliver(
        &warehouse,
        "bolt,2024-01-04,7,\nbolt,2024-01-02,6,\nbolt,2024-01-03,6,\nnut,2024-01-02,7,\nscrew,2024-01-01,1,",
    );
    let versions = "bolt|2024-01-01|2024-01-02|5 bolt|2024-01-02|2024-01-04|6 bolt|2024-01-04||7 \
                    nut|2024-01-01||7 screw|2024-01-01||1";
    warehouse.run().ended(0, "3 inserted, 1 updated, 2 unchanged");
    assert_eq!(rows(&warehouse, all), versions);
    warehouse.run().ended(0, "0 inserted, 0 updated, 3 unchanged, 2 superseded");
    assert_eq!(rows(&warehouse, all), versions);
    // A deletion ends the current version; the row may come back.
    deliver(&warehouse, "bolt,2024-01-05,,D\nscrew,2024-01-02,,D\nscrew,2024-01-03,1,");
    warehouse.run().ended(0, "1 inserted, 2 updated");
    let versions = "bolt|2024-01-01|2024-01-02|5 bolt|2024-01-02|2024-01-04|6 bolt|2024-01-04|2024-01-05|7 \
                    nut|2024-01-01||7 screw|2024-01-01|2024-01-02|1 screw|2024-01-03||1";
    assert_eq!(rows(&warehouse, all), versions);
    warehouse.run().ended(0, "0 inserted, 0 updated");
    assert_eq!(rows(&warehouse, all), versions);
    // The same version with another value is a correction, and an older one comes too late.
    deliver(&warehouse, "screw,2024-01-03,2,\nbolt,2024-01-02,9,");
    warehouse.run().ended(0, "0 inserted, 1 updated, 0 unchanged, 1 superseded");
    assert_eq!(rows(&warehouse, all), versions.replace("screw|2024-01-03||1", "screw|2024-01-03||2"));
    assert_eq!(warehouse.tables(), "public.stock");
}

#[test]
fn scd2_takes_the_time_of_the_run_where_rows_have_none() {
    for kind in ["", "timestamptz", "timestamp"] {
        let sink = format!("mode: scd2, primary_key: [item], columns: [item, amount], {TABLE}");
        let warehouse = warehouse(&sink);
        if !kind.is_empty() {
            let columns = "item text, amount bigint, note text default 'n'";
            warehouse.sql(&format!("create table stock ({columns}, valid_from {kind} not null, valid_to {kind})"));
            warehouse.sql(
                "do $$ begin execute format('alter database %I set timezone = ''Asia/Singapore''', current_database()); end $$",
            );
        }
        deliver(&warehouse, "bolt,,5,\nnut,,,");
        warehouse.run().ended(0, "2 inserted, 0 updated, 0 unchanged");
        warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
        deliver(&warehouse, "bolt,,6,\nnut,,,");
        warehouse.run().ended(0, "1 inserted, 1 updated, 1 unchanged");
        assert_eq!(rows(&warehouse, "item, amount, valid_to is null"), "bolt|5|f bolt|6|t nut||t");
        let follows = "select count(*) from stock a join stock b on a.item = b.item and a.valid_to = b.valid_from
                       where a.valid_from < a.valid_to";
        assert_eq!(warehouse.sql(follows), "1");
        let is_now = "set timezone = 'UTC';
                      select bool_and(valid_from between now() - interval '5 minutes' and now() + interval '1 second') from stock";
        assert_eq!(warehouse.sql(is_now), "t", "{kind}");
    }
}

#[test]
fn scd2_knows_unchanged_values_of_every_type() {
    let sink = "mode: scd2, primary_key: [item], postgres: {connection: warehouse, table: stock}";
    let warehouse = warehouse_of("item: string, a: string, b: 'decimal(10,2)', c: string", sink);
    warehouse.sql(
        "create table stock (item text, a jsonb, b numeric(12,4), c json, valid_from timestamptz, valid_to timestamptz)",
    );
    warehouse.project.file("in/a.csv", "item,a,b,c\nbolt,\"{\"\"b\"\":1}\",1.50,[1]\n");
    warehouse.run().ended(0, "1 inserted");
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
    warehouse.project.file("in/a.csv", "item,a,b,c\nbolt,\"{\"\"b\"\":1}\",1.50,[2]\n");
    warehouse.run().ended(0, "1 inserted, 1 updated");
}

#[test]
fn a_run_that_dies_in_any_mode_is_completed_or_undone() {
    for (mode, expected) in [
        ("insert, primary_key: [item]", "bolt|1 nut|7"),
        ("replace, partition_by: [item]", "bolt|5 nut|7"),
        ("merge, primary_key: [item], deleted_when: amount = 7", "bolt|5"),
        ("merge, primary_key: [item], deleted_when: amount = 7, soft_delete: gone_at", "bolt|5"),
        ("scd2, primary_key: [item]", "bolt|1 bolt|5 nut|7"),
    ] {
        for point in ["prepared", "committed", "published"] {
            let warehouse = warehouse(&format!("mode: {mode}, columns: [item, amount], {TABLE}"));
            deliver(&warehouse, "bolt,,1,");
            warehouse.run().ended(0, "1 inserted");
            deliver(&warehouse, "bolt,,5,\nnut,,7,");
            assert_eq!(warehouse.run_with(point).code, None, "{mode} {point}");
            warehouse.run().ended(0, "");
            assert_eq!(
                warehouse.sql("select item, amount from stock order by 1, 2").replace('\n', " "),
                expected,
                "{mode} {point}"
            );
            assert_eq!(warehouse.tables(), "public.stock", "{mode} {point}");
        }
    }
}

#[test]
fn new_columns_are_added_if_the_task_allows_it() {
    let sink = format!("mode: merge, primary_key: [item], columns: [item, amount], {TABLE}");
    let warehouse = warehouse(&sink);
    deliver(&warehouse, "bolt,2024-01-01,5,x\nnut,2024-01-01,7,");
    warehouse.run().ended(0, "2 inserted");
    warehouse.project.task("columns: [item, amount]", "columns: [item, amount, day, op]");
    let ran = warehouse.run();
    ran.ended(1, "it has no column `day`; it has no column `op`");
    ran.ended(1, "`schema_changes: add`");
    warehouse.project.task("create: true", "create: true, schema_changes: add");
    deliver(&warehouse, "bolt,2024-01-01,5,x");
    // The process dies before and after the commit.
    assert_eq!(warehouse.run_with("committed").code, None);
    assert_eq!(rows(&warehouse, "item, amount, 1"), "bolt|5|1 nut|7|1");
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
    assert_eq!(rows(&warehouse, "item, amount, day, op"), "bolt|5|2024-01-01|x nut|7||");
    let types = "select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) from pg_attribute
                 where attrelid = 'stock'::regclass and attnum > 0";
    assert_eq!(warehouse.sql(types), "text,bigint,date,text");
}

#[test]
fn a_user_who_may_not_add_columns_is_told_what_an_owner_runs() {
    let sink = format!("mode: append, columns: [item, amount], {TABLE}").replace("create: true", "schema_changes: add");
    let warehouse = warehouse(&sink);
    warehouse.project.task("columns: {item", "read: new, columns: {item");
    warehouse.sql("create table base (item text); create view stock as select item from base");
    deliver(&warehouse, "bolt,2024-01-01,5,x");
    warehouse.run().ended(1, "let an owner run: alter table \"stock\" add column \"amount\" bigint");
}

#[test]
fn what_does_not_belong_together_is_found_before_a_run() {
    for (sink, said) in [
        ("mode: insert", "`mode: insert` needs a `primary_key`"),
        ("mode: scd2", "`mode: scd2` needs a `primary_key`"),
        ("mode: replace", "`mode: replace` needs `partition_by`"),
        ("mode: replace, partition_by: [dy]", "it has no column `dy`"),
        ("mode: overwrite, partition_by: [day]", "`partition_by` is for `mode: replace`"),
        ("mode: insert, primary_key: [item], update_key: day", "`update_key` is for `mode: merge` and `mode: scd2`"),
        ("mode: merge, primary_key: [item], history: {}", "`history` is for `mode: scd2`"),
        ("mode: overwrite, deleted_when: op = 'D'", "`deleted_when` is for `mode: merge` and `mode: scd2`"),
        ("mode: merge, primary_key: [item], soft_delete: gone", "`soft_delete` needs `deleted_when`"),
        ("mode: merge, primary_key: [item], deleted_when: opp = 'D'", "`deleted_when`: "),
        ("mode: merge, primary_key: [item], deleted_when: amount", "a condition must be true or false"),
        (
            "mode: merge, primary_key: [item], deleted_when: op = 'D', soft_delete: amount",
            "column `amount` is set by the sink",
        ),
        ("mode: scd2, primary_key: [item], history: {valid_from: day}", "column `day` is set by the sink"),
    ] {
        let warehouse = warehouse(&format!("{sink}, {TABLE}"));
        warehouse.project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
    for (key, said) in [
        ("deleted_when: op = 'D'", "`deleted_when` is for tables"),
        ("soft_delete: gone", "`soft_delete` is for tables"),
        ("history: {}", "`history` is for tables"),
    ] {
        let warehouse = warehouse(&format!("mode: overwrite, {key}, files: {{path: out/stock, format: csv}}"));
        warehouse.project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
}

#[test]
fn a_row_that_a_trigger_rewrites_is_written_once() {
    let sink = format!("mode: merge, primary_key: [item], columns: [item, amount, op], {TABLE}");
    let warehouse = warehouse(&sink);
    warehouse.sql(
        "create table stock (item text primary key, amount bigint, op text, writes int default 0);
         create function rewrite() returns trigger language plpgsql as
         $$ begin new.op := upper(new.op); new.writes := coalesce(old.writes, 0) + 1; return new; end $$;
         create trigger rewrite before insert or update on stock for each row execute function rewrite()",
    );
    deliver(&warehouse, "bolt,,5,x\nnut,,7,Y");
    warehouse.run().ended(0, "2 inserted, 0 updated, 0 unchanged");
    warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
    assert_eq!(rows(&warehouse, "item, amount, op, writes"), "bolt|5|X|1 nut|7|Y|1");
    deliver(&warehouse, "bolt,,5,x\nnut,,8,y\nscrew,,1,z");
    warehouse.run().ended(0, "1 inserted, 1 updated, 1 unchanged");
    assert_eq!(rows(&warehouse, "item, amount, op, writes"), "bolt|5|X|1 nut|8|Y|2 screw|1|Z|1");
}

#[test]
fn a_partition_that_is_missing_is_told() {
    let sink = "mode: merge, primary_key: [item, day], columns: [item, day, amount],
    postgres: {connection: warehouse, table: stock}";
    let warehouse = warehouse(sink);
    warehouse.sql(
        "create table stock (item text, day date, amount bigint, primary key (item, day)) partition by range (day);
         create table stock_2024 partition of stock for values from ('2024-01-01') to ('2025-01-01')",
    );
    deliver(&warehouse, "bolt,2024-01-01,5,\nnut,2025-01-01,7,");
    let ran = warehouse.run();
    ran.ended(1, "table stock refuses a row: no partition of relation");
    ran.ended(1, "create table stock_default partition of stock default");
    // The advice has no values, so that a log has it, too.
    let mut command = warehouse.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
    let ran = Ran::of(command.env("WAREHOUSE", &warehouse.url).env_remove("WEIR_SHOW_VALUES").output().unwrap());
    ran.ended(1, "create table stock_default partition of stock default");
    assert_eq!(warehouse.sql("select count(*) from stock"), "0");
    warehouse.sql("create table stock_default partition of stock default");
    warehouse.run().ended(0, "2 inserted");
}

#[test]
fn a_view_is_loaded_without_a_key_and_refused_with_one() {
    let sink = "mode: merge, primary_key: [item], columns: [item, amount],
    postgres: {connection: warehouse, table: stock}";
    let warehouse = warehouse(sink);
    warehouse.sql("create table base (item text primary key, amount bigint); create view stock as select * from base");
    deliver(&warehouse, "bolt,,5,\nnut,,7,");
    warehouse.run().ended(1, "is a view, of which the server does not say whether (item) is unique");
    warehouse.project.task("mode: merge", "mode: insert");
    warehouse.run().ended(0, "2 inserted");
    warehouse.run().ended(0, "0 inserted, 0 updated, 2 unchanged");
    warehouse.sql("drop view stock; create materialized view stock as select * from base");
    warehouse.run().ended(1, "is a materialized view, which cannot be loaded");
}

#[test]
fn a_column_whose_name_differs_by_case_is_told_as_it_has_to_be_written() {
    let sink = "mode: insert, primary_key: [item], columns: [item, amount],
    postgres: {connection: warehouse, table: stock}";
    let warehouse = warehouse(sink);
    warehouse.sql("create table stock (item text, \"Amount\" bigint)");
    deliver(&warehouse, "bolt,,5,");
    warehouse.run().ended(1, "it has no column `amount`, but `Amount`: write {Amount: amount} in the sink's `columns`");
    warehouse.project.task("columns: [item, amount]", "columns: [item, {Amount: amount}]");
    warehouse.run().ended(0, "1 inserted");
}

/// What a policy hides is not seen, and what it forbids is refused.
#[test]
fn rows_are_written_within_the_policies_of_the_table() {
    let sink = "mode: merge, primary_key: [item], columns: [item, amount, op],
    postgres: {connection: warehouse, table: stock}";
    let mut warehouse = warehouse(sink);
    let user = format!("loader_{}", warehouse.url.rsplit('/').next().unwrap());
    warehouse.sql(&format!(
        "create role {user} login password '{}'; create table stock (item text primary key, amount bigint, op text);
         alter table stock enable row level security;
         create policy own on stock using (op = current_user) with check (op = current_user);
         create schema weir authorization {user}; grant select, insert, update on stock to {user};
         insert into stock values ('nut', 1, 'other')",
        PASSWORD
    ));
    let database = warehouse.url.rsplit('/').next().unwrap().to_owned();
    warehouse.url = Cluster::shared().url_of(&user, PASSWORD, &database);
    deliver(&warehouse, &format!("bolt,,5,{user}"));
    warehouse.run().ended(0, "1 inserted");
    deliver(&warehouse, "bolt,,6,other");
    warehouse.run().ended(1, "violates row-level security policy");
    assert_eq!(warehouse.sql("select item, amount from stock order by 1"), "bolt|5\nnut|1");
}

#[test]
fn rows_that_are_in_the_table_already_are_told_with_the_mode_that_keeps_them() {
    let task = "name: t
sources:
  row: {files: {path: 'in/*.csv', format: csv}, read: new, columns: {code: string, n: integer}}
sinks:
  t: {from: row, mode: append, postgres: {connection: warehouse, table: t}}
";
    let warehouse = Warehouse::with(task, "");
    warehouse.sql("create table t (id serial primary key, code text unique, n int)");
    warehouse.project.file("in/a.csv", "code,n\nsecret,1\n");
    warehouse.run().ended(0, "");
    warehouse.project.file("in/b.csv", "code,n\nsecret,2\nB,2\n");
    let ran = warehouse.run();
    ran.ended(1, "`mode: insert` with `primary_key: [code]` keeps those and adds the new ones");
    assert_eq!(warehouse.sql("select code, n from t"), "secret|1");
    warehouse.project.task("mode: append", "mode: insert, primary_key: [code]");
    warehouse.run().ended(0, "");
    assert_eq!(warehouse.sql("select code, n from t order by n"), "secret|1\nB|2");
}
