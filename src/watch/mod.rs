//! What `k watch` shows: a stream while it comes, as the picture that `k plot` draws of one that has been.
//!
//! ```text
//! engine ─► Ear ─┬► plot: the last while ─► Live::frame: picture and figures ─┬► screen: a terminal
//!                └► Tape: every event, packed ─► explanation: of a click           └► site: a page
//! ```
//!
//! The thread that reads puts events into an inbox, which is emptied when nobody draws, or by who does: no
//! event waits for a picture, a client or a terminal. All that is kept has a bound.

mod explanation;
mod live;
pub(crate) mod screen;
pub(crate) mod site;
mod tape;

pub(crate) use live::{Ear, Frame, GroupLag, Live, Scope};
