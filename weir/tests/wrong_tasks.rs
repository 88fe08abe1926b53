//! Wrong task files, SQL and usage: the problem, its position and the remedy are reported; the exit code is 2.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

#[test]
fn an_unknown_key_is_reported_with_its_position_and_the_nearest_one() {
    let project = Project::people();
    project.task("mode: overwrite", "moed: overwrite");
    let ran = project.run(&[]);
    ran.ended(2, "task.yaml:20:5: unknown key `moed`");
    ran.ended(2, "did you mean `mode`?");
}

#[test]
fn a_value_of_the_wrong_shape_is_described_without_rust_types() {
    for (from, to, said) in [
        ("min_rows: 1", "min_rows: few", "a whole number of 0 or more is expected here"),
        ("min_rows: 1", "min_rows: -1", "a whole number of 0 or more is expected here"),
        ("models:\n  adult: sql/adult.sql", "models: sql/adult.sql", "a mapping is expected here"),
        ("columns: [name, {years: age}, reasons]", "columns: name", "a list is expected here"),
        ("name: people", "name: [people]", "a single value is expected here, not a list or a mapping"),
        (
            "{not_null: name}",
            "[name]",
            "a SQL condition, or a mapping with a built-in rule is expected here, not a list",
        ),
    ] {
        let project = Project::people();
        project.task(from, to);
        let ran = project.run(&[]);
        ran.ended(2, said);
        ran.ended(2, "error: task.yaml:");
    }
}

#[test]
fn a_sql_error_names_file_line_and_column() {
    let project = Project::people();
    project.file("sql/adult.sql", "select name,\n       agee\nfrom person");
    project.run(&[]).ended(2, "sql/adult.sql:2:8: column 'agee' not found");
    project.file("sql/adult.sql", "select name age age\nfrom person");
    project.run(&[]).ended(2, "sql/adult.sql:1:17: Expected: end of statement, found: age");
    project.file("sql/adult.sql", "select name, age from persn");
    let ran = project.run(&[]);
    ran.ended(2, "sql/adult.sql:1:23: `persn` is neither a source nor a model");
    ran.ended(2, "did you mean `person`?");
}

#[test]
fn a_column_of_a_model_must_have_an_explicit_name() {
    let project = Project::people();
    project.file("sql/adult.sql", "select name, age,\n  age + 1\nfrom person");
    let ran = project.run(&[]);
    ran.ended(2, "sql/adult.sql:2:3: the column `age + 1` has no name");
    ran.ended(2, "write `age + 1 as name`");
    project.file("sql/adult.sql", "select name, age from person union all select max(name), 1 from person");
    project.run(&[]).ended(0, "");
}

#[test]
fn a_model_is_one_select() {
    let project = Project::people();
    for (sql, place) in [
        ("drop table person", ":1:1"),
        ("select 1;\n  select 2", ":2:3"),
        ("", ""),
        ("-- none\ninsert into person values ('x', 1)", ":2:1"),
        ("select * into t from person", ":1:10"),
    ] {
        project.file("sql/adult.sql", sql);
        project.run(&[]).ended(2, &format!("sql/adult.sql{place}: a model is one select statement"));
    }
}

#[test]
fn parameters_are_not_pasted_into_sql() {
    let project = Project::people();
    project.file("sql/adult.sql", "select name, age from person\nwhere age > ${least_age}");
    project.run(&[]).ended(2, "sql/adult.sql:2:13: `${…}` is not filled in here");
    project.file("sql/adult.sql", "select name, age from person where age > $least_aeg");
    let ran = project.run(&[]);
    ran.ended(2, "sql/adult.sql:1:42: unknown parameter `$least_aeg`");
    ran.ended(2, "did you mean `least_age`?");
}

#[test]
fn a_cycle_of_models_is_reported() {
    let project = Project::people();
    project.task("models:\n", "models:\n  old: sql/old.sql\n");
    project.file("sql/old.sql", "select name, age from adult");
    project.file("sql/adult.sql", "select name, age from old");
    project.run(&[]).ended(2, "models read each other: old -> adult -> old");
}

#[test]
fn a_rule_on_an_unknown_column_or_of_the_wrong_type_is_an_error_at_its_position() {
    let project = Project::people();
    project.task("age >= $least_age", "agee >= $least_age");
    project.run(&[]).ended(2, "task.yaml:15:18: rule `too_young` of `adult`:");
    project.task("agee >= $least_age", "age + $least_age");
    project.run(&[]).ended(2, "a condition must be true or false, but this is bigint");
    project.task("age + $least_age", "{unique: name}");
    project.run(&[]).ended(2, "`unique` that rejects needs to know which of the duplicates stays");
    project.task("{unique: name}", "{matches: {age: x}}");
    project.run(&[]).ended(2, "`matches` is for text, but `age` is integer");
    project.task("{matches: {age: x}}", "{matches: {name: '['}}");
    project.run(&[]).ended(2, "regex parse error");
    project.task("{matches: {name: '['}}", "age > (select max(age) from person)");
    project.run(&[]).ended(2, "rule `too_young` of `adult`");
}

#[test]
fn a_sink_of_an_unknown_table_or_column_is_refused() {
    let project = Project::people();
    project.task("from: adult\n", "from: adlut\n");
    let ran = project.run(&[]);
    ran.ended(2, "task.yaml:19:11: `adlut` is neither a model nor a source");
    ran.ended(2, "did you mean `adult`?");
    project.task("from: adlut\n", "from: adult\n");
    project.task("columns: [name, {years: age}, reasons]", "columns: [name, {years: aeg}, reasons]");
    project.run(&[]).ended(2, "sink `bad`: `adult.rejected` has no column `aeg`");
    project.task("{years: aeg}", "{name: age}");
    project.run(&[]).ended(2, "sink `bad`: two columns are called `name`");
}

#[test]
fn a_column_that_csv_cannot_hold_is_refused() {
    let project = Project::people();
    project.file("sql/adult.sql", "select name, age, make_array(age) as ages from person");
    let ran = project.run(&[]);
    ran.ended(2, "sink `good`: column `ages` is ");
    ran.ended(2, ", which CSV cannot hold");
}

#[test]
fn names_of_environments_are_plain() {
    let project = Project::people();
    for name in ["default", "a/b"] {
        project.file("task.yaml", format!("environments: {{{name}: {{}}}}\n{}", support::TASK));
        project.run(&[]).ended(2, "is not a valid environment name");
    }
}

#[test]
fn sinks_do_not_share_a_folder() {
    let project = Project::people();
    project.task("path: out/bad", "path: out/good/bad");
    project.run(&[]).ended(2, "sinks `good` and `bad` share the folder out/good/bad");
}

#[test]
fn unused_models_are_refused() {
    let project = Project::people();
    project.task("models:\n", "models:\n  lost: sql/lost.sql\n");
    project.file("sql/lost.sql", "select 1 as one");
    project.run(&[]).ended(2, "nothing reads model `lost`");
}

#[test]
fn validate_needs_no_data_and_finds_what_a_run_would_find() {
    let project = Project::people();
    std::fs::remove_dir_all(project.path("in")).unwrap();
    let validate = || project.weir(&["validate", "--task-config", "task.yaml"]);
    validate().ended(0, "task.yaml: `people` is valid: 1 source, 1 model, 2 rules, 2 sinks");
    project.file("sql/adult.sql", "select nam, age from person");
    validate().ended(2, "sql/adult.sql:1:8");
    assert_eq!(project.left(".weir"), [""; 0], "nothing is written either");
}

#[test]
fn wrong_usage_is_reported() {
    let project = Project::people();
    project.run(&["--param", "least_age"]).ended(2, "`least_age` is not NAME=VALUE");
    project.run(&["--param", "least_age=old"]).ended(2, "--param least_age: `old` is not a integer");
    project.run(&["--param", "age=1"]).ended(2, "unknown parameter in task.yaml");
    project.run(&["--env", "prod"]).ended(2, "task.yaml: unknown environment `prod`");
    project.run(&["--memory-limit", "lots"]).ended(2, "`lots` is not a size");
    project.run(&["--thread", "2"]).ended(2, "unexpected argument '--thread'");
    project.weir(&["run", "--task-config", "tsak.yaml"]).ended(2, "task file tsak.yaml: No such file or directory");
    project.weir(&[]).ended(2, "Usage: weir <COMMAND>");
    project.weir(&["--help"]).ended(0, "Usage: weir <COMMAND>");
}

#[test]
fn runs_are_listed_as_text_and_as_json() {
    let project = Project::people();
    project.weir(&["runs", "--task-config", "task.yaml"]).ended(0, "no runs yet");
    project.run(&[]).ended(0, "");
    project.task("max_rejected: 60%", "max_rejected: 0");
    project.run(&[]).ended(3, "");
    project.weir(&["runs", "--task-config", "task.yaml"]).ended(0, "rejected: 1 of 3 rows");
    let ran = project.weir(&["runs", "--state", ".weir", "--json"]);
    let runs: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(runs.iter().map(|run| run["state"].as_str().unwrap()).collect::<Vec<_>>(), ["gate_closed", "done"]);
    let adult = &runs[1]["report"]["tables"][1];
    assert_eq!(
        (adult["rows"].as_u64(), adult["accepted"].as_u64(), adult["rejected"].as_u64()),
        (Some(3), Some(2), Some(1))
    );
    assert_eq!(adult["reasons"][0]["name"], "too_young");
    assert!(runs[1]["peak_memory"].as_u64().unwrap() > 1 << 20);
    assert!(runs[1]["report"]["steps"].as_array().unwrap().len() >= 3);
}

#[test]
fn log_lines_can_be_json() {
    let project = Project::people();
    let ran = project.run(&["--log-format", "json"]);
    ran.ended(0, "");
    let steps: Vec<serde_json::Value> = ran.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(steps.iter().any(|line| line["step"] == "publish"), "{}", ran.err);
    project.task("mode: overwrite", "moed: overwrite");
    let ran = project.run(&["--log-format", "json"]);
    let line: serde_json::Value = serde_json::from_str(ran.err.trim()).unwrap();
    assert_eq!((ran.code, line["level"].as_str()), (Some(2), Some("ERROR")));
}

/// What would fail on every row is told by `validate`, before any data is read.
#[test]
fn what_cannot_be_computed_is_told_by_validate() {
    for (value, compared, said) in [
        ("date_trunc('fortnight', now())", "< now()", "fortnight"),
        ("date_part('fortnight', cast(name as timestamp))", "> 1", "fortnight"),
        ("cast(age as interval)", "is not null", "CAST from integer to interval"),
    ] {
        let project = Project::people();
        project.file("sql/adult.sql", format!("select name, age, {value} as value from person"));
        let ran = project.weir(&["validate", "--task-config", "task.yaml"]);
        assert_ne!(ran.code, Some(0), "{value}");
        assert!(ran.err.contains(said), "{value}: {}", ran.err);
        project.task("age >= $least_age", &format!("\"{value} {compared}\""));
        project.file("sql/adult.sql", "select name, age from person");
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
}

#[test]
fn a_message_of_the_query_engine_has_the_words_of_sql() {
    for (sql, said) in [
        ("select * from person pivot (sum(age) for name in ('a'))", "PIVOT is not supported in SQL here"),
        (
            "select to_char(age, '%Y') as name, age from person",
            "there is no function to_char(integer, string) with arguments of these types; known here: to_char(date, string)",
        ),
    ] {
        let project = Project::people();
        project.file("sql/adult.sql", sql);
        let ran = project.weir(&["validate", "--task-config", "task.yaml"]);
        ran.ended(2, said);
        assert!(ran.err.len() < 600, "{}", ran.err);
    }
}

/// A project with columns whose names need quotes in SQL.
fn quoted() -> Project {
    let project = Project::people();
    project.task(
        "columns: {name: string, age: integer}",
        "columns: {name: string, age: integer, First Name: string, e-mail: \
                  string, order: integer, \"a, b\": string}",
    );
    project
}

#[test]
fn a_name_that_needs_quotes_is_told_with_them() {
    for (sql, help) in [
        ("select name, age, First Name from person", "write \"First Name\""),
        ("select name, age, e-mail from person", "write \"e-mail\" with double quotes"),
        ("select name, age, e-mail as mail from person", "write \"e-mail\""),
        ("select name, age, order from person", "`order` is a word of SQL: write \"order\""),
        ("select Name, age from (select name as \"Name\", age from person)", "write \"Name\" with double quotes"),
        ("select name, age from person order by E-Mail", "write \"e-mail\""),
    ] {
        let project = quoted();
        project.file("sql/adult.sql", sql);
        let ran = project.weir(&["validate", "task.yaml"]);
        ran.ended(2, help);
        assert!(!ran.err.contains("enable_ident_normalization"), "{}", ran.err);
    }
    let project = quoted();
    project.file("sql/adult.sql", "select name, age, \"First Name\", \"a, b\" from person");
    for (rule, help) in [
        ("First is not null", "write \"First Name\""),
        ("{not_null: '\"First Name\"'}", "write `First Name`, without the quotes of SQL"),
        ("{not_null: a b}", "did you mean `\"a, b\"`?"),
        ("json_extract(name, 'a') is null", "->> 'name'"),
    ] {
        project.task("age >= $least_age", rule);
        project.weir(&["validate", "task.yaml"]).ended(2, help);
        project.task(rule, "age >= $least_age");
    }
}

#[test]
fn what_the_file_of_a_row_tells_is_told_to_be_declared() {
    let project = Project::people();
    for (column, declared) in [
        ("_file", "_file: {type: string, from: file}"),
        ("_line", "_line: {type: bigint, from: line}"),
        ("_modified", "_modified: {type: timestamp, from: modified}"),
    ] {
        project.file("sql/adult.sql", format!("select name, age, {column} from person"));
        project.weir(&["validate", "task.yaml"]).ended(2, declared);
    }
    project.file("sql/adult.sql", "select name, age, input_file_name() as file from person");
    project.weir(&["validate", "task.yaml"]).ended(2, "file: {type: string, from: file}");
    project.file("sql/adult.sql", "select name, age from person");
    project.task("age >= $least_age", "_line > 1");
    project.weir(&["validate", "task.yaml"]).ended(2, "_line: {type: bigint, from: line}, and select it");
}

#[test]
fn a_subquery_in_a_rule_is_told_as_the_rule_that_looks_into_another_table() {
    for (condition, help) in [
        ("name in (select name from person)", "write the rule {in: {name: person.name}}"),
        ("adult.name in (select p.name from person p)", "write the rule {in: {name: person.name}}"),
        ("exists (select 1 from person)", "the rule {in: {column: table.key}} looks a value up"),
        ("age > (select avg(age) from person)", "move subqueries, aggregates and windows into the model"),
    ] {
        let project = Project::people();
        project.task("age >= $least_age", condition);
        let ran = project.run(&[]);
        ran.ended(2, "rule `too_young` of `adult`: a rule is about one row");
        ran.ended(2, help);
    }
}

#[test]
fn what_one_row_may_fail_is_valid() {
    let project = Project::people();
    project.file(
        "sql/adult.sql",
        "select name, age, case when age = 0 then 1 / 0 else 100 / age end as share from person",
    );
    project.weir(&["validate", "--task-config", "task.yaml"]).ended(0, "is valid");
}

#[test]
fn a_deep_statement_is_planned_and_one_that_is_too_deep_is_refused() {
    let project = Project::people();
    let all = vec!["select name, age from person"; 500].join(" union all ");
    project.file("sql/adult.sql", &all);
    project.weir(&["validate", "--task-config", "task.yaml"]).ended(0, "is valid");
    let sum = vec!["age"; 20_000].join(" + ");
    project.file("sql/adult.sql", format!("select name, {sum} as age from person"));
    project
        .weir(&["validate", "--task-config", "task.yaml"])
        .ended(2, "has a chain of 20000 terms: the limit is 10,000");
    project.file("sql/adult.sql", "select name, age from person");
    project.task("age >= $least_age", &format!("{sum} >= $least_age"));
    project
        .weir(&["validate", "--task-config", "task.yaml"])
        .ended(2, "has a chain of 20001 terms: the limit is 10,000");
}

#[test]
fn the_moment_of_the_run_is_there_in_sql_only() {
    let project = Project::people();
    project.task("path: out/good", "path: \"out/${run_started_at}\"");
    project.run(&[]).ended(2, "`${run_started_at}`: the moment of the run is there in SQL only");
    project.task("${run_started_at}", "good");
    project.task("  least_age:", "  run_started_at: {type: timestamp, default: 2026-01-01}\n  least_age:");
    project.run(&[]).ended(2, "parameter `run_started_at`: every task has it already, as the moment of the run");
}

#[test]
fn a_decimal_without_quotes_is_told_to_have_some() {
    let project = Project::people();
    project.task("age: integer}", "age: decimal(5,2)}");
    project.run(&[]).ended(2, "`decimal(5` ends at its comma: write a decimal in quotes, as in \"decimal(12,2)\"");
}

#[test]
fn a_file_that_is_no_text_is_named_as_what_it_is() {
    for (content, said) in [
        (&b"BZh91AY&SY\x00\xff"[..], "in/a.csv: is compressed with bzip2"),
        (b"\xfd7zXZ\0\0\xff", "in/a.csv: is compressed with xz"),
        (b"PK\x03\x04\xff\n", "in/a.csv: is a zip archive, as workbooks of Excel and OpenDocument are"),
        (b"PAR1\xff\n", "in/a.csv: is a Parquet file"),
        (b"\xff\xfea\0", "in/a.csv: is UTF-16, not UTF-8"),
    ] {
        let project = Project::people();
        project.file("in/a.csv", content);
        project.run(&[]).ended(1, said);
    }
}
