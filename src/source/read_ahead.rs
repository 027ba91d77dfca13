//! Reading a pipe ahead: what the kernel delivers is copied while earlier records are processed.
//!
//! A pipe's reader and its writer share one lock, and each read wakes the writer. On a thread of
//! its own this costs the records no time. What is packed is unpacked there as well.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::unpack::{may_be_packed, packing};

/// How many bytes are read at a time; some thousand records, and they stay in the processor's cache.
pub(crate) const CHUNK: usize = 256 << 10;
/// How many blocks wait to be taken.
const BLOCKS: usize = 4;

/// An input that a thread reads ahead. The thread ends with the input, or when it has something to
/// hand over and this is dropped; what it waits for in vain ends with the process.
#[derive(Debug)]
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Block>>,
    /// Takes blocks back, for their room.
    used: Sender<Block>,
    /// What was handed over last, and how much of it was taken.
    block: io::Result<Block>,
    taken: usize,
    ended: bool,
}

/// Bytes that were read: [`CHUNK`], if as many were there; none at the end.
#[derive(Debug, Default)]
struct Block {
    room: Vec<u8>,
    filled: usize,
}

impl Ahead {
    /// Begins to read.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub fn begin(input: File) -> io::Result<Self> {
        widen(&input);
        let (sender, blocks) = sync_channel(BLOCKS);
        let (used, free) = channel();
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read(Arc::new(input), &sender, &free))?;
        Ok(Ahead {
            blocks,
            used,
            block: Ok(Block::default()),
            taken: 0,
            ended: false,
        })
    }

    /// Returns whether a read would not wait; waits at most `timeout` for that.
    pub fn is_ready(&mut self, timeout: Duration) -> bool {
        let is_taken = |block: &Block| self.taken == block.filled;
        if self.ended || !self.block.as_ref().is_ok_and(is_taken) {
            return true;
        }
        let next = match self.blocks.recv_timeout(timeout) {
            Ok(block) => block,
            Err(RecvTimeoutError::Timeout) => return false,
            // The end is reported: a thread that is gone without it has failed.
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other(
                "the thread of its reader ended without a result",
            )),
        };
        self.ended = next.as_ref().is_ok_and(|block| block.filled == 0);
        self.taken = 0;
        if let Ok(block) = std::mem::replace(&mut self.block, next) {
            self.used.send(block).unwrap_or(()); // without a reader nobody needs the room
        }
        true
    }

    /// Takes what is there into `buffer`, once it [is ready](Self::is_ready); 0 at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let block = match &self.block {
            Ok(block) => &block.room[self.taken..block.filled],
            Err(_) => return std::mem::replace(&mut self.block, Ok(Block::default())).map(|_| 0),
        };
        let count = block.len().min(buffer.len());
        buffer[..count].copy_from_slice(&block[..count]);
        self.taken += count;
        Ok(count)
    }
}

/// Gives a pipe room for more than the 64 KiB it comes with, so that its writer and its reader wait
/// for one another less often. Where the system refuses, or it is not a pipe, all stays as it is.
fn widen(input: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(input, CHUNK);
    #[cfg(not(target_os = "linux"))]
    let _ = input;
}

/// Hands blocks over until the input ends, fails, or the receiver is dropped.
fn read(input: Arc<File>, blocks: &SyncSender<io::Result<Block>>, free: &Receiver<Block>) {
    let mut unpacked = match unpacked(&input) {
        Ok(unpacked) => unpacked,
        Err(error) => return blocks.send(Err(error)).unwrap_or(()), // nobody may wait for it
    };
    let mut failed = None;
    loop {
        let Block { mut room, .. } = free.try_recv().unwrap_or_default();
        room.resize(CHUNK, 0);
        let read = match failed.take() {
            Some(error) => Err(error),
            None => read_block(&mut *unpacked, &input, &mut room, &mut failed),
        };
        let goes_on = read.as_ref().is_ok_and(|&filled| filled > 0);
        let block = read.map(|filled| Block { room, filled });
        if blocks.send(block).is_err() || !goes_on {
            return;
        }
    }
}

/// An input whose reads wait until there is something.
struct Waiting(Arc<File>);

impl Read for Waiting {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        // A read of a named pipe that nobody has opened to write yet would find its end.
        while !is_ready(&self.0, None) {}
        (&*self.0).read(room)
    }
}

/// Waits for the first bytes, which say whether the input is packed; returns a reader of what it
/// holds.
fn unpacked(input: &Arc<File>) -> io::Result<Box<dyn Read + Send>> {
    let mut waiting = Waiting(input.clone());
    let (mut first, mut room) = (Vec::new(), [0; 16]);
    while may_be_packed(&first) {
        match waiting.read(&mut room) {
            Ok(0) => break,
            Ok(count) => first.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let packing = packing(&first);
    let whole = Cursor::new(first).chain(waiting);
    match packing {
        Some(packing) => packing.reader(whole),
        None => Ok(Box::new(whole)),
    }
}

/// Waits for bytes and reads what is there; 0 at the end. `unpacked` reads from `input`; what it
/// fails by behind some bytes is left in `failed`.
fn read_block(
    unpacked: &mut dyn Read,
    input: &File,
    block: &mut [u8],
    failed: &mut Option<io::Error>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() && (filled == 0 || is_ready(input, Some(&Timespec::default()))) {
        match unpacked.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if filled == 0 => return Err(error),
            Err(error) => {
                *failed = Some(error);
                break;
            }
        }
    }
    Ok(filled)
}

/// Returns whether a read would not wait; a signal, too, ends the waiting for that.
fn is_ready(input: &File, timeout: Option<&Timespec>) -> bool {
    let mut wanted = [PollFd::new(input, PollFlags::IN)];
    match rustix::event::poll(&mut wanted, timeout) {
        Ok(ready) => ready > 0,
        Err(errno) => errno != rustix::io::Errno::INTR, // the read says what is wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Longer than any test should take.
    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    fn pipe() -> (Ahead, File) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let ahead = Ahead::begin(File::from(reader)).expect("a thread");
        (ahead, File::from(writer))
    }

    #[test]
    fn every_byte_comes_once_and_in_order() {
        let (mut ahead, mut writer) = pipe();
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let sent = bytes.clone();
        let writing = std::thread::spawn(move || writer.write_all(&sent));
        let (mut read, mut buffer) = (Vec::new(), [0; 10_000]);
        loop {
            assert!(ahead.is_ready(TEST_TIMEOUT));
            match ahead.read(&mut buffer).expect("read") {
                0 => break,
                count => read.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(read == bytes);
        writing.join().expect("no panic").expect("written");
    }

    #[test]
    fn what_is_there_comes_without_waiting_for_more() {
        let (mut ahead, mut writer) = pipe();
        assert!(!ahead.is_ready(Duration::ZERO));
        writer.write_all(b"a\n").expect("written");
        assert!(ahead.is_ready(TEST_TIMEOUT));
        let mut buffer = [0; 8];
        assert_eq!(ahead.read(&mut buffer).expect("read"), 2);
        assert!(!ahead.is_ready(Duration::ZERO));
        drop(writer);
        assert!(ahead.is_ready(TEST_TIMEOUT));
        assert_eq!(ahead.read(&mut buffer).expect("read"), 0);
    }

    #[test]
    fn a_reader_that_fails_is_not_taken_for_the_end() {
        let (blocks, receiver) = sync_channel(BLOCKS);
        let (used, _) = channel();
        let block = Block {
            room: b"a\n".to_vec(),
            filled: 2,
        };
        blocks.send(Ok(block)).expect("room");
        drop(blocks); // as a panic of the thread would
        let mut ahead = Ahead {
            blocks: receiver,
            used,
            block: Ok(Block::default()),
            taken: 0,
            ended: false,
        };
        assert!(ahead.is_ready(TEST_TIMEOUT));
        assert_eq!(ahead.read(&mut [0; 8]).expect("read"), 2);
        assert!(ahead.is_ready(TEST_TIMEOUT));
        assert!(ahead.read(&mut [0; 8]).is_err());
    }

    #[test]
    fn an_input_that_cannot_be_read_says_so() {
        let folder = File::open("/").expect("opened");
        let mut ahead = Ahead::begin(folder).expect("a thread");
        assert!(ahead.is_ready(TEST_TIMEOUT));
        assert!(ahead.read(&mut [0; 8]).is_err());
    }
}
