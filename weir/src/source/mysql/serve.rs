//! The session of a run: it does one thing after the other, for all scans of the run.
//!
//! A scan takes its rows from a bounded channel. If it does not while another request waits, the rest of its rows goes into
//! a file, from which it reads on: otherwise a join whose sides are read in turns would wait for itself.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use weir_mysql::Session;
use weir_mysql::mysql_async::{Column, Row, Value};

use crate::error::{Error, Result, state_io};
use crate::system::stop::Stop;

/// Bytes of rows that are handed over at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// The number of blocks that wait for a scan.
pub(super) const BLOCKS: usize = 4;

/// A row of an answer; null is none.
pub(super) type Answer = Vec<Option<String>>;

/// What the session is to do.
pub(super) enum Request {
    /// Read the rows of a query as CSV.
    Rows(String, Outlet),
    /// Answer a query with few rows.
    Ask(String, oneshot::Sender<Result<Vec<Answer>>>),
    /// Describe the result of a query, which is not executed.
    Columns(String, oneshot::Sender<Result<Arc<[Column]>>>),
    /// End.
    End(oneshot::Sender<()>),
}

/// Where the rows of a query go.
pub(super) struct Outlet {
    pub(super) blocks: mpsc::Sender<Vec<u8>>,
    /// What follows the blocks.
    pub(super) end: oneshot::Sender<Result<Rest>>,
}

/// What follows the blocks of a scan.
pub(super) enum Rest {
    Nothing,
    /// The other rows, from the beginning of a file.
    File(File),
}

/// Serves requests until there are no more, or nobody is left who waits for one.
pub(super) async fn serve(
    session: Session,
    requests: mpsc::UnboundedReceiver<Request>,
    mut is_used: oneshot::Receiver<()>,
    scratch: PathBuf,
    mut stop: Stop,
) {
    let mut serving = Serving { session, requests, waiting: VecDeque::new(), scratch };
    let ended = tokio::select! {
        ended = serving.all() => ended,
        () = stop.wanted() => None,
        _ = &mut is_used => None,
    };
    // This does not wait for the rest of an answer.
    serving.session.end().await;
    if let Some(ended) = ended {
        let _ = ended.send(());
    }
}

struct Serving {
    session: Session,
    requests: mpsc::UnboundedReceiver<Request>,
    /// Requests that were taken out of the channel.
    waiting: VecDeque<Request>,
    scratch: PathBuf,
}

impl Serving {
    /// Returns whom to tell that the session has ended.
    async fn all(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            let next = match self.waiting.pop_front() {
                Some(next) => next,
                None => self.requests.recv().await?,
            };
            // Who has asked may have gone.
            match next {
                Request::Rows(sql, outlet) => {
                    let Outlet { blocks, end } = outlet;
                    let rest = self.rows(&sql, &blocks).await;
                    drop(blocks);
                    let _ = end.send(rest);
                }
                Request::Ask(sql, reply) => {
                    let rows = self.session.query::<Row>(&sql).await;
                    let _ = reply.send(rows.map(|rows| rows.into_iter().map(texts).collect()).map_err(Error::from));
                }
                Request::Columns(sql, reply) => {
                    let _ = reply.send(self.session.columns(&sql).await.map_err(Error::from));
                }
                Request::End(ended) => return Some(ended),
            }
        }
    }

    async fn rows(&mut self, sql: &str, blocks: &mpsc::Sender<Vec<u8>>) -> Result<Rest> {
        let mut rows = self.session.csv(sql).await?;
        let mut has_more = true;
        while has_more {
            let mut block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
            has_more = rows.append(&mut block, BLOCK_BYTES).await?;
            let mut block = match blocks.try_send(block) {
                Ok(()) => continue,
                // The scan has ended early. Its rows are read, because another request may follow.
                Err(TrySendError::Closed(_)) => continue,
                Err(TrySendError::Full(block)) => block,
            };
            if self.waiting.is_empty() {
                tokio::select! {
                    biased;
                    place = blocks.reserve() => {
                        if let Ok(place) = place {
                            place.send(block);
                        }
                        continue;
                    }
                    Some(request) = self.requests.recv() => self.waiting.push_back(request),
                }
            }
            let mut file = spill_file(&self.scratch)?;
            loop {
                file = write(file, block, &self.scratch).await?;
                if !has_more {
                    file.rewind().map_err(state_io(&self.scratch))?;
                    return Ok(Rest::File(file));
                }
                block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
                has_more = rows.append(&mut block, BLOCK_BYTES).await?;
            }
        }
        Ok(Rest::Nothing)
    }
}

/// A file without a name: it is gone when it is closed.
fn spill_file(folder: &Path) -> Result<File> {
    let path = folder.join("mysql-rows");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(state_io(&path))?;
    std::fs::remove_file(&path).map_err(state_io(&path))?;
    Ok(file)
}

async fn write(mut file: File, block: Vec<u8>, folder: &Path) -> Result<File> {
    let written = tokio::task::spawn_blocking(move || file.write_all(&block).map(|()| file));
    written.await.map_err(Error::internal)?.map_err(state_io(folder))
}

fn texts(row: Row) -> Answer {
    let text = |value| match value {
        Value::NULL => None,
        Value::Bytes(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        other => Some(other.as_sql(true)),
    };
    row.unwrap_raw().into_iter().flatten().map(text).collect()
}
