//! The identity of a run.

use std::fmt;

/// What a run is a run of. Two runs of one key exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RunKey {
    /// The task's name.
    pub task: String,
    /// The environment's name.
    pub environment: String,
    /// The window of time that the run covers; none for a task without windows.
    pub window: Option<String>,
}

impl RunKey {
    /// The key of a task in an environment.
    pub fn new(task: impl Into<String>, environment: impl Into<String>) -> Self {
        Self { task: task.into(), environment: environment.into(), window: None }
    }

    /// Who owns what the runs write: `task.environment`, whatever their window.
    pub(crate) fn owner(&self) -> String {
        Self { window: None, ..self.clone() }.to_string()
    }
}

/// The form in which locks and scratch folders have it: `task.environment`, or `task.environment.window`.
impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, environment, window } = self;
        write!(f, "{task}.{environment}")?;
        window.as_ref().map_or(Ok(()), |window| write!(f, ".{window}"))
    }
}
