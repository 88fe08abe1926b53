//! The `section5` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    section5::command::main()
}
