//! `section4 load` and `schedule`: from a server with cases to the table of a real database.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Ran, Reply, Server, closed_port, command};
use tempfile::TempDir;
use weir_postgres_testing::Cluster;

/// A source with replaceable responses, a database, and the section's own task.
struct Loader<'a> {
    cluster: &'a Cluster,
    folder: TempDir,
    url: String,
    server: Server,
    answer: Arc<Mutex<Reply>>,
}

impl Loader<'_> {
    fn new() -> Loader<'static> {
        Loader::on(Cluster::shared())
    }

    fn on(cluster: &Cluster) -> Loader<'_> {
        let answer = Arc::new(Mutex::new(Reply::ok("")));
        let answered = answer.clone();
        let server = Server::answering(move |_| answered.lock().unwrap().clone());
        Loader { cluster, folder: tempfile::tempdir().unwrap(), url: cluster.database(), server, answer }
    }

    /// Makes the source respond with series of totals from 2020-01-01 on; a day without one is missing.
    fn serve(&self, series: &[(&str, &[Option<u32>])]) {
        let mut text = "location,date,total_cases\n".to_owned();
        for (country, totals) in series {
            for (day, total) in totals.iter().enumerate() {
                let Some(total) = total else { continue };
                text += &format!("{country},2020-01-{:02},{total}\n", day + 1);
            }
        }
        self.answer(Reply::ok(&text));
    }

    fn answer(&self, reply: Reply) {
        *self.answer.lock().unwrap() = reply;
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/covid.yaml");
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let source = format!("{}/cases.csv", self.server.url());
        let mut command = command(&[verb, "--source", "owid", "--base-url", &source, "--retry-for", "0s"]);
        command.args(["--database-url", &self.url, "--task-config", task.to_str().unwrap()]);
        command.args(["--state", &at("state"), "--param", &format!("output={}", at("out"))]).args(more);
        command
    }

    /// Loads the source's response.
    fn load(&self, more: &[&str]) -> Ran {
        Ran::of(self.command("load", more).output().unwrap())
    }

    /// Loads series.
    #[track_caller]
    fn loads(&self, series: &[(&str, &[Option<u32>])], more: &[&str], expected: &str) {
        self.serve(series);
        let ran = self.load(more);
        assert!(ran.code == Some(0) && ran.out.contains(expected), "`{expected}` is not in {ran:#?}");
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(self.url.rsplit('/').next().unwrap(), sql).replace('\n', " ")
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
    loader.loads(&series, &[], "9 inserted, 0 updated, 0 unchanged");
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|8|3");
    assert_eq!(loader.days("Korea, South"), "2|-2|");
    assert_eq!(loader.sql("select distinct source from covid"), "owid");
    let versions = "select country, measurement_date, xmin, ctid from covid order by 1, 2";
    let before = loader.sql(versions);
    loader.loads(&series, &[], "0 inserted, 0 updated, 9 unchanged");
    assert_eq!(loader.sql(versions), before);
}

#[test]
fn revised_data_changes_only_the_rows_that_differ() {
    let loader = Loader::new();
    loader.loads(&[("Singapore", S), ("Japan", S)], &[], "16 inserted");
    let changed = "select string_agg(country || extract(day from measurement_date), ',' order by country, measurement_date) \
                   from covid where xmin::text::bigint > ";
    let newest = loader.sql("select max(xmin::text::bigint) from covid");
    let revised = [Some(0), Some(1), Some(4), Some(3), Some(4), Some(5), Some(6), Some(14), Some(22)];
    loader.loads(&[("Singapore", &revised), ("Japan", S)], &[], "0 inserted, 2 updated, 14 unchanged");
    // The day, the next one, and every average that includes either of them and differs.
    assert_eq!(loader.sql(&format!("{changed}{newest}")), "Singapore3,Singapore4");
    let later = [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(14), Some(29)];
    let newest = loader.sql("select max(xmin::text::bigint) from covid");
    loader.loads(&[("Singapore", &later), ("Japan", S)], &[], "0 inserted, 3 updated, 13 unchanged");
    assert_eq!(loader.sql(&format!("{changed}{newest}")), "Singapore3,Singapore4,Singapore9");
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|15|4");
}

#[test]
fn a_missing_day_is_a_warning_and_not_interpolated() {
    let loader = Loader::new();
    loader.serve(&[("Japan", &[Some(1), Some(2), None, Some(5)])]);
    let ran = loader.load(&[]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    ran.said("Japan: 1 day missing, not interpolated: 2020-01-03");
    assert!(ran.out.contains("after_a_gap"), "{ran:#?}");
    assert_eq!(
        loader.sql("select measurement_date, num_cases, days_covered from covid order by 1"),
        "2020-01-02|1|1 2020-01-04|3|2"
    );
}

#[test]
fn of_many_warnings_some_are_logged_and_the_others_counted() {
    let loader = Loader::new();
    let names: Vec<String> = (0..25).map(|number| format!("Country {number}")).collect();
    let falls: &[Option<u32>] = &[Some(2), Some(1)];
    let series: Vec<(&str, &[Option<u32>])> = names.iter().map(|name| (name.as_str(), falls)).collect();
    loader.serve(&series);
    let ran = loader.load(&[]);
    assert_eq!((ran.code, ran.err.matches("the total decreases").count()), (Some(0), 10), "{ran:#?}");
    ran.said("15 more warnings like these");
}

#[test]
fn from_limits_the_days_but_not_the_averages() {
    let loader = Loader::new();
    loader.loads(&[("Singapore", S)], &["--from", "2020-01-08", "--to", "2020-01-08"], "1 inserted");
    assert_eq!(loader.days("Singapore"), "8|8|2");
    loader.loads(&[("Singapore", S)], &["--from", "2020-01-09"], "1 inserted");
    assert_eq!(loader.days("Singapore"), "8|8|2 9|8|3");
}

#[test]
fn only_the_selected_countries_are_loaded() {
    let loader = Loader::new();
    let series: [(&str, &[Option<u32>]); 3] = [("Singapore", S), ("\"Korea, South\"", S), ("Japan", S)];
    loader.loads(&series, &["--country", "singapore", "Korea South"], "16 inserted");
    assert_eq!(loader.sql("select distinct country from covid order by 1"), "Korea, South Singapore");
    loader.loads(&series, &["--all"], "8 inserted, 0 updated, 16 unchanged");
}

#[test]
fn an_invalid_response_leaves_the_table_unchanged() {
    let loader = Loader::new();
    loader.loads(&[("Singapore", S)], &[], "8 inserted");
    let versions = "select measurement_date, xmin, ctid from covid order by 1";
    let before = loader.sql(versions);
    let twice = "location,date,total_cases\nSingapore,2020-01-01,5\nSingapore,2020-01-01,6\n";
    let half = "location,date,total_cases\nSingapore,2020-01-01,5\nSingapore,2020-01-02,5.5\n";
    for (reply, more, said) in [
        (Reply::new("500 Oops", &[], ""), &[][..], "the server responded with 500"),
        (Reply::new("404 Not Found", &[], ""), &[], "the server responded with 404"),
        (Reply::ok("<!DOCTYPE html><html></html>"), &[], "an HTML page instead of CSV"),
        (Reply::ok(""), &[], "empty"),
        (Reply::ok("location,date\n"), &[], "total_cases"),
        (Reply::ok(twice), &[], "has two values, 5 and 6 cases"),
        (Reply::ok(half), &[], "`5.5` is not an integer number of cases"),
        (Reply::ok("location,date,total_cases\n"), &["--country", "Singapore"], "unknown country"),
        (Reply::ok("location,date,total_cases\n"), &[], ""),
        (Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nlocation,date".to_vec()), &[], ""),
        (Reply::Stall(vec![]), &["--request-timeout", "200ms"], ""),
        (Reply::Forever(vec![b'x'; 1 << 16]), &["--max-bytes", "100000"], ""),
        (Reply::new("302 Found", &["Location: http://other.example/"], ""), &[], "redirects to"),
    ] {
        loader.answer(reply.clone());
        let ran = loader.load(more);
        assert!(matches!(ran.code, Some(1 | 3)), "{reply:?}: {ran:#?}");
        assert!(ran.err.contains("source `measurement`: ") || ran.code == Some(3), "{reply:?}: {ran:#?}");
        ran.said(said);
        assert_eq!(loader.sql(versions), before, "{reply:?}");
    }
    loader.loads(&[("Singapore", S)], &[], "0 inserted, 0 updated, 8 unchanged");
    assert_eq!(loader.sql("select tablename from pg_tables where schemaname = 'weir' order by 1"), "applied");
}

#[test]
fn errors_of_several_countries_are_reported_together() {
    let loader = Loader::new();
    loader.serve(&[("Singapore", S)]);
    let ran = loader.load(&["--country", "Singapore", "Singapoor", "Atlantis"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    ran.said("2 of 3 countries could not be fetched");
    ran.said("`Singapoor`");
    ran.said("`Atlantis`");
}

#[test]
fn an_unreachable_database_is_reported_before_anything_is_fetched() {
    let loader = Loader::new();
    let wrong = loader.url.replace("correct%20horse", "battery");
    assert_ne!(wrong, loader.url);
    let load = |url: &str| {
        let loader = Loader { url: url.to_owned(), ..Loader::new() };
        loader.serve(&[("Singapore", S)]);
        (loader.load(&[]), loader.server.paths().len())
    };
    let (ran, asked) = load(&wrong);
    assert_eq!((ran.code, asked), (Some(1), 0), "{ran:#?}");
    ran.said("password");
    assert!(!ran.err.contains("battery"), "{ran:#?}");
    let (ran, asked) = load(&format!("postgres://ann:battery@127.0.0.1:{}/x?connect_timeout=2", closed_port()));
    assert_eq!((ran.code, asked), (Some(1), 0), "{ran:#?}");
    ran.said("tried");
    assert!(!ran.err.contains("battery"), "{ran:#?}");
}

#[test]
fn the_password_is_not_in_the_ledger() {
    let loader = Loader::new();
    loader.loads(&[("Singapore", S)], &[], "8 inserted");
    let ledger = std::fs::read(loader.folder.path().join("state/ledger.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&ledger).contains("horse"));
}

#[test]
fn the_task_is_valid_and_its_fixtures_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (verb, said) in [("validate", "`covid` is valid"), ("test", "all ok")] {
        let ran = Ran::of(command(&[verb]).current_dir(folder).output().unwrap());
        assert!(ran.code == Some(0) && ran.out.contains(said), "{ran:#?}");
    }
}

#[test]
fn every_column_of_the_task_is_traced_to_its_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ran = Ran::of(command(&["lineage", "--json"]).current_dir(folder).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let tables = ran.out.matches("\"untraced\": [").count();
    assert!(tables > 0 && ran.out.matches("\"untraced\": []").count() == tables, "{}", ran.out);
}

#[test]
fn a_schedule_loads_repeatedly() {
    let loader = Loader::new();
    loader.serve(&[("Singapore", S)]);
    let mut command = loader.command("schedule", &["--country", "Singapore"]);
    let mut schedule = command.env("WEIR_TEST_SCHEDULE", "1 10000").spawn().unwrap();
    let started = Instant::now();
    while loader.sql("select to_regclass('weir.applied')").is_empty()
        || loader.sql("select count(*) < 2 from weir.applied") == "t"
    {
        assert!(started.elapsed() < Duration::from_secs(120), "no load completed");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(Command::new("kill").arg(schedule.id().to_string()).status().unwrap().success());
    assert!(schedule.wait().unwrap().success());
    assert_eq!(loader.days("Singapore"), "2|1| 3|1| 4|1| 5|1| 6|1| 7|1| 8|8|2 9|8|3");
}

/// Series of sixty countries, whose totals are `times` times those of the first data set.
fn world(times: usize) -> String {
    let mut text = "location,date,total_cases\n".to_owned();
    for country in 0..60 {
        for day in 1..=31 {
            text += &format!("Country {country},2020-01-{day:02},{}\n", day * times);
        }
    }
    text
}

impl Loader<'_> {
    /// The factor of all totals relative to the first data set; fails unless all rows exist and agree.
    #[track_caller]
    fn whole(&self) -> usize {
        let found = self.sql("select count(*), min(num_cases), max(num_cases), count(num_p7d_avg_cases) from covid");
        let found: Vec<usize> = found.split('|').map(|value| value.parse().unwrap()).collect();
        assert!(found[0] == 60 * 30 && found[1] == found[2] && found[3] == 60 * 24, "{found:?}");
        found[1]
    }

    /// Starts loads of other totals and interrupts them at any time; the table is unchanged or complete afterwards.
    fn is_whole_after(&self, disturbances: usize, disturb: impl Fn(&mut std::process::Child, Duration)) {
        let mut random = 20_261_121_u64;
        self.answer(Reply::ok(&world(1)));
        assert_eq!(self.load(&[]).code, Some(0));
        let started = Instant::now();
        self.answer(Reply::ok(&world(2)));
        assert_eq!(self.load(&[]).code, Some(0));
        let takes = started.elapsed();
        let mut untouched = 0;
        for times in 3..3 + disturbances {
            let before = self.whole();
            self.answer(Reply::ok(&world(times)));
            let mut load = self.command("load", &[]).spawn().unwrap();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            disturb(&mut load, takes.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64));
            load.wait_with_output().unwrap();
            let after = self.whole();
            assert!((before..=times).contains(&after), "{before}, {after}, {times}");
            untouched += usize::from(after == before);
        }
        assert!(untouched > 0, "no load was interrupted before its end");
        self.answer(Reply::ok(&world(1)));
        let ran = self.load(&[]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(self.whole(), 1);
        assert_eq!(self.sql("select tablename from pg_tables where schemaname = 'weir'"), "applied");
    }
}

#[test]
fn a_loader_killed_at_any_time_leaves_the_table_unchanged_or_complete() {
    Loader::new().is_whole_after(30, |load, moment| {
        std::thread::sleep(moment);
        load.kill().unwrap();
    });
}

#[test]
fn a_server_killed_at_any_time_leaves_the_table_unchanged_or_complete() {
    let cluster = Cluster::start();
    Loader::on(&cluster).is_whole_after(20, |_, moment| {
        std::thread::sleep(moment);
        cluster.kill();
        cluster.launch();
    });
}
