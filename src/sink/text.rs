//! CSV and JSON lines.

use super::Sink;
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::engine::window::Window;
use crate::error::Result;
pub use crate::notation::Notation;
use crate::notation::{member, push_csv, push_json};
use crate::outlet::Outlet;
use crate::result::{Header, Role};
use crate::term::grid::Times;
use crate::term::units::format_time;

/// Rows as text lines.
pub struct TextSink {
    output: Outlet,
    notation: Notation,
    header: Header,
    /// `"window_start":`, … escaped once.
    members: Vec<Vec<u8>>,
    front: Front,
    lines: Vec<u8>,
    /// Which columns hold times, where these are not written as ms.
    iso: Option<Vec<bool>>,
}

/// How the rows of the last window begin.
#[derive(Debug, Default)]
struct Front {
    window: Option<Window>,
    text: Vec<u8>,
    fields: usize,
}

impl TextSink {
    /// Returns a sink that writes to `output`.
    pub fn new(output: Outlet, notation: Notation, header: Header) -> Self {
        TextSink {
            output,
            notation,
            members: header.names().map(member).collect(),
            header,
            front: Front::default(),
            lines: Vec::new(),
            iso: None,
        }
    }

    /// Writes times so; ms by default.
    pub(crate) fn with_times(self, times: Times) -> Self {
        let is_time = |role| matches!(role, Role::Start | Role::End | Role::Time);
        let columns = self.header.columns();
        let iso = (times == Times::Iso).then(|| columns.map(|(_, role)| is_time(role)).collect());
        TextSink { iso, ..self }
    }

    fn push_row(&mut self, pane: Pane<'_>) {
        let mut fields = self.push_front(pane.window());
        // Inner iteration: chained iterators are slow from outside.
        match &self.iso {
            None => self.header.rest(pane).for_each(|value| {
                push_field(&mut self.lines, self.notation, value, fields, &self.members);
                fields += 1;
            }),
            Some(iso) => self.header.rest(pane).for_each(|value| {
                let lines = &mut self.lines;
                push_iso(lines, self.notation, value, fields, &self.members, iso);
                fields += 1;
            }),
        }
        self.lines.extend_from_slice(match self.notation {
            Notation::Csv => b"\n",
            Notation::Json => b"}\n",
        });
    }

    /// Begins a row as all rows of its window begin; returns with how many fields.
    fn push_front(&mut self, window: Window) -> usize {
        if self.front.window != Some(window) {
            self.front.window = Some(window);
            self.front.text.clear();
            self.front.fields = 0;
            for value in self.header.front(window) {
                let (text, nth) = (&mut self.front.text, self.front.fields);
                match &self.iso {
                    None => push_field(text, self.notation, value, nth, &self.members),
                    Some(iso) => push_iso(text, self.notation, value, nth, &self.members, iso),
                }
                self.front.fields += 1;
            }
        }
        self.lines.extend_from_slice(&self.front.text);
        self.front.fields
    }

    fn begin(&mut self) -> Result<()> {
        let (notation, header) = (self.notation, &self.header);
        self.output.begin(|| {
            let mut head = Vec::new();
            if notation == Notation::Csv {
                for (nth, name) in header.names().enumerate() {
                    head.extend_from_slice(if nth > 0 { b"," } else { b"" });
                    push_csv(&mut head, ValueRef::Text(name));
                }
                head.push(b'\n');
            }
            head
        })
    }

    fn write_lines(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.output.write(&self.lines);
        self.lines.clear();
        written
    }
}

impl Sink for TextSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        /// Rows are handed on before they fill more than this.
        const FLUSH_BYTES: usize = 256 << 10;
        self.begin()?;
        for pane in panes.iter() {
            self.push_row(pane);
            if self.lines.len() >= FLUSH_BYTES {
                self.write_lines()?;
            }
        }
        self.write_lines()
    }

    fn check_reader(&self) -> Result<()> {
        self.output.check_reader()
    }

    fn flush(&mut self) -> Result<()> {
        self.begin()?;
        self.write_lines()
    }
}

/// Appends a value as the field of a row with the index `nth`.
#[inline(always)]
fn push_field(
    line: &mut Vec<u8>,
    notation: Notation,
    value: ValueRef<'_>,
    nth: usize,
    members: &[Vec<u8>],
) {
    match notation {
        Notation::Csv => {
            if nth > 0 {
                line.push(b',');
            }
            push_csv(line, value);
        }
        Notation::Json => {
            line.push(if nth > 0 { b',' } else { b'{' });
            line.extend_from_slice(&members[nth]);
            push_json(line, value);
        }
    }
}

/// As [`push_field`], with times as ISO 8601.
fn push_iso(
    line: &mut Vec<u8>,
    notation: Notation,
    value: ValueRef<'_>,
    nth: usize,
    members: &[Vec<u8>],
    is_time: &[bool],
) {
    match value {
        ValueRef::Integer(at) if is_time[nth] => {
            let at = format_time(i64::try_from(at).unwrap_or(i64::MAX));
            push_field(line, notation, ValueRef::Text(&at), nth, members);
        }
        value => push_field(line, notation, value, nth, members),
    }
}
