//! The rows of a query as a stream of CSV text.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::serve::{BLOCKS, Outlet, Request, Rest};
use super::snapshot::MysqlSnapshot;
use crate::error::{Error, Result};
use crate::format::text::{Fill, OpenText};
use crate::place::wait;

/// A query whose rows are read.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) snapshot: Arc<MysqlSnapshot>,
    pub(super) sql: String,
}

impl OpenText for Query {
    /// Asks for the rows. The query begins when the session has done what was asked for before.
    fn open(&self) -> Result<Box<dyn Fill>> {
        let (outlet, blocks) = mpsc::channel(BLOCKS);
        let (end, rest) = oneshot::channel();
        self.snapshot.request(Request::Rows(self.sql.clone(), Outlet { blocks: outlet, end }))?;
        Ok(Box::new(Rows { snapshot: self.snapshot.clone(), from: From::Session(blocks, rest) }))
    }
}

/// The result.
struct Rows {
    snapshot: Arc<MysqlSnapshot>,
    from: From,
}

/// Where the next rows come from.
enum From {
    Session(mpsc::Receiver<Vec<u8>>, oneshot::Receiver<Result<Rest>>),
    File(File),
    End,
}

impl Rows {
    /// Appends what the session has read, or learns where the rest is.
    async fn take(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let From::Session(blocks, rest) = &mut self.from else { return Ok(()) };
        if let Some(block) = blocks.recv().await {
            bytes.extend_from_slice(&block);
            return Ok(());
        }
        self.from = match rest.await.map_err(|_| self.snapshot.has_ended())?? {
            Rest::Nothing => From::End,
            Rest::File(file) => From::File(file),
        };
        Ok(())
    }
}

impl Fill for Rows {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        let snapshot = self.snapshot.clone();
        while bytes.len() < length {
            match &mut self.from {
                From::Session(..) => wait(snapshot.unless_stopped(self.take(bytes)))?,
                From::File(file) => {
                    let missing = (length - bytes.len()) as u64;
                    let read = file.take(missing).read_to_end(bytes);
                    let read = read.map_err(|error| Error::system("rows cannot be read again", error, "run again"))?;
                    if read == 0 {
                        self.from = From::End;
                    }
                }
                From::End => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({:?})", self.snapshot)
    }
}
