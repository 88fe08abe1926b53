//! Texts that could not be read: a few for each reason, to find out which option of the task reads them. Nobody is shown
//! them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// How many texts are kept for each reason.
const TEXTS: usize = 100;
/// Bytes of the longest text that is kept.
const LONGEST: usize = 4096;

/// Knows the options with which a source reads texts.
pub(crate) trait Advise: Debug + Send + Sync {
    /// The option that reads most of the texts that were rejected for a reason, if there is one: as a condition, without
    /// values of rows.
    fn advice(&self, reason: &str, unread: &Unread) -> Option<String>;
}

/// Texts that could not be read for one reason: values of a column, or whole records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unread {
    #[serde(with = "texts")]
    pub(crate) texts: Vec<Vec<u8>>,
    /// Whether other texts of the same column were read.
    pub(crate) others_are_read: bool,
    /// How many of the records were the last ones of each file that ends with such.
    last: Vec<usize>,
}

impl Unread {
    /// The number of records at the end of a file, if it is the same for all and other records are read.
    pub(crate) fn all_last(&self) -> Option<usize> {
        let number = *self.last.first()?;
        let are_all = self.last.iter().sum::<usize>() == self.texts.len();
        (are_all && self.last.iter().all(|other| *other == number)).then_some(number)
    }
}

/// Texts that could not be read, by reason.
#[derive(Debug, Default)]
pub(crate) struct UnreadTexts(Mutex<BTreeMap<String, Unread>>);

impl UnreadTexts {
    /// Adds texts.
    pub(crate) fn add<'a>(&self, reason: &str, texts: impl IntoIterator<Item = &'a [u8]>, others_are_read: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = match all.get_mut(reason) {
            Some(unread) => unread,
            None => all.entry(reason.to_owned()).or_default(),
        };
        unread.others_are_read |= others_are_read;
        let room = TEXTS.saturating_sub(unread.texts.len());
        let texts = texts.into_iter().filter(|text| text.len() <= LONGEST).take(room);
        unread.texts.extend(texts.map(<[u8]>::to_vec));
    }

    /// The last `records` of a file, which were added, are unread for a reason.
    pub(crate) fn add_last(&self, reason: &str, records: usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unread) = all.get_mut(reason) {
            unread.last.push(records);
        }
    }

    /// All texts, by reason.
    pub(crate) fn all(&self) -> BTreeMap<String, Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the texts of another process.
    pub(crate) fn merge(&self, other: BTreeMap<String, Unread>) {
        for (reason, Unread { texts, others_are_read, last }) in other {
            self.add(&reason, texts.iter().map(Vec::as_slice), others_are_read);
            last.into_iter().for_each(|records| self.add_last(&reason, records));
        }
    }

    /// The texts for a reason.
    pub(crate) fn of(&self, reason: &str) -> Unread {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(reason).cloned().unwrap_or_default()
    }
}

/// Texts of any bytes, in JSON.
mod texts {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(texts: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(texts.iter().map(|text| BASE64_STANDARD.encode(text)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).collect()
    }
}
