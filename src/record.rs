//! A record of a topic, and how far a group has read.
//!
//! The bytes lie wherever they were fetched to; a [`Message`] borrows them. What is seldom asked for,
//! such as headers, is found only then ([`Beside`]).

use std::fmt;

/// One record of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The partition's number in its topic.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// The record's timestamp in ms since 1970, UTC; `None` when it has none.
    pub timestamp: Option<i64>,
    /// The key's bytes; `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` for null (a tombstone).
    pub value: Option<&'a [u8]>,
    /// What goes along with it; costs nothing until it is asked for.
    pub headers: Headers<'a>,
}

/// The header of a tombstone that says which row it takes back, as `k window` writes it.
pub(crate) const TAKEN_BACK: &[u8] = b"taken_back";

impl<'a> Message<'a> {
    /// Returns the value of the last header of a name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let headers = self.headers.iter();
        let named = headers.filter(|header| header.name == name.as_bytes());
        named.last()?.value
    }

    /// Returns the row that a tombstone takes back, if it says so.
    pub fn taken_back(&self) -> Option<&'a [u8]> {
        let mut headers = self.headers.iter();
        headers.find(|header| header.name == TAKEN_BACK)?.value
    }
}

/// A header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Text, as a rule; a record may have several of the same name.
    pub name: &'a [u8],
    /// `None` for null.
    pub value: Option<&'a [u8]>,
}

/// What a record has that was read elsewhere than in a topic.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// The topic that it came from.
    pub topic: &'a str,
    /// Its headers, in their order.
    pub headers: &'a [Header<'a>],
}

impl Beside for Read<'_> {
    fn topic(&self, _nth: usize) -> Option<&str> {
        Some(self.topic)
    }

    fn appended_at(&self, _nth: usize) -> Option<i64> {
        None
    }

    fn next_header(&self, _nth: usize, place: &mut Place) -> Option<Header<'_>> {
        let header = self.headers.get(place.read).copied();
        place.read += 1;
        header
    }
}

/// Keeps records, and finds what lies beside the key and value of the `nth` of them.
pub(crate) trait Beside: fmt::Debug {
    /// Returns the topic of the record, if it is known.
    fn topic(&self, nth: usize) -> Option<&str>;

    /// Returns when the broker appended the record, in ms since 1970, UTC; `None` where its timestamp
    /// is what the producer wrote.
    fn appended_at(&self, nth: usize) -> Option<i64>;

    /// Returns the header at a place, and moves the place behind it; none past the last.
    fn next_header(&self, nth: usize, place: &mut Place) -> Option<Header<'_>>;
}

/// A place among the headers of a record; the first is the default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// How many headers lie before it.
    pub read: usize,
    /// Where its bytes begin, for a keeper that needs it.
    pub byte: usize,
}

/// The headers of a record and its topic, found only when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    keeper: Option<&'a dyn Beside>,
    nth: usize,
}

impl<'a> Headers<'a> {
    /// The headers of a record that has none.
    pub(crate) const NONE: Headers<'a> = Headers {
        keeper: None,
        nth: 0,
    };

    /// Returns the headers of the `nth` record of a keeper, with its topic.
    pub(crate) fn of(keeper: &'a dyn Beside, nth: usize) -> Self {
        let keeper = Some(keeper);
        Headers { keeper, nth }
    }

    /// Returns the topic of the record, if it is known.
    pub fn topic(self) -> Option<&'a str> {
        self.keeper?.topic(self.nth)
    }

    /// Returns when the broker appended the record, in ms since 1970, UTC; `None` where its timestamp is
    /// what the producer wrote.
    pub(crate) fn appended_at(self) -> Option<i64> {
        self.keeper?.appended_at(self.nth)
    }

    /// Returns the headers in their order.
    pub fn iter(self) -> impl Iterator<Item = Header<'a>> {
        let mut place = Place::default();
        std::iter::from_fn(move || self.keeper?.next_header(self.nth, &mut place))
    }
}

/// Where a group has come to in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What was noted beside it.
    pub(crate) metadata: String,
}
