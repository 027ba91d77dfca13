//! What can be named as a source or sink: `-`, a file, a topic.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{FileType, Stat};

use super::names::prefixed;
use crate::error::{Error, Result};
use crate::source::series::Piece;

/// A source or a sink by name.
///
/// `-` is stdin or stdout; `file:P` and `topic:N` are explicit. A bare name is a file if it contains `/`,
/// ends like a file or if such a file exists; otherwise it is a topic, which gets K_PREFIX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Stdin or stdout.
    Pipe,
    /// A file.
    File(PathBuf),
    /// A topic.
    Topic(String),
}

/// The endings of file names, in any case.
const ENDINGS: [&str; 12] = [
    "csv", "tsv", "txt", "log", "json", "jsonl", "ndjson", "gz", "zst", "bz2", "xz", "zip",
];

/// Returns whether a name ends like that of a file.
pub(crate) fn has_ending_of_file(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
    })
}

/// Returns whether a bare name is that of a file.
fn is_file_name(name: &str) -> bool {
    let path = Path::new(name);
    let exists = || path.metadata().is_ok_and(|metadata| !metadata.is_dir());
    name.contains('/') || has_ending_of_file(path) || is_pattern(name) || exists()
}

/// Returns whether a name has a wildcard; names of topics have none.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

impl FromStr for Endpoint {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(if name == "-" {
            Endpoint::Pipe
        } else if let Some(path) = name.strip_prefix("file:") {
            Endpoint::File(path.into())
        } else if let Some(topic) = name.strip_prefix("topic:") {
            Endpoint::Topic(prefixed(topic))
        } else if is_file_name(name) {
            Endpoint::File(name.into())
        } else {
            Endpoint::Topic(prefixed(name))
        })
    }
}

/// Returns sources with each pattern replaced by its files, sorted by name. If a file has the very name of
/// the pattern, it is taken instead.
///
/// # Errors
/// `refused` for a pattern that no file matches, `usage` for an invalid one.
pub(crate) fn expand<'e>(named: impl IntoIterator<Item = &'e Endpoint>) -> Result<Vec<Endpoint>> {
    let mut sources = Vec::new();
    for source in named {
        let pattern = match source {
            Endpoint::File(path) if !path.exists() => path.to_str().filter(|name| is_pattern(name)),
            _ => None,
        };
        let Some(pattern) = pattern else {
            sources.push(source.clone());
            continue;
        };
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        let found = glob::glob_with(pattern, options).map_err(|error| {
            Error::usage(format!("`{pattern}` is not a valid pattern: {}", error.msg))
                .hint("`*` matches any characters, `?` one character, `[a-c]` one of these")
        })?;
        let before = sources.len();
        for path in found {
            let path = path.map_err(|error| {
                let path = error.path().display().to_string();
                Error::io(format!("read `{path}`"), error.into())
            })?;
            if !path.is_dir() {
                sources.push(Endpoint::File(path));
            }
        }
        if sources.len() == before {
            return Err(Error::refused(format!("no file matches `{pattern}`")));
        }
    }
    Ok(sources)
}

/// Returns what is read: one topic, or files and stdin, one after the other.
///
/// # Errors
/// As [`expand`]; `usage` for several topics, or a topic among files.
pub(crate) fn one_input(named: &[Endpoint]) -> Result<OneInput> {
    let sources = expand(named)?;
    if let [Endpoint::Topic(topic)] = &sources[..] {
        return Ok(OneInput::Topic(topic.clone()));
    }
    let mut pieces = Vec::with_capacity(sources.len());
    for source in sources {
        pieces.push(match source {
            Endpoint::Pipe if pieces.contains(&Piece::Stdin) => {
                return Err(Error::usage(
                    "`-` is named twice, but there is only one stdin",
                ));
            }
            Endpoint::Pipe => Piece::Stdin,
            Endpoint::File(path) => Piece::File(path),
            Endpoint::Topic(name) => {
                let error = Error::usage(format!(
                    "several sources must all be files, and there is no file `{name}`"
                ));
                return Err(error.hint("only one topic can be read at a time"));
            }
        });
    }
    Ok(OneInput::Lines(pieces))
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OneInput {
    /// A topic.
    Topic(String),
    /// Files and stdin, at least one, one after the other.
    Lines(Vec<Piece>),
}

impl OneInput {
    /// Returns what is read, piece by piece.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let piece = |piece: &Piece| match piece {
            Piece::Stdin => Endpoint::Pipe,
            Piece::File(path) => Endpoint::File(path.clone()),
        };
        match self {
            OneInput::Topic(topic) => vec![Endpoint::Topic(topic.clone())],
            OneInput::Lines(pieces) => pieces.iter().map(piece).collect(),
        }
    }
}

/// What identifies a file, whatever name it is opened by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    /// For a file that does not exist yet: its name, and the two numbers of its folder.
    name: Option<OsString>,
}

impl FileId {
    /// Returns the file at a path, following links; `None` for pipes and devices, where nothing can
    /// be overwritten, and for a folder that does not exist.
    pub fn of(path: &Path) -> Option<Self> {
        const LINKS: usize = 40; // as many as the system follows
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            if let Ok(status) = rustix::fs::stat(&path) {
                return Self::of_regular(&status);
            }
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder.to_owned(),
                _ => PathBuf::from("."),
            };
            match std::fs::read_link(&path) {
                Ok(target) => path = folder.join(target),
                Err(_) => {
                    let name = Some(path.file_name()?.to_owned());
                    return Some(FileId::new(&rustix::fs::stat(&folder).ok()?, name));
                }
            }
        }
        None
    }

    fn of_regular(status: &Stat) -> Option<Self> {
        let is_regular = FileType::from_raw_mode(status.st_mode).is_file();
        is_regular.then(|| FileId::new(status, None))
    }

    fn new(status: &Stat, name: Option<OsString>) -> Self {
        // The widths of these numbers depend on the system.
        #[allow(clippy::unnecessary_cast)]
        FileId {
            device: status.st_dev as u64,
            inode: status.st_ino as u64,
            name,
        }
    }
}

impl Endpoint {
    /// Returns the file that reading from an endpoint reads.
    fn file_read(&self) -> Option<FileId> {
        let status = match self {
            Endpoint::Pipe => rustix::fs::fstat(rustix::stdio::stdin()),
            Endpoint::File(from) => rustix::fs::stat(from),
            Endpoint::Topic(_) => return None,
        };
        FileId::of_regular(&status.ok()?)
    }

    /// Returns the file that writing to an endpoint writes.
    fn file_written(&self) -> Option<FileId> {
        match self {
            Endpoint::Pipe => FileId::of_regular(&rustix::fs::fstat(rustix::stdio::stdout()).ok()?),
            Endpoint::File(to) => FileId::of(to),
            Endpoint::Topic(_) => None,
        }
    }
}

/// Refuses to write to an input, and to write two outputs to one file, whatever names they are given: one
/// would overwrite the other. Each output comes with its flag.
///
/// # Errors
/// `refused` for an input, `usage` for a file that is named twice.
pub(crate) fn refuse_collisions<'e>(
    inputs: &[Endpoint],
    outputs: impl IntoIterator<Item = (&'static str, &'e Endpoint)>,
) -> Result<()> {
    let read: Vec<FileId> = inputs.iter().filter_map(|from| from.file_read()).collect();
    let mut written: Vec<(&str, &Endpoint, FileId)> = Vec::new();
    for (flag, to) in outputs {
        if let (true, Endpoint::Topic(topic)) = (inputs.contains(to), to) {
            return Err(Error::usage(format!(
                "topic `{topic}` is an input: what `{flag}` writes would be read again, in an endless loop"
            )));
        }
        let Some(file) = to.file_written() else {
            continue;
        };
        if read.contains(&file) {
            let to = match to {
                Endpoint::Pipe => "stdout".to_owned(),
                to => format!("`{to}`"),
            };
            return Err(Error::refused(format!(
                "{to} is an input: `{flag}` would overwrite it"
            )));
        }
        // Two outputs that go to stdout write one after the other.
        let is_stdout = |other: &Endpoint| [other, to] == [&Endpoint::Pipe; 2];
        let mut others = written.iter();
        let collides = |(_, other, its): &&(_, &Endpoint, _)| *its == file && !is_stdout(other);
        if let Some((other, its, _)) = others.find(collides) {
            return Err(Error::usage(format!(
                "`{other} {its}` and `{flag} {to}` are the same file: each would overwrite the other"
            ))
            .hint("name another file for one of them"));
        }
        written.push((flag, to, file));
    }
    Ok(())
}

impl Endpoint {
    /// Returns ` to out.csv`, to follow a number of rows; nothing for stdout, where the rows are
    /// visible.
    pub fn behind_rows(&self) -> String {
        match self {
            Endpoint::Pipe => String::new(),
            to => format!(" to {to}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Pipe => f.write_str("-"),
            Endpoint::File(path) => write!(f, "{}", path.display()),
            Endpoint::Topic(name) => write!(f, "topic:{name}"),
        }
    }
}

/// Returns whether stdin is the input if none is named: it is for a pipe, a socket or a redirected file,
/// but not for a terminal or /dev/null.
pub(crate) fn stdin_is_input() -> bool {
    let status = rustix::fs::fstat(rustix::stdio::stdin());
    status.is_ok_and(|status| {
        let kind = FileType::from_raw_mode(status.st_mode);
        matches!(
            kind,
            FileType::Fifo | FileType::Socket | FileType::RegularFile
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_rule() {
        let endpoint = |name: &str| name.parse::<Endpoint>().expect("infallible");
        assert_eq!(endpoint("-"), Endpoint::Pipe);
        assert_eq!(
            endpoint("mono_signal"),
            Endpoint::Topic("mono_signal".to_owned())
        );
        assert_eq!(endpoint("topic:a.csv"), Endpoint::Topic("a.csv".to_owned()));
        let files = [
            "a.csv", "data/x", "b.jsonl", "c.json", "./d", "tab.tsv", "out.txt", "k.log",
        ];
        // The tests run where Cargo.toml is: `LICENSE` exists.
        let more = ["e.ndjson", "f.csv.gz", "g.zst", "H.CSV", "LICENSE"];
        for file in files.into_iter().chain(more) {
            assert_eq!(endpoint(file), Endpoint::File(file.into()), "{file}");
        }
        // Dots are common in the names of topics, and `src` is a folder.
        for topic in ["orders.v1", "a.csv.b", "csv", ".csv", "src"] {
            assert_eq!(endpoint(topic), Endpoint::Topic(topic.into()), "{topic}");
        }
        assert_eq!(endpoint("file:plain"), Endpoint::File("plain".into()));
    }

    #[test]
    fn one_file_is_known_by_any_of_its_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "a").expect("a file");
        std::fs::hard_link(at("a"), at("hard")).expect("a link");
        std::os::unix::fs::symlink("a", at("soft")).expect("a link");
        std::os::unix::fs::symlink("new", at("dangling")).expect("a link");
        std::os::unix::fs::symlink("loop", at("loop")).expect("a link");
        let a = FileId::of(&at("a"));
        assert!(a.is_some());
        for same in ["hard", "soft", "./a"] {
            assert_eq!(FileId::of(&at(same)), a, "{same}");
        }
        let new = FileId::of(&at("new"));
        assert!(new.is_some() && new != a);
        assert_eq!(FileId::of(&at("dangling")), new);
        assert_ne!(FileId::of(&at("other")), new);
        for nothing in ["no/such/folder", "loop"] {
            assert_eq!(FileId::of(&at(nothing)), None, "{nothing}");
        }
        assert_eq!(FileId::of(Path::new("/dev/null")), None);
    }
}
