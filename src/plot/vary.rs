//! What if: for each bound of the watermark, or grace, how many records would be lost and how long rows
//! would wait. One pass over the input answers for all of them.
//!
//! The engine runs once with the value at zero, and says of each record that it drops by how much that
//! came too late. So much, and a ms more, would have kept it: of windows that do not depend on their
//! records, those of a grid, this is what the engine itself would decide. The watermark with a bound is
//! the one without, so much further behind.
//!
//! Which sessions and sliding windows there are depends on which records are kept. Of those an engine runs
//! for each value, side by side over the same batches, and only the values that were asked for are known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::waits::Waits;
use crate::engine::operator::Operator;
use crate::engine::pane::journal::{Detail, Event, Journal, Run};
use crate::engine::watermark::END;
use crate::picture::axis::{self, Scale, Tick};
use crate::picture::ink::{Ink, Symbol};
use crate::picture::{Anchor, Area, CELL, Mark, Medium, Point, Scene, Shape, Size, point};
use crate::term::units::{format_count, format_duration};

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varied {
    /// How far the watermark stays behind.
    OutOfOrder,
    /// How long windows take late records.
    Grace,
}

impl Varied {
    /// Returns its flag.
    pub fn flag(self) -> &'static str {
        match self {
            Varied::OutOfOrder => "--out-of-order",
            Varied::Grace => "--grace",
        }
    }
}

/// The values to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vary {
    /// Of what.
    pub what: Varied,
    /// In ms, the least first, each once.
    pub values: Vec<i64>,
}

/// How many values of what records need are told apart exactly; of more, three digits count.
const MOST_NEEDS: usize = 100_000;

/// What is known of each value.
#[derive(Debug)]
pub struct Outlook {
    vary: Vary,
    /// The grace that the run has, in ms.
    grace_ms: i64,
    records: u64,
    /// How many records would need so many ms, of those that need any.
    needs: BTreeMap<i64, u64>,
    is_rounded: bool,
    /// What the record at hand needs; `None` while it has no window that is lost.
    at_hand: Option<i64>,
    /// Of each value, the ends of windows whose rows still wait.
    waiting: Vec<BTreeSet<i64>>,
    /// Of each value, for how long rows have waited, in sum, and how many.
    waited: Vec<(i64, u64)>,
    watermark: i64,
    /// What came of each value where an engine ran for each; nothing else is known then.
    tried: Option<Vec<Choice>>,
}

/// One value, and what comes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// In ms.
    pub value_ms: i64,
    /// How many records are dropped.
    pub lost: u64,
    /// How long a row leaves after its window's end, in the mean, in ms of processing time, where that
    /// is known.
    pub delay_ms: Option<i64>,
}

impl Outlook {
    /// Returns what is known before the first record; the run has a grace of `grace_ms`, which is zero
    /// where it is the grace that is varied.
    pub fn new(vary: Vary, grace_ms: i64) -> Self {
        Outlook {
            waiting: vec![BTreeSet::new(); vary.values.len()],
            waited: vec![(0, 0); vary.values.len()],
            vary,
            grace_ms,
            records: 0,
            needs: BTreeMap::new(),
            is_rounded: false,
            at_hand: None,
            watermark: i64::MIN,
            tried: None,
        }
    }

    /// Returns what engines have come to that took the same records, one for each value, each with what
    /// has heard it.
    pub fn tried(vary: Vary, engines: &[Operator], waits: &[Waits]) -> Self {
        let values = vary.values.iter().zip(engines).zip(waits);
        let choice = |((&value_ms, engine), waits): ((&i64, &Operator), &Waits)| Choice {
            value_ms,
            lost: engine.account().expired,
            delay_ms: waits.mean_ms(),
        };
        let choices = values.map(choice).collect();
        let read = |engine: &Operator| {
            let account = engine.account();
            account.records() - account.malformed - account.ahead
        };
        Outlook {
            records: engines.first().map_or(0, read),
            tried: Some(choices),
            ..Outlook::new(vary, 0)
        }
    }

    /// Takes note of a run: all of it is on time, so that nothing is lost.
    fn take_run(&mut self, mut now: Option<i64>, run: &Run<'_>) {
        self.settle();
        self.records += run.times.len() as u64;
        if run.selected.is_none_or(|selected| selected.contains(&true)) {
            let windows = run.windows.iter();
            windows.for_each(|window| self.wait_for(window.end));
        }
        let mut moves = run.moves;
        for (row, &at) in run.times.iter().enumerate() {
            now = now.max(run.clock(row));
            if moves.observe(at) && moves.combined > self.watermark {
                self.watermark = moves.combined;
                self.release(now);
            }
        }
    }

    /// Takes note of an event.
    pub fn take(&mut self, now: Option<i64>, event: &Event<'_>) {
        match *event {
            Event::Read { .. } => {
                self.settle();
                self.records += 1;
            }
            Event::Assigned { window, .. } => {
                self.at_hand = Some(0);
                self.wait_for(window.end);
            }
            Event::Expired { window, by_ms, .. } => {
                let needed = by_ms - self.grace_ms + 1;
                let before = self.at_hand.unwrap_or(i64::MAX);
                self.at_hand = Some(before.min(needed));
                self.wait_for(window.end);
            }
            Event::Watermark { combined, .. } => {
                self.watermark = self.watermark.max(combined);
                self.release(now);
            }
            Event::End => self.settle(),
            _ => {}
        }
    }

    fn settle(&mut self) {
        let Some(needed @ 1..) = self.at_hand.take() else {
            return;
        };
        let needed = if self.is_rounded {
            rounded_up(needed)
        } else {
            needed
        };
        *self.needs.entry(needed).or_default() += 1;
        if self.needs.len() > MOST_NEEDS {
            self.is_rounded = true;
            let needs = std::mem::take(&mut self.needs);
            for (needed, count) in needs {
                *self.needs.entry(rounded_up(needed)).or_default() += count;
            }
        }
    }

    /// Says that a window has a row.
    fn wait_for(&mut self, end: i64) {
        for (waiting, value) in self.waiting.iter_mut().zip(&self.vary.values) {
            let leaves_at = end.saturating_add(self.grace_ms).saturating_add(*value);
            if leaves_at > self.watermark && end < END {
                waiting.insert(end);
            }
        }
    }

    /// Lets the rows go that have waited.
    fn release(&mut self, now: Option<i64>) {
        let all = self.waiting.iter_mut().zip(&mut self.waited);
        for ((waiting, waited), value) in all.zip(&self.vary.values) {
            let wait = self.grace_ms.saturating_add(*value);
            while let Some(end) = waiting.first().copied()
                && end.saturating_add(wait) <= self.watermark
                && self.watermark < END
            {
                waiting.pop_first();
                if let Some(now) = now {
                    waited.0 = waited.0.saturating_add(now.saturating_sub(end).max(0));
                    waited.1 += 1;
                }
            }
        }
    }

    /// Returns what comes of each value.
    pub fn choices(&self) -> Vec<Choice> {
        if let Some(tried) = &self.tried {
            return tried.clone();
        }
        let choice = |(&value_ms, &(sum, count)): (&i64, &(i64, u64))| Choice {
            value_ms,
            lost: self.lost(value_ms),
            delay_ms: (count > 0).then(|| sum / count as i64),
        };
        self.vary
            .values
            .iter()
            .zip(&self.waited)
            .map(choice)
            .collect()
    }

    /// Returns how many records a value would lose.
    pub fn lost(&self, value_ms: i64) -> u64 {
        self.needs
            .range(value_ms.saturating_add(1)..)
            .map(|(_, count)| count)
            .sum()
    }

    /// Returns the least value with which at most so many records are lost.
    pub fn least_losing(&self, most: u64) -> i64 {
        let mut lost = 0;
        for (&needed, &count) in self.needs.iter().rev() {
            lost += count;
            if lost > most {
                return needed;
            }
        }
        0
    }

    /// Recommends a value, and says what more would cost.
    pub fn recommendation(&self) -> String {
        if self.records == 0 {
            return "no record was read".to_owned();
        }
        let flag = self.vary.what.flag();
        let choices = self.choices();
        // One record in a thousand may be lost; where every value loses more, the one that loses least.
        let most = self.records / 1_000;
        let enough = choices.iter().find(|choice| choice.lost <= most);
        let Some(choice) = enough.or(choices.last()) else {
            return String::new();
        };
        let mut told = format!(
            "`{flag} {}` keeps {} of {} records and delays rows by {}",
            format_duration(choice.value_ms),
            percent(self.records - choice.lost, self.records),
            format_count(self.records),
            format_duration(choice.value_ms),
        );
        let mut costs = Vec::new();
        for one_in in [1_000, 10_000, 100_000] {
            let most = self.records / one_in;
            if most > 0 && choice.lost > most {
                let kept = percent(self.records - most, self.records);
                costs.push(format!("{kept} costs {}", self.cost(most)));
            }
        }
        if choice.lost > 0 {
            costs.push(format!("all cost {}", self.cost(0)));
        } else if self.tried.is_none() && self.least_losing(0) < choice.value_ms {
            let all = format_duration(self.least_losing(0));
            costs.push(format!("{all} would, too"));
        }
        if !costs.is_empty() {
            let _ = write!(told, "; {}", costs.join(", "));
        }
        told
    }
}

impl Outlook {
    /// Says with which value at most so many records are lost.
    fn cost(&self, most: u64) -> String {
        let Some(tried) = &self.tried else {
            return format_duration(self.least_losing(most));
        };
        let value = |choice: &Choice| format_duration(choice.value_ms);
        match tried.iter().find(|choice| choice.lost <= most) {
            Some(choice) => format!("at most {}", value(choice)),
            None => format!("more than {}", tried.last().map(value).unwrap_or_default()),
        }
    }

    /// Returns the corners of the curve of what values lose: where that was not tried it is not known, and
    /// a straight line leads to the next value.
    fn curve(
        &self,
        across: &Scale,
        up: &Scale,
        right: f64,
        height: impl Fn(u64) -> f64,
    ) -> Vec<Point> {
        let at = |x: f64, lost: u64| point(x, up.place(height(lost)));
        if let Some(tried) = &self.tried {
            let corner = |choice: &Choice| at(across.place(choice.value_ms as f64), choice.lost);
            return tried.iter().map(corner).collect();
        }
        let mut lost = self.lost(0);
        let mut curve = vec![at(across.place(0.0), lost)];
        let mut last = f64::NEG_INFINITY;
        for (&needed, &count) in &self.needs {
            let x = across.place(needed as f64);
            let before = lost;
            lost -= count;
            if x - last >= 0.5 || lost == 0 {
                curve.extend([at(x, before), at(x, lost)]);
                last = x;
            }
        }
        curve.push(at(right, lost));
        curve
    }
}

/// Returns a duration of three digits that is no shorter.
fn rounded_up(ms: i64) -> i64 {
    let mut unit = 1;
    while ms / unit >= 1_000 {
        unit *= 10;
    }
    (ms + unit - 1) / unit * unit
}

/// Writes a share with as many nines as it has: `99.98 %`.
fn percent(part: u64, whole: u64) -> String {
    if part == whole {
        return "100 %".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    let digits = (1..6).find(|&digits| {
        let unit = 10_f64.powi(digits);
        (share * unit).floor() / unit < 100.0 && (100.0 - share) * unit >= 1.0
    });
    let digits = digits.unwrap_or(6);
    let unit = 10_f64.powi(digits);
    // Never more than there is.
    let text = format!(
        "{:.*}",
        digits as usize,
        (share * unit + 1e-9).floor() / unit
    );
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

/// Writes a share of two digits: `0.78 %`.
fn share(part: u64, whole: u64) -> String {
    let share = part as f64 / whole.max(1) as f64 * 100.0;
    let digits = (1.0 - share.max(1e-9).log10().floor()).max(0.0) as usize;
    format!("{share:.digits$} %")
}

/// Hands the events of an engine to an [`Outlook`].
#[derive(Debug, Clone)]
pub struct Watcher(Arc<Mutex<Outlook>>);

impl Watcher {
    /// Returns a listener.
    pub fn new(outlook: Outlook) -> Self {
        Watcher(Arc::new(Mutex::new(outlook)))
    }

    /// Looks at what is known so far.
    pub fn with<T>(&self, look: impl FnOnce(&mut Outlook) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Journal for Watcher {
    fn note(&mut self, now: Option<i64>, event: Event<'_>) {
        self.with(|outlook| outlook.take(now, &event));
    }

    fn note_run(&mut self, now: Option<i64>, run: &Run<'_>) {
        self.with(|outlook| outlook.take_run(now, run));
    }

    fn detail(&self) -> Detail {
        Detail::Runs
    }
}

/// Draws the share of records that are lost against the value, and marks the values compared.
pub fn draw(outlook: &Outlook, source: &str, asked: &str, medium: Medium) -> Scene {
    let title = format!("{source}: {asked}, what {} costs", outlook.vary.what.flag());
    let told = outlook.recommendation();
    let mut scene = Scene::new(medium, title.clone(), told.clone());
    let mut words = Vec::new();
    let mut top = medium.either(14.0, 0.0);
    let left = medium.either(16.0, 0.0);
    let room = medium.width - 2.0 * left;
    let title = (Size::Title, medium.fit(&title, Size::Title, room));
    let told = medium.lines_of(&told, Size::Label, room);
    let told = told.into_iter().map(|line| (Size::Label, line));
    for (size, text) in std::iter::once(title).chain(told) {
        top += medium.line(size);
        let base = top - medium.either(5.0, 0.0);
        words.push(Mark::text(Ink::Text, size, point(left, base), text));
    }
    let line = medium.line(Size::Label);
    let area = Area {
        left: medium.either(96.0, 9.0 * CELL.0),
        right: medium.width - medium.either(32.0, 1.0),
        top: top + medium.either(34.0, 2.0 * line),
        bottom: medium.height - medium.either(46.0, 2.0 * line + 1.0),
    };
    let choices = outlook.choices();
    let longest = outlook.vary.values.last().copied().unwrap_or(0);
    let longest = longest.max(outlook.least_losing(0)).max(1) as f64;
    let records = outlook.records.max(1) as f64;
    // Each tenth of the lost is as far below: from all to less than one record.
    let lowest = (0.5 / records).log10();
    let height = |lost: u64| ((lost as f64).max(0.5) / records).log10();
    let across = Scale::new((0.0, longest * 1.03), (area.left, area.right));
    let up = Scale::new((lowest, 0.0), (area.bottom, area.top));
    let across_most = (area.width() / medium.either(92.0, 10.0 * CELL.0)) as usize;
    let durations = durations(longest, across_most);
    let mut shares: Vec<Tick> = (0..8)
        .map(|power| Tick {
            at: -f64::from(power),
            label: format!(
                "{} %",
                axis::number(100.0 / 10_f64.powi(power), 100.0 / 10_f64.powi(power))
            ),
        })
        .filter(|tick| tick.at > lowest * 0.92)
        .collect();
    shares.push(Tick {
        at: lowest,
        label: "none".to_owned(),
    });
    let marks = axis::draw(medium, area, (&across, &durations), (&up, &shares));
    scene.add("axes", marks);
    let middle = (area.left + area.right) / 2.0;
    let base = medium.height - medium.either(10.0, 0.0);
    let name = format!("{}: rows leave so much later", outlook.vary.what.flag());
    let name = Mark::text(Ink::Text, Size::Label, point(middle, base), name);
    words.push(name.anchored(Anchor::Middle));
    let at = point(left, area.top - medium.either(10.0, 0.0));
    let lost_axis = "records lost";
    words.push(Mark::text(Ink::Text, Size::Label, at, lost_axis));
    let lost_axis = (left, left + medium.text_width(lost_axis, Size::Label), at.y);
    // The more is waited, the fewer are lost.
    let curve = outlook.curve(&across, &up, area.right, height);
    scene.add(
        "lost",
        vec![Mark::new(Ink::Series(1), Shape::Line(curve)).tip("records lost")],
    );
    let mut marks = Vec::new();
    let mut taken: Vec<(f64, f64, f64)> = vec![lost_axis];
    for choice in &choices {
        let at = point(
            across.place(choice.value_ms as f64),
            up.place(height(choice.lost)),
        );
        let mark = Mark::new(Ink::Watermark, Shape::Symbol(Symbol::Diamond, at));
        let words_of = told_of(choice, outlook.records);
        marks.push(
            mark.data("value", choice.value_ms)
                .data("lost", choice.lost)
                .tip(&words_of),
        );
        let width = medium.text_width(&words_of, Size::Small);
        let gap = medium.either(8.0, 2.0 * CELL.0);
        let (x, anchor) = match at.x + gap + width < medium.width {
            true => (at.x + gap, Anchor::Start),
            false => (at.x - gap, Anchor::End),
        };
        let mut base = at.y - medium.either(7.0, CELL.1);
        let from = match anchor {
            Anchor::End => x - width,
            _ => x,
        };
        let meets = |base: f64| {
            let near = |&(left, right, other): &(f64, f64, f64)| {
                from < right && left < from + width && (base - other).abs() < line
            };
            taken.iter().any(near)
        };
        while meets(base) {
            base += line;
        }
        taken.push((from, from + width, base));
        words.push(Mark::text(Ink::Text, Size::Small, point(x, base), words_of).anchored(anchor));
    }
    scene.add("choices", marks);
    scene.add("words", words);
    scene
}

/// Says what comes of a value.
fn told_of(choice: &Choice, records: u64) -> String {
    let mut told = format!(
        "{}: {} lost",
        format_duration(choice.value_ms),
        match choice.lost {
            0 => "none".to_owned(),
            lost => format!("{} ({})", format_count(lost), share(lost, records)),
        }
    );
    if let Some(delay) = choice.delay_ms {
        let _ = write!(
            told,
            ", rows {} after their window",
            format_duration(delay / 100 * 100)
        );
    }
    told
}

/// Returns round durations up to `longest` ms.
fn durations(longest: f64, most: usize) -> Vec<Tick> {
    let ticks = axis::times((0.0, longest), most);
    let label = |tick: Tick| Tick {
        label: format_duration(tick.at as i64),
        ..tick
    };
    ticks.into_iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_more_than_there_is() {
        let cases = [
            (999, 1_000, "99.9 %"),
            (9_999, 10_000, "99.99 %"),
            (1, 3, "33.3 %"),
            (5, 5, "100 %"),
            (9_996, 10_000, "99.96 %"),
        ];
        for (part, whole, expected) in cases {
            assert_eq!(percent(part, whole), expected);
        }
        assert_eq!(
            [share(45, 100), share(7_787, 1_000_000)],
            ["45 %", "0.78 %"]
        );
        assert_eq!(
            [999, 1_000, 1_001, 12_345].map(rounded_up),
            [999, 1_000, 1_010, 12_400]
        );
    }

    #[test]
    fn what_records_need_is_what_values_lose() {
        let vary = Vary {
            what: Varied::OutOfOrder,
            values: vec![0, 10, 20],
        };
        let mut outlook = Outlook::new(vary, 0);
        outlook.records = 10_000;
        outlook.needs = BTreeMap::from([(5, 100), (11, 10), (41, 1)]);
        let lost: Vec<u64> = outlook.choices().iter().map(|choice| choice.lost).collect();
        assert_eq!(lost, [111, 11, 1]);
        assert_eq!(
            [0, 1, 11, 111].map(|most| outlook.least_losing(most)),
            [41, 11, 5, 0]
        );
        assert_eq!(
            outlook.recommendation(),
            "`--out-of-order 20ms` keeps 99.99 % of 10,000 records and delays rows by 20ms; all cost 41ms"
        );
    }
}
