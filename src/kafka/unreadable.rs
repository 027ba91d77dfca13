//! Why a partition cannot be read on.

use rdkafka::error::RDKafkaErrorCode;

use super::{Failure, words_of};
use crate::error::Error;

/// Returns the error of a partition whose next records were deleted, without a way out.
pub(super) fn purged(topic: &str, partition: i32) -> Error {
    Error::refused(format!(
        "the next records are gone from topic `{topic}`, partition {partition}"
    ))
}

/// Returns the error of a partition that cannot be read on.
pub(super) fn not_read(topic: &str, partition: i32, code: RDKafkaErrorCode) -> Error {
    match code {
        RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset => purged(topic, partition)
            .hint("continue with what is there: `k group reset GROUP --to beginning`, or leave `--group` out"),
        RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition => gone(topic),
        RDKafkaErrorCode::BadCompression => Error::refused(format!(
            "topic `{topic}`, partition {partition}: a batch of records is too large to be unpacked, or damaged"
        ))
        .hint("`-X receive.message.max.bytes=2147483647` allows 2 GB, the maximum"),
        _ => Failure::Refused(code, words_of(code))
            .into_error(format!("read topic `{topic}`"))
            .during(format!("reading topic `{topic}`, partition {partition}")),
    }
}

/// Returns the error of a topic that was deleted while it was read.
pub(crate) fn gone(topic: &str) -> Error {
    Error::refused(format!("topic `{topic}` is gone")).hint("`k topic list` shows the topics")
}
