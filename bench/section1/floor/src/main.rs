//! The lower bound of the section1 benchmark: only this job, on raw bytes, with two threads.
//!
//! ```text
//! section1-floor run INPUT_DIR OUTPUT_DIR    process the applications
//! section1-floor checksum OUTPUT_DIR         rows and checksum of each route in a contestant's output
//! ```
//!
//! The columns, their order and the rules are fixed at compile time. It does not report file and line of a malformed
//! record, and neither syncs nor atomically publishes its output. The additional time of the contestants is the price
//! of these features.

mod blocks;
mod checksum;
mod judge;
mod record;
mod run;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// Number of threads that share the blocks: the reference machine has two cores.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["run", input, output] => run::run(Path::new(input), Path::new(output)),
        ["checksum", output] => checksum::print(Path::new(output)),
        _ => Err("usage: section1-floor run INPUT_DIR OUTPUT_DIR | checksum OUTPUT_DIR".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("section1-floor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Run `work` on every thread and return the results; the first error is returned.
fn on_every_thread<T: Send>(
    work: impl Fn(usize) -> Result<T, Box<dyn Error + Send + Sync>> + Sync,
) -> Result<Vec<T>, Box<dyn Error>> {
    let work = &work;
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic aborts the program"))
            .collect()
    });
    results
        .into_iter()
        .map(|result| result.map_err(|error| error as Box<dyn Error>))
        .collect()
}
