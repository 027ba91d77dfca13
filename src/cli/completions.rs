//! `k completions`: scripts that complete commands and flags in a shell.

use clap_complete::Shell;

use crate::context::Context;
use crate::error::Result;

/// Print a shell script that completes commands and flags of `k`.
///
/// For bash: `k completions bash > ~/.local/share/bash-completion/completions/k`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(options: Options, _context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(false), "k", &mut script);
    super::print(&script)
}
