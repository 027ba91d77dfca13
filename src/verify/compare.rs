//! Two results side by side: the windows that differ, and each one's likely cause.
//!
//! In: a reference and another [`ResultTable`]. Out: how many windows are the same and the
//! [`Difference`]s, in the order of windows and keys. The causes follow from the two tables alone;
//! who knows the records as well can say more (see [`super::grade`]).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rust_decimal::Decimal;

use super::table::{Cell, Key, ResultTable, Row, Span, key_text, number, plain};
use crate::column::Value;
use crate::error::{Error, Result};
use crate::number::Number;
use crate::term::units;

/// Why a window of the other result differs from the reference's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It is not there.
    Missing,
    /// It is there, and not in the reference.
    Extra,
    /// It holds less: late records were dropped, or records were lost.
    Fewer,
    /// It holds more: duplicates were counted.
    More,
    /// It begins this many ms later (below 0: earlier) than the reference's.
    Shifted(i64),
    /// It overlaps the reference's, and is longer or shorter.
    Bounds,
    /// It is the first or last, and misses something: a partial pane.
    Edge,
    /// The same values stand under this key.
    OtherKey(Key),
    /// The numbers are the same up to rounding.
    Rounding,
    /// The values differ in a way that the number of records does not explain.
    Value,
}

impl Cause {
    /// Returns the cause in a word, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Cause::Missing => "missing",
            Cause::Extra => "extra",
            Cause::Fewer => "fewer",
            Cause::More => "more",
            Cause::Shifted(_) => "shifted",
            Cause::Bounds => "bounds",
            Cause::Edge => "edge",
            Cause::OtherKey(_) => "key",
            Cause::Rounding => "rounding",
            Cause::Value => "value",
        }
    }
}

/// As it completes "B's window …".
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Missing => f.write_str("is missing"),
            Cause::Extra => f.write_str("is not in A"),
            Cause::Fewer => {
                f.write_str("holds fewer records: late ones were dropped, or some were lost")
            }
            Cause::More => f.write_str("holds more records: duplicates were counted"),
            Cause::Shifted(ms) if *ms < 0 => {
                write!(f, "begins {} earlier", units::format_duration(-ms))
            }
            Cause::Shifted(ms) => write!(f, "begins {} later", units::format_duration(*ms)),
            Cause::Bounds => f.write_str("has other bounds: another length or session gap"),
            Cause::Edge => f.write_str(
                "is partial: B starts after A or ends before it, or its last pane is missing",
            ),
            Cause::OtherKey(_) => f.write_str("is under another key"),
            Cause::Rounding => f.write_str("is the same up to rounding"),
            Cause::Value => f.write_str("has other values from the same number of records"),
        }
    }
}

/// A window and key in which two results differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The reference's window and key, or the other's where the reference has none.
    pub cell: Cell,
    /// The first measure that differs.
    pub measure: String,
    /// The reference's value; `None` where it has no such window.
    pub a: Option<Value>,
    /// The other's value; `None` where it has no such window.
    pub b: Option<Value>,
    /// Why.
    pub cause: Cause,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How many windows × keys are the same.
    pub same: u64,
    /// The others, in the order of windows and keys.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Returns whether nothing differs by more than rounding.
    pub fn is_same(&self) -> bool {
        let mut causes = self.differences.iter().map(|difference| &difference.cause);
        causes.all(|cause| *cause == Cause::Rounding)
    }

    /// Returns each cause by its word with how often it was found, the most frequent first, and an
    /// example.
    pub fn causes(&self) -> Vec<(&Difference, u64)> {
        let mut causes: BTreeMap<&str, (&Difference, u64)> = BTreeMap::new();
        for difference in &self.differences {
            let of_name = causes.entry(difference.cause.name());
            of_name.or_insert((difference, 0)).1 += 1;
        }
        let mut causes: Vec<_> = causes.into_values().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: then by name
        causes
    }
}

/// Compares `b` with the reference `a` by window and key. Key columns are paired by their order,
/// measures by their names, in any case; measures that only one has are not compared.
///
/// # Errors
/// `data` when they have different numbers of key columns, or no measure in common.
pub fn compare(a: &ResultTable, b: &ResultTable) -> Result<Comparison> {
    let pairs = measures(a, b)?;
    let mut comparison = Comparison {
        same: 0,
        differences: Vec::new(),
    };
    let mut alone = Alone::default();
    for (cell, row) in &a.rows {
        match b.rows.get(cell) {
            None => alone.a.push((cell, row)),
            Some(other) => match differs(&pairs, row, other) {
                None => comparison.same += 1,
                Some(nth) => comparison.differences.push(Difference {
                    cell: cell.clone(),
                    measure: a.measures[pairs[nth].0].clone(),
                    a: Some(row.values[pairs[nth].0].clone()),
                    b: Some(other.values[pairs[nth].1].clone()),
                    cause: cause_of_values(a, &pairs, row, other),
                }),
            },
        }
    }
    let in_b_alone = b.rows.iter().filter(|(cell, _)| !a.rows.contains_key(cell));
    alone.b.extend(in_b_alone);
    comparison.differences.extend(alone.explain(a, &pairs));
    mark_edges(a, b, &mut comparison.differences);
    let cells = |difference: &Difference| difference.cell.clone();
    comparison.differences.sort_by_key(cells);
    Ok(comparison)
}

/// Returns the places of the measures that both have.
fn measures(a: &ResultTable, b: &ResultTable) -> Result<Vec<(usize, usize)>> {
    let named = |names: &[String]| {
        if names.is_empty() {
            "no key".to_owned()
        } else {
            format!("key {}", names.join(", "))
        }
    };
    if a.keys.len() != b.keys.len() {
        return Err(Error::data(format!(
            "A has {}, B has {}: their rows cannot be paired",
            named(&a.keys),
            named(&b.keys)
        ))
        .hint("group both by the same columns, or name the key columns with `--by`"));
    }
    let pairs: Vec<(usize, usize)> = (0..a.measures.len())
        .filter_map(|at| Some((at, b.measure(&a.measures[at])?)))
        .collect();
    if pairs.is_empty() {
        Err(
            Error::data("A and B have no aggregate with the same name").hint(format!(
                "A has {}; B has {}",
                a.measures.join(", "),
                b.measures.join(", ")
            )),
        )
    } else {
        Ok(pairs)
    }
}

/// Returns the first pair of measures that differs.
fn differs(pairs: &[(usize, usize)], a: &Row, b: &Row) -> Option<usize> {
    let differs = |(at_a, at_b): &(usize, usize)| !same(&a.values[*at_a], &b.values[*at_b]);
    pairs.iter().position(differs)
}

/// Returns whether two values are the same: numbers by all their digits, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    order(a, b).map_or_else(|| plain(a) == plain(b), Ordering::is_eq)
}

/// Orders two numbers by all their digits.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    let exact = |value: &Value| match *value {
        Value::Integer(value) => Some(
            match (
                i64::try_from(value),
                Decimal::try_from_i128_with_scale(value, 0),
            ) {
                (Ok(value), _) => Number::Integer(value),
                (_, Ok(value)) => Number::Decimal(value),
                _ => Number::Double(value as f64),
            },
        ),
        Value::Decimal(value) => Some(Number::Decimal(value)),
        Value::Double(value) => Some(Number::Double(value)),
        _ => None,
    };
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        _ => Some(exact(a)?.compare(exact(b)?)),
    }
}

/// Returns why the values of one window and key differ.
fn cause_of_values(table: &ResultTable, pairs: &[(usize, usize)], a: &Row, b: &Row) -> Cause {
    let values = || {
        pairs
            .iter()
            .map(|&(at_a, at_b)| (&a.values[at_a], &b.values[at_b]))
    };
    if values().all(|(a, b)| is_rounded(a, b)) {
        return Cause::Rounding;
    }
    // What grows with every record: a count, else a sum of what is not negative, as far as seen.
    let grows = |name: &str| {
        let name = name.to_ascii_lowercase();
        [name.starts_with("count"), name.starts_with("sum")]
    };
    let of_kind = |kind: usize| {
        let mut kinds = pairs.iter().zip(values());
        kinds.find(|((at, _), _)| grows(&table.measures[*at])[kind])
    };
    let records = of_kind(0).or_else(|| of_kind(1));
    match records.and_then(|(_, (a, b))| order(b, a)) {
        Some(Ordering::Less) => Cause::Fewer,
        Some(Ordering::Greater) => Cause::More,
        _ => Cause::Value,
    }
}

/// Returns whether two values are the same but for the last digits of a float: within a millionth,
/// or one is the other with fewer decimals.
fn is_rounded(a: &Value, b: &Value) -> bool {
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return plain(a) == plain(b);
    };
    let whole = |value: &Value| match value {
        Value::Integer(_) => true,
        Value::Decimal(value) => value.scale() == 0,
        _ => false,
    };
    if whole(a) && whole(b) {
        return same(a, b);
    }
    let decimals = |value: &Value| {
        let text = plain(value);
        text.split_once('.')
            .map_or(0, |(_, decimals)| decimals.len())
    };
    let unit = 10_f64.powi(-(decimals(a).min(decimals(b)) as i32));
    let apart = (x - y).abs();
    apart <= 1e-6 * x.abs().max(y.abs()) || apart <= unit * 0.500_001
}

/// Windows × keys that only one of the results has.
#[derive(Default)]
struct Alone<'t> {
    a: Vec<(&'t Cell, &'t Row)>,
    b: Vec<(&'t Cell, &'t Row)>,
}

impl Alone<'_> {
    /// Pairs what belongs together: a window of the same key that overlaps, else the same values
    /// in the same window under another key. What is left is missing or extra.
    fn explain(self, table: &ResultTable, pairs: &[(usize, usize)]) -> Vec<Difference> {
        let (at_a, at_b) = pairs[0];
        let mut by_key: HashMap<&Key, Vec<usize>> = HashMap::new();
        let mut by_span: HashMap<Span, Vec<usize>> = HashMap::new();
        for (nth, (cell, _)) in self.b.iter().enumerate() {
            by_key.entry(&cell.key).or_default().push(nth);
            by_span.entry(cell.span).or_default().push(nth);
        }
        let mut taken = vec![false; self.b.len()];
        let mut differences = Vec::new();
        for (cell, row) in &self.a {
            let overlapping = by_key.get(&cell.key).and_then(|places| {
                let overlaps = |nth: &&usize| {
                    let other = self.b[**nth].0.span;
                    !taken[**nth] && other.start <= cell.span.end && cell.span.start <= other.end
                };
                let apart = |nth: &&usize| self.b[**nth].0.span.start.abs_diff(cell.span.start);
                places.iter().filter(overlaps).min_by_key(apart).copied()
            });
            let found = overlapping.or_else(|| {
                let same =
                    |nth: &&usize| !taken[**nth] && differs(pairs, row, self.b[**nth].1).is_none();
                by_span.get(&cell.span)?.iter().find(same).copied()
            });
            let cause = match found.map(|nth| self.b[nth].0) {
                None => Cause::Missing,
                Some(other) if other.key != cell.key => Cause::OtherKey(other.key.clone()),
                Some(other) if other.span.length() == cell.span.length() => {
                    Cause::Shifted(other.span.start - cell.span.start)
                }
                Some(_) => Cause::Bounds,
            };
            if let Some(nth) = found {
                taken[nth] = true;
            }
            differences.push(Difference {
                cell: (*cell).clone(),
                measure: table.measures[at_a].clone(),
                a: Some(row.values[at_a].clone()),
                b: found.map(|nth| self.b[nth].1.values[at_b].clone()),
                cause,
            });
        }
        let left = self.b.iter().zip(taken).filter(|(_, taken)| !taken);
        differences.extend(left.map(|((cell, row), _)| Difference {
            cell: (*cell).clone(),
            measure: table.measures[at_a].clone(),
            a: None,
            b: Some(row.values[at_b].clone()),
            cause: Cause::Extra,
        }));
        differences
    }
}

/// Tells partial panes at the edges from records dropped everywhere: what is missing before the
/// other's first or after its last window, and what is too small in the first or last window
/// alone.
fn mark_edges(a: &ResultTable, b: &ResultTable, differences: &mut [Difference]) {
    let (Some(of_a), Some(of_b)) = (extent(a), extent(b)) else {
        return;
    };
    let inner = |difference: &Difference| {
        let span = difference.cell.span;
        match difference.cause {
            Cause::Missing => span.start >= of_b.start && span.end <= of_b.end,
            Cause::Fewer => {
                let edges = [of_a.start, of_b.start].contains(&span.start)
                    || [of_a.end, of_b.end].contains(&span.end);
                !edges
            }
            _ => true,
        }
    };
    for kind in [Cause::Missing, Cause::Fewer] {
        let of_kind = |difference: &&Difference| difference.cause == kind;
        if differences.iter().filter(of_kind).any(inner) {
            continue;
        }
        let partial = differences
            .iter_mut()
            .filter(|difference| difference.cause == kind);
        partial.for_each(|difference| difference.cause = Cause::Edge);
    }
}

/// Returns from when to when a result has windows; `None` without windows in time.
fn extent(table: &ResultTable) -> Option<Span> {
    let spans = || table.rows.keys().map(|cell| cell.span);
    let extent = Span {
        start: spans().map(|span| span.start).min()?,
        end: spans().map(|span| span.end).max()?,
    };
    (extent != Span::ALL_TIME).then_some(extent)
}

/// Returns a difference in one line for people: `window …: count is 467, should be 1000`.
pub fn describe(difference: &Difference) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map(plain).unwrap_or_default();
    let (a, b) = (shown(&difference.a), shown(&difference.b));
    let Difference {
        cell,
        measure,
        cause,
        ..
    } = difference;
    match cause {
        Cause::OtherKey(key) => format!("{cell} is under key {}", key_text(key)),
        Cause::Extra => format!("{cell} should not be there, {measure} {b}"),
        Cause::Shifted(_) | Cause::Bounds => {
            format!("{cell} {cause}; {measure} is {b}, should be {a}")
        }
        _ if difference.b.is_none() => format!("{cell} is missing, {measure} {a}"),
        _ => format!("{cell}: {measure} is {b}, should be {a}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of windows of 10 ms: start, key, count, mean.
    fn table(rows: &[(i64, &str, i128, f64)]) -> ResultTable {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut table = ResultTable::new(names(&["caller"]), names(&["count", "avg_duration"]));
        for &(start, key, count, mean) in rows {
            let cell = Cell {
                span: Span {
                    start,
                    end: start + 10,
                },
                key: vec![Some(key.into())],
            };
            table.put(cell, vec![Value::Integer(count), Value::Double(mean)]);
        }
        table
    }

    fn causes(a: &ResultTable, b: &ResultTable) -> Vec<(i64, Cause)> {
        let comparison = compare(a, b).expect("comparable");
        let differences = comparison.differences.into_iter();
        differences
            .map(|difference| (difference.cell.span.start, difference.cause))
            .collect()
    }

    const FOUR: [(i64, &str, i128, f64); 4] = [
        (0, "a", 5, 1.5),
        (10, "a", 6, 1.5),
        (20, "a", 7, 1.5),
        (30, "a", 8, 1.5),
    ];

    fn four(change: impl Fn(&mut Vec<(i64, &'static str, i128, f64)>)) -> ResultTable {
        let mut rows = FOUR.to_vec();
        change(&mut rows);
        table(&rows)
    }

    #[test]
    fn equal_tables_have_no_difference() {
        let comparison = compare(&table(&FOUR), &table(&FOUR)).expect("comparable");
        assert_eq!((comparison.same, comparison.is_same()), (4, true));
    }

    #[test]
    fn fewer_and_more_records_are_told_apart() {
        let other = four(|rows| {
            rows[1].2 = 4;
            rows[2].2 = 9;
        });
        assert_eq!(
            causes(&table(&FOUR), &other),
            [(10, Cause::Fewer), (20, Cause::More)]
        );
    }

    #[test]
    fn a_last_window_that_is_too_small_or_missing_is_an_edge() {
        let smaller = four(|rows| rows[3].2 = 1);
        assert_eq!(causes(&table(&FOUR), &smaller), [(30, Cause::Edge)]);
        let shorter = four(|rows| rows.truncate(2));
        assert_eq!(
            causes(&table(&FOUR), &shorter),
            [(20, Cause::Edge), (30, Cause::Edge)]
        );
        // Where windows between are too small, too, the edges have no cause of their own.
        let late = four(|rows| rows.iter_mut().for_each(|row| row.2 -= 1));
        assert!(
            causes(&table(&FOUR), &late)
                .iter()
                .all(|(_, cause)| *cause == Cause::Fewer)
        );
        let hole = four(|rows| rows.retain(|row| row.0 != 10));
        assert_eq!(causes(&table(&FOUR), &hole), [(10, Cause::Missing)]);
    }

    #[test]
    fn windows_with_another_start_are_shifted_not_missing_and_extra() {
        let other = four(|rows| rows.iter_mut().for_each(|row| row.0 += 3));
        let found = causes(&table(&FOUR), &other);
        assert!(
            found.iter().all(|(_, cause)| *cause == Cause::Shifted(3)),
            "{found:?}"
        );
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn the_same_values_under_another_key_are_told_as_such() {
        let other = four(|rows| rows[2].1 = "b");
        assert_eq!(
            causes(&table(&FOUR), &other),
            [(20, Cause::OtherKey(vec![Some("b".into())]))]
        );
    }

    #[test]
    fn a_mean_with_fewer_decimals_is_rounded_and_another_one_is_not() {
        let exact = table(&[(0, "a", 5, 75_017.033_333)]);
        let rounded = compare(&exact, &table(&[(0, "a", 5, 75_017.03)])).expect("comparable");
        assert!(rounded.is_same());
        assert_eq!(rounded.differences[0].cause, Cause::Rounding);
        let other = table(&[(0, "a", 5, 76_000.0)]);
        assert_eq!(causes(&exact, &other), [(0, Cause::Value)]);
    }

    #[test]
    fn windows_that_only_the_other_has_are_extra() {
        let other = four(|rows| rows.push((90, "a", 1, 0.0)));
        assert_eq!(causes(&table(&FOUR), &other), [(90, Cause::Extra)]);
    }
}
