//! CSV (RFC 4180) → columns.
//!
//! Comes in: whole lines of a file, or one line a message. Goes out: the wanted columns.
//! Bytes without a quote are cut by a SIMD search for separators; at the first quote of a
//! batch the `csv` crate takes over for that batch. Blank lines are no records.

use bumpalo::Bump;

use super::scan::Separators;
use super::{Decoded, Layout, Malformed, Origin, Origins, Place, TimeFrom, shown, time_of};
use crate::column::{Column, Columns, DataType, Values};
use crate::error::{Error, Result};
use crate::source::{Lines, Message, Records};

/// Decodes CSV records that have the columns of a [`Layout`], without a header.
#[derive(Debug)]
pub struct Decoder {
    layout: Layout,
    delimiter: u8,
    separators: Separators,
}

impl Decoder {
    /// Returns a decoder of lines whose fields stand between `delimiter`s.
    pub fn new(layout: Layout, delimiter: u8) -> Self {
        Decoder {
            layout,
            delimiter,
            separators: Separators::default(),
        }
    }

    /// Decodes some records.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        match records {
            Records::Lines(lines) if memchr::memchr(b'"', lines.bytes).is_none() => {
                self.decode_plain_lines(*lines, origins)
            }
            Records::Lines(lines) => {
                let mut table = Table::new(&self.layout);
                self.add_quoted(lines.bytes, &mut table, arena, |line| {
                    Place::Line(lines.first_line + line - 1)
                });
                table.decode(origins, None)
            }
            Records::Messages(messages) => self.decode_messages(messages, origins, arena),
        }
    }

    /// The fast path: one search for separators, then one pass a column.
    fn decode_plain_lines<'a>(&mut self, lines: Lines<'a>, origins: Origins) -> Decoded<'a> {
        let bytes = lines.bytes;
        let width = self.layout.schema.fields.len();
        self.separators.find(bytes, self.delimiter);
        let Separators { all, newlines } = &self.separators;

        // firsts[row]: which of `all` ends the row's first field.
        let mut firsts: Vec<u32> = Vec::with_capacity(newlines.len());
        let mut malformed = Vec::new();
        let mut next = 0;
        for (line, &newline) in newlines.iter().enumerate() {
            let start = if next == 0 {
                0
            } else {
                all[next - 1] as usize + 1
            };
            if all.get(next + width - 1) == Some(&newline)
                && (width > 1 || start < newline as usize)
            {
                firsts.push(next as u32);
                next += width;
                continue;
            }
            let fields = all[next..].partition_point(|&at| at < newline) + 1;
            let record = without_return(&bytes[start..newline as usize]);
            if !record.is_empty() {
                malformed.push(Malformed {
                    before: firsts.len(),
                    place: Place::Line(lines.first_line + line as u64),
                    reason: wrong_width(fields, width),
                    bytes: record,
                });
            }
            next += fields;
        }

        let field = |row: usize, column: usize| {
            let first = firsts[row] as usize;
            let at = first + column;
            let start = if at == 0 { 0 } else { all[at - 1] as usize + 1 };
            let end = all[at] as usize;
            match column + 1 == width {
                true => without_return(&bytes[start..end]),
                false => &bytes[start..end],
            }
        };
        let origin = |row: usize| {
            let first = firsts[row] as usize;
            let newline = all[first + width - 1];
            let line = newlines.partition_point(|&at| at < newline) as u64;
            let start = if first == 0 {
                0
            } else {
                all[first - 1] as usize + 1
            };
            let record = without_return(&bytes[start..newline as usize]);
            (Place::Line(lines.first_line + line), record)
        };
        let count = firsts.len();
        let rows = Rows {
            count,
            field,
            origin,
        };
        decode_columns(&self.layout, rows, origins, None, malformed)
    }

    fn decode_messages<'a>(
        &mut self,
        messages: &[Message<'a>],
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let width = self.layout.schema.fields.len();
        let mut table = Table::new(&self.layout);
        let mut times = Vec::with_capacity(messages.len());
        for message in messages {
            let place = Place::Offset(message.partition, message.offset);
            let Some(value) = message.value else {
                table.refuse(place, "the value is null".to_owned(), &[]);
                continue;
            };
            let value = without_return(value.strip_suffix(b"\n").unwrap_or(value));
            let rows = table.origins.len();
            if memchr::memchr2(b'"', b'\n', value).is_some() {
                self.add_quoted(value, &mut table, arena, |_| place);
            } else {
                self.separators.find(value, self.delimiter);
                let ends = &self.separators.all;
                if ends.len() + 1 == width {
                    table.add((place, value), |column| {
                        let start = if column == 0 {
                            0
                        } else {
                            ends[column - 1] as usize + 1
                        };
                        let end = ends.get(column).map_or(value.len(), |&end| end as usize);
                        &value[start..end]
                    });
                } else {
                    table.refuse(place, wrong_width(ends.len() + 1, width), value);
                }
            }
            times.resize(times.len() + table.origins.len() - rows, message.timestamp);
        }
        table.decode(origins, Some(&times))
    }

    /// Adds the records of bytes that hold quotes, read by the `csv` crate.
    fn add_quoted<'a>(
        &self,
        bytes: &'a [u8],
        table: &mut Table<'a, '_>,
        arena: &'a Bump,
        place: impl Fn(u64) -> Place,
    ) {
        let width = self.layout.schema.fields.len();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        // Reading a slice into raw bytes, flexibly, has no error left to return.
        while let Ok(true) = reader.read_byte_record(&mut record) {
            let position = record.position();
            let line = position.map_or(1, csv::Position::line);
            let start = position.map_or(0, |position| position.byte() as usize);
            let end = reader.position().byte() as usize;
            let raw = bytes.get(start..end).unwrap_or_default();
            let raw = without_return(raw.strip_suffix(b"\n").unwrap_or(raw));
            if record.len() == width {
                let fields: &'a [u8] = arena.alloc_slice_copy(record.as_slice());
                table.add((place(line), raw), |column| {
                    record.range(column).map_or(&[], |range| &fields[range])
                });
            } else {
                table.refuse(place(line), wrong_width(record.len(), width), raw);
            }
        }
    }
}

/// The wanted fields of records that do not lie in one piece, row by row.
struct Table<'a, 'l> {
    layout: &'l Layout,
    fields: Vec<&'a [u8]>,
    origins: Vec<Origin<'a>>,
    malformed: Vec<Malformed<'a>>,
}

impl<'a, 'l> Table<'a, 'l> {
    fn new(layout: &'l Layout) -> Self {
        Table {
            layout,
            fields: Vec::new(),
            origins: Vec::new(),
            malformed: Vec::new(),
        }
    }

    fn add(&mut self, origin: Origin<'a>, field: impl Fn(usize) -> &'a [u8]) {
        self.fields
            .extend(self.layout.wanted.iter().map(|&column| field(column)));
        self.origins.push(origin);
    }

    fn refuse(&mut self, place: Place, reason: String, bytes: &'a [u8]) {
        self.malformed.push(Malformed {
            before: self.origins.len(),
            place,
            reason,
            bytes,
        });
    }

    fn decode(self, origins: Origins, times: Option<&[Option<i64>]>) -> Decoded<'a> {
        let Table {
            layout,
            fields,
            origins: places,
            malformed,
        } = self;
        let width = layout.wanted.len();
        let place_of = |column: usize| layout.wanted.partition_point(|&wanted| wanted < column);
        let field = |row: usize, column: usize| fields[row * width + place_of(column)];
        let origin = |row: usize| places[row];
        let count = places.len();
        let rows = Rows {
            count,
            field,
            origin,
        };
        decode_columns(layout, rows, origins, times, malformed)
    }
}

/// Records that have the right number of fields, however they lie in memory.
struct Rows<F, O> {
    count: usize,
    /// Returns the bytes of a row's field, by the column's index in the schema.
    field: F,
    /// Returns where a row stands.
    origin: O,
}

/// Decodes the wanted columns one after the other, and takes out the rows that do not fit.
fn decode_columns<'a>(
    layout: &Layout,
    rows: Rows<impl Fn(usize, usize) -> &'a [u8], impl Fn(usize) -> Origin<'a>>,
    origins: Origins,
    record_times: Option<&[Option<i64>]>,
    malformed: Vec<Malformed<'a>>,
) -> Decoded<'a> {
    let Rows {
        count,
        field,
        origin,
    } = rows;
    let schema = &layout.schema;
    let empty = |field: &crate::column::Field| Column::with_capacity(field.data_type, 0);
    let mut columns: Vec<Column<'a>> = schema.fields.iter().map(empty).collect();
    let mut misfits: Vec<(usize, String)> = Vec::new();
    for &index in &layout.wanted {
        let refused = |row: usize, reason: String| {
            misfits.push((
                row,
                format!("column `{}`: {reason}", schema.fields[index].name),
            ));
        };
        let at = |row: usize| field(row, index);
        columns[index] = match schema.fields[index].data_type {
            DataType::Bigint => Column::Bigint(decode_column(count, at, bigint, refused)),
            DataType::Double => Column::Double(decode_column(count, at, double, refused)),
            DataType::Boolean => Column::Boolean(decode_column(count, at, boolean, refused)),
            DataType::Text => Column::Text(decode_column(count, at, text, refused)),
        };
    }

    let mut times = Vec::with_capacity(count);
    for row in 0..count {
        let time = match layout.time {
            TimeFrom::Column(index, unit) => {
                time_of(&columns[index], row, unit, &schema.fields[index].name)
            }
            TimeFrom::Record => record_times
                .and_then(|times| times.get(row).copied().flatten())
                .ok_or_else(|| "the record has no timestamp".to_owned()),
            TimeFrom::Nowhere => Ok(0),
        };
        times.push(time.unwrap_or_else(|reason| {
            misfits.push((row, reason));
            0
        }));
    }

    let mut decoded = Decoded {
        columns: Columns {
            rows: count,
            columns,
        },
        times,
        origins: match origins {
            Origins::Keep => (0..count).map(&origin).collect(),
            Origins::Forget => Vec::new(),
        },
        malformed,
    };
    decoded.refuse(misfits, origin);
    decoded
}

/// Decodes one column; an empty field is null, and a misfit is told and left null.
#[inline]
fn decode_column<'a, T: Copy + Default>(
    rows: usize,
    field: impl Fn(usize) -> &'a [u8],
    parse: impl Fn(&'a [u8]) -> Option<Result<T, &'static str>>,
    mut refused: impl FnMut(usize, String),
) -> Values<T> {
    let mut values = Values::with_capacity(rows);
    for row in 0..rows {
        let bytes = field(row);
        match parse(bytes) {
            Some(Ok(value)) => values.push(Some(value)),
            None => values.push(None),
            Some(Err(expected)) => {
                refused(row, format!("{} is {expected}", shown(bytes)));
                values.push(None);
            }
        }
    }
    values
}

#[inline]
fn bigint(bytes: &[u8]) -> Option<Result<i64, &'static str>> {
    match bytes {
        [] => None,
        _ => Some(parse_bigint(bytes).ok_or("not a bigint")),
    }
}

fn double(bytes: &[u8]) -> Option<Result<f64, &'static str>> {
    if bytes.is_empty() {
        return None;
    }
    let parsed = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse().ok());
    Some(
        parsed
            .filter(|value: &f64| value.is_finite())
            .ok_or("not a double"),
    )
}

fn boolean(bytes: &[u8]) -> Option<Result<bool, &'static str>> {
    match bytes {
        [] => None,
        _ if bytes.eq_ignore_ascii_case(b"true") => Some(Ok(true)),
        _ if bytes.eq_ignore_ascii_case(b"false") => Some(Ok(false)),
        _ => Some(Err("not a boolean")),
    }
}

#[inline]
fn text(bytes: &[u8]) -> Option<Result<&str, &'static str>> {
    match bytes {
        [] => None,
        _ => Some(std::str::from_utf8(bytes).map_err(|_| "not UTF-8")),
    }
}

/// Reads a decimal integer of 64 bits: digits, after at most one `-`.
#[inline(always)] // once a value in the tightest loop; the compiler leaves it out of line else
pub(crate) fn parse_bigint(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        // 19 digits may or may not fit, and `+` is no digit.
        let text = std::str::from_utf8(bytes).ok()?;
        return text.parse().ok().filter(|_| !text.starts_with('+'));
    }
    let mut value: i64 = 0;
    let mut words = digits.chunks_exact(8);
    for word in &mut words {
        value = value * 100_000_000 + parse_eight(word.try_into().ok()?)?;
    }
    for &digit in words.remainder() {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Reads eight digits at once: pairs, then fours, then all eight, each by one multiplication
/// (D. Lemire, "Quickly parsing eight digits", 2018).
#[inline]
fn parse_eight(digits: [u8; 8]) -> Option<i64> {
    let word = u64::from_le_bytes(digits);
    let low = word.wrapping_sub(0x3030_3030_3030_3030);
    let high = word.wrapping_add(0x4646_4646_4646_4646);
    if (low | high) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some((upper.wrapping_add(lower) >> 32) as i64)
}

#[inline]
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn wrong_width(fields: usize, width: usize) -> String {
    let plural = if fields == 1 { "" } else { "s" };
    format!("{fields} field{plural} where the header has {width}")
}

/// Returns the names in a header line.
///
/// # Errors
/// `data` when a name is missing, stands twice or is not UTF-8.
pub fn parse_header(line: &[u8], delimiter: u8) -> Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(line);
    let mut header = csv::ByteRecord::new();
    reader
        .read_byte_record(&mut header)
        .map_err(|source| Error::data("the header cannot be read").caused_by(source))?;
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (at, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name).map_err(|_| {
            Error::data(format!(
                "the header's column {} is not UTF-8: {}",
                at + 1,
                shown(name)
            ))
        })?;
        let name = name.trim();
        if name.is_empty() {
            return Err(
                Error::data(format!("the header's column {} has no name", at + 1))
                    .hint("the first line of a CSV names its columns"),
            );
        }
        if names.iter().any(|earlier| earlier == name) {
            return Err(Error::data(format!(
                "the header names column `{name}` twice"
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}
