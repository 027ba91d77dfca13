//! `k completions`: the script that completes `k`'s flags in a shell.

use std::io::Write;

use clap_complete::Shell;

use crate::cli::Context;
use crate::error::{Error, Result};

/// Print the script that completes `k`'s flags in a shell.
///
/// For bash: `k completions bash > ~/.local/share/bash-completion/completions/k`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Which shell.
    shell: Shell,
}

pub(super) fn run(options: Options, _context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "k", &mut script);
    let mut stdout = std::io::stdout();
    stdout
        .write_all(&script)
        .and_then(|()| stdout.flush())
        .map_err(|source| Error::io("write the script", source))
}
