//! Columns of streams and tables.

use std::fmt;

use super::names::quoted;
use super::types::Type;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As it is written in JSON.
    pub name: String,
    /// The type of its values.
    pub of: Type,
}

/// As ksqlDB prints it: `` `A` INTEGER ``.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quoted(&self.name), self.of)
    }
}

/// The columns of a record's key and of its value, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Of the key.
    pub key: Vec<Column>,
    /// Of the value.
    pub value: Vec<Column>,
}

impl Schema {
    /// Returns all columns, those of the key first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().chain(&self.value)
    }

    /// Returns whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.columns().any(|column| column.name == name)
    }
}

/// As ksqlDB prints it: `` `K` INTEGER KEY, `V` STRING ``.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.key.iter().map(|column| format!("{column} KEY"));
        let values = self.value.iter().map(Column::to_string);
        f.write_str(&keys.chain(values).collect::<Vec<_>>().join(", "))
    }
}

/// Columns that every row has beside its own.
pub const ROWTIME: &str = "ROWTIME";
/// The partition of the record that a row comes from.
pub const ROWPARTITION: &str = "ROWPARTITION";
/// The offset of the record that a row comes from.
pub const ROWOFFSET: &str = "ROWOFFSET";
/// The start of a row's window.
pub const WINDOWSTART: &str = "WINDOWSTART";
/// The end of a row's window.
pub const WINDOWEND: &str = "WINDOWEND";
/// The name of a key that no column of a join's sources is.
pub const ROWKEY: &str = "ROWKEY";

/// The columns that every row has, in the order in which they follow its own.
pub const PSEUDO: [(&str, Type); 3] = [
    (ROWTIME, Type::Bigint),
    (ROWPARTITION, Type::Int),
    (ROWOFFSET, Type::Bigint),
];

/// Returns whether no column may be declared by this name.
pub fn is_reserved(name: &str) -> bool {
    [ROWTIME, ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND].contains(&name)
}
