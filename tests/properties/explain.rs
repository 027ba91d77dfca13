//! What `k explain` says of every record is what the engine did, and what would have kept one is minimal.

use std::sync::{Arc, Mutex};

use k::engine::account::Account;
use k::engine::pane::journal as engine;
use k::engine::pane::trigger::Trigger;
use k::engine::watermark::Bound;
use k::explain::trial::Trials;
use k::explain::{Life, Outcome, Witness};
use k::journal::{Aggregate, Event, Kind, Length, Plan as Planned, VERSION, Windows};
use proptest::prelude::*;

use crate::feed::Row;
use crate::inputs::{self, Op, Plan, Run, Shape};
use crate::{config, naive};

/// Keeps every event.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

impl engine::Journal for Heard {
    fn note(&mut self, now: Option<i64>, event: engine::Event<'_>) {
        let mut events = self.0.lock().expect("no panic");
        events.push(Event::of(event, now, None));
    }
}

/// Returns the first line of a plan's journal.
fn planned(plan: &Plan) -> Planned {
    let windows = |kind, size, gap, max, closes_after| Windows {
        kind,
        size,
        advance: None,
        gap,
        max,
        closes_after,
    };
    let windows = match plan.shape {
        Shape::Session { gap, max } => windows(Kind::Session, None, Some(gap), max, gap + 1),
        Shape::Sliding { apart } => windows(Kind::Sliding, Some(Length::Ms(apart)), None, None, 1),
        Shape::Global => windows(Kind::Global, None, None, None, 0),
        _ => windows(Kind::Hopping, None, None, None, 0),
    };
    let (out_of_order, percentile) = match plan.bound {
        Bound::Fixed(bound) => (Some(bound), None),
        Bound::Percentile(percent) => (None, Some(percent)),
    };
    let aggregate = |name: &str| Aggregate {
        name: name.to_owned(),
        function: name.to_owned(),
        argument: None,
    };
    Planned {
        version: VERSION,
        sources: vec!["calls.csv".to_owned()],
        partitions: plan.partitions,
        windows,
        grace: plan.grace_ms,
        out_of_order,
        percentile,
        ahead: None,
        trigger: plan.trigger.to_string(),
        refinement: plan.refinement.name().to_owned(),
        time: "at".to_owned(),
        arrival: None,
        zone: None,
        filter: None,
        distinct: plan.distinct.then(|| "value".to_owned()),
        keys: vec!["key".to_owned()],
        aggregates: ["count", "sum"].map(aggregate).to_vec(),
        columns: vec!["value".to_owned()],
    }
}

/// Returns the life of every record, the account, and the watermark at each record.
fn lives_of(plan: &Plan, ops: &[Op]) -> (Vec<Life>, Account, Vec<i64>) {
    let (mut run, heard) = (Run::new(plan), Heard::default());
    run.operator.set_journal(Box::new(heard.clone()));
    let mut watermarks = Vec::new();
    for op in ops {
        run.act(op);
        if let Op::Record(_) = op {
            watermarks.push(run.operator.watermarks().combined());
        }
    }
    run.end();
    let events = heard.0.lock().expect("no panic");
    let mut witness = Witness::new(planned(plan));
    events
        .iter()
        .for_each(|event| witness.hear(event, |_| true));
    witness.pause();
    witness.find_ways_out();
    if let Some(mut trials) = Trials::new(&planned(plan), witness.lives()) {
        for event in events.iter() {
            trials
                .hear(event)
                .expect("the engine takes its own records");
        }
        assert!(trials.are_done());
    }
    (witness.into_lives(), *run.operator.account(), watermarks)
}

/// Counts records and record × window by what lives say.
fn account_of(lives: &[Life]) -> Account {
    let mut account = Account::default();
    for life in lives {
        match life.outcome {
            Outcome::OnTime => account.on_time += 1,
            Outcome::Late => account.late += 1,
            Outcome::Expired => account.expired += 1,
            Outcome::Duplicate => account.duplicates += 1,
            Outcome::Filtered => account.filtered += 1,
            Outcome::Malformed => account.malformed += 1,
            Outcome::Ahead => account.ahead += 1,
        }
        for held in &life.windows {
            match held.outcome {
                Outcome::OnTime => account.windows.on_time += 1,
                Outcome::Late => account.windows.late += 1,
                Outcome::Expired => account.windows.expired += 1,
                _ => {}
            }
        }
    }
    account
}

/// Counts records by the plainest rules; those of windows on a grid.
fn plain_account(plan: &Plan, rows: &[&Row], watermarks: &[i64]) -> Vec<Outcome> {
    let outcome = |(row, &watermark): (&&Row, &i64)| {
        let mut account = Account::default();
        naive::account(plan, row, watermark, &mut account);
        match account {
            Account { filtered: 1, .. } => Outcome::Filtered,
            Account { on_time: 1, .. } => Outcome::OnTime,
            Account { late: 1, .. } => Outcome::Late,
            _ => Outcome::Expired,
        }
    };
    rows.iter().zip(watermarks).map(outcome).collect()
}

proptest! {
    #![proptest_config(config())]

    /// Whatever the windows and the trigger: each record's life is what the engine has counted, and
    /// what the plainest rules make of it.
    #[test]
    fn every_life_is_what_the_engine_did((plan, ops) in inputs::wide_plan_and_ops()) {
        let (lives, account, watermarks) = lives_of(&plan, &ops);
        let rows: Vec<&Row> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Record(row) => Some(row),
                _ => None,
            })
            .collect();
        prop_assert_eq!(lives.len(), rows.len());
        let told = account_of(&lives);
        prop_assert_eq!(
            (told.on_time, told.late, told.expired, told.duplicates, told.filtered),
            (account.on_time, account.late, account.expired, account.duplicates, account.filtered)
        );
        if !matches!(plan.shape, Shape::Sliding { .. }) {
            // A sliding window that is made later holds earlier records, too, which are not counted.
            prop_assert_eq!(told.windows, account.windows);
        }
        for ((life, row), &watermark) in lives.iter().zip(&rows).zip(&watermarks) {
            prop_assert_eq!(life.origin.at, Some(row.at));
            prop_assert_eq!(life.watermark, (watermark > i64::MIN).then_some(watermark));
            let mover = life.moved_by.as_ref();
            prop_assert!(mover.is_none_or(|mover| mover.record <= life.origin.record));
        }
        if plan.shape.is_grid() && !plan.distinct {
            let plain = plain_account(&plan, &rows, &watermarks);
            let told: Vec<Outcome> = lives.iter().map(|life| life.outcome).collect();
            prop_assert_eq!(told, plain);
        }
        let has_maximum = matches!(plan.shape, Shape::Session { max: Some(_), .. });
        if !has_maximum && !plan.distinct {
            let judged = rows.iter().zip(&watermarks).filter(|(row, _)| !row.filtered);
            let judged: Vec<naive::Judged> = judged.map(|(row, at)| (*row, *at)).collect();
            let told = lives.iter().filter(|life| life.outcome != Outcome::Filtered);
            let told: Vec<bool> = told.map(|life| life.outcome.is_kept()).collect();
            prop_assert_eq!(told, naive::kept(&plan, &judged));
        }
    }

    /// A record that is kept leaves in a row of each of its windows, once the input has ended.
    #[test]
    fn every_record_that_is_kept_leaves_in_its_windows((plan, ops) in inputs::plan_and_ops()) {
        for plan in [plan.clone(), plan.with_trigger(Trigger::Final)] {
            let (lives, ..) = lives_of(&plan, &ops);
            for life in &lives {
                prop_assert!(life.is_over(), "{:?}", life);
                for held in life.windows.iter().filter(|held| held.outcome.is_kept()) {
                    prop_assert!(held.carried_by.is_some(), "{:?}", life);
                    prop_assert!(held.rows > 0 && (plan.trigger != Trigger::Final || held.rows == 1));
                }
                serde_json::to_string(life).expect("JSON");
            }
        }
    }

    /// With the grace and with the bound that are named a record is kept; with 1 ms less it is not.
    #[test]
    fn what_would_have_kept_a_record_is_the_smallest((plan, ops) in inputs::wide_plan_and_ops()) {
        // What somebody knows of a watermark has no bound.
        let ops: Vec<Op> = ops
            .into_iter()
            .filter(|op| !matches!(op, Op::Watermark(..)))
            .collect();
        let (lives, ..) = lives_of(&plan, &ops);
        let is_kept = |plan: Plan, nth: usize| lives_of(&plan, &ops).0[nth].outcome.is_kept();
        for (nth, life) in lives.iter().enumerate() {
            let expired = life.outcome == Outcome::Expired;
            prop_assert_eq!(life.way_out.is_some(), expired);
            let Some(way_out) = life.way_out else {
                continue;
            };
            let graced = |grace_ms| Plan { grace_ms, ..plan.clone() };
            let bound = |bound| Plan { bound: Bound::Fixed(bound), ..plan.clone() };
            match way_out.grace {
                Some(grace) => {
                    prop_assert!(is_kept(graced(grace), nth), "{grace} ms: {life:?}");
                    prop_assert!(!is_kept(graced(grace - 1), nth), "1 ms less: {life:?}");
                }
                None => prop_assert!(!is_kept(graced(1 << 40), nth), "no grace: {life:?}"),
            }
            match (way_out.out_of_order, plan.bound) {
                (Some(ms), _) => {
                    prop_assert!(is_kept(bound(ms), nth), "{ms} ms: {life:?}");
                    prop_assert!(!is_kept(bound(ms - 1), nth), "1 ms less: {life:?}");
                }
                (None, Bound::Fixed(_)) => {
                    prop_assert!(!is_kept(bound(1 << 40), nth), "no bound: {life:?}");
                }
                (None, Bound::Percentile(_)) => {}
            }
        }
    }
}
