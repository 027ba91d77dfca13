//! The metadata that a commit stores beside its offset, so that any process can see the group's
//! state.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::engine::codec;
use crate::node::evaluate::now_ms;

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
pub struct CommitMetadata {
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
    /// Whether a run with `--exit` has shown its open windows, and nothing has come since.
    pub(super) is_shown: bool,
}

/// The last word of metadata where open windows were shown; earlier versions do not look at it.
const SHOWN: &str = "shown";

/// How long [`CommitMetadata::state`] may be: a broker takes 4,096 bytes of metadata
/// (`offset.metadata.max.bytes`), of which base64 takes a quarter and the rest 130.
const MAX_STATE: usize = 2_900;

/// Returns the state of a task downstream: how far it has seen those upstream, unless they are too
/// many. The changelog has it in any case.
pub(super) fn state_downstream(positions: &[i64]) -> crate::error::Result<Vec<u8>> {
    let mut state = Vec::new();
    codec::put(&mut state, &positions)?;
    Ok(if state.len() <= MAX_STATE {
        state
    } else {
        Vec::new()
    })
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

impl CommitMetadata {
    /// Returns the note about a task as it is now.
    pub(super) fn new(role: Role, watermark: i64, (rows, bytes): (u64, u64)) -> Self {
        CommitMetadata {
            role,
            watermark,
            rows,
            bytes,
            at: now_ms(),
            state: Vec::new(),
            is_shown: false,
        }
    }

    /// Returns how far a task downstream has seen those upstream; `None` where they are too many to
    /// be named here.
    pub(super) fn positions(&self) -> Option<Vec<i64>> {
        if self.state.is_empty() {
            None
        } else {
            codec::take(&mut self.state.as_slice()).ok()
        }
    }

    /// Returns the note in a commit's metadata; `None` where it is another program's.
    pub fn parse(metadata: &str) -> Option<CommitMetadata> {
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
        Some(CommitMetadata {
            role,
            watermark,
            rows: rows.try_into().ok()?,
            bytes: bytes.try_into().ok()?,
            at,
            state: match state {
                None => Vec::new(),
                Some(state) => STANDARD_NO_PAD.decode(state?).ok()?,
            },
            is_shown: words.next() == Some(SHOWN),
        })
    }
}

impl fmt::Display for CommitMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommitMetadata {
            role,
            watermark,
            rows,
            bytes,
            at,
            state,
            is_shown,
        } = self;
        let role = role.name();
        write!(
            f,
            "k:{role} watermark={watermark} rows={rows} bytes={bytes} at={at}"
        )?;
        if !state.is_empty() || *is_shown {
            write!(f, " state={}", STANDARD_NO_PAD.encode(state))?;
        }
        if *is_shown {
            write!(f, " {SHOWN}")?;
        }
        Ok(())
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
            let note = CommitMetadata {
                role,
                watermark: -5,
                rows: 7,
                bytes: 70,
                at: 9,
                is_shown: role == Role::Window,
                state,
            };
            assert_eq!(CommitMetadata::parse(&note.to_string()), Some(note));
        }
        assert_eq!(CommitMetadata::parse("watermark=1 counted_to=2"), None);
        assert_eq!(CommitMetadata::parse("k:other watermark=1"), None);
    }

    #[test]
    fn a_note_is_no_longer_than_a_broker_takes() {
        for upstream in [1, 1_000, 10_000] {
            for position in [0, 100_000, i64::MAX] {
                let positions = vec![position; upstream];
                let note = CommitMetadata {
                    role: Role::Downstream,
                    watermark: i64::MIN,
                    rows: u64::MAX,
                    bytes: u64::MAX,
                    at: i64::MIN,
                    is_shown: true,
                    state: state_downstream(&positions).expect("positions"),
                };
                assert!(note.to_string().len() <= 4_096);
                let named = note.positions();
                assert!(named.is_none_or(|named| named == positions));
            }
        }
        assert!(
            !state_downstream(&[100_000; 500])
                .expect("positions")
                .is_empty()
        );
    }
}
