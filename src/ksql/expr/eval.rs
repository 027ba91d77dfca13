//! Values of expressions over a row.

use super::super::decimal::Decimal;
use super::super::functions::Call;
use super::super::syntax::{Comparison, Operator};
use super::super::types::Type;
use super::super::value::Value;
use super::{Kind, Node, cast};
use crate::expression::like;

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy)]
pub struct Env<'a> {
    row: &'a [Value],
    /// The arguments of the lambda that is being called.
    parameters: &'a [Value],
    outer: Option<&'a Env<'a>>,
}

impl<'a> Env<'a> {
    /// Returns what there is outside of any lambda.
    pub fn of(row: &'a [Value]) -> Self {
        Env {
            row,
            parameters: &[],
            outer: None,
        }
    }

    fn parameter(&self, up: usize, index: usize) -> Value {
        match (up, self.outer) {
            (0, _) => self.parameters.get(index).cloned().unwrap_or_default(),
            (_, Some(outer)) => outer.parameter(up - 1, index),
            _ => Value::Null,
        }
    }
}

impl Node {
    /// Returns its value over a row: null where it fails.
    pub fn value(&self, row: &[Value]) -> Value {
        self.eval(&Env::of(row)).unwrap_or_default()
    }

    /// Returns whether it is true of a row.
    pub fn holds(&self, row: &[Value]) -> bool {
        matches!(self.value(row), Value::Boolean(true))
    }

    /// Returns its value.
    ///
    /// # Errors
    /// Why there is none.
    pub fn eval(&self, env: &Env) -> Result<Value, String> {
        Ok(match &self.kind {
            Kind::Constant(value) => value.clone(),
            Kind::Column(index) => env.row.get(*index).cloned().unwrap_or_default(),
            Kind::Parameter(up, index) => env.parameter(*up, *index),
            Kind::Negate(inner) => negate(inner.eval(env)?),
            Kind::Not(inner) => match inner.eval(env)? {
                Value::Boolean(value) => Value::Boolean(!value),
                _ => return Err("NOT of null".to_owned()),
            },
            Kind::Arithmetic(operator, left, right) => {
                let (left, right) = (left.eval(env)?, right.eval(env)?);
                arithmetic(*operator, &left, &right, self.of.as_ref())?
            }
            Kind::Comparison(comparison, left, right) => {
                Value::Boolean(compare(*comparison, &left.eval(env)?, &right.eval(env)?))
            }
            Kind::And(left, right) => {
                Value::Boolean(truth(left.eval(env)?)? && truth(right.eval(env)?)?)
            }
            Kind::Or(left, right) => {
                Value::Boolean(truth(left.eval(env)?)? || truth(right.eval(env)?)?)
            }
            Kind::Between(inner, low, high) => {
                let value = inner.eval(env)?;
                let is_within = compare(Comparison::GreaterOrEqual, &value, &low.eval(env)?)
                    && compare(Comparison::LessOrEqual, &value, &high.eval(env)?);
                Value::Boolean(is_within)
            }
            Kind::In(inner, items) => {
                let value = inner.eval(env)?;
                let mut is_in = false;
                for item in items {
                    is_in = is_in || value.equals(&item.eval(env)?);
                }
                Value::Boolean(is_in)
            }
            Kind::Like(inner, pattern, escape) => match (inner.eval(env)?, pattern.eval(env)?) {
                (Value::String(text), Value::String(pattern)) => {
                    Value::Boolean(like::like(&text, &pattern, *escape))
                }
                _ => Value::Boolean(false),
            },
            Kind::IsNull(inner) => {
                Value::Boolean(inner.eval(env).is_ok_and(|value| value.is_null()))
            }
            Kind::Case(whens, otherwise) => {
                for (when, then) in whens {
                    if matches!(when.eval(env)?, Value::Boolean(true)) {
                        return then.eval(env);
                    }
                }
                otherwise.eval(env)?
            }
            Kind::Call(function, arguments, types) => self.call(function, arguments, types, env)?,
            Kind::Cast(inner) => match (&inner.of, &self.of) {
                (Some(from), Some(to)) => cast(&inner.eval(env)?, from, to)?,
                _ => inner.eval(env)?,
            },
            Kind::Field(inner, index) => match inner.eval(env)? {
                Value::Struct(fields) => fields.get(*index).cloned().unwrap_or_default(),
                _ => Value::Null,
            },
            Kind::Element(inner, index) => match (inner.eval(env)?, index.eval(env)?.as_i64()) {
                (Value::Array(elements), Some(index)) => element(&elements, index),
                _ => Value::Null,
            },
            Kind::Entry(inner, key) => match (inner.eval(env)?, key.eval(env)?) {
                (Value::Map(entries), key) => entries
                    .iter()
                    .find(|(known, _)| *known == key)
                    .map(|(_, value)| value.clone())
                    .unwrap_or_default(),
                _ => Value::Null,
            },
            Kind::Array(items) => Value::array(
                items
                    .iter()
                    .map(|item| item.eval(env))
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.eval(env)?, value.eval(env)?)));
                Value::map(entries.collect::<Result<Vec<_>, String>>()?)
            }
            Kind::Struct(items) => Value::structure(
                items
                    .iter()
                    .map(|item| item.eval(env))
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Lambda(_) => Value::Null,
        })
    }

    fn call(
        &self,
        function: &'static super::Scalar,
        arguments: &[Node],
        types: &[Type],
        env: &Env,
    ) -> Result<Value, String> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(argument.eval(env)?);
        }
        let is_lambda = |at: usize| matches!(arguments[at].kind, Kind::Lambda(_));
        if function.is_strict
            && values
                .iter()
                .enumerate()
                .any(|(at, value)| value.is_null() && !is_lambda(at))
        {
            return Ok(Value::Null);
        }
        // What a lambda failed with is what the call failed with.
        let apply = |at: usize, parameters: &[Value]| match &arguments[at].kind {
            Kind::Lambda(body) => body.eval(&Env {
                row: env.row,
                parameters,
                outer: Some(env),
            }),
            _ => Err("not a lambda".to_owned()),
        };
        let returns = self.of.as_ref().unwrap_or(&Type::String);
        (function.body)(&Call {
            values: &values,
            types,
            returns,
            apply: &apply,
        })
    }
}

fn truth(value: Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(value),
        _ => Err("null where a boolean is wanted".to_owned()),
    }
}

/// Returns the element at an index that counts from 1, or from -1 from the end.
fn element(elements: &[Value], index: i64) -> Value {
    let at = match index {
        0 => return Value::Null,
        1.. => index - 1,
        _ => elements.len() as i64 + index,
    };
    usize::try_from(at)
        .ok()
        .and_then(|at| elements.get(at))
        .cloned()
        .unwrap_or_default()
}

fn negate(value: Value) -> Value {
    match value {
        Value::Int(value) => Value::Int(value.wrapping_neg()),
        Value::Bigint(value) => Value::Bigint(value.wrapping_neg()),
        Value::Double(value) => Value::Double(-value),
        Value::Decimal(value) => Value::Decimal(value.negate()),
        other => other,
    }
}

/// Compares as ksqlDB: with null nothing holds but IS DISTINCT FROM.
fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let either_null = left.is_null() || right.is_null();
    let order = || left.compare(right);
    match comparison {
        Comparison::Distinct if either_null => left.is_null() != right.is_null(),
        Comparison::NotDistinct if either_null => left.is_null() == right.is_null(),
        _ if either_null => false,
        Comparison::Equal | Comparison::NotDistinct => left.equals(right),
        // NaN is neither equal to a number nor not equal to it, as in ksqlDB.
        Comparison::NotEqual | Comparison::Distinct => {
            !left.equals(right) && !is_nan(left) && !is_nan(right)
        }
        Comparison::Less => order().is_some_and(|order| order.is_lt()),
        Comparison::LessOrEqual => order().is_some_and(|order| order.is_le()),
        Comparison::Greater => order().is_some_and(|order| order.is_gt()),
        Comparison::GreaterOrEqual => order().is_some_and(|order| order.is_ge()),
    }
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Double(value) if value.is_nan())
}

fn arithmetic(
    operator: Operator,
    left: &Value,
    right: &Value,
    of: Option<&Type>,
) -> Result<Value, String> {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let by_zero = || "division by zero".to_owned();
    match of {
        Some(Type::String) => match (left, right) {
            (Value::String(left), Value::String(right)) => {
                Ok(Value::from(format!("{left}{right}")))
            }
            _ => Ok(Value::Null),
        },
        Some(Type::Int | Type::Bigint) => {
            let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) else {
                return Ok(Value::Null);
            };
            let result = match operator {
                Operator::Add => left.wrapping_add(right),
                Operator::Subtract => left.wrapping_sub(right),
                Operator::Multiply => left.wrapping_mul(right),
                Operator::Divide | Operator::Remainder if right == 0 => return Err(by_zero()),
                Operator::Divide => left.wrapping_div(right),
                Operator::Remainder => left.wrapping_rem(right),
            };
            Ok(if of == Some(&Type::Int) {
                Value::Int(result as i32)
            } else {
                Value::Bigint(result)
            })
        }
        Some(Type::Decimal { precision, scale }) => {
            let (Some(left), Some(right)) = (left.as_decimal(), right.as_decimal()) else {
                return Ok(Value::Null);
            };
            let result = decimal(operator, &left, &right, *scale).ok_or_else(by_zero)?;
            let fitted = result.fit(*precision, *scale);
            fitted
                .map(Value::Decimal)
                .ok_or_else(|| "a decimal with too many digits".to_owned())
        }
        _ => {
            let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else {
                return Ok(Value::Null);
            };
            Ok(Value::Double(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                Operator::Remainder => left % right,
            }))
        }
    }
}

fn decimal(operator: Operator, left: &Decimal, right: &Decimal, scale: u32) -> Option<Decimal> {
    Some(match operator {
        Operator::Add => left.add(right),
        Operator::Subtract => left.subtract(right),
        Operator::Multiply => left.multiply(right),
        Operator::Divide => left.divide(right, scale)?,
        Operator::Remainder => left.remainder(right)?,
    })
}
