//! The `weir-cluster` command: runs tasks on the machines of a cluster, and is what these machines run.

use std::process::ExitCode;

use weir::allocator::{MIMALLOC, MiMalloc};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weir_cluster::with_cluster(weir::Cli::new("weir-cluster").allocator(MIMALLOC)).main()
}
