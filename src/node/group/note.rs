//! What a commit says beside its offset, so that any process can ask how the group is.

use std::fmt;

use crate::engine::operator::Operator;
use crate::node::rows::now_ms;

/// The state of a task at a commit, in the commit's metadata: `task=window watermark=… …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// How far event time has come, in ms since 1970, UTC.
    pub watermark: i64,
    /// How many windows and keys are open, and how long their rows in the changelog are.
    pub rows: u64,
    /// In bytes.
    pub bytes: u64,
    /// When it was committed, in ms since 1970, UTC.
    pub at: i64,
}

impl Note {
    /// Returns the note about a task as it is now.
    pub(super) fn of(operator: &Operator) -> Self {
        let (rows, bytes) = operator.logged();
        Note {
            watermark: operator.watermarks().combined(),
            rows,
            bytes,
            at: now_ms(),
        }
    }

    /// Returns the note in a commit's metadata; `None` where it is somebody else's.
    pub fn parse(metadata: &str) -> Option<Note> {
        let mut words = metadata.strip_prefix("k:window ")?.split(' ');
        let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse::<i64>().ok();
        Some(Note {
            watermark: number("watermark=")?,
            rows: number("rows=")?.try_into().ok()?,
            bytes: number("bytes=")?.try_into().ok()?,
            at: number("at=")?,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note {
            watermark,
            rows,
            bytes,
            at,
        } = self;
        write!(
            f,
            "k:window watermark={watermark} rows={rows} bytes={bytes} at={at}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_from_its_metadata() {
        let note = Note {
            watermark: -5,
            rows: 7,
            bytes: 70,
            at: 9,
        };
        assert_eq!(Note::parse(&note.to_string()), Some(note));
        assert_eq!(Note::parse("watermark=1 counted_to=2"), None);
    }
}
