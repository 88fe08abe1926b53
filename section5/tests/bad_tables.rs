//! Invalid and degenerate tables: each gives a clear error or a sensible result.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Folder, scores};

const ROW: &str = "vhigh,vhigh,2,2,small,low,unacc";
const HEADER: &str = "buying,maint,doors,persons,lug_boot,safety,class";
const QUICK: &str = "--repeats 1 --folds 2 --permutations 9";

#[test]
fn errors_have_their_position() {
    let folder = Folder::new();
    let long_header = format!("{HEADER},colour");
    let cases = [
        (String::new(), "car.csv: it has no cars"),
        (format!("{HEADER}\n"), "car.csv: it has no cars"),
        (format!("{ROW}\ncheap,low,2,2,small,low,unacc\n"), "line 2, column buying: \"cheap\" is not a valid value"),
        (format!("{ROW}\n").replace("unacc", "Unacc"), "line 1, column class: \"Unacc\" is not a valid value"),
        (format!("{ROW}\n\nlow,low,2,,small,low,unacc\n"), "line 3, column persons: the value is missing"),
        (format!("{ROW}\nlow,low,2,2,small,low\n"), "line 2: the line has 6 values, not 7"),
        (format!("{ROW},red\n"), "line 1: the line has 8 values, not 7"),
        (HEADER.replace("safety,", "") + "\n", "line 1, column safety: the column is missing"),
        (HEADER.replace("safety", "safty") + "\n", "line 1, column safty: unknown column"),
        (HEADER.replace("safety", "class") + "\n", "line 1, column class: duplicate column"),
        (format!("{long_header}\n{ROW},red\n"), "line 1, column colour: unknown column"),
    ];
    for (text, said) in cases {
        folder.write("car.csv", text);
        folder.run("predict --data car.csv --class good").ended(1, said);
    }
    folder.write("car.csv", b"vhigh,vhigh,2,2,small,low,un\xffacc\n");
    folder.run("predict --data car.csv").ended(1, "car.csv, line 1: the line is not valid UTF-8");
    folder.run("evaluate --data nowhere.csv").ended(1, "nowhere.csv: No such file");
    folder.run("train --output m.json --data nowhere.csv").ended(1, "nowhere.csv: No such file");
    folder.run("report --output r.html --data nowhere.csv").ended(1, "nowhere.csv: No such file");
}

#[test]
fn an_error_lists_the_valid_values() {
    let folder = Folder::new();
    folder.write("car.csv", ROW.replace("small", "tiny"));
    folder.run("predict --data car.csv").ended(1, "valid values are small, med, big");
}

#[test]
fn one_row_can_be_used_for_predictions_but_not_evaluated() {
    let folder = Folder::new();
    folder.write("car.csv", ROW);
    let answer = folder.json("predict --data car.csv --class unacc --json");
    assert_eq!((&answer["price"], &answer["probabilities"]["vhigh"]), (&"vhigh".into(), &1.0.into()));
    folder.run(&format!("evaluate --data car.csv {QUICK}")).ended(1, "all cars have the price vhigh");
}

#[test]
fn cars_of_one_price_cannot_be_evaluated() {
    let folder = Folder::new();
    let table = folder.run("generate").out;
    let cheap: String = table.lines().filter(|line| line.starts_with("low,")).map(|line| format!("{line}\n")).collect();
    folder.write("car.csv", cheap);
    for verb in ["evaluate", "train --output m.json", "report --output r.html"] {
        folder.run(&format!("{verb} --data car.csv {QUICK}")).ended(1, "there is nothing to classify");
    }
    assert_eq!(folder.json("predict --data car.csv --class acc --json")["probabilities"]["low"], 1.0);
}

#[test]
fn too_few_cars_of_a_price_for_the_folds_is_an_error() {
    let folder = Folder::new();
    folder.write("car.csv", format!("{ROW}\n{ROW}\nlow,low,2,2,small,low,unacc\n"));
    folder
        .run(&format!("evaluate --data car.csv {QUICK}"))
        .ended(1, "only 1 cars have the price low: too few for 2 folds");
}

#[test]
fn cars_of_one_class_carry_no_information_about_the_price() {
    let folder = Folder::new();
    let table = folder.run("generate").out;
    let bad: String = table.lines().filter(|line| line.ends_with(",unacc")).map(|line| format!("{line}\n")).collect();
    folder.write("car.csv", bad);
    let answer = folder.json("predict --data car.csv --class unacc --json");
    assert_eq!(answer["probabilities"]["med"], 0.25);
    let never_seen = folder.json("predict --data car.csv --class good --json");
    assert_eq!((&never_seen["probabilities"]["med"], &never_seen["matching_rows"]), (&0.25.into(), &0.into()));
}

#[test]
fn a_constant_feature_changes_nothing() {
    let folder = Folder::new();
    let table = folder.run("generate").out;
    let safe: String = table.lines().filter(|line| line.contains(",high,")).map(|line| format!("{line}\n")).collect();
    let constant: Vec<String> =
        safe.lines().filter(|line| line.split(',').nth(5) == Some("high")).map(str::to_owned).collect();
    folder.write("car.csv", constant.join("\n"));
    let evaluation = folder.json(&format!("evaluate --data car.csv --json {QUICK}"));
    let bayes = scores(&evaluation, "bayes", "all")["accuracy_mean"].as_f64().unwrap();
    assert!(bayes > 0.4, "{bayes}");
    let selected = scores(&evaluation, "bayes", "selected")["features"].as_array().unwrap();
    assert!(!selected.contains(&"safety".into()), "{selected:?}");
    folder.run(&format!("report --output r.html --data car.csv {QUICK}")).ended(0, "r.html");
}
