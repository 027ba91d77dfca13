//! Packed files, known by their first bytes, whatever their names.
//!
//! In: bytes as they are in the file. Out: what they hold. Members that are written one after the
//! other are one file, as gzip and zstd have it. Both libraries are the ones that librdkafka
//! unpacks its messages with.

use std::io::{self, BufRead, BufReader, Read};

/// What has packed a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    /// What has to be unpacked elsewhere: its name, and the command.
    Foreign(&'static str, &'static str),
}

/// The first bytes of packed files.
const KNOWN: [(&[u8], Packing); 5] = [
    (&[0x1F, 0x8B, 8], Packing::Gzip),
    (&[0x28, 0xB5, 0x2F, 0xFD], Packing::Zstd),
    (b"BZh", Packing::Foreign("bzip2", "bzip2 -dc")),
    (b"\xFD7zXZ\0", Packing::Foreign("xz", "xz -dc")),
    (b"PK\x03\x04", Packing::Foreign("zip", "unzip -p")),
];

/// This many bytes show how a file is compressed, if at all.
pub(super) const MAGIC_BYTES: usize = 6;

/// Returns what has packed a file that begins with some bytes.
pub(super) fn packing(first: &[u8]) -> Option<Packing> {
    let begins = |(magic, _): &&(&[u8], _)| first.starts_with(magic);
    let packing = KNOWN.iter().find(begins).map(|(_, packing)| *packing);
    // A column may be called `BZh`; bzip2 continues with a digit and the digits of pi.
    packing.filter(|_| !first.starts_with(b"BZh") || first.get(4) == Some(&b'1'))
}

/// Returns whether what follows decides what has packed a file that begins with some bytes.
pub(super) fn may_be_packed(first: &[u8]) -> bool {
    let begins =
        |(magic, _): &(&[u8], _)| magic.starts_with(&first[..first.len().min(magic.len())]);
    first.len() < MAGIC_BYTES && KNOWN.iter().any(begins)
}

impl Packing {
    /// Returns a reader of what `packed` holds.
    ///
    /// # Errors
    /// `Unsupported` for what is unpacked elsewhere.
    pub fn reader(self, packed: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        /// How many packed bytes are read at a time.
        const BUFFER_BYTES: usize = 128 << 10;
        let packed = BufReader::with_capacity(BUFFER_BYTES, packed);
        Ok(match self {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(Zstd::new(packed)),
            Packing::Foreign(name, command) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("it is compressed by {name}: `{command} FILE | k …`"),
                ));
            }
        })
    }
}

/// Reads what frames of zstd hold.
struct Zstd<R> {
    packed: R,
    context: zstd_safe::DCtx<'static>,
    /// Whether a frame has begun and not ended.
    is_open: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(packed: R) -> Self {
        Zstd {
            packed,
            context: zstd_safe::DCtx::create(),
            is_open: false,
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.packed.fill_buf()?;
            let is_last = packed.is_empty();
            if is_last && !self.is_open {
                return Ok(0);
            }
            let mut from = zstd_safe::InBuffer::around(packed);
            let mut to = zstd_safe::OutBuffer::around(room);
            let missing = self.context.decompress_stream(&mut to, &mut from);
            let missing = missing.map_err(|code| {
                let reason = zstd_safe::get_error_name(code);
                io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {reason}"))
            })?;
            let (taken, made) = (from.pos(), to.pos());
            self.packed.consume(taken);
            self.is_open = missing > 0;
            if made > 0 {
                return Ok(made);
            }
            // What was held back is out, and the frame goes on.
            if is_last {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packs_a_file_is_told_by_its_first_bytes() {
        for (first, expected) in [
            (&b"\x1F\x8B\x08\0\0\0"[..], Some(Packing::Gzip)),
            (b"\x28\xB5\x2F\xFD\x04\0", Some(Packing::Zstd)),
            (b"(a,b", None),
            (b"BZh,t\n", None),
            (b"PK,t\n", None),
            (b"", None),
        ] {
            assert_eq!(packing(first), expected, "{:?}", first.escape_ascii());
        }
        let bzip2 = packing(b"BZh91AY&SY").map(|packing| packing.reader(io::empty()).is_err());
        assert_eq!(bzip2, Some(true));
        for (first, may_be) in [
            (&b"\x1F"[..], true),
            (b"(", true),
            (b"(a", false),
            (b"a", false),
        ] {
            assert_eq!(may_be_packed(first), may_be, "{:?}", first.escape_ascii());
        }
        assert!(may_be_packed(b"") && may_be_packed(b"BZh9"));
    }
}
