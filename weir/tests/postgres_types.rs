//! Columns of a table that have other types than the rows: the server casts what fits, and the rest is rejected.
#![allow(clippy::unwrap_used)]

mod support;

use support::warehouse::Warehouse;

/// A task that reads an id and one more column, and writes them to the table `t`.
fn into_table(of_rows: &str, of_table: &str, key: &str) -> Warehouse {
    let task = format!(
        "name: t
sources:
  row: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{id: integer, v: '{of_rows}'}}}}
models: {{t: stock.sql}}
sinks:
  t: {{from: t, mode: merge, primary_key: [{key}], postgres: {{connection: warehouse, table: t}}}}
  refused: {{from: t.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}}}}
"
    );
    let warehouse = Warehouse::with(&task, "select id, v from row");
    warehouse.sql(&format!("create table t (id int, v {of_table}, primary key ({key}))"));
    warehouse
}

/// The type of the rows, that of the table, a value that fits and as the server shows it, values that do not fit.
type Type = (&'static str, &'static str, (&'static str, &'static str), &'static [&'static str]);

/// Each type with a value that fits, as the server shows it, and values that do not fit.
#[test]
fn values_are_cast_to_the_type_of_an_existing_column_and_those_that_do_not_fit_are_rejected() {
    let types: &[Type] = &[
        ("string", "jsonb", (r#"{"b":1, "a":[]}"#, r#"{"a": [], "b": 1}"#), &["{", r#""\u0000""#]),
        ("string", "json", (r#"{"b":1}"#, r#"{"b":1}"#), &["{'b':1}"]),
        ("string", "xml", ("<a/>", "<a/>"), &["<a>"]),
        (
            "string",
            "uuid",
            ("FCF3883E-eb1e-4453-b48b-e04734eb6b82", "fcf3883e-eb1e-4453-b48b-e04734eb6b82"),
            &["fcf3883e", "x"],
        ),
        ("string", "mood", ("ok", "ok"), &["bad", "OK"]),
        ("string", "mail", ("a@b", "a@b"), &["ab"]),
        ("string", "code", ("ab", "ab"), &["abc", "ab "]),
        ("string", "text[]", (r#"{a,"b c"}"#, r#"{a,"b c"}"#), &["a", "{a"]),
        ("string", "int[]", ("{1,2}", "{1,2}"), &["{1,x}"]),
        ("string", "varchar(2)[]", ("{ab}", "{ab}"), &["{ab,abc}"]),
        ("string", "inet", ("10.0.0.1", "10.0.0.1/32"), &["10.0.0.300"]),
        ("string", "cidr", ("10.0.0.0/8", "10.0.0.0/8"), &["10.0.0.1/8"]),
        ("string", "macaddr", ("08:00:2b:01:02:03", "08:00:2b:01:02:03"), &["08:00"]),
        ("string", "interval", ("3 days", "3 days"), &["3 dogs"]),
        ("string", "bytea", (r"\x6162", r"\x6162"), &[r"\x6"]),
        ("string", "time", ("12:30", "12:30:00"), &["25:00", "12:30+08", "2023-01-15 12:30", "12:30:00.1234567"]),
        ("string", "timetz", ("12:30+08", "12:30:00+08"), &["noon"]),
        ("string", "date", ("2023-01-15", "2023-01-15"), &["01/02/2023", "2023-02-30", "2023-01-15 10:00", "today"]),
        (
            "string",
            "timestamp",
            ("2023-01-15 10:00", "2023-01-15 10:00:00"),
            &["2023-01-15 10:00+08", "2023-01-15 10:00:00.1234567", "now"],
        ),
        (
            "string",
            "timestamptz",
            ("2023-01-15T10:00:00+08:00", "2023-01-15 02:00:00+00"),
            &["15.1.2023", "2023-01-15 10:00:00.1234567Z", "2023-13-15"],
        ),
        ("string", "char(3)", ("ab", "ab"), &["abcd"]),
        ("string", "\"char\"", ("a", "a"), &["ab"]),
        ("string", "varchar(3)", ("äöü", "äöü"), &["abcd"]),
        ("string", "numeric(5,2)", ("1.50", "1.50"), &["1.505", "12345", "x"]),
        ("string", "integer", ("12", "12"), &["1.5", "99999999999", "x", "1 2"]),
        ("string", "boolean", ("yes", "true"), &["maybe"]),
        ("string", "int4range", ("[1,5)", "[1,5)"), &["[5,1)"]),
        ("string", "bit(3)", ("101", "101"), &["1011", "10", "abc"]),
        ("string", "varbit(3)", ("10", "10"), &["1011"]),
        ("string", "money", ("12.5", "$12.50"), &["12.505", "x"]),
        ("string", "real", ("1.5", "1.5"), &["0.123456789"]),
        ("decimal(10,4)", "numeric(10,2)", ("1.25", "1.25"), &["0.1250001", "0.125"]),
        ("decimal(10,4)", "integer", ("12", "12"), &["1.5"]),
        ("decimal(20,2)", "money", ("12.5", "$12.50"), &[]),
        ("double", "real", ("1.5", "1.5"), &["0.123456789", "1e300"]),
        ("double", "numeric(6,2)", ("1.5", "1.50"), &["0.125", "1e15"]),
        ("double", "bigint", ("1e15", "1000000000000000"), &["0.5", "1e19"]),
        ("bigint", "double precision", ("12", "12"), &["9007199254740993"]),
        ("bigint", "text", ("12", "12"), &[]),
        ("bigint", "varchar(3)", ("12", "12"), &["1234"]),
        ("timestamp", "timestamp(0)", ("2023-01-15 10:00:00", "2023-01-15 10:00:00"), &["2023-01-15 10:00:00.5"]),
        ("timestamp", "timestamptz(0)", ("2023-01-15 10:00:00", "2023-01-15 10:00:00+00"), &["2023-01-15 10:00:00.5"]),
        ("timestamp", "date", ("2023-01-15 00:00:00", "2023-01-15"), &["2023-01-15 10:00:00"]),
        ("date", "timestamp", ("2023-01-15", "2023-01-15 00:00:00"), &[]),
        ("boolean", "jsonb", ("true", "true"), &[]),
    ];
    let columns = (0..types.len()).map(|at| format!("c{at}"));
    let columns: Vec<_> = columns.collect();
    let of_rows: Vec<_> = types.iter().zip(&columns).map(|(of, name)| format!("{name}: '{}'", of.0)).collect();
    let task = format!(
        "name: t
sources:
  row: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{id: integer, {}}}}}
models: {{t: stock.sql}}
sinks:
  t: {{from: t, mode: merge, primary_key: [id], postgres: {{connection: warehouse, table: t}}}}
  refused: {{from: t.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}},
    columns: [id, reasons]}}
  unreadable: {{from: row.rejected, mode: overwrite, publish: always, files: {{path: out/unreadable, format: csv}}}}
",
        of_rows.join(", ")
    );
    let warehouse = Warehouse::with(&task, "select * from row");
    warehouse.sql(
        "create type mood as enum ('ok', 'sad'); create domain mail as text check (value like '%@%');
         create domain code as varchar(2)",
    );
    let of_table: Vec<_> = types.iter().zip(&columns).map(|(of, name)| format!("{name} {}", of.1)).collect();
    warehouse.sql(&format!("create table t (id int primary key, {})", of_table.join(", ")));
    let field = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    let mut lines = vec![format!("id,{}", columns.join(","))];
    let good: Vec<_> = types.iter().map(|of| field(of.2.0)).collect();
    lines.push(format!("0,{}", good.join(",")));
    let mut expected = vec![];
    for (at, of) in types.iter().enumerate() {
        for value in of.3 {
            let others = |other| if other == at { field(value) } else { String::new() };
            let id = lines.len();
            lines.push(format!("{id},{}", (0..types.len()).map(others).collect::<Vec<_>>().join(",")));
            if of.1 == "numeric(10,2)" && value.len() > 8 {
                continue; // it has too many digits for the type of the rows
            }
            expected.push(format!("{id},c{at}_unfit_for_t"));
        }
    }
    warehouse.project.file("in/a.csv", lines.join("\n") + "\n");
    let ran = warehouse.run();
    ran.ended(0, "1 inserted, 0 updated, 0 unchanged");
    for (at, of) in types.iter().enumerate() {
        assert_eq!(warehouse.sql(&format!("set timezone = 'UTC'; select c{at}::text from t")), of.2.1, "{}", of.1);
    }
    let mut refused = warehouse.project.rows("out/refused").split_off(1);
    refused.sort();
    expected.sort();
    assert_eq!(refused, expected);
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
    assert_eq!(warehouse.tables(), "public.t");
}

#[test]
fn a_meaning_does_not_depend_on_the_settings_of_the_user() {
    let warehouse = into_table("timestamp", "timestamptz", "id");
    warehouse.sql(
        "do $$ begin execute format('alter database %I set timezone = ''Asia/Singapore''', current_database());
         execute format('alter database %I set datestyle = ''German''', current_database()); end $$",
    );
    warehouse.project.file("in/a.csv", "id,v\n1,2023-02-01 08:00:00\n");
    warehouse.run().ended(0, "1 inserted");
    assert_eq!(warehouse.sql("select v at time zone 'UTC' = '2023-02-01 08:00'::timestamp from t"), "t");
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
}

#[test]
fn keys_are_the_same_if_the_server_holds_them_equal() {
    let warehouse = into_table("string", "uuid", "v");
    let key = "fcf3883e-eb1e-4453-b48b-e04734eb6b82";
    warehouse.project.file("in/a.csv", format!("id,v\n1,{key}\n1,{}\n", key.to_uppercase()));
    warehouse.run().ended(0, "1 inserted");
    warehouse.project.file("in/a.csv", format!("id,v\n2,{{{}}}\n3,\n", key.to_uppercase()));
    warehouse.run().ended(0, "0 inserted, 1 updated");
    assert_eq!(warehouse.sql("select id, v from t"), format!("2|{key}"));
    assert_eq!(warehouse.project.rows("out/refused")[1..], ["3,,v_missing"]);
    warehouse.project.file("in/a.csv", format!("id,v\n1,{key}\n2,{}\n", key.to_uppercase()));
    warehouse.run().ended(1, "rows of this run differ and have the same (v)");
}

#[test]
fn a_missing_value_is_rejected_where_the_table_takes_none() {
    let warehouse = into_table("string", "text not null", "id");
    warehouse.project.file("in/a.csv", "id,v\n1,a\n2,\n");
    warehouse.run().ended(0, "1 inserted");
    assert_eq!(warehouse.project.rows("out/refused")[1..], ["2,,v_missing"]);
}

#[test]
fn many_values_that_do_not_fit_are_found_among_many_that_do() {
    let warehouse = into_table("string", "jsonb", "id");
    let lines = (0..30_000).map(|id| {
        let value = if id % 3 == 0 { "{".to_owned() } else { format!("[{id}]") };
        format!("{id},{value}\n")
    });
    warehouse.project.file("in/a.csv", format!("id,v\n{}", lines.collect::<String>()));
    warehouse.run().ended(0, "20000 inserted");
    assert_eq!(warehouse.project.rows("out/refused").len(), 10_001);
}

#[test]
fn types_that_cannot_mean_the_same_are_refused_before_anything_is_read() {
    for (of_rows, of_table, said) in [
        ("boolean", "integer", "its column `v` is integer, but the rows have boolean"),
        ("bigint", "boolean", "its column `v` is boolean, but the rows have bigint"),
        ("bigint", "interval", "its column `v` is interval, but the rows have bigint"),
        ("date", "uuid", "its column `v` is uuid, but the rows have date"),
    ] {
        let warehouse = into_table(of_rows, of_table, "id");
        // Were it read, this would be the error.
        warehouse.project.file("in/a.csv", "id,v\nx,x\n");
        let ran = warehouse.run();
        ran.ended(1, said);
        ran.ended(1, "convert the values in the model");
    }
}

#[test]
fn a_source_is_not_written_to_columns_that_cannot_hold_all_its_values() {
    let warehouse = into_table("string", "uuid", "id");
    warehouse.project.task("from: t,", "from: row,");
    warehouse.project.task("from: t.rejected", "from: row.rejected");
    warehouse.project.task("models: {t: stock.sql}\n", "");
    warehouse.project.file("in/a.csv", "id,v\n1,x\n");
    warehouse.run().ended(1, "column `v` is uuid, and not every value of `row` fits");
}

#[test]
fn a_column_may_have_any_name_and_there_may_be_many() {
    let names: Vec<_> = (0..150).map(|at| format!("Straße {at}")).collect();
    let task = format!(
        "name: t
sources:
  row: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{id: integer, {}}}}}
models: {{t: stock.sql}}
sinks:
  t: {{from: t, mode: merge, primary_key: [id], postgres: {{connection: warehouse, table: t}}}}
  refused: {{from: t.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}},
    columns: [id, reasons]}}
",
        names.iter().map(|name| format!("'{name}': string")).collect::<Vec<_>>().join(", ")
    );
    let warehouse = Warehouse::with(&task, "select * from row");
    let columns = names.iter().map(|name| format!("\"{name}\" varchar(3)")).collect::<Vec<_>>().join(", ");
    warehouse.sql(&format!("create table t (id int primary key, {columns})"));
    let row = |id: usize, values: &dyn Fn(usize) -> &'static str| {
        format!("{id},{}\n", (0..names.len()).map(values).collect::<Vec<_>>().join(","))
    };
    let lines = [
        format!("id,{}\n", names.join(",")),
        row(1, &|_| "abc"),
        row(2, &|at| if at == 149 { "long" } else { "abc" }),
        row(3, &|at| if at == 0 || at == 100 { "long" } else { "abc" }),
    ];
    warehouse.project.file("in/a.csv", lines.concat());
    warehouse.run().ended(0, "1 inserted");
    let mut refused = warehouse.project.rows("out/refused").split_off(1);
    refused.sort();
    assert_eq!(refused, ["2,Stra_e_149_unfit_for_t", "3,Stra_e_0_unfit_for_t;Stra_e_100_unfit_for_t"]);
}
