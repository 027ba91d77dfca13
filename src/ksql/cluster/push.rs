//! SELECT … EMIT CHANGES and PRINT: records of topics as they come, until there are enough.
//!
//! All partitions are read by this process alone and nothing is committed. Records that are there are
//! taken in the order of their times, over all topics and partitions; those that come, as they come.

use std::time::{Duration, Instant};

use super::order::{self, Queue};
use super::topics::{self, AT_ONCE, POLL, Ranges};
use crate::context::Context;
use crate::error::Result;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::fetch::Fetcher;
use crate::source::Message;

/// The most records that wait of one partition.
const MOST_WAITING: usize = 5_000;

/// Topics that are read together.
pub(super) struct Stream<T> {
    readers: Vec<Reader>,
    queues: Vec<Queue<(usize, T)>>,
    context: Context,
}

struct Reader {
    fetcher: Fetcher,
    partitions: usize,
}

impl<T> Stream<T> {
    /// Begins to read topics, from their beginnings or from now on.
    ///
    /// # Errors
    /// `refused` for a topic that is missing, `retry` when no broker answers.
    pub fn begin(
        settings: &Settings,
        context: &Context,
        admin: &Admin,
        wanted: &[&str],
        from_beginning: bool,
    ) -> Result<Self> {
        let mut stream = Stream {
            readers: Vec::new(),
            queues: Vec::new(),
            context: context.clone(),
        };
        for topic in wanted {
            let partitions = admin.topic(topic)?.partitions.len();
            let held: Ranges = topics::held(admin, topic, 0..partitions as i32)?;
            let start = |(number, range): &(i32, std::ops::Range<i64>)| {
                (
                    *number,
                    if from_beginning {
                        range.start
                    } else {
                        range.end
                    },
                )
            };
            let mut fetcher = Fetcher::new(settings, topic, None)?;
            fetcher.assign(&held.iter().map(start).collect::<Vec<_>>())?;
            for (_, range) in &held {
                let mut queue = Queue::new(Instant::now(), false);
                queue.is_at_end = !from_beginning || range.is_empty();
                stream.queues.push(queue);
            }
            stream.readers.push(Reader {
                fetcher,
                partitions,
            });
        }
        Ok(stream)
    }

    /// Reads on. `take` makes something of a record of the nth topic and says when it was; `give` gets
    /// these in order, and says whether there are enough; `pause` is called where no more is there.
    ///
    /// # Errors
    /// `retry` when a broker is gone for long, and what the functions say. A signal ends it without one.
    pub fn run(
        mut self,
        mut take: impl FnMut(usize, &Message<'_>) -> Option<(i64, T)>,
        mut give: impl FnMut(usize, T) -> Result<bool>,
        mut pause: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        loop {
            if self.context.interrupt.is_set() {
                return pause();
            }
            let (mut has_read, mut first, now) = (false, 0, Instant::now());
            for (nth, reader) in self.readers.iter_mut().enumerate() {
                reader.fetcher.serve()?;
                for partition in 0..reader.partitions {
                    let queue = &mut self.queues[first + partition];
                    if queue.len() >= MOST_WAITING {
                        continue;
                    }
                    let fetched = reader.fetcher.read(partition, Duration::ZERO, AT_ONCE)?;
                    has_read |= !fetched.is_empty();
                    for message in (0..fetched.len()).map(|at| fetched.get(at)) {
                        if let Some((time, item)) = take(nth, &message) {
                            queue.push(now, time, (nth, item));
                        }
                    }
                }
                first += reader.partitions;
            }
            self.note_ends();
            let mut has_given = false;
            while let Some((_, nth)) = order::next(self.queues.iter(), now) {
                let Some((topic, item)) = self.queues[nth].pop() else {
                    break;
                };
                has_given = true;
                if give(topic, item)? {
                    return pause();
                }
                let queue = &self.queues[nth];
                if queue.len() == 0 && !queue.is_at_end {
                    break;
                }
            }
            if !has_read && !has_given {
                pause()?;
                self.wait()?;
            }
        }
    }

    /// Notes which partitions were read to their ends.
    fn note_ends(&mut self) {
        let mut first = 0;
        for reader in &self.readers {
            let positions = reader.fetcher.positions();
            for (nth, position) in positions.into_iter().enumerate() {
                let queue = &mut self.queues[first + nth];
                if let (Some(position), Some(end)) = (position, reader.fetcher.high_watermark(nth))
                {
                    queue.is_at_end = position >= end;
                }
            }
            first += reader.partitions;
        }
    }

    /// Waits a little for records.
    fn wait(&mut self) -> Result<()> {
        for reader in &mut self.readers {
            reader.fetcher.watch_silence(|_| true)?;
        }
        std::thread::sleep(POLL);
        Ok(())
    }
}
