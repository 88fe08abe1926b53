//! Valid responses of each source, and the output of `section4 fetch`.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Reply, Server, section4};

#[test]
fn covid19api_requests_have_the_slug_and_the_days() {
    let server = Server::replying(vec![Reply::data("covid19api.singapore.json")]);
    let ran = server.fetch("covid19api", &["--country", "Singapore", "--from", "2020-03-02", "--to", "2020-03-03"]);
    // The server sends more than was requested; it is dropped.
    ran.wrote(&["Singapore,2020-03-02,104,covid19api", "Singapore,2020-03-03,110,covid19api"]);
    let path = "/country/singapore/status/confirmed?from=2020-03-02T00%3A00%3A00Z&to=2020-03-03T00%3A00%3A00Z";
    assert_eq!(server.paths(), [path]);
}

#[test]
fn covid19api_provinces_are_summed() {
    let server = Server::replying(vec![Reply::data("covid19api.australia.json")]);
    let lines = ["13", "19", "25"].iter().zip(1..).map(|(n, day)| format!("Australia,2020-03-0{day},{n},covid19api"));
    let lines: Vec<String> = lines.collect();
    server
        .fetch("covid19api", &["--country", "australia"])
        .wrote(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn covid19api_records_may_have_more_fields() {
    let body = support::data("covid19api.singapore.json").replace("{\"Country\"", "{\"ID\":\"1\",\"Country\"");
    let server = Server::replying(vec![Reply::ok(&body)]);
    let ran = server.fetch("covid19api", &["--country", "singapore", "--to", "2020-03-01"]);
    ran.wrote(&["Singapore,2020-03-01,100,covid19api"]);
}

/// A complete API with countries, one of which has no values.
fn covid19api() -> Server {
    Server::answering(|path| match path {
        "/countries" => Reply::data("covid19api.countries.json"),
        "/country/singapore/status/confirmed" => Reply::data("covid19api.singapore.json"),
        "/country/australia/status/confirmed" => Reply::data("covid19api.australia.json"),
        "/country/korea-south/status/confirmed" => Reply::ok("[]"),
        _ => Reply::new("404 Not Found", &[], "{\"message\":\"Not Found\"}"),
    })
}

#[test]
fn all_countries_come_by_name_and_one_without_values_is_a_warning() {
    let ran = covid19api().fetch("covid19api", &["--all"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.err, "warning: Korea (South): the source has no values\n");
    let countries: Vec<_> = ran.out.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(countries, [["Australia"; 3].as_slice(), &["Singapore"; 5]].concat());
}

#[test]
fn named_countries_come_in_the_order_of_their_names_and_once() {
    let arguments = ["--country", "singapore", "australia", "Singapore", "--to", "2020-03-01"];
    let server = covid19api_without_query();
    let lines = ["Singapore,2020-03-01,100,covid19api", "Australia,2020-03-01,13,covid19api"];
    server.fetch("covid19api", &arguments).wrote(&lines);
}

fn covid19api_without_query() -> Server {
    Server::answering(|path| match path.split('?').next().unwrap() {
        "/country/singapore/status/confirmed" => Reply::data("covid19api.singapore.json"),
        _ => Reply::data("covid19api.australia.json"),
    })
}

#[test]
fn a_country_is_found_by_another_name_in_the_listing() {
    let server = Server::answering(|path| match path {
        "/countries" => Reply::data("covid19api.countries.json"),
        "/country/korea-south/status/confirmed" => Reply::data("covid19api.singapore.json"),
        _ => Reply::new("404 Not Found", &[], "{\"message\":\"Not Found\"}"),
    });
    assert_eq!(server.fetch("covid19api", &["--country", "South Korea"]).code, Some(0));
    let tail = "/country/korea-south/status/confirmed";
    assert_eq!(server.paths(), ["/country/south-korea/status/confirmed", "/countries", tail]);
}

#[test]
fn disease_sh_requests_have_the_name() {
    let server = Server::replying(vec![Reply::data("disease_sh.singapore.json")]);
    let lines = ["Singapore,2020-03-01,100,disease.sh", "Singapore,2020-03-02,104,disease.sh"];
    server.fetch("disease.sh", &["--country", "Singapore", "--to", "2020-03-02"]).wrote(&lines);
    server.fetch("disease.sh", &["--country", "Korea, South"]);
    let path = |name: &str| format!("/v3/covid-19/historical/{name}?lastdays=all");
    assert_eq!(server.paths(), [path("Singapore"), path("South%20Korea")]);
}

#[test]
fn disease_sh_has_provinces_among_all_countries() {
    let server = Server::replying(vec![Reply::data("disease_sh.all.json")]);
    let lines = [
        "Australia,2020-03-01,13,disease.sh",
        "Australia,2020-03-02,19,disease.sh",
        "Singapore,2020-03-01,100,disease.sh",
        "Singapore,2020-03-02,104,disease.sh",
    ];
    server.fetch("disease.sh", &["--all"]).wrote(&lines);
    assert_eq!(server.paths(), ["/v3/covid-19/historical?lastdays=all"]);
}

#[test]
fn disease_sh_may_answer_with_a_province() {
    let server = Server::replying(vec![Reply::data("disease_sh.province.json")]);
    let lines = ["China,2020-03-01,66907,disease.sh", "China,2020-03-02,67103,disease.sh"];
    server.fetch("disease.sh", &["--country", "China"]).wrote(&lines);
}

#[test]
fn jhu_names_may_be_quoted_and_provinces_are_summed() {
    let server = Server::replying(vec![Reply::data("jhu.csv")]);
    let arguments = ["--country", "korea south", "Canada", "--from", "2020-03-03"];
    server.fetch("jhu", &arguments).wrote(&["\"Korea, South\",2020-03-03,5186,jhu", "Canada,2020-03-03,22,jhu"]);
    assert_eq!(server.paths(), ["/time_series_covid19_confirmed_global.csv"]);
}

#[test]
fn jhu_columns_are_matched_by_name() {
    let body = "3/2/20,Country/Region,Long,Lat,Province/State,3/1/20\n2,Singapore,0,0,,1\n";
    let server = Server::replying(vec![Reply::ok(&format!("\u{feff}{body}"))]);
    let ran = server.fetch("jhu", &["--all"]);
    ran.wrote_with_warnings(&["Singapore,2020-03-01,1,jhu", "Singapore,2020-03-02,2,jhu"]);
    assert_eq!(ran.err, "warning: Singapore: 1 day out of order, sorted: 2020-03-01\n");
}

#[test]
fn an_empty_cell_of_a_jhu_province_omits_the_day() {
    let body = support::data("jhu.csv").replace("3,4,4", "3,,4");
    let server = Server::replying(vec![Reply::ok(&body)]);
    let ran = server.fetch("jhu", &["--country", "Australia"]);
    ran.wrote_with_warnings(&["Australia,2020-03-01,13,jhu", "Australia,2020-03-03,25,jhu"]);
    ran.said("warning: Australia: 1 day omitted because provinces are missing (Victoria): 2020-03-02");
}

#[test]
fn owid_blanks_are_missing_values_and_aggregates_are_not_countries() {
    let server = Server::replying(vec![Reply::data("owid.csv")]);
    let ran = server.fetch("owid", &["--all"]);
    let singapore = [(1, 100), (2, 104), (4, 110)].map(|(day, n)| format!("Singapore,2020-03-0{day},{n},owid"));
    let lines: Vec<&str> =
        std::iter::once("Australia,2020-03-02,13,owid").chain(singapore.iter().map(|s| &**s)).collect();
    ran.wrote_with_warnings(&lines);
    assert_eq!(ran.err, "warning: Singapore: 1 day missing, not interpolated: 2020-03-03\n");
    server.fetch("owid", &["--country", "World", "--to", "2020-03-01"]).wrote(&["World,2020-03-01,88000,owid"]);
    assert_eq!(server.paths(), ["/owid-covid-data.csv", "/owid-covid-data.csv"]);
}

#[test]
fn a_base_address_may_be_the_file_itself() {
    let server = Server::replying(vec![Reply::data("owid.csv")]);
    let url = format!("{}/mirror/cases.csv", server.url());
    section4(&["fetch", "--source", "owid", "--base-url", &url, "--country", "Australia"])
        .wrote(&["Australia,2020-03-02,13,owid"]);
    assert_eq!(server.paths(), ["/mirror/cases.csv"]);
}

#[test]
fn a_file_is_written_atomically_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.csv");
    std::fs::write(&path, "what was there").unwrap();
    let server = Server::replying(vec![Reply::data("owid.csv"), Reply::ok("<html>")]);
    let arguments = ["--country", "Australia", "--output", path.to_str().unwrap()];
    assert_eq!(server.fetch("owid", &arguments).code, Some(0));
    let written = "country,date,total_cases,source\nAustralia,2020-03-02,13,owid\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    assert_eq!(server.fetch("owid", &arguments).code, Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
