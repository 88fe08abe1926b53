//! Work on other machines ends when the client has ended: nobody else would stop it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::folder::lease;
use crate::error::{Error, Result, state_io};

/// How often the client says that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// How often an executor looks.
const LOOK: Duration = Duration::from_secs(2);

/// How long an executor works for a client that says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says that the client is alive, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Begins, in the folder of a run.
    pub(super) fn begin(run: &Path) -> Result<Self> {
        let path = lease(run);
        let mut beat = 0_u64;
        std::fs::write(&path, beat.to_string()).map_err(state_io(&path))?;
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                beat += 1;
                // Where it cannot be written, the run fails anyway.
                let _ = std::fs::write(&path, beat.to_string());
            }
        });
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once, and does not panic.
            let _ = thread.join();
        }
    }
}

/// What an executor has seen of a run.
struct Seen {
    looked: Instant,
    beat: String,
    changed: Instant,
}

/// What this process has seen, by run. Clocks of several machines are not compared: it is the change that counts.
static SEEN: LazyLock<Mutex<HashMap<PathBuf, Seen>>> = LazyLock::new(Mutex::default);

/// Fails if the client of a run has ended. Looks from time to time only.
pub(super) fn check(run: &Path) -> Result<()> {
    let now = Instant::now();
    if let Some(seen) = SEEN.lock().unwrap_or_else(PoisonError::into_inner).get_mut(run) {
        if now - seen.looked < LOOK {
            return Ok(());
        }
        // Nobody else looks meanwhile.
        seen.looked = now;
    }
    // The folder may be on another machine, and take its time.
    let beat = match std::fs::read_to_string(lease(run)) {
        Ok(beat) => beat,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            SEEN.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
            return Err(ended(run));
        }
        // It may pass: the client tries again what such an error ends.
        Err(error) => {
            return Err(Error::Query { table: String::new(), message: format!("{}: {error}", run.display()) });
        }
    };
    let mut all = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = all.entry(run.to_owned()).or_insert(Seen { looked: now, beat: String::new(), changed: now });
    if seen.beat != beat {
        (seen.beat, seen.changed) = (beat, now);
    }
    let is_dead = now - seen.changed > PATIENCE;
    // Runs that nobody works for any more.
    all.retain(|_, seen| now - seen.looked < 10 * PATIENCE);
    if is_dead { Err(ended(run)) } else { Ok(()) }
}

fn ended(run: &Path) -> Error {
    let help = "if a run has failed with this: its client was stopped for a minute, or this machine does not have the shared folder";
    Error::input(run.display(), "nobody waits for what is computed here any more", help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_with_the_folder_of_the_run() {
        let run = tempfile::tempdir().unwrap();
        assert!(check(run.path()).is_err(), "there is no lease yet");
        let lease_of = Lease::begin(run.path()).unwrap();
        check(run.path()).unwrap();
        drop(lease_of);
        check(run.path()).unwrap();
        std::fs::remove_file(lease(run.path())).unwrap();
        SEEN.lock().unwrap().get_mut(run.path()).unwrap().looked -= LOOK;
        assert!(check(run.path()).is_err());
    }
}
