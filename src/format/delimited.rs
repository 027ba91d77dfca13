//! CSV (RFC 4180) → columns.
//!
//! In: whole lines of a file, or one line a message. Out: the wanted columns. Bytes without a quote
//! are cut by a SIMD search for separators; at the first quote of a batch the `csv` crate takes
//! over for that batch. Blank lines are not records.

pub(crate) mod raw;

use std::path::Path;

use bumpalo::Bump;

use super::dialect::{Dialect, Spelling};
use super::field::{Ending, FromField, Time};
use super::header::parse_header;
use super::parts::Parts;
use super::plain::Cutter;
use super::quoted::Reader;
use super::rows::{Rows, without_return, wrong_width};
use super::scan::Separators;
use super::{
    Decoded, Layout, Malformed, Misfit, NO_TIME, Origin, Origins, Place, TimeFrom, times_of,
};
use crate::column::known;
use crate::column::{Column, Columns, DataType, Schema, Values};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::source::file::{FileSource, Framing};
use crate::source::{Lines, Message, Records};

/// Opens a file of CSV and reads its header; nobody has declared its columns.
///
/// # Errors
/// `refused` when the file cannot be read, `data` for a header that is none, `stopped` on a signal.
pub fn open(path: &Path, delimiter: u8, interrupt: &Interrupt) -> Result<(FileSource, Schema)> {
    let mut source = FileSource::open(path)?;
    source.set_framing(Framing::Delimited(delimiter));
    let (line, header) = source.take_header(interrupt)?;
    let names = parse_header(&header, delimiter)
        .map_err(|error| error.during(format!("reading `{}`, line {line}", path.display())))?;
    Ok((source, known::of_names(&names)))
}

/// Decodes CSV records that have the columns of a [`Layout`], without a header.
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Layout,
    parts: Parts,
    /// The wanted columns without the parts.
    fields: Vec<usize>,
    dialect: Dialect,
    cutter: Cutter,
    separators: Separators,
}

impl Decoder {
    /// Returns a decoder of records of a dialect.
    pub fn new(layout: Layout, dialect: Dialect) -> Self {
        let (parts, wanted) = (Parts::of(&layout), layout.wanted.iter().copied());
        Decoder {
            fields: wanted.filter(|&index| !parts.has(index)).collect(),
            parts,
            layout,
            dialect,
            cutter: Cutter::default(),
            separators: Separators::default(),
        }
    }

    /// Returns what the records do differently.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Decodes some records.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        match records {
            Records::Lines(lines) => self.decode_lines(*lines, origins, arena),
            Records::Messages(messages) => self.decode_messages(messages, origins, arena),
        }
    }

    fn decode_lines<'a>(
        &mut self,
        lines: Lines<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let width = self.layout.schema.width();
        let mut malformed = Vec::new();
        let delimiter = self.dialect.delimiter;
        if let Some(rows) = self.cutter.cut(lines, delimiter, width, &mut malformed) {
            let wanted = Wanted {
                layout: &self.layout,
                fields: &self.fields,
                spelling: &self.dialect.spelling,
                arena,
            };
            let none = (empty_columns(&self.layout), Vec::new());
            return decode_columns(wanted, &rows, origins, None, none, malformed);
        }
        let mut table = Table::new(self.wanted(arena));
        let place = |line| Place::of(&lines, lines.first_line + line);
        self.add_quoted(lines.bytes, &mut table, arena, place);
        table.decode(origins, None)
    }

    fn decode_messages<'a>(
        &mut self,
        messages: &[Message<'a>],
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        if let Some(decoded) = self.decode_joined(messages, origins, arena) {
            return decoded;
        }
        let width = self.layout.schema.width();
        let mut separators = std::mem::take(&mut self.separators);
        let mut table = Table::new(self.wanted(arena));
        let mut times = Vec::with_capacity(messages.len());
        for message in messages {
            let place = Place::Offset(message.partition, message.offset);
            let Some(value) = message.value else {
                table.refuse(place, "the value is null".to_owned(), &[]);
                continue;
            };
            let value = without_return(value.strip_suffix(b"\n").unwrap_or(value));
            if memchr::memchr2(b'"', b'\n', value).is_some() {
                let records = self.add_quoted(value, &mut table, arena, |_| place);
                if records == 0 {
                    table.refuse(place, "the value is blank".to_owned(), value);
                }
            } else {
                separators.find(value, self.dialect.delimiter);
                let edges = separators.edges();
                if edges.len() == width {
                    table.add((place, value), |column| {
                        let end = edges
                            .get(column + 1)
                            .map_or(value.len(), |&end| end as usize);
                        &value[edges[column].wrapping_add(1) as usize..end]
                    });
                } else {
                    table.refuse(place, wrong_width(edges.len(), width), value);
                }
            }
            table.add_parts(&self.parts, message, times.len());
            times.resize(table.origins.len(), message.timestamp);
        }
        let decoded = table.decode(origins, Some(&times));
        self.separators = separators;
        decoded
    }

    /// Decodes messages as the lines of a file, which one search cuts; `None` where not every message is
    /// one row.
    fn decode_joined<'a>(
        &mut self,
        messages: &[Message<'a>],
        origins: Origins,
        arena: &'a Bump,
    ) -> Option<Decoded<'a>> {
        if !self.parts.is_empty() {
            return None;
        }
        let lines = Lines::new(join(messages, arena)?, 1);
        let (width, delimiter) = (self.layout.schema.width(), self.dialect.delimiter);
        let mut malformed = Vec::new();
        let rows = self.cutter.cut(lines, delimiter, width, &mut malformed)?;
        // As many lines as messages could also be two in one and a blank one.
        let is_each_one_row = lines.survey.newlines == messages.len()
            && rows.count() == messages.len()
            && malformed.is_empty();
        if !is_each_one_row {
            return None;
        }
        let wanted = Wanted {
            layout: &self.layout,
            fields: &self.fields,
            spelling: &self.dialect.spelling,
            arena,
        };
        let is_timed = matches!(self.layout.time, TimeFrom::Record);
        let times = is_timed.then(|| messages.iter().map(|message| message.timestamp).collect());
        let times: Option<Vec<Option<i64>>> = times;
        let rows = Joined { rows, messages };
        let none = (empty_columns(&self.layout), Vec::new());
        Some(decode_columns(
            wanted,
            &rows,
            origins,
            times.as_deref(),
            none,
            malformed,
        ))
    }

    fn wanted<'a>(&self, arena: &'a Bump) -> Wanted<'a, '_> {
        Wanted {
            arena,
            layout: &self.layout,
            fields: &self.fields,
            spelling: &self.dialect.spelling,
        }
    }

    /// Adds the records of bytes that hold quotes, and returns how many there are.
    fn add_quoted<'a>(
        &self,
        bytes: &'a [u8],
        table: &mut Table<'a, '_>,
        arena: &'a Bump,
        place: impl Fn(u64) -> Place,
    ) -> usize {
        let width = self.layout.schema.width();
        let mut reader = Reader::new(bytes, self.dialect.delimiter);
        let mut records = 0;
        while let Some((line, raw)) = reader.next_record() {
            if reader.width() == width {
                let fields: &'a [u8] = arena.alloc_slice_copy(reader.fields());
                table.add((place(line), raw), |column| &fields[reader.range(column)]);
            } else {
                table.refuse(place(line), wrong_width(reader.width(), width), raw);
            }
            records += 1;
        }
        records
    }
}

/// Returns the values of messages as lines; `None` for a null, and where there is too much to copy.
fn join<'a>(messages: &[Message<'a>], arena: &'a Bump) -> Option<&'a [u8]> {
    const MOST: usize = 16 << 20;
    let mut size = messages.len();
    for message in messages {
        size += message.value?.len();
    }
    if size > MOST {
        return None;
    }
    let mut lines = bumpalo::collections::Vec::with_capacity_in(size, arena);
    for message in messages {
        let value = message.value?;
        lines.extend_from_slice_copy(value.strip_suffix(b"\n").unwrap_or(value));
        lines.push(b'\n');
    }
    Some(lines.into_bump_slice())
}

/// Messages that were cut as lines, each of them one row.
struct Joined<'m, 'a, R> {
    rows: R,
    messages: &'m [Message<'a>],
}

impl<'a, R: Rows<'a>> Rows<'a> for Joined<'_, 'a, R> {
    fn count(&self) -> usize {
        self.rows.count()
    }

    #[inline(always)]
    fn field(&self, row: usize, column: usize) -> &'a [u8] {
        self.rows.field(row, column)
    }

    #[inline(always)]
    fn ending(&self, row: usize, column: usize) -> Ending<'a> {
        self.rows.ending(row, column)
    }

    #[inline(always)]
    fn text(&self, row: usize, column: usize) -> Option<&'a str> {
        self.rows.text(row, column)
    }

    fn origin(&self, row: usize) -> Origin<'a> {
        let message = &self.messages[row];
        let value = message.value.unwrap_or_default();
        let value = without_return(value.strip_suffix(b"\n").unwrap_or(value));
        (Place::Offset(message.partition, message.offset), value)
    }
}

/// The columns that are parts of the records, and which rows' are not values.
type PartColumns<'a> = (Vec<Column<'a>>, Vec<(usize, Misfit)>);

/// Returns a column without a row for each of a layout.
fn empty_columns<'a>(layout: &Layout) -> Vec<Column<'a>> {
    let fields = layout.schema.fields.iter();
    fields
        .map(|field| Column::with_capacity(field.data_type, 0))
        .collect()
}

/// What of each record is decoded, and how its values are spelled.
#[derive(Clone, Copy)]
struct Wanted<'a, 'l> {
    layout: &'l Layout,
    /// The columns that are fields.
    fields: &'l [usize],
    spelling: &'l Spelling,
    /// Fields whose value differs from their text in the record.
    arena: &'a Bump,
}

/// The wanted fields of records that do not lie in one piece, row by row.
struct Table<'a, 'l> {
    wanted: Wanted<'a, 'l>,
    fields: Vec<&'a [u8]>,
    parts: PartColumns<'a>,
    origins: Vec<Origin<'a>>,
    malformed: Vec<Malformed<'a>>,
}

impl<'a, 'l> Table<'a, 'l> {
    fn new(wanted: Wanted<'a, 'l>) -> Self {
        Table {
            wanted,
            parts: (empty_columns(wanted.layout), Vec::new()),
            fields: Vec::new(),
            origins: Vec::new(),
            malformed: Vec::new(),
        }
    }

    fn add(&mut self, origin: Origin<'a>, field: impl Fn(usize) -> &'a [u8]) {
        self.fields
            .extend(self.wanted.fields.iter().map(|&column| field(column)));
        self.origins.push(origin);
    }

    /// Adds the parts of a message, for its rows from the `first` on.
    fn add_parts(&mut self, parts: &Parts, message: &Message<'a>, first: usize) {
        if parts.is_empty() {
            return;
        }
        let (columns, misfits) = &mut self.parts;
        for row in first..self.origins.len() {
            let pushed = parts.push(message, columns);
            misfits.extend(pushed.err().map(|misfit| (row, misfit)));
        }
    }

    fn refuse(&mut self, place: Place, reason: String, bytes: &'a [u8]) {
        self.malformed.push(Malformed {
            before: self.origins.len(),
            place,
            at: None,
            misfit: reason.into(),
            bytes,
        });
    }

    fn decode(mut self, origins: Origins, times: Option<&[Option<i64>]>) -> Decoded<'a> {
        let malformed = std::mem::take(&mut self.malformed);
        let parts = std::mem::take(&mut self.parts);
        decode_columns(self.wanted, &self, origins, times, parts, malformed)
    }
}

impl<'a> Rows<'a> for Table<'a, '_> {
    fn count(&self) -> usize {
        self.origins.len()
    }

    fn field(&self, row: usize, column: usize) -> &'a [u8] {
        let kept = self.wanted.fields;
        let at = kept.partition_point(|&kept| kept < column);
        self.fields[row * kept.len() + at]
    }

    fn text(&self, row: usize, column: usize) -> Option<&'a str> {
        std::str::from_utf8(self.field(row, column)).ok()
    }

    fn origin(&self, row: usize) -> Origin<'a> {
        self.origins[row]
    }
}

/// Rows in which more than the empty field is null, or numbers have a decimal comma.
struct Respelled<'r, 'a, R> {
    rows: &'r R,
    spelling: &'r Spelling,
    arena: &'a Bump,
}

impl<'a, R: Rows<'a>> Rows<'a> for Respelled<'_, 'a, R> {
    fn count(&self) -> usize {
        self.rows.count()
    }

    fn field(&self, row: usize, column: usize) -> &'a [u8] {
        let field = self.rows.field(row, column);
        if self.spelling.is_null(field) {
            &[]
        } else {
            self.spelling.number(field, self.arena)
        }
    }

    fn shown(&self, row: usize, column: usize) -> String {
        self.rows.shown(row, column)
    }

    fn text(&self, row: usize, column: usize) -> Option<&'a str> {
        let text = self.rows.text(row, column)?;
        if self.spelling.is_null(text.as_bytes()) {
            Some("")
        } else {
            Some(text)
        }
    }

    fn origin(&self, row: usize) -> Origin<'a> {
        self.rows.origin(row)
    }
}

/// Decodes the wanted columns one after the other, and takes out the rows that do not fit.
fn decode_columns<'a>(
    wanted: Wanted<'a, '_>,
    rows: &impl Rows<'a>,
    origins: Origins,
    record_times: Option<&[Option<i64>]>,
    parts: PartColumns<'a>,
    malformed: Vec<Malformed<'a>>,
) -> Decoded<'a> {
    let spelling = wanted.spelling;
    if spelling.is_plain() {
        return decode_rows(wanted, rows, origins, record_times, parts, malformed);
    }
    let rows = Respelled {
        rows,
        spelling,
        arena: wanted.arena,
    };
    decode_rows(wanted, &rows, origins, record_times, parts, malformed)
}

/// As [`decode_columns`], of rows whose empty fields are null.
fn decode_rows<'a>(
    Wanted {
        layout,
        fields,
        spelling,
        arena,
    }: Wanted<'a, '_>,
    rows: &impl Rows<'a>,
    origins: Origins,
    record_times: Option<&[Option<i64>]>,
    (mut columns, mut misfits): PartColumns<'a>,
    malformed: Vec<Malformed<'a>>,
) -> Decoded<'a> {
    let count = rows.count();
    let schema = &layout.schema;
    for &index in fields {
        let refused = |row: usize, expected: &str| {
            let (name, field) = (&schema.fields[index].name, rows.shown(row, index));
            let misfit = Misfit::from(format!("column `{name}`: {field} is {expected}"));
            misfits.push((row, misfit.or(super::declare_cure(name))));
        };
        let bytes = |row| rows.field(row, index);
        let ending = |row| rows.ending(row, index);
        let text = |row| rows.text(row, index);
        columns[index] = match schema.fields[index].data_type {
            DataType::Bigint => Column::Bigint(collect(count, ending, refused)),
            DataType::Timestamp => {
                let times = collect(count, bytes, refused);
                Column::Bigint(Values {
                    values: times.values.into_iter().map(|Time(at)| at).collect(),
                    nulls: times.nulls,
                })
            }
            DataType::Double => Column::Double(collect(count, bytes, refused)),
            DataType::Decimal => Column::Decimal(collect(count, bytes, refused)),
            DataType::Boolean => Column::Boolean(collect(count, bytes, refused)),
            DataType::Text => Column::Text(collect(count, text, refused)),
            DataType::Number => Column::Number(collect(count, bytes, refused)),
            DataType::Any => Column::Any(collect(count, text, refused)),
        };
    }

    let mut time_misfit = |row: usize, misfit: Misfit| {
        misfits.push((row, misfit));
        NO_TIME
    };
    let times = match layout.time {
        TimeFrom::Column(index, unit) => {
            let name = &schema.fields[index].name;
            let column = match &columns[index] {
                Column::Any(texts) | Column::Text(texts) if spelling.decimal_comma => {
                    &Column::Any(super::pointed(texts, arena))
                }
                column => column,
            };
            times_of(column, unit, name, time_misfit)
        }
        TimeFrom::Record => {
            let times = record_times.unwrap_or_default();
            let known = (0..count).map(|row| times.get(row).copied().flatten());
            let no_time = "the record has no timestamp";
            known
                .enumerate()
                .map(|(row, time)| {
                    time.unwrap_or_else(|| time_misfit(row, no_time.to_owned().into()))
                })
                .collect()
        }
        TimeFrom::Computed(_) => vec![NO_TIME; count], // of whole columns, later
        TimeFrom::Nowhere => vec![0; count],
    };

    let mut decoded = Decoded {
        columns: Columns {
            rows: count,
            columns,
            decimal_comma: spelling.decimal_comma,
        },
        times,
        origins: match origins {
            Origins::Keep => (0..count).map(|row| rows.origin(row)).collect(),
            Origins::Forget => Vec::new(),
        },
        malformed,
    };
    decoded.refuse(misfits, |row| rows.origin(row));
    decoded
}

/// Reads one column; a misfit is reported and left null.
fn collect<F, T: FromField<F>>(
    count: usize,
    field: impl Fn(usize) -> F,
    mut refused: impl FnMut(usize, &'static str),
) -> Values<T> {
    let mut nulls = Vec::new();
    let value = |row| match T::from_field(field(row)) {
        Ok(Some(value)) => value,
        none => {
            none.err().inspect(|expected| refused(row, expected));
            nulls.push(row);
            T::default()
        }
    };
    let values = (0..count).map(value).collect();
    Values::with_nulls(values, &nulls)
}

#[cfg(test)]
mod tests;
