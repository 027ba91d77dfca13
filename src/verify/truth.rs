//! The right answer to a question about generated calls, and what common mistakes make of it.
//!
//! In: the recipe of gen.json, from which every call is made again, and a [`Question`]. Out: its
//! [`ResultTable`]. Windows are computed here a second time, plainly and without the engine, so
//! that the engine is graded, too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::table::{Cell, Key, ResultTable, Span};
use crate::cdr::{
    Arrivals, Chunk, Disposition, Generator, Leaves, Recipe, subscriber_name, tower_name,
};
use crate::column::Value;
use crate::error::Result;
use crate::kafka::partitioner::{murmur2, partition_of_hash};

/// A computation over the generated records.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Over which records.
    pub over: Over,
    /// In which windows.
    pub windows: Windows,
    /// By which column; `None` for one group.
    pub by: Option<By>,
    /// What is computed.
    pub measures: &'static [Measure],
    /// Which calls count alone; `None`: all.
    pub only: Option<Disposition>,
    /// Which time is event time.
    pub time: Time,
    /// Whether a call that leaves twice counts once.
    pub distinct: bool,
    /// Mistake: records are dropped once the highest time read is at or past their window's end and
    /// this many ms; `None`: no record is.
    pub dropped_after_ms: Option<i64>,
    /// Mistake: only some partitions are read.
    pub part: Option<Part>,
}

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The calls.
    Calls,
    /// The tower segments that begin at most `within_ms` after their call.
    Segments {
        /// The join's bound; `i64::MAX` for all.
        within_ms: i64,
        /// Mistake: calls without a segment count, too.
        with_unmatched: bool,
    },
}

/// Which windows, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// One of this size after the other, from 1970 on.
    Tumbling(i64),
    /// Of a size, one every so often.
    Hopping(i64, i64),
    /// A key's records, each at most so long after the one before.
    Session(i64),
    /// One.
    AllTime,
}

/// By which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `caller`.
    Caller,
    /// `callee`.
    Callee,
    /// `disposition`.
    Disposition,
    /// `tower`.
    Tower,
}

impl By {
    /// Returns the column's name.
    pub fn name(self) -> &'static str {
        match self {
            By::Caller => "caller",
            By::Callee => "callee",
            By::Disposition => "disposition",
            By::Tower => "tower",
        }
    }
}

/// An aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// `count`.
    Count,
    /// `sum(duration)`.
    SumDuration,
    /// `avg(duration)`.
    AvgDuration,
}

impl Measure {
    /// Returns the column's name in a result.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Count => "count",
            Measure::SumDuration => "sum_duration",
            Measure::AvgDuration => "avg_duration",
        }
    }

    /// Returns what is typed after `--agg`.
    pub fn typed(self) -> &'static str {
        match self {
            Measure::Count => "count",
            Measure::SumDuration => "sum(duration)",
            Measure::AvgDuration => "avg(duration)",
        }
    }
}

/// Which time of a record is its event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// When the call or the segment starts.
    Start,
    /// When it ends.
    End,
    /// When the segment's call starts.
    CallStart,
}

/// Some of the partitions that `k produce` fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which partition.
    pub nth: i32,
    /// Of how many.
    pub of: i32,
    /// Whether it is the only one that is read, or the only one that is not.
    pub alone: bool,
}

/// A row of mono_signal or of tower, with what is known of its call.
#[derive(Debug, Clone, Copy)]
struct Record {
    start: i64,
    end: i64,
    call_start: i64,
    caller: u32,
    callee: u32,
    disposition: Disposition,
    tower: Option<u32>,
    /// Whether it is the second of a call that leaves twice.
    is_copy: bool,
    /// The hash of the key that `k produce` sends it with: calls lie by caller, segments by call.
    key_hash: i32,
}

/// What a group is known by before its name is written.
type KeyId = Option<u32>;

/// Some of the keys of a question: an answer with a mistake is most often wrong at these already.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    ids: BTreeSet<KeyId>,
    names: HashSet<Key>,
}

impl Sample {
    /// Returns the rows of a table that are of these keys.
    pub fn of(&self, table: &ResultTable) -> ResultTable {
        let mut part = ResultTable::new(table.keys.clone(), table.measures.clone());
        let rows = table.rows.iter();
        let of_sample = rows.filter(|(cell, _)| self.names.contains(&cell.key));
        part.rows
            .extend(of_sample.map(|(cell, row)| (cell.clone(), row.clone())));
        part
    }
}

/// What a window and key hold.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    count: i128,
    sum: i128,
}

/// Every record of a recipe, in the order in which it leaves.
#[derive(Debug)]
pub struct World {
    recipe: Recipe,
    calls: Vec<Record>,
    segments: Vec<Record>,
}

impl World {
    /// Makes the records of a recipe.
    ///
    /// # Errors
    /// `usage` for a recipe that makes none.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let generator = Generator::new(recipe.clone())?;
        let (mut departures, mut segments) = (Vec::new(), Vec::new());
        let mut arrivals = Arrivals::new(recipe);
        let mut chunk = Chunk::default();
        let mut of_chunk = Vec::new();
        while arrivals.next_into(&mut chunk) {
            generator.departures_into(&chunk, &mut departures);
            generator.segments_into(&chunk, &mut of_chunk);
            let calls: HashMap<u64, _> = generator
                .calls(&chunk)
                .map(|call| (call.id, call))
                .collect();
            segments.extend(
                of_chunk
                    .drain(..)
                    .map(|segment| (segment, calls[&segment.call_id])),
            );
        }
        departures.sort_by_key(Leaves::leaves);
        segments.sort_by_key(|(segment, _)| segment.leaves());
        let mut left = HashSet::new();
        let calls = departures.iter().map(|departure| Record {
            start: departure.call.start,
            end: departure.call.end(),
            call_start: departure.call.start,
            caller: departure.call.caller,
            callee: departure.call.callee,
            disposition: departure.call.disposition,
            tower: None,
            is_copy: recipe.duplicates > 0.0 && !left.insert(departure.call.id),
            key_hash: murmur2(subscriber_name(departure.call.caller).as_bytes()),
        });
        let segments = segments.iter().map(|(segment, call)| Record {
            start: segment.start,
            end: segment.end(),
            call_start: call.start,
            caller: call.caller,
            callee: call.callee,
            disposition: call.disposition,
            tower: Some(segment.tower),
            is_copy: false,
            key_hash: murmur2(call.id.to_string().as_bytes()),
        });
        Ok(World {
            recipe: recipe.clone(),
            calls: calls.collect(),
            segments: segments.collect(),
        })
    }

    /// Returns what the records were made from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns from when to when calls start and end.
    pub fn extent(&self) -> Span {
        let starts = self.calls.iter().map(|call| call.start);
        let ends = self.calls.iter().map(|call| call.end);
        Span {
            start: starts.min().unwrap_or(i64::MAX),
            end: ends.max().unwrap_or(i64::MIN),
        }
    }

    /// Computes an answer.
    pub fn answer(&self, question: &Question) -> ResultTable {
        self.answer_of(question, None)
    }

    /// Computes the rows of some keys, or of all.
    pub fn answer_of(&self, question: &Question, sample: Option<&Sample>) -> ResultTable {
        let held = match question.windows {
            Windows::Session(gap) => self.sessions(question, gap, sample),
            _ => self.aligned(question, sample),
        };
        let keys = question.by.map(|by| by.name().to_owned());
        let measures = question
            .measures
            .iter()
            .map(|measure| measure.name().to_owned());
        let mut table = ResultTable::new(keys.into_iter().collect(), measures.collect());
        for ((span, key), held) in held {
            let key = self.key(question.by, key);
            let values = question.measures.iter().map(|measure| held.value(*measure));
            table.put(Cell { span, key }, values.collect());
        }
        table
    }

    /// Returns the keys of a few records, from the first to the last; none where a question has
    /// no key.
    pub fn sample(&self, question: &Question) -> Option<Sample> {
        const RECORDS: usize = 8;
        let by = question.by?;
        let records = match question.over {
            Over::Calls => &self.calls,
            Over::Segments { .. } => &self.segments,
        };
        let step = records.len().div_ceil(RECORDS).max(1);
        let ids = records.iter().step_by(step).map(|record| record.key(by));
        let ids: BTreeSet<KeyId> = ids.collect();
        let names = ids.iter().map(|&id| self.key(Some(by), id)).collect();
        Some(Sample { ids, names })
    }

    /// Returns the times of a sample's records, each with its key.
    pub fn times(&self, question: &Question, sample: &Sample) -> HashSet<(Key, i64)> {
        let records = self.records(question.over);
        let by = question.by;
        let keyed = records.map(|record| (by.and_then(|by| record.key(by)), record));
        keyed
            .filter(|(id, _)| sample.ids.contains(id))
            .map(|(id, record)| (self.key(by, id), record.time(question.time)))
            .collect()
    }

    /// Returns the records that a question is over, in the order in which they leave.
    fn records(&self, over: Over) -> impl Iterator<Item = &Record> {
        let (records, with_unmatched) = match over {
            Over::Calls => (&self.calls, false),
            Over::Segments { with_unmatched, .. } => (&self.segments, with_unmatched),
        };
        let is_unmatched =
            move |call: &&Record| with_unmatched && call.disposition != Disposition::Connected;
        records.iter().chain(self.calls.iter().filter(is_unmatched))
    }

    fn aligned(
        &self,
        question: &Question,
        sample: Option<&Sample>,
    ) -> BTreeMap<(Span, KeyId), Held> {
        let mut held: BTreeMap<(Span, KeyId), Held> = BTreeMap::new();
        let mut newest = i64::MIN;
        for record in self.records(question.over) {
            let key = question.by.and_then(|by| record.key(by));
            let is_wanted = sample.is_none_or(|sample| sample.ids.contains(&key));
            // The others report only the watermark.
            if (!is_wanted && question.dropped_after_ms.is_none()) || !question.reads(record) {
                continue;
            }
            let time = record.time(question.time);
            // What is filtered out moves the watermark all the same.
            newest = newest.max(time);
            if !is_wanted || !question.counts(record) {
                continue;
            }
            for span in question.windows.of(time) {
                let is_dropped = question
                    .dropped_after_ms
                    .is_some_and(|after| newest >= span.end.saturating_add(after));
                if !is_dropped {
                    held.entry((span, key)).or_default().add(record);
                }
            }
        }
        held
    }

    fn sessions(
        &self,
        question: &Question,
        gap: i64,
        sample: Option<&Sample>,
    ) -> BTreeMap<(Span, KeyId), Held> {
        let mut by_key: BTreeMap<KeyId, Vec<&Record>> = BTreeMap::new();
        for record in self.records(question.over) {
            let key = question.by.and_then(|by| record.key(by));
            let is_wanted = sample.is_none_or(|sample| sample.ids.contains(&key));
            if is_wanted && question.reads(record) && question.counts(record) {
                by_key.entry(key).or_default().push(record);
            }
        }
        let mut held = BTreeMap::new();
        for (key, mut records) in by_key {
            records.sort_by_key(|record| record.time(question.time));
            let joins =
                |a: &&Record, b: &&Record| b.time(question.time) - a.time(question.time) <= gap;
            for session in records.chunk_by(joins) {
                let [first, .., last] = session else {
                    let at = session[0].time(question.time);
                    let only = held
                        .entry((Span { start: at, end: at }, key))
                        .or_insert_with(Held::default);
                    only.add(session[0]);
                    continue;
                };
                let span = Span {
                    start: first.time(question.time),
                    end: last.time(question.time),
                };
                let of_session: &mut Held = held.entry((span, key)).or_default();
                session.iter().for_each(|record| of_session.add(record));
            }
        }
        held
    }

    /// Returns a key as a table has it.
    fn key(&self, by: Option<By>, id: KeyId) -> Key {
        let name = |by, id| match by {
            By::Caller | By::Callee => subscriber_name(id),
            By::Disposition => Disposition::ALL[id as usize].name().to_owned(),
            By::Tower => tower_name(id, self.recipe.towers),
        };
        by.map(|by| id.map(|id| name(by, id).into()))
            .into_iter()
            .collect()
    }
}

impl Question {
    /// Returns whether a record is read at all.
    fn reads(&self, record: &Record) -> bool {
        let is_within = match self.over {
            Over::Calls => true,
            Over::Segments { within_ms, .. } => record.start - record.call_start <= within_ms,
        };
        is_within && self.part.is_none_or(|part| part.holds(record))
    }

    /// Returns whether a record that is read counts.
    fn counts(&self, record: &Record) -> bool {
        let is_twice = self.distinct && record.is_copy;
        let is_kept = self.only.is_none_or(|only| record.disposition == only);
        is_kept && !is_twice
    }
}

impl Record {
    fn time(&self, time: Time) -> i64 {
        match time {
            Time::Start => self.start,
            Time::End => self.end,
            Time::CallStart => self.call_start,
        }
    }

    fn key(&self, by: By) -> KeyId {
        match by {
            By::Caller => Some(self.caller),
            By::Callee => Some(self.callee),
            By::Disposition => Some(self.disposition as u32),
            By::Tower => self.tower,
        }
    }
}

impl Part {
    /// Returns whether a record is read, if partitions were chosen by its key.
    fn holds(self, record: &Record) -> bool {
        (partition_of_hash(record.key_hash, self.of) == self.nth) == self.alone
    }
}

impl Held {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        self.sum += i128::from(record.end - record.start);
    }

    fn value(self, measure: Measure) -> Value {
        match measure {
            Measure::Count => Value::Integer(self.count),
            Measure::SumDuration => Value::Integer(self.sum),
            Measure::AvgDuration => Value::Double(self.sum as f64 / self.count as f64),
        }
    }
}

impl Windows {
    /// Returns the windows that contain a moment; of sessions, which have no such windows, none.
    fn of(self, time: i64) -> impl Iterator<Item = Span> {
        let (size, advance, all) = match self {
            Windows::Tumbling(size) => (size, size, false),
            Windows::Hopping(size, advance) => (size, advance, false),
            Windows::AllTime => (1, 1, true),
            Windows::Session(_) => (0, 1, false),
        };
        let last = time.div_euclid(advance) * advance;
        let starts = std::iter::successors(Some(last), move |start| Some(start - advance));
        let spans = starts.map(move |start| Span {
            start,
            end: start + size,
        });
        let contains = move |span: &Span| span.end > time;
        spans
            .take_while(contains)
            .map(move |span| if all { Span::ALL_TIME } else { span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_lies_in_as_many_windows_as_hop_over_it() {
        let of = |windows: Windows, time| -> Vec<i64> {
            windows.of(time).map(|span| span.start).collect()
        };
        assert_eq!(of(Windows::Tumbling(10), 20), [20]);
        assert_eq!(of(Windows::Tumbling(10), -1), [-10]);
        assert_eq!(of(Windows::Hopping(30, 10), 25), [20, 10, 0]);
        assert_eq!(of(Windows::Hopping(25, 10), 25), [20, 10]);
        assert_eq!(of(Windows::AllTime, 25), [i64::MIN]);
        assert!(of(Windows::Session(5), 25).is_empty());
    }
}
