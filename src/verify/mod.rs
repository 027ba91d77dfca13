//! Results held side by side, and graded: what differs, and why.
//!
//! ```text
//! rows ─► ResultTable ─┐
//!                      ├─► compare ─► differences, each with its cause
//! rows ─► ResultTable ─┘
//! ```
//!
//! Comes in: rows as `k window` writes them. Goes out: what differs by window and key. No file,
//! topic or flag is known here.

pub mod compare;
pub mod table;
