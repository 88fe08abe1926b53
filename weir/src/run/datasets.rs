//! The datasets of a run, by the naming of OpenLineage: <https://openlineage.io/docs/spec/naming>.

use std::path::Path;

use crate::database::Connector;
use crate::error::Result;
use crate::lineage::{ColumnLineage, Dependencies, Dependency};
use crate::plan::Plan;
use crate::sink::{BoundSink, Claim};
use crate::system::disk::absolute;
use crate::task::{Dialect, SourceSpec, Task, type_name};
use crate::watch::{Dataset, InputColumn, Planned};

/// Where a dataset is, and its name there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    namespace: String,
    name: String,
}

impl Place {
    fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// A file or folder of this machine.
    fn of_file(path: &Path) -> Self {
        Self::new("file", path.display().to_string())
    }

    /// Objects, or the file of a URL: without users, passwords and queries.
    fn of_url(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let name = before_pattern(path).trim_end_matches('/');
        Self::new(format!("{scheme}://{host}"), if name.is_empty() { "/" } else { name })
    }

    /// A table of a server, by the address and the database that its connection leads to.
    fn of_table(scheme: &str, address: &str, name: String) -> Self {
        Self::new(format!("{scheme}://{address}"), name)
    }

    fn uri(&self) -> String {
        let Self { namespace, name } = self;
        let name: String = name.chars().map(|c| if c.is_whitespace() || c == '"' { '_' } else { c }).collect();
        match namespace.as_str() {
            "file" => format!("file://{name}"),
            _ => format!("{namespace}/{}", name.trim_start_matches('/')),
        }
    }
}

/// The folder in front of the first `*`, `?` or `[` of a pattern; a whole path without any.
fn before_pattern(path: &str) -> &str {
    match path.find(['*', '?', '[']) {
        None => path,
        Some(at) => path[..at].rfind('/').map_or("", |slash| &path[..slash]),
    }
}

/// What a run of a plan reads and writes. What cannot be named is left out: the run goes on without it.
pub(super) fn planned(task: &Task, plan: &Plan, connector: &Connector) -> Planned {
    let mut planned = Planned::default();
    for source in &plan.sources {
        let Some(spec) = task.spec.sources.get(source.name()) else { continue };
        let place = known(source.name(), of_source(task, &spec.value, source.name(), connector));
        let fields = source.schema().fields().iter();
        let columns = fields.map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
        planned.inputs.extend(place.map(|place| dataset(source.name(), "", place, columns, vec![])));
    }
    let lineage = plan.lineage(task);
    for sink in &plan.sinks {
        let place = known(&sink.name, of_sink(task, sink, connector));
        let columns = sink.target.columns().iter().map(|column| (column.name.clone(), type_name(&column.kind)));
        let rules = rules(plan, &sink.route.table);
        let table = &sink.route.table;
        let output = place.map(|place| dataset(table, &sink.name, place, columns.collect(), rules));
        let from = lineage.sinks.iter().find(|of| of.sink == sink.name).map(|of| &of.from_sources);
        planned.outputs.extend(output.map(|output| with_lineage(output, from, sink, &planned.inputs)));
    }
    planned
}

/// An output with the columns of inputs that it depends on.
fn with_lineage(output: Dataset, from: Option<&Dependencies>, sink: &BoundSink, inputs: &[Dataset]) -> Dataset {
    let Some(from) = from else { return output };
    let input = |of: &Dependency, is_masked: bool| {
        let Dataset { namespace, name, .. } = inputs.iter().find(|input| input.table == of.table)?;
        let mut ways: Vec<_> = of.kinds.iter().map(|kind| kind.transformation()).collect();
        ways.dedup();
        let (namespace, name, column) = (namespace.clone(), name.clone(), of.column.clone());
        Some(InputColumn { namespace, name, column, ways, is_masked })
    };
    let of_column = |of: &ColumnLineage| {
        let written = sink.target.columns().iter().find(|column| column.name == of.column);
        let is_masked = written.is_some_and(|column| sink.protects(column.index));
        let all = of.values.iter().filter_map(|of| input(of, is_masked));
        let all = all.chain(of.presence.iter().filter_map(|of| input(of, false)));
        (of.column.clone(), all.collect())
    };
    let lineage = from.columns.iter().map(of_column).collect();
    let rows_from = from.presence.iter().filter_map(|of| input(of, false)).collect();
    Dataset { lineage, rows_from, ..output }
}

fn known(of: &str, place: Result<Place>) -> Option<Place> {
    place.inspect_err(|error| tracing::debug!(%error, "`{of}` has no name for lineage")).ok()
}

fn dataset(table: &str, sink: &str, place: Place, columns: Vec<(String, String)>, rules: Vec<String>) -> Dataset {
    let uri = place.uri();
    let Place { namespace, name } = place;
    let (table, sink, lineage, rows_from) = (table.to_owned(), sink.to_owned(), vec![], vec![]);
    Dataset { table, sink, namespace, name, uri, columns, rules, lineage, rows_from }
}

fn rules(plan: &Plan, table: &str) -> Vec<String> {
    let judge = plan.stages.iter().find(|stage| stage.table == table).and_then(|stage| stage.judge.as_ref());
    let later = judge.iter().flat_map(|judge| judge.counted_later().map(|(name, _)| name.to_owned()));
    let rules = judge.iter().flat_map(|judge| judge.rules.iter().map(|rule| rule.name.clone()));
    rules.chain(later).collect()
}

fn of_source(task: &Task, spec: &SourceSpec, name: &str, connector: &Connector) -> Result<Place> {
    if let Some(files) = &spec.files {
        let path = task.data_pattern(&files.path)?;
        return Ok(match path.as_str() {
            "-" => Place::new("file", "/dev/stdin"),
            url if url.contains("://") => Place::of_url(url),
            path => Place::of_file(&absolute(before_pattern(path).as_ref())),
        });
    }
    if let Some(postgres) = &spec.postgres {
        let table = postgres.table.as_ref().map(|table| task.params.fill(&task.source, table)).transpose()?;
        return of_postgres(task, connector, &postgres.connection.value, table.as_deref(), name);
    }
    if let Some(mysql) = &spec.mysql {
        let table = mysql.table.as_ref().map(|table| task.params.fill(&task.source, table)).transpose()?;
        return of_mysql(connector, &mysql.connection.value, table.as_deref(), name);
    }
    let with = spec.fetch.as_ref().map_or(name, |fetch| fetch.with.value.as_str());
    Ok(Place::new("fetch", with))
}

fn of_sink(task: &Task, sink: &BoundSink, connector: &Connector) -> Result<Place> {
    let spec = task.spec.sinks.get(&sink.name).map(|spec| &spec.value);
    let filled = |table| task.params.fill(&task.source, table);
    match (sink.target.claim(), spec.and_then(|spec| spec.postgres.as_ref().or(spec.mysql.as_ref()))) {
        (Claim::Table(_), Some(table)) => {
            let (connection, name) = (&table.connection.value, filled(&table.table)?);
            match spec.is_some_and(|spec| spec.postgres.is_some()) {
                true => of_postgres(task, connector, connection, Some(&name), &sink.name),
                false => of_mysql(connector, connection, Some(&name), &sink.name),
            }
        }
        (Claim::Folder(path) | Claim::File(path), _) => Ok(Place::of_file(&path)),
        (Claim::Objects(url), _) => Ok(Place::of_url(&url)),
        (Claim::Table(name), None) => Ok(Place::new("table", name)),
    }
}

/// A query of a source has no name: it gets that of the source.
fn of_postgres(task: &Task, connector: &Connector, connection: &str, table: Option<&str>, name: &str) -> Result<Place> {
    let database = connector.postgres(connection)?;
    let scheme = match task.project.dialect(connection) {
        Dialect::Postgres => "postgres",
        Dialect::Redshift => "redshift",
    };
    let table = match table {
        // The search path decides; without one it is this.
        Some(table) if !table.contains('.') => format!("public.{table}"),
        Some(table) => table.to_owned(),
        None => format!("query.{name}"),
    };
    let address = address(&database.to_string(), database.name());
    Ok(Place::of_table(scheme, &address, format!("{}.{table}", database.name())))
}

fn of_mysql(connector: &Connector, connection: &str, table: Option<&str>, name: &str) -> Result<Place> {
    let database = connector.mysql(connection)?;
    let table = match table {
        Some(table) if table.contains('.') => table.to_owned(),
        Some(table) => format!("{}.{table}", database.name()),
        None => format!("{}.query.{name}", database.name()),
    };
    Ok(Place::of_table("mysql", &address(&database.to_string(), database.name()), table))
}

/// The host and port of `user@host:port/database`. A socket is one of this machine.
fn address(shown: &str, database: &str) -> String {
    let server = shown.rsplit_once('@').map_or(shown, |(_, server)| server);
    let server = server.strip_suffix(&format!("/{database}")).unwrap_or(server);
    let server = server.split(',').next().unwrap_or(server);
    match server.rsplit_once(':') {
        Some((socket, port)) if socket.starts_with('/') => format!("localhost:{port}"),
        None if server.starts_with('/') => "localhost".to_owned(),
        _ => server.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_urls_have_no_secrets_and_no_patterns() {
        for (url, namespace, name) in [
            ("s3://loans/in/2026/*.csv", "s3://loans", "in/2026"),
            ("s3://loans/*.csv", "s3://loans", "/"),
            ("gs://loans/out", "gs://loans", "out"),
            ("https://ann:secret@host:8443/a/b.csv?token=x", "https://host:8443", "a/b.csv"),
        ] {
            assert_eq!(Place::of_url(url), Place::new(namespace, name));
            assert!(!Place::of_url(url).uri().contains("secret"));
        }
        assert_eq!(Place::of_file("/data/in".as_ref()).uri(), "file:///data/in");
        assert_eq!(before_pattern("/data/in/a.csv"), "/data/in/a.csv");
        assert_eq!(before_pattern("/data/in/[ab]/*.csv"), "/data/in");
    }

    #[test]
    fn a_server_is_named_by_its_address() {
        assert_eq!(address("ann@db.example:5432/sales", "sales"), "db.example:5432");
        assert_eq!(address("ann@/run/postgresql:5432/sales", "sales"), "localhost:5432");
        assert_eq!(address("ann@a:5432,b:5433/sales", "sales"), "a:5432");
    }
}
