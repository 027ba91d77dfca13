//! Panes of the engine → groups as the rest of the query sees them.

use super::{SummaryKind, WholeOrDouble, Windowing};
use crate::column::{Value as EngineValue, ValueRef};
use crate::engine::pane::{Pane, Panes};
use crate::ksql::columns::batch::whole;
use crate::ksql::run::{Event, Headers, Key, Topology};
use crate::ksql::types::Type;
use crate::ksql::value::Value;

/// A column of a group's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key(usize),
    /// An aggregate, and its first state.
    Summary(SummaryKind, usize),
    WindowStart,
    WindowEnd,
    /// The time of its latest row, after so many states.
    Time(usize),
}

/// A value of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'p> {
    Null,
    Text(&'p str),
    Whole(i64),
    Double(f64),
    Boolean(bool),
}

impl Part {
    /// Returns the columns of a group's row: keys, aggregates, the window, ROWTIME.
    pub fn all(windowing: &Windowing) -> Vec<Part> {
        let mut parts: Vec<Part> = (0..windowing.keys.len()).map(Part::Key).collect();
        let mut state = 0;
        for summary in &windowing.aggregates {
            parts.push(Part::Summary(summary.kind, state));
            state += summary.kind.width();
        }
        parts.extend([Part::WindowStart, Part::WindowEnd, Part::Time(state)]);
        parts
    }

    /// Returns its value in a pane.
    pub fn of<'p>(self, pane: &Pane<'p>) -> Cell<'p> {
        match self {
            Part::Key(nth) => match pane.key().nth(nth) {
                Some(ValueRef::Text(text)) => Cell::Text(text),
                Some(ValueRef::Integer(value)) => Cell::Whole(value as i64),
                Some(ValueRef::Boolean(value)) => Cell::Boolean(value),
                _ => Cell::Null,
            },
            Part::Summary(kind, state) => kind.result(&pane.values[state..]),
            Part::WindowStart => Cell::Whole(pane.window().start),
            Part::WindowEnd => Cell::Whole(pane.window().end),
            Part::Time(state) => Cell::Whole(integer(&pane.values[state]).unwrap_or_default()),
        }
    }
}

/// Returns the last 64 bits of a whole number, which is how a sum that is too wide wraps in Java.
fn integer(value: &EngineValue) -> Option<i64> {
    match value {
        EngineValue::Integer(value) => Some(*value as i64),
        _ => None,
    }
}

fn double(value: &EngineValue) -> Option<f64> {
    match value {
        EngineValue::Double(value) => Some(*value),
        _ => None,
    }
}

impl SummaryKind {
    /// Returns the result of an aggregate from its states: of no argument 0, but for MIN and MAX.
    fn result<'p>(self, states: &[EngineValue]) -> Cell<'p> {
        let mean = |sum: f64| match integer(&states[1]) {
            None | Some(0) => Cell::Double(0.0),
            Some(count) => Cell::Double(sum / count as f64),
        };
        let whole = || integer(&states[0]);
        let real = || double(&states[0]);
        match self {
            SummaryKind::Count | SummaryKind::SumBigint => Cell::Whole(whole().unwrap_or_default()),
            SummaryKind::SumInt => Cell::Whole((whole().unwrap_or_default() as i32).into()),
            SummaryKind::SumDouble => Cell::Double(real().unwrap_or_default()),
            SummaryKind::MeanOfWhole => mean(whole().unwrap_or_default() as f64),
            SummaryKind::MeanOfDouble => mean(real().unwrap_or_default()),
            SummaryKind::Extreme {
                of: WholeOrDouble::Double,
                ..
            } => real().map_or(Cell::Null, Cell::Double),
            SummaryKind::Extreme { .. } => whole().map_or(Cell::Null, Cell::Whole),
        }
    }

    /// Returns the type of its result.
    fn returns(self) -> Type {
        match self {
            SummaryKind::SumInt
            | SummaryKind::Extreme {
                of: WholeOrDouble::Int,
                ..
            } => Type::Int,
            SummaryKind::SumDouble
            | SummaryKind::MeanOfWhole
            | SummaryKind::MeanOfDouble
            | SummaryKind::Extreme {
                of: WholeOrDouble::Double,
                ..
            } => Type::Double,
            SummaryKind::Count
            | SummaryKind::SumBigint
            | SummaryKind::Extreme {
                of: WholeOrDouble::Bigint,
                ..
            } => Type::Bigint,
        }
    }
}

impl Cell<'_> {
    fn value(self, of: &Type) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Text(text) => Value::from(text),
            Cell::Whole(value) => whole(value, of),
            Cell::Double(value) => Value::Double(value),
            Cell::Boolean(value) => Value::Boolean(value),
        }
    }
}

/// Returns whether a window is one of ksqlDB's: none begins before 1970.
pub(super) fn is_known(pane: &Pane<'_>) -> bool {
    pane.window().start >= 0
}

/// Returns a pane as the group that the row engine would give out.
fn event_of(windowing: &Windowing, parts: &[Part], pane: &Pane<'_>) -> Event {
    let mut time = 0;
    let value = |part: &Part| {
        let cell = part.of(pane);
        match part {
            Part::Key(nth) => cell.value(&windowing.keys[*nth].type_or_string()),
            Part::Summary(kind, _) => cell.value(&kind.returns()),
            Part::WindowStart | Part::WindowEnd | Part::Time(_) => {
                if let (Part::Time(_), Cell::Whole(at)) = (part, cell) {
                    time = at;
                }
                cell.value(&Type::Bigint)
            }
        }
    };
    let row: Vec<Value> = parts.iter().map(value).collect();
    Event {
        key: Key {
            values: row[..windowing.keys.len()].into(),
            window: Some(pane.window()),
        },
        row: row.into(),
        is_null: false,
        old: None,
        time,
        headers: Headers::default(),
    }
}

/// Leads panes through what comes behind the windows: HAVING, SELECT.
pub fn lead_on(windowing: &Windowing, panes: &Panes, rest: &mut Topology, out: &mut Vec<Event>) {
    let parts = Part::all(windowing);
    for pane in panes.iter().filter(is_known) {
        let event = event_of(windowing, &parts, &pane);
        match windowing.behind {
            Some(behind) => rest.push_behind(behind, event, out),
            None => out.push(event),
        }
    }
}
