//! The plan of a windowed aggregation.
//!
//! In: a [`Query`], as flags ask for it, and the [`Schema`] of the input. Out: a [`Plan`].

mod aggregate;
pub(crate) mod foreign;
mod rank;
pub(crate) mod spec;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::column::{DataType, Schema};
use crate::engine::aggregate::seen;
use crate::engine::combine::handoff::Combining;
use crate::engine::operator::{Operator, Settings};
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::{Error, Result};
use crate::expression::{
    Expression, Item, Kind, add_column, column_named, open_up, parse_calls, parse_list,
    unknown_column,
};
use crate::format::{Layout, Reading, TimeFrom, TimeUnit};
use crate::plan::check_names;
use crate::plan::time::{self, ARRIVAL};
use crate::result::Header;
use crate::result::rank::Ranking;
use crate::result::select::Selection;
pub use aggregate::Aggregate;
pub use rank::Ranked;
pub use text::parse_percentile;

/// A windowed aggregation as typed; all durations in ms.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which records count: an expression of type boolean.
    pub filter: Option<String>,
    /// The grouping expressions, separated by commas; `None` for one group.
    pub by: Option<String>,
    /// The aggregates, separated by commas: `count, sum(duration) as total`.
    pub aggregates: String,
    /// The expression of `--distinct`: each window and key counts one record per value; `None`
    /// counts all.
    pub distinct: Option<String>,
    /// Which column marks retractions.
    pub change: Change,
    /// The columns to write: expressions over the result's columns, separated by commas; `None` for
    /// all.
    pub select: Option<String>,
    /// Which rows of a window are written, and in which order.
    pub ranked: Ranked,
    /// The event time's column or an expression, `@record` for the record's own timestamp, `@arrival` for
    /// processing time, or `None` for the default.
    pub time: Option<String>,
    /// The column of processing time; `None` for the clock.
    pub arrival: Option<String>,
    /// How times are read.
    pub reading: Reading,
    /// Whether numbers in undeclared columns have a decimal comma.
    pub decimal_comma: bool,
    /// Where: the windows.
    pub windows: Windows,
    /// How long after its close a window accepts late records.
    pub grace_ms: i64,
    /// How far ahead of its arrival a record's time may be, in ms; `None` for any time.
    pub ahead_ms: Option<i64>,
    /// How far the watermark stays behind the highest event time.
    pub bound: Bound,
    /// When panes are shown.
    pub trigger: Trigger,
    /// How a pane relates to the one before.
    pub refinement: Refinement,
    /// Whether rows say which pane they are.
    pub panes: bool,
    /// Which columns of a record a journal shows.
    pub noted: Noted,
}

/// Which columns of a record a journal shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Noted {
    /// None: nobody listens.
    #[default]
    Nothing,
    /// Those of keys, time and filter.
    Used,
    /// Columns or expressions, separated by commas.
    Named(String),
}

/// Which column holds `-` if a record takes an earlier one back, and `+` otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// [`Schema::change`], if the schema has one.
    AsSeen,
    /// The named one.
    Column(String),
    /// No column: every record counts.
    Never,
}

/// A windowed aggregation over records of a known schema.
#[derive(Debug)]
pub struct Plan {
    /// Which columns of a record are decoded.
    pub layout: Layout,
    /// Which records count; `None` for all.
    pub filter: Option<Expression>,
    /// The grouping expressions.
    pub by: Vec<Item>,
    /// What is computed.
    pub aggregates: Vec<Aggregate>,
    /// The expression of `--distinct`; `None` if all records count.
    pub distinct: Option<Expression>,
    /// The column that holds `-` if a record takes an earlier one back, and `+` otherwise.
    pub change: Option<usize>,
    /// The columns to write; `None` for all.
    pub(crate) selection: Option<Arc<Selection>>,
    /// Which rows are written; `None` for all.
    pub(crate) ranking: Option<Arc<Ranking>>,
    /// The column of arrivals and its unit; `None` for the clock.
    pub arrival: Option<(usize, TimeUnit)>,
    /// Whether the event time is processing time.
    pub by_arrival: bool,
    /// How far ahead of its arrival a record's time may be, in ms; `None` for any time.
    pub ahead_ms: Option<i64>,
    /// Where: the windows.
    pub windows: Windows,
    /// When panes are shown.
    pub trigger: Trigger,
    /// How a pane relates to the one before.
    pub refinement: Refinement,
    /// The index of the first column that none of the first records had.
    pub(crate) unseen: usize,
    /// What a journal shows of each record.
    pub noted: Vec<Item>,
    /// For how long after its close a window takes late records, in ms.
    pub grace_ms: i64,
    /// How far the watermark stays behind the highest event time.
    pub bound: Bound,
    /// The time zone that days and times without one are of; `None` for UTC.
    pub zone: Option<TimeZone>,
    decimal_comma: bool,
    panes: bool,
}

impl Noted {
    fn named(&self) -> Option<&str> {
        match self {
            Noted::Named(text) => Some(text),
            Noted::Nothing | Noted::Used => None,
        }
    }
}

impl Query {
    /// Returns a query that counts all records of each window, with all else as `k window` has it
    /// without a flag.
    pub fn over(windows: Windows) -> Self {
        Query {
            filter: None,
            by: None,
            aggregates: "count".to_owned(),
            distinct: None,
            change: Change::AsSeen,
            select: None,
            ranked: Ranked::default(),
            time: None,
            arrival: None,
            reading: Reading::default(),
            decimal_comma: false,
            windows,
            grace_ms: 0,
            ahead_ms: None,
            bound: Bound::Fixed(0),
            trigger: Trigger::Final,
            refinement: Refinement::default(),
            panes: false,
            noted: Noted::default(),
        }
    }

    /// Checks the query against the columns of its input. `record_times` says whether the input's
    /// records have a timestamp of their own, as in a topic.
    ///
    /// # Errors
    /// `usage` for an unknown column, a type that does not fit, a missing event time, or two result
    /// columns with one name.
    pub fn plan(&self, mut schema: Schema, record_times: bool) -> Result<Plan> {
        let known = schema.fields.len();
        self.open_up(&mut schema)?;
        let filter = self.filter.as_deref();
        let filter = filter
            .map(|text| Expression::parse_condition(text, &schema))
            .transpose()?;
        let by = self.by.as_deref();
        let by = by.map_or(Ok(Vec::new()), |text| parse_list(text, &schema))?;
        let calls = parse_calls(&self.aggregates, &schema)?.into_iter();
        let change = self.change(&schema)?;
        let net = change.is_some();
        let aggregates = calls.map(|call| Aggregate::new(call, &self.aggregates, net));
        let aggregates: Vec<Aggregate> = aggregates.collect::<Result<_>>()?;
        let distinct = self.distinct(&schema, net)?;
        let arrival = self.arrival.as_deref();
        let arrival = arrival.map(|name| {
            let index = column_index(&schema, name, "--arrival")?;
            TimeFrom::column(index, &self.reading, &schema).map(|_| index)
        });
        let arrival = arrival.transpose()?;
        let by_arrival = self.time.as_deref() == Some(ARRIVAL);
        if by_arrival && self.ahead_ms.is_some() {
            return Err(Error::usage(
                "with `--time @arrival` no record can be ahead of its arrival",
            )
            .hint("leave `--ahead` out, or name the column of event times with `--time`"));
        }
        let time = match (by_arrival, arrival) {
            (false, _) => self.event_time(&schema, record_times)?,
            (true, Some(index)) => TimeFrom::column(index, &self.reading, &schema)?,
            (true, None) => TimeFrom::Nowhere,
        };

        let mut wanted: Vec<usize> = Vec::new();
        let arguments = aggregates.iter().flat_map(Aggregate::expressions);
        let used = filter.iter().chain(by.iter().map(|item| &item.expression));
        let noted = self.noted(&schema, used.clone(), &time, distinct.as_ref())?;
        for expression in used.chain(arguments) {
            wanted.extend_from_slice(expression.columns());
        }
        wanted.extend(noted.iter().flat_map(|item| item.expression.columns()));
        wanted.extend(time.columns());
        wanted.extend(distinct.iter().flat_map(Expression::columns));
        wanted.extend(change);
        wanted.extend(arrival);
        wanted.sort_unstable();
        wanted.dedup();

        let arrival = arrival.map(|index| (index, self.unit_of(&schema, index)));
        let mut plan = Plan {
            layout: Layout {
                schema,
                wanted,
                time,
            },
            filter,
            by,
            aggregates,
            distinct,
            change,
            selection: None,
            ranking: None,
            arrival,
            by_arrival,
            ahead_ms: self.ahead_ms,
            windows: self.windows.clone(),
            trigger: self.trigger,
            refinement: self.refinement,
            unseen: known,
            noted,
            zone: self.reading.zone.clone(),
            decimal_comma: self.decimal_comma,
            grace_ms: self.grace_ms,
            bound: self.bound,
            panes: self.panes,
        };
        check_names(plan.whole_header().names())?;
        plan.ranking = plan.rank(&self.ranked)?.map(Arc::new);
        if let Some(select) = &self.select {
            plan.selection = Some(Arc::new(plan.select(select)?));
        }
        Ok(plan)
    }

    /// Adds the columns that the query names and that none of the first records had.
    fn open_up(&self, schema: &mut Schema) -> Result<()> {
        for (text, kind) in [
            (self.filter.as_deref(), Kind::One),
            (self.by.as_deref(), Kind::List),
            (Some(self.aggregates.as_str()), Kind::Calls),
            (self.distinct.as_deref(), Kind::One),
            (self.noted.named(), Kind::List),
        ] {
            open_up(schema, text.unwrap_or("null"), kind)?;
        }
        let change = match &self.change {
            Change::Column(name) => Some(name.as_str()),
            Change::AsSeen | Change::Never => None,
        };
        time::open_up(schema, self.time.as_deref());
        let named = self.arrival.as_deref().into_iter().chain(change);
        named.for_each(|name| add_column(schema, name));
        Ok(())
    }

    /// Returns the index of the column that marks retractions.
    fn change(&self, schema: &Schema) -> Result<Option<usize>> {
        let name = match &self.change {
            Change::AsSeen => return Ok(schema.change),
            Change::Never => return Ok(None),
            Change::Column(name) => name,
        };
        let index = column_index(schema, name, "--change")?;
        match schema.fields[index].data_type {
            DataType::Text | DataType::Any => Ok(Some(index)),
            other => Err(Error::usage(format!(
                "column `{name}` is of type {other}; `--change` needs text, `+` or `-`"
            ))),
        }
    }

    /// Returns what a journal shows of each record: as named, else the columns that `used` reads,
    /// those of its time, and what tells records apart.
    fn noted<'e>(
        &self,
        schema: &Schema,
        used: impl Iterator<Item = &'e Expression>,
        time: &'e TimeFrom,
        distinct: Option<&Expression>,
    ) -> Result<Vec<Item>> {
        match &self.noted {
            Noted::Nothing => Ok(Vec::new()),
            Noted::Named(text) => {
                let items = parse_list(text, schema)?;
                check_names(items.iter().map(|item| item.name.as_str()))?;
                Ok(items)
            }
            Noted::Used => {
                let columns = used.flat_map(Expression::columns).chain(time.columns());
                let mut columns: BTreeSet<usize> = columns.copied().collect();
                let column = distinct.and_then(Expression::column);
                columns.extend(column);
                let computed = self.distinct.as_deref().filter(|_| column.is_none());
                let columns = columns.into_iter();
                let mut items = columns
                    .map(|index| Item::of_column(schema, index))
                    .collect::<Result<Vec<_>>>()?;
                if let Some(text) = computed {
                    items.extend(parse_list(text, schema)?);
                }
                Ok(items)
            }
        }
    }

    /// Returns the expression of `--distinct`.
    fn distinct(&self, schema: &Schema, net: bool) -> Result<Option<Expression>> {
        let Some(text) = &self.distinct else {
            return Ok(None);
        };
        if let Windows::Session { .. } | Windows::Sliding { .. } = self.windows {
            return Err(Error::usage(
                "`--distinct` does not work with sessions and sliding windows",
            )
            .hint(
                "use `--tumbling`, `--hopping` or `--global`: two sessions that merge may \
                 both hold a value",
            ));
        }
        if net {
            return Err(Error::usage(
                "`--distinct` does not work with records that take others back",
            )
            .hint(
                "with `--change none`, every record counts, whatever is in its column `change`",
            ));
        }
        Expression::parse(text, schema).map(Some)
    }

    /// Returns where event times come from.
    fn event_time(&self, schema: &Schema, record_times: bool) -> Result<TimeFrom> {
        let time = self.time.as_deref();
        let time = time::event_time(time, &self.reading, schema, record_times)?;
        time.map_err(|missing| missing.error(None, schema))
    }

    /// Returns the unit of a time column; a declared timestamp needs none.
    fn unit_of(&self, schema: &Schema, index: usize) -> TimeUnit {
        match schema.fields[index].data_type {
            DataType::Timestamp => TimeUnit::Ms,
            _ => self.reading.unit,
        }
    }
}

fn column_index(schema: &Schema, name: &str, flag: &str) -> Result<usize> {
    column_named(schema, name).ok_or_else(|| unknown_column(schema, name, flag))
}

impl Plan {
    /// Returns an operator that computes the plan over `partitions` partitions.
    ///
    /// # Errors
    /// `usage`, which [`Query::plan`] should already have reported.
    pub fn operator(&self, partitions: usize) -> Result<Operator> {
        let settings = self.settings()?;
        Ok(Operator::new(settings, partitions))
    }

    /// Returns an operator over one partition that pre-aggregates for a downstream one of
    /// [`Plan::operator`].
    ///
    /// # Errors
    /// See [`Plan::operator`].
    pub(crate) fn upstream_operator(&self) -> Result<Operator> {
        let settings = Settings {
            trigger: Trigger::Final,
            ..self.settings()?
        };
        let mut operator = Operator::new(settings, 1);
        let meets = match self.windows {
            // Which neighbours a record joins depends on their order.
            Windows::Session { max_ms, .. } => max_ms.is_none(),
            Windows::Sliding { .. } => false,
            _ => true,
        };
        operator.hand_on(if meets && !self.trigger.counts() {
            Combining::ByWindow
        } else {
            Combining::ByRecord
        });
        Ok(operator)
    }

    fn settings(&self) -> Result<Settings> {
        let aggregates = self.aggregates.iter();
        let net = self.change.is_some();
        let aggregates = aggregates.map(|aggregate| aggregate.accumulator(net));
        let distinct = self.distinct.as_ref();
        Ok(Settings {
            windows: self.windows.clone(),
            grace_ms: self.grace_ms,
            bound: self.bound,
            trigger: self.trigger,
            refinement: self.refinement,
            aggregates: aggregates.collect::<Result<_>>()?,
            distinct: distinct.map(|distinct| seen(distinct.data_type())),
        })
    }

    /// Returns the types that states depend on, each with the text of its expression.
    pub(crate) fn state_types(&self) -> Vec<(String, DataType)> {
        let of = |expression: &Expression| (expression.text().to_owned(), expression.data_type());
        let mut types: Vec<_> = self.by.iter().map(|item| of(&item.expression)).collect();
        let arguments = self.aggregates.iter().flat_map(Aggregate::expressions);
        types.extend(arguments.chain(&self.distinct).map(of));
        types
    }

    /// Continues with states of the types `built_with`: columns declared since then keep their
    /// former type.
    ///
    /// # Errors
    /// The first type that differs, and what it was.
    pub(crate) fn take_over(
        &mut self,
        built_with: &[(String, DataType)],
    ) -> Result<(), (String, DataType, DataType)> {
        let by = self.by.iter_mut().map(|item| &mut item.expression);
        let arguments = self.aggregates.iter_mut();
        let arguments = arguments
            .flat_map(|aggregate| aggregate.argument.iter_mut().chain(&mut aggregate.carried));
        let expressions = by.chain(arguments).chain(&mut self.distinct);
        for (expression, (_, was)) in expressions.zip(built_with) {
            let is = expression.data_type();
            if is != *was && !expression.keep_as(*was) {
                return Err((expression.text().to_owned(), *was, is));
            }
        }
        Ok(())
    }

    /// Returns the columns that are written.
    pub fn header(&self) -> Header {
        let whole = self.whole_header();
        let selection = self.selection.as_ref();
        Header {
            selected: selection.map(|selection| selection.columns()),
            ..whole
        }
    }

    /// Returns all columns of the result.
    fn whole_header(&self) -> Header {
        let by = self
            .by
            .iter()
            .map(|item| (&item.name, item.expression.data_type()));
        let values = self.aggregates.iter();
        let values = values.map(|aggregate| (&aggregate.name, aggregate.data_type()));
        let times = by
            .chain(values)
            .filter(|(_, data_type)| *data_type == DataType::Timestamp);
        Header {
            selected: None,
            decimal_comma: self.decimal_comma,
            times: times.map(|(name, _)| name.clone()).collect(),
            keys: self.by.iter().map(|item| item.name.clone()).collect(),
            values: self
                .aggregates
                .iter()
                .map(|aggregate| aggregate.name.clone())
                .collect(),
            change: self.takes_back(),
            panes: self.panes,
        }
    }

    /// Returns whether parts of the input can be computed separately and merged: windows on a grid
    /// that fire once, and a watermark that does not depend on everything read so far.
    pub(crate) fn can_be_computed_in_parts(&self) -> bool {
        let fires_once = self.trigger == Trigger::Final && self.arrival.is_none();
        let by_time = matches!(self.bound, Bound::Fixed(_)) && !self.by_arrival;
        self.is_on_a_grid() && fires_once && by_time && self.distinct.is_none()
    }

    /// Returns whether windows are the same for all keys.
    pub(crate) fn is_on_a_grid(&self) -> bool {
        matches!(
            self.windows,
            Windows::Aligned(_) | Windows::Calendar(_) | Windows::Global
        )
    }

    /// Returns whether a row may take an earlier one back: always when retracting, and also if a
    /// session that was shown may become part of another.
    fn takes_back(&self) -> bool {
        let session = matches!(self.windows, Windows::Session { .. });
        match self.refinement {
            Refinement::Retracting => true,
            Refinement::Accumulating => session && self.trigger != Trigger::Final,
            Refinement::Discarding => false,
        }
    }

    /// Returns the columns chosen by `--select`.
    fn select(&self, text: &str) -> Result<Selection> {
        let whole = self.whole();
        let items = parse_list(text, &whole.schema)?;
        check_names(items.iter().map(|item| item.name.as_str()))?;
        Ok(Selection { whole, items })
    }
}
