//! The work on one partition: its state, and its position.

use std::time::Instant;

use bumpalo::Bump;

use super::changelog::Changed;
use super::commit_metadata::{CommitMetadata, Role, state_downstream};
use super::keys::{another_key, first_of_another_key};
use super::repartition::Mark;
use super::restore::Restored;
use super::snapshot::Snapshot;
use super::state_position::StatePosition;
use crate::clock;
use crate::engine::account::Account;
use crate::engine::combine::handoff::Parts;
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::error::Result;
use crate::fault::{Fault, is_planted};
use crate::kafka::member::Place;
use crate::node::Outputs;
use crate::node::evaluate::{Evaluator, Unfit};
use crate::source::{Batch, Message, Records};

/// The work on one partition. Created when its state is restored, dropped when the group takes the
/// partition away or a commit fails.
pub(super) struct Task {
    /// The partition.
    pub place: Place,
    /// Its name in messages.
    pub name: String,
    /// Its windows, with a watermark of their own.
    pub operator: Operator,
    /// What is done with them.
    pub work: Work,
    /// The next offset to read.
    pub position: i64,
    /// The position that was committed last, or where the task began.
    base: i64,
    /// Whether a process that continues without another commit begins there, too.
    is_base_kept: bool,
    /// What that commit said beside it, or would have.
    base_note: String,
    /// The watermark then: one downstream may move without a record.
    base_watermark: i64,
    /// What it had counted by then.
    counted: Counts,
    /// Where it ends; `None` for a topic that is followed.
    pub end: Option<i64>,
    /// Whether it has read everything.
    pub is_done: bool,
    /// Whether the open windows were shown as they are, because everything is read.
    pub is_shown: bool,
    /// Whether the last commit has said so.
    was_shown: bool,
    /// What has changed of its state and is not sent yet.
    pub changed: Changed,
    /// Its state in a folder of this machine, if it is kept there.
    pub snapshot: Option<Snapshot>,
}

/// What tasks have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Where every record went.
    pub account: Account,
    /// How many partial results came after their window had left.
    pub strays: u64,
}

impl Counts {
    /// Adds the counts of another task.
    pub fn absorb(&mut self, other: &Counts) {
        self.account.absorb(&other.account);
        self.strays += other.strays;
    }
}

/// What a task does with its windows.
pub(super) enum Work {
    /// Shows them.
    Window,
    /// Sends them on, pre-aggregated since the last commit.
    Upstream(Upstream),
    /// Merges what others send on, and shows them.
    Downstream(Downstream),
}

/// The state of a task upstream.
pub(super) struct Upstream {
    /// What was last sent to the tasks downstream; `None` before the first commit.
    told: Option<Mark>,
}

/// What a task downstream knows of those upstream.
pub(super) struct Downstream {
    /// How far each has read its partition.
    pub positions: Vec<i64>,
    /// When each last reported progress.
    pub heard: Vec<Instant>,
    /// How far they are to read; `None` where they follow.
    ends: Option<Vec<i64>>,
    /// Room for what is being read.
    pub parts: Parts,
}

/// Where a task begins without a commit, and where it ends.
pub(super) enum Bounds {
    /// Of a partition of the input; whether a later start would begin at `first`, too.
    Offsets {
        first: i64,
        end: Option<i64>,
        is_fixed: bool,
    },
    /// Of a partition of the repartition topic: it ends where those upstream do.
    Upstream { first: i64, ends: Option<Vec<i64>> },
}

impl Bounds {
    /// Returns where a task begins without a commit.
    pub fn first(&self) -> i64 {
        match self {
            Bounds::Offsets { first, .. } | Bounds::Upstream { first, .. } => *first,
        }
    }
}

impl Task {
    /// Returns the task whose state was restored.
    pub fn new(place: &Place, role: Role, restored: Restored, bounds: Bounds) -> Result<Self> {
        let Restored {
            operator,
            committed,
            is_shown,
            positions,
            goes_on,
            ..
        } = restored;
        let (committed, said) = match committed {
            Some(committed) => (Some(committed.offset), Some(committed.metadata)),
            None => (None, None),
        };
        let (first, end, ends, is_fixed) = match bounds {
            Bounds::Offsets {
                first,
                end,
                is_fixed,
            } => (first, end, None, is_fixed),
            Bounds::Upstream { first, ends } => (first, None, ends, true),
        };
        let committed = committed.filter(|_| !is_planted(Fault::BeginsAgain));
        let position = committed.unwrap_or(first);
        let work = match role {
            Role::Window => Work::Window,
            Role::Upstream => Work::Upstream(Upstream { told: None }),
            Role::Downstream => Work::Downstream(Downstream {
                heard: vec![clock::now(); positions.len()],
                positions,
                ends,
                parts: operator.no_parts(),
            }),
        };
        let mut task = Task {
            name: format!("topic `{}`", place.topic),
            place: place.clone(),
            base_watermark: operator.watermarks().combined(),
            counted: Counts::default(),
            operator,
            work,
            position,
            base: position,
            is_base_kept: (is_fixed || committed.is_some()) && !goes_on,
            base_note: String::new(),
            end,
            is_done: false,
            is_shown: false,
            was_shown: is_shown,
            changed: Changed::default(),
            snapshot: None,
        };
        // The user who has set the beginning has set nothing else.
        let said = said.filter(|said| CommitMetadata::parse(said).is_some());
        task.base_note = match said {
            Some(said) => said,
            None => task.note()?.to_string(),
        };
        let at_end = task.is_at_end();
        // Another process has shown the windows already. What comes from upstream may be nothing new.
        task.is_shown = is_shown && (at_end || role == Role::Downstream);
        task.is_done = at_end
            && match role {
                Role::Window => is_shown || committed.is_none(),
                Role::Upstream => true,
                Role::Downstream => is_shown,
            };
        Ok(task)
    }

    /// Moves the position on, and no further than to the end of what is to be read: what was handed over
    /// beyond it is left to the next run.
    pub fn reach(&mut self, position: i64) {
        let end = self.end.unwrap_or(i64::MAX);
        self.position = self.position.max(position.min(end));
    }

    /// Returns whether everything is read that there was at the start.
    pub fn is_at_end(&self) -> bool {
        match &self.work {
            Work::Downstream(Downstream {
                positions, ends, ..
            }) => ends.as_ref().is_some_and(|ends| {
                let mut all = positions.iter().zip(ends);
                all.all(|(position, end)| position >= end)
            }),
            _ => self.end.is_some_and(|end| self.position >= end),
        }
    }

    /// Returns what the tasks downstream have to know of this one.
    pub fn mark(&self) -> Mark {
        Mark {
            upstream: self.place.partition,
            position: self.position,
            watermark: self.operator.watermarks().combined(),
        }
    }

    /// Returns whether there is something to commit.
    pub fn is_changed(&self) -> bool {
        let untold = match &self.work {
            Work::Upstream(upstream) => match upstream.told {
                Some(told) => told != self.mark(),
                // Downstream it is known from before, unless it ends here.
                None => self.is_done,
            },
            Work::Window | Work::Downstream(_) => false,
        };
        let changed = self.operator.has_changed() || !self.changed.is_empty();
        let moved = self.operator.watermarks().combined() != self.base_watermark;
        let goes_on = self.position != self.base || !self.is_base_kept;
        let shown = self.is_shown && !self.was_shown;
        changed || shown || goes_on || moved || untold
    }

    /// Notes that everything so far was committed, and what was said beside it.
    pub fn committed(&mut self, note: String) {
        let mark = self.mark();
        if let Work::Upstream(upstream) = &mut self.work {
            upstream.told = Some(mark);
        }
        self.base = self.position;
        self.is_base_kept = true;
        self.base_note = note;
        self.base_watermark = self.operator.watermarks().combined();
        self.counted = self.counts();
        self.was_shown = self.is_shown;
    }

    /// Returns what its state belongs to.
    pub fn stand(&self, input: Option<String>) -> StatePosition {
        StatePosition {
            input,
            position: self.position,
            base: self.base,
        }
    }

    /// Returns what it has counted.
    pub fn counts(&self) -> Counts {
        Counts {
            account: *self.operator.account(),
            strays: self.operator.strays(),
        }
    }

    /// Returns what it had counted at the last commit: others count what came after, if it does not
    /// continue.
    pub fn counted(&self) -> &Counts {
        &self.counted
    }

    /// Returns the position that was committed last, or where the task began.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Returns what was committed last, to be committed once more: the position and what was said
    /// beside it.
    pub fn last_commit(&self) -> (i64, &str) {
        (self.base, &self.base_note)
    }

    /// Moves processing time, if panes wait for that.
    pub fn tick(&mut self, now: i64, panes: &mut Panes) {
        let waits = self.operator.trigger().periods().next().is_some();
        if waits && !self.is_done {
            self.operator.on_tick(now, panes);
        }
    }

    /// Gathers what has changed of its state: a commit says how large that is.
    pub fn gather(&mut self) -> Result<()> {
        match self.work {
            Work::Upstream(_) => Ok(()), // keeps none
            Work::Window | Work::Downstream(_) => self.changed.gather(&mut self.operator),
        }
    }

    /// Returns what a commit says beside the position.
    pub fn note(&self) -> Result<CommitMetadata> {
        let (role, state) = match &self.work {
            Work::Window => (Role::Window, Vec::new()),
            Work::Upstream(_) => (Role::Upstream, self.operator.save_header()?),
            Work::Downstream(downstream) => {
                (Role::Downstream, state_downstream(&downstream.positions)?)
            }
        };
        let watermark = self.operator.watermarks().combined();
        Ok(CommitMetadata {
            state,
            is_shown: self.is_shown,
            ..CommitMetadata::new(role, watermark, self.operator.logged())
        })
    }

    /// Ends the work, since everything is read. The open windows are shown as they are, and stay in
    /// the log: the next run completes them.
    pub fn finish(&mut self, panes: &mut Panes) {
        self.is_done = true;
        if let Work::Upstream(_) = self.work {
            return; // what it has is handed on by the next commit
        }
        self.operator.show_open(panes);
        self.is_shown = true;
    }
}

/// Hands the records of a partition to its task; the first malformed one ends the run, unless they
/// are skipped.
pub(super) fn take_in(
    task: &mut Task,
    messages: Vec<Message<'_>>,
    check_keys: bool,
    rows: &mut Evaluator<'_>,
    outputs: &mut Outputs,
    panes: &mut Panes,
    arena: &mut Bump,
) -> Result<()> {
    let batch = Batch {
        partition: 0,
        records: Records::Messages(messages),
    };
    let skip_bad = rows.skip_bad;
    let check_keys = check_keys && matches!(task.work, Work::Window);
    let operator = &mut task.operator;
    let processed = rows.decode(&batch, arena, |input, decoded, unfit| {
        if check_keys && let Some(message) = first_of_another_key(&batch, input, unfit) {
            return Err(another_key(&task.name, message));
        }
        outputs.take_in(operator, input, decoded, unfit, panes)?;
        match Unfit::first_malformed(unfit) {
            Some(first) if !skip_bad => Err(first.to_error(&task.name)),
            _ => Ok(()),
        }
    });
    arena.reset();
    processed
}
