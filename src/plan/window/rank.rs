//! What is kept of a plan's rows: `--having`, `--order-by`, `--limit`.

use std::sync::atomic::AtomicU64;

use super::{Aggregate, Plan};
use crate::column::{DataType, Field, Schema};
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::error::{Error, Result};
use crate::expression::{Expression, parse_order};
use crate::result::rank::Ranking;
use crate::result::select::Whole;

/// Which rows leave, and in which order, as typed.
#[derive(Debug, Clone, Default)]
pub struct Ranked {
    /// Which rows are kept: a condition over their columns.
    pub having: Option<String>,
    /// Expressions over a row's columns, each perhaps with `asc` or `desc`, separated by commas.
    pub order_by: Option<String>,
    /// How many rows of a window are kept.
    pub limit: Option<u64>,
}

impl Ranked {
    /// Returns the flags that leave rows out, in words; `None` where none was given.
    pub fn leaves_out(&self) -> Option<&'static str> {
        match (self.having.is_some(), self.limit.is_some()) {
            (true, true) => Some("`--having` and `--limit`"),
            (true, false) => Some("`--having`"),
            (false, true) => Some("`--limit`"),
            (false, false) => None,
        }
    }

    /// Returns the first flag that was given and needs all rows of a window at once.
    pub fn of_windows(&self) -> Option<&'static str> {
        let order_by = self.order_by.as_ref().map(|_| "--order-by");
        order_by.or(self.limit.map(|_| "--limit"))
    }
}

impl Plan {
    /// Returns the result's columns and their types.
    pub(super) fn whole(&self) -> Whole {
        let header = self.whole_header();
        let by = self.by.iter().map(|item| item.expression.data_type());
        let values = self.aggregates.iter().map(Aggregate::data_type);
        let mut types = vec![DataType::Bigint; 2];
        types.extend(by.chain(values));
        types.extend(header.change.then_some(DataType::Text));
        if header.panes {
            types.extend([DataType::Text, DataType::Bigint, DataType::Boolean]);
        }
        let fields = header.names().zip(types).map(|(name, data_type)| Field {
            name: name.to_owned(),
            data_type,
        });
        let schema = Schema {
            fields: fields.collect(),
            ..Schema::default()
        };
        Whole { header, schema }
    }

    /// Returns what is kept of the rows; `None` for all as they come.
    ///
    /// # Errors
    /// `usage` for an unknown column, and where rows leave before their window has all of them.
    pub(super) fn rank(&self, ranked: &Ranked) -> Result<Option<Ranking>> {
        if ranked.leaves_out().is_none() && ranked.order_by.is_none() {
            return Ok(None);
        }
        self.refuse_unfinished(ranked)?;
        let whole = self.whole();
        // What a row says of itself differs in the row that takes it back.
        let mut schema = whole.schema.clone();
        schema
            .fields
            .truncate(2 + self.by.len() + self.aggregates.len());
        let named = |error: Error| {
            let names = schema.names();
            error.hint(format!("name aggregates by their columns: {names}"))
        };
        let having = ranked.having.as_deref();
        let having = having.map(|text| Expression::parse_condition(text, &schema).map_err(named));
        let order = ranked.order_by.as_deref();
        let order = order.map(|text| parse_order(text, &schema).map_err(named));
        Ok(Some(Ranking {
            having: having.transpose()?,
            order: order.transpose()?.unwrap_or_default(),
            limit: ranked.limit,
            whole,
            left_out: AtomicU64::new(0),
        }))
    }

    /// Refuses what has no meaning while rows are not final.
    fn refuse_unfinished(&self, ranked: &Ranked) -> Result<()> {
        if let Some(flag) = ranked.of_windows() {
            if !self.is_on_a_grid() {
                return Err(Error::usage(format!(
                    "`{flag}` compares the keys of one window, and a session or sliding window has only one"
                ))
                .hint("apply it to a second window: `k window --session 1m … | k window --tumbling 1h --time window_end …`"));
            }
            if self.trigger != Trigger::Final {
                return Err(Error::usage(format!(
                    "`{flag}` needs all rows of a window at once, and only the final trigger shows them so"
                ))
                .hint("leave `--emit` and `--trigger` out"));
            }
        }
        let replaces = self.refinement == Refinement::Accumulating;
        if ranked.having.is_some() && self.trigger != Trigger::Final && replaces {
            return Err(Error::usage(
                "with `--having`, a row that no longer matches must be taken back, and rows that replace one another cannot do so",
            )
            .hint("add `--refine retracting`: such a row is repeated with `-` in the column `change`")
            .hint("or leave `--emit` and `--trigger` out: each window and key is judged once"));
        }
        Ok(())
    }

    /// Returns how many rows of those that have left their windows were not kept.
    pub fn left_out(&self) -> u64 {
        let ranking = self.ranking.as_ref();
        ranking.map_or(0, |ranking| ranking.left_out())
    }
}
