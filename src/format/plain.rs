//! Lines of delimited text without a quote → rows of fields.
//!
//! In: whole lines. Out: where each row's fields stand, found by one search, and the lines that
//! have another number of fields. Blank lines are not records.

use std::ops::Range;

use super::field::Ending;
use super::rows::{Rows, without_return, wrong_width};
use super::scan::{BEFORE_FIRST, Separators};
use super::{Malformed, Origin, Place};
use crate::source::Lines;

/// Cuts lines into rows; keeps its memory from batch to batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Cutter {
    separators: Separators,
    /// The edges of rows alone, where some line is not a row.
    chosen: Vec<u32>,
    /// For each line that is not a row, how many rows are before it.
    passed: Vec<u32>,
}

impl Cutter {
    /// Cuts `lines` into rows of `width` fields and adds the lines of another width to `malformed`;
    /// `None` where a quote is in them.
    pub fn cut<'a>(
        &mut self,
        lines: Lines<'a>,
        delimiter: u8,
        width: usize,
        malformed: &mut Vec<Malformed<'a>>,
    ) -> Option<PlainRows<'a, '_>> {
        if lines.survey.quoted {
            return None;
        }
        self.separators.find(lines.bytes, delimiter);
        self.passed.clear();
        let even = self.is_even(lines, width);
        if !even {
            self.cut_uneven(lines, width, malformed);
        }
        let (edges, stride) = if even {
            (self.separators.edges(), width)
        } else {
            (&self.chosen[..], width + 1)
        };
        Some(PlainRows {
            lines,
            text: simdutf8::basic::from_utf8(lines.bytes).ok(),
            count: edges.len() / stride,
            width,
            edges,
            stride,
            passed: &self.passed,
        })
    }

    /// Returns whether all lines are rows: every `width`-th separator is a newline, and there are
    /// no other newlines.
    fn is_even(&self, lines: Lines<'_>, width: usize) -> bool {
        let places = self.separators.places();
        let is_newline = |row: &[u32]| lines.bytes[row[width - 1] as usize] == b'\n';
        // Of a single column, blank lines look like rows.
        width > 1
            && places.len() == width * lines.survey.newlines
            && places.chunks_exact(width).all(is_newline)
    }

    /// Cuts lines one by one, and puts the separators of those that are rows together.
    fn cut_uneven<'a>(
        &mut self,
        lines: Lines<'a>,
        width: usize,
        malformed: &mut Vec<Malformed<'a>>,
    ) {
        let bytes = lines.bytes;
        let mut rest = self.separators.places();
        let (mut before, mut rows) = (BEFORE_FIRST, 0);
        self.chosen.clear();
        for line in lines.first_line.. {
            let is_newline = |&place: &u32| bytes[place as usize] == b'\n';
            let Some(last) = rest.iter().position(is_newline) else {
                return;
            };
            let (ends, after) = rest.split_at(last + 1);
            let record = without_return(&bytes[between(before, ends[last])]);
            if ends.len() == width && !record.is_empty() {
                self.chosen.push(before);
                self.chosen.extend_from_slice(ends);
                rows += 1;
            } else {
                self.passed.push(rows as u32);
                if !record.is_empty() {
                    malformed.push(Malformed {
                        before: rows,
                        place: Place::of(&lines, line),
                        at: None,
                        misfit: wrong_width(ends.len(), width).into(),
                        bytes: record,
                    });
                }
            }
            before = ends[last];
            rest = after;
        }
    }
}

/// Returns what is between two separators.
#[inline]
fn between(before: u32, end: u32) -> Range<usize> {
    before.wrapping_add(1) as usize..end as usize
}

/// Lines that have the right number of fields.
#[derive(Debug)]
pub(super) struct PlainRows<'a, 'c> {
    lines: Lines<'a>,
    /// All bytes, where they are UTF-8.
    text: Option<&'a str>,
    count: usize,
    width: usize,
    /// The separators before and behind fields: of row r and column c,
    /// `edges[r * stride + c]` and the one after.
    edges: &'c [u32],
    stride: usize,
    passed: &'c [u32],
}

impl PlainRows<'_, '_> {
    #[inline(always)]
    fn range(&self, row: usize, column: usize) -> Range<usize> {
        let edges = &self.edges[row * self.stride + column..][..2];
        let mut range = between(edges[0], edges[1]);
        if column + 1 == self.width && self.lines.bytes[range.clone()].ends_with(b"\r") {
            range.end -= 1;
        }
        range
    }
}

impl<'a> Rows<'a> for PlainRows<'a, '_> {
    fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    fn field(&self, row: usize, column: usize) -> &'a [u8] {
        &self.lines.bytes[self.range(row, column)]
    }

    #[inline(always)]
    fn ending(&self, row: usize, column: usize) -> Ending<'a> {
        let range = self.range(row, column);
        Ending {
            bytes: &self.lines.bytes[range.clone()],
            last: self.lines.bytes[..range.end].last_chunk(),
        }
    }

    #[inline(always)]
    fn text(&self, row: usize, column: usize) -> Option<&'a str> {
        match self.text {
            // Between separators, which are ASCII, stand whole characters.
            Some(text) => text.get(self.range(row, column)),
            None => std::str::from_utf8(self.field(row, column)).ok(),
        }
    }

    fn origin(&self, row: usize) -> Origin<'a> {
        let passed = self
            .passed
            .partition_point(|&before| before as usize <= row);
        let line = self.lines.first_line + (row + passed) as u64;
        let edges = &self.edges[row * self.stride..][..=self.width];
        let record = &self.lines.bytes[between(edges[0], edges[self.width])];
        (Place::of(&self.lines, line), without_return(record))
    }
}
