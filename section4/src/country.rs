//! Names of countries, which differ between sources.

/// Slugs of the same country. Most names differ between the sources only in spelling; these are the others.
const SAME: [&[&str]; 17] = [
    &["us", "usa", "united-states", "united-states-of-america"],
    &["uk", "great-britain", "united-kingdom"],
    &["korea-south", "south-korea", "republic-of-korea"],
    &["korea-north", "north-korea"],
    &["taiwan", "taiwan-republic-of-china"],
    &["czechia", "czech-republic"],
    &["burma", "myanmar"],
    &["congo-kinshasa", "democratic-republic-of-congo", "dr-congo", "drc"],
    &["congo-brazzaville", "congo", "republic-of-congo"],
    &["cote-divoire", "ivory-coast"],
    &["russia", "russian-federation"],
    &["holy-see", "holy-see-vatican-city-state", "vatican", "vatican-city"],
    &["cabo-verde", "cape-verde"],
    &["vietnam", "viet-nam"],
    &["north-macedonia", "macedonia", "macedonia-republic-of"],
    &["west-bank-and-gaza", "palestine", "palestinian-territory"],
    &["timor-leste", "east-timor", "timor"],
];

/// A name as in covid19api's URLs: lower case, words separated by hyphens, no accents.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match plain(letter) {
            // The apostrophe of Côte d'Ivoire, and the dot that a capital İ leaves behind.
            "" if matches!(letter, '\'' | '’' | '\u{307}') => {}
            "" if letter.is_alphanumeric() => slug.push(letter),
            "" if slug.is_empty() || slug.ends_with('-') => {}
            "" => slug.push('-'),
            plain => slug.push_str(plain),
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// A letter without its accent, or nothing for a letter without one.
fn plain(letter: char) -> &'static str {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' | 'ı' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'š' | 'ş' => "s",
        _ => "",
    }
}

/// Whether two names mean the same country.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (slug(one), slug(other));
    let both = |group: &&[&str]| group.contains(&one.as_str()) && group.contains(&other.as_str());
    one == other || SAME.iter().any(both)
}

/// Finds the known name that is meant by another one; an exactly equal name takes precedence.
pub(crate) fn find<'a>(asked: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let slug_asked = slug(asked);
    known.clone().find(|name| slug(name) == slug_asked).or_else(|| known.clone().find(|name| is_same(name, asked)))
}

/// Lists the known names nearest to an unknown one.
pub(crate) fn nearest<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> String {
    let slug_asked = slug(asked);
    let likeness = |name: &str| {
        let slug = slug(name);
        let likeness = strsim::jaro_winkler(&slug_asked, &slug);
        // `korea` should match `Korea, South` rather than `Kenya`.
        if !slug_asked.is_empty() && slug.contains(&slug_asked) { likeness.max(0.95) } else { likeness }
    };
    let mut near: Vec<(f64, &str)> = known.map(|name| (likeness(name), name)).collect();
    let count = near.len();
    near.retain(|(likeness, _)| *likeness > 0.75);
    near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    near.dedup();
    match near.as_slice() {
        [] => format!("none of its {count} countries has a similar name"),
        near => {
            let names: Vec<_> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
            format!("the nearest names: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_lower_case_words_with_hyphens() {
        for (name, expected) in [
            ("Singapore", "singapore"),
            ("Korea, South", "korea-south"),
            ("Korea (South)", "korea-south"),
            ("Côte d'Ivoire", "cote-divoire"),
            ("Taiwan*", "taiwan"),
            ("  Bosnia  &  Herzegovina ", "bosnia-herzegovina"),
            ("Türkiye", "turkiye"),
            ("..", ""),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
    }

    #[test]
    fn the_same_country_has_several_names() {
        assert!(is_same("US", "United States of America"));
        assert!(is_same("Taiwan*", "taiwan"));
        assert!(!is_same("Korea, South", "North Korea"));
        assert_eq!(find("south korea", ["Korea, North", "Korea, South"].into_iter()), Some("Korea, South"));
        assert_eq!(find("Atlantis", ["Korea, South"].into_iter()), None);
    }

    #[test]
    fn an_exact_name_takes_precedence_over_a_synonym() {
        assert_eq!(find("congo", ["Congo (Brazzaville)", "Congo"].into_iter()), Some("Congo"));
    }

    #[test]
    fn near_names_are_listed_with_the_nearest_first() {
        let known = ["Singapore", "Kenya", "Korea, South", "Korea, North"];
        assert_eq!(nearest("Singapur", known.into_iter()), "the nearest names: `Singapore`");
        assert_eq!(nearest("Korea", known.into_iter()), "the nearest names: `Korea, North`, `Korea, South`");
        assert_eq!(nearest("Xyz", known.into_iter()), "none of its 4 countries has a similar name");
    }
}
