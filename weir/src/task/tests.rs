//! Tests of the task file.

use super::*;

const TASK: &str = r#"
name: applications
params:
  output: {type: string, default: out}
  adult_on: {type: date, default: 2022-01-01}
environments:
  prod: {params: {output: /srv/members}}
sources:
  application:
    files: {path: "in/*.csv", format: csv}
    columns: {name: string, amount: {type: "decimal(12,2)", header: Amount}}
models:
  applicant: sql/applicant.sql
quality:
  applicant:
    reject_unless:
      missing_name: name is not null
      odd: {requires: amount > 0, max: 5%}
      form: {matches: {name: "^[a-z]+$"}}
    gate: {max_rejected: 95%, min_rows: 1}
sinks:
  good:
    from: applicant
    mode: overwrite
    files: {path: "${output}/good", format: csv}
    columns: [name, {money: amount}]
"#;

fn parse(text: &str, choice: &ParamChoice) -> Result<Task> {
    Task::parse(Path::new("task.yaml"), text.to_owned(), choice)
}

fn error_of(text: &str) -> String {
    let error = parse(text, &ParamChoice::default()).expect_err("the task is wrong");
    let help = miette::Diagnostic::help(&error).map(|help| format!("; {help}")).unwrap_or_default();
    format!("{error}{help}")
}

#[test]
fn a_task_is_parsed_completely() {
    let task = parse(TASK, &ParamChoice::default()).unwrap();
    let quality = &task.spec.quality["applicant"].value;
    assert_eq!(quality.reject_unless["odd"].value.max, Some(Limit::Share(0.05)));
    assert_eq!(quality.reject_unless["form"].value.requirement, Requirement::Matches("name".into(), "^[a-z]+$".into()));
    let sink = &task.spec.sinks["good"].value;
    assert_eq!(
        task.params.fill(&task.source, sink.files.as_ref().unwrap().path.as_ref().unwrap()).unwrap(),
        "out/good"
    );
    assert_eq!(
        sink.columns.as_ref().unwrap()[1].value,
        OutputColumnSpec { name: "money".into(), column: "amount".into() }
    );
}

#[test]
fn an_environment_overrides_a_default_and_the_command_line_overrides_both() {
    let mut choice = ParamChoice { environment: Some("prod".into()), ..ParamChoice::default() };
    assert_eq!(parse(TASK, &choice).unwrap().params.get("output").unwrap().text, "/srv/members");
    choice.values = vec![("output".into(), "/tmp/x".into())];
    assert_eq!(parse(TASK, &choice).unwrap().params.get("output").unwrap().text, "/tmp/x");
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_known_key() {
    let error = error_of(&TASK.replace("reject_unless", "reject_unles"));
    assert!(error.starts_with("task.yaml:16:5: unknown key `reject_unles`; did you mean `reject_unless`?"), "{error}");
    let error = error_of(&TASK.replace("max: 5%", "maxx: 5%"));
    assert!(error.contains("task.yaml:18:35: unknown key `maxx`; did you mean `max`?"), "{error}");
}

#[test]
fn a_key_of_another_level_is_told_where_it_belongs() {
    for (from, to, said) in [
        ("format: csv}", "format: csv, null_values: [x]}", "`null_values` belongs one level up, next to `files`."),
        ("    mode: overwrite\n", "    mode: overwrite\n    delimiter: x\n", "`delimiter` belongs under `files`."),
        ("    mode: overwrite\n", "    mode: overwrite\n    create: x\n", "`create` belongs under `postgres`."),
        (
            "    columns: {name",
            "    on_invalid: fail\n    columns: {name",
            "`on_invalid` belongs to one of the `columns`.",
        ),
        ("    columns: {name", "    sep: x\n    columns: {name", "did you mean `delimiter`? It belongs under `files`."),
        ("format: csv}", "format: csv, separator: x}", "did you mean `delimiter`? Known here: path, format"),
        ("models:\n", "cron: x\nmodels:\n", "`cron` belongs under `schedule`."),
        ("models:\n", "connections: {}\nmodels:\n", "`connections` belongs in weir.yaml"),
        ("    mode: overwrite\n", "    mode: overwrite\n    cron: x\n", "known here: from, mode"),
    ] {
        assert!(TASK.contains(from), "{from}");
        let error = error_of(&TASK.replacen(from, to, 1));
        assert!(error.contains(said), "`{to}`: {error}");
    }
}

#[test]
fn a_single_value_in_place_of_a_mapping_is_shown_as_one() {
    for (to, said) in [
        ("schedule: {cron: '@daily', retries: 3}\nmodels:\n", "write it as `retries: {attempts: 3}`"),
        ("schedule: '@daily'\nmodels:\n", "write `key: value`, one per line"),
        ("schedule: daily\nmodels:\n", "write it as `schedule: {cron: daily}`"),
    ] {
        let error = error_of(&TASK.replacen("models:\n", to, 1));
        assert!(error.contains(said), "`{to}`: {error}");
    }
    let error = error_of(&TASK.replacen("files: {path:", "files: in/a.csv # {path:", 1));
    assert!(error.contains("write it as `files: {path: ..., format: ...}`"), "{error}");
}

#[test]
fn a_repeated_key_is_refused() {
    let error = error_of(&TASK.replace("models:", "params: {}\nmodels:"));
    assert!(error.contains("task.yaml:12:1: duplicate key `params`"), "{error}");
}

#[test]
fn a_missing_key_is_named() {
    let error = error_of(&TASK.replace("    mode: overwrite\n", ""));
    assert!(error.contains("the key `mode` is missing"), "{error}");
}

#[test]
fn an_unknown_value_names_the_nearest_known_one() {
    let error = error_of(&TASK.replace("mode: overwrite", "mode: overwrit"));
    assert!(error.contains("unknown value `overwrit`; did you mean `overwrite`?"), "{error}");
}

#[test]
fn an_unknown_type_is_refused_with_the_types() {
    let error = error_of(&TASK.replace("name: string,", "name: text,"));
    assert!(error.contains("unknown type `text`; the types are string, boolean"), "{error}");
}

#[test]
fn a_value_of_the_wrong_shape_is_described_in_the_terms_of_a_task_file() {
    let said = |from: &str, to: &str, said: &str| {
        assert!(TASK.contains(from), "{from}");
        let error = error_of(&TASK.replacen(from, to, 1));
        assert!(error.contains(said), "`{to}`: {error}");
    };
    said("min_rows: 1", "min_rows: few", "a whole number of 0 or more is expected here");
    said("min_rows: 1", "min_rows: [1]", "a single value is expected here");
    said("models:\n  applicant: sql/applicant.sql", "models: sql", "a mapping is expected here");
    said("name: applications", "name: {a: b}", "a single value is expected here");
    said(
        "{type: \"decimal(12,2)\", header: Amount}",
        "{type: date, not_null: maybe}",
        "true or false is expected here",
    );
    said("columns: [name, {money: amount}]", "columns: name", "a list is expected here");
    said(
        "{requires: amount > 0, max: 5%}",
        "[amount]",
        "a SQL condition, or a mapping with a built-in rule is expected here",
    );
    said("{requires: amount > 0, max: 5%}", "{between: {amount: [1]}}", "a list of 2 values is expected here");
}

/// Every key with values of every shape: no error of the parser shows the types that tasks are parsed into.
#[test]
fn an_error_of_yaml_never_names_a_rust_type() {
    let words = [
        "struct",
        "enum ",
        "tuple",
        "u32",
        "u64",
        "i64",
        "Spec",
        "Option",
        "variant",
        "newtype",
        "invalid type",
        "sequence",
        "deserialize",
    ];
    let places = [
        ("name: applications", "name: VALUE"),
        ("name: applications", "name: applications\ndescription: VALUE"),
        ("name: applications", "name: applications\nschedule: VALUE"),
        ("name: applications", "name: applications\nschedule: {cron: VALUE}"),
        ("name: applications", "name: applications\nschedule: {cron: \"0 * * * *\", timeout: VALUE}"),
        ("{type: string, default: out}", "VALUE"),
        ("default: out", "default: VALUE"),
        ("{params: {output: /srv/members}}", "VALUE"),
        ("{output: /srv/members}", "VALUE"),
        ("{path: \"in/*.csv\", format: csv}", "VALUE"),
        ("path: \"in/*.csv\"", "path: VALUE"),
        ("\"in/*.csv\", format: csv", "in.csv, format: VALUE"),
        ("\"in/*.csv\", format: csv", "in.csv, format: csv, compression: VALUE"),
        ("    columns: {name: string", "    null_values: VALUE\n    columns: {name: string"),
        ("    columns: {name: string", "    read: VALUE\n    columns: {name: string"),
        ("    columns: {name: string", "    fetch: VALUE\n    columns: {name: string"),
        ("    columns: {name: string", "    postgres: VALUE\n    columns: {name: string"),
        ("name: string", "name: VALUE"),
        ("header: Amount", "not_null: VALUE"),
        ("header: Amount", "accepted_values: VALUE"),
        ("header: Amount", "on_invalid: VALUE"),
        ("sql/applicant.sql", "VALUE"),
        ("name is not null", "VALUE"),
        ("requires: amount > 0", "requires: VALUE"),
        ("requires: amount > 0", "not_null: VALUE"),
        ("requires: amount > 0", "between: VALUE"),
        ("requires: amount > 0", "between: {amount: VALUE}"),
        ("requires: amount > 0", "accepted_values: {name: VALUE}"),
        ("max: 5%", "max: VALUE"),
        ("{max_rejected: 95%, min_rows: 1}", "VALUE"),
        ("min_rows: 1", "min_rows: VALUE"),
        ("from: applicant", "from: VALUE"),
        ("mode: overwrite", "mode: VALUE"),
        ("mode: overwrite", "mode: overwrite\n    publish: VALUE"),
        ("mode: overwrite", "mode: overwrite\n    primary_key: VALUE"),
        ("mode: overwrite", "mode: overwrite\n    postgres: {connection: a, table: b, create: VALUE}"),
        ("mode: overwrite", "mode: overwrite\n    postgres: {connection: a, table: b, indexes: VALUE}"),
        ("[name, {money: amount}]", "VALUE"),
        ("{money: amount}", "VALUE"),
    ];
    let values = [
        "5",
        "-1",
        "1.5",
        "1e999",
        ".inf",
        "true",
        "yes",
        "word",
        "''",
        "~",
        "2020-01-01",
        "[]",
        "[1]",
        "[a, b, c]",
        "[[a]]",
        "{}",
        "{a: b}",
        "{a: [1]}",
        "{1: 2}",
        "!tag x",
        "!!binary aGk=",
        "&a [*a]",
    ];
    for (from, to) in places {
        assert!(TASK.contains(from), "{from}");
        for value in values {
            let text = TASK.replacen(from, &to.replace("VALUE", value), 1);
            let Err(error) = parse(&text, &ParamChoice::default()) else { continue };
            let error = error.to_string();
            let word = words.iter().find(|word| error.contains(**word));
            assert_eq!(word, None, "`{to}` with `{value}`: {error}");
        }
    }
}

#[test]
fn a_default_that_does_not_fit_its_type_is_refused_at_its_place() {
    let error = error_of(&TASK.replace("2022-01-01", "2022-02-30"));
    assert!(error.contains("task.yaml:5:35: parameter `adult_on`: `2022-02-30` is not a date"), "{error}");
}

#[test]
fn unknown_parameters_and_environments_are_wrong_usage() {
    let unknown = ParamChoice { values: vec![("outptu".into(), "x".into())], ..ParamChoice::default() };
    assert_eq!(parse(TASK, &unknown).unwrap_err().exit_code(), 2);
    let unknown = ParamChoice { environment: Some("production".into()), ..ParamChoice::default() };
    assert!(parse(TASK, &unknown).unwrap_err().to_string().contains("unknown environment `production`"));
}

#[test]
fn a_path_with_an_unknown_parameter_is_refused() {
    let task = parse(&TASK.replace("${output}", "${outptu}"), &ParamChoice::default()).unwrap();
    let error = task
        .params
        .fill(&task.source, task.spec.sinks["good"].value.files.as_ref().unwrap().path.as_ref().unwrap())
        .unwrap_err();
    assert!(error.to_string().contains("unknown parameter `${outptu}`"), "{error}");
}

#[test]
fn a_rule_with_two_kinds_is_refused() {
    let error = error_of(&TASK.replace("{requires: amount > 0,", "{requires: amount > 0, not_null: name,"));
    assert!(error.contains("a rule has exactly one of"), "{error}");
}
