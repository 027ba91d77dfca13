//! Records whose time is further ahead of their arrival than `--ahead` allows: some clock is wrong.
//!
//! They are removed before the engine sees them, as malformed records are, so they do not move the
//! watermark. A record's arrival is its arrival column. Without one, it is the time when the broker
//! appended the record, where its topic keeps that (`message.timestamp.type=LogAppendTime`),
//! otherwise now. The first two are the same in every run.

use crate::column::Misfit;
use crate::engine::watermark::highest;
use crate::format::{Decoded, Place};
use crate::source::{Message, Records};
use crate::term::units::{format_duration, format_time};

/// How far ahead of its arrival a record may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// This many ms.
    pub allowed_ms: i64,
    /// The clock, in ms since 1970, UTC.
    pub now: i64,
}

impl Ahead {
    /// Returns whether some of the times may be too far ahead; quickly, for most often none is.
    /// `arrivals` has one for each, or is empty.
    pub fn may_hold(self, times: &[i64], arrivals: &[i64], records: &Records<'_>) -> bool {
        if !arrivals.is_empty() {
            let mut pairs = times.iter().zip(arrivals);
            return pairs.any(|(&at, &arrival)| self.is_ahead(at, arrival));
        }
        let first = messages(records)
            .iter()
            .map(|message| self.arrival(message))
            .min();
        highest(times).is_some_and(|high| self.is_ahead(high, first.unwrap_or(self.now)))
    }

    /// Returns the rows that are too far ahead, in their order, each with the reason. The places of all
    /// rows are known.
    pub fn find(
        self,
        decoded: &Decoded<'_>,
        arrivals: &[i64],
        records: &Records<'_>,
    ) -> Vec<(usize, Misfit)> {
        let appended = if arrivals.is_empty() {
            appended(decoded, records)
        } else {
            Vec::new()
        };
        let mut found = Vec::new();
        for (row, &at) in decoded.times.iter().enumerate() {
            let arrival = arrivals.get(row).copied();
            let arrival = arrival.or_else(|| appended.get(row).copied().flatten());
            let arrival = arrival.unwrap_or(self.now);
            if self.is_ahead(at, arrival) {
                let by = format_duration(at.saturating_sub(arrival));
                let reason = format!("{by} ahead of its arrival at {}", format_time(arrival));
                found.push((row, reason.into()));
            }
        }
        found
    }

    fn is_ahead(self, at: i64, arrival: i64) -> bool {
        at.saturating_sub(arrival) > self.allowed_ms
    }

    fn arrival(self, message: &Message<'_>) -> i64 {
        message.headers.appended_at().unwrap_or(self.now)
    }
}

/// Returns when the broker appended each row, where it says so; nothing for rows of lines. The places
/// of all rows are known.
pub(super) fn appended(decoded: &Decoded<'_>, records: &Records<'_>) -> Vec<Option<i64>> {
    let mut messages = messages(records).iter();
    if messages.len() == 0 {
        return Vec::new();
    }
    let of_row = |(place, _): &(Place, &[u8])| {
        let here =
            |message: &&Message<'_>| *place == Place::Offset(message.partition, message.offset);
        messages.find(here)?.headers.appended_at()
    };
    decoded.origins.iter().map(of_row).collect()
}

fn messages<'r, 'a>(records: &'r Records<'a>) -> &'r [Message<'a>] {
    match records {
        Records::Lines(_) => &[],
        Records::Messages(messages) => messages,
    }
}
