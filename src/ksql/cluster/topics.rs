//! Records of a topic's partitions between two offsets, and as a source's formats have them.

use std::ops::Range;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf};
use crate::kafka::fetch::Fetcher;
use crate::ksql::bytes;
use crate::ksql::catalog::Source;
use crate::ksql::records::Record;
use crate::ksql::run::Headers;
use crate::source::Message;

/// How long a wait for records lasts before a signal is looked for.
pub(super) const POLL: Duration = Duration::from_millis(20);
/// The most records that are taken from a partition at once.
pub(super) const AT_ONCE: usize = 1_000;

/// Partitions, each from an offset up to another.
pub(super) type Ranges = Vec<(i32, Range<i64>)>;

/// Returns what some partitions of a topic hold: up to the high watermark, transaction markers
/// included.
///
/// # Errors
/// `retry` when no broker answers or a partition has no leader.
pub(super) fn held(admin: &Admin, topic: &str, partitions: Range<i32>) -> Result<Ranges> {
    let wanted: Vec<(&str, i32)> = partitions.clone().map(|number| (topic, number)).collect();
    let offsets = |of: OffsetOf| -> Result<Vec<Option<i64>>> {
        let found = admin.offsets(&wanted, of)?;
        let offset = |number: i32| {
            let info = found.iter().find(|info| info.partition == number)?;
            info.offset.as_ref().ok().copied()
        };
        Ok(partitions.clone().map(offset).collect())
    };
    let (firsts, ends) = (offsets(OffsetOf::Earliest)?, offsets(OffsetOf::Latest)?);
    let ranges = partitions.clone().zip(firsts.into_iter().zip(ends));
    let range = |(number, (first, end)): (i32, (Option<i64>, Option<i64>))| match (first, end) {
        (Some(first), Some(end)) => Ok((number, first..end)),
        _ => Err(Error::retry(format!(
            "cannot find the end of topic `{topic}`, partition {number}"
        ))),
    };
    ranges.map(range).collect()
}

/// Hands over the committed records of partitions, until there are enough.
///
/// # Errors
/// `retry` when no broker answers, `refused` where a transaction stays open, and what `each` says.
pub(super) fn read(
    settings: &Settings,
    topic: &str,
    ranges: &[(i32, Range<i64>)],
    is_enough: impl Fn() -> bool,
    mut each: impl FnMut(&Message<'_>) -> Result<()>,
) -> Result<()> {
    let ranges: Vec<&(i32, Range<i64>)> = ranges.iter().filter(|(_, r)| !r.is_empty()).collect();
    if ranges.is_empty() {
        return Ok(());
    }
    let mut fetcher = Fetcher::new(settings, topic, None)?;
    let mut positions: Vec<i64> = ranges.iter().map(|(_, range)| range.start).collect();
    let starts = ranges.iter().map(|(number, range)| (*number, range.start));
    fetcher.assign(&starts.collect::<Vec<_>>())?;
    let is_behind = |nth: usize, positions: &[i64]| positions[nth] < ranges[nth].1.end;
    while (0..ranges.len()).any(|nth| is_behind(nth, &positions)) && !is_enough() {
        fetcher.serve()?;
        let mut is_silent = true;
        for nth in 0..ranges.len() {
            if !is_behind(nth, &positions) {
                continue;
            }
            let timeout = if is_silent { POLL } else { Duration::ZERO };
            let fetched = fetcher.read(nth, timeout, AT_ONCE)?;
            is_silent &= fetched.is_empty();
            for message in (0..fetched.len()).map(|at| fetched.get(at)) {
                if message.offset < ranges[nth].1.end {
                    each(&message)?;
                }
                positions[nth] = message.offset + 1;
            }
        }
        if is_silent {
            let found = fetcher.positions();
            for (position, found) in positions.iter_mut().zip(found) {
                *position = found.unwrap_or(*position).max(*position);
            }
            fetcher.watch_silence(|nth| is_behind(nth, &positions))?;
            if let Some(open) = fetcher.hopeless() {
                return Err(Error::refused(open.story())
                    .during(format!("reading topic `{topic}`"))
                    .hint(open.way_out()));
            }
        }
    }
    Ok(())
}

/// Returns a record as a source's formats have it.
///
/// # Errors
/// What does not fit the formats.
pub(super) fn record_of(source: &Source, message: &Message<'_>) -> Result<Record, String> {
    let header = |header: crate::source::Header<'_>| {
        let name = String::from_utf8_lossy(header.name).into_owned();
        (name, header.value.map(<[u8]>::to_vec))
    };
    let headers: Vec<_> = message.headers.iter().map(header).collect();
    let record = bytes::record(source, message.key, message.value, Headers::new(headers))?;
    Ok(Record {
        time: message.timestamp.unwrap_or_default(),
        partition: message.partition,
        offset: message.offset,
        ..record
    })
}
