//! Kafka's protocol: frames, and the three requests that reading needs.
//!
//! In: requests as plain values. Out: their bytes for a broker, and answers that borrow
//! their records from the frame they came in. Written by hand from Kafka's own schemas
//! (`clients/src/main/resources/common/message`), because three requests are less to read than a
//! generator's ninety, and because an answer's records must stay where they are.
//!
//! Every request goes out in the highest version that both sides know; the lowest here are those of
//! Kafka 2.1, and Kafka 4 knows them all.
//!
//! - [`bytes`]: numbers, strings and arrays, in the classic and in the flexible form
//! - [`versions`], [`metadata`], [`fetch`]: the requests
//! - [`connection`]: one socket: frames out, frames in

#[cfg(test)]
pub(super) mod answers;
pub mod bytes;
pub mod connection;
pub mod fetch;
pub mod metadata;
#[cfg(test)]
mod tests;
pub mod versions;

use bytes::{Garbled, Input, Output};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Records of partitions.
    Fetch,
    /// Where topics and brokers are.
    Metadata,
    /// Which requests a broker knows.
    Versions,
}

impl Api {
    /// Returns its number.
    pub fn key(self) -> i16 {
        match self {
            Api::Fetch => 1,
            Api::Metadata => 3,
            Api::Versions => 18,
        }
    }

    /// Returns the lowest and the highest version that is spoken here.
    pub fn versions(self) -> (i16, i16) {
        match self {
            // From 14 on a reader says the same by other fields.
            Api::Fetch => (10, 13),
            Api::Metadata => (7, 12),
            // Every broker answers it, so nobody has to guess.
            Api::Versions => (0, 0),
        }
    }

    /// Returns the version from which on strings and arrays are compact, and tags may follow.
    fn flexible_from(self) -> i16 {
        match self {
            Api::Fetch => 12,
            Api::Metadata => 9,
            Api::Versions => 3,
        }
    }
}

/// The codes of errors that a reader acts upon; the others end it with their words.
pub mod code {
    /// All is well.
    pub const NONE: i16 = 0;
    /// The offset is not there any more, or not yet.
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// The broker knows no such topic or partition.
    pub const UNKNOWN_TOPIC: i16 = 3;
    /// The broker knows no topic of that id.
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    /// The leader knows of another id.
    pub const INCONSISTENT_TOPIC_ID: i16 = 103;
    /// What passes once there is a leader, or once it is known who is: leader not available, not
    /// leader, request timed out, replica not available, network exception, storage error, fenced leader
    /// epoch, unknown leader epoch, offset not available.
    pub const PASSING: [i16; 9] = [5, 6, 7, 9, 13, 56, 74, 75, 78];
}

/// Returns the bytes of a request, its length before it; `body` writes what stands behind the head.
pub fn request(
    api: Api,
    version: i16,
    correlation: i32,
    client: &str,
    body: impl FnOnce(&mut Output),
) -> Vec<u8> {
    let mut output = Output::new(version >= api.flexible_from());
    output.i32(0); // the length, below
    output.i16(api.key());
    output.i16(version);
    output.i32(correlation);
    output.classic_string(client); // in the head also where others are compact
    output.tags();
    body(&mut output);
    let mut bytes = output.into_bytes();
    let length = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Returns the number of the request that a frame answers, and what stands behind it.
///
/// # Errors
/// [`Garbled`] where the frame is too short.
pub fn answer(frame: &[u8]) -> Result<(i32, usize), Garbled> {
    let mut input = Input::new(frame, 0, false);
    Ok((input.i32()?, input.at()))
}

/// Returns a reader of what stands behind the head of an answer.
///
/// # Errors
/// [`Garbled`] where the head is cut off.
pub fn body(api: Api, version: i16, frame: &[u8]) -> Result<Input<'_>, Garbled> {
    let (_, at) = answer(frame)?;
    let mut input = Input::new(frame, at, version >= api.flexible_from());
    if api != Api::Versions {
        input.skip_tags()?;
    }
    Ok(input)
}
