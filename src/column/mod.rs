//! What decoded records look like: names and types of columns, and their values by column.
//!
//! A [`Columns`] is some hundred to some thousand records turned on their side, so that expressions
//! and aggregates run over plain vectors. Text borrows from the bytes of the source. Every other
//! stage builds on this one.

mod data_type;
pub(crate) mod derived;
pub mod known;
pub(crate) mod name;
mod schema;
mod value;

pub use data_type::DataType;
pub use schema::{Digits, Field, Schema};
pub(crate) use value::Columns;
pub use value::{Column, Misfit, Value, ValueRef, Values};
