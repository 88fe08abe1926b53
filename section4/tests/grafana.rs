//! Grafana's queries: every query of the dashboard, with its macros expanded as by Grafana, on a real server.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use weir_postgres_testing::{Cluster, program};

const TABLE: &str = "
    create table covid (
        country text, measurement_date date, num_cases bigint, num_p7d_avg_cases double precision, source text,
        primary key (country, measurement_date)
    );
    insert into covid
    select country, date '2020-02-01' + day, day * size - case when day = 5 then 100 else 0 end,
        case when day >= 6 then day end, 'test'
    from (values ('Singapore', 1), ('Korea, South', 10), ('Cote d''Ivoire', 100), ('Elsewhere', 1000)) as of (country, size),
        generate_series(0, 150) as day";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/grafana")
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder().join("dashboards/covid.json")).unwrap()).unwrap()
}

fn panel<'a>(dashboard: &'a Value, title: &str) -> &'a Value {
    dashboard["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == title).unwrap()
}

/// A query as the server receives it, with several countries selected, over the dashboard's default time range.
fn expanded(target: &Value) -> String {
    let mut sql = target["rawSql"].as_str().unwrap().to_owned();
    while let Some(start) = sql.find("$__timeFilter(") {
        let end = start + sql[start..].find(')').unwrap();
        let column = sql[start + "$__timeFilter(".len()..end].to_owned();
        sql.replace_range(start..=end, &format!("{column} BETWEEN '2020-01-01T00:00:00Z' AND '2026-01-01T00:00:00Z'"));
    }
    while let Some(start) = sql.find("$__timeGroup(") {
        let end = start + sql[start..].find(')').unwrap();
        let (column, interval) = sql[start + "$__timeGroup(".len()..end].split_once(',').unwrap();
        assert_eq!(interval.trim(), "'1d'");
        let group = format!("floor(extract(epoch from {column})/86400)*86400");
        sql.replace_range(start..=end, &group);
    }
    let sql = sql.replace("$country", "'Singapore','Korea, South','Cote d''Ivoire'");
    assert!(!sql.contains('$'), "{sql}");
    sql
}

/// A database with the table, and the URL of Grafana's user. There is one such user per server.
fn loaded() -> (String, String) {
    static LOADED: OnceLock<(String, String)> = OnceLock::new();
    LOADED.get_or_init(load).clone()
}

fn load() -> (String, String) {
    let url = Cluster::shared().database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    Cluster::shared().sql(&database, TABLE);
    let made = Command::new(program("psql"))
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=password=it's a secret", "--file"])
        .arg(folder().join("reader.sql"))
        .arg(&url)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let reader = Cluster::shared().url_of("grafana", "it's a secret", &database);
    (database, reader)
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
fn every_query_of_the_dashboard_has_rows() {
    let (_, reader) = loaded();
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 6);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let rows = ask(&reader, &expanded(target)).unwrap();
            assert!(rows.len() >= 3, "{}: {rows:?}", panel["title"]);
            assert!(rows.iter().flatten().all(|value| !value.contains("Elsewhere")), "{}", panel["title"]);
        }
    }
}

#[test]
fn the_panels_show_their_values() {
    let (_, reader) = loaded();
    let dashboard = dashboard();
    let rows =
        |title: &str, target: usize| ask(&reader, &expanded(&panel(&dashboard, title)["targets"][target])).unwrap();
    let of = |rows: &[Vec<String>], country: &str| {
        rows.iter().find(|row| row.iter().any(|value| value.starts_with(country))).unwrap().clone()
    };
    assert_eq!(of(&rows("Total", 0), "Korea, South"), ["Korea, South", "113150"]);
    assert_eq!(of(&rows("Last day", 0), "Cote"), ["Cote d'Ivoire", "2020-06-30", "15000"]);
    assert_eq!(of(&rows("Peak day", 0), "Singapore"), ["Singapore", "2020-06-30", "150"]);
    let age = of(&rows("Data freshness", 0), "Singapore");
    assert!(age[1] == "2020-06-30" && age[2].parse::<u32>().unwrap() > 2_000, "{age:?}");
    // Days start at midnight in UTC; a negative day is shown unchanged, and a missing average as a gap.
    let cases = rows("Daily cases", 0);
    let midnight = |row: &Vec<String>| row[0].split('.').next().unwrap().parse::<u64>().unwrap() % 86_400 == 0;
    assert!(cases.len() == 3 * 151 && cases.iter().all(midnight), "{}", cases.len());
    assert!(cases.iter().any(|row| row[1] == "Singapore: cases" && row[2] == "-95"));
    let averages = rows("Daily cases", 1);
    assert!(averages.iter().any(|row| row[1] == "Singapore: 7-day average" && row[2].is_empty()));
    let latest = rows("Latest days", 0);
    assert_eq!(latest.len(), 100);
    assert_eq!(latest[0], ["2020-06-30", "Cote d'Ivoire", "15000", "150"]);
}

#[test]
fn the_variable_lists_the_countries_of_the_table() {
    let (_, reader) = loaded();
    let dashboard = dashboard();
    let variable = &dashboard["templating"]["list"][0];
    assert!(variable["name"] == "country" && variable["multi"] == true);
    let countries = ask(&reader, variable["query"].as_str().unwrap()).unwrap();
    assert_eq!(countries.concat(), ["Cote d'Ivoire", "Elsewhere", "Korea, South", "Singapore"]);
}

#[test]
fn series_names_match_the_style_overrides() {
    let dashboard = dashboard();
    let overrides = panel(&dashboard, "Daily cases")["fieldConfig"]["overrides"].as_array().unwrap();
    let style = |ends: &str| {
        let of = overrides.iter().find(|of| of["matcher"]["options"] == format!("/{ends}$/")).unwrap();
        of["properties"].as_array().unwrap().iter().find(|p| p["id"] == "custom.drawStyle").unwrap()["value"].clone()
    };
    assert_eq!((style(": cases"), style(": 7-day average")), ("bars".into(), "line".into()));
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
fn grafanas_user_can_only_read_one_table() {
    let (database, reader) = loaded();
    Cluster::shared().sql(&database, "create table other (secret text)");
    for forbidden in [
        "insert into covid (country, measurement_date) values ('x', '2020-01-01')",
        "update covid set num_cases = 0",
        "delete from covid",
        "truncate covid",
        "select * from other",
        "create table mine (id int)",
        "begin read write; delete from covid; commit",
    ] {
        assert!(ask(&reader, forbidden).is_err(), "{forbidden}");
    }
    assert_eq!(ask(&reader, "select count(*) from covid").unwrap(), [["604"]]);
}
