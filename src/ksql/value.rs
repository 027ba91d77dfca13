//! Values, and how Java writes them.
//!
//! A value is compared, hashed and kept in a state by itself alone: a type says how it is read and
//! written. Nested values are shared, so that a row is copied without them.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::decimal::Decimal;
use super::types::Type;

/// A value of any [`Type`].
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// None, of any type.
    #[default]
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// INT.
    Int(i32),
    /// BIGINT.
    Bigint(i64),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL.
    Decimal(Decimal),
    /// STRING.
    String(Arc<str>),
    /// BYTES.
    Bytes(Arc<[u8]>),
    /// DATE, in days since 1970.
    Date(i32),
    /// TIME, in ms since midnight.
    Time(i32),
    /// TIMESTAMP, in ms since 1970, UTC.
    Timestamp(i64),
    /// ARRAY.
    Array(Arc<Vec<Value>>),
    /// MAP; the order of entries is that in which they came and does not count.
    Map(Arc<Vec<(Value, Value)>>),
    /// STRUCT: the fields' values in the order of the type.
    Struct(Arc<Vec<Value>>),
}

impl Value {
    /// Returns whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Returns an array.
    pub fn array(elements: Vec<Value>) -> Self {
        Value::Array(Arc::new(elements))
    }

    /// Returns a struct of fields' values in the order of its type.
    pub fn structure(fields: Vec<Value>) -> Self {
        Value::Struct(Arc::new(fields))
    }

    /// Returns a map; of entries with one key the last counts.
    pub fn map(entries: impl IntoIterator<Item = (Value, Value)>) -> Self {
        let mut map: Vec<(Value, Value)> = Vec::new();
        for (key, value) in entries {
            match map.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => map.push((key, value)),
            }
        }
        Value::Map(Arc::new(map))
    }

    /// Returns the text of a STRING.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number: INT, BIGINT, and days or ms of times.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(value) | Value::Date(value) | Value::Time(value) => Some((*value).into()),
            Value::Bigint(value) | Value::Timestamp(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns a number as a double.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Double(value) => Some(*value),
            Value::Decimal(value) => Some(value.to_f64()),
            _ => self.as_i64().map(|value| value as f64),
        }
    }

    /// Returns a number as a decimal; a double by its shortest digits.
    pub fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Value::Decimal(value) => Some(value.clone()),
            Value::Double(value) => Decimal::of_double(*value),
            _ => self.as_i64().map(Decimal::from),
        }
    }

    /// Compares values of one type, numbers of different types by value; `None` where one is null,
    /// NaN, or of a type without order.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
            (Value::String(left), Value::String(right)) => Some(compare_texts(left, right)),
            (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            (Value::Double(_), _) | (_, Value::Double(_)) => {
                self.as_f64()?.partial_cmp(&other.as_f64()?)
            }
            (Value::Decimal(_), _) | (_, Value::Decimal(_)) => {
                Some(self.as_decimal()?.compare(&other.as_decimal()?))
            }
            _ => match (self.as_i64(), other.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => None,
            },
        }
    }

    /// Returns whether a comparison by `=` holds: numbers by value, nested values part by part.
    pub fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Array(left), Value::Array(right))
            | (Value::Struct(left), Value::Struct(right)) => {
                left.len() == right.len() && left.iter().zip(right.iter()).all(both_null_or_equal)
            }
            (Value::Map(left), Value::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| {
                        let found = right.iter().find(|(other, _)| key.equals(other));
                        found.is_some_and(|(_, other)| both_null_or_equal((value, other)))
                    })
            }
            _ => self.compare(other).is_some_and(Ordering::is_eq),
        }
    }
}

fn both_null_or_equal((left, right): (&Value, &Value)) -> bool {
    left.equals(right) || (left.is_null() && right.is_null())
}

/// Compares as Java's `String.compareTo`: by UTF-16 units.
fn compare_texts(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, T::into)
    }
}

/// As Java's `equals`, by which keys are found: NaN is itself, 1.0 is not 1.00.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Boolean(left), Value::Boolean(right)) => left == right,
            (Value::Int(left), Value::Int(right))
            | (Value::Date(left), Value::Date(right))
            | (Value::Time(left), Value::Time(right)) => left == right,
            (Value::Bigint(left), Value::Bigint(right))
            | (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
            (Value::Double(left), Value::Double(right)) => {
                left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
            }
            (Value::Decimal(left), Value::Decimal(right)) => left == right,
            (Value::String(left), Value::String(right)) => left == right,
            (Value::Bytes(left), Value::Bytes(right)) => left == right,
            (Value::Array(left), Value::Array(right))
            | (Value::Struct(left), Value::Struct(right)) => left == right,
            (Value::Map(left), Value::Map(right)) => {
                left.len() == right.len() && left.iter().all(|entry| right.contains(entry))
            }
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Boolean(value) => value.hash(state),
            Value::Int(value) | Value::Date(value) | Value::Time(value) => value.hash(state),
            Value::Bigint(value) | Value::Timestamp(value) => value.hash(state),
            Value::Double(value) if value.is_nan() => f64::NAN.to_bits().hash(state),
            Value::Double(value) => value.to_bits().hash(state),
            Value::Decimal(value) => value.hash(state),
            Value::String(value) => value.hash(state),
            Value::Bytes(value) => value.hash(state),
            Value::Array(values) | Value::Struct(values) => values.hash(state),
            // Whatever the order of the entries.
            Value::Map(entries) => {
                let of_entry = |entry: &(Value, Value)| {
                    let mut hasher = DefaultHasher::new();
                    entry.hash(&mut hasher);
                    hasher.finish()
                };
                let sum = entries.iter().map(of_entry).fold(0u64, u64::wrapping_add);
                sum.hash(state);
            }
        }
    }
}

/// Writes a double as Java's `Double.toString`: `1.0`, `1.0E10`, `NaN`, `-Infinity`.
pub fn java_double(value: f64) -> String {
    let mut text = String::new();
    write_java_double(value, |part| text.push_str(part));
    text
}

/// As [`java_double`], to where it is wanted.
pub fn write_java_double(value: f64, mut write: impl FnMut(&str)) {
    if value.is_nan() {
        return write("NaN");
    }
    if value.is_infinite() {
        return write(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let magnitude = value.abs();
    // The shortest digits that read as this double, without an exponent.
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return write(ryu::Buffer::new().format_finite(value));
    }
    if (f64::from_bits(MANY_DIGITS)..i64::MAX as f64).contains(&magnitude) {
        return write(&java_long(value));
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => {
            write(&format!("{digits}.0E{exponent}"));
        }
        _ => write(&text),
    }
}

/// 2^53, from which a double holds whole numbers alone.
const MANY_DIGITS: u64 = 0x4340_0000_0000_0000;

/// Writes a double of 2^53 to 2^63. Java (before 19) does not look for the shortest digits here: it
/// takes the whole number, but for the digits that are not significant.
fn java_long(value: f64) -> String {
    let mut digits = value.abs() as u64;
    // The number has so many bits more than a double keeps.
    let lost_bits = (digits.ilog2() - 53).saturating_sub(1);
    let unit = 10u64.pow((1u64 << lost_bits).ilog10());
    let is_up = unit > 1 && digits % unit >= unit / 2;
    let dropped = unit.ilog10();
    digits = digits / unit + u64::from(is_up);
    let text = digits.to_string();
    let exponent = text.len() as u32 - 1 + dropped;
    let fraction = text[1..].trim_end_matches('0');
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}.{fraction}E{exponent}", &text[..1])
}

/// Writes a value as `cast(… AS STRING)` does: a nested one as Java's `toString`.
pub fn text_of(value: &Value, of: &Type) -> Option<String> {
    Some(match (value, of) {
        (Value::Null, _) => return None,
        (Value::Boolean(value), _) => value.to_string(),
        (Value::Int(value), _) => value.to_string(),
        (Value::Bigint(value), _) => value.to_string(),
        (Value::Double(value), _) => java_double(*value),
        (Value::Decimal(value), _) => value.to_string(),
        (Value::String(value), _) => value.to_string(),
        (Value::Bytes(value), _) => base64(value),
        (Value::Date(days), _) => super::time::date_text(*days),
        (Value::Time(ms), _) => super::time::time_text(*ms),
        (Value::Timestamp(ms), _) => super::time::timestamp_text(*ms),
        (Value::Array(elements), Type::Array(element)) => {
            let texts = elements
                .iter()
                .map(|value| (String::new(), value, &**element));
            enclosed(["[", ", ", "]"], texts)
        }
        (Value::Map(entries), Type::Map(key, of)) => {
            let texts = in_java_order(entries).into_iter().map(|(name, value)| {
                let name = text_of(name, key).unwrap_or_else(|| "null".to_owned());
                (format!("{name}="), value, &**of)
            });
            enclosed(["{", ", ", "}"], texts)
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let shown = values
                .iter()
                .zip(fields)
                .filter(|(value, _)| !value.is_null());
            let texts = shown.map(|(value, field)| (format!("{}=", field.name), value, &field.of));
            enclosed(["Struct{", ",", "}"], texts)
        }
        _ => return None,
    })
}

fn enclosed<'a>(
    [open, between, close]: [&str; 3],
    parts: impl Iterator<Item = (String, &'a Value, &'a Type)>,
) -> String {
    let mut text = open.to_owned();
    for (nth, (name, value, of)) in parts.enumerate() {
        let comma = if nth == 0 { "" } else { between };
        let value = text_of(value, of).unwrap_or_else(|| "null".to_owned());
        // Writing to a String does not fail.
        let _ = write!(text, "{comma}{name}{value}");
    }
    text.push_str(close);
    text
}

/// Writes bytes in base64, as JSON and DELIMITED hold them.
pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Reads base64.
pub fn from_base64(text: &str) -> Option<Value> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    Some(Value::Bytes(bytes.into()))
}

/// Returns a map's entries in the order in which a Java `HashMap` goes through them, which is what
/// functions of a map's keys and values give: by bucket, then as they came.
pub fn in_java_order(entries: &[(Value, Value)]) -> Vec<(&Value, &Value)> {
    let mut buckets: usize = 16;
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let bucket = |key: &Value| {
        let hash = java_hash(key) as u32;
        ((hash ^ (hash >> 16)) as usize) & (buckets - 1)
    };
    let mut ordered: Vec<_> = entries.iter().map(|(key, value)| (key, value)).collect();
    ordered.sort_by_key(|(key, _)| bucket(key));
    ordered
}

/// Returns Java's `hashCode` of a map's key.
fn java_hash(key: &Value) -> i32 {
    match key {
        Value::String(text) => text.encode_utf16().fold(0i32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(unit.into())
        }),
        Value::Boolean(value) => {
            if *value {
                1231
            } else {
                1237
            }
        }
        Value::Int(value) | Value::Date(value) | Value::Time(value) => *value,
        Value::Bigint(value) | Value::Timestamp(value) => (*value ^ (*value >> 32)) as i32,
        Value::Double(value) => {
            let bits = value.to_bits();
            (bits ^ (bits >> 32)) as i32
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.00099, "9.9E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (4_611_686_018_427_387_904.0, "4.6116860184273879E18"),
            (9_007_199_254_740_992.0, "9.007199254740992E15"),
            (-1e18, "-1.0E18"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }

    #[test]
    fn numbers_compare_by_value_and_are_keys_by_type() {
        let (one, long) = (Value::Int(1), Value::Bigint(1));
        assert!(one.equals(&long) && one != long);
        let (narrow, wide) = (Decimal::new(10, 1), Decimal::new(100, 2));
        let (narrow, wide) = (Value::Decimal(narrow), Value::Decimal(wide));
        assert!(narrow.equals(&wide) && narrow != wide);
        assert!(!Value::Null.equals(&Value::Null));
    }

    #[test]
    fn the_order_of_a_maps_entries_does_not_count() {
        let entries = [("a", 1), ("b", 2)].map(|(key, value)| (key.into(), Value::Int(value)));
        let reversed = entries.iter().rev().cloned();
        assert_eq!(Value::map(entries.clone()), Value::map(reversed));
    }
}
