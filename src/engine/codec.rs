//! State as bytes and back, for what outlives a process.
//!
//! The bytes are postcard's: no names, integers as varints; they are read again only by the
//! version of `k` that wrote them, which their reader has to see to.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Saved bytes that are not what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// Appends a value to `bytes`.
///
/// # Errors
/// `bug` where the value holds what postcard cannot write; `bytes` are empty then, and nothing of
/// them may be kept.
pub(crate) fn put(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    let written = postcard::to_extend(value, std::mem::take(bytes));
    *bytes = written.map_err(|error| {
        Error::bug(format!("the state cannot be written: {error}")).caused_by(error)
    })?;
    Ok(())
}

/// Takes a value off the front of `bytes`.
///
/// # Errors
/// [`Corrupt`] where no such value is there.
pub fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Corrupt> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| Corrupt)?;
    *bytes = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that says at the end only how long it is, which postcard has to know first.
    struct OfNoKnownLength;

    impl Serialize for OfNoKnownLength {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serde::ser::SerializeSeq::end(serializer.serialize_seq(None)?)
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_empty_state() {
        let mut bytes = vec![1];
        assert!(put(&mut bytes, &7_u8).is_ok());
        assert_eq!(bytes, [1, 7]);
        let error = put(&mut bytes, &OfNoKnownLength).expect_err("no length");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
