//! The group: its coordinator (the classic protocol with cooperative assignments, KIP-429), and what a
//! member's client does by itself: heartbeats, joining again, and taking in what it is assigned.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::log::TransactionId;
use super::world::{Event, MS, SECOND, Time, World};
use crate::kafka::member::{Place, Rebalance};
use crate::source::Committed;

/// How long a member may be silent.
pub(super) const SESSION: Time = 6 * SECOND;
const HEARTBEAT: Time = 500 * MS;

/// What the coordinator knows of the group.
#[derive(Debug, Default)]
pub(super) struct Group {
    seats: BTreeMap<String, Seat>,
    generation: i32,
    is_preparing: bool,
    pub offsets: BTreeMap<Place, Committed>,
    /// Offsets of transactions that have not ended.
    pub pending: BTreeSet<(Place, TransactionId)>,
    /// How many ids were given.
    ids: u64,
    /// How often the group has rebalanced.
    pub rebalances: u64,
}

/// A member as the coordinator sees it.
#[derive(Debug)]
struct Seat {
    client: usize,
    heard: Time,
    /// What it owned when it joined, while the group is rebalancing.
    joined: Option<BTreeSet<Place>>,
}

/// What a member's client keeps.
#[derive(Debug, Default)]
pub(super) struct MemberClient {
    pub process: usize,
    topics: Vec<String>,
    pub id: String,
    pub generation: i32,
    owned: BTreeSet<Place>,
    /// What was decided and not looked at.
    pub decided: VecDeque<Rebalance>,
    /// What was looked at and not answered.
    answering: Option<Rebalance>,
    /// What it gets once it has released others.
    added: BTreeSet<Place>,
    pub is_lost: bool,
    pub is_closed: bool,
    /// Where it fetches.
    pub positions: BTreeMap<Place, Position>,
}

/// Where a client is in a partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    pub next: i64,
    /// Whether something was fetched since it was begun or sought.
    pub is_known: bool,
    /// When the next answer to a fetch is there.
    pub ready_at: Time,
}

impl Group {
    /// Returns whether a member may commit.
    pub fn check(&self, member: &str, generation: i32) -> Result<(), Code> {
        if generation < 0 && member.is_empty() {
            // A client that needs no group: taken by a group that has no members, and in
            // transactions always, as it is from producers before KIP-447.
            return Ok(());
        }
        match self.seats.get(member) {
            None => Err(Code::UnknownMemberId),
            Some(_) if generation != self.generation => Err(Code::IllegalGeneration),
            Some(_) => Ok(()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }
}

impl MemberClient {
    pub fn new(process: usize, topics: &[&str]) -> Self {
        MemberClient {
            process,
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            generation: -1,
            ..MemberClient::default()
        }
    }

    /// Returns the next thing that was decided; it is answered by [`World::answer`].
    pub fn take_decided(&mut self) -> Option<Rebalance> {
        if self.answering.is_some() {
            return None;
        }
        self.answering = self.decided.pop_front();
        self.answering.clone()
    }

    fn is_busy(&self) -> bool {
        self.answering.is_some() || !self.decided.is_empty()
    }
}

impl World {
    /// A client joins, or says that it is there.
    pub fn heartbeat(&mut self, nth: usize) {
        let client = &self.members[nth];
        if client.is_closed {
            return;
        }
        match self.asleep(client.process) {
            None => return,
            Some(until) if until > self.now => {
                let delay = until - self.now + self.dice.between(0, 50 * MS);
                return self.after(delay, Event::Heartbeat(nth));
            }
            Some(_) => {}
        }
        let delay = HEARTBEAT + self.dice.between(0, 20 * MS);
        self.after(delay, Event::Heartbeat(nth));
        if !self.coordinates() {
            return;
        }
        let (now, group) = (self.now, &mut self.group);
        let client = &mut self.members[nth];
        if !client.id.is_empty() && !group.seats.contains_key(&client.id) {
            client.id.clear();
            client.generation = -1;
            client.added.clear();
            client.decided.clear();
            let released = match &client.answering {
                Some(Rebalance::Taken { places, .. }) => places.clone(),
                _ => Vec::new(),
            };
            let owned = client.owned.iter();
            let places: Vec<Place> = owned.filter(|it| !released.contains(it)).cloned().collect();
            client.is_lost = true;
            if !places.is_empty() {
                let lost = Rebalance::Taken { places, lost: true };
                client.decided.push_back(lost);
            }
            return self.note(&format!("client {nth} hears that it was removed"));
        }
        if client.is_busy() {
            if let Some(seat) = group.seats.get_mut(&client.id) {
                seat.heard = now;
            }
            return;
        }
        if client.id.is_empty() {
            group.ids += 1;
            client.id = format!("m{}", group.ids);
            let seat = Seat {
                client: nth,
                heard: now,
                joined: Some(BTreeSet::new()),
            };
            group.seats.insert(client.id.clone(), seat);
            client.owned.clear();
            self.prepare("a member has joined");
        } else if let Some(seat) = group.seats.get_mut(&client.id) {
            seat.heard = now;
            if group.is_preparing && seat.joined.is_none() {
                seat.joined = Some(client.owned.clone());
            }
        }
        self.try_complete();
    }

    /// Begins to rebalance.
    fn prepare(&mut self, why: &str) {
        if !self.group.is_preparing {
            self.group.is_preparing = true;
            self.note(&format!("rebalance: {why}"));
        }
    }

    /// Assigns partitions, once all members have joined again.
    fn try_complete(&mut self) {
        let group = &mut self.group;
        let mut seats = group.seats.values();
        if !group.is_preparing || group.is_empty() || seats.any(|seat| seat.joined.is_none()) {
            return;
        }
        group.is_preparing = false;
        group.generation += 1;
        group.rebalances += 1;
        let generation = group.generation;
        let mut topics: BTreeSet<&str> = BTreeSet::new();
        for seat in group.seats.values() {
            topics.extend(self.members[seat.client].topics.iter().map(String::as_str));
        }
        let mut free: BTreeSet<Place> = BTreeSet::new();
        for topic in topics {
            let logs = self.topics.get(topic).map_or(0, Vec::len);
            let topic: Arc<str> = topic.into();
            free.extend((0..logs as i32).map(|partition| Place {
                topic: topic.clone(),
                partition,
            }));
        }
        let most = free.len().div_ceil(group.seats.len().max(1));
        let mut targets: BTreeMap<usize, BTreeSet<Place>> = BTreeMap::new();
        let mut owned: BTreeSet<Place> = BTreeSet::new();
        for seat in group.seats.values_mut() {
            let had = seat.joined.take().unwrap_or_default();
            owned.extend(had.iter().cloned());
            // Others get what it gives up once it has.
            let kept: BTreeSet<Place> = had.into_iter().take(most).collect();
            targets.insert(seat.client, kept);
            seat.heard = self.now;
        }
        for place in free {
            if owned.contains(&place) {
                continue;
            }
            let fewest = targets.iter_mut().min_by_key(|(_, places)| places.len());
            if let Some((_, places)) = fewest {
                places.insert(place);
            }
        }
        for (client, places) in targets {
            let delay = self.latency();
            self.note(&format!("client {client} is assigned {}", names(&places)));
            self.after(
                delay,
                Event::Assigned {
                    client,
                    generation,
                    places,
                },
            );
        }
    }

    /// A client takes in what it is assigned.
    pub fn assigned(&mut self, nth: usize, generation: i32, places: BTreeSet<Place>) {
        let client = &self.members[nth];
        match self.asleep(client.process) {
            None => return,
            Some(until) if until > self.now => {
                let delay = until - self.now + MS;
                return self.after(
                    delay,
                    Event::Assigned {
                        client: nth,
                        generation,
                        places,
                    },
                );
            }
            Some(_) => {}
        }
        let client = &mut self.members[nth];
        if client.is_closed || client.id.is_empty() || generation <= client.generation {
            return;
        }
        client.generation = generation;
        client.is_lost = false;
        let taken: Vec<Place> = client.owned.difference(&places).cloned().collect();
        client.added = places.difference(&client.owned).cloned().collect();
        if taken.is_empty() {
            self.give(nth);
        } else {
            client.decided.push_back(Rebalance::Taken {
                places: taken,
                lost: false,
            });
        }
    }

    fn give(&mut self, nth: usize) {
        let client = &mut self.members[nth];
        let added: Vec<Place> = client.added.iter().cloned().collect();
        if !added.is_empty() {
            client.decided.push_back(Rebalance::Given(added));
        }
    }

    /// A member answers what was decided.
    pub fn answer(&mut self, nth: usize) {
        let client = &mut self.members[nth];
        match client.answering.take() {
            Some(Rebalance::Given(places)) => {
                client.owned.extend(places);
                client.added.clear();
            }
            Some(Rebalance::Taken { places, lost }) => {
                for place in &places {
                    client.owned.remove(place);
                    client.positions.remove(place);
                }
                if lost {
                    return;
                }
                let id = client.id.clone();
                self.give(nth);
                // What it has released is for others: the group assigns again.
                if self.group.seats.contains_key(&id) {
                    self.prepare("a member has released partitions");
                }
            }
            None => {}
        }
    }

    /// A member leaves.
    pub fn leave(&mut self, nth: usize) {
        let client = &mut self.members[nth];
        client.is_closed = true;
        if self.group.seats.remove(&client.id).is_some() {
            self.prepare("a member has left");
            self.try_complete();
        }
    }

    /// Removes the members that have been silent for too long.
    pub fn expire_members(&mut self) {
        if !self.coordinates() {
            return;
        }
        let now = self.now;
        let seats = self.group.seats.iter();
        let gone: Vec<String> = seats
            .filter(|(_, seat)| now > seat.heard + SESSION)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.group.seats.remove(id);
            self.prepare(&format!("{id} was silent for too long"));
        }
        if !gone.is_empty() {
            self.try_complete();
        }
    }

    /// A coordinator that has just come back hears of all members before it removes one.
    pub fn hear_all(&mut self) {
        let now = self.now.max(self.down_until).max(self.loading_until);
        for seat in self.group.seats.values_mut() {
            seat.heard = seat.heard.max(now);
        }
    }
}

fn names(places: &BTreeSet<Place>) -> String {
    let names = places.iter();
    let names: Vec<String> = names
        .map(|place| format!("{}-{}", place.topic, place.partition))
        .collect();
    names.join(" ")
}
