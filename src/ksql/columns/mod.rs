//! Windows of a statement on the engine of `k window`: by column, not row by row.
//!
//! ```text
//! lines ─► batch ─► engine::operator ─► panes ─► rest of the query ─► write ─► lines
//!          columns  windows, states              HAVING, SELECT
//! ```
//! [`Windowing`] is the part of a query that the engine computes, from its source to its groups; the
//! plan alone says whether there is one. A line that says something unusual (a number in quotes, a
//! member twice, an envelope) is read by [`records`](super::records) as the row engine reads it, so that
//! both engines give the same rows. `run` has the row engine, which knows all of the language and is
//! what this one is tested against.

mod batch;
mod json;
mod panes;
mod run;
#[cfg(test)]
mod tests;
mod write;

use super::catalog::Source;
use super::expr::Node;
use super::run::{Aggregated, Place};
use super::types::Type;
use crate::column::DataType;
use crate::engine::aggregate::{Accumulator, Function, in_order};
use crate::engine::operator::{Operator, Settings};
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::Result;

pub use panes::lead_on;
pub use run::{Taker, run};
pub use write::Writer;

/// What of a query the window engine computes.
#[derive(Debug)]
pub struct Windowing {
    /// The rows that count; `None` for all.
    pub filter: Option<Node>,
    /// GROUP BY.
    pub keys: Vec<Node>,
    aggregates: Vec<Summary>,
    /// Where the windows are.
    pub windows: Windows,
    /// For how long they take late records, in ms.
    pub grace_ms: i64,
    /// EMIT FINAL.
    pub is_final: bool,
    /// The last of the operators whose place it takes: the groups go on behind it.
    pub behind: Option<Place>,
    /// The columns of SELECT over a group's row; empty until they are planned.
    pub values: Vec<Node>,
    /// Whether HAVING looks at the groups.
    pub is_filtered: bool,
}

/// An aggregate: its argument, and its result from the engine's states.
#[derive(Debug)]
struct Summary {
    argument: Option<Node>,
    kind: SummaryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SummaryKind {
    Count,
    SumInt,
    SumBigint,
    SumDouble,
    MeanOfWhole,
    MeanOfDouble,
    Extreme { greatest: bool, of: WholeOrDouble },
}

/// What `MIN` and `MAX` choose among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WholeOrDouble {
    Int,
    Bigint,
    Double,
}

impl SummaryKind {
    /// Returns the aggregate of a signature; `None` for one that the engine has not, or not as ksqlDB.
    fn of(signature: &str) -> Option<Self> {
        let extreme = |greatest, of| SummaryKind::Extreme { greatest, of };
        Some(match signature {
            "COUNT() BIGINT" | "COUNT(value T) BIGINT" => SummaryKind::Count,
            "SUM(value INT) INT" => SummaryKind::SumInt,
            "SUM(value BIGINT) BIGINT" => SummaryKind::SumBigint,
            "SUM(value DOUBLE) DOUBLE" => SummaryKind::SumDouble,
            "AVG(value INT) DOUBLE" | "AVG(value BIGINT) DOUBLE" => SummaryKind::MeanOfWhole,
            "AVG(value DOUBLE) DOUBLE" => SummaryKind::MeanOfDouble,
            "MIN(value INT) INT" => extreme(false, WholeOrDouble::Int),
            "MIN(value BIGINT) BIGINT" => extreme(false, WholeOrDouble::Bigint),
            "MIN(value DOUBLE) DOUBLE" => extreme(false, WholeOrDouble::Double),
            "MAX(value INT) INT" => extreme(true, WholeOrDouble::Int),
            "MAX(value BIGINT) BIGINT" => extreme(true, WholeOrDouble::Bigint),
            "MAX(value DOUBLE) DOUBLE" => extreme(true, WholeOrDouble::Double),
            _ => return None,
        })
    }

    /// Returns the engine's states; those of AVG are a sum and a count.
    fn accumulators(self, argument: Option<DataType>) -> Result<Vec<Box<dyn Accumulator>>> {
        let whole = Some(DataType::Bigint);
        let count = Function::Count.accumulator(argument);
        Ok(match self {
            SummaryKind::Count => vec![count?],
            SummaryKind::SumInt | SummaryKind::SumBigint => vec![Function::Sum.accumulator(whole)?],
            SummaryKind::SumDouble => vec![in_order::running_sum()],
            SummaryKind::MeanOfWhole => vec![Function::Sum.accumulator(whole)?, count?],
            SummaryKind::MeanOfDouble => vec![in_order::running_sum(), count?],
            SummaryKind::Extreme { greatest, of } => vec![match (of, greatest) {
                (WholeOrDouble::Double, _) => in_order::first_extreme(greatest),
                (_, true) => Function::Max.accumulator(whole)?,
                (_, false) => Function::Min.accumulator(whole)?,
            }],
        })
    }

    /// Returns how many of the engine's states it takes.
    fn width(self) -> usize {
        match self {
            SummaryKind::MeanOfWhole | SummaryKind::MeanOfDouble => 2,
            _ => 1,
        }
    }
}

/// Returns the column of the engine that holds values of a type as they are, if there is one.
fn data_type(of: &Type) -> Option<DataType> {
    Some(match of {
        Type::Boolean => DataType::Boolean,
        Type::Int | Type::Bigint | Type::Date | Type::Time | Type::Timestamp => DataType::Bigint,
        Type::Double => DataType::Double,
        Type::String => DataType::Text,
        _ => return None,
    })
}

impl Windowing {
    /// Returns what the engine computes of a query that groups by `keys`; `None` where it has not all
    /// of it: keys of other types, other aggregates.
    pub fn of(
        filter: Option<Node>,
        keys: &[Node],
        aggregates: &[Aggregated],
        (windows, grace_ms): (Windows, i64),
    ) -> Option<Self> {
        // Of doubles -0 and 0 are two keys in Java and one here.
        let is_key = |key: &Node| {
            let of = key.type_or_string();
            of != Type::Double && data_type(&of).is_some()
        };
        let summary = |aggregate: &Aggregated| {
            let argument = aggregate.arguments.first().cloned();
            let kind = SummaryKind::of(aggregate.function.signature)?;
            Some(Summary { argument, kind })
        };
        let aggregates = aggregates.iter().map(summary).collect::<Option<_>>()?;
        keys.iter().all(is_key).then(|| Windowing {
            filter,
            keys: keys.to_vec(),
            aggregates,
            windows,
            grace_ms,
            is_final: false,
            behind: None,
            values: Vec::new(),
            is_filtered: false,
        })
    }

    /// Says behind which operator the groups go on, and whether each is given out once.
    #[must_use]
    pub fn before(self, behind: Place, is_final: bool) -> Self {
        Windowing {
            behind: Some(behind),
            is_final,
            ..self
        }
    }

    /// Returns the engine's operator, without any state. The last aggregate is the time of the latest
    /// row.
    ///
    /// # Errors
    /// `bug` for an aggregate that does not take its argument.
    pub fn operator(&self) -> Result<Operator> {
        let mut aggregates = Vec::new();
        for summary in &self.aggregates {
            let argument = summary.argument.as_ref();
            let argument = argument.map(|argument| column_type(&argument.type_or_string()));
            aggregates.extend(summary.kind.accumulators(argument)?);
        }
        aggregates.push(in_order::latest());
        let trigger = if self.is_final {
            Trigger::Final
        } else {
            Trigger::CHANGES
        };
        let settings = Settings {
            windows: self.windows.clone(),
            grace_ms: self.grace_ms,
            bound: Bound::Fixed(0),
            trigger,
            refinement: Refinement::Accumulating,
            aggregates,
            distinct: None,
        };
        Ok(Operator::new(settings, 1))
    }

    /// Returns what the columns hold that the operator takes: the keys, then for each of its states
    /// the place of its argument among the expressions, if it has one.
    fn expressions(&self) -> (Vec<&Node>, Vec<Option<usize>>) {
        let mut expressions: Vec<&Node> = self.keys.iter().collect();
        let mut arguments = Vec::new();
        for summary in &self.aggregates {
            let place = summary.argument.as_ref().map(|argument| {
                expressions.push(argument);
                expressions.len() - 1
            });
            arguments.extend(std::iter::repeat_n(place, summary.kind.width()));
        }
        arguments.push(None);
        (expressions, arguments)
    }
}

/// Returns the column that holds values of a type; of those that the engine does not know, which
/// only COUNT takes, it holds that there is one.
fn column_type(of: &Type) -> DataType {
    data_type(of).unwrap_or(DataType::Boolean)
}

/// Returns whether lines of a source's file may be read straight into columns.
fn is_plain(source: &Source) -> bool {
    use super::format::Kind;
    let format = &source.value_format;
    format.kind == Kind::Json
        && source.headers.is_empty()
        && (source.schema.value.len() != 1 || format.is_wrapped != Some(false))
        && source
            .time
            .as_ref()
            .is_none_or(|time| time.pattern.is_none())
}
