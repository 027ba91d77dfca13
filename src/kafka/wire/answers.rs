//! What brokers answer, for tests.

use super::bytes::Pieces;
use super::code;

/// Returns the bytes of a request in one.
pub fn whole(pieces: &Pieces) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|piece| piece.iter().copied())
        .collect()
}

/// The id of the topic.
pub const ID: [u8; 16] = [9; 16];

/// Writes an answer as a broker does.
#[derive(Default)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    /// Begins an answer in the flexible form to a request of this number.
    fn to(correlation: i32) -> Self {
        Answer::default().i32(correlation).bytes(&[0])
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn i16(self, value: i16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i64(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A classic string.
    pub fn text(self, text: &str) -> Self {
        self.i16(text.len() as i16).bytes(text.as_bytes())
    }

    /// A length in the flexible form.
    pub fn compact(self, length: usize) -> Self {
        let (low, high) = ((length + 1) & 0x7F, (length + 1) >> 7);
        match high {
            0 => self.bytes(&[low as u8]),
            1..0x80 => self.bytes(&[low as u8 | 0x80, high as u8]),
            _ => self.bytes(&[low as u8 | 0x80, high as u8 | 0x80, (high >> 7) as u8]),
        }
    }
}

/// Returns what a broker knows: topics by their ids, or only the oldest versions that are spoken.
pub fn versions(correlation: i32, is_old: bool) -> Vec<u8> {
    let newest = [
        (0, 7, 13),
        (1, 10, 17),
        (3, 7, 13),
        (17, 0, 1),
        (22, 0, 6),
        (36, 0, 2),
    ];
    let mut answer = Answer::default().i32(correlation).i16(code::NONE);
    answer = answer.i32(newest.len() as i32);
    for (api, oldest, newest) in newest {
        answer = answer
            .i16(api)
            .i16(0)
            .i16(if is_old { oldest } else { newest });
    }
    answer.0
}

/// Returns the mechanisms that a broker takes, or a code.
pub fn mechanisms(correlation: i32, error: i16, mechanisms: &[&str]) -> Vec<u8> {
    let answer = Answer::default().i32(correlation).i16(error);
    let answer = answer.i32(mechanisms.len() as i32);
    let texts = mechanisms.iter();
    texts
        .fold(answer, |answer, mechanism| answer.text(mechanism))
        .0
}

/// Returns what a broker says to a message of a login.
pub fn login(
    correlation: i32,
    error: i16,
    reason: &str,
    message: &[u8],
    lifetime_ms: i64,
) -> Vec<u8> {
    let answer = Answer::to(correlation).i16(error);
    let answer = answer.compact(reason.len()).bytes(reason.as_bytes());
    let answer = answer.compact(message.len()).bytes(message);
    answer.i64(lifetime_ms).bytes(&[0]).0
}

/// Returns brokers by number and port, and the leaders of partitions 0 and on with their epochs.
pub fn metadata(
    correlation: i32,
    brokers: &[(i32, i32)],
    (error, id): (i16, [u8; 16]),
    leaders: &[(i32, i32)],
) -> Vec<u8> {
    let mut answer = Answer::to(correlation).i32(0).compact(brokers.len());
    for &(broker, port) in brokers {
        answer = answer.i32(broker).compact(1).bytes(b"h").i32(port);
        answer = answer.bytes(&[0, 0]);
    }
    answer = answer.bytes(&[0]).i32(1).compact(1);
    answer = answer.i16(error).compact(1).bytes(b"t").bytes(&id);
    answer = answer.bytes(&[0]).compact(leaders.len());
    for (partition, &(leader, epoch)) in leaders.iter().enumerate() {
        answer = answer.i16(0).i32(partition as i32).i32(leader).i32(epoch);
        answer = answer.compact(0).compact(0).compact(0).bytes(&[0]);
    }
    answer.i32(0).bytes(&[0, 0]).0
}

/// What is answered for one partition.
#[derive(Default)]
pub struct Part {
    pub partition: i32,
    pub error: i16,
    pub high_watermark: i64,
    pub aborted: Vec<(i64, i64)>,
    pub records: Vec<u8>,
    pub diverges_at: Option<i64>,
}

/// Returns what was fetched.
pub fn fetched(correlation: i32, throttle_ms: i32, parts: &[Part]) -> Vec<u8> {
    let mut answer = Answer::to(correlation).i32(throttle_ms).i16(0).i32(0);
    answer = answer.compact(1).bytes(&ID).compact(parts.len());
    for part in parts {
        answer = answer.i32(part.partition).i16(part.error);
        answer = answer
            .i64(part.high_watermark)
            .i64(part.high_watermark)
            .i64(0);
        answer = answer.compact(part.aborted.len());
        for (producer, first) in &part.aborted {
            answer = answer.i64(*producer).i64(*first).bytes(&[0]);
        }
        answer = answer
            .i32(-1)
            .compact(part.records.len())
            .bytes(&part.records);
        answer = match part.diverges_at {
            None => answer.bytes(&[0]),
            Some(at) => answer.bytes(&[1, 0, 13]).i32(1).i64(at).bytes(&[0]),
        };
    }
    answer.bytes(&[0, 0]).0
}

/// Returns the id and the epoch of a producer.
pub fn producer(correlation: i32, error: i16, id: i64, epoch: i16) -> Vec<u8> {
    let answer = Answer::to(correlation).i32(0);
    answer.i16(error).i64(id).i16(epoch).bytes(&[0]).0
}

/// Returns what became of batches: partitions, codes and offsets.
pub fn produced(correlation: i32, throttle_ms: i32, parts: &[(i32, i16, i64)]) -> Vec<u8> {
    let mut answer = Answer::to(correlation).compact(1).bytes(&ID);
    answer = answer.compact(parts.len());
    for &(partition, error, offset) in parts {
        answer = answer.i32(partition).i16(error).i64(offset).i64(-1).i64(0);
        // No record is at fault, and there are no words.
        answer = answer.compact(0).bytes(&[0, 0]);
    }
    answer.bytes(&[0]).i32(throttle_ms).bytes(&[0]).0
}
