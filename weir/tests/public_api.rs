//! The public surface of the library is `weir/public-api.txt`: whoever changes it sees that, and so does a reviewer.
//!
//! A lint (`unreachable_pub`) sees to it that whatever is `pub` in the sources can be reached from outside.
#![allow(clippy::unwrap_used)]

#[path = "support/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

/// The public items of a file, one a line: an item as far as its body, in one form of white space.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if !line.starts_with("pub ") {
            continue;
        }
        let mut item = line.to_owned();
        let is_field =
            !["pub fn", "pub async", "pub unsafe", "pub const", "pub use"].iter().any(|it| line.starts_with(it));
        // A signature, or a list of names, may go on over lines.
        while !is_field && !item.ends_with('{') && !item.ends_with(';') && !item.ends_with("where") {
            item.push(' ');
            item.push_str(lines.next().unwrap_or(";").trim());
        }
        let item = item.trim_end_matches(['{', ';', ',']).trim();
        items.push(item.replace("( ", "(").replace(", )", ")").replace("{ ", "{").replace(", }", "}"));
    }
    items
}

#[test]
fn the_public_surface_is_the_one_that_was_reviewed() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = sources::files();
    let mut surface = String::new();
    for path in found.iter().filter(|path| !path.ends_with("fuzzing.rs")) {
        let items = items(&sources::without_tests(path));
        if !items.is_empty() {
            surface += &format!("{}\n", path.strip_prefix(package).unwrap().display());
            items.iter().for_each(|item| surface += &format!("    {item}\n"));
        }
    }
    let kept = package.join("public-api.txt");
    if std::env::var_os("WEIR_UPDATE").is_some() {
        fs::write(&kept, &surface).unwrap();
    }
    let help = "after a review: WEIR_UPDATE=1 cargo test -p weir --test public_api";
    let kept = fs::read_to_string(&kept).unwrap_or_default();
    let differ = kept.lines().zip(surface.lines()).find(|(one, other)| one != other);
    assert!(kept == surface, "the public surface has changed, at {differ:?}; {help}");
}

#[test]
fn an_item_is_read_as_far_as_its_body() {
    let text = "pub fn one(\n    a: u8,\n) -> u8 {\n    a\n}\npub struct Two {\n    pub field: u8,\n    hidden: u8,\n}\npub(crate) fn three() {}\n";
    assert_eq!(items(text), ["pub fn one(a: u8) -> u8", "pub struct Two", "pub field: u8"]);
}
