//! The last snapshots, and what follows from several of them: rates, lag in seconds, time to clear.

use std::collections::VecDeque;

/// How many snapshots are kept: a minute's worth, and one to take the first difference from.
const KEPT: usize = 61;
/// Over how many snapshots a rate is taken.
const RATE_OVER: usize = 5;

/// What a broker told at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// When it was asked, in ms since 1970, UTC.
    pub at: i64,
    /// By name.
    pub topics: Vec<Topic>,
    /// By name.
    pub groups: Vec<Group>,
}

/// A topic at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// A partition at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Partition {
    /// Its number in the topic.
    pub number: i32,
    /// The offset of the first record that is still there.
    pub first: i64,
    /// One past the last record.
    pub end: i64,
}

/// A consumer group at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `stable`, `empty`, …
    pub state: String,
    /// How many programs belong to it.
    pub members: usize,
    /// What it has committed, by topic and partition.
    pub commits: Vec<Commit>,
}

/// What a group has committed in a partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// What was noted beside it; a node of `k` notes its watermark and state.
    pub note: String,
}

impl Topic {
    /// Returns how many records it holds.
    pub fn records(&self) -> i64 {
        let records = |partition: &Partition| (partition.end - partition.first).max(0);
        self.partitions.iter().map(records).sum()
    }

    /// Returns how many records were ever written to it.
    fn written(&self) -> i64 {
        self.partitions.iter().map(|partition| partition.end).sum()
    }
}

impl Snapshot {
    fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Returns one past the last offset of a partition.
    pub fn end_of(&self, topic: &str, partition: i32) -> Option<i64> {
        let mut partitions = self.topic(topic)?.partitions.iter();
        let found = partitions.find(|found| found.number == partition)?;
        Some(found.end)
    }

    /// Returns how many records of a topic a group has read.
    fn read(&self, group: &str, topic: &str) -> Option<i64> {
        let group = self.groups.iter().find(|found| found.name == group)?;
        let commits = group.commits.iter();
        let offsets = commits.filter(|commit| commit.topic == topic);
        Some(offsets.map(|commit| commit.offset).sum())
    }
}

/// For how long a group is behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behind {
    /// It has read everything.
    Nothing,
    /// The oldest record that it has not read came this many seconds ago.
    Seconds(f64),
    /// It came before the first snapshot: at least this many seconds ago.
    AtLeast(f64),
}

/// When a group will have read everything, if all goes on as it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clears {
    /// It has.
    Now,
    /// In this many seconds.
    In(f64),
    /// It reads as fast as is written, so it stays where it is.
    Steady,
    /// It reads nothing, or less than is written.
    Never,
    /// There is one snapshot only.
    Unknown,
}

/// The snapshots of the last minute, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    snapshots: VecDeque<Snapshot>,
}

impl History {
    /// Takes a snapshot in, and forgets the oldest where there are too many.
    pub fn push(&mut self, snapshot: Snapshot) {
        if self.snapshots.len() == KEPT {
            self.snapshots.pop_front();
        }
        self.snapshots.push_back(snapshot);
    }

    /// Returns the newest snapshot.
    pub fn now(&self) -> Option<&Snapshot> {
        self.snapshots.back()
    }

    /// Returns the change per second of a number over the last seconds, where it is known then and
    /// now.
    fn rate(&self, of: impl Fn(&Snapshot) -> Option<i64>) -> Option<f64> {
        let now = self.now()?;
        let newer = self.snapshots.iter().rev().skip(1).take(RATE_OVER);
        let before = newer.filter(|then| of(then).is_some()).last()?;
        let seconds = (now.at - before.at) as f64 / 1_000.0;
        (seconds > 0.0).then_some((of(now)? - of(before)?) as f64 / seconds)
    }

    /// Returns how many records a second are written to a topic; `None` with one snapshot.
    pub fn written_per_second(&self, topic: &str) -> Option<f64> {
        self.rate(|then| Some(then.topic(topic)?.written()))
    }

    /// Returns how many records a second a group reads of a topic; `None` with one snapshot.
    pub fn read_per_second(&self, group: &str, topic: &str) -> Option<f64> {
        self.rate(|then| then.read(group, topic))
    }

    /// Returns how many records were written to a topic between each snapshot and the next, the
    /// oldest first.
    pub fn volume(&self, topic: &str) -> Vec<u64> {
        let written = |then: &Snapshot| then.topic(topic).map(Topic::written);
        let pairs = self.snapshots.iter().zip(self.snapshots.iter().skip(1));
        let between = pairs.map(|(before, after)| match (written(before), written(after)) {
            (Some(before), Some(after)) => u64::try_from(after - before).unwrap_or(0),
            _ => 0,
        });
        between.collect()
    }

    /// Returns for how long a record waits that is next in a partition: since it was written, as
    /// far as the ends of earlier snapshots show, between two in proportion.
    ///
    /// ```text
    /// end     100        140        180     next offset 160: written half-way from the second
    /// at      0 s        1 s        2 s     to the third snapshot, so 0.5 s ago
    /// ```
    pub fn behind(&self, topic: &str, partition: i32, next: i64) -> Behind {
        let end = |then: &Snapshot| then.end_of(topic, partition);
        let Some(now) = self.now() else {
            return Behind::Nothing;
        };
        if end(now).is_none_or(|end| end <= next) {
            return Behind::Nothing;
        }
        let ago = |at: f64| (now.at as f64 - at) / 1_000.0;
        let mut before: Option<(i64, i64)> = None;
        for snapshot in &self.snapshots {
            match (end(snapshot), before) {
                (Some(end), Some((at, earlier))) if end > next => {
                    let share = (next - earlier) as f64 / (end - earlier) as f64;
                    return Behind::Seconds(ago(at as f64 + share * (snapshot.at - at) as f64));
                }
                (Some(end), None) if end > next => return Behind::AtLeast(ago(snapshot.at as f64)),
                (Some(end), _) => before = Some((snapshot.at, end)),
                (None, _) => {}
            }
        }
        Behind::Nothing
    }

    /// Returns when a group that is this many records behind in a topic will be behind no more.
    pub fn clears(&self, group: &str, topic: &str, lag: i64) -> Clears {
        /// Rates of a few seconds are no more exact than this.
        const ABOUT: f64 = 0.02;
        let rates = self
            .read_per_second(group, topic)
            .zip(self.written_per_second(topic));
        match rates {
            _ if lag <= 0 => Clears::Now,
            None => Clears::Unknown,
            Some((read, written)) if read > written * (1.0 + ABOUT) => {
                Clears::In(lag as f64 / (read - written))
            }
            Some((read, written)) if read > 0.0 && read >= written * (1.0 - ABOUT) => {
                Clears::Steady
            }
            Some(_) => Clears::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic `t` of one partition that ends at `end`, of which group `g` has read to `read`.
    fn snapshot(second: i64, end: i64, read: i64) -> Snapshot {
        let partition = Partition {
            number: 0,
            first: 0,
            end,
        };
        let commit = Commit {
            topic: "t".to_owned(),
            partition: 0,
            offset: read,
            note: String::new(),
        };
        Snapshot {
            at: second * 1_000,
            topics: vec![Topic {
                name: "t".to_owned(),
                partitions: vec![partition],
            }],
            groups: vec![Group {
                name: "g".to_owned(),
                state: "stable".to_owned(),
                members: 1,
                commits: vec![commit],
            }],
        }
    }

    fn history(rows: &[(i64, i64, i64)]) -> History {
        let mut history = History::default();
        for &(second, end, read) in rows {
            history.push(snapshot(second, end, read));
        }
        history
    }

    #[test]
    fn rates_and_volume_are_differences_of_offsets() {
        let history = history(&[(0, 100, 0), (1, 140, 10), (2, 180, 30)]);
        assert_eq!(history.written_per_second("t"), Some(40.0));
        assert_eq!(history.read_per_second("g", "t"), Some(15.0));
        assert_eq!(history.volume("t"), [40, 40]);
        assert_eq!(history.written_per_second("other"), None);
    }

    #[test]
    fn a_record_waits_since_it_was_written() {
        let history = history(&[(0, 100, 0), (1, 140, 0), (2, 180, 0)]);
        assert_eq!(history.behind("t", 0, 160), Behind::Seconds(0.5));
        assert_eq!(history.behind("t", 0, 180), Behind::Nothing);
        assert_eq!(history.behind("t", 0, 50), Behind::AtLeast(2.0));
        assert_eq!(history.behind("t", 7, 50), Behind::Nothing);
    }

    #[test]
    fn a_lag_clears_only_if_reading_is_faster_than_writing() {
        let faster = history(&[(0, 100, 0), (1, 110, 60)]);
        assert_eq!(faster.clears("g", "t", 50), Clears::In(1.0));
        assert_eq!(faster.clears("g", "t", 0), Clears::Now);
        let slower = history(&[(0, 100, 0), (1, 200, 60)]);
        assert_eq!(slower.clears("g", "t", 140), Clears::Never);
        let steady = history(&[(0, 100, 50), (1, 200, 150)]);
        assert_eq!(steady.clears("g", "t", 50), Clears::Steady);
        let silent = history(&[(0, 100, 50), (1, 100, 50)]);
        assert_eq!(silent.clears("g", "t", 50), Clears::Never);
        let one = history(&[(0, 100, 0)]);
        assert_eq!(one.clears("g", "t", 100), Clears::Unknown);
    }

    #[test]
    fn a_minute_is_kept() {
        let rows: Vec<(i64, i64, i64)> = (0..200).map(|at| (at, at * 10, 0)).collect();
        let history = history(&rows);
        assert_eq!(history.volume("t"), [10; 60]);
        assert_eq!(history.behind("t", 0, 0), Behind::AtLeast(60.0));
    }
}
