//! `CreateTopics`: one topic.

use super::bytes::{Garbled, Input, Output};

/// A topic to be made.
#[derive(Debug, Clone, Copy)]
pub struct Topic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers hold each; -1 for the broker's default.
    pub replication: i16,
    /// What is set for it.
    pub settings: &'a [(String, String)],
}

/// Writes a request; `only_check` has the broker make nothing.
pub fn write(output: &mut Output, topic: Topic<'_>, timeout_ms: i32, only_check: bool) {
    output.array(1);
    output.string(topic.name);
    output.i32(topic.partitions);
    output.i16(topic.replication);
    output.array(0); // the broker says where they lie
    output.array(topic.settings.len());
    for (name, value) in topic.settings {
        output.string(name);
        output.string(value);
        output.tags();
    }
    output.tags();
    output.i32(timeout_ms);
    output.i8(only_check.into());
    output.tags();
}

/// Reads an answer: the first topic's error, and the same in words.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<(i16, Option<String>), Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    input.array()?;
    input.string()?;
    if version >= 7 {
        input.id()?;
    }
    let error = input.i16()?;
    let reason = input.string()?;
    Ok((error, reason.map(str::to_owned)))
}
