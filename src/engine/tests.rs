//! The operator against a plain recomputation, and its rules of closing, late and expired.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::account::Account;
use super::aggregate::Function;
use super::combine::handoff::Combining;
use super::combine::merge::Merger;
use super::operator::{Input, Noted, Operator, Settings};
use super::pane::Panes;
use super::pane::Refinement;
use super::pane::journal::{Detail, Event, Journal};
use super::pane::trigger::Trigger;
use super::watermark::{BEGINNING, Bound};
use super::window::{Aligned, Windows};
use crate::column::{Column, DataType, Value, ValueRef, Values};

/// Records as (partition, event time, caller, argument).
type Record = (usize, i64, &'static str, i64);
/// Rows as (window start, window end, caller, count, sum).
type Row = (i64, i64, String, i128, i128);

fn operator(windows: Aligned, grace_ms: i64, trigger: Trigger, partitions: usize) -> Operator {
    operator_of(Windows::Aligned(windows), grace_ms, trigger, partitions)
}

fn operator_of(windows: Windows, grace_ms: i64, trigger: Trigger, partitions: usize) -> Operator {
    let count = Function::Count.accumulator(None).expect("a function");
    let sum = Function::Sum
        .accumulator(Some(DataType::Bigint))
        .expect("a function");
    let settings = Settings {
        windows,
        grace_ms,
        bound: Bound::Fixed(0),
        trigger,
        refinement: Refinement::Accumulating,
        aggregates: vec![count, sum],
        distinct: None,
    };
    Operator::new(settings, partitions)
}

fn feed(operator: &mut Operator, records: &[Record], rows: &mut Vec<Row>) {
    let mut panes = Panes::default();
    for run in records.chunk_by(|left, right| left.0 == right.0) {
        let times: Vec<i64> = run.iter().map(|record| record.1).collect();
        let callers: Values<&str> = run.iter().map(|record| Some(record.2)).collect();
        let arguments: Values<i64> = run.iter().map(|record| Some(record.3)).collect();
        let input = Input {
            partition: run[0].0,
            origin: run[0].0 as u32,
            first: 0,
            noted: Noted::default(),
            malformed: &[],
            arrivals: None,
            times: &times,
            selected: None,
            keys: &[Cow::Owned(Column::Text(callers))],
            arguments: &[None, Some(Cow::Owned(Column::Bigint(arguments)))],
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: None,
        };
        let taken = operator.on_batch(&input, &mut panes);
        taken.expect("the types of the plan");
    }
    take(&mut panes, rows);
}

fn end(operator: &mut Operator, rows: &mut Vec<Row>) {
    let mut panes = Panes::default();
    operator.on_end(&mut panes);
    take(&mut panes, rows);
}

fn take(panes: &mut Panes, rows: &mut Vec<Row>) {
    add_rows(panes, rows);
    panes.clear();
}

fn add_rows(panes: &Panes, rows: &mut Vec<Row>) {
    for pane in panes.iter() {
        let Some(ValueRef::Text(caller)) = pane.key().next() else {
            panic!("the key is a text");
        };
        let [Value::Integer(count), Value::Integer(sum)] = pane.values else {
            panic!("count and sum are integers");
        };
        rows.push((
            pane.window().start,
            pane.window().end,
            caller.to_owned(),
            *count,
            *sum,
        ));
    }
}

fn run(mut operator: Operator, records: &[Record], batch: usize) -> (Vec<Row>, Account) {
    let mut rows = Vec::new();
    for records in records.chunks(batch) {
        feed(&mut operator, records, &mut rows);
    }
    end(&mut operator, &mut rows);
    (rows, *operator.account())
}

fn row(window: (i64, i64), caller: &str, count: i128, sum: i128) -> Row {
    (window.0, window.1, caller.to_owned(), count, sum)
}

fn random_records(rng: &mut ChaCha8Rng, disorder: i64) -> Vec<Record> {
    const CALLERS: [&str; 5] = ["a", "b", "c", "dd", "a longer caller than fits in place"];
    (0..rng.random_range(1..400))
        .map(|n| {
            let at = n * 3 - rng.random_range(0..=disorder);
            (
                0,
                at,
                CALLERS[rng.random_range(0..5)],
                rng.random_range(-9..9),
            )
        })
        .collect()
}

#[test]
fn with_enough_grace_results_equal_a_plain_recomputation() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let size = rng.random_range(1..60);
        let advance = rng.random_range(1..=size);
        let windows = Aligned::hopping(size, advance).expect("a size");
        let records = random_records(&mut rng, 50);
        let mut naive: BTreeMap<(i64, i64, &str), (i128, i128)> = BTreeMap::new();
        for &(_, at, caller, argument) in &records {
            let last = at.div_euclid(advance);
            let starts = (last - size..=last).map(|nth| nth * advance);
            for start in starts.filter(|start| start + size > at) {
                let state = naive.entry((start + size, start, caller)).or_default();
                state.0 += 1;
                state.1 += i128::from(argument);
            }
        }
        let naive: Vec<Row> = naive
            .into_iter()
            .map(|((end, start, caller), (count, sum))| row((start, end), caller, count, sum))
            .collect();
        let (rows, account) = run(operator(windows, 200, Trigger::Final, 1), &records, 1_000);
        assert_eq!(rows, naive);
        assert_eq!(account.expired, 0);
        assert_eq!(account.records(), records.len() as u64);
    }
}

#[test]
fn parts_of_several_places_make_what_each_place_would_have_kept() {
    const PLACES: usize = 3;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for nth in 0..200 {
        let combining = match nth % 2 {
            0 => Combining::ByWindow,
            _ => Combining::ByRecord,
        };
        let size = rng.random_range(1..60);
        let windows = Aligned::hopping(size, rng.random_range(1..=size)).expect("a size");
        let grace = rng.random_range(0..30);
        let records: Vec<Vec<Record>> = (0..PLACES).map(|_| random_records(&mut rng, 60)).collect();
        // What a task of each place alone makes of its records, added up.
        let mut whole: BTreeMap<(i64, i64, String), (i128, i128)> = BTreeMap::new();
        let alone = records.iter().map(|records| {
            let (rows, account) = run(operator(windows, grace, Trigger::Final, 1), records, 1_000);
            for (start, end, caller, count, sum) in rows {
                let state = whole.entry((end, start, caller)).or_default();
                *state = (state.0 + count, state.1 + sum);
            }
            account
        });
        let accounts: Vec<Account> = alone.collect();
        let whole: Vec<Row> = whole
            .into_iter()
            .map(|((end, start, caller), (count, sum))| (start, end, caller, count, sum))
            .collect();

        let mut upstream: Vec<Operator> = (0..PLACES)
            .map(|_| {
                let mut operator = operator(windows, grace, Trigger::Final, 1);
                operator.hand_on(combining);
                operator
            })
            .collect();
        let mut downstream = operator(windows, grace, Trigger::Final, PLACES);
        let (mut rows, mut none, mut panes) = (Vec::new(), Vec::new(), Panes::default());
        let mut left: Vec<&[Record]> = records.iter().map(Vec::as_slice).collect();
        while left.iter().any(|records| !records.is_empty()) {
            let place = rng.random_range(0..PLACES);
            let (now, later) = left[place].split_at(rng.random_range(0..=left[place].len()));
            left[place] = later;
            feed(&mut upstream[place], now, &mut none);
            let mut parts = downstream.no_parts();
            let taken =
                upstream[place].take_parts(|key, value| parts.push(key, value).expect("a part"));
            taken.expect("states");
            let taken = downstream.on_parts(&parts, &mut panes);
            taken.expect("the types of the plan");
            let watermark = upstream[place].watermarks().combined();
            downstream.on_watermark(place, watermark, &mut panes);
            take(&mut panes, &mut rows);
        }
        end(&mut downstream, &mut rows);
        assert_eq!((rows, none), (whole, vec![]), "{combining:?}");
        assert_eq!(downstream.strays(), 0);
        for (upstream, alone) in upstream.iter().zip(accounts) {
            assert_eq!(*upstream.account(), Account { rows: 0, ..alone });
            assert_eq!(upstream.slots_in_use(), 0);
        }
    }
}

#[test]
fn sessions_of_several_places_are_those_of_one() {
    const PLACES: usize = 3;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for nth in 0..200 {
        let combining = match nth % 2 {
            0 => Combining::ByWindow,
            _ => Combining::ByRecord,
        };
        let windows = || Windows::Session {
            gap_ms: 20,
            max_ms: None,
        };
        // Nothing expires, and much comes after the session that it would be alone has closed.
        let grace = 10_000;
        let records: Vec<Vec<Record>> = (0..PLACES).map(|_| random_records(&mut rng, 60)).collect();
        let all: Vec<Record> = records.iter().flatten().copied().collect();
        let (whole, _) = run(operator_of(windows(), grace, Trigger::Final, 1), &all, 50);

        let mut downstream = operator_of(windows(), grace, Trigger::Final, PLACES);
        let (mut rows, mut panes) = (Vec::new(), Panes::default());
        let mut counted = 0;
        for (place, records) in records.iter().enumerate() {
            let mut upstream = operator_of(windows(), grace, Trigger::Final, 1);
            upstream.hand_on(combining);
            for records in records.chunks(rng.random_range(1..100)) {
                feed(&mut upstream, records, &mut Vec::new());
                let mut parts = downstream.no_parts();
                let taken =
                    upstream.take_parts(|key, value| parts.push(key, value).expect("a part"));
                taken.expect("states");
                let taken = downstream.on_parts(&parts, &mut panes);
                taken.expect("the types of the plan");
                let watermark = upstream.watermarks().combined();
                downstream.on_watermark(place, watermark, &mut panes);
            }
            counted += upstream.account().records();
            assert_eq!(upstream.slots_in_use(), 0);
        }
        take(&mut panes, &mut rows);
        end(&mut downstream, &mut rows);
        assert_eq!(rows, whole, "{combining:?}");
        counted += downstream.account().records();
        assert_eq!(counted, all.len() as u64, "each record once");
    }
}

#[test]
fn batches_of_any_size_mean_the_same() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for trigger in [Trigger::Final, Trigger::CHANGES] {
        for _ in 0..60 {
            let size = rng.random_range(1..60);
            let windows = Aligned::hopping(size, rng.random_range(1..=size)).expect("a size");
            let grace = rng.random_range(0..30);
            let records = random_records(&mut rng, 60);
            let by_one = run(operator(windows, grace, trigger, 1), &records, 1);
            for batch in [2, 7, 1_000] {
                let again = run(operator(windows, grace, trigger, 1), &records, batch);
                assert_eq!(again, by_one, "batches of {batch}");
            }
        }
    }
}

#[test]
fn a_window_closes_at_its_end_and_leaves_after_its_grace() {
    let windows = Aligned::tumbling(10).expect("a size");
    let mut operator = operator(windows, 5, Trigger::Final, 1);
    let mut rows = Vec::new();
    feed(
        &mut operator,
        &[(0, 3, "a", 1), (0, 10, "a", 1), (0, 9, "a", 1)],
        &mut rows,
    );
    assert_eq!(operator.account().late, 1, "closed at 10, kept until 15");
    feed(&mut operator, &[(0, 14, "a", 1)], &mut rows);
    assert_eq!(rows, []);
    feed(&mut operator, &[(0, 15, "a", 1)], &mut rows);
    assert_eq!(rows, [row((0, 10), "a", 2, 2)]);
    feed(&mut operator, &[(0, 9, "a", 1)], &mut rows);
    assert_eq!(operator.account().expired, 1);
    assert_eq!(operator.account().grace_needed_ms, 6);
}

#[test]
fn a_hopping_record_is_late_while_one_of_its_windows_is_open() {
    let windows = Aligned::hopping(10, 5).expect("a size");
    let mut operator = operator(windows, 0, Trigger::Final, 1);
    feed(
        &mut operator,
        &[(0, 12, "a", 1), (0, 7, "a", 1), (0, 4, "a", 1)],
        &mut Vec::new(),
    );
    let account = operator.account();
    // 7 is in [0, 10), expired, and in [5, 15), open; 4 in [-5, 5) and [0, 10), both expired.
    assert_eq!((account.on_time, account.late, account.expired), (1, 1, 1));
    assert_eq!((account.windows.on_time, account.windows.expired), (3, 3));
}

#[test]
fn the_slowest_partition_holds_windows_open_until_it_is_idle() {
    let windows = Aligned::tumbling(10).expect("a size");
    let mut operator = operator(windows, 0, Trigger::Final, 2);
    let mut rows = Vec::new();
    feed(&mut operator, &[(0, 3, "a", 1), (0, 25, "a", 1)], &mut rows);
    assert_eq!(rows, [], "nothing is known of partition 1");
    feed(&mut operator, &[(1, 4, "b", 1)], &mut rows);
    assert_eq!(rows, []);
    let mut panes = Panes::default();
    operator.on_idle(1, true, &mut panes);
    take(&mut panes, &mut rows);
    assert_eq!(rows, [row((0, 10), "a", 1, 1), row((0, 10), "b", 1, 1)]);
    feed(&mut operator, &[(1, 9, "b", 1)], &mut rows);
    assert_eq!(
        operator.account().expired,
        1,
        "the watermark does not go back"
    );
}

#[test]
fn every_change_leaves_one_row_for_each_window() {
    let windows = Aligned::hopping(10, 5).expect("a size");
    let records = [(0, 7, "a", 2), (0, 7, "a", 3)];
    let (rows, account) = run(operator(windows, 0, Trigger::CHANGES, 1), &records, 10);
    let expected = [
        row((0, 10), "a", 1, 2),
        row((5, 15), "a", 1, 2),
        row((0, 10), "a", 2, 5),
        row((5, 15), "a", 2, 5),
    ];
    assert_eq!(rows, expected);
    assert_eq!(account.rows, 4);
}

#[test]
fn memory_follows_the_open_windows() {
    let windows = Aligned::tumbling(10).expect("a size");
    let mut operator = operator(windows, 0, Trigger::Final, 1);
    let mut rows = Vec::new();
    for at in 0..10_000 {
        feed(
            &mut operator,
            &[(0, at, if at % 2 == 0 { "even" } else { "odd" }, 1)],
            &mut rows,
        );
        let windows = operator.awaited().map_or(0, |awaited| awaited.windows);
        assert!(operator.slots_in_use() <= 2 && windows <= 1);
    }
}

#[test]
fn parts_that_are_handed_over_late_keep_their_keys() {
    // Every second has keys of its own; so many that earlier numbers are used again.
    const CALLERS: i64 = 20_000;
    let name = |nth: i64| -> &'static str { nth.to_string().leak() };
    let names: Vec<&str> = (0..40 * CALLERS).map(name).collect();
    let tumbling = || Aligned::tumbling(1_000).expect("a size");
    let rows_of = |hand_over_each: usize| {
        let mut operator = operator(tumbling(), 0, Trigger::Final, 1);
        operator.keep_partials();
        let (mut merger, mut rows) = (Merger::default(), Vec::new());
        let mut account = Account::default();
        let mut hand_over = |operator: &mut Operator| {
            let handed = operator.hand_over(0, &mut merger);
            handed.expect("one plan");
            let mut fire = || {
                merger.fire_first(
                    |_| true,
                    &mut account,
                    |panes| {
                        add_rows(panes, &mut rows);
                        Ok::<_, ()>(())
                    },
                )
            };
            while fire() == Ok(true) {}
        };
        for (second, names) in names.chunks(CALLERS as usize).enumerate() {
            let at = 1_000 * second as i64;
            let records: Vec<Record> = names.iter().map(|&name| (0, at, name, 1)).collect();
            feed(&mut operator, &records, &mut Vec::new());
            if second % hand_over_each == 0 {
                hand_over(&mut operator);
            }
        }
        operator.on_end(&mut Panes::default());
        hand_over(&mut operator);
        rows
    };
    assert!(rows_of(30) == rows_of(1));
    assert_eq!(rows_of(30).len(), names.len());
}

#[test]
fn what_an_earlier_version_has_shown_without_saying_so_is_taken_back() {
    for trigger in ["watermark", "count 3"] {
        let plan = || {
            let windows = Windows::Session {
                gap_ms: 1_000,
                max_ms: None,
            };
            let mut operator = operator_of(windows, 0, trigger.parse().expect("a trigger"), 1);
            operator.log_changes();
            operator
        };
        let (mut operator, mut rows) = (plan(), Vec::new());
        feed(&mut operator, &[(0, 1_000, "a", 1)], &mut rows);
        // That version has shown the session now, but for its state it has not.
        let header = operator.save_header().expect("a header");
        let mut log = Vec::new();
        let taken = operator
            .take_changes(|key, value| log.push((key.to_owned(), value.map(<[u8]>::to_owned))));
        taken.expect("states");
        let mut operator = plan();
        operator.load_header(&header).expect("a header");
        for (key, value) in log {
            let value = value.expect("it is open");
            operator.restore_row(&key, &value).expect("a row");
        }
        operator.take_for_shown();
        assert_eq!(operator.account().rows, 0);
        feed(&mut operator, &[(0, 1_500, "a", 2)], &mut rows);
        end(&mut operator, &mut rows);
        let shown = row((1_000, 1_000), "a", 1, 1);
        assert_eq!(rows, [shown, row((1_000, 1_500), "a", 2, 3)], "{trigger}");
    }
}

#[test]
fn a_column_of_another_type_than_planned_ends_the_run_and_loses_no_record() {
    let ten = Aligned::tumbling(10).expect("a size");
    let mut operator = operator(ten, 0, Trigger::Final, 1);
    let argument = Column::Text(Values::from_iter([Some("7")]));
    let input = Input {
        partition: 0,
        origin: 0,
        first: 0,
        noted: Noted::default(),
        malformed: &[],
        times: &[1],
        arrivals: None,
        selected: None,
        keys: &[],
        arguments: &[None, Some(Cow::Owned(argument))],
        carried: &[],
        taken_back: None,
        distinct: None,
        parts: None,
    };
    let taken = operator.on_batch(&input, &mut Panes::default());
    let error = taken.expect_err("a text is not a bigint");
    assert!(
        error.to_string().contains("not of its planned type"),
        "{error}"
    );
}

/// A listener that keeps the watermarks, and wants the records or not.
#[derive(Debug, Clone)]
struct Moves {
    wants_records: bool,
    seen: Arc<Mutex<Vec<Move>>>,
}

/// A partition's watermark, the combined one, and the record that moved them.
type Move = (Option<(usize, i64)>, i64, Option<u64>);

impl Journal for Moves {
    fn note(&mut self, _: Option<i64>, event: Event<'_>) {
        if let Event::Watermark {
            partition,
            combined,
            record,
        } = event
        {
            let mut seen = self.seen.lock().expect("no panic");
            seen.push((partition, combined, record));
        }
    }

    fn detail(&self) -> Detail {
        if self.wants_records {
            Detail::Each
        } else {
            Detail::Outline
        }
    }
}

/// Returns how watermarks move, by some listener.
fn moves(wants_records: bool, partitions: usize, batches: &[&[Record]]) -> Vec<Move> {
    let ten = Aligned::tumbling(10).expect("a size");
    let mut operator = operator(ten, 0, Trigger::Final, partitions);
    let moves = Moves {
        wants_records,
        seen: Arc::default(),
    };
    operator.set_journal(Box::new(moves.clone()));
    for records in batches {
        feed(&mut operator, records, &mut Vec::new());
    }
    let seen = moves.seen.lock().expect("no panic");
    seen.clone()
}

#[test]
fn a_partition_that_moves_alone_is_reported_with_its_record() {
    let batches: [&[Record]; 3] = [
        &[(0, 5, "a", 1)],
        &[(1, 3, "a", 1)],
        &[(0, 9, "a", 1), (0, 8, "a", 1)],
    ];
    assert_eq!(
        moves(true, 2, &batches),
        [
            (Some((0, 5)), BEGINNING, Some(0)),
            (Some((1, 3)), 3, Some(1)),
            (Some((0, 9)), 3, Some(2)),
        ]
    );
}

#[test]
fn a_listener_that_wants_no_records_hears_who_moved_the_watermark_last() {
    let batches: [&[Record]; 2] = [
        &[(0, 1, "a", 1), (0, 2, "a", 1)],
        &[
            (0, 4, "a", 1),
            (0, 7, "b", 1),
            (0, 7, "a", 1),
            (0, 3, "a", 1),
        ],
    ];
    let each = moves(true, 1, &batches);
    let some = moves(false, 1, &batches);
    assert_eq!(each.last(), Some(&(Some((0, 7)), 7, Some(3))));
    assert_eq!(each.last(), some.last());
    assert!(some.len() < each.len(), "{some:?}");
}
