//! The functions of expressions: one table, by ksqlDB's names, each with an example that a test
//! runs.
//!
//! A function is called row by row with values of its parameters' types. What differs from
//! ksqlDB: positions and lengths count characters, not UTF-16 units.

mod choice;
mod json;
mod mask;
mod number;
pub(crate) mod pattern;
mod regexp;
mod shape;
mod text;
mod time;

use std::cmp::Ordering;

use bumpalo::Bump;
use rust_decimal::Decimal;

pub use shape::{exchanged, other_order, pattern_of};

use super::scalar::{Reason, Scalar};
use crate::column::DataType;

/// A function of expressions.
#[derive(Debug)]
pub struct Function {
    /// In lower case.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// An expression that calls it.
    pub example: &'static str,
    /// What the example comes to, as text.
    pub result: &'static str,
    alias: Option<&'static str>,
    required: &'static [(&'static str, Parameter)],
    optional: &'static [(&'static str, Parameter)],
    /// Whether the last required parameter may be given any number of times.
    repeats: bool,
    pub(super) returns: Returns,
    /// Whether a null argument makes the result null without a call.
    pub(super) strict: bool,
    pub(super) body: Body,
    /// Says which arguments matter; `None`: all of them.
    pub(super) matters: Option<Matters>,
    check: Check,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Text,
    Bigint,
    Double,
    /// Bigint, double or decimal, the same for all such parameters of a call.
    Number,
    /// Double or decimal; a bigint becomes a double.
    Fractional,
    /// Any type, the same for all such parameters of a call.
    Any,
    Time,
    /// A text that names a unit of time; in the text of an expression quotes may be left out.
    Unit,
}

impl Parameter {
    /// Returns whether all such parameters of a call take one type.
    pub fn is_shared(self) -> bool {
        matches!(
            self,
            Parameter::Number | Parameter::Fractional | Parameter::Any
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Text,
    Bigint,
    Double,
    Boolean,
    Time,
    /// The type of the parameters that take any type or number.
    Same,
}

pub(super) type Body = for<'v, 'a> fn(Arguments<'v, 'a>, &'a Bump) -> Returned<'a>;
pub(super) type Returned<'a> = Result<Scalar<&'a str>, Reason>;
/// Says whether the argument at an index matters, the others being what they are: where it does
/// not, it does not matter either that it failed.
pub(super) type Matters = fn(Arguments<'_, '_>, usize) -> bool;

/// How many bytes longer a text may become than the longest that it was made of. All rows of a
/// batch are in memory at once, and a function within a function multiplies.
pub(super) const MAX_GROWTH: usize = 64 << 10;

/// Fails where a text of `length` bytes has grown too much; `longest` is the longest that it was
/// made of. Whatever makes longer texts asks here.
pub(super) fn check_growth(length: usize, longest: usize) -> Result<(), Reason> {
    if length <= longest.saturating_add(MAX_GROWTH) {
        Ok(())
    } else {
        Err(Reason::OutOfRange(DataType::Text))
    }
}

/// Says which argument, of those that are constants, is wrong and why.
type Check = fn(Constants<'_>) -> Result<(), (usize, String)>;

/// Returns every function, in the order of a table for people.
pub fn all() -> impl Iterator<Item = &'static Function> {
    [
        text::FUNCTIONS,
        mask::FUNCTIONS,
        json::FUNCTIONS,
        regexp::FUNCTIONS,
        number::FUNCTIONS,
        time::FUNCTIONS,
        choice::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Returns the functions of a name in lower case: more than one where the arguments decide.
pub(super) fn named(name: &str) -> impl Iterator<Item = &'static Function> {
    all().filter(move |function| function.names().any(|known| known == name))
}

/// Returns whether a function's first parameter is a unit of time.
pub(super) fn takes_unit(name: &str) -> bool {
    named(name).any(|function| function.parameter(0) == Parameter::Unit)
}

impl Function {
    /// Returns its name and the other name it has, if it has one.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// Returns how it is written: `substring(text, start[, length])`.
    pub fn usage(&self) -> String {
        let required: Vec<&str> = self.required.iter().map(|(name, _)| *name).collect();
        let mut usage = format!("{}({}", self.name, required.join(", "));
        if self.repeats {
            usage.push_str(", …");
        }
        for (name, _) in self.optional {
            usage.push_str(&format!("[, {name}"));
        }
        usage.push_str(&"]".repeat(self.optional.len()));
        usage.push(')');
        usage
    }

    /// Returns whether it can be called with this many arguments.
    pub(super) fn takes(&self, arguments: usize) -> bool {
        let most = self.required.len() + self.optional.len();
        arguments >= self.required.len() && (arguments <= most || self.repeats)
    }

    /// Returns what the argument at an index has to be.
    pub(super) fn parameter(&self, at: usize) -> Parameter {
        let parameters = self.required.iter().chain(self.optional);
        let mut parameters = parameters.map(|(_, parameter)| *parameter);
        let last = self.required.last().map(|(_, parameter)| *parameter);
        parameters.nth(at).or(last).unwrap_or(Parameter::Any)
    }

    /// Returns whether it reads a time by a pattern, and none of this many arguments is its zone.
    pub(super) fn reads_local_time(&self, arguments: usize) -> bool {
        self.required == time::PATTERN && arguments == time::PATTERN.len()
    }

    const fn new(
        name: &'static str,
        required: &'static [(&'static str, Parameter)],
        returns: Returns,
        body: Body,
    ) -> Self {
        Function {
            name,
            summary: "",
            example: "",
            result: "",
            alias: None,
            required,
            optional: &[],
            repeats: false,
            returns,
            strict: true,
            body,
            matters: None,
            check: |_| Ok(()),
        }
    }

    const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    const fn example(mut self, example: &'static str, result: &'static str) -> Self {
        self.example = example;
        self.result = result;
        self
    }

    /// Chooses between its arguments.
    const fn chooses(mut self, matters: Matters) -> Self {
        self.matters = Some(matters);
        self
    }

    /// Looks at arguments that are constants before the first row.
    const fn checks(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Returns which argument is wrong and why, as far as those show it that are constants.
    pub(super) fn check(
        &self,
        arguments: &[Option<&Scalar<Box<str>>>],
    ) -> Result<(), (usize, String)> {
        (self.check)(Constants(arguments))
    }

    const fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    const fn optional(mut self, parameters: &'static [(&'static str, Parameter)]) -> Self {
        self.optional = parameters;
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Calls it with nulls, too.
    const fn sees_null(mut self) -> Self {
        self.strict = false;
        self
    }
}

/// The arguments of a call in an expression, of which some are constants.
#[derive(Debug, Clone, Copy)]
struct Constants<'t>(&'t [Option<&'t Scalar<Box<str>>>]);

impl<'t> Constants<'t> {
    /// Returns an argument that is a constant text.
    fn text(self, at: usize) -> Option<&'t str> {
        match self.0.get(at).copied().flatten() {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The arguments of one call, of the types that the checker made sure of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arguments<'v, 'a> {
    pub values: &'v [Scalar<&'a str>],
    /// Whether texts are undeclared values, which are compared as numbers where they are numbers.
    pub undeclared: bool,
}

impl<'v, 'a> Arguments<'v, 'a> {
    fn get(self, at: usize) -> Scalar<&'a str> {
        self.values.get(at).copied().unwrap_or(Scalar::Null)
    }

    fn each(self) -> impl Iterator<Item = Scalar<&'a str>> + 'v {
        self.values.iter().copied()
    }

    /// Returns a text; empty for null, which only functions that see null are given.
    fn text(self, at: usize) -> &'a str {
        match self.get(at) {
            Scalar::Text(text) => text,
            _ => "",
        }
    }

    /// Returns a bigint; `None` where it is null or left out.
    fn bigint(self, at: usize) -> Option<i64> {
        match self.get(at) {
            Scalar::Bigint(value) => Some(value),
            _ => None,
        }
    }

    /// Returns a double; NaN for null, which only functions that see null are given.
    fn double(self, at: usize) -> f64 {
        match self.get(at) {
            Scalar::Double(value) => value,
            _ => f64::NAN,
        }
    }

    /// Returns a decimal, where it is one.
    fn decimal(self, at: usize) -> Option<Decimal> {
        match self.get(at) {
            Scalar::Decimal(value) => Some(value),
            _ => None,
        }
    }

    /// Compares two texts.
    fn compare(self, left: &str, right: &str) -> Ordering {
        if self.undeclared {
            crate::number::compare(left, right)
        } else {
            left.cmp(right)
        }
    }

    fn is_null(self, at: usize) -> bool {
        self.get(at) == Scalar::Null
    }
}
