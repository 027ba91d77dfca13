//! Changes to topics: `DeleteTopics`, `CreatePartitions`, `IncrementalAlterConfigs`, `DeleteRecords`.

use super::bytes::{Garbled, Input, Output};

/// An error's code, and the same in words where the broker has any.
pub type Answer = (i16, Option<String>);

/// Writes `DeleteTopics`, for one.
pub fn write_delete(output: &mut Output, topic: &str, timeout_ms: i32) {
    output.array(1);
    output.string(topic);
    output.i32(timeout_ms);
    output.tags();
}

/// Reads the answer.
///
/// # Errors
/// [`Garbled`].
pub fn read_delete(mut input: Input<'_>, version: i16) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    input.array()?;
    input.string()?;
    let error = input.i16()?;
    let reason = if version >= 5 { input.string()? } else { None };
    Ok((error, reason.map(str::to_owned)))
}

/// Writes `CreatePartitions`: so many in all.
pub fn write_partitions(output: &mut Output, topic: &str, total: i32, timeout_ms: i32) {
    output.array(1);
    output.string(topic);
    output.i32(total);
    output.null_array(); // the broker says where they lie
    output.tags();
    output.i32(timeout_ms);
    output.i8(0); // not only to check it
    output.tags();
}

/// Reads the answer.
///
/// # Errors
/// [`Garbled`].
pub fn read_partitions(mut input: Input<'_>) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long
    input.array()?;
    input.string()?;
    let error = input.i16()?;
    Ok((error, input.string()?.map(str::to_owned)))
}

/// Writes `IncrementalAlterConfigs`: settings of a topic; `None` takes one back.
pub fn write_settings(output: &mut Output, topic: &str, changes: &[(String, Option<String>)]) {
    const TOPIC: i8 = 2;
    output.array(1);
    output.i8(TOPIC);
    output.string(topic);
    output.array(changes.len());
    for (name, value) in changes {
        output.string(name);
        output.i8(value.is_none().into());
        match value {
            Some(value) => output.string(value),
            None => output.null(),
        }
        output.tags();
    }
    output.tags();
    output.i8(0); // not only to check it
    output.tags();
}

/// Reads the answer.
///
/// # Errors
/// [`Garbled`].
pub fn read_settings(mut input: Input<'_>) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long
    input.array()?;
    let error = input.i16()?;
    Ok((error, input.string()?.map(str::to_owned)))
}

/// Writes `DeleteRecords`: those of a topic's partitions before an offset each.
pub fn write_purge(output: &mut Output, topic: &str, before: &[(i32, i64)], timeout_ms: i32) {
    output.array(1);
    output.string(topic);
    output.array(before.len());
    for &(partition, offset) in before {
        output.i32(partition);
        output.i64(offset);
        output.tags();
    }
    output.tags();
    output.i32(timeout_ms);
    output.tags();
}

/// Reads the answer: the first error's code.
///
/// # Errors
/// [`Garbled`].
pub fn read_purge(mut input: Input<'_>) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long
    let mut first = super::code::NONE;
    input.list(|input| {
        input.string()?;
        input.list(|input| {
            input.i32()?;
            input.i64()?; // where it begins now
            let error = input.i16()?;
            if first == super::code::NONE {
                first = error;
            }
            input.skip_tags()
        })?;
        input.skip_tags()
    })?;
    Ok((first, None))
}
