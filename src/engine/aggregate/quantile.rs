//! `quantile`, `p50`, `p99.9`: exact over few arguments, within 0.4 % over many.
//!
//! Arguments are counted in fixed logarithmic buckets, 128 from each power of two to the next, as
//! DDSketch does with linear interpolation between powers (Masson, Rim, Lee: "DDSketch", 2019,
//! §2.2) and HdrHistogram: a bucket's middle is at most 1/256 off any argument in it. A bucket is
//! a shift of the bits: no logarithm, whose last bit might differ elsewhere. Buckets of several
//! parts add up exactly, whatever the order.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Argument, Kept, Row};
use super::distinct::Distinct;
use super::net::Retract;
use crate::column::Value;
use crate::number::Number;

/// Which quantile, in 10^-9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 1_000_000_000;

    /// Returns a share from 0 to 1; `None` beyond.
    pub fn new(share: f64) -> Option<Self> {
        let parts = (share * f64::from(Self::WHOLE)).round();
        (0.0..=f64::from(Self::WHOLE))
            .contains(&parts)
            .then_some(Share(parts as u32))
    }

    /// Returns the rank of the quantile among this many in order, from 1: the smallest rank of
    /// which the share below and at it is as large ("nearest rank").
    fn rank(self, count: u64) -> u64 {
        let share = u128::from(count) * u128::from(self.0);
        (share.div_ceil(Self::WHOLE.into()) as u64).max(1)
    }
}

/// A number that falls into a bucket.
pub(super) trait Bucketed: Kept + for<'a> Argument<'a> + Copy {
    /// Returns the number's bucket; buckets are in the order of their numbers.
    fn bucket(self) -> i32;

    /// Returns the middle of a bucket.
    fn middle(bucket: i32) -> Self;

    /// Returns what is kept of it: the same of all that are equal.
    fn kept(self) -> Self {
        self
    }
}

/// How many bits number the buckets between two powers of two.
const FINE: u32 = 7;
const PAGE: i32 = 1 << FINE;

impl Bucketed for i64 {
    fn bucket(self) -> i32 {
        let magnitude = self.unsigned_abs();
        let coarse = magnitude.max(1).ilog2().saturating_sub(FINE);
        // Up to 2^8 each number has a bucket.
        let bucket = (coarse << FINE) as i32 + (magnitude >> coarse) as i32;
        if self < 0 { -bucket } else { bucket }
    }

    fn middle(bucket: i32) -> Self {
        let place = bucket.unsigned_abs();
        let coarse = (place >> FINE).saturating_sub(1);
        let low = u128::from(place - (coarse << FINE)) << coarse;
        let middle = (low + ((1 << coarse) - 1) / 2) as i128;
        let signed = if bucket < 0 { -middle } else { middle };
        signed.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

impl Bucketed for Number {
    fn bucket(self) -> i32 {
        self.to_f64().bucket()
    }

    /// A whole number, if the bucket holds one.
    fn middle(bucket: i32) -> Self {
        let (low, high) = f64::edges(bucket.abs());
        let (first, after) = (low.ceil(), high.ceil());
        let middle = if first < after && after <= WHOLE {
            Number::Integer((first as i64 + after as i64 - 1) / 2)
        } else {
            return Number::Double(f64::middle(bucket));
        };
        match (middle, bucket < 0) {
            (Number::Integer(middle), true) => Number::Integer(-middle),
            (middle, _) => middle,
        }
    }

    fn kept(self) -> Self {
        self.canonical()
    }
}

/// Up to here doubles represent all whole numbers.
const WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// How many of a double's bits its bucket ignores.
const BELOW: u32 = f64::MANTISSA_DIGITS - 1 - FINE;

impl Bucketed for f64 {
    /// Buckets near 0 are as wide as above 2^-1022; -0 is 0.
    fn bucket(self) -> i32 {
        let bits = if self.is_nan() { f64::NAN } else { self.abs() }.to_bits();
        let bucket = (bits >> BELOW) as i32;
        if self < 0.0 { -bucket } else { bucket }
    }

    fn middle(bucket: i32) -> Self {
        let (low, high) = f64::edges(bucket.abs());
        let middle = low + (high - low) / 2.0;
        if bucket < 0 { -middle } else { middle }
    }
}

trait Edges: Sized {
    /// Returns where a bucket above 0 begins and the next one does.
    fn edges(bucket: i32) -> (Self, Self);
}

impl Edges for f64 {
    fn edges(bucket: i32) -> (f64, f64) {
        /// The bucket of infinity, above all of numbers; above it there is one of no number.
        const INFINITE: i32 = 0x7ff << FINE;
        let edge = |place: i32| f64::from_bits((place as u64) << BELOW);
        match bucket {
            1..INFINITE => (edge(bucket), edge(bucket + 1).min(f64::MAX)),
            _ => (edge(bucket), edge(bucket)),
        }
    }
}

/// How many arguments fell into each bucket, by pages of [`PAGE`] buckets in order.
///
/// A page is made by its first argument: 1 KiB for each power of two that there are arguments of,
/// so never more than 4 MiB, whatever the arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Buckets(Vec<(i32, Box<[i64]>)>);

impl Buckets {
    fn of<T: Bucketed>(arguments: impl Iterator<Item = (T, i64)>) -> Self {
        let mut buckets = Buckets::default();
        arguments.for_each(|(argument, times)| buckets.add(argument.bucket(), times));
        buckets
    }

    fn add(&mut self, bucket: i32, times: i64) {
        let (page, place) = (bucket.div_euclid(PAGE), bucket.rem_euclid(PAGE));
        let at = match self.0.binary_search_by_key(&page, |(page, _)| *page) {
            Ok(at) => at,
            Err(at) => {
                let counts = vec![0; PAGE as usize].into_boxed_slice();
                self.0.insert(at, (page, counts));
                at
            }
        };
        self.0[at].1[place as usize] += times;
    }

    fn merge(&mut self, other: &Buckets) {
        let counts = other.counts();
        counts.for_each(|(bucket, count)| self.add(bucket, count));
    }

    /// Returns the buckets that are not empty, in order, with their counts.
    fn counts(&self) -> impl Iterator<Item = (i32, i64)> {
        self.0.iter().flat_map(|(page, counts)| {
            let counts = (page * PAGE..).zip(counts.iter().copied());
            counts.filter(|(_, count)| *count != 0)
        })
    }

    /// Returns the quantile of the arguments in them.
    fn quantile<T: Bucketed>(&self, share: Share) -> Option<T> {
        let all: i64 = self.counts().map(|(_, count)| count).sum();
        let rank = share.rank(u64::try_from(all).unwrap_or(0));
        find(self.counts(), rank).map(T::middle)
    }
}

/// Up to this many arguments a quantile is exact; they take half of a page.
const FEW: usize = 64;

/// Moves the bounds so that an argument lies within them.
#[inline]
fn widen<T: Bucketed>(bounds: &mut [T; 2], argument: T) {
    let [low, high] = bounds;
    if T::compare(argument.argument(), low.argument()) == Ordering::Less {
        *low = argument.kept();
    }
    if T::compare(argument.argument(), high.argument()) == Ordering::Greater {
        *high = argument.kept();
    }
}

/// Returns the value of a quantile that lies near `middle`, and never beyond the bounds.
fn within<T: Bucketed>(middle: Option<T>, [low, high]: &[T; 2]) -> Value {
    let is_below =
        |one: &T, other: &T| T::compare(one.argument(), other.argument()) == Ordering::Less;
    match middle {
        None => Value::Null,
        Some(middle) if is_below(&middle, low) => low.value(),
        Some(middle) if is_below(high, &middle) => high.value(),
        Some(middle) => middle.value(),
    }
}

/// The arguments while they are few, then their buckets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Quantile<T> {
    share: Share,
    kept: Arguments<T>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Arguments<T> {
    Few(Vec<T>),
    /// Without their bounds, which arguments that are taken back may move; and as states were saved
    /// before there were bounds.
    Many(Buckets),
    /// With the smallest and the largest, beyond which no quantile lies.
    Within(Buckets, [T; 2]),
}

/// Returns what is at a rank among what is in order, each with how often it is there: below 0 where
/// it was taken back and has not come yet.
fn find<T>(mut in_order: impl Iterator<Item = (T, i64)>, rank: u64) -> Option<T> {
    let mut below = 0;
    let found = in_order.find(|(_, times)| {
        below += times;
        u64::try_from(below).is_ok_and(|below| below >= rank)
    });
    found.map(|(found, _)| found)
}

impl<T: Bucketed> Quantile<T> {
    /// Returns the quantile of nothing yet.
    pub fn new(share: Share) -> Self {
        Quantile {
            share,
            kept: Arguments::Few(Vec::new()),
        }
    }

    #[inline]
    fn see(&mut self, argument: T) {
        match &mut self.kept {
            Arguments::Few(arguments) => {
                arguments.push(argument.kept());
                if arguments.len() > FEW {
                    let mut bounds = [arguments[0]; 2];
                    arguments
                        .iter()
                        .for_each(|argument| widen(&mut bounds, *argument));
                    let arguments = arguments.iter().map(|argument| (*argument, 1));
                    self.kept = Arguments::Within(Buckets::of(arguments), bounds);
                }
            }
            Arguments::Many(buckets) => buckets.add(argument.bucket(), 1),
            Arguments::Within(buckets, bounds) => {
                buckets.add(argument.bucket(), 1);
                widen(bounds, argument);
            }
        }
    }
}

impl<T: Bucketed> State for Quantile<T> {
    type Argument<'a> = T;

    #[inline]
    fn add(&mut self, argument: T, _: Row<'_>) {
        self.see(argument);
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.kept, &other.kept) {
            (_, Arguments::Few(arguments)) => {
                arguments.iter().for_each(|argument| self.see(*argument));
            }
            (Arguments::Few(_), _) => {
                let few = std::mem::replace(&mut self.kept, other.kept.clone());
                if let Arguments::Few(arguments) = few {
                    arguments.iter().for_each(|argument| self.see(*argument));
                }
            }
            (Arguments::Within(ours, bounds), Arguments::Within(theirs, others)) => {
                ours.merge(theirs);
                others.iter().for_each(|bound| widen(bounds, *bound));
            }
            (
                Arguments::Many(ours) | Arguments::Within(ours, _),
                Arguments::Many(theirs) | Arguments::Within(theirs, _),
            ) => {
                ours.merge(theirs);
                self.kept = Arguments::Many(std::mem::take(ours));
            }
        }
    }

    fn result(&self) -> Value {
        match &self.kept {
            Arguments::Few(arguments) if arguments.is_empty() => Value::Null,
            Arguments::Few(arguments) => {
                let mut arguments = arguments.clone();
                let nth = self.share.rank(arguments.len() as u64) as usize - 1;
                let order = |left: &T, right: &T| T::compare(left.argument(), right.argument());
                let (_, found, _) = arguments.select_nth_unstable_by(nth, order);
                found.value()
            }
            Arguments::Many(buckets) => {
                let middle = buckets.quantile::<T>(self.share);
                middle.map_or(Value::Null, |middle| middle.value())
            }
            Arguments::Within(buckets, bounds) => within(buckets.quantile::<T>(self.share), bounds),
        }
    }
}

/// A quantile of arguments that can be taken back. Those that are left may be few again, so each
/// is kept, as for `count(distinct x)`; beside them the buckets, from the first time that there are
/// many. Its value is that of a [`Quantile`] of what is left.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct NetQuantile<T: Kept> {
    share: Share,
    arguments: Distinct<T>,
    /// How many arguments came, less how many were taken back.
    left: i64,
    buckets: Option<Buckets>,
}

impl<T: Bucketed + for<'a> Kept<Argument<'a> = T>> NetQuantile<T> {
    /// Returns the quantile of nothing yet.
    pub fn new(share: Share) -> Self {
        NetQuantile {
            share,
            arguments: Distinct::default(),
            left: 0,
            buckets: None,
        }
    }

    /// Returns the smallest and the largest argument that is left.
    fn bounds(&self) -> Option<[T; 2]> {
        let left = self.arguments.each().filter(|(_, times)| *times > 0);
        left.map(|(argument, _)| [argument; 2])
            .reduce(|mut bounds, [argument, _]| {
                widen(&mut bounds, argument);
                bounds
            })
    }

    fn see(&mut self, argument: T, times: i64) {
        self.arguments.add(argument, times);
        self.left += times;
        match &mut self.buckets {
            Some(buckets) => buckets.add(argument.bucket(), times),
            None if self.arguments.len() > FEW => {
                self.buckets = Some(Buckets::of(self.arguments.each()));
            }
            None => {}
        }
    }
}

impl<T: Bucketed + for<'a> Kept<Argument<'a> = T>> State for NetQuantile<T> {
    type Argument<'a> = T;

    fn add(&mut self, argument: T, _: Row<'_>) {
        self.see(argument, 1);
    }

    fn merge(&mut self, other: &Self) {
        let arguments = other.arguments.each();
        arguments.for_each(|(argument, times)| self.see(argument, times));
    }

    fn result(&self) -> Value {
        if self.left > FEW as i64 {
            let few = || Cow::Owned(Buckets::of(self.arguments.each()));
            let buckets = self.buckets.as_ref().map_or_else(few, Cow::Borrowed);
            let bounds = self.bounds();
            let middle = buckets.quantile::<T>(self.share);
            return bounds.map_or(Value::Null, |bounds| within(middle, &bounds));
        }
        let mut arguments: Vec<(T, i64)> = self.arguments.each().collect();
        arguments.sort_unstable_by(|(left, _), (right, _)| T::compare(*left, *right));
        let rank = self.share.rank(u64::try_from(self.left).unwrap_or(0));
        find(arguments.into_iter(), rank).map_or(Value::Null, |found| found.value())
    }
}

impl<T: Bucketed + for<'a> Kept<Argument<'a> = T>> Retract for NetQuantile<T> {
    fn retract(&mut self, argument: T) {
        self.see(argument, -1);
    }
}
