//! A node of one's own: finds phones that are in two calls at once.
//!
//! No window asks that: a call meets every other one of its caller that it overlaps, however long
//! either is. So this node keeps the calls of each caller itself, and takes from the library what
//! every node needs: a source, a decoder, and the watermark, which says when a call can be forgotten.
//!
//! ```text
//! file ─► columns ─┬─► watermark ─► forget calls that have ended before it
//!                  └─► calls of the caller ─► a line for each pair that overlaps
//! ```
//!
//! ```sh
//! cargo run --example overlaps -- data/sample/mono_signal.csv
//! ```

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bumpalo::Bump;
use k::engine::watermark::{Bound, Watermarks};
use k::format::{Decoder, Layout, Origins, TimeFrom, TimeUnit, delimited};
use k::interrupt::Interrupt;
use k::source::{Polled, Source};
use k::term::units::{SECOND, format_duration, format_time};

/// How long a poll may wait: the time within which Ctrl-C is seen.
const POLL: Duration = Duration::from_millis(50);
/// How late a call may come.
const OUT_OF_ORDER_MS: i64 = 10 * SECOND;

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1);
    let path = path.context("usage: overlaps FILE.csv")?;
    let interrupt = Interrupt::listen()?;
    let mut out = io::stdout().lock();
    let counts = find_overlaps(Path::new(&path), &mut out, &interrupt)?;
    eprintln!(
        "{} calls in: {} without caller or end, {} late and dropped, {} overlaps; {} kept at most",
        counts.calls, counts.nulls, counts.late, counts.overlaps, counts.most_kept
    );
    Ok(())
}

/// What a run came to: no record vanishes unaccounted.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    calls: u64,
    /// Of nobody, or without an end.
    nulls: u64,
    /// Below the watermark, and dropped: the calls that they overlap may be forgotten.
    late: u64,
    overlaps: u64,
    /// The most calls that were kept at a time.
    most_kept: usize,
}

/// A call that later ones may overlap; times in ms since 1970, UTC.
#[derive(Clone, Copy)]
struct Call {
    start: i64,
    end: i64,
}

fn find_overlaps(path: &Path, out: &mut impl Write, interrupt: &Interrupt) -> Result<Counts> {
    let (mut source, schema) = delimited::open(path, b',', interrupt)?;
    let index = |name: &str| {
        let found = schema.index_of(name);
        found.with_context(|| format!("{} has no column `{name}`", path.display()))
    };
    let (caller, start, end) = (
        index("caller")?,
        index("start_timestamp")?,
        index("end_timestamp")?,
    );
    let mut wanted = vec![caller, start, end];
    wanted.sort_unstable();
    let mut decoder = Decoder::csv(Layout {
        schema,
        wanted,
        time: TimeFrom::Column(start, TimeUnit::Ms),
    });
    let mut watermarks = Watermarks::new(1, Bound::Fixed(OUT_OF_ORDER_MS));
    let mut kept: HashMap<Box<str>, Vec<Call>> = HashMap::new();
    let (mut counts, mut arena) = (Counts::default(), Bump::new());
    loop {
        interrupt.check()?;
        let batch = match source.poll(POLL)? {
            Polled::Batch(batch) => batch,
            Polled::Pending => continue,
            Polled::End => return Ok(counts),
        };
        let decoded = decoder.decode(&batch.records, Origins::Forget, &arena);
        if let Some(first) = decoded.malformed.first() {
            return Err(first.to_error(&path.display().to_string()).into());
        }
        for (row, &start) in decoded.times.iter().enumerate() {
            counts.calls += 1;
            let value = |index: usize| decoded.columns.columns[index].value_ref(row);
            let (Some(caller), Some(end)) = (value(caller).as_text(), value(end).as_i64()) else {
                counts.nulls += 1;
                continue;
            };
            ensure!(start <= end, "a call of {caller} ends before it starts");
            if start < watermarks.combined() {
                counts.late += 1;
                continue;
            }
            watermarks.observe(0, start);
            let call = Call { start, end };
            let others = kept.entry(caller.into()).or_default();
            for other in others.iter().filter(|other| call.overlaps(other)) {
                counts.overlaps += 1;
                call.write_overlap(other, caller, out)?;
            }
            others.push(call);
        }
        arena.reset();
        let calls = kept.values().map(Vec::len).sum();
        counts.most_kept = counts.most_kept.max(calls);
        kept.retain(|_, calls| {
            calls.retain(|call| call.end > watermarks.combined());
            !calls.is_empty()
        });
    }
}

impl Call {
    fn overlaps(&self, other: &Call) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }

    fn write_overlap(&self, other: &Call, caller: &str, out: &mut impl Write) -> io::Result<()> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        let (from, length) = (format_time(start), format_duration(end - start));
        writeln!(out, "{caller} is in two calls at {from} for {length}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: &str) -> Result<(String, Counts)> {
        let folder = tempfile::tempdir()?;
        let calls = folder.path().join("calls.csv");
        std::fs::write(
            &calls,
            format!("caller,start_timestamp,end_timestamp\n{rows}"),
        )?;
        let mut out = Vec::new();
        let counts = find_overlaps(&calls, &mut out, &Interrupt::default())?;
        Ok((String::from_utf8(out)?, counts))
    }

    #[test]
    fn only_calls_of_one_caller_that_share_a_moment_overlap() -> Result<()> {
        let (lines, counts) = run("a,0,5000\nb,1000,9000\na,5000,60000\na,4000,6000\n")?;
        assert_eq!(
            lines,
            "a is in two calls at 1970-01-01T00:00:04Z for 1s\n\
             a is in two calls at 1970-01-01T00:00:05Z for 1s\n"
        );
        assert_eq!((counts.calls, counts.overlaps), (4, 2));
        Ok(())
    }

    #[test]
    fn a_call_below_the_watermark_is_counted_and_dropped() -> Result<()> {
        let (lines, counts) = run("a,0,5000\nb,30000,30001\na,1000,2000\n,1,2\n")?;
        assert_eq!((lines.as_str(), counts.late, counts.nulls), ("", 1, 1));
        Ok(())
    }

    #[test]
    fn a_call_that_cannot_be_read_ends_the_run_with_its_line() {
        let error = run("a,0,5000\na,soon,2000\n").expect_err("no time");
        assert!(error.to_string().contains("calls.csv, line 3"), "{error}");
    }
}
