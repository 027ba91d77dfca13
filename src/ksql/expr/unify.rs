//! The type that several expressions have in common, and each of them as a value of it.
//!
//! For lists that a person writes: `x IN (…)`, `ARRAY[…]`, `MAP(…)`. Numbers widen, a text that is
//! written out becomes a number or boolean where the others are such, structs take the fields of all.

use super::super::decimal::Decimal;
use super::super::syntax::{Expr, ExprKind};
use super::super::types::{Field, Type};
use super::super::value::{Value, text_of};
use super::cast::parse_boolean;
use super::{Kind, Node};

/// Returns the narrowest type that holds values of both.
pub(super) fn common(left: &Type, right: &Type) -> Option<Type> {
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        (Type::Array(left), Type::Array(right)) => Some(Type::array(common(left, right)?)),
        (Type::Map(left_key, left), Type::Map(right_key, right)) => Some(Type::map(
            common(left_key, right_key)?,
            common(left, right)?,
        )),
        (Type::Struct(left), Type::Struct(right)) => {
            let mut fields = left.clone();
            for field in right {
                match fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => known.of = common(&known.of, &field.of)?,
                    None => fields.push(field.clone()),
                }
            }
            Some(Type::Struct(fields))
        }
        _ if *left == Type::Double && right.is_number() => Some(Type::Double),
        _ if *right == Type::Double && left.is_number() => Some(Type::Double),
        _ => {
            let ((left_digits, left_scale), (right_digits, right_scale)) =
                (left.as_decimal()?, right.as_decimal()?);
            if left_scale == 0
                && right_scale == 0
                && left.width() < Some(2)
                && right.width() < Some(2)
            {
                return Some(Type::Bigint);
            }
            let scale = left_scale.max(right_scale);
            let whole = (left_digits - left_scale).max(right_digits - right_scale);
            Some(Type::Decimal {
                precision: whole + scale,
                scale,
            })
        }
    }
}

/// Returns the type of a decimal that is written out.
pub(crate) fn decimal_of_literal(value: &Decimal) -> Type {
    let scale = value.scale();
    Type::Decimal {
        precision: value.precision().max(scale),
        scale,
    }
}

/// Returns the type that items have in common; texts that are written out count only if all are.
/// `None` if all are NULL.
///
/// # Errors
/// The items that do not go together, in a sentence.
pub(super) fn common_of(items: &[(&Expr, &Node)]) -> Result<Option<Type>, String> {
    let mut found: Option<Type> = None;
    let mut fold = |is_wanted: &dyn Fn(&Expr) -> bool| -> Result<(), String> {
        for (expr, node) in items {
            let Some(of) = node.of.as_ref().filter(|_| is_wanted(expr)) else {
                continue;
            };
            found = Some(match found.take() {
                None => of.clone(),
                Some(Type::String) if is_literal(expr) => Type::String,
                Some(known) => match common(&known, of).or_else(|| written_as(expr, &known)) {
                    Some(common) => common,
                    None => {
                        return Err(format!("operator does not exist: {known} = {of} ({expr})"));
                    }
                },
            });
        }
        Ok(())
    };
    fold(&|expr| !matches!(*expr.kind, ExprKind::String(_)))?;
    let strings_alone = found.is_none();
    if strings_alone {
        return Ok(items
            .iter()
            .any(|(_, node)| node.of.is_some())
            .then_some(Type::String));
    }
    Ok(found)
}

fn is_literal(expr: &Expr) -> bool {
    matches!(
        *expr.kind,
        ExprKind::Boolean(_)
            | ExprKind::Int(_)
            | ExprKind::Bigint(_)
            | ExprKind::Double(_)
            | ExprKind::Decimal(_)
    )
}

/// Returns a type that what is written out may still become: a constructor whose parts may.
fn written_as(expr: &Expr, known: &Type) -> Option<Type> {
    let is_constructor = matches!(
        *expr.kind,
        ExprKind::Array(_) | ExprKind::Map(_) | ExprKind::Struct(_)
    );
    is_constructor.then(|| known.clone())
}

/// Returns an item as a value of the common type.
///
/// # Errors
/// Why it cannot be one.
pub(super) fn coerce(expr: &Expr, node: Node, to: &Type) -> Result<Node, String> {
    let Some(of) = &node.of else {
        return Ok(node.cast_to(to.clone()));
    };
    if of == to {
        return Ok(node);
    }
    if let Some(constant) = node.as_constant() {
        return constant_as(constant, of, to).map(|value| Node {
            kind: Kind::Constant(value),
            of: Some(to.clone()),
        });
    }
    match (node.kind, &*expr.kind, to) {
        (Kind::Array(nodes), ExprKind::Array(items), Type::Array(element)) => {
            let nodes: Result<Vec<Node>, String> = items
                .iter()
                .zip(nodes)
                .map(|(item, node)| coerce(item, node, element))
                .collect();
            Ok(Node {
                kind: Kind::Array(nodes?),
                of: Some(to.clone()),
            })
        }
        (Kind::Map(nodes), ExprKind::Map(items), Type::Map(key_type, value_type)) => {
            let entries: Result<Vec<(Node, Node)>, String> = items
                .iter()
                .zip(nodes)
                .map(|((key, value), (key_node, value_node))| {
                    Ok((
                        coerce(key, key_node, key_type)?,
                        coerce(value, value_node, value_type)?,
                    ))
                })
                .collect();
            Ok(Node {
                kind: Kind::Map(entries?),
                of: Some(to.clone()),
            })
        }
        (Kind::Struct(nodes), ExprKind::Struct(items), Type::Struct(fields)) => {
            let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
            let values: Result<Vec<Node>, String> = fields
                .iter()
                .map(|Field { name, of }| {
                    let at = items.iter().position(|(known, _)| known.text == *name);
                    match at.and_then(|at| Some((at, nodes[at].take()?))) {
                        Some((at, node)) => coerce(&items[at].1, node, of),
                        None => Ok(Node {
                            kind: Kind::Constant(Value::Null),
                            of: Some(of.clone()),
                        }),
                    }
                })
                .collect();
            Ok(Node {
                kind: Kind::Struct(values?),
                of: Some(to.clone()),
            })
        }
        (kind, _, _) => {
            let from = of.clone();
            let node = Node {
                kind,
                of: Some(from.clone()),
            };
            match common(&from, to) {
                Some(common) if common == *to => Ok(node.cast_to(to.clone())),
                _ => Err(format!("operator does not exist: {to} = {from} ({expr})")),
            }
        }
    }
}

fn decimal_of_literal_text(text: &str) -> Type {
    Decimal::parse(text.trim()).map_or(Type::Bigint, |value| decimal_of_literal(&value))
}

fn constant_as(value: &Value, from: &Type, to: &Type) -> Result<Value, String> {
    let invalid = |text: &str| format!("invalid input syntax for type {to}: \"{text}\"");
    match (value, to) {
        (Value::String(text), Type::Boolean) => parse_boolean(text.trim())
            .map(Value::Boolean)
            .ok_or_else(|| invalid(text)),
        (Value::String(text), _) if to.is_number() => {
            let value = Decimal::parse(text.trim()).ok_or_else(|| invalid(text))?;
            let (digits, _) = to.as_decimal().unwrap_or((19, 0));
            // What the type does not hold is compared by value, and equal to none of it.
            let fits = value.scale() == 0 && value.precision() < digits;
            if fits || *to == Type::Double {
                super::cast(&Value::Decimal(value), &decimal_of_literal_text(text), to)
            } else {
                Ok(Value::Decimal(value))
            }
        }
        (_, Type::String) => Ok(text_of(value, from).map_or(Value::Null, Value::from)),
        _ => super::cast(value, from, to),
    }
}
