//! `weir test`: cases next to the SQL file, their output, and the errors of invalid cases.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use support::{Project, Ran};

/// Two models, one reading the other: every kind of rule, a renamed column, gates that no case would pass.
const TASK: &str = r#"
name: shop
params:
  least: {type: "decimal(12,2)", default: 1}
  input: {type: string, default: in}
environments:
  strict: {params: {least: 100}}
sources:
  sale:
    files: {path: "${input}/*.csv.gz", format: csv, compression: gzip}
    read: new
    archive: done
    null_values: [NA]
    columns:
      shop: string
      day: date
      amount: {type: "decimal(12,2)", header: "Amount (SGD)"}
      pieces: integer
      paid: boolean
  place:
    files: {path: places.csv, format: csv}
    columns: {shop: string, city: string}
models:
  sold: sql/sold.sql
  total: sql/total.sql
quality:
  sale: {gate: {max_rejected: 0}}
  sold:
    reject_unless:
      missing_shop: {not_null: shop}
      too_small: {requires: amount >= $least, max: 0}
    warn_unless:
      unpaid: {requires: paid, max: 0}
    fail_unless:
      known_year: day >= date '2000-01-01'
    gate: {min_rows: 100, max_rejected: 0}
sinks:
  total:
    from: total
    mode: overwrite
    files: {path: out/total, format: csv}
"#;

const SOLD: &str = "
select shop, day, amount, amount / pieces as price, pieces / pieces as one, paid, struct(pieces, shop) as both from sale";

const TOTAL: &str = "
select s.shop, p.city, count(*) as sales, sum(s.amount) as amount, max(s.day) as latest
from sold as s left join place as p on p.shop = s.shop
group by s.shop, p.city";

/// A row that passes every rule.
const ROW: &str = "{shop: A, day: 2020-01-02, amount: 1.5, pieces: 3, paid: true}";

fn shop() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("sql/sold.sql", SOLD);
    project.file("sql/total.sql", TOTAL);
    std::fs::create_dir(project.path("tmp")).unwrap();
    project
}

/// A shop with these cases of `sold`, in which `ROW` is replaced by [`ROW`].
fn with_cases(cases: &str) -> Project {
    let project = shop();
    project.file("sql/sold.test.yaml", cases.replace("ROW", ROW));
    project
}

trait Tested {
    fn test(&self, more: &[&str]) -> Ran;
}

impl Tested for Project {
    /// `weir test` on the task; no files may be left afterwards.
    fn test(&self, more: &[&str]) -> Ran {
        let arguments: Vec<_> = ["test", "--task-config", "task.yaml"].iter().chain(more).copied().collect();
        let ran = Ran::of(self.command(&arguments).env("TMPDIR", self.path("tmp")).output().unwrap());
        assert_eq!(self.left("tmp"), [""; 0]);
        assert!(!self.path(".weir").exists() && !self.path("out").exists(), "a case touched the task's own folders");
        ran
    }
}

/// The output without durations, which differ from run to run.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = match (line.strip_suffix(" ms"), line.rsplit_once(", in ")) {
            (Some(line), _) => line.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end(),
            (None, Some((line, rest))) => {
                out.push_str(line);
                rest.split_once(" s").map_or("", |(_, rest)| rest)
            }
            (None, None) => line,
        };
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[test]
fn cases_ignore_the_gates_archives_and_files_of_the_task() {
    let project = with_cases(
        "a_price_is_for_a_piece:
  description: The amount, shared out.
  given: {sale: [ROW]}
  expect:
    sold: [{price: 0.5, amount: 1.50, day: 2020-01-02, paid: true}]
    sold.rejected: []
a_row_has_all_its_reasons:
  given: {sale: [{day: 2020-01-02, amount: 0.99, pieces: 1}]}
  expect: {sold: [], sold.rejected: [{shop: ~, reasons: missing_shop;too_small}]}
",
    );
    let ran = project.test(&[]);
    assert_eq!(
        without_times(&ran.out),
        "ok      sold.a_price_is_for_a_piece
ok      sold.a_row_has_all_its_reasons

2 cases, all ok; no fixture: total; no case trips: sold.unpaid, sold.known_year
",
        "{}",
        ran.err
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn a_failure_shows_missing_rows_unexpected_rows_and_differences() {
    let project = with_cases(
        "rows_differ:
  given:
    sale:
      - {shop: A, day: 2020-01-02, amount: 1.5, pieces: 3, paid: true}
      - {shop: Zoë, day: 2020-02-01, amount: 10, pieces: 1, paid: true}
      - {shop: \"\", day: 2020-03-01, amount: 20, pieces: 1, paid: true}
  expect:
    sold:
      - {shop: A, day: 2020-02-01, price: 0.50}
      - {shop: Zoë, day: 2020-02-01, price: 10}
      - {shop: nobody, day: ~, price: 7}
",
    );
    let ran = project.test(&[]);
    ran.ended(1, "");
    let expected = "FAILED  sold.rows_differ

FAILED  sold.rows_differ (sql/sold.test.yaml:1)
  sold: 2 rows are missing, 2 rows are not expected
      shop    day         price
    - A       2020-02-01  0.5000000000000000
    + A       2020-01-02  0.5000000000000000
        day: expected 2020-02-01, got 2020-01-02
    - nobody  null        7.0000000000000000
    + \"\"      2020-03-01  20.0000000000000000

1 case, 1 FAILED";
    let out = without_times(&ran.out);
    assert_eq!(out.split("; no fixture").next().unwrap(), expected, "{out}");
    let quiet = project.test(&["--quiet"]);
    assert_eq!(quiet.out.trim(), expected.split("\n\n").nth(1).unwrap());
}

#[test]
fn null_and_the_empty_text_differ_even_in_a_single_column() {
    let project = with_cases(
        "single:
  given: {place: [], sale: [{shop: \"\", day: 2020-01-01, amount: 1, pieces: 1, paid: true}]}
  expect: {sold: [{shop: ~}]}
",
    );
    project.file("sql/sold.sql", format!("{SOLD} where not exists (select 1 from place)"));
    project.test(&[]).ended(1, "shop: expected null, got \"\"");
}

#[test]
fn rows_are_values_and_text_is_a_file() {
    let project = with_cases(
        "rows:
  given: {sale: [{shop: NA, day: 2020-01-01, amount: 1, pieces: 1, paid: true}]}
  expect: {sold: [{shop: NA}]}
text:
  given: {sale: \"paid,shop,day,Amount (SGD),pieces\\ntrue,B,2020-01-01,2,1\\ntrue,NA,2020-01-01,1,1\\n\"}
  expect: {sold: [{shop: B}], sold.rejected: [{shop: ~}]}
unreadable:
  given:
    sale: |
      shop,day,Amount (SGD),pieces,paid
      A,2020-01-01,x,1,ye
      B
  expect:
    sold: []
    sale.rejected: [{_line: 2, reasons: invalid_amount;invalid_paid}, {_line: 3, reasons: too_few_fields}]
read_unchanged:
  given: {sale: \"shop,day,Amount (SGD),pieces,paid\\nA,2020-01-01,01.5,1,true\\n\"}
  expect: {sale: [{shop: A, amount: 1.5}]}
another_header:
  given: {sale: \"shop,day,amount,pieces,paid\\n\"}
  expect_error: 'sale.csv: column `Amount (SGD)` is missing'
",
    );
    project.test(&[]).ended(0, "5 cases, all ok");
}

#[test]
fn an_unreadable_line_fails_the_case_unless_it_is_expected() {
    let project =
        with_cases("unreadable: {given: {sale: \"shop,day,Amount (SGD),pieces,paid\\nB\\n\"}, expect: {sold: []}}\n");
    let ran = project.test(&[]);
    ran.ended(1, "  sale.rejected: 1 row is not expected");
    ran.ended(1, "    + 2      B     too_few_fields");
}

#[test]
fn warnings_are_counted() {
    let project = with_cases(
        "right:
  given: {sale: [ROW, {shop: B, day: 2020-01-01, amount: 1, pieces: 1, paid: false}]}
  expect_warned: {sold: {unpaid: 1}}
none:
  given: {sale: [ROW]}
  expect_warned: {sold: {unpaid: 0}}
wrong:
  given: {sale: [ROW]}
  expect_warned: {sold: {unpaid: 2}}
",
    );
    let ran = project.test(&[]);
    ran.ended(1, "  sold.unpaid: expected 2 rows to fail it, got 0");
    ran.ended(1, "3 cases, 1 FAILED");
}

#[test]
fn a_run_can_be_expected_to_end_with_an_error() {
    let project = with_cases(
        "rule:
  given: {sale: [{shop: B, day: 1999-12-31, amount: 1, pieces: 1}]}
  expect_error: rule `known_year` (fail_unless)
division:
  given: {sale: [{shop: B, day: 2020-01-01, amount: 1, pieces: 0}]}
  expect_error: \"table `sold`: a row cannot be computed\"
other:
  given: {sale: [{shop: B, day: 1999-12-31, amount: 1, pieces: 1}]}
  expect_error: ivide by zero
without:
  given: {sale: [ROW]}
  expect_error: rule `known_year`
unexpected:
  given: {sale: [{shop: B, day: 1999-12-31, amount: 1, pieces: 1}]}
  expect: {sold: []}
",
    );
    let ran = project.test(&["--quiet"]);
    let rule = "table `sold`: rule `known_year` (fail_unless) failed for at least 1 row";
    assert_eq!(
        ran.out,
        format!(
            "
FAILED  sold.other (sql/sold.test.yaml:7)
  expected an error that contains: ivide by zero
  got: {rule}

FAILED  sold.without (sql/sold.test.yaml:10)
  expected an error that contains: rule `known_year`
  the run ended without an error

FAILED  sold.unexpected (sql/sold.test.yaml:13)
  the run ended with an error: {rule}
"
        )
    );
    assert_eq!(ran.code, Some(1), "{}", ran.err);
}

#[test]
fn a_row_that_no_sink_of_the_task_reads_ends_a_case_as_it_ends_a_run() {
    let small = "{shop: A, day: 2020-01-01, amount: 0.5, pieces: 1, paid: true}";
    let zero = "{shop: A, day: 2020-01-01, amount: 1, pieces: 0, paid: true}";
    let project = with_cases(&format!(
        "unrouted: {{given: {{sale: [{small}]}}, expect: {{sold: []}}}}
expected:
  given: {{sale: [{small}, {zero}]}}
  expect: {{sold.rejected: [{{amount: 1, price: ~, reasons: division_by_zero}}, {{amount: 0.5, price: 0.5, reasons: too_small}}]}}
"
    ));
    let ran = project.test(&[]);
    ran.ended(1, "2 cases, 1 FAILED");
    ran.ended(1, "the run ended with an error: table `sold`: a row was rejected, but no sink reads `sold.rejected`");
    let sink = "sinks:\n  bad: {from: sold.rejected, mode: overwrite, files: {path: out/bad, format: csv}}";
    project.task("sinks:", sink);
    project.test(&[]).ended(0, "2 cases, all ok");
}

#[test]
fn a_model_can_be_given_in_place_of_its_inputs() {
    let project = shop();
    project.file(
        "sql/total.test.yaml",
        "alone:
  given:
    sold: [{shop: A, amount: 0.10}, {shop: A, amount: 3.25, day: 2020-01-01}, {amount: 7}]
    place: [{shop: A, city: Rome}]
  expect:
    total:
      - {shop: ~, city: ~, sales: 1, amount: 7, latest: ~}
      - {shop: A, city: Rome, sales: 2, amount: 3.35, latest: 2020-01-01}
whole:
  given:
    sale: [{shop: A, day: 2020-01-01, amount: 2, pieces: 1}, {day: 2020-01-01, amount: 2, pieces: 1}]
  expect:
    sold: [{shop: A, price: 2}]
    sold.rejected: [{reasons: missing_shop}]
    total: [{shop: A, sales: 1}]
  expect_warned: {sold: {unpaid: 1}}
",
    );
    let ran = project.test(&[]);
    ran.ended(0, "2 cases, all ok");
    assert!(ran.out.contains("; no fixture: sold"), "{}", ran.out);
}

#[test]
fn the_rows_given_for_a_model_have_exactly_its_types() {
    let project = shop();
    let types = [
        ("small", "Int8", "5", "5"),
        ("natural", "UInt64", "18446744073709551615", "18446744073709551615"),
        ("single", "Float32", "0.50", "0.5"),
        ("at", "Timestamp(ns)", "2020-01-02 03:04:05", "2020-01-02T03:04:05"),
        ("zoned", "Timestamp(µs, \"UTC\")", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z"),
        ("kind", "Dictionary(Int32, Utf8)", "a'b", "a'b"),
        ("exact", "Decimal128(20, 3)", "1.5", "1.500"),
        ("an \"odd\", name", "LargeUtf8", "", ""),
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let column =
        |(name, kind, ..): &(&str, &str, &str, &str)| format!("arrow_cast(null, '{kind}') as {}", quoted(name));
    let columns = types.each_ref().map(column).join(", ");
    project.file("sql/sold.sql", format!("select shop, day, amount, paid, {columns} from sale"));
    let with_type = |(i, (name, ..)): (usize, &(&str, &str, &str, &str))| {
        format!("{0}, arrow_typeof({0}) as type_{i}", quoted(name))
    };
    let columns = types.iter().enumerate().map(with_type).collect::<Vec<_>>().join(", ");
    project.file("sql/total.sql", format!("select {columns}, city from sold join place using (shop)"));

    let (mut given, mut expected) = (serde_json::json!({"shop": "A"}), serde_json::json!({}));
    for (i, (name, kind, text, written)) in types.into_iter().enumerate() {
        given[name] = text.into();
        expected[name] = written.into();
        expected[format!("type_{i}")] = kind.into();
    }
    let case = serde_json::json!({
        "types": {"given": {"sold": [given], "place": [{"shop": "A"}]}, "expect": {"total": [expected]}}
    });
    project.file("sql/total.test.yaml", case.to_string());
    project.test(&[]).ended(0, "1 case, all ok");

    project.file("sql/total.test.yaml", "types: {given: {sold: [{small: 128}]}, expect: {total: []}}\n");
    project.test(&[]).ended(2, "sql/total.test.yaml:1:32: `sold.small`: `128` is not a Int8");
}

#[test]
fn parameters_of_a_case_override_all_others() {
    let project = with_cases(
        "least_of_the_task: {given: {sale: [ROW]}, expect: {sold.rejected: []}}
least_of_the_case: {params: {least: 2}, given: {sale: [ROW]}, expect: {sold.rejected: [{reasons: too_small}]}}
",
    );
    project.test(&[]).ended(0, "2 cases, all ok");
    for more in [&["--env", "strict"][..], &["--param", "least=50"]] {
        let ran = project.test(more);
        ran.ended(1, "FAILED  sold.least_of_the_task");
        ran.ended(1, "ok      sold.least_of_the_case");
    }
}

#[test]
fn cases_are_selected_by_a_part_of_their_names() {
    let project = with_cases("first: {expect: {sold: []}}\nsecond: {expect: {sold: []}}\n");
    project.file("sql/total.test.yaml", "first: {expect: {total: []}}\n");
    let cases = |names: &[&str]| {
        let ran = project.test(names);
        ran.ended(0, "all ok");
        let lines = without_times(&ran.out);
        let lines = lines.lines().filter_map(|line| line.strip_prefix("ok      ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(cases(&[]), ["sold.first", "sold.second", "total.first"]);
    assert_eq!(cases(&["first"]), ["sold.first", "total.first"]);
    assert_eq!(cases(&["sold"]), ["sold.first", "sold.second"]);
    assert_eq!(cases(&["sold.sec", "total"]), ["sold.second", "total.first"]);
    let ran = project.test(&["thrid"]);
    ran.ended(2, "no case has thrid in its name");
    ran.ended(2, "the cases: sold.first, sold.second, total.first");
}

#[test]
fn json_has_an_object_per_case_and_a_summary() {
    let project = with_cases(
        "good: {given: {sale: [ROW]}, expect: {sold: [{shop: A}]}}
bad: {given: {sale: [ROW]}, expect: {sold: [{shop: ~, price: 1}]}, expect_warned: {sold: {unpaid: 3}}}
failed: {given: {sale: [{day: 1999-01-01, pieces: 1}]}, expect: {sold: []}}
",
    );
    let ran = project.test(&["--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let mut lines: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        assert!(line["seconds"].as_f64().unwrap() > 0.0, "{line}");
        line.as_object_mut().unwrap().remove("seconds");
    }
    let case = |name: &str, line: u32, failures: serde_json::Value| {
        let ok = failures.as_array().unwrap().is_empty();
        let place = format!("sql/sold.test.yaml:{line}");
        serde_json::json!({"type": "case", "model": "sold", "case": name, "place": place, "ok": ok, "failures": failures})
    };
    let error = "table `sold`: rule `known_year` (fail_unless) failed for at least 1 row";
    let expected = [
        case("good", 1, serde_json::json!([])),
        case(
            "bad",
            2,
            serde_json::json!([
                {
                    "route": "sold",
                    "missing": [{"shop": null, "price": "1.0000000000000000"}],
                    "unexpected": [{"shop": "A", "price": "0.5000000000000000"}],
                },
                {"warned": "sold.unpaid", "expected": 3, "got": 0},
            ]),
        ),
        case("failed", 3, serde_json::json!([{"error": error, "expected": null}])),
        serde_json::json!({
            "type": "summary",
            "cases": 3,
            "failed": 2,
            "no_fixture": ["total"],
            "untripped": ["sold.missing_shop", "sold.too_small", "sold.unpaid"],
        }),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn junit_has_a_suite_per_model_and_is_written_atomically() {
    let project = with_cases(
        "good: {given: {sale: [ROW]}, expect: {sold: [{shop: A}]}}
bad: {given: {sale: [ROW]}, expect: {sold: [{shop: <B>}]}}
",
    );
    project.file("sql/total.test.yaml", "empty: {expect: {total: []}}\n");
    std::fs::create_dir(project.path("reports")).unwrap();
    project.test(&["--junit", "reports/junit.xml"]).ended(1, "3 cases, 1 FAILED");
    assert_eq!(project.left("reports"), ["junit.xml"]);
    let report = std::fs::read_to_string(project.path("reports/junit.xml")).unwrap();
    for part in [
        "<testsuites name=\"shop\" tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"0\"",
        "<testsuite name=\"sold\" tests=\"2\" skipped=\"0\" errors=\"0\" failures=\"1\"",
        "<testcase name=\"good\" classname=\"sold\" time=\"",
        "<failure message=\"sold: 1 row is missing, 1 row is not expected\">sql/sold.test.yaml:2",
        "- &lt;B&gt;",
        "<testsuite name=\"total\" tests=\"1\"",
    ] {
        assert!(report.contains(part), "`{part}` is not in:\n{report}");
    }
    project.test(&["--junit", "nowhere/junit.xml"]).ended(2, "--junit nowhere/junit.xml: No such file or directory");
}

#[test]
fn a_wrong_fixture_is_an_error_at_its_position() {
    for (case, place, message, help) in [
        ("x: {gven: {}}", "1:5", "unknown key `gven`", "did you mean `given`?"),
        ("x: {given: {}}", "1:1", "case `x` expects nothing", "specify `expect`"),
        ("x: {expect: {sold: []}}\nx: {}", "2:1", "duplicate key `x`", "remove one of the two"),
        ("x: {given: {sael: []}}", "1:13", "`sold` does not read `sael` here", "did you mean `sale`?"),
        ("x: {given: {place: []}}", "1:13", "`sold` does not read `place` here", "known here: sale"),
        ("x: {given: {sold: []}}", "1:13", "`sold` is the model under test", "give the tables that it reads"),
        ("x: {given: {sale: 5}}", "1:13", "a list of rows, or the content of a file as text is expected here", ""),
        ("x: {given: {sale: [{shp: A}]}}", "1:21", "`sale` has no column `shp`", "did you mean `shop`?"),
        ("x: {given: {sale: [{day: 2020-02-30}]}}", "1:26", "`sale.day`: `2020-02-30` is not a date", ""),
        ("x: {given: {sale: [{amount: 1.555}]}}", "1:29", "`sale.amount`: `1.555` is not a decimal(12,2)", ""),
        ("x: {params: {leats: 1}}", "1:14", "unknown parameter `leats`", "did you mean `least`?"),
        ("x: {params: {least: much}}", "1:21", "`much` is not a decimal(12,2)", ""),
        ("x: {expect: {slod: []}}", "1:14", "`slod` is not a route of this case", "did you mean `sold`?"),
        (
            "x: {expect: {total: []}}",
            "1:14",
            "`total` is not a route",
            "known here: sold, sold.rejected, sale, sale.rejected",
        ),
        ("x: {expect: {sold: [{pric: 1}]}}", "1:22", "`sold` has no column `pric`", "did you mean `price`?"),
        (
            "x: {expect: {sold: [{both: 1}]}}",
            "1:22",
            "`sold` has no column `both` of a type that a fixture can have",
            "",
        ),
        ("x: {expect: {sold: [{reasons: x}]}}", "1:22", "`sold` has no column `reasons`", ""),
        ("x: {expect: {sold: [{}]}}", "1:21", "an expected row must name at least one column", ""),
        (
            "x: {expect: {sale.rejected: [{_file: a}]}}",
            "1:31",
            "`sale.rejected` has no column `_file`",
            "_line, _raw, reasons",
        ),
        ("x: {expect: {sold: [{paid: yes}]}}", "1:28", "`sold.paid`: `yes` is not a boolean", ""),
        (
            "x:\n  expect:\n    sold:\n      - {shop: A, day: ~}\n      - {shop: A}",
            "5:9",
            "this row names shop, but the first one of `sold` names shop, day",
            "name the same columns in every row of a route",
        ),
        (
            "x: {expect_warned: {sodl: {unpaid: 1}}}",
            "1:21",
            "`sodl` is not judged in this case",
            "did you mean `sold`?",
        ),
        (
            "x: {expect_warned: {sold: {unpaide: 1}}}",
            "1:28",
            "`sold` has no rule `unpaide` under warn_unless",
            "did you mean `unpaid`?",
        ),
        (
            "x: {expect: {sold: []}, expect_error: no}",
            "1:14",
            "`expect` and `expect_error` exclude each other",
            "remove one of the two",
        ),
        ("x: [", "", "", ""),
    ] {
        let ran = with_cases(&format!("{case}\n")).test(&[]);
        assert_eq!(ran.code, Some(2), "{case}\n{}{}", ran.out, ran.err);
        let said = ran.err.contains(message) && ran.err.contains(help);
        assert!(ran.err.contains(&format!("sql/sold.test.yaml:{place}")) && said, "{case}\n{}", ran.err);
    }
    with_cases("# nothing\n").test(&[]).ended(2, "sql/sold.test.yaml");
    with_cases("{}\n").test(&[]).ended(2, "the file has no case");
}

#[test]
fn a_given_model_hides_its_inputs() {
    let project = shop();
    project.file("sql/total.test.yaml", "x: {given: {sold: [], sale: []}, expect: {total: []}}\n");
    let ran = project.test(&[]);
    ran.ended(2, "sql/total.test.yaml:1:23: `total` does not read `sale` here");
    ran.ended(2, "known here: place, sold");
    project.file("sql/total.test.yaml", "x: {given: {sold: text}, expect: {total: []}}\n");
    project.test(&[]).ended(2, "sql/total.test.yaml:1:19: `sold` is a model, which is not read from a file");
    project.file("sql/total.test.yaml", "x: {given: {sold: []}, expect: {sold.rejected: []}}\n");
    project.test(&[]).ended(2, "`sold.rejected` is not a route of this case");
}

#[test]
fn a_task_without_fixtures_or_with_a_stray_fixture_is_an_error() {
    let project = shop();
    let ran = project.test(&[]);
    ran.ended(2, "task.yaml: no model has a fixture");
    ran.ended(2, "such as sql/sold.test.yaml");
    project.file("sql/sodl.test.yaml", "x: {expect: {sold: []}}\n");
    project.test(&[]).ended(2, "sql/sodl.test.yaml: sodl.sql does not exist in the same folder");
    project.file("sql/sold.test.yaml", "x: {expect: {sold: []}}\n");
    project.file("sql/sodl.sql", "another task's");
    project.test(&[]).ended(0, "1 case, all ok");
}

#[test]
fn a_wrong_task_is_wrong_usage_and_not_a_failed_case() {
    let project = with_cases("x: {expect: {sold: []}}\n");
    project.file("sql/sold.sql", "select shp from sale");
    project.test(&[]).ended(2, "sql/sold.sql:1:8: column 'shp' not found");
    project.file("sql/sold.sql", SOLD);
    project.task("day >= date '2000-01-01'", "dya >= date '2000-01-01'");
    project.test(&[]).ended(2, "rule `known_year` of `sold`");
}

#[test]
fn a_signal_ends_the_cases_and_leaves_nothing() {
    let cases: String =
        (0..400).map(|i| format!("case_{i}: {{given: {{sale: [ROW]}}, expect: {{sold: [{{shop: A}}]}}}}\n")).collect();
    let project = with_cases(&cases);
    let mut command = project.command(&["test", "--task-config", "task.yaml"]);
    let mut child =
        command.env("TMPDIR", project.path("tmp")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("ok      sold.case_0"), "{line}");
    assert!(!project.left("tmp").is_empty(), "the cases are at work");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    out.read_to_string(&mut line).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.ended(1, "interrupted");
    assert_eq!(project.left("tmp"), [""; 0]);
}

#[test]
fn a_case_can_set_the_moment_of_the_run() {
    let project = Project::people();
    project.file("sql/adult.sql", "select name, age from person where current_date < date '2020-02-01' and $run_started_at = timestamp '2020-01-31 12:00:00'");
    project.file(
        "sql/adult.test.yaml",
        "before:
  run_started_at: 2020-01-31T12:00:00
  given: {person: [{name: Ann, age: 30}]}
  expect: {adult: [{name: Ann, age: 30}]}
later:
  given: {person: [{name: Ann, age: 30}]}
  expect: {adult: []}
",
    );
    project.weir(&["test", "--task-config", "task.yaml"]).ended(0, "2 cases, all ok");
    project.file("sql/adult.test.yaml", "wrong:\n  run_started_at: soon\n  expect: {adult: []}\n");
    project
        .weir(&["test", "--task-config", "task.yaml"])
        .ended(2, "sql/adult.test.yaml:2:19: `soon` is not a timestamp");
}
