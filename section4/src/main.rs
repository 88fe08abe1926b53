//! The `section4` command.

use std::process::ExitCode;

/// Batches live only as long as it takes to write them: what matters is an allocator that hands the same memory out
/// again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    section4::command::main()
}
