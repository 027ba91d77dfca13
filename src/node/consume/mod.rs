//! `k consume`'s loop: records of topics → a sink, and commits for a group.
//!
//! Comes in: one reader a topic. Goes out: records in a [`RecordSink`]; what was written out is committed
//! once a second, and at the end.

mod pick;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::format::registry;
use crate::kafka::Settings;
use crate::sink::records::RecordSink;
use crate::source::kafka::{KafkaSource, Range};
use crate::source::{Committed, Message, Polled, Records, Source};
use crate::term::units::{format_count, format_plural, format_rate};
pub use pick::Pick;
use pick::{Fate, Picked, Picker};

/// How long written rows are buffered before they are flushed.
const FLUSH: Duration = Duration::from_millis(100);
/// How long to wait for all topics before signals and a closed pipe are checked.
const WAIT: Duration = Duration::from_millis(50);
/// How often a group's progress is committed.
const COMMIT: Duration = Duration::from_secs(1);

/// What is wanted of some topics.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key of the records that are taken; none: all of them.
    pub key: Option<Vec<u8>>,
    /// What is wanted of their values.
    pub pick: Pick,
    /// How many records are wanted.
    pub limit: u64,
}

/// One run: from topics to stdout.
pub struct Consumption<'r> {
    /// One per topic.
    readers: Vec<Reader>,
    sink: RecordSink<'r>,
    topics: &'r [String],
    options: &'r Options,
    /// How many more records to take.
    left: u64,
    /// Whether the topics are read as part of a group.
    for_group: bool,
    context: &'r Context,
    /// How many records were read, taken or not.
    read: u64,
    /// How many were skipped because their values are malformed.
    malformed: u64,
    /// The line about the first of them.
    first_skipped: Option<String>,
    began: Instant,
    /// When the last record came.
    heard: Instant,
    flushed: Instant,
    committed: Instant,
}

impl<'r> Consumption<'r> {
    /// Opens topics; `open_sink` opens what their records go to, once all of them are there.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` for a topic that is not there or may not be read.
    pub fn open(
        settings: &Settings,
        topics: &'r [String],
        range: &Range,
        options: &'r Options,
        open_sink: impl FnOnce() -> Result<RecordSink<'r>>,
        context: &'r Context,
    ) -> Result<Self> {
        let open = |topic: &String| Reader::open(settings, topic, range);
        let readers = topics.iter().map(open).collect::<Result<_>>()?;
        let now = Instant::now();
        Ok(Consumption {
            readers,
            sink: open_sink()?,
            topics,
            options,
            left: options.limit,
            for_group: range.group.is_some(),
            context,
            read: 0,
            malformed: 0,
            first_skipped: None,
            began: now,
            heard: now,
            flushed: now,
            committed: now,
        })
    }

    /// Returns how many records were written.
    pub fn written(&self) -> u64 {
        self.sink.written()
    }

    /// Reads and writes until the end, then commits what was written out.
    ///
    /// # Errors
    /// Why it ended before that; what was written out is committed then, too, where that can be.
    pub fn run(&mut self) -> Result<()> {
        let Err(ended) = self.read() else {
            return self.commit();
        };
        match ended.remedy() {
            Remedy::Stopped(_) | Remedy::ClosedPipe | Remedy::MendData => {
                self.commit().and(Err(ended))
            }
            _ => Err(ended),
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut wait = Duration::ZERO;
        loop {
            self.context.interrupt.check()?;
            let open = self.readers.iter().filter(|reader| !reader.ended).count();
            if open == 0 || self.left == 0 {
                self.sink.end()?;
                return self.flush();
            }
            let mut heard = false;
            for nth in 0..self.readers.len() {
                if !self.readers[nth].ended && self.left > 0 {
                    heard |= self.poll(nth, wait)?;
                }
            }
            if !heard || self.flushed.elapsed() >= FLUSH {
                self.flush()?;
            }
            if self.committed.elapsed() >= COMMIT {
                match self.commit() {
                    // The next commit covers this one, once a broker is available again.
                    Err(error) if error.remedy() == Remedy::Retry => {}
                    committed => committed?,
                }
            }
            wait = if heard {
                Duration::ZERO
            } else {
                WAIT / open as u32
            };
        }
    }

    /// Takes the next batch of the `nth` topic; returns whether there was any.
    fn poll(&mut self, nth: usize, wait: Duration) -> Result<bool> {
        let reader = &mut self.readers[nth];
        if self.options.pick.is_given() && reader.picker.is_none() {
            if reader.source.await_first(wait)? {
                let (topic, records) = (&self.topics[nth], reader.source.at_hand());
                reader.picker = Some(self.options.pick.picker(topic, &records, self.context)?);
            } else if !reader.source.has_ended() {
                return Ok(false);
            }
        }
        let batch = match reader.source.poll(wait)? {
            Polled::Batch(batch) => batch,
            Polled::Pending => {
                reader.note_all_handled();
                return Ok(false);
            }
            Polled::End => {
                reader.note_all_handled();
                reader.ended = true;
                return Ok(false);
            }
        };
        self.heard = Instant::now();
        let partition = batch.partition;
        let Records::Messages(messages) = batch.records else {
            return Err(Error::bug("a topic holds messages"));
        };
        if !std::mem::replace(&mut reader.is_looked_at, true) {
            tell_frame(&self.topics[nth], &messages, self.context);
        }
        let key = self.options.key.as_deref();
        let (mut last, mut refused) = (None, None);
        let has_key = |message: &Message<'_>| key.is_none_or(|key| message.key == Some(key));
        let picked = match &mut reader.picker {
            Some(picker) => Some(picker.pick(&messages, has_key)?),
            None => None,
        };
        let Picked {
            fates,
            bytes,
            first_skipped,
        } = picked.unwrap_or_default();
        let mut fates = fates.into_iter();
        let mut taken = Vec::new();
        for message in &messages {
            if taken.len() as u64 == self.left {
                break;
            }
            let offset = message.offset;
            let message = match fates.next().unwrap_or(Fate::Taken) {
                _ if !has_key(message) => None,
                Fate::Refused(error) => {
                    refused = Some(error);
                    break;
                }
                Fate::Left => None,
                Fate::Skipped => {
                    self.malformed += 1;
                    self.first_skipped = self.first_skipped.take().or(first_skipped.clone());
                    None
                }
                Fate::Taken => Some(*message),
                Fate::Changed(value) => Some(Message {
                    value: Some(&bytes[value]),
                    ..*message
                }),
            };
            self.read += 1;
            last = Some(offset);
            taken.extend(message);
        }
        self.left -= taken.len() as u64;
        if !taken.is_empty() {
            self.sink.begin(nth, &taken);
        }
        for message in &taken {
            self.sink.push(nth, message);
            if self.sink.is_full() {
                self.sink.flush()?;
            }
        }
        if let Some(last) = last {
            reader.handled[partition] = last + 1;
        }
        match refused {
            None => Ok(true),
            Some(error) => self.flush().and(Err(error)),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.sink.flush()?;
        self.flushed = Instant::now();
        for reader in &mut self.readers {
            reader.written.clone_from(&reader.handled);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.committed = Instant::now();
        if self.for_group {
            self.readers.iter_mut().try_for_each(Reader::commit)
        } else {
            Ok(())
        }
    }

    /// Returns the line about the first malformed record that was skipped.
    pub fn first_skipped(&self) -> Option<&str> {
        self.first_skipped.as_deref()
    }

    /// Returns the final status: `6,000 records in 1.200 s, 5,000/s`, or `12 of 6,000 records in …` if
    /// some may have been left out.
    pub fn summary(&self) -> String {
        let written = self.sink.written();
        let (of, records) = if self.options.key.is_some() || self.options.pick.filters() {
            (format!("{} of ", format_count(written)), self.read)
        } else {
            (String::new(), written)
        };
        let seconds = (self.heard - self.began).as_secs_f64();
        let rate = format_rate(records as f64 / seconds.max(1e-3));
        let records = format_plural(records, "record");
        let malformed = match self.malformed {
            0 => String::new(),
            malformed => format!(", {} malformed", format_count(malformed)),
        };
        format!("{of}{records} in {seconds:.3} s, {rate}{malformed}")
    }
}

/// Warns about values written by a serializer of a Schema Registry.
fn tell_frame(topic: &str, messages: &[Message<'_>], context: &Context) {
    let first = messages.iter().find_map(|message| message.value);
    if let Some(id) = first.and_then(registry::schema_id) {
        let told = registry::describe(id);
        context
            .report
            .warning(format!("topic `{topic}`: the first value is {told}"));
        context.report.hint(registry::CURE);
    }
}

/// One topic, and how far it has come in each of its partitions.
struct Reader {
    source: KafkaSource,
    /// What reads the values, once the first ones have shown their format.
    picker: Option<Picker>,
    /// Whether its first records were checked for what to warn about.
    is_looked_at: bool,
    /// Whether it has ended.
    ended: bool,
    /// The next offset to be handed to the sink.
    handled: Vec<i64>,
    /// The next offset to be written out.
    written: Vec<i64>,
    /// The next offset as the group has committed it, or where reading began.
    committed: Vec<i64>,
}

impl Reader {
    fn open(settings: &Settings, topic: &str, range: &Range) -> Result<Self> {
        let source = KafkaSource::open(settings, topic, range);
        let mut source = source.map_err(|error| {
            if Path::new(topic).is_file() {
                error.hint(format!(
                    "there is a file `{topic}`: `k window` and `k produce` read files"
                ))
            } else {
                error
            }
        })?;
        source.merge();
        let starts: Vec<i64> = positions(&source).collect();
        Ok(Reader {
            source,
            picker: None,
            is_looked_at: false,
            ended: false,
            handled: starts.clone(),
            written: starts.clone(),
            committed: starts,
        })
    }

    /// Notes that the sink has everything that the source had, including transaction markers, which are not
    /// records.
    fn note_all_handled(&mut self) {
        self.handled = positions(&self.source).collect();
    }

    /// Commits what was written out, if that is more than before.
    fn commit(&mut self) -> Result<()> {
        let places = self.written.iter().zip(&self.committed).enumerate();
        let moved: Vec<(usize, Committed)> = places
            .filter(|(_, (written, committed))| written > committed)
            .map(|(nth, (&offset, _))| {
                let metadata = String::new();
                (nth, Committed { offset, metadata })
            })
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        self.source.commit(&moved)?;
        self.committed.clone_from(&self.written);
        Ok(())
    }
}

/// Returns the next offset of each partition that a source hands over.
fn positions(source: &KafkaSource) -> impl Iterator<Item = i64> {
    (0..source.partitions()).map(|nth| source.position(nth).unwrap_or_default())
}
