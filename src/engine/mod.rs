//! Event-time windows, stepped: no clock, socket, thread, sleep or print inside.
//!
//! Life of a record:
//! 1. [`operator`]: a batch comes in; its meaning is record by record.
//! 2. [`watermark`]: the record's event time moves its partition's watermark, and perhaps the
//!    combined one; windows that are due by it fire first.
//! 3. `placement`: the [`window`]s that hold the record are found, on a grid that all keys share,
//!    or as a session or sliding windows of its key.
//! 4. A closed window makes the record late, one past its grace expired: [`account`] counts it.
//! 5. `state`: its grouping values become a small number, and a slot of the store in each window.
//! 6. [`aggregate`]: the slots' states take the record in.
//! 7. [`pane`]: a trigger says when a window fires; what leaves is a pane.
//!
//! Records between which nothing is due take steps 2 to 5 together, as a batch.
//!
//! Beside that way: [`pane::journal`] tells what happened, `state::changes` what of the state has
//! changed, as rows that it is built from again, and [`combine`] puts together what was computed
//! in parts.
//!
//! References: T. Akidau et al., "The Dataflow Model", VLDB 2015; Kafka Streams'
//! `KStreamWindowAggregate`; Apache Beam's `ReduceFnRunner`.

pub mod account;
pub mod aggregate;
pub mod codec;
pub mod combine;
pub mod join;
pub mod key;
mod lateness;
mod leave;
pub mod operator;
pub mod pane;
mod placement;
mod state;
pub mod watermark;
pub mod window;

#[cfg(test)]
mod tests;
