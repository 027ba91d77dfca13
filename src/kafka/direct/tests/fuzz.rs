//! Bytes that no broker would send: batches and answers with bytes changed, cut off or put in, for
//! `K_FUZZ_SECONDS` from the seed `K_FUZZ_SEED` on (a moment without them; `scripts/fuzz-kafka` sets them). Nothing may panic, nothing may
//! take long, and memory stays within what is allowed.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::super::batch::{Batch, Builder, Codec, Reader, Sender, Unpacker, halve, stamp};
use super::super::super::wire::answers::{self, Part};
use super::super::super::wire::connection::Frame;
use super::super::super::wire::{
    Api, body, change_topics, create_topics, describe_configs, fetch, init_producer_id,
    list_groups, metadata, offsets, produce, sasl, transactions, versions,
};
use super::super::chunk::Progress;
use super::super::reading::Reading;
use super::super::sockets::Machine as _;
use super::{FETCH, Stage};
use crate::record::Header;

/// What a batch may unpack to.
const LIMIT: usize = 1 << 20;
/// How much memory the process may have gained: the limit twice, zstd's window, and what the tests
/// beside this one need.
const MEMORY_KIB: u64 = 512 << 10;
/// How long one of them may take, on a machine that does much else.
const LONGEST: Duration = Duration::from_secs(5);

fn time() -> Duration {
    let seconds = std::env::var("K_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::from_millis(200), Duration::from_secs)
}

/// Returns how much memory the process has had at most, in KiB; 0 where that is not known.
fn highest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Changes some bytes: to others, to none, to more.
fn mutate(bytes: &mut Vec<u8>, from: usize, random: &mut ChaCha8Rng) {
    const ODD: [u8; 6] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF];
    for _ in 0..random.random_range(1..6) {
        if bytes.len() <= from {
            return;
        }
        let at = random.random_range(from..bytes.len());
        match random.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.random()),
            2 => drop(bytes.remove(at)),
            3 => {
                let end = bytes.len().min(at + 4);
                bytes[at..end].fill(0xFF);
            }
            4 | 5 => bytes[at] = ODD[random.random_range(0..ODD.len())],
            _ => bytes[at] = random.random(),
        }
    }
}

/// Says which seed it was, where a test ends by a panic.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

/// Runs for the time; each seed says what is done, so a failure names its seed.
fn fuzz(mut step: impl FnMut(&mut ChaCha8Rng)) {
    let (began, before) = (Instant::now(), highest_memory());
    let first = std::env::var("K_FUZZ_SEED").ok();
    let mut seed: u64 = first.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let first = seed;
    while began.elapsed() < time() || seed == first {
        let at = Instant::now();
        let _named = Named(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        step(&mut random);
        assert!(
            at.elapsed() < LONGEST,
            "seed {seed} took {:?}",
            at.elapsed()
        );
        seed += 1;
    }
    let gained = highest_memory().saturating_sub(before);
    assert!(
        gained < MEMORY_KIB,
        "{gained} KiB from seed {first} to {seed}"
    );
}

fn random_batch(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut builder = Builder::default();
    for _ in 0..random.random_range(0..40) {
        let value = vec![random.random::<u8>(); random.random_range(0..300)];
        let name = [b'n'; 3];
        let header = Header {
            name: &name,
            value: random.random::<bool>().then_some(&value[..]),
        };
        let headers = vec![header; random.random_range(0..3)];
        let key = random.random::<bool>().then_some(&value[..value.len() / 2]);
        let value = random.random::<bool>().then_some(&value[..]);
        builder.push(random.random(), key, value, headers.into_iter());
    }
    let codec = Codec::ALL[random.random_range(0..Codec::ALL.len())];
    let sender = Sender {
        id: random.random_range(0..3),
        epoch: 0,
        sequence: 0,
        is_transactional: random.random(),
    };
    let sender = random.random::<bool>().then_some(sender);
    builder
        .finish(random.random_range(0..100), codec, sender)
        .expect("a batch")
}

/// Changes a batch; mostly so that its checksum is right again, or nothing behind that would be tried.
fn mutated_batch(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut batch = random_batch(random);
    mutate(&mut batch, 0, random);
    if batch.len() >= 61 && random.random_range(0..8) > 0 {
        batch[16] = 2;
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        stamp(&mut batch, None);
    }
    batch
}

#[test]
fn a_mutated_batch_is_read_or_refused_within_its_bounds() {
    let mut unpacker = Unpacker::new(LIMIT);
    fuzz(|random| {
        let bytes = mutated_batch(random);
        let mut rest = bytes.as_slice();
        while let Ok(Some(batch)) = Batch::take(&mut rest) {
            let _ = (batch.check(), batch.aborts());
            let Ok(codec) = batch.header.attributes.codec() else {
                continue;
            };
            let mut records = Vec::new();
            if unpacker
                .unpack(codec, batch.packed(), &mut records)
                .is_err()
            {
                continue;
            }
            assert!(records.len() <= LIMIT);
            let mut reader = Reader::new(batch.header, 0..records.len());
            let mut entries = Vec::new();
            while !reader.is_done() && reader.read(&records, 0, 7, &mut entries).is_ok() {
                for entry in entries.drain(..) {
                    let _ = (entry.key.of(&records), entry.value.of(&records));
                    let headers = super::super::super::batch::Headers::new(entry.headers, &records);
                    assert!(headers.count() <= records.len());
                }
            }
        }
        let _ = halve(&bytes, &mut unpacker);
    });
}

#[test]
fn a_mutated_answer_is_read_or_refused_within_its_bounds() {
    fuzz(|random| {
        let kind = random.random_range(0..5);
        let version: i16 = random.random_range(7..14);
        let mut frame = match kind {
            0 => answers::versions(1, random.random()),
            1 => answers::metadata(1, &[(1, 1), (2, 2)], (0, answers::ID), &[(1, 5), (2, 6)]),
            2 => answers::produced(1, 0, &[(0, 0, 1), (1, 6, -1)]),
            3 => answers::producer(1, 0, 7, 0),
            _ => answers::fetched(1, 0, &parts(random)),
        };
        mutate(&mut frame, 4, random);
        let read = |api| body(api, version, &frame);
        match kind {
            0 => drop(body(Api::Versions, 0, &frame).map(versions::read)),
            1 => drop(read(Api::Metadata).map(|input| metadata::read(input, version))),
            2 => drop(read(Api::Produce).map(|input| produce::read(input, version))),
            3 => drop(body(Api::InitProducer, 2, &frame).map(init_producer_id::read)),
            _ => drop(read(Api::Fetch).map(|input| fetch::read(input, version))),
        }
    });
}

#[test]
fn answers_about_logins_and_administration_are_taken_or_refused() {
    fuzz(|random| {
        let mut frame = answers::login(1, 0, "no", b"n,,n=a", 5);
        // Small numbers, which are lengths and counts that there may be.
        let more = random.random_range(0..300);
        frame.extend((0..more).map(|_| random.random_range(0..5_u8)));
        mutate(&mut frame, 4, random);
        let version: i16 = random.random_range(0..8);
        let read = |api| body(api, version, &frame);
        match random.random_range(0..12) {
            0 => drop(read(Api::SaslHandshake).map(sasl::read_handshake)),
            1 => drop(read(Api::SaslAuthenticate).map(|input| sasl::read_message(input, version))),
            2 => drop(read(Api::ListOffsets).map(|input| offsets::read(input, version))),
            3 => drop(read(Api::ListGroups).map(|input| list_groups::read(input, version))),
            4 => drop(read(Api::CreateTopics).map(|input| create_topics::read(input, version))),
            5 => {
                drop(read(Api::DescribeConfigs).map(|input| describe_configs::read(input, version)))
            }
            6 => drop(read(Api::DescribeProducers).map(transactions::read_producers)),
            7 => drop(read(Api::ListTransactions).map(transactions::read_list)),
            8 => drop(read(Api::DescribeTransactions).map(transactions::read_described)),
            9 => drop(read(Api::WriteTxnMarkers).map(transactions::read_abort)),
            10 => drop(read(Api::DeleteRecords).map(change_topics::read_purge)),
            _ => drop(
                read(Api::DeleteTopics).map(|input| change_topics::read_delete(input, version)),
            ),
        }
    });
}

fn parts(random: &mut ChaCha8Rng) -> Vec<Part> {
    let part = |partition| Part {
        partition,
        high_watermark: random.random_range(0..1_000),
        aborted: vec![(1, 0); random.random_range(0..3)],
        records: (0..random.random_range(0..4))
            .flat_map(|_| mutated_batch(random))
            .collect(),
        ..Part::default()
    };
    (0..2).map(part).collect()
}

#[test]
fn a_reader_lives_with_whatever_a_broker_sends() {
    fuzz(|random| {
        let mut stage: Stage<Reading> = Stage::fetching(2, super::reading::options());
        for _ in 0..5 {
            if stage.kinds(0).first() != Some(&FETCH) {
                break;
            }
            let (number, _) = stage.take(0, FETCH);
            let mut frame = answers::fetched(number, 0, &parts(random));
            if random.random() {
                mutate(&mut frame, 4, random);
            }
            if stage
                .machine
                .answered(0, Frame::of(frame), stage.now)
                .is_err()
            {
                break;
            }
            stage.step(Duration::from_millis(200));
            while let Some((nth, pieces)) = stage.machine.deliver() {
                for piece in pieces.into_iter().flatten() {
                    let piece = std::sync::Arc::new(piece);
                    let mut progress = Progress::new(piece.clone());
                    while !progress.is_done() && progress.read(64).is_ok() {}
                    stage.machine.taken(nth, piece.size());
                }
            }
        }
    });
}
