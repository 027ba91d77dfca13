//! A join that moves: what was held goes on elsewhere, by its changes alone.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tests::{Plain, Row, Rows, random, records, settings};
use super::*;

/// What is kept of a join outside of it: pieces, without those of no use, and the clock.
#[derive(Default)]
struct Kept {
    pieces: Vec<(i64, Vec<u8>)>,
    clock: Vec<u8>,
}

impl Kept {
    fn take(&mut self, join: &mut Join) {
        join.take_changes(|latest, piece| self.pieces.push((latest, piece.to_vec())));
        let passed = join.passed();
        self.pieces.retain(|(latest, _)| *latest >= passed);
        self.clock.clear();
        join.save_clock(&mut self.clock).expect("it can be written");
    }

    fn restored(&self, settings: &Settings) -> Join {
        let mut join = Join::new(settings);
        join.log_changes();
        let pieces = self.pieces.iter().map(|(_, piece)| piece.as_slice());
        let latest = join.take_over(&mut self.clock.as_slice(), pieces);
        let known: Vec<i64> = self.pieces.iter().map(|(latest, _)| *latest).collect();
        assert_eq!(latest.expect("own pieces"), known);
        join
    }
}

/// Reads both inputs in short batches. The join moves before each where `moves` says so; what it has done
/// since its changes were last taken is then done again.
fn run(settings: &Settings, inputs: [&[Plain]; 2], mut moves: impl FnMut() -> bool) -> Vec<Row> {
    let mut join = Join::new(settings);
    join.log_changes();
    let (mut kept, mut rows, mut at) = (Kept::default(), Rows::default(), [0; 2]);
    kept.take(&mut join);
    let mut committed = (0, at);
    let is_over = |at: [usize; 2]| (0..2).all(|nth| at[nth] >= inputs[nth].len());
    while !is_over(at) {
        if moves() {
            join = kept.restored(settings);
            rows.0.truncate(committed.0);
            at = committed.1;
        }
        let behind = join.furthest_behind();
        let side = if at[behind.index()] < inputs[behind.index()].len() {
            behind
        } else {
            behind.other()
        };
        let nth = side.index();
        let end = (at[nth] + 3).min(inputs[nth].len());
        let mut batch = records(&join, 0, &inputs[nth][at[nth]..end]);
        let pace = if side == behind {
            Pace::Together
        } else {
            Pace::Ahead
        };
        join.on_batch(side, &mut batch, pace, &mut rows)
            .expect("rows are taken");
        at[nth] += batch.taken();
        // Some steps are lost with the process.
        if at.iter().sum::<usize>() % 4 == 0 {
            kept.take(&mut join);
            committed = (rows.0.len(), at);
        }
    }
    rows.0
}

#[test]
fn a_join_that_moves_gives_the_rows_of_one_that_stays() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for round in 0..300 {
        let disorder = rng.random_range(0..60);
        let inputs = [0, 1].map(|_| random(&mut rng, 60, disorder));
        let [left, right] = inputs.each_ref().map(Vec::as_slice);
        let kind = [Kind::Inner, Kind::Left, Kind::Outer][round % 3];
        let within = rng.random_range(0..200);
        // Late records among them, in some rounds.
        let settings = settings(Method::Within(within), kind, rng.random_range(0..=disorder));
        let stays = run(&settings, [left, right], || false);
        let moves = run(&settings, [left, right], || rng.random_bool(0.2));
        assert_eq!(moves, stays, "round {round}: {settings:?}");
    }
}

#[test]
fn pieces_of_anything_else_are_refused() {
    let settings = settings(Method::Within(10), Kind::Outer, 0);
    let mut join = Join::new(&settings);
    join.log_changes();
    let mut rows = Rows::default();
    let mut batch = records(&join, 0, &[(5, Some(1), 0), (6, None, 1)]);
    join.on_batch(Side::Left, &mut batch, Pace::Ahead, &mut rows)
        .expect("rows are taken");
    let mut kept = Kept::default();
    kept.take(&mut join);
    let piece = kept.pieces[0].1.clone();
    for cut in 1..piece.len() {
        let mut other = Join::new(&settings);
        let taken = other.take_over(&mut kept.clock.as_slice(), std::iter::once(&piece[..cut]));
        // Whole records before the cut are what they are.
        assert!(taken.is_err() || cut == 17 + 2, "{cut}");
    }
    let two = Settings {
        partitions: [2, 1],
        ..settings
    };
    let mut other = Join::new(&two);
    let taken = other.take_over(&mut kept.clock.as_slice(), std::iter::empty());
    assert!(taken.is_err(), "another number of partitions");
}
