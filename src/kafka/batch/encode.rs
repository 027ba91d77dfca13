//! Records → a batch for a broker.

use super::packing::Codec;
use super::{Attributes, Batch, CHECKED_FROM, Damage, HEADER, Headers, LENGTH_FROM, MAGIC};
use super::{Reader, Unpacker};
use crate::record::Header;

/// Who sends a batch, for brokers that tell a repeated one by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the batch's first record.
    pub sequence: i32,
    /// Whether the records belong to its transaction.
    pub is_transactional: bool,
}

/// Gathers the records of one batch.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    /// Room for the head of the batch, and the records.
    bytes: Vec<u8>,
    count: i32,
    first_timestamp: i64,
    max_timestamp: i64,
}

impl Builder {
    /// Returns one that uses the memory of a batch that is gone.
    pub fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Builder {
            bytes,
            ..Builder::default()
        }
    }

    /// Returns how many records there are.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Returns the size of the batch, unpacked, in bytes; 0 before the first record.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record; the timestamp is in ms since 1970, UTC, or -1 for none.
    #[inline]
    pub fn push<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
    ) {
        if self.count == 0 {
            self.bytes.resize(HEADER, 0);
            (self.first_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let (delta, nth) = (
            timestamp.wrapping_sub(self.first_timestamp),
            i64::from(self.count),
        );
        let mut size = 1 + size_of_varint(delta) + size_of_varint(nth);
        size += size_of_bytes(key) + size_of_bytes(value) + size_of_varint(headers.len() as i64);
        for header in headers.clone() {
            size += size_of_bytes(Some(header.name)) + size_of_bytes(header.value);
        }
        let bytes = &mut self.bytes;
        push_varint(bytes, size as i64);
        bytes.push(0);
        push_varint(bytes, delta);
        push_varint(bytes, nth);
        push_bytes(bytes, key);
        push_bytes(bytes, value);
        push_varint(bytes, headers.len() as i64);
        for header in headers {
            push_bytes(bytes, Some(header.name));
            push_bytes(bytes, header.value);
        }
        self.count += 1;
    }

    /// Returns the batch, which begins at an offset, and is empty again.
    ///
    /// # Errors
    /// [`Damage::Packed`] where the codec refuses the records, [`Damage::TooLarge`] beyond 2 GiB.
    pub fn finish(
        &mut self,
        base_offset: i64,
        codec: Codec,
        sender: Option<Sender>,
    ) -> Result<Vec<u8>, Damage> {
        let mut batch = self.pack(codec)?;
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        stamp(&mut batch, sender);
        Ok(batch)
    }

    /// Returns the batch, to be [stamped](stamp) before it is sent, and is empty again.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub fn pack(&mut self, codec: Codec) -> Result<Vec<u8>, Damage> {
        const LARGEST: usize = i32::MAX as usize;
        let mut batch = std::mem::take(&mut self.bytes);
        let count = std::mem::take(&mut self.count);
        batch.resize(batch.len().max(HEADER), 0);
        if codec != Codec::None {
            let mut packed = Vec::with_capacity(batch.len() / 2);
            packed.resize(HEADER, 0);
            codec.pack(&batch[HEADER..], &mut packed)?;
            batch = packed;
        }
        if batch.len() > LARGEST {
            return Err(Damage::TooLarge(LARGEST));
        }
        let mut put = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
        put(12, &(-1_i32).to_be_bytes()); // the leader writes its epoch
        put(16, &MAGIC.to_be_bytes());
        put(21, &(codec as i16).to_be_bytes());
        put(23, &(count - 1).max(0).to_be_bytes());
        put(27, &self.first_timestamp.to_be_bytes());
        put(35, &self.max_timestamp.to_be_bytes());
        put(57, &count.to_be_bytes());
        let length = (batch.len() - LENGTH_FROM) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        Ok(batch)
    }
}

/// Writes into a batch who sends it, and its checksum; `None` for brokers that cannot tell whether they
/// have it.
pub fn stamp(batch: &mut [u8], sender: Option<Sender>) {
    let transactional = sender.is_some_and(|sender| sender.is_transactional);
    let (low, high) = (batch[22], Attributes::TRANSACTIONAL as u8);
    batch[22] = if transactional {
        low | high
    } else {
        low & !high
    };
    let (id, epoch, sequence) = sender.map_or((-1, -1, -1), |sender| {
        (sender.id, sender.epoch, sender.sequence)
    });
    batch[43..51].copy_from_slice(&id.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
}

/// Returns the records of a batch in two of half as many each, with how many the first one has; `None`
/// for one record, and for what is not a batch of [`Builder`]'s.
pub fn halve(batch: &[u8], unpacker: &mut Unpacker) -> Option<[(Vec<u8>, i32); 2]> {
    let batch = Batch::take(&mut &*batch).ok()??;
    let count = batch.header.count;
    let codec = batch.header.attributes.codec().ok()?;
    let mut records = Vec::new();
    unpacker.unpack(codec, batch.packed(), &mut records).ok()?;
    let mut entries = Vec::new();
    let mut reader = Reader::new(batch.header, 0..records.len());
    reader
        .read(&records, 0, count as usize, &mut entries)
        .ok()?;
    let (first, second) = entries.split_at_checked(entries.len() / 2)?;
    if first.is_empty() {
        return None;
    }
    let half = |entries: &[super::Entry]| {
        let mut builder = Builder::default();
        for entry in entries {
            let headers: Vec<Header<'_>> = Headers::new(entry.headers, &records).collect();
            let (key, value) = (entry.key.of(&records), entry.value.of(&records));
            builder.push(entry.timestamp, key, value, headers.iter().copied());
        }
        let count = builder.count();
        Some((builder.pack(codec).ok()?, count))
    };
    Some([half(first)?, half(second)?])
}

fn push_bytes(record: &mut Vec<u8>, bytes: Option<&[u8]>) {
    push_varint(record, bytes.map_or(-1, |bytes| bytes.len() as i64));
    record.extend_from_slice(bytes.unwrap_or_default());
}

fn size_of_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size_of_varint(bytes.len() as i64) + bytes.len())
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Returns how many bytes a zigzag varint has.
fn size_of_varint(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes a zigzag varint.
fn push_varint(record: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        record.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    record.push(rest as u8);
}
