//! The parts of a record beside its value, as columns.

use super::field::push_text;
use super::{Layout, Misfit, shown};
use crate::column::derived::{Derived, Part};
use crate::column::{Column, Field};
use crate::source::Message;

/// The parts of records that are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    wanted: Vec<(usize, Part, Field)>,
}

impl Parts {
    /// Returns the parts that a layout wants.
    pub fn of(layout: &Layout) -> Self {
        let derived = layout.schema.derived.iter();
        let wanted = derived.filter_map(|(index, derived)| match derived {
            Derived::Part(part) if layout.wanted.contains(index) => {
                Some((*index, part.clone(), layout.schema.fields[*index].clone()))
            }
            _ => None,
        });
        Parts {
            wanted: wanted.collect(),
        }
    }

    /// Returns whether none is wanted.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Returns whether a column is one of them.
    pub fn has(&self, index: usize) -> bool {
        self.wanted.iter().any(|(part, ..)| *part == index)
    }

    /// Adds a row to their columns.
    ///
    /// # Errors
    /// The first that does not fit its column; it is null there.
    pub fn push<'a>(
        &self,
        message: &Message<'a>,
        columns: &mut [Column<'a>],
    ) -> Result<(), Misfit> {
        let mut pushed = Ok(());
        for (index, part, field) in &self.wanted {
            let column = &mut columns[*index];
            if let Err(reason) = push(part, field, message, column) {
                column.push_null();
                pushed = pushed.and(Err(reason.into()));
            }
        }
        pushed
    }
}

/// Adds the part of one record to its column.
///
/// # Errors
/// Returns why it does not fit the column.
fn push<'a>(
    part: &Part,
    field: &Field,
    message: &Message<'a>,
    column: &mut Column<'a>,
) -> Result<(), String> {
    let bytes = match part {
        Part::Key => message.key,
        Part::Header(name) => message.header(name),
        Part::Topic => message.headers.topic().map(str::as_bytes),
        Part::Timestamp => return push_integer(message.timestamp, field, column),
        Part::Partition => return push_integer(Some(message.partition.into()), field, column),
        Part::Offset => return push_integer(Some(message.offset), field, column),
    };
    let Some(bytes) = bytes else {
        column.push_null();
        return Ok(());
    };
    let wrong = |expected: &str| format!("column `{}`: {} is {expected}", field.name, shown(bytes));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("not UTF-8"))?;
    push_text(column, field.data_type, text).map_err(wrong)
}

fn push_integer(value: Option<i64>, field: &Field, column: &mut Column<'_>) -> Result<(), String> {
    match column {
        Column::Bigint(values) => {
            values.push(value);
            Ok(())
        }
        _ => Err(format!("column `{}` is a bigint", field.name)),
    }
}
