//! Which partitions of the inputs no longer hold event time back, because nothing is left to read in them.
//!
//! A task that joins has heard of each partition, by its records or its marks. One of which it hears nothing
//! for a while may be at its end, or its process may have died with records before it. So the broker is
//! asked, and only a partition that holds nothing beyond what was heard stops holding event time back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::layout::{Layout, TaskId};
use super::task::{Task, Work};
use crate::clock::{self, Errand};
use crate::engine::join::{Emit, Side};
use crate::error::Result;
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, Extent};

/// How often the broker is asked at most.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What partitions hold.
type Extents = BTreeMap<(String, i32), Extent>;

/// Finds out which partitions are silent.
pub(super) struct Silence {
    /// How long nothing may come of a partition before it counts as silent.
    idle: Duration,
    settings: Settings,
    /// What was asked, and is not answered.
    question: Option<Errand<Extents>>,
    asked: Instant,
    /// The partitions that were asked about.
    silent: Vec<Silent>,
}

/// A partition that may be silent, as a task knows it.
struct Silent {
    task: TaskId,
    side: Side,
    clock: usize,
    position: i64,
    place: (String, i32),
}

impl Silence {
    /// Begins to look after partitions.
    pub fn begin(settings: &Settings, idle: Duration) -> Self {
        Silence {
            idle,
            settings: settings.clone(),
            question: None,
            asked: clock::now(),
            silent: Vec::new(),
        }
    }

    /// Returns what the broker has answered to a question, once it has.
    pub fn answer(&mut self) -> Option<Extents> {
        let answer = self.question.as_mut()?.answer()?;
        self.question = None;
        self.asked = clock::now();
        Some(answer.unwrap_or_default())
    }

    /// Lets event time go on past partitions that are silent; rows that are due by that leave.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    pub fn pass<'t>(
        &mut self,
        found: &Extents,
        tasks: impl Iterator<Item = &'t mut Task>,
        out: &mut impl Emit,
    ) -> Result<()> {
        let silent = std::mem::take(&mut self.silent);
        for task in tasks {
            for silent in silent.iter().filter(|silent| silent.task == task.id) {
                let held = found.get(&silent.place);
                let is_at_end =
                    held.is_some_and(|held| held.end <= silent.position || held.records() == 0);
                let is_silent = task.heard_to(silent.side, silent.clock) == silent.position;
                if let Work::Join(joining) = &mut task.work
                    && is_at_end
                    && is_silent
                {
                    let (side, clock) = (silent.side, silent.clock);
                    joining.join.on_idle(side, clock, true, out)?;
                }
            }
        }
        Ok(())
    }

    /// Asks about the partitions that have been silent, now and then.
    pub fn ask<'t>(&mut self, layout: &Layout, tasks: impl Iterator<Item = &'t Task>) {
        if self.question.is_some() || clock::since(self.asked) < ASK_INTERVAL {
            return;
        }
        self.asked = clock::now();
        self.silent = tasks.flat_map(|task| self.of(layout, task)).collect();
        let mut places: Vec<(String, i32)> = self
            .silent
            .iter()
            .map(|silent| silent.place.clone())
            .collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            return;
        }
        let settings = self.settings.clone();
        // Without an answer nothing is silent, and it is asked again.
        self.question = Some(Errand::begin(move || {
            let places = places.iter().map(|(topic, number)| (&**topic, *number));
            let places: Vec<(&str, i32)> = places.collect();
            let found = Admin::new(&settings).and_then(|admin| admin.extents(&places));
            found.unwrap_or_default()
        }));
    }

    /// Returns the partitions that may be silent, if they hold a task back.
    fn of(&self, layout: &Layout, task: &Task) -> Vec<Silent> {
        let Work::Join(joining) = &task.work else {
            return Vec::new();
        };
        let mut silent = Vec::new();
        for side in Side::BOTH {
            let places = layout.clock_places(side, task.id.1);
            let heads = joining.heads[side.index()].iter().zip(places).enumerate();
            for (clock, (head, (topic, number))) in heads {
                let is_silent = clock::since(head.heard) >= self.idle
                    && task.feeds[side.index()].is_used_up()
                    && !joining.join.is_idle(side, clock);
                if is_silent {
                    silent.push(Silent {
                        task: task.id,
                        side,
                        clock,
                        position: task.heard_to(side, clock),
                        place: (topic.to_owned(), number),
                    });
                }
            }
        }
        silent
    }
}
