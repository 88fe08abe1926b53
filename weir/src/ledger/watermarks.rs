//! Up to which value of its cursor a source was read.

use rusqlite::{OptionalExtension, params};

use super::Ledger;
use crate::error::Result;
use crate::report::RunKey;

/// The position up to which published runs have read a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) run: String,
    /// The column.
    pub(crate) cursor: String,
    /// Its greatest value, as the server writes it.
    pub(crate) value: String,
}

impl Ledger {
    /// The watermark of the last published run that has read a source.
    pub(crate) fn watermark(&self, key: &RunKey, source: &str) -> Result<Option<Watermark>> {
        self.ask(|c| {
            // A look that changes nothing may meet the tables of an older version.
            if !c.table_exists(None, "watermark")? {
                return Ok(None);
            }
            let of = params![source, key.task, key.environment, key.window];
            let row = c.query_row(
                r#"select run.id, watermark.cursor, watermark.value
                   from watermark join run on run.id = watermark.run
                   where watermark.source = ?1 and run.task = ?2 and run.environment = ?3 and run."window" is ?4
                     and run.state = 'done'
                   order by watermark.rowid desc limit 1"#,
                of,
                |row| Ok(Watermark { run: row.get(0)?, cursor: row.get(1)?, value: row.get(2)? }),
            );
            row.optional()
        })
    }

    /// Enters up to where a run reads. It counts once the run is published.
    pub(crate) fn reads_up_to(&mut self, run: &str, source: &str, cursor: &str, value: &str) -> Result<()> {
        self.write(|t| {
            t.execute(
                "insert into watermark (run, source, cursor, value) values (?1, ?2, ?3, ?4)",
                params![run, source, cursor, value],
            )
            .map(drop)
        })
    }
}
