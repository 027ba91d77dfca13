//! What packs the records of a batch: none, gzip, snappy, LZ4, zstd.
//!
//! Unpacking never trusts a size that the bytes claim. It needs at most twice the limit, and what the
//! codec itself keeps: 128 MiB for the window of zstd at its highest levels, 8 MiB else.

use std::fmt;
use std::io::{Read, Write};

use super::Damage;

/// What packs records, by its number in the attributes of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Nothing does.
    #[default]
    None,
    /// DEFLATE as RFC 1952 frames it.
    Gzip,
    /// Snappy, bare or in the blocks of Java's `SnappyOutputStream`.
    Snappy,
    /// LZ4 in its frame format.
    Lz4,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Codec {
    /// All of them, by their numbers.
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    pub(super) fn of(number: u8) -> Result<Self, Damage> {
        let codec = Self::ALL.get(usize::from(number)).copied();
        codec.ok_or(Damage::UnknownCodec(number))
    }

    /// Packs the records of a batch, behind what `packed` holds.
    ///
    /// # Errors
    /// [`Damage::Packed`] where the codec refuses them, such as Snappy more than 4 GiB.
    pub fn pack(self, records: &[u8], packed: &mut Vec<u8>) -> Result<(), Damage> {
        let failed = Damage::Packed(self);
        match self {
            Codec::None => packed.extend_from_slice(records),
            Codec::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(packed, flate2::Compression::default());
                gzip.write_all(records)
                    .and_then(|()| gzip.finish())
                    .map_err(|_| failed)?;
            }
            Codec::Snappy => pack_snappy(records, packed).map_err(|_| failed)?,
            Codec::Lz4 => {
                // Java's reader takes blocks that stand alone.
                let frame = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut lz4 = lz4_flex::frame::FrameEncoder::with_frame_info(frame, packed);
                lz4.write_all(records).map_err(|_| failed.clone())?;
                lz4.finish().map_err(|_| failed)?;
            }
            Codec::Zstd => {
                let start = packed.len();
                packed.resize(start + zstd_safe::compress_bound(records.len()), 0);
                let level = zstd_safe::CLEVEL_DEFAULT;
                let size = zstd_safe::compress(&mut packed[start..], records, level);
                packed.truncate(start + size.map_err(|_| failed)?);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        })
    }
}

/// Begins what Java's `SnappyOutputStream` writes; its version and the oldest that reads it follow.
const SNAPPY_MAGIC: &[u8] = b"\x82SNAPPY\0";
const SNAPPY_HEAD: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// How much one of its blocks holds.
const SNAPPY_BLOCK: usize = 32 << 10;

fn pack_snappy(records: &[u8], packed: &mut Vec<u8>) -> Result<(), snap::Error> {
    packed.extend_from_slice(SNAPPY_HEAD);
    let mut snappy = snap::raw::Encoder::new();
    for block in records.chunks(SNAPPY_BLOCK) {
        let block = snappy.compress_vec(block)?;
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(())
}

/// Unpacks records, one batch after the other.
pub struct Unpacker {
    limit: usize,
    zstd: Option<zstd_safe::DCtx<'static>>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Returns one that refuses batches that hold more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Unpacker { limit, zstd: None }
    }

    /// Unpacks the records of a batch, behind what `records` holds.
    ///
    /// # Errors
    /// [`Damage::Packed`] for what the codec has not written, [`Damage::TooLarge`]; what stands behind
    /// `records` then means nothing.
    pub fn unpack(
        &mut self,
        codec: Codec,
        packed: &[u8],
        records: &mut Vec<u8>,
    ) -> Result<(), Damage> {
        match codec {
            Codec::None if packed.len() > self.limit => Err(Damage::TooLarge(self.limit)),
            Codec::None => {
                records.extend_from_slice(packed);
                Ok(())
            }
            Codec::Gzip => self.drain(codec, flate2::bufread::MultiGzDecoder::new(packed), records),
            Codec::Lz4 => self.drain(codec, lz4_flex::frame::FrameDecoder::new(packed), records),
            Codec::Snappy => self.unpack_snappy(packed, records),
            Codec::Zstd => self.unpack_zstd(packed, records),
        }
    }

    fn drain(&self, codec: Codec, packed: impl Read, records: &mut Vec<u8>) -> Result<(), Damage> {
        let start = records.len();
        let mut packed = packed.take(self.limit as u64 + 1);
        let read = packed.read_to_end(records);
        match read {
            Ok(_) if records.len() - start > self.limit => Err(Damage::TooLarge(self.limit)),
            Ok(_) => Ok(()),
            Err(_) => Err(Damage::Packed(codec)),
        }
    }

    fn unpack_snappy(&self, packed: &[u8], records: &mut Vec<u8>) -> Result<(), Damage> {
        let failed = || Damage::Packed(Codec::Snappy);
        let mut left = self.limit;
        if !packed.starts_with(SNAPPY_MAGIC) {
            return self.unpack_block(packed, &mut left, records);
        }
        let mut blocks = packed.get(SNAPPY_HEAD.len()..).ok_or_else(failed)?;
        while !blocks.is_empty() {
            let (length, rest) = blocks.split_first_chunk().ok_or_else(failed)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (block, rest) = rest.split_at_checked(length).ok_or_else(failed)?;
            self.unpack_block(block, &mut left, records)?;
            blocks = rest;
        }
        Ok(())
    }

    fn unpack_block(
        &self,
        block: &[u8],
        left: &mut usize,
        records: &mut Vec<u8>,
    ) -> Result<(), Damage> {
        let failed = |_| Damage::Packed(Codec::Snappy);
        let length = snap::raw::decompress_len(block).map_err(failed)?;
        *left = (left.checked_sub(length)).ok_or(Damage::TooLarge(self.limit))?;
        let start = records.len();
        records.resize(start + length, 0);
        let unpacked = snap::raw::Decoder::new().decompress(block, &mut records[start..]);
        unpacked.map(drop).map_err(failed)
    }

    fn unpack_zstd(&mut self, packed: &[u8], records: &mut Vec<u8>) -> Result<(), Damage> {
        /// How much room a frame gets at first that does not say what it holds, for each packed byte.
        const RATIO: usize = 4;
        let failed = |_| Damage::Packed(Codec::Zstd);
        let context = self.zstd.get_or_insert_with(zstd_safe::DCtx::create);
        context
            .reset(zstd_safe::ResetDirective::SessionOnly)
            .map_err(failed)?;
        let mut input = zstd_safe::InBuffer::around(packed);
        let start = records.len();
        let (mut written, mut room) = (0, packed.len().saturating_mul(RATIO));
        loop {
            // One byte more than allowed tells what is too large.
            room = room.clamp(1 << 10, (self.limit - written + 1).max(1 << 10));
            records.resize(start + written + room, 0);
            let (read, end) = (input.pos(), start + written);
            let mut output = zstd_safe::OutBuffer::around_pos(records.as_mut_slice(), end);
            let left = context.decompress_stream(&mut output, &mut input);
            written = output.pos() - start;
            let left = left.map_err(failed)?;
            if written > self.limit {
                return Err(Damage::TooLarge(self.limit));
            }
            if input.pos() == packed.len() && left == 0 {
                records.truncate(start + written);
                return Ok(());
            }
            if input.pos() == read && start + written == end {
                return Err(Damage::Packed(Codec::Zstd)); // cut off
            }
            room = written;
        }
    }
}
