//! ksqlDB's language without a server: the map.
//!
//! ```text
//! text ─► lexer ─► parser ─► syntax ─► plan ─► run ─► records
//!                              │         │       operators over rows
//!                              │         expr, functions: expressions with types
//!                              declare, session: what statements do to the catalog
//! ```
//! [`types`] and [`value`] are ksqlDB's value model, which is wider than the engine's columns
//! (docs/design/ksql.md says why it is one of its own); [`mod@format`] reads and writes values in
//! [`document`]s, which is what a topic's bytes are. [`session`] carries out statements; [`replay`]
//! runs their queries over records in a file, deterministically; [`shell`] answers them over a
//! [`folder`] whose files are topics, [`cluster`] over Kafka, and [`server`] asks a ksqlDB server; [`live`] leads each inserted row
//! through every query at once, for tests ([`trial`]) and their assertions ([`asserts`]). Windows and
//! lateness are the engine's; over a folder, a query whose windows `k window` knows runs there by
//! column ([`columns`]).

pub(crate) mod answer;
pub(crate) mod asserts;
pub(crate) mod bytes;
pub(crate) mod catalog;
pub(crate) mod cluster;
mod columns;
pub(crate) mod decimal;
mod declare;
pub mod document;
pub(crate) mod explain;
mod expr;
pub(crate) mod folder;
pub(crate) mod format;
pub(crate) mod functions;
pub(crate) mod lexer;
pub(crate) mod live;
pub(crate) mod names;
pub(crate) mod parser;
pub(crate) mod plan;
pub(crate) mod properties;
pub(crate) mod records;
pub mod replay;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod scope;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod shell;
pub(crate) mod syntax;
pub(crate) mod time;
pub mod trial;
pub(crate) mod types;
pub(crate) mod value;
mod window;
