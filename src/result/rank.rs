//! Which rows of a window are kept, and in which order: `--having`, `--order-by`, `--limit`.
//!
//! In: rows with every column of the result. Out: those that are kept. A condition judges each row
//! alone, also one that is taken back: it goes by what the row showed.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, Ordering as Memory};

use bumpalo::Bump;

use super::select::{Whole, number};
use crate::column::{Column, ValueRef};
use crate::engine::pane::{Pane, Panes};
use crate::error::{Error, Result};
use crate::expression::{Evaluated, Expression, Order};
use crate::number;

/// What is kept of a result's rows.
#[derive(Debug)]
pub struct Ranking {
    /// All columns of the result.
    pub whole: Whole,
    /// Which rows are kept; `None` for all.
    pub having: Option<Expression>,
    /// By what the rows of one window are put in order; empty: as they come, by their keys.
    pub order: Vec<Order>,
    /// This many rows of a window are kept, the first ones.
    pub limit: Option<u64>,
    /// How many rows were left out.
    pub left_out: AtomicU64,
}

impl Ranking {
    /// Returns whether it needs all rows of a window at once.
    pub fn needs_windows(&self) -> bool {
        !self.order.is_empty() || self.limit.is_some()
    }

    /// Returns how many rows were left out so far.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Memory::Relaxed)
    }

    /// Adds the rows that are kept to `kept`; those of one window are beside one another.
    ///
    /// # Errors
    /// `data` for a row that cannot be judged or ordered.
    pub fn choose(&self, panes: &Panes, arena: &Bump, kept: &mut Panes) -> Result<()> {
        let expressions = self.order.iter().map(|order| &order.expression);
        let read = expressions.chain(&self.having);
        let columns = self.whole.read(panes, read, arena)?;
        let selected = match &self.having {
            None => None,
            Some(having) => {
                let selection = having.select(&columns, arena);
                if let Some(error) = selection.errors.first() {
                    return Err(Error::data(format!(
                        "cannot apply `--having` to a row of the result: {}",
                        error.misfit.reason
                    )));
                }
                Some(selection.rows)
            }
        };
        let mut by = Vec::new();
        for order in &self.order {
            let Evaluated { column, errors } = order.expression.evaluate(&columns, arena);
            if let Some(error) = errors.first() {
                return Err(Error::data(format!(
                    "cannot sort rows of the result by `{}`: {}",
                    order.expression.text(),
                    error.misfit.reason
                )));
            }
            by.push(column);
        }
        let rows: Vec<Pane<'_>> = panes.iter().collect();
        let mut numbers: Vec<usize> = (0..rows.len()).collect();
        if let Some(selected) = selected {
            numbers.retain(|&row| selected[row]);
        }
        let compare = |left: &usize, right: &usize| {
            let by = self.order.iter().zip(&by);
            let by = by.map(|(order, column)| compare(order, column, *left, *right));
            by.fold(Ordering::Equal, Ordering::then)
        };
        let limit = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        for window in
            numbers.chunk_by_mut(|&left, &right| rows[left].window() == rows[right].window())
        {
            window.sort_by(compare);
            for &mut row in window.iter_mut().take(limit) {
                let pane = &rows[row];
                let push_key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(pane.key_bytes());
                kept.push(pane.firing, push_key, pane.values.iter().cloned());
            }
        }
        Ok(())
    }
}

/// Orders two rows by a column; nulls come last, whatever the direction.
fn compare(order: &Order, column: &Column<'_>, left: usize, right: usize) -> Ordering {
    let (left, right) = (column.value_ref(left), column.value_ref(right));
    let by_size = match (left, right) {
        (ValueRef::Null, _) | (_, ValueRef::Null) => {
            return (left == ValueRef::Null).cmp(&(right == ValueRef::Null));
        }
        (ValueRef::Any(left), ValueRef::Any(right)) => number::order(left, right),
        (ValueRef::Text(left), ValueRef::Text(right)) => left.cmp(right),
        (ValueRef::Boolean(left), ValueRef::Boolean(right)) => left.cmp(&right),
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.compare(right),
            _ => Ordering::Equal, // a column is of one type
        },
    };
    if order.descending {
        by_size.reverse()
    } else {
        by_size
    }
}
