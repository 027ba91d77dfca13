//! Joins against a naive product of both inputs, and their rules of bound, late and order.

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::engine::watermark::{BEGINNING, END};

/// A record as (event time, key, number); the number is what it carries.
pub(super) type Plain = (i64, Option<u8>, usize);
/// A row as (left number, right number, event time).
pub(super) type Row = (Option<usize>, Option<usize>, i64);

#[derive(Default)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Emit for Rows {
    fn emit(&mut self, row: &Joined<'_>) -> Result<()> {
        let number = |rest: &[u8]| {
            let text = std::str::from_utf8(rest).expect("digits");
            text.parse().expect("a number")
        };
        self.0
            .push((row.left.map(number), row.right.map(number), row.time));
        Ok(())
    }
}

pub(super) fn records(join: &Join, partition: usize, plain: &[Plain]) -> Records {
    let mut records = join.records();
    records.clear(partition);
    for (time, key, number) in plain {
        let content = match key {
            Some(key) => {
                records.bytes.push(b'a' + key);
                Content::Keyed
            }
            None => Content::NullKey,
        };
        let key_end = records.bytes.len();
        records.bytes.extend(number.to_string().bytes());
        records.add(*time, key_end, content);
    }
    records
}

/// Lets a join take in all of some records.
fn take(join: &mut Join, side: Side, partition: usize, plain: &[Plain], rows: &mut Rows) {
    let mut batch = records(join, partition, plain);
    join.on_batch(side, &mut batch, Pace::Ahead, rows)
        .expect("rows are taken");
}

pub(super) fn settings(method: Method, kind: Kind, out_of_order_ms: i64) -> Settings {
    Settings {
        method,
        kind,
        out_of_order_ms: [out_of_order_ms; 2],
        partitions: [1, 1],
    }
}

/// Reads both inputs in batches of `size`, the side furthest behind first; `look` sees the join
/// after each step.
fn run(
    settings: &Settings,
    inputs: [&[Plain]; 2],
    size: usize,
    mut look: impl FnMut(&Join),
) -> (Vec<Row>, Account) {
    let mut join = Join::new(settings);
    let mut rows = Rows::default();
    let batches = |plain: &[Plain]| -> VecDeque<Records> {
        let parts = plain.chunks(size).map(|part| records(&join, 0, part));
        parts.collect()
    };
    let (mut batches, mut ended) = (inputs.map(batches), [false; 2]);
    while ended != [true; 2] {
        let side = join.furthest_behind();
        let at = side.index();
        match batches[at].front_mut() {
            None => {
                ended[at] = true;
                join.on_end(side, &mut rows).expect("rows are taken");
            }
            Some(batch) => {
                join.on_batch(side, batch, Pace::Together, &mut rows)
                    .expect("rows are taken");
                if !batch.has_more() {
                    batches[at].pop_front();
                }
            }
        }
        look(&join);
    }
    assert_eq!(
        [0, 0],
        Side::BOTH.map(|side| join.held(side)),
        "nothing is held at the end"
    );
    (rows.0, *join.account())
}

/// Random records in order of time but for a disorder of up to `disorder` ms, with equal times,
/// duplicates and null keys among them.
pub(super) fn random(rng: &mut ChaCha8Rng, count: usize, disorder: i64) -> Vec<Plain> {
    let mut plain: Vec<Plain> = Vec::with_capacity(count);
    let mut now = 0;
    for number in 0..count {
        if rng.random_bool(0.05) && number > 0 {
            let (time, key, _) = plain[number - 1];
            plain.push((time, key, number));
            continue;
        }
        now += rng.random_range(0..40);
        let time = now - rng.random_range(0..=disorder);
        let key = rng.random_bool(0.9).then(|| rng.random_range(0..6));
        plain.push((time, key, number));
    }
    plain
}

fn product(left: &[Plain], right: &[Plain], within: i64, kind: Kind) -> Vec<Row> {
    let meets = |l: &Plain, r: &Plain| l.1.is_some() && l.1 == r.1 && (l.0 - r.0).abs() <= within;
    let mut rows = Vec::new();
    for l in left {
        let partners = right.iter().filter(|r| meets(l, r));
        rows.extend(partners.map(|r| (Some(l.2), Some(r.2), l.0.max(r.0))));
        if kind.keeps(Side::Left) && !right.iter().any(|r| meets(l, r)) {
            rows.push((Some(l.2), None, l.0));
        }
    }
    let lonely = right.iter().filter(|r| !left.iter().any(|l| meets(l, r)));
    if kind.keeps(Side::Right) {
        rows.extend(lonely.map(|r| (None, Some(r.2), r.0)));
    }
    rows
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_unstable();
    rows
}

const KINDS: [Kind; 3] = [Kind::Inner, Kind::Left, Kind::Outer];

#[test]
fn rows_are_the_product_whatever_bound_disorder_and_batches() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for round in 0..120 {
        let within = [0, 1, 50, 900, 9_000][round % 5];
        let disorder = [0, 30, 700][round % 3];
        let count = rng.random_range(0..400);
        let left = random(&mut rng, count, disorder);
        let count = rng.random_range(0..400);
        let right = random(&mut rng, count, disorder);
        for kind in KINDS {
            // Nothing comes later than this.
            let settings = settings(Method::Within(within), kind, disorder);
            let inputs: [&[Plain]; 2] = [&left, &right];
            let (rows, account) = run(&settings, inputs, 1_000, |_| {});
            for size in [1, 2, 7] {
                let again = run(&settings, inputs, size, |_| {});
                assert_eq!(again, (rows.clone(), account), "batches of {size}");
            }
            let expected = sorted(product(&left, &right, within, kind));
            assert_eq!(
                sorted(rows),
                expected,
                "{kind:?} within {within}, round {round}"
            );
            for (side, plain) in Side::BOTH.into_iter().zip(inputs) {
                let side = account.side(side);
                assert_eq!(side.records, plain.len() as u64);
                assert_eq!((side.open(), side.late), (0, 0));
            }
        }
    }
}

/// The join's rules, record by record, over everything that was ever read.
#[derive(Default)]
struct Oracle {
    high: [Option<i64>; 2],
    ended: [bool; 2],
    /// As (side, record, found a partner, has left alone).
    read: Vec<(Side, Plain, bool, bool)>,
    late: [u64; 2],
    rows: Vec<Row>,
}

impl Oracle {
    fn watermark(&self, side: Side, out_of_order: i64) -> i64 {
        match (self.ended[side.index()], self.high[side.index()]) {
            (true, _) => END,
            (_, None) => BEGINNING,
            (_, Some(high)) => high - out_of_order,
        }
    }

    fn run(settings: &Settings, inputs: [&[Plain]; 2], within: i64) -> Oracle {
        let mut oracle = Oracle::default();
        let mut next = [0, 0];
        while oracle.ended != [true; 2] {
            let [left, right] =
                Side::BOTH.map(|side| oracle.watermark(side, settings.out_of_order_ms[0]));
            let side = if right < left {
                Side::Right
            } else {
                Side::Left
            };
            let at = side.index();
            let Some(&record) = inputs[at].get(next[at]) else {
                oracle.ended[at] = true;
                oracle.leave(settings, within);
                continue;
            };
            next[at] += 1;
            oracle.high[at] = oracle.high[at].max(Some(record.0));
            oracle.leave(settings, within);
            oracle.meet(settings, within, side, record);
        }
        oracle
    }

    fn combined(&self, settings: &Settings) -> i64 {
        let combined = Side::BOTH.map(|side| self.watermark(side, settings.out_of_order_ms[0]));
        combined[0].min(combined[1])
    }

    /// Returns whether the combined watermark has passed a time by more than the bound.
    fn has_passed(&self, settings: &Settings, within: i64, time: i64) -> bool {
        let combined = self.combined(settings);
        combined == END || combined > time + within
    }

    fn leave(&mut self, settings: &Settings, within: i64) {
        let mut due: Vec<usize> = (0..self.read.len())
            .filter(|&nth| {
                let (side, (time, ..), met, left) = self.read[nth];
                let kept = settings.kind.keeps(side) && !met && !left;
                kept && self.has_passed(settings, within, time)
            })
            .collect();
        due.sort_by_key(|&nth| (self.read[nth].1.0, self.read[nth].0.index()));
        for nth in due {
            let (side, (time, _, number), ..) = self.read[nth];
            self.read[nth].3 = true;
            self.rows.push(match side {
                Side::Left => (Some(number), None, time),
                Side::Right => (None, Some(number), time),
            });
        }
    }

    fn meet(&mut self, settings: &Settings, within: i64, side: Side, record: Plain) {
        let (time, key, number) = record;
        if time < self.combined(settings) {
            self.late[side.index()] += 1;
            return;
        }
        let mut partners: Vec<usize> = (0..self.read.len())
            .filter(|&nth| {
                let (other, (at, other_key, _), ..) = self.read[nth];
                let near = (time - at).abs() <= within && !self.has_passed(settings, within, at);
                other != side && key.is_some() && other_key == key && near
            })
            .collect();
        partners.sort_by_key(|&nth| self.read[nth].1.0);
        for &nth in &partners {
            let (_, (at, _, partner), ..) = self.read[nth];
            self.read[nth].2 = true;
            let (left, right) = match side {
                Side::Left => (number, partner),
                Side::Right => (partner, number),
            };
            self.rows.push((Some(left), Some(right), time.max(at)));
        }
        self.read.push((side, record, !partners.is_empty(), false));
    }
}

#[test]
fn late_records_and_the_order_of_rows_follow_the_rules_record_by_record() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut late = 0;
    for round in 0..60 {
        let within = [0, 40, 600, 3_000][round % 4];
        let (count, disorder) = (rng.random_range(1..200), [900, 9_000][round % 2]);
        let left = random(&mut rng, count, disorder);
        let right = random(&mut rng, count, disorder);
        for kind in KINDS {
            let settings = settings(Method::Within(within), kind, [0, 100][round % 2]);
            let oracle = Oracle::run(&settings, [&left, &right], within);
            let (rows, account) = run(&settings, [&left, &right], 5, |_| {});
            assert_eq!(rows, oracle.rows, "{kind:?} within {within}, round {round}");
            assert_eq!(oracle.late, Side::BOTH.map(|side| account.side(side).late));
            for side in Side::BOTH {
                assert_eq!(account.side(side).open(), 0);
            }
            late += oracle.late[0];
        }
    }
    assert!(late > 0, "some were late");
}

#[test]
fn both_ends_of_the_bound_are_included_to_the_millisecond() {
    let within = Method::Within(10);
    let left = [(1_000, Some(0), 0)];
    for (time, meets) in [(989, false), (990, true), (1_010, true), (1_011, false)] {
        let right = [(time, Some(0), 0)];
        let (rows, _) = run(
            &settings(within, Kind::Inner, 0),
            [&left, &right],
            1,
            |_| {},
        );
        assert_eq!(!rows.is_empty(), meets, "{time}");
    }
}

#[test]
fn a_record_that_met_nobody_leaves_when_the_bound_has_passed_and_not_before() {
    let mut join = Join::new(&settings(Method::Within(10), Kind::Outer, 0));
    let mut rows = Rows::default();
    let mut read = |side: Side, time: i64, key: u8| {
        take(&mut join, side, 0, &[(time, Some(key), 7)], &mut rows);
        std::mem::take(&mut rows.0)
    };
    assert_eq!(read(Side::Left, 100, 0), []);
    assert_eq!(read(Side::Left, 500, 1), [], "the right side holds it back");
    assert_eq!(
        read(Side::Right, 110, 2),
        [],
        "at 110 a partner may come yet"
    );
    assert_eq!(read(Side::Right, 111, 3), [(Some(7), None, 100)]);
    // It has left, so a partner that comes now is late: its row would lack the pair.
    assert_eq!(read(Side::Right, 105, 0), []);
    assert_eq!(
        read(Side::Right, 400, 4),
        [110, 111].map(|time| (None, Some(7), time))
    );
    assert_eq!(read(Side::Right, 399, 0), [], "late");
    assert_eq!(join.account().side(Side::Right).late, 2);
    assert_eq!(join.account().side(Side::Right).late_by_ms, 6);
    join.on_end(Side::Left, &mut rows).expect("rows are taken");
    assert_eq!(
        rows.0,
        [],
        "the end of one side is not the end of the other"
    );
    join.on_end(Side::Right, &mut rows).expect("rows are taken");
    assert_eq!(rows.0, [(None, Some(7), 400), (Some(7), None, 500)]);
}

#[test]
fn held_records_follow_the_bound_and_not_the_input() {
    const WITHIN: i64 = 8_000;
    let plain = |side: usize| -> Vec<Plain> {
        let mut rng = ChaCha8Rng::seed_from_u64(side as u64);
        // One key has a tenth of all records; one record in 5,000 has a clock that is years off.
        (0..60_000)
            .map(|nth| {
                let far = if nth % 5_000 == 4_999 { 1 << 40 } else { 0 };
                let key = if nth % 10 == 0 {
                    0
                } else {
                    rng.random_range(1..26)
                };
                (nth * 10 + far * side as i64, Some(key), nth as usize)
            })
            .collect()
    };
    let (left, right) = (plain(0), plain(1));
    for kind in [Kind::Inner, Kind::Outer] {
        // The right side alone has records far ahead, so that the left one's watermark counts.
        let settings = settings(Method::Within(WITHIN), kind, 0);
        let mut most = [0, 0];
        let mut join = Join::new(&settings);
        let mut rows = Rows::default();
        for nth in 0..left.len() {
            for (side, plain) in [(Side::Right, &right), (Side::Left, &left)] {
                take(&mut join, side, 0, &plain[nth..=nth], &mut rows);
                most[side.index()] = most[side.index()].max(join.held(side));
            }
            rows.0.clear();
        }
        // A record each 10 ms for the bound, an eighth of it and a second; and those far ahead.
        let bound = (WITHIN + WITHIN / 8 + 1_000) / 10;
        assert!(most[0] <= bound as usize + 1, "{kind:?}: {most:?}");
        assert!(most[1] <= bound as usize + 13, "{kind:?}: {most:?}");
        assert!(most[0] >= WITHIN as usize / 10, "{kind:?}: {most:?}");
    }
}

#[test]
fn rows_of_several_partitions_are_the_product_when_nothing_is_late() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for _ in 0..20 {
        let inputs = [0, 1].map(|_| random(&mut rng, 300, 100));
        let settings = Settings {
            partitions: [3, 2],
            ..settings(Method::Within(400), Kind::Outer, 100)
        };
        let mut join = Join::new(&settings);
        let mut rows = Rows::default();
        // Each partition has its records in order; which is read next is left to chance.
        let mut queues: Vec<(Side, usize, Vec<Plain>)> = Vec::new();
        for (side, plain) in Side::BOTH.into_iter().zip(&inputs) {
            for partition in 0..settings.partitions[side.index()] {
                let count = settings.partitions[side.index()];
                let of = plain.iter().skip(partition).step_by(count);
                queues.push((side, partition, of.rev().copied().collect()));
            }
        }
        while !queues.is_empty() {
            let nth = rng.random_range(0..queues.len());
            let (side, partition, queue) = &mut queues[nth];
            let Some(record) = queue.pop() else {
                let (side, partition) = (*side, *partition);
                queues.swap_remove(nth);
                join.on_idle(side, partition, true, &mut rows)
                    .expect("rows are taken");
                continue;
            };
            take(&mut join, *side, *partition, &[record], &mut rows);
        }
        for side in Side::BOTH {
            join.on_end(side, &mut rows).expect("rows are taken");
        }
        let expected = product(&inputs[0], &inputs[1], 400, Kind::Outer);
        assert_eq!(sorted(rows.0), sorted(expected));
    }
}

#[test]
fn a_late_record_whose_partner_is_gone_is_counted_and_the_hint_brings_the_pair_back() {
    let (left, right) = (
        [(111, Some(0), 0), (105, Some(0), 1)],
        [(100, Some(0), 0), (111, Some(0), 1)],
    );
    let run = |out_of_order| {
        let settings = settings(Method::Within(10), Kind::Inner, out_of_order);
        run(&settings, [&left, &right], 1, |_| {})
    };
    let (rows, account) = run(0);
    assert_eq!(rows, [(Some(0), Some(1), 111)]);
    let counts = account.side(Side::Left);
    assert_eq!((counts.late, counts.late_by_ms), (1, 6));
    let (rows, account) = run(6);
    assert_eq!(account.side(Side::Left).late, 0);
    assert_eq!(
        sorted(rows),
        sorted(product(&left, &right, 10, Kind::Inner))
    );
}

/// Runs a join, and again with the `--out-of-order` that the first account asks for; returns the
/// rows of the run without a late record, and whether the first one had any.
fn followed(mut settings: Settings, inputs: [&[Plain]; 2]) -> (Vec<Row>, bool) {
    let (rows, account) = run(&settings, inputs, 5, |_| {});
    let counts = Side::BOTH.map(|side| *account.side(side));
    let by = counts[0].late_by_ms.max(counts[1].late_by_ms);
    let had_late = counts.iter().any(|side| side.late > 0);
    assert_eq!(had_late, by > 0, "every late record has its hint");
    if !had_late {
        return (rows, false);
    }
    settings.out_of_order_ms = settings.out_of_order_ms.map(|ms| ms + by);
    let (rows, account) = run(&settings, inputs, 5, |_| {});
    assert_eq!(
        Side::BOTH.map(|side| account.side(side).late),
        [0, 0],
        "the hint of {by} ms is enough"
    );
    (rows, true)
}

#[test]
fn no_late_record_means_every_row_however_far_beyond_the_bound_records_come() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut late, mut complete) = (0, 0);
    for round in 0..400 {
        let within = [0, 1, 30, 400, 3_000][round % 5];
        let disorder = [20, 300, 2_000][round % 3];
        let inputs = [0, 1].map(|_| {
            let count = rng.random_range(0..120);
            random(&mut rng, count, disorder)
        });
        // Less than the disorder by any amount, and another one per side.
        let out_of_order_ms = [0, 1].map(|_| rng.random_range(0..=disorder));
        let inputs = inputs.each_ref().map(Vec::as_slice);
        for kind in KINDS {
            let mut settings = settings(Method::Within(within), kind, 0);
            settings.out_of_order_ms = out_of_order_ms;
            let (rows, had_late) = followed(settings, inputs);
            let expected = product(inputs[0], inputs[1], within, kind);
            assert_eq!(
                sorted(rows),
                sorted(expected),
                "{kind:?} within {within}, round {round}"
            );
            *if had_late { &mut late } else { &mut complete } += 1;
        }
        for kind in [Kind::Inner, Kind::Left] {
            let mut settings = settings(Method::Table, kind, 0);
            settings.out_of_order_ms = out_of_order_ms;
            let (rows, _) = followed(settings, inputs);
            let expected = sorted(as_of(inputs[0], inputs[1], kind));
            assert_eq!(sorted(rows), expected, "{kind:?}, round {round}");
        }
    }
    assert!(late > 100 && complete > 100, "{late} late, {complete} not");
}

#[test]
fn no_late_record_means_every_row_of_topics_that_fall_silent_and_speak_again() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut complete = [0, 0];
    for round in 0..6_000 {
        let is_table = round % 2 == 1;
        let within = [0, 30, 400][round % 3];
        let method = if is_table {
            Method::Table
        } else {
            Method::Within(within)
        };
        let kind = [Kind::Inner, Kind::Left][round / 2 % 2];
        let disorder = [0, 20, 200][round / 4 % 3];
        let inputs = [0, 1].map(|_| {
            let count = rng.random_range(1..12);
            random(&mut rng, count, disorder)
        });
        let settings = Settings {
            partitions: [2, 2],
            ..settings(method, kind, rng.random_range(0..=disorder))
        };
        let mut join = Join::new(&settings);
        let mut rows = Rows::default();
        let mut next = [0, 0];
        // Whatever is read next, and whichever partition is held idle meanwhile.
        while next != inputs.each_ref().map(Vec::len) {
            let side = Side::BOTH[rng.random_range(0..2)];
            let (at, partition) = (side.index(), rng.random_range(0..2));
            let idle = rng.random_bool(0.4);
            join.on_idle(side, partition, idle, &mut rows)
                .expect("rows are taken");
            if let Some(record) = inputs[at].get(next[at])
                && !idle
            {
                take(&mut join, side, partition, &[*record], &mut rows);
                next[at] += 1;
            }
        }
        for side in Side::BOTH {
            join.on_end(side, &mut rows).expect("rows are taken");
        }
        let late = Side::BOTH.map(|side| join.account().side(side).late);
        if late != [0, 0] {
            continue;
        }
        complete[usize::from(is_table)] += 1;
        let [left, right] = &inputs;
        let expected = match method {
            Method::Table => as_of(left, right, kind),
            Method::Within(ms) => product(left, right, ms, kind),
        };
        assert_eq!(
            sorted(rows.0),
            sorted(expected),
            "{method:?}, round {round}"
        );
    }
    assert!(complete.iter().all(|&rounds| rounds > 100), "{complete:?}");
}

/// Each record of the stream with the last read of the latest values as of its time.
fn as_of(stream: &[Plain], table: &[Plain], kind: Kind) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(time, key, number) in stream {
        let known = table
            .iter()
            .filter(|v| key.is_some() && v.1 == key && v.0 <= time);
        match known.max_by_key(|value| value.0) {
            Some(value) => rows.push((Some(number), Some(value.2), time)),
            None if kind == Kind::Left => rows.push((Some(number), None, time)),
            None => {}
        }
    }
    rows
}

#[test]
fn a_stream_takes_the_latest_value_as_of_its_time_whatever_disorder_and_batches() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for round in 0..120 {
        let disorder = [0, 50, 2_000][round % 3];
        let (streams, values) = (rng.random_range(0..300), rng.random_range(0..300));
        let stream = random(&mut rng, streams, disorder);
        let table = random(&mut rng, values, disorder);
        for kind in [Kind::Inner, Kind::Left] {
            let settings = settings(Method::Table, kind, disorder);
            let (rows, account) = run(&settings, [&stream, &table], 1_000, |_| {});
            for size in [1, 3] {
                let again = run(&settings, [&stream, &table], size, |_| {});
                assert_eq!(again, (rows.clone(), account), "batches of {size}");
            }
            let expected = sorted(as_of(&stream, &table, kind));
            assert_eq!(sorted(rows), expected, "{kind:?}, round {round}");
            for side in Side::BOTH {
                let side = account.side(side);
                assert_eq!((side.open(), side.late), (0, 0));
            }
        }
    }
}

#[test]
fn a_stream_out_of_order_is_answered_until_its_value_is_superseded() {
    let table = [(0, Some(0), 0), (100, Some(0), 1), (100, Some(1), 2)];
    let stream = [
        (150, Some(0), 0),
        (400, Some(0), 1),
        (99, Some(0), 2), // its value of time 0 is gone
        (100, Some(0), 3),
        (99, Some(1), 4), // there is a value, but was there one at 99?
        (50, Some(2), 5),
    ];
    let settings = settings(Method::Table, Kind::Left, 0);
    let (rows, account) = run(&settings, [&stream, &table], 1, |_| {});
    assert_eq!(
        rows,
        [
            (Some(0), Some(1), 150),
            (Some(1), Some(1), 400),
            (Some(3), Some(1), 100),
            (Some(5), None, 50),
        ]
    );
    assert_eq!(account.side(Side::Left).late, 2);
}

#[test]
fn a_tombstone_deletes_from_its_time_on() {
    let mut join = Join::new(&settings(Method::Table, Kind::Left, 0));
    let mut rows = Rows::default();
    let mut table = records(&join, 0, &[(10, Some(0), 0)]);
    table.bytes.push(b'a');
    table.add(20, table.bytes.len(), Content::Tombstone);
    let stream = [(10, Some(0), 0), (19, Some(0), 1), (20, Some(0), 2)];
    take(&mut join, Side::Left, 0, &stream, &mut rows);
    assert_eq!(rows.0, [], "they wait for the table");
    join.on_batch(Side::Right, &mut table, Pace::Ahead, &mut rows)
        .expect("rows are taken");
    assert_eq!(
        rows.0,
        [10, 19].map(|time| (Some(usize::from(time > 10)), Some(0), time))
    );
    join.on_idle(Side::Right, 0, true, &mut rows)
        .expect("rows are taken");
    assert_eq!(
        rows.0[2],
        (Some(2), None, 20),
        "an idle table is not waited for"
    );
}

#[test]
fn a_table_keeps_one_value_a_key() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut plain = |count: i64| -> Vec<Plain> {
        (0..count)
            .map(|nth| (nth * 10, Some(rng.random_range(0..26)), nth as usize))
            .collect()
    };
    let (stream, table) = (plain(50_000), plain(50_000));
    let mut most = [0, 0];
    run(
        &settings(Method::Table, Kind::Inner, 0),
        [&stream, &table],
        100,
        |join| most = [0, 1].map(|at| most[at].max(join.held(Side::BOTH[at]))),
    );
    assert!(
        most[1] <= 28,
        "26 keys, and what the watermark has not passed: {most:?}"
    );
    assert!(most[0] <= 201, "a second of the stream: {most:?}");
}
