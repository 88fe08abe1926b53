//! No silent wrong value: a row that cannot be computed is rejected, or the run fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

/// A task over `a,b,c` with one model.
const TASK: &str = r#"
name: sums
sources:
  number:
    files: {path: "in/*.csv", format: csv}
    columns: {a: bigint, b: bigint, c: string}
models:
  result: sql/result.sql
sinks:
  good: {from: result, mode: overwrite, files: {path: out/good, format: csv}}
  bad: {from: result.rejected, mode: overwrite, files: {path: out/bad, format: csv}}
"#;

const MAX: i64 = i64::MAX;

fn project(sql: &str, lines: &str) -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("sql/result.sql", sql);
    project.file("in/a.csv", format!("a,b,c\n{lines}"));
    project
}

/// A project without a sink for rejected rows.
fn without_quarantine(sql: &str, lines: &str) -> Project {
    let project = project(sql, lines);
    project.task("  bad: {from: result.rejected, mode: overwrite, files: {path: out/bad, format: csv}}\n", "");
    project
}

fn good(project: &Project) -> Vec<String> {
    project.rows("out/good")[1..].to_vec()
}

fn bad(project: &Project) -> Vec<String> {
    project.rows("out/bad")[1..].to_vec()
}

#[track_caller]
fn line_with<'a>(ran: &'a Ran, word: &str) -> Vec<&'a str> {
    let line = ran.out.lines().find(|line| line.split_whitespace().next() == Some(word));
    line.unwrap_or_else(|| panic!("no `{word}` in {}", ran.out)).split_whitespace().collect()
}

#[test]
fn a_division_by_zero_and_an_overflow_reject_their_rows_among_many() {
    let mut lines: String = (1..=200_000).map(|i| format!("{i},1,x\n")).collect();
    lines.push_str(&format!("7,0,zero\n{MAX},1,large\n"));
    let project = project("select a + 1 as next, 100 / b as share, c from number", &lines);
    let ran = project.run(&["--threads", "2"]);
    ran.ended(0, "division_by_zero");
    assert_eq!(line_with(&ran, "result")[..4], ["result", "200,002", "200,000", "2"]);
    assert_eq!(line_with(&ran, "overflow")[..3], ["overflow", "reject", "1"]);
    assert_eq!(
        bad(&project),
        [",100,large,overflow: Overflow happened on: 9223372036854775807 + 1", "8,,zero,division_by_zero"],
        "what could be computed is there"
    );
    assert_eq!(good(&project).len(), 200_000);
}

#[test]
fn a_failed_cast_shows_the_value_in_the_rejected_row_and_nowhere_else() {
    let project = project("select a, cast(c as integer) as c from number", "1,1,5\n2,2,secret;12\n");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(good(&project), ["1,5"]);
    assert_eq!(bad(&project), ["2,,\"invalid_cast: Cannot cast string 'secret,12' to value of integer type\""]);
    let history = project.weir(&["runs", "--state", ".weir", "--json"]).out;
    assert!(history.contains("invalid_cast") && !history.contains("secret"), "{history}");
}

#[test]
fn a_row_that_fails_in_a_condition_is_rejected() {
    let project = project("select a, c from number where 10 / b > 1", "1,5,x\n2,0,y\n3,20,z\n");
    project.run(&[]).ended(0, "division_by_zero");
    assert_eq!(good(&project), ["1,x"]);
    assert_eq!(bad(&project), ["2,y,division_by_zero"]);
}

#[test]
fn a_row_that_fails_in_a_view_or_a_union_is_rejected() {
    let project = project("select a, ratio + 1 as more from ratio where a > 0", "1,5,x\n2,0,y\n");
    project.task("models:\n", "models:\n  ratio: sql/ratio.sql\n");
    project.file("sql/ratio.sql", "select a, 10 / b as ratio from number");
    project.run(&[]).ended(0, "division_by_zero");
    assert_eq!((good(&project), bad(&project)), (vec!["1,3".to_owned()], vec!["2,,division_by_zero".to_owned()]));

    project.file(
        "sql/ratio.sql",
        "select a, 10 / b as ratio from number union all select a, a * b as ratio from number order by ratio",
    );
    project.file("in/a.csv", format!("a,b,c\n2,5,x\n3,0,y\n{MAX},2,z\n"));
    project.run(&[]).ended(0, "overflow");
    assert_eq!(good(&project), ["2,11", "2,3", "3,1", "9223372036854775807,6"]);
    let rejected = bad(&project);
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(rejected[0].starts_with("3,,division_by_zero") && rejected[1].contains(",,overflow: "), "{rejected:?}");
}

#[test]
fn an_error_below_a_join_or_an_aggregate_fails_the_run_and_names_the_model() {
    let help = "compute it in a model of its own before that, with a sink `from: MODEL.rejected`";
    for sql in [
        "select sum(10 / b) as total from number",
        "select a, count(*) as n from number group by a having min(10 / b) > 0",
        "select l.a, r.share from number l join (select a, 10 / b as share from number) r on l.a = r.a",
        "select a, row_number() over (order by 10 / b) as n from number",
        "select a from (select a, b from number where 10 / b > 0 limit 10) as few",
    ] {
        let project = project(sql, "1,5,x\n2,0,y\n3,20,z\n");
        let ran = project.run(&[]);
        ran.ended(1, "table `result`: a row cannot be computed");
        ran.ended(1, help);
        assert_eq!(project.left("out"), [""; 0], "{sql}");
        let history = project.weir(&["runs", "--state", ".weir", "--json"]).out;
        assert!(history.contains("a row cannot be computed: division_by_zero"), "{history}");
    }
}

#[test]
fn without_a_sink_for_it_the_first_such_row_ends_the_run() {
    let project = without_quarantine("select a, 10 / b as share from number", "1,5,x\n");
    project.run(&[]).ended(0, "");
    project.file("in/a.csv", "a,b,c\n1,5,x\n2,0,y\n");
    let ran = project.run(&[]);
    ran.ended(1, "table `result`: a row cannot be computed: division by zero");
    ran.ended(1, "add a sink with `from: result.rejected`");
    assert_eq!(good(&project), ["1,2"], "the former content stays");
}

#[test]
fn rows_that_cannot_be_computed_count_against_the_gate() {
    let quality = "quality: {result: {gate: {max_rejected: 40%}}}\nsinks:";
    let project = project("select a, 10 / b as share from number", "1,5,x\n2,0,y\n3,1,z\n");
    project.task("sinks:", quality);
    project.run(&[]).ended(0, "");
    project.file("in/a.csv", "a,b,c\n1,5,x\n2,0,y\n");
    project.run(&[]).ended(3, "result: rejected: 1 of 2 rows (50.0%), more than 40%");
}

#[test]
fn a_model_reads_only_the_rows_that_could_be_computed() {
    let project = project("select sum(share) as total from safe", "1,5,x\n2,0,y\n3,1,z\n");
    project.task("models:\n", "models:\n  safe: sql/safe.sql\n");
    project.file("sql/safe.sql", "select 10 / b as share from number");
    project.task("from: result.rejected", "from: safe.rejected");
    project.run(&[]).ended(0, "division_by_zero");
    assert_eq!(good(&project), ["12"]);
    assert_eq!(bad(&project), [",division_by_zero"]);
}

#[test]
fn a_row_for_which_a_rule_cannot_be_computed_fails_the_rule() {
    let project = project("select a, b from number", &format!("1,5,x\n2,0,y\n{MAX},1,z\n"));
    project.task(
        "sinks:",
        "quality:\n  result:\n    reject_unless: {share: 10 / b > 0}\n    warn_unless: {next: a + 1 > 0}\nsinks:",
    );
    let ran = project.run(&[]);
    ran.ended(0, "share");
    assert_eq!(bad(&project), ["2,0,share"]);
    assert_eq!(line_with(&ran, "next")[..3], ["next", "warn", "1"]);
    project.task("warn_unless: {next: a + 1 > 0}", "fail_unless: {next: a + 1 > 0}");
    project.run(&[]).ended(1, "rule `next` (fail_unless) failed for at least 1 row");
}

#[test]
fn overflowing_sums_are_errors_in_every_position() {
    for sql in [
        "select sum(a) as s from number",
        "select c, sum(a) as s from number group by c",
        "select sum(distinct a) as s from number",
        "select sum(distinct a) as s, count(distinct b) as n from number",
        "select sum(a) over (order by b) as s from number",
        "select sum(a) over (order by b rows between 1 preceding and current row) as s from number",
        "select sum(cast(a as decimal(38, 0)) * 10000000000000000000) as s from number",
    ] {
        let project = without_quarantine(sql, &format!("{MAX},1,x\n{},2,x\n", MAX - 1));
        project.run(&[]).ended(1, "the sum does not fit");
        assert_eq!(project.left("out"), [""; 0], "{sql}");
    }
}

#[test]
fn sums_that_fit_are_right_even_with_overflowing_partial_sums() {
    let lines = format!("{MAX},1,x\n{MAX},2,x\n-{MAX},3,x\n-{MAX},4,x\n5,5,\n,6,\n");
    for (sql, expected) in [
        ("select sum(a) as s from number", vec!["5"]),
        ("select c, sum(a) as s from number group by c", vec![",5", "x,0"]),
        ("select sum(distinct a) as s from number", vec!["5"]),
        ("select sum(a) filter (where b > 5) as s from number", vec!["\"\""]),
        ("select c, sum(a) filter (where b < 2) as s from number group by c", vec![",", "x,9223372036854775807"]),
        (
            "select b, sum(a) over (order by b rows between 1 preceding and 1 following) as s from number where b > 3",
            vec!["4,-9223372036854775802", "5,-9223372036854775802", "6,5"],
        ),
        (
            "select b, sum(distinct a) over (order by b rows between 1 preceding and current row) as s from number",
            vec![
                "1,9223372036854775807",
                "2,9223372036854775807",
                "3,0",
                "4,-9223372036854775807",
                "5,-9223372036854775802",
                "6,5",
            ],
        ),
        ("select sum(cast(b as decimal(5, 2))) as s from number", vec!["21.00"]),
        ("select sum(cast(b as double) / 2) as s from number", vec!["10.5"]),
    ] {
        let project = without_quarantine(sql, &lines);
        project.run(&["--threads", "2", "--quiet"]).ended(0, "");
        assert_eq!(good(&project), expected, "{sql}");
    }
}

#[test]
fn overflowing_arithmetic_is_an_error_in_every_position() {
    let least = i64::MIN;
    for expression in
        ["a + 1", "a - -1", "a * 2", "-(-a - 2)", "cast(a as decimal(38,0)) * 100000000000000000000000000"]
    {
        let project = project(&format!("select b, {expression} as s from number"), &format!("{MAX},1,x\n"));
        project.run(&[]).ended(3, "overflow");
        assert!(!project.path("out/good").exists(), "{expression}");
    }
    for expression in ["-a", "abs(a)"] {
        let project = project(&format!("select b, {expression} as s from number"), &format!("{least},1,x\n-4,2,y\n"));
        project.run(&[]).ended(0, "overflow");
        assert_eq!(good(&project), ["2,4"], "{expression}");
    }
    for sql in [
        "select b from number order by a + b",
        "select count(*) as n from number group by a + b",
        "select l.b from number l join number r on l.b = r.b and l.a + r.b > r.a",
        "select max(a + b) as m from number",
        "select b, count(*) over (partition by a + b) as n from number",
        "select b from number where b in (select a + b from number)",
    ] {
        let project = without_quarantine(sql, &format!("{MAX},1,x\n"));
        project.run(&[]).ended(1, "verflow happened on: 9223372036854775807 + 1");
    }
}

#[test]
fn arithmetic_keeps_its_types_names_and_special_cases() {
    let sql = "select a + b as total, a * 1.5 as m, date '2022-03-31' - date '2022-03-01' as days, \
               cast(date '2022-01-31' + interval '1 month' as date) as next, -a as n from number";
    let project = project(sql, "2,3,x\n");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["total,m,days,next,n", "5,3.0,30,2022-02-28,-2"]);
}

#[test]
fn constants_that_cannot_be_computed_are_errors_of_the_sql_file() {
    for (sql, said) in [
        ("select a + (9223372036854775807 + 1) as s from number", "Overflow happened on: 9223372036854775807 + 1"),
        ("select s + 1 as s from (select a, 9223372036854775807 as s from number)", "Overflow happened on"),
        ("select a from number where a > 1 / 0", "division by zero"),
    ] {
        let project = project(sql, "2,3,x\n");
        for verb in ["validate", "run"] {
            let ran = project.weir(&[verb, "--task-config", "task.yaml"]);
            ran.ended(2, said);
            ran.ended(2, "sql/result.sql");
        }
    }
    let project = project("select case when a > 0 then a else 1 / 0 end as s from number", "2,3,x\n");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(good(&project), ["2"], "a case protects");
    project.task("sinks:", "quality: {result: {warn_unless: {odd: s > 9223372036854775807 * 2}}}\nsinks:");
    project.run(&[]).ended(2, "rule `odd` of `result`");
}

#[test]
fn a_rule_can_reject_numbers_that_are_not_finite() {
    let sql = "select a, a / cast(b as double) as share, cast(c as double) as size from number";
    let project = project(sql, "1,2,0.5\n1,0,1\n0,0,2\n1,1,inf\n1,1,\n1,1,1e308\n");
    project.task("sinks:", "quality: {result: {reject_unless: {number: {finite: [share, size, a]}}}}\nsinks:");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(good(&project), ["1,0.5,0.5", "1,1.0,1e308"]);
    assert_eq!(bad(&project), ["0,NaN,2.0,number", "1,1.0,,number", "1,1.0,inf,number", "1,inf,1.0,number"]);
    project.task("finite: [share, size, a]", "finite: share");
    project.run(&["--quiet"]).ended(1, "column `size` has NaN or an infinity, which no source could read");
    project.file("sql/result.sql", "select a, c as share from number");
    project.run(&[]).ended(2, "`finite` is for numbers, but `share` is string");
}

#[test]
fn a_condition_in_front_of_one_that_cannot_be_computed_holds_it_back() {
    // For a batch in which one row needs the second condition it is evaluated for all rows.
    let project = project("select a, b, c from number", "1,10,x\n2,20,y\n3,10,z\n");
    project.task("sinks:", "quality: {result: {reject_unless: {far: b <> 10 and 100 / (b - 10) > 0}}}\nsinks:");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(
        (good(&project), bad(&project)),
        (vec!["2,20,y".to_owned()], vec!["1,10,x,far".to_owned(), "3,10,z,far".to_owned()])
    );

    let project =
        without_quarantine("select a from number where c <> 'x' and 100 / (b - 10) > 0", "1,10,x\n2,20,y\n3,10,x\n");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(good(&project), ["2"]);
}
