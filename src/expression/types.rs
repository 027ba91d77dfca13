//! Untyped tree + schema → typed tree, or an error with a caret before the first record.
//!
//! Types meet by few rules: bigint beside double becomes double, `null` takes the type of its
//! neighbours, an undeclared column is read as its use asks, all else must be the same or be cast.
//! What depends only on constants is evaluated here, once.

use super::cast::time_named;
use super::convert::{
    boolean, converted, is_null, is_number, literal, meet, null, read_decimal, settled, time,
    typed, use_together, used_as,
};
use super::eval;
use super::functions;
use super::like::Matcher;
use super::scalar::Scalar;
use super::syntax::{Arithmetic, Binary, Comparison, Node, NodeKind, Span, Test};
use super::tree::{Operation, Pattern, Set, Typed};
use crate::column::{DataType, Schema};
use crate::error::{Error, Result};
use crate::term::units;

/// Above how many constants `in` looks them up instead of comparing with each.
const LOOK_UP_ABOVE: usize = 8;

/// Types the expressions of one text.
pub(super) struct Checker<'c> {
    /// For carets.
    pub text: &'c str,
    pub schema: &'c Schema,
    /// The zone of times that are read by a pattern, where a call names none; `None` for UTC.
    pub zone: Option<&'c str>,
}

impl Checker<'_> {
    /// Returns the typed tree of `node`, and writes the schema's spelling of columns into `node`.
    ///
    /// # Errors
    /// `usage` with a caret: an unknown column or function, types that do not meet, constants
    /// out of range.
    pub fn check(&self, node: &mut Node) -> Result<Typed> {
        let span = node.span;
        let typed = match &mut node.kind {
            NodeKind::Literal(value) => return Ok(literal(value, span)),
            NodeKind::Time(at) => return Ok(time(*at, span)),
            NodeKind::Column { name, quoted } => return self.column(name, *quoted, span),
            NodeKind::Derived(derived) => return self.derived(derived, span),
            NodeKind::Negate(operand) => {
                let operand = self.number(operand, "`-`")?;
                let data_type = operand.data_type;
                typed(Operation::Negate(Box::new(operand)), data_type, span)
            }
            NodeKind::Not(operand) => {
                let operand = self.condition(operand, "`not`")?;
                boolean(Operation::Not(Box::new(operand)), span)
            }
            NodeKind::Logical(connective, operands) => {
                let name = format!("`{connective}`");
                let operands: Result<Vec<Typed>> = operands
                    .iter_mut()
                    .map(|operand| self.condition(operand, &name))
                    .collect();
                boolean(Operation::Logical(*connective, operands?), span)
            }
            NodeKind::Binary {
                operator,
                left,
                right,
            } => {
                let (left, right) = (self.check(left)?, self.check(right)?);
                match operator {
                    Binary::Compare(comparison) => self.compare(*comparison, left, right, span)?,
                    Binary::Arithmetic(operation) => {
                        self.arithmetic(*operation, left, right, span)?
                    }
                    Binary::Concatenate => self.concatenate(left, right, span)?,
                }
            }
            NodeKind::Is {
                operand,
                test,
                negated,
            } => {
                let operand = match test {
                    Test::Null => settled(self.check(operand)?, DataType::Text),
                    _ => self.condition(operand, "`is true` and `is false`")?,
                };
                let operation = Operation::Is {
                    operand: Box::new(operand),
                    test: *test,
                    negated: *negated,
                };
                boolean(operation, span)
            }
            NodeKind::Between {
                operand,
                low,
                high,
                negated,
            } => {
                let mut operands = vec![self.check(operand)?, self.check(low)?, self.check(high)?];
                self.unify(&mut operands, "compare")?;
                self.ordered(&operands[0])?;
                let mut operands = operands.into_iter().map(Box::new);
                match (operands.next(), operands.next(), operands.next()) {
                    (Some(operand), Some(low), Some(high)) => {
                        let operation = Operation::Between { operand, low, high };
                        negate_if(*negated, self.fold(boolean(operation, span))?)
                    }
                    _ => unreachable!("three went in"),
                }
            }
            NodeKind::In {
                operand,
                list,
                negated,
            } => {
                let mut operands = vec![self.check(operand)?];
                for item in list {
                    operands.push(self.check(item)?);
                }
                self.unify(&mut operands, "compare")?;
                let operand = Box::new(operands.remove(0));
                let operation = member_or_in(operand, operands);
                negate_if(*negated, self.fold(boolean(operation, span))?)
            }
            NodeKind::Like {
                operand,
                pattern,
                escape,
                negated,
            } => {
                let operand = Box::new(self.text_operand(operand, "`like`")?);
                let pattern = Box::new(self.text_operand(pattern, "`like`")?);
                let escape = *escape;
                let pattern = match pattern.constant() {
                    Some(Scalar::Null) => return Ok(null(DataType::Boolean, span)),
                    Some(Scalar::Text(constant)) => {
                        Pattern::Constant(Matcher::new(constant, escape))
                    }
                    _ => Pattern::Each { pattern, escape },
                };
                let operation = Operation::Like { operand, pattern };
                negate_if(*negated, self.fold(boolean(operation, span))?)
            }
            NodeKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(
                operand.as_deref_mut(),
                branches,
                otherwise.as_deref_mut(),
                span,
            )?,
            NodeKind::Cast {
                operand,
                to,
                attempt,
            } => {
                let operand = settled(self.check(operand)?, *to);
                self.cast(operand, *to, *attempt, span)?
            }
            NodeKind::Call {
                name,
                name_span,
                arguments,
            } => {
                unit_as_text(name, arguments);
                let arguments: Result<Vec<Typed>> = arguments
                    .iter_mut()
                    .map(|argument| self.check(argument))
                    .collect();
                self.call(name, *name_span, arguments?, span)?
            }
        };
        self.fold(typed)
    }

    /// Returns the typed tree of a whole expression; `null_type` is what a bare `null` would be.
    ///
    /// # Errors
    /// As [`Checker::check`].
    pub fn check_whole(&self, node: &mut Node, null_type: DataType) -> Result<Typed> {
        let typed = settled(self.check(node)?, null_type);
        Ok(match null_type {
            DataType::Boolean => used_as(typed, DataType::Boolean),
            _ => typed,
        })
    }

    /// Returns `typed` evaluated, if it depends only on constants.
    fn fold(&self, typed: Typed) -> Result<Typed> {
        let mut constant = !matches!(typed.operation, Operation::Column(_));
        typed.for_each_child(&mut |child| constant &= child.constant().is_some());
        if !constant || typed.constant().is_some() {
            return Ok(typed);
        }
        let constant = eval::constant(&typed)
            .map_err(|failure| self.error(failure.describe(self.text).reason, failure.span))?;
        Ok(Typed {
            operation: Operation::Constant(constant),
            ..typed
        })
    }

    fn condition(&self, node: &mut Node, what: &str) -> Result<Typed> {
        let operand = settled(self.check(node)?, DataType::Boolean);
        self.need(operand, DataType::Boolean, what, "a condition")
    }

    fn text_operand(&self, node: &mut Node, what: &str) -> Result<Typed> {
        let operand = settled(self.check(node)?, DataType::Text);
        self.need(operand, DataType::Text, what, "text")
    }

    fn number(&self, node: &mut Node, what: &str) -> Result<Typed> {
        let operand = settled(self.check(node)?, DataType::Bigint);
        let operand = used_as(operand, DataType::Number);
        match operand.data_type {
            data_type if is_number(data_type) => Ok(operand),
            _ => self.need(operand, DataType::Bigint, what, "a number"),
        }
    }

    pub fn need(
        &self,
        operand: Typed,
        data_type: DataType,
        what: &str,
        need: &str,
    ) -> Result<Typed> {
        let operand = used_as(operand, data_type);
        if operand.data_type == data_type {
            return Ok(operand);
        }
        let message = format!("{what} needs {need}, not {}", operand.data_type);
        let error = self.error(message, operand.span);
        Err(self.with_cast_hint(error, &operand, data_type))
    }

    fn compare(
        &self,
        comparison: Comparison,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> Result<Typed> {
        let mut operands = vec![left, right];
        self.unify(&mut operands, "compare")?;
        let needs_order = !matches!(
            comparison,
            Comparison::Equal
                | Comparison::NotEqual
                | Comparison::Distinct
                | Comparison::NotDistinct
        );
        if needs_order {
            self.ordered(&operands[0])?;
        }
        let strict = !matches!(comparison, Comparison::Distinct | Comparison::NotDistinct);
        if strict && operands.iter().any(is_null) {
            return Ok(null(DataType::Boolean, span));
        }
        let (left, right) = pair(operands);
        Ok(boolean(Operation::Compare(comparison, left, right), span))
    }

    fn ordered(&self, operand: &Typed) -> Result<()> {
        match operand.data_type {
            DataType::Boolean => Err(self.error("booleans have no order".to_owned(), operand.span)),
            _ => Ok(()),
        }
    }

    fn arithmetic(
        &self,
        operation: Arithmetic,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> Result<Typed> {
        let is_text = |operand: &Typed| {
            operand.data_type == DataType::Text && !matches!(operand.operation, Operation::Null)
        };
        let may_be_text = |operand: &Typed| is_text(operand) || operand.data_type == DataType::Any;
        if operation == Arithmetic::Add
            && (is_text(&left) && may_be_text(&right) || may_be_text(&left) && is_text(&right))
        {
            return self.concatenate(left, right, span);
        }
        let name = format!("`{}`", Binary::Arithmetic(operation));
        let operands = [left, right].map(|operand| used_as(operand, DataType::Number));
        let mut operands = Vec::from(operands);
        for operand in &operands {
            if is_number(operand.data_type) || matches!(operand.operation, Operation::Null) {
                continue;
            }
            let message = format!("{name} needs numbers, not {}", operand.data_type);
            let error = self.error(message, operand.span);
            return Err(match (operation, operands.iter().any(is_text)) {
                (Arithmetic::Add, true) => error.hint("to join texts: `a || cast(n as text)`"),
                _ => self.with_cast_hint(error, operand, DataType::Bigint),
            });
        }
        self.unify(&mut operands, "calculate with")?;
        let data_type = match operands[0].data_type {
            DataType::Text => DataType::Bigint, // two bare nulls
            data_type => data_type,
        };
        if operands.iter().any(is_null) {
            return Ok(null(data_type, span));
        }
        let (left, right) = pair(operands);
        Ok(typed(
            Operation::Arithmetic(operation, left, right),
            data_type,
            span,
        ))
    }

    fn concatenate(&self, left: Typed, right: Typed, span: Span) -> Result<Typed> {
        let mut operands = Vec::with_capacity(2);
        for operand in [left, right] {
            let operand = settled(operand, DataType::Text);
            operands.push(self.need(operand, DataType::Text, "`||`", "text")?);
        }
        if operands.iter().any(is_null) {
            return Ok(null(DataType::Text, span));
        }
        let (left, right) = pair(operands);
        Ok(typed(
            Operation::Concatenate(left, right),
            DataType::Text,
            span,
        ))
    }

    fn case(
        &self,
        operand: Option<&mut Node>,
        branches: &mut [(Node, Node)],
        otherwise: Option<&mut Node>,
        span: Span,
    ) -> Result<Typed> {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        let compared = operand.is_some();
        if let Some(operand) = operand {
            conditions.push(self.check(operand)?);
        }
        for (when, then) in branches {
            conditions.push(if compared {
                self.check(when)?
            } else {
                self.condition(when, "`when`")?
            });
            results.push(self.check(then)?);
        }
        let has_otherwise = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.check(otherwise)?);
        }
        if compared {
            self.unify(&mut conditions, "compare")?;
        }
        self.unify(&mut results, "choose between")?;
        let data_type = results[0].data_type;
        let operand = compared.then(|| Box::new(conditions.remove(0)));
        let otherwise = if has_otherwise {
            results.pop().map(Box::new)
        } else {
            None
        };
        let operation = Operation::Case {
            operand,
            branches: conditions.into_iter().zip(results).collect(),
            otherwise,
        };
        Ok(typed(operation, data_type, span))
    }

    fn cast(&self, operand: Typed, to: DataType, attempt: bool, span: Span) -> Result<Typed> {
        let from = operand.data_type;
        let both_whole = |one, other| (one, other) == (DataType::Bigint, DataType::Timestamp);
        if from == to || both_whole(from, to) || both_whole(to, from) {
            return Ok(Typed {
                span,
                data_type: to,
                ..operand
            });
        }
        let castable = matches!(from, DataType::Text | DataType::Any) || to == DataType::Text;
        let apart = |data_type| matches!(data_type, DataType::Boolean | DataType::Timestamp);
        if !castable && (apart(from) || apart(to)) {
            return Err(self.error(format!("cannot cast {from} to {to}"), span));
        }
        let operation = Operation::Cast {
            operand: Box::new(operand),
            attempt,
        };
        Ok(typed(operation, to, span))
    }

    /// Brings all operands to one type.
    fn unify(&self, operands: &mut Vec<Typed>, doing: &str) -> Result<()> {
        use_together(operands.iter_mut().collect());
        let is_time = |operand: &Typed| operand.data_type == DataType::Timestamp;
        if operands.iter().any(is_time) {
            for operand in operands.iter_mut() {
                self.read_time(operand)?;
            }
        }
        if operands
            .iter()
            .any(|operand| matches!(operand.data_type, DataType::Decimal | DataType::Number))
        {
            operands.iter_mut().for_each(read_decimal);
        }
        let mut common: Option<&Typed> = None;
        let mut data_type = DataType::Text;
        for operand in operands.iter() {
            if matches!(operand.operation, Operation::Null) {
                continue;
            }
            let Some(first) = common else {
                common = Some(operand);
                data_type = operand.data_type;
                continue;
            };
            let Some(met) = meet(data_type, operand.data_type) else {
                let (one, other) = (first.data_type, operand.data_type);
                let span = first.span.to(operand.span);
                let error = self.error(format!("cannot {doing} {one} and {other}"), span);
                return Err(self.with_mismatch_hint(error, first, operand));
            };
            data_type = met;
        }
        *operands = std::mem::take(operands)
            .into_iter()
            .map(|operand| converted(settled(operand, data_type), data_type))
            .collect();
        Ok(())
    }

    /// Turns a text beside a time into a time, if it is a constant.
    pub fn read_time(&self, operand: &mut Typed) -> Result<()> {
        let Some(Scalar::Text(text)) = operand.constant() else {
            return Ok(());
        };
        let Some(at) = time_named(text) else {
            return Err(self
                .error(format!("`{text}` is not a timestamp"), operand.span)
                .hint("write ISO 8601: `2026-01-01T00:00:00Z`"));
        };
        *operand = time(at, operand.span);
        Ok(())
    }

    pub fn error(&self, message: String, span: Span) -> Error {
        Error::usage(message).at(self.text, span.start, span.end)
    }

    fn source(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }

    fn with_cast_hint(&self, error: Error, operand: &Typed, to: DataType) -> Error {
        if operand.data_type == DataType::Boolean || to == DataType::Boolean {
            return error;
        }
        error.hint(format!(
            "convert it: `cast({} as {to})`",
            self.source(operand.span)
        ))
    }

    /// Says how to mend a comparison of text with a number.
    fn with_mismatch_hint(&self, error: Error, left: &Typed, right: &Typed) -> Error {
        let (text, other) = match (left.data_type, right.data_type) {
            (DataType::Text, _) => (left, right),
            (_, DataType::Text) => (right, left),
            _ => return error,
        };
        if other.data_type == DataType::Boolean {
            return error;
        }
        match (text.constant(), other.constant()) {
            (Some(Scalar::Text(constant)), _) => {
                if constant.trim().parse::<f64>().is_ok() {
                    error.hint(format!(
                        "write the number without quotes: `{}`",
                        constant.trim()
                    ))
                } else if constant.contains('-')
                    && let Ok(ms) = units::parse_time(constant, 0)
                {
                    error.hint(format!(
                        "times are ms since 1970: `{ms}`, or `timestamp '{constant}'`"
                    ))
                } else {
                    error
                }
            }
            (None, Some(_)) => error.hint(format!(
                "text goes in single quotes: `'{}'`",
                self.source(other.span)
            )),
            _ => self.with_cast_hint(error, text, other.data_type),
        }
    }
}

/// Makes the bare unit of `timestampadd(days, 1, …)` a text.
fn unit_as_text(name: &str, arguments: &mut [Node]) {
    let Some(first) = arguments.first_mut() else {
        return;
    };
    if let NodeKind::Column {
        name: unit,
        quoted: false,
    } = &first.kind
        && functions::takes_unit(name)
    {
        let unit = unit.to_lowercase().into();
        first.kind = NodeKind::Literal(Scalar::Text(unit));
    }
}

fn negate_if(negated: bool, condition: Typed) -> Typed {
    let span = condition.span;
    if negated {
        boolean(Operation::Not(Box::new(condition)), span)
    } else {
        condition
    }
}

fn pair(operands: Vec<Typed>) -> (Box<Typed>, Box<Typed>) {
    let mut operands = operands.into_iter().map(Box::new);
    match (operands.next(), operands.next()) {
        (Some(left), Some(right)) => (left, right),
        _ => unreachable!("two went in"),
    }
}

/// Returns `in` by looking up where the list is long and constant, else by comparing.
fn member_or_in(operand: Box<Typed>, list: Vec<Typed>) -> Operation {
    let constants: Option<Vec<&Scalar<Box<str>>>> = list.iter().map(Typed::constant).collect();
    let set = match (constants, operand.data_type) {
        (Some(constants), DataType::Bigint) if constants.len() > LOOK_UP_ABOVE => {
            let values = constants.iter().filter_map(|constant| match constant {
                Scalar::Bigint(value) => Some(*value),
                _ => None,
            });
            Set::Bigint(values.collect())
        }
        (Some(constants), DataType::Text) if constants.len() > LOOK_UP_ABOVE => {
            let values = constants.iter().filter_map(|constant| match constant {
                Scalar::Text(value) => Some(value.clone()),
                _ => None,
            });
            Set::Text(values.collect())
        }
        _ => return Operation::In { operand, list },
    };
    let has_null = list.iter().any(is_null);
    Operation::Member {
        operand,
        set,
        has_null,
    }
}
