//! The `section2` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    section2::command::main()
}
