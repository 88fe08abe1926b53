//! What a run proposes for rejected rows: the option of the task with which they are read, without their values.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

/// A task that reads columns, and keeps the unreadable records.
fn task(files: &str, columns: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: t\nsources:\n  src:\n    files: {files}\n    columns: {{{columns}}}\nsinks:\n  rows: {{from: src, mode: \
             overwrite, files: {{path: out/rows, format: csv}}}}\n  bad: {{from: src.rejected, mode: overwrite, publish: \
             always, files: {{path: out/bad, format: csv}}}}\nquality: {{src: {{gate: {{min_rows: 0}}}}}}\n"
        ),
    );
    project
}

const CSV: &str = "{path: in/a.csv, format: csv}";
const WIDE: &str = "{path: in/a.csv, format: csv, delimiter: \";\"}";

/// The help of each reason in the report.
fn help(project: &Project) -> Vec<(String, String)> {
    let ran = project.run(&["--report", "report.json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let report = std::fs::read_to_string(project.path("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let tables = report["report"]["tables"].as_array().unwrap();
    let reasons = tables.iter().flat_map(|table| table["reasons"].as_array().unwrap());
    let helped = reasons.filter_map(|reason| {
        let help = reason["help"].as_str()?.to_owned();
        assert!(ran.out.contains(&help), "the summary has no `{help}`:\n{}", ran.out);
        Some((reason["name"].as_str().unwrap().to_owned(), help))
    });
    helped.collect()
}

/// What is proposed for one column, whose values are the lines of a file.
fn of(column: &str, values: &[&str]) -> String {
    let project = task(WIDE, &format!("id: integer, v: {column}"));
    let lines: String = values.iter().map(|value| format!("1;{value}\n")).collect();
    project.file("in/a.csv", format!("id;v\n{lines}"));
    let help = help(&project);
    assert!(help.len() <= 1 && help.iter().all(|(reason, _)| reason == "invalid_v"), "{help:?}");
    help.into_iter().next().map_or(String::new(), |(_, help)| help)
}

#[test]
fn the_form_of_numbers_is_proposed_by_its_options() {
    let so = |keys: &str| format!("if the numbers of column `v` are written so, add {keys} to it");
    for (column, values, keys) in [
        ("'decimal(12,2)'", &["1,50", "2,75", "3"][..], "`decimal_point: \",\"`"),
        ("double", &["1.234,5", "-12.345,75"], "`decimal_point: \",\"` and `thousands: \".\"`"),
        ("'decimal(12,2)'", &["1,234.50", "12,345,678.90"], "`thousands: \",\"`"),
        ("bigint", &["1 234", "12 345 678"], "`thousands: \" \"`"),
        ("bigint", &["1'234", "12'345'678"], "`thousands: \"'\"`"),
        ("'decimal(12,2)'", &["$1.50", "$2.00", "-$7"], "`strip: [\"$\"]`"),
        ("'decimal(12,2)'", &["1,50 €", "2 EUR"], "`decimal_point: \",\"` and `strip: [\"€\", \"EUR\"]`"),
        ("'decimal(12,2)'", &["(1.50)", "(20.00)"], "`negative: [parentheses]`"),
        ("'decimal(12,2)'", &["1.50-", "20.00-"], "`negative: [trailing_minus]`"),
        ("{type: double, decimal_point: \",\"}", &["1.5", "2.75"], "`decimal_point: \".\"`"),
        ("{type: bigint, strip: [kg]}", &["5 $", "7 $"], "`strip: [\"kg\", \"$\"]`"),
    ] {
        assert_eq!(of(column, values), so(keys), "{values:?}");
    }
    // Each value can be either.
    assert_eq!(of("double", &["1,234", "2,345"]), so("`decimal_point: \",\"` or `thousands: \",\"`"));
    // One that it does not read does not change it.
    let most = of("double", &["1,5", "2,75", "3,25", "nothing"]);
    assert_eq!(most, format!("{}, which reads 3 of 4 sampled values", so("`decimal_point: \",\"`")));
    assert_eq!(of("double", &["x", "y", "1,5"]), "");
}

#[test]
fn another_type_of_number_is_proposed_by_its_name() {
    let digits = |keys: &str| format!("if all digits of column `v` count, add `type: {keys}` to it");
    assert_eq!(of("integer", &["3000000000", "4"]), digits("bigint"));
    assert_eq!(of("integer", &["1.25", "2.5"]), digits("\"decimal(18,2)\""));
    assert_eq!(of("'decimal(10,2)'", &["0.125", "7.5"]), digits("\"decimal(11,3)\""));
    assert_eq!(of("'decimal(4,2)'", &["12345.5"]), digits("\"decimal(38,2)\""));
}

#[test]
fn the_format_of_dates_and_times_is_proposed() {
    let so = |keys: &str| format!("if the values of column `v` are written so, add {keys} to it");
    for (column, values, keys) in [
        ("date", &["24/12/2023", "01/02/2024"][..], "`format: \"%d/%m/%Y\"`"),
        ("date", &["12/24/2023"], "`format: \"%m/%d/%Y\"`"),
        ("date", &["01/02/2024"], "`format: \"%d/%m/%Y\"` or `format: \"%m/%d/%Y\"`"),
        ("date", &["24.12.2023"], "`format: \"%d.%m.%Y\"`"),
        ("date", &["24/1/2023", "3/12/2023"], "`format: \"%-d/%-m/%Y\"`"),
        ("date", &["20231224"], "`format: \"%Y%m%d\"`"),
        ("date", &["45000", "45001"], "`format: excel`"),
        ("date", &["2023-12-24", "24/12/2023"], "`format: [iso8601, \"%d/%m/%Y\"]`"),
        ("{type: date, format: \"%d/%m/%Y\"}", &["2023-12-24"], "`format: [\"%d/%m/%Y\", iso8601]`"),
        ("time", &["9:05 PM"], "`format: \"%-I:%M %p\"`"),
        ("timestamp", &["24/12/2023 18:30"], "`format: \"%d/%m/%Y %H:%M\"`"),
        ("timestamp", &["1700000000"], "`format: epoch_seconds`"),
        ("timestamptz", &["1700000000123"], "`format: epoch_milliseconds`"),
    ] {
        let help = of(column, values);
        assert!(help.contains(keys), "{values:?}: {help}");
        assert!(column == "timestamptz" || help == so(keys), "{values:?}: {help}");
    }
    let help = of("timestamptz", &["2024-01-31 12:00:00"]);
    let expected = "if the times of column `v` have no offset and are of one zone, such as Europe/Berlin, add `timezone: \
                    Europe/Berlin` to it";
    assert_eq!(help, expected);
    assert_eq!(of("date", &["2024-01-31 12:00:00"]), "if column `v` has times, add `type: timestamp` to it");
}

#[test]
fn words_bytes_nulls_and_blanks_are_proposed() {
    let several = of("boolean", &["Y", "0", "no", "N", "1", "yes"]);
    for words in ["`true_values: [", "\"Y\"", "\"1\"", "\"N\"", "\"0\""] {
        assert!(several.contains(words), "{words} is not in {several}");
    }
    assert!(!several.contains("sampled"), "{several}");
    assert_eq!(
        of("boolean", &["Y", "N", "n"]),
        "if the words of column `v` mean that, add `true_values: [\"Y\"]` and `false_values: [\"N\"]` to it"
    );
    assert_eq!(of("binary", &["SGVsbG8="]), "if the bytes of column `v` are written so, add `format: base64` to it");
    assert_eq!(
        of("{type: integer, null_values: [none]}", &["5", "N/A", "-"]),
        "if \"N/A\" and \"-\" in column `v` means null, add `null_values: [\"none\", \"N/A\", \"-\"]` to it"
    );
    let blanks = "if blanks around values without quotes do not matter, specify `trim: true` next to the path";
    assert_eq!(of("integer", &[" 5", "7 "]), blanks);
    let both = of("'decimal(9,2)'", &[" 5,5", "7,25 "]);
    assert!(both.starts_with(blanks) && both.contains("`decimal_point: \",\"`"), "{both}");
    assert_eq!(of("integer", &["five", "six"]), "");
    // The spelling is that of the file.
    assert!(of("date", &["2024-01-31", "Not Available"]).contains("add `null_values: [\"Not Available\"]`"));
    // A word that is not known may be a name.
    let mut many = vec!["Singapur"; 12];
    many.extend(["5", "7"]);
    let said = of("integer", &many);
    assert!(said.contains("add it to `null_values` of the column") && !said.contains("Singapur"), "{said}");
    assert_eq!(of("integer", &many[8..]), "");
}

#[test]
fn an_offset_is_missing_only_where_the_form_needs_one() {
    let written = "if the values of column `v` are written so, add `format: epoch_seconds` to it";
    assert_eq!(of("timestamptz", &["1700000000", "1700000001"]), written);
    let zoned = of("timestamptz", &["2024-01-31 12:00", "2024-02-01 12:00"]);
    assert!(zoned.ends_with("add `timezone: Europe/Berlin` to it"), "{zoned}");
}

#[test]
fn digits_that_a_time_cannot_hold_are_cut_off_only_on_demand() {
    let cut =
        |keys: &str| format!("if the digits behind the microseconds of column `v` may be cut off, add {keys} to it");
    let truncated = cut("`format: iso8601_truncated`");
    let [instant, local] = ["2023-01-15T08:00:00.123456789Z", "2023-01-15 08:00:00.1234567"];
    for (column, value) in
        [("timestamp", local), ("timestamp", instant), ("timestamptz", instant), ("time", &local[11..])]
    {
        assert_eq!(of(column, &[value]), truncated, "{column} {value}");
    }
    assert_eq!(
        of("{type: timestamp, format: [excel, iso8601]}", &[local]),
        cut("`format: [excel, iso8601_truncated]`")
    );
    let zoned = of("timestamptz", &[local]);
    assert!(zoned.ends_with("add `format: iso8601_truncated` and `timezone: Europe/Berlin` to it"), "{zoned}");
    let keys = "timezone: Europe/Berlin, format: iso8601_truncated";
    let columns =
        format!("id: integer, v: {{type: timestamptz, {keys}}}, t: {{type: time, format: iso8601_truncated}}");
    let project = task(WIDE, &columns);
    project.file("in/a.csv", format!("id;v;t\n1;{local};07:09\n2;{instant};08:00:00.9999999\n3;x;\n"));
    assert!(help(&project).is_empty());
    let rows = ["1,2023-01-15T07:00:00.123456Z,07:09:00", "2,2023-01-15T08:00:00.123456Z,08:00:00.999999"];
    assert_eq!(project.rows("out/rows")[1..], rows);
    let project = task(WIDE, "id: integer, t: {type: date, format: iso8601_truncated}");
    project.run(&[]).ended(2, "column `t`: `iso8601_truncated` is for times, but this is a date");
}

#[test]
fn a_proposal_reads_the_rows_and_has_no_values_of_them() {
    let project = task(WIDE, "id: integer, v: {type: 'decimal(12,2)'}");
    project.file("in/a.csv", "id;v\n1;(1.234,50 €)\n2;7,25 €\n3;8\n");
    let (_, help) = help(&project).remove(0);
    for value in ["1.234,50", "7,25"] {
        assert!(!help.contains(value), "{help}");
    }
    let keys = help.split('`').filter(|part| part.contains(": ")).collect::<Vec<_>>().join(", ");
    project.task("'decimal(12,2)'", &format!("'decimal(12,2)', {keys}"));
    assert!(self::help(&project).is_empty());
    assert_eq!(project.rows("out/rows"), ["id,v", "1,-1234.50", "2,7.25", "3,8.00"]);
}

#[test]
fn the_dialect_of_records_is_proposed() {
    let of = |files: &str, text: &[u8]| {
        let project = task(files, "id: integer, name: string, note: string");
        project.file("in/a.csv", text);
        help(&project)
    };
    let one = |reason: &str, help: &str| vec![(reason.to_owned(), help.to_owned())];
    let next = |option: &str| format!("specify `{option}` next to the path");
    assert_eq!(
        of(CSV, b"id,name,note\n1,\"a \\\"b\\\" c\",x\n2,d,e\n"),
        one(
            "invalid_quotes",
            &format!("if a backslash makes the next character part of a value, {}", next(r#"escape: "\\""#))
        )
    );
    assert_eq!(
        of(CSV, b"id,name,note\n1,\"a\" b,x\n2,d,e\n"),
        one("invalid_quotes", &format!("if quotes are text, {}", next("quote: none")))
    );
    assert_eq!(
        of(CSV, b"id,name,note\n1,a,b,\n2,c,d,\n"),
        one("too_many_fields", &format!("if every record ends with a delimiter, {}", next("trailing_delimiter: true")))
    );
    assert_eq!(
        of(CSV, b"id,name,note\n1,a\\,b,c\n2,d,e\n"),
        one(
            "too_many_fields",
            &format!("if a backslash makes the next character part of a value, {}", next(r#"escape: "\\""#))
        )
    );
    assert_eq!(
        of(CSV, b"id,name,note\n# made by hand\n2,d,e\n"),
        one("too_few_fields", &format!("if lines that begin with # are comments, {}", next("comment: \"#\"")))
    );
    assert_eq!(
        of(CSV, b"id,name,note\n1,a,b\nid,name,note\n2,d,e\n"),
        one(
            "repeated_header",
            &format!("if the file was put together from several, {}", next("repeated_header: skip"))
        )
    );
    let encoding = of(CSV, b"id,name,note\n1,M\xfcller,Stra\xdfe\n2,J\xe4ger,x\n");
    assert_eq!(encoding.len(), 1);
    assert!(encoding[0].1.contains("specify `encoding: windows-1252` next to the path"), "{encoding:?}");
    assert_eq!(of(CSV, b"id,name,note\n1,a\n2,d,e\n"), []);
    assert_eq!(of(CSV, b"id,name,note\n1,\"a\n2,d,e\n"), []);
}

#[test]
fn json_lines_and_columns_that_become_null_have_proposals_too() {
    let project = task("{path: in/a.jsonl, format: jsonl}", "v: {type: double, on_invalid: set_null}");
    project.file("in/a.jsonl", "{\"v\":\"1,5\"}\n{\"v\":2,\"w\":3}\n");
    let help = help(&project);
    assert!(help.iter().any(|(reason, help)| reason == "unknown_column" && help.contains("`unknown_columns: ignore`")));
    assert!(
        help.iter().any(|(reason, help)| reason == "invalid_v" && help.contains("`decimal_point: \",\"`")),
        "{help:?}"
    );
}

#[test]
fn a_run_that_ends_at_a_record_proposes_the_option_in_its_error() {
    let project = task(WIDE, "id: integer, v: double");
    project.file("in/a.csv", "id;v\n1;1,5\n");
    project.task("  bad: {from: src.rejected", "  bad: {from: src");
    let ran = project.run(&[]);
    ran.ended(1, "a record cannot be read: invalid_v");
    let flat = ran.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    assert!(flat.contains("`decimal_point: \",\"` to it; otherwise correct the file, or add a sink with"), "{flat}");
    project.task("v: double", "v: {type: double, on_invalid: fail}");
    project.run(&[]).ended(1, "`decimal_point: \",\"`");
}

#[test]
fn the_log_and_the_ledger_have_the_proposals() {
    let project = task(WIDE, "id: integer, v: double");
    project.file("in/a.csv", "id;v\n1;1,5\n2;3\n");
    let ran = project.run(&["--log-format", "json"]);
    let line = ran.err.lines().find(|line| line.contains("decimal_point")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["table"], &line["reason"]), (&"INFO".into(), &"src".into(), &"invalid_v".into()));
    assert!(project.weir(&["runs", "--state", ".weir", "--json"]).out.contains("decimal_point"));
}
