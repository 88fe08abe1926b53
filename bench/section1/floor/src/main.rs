//! The lower bound of the section1 benchmark: nothing but this one job, on raw bytes, with two threads.
//!
//! ```text
//! section1-floor run INPUT_DIR OUTPUT_DIR    judge the applications
//! section1-floor checksum OUTPUT_DIR         rows and checksum of each route that any contestant wrote
//! ```
//!
//! It knows the columns, their order and the rules at compile time, does not say which file or line a malformed
//! record stands in, and neither syncs nor publishes what it writes. What a contestant takes longer is the price
//! of being more than this.

mod blocks;
mod checksum;
mod judge;
mod record;
mod run;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// How many threads share the blocks: the machine the benchmark is made for has two cores.
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

/// Run `work` on every thread and return what each came to; the first error wins.
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
