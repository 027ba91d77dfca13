//! Reads a result of `k window` from a file, a pipe or a topic into a table.

use std::collections::HashSet;
use std::time::Duration;

use bumpalo::Bump;
use serde_json::Value as Json;

use super::broker::BrokerOptions;
use super::endpoint::{Endpoint, OneInput, one_input};
use crate::column::ValueRef;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::{Decoded, Decoder, Layout, Origins, Place, TimeFrom, envelope};
use crate::node::input::{self, Given, Input};
use crate::number::Number;
use crate::source::kafka::{Range, Since, Until};
use crate::source::{Batch, Message, Polled, Records};
use crate::verify::table::{Cell, Columnation, ResultTable, Span};

/// How long a wait lasts before signals are checked.
const POLL: Duration = Duration::from_millis(50);

/// Reads a result to its end; a topic to its current end. `keys` names the key columns; `None`
/// takes all columns of text.
///
/// # Errors
/// Errors of the source; `data` for a row that does not belong to a result.
pub(super) fn read(
    from: &Endpoint,
    keys: Option<&[String]>,
    given: &Given,
    broker: &BrokerOptions,
    context: &Context,
) -> Result<ResultTable> {
    let input = match &one_input(std::slice::from_ref(from))? {
        OneInput::Lines(pieces) => input::open_files(pieces, given.clone(), context)?,
        OneInput::Topic(topic) => {
            let range = Range {
                since: Since::Beginning,
                until: Until::End,
                group: None,
            };
            let settings = broker.settings(context)?;
            match input::open_topic(topic, &range, given.clone(), &settings, context)? {
                Some(input) => input,
                None => return Err(Error::data(format!("topic `{topic}` is empty"))),
            }
        }
    };
    let name = input.source.name();
    Reader::new(input, keys, context)
        .and_then(|reader| reader.read(context))
        .map_err(|error| error.during(format!("reading {name}")))
}

struct Reader {
    input: Input,
    decoder: Decoder,
    columns: Columnation,
    table: ResultTable,
}

impl Reader {
    fn new(mut input: Input, keys: Option<&[String]>, context: &Context) -> Result<Self> {
        refuse_drawn_table(&input)?;
        let layout = Layout {
            schema: input.schema.clone(),
            wanted: (0..input.schema.fields.len()).collect(),
            time: TimeFrom::Nowhere,
        };
        let mut decoder = input.decoder(layout);
        let arena = Bump::new();
        let first = match input.source.sample(&context.interrupt)? {
            Some(records) => decoder.decode(&records, Origins::Forget, &arena),
            None => Decoded::default(),
        };
        let is_text = |at: usize| match first.columns.rows {
            0 => false,
            _ => match first.columns.columns[at].value_ref(0) {
                ValueRef::Any(text) => Number::parse(text.as_bytes()).is_none(),
                _ => false,
            },
        };
        let columns = Columnation::new(&input.schema, keys, is_text)?;
        Ok(Reader {
            decoder,
            table: columns.table(&input.schema),
            columns,
            input,
        })
    }

    fn read(mut self, context: &Context) -> Result<ResultTable> {
        let mut arena = Bump::new();
        loop {
            context.interrupt.check()?;
            match self.input.source.poll(POLL)? {
                Polled::End => return Ok(self.table),
                Polled::Pending => {}
                Polled::Batch(batch) => {
                    take(
                        &mut self.table,
                        &self.columns,
                        &mut self.decoder,
                        &batch,
                        &arena,
                    )?;
                }
            }
            arena.reset();
        }
    }
}

/// Adds a batch. A tombstone of a topic, or of a file of its envelopes, takes the row of its key back.
fn take<'a>(
    table: &mut ResultTable,
    columns: &Columnation,
    decoder: &mut Decoder,
    batch: &Batch<'a>,
    arena: &'a Bump,
) -> Result<()> {
    let mut decoded = decoder.decode(&batch.records, Origins::Keep, arena);
    let malformed = std::mem::take(&mut decoded.malformed);
    let opened = match (&batch.records, decoder.is_of_envelopes()) {
        (Records::Lines(lines), true) => envelope::records(*lines, arena),
        _ => Records::Messages(Vec::new()),
    };
    let messages = match (&batch.records, &opened) {
        (Records::Messages(messages), _) | (_, Records::Messages(messages)) => &messages[..],
        _ => &[],
    };
    let place_of = |message: &Message<'_>| (message.partition, message.offset);
    let tombstones = messages.iter().filter(|message| message.value.is_none());
    let tombstones: HashSet<(i32, i64)> = tombstones.map(place_of).collect();
    let is_tombstone = |place: Place| match place {
        Place::Offset(partition, offset) => tombstones.contains(&(partition, offset)),
        _ => false,
    };
    if let Some(first) = malformed.iter().find(|row| !is_tombstone(row.place)) {
        return Err(
            Error::data(format!("{}: {}", first.place, first.misfit.reason))
                .hint("a result has the columns that `k window` writes, in CSV or JSON lines"),
        );
    }
    let (mut messages, mut here) = (messages.iter(), None);
    for row in 0..decoded.columns.rows {
        let (place, _) = decoded.origins[row];
        let wanted = match place {
            Place::Offset(partition, offset) => Some((partition, offset)),
            _ => None,
        };
        // What comes before the row: in a file the partitions may be mixed.
        while here != wanted
            && let Some(message) = messages.next()
        {
            here = Some(place_of(message));
            if message.value.is_none() {
                bury(table, message);
            }
        }
        let added = columns.add(table, &decoded.columns, row);
        added.map_err(|reason| Error::data(format!("{place}: {reason}")))?;
    }
    for tombstone in messages.filter(|message| message.value.is_none()) {
        bury(table, tombstone);
    }
    Ok(())
}

/// Takes the row of a tombstone's key back.
fn bury(table: &mut ResultTable, tombstone: &Message<'_>) {
    let key = tombstone.key.unwrap_or_default();
    if let Some(cell) = named_cell(key, &table.keys).or_else(|| session_cell(key)) {
        table.take_back(&cell);
    }
}

/// Returns the cell of a key as `k` writes it: `{key columns, window_start, window_end}`.
fn named_cell(key: &[u8], names: &[String]) -> Option<Cell> {
    let Ok(Json::Object(key)) = serde_json::from_slice::<Json>(key) else {
        return None;
    };
    let bound = |name: &str| key.get(name).and_then(Json::as_i64);
    let span = match (bound("window_start"), bound("window_end")) {
        (Some(start), Some(end)) => Span { start, end },
        _ => Span::ALL_TIME,
    };
    let part = |name: &String| match key.get(name) {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(text.as_str().into()),
        Some(value) => Some(value.to_string().into()),
    };
    let key = names.iter().map(part).collect();
    Some(Cell { span, key })
}

/// Returns the cell of a session's key as Kafka Streams and ksqlDB write it (`SessionKeySchema`):
/// the key's text, then the session's end and start, eight bytes each.
fn session_cell(key: &[u8]) -> Option<Cell> {
    let (rest, start) = key.split_last_chunk::<8>()?;
    let (text, end) = rest.split_last_chunk::<8>()?;
    let span = Span {
        start: i64::from_be_bytes(*start),
        end: i64::from_be_bytes(*end),
    };
    let text = std::str::from_utf8(text).ok()?;
    Some(Cell {
        span,
        key: vec![Some(text.into())],
    })
}

/// Refuses what `--format table` prints.
fn refuse_drawn_table(input: &Input) -> Result<()> {
    match &input.schema.fields[..] {
        [only] if only.name.contains("  ") => Err(Error::data(
            "this is the output of `--format table`, for people to read",
        )
        .hint("write CSV: leave `--format table` out; CSV is the default in a pipe or file")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_session_of_kafka_streams_names_its_cell() {
        let mut key = b"01510000001".to_vec();
        key.extend(1_767_225_605_000_i64.to_be_bytes());
        key.extend(1_767_225_600_000_i64.to_be_bytes());
        let cell = session_cell(&key).expect("a session's key");
        assert_eq!(cell.span.start, 1_767_225_600_000);
        assert_eq!(cell.span.end, 1_767_225_605_000);
        assert_eq!(cell.key, [Some("01510000001".into())]);
        assert_eq!(session_cell(b"short"), None);
    }
}
