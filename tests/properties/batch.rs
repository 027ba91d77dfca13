//! The record batch: what is written is read again, and damaged bytes do no harm.

use k::kafka::batch::{Batch, Builder, Codec, Damage, Entry, HEADER, Headers, Reader, Unpacker};
use k::source::Header;
use proptest::prelude::*;

type Bytes = Option<Vec<u8>>;

/// A record as it is given and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    timestamp: i64,
    key: Bytes,
    value: Bytes,
    headers: Vec<(Vec<u8>, Bytes)>,
}

fn bytes() -> impl Strategy<Value = Bytes> {
    let repeated = (any::<u8>(), 0..5_000_usize).prop_map(|(byte, count)| vec![byte; count]);
    let short = proptest::collection::vec(any::<u8>(), 0..80);
    proptest::option::of(prop_oneof![4 => short, 1 => repeated])
}

fn record() -> impl Strategy<Value = Record> {
    let name = proptest::collection::vec(any::<u8>(), 0..10);
    let timestamp = prop_oneof![8 => 0..4_000_000_000_000_i64, 1 => any::<i64>()];
    let headers = proptest::collection::vec((name, bytes()), 0..3);
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Record {
        timestamp,
        key,
        value,
        headers,
    })
}

fn codec() -> impl Strategy<Value = Codec> {
    proptest::sample::select(&Codec::ALL[..])
}

fn written(records: &[Record], base: i64, codec: Codec) -> Vec<u8> {
    let mut builder = Builder::default();
    for record in records {
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, headers.into_iter());
    }
    builder.finish(base, codec, None).expect("a batch")
}

/// More than any batch here holds.
const LIMIT: usize = 4 << 20;

/// Reads all records of all batches, some at a time.
fn read(mut bytes: &[u8], from: i64, most: usize) -> Result<Vec<(i64, Record)>, Damage> {
    let (mut found, mut unpacker) = (Vec::new(), Unpacker::new(LIMIT));
    while let Some(batch) = Batch::take(&mut bytes)? {
        batch.check()?;
        let mut records = Vec::new();
        unpacker.unpack(
            batch.header.attributes.codec()?,
            batch.packed(),
            &mut records,
        )?;
        assert!(records.len() <= LIMIT);
        let mut reader = Reader::new(batch.header, 0..records.len());
        while !reader.is_done() {
            let mut entries = Vec::new();
            reader.read(&records, from, most, &mut entries)?;
            assert!(entries.len() <= most, "no more than was asked for");
            found.extend(
                entries
                    .iter()
                    .map(|entry| (entry.offset, record_of(entry, &records))),
            );
        }
    }
    Ok(found)
}

fn record_of(entry: &Entry, bytes: &[u8]) -> Record {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let headers = Headers::new(entry.headers, bytes);
    Record {
        timestamp: entry.timestamp,
        key: owned(entry.key.of(bytes)),
        value: owned(entry.value.of(bytes)),
        headers: headers
            .map(|header| (header.name.to_vec(), owned(header.value)))
            .collect(),
    }
}

/// Gives a batch the checksum that it ought to have.
fn make_checksum_right(batch: &mut [u8]) {
    if batch.len() >= HEADER {
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::config().cases / 5, ..crate::config() })]

    #[test]
    fn what_is_written_is_read_again_from_any_offset_in_any_pieces(
        batches in proptest::collection::vec((proptest::collection::vec(record(), 0..40), codec()), 0..4),
        from in 0..120_i64,
        most in 1..50_usize,
        cut in 0..40_usize,
    ) {
        let (mut bytes, mut expected, mut base) = (Vec::new(), Vec::new(), 0);
        for (records, codec) in batches {
            bytes.extend(written(&records, base, codec));
            expected.extend((base..).zip(records.iter().cloned()));
            base += records.len().max(1) as i64;
        }
        expected.retain(|(offset, _)| *offset >= from);
        // The begin of a batch that was cut off is none.
        bytes.extend(&written(&[], base, Codec::None)[..cut]);
        prop_assert_eq!(read(&bytes, from, most).expect("sound"), expected);
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_within_their_bounds(
        records in proptest::collection::vec(record(), 0..20),
        codec in codec(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        is_right in any::<bool>(),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = written(&records, 5, codec);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
            if let Some(field) = bytes.get_mut(8..12) {
                field.copy_from_slice(&(length.saturating_sub(12) as i32).to_be_bytes());
            }
        }
        if is_right {
            make_checksum_right(&mut bytes);
        }
        // Whatever it is: an end, no panic, and never more entries than bytes for them.
        if let Ok(found) = read(&bytes, 0, 7) {
            prop_assert!(found.len() * 7 <= LIMIT);
        }
    }

    #[test]
    fn noise_is_never_unpacked_beyond_the_limit(
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        codec in codec(),
        limit in 0..5_000_usize,
    ) {
        let mut records = Vec::new();
        if Unpacker::new(limit).unpack(codec, &noise, &mut records).is_ok() {
            prop_assert!(records.len() <= limit);
        }
        prop_assert!(records.capacity() <= 2 * limit + (16 << 10));
    }
}

#[test]
fn a_batch_that_holds_more_than_is_allowed_is_refused_before_it_is_unpacked() {
    let zeros = vec![0; 64 << 20];
    for codec in Codec::ALL {
        let (mut packed, mut records) = (Vec::new(), Vec::new());
        codec.pack(&zeros, &mut packed).expect("packed");
        let limit = 1 << 20;
        let unpacked = Unpacker::new(limit).unpack(codec, &packed, &mut records);
        assert_eq!(unpacked, Err(Damage::TooLarge(limit)), "{codec}");
        assert!(records.capacity() <= 2 * limit + (16 << 10), "{codec}");
        let unpacked = Unpacker::new(zeros.len()).unpack(codec, &packed, &mut Vec::new());
        assert_eq!(unpacked, Ok(()), "{codec}");
    }
}

#[test]
fn sizes_that_are_only_claimed_cost_nothing() {
    // Snappy, LZ4 and zstd that say 2 GB of themselves, and end.
    let snappy = [0x80, 0x80, 0x80, 0x80, 0x08];
    let zstd = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 0, 0x80, 1, 0, 0];
    let lz4 = [
        0x04, 0x22, 0x4D, 0x18, 0x68, 0x40, 0, 0, 0, 0x80, 0, 0, 0, 0, 0,
    ];
    for (codec, packed) in [
        (Codec::Snappy, &snappy[..]),
        (Codec::Zstd, &zstd),
        (Codec::Lz4, &lz4),
    ] {
        let mut records = Vec::new();
        let unpacked = Unpacker::new(1 << 20).unpack(codec, packed, &mut records);
        assert!(unpacked.is_err(), "{codec}");
        assert!(records.capacity() <= 2 << 20, "{codec}");
    }
    // A batch that counts 2 billion records in 20 bytes.
    let mut batch = written(&[], 0, Codec::None);
    batch.extend([0; 20]);
    batch[8..12].copy_from_slice(&(HEADER as i32 - 12 + 20).to_be_bytes());
    batch[23..27].copy_from_slice(&i32::MAX.to_be_bytes());
    batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    make_checksum_right(&mut batch);
    assert_eq!(read(&batch, 0, usize::MAX), Err(Damage::Record(0)));
}

#[test]
fn the_brokers_time_is_every_records_own_and_a_marker_says_what_became_of_its_transaction() {
    let record = |timestamp| Record {
        timestamp,
        key: Some(vec![0, 0, 0, 1]),
        value: None,
        headers: Vec::new(),
    };
    let mut batch = written(&[record(7), record(5)], 0, Codec::None);
    batch[22] = 0x08; // appended
    make_checksum_right(&mut batch);
    let times = |batch: &[u8]| -> Vec<i64> {
        let read = read(batch, 0, 9).expect("sound");
        read.iter().map(|(_, record)| record.timestamp).collect()
    };
    assert_eq!(times(&batch), [7, 7]);
    let aborts = |mut bytes: &[u8]| {
        let batch = Batch::take(&mut bytes).expect("sound").expect("whole");
        batch.aborts()
    };
    assert_eq!(aborts(&batch), None);
    batch[22] = 0x30; // a marker of a transaction
    assert_eq!(aborts(&batch), Some(false));
    batch[HEADER + 8] = 0;
    assert_eq!(aborts(&batch), Some(true));
    batch[16] = 1;
    assert_eq!(read(&batch, 0, 9), Err(Damage::OldFormat));
    batch[16] = 3;
    assert_eq!(read(&batch, 0, 9), Err(Damage::Head));
}
