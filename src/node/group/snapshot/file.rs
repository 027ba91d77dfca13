//! The file of a snapshot: the rows of a changelog partition up to an offset, as they are in the
//! topic.
//!
//! ```text
//! magic │ frame of its origin │ frames of all rows at some time │ a frame of each commit since
//! frame   length, 8 bytes │ checksum of the rest, 8 bytes │ the rest
//! rest    reaches │ written at │ key length, value length, key, value │ …      little-endian
//! ```
//!
//! A frame *reaches* the offset up to which it and the frames before it hold the changelog. Any
//! frame that reaches an offset is an end from which a restart can go on. Nothing is forced to
//! disk: what a power failure leaves of a file is either a whole number of frames, or does not
//! match its checksums.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use xxhash_rust::xxh3::xxh3_64;

use super::super::log::Log;
use crate::engine::codec;

/// What every snapshot begins with; another number where the format changes.
const MAGIC: &[u8] = b"k snapshot 1\n";
/// The length and the checksum before each frame.
const BEFORE: usize = 16;
/// What a frame reaches that others have to follow.
const NOWHERE: i64 = -1;
/// The length of a value that is none.
const TOMBSTONE: u32 = u32::MAX;
/// How long a frame gets where rows may be cut into several.
const FRAME: usize = 1 << 20;

/// What a snapshot is of. One of anything else is never taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The cluster of the changelog, as it calls itself.
    pub cluster: String,
    /// The group.
    pub group: String,
    /// What its state was built with, and a mark that each state has of its own.
    pub plan: Vec<(String, String)>,
    /// What the task does.
    pub role: String,
    /// The partition.
    pub partition: i32,
}

impl Origin {
    /// Returns what is wrong with a snapshot of another origin.
    fn differs(&self, other: &Origin) -> Option<Flaw> {
        let differs = [
            (self.cluster != other.cluster, "another cluster"),
            (self.group != other.group, "another group"),
            (self.partition != other.partition, "another partition"),
            (self.role != other.role, "another kind of task"),
            (
                self.plan != other.plan,
                "another plan, or of a state before a reset",
            ),
        ];
        let mut differs = differs.into_iter();
        differs
            .find(|(differs, _)| *differs)
            .map(|(_, what)| Flaw::Foreign(what))
    }
}

/// Why a snapshot is not taken up.
#[derive(Debug)]
pub enum Flaw {
    /// There is none.
    Missing,
    /// A checksum is wrong, or it breaks off before its first end.
    Damaged,
    /// It is of something else.
    Foreign(&'static str),
    /// Rows that were deleted since may have left the changelog without a trace.
    Old,
    /// It does not lie within what the topic holds.
    Elsewhere,
    /// What was written last of it is missing; what comes before is right.
    CutOff,
    /// It cannot be read.
    Unreadable(io::Error),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Missing => f.write_str("is not there"),
            Flaw::Damaged => f.write_str("is damaged"),
            Flaw::Foreign(what) => write!(f, "is of {what}"),
            Flaw::Old => f.write_str("is too old"),
            Flaw::CutOff => f.write_str("breaks off"),
            Flaw::Elsewhere => f.write_str("does not fit the topic"),
            Flaw::Unreadable(error) => write!(f, "cannot be read ({error})"),
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Flaw::Missing,
            _ => Flaw::Unreadable(error),
        }
    }
}

/// What a snapshot holds.
#[derive(Debug)]
pub struct Loaded {
    /// The rows.
    pub log: Log,
    /// The offset of the changelog that they reach.
    pub reaches: i64,
    /// A time before which nothing was written from there on, in ms since 1970, UTC.
    pub at: i64,
    /// Whether nothing follows that was cut off.
    pub is_whole: bool,
}

/// Rows that become a frame.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// Adds a row; without a value a tombstone.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.bytes.is_empty() {
            self.bytes.resize(BEFORE + 16, 0); // for what is known when it is written
        }
        let length = value.map_or(TOMBSTONE, |value| value.len() as u32);
        self.bytes
            .extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes the rows as a frame, and has none any more; returns the frame's length.
    pub fn write(&mut self, file: &mut impl Write, reaches: i64, at: i64) -> io::Result<u64> {
        self.bytes.resize(self.bytes.len().max(BEFORE + 16), 0);
        self.bytes[BEFORE..BEFORE + 8].copy_from_slice(&reaches.to_le_bytes());
        self.bytes[BEFORE + 8..BEFORE + 16].copy_from_slice(&at.to_le_bytes());
        seal(&mut self.bytes);
        let length = self.bytes.len() as u64;
        file.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(length)
    }
}

/// Fills in the length and checksum before a frame.
fn seal(frame: &mut [u8]) {
    let (before, rest) = frame.split_at_mut(BEFORE);
    before[..8].copy_from_slice(&(rest.len() as u64).to_le_bytes());
    before[8..].copy_from_slice(&xxh3_64(rest).to_le_bytes());
}

/// Writes all rows of a log to a new file in `folder`, whose name begins with `prefix`; returns it
/// with its length. Says what offset they reach, and a time before which nothing was written from
/// there on.
pub fn write(
    folder: &Path,
    prefix: &str,
    origin: &Origin,
    log: &Log,
    (reaches, at): (i64, i64),
) -> io::Result<(NamedTempFile, u64)> {
    let file = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(folder)?;
    let mut writer = BufWriter::new(file);
    writer.write_all(MAGIC)?;
    let mut frame = vec![0; BEFORE];
    codec::put(&mut frame, origin).map_err(io::Error::other)?;
    seal(&mut frame);
    writer.write_all(&frame)?;
    let mut length = (MAGIC.len() + frame.len()) as u64;
    let mut batch = Batch::default();
    for (key, value) in log.rows() {
        batch.push(key, Some(value));
        if batch.bytes.len() >= FRAME {
            length += batch.write(&mut writer, NOWHERE, at)?;
        }
    }
    length += batch.write(&mut writer, reaches, at)?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    Ok((file, length))
}

/// Reads the first `length` bytes of a snapshot, or all of a shorter one, as far as it has an end.
///
/// # Errors
/// A flaw of the file's content; a file that breaks off after an end has none.
pub fn read(path: &Path, length: u64, origin: &Origin) -> Result<Loaded, Flaw> {
    let file = File::open(path)?;
    let mut left = file.metadata()?.len().min(length);
    let mut file = BufReader::with_capacity(FRAME, file);
    let mut magic = [0; MAGIC.len()];
    if left < magic.len() as u64 {
        return Err(Flaw::Damaged);
    }
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(Flaw::Foreign("another version, or no snapshot at all"));
    }
    left -= magic.len() as u64;
    let mut frame = Vec::new();
    if !next(&mut file, &mut left, &mut frame)? {
        return Err(Flaw::Damaged);
    }
    let found: Origin = codec::take(&mut frame.as_slice()).map_err(|_| Flaw::Damaged)?;
    if let Some(flaw) = origin.differs(&found) {
        return Err(flaw);
    }
    let mut log = Log::default();
    let (mut reaches, mut at) = (NOWHERE, 0);
    while next(&mut file, &mut left, &mut frame)? {
        (reaches, at) = take_up(&frame, &mut log).ok_or(Flaw::Damaged)?;
    }
    match reaches {
        NOWHERE => Err(Flaw::Damaged),
        _ => Ok(Loaded {
            log,
            reaches,
            at,
            is_whole: left == 0,
        }),
    }
}

/// Copies what a snapshot holds from byte `from` on; returns how much that is.
pub fn copy_end(path: &Path, from: u64, to: &mut File) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file, to)
}

/// Reads the next frame without its length and checksum; returns whether there is a whole one.
fn next(file: &mut impl Read, left: &mut u64, frame: &mut Vec<u8>) -> Result<bool, Flaw> {
    if *left < BEFORE as u64 {
        return Ok(false);
    }
    let (mut length, mut checksum) = ([0; 8], [0; 8]);
    file.read_exact(&mut length)?;
    file.read_exact(&mut checksum)?;
    let length = u64::from_le_bytes(length);
    if length > *left - BEFORE as u64 {
        return Ok(false); // cut off, or a wrong length: what comes before it is right
    }
    *left -= BEFORE as u64 + length;
    frame.resize(length as usize, 0);
    file.read_exact(frame)?;
    if xxh3_64(frame) == u64::from_le_bytes(checksum) {
        Ok(true)
    } else {
        Err(Flaw::Damaged)
    }
}

/// Takes the rows of a frame; returns what it reaches, and when it was written.
fn take_up(frame: &[u8], log: &mut Log) -> Option<(i64, i64)> {
    let (reaches, rest) = frame.split_first_chunk()?;
    let (at, mut rest) = rest.split_first_chunk()?;
    while !rest.is_empty() {
        let (key, after) = rest.split_first_chunk()?;
        let (value, after) = after.split_first_chunk()?;
        let (key, value) = (u32::from_le_bytes(*key), u32::from_le_bytes(*value));
        let (key, after) = after.split_at_checked(key as usize)?;
        rest = match value {
            TOMBSTONE => {
                log.take_up(key, None);
                after
            }
            value => {
                let (value, after) = after.split_at_checked(value as usize)?;
                log.take_up(key, Some(value));
                after
            }
        };
    }
    Some((i64::from_le_bytes(*reaches), i64::from_le_bytes(*at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            cluster: "c".to_owned(),
            group: "g".to_owned(),
            plan: vec![("--by".to_owned(), "caller".to_owned())],
            role: "window".to_owned(),
            partition: 2,
        }
    }

    /// Writes a log of two rows that reaches 10, and a commit that reaches 15, and returns the
    /// bytes; the second length is that of the log alone.
    fn written(folder: &Path) -> (Vec<u8>, usize) {
        let mut log = Log::default();
        log.take_up(b"a", Some(b"1"));
        log.take_up(b"b", Some(b""));
        let (mut file, length) =
            write(folder, "2.new-", &origin(), &log, (10, 100)).expect("a file");
        let mut batch = Batch::default();
        batch.push(b"a", None);
        batch.push(b"c", Some(b"33"));
        batch.write(&mut file, 15, 150).expect("it is added");
        assert!(batch.is_empty());
        (std::fs::read(file.path()).expect("a file"), length as usize)
    }

    fn read_bytes(bytes: &[u8]) -> Result<Loaded, Flaw> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("2.snapshot");
        std::fs::write(&path, bytes).expect("a file");
        read(&path, u64::MAX, &origin())
    }

    type Rows<'l> = Vec<(&'l [u8], &'l [u8])>;

    /// Returns the rows, what they reach and when, and whether all is there.
    fn told(loaded: &Loaded) -> (Rows<'_>, i64, i64, bool) {
        let mut rows: Vec<_> = loaded.log.rows().collect();
        rows.sort_unstable();
        (rows, loaded.reaches, loaded.at, loaded.is_whole)
    }

    #[test]
    fn rows_come_back_as_the_last_commit_has_left_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (bytes, _) = written(folder.path());
        let loaded = read_bytes(&bytes).expect("it is right");
        let rows: Rows<'_> = vec![(b"b", b""), (b"c", b"33")];
        assert_eq!(told(&loaded), (rows, 15, 150, true));
    }

    #[test]
    fn what_is_cut_short_ends_at_a_commit_or_is_not_taken_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (bytes, base) = written(folder.path());
        let before: Rows<'_> = vec![(b"a", b"1"), (b"b", b"")];
        for length in 0..bytes.len() {
            match read_bytes(&bytes[..length]) {
                Ok(loaded) => {
                    let expected = (before.clone(), 10, 100, length == base);
                    assert_eq!(told(&loaded), expected, "{length} bytes");
                    assert!(length >= base);
                }
                Err(flaw) => {
                    assert!(matches!(flaw, Flaw::Damaged), "{length} bytes: {flaw}");
                    assert!(length < base, "{length} bytes: {flaw}");
                }
            }
        }
    }

    #[test]
    fn a_byte_that_is_another_one_is_noticed_wherever_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut bytes, base) = written(folder.path());
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            match read_bytes(&bytes) {
                // Another length of the last commit: it is as if it was cut off.
                Ok(loaded) => {
                    assert!((base..base + 8).contains(&at), "byte {at}");
                    assert_eq!((loaded.reaches, loaded.is_whole), (10, false));
                }
                Err(Flaw::Foreign(_)) => assert!(at < MAGIC.len(), "byte {at}"),
                Err(flaw) => assert!(matches!(flaw, Flaw::Damaged), "byte {at}: {flaw}"),
            }
            bytes[at] ^= 0x10;
        }
        bytes.extend([0; 40]); // a file that got its length, and lost its bytes
        let zeros = read_bytes(&bytes).expect_err("zeros are no frame");
        assert!(matches!(zeros, Flaw::Damaged));
    }

    #[test]
    fn all_rows_are_there_however_many_frames_they_take() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut log = Log::default();
        let value = vec![7; FRAME / 4];
        (0..9_u8).for_each(|nth| log.take_up(&[nth], Some(&value)));
        let (file, length) =
            write(folder.path(), "2.new-", &origin(), &log, (9, 1)).expect("a file");
        let bytes = std::fs::read(file.path()).expect("a file");
        assert_eq!(bytes.len() as u64, length);
        assert_eq!(read_bytes(&bytes).expect("it is right").log.len(), 9);
        // The first frames alone are not all rows of any time.
        let cut = read_bytes(&bytes[..bytes.len() - 1]).expect_err("the last frame is missing");
        assert!(matches!(cut, Flaw::Damaged));
    }

    #[test]
    fn a_snapshot_of_something_else_is_told_from_ones_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (bytes, _) = written(folder.path());
        let path = folder.path().join("2.snapshot");
        std::fs::write(&path, bytes).expect("a file");
        type Change = fn(&mut Origin);
        let changes: [(Change, &str); 5] = [
            (|origin| origin.cluster.clear(), "another cluster"),
            (|origin| origin.group.push('2'), "another group"),
            (|origin| origin.plan.clear(), "another plan"),
            (|origin| origin.role.clear(), "another kind of task"),
            (|origin| origin.partition = 1, "another partition"),
        ];
        for (change, what) in changes {
            let mut wanted = origin();
            change(&mut wanted);
            let flaw = read(&path, u64::MAX, &wanted).expect_err("it is foreign");
            assert!(flaw.to_string().contains(what), "{flaw}");
        }
        let none = read(&folder.path().join("3.snapshot"), u64::MAX, &origin());
        assert!(matches!(none, Err(Flaw::Missing)));
    }
}
