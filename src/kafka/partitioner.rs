//! Which partition a record belongs to: the one that the Java client would choose.
//!
//! There are three rules: a partition that was named, otherwise the hash of the key, otherwise
//! round robin. An empty key is a key; only null is not.

/// Hashes bytes as Kafka's Java client does.
///
/// MurmurHash2, 32 bits, little endian, with Kafka's seed; source:
/// `org.apache.kafka.common.utils.Utils.murmur2`.
pub(crate) fn murmur2(bytes: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, &byte) in rest.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash as i32
}

/// Returns the partition of a key: its hash without the sign, modulo `partitions`.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    partition_of_hash(murmur2(key), partitions)
}

/// Returns the partition of a key by its [`murmur2`].
pub(crate) fn partition_of_hash(hash: i32, partitions: i32) -> i32 {
    (hash & 0x7fff_ffff) % partitions
}

/// How records are spread over the partitions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partitioning {
    /// All to this partition.
    Fixed(i32),
    /// By the key's hash; records without a key in turn.
    Murmur2,
    /// In turn, whatever the key.
    RoundRobin,
}

/// Chooses a partition for each record of one topic.
#[derive(Debug, Clone)]
pub(crate) struct Partitioner {
    partitioning: Partitioning,
    partitions: i32,
    next: i32,
}

impl Partitioner {
    /// Returns a partitioner over `partitions` partitions, one at least.
    pub fn new(partitioning: Partitioning, partitions: i32) -> Self {
        Partitioner {
            partitioning,
            partitions: partitions.max(1),
            next: 0,
        }
    }

    /// Returns the partition of the next record.
    #[inline]
    pub fn choose(&mut self, key: Option<&[u8]>) -> i32 {
        match (self.partitioning, key) {
            (Partitioning::Fixed(partition), _) => partition,
            (Partitioning::Murmur2, Some(key)) => partition_of(key, self.partitions),
            _ => {
                let partition = self.next;
                self.next = (partition + 1) % self.partitions;
                partition
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // From org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn an_empty_key_is_a_key_and_null_takes_its_turn() {
        let mut partitioner = Partitioner::new(Partitioning::Murmur2, 3);
        let empty = partition_of(b"", 3);
        let chosen: Vec<i32> = [None, Some(&b""[..]), None, Some(b""), None, None]
            .map(|key| partitioner.choose(key))
            .into();
        assert_eq!(chosen, [0, empty, 1, empty, 2, 0]);
    }
}
