//! Records on the way into an operator, and panes on the way out; for every test program that
//! feeds one by hand.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k::column::{Column, Value, ValueRef, Values};
use k::engine::codec::Corrupt;
use k::engine::operator::{Input, Noted, Operator};
use k::engine::pane::{Panes, Timing};
use k::engine::window::Window;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub partition: usize,
    /// Its event time.
    pub at: i64,
    /// When it came, in processing time.
    pub arrival: Option<i64>,
    /// `None` where there is one group, `Some(None)` for null.
    pub key: Option<Option<String>>,
    pub value: Option<i64>,
    /// Whether `--where` does not select it.
    pub filtered: bool,
    /// Whether it takes an earlier one back.
    pub taken_back: bool,
}

/// A pane, expected or fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane {
    pub is_retraction: bool,
    pub window: Window,
    pub key: Option<Option<String>>,
    pub values: Vec<Value>,
    pub timing: Timing,
    pub index: u32,
    pub is_last: bool,
}

/// Feeds records of one partition as one batch; returns the panes that came out.
///
/// `first` is the number of the first record; `of_value` says of each aggregate whether it is
/// computed over the values.
pub fn feed(operator: &mut Operator, rows: &[&Row], first: u64, of_value: &[bool]) -> Vec<Pane> {
    let keys: Option<Values<&str>> = rows
        .iter()
        .map(|row| row.key.as_ref().map(Option::as_deref))
        .collect::<Option<Vec<_>>>()
        .map(Values::from_iter);
    let keys: Vec<Cow<'_, Column<'_>>> = keys.into_iter().map(text).collect();
    let values: Values<i64> = rows.iter().map(|row| row.value).collect();
    let arguments: Vec<Option<Cow<'_, Column<'_>>>> = of_value
        .iter()
        .map(|of_value| of_value.then(|| Cow::Owned(Column::Bigint(values.clone()))))
        .collect();
    let distinct = Column::Bigint(values);
    let noted = Cow::Borrowed(&distinct);
    let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
    let arrivals: Option<Vec<i64>> = rows.iter().map(|row| row.arrival).collect();
    let selected: Vec<bool> = rows.iter().map(|row| !row.filtered).collect();
    let taken_back: Vec<bool> = rows.iter().map(|row| row.taken_back).collect();
    let input = Input {
        partition: rows.first().map_or(0, |row| row.partition),
        origin: rows.first().map_or(0, |row| row.partition) as u32,
        first,
        noted: Noted {
            columns: std::slice::from_ref(&noted),
            ..Noted::default()
        },
        malformed: &[],
        times: &times,
        arrivals: arrivals.as_deref(),
        selected: selected.contains(&false).then_some(&selected),
        keys: &keys,
        arguments: &arguments,
        carried: &[],
        taken_back: taken_back.contains(&true).then_some(&taken_back),
        distinct: Some(&distinct),
        parts: None,
    };
    let mut panes = Panes::default();
    let done = operator.on_batch(&input, &mut panes);
    done.expect("the types of the plan");
    taken(&panes)
}

/// What is in the log of an operator's changes: the last row of each key, and the header.
#[derive(Debug, Default)]
pub struct Log {
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    header: Vec<u8>,
}

impl Log {
    /// Adds what has changed.
    pub fn take(&mut self, operator: &mut Operator) {
        let taken = operator.take_changes(|key, value| {
            match value {
                Some(value) => self.rows.insert(key.to_owned(), value.to_owned()),
                None => self.rows.remove(key),
            };
        });
        taken.expect("states");
        self.header = operator.save_header().expect("a header");
    }

    /// Makes an operator that is empty hold what the log holds.
    pub fn restore(&self, mut operator: Operator) -> Result<Operator, Corrupt> {
        operator.load_header(&self.header)?;
        for (key, value) in &self.rows {
            operator.restore_row(key, value)?;
        }
        Ok(operator)
    }
}

/// Returns panes as values of their own.
pub fn taken(panes: &Panes) -> Vec<Pane> {
    let panes = panes.iter().map(|pane| Pane {
        is_retraction: pane.firing.is_retraction,
        window: pane.firing.window,
        key: pane.key().next().map(|key| match key {
            ValueRef::Text(text) => Some(text.to_owned()),
            _ => None,
        }),
        values: pane.values.to_vec(),
        timing: pane.firing.timing,
        index: pane.firing.index,
        is_last: pane.firing.is_last,
    });
    panes.collect()
}

/// Returns an integer of a pane, null being none.
pub fn integer(value: &Value) -> i128 {
    match value {
        Value::Integer(value) => *value,
        _ => 0,
    }
}

fn text(keys: Values<&str>) -> Cow<'_, Column<'_>> {
    Cow::Owned(Column::Text(keys))
}
