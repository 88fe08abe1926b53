//! Texts that could not be read: a few for each reason, to find out which option of the task reads them. Nobody is shown
//! them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread {
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

    /// The texts for a reason.
    pub(crate) fn of(&self, reason: &str) -> Unread {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(reason).cloned().unwrap_or_default()
    }
}
