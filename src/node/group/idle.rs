//! Which partitions of the input no longer hold the watermark back, because nothing is left to read
//! in them.
//!
//! A task downstream knows each task upstream by its marks. A task upstream that sends none for a
//! while may be at the end of its partition, or its process may have died with records before it.
//! So a thread of its own asks the broker. Only a partition that holds nothing beyond its last mark
//! stops holding the watermark back, and only up to where the others were before the broker was
//! asked.

use std::time::{Duration, Instant};

use super::task::{Downstream, Task, Work};
use super::{Node, Slot};
use crate::clock::{self, Errand};
use crate::engine::pane::Panes;
use crate::engine::watermark::Watermarks;
use crate::error::Result;
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, Extent};
use crate::kafka::member::Place;

/// How often the broker is asked at most.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Finds out which partitions are silent.
pub(super) struct Idle {
    /// How long nothing may come of a partition before it counts as silent.
    idle: Duration,
    topic: String,
    settings: Settings,
    /// What was asked, and is not answered.
    question: Option<Errand<Vec<(i32, Extent)>>>,
    asked: Instant,
    /// How the tasks were when it was asked.
    waiting: Vec<Snapshot>,
}

impl Node<'_> {
    /// Stops partitions that are at their end, and silent, from holding the watermark back. Where all
    /// are read to their end this is not needed, and what comes later would be late.
    pub(super) fn look_for_silence(&mut self) -> Result<()> {
        let Some(silence) = self.silence.as_mut().filter(|_| !self.options.exit) else {
            return Ok(());
        };
        let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
        silence.look(tasks, &mut self.panes);
        self.write()
    }
}

/// A task downstream before the broker was asked.
struct Snapshot {
    place: Place,
    watermarks: Watermarks,
    /// Those upstream that may be silent, and how far they have read.
    silent: Vec<(usize, i64)>,
}

impl Idle {
    /// Begins to look after the partitions of a topic.
    pub fn begin(topic: &str, settings: &Settings, idle: Duration) -> Self {
        Idle {
            idle,
            topic: topic.to_owned(),
            settings: settings.clone(),
            question: None,
            asked: clock::now(),
            waiting: Vec::new(),
        }
    }

    /// Forgets what was asked: a task that was restored has not read all that an earlier one had.
    pub fn forget(&mut self) {
        self.question = None;
        self.waiting.clear();
    }

    /// Lets the watermarks of tasks continue past partitions that are silent; panes that became due
    /// leave into `panes`.
    pub fn look<'t>(&mut self, tasks: impl Iterator<Item = &'t mut Task>, panes: &mut Panes) {
        let answer = self.question.as_mut().and_then(Errand::answer);
        if let Some(found) = answer {
            self.question = None;
            self.asked = clock::now();
            let found = found.unwrap_or_default();
            let waiting = std::mem::take(&mut self.waiting);
            for task in tasks {
                let known = waiting.iter().find(|known| known.place == task.place);
                if let Some(known) = known {
                    task.operator.release(known.released(&found), panes);
                }
            }
        } else if self.question.is_none() && clock::since(self.asked) >= ASK_INTERVAL {
            self.ask(tasks);
        }
    }

    fn ask<'t>(&mut self, tasks: impl Iterator<Item = &'t mut Task>) {
        self.asked = clock::now();
        self.waiting = tasks.filter_map(|task| self.snapshot(task)).collect();
        let silent = self.waiting.iter().flat_map(|known| &known.silent);
        let mut partitions: Vec<i32> = silent.map(|&(upstream, _)| upstream as i32).collect();
        partitions.sort_unstable();
        partitions.dedup();
        if partitions.is_empty() {
            return;
        }
        let (topic, settings) = (self.topic.clone(), self.settings.clone());
        // Without an answer nothing is silent, and it is asked again.
        self.question = Some(Errand::begin(move || {
            let found = Admin::new(&settings).and_then(|admin| {
                let places = partitions.iter().map(|&number| (topic.as_str(), number));
                admin.extents(&places.collect::<Vec<_>>())
            });
            let found = found.unwrap_or_default().into_iter();
            found
                .map(|((_, number), extent)| (number, extent))
                .collect()
        }));
    }

    /// Returns how a task is, if partitions that may be silent hold it back.
    fn snapshot(&self, task: &Task) -> Option<Snapshot> {
        let Work::Downstream(Downstream {
            positions, heard, ..
        }) = &task.work
        else {
            return None;
        };
        let watermarks = task.operator.watermarks();
        let silent = positions.iter().zip(heard).enumerate();
        let silent = silent.filter(|(_, (_, heard))| clock::since(**heard) >= self.idle);
        let silent: Vec<(usize, i64)> = silent.map(|(nth, (&at, _))| (nth, at)).collect();
        let known = Snapshot {
            place: task.place.clone(),
            watermarks: watermarks.clone(),
            silent,
        };
        (known.reached(|_| true) > watermarks.combined()).then_some(known)
    }
}

impl Snapshot {
    /// Returns how far event time had come by what partitions hold.
    fn released(&self, found: &[(i32, Extent)]) -> i64 {
        self.reached(|&(upstream, position)| {
            let held = found.iter().find(|(number, _)| *number == upstream as i32);
            held.is_some_and(|(_, held)| held.end <= position || held.records() == 0)
        })
    }

    /// Returns how far event time had come if those of the silent ones are idle that `is_idle` says.
    fn reached(&self, is_idle: impl Fn(&(usize, i64)) -> bool) -> i64 {
        let mut watermarks = self.watermarks.clone();
        for idle in self.silent.iter().filter(|silent| is_idle(silent)) {
            watermarks.set_idle(idle.0, true);
        }
        watermarks.combined()
    }
}
