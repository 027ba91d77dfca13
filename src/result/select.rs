//! Columns that are chosen from those of results, or computed from them: `--select`.
//!
//! In: rows with every column of the result. Out: rows with the chosen ones.

use bumpalo::Bump;

use super::{Header, Role};
use crate::column::{Column, Columns, DataType, Schema, ValueRef};
use crate::engine::pane::Panes;
use crate::error::{Error, Result};
use crate::expression::{Evaluated, Expression, Item};
use crate::notation::push_json;
use crate::number::Number;

/// All columns of a result.
#[derive(Debug)]
pub struct Whole {
    /// Their names, and what they are.
    pub header: Header,
    /// Their types; a list is text of JSON.
    pub schema: Schema,
}

/// What is chosen from a result.
#[derive(Debug)]
pub struct Selection {
    /// What there is.
    pub whole: Whole,
    /// The chosen ones.
    pub items: Vec<Item>,
}

impl Selection {
    /// Returns the names of the chosen columns, and what they are.
    pub fn columns(&self) -> Vec<(String, Role)> {
        let roles: Vec<Role> = self.whole.header.columns().map(|(_, role)| role).collect();
        let column = |item: &Item| {
            let role = match item.expression.column() {
                Some(index) => roles[index],
                None if item.expression.data_type() == DataType::Timestamp => Role::Time,
                None => Role::Value,
            };
            (item.name.clone(), role)
        };
        self.items.iter().map(column).collect()
    }

    /// Adds to `chosen` what is chosen of some rows; texts that are computed lie in `arena`.
    ///
    /// # Errors
    /// `data` for a row of which a column cannot be computed.
    pub fn choose(&self, panes: &Panes, arena: &Bump, chosen: &mut Panes) -> Result<()> {
        let computed = self.items.iter().map(|item| &item.expression);
        let computed = computed.filter(|expression| expression.column().is_none());
        let columns = self.whole.read(panes, computed, arena)?;
        let evaluate = |item: &'_ Item| match item.expression.column() {
            // As it is: a list stays a list, and a sum may be beyond bigint.
            Some(_) => Ok(None),
            None => self.evaluate(item, &columns, arena).map(Some),
        };
        let computed: Vec<Option<Column<'_>>> =
            self.items.iter().map(evaluate).collect::<Result<_>>()?;
        for (row, pane) in panes.iter().enumerate() {
            let all: Vec<ValueRef<'_>> = self.whole.header.row(pane).collect();
            let values = self.items.iter().zip(&computed).map(|(item, computed)| {
                match (computed, item.expression.column()) {
                    (Some(computed), _) => computed.value(row),
                    (None, Some(index)) => all[index].to_value(),
                    (None, None) => unreachable!("a column was computed that should not be"),
                }
            });
            let push_key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(pane.key_bytes());
            chosen.push(pane.firing, push_key, values);
        }
        Ok(())
    }

    fn evaluate<'a>(
        &self,
        item: &Item,
        columns: &Columns<'a>,
        arena: &'a Bump,
    ) -> Result<Column<'a>> {
        let Evaluated { column, errors } = item.expression.evaluate(columns, arena);
        match errors.first() {
            Some(error) => Err(Error::data(format!(
                "cannot compute column `{}` of the result: {}",
                item.name, error.misfit.reason
            ))),
            None => Ok(column.into_owned()),
        }
    }
}

impl Whole {
    /// Returns the columns that expressions read; the others are empty.
    ///
    /// # Errors
    /// `data` for a value beyond the range of its column's type.
    pub(super) fn read<'a, 'e>(
        &self,
        panes: &'a Panes,
        expressions: impl Iterator<Item = &'e Expression>,
        arena: &'a Bump,
    ) -> Result<Columns<'a>> {
        let fields = &self.schema.fields;
        let mut read = vec![false; fields.len()];
        expressions
            .flat_map(Expression::columns)
            .for_each(|&index| read[index] = true);
        let empty = fields
            .iter()
            .map(|field| Column::with_capacity(field.data_type, panes.len()));
        let mut columns: Vec<Column<'a>> = empty.collect();
        for pane in panes.iter() {
            for (index, value) in self.header.row(pane).enumerate() {
                if read[index] && !push(&mut columns[index], value, arena) {
                    let name = &fields[index].name;
                    return Err(Error::data(format!(
                        "`{name}` is beyond the range of {} in the result",
                        fields[index].data_type
                    ))
                    .hint(format!(
                        "select `{name}` unchanged, or compute with doubles"
                    )));
                }
            }
        }
        let rows = panes.len();
        Ok(Columns {
            rows,
            columns,
            ..Columns::default()
        })
    }
}

/// Adds a value to a column of its type; returns whether it is in the column's range.
fn push<'a>(column: &mut Column<'a>, value: ValueRef<'a>, arena: &'a Bump) -> bool {
    match (column, value) {
        (Column::Bigint(values), ValueRef::Integer(value)) => {
            let value = i64::try_from(value).ok();
            values.push(value);
            return value.is_some();
        }
        (Column::Double(values), ValueRef::Double(value)) => values.push(Some(value)),
        (Column::Decimal(values), ValueRef::Decimal(value)) => values.push(Some(value)),
        (Column::Decimal(values), ValueRef::Text(_)) => {
            values.push(None);
            return false;
        }
        (Column::Boolean(values), ValueRef::Boolean(value)) => values.push(Some(value)),
        (Column::Text(values), ValueRef::Text(value)) => values.push(Some(value)),
        (Column::Any(values), ValueRef::Any(value) | ValueRef::Text(value)) => {
            values.push(Some(value));
        }
        (Column::Number(values), value) => values.push(number(value)),
        (Column::Text(values), ValueRef::List(_)) => {
            let mut json = Vec::new();
            push_json(&mut json, value);
            let text = arena.alloc_str(&String::from_utf8_lossy(&json));
            values.push(Some(text));
        }
        (column, _) => column.push_null(),
    }
    true
}

/// Returns a result that is as wide as it needs to be as a number of an expression.
pub(super) fn number(value: ValueRef<'_>) -> Option<Number> {
    match value {
        ValueRef::Integer(value) => match i64::try_from(value) {
            Ok(value) => Some(Number::Integer(value)),
            Err(_) => Number::parse(itoa::Buffer::new().format(value).as_bytes()),
        },
        ValueRef::Decimal(value) => Some(Number::Decimal(value)),
        ValueRef::Double(value) => Some(Number::Double(value)),
        ValueRef::Text(digits) | ValueRef::Any(digits) => Number::parse(digits.as_bytes()),
        ValueRef::Null | ValueRef::Boolean(_) | ValueRef::List(_) => None,
    }
}
