//! The types of columns, as ksqlDB has them.

use std::fmt;

use super::names::quoted;

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// true or false.
    Boolean,
    /// 32 bits, wrapping as Java's `int`.
    Int,
    /// 64 bits, wrapping as Java's `long`.
    Bigint,
    /// IEEE 754, 64 bits.
    Double,
    /// Exact, with a fixed number of digits behind the point.
    Decimal {
        /// How many digits.
        precision: u32,
        /// How many of them stand behind the point.
        scale: u32,
    },
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A day.
    Date,
    /// A time of day, in ms.
    Time,
    /// A moment, in ms since 1970, UTC.
    Timestamp,
    /// Values of one type in order.
    Array(Box<Type>),
    /// Values of one type by keys of one type.
    Map(Box<Type>, Box<Type>),
    /// Values by name.
    Struct(Vec<Field>),
}

/// A named part of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// As it is written in JSON.
    pub name: String,
    /// The type of its values.
    pub of: Type,
}

impl Type {
    /// Returns an array's type.
    pub fn array(element: Type) -> Self {
        Type::Array(Box::new(element))
    }

    /// Returns a map's type.
    pub fn map(key: Type, value: Type) -> Self {
        Type::Map(Box::new(key), Box::new(value))
    }

    /// Returns whether it is INT, BIGINT, DOUBLE or DECIMAL.
    pub fn is_number(&self) -> bool {
        self.width().is_some()
    }

    /// Returns a number's place in the order of widening: INT, BIGINT, DECIMAL, DOUBLE.
    pub fn width(&self) -> Option<u8> {
        Some(match self {
            Type::Int => 0,
            Type::Bigint => 1,
            Type::Decimal { .. } => 2,
            Type::Double => 3,
            _ => return None,
        })
    }

    /// Returns whether a value of this type may be used where `other` is wanted, without a cast.
    pub fn widens_to(&self, other: &Type) -> bool {
        match (self.width(), other.width()) {
            (Some(from), Some(to)) => from < to || self == other,
            _ => self == other,
        }
    }

    /// Returns precision and scale that hold every value of an INT, BIGINT or DECIMAL.
    pub fn as_decimal(&self) -> Option<(u32, u32)> {
        match self {
            Type::Int => Some((10, 0)),
            Type::Bigint => Some((19, 0)),
            Type::Decimal { precision, scale } => Some((*precision, *scale)),
            _ => None,
        }
    }

    /// Returns the name without parameters: `MAP`, `DECIMAL`; INT is `INTEGER`.
    pub fn base(&self) -> &'static str {
        match self {
            Type::Boolean => "BOOLEAN",
            Type::Int => "INTEGER",
            Type::Bigint => "BIGINT",
            Type::Double => "DOUBLE",
            Type::Decimal { .. } => "DECIMAL",
            Type::String => "STRING",
            Type::Bytes => "BYTES",
            Type::Date => "DATE",
            Type::Time => "TIME",
            Type::Timestamp => "TIMESTAMP",
            Type::Array(_) => "ARRAY",
            Type::Map(..) => "MAP",
            Type::Struct(_) => "STRUCT",
        }
    }

    /// Returns whether it is, or holds, a map.
    pub fn has_map(&self) -> bool {
        match self {
            Type::Map(..) => true,
            Type::Array(element) => element.has_map(),
            Type::Struct(fields) => fields.iter().any(|field| field.of.has_map()),
            _ => false,
        }
    }
}

/// As ksqlDB prints it: `INTEGER`, `DECIMAL(4, 2)`, ``STRUCT<`A` STRING>``.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Type::Array(element) => write!(f, "ARRAY<{element}>"),
            Type::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Type::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (nth, Field { name, of }) in fields.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {of}", quoted(name))?;
                }
                f.write_str(">")
            }
            _ => f.write_str(self.base()),
        }
    }
}
