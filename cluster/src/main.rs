//! The `weir-cluster` command.

fn main() {}
