//! Records → a batch for a broker.

use super::packing::Codec;
use super::{Attributes, CHECKED_FROM, Damage, HEADER, LENGTH_FROM, MAGIC};
use crate::record::Header;

/// Who sends a batch, for brokers that tell a repeated one by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub(crate) epoch: i16,
    /// The sequence number of the batch's first record.
    pub(crate) sequence: i32,
    /// Whether the records belong to its transaction.
    pub(crate) is_transactional: bool,
}

/// Gathers the records of one batch.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    records: Vec<u8>,
    /// One record without its length, while that is not known.
    record: Vec<u8>,
    count: i32,
    first_timestamp: i64,
    max_timestamp: i64,
}

impl Builder {
    /// Returns how many records there are.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Returns the size of the batch, unpacked, in bytes.
    pub fn size(&self) -> usize {
        HEADER + self.records.len()
    }

    /// Adds a record; the timestamp is in ms since 1970, UTC, or -1 for none.
    pub fn push<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>>,
    ) {
        if self.count == 0 {
            (self.first_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let record = &mut self.record;
        record.clear();
        record.push(0);
        push_varint(record, timestamp.wrapping_sub(self.first_timestamp));
        push_varint(record, i64::from(self.count));
        push_bytes(record, key);
        push_bytes(record, value);
        push_varint(record, headers.len() as i64);
        for header in headers {
            push_bytes(record, Some(header.name));
            push_bytes(record, header.value);
        }
        push_varint(&mut self.records, self.record.len() as i64);
        self.records.extend_from_slice(&self.record);
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
        const LARGEST: usize = i32::MAX as usize;
        let mut batch = Vec::with_capacity(self.size());
        batch.extend_from_slice(&base_offset.to_be_bytes());
        batch.extend_from_slice(&[0; 4]); // the length, below
        batch.extend_from_slice(&(-1_i32).to_be_bytes()); // the leader writes its epoch
        batch.extend_from_slice(&MAGIC.to_be_bytes());
        batch.extend_from_slice(&[0; 4]); // the checksum, below
        let is_transactional = sender.is_some_and(|sender| sender.is_transactional);
        let transactional = if is_transactional {
            Attributes::TRANSACTIONAL
        } else {
            0
        };
        batch.extend_from_slice(&(codec as i16 | transactional).to_be_bytes());
        batch.extend_from_slice(&(self.count - 1).max(0).to_be_bytes());
        batch.extend_from_slice(&self.first_timestamp.to_be_bytes());
        batch.extend_from_slice(&self.max_timestamp.to_be_bytes());
        let (id, epoch, sequence) = sender.map_or((-1, -1, -1), |sender| {
            (sender.id, sender.epoch, sender.sequence)
        });
        batch.extend_from_slice(&id.to_be_bytes());
        batch.extend_from_slice(&epoch.to_be_bytes());
        batch.extend_from_slice(&sequence.to_be_bytes());
        batch.extend_from_slice(&self.count.to_be_bytes());
        codec.pack(&self.records, &mut batch)?;
        if batch.len() > LARGEST {
            return Err(Damage::TooLarge(LARGEST));
        }
        let length = (batch.len() - LENGTH_FROM) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
        self.records.clear();
        self.count = 0;
        Ok(batch)
    }
}

fn push_bytes(record: &mut Vec<u8>, bytes: Option<&[u8]>) {
    push_varint(record, bytes.map_or(-1, |bytes| bytes.len() as i64));
    record.extend_from_slice(bytes.unwrap_or_default());
}

/// Writes a zigzag varint.
fn push_varint(record: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        record.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    record.push(rest as u8);
}
