//! Answers about a group at work, from what it has committed.

use serde::Serialize;

use crate::cli::window::asked::Asked;
use crate::context::Context;
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::engine::watermark::{BEGINNING, END};
use crate::error::{Error, Result};
use crate::explain::{Moment, Wanted};
use crate::journal::{self, Bounds, Json};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::node::group::inspect::{self, Built, Held, Reached};
use crate::node::why_silent;
use crate::plan::Plan;
use crate::source::kafka::{Since, Starts};
use crate::term::units::{format_count, format_time};

/// What is known of a group.
pub(super) struct Group {
    name: String,
    /// What it computes.
    plan: Plan,
    reached: Vec<Reached>,
    held: Vec<Held>,
    is_repartitioned: bool,
}

/// A task, for an answer.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    partition: i32,
    watermark: Option<i64>,
    /// How many windows are open.
    open: usize,
    /// Why no row comes.
    reason: String,
    /// The windows that were asked for.
    windows: Vec<OpenWindow>,
}

/// A window that a task holds.
#[derive(Debug, Serialize)]
struct OpenWindow {
    window: Bounds,
    key: Vec<Json>,
    values: Vec<(String, Json)>,
    /// The watermark that its next row waits for; `None` for the end of the input.
    until: Option<i64>,
    /// By how much the watermark falls short, in ms.
    missing: Option<i64>,
    waits: String,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    group: &'a str,
    partitions: Vec<Read>,
    tasks: Vec<Task>,
}

#[derive(Serialize)]
struct Read {
    partition: i32,
    committed: Option<i64>,
    end: i64,
    behind: u64,
}

impl Group {
    /// Looks at a group.
    ///
    /// # Errors
    /// `refused` where there is no state of such a group.
    pub fn look(name: &str, asked: &Asked, context: &Context) -> Result<Self> {
        let settings: Settings = asked.broker.settings(context)?;
        let admin = Admin::new(&settings)?;
        let Some(Built {
            plan,
            topic,
            is_repartitioned,
        }) = inspect::built(&admin, &settings, name)?
        else {
            return Err(Error::refused(format!("there is no state of a group `{name}`"))
                .hint("a group is of `k window --group NAME --from TOPIC --to TOPIC`; `k node list` shows them"));
        };
        let starts = Starts::find(&admin, &topic, Since::Beginning)?;
        Ok(Group {
            reached: inspect::reached(&settings, name, &starts)?,
            held: inspect::held(&plan, &settings, name, &starts, is_repartitioned)?,
            name: name.to_owned(),
            plan,
            is_repartitioned,
        })
    }

    /// Returns the moment, of the day at which the watermark is.
    pub fn moment(&self, at: Moment) -> i64 {
        let watermarks = self.held.iter().map(|held| held.operator.watermarks());
        let reached = watermarks.map(|watermarks| watermarks.combined());
        let first = reached.filter(|&at| at > BEGINNING).min().unwrap_or(0);
        let (time, day) = (at, 24 * crate::term::units::HOUR);
        match time.after(first, self.plan.zone.as_ref()) {
            // A window that has been open for long is of the day before.
            at if matches!(time, Moment::OfDay(_)) && at > first.saturating_add(day / 2) => {
                at - day
            }
            at => at,
        }
    }

    /// Returns the tasks; with the windows that are `wanted`, if any are.
    pub fn tasks(&mut self, wanted: Option<(i64, &Wanted)>) -> Vec<Task> {
        let planned = journal::Plan::of(&self.plan, &[], 1);
        let is_behind = self.reached.iter().any(|reached| reached.behind() > 0);
        let held = self.held.iter_mut();
        let tasks = held.map(
            |Held {
                 partition,
                 operator,
             }| {
                let at_end = |_| !is_behind;
                let combined = operator.watermarks().combined();
                Task {
                    partition: *partition,
                    watermark: time(combined),
                    open: operator.open().windows,
                    reason: why_silent::reason(operator, "the group's topic", |_| false),
                    windows: wanted.map_or(Vec::new(), |wanted| {
                        windows(operator, &planned, wanted, at_end)
                    }),
                }
            },
        );
        tasks.collect()
    }

    /// Returns the answer in lines, or as JSON.
    pub fn answer(
        &self,
        tasks: Vec<Task>,
        is_about_windows: bool,
        is_json: bool,
    ) -> Result<String> {
        if is_json {
            let read = self.reached.iter().map(|reached| Read {
                partition: reached.partition,
                committed: reached.committed,
                end: reached.end,
                behind: reached.behind(),
            });
            let answer = Answer {
                group: &self.name,
                partitions: read.collect(),
                tasks,
            };
            return serde_json::to_string(&answer)
                .map(|line| line + "\n")
                .map_err(|error| Error::bug(format!("an answer is not JSON: {error}")));
        }
        let mut lines = vec![format!(
            "Group {}, as its last commits have left it{}:",
            self.name,
            if self.is_repartitioned {
                "; records are brought together by what they are grouped by"
            } else {
                ""
            }
        )];
        lines.extend(self.reached.iter().map(|reached| {
            let committed = match reached.committed {
                Some(offset) => format!(
                    "committed to offset {}",
                    format_count(offset.unsigned_abs())
                ),
                None => "nothing committed".to_owned(),
            };
            let behind = match reached.behind() {
                0 => "all is read".to_owned(),
                behind => format!("{} still to be read", format_count(behind)),
            };
            format!("  partition {}: {committed}, {behind}", reached.partition)
        }));
        let mut found = false;
        for task in &tasks {
            for window in &task.windows {
                found = true;
                lines.extend(window.lines(task.partition));
            }
            if !is_about_windows {
                lines.push(format!("  task {}: {}", task.partition, task.reason));
            }
        }
        if is_about_windows && !found {
            lines.push(
                "No task holds such a window: no record of it has come, or it has left.".to_owned(),
            );
            lines.extend(tasks.iter().map(|task| {
                let watermark = task
                    .watermark
                    .map_or_else(|| "none".to_owned(), format_time);
                format!("  task {}: watermark {watermark}", task.partition)
            }));
        }
        Ok(lines.join("\n") + "\n")
    }
}

fn time(at: i64) -> Option<i64> {
    (at != BEGINNING && at != END).then_some(at)
}

fn windows(
    operator: &mut Operator,
    plan: &journal::Plan,
    (at, wanted): (i64, &Wanted),
    at_end: impl Fn(usize) -> bool,
) -> Vec<OpenWindow> {
    let mut panes = Panes::default();
    operator.open_panes(&mut panes);
    let combined = operator.watermarks().combined();
    let mut found: Vec<OpenWindow> = Vec::new();
    for pane in panes.iter() {
        let (window, key) = (Bounds::from(pane.window()), pane.key());
        let key: Vec<Json> = key.map(Json::of).collect();
        if !plan.windows.hold(window, at) || !wanted.is_of(&key) {
            continue;
        }
        let due = operator.due_at(pane.window());
        let held = why_silent::held_back(operator.watermarks(), due, &at_end);
        let names = plan
            .aggregates
            .iter()
            .map(|aggregate| aggregate.name.clone());
        let values = pane.values.iter().map(|value| Json::of(value.as_ref()));
        found.push(OpenWindow {
            window,
            key,
            values: names.zip(values).collect(),
            until: time(due),
            missing: time(due)
                .zip(time(combined))
                .map(|(due, at)| due.saturating_sub(at)),
            waits: match due {
                END => "the end of the input".to_owned(),
                due => format!("the watermark to reach {}{held}", format_time(due)),
            },
        });
    }
    let begins = |found: &OpenWindow| found.window.start == Some(at);
    if found.iter().any(begins) {
        found.retain(begins);
    }
    found
}

impl OpenWindow {
    fn lines(&self, task: i32) -> Vec<String> {
        let key: Vec<String> = self.key.iter().map(Json::plain).collect();
        let key = if key.is_empty() {
            String::new()
        } else {
            format!(", {}", key.join(", "))
        };
        let values = self.values.iter();
        let values = values.map(|(name, value)| format!("{name} {}", value.plain()));
        let values: Vec<String> = values.collect();
        let window = match (self.window.start, self.window.end) {
            (Some(start), Some(end)) => format!("{} to {}", format_time(start), format_time(end)),
            _ => "of all time".to_owned(),
        };
        vec![
            format!(
                "Window {window}{key}, in task {task}: {} so far.",
                values.join(", ")
            ),
            format!("  Its next row waits for {}.", self.waits),
        ]
    }
}
