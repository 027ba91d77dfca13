//! `k gen`: options → generator, pacer, files → summary.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cdr::{
    self, Arrival, Chunk, Delay, Departure, Disposition, Format, Generator, Leaves, Order, Recipe,
    Reorder, Rows, Segment,
};
use crate::cli::Context;
use crate::error::{Error, Remedy, Result};
use crate::outlet::Outlet;
use crate::pace::{Pace, Pacer};
use crate::term::progress::Progress;
use crate::term::report::Report;
use crate::term::units;

/// Make calls and the tower segments that carry them.
///
/// Writes mono_signal.csv (call_id, start_timestamp, end_timestamp, start_timestring,
/// end_timestring, caller, callee, disposition), tower.csv (call_id, tower, start_timestamp,
/// end_timestamp) and gen.json, the recipe. Times are ms since 1970, UTC. Call i (from 0) starts
/// i / rate seconds after the first. The segments of a connected call tile it; a call stays with
/// a tower for 60 s on average. Busy and failed calls last 0 ms and have no tower. The same seed
/// and start give the same bytes, whatever the pace, the output and the number of threads.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Calls a second; may be a fraction.
    #[arg(long, value_name = "R", value_parser = above_zero)]
    rate: f64,

    /// For how many seconds calls start; rate × seconds is rounded to whole calls.
    #[arg(long, value_name = "S", value_parser = above_zero)]
    seconds: f64,

    /// The first call's time: ms since 1970, ISO 8601 or relative such as -10m
    /// [default: the run ends now; with a pace, it starts now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<i64>,

    /// Where all randomness comes from [default: another one each time].
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    seed: Option<u64>,

    /// The median of the lognormal durations, before they are cut at the maximum.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = cdr::parse_ms)]
    median_duration: u32,

    /// The standard deviation of the durations' logarithm: 0 makes all alike.
    #[arg(long, value_name = "X", default_value = "1", value_parser = up_to_ten)]
    sigma: f64,

    /// The longest call; longer ones are drawn again.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = cdr::parse_ms)]
    max_duration: u32,

    /// How many subscribers call and are called.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = whole::<u32>)]
    callers: u32,

    /// How many towers there are; with one, a call is one segment.
    #[arg(long, value_name = "N", default_value = "100", value_parser = whole::<u32>)]
    towers: u32,

    /// How unequal callers are: the k-th calls in proportion to 1/k^X (Zipf). 0: all alike.
    #[arg(long, value_name = "X", default_value = "0", value_parser = up_to_ten)]
    skew: f64,

    /// The share of calls that find the callee busy.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = units::parse_share)]
    busy: f64,

    /// The share of calls that fail.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = units::parse_share)]
    failed: f64,

    /// How calls follow one another: evenly, or at random with the same mean rate.
    #[arg(long, value_name = "HOW", value_enum, default_value = "regular")]
    arrivals: Arrival,

    /// When the row of a call leaves: at its start, or at its end as real call records do, so
    /// that start times are out of order. tower.csv is in order of segment starts.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "start")]
    order: Order,

    /// Lets a share of the calls leave later, by up to so much: 5%:30s.
    #[arg(long, value_name = "SHARE:MAX", value_parser = Delay::parse)]
    delay: Option<Delay>,

    /// The share of calls that leave twice, each copy with its own delay.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = units::parse_share)]
    duplicates: f64,

    /// Adds arrival_timestamp to the calls: when the row leaves.
    #[arg(long)]
    with_arrival: bool,

    /// How fast rows leave: none (at once), real (when due) or a speed such as 60x.
    #[arg(long, value_name = "PACE", default_value = "none", value_parser = Pace::parse)]
    pace: Pace,

    /// The folder for the files, or - for the calls alone on stdout.
    #[arg(long, value_name = "DIR|-", default_value = "data")]
    out: PathBuf,

    /// Calls (mono) or segments (tower) alone.
    #[arg(long, value_name = "WHICH", value_enum)]
    only: Option<Only>,

    /// CSV with a header, or JSON lines (mono_signal.jsonl, tower.jsonl).
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,

    /// Threads that generate [default: one a processor].
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

/// One of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// The calls.
    Mono,
    /// The tower segments.
    Tower,
}

fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        Ok(_) => Err("a number above zero is needed".to_owned()),
        Err(_) => Err("write a number without a unit, such as `100` or `0.5`".to_owned()),
    }
}

fn up_to_ten(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=10.0).contains(&value) => Ok(value),
        Ok(_) => Err("a number from 0 to 10 is needed".to_owned()),
        Err(_) => Err("write a number, such as `1` or `0.5`".to_owned()),
    }
}

fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let bits = 8 * size_of::<T>();
    text.parse()
        .map_err(|_| format!("write a whole number from 0 to 2^{bits} - 1, such as `100`"))
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=256) => Ok(count),
        _ => Err("write a number of threads from 1 to 256".to_owned()),
    }
}

fn time(text: &str) -> Result<i64, String> {
    units::parse_time(text, units::now_ms())
}

impl Options {
    fn recipe(&self) -> Recipe {
        let now = units::now_ms();
        let start_timestamp = self.start.unwrap_or_else(|| match self.pace {
            Pace::None => {
                // On the second, so that windows of whole seconds are full ones.
                let first = now.saturating_sub((self.seconds * 1_000.0) as i64);
                first.div_euclid(units::SECOND) * units::SECOND
            }
            Pace::Speed(_) => now,
        });
        Recipe {
            seed: self.seed.unwrap_or_else(|| rand::random::<u32>().into()),
            start_timestamp,
            rate: self.rate,
            seconds: self.seconds,
            median_duration_ms: self.median_duration,
            sigma: self.sigma,
            max_duration_ms: self.max_duration,
            callers: self.callers,
            towers: self.towers,
            skew: self.skew,
            busy: self.busy,
            failed: self.failed,
            arrivals: self.arrivals,
            order: self.order,
            delay: self.delay,
            duplicates: self.duplicates,
            with_arrival: self.with_arrival,
        }
    }
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    let generator = Generator::new(options.recipe())?;
    let outputs = Outputs::open(&options, generator.recipe(), context)?;
    let job = Job {
        watch: Watch::new(&outputs, generator.recipe().calls(), &context.report),
        generator,
        format: options.format,
        pace: options.pace,
        threads: options
            .threads
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, std::num::NonZero::get)),
        pacer: Pacer::start(context.interrupt.clone()),
        failure: OnceLock::new(),
    };
    let Outputs {
        calls,
        segments,
        to,
    } = outputs;
    let mut calls = calls.map(|outlet| Stream::new(&job, Only::Mono, outlet));
    let mut segments = segments.map(|outlet| Stream::new(&job, Only::Tower, outlet));
    thread::scope(|scope| {
        if let Some(segments) = &mut segments {
            scope.spawn(|| job.note(job.write_segments(segments)));
        }
        if let Some(calls) = &mut calls {
            job.note(job.write_calls(calls));
        }
    });
    let tallies = [calls, segments].map(|stream| stream.map(Stream::into_tally));
    let elapsed = job.pacer.elapsed();
    drop(job.watch);
    let summary = Summary {
        recipe: job.generator.recipe(),
        tallies,
        to,
        elapsed,
        is_complete: job.failure.get().is_none(),
    };
    match job.failure.into_inner() {
        None => {
            summary.show(&context.report);
            Ok(())
        }
        Some(error) => {
            if let Remedy::Stopped(_) = error.remedy() {
                context.report.status("stopped before the end");
                summary.show(&context.report);
            }
            Err(error)
        }
    }
}

/// Where rows go.
struct Outputs {
    calls: Option<Outlet>,
    segments: Option<Outlet>,
    /// What they are called in the summary: calls, segments.
    to: [String; 2],
}

/// The recipe's file: what a truth is computed from, and what was asked for.
#[derive(Serialize)]
struct RecipeFile<'a> {
    version: &'static str,
    calls: u64,
    format: Format,
    #[serde(flatten)]
    recipe: &'a Recipe,
}

impl Outputs {
    fn open(options: &Options, recipe: &Recipe, context: &Context) -> Result<Self> {
        let interrupt = || context.interrupt.clone();
        let stdout = "stdout".to_owned();
        if options.out == Path::new("-") {
            let outlet = Outlet::stdout(interrupt())?;
            let (calls, segments) = match options.only {
                Some(Only::Tower) => (None, Some(outlet)),
                Some(Only::Mono) | None => (Some(outlet), None),
            };
            return Ok(Outputs {
                calls,
                segments,
                to: [stdout.clone(), stdout],
            });
        }
        let folder = &options.out;
        make_folder(folder)?;
        let ending = match options.format {
            Format::Csv => "csv",
            Format::Json => "jsonl",
        };
        let paths = ["mono_signal", "tower"].map(|name| folder.join(format!("{name}.{ending}")));
        let open = |which: Only, path: &Path| match options.only {
            Some(only) if only != which => Ok(None),
            _ => Outlet::create(path, interrupt()).map(Some),
        };
        let (calls, segments) = (open(Only::Mono, &paths[0])?, open(Only::Tower, &paths[1])?);
        write_recipe(&folder.join("gen.json"), options.format, recipe)?;
        let to = paths.map(|path| path.display().to_string());
        Ok(Outputs {
            calls,
            segments,
            to,
        })
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    let ending = folder.extension().and_then(|ending| ending.to_str());
    let is_folder = folder.is_dir();
    if !is_folder && (folder.exists() || matches!(ending, Some("csv" | "json" | "jsonl"))) {
        return Err(
            Error::usage(format!("`--out {shown}` is not a folder")).hint(format!(
                "for the calls alone in a file: `k gen … --out - > {shown}`"
            )),
        );
    }
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::io(format!("make the folder `{shown}`"), source))
}

fn write_recipe(path: &Path, format: Format, recipe: &Recipe) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let file = RecipeFile {
        version,
        calls: recipe.calls(),
        format,
        recipe,
    };
    let text = serde_json::to_string_pretty(&file)
        .map_err(|source| Error::bug("a recipe that is no JSON").caused_by(source))?;
    std::fs::write(path, text + "\n")
        .map_err(|source| Error::io(format!("write `{}`", path.display()), source))
}

/// What the streams of one run share.
struct Job {
    generator: Generator,
    format: Format,
    pace: Pace,
    threads: usize,
    pacer: Pacer,
    /// The first error of any stream; the others stop at their next write.
    failure: OnceLock<Error>,
    watch: Watch,
}

/// What some thread made of a chunk.
struct Product<T> {
    rows: T,
    /// No later chunk has a row that leaves before.
    horizon: i64,
}

impl Job {
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.failure.set(error).unwrap_or(()); // another stream was first
        }
    }

    fn recipe(&self) -> &Recipe {
        self.generator.recipe()
    }

    /// Writes the calls: straight from the threads where they leave at once and in order.
    fn write_calls(&self, stream: &mut Stream) -> Result<()> {
        stream.start(stream.rows.call_header())?;
        if self.pace == Pace::None && !self.recipe().reorders() {
            return self.write_calls_at_once(stream);
        }
        let mut newest = i64::MIN;
        self.write_ordered(
            stream,
            |chunk, rows| self.generator.departures_into(chunk, rows),
            |departure: &Departure, stream| {
                let Departure { leaves, call } = departure;
                let behind = newest.saturating_sub(call.start);
                newest = newest.max(call.start);
                stream.pending.count(call.disposition);
                if behind > 0 {
                    stream.pending.out_of_order += 1;
                    stream.pending.furthest_ms = stream.pending.furthest_ms.max(behind);
                }
                stream.rows.call(call, *leaves, &mut stream.text);
            },
        )
    }

    fn write_calls_at_once(&self, stream: &mut Stream) -> Result<()> {
        let new = || {
            (
                Rows::new(self.recipe(), self.format),
                Vec::new(),
                Tally::default(),
            )
        };
        let make = |chunk: &Chunk, (rows, text, tally): &mut (Rows, Vec<u8>, Tally)| {
            text.clear();
            *tally = Tally::default();
            for call in self.generator.calls(chunk) {
                tally.count(call.disposition);
                rows.call(&call, call.start, text);
            }
        };
        cdr::in_order(
            self.recipe(),
            self.threads,
            new,
            make,
            |(_, text, tally)| {
                stream.write(text, tally)?;
                self.watch.advance(stream.which, stream.tally.rows);
                Ok(())
            },
        )
    }

    /// Writes the tower segments in order of their starts.
    fn write_segments(&self, stream: &mut Stream) -> Result<()> {
        stream.start(stream.rows.segment_header())?;
        self.write_ordered(
            stream,
            |chunk, rows| self.generator.segments_into(chunk, rows),
            |segment: &Segment, stream| {
                stream.pending.rows += 1;
                stream.rows.segment(segment, &mut stream.text);
            },
        )
    }

    /// Writes rows in the order they leave, each when it is due.
    fn write_ordered<T: Leaves + Send>(
        &self,
        stream: &mut Stream,
        fill: impl Fn(&Chunk, &mut Vec<T>) + Sync,
        mut push: impl FnMut(&T, &mut Stream),
    ) -> Result<()> {
        // A bucket holds about as many rows as a chunk.
        let bucket_ms = cdr::CHUNK as f64 / self.recipe().rate * 1_000.0;
        let mut reorder = Reorder::new(bucket_ms as i64);
        let mut due = Vec::new();
        let new = || Product {
            rows: Vec::new(),
            horizon: i64::MIN,
        };
        let make = |chunk: &Chunk, product: &mut Product<Vec<T>>| {
            product.horizon = chunk.starts.last().copied().unwrap_or(i64::MIN);
            fill(chunk, &mut product.rows);
        };
        let mut leave = |reorder: &mut Reorder<T>, horizon: i64| {
            while reorder.next_before(horizon, &mut due) {
                due.iter()
                    .try_for_each(|row| self.leave(row, stream, &mut push))?;
                stream.flush()?;
            }
            Ok(())
        };
        cdr::in_order(self.recipe(), self.threads, new, make, |product| {
            reorder.push_all(&mut product.rows);
            leave(&mut reorder, product.horizon)
        })?;
        leave(&mut reorder, i64::MAX)
    }

    /// Waits until a row is due, and adds it to what is written next.
    fn leave<T: Leaves>(
        &self,
        row: &T,
        stream: &mut Stream,
        push: &mut impl FnMut(&T, &mut Stream),
    ) -> Result<()> {
        let (leaves, call_id) = row.leaves();
        if self.pace != Pace::None {
            let due_after = self.pace.due_after(leaves - self.recipe().start_timestamp);
            if due_after > stream.now {
                stream.flush()?;
                self.pacer.wait_until(due_after)?;
                stream.now = self.pacer.elapsed();
            }
        }
        push(row, stream);
        stream.calls_seen = stream.calls_seen.max(call_id + 1);
        match stream.text.len() < WRITE_AT {
            true => Ok(()),
            false => stream.flush(),
        }
    }
}

/// Rows are handed on before they fill more than this.
const WRITE_AT: usize = 256 << 10;

/// What was written, or is about to be.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    rows: u64,
    /// Rows by disposition.
    dispositions: [u64; 3],
    /// Rows that leave after one that starts later.
    out_of_order: u64,
    /// How far the worst of them lies behind the newest start.
    furthest_ms: i64,
    bytes: u64,
}

impl Tally {
    fn count(&mut self, disposition: Disposition) {
        self.rows += 1;
        self.dispositions[disposition as usize] += 1;
    }

    fn add(&mut self, other: &Tally) {
        self.rows += other.rows;
        for (sum, count) in self.dispositions.iter_mut().zip(other.dispositions) {
            *sum += count;
        }
        self.out_of_order += other.out_of_order;
        self.furthest_ms = self.furthest_ms.max(other.furthest_ms);
    }
}

/// One output on its way: rows become text, text is written, written rows are counted.
struct Stream<'a> {
    job: &'a Job,
    which: Only,
    outlet: Outlet,
    rows: Rows,
    text: Vec<u8>,
    /// Counts what is in `text`.
    pending: Tally,
    /// Counts what is written.
    tally: Tally,
    /// How long the run had lasted when the stream last waited.
    now: Duration,
    /// The number of calls that have begun to leave.
    calls_seen: u64,
}

impl<'a> Stream<'a> {
    fn new(job: &'a Job, which: Only, outlet: Outlet) -> Self {
        Stream {
            job,
            which,
            outlet,
            rows: Rows::new(job.recipe(), job.format),
            text: Vec::new(),
            pending: Tally::default(),
            tally: Tally::default(),
            now: Duration::ZERO,
            calls_seen: 0,
        }
    }

    /// Writes the header at once: whoever follows learns the columns before the first row.
    fn start(&mut self, header: &str) -> Result<()> {
        self.write(header.as_bytes(), &Tally::default())
    }

    fn flush(&mut self) -> Result<()> {
        let (text, pending) = (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.pending),
        );
        self.write(&text, &pending)?;
        self.text = text;
        self.text.clear();
        self.job.watch.advance(self.which, self.calls_seen);
        Ok(())
    }

    /// Writes rows that `counted` counts.
    fn write(&mut self, text: &[u8], counted: &Tally) -> Result<()> {
        if self.job.failure.get().is_some() {
            return Err(Error::bug(
                "another output failed first, and its error is shown",
            ));
        }
        self.outlet.write(text)?;
        self.tally.add(counted);
        Ok(())
    }

    fn into_tally(self) -> Tally {
        Tally {
            bytes: self.outlet.written(),
            ..self.tally
        }
    }
}

/// Shows a bar once the run has lasted a second.
struct Watch {
    report: Report,
    total: u64,
    started: Instant,
    /// Calls that have left, by output; the slower one is shown.
    done: [AtomicU64; 2],
    bar: Mutex<Option<Progress>>,
}

impl Watch {
    fn new(outputs: &Outputs, total: u64, report: &Report) -> Self {
        let done = [outputs.calls.is_some(), outputs.segments.is_some()];
        Watch {
            report: report.clone(),
            total,
            started: Instant::now(),
            done: done.map(|used| AtomicU64::new(if used { 0 } else { u64::MAX })),
            bar: Mutex::new(None),
        }
    }

    fn advance(&self, which: Only, calls: u64) {
        const PATIENCE: Duration = Duration::from_secs(1);
        self.done[which as usize].store(calls, Ordering::Relaxed);
        if self.started.elapsed() < PATIENCE {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar =
            bar.get_or_insert_with(|| Progress::new(&self.report, "generating", Some(self.total)));
        let done = self.done.iter().map(|done| done.load(Ordering::Relaxed));
        bar.set(done.min().unwrap_or(0));
    }
}

/// What a person is told at the end.
struct Summary<'a> {
    recipe: &'a Recipe,
    /// Calls and segments, where they were asked for.
    tallies: [Option<Tally>; 2],
    to: [String; 2],
    elapsed: Duration,
    /// Whether nothing ended the run before its time.
    is_complete: bool,
}

impl Summary<'_> {
    fn show(&self, report: &Report) {
        let [calls, segments] = &self.tallies;
        let counts = [
            calls.as_ref().map(|tally| (self.count_calls(tally), tally)),
            segments
                .as_ref()
                .map(|tally| (units::format_plural(tally.rows, "tower segment"), tally)),
        ];
        let written: Vec<String> = counts
            .into_iter()
            .zip(&self.to)
            .filter_map(|(count, to)| {
                let (count, tally) = count?;
                Some(format!(
                    "{count} to {to} ({})",
                    units::format_bytes(tally.bytes)
                ))
            })
            .collect();
        let rows: u64 = self.tallies.iter().flatten().map(|tally| tally.rows).sum();
        let seconds = self.elapsed.as_secs_f64();
        report.status(format!("wrote {}", written.join(" and ")));
        if let Some(calls) = &self.tallies[0] {
            report.status(self.dispositions(calls));
        }
        report.status(format!(
            "took {seconds:.3} s, {}",
            units::format_rate(rows as f64 / seconds.max(1e-9)),
        ));
        report.status(format!(
            "the same again with `--seed {} --start {}`",
            self.recipe.seed,
            units::format_time(self.recipe.start_timestamp)
        ));
    }

    /// Returns `100 calls`, or `110 rows (100 calls, 10 of them twice)`.
    fn count_calls(&self, tally: &Tally) -> String {
        if self.recipe.duplicates == 0.0 {
            return units::format_plural(tally.rows, "call");
        }
        let rows = units::format_plural(tally.rows, "row");
        match tally.rows.checked_sub(self.recipe.calls()) {
            Some(copies) if self.is_complete => format!(
                "{rows} ({}, {} of them twice)",
                units::format_plural(self.recipe.calls(), "call"),
                units::format_count(copies)
            ),
            _ => format!("{rows} of calls"),
        }
    }

    /// Returns `80 connected, 10 busy, 10 failed; 3 out of order, by up to 1m30s`.
    fn dispositions(&self, calls: &Tally) -> String {
        let counts: Vec<String> = Disposition::ALL
            .iter()
            .zip(calls.dispositions)
            .map(|(disposition, count)| {
                format!("{} {}", units::format_count(count), disposition.name())
            })
            .collect();
        let order = match calls.out_of_order {
            0 => "none out of order".to_owned(),
            count => format!(
                "{} out of order, by up to {}",
                units::format_count(count),
                units::format_duration(calls.furthest_ms)
            ),
        };
        format!("{}; {order}", counts.join(", "))
    }
}
