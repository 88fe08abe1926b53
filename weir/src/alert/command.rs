//! An alert that starts a program.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Notice;
use super::send::Attempt;

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A program that is killed, with all that it has started, if nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL); // it may have ended since
            let _ = self.0.wait();
        }
    }
}

/// Starts the program, and waits for its end. Its output is not a part of that of the run.
pub(super) async fn run(program: &Path, arguments: &[String], notice: &Notice) -> Result<(), Attempt> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    for (variable, value) in [
        ("WEIR_ALERT_EVENT", notice.event_name()),
        ("WEIR_ALERT_TASK", &notice.key.task),
        ("WEIR_ALERT_ENVIRONMENT", &notice.key.environment),
        ("WEIR_ALERT_WINDOW", notice.key.window.as_deref().unwrap_or_default()),
        ("WEIR_ALERT_RUN", &notice.run),
        ("WEIR_ALERT_TEXT", &notice.text()),
    ] {
        command.env(variable, value);
    }
    let child =
        command.spawn().map_err(|error| Attempt::failed(format!("{name} cannot be started: {error}"), false))?;
    let mut running = Running(child);
    if let Some(mut input) = running.0.stdin.take() {
        let text = notice.json().to_string();
        // A program that does not read would make it wait. The thread ends with the program.
        std::thread::spawn(move || input.write_all(text.as_bytes()));
    }
    loop {
        match running.0.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(Attempt::failed(format!("{name} ended with {status}"), true)),
            Ok(None) => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(Attempt::failed(format!("{name} cannot be waited for: {error}"), false)),
        }
    }
}
