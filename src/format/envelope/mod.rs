//! Envelopes: one JSON line a record, with everything that a topic keeps of it.
//!
//! In: records, or the lines that [`Writer`] wrote. Out: the other. A record that goes out and
//! comes in again has the same key, value, timestamp and headers, whatever bytes they hold: what is
//! not UTF-8 is written as base64.
//!
//! ```json
//! {"topic":"t","partition":0,"offset":7,"timestamp":1767225600000,"key":"a","headers":[["h","1"]],"value":"…"}
//! {"topic":"t","partition":0,"offset":8,"timestamp":null,"key":null,"headers":[["h",null,"/w=="]],"value_base64":"/w=="}
//! ```
//!
//! What `kcat -J` prints is read, too: `ts` for the timestamp, `payload` for the value, and headers as
//! names and values in turn.
//!
//! Where columns are wanted, [`Decoder`] takes them from the values, as from a topic's records.

mod read;
mod write;

use bumpalo::Bump;
use serde::de::Deserializer;

use super::dialect::Dialect;
use super::json::reason_of;
use super::{Decoded, Malformed, Origins, Place};
use crate::source::{Header, Headers, Lines, Message, Read, Records};

pub use write::Writer;

use read::{EnvelopeVisitor, Members};

/// A record as an envelope has it; text borrows from the line, or from an arena where the line
/// had it escaped or as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// The partition that it was read from.
    pub partition: i32,
    /// Its place in that partition.
    pub offset: i64,
    /// In ms since 1970, UTC; `None` when it had none.
    pub timestamp: Option<i64>,
    /// `None` for null.
    pub key: Option<&'a [u8]>,
    /// In their order; names may come twice.
    pub headers: Vec<Header<'a>>,
    /// `None` for null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    /// Returns whether a line is an envelope: an object with topic, partition, offset and value, or
    /// kcat's payload.
    pub fn is(line: &[u8]) -> bool {
        let members = serde_json::from_slice::<Members>(line);
        members.is_ok_and(|members| members.value.is_some() || members.value_base64.is_some())
    }

    /// Reads a line; members that no envelope has are passed over.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn parse(line: &'a [u8], arena: &'a Bump) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_slice(line);
        json.deserialize_map(EnvelopeVisitor { arena })
            .and_then(|envelope| json.end().map(|()| envelope))
            .map_err(|error| reason_of(&error))
    }

    /// Returns the record.
    fn message(&self, arena: &'a Bump) -> Message<'a> {
        let read = Read {
            topic: self.topic,
            headers: arena.alloc_slice_copy(&self.headers),
        };
        Message {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key,
            value: self.value,
            headers: Headers::of(arena.alloc(read), 0),
        }
    }
}

/// Decodes the values of envelopes.
#[derive(Debug, Clone)]
pub struct Decoder {
    values: Box<super::Decoder>,
}

impl Decoder {
    /// Returns a decoder of envelopes whose values `values` decodes.
    pub fn new(values: super::Decoder) -> Self {
        Decoder {
            values: Box::new(values),
        }
    }

    /// Returns the decoder of the values.
    pub fn values(&self) -> &super::Decoder {
        &self.values
    }

    /// Returns what the values do differently.
    pub fn dialect(&self) -> Dialect {
        self.values.dialect()
    }

    /// Decodes the values of some envelopes. A value that does not fit is placed where it was in
    /// its topic, a line that is not an envelope by its number.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let Records::Lines(lines) = records else {
            return self.values.decode(records, origins, arena);
        };
        let (messages, malformed) = open(*lines, arena);
        if malformed.is_empty() {
            let messages = Records::Messages(messages);
            return self.values.decode(&messages, origins, arena);
        }
        let places: Vec<Place> = messages.iter().map(place_of).collect();
        let messages = Records::Messages(messages);
        let mut decoded = self.values.decode(&messages, Origins::Keep, arena);
        let mut rows = decoded.origins.iter().map(|(place, _)| *place).peekable();
        let mut misfits = std::mem::take(&mut decoded.malformed)
            .into_iter()
            .peekable();
        let mut places = places.into_iter();
        let (mut opened, mut before) = (0, 0);
        for (envelopes, line) in malformed {
            // An envelope may hold no row or, as CSV, several.
            for place in places.by_ref().take(envelopes - opened) {
                before += std::iter::from_fn(|| rows.next_if_eq(&place)).count();
                let misfit = || misfits.next_if(|misfit| misfit.place == place);
                decoded.malformed.extend(std::iter::from_fn(misfit));
            }
            opened = envelopes;
            decoded.malformed.push(Malformed { before, ..line });
        }
        decoded.malformed.extend(misfits);
        if origins == Origins::Forget {
            decoded.origins.clear();
        }
        decoded
    }
}

/// Reads lines as envelopes. Beside each line that is none stands how many envelopes come before
/// it; blank lines are passed over.
#[allow(clippy::type_complexity)]
fn open<'a>(lines: Lines<'a>, arena: &'a Bump) -> (Vec<Message<'a>>, Vec<(usize, Malformed<'a>)>) {
    let (mut messages, mut malformed) = (Vec::new(), Vec::new());
    let numbered = (lines.first_line..).zip(lines.bytes.split(|&byte| byte == b'\n'));
    for (number, line) in numbered {
        let bytes = line.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        match Envelope::parse(bytes, arena) {
            Ok(envelope) => messages.push(envelope.message(arena)),
            Err(reason) => {
                let line = Malformed {
                    before: 0,
                    place: Place::of(&lines, number),
                    at: None,
                    misfit: reason.into(),
                    bytes,
                };
                malformed.push((messages.len(), line));
            }
        }
    }
    (messages, malformed)
}

fn place_of(message: &Message<'_>) -> Place {
    Place::Offset(message.partition, message.offset)
}

/// Reads the records that lines which are envelopes hold, to infer columns from; lines that are
/// none are passed over.
pub fn records<'a>(lines: Lines<'a>, arena: &'a Bump) -> Records<'a> {
    Records::Messages(open(lines, arena).0)
}

#[cfg(test)]
mod tests;
