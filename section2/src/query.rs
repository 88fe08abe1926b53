//! The company's queries, by name.

use std::fmt::Write as _;
use std::pin::pin;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use futures::TryStreamExt;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::types::Type;
use weir_postgres::tokio_postgres::{Client, SimpleQueryMessage};

use crate::Result;

/// A query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// The ten members who have spent the most.
    TopMembers,
    /// The three most frequently ordered items.
    TopItems,
}

impl Question {
    /// The SQL of the query.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::TopMembers => include_str!("../queries/top-members.sql"),
            Self::TopItems => include_str!("../queries/top-items.sql"),
        }
    }
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, human-readable.
    Table,
    /// Comma-separated values with a header, in PostgreSQL's format.
    Csv,
    /// An array with an object per row; numbers are exact.
    Json,
}

/// Runs a query; returns its result as text, which ends with a line break.
pub async fn answer(database: &Database, client: &Client, question: Question, format: Format) -> Result<String> {
    let answer = match format {
        Format::Table => table(client, question.sql()).await,
        Format::Csv => csv(client, question.sql()).await,
        Format::Json => json(client, question.sql()).await,
    };
    Ok(answer.map_err(|error| database.statement_error(&error))?)
}

type Answer = Result<String, weir_postgres::tokio_postgres::Error>;

async fn table(client: &Client, sql: &str) -> Answer {
    let statement = client.prepare(sql).await?;
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(statement.columns().iter().map(|column| column.name()));
    let alignments: Vec<_> = statement.columns().iter().map(|column| alignment(column.type_())).collect();
    for message in client.simple_query(sql).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let cells = alignments.iter().enumerate();
        table.add_row(cells.map(|(i, alignment)| Cell::new(row.get(i).unwrap_or("")).set_alignment(*alignment)));
    }
    for (column, alignment) in table.column_iter_mut().zip(alignments) {
        column.set_cell_alignment(alignment);
    }
    let mut text = String::new();
    for line in table.lines() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    Ok(text)
}

fn alignment(of: &Type) -> CellAlignment {
    match *of {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC => CellAlignment::Right,
        _ => CellAlignment::Left,
    }
}

async fn csv(client: &Client, sql: &str) -> Answer {
    let copied = client.copy_out(&format!("copy ({sql}) to stdout with (format csv, header)")).await?;
    let mut copied = pin!(copied);
    let mut bytes = Vec::new();
    while let Some(more) = copied.try_next().await? {
        bytes.extend_from_slice(&more);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn json(client: &Client, sql: &str) -> Answer {
    let row =
        client.query_one(&format!("select coalesce(json_agg(answer), '[]')::text from ({sql}) as answer"), &[]).await?;
    Ok(row.get::<_, String>(0) + "\n")
}
