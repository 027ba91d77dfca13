//! Records of one partition, wherever they lie: in librdkafka's memory, or in the batches that they
//! came in.

use std::ops::Range;

use super::batch::{self, Entry};
use super::direct::Entries;
use super::port::OwnRecord;
use super::queue::Messages;
use crate::record::{Beside, Header, Headers, Message, Place};

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
            Kept::Entries(entries) => message_of(entries, nth, &entries.entries()[nth]),
            Kept::Own(records) => records[nth].message(),
        }
    }

    /// Returns the records of a range.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn messages(&self, range: Range<usize>) -> Vec<Message<'_>> {
        match &self.0 {
            Kept::Entries(entries) => {
                let found = range.clone().zip(&entries.entries()[range]);
                found
                    .map(|(nth, entry)| message_of(entries, nth, entry))
                    .collect()
            }
            _ => range.map(|nth| self.get(nth)).collect(),
        }
    }
}

#[inline(always)]
fn message_of<'a>(entries: &'a Entries, nth: usize, entry: &Entry) -> Message<'a> {
    let bytes = entries.bytes();
    Message {
        partition: entries.partition(),
        offset: entry.offset,
        timestamp: (entry.timestamp >= 0).then_some(entry.timestamp),
        key: entry.key.of(bytes),
        value: entry.value.of(bytes),
        headers: Headers::of(entries, nth),
    }
}

impl Beside for Entries {
    fn topic(&self, _nth: usize) -> Option<&str> {
        Some(Entries::topic(self))
    }

    fn appended_at(&self, nth: usize) -> Option<i64> {
        let entry = &self.entries()[nth];
        entry.is_append_time.then_some(entry.timestamp)
    }

    fn next_header(&self, nth: usize, place: &mut Place) -> Option<Header<'_>> {
        let mut headers = batch::Headers::new(self.entries()[nth].headers, self.bytes());
        headers.go_to(*place);
        let header = headers.next();
        *place = headers.place();
        header
    }
}
