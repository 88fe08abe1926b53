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
    // Seven attributes, associations, comparison, six confusion matrices, groups, two of the model, one prediction.
    assert_eq!(charts.len(), 7 + 1 + 1 + 6 + 1 + 2 + 1);
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
    folder.run(&format!("report --output one.html --threads 1 {QUICK}")).ended(0, "");
    folder.run(&format!("report --output two.html --threads 3 {QUICK}")).ended(0, "");
    assert!(folder.read("one.html") == folder.read("two.html"));
}

#[test]
fn another_car_can_be_predicted() {
    let folder = Folder::new();
    folder.run(&format!("report --output report.html --class vgood {QUICK}")).ended(0, "");
    let html = folder.read("report.html");
    assert!(html.contains("Given: <code>class=vgood</code>") && html.contains("65 of 1,728 training rows"));
    assert!(!html.contains("Limitations of this prediction"));
}
