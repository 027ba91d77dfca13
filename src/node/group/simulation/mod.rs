//! A group in a world where everything goes wrong, step by step and as often as a seed asks for it.
//!
//! The processes run the code of production: a [`Node`](super::Node), its clients' decisions, and its
//! restorations. What lies below [`port`](crate::kafka::port) and [`clock`](crate::clock) is simulated:
//!
//! - [`world`]: time, and what is on its way
//! - [`log`], [`group`], [`transaction`]: the brokers
//! - [`sender`], [`client`]: what a process's clients do
//! - [`scenario`]: what a seed asks for
//! - [`run`]: the scheduler; processes die, sleep and wake at any call
//! - [`truth`]: what readers should see
//!
//! `scripts/simulate --seeds A..B` runs seeds; one that fails is printed, and fails again in the same
//! step.

mod client;
mod dice;
mod group;
mod log;
mod process;
mod run;
mod scenario;
mod sender;
mod transaction;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use run::run;

use crate::fault::Fault;

/// What is wrong with a run.
#[derive(Debug, Clone)]
struct Failure {
    kind: &'static str,
    details: String,
}

impl Failure {
    fn new(kind: &'static str, details: String) -> Self {
        Failure { kind, details }
    }
}

/// Returns the seeds to run: those of `K_SEEDS=A..B`, or the first so many.
fn seeds(default: u64) -> Range<u64> {
    let Ok(text) = std::env::var("K_SEEDS") else {
        return 0..default;
    };
    let (first, end) = text.split_once("..").expect("K_SEEDS=A..B");
    first.parse().expect("a number")..end.parse().expect("a number")
}

#[test]
fn whatever_goes_wrong_readers_see_what_the_guarantee_promises() {
    let seeds = seeds(200);
    let is_single = seeds.end == seeds.start + 1;
    let (next, faults, lasted) = (
        AtomicU64::new(seeds.start),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    let failed = Mutex::new(BTreeMap::new());
    let began = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, is_single, None);
                    faults.fetch_add(outcome.faults, Ordering::Relaxed);
                    let seconds = outcome.lasted.as_secs();
                    lasted.fetch_add(seconds, Ordering::Relaxed);
                    if let Some(failure) = outcome.failure {
                        println!(
                            "seed {seed}: {}: {}\n  {}",
                            failure.kind,
                            failure.details,
                            scenario::Scenario::of(seed).query
                        );
                        failed.lock().expect("no panic").insert(seed, failure);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    println!(
        "{} seeds, {} faults, {} simulated hours in {:.1} s; {} failed",
        seeds.end - seeds.start,
        faults.into_inner(),
        lasted.into_inner() / 3_600,
        began.elapsed().as_secs_f64(),
        failed.len(),
    );
    assert!(failed.is_empty(), "seeds {:?}", failed.keys());
}

#[test]
fn a_seed_takes_the_same_steps_each_time() {
    for seed in 0..10 {
        let (first, second) = (run(seed, false, None), run(seed, false, None));
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

/// The faults that are planted, and a seed that finds each.
const FAULTS: [(Fault, u64); 23] = [
    (Fault::OffsetsBeforeRows, 233),
    (Fault::OffsetsOutsideTransaction, 8),
    (Fault::FenceIgnored, 11),
    (Fault::NoProof, 11),
    (Fault::AnswerIgnored, 95),
    (Fault::ReleasedBeforeCommit, 69),
    (Fault::NotDelivered, 0),
    (Fault::NotAborted, 232),
    (Fault::NotRolledBack, 232),
    (Fault::NotSought, 165),
    (Fault::PanesKept, 490),
    (Fault::RestoreCutShort, 9),
    (Fault::RestoredToStable, 61),
    (Fault::WatermarkGoesBack, 73),
    (Fault::UpstreamGoesBack, 782),
    (Fault::RowsForgotten, 0),
    (Fault::MarkBeforeParts, 6),
    (Fault::PositionSkips, 0),
    (Fault::BeginsAgain, 1),
    (Fault::FirstCommitRefused, 60),
    (Fault::CommittedTooFar, 0),
    (Fault::EndsEarly, 137),
    (Fault::EndsUnshown, 512),
];

#[test]
fn each_planted_fault_is_found_by_its_seed() {
    for (fault, seed) in FAULTS {
        let planted = run(seed, false, Some(fault));
        assert!(
            planted.failure.is_some(),
            "{fault:?} is not found by {seed}"
        );
        let sound = run(seed, false, None);
        assert!(sound.failure.is_none(), "seed {seed}: {:?}", sound.failure);
    }
}

/// Prints the first seed that finds each planted fault, of those of `K_SEEDS`.
#[test]
#[ignore = "searches"]
fn search_for_planted_faults() {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(fault, _)) =
                    FAULTS.get(next.fetch_add(1, Ordering::Relaxed) as usize)
                {
                    let found = seeds(1_000).find_map(|seed| {
                        let failure = run(seed, false, Some(fault)).failure?;
                        Some((seed, failure))
                    });
                    println!("{fault:?} {found:?}");
                }
            });
        }
    });
}
