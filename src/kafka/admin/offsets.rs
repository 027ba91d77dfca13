//! Where partitions begin and end, and where transactions are open in them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::error::RDKafkaErrorCode;

use super::{Admin, ELECTION_TIMEOUT, Extent, OffsetInfo, OffsetOf, SETTLE_TIMEOUT};
use crate::error::{Error, Result};

impl Admin {
    /// Returns an offset of each partition, in no order. A partition whose new leader is not
    /// there or not ready yet is asked for again, for `ELECTION_TIMEOUT` at most.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn offsets(
        &self,
        partitions: &[(&str, i32)],
        wanted: OffsetOf,
    ) -> Result<Vec<OffsetInfo>> {
        self.offsets_within(ELECTION_TIMEOUT, partitions, wanted)
    }

    pub(super) fn offsets_within(
        &self,
        patience: Duration,
        partitions: &[(&str, i32)],
        wanted: OffsetOf,
    ) -> Result<Vec<OffsetInfo>> {
        let Some(&(topic, _)) = partitions.first() else {
            return Ok(Vec::new());
        };
        if let Some(cluster) = &self.settings.cluster {
            return Ok(cluster.offsets(partitions, wanted));
        }
        if !self.is_direct() {
            self.connect(topic)?;
        }
        let began = Instant::now();
        let is_awaited = |code: &RDKafkaErrorCode| match code {
            // A topic that was deleted does not come back.
            RDKafkaErrorCode::UnknownTopicOrPartition => began.elapsed() < SETTLE_TIMEOUT,
            code => is_unsettled(code) && began.elapsed() < patience,
        };
        let mut left = partitions.to_vec();
        let mut found = Vec::with_capacity(left.len());
        loop {
            let infos = if self.is_direct() {
                self.find_offsets(&left, wanted)
            } else {
                self.ask(|requests| requests.list_offsets(&left, wanted))
            };
            let now = Instant::now();
            let infos = match infos {
                // No partition that was asked for has a leader.
                Err(failure) if failure.code() == Some(RDKafkaErrorCode::NoEnt) => {
                    if began.elapsed() >= patience {
                        return Err(Error::retry("cannot look up offsets: no broker leads"));
                    }
                    self.settings
                        .interrupt
                        .sleep_until(now + Duration::from_millis(100));
                    self.settings.interrupt.check()?;
                    continue;
                }
                infos => infos.map_err(|failure| failure.into_error("look up offsets"))?,
            };
            let (unsettled, settled): (Vec<_>, Vec<_>) = infos
                .into_iter()
                .partition(|info| info.offset.as_ref().is_err_and(is_awaited));
            found.extend(settled);
            if unsettled.is_empty() {
                return Ok(found);
            }
            left.retain(|&(topic, partition)| {
                let mut unsettled = unsettled.iter();
                unsettled.any(|info| info.topic == topic && info.partition == partition)
            });
            self.settings
                .interrupt
                .sleep_until(now + Duration::from_millis(20));
        }
    }

    /// Returns what each of some partitions holds; what cannot be looked up is left out, such as
    /// one without a leader.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn extents(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<BTreeMap<(String, i32), Extent>> {
        let firsts = self.offsets_within(SETTLE_TIMEOUT, partitions, OffsetOf::Earliest)?;
        let ends = self.offsets_within(SETTLE_TIMEOUT, partitions, OffsetOf::Latest)?;
        let mut extents: BTreeMap<(String, i32), Extent> = BTreeMap::new();
        for info in firsts {
            if let Ok(first) = info.offset {
                let extent = Extent { first, end: first };
                extents.insert((info.topic, info.partition), extent);
            }
        }
        for info in ends {
            if let (Ok(end), Some(extent)) =
                (info.offset, extents.get_mut(&(info.topic, info.partition)))
            {
                extent.end = end;
            }
        }
        Ok(extents)
    }

    /// Returns where transactions are open: topic, partition, and the offset of the oldest one's first
    /// record, for those of some partitions that have one.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn open_transactions(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<(String, i32, i64)>> {
        // In this order: without an open transaction the last stable offset is the end or more.
        let ends = self.offsets_within(SETTLE_TIMEOUT, partitions, OffsetOf::Latest)?;
        let stable = self.offsets_within(SETTLE_TIMEOUT, partitions, OffsetOf::LastStable)?;
        let open = stable.into_iter().filter_map(|stable| {
            let at = stable.offset.ok()?;
            let mut ends = ends.iter();
            let end =
                ends.find(|end| (&end.topic, end.partition) == (&stable.topic, stable.partition))?;
            (at < *end.offset.as_ref().ok()?).then_some((stable.topic, stable.partition, at))
        });
        Ok(open.collect())
    }
}

/// Returns whether a partition's new leader only needs some time.
pub(super) fn is_unsettled(code: &RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::OffsetNotAvailable
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::FencedLeaderEpoch
    )
}

/// Returns offsets as librdkafka has them.
pub(super) fn offset_list(
    offsets: impl Iterator<Item = ((String, i32), i64)>,
) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in offsets {
        let added = list.add_partition_offset(&topic, partition, rdkafka::Offset::Offset(offset));
        added.map_err(|error| Error::bug(format!("no list of offsets: {error}")))?;
    }
    Ok(list)
}
