//! A table of a MySQL or MariaDB database.
//!
//! Rows are encoded by the readers, and handed to the one session that loads them into a staging table. The commit is one
//! transaction, which also enters the run: see `weir_mysql::load`.

mod encode;
mod limits;
mod server;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use weir_database::load::Mode as LoadMode;
use weir_mysql::load::{Column, Load, Table, TargetState};

use super::table::{self, DeclaredTable, Existing, OpenTable, Opened, Server as _, Session, TableLoad};
use super::{Claim, ColumnLimit, Kind, OpenTarget, SinkRun, Target};
use crate::database::SERVER_WAIT;
use crate::database::mysql::kind_of;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::task::{SinkSpec, Task};
use server::MySql;

pub(super) const KIND: Kind = Kind {
    keys: &[MySql::KEY],
    tag: MySql::KEY,
    is_declared: |_, spec| spec.mysql.is_some(),
    bind: |task, name, spec, columns, deleted| Ok(Box::new(MySqlTarget::bind(task, name, spec, columns, deleted)?)),
    is_server: true,
    transactions: table::transactions::<MySql>,
    read: |json| Ok(Box::new(serde_json::from_value::<TableLoad<MySql>>(json)?)),
};

/// Characters of a name.
const MAX_NAME: usize = 64;

/// A table as the task declares it.
#[derive(Debug)]
struct MySqlTarget {
    declared: DeclaredTable<weir_mysql::load::Kind>,
}

impl MySqlTarget {
    fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        columns: Vec<OutputColumn>,
        deleted: Option<Condition>,
    ) -> Result<Self> {
        let Some(table) = &spec.mysql else {
            return Err(Error::internal(format!("sink `{name}` was taken for a table of MySQL")));
        };
        let declared = DeclaredTable::bind(task, name, (spec, table), columns, deleted, ("MySQL", kind_of))?;
        let wrong = |message: String, help: &str| {
            Box::new(task.error(&spec.from, format!("sink `{name}`: {message}")).with_help(help))
        };
        if let Some(long) = declared.names().find(|name| name.chars().count() > MAX_NAME) {
            let message = format!("the name `{long}` is longer than the {MAX_NAME} characters that MySQL takes");
            return Err(wrong(message, "choose a shorter name").into());
        }
        // MySQL's names of columns ignore case.
        for (number, column) in declared.columns.iter().enumerate() {
            let same = |other: &&OutputColumn| other.name.to_lowercase() == column.name.to_lowercase();
            if let Some(other) = declared.columns[..number].iter().find(same) {
                let message = format!("columns `{}` and `{}` have the same name in MySQL", other.name, column.name);
                return Err(wrong(message, "rename one of them in the sink's `columns`").into());
            }
        }
        Ok(Self { declared })
    }

    fn load(&self, sink: &SinkRun<'_>) -> Load {
        let declared = &self.declared;
        let columns = declared.kinds.iter().map(|column| {
            let comment = column.comment.clone();
            let kind = if column.is_json { weir_mysql::load::Kind::Json } else { column.kind.clone() };
            Column { comment, ..Column::new(&column.name, kind) }
        });
        let mut load = Load {
            run: sink.run.to_owned(),
            sink: sink.sink.to_owned(),
            staging: format!("weir_stage_{}_{}", sink.run, sink.number),
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
impl Target for MySqlTarget {
    fn columns(&self) -> &[OutputColumn] {
        &self.declared.columns
    }

    fn place(&self) -> String {
        self.declared.place()
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        encode::try_out(self.declared.columns.iter().map(|column| batch.column(column.index)), batch.num_rows())
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
        limits::of_any_table(&self.declared.columns)
    }

    /// Only a run that writes needs the secrets of the connection.
    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let declared = &self.declared;
        let mut load = self.load(sink);
        let database = sink.connector.mysql(&declared.connection)?;
        let mut session = database.connect(SERVER_WAIT).await?;
        let opened = match load.inspect(&mut session).await? {
            TargetState::New(new) => {
                Opened { limits: limits::of_new(&new.bounds, Session::new(session)), identity: None }
            }
            TargetState::Existing(existing) => {
                let found = Existing { is_empty: existing.is_empty, last: &existing.last, own: &existing.own };
                table::check_own((&self.place(), &declared.mode, declared.adopt), &found, sink)?;
                load.fit(&existing);
                let limits = limits::of_existing(&existing, Session::new(session));
                Opened { limits, identity: Some(existing.identity) }
            }
        };
        Ok(Box::new(OpenTable::<MySql>::new(declared, sink, load, opened)))
    }
}
