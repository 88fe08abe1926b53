//! A table of a PostgreSQL database.
//!
//! Rows are encoded by the readers, and handed to the one session that copies them into a staging table. The commit is one
//! transaction, which also enters the run: see `weir_postgres::load`. Amazon Redshift takes `INSERT`s (`values`) in place of
//! a `COPY` (`encode`), and cannot hold all that PostgreSQL can (`redshift`).

mod copy;
mod encode;
mod fields;
mod limits;
mod redshift;
mod server;
mod values;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use weir_database::load::Mode as LoadMode;
use weir_postgres::Dialect;
use weir_postgres::load::{Cast, Column, Kind as ColumnKind, Load, Table, TargetState};

use super::table::{self, DeclaredTable, OpenTable, Opened, Server as _, Session, TableLoad};
use super::{Claim, ColumnLimit, Kind, OpenTarget, SinkRun, Target};
use crate::database::dialect;
use crate::database::postgres::kind_of;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::task::{SinkSpec, Task};
use server::Postgres;

pub(super) const KIND: Kind = Kind {
    keys: &[Postgres::KEY],
    tag: Postgres::KEY,
    is_declared: |_, spec| spec.postgres.is_some(),
    bind: |task, name, spec, columns, deleted| Ok(Box::new(PostgresTarget::bind(task, name, spec, columns, deleted)?)),
    is_server: true,
    transactions: table::transactions::<Postgres>,
    read: |json| Ok(Box::new(serde_json::from_value::<TableLoad<Postgres>>(json)?)),
};

/// Bytes of a name. The server cuts off the rest.
const MAX_NAME: usize = 63;
/// The same of Redshift, which refuses longer ones.
const MAX_NAME_OF_REDSHIFT: usize = 127;

/// A table as the task declares it.
#[derive(Debug)]
struct PostgresTarget {
    declared: DeclaredTable<ColumnKind>,
    dialect: Dialect,
}

impl PostgresTarget {
    fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        columns: Vec<OutputColumn>,
        deleted: Option<Condition>,
    ) -> Result<Self> {
        let Some(table) = &spec.postgres else {
            return Err(Error::internal(format!("sink `{name}` was taken for a table of PostgreSQL")));
        };
        let declared = DeclaredTable::bind(task, name, (spec, table), columns, deleted, ("PostgreSQL", kind_of))?;
        let wrong = |message: String| task.error(&spec.from, format!("sink `{name}`: {message}"));
        let dialect = dialect(&task.project, &declared.connection);
        let (most, server) = match dialect {
            Dialect::Postgres => (MAX_NAME, "PostgreSQL keeps"),
            Dialect::Redshift => (MAX_NAME_OF_REDSHIFT, "Amazon Redshift takes"),
        };
        if let Some(long) = declared.names().find(|name| name.len() > most) {
            let message = format!("the name `{long}` is longer than the {most} bytes that {server} of it");
            return Err(Box::new(wrong(message).with_help("choose a shorter name")).into());
        }
        if dialect == Dialect::Redshift {
            redshift::check(spec, &declared).map_err(|(message, help)| Box::new(wrong(message).with_help(help)))?;
        }
        Ok(Self { declared, dialect })
    }

    fn load(&self, sink: &SinkRun<'_>) -> Load {
        let declared = &self.declared;
        let columns = declared.kinds.iter().map(|column| {
            let comment = column.comment.clone();
            // Rows are copied as text, which the server casts.
            let cast = (column.is_json && self.dialect == Dialect::Postgres).then(Cast::to_jsonb);
            Column { comment, cast, ..Column::new(&column.name, column.kind.clone()) }
        });
        let mut load = Load {
            run: sink.run.to_owned(),
            sink: sink.sink.to_owned(),
            staging: format!("stage_{}_{}", sink.run, sink.number),
            table: Table {
                schema: declared.schema.clone(),
                name: declared.name.clone(),
                columns: columns.collect(),
                primary_key: declared.primary_key.clone(),
                indexes: declared.indexes.clone(),
                comment: declared.comment.clone(),
            },
            mode: declared.mode.clone(),
            create: declared.create,
            adds_columns: declared.adds_columns,
            deletion: declared.deletion.clone(),
            task: Some(sink.key.owner()),
            // With several servers one may crash when another has committed already.
            durable: sink.has_several_servers,
        };
        if let LoadMode::History { columns, .. } = &mut load.mode {
            columns.at = sink.at.to_rfc3339();
        }
        load
    }
}

#[async_trait]
impl Target for PostgresTarget {
    fn columns(&self) -> &[OutputColumn] {
        &self.declared.columns
    }

    fn place(&self) -> String {
        self.declared.place()
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let columns = self.declared.columns.iter().map(|column| batch.column(column.index));
        encode::rows(columns, batch.num_rows(), None, &mut vec![])?;
        Ok(())
    }

    fn claim(&self) -> Claim {
        Claim::Table(self.place())
    }

    fn server(&self) -> Option<&str> {
        Some(&self.declared.connection)
    }

    fn key(&self) -> &[String] {
        &self.declared.not_null
    }

    fn limits(&self) -> Vec<ColumnLimit> {
        limits::of_any_table(&self.declared.columns, self.dialect)
    }

    /// Only a run that writes needs the secrets of the connection.
    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let declared = &self.declared;
        let mut load = self.load(sink);
        let mut session = Postgres::connect(sink.connector, &declared.connection).await?;
        let mut opened = Opened { limits: vec![], identity: None };
        let (database, client) = &mut session;
        let state = load.inspect(database, client).await?;
        if let TargetState::Existing(existing) = &state {
            let found = table::Existing { is_empty: existing.is_empty, last: &existing.last, own: &existing.own };
            table::check_own((&self.place(), &declared.mode, declared.adopt), &found, sink)?;
            // If it is dropped meanwhile, it is not made anew: its rights and all else that is not declared would be gone.
            load.create = false;
            for column in &mut load.table.columns {
                column.is_new = existing.added.contains(&column.name);
                let cast = existing.casts.iter().find(|(name, _)| *name == column.name);
                column.cast = cast.map(|(_, cast)| cast.clone()).or(column.cast.take().filter(|_| column.is_new));
            }
            if let Some(mark) = load.deletion.as_mut().and_then(|deletion| deletion.mark.as_mut()) {
                mark.is_boolean = existing.mark_is_boolean;
            }
            opened.limits = limits::of_existing(existing, self.dialect);
            opened.identity = Some(existing.identity.clone());
        }
        opened.limits.extend(limits::of_casts(&state, &load.table.columns, Session::new(session)));
        Ok(Box::new(OpenTable::<Postgres>::new(declared, sink, load, opened)))
    }
}
