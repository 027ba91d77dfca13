//! Several files that are read as one input, one after the other.
//!
//! In: the files behind the first one, by name, and the header that each must have. Out: the next
//! one, open. Lines are numbered on from file to file, so that a later record has a higher number;
//! the place of one is its own file and the line there.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::file::{FileSource, Framing};
use crate::error::{Error, Result};
use crate::format::header::parse_header;

/// One of several files, told with each of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its name.
    pub file: &'static str,
    /// How many lines the files before it have.
    pub before: u64,
}

/// A file, or stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Stdin.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Piece {
    /// Returns the file's path; `None` for stdin.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Piece::Stdin => None,
            Piece::File(path) => Some(path),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn open(&self) -> Result<FileSource> {
        match self {
            Piece::Stdin => FileSource::stdin(),
            Piece::File(path) => FileSource::open(path),
        }
    }
}

/// The files that come behind the one that is being read.
#[derive(Debug)]
pub(super) struct Series {
    /// The name of all of them together.
    pub name: String,
    rest: VecDeque<Piece>,
    /// The header that each must have, if they have any.
    header: Option<Header>,
}

/// A header, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub file: String,
    pub bytes: Vec<u8>,
    pub delimiter: u8,
}

impl Series {
    /// Returns what comes behind the file `first`.
    pub fn new(first: &str, rest: Vec<Piece>) -> Self {
        let more = rest.len();
        let plural = if more == 1 { "file" } else { "files" };
        Series {
            name: format!("{first} and {more} more {plural}"),
            rest: rest.into(),
            header: None,
        }
    }

    /// Looks at each file behind the first one: whether it can be read, and has the same header.
    /// A pipe is looked at when it is its turn.
    ///
    /// # Errors
    /// `refused` when a file cannot be read, `data` when its header is another one.
    pub fn check(
        &mut self,
        header: Option<Header>,
        framing: Framing,
        interrupt: &crate::interrupt::Interrupt,
    ) -> Result<()> {
        self.header = header;
        let is_pipe = |path: &Path| {
            let metadata = path.metadata();
            metadata.is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
        };
        for path in self.rest.iter().filter_map(Piece::path) {
            interrupt.check()?;
            if is_pipe(path) {
                continue;
            }
            let mut file = FileSource::open(path)?;
            file.set_framing(framing);
            if self.header.is_none() || file.peek(interrupt)?.is_none() {
                continue;
            }
            let (line, header) = file.take_header(interrupt)?;
            self.check_header(&path.display().to_string(), line, &header)?;
        }
        Ok(())
    }

    /// Opens the next file; `None` behind the last.
    ///
    /// # Errors
    /// As [`Piece::open`].
    pub(crate) fn open_next(&mut self) -> Result<Option<FileSource>> {
        self.rest.pop_front().map(|piece| piece.open()).transpose()
    }

    /// Returns whether no file is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns whether each file begins with a header.
    pub(crate) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Refuses a header that is not that of the first file.
    pub(crate) fn check_header(&self, file: &str, line: u64, header: &[u8]) -> Result<()> {
        let Some(first) = &self.header else {
            return Ok(());
        };
        if header == first.bytes {
            return Ok(());
        }
        let names = |bytes: &[u8]| parse_header(bytes, first.delimiter);
        let own = names(header).map_err(|error| error.during(format!("reading `{file}`")))?;
        let (expected, known) = (names(&first.bytes)?, &first.file);
        if own == expected {
            return Ok(());
        }
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        let [own_list, expected_list] = [&own, &expected].map(|names| names.join(", "));
        let error = Error::data(if sorted(&own) == sorted(&expected) {
            format!(
                "{file}, line {line}: the columns are in another order than in `{known}`: {own_list} instead of {expected_list}"
            )
        } else {
            format!(
                "{file}, line {line}: the columns are {own_list}, but in `{known}` {expected_list}"
            )
        });
        Err(error.hint("files that are read together must have the same columns in the same order"))
    }
}
