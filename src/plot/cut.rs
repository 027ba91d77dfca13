//! Chooses the stretch of a running stream that is drawn.

use super::dot::Dot;
use super::gather::{Gathered, Partition};
use super::recent::{Fired, Kept, Recent};
use super::{Clock, FATES, Fate};
use crate::engine::watermark::BEGINNING;
use crate::term::units::format_time_of_day;

/// A record that was late or dropped, as a line of text says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateRecord {
    /// Its number among all that were read.
    pub(crate) record: u64,
    /// What it was and when.
    pub(crate) words: String,
}

/// A place in a picture, and how far from it a click may be, both by event and processing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Near {
    /// Its event time, and the most that one may be off.
    pub(crate) at: (i64, i64),
    /// Its processing time, and the most that one may be off.
    pub(crate) when: (i64, i64),
}

impl Near {
    /// Returns how far off a record is: 1 is the most.
    fn off(&self, dot: &Dot) -> f64 {
        let off = |(middle, most): (i64, i64), value: i64| {
            (value.saturating_sub(middle)) as f64 / most.max(1) as f64
        };
        off(self.at, dot.at).hypot(off(self.when, dot.when))
    }
}

impl Gathered {
    /// Keeps only the last while from now on, for [`draw_stretch`](super::draw_stretch).
    #[must_use]
    pub(crate) fn of_a_run_that_goes_on(mut self) -> Self {
        self.recent = Some(Box::default());
        self
    }

    /// Says what processing time is, now that it is known.
    pub(crate) fn set_clock(&mut self, by: &str) {
        self.subject.clock = Clock::Time(by.to_owned());
        (self.now, self.came) = (i64::MIN, i64::MIN);
    }

    /// Forgets what was over before a moment of processing time.
    pub(crate) fn forget(&mut self, before: i64) {
        if let Some(recent) = &mut self.recent {
            recent.forget(before);
        }
        self.lives.forget(before);
        self.watermark.forget(|(when, _)| *when < before);
        self.behind.forget(|(when, _)| *when < before);
        for partition in &mut self.partitions {
            partition.watermark.forget(|(when, _)| *when < before);
        }
        self.gaps.retain(|(_, to)| *to >= before);
    }

    /// Returns what there is of a stretch of processing time, to be drawn and then
    /// [given back](Self::take_back).
    pub(super) fn cut(&mut self, stretch: (i64, i64)) -> Gathered {
        let (from, to) = stretch;
        let mut cut = Gathered::new(self.subject.clone(), self.view.clone());
        cut.stretch = Some(stretch);
        cut.now = self.now.min(to);
        cut.has_ended = self.has_ended && to >= self.now;
        cut.watermark = self.watermark.within(stretch);
        cut.behind = self.behind.within(stretch);
        let partitions = self.partitions.iter().map(|partition| Partition {
            watermark: partition.watermark.within(stretch),
            is_idle: partition.is_idle,
            idle: partition.idle.clone(),
            records: partition.records,
        });
        cut.partitions = partitions.collect();
        if let Some(recent) = &self.recent {
            for kept in recent.dots.iter() {
                if (from..=to).contains(&kept.dot.when) {
                    cut.put(kept.fate, kept.dot, kept.has_place, kept.of);
                    cut.sampled = cut.sampled.max(kept.of);
                }
            }
        }
        cut.spread.finish();
        let silence = (self.came.max(from), to);
        let gaps = self
            .gaps
            .iter()
            .chain((self.came > i64::MIN).then_some(&silence));
        let gaps = gaps.map(|&(begun, over)| (begun.max(from), over.min(to)));
        cut.gaps = gaps.filter(|(begun, over)| begun < over).collect();
        std::mem::swap(&mut cut.lives, &mut self.lives);
        cut
    }

    /// Takes back what a [cut](Self::cut) has borrowed.
    pub(super) fn take_back(&mut self, cut: Gathered) {
        self.lives = cut.lives;
    }

    /// Returns how far processing time has come, if anything has.
    pub(crate) fn now(&self) -> Option<i64> {
        (self.now > i64::MIN).then_some(self.now)
    }

    /// Lets processing time come this far, though nothing happens.
    pub(crate) fn wait_until(&mut self, now: i64) {
        self.now = self.now.max(now);
    }

    /// Returns when the first record came that is kept.
    pub(crate) fn begins(&self) -> Option<i64> {
        let recent = self.recent.as_ref()?;
        recent.dots.front().map(|kept| kept.dot.when)
    }

    /// Returns the number of the record that is nearest to a place, of those that are kept.
    pub(crate) fn nearest(&self, near: &Near) -> Option<u64> {
        let dots = self.recent.iter().flat_map(|recent| &recent.dots);
        let dots = dots.map(|kept| (near.off(&kept.dot), kept.dot.record));
        let nearest = dots
            .filter(|(off, _)| *off <= 1.0)
            .min_by(|a, b| a.0.total_cmp(&b.0));
        nearest.map(|(_, record)| record)
    }

    /// Returns how far event time has come, by the combined watermark; `None` before the first.
    pub(crate) fn watermark_at(&self, when: i64) -> Option<i64> {
        let steps = self.watermark.iter().rev();
        let mut before = steps.skip_while(|(at, _)| *at > when);
        before
            .next()
            .map(|(_, at)| *at)
            .filter(|at| *at > BEGINNING)
    }

    /// Returns which partition holds the watermark back, if there are several.
    pub(crate) fn behind_at(&self, when: i64) -> Option<usize> {
        let mut before = self.behind.iter().rev().skip_while(|(at, _)| *at > when);
        before.next().map(|(_, partition)| *partition)
    }

    /// Returns the last panes up to a moment, the latest first.
    pub(crate) fn fired(&self, until: i64) -> impl Iterator<Item = &Fired> {
        let recent = self.recent.iter();
        let fired = recent.flat_map(|recent| recent.fired.iter().rev());
        fired.skip_while(move |fired| fired.when > until)
    }

    /// Returns the last records up to a moment that were late or dropped, the latest first.
    pub(crate) fn lates(&self, until: i64) -> impl Iterator<Item = LateRecord> {
        let recent = self.recent.as_deref().into_iter();
        let lates = recent.flat_map(|recent: &Recent| recent.lates.iter().rev());
        let lates = lates.skip_while(move |late| late.dot.when > until);
        lates.map(|late| self.describe(late))
    }

    fn describe(&self, late: &Kept) -> LateRecord {
        let dot = late.dot;
        let place = match self.partitions.len() {
            0 | 1 => dot.place.to_string(),
            _ => format!("{}:{}", dot.partition, dot.place),
        };
        let at = match dot.at {
            BEGINNING => "no time".to_owned(),
            at => format_time_of_day(at),
        };
        let by = match (late.fate, dot.late_by_ms) {
            (Fate::Malformed, _) => String::new(),
            (_, by) => format!(" by {}", super::draw::about(by)),
        };
        LateRecord {
            record: dot.record,
            words: format!("{}{by}: record {place} of {at}", late.fate.name()),
        }
    }

    /// Returns where every record went that came so far: how many, and what it is called.
    pub(crate) fn account(&self) -> impl Iterator<Item = (u64, &'static str)> {
        let all = FATES.into_iter().rev();
        let all = all.map(|fate| (self.count(fate), fate.name()));
        all.filter(|(count, _)| *count > 0)
    }

    /// Returns how many panes there were.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns whether the input has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }
}
