//! `Produce`: batches into partitions.

use std::sync::Arc;
use std::time::Duration;

use super::bytes::{Garbled, Input, Output};
use super::metadata::TopicId;

/// From this version on topics go by their ids.
pub const BY_ID: i16 = 13;

/// What is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// How many brokers must have it: 0, 1, or -1 for all in sync.
    pub acks: i16,
    /// How long the leader waits for the others.
    pub timeout: Duration,
    /// The batches, by topic.
    pub topics: &'a [Topic<'a>],
}

/// One batch each of some partitions.
pub type Batches<'a> = Vec<(i32, &'a Arc<Vec<u8>>)>;

/// The batches for one topic.
#[derive(Debug)]
pub struct Topic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id, for a version that goes by it.
    pub id: TopicId,
    /// See [`Batches`].
    pub batches: Batches<'a>,
}

/// Writes a request.
pub fn write(output: &mut Output, version: i16, request: &Request<'_>) {
    output.null(); // no transaction
    output.i16(request.acks);
    output.i32(request.timeout.as_millis() as i32);
    output.array(request.topics.len());
    for topic in request.topics {
        if version >= BY_ID {
            output.id(topic.id)
        } else {
            output.string(topic.name)
        }
        output.array(topic.batches.len());
        for (partition, batch) in &topic.batches {
            output.i32(*partition);
            output.shared(batch);
            output.tags();
        }
        output.tags();
    }
    output.tags();
}

/// What a broker answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// How long to send nothing more.
    pub throttle: Duration,
    /// What became of each batch, by topic.
    pub topics: Vec<(Name, Vec<Part>)>,
}

/// What an answer calls a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// By its name.
    Text(String),
    /// By its id.
    Id(TopicId),
}

/// What became of the batch for one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// The partition's number.
    pub partition: i32,
    /// Why it was not written.
    pub error: i16,
    /// The offset of its first record; -1 where that is not known.
    pub base_offset: i64,
}

/// Reads an answer.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<Answer, Garbled> {
    let topics = input.list(|input| {
        let name = if version >= BY_ID {
            Name::Id(input.id()?)
        } else {
            Name::Text(input.string()?.unwrap_or_default().to_owned())
        };
        let parts = input.list(|input| read_part(input, version))?;
        input.skip_tags()?;
        Ok((name, parts))
    })?;
    let throttle = Duration::from_millis(u64::try_from(input.i32()?).unwrap_or(0));
    input.skip_tags()?;
    Ok(Answer { throttle, topics })
}

fn read_part(input: &mut Input<'_>, version: i16) -> Result<Part, Garbled> {
    let (partition, error, base_offset) = (input.i32()?, input.i16()?, input.i64()?);
    input.i64()?; // when the broker has appended it
    input.i64()?; // where the log begins
    if version >= 8 {
        // Which records are at fault: the code says enough.
        input.list(|input| {
            input.i32()?;
            input.string()?;
            input.skip_tags()
        })?;
        input.string()?;
    }
    input.skip_tags()?;
    Ok(Part {
        partition,
        error,
        base_offset,
    })
}
