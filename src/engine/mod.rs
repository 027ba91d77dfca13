//! Event-time windows, stepped: no clock, socket, thread, sleep or print inside.
//!
//! Life of a record, by the functions that it passes:
//! 1. [`on_batch`](operator::Operator::on_batch) takes in a batch, record by record; `Keys::intern_rows`
//!    has made the grouping values of each a small number.
//! 2. `Watermarks::observe`: its event time moves its partition's watermark, and perhaps the combined
//!    one. `fire_due`: what is due by that fires first.
//! 3. `assign`: `Grid::find`, `Sessions::join` or `Sliding::windows` finds the windows that hold it.
//! 4. `Lateness::judge` says of each whether it is on time, late or expired; `count` enters that in
//!    the [`account`].
//! 5. `Store::take` or the placement gives the slot of its key in each window, `Store::push` leaves it
//!    for that slot, and `Store::flush` adds all that were left to the states of each
//!    [aggregate](aggregate::Accumulator::add) in one loop.
//! 6. `fire_counted`, `fire_periodic`, `fire_at_close`, `fire_last`: the [trigger](pane::trigger) says
//!    when a window fires; what leaves is a [pane](pane::Pane), unless its states go elsewhere
//!    (`leave`).
//!
//! Records between which nothing is due take steps 2 to 5 together: `on_run`.
//!
//! ```text
//! operator     the algorithm; each room below it is plain data
//!   placement  which windows: grid, session, sliding, and when they are due
//!   lateness   when a window closes and expires, and so who is late
//!   state      slots, their keys, what they have fired, what of them has changed
//!   leave      what happens to a window that leaves: shown, merged, handed on
//!   combine    what was computed in parts, by threads or processes, as a whole
//!   pane       what leaves and when; the journal of all that happens
//!   window     kinds of windows        watermark  how far event time has come
//!   aggregate  what is computed        account    where every record went
//!   join       two streams, or a stream and a table
//! ```
//!
//! References: T. Akidau et al., "The Dataflow Model", VLDB 2015; Kafka Streams'
//! `KStreamWindowAggregate`; Apache Beam's `ReduceFnRunner`.

pub mod account;
pub mod aggregate;
pub mod codec;
pub mod combine;
pub(crate) mod join;
pub(crate) mod key;
pub(crate) mod lateness;
mod leave;
pub mod operator;
pub mod pane;
mod placement;
mod state;
pub mod watermark;
pub mod window;

#[cfg(test)]
mod tests;
