//! Every pane and the account, computed again from a journal's lines alone.
//!
//! The journal says which records were read, which windows they went into and when panes were
//! fired; what the panes hold and where every record went is worked out here, in the plainest way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k::engine::account::Account;
use serde_json::{Map, Value, json};

/// 1980-01-01 in ms since 1970, UTC.
const YEAR_1980: i64 = 315_532_800_000;

/// What was rebuilt.
#[derive(Debug)]
pub struct Rebuilt {
    /// As `pane` events, without `event` and `why`; the values are computed here.
    pub panes: Vec<Value>,
    pub account: Account,
}

/// One record that was read.
struct Record {
    key: Value,
    at: i64,
    arguments: Vec<Value>,
    /// Record × window: on time, late, expired.
    windows: [u64; 3],
    /// Whether it takes an earlier one back.
    taken_back: bool,
    /// Whether a window had taken its `--distinct` value.
    duplicate: bool,
    /// For the window that closed last, how far the watermark was past its close.
    expired_by: Option<i64>,
    filtered: bool,
}

/// The records of one window and key: all, and those that no pane has shown.
#[derive(Default)]
struct Held {
    all: Vec<usize>,
    unshown: Vec<usize>,
}

#[derive(Default)]
struct Rebuilder {
    /// Of each aggregate its function, and whether it is computed over an argument.
    aggregates: Vec<(String, bool)>,
    refinement: String,
    records: Vec<Record>,
    windows: HashMap<String, Held>,
    shown: HashMap<String, Vec<Value>>,
    panes: Vec<Value>,
    malformed: u64,
    ahead: u64,
    /// How many records were read, malformed ones among them.
    numbered: u64,
    combined: Option<i64>,
}

/// Rebuilds panes and account from JSON lines.
///
/// # Errors
/// Says which line does not fit those before it.
pub fn rebuild(lines: &str) -> Result<Rebuilt, String> {
    let mut rebuilder = Rebuilder::default();
    for (nth, line) in lines.lines().enumerate() {
        let event: Value =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", nth + 1))?;
        rebuilder
            .take(&event)
            .ok_or_else(|| format!("line {} does not fit: {line}", nth + 1))?;
    }
    let account = rebuilder.account();
    Ok(Rebuilt {
        panes: rebuilder.panes,
        account,
    })
}

impl Rebuilder {
    /// Takes an event in; `None` where it does not fit.
    fn take(&mut self, event: &Value) -> Option<()> {
        match event["event"].as_str()? {
            "plan" => self.plan(event),
            "read" => self.read(event),
            "watermark" => {
                let combined = event["combined"].as_i64();
                let goes_back = combined < self.combined;
                self.combined = combined;
                (!goes_back).then_some(())
            }
            "filtered" => {
                self.record(event)?.filtered = true;
                Some(())
            }
            "duplicate" => {
                self.record(event)?.duplicate = true;
                Some(())
            }
            "assigned" => self.assigned(event),
            "made" => self.made(event),
            "expired" => {
                let by = event["by"].as_i64()?;
                let record = self.record(event)?;
                record.windows[2] += 1;
                record.expired_by = Some(record.expired_by.map_or(by, |known| known.min(by)));
                Some(())
            }
            "pane" => self.pane(event),
            outcome @ ("malformed" | "ahead") => {
                let in_order = event["record"].as_u64()? == self.numbered;
                event["place"].as_u64()?;
                event["reason"].as_str()?;
                match outcome {
                    "ahead" => self.ahead += 1,
                    _ => self.malformed += 1,
                }
                self.numbered += 1;
                in_order.then_some(())
            }
            "closed" | "left" => {
                let place = place(&event["key"], &event["window"]);
                self.windows.contains_key(&place).then_some(())
            }
            "idle" | "tick" | "end" => Some(()),
            _ => None,
        }
    }

    fn plan(&mut self, event: &Value) -> Option<()> {
        self.refinement = event["refinement"].as_str()?.to_owned();
        for aggregate in event["aggregates"].as_array()? {
            let function = aggregate["function"].as_str()?.to_owned();
            self.aggregates
                .push((function, !aggregate["argument"].is_null()));
        }
        Some(())
    }

    fn read(&mut self, event: &Value) -> Option<()> {
        let in_order = event["record"].as_u64()? == self.numbered;
        self.numbered += 1;
        self.records.push(Record {
            key: event["key"].clone(),
            at: event["at"].as_i64()?,
            arguments: event["arguments"].as_array()?.clone(),
            windows: [0; 3],
            taken_back: event["change"].as_str()? == "-",
            duplicate: false,
            expired_by: None,
            filtered: false,
        });
        in_order.then_some(())
    }

    /// Returns the record that an event is about: always the one read last.
    fn record(&mut self, event: &Value) -> Option<&mut Record> {
        let is_last = event["record"].as_u64()? + 1 == self.numbered;
        self.records.last_mut().filter(|_| is_last)
    }

    fn assigned(&mut self, event: &Value) -> Option<()> {
        let late = event["late"].as_bool()?;
        let record = self.record(event)?;
        record.windows[usize::from(late)] += 1;
        let key = record.key.clone();
        let number = self.records.len() - 1;
        let mut joined = Held::default();
        for window in event["joins"].as_array()? {
            let held = self.windows.remove(&place(&key, window))?;
            joined.all.extend(held.all);
            joined.unshown.extend(held.unshown);
        }
        let place = place(&key, &event["window"]);
        let held = self.windows.entry(place).or_default();
        held.all.extend(joined.all);
        held.unshown.extend(joined.unshown);
        held.all.push(number);
        held.unshown.push(number);
        Some(())
    }

    /// A sliding window begins with what came before it at some moments.
    fn made(&mut self, event: &Value) -> Option<()> {
        let moments = event["moments"].as_array()?.iter();
        let moments: BTreeSet<i64> = moments.map(Value::as_i64).collect::<Option<_>>()?;
        let before = self.records.iter().enumerate();
        let before = before.take(self.records.len() - 1).filter(|(_, record)| {
            let kept = record.windows[0] + record.windows[1] > 0;
            kept && record.key == event["key"] && moments.contains(&record.at)
        });
        let all: Vec<usize> = before.map(|(number, _)| number).collect();
        let unshown = all.clone();
        let place = place(&event["key"], &event["window"]);
        let known = self.windows.insert(place, Held { all, unshown });
        known.is_none().then_some(())
    }

    fn pane(&mut self, event: &Value) -> Option<()> {
        let place = place(&event["key"], &event["window"]);
        let values = if event["change"] == "-" {
            self.shown.get(&place)?.clone()
        } else {
            let held = self.windows.get_mut(&place)?;
            let unshown = std::mem::take(&mut held.unshown);
            let records = match self.refinement.as_str() {
                "discarding" => unshown,
                _ => held.all.clone(),
            };
            self.values(&records)
        };
        self.shown.insert(place, values.clone());
        let mut pane: Map<String, Value> = event.as_object()?.clone();
        pane.remove("event");
        pane.remove("why")?;
        pane.remove("now");
        pane.insert("values".to_owned(), values.into());
        self.panes.push(pane.into());
        Some(())
    }

    /// Returns the aggregates over some records.
    fn values(&self, records: &[usize]) -> Vec<Value> {
        let aggregates = self.aggregates.iter().enumerate();
        let values = aggregates.map(|(nth, (function, of_argument))| {
            let taken = |&record: &usize| {
                let record = &self.records[record];
                let argument = if *of_argument {
                    &record.arguments[nth]
                } else {
                    &Value::Bool(true)
                };
                let sign = if record.taken_back { -1 } else { 1 };
                (!argument.is_null()).then_some((argument.as_i64().unwrap_or(0), sign))
            };
            let taken: Vec<(i64, i128)> = records.iter().filter_map(taken).collect();
            let count: i128 = taken.iter().map(|(_, sign)| sign).sum();
            let sum: i128 = taken
                .iter()
                .map(|&(number, sign)| sign * i128::from(number))
                .sum();
            let numbers = taken.iter().map(|(number, _)| number);
            match function.as_str() {
                "count" => number(count),
                _ if count == 0 => Value::Null,
                "sum" => number(sum),
                "min" => json!(numbers.min()),
                "max" => json!(numbers.max()),
                _ => json!(sum as f64 / count as f64),
            }
        });
        values.collect()
    }

    fn account(&self) -> Account {
        let mut account = Account {
            malformed: self.malformed,
            ahead: self.ahead,
            rows: self.panes.len() as u64,
            ..Account::default()
        };
        let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &self.records {
            let [on_time, late, expired] = record.windows;
            account.before_1980 += u64::from(record.at < YEAR_1980);
            account.windows.on_time += on_time;
            account.windows.late += late;
            account.windows.expired += expired;
            let outcome = match (on_time + late > 0, late + expired > 0) {
                _ if record.filtered => "filtered",
                (false, _) if record.duplicate => "duplicate",
                (true, false) => "on time",
                (true, true) => "late",
                (false, _) => "expired",
            };
            *outcomes.entry(outcome).or_default() += 1;
            if outcome == "expired" {
                let needed = record.expired_by.map_or(0, |by| by + 1);
                account.grace_needed_ms = account.grace_needed_ms.max(needed);
            }
        }
        let count = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
        account.on_time = count("on time");
        account.late = count("late");
        account.expired = count("expired");
        account.filtered = count("filtered");
        account.duplicates = count("duplicate");
        account
    }
}

/// Returns an integer as JSON is read: as a float where it is too large for 64 bits.
pub fn number(number: i128) -> Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => json!(number),
        (_, Ok(number)) => json!(number),
        _ => json!(number as f64),
    }
}

fn place(key: &Value, window: &Value) -> String {
    format!("{key} {window}")
}
