//! `k`, the streaming workshop in one binary, as a library: the map.
//!
//! ```text
//! source ─► format ─► engine ──────────────────────────────────────────────────────► sink
//!  bytes    columns   record → time → watermark → window → aggregate → trigger → pane   bytes
//! ```
//!
//! [`cdr`] makes the data, [`pace`] says when it is due. [`node`] alone knows source, engine and
//! sink together and moves time; the engine reads no clock and knows no file. Flags build a
//! [`plan`], which prints itself as flags; only [`cli`] parses a command line. [`kafka`] holds what
//! both edges share of librdkafka; [`stack`] runs Kafka itself. [`look`] finds out what unknown
//! records are; [`verify`] compares results and grades them; [`journal`] is the file in which the
//! engine's events stand: [`plot`] draws it as a [`picture`], as [`chart`] draws results, and
//! [`explain`] follows one record or window through it; [`ksql`] is ksqlDB's language; [`top`] shows
//! a broker live, [`watch`] a stream, and [`web`] serves pages.
//!
//! Only what `examples/`, `benches/` and `tests/` use is `pub` as seen from outside; whatever else
//! is unused, the compiler names.
//!
//! `examples/` has small programs that use the library: windows over a file, what a journal says, a
//! node of one's own.

mod cdr;
mod chart;
pub mod cli;
mod clock;
pub mod column;
mod context;

pub mod engine;
pub mod error;
pub mod explain;
mod expression;
mod fault;
pub mod format;
pub mod interrupt;
pub mod journal;
pub mod kafka;
pub mod ksql;
mod look;
pub mod node;
mod notation;
mod number;
pub mod outlet;
mod pace;
mod picture;
pub mod plan;
mod plot;
mod record;
mod result;
pub mod sink;
pub mod source;
mod stack;
pub mod term;
mod top;
mod verify;
mod watch;
mod web;
