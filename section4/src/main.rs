//! The `section4` command.

use std::process::ExitCode;

/// Batches live only until they are written, so an allocator that reuses memory quickly matters.
#[global_allocator]
static ALLOCATOR: weir::allocator::MiMalloc = weir::allocator::MiMalloc;

fn main() -> ExitCode {
    section4::command::main()
}
