//! What a person may wonder about over a folder: a topic without a file, a query without a row.

use super::Shell;
use crate::engine::operator::{Awaited, Operator};
use crate::ksql::explain::flags;
use crate::ksql::parser;
use crate::ksql::syntax::{Emit, Query, Statement};
use crate::term::units::format_time;

/// Something that a person should know beside an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is so.
    pub warning: String,
    /// What can be done.
    pub hint: String,
}

/// What keeps the windows of EMIT FINAL back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// The open window that leaves next, and the event time at which it does; `None` if there is none.
    first: Option<Awaited>,
    /// How far event time has come, in ms.
    reached: i64,
}

impl Waiting {
    pub fn of(operator: &Operator) -> Self {
        Waiting {
            first: operator.awaited(),
            reached: operator.watermarks().combined(),
        }
    }
}

impl Shell {
    /// Notes that a stream or table that was declared has no file, unless PARTITIONS makes its topic.
    pub(super) fn note_missing(&mut self, statement: &str) {
        let parsed = parser::statement(statement, &self.session.catalog.types);
        let Ok(Statement::Create(create)) = parsed else {
            return;
        };
        let source = self.session.catalog.get(&create.name.text);
        let Some(source) = source.filter(|_| !create.properties.entries.contains_key("PARTITIONS"))
        else {
            return;
        };
        if self.folder.file_of(&source.topic).is_none() {
            let topic = &source.topic;
            let file = |ending| self.folder.file(&format!("{topic}.{ending}"));
            self.notes.push(Note {
                warning: format!(
                    "{} has no record yet: there is neither `{}` nor `{}`",
                    create.name,
                    file("json").display(),
                    file("csv").display()
                ),
                hint:
                    "`SHOW TOPICS;` lists the files there are; INSERT INTO … VALUES makes this one"
                        .to_owned(),
            });
        }
    }

    /// Notes why EMIT FINAL has given no row.
    pub(super) fn note_silence(&mut self, query: &Query, rows: usize) {
        let waiting = self.waiting.take();
        if query.emit != Some(Emit::Final) || rows > 0 {
            return;
        }
        let by_grace = "a window leaves once a record is later than its end and GRACE PERIOD, which is a day unless it is given";
        let warning = match waiting {
            Some(Waiting {
                first: Some(first),
                reached,
            }) => format!(
                "no row yet: the first window ends at {} and leaves at {}; the latest record is of {}",
                format_time(first.window.end),
                format_time(first.watermark),
                format_time(reached)
            ),
            Some(_) => "no row: no record was counted".to_owned(),
            None => format!("no row yet: {by_grace}"),
        };
        let line = flags(query, &self.session).filter(|line| line.starts_with("k window"));
        let hint = match line {
            Some(line) => {
                let line = line
                    .replace("k window", "k explain silence")
                    .replace(" --emit final", "");
                format!("{by_grace}; `{line}` tells more")
            }
            None => "give a shorter GRACE PERIOD, or EMIT CHANGES for rows as they are".to_owned(),
        };
        self.notes.push(Note { warning, hint });
    }
}
