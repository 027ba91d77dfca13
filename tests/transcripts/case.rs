//! Cases: settings, steps, and what is expected of each; and how they are written.

use k::column::{DataType, Value};
use k::engine::aggregate::{Accumulator, Function};
use k::engine::operator::{Operator, Settings};
use k::engine::pane::Refinement;
use k::engine::pane::trigger::Trigger;
use k::engine::watermark::Bound;
use k::engine::window::{ALL_TIME, Window, Windows};

use crate::clock::Notation;
use crate::feed::{Pane, Row};
use crate::ways::Failure;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    pub file: String,
    /// The line of its title.
    pub line: usize,
    /// What it shows.
    pub title: String,
    pub plan: Plan,
    pub steps: Vec<Step>,
    pub notation: Notation,
}

/// The settings of a case.
#[derive(Debug, Clone)]
pub struct Plan {
    pub windows: Windows,
    pub trigger: Trigger,
    pub refinement: Refinement,
    pub grace_ms: i64,
    pub bound: Bound,
    pub partitions: usize,
    pub aggregates: Vec<Aggregate>,
    /// Whether event time is when a record came.
    pub by_arrival: bool,
}

/// An aggregate by its name in a transcript; `count(value)` counts those that are not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    pub name: String,
    pub function: Function,
    pub of_value: bool,
}

/// Something that goes in, and what comes out of it.
#[derive(Debug, Clone)]
pub struct Step {
    pub line: usize,
    /// As it is in the file.
    pub text: String,
    pub action: Action,
    pub panes: Vec<(usize, Pane)>,
    pub facts: Vec<(usize, Fact)>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Record(Record),
    Malformed,
    Watermark(usize, i64),
    Idle(usize, bool),
    Tick(i64),
    End,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub row: Row,
    pub outcome: Outcome,
}

/// What happens to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    OnTime,
    Late(Lateness),
    Expired(Lateness),
    Filtered,
}

/// How late a record was, and for which window, where the case says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lateness {
    pub by_ms: Option<i64>,
    pub window: Option<Window>,
}

/// Something else that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Watermark(i64),
    States(usize),
    /// Record × window: on time, late, expired.
    Windows([u64; 3]),
    GraceNeeded(i64),
}

impl Default for Plan {
    fn default() -> Self {
        let aggregate = |name: &str| Aggregate::parse(name).expect("a known aggregate");
        Plan {
            windows: Windows::Global,
            trigger: Trigger::Final,
            refinement: Refinement::Accumulating,
            grace_ms: 0,
            bound: Bound::Fixed(0),
            partitions: 1,
            aggregates: vec![aggregate("count"), aggregate("sum")],
            by_arrival: false,
        }
    }
}

impl Plan {
    /// Returns an operator that has seen nothing.
    pub fn operator(&self) -> Operator {
        let aggregates = self.aggregates.iter().map(Aggregate::accumulator);
        let settings = Settings {
            windows: self.windows.clone(),
            grace_ms: self.grace_ms,
            bound: self.bound,
            trigger: self.trigger,
            refinement: self.refinement,
            aggregates: aggregates.collect(),
            distinct: None,
        };
        Operator::new(settings, self.partitions)
    }

    /// Returns whether windows include their ends.
    pub fn includes_ends(&self) -> bool {
        matches!(
            self.windows,
            Windows::Session { .. } | Windows::Sliding { .. }
        )
    }
}

impl Aggregate {
    pub fn parse(name: &str) -> Result<Self, String> {
        let (function, of_value) = match name {
            "count" => ("count", false),
            "count(value)" => ("count", true),
            other => (other, true),
        };
        let function = Function::named(function, false, None).map_err(|error| error.to_string())?;
        Ok(Aggregate {
            name: name.to_owned(),
            function,
            of_value,
        })
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        let argument = self.of_value.then_some(DataType::Bigint);
        self.function
            .accumulator(argument)
            .expect("a function of integers")
    }
}

impl Case {
    /// Returns a window as this case writes it.
    pub fn print_window(&self, window: Window) -> String {
        if window == ALL_TIME {
            return "all time".to_owned();
        }
        let close = if self.plan.includes_ends() { ']' } else { ')' };
        format!(
            "[{}, {}{close}",
            self.notation.print(window.start),
            self.notation.print(window.end)
        )
    }

    /// Returns a pane as this case writes it.
    pub fn print_pane(&self, pane: &Pane) -> String {
        let sign = if pane.is_retraction { '-' } else { '+' };
        let key = match &pane.key {
            None => String::new(),
            Some(key) => format!(" {}", key.as_deref().unwrap_or("null")),
        };
        let values = self.plan.aggregates.iter().zip(&pane.values);
        let values: Vec<String> = values
            .map(|(aggregate, value)| format!("{} {}", aggregate.name, print_value(value)))
            .collect();
        format!(
            "{sign} {}{key}: {}; {}, pane {}{}",
            self.print_window(pane.window),
            values.join(", "),
            pane.timing.name().replace('_', " "),
            pane.index,
            if pane.is_last { ", last" } else { "" }
        )
    }

    /// Returns a fact as this case writes it.
    pub fn print_fact(&self, fact: &Fact) -> String {
        match fact {
            Fact::Watermark(at) => format!("watermark {}", self.notation.print(*at)),
            Fact::States(count) => format!("states {count}"),
            Fact::Windows([on_time, late, expired]) => {
                format!("windows {on_time} on time, {late} late, {expired} expired")
            }
            Fact::GraceNeeded(ms) => format!("grace needed {ms}ms"),
        }
    }
}

fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}"),
        Value::Decimal(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Text(text) | Value::Any(text) => text.to_string(),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(print_value).collect();
            format!("[{}]", values.join(", "))
        }
    }
}

impl Case {
    pub fn failure(&self, line: usize, told: String) -> Failure {
        Failure {
            file: self.file.clone(),
            line,
            title: self.title.clone(),
            told,
        }
    }

    /// Returns whether records have keys; `true` as long as there are none.
    pub fn is_keyed(&self) -> bool {
        let mut records = self.records();
        records.next().is_none_or(|record| record.row.key.is_some())
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Record(record) => Some(record),
            _ => None,
        })
    }
}
