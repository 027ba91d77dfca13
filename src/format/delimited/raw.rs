//! Records of any text → one column, `value`.
//!
//! In: lines, or messages. Out: each unchanged, a line without its end. An empty one is null, as an
//! empty field of CSV is.

use bumpalo::Bump;

use super::super::rows::without_return;
use super::Table;
use crate::format::dialect::{Dialect, Spelling};
use crate::format::{Decoded, Layout, Origins, Place};
use crate::source::Records;

/// The name of the one column.
pub const COLUMN: &str = "value";

/// Decodes records whose [`Layout`] has one column, beside the parts of the record.
#[derive(Debug, Clone)]
pub struct Decoder(super::Decoder);

impl Decoder {
    /// Returns a decoder of the layout's column.
    pub fn new(layout: Layout, spelling: Spelling) -> Self {
        let dialect = Dialect {
            delimiter: b'\n', // nothing is cut
            spelling,
        };
        Decoder(super::Decoder::new(layout, dialect))
    }

    /// Returns what the records do differently.
    pub fn dialect(&self) -> &Dialect {
        self.0.dialect()
    }

    /// Decodes some records.
    pub fn decode<'a>(
        &self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let mut table = Table::new(self.0.wanted(arena));
        match records {
            Records::Lines(lines) => {
                let mut start = 0;
                let ends = memchr::memchr_iter(b'\n', lines.bytes);
                for (line, end) in (lines.first_line..).zip(ends) {
                    let value = without_return(&lines.bytes[start..end]);
                    table.add((Place::of(lines, line), value), |_| value);
                    start = end + 1;
                }
                table.decode(origins, None)
            }
            Records::Messages(messages) => {
                for (row, message) in messages.iter().enumerate() {
                    let place = Place::Offset(message.partition, message.offset);
                    let value = message.value.unwrap_or_default();
                    table.add((place, value), |_| value);
                    table.add_parts(&self.0.parts, message, row);
                }
                let times: Vec<_> = messages.iter().map(|message| message.timestamp).collect();
                table.decode(origins, Some(&times))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, DataType, Field, Schema, Values};
    use crate::format::TimeFrom;
    use crate::source::{Headers, Lines, Message};

    #[test]
    fn each_record_is_one_text_whatever_stands_in_it() {
        let field = Field {
            name: COLUMN.to_owned(),
            data_type: DataType::Text,
        };
        let layout = Layout {
            schema: Schema {
                fields: vec![field],
                ..Schema::default()
            },
            wanted: vec![0],
            time: TimeFrom::Nowhere,
        };
        let (decoder, arena) = (Decoder::new(layout, Spelling::default()), Bump::new());
        let values = ["a,\"b", "", "{\"x\":1}", "\u{e9} "];
        let expected: Values<&str> = values
            .iter()
            .map(|value| Some(*value).filter(|value| !value.is_empty()))
            .collect();
        let expected = Column::Text(expected);
        let bytes = values.join("\r\n") + "\r\n";
        let lines = Records::Lines(Lines::new(bytes.as_bytes(), 1));
        let decoded = decoder.decode(&lines, Origins::Keep, &arena);
        assert_eq!(decoded.columns.columns[0], expected);
        assert_eq!(decoded.origins[3].0, Place::Line(4));
        let message = |offset: i64, value| Message {
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            value,
            headers: Headers::NONE,
        };
        let messages = [
            message(0, Some(&b"a,\"b"[..])),
            message(1, None),
            message(2, Some(b"{\"x\":1}")),
            message(3, Some("\u{e9} ".as_bytes())),
            message(4, Some(b"\xff")),
        ];
        let decoded = decoder.decode(
            &Records::Messages(messages.to_vec()),
            Origins::Forget,
            &arena,
        );
        assert_eq!(decoded.columns.columns[0], expected);
        assert_eq!(decoded.malformed[0].place, Place::Offset(0, 4));
    }
}
