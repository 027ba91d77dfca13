//! A partition that a task reads, and what it has read of it and not yet used.

use std::time::Instant;

use super::super::stage::{Load, Stage};
use super::handover::{self, Mark, Sent};
use crate::engine::join::{Content, Records};
use crate::error::{Error, Result};
use crate::kafka::fetched::Fetched;
use crate::kafka::member::Place;
use crate::kafka::partitioner::partition_of;
use crate::record::Message;
use crate::sink::joined::RecordKeys;
use crate::source::{Batch, Records as Source};
use crate::term::printable::printable;

/// A partition that is read.
pub(super) struct Feed {
    pub place: Place,
    source: From,
    /// Records that are ready for the join.
    pub load: Load,
    /// What was fetched after them, of records that another task has sent.
    fetched: Fetched,
    next: usize,
    /// The next offset that is fetched.
    reached: i64,
    /// Where it ends, if it is not followed.
    end: Option<i64>,
    /// Whether there was nothing more when it was looked at last.
    is_at_end: bool,
}

/// What the records of a partition are.
pub(super) enum From {
    /// Those of the input. `KeyCheck` where they are joined as they lie.
    Input(Box<Stage>, Option<KeyCheck>),
    /// Those that other tasks have sent.
    Tasks,
}

/// Looks whether a record lies in the partition that what is joined on belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyCheck {
    pub keys: RecordKeys,
    /// How many partitions the topic has.
    pub partitions: i32,
}

/// How far a partition of an input has come, as the task that joins has heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// The next offset of it.
    pub position: i64,
    pub heard: Instant,
}

impl Feed {
    /// Returns a feed that has read nothing before `position`.
    pub fn new(
        place: Place,
        source: From,
        records: Records,
        position: i64,
        end: Option<i64>,
    ) -> Self {
        let mut load = Load::new(records);
        load.offsets = Some(Vec::new());
        Feed {
            place,
            source,
            load,
            fetched: Fetched::default(),
            next: 0,
            reached: position,
            end,
            is_at_end: end.is_some_and(|end| position >= end),
        }
    }

    /// Returns whether other tasks have sent its records.
    pub fn is_sent(&self) -> bool {
        matches!(self.source, From::Tasks)
    }

    /// Returns whether everything that was fetched has been used.
    pub fn is_used_up(&self) -> bool {
        !self.load.has_more() && self.next >= self.fetched.len()
    }

    /// Returns whether more may be fetched.
    pub fn wants_more(&self) -> bool {
        self.is_used_up() && !self.is_done()
    }

    /// Returns whether everything up to where it ends has been used.
    pub fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.reached >= end) && self.is_used_up()
    }

    /// Returns whether everything that is known to be there has been used.
    pub fn has_nothing(&self) -> bool {
        self.is_used_up() && (self.is_at_end || self.is_done())
    }

    /// Returns the offset of the next record that has not been used.
    pub fn position(&self) -> i64 {
        let offsets = self.load.offsets.as_deref().unwrap_or_default();
        match offsets.get(self.load.records.taken()) {
            Some(&offset) => offset,
            None if self.next < self.fetched.len() => self.fetched.get(self.next).offset,
            None => self.reached,
        }
    }

    /// Takes records in.
    ///
    /// # Errors
    /// `refused` for a record that lies in another partition than those before it would.
    pub fn take_in(&mut self, fetched: Fetched) -> Result<()> {
        self.is_at_end = false;
        let end = self.end.unwrap_or(i64::MAX);
        let last = fetched.len().checked_sub(1).map(|last| fetched.get(last));
        let Some(last) = last.map(|last| last.offset) else {
            return Ok(());
        };
        self.reached = (last + 1).min(end);
        match &mut self.source {
            From::Tasks => (self.fetched, self.next) = (fetched, 0),
            From::Input(stage, check) => {
                let messages = || (0..fetched.len()).map(|nth| fetched.get(nth));
                let messages = || messages().take_while(|message| message.offset < end);
                let batch = Batch {
                    partition: 0,
                    records: Source::Messages(messages().collect()),
                };
                stage.fill(batch, &mut self.load);
                if let Some(check) = check {
                    check.check(&self.place.topic, messages(), &self.load)?;
                }
            }
        }
        Ok(())
    }

    /// Gets the next records ready that were sent: those up to the next mark, of one partition. Marks before
    /// them are handed over.
    ///
    /// # Errors
    /// `refused` for what no task of this version has sent, and those of `on_mark`.
    pub fn get_ready(&mut self, mut on_mark: impl FnMut(Mark) -> Result<()>) -> Result<()> {
        while self.is_sent() && !self.load.has_more() && self.next < self.fetched.len() {
            let message = self.fetched.get(self.next);
            match handover::read(&self.place.topic, &message)? {
                Sent::Mark(mark) => {
                    self.next += 1;
                    on_mark(mark)?;
                }
                Sent::Record(first) => {
                    let from = usize::try_from(first.from).unwrap_or(usize::MAX);
                    self.load.clear(from);
                    self.take_run(first.from)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the records of one partition that come next.
    fn take_run(&mut self, from: i32) -> Result<()> {
        while self.next < self.fetched.len() {
            let message = self.fetched.get(self.next);
            let sent = match handover::read(&self.place.topic, &message)? {
                Sent::Record(sent) if sent.from == from => sent,
                _ => break,
            };
            let records = &mut self.load.records;
            records.push(sent.time, sent.bytes, sent.key_len, sent.content);
            if let Some(offsets) = &mut self.load.offsets {
                offsets.push(message.offset);
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Notes how far the client has come, transaction markers included, and where the partition ends as far
    /// as is known.
    pub fn note(&mut self, reached: Option<i64>, end: Option<i64>) {
        if !self.is_used_up() {
            return;
        }
        let own_end = self.end.unwrap_or(i64::MAX);
        self.reached = reached.map_or(self.reached, |reached| {
            self.reached.max(reached.min(own_end))
        });
        self.is_at_end = end.is_some_and(|end| self.reached >= end);
    }
}

impl KeyCheck {
    /// Refuses records that lie elsewhere than what they are joined on belongs to.
    ///
    /// # Errors
    /// `refused`, with the way out.
    fn check<'m>(
        &self,
        topic: &str,
        messages: impl Iterator<Item = Message<'m>>,
        load: &Load,
    ) -> Result<()> {
        match self.first_elsewhere(messages, load) {
            None => Ok(()),
            Some(message) => Err(elsewhere(topic, &message)),
        }
    }

    /// Returns the first record that lies elsewhere than what it is joined on belongs to. Those whose key is
    /// null equal nothing, and may lie anywhere.
    pub fn first_elsewhere<'m>(
        &self,
        mut messages: impl Iterator<Item = Message<'m>>,
        load: &Load,
    ) -> Option<Message<'m>> {
        let offsets = load.offsets.as_deref().unwrap_or_default();
        let mut offsets = offsets.iter();
        let mut found = None;
        load.records.each(|_, bytes, key_len, content| {
            let Some(&offset) = offsets.next() else {
                return;
            };
            let message = messages.find(|message| message.offset == offset);
            if content != Content::Keyed || found.is_some() {
                return;
            }
            let key = self.keys.of(&bytes[..key_len]);
            found = message.filter(|message| {
                let is_key = key.is_some() && message.key == key.as_deref();
                let belongs = |key: &[u8]| partition_of(key, self.partitions) == message.partition;
                !(is_key && message.key.is_some_and(belongs))
            });
        });
        found
    }
}

fn elsewhere(topic: &str, message: &Message<'_>) -> Error {
    let what = match message.key {
        Some(key) => format!("a record's key, `{}`,", printable(key)),
        None => "a record's key, null,".to_owned(),
    };
    Error::refused(format!(
        "{what} is not what `--on` joins by, or it lies in another partition than that belongs to, unlike \
         the first records: what it is to meet may be read by another process"
    ))
    .during(format!(
        "reading topic `{topic}`, partition {}, offset {}",
        message.partition, message.offset
    ))
    .hint("start over with `--reset --repartition`, which brings them together")
}
