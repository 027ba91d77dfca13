//! What holds for every input of the window engine, tried on random ones.
//!
//! Runs are the same each time; `PROPTEST_CASES=10000 PROPTEST_RNG_SEED=7` hunts further.

#[path = "../transcripts/feed.rs"]
mod feed;

mod batch;
mod calendar;
mod explain;
mod group;
mod inputs;
mod naive;

use std::collections::BTreeMap;

use k::engine::account::Account;
use k::engine::pane::trigger::Trigger;
use k::engine::pane::{Refinement, Timing};
use k::engine::watermark::Bound;
use k::engine::window::Window;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use feed::{Pane, Row, integer};
use group::{Group, Stops};
use inputs::{Op, Plan, Run, Shape};

/// Small enough for all properties together to take a few seconds.
const CASES: u32 = 1_500;

fn config() -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}

/// What is in a table that every pane is applied to: its count and sum by window and key.
type Table = BTreeMap<(Window, Option<String>), [i128; 2]>;

/// Applies panes as a reader of changes does: `-` takes a row out, `+` puts one in.
fn table_of(panes: &[Pane]) -> Table {
    let mut table = Table::new();
    for pane in panes {
        let place = place(pane);
        if pane.is_retraction {
            assert_eq!(table.remove(&place), Some(values(pane)), "what was shown")
        } else {
            table.insert(place, values(pane));
        }
    }
    table
}

fn place(pane: &Pane) -> (Window, Option<String>) {
    (pane.window, pane.key.clone().flatten())
}

fn values(pane: &Pane) -> [i128; 2] {
    [0, 1].map(|nth| integer(&pane.values[nth]))
}

/// Adds up count and sum by key, less what was taken back.
fn totals(panes: &[Pane]) -> BTreeMap<Option<String>, [i128; 2]> {
    let mut totals: BTreeMap<_, [i128; 2]> = BTreeMap::new();
    for pane in panes {
        let sign = if pane.is_retraction { -1 } else { 1 };
        let total = totals.entry(pane.key.clone().flatten()).or_default();
        let values = values(pane);
        (0..2).for_each(|nth| total[nth] += sign * values[nth]);
    }
    totals.retain(|_, total| *total != [0, 0]);
    totals
}

/// Fails unless readers of two runs have the same in the end: of a window that fires once its last
/// row, of panes that discard what was shown their sum.
fn same_in_the_end(plan: &Plan, left: &[Pane], right: &[Pane]) -> Result<(), TestCaseError> {
    match plan.refinement {
        Refinement::Discarding if plan.trigger != Trigger::Final => {
            prop_assert_eq!(totals(left), totals(right));
        }
        _ => prop_assert_eq!(table_of(left), table_of(right)),
    }
    Ok(())
}

/// Feeds everything record by record and ends the input.
fn panes_of(plan: &Plan, ops: &[Op]) -> (Vec<Pane>, Account) {
    let mut run = Run::new(plan);
    let mut panes: Vec<Pane> = ops.iter().flat_map(|op| run.act(op)).collect();
    panes.extend(run.end());
    (panes, *run.operator.account())
}

proptest! {
    #![proptest_config(config())]

    /// One row a window and key, in order; as if all records were there at once.
    #[test]
    fn with_enough_grace_final_rows_equal_a_batch_recomputation(
        (plan, rows) in inputs::plan_and_rows()
    ) {
        let plan = plan.with_enough_grace(&rows).with_trigger(Trigger::Final);
        let ops: Vec<Op> = rows.iter().cloned().map(Op::Record).collect();
        let (panes, account) = panes_of(&plan, &ops);
        prop_assert_eq!(table_of(&panes), naive::table(plan.shape, &rows));
        prop_assert_eq!(account.expired, 0);
        let once: Vec<_> = panes.iter().map(place).collect();
        prop_assert_eq!(table_of(&panes).len(), once.len(), "each once");
        prop_assert!(panes.iter().all(|pane| pane.is_last && pane.index == 0));
    }

    /// Records late and expired, whatever the windows: what leaves is what was in time.
    #[test]
    fn final_rows_equal_a_recomputation_over_the_records_that_were_in_time(
        (plan, ops) in inputs::plan_and_ops()
    ) {
        let plan = plan.without_maximum().with_trigger(Trigger::Final);
        let mut run = Run::new(&plan);
        let (mut panes, mut judged) = (Vec::new(), Vec::new());
        for op in &ops {
            panes.extend(run.act(op));
            if let Op::Record(row) = op && !row.filtered {
                judged.push((row, run.operator.watermarks().combined()));
            }
        }
        panes.extend(run.end());
        let once: Vec<_> = panes.iter().map(place).collect();
        prop_assert_eq!(table_of(&panes).len(), once.len(), "each once");
        prop_assert_eq!(table_of(&panes), naive::judged_table(&plan, &judged));
    }

    /// Whatever was fired before: what is at the end is the batch's result.
    #[test]
    fn with_enough_grace_the_last_panes_of_any_trigger_equal_a_batch_recomputation(
        (plan, rows) in inputs::plan_and_rows()
    ) {
        let plan = plan.with_enough_grace(&rows);
        let ops: Vec<Op> = rows.iter().cloned().map(Op::Record).collect();
        let naive = naive::table(plan.shape, &rows);
        for refinement in [Refinement::Accumulating, Refinement::Retracting] {
            let (panes, _) = panes_of(&plan.with_refinement(refinement), &ops);
            prop_assert_eq!(table_of(&panes), naive.clone());
        }
    }

    /// Records late and expired, idle partitions, ticks: discarding panes, and retracting ones with
    /// their signs, add up to what is in the table of the accumulating ones.
    #[test]
    fn panes_of_every_refinement_add_up(
        (plan, ops) in inputs::plan_and_ops()
    ) {
        let [discarding, accumulating, retracting] = [
            Refinement::Discarding,
            Refinement::Accumulating,
            Refinement::Retracting,
        ]
        .map(|refinement| panes_of(&plan.with_refinement(refinement), &ops).0);
        let table = table_of(&accumulating);
        prop_assert_eq!(&table_of(&retracting), &table);
        prop_assert_eq!(totals(&discarding), totals(&retracting));
        let mut standing: BTreeMap<_, [i128; 2]> = BTreeMap::new();
        for ((_, key), values) in table {
            let total = standing.entry(key).or_default();
            (0..2).for_each(|nth| total[nth] += values[nth]);
        }
        standing.retain(|_, total| *total != [0, 0]);
        prop_assert_eq!(totals(&retracting), standing);
    }

    /// The panes of one window and key are numbered, early before on time before late, and
    /// nothing follows the last.
    #[test]
    fn panes_of_a_window_come_in_their_order((plan, ops) in inputs::plan_and_ops()) {
        let plan = plan.with_refinement(Refinement::Discarding);
        let (panes, _) = panes_of(&plan, &ops);
        let mut before: BTreeMap<_, &Pane> = BTreeMap::new();
        for pane in &panes {
            if let Some(before) = before.insert(place(pane), pane) {
                prop_assert!(!before.is_last, "{:?} after the last", pane);
                prop_assert!(before.index < pane.index);
                prop_assert!(timing(before) <= timing(pane), "{before:?} before {pane:?}");
                prop_assert!(pane.timing != Timing::OnTime
                    || before.timing == Timing::Early);
            }
        }
    }

    /// Every record is counted once, by its best window, and the watermark never goes back.
    #[test]
    fn the_account_holds_and_the_watermark_never_goes_back(
        (plan, ops) in inputs::plan_and_ops()
    ) {
        let mut run = Run::new(&plan);
        let (mut watermark, mut expected, mut panes) = (i64::MIN, Account::default(), 0);
        for op in &ops {
            panes += run.act(op).len();
            let reached = run.operator.watermarks().combined();
            prop_assert!(reached >= watermark);
            watermark = reached;
            if let Op::Record(row) = op {
                naive::account(&plan, row, watermark, &mut expected);
            }
        }
        panes += run.end().len();
        let account = *run.operator.account();
        let records = ops.iter().filter(|op| matches!(op, Op::Record(_))).count();
        prop_assert_eq!(account.records(), records as u64);
        prop_assert_eq!(account.rows, panes as u64);
        prop_assert_eq!(run.operator.slots_in_use(), 0);
        if plan.shape.is_grid() {
            prop_assert_eq!(
                [account.on_time, account.late, account.expired, account.filtered],
                [expected.on_time, expected.late, expected.expired, expected.filtered]
            );
            prop_assert_eq!(account.windows, expected.windows);
            prop_assert_eq!(account.grace_needed_ms, expected.grace_needed_ms);
        }
    }

    /// With the grace that the account names no record would have been expired.
    #[test]
    fn the_grace_that_was_needed_suffices((plan, ops) in inputs::plan_and_ops()) {
        // A session that lives longer may be full for a record that it took before.
        let plan = plan.without_maximum();
        let (_, account) = panes_of(&plan, &ops);
        let plan = Plan { grace_ms: plan.grace_ms.max(account.grace_needed_ms), ..plan };
        let (_, account) = panes_of(&plan, &ops);
        prop_assert_eq!(account.expired, 0);
    }

    /// How records are cut into batches, and where the run stops and goes on, changes nothing.
    #[test]
    fn batches_and_restarts_change_nothing(
        (plan, ops) in inputs::wide_plan_and_ops(),
        batch in 1_usize..20,
        restarts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let expected = panes_of(&plan, &ops);
        let mut run = Run::new(&plan);
        let mut panes = Vec::new();
        let restarts: Vec<usize> = match ops.len() {
            0 => Vec::new(),
            length => restarts.iter().map(|restart| restart.index(length)).collect(),
        };
        let mut waiting: Vec<&Row> = Vec::new();
        for (nth, op) in ops.iter().enumerate() {
            let row = match op {
                Op::Record(row) => Some(row),
                _ => None,
            };
            let joins = row.is_some_and(|row| {
                waiting.len() < batch && waiting.iter().all(|other| other.partition == row.partition)
            });
            if !joins || restarts.contains(&nth) {
                panes.extend(run.feed(&std::mem::take(&mut waiting)));
            }
            if restarts.contains(&nth) {
                run.restart();
            }
            match row {
                Some(row) => waiting.push(row),
                None => panes.extend(run.act(op)),
            }
        }
        panes.extend(run.feed(&waiting));
        panes.extend(run.end());
        prop_assert_eq!((panes, run.account()), expected);
    }

    /// Where records are read in one place and windows are held in another, it does not matter
    /// where either stops and goes on.
    #[test]
    fn restarts_upstream_and_downstream_change_nothing(
        (plan, ops) in inputs::wide_plan_and_ops(),
        events in inputs::events(),
    ) {
        let plan = Plan { distinct: false, ..plan };
        let runs = [Stops::Never, Stops::Killed, Stops::Shown].map(|stops| {
            let mut group = Group::new(&plan, stops);
            let mut panes = Vec::new();
            let mut events = events.iter().cycle();
            for op in &ops {
                panes.extend(group.act(op));
                events.next().into_iter().for_each(|&event| panes.extend(group.happens(event)));
            }
            panes.extend(group.end());
            panes
        });
        let [expected, killed, shown] = runs;
        prop_assert_eq!(killed, expected.clone());
        same_in_the_end(&plan, &shown, &expected)?;
    }

    /// Open windows are shown at the end of what is there, and stay open: what a reader has in the
    /// end is what one run would have shown.
    #[test]
    fn what_is_shown_at_a_stop_is_taken_back(
        (plan, ops) in inputs::wide_plan_and_ops(),
        stops in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (expected, account) = panes_of(&plan, &ops);
        let mut run = Run::new(&plan);
        let mut panes = Vec::new();
        let stops: Vec<usize> = stops.iter().map(|stop| stop.index(ops.len() + 1)).collect();
        for (nth, op) in ops.iter().enumerate() {
            if stops.contains(&nth) {
                panes.extend(run.show_open());
                run.restart();
            }
            panes.extend(run.act(op));
        }
        panes.extend(run.end());
        same_in_the_end(&plan, &panes, &expected)?;
        let rows = account.rows;
        prop_assert_eq!(Account { rows, ..run.account() }, account);
    }

    /// Bytes that are not what was logged are refused, and never a panic.
    #[test]
    fn what_is_cut_short_cannot_be_restored(
        (plan, ops) in inputs::plan_and_ops(),
        cut in any::<prop::sample::Index>()
    ) {
        let mut run = Run::new(&plan);
        ops.iter().for_each(|op| {
            run.act(op);
        });
        run.log.take(&mut run.operator);
        for (key, value) in &run.log.rows {
            let cut = cut.index(value.len());
            prop_assert!(plan.operator().restore_row(key, &value[..cut]).is_err());
            prop_assert!(plan.operator().restore_row(&key[..cut.min(15)], value).is_err());
        }
        let header = run.operator.save_header().expect("a header");
        let cut = cut.index(header.len());
        prop_assert!(plan.operator().load_header(&header[..cut]).is_err());
    }
}

/// The place of a pane's timing among those of its window.
fn timing(pane: &Pane) -> u8 {
    match pane.timing {
        Timing::Early => 0,
        Timing::OnTime => 1,
        Timing::Late => 2,
    }
}

#[test]
fn a_learned_watermark_keeps_the_share_of_late_records_that_it_promises() {
    // Delays up to 10 s, each as often: a bound at the 90th percentile, or up to an eighth above,
    // leaves at most one record of ten beyond it.
    let plan = Plan::of(Shape::Global, 1, Bound::Percentile(90.0));
    let mut run = Run::new(&plan);
    let mut beyond = 0;
    for n in 0..20_000_i64 {
        let clock = n * 100;
        let at = clock - n * 3_701 % 10_000;
        beyond += u32::from(at < run.operator.watermarks().combined());
        run.act(&Op::Record(Row {
            partition: 0,
            at,
            arrival: None,
            key: None,
            value: None,
            filtered: false,
            taken_back: false,
        }));
    }
    assert!((500..=2_000).contains(&beyond), "{beyond} of 20,000");
}
