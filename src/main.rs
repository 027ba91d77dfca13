//! Parses the command line, runs the command, prints the one error, chooses the exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    k::cli::main()
}
