//! `k explain`: where a record went, why a window has shown what it has, why nothing comes.
//!
//! Comes in: the [`Event`](crate::journal::Event)s of a replay, or those of a journal that an earlier
//! run has written. Goes out: what they say of one record ([`Life`]) or one window ([`Story`]), as
//! data, and in sentences.
//!
//! Nothing here decides anything: which windows a record was in, whether it was late, which row left
//! and why are the engine's words. What would have kept a record that was dropped is found by the
//! engine, too, which is asked again with other flags ([`trial`]).

mod life;
mod moment;
mod standing;
mod story;
mod tell;
pub mod trial;
mod witness;

pub use life::{InWindow, Life, Origin, Outcome, Row, WayOut};
pub use moment::Moment;
pub use standing::Standing;
pub use story::{Ending, Entry, Stories, Story, Wanted};
pub use tell::{Teller, tell_life, tell_story};
pub use witness::{Clock, Witness};
