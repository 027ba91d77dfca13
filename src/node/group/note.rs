//! What a commit says beside its offset, so that any process can ask how the group is.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::engine::save;
use crate::node::rows::now_ms;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything: the records of its partition in, rows out.
    Window,
    /// Reads the input, judges records and adds them up for the tasks downstream.
    Upstream,
    /// Puts together what the tasks upstream have sent, and holds the windows.
    Downstream,
}

/// The state of a task at a commit, in the commit's metadata: `k:window watermark=… …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What the task does.
    pub role: Role,
    /// How far event time has come, in ms since 1970, UTC.
    pub watermark: i64,
    /// How many windows and keys are open, and how long their rows in the changelog are.
    pub rows: u64,
    /// In bytes.
    pub bytes: u64,
    /// When it was committed, in ms since 1970, UTC.
    pub at: i64,
    /// What else the task needs to go on: upstream its watermark, downstream how far it has seen
    /// the tasks upstream.
    pub(super) state: Vec<u8>,
}

impl Role {
    const ALL: [Role; 3] = [Role::Window, Role::Upstream, Role::Downstream];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Window => "window",
            Role::Upstream => "upstream",
            Role::Downstream => "downstream",
        }
    }
}

impl Note {
    /// Returns the note about a task as it is now.
    pub(super) fn new(role: Role, watermark: i64, (rows, bytes): (u64, u64)) -> Self {
        Note {
            role,
            watermark,
            rows,
            bytes,
            at: now_ms(),
            state: Vec::new(),
        }
    }

    /// Returns whether a task downstream has seen those upstream come as far as `ends`.
    pub(super) fn has_seen(&self, ends: impl Iterator<Item = i64>) -> bool {
        let positions: Vec<i64> = save::take(&mut self.state.as_slice()).unwrap_or_default();
        let mut ends = ends.enumerate();
        let reached = |(nth, end): (usize, i64)| positions.get(nth).is_some_and(|&at| at >= end);
        self.role == Role::Downstream && ends.all(reached)
    }

    /// Returns the note in a commit's metadata; `None` where it is somebody else's.
    pub fn parse(metadata: &str) -> Option<Note> {
        let mut words = metadata.strip_prefix("k:")?.split(' ');
        let role = words.next()?;
        let role = Role::ALL.into_iter().find(|known| known.name() == role)?;
        let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse::<i64>().ok();
        let (watermark, rows, bytes, at) = (
            number("watermark=")?,
            number("rows=")?,
            number("bytes=")?,
            number("at=")?,
        );
        let state = words.next().map(|word| word.strip_prefix("state="));
        Some(Note {
            role,
            watermark,
            rows: rows.try_into().ok()?,
            bytes: bytes.try_into().ok()?,
            at,
            state: match state {
                None => Vec::new(),
                Some(state) => STANDARD_NO_PAD.decode(state?).ok()?,
            },
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note {
            role,
            watermark,
            rows,
            bytes,
            at,
            state,
        } = self;
        let role = role.name();
        write!(
            f,
            "k:{role} watermark={watermark} rows={rows} bytes={bytes} at={at}"
        )?;
        match state.is_empty() {
            true => Ok(()),
            false => write!(f, " state={}", STANDARD_NO_PAD.encode(state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_from_its_metadata() {
        for (role, state) in [
            (Role::Window, vec![]),
            (Role::Upstream, vec![0, 255, 7]),
            (Role::Downstream, vec![1]),
        ] {
            let note = Note {
                role,
                watermark: -5,
                rows: 7,
                bytes: 70,
                at: 9,
                state,
            };
            assert_eq!(Note::parse(&note.to_string()), Some(note));
        }
        assert_eq!(Note::parse("watermark=1 counted_to=2"), None);
        assert_eq!(Note::parse("k:other watermark=1"), None);
    }
}
