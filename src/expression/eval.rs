//! Typed tree × batch → a column, and the rows that failed.
//!
//! The tree is walked once per batch, never per row. Every operand is evaluated for every row; a
//! row that fails (a bigint beyond its range, a text that is not a number) is null and marked, and
//! the mark is lifted where the value does not matter: beside a false in `and`, beside a true in
//! `or`, in a branch of `case` that is not taken, in an argument of `coalesce` behind the one that
//! is chosen. So the outcome of a row is the same as if it were evaluated alone, in any order of
//! operands.

use std::borrow::Cow;
use std::cell::Cell;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use rust_decimal::Decimal;

use super::cast::cast;
use super::convert::is_number;
use super::failure::{Failure, merged, out_of_range};
use super::functions::{Arguments, Matters, Parameter, check_growth};
use super::kernel::{self, Element, Operand};
use super::like::like;
use super::logic::Logic;
use super::scalar::{Reason, Scalar};
use super::syntax::{Arithmetic, Comparison, Connective, Test};
use super::tree::{Operation, Pattern, Set, Typed};
use crate::column::{Column, Columns, DataType, Values};
use crate::number::{self, Number, unsigned_zero};

/// What a node came to.
pub(super) struct Outcome<'b, 'a> {
    pub operand: Operand<'b, 'a>,
    /// By row, each row at most once; those rows are null in the operand.
    pub failures: Vec<Failure>,
}

/// A batch under evaluation.
#[derive(Clone, Copy)]
pub(super) struct Batch<'b, 'a> {
    pub columns: &'b Columns<'a>,
    /// Where texts that are not in the batch live.
    pub arena: &'a Bump,
}

/// Returns the value of a tree without columns.
pub(super) fn constant(typed: &Typed) -> Result<Scalar<Box<str>>, Failure> {
    let arena = Bump::new();
    let columns = Columns {
        rows: 1,
        ..Columns::default()
    };
    let batch = Batch {
        columns: &columns,
        arena: &arena,
    };
    let mut outcome = batch.evaluate(typed);
    match outcome.failures.pop() {
        Some(failure) => Err(failure),
        None => Ok(outcome.operand.get(0).to_owned()),
    }
}

impl<'b, 'a> Batch<'b, 'a> {
    /// Returns what `typed` comes to in every row.
    pub fn evaluate(self, typed: &Typed) -> Outcome<'b, 'a> {
        let rows = self.columns.rows;
        match &typed.operation {
            Operation::Null => sound(Operand::Constant(Scalar::Null)),
            Operation::Constant(constant) => sound(Operand::Constant(self.borrowed(constant))),
            Operation::Column(index) => {
                let column = &self.columns.columns[*index];
                debug_assert_eq!(column.len(), rows, "column {index} is decoded");
                sound(Operand::Column(Cow::Borrowed(column)))
            }
            Operation::Negate(operand) => self.negate(operand, typed),
            Operation::Not(operand) => {
                let Outcome { operand, failures } = self.evaluate(operand);
                let negated = kernel::unary(operand.view::<bool>(), rows, |value| !value);
                outcome(negated, failures)
            }
            Operation::Logical(connective, operands) => {
                let mut logic = Logic::new(*connective);
                for operand in operands {
                    if logic.is_decided() {
                        break;
                    }
                    let Outcome { operand, failures } = self.evaluate(operand);
                    logic.add(self.booleans(operand), failures);
                }
                outcome(logic.values, logic.failures)
            }
            Operation::Compare(comparison, left, right) => {
                let data_type = left.data_type;
                let (left, right, failures) = self.both(left, right);
                let [left, right] = [left, right].map(|operand| match data_type {
                    DataType::Any if self.columns.decimal_comma => self.with_points(&operand),
                    _ => operand,
                });
                let compared = kernel::compare(*comparison, data_type, &left, &right, rows);
                failed_to_null(compared, failures)
            }
            Operation::Arithmetic(..) => self.arithmetic(typed),
            Operation::Concatenate(left, right) => {
                let (left, right, failures) = self.both(left, right);
                let fits = |left: &str, right: &str| {
                    check_growth(left.len() + right.len(), left.len().max(right.len())).is_ok()
                };
                let has_beyond = Cell::new(false);
                let join = |left: &str, right: &str| {
                    if fits(left, right) {
                        self.join(&[left, right])
                    } else {
                        has_beyond.set(true);
                        ""
                    }
                };
                let joined = kernel::binary(left.view(), right.view(), rows, join);
                if !has_beyond.get() {
                    return outcome(joined, failures);
                }
                let (left, right) = (left.view::<&str>(), right.view::<&str>());
                let is_beyond = |row: &usize| match (left.get(*row), right.get(*row)) {
                    (Some(left), Some(right)) => !fits(left, right),
                    _ => false,
                };
                let beyond: Vec<usize> = (0..rows).filter(is_beyond).collect();
                failed_to_null(joined, merged(failures, out_of_range(&beyond, typed)))
            }
            Operation::Is {
                operand,
                test,
                negated,
            } => {
                let Outcome { operand, failures } = self.evaluate(operand);
                let mut values = match test {
                    Test::Null => kernel::nulls(&operand, rows),
                    Test::True | Test::False => {
                        let (view, wanted) = (operand.view::<bool>(), *test == Test::True);
                        (0..rows).map(|row| view.get(row) == Some(wanted)).collect()
                    }
                };
                if *negated {
                    values.iter_mut().for_each(|value| *value = !*value);
                }
                let nulls = Vec::new();
                failed_to_null(Values { values, nulls }, failures)
            }
            Operation::Between { operand, low, high } => {
                let data_type = operand.data_type;
                let operand = self.evaluate(operand);
                let mut logic = Logic::new(Connective::And);
                let bounds = [
                    (Comparison::GreaterOrEqual, low),
                    (Comparison::LessOrEqual, high),
                ];
                for (comparison, bound) in bounds {
                    self.compare_into(&mut logic, comparison, data_type, &operand, bound);
                }
                outcome(logic.values, logic.failures)
            }
            Operation::In { operand, list } => {
                let data_type = operand.data_type;
                let operand = self.evaluate(operand);
                let mut logic = Logic::new(Connective::Or);
                for item in list {
                    self.compare_into(&mut logic, Comparison::Equal, data_type, &operand, item);
                }
                outcome(logic.values, logic.failures)
            }
            Operation::Member {
                operand,
                set,
                has_null,
            } => {
                let Outcome { operand, failures } = self.evaluate(operand);
                let mut found = match set {
                    Set::Bigint(set) => {
                        kernel::unary(operand.view::<i64>(), rows, |value| set.contains(&value))
                    }
                    Set::Text(set) => {
                        kernel::unary(operand.view::<&str>(), rows, |value| set.contains(value))
                    }
                };
                if *has_null {
                    let missing: Vec<usize> = (0..rows).filter(|row| !found.values[*row]).collect();
                    kernel::set_null(&mut found, &missing);
                }
                outcome(found, failures)
            }
            Operation::Like { operand, pattern } => {
                let text = self.evaluate(operand);
                match pattern {
                    Pattern::Constant(matcher) => {
                        let view = text.operand.view::<&str>();
                        let matched = kernel::unary(view, rows, |text| matcher.matches(text));
                        outcome(matched, text.failures)
                    }
                    Pattern::Each { pattern, escape } => {
                        let pattern = self.evaluate(pattern);
                        let (texts, patterns) = (text.operand.view(), pattern.operand.view());
                        let matched = kernel::binary(texts, patterns, rows, |text, pattern| {
                            like(text, pattern, *escape)
                        });
                        outcome(matched, merged(text.failures, pattern.failures))
                    }
                }
            }
            Operation::Case { .. } => self.case(typed),
            Operation::Cast { operand, attempt } => self.cast(operand, *attempt, typed),
            Operation::Call {
                function,
                arguments,
            } => {
                let shares = |at: usize| function.parameter(at).is_shared();
                let widens = |data_type| {
                    let mut shared = arguments.iter().enumerate();
                    shared.any(|(at, argument)| shares(at) && argument.data_type == data_type)
                };
                let (numbers, undeclared) = (widens(DataType::Number), widens(DataType::Any));
                let fractional = function.parameter(0) == Parameter::Fractional;
                let mut arguments: Vec<Outcome> = arguments
                    .iter()
                    .map(|argument| self.evaluate(argument))
                    .collect();
                if let Some(matters) = function.matters {
                    lift(&mut arguments, matters);
                }
                let strict = function.strict;
                self.by_row(typed, arguments, |arguments| {
                    if numbers {
                        widen(arguments, shares, fractional);
                    }
                    let is_null = |argument: &Scalar<&str>| matches!(argument, Scalar::Null);
                    if strict && arguments.iter().any(is_null) {
                        return Ok(Scalar::Null);
                    }
                    let arguments = Arguments {
                        values: arguments,
                        undeclared,
                    };
                    (function.body)(arguments, self.arena)
                })
            }
        }
    }

    fn both(self, left: &Typed, right: &Typed) -> (Operand<'b, 'a>, Operand<'b, 'a>, Vec<Failure>) {
        let (left, right) = (self.evaluate(left), self.evaluate(right));
        (
            left.operand,
            right.operand,
            merged(left.failures, right.failures),
        )
    }

    fn negate(self, operand: &Typed, typed: &Typed) -> Outcome<'b, 'a> {
        let rows = self.columns.rows;
        let Outcome { operand, failures } = self.evaluate(operand);
        if typed.data_type == DataType::Number && !operand.is_bigint() {
            let zero = Operand::Constant(Scalar::Bigint(0));
            let negated = kernel::numbers(Arithmetic::Subtract, &zero, &operand, rows);
            return outcome(negated, failures);
        }
        if typed.data_type == DataType::Double {
            return outcome(
                kernel::unary(operand.view::<f64>(), rows, |value| -value),
                failures,
            );
        }
        if typed.data_type == DataType::Decimal {
            let negated = kernel::unary(operand.view::<Decimal>(), rows, |value| {
                unsigned_zero(-value)
            });
            return outcome(negated, failures);
        }
        let zero = kernel::View::All(Some(0));
        let subtract = Arithmetic::Subtract;
        let (values, beyond) = kernel::integers(subtract, zero, operand.view(), rows);
        outcome(values, merged(failures, out_of_range(&beyond, typed)))
    }

    fn arithmetic(self, typed: &Typed) -> Outcome<'b, 'a> {
        let Operation::Arithmetic(operation, left, right) = &typed.operation else {
            unreachable!("called for arithmetic alone");
        };
        let rows = self.columns.rows;
        let (left, right, failures) = self.both(left, right);
        if typed.data_type == DataType::Number {
            if left.is_bigint() && right.is_bigint() {
                let (values, beyond) =
                    kernel::integers(*operation, left.view(), right.view(), rows);
                if beyond.is_empty() {
                    return outcome(values, failures);
                }
            }
            let values = kernel::numbers(*operation, &left, &right, rows);
            return outcome(values, failures);
        }
        if typed.data_type == DataType::Double {
            let values = kernel::doubles(*operation, left.view(), right.view(), rows);
            return outcome(values, failures);
        }
        if typed.data_type == DataType::Decimal {
            let (values, beyond) = kernel::decimals(*operation, left.view(), right.view(), rows);
            return outcome(values, merged(failures, out_of_range(&beyond, typed)));
        }
        let (values, beyond) = kernel::integers(*operation, left.view(), right.view(), rows);
        outcome(values, merged(failures, out_of_range(&beyond, typed)))
    }

    /// Compares `operand` with a part of `between` or `in`, and connects the answer.
    fn compare_into(
        self,
        logic: &mut Logic,
        comparison: Comparison,
        data_type: DataType,
        operand: &Outcome<'b, 'a>,
        part: &Typed,
    ) {
        let part = self.evaluate(part);
        let rows = self.columns.rows;
        let compared =
            kernel::compare(comparison, data_type, &operand.operand, &part.operand, rows);
        logic.add(compared, merged(operand.failures.clone(), part.failures));
    }

    fn case(self, typed: &Typed) -> Outcome<'b, 'a> {
        let Operation::Case {
            operand,
            branches,
            otherwise,
        } = &typed.operation
        else {
            unreachable!("called for case alone");
        };
        let rows = self.columns.rows;
        let compared = operand
            .as_ref()
            .map(|operand| (operand.data_type, self.evaluate(operand)));
        // Which branch a row takes: the first whose condition is true, else the last of all.
        const FAILED: usize = usize::MAX;
        let undecided = branches.len();
        let mut taken = vec![undecided; rows];
        let mut failures = Vec::new();
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (branch, (when, then)) in branches.iter().enumerate() {
            let mut condition = self.evaluate(when);
            if let Some((data_type, compared)) = &compared {
                let equal = kernel::compare(
                    Comparison::Equal,
                    *data_type,
                    &compared.operand,
                    &condition.operand,
                    rows,
                );
                let failures = merged(compared.failures.clone(), condition.failures);
                condition = outcome(equal, failures);
            }
            for failure in condition.failures {
                if taken[failure.row] == undecided {
                    taken[failure.row] = FAILED;
                    failures.push(failure);
                }
            }
            let holds = condition.operand.view::<bool>();
            for (row, taken) in taken.iter_mut().enumerate() {
                if *taken == undecided && holds.get(row) == Some(true) {
                    *taken = branch;
                }
            }
            results.push(self.evaluate(then));
        }
        results.push(match otherwise {
            Some(otherwise) => self.evaluate(otherwise),
            None => sound(Operand::Constant(Scalar::Null)),
        });
        for (branch, result) in results.iter_mut().enumerate() {
            let its_own = result
                .failures
                .drain(..)
                .filter(|failure| taken[failure.row] == branch);
            failures.extend(its_own);
        }
        failures.sort_by_key(|failure| failure.row);
        let operand = match typed.data_type {
            DataType::Bigint | DataType::Timestamp => choose::<i64>(&taken, &results),
            DataType::Double => choose::<f64>(&taken, &results),
            DataType::Decimal => choose::<Decimal>(&taken, &results),
            DataType::Boolean => choose::<bool>(&taken, &results),
            DataType::Text => choose::<&str>(&taken, &results),
            DataType::Number => choose_by(&taken, &results, Operand::number),
            DataType::Any => {
                let text = |operand: &Operand<'_, 'a>, row| <&str>::from_scalar(operand.get(row));
                let chosen: Operand<'b, 'a> = choose_by(&taken, &results, text);
                as_any(chosen)
            }
        };
        Outcome { operand, failures }
    }

    fn cast(self, operand: &Typed, attempt: bool, typed: &Typed) -> Outcome<'b, 'a> {
        let (from, to) = (operand.data_type, typed.data_type);
        let result = self.evaluate(operand);
        if self.columns.decimal_comma && from == DataType::Any && is_number(to) {
            return self.by_row(typed, vec![result], |arguments| {
                let number = match arguments[0] {
                    Scalar::Text(text) => self.with_decimal_point(text, to),
                    other => Ok(other),
                };
                match number.and_then(|number| cast(number, from, to, self.arena)) {
                    Err(_) if attempt => Ok(Scalar::Null),
                    result => result,
                }
            });
        }
        if (from, to) == (DataType::Bigint, DataType::Double) {
            let view = result.operand.view::<i64>();
            let values = kernel::unary(view, self.columns.rows, |value| value as f64);
            return outcome(values, result.failures);
        }
        if let Operand::Column(column) = &result.operand {
            match (column.as_ref(), to) {
                (Column::Any(texts), DataType::Text) => {
                    return outcome(texts.clone(), result.failures);
                }
                (Column::Text(texts), DataType::Any) => {
                    let texts = Operand::computed(texts.clone());
                    return Outcome {
                        operand: as_any(texts),
                        failures: result.failures,
                    };
                }
                (Column::Any(texts), DataType::Number) if !attempt => {
                    if let Some(integers) = kernel::read_integers(texts) {
                        return outcome(integers, result.failures);
                    }
                }
                // What was read as a number already.
                (Column::Bigint(_), DataType::Number) => return result,
                _ => {}
            }
        }
        self.by_row(typed, vec![result], |arguments| {
            match cast(arguments[0], from, to, self.arena) {
                Err(_) if attempt => Ok(Scalar::Null),
                result => result,
            }
        })
    }

    /// Returns texts with a point in those that are numbers with a decimal comma.
    fn with_points(self, operand: &Operand<'_, '_>) -> Operand<'b, 'a> {
        let texts = operand.view::<&str>();
        let point = |text: &str| {
            let number = number::with_decimal_point(text);
            &*self.arena.alloc_str(number.as_deref().unwrap_or(text))
        };
        let rows = 0..self.columns.rows;
        let texts: Values<&'a str> = rows.map(|row| texts.get(row).map(point)).collect();
        as_any(Operand::computed(texts))
    }

    /// Returns a number that has a decimal comma with a point.
    fn with_decimal_point(self, text: &'a str, to: DataType) -> Result<Scalar<&'a str>, Reason> {
        match number::with_decimal_point(text) {
            Some(Cow::Borrowed(text)) => Ok(Scalar::Text(text)),
            Some(Cow::Owned(text)) => Ok(Scalar::Text(self.arena.alloc_str(&text))),
            None => Err(Reason::NoSuch(text.chars().take(40).collect(), to)),
        }
    }

    /// Evaluates row by row what has no loop of its own.
    fn by_row(
        self,
        typed: &Typed,
        arguments: Vec<Outcome<'b, 'a>>,
        f: impl Fn(&mut [Scalar<&'a str>]) -> Result<Scalar<&'a str>, Reason>,
    ) -> Outcome<'b, 'a> {
        let rows = self.columns.rows;
        let mut operands = Vec::with_capacity(arguments.len());
        let mut failures = Vec::new();
        for argument in arguments {
            operands.push(argument.operand);
            failures = merged(failures, argument.failures);
        }
        let mut own_failures = Vec::new();
        let mut column = Column::with_capacity(typed.data_type, rows);
        let mut values = vec![Scalar::Null; operands.len()];
        for row in 0..rows {
            for (value, operand) in values.iter_mut().zip(&operands) {
                *value = operand.get(row);
            }
            let result = f(&mut values).unwrap_or_else(|reason| {
                let span = typed.span;
                own_failures.push(Failure { row, span, reason });
                Scalar::Null
            });
            push(&mut column, result);
        }
        let failures = merged(failures, own_failures);
        let failed: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
        match &mut column {
            Column::Bigint(values) => kernel::set_null(values, &failed),
            Column::Double(values) => kernel::set_null(values, &failed),
            Column::Decimal(values) => kernel::set_null(values, &failed),
            Column::Boolean(values) => kernel::set_null(values, &failed),
            Column::Text(values) | Column::Any(values) => kernel::set_null(values, &failed),
            Column::Number(values) => kernel::set_null(values, &failed),
        }
        if let Column::Number(numbers) = &column
            && let Some(integers) = kernel::integers_of(numbers)
        {
            column = Column::Bigint(integers);
        }
        Outcome {
            operand: Operand::Column(Cow::Owned(column)),
            failures,
        }
    }

    fn booleans(self, operand: Operand<'b, 'a>) -> Values<bool> {
        match operand {
            Operand::Column(column) => match column.into_owned() {
                Column::Boolean(values) => values,
                _ => unreachable!("the checker made sure of a condition"),
            },
            Operand::Constant(constant) => {
                kernel::same(bool::from_scalar(constant), self.columns.rows)
            }
        }
    }

    fn borrowed(self, constant: &Scalar<Box<str>>) -> Scalar<&'a str> {
        match constant {
            Scalar::Null => Scalar::Null,
            Scalar::Bigint(value) => Scalar::Bigint(*value),
            Scalar::Double(value) => Scalar::Double(*value),
            Scalar::Decimal(value) => Scalar::Decimal(*value),
            Scalar::Boolean(value) => Scalar::Boolean(*value),
            Scalar::Text(value) => Scalar::Text(self.arena.alloc_str(value)),
        }
    }

    fn join(self, parts: &[&str]) -> &'a str {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut joined = ArenaString::with_capacity_in(length, self.arena);
        parts.iter().for_each(|part| joined.push_str(part));
        joined.into_bump_str()
    }
}

fn sound<'b, 'a>(operand: Operand<'b, 'a>) -> Outcome<'b, 'a> {
    Outcome {
        operand,
        failures: Vec::new(),
    }
}

fn outcome<'b, 'a, T: Element<'a>>(values: Values<T>, failures: Vec<Failure>) -> Outcome<'b, 'a> {
    Outcome {
        operand: Operand::computed(values),
        failures,
    }
}

/// As [`outcome`], for operations that turn null into a value: a failed row stays null.
fn failed_to_null<'b, 'a, T: Element<'a>>(
    mut values: Values<T>,
    failures: Vec<Failure>,
) -> Outcome<'b, 'a> {
    let failed: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
    kernel::set_null(&mut values, &failed);
    outcome(values, failures)
}

/// Lifts the mark from arguments in the rows where they do not matter.
fn lift(arguments: &mut [Outcome<'_, '_>], matters: Matters) {
    for nth in 0..arguments.len() {
        let mut failures = std::mem::take(&mut arguments[nth].failures);
        failures.retain(|failure| {
            let values = arguments.iter();
            let values: Vec<_> = values.map(|other| other.operand.get(failure.row)).collect();
            matters(
                Arguments {
                    values: &values,
                    undeclared: false,
                },
                nth,
            )
        });
        arguments[nth].failures = failures;
    }
}

/// Returns for each row the value of the branch it takes; null where there is no such branch.
fn choose<'b, 'a, T: Element<'a>>(taken: &[usize], results: &[Outcome<'b, 'a>]) -> Operand<'b, 'a> {
    let views: Vec<_> = results
        .iter()
        .map(|result| result.operand.view::<T>())
        .collect();
    let values = taken
        .iter()
        .enumerate()
        .map(|(row, branch)| views.get(*branch).and_then(|view| view.get(row)));
    Operand::computed(values.collect())
}

/// As [`choose`], by what `value` reads of an operand.
fn choose_by<'b, 'a, T: Element<'a>>(
    taken: &[usize],
    results: &[Outcome<'b, 'a>],
    value: impl Fn(&Operand<'b, 'a>, usize) -> Option<T>,
) -> Operand<'b, 'a> {
    let chosen = taken.iter().enumerate().map(|(row, branch)| {
        let result = results.get(*branch)?;
        value(&result.operand, row)
    });
    Operand::computed(chosen.collect())
}

/// Returns texts as undeclared values.
fn as_any<'b, 'a>(operand: Operand<'b, 'a>) -> Operand<'b, 'a> {
    match operand {
        Operand::Column(column) => Operand::Column(match column.into_owned() {
            Column::Text(values) => Cow::Owned(Column::Any(values)),
            column => Cow::Owned(column),
        }),
        constant => constant,
    }
}

/// Makes the numbers of a call one type: the widest among them; `fractional`, at least a decimal.
fn widen(values: &mut [Scalar<&str>], is_number: impl Fn(usize) -> bool, fractional: bool) {
    let numbers = || (0..values.len()).filter(|&at| is_number(at));
    let any = |wanted: fn(&Scalar<&str>) -> bool| numbers().any(|at| wanted(&values[at]));
    let double = any(|value| matches!(value, Scalar::Double(_)));
    let decimal = fractional || any(|value| matches!(value, Scalar::Decimal(_)));
    for (at, value) in values.iter_mut().enumerate() {
        let Some(number) = Number::from_scalar(*value).filter(|_| is_number(at)) else {
            continue;
        };
        *value = match number.to_decimal() {
            _ if double => Scalar::Double(number.to_f64()),
            Some(value) if decimal => Scalar::Decimal(value),
            _ => continue,
        };
    }
}

fn push<'a>(column: &mut Column<'a>, value: Scalar<&'a str>) {
    match column {
        Column::Bigint(values) => values.push(i64::from_scalar(value)),
        Column::Double(values) => values.push(f64::from_scalar(value)),
        Column::Decimal(values) => values.push(Decimal::from_scalar(value)),
        Column::Boolean(values) => values.push(bool::from_scalar(value)),
        Column::Text(values) | Column::Any(values) => values.push(<&str>::from_scalar(value)),
        Column::Number(values) => values.push(Number::from_scalar(value)),
    }
}
