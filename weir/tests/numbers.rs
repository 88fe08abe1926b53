//! Numbers are what PostgreSQL makes of them: random values, computed here and by a real server.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use support::Project;
use weir_postgres_testing::Cluster;

const TASK: &str = r#"
name: numbers
sources:
  number:
    files: {path: "in/*.csv", format: csv}
    columns: {id: bigint, g: integer, n: bigint, a: "decimal(9,2)", b: "decimal(12,4)", w: "decimal(24,0)", x: "decimal(30,10)"}
models:
  result: sql/result.sql
sinks:
  result: {from: result, mode: overwrite, files: {path: out/result, format: csv}}
"#;

/// What is computed of each row: here, and in PostgreSQL where that is written in another way.
const OF_A_ROW: [(&str, &str); 41] = [
    ("a + b", ""),
    ("a - x", ""),
    ("a * b", ""),
    ("a * n", ""),
    ("-a", ""),
    ("a / b", "(a + zeros) / b"),
    ("a / n", "(a + zeros) / n"),
    ("n / b", "(n + zeros) / b"),
    ("x / a", "(x + zeros) / a"),
    ("w / a", "(w + zeros) / a"),
    ("a / w", "(a + zeros) / w"),
    ("a / 7 * (b / 7)", "round((a + zeros) / 7, 16) * round((b + zeros) / 7, 16)"),
    (
        "(1 + a / 100) * (1 + b / 100) * (1 + n / 100.0)",
        "(1 + (a + zeros) / 100) * (1 + (b + zeros) / 100) * (1 + (n + zeros) / 100)",
    ),
    ("a * b * n", ""),
    ("a / b * 100", "round((a + zeros) / b, 16) * 100"),
    ("a / 3", "(a + zeros) / 3"),
    ("1.0 / b", "(1.0 + zeros) / b"),
    ("n / 7.0", "(n + zeros) / 7.0"),
    ("n / 7", ""),
    ("a % b", ""),
    ("x % a", ""),
    ("n % 7", ""),
    ("ceil(a)", ""),
    ("ceil(x)", ""),
    ("floor(a)", ""),
    ("floor(x)", ""),
    ("round(a)", ""),
    ("round(a, 1)", ""),
    ("round(x, 3)", ""),
    ("round(a, -1)", ""),
    ("trunc(x)", ""),
    ("abs(a)", ""),
    ("greatest(a, b)", ""),
    ("least(a, x)", ""),
    ("cast(x as decimal(28,2))", ""),
    ("cast(b as decimal(9,1))", ""),
    ("cast(a as bigint)", ""),
    ("cast(b * 2.5 as bigint)", ""),
    ("cast(cast(n as double) / 2 as bigint)", "cast(cast(n as float8) / 2 as bigint)"),
    ("coalesce(nullif(a, b), 1.5)", ""),
    ("case when a > b then a / b else b / a end", "case when a > b then (a + zeros) / b else (b + zeros) / a end"),
];

/// What is computed of a group.
const OF_A_GROUP: [(&str, &str); 12] = [
    ("sum(a)", ""),
    ("sum(x)", ""),
    ("sum(n)", ""),
    ("avg(a)", "avg(a + zeros)"),
    ("avg(x)", "avg(x + zeros)"),
    ("avg(distinct a)", "avg(distinct a + zeros)"),
    ("avg(a) filter (where b > 0)", "avg(a + zeros) filter (where b > 0)"),
    ("sum(a) / count(*)", "sum(a + zeros) / count(*)"),
    ("sum(a) / sum(b)", "sum(a + zeros) / sum(b)"),
    ("sum(a * (1 - b / 100) * (1 + b / 100))", "sum(round((a + zeros) * (1 - b / 100) * (1 + b / 100), 16))"),
    ("min(x)", ""),
    ("max(a)", ""),
];

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A decimal of at most that many digits, with that many after the point; often few digits, and halves.
    fn decimal(&mut self, digits: u64, scale: usize) -> String {
        let count = 1 + self.below(digits) as usize;
        let mut text: String = (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect();
        if self.below(4) == 0 {
            text.replace_range(count - 1.., "5");
        }
        let text = format!("{text:0>width$}", width = scale + 1);
        let (whole, fraction) = text.split_at(text.len() - scale);
        let sign = if self.below(2) == 0 { "-" } else { "" };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// A decimal that is not zero.
    fn divisor(&mut self, digits: u64, scale: usize) -> String {
        std::iter::repeat_with(|| self.decimal(digits, scale))
            .find(|text| text.contains(|c| matches!(c, '1'..='9')))
            .unwrap()
    }
}

/// The lines of a file of random numbers.
fn lines(rows: usize) -> Vec<String> {
    let mut random = Random(42);
    let mut line = |id: usize| {
        let n = random.below(2_000_000) as i64 - 1_000_000;
        let n = if n == 0 { 1 } else { n };
        let (a, b) = (random.divisor(9, 2), random.divisor(12, 4));
        let (w, x) = (random.divisor(24, 0), random.decimal(30, 10));
        format!("{id},{},{n},{a},{b},{w},{x}", id % 7)
    };
    (0..rows).map(&mut line).collect()
}

/// Compares what a model returns with what the server does; both are sorted by their first column.
fn compare(kind: &str, expressions: &[(&str, &str)], key: &str, group: &str) {
    let lines = lines(700);
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("in/a.csv", format!("id,g,n,a,b,w,x\n{}\n", lines.join("\n")));
    let columns = expressions.iter().enumerate();
    let selected = columns.clone().fold(String::new(), |mut sql, (i, (here, _))| {
        write!(sql, ", {here} as c{i}").unwrap();
        sql
    });
    project.file("sql/result.sql", format!("select {key}{selected} from number {group} order by 1"));
    project.run(&["--quiet"]).ended(0, "");
    let mut rows: Vec<Vec<String>> =
        project.rows("out/result")[1..].iter().map(|row| row.split(',').map(str::to_owned).collect()).collect();
    rows.sort_by_key(|row| row[0].parse::<usize>().unwrap());

    let database = Cluster::shared().database();
    let database = database.rsplit('/').next().unwrap();
    let values: Vec<_> = lines.iter().map(|line| format!("({line})")).collect();
    let server = columns.fold(String::new(), |mut sql, (i, (here, there))| {
        // The server's value, with as many digits after the point as there are here.
        let scale = rows[0][i + 1].split_once('.').map_or(0, |(_, digits)| digits.len());
        let there =
            if there.is_empty() { here } else { there }.replace("zeros", "0.0000000000000000000000000000000000000000");
        write!(sql, ", round(({there})::numeric, {scale})").unwrap();
        sql
    });
    let expected = Cluster::shared().sql(
        database,
        &format!(
            "create table number (id bigint, g integer, n bigint, a numeric(9,2), b numeric(12,4), w numeric(24), x numeric(30,10)); \
             insert into number values {}; select {key}{server} from number {group} order by 1",
            values.join(",")
        ),
    );
    let expected: Vec<Vec<&str>> =
        expected.lines().filter(|line| line.contains('|')).map(|line| line.split('|').collect()).collect();
    assert_eq!(rows.len(), expected.len(), "{kind}");
    for (row, expected) in rows.iter().zip(&expected) {
        for (i, (here, _)) in expressions.iter().enumerate() {
            assert_eq!(row[i + 1], expected[i + 1], "{kind}: {here} of {}", lines[row[0].parse::<usize>().unwrap()]);
        }
    }
}

#[test]
fn of_a_row() {
    compare("of a row", &OF_A_ROW, "id", "");
}

#[test]
fn of_a_group() {
    compare("of a group", &OF_A_GROUP, "g", "group by g");
}

#[test]
fn of_a_window() {
    let windows = OF_A_GROUP
        .iter()
        .filter(|(here, _)| here.starts_with("avg(") && !here.contains("filter") && !here.contains("distinct"));
    let over = "over (partition by g order by id rows between 3 preceding and current row)";
    let texts: Vec<_> = windows.map(|(here, there)| (format!("{here} {over}"), format!("{there} {over}"))).collect();
    let windows: Vec<_> = texts.iter().map(|(here, there)| (here.as_str(), there.as_str())).collect();
    compare("of a window", &windows, "id", "");
}
