//! What a task that spreads a side's records sends to those that join.
//!
//! Records are sent as the join takes them: time, key and the piece of a row that each carries. So they are
//! decoded once. After them, each commit sends a [`Mark`] to every partition: whoever has read it has read
//! all that was sent before it, and need not wait for anything below its watermark.

use std::sync::Arc;

use crate::engine::codec;
use crate::engine::join::Content;
use crate::error::{Error, Result};
use crate::kafka::producer::{Block, Producer, Record, TopicId};
pub(super) use crate::node::group::repartition::Mark;
use crate::record::Message;

/// The first byte: what follows.
const RECORD: u8 = 0;
const NULL_KEY: u8 = 1;
const MARK: u8 = 2;

/// What is before the bytes of a record: what it is, its partition, its time, the length of its key.
const HEAD: usize = 17;

/// What was sent.
pub(super) enum Sent<'m> {
    Record(SentRecord<'m>),
    Mark(Mark),
}

/// A record that was sent.
pub(super) struct SentRecord<'m> {
    /// The partition of the input that it comes from.
    pub from: i32,
    /// In ms since 1970, UTC.
    pub time: i64,
    pub content: Content,
    pub key_len: usize,
    /// The key, then the rest.
    pub bytes: &'m [u8],
}

/// Records and marks on their way to partitions.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// Where each goes, and where it ends in the bytes.
    ends: Vec<(i32, usize)>,
}

impl Outbox {
    /// Adds a record.
    pub fn push(&mut self, to: i32, record: &SentRecord<'_>) {
        let bytes = &mut self.bytes;
        bytes.push(match record.content {
            Content::Keyed => RECORD,
            Content::NullKey | Content::Tombstone => NULL_KEY,
        });
        bytes.extend_from_slice(&record.from.to_le_bytes());
        bytes.extend_from_slice(&record.time.to_le_bytes());
        bytes.extend_from_slice(&(record.key_len as u32).to_le_bytes());
        bytes.extend_from_slice(record.bytes);
        self.ends.push((to, bytes.len()));
    }

    /// Adds a mark.
    ///
    /// # Errors
    /// `bug` where it cannot be written.
    pub fn push_mark(&mut self, to: i32, mark: &Mark) -> Result<()> {
        self.bytes.push(MARK);
        codec::put(&mut self.bytes, mark)?;
        self.ends.push((to, self.bytes.len()));
        Ok(())
    }

    /// Sends all of it, in order.
    ///
    /// # Errors
    /// Those of the producer.
    pub fn send(&mut self, topic: TopicId, producer: &mut Producer) -> Result<()> {
        let block = Arc::new(Block::from(std::mem::take(&mut self.bytes)));
        let mut start = 0;
        for (partition, end) in self.ends.drain(..) {
            let record = Record {
                partition,
                value: Some(start..end),
                ..Record::default()
            };
            producer.send(topic, &block, &record)?;
            start = end;
        }
        Ok(())
    }
}

/// Reads what was sent.
///
/// # Errors
/// `refused` for what this version of `k` has not sent.
pub(super) fn read<'m>(topic: &str, message: &Message<'m>) -> Result<Sent<'m>> {
    parse(message.value.unwrap_or_default()).ok_or_else(|| {
        Error::refused("a record of the group's own topic does not fit its plan")
            .during(format!(
                "reading topic `{topic}`, partition {}, offset {}",
                message.partition, message.offset
            ))
            .hint("start over with `--reset`, or use another group")
    })
}

fn parse(value: &[u8]) -> Option<Sent<'_>> {
    if let Some((&MARK, mut mark)) = value.split_first() {
        return codec::take(&mut mark).ok().map(Sent::Mark);
    }
    let (head, bytes) = value.split_first_chunk::<HEAD>()?;
    let [what, from @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    let [_, _, _, _, _, time @ .., _, _, _, _] = *head;
    let [.., a, b, c, d] = *head;
    let key_len = u32::from_le_bytes([a, b, c, d]) as usize;
    let content = match what {
        RECORD => Content::Keyed,
        NULL_KEY => Content::NullKey,
        _ => return None,
    };
    (key_len <= bytes.len()).then_some(Sent::Record(SentRecord {
        from: i32::from_le_bytes(from),
        time: i64::from_le_bytes(time),
        content,
        key_len,
        bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_read() {
        let record = SentRecord {
            from: 11,
            time: -3,
            content: Content::NullKey,
            key_len: 2,
            bytes: b"{}rest",
        };
        let mut outbox = Outbox::default();
        outbox.push(4, &record);
        let end = outbox.bytes.len();
        let mark = Mark {
            upstream: 11,
            position: 1 << 40,
            watermark: i64::MIN,
        };
        outbox.push_mark(5, &mark).expect("room");
        let Some(Sent::Record(read)) = parse(&outbox.bytes[..end]) else {
            panic!("not a record");
        };
        let parts = (read.from, read.time, read.content, read.key_len, read.bytes);
        assert_eq!(parts, (11, -3, Content::NullKey, 2, &b"{}rest"[..]));
        let Some(Sent::Mark(read)) = parse(&outbox.bytes[end..]) else {
            panic!("not a mark");
        };
        assert_eq!(read, mark);
        for cut in 1..HEAD {
            assert!(parse(&outbox.bytes[..cut]).is_none(), "{cut}");
        }
    }
}
