//! `Fetch`: records of partitions of one topic.

use std::ops::Range;
use std::time::Duration;

use super::bytes::{Garbled, Input, Output};
use super::metadata::TopicId;

/// From this version on topics go by their ids.
pub const BY_ID: i16 = 13;
/// From this version on a broker sees by the epoch of the last record whether the log is another one.
const DIVERGES: i16 = 12;

/// What is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Its id, for a version that goes by it.
    pub id: TopicId,
    /// How long the broker waits for a record.
    pub max_wait: Duration,
    /// How many bytes it waits for.
    pub min_bytes: i32,
    /// How many bytes it sends at most, but for a batch that is larger by itself.
    pub max_bytes: i32,
    /// Whether records of open transactions are left out, and aborted ones named.
    pub committed: bool,
    /// From where.
    pub partitions: &'a [Wanted],
}

/// From where one partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The partition's number.
    pub partition: i32,
    /// The epoch of its leader, so that another one refuses; -1 where it is not known.
    pub leader_epoch: i32,
    /// The first offset.
    pub offset: i64,
    /// The epoch of the record before it; -1 where that is not known.
    pub last_epoch: i32,
    /// How many bytes at most.
    pub max_bytes: i32,
}

/// Writes a request.
pub fn write(output: &mut Output, version: i16, request: &Request<'_>) {
    output.i32(-1); // a reader, and no replica
    output.i32(request.max_wait.as_millis() as i32);
    output.i32(request.min_bytes);
    output.i32(request.max_bytes);
    output.i8(i8::from(request.committed));
    output.i32(0); // no session: each request names all of its partitions
    output.i32(-1);
    output.array(1);
    if version >= BY_ID {
        output.id(request.id)
    } else {
        output.string(request.topic)
    }
    output.array(request.partitions.len());
    for wanted in request.partitions {
        output.i32(wanted.partition);
        output.i32(wanted.leader_epoch);
        output.i64(wanted.offset);
        if version >= DIVERGES {
            output.i32(wanted.last_epoch);
        }
        output.i64(-1); // for replicas: where its log begins
        output.i32(wanted.max_bytes);
        output.tags();
    }
    output.tags();
    output.array(0); // to be forgotten by the session
    if version >= 11 {
        output.string(""); // the rack
    }
    output.tags();
}

/// What a broker answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// How long to send nothing more.
    pub throttle: Duration,
    /// Why there is nothing at all.
    pub error: i16,
    /// What there is of each partition.
    pub partitions: Vec<Part>,
}

/// What there is of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The partition's number.
    pub partition: i32,
    /// Why there is nothing.
    pub error: i16,
    /// One past the last record that is replicated.
    pub high_watermark: i64,
    /// Up to which offset the log of the leader agrees with what was read before; none where it agrees.
    pub diverges_at: Option<i64>,
    /// Aborted transactions that have records here: producer and first offset.
    pub aborted: Vec<(i64, i64)>,
    /// Where the batches lie in the frame; the last one may be cut off.
    pub records: Range<usize>,
}

/// Reads an answer to a request for one topic.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<Answer, Garbled> {
    let throttle = Duration::from_millis(u64::try_from(input.i32()?).unwrap_or(0));
    let error = input.i16()?;
    input.i32()?; // session
    let topics = input.list(|input| {
        if version >= BY_ID {
            input.id()?;
        } else {
            input.string()?;
        }
        let parts = input.list(|input| read_part(input, version))?;
        input.skip_tags()?;
        Ok(parts)
    })?;
    input.skip_tags()?;
    Ok(Answer {
        throttle,
        error,
        partitions: topics.into_iter().flatten().collect(),
    })
}

fn read_part(input: &mut Input<'_>, version: i16) -> Result<Part, Garbled> {
    /// The tag of the field that says where logs diverge.
    const DIVERGING: u64 = 0;
    let (partition, error, high_watermark) = (input.i32()?, input.i16()?, input.i64()?);
    input.i64()?; // last stable offset: nothing behind it comes
    input.i64()?; // where the log begins
    let aborted = input.list(|input| {
        let transaction = (input.i64()?, input.i64()?);
        input.skip_tags()?;
        Ok(transaction)
    })?;
    if version >= 11 {
        input.i32()?; // the replica that is nearer: only to those who say where they are
    }
    let records = input.range()?;
    let mut diverges_at = None;
    input.tags(|tag, field| {
        if tag == DIVERGING {
            field.i32()?; // epoch
            diverges_at = Some(field.i64()?).filter(|&offset| offset >= 0);
        }
        Ok(())
    })?;
    Ok(Part {
        partition,
        error,
        high_watermark,
        diverges_at,
        aborted,
        records,
    })
}
