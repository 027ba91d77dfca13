//! Why no rows leave: which window waits for which watermark, and what holds it back.
//!
//! In: an operator's state and what is known of its source. Out: a sentence for the person who
//! waits, and when to print it.

use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::engine::account::Account;
use crate::engine::operator::{Awaited, Operator};
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::{BEGINNING, END, Watermarks};
use crate::engine::window::ALL_TIME;
use crate::source::Source;
use crate::term::report::Report;
use crate::term::units::{SECOND, format_count, format_duration, format_plural, format_time};

/// How long a run may show no row before the reason is reported; and how long after that again.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a run may wait for its first record before that is reported.
const FIRST_SILENCE: Duration = Duration::from_secs(5);

/// Someone who watches stderr and wonders when no row comes.
#[derive(Debug)]
pub struct Watch {
    report: Report,
    /// When the last row came, or the run began.
    row: Instant,
    told: Instant,
    /// The command that tells more.
    more: Option<String>,
}

impl Watch {
    /// Returns a watch if stderr is a terminal and not quiet.
    pub fn new(report: &Report) -> Option<Self> {
        let watched = std::io::stderr().is_terminal() && !report.is_quiet();
        let now = Instant::now();
        watched.then(|| Watch {
            report: report.clone(),
            row: now,
            told: now,
            more: None,
        })
    }

    /// Says at the end which command tells more.
    #[must_use]
    pub fn with_more(mut self, command: String) -> Self {
        self.more = Some(command);
        self
    }

    /// Notes that a row came.
    pub fn row(&mut self) {
        self.row = Instant::now();
    }

    /// Returns whether it is time to say something.
    pub fn is_due(&self) -> bool {
        self.row.elapsed() >= SILENCE && self.told.elapsed() >= SILENCE
    }

    /// Says why no row comes.
    pub fn tell(&mut self, operator: &Operator, source: &dyn Source) {
        self.told = Instant::now();
        let at_end = |partition| source.at_end(partition);
        let reason = reason(operator, &source.name(), at_end);
        let silent = self.silent();
        let more = self.more.as_ref();
        let more = more.map_or(String::new(), |command| format!("; `{command}` tells more"));
        self.report
            .status(format!("no row for {silent}: {reason}{more}"));
    }

    /// Returns for how long no row has come, in whole seconds.
    fn silent(&self) -> String {
        format_duration(self.row.elapsed().as_secs() as i64 * SECOND)
    }
}

/// Waits for something to come in, and reports now and then that nothing does, if there is a watch.
pub fn while_waiting<T>(report: &Report, source: &str, wait: impl FnOnce() -> T) -> T {
    let Some(watch) = Watch::new(report) else {
        return wait();
    };
    let (came, coming) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let patience = || {
                if watch.row.elapsed() < FIRST_SILENCE {
                    FIRST_SILENCE
                } else {
                    SILENCE
                }
            };
            while coming.recv_timeout(patience()) == Err(RecvTimeoutError::Timeout) {
                let silent = watch.silent();
                let nothing = format!("no record from {source} for {silent}");
                watch.report.status(nothing);
            }
        });
        let waited = wait();
        drop(came); // ends the thread
        waited
    })
}

/// Returns why no row comes. `at_end` says of a partition whether everything known to be in it
/// was read.
pub fn reason(operator: &Operator, source: &str, at_end: impl Fn(usize) -> bool) -> String {
    let account = operator.account();
    match operator.awaited() {
        Some(awaited) => {
            let held = held_back(operator.watermarks(), awaited.watermark, &at_end);
            let sooner = sooner(operator.trigger());
            let mut partitions = 0..operator.watermarks().partitions();
            // Only a topic has an end for now.
            let way_out = if partitions.all(at_end) {
                "; `--exit` ends at what the topic holds now"
            } else {
                ""
            };
            format!("{}{held}{sooner}{way_out}", waiting(&awaited))
        }
        None if account.records() == 0 => format!("no record from {source} yet"),
        None => no_window(account),
    }
}

/// Says which window waits for what.
fn waiting(awaited: &Awaited) -> String {
    let Awaited {
        window,
        watermark,
        windows,
    } = *awaited;
    let name = match window {
        ALL_TIME => "the global window".to_owned(),
        window => format!(
            "window {} to {}",
            format_time(window.start),
            format_time(window.end)
        ),
    };
    let others = match windows {
        1 => String::new(),
        windows => format!(" (and {} more)", format_count(windows as u64 - 1)),
    };
    match watermark {
        END => format!("{name}{others} waits for the end of the input"),
        at if at > window.end => format!(
            "{name}{others} waits for the watermark to reach {}, {} after its end",
            format_time(at),
            format_duration(at - window.end)
        ),
        at => format!(
            "{name}{others} waits for the watermark to reach {}",
            format_time(at)
        ),
    }
}

/// Says where the watermark is, which partition holds it there, and what would move it.
pub fn held_back(watermarks: &Watermarks, wanted: i64, at_end: impl Fn(usize) -> bool) -> String {
    if wanted == END {
        return String::new();
    }
    // Where all are silent, the one that is furthest ahead counts.
    let furthest_ahead =
        || (0..watermarks.partitions()).max_by_key(|&partition| watermarks.of(partition));
    let behind = watermarks.furthest_behind();
    let Some(partition) = behind.or_else(furthest_ahead) else {
        return String::new();
    };
    let stands = match watermarks.combined() {
        BEGINNING => "; there is none yet".to_owned(),
        at => format!("; it is at {}", format_time(at)),
    };
    let (reached, high) = (watermarks.of(partition), watermarks.high(partition));
    // As far as the watermark stays behind the highest time now.
    let needed = match high {
        BEGINNING => wanted,
        high => wanted.saturating_add(high.saturating_sub(reached).max(0)),
    };
    let needs = format!("a record of {} or later", format_time(needed));
    if behind.is_none() && watermarks.partitions() > 1 {
        return format!(
            "{stands}, all partitions are silent, and {needs} in any would advance it that far"
        );
    }
    if watermarks.partitions() == 1 {
        return format!("{stands}, and {needs} would advance it that far");
    }
    let brought = match reached {
        BEGINNING => "has brought nothing yet",
        _ => "needs",
    };
    let needs = match reached {
        BEGINNING => String::new(),
        _ => format!(" {needs}"),
    };
    let idle = if at_end(partition) {
        "; once it is at its end, only for `--idle`"
    } else {
        ""
    };
    format!("{stands}, held back by partition {partition}, which {brought}{needs}{idle}")
}

/// Says what else makes rows leave before a window closes.
fn sooner(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Panes { early, .. } if early.count.is_some() || early.every_ms.is_some() => {
            format!("; before that, `{early}` shows rows as records come")
        }
        _ => String::new(),
    }
}

/// Says where the records went that are in no open window.
fn no_window(account: &Account) -> String {
    let gone = [
        (account.expired, "expired"),
        (account.filtered, "filtered"),
        (account.malformed, "malformed"),
        (account.ahead, "ahead of their arrival"),
    ];
    let gone: Vec<String> = gone
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, outcome)| format!("{} {outcome}", format_count(count)))
        .collect();
    let records = format_plural(account.records(), "record");
    if gone.is_empty() {
        format!("no window is open, and no record has come after {records}")
    } else {
        format!("no window is open: of {records} {}", gone.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::aggregate::Function;
    use crate::engine::operator::{Input, Noted, Settings};
    use crate::engine::pane::journal::Misfit;
    use crate::engine::pane::{Panes, Refinement};
    use crate::engine::watermark::Bound;
    use crate::engine::window::{Aligned, Windows};

    fn operator(windows: Windows, grace_ms: i64, trigger: &str, partitions: usize) -> Operator {
        let settings = Settings {
            windows,
            grace_ms,
            bound: Bound::Fixed(2_000),
            trigger: trigger.parse().expect(trigger),
            refinement: Refinement::Accumulating,
            aggregates: vec![Function::Count.accumulator(None).expect("a function")],
            distinct: None,
        };
        Operator::new(settings, partitions)
    }

    fn tumbling() -> Windows {
        Windows::Aligned(Aligned::tumbling(10_000).expect("a size"))
    }

    fn read(operator: &mut Operator, partition: usize, times: &[i64], selected: bool) {
        let input = Input {
            partition,
            origin: partition as u32,
            first: 0,
            noted: Noted::default(),
            malformed: &[],
            times,
            arrivals: None,
            selected: (!selected).then_some(&[false; 4][..times.len()]),
            keys: &[],
            arguments: &[None],
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: None,
        };
        let taken = operator.on_batch(&input, &mut Panes::default());
        taken.expect("the types of the plan");
    }

    fn why(operator: &Operator) -> String {
        reason(operator, "topic `calls`", |partition| partition == 1)
    }

    #[test]
    fn a_topic_that_is_at_its_end_has_its_way_out() {
        let mut operator = operator(tumbling(), 0, "final", 1);
        read(&mut operator, 0, &[3_000], true);
        let way_out = "would advance it that far; `--exit` ends at what the topic holds now";
        assert!(reason(&operator, "topic `calls`", |_| true).ends_with(way_out));
        assert!(!why(&operator).contains("--exit"), "it is still being read");
    }

    #[test]
    fn where_nothing_came_in_the_source_is_named() {
        let operator = operator(tumbling(), 0, "final", 1);
        assert_eq!(why(&operator), "no record from topic `calls` yet");
    }

    #[test]
    fn the_window_that_leaves_next_and_the_record_that_would_close_it_are_named() {
        let mut operator = operator(tumbling(), 5_000, "final", 1);
        read(&mut operator, 0, &[3_000, 11_000], true);
        assert_eq!(
            why(&operator),
            "window 1970-01-01T00:00:00Z to 1970-01-01T00:00:10Z (and 1 more) waits for the \
             watermark to reach 1970-01-01T00:00:15Z, 5s after its end; it is at \
             1970-01-01T00:00:09Z, and a record of 1970-01-01T00:00:17Z or later would advance it \
             that far"
        );
    }

    #[test]
    fn a_window_that_has_shown_its_pane_waits_for_its_grace_behind_one_that_has_not() {
        let mut operator = operator(tumbling(), 60_000, "early(count 5) watermark", 1);
        read(&mut operator, 0, &[3_000, 13_000], true);
        let told = why(&operator);
        assert!(
            told.starts_with("window 1970-01-01T00:00:10Z to 1970-01-01T00:00:20Z (and 1 more) waits for the watermark to reach 1970-01-01T00:00:20Z; it is at"),
            "{told}"
        );
        assert!(
            told.ends_with("; before that, `count 5` shows rows as records come"),
            "{told}"
        );
    }

    #[test]
    fn the_partition_that_holds_back_is_named() {
        let mut operator = operator(tumbling(), 0, "final", 3);
        read(&mut operator, 0, &[30_000], true);
        read(&mut operator, 2, &[40_000], true);
        let told = why(&operator);
        assert!(
            told.ends_with(
                "; there is none yet, held back by partition 1, which has brought nothing yet; \
                 once it is at its end, only for `--idle`"
            ),
            "{told}"
        );
        read(&mut operator, 1, &[90_000], true);
        let told = why(&operator);
        assert!(
            told.ends_with(
                "; it is at 1970-01-01T00:00:28Z, held back by partition 0, which needs a \
                 record of 1970-01-01T00:00:42Z or later"
            ),
            "{told}"
        );
    }

    #[test]
    fn the_window_of_all_time_waits_for_the_end() {
        let mut operator = operator(Windows::Global, 0, "every 1m", 1);
        read(&mut operator, 0, &[3_000], true);
        assert_eq!(
            why(&operator),
            "the global window waits for the end of the input; before that, `every 1m` shows rows \
             as records come"
        );
    }

    #[test]
    fn where_no_window_is_open_it_is_said_what_became_of_the_records() {
        let mut operator = operator(tumbling(), 0, "final", 1);
        read(&mut operator, 0, &[3_000, 4_000, 50_000], false);
        read(&mut operator, 0, &[3_000], true);
        operator.on_malformed(0, &Misfit::default());
        assert_eq!(
            why(&operator),
            "no window is open: of 5 records 1 expired, 3 filtered, 1 malformed"
        );
    }
}
