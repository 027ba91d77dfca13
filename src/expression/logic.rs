//! `and` and `or` over columns: SQL's three values, and rows whose failure does not matter.

use super::failure::{Failure, merged};
use super::kernel;
use super::syntax::Connective;
use crate::column::Values;

/// The operands of `and` or `or`, connected one by one.
pub(super) struct Logic {
    connective: Connective,
    /// Empty before the first operand.
    pub values: Values<bool>,
    pub failures: Vec<Failure>,
}

impl Logic {
    pub fn new(connective: Connective) -> Self {
        Logic {
            connective,
            values: Values::default(),
            failures: Vec::new(),
        }
    }

    /// Returns whether no further operand can change any row.
    pub fn is_decided(&self) -> bool {
        let decides = self.decides();
        !self.values.is_empty()
            && self.values.nulls.is_empty()
            && self.values.values.iter().all(|value| *value == decides)
    }

    /// Returns the value that settles a row whatever the other operands are.
    fn decides(&self) -> bool {
        self.connective == Connective::Or
    }

    pub fn add(&mut self, mut values: Values<bool>, mut failures: Vec<Failure>) {
        let failed: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
        kernel::set_null(&mut values, &failed);
        if self.values.is_empty() {
            self.values = values;
            self.failures = failures;
            return;
        }
        let decides = Some(self.decides());
        self.failures
            .retain(|failure| values.get(failure.row) != decides);
        failures.retain(|failure| self.values.get(failure.row) != decides);
        self.failures = merged(std::mem::take(&mut self.failures), failures);
        kernel::connect(self.connective, &mut self.values, &values);
    }
}
