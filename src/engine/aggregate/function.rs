//! The aggregates by name, with what they take; their table for people.

use rust_decimal::Decimal;

use super::argument::{AsItStood, Kept};
use super::choice::Beside;
use super::count::{NotNull, Rows};
use super::deviation::Deviation;
use super::distinct::Distinct;
use super::extremes::Extreme;
use super::hyperloglog::HyperLogLog;
use super::mode::Mode;
use super::net::{Net, Retract};
use super::order::{Collect, End};
use super::quantile::{Bucketed, NetQuantile, Quantile, Share};
use super::sum::{DecimalSum, DoubleMean, DoubleSum, Mean, NumberMean, NumberSum, Sum};
use super::top::Top;
use super::{Accumulator, States};
use crate::column::{DataType, Value};
use crate::error::{Error, Result};
use crate::number::Number;

/// Which function an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Rows, or rows whose argument is not null.
    Count,
    /// How many different arguments there are, exactly.
    CountDistinct,
    /// How many different arguments there are, about.
    ApproxDistinct,
    /// The sum: exact for `bigint` and `decimal`, whatever its size; rounded once for `double`.
    Sum,
    /// The smallest argument.
    Min,
    /// The largest argument.
    Max,
    /// The mean, a `double`.
    Avg,
    /// The sample standard deviation, a `double`.
    Stddev,
    /// The smallest argument that such a share of all does not exceed, within 0.4 %.
    Quantile(Share),
    /// The largest arguments, at most this many.
    Top(u32),
    /// The argument of the first row by event time.
    First,
    /// The argument of the last row by event time.
    Last,
    /// The arguments of the first rows by event time, at most this many.
    Collect(u32),
    /// What a row carries where its argument is the largest; of equal ones the first by event time.
    MaxBy,
    /// What a row carries where its argument is the smallest, in the same way.
    MinBy,
    /// The argument that came most often; of several the smallest.
    Mode,
}

/// An aggregate, for people.
#[derive(Debug)]
pub struct Description {
    /// How it is written.
    pub usage: &'static str,
    /// What it gives, in one sentence.
    pub summary: &'static str,
    /// A call over rows in which `x` is 4, 1, 3, 3 and null.
    pub(crate) example: &'static str,
    /// What the example comes to, as JSON.
    pub(crate) result: &'static str,
}

/// The most values that `top` and `collect` keep.
const MAX_VALUES: i128 = 10_000;

/// Every aggregate, in the order of a table for people.
const ALL: [Description; 16] = [
    describe("count", "The number of rows.", "count", "5"),
    describe(
        "count(x)",
        "The number of rows whose argument is not null.",
        "count(x)",
        "4",
    ),
    describe(
        "count(distinct x)",
        "The number of distinct arguments, exactly.",
        "count(distinct x)",
        "3",
    ),
    describe(
        "approx_distinct(x)",
        "The number of distinct arguments in bounded memory: exact up to 256, then HyperLogLog with a standard error of 1.6 %.",
        "approx_distinct(x)",
        "3",
    ),
    describe(
        "sum(x)",
        "The sum: exact for bigint and decimal, of any size; for double the exact sum, rounded once. An undeclared column is summed with as many digits as it has.",
        "sum(x)",
        "11",
    ),
    describe(
        "min(x)",
        "The smallest argument; texts are compared by bytes. In an undeclared column, the smallest number as it was written, or a text if there are no numbers.",
        "min(x)",
        "1",
    ),
    describe(
        "max(x)",
        "The largest argument, compared like `min`.",
        "max(x)",
        "4",
    ),
    describe(
        "max_by(x, y), min_by(x, y)",
        "The value of x in the row where y is largest, or smallest; the first by event time if several are. Rows where either is null are skipped.",
        "max_by(x, -x)",
        "1",
    ),
    describe(
        "mode(x)",
        "The most frequent argument; the smallest if there are several. Like count(distinct x), it keeps each distinct one in memory.",
        "mode(x)",
        "3",
    ),
    describe(
        "avg(x)",
        "The mean, a double: the exact sum divided by the number of arguments, rounded once.",
        "avg(x)",
        "2.75",
    ),
    describe(
        "stddev(x)",
        "The sample standard deviation (n − 1), a double, rounded once; null for fewer than two arguments.",
        "stddev(x)",
        "1.2583057392117916",
    ),
    describe(
        "p50(x) … p99.9(x)",
        "The percentile by nearest rank: exact up to 64 arguments, then at most 0.4 % off.",
        "p50(x)",
        "3",
    ),
    describe(
        "quantile(x, q)",
        "The same, for a share from 0 to 1.",
        "quantile(x, 0.25)",
        "1",
    ),
    describe(
        "top(x, n)",
        "The n largest arguments, the largest first, as a list.",
        "top(x, 2)",
        "[4,3]",
    ),
    describe(
        "first(x), last(x)",
        "The argument of the first or last row by event time; ties by partition and offset.",
        "last(x)",
        "3",
    ),
    describe(
        "collect(x, n)",
        "The arguments of the first n rows by event time, as a list.",
        "collect(x, 3)",
        "[4,1,3]",
    ),
];

const fn describe(
    usage: &'static str,
    summary: &'static str,
    example: &'static str,
    result: &'static str,
) -> Description {
    Description {
        usage,
        summary,
        example,
        result,
    }
}

/// Returns every aggregate, in the order of a table for people.
pub fn all() -> &'static [Description] {
    &ALL
}

impl Function {
    /// Returns whether it puts its arguments in order, or shows them as they are.
    pub(crate) fn orders_or_shows(self) -> bool {
        matches!(
            self,
            Function::Min
                | Function::Max
                | Function::Top(_)
                | Function::MaxBy
                | Function::MinBy
                | Function::First
                | Function::Last
                | Function::Collect(_)
                | Function::Mode
        )
    }

    /// Returns the function of a name in lower case. `distinct` is before its argument; `parameter`
    /// is its second argument.
    ///
    /// # Errors
    /// `usage`: there is none of that name, or not with such a parameter.
    pub fn named(name: &str, distinct: bool, parameter: Option<&Value>) -> Result<Function> {
        let plain = match name {
            "count" if distinct => Some(Function::CountDistinct),
            "count" => Some(Function::Count),
            "approx_distinct" => Some(Function::ApproxDistinct),
            "sum" => Some(Function::Sum),
            "min" => Some(Function::Min),
            "max" => Some(Function::Max),
            "avg" => Some(Function::Avg),
            "stddev" => Some(Function::Stddev),
            "first" => Some(Function::First),
            "last" => Some(Function::Last),
            "max_by" => Some(Function::MaxBy),
            "min_by" => Some(Function::MinBy),
            "mode" => Some(Function::Mode),
            _ => percentile(name),
        };
        let function = match (plain, name) {
            (Some(plain), _) if parameter.is_none() => plain,
            (Some(_), _) => return Err(Error::usage(format!("`{name}` takes one argument"))),
            (None, "quantile") => Function::Quantile(share(parameter)?),
            (None, "top") => Function::Top(at_most(name, parameter)?),
            (None, "collect") => Function::Collect(at_most(name, parameter)?),
            _ => {
                let known = "count, approx_distinct, sum, min, max, max_by, min_by, mode, avg, \
                             stddev, p50 … p99.9, quantile, top, first, last, collect";
                return Err(Error::usage(format!("unknown aggregate `{name}`"))
                    .hint(format!("the aggregates are {known}")));
            }
        };
        if distinct && function != Function::CountDistinct {
            Err(Error::usage(format!("`{name}` does not take `distinct`")))
        } else {
            Ok(function)
        }
    }

    /// Returns whether a function of this name takes two columns: what it gives, and its argument,
    /// which chooses the row.
    pub(crate) fn carries(name: &str) -> bool {
        matches!(name, "max_by" | "min_by")
    }

    /// Returns the states of this function over arguments of a type; `None` for `count(*)`.
    ///
    /// # Errors
    /// `usage` for an argument that the function does not take.
    pub fn accumulator(self, argument: Option<DataType>) -> Result<Box<dyn Accumulator>> {
        self.check(argument)?;
        Ok(self.states(argument, false))
    }

    /// As [`Function::accumulator`], for rows of which some take earlier ones back.
    ///
    /// # Errors
    /// As there, and for a function that cannot take rows back.
    pub fn net_accumulator(self, argument: Option<DataType>) -> Result<Box<dyn Accumulator>> {
        self.check(argument)?;
        if !self.retracts() {
            let name = self.name();
            return Err(Error::usage(format!(
                "`{name}` cannot take rows back, and the column `change` of the input asks for it"
            ))
            .hint("these can: count, sum, avg, stddev, count(distinct x), mode, p50 … p99.9, quantile")
            .hint("with `--change none`, every record counts, whatever is in its column `change`"));
        }
        Ok(self.states(argument, true))
    }

    /// Says whether it takes arguments of a type.
    fn check(self, argument: Option<DataType>) -> Result<()> {
        use DataType::{Any, Bigint, Decimal, Double, Number, Text, Timestamp};
        let name = self.name();
        let Some(argument) = argument else {
            return match self {
                Function::Count => Ok(()),
                Function::MaxBy | Function::MinBy => Err(Error::usage(format!(
                    "`{name}` needs two arguments, such as `{name}(caller, duration)`"
                ))),
                _ => Err(Error::usage(format!(
                    "`{name}` needs an argument, such as `{name}(duration)`"
                ))),
            };
        };
        let takes = match self {
            Function::Sum => matches!(argument, Bigint | Double | Decimal | Number),
            Function::Avg | Function::Stddev | Function::Quantile(_) => {
                matches!(argument, Bigint | Double | Number)
            }
            Function::Min
            | Function::Max
            | Function::Top(_)
            | Function::MaxBy
            | Function::MinBy => {
                matches!(
                    argument,
                    Bigint | Double | Decimal | Number | Text | Timestamp | Any
                )
            }
            _ => true,
        };
        if takes {
            Ok(())
        } else {
            Err(Error::usage(format!("`{name}` takes no {argument}")))
        }
    }

    /// Returns the type of its values over arguments of a type, which for `max_by` is that of what
    /// it gives; a list is text.
    pub(crate) fn data_type(self, argument: Option<DataType>) -> DataType {
        match self {
            Function::Count | Function::CountDistinct | Function::ApproxDistinct => {
                DataType::Bigint
            }
            Function::Avg | Function::Stddev => DataType::Double,
            Function::Top(_) | Function::Collect(_) => DataType::Text,
            Function::Sum
            | Function::Min
            | Function::Max
            | Function::Quantile(_)
            | Function::First
            | Function::Last
            | Function::MaxBy
            | Function::MinBy
            | Function::Mode => argument.unwrap_or(DataType::Bigint),
        }
    }

    /// Returns whether it takes numbers alone.
    pub(crate) fn takes_numbers(self) -> bool {
        self.calculates_with_doubles() || self == Function::Sum
    }

    /// Returns whether it takes decimals as doubles.
    pub(crate) fn calculates_with_doubles(self) -> bool {
        matches!(
            self,
            Function::Avg | Function::Stddev | Function::Quantile(_)
        )
    }

    fn retracts(self) -> bool {
        matches!(
            self,
            Function::Count
                | Function::CountDistinct
                | Function::Sum
                | Function::Avg
                | Function::Stddev
                | Function::Quantile(_)
                | Function::Mode
        )
    }

    /// Returns the states over arguments that the function takes.
    fn states(self, argument: Option<DataType>, net: bool) -> Box<dyn Accumulator> {
        match argument {
            None => maybe_net(Rows::default(), net),
            Some(DataType::Bigint) => self
                .calculated::<Sum, Mean, i64>(net)
                .unwrap_or_else(|| self.of::<i64>(net)),
            Some(DataType::Double) => self
                .calculated::<DoubleSum, DoubleMean, f64>(net)
                .unwrap_or_else(|| self.of::<f64>(net)),
            Some(DataType::Decimal) if self == Function::Sum => {
                maybe_net(DecimalSum::default(), net)
            }
            Some(DataType::Decimal) => self.of::<Decimal>(net),
            Some(DataType::Boolean) => self.of::<bool>(net),
            Some(DataType::Text) => self.of::<String>(net),
            Some(DataType::Timestamp) => self.of::<i64>(net),
            Some(DataType::Number) => self
                .calculated::<NumberSum, NumberMean, Number>(net)
                .unwrap_or_else(|| self.of::<Number>(net)),
            Some(DataType::Any) => self.of::<AsItStood>(net),
        }
    }

    /// Returns the states of a function that calculates, by what `sum` and `avg` keep of numbers of a
    /// type.
    fn calculated<S, M, T>(self, net: bool) -> Option<Box<dyn Accumulator>>
    where
        S: Retract + Default,
        M: Retract + Default,
        T: Bucketed + for<'a> Kept<Argument<'a> = T>,
        Deviation<T>: Retract,
    {
        Some(match self {
            Function::Sum => maybe_net(S::default(), net),
            Function::Avg => maybe_net(M::default(), net),
            Function::Stddev => maybe_net(Deviation::<T>::default(), net),
            Function::Quantile(share) => quantile::<T>(share, net),
            _ => return None,
        })
    }

    /// Returns the states of a function that takes arguments of any type.
    fn of<T: Kept>(self, net: bool) -> Box<dyn Accumulator> {
        match self {
            Function::CountDistinct => maybe_net(Distinct::<T>::default(), net),
            Function::ApproxDistinct => States::boxed(HyperLogLog::<T>::default()),
            Function::Min => States::boxed(Extreme::<T, false>::default()),
            Function::Max => States::boxed(Extreme::<T, true>::default()),
            Function::Top(most) => States::boxed(Top::<T>::new(most)),
            Function::First => States::boxed(End::<T, false>::default()),
            Function::Last => States::boxed(End::<T, true>::default()),
            Function::Collect(most) => States::boxed(Collect::<T>::new(most)),
            Function::MaxBy => States::boxed(Beside::<T, true>::default()),
            Function::MinBy => States::boxed(Beside::<T, false>::default()),
            Function::Mode => maybe_net(Mode::<T>::default(), net),
            // The others take numbers alone, which `check` has made sure of.
            Function::Count
            | Function::Sum
            | Function::Avg
            | Function::Stddev
            | Function::Quantile(_) => maybe_net(NotNull::default(), net),
        }
    }

    /// Returns the function's name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Count => "count",
            Function::CountDistinct => "count(distinct …)",
            Function::ApproxDistinct => "approx_distinct",
            Function::Sum => "sum",
            Function::Min => "min",
            Function::Max => "max",
            Function::Avg => "avg",
            Function::Stddev => "stddev",
            Function::Quantile(_) => "quantile",
            Function::Top(_) => "top",
            Function::First => "first",
            Function::Last => "last",
            Function::Collect(_) => "collect",
            Function::MaxBy => "max_by",
            Function::MinBy => "min_by",
            Function::Mode => "mode",
        }
    }
}

fn maybe_net<S: Retract>(state: S, net: bool) -> Box<dyn Accumulator> {
    if net {
        States::boxed(Net::new(state))
    } else {
        States::boxed(state)
    }
}

fn quantile<T>(share: Share, net: bool) -> Box<dyn Accumulator>
where
    T: Bucketed + for<'a> Kept<Argument<'a> = T>,
{
    if net {
        States::boxed(Net::new(NetQuantile::<T>::new(share)))
    } else {
        States::boxed(Quantile::<T>::new(share))
    }
}

/// Returns the function of `p50` or `p99.9`.
fn percentile(name: &str) -> Option<Function> {
    let percent = name.strip_prefix('p')?;
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if percent.is_empty() || !percent.bytes().all(plain) {
        return None;
    }
    let percent: f64 = percent.parse().ok()?;
    Share::new(percent / 100.0).map(Function::Quantile)
}

fn share(parameter: Option<&Value>) -> Result<Share> {
    let share = match parameter {
        Some(Value::Double(share)) => Share::new(*share),
        Some(Value::Integer(share)) => Share::new(*share as f64),
        _ => None,
    };
    let wrong =
        || Error::usage("`quantile` needs a share from 0 to 1, such as `quantile(duration, 0.99)`");
    share.ok_or_else(wrong)
}

fn at_most(name: &str, parameter: Option<&Value>) -> Result<u32> {
    match parameter {
        Some(Value::Integer(most @ 1..=MAX_VALUES)) => Ok(*most as u32),
        _ => Err(Error::usage(format!(
            "`{name}` needs a number from 1 to {MAX_VALUES}, such as `{name}(duration, 3)`"
        ))),
    }
}
