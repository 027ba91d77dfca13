//! The clients of a process: how the world looks through [`port`](crate::kafka::port). Each request
//! takes time, and at each of them the process may find that it has slept, or dies.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::group::{MemberClient, Position};
use super::log::Log;
use super::run::pause;
use super::sender::{Sender, SenderClient};
use super::transaction::TIMEOUT;
use super::world::{Event, MS, SharedWorld, Time, World, lock};
use crate::error::{Error, Result};
use crate::kafka::admin::{OffsetInfo, OffsetOf, Partition, Topic, TopicIdentity};
use crate::kafka::fetched::Fetched;
use crate::kafka::member::{Place, Rebalance};
use crate::kafka::port::{Cluster, Joins, KnowsOffsets, OwnRecord, Proof, Reads, Sends};
use crate::kafka::producer;
use crate::source::Committed;

/// What a process sees of the world.
#[derive(Clone)]
pub(super) struct View {
    pub world: SharedWorld,
    pub process: usize,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view of process {}", self.process)
    }
}

impl View {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Returns whether the process runs no more: what is left of it does nothing.
    pub(super) fn is_dead(&self) -> bool {
        self.lock().processes[self.process].is_dead
    }

    pub(super) fn pause(&self, time: Time) {
        pause(&self.world, self.process, time);
    }

    /// A request, or its answer, is on its way.
    pub(super) fn travel(&self) {
        let latency = self.lock().latency();
        self.pause(latency);
    }

    /// Sends a request that no broker answers while all are away.
    pub(super) fn ask<T>(&self, answer: impl FnOnce(&mut World) -> T) -> Option<T> {
        self.travel();
        if self.is_dead() || self.lock().is_down() {
            self.pause(50 * MS);
            return None;
        }
        let answer = answer(&mut self.lock());
        self.travel();
        Some(answer)
    }
}

impl Cluster for View {
    fn sender(&self, options: &producer::Options) -> Box<dyn Sends> {
        let mut world = self.lock();
        let within = options.within.map_or(TIMEOUT, micros);
        let client = SenderClient::new(self.process, options.transactional.clone(), within);
        world.senders.push(client);
        let nth = world.senders.len() - 1;
        let timeout = TIMEOUT + micros(options.open_for);
        Box::new(Sender::new(self.clone(), nth, timeout))
    }

    fn member(&self, _group: &str, topics: &[&str]) -> Box<dyn Joins> {
        let mut world = self.lock();
        let client = MemberClient::new(self.process, topics);
        world.members.push(client);
        let nth = world.members.len() - 1;
        world.after(MS, Event::Heartbeat(nth));
        Box::new(Member {
            view: self.clone(),
            nth,
        })
    }

    fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Box<dyn Reads> {
        let positions = starts.iter().map(|&(partition, next)| {
            let topic = topic.into();
            (Place { topic, partition }, next, false)
        });
        Box::new(Reader {
            view: self.clone(),
            positions: positions.collect(),
        })
    }

    fn committed(
        &self,
        _group: &str,
        wanted: &TopicPartitionList,
    ) -> Result<TopicPartitionList, KafkaError> {
        committed(self, wanted)
    }

    fn topics(&self, name: Option<&str>) -> Vec<(Topic, Option<Code>)> {
        let found = self.ask(|world| {
            let topics = world.topics.iter();
            let topics = topics.filter(|(known, _)| name.is_none_or(|name| name == *known));
            let topics = topics.map(|(name, logs)| {
                let partition = |number| Partition {
                    number,
                    leader: Some(1),
                    replicas: vec![1],
                    in_sync: vec![1],
                };
                let partitions = (0..logs.len() as i32).map(partition).collect();
                let name = name.clone();
                (Topic { name, partitions }, None)
            });
            topics.collect::<Vec<_>>()
        });
        match (found, name) {
            (Some(found), Some(name)) if found.is_empty() => {
                let topic = Topic {
                    name: name.to_owned(),
                    partitions: Vec::new(),
                };
                vec![(topic, Some(Code::UnknownTopicOrPartition))]
            }
            (Some(found), _) => found,
            // It waits until one answers.
            (None, name) if !self.is_dead() => self.topics(name),
            (None, _) => Vec::new(),
        }
    }

    fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(String, String)],
    ) -> Result<(), Code> {
        let created = self.ask(|world| {
            if world.topics.contains_key(name) {
                return Err(Code::TopicAlreadyExists);
            }
            let logs = (0..partitions).map(|_| Log::default()).collect();
            world.topics.insert(name.to_owned(), logs);
            if settings.iter().any(|(_, value)| value == "compact") {
                world.compacted.insert(name.to_owned());
            }
            Ok(())
        });
        match created {
            Some(created) => created,
            // It waits until one answers.
            None if !self.is_dead() => self.create_topic(name, partitions, settings),
            None => Err(Code::OperationTimedOut),
        }
    }

    fn topic_ids(&self, names: &[&str]) -> Vec<(String, TopicIdentity)> {
        let found = self.ask(|world| {
            let known = |name: &str| match world.topics.contains_key(name) {
                true => Ok(Some(format!("id of {name}"))),
                false => Err(Code::UnknownTopicOrPartition),
            };
            let names = names.iter();
            names
                .map(|&name| (name.to_owned(), known(name)))
                .collect::<Vec<_>>()
        });
        found.unwrap_or_else(|| {
            let names = names.iter();
            names
                .map(|&name| (name.to_owned(), Err(Code::LeaderNotAvailable)))
                .collect()
        })
    }

    fn offsets(&self, partitions: &[(&str, i32)], wanted: OffsetOf) -> Vec<OffsetInfo> {
        let info = |(topic, partition): (&str, i32), offset| OffsetInfo {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp: -1,
        };
        let found = self.ask(|world| {
            let found = partitions.iter().map(|&(topic, partition)| {
                let place = Place {
                    topic: topic.into(),
                    partition,
                };
                let log = world.log(&place);
                let offset = log.map(|log| match wanted {
                    OffsetOf::Earliest => log.start,
                    OffsetOf::LastStable => log.stable(),
                    _ => log.end,
                });
                info(
                    (topic, partition),
                    offset.ok_or(Code::UnknownTopicOrPartition),
                )
            });
            found.collect::<Vec<_>>()
        });
        match found {
            Some(found) => found,
            // It waits until one answers.
            None if !self.is_dead() => self.offsets(partitions, wanted),
            None => {
                let partitions = partitions.iter();
                partitions
                    .map(|&place| info(place, Err(Code::LeaderNotAvailable)))
                    .collect()
            }
        }
    }

    fn delete_records(&self, topic: &str, before: &[(i32, i64)]) {
        self.ask(|world| {
            for &(partition, offset) in before {
                let place = Place {
                    topic: topic.into(),
                    partition,
                };
                if let Some(log) = world.log(&place) {
                    log.delete_before(offset);
                }
            }
        });
    }
}

pub(super) fn micros(time: Duration) -> Time {
    time.as_micros() as Time
}

/// Asks the coordinator where the group has come to.
fn committed(view: &View, wanted: &TopicPartitionList) -> Result<TopicPartitionList, KafkaError> {
    let found = view.ask(|world| {
        if !world.coordinates() {
            return Err(KafkaError::OffsetFetch(Code::CoordinatorLoadInProgress));
        }
        let mut found = TopicPartitionList::new();
        for element in wanted.elements() {
            let place = Place {
                topic: element.topic().into(),
                partition: element.partition(),
            };
            let mut pending = world.group.pending.iter();
            if pending.any(|(waited, _)| *waited == place) {
                return Err(KafkaError::OffsetFetch(Code::UnstableOffsetCommit));
            }
            let mut known = found.add_partition(&place.topic, place.partition);
            if let Some(committed) = world.group.offsets.get(&place) {
                known.set_metadata(&committed.metadata);
                known.set_offset(Offset::Offset(committed.offset))?;
            }
        }
        Ok(found)
    });
    found.unwrap_or(Err(KafkaError::OffsetFetch(Code::OperationTimedOut)))
}

/// Returns what a list says.
pub(super) fn offsets_of(list: &TopicPartitionList) -> Vec<(Place, Committed)> {
    let elements = list.elements();
    let offsets = elements.iter().filter_map(|element| {
        let place = Place {
            topic: element.topic().into(),
            partition: element.partition(),
        };
        match element.offset() {
            Offset::Offset(offset) => Some((
                place,
                Committed {
                    offset,
                    metadata: element.metadata().to_owned(),
                },
            )),
            _ => None,
        }
    });
    offsets.collect()
}

/// A member's client.
struct Member {
    view: View,
    nth: usize,
}

impl Member {
    fn with<T>(&self, act: impl FnOnce(&mut MemberClient) -> T) -> T {
        act(&mut self.view.lock().members[self.nth])
    }
}

impl Joins for Member {
    fn poll(&mut self) -> Option<KafkaError> {
        None
    }

    fn decided(&mut self) -> Option<Rebalance> {
        self.with(MemberClient::take_decided)
    }

    fn is_lost(&self) -> bool {
        self.with(|client| client.is_lost)
    }

    fn assign(&mut self, begun: &[(Place, i64)]) -> Result<(), KafkaError> {
        let mut world = self.view.lock();
        let now = world.now;
        for (place, next) in begun {
            let position = Position {
                next: *next,
                is_known: false,
                ready_at: now,
            };
            let client = &mut world.members[self.nth];
            client.positions.insert(place.clone(), position);
        }
        // Every such call is taken for the answer to what was decided last.
        world.answer(self.nth);
        Ok(())
    }

    fn unassign(&mut self, begun: &[Place]) -> Result<(), KafkaError> {
        if self.view.is_dead() {
            return Ok(());
        }
        let mut world = self.view.lock();
        for place in begun {
            world.members[self.nth].positions.remove(place);
        }
        world.answer(self.nth);
        Ok(())
    }

    fn seek(&mut self, place: &Place, offset: i64) -> bool {
        self.view.travel();
        if self.view.lock().dice.happens(100) {
            return false; // it has not begun yet
        }
        self.with(|client| match client.positions.get_mut(place) {
            Some(position) => {
                (position.next, position.is_known) = (offset, false);
                true
            }
            None => false,
        })
    }

    fn read(&mut self, place: &Place, most: usize) -> Result<Fetched, Code> {
        let mut world = self.view.lock();
        let (now, nth) = (world.now, self.nth);
        let Some(position) = world.members[nth].positions.get(place).copied() else {
            return Ok(Fetched::default());
        };
        if world.is_down() || now < position.ready_at {
            return Ok(Fetched::default());
        }
        let most = most.min(world.dice.between(1, 40) as usize);
        let wait = world.dice.between(0, 15 * MS);
        let Some(log) = world.log(place) else {
            return Err(Code::UnknownTopicOrPartition);
        };
        if position.next < log.start {
            return Err(Code::AutoOffsetReset);
        }
        let (records, next) = log.read(position.next, most);
        let client = &mut world.members[nth];
        client.positions.insert(
            place.clone(),
            Position {
                next,
                is_known: true,
                ready_at: now + wait,
            },
        );
        Ok(records.into())
    }

    fn wait(&self, timeout: Duration) {
        // Processes are slow: they look less often than they would like to.
        let longer = self.view.lock().dice.between(2, 20);
        self.view.pause(micros(timeout).max(MS) * longer);
    }

    fn positions(&self) -> BTreeMap<Place, i64> {
        self.with(|client| {
            let known = client.positions.iter();
            let known = known.filter(|(_, position)| position.is_known);
            known
                .map(|(place, position)| (place.clone(), position.next))
                .collect()
        })
    }

    fn high_watermark(&self, place: &Place) -> Option<i64> {
        self.view.lock().log(place).map(|log| log.end)
    }

    fn commit(&mut self, offsets: &TopicPartitionList) -> Result<Result<(), KafkaError>> {
        let offsets = offsets_of(offsets);
        for _ in 0..100 {
            let (id, generation) = self.with(|client| (client.id.clone(), client.generation));
            let answer = self.view.ask(|world| {
                if !world.coordinates() {
                    return None;
                }
                let is_alone = generation < 0 && id.is_empty() && !world.group.is_empty();
                let checked = if is_alone {
                    Err(Code::UnknownMemberId)
                } else {
                    world.group.check(&id, generation)
                };
                if checked.is_ok() {
                    world.group.offsets.extend(offsets.iter().cloned());
                }
                (!world.loses_answer()).then_some(checked)
            });
            if let Some(Some(checked)) = answer {
                return Ok(checked.map_err(KafkaError::ConsumerCommit));
            }
            self.view.pause(100 * MS);
        }
        Err(Error::retry("no coordinator answers"))
    }

    fn proof(&self) -> Result<Option<Proof>> {
        let proof = self.with(|client| (client.id.clone(), client.generation));
        let is_member = !proof.0.is_empty() && proof.1 >= 0;
        Ok(is_member.then_some(Proof::Member(proof.0, proof.1)))
    }

    fn offsets(&self) -> Arc<dyn KnowsOffsets> {
        Arc::new(Offsets(self.view.clone()))
    }

    fn leave(&mut self) {
        if !self.view.is_dead() {
            self.view.lock().leave(self.nth);
        }
    }
}

/// Reads the group's offsets.
struct Offsets(View);

impl KnowsOffsets for Offsets {
    fn committed(
        &self,
        wanted: &TopicPartitionList,
    ) -> Result<Result<TopicPartitionList, KafkaError>> {
        Ok(committed(&self.0, wanted))
    }
}

/// Reads partitions for a restoration.
struct Reader {
    view: View,
    positions: Vec<(Place, i64, bool)>,
}

impl Reads for Reader {
    fn read(&mut self, nth: usize, timeout: Duration, most: usize) -> Result<Fetched, Code> {
        self.view.travel();
        let (place, position, is_known) = &mut self.positions[nth];
        let mut world = self.view.lock();
        let mut records: Vec<OwnRecord> = Vec::new();
        if !world.is_down() {
            let most = most.min(world.dice.between(1, 60) as usize);
            let Some(log) = world.log(place) else {
                return Err(Code::UnknownTopicOrPartition);
            };
            if *position < log.start {
                return Err(Code::OffsetOutOfRange);
            }
            (records, *position) = log.read(*position, most);
            *is_known = true;
        }
        drop(world);
        if records.is_empty() {
            self.view.pause(micros(timeout).max(MS));
        }
        Ok(records.into())
    }

    fn positions(&self) -> Vec<Option<i64>> {
        let positions = self.positions.iter();
        positions
            .map(|(_, next, is_known)| is_known.then_some(*next))
            .collect()
    }

    fn high_watermark(&self, nth: usize) -> Option<i64> {
        let place = &self.positions[nth].0;
        self.view.lock().log(place).map(|log| log.end)
    }
}
