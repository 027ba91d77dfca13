//! Panes → lines of a folder's topic, as [`Folder`](crate::ksql::folder::Folder) writes records.

use super::Windowing;
use super::panes::{Cell, Part, is_known};
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::ksql::catalog::Source;
use crate::ksql::format::Kind;
use crate::ksql::types::Type;
use crate::ksql::value::{java_double, write_java_double};
use crate::notation::{member, push_json};

/// Writes panes as lines, straight from the engine's values.
#[derive(Debug)]
pub struct Writer {
    /// `{"topic":"O","partition":0,"offset":`
    front: Vec<u8>,
    key: (Part, KeyForm),
    time: Part,
    /// The members of the value: each with its comma and its name, and what it holds.
    members: Vec<(Vec<u8>, Part)>,
    offset: u64,
    /// Room for a key and for a value.
    room: (Vec<u8>, Vec<u8>),
    encoded: String,
}

/// How the key's column is written.
#[derive(Debug, Clone, Copy)]
enum KeyForm {
    /// A text as it is.
    Text,
    /// Big-endian, in so many bytes.
    Int,
    Bigint,
    /// As JSON.
    Json,
}

impl Writer {
    /// Returns what writes the groups of a query to its sink; `None` where its SELECT computes, or its
    /// formats are others, so that each group has to become a row first.
    pub fn new(windowing: &Windowing, sink: &Source) -> Option<Self> {
        let parts = Part::all(windowing);
        let [key] = &windowing.keys[..] else {
            return None;
        };
        let form = match (sink.key_format.kind, key.type_or_string()) {
            (Kind::Kafka, Type::String) => KeyForm::Text,
            (Kind::Kafka, Type::Int) => KeyForm::Int,
            (Kind::Kafka, Type::Bigint) => KeyForm::Bigint,
            (Kind::Json, _) if sink.key_format.is_wrapped != Some(true) => KeyForm::Json,
            _ => return None,
        };
        let value = &sink.value_format;
        let is_object = sink.schema.value.len() != 1 || value.is_wrapped != Some(false);
        if value.kind != Kind::Json || !is_object || sink.time.is_some() || windowing.is_filtered {
            return None;
        }
        let columns = windowing.values.iter().zip(&sink.schema.value).enumerate();
        let members = columns.map(|(nth, (node, column))| {
            let mut name = if nth == 0 { Vec::new() } else { vec![b','] };
            name.extend(member(&column.name));
            Some((name, *parts.get(node.as_column()?)?))
        });
        let mut front = br#"{"topic":"#.to_vec();
        push_json(&mut front, ValueRef::Text(&sink.topic));
        front.extend_from_slice(br#","partition":0,"offset":"#);
        Some(Writer {
            front,
            key: (Part::Key(0), form),
            time: *parts.last()?,
            members: members.collect::<Option<_>>()?,
            offset: 0,
            room: Default::default(),
            encoded: String::new(),
        })
    }

    /// Returns how many lines there were.
    pub fn rows(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }

    /// Adds the lines of some panes.
    pub fn write(&mut self, panes: &Panes, lines: &mut Vec<u8>) {
        for pane in panes.iter().filter(is_known) {
            self.write_line(&pane, lines);
        }
    }

    fn write_line(&mut self, pane: &Pane<'_>, lines: &mut Vec<u8>) {
        lines.extend_from_slice(&self.front);
        push_json(lines, ValueRef::Integer(self.offset.into()));
        self.offset += 1;
        lines.extend_from_slice(br#","timestamp":"#);
        push_cell(lines, self.time.of(pane));
        self.push_key(pane, lines);
        lines.extend_from_slice(br#","headers":[],"value":"#);
        let (_, value) = &mut self.room;
        value.clear();
        value.push(b'{');
        for (name, part) in &self.members {
            value.extend_from_slice(name);
            push_cell(value, part.of(pane));
        }
        value.push(b'}');
        // Of names and texts, which are UTF-8, and digits.
        push_json(
            lines,
            ValueRef::Text(std::str::from_utf8(value).unwrap_or_default()),
        );
        lines.extend_from_slice(b"}\n");
    }

    /// Adds the key with the start of its window behind it.
    fn push_key(&mut self, pane: &Pane<'_>, lines: &mut Vec<u8>) {
        use base64::Engine;
        let (part, form) = self.key;
        let (key, _) = &mut self.room;
        key.clear();
        match (form, part.of(pane)) {
            (KeyForm::Text, Cell::Text(text)) => key.extend_from_slice(text.as_bytes()),
            (KeyForm::Int, Cell::Whole(value)) => key.extend((value as i32).to_be_bytes()),
            (KeyForm::Bigint, Cell::Whole(value)) => key.extend(value.to_be_bytes()),
            (_, cell) => push_cell(key, cell),
        }
        key.extend(pane.window().start.to_be_bytes());
        match std::str::from_utf8(key) {
            Ok(text) => {
                lines.extend_from_slice(br#","key":"#);
                push_json(lines, ValueRef::Text(text));
            }
            Err(_) => {
                self.encoded.clear();
                base64::engine::general_purpose::STANDARD.encode_string(&key, &mut self.encoded);
                lines.extend_from_slice(br#","key_base64":""#);
                lines.extend_from_slice(self.encoded.as_bytes());
                lines.push(b'"');
            }
        }
    }
}

/// Adds a value as ksqlDB writes it in JSON.
fn push_cell(line: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => line.extend_from_slice(b"null"),
        Cell::Text(text) => push_json(line, ValueRef::Text(text)),
        Cell::Whole(value) => push_json(line, ValueRef::Integer(value.into())),
        Cell::Boolean(value) => push_json(line, ValueRef::Boolean(value)),
        Cell::Double(value) if !value.is_finite() => {
            push_json(line, ValueRef::Text(&java_double(value)))
        }
        Cell::Double(value) => {
            write_java_double(value, |text| line.extend_from_slice(text.as_bytes()))
        }
    }
}
