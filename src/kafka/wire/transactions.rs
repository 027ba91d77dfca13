//! Open transactions, and how one is ended from outside (KIP-664): `DescribeProducers`, `ListTransactions`,
//! `DescribeTransactions`, `WriteTxnMarkers`. All of them are flexible.

use super::bytes::{Garbled, Input, Output};

/// A producer that has a transaction open in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// When its last record there is from, in ms since 1970; -1 where that is not known.
    pub last_timestamp: i64,
    /// Counts its coordinators; -1 where none has written there.
    pub coordinator_epoch: i32,
    /// The offset of the transaction's first record; -1 where none is open.
    pub start_offset: i64,
}

/// Writes `DescribeProducers`: who writes to partitions.
pub fn write_producers(output: &mut Output, topics: &[(String, Vec<i32>)]) {
    write_places(output, topics);
    output.tags();
}

fn write_places(output: &mut Output, topics: &[(String, Vec<i32>)]) {
    output.array(topics.len());
    for (topic, partitions) in topics {
        output.string(topic);
        output.array(partitions.len());
        partitions
            .iter()
            .for_each(|&partition| output.i32(partition));
        output.tags();
    }
}

/// What a leader knows of a partition's producers: its number, an error's code, and them.
pub type Producers = (i32, i16, Vec<Producer>);

/// Reads the answer: by topic.
///
/// # Errors
/// [`Garbled`].
pub fn read_producers(mut input: Input<'_>) -> Result<Vec<(String, Vec<Producers>)>, Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    let topics = input.list(|input| {
        let topic = input.text()?;
        let partitions = input.list(|input| {
            let (partition, error) = (input.i32()?, input.i16()?);
            input.string()?; // the error in words
            let producers = input.list(read_producer)?;
            input.skip_tags()?;
            Ok((partition, error, producers))
        })?;
        input.skip_tags()?;
        Ok((topic, partitions))
    })?;
    input.skip_tags()?;
    Ok(topics)
}

fn read_producer(input: &mut Input<'_>) -> Result<Producer, Garbled> {
    let (id, epoch) = (input.i64()?, input.i32()?);
    input.i32()?; // the number of its last record
    let producer = Producer {
        id,
        epoch,
        last_timestamp: input.i64()?,
        coordinator_epoch: input.i32()?,
        start_offset: input.i64()?,
    };
    input.skip_tags()?;
    Ok(producer)
}

/// Writes `ListTransactions`: all that a broker coordinates.
pub fn write_list(output: &mut Output, version: i16, producers: &[i64]) {
    output.array(0); // in whichever state
    output.array(producers.len());
    producers.iter().for_each(|&producer| output.i64(producer));
    if version >= 1 {
        output.i64(-1); // however long
    }
    output.tags();
}

/// Reads the answer: an error's code, and names by the ids of their producers.
///
/// # Errors
/// [`Garbled`].
pub fn read_list(mut input: Input<'_>) -> Result<(i16, Vec<(i64, String)>), Garbled> {
    input.i32()?; // throttled for so long
    let error = input.i16()?;
    input.list(|input| input.text())?; // states that it does not know
    let found = input.list(|input| {
        let (name, producer) = (input.text()?, input.i64()?);
        input.string()?; // its state
        input.skip_tags()?;
        Ok((producer, name))
    })?;
    input.skip_tags()?;
    Ok((error, found))
}

/// A transaction as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Why nothing is known of it; [`NONE`](super::code::NONE) where something is.
    pub error: i16,
    /// The producer's name for itself.
    pub name: String,
    /// `Ongoing`, `PrepareAbort`, …
    pub state: String,
    /// When it began, in ms since 1970; -1 where none is open.
    pub start_ms: i64,
    /// How long it may be open, in ms.
    pub timeout_ms: i32,
    /// The producer's id.
    pub producer: i64,
}

/// Writes `DescribeTransactions`, by name.
pub fn write_described(output: &mut Output, names: &[String]) {
    output.array(names.len());
    names.iter().for_each(|name| output.string(name));
    output.tags();
}

/// Reads the answer.
///
/// # Errors
/// [`Garbled`].
pub fn read_described(mut input: Input<'_>) -> Result<Vec<Transaction>, Garbled> {
    input.i32()?; // throttled for so long
    let transactions = input.list(|input| {
        let (error, name, state) = (input.i16()?, input.text()?, input.text()?);
        let (timeout_ms, start_ms, producer) = (input.i32()?, input.i64()?, input.i64()?);
        input.i16()?; // the producer's epoch
        input.list(|input| {
            input.string()?;
            input.list(Input::i32)?;
            input.skip_tags()
        })?;
        input.skip_tags()?;
        Ok(Transaction {
            error,
            name,
            state,
            start_ms,
            timeout_ms,
            producer,
        })
    })?;
    input.skip_tags()?;
    Ok(transactions)
}

/// Writes `WriteTxnMarkers`: the records of a producer's transaction in a partition do not count.
pub fn write_abort(output: &mut Output, producer: &Producer, topic: &str, partition: i32) {
    output.array(1);
    output.i64(producer.id);
    output.i16(producer.epoch as i16); // it has no more bits anywhere else
    output.i8(0); // aborted
    write_places(output, &[(topic.to_owned(), vec![partition])]);
    output.i32(producer.coordinator_epoch.max(0)); // as `kafka-transactions.sh` does
    output.tags();
    output.tags();
}

/// Reads the answer: the first error's code.
///
/// # Errors
/// [`Garbled`].
pub fn read_abort(mut input: Input<'_>) -> Result<i16, Garbled> {
    let mut first = super::code::NONE;
    input.list(|input| {
        input.i64()?;
        input.list(|input| {
            input.string()?;
            input.list(|input| {
                input.i32()?;
                let error = input.i16()?;
                if first == super::code::NONE {
                    first = error;
                }
                input.skip_tags()
            })?;
            input.skip_tags()
        })?;
        input.skip_tags()
    })?;
    input.skip_tags()?;
    Ok(first)
}
