//! The states of window × key, their keys, what they have fired, and what of them has changed.

pub mod changes;
pub mod history;
pub mod keys;
pub mod store;
