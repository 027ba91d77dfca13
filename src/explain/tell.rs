//! Lives and stories in sentences, with the numbers that they are made of.

use super::life::{InWindow, Life, Origin, Outcome, Row};
use super::story::{Ending, Entry, Story};
use crate::journal::{Bounds, Json, Plan};
use crate::term::units::{format_count, format_duration, format_plural, format_time};

/// Knows how places, times and rows are called.
#[derive(Debug, Clone)]
pub struct Teller {
    /// What is computed.
    pub plan: Plan,
    /// The source as a person names it: `calls.csv`, or a topic.
    pub source: String,
    /// Whether places are offsets.
    pub is_topic: bool,
    /// How far the watermark has come; `None` before there is one.
    pub watermark: Option<i64>,
}

/// Returns what became of a record, in lines.
pub fn tell_life(life: &Life, teller: &Teller) -> Vec<String> {
    let mut lines = vec![teller.opening(life)];
    if !life.key.is_empty() {
        lines.push(format!("  Grouped by {}.", teller.key(&life.key)));
    }
    match life.outcome {
        Outcome::Malformed | Outcome::Ahead => {
            let reason = life.reason.as_deref().unwrap_or("it does not fit");
            let what = match life.outcome {
                Outcome::Ahead => "Ahead of its arrival, and set aside",
                _ => "Malformed",
            };
            lines.push(format!("  {what}: {reason}."));
            lines.push("  It is in no window, and has moved no watermark.".to_owned());
            return lines;
        }
        _ => lines.push(format!("  {}", teller.watermark_of(life))),
    }
    if life.outcome == Outcome::Filtered {
        let condition = teller.plan.filter.as_deref().unwrap_or("the condition");
        lines.push(format!(
            "  Filtered: `--where` asks for {condition}, which is not true of it."
        ));
        lines.push(
            "  It is in no window. Its time counts for the watermark all the same.".to_owned(),
        );
        return lines;
    }
    for held in &life.windows {
        lines.extend(teller.in_window(held, life));
    }
    lines.extend(teller.verdict(life));
    lines
}

/// Returns what happened to a window, in lines; `waits` says why its next row has not left, where
/// that is known.
pub(crate) fn tell_story(story: &Story, waits: Option<&str>, teller: &Teller) -> Vec<String> {
    let refused = match story.refused {
        0 => String::new(),
        refused => format!("; {} refused", format_plural(refused, "record")),
    };
    let late = match story.late {
        0 => String::new(),
        late => format!(", {} of them late", format_count(late)),
    };
    let key = if story.key.is_empty() {
        String::new()
    } else {
        format!(", {}", teller.key(&story.key))
    };
    let mut lines = vec![
        format!(
            "Window {}{key}: {}{late}{refused}.",
            teller.window(story.window),
            format_plural(story.records, "record"),
        ),
        format!("  {}", teller.closes(story)),
    ];
    let all = story.records + story.refused;
    let left_out = all.saturating_sub(story.entries.len() as u64);
    if !story.entries.is_empty() {
        lines.push("  Its records:".to_owned());
    }
    for (nth, entry) in story.entries.iter().enumerate() {
        if left_out > 0 && nth == story.entries.len() / 2 {
            lines.push(format!("    … {} more", format_count(left_out)));
        }
        lines.push(format!("    {}", teller.entry(entry)));
    }
    let left_out = story.fired.saturating_sub(story.rows.len() as u64);
    for (nth, row) in story.rows.iter().enumerate() {
        if left_out > 0 && nth == story.rows.len() / 2 {
            lines.push(format!("  … {} more", format_plural(left_out, "row")));
        }
        let what = if row.takes_back {
            "Takes back"
        } else {
            "Fired"
        };
        lines.push(format!("  {what} {}", teller.row(row)));
    }
    if story.fired == 0 && story.ending == Ending::Open {
        lines.push("  No row of it has left.".to_owned());
    }
    match (story.ending, waits) {
        (Ending::Open, Some(waits)) => lines.push(format!("  {waits}")),
        (Ending::Quietly, _) => {
            lines.push("  It has left; its rows had shown all.".to_owned());
        }
        _ => {}
    }
    lines
}

impl Teller {
    /// Returns what tells of a run of a plan; `watermark` is how far it has come.
    pub fn new(plan: Plan, watermark: Option<i64>) -> Self {
        let source = plan.sources.first().map_or("-", String::as_str);
        let topic = source.strip_prefix("topic:");
        Teller {
            source: topic.unwrap_or(source).to_owned(),
            is_topic: topic.is_some(),
            plan,
            watermark,
        }
    }

    /// Returns a record's place as `k explain record` takes it.
    pub fn place(&self, origin: &Origin) -> String {
        match (origin.place, &origin.file) {
            (None, _) => format!("record number {}", format_count(origin.record)),
            (Some(place), _) if self.is_topic => {
                format!("{}:{}:{place}", self.source, origin.partition)
            }
            (Some(line), Some(file)) => format!("{file}:{line}"),
            (Some(line), None) if self.source == "-" => format!("stdin:{line}"),
            (Some(line), None) => format!("{}:{line}", self.source),
        }
    }

    fn window(&self, window: Bounds) -> String {
        match (window.start, window.end) {
            (Some(start), Some(end)) => format!("{} to {}", format_time(start), format_time(end)),
            _ => "of all time".to_owned(),
        }
    }

    fn key(&self, key: &[Json]) -> String {
        let pairs = self.plan.keys.iter().zip(key);
        let pairs = pairs.map(|(name, value)| format!("{name} {}", value.plain()));
        pairs.collect::<Vec<_>>().join(", ")
    }

    fn opening(&self, life: &Life) -> String {
        let origin = &life.origin;
        let at = match origin.at {
            Some(at) => format!("event time {}", format_time(at)),
            None => "no event time".to_owned(),
        };
        let arrival = match (origin.arrival, origin.at) {
            (Some(arrival), Some(at)) if arrival >= at => format!(
                "; it arrived at {}, {} after that",
                format_time(arrival),
                format_duration(arrival - at)
            ),
            (Some(arrival), _) => format!("; it arrived at {}", format_time(arrival)),
            (None, _) => String::new(),
        };
        let taken_back = if life.takes_back {
            " It takes an earlier record back."
        } else {
            ""
        };
        format!("{}: {at}{arrival}.{taken_back}", self.place(origin))
    }

    fn mover(&self, mover: &Origin) -> String {
        match mover.at {
            Some(at) => format!("{}, of {}", self.place(mover), format_time(at)),
            None => self.place(mover),
        }
    }

    /// Says how far the watermark was when a record was judged.
    fn watermark_of(&self, life: &Life) -> String {
        let Some(watermark) = life.watermark else {
            return "There was no watermark yet.".to_owned();
        };
        let behind = match life.origin.at.map(|at| watermark.saturating_sub(at)) {
            Some(ahead @ 1..) => format!(", {} past its time", format_duration(ahead)),
            Some(0) => ", its own time".to_owned(),
            Some(behind) => format!(", {} before its time", format_duration(-behind)),
            None => String::new(),
        };
        let moved_by = match &life.moved_by {
            Some(mover) if mover.record == life.origin.record => {
                ": it has moved it there itself".to_owned()
            }
            Some(mover) => format!(": {} had moved it there", self.mover(mover)),
            None => String::new(),
        };
        let bound = match self.plan.out_of_order {
            None => " (the bound is learned)".to_owned(),
            Some(0) => String::new(),
            Some(bound) => format!(" (`--out-of-order {}`)", format_duration(bound)),
        };
        format!(
            "The watermark was {}{behind}{moved_by}{bound}.",
            format_time(watermark)
        )
    }

    fn in_window(&self, held: &InWindow, life: &Life) -> Vec<String> {
        let name = self.window(held.window);
        let by = held.by.unwrap_or(0);
        let grace = self.plan.grace;
        let what = match held.outcome {
            Outcome::OnTime => match (held.closes_at, life.watermark) {
                (Some(closes_at), Some(watermark)) => format!(
                    "on time, {} before it closed",
                    format_duration(closes_at.saturating_sub(watermark))
                ),
                _ => "on time".to_owned(),
            },
            Outcome::Late => format!(
                "late by {}, within the grace of {}",
                format_duration(by),
                format_duration(grace)
            ),
            Outcome::Duplicate => match &held.same_as {
                Some(first) => format!(
                    "a duplicate: {} had the same value of `--distinct`",
                    self.place(first)
                ),
                None => "a duplicate of an earlier record by `--distinct`".to_owned(),
            },
            _ if grace == 0 => format!("expired: it had closed {} before", format_duration(by)),
            _ => format!(
                "expired: it had closed {} before, and its grace of {} had passed {} before",
                format_duration(by),
                format_duration(grace),
                format_duration(by.saturating_sub(grace))
            ),
        };
        let mut lines = vec![format!("  Window {name}: {what}.")];
        let joined: Vec<_> = held
            .joins
            .iter()
            .filter(|joined| **joined != held.window)
            .collect();
        match joined[..] {
            [] => {}
            [one] => lines.push(format!(
                "    It has made the session {} longer.",
                self.window(*one)
            )),
            [one, other, ..] => lines.push(format!(
                "    It has made one session of {} and {}.",
                self.window(*one),
                self.window(*other)
            )),
        }
        if !held.outcome.is_kept() {
            return lines;
        }
        if let Some(before) = &held.before {
            lines.push(format!(
                "    Before, the window had shown {}",
                self.row(before)
            ));
        }
        if let Some(became) = held.became {
            lines.push(format!("    The session became {}.", self.window(became)));
        }
        match &held.carried_by {
            Some(row) => lines.push(format!("    The record left in {}", self.row(row))),
            None => lines.push(format!("    No row with it has left: {}", self.waits(held))),
        }
        if let Some(last) = held.last.as_ref().filter(|_| held.rows > 1) {
            lines.push(format!(
                "    {} followed, the last of them {}",
                format_plural(held.rows - 1, "row"),
                self.row(last)
            ));
        }
        lines
    }

    /// Says what the next row of a window waits for.
    fn waits(&self, held: &InWindow) -> String {
        if held.has_left {
            return "the window has left.".to_owned();
        }
        let by_close = self.plan.trigger.contains("watermark");
        let due = if by_close && held.outcome == Outcome::OnTime {
            held.closes_at
        } else {
            held.expires_at
        };
        let Some(due) = due else {
            return "it waits for the end of the input.".to_owned();
        };
        let missing = match self.watermark {
            Some(watermark) => format!(
                ", and it is {}, {} before that",
                format_time(watermark),
                format_duration(due.saturating_sub(watermark).max(0))
            ),
            None => ", and there is none yet".to_owned(),
        };
        format!(
            "it waits for the watermark to reach {}{missing}.",
            format_time(due)
        )
    }

    fn verdict(&self, life: &Life) -> Vec<String> {
        if life.outcome != Outcome::Expired || life.windows.is_empty() {
            return Vec::new();
        }
        let dropped = match life.windows.len() {
            1 => "  Dropped.".to_owned(),
            windows => format!("  Dropped from all of its {windows} windows."),
        };
        let Some(way_out) = life.way_out else {
            return vec![dropped];
        };
        // What a longer grace keeps may be a session, and not only the window that had closed.
        let past = life.windows.iter().filter_map(|held| held.by).min();
        let is_sooner = way_out
            .grace
            .zip(past)
            .is_some_and(|(grace, past)| grace <= past);
        let near = if is_sooner {
            " With that, a session that it is near to would still be there."
        } else {
            ""
        };
        let flags = [
            way_out
                .grace
                .map(|ms| format!("`--grace {}`", format_duration(ms))),
            way_out
                .out_of_order
                .map(|ms| format!("`--out-of-order {}`", format_duration(ms))),
        ];
        let flags: Vec<String> = flags.into_iter().flatten().collect();
        vec![if flags.is_empty() {
            format!(
                "{dropped} No grace would have kept it: a window that had closed has its value already."
            )
        } else {
            format!(
                "{dropped} The smallest that would have kept it: {}.{near}",
                flags.join(", or ")
            )
        }]
    }

    fn row(&self, row: &Row) -> String {
        let values = self.plan.aggregates.iter().map(|aggregate| &aggregate.name);
        let values =
            values.filter_map(|name| Some(format!("{name} {}", row.values.get(name)?.plain())));
        let values = values.collect::<Vec<_>>().join(", ");
        let reached = || match (row.watermark, &row.moved_by) {
            (Some(at), Some(mover)) => {
                format!(" {} with {}", format_time(at), self.mover(mover))
            }
            (Some(at), None) => format!(" {}, as a partition fell silent", format_time(at)),
            _ => String::new(),
        };
        let why = match row.why.as_str() {
            "close" => format!("as it closed: the watermark reached{}", reached()),
            "grace" if self.plan.grace == 0 => {
                format!("as it closed: the watermark reached{}", reached())
            }
            "grace" => format!(
                "as its grace had passed: the watermark reached{}",
                reached()
            ),
            "count" => {
                let last = row.last_record.as_ref();
                let last = last.map(|last| format!(", the last of them {}", self.place(last)));
                let trigger = &self.plan.trigger;
                let last = last.unwrap_or_default();
                format!("by the records that had come (`{trigger}`){last}")
            }
            "every" => match row.now {
                Some(now) => format!(
                    "by the clock, at {} (`{}`)",
                    format_time(now),
                    self.plan.trigger
                ),
                None => format!("by the clock (`{}`)", self.plan.trigger),
            },
            "end" => "at the end of the input".to_owned(),
            _ => "as the run ended".to_owned(),
        };
        let timing = row.timing.replace('_', " ");
        format!("row {}, {timing}: {values}; {why}.", row.pane)
    }

    fn closes(&self, story: &Story) -> String {
        match (story.closes_at, story.expires_at) {
            (Some(closes_at), Some(expires_at)) if expires_at > closes_at => format!(
                "It closes when the watermark reaches {}, and takes late records until {}.",
                format_time(closes_at),
                format_time(expires_at)
            ),
            (Some(closes_at), _) => {
                format!(
                    "It closes when the watermark reaches {}.",
                    format_time(closes_at)
                )
            }
            (None, _) => "It closes at the end of the input.".to_owned(),
        }
    }

    fn entry(&self, entry: &Entry) -> String {
        let at = entry.origin.at.map(format_time).unwrap_or_default();
        let outcome = match (entry.outcome, entry.by) {
            (Outcome::Late, Some(by)) => format!("late by {}", format_duration(by)),
            (Outcome::Expired, Some(by)) => {
                format!("expired, {} after the close", format_duration(by))
            }
            (outcome, _) => outcome.name().to_owned(),
        };
        format!("{}  {at}  {outcome}", self.place(&entry.origin))
    }
}
