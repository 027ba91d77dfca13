//! `k gen`: options → generator, pacer, files → summary.

mod job;
mod summary;

use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use self::job::{Job, Tally};
use self::summary::Summary;
use crate::cdr::{self, Arrival, Delay, Format, Generator, Order, RECIPE_FILE, Recipe};
use crate::cli::endpoint::{self, Endpoint};
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::outlet::{Outlet, replace};
use crate::pace::Pace;
use crate::term::units;

/// Make calls and the tower segments that carry them.
///
/// Writes mono_signal.csv (call_id, start_timestamp, end_timestamp, start_timestring,
/// end_timestring, caller, callee, disposition), tower.csv (call_id, tower, start_timestamp,
/// end_timestamp) and the recipe gen.json: all parameters, the files it describes, and whether the
/// run was completed. Times are ms since 1970, UTC. Call i (from 0) starts i / rate seconds after
/// the first one. A connected call consists of segments without gaps, one per tower, of 60 s on
/// average. Busy and failed calls last 0 ms and have no tower. The same seed and start give the
/// same bytes, whatever the pace, output and number of threads.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Options {
    /// Calls per second; may be a fraction.
    #[arg(long, value_name = "R", value_parser = above_zero)]
    rate: f64,

    /// Make calls for this many seconds; rate × seconds is rounded to whole calls.
    #[arg(long, value_name = "S", value_parser = above_zero)]
    seconds: f64,

    /// When the first call starts: ms since 1970, ISO 8601, or relative such as -10m [default: so
    /// that the run ends now; with a pace, now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<i64>,

    /// The seed of all random values [default: a new one each time].
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    seed: Option<u64>,

    /// The median of the lognormal durations, before the limit of `--max-duration`.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = cdr::parse_ms)]
    median_duration: u32,

    /// The standard deviation of the logarithm of durations; 0: all the same.
    #[arg(long, value_name = "X", default_value = "1", value_parser = up_to_ten)]
    sigma: f64,

    /// The longest call; longer ones are drawn again.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = cdr::parse_ms)]
    max_duration: u32,

    /// The number of subscribers who call and are called.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = whole::<u32>)]
    callers: u32,

    /// The number of towers; with one, a call is one segment.
    #[arg(long, value_name = "N", default_value = "100", value_parser = whole::<u32>)]
    towers: u32,

    /// How unequal callers are: the k-th one calls in proportion to 1/k^X (Zipf); 0: all the same.
    #[arg(long, value_name = "X", default_value = "0", value_parser = up_to_ten)]
    skew: f64,

    /// The share of calls that find the callee busy.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = units::parse_share)]
    busy: f64,

    /// The share of calls that fail.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = units::parse_share)]
    failed: f64,

    /// How calls are spaced: evenly, or at random with the same mean rate.
    #[arg(long, value_name = "HOW", value_enum, default_value = "regular")]
    arrivals: Arrival,

    /// When the row of a call is written: at its start, or at its end like real call records, so
    /// that start times are out of order. tower.csv is always in order of segment starts.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "start")]
    order: Order,

    /// Write a share of the calls later, by up to this long, 5%:30s, or by a distribution with a long
    /// tail: 5%:pareto(1s,2) (scale, shape), 5%:exp(10s) (mean), 5%:lognormal(2s,1) (median, sigma). No
    /// delay is longer than 30 days.
    #[arg(long, value_name = "SHARE:DELAY", value_parser = Delay::parse)]
    delay: Option<Delay>,

    /// The share of calls that are written twice, each copy with its own delay.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = units::parse_share)]
    duplicates: f64,

    /// Add a column arrival_timestamp to the calls: when the row is written.
    #[arg(long)]
    with_arrival: bool,

    /// How fast rows are written: none (at once), real (when due) or a speed such as 60x. The
    /// segments of a call are written until it ends, so the run continues after the last call has
    /// started, and prints until when. Ctrl-C ends it with status 130: what is written stays, and
    /// gen.json says how many rows there are and that the run is not `complete`.
    #[arg(long, value_name = "PACE", default_value = "none", value_parser = Pace::parse)]
    pace: Pace,

    /// The folder for the files, or - to write only the calls to stdout.
    #[arg(long, value_name = "DIR|-", default_value = "data")]
    out: PathBuf,

    /// Write only calls (mono) or only segments (tower).
    #[arg(long, value_name = "WHICH", value_enum)]
    only: Option<Only>,

    /// CSV with a header, or JSON lines (mono_signal.jsonl, tower.jsonl).
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,

    /// The number of threads [default: one per processor].
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  k gen --rate 100 --seconds 60
          data/mono_signal.csv, data/tower.csv and data/gen.json
  k gen --rate 100 --seconds 60 --out - | k window --tumbling 10s
          directly into windows
  k gen --rate 20 --seconds 600 --pace 60x --order end --out -
          sixty times faster than real time, each row when its call ends
  k gen --rate 100 --seconds 600 --delay '5%:pareto(1s,2)' --with-arrival
          most of the late rows by seconds, a few by far more";

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
        Ok(_) => Err("the number must be above zero".to_owned()),
        Err(_) => Err("write a number without a unit, such as `100` or `0.5`".to_owned()),
    }
}

fn up_to_ten(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=10.0).contains(&value) => Ok(value),
        Ok(_) => Err("the number must be from 0 to 10".to_owned()),
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
    /// Returns whether a progress bar is possible: rows go to files, not to a terminal or to a pipe
    /// whose reader may write to the same terminal.
    fn has_bar(&self) -> bool {
        let status = rustix::fs::fstat(rustix::stdio::stdout());
        let is_file = |mode| rustix::fs::FileType::from_raw_mode(mode).is_file();
        self.out != Path::new("-") || status.is_ok_and(|status| is_file(status.st_mode))
    }

    fn recipe(&self) -> Recipe {
        let now = units::now_ms();
        let start_timestamp = self.start.unwrap_or_else(|| match self.pace {
            Pace::None => {
                // On a full second, so that windows of whole seconds are full.
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
    let threads = options
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let job = Job::new(
        &generator,
        options.format,
        options.pace,
        threads,
        options.has_bar(),
        context,
    );
    let (written, result) = job.run(outputs.calls, outputs.segments);
    let stopped = match &result {
        Ok(()) => false,
        Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => true,
        Err(_) => return result,
    };
    if let Some(recipe_file) = outputs.recipe_file {
        let rows = |tally: &Option<Tally>| tally.as_ref().map(|tally| tally.rows);
        recipe_file.write(&RecipeText {
            complete: !stopped,
            written_calls: rows(&written.calls),
            written_segments: rows(&written.segments),
            ..recipe_file.begun(&options, generator.recipe())
        })?;
    }
    if stopped {
        context.report.status("stopped before the end");
    }
    let summary = Summary {
        recipe: generator.recipe(),
        written: &written,
        to: &outputs.to,
        is_complete: !stopped,
    };
    summary.show(&context.report);
    result
}

/// Where rows go.
struct Outputs {
    calls: Option<Outlet>,
    segments: Option<Outlet>,
    /// Their name in the summary: calls, segments.
    to: [String; 2],
    /// The file of the recipe, if rows go to a folder.
    recipe_file: Option<RecipeFile>,
}

/// The file `gen.json` and what it describes.
struct RecipeFile {
    path: PathBuf,
    /// Names in the same folder.
    describes: Vec<String>,
}

/// The content of `gen.json`: what the truth is computed from, and the outcome of the run.
#[derive(Serialize)]
struct RecipeText<'a> {
    version: &'static str,
    files: &'a [String],
    /// False until the run has ended.
    complete: bool,
    /// Rows in the files, including copies; null during the run, and for a file that is not
    /// written.
    written_calls: Option<u64>,
    written_segments: Option<u64>,
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
                recipe_file: None,
            });
        }
        let folder = &options.out;
        make_folder(folder)?;
        let is_wanted = |which: Only| options.only.is_none_or(|only| only == which);
        let wanted = [Only::Mono, Only::Tower].map(is_wanted);
        let paths = names(options.format).map(|name| folder.join(name));
        let recipe_file = RecipeFile {
            path: folder.join(RECIPE_FILE),
            describes: names(options.format)
                .into_iter()
                .zip(wanted)
                .filter(|(_, is_wanted)| *is_wanted)
                .map(|(name, _)| name.to_owned())
                .collect(),
        };
        recipe_file.refuse_collisions(folder)?;
        let open = |nth: usize| {
            let path = wanted[nth].then(|| &paths[nth]);
            path.map(|path| Outlet::open(path, interrupt())).transpose()
        };
        let (calls, segments) = (open(0)?, open(1)?);
        // The recipe first: if the run is killed, it must not be an older one.
        recipe_file.write(&recipe_file.begun(options, recipe))?;
        [&calls, &segments]
            .into_iter()
            .flatten()
            .try_for_each(Outlet::empty)?;
        recipe_file.warn_of_older_files(folder, context);
        let to = paths.map(|path| path.display().to_string());
        Ok(Outputs {
            calls,
            segments,
            to,
            recipe_file: Some(recipe_file),
        })
    }
}

/// Returns the names of the files of calls and of segments.
fn names(format: Format) -> [&'static str; 2] {
    match format {
        Format::Csv => ["mono_signal.csv", "tower.csv"],
        Format::Json => ["mono_signal.jsonl", "tower.jsonl"],
    }
}

impl RecipeFile {
    /// Returns its content during the run.
    fn begun<'a>(&'a self, options: &Options, recipe: &'a Recipe) -> RecipeText<'a> {
        RecipeText {
            version: env!("CARGO_PKG_VERSION"),
            files: &self.describes,
            complete: false,
            written_calls: None,
            written_segments: None,
            calls: recipe.calls(),
            format: options.format,
            recipe,
        }
    }

    fn write(&self, text: &RecipeText<'_>) -> Result<()> {
        let text = serde_json::to_string_pretty(text)
            .map_err(|source| Error::bug("a recipe that is not JSON").caused_by(source))?;
        replace(&self.path, &(text + "\n"))
            .map_err(|source| Error::io(format!("write `{}`", self.path.display()), source))
    }

    /// Refuses a folder in which two of the files are the same one through a link.
    fn refuse_collisions(&self, folder: &Path) -> Result<()> {
        let files = self.describes.iter().map(|name| folder.join(name));
        let files: Vec<Endpoint> = files
            .chain([self.path.clone()])
            .map(Endpoint::File)
            .collect();
        endpoint::refuse_collisions(&[], files.iter().map(|file| ("--out", file)))
    }

    /// Warns about files of an earlier run beside those that the recipe describes.
    fn warn_of_older_files(&self, folder: &Path, context: &Context) {
        let ours = [Format::Csv, Format::Json].into_iter().flat_map(names);
        let older: Vec<String> = ours
            .filter(|name| !self.describes.iter().any(|described| described == name))
            .map(|name| folder.join(name))
            .filter(|path| path.exists())
            .map(|path| format!("`{}`", path.display()))
            .collect();
        if !older.is_empty() {
            context.report.warning(format!(
                "of an earlier run, and not what `{}` describes: {}",
                self.path.display(),
                older.join(", ")
            ));
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    let is_folder = folder.is_dir();
    if !is_folder && (folder.exists() || endpoint::has_ending_of_file(folder)) {
        return Err(
            Error::usage(format!("`--out {shown}` is not a folder")).hint(format!(
                "to write only the calls to a file: `k gen … --out - > {shown}`"
            )),
        );
    }
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::io(format!("create the folder `{shown}`"), source))
}
