//! `count`, `count(x)`.

use super::{Accumulator, Slot, reset};
use crate::column::{Column, Value};

/// Counts rows, whatever they hold.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<u64>);

impl Accumulator for Rows {
    fn reset(&mut self, slot: Slot) {
        reset(&mut self.0, slot);
    }

    fn add(&mut self, slots: &[Slot], _rows: &[u32], _arguments: Option<&Column<'_>>) {
        for &slot in slots {
            self.0[slot as usize] += 1;
        }
    }

    fn result(&self, slot: Slot) -> Value {
        Value::Integer(self.0[slot as usize].into())
    }
}

/// Counts rows whose argument, of any type, is not null.
#[derive(Debug, Default)]
pub(super) struct NotNull(Vec<u64>);

impl Accumulator for NotNull {
    fn reset(&mut self, slot: Slot) {
        reset(&mut self.0, slot);
    }

    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: Option<&Column<'_>>) {
        let nulls = arguments.map_or(&[][..], |column| match column {
            Column::Bigint(values) => &values.nulls,
            Column::Double(values) => &values.nulls,
            Column::Boolean(values) => &values.nulls,
            Column::Text(values) => &values.nulls,
        });
        for (&slot, &row) in slots.iter().zip(rows) {
            let null = nulls.get(row as usize).copied().unwrap_or(false);
            self.0[slot as usize] += u64::from(!null);
        }
    }

    fn result(&self, slot: Slot) -> Value {
        Value::Integer(self.0[slot as usize].into())
    }
}
