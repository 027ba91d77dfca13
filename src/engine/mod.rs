//! Event-time windows, stepped: no clock, socket, thread, sleep or print inside.
//!
//! Life of a record:
//! 1. [`operator`]: a batch comes in; its meaning is record by record.
//! 2. [`watermark`]: the record's event time moves its partition's watermark, and perhaps the
//!    combined one; windows that are due by it leave first.
//! 3. [`window`]: the windows that contain the event time are found.
//! 4. A closed window makes the record late, one past its grace expired: [`account`] counts it.
//! 5. [`key`]: its grouping values become a small number, and a slot in each window.
//! 6. [`aggregate`]: the slots' states take the record in.
//! 7. [`trigger`]: says when a window's rows leave, as a [`pane`].
//!
//! References: T. Akidau et al., "The Dataflow Model", VLDB 2015; Kafka Streams'
//! `KStreamWindowAggregate`; Apache Beam's `ReduceFnRunner`.

pub mod account;
pub mod aggregate;
pub mod key;
pub mod operator;
pub mod pane;
pub mod trigger;
pub mod watermark;
pub mod window;

#[cfg(test)]
mod tests;
