//! `ListOffsets`: where partitions begin and end, and where their times are.

use super::bytes::{Garbled, Input, Output};

/// The first record that is there.
pub const EARLIEST: i64 = -2;
/// One past the last record: of all, or of those that committed readers come to.
pub const LATEST: i64 = -1;
/// The record with the highest timestamp, from version 7 on.
pub const MAX_TIMESTAMP: i64 = -3;

/// What is known of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub partition: i32,
    /// Why there is no offset; [`NONE`](super::code::NONE) where there is.
    pub error: i16,
    /// The record's time in ms since 1970; -1 for none.
    pub timestamp: i64,
    /// The offset; -1 for none.
    pub offset: i64,
}

/// Writes a request for one offset of each partition: a time in ms since 1970, or a constant from above.
pub fn write(
    output: &mut Output,
    version: i16,
    topics: &[(String, Vec<i32>)],
    wanted: i64,
    committed: bool,
) {
    output.i32(-1); // no broker asks
    output.i8(committed.into());
    output.array(topics.len());
    for (topic, partitions) in topics {
        output.string(topic);
        output.array(partitions.len());
        for &partition in partitions {
            output.i32(partition);
            if version >= 4 {
                output.i32(-1); // whoever leads
            }
            output.i64(wanted);
            output.tags();
        }
        output.tags();
    }
    output.tags();
}

/// Reads an answer: topics and what is known of their partitions.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<Vec<(String, Vec<Found>)>, Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    let topics = input.list(|input| {
        let topic = input.text()?;
        let partitions = input.list(|input| {
            let (partition, error) = (input.i32()?, input.i16()?);
            let (timestamp, offset) = (input.i64()?, input.i64()?);
            if version >= 4 {
                input.i32()?; // the leader's epoch then
            }
            input.skip_tags()?;
            Ok(Found {
                partition,
                error,
                timestamp,
                offset,
            })
        })?;
        input.skip_tags()?;
        Ok((topic, partitions))
    })?;
    input.skip_tags()?;
    Ok(topics)
}
