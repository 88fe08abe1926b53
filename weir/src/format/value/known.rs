//! Forms in which values are often written, other than the default ones: what is guessed from them, and what is proposed.

/// Texts for true and false.
pub(crate) const SPELLINGS: [(&str, &str); 8] =
    [("Y", "N"), ("y", "n"), ("Yes", "No"), ("yes", "no"), ("YES", "NO"), ("T", "F"), ("t", "f"), ("on", "off")];

/// Formats of dates. Those of which a value can have two are told apart by the other values.
pub(crate) const DATES: [&str; 10] = [
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
];

/// Formats of times.
pub(crate) const TIMES: [&str; 8] = [
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
];

/// The characters between thousands where the decimal point is a comma.
pub(crate) const GROUPS: [char; 4] = ['.', ' ', '\u{a0}', '\''];
