//! `k explain`: where a record went, why a window has shown what it has, why nothing comes.
//!
//! Comes in: the [`Event`](crate::journal::Event)s of a replay, or those of a journal that an earlier
//! run has written. Goes out: what they say of one record ([`Life`]) or one window ([`Story`]), as
//! data, and in sentences.
//!
//! Nothing here decides anything: which windows a record was in, whether it was late, which row left
//! and why are the engine's words. What would have kept a record that was dropped is found by the
//! engine, too, which is asked again with other flags ([`trial`]).

mod heard;
mod life;
mod moment;
mod standing;
mod story;
mod tell;
pub mod trial;
mod witness;

pub(crate) use heard::{Lives, Told, lives_in, stories_in};
pub(crate) use life::WayOut;
pub use life::{Life, Outcome, Row};
pub(crate) use moment::Moment;
pub(crate) use standing::Standing;
pub use story::Entry;
pub(crate) use story::{Ending, Stories, Story, Wanted};
pub(crate) use tell::{Teller, tell_life, tell_story};
pub(crate) use witness::Clock;
pub use witness::Witness;
