//! Writing against brokers that a test plays: order, sequence numbers, and what failures cost.

use std::time::{Duration, Instant};

use super::super::super::batch::{Batch, Builder, Codec};
use super::super::super::wire::answers;
use super::super::super::wire::code;
use super::super::writing::{Failure, Options, Outcome, Writing};
use super::{METADATA, Stage, cluster_options};

const PRODUCE: i16 = 0;
const IDENTITY: i16 = 22;
const NOT_LEADER: i16 = 6;
const NOT_ENOUGH_REPLICAS: i16 = 19;

fn options() -> Options {
    Options {
        cluster: cluster_options(),
        acks: -1,
        is_idempotent: true,
        timeout: Duration::from_secs(10),
        within: Duration::from_secs(60),
        in_flight: 5,
        codec: Codec::None,
        backoff: Duration::from_millis(100),
        limit: 1 << 20,
    }
}

/// The batches of a request: epoch, first sequence, number of records.
type Sent = Vec<(i16, i32, i32)>;

impl Stage<Writing> {
    /// Starts, and goes on until the producer has its id: broker 1 at `h:1` leads all partitions.
    fn writing(partitions: i32, options: Options) -> Self {
        let mut stage = Stage::of(|brokers, now| {
            let mut writing = Writing::new(options, brokers, now);
            (0..partitions).for_each(|number| writing.add_partition("t", number, now));
            writing
        });
        stage.step(Duration::ZERO);
        stage.connect(0, false);
        stage.lead(0, &[(1, 1)], &vec![(1, 5); partitions as usize]);
        stage.add(0, 1);
        let (number, _) = stage.take(0, IDENTITY);
        stage.answer(0, answers::producer(number, 0, 7, 0));
        assert_eq!(stage.sent(0), [(0, 0, 1)]);
        stage.produced(0, code::NONE);
        stage.machine.outcome();
        stage
    }

    /// Adds a batch of so many records to a partition.
    fn add(&mut self, nth: usize, count: usize) {
        let mut builder = Builder::default();
        for _ in 0..count {
            builder.push(7, None, Some(&[b'x'; 10]), [].into_iter());
        }
        self.machine.add(nth, &mut builder, self.now);
        self.step(Duration::ZERO);
    }

    /// Returns the batches of the requests to a broker that are to be answered.
    fn sent(&self, node: usize) -> Sent {
        let asked = self.asked.get(&node).into_iter().flatten();
        let produced = asked.filter(|(kind, ..)| *kind == PRODUCE);
        produced.flat_map(|(_, _, bytes)| batches(bytes)).collect()
    }

    /// Answers the oldest request to a broker, which is of partition 0.
    #[track_caller]
    fn produced(&mut self, node: usize, error: i16) {
        let (number, _) = self.take(node, PRODUCE);
        self.answer(node, answers::produced(number, 0, &[(0, error, 40)]));
    }

    fn acknowledged(&mut self) -> u64 {
        let outcome = self.machine.outcome();
        assert_eq!(outcome.failed, 0);
        outcome.acknowledged
    }
}

/// Finds the batches in the bytes of a request, by their length and magic.
fn batches(request: &[u8]) -> Sent {
    let mut found = Vec::new();
    let mut at = 0;
    while at < request.len() {
        let mut rest = &request[at..];
        let batch = Batch::take(&mut rest).ok().flatten();
        match batch.filter(|batch| batch.check().is_ok()) {
            Some(batch) => {
                let header = batch.header;
                found.push((header.producer_epoch, header.base_sequence, header.count));
                at += batch.size();
            }
            None => at += 1,
        }
    }
    found
}

#[test]
fn batches_are_numbered_and_five_at_most_are_on_their_way() {
    let mut stage = Stage::writing(1, options());
    for _ in 0..7 {
        stage.add(0, 2);
    }
    let five: Sent = (0..5).map(|nth| (0, 1 + 2 * nth, 2)).collect();
    assert_eq!(stage.sent(0), five);
    stage.produced(0, code::NONE);
    assert_eq!(stage.sent(0).last(), Some(&(0, 11, 2)));
    let outcome = stage.machine.outcome();
    assert_eq!((outcome.acknowledged, outcome.reached), (2, vec![(0, 41)]));
}

#[test]
fn after_a_failure_all_goes_out_again_in_order_and_under_the_same_numbers() {
    let mut stage = Stage::writing(1, options());
    (0..3).for_each(|_| stage.add(0, 2));
    stage.produced(0, NOT_ENOUGH_REPLICAS);
    // What follows is refused, because the first one is missing; nothing is sent meanwhile.
    stage.produced(0, code::OUT_OF_ORDER);
    stage.step(Duration::from_secs(1));
    assert_eq!(stage.sent(0), [(0, 5, 2)]);
    stage.produced(0, code::OUT_OF_ORDER);
    stage.step(Duration::from_secs(1));
    // One alone, or a broker that has forgotten the producer could take the second one first.
    assert_eq!(stage.sent(0), [(0, 1, 2)]);
    // It was written after all.
    stage.produced(0, code::DUPLICATE);
    assert_eq!(stage.sent(0), [(0, 3, 2), (0, 5, 2)]);
    stage.produced(0, code::NONE);
    stage.produced(0, code::NONE);
    assert_eq!(stage.acknowledged(), 6);
}

#[test]
fn a_lost_connection_costs_no_record_and_doubles_none() {
    let mut stage = Stage::writing(1, options());
    (0..2).for_each(|_| stage.add(0, 2));
    stage.lose(0);
    stage.step(Duration::from_millis(100));
    stage.connect(0, false);
    stage.lead(0, &[(1, 1)], &[(1, 5)]);
    assert_eq!(stage.sent(0), [(0, 1, 2)]);
    stage.produced(0, code::NONE);
    assert_eq!(stage.sent(0), [(0, 3, 2)]);
}

#[test]
fn the_first_batch_of_all_is_acknowledged_before_the_second_is_sent() {
    let mut stage = Stage::writing(2, options());
    (0..3).for_each(|_| stage.add(1, 2));
    assert_eq!(stage.sent(0), [(0, 0, 2)]);
    let (number, _) = stage.take(0, PRODUCE);
    stage.answer(0, answers::produced(number, 0, &[(1, code::NONE, 0)]));
    assert_eq!(stage.sent(0), [(0, 2, 2), (0, 4, 2)]);
}

#[test]
fn a_new_leader_gets_what_the_last_one_did_not_acknowledge() {
    let mut stage = Stage::writing(1, options());
    (0..2).for_each(|_| stage.add(0, 2));
    stage.produced(0, code::NONE);
    stage.produced(0, NOT_LEADER);
    stage.step(Duration::from_millis(100));
    stage.lead(0, &[(1, 1), (2, 2)], &[(2, 6)]);
    stage.step(Duration::from_millis(100));
    assert!(stage.sent(0).is_empty());
    stage.connect(1, false);
    assert_eq!(stage.sent(1), [(0, 3, 2)]);
}

#[test]
fn a_broker_that_has_lost_what_came_before_gets_a_new_epoch() {
    for error in [code::OUT_OF_ORDER, code::UNKNOWN_PRODUCER] {
        let mut stage = Stage::writing(2, options());
        (0..2).for_each(|_| stage.add(0, 2));
        stage.produced(0, error);
        stage.produced(0, error);
        stage.step(Duration::from_secs(1));
        assert_eq!(stage.sent(0), [(1, 0, 2)], "numbered again");
        stage.produced(0, code::NONE);
        assert_eq!(stage.sent(0), [(1, 2, 2)]);
        stage.produced(0, code::NONE);
        // Another partition's numbers go on.
        stage.add(1, 1);
        assert_eq!(stage.sent(0), [(0, 0, 1)]);
    }
}

#[test]
fn a_batch_that_is_too_large_goes_out_in_halves_and_a_record_does_not() {
    let mut stage = Stage::writing(1, options());
    stage.add(0, 5);
    stage.add(0, 1);
    stage.produced(0, code::MESSAGE_TOO_LARGE);
    stage.produced(0, code::OUT_OF_ORDER);
    stage.step(Duration::from_secs(1));
    assert!(stage.machine.too_large(0).is_some());
    for sent in [(0, 1, 2), (0, 3, 3), (0, 6, 1)] {
        assert_eq!(stage.sent(0).first(), Some(&sent));
        stage.produced(0, code::NONE);
    }
    assert_eq!(stage.acknowledged(), 6);
    stage.add(0, 1);
    stage.produced(0, code::MESSAGE_TOO_LARGE);
    let failure = Failure::Refused(code::MESSAGE_TOO_LARGE);
    assert_eq!(
        stage.machine.outcome(),
        Outcome {
            failed: 1,
            first_failure: Some((failure, 0)),
            ..Outcome::default()
        }
    );
}

#[test]
fn what_cannot_be_written_ends_its_partition() {
    let mut stage = Stage::writing(1, options());
    (0..3).for_each(|_| stage.add(0, 2));
    stage.produced(0, 29); // not allowed
    let outcome = stage.machine.outcome();
    assert_eq!(outcome.failed, 6);
    assert_eq!(outcome.first_failure, Some((Failure::Refused(29), 0)));
    stage.add(0, 1);
    assert_eq!(stage.machine.outcome().failed, 1);
    assert_eq!(stage.machine.bytes(), 0);
}

#[test]
fn a_record_waits_for_a_broker_no_longer_than_it_may() {
    let mut stage = Stage::writing(1, options());
    stage.lose(0);
    stage.add(0, 2);
    let began: Instant = stage.now;
    while stage.machine.bytes() > 0 {
        stage.step(Duration::from_secs(1));
        if let Some(node) = stage.connecting.pop() {
            stage.lose(node);
        }
    }
    assert_eq!(stage.now - began, Duration::from_secs(60));
    let failure = stage.machine.outcome().first_failure;
    assert_eq!(failure, Some((Failure::TimedOut, 0)));
}

#[test]
fn a_topic_that_is_gone_takes_no_record() {
    let mut stage = Stage::writing(1, options());
    stage.add(0, 2);
    stage.produced(0, code::UNKNOWN_TOPIC_ID);
    let mut failure = None;
    while failure.is_none() {
        stage.step(Duration::from_millis(100));
        match stage.kinds(0).first() {
            Some(&METADATA) => {
                let (number, _) = stage.take(0, METADATA);
                let unknown = (code::UNKNOWN_TOPIC, [0; 16]);
                stage.answer(0, answers::metadata(number, &[(1, 1)], unknown, &[]));
            }
            Some(_) => stage.produced(0, code::UNKNOWN_TOPIC_ID),
            None => {}
        }
        failure = stage.machine.outcome().first_failure;
    }
    assert_eq!(failure, Some((Failure::Gone, 0)));
}

#[test]
fn a_throttled_writer_waits() {
    let mut stage = Stage::writing(1, options());
    stage.add(0, 1);
    let (number, _) = stage.take(0, PRODUCE);
    stage.answer(0, answers::produced(number, 2_000, &[(0, 0, 1)]));
    stage.add(0, 1);
    stage.step(Duration::from_millis(1_900));
    assert!(stage.sent(0).is_empty());
    stage.step(Duration::from_millis(100));
    assert_eq!(stage.sent(0).len(), 1);
}

#[test]
fn without_acknowledgements_sent_is_written() {
    let mut stage = Stage::of(|brokers, now| {
        let options = Options {
            acks: 0,
            is_idempotent: false,
            ..options()
        };
        let mut writing = Writing::new(options, brokers, now);
        writing.add_partition("t", 0, now);
        writing
    });
    stage.connect(0, false);
    stage.lead(0, &[(1, 1)], &[(1, 5)]);
    stage.add(0, 3);
    assert_eq!(stage.sent(0), [(-1, -1, 3)]);
    assert_eq!(stage.acknowledged(), 3);
}
