//! Points at which a debug build can be told to die or to fail, so that tests can walk through them all.
//!
//! `WEIR_FAULT=published` kills the process where it reaches the point `published`, `published:2` where it reaches it
//! for the second time, and `exchange=22` makes the system call at that point fail with that error. `prepared+term` sends
//! the process a SIGTERM where it reaches that point for the first time, and `prepared+stop` stops it there until it is told
//! to go on. Several are separated by commas. A release build has none of this.

/// A point that a run reaches.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &'static str) {
    if let Some(signal) = wanted::signal(name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        // Time for the thread that takes the signal.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    if wanted::is_kill(name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// A system call that can be told to fail.
#[cfg(debug_assertions)]
pub(crate) fn call(name: &'static str) -> std::io::Result<()> {
    wanted::error(name).map_or(Ok(()), |code| Err(std::io::Error::from_raw_os_error(code)))
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_: &'static str) {}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn call(_: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(debug_assertions)]
mod wanted {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use rustix::process::Signal;

    static FAULTS: LazyLock<String> = LazyLock::new(|| std::env::var("WEIR_FAULT").unwrap_or_default());
    static COME_BY: LazyLock<Mutex<HashMap<&'static str, u32>>> = LazyLock::new(Mutex::default);

    pub(super) fn is_kill(name: &'static str) -> bool {
        let mut kills = FAULTS.split(',').filter_map(|fault| match fault.split_once(':') {
            Some((point, time)) => (point == name).then(|| time.parse().ok()).flatten(),
            None => (fault == name).then_some(1),
        });
        let Some(time) = kills.next() else { return false };
        times(name) == time
    }

    /// How many times a point was reached, this time included.
    fn times(name: &'static str) -> u32 {
        let mut come_by = COME_BY.lock().unwrap_or_else(PoisonError::into_inner);
        let times = come_by.entry(name).or_insert(0u32);
        *times += 1;
        *times
    }

    pub(super) fn signal(name: &'static str) -> Option<Signal> {
        let mut signals = FAULTS.split(',').filter_map(|fault| fault.split_once('+'));
        let signal = signals.find_map(|(point, signal)| (point == name).then_some(signal))?;
        if times(name) > 1 {
            return None;
        }
        match signal {
            "term" => Some(Signal::TERM),
            "stop" => Some(Signal::STOP),
            _ => None,
        }
    }

    pub(super) fn error(name: &str) -> Option<i32> {
        let mut faults = FAULTS.split(',').filter_map(|fault| fault.split_once('='));
        faults.find_map(|(call, code)| (call == name).then(|| code.parse().ok()).flatten())
    }
}
