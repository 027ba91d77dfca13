//! Results held side by side, and graded: what differs, and why.
//!
//! ```text
//! rows ─────────────────► ResultTable ─┐
//!                                      ├─► compare ─► differences, each with its cause
//! rows ─────────────────► ResultTable ─┘
//! rows of exercise N ───► ResultTable ─┐
//!                                      ├─► grade ─► right, or the mistake that explains it
//! gen.json ─► World ────► ResultTable ─┘
//! ```
//!
//! In: rows as `k window` writes them. Out: what differs by window and key. No file, topic or flag
//! is known here.

pub mod compare;
pub mod exercises;
mod foreign;
pub mod grade;
mod mistakes;
mod seen;
pub mod table;
pub mod truth;
