//! The `weir` command: runs tasks that need no functions of their own.

use std::process::ExitCode;

use weir::allocator::{MIMALLOC, MiMalloc};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weir::Cli::new("weir").allocator(MIMALLOC).main()
}
