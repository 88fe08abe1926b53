//! The states of a run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a run in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It has begun and has no commit record.
    Running,
    /// Its commit record exists, and it is committing its sinks.
    Publishing,
    /// All sinks are published.
    Done,
    /// There was no input, and the task specifies to do nothing then.
    Skipped,
    /// The gate closed: only sinks with `publish: always` are published.
    GateClosed,
    /// It ended with an error.
    Failed,
    /// A signal ended it.
    Interrupted,
    /// It was stopped after its timeout.
    TimedOut,
    /// It was due and was not started.
    Missed,
    /// Its process ended without an end of the run.
    Died,
}

impl State {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Running,
        Self::Publishing,
        Self::Done,
        Self::Skipped,
        Self::GateClosed,
        Self::Failed,
        Self::Interrupted,
        Self::TimedOut,
        Self::Missed,
        Self::Died,
    ];

    /// The state as text: `gate_closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::GateClosed => "gate_closed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
            Self::Missed => "missed",
            Self::Died => "died",
        }
    }

    /// Whether the run has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Publishing)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("unknown state `{text}`"))
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// All sinks are published.
    Done,
    /// There was no input, and the task specifies to do nothing then.
    Skipped,
    /// The gate closed: only sinks with `publish: always` are published.
    GateClosed,
    /// It ended with an error.
    Failed,
    /// A signal ended it.
    Interrupted,
    /// It was stopped after its timeout.
    TimedOut,
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Skipped => Self::Skipped,
            Outcome::GateClosed => Self::GateClosed,
            Outcome::Failed => Self::Failed,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::TimedOut => Self::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
