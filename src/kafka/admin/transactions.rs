//! Open transactions: who holds readers back, since when, and how one is ended from outside (KIP-664).

use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode;

use super::direct::{refusal, words};
use super::offsets::is_unsettled;
use super::{Admin, OffsetOf, SETTLE_TIMEOUT};
use crate::error::{Error, Result};
use crate::kafka::direct::asking::{Ask, At, Outcome};
use crate::kafka::wire::transactions::{self, Producer, Transaction};
use crate::kafka::wire::{Api, code};
use crate::kafka::{Failure, REQUEST_TIMEOUT, words_of};

/// A transaction that is open in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenTransaction {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// What the partition's leader knows.
    producer: Producer,
    /// What its coordinator knows, if it still does.
    known: Option<Transaction>,
    /// How many offsets readers of committed records cannot come to, of the oldest one.
    pub held_back: Option<i64>,
}

impl OpenTransaction {
    /// Returns the offset of its first record.
    pub fn start_offset(&self) -> i64 {
        self.producer.start_offset
    }

    /// Returns the producer's id.
    pub fn producer(&self) -> i64 {
        self.producer.id
    }

    /// Returns the producer's name for itself; `None` where no coordinator knows it any more, so that
    /// nothing will end the transaction.
    pub fn name(&self) -> Option<&str> {
        self.known.as_ref().map(|known| known.name.as_str())
    }

    /// Returns the state that its coordinator has it in, in words; `forgotten` where none knows it.
    pub fn state(&self) -> String {
        let known = self.known.as_ref();
        known.map_or_else(|| "forgotten".to_owned(), |known| words(&known.state))
    }

    /// Returns when it began, in ms since 1970.
    pub fn began_ms(&self) -> Option<i64> {
        let began = self.known.as_ref().map(|known| known.start_ms);
        began.filter(|&time| time >= 0)
    }

    /// Returns how long it may be open before its coordinator ends it, in ms.
    pub fn timeout_ms(&self) -> Option<i32> {
        self.known.as_ref().map(|known| known.timeout_ms)
    }
}

impl Admin {
    /// Returns the transactions that are open in some partitions, by partition and offset.
    ///
    /// # Errors
    /// `refused` of brokers before Kafka 3.0, which do not tell; `retry` when none answers.
    pub(crate) fn transactions(&self, partitions: &[(&str, i32)]) -> Result<Vec<OpenTransaction>> {
        let mut open = self.open_producers(partitions)?;
        if open.is_empty() {
            return Ok(open);
        }
        let ids: Vec<i64> = open.iter().map(OpenTransaction::producer).collect();
        let known = self.describe_transactions(&ids)?;
        let places: Vec<(String, i32)> = open
            .iter()
            .map(|open| (open.topic.clone(), open.partition))
            .collect();
        let places: Vec<(&str, i32)> = places
            .iter()
            .map(|(topic, number)| (topic.as_str(), *number))
            .collect();
        let ends = self.offsets_within(SETTLE_TIMEOUT, &places, OffsetOf::Latest)?;
        for open in &mut open {
            let mut all = known.iter();
            let is_it = |known: &&Transaction| known.producer == open.producer.id;
            open.known = all.find(is_it).cloned();
            let mut ends = ends.iter();
            let end = ends.find(|end| (&end.topic, end.partition) == (&open.topic, open.partition));
            let end = end.and_then(|end| end.offset.as_ref().ok());
            open.held_back = end.map(|end| (end - open.producer.start_offset).max(0));
        }
        // Of several in a partition the oldest one holds readers back.
        open.sort_by(|a, b| {
            let place =
                |open: &OpenTransaction| (open.topic.clone(), open.partition, open.start_offset());
            place(a).cmp(&place(b))
        });
        for nth in 1..open.len() {
            let is_same = |a: &OpenTransaction, b: &OpenTransaction| {
                (&a.topic, a.partition) == (&b.topic, b.partition)
            };
            if is_same(&open[nth - 1], &open[nth]) {
                open[nth].held_back = None;
            }
        }
        Ok(open)
    }

    /// Returns who has a transaction open; a partition whose leader is new is asked for again.
    fn open_producers(&self, partitions: &[(&str, i32)]) -> Result<Vec<OpenTransaction>> {
        if !self.is_direct() {
            return Err(Error::refused(
                "open transactions are looked up by the direct client, and librdkafka was chosen",
            )
            .hint("`-v` says why it was"));
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.ask_producers(partitions)? {
                Ok(open) => return Ok(open),
                Err((topic, partition, failure)) => {
                    let is_settling = failure.code().is_some_and(|code| is_unsettled(&code));
                    let failure = if is_settling {
                        match self.wait_a_moment(deadline, failure) {
                            Ok(()) => continue,
                            Err(failure) => failure,
                        }
                    } else {
                        failure
                    };
                    let what = format!("look into topic `{topic}`, partition {partition}");
                    return Err(failure.into_error(what));
                }
            }
        }
    }

    /// Asks the leaders once; within, the first partition that is not told about, and why.
    fn ask_producers(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<Result<Vec<OpenTransaction>, (String, i32, Failure)>> {
        let (led, others) = self.leaders(partitions)?;
        if let Some((topic, partition, code)) = others.into_iter().next() {
            return Ok(Err((
                topic,
                partition,
                Failure::Refused(code, words_of(code)),
            )));
        }
        let asks = led.into_iter().map(|(leader, places)| {
            Ask::new(
                At::Broker(leader),
                Api::DescribeProducers,
                move |output, _| {
                    transactions::write_producers(output, &places);
                },
            )
        });
        let mut open = Vec::new();
        for outcome in self.send(asks.collect())? {
            if matches!(outcome, Outcome::Unknown) {
                return Err(too_old());
            }
            let topics = outcome.read(|input, _| transactions::read_producers(input))?;
            let topics = topics.ok_or_else(|| self.settings.unreachable(&self.health))?;
            for (topic, partitions) in topics {
                for (partition, error, producers) in partitions {
                    if let Err(failure) = refusal(error, None) {
                        return Ok(Err((topic, partition, failure)));
                    }
                    let producers = producers.into_iter();
                    let producers = producers.filter(|producer| producer.start_offset >= 0);
                    open.extend(producers.map(|producer| OpenTransaction {
                        topic: topic.clone(),
                        partition,
                        producer,
                        known: None,
                        held_back: None,
                    }));
                }
            }
        }
        Ok(Ok(open))
    }

    /// Returns what coordinators know of producers' transactions.
    fn describe_transactions(&self, producers: &[i64]) -> Result<Vec<Transaction>> {
        let brokers = self.ask_metadata(Some(Vec::new()))?.brokers;
        let asks = brokers.iter().map(|broker| {
            let producers = producers.to_vec();
            Ask::new(
                At::Broker(broker.id),
                Api::ListTransactions,
                move |output, version| {
                    transactions::write_list(output, version, &producers);
                },
            )
        });
        let mut named = Vec::new();
        for (broker, outcome) in brokers.iter().zip(self.send(asks.collect())?) {
            let found = outcome.read(|input, _| transactions::read_list(input))?;
            let Some((code::NONE, found)) = found else {
                continue; // what it would know is left out
            };
            if !found.is_empty() {
                let names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
                named.push((broker.id, names));
            }
        }
        let asks = named.into_iter().map(|(broker, names)| {
            Ask::new(
                At::Broker(broker),
                Api::DescribeTransactions,
                move |output, _| {
                    transactions::write_described(output, &names);
                },
            )
        });
        let mut known = Vec::new();
        for outcome in self.send(asks.collect())? {
            let described = outcome.read(|input, _| transactions::read_described(input))?;
            let described = described.unwrap_or_default().into_iter();
            known.extend(described.filter(|known| known.error == code::NONE));
        }
        Ok(known)
    }

    /// Ends a transaction in its partition, so that its records there do not count, as
    /// `kafka-transactions.sh abort` does. Its producer is not asked.
    ///
    /// # Errors
    /// `refused` with the broker's reason, `retry` where the partition's leader does not answer.
    pub(crate) fn abort_transaction(&self, open: &OpenTransaction) -> Result<()> {
        let (topic, partition) = (open.topic.as_str(), open.partition);
        let what = format!("abort the transaction in topic `{topic}`, partition {partition}");
        let (led, _) = self.leaders(&[(topic, partition)])?;
        let leader = led.keys().next().copied();
        let leader =
            leader.ok_or_else(|| Error::retry(format!("cannot {what}: no broker leads")))?;
        let (producer, topic) = (open.producer, topic.to_owned());
        let ask = Ask::new(
            At::Broker(leader),
            Api::WriteTxnMarkers,
            move |output, _| {
                transactions::write_abort(output, &producer, &topic, partition);
            },
        );
        let outcome = self.send(vec![ask])?.pop();
        let answer = match outcome {
            Some(outcome) => outcome.read(|input, _| transactions::read_abort(input))?,
            None => None,
        };
        let error = answer.ok_or_else(|| self.settings.unreachable(&self.health))?;
        refusal(error, None).map_err(|failure| {
            let is_denied = failure.code() == Some(RDKafkaErrorCode::ClusterAuthorizationFailed);
            let error = failure.into_error(what);
            if is_denied {
                error.hint("it needs the right `ClusterAction` on the cluster, as brokers have")
            } else {
                error
            }
        })
    }
}

fn too_old() -> Error {
    Error::refused("the broker does not say who writes to a partition: it is older than Kafka 3.0")
}
