//! The records of a batch, once they are unpacked.
//!
//! ```text
//! length │ attributes i8 │ timestamp delta │ offset delta │ key length, key │ value length, value
//!        │ number of headers │ name length, name, value length, value │ …
//! ```
//!
//! All but the attributes are zigzag varints; a length of -1 means null.

use std::ops::Range;

use super::{Damage, Header};
use crate::record;

/// Where some bytes lie; null, or at most 4 GiB from the begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    /// `NULL` for null.
    length: u32,
}

const NULL: u32 = u32::MAX;

impl Span {
    /// Returns the bytes in those that it was read from; `None` for null.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        match self.length {
            NULL => None,
            length => bytes.get(self.start as usize..)?.get(..length as usize),
        }
    }
}

/// Where a record lies, and what is read without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the partition.
    pub offset: i64,
    /// In ms since 1970, UTC; below 0 for none.
    pub timestamp: i64,
    /// Its key.
    pub key: Span,
    /// Its value.
    pub value: Span,
    /// Its headers, undecoded, for [`Headers`].
    pub headers: Span,
    /// Whether the timestamp is that of the broker.
    pub(crate) is_append_time: bool,
}

/// Reads the records of one batch, some at a time.
#[derive(Debug, Clone)]
pub struct Reader {
    header: Header,
    /// Where the records lie that are not read yet.
    rest: Range<usize>,
    /// How many were read.
    nth: usize,
    /// The offset of the last record, counted from the first of the batch.
    last: i64,
}

/// As many bytes has a record at least.
const SMALLEST: usize = 7;

impl Reader {
    /// Returns a reader of the records that lie, unpacked, in a range of some bytes.
    pub fn new(header: Header, records: Range<usize>) -> Self {
        Reader {
            header,
            rest: records,
            nth: 0,
            last: -1,
        }
    }

    /// Returns the offset of the first record that was in the batch.
    pub(crate) fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// Returns whether all records were read.
    pub fn is_done(&self) -> bool {
        self.nth as i64 >= i64::from(self.header.count)
    }

    /// Adds the entries of the next records, those before the offset `from` left out, until `most` were
    /// added. `bytes` are the same with every call.
    ///
    /// # Errors
    /// [`Damage::Record`] for a record that ends beyond its batch, does not have the size that it says,
    /// or whose offset does not follow; the entries before it were added.
    #[inline]
    pub fn read(
        &mut self,
        bytes: &[u8],
        from: i64,
        most: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Damage> {
        let damaged = |nth| Damage::Record(nth);
        if u32::try_from(self.rest.end).is_err() {
            return Err(damaged(self.nth));
        }
        let bytes = bytes.get(..self.rest.end).ok_or(damaged(self.nth))?;
        let left = (i64::from(self.header.count) - self.nth as i64).max(0) as usize;
        entries.reserve(left.min(most).min(self.rest.len() / SMALLEST));
        let mut added = 0;
        while added < most && !self.is_done() {
            let entry = self.next(bytes).ok_or(damaged(self.nth))?;
            self.nth += 1;
            if entry.offset >= from {
                entries.push(entry);
                added += 1;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn next(&mut self, bytes: &[u8]) -> Option<Entry> {
        let mut cursor = Cursor {
            bytes,
            at: self.rest.start,
        };
        let length = usize::try_from(cursor.varint()?).ok()?;
        let end = cursor.at.checked_add(length)?;
        if end > bytes.len() {
            return None;
        }
        cursor.bytes = &bytes[..end];
        cursor.skip(1)?; // attributes, which mean nothing so far
        let timestamp = cursor.varint()?;
        let offset = cursor.varint()?;
        let key = cursor.span()?;
        let value = cursor.span()?;
        let headers = Span {
            start: cursor.at as u32,
            length: (end - cursor.at) as u32,
        };
        // Most records have none.
        if cursor.varint()? == 0 && cursor.at != end {
            return None;
        }
        if offset <= self.last || offset > i64::from(self.header.last_offset_delta) {
            return None;
        }
        self.last = offset;
        self.rest.start = end;
        let is_append_time = self.header.attributes.is_append_time();
        Some(Entry {
            offset: self.header.base_offset.checked_add(offset)?,
            timestamp: if is_append_time {
                self.header.max_timestamp
            } else {
                self.header.first_timestamp.wrapping_add(timestamp)
            },
            key,
            value,
            headers,
            is_append_time,
        })
    }
}

/// The headers of a record, decoded one by one; ends at the first that is damaged.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    cursor: Cursor<'a>,
    left: i64,
    read: usize,
}

impl<'a> Headers<'a> {
    /// Returns the headers that an [`Entry`] names in some bytes.
    pub fn new(headers: Span, bytes: &'a [u8]) -> Self {
        let bytes = headers.of(bytes).unwrap_or_default();
        let mut cursor = Cursor { bytes, at: 0 };
        let left = cursor.varint().unwrap_or(0);
        Headers {
            cursor,
            left,
            read: 0,
        }
    }

    /// Goes on at a place, which is one of this record's.
    pub(crate) fn go_to(&mut self, place: record::Place) {
        if place.read > 0 {
            self.left = self.left.saturating_sub_unsigned(place.read as u64);
            self.read = place.read;
            self.cursor.at = place.byte;
        }
    }

    /// Returns the place of the next one.
    pub(crate) fn place(&self) -> record::Place {
        record::Place {
            read: self.read,
            byte: self.cursor.at,
        }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = record::Header<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        self.read += 1;
        let (name, value) = (self.cursor.span()?, self.cursor.span()?);
        Some(record::Header {
            name: name.of(self.cursor.bytes)?,
            value: value.of(self.cursor.bytes),
        })
    }
}

/// Reads what a record is made of.
#[derive(Debug, Clone)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len()).then_some(())
    }

    /// Reads a zigzag varint of at most 64 bits; nearly all have one byte or two.
    #[inline(always)]
    fn varint(&mut self) -> Option<i64> {
        let value = match *self.bytes.get(self.at..)? {
            [first, ..] if first < 0x80 => {
                self.at += 1;
                u64::from(first)
            }
            [first, second, ..] if second < 0x80 => {
                self.at += 2;
                u64::from(first & 0x7F) | u64::from(second) << 7
            }
            _ => self.long_varint()?,
        };
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a length and passes over as many bytes.
    #[inline(always)]
    fn span(&mut self) -> Option<Span> {
        let length = self.varint()?;
        let start = self.at as u32;
        if length < 0 {
            return (length == -1).then_some(Span {
                start,
                length: NULL,
            });
        }
        self.skip(usize::try_from(length).ok()?)?;
        Some(Span {
            start,
            length: length as u32,
        })
    }
}
