//! One side's records, decoded and ready for the join.
//!
//! In: batches of a source, which they borrow from. Out: [`Load`]s that own their bytes, so that
//! both sides are available while either source is read on. Their memory is reused, so no record
//! allocates.

use std::borrow::Cow;
use std::sync::Arc;

use bumpalo::Bump;

use super::Options;
use super::part::{Members, Part};
use crate::column::{Column, DataType};
use crate::engine::join::{Content, Records};
use crate::error::Error;
use crate::expression::Expression;
use crate::format::{Decoder, EARLIEST, Malformed, Origins, Place, TimeFrom};
use crate::number::parse_decimal;
use crate::plan::join::SidePlan;
use crate::source::{Batch, Message, Records as Source};

/// Decodes the records of one side.
#[derive(Debug)]
pub(super) struct Stage {
    /// The name of the source in messages.
    name: String,
    decoder: Decoder,
    part: Part,
    keys: Vec<Arc<Expression>>,
    time: TimeFrom,
    /// Whether a null value deletes the row of its key.
    is_table: bool,
    skip_bad: bool,
    arena: Bump,
}

/// Some records of one partition, ready for the join.
#[derive(Debug)]
pub(super) struct Load {
    /// Which of the source's partitions.
    pub partition: usize,
    /// Those that fit.
    pub records: Records,
    /// Their offsets, if someone wants to know them.
    pub offsets: Option<Vec<i64>>,
    /// How many did not fit and were skipped; the last one may have ended the run instead.
    malformed: u64,
    /// The first of them.
    first_skipped: Option<String>,
    /// What the run ends with when the join has taken the records in.
    stop: Option<Error>,
}

impl Load {
    /// Returns a load of nothing.
    pub fn new(records: Records) -> Self {
        Load {
            partition: 0,
            records,
            offsets: None,
            malformed: 0,
            first_skipped: None,
            stop: None,
        }
    }

    /// Forgets the records; those to come are of `partition`.
    pub fn clear(&mut self, partition: usize) {
        self.partition = partition;
        self.records.clear(partition);
        self.offsets.iter_mut().for_each(Vec::clear);
    }

    /// Returns whether there is something to be taken in: records, or the error to end with.
    pub fn has_more(&self) -> bool {
        self.records.has_more() || self.malformed > 0 || self.stop.is_some()
    }

    /// Returns the error of a malformed record that is behind the records.
    pub fn take_stop(&mut self) -> Option<Error> {
        self.stop.take_if(|_| !self.records.has_more())
    }

    /// Returns how many malformed records there are; no more when it is asked again.
    pub fn take_malformed(&mut self) -> u64 {
        std::mem::take(&mut self.malformed)
    }

    /// Returns the line about the first of those that were skipped, once.
    pub fn take_first_skipped(&mut self) -> Option<String> {
        self.first_skipped.take()
    }
}

impl Stage {
    /// Returns a stage for records of the source `name`.
    pub fn new(
        name: String,
        side: &SidePlan,
        decoder: Decoder,
        is_table: bool,
        options: &Options,
    ) -> Self {
        Stage {
            name,
            part: Part::new(side, options.notation, decoder.dialect()),
            decoder,
            keys: side.keys.iter().map(|key| key.expression.clone()).collect(),
            time: side.time.clone(),
            is_table,
            skip_bad: options.skip_bad,
            arena: Bump::new(),
        }
    }

    /// Decodes a batch into a load, whose records have been taken in.
    pub fn fill(&mut self, batch: Batch<'_>, load: &mut Load) {
        load.clear(batch.partition);
        let mut arena = std::mem::take(&mut self.arena);
        match batch.records {
            Source::Messages(messages) if self.is_table => self.add_changes(messages, &arena, load),
            records => self.add(&records, &arena, load),
        }
        arena.reset();
        self.arena = arena;
    }

    /// Decodes messages of a table, tombstones among them, in their order.
    fn add_changes(&mut self, messages: Vec<Message<'_>>, arena: &Bump, load: &mut Load) {
        for run in messages.chunk_by(|one, next| one.value.is_some() && next.value.is_some()) {
            match run {
                [tombstone @ Message { value: None, .. }] => self.add_tombstone(tombstone, load),
                run => self.add(&Source::Messages(run.to_vec()), arena, load),
            }
            if load.stop.is_some() {
                return;
            }
        }
    }

    /// A null value deletes the row whose join column is the message's key, at its timestamp.
    fn add_tombstone(&self, message: &Message<'_>, load: &mut Load) {
        let key = message.key.unwrap_or_default();
        let text = std::str::from_utf8(key).ok();
        let key_type = match self.keys.as_slice() {
            [key] if key.column().is_some() => Some(key.data_type()),
            _ => None,
        };
        let column = match key_type.unwrap_or(DataType::Boolean) {
            DataType::Text => text.map(|key| Column::Text([Some(key)].into_iter().collect())),
            DataType::Any => text.map(|key| Column::Any([Some(key)].into_iter().collect())),
            DataType::Bigint | DataType::Timestamp => {
                let key = text.and_then(|text| text.parse().ok());
                key.map(|key| Column::Bigint([Some(key)].into_iter().collect()))
            }
            DataType::Decimal => {
                let key = parse_decimal(key);
                key.map(|key| Column::Decimal([Some(key)].into_iter().collect()))
            }
            DataType::Double | DataType::Boolean | DataType::Number => None,
        };
        let time = match self.time {
            TimeFrom::Nowhere => Some(EARLIEST),
            _ => message.timestamp,
        };
        match (column, time) {
            (Some(column), Some(time)) => {
                let columns = [Cow::Owned(column)];
                self.part.push_keys(&columns, 0, &mut load.records.bytes);
                let key_end = load.records.bytes.len();
                load.records.add(time, key_end, Content::Tombstone);
            }
            _ => self.refuse(
                load,
                &Malformed {
                    before: 0,
                    place: Place::Offset(message.partition, message.offset),
                    at: None,
                    misfit: "the value is null, and its key is not a value of `--on`"
                        .to_owned()
                        .into(),
                    bytes: key,
                },
            ),
        }
    }

    /// Decodes records; ends before the first that is malformed, unless these are skipped.
    fn add(&mut self, records: &Source<'_>, arena: &Bump, load: &mut Load) {
        let mut decoded = self.decoder.decode(records, Origins::Keep, arena);
        if self.keys.iter().any(|key| key.column().is_none()) {
            let evaluated = self
                .keys
                .iter()
                .map(|key| key.evaluate(&decoded.columns, arena));
            let failed = evaluated.flat_map(|evaluated| evaluated.errors);
            let misfits: Vec<_> = failed.map(|error| (error.row, error.misfit)).collect();
            if !misfits.is_empty() {
                let origins = decoded.origins.clone();
                decoded.refuse(misfits, |row| origins[row]);
            }
        }
        let is_json = self.decoder.is_json();
        let is_text = match records {
            Source::Lines(lines) => simdutf8::basic::from_utf8(lines.bytes).is_ok(),
            Source::Messages(_) => false,
        };
        let keys = self.keys.iter();
        let keys = keys.map(|key| key.evaluate(&decoded.columns, arena).column);
        let keys: Vec<Cow<'_, Column<'_>>> = keys.collect();
        let mut malformed = decoded.malformed.iter().peekable();
        let mut members = Members::new();
        for (row, &(place, bytes)) in decoded.origins.iter().enumerate() {
            while let Some(bad) = malformed.next_if(|bad| bad.before <= row) {
                self.refuse(load, bad);
                if load.stop.is_some() {
                    return;
                }
            }
            let time = match self.time {
                TimeFrom::Nowhere => EARLIEST,
                _ => decoded.times[row],
            };
            let line = &mut load.records.bytes;
            let start = line.len();
            let is_null = self.part.push_keys(&keys, row, line);
            let key_end = line.len();
            let carried = match is_json {
                true => self.part.push_json(bytes, &mut members, line),
                false if is_text || std::str::from_utf8(bytes).is_ok() => {
                    self.part.push_delimited(bytes, line);
                    Ok(())
                }
                false => Err("it is not UTF-8".to_owned()),
            };
            match carried {
                Ok(()) => {
                    let content = if is_null {
                        Content::NullKey
                    } else {
                        Content::Keyed
                    };
                    load.records.add(time, key_end, content);
                    if let (Some(offsets), Place::Offset(_, offset)) = (&mut load.offsets, place) {
                        offsets.push(offset);
                    }
                }
                Err(reason) => {
                    line.truncate(start);
                    let before = row;
                    self.refuse(
                        load,
                        &Malformed {
                            before,
                            place,
                            at: Some(time),
                            misfit: reason.into(),
                            bytes,
                        },
                    );
                    if load.stop.is_some() {
                        return;
                    }
                }
            }
        }
        for bad in malformed {
            self.refuse(load, bad);
            if load.stop.is_some() {
                return;
            }
        }
    }

    /// Counts a malformed record; it ends the run unless such records are skipped.
    fn refuse(&self, load: &mut Load, malformed: &Malformed<'_>) {
        load.malformed += 1;
        if !self.skip_bad {
            load.stop = Some(malformed.to_error(&self.name));
        } else if load.first_skipped.is_none() {
            load.first_skipped = Some(malformed.to_skipped().to_line(&self.name));
        }
    }
}
