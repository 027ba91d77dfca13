//! The records and panes of the last while, one by one, for a picture of a run that goes on.
//!
//! Of a fate of which more than [`MOST_A_SECOND`] records come in a second, one of several is kept, and
//! counts for these; of all that is kept, the older half is thinned when there is too much. So what is rare
//! stays, memory is bounded, and the picture is as dense as the stream.

use std::collections::VecDeque;

use super::dot::{Dot, edge};
use super::{FATES, Fate};
use crate::engine::pane::Timing;
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;
use crate::term::units::{DAY, format_time, format_time_of_day};

/// How many records of a fate are kept of a second, about.
pub(crate) const MOST_A_SECOND: u32 = 5_000;
/// How many records are kept at all.
const MOST_DOTS: usize = 300_000;
/// A fate of which there are no more than this is never thinned.
const FEW: usize = 2_000;
/// How many panes are kept, and how many records that were late or dropped.
const MOST_LINES: usize = 500;

/// A record that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(crate) dot: Dot,
    pub(crate) fate: Fate,
    /// Whether it has an event time that is drawn.
    pub(crate) has_place: bool,
    /// For how many records it stands.
    pub(crate) of: u32,
}

/// A pane as a line of text says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fired {
    /// When, in processing time.
    pub(crate) when: i64,
    /// Its window.
    pub(crate) window: Window,
    /// Its key, as a person types it.
    pub(crate) key: String,
    /// Before its window's close, at it, or after.
    pub(crate) timing: Timing,
    /// Whether it takes an earlier one back.
    pub(crate) is_retraction: bool,
    /// Its first value.
    pub(crate) value: String,
}

impl std::fmt::Display for Fired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Window { start, end } = self.window;
        let key = if self.key.is_empty() {
            String::new()
        } else {
            format!(" {}", self.key)
        };
        let sign = if self.is_retraction {
            "takes back "
        } else {
            ""
        };
        let timing = self.timing.name().replace('_', " ");
        let edge = |at: i64| match at {
            BEGINNING | END => edge(at),
            // The axis says which day it is, unless windows are days.
            at if end.saturating_sub(start) < DAY => format_time_of_day(at),
            at => format_time(at),
        };
        let (start, end) = (edge(start), edge(end));
        write!(f, "{start} to {end}{key}: {sign}{} ({timing})", self.value)
    }
}

/// How many records of a fate come.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// In which second of processing time.
    second: i64,
    /// How many have come in it.
    seen: u32,
    /// How many of these are kept.
    kept: u32,
    /// Of so many, one is kept: a power of two.
    stride: u32,
}

impl Rate {
    /// Counts a record; returns for how many it stands, if it is kept.
    fn take(&mut self, when: i64) -> Option<u32> {
        let second = when.div_euclid(1_000);
        if second != self.second {
            // As the second before it was, and of a lull all.
            self.stride = match second - self.second {
                1 => self.seen.div_ceil(MOST_A_SECOND).max(1).next_power_of_two(),
                _ => 1,
            };
            (self.second, self.seen, self.kept) = (second, 0, 0);
        }
        let is_kept = self.seen.is_multiple_of(self.stride);
        self.seen = self.seen.saturating_add(1);
        self.kept += u32::from(is_kept);
        let stride = self.stride;
        if self.kept >= MOST_A_SECOND {
            (self.kept, self.stride) = (MOST_A_SECOND / 2, stride.saturating_mul(2));
        }
        is_kept.then_some(stride)
    }
}

/// What is kept of the last while.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(super) dots: VecDeque<Kept>,
    rates: [Rate; FATES.len()],
    /// The last panes, the latest at the end.
    pub(crate) fired: VecDeque<Fired>,
    /// The last records that were late or dropped, the latest at the end.
    pub(super) lates: VecDeque<Kept>,
}

impl Default for Recent {
    fn default() -> Self {
        let rate = Rate {
            second: i64::MIN / 2_000,
            seen: 0,
            kept: 0,
            stride: 1,
        };
        Recent {
            dots: VecDeque::new(),
            rates: [rate; FATES.len()],
            fired: VecDeque::new(),
            lates: VecDeque::new(),
        }
    }
}

impl Recent {
    /// Keeps a record, or lets another one stand for it.
    pub(super) fn push(&mut self, fate: Fate, dot: Dot, has_place: bool) {
        let kept = |of| Kept {
            dot,
            fate,
            has_place,
            of,
        };
        if matches!(fate, Fate::Late | Fate::Expired | Fate::Malformed) {
            push_line(&mut self.lates, kept(1));
        }
        if let Some(of) = self.rates[fate as usize].take(dot.when) {
            self.dots.push_back(kept(of));
            if self.dots.len() > MOST_DOTS {
                self.thin();
            }
        }
    }

    /// Keeps a pane.
    pub(super) fn fire(&mut self, fired: Fired) {
        push_line(&mut self.fired, fired);
    }

    /// Lets every other record of the older half stand for the one before it.
    fn thin(&mut self) {
        let older = self.dots.len() / 2;
        let mut counts = [0_usize; FATES.len()];
        for kept in self.dots.iter().take(older) {
            counts[kept.fate as usize] += 1;
        }
        let mut nth = [0_usize; FATES.len()];
        let mut place = 0;
        self.dots.retain_mut(|kept| {
            place += 1;
            let fate = kept.fate as usize;
            if place > older || counts[fate] <= FEW {
                return true;
            }
            nth[fate] += 1;
            kept.of = kept.of.saturating_mul(2);
            nth[fate] % 2 == 1
        });
        if self.dots.len() > MOST_DOTS {
            self.dots.drain(..older); // of many fates some each: the oldest go
        }
    }

    /// Forgets what came before.
    pub(super) fn forget(&mut self, before: i64) {
        let over = self.dots.iter();
        let over = over.take_while(|kept| kept.dot.when < before).count();
        self.dots.drain(..over);
    }
}

fn push_line<T>(lines: &mut VecDeque<T>, line: T) {
    if lines.len() >= MOST_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(when: i64) -> Dot {
        Dot {
            at: when,
            when,
            record: 0,
            place: 0,
            partition: 0,
            key: 0,
            late_by_ms: 0,
        }
    }

    fn weight(recent: &Recent, fate: Fate) -> u64 {
        let kept = recent.dots.iter().filter(|kept| kept.fate == fate);
        kept.map(|kept| u64::from(kept.of)).sum()
    }

    #[test]
    fn five_thousand_a_second_are_all_kept_and_of_more_a_sample_that_counts_for_all() {
        let mut recent = Recent::default();
        for nth in 0..(MOST_A_SECOND - 1) * 10 {
            recent.push(Fate::OnTime, dot(i64::from(nth) * 10_000 / 49_990), true);
        }
        assert!(recent.dots.iter().all(|kept| kept.of == 1));
        let mut recent = Recent::default();
        let each = 100_000;
        for nth in 0..10 * each {
            recent.push(Fate::OnTime, dot(nth * 1_000 / each), true);
            if nth % each == 0 {
                recent.push(Fate::Expired, dot(nth * 1_000 / each), true);
            }
        }
        assert!(recent.dots.len() < 2 * 10 * MOST_A_SECOND as usize);
        assert_eq!(weight(&recent, Fate::Expired), 10);
        let all = weight(&recent, Fate::OnTime) as f64;
        assert!((all / (10 * each) as f64 - 1.0).abs() < 0.1, "{all}");
    }

    #[test]
    fn what_is_kept_has_a_bound_and_reaches_as_far_back_with_less() {
        let mut recent = Recent::default();
        let seconds = 600;
        for second in 0..seconds {
            for nth in 0..4_000 {
                recent.push(Fate::OnTime, dot(second * 1_000 + nth / 4), true);
            }
            recent.push(Fate::Late, dot(second * 1_000), true);
            assert!(recent.dots.len() <= MOST_DOTS + 1);
        }
        assert_eq!(weight(&recent, Fate::Late), seconds as u64);
        assert!(
            recent
                .dots
                .front()
                .is_some_and(|kept| kept.dot.when < 1_000)
        );
        recent.forget(300_000);
        assert!(
            recent
                .dots
                .front()
                .is_some_and(|kept| kept.dot.when >= 300_000)
        );
        assert_eq!(recent.lates.len(), MOST_LINES);
    }
}
