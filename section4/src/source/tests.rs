//! Any response is either parsed or refused with a reason.

use proptest::prelude::*;

use super::*;

/// A parser, and a valid response for it.
type Format = (fn(&[u8]) -> Result<(), Malformed>, &'static str);

const FORMATS: [Format; 4] = [
    (|bytes| covid19api::parse(bytes).map(drop), include_str!("../../tests/data/covid19api.singapore.json")),
    (|bytes| disease_sh::parse(bytes).map(drop), include_str!("../../tests/data/disease_sh.all.json")),
    (|bytes| jhu::parse(bytes).map(drop), include_str!("../../tests/data/jhu.csv")),
    (|bytes| owid::parse(bytes).map(drop), include_str!("../../tests/data/owid.csv")),
];

fn format() -> impl Strategy<Value = Format> {
    (0..FORMATS.len()).prop_map(|i| FORMATS[i])
}

#[test]
fn truncated_json_is_refused() {
    for (parse, answer) in &FORMATS[..2] {
        let answer = answer.trim_end();
        assert_eq!(parse(answer.as_bytes()), Ok(()));
        for end in 0..answer.len() {
            assert!(parse(&answer.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_response_is_parsed_or_refused((parse, answer) in format(), at: prop::sample::Index, with in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = answer.as_bytes().to_vec();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text_is_parsed_or_refused((parse, _) in format(), text in "[<{\\[\u{feff}]?\\PC*(<title>)?\\PC*") {
        let _ = parse(text.as_bytes());
    }
}
