//! The modules of `weir` use each other in one order, which `docs/ARCHITECTURE.md` has: a module may use those before it.
#![allow(clippy::unwrap_used)]

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Modules that are not part of the engine: what fuzz targets call.
const OUTSIDE: [&str; 1] = ["fuzzing"];

/// The modules in their order, as the document has them.
fn order() -> Vec<String> {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ARCHITECTURE.md")).unwrap();
    let block = document.split("```text module-order\n").nth(1).expect("the document has the order of the modules");
    let lines = block.split("```").next().unwrap().lines();
    lines.map(|line| line.split(':').next().unwrap().trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The code of a file without comments and without its tests.
fn production(path: &Path) -> String {
    let text = sources::without_tests(path);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules that a text uses: `crate::a::…`, and `crate::{a, b::…}`.
fn used(text: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for after in text.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_ascii_alphabetic() => {
                            used.insert(name(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => _ = used.insert(name(after)),
        }
    }
    used
}

/// The module that a file belongs to; none for `lib.rs` and `main.rs`.
fn module(path: &Path) -> Option<String> {
    let path = path.strip_prefix(sources::folder()).unwrap();
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
    match first.strip_suffix(".rs") {
        Some("lib" | "main") => None,
        Some(name) => Some(name.to_owned()),
        None => Some(first),
    }
}

#[test]
fn a_module_uses_only_those_before_it() {
    let order = order();
    let found = sources::files();
    let mut wrong = vec![];
    for path in &found {
        let Some(module) = module(path).filter(|module| !OUTSIDE.contains(&module.as_str())) else { continue };
        if path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs") {
            continue;
        }
        let at = order.iter().position(|name| *name == module).unwrap_or_else(|| panic!("`{module}` is in no order"));
        for other in used(&production(path)) {
            if order[at..].contains(&other) && other != module {
                wrong.push(format!("{} uses `{other}`", path.strip_prefix(sources::folder()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order of docs/ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_the_order_and_nothing_else_is() {
    let found = sources::files();
    let modules: BTreeSet<String> =
        found.iter().filter_map(|path| module(path)).filter(|module| !OUTSIDE.contains(&module.as_str())).collect();
    assert_eq!(order().into_iter().collect::<BTreeSet<_>>(), modules);
}

/// A file that no module names is compiled by nobody.
#[test]
fn every_file_is_named_by_the_module_above_it() {
    let is_named = |path: &&std::path::PathBuf| {
        let (folder, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        let (folder, name) = match name {
            "lib" | "main" => return true,
            "mod" => (folder.parent().unwrap(), folder.file_name().unwrap().to_str().unwrap()),
            name => (folder, name),
        };
        let above =
            ["mod.rs", "lib.rs", "main.rs"].map(|file| fs::read_to_string(folder.join(file)).unwrap_or_default());
        above.concat().lines().any(|line| line.ends_with(&format!("mod {name};")))
    };
    let found = sources::files();
    let unnamed: Vec<_> = found.iter().filter(|path| !is_named(path)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::a::{B, c::D};\nuse crate::{e, f::{g, h}, i::J};\nlet x = crate::k::l();";
    assert_eq!(used(text).into_iter().collect::<Vec<_>>(), ["a", "e", "f", "i", "k"]);
}
