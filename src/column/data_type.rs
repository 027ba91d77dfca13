//! What the values of a column are.

use std::fmt;

/// The type of a column or of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// A 64-bit integer; times are this, in ms since 1970, UTC.
    Bigint,
    /// A 64-bit IEEE float.
    Double,
    /// A number of at most 28 decimal digits, exactly as it was written.
    Decimal,
    /// True or false.
    Boolean,
    /// UTF-8 text.
    Text,
    /// A time as expressions make it: in a column it is a bigint, ms since 1970, UTC.
    Timestamp,
    /// A number as wide as each value: bigint, else decimal, else double.
    Number,
    /// Of an undeclared column: the text of each value, until its use decides what it is.
    Any,
}

impl DataType {
    /// Returns the type with a name of SQL's: `bigint`, `int`, `double`, `decimal`, `boolean`, `text`, `varchar`
    /// and their like, whatever their case.
    pub fn named(name: &str) -> Option<DataType> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bigint" | "int" | "integer" | "long" => DataType::Bigint,
            "double" | "float" | "real" => DataType::Double,
            "decimal" | "numeric" => DataType::Decimal,
            "boolean" | "bool" => DataType::Boolean,
            "text" | "string" | "varchar" => DataType::Text,
            "timestamp" => DataType::Timestamp,
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::Bigint => "bigint",
            DataType::Double => "double",
            DataType::Decimal => "decimal",
            DataType::Boolean => "boolean",
            DataType::Text => "text",
            DataType::Timestamp => "timestamp",
            DataType::Number => "number",
            DataType::Any => "any",
        })
    }
}
