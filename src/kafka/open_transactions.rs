//! Open transactions, which hide all records after them from readers of committed records.
//!
//! In: partitions that give no records though they hold more. Out: which transaction the reader
//! waits for, and since when. A thread of its own asks the broker.

use std::time::{Duration, Instant};

use super::Settings;
use super::admin::Admin;
use crate::clock::{self, Errand};

/// How often the broker is asked, and how long a transaction is open before it is reported.
const ASK_INTERVAL: Duration = Duration::from_secs(3);
/// How long an open transaction is taken for one that will be ended: much longer than one that a
/// process of a group has left behind stays open, which is 10 s and `--commit`, and the time until the
/// broker looks.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// An open transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of its first record, which is the last stable one of the partition.
    pub at: i64,
    /// When it was first seen.
    since: Instant,
    /// For how long it had been open when it was last reported.
    told: Duration,
}

impl Open {
    fn new((topic, partition, at): (String, i32, i64), since: Instant) -> Self {
        Open {
            topic,
            partition,
            at,
            since,
            told: Duration::ZERO,
        }
    }

    fn is_same(&self, other: &Open) -> bool {
        (&self.topic, self.partition, self.at) == (&other.topic, other.partition, other.at)
    }

    /// Returns whether it has been open for so long that nothing will end it.
    pub fn is_hopeless(&self) -> bool {
        self.is_hopeless_at(clock::now())
    }

    fn is_hopeless_at(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= OPEN_TIMEOUT
    }

    /// Returns what a reader waits for; where it is hopeless, with the way out.
    pub fn waited_for(&self) -> String {
        if self.is_hopeless() {
            format!("{}; {}", self.story(), self.way_out())
        } else {
            format!("waiting for an open transaction {}", self.place())
        }
    }

    /// Returns what has happened where nothing will end it.
    pub fn story(&self) -> String {
        format!(
            "a transaction has been open {} for {} s: its program is still running, or the broker has \
             forgotten it (KAFKA-20734)",
            self.place(),
            OPEN_TIMEOUT.as_secs()
        )
    }

    fn place(&self) -> String {
        let Open {
            topic,
            partition,
            at,
            ..
        } = self;
        format!("in topic `{topic}`, partition {partition}, at offset {at}")
    }

    /// Returns the way out that keeps what other transactions hold.
    pub fn way_out(&self) -> String {
        let Open {
            topic,
            partition,
            at,
            ..
        } = self;
        format!(
            "`k topic transactions {topic} --abort --partition {partition} --start-offset {at}` ends it \
             and discards its records"
        )
    }
}

/// Looks for open transactions, now and then.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    asked: Instant,
    /// What the broker says, once it does.
    answer: Option<Errand<Option<Found>>>,
    seen: Seen,
}

/// Topic, partition and first offset of each.
type Found = Vec<(String, i32, i64)>;

impl Watch {
    /// Begins to look.
    pub fn new(settings: &Settings) -> Self {
        Watch {
            settings: settings.clone(),
            asked: clock::now(),
            answer: None,
            seen: Seen::default(),
        }
    }

    /// Returns whether it is time to ask about partitions.
    pub fn is_due(&self) -> bool {
        self.answer.is_none() && clock::since(self.asked) >= ASK_INTERVAL
    }

    /// Asks about partitions that bring nothing though they hold more, if there are any to ask about.
    /// Returns the transactions that have been open for a while, each once, and again when it is
    /// hopeless.
    pub fn look(&mut self, partitions: Option<Vec<(String, i32)>>) -> Vec<Open> {
        match self.answer.as_mut().map(Errand::answer) {
            Some(None) => return Vec::new(),
            Some(Some(Ok(Some(found)))) => self.seen.take_in(found, self.asked),
            // Without an answer what was open still is.
            Some(Some(_)) | None => {}
        }
        self.answer = None;
        if let Some(partitions) = partitions {
            self.asked = clock::now();
            if partitions.is_empty() {
                self.seen.0.clear()
            } else {
                self.answer = Some(ask(&self.settings, partitions))
            }
        }
        self.seen.news(clock::now())
    }

    /// Returns one that has been open for so long that nothing will end it.
    pub fn hopeless(&self) -> Option<&Open> {
        self.seen.0.iter().find(|open| open.is_hopeless())
    }
}

/// The transactions that were open when the broker was last asked.
#[derive(Debug, Default)]
struct Seen(Vec<Open>);

impl Seen {
    fn take_in(&mut self, found: Found, now: Instant) {
        let found = found.into_iter().map(|found| {
            let open = Open::new(found, now);
            let known = self.0.iter().find(|known| known.is_same(&open));
            known.cloned().unwrap_or(open)
        });
        self.0 = found.collect();
    }

    fn news(&mut self, now: Instant) -> Vec<Open> {
        let mut news = Vec::new();
        for open in &mut self.0 {
            let lasts = now.duration_since(open.since);
            let mut steps = [ASK_INTERVAL, OPEN_TIMEOUT].into_iter();
            if steps.any(|step| open.told < step && step <= lasts) {
                open.told = lasts;
                news.push(open.clone());
            }
        }
        news
    }
}

fn ask(settings: &Settings, partitions: Vec<(String, i32)>) -> Errand<Option<Found>> {
    let settings = settings.clone();
    Errand::begin(move || {
        let named = partitions.iter();
        let named: Vec<_> = named
            .map(|(topic, number)| (topic.as_str(), *number))
            .collect();
        let found = Admin::new(&settings).and_then(|admin| admin.open_transactions(&named));
        found.ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_transaction_is_told_of_after_a_while_and_again_when_it_is_hopeless() {
        let mut seen = Seen::default();
        let start = Instant::now();
        let mut told = |seconds, offset| {
            let now = start + Duration::from_secs(seconds);
            seen.take_in(vec![("t".to_owned(), 2, offset)], now);
            let news = seen.news(now);
            let hopeless = news.iter().map(|open| (open.at, open.is_hopeless_at(now)));
            hopeless.collect::<Vec<_>>()
        };
        assert_eq!(told(0, 7), []);
        assert_eq!(told(5, 7), [(7, false)]);
        assert_eq!(told(10, 7), []);
        // It has ended, and another one begun.
        assert_eq!(told(15, 9), []);
        assert_eq!(told(20, 9), [(9, false)]);
        assert_eq!(told(74, 9), []);
        assert_eq!(told(75, 9), [(9, true)]);
        assert_eq!(told(80, 9), []);
        seen.take_in(Vec::new(), start + Duration::from_secs(85));
        assert_eq!(seen.0, []);
    }
}
