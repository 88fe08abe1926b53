//! What Grafana's panels show, and what its user may do, on a real server. `docker/grafana/check_dashboard.py` runs all
//! queries, also those of the alert rules, on data that the program has loaded.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use weir_postgres_testing::{Cluster, program};

/// What a load leaves. Countries with totals of very different sizes, a negative day, a value of two days, and one
/// country that ends earlier.
const TABLES: &str = "
    create table covid (
        country text, measurement_date date, num_cases bigint, num_p7d_avg_cases double precision, total_cases bigint,
        days_covered integer, source text, primary key (country, measurement_date)
    );
    insert into covid
    select country, date '2020-02-01' + day, day * size - case when day = 5 then 100 else 0 end,
        case when day >= 6 then day end, day * 1000, case when day = 50 then 2 else 1 end, 'test'
    from (values ('Singapore', 1), ('Korea, South', 10), ('Cote d''Ivoire', 100), ('Elsewhere', 1000)) as of (country, size),
        generate_series(0, 150) as day
    where country <> 'Korea, South' or day <= 100;
    create schema weir;
    create table weir.applied (
        run text, sink text, target text, applied_at timestamptz default now(), inserted bigint default 0,
        updated bigint default 0, unchanged bigint default 0, superseded bigint default 0, deleted bigint default 0,
        task text, primary key (run, sink)
    );
    insert into weir.applied (run, sink, target, inserted, applied_at)
    values ('first', 'covid', 'covid', 554, now() - interval '1 day'), ('other', 'a', 'a', 1, now())";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/grafana")
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder().join("dashboards/covid.json")).unwrap()).unwrap()
}

fn panel<'a>(dashboard: &'a Value, title: &str) -> &'a Value {
    dashboard["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == title).unwrap()
}

/// A query as the server receives it, with three of the four countries selected.
fn expanded(sql: &str, chart: &str, period: u32) -> String {
    let sql = sql
        .replace("${country:sqlstring}", "'Singapore','Korea, South','Cote d''Ivoire'")
        .replace("${chart:sqlstring}", chart)
        .replace("$period", &period.to_string());
    assert!(!sql.contains('$'), "{sql}");
    sql
}

/// The query of a panel, over all data.
fn query_of(title: &str, period: u32) -> String {
    let dashboard = dashboard();
    let target = &panel(&dashboard, title)["targets"][0];
    expanded(target["rawSql"].as_str().unwrap(), "'Cote d''Ivoire'", period)
}

const ALL: u32 = 100_000;

/// A server of its own, because Grafana's user exists once per server; and the URL of that user.
fn loaded() -> (Cluster, String, String) {
    let cluster = Cluster::start();
    let url = cluster.database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    cluster.sql(&database, TABLES);
    for file in ["reader.sql", "reader_loads.sql"] {
        let made = Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=password=it's a secret", "--file"])
            .arg(folder().join(file))
            .arg(&url)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let reader = cluster.url_of("grafana", "it's a secret", &database);
    (cluster, database, reader)
}

/// Runs a query as Grafana's user.
fn ask(reader: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let ran = Command::new(program("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--field-separator=\t",
            "--tuples-only",
            "--command",
            sql,
            reader,
        ])
        .output()
        .unwrap();
    if !ran.status.success() {
        return Err(String::from_utf8(ran.stderr).unwrap());
    }
    let text = String::from_utf8(ran.stdout).unwrap();
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[test]
fn the_panels_show_their_values() {
    let (_cluster, _, reader) = loaded();
    let rows = |title: &str, period: u32| ask(&reader, &query_of(title, period)).unwrap();
    let newest = rows("Newest day", ALL);
    assert!(newest[0][0].parse::<u32>().unwrap() > 2_000 && newest[0][1] == "2020-06-30", "{newest:?}");
    let last = rows("Last load", ALL);
    assert!((86_400.0..86_500.0).contains(&last[0][0].parse::<f64>().unwrap()), "{last:?}");
    assert_eq!(rows("Countries chosen", ALL), [["3", "4"]]);
    assert_eq!(rows("Unusual days", ALL), [["3", "2"]]);

    let countries = rows("Countries", ALL);
    let names: Vec<_> = countries.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["Cote d'Ivoire", "Korea, South", "Singapore"], "by their cases");
    let korea = &countries[1];
    assert_eq!(korea[1..6], ["50400", "1000", "2020-05-11", "100", "2020-05-11"]);
    assert_eq!(korea[7..], ["1", "1"]);

    // Days start at midnight in UTC; a value of several days is a bar of its own; a missing average is a gap.
    let chart = rows("${chart}", ALL);
    assert_eq!(chart.len(), 151);
    assert!(chart.iter().all(|row| row[0].parse::<u64>().unwrap() % 86_400_000 == 0), "{chart:?}");
    assert_eq!(chart[5][1..], ["400", "", ""]);
    assert_eq!(chart[50][1..], ["", "5000", "50"]);

    let days = rows("Days", ALL);
    assert_eq!(days.len(), 151 + 151 + 101);
    assert_eq!(days[0], ["2020-06-30", "Cote d'Ivoire", "15000", "150", "150000", "1", "test"]);
    let loads = rows("Loads", ALL);
    assert!(loads.len() == 1 && loads[0][1] == "554" && loads[0][4] == "first", "{loads:?}");
}

#[test]
fn a_period_counts_back_from_the_last_day_with_data() {
    let (_cluster, _, reader) = loaded();
    let days = ask(&reader, &query_of("Days", 28)).unwrap();
    assert_eq!(days.len(), 2 * 28, "a country that ended earlier has none");
    assert_eq!(days.last().unwrap()[0], "2020-06-03");
    assert_eq!(ask(&reader, &query_of("${chart}", 28)).unwrap().len(), 28);
}

#[test]
fn a_chart_is_repeated_for_the_countries_with_the_most_cases() {
    let (cluster, database, reader) = loaded();
    let dashboard = dashboard();
    let variable = |name: &str| {
        let all = dashboard["templating"]["list"].as_array().unwrap();
        all.iter().find(|variable| variable["name"] == name).unwrap()["query"].as_str().unwrap().to_owned()
    };
    let countries = ask(&reader, &variable("country")).unwrap();
    assert_eq!(countries.concat(), ["Cote d'Ivoire", "Elsewhere", "Korea, South", "Singapore"]);
    let charts = ask(&reader, &expanded(&variable("chart"), "", ALL)).unwrap();
    assert_eq!(charts.concat(), ["Cote d'Ivoire", "Korea, South", "Singapore"]);
    assert_eq!(panel(&dashboard, "${chart}")["repeat"], "chart");

    cluster
        .sql(&database, "insert into covid select 'Country ' || n, '2020-06-30', n from generate_series(1, 200) as n");
    let of_all = variable("chart").replace("country in (${country:sqlstring})", "true").replace("$period", "100000");
    assert_eq!(ask(&reader, &of_all).unwrap().len(), 12, "never more");
}

#[test]
fn every_datasource_is_provisioned() {
    fn uids(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(uid) = map.get("datasource").and_then(|of| of["uid"].as_str()) {
                    found.push(uid.to_owned());
                }
                map.values().for_each(|value| uids(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| uids(value, found)),
            _ => {}
        }
    }
    let provisioned = std::fs::read_to_string(folder().join("provisioning/datasources/covid.yaml")).unwrap();
    let mut found = Vec::new();
    uids(&dashboard(), &mut found);
    assert!(found.len() > 10);
    for uid in found {
        let is_known = uid == "-- Grafana --" || provisioned.contains(&format!("uid: {uid}\n"));
        assert!(is_known, "no datasource has the uid {uid}");
    }
}

#[test]
fn grafanas_user_can_only_read_two_tables() {
    let (cluster, database, reader) = loaded();
    cluster.sql(&database, "create table other (secret text)");
    for forbidden in [
        "insert into covid (country, measurement_date) values ('x', '2020-01-01')",
        "update covid set num_cases = 0",
        "delete from covid",
        "truncate covid",
        "select * from other",
        "create table mine (id int)",
        "create table weir.mine (id int)",
        "delete from weir.applied",
        "begin read write; delete from covid; commit",
    ] {
        assert!(ask(&reader, forbidden).is_err(), "{forbidden}");
    }
    assert_eq!(ask(&reader, "select count(*) from covid").unwrap(), [["554"]]);
    assert_eq!(ask(&reader, "select count(*) from weir.applied").unwrap(), [["2"]]);
}
