//! The events: <https://openlineage.io/spec/2-0-2/OpenLineage.json>.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{facets, job_name, parent};
use crate::error::Summary;
use crate::report::{Report, RunKey};
use crate::task::{Task, Window};
use crate::watch::{Dataset, Planned};

const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// What events are about: a task in an environment.
#[derive(Debug)]
pub(super) struct Job {
    namespace: String,
    key: RunKey,
    description: Option<String>,
    window: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Fail,
    Abort,
}

impl Job {
    pub(super) fn of(task: &Task, key: &RunKey, namespace: &str) -> Self {
        let window = task.window.as_ref().map(|Window { start, end, .. }| (*start, *end));
        let description = task.spec.description.clone();
        Self { namespace: namespace.to_owned(), key: key.clone(), description, window }
    }

    /// That a run has started, what it reads and writes.
    pub(super) fn start(&self, run: &str, planned: &Planned) -> Value {
        let inputs = planned.inputs.iter().map(|input| dataset(input, Map::new())).collect();
        let outputs = planned.outputs.iter().map(|output| dataset(output, Map::new())).collect();
        self.event("START", run, Map::new(), inputs, outputs)
    }

    /// How a run ended, with what it has counted.
    pub(super) fn end(&self, report: &Report, planned: Option<&Planned>, end: End, error: Option<Summary>) -> Value {
        let (inputs, outputs) =
            planned.map_or((&[][..], &[][..]), |planned| (&planned.inputs[..], &planned.outputs[..]));
        let inputs = inputs.iter().map(|input| {
            let table = report.tables.iter().find(|table| table.is_source && table.table == input.table);
            let of_input = table.map(facets::of_input).unwrap_or_default();
            with(dataset(input, Map::new()), "inputFacets", of_input)
        });
        // Of a run that failed nothing is known of what it would have written; of a closed gate, what was published.
        let outputs = outputs.iter().filter_map(|output| {
            let written = report.outputs.iter().find(|written| written.sink == output.sink);
            if end != End::Complete && !written.is_some_and(|written| written.published) {
                return None;
            }
            let judged = report.tables.iter().find(|table| table.table == output.table);
            let of_dataset = facets::of_rules(output, judged);
            let of_output = written.map(facets::of_output).unwrap_or_default();
            Some(with(dataset(output, of_dataset), "outputFacets", of_output))
        });
        let breaches =
            (!report.breaches.is_empty()).then(|| format!("the gate closed: {}", report.breaches.join("; ")));
        let message = error.map(|Summary { code, message, .. }| format!("{message} ({code})")).or(breaches);
        let of_run = message.map(|message| facets::error(&message)).unwrap_or_default();
        let kind = match end {
            End::Complete => "COMPLETE",
            End::Fail => "FAIL",
            End::Abort => "ABORT",
        };
        self.event(kind, &report.run, of_run, inputs.collect(), outputs.collect())
    }

    fn event(
        &self,
        kind: &str,
        run: &str,
        mut facets: Map<String, Value>,
        inputs: Vec<Value>,
        outputs: Vec<Value>,
    ) -> Value {
        facets.append(&mut facets::of_run(run, &self.key, self.window));
        facets.extend(parent::facet());
        json!({
            "eventType": kind,
            "eventTime": now(),
            "producer": facets::PRODUCER,
            "schemaURL": SCHEMA,
            "run": {"runId": run_id(run).to_string(), "facets": facets},
            "job": {
                "namespace": self.namespace,
                "name": job_name(&self.key),
                "facets": facets::of_job(self.description.as_deref()),
            },
            "inputs": inputs,
            "outputs": outputs,
        })
    }
}

fn dataset(dataset: &Dataset, mut more: Map<String, Value>) -> Value {
    let mut facets = facets::of_dataset(dataset);
    facets.append(&mut more);
    json!({"namespace": dataset.namespace, "name": dataset.name, "facets": facets})
}

fn with(mut dataset: Value, key: &str, facets: Map<String, Value>) -> Value {
    if !facets.is_empty() {
        dataset[key] = Value::Object(facets);
    }
    dataset
}

/// The time now, as events have it.
pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The id of a run as a UUID, which OpenLineage demands: always the same for a run.
pub(super) fn run_id(run: &str) -> Uuid {
    let hash = blake3::hash(run.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
