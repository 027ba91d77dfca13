//! `count`, `count(x)`.

use serde::{Deserialize, Serialize};

use super::{Arguments, Slot, State};
use crate::column::{Column, Value};

/// Counts rows, whatever they hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rows(u64);

impl State for Rows {
    fn add(states: &mut [Self], slots: &[Slot], _rows: &[u32], _arguments: &Arguments<'_, '_>) {
        for &slot in slots {
            states[slot as usize].0 += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn result(&self) -> Value {
        Value::Integer(self.0.into())
    }
}

/// Counts rows whose argument, of any type, is not null.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct NotNull(u64);

impl State for NotNull {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        let nulls = arguments.column.map_or(&[][..], |column| match column {
            Column::Bigint(values) => &values.nulls,
            Column::Double(values) => &values.nulls,
            Column::Boolean(values) => &values.nulls,
            Column::Text(values) => &values.nulls,
        });
        for (&slot, &row) in slots.iter().zip(rows) {
            let null = nulls.get(row as usize).copied().unwrap_or(false);
            states[slot as usize].0 += u64::from(!null);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn result(&self) -> Value {
        Value::Integer(self.0.into())
    }
}
