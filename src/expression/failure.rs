//! Rows that failed, and how they are reported.

use super::functions::MAX_GROWTH;
use super::scalar::Reason;
use super::syntax::Span;
use super::tree::Typed;
use crate::column::{DataType, Misfit};
use crate::number::{self, Number};

/// A row that failed, and where in the expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub row: usize,
    pub span: Span,
    pub reason: Reason,
}

impl Failure {
    /// Says what failed; `text` is what the expression was parsed from.
    pub fn describe(&self, text: &str) -> Misfit {
        let part = text.get(self.span.start..self.span.end).unwrap_or(text);
        let misfit = match &self.reason {
            Reason::OutOfRange(DataType::Text) => {
                let most = MAX_GROWTH >> 10;
                format!("`{part}` makes a text more than {most} KiB longer")
            }
            Reason::OutOfRange(to) => format!("`{part}` is beyond the range of {to}"),
            Reason::NoSuch(value, to) => format!("`{part}`: `{value}` is not a {to}"),
            Reason::Wrong(wrong) => format!("`{part}`: {wrong}"),
        };
        let misfit = Misfit::from(misfit);
        match &self.reason {
            Reason::NoSuch(value, DataType::Number) => {
                let null = format!("`try_cast({part} as double)` gives null for such a value");
                misfit.or(match flag_that_reads(value) {
                    Some(flag) => format!("{flag}; {null}"),
                    None => null,
                })
            }
            _ => misfit,
        }
    }
}

/// Returns which flag reads a text that is not a number as it is, and as what.
fn flag_that_reads(text: &str) -> Option<String> {
    const NULLS: [&str; 6] = ["n/a", "na", "null", "none", "-", "--"];
    let text = text.trim_ascii();
    if number::with_decimal_point(text)
        .is_some_and(|number| Number::parse(number.as_bytes()).is_some())
    {
        return Some("`--decimal-comma` reads such numbers in CSV".to_owned());
    }
    let is_null = NULLS.iter().any(|null| null.eq_ignore_ascii_case(text));
    is_null.then(|| format!("`--null={text}` reads it as null everywhere"))
}

/// Returns the failures of both by row; where both have one, the first's.
pub(super) fn merged(mut first: Vec<Failure>, mut second: Vec<Failure>) -> Vec<Failure> {
    if first.is_empty() {
        return second;
    }
    first.append(&mut second);
    first.sort_by_key(|failure| failure.row); // stable: the first's stay in front
    first.dedup_by_key(|failure| failure.row);
    first
}

/// Returns a failure of each row whose result is beyond its type.
pub(super) fn out_of_range(rows: &[usize], typed: &Typed) -> Vec<Failure> {
    let (span, reason) = (typed.span, Reason::OutOfRange(typed.data_type));
    let failure = |row: &usize| Failure {
        row: *row,
        span,
        reason: reason.clone(),
    };
    rows.iter().map(failure).collect()
}
