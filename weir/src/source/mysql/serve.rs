//! The session of a run: it does one thing after the other, for all scans of the run.
//!
//! A scan takes its rows from a bounded channel. If it does not while another request waits, the rest of its rows goes into
//! a file, from which it reads on: otherwise a join whose sides are read in turns would wait for itself.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    let mut serving = Serving { session, queue: Queue { requests, waiting: VecDeque::new() }, scratch };
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
    queue: Queue,
    scratch: PathBuf,
}

/// The requests, of which some were taken out of the channel.
struct Queue {
    requests: mpsc::UnboundedReceiver<Request>,
    waiting: VecDeque<Request>,
}

impl Queue {
    async fn next(&mut self) -> Option<Request> {
        match self.waiting.pop_front() {
            Some(next) => Some(next),
            None => self.requests.recv().await,
        }
    }

    /// Comes back when a request waits.
    async fn wait(&mut self) {
        if self.waiting.is_empty() {
            match self.requests.recv().await {
                Some(request) => self.waiting.push_back(request),
                None => std::future::pending().await,
            }
        }
    }

    /// Whether the session is to end, so that nobody wants the rest of an answer.
    fn is_over(&mut self) -> bool {
        while let Ok(request) = self.requests.try_recv() {
            self.waiting.push_back(request);
        }
        self.waiting.iter().any(|request| matches!(request, Request::End(_)))
    }
}

impl Serving {
    /// Returns whom to tell that the session has ended.
    async fn all(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            // Who has asked may have gone.
            match self.queue.next().await? {
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
        let Self { session, queue, scratch } = self;
        let mut rows = session.csv(sql).await?;
        let mut has_more = true;
        while has_more {
            let mut block = new_block();
            has_more = rows.append(&mut block, BLOCK_BYTES).await?;
            let block = match blocks.try_send(block) {
                Ok(()) => continue,
                // The scan has ended early. Its rows are read, because another request may follow.
                Err(TrySendError::Closed(_)) if !queue.is_over() => continue,
                Err(TrySendError::Full(block)) => block,
                Err(TrySendError::Closed(_)) => return Ok(Rest::Nothing),
            };
            tokio::select! {
                biased;
                place = blocks.reserve() => {
                    if let Ok(place) = place {
                        place.send(block);
                    }
                }
                () = queue.wait() => {
                    if queue.is_over() {
                        return Err(Error::internal("a scan of a session that is to end"));
                    }
                    let mut file = write(spill_file(scratch)?, block, scratch).await?;
                    while has_more {
                        let mut block = new_block();
                        has_more = rows.append(&mut block, BLOCK_BYTES).await?;
                        file = write(file, block, scratch).await?;
                    }
                    file.rewind().map_err(state_io(scratch))?;
                    return Ok(Rest::File(file));
                }
            }
        }
        Ok(Rest::Nothing)
    }
}

fn new_block() -> Vec<u8> {
    Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8)
}

/// A file without a name: it is gone when it is closed.
fn spill_file(folder: &Path) -> Result<File> {
    /// Sessions with several servers have the same folder.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let path = folder.join(format!("mysql-rows-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
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
