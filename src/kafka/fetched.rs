//! Records of one partition, wherever they lie: in librdkafka's memory, or in the batches that they
//! came in.

use super::batch::{self, Entry};
use super::direct::Entries;
use super::port::OwnRecord;
use super::queue::{Messages, Record};
use crate::source::{Header, Message};

/// Records of one partition in their order; [`Message`]s borrow from them.
#[derive(Debug)]
pub struct Fetched(Kept);

#[derive(Debug)]
enum Kept {
    Messages(Messages),
    Entries(Entries),
    Own(Vec<OwnRecord>),
}

impl Default for Fetched {
    fn default() -> Self {
        Fetched(Kept::Messages(Messages::default()))
    }
}

impl From<Messages> for Fetched {
    fn from(messages: Messages) -> Self {
        Fetched(Kept::Messages(messages))
    }
}

impl From<Entries> for Fetched {
    fn from(entries: Entries) -> Self {
        Fetched(Kept::Entries(entries))
    }
}

impl From<Vec<OwnRecord>> for Fetched {
    fn from(records: Vec<OwnRecord>) -> Self {
        Fetched(Kept::Own(records))
    }
}

impl Fetched {
    /// Returns how many records there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Messages(messages) => messages.len(),
            Kept::Entries(entries) => entries.entries().len(),
            Kept::Own(records) => records.len(),
        }
    }

    /// Returns whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the `nth` record.
    ///
    /// # Panics
    /// Where there are not so many.
    #[inline]
    pub fn get(&self, nth: usize) -> Message<'_> {
        match &self.0 {
            Kept::Messages(messages) => messages.get(nth),
            Kept::Entries(entries) => {
                let (entry, bytes) = (&entries.entries()[nth], entries.bytes());
                Message {
                    partition: entries.partition(),
                    offset: entry.offset,
                    timestamp: (entry.timestamp >= 0).then_some(entry.timestamp),
                    key: entry.key.of(bytes),
                    value: entry.value.of(bytes),
                    headers: Headers(Of::Entry(entries, entry)),
                }
            }
            Kept::Own(records) => {
                let record = &records[nth];
                Message {
                    partition: record.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key(),
                    value: record.value(),
                    headers: Headers::NONE,
                }
            }
        }
    }
}

/// What a record has that was read elsewhere than in a topic.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// The topic that it came from.
    pub topic: &'a str,
    /// Its headers, in their order.
    pub headers: &'a [Header<'a>],
}

/// The headers of a record and its topic, found only when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(Of<'a>);

#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    None,
    /// A record that was read elsewhere.
    Read(&'a Read<'a>),
    Record(Record<'a>),
    Entry(&'a Entries, &'a Entry),
}

impl<'a> From<Record<'a>> for Headers<'a> {
    fn from(record: Record<'a>) -> Self {
        Headers(Of::Record(record))
    }
}

impl<'a> Headers<'a> {
    /// The headers of a record that has none.
    pub(crate) const NONE: Headers<'a> = Headers(Of::None);

    /// Returns the headers of a record that was read elsewhere, with its topic.
    pub(crate) fn of_read(read: &'a Read<'a>) -> Self {
        Headers(Of::Read(read))
    }

    /// Returns the topic of the record, if it is known.
    pub fn topic(self) -> Option<&'a str> {
        match self.0 {
            Of::None => None,
            Of::Read(read) => Some(read.topic),
            Of::Record(record) => record.topic(),
            Of::Entry(entries, _) => Some(entries.topic()),
        }
    }

    /// Returns when the broker appended the record, in ms since 1970, UTC; `None` where its timestamp is
    /// what the producer wrote.
    pub(crate) fn appended_at(self) -> Option<i64> {
        match self.0 {
            Of::None | Of::Read(_) => None,
            Of::Record(record) => record.appended_at(),
            Of::Entry(_, entry) => entry.is_append_time.then_some(entry.timestamp),
        }
    }

    /// Returns the headers in their order.
    pub fn iter(self) -> impl Iterator<Item = Header<'a>> {
        let mut of_entry = match self.0 {
            Of::Entry(entries, entry) => Some(batch::Headers::new(entry.headers, entries.bytes())),
            _ => None,
        };
        let header = move |nth: usize| match self.0 {
            Of::None => None,
            Of::Read(read) => read.headers.get(nth).copied(),
            Of::Record(record) => record.header(nth),
            Of::Entry(..) => of_entry.as_mut()?.next(),
        };
        (0..).map_while(header)
    }
}
