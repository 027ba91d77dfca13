//! Requests as bytes, and answers read from bytes that are whole, cut or garbled.

use std::time::Duration;

use super::answers::{Answer, whole};
use super::fetch::{self, Wanted};
use super::{Api, body, metadata, request, versions};

#[test]
fn a_request_has_its_length_its_head_and_its_body() {
    let bytes = whole(&request(Api::Versions, 0, 7, "k", |_| {}));
    assert_eq!(bytes, [0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 7, 0, 1, b'k']);
    // A flexible one has tags behind its head and its body, and compact strings within.
    let bytes = whole(&request(Api::Metadata, 12, 1, "k", |output| {
        metadata::write(output, 12, Some(&["t".to_owned()]))
    }));
    let id = [0; 16];
    let head = [0, 3, 0, 12, 0, 0, 0, 1, 0, 1, b'k', 0];
    let mut expected = vec![0, 0, 0, 35];
    expected.extend(head.iter().chain(&[2]).chain(&id));
    expected.extend([2, b't', 0, 0, 0, 0]);
    assert_eq!(bytes, expected);
}

#[test]
fn the_best_version_that_both_sides_know_is_spoken() {
    let answer = |fetch: (i16, i16), metadata: (i16, i16)| {
        let answer = Answer::default().i32(0).i16(0).i32(4);
        let answer = answer.i16(0).i16(0).i16(13).i16(22).i16(0).i16(6);
        let answer = answer.i16(1).i16(fetch.0).i16(fetch.1);
        let answer = answer.i16(3).i16(metadata.0).i16(metadata.1).0;
        let input = body(Api::Versions, 0, &answer).expect("a head");
        let known = versions::read(input).expect("an answer");
        known.map(|known| (known.of(Api::Fetch), known.of(Api::Metadata)))
    };
    // Kafka 4.1, 2.1, 0.10.
    assert_eq!(answer((4, 17), (0, 13)), Ok((Some(13), Some(12))));
    assert_eq!(answer((0, 10), (0, 7)), Ok((Some(10), Some(7))));
    assert_eq!(answer((0, 3), (0, 2)), Err(versions::TooOld));
}

#[test]
fn a_topics_leaders_are_read_in_the_classic_and_in_the_flexible_form() {
    let classic = Answer::default().i32(0).i32(0);
    let classic = classic.i32(1).i32(5).text("::1").i32(9092).i16(-1);
    let classic = classic.i16(-1).i32(5); // cluster, controller
    let classic = classic.i32(1).i16(0).text("t").bytes(&[0]);
    let classic = classic.i32(2);
    let classic = classic.i16(0).i32(0).i32(5).i32(3);
    let classic = classic.i32(1).i32(5).i32(1).i32(5).i32(0);
    let classic = classic.i16(5).i32(1).i32(-1).i32(4).i32(0).i32(0).i32(0);
    let input = body(Api::Metadata, 7, &classic.0).expect("a head");
    let classic = metadata::read(input, 7).expect("an answer");

    let id = [9; 16];
    let flexible = Answer::default().i32(0).bytes(&[0]).i32(0);
    let flexible = flexible
        .compact(1)
        .i32(5)
        .compact(3)
        .bytes(b"::1")
        .i32(9092);
    let flexible = flexible.bytes(&[0, 0]); // no rack, no tags
    let flexible = flexible.bytes(&[0]).i32(5);
    let flexible = flexible.compact(1).i16(0).compact(1).bytes(b"t").bytes(&id);
    let flexible = flexible.bytes(&[0]).compact(2);
    let flexible = flexible.i16(0).i32(0).i32(5).i32(3);
    let flexible = flexible.compact(1).i32(5).compact(1).i32(5).compact(0);
    let flexible = flexible.bytes(&[1, 77, 2, 1, 2]); // a tag of the future
    let flexible = flexible.i16(5).i32(1).i32(-1).i32(4);
    let flexible = flexible.compact(0).compact(0).compact(0).bytes(&[0]);
    let flexible = flexible.i32(0).bytes(&[0, 0]);
    let input = body(Api::Metadata, 12, &flexible.0).expect("a head");
    let mut flexible = metadata::read(input, 12).expect("an answer");

    assert_eq!(flexible.topics[0].id.take(), Some(id));
    assert_eq!(flexible, classic);
    assert_eq!(classic.brokers[0].address, "[::1]:9092");
    let leaders = classic.topics[0].leaders.iter();
    let leaders: Vec<_> = leaders
        .map(|leader| (leader.broker, leader.epoch))
        .collect();
    assert_eq!(leaders, [(Some(5), 3), (None, 4)]);
}

/// Returns what a broker of version 13 answers for one partition with some batches.
fn fetched(records: &[u8]) -> Vec<u8> {
    let answer = Answer::default().i32(0).bytes(&[0]);
    let answer = answer.i32(20).i16(0).i32(0);
    let answer = answer.compact(1).bytes(&[9; 16]).compact(1);
    let answer = answer.i32(2).i16(0).i64(100).i64(90).i64(0);
    let answer = answer.compact(1).i64(4000).i64(7).bytes(&[0]);
    let answer = answer.i32(-1).compact(records.len()).bytes(records);
    let diverging = Answer::default().i32(1).i64(33).bytes(&[0]).0;
    let answer = answer.bytes(&[1, 0, diverging.len() as u8]);
    answer.bytes(&diverging).bytes(&[0, 0]).0
}

#[test]
fn records_stay_in_their_frame() {
    let frame = fetched(b"batches");
    let input = body(Api::Fetch, 13, &frame).expect("a head");
    let answer = fetch::read(input, 13).expect("an answer");
    assert_eq!(answer.throttle, Duration::from_millis(20));
    let [part] = answer.partitions.as_slice() else {
        panic!("one partition");
    };
    assert_eq!(&frame[part.records.clone()], b"batches");
    assert_eq!((part.partition, part.high_watermark), (2, 100));
    assert_eq!(part.aborted, [(4000, 7)]);
    assert_eq!(part.diverges_at, Some(33));
}

#[test]
fn an_answer_that_is_cut_off_or_lies_about_lengths_is_garbled() {
    let frame = fetched(b"batches");
    for length in 0..frame.len() {
        let cut = &frame[..length];
        let read = body(Api::Fetch, 13, cut).and_then(|input| fetch::read(input, 13));
        assert!(read.is_err(), "{length} bytes");
    }
    for at in 4..frame.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut frame = frame.clone();
            frame[at] = value;
            // Whatever it is taken for: it ends, and what it names lies within.
            let read = body(Api::Fetch, 13, &frame).and_then(|input| fetch::read(input, 13));
            for part in read.into_iter().flat_map(|answer| answer.partitions) {
                assert!(part.records.end <= frame.len());
            }
        }
    }
}

#[test]
fn a_fetch_names_topics_as_its_version_does() {
    let wanted = [Wanted {
        partition: 1,
        leader_epoch: 2,
        offset: 3,
        last_epoch: 1,
        max_bytes: 4,
    }];
    let size = |version| {
        let bytes = whole(&request(Api::Fetch, version, 0, "k", |output| {
            let request = fetch::Request {
                topic: "topic",
                id: [0; 16],
                max_wait: Duration::from_millis(500),
                min_bytes: 1,
                max_bytes: 1 << 20,
                committed: true,
                partitions: &wanted,
            };
            fetch::write(output, version, &request);
        }));
        bytes.len()
    };
    let head = 4 + 8 + 3;
    let fixed = 4 + 4 + 4 + 4 + 1 + 4 + 4;
    let partition = 4 + 4 + 8 + 8 + 4;
    assert_eq!(size(10), head + fixed + 4 + (2 + 5) + 4 + partition + 4);
    assert_eq!(size(11), size(10) + 2);
    let flexible = head + 1 + fixed + 1 + 1 + (partition + 4 + 1) + 1 + 1 + 1 + 1;
    assert_eq!(size(12), flexible + (1 + 5));
    assert_eq!(size(13), flexible + 16);
}
