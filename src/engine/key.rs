//! Grouping keys as bytes: a tag and a value for each grouping column.
//!
//! Two rows have one key when all their grouping values are equal; null equals null and is a group
//! of its own.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use crate::column::{Column, ValueRef};
use crate::number::{self, Number, canonical_double};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const DOUBLE: u8 = 2;
const BOOLEAN: u8 = 3;
/// A text whose length takes one byte, and one whose length takes four.
pub(super) const SHORT_TEXT: u8 = 4;
const LONG_TEXT: u8 = 5;
const DECIMAL: u8 = 6;
/// As those of texts, for undeclared values.
pub(super) const SHORT_ANY: u8 = 7;
const LONG_ANY: u8 = 8;

/// Appends one value of a row to a key's bytes: a tag, then the value.
pub fn push(key: &mut Vec<u8>, column: &Column<'_>, row: usize) {
    match column {
        Column::Bigint(values) => push_fixed(key, INTEGER, values.get(row).map(i64::to_le_bytes)),
        // -0 and 0 are one group.
        Column::Double(values) => {
            let value = values.get(row).map(canonical_double);
            push_fixed(key, DOUBLE, value.map(f64::to_le_bytes));
        }
        // 1.5 and 1.50 are one group.
        Column::Decimal(values) => {
            let normalized = values.get(row).map(|value| value.normalize().serialize());
            push_fixed(key, DECIMAL, normalized);
        }
        Column::Boolean(values) => push_fixed(key, BOOLEAN, values.get(row).map(|v| [v.into()])),
        Column::Text(values) => push_text(key, [SHORT_TEXT, LONG_TEXT], values.get(row)),
        Column::Any(values) => push_text(key, [SHORT_ANY, LONG_ANY], values.get(row)),
        // Equal numbers are one group, however wide they came.
        Column::Number(values) => match values.get(row).map(Number::canonical) {
            Some(Number::Integer(value)) => push_fixed(key, INTEGER, Some(value.to_le_bytes())),
            Some(Number::Decimal(value)) => push_fixed(key, DECIMAL, Some(value.serialize())),
            Some(Number::Double(value)) => push_fixed(key, DOUBLE, Some(value.to_le_bytes())),
            None => key.push(NULL),
        },
    }
}

fn push_text(key: &mut Vec<u8>, [short, long]: [u8; 2], text: Option<&str>) {
    let Some(text) = text else {
        key.push(NULL);
        return;
    };
    match u8::try_from(text.len()) {
        Ok(length) => key.extend([short, length]),
        Err(_) => {
            key.push(long);
            key.extend((text.len() as u32).to_le_bytes());
        }
    }
    key.extend(text.as_bytes());
}

fn push_fixed<const N: usize>(key: &mut Vec<u8>, tag: u8, bytes: Option<[u8; N]>) {
    match bytes {
        Some(bytes) => {
            key.push(tag);
            key.extend(bytes);
        }
        None => key.push(NULL),
    }
}

/// Makes `key` the bytes of a row's key.
pub(super) fn push_row(key: &mut Vec<u8>, columns: &[Cow<'_, Column<'_>>], row: usize) {
    key.clear();
    columns.iter().for_each(|column| push(key, column, row));
}

/// Returns the values in a key's bytes, in the order in which they were pushed.
pub fn values(mut key: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    std::iter::from_fn(move || {
        let (&tag, rest) = key.split_first()?;
        let (value, rest) = match tag {
            INTEGER => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (ValueRef::Integer(i64::from_le_bytes(*bytes).into()), rest)
            }
            DOUBLE => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (ValueRef::Double(f64::from_le_bytes(*bytes)), rest)
            }
            DECIMAL => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (ValueRef::Decimal(Decimal::deserialize(*bytes)), rest)
            }
            BOOLEAN => {
                let (&[value], rest) = rest.split_first_chunk()?;
                (ValueRef::Boolean(value != 0), rest)
            }
            SHORT_TEXT | SHORT_ANY => {
                let (&length, rest) = rest.split_first()?;
                take_text(tag, rest, length.into())?
            }
            LONG_TEXT | LONG_ANY => {
                let (length, rest) = rest.split_first_chunk()?;
                take_text(tag, rest, u32::from_le_bytes(*length) as usize)?
            }
            _ => (ValueRef::Null, rest),
        };
        key = rest;
        Some(value)
    })
}

fn take_text(tag: u8, bytes: &[u8], length: usize) -> Option<(ValueRef<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let text = std::str::from_utf8(text).ok()?;
    let value = match tag {
        SHORT_ANY | LONG_ANY => ValueRef::Any(text),
        _ => ValueRef::Text(text),
    };
    Some((value, rest))
}

/// Orders two keys by their values, column by column: null first, numbers by size, text by bytes;
/// of undeclared values, numbers before texts.
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let mut left = values(left);
    let mut right = values(right);
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(left), Some(right)) => compare_values(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_values(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (left, right) {
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (ValueRef::Double(left), ValueRef::Double(right)) => left.total_cmp(&right),
        (ValueRef::Decimal(left), ValueRef::Decimal(right)) => left.cmp(&right),
        (ValueRef::Boolean(left), ValueRef::Boolean(right)) => left.cmp(&right),
        (ValueRef::Text(left), ValueRef::Text(right)) => left.cmp(right),
        (ValueRef::Any(left), ValueRef::Any(right)) => number::order(left, right),
        // Else a column has one type: here they are numbers, or one of them is null.
        (left, right) => match (number_of(left), number_of(right)) {
            (Some(left), Some(right)) => left.compare(right),
            _ => (left != ValueRef::Null).cmp(&(right != ValueRef::Null)),
        },
    }
}

fn number_of(value: ValueRef<'_>) -> Option<Number> {
    match value {
        ValueRef::Integer(value) => i64::try_from(value).ok().map(Number::Integer),
        ValueRef::Decimal(value) => Some(Number::Decimal(value)),
        ValueRef::Double(value) => Some(Number::Double(value)),
        ValueRef::Any(text) => Number::parse(text.as_bytes()).filter(|number| !number.is_nan()),
        _ => None,
    }
}

/// Returns a number that orders keys as [`compare`] does, as far as their first values differ: of a
/// number its nearest double, of a text its first 15 bytes; else it is equal.
pub fn prefix(key: &[u8]) -> u128 {
    const NUMBER: u8 = 1;
    const TEXT: u8 = 2;
    let mut bytes = [0; 16];
    let Some(value) = values(key).next() else {
        return 0;
    };
    let rest = &mut bytes[1..];
    let kind = match value {
        ValueRef::Null => return 0,
        ValueRef::Boolean(value) => {
            rest[0] = value.into();
            NUMBER
        }
        value => match (number_of(value), value) {
            (Some(number), _) => {
                // -0 is 0.
                let bits = (number.to_f64() + 0.0).to_bits();
                let negative = bits >> 63 == 1;
                let ordered = if negative { !bits } else { bits | 1 << 63 };
                rest[..8].copy_from_slice(&ordered.to_be_bytes());
                NUMBER
            }
            (None, ValueRef::Text(text) | ValueRef::Any(text)) => {
                let length = text.len().min(rest.len());
                rest[..length].copy_from_slice(&text.as_bytes()[..length]);
                TEXT
            }
            (None, _) => NUMBER,
        },
    };
    bytes[0] = kind;
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::column::Values;

    pub fn key(columns: &[Column<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        columns
            .iter()
            .for_each(|column| push(&mut bytes, column, 0));
        bytes
    }

    pub fn text(text: Option<&str>) -> Column<'_> {
        Column::Text(Values::from_iter([text]))
    }

    pub fn bigint(value: i64) -> Column<'static> {
        Column::Bigint(Values::from_iter([Some(value)]))
    }

    #[test]
    fn keys_give_back_their_values() {
        let bytes = key(&[text(Some("a\0b")), bigint(-7), text(None)]);
        let found: Vec<ValueRef<'_>> = values(&bytes).collect();
        assert_eq!(
            found,
            [
                ValueRef::Text("a\0b"),
                ValueRef::Integer(-7),
                ValueRef::Null
            ]
        );
    }

    #[test]
    fn no_two_rows_share_a_key_by_accident() {
        assert_ne!(
            key(&[text(Some("ab")), text(Some("c"))]),
            key(&[text(Some("a")), text(Some("bc"))])
        );
        assert_ne!(key(&[text(None)]), key(&[text(Some(""))]));
    }

    #[test]
    fn keys_order_by_value_with_null_first() {
        let ascending = [
            text(None),
            text(Some("")),
            text(Some("a")),
            text(Some("aa")),
            text(Some("b")),
        ];
        let keys: Vec<Vec<u8>> = ascending.into_iter().map(|column| key(&[column])).collect();
        assert!(keys.is_sorted_by(|left, right| compare(left, right) == Ordering::Less));
        assert_eq!(
            compare(&key(&[bigint(-2)]), &key(&[bigint(1)])),
            Ordering::Less
        );
    }

    #[test]
    fn a_prefix_orders_as_the_whole_does_where_it_tells_keys_apart() {
        let doubles =
            [-1e9, -0.5, 0.0, 0.5, 7.0].map(|n| Column::Double(Values::from_iter([Some(n)])));
        let integers = [i64::MIN, -3, 0, 9, i64::MAX].map(bigint);
        let texts = ["", "0", "01", "a", "ab"].map(|value| text(Some(value)));
        for column in [&doubles[..], &integers, &texts] {
            let mut keys = vec![key(&[text(None)])];
            keys.extend(
                column
                    .iter()
                    .map(|column| key(std::slice::from_ref(column))),
            );
            assert!(keys.is_sorted_by(|left, right| compare(left, right) == Ordering::Less));
            assert!(keys.is_sorted_by_key(|key| prefix(key)));
        }
    }
}
