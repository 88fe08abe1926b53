//! `at time zone`: what PostgreSQL gives, and an error where a local time is no moment.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;
use support::warehouse::Warehouse;

const TASK: &str = "name: t
sources:
  t: {files: {path: 'in/*.csv', format: csv}, columns: {id: integer, at: timestamptz, wall: timestamp, zone: string}}
models: {m: m.sql}
sinks:
  rows: {from: m, mode: overwrite, files: {path: out/rows, format: csv}}
  bad: {from: m.rejected, mode: overwrite, publish: always, files: {path: out/bad, format: csv}}
";

fn project() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file(
        "in/a.csv",
        "id,at,wall,zone\n1,2023-01-15T23:30:00Z,2023-01-15T23:30:00,Asia/Singapore\n2,,2024-03-31T02:30:00,Europe/Berlin\n",
    );
    project
}

fn rows(sql: &str) -> Vec<String> {
    let project = project();
    project.file("m.sql", sql);
    project.weir(&["run", "--quiet", "--task-config", "task.yaml"]).ended(0, "");
    project.rows("out/rows")[1..].to_vec()
}

fn wrong(sql: &str, message: &str) {
    let project = project();
    project.file("m.sql", sql);
    project.weir(&["validate", "task.yaml"]).ended(2, message);
}

#[test]
fn a_moment_becomes_a_local_time_and_a_local_time_a_moment() {
    let of_first = |columns: &str| rows(&format!("select {columns} from t where id = 1"));
    assert_eq!(
        of_first("at at time zone 'Asia/Singapore' as wall, cast(at at time zone zone as date) as day"),
        ["2023-01-16T07:30:00,2023-01-16"]
    );
    assert_eq!(of_first("wall at time zone 'Asia/Singapore' as at"), ["2023-01-15T15:30:00Z"]);
    assert_eq!(
        of_first(
            "(wall at time zone 'UTC') at time zone 'Asia/Singapore' as a, wall at time zone interval '-8 hours' as b"
        ),
        ["2023-01-16T07:30:00,2023-01-16T07:30:00Z"]
    );
    // A column that was selected from a moment is a time in UTC.
    let selected = "(select to_timestamp(1673825400) as m from t where id = 1) as x";
    assert_eq!(
        rows(&format!("select (m at time zone 'UTC') at time zone 'Asia/Singapore' as wall from {selected}")),
        ["2023-01-16T07:30:00"]
    );
    // Moments for which the engine has no time zone.
    assert_eq!(
        of_first(
            "timestamptz '2023-01-15 23:30:00+00' at time zone zone as a, \
             cast(wall as timestamp with time zone) at time zone zone as b, \
             date_trunc('hour', to_timestamp(1673825400)) at time zone zone as c, \
             extract(hour from now() at time zone 'Asia/Tokyo') = (extract(hour from now()) + 9) % 24 as d"
        ),
        ["2023-01-16T07:30:00,2023-01-16T07:30:00,2023-01-16T07:00:00,true"]
    );
}

#[test]
fn a_local_time_that_is_no_moment_rejects_its_row() {
    let project = project();
    project.file("m.sql", "select id, wall at time zone zone as at from t");
    project.weir(&["run", "--quiet", "--task-config", "task.yaml"]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,2023-01-15T15:30:00Z"]);
    let reason = "invalid_value: 2024-03-31 02:30:00 does not exist in Europe/Berlin: its clocks are moved past it";
    assert_eq!(project.rows("out/bad")[1..], [format!("2,,{reason}")]);
    // In a rule, too.
    project.file("m.sql", "select id, wall, at from t where id = 1");
    project.task(
        "sinks:",
        "quality: {m: {reject_unless: {late: \"extract(hour from at at time zone 'Asia/Singapore') = 7\"}}}\nsinks:",
    );
    project.weir(&["run", "--quiet", "--task-config", "task.yaml"]).ended(0, "");
    assert_eq!(project.rows("out/rows").len(), 2);
}

#[test]
fn zones_and_types_that_are_not_clear_are_errors_of_the_task() {
    wrong("select at at time zone 'Asia/Singapor' as a from t", "did you mean `Asia/Singapore`?");
    wrong("select at at time zone '+08:00' as a from t", "write interval '8 hours' for 8 hours east");
    wrong("select at at time zone 'CET' as a from t", "write the name of a place, such as 'Europe/Paris'");
    wrong("select at at time zone interval '1 day' as a from t", "must not have months or days");
    wrong("select zone at time zone 'UTC' as a from t", "at time zone takes timestamps, not string");
    wrong("select cast(at as date) at time zone 'UTC' as a from t", "at time zone takes timestamps, not date");
    wrong("select at at time zone 8 as a from t", "a time zone is a name such as 'Asia/Singapore' or an interval");
}

/// Zones whose rules of these years are the same in all versions of the IANA database.
const ZONES: [&str; 14] = [
    "UTC",
    "Asia/Singapore",
    "asia/kathmandu",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Africa/Cairo",
    "Etc/GMT-8",
];

/// Fails if the rows are not the same, in any order.
fn same(expected: &str, found: &[String]) {
    let mut expected: Vec<&str> = expected.lines().collect();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    let different: Vec<_> = expected.iter().zip(&found).filter(|(a, b)| a != b).take(5).collect();
    assert!(different.is_empty(), "{different:?}");
    assert_eq!(expected.len(), found.len());
}

#[test]
fn times_of_many_zones_and_years_are_those_of_postgresql() {
    let warehouse = Warehouse::with(TASK, "");
    let project = &warehouse.project;
    let zones = ZONES.map(|zone| format!("'{zone}'")).join(",");
    // Each quarter of an hour of the day occurs, and days on which clocks are moved.
    warehouse.sql(&format!(
        "create table t as select row_number() over () as id, t at time zone 'UTC' as at, t as wall, zone
         from unnest(array[{zones}]) as zone, (
           select generate_series(timestamp '1971-01-01', '2024-01-01', interval '11 days 05:45')
           union all select generate_series(timestamp '2096-01-01', '2109-01-01', interval '11 days 05:45')
           union all select generate_series(timestamp '2023-03-26', '2023-03-26 23:45', interval '15 minutes')
           union all select generate_series(timestamp '2023-10-29', '2023-10-29 23:45', interval '15 minutes')
           union all select generate_series(timestamp '2153-03-25', '2153-03-25 23:45', interval '15 minutes')
         ) as of_times (t)"
    ));
    let iso = |time: &str| format!("to_char({time}, 'YYYY-MM-DD\"T\"HH24:MI:SS')");
    let given = format!("id || ',' || {}||'Z,' || {} || ',' || zone", iso("at at time zone 'UTC'"), iso("wall"));
    project.file(
        "in/a.csv",
        format!("id,at,wall,zone\n{}\n", warehouse.sql(&format!("select {given} from t order by id"))),
    );
    project.file("m.sql", "select id, zone, at at time zone zone as wall from t");
    project.weir(&["run", "--quiet", "--task-config", "task.yaml"]).ended(0, "");
    let expected = warehouse.sql(&format!("select id || ',' || zone || ',' || {} from t", iso("at at time zone zone")));
    assert!(expected.lines().count() > 20_000, "{}", expected.lines().count());
    same(&expected, &project.rows("out/rows")[1..]);

    project.file("m.sql", "select id, zone, wall at time zone zone as at from t");
    project.weir(&["run", "--quiet", "--task-config", "task.yaml"]).ended(0, "");
    // PostgreSQL takes one moment of a local time that has none or two.
    let expected = warehouse.sql(&format!(
        "select id || ',' || zone || ',' || {}||'Z' from t
         where (wall at time zone zone) at time zone zone = wall and not exists (
           select from generate_series(-18, 18) as other
           where other <> 0 and (wall at time zone zone + other * interval '10 minutes') at time zone zone = wall
         )",
        iso("(wall at time zone zone) at time zone 'UTC'")
    ));
    same(&expected, &project.rows("out/rows")[1..]);
    let rejected = project.rows("out/bad");
    for reason in ["does not exist in", "is twice in"] {
        assert!(rejected.iter().filter(|row| row.contains(reason)).count() > 8, "{reason}");
    }
}
