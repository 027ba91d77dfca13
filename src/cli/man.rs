//! `k man`: the manual pages, for packagers.

use std::path::PathBuf;

use crate::context::Context;
use crate::error::{Error, Result};

/// Write the manual pages of `k` and its commands into a folder.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The folder, such as `man1` in a folder of MANPATH.
    folder: PathBuf,
}

pub(super) fn run(options: Options, _context: &Context) -> Result<()> {
    let folder = options.folder;
    std::fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(super::command(false), &folder))
        .map_err(|source| Error::io(format!("write in `{}`", folder.display()), source))
}
