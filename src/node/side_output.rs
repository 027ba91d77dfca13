//! Records that are set aside, with the reason: late, expired, ahead, malformed.
//!
//! A file or stdout gets lines: what became of the record, why, its window, the watermark then, how
//! late it was, where it was, and the record itself. A topic gets the record unchanged, with the
//! rest as headers.

use std::sync::Arc;
use std::time::Duration;

use crate::column::ValueRef;
use crate::engine::operator::Late;
use crate::engine::watermark::{BEGINNING, END};
use crate::error::Result;
use crate::format::{Malformed, Origin};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::producer::{Block, Record, TopicId};
use crate::notation::{Notation, push_csv, push_json};
use crate::outlet::Outlet;
use crate::sink::topic::Shared;
use crate::source::Header;
use crate::term::units::format_duration;

/// The columns, or the names of the headers, without the record itself.
const NAMES: [&str; 7] = [
    "outcome",
    "reason",
    "window_start",
    "window_end",
    "watermark",
    "late_by_ms",
    "place",
];
/// How many partitions a topic gets that is not there yet.
const PARTITIONS: i32 = 1;

/// Where records that are set aside go.
pub enum SideOutput {
    /// Lines.
    Text {
        /// The file, or stdout.
        output: Outlet,
        /// CSV with a header, or JSON lines.
        notation: Notation,
    },
    /// Records of a topic.
    Topic(Box<AsideTopic>),
}

/// A topic that records are set aside in.
pub struct AsideTopic {
    producer: Shared,
    topic: TopicId,
    partitions: i32,
    next: i32,
}

/// A record that is set aside, with its [`NAMES`].
struct Case<'c> {
    facts: [ValueRef<'c>; 7],
    bytes: &'c [u8],
}

impl SideOutput {
    /// Returns an output of lines.
    pub fn text(output: Outlet, notation: Notation) -> Self {
        SideOutput::Text { output, notation }
    }

    /// Opens a topic, which is created with endless retention where it does not exist, to be
    /// written through a producer that others may use, too.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be created.
    pub fn topic(settings: &Settings, name: &str, producer: Shared) -> Result<Self> {
        let admin = Admin::new(settings)?;
        let topic = match admin.find_topic(name)? {
            Some(topic) => topic,
            None => admin.create_data_topic(name, PARTITIONS)?,
        };
        let id = producer.lock().topic(name)?;
        Ok(SideOutput::Topic(Box::new(AsideTopic {
            topic: id,
            producer,
            partitions: topic.partitions.len() as i32,
            next: 0,
        })))
    }

    /// Sets a late record aside.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write_late(&mut self, late: &Late, (place, bytes): Origin<'_>) -> Result<()> {
        let reason = match late.watermark {
            END => "the input had ended".to_owned(),
            _ => format!(
                "the watermark was {} past the window's close",
                format_duration(late.by_ms)
            ),
        };
        let place = place.to_string();
        self.write(&Case {
            facts: [
                ValueRef::Text(if late.expired { "expired" } else { "late" }),
                ValueRef::Text(&reason),
                time(late.window.start),
                time(late.window.end),
                time(late.watermark),
                ValueRef::Integer(late.by_ms.into()),
                ValueRef::Text(&place),
            ],
            bytes,
        })
    }

    /// Sets a record aside that is in no window: `malformed`, or `ahead`.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write_unfit(
        &mut self,
        outcome: &str,
        malformed: &Malformed<'_>,
        watermark: i64,
    ) -> Result<()> {
        let place = malformed.place.to_string();
        self.write(&Case {
            facts: [
                ValueRef::Text(outcome),
                ValueRef::Text(&malformed.misfit.reason),
                ValueRef::Null,
                ValueRef::Null,
                time(watermark),
                ValueRef::Null,
                ValueRef::Text(&place),
            ],
            bytes: malformed.bytes,
        })
    }

    /// Makes sure that others can read what was set aside.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> Result<()> {
        match self {
            SideOutput::Text { output, notation } => begin(output, *notation),
            SideOutput::Topic(topic) => topic.producer.lock().deliver(),
        }
    }

    fn write(&mut self, case: &Case<'_>) -> Result<()> {
        match self {
            SideOutput::Text { output, notation } => {
                begin(output, *notation)?;
                output.write(&case.line(*notation))
            }
            SideOutput::Topic(topic) => topic.send(case),
        }
    }
}

fn begin(output: &mut Outlet, notation: Notation) -> Result<()> {
    output.begin(|| match notation {
        Notation::Csv => format!("{},record\n", NAMES.join(",")).into_bytes(),
        Notation::Json => Vec::new(),
    })
}

fn time(at: i64) -> ValueRef<'static> {
    match at {
        BEGINNING | END => ValueRef::Null,
        at => ValueRef::Integer(at.into()),
    }
}

impl Case<'_> {
    /// Returns the line; bytes that are not UTF-8 are written with `�`.
    fn line(&self, notation: Notation) -> Vec<u8> {
        let record = String::from_utf8_lossy(self.bytes);
        let names = NAMES.into_iter().chain(["record"]);
        let facts = self.facts.iter().copied();
        let values = facts.chain([ValueRef::Text(&record)]);
        let mut line = Vec::new();
        for (nth, (name, value)) in names.zip(values).enumerate() {
            match notation {
                Notation::Csv => {
                    line.extend_from_slice(if nth > 0 { b"," } else { b"" });
                    push_csv(&mut line, value);
                }
                Notation::Json => {
                    line.push(if nth > 0 { b',' } else { b'{' });
                    push_json(&mut line, ValueRef::Text(name));
                    line.push(b':');
                    push_json(&mut line, value);
                }
            }
        }
        line.extend_from_slice(match notation {
            Notation::Csv => b"\n",
            Notation::Json => b"}\n",
        });
        line
    }
}

impl AsideTopic {
    fn send(&mut self, case: &Case<'_>) -> Result<()> {
        let texts: Vec<Option<String>> = case.facts.iter().map(|fact| text(*fact)).collect();
        let headers: Vec<Header<'_>> = NAMES
            .iter()
            .zip(&texts)
            .map(|(name, text)| Header {
                name: name.as_bytes(),
                value: text.as_ref().map(String::as_bytes),
            })
            .collect();
        let block = Arc::new(Block::from(case.bytes.to_vec()));
        let record = Record {
            partition: self.next,
            timestamp: None,
            key: None,
            value: Some(0..case.bytes.len()),
            headers: &headers,
        };
        self.next = (self.next + 1) % self.partitions;
        let mut producer = self.producer.lock();
        producer.send(self.topic, &block, &record)?;
        producer.serve(Duration::ZERO)
    }
}

fn text(fact: ValueRef<'_>) -> Option<String> {
    match fact {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(text.to_owned()),
        other => {
            let mut text = Vec::new();
            push_csv(&mut text, other);
            Some(String::from_utf8_lossy(&text).into_owned())
        }
    }
}
