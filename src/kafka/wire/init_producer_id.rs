//! `InitProducerId`: an id for a producer without transactions.

use super::bytes::{Garbled, Input, Output};

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Why there is no id; [`super::code::NONE`] where there is.
    pub error: i16,
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// Writes a request.
pub fn write(output: &mut Output) {
    output.null(); // no transactions
    output.i32(-1); // and so no time-out of one
    output.tags();
}

/// Reads an answer.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    let (error, id, epoch) = (input.i16()?, input.i64()?, input.i16()?);
    input.skip_tags()?;
    Ok(Answer { error, id, epoch })
}
