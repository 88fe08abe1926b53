//! The `section4` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    section4::command::main()
}
