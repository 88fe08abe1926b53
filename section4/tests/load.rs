//! The task that merges daily cases into PostgreSQL, run by the engine on a real server.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use weir_postgres::testing::Cluster;

/// The section's task in a folder of its own, and a database.
struct Loader {
    folder: TempDir,
    database: String,
}

impl Loader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
        fs::create_dir_all(folder.path().join("sql")).unwrap();
        fs::create_dir_all(folder.path().join("in")).unwrap();
        for file in ["covid.yaml", "sql/daily.sql"] {
            fs::copy(conf.join(file), folder.path().join(file)).unwrap();
        }
        let url = Cluster::shared().database();
        fs::write(folder.path().join("weir.yaml"), format!("connections: {{covid: {{postgres: '{url}'}}}}")).unwrap();
        Self { folder, database: url.rsplit('/').next().unwrap().to_owned() }
    }

    /// Loads series, each of totals from 2020-01-01 on; a day without one is missing.
    fn load(&self, series: &[(&str, &[Option<u32>])], more: &[&str]) -> u8 {
        let mut text = "country,date,total_cases,source\n".to_owned();
        for (country, totals) in series {
            for (day, total) in totals.iter().enumerate() {
                let Some(total) = total else { continue };
                text += &format!("{country},2020-01-{:02},{total},test\n", day + 1);
            }
        }
        fs::write(self.folder.path().join("in/cases.csv"), text).unwrap();
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut arguments = ["weir", "run", "--quiet", "--task-config"].map(str::to_owned).to_vec();
        arguments.extend([at("covid.yaml"), format!("--state={}", at("state"))]);
        arguments.extend([format!("--param=input={}", at("in")), format!("--param=output={}", at("out"))]);
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        weir::Cli::new("weir").main_from(arguments)
    }

    fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(&self.database, sql).replace('\n', " ")
    }

    /// Day, cases and average of a country.
    fn days(&self, country: &str) -> String {
        let columns = "extract(day from measurement_date), num_cases, num_p7d_avg_cases";
        self.sql(&format!("select {columns} from covid where country = '{country}' order by 1"))
    }
}

const S: &[Option<u32>] = &[Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(14), Some(22)];

#[test]
fn any_number_of_loads_leaves_the_same_table_and_rewrites_no_row() {
    let loader = Loader::new();
    let series: [(&str, &[Option<u32>]); 2] = [("Singapore", S), ("\"Korea, South\"", &[Some(9), Some(7)])];
    assert_eq!(loader.load(&series, &[]), 0);
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|8|3");
    assert_eq!(loader.days("Korea, South"), "2|-2|");
    let versions = "select country, measurement_date, xmin, ctid from covid order by 1, 2";
    let before = loader.sql(versions);
    assert_eq!(loader.load(&series, &[]), 0);
    assert_eq!(loader.sql(versions), before);
}

#[test]
fn what_is_revised_changes_just_the_rows_that_are_other_than_before() {
    let loader = Loader::new();
    assert_eq!(loader.load(&[("Singapore", S), ("Japan", S)], &[]), 0);
    let changed = "select string_agg(country || extract(day from measurement_date), ',' order by country, measurement_date) \
                   from covid where xmin::text::bigint > ";
    let newest = loader.sql("select max(xmin::text::bigint) from covid");
    let revised = [Some(0), Some(1), Some(4), Some(3), Some(4), Some(5), Some(6), Some(14), Some(22)];
    assert_eq!(loader.load(&[("Singapore", &revised), ("Japan", S)], &[]), 0);
    // The day, the one after it, and every average that either of them is in and that is another one.
    assert_eq!(loader.sql(&format!("{changed}{newest}")), "Singapore3,Singapore4");
    let later = [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(14), Some(29)];
    let newest = loader.sql("select max(xmin::text::bigint) from covid");
    assert_eq!(loader.load(&[("Singapore", &later), ("Japan", S)], &[]), 0);
    assert_eq!(loader.sql(&format!("{changed}{newest}")), "Singapore3,Singapore4,Singapore9");
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|15|4");
}

#[test]
fn a_missing_day_is_not_made_up() {
    let loader = Loader::new();
    assert_eq!(loader.load(&[("Japan", &[Some(1), Some(2), None, Some(5)])], &[]), 0);
    assert_eq!(
        loader.sql("select measurement_date, num_cases, days_covered from covid order by 1"),
        "2020-01-02|1|1 2020-01-04|3|2"
    );
}

#[test]
fn from_loads_no_earlier_day_and_the_averages_are_those_of_all_days() {
    let loader = Loader::new();
    assert_eq!(loader.load(&[("Singapore", S)], &["--param=from=2020-01-08"]), 0);
    assert_eq!(loader.days("Singapore"), "8|8|2 9|8|3");
}

#[test]
fn a_day_that_comes_twice_with_two_values_leaves_the_table_as_it_was() {
    let loader = Loader::new();
    assert_eq!(loader.load(&[("Singapore", S)], &[]), 0);
    assert_eq!(loader.load(&[("Singapore", S), ("Singapore", &[Some(5), Some(9), Some(10)])], &[]), 1);
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|8|3");
    assert_eq!(loader.sql("select tablename from pg_tables where schemaname = 'weir' order by 1"), "applied");
}

#[test]
fn nothing_to_load_closes_the_gate() {
    let loader = Loader::new();
    assert_eq!(loader.load(&[], &[]), 3);
    assert_eq!(loader.sql("select to_regclass('covid')"), "");
}
