//! The identity of a run.

use std::fmt;

/// What a run is a run of. Two runs of one key exclude each other; the key owns the targets that the task writes.
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
}

/// The form in which locks, scratch folders and owners of targets have it: `task.environment`.
impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, environment, window } = self;
        write!(f, "{task}.{environment}")?;
        window.as_ref().map_or(Ok(()), |window| write!(f, ".{window}"))
    }
}
