//! `section4 mock-api`: its API, and that data passes through it unchanged.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;

use chrono::NaiveDate;
use proptest::prelude::*;
use rustix::process::{Pid, Signal, kill_process};
use section4::fetch::{Client, Settings};
use section4::mock::{Generate, Server, World};
use section4::source::{Countries, Request, Source};
use section4::{Days, What};
use support::{command, section4};

/// A running mock.
struct Mock {
    child: Child,
    /// Its first line of output.
    line: String,
}

impl Mock {
    fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["mock-api", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut child = command(&all).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn of_file(name: &str) -> Self {
        Self::start(&["--data", &format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))])
    }

    fn url(&self) -> &str {
        self.line.trim_end().rsplit(' ').next().unwrap()
    }

    /// Head and body of a response.
    fn get(&self, path: &str, headers: &str) -> (String, String) {
        let address = self.url().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn fetch(&self, arguments: &[&str]) -> support::Ran {
        let mut all = vec!["fetch", "--source", "covid19api", "--base-url", self.url()];
        all.extend(arguments);
        section4(&all)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SINGAPORE: &str = "/country/singapore/status/confirmed";

#[test]
fn a_recorded_response_is_served_unchanged() {
    let mock = Mock::of_file("covid19api.singapore.json");
    assert!(mock.line.starts_with("serving 1 country at http://127.0.0.1:"), "{}", mock.line);
    let (head, body) = mock.get(SINGAPORE, "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, support::data("covid19api.singapore.json").replace('\n', ""));
    assert_eq!(mock.get("/countries", "").1, r#"[{"Country":"Singapore","Slug":"singapore","ISO2":"SG"}]"#);
}

#[test]
fn from_and_to_are_inclusive() {
    let mock = Mock::of_file("covid19api.singapore.json");
    let days = |query: &str| -> Vec<String> {
        let records: Vec<serde_json::Value> =
            serde_json::from_str(&mock.get(&format!("{SINGAPORE}?{query}"), "").1).unwrap();
        records.iter().map(|record| record["Date"].as_str().unwrap()[8..10].to_owned()).collect()
    };
    assert_eq!(days("from=2020-03-02T00:00:00Z&to=2020-03-04T00:00:00Z"), ["02", "03", "04"]);
    assert_eq!(days("from=2020-03-04T23:59:59Z"), ["04", "05"]);
    assert_eq!(days("to=2020-03-01"), ["01"]);
    assert_eq!(days("from=2021-01-01T00:00:00Z"), [""; 0]);
    assert!(mock.get(&format!("{SINGAPORE}?from=soon"), "").0.starts_with("HTTP/1.1 400"));
}

#[test]
fn missing_pages_are_json_errors() {
    let mock = Mock::of_file("covid19api.singapore.json");
    for path in ["/country/atlantis/status/confirmed", "/country/singapore/status/deaths", "/"] {
        let (head, body) = mock.get(path, "");
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
        assert_eq!(body, r#"{"message":"Not Found"}"#);
    }
}

#[test]
fn an_unchanged_response_is_not_sent_again() {
    let mock = Mock::of_file("covid19api.singapore.json");
    let (head, _) = mock.get(SINGAPORE, "");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let (head, body) = mock.get(SINGAPORE, &format!("If-None-Match: {known}\r\n"));
        assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{head}");
        assert_eq!(body, "");
    }
    for (path, known) in [(SINGAPORE, "\"other\""), (&format!("{SINGAPORE}?to=2020-03-01"), etag)] {
        let (head, _) = mock.get(path, &format!("If-None-Match: {known}\r\n"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    }
}

#[test]
fn the_wide_csv_is_served_with_its_provinces() {
    let mock = Mock::of_file("jhu.csv");
    let arguments = ["--country", "Canada", "korea, south", "--from", "2020-03-03"];
    let lines = ["Canada,2020-03-03,22,covid19api", "\"Korea, South\",2020-03-03,5186,covid19api"];
    mock.fetch(&arguments).wrote(&lines);
    let (_, body) = mock.get("/country/canada/status/confirmed?to=2020-03-01", "");
    assert!(
        body.contains(r#""Province":"Ontario","City":"","CityCode":"","Lat":"51.3","Lon":"-85.3","Cases":15"#),
        "{body}"
    );
}

#[test]
fn an_unknown_country_is_reported_through_the_mock() {
    let ran = Mock::of_file("jhu.csv").fetch(&["--country", "Singapour"]);
    ran.failed(1, "unknown country `Singapour` in covid19api");
    ran.said("the nearest names: `Singapore`");
}

#[test]
fn a_file_that_cannot_be_served_is_reported() {
    section4(&["mock-api", "--data", "/nowhere.json"]).failed(1, "/nowhere.json: No such file or directory");
    let path = format!("{}/tests/data/owid.csv", env!("CARGO_MANIFEST_DIR"));
    section4(&["mock-api", "--data", &path]).failed(1, &format!("{path}: line 1: column `Province/State` is missing"));
}

#[test]
fn an_address_in_use_is_reported() {
    let mock = Mock::start(&["--countries", "1", "--days", "1"]);
    let address = mock.url().strip_prefix("http://").unwrap();
    section4(&["mock-api", "--listen", address]).failed(1, &format!("{address}: cannot listen on this address: "));
}

#[test]
fn a_signal_ends_it_cleanly_even_if_a_client_lingers() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut mock = Mock::start(&["--countries", "2", "--days", "2"]);
        let _lingering = TcpStream::connect(mock.url().strip_prefix("http://").unwrap()).unwrap();
        kill_process(Pid::from_child(&mock.child), signal).unwrap();
        assert_eq!(mock.child.wait().unwrap().code(), Some(0));
    }
}

/// A country's totals by day, worked out plainly.
fn sums(country: &section4::mock::Country, days: Days) -> BTreeMap<NaiveDate, u64> {
    let mut sums = BTreeMap::new();
    for (_, day, cases) in country.totals().filter(|(_, day, _)| days.contains(*day)) {
        *sums.entry(day).or_default() += cases;
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_made_up_world_comes_through_the_mock_as_it_is(
        countries in 1_u16..15,
        days in 1_u16..200,
        seed: u64,
        from in proptest::option::of(0_u64..100),
        at_once in 1_usize..6,
    ) {
        let generate = Generate { countries, days, seed };
        let world = World::generate(&generate);
        let first = NaiveDate::from_ymd_opt(2020, 1, 22).unwrap();
        let from = from.map(|from| first + chrono::Days::new(from % u64::from(days)));
        let asked = Days::new(from, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched = runtime.block_on(async {
            let server = Server::listen("127.0.0.1:0".parse().unwrap(), world.clone()).await.unwrap();
            let base = format!("http://{}", server.address());
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let served = server.run_until(async { stopped.await.unwrap() });
            let client = Client::new(Settings::default()).unwrap();
            let request = Request::new(Source::Covid19api, Some(&base), Countries::All).unwrap();
            let request = request.days(asked).at_once(at_once);
            let asked = async {
                let fetched = request.send(&client).await.unwrap();
                drop(client);
                stop.send(()).unwrap();
                fetched
            };
            let (served, fetched) = tokio::join!(served, asked);
            served.unwrap();
            fetched
        });
        prop_assert_eq!(fetched.len(), usize::from(countries));
        let mut names: Vec<_> = world.countries().iter().map(|country| country.name()).collect();
        names.sort_unstable();
        prop_assert_eq!(fetched.iter().map(|series| &*series.country).collect::<Vec<_>>(), names);
        for series in &fetched {
            let country = world.countries().iter().find(|country| country.name() == &*series.country).unwrap();
            let expected = sums(country, asked);
            let falls = expected.values().zip(expected.values().skip(1)).filter(|(one, next)| next < one).count();
            let warned: usize = series.warnings.iter().map(|warning| match &warning.what {
                What::Falls(days) => days.len(),
                other => panic!("{other:?}"),
            }).sum();
            prop_assert_eq!(warned, falls);
            let got: BTreeMap<_, _> = series.measurements.iter().map(|of| (of.date, of.total_cases)).collect();
            prop_assert_eq!(got.len(), series.measurements.len());
            prop_assert_eq!(got, expected);
        }
    }
}
