//! What `k watch` shows: a stream while it comes, as the picture that `k plot` draws of one that has been.
//!
//! ```text
//! engine ─► Ear ─┬► plot: the last while ─► Live::frame: picture and figures ─┬► screen: a terminal
//!                └► Tape: every event, packed ─► told: explanations           └► site: a page
//! ```
//!
//! The thread that reads hears events, and nothing else: no event waits for a drawing, a client or a
//! terminal longer than a picture takes. All that is kept has a bound.

mod live;
pub mod screen;
pub mod site;
mod tape;
mod told;

pub use live::{Ear, Frame, GroupLag, Live, Scope};
