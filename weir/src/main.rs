//! The `weir` command: runs tasks that need no functions of their own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    weir::Cli::new("weir").main()
}
