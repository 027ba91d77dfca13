//! What a person names as a source or sink: `-`, a file, a topic.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A source or a sink by name.
///
/// `-` is stdin or stdout; `file:P` and `topic:N` are explicit; a bare name with `/` or ending in
/// .csv, .json or .jsonl is a file, any other a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Stdin or stdout.
    Pipe,
    /// A file.
    File(PathBuf),
    /// A topic.
    Topic(String),
}

impl FromStr for Endpoint {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        const ENDINGS: [&str; 3] = [".csv", ".json", ".jsonl"];
        Ok(if name == "-" {
            Endpoint::Pipe
        } else if let Some(path) = name.strip_prefix("file:") {
            Endpoint::File(path.into())
        } else if let Some(topic) = name.strip_prefix("topic:") {
            Endpoint::Topic(topic.to_owned())
        } else if name.contains('/') || ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            Endpoint::File(name.into())
        } else {
            Endpoint::Topic(name.to_owned())
        })
    }
}

impl Endpoint {
    /// Returns whether reading from it reads the regular file at `path`, however it is named.
    pub fn reads(&self, path: &Path) -> bool {
        let input = match self {
            Endpoint::Pipe => rustix::fs::fstat(rustix::stdio::stdin()),
            Endpoint::File(from) => rustix::fs::stat(from),
            Endpoint::Topic(_) => return false,
        };
        let (Ok(input), Ok(output)) = (input, rustix::fs::stat(path)) else {
            return false;
        };
        (input.st_dev, input.st_ino) == (output.st_dev, output.st_ino)
            && rustix::fs::FileType::from_raw_mode(input.st_mode).is_file()
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

/// Returns whether stdin is an input where none is named: a pipe, a socket or a redirected file,
/// but no terminal and not /dev/null.
pub(crate) fn stdin_is_input() -> bool {
    use rustix::fs::FileType;
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
        for file in ["a.csv", "data/x", "b.jsonl", "c.json", "./d"] {
            assert_eq!(endpoint(file), Endpoint::File(file.into()), "{file}");
        }
        assert_eq!(endpoint("file:plain"), Endpoint::File("plain".into()));
    }
}
