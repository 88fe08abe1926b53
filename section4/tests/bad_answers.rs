//! Responses that do not have their source's format.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Reply, Server, data, section4};

/// Fails unless this body is refused with exactly this message after the URL, and nothing is written.
#[track_caller]
fn refused(source: &str, body: &str, said: &str) {
    let server = Server::replying(vec![Reply::ok(body)]);
    let ran = server.fetch(source, &["--country", "Singapore"]);
    let path = &server.paths()[0];
    ran.failed(1, &format!("{}{path}: {said}", server.url()));
    assert_eq!(server.paths().len(), 1, "permanent errors are not retried");
}

/// The response of covid19api for Singapore with one change.
fn changed(from: &str, to: &str) -> String {
    let body = data("covid19api.singapore.json");
    assert!(body.contains(from));
    body.replacen(from, to, 1)
}

const ALL: [&str; 4] = ["covid19api", "disease.sh", "jhu", "owid"];

#[test]
fn an_html_page_is_reported_with_its_title() {
    let page = "\n<!DOCTYPE html><html><head><TITLE>Sign in\n to \u{1b}[31mWi-Fi</TITLE></head></html>";
    for source in ALL {
        let data = if matches!(source, "jhu" | "owid") { "CSV" } else { "JSON" };
        let said = format!("the response is an HTML page (“Sign in to [31mWi-Fi”) instead of {data}");
        refused(source, page, &said);
    }
}

#[test]
fn an_empty_response_is_reported() {
    for source in ALL {
        let data = if matches!(source, "jhu" | "owid") { "CSV" } else { "JSON" };
        refused(source, " \n", &format!("the response is empty; expected {data}"));
    }
}

#[test]
fn truncated_json_is_reported() {
    for (source, name) in [("covid19api", "covid19api.singapore.json"), ("disease.sh", "disease_sh.singapore.json")] {
        let body = data(name);
        for end in [1, 20, body.trim_end().len() / 2, body.trim_end().len() - 1] {
            refused(source, &body[..end], "the response is truncated: incomplete JSON");
        }
    }
}

#[test]
fn invalid_json_is_reported_with_its_position() {
    refused("covid19api", "[nothing]", "the response is not JSON: expected ident at line 1 column 3");
    let twice = data("covid19api.singapore.json").repeat(2);
    refused("covid19api", &twice, "unexpected text after the JSON: trailing characters at line 8 column 1");
}

#[test]
fn an_object_instead_of_an_array_is_refused() {
    refused("covid19api", "{\"success\":false}", "invalid type: map, expected a sequence");
}

#[test]
fn invalid_cases_are_refused_with_their_position() {
    for (cases, said) in [
        ("104.5", "[1].Cases: `104.5` is not an integer number of cases"),
        ("-104", "[1].Cases: `-104` is a negative number of cases"),
        ("104000000000", "[1].Cases: 104000000000 cases exceed the world's population"),
        ("1e300", "[1].Cases: 1e300 cases exceed the world's population"),
        ("\"104\"", "[1].Cases: invalid type: string \"104\", expected an integer number of cases"),
        ("null", "[1].Cases: invalid type: null, expected an integer number of cases"),
    ] {
        refused("covid19api", &changed("104", cases), said);
    }
}

#[test]
fn invalid_dates_are_refused_with_their_position() {
    let date = "2020-03-02T00:00:00Z";
    for (text, said) in [
        ("2020-02-30T00:00:00Z", "[1].Date: `2020-02-30T00:00:00Z` is not a date (yyyy-mm-ddT00:00:00Z)"),
        ("2020-03-02T12:30:00Z", "[1].Date: `2020-03-02T12:30:00Z` is not a date (yyyy-mm-ddT00:00:00Z)"),
        ("0001-01-01T00:00:00Z", "[1].Date: the date 0001-01-01 is before the first known case"),
    ] {
        refused("covid19api", &changed(date, text), said);
    }
}

#[test]
fn a_missing_field_is_reported() {
    refused("covid19api", &changed("\"Province\":\"\",", ""), "[0]: missing field `Province`");
}

#[test]
fn records_of_another_status_or_country_are_refused() {
    refused("covid19api", &changed("confirmed", "deaths"), "[0]: the status is `deaths`, not `confirmed`");
    let mixed = data("covid19api.singapore.json").replacen("\"Singapore\"", "\"Malaysia\"", 1);
    refused("covid19api", &mixed, "[1]: the country is `Singapore`, but was `Malaysia` before");
}

#[test]
fn a_duplicate_day_with_another_value_is_refused() {
    let body = changed("2020-03-02", "2020-03-01");
    refused("covid19api", &body, "[1]: 2020-03-01 has two values, 100 and 104 cases");
    let body = data("disease_sh.singapore.json").replacen("3/2/20", "3/1/20", 1);
    refused("disease.sh", &body, "timeline.cases: 2020-03-01 has two values, 100 and 104 cases");
    let body = data("jhu.csv") + ",Singapore,1.3,103.8,100,105,110\n";
    refused("jhu", &body, "line 8: 2020-03-02 has two values, 104 and 105 cases");
    let body = data("owid.csv") + "SGP,Asia,Singapore,2020-03-04,111,1\n";
    refused("owid", &body, "line 10: 2020-03-04 has two values, 110 and 111 cases");
}

#[test]
fn duplicate_days_wrong_order_and_decreases_are_warnings() {
    let body = data("covid19api.singapore.json");
    let mut lines: Vec<&str> = body.lines().collect();
    let again = lines[2];
    lines.insert(3, again);
    lines.swap(1, 2);
    let body = lines.join("\n").replacen("\"Cases\":121", "\"Cases\":109", 1);
    let server = Server::replying(vec![Reply::ok(&body)]);
    let ran = server.fetch("covid19api", &["--country", "Singapore"]);
    let totals = [100, 104, 110, 110, 109].iter().zip(1..);
    let expected: Vec<String> = totals.map(|(n, day)| format!("Singapore,2020-03-0{day},{n},covid19api")).collect();
    ran.wrote_with_warnings(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = "warning: Singapore: 1 day out of order, sorted: 2020-03-01\n\
                    warning: Singapore: 1 duplicate day with the same value: 2020-03-02\n\
                    warning: Singapore: the total decreases on 1 day: 2020-03-05 (110 to 109)\n";
    assert_eq!(ran.err, expected);
}

#[test]
fn an_empty_array_is_a_country_without_values() {
    let server = Server::replying(vec![Reply::ok("[]")]);
    let ran = server.fetch("covid19api", &["--country", "Singapore", "--from", "2020-03-01"]);
    ran.failed(1, "covid19api has no values of Singapore from 2020-03-01 on");
}

#[test]
fn days_without_values_are_reported() {
    let server = Server::replying(vec![Reply::data("jhu.csv")]);
    let ran = server.fetch("jhu", &["--country", "Singapore", "--from", "2021-01-01", "--to", "2021-02-01"]);
    ran.failed(1, "jhu has no values of Singapore from 2021-01-01 to 2021-02-01");
}

#[test]
fn an_unknown_country_is_reported_with_the_nearest_names() {
    let server = Server::answering(|path| match path {
        "/countries" => Reply::data("covid19api.countries.json"),
        _ => Reply::new("404 Not Found", &[], "{\"message\":\"Not Found\"}"),
    });
    let ran = server.fetch("covid19api", &["--country", "Singapur"]);
    ran.failed(1, "unknown country `Singapur` in covid19api");
    ran.said("the nearest names: `Singapore`");
    let ran = Server::replying(vec![Reply::data("jhu.csv")]).fetch("jhu", &["--country", "Korea"]);
    ran.failed(1, "unknown country `Korea` in jhu");
    ran.said("the nearest names: `Korea, South`");
    let reply = Reply::new("404 Not Found", &[], &data("disease_sh.unknown.json"));
    for reply in [reply, Reply::data("disease_sh.unknown.json")] {
        let ran = Server::replying(vec![reply]).fetch("disease.sh", &["--country", "Atlantis"]);
        ran.failed(1, "unknown country `Atlantis` in disease.sh");
    }
}

#[test]
fn errors_of_several_countries_are_reported_together() {
    let server = Server::replying(vec![Reply::data("jhu.csv")]);
    let ran = server.fetch("jhu", &["--country", "Atlantis", "Singapore", "Utopia"]);
    ran.failed(1, "2 of 3 countries could not be fetched");
    ran.said("unknown country `Atlantis` in jhu");
    ran.said("unknown country `Utopia` in jhu");
}

#[test]
fn disease_sh_values_are_refused_with_their_position() {
    let body = data("disease_sh.singapore.json");
    let cases = |from: &str, to: &str| body.replacen(from, to, 1);
    refused("disease.sh", &cases("104", "104.5"), "timeline.cases.3/2/20: `104.5` is not an integer number of cases");
    refused("disease.sh", &cases("3/2/20", "2020-03-02"), "timeline.cases: `2020-03-02` is not a date (m/d/yy)");
    refused("disease.sh", &cases("\"country\"", "\"land\""), "missing field `country`");
    refused("disease.sh", "{\"message\":\"Too many requests\"}", "the source responded: Too many requests");
}

#[test]
fn jhu_lines_are_refused_with_their_position() {
    let body = data("jhu.csv");
    let cells = |from: &str, to: &str| body.replacen(from, to, 1);
    refused("jhu", &cells("104", "104.5"), "line 7, 2020-03-02: `104.5` is not an integer number of cases");
    refused("jhu", &cells("104", "-104"), "line 7, 2020-03-02: `-104` is a negative number of cases");
    refused("jhu", &cells("3/2/20", "13/2/20"), "line 1: `13/2/20` is not a date (m/d/yy)");
    refused("jhu", &cells("3/2/20", "Deaths"), "line 1: `Deaths` is not a date (m/d/yy)");
    refused("jhu", &cells(",110\n", "\n"), "line 7: 6 fields instead of 7");
    refused("jhu", &cells("Lat", "Latitude"), "line 1: column `Lat` is missing");
    refused("jhu", &cells("Long", "Lat"), "line 1: duplicate column `Lat`");
    refused("jhu", &cells(",Singapore", ","), "line 7: `Country/Region` is empty");
}

#[test]
fn owid_lines_are_refused_with_their_position() {
    let body = data("owid.csv");
    let cells = |from: &str, to: &str| body.replacen(from, to, 1);
    refused("owid", &cells("104.0", "104.5"), "line 5: `104.5` is not an integer number of cases");
    refused("owid", &cells("104.0", "1e5"), "line 5: `1e5` is not an integer number of cases");
    refused("owid", &cells("2020-03-04", "4/3/20"), "line 7: `4/3/20` is not a date (yyyy-mm-dd)");
    refused("owid", &cells("total_cases", "cases"), "line 1: column `total_cases` is missing");
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let ran = section4(&["fetch", "--source", "covid19api", "--all"]);
    ran.failed(2, "covid19api has no default address");
    section4(&["fetch", "--country", ".."]).failed(2, "`..` is not a valid name of a country");
    let days = ["fetch", "--all", "--from", "2020-03-02", "--to", "2020-03-01"];
    section4(&days).failed(2, "the last day, 2020-03-01, is before the first, 2020-03-02");
    for (url, said) in [
        ("ftp://a.example", "the base URL `ftp://a.example` is neither http nor https"),
        ("a.example", "invalid base URL `a.example`: relative URL without a base"),
        ("https://ann:secret@a.example", "the base URL has a user or a password"),
    ] {
        let ran = section4(&["fetch", "--all", "--base-url", url]);
        ran.failed(2, said);
        assert!(!ran.err.contains("secret"));
    }
}
