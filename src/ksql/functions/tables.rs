//! Functions that make rows of a row.

use super::TableFunction;
use crate::ksql::value::Value;

pub(super) const FUNCTIONS: &[TableFunction] = &[
    TableFunction {
        signature: "EXPLODE(array ARRAY<T>) T",
        about: "A row for each element.",
        body: |call| Ok(call.elements(0).to_vec()),
    },
    TableFunction {
        signature: "CUBE_EXPLODE(columns ARRAY<T>) ARRAY<T>",
        about: "A row for each way to replace some of the columns by null.",
        body: |call| {
            let columns = call.elements(0);
            if columns.len() > 16 {
                return Err(format!(
                    "{} columns are too many for a cube; 16 are the most",
                    columns.len()
                ));
            }
            // A column that is null itself is there once.
            let shown: Vec<usize> = (0..columns.len())
                .filter(|at| !columns[*at].is_null())
                .collect();
            let rows = (0..1usize << shown.len()).map(|mask| {
                let is_shown = |at: usize| {
                    let nth = shown.iter().position(|known| *known == at);
                    nth.is_some_and(|nth| mask >> (shown.len() - 1 - nth) & 1 == 1)
                };
                Value::array(
                    (0..columns.len())
                        .map(|at| {
                            if is_shown(at) {
                                columns[at].clone()
                            } else {
                                Value::Null
                            }
                        })
                        .collect(),
                )
            });
            Ok(rows.collect())
        },
    },
];
