//! What a broker has answered for one partition → records that were checked, unpacked, and belong to
//! no aborted transaction, one piece at a time.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::batch::{Batch, Codec, Damage, Entry, HEADER, Reader, Unpacker};
use super::super::wire::connection::Frame;

/// A piece holds at least so many bytes, unless less has come: enough to be worth the handing over, few
/// enough to stay near the processor.
const PIECE: usize = 512 << 10;

/// A batch that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The first offset that is not read.
    pub offset: i64,
    /// Why.
    pub damage: Damage,
}

/// What a broker has answered, as far as it is not handed over.
#[derive(Debug)]
pub struct Answered {
    frame: Arc<Frame>,
    /// Where the batches lie that follow.
    rest: Range<usize>,
    /// The next offset that is wanted.
    offset: i64,
    aborted: Aborted,
}

impl Answered {
    /// Takes the batches that lie in a part of a frame; records before `offset` are not wanted.
    /// `aborted` are the transactions whose records are left out, by producer and first offset; `None`
    /// where all records are read.
    pub fn new(
        frame: &Arc<Frame>,
        records: Range<usize>,
        offset: i64,
        aborted: Option<Vec<(i64, i64)>>,
    ) -> Self {
        Answered {
            frame: frame.clone(),
            rest: records,
            offset,
            aborted: Aborted::new(aborted),
        }
    }

    /// Returns how many bytes are left, packed.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Returns the next piece; one without a record where only markers follow, or nothing does.
    ///
    /// # Errors
    /// [`Broken`] for a batch that cannot be read, once all before it was handed over.
    pub fn cut(&mut self, unpacker: &mut Unpacker) -> Result<Chunk, Broken> {
        let mut piece = Piece::default();
        while piece.size < PIECE {
            match self.add_batch(&mut piece, unpacker) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if !piece.batches.is_empty() => break, // comes again, as the first
                Err(damage) => {
                    return Err(Broken {
                        offset: self.offset,
                        damage,
                    });
                }
            }
        }
        Ok(Chunk {
            bytes: match piece.unpacked {
                Some(unpacked) => Bytes::Unpacked(unpacked),
                None => Bytes::Frame(self.frame.clone()),
            },
            batches: piece.batches,
            first: piece.first.unwrap_or(self.offset),
            next_offset: self.offset,
            size: piece.size,
        })
    }

    /// Adds a batch to a piece; returns whether another one may follow there.
    fn add_batch(&mut self, piece: &mut Piece, unpacker: &mut Unpacker) -> Result<bool, Damage> {
        let start = self.rest.start;
        let mut rest = &self.frame[self.rest.clone()];
        let Some(batch) = Batch::take(&mut rest)? else {
            self.rest.start = self.rest.end; // the begin of a batch that was cut off
            return Ok(false);
        };
        let end = start + batch.size();
        if batch.header.next_offset() > self.offset {
            batch.check()?;
            let codec = batch.header.attributes.codec()?;
            if self.aborted.leaves(&batch) {
                // What borrows from the frame and what was unpacked are two pieces.
                if !piece.batches.is_empty() && piece.unpacked.is_some() != (codec != Codec::None) {
                    return Ok(false);
                }
                piece.add(&batch, codec, start + HEADER..end, unpacker)?;
                piece.first.get_or_insert(self.offset);
            }
            self.aborted.pass(&batch);
            self.offset = batch.header.next_offset();
        }
        self.rest.start = end;
        Ok(true)
    }
}

/// A piece that is being made.
#[derive(Default)]
struct Piece {
    unpacked: Option<Vec<u8>>,
    batches: Vec<Reader>,
    first: Option<i64>,
    size: usize,
}

impl Piece {
    fn add(
        &mut self,
        batch: &Batch<'_>,
        codec: Codec,
        place: Range<usize>,
        unpacker: &mut Unpacker,
    ) -> Result<(), Damage> {
        let place = match codec {
            Codec::None => place,
            codec => {
                let unpacked = self.unpacked.get_or_insert_default();
                let start = unpacked.len();
                let done = unpacker.unpack(codec, batch.packed(), unpacked);
                if done.is_err() {
                    unpacked.truncate(start);
                }
                done?;
                start..unpacked.len()
            }
        };
        self.size += place.len();
        self.batches.push(Reader::new(batch.header, place));
        Ok(())
    }
}

/// The aborted transactions of an answer.
#[derive(Debug)]
struct Aborted {
    /// Whether any record is left out.
    counts: bool,
    /// Those that begin behind what was read, the next one last: producer and first offset.
    next: Vec<(i64, i64)>,
    /// The producers of those that have begun and not ended.
    open: HashSet<i64>,
}

impl Aborted {
    fn new(transactions: Option<Vec<(i64, i64)>>) -> Self {
        let counts = transactions.is_some();
        let mut next = transactions.unwrap_or_default();
        next.sort_by_key(|&(_, first)| std::cmp::Reverse(first));
        Aborted {
            counts,
            next,
            open: HashSet::new(),
        }
    }

    /// Returns whether the records of the next batch are read; that of a marker never is.
    fn leaves(&mut self, batch: &Batch<'_>) -> bool {
        let header = &batch.header;
        let begun = |&mut (_, first): &mut (i64, i64)| first < header.next_offset();
        while let Some((producer, _)) = self.next.pop_if(begun) {
            self.open.insert(producer);
        }
        let is_aborted = self.counts
            && header.attributes.is_transactional()
            && self.open.contains(&header.producer_id);
        !header.attributes.is_control() && !is_aborted
    }

    /// Goes on behind a batch: a marker ends its transaction.
    fn pass(&mut self, batch: &Batch<'_>) {
        if batch.aborts() == Some(true) {
            self.open.remove(&batch.header.producer_id);
        }
    }
}

/// Records of one partition in their order.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes,
    /// A reader of each batch, at its begin.
    batches: Vec<Reader>,
    /// Records before this offset are passed over.
    first: i64,
    /// The offset behind the last record, markers and aborted records included.
    next_offset: i64,
    size: usize,
}

#[derive(Debug)]
enum Bytes {
    /// As they came.
    Frame(Arc<Frame>),
    Unpacked(Vec<u8>),
}

impl Chunk {
    /// Returns what its entries are of.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Frame(frame) => frame,
            Bytes::Unpacked(unpacked) => unpacked,
        }
    }

    /// Returns the offset behind its last record, markers and aborted records included.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Returns how many bytes its records have.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// How far a chunk was read.
#[derive(Debug)]
pub struct Progress {
    chunk: Arc<Chunk>,
    /// Which batch is being read, and how far; none before the first.
    batch: usize,
    reader: Option<Reader>,
}

impl Progress {
    /// Begins to read a chunk.
    pub fn new(chunk: Arc<Chunk>) -> Self {
        let reader = chunk.batches.first().cloned();
        Progress {
            chunk,
            batch: 0,
            reader,
        }
    }

    /// Returns what is read.
    pub fn chunk(&self) -> &Arc<Chunk> {
        &self.chunk
    }

    /// Returns whether all was read.
    pub fn is_done(&self) -> bool {
        self.reader.is_none()
    }

    /// Reads the next records, at most `most`.
    ///
    /// # Errors
    /// [`Broken`] for a record that is damaged, once those before it were returned.
    pub fn read(&mut self, most: usize) -> Result<Vec<Entry>, Broken> {
        let mut entries = Vec::new();
        while let Some(reader) = &mut self.reader
            && entries.len() < most
        {
            let left = most - entries.len();
            let read = reader.read(self.chunk.bytes(), self.chunk.first, left, &mut entries);
            match read {
                Err(_) if !entries.is_empty() => break, // comes again, as the first
                Err(damage) => {
                    let offset = self.chunk.first.max(reader.base_offset());
                    return Err(Broken { offset, damage });
                }
                Ok(()) if reader.is_done() => {
                    self.batch += 1;
                    self.reader = self.chunk.batches.get(self.batch).cloned();
                }
                Ok(()) => {}
            }
        }
        Ok(entries)
    }
}
