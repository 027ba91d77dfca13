//! Which types meet in which, and nodes of the typed tree read as another type.

use super::cast::nearest_decimal;
use super::scalar::Scalar;
use super::syntax::Span;
use super::tree::{Operation, Typed};
use crate::column::DataType;
use crate::number::nearest_double;

/// Returns whether values of a type are numbers.
pub(super) fn is_number(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Bigint | DataType::Double | DataType::Decimal | DataType::Number
    )
}

/// Returns the type that both become, if one is.
pub(super) fn meet(one: DataType, other: DataType) -> Option<DataType> {
    match (one, other) {
        _ if one == other => Some(one),
        (DataType::Number, other) | (other, DataType::Number) if is_number(other) => {
            Some(DataType::Number)
        }
        (DataType::Double, other) | (other, DataType::Double) if is_number(other) => {
            Some(DataType::Double)
        }
        (DataType::Bigint, DataType::Decimal) | (DataType::Decimal, DataType::Bigint) => {
            Some(DataType::Decimal)
        }
        // A bigint beside a time is ms since 1970.
        (DataType::Bigint, DataType::Timestamp) | (DataType::Timestamp, DataType::Bigint) => {
            Some(DataType::Timestamp)
        }
        _ => None,
    }
}

pub(super) fn typed(operation: Operation, data_type: DataType, span: Span) -> Typed {
    Typed {
        operation,
        data_type,
        span,
    }
}

pub(super) fn boolean(operation: Operation, span: Span) -> Typed {
    typed(operation, DataType::Boolean, span)
}

pub(super) fn null(data_type: DataType, span: Span) -> Typed {
    typed(Operation::Constant(Scalar::Null), data_type, span)
}

pub(super) fn is_null(operand: &Typed) -> bool {
    operand.constant() == Some(&Scalar::Null)
}

pub(super) fn literal(value: &Scalar<Box<str>>, span: Span) -> Typed {
    let data_type = match value {
        Scalar::Null => return typed(Operation::Null, DataType::Text, span),
        Scalar::Bigint(_) => DataType::Bigint,
        Scalar::Double(_) => DataType::Double,
        Scalar::Decimal(_) => DataType::Decimal,
        Scalar::Boolean(_) => DataType::Boolean,
        Scalar::Text(_) => DataType::Text,
    };
    typed(Operation::Constant(value.clone()), data_type, span)
}

/// Turns a constant double beside a decimal into a decimal: `price > 1.1`.
pub(super) fn read_decimal(operand: &mut Typed) {
    if let Some(Scalar::Double(value)) = operand.constant()
        && let Ok(value) = nearest_decimal(*value)
    {
        let constant = Operation::Constant(Scalar::Decimal(value));
        *operand = typed(constant, DataType::Decimal, operand.span);
    }
}

pub(super) fn time(at: i64, span: Span) -> Typed {
    let constant = Operation::Constant(Scalar::Bigint(at));
    typed(constant, DataType::Timestamp, span)
}

/// Returns `operand`, where a bare `null` is given a type.
pub(super) fn settled(operand: Typed, data_type: DataType) -> Typed {
    match operand.operation {
        Operation::Null => null(data_type, operand.span),
        _ => operand,
    }
}

/// Returns a number as double or decimal, and a bigint as time, where that is wanted; else as it
/// is.
pub(super) fn converted(operand: Typed, data_type: DataType) -> Typed {
    let is_time = (operand.data_type, data_type) == (DataType::Bigint, DataType::Timestamp);
    // A number is of whatever type its values are.
    let is_number = data_type == DataType::Number && is_number(operand.data_type);
    if is_time || is_number {
        return Typed {
            data_type,
            ..operand
        };
    }
    let widens = matches!(
        (operand.data_type, data_type),
        (DataType::Bigint | DataType::Decimal, DataType::Double)
            | (DataType::Bigint, DataType::Decimal)
            | (DataType::Number, DataType::Double | DataType::Bigint)
    );
    if !widens {
        return operand;
    }
    let span = operand.span;
    let operation = match (operand.constant(), data_type) {
        (Some(Scalar::Bigint(value)), DataType::Double) => {
            Operation::Constant(Scalar::Double(*value as f64))
        }
        (Some(Scalar::Decimal(value)), _) => {
            Operation::Constant(Scalar::Double(nearest_double(*value)))
        }
        (Some(Scalar::Bigint(value)), _) => Operation::Constant(Scalar::Decimal((*value).into())),
        (Some(_), _) => Operation::Constant(Scalar::Null),
        (None, _) => Operation::Cast {
            operand: Box::new(operand),
            attempt: false,
        },
    };
    typed(operation, data_type, span)
}

/// Returns what reads an undeclared column, or such values, as `data_type`; all else as it is. As
/// text they are what they are.
pub(super) fn used_as(operand: Typed, data_type: DataType) -> Typed {
    match (operand.data_type, data_type) {
        (DataType::Any, DataType::Any) => operand,
        (DataType::Any, DataType::Text) => Typed {
            data_type,
            ..operand
        },
        (DataType::Any, _) => {
            let span = operand.span;
            let operation = Operation::Cast {
                operand: Box::new(operand),
                attempt: false,
            };
            typed(operation, data_type, span)
        }
        _ => operand,
    }
}

/// Returns a text as an undeclared value, and a number as one of whatever width.
pub(super) fn kept_as(operand: Typed, data_type: DataType) -> Typed {
    if data_type == DataType::Number {
        return converted(operand, data_type);
    }
    let span = operand.span;
    let operation = Operation::Cast {
        operand: Box::new(operand),
        attempt: false,
    };
    typed(operation, data_type, span)
}

/// Reads an undeclared value as the type of its neighbour: a number beside numbers, else as their
/// type. Among themselves such values stay as they are: they are compared as numbers where they are
/// numbers, and else as texts.
pub(super) fn use_together(operands: Vec<&mut Typed>) {
    let declared = operands.iter().find_map(|operand| {
        let says =
            operand.data_type != DataType::Any && !matches!(operand.operation, Operation::Null);
        says.then_some(operand.data_type)
    });
    let Some(declared) = declared else {
        return;
    };
    let data_type = if is_number(declared) {
        DataType::Number
    } else {
        declared
    };
    for operand in operands {
        let taken = std::mem::replace(operand, null(data_type, operand.span));
        *operand = used_as(taken, data_type);
    }
}
