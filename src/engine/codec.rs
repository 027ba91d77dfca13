//! State as bytes and back, for what outlives a process.
//!
//! The bytes are postcard's: no names, integers as varints; they are read again only by the
//! version of `k` that wrote them, which their reader has to see to.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Saved bytes that are not what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// Appends a value to `bytes`.
pub fn put(bytes: &mut Vec<u8>, value: &impl Serialize) {
    // Values of the engine hold nothing that postcard cannot write, and a vector takes all.
    let written = postcard::to_extend(value, std::mem::take(bytes));
    debug_assert!(written.is_ok(), "the engine's state can be written");
    *bytes = written.unwrap_or_default();
}

/// Takes a value off the front of `bytes`.
///
/// # Errors
/// [`Corrupt`] where no such value stands there.
pub fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Corrupt> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| Corrupt)?;
    *bytes = rest;
    Ok(value)
}
