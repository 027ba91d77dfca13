//! Numbers, strings and arrays of the protocol, big endian.
//!
//! From some version on each request is flexible: lengths are varints of the length plus one, and
//! every structure ends with tagged fields.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// An answer that is cut off, or claims what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled;

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its answer is garbled")
    }
}

impl std::error::Error for Garbled {}

/// The bytes of a request, one piece behind the other: batches among them are not copied.
pub type Pieces = Vec<Arc<Vec<u8>>>;

/// Writes a request.
#[derive(Debug)]
pub struct Output {
    pieces: Pieces,
    /// What follows them.
    bytes: Vec<u8>,
    is_flexible: bool,
}

impl Output {
    pub(super) fn new(is_flexible: bool) -> Self {
        Output {
            pieces: Vec::new(),
            bytes: Vec::with_capacity(256),
            is_flexible,
        }
    }

    pub(super) fn into_pieces(mut self) -> Pieces {
        self.end_piece();
        self.pieces
    }

    fn end_piece(&mut self) {
        if !self.bytes.is_empty() {
            self.pieces.push(Arc::new(std::mem::take(&mut self.bytes)));
        }
    }

    /// Writes bytes with their length, without copying them.
    pub fn shared(&mut self, bytes: &Arc<Vec<u8>>) {
        self.array(bytes.len());
        self.end_piece();
        self.pieces.push(bytes.clone());
    }

    /// Writes a number.
    pub fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a number.
    pub fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a number.
    pub fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a number.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes the id of a topic.
    pub fn id(&mut self, id: [u8; 16]) {
        self.bytes.extend_from_slice(&id);
    }

    /// Writes how many elements an array has, which follow.
    pub fn array(&mut self, count: usize) {
        if self.is_flexible {
            self.varint(count as u64 + 1)
        } else {
            self.i32(count as i32)
        }
    }

    /// Writes an array that is null.
    pub fn null_array(&mut self) {
        if self.is_flexible {
            self.varint(0)
        } else {
            self.i32(-1)
        }
    }

    /// Writes a string of at most 32,767 bytes.
    pub fn string(&mut self, text: &str) {
        if self.is_flexible {
            self.varint(text.len() as u64 + 1);
            self.bytes.extend_from_slice(text.as_bytes());
        } else {
            self.classic_string(text)
        }
    }

    /// Writes bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.array(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a string that is null.
    pub fn null(&mut self) {
        if self.is_flexible {
            self.varint(0)
        } else {
            self.i16(-1)
        }
    }

    pub(super) fn classic_string(&mut self, text: &str) {
        self.i16(text.len() as i16);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Ends a structure: without tagged fields.
    pub fn tags(&mut self) {
        if self.is_flexible {
            self.bytes.push(0);
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Reads an answer. Whatever that claims, nothing is read beyond its end.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    is_flexible: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, is_flexible: bool) -> Self {
        Input {
            bytes,
            at,
            is_flexible,
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Garbled> {
        let taken = self.bytes[self.at..].get(..count).ok_or(Garbled)?;
        self.at += count;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Garbled)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Garbled`] at the end, as all here.
    pub fn i8(&mut self) -> Result<i8, Garbled> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn i16(&mut self) -> Result<i16, Garbled> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn i32(&mut self) -> Result<i32, Garbled> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn i64(&mut self) -> Result<i64, Garbled> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Reads one byte as yes or no.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn bool(&mut self) -> Result<bool, Garbled> {
        self.fixed().map(|[byte]: [u8; 1]| byte != 0)
    }

    /// Reads the id of a topic.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn id(&mut self) -> Result<[u8; 16], Garbled> {
        self.fixed()
    }

    /// Reads how many elements an array has, each of which has at least one byte; null has none.
    ///
    /// # Errors
    /// [`Garbled`] where there are more than bytes.
    pub fn array(&mut self) -> Result<usize, Garbled> {
        let count = if self.is_flexible {
            self.varint()?.saturating_sub(1)
        } else {
            u64::try_from(self.i32()?).unwrap_or(0)
        };
        let count = usize::try_from(count).map_err(|_| Garbled)?;
        if count <= self.left() {
            Ok(count)
        } else {
            Err(Garbled)
        }
    }

    /// Reads elements of an array, one after the other.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Garbled>,
    ) -> Result<Vec<T>, Garbled> {
        let count = self.array()?;
        (0..count).map(|_| element(self)).collect()
    }

    /// Reads a string; `None` for null.
    ///
    /// # Errors
    /// [`Garbled`], also where it is not UTF-8.
    pub fn string(&mut self) -> Result<Option<&'a str>, Garbled> {
        let length = if self.is_flexible {
            self.varint()?.checked_sub(1)
        } else {
            u64::try_from(self.i16()?).ok()
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| Garbled)?;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| Garbled)
    }

    /// Reads a string; an empty one for null.
    ///
    /// # Errors
    /// [`Garbled`], also where it is not UTF-8.
    pub fn text(&mut self) -> Result<String, Garbled> {
        Ok(self.string()?.unwrap_or_default().to_owned())
    }

    /// Reads where bytes lie in the frame, and passes over them; null is empty.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn range(&mut self) -> Result<Range<usize>, Garbled> {
        let length = if self.is_flexible {
            self.varint()?.saturating_sub(1)
        } else {
            u64::try_from(self.i32()?).unwrap_or(0)
        };
        let length = usize::try_from(length).map_err(|_| Garbled)?;
        let start = self.at;
        self.take(length)?;
        Ok(start..self.at)
    }

    /// Returns bytes of the frame.
    pub fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Ends a structure, passing over its tagged fields.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn skip_tags(&mut self) -> Result<(), Garbled> {
        self.tags(|_, _| Ok(()))
    }

    /// Ends a structure; `field` reads each tagged field from the bytes of that alone.
    ///
    /// # Errors
    /// [`Garbled`], and those of `field`.
    pub fn tags(
        &mut self,
        mut field: impl FnMut(u64, &mut Input<'a>) -> Result<(), Garbled>,
    ) -> Result<(), Garbled> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let length = usize::try_from(self.varint()?).map_err(|_| Garbled)?;
            let start = self.at;
            self.take(length)?;
            let mut bytes = Input::new(&self.bytes[..self.at], start, true);
            field(tag, &mut bytes)?;
        }
        Ok(())
    }

    /// Reads a varint of at most 35 bits: lengths and tags have 32.
    fn varint(&mut self) -> Result<u64, Garbled> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }
}
