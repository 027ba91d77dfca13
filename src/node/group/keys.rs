//! Whether all records of one group value are in one partition: they are if their key is that
//! value.

use std::time::{Duration, Instant};

use bumpalo::Bump;

use crate::column::ValueRef;
use crate::engine::operator::Input;
use crate::error::{Error, Result};
use crate::format::{Decoder, Origins, Place};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::fetch::Fetcher;
use crate::node::evaluate::{Evaluator, Unfit};
use crate::plan::Plan;
use crate::source::kafka::Starts;
use crate::source::{Batch, Message, Records};
use crate::term::printable::printable;

/// How many records of each partition are looked at.
const SAMPLE_RECORDS: usize = 250;
/// How long they are waited for.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a wait for one partition lasts.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// Returns whether records have to be brought together by the key that they are grouped by: where
/// `--by` is not one column, or the first records of the topic have other keys or none, or there is
/// no record to look at.
///
/// # Errors
/// `retry` when no broker answers, `stopped` on a signal.
pub fn need_repartition(
    plan: &Plan,
    decoder: Decoder,
    settings: &Settings,
    starts: &Starts,
    interrupt: &Interrupt,
) -> Result<bool> {
    if starts.len() == 1 {
        return Ok(false);
    }
    let by_one_column = matches!(plan.by.as_slice(), [item] if item.expression.column().is_some());
    if !by_one_column {
        return Ok(true);
    }
    let mut rows = Evaluator {
        plan,
        decoder,
        origins: Origins::Forget,
        for_journal: false,
        skip_bad: true,
        first_skipped: None,
    };
    let (mut arena, mut looked_at) = (Bump::new(), false);
    let is_other = sample(settings, starts, interrupt, |messages| {
        let batch = Batch {
            partition: 0,
            records: Records::Messages(messages),
        };
        let is_other = rows.decode(&batch, &arena, |input, _, unfit| {
            looked_at |= match input.selected {
                Some(selected) => selected.contains(&true),
                None => !input.times.is_empty(),
            };
            Ok(first_of_another_key(&batch, input, unfit).is_some())
        })?;
        arena.reset();
        Ok(is_other)
    })?;
    Ok(is_other || !looked_at)
}

/// Hands over the first records of each partition, until `is_enough` says so; returns whether it has.
///
/// # Errors
/// `retry` when no broker answers, `stopped` on a signal, and those of `is_enough`.
pub(in crate::node) fn sample(
    settings: &Settings,
    starts: &Starts,
    interrupt: &Interrupt,
    mut is_enough: impl FnMut(Vec<Message<'_>>) -> Result<bool>,
) -> Result<bool> {
    let mut fetcher = Fetcher::new(settings, starts.topic(), None)?;
    let held = starts.iter().filter(|(_, start)| start.first < start.end);
    let (ends, held): (Vec<i64>, Vec<(i32, i64)>) = held
        .map(|(number, start)| (start.end, (number, start.first)))
        .unzip();
    fetcher.assign(&held)?;
    let deadline = Instant::now() + SAMPLE_TIMEOUT;
    for (nth, &end) in ends.iter().enumerate() {
        let mut is_read = false;
        while !is_read && Instant::now() < deadline {
            interrupt.check()?;
            fetcher.serve()?;
            let fetched = fetcher.read(nth, POLL_TIMEOUT, SAMPLE_RECORDS)?;
            if fetched.is_empty() {
                fetcher.watch_silence(|other| other == nth)?;
                // It may hold markers alone, and records of transactions that were given up.
                is_read = fetcher.positions()[nth].is_some_and(|position| position >= end);
                continue;
            }
            is_read = true;
            if is_enough(fetched.messages(0..fetched.len()))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns the first record whose key is not the one value that records are grouped by: others of
/// its group may lie in other partitions, as those without a key may in any. What `--where` leaves
/// out is in no group.
pub(super) fn first_of_another_key<'b, 'a>(
    batch: &'b Batch<'a>,
    input: &Input<'_, 'a>,
    unfit: &[Unfit<'a>],
) -> Option<&'b Message<'a>> {
    let (Records::Messages(messages), [grouped]) = (&batch.records, input.keys) else {
        return None;
    };
    let mut number = itoa::Buffer::new();
    let mut is_key = |row: usize, key: &[u8]| match grouped.value_ref(row) {
        ValueRef::Text(text) | ValueRef::Any(text) => text.as_bytes() == key,
        ValueRef::Integer(value) => number.format(value).as_bytes() == key,
        _ => false,
    };
    let mut misfits = unfit.iter().peekable();
    let fitting = messages.iter().filter(|message| {
        let place = Place::Offset(message.partition, message.offset);
        misfits
            .next_if(|misfit| misfit.record.place == place)
            .is_none()
    });
    let mut rows = fitting.zip(0..input.times.len());
    let found = rows.find(|&(message, row)| {
        let is_selected = input.selected.is_none_or(|selected| selected[row]);
        is_selected && !message.key.is_some_and(|key| is_key(row, key))
    });
    found.map(|(message, _)| message)
}

/// Returns the error about a record whose key is another one, though those before it had theirs.
pub(super) fn another_key(topic: &str, message: &Message<'_>) -> Error {
    let what = match message.key {
        Some(key) => format!(
            "a record's key, `{}`, is not what `--by` groups it by",
            printable(key)
        ),
        None => "a record has no key".to_owned(),
    };
    Error::refused(format!(
        "{what}, unlike the first records: others of its group may be in other partitions"
    ))
    .during(format!(
        "reading {topic}, partition {}, offset {}",
        message.partition, message.offset
    ))
    .hint("start over with `--reset --repartition`, which brings them together")
}
