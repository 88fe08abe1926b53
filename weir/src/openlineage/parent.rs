//! The run of an orchestrator that has started this one, as it says in the environment.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::facets;

/// `NAMESPACE/JOB/RUN` of the run that has started this one, and of the first one of all.
const PARENT: &str = "OPENLINEAGE_PARENT_ID";
const ROOT: &str = "OPENLINEAGE_ROOT_PARENT_ID";

/// The facet `parent`, if the environment has one.
pub(super) fn facet() -> Map<String, Value> {
    let of = |name: &str| std::env::var(name).ok();
    facet_of(of(PARENT).as_deref(), of(ROOT).as_deref())
}

fn facet_of(parent: Option<&str>, root: Option<&str>) -> Map<String, Value> {
    let Some(text) = parent.filter(|text| !text.is_empty()) else { return Map::new() };
    let Some(mut content) = run_and_job(text) else {
        tracing::warn!("{PARENT} is not NAMESPACE/JOB/RUN with a UUID as the run: the events have no parent");
        return Map::new();
    };
    if let Some(root) = root.and_then(run_and_job) {
        content["root"] = root;
    }
    facets::parent(content)
}

/// A namespace may have slashes.
fn run_and_job(text: &str) -> Option<Value> {
    let (job, run) = text.rsplit_once('/')?;
    let (namespace, name) = job.rsplit_once('/')?;
    let run: Uuid = run.parse().ok()?;
    (!namespace.is_empty() && !name.is_empty())
        .then(|| json!({"run": {"runId": run.to_string()}, "job": {"namespace": namespace, "name": name}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_has_a_namespace_a_job_and_a_run() {
        let run = "0192f0e2-7c3a-7bd2-8a4e-5d4f0c2b1a00";
        let facet = facet_of(Some(&format!("http://airflow/x/dag.task/{run}")), Some(&format!("x/dag/{run}")));
        assert_eq!(facet["parent"]["job"], json!({"namespace": "http://airflow/x", "name": "dag.task"}));
        assert_eq!(facet["parent"]["root"]["run"]["runId"], run);
        for wrong in ["", "a/b/c", run, &format!("a/{run}"), &format!("//{run}")] {
            assert_eq!(facet_of(Some(wrong), None), Map::new(), "{wrong}");
        }
    }
}
