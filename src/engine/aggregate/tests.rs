//! Every aggregate against a plain computation: in random order and batches, merged in random
//! order, saved and restored, with rows taken back; sketches within their stated error.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

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

/// Returns a double as an integer × 2^-1074, by its decimal expansion and not by its bits.
fn big(value: f64) -> BigInt {
    let exact = format!("{value:.1074}");
    let (whole, fraction) = exact.split_once('.').expect("1,074 places");
    let digits: BigInt = format!("{whole}{fraction}").parse().expect("digits");
    (digits << 1074_u32) / BigInt::from(10).pow(1074)
}

/// Returns numerator / denominator as the nearest double, by bisection over all doubles.
fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
    let negative = numerator.sign() == num_bigint::Sign::Minus;
    let numerator = BigInt::from(numerator.magnitude().clone());
    // How the double of these bits compares with the quotient; ∞ stands for 2^1024.
    let compare = |bits: u64| {
        let value = match bits {
            0x7ff0_0000_0000_0000 => BigInt::from(1) << 2098_u32,
            _ => big(f64::from_bits(bits)),
        };
        (value * denominator).cmp(&numerator)
    };
    let (mut low, mut high) = (0, f64::INFINITY.to_bits());
    if compare(high) != Ordering::Greater {
        return if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            Ordering::Greater => high = middle,
            _ => low = middle,
        }
    }
    let value = |bits: u64| match bits {
        0x7ff0_0000_0000_0000 => BigInt::from(1) << 2098_u32,
        _ => big(f64::from_bits(bits)),
    };
    let to_low: BigInt = &numerator - value(low) * denominator;
    let to_high: BigInt = value(high) * denominator - &numerator;
    let bits = match to_low.cmp(&to_high) {
        Ordering::Less => low,
        Ordering::Greater => high,
        Ordering::Equal if low % 2 == 0 => low,
        Ordering::Equal => high,
    };
    let value = f64::from_bits(bits);
    if negative { -value } else { value }
}

/// Returns the sum of doubles in units of 2^-1074.
fn big_sum(arguments: &[f64]) -> BigInt {
    arguments.iter().map(|argument| big(*argument)).sum()
}

fn one() -> BigInt {
    BigInt::from(1)
}

fn plain_sum(arguments: &[f64]) -> Value {
    or_null(arguments, || {
        Value::Double(nearest(&big_sum(arguments), &one()) + 0.0)
    })
}

fn plain_integer_sum(arguments: &[i64]) -> Value {
    or_null(arguments, || {
        integer(arguments.iter().map(|n| i128::from(*n)).sum::<i128>())
    })
}

/// Adds up in 10^-28.
fn plain_decimal_sum(arguments: &[Decimal]) -> Value {
    let units = |value: &Decimal| {
        let zeros = Decimal::MAX_SCALE - value.scale();
        BigInt::from(value.mantissa()) * BigInt::from(10).pow(zeros)
    };
    or_null(arguments, || {
        let sum: BigInt = arguments.iter().map(units).sum();
        let digits = format!("{:0>29}", sum.magnitude());
        let (whole, fraction) = digits.split_at(digits.len() - 28);
        let sign = if sum < BigInt::ZERO { "-" } else { "" };
        let number = format!("{sign}{whole}.{fraction}");
        let number = number.trim_end_matches('0').trim_end_matches('.');
        match Decimal::from_str_exact(number) {
            Ok(sum) => Value::Decimal(sum),
            Err(_) => Value::Text(number.into()),
        }
    })
}

fn plain_integer_mean(arguments: &[i64]) -> Value {
    let Value::Integer(sum) = plain_integer_sum(arguments) else {
        return Value::Null;
    };
    // Both are doubles: the processor rounds their quotient once.
    if sum.unsigned_abs() < 1 << f64::MANTISSA_DIGITS {
        return Value::Double(sum as f64 / arguments.len() as f64);
    }
    Value::Double(quotient(&BigInt::from(sum), &BigInt::from(arguments.len())))
}

/// Returns numerator / denominator, whole numbers, as the nearest double.
fn quotient(numerator: &BigInt, denominator: &BigInt) -> f64 {
    nearest(&(numerator << 1074_u32), denominator) + 0.0
}

/// Returns √((n·Σx² − (Σx)²) / (n·(n−1))) of integers in units of 1 / `unit`.
fn plain_deviation(integers: &[BigInt], unit: &BigInt) -> Value {
    let count = BigInt::from(integers.len());
    if integers.len() < 2 {
        return Value::Null;
    }
    let sum: BigInt = integers.iter().sum();
    let squares: BigInt = integers.iter().map(|n| n * n).sum();
    let numerator = &count * squares - &sum * &sum;
    let denominator = &count * (&count - 1) * unit * unit;
    // The root of the quotient to 100 bits.
    let quotient: BigInt = (numerator << 4500_u32) / denominator;
    let root = quotient.sqrt();
    Value::Double(nearest(&(root << 1074_u32), &(one() << 2250_u32)))
}

fn right(function: Function, found: &Value, expected: &Value) {
    assert!(
        same(found, expected),
        "{function:?}: {found:?}, not {expected:?}"
    );
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
fn sums_are_exact_in_any_order() {
    agrees(Function::Sum, plain_integer_sum);
    agrees_net(Function::Sum, plain_integer_sum);
    agrees(Function::Avg, plain_integer_mean);
    agrees_net(Function::Avg, plain_integer_mean);
    agrees(Function::Sum, plain_sum);
    agrees_net(Function::Sum, plain_sum);
    agrees(Function::Sum, plain_decimal_sum);
    agrees_net(Function::Sum, plain_decimal_sum);
}

#[test]
fn sums_of_decimals_are_written_out_whatever_their_size() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut sum = |arguments: &[&str]| {
        let arguments: Vec<Decimal> = arguments
            .iter()
            .map(|text| text.parse().expect("a number"))
            .collect();
        let mut json = Vec::new();
        let sum = shuffled(Function::Sum, &arguments, &mut random);
        crate::notation::push_csv(&mut json, sum.as_ref());
        String::from_utf8(json).expect("UTF-8")
    };
    assert_eq!(sum(&["19.90", "0.10", "-0.005"]), "19.995");
    assert_eq!(sum(&["0.1"; 10]), "1");
    let most = "79228162514264337593543950335";
    assert_eq!(sum(&[most, most]), "158456325028528675187087900670");
    assert_eq!(
        sum(&[most, "-0.5", most, "0.05"]),
        "158456325028528675187087900669.55"
    );
    assert_eq!(sum(&["-1e-28", "1e-28"]), "0");
}

#[test]
fn means_of_doubles_are_free_of_order_and_right_to_the_last_place() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for round in 0..300 {
        let arguments: Vec<f64> = (0..random.random_range(1..40))
            .map(|_| match round % 3 {
                // So small that the mean has fewer bits than a double's 53.
                0 => f64::from_bits(random.random_range(0..1 << 20)),
                1 => random.random_range(-1_000..1_000_i64) as f64 / 10.0,
                _ => f64::random(&mut random),
            })
            .collect();
        let result = shuffled(Function::Avg, &arguments, &mut random);
        let count = BigInt::from(arguments.len());
        let mean = nearest(&big_sum(&arguments), &count) + 0.0;
        right(Function::Avg, &result, &Value::Double(mean));
    }
}

#[test]
fn deviations_are_free_of_order_and_right_to_the_last_place() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for round in 0..200 {
        let integers: Vec<i64> = (0..random.random_range(0..40))
            .map(|_| match round % 2 {
                // Far from 0 and close together, where rounding would leave nothing.
                0 => i64::MAX - random.random_range(0..3),
                _ => i64::random(&mut random),
            })
            .collect();
        let result = shuffled(Function::Stddev, &integers, &mut random);
        let exact: Vec<BigInt> = integers.iter().map(|n| BigInt::from(*n)).collect();
        right(Function::Stddev, &result, &plain_deviation(&exact, &one()));

        let doubles: Vec<f64> = (0..random.random_range(0..40))
            .map(|_| match round % 3 {
                0 => 1e9 + random.random_range(0..1_000) as f64 / 1e6,
                1 => 1e200 * random.random_range(0..1_000) as f64,
                _ => random.random_range(-1e-3..1e-3),
            })
            .collect();
        let result = shuffled(Function::Stddev, &doubles, &mut random);
        let exact: Vec<BigInt> = doubles.iter().map(|x| big(*x)).collect();
        right(
            Function::Stddev,
            &result,
            &plain_deviation(&exact, &(one() << 1074_u32)),
        );
    }
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

#[test]
fn what_is_not_finite_shows_and_is_free_of_order() {
    const INFINITE: f64 = f64::INFINITY;
    let cases: [(&[f64], f64); 7] = [
        (&[1.0, INFINITE], INFINITE),
        (&[-INFINITE, 1.0], -INFINITE),
        (&[INFINITE, -INFINITE, 1.0], f64::NAN),
        (&[1.0, f64::NAN], f64::NAN),
        (&[f64::MAX, f64::MAX], INFINITE),
        (&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
        (&[f64::MAX, 1e-300, -f64::MAX], 1e-300),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (arguments, sum) in cases {
        let result = shuffled(Function::Sum, arguments, &mut random);
        assert!(
            same(&result, &Value::Double(sum)),
            "{arguments:?}: {result:?}"
        );
    }
    let mean = shuffled(Function::Avg, &[f64::MAX, f64::MAX], &mut random);
    assert_eq!(mean, Value::Double(f64::MAX));
    let deviation = shuffled(Function::Stddev, &[1.0, INFINITE], &mut random);
    assert!(same(&deviation, &Value::Double(f64::NAN)));
    let largest = shuffled(Function::Max, &[1.0, f64::NAN, INFINITE], &mut random);
    assert!(same(&largest, &Value::Double(f64::NAN)));
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

/// Inputs that are hard for sketches, each of 20,000 arguments.
fn hard_inputs(random: &mut ChaCha8Rng) -> Vec<(&'static str, Vec<f64>)> {
    const COUNT: usize = 20_000;
    let make = |mut argument: Box<dyn FnMut(usize) -> f64 + '_>| {
        (0..COUNT).map(&mut *argument).collect::<Vec<f64>>()
    };
    let mut draw = || random.random_range(1e-9..1.0_f64);
    vec![
        ("ascending", make(Box::new(|n| n as f64 + 1.0))),
        ("descending", make(Box::new(|n| (COUNT - n) as f64))),
        ("constant", make(Box::new(|_| 60_543.0))),
        ("heavy tail", make(Box::new(|_| 1.0 / draw().powi(3)))),
        (
            "two clusters",
            make(Box::new(|n| {
                if n % 2 == 0 {
                    1.0 + n as f64 / 1e6
                } else {
                    1e9 + n as f64
                }
            })),
        ),
        ("below zero", make(Box::new(|n| 10_000.5 - n as f64))),
        (
            "powers of two",
            make(Box::new(|n| 2.0_f64.powi(n as i32 % 40 - 20))),
        ),
    ]
}

#[test]
fn quantiles_are_within_their_stated_error() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (name, doubles) in hard_inputs(&mut random) {
        let integers: Vec<i64> = doubles.iter().map(|x| *x as i64).collect();
        for share in [0.0, 0.001, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0] {
            let function = Function::Quantile(Share::new(share).expect("a share"));
            let rank = ((share * doubles.len() as f64).ceil() as usize).max(1);
            let exact = sorted(&doubles)[rank - 1];
            let Value::Double(found) = shuffled(function, &doubles, &mut random) else {
                panic!("a double");
            };
            let off = (found - exact).abs() / exact.abs();
            assert!(off <= 1.0 / 256.0, "{name}, {share}: {found}, not {exact}");
            let exact = sorted(&integers)[rank - 1];
            let Value::Integer(found) = shuffled(function, &integers, &mut random) else {
                panic!("an integer");
            };
            let off = (found - i128::from(exact)).abs() as f64;
            assert!(
                off <= exact.abs() as f64 / 256.0,
                "{name}, {share}: {found}, not {exact}"
            );
        }
    }
}

#[test]
fn quantiles_of_few_are_exact() {
    let median = Function::Quantile(Share::new(0.5).expect("a share"));
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for count in 1..=64 {
        let arguments: Vec<i64> = (0..count).map(|_| i64::random(&mut random)).collect();
        let result = shuffled(median, &arguments, &mut random);
        let exact = sorted(&arguments)[arguments.len().div_ceil(2) - 1];
        assert_eq!(result, exact.value());
    }
}

#[test]
fn quantiles_of_few_that_are_left_are_exact() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for round in 0..200 {
        let share = f64::from(round % 5) / 4.0;
        let function = Function::Quantile(Share::new(share).expect("a share"));
        let mut left: Vec<f64> = Vec::new();
        let mut rows: Vec<Change<f64>> = Vec::new();
        for _ in 0..random.random_range(1..=64) {
            let mut value = f64::random(&mut random);
            for _ in 0..random.random_range(0..5) {
                let argument = Some(value);
                rows.push((Fed { at: 0, argument }, false));
                rows.push((Fed { at: 0, argument }, true));
                value = f64::random(&mut random);
            }
            let argument = Some(value);
            rows.push((Fed { at: 0, argument }, false));
            left.push(value);
        }
        rows.shuffle(&mut random);
        let result = piecewise(function, true, &rows, &mut random);
        let rank = ((share * left.len() as f64).ceil() as usize).max(1);
        right(function, &result, &sorted(&left)[rank - 1].value());
    }
}

#[test]
fn quantiles_of_what_is_left_are_those_of_rows_that_nothing_was_taken_of() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let function = Function::Quantile(Share::new(0.75).expect("a share"));
    for count in [63, 64, 65, 66, 300] {
        let left: Vec<i64> = (0..count)
            .map(|_| random.random_range(0..1 << 40))
            .collect();
        let mut rows: Vec<Change<i64>> = Vec::new();
        let fed = |argument| Fed {
            at: 0,
            argument: Some(argument),
        };
        for &argument in &left {
            rows.push((fed(argument + 1), true));
            rows.push((fed(argument), false));
            rows.push((fed(argument + 1), false));
        }
        rows.shuffle(&mut random);
        let result = piecewise(function, true, &rows, &mut random);
        right(function, &result, &shuffled(function, &left, &mut random));
    }
}

#[test]
fn quantiles_with_rows_taken_back_are_within_their_stated_error() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let median = Function::Quantile(Share::new(0.5).expect("a share"));
    let kept: Vec<i64> = (0..5_000).map(|n| n * n).collect();
    let mut rows: Vec<Change<i64>> = Vec::new();
    let fed = |argument| Fed {
        at: 0,
        argument: Some(argument),
    };
    for &argument in &kept {
        let replaced = fed(argument / 3 + 17);
        rows.push((replaced.clone(), false));
        rows.push((replaced, true));
        rows.push((fed(argument), false));
    }
    rows.shuffle(&mut random);
    let Value::Integer(found) = piecewise(median, true, &rows, &mut random) else {
        panic!("an integer");
    };
    let exact = i128::from(kept[2_499]);
    assert!((found - exact).abs() * 256 <= exact, "{found}, not {exact}");
}

#[test]
fn approximate_counts_are_within_their_stated_error() {
    // Of many counts, the standard deviation of their errors is the stated 1.6 %, and none is
    // off by five times that.
    let mut squares = 0.0;
    let sizes = [100, 256, 257, 1_000, 3_000, 10_000, 40_000, 200_000];
    let mut rounds = 0;
    for size in sizes {
        for round in 0..8_i64 {
            let mut states = Function::ApproxDistinct
                .accumulator(Some(DataType::Bigint))
                .expect("a function");
            states.reset(0);
            let rows: Vec<Fed<i64>> = (0..size)
                .flat_map(|n| [n, n])
                .map(|n| Fed {
                    at: 0,
                    argument: Some(n * (round + 1) + round),
                })
                .collect();
            feed(states.as_mut(), 0, 0, &rows, None);
            let Value::Integer(found) = states.result(0) else {
                panic!("an integer");
            };
            let off = (found as f64 - size as f64) / size as f64;
            if size <= 256 {
                assert_eq!(off, 0.0);
                continue;
            }
            assert!(off.abs() < 5.0 * 0.016_25, "{size}: {found}");
            squares += off * off;
            rounds += 1;
        }
    }
    let error = (squares / f64::from(rounds)).sqrt();
    assert!(error < 0.016_25 * 1.25, "{error}");
}

#[test]
fn approximate_counts_are_the_same_in_every_order_and_merge() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for size in [250, 300, 5_000] {
        let arguments: Vec<String> = (0..size).map(|n| format!("caller {n}")).collect();
        shuffled(Function::ApproxDistinct, &arguments, &mut random);
    }
}

#[test]
fn an_exact_sum_rounds_as_the_nearest_double() {
    let mut random = ChaCha8Rng::seed_from_u64(10);
    for _ in 0..300 {
        let integer = BigInt::from(random.random::<i128>()) << random.random_range(0..300_u32);
        let exponent = random.random_range(-400..100);
        let scaled = Scaled {
            integer: integer.clone(),
            exponent,
        };
        let (number, power) = scaled.rounded();
        let shift = (exponent + 1074) as u32;
        let expected = nearest(&(integer << shift), &one());
        assert_eq!(libm::scalbn(number, power), expected);
    }
}

#[test]
fn a_sum_of_worlds_apart_keeps_every_bit() {
    let mut sum = Exact::default();
    for n in 0..2_000 {
        let value = 2.0_f64.powi(n % 2_046 - 1_022);
        sum.add(value, 1);
    }
    for n in (0..2_000).rev().filter(|n| *n != 1_500) {
        sum.add(2.0_f64.powi(n % 2_046 - 1_022), -1);
    }
    assert_eq!(sum.to_f64(), 2.0_f64.powi(1_500 - 1_022));
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
