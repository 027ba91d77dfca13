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
//! [`folder`] whose files are topics. Windows and lateness are the
//! engine's.

pub mod bytes;
pub mod catalog;
pub mod decimal;
mod declare;
pub mod document;
pub mod explain;
mod expr;
pub mod folder;
pub mod format;
pub mod functions;
pub mod lexer;
pub mod parser;
pub mod plan;
pub mod properties;
pub mod records;
pub mod replay;
pub mod run;
pub mod schema;
pub mod scope;
pub mod session;
pub mod shell;
pub mod syntax;
pub mod time;
pub mod types;
pub mod value;
mod window;
