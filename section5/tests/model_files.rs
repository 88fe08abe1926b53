//! Model files: a loaded model predicts like the saved one, and invalid files are refused.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::Folder;

const QUICK: &str = "--repeats 1 --folds 2 --permutations 9";
const CAR: &str = "--maint med --doors 3 --persons more --safety high --class acc --json";

fn trained(options: &str) -> Folder {
    let folder = Folder::new();
    folder.run(&format!("train --output model.json {QUICK} {options}")).ended(0, "fitted to 1728 cars");
    folder
}

/// The same file with another content and a matching hash.
fn forged(file: &str, change: impl FnOnce(String) -> String) -> String {
    let (head, content) = file.split_once(r#""content":"#).unwrap();
    let content = change(content.trim_end().strip_suffix('}').unwrap().to_owned());
    let hash: String = Sha256::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let old = head.split('"').find(|text| text.len() == 64).unwrap();
    format!("{}\"content\":{content}}}\n", head.replace(old, &hash))
}

#[test]
fn a_file_has_its_format_and_scores() {
    let folder = trained("");
    let file: Value = serde_json::from_str(&folder.read("model.json")).unwrap();
    assert_eq!((&file["format"], &file["version"]), (&"section5 model".into(), &1.into()));
    let content = &file["content"];
    assert_eq!((&content["model"], &content["feature_set"]), (&"bayes".into(), &"all".into()));
    assert_eq!(content["features"], serde_json::json!(["maint", "doors", "persons", "lug_boot", "safety", "class"]));
    assert_eq!(content["data_sha256"].as_str().unwrap(), section5::rules::full_table().sha256());
    assert!(content["scores"]["accuracy_mean"].as_f64().unwrap() > 0.3);
    assert_eq!(content["settings"]["folds"], 2);
}

#[test]
fn a_loaded_model_predicts_like_a_fitted_one() {
    let folder = trained("");
    let loaded = folder.json(&format!("predict --model model.json {CAR}"));
    assert_eq!(loaded, folder.json(&format!("predict {CAR}")));
}

#[test]
fn every_kind_can_be_saved_and_loaded() {
    for options in ["--kind majority", "--kind logistic", "--kind boosting --features selected", "--features selected"]
    {
        let folder = trained(options);
        let answer = folder.json(&format!("predict --model model.json {CAR}"));
        let sum: f64 = answer["probabilities"].as_object().unwrap().values().map(|value| value.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{options}: {answer:#}");
    }
}

#[test]
fn a_missing_folder_is_reported_before_the_work() {
    let folder = Folder::new();
    // With this number of repetitions the work takes a minute.
    folder.run("train --output nowhere/m.json --repeats 50").ended(1, "nowhere/m.json: its folder does not exist");
    folder.run("report --output nowhere/r.html --repeats 50").ended(1, "nowhere/r.html: its folder does not exist");
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    let folder = Folder::new();
    let cases = [
        ("", "truncated"),
        ("{}", "this is not a model file"),
        ("buying,maint\n", "this is not a model file"),
        ("[1, 2]", "this is not a model file"),
    ];
    for (text, said) in cases {
        folder.write("model.json", text);
        folder.run("predict --model model.json").ended(1, said);
    }
    folder.write("model.json", b"\x89PNG\r\n\x1a\n\0\0");
    folder.run("predict --model model.json").ended(1, "model.json: this is not a model file");
    folder.run("predict --model nowhere.json").ended(1, "nowhere.json: No such file");
    folder.run("predict --model model.json --data car.csv").ended(2, "cannot be used with");
}

#[test]
fn a_newer_format_is_refused_even_with_unknown_content() {
    let folder = Folder::new();
    folder.write("model.json", r#"{"format": "section5 model", "version": 2, "novelty": {}}"#);
    let said = "the model has format version 2, but this program supports up to 1";
    folder.run("predict --model model.json").ended(1, said);
}

#[test]
fn a_truncated_or_changed_file_is_refused() {
    let folder = trained("");
    let whole = folder.read("model.json");
    for length in [10, 100, whole.len() / 2, whole.len() - 3] {
        folder.write("model.json", &whole[..length]);
        folder.run("predict --model model.json").ended(1, "the file is truncated");
    }
    let at = whole.find(r#""weights":[["#).unwrap() + 14;
    let digit = if &whole[at..=at] == "5" { "6" } else { "5" };
    folder.write("model.json", format!("{}{digit}{}", &whole[..at], &whole[at + 1..]));
    folder.run("predict --model model.json").ended(1, "the file is damaged: its hash does not match");
}

#[test]
fn invalid_numbers_are_refused_with_a_matching_hash() {
    let folder = trained("");
    let whole = folder.read("model.json");
    let first_weight = |content: &str| {
        let from = content.find(r#""weights":[["#).unwrap() + 12;
        from..from + content[from..].find(',').unwrap()
    };
    for (number, said) in
        [("null", "invalid type: null"), ("1e300", "a weight is out of range"), ("\"NaN\"", "invalid type")]
    {
        let changed = forged(&whole, |mut content| {
            content.replace_range(first_weight(&content), number);
            content
        });
        folder.write("model.json", changed);
        folder.run("predict --model model.json").ended(1, said);
    }
    folder.write("model.json", whole.replace("\"weights\":[[", "\"weights\":[[NaN,"));
    folder.run("predict --model model.json").ended(1, "this is not a model file");
}

#[test]
fn inconsistent_parts_are_refused_with_a_matching_hash() {
    let folder = trained("");
    let whole = folder.read("model.json");
    let cases: [(&str, &str, &str); 6] = [
        (r#""target":"class""#, r#""target":"safety""#, "its inputs are not attributes"),
        (r#""levels":[0,1,2,3]"#, r#""levels":[0,1,2,9]"#, "its levels are not levels of class"),
        (r#""levels":[0,1,2,3]"#, r#""levels":[0,1,2]"#, "the number of its weights does not match its inputs"),
        (r#""prior":[0.25"#, r#""prior":[0.75"#, "its probabilities do not sum to 1"),
        (
            "vhigh,vhigh,2,2,small,low,unacc",
            "vhigh,vhigh,2,2,small,low,acc",
            "its training cars do not match their hash",
        ),
        (r#""model":"bayes""#, r#""model":"logistic""#, "the model is invalid"),
    ];
    for (from, to, said) in cases {
        assert!(whole.contains(from), "{from}");
        folder.write("model.json", forged(&whole, |content| content.replace(from, to)));
        folder.run("predict --model model.json --class acc").ended(1, said);
    }
}

#[test]
fn trees_without_valid_leaves_are_refused() {
    let folder = trained("--kind boosting --features selected");
    let whole = folder.read("model.json");
    for (from, to) in [(r#""left_child":1,"#, r#""left_child":0,"#), (r#""left_child":1,"#, r#""left_child":99,"#)] {
        folder.write("model.json", forged(&whole, |content| content.replacen(from, to, 1)));
        folder.run("predict --model model.json --class acc").ended(1, "one of its trees is broken");
    }
}
