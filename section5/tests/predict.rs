//! Predictions for one car and for a file of cars.
#![allow(clippy::unwrap_used)]

mod support;

use support::Folder;

const ASKED: &str = "predict --maint high --doors 4 --lug-boot big --safety high --class good";

#[test]
fn a_car_without_matching_rows_is_predicted_with_a_warning() {
    let ran = Folder::new().run(ASKED);
    ran.ended(0, "price: low");
    ran.ended(0, "averaged over: persons");
    ran.ended(0, "training rows that match: 0 of 1728");
    ran.ended(0, "warning: this is extrapolation");
    ran.ended(0, "warning: no training row has maint=high and class=good");
    ran.ended(0, "warning: class=good occurs only with these prices: med (23), low (46)");
}

#[test]
fn the_prediction_is_available_as_json() {
    let folder = Folder::new();
    let answer = folder.json(&format!("{ASKED} --json"));
    assert_eq!(answer["price"], "low");
    assert_eq!(answer["matching_rows"], 0);
    assert_eq!(answer["extrapolation"], true);
    assert_eq!(answer["averaged_over"], serde_json::json!(["persons"]));
    assert_eq!(answer["given"]["lug_boot"], "big");
    let probability = |price: &str| answer["probabilities"][price].as_f64().unwrap();
    assert!((0.5..0.75).contains(&probability("low")), "{answer:#}");
    assert!((["vhigh", "high", "med", "low"].map(probability).iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn unknown_features_are_averaged_out() {
    let folder = Folder::new();
    let class_only = folder.json("predict --class vgood --json");
    assert_eq!(class_only["matching_rows"], 65);
    assert_eq!(class_only["warnings"], serde_json::json!([]));
    // Of the cars with class vgood, 26 have the price med and 39 the price low.
    let of = |price: &str| class_only["probabilities"][price].as_f64().unwrap();
    assert!((of("low") - 0.6).abs() < 0.05 && (of("med") - 0.4).abs() < 0.05, "{class_only:#}");
}

#[test]
fn without_the_class_all_prices_are_equally_probable_with_a_warning() {
    let folder = Folder::new();
    for given in ["", "--maint low --persons 4"] {
        let answer = folder.json(&format!("predict --json {given}"));
        assert_eq!(answer["probabilities"]["med"], 0.25);
        // The first one of a tie.
        assert_eq!(answer["price"], "vhigh");
        assert!(answer["warnings"][0].as_str().unwrap().contains("equally probable"), "{answer:#}");
    }
}

#[test]
fn an_invalid_value_of_an_attribute_is_wrong_usage() {
    let folder = Folder::new();
    folder.run("predict --maint cheap").ended(2, "[possible values: vhigh, high, med, low]");
    folder.run("predict --doors 5").ended(2, "[possible values: 2, 3, 4, 5more]");
    folder.run("predict --price low").ended(2, "unexpected argument '--price'");
    folder.run("predict --input cars.csv").ended(2, "--output <FILE>");
    folder.run("predict --input cars.csv --output o.csv --class good").ended(2, "cannot be used with");
}

#[test]
fn a_file_gets_a_price_for_each_car_and_a_file_of_rejected_rows() {
    let folder = Folder::new();
    folder.write("cars.csv", "class,maint,doors\ngood,high,4\nbad,high,4\nvgood,,\nacc\n\"go\nod\",low,2\n,low,7\n");
    let ran = folder.run("predict --input cars.csv --output out.csv");
    ran.ended(0, "out.csv: 2 cars, 1 of them without a matching training row");
    ran.ended(0, "warning: cars.csv, line 3, column class: \"bad\" is not a valid value");
    ran.ended(0, "warning: cars.csv, line 5: the line has 1 value, not 3");
    ran.ended(0, "warning: cars.csv, line 8, column doors: \"7\" is not a valid value");
    let out = folder.read("out.csv");
    let lines: Vec<&str> = out.lines().collect();
    let added = "price,probability_vhigh,probability_high,probability_med,probability_low,matching_rows";
    assert_eq!(lines[0], format!("class,maint,doors,{added}"));
    assert!(lines[1].starts_with("good,high,4,low,0.0") && lines[1].ends_with(",0"), "{out}");
    assert!(lines[2].starts_with("vgood,,,low,") && lines[2].ends_with(",65"), "{out}");
    assert_eq!(lines.len(), 3);
    let rejected = folder.read("out.rejected.csv");
    assert!(
        rejected
            .starts_with("line,reason,class,maint,doors\n3,\"class: \"\"bad\"\" is not a valid value\",bad,high,4\n")
    );
    assert_eq!(csv::ReaderBuilder::new().flexible(true).from_reader(rejected.as_bytes()).records().count(), 4);
}

#[test]
fn a_row_of_a_file_is_predicted_like_a_single_car() {
    let folder = Folder::new();
    folder.write("cars.csv", "\u{feff}safety,class\nhigh,acc\n");
    let summary = "out.csv: 1 car, 0 of them without a matching training row";
    folder.run("predict --input cars.csv --output out.csv").ended(0, summary);
    let alone = folder.json("predict --safety high --class acc --json");
    let out = folder.read("out.csv");
    let row: Vec<&str> = out.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[2], alone["price"].as_str().unwrap());
    assert_eq!(row[3], format!("{:.6}", alone["probabilities"]["vhigh"].as_f64().unwrap()));
    assert_eq!(row[7], alone["matching_rows"].to_string());
}

#[test]
fn a_file_without_cars_is_an_error_and_nothing_is_written() {
    let folder = Folder::new();
    let cases: [(&[u8], &str); 6] = [
        (b"", "cars.csv, line 1: the header is missing"),
        (b"class\n", "there are no rows after the header"),
        (b"class,colour\ngood,red\n", "cars.csv, line 1, column colour: unknown column"),
        (b"class,buying\ngood,low\n", "cars.csv, line 1, column buying: unknown column"),
        (b"class,class\ngood,good\n", "cars.csv, line 1, column class: duplicate column"),
        (b"cl\xffass\ngood\n", "cars.csv, line 1: the line is not valid UTF-8"),
    ];
    for (text, said) in cases {
        folder.write("cars.csv", text);
        folder.run("predict --input cars.csv --output out.csv").ended(1, said);
        assert!(!folder.path("out.csv").exists());
    }
    folder.run("predict --input nowhere.csv --output out.csv").ended(1, "nowhere.csv: No such file");
    folder.run("predict --input cars.csv --output cars.csv").ended(2, "cars.csv is given for two options");
}

#[test]
fn a_file_with_only_rejected_rows_is_an_error_and_the_reasons_are_written() {
    let folder = Folder::new();
    folder.write("cars.csv", b"class\nbad\n\xff\n");
    folder.run("predict --input cars.csv --output out.csv --rejected bad.csv").ended(1, "all rows were rejected");
    assert!(std::fs::read(folder.path("bad.csv")).unwrap().ends_with(b"3,the line is not valid UTF-8,\xff\n"));
}
