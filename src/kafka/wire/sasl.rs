//! `SaslHandshake` and `SaslAuthenticate`: a login.

use std::time::Duration;

use super::bytes::{Garbled, Input, Output};

/// Writes the request that names a mechanism.
pub fn write_handshake(output: &mut Output, mechanism: &str) {
    output.string(mechanism);
}

/// Reads the answer: an error's code, and the mechanisms that the broker takes.
///
/// # Errors
/// [`Garbled`].
pub fn read_handshake(mut input: Input<'_>) -> Result<(i16, Vec<String>), Garbled> {
    let error = input.i16()?;
    let mechanisms = input.list(|input| Ok(input.string()?.unwrap_or_default().to_owned()))?;
    Ok((error, mechanisms))
}

/// Writes the request that carries a mechanism's bytes.
pub fn write_message(output: &mut Output, message: &[u8]) {
    output.bytes(message);
    output.tags();
}

/// What the broker has to say to a mechanism's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Why the login is refused; [`NONE`](super::code::NONE) where it is not.
    pub error: i16,
    /// The same in words.
    pub reason: Option<String>,
    /// The mechanism's bytes.
    pub message: Vec<u8>,
    /// How long the login counts from now on, where it ends by itself (KIP-368).
    pub lifetime: Option<Duration>,
}

/// Reads an answer.
///
/// # Errors
/// [`Garbled`].
pub fn read_message(mut input: Input<'_>, version: i16) -> Result<Answer, Garbled> {
    let error = input.i16()?;
    let reason = input.string()?.map(str::to_owned);
    let range = input.range()?;
    let message = input.slice(range).to_vec();
    let lifetime_ms = if version >= 1 { input.i64()? } else { 0 };
    input.skip_tags()?;
    let lifetime_ms = u64::try_from(lifetime_ms).unwrap_or(0);
    Ok(Answer {
        error,
        reason,
        message,
        lifetime: (lifetime_ms > 0).then(|| Duration::from_millis(lifetime_ms)),
    })
}
