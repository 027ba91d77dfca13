//! Statements over Kafka: the map.
//!
//! ```text
//! commands: definitions of an app, in a topic ─► shell ─► crew: a thread for each query
//!                                                  │        └─ worker: a member of the query's group
//!                                                  │             └─ task: a stage of a partition
//!                                                  └─ push: SELECT … EMIT CHANGES
//! ```
//! A query that goes on is cut into stages, which [`layout`] spreads over partitions. A [`worker`]
//! commits rows, what the tasks remember and how far they have read in one transaction. [`restore`]
//! gives a task what it remembers back. [`order`] feeds records in the order of their times, and
//! [`topics`] reads and writes them.

mod commands;
mod crew;
mod layout;
mod order;
mod outbox;
mod push;
mod restore;
pub(crate) mod shell;
mod task;
mod topics;
mod worker;
