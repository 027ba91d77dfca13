//! What is computed, checked before the first record is processed.
//!
//! In: a query, as flags or other statements ask for it, and the columns of the input. Out: a plan:
//! every column exists, every type fits.
//!
//! A plan of windows prints itself as the flags that ask for it ([`clauses`]): two spellings of one plan
//! are one text, and a query can be read from it. [`window`] plans windowed aggregations, [`join`] joins;
//! [`time`] says where their event times come from.

pub mod clauses;
pub mod join;
pub mod time;
pub mod window;

pub use join::{JoinPlan, JoinQuery};
pub use window::{Aggregate, Change, Noted, Plan, Query, Ranked};

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
