//! The transactions' coordinator (KIP-98, KIP-447): epochs, time-outs, and markers that come later.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::log::TransactionId;
use super::world::{Event, MS, SECOND, Time, World};
use crate::kafka::member::Place;
use crate::kafka::port::StepError;
use crate::source::Committed;

/// The name of a producer that sends in transactions.
pub(super) type Transactional = String;

/// What the coordinator knows.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    pub of: BTreeMap<Transactional, Producer>,
    next: TransactionId,
}

/// A producer that sends in transactions.
#[derive(Debug, Default)]
pub(super) struct Producer {
    pub epoch: i32,
    pub open: Option<Transaction>,
    timeout: Time,
    /// The last one that has ended, and how.
    ended: Option<(TransactionId, bool)>,
}

#[derive(Debug)]
pub(super) struct Transaction {
    pub id: TransactionId,
    began: Time,
    places: BTreeSet<Place>,
    offsets: Vec<(Place, Committed)>,
    has_offsets: bool,
    /// How it ends, once that is decided: then only markers are missing.
    pub ends: Option<bool>,
}

/// An answer that means: ask again.
pub(super) fn again(code: Code) -> StepError {
    StepError {
        is_abortable: false,
        is_retriable: true,
        ..StepError::of(code, false)
    }
}

impl World {
    /// Gives a producer an epoch; what an earlier one of its name left open is given up.
    pub fn init_producer(&mut self, id: &str, timeout: Time) -> Result<i32, StepError> {
        if !self.coordinates() {
            return Err(again(Code::CoordinatorLoadInProgress));
        }
        let known = self.transactions.of.entry(id.to_owned()).or_default();
        known.timeout = timeout;
        match &known.open {
            Some(open) => {
                let is_ending = open.ends.is_some();
                if !is_ending {
                    known.epoch += 1;
                    self.end(id, false);
                }
                Err(again(Code::ConcurrentTransactions))
            }
            None => {
                known.epoch += 1;
                known.ended = None;
                Ok(known.epoch)
            }
        }
    }

    /// Returns the transaction that a producer sends to, which begins with its first record or offsets.
    ///
    /// # Errors
    /// The code of what is wrong with it; `ConcurrentTransactions` while the one before ends.
    pub fn join_transaction(
        &mut self,
        id: &str,
        epoch: i32,
        place: Option<&Place>,
    ) -> Result<TransactionId, Code> {
        let (now, next) = (self.now, self.transactions.next);
        let known = self.transactions.of.entry(id.to_owned()).or_default();
        if known.epoch != epoch {
            return Err(Code::InvalidProducerEpoch);
        }
        let open = match &mut known.open {
            Some(open) if open.ends.is_some() => return Err(Code::ConcurrentTransactions),
            Some(open) => open,
            none => {
                self.transactions.next += 1;
                none.insert(Transaction {
                    id: next,
                    began: now,
                    places: BTreeSet::new(),
                    offsets: Vec::new(),
                    has_offsets: false,
                    ends: None,
                })
            }
        };
        open.places.extend(place.cloned());
        Ok(open.id)
    }

    /// Adds a group's offsets to a transaction.
    pub fn add_offsets(
        &mut self,
        id: &str,
        epoch: i32,
        (member, generation): (&str, i32),
        offsets: Vec<(Place, Committed)>,
    ) -> Result<(), StepError> {
        if !self.coordinates() {
            return Err(again(Code::CoordinatorNotAvailable));
        }
        if let Err(code) = self.join_transaction(id, epoch, None) {
            return Err(match code {
                Code::ConcurrentTransactions => again(code),
                code => StepError::of(code, true),
            });
        }
        if let Err(code) = self.group.check(member, generation) {
            self.note(&format!("{id}: offsets refused: {code:?}"));
            return Err(StepError::of(code, false));
        }
        let known = self.transactions.of.get_mut(id);
        let Some(open) = known.and_then(|known| known.open.as_mut()) else {
            return Err(StepError::of(Code::InvalidTransactionalState, true));
        };
        open.has_offsets = true;
        for (place, committed) in offsets {
            self.group.pending.insert((place.clone(), open.id));
            open.offsets.push((place, committed));
        }
        Ok(())
    }

    /// Ends a transaction as its producer wishes. Asked again, it says how it has ended.
    pub fn end_transaction(
        &mut self,
        id: &str,
        epoch: i32,
        is_committed: bool,
    ) -> Result<(), StepError> {
        if !self.coordinates() {
            return Err(again(Code::CoordinatorNotAvailable));
        }
        let Some(known) = self.transactions.of.get_mut(id) else {
            return Err(StepError::of(Code::UnknownProducerId, true));
        };
        if known.epoch != epoch {
            return Err(StepError::of(Code::Fenced, true));
        }
        match &known.open {
            None if known.ended.is_none_or(|(_, how)| how == is_committed) => Ok(()),
            None => Err(StepError::of(Code::InvalidTransactionalState, true)),
            Some(open) if open.ends.is_none() => {
                self.note(&format!("{id}: ends, committed: {is_committed}"));
                self.end(id, is_committed);
                Ok(())
            }
            Some(open) if open.ends == Some(is_committed) => Ok(()),
            Some(_) => Err(StepError::of(Code::InvalidTransactionalState, true)),
        }
    }

    /// Decides how a transaction ends, and has markers written, each in its own time.
    fn end(&mut self, id: &str, is_committed: bool) {
        let known = self.transactions.of.get_mut(id);
        let Some(open) = known.and_then(|known| known.open.as_mut()) else {
            return;
        };
        open.ends = Some(is_committed);
        let (places, has_offsets) = (open.places.clone(), open.has_offsets);
        for place in places {
            let delay = self.marker_delay();
            let id = id.to_owned();
            self.after(
                delay,
                Event::Mark {
                    id,
                    place,
                    is_committed,
                },
            );
        }
        if has_offsets {
            let delay = self.marker_delay();
            let id = id.to_owned();
            self.after(delay, Event::MarkOffsets { id, is_committed });
        }
        self.forget_ended(id);
    }

    fn marker_delay(&mut self) -> Time {
        if self.dice.happens(50) {
            self.dice.between(50 * MS, 1_500 * MS)
        } else {
            self.dice.between(MS, 20 * MS)
        }
    }

    pub fn mark(&mut self, id: &str, place: &Place, is_committed: bool) {
        if self.is_down() {
            let (id, place) = (id.to_owned(), place.clone());
            let delay = self.down_until - self.now + MS;
            return self.after(
                delay,
                Event::Mark {
                    id,
                    place,
                    is_committed,
                },
            );
        }
        let known = self.transactions.of.get_mut(id);
        let Some(open) = known.and_then(|known| known.open.as_mut()) else {
            return;
        };
        open.places.remove(place);
        let transaction = open.id;
        if let Some(log) = self.log(place) {
            log.end_transaction(place.partition, transaction, is_committed);
        }
        self.forget_ended(id);
    }

    pub fn mark_offsets(&mut self, id: &str, is_committed: bool) {
        let known = self.transactions.of.get_mut(id);
        let Some(open) = known.and_then(|known| known.open.as_mut()) else {
            return;
        };
        open.has_offsets = false;
        let (transaction, offsets) = (open.id, std::mem::take(&mut open.offsets));
        for (place, committed) in offsets {
            self.group.pending.remove(&(place.clone(), transaction));
            if is_committed {
                self.group.offsets.insert(place, committed);
            }
        }
        self.forget_ended(id);
    }

    /// Forgets a transaction whose markers are all written.
    fn forget_ended(&mut self, id: &str) {
        let Some(known) = self.transactions.of.get_mut(id) else {
            return;
        };
        let Some(open) = &known.open else { return };
        if let Some(how) = open.ends
            && open.places.is_empty()
            && !open.has_offsets
        {
            known.ended = Some((open.id, how));
            known.open = None;
        }
    }

    /// Gives up the transactions that have been open for too long, and fences their producers.
    pub fn expire_transactions(&mut self) {
        if !self.coordinates() {
            return;
        }
        let now = self.now;
        let of = self.transactions.of.iter_mut();
        let expired: Vec<String> = of
            .filter_map(|(id, known)| {
                let open = known.open.as_ref()?;
                let is_over = open.ends.is_none() && now > open.began + known.timeout;
                is_over.then(|| {
                    known.epoch += 1;
                    id.clone()
                })
            })
            .collect();
        for id in expired {
            self.note(&format!("{id}: timed out"));
            self.end(&id, false);
        }
    }

    /// Returns the producers whose transactions are open.
    pub fn left_open(&self) -> Vec<&str> {
        let of = self.transactions.of.iter();
        of.filter(|(_, known)| known.open.is_some())
            .map(|(id, _)| id.as_str())
            .collect()
    }
}

/// How long a transaction may be open if its client does not say.
pub(super) const TIMEOUT: Time = 10 * SECOND;
