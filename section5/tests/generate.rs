//! The table generated from the rules equals the published one.
#![allow(clippy::unwrap_used)]

mod support;

use section5::rules::{class_of, full_table};
use section5::schema::Attribute;
use section5::table::Table;
use sha2::{Digest, Sha256};
use support::Folder;

/// SHA-256 of `car.data` of the UCI Machine Learning Repository, 51,867 bytes.
const PUBLISHED: &str = "b703a9ac69f11e64ce8c223c0a40de4d2e9d769f7fb20be5f8f2e8a619893d83";

#[test]
fn the_table_is_the_published_file_byte_for_byte() {
    let folder = Folder::new();
    folder.run("generate --output car.data").ended(0, "");
    let text = folder.read("car.data");
    assert_eq!(text.len(), 51_867);
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, PUBLISHED);
    assert_eq!(full_table().sha256(), PUBLISHED);
    assert_eq!(folder.run("generate").out, text);
}

/// If `CAR_DATA` is the path of the published file, compares row by row, to show a difference.
#[test]
fn the_table_is_the_published_file_if_that_is_available() {
    let Some(path) = std::env::var_os("CAR_DATA") else { return };
    let published = std::fs::read_to_string(path).unwrap();
    let ours = full_table().to_csv(false);
    for (number, (theirs, ours)) in published.lines().zip(ours.lines()).enumerate() {
        assert_eq!(theirs, ours, "line {}", number + 1);
    }
    assert_eq!(published.lines().count(), ours.lines().count());
}

#[test]
fn every_combination_occurs_once_with_the_class_of_the_rules() {
    let table = full_table();
    assert_eq!(table.cars().len(), 4 * 4 * 4 * 3 * 3 * 3);
    assert!(table.cars().windows(2).all(|pair| pair[0].0[..6] < pair[1].0[..6]));
    assert!(table.cars().iter().all(|car| class_of(car) == car.level(Attribute::Class)));
    let of_class = |class| table.cars().iter().filter(|car| car.level(Attribute::Class) == class).count();
    assert_eq!([0, 1, 2, 3].map(of_class), [1210, 384, 69, 65]);
}

#[test]
fn a_table_with_a_header_can_be_read_again() {
    let folder = Folder::new();
    let text = folder.run("generate --header").out;
    assert!(text.starts_with("buying,maint,doors,persons,lug_boot,safety,class\nvhigh,vhigh,2,2,small,low,unacc\n"));
    assert_eq!(Table::parse(text.as_bytes(), "it").unwrap(), full_table());
}

#[test]
fn a_missing_folder_is_an_error() {
    Folder::new().run("generate --output nowhere/car.data").ended(1, "nowhere/car.data: its folder does not exist");
}
