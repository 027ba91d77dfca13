//! Keeps the events of a running stream for a while, and draws a frame when one is wanted.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::explanation::{self, Target};
use super::tape::Tape;
use crate::engine::pane::journal as engine;
use crate::error::{Error, Result};
use crate::journal::{Event, Plan};
use crate::node::Gauge;
use crate::picture::{Medium, Scene};
use crate::plot::cut::LateRecord;
use crate::plot::{Clock, Gathered, Subject, View, about, draw_stretch, replay};
use crate::term::rate::Rate;
use crate::term::units::{
    DAY, format_count, format_plural, format_rate, format_time, format_time_of_day, now_ms,
};

/// How many panes and late records a frame names.
const MOST_LINES: usize = 8;
/// So many events are kept together, if nobody draws meanwhile.
const TOGETHER: usize = 1 << 10;
/// So many events may wait for who draws: at 5,000 records a second those of some seconds.
const MOST_WAITING: usize = 1 << 16;
/// The events of a record come together: after so long, none is missing.
const SETTLED: Duration = Duration::from_millis(100);
/// How often what is over is forgotten, as a part of how long it is kept.
const FORGETTING: i64 = 50;

/// How much of a stream is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// How much processing time a picture shows, in ms.
    pub(crate) shown_ms: i64,
    /// How much is kept to look back, in ms.
    pub(crate) kept_ms: i64,
}

/// How far a group is that reads the same topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupLag {
    /// Its name.
    pub(crate) name: String,
    /// How many records it has not committed; or why that is not known.
    pub(crate) lag: std::result::Result<u64, String>,
}

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct Live {
    plan: Plan,
    scope: Scope,
    gauge: Gauge,
    inbox: Mutex<Inbox>,
    kept: Mutex<Kept>,
    /// What only those need who look.
    looked: Mutex<Looked>,
}

/// What was heard and is not kept yet: who reads puts it here, and need not wait for who draws.
#[derive(Debug)]
struct Inbox {
    events: Vec<Event>,
    /// Whether processing time is the clock of this machine.
    by_clock: bool,
}

#[derive(Debug)]
struct Kept {
    gathered: Gathered,
    tape: Tape,
    by_clock: bool,
    forgotten: i64,
    /// How many events there were.
    events: u64,
    /// Why an event is missing on the tape.
    failed: Option<Error>,
}

#[derive(Debug)]
struct Looked {
    rate: Rate,
    per_second: f64,
    /// How many events there were when a frame was drawn last, and when there were fewer.
    events: u64,
    changed: Instant,
    group: Option<GroupLag>,
}

/// What is seen of a run.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The picture.
    pub(crate) scene: Scene,
    /// From which processing time to which it is.
    pub(crate) stretch: (i64, i64),
    /// The processing time of the first record that is kept.
    pub(crate) since: i64,
    /// How far processing time has come.
    pub(crate) now: i64,
    /// Whether the input has ended.
    pub(crate) has_ended: bool,
    /// Figures, each with its name.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The last panes, the latest first.
    pub(crate) panes: Vec<String>,
    /// The last records that were late or dropped, the latest first.
    pub(crate) lates: Vec<LateRecord>,
}

/// The engine's side of a [`Live`].
#[derive(Debug)]
pub(crate) struct Ear(Arc<Live>);

impl Live {
    /// Returns a run of which nothing has come. `subject` says what is drawn, `plan` what is computed.
    pub(crate) fn new(subject: Subject, view: View, plan: Plan, scope: Scope) -> Self {
        let by_clock = subject.clock == Clock::Order;
        let subject = Subject {
            clock: if by_clock {
                Clock::Time("when it was read".to_owned())
            } else {
                subject.clock
            },
            ..subject
        };
        Live {
            plan,
            scope,
            gauge: Gauge::default(),
            inbox: Mutex::new(Inbox {
                events: Vec::new(),
                by_clock,
            }),
            kept: Mutex::new(Kept {
                gathered: Gathered::new(subject, view).of_a_run_that_goes_on(),
                tape: Tape::default(),
                by_clock,
                forgotten: i64::MIN,
                events: 0,
                failed: None,
            }),
            looked: Mutex::new(Looked {
                rate: Rate::new(Instant::now()),
                per_second: 0.0,
                events: 0,
                changed: Instant::now(),
                group: None,
            }),
        }
    }

    /// Returns what the node tells how much is left to read.
    pub(crate) fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Returns whether the input has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.kept().gathered.has_ended()
    }

    /// Returns what is kept, with all that was heard.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = lock(&self.kept);
        self.empty_into(&mut kept);
        kept
    }

    fn empty_into(&self, kept: &mut Kept) {
        let mut inbox = lock(&self.inbox);
        let (events, by_clock) = (std::mem::take(&mut inbox.events), inbox.by_clock);
        drop(inbox);
        kept.take(events, by_clock, self.scope);
    }

    /// Says how far a group is.
    pub(crate) fn set_group(&self, group: GroupLag) {
        lock(&self.looked).group = Some(group);
    }

    /// Tells of a record or a window.
    ///
    /// # Errors
    /// `bug` where events could not be kept.
    pub(crate) fn tell(&self, target: &Target) -> Result<Vec<String>> {
        let (taped, nearest) = {
            let mut kept = self.kept();
            if let Some(error) = kept.failed.take() {
                return Err(error);
            }
            let nearest = match target {
                Target::Near(near, _) => kept.gathered.nearest(near),
                _ => None,
            };
            (kept.tape.taped(), nearest.map(Target::Record))
        };
        explanation::tell(&self.plan, &taped, nearest.as_ref().unwrap_or(target))
    }

    /// Draws what is seen until a moment of processing time; `None` for now.
    pub(crate) fn frame(&self, until: Option<i64>, medium: Medium) -> Frame {
        let mut looked = lock(&self.looked);
        let mut kept = self.kept();
        let lag = self.gauge.lag();
        if kept.events != looked.events {
            (looked.events, looked.changed) = (kept.events, Instant::now());
        } else if looked.changed.elapsed() >= SETTLED {
            // The last record's events have all come.
            kept.gathered.finish();
        }
        let has_ended = kept.gathered.has_ended();
        if kept.by_clock && !has_ended {
            kept.gathered.wait_until(now_ms());
        }
        let gathered = &mut kept.gathered;
        let now = gathered.now().unwrap_or_else(now_ms);
        let since = gathered.begins().unwrap_or(now).min(now);
        let until = until.unwrap_or(now).clamp(since, now);
        // A run that has just begun is seen from its first record on.
        let from = (until - self.scope.shown_ms).max(since.min(until - self.scope.shown_ms / 10));
        let scene = draw_stretch(gathered, (from, until), medium);
        if until == now {
            let records = gathered.records();
            looked.per_second = looked.rate.take(Instant::now(), records);
        }
        Frame {
            scene,
            stretch: (from, until),
            since,
            now,
            has_ended,
            facts: self.facts(gathered, until, lag, &looked),
            panes: gathered
                .fired(until)
                .take(MOST_LINES)
                .map(|fired| fired.to_string())
                .collect(),
            lates: gathered.lates(until).take(MOST_LINES).collect(),
        }
    }

    fn facts(
        &self,
        gathered: &Gathered,
        until: i64,
        lag: Option<u64>,
        looked: &Looked,
    ) -> Vec<(&'static str, String)> {
        let watermark = match gathered.watermark_at(until) {
            None => "none yet".to_owned(),
            Some(at) => {
                let behind = until.saturating_sub(at);
                let time = match behind.abs() < DAY {
                    true => format_time_of_day(at),
                    false => format_time(at),
                };
                format!("{time}, {} behind", about(behind))
            }
        };
        let mut facts = vec![("watermark", watermark)];
        if let Some(partition) = gathered.behind_at(until) {
            facts.push(("held back by", format!("partition {partition}")));
        }
        facts.push(("rate", format_rate(looked.per_second)));
        facts.push(("records", format_count(gathered.records())));
        facts.extend(
            gathered
                .account()
                .map(|(count, name)| (name, format_count(count))),
        );
        facts.push(("rows", format_count(gathered.rows())));
        if let Some(lag) = lag {
            facts.push(("unread", format_plural(lag, "record")));
        }
        if let Some(group) = &looked.group {
            let lag = match &group.lag {
                Ok(lag) => format!("{} of {}", format_plural(*lag, "record"), group.name),
                Err(error) => error.clone(),
            };
            facts.push(("uncommitted", lag));
        }
        facts
    }
}

impl Ear {
    /// Returns what hears for a run.
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Ear(live)
    }
}

impl engine::Journal for Ear {
    fn note(&mut self, now: Option<i64>, event: engine::Event<'_>) {
        let mut inbox = lock(&self.0.inbox);
        if let engine::Event::Read {
            arrival: Some(_), ..
        } = event
        {
            // A column, or the broker, says when each record came.
            inbox.by_clock = false;
        }
        let clock = if inbox.by_clock { Some(now_ms()) } else { now };
        inbox.events.push(Event::of(event, clock, None));
        let waiting = inbox.events.len();
        drop(inbox);
        if waiting >= MOST_WAITING {
            drop(self.0.kept()); // however long that takes
        } else if waiting.is_multiple_of(TOGETHER)
            && let Ok(mut kept) = self.0.kept.try_lock()
        {
            self.0.empty_into(&mut kept);
        }
    }
}

impl Kept {
    fn take(&mut self, events: Vec<Event>, by_clock: bool, scope: Scope) {
        if self.by_clock && !by_clock {
            self.by_clock = false;
            self.gathered.set_clock("append time");
        }
        self.events += events.len() as u64;
        for event in &events {
            replay::take(&mut self.gathered, event);
            if let Err(error) = self.tape.push(event) {
                self.failed = Some(error);
            }
        }
        let now = self.gathered.now().unwrap_or(i64::MIN);
        if now.saturating_sub(self.forgotten) > scope.kept_ms / FORGETTING {
            self.forgotten = now;
            self.gathered.forget(now.saturating_sub(scope.kept_ms));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
