//! A plan in a form that can be shown.

use serde::Serialize;

use super::Plan;
use crate::lineage::Lineage;

/// What a run of a task would do, if it were started now.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlanDescription {
    /// The task's name.
    pub task: String,
    /// The environment.
    pub environment: String,
    /// The parameters, as text.
    pub params: Vec<(String, String)>,
    /// The reason why a run would be skipped, if it would.
    pub nothing_to_do: Option<String>,
    /// The sources, in the order of the task file.
    pub sources: Vec<SourceDescription>,
    /// The models in the order in which they are computed.
    pub models: Vec<String>,
    /// The stages, each after those that it reads.
    pub stages: Vec<StageDescription>,
    /// The sinks, in the order of the task file.
    pub sinks: Vec<SinkDescription>,
    /// The columns that each column depends on. What the targets of the sinks require is among the rules.
    pub lineage: Lineage,
}

/// A source, and what a run would read of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SourceDescription {
    /// The source's name.
    pub name: String,
    /// What was found: `3 files, 1.2 MiB`.
    pub summary: String,
    /// Bytes that would be read.
    pub bytes: u64,
    /// The files that would be read, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
}

/// A table that is computed once, judged and written in one pass.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StageDescription {
    /// The source or model that it computes.
    pub table: String,
    /// The rules that judge its rows, in their order: those of the task, and what the targets of its sinks require.
    pub rules: Vec<String>,
    /// The sinks of its accepted rows.
    pub accepted: Vec<String>,
    /// The sinks of its rejected rows.
    pub rejected: Vec<String>,
    /// Whether its accepted rows are kept on disk for models that read them.
    pub is_kept: bool,
    /// The stage into which its accepted rows go as they are judged.
    pub streams_to: Option<String>,
    /// Where it is computed, if there is a cluster: by it, or in this process and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed: Option<String>,
    /// The physical plan of the query engine, one node per line.
    pub physical_plan: String,
}

/// A sink.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SinkDescription {
    /// The sink's name.
    pub name: String,
    /// The route that it reads: `model` or `model.rejected`.
    pub route: String,
    /// Its target.
    pub target: String,
}

impl Plan {
    /// Describes a stage; `physical_plan` is how the engine computes it.
    pub(crate) fn describe_stage(
        &self,
        stage: &super::Stage,
        streams_to: Option<String>,
        physical_plan: String,
    ) -> StageDescription {
        let names = |sinks: &[usize]| sinks.iter().map(|sink| self.sinks[*sink].name.clone()).collect();
        let rules = stage.judge.iter().flat_map(|judge| {
            let later = judge.counted_later().map(|(name, _)| name.to_owned());
            judge.rules.iter().map(|rule| rule.name.clone()).chain(later)
        });
        StageDescription {
            table: stage.table.clone(),
            rules: rules.collect(),
            accepted: names(&stage.accepted),
            rejected: names(&stage.rejected),
            is_kept: stage.scratch.is_some() && streams_to.is_none(),
            streams_to,
            computed: None,
            physical_plan,
        }
    }

    /// Describes the sinks.
    pub(crate) fn describe_sinks(&self) -> Vec<SinkDescription> {
        let describe = |sink: &crate::sink::BoundSink| SinkDescription {
            name: sink.name.clone(),
            route: sink.route.to_string(),
            target: sink.target.place(),
        };
        self.sinks.iter().map(describe).collect()
    }
}
