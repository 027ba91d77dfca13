//! Kafka's protocol: frames, and the requests that reading and writing need.
//!
//! In: requests as plain values. Out: their bytes for a broker, and answers that borrow
//! their records from the frame they came in. Written by hand from Kafka's own schemas
//! (`clients/src/main/resources/common/message`), because these requests are less to read than a
//! generator's ninety, and because batches must stay where they are.
//!
//! Every request goes out in the highest version that both sides know; the lowest here are those of
//! Kafka 2.1, and Kafka 4 knows them all.
//!
//! - [`bytes`]: numbers, strings and arrays, in the classic and in the flexible form
//! - [`versions`], [`metadata`], [`fetch`], [`produce`], [`init_producer_id`]: the requests
//! - [`offsets`], [`create_topics`], [`change_topics`], [`describe_configs`], [`list_groups`], [`transactions`]: administration
//! - logins, in [`sasl`]
//! - [`connection`]: one socket: frames out, frames in
//! - [`transport`], [`tls`]: its bytes, in the clear or encrypted

#[cfg(test)]
pub(super) mod answers;
pub mod bytes;
pub mod change_topics;
pub mod connection;
pub mod create_topics;
pub mod describe_configs;
pub mod fetch;
pub mod init_producer_id;
pub mod list_groups;
pub mod metadata;
pub mod offsets;
pub mod produce;
pub mod sasl;
#[cfg(test)]
mod tests;
pub mod tls;
#[cfg(test)]
mod tls_tests;
pub mod transactions;
pub mod transport;
pub mod versions;

use std::sync::Arc;

use bytes::{Garbled, Input, Output, Pieces};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Records into partitions.
    Produce,
    /// Records of partitions.
    Fetch,
    /// Where partitions begin and end.
    ListOffsets,
    /// Where topics and brokers are.
    Metadata,
    /// Which groups there are.
    ListGroups,
    /// By which mechanism a client logs in.
    SaslHandshake,
    /// Which requests a broker knows.
    Versions,
    /// A new topic.
    CreateTopics,
    /// The end of a topic.
    DeleteTopics,
    /// The end of a partition's first records.
    DeleteRecords,
    /// An id for a producer, so that brokers tell a batch that is sent again.
    InitProducer,
    /// The end of a transaction in partitions.
    WriteTxnMarkers,
    /// The settings of topics.
    DescribeConfigs,
    /// The messages of a login.
    SaslAuthenticate,
    /// More partitions for a topic.
    CreatePartitions,
    /// Other settings for a topic.
    AlterConfigs,
    /// Who writes to partitions.
    DescribeProducers,
    /// What is known of transactions.
    DescribeTransactions,
    /// Which transactions there are.
    ListTransactions,
}

/// A kind of request as brokers know it.
struct Spec {
    key: i16,
    /// The lowest and the highest version that is spoken here.
    versions: (i16, i16),
    /// The version from which on strings and arrays are compact, and tags may follow.
    flexible_from: i16,
}

impl Api {
    /// Those that every broker has to know.
    pub const NEEDED: [Api; 4] = [Api::Produce, Api::Fetch, Api::Metadata, Api::InitProducer];
    /// All that are sent once a broker has said what it knows.
    pub const ALL: [Api; 18] = [
        Api::Produce,
        Api::Fetch,
        Api::ListOffsets,
        Api::Metadata,
        Api::ListGroups,
        Api::SaslHandshake,
        Api::CreateTopics,
        Api::DeleteTopics,
        Api::DeleteRecords,
        Api::InitProducer,
        Api::WriteTxnMarkers,
        Api::DescribeConfigs,
        Api::SaslAuthenticate,
        Api::CreatePartitions,
        Api::AlterConfigs,
        Api::DescribeProducers,
        Api::DescribeTransactions,
        Api::ListTransactions,
    ];

    fn spec(self) -> Spec {
        /// In the classic form whatever the version.
        const NEVER: i16 = i16::MAX;
        let (key, versions, flexible_from) = match self {
            // From 7 on a batch may be packed by zstd.
            Api::Produce => (0, (7, 13), 9),
            // From 14 on a reader says the same by other fields.
            Api::Fetch => (1, (10, 13), 12),
            // From 7 on for the highest timestamp, too.
            Api::ListOffsets => (2, (2, 7), 6),
            Api::Metadata => (3, (7, 12), 9),
            // From 5 on with their kinds.
            Api::ListGroups => (16, (0, 5), 3),
            // From 1 on its messages are requests, too.
            Api::SaslHandshake => (17, (1, 1), NEVER),
            // Every broker answers it, so nobody has to guess.
            Api::Versions => (18, (0, 0), 3),
            Api::CreateTopics => (19, (2, 7), 5),
            // From 6 on by id, too.
            Api::DeleteTopics => (20, (1, 5), 4),
            Api::DeleteRecords => (21, (0, 2), 2),
            // From 3 on a producer could keep its id.
            Api::InitProducer => (22, (0, 2), 2),
            Api::WriteTxnMarkers => (27, (1, 1), 1),
            Api::DescribeConfigs => (32, (1, 4), 4),
            // From 1 on a login may end by itself.
            Api::SaslAuthenticate => (36, (0, 2), 2),
            Api::CreatePartitions => (37, (0, 3), 2),
            Api::AlterConfigs => (44, (0, 1), 1),
            Api::DescribeProducers => (61, (0, 0), 0),
            Api::DescribeTransactions => (65, (0, 0), 0),
            Api::ListTransactions => (66, (0, 1), 0),
        };
        Spec {
            key,
            versions,
            flexible_from,
        }
    }

    /// Returns its number.
    pub fn key(self) -> i16 {
        self.spec().key
    }

    /// Returns the lowest and the highest version that is spoken here.
    pub fn versions(self) -> (i16, i16) {
        self.spec().versions
    }

    fn is_flexible(self, version: i16) -> bool {
        version >= self.spec().flexible_from
    }
}

/// The codes of errors that a client acts upon; the others end it with their words.
pub mod code {
    /// All is well.
    pub const NONE: i16 = 0;
    /// The offset is not there any more, or not yet.
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// The broker knows no such topic or partition.
    pub const UNKNOWN_TOPIC: i16 = 3;
    /// A batch is larger than its topic allows.
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    /// A batch does not follow the last one of its producer.
    pub const OUT_OF_ORDER: i16 = 45;
    /// A batch was written before.
    pub const DUPLICATE: i16 = 46;
    /// The broker has forgotten the producer.
    pub const UNKNOWN_PRODUCER: i16 = 59;
    /// A login names a mechanism that the broker does not take.
    pub const UNSUPPORTED_MECHANISM: i16 = 33;
    /// A login where there is none.
    pub const ILLEGAL_LOGIN: i16 = 34;
    /// The broker knows no topic of that id.
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    /// The leader knows of another id.
    pub const INCONSISTENT_TOPIC_ID: i16 = 103;
    /// What passes once there is a leader, or once it is known who is: leader not available, not
    /// leader, request timed out, replica not available, network exception, storage error, fenced leader
    /// epoch, unknown leader epoch, offset not available.
    pub const PASSING: [i16; 9] = [5, 6, 7, 9, 13, 56, 74, 75, 78];
    /// What passes by itself where records are written: corrupt on its way, coordinator loading or not
    /// available, too few brokers in sync (before or after the leader has appended), a quota.
    pub const PASSING_WRITES: [i16; 6] = [2, 14, 15, 19, 20, 89];
}

/// Returns the bytes of a request, its length before it; `body` writes what stands behind the head.
pub fn request(
    api: Api,
    version: i16,
    correlation: i32,
    client: &str,
    body: impl FnOnce(&mut Output),
) -> Pieces {
    let mut output = Output::new(api.is_flexible(version));
    output.i32(0); // the length, below
    output.i16(api.key());
    output.i16(version);
    output.i32(correlation);
    output.classic_string(client); // in the head also where others are compact
    output.tags();
    body(&mut output);
    let mut pieces = output.into_pieces();
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if let Some(first) = pieces.first_mut() {
        let length = (length - 4) as i32;
        Arc::make_mut(first)[..4].copy_from_slice(&length.to_be_bytes());
    }
    pieces
}

/// Returns the number of the request that a frame answers, and what stands behind it.
///
/// # Errors
/// [`Garbled`] where the frame is too short.
pub fn answer(frame: &[u8]) -> Result<(i32, usize), Garbled> {
    let mut input = Input::new(frame, 0, false);
    Ok((input.i32()?, input.at()))
}

/// Returns a reader of what stands behind the head of an answer.
///
/// # Errors
/// [`Garbled`] where the head is cut off.
pub fn body(api: Api, version: i16, frame: &[u8]) -> Result<Input<'_>, Garbled> {
    let (_, at) = answer(frame)?;
    let mut input = Input::new(frame, at, api.is_flexible(version));
    if api != Api::Versions {
        input.skip_tags()?;
    }
    Ok(input)
}
