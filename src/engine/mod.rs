//! Event-time windows, stepped: no clock, socket, thread, sleep or print inside.
//!
//! Life of a record:
//! 1. [`operator`]: a batch comes in; its meaning is record by record.
//! 2. [`watermark`]: the record's event time moves its partition's watermark, and perhaps the
//!    combined one; windows that are due by it fire first.
//! 3. [`window`]: the windows that hold the record are found (`assign`), on a `grid` that all keys share,
//!    or as a `session` or `sliding` windows of its key.
//! 4. A closed window makes the record late, one past its grace expired: [`account`] counts it.
//! 5. [`key`]: its grouping values become a small number, and a slot of the `store` in each window.
//! 6. [`aggregate`]: the slots' states take the record in.
//! 7. [`trigger`]: says when a window fires; `firing` makes it a [`pane`].
//!
//! Records between which nothing is due take steps 2 to 5 together, as a `run`.
//!
//! Beside that way: [`journal`] tells what happened, `changes` what of the state has changed, as rows
//! that it is built from again, and [`partial`] puts together what was computed in parts.
//!
//! References: T. Akidau et al., "The Dataflow Model", VLDB 2015; Kafka Streams'
//! `KStreamWindowAggregate`; Apache Beam's `ReduceFnRunner`.

pub mod account;
pub mod aggregate;
mod assign;
pub mod calendar;
mod changes;
mod firing;
mod grid;
pub mod join;
pub mod journal;
pub mod key;
mod open;
pub mod operator;
pub mod pane;
pub mod partial;
pub mod parts;
mod run;
pub mod save;
mod session;
mod sliding;
mod store;
mod timers;
pub mod trigger;
pub mod watermark;
pub mod window;

#[cfg(test)]
mod tests;
