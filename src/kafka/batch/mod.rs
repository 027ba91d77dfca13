//! The record batch, the form in which records lie in a log and on the wire: pure functions over
//! bytes, without a socket or a clock.
//!
//! In: what a broker answers to a fetch, or records. Out: [`Batch`]es that borrow from the
//! bytes, and [`Entry`]s that say where each record's key and value lie in them; or bytes for a
//! broker. Version 2 of the format, which every broker since 0.11 writes; its source is Kafka's
//! `DefaultRecordBatch` and `DefaultRecord`.
//!
//! ```text
//!  0 base offset i64 │  8 length behind it i32 │ 12 leader epoch i32 │ 16 magic i8 │ 17 crc u32
//! 21 attributes i16  │ 23 last offset delta i32│ 27 first timestamp  │ 35 highest timestamp
//! 43 producer id i64 │ 51 its epoch i16        │ 53 first sequence   │ 57 count i32│ 61 records
//! ```
//!
//! Nothing here panics on damaged bytes, and nothing is allocated because bytes claim to be large:
//! the records of a batch are unpacked to at most a given size, and their entries are made as many at
//! a time as the caller asks for.

mod encode;
mod packing;
mod records;

use std::fmt;

pub use encode::{Builder, Sender, halve, stamp};
pub use packing::{Codec, Unpacker};
pub use records::{Entry, Headers, Reader};

/// The size of a batch without a record.
pub const HEADER: usize = 61;
/// Where the length is counted from.
const LENGTH_FROM: usize = 12;
/// Where the bytes begin that the checksum is of.
const CHECKED_FROM: usize = 21;
/// The version of the format.
const MAGIC: i8 = 2;

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// They are of the format before Kafka 0.11.
    OldFormat,
    /// The checksum is another one.
    Checksum,
    /// The head says what cannot be.
    Head,
    /// A codec that does not exist.
    UnknownCodec(u8),
    /// The records do not unpack.
    Packed(Codec),
    /// Unpacked, the records are larger than so many bytes.
    TooLarge(usize),
    /// The record of this place in the batch, from 0, is cut off or at odds with itself.
    Record(usize),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::OldFormat => f.write_str("its records are in the format before Kafka 0.11"),
            Damage::Checksum => f.write_str("its checksum is wrong"),
            Damage::Head => f.write_str("its head is damaged"),
            Damage::UnknownCodec(codec) => write!(f, "nothing packs as codec {codec} does"),
            Damage::Packed(codec) => write!(f, "its records do not unpack as {codec}"),
            Damage::TooLarge(limit) => write!(f, "its records unpack to more than {limit} bytes"),
            Damage::Record(nth) => write!(f, "its record {nth} is damaged"),
        }
    }
}

impl std::error::Error for Damage {}

/// Flags of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const APPENDED: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// Returns what has packed the records.
    ///
    /// # Errors
    /// [`Damage::UnknownCodec`].
    pub fn codec(self) -> Result<Codec, Damage> {
        Codec::of((self.0 & Self::CODEC) as u8)
    }

    /// Returns whether the timestamp is the time when the broker appended the batch.
    pub(crate) fn is_append_time(self) -> bool {
        self.0 & Self::APPENDED != 0
    }

    /// Returns whether the records belong to a transaction.
    pub(crate) fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Returns whether it holds a marker of the broker's and no records.
    pub(crate) fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
}

/// What a batch says of its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// The offset of the first record that was in it; compaction may have removed that.
    pub(crate) base_offset: i64,
    /// The epoch of the leader that appended it; -1 for none.
    pub(crate) leader_epoch: i32,
    /// Flags.
    pub attributes: Attributes,
    /// The offset of the last record that was in it, counted from the first.
    pub(crate) last_offset_delta: i32,
    /// What records' timestamps count from, in ms since 1970, UTC.
    pub(crate) first_timestamp: i64,
    /// The highest timestamp, or when the batch was appended.
    pub(crate) max_timestamp: i64,
    /// The producer's id; -1 for none.
    pub(crate) producer_id: i64,
    /// The producer's epoch; -1 for none.
    pub(crate) producer_epoch: i16,
    /// The sequence number of the first record; -1 for none.
    pub(crate) base_sequence: i32,
    /// How many records there are.
    pub count: i32,
}

impl Header {
    /// Returns the first offset behind the batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
            .saturating_add(1)
    }
}

/// A whole batch, its records as they were packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// What it says of its records.
    pub header: Header,
    /// All its bytes.
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Takes the first batch off some bytes; none where they end before it does.
    ///
    /// # Errors
    /// [`Damage::OldFormat`], [`Damage::Head`].
    pub fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>, Damage> {
        let (Some(length), Some(magic)) = (field(bytes, 8), field(bytes, 16)) else {
            return Ok(None);
        };
        let (length, [magic]) = (i32::from_be_bytes(length), magic);
        match magic as i8 {
            MAGIC => {}
            0 | 1 => return Err(Damage::OldFormat),
            _ => return Err(Damage::Head),
        }
        let length = usize::try_from(length).map_err(|_| Damage::Head)?;
        if length < HEADER - LENGTH_FROM {
            return Err(Damage::Head);
        }
        let Some((whole, rest)) = bytes.split_at_checked(LENGTH_FROM + length) else {
            return Ok(None);
        };
        *bytes = rest;
        let header = read_header(whole).ok_or(Damage::Head)?;
        let is_sound =
            header.last_offset_delta >= 0 && header.count >= 0 && header.base_offset >= 0;
        if is_sound {
            Ok(Some(Batch {
                header,
                bytes: whole,
            }))
        } else {
            Err(Damage::Head)
        }
    }

    /// Returns how many bytes it has.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Checks the bytes by their checksum, with the processor's own instructions where it has them.
    ///
    /// # Errors
    /// [`Damage::Checksum`].
    pub fn check(&self) -> Result<(), Damage> {
        let said = field(self.bytes, 17).map(u32::from_be_bytes);
        if said == Some(crc32c::crc32c(&self.bytes[CHECKED_FROM..])) {
            Ok(())
        } else {
            Err(Damage::Checksum)
        }
    }

    /// Returns the records' bytes, packed or not.
    pub fn packed(&self) -> &'a [u8] {
        &self.bytes[HEADER..]
    }

    /// Returns whether it is the marker that aborts a transaction; none where it is no marker.
    pub fn aborts(&self) -> Option<bool> {
        /// Kinds of markers, from the key of their record: version i16, kind i16.
        const ABORT: [u8; 2] = [0, 0];
        if !self.header.attributes.is_control() {
            return None;
        }
        let mut reader = Reader::new(self.header, 0..self.packed().len());
        let mut entries = Vec::new();
        reader.read(self.packed(), i64::MIN, 1, &mut entries).ok()?;
        let key = entries.first()?.key.of(self.packed())?;
        Some(key.get(2..4)? == ABORT)
    }
}

/// Returns the bytes of a field.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn read_header(bytes: &[u8]) -> Option<Header> {
    Some(Header {
        base_offset: i64::from_be_bytes(field(bytes, 0)?),
        leader_epoch: i32::from_be_bytes(field(bytes, 12)?),
        attributes: Attributes(i16::from_be_bytes(field(bytes, 21)?)),
        last_offset_delta: i32::from_be_bytes(field(bytes, 23)?),
        first_timestamp: i64::from_be_bytes(field(bytes, 27)?),
        max_timestamp: i64::from_be_bytes(field(bytes, 35)?),
        producer_id: i64::from_be_bytes(field(bytes, 43)?),
        producer_epoch: i16::from_be_bytes(field(bytes, 51)?),
        base_sequence: i32::from_be_bytes(field(bytes, 53)?),
        count: i32::from_be_bytes(field(bytes, 57)?),
    })
}
