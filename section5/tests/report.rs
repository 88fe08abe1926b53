//! The report: complete, self-contained, reproducible and correct.
#![allow(clippy::unwrap_used)]

mod support;

use support::Folder;

const QUICK: &str = "--repeats 1 --folds 3 --permutations 99";

#[test]
fn the_report_has_all_parts_and_needs_no_other_file() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html {QUICK}")).ended(0, "report.html");
    let html = folder.read("report.html");
    let parts = [
        "Overview of the data",
        "The models compared",
        "Confusion matrices",
        "Parameters of the model",
        "Example prediction",
        "Why 35.8 % is the limit",
        "form 619 groups with equal features",
        "prefers-color-scheme: dark",
        "no training row has maint=high and class=good",
        "0 of 1,728 training rows",
    ];
    for part in parts {
        assert!(html.contains(part), "{part}");
    }
    // Namespaces are names, which are not fetched.
    let without_names = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "//cdn", "<script", "@import", "url(", "src="] {
        assert!(!without_names.contains(foreign), "{foreign}");
    }
}

#[test]
fn charts_are_valid_svg_with_descriptions() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html {QUICK}")).ended(0, "");
    let html = folder.read("report.html");
    let charts: Vec<&str> = html.split("<svg").skip(1).map(|rest| rest.split_once("</svg>").unwrap().0).collect();
    // Seven attributes, associations, comparison, six confusion matrices, groups, prices by class, weights of six
    // attributes, one prediction.
    assert_eq!(charts.len(), 7 + 1 + 1 + 6 + 1 + 1 + 6 + 1);
    for chart in charts {
        let svg = format!("<svg{chart}</svg>");
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        assert!(!parsed.root_element().attribute("aria-label").unwrap().is_empty());
        assert!(parsed.descendants().any(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text"))));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn the_report_is_reproducible() {
    let folder = Folder::new();
    folder.run(&format!("report --output one.html --date 2026-02-28 --threads 1 {QUICK}")).ended(0, "");
    folder.run(&format!("report --output two.html --date 2026-02-28 --threads 3 {QUICK}")).ended(0, "");
    assert!(folder.read("one.html") == folder.read("two.html"));
}

#[test]
fn the_date_is_given_or_that_of_the_build_or_today() {
    let folder = Folder::new();
    let date = |options: &str, epoch: Option<&str>| {
        let arguments = format!("report --output report.html --folds 2 --repeats 1 --permutations 1 {options}");
        let mut command = folder.command(&arguments.split_whitespace().collect::<Vec<_>>());
        command.env_remove("SOURCE_DATE_EPOCH").envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
        support::Ran::of(command.output().unwrap()).ended(0, "report.html");
        let html = folder.read("report.html");
        let (_, rest) = html.split_once("<time datetime=\"").unwrap();
        rest.split_once("</time>").unwrap().0.to_owned()
    };
    assert_eq!(date("--date 2026-02-03", Some("86400")), "2026-02-03\">3 February 2026");
    assert_eq!(date("", Some("1700000000")), "2023-11-14\">14 November 2023");
    let today = || chrono::Utc::now().date_naive().to_string();
    let (before, shown, after) = (today(), date("", None), today());
    assert!((before..=after).contains(&shown[..10].to_owned()), "{shown}");
}

#[test]
fn a_wrong_date_is_wrong_usage() {
    let folder = Folder::new();
    folder
        .run("report --output report.html --date 2026-02-30")
        .ended(2, "invalid value '2026-02-30' for '--date <DAY>'");
    let mut command = folder.command(&["report", "--output", "report.html"]);
    let ran = support::Ran::of(command.env("SOURCE_DATE_EPOCH", "yesterday").output().unwrap());
    ran.ended(2, "SOURCE_DATE_EPOCH is \"yesterday\", which is not a number of seconds since 1970");
    ran.ended(2, "specify the date of the report: --date");
    assert!(!folder.path("report.html").exists());
}

#[test]
fn the_contents_link_to_every_section() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html {QUICK}")).ended(0, "");
    let html = folder.read("report.html");
    let (contents, rest) = html.split_once("<nav").unwrap().1.split_once("</nav>").unwrap();
    let links: Vec<(&str, &str)> = contents
        .split("<li><a href=\"#")
        .skip(1)
        .map(|link| link.split_once("</a>").unwrap().0.split_once("\">").unwrap())
        .collect();
    let sections: Vec<(&str, &str)> = rest
        .split("<section id=\"")
        .skip(1)
        .map(|section| section.split_once("</h2>").unwrap().0.split_once("\">\n<h2>").unwrap())
        .collect();
    assert_eq!(links, sections);
    assert_eq!(sections.len(), rest.matches("<h2").count());
}

#[test]
fn the_diagonal_of_a_matrix_is_outlined() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html {QUICK}")).ended(0, "");
    let html = folder.read("report.html");
    let outlines = |chart: &str| {
        let (_, rest) = html.split_once(&format!("aria-label=\"{chart}\"")).unwrap();
        rest.split_once("</svg>").unwrap().0.matches("<polyline").count()
    };
    assert_eq!(outlines("Confusion matrix of bayes, all features"), 4);
    assert_eq!(outlines("Cramér's V of each pair of attributes"), 7);
    assert_eq!(outlines("Probability of each price, given the class"), 0);
}

#[test]
fn another_car_can_be_predicted() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html --class vgood {QUICK}")).ended(0, "");
    let html = folder.read("report.html");
    assert!(html.contains("Given: <code>class=vgood</code>") && html.contains("65 of 1,728 training rows"));
    assert!(!html.contains("Limitations of this prediction"));
}
