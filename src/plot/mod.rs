//! A stream as a picture: event time across, processing time up.
//!
//! Comes in: what the engine did, event by event, from a run ([`Listener`]) or from a journal. Goes
//! out: a [`Scene`](crate::picture::Scene) with a mark for each record, the watermark as a stepped
//! line, windows as boxes from their first record to their last pane.
//!
//! | part | does |
//! |---|---|
//! | `gather` | what is kept of the events, in bounded memory |
//! | `dot` | a record as it is drawn |
//! | [`recent`] | the records of the last while, of a run that goes on |
//! | `spread` | where records lie, without those that are astray |
//! | [`density`] | records by the thousand: counts on a grid that grows with them |
//! | [`lives`] | windows from their first record to their last pane |
//! | `run` | records in a row, by column, as if they came one by one |
//! | [`replay`] | a journal's events as the engine's |
//! | [`sample`] | lines of which a bounded sample is kept |
//! | [`vary`] | what other bounds would lose |
//! | `waits` | how long rows wait |
//! | `draw` | what was gathered → marks |

pub mod cut;
pub mod density;
mod dot;
mod draw;
mod gather;
pub mod lives;
pub mod recent;
pub mod replay;
mod run;
pub mod sample;
mod spread;
pub mod vary;
mod waits;

pub use draw::{about, draw, draw_stretch};
pub use gather::{Clock, Gathered, Listener, Subject, View};
pub use waits::Waits;

/// What became of a record, by its best window: what the account counts it as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// None of its windows had closed.
    OnTime,
    /// One had, and one took it.
    Late,
    /// The grace of all had passed.
    Expired,
    /// `--where` did not select it.
    Filtered,
    /// Its windows had a record of its value.
    Duplicate,
    /// It could not be read, or was too far ahead of its arrival.
    Malformed,
    /// It is of another key than the one that was asked for.
    Other,
}

/// Every fate, in the order in which they are drawn: what a person looks for lies above.
pub const FATES: [Fate; 7] = [
    Fate::Other,
    Fate::Filtered,
    Fate::OnTime,
    Fate::Duplicate,
    Fate::Malformed,
    Fate::Late,
    Fate::Expired,
];

impl Fate {
    /// Returns what it is called.
    pub fn name(self) -> &'static str {
        match self {
            Fate::OnTime => "on time",
            Fate::Late => "late",
            Fate::Expired => "expired",
            Fate::Filtered => "filtered",
            Fate::Duplicate => "duplicate",
            Fate::Malformed => "malformed",
            Fate::Other => "other keys",
        }
    }
}
