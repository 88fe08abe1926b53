//! The comparison: its output, its reproducibility, and the expected scores.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::process::{Command, Stdio};

use section5::evaluate::Folds;
use section5::rules::full_table;
use serde_json::Value;
use support::{Folder, Ran, scores};

/// Everything except the durations.
fn without_times(mut evaluation: Value) -> Value {
    for model in evaluation["models"].as_array_mut().unwrap() {
        assert!(model["seconds"].as_f64().unwrap() >= 0.0);
        model.as_object_mut().unwrap().remove("seconds");
    }
    evaluation
}

#[test]
fn bayes_nearly_reaches_the_ceiling_and_boosting_is_worse_than_guessing() {
    let folder = Folder::new();
    let evaluation = folder.json("evaluate --json --repeats 1 --permutations 999");
    let accuracy = |model, features| scores(&evaluation, model, features)["accuracy_mean"].as_f64().unwrap();
    let ceiling = evaluation["ceiling"]["accuracy"].as_f64().unwrap();
    assert_eq!(evaluation["ceiling"]["rows"], 619);
    assert_eq!(evaluation["baseline"], 0.25);
    assert!((0.345..=ceiling).contains(&accuracy("bayes", "all")), "{evaluation:#}");
    assert!((0.29..0.34).contains(&accuracy("logistic", "all")), "{evaluation:#}");
    assert!((0.30..0.35).contains(&accuracy("logistic", "selected")), "{evaluation:#}");
    assert!(accuracy("boosting", "all") < 0.22, "{evaluation:#}");
    assert!((0.24..=0.25).contains(&accuracy("majority", "none")), "{evaluation:#}");
    let p = |model, features| scores(&evaluation, model, features)["p_value"].as_f64().unwrap();
    assert_eq!(p("bayes", "all"), 0.001);
    assert!(p("boosting", "all") > 0.9 && p("majority", "none") > 0.05, "{evaluation:#}");
    for model in evaluation["models"].as_array().unwrap() {
        let error = model["accuracy_standard_error"].as_f64().unwrap();
        assert!(error > 0.0 && error < 0.02, "{model:#}");
        assert!(model["log_loss"].as_f64().unwrap() < 1.4, "{model:#}");
        let counts = model["confusion"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
        assert_eq!(counts.map(|count| count.as_u64().unwrap()).sum::<u64>(), 1728);
        assert_eq!(model["prices"].as_array().unwrap().len(), 4);
    }
}

#[test]
fn features_are_selected_from_the_data() {
    let evaluation = Folder::new().json("evaluate --json --repeats 1 --folds 2 --permutations 9");
    let selected = scores(&evaluation, "bayes", "selected");
    assert_eq!(selected["features"], serde_json::json!(["maint", "safety", "class"]));
}

#[test]
fn results_are_bit_identical_on_any_number_of_threads() {
    let folder = Folder::new();
    let evaluate = |threads| {
        let settings = "--repeats 1 --folds 3 --permutations 99 --seed 7";
        without_times(folder.json(&format!("evaluate --json {settings} --threads {threads}")))
    };
    let alone = evaluate(1);
    assert_eq!(alone, evaluate(1));
    assert_eq!(alone, evaluate(4));
}

#[test]
fn the_folds_can_be_written_and_depend_on_the_seed() {
    let folder = Folder::new();
    let folds = |seed| {
        let settings = "--repeats 1 --folds 2 --permutations 9";
        folder.run(&format!("evaluate {settings} --seed {seed} --folds-output folds.csv")).ended(0, "619 of 1728");
        folder.read("folds.csv")
    };
    let of_library = |seed| Folds::new(&full_table(), 2, 1, seed).unwrap().to_csv();
    assert_eq!((folds(1), folds(2)), (of_library(1), of_library(2)));
    assert_ne!(of_library(1), of_library(2));
}

#[test]
fn the_order_of_rows_in_the_file_changes_nothing() {
    let folder = Folder::new();
    let table = folder.run("generate").out;
    folder.write("forward.csv", &table);
    folder.write("backward.csv", table.lines().rev().collect::<Vec<_>>().join("\r\n"));
    let evaluate = |name| {
        let settings = "--repeats 1 --folds 2 --permutations 9";
        without_times(folder.json(&format!("evaluate --json {settings} --data {name}")))
    };
    assert_eq!(evaluate("forward.csv"), evaluate("backward.csv"));
}

#[test]
fn each_car_is_tested_once_per_repetition_in_folds_of_equal_size() {
    let text = Folds::new(&full_table(), 10, 2, 1).unwrap().to_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<[usize; 3]> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2 * 1728);
    assert_eq!(rows.iter().map(|[row, repeat, _]| (row, repeat)).collect::<HashSet<_>>().len(), 2 * 1728);
    for (repeat, fold) in (0..2).flat_map(|repeat| (0..10).map(move |fold| (repeat, fold))) {
        let in_it = || rows.iter().filter(|[_, r, f]| (*r, *f) == (repeat, fold));
        assert!((172..=173).contains(&in_it().count()));
        // The rows of a price are consecutive.
        for price in 0..4 {
            let of_price = in_it().filter(|[row, ..]| row / 432 == price).count();
            assert!((43..=44).contains(&of_price), "{of_price}");
        }
    }
}

#[test]
fn the_table_has_all_models_and_both_limits_in_60_columns() {
    let ran = Folder::new().run("evaluate --repeats 1 --folds 2 --permutations 9");
    for said in
        ["bayes    all", "boosting selected", "guessing", "ceiling", "619 of 1728", "selected: maint, safety, class"]
    {
        ran.ended(0, said);
    }
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 60 && line.trim_end() == *line), "{}", ran.out);
    assert_eq!(lines[2], "                               macro    log              CPU");
    assert_eq!(lines[3], "model    features accuracy, %     F1   loss       p  seconds");
    // The limits are below the means.
    let end_of_number = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        line.char_indices().position(|(at, _)| line[..at].ends_with(|c: char| c.is_ascii_digit())).unwrap() + 2
    };
    assert_eq!((end_of_number("guessing"), end_of_number("ceiling")), (end_of_number("bayes"), end_of_number("bayes")));
}

/// The output of a command in a terminal of this width, both streams, without what was overwritten.
fn in_a_terminal(columns: u16, arguments: &str) -> String {
    let shown = format!("stty rows 24 cols {columns} && exec '{}' {arguments}", env!("CARGO_BIN_EXE_section5"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &shown, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    let ran = script.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn a_terminal_shows_the_folds_and_then_the_models_that_are_done() {
    let arguments = "evaluate --repeats 2 --folds 10 --permutations 999";
    for columns in [40, 60] {
        let shown = in_a_terminal(columns, arguments);
        let progress: Vec<&str> = shown.split(['\r', '\n']).filter(|line| line.contains(" left")).collect();
        assert!(progress.iter().any(|line| line.contains("/140 folds, ")), "{shown:?}");
        assert!(progress.iter().any(|line| line.contains("/7 models, ")), "{shown:?}");
        for line in progress {
            let line = line.rsplit("\x1b[2K").next().unwrap();
            assert!(line.trim_end().chars().count() <= usize::from(columns), "{line:?}");
        }
    }
}

#[test]
fn progress_is_only_for_terminals() {
    let ran = Folder::new().run("evaluate --repeats 1 --folds 2 --permutations 9");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = Folder::new();
    folder.write("cars.csv", "safety\nhigh\nnone\n");
    let closed = || {
        let (_, writer) = std::io::pipe().unwrap();
        Stdio::from(writer)
    };
    let quick = "--repeats 1 --folds 2 --permutations 9";
    let commands = [
        "generate".to_owned(),
        format!("evaluate {quick}"),
        format!("evaluate --json {quick}"),
        format!("train --output model.json --kind majority {quick}"),
        format!("report --output report.html {quick}"),
        "predict --class good".to_owned(),
        "predict --input cars.csv --output prices.csv".to_owned(),
        "predict --help".to_owned(),
    ];
    for arguments in commands {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let ran = Ran::of(folder.command(&arguments).stdout(closed()).stderr(Stdio::piped()).output().unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:#?}");
        assert!(ran.err.lines().all(|line| line.starts_with("warning: ")), "{ran:#?}");
        // `2>&1 | head`
        let both = folder.command(&arguments).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(both.code(), Some(0), "{arguments:?}");
    }
    let failed = folder.command(&["evaluate", "--data", "none.csv"]).stderr(closed()).status().unwrap();
    assert_eq!(failed.code(), Some(1));
}

#[test]
fn wrong_usage_ends_with_code_2() {
    let folder = Folder::new();
    folder.run("evaluate --folds 1").ended(2, "1 is not in 2..=1000");
    folder.run("evaluate --repeats none").ended(2, "invalid value");
    folder.run("evaluate --nonsense").ended(2, "unexpected argument");
    folder
        .run("train --output m.json --kind majority --features all")
        .ended(2, "majority does not support features all");
    folder.run("").ended(2, "Usage");
}
