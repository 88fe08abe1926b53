//! Patterns of paths: their literal parts, and whether two of them have a path in common.

use std::path::{Path, PathBuf};

use glob::Pattern;

/// A pattern's folder up to the first wildcard, and the components that follow.
pub(in crate::place) fn split(pattern: &Path) -> (PathBuf, Vec<String>) {
    let names: Vec<_> = pattern.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let plain = names.iter().map_while(|name| literal(name)).collect::<Vec<_>>();
    let folder = plain.len().min(names.len() - 1); // in a plain path the last name is the file's
    (plain[..folder].iter().collect(), names[folder..].to_vec())
}

/// The path that a pattern is if its brackets are no wildcards; `None` if it has none, or other wildcards.
pub(in crate::place) fn named(pattern: &Path) -> Option<PathBuf> {
    let names = pattern.iter().map(|name| {
        let name = name.to_string_lossy();
        literal(&name).or_else(|| (!name.contains(['*', '?'])).then(|| name.into_owned()))
    });
    let path = names.collect::<Option<PathBuf>>()?;
    pattern.to_string_lossy().contains('[').then_some(path)
}

/// The literal name that a component of a pattern matches, if it matches only one.
pub(in crate::place) fn literal(component: &str) -> Option<String> {
    let (name, is_all) = literal_start(component);
    is_all.then_some(name)
}

/// What everything that matches a pattern begins with, and whether that is all of it.
pub(in crate::place) fn literal_start(pattern: &str) -> (String, bool) {
    let mut start = String::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let escaped = ["[*]", "[?]", "[[]", "[]]"].into_iter().find(|escaped| rest.starts_with(escaped));
        match (c, escaped) {
            (_, Some(escaped)) => {
                start.push_str(&escaped[1..2]);
                rest = &rest[3..];
            }
            ('*' | '?' | '[', None) => return (start, false),
            _ => {
                start.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    (start, true)
}

/// Whether a path can match both patterns; two components with wildcards are assumed to have a common match.
pub(in crate::place) fn meet(one: &[String], other: &[String]) -> bool {
    let any = |pattern: &[String]| pattern.first().is_some_and(|name| name == "**");
    match (one, other) {
        ([_, rest @ ..], _) if any(one) => meet(rest, other) || (!other.is_empty() && meet(one, &other[1..])),
        (_, [_, rest @ ..]) if any(other) => meet(one, rest) || (!one.is_empty() && meet(&one[1..], other)),
        ([a, one @ ..], [b, other @ ..]) => names_meet(a, b) && meet(one, other),
        ([], []) => true,
        _ => false,
    }
}

fn names_meet(one: &str, other: &str) -> bool {
    let matches = |pattern: &str, name: &str| Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
    match (literal(one), literal(other)) {
        (Some(one), Some(other)) => one == other,
        (Some(name), None) => matches(other, &name),
        (None, Some(name)) => matches(one, &name),
        (None, None) => true,
    }
}

/// A pattern of components below a folder.
pub(in crate::place) fn below(folder: &Path, rest: &[String]) -> Vec<String> {
    let literal = folder.iter().map(|name| Pattern::escape(&name.to_string_lossy()));
    literal.chain(rest.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn patterns_meet_where_a_path_can_match_both() {
        for (one, other, expected) in [
            ("in/*.csv", "done/*.csv", false),
            ("in/*.csv", "in/*.csv", true),
            ("in/*.csv", "in/done/*.csv", false),
            ("in/*/*.csv", "in/done/*/*.csv", false),
            ("in/**/*.csv", "in/done/**/*.csv", true),
            ("in/**/a.csv", "done/**/a.csv", false),
            ("*/a.csv", "done/a.csv", true),
            ("in/[a-m]*/a.csv", "in/done/a.csv", true),
            ("in/[n-z]*/a.csv", "in/done/a.csv", false),
            ("**/a.csv", "x/y/a.csv", true),
        ] {
            assert_eq!(meet(&names(one), &names(other)), expected, "{one} {other}");
            assert_eq!(meet(&names(other), &names(one)), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_pattern_has_a_fixed_part_and_a_rest() {
        for (pattern, base, rest) in [
            ("/in/*.csv", "/in", vec!["*.csv"]),
            ("/in/a.csv", "/in", vec!["a.csv"]),
            ("/in/[[]x[]]/**/a.csv", "/in/[x]", vec!["**", "a.csv"]),
            ("/in/[ab]/c.csv", "/in", vec!["[ab]", "c.csv"]),
        ] {
            let (found, found_rest) = split(Path::new(pattern));
            assert_eq!((found, found_rest), (PathBuf::from(base), rest.into_iter().map(str::to_owned).collect()));
        }
    }

    #[test]
    fn brackets_can_be_part_of_a_name() {
        for (pattern, expected) in [
            ("in/report [1].csv", Some("in/report [1].csv")),
            ("/[[]x[]]/a[1].csv", Some("/[x]/a[1].csv")),
            ("in/*/a[1].csv", None),
            ("in/a.csv", None),
        ] {
            assert_eq!(named(Path::new(pattern)), expected.map(PathBuf::from), "{pattern}");
        }
    }

    #[test]
    fn what_is_before_a_wildcard_is_literal() {
        for (pattern, start, is_all) in
            [("in/a*.csv", "in/a", false), ("in/[[]x[]].csv", "in/[x].csv", true), ("in/[ab].csv", "in/", false)]
        {
            assert_eq!(literal_start(pattern), (start.to_owned(), is_all));
        }
    }
}
