//! Standard input, as a file.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::arriving::{Arrival, arrived, no_archive, no_moves, not_kept};
use super::{Archive, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result};

pub(super) const KIND: Kind = Kind { name: "standard input (`-`)", holds: is_stdin, open: |_| Arc::new(StandardInput) };

const NAME: &str = "standard input";

/// Bytes per read.
const CHUNK: usize = 1 << 20;

/// Whether a path is that of standard input.
pub(crate) fn is_stdin(location: &str) -> bool {
    location == "-" || location == "/dev/stdin"
}

/// Standard input. It is read once.
#[derive(Debug)]
struct StandardInput;

/// Whether it was read.
static TAKEN: AtomicBool = AtomicBool::new(false);

#[async_trait]
impl FileSystem for StandardInput {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn arrives(&self) -> bool {
        true
    }

    async fn find(&self, _: &str, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        if io::stdin().is_terminal() {
            return Err(Error::input(NAME, "is a terminal", "pipe the data into the command, or name a file"));
        }
        if TAKEN.swap(true, Ordering::Relaxed) {
            let help = "let one source read it, and the models of the others read that source";
            return Err(Error::input(NAME, "was read already", help));
        }
        let path = arrival.scratch.join("standard-input");
        let (sender, copied) = oneshot::channel();
        let to = path.clone();
        // It may never end: the run does not wait for this thread when it is interrupted.
        std::thread::spawn(move || sender.send(copy(&to)));
        let mut stop = arrival.stop.clone();
        let copied = tokio::select! {
            copied = copied => copied.map_err(|_| Error::internal("reading standard input was aborted"))?,
            () = stop.wanted() => return Err(Error::Interrupted),
        };
        let hash = copied.map_err(|error| not_kept(NAME, error))?;
        // What arrives under the same name every time is known by its content.
        Ok(vec![arrived(&path, NAME.to_owned(), format!("-:{hash}"))?])
    }

    fn archive(&self, _: &str, _: &str) -> Result<Box<dyn Archive>, String> {
        Err(no_archive(NAME))
    }

    async fn finish_moves(&self, _: &str, moves: &[Move]) -> Result<()> {
        no_moves(moves)
    }

    async fn remove_archived(&self, _: &str, moves: &[Move]) -> Result<u64> {
        no_moves(moves).map(|()| 0)
    }
}

/// Writes standard input to a file; returns the hash of its content.
fn copy(to: &Path) -> io::Result<String> {
    let mut file = File::create(to)?;
    let mut input = io::stdin().lock();
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finalize().to_hex().to_string()),
            Ok(read) => {
                hasher.update(&chunk[..read]);
                file.write_all(&chunk[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
