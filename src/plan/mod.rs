//! What is computed, checked before the first record is processed.
//!
//! In: a query, as flags or other statements ask for it, and the columns of the input. Out: a plan:
//! every column exists, every type fits.
//!
//! A plan of windows prints itself as the flags that ask for it ([`clauses`]): two spellings of one plan
//! are one text, and a query can be read from it. [`window`] plans windowed aggregations, [`join`] joins;
//! [`time`] says where their event times come from.

pub(crate) mod clauses;
pub(crate) mod join;
pub(crate) mod time;
pub(crate) mod window;

pub(crate) use join::{JoinPlan, JoinQuery};
pub(crate) use window::Change;
pub use window::{Aggregate, Noted, Plan, Query, Ranked};

use crate::error::{Error, Result};

/// Refuses two columns with one name.
fn check_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<()> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::usage(format!(
            "two columns of the result have the name `{}`",
            pair[0]
        ))
        .hint("rename one with `as`")),
        None => Ok(()),
    }
}
