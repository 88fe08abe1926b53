//! What `weir profile` tells: the profile, and how the rows were read. `--json` prints it.

use serde::Serialize;

use super::source::Profiled;
use crate::profile::Profile;
use crate::route::Reasons;

/// The version of the form in JSON.
const FORM: u32 = 1;

/// The result of the command.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) source: String,
    #[serde(skip)]
    pub(super) name: String,
    pub(super) types_from: TypesFrom,
    /// How often the rows were read.
    pub(super) passes: usize,
    pub(super) unreadable: Unreadable,
    pub(super) notes: Vec<String>,
    #[serde(flatten)]
    pub(super) profile: Profile,
}

/// Where the types of the columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TypesFrom {
    /// All values of the files.
    Guessed,
    /// The files, which have types.
    File,
    /// The task.
    Declared,
    Database,
}

impl TypesFrom {
    /// As a part of a sentence.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Guessed => "guessed from all values",
            Self::File => "those of the file",
            Self::Declared => "those that the task declares",
            Self::Database => "those of the table",
        }
    }
}

/// Records that are no rows.
#[derive(Debug, Serialize)]
pub(super) struct Unreadable {
    pub(super) records: u64,
    pub(super) reasons: Vec<UnreadableReason>,
}

#[derive(Debug, Serialize)]
pub(super) struct UnreadableReason {
    pub(super) reason: String,
    pub(super) records: u64,
}

impl Unreadable {
    pub(super) fn of(reasons: Reasons) -> Self {
        let records = reasons.rows();
        let reasons = reasons.into_iter().map(|(reason, counted)| UnreadableReason { reason, records: counted.rows });
        Self { records, reasons: reasons.collect() }
    }

    /// The reasons with their records.
    pub(super) fn summary(&self) -> String {
        let reason = |of: &UnreadableReason| format!("{} ({})", of.reason, of.records);
        self.reasons.iter().map(reason).collect::<Vec<_>>().join(", ")
    }
}

impl Report {
    pub(super) fn of(profiled: Profiled, unreadable: Unreadable, profile: Profile) -> Self {
        let Profiled { name, shown, types_from, notes, passes, .. } = profiled;
        Self { version: FORM, source: shown, name, types_from, passes, unreadable, notes, profile }
    }
}
