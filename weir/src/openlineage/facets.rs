//! The facets of runs, jobs and datasets. No facet has values of rows.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::report::{OutputReport, RunKey, TableReport};
use crate::watch::{Dataset, InputColumn};

/// The program, with its version.
pub(super) const PRODUCER: &str = concat!("urn:weir:", env!("CARGO_PKG_VERSION"));

type Facets = Map<String, Value>;

/// A facet, by the file of its schema, the version of that and the definition in it.
fn facet(schema: &str, version: &str, content: Value) -> Value {
    let mut facet = json!({
        "_producer": PRODUCER,
        "_schemaURL": format!("https://openlineage.io/spec/facets/{version}/{schema}.json#/$defs/{schema}"),
    });
    if let (Value::Object(facet), Value::Object(mut content)) = (&mut facet, content) {
        facet.append(&mut content);
    }
    facet
}

fn one(name: &str, facet: Value) -> Facets {
    [(name.to_owned(), facet)].into_iter().collect()
}

/// What a dataset is: its columns, and where it is.
pub(super) fn of_dataset(dataset: &Dataset) -> Facets {
    let columns = dataset.columns.iter().enumerate();
    let fields = columns.map(|(at, (name, kind))| json!({"name": name, "type": kind, "ordinal_position": at + 1}));
    let fields: Vec<Value> = fields.collect();
    let mut all = one("schema", facet("SchemaDatasetFacet", "1-2-0", json!({"fields": fields})));
    let source = json!({"name": dataset.namespace, "uri": dataset.uri});
    all.extend(one("dataSource", facet("DatasourceDatasetFacet", "1-0-1", source)));
    if !dataset.lineage.is_empty() {
        let of_column = |(column, from): &(String, Vec<InputColumn>)| {
            (column.clone(), json!({"inputFields": from.iter().map(input_field).collect::<Vec<_>>()}))
        };
        let fields: Facets = dataset.lineage.iter().map(of_column).collect();
        let rows: Vec<Value> = dataset.rows_from.iter().map(input_field).collect();
        let lineage = json!({"fields": fields, "dataset": rows});
        all.extend(one("columnLineage", facet("ColumnLineageDatasetFacet", "1-2-0", lineage)));
    }
    all
}

/// A column of an input, and what became of it.
fn input_field(of: &InputColumn) -> Value {
    let ways = of.ways.iter();
    let ways = ways.map(|(kind, subtype)| json!({"type": kind, "subtype": subtype, "masking": of.is_masked}));
    json!({"namespace": of.namespace, "name": of.name, "field": of.column, "transformations": ways.collect::<Vec<_>>()})
}

/// What was read of an input, and what of it could not be read.
pub(super) fn of_input(table: &TableReport) -> Facets {
    let mut all =
        one("inputStatistics", facet("InputStatisticsInputDatasetFacet", "1-0-0", json!({"rowCount": table.rows})));
    let metrics = json!({"rowCount": table.rows, "columnMetrics": {}});
    all.extend(one("dataQualityMetrics", facet("DataQualityMetricsInputDatasetFacet", "1-0-3", metrics)));
    let mut assertions = vec![json!({"assertion": "readable", "success": table.rejected == 0, "severity": "error",
                                     "expected": "0", "actual": table.rejected.to_string()})];
    assertions.extend(table.reasons.iter().map(|reason| {
        let severity = if reason.effect == "unreadable" { "error" } else { "warn" };
        json!({"assertion": reason.effect, "name": reason.name, "success": reason.rows == 0, "severity": severity,
               "expected": "0", "actual": reason.rows.to_string()})
    }));
    all.extend(one("dataQualityAssertions", of_assertions(&assertions)));
    all
}

/// How the rows that an output was written from fulfilled their rules.
pub(super) fn of_rules(output: &Dataset, judged: Option<&TableReport>) -> Facets {
    let Some(judged) = judged.filter(|_| !output.rules.is_empty()) else { return Facets::new() };
    let assertions = output.rules.iter().map(|rule| {
        let missed = judged.reasons.iter().find(|reason| reason.name == *rule);
        let rows = missed.map_or(0, |reason| reason.rows);
        let severity = if missed.is_some_and(|reason| reason.effect == "warn") { "warn" } else { "error" };
        json!({"assertion": rule, "success": rows == 0, "severity": severity, "expected": "0", "actual": rows.to_string()})
    });
    one("dataQualityAssertions", of_assertions(&assertions.collect::<Vec<_>>()))
}

fn of_assertions(assertions: &[Value]) -> Value {
    facet("DataQualityAssertionsDatasetFacet", "1-1-0", json!({"assertions": assertions}))
}

/// What was written to an output.
pub(super) fn of_output(output: &OutputReport) -> Facets {
    let statistics = json!({"rowCount": output.rows, "size": output.bytes});
    one("outputStatistics", facet("OutputStatisticsOutputDatasetFacet", "1-0-2", statistics))
}

/// Why a run failed.
pub(super) fn error(message: &str) -> Facets {
    let message = json!({"message": message, "programmingLanguage": "Rust"});
    one("errorMessage", facet("ErrorMessageRunFacet", "1-0-1", message))
}

/// What the program is, and which span of time a run covers.
pub(super) fn of_run(run: &str, key: &RunKey, window: Option<(DateTime<Utc>, DateTime<Utc>)>) -> Facets {
    let engine = json!({"name": "weir", "version": env!("CARGO_PKG_VERSION"), "openlineageAdapterVersion": env!("CARGO_PKG_VERSION")});
    let mut all = one("processing_engine", facet("ProcessingEngineRunFacet", "1-1-1", engine));
    let own = json!({"_producer": PRODUCER, "_schemaURL": "urn:weir:facets:run:1", "run": run, "task": key.task,
                     "environment": key.environment, "window": key.window});
    all.extend(one("weir_run", own));
    if let Some((start, end)) = window {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let times = json!({"nominalStartTime": time(start), "nominalEndTime": time(end)});
        all.extend(one("nominalTime", facet("NominalTimeRunFacet", "1-0-1", times)));
    }
    all
}

/// What kind of job a task is.
pub(super) fn of_job(description: Option<&str>) -> Facets {
    let kind = json!({"processingType": "BATCH", "integration": "WEIR", "jobType": "TASK"});
    let mut all = one("jobType", facet("JobTypeJobFacet", "2-0-4", kind));
    if let Some(description) = description {
        let text = json!({"description": description});
        all.extend(one("documentation", facet("DocumentationJobFacet", "1-1-0", text)));
    }
    all
}

/// The run that has started this one.
pub(super) fn parent(content: Value) -> Facets {
    one("parent", facet("ParentRunFacet", "1-2-0", content))
}
