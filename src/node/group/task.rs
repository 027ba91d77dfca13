//! The work on one partition: its state, and how far it has come.

use super::note::Note;
use super::restore::Restored;
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::kafka::member::Place;

/// The work on one partition. Created when its state is restored, dropped when the group takes the
/// partition away or a commit fails.
pub(super) struct Task {
    /// The partition.
    pub place: Place,
    /// What a person calls it.
    pub name: String,
    /// Its windows, with a watermark of their own.
    pub operator: Operator,
    /// The next offset to read.
    pub position: i64,
    /// Whether anything was read since the task began: before that the client's position may be that
    /// of an earlier task, which was rewound.
    pub has_read: bool,
    /// The position that was committed last, or where the task began.
    base: i64,
    /// Where it ends; `None` for a topic that is followed.
    pub end: Option<i64>,
    /// Whether it has read everything.
    pub is_done: bool,
    /// Whether the open windows were shown as they are, because everything is read.
    pub is_shown: bool,
    /// What is logged of the state, because everything is read: what follows changes nothing.
    pub last: Option<Last>,
}

/// The state as it was before the open windows were shown.
pub(super) struct Last {
    pub rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub header: Vec<u8>,
    pub note: Note,
}

impl Task {
    /// Returns the task whose state was restored. Without a commit of the group it begins at
    /// `first`; it ends at `end`, if it does.
    pub fn new(place: &Place, restored: Restored, first: i64, end: Option<i64>) -> Self {
        let committed = restored.committed.map(|committed| committed.offset);
        let position = committed.unwrap_or(first);
        let at_end = end.is_some_and(|end| position >= end);
        Task {
            name: format!("topic `{}`", place.topic),
            place: place.clone(),
            operator: restored.operator,
            position,
            has_read: false,
            base: position,
            end,
            // Another process has shown the windows already.
            is_done: at_end && (restored.is_shown || committed.is_none()),
            is_shown: at_end && restored.is_shown,
            last: None,
        }
    }

    /// Returns whether there is something to commit.
    pub fn is_changed(&self) -> bool {
        self.last.is_some() || self.position != self.base
    }

    /// Takes note that everything so far was committed.
    pub fn committed(&mut self) {
        self.base = self.position;
        self.last = None;
    }

    /// Returns what a commit says beside the position.
    pub fn note(&self) -> Note {
        match &self.last {
            Some(last) => last.note,
            None => Note::of(&self.operator),
        }
    }

    /// Lets the open windows leave as they are, since everything is read. They stay in the log:
    /// whoever goes on later completes them.
    pub fn finish(&mut self, panes: &mut Panes) {
        let mut rows = Vec::new();
        self.operator.take_changes(|key, value| {
            rows.push((key.to_owned(), value.map(<[u8]>::to_owned)));
        });
        self.last = Some(Last {
            rows,
            header: self.operator.save_header(),
            note: Note::of(&self.operator),
        });
        self.operator.on_end(panes);
        self.is_done = true;
        self.is_shown = true;
    }
}
