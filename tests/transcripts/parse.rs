//! Text into cases.

use jiff::tz::TimeZone;
use k::column::Value;
use k::engine::pane::{Refinement, Timing};
use k::engine::watermark::Bound;
use k::engine::window::calendar::Calendar;
use k::engine::window::{ALL_TIME, Aligned, Window, Windows};
use k::term::period::Period;
use k::term::units::parse_duration;

use crate::case::{Action, Aggregate, Case, Fact, Lateness, Outcome, Plan, Record, Step};
use crate::clock::{self, Notation};
use crate::feed::{Pane, Row};
use crate::ways::Failure;

/// Reads the cases of a file.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, Failure> {
    let mut cases: Vec<Case> = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let number = nth + 1;
        let content = line.split('#').next().unwrap_or("").trim_end();
        if content.is_empty() {
            continue;
        }
        if let Some(title) = content.strip_prefix("== ") {
            cases.push(Case {
                file: file.to_owned(),
                line: number,
                title: title.trim().to_owned(),
                plan: Plan::default(),
                steps: Vec::new(),
                notation: Notation::default(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            return Err(Failure {
                file: file.to_owned(),
                line: number,
                title: String::new(),
                told: "a case begins with a line `== title`".to_owned(),
            });
        };
        let indented = content.starts_with(' ');
        let read = match (indented, case.steps.is_empty()) {
            (true, _) => case.read_output(number, content.trim()),
            (false, true) if is_setting(content) => case.read_setting(content),
            (false, _) => case.read_input(number, content),
        };
        let told = match read {
            Ok(()) => continue,
            Err(told) => format!("{told}: `{}`", content.trim()),
        };
        return Err(case.failure(number, told));
    }
    for case in &cases {
        case.check()?;
    }
    Ok(cases)
}

const SETTINGS: [&str; 9] = [
    "window",
    "trigger",
    "refinement",
    "grace",
    "out-of-order",
    "watermark",
    "partitions",
    "compute",
    "time",
];

/// A setting begins with its name; a record begins with a time.
fn is_setting(line: &str) -> bool {
    line.split_once(": ")
        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

impl Case {
    fn check(&self) -> Result<(), Failure> {
        let arrivals = self.records().filter(|record| record.row.arrival.is_some());
        let (arrivals, records) = (arrivals.count(), self.records().count());
        let told = if self.steps.is_empty() {
            "nothing goes in"
        } else if self
            .records()
            .any(|record| record.row.key.is_some() != self.is_keyed())
        {
            "some records have a key and some have none"
        } else if arrivals != 0 && arrivals != records {
            "some records say when they came and some do not"
        } else if self.plan.by_arrival && arrivals != records {
            "`time: arrival` needs records that say when they came"
        } else {
            return Ok(());
        };
        Err(self.failure(self.line, told.to_owned()))
    }

    fn read_setting(&mut self, line: &str) -> Result<(), String> {
        let (name, value) = line.split_once(": ").ok_or("no setting")?;
        let value = value.trim();
        let plan = &mut self.plan;
        let usage = |error: k::error::Error| error.to_string();
        match name {
            "window" => plan.windows = parse_windows(value)?,
            "trigger" => plan.trigger = value.parse().map_err(usage)?,
            "refinement" => {
                plan.refinement = match value {
                    "discarding" => Refinement::Discarding,
                    "accumulating" => Refinement::Accumulating,
                    "retracting" => Refinement::Retracting,
                    _ => return Err("unknown refinement".to_owned()),
                };
            }
            "grace" => plan.grace_ms = parse_duration(value)?,
            "out-of-order" => plan.bound = Bound::Fixed(parse_duration(value)?),
            "watermark" => {
                let percent = value.strip_prefix("percentile:").ok_or("no percentile")?;
                plan.bound = Bound::Percentile(percent.parse().map_err(|_| "no percentage")?);
            }
            "partitions" => plan.partitions = value.parse().map_err(|_| "no number")?,
            "compute" => {
                let names = value.split(',').map(str::trim);
                plan.aggregates = names.map(Aggregate::parse).collect::<Result<_, _>>()?;
            }
            "time" if value == "arrival" => plan.by_arrival = true,
            _ => {
                return Err(format!(
                    "unknown setting; there are {}",
                    SETTINGS.join(", ")
                ));
            }
        }
        Ok(())
    }

    fn read_input(&mut self, number: usize, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let action = match words[..] {
            ["end"] => Action::End,
            ["malformed"] => Action::Malformed,
            ["tick", at] => Action::Tick(self.time(at)?),
            ["watermark", at] => Action::Watermark(0, self.time(at)?),
            ["watermark", partition, at] => {
                Action::Watermark(self.partition(partition)?, self.time(at)?)
            }
            ["idle", partition] => Action::Idle(self.partition(partition)?, true),
            ["active", partition] => Action::Idle(self.partition(partition)?, false),
            _ => Action::Record(self.record(line)?),
        };
        self.steps.push(Step {
            line: number,
            text: line.to_owned(),
            action,
            panes: Vec::new(),
            facts: Vec::new(),
        });
        Ok(())
    }

    fn read_output(&mut self, number: usize, line: &str) -> Result<(), String> {
        let pane = match line.get(..2) {
            Some("+ ") => Some(self.pane(false, &line[2..])?),
            Some("- ") => Some(self.pane(true, &line[2..])?),
            _ => None,
        };
        let fact = match pane {
            Some(_) => None,
            None => Some(self.fact(line)?),
        };
        let step = self.steps.last_mut().ok_or("nothing went in before it")?;
        step.panes.extend(pane.map(|pane| (number, pane)));
        step.facts.extend(fact.map(|fact| (number, fact)));
        Ok(())
    }

    fn time(&mut self, text: &str) -> Result<i64, String> {
        if self.steps.is_empty() {
            self.notation = Notation::of(text);
        }
        clock::parse(text)
    }

    fn partition(&self, text: &str) -> Result<usize, String> {
        let number = text.strip_prefix('p').and_then(|text| text.parse().ok());
        number
            .filter(|&partition| partition < self.plan.partitions)
            .ok_or_else(|| {
                format!(
                    "`{text}` is none of the {} partitions",
                    self.plan.partitions
                )
            })
    }

    /// Reads `[p1 ]event time[ -> processing time]: [key ]value[, outcome]`.
    fn record(&mut self, line: &str) -> Result<Record, String> {
        let (times, rest) = line
            .split_once(": ")
            .ok_or("neither a record nor anything else that goes in")?;
        let (times, partition) = match times.split_once(' ') {
            Some((partition, times)) if partition.starts_with('p') => {
                (times, self.partition(partition)?)
            }
            _ => (times, 0),
        };
        let (at, arrival) = match times.split_once(" -> ") {
            Some((at, arrival)) => (at, Some(self.time(arrival.trim())?)),
            None => (times, None),
        };
        let at = self.time(at.trim())?;
        let (what, outcome) = match rest.split_once(", ") {
            Some((what, outcome)) => (what, self.outcome(outcome)?),
            None => (rest, Outcome::OnTime),
        };
        let words: Vec<&str> = what.split_whitespace().collect();
        let (key, value) = match words[..] {
            [value] => (None, value),
            [key, value] => (Some((key != "null").then(|| key.to_owned())), value),
            _ => return Err("a record has a key and a value, or a value alone".to_owned()),
        };
        let value = match value {
            "null" => None,
            value => Some(value.parse().map_err(|_| "a value is an integer or null")?),
        };
        let row = Row {
            partition,
            at: arrival.filter(|_| self.plan.by_arrival).unwrap_or(at),
            arrival,
            key,
            value,
            filtered: outcome == Outcome::Filtered,
            taken_back: false,
        };
        Ok(Record { row, outcome })
    }

    fn outcome(&self, text: &str) -> Result<Outcome, String> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut lateness = Lateness::default();
        let mut rest = rest;
        if let Some(by) = rest.strip_prefix("by ") {
            let (by, after) = by.split_once(' ').unwrap_or((by, ""));
            lateness.by_ms = Some(parse_duration(by)?);
            rest = after;
        }
        if let Some(window) = rest.strip_prefix("for ") {
            lateness.window = Some(self.window(window)?);
            rest = "";
        }
        match name {
            _ if !rest.is_empty() => Err(format!("`{rest}` does not fit here")),
            "late" => Ok(Outcome::Late(lateness)),
            "expired" => Ok(Outcome::Expired(lateness)),
            "filtered" => Ok(Outcome::Filtered),
            _ => Err(format!("`{name}` is no outcome: late, expired or filtered")),
        }
    }

    /// Reads `[start, end)`, `[first, last]` or `all time`.
    fn window(&self, text: &str) -> Result<Window, String> {
        if text == "all time" {
            return Ok(ALL_TIME);
        }
        let close = if self.plan.includes_ends() { ']' } else { ')' };
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(close))
            .ok_or_else(|| format!("`{text}` is no window: here it ends with `{close}`"))?;
        let (start, end) = inner.split_once(", ").ok_or("a window has two ends")?;
        let (start, end) = (clock::parse(start)?, clock::parse(end)?);
        Ok(Window { start, end })
    }

    /// Reads `WINDOW [KEY]: NAME VALUE, …; TIMING, pane N[, last]`.
    fn pane(&self, is_retraction: bool, text: &str) -> Result<Pane, String> {
        let (what, facts) = text.split_once("; ").ok_or("no `;` before the timing")?;
        let (place, values) = what.rsplit_once(": ").ok_or("no `:` before the values")?;
        let end = match place.strip_prefix("all time") {
            Some(_) => "all time".len(),
            None => 1 + place.find([')', ']']).ok_or("a pane names its window")?,
        };
        let (window, key) = place.split_at(end);
        let key = match key.trim() {
            "" => None,
            key => Some((key != "null").then(|| key.to_owned())),
        };
        if key.is_some() != self.is_keyed() {
            return Err("the records have keys and the pane has none, or the reverse".to_owned());
        }
        let facts: Vec<&str> = facts.split(", ").collect();
        let (timing, index, is_last) = match facts[..] {
            [timing, index] => (timing, index, false),
            [timing, index, "last"] => (timing, index, true),
            _ => return Err("after `;` stand the timing, the pane's index, and `last`".to_owned()),
        };
        let index = index.strip_prefix("pane ").and_then(|n| n.parse().ok());
        Ok(Pane {
            is_retraction,
            window: self.window(window)?,
            key,
            values: self.values(values)?,
            timing: match timing {
                "early" => Timing::Early,
                "on time" => Timing::OnTime,
                "late" => Timing::Late,
                other => return Err(format!("`{other}` is no timing")),
            },
            index: index.ok_or("write `pane 0`")?,
            is_last,
        })
    }

    fn values(&self, text: &str) -> Result<Vec<Value>, String> {
        let values: Vec<&str> = text.split(", ").collect();
        if values.len() != self.plan.aggregates.len() {
            return Err("a pane has a value for each aggregate".to_owned());
        }
        let values = values.into_iter().zip(&self.plan.aggregates);
        let value = |(value, aggregate): (&str, &Aggregate)| {
            let value = value.strip_prefix(&aggregate.name);
            let value = value.and_then(|value| value.strip_prefix(' '));
            let value = value.ok_or_else(|| format!("`{}` stands here", aggregate.name))?;
            match value {
                "null" => Ok(Value::Null),
                text if text.contains('.') => text
                    .parse()
                    .map(Value::Double)
                    .map_err(|_| "no number".to_owned()),
                text => text
                    .parse()
                    .map(Value::Integer)
                    .map_err(|_| "no number".to_owned()),
            }
        };
        values.map(value).collect()
    }

    fn fact(&self, line: &str) -> Result<Fact, String> {
        let words: Vec<&str> = line
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        let count = |word: &str| {
            word.parse::<u64>()
                .map_err(|_| format!("`{word}` is no count"))
        };
        Ok(match words[..] {
            ["watermark", at] => Fact::Watermark(clock::parse(at)?),
            ["states", number] => Fact::States(count(number)? as usize),
            ["grace", "needed", grace] => Fact::GraceNeeded(parse_duration(grace)?),
            [
                "windows",
                on_time,
                "on",
                "time",
                late,
                "late",
                expired,
                "expired",
            ] => Fact::Windows([count(on_time)?, count(late)?, count(expired)?]),
            _ => return Err("nothing that comes out looks like this".to_owned()),
        })
    }
}

/// Reads `tumbling 10s`, `hopping 10s, 4s`, either with `align 3s` or `zone Europe/Paris`, and then
/// of weeks, months, years;
/// `session 5s`, `session 5s, max 12s`, `sliding 10s`, `global`.
fn parse_windows(text: &str) -> Result<Windows, String> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (mut sizes, mut max_ms, mut zone) = (Vec::new(), None, None);
    let mut align = Period::default();
    for part in rest.split(", ").filter(|part| !part.is_empty()) {
        match part.split_once(' ') {
            None => sizes.push(Period::parse(part)?),
            Some(("max", max)) => max_ms = Some(parse_duration(max)?),
            Some(("align", offset)) => align = Period::parse(offset)?,
            Some(("zone", name)) => zone = Some(name),
            Some(_) => return Err(format!("`{part}` is no part of a window")),
        }
    }
    let usage = |error: k::error::Error| error.to_string();
    if let (Some(zone), [size, ..]) = (zone, &sizes[..]) {
        let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
        let advance = sizes.last().unwrap_or(size);
        let calendar = Calendar::new(*size, *advance, zone, align);
        return Ok(Windows::Calendar(calendar.map_err(usage)?));
    }
    let sizes: Vec<i64> = sizes.iter().map(Period::fixed_ms).collect();
    let align = align.fixed_ms();
    Ok(match (kind, &sizes[..], zone) {
        ("tumbling", &[size], None) => {
            Windows::Aligned(Aligned::tumbling(size).map_err(usage)?.aligned_at(align))
        }
        ("hopping", &[size, advance], None) => {
            let windows = Aligned::hopping(size, advance).map_err(usage)?;
            Windows::Aligned(windows.aligned_at(align))
        }
        ("session", &[gap_ms], None) => Windows::Session { gap_ms, max_ms },
        ("sliding", &[apart_ms], None) => Windows::Sliding { apart_ms },
        ("global", [], None) => Windows::Global,
        _ => return Err("unknown window".to_owned()),
    })
}
