//! Every aggregate against a plain computation: in random order and batches, merged in random
//! order, saved and restored, with rows taken back; sketches within their stated error.

mod estimates;
mod plain;
mod sums;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

use plain::*;

use super::argument::Kept;
use super::exact::{Exact, Scaled};
use super::*;
use crate::column::{DataType, Values};

/// A row: its event time, and its argument or null.
#[derive(Debug, Clone)]
struct Fed<T> {
    at: i64,
    argument: Option<T>,
}

/// A row, and whether it takes an earlier one back.
type Change<T> = (Fed<T>, bool);

/// An argument of a column.
trait Argued: Kept + PartialEq {
    const TYPE: DataType;
    fn column(rows: &[Option<Self>]) -> Column<'_>;
    fn random(random: &mut ChaCha8Rng) -> Self;
}

impl Argued for i64 {
    const TYPE: DataType = DataType::Bigint;

    fn column(rows: &[Option<Self>]) -> Column<'_> {
        Column::Bigint(rows.iter().copied().collect())
    }

    fn random(random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..8) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => random.random(),
            _ => random.random_range(-20..20),
        }
    }
}

impl Argued for f64 {
    const TYPE: DataType = DataType::Double;

    fn column(rows: &[Option<Self>]) -> Column<'_> {
        Column::Double(rows.iter().copied().collect())
    }

    /// Of every size, often very different; always finite.
    fn random(random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..9) {
            0 => 1e300,
            1 => -1e300,
            2 => f64::MIN_POSITIVE / 8.0,
            3 => [-0.0, 0.0][random.random_range(0..2)],
            4 => Some(f64::from_bits(random.random()))
                .filter(|value| value.is_finite())
                .unwrap_or(0.1),
            _ => random.random_range(-1_000..1_000_i64) as f64 / 10.0,
        }
    }
}

impl Argued for Decimal {
    const TYPE: DataType = DataType::Decimal;

    fn column(rows: &[Option<Self>]) -> Column<'_> {
        Column::Decimal(rows.iter().copied().collect())
    }

    /// Of every size, and some equal ones with more zeros than others.
    fn random(random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..8) {
            0 => Decimal::MAX,
            1 => Decimal::MIN,
            2 => Decimal::new(random.random_range(-3..3), Decimal::MAX_SCALE),
            3 => Decimal::new(random.random(), random.random_range(0..=Decimal::MAX_SCALE)),
            _ => Decimal::new(random.random_range(-2_000..2_000), 2),
        }
    }
}

impl Argued for bool {
    const TYPE: DataType = DataType::Boolean;

    fn column(rows: &[Option<Self>]) -> Column<'_> {
        Column::Boolean(rows.iter().copied().collect())
    }

    fn random(random: &mut ChaCha8Rng) -> Self {
        random.random()
    }
}

impl Argued for String {
    const TYPE: DataType = DataType::Text;

    fn column(rows: &[Option<Self>]) -> Column<'_> {
        let texts: Values<&str> = rows.iter().map(Option::as_deref).collect();
        Column::Text(texts)
    }

    fn random(random: &mut ChaCha8Rng) -> Self {
        const TEXTS: [&str; 6] = ["", "a", "ab", "café", "ba", "a longer text than most"];
        TEXTS[random.random_range(0..TEXTS.len())].to_owned()
    }
}

/// Returns what the n-th row of the input carries along.
fn carried(nth: u64) -> Option<i64> {
    (!nth.is_multiple_of(5)).then_some(nth as i64)
}

/// Adds rows, the n-th of them being the n-th of the input.
fn feed<T: Argued>(
    states: &mut dyn Accumulator,
    slot: Slot,
    first: u64,
    rows: &[Fed<T>],
    taken_back: Option<&[bool]>,
) {
    let arguments: Vec<Option<T>> = rows.iter().map(|row| row.argument.clone()).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
    let indexes: Vec<u32> = (0..rows.len() as u32).collect();
    let slots = vec![slot; rows.len()];
    let numbers = first..first + rows.len() as u64;
    let arguments = Arguments {
        column: Some(&T::column(&arguments)),
        carried: Some(&Column::Bigint(numbers.map(carried).collect())),
        times: &times,
        partition: 0,
        first,
        taken_back,
    };
    let added = states.add(&slots, &indexes, &arguments);
    added.expect("the type");
}

/// Returns what rows come to when they are added in pieces to several slots, which are saved,
/// restored and merged, all at random.
fn piecewise<T: Argued>(
    function: Function,
    net: bool,
    rows: &[Change<T>],
    random: &mut ChaCha8Rng,
) -> Value {
    let make = || {
        if net {
            function.net_accumulator(Some(T::TYPE))
        } else {
            function.accumulator(Some(T::TYPE))
        }
    };
    let mut states = make().expect("a type that it takes");
    let slots: Slot = random.random_range(1..6);
    (0..slots).for_each(|slot| states.reset(slot));
    // Pieces in any order: what they are has to depend on the rows alone.
    let mut pieces: Vec<(u64, &[Change<T>])> = Vec::new();
    let mut first = 0;
    while first < rows.len() {
        let last = rows.len().min(first + random.random_range(1..20));
        pieces.push((first as u64, &rows[first..last]));
        first = last;
    }
    pieces.shuffle(random);
    for (first, piece) in pieces {
        let (fed, taken_back): (Vec<Fed<T>>, Vec<bool>) = piece.iter().cloned().unzip();
        let slot = random.random_range(0..slots);
        feed(
            states.as_mut(),
            slot,
            first,
            &fed,
            net.then_some(&taken_back[..]),
        );
        if random.random_range(0..4) == 0 {
            let mut bytes = Vec::new();
            states.save(slot, &mut bytes).expect("a state");
            let mut restored = states.empty();
            restored.reset(0);
            let mut rest = bytes.as_slice();
            restored.load(0, &mut rest).expect("what was saved");
            assert!(rest.is_empty());
            states.reset(slot);
            let absorbed = states.absorb(&[slot], restored.as_ref(), &[0]);
            absorbed.expect("one aggregate");
        }
    }
    let mut left: Vec<Slot> = (0..slots).collect();
    left.shuffle(random);
    while let [.., into, from] = left[..] {
        states.merge(into, from);
        left.pop();
    }
    let last = states.split_off(&left);
    last.result(0)
}

/// Compares a function with a plain computation over the arguments that are not null, by event
/// time and place.
fn agrees<T: Argued>(function: Function, plain: impl Fn(&[T]) -> Value) {
    let mut random = ChaCha8Rng::seed_from_u64(function.name().len() as u64);
    for round in 0..300 {
        let rows = random_rows::<T>(&mut random, round);
        let mut order: Vec<(i64, usize)> = (0..rows.len()).map(|nth| (rows[nth].at, nth)).collect();
        order.sort_unstable();
        let in_order: Vec<T> = order
            .iter()
            .filter_map(|(_, nth)| rows[*nth].argument.clone())
            .collect();
        let rows: Vec<Change<T>> = rows.into_iter().map(|row| (row, false)).collect();
        let result = piecewise(function, false, &rows, &mut random);
        let plain = plain(&in_order);
        assert!(
            same(&result, &plain),
            "{function:?}: {result:?}, not {plain:?}"
        );
    }
}

fn random_rows<T: Argued>(random: &mut ChaCha8Rng, round: usize) -> Vec<Fed<T>> {
    let rows = match round % 10 {
        0 => 0,
        1 => 1,
        _ => random.random_range(2..90),
    };
    let row = |_| Fed {
        at: random.random_range(0..20),
        argument: (random.random_range(0..6) > 0).then(|| T::random(random)),
    };
    (0..rows).map(row).collect()
}

/// As a plain computation over the rows that were not taken back again.
fn agrees_net<T: Argued>(function: Function, plain: impl Fn(&[T]) -> Value) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for round in 0..300 {
        let rows = random_rows::<T>(&mut random, round);
        let mut changes: Vec<Change<T>> = Vec::new();
        let mut left = Vec::new();
        for row in rows {
            changes.push((row.clone(), false));
            match random.random_range(0..3) {
                0 => left.extend(row.argument),
                _ => changes.push((row, true)),
            }
        }
        changes.shuffle(&mut random);
        let result = piecewise(function, true, &changes, &mut random);
        let plain = plain(&left);
        assert!(
            same(&result, &plain),
            "{function:?}: {result:?}, not {plain:?}"
        );
    }
}

/// Returns whether two values are the same, to the bit.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Double(left), Value::Double(right)) => {
            left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
        }
        _ => left == right,
    }
}

fn integer(value: impl Into<i128>) -> Value {
    Value::Integer(value.into())
}

fn or_null<T>(arguments: &[T], value: impl FnOnce() -> Value) -> Value {
    if arguments.is_empty() {
        Value::Null
    } else {
        value()
    }
}

fn sorted<T: Kept>(arguments: &[T]) -> Vec<T> {
    let mut sorted = arguments.to_vec();
    sorted.sort_by(|left, right| T::compare(left.argument(), right.argument()));
    sorted
}

fn distinct<T: Argued>(arguments: &[T]) -> Value {
    let mut sorted = sorted(arguments);
    sorted.dedup_by(|left, right| left == right); // of -0 and 0, too
    integer(sorted.len() as i128)
}

fn list<T: Kept>(values: impl Iterator<Item = T>) -> Value {
    let values: Box<[Value]> = values.map(|value| value.value()).collect();
    if values.is_empty() {
        Value::Null
    } else {
        Value::List(values)
    }
}

#[test]
fn counts_agree_with_a_plain_computation() {
    fn check<T: Argued>() {
        let count = |arguments: &[T]| integer(arguments.len() as i128);
        agrees(Function::Count, count);
        agrees_net(Function::Count, count);
        agrees(Function::CountDistinct, distinct::<T>);
        agrees_net(Function::CountDistinct, distinct::<T>);
        agrees(Function::ApproxDistinct, distinct::<T>); // few
    }
    check::<i64>();
    check::<f64>();
    check::<Decimal>();
    check::<bool>();
    check::<String>();
}

#[test]
fn extremes_ends_and_lists_agree_with_a_plain_computation() {
    fn any<T: Argued>() {
        let value = |found: Option<&T>| found.map_or(Value::Null, T::value);
        agrees(Function::First, |arguments: &[T]| value(arguments.first()));
        agrees(Function::Last, |arguments: &[T]| value(arguments.last()));
        agrees(Function::Collect(5), |arguments: &[T]| {
            list(arguments.iter().take(5).cloned())
        });
    }
    fn ordered<T: Argued>() {
        let value = |found: Option<&T>| found.map_or(Value::Null, T::value);
        agrees(Function::Min, |arguments: &[T]| {
            value(sorted(arguments).first())
        });
        agrees(Function::Max, |arguments: &[T]| {
            value(sorted(arguments).last())
        });
        agrees(Function::Top(5), |arguments: &[T]| {
            list(sorted(arguments).into_iter().rev().take(5))
        });
    }
    any::<i64>();
    any::<f64>();
    any::<Decimal>();
    any::<bool>();
    any::<String>();
    ordered::<i64>();
    ordered::<f64>();
    ordered::<Decimal>();
    ordered::<String>();
}

#[test]
fn the_mode_agrees_with_a_plain_computation() {
    fn check<T: Argued>() {
        let mode = |arguments: &[T]| {
            let sorted = sorted(arguments);
            let groups = sorted.chunk_by(|left, right| left == right); // of -0 and 0, too
            let most = groups.rev().max_by_key(|group| group.len());
            most.map_or(Value::Null, |group| T::of(group[0].argument()).value())
        };
        agrees(Function::Mode, mode);
        agrees_net(Function::Mode, mode);
    }
    check::<i64>();
    check::<f64>();
    check::<Decimal>();
    check::<bool>();
    check::<String>();
}

#[test]
fn what_stands_beside_the_largest_agrees_with_a_plain_computation() {
    fn check<T: Argued>(random: &mut ChaCha8Rng) {
        for round in 0..300 {
            let rows = random_rows::<T>(random, round);
            let mut order: Vec<(i64, usize)> =
                (0..rows.len()).map(|nth| (rows[nth].at, nth)).collect();
            order.sort_unstable();
            let full = order.iter().filter_map(|&(_, nth)| {
                let argument = rows[nth].argument.clone()?;
                Some((argument, carried(nth as u64)?))
            });
            let full: Vec<(T, i64)> = full.collect();
            let beside = |is_better: Ordering| {
                let first = full.iter().reduce(|best, next| {
                    let order = T::compare(next.0.argument(), best.0.argument());
                    if order == is_better { next } else { best }
                });
                first.map_or(Value::Null, |(_, nth)| integer(*nth))
            };
            let changes: Vec<Change<T>> = rows.into_iter().map(|row| (row, false)).collect();
            for (function, is_better) in [
                (Function::MaxBy, Ordering::Greater),
                (Function::MinBy, Ordering::Less),
            ] {
                let found = piecewise(function, false, &changes, random);
                right(function, &found, &beside(is_better));
            }
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(13);
    check::<i64>(&mut random);
    check::<f64>(&mut random);
    check::<Decimal>(&mut random);
    check::<String>(&mut random);
}

#[test]
fn all_that_is_taken_back_leaves_nothing() {
    let rows: Vec<Change<i64>> = [(5, false), (7, true), (5, true), (7, false)]
        .into_iter()
        .map(|(argument, taken_back)| {
            let argument = Some(argument);
            (Fed { at: 0, argument }, taken_back)
        })
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut left = |function| piecewise(function, true, &rows, &mut random);
    assert_eq!(left(Function::Count), integer(0));
    assert_eq!(left(Function::CountDistinct), integer(0));
    let median = Function::Quantile(Share::new(0.5).expect("a share"));
    for function in [Function::Sum, Function::Avg, Function::Stddev, median] {
        assert_eq!(left(function), Value::Null, "{function:?}");
    }
}

#[test]
fn what_cannot_take_rows_back_is_refused() {
    for function in [
        Function::Min,
        Function::Max,
        Function::ApproxDistinct,
        Function::First,
        Function::Last,
        Function::Top(3),
        Function::Collect(3),
        Function::MaxBy,
        Function::MinBy,
    ] {
        let error = function
            .net_accumulator(Some(DataType::Bigint))
            .expect_err("refused");
        assert!(
            error.to_string().contains("cannot take rows back"),
            "{error}"
        );
    }
}

#[test]
fn every_example_gives_what_it_says() {
    // Rows of x: 4, 1, 3, 3 and null.
    let x = [Some(4), Some(1), Some(3), Some(3), None];
    let columns = crate::column::Columns {
        rows: x.len(),
        columns: vec![Column::Bigint(x.into_iter().collect())],
        ..Default::default()
    };
    let field = crate::column::Field {
        name: "x".to_owned(),
        data_type: DataType::Bigint,
    };
    let schema = crate::column::Schema {
        fields: vec![field],
        ..crate::column::Schema::default()
    };
    let mut told: BTreeMap<&str, &str> = BTreeMap::new();
    for description in all() {
        assert!(description.summary.ends_with('.'), "{}", description.usage);
        told.insert(description.usage, description.example);
        let call = crate::expression::parse_calls(description.example, &schema).expect("a call");
        let (first, second) = (call[0].arguments.first(), call[0].arguments.get(1));
        let (argument, carried, parameter) = if Function::carries(&call[0].function) {
            (second, first, None)
        } else {
            (first, None, second.and_then(|second| second.constant()))
        };
        let function = Function::named(&call[0].function, call[0].distinct, parameter.as_ref());
        let data_type = argument.map(|argument| argument.data_type());
        let mut states = function
            .and_then(|function| function.accumulator(data_type))
            .expect("an aggregate");
        states.reset(0);
        let arena = bumpalo::Bump::new();
        let column = |expression: &crate::expression::Expression| {
            let column = expression.evaluate(&columns, &arena).column;
            column.into_owned()
        };
        let (argument, carried) = (argument.map(column), carried.map(column));
        let arguments = Arguments {
            column: argument.as_ref(),
            carried: carried.as_ref(),
            times: &[0, 1, 2, 3, 4],
            partition: 0,
            first: 0,
            taken_back: None,
        };
        let added = states.add(&[0; 5], &[0, 1, 2, 3, 4], &arguments);
        added.expect("the type");
        let mut json = Vec::new();
        crate::notation::push_json(&mut json, states.result(0).as_ref());
        assert_eq!(
            String::from_utf8_lossy(&json),
            description.result,
            "{}",
            description.example
        );
    }
}

#[test]
fn what_does_not_fit_a_state_is_an_error_and_no_lost_record() {
    let sum = |data_type| Function::Sum.accumulator(Some(data_type));
    let mut states = sum(DataType::Bigint).expect("a sum");
    states.reset(0);
    for column in [
        Some(Column::Text(Values::from_iter([Some("7")]))),
        Some(Column::Boolean(Values::from_iter([Some(true)]))),
        None,
    ] {
        let arguments = Arguments {
            column: column.as_ref(),
            carried: None,
            times: &[0],
            partition: 0,
            first: 0,
            taken_back: None,
        };
        let error = states.add(&[0], &[0], &arguments).expect_err("a type");
        assert!(
            error.to_string().contains("not of its planned type"),
            "{error}"
        );
    }
    let mut other = Function::Count.accumulator(None).expect("a count");
    other.reset(0);
    let error = states.absorb(&[0], other.as_ref(), &[0]).expect_err("two");
    assert!(error.to_string().contains("two different"), "{error}");
}

/// Returns what arguments come to, having seen that it is the same in several orders.
fn shuffled<T: Argued>(function: Function, arguments: &[T], random: &mut ChaCha8Rng) -> Value {
    let mut rows: Vec<Change<T>> = arguments
        .iter()
        .map(|argument| {
            let argument = Some(argument.clone());
            (Fed { at: 0, argument }, false)
        })
        .collect();
    let result = piecewise(function, false, &rows, random);
    for _ in 0..2 {
        rows.shuffle(random);
        let again = piecewise(function, false, &rows, random);
        assert!(
            same(&again, &result),
            "{function:?}: {again:?}, not {result:?}"
        );
    }
    result
}
