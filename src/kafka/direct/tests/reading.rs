//! Reading against brokers that a test plays: which requests go out, and what scripted answers give.

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::batch::{Builder, Codec, Damage, Sender};
use super::super::super::wire::answers::{self, Part};
use super::super::super::wire::code;
use super::super::super::wire::connection::Frame;
use super::super::chunk::Progress;
use super::super::cluster::Loss;
use super::super::reading::{Failure, Options, Reading};
use super::super::sockets::Machine as _;
use super::{FETCH, METADATA, Stage, cluster_options};

impl Stage<Reading> {
    /// Starts to read as many partitions from their begin on; `h:1` is the address that is known.
    fn new(partitions: i32, options: Options) -> Self {
        let starts: Vec<(i32, i64)> = (0..partitions).map(|number| (number, 0)).collect();
        Stage::of(|brokers, now| Reading::new(options, "t", brokers, &starts, now))
    }

    /// Starts, and goes on until the first partition is fetched: broker 1 at `h:1` leads it.
    pub(super) fn fetching(partitions: i32, options: Options) -> Self {
        let mut stage = Stage::new(partitions, options);
        stage.connect(0, false);
        stage.lead(0, &[(1, 1)], &vec![(1, 5); partitions as usize]);
        stage
    }

    #[track_caller]
    fn fetched(&mut self, node: usize, parts: &[Part]) {
        let (number, _) = self.take(node, FETCH);
        self.answer(node, answers::fetched(number, 0, parts));
    }

    /// Reads all that is handed over: partition and offset of each record.
    fn read(&mut self) -> Result<Vec<(usize, i64)>, Failure> {
        let mut found = Vec::new();
        while let Some((nth, pieces)) = self.machine.deliver() {
            for piece in pieces {
                let piece = std::sync::Arc::new(piece?);
                let mut progress = Progress::new(piece.clone());
                while !progress.is_done() {
                    let entries = progress.read(3).map_err(Failure::Broken)?;
                    found.extend(entries.iter().map(|entry| (nth, entry.offset)));
                }
                self.machine.taken(nth, piece.size());
            }
        }
        self.step(Duration::ZERO);
        Ok(found)
    }
}

pub(super) fn options() -> Options {
    Options {
        cluster: cluster_options(),
        committed: true,
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        fetch_bytes: 1 << 20,
        partition_bytes: 1 << 10,
        room: 1 << 20,
        limit: 1 << 20,
    }
}

/// Returns a batch of so many records of ten bytes from an offset on.
fn batch(offset: i64, count: usize, sender: Option<Sender>) -> Vec<u8> {
    let mut builder = Builder::default();
    for _ in 0..count {
        builder.push(7, None, Some(&[b'x'; 10]), [].into_iter());
    }
    builder
        .finish(offset, Codec::None, sender)
        .expect("a batch")
}

/// Returns a record set of partition 0.
fn records(records: Vec<u8>) -> [Part; 1] {
    [Part {
        high_watermark: 100,
        records,
        ..Part::default()
    }]
}

/// Returns an error of partition 0.
fn error(error: i16) -> [Part; 1] {
    [Part {
        error,
        ..Part::default()
    }]
}

/// Returns from which offset on a request fetches its only partition.
fn offset_of(request: &[u8]) -> i64 {
    // Epoch of the last record, begin of the log, size, tags, tags, nothing to forget, rack, tags.
    let end = request.len() - (4 + 8 + 4 + 1 + 1 + 1 + 1 + 1);
    i64::from_be_bytes(request[end - 8..end].try_into().expect("eight bytes"))
}

/// Returns how long a broker is to wait for records, in ms.
fn max_wait_of(request: &[u8]) -> i32 {
    let start = 4 + 8 + 2 + 1 + 1 + 4; // length, head, client, tags, replica
    i32::from_be_bytes(request[start..start + 4].try_into().expect("four bytes"))
}

#[test]
fn the_next_request_leaves_before_the_records_of_the_last_are_read() {
    let mut stage = Stage::fetching(1, options());
    stage.fetched(0, &records([batch(0, 3, None), batch(5, 2, None)].concat()));
    let (_, request) = stage.asked[&0]
        .last()
        .map(|(_, n, bytes)| (*n, bytes.clone()))
        .expect("a request");
    assert_eq!(offset_of(&request), 7);
    assert_eq!(
        stage.read(),
        Ok(vec![(0, 0), (0, 1), (0, 2), (0, 5), (0, 6)])
    );
    // A batch that holds the offset begins before it.
    stage.fetched(0, &records(batch(5, 4, None)));
    assert_eq!(stage.read(), Ok(vec![(0, 7), (0, 8)]));
    assert_eq!(stage.machine.high_watermark(0), Some(100));
}

#[test]
fn an_old_broker_is_asked_by_the_topics_name() {
    let mut stage = Stage::new(1, options());
    stage.connect(0, true);
    let (_, request) = stage.take(0, METADATA);
    assert_eq!(request[6..8], [0, 7]);
}

#[test]
fn another_leader_is_asked_for_and_goes_on_where_the_last_has_ended() {
    let mut stage = Stage::fetching(1, options());
    stage.fetched(0, &records(batch(0, 3, None)));
    assert_eq!(stage.read().map(|read| read.len()), Ok(3));
    stage.step(Duration::from_secs(1));
    stage.fetched(0, &error(6)); // not the leader
    assert_eq!(stage.kinds(0), [METADATA], "nothing is fetched there");
    // There is none for a while: it is asked again, and not in circles.
    stage.lead(0, &[(1, 1), (2, 2)], &[(-1, 6)]);
    assert!(stage.kinds(0).is_empty());
    stage.step(Duration::from_millis(100));
    stage.lead(0, &[(1, 1), (2, 2)], &[(2, 7)]);
    stage.connect(1, false);
    let (number, request) = stage.take(1, FETCH);
    assert_eq!(offset_of(&request), 3);
    stage.answer(1, answers::fetched(number, 0, &records(batch(3, 1, None))));
    assert_eq!(stage.read(), Ok(vec![(0, 3)]));
    // A broker that is behind names the leader before; it is not believed.
    stage.machine.look_up();
    stage.step(Duration::from_secs(1));
    stage.lead(0, &[(1, 1), (2, 2)], &[(1, 5)]);
    assert!(stage.kinds(0).is_empty());
    assert_eq!(stage.kinds(1), [FETCH]);
}

#[test]
fn a_lost_connection_costs_no_record_and_doubles_none() {
    let mut stage = Stage::fetching(1, options());
    stage.fetched(0, &records(batch(0, 3, None)));
    stage.lose(0);
    assert!(stage.machine.cluster().is_cut_off());
    assert!(stage.connecting.is_empty(), "not at once");
    assert_eq!(
        stage.read().map(|read| read.len()),
        Ok(3),
        "what has come is read"
    );
    stage.step(Duration::from_millis(100));
    stage.connect(0, false);
    assert!(!stage.machine.cluster().is_cut_off());
    stage.lead(0, &[(1, 1)], &[(1, 5)]);
    let (_, request) = stage.take(0, FETCH);
    assert_eq!(offset_of(&request), 3);
}

#[test]
fn a_broker_that_does_not_answer_is_left() {
    let mut stage = Stage::fetching(1, options());
    stage.step(Duration::from_secs(20));
    assert!(stage.closed.is_empty());
    stage.step(Duration::from_secs(1));
    assert_eq!(stage.closed, [0]);
    stage.step(Duration::from_secs(1));
    stage.connect(0, false);
    assert_eq!(stage.kinds(0), [METADATA, FETCH]);
}

#[test]
fn no_more_is_asked_for_than_there_is_room() {
    let mut stage = Stage::fetching(2, options());
    let part = |partition, offset, count| Part {
        partition,
        high_watermark: 1_000,
        records: batch(offset, count, None),
        ..Part::default()
    };
    stage.fetched(0, &[part(0, 0, 50), part(1, 0, 200)]);
    // Partition 1 has more than twice what it may be sent at once: only the other one is asked for,
    // and the broker does not wait long.
    let (number, request) = stage.take(0, FETCH);
    assert_eq!(max_wait_of(&request), 10);
    assert_eq!(offset_of(&request), 50);
    stage.answer(0, answers::fetched(number, 0, &[part(0, 50, 200)]));
    assert!(stage.kinds(0).is_empty(), "nothing has room");
    let read = stage.read().expect("records");
    assert_eq!(read.len(), 450);
    let (_, request) = stage.take(0, FETCH);
    assert_eq!(max_wait_of(&request), 500);
}

#[test]
fn a_throttled_reader_waits() {
    let mut stage = Stage::fetching(1, options());
    let (number, _) = stage.take(0, FETCH);
    stage.answer(
        0,
        answers::fetched(number, 2_000, &records(batch(0, 1, None))),
    );
    stage.step(Duration::from_millis(1_900));
    assert!(stage.kinds(0).is_empty());
    stage.step(Duration::from_millis(100));
    assert_eq!(stage.kinds(0), [FETCH]);
}

#[test]
fn a_topic_is_gone_once_no_broker_has_known_it_for_a_while() {
    let mut stage = Stage::fetching(1, options());
    stage.step(Duration::from_secs(1));
    let began = stage.now;
    let gone_after = loop {
        match stage.kinds(0).first() {
            Some(&FETCH) => stage.fetched(0, &error(code::UNKNOWN_TOPIC_ID)),
            Some(_) => {
                let (number, _) = stage.take(0, METADATA);
                let unknown = (code::UNKNOWN_TOPIC, [0; 16]);
                stage.answer(0, answers::metadata(number, &[(1, 1)], unknown, &[]));
            }
            None => stage.step(Duration::from_millis(100)),
        }
        match stage.read() {
            Ok(read) => assert!(read.is_empty()),
            Err(failure) => {
                assert_eq!(failure, Failure::Lost(Loss::Gone));
                break stage.now - began;
            }
        }
    };
    assert!(
        (2_000..2_500).contains(&gone_after.as_millis()),
        "{gone_after:?}"
    );
}

#[test]
fn a_topic_that_was_made_again_is_another_one() {
    let mut stage = Stage::fetching(1, options());
    stage.machine.look_up();
    stage.step(Duration::from_secs(1));
    stage.fetched(0, &records(Vec::new()));
    let (number, _) = stage.take(0, METADATA);
    let frame = answers::metadata(number, &[(1, 1)], (code::NONE, [8; 16]), &[(1, 0)]);
    stage.answer(0, frame);
    assert_eq!(stage.read(), Err(Failure::Lost(Loss::Replaced)));
}

#[test]
fn what_cannot_be_read_is_named_after_all_that_can() {
    let failure_after = |answer: &[Part]| {
        let mut stage = Stage::fetching(1, options());
        stage.fetched(0, &records(batch(0, 2, None)));
        stage.fetched(0, answer);
        let mut read = Vec::new();
        let failure = loop {
            let (_, pieces) = stage.machine.deliver().expect("a failure at last");
            let mut failure = None;
            for piece in pieces {
                match piece {
                    Ok(piece) => {
                        let entries = Progress::new(piece.into()).read(9);
                        read.extend(entries.expect("sound").iter().map(|entry| entry.offset));
                    }
                    Err(found) => failure = Some(found),
                }
            }
            if let Some(failure) = failure {
                break failure;
            }
        };
        if stage.kinds(0).contains(&FETCH) {
            stage.fetched(0, &records(batch(6, 1, None))); // asked for before
        }
        stage.step(Duration::from_secs(2));
        assert!(!stage.kinds(0).contains(&FETCH), "not asked for again");
        assert_eq!(stage.machine.deliver().map(|(nth, _)| nth), None);
        (read, failure)
    };
    assert_eq!(
        failure_after(&error(code::OFFSET_OUT_OF_RANGE)),
        (vec![0, 1], Failure::OutOfRange)
    );
    assert_eq!(
        failure_after(&error(29)),
        (vec![0, 1], Failure::Refused(29))
    );
    let mut damaged = [batch(2, 2, None), batch(4, 2, None)].concat();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let (read, failure) = failure_after(&records(damaged));
    assert_eq!(read, [0, 1, 2, 3]);
    let Failure::Broken(broken) = failure else {
        panic!("{failure:?}");
    };
    assert_eq!((broken.offset, broken.damage), (4, Damage::Checksum));
}

#[test]
fn a_log_that_was_cut_off_behind_what_was_read_is_noticed_at_the_next_leader() {
    let mut stage = Stage::fetching(1, options());
    stage.fetched(0, &records(batch(0, 3, None)));
    stage.step(Duration::from_secs(1));
    stage.fetched(0, &error(74)); // another epoch
    stage.lead(0, &[(1, 1)], &[(1, 6)]);
    stage.step(Duration::from_millis(100));
    stage.fetched(
        0,
        &[Part {
            diverges_at: Some(2),
            ..Part::default()
        }],
    );
    let (_, pieces) = stage.machine.deliver().expect("records");
    assert!(pieces.iter().all(Result::is_ok));
    assert_eq!(stage.read(), Err(Failure::Truncated(2)));
}

/// Returns a marker that ends the transaction of a producer.
fn marker(offset: i64, id: i64, commits: bool) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.push(
        7,
        Some(&[0, 0, 0, u8::from(commits)]),
        Some(&[0; 6]),
        [].into_iter(),
    );
    let sender = sender(id);
    let mut batch = builder
        .finish(offset, Codec::None, Some(sender))
        .expect("a batch");
    batch[22] |= 0x20;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn sender(id: i64) -> Sender {
    Sender {
        id,
        epoch: 0,
        sequence: 0,
        is_transactional: true,
    }
}

#[test]
fn records_of_aborted_transactions_are_left_out_and_markers_count_as_read() {
    let log = [
        batch(0, 1, Some(sender(7))),
        batch(1, 1, Some(sender(8))),
        batch(2, 1, None),
        marker(3, 7, false),
        batch(4, 1, Some(sender(7))), // in its next transaction
        marker(5, 8, true),
        marker(6, 7, true),
    ];
    let part = |aborted: &[(i64, i64)]| {
        let aborted = aborted.to_vec();
        let records = log.concat();
        [Part {
            aborted,
            records,
            ..Part::default()
        }]
    };
    let mut stage = Stage::fetching(1, options());
    stage.fetched(0, &part(&[(7, 0)]));
    let (_, request) = stage.take(0, FETCH);
    assert_eq!(offset_of(&request), 7);
    assert_eq!(stage.read(), Ok(vec![(0, 1), (0, 2), (0, 4)]));

    let all = Options {
        committed: false,
        ..options()
    };
    let mut stage = Stage::fetching(1, all);
    stage.fetched(0, &part(&[]));
    assert_eq!(stage.read(), Ok(vec![(0, 0), (0, 1), (0, 2), (0, 4)]));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn garbled_answers_are_refused_or_read_within_their_bounds(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut stage = Stage::fetching(1, options());
        let (number, _) = stage.take(0, FETCH);
        let log = [batch(0, 3, Some(sender(7))), marker(3, 7, false)].concat();
        let mut frame = answers::fetched(number, 0, &records(log));
        for (at, change) in changes {
            let at = 4 + at.index(frame.len() - 4);
            frame[at] ^= change;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        // Any outcome will do, in bounded time and without a panic.
        if stage.machine.answered(0, Frame::of(frame), stage.now).is_ok() {
            for _ in 0..10 {
                stage.step(Duration::from_millis(100));
                if stage.read().is_err() {
                    break;
                }
            }
        }
    }
}
