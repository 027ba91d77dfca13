//! The aggregates of a plan.

use std::fmt;

use crate::column::DataType;
use crate::engine::aggregate::{Accumulator, Function};
use crate::error::{Error, Result};
use crate::expression::{Call, Expression};

/// One aggregate of a plan.
#[derive(Debug)]
pub struct Aggregate {
    /// The name of its column in the result.
    pub name: String,
    /// The canonical text of its call.
    text: String,
    /// Which function.
    pub function: Function,
    /// Its argument; `None` for `count(*)`.
    pub argument: Option<Expression>,
    /// For `max_by` and `min_by`: what they return of the row that the argument selects.
    pub carried: Option<Expression>,
}

impl Aggregate {
    /// Checks a call of `--agg`, whose whole text is `text`; of rows of which some take others back, if
    /// `net`.
    pub(super) fn new(call: Call, text: &str, net: bool) -> Result<Self> {
        let canonical = call.to_string();
        let span = call.span;
        let wrong = |error: Error| error.at(text, span.start, span.end);
        let mut arguments = call.arguments.into_iter();
        let (mut argument, mut parameter) = (arguments.next(), arguments.next());
        let mut carried = None;
        if Function::carries(&call.function) {
            (carried, argument) = (argument, parameter.take());
        }
        let parameter = parameter.map(|parameter| {
            let span = parameter.span();
            let varies =
                || Error::usage("the second argument is a constant").at(text, span.start, span.end);
            parameter.constant().ok_or_else(varies)
        });
        let parameter = parameter.transpose()?;
        if arguments.next().is_some() {
            return Err(wrong(Error::usage(format!(
                "`{}` takes at most two arguments",
                call.function
            ))));
        }
        let function =
            Function::named(&call.function, call.distinct, parameter.as_ref()).map_err(wrong)?;
        let argument = argument.map(|argument| match function {
            _ if function.calculates_with_doubles() => argument.into_number().decimal_as_double(),
            _ if function.takes_numbers() => argument.into_number(),
            _ => argument,
        });
        let aggregate = Aggregate {
            name: call.name,
            text: canonical,
            function,
            argument,
            carried,
        };
        aggregate.accumulator(net).map_err(wrong)?;
        Ok(aggregate)
    }
    /// Returns the type of its values; a list has type text.
    pub(super) fn data_type(&self) -> DataType {
        let given = self.carried.as_ref().or(self.argument.as_ref());
        self.function.data_type(given.map(Expression::data_type))
    }

    /// Returns what it reads from a record.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.argument.iter().chain(&self.carried)
    }

    /// Returns states without slots; with `net`, for rows of which some take others back.
    pub(super) fn accumulator(&self, net: bool) -> Result<Box<dyn Accumulator>> {
        let argument = self.argument.as_ref().map(Expression::data_type);
        if net {
            self.function.net_accumulator(argument)
        } else {
            self.function.accumulator(argument)
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
