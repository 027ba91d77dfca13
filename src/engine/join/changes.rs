//! What has changed of the records that a join holds, as bytes, so that another process can hold the
//! same.
//!
//! In: records as they begin to be held, and held ones that have found their first partner. Out:
//! pieces of a log. A piece is of no use once every time in it has passed, so whoever keeps pieces
//! drops them whole, and no single record has to be taken back.
//!
//! A record is known by its side, its time and its bytes. Records that are equal in all three meet the
//! same partners, so those held before a partner came are counted together.

use std::collections::HashMap;
use std::ops::Range;

use super::{Content, Record, Side};
use crate::engine::codec::Corrupt;

/// A piece grows no larger than this, unless a single record is.
const PIECE_BYTES: usize = 256 << 10;
/// What is before a record's bytes: flags, time, length of the key, length.
const HEAD: usize = 17;

const RIGHT: u8 = 1;
const SETTLED: u8 = 2;
const NULL_KEY: u8 = 4;
/// It is held already, and has found a partner.
const FOUND: u8 = 8;

/// The changes since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Changes {
    bytes: Vec<u8>,
    /// The pieces that are full, and the latest time in each.
    pieces: Vec<(Range<usize>, i64)>,
    /// Where the piece that is being filled begins, and the latest time in it.
    open: (usize, i64),
}

/// A held record, as pieces have it.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub side: Side,
    pub record: Record<'a>,
    pub settled: bool,
}

impl Changes {
    /// Notes that a record is held.
    pub fn hold(&mut self, side: Side, record: &Record<'_>, settled: bool) {
        self.push(side, record, if settled { SETTLED } else { 0 });
    }

    /// Notes that a held record has found its first partner.
    pub fn found(&mut self, side: Side, record: &Record<'_>) {
        self.push(side, record, FOUND);
    }

    fn push(&mut self, side: Side, record: &Record<'_>, mut flags: u8) {
        let (begins, latest) = self.open;
        let length = HEAD + record.bytes.len();
        let latest =
            if self.bytes.len() > begins && self.bytes.len() - begins + length > PIECE_BYTES {
                self.pieces.push((begins..self.bytes.len(), latest));
                self.open.0 = self.bytes.len();
                record.time
            } else if self.bytes.len() == begins {
                record.time
            } else {
                latest.max(record.time)
            };
        self.open.1 = latest;
        if side == Side::Right {
            flags |= RIGHT;
        }
        if record.content != Content::Keyed {
            flags |= NULL_KEY;
        }
        self.bytes.push(flags);
        self.bytes.extend_from_slice(&record.time.to_le_bytes());
        let lengths = [record.key_len, record.bytes.len()];
        for length in lengths {
            self.bytes.extend_from_slice(&(length as u32).to_le_bytes());
        }
        self.bytes.extend_from_slice(record.bytes);
    }

    /// Hands over the changes in pieces, in order, each with the latest time in it.
    pub fn take(&mut self, mut piece: impl FnMut(i64, &[u8])) {
        let (begins, latest) = self.open;
        if self.bytes.len() > begins {
            self.pieces.push((begins..self.bytes.len(), latest));
        }
        for (range, latest) in self.pieces.drain(..) {
            piece(latest, &self.bytes[range]);
        }
        self.bytes.clear();
        self.bytes.shrink_to(4 * PIECE_BYTES);
        self.open = (0, i64::MIN);
    }
}

/// Returns the records of pieces, in order, without those whose time is before `passed`.
///
/// # Errors
/// [`Corrupt`] for bytes that [`Changes`] has not written.
pub(super) fn read<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    passed: i64,
) -> Result<Vec<Kept<'a>>, Corrupt> {
    let mut all: Vec<Kept<'a>> = Vec::new();
    let mut unsettled: HashMap<(usize, i64, &[u8]), Vec<usize>> = HashMap::new();
    for mut bytes in pieces {
        while !bytes.is_empty() {
            let (flags, side, record) = take(&mut bytes)?;
            if record.time < passed {
                continue;
            }
            let known = (side.index(), record.time, record.bytes);
            if flags & FOUND != 0 {
                for at in unsettled.remove(&known).unwrap_or_default() {
                    all[at].settled = true;
                }
                continue;
            }
            let settled = flags & SETTLED != 0;
            if !settled {
                unsettled.entry(known).or_default().push(all.len());
            }
            all.push(Kept {
                side,
                record,
                settled,
            });
        }
    }
    Ok(all)
}

/// Returns the latest time in a piece.
///
/// # Errors
/// As [`read`].
pub(super) fn latest(mut bytes: &[u8]) -> Result<i64, Corrupt> {
    let mut latest = i64::MIN;
    while !bytes.is_empty() {
        latest = latest.max(take(&mut bytes)?.2.time);
    }
    Ok(latest)
}

/// Takes a record off the front of a piece, with its flags.
fn take<'a>(bytes: &mut &'a [u8]) -> Result<(u8, Side, Record<'a>), Corrupt> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(Corrupt)?;
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        u32::from_le_bytes(bytes)
    };
    let time = u64::from(number(1)) | u64::from(number(5)) << 32;
    let (key_len, length) = (number(9) as usize, number(13) as usize);
    if key_len > length || length > rest.len() || head[0] > RIGHT | SETTLED | NULL_KEY | FOUND {
        return Err(Corrupt);
    }
    let (of_record, rest) = rest.split_at(length);
    *bytes = rest;
    let side = if head[0] & RIGHT == 0 {
        Side::Left
    } else {
        Side::Right
    };
    let content = if head[0] & NULL_KEY == 0 {
        Content::Keyed
    } else {
        Content::NullKey
    };
    let record = Record {
        time: time.cast_signed(),
        bytes: of_record,
        key_len,
        content,
    };
    Ok((head[0], side, record))
}
