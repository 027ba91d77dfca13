//! What comes into an operator: some records of one partition, by column.

use std::borrow::Cow;

use crate::column::Column;
use crate::engine::aggregate::Arguments;
use crate::engine::combine::handoff::Parts;
use crate::engine::pane::journal::Misfit;

/// Some records of one partition, in its order, by column.
#[derive(Debug)]
pub struct Input<'b, 'a> {
    /// Which of the operator's partitions, from 0: whose watermark they move.
    pub partition: usize,
    /// The number of that partition among all of the input, which breaks ties between records of
    /// one event time.
    pub origin: u32,
    /// A number of the first record that grows with its place in the partition: an offset, a line.
    pub first: u64,
    /// What a listener gets for each record beside the rest.
    pub noted: Noted<'b, 'a>,
    /// The records among them that do not fit, in their order.
    pub malformed: &'b [Misfit<'b>],
    /// Event times in ms since 1970, UTC; one per record.
    pub times: &'b [i64],
    /// When each record came, in processing time, where that is part of the input.
    pub arrivals: Option<&'b [i64]>,
    /// Which records `--where` selects; `None` for all. The others move the watermark, too.
    pub selected: Option<&'b [bool]>,
    /// The grouping columns; empty for one group.
    pub keys: &'b [Cow<'b, Column<'a>>],
    /// The arguments, one entry an aggregate; `None` for `count(*)`.
    pub arguments: &'b [Option<Cow<'b, Column<'a>>>],
    /// What `max_by` and `min_by` give of a record; one entry an aggregate, or empty for none of them.
    pub carried: &'b [Option<Cow<'b, Column<'a>>>],
    /// Which records take an earlier one back; `None` for none of them.
    pub taken_back: Option<&'b [bool]>,
    /// The value of `--distinct`, if it is given.
    pub distinct: Option<&'b Column<'a>>,
    /// What stands for the records where they were added up elsewhere.
    pub parts: Option<&'b Parts>,
}

/// What a listener alone is told of some records; each list has one entry a record, or none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noted<'b, 'a> {
    /// The offset or line of each.
    pub places: &'b [u64],
    /// When the broker appended each, where it says so.
    pub appended: &'b [Option<i64>],
    /// The columns that are wanted of them.
    pub columns: &'b [Cow<'b, Column<'a>>],
}

impl<'b, 'a> Input<'b, 'a> {
    /// Returns what an aggregate takes of the records whose arguments are a column.
    pub(super) fn arguments_of<'i>(&'i self, column: Option<&'i Column<'a>>) -> Arguments<'i, 'a> {
        Arguments {
            column,
            carried: None,
            times: self.times,
            partition: self.origin,
            first: self.first,
            taken_back: self.taken_back,
        }
    }
}
