//! A history as text: three sections of rows, for a screen and for scripts.

use std::cmp::Ordering;

use super::history::{Behind, Clears, Commit, Group, History, Snapshot};
use crate::term::grid::{self, Column, Shortage};
use crate::term::table::{Align, Table};
use crate::term::units::{self, format_count, format_duration, format_rate, format_time};

/// The bars of a volume, from nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Rows under headings.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The headings; the first says what a row is.
    pub columns: &'static [(&'static str, Align)],
    /// One cell a column; what is busiest comes first.
    pub rows: Vec<Vec<String>>,
    /// Whether nothing happens in a row: nothing was written for a minute, or a group has no member.
    pub is_quiet: Vec<bool>,
}

/// A row, and how busy it is.
struct Busy {
    row: Vec<String>,
    /// Records a second; none where nothing happens.
    rate: Option<f64>,
}

impl Busy {
    /// Orders the busiest first; what is as busy, by name.
    fn first(a: &Busy, b: &Busy) -> Ordering {
        let rate = |busy: &Busy| busy.rate.unwrap_or(-1.0);
        rate(b).total_cmp(&rate(a)).then_with(|| a.row.cmp(&b.row))
    }
}

impl Section {
    fn new(columns: &'static [(&'static str, Align)], rows: Vec<Busy>) -> Self {
        Section {
            columns,
            is_quiet: rows.iter().map(|busy| busy.rate.is_none()).collect(),
            rows: rows.into_iter().map(|busy| busy.row).collect(),
        }
    }

    /// Returns the rows as a table whose lines have some room.
    fn plain(&self, room: Option<usize>) -> (String, Shortage) {
        let columns = self.columns.iter();
        let columns = columns.map(|(name, align)| Column::new(name, *align));
        let mut table = Table::new(columns.collect(), room);
        self.rows.iter().for_each(|row| table.row(row));
        table.fitted()
    }
}

const TOPICS: &[(&str, Align)] = &[
    ("topic", Align::Left),
    ("partitions", Align::Right),
    ("records", Align::Right),
    ("written", Align::Right),
];
const GROUPS: &[(&str, Align)] = &[
    ("group", Align::Left),
    ("topic", Align::Left),
    ("state", Align::Left),
    ("members", Align::Right),
    ("lag", Align::Right),
    ("behind", Align::Right),
    ("read", Align::Right),
    ("clear in", Align::Right),
];
const NODES: &[(&str, Align)] = &[
    ("node", Align::Left),
    ("partition", Align::Left),
    ("watermark", Align::Left),
    ("lag", Align::Right),
    ("rows", Align::Right),
    ("state", Align::Right),
];

/// What is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// One row a topic.
    pub topics: Section,
    /// What was written to each topic between snapshots, the oldest first.
    pub volumes: Vec<Vec<u64>>,
    /// One row a group and topic.
    pub groups: Section,
    /// One row for each partition in which a node of `k` has noted how it is.
    pub nodes: Section,
}

impl View {
    /// Returns what a history shows of topics and groups whose names have `filter` in them; a group is
    /// shown with each topic of such a name, too.
    pub fn new(history: &History, filter: &str) -> Self {
        let nothing = Snapshot::default();
        let now = history.now().unwrap_or(&nothing);
        let topic = |topic: &super::Topic| {
            let written = history.written_per_second(&topic.name);
            let volume = history.volume(&topic.name);
            let is_quiet = volume.iter().all(|&records| records == 0);
            let row = vec![
                topic.name.clone(),
                topic.partitions.len().to_string(),
                format_count(topic.records().unsigned_abs()),
                written.map_or_else(String::new, format_rate),
            ];
            let rate = written.filter(|_| !is_quiet);
            (Busy { row, rate }, volume)
        };
        let topics = now.topics.iter();
        let topics = topics.filter(|topic| topic.name.contains(filter));
        let mut topics: Vec<(Busy, Vec<u64>)> = topics.map(topic).collect();
        topics.sort_by(|(a, _), (b, _)| Busy::first(a, b));
        let (topics, volumes): (Vec<Busy>, Vec<Vec<u64>>) = topics.into_iter().unzip();
        let is_meant =
            |group: &Group, topic: &str| group.name.contains(filter) || topic.contains(filter);
        let mut groups: Vec<Busy> = Vec::new();
        for group in &now.groups {
            let topics = topics_of(group).into_iter();
            groups.extend(topics.filter(|topic| is_meant(group, topic)).map(|topic| {
                Busy {
                    row: group_row(history, now, group, topic),
                    rate: (group.members > 0)
                        .then(|| history.read_per_second(&group.name, topic))
                        .map(Option::unwrap_or_default),
                }
            }));
        }
        groups.sort_by(Busy::first);
        let nodes = now.groups.iter().flat_map(|group| {
            let commits = group.commits.iter();
            let commits = commits.filter(|commit| is_meant(group, &commit.topic));
            commits.filter_map(|commit| {
                Some(Busy {
                    row: node_row(now, group, commit)?,
                    rate: (group.members > 0).then_some(0.0),
                })
            })
        });
        View {
            topics: Section::new(TOPICS, topics),
            volumes,
            groups: Section::new(GROUPS, groups),
            nodes: Section::new(NODES, nodes.collect()),
        }
    }

    /// Returns how many rows the longest section has.
    pub fn longest(&self) -> usize {
        let sections = [&self.topics, &self.groups, &self.nodes];
        sections
            .map(|section| section.rows.len())
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    /// Returns the sections that have rows as tables, a blank line between two, ended by a newline; also
    /// what each has no room for.
    pub fn plain(&self) -> (String, Vec<Shortage>) {
        let sections = [&self.topics, &self.groups, &self.nodes].into_iter();
        let tables = sections.filter(|section| !section.rows.is_empty());
        let room = grid::room();
        let (tables, shortages): (Vec<_>, _) = tables.map(|section| section.plain(room)).unzip();
        (tables.join("\n"), shortages)
    }
}

/// Returns the topics that a group has committed something of.
fn topics_of(group: &Group) -> Vec<&str> {
    let mut topics: Vec<&str> = group.commits.iter().map(|commit| &*commit.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() {
        topics.push("");
    }
    topics
}

fn group_row(history: &History, now: &Snapshot, group: &Group, topic: &str) -> Vec<String> {
    let commits = || group.commits.iter().filter(|commit| commit.topic == topic);
    let lag: i64 = commits().filter_map(|commit| lag_of(now, commit)).sum();
    let behind = commits().map(|commit| history.behind(topic, commit.partition, commit.offset));
    let behind = behind.max_by(|a, b| seconds(*a).total_cmp(&seconds(*b)));
    let read = history.read_per_second(&group.name, topic);
    let has_committed = commits().next().is_some();
    let if_committed = |text: String| if has_committed { text } else { String::new() };
    vec![
        group.name.clone(),
        topic.to_owned(),
        group.state.clone(),
        group.members.to_string(),
        if_committed(format_count(lag.unsigned_abs())),
        if_committed(behind.map_or_else(String::new, behind_text)),
        if_committed(read.map_or_else(String::new, |read| format_rate(read.max(0.0)))),
        if_committed(clears_text(history.clears(&group.name, topic, lag))),
    ]
}

/// Returns the row of a commit beside which a node has noted `watermark=…`, and more if it keeps its
/// state in Kafka.
fn node_row(now: &Snapshot, group: &Group, commit: &Commit) -> Option<Vec<String>> {
    let number = |name: &str| -> Option<i64> {
        let mut words = commit.note.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.parse().ok())
    };
    let watermark = match number("watermark=")? {
        i64::MIN => "none yet".to_owned(),
        i64::MAX => "end of input".to_owned(),
        at => format_time(at),
    };
    let lag = lag_of(now, commit).unwrap_or(0);
    let count = |number: i64| format_count(number.unsigned_abs());
    let bytes = |number: i64| units::format_bytes(number.unsigned_abs());
    Some(vec![
        group.name.clone(),
        format!("{} {}", commit.topic, commit.partition),
        watermark,
        count(lag),
        number("rows=").map_or_else(String::new, count),
        number("bytes=").map_or_else(String::new, bytes),
    ])
}

fn lag_of(now: &Snapshot, commit: &Commit) -> Option<i64> {
    let end = now.end_of(&commit.topic, commit.partition)?;
    Some((end - commit.offset).max(0))
}

fn seconds(behind: Behind) -> f64 {
    match behind {
        Behind::Nothing => 0.0,
        Behind::Seconds(seconds) | Behind::AtLeast(seconds) => seconds,
    }
}

fn behind_text(behind: Behind) -> String {
    match behind {
        Behind::Nothing => "0s".to_owned(),
        Behind::Seconds(seconds) => short(seconds),
        Behind::AtLeast(seconds) => format!("> {}", short(seconds)),
    }
}

fn clears_text(clears: Clears) -> String {
    match clears {
        Clears::Now => "clear".to_owned(),
        Clears::In(seconds) => short(seconds),
        Clears::Steady => "steady".to_owned(),
        Clears::Never => "never".to_owned(),
        Clears::Unknown => String::new(),
    }
}

/// Prints seconds without needless digits: below ten with a tenth, above whole ones.
fn short(seconds: f64) -> String {
    const MAX_SECONDS: f64 = 8_640_000.0;
    match seconds {
        0.0 => "0s".to_owned(),
        below if below < 9.95 => format!("{below:.1}s"),
        above => format_duration((above.min(MAX_SECONDS)).round() as i64 * units::SECOND),
    }
}

/// Returns the newest `width` volumes as bars, the most as the highest.
pub fn bars(volume: &[u64], width: usize) -> String {
    let newest = &volume[volume.len().saturating_sub(width)..];
    let most = newest.iter().copied().max().unwrap_or(0).max(1);
    let bar = |&count: &u64| match count {
        0 => ' ',
        count => BARS[((count * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
    };
    newest.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_the_highest_bar_and_nothing_is_none() {
        assert_eq!(bars(&[0, 1, 4, 8, 2], 5), " ▁▄█▂");
        assert_eq!(bars(&[9, 1, 1], 2), "██");
        assert_eq!(bars(&[], 5), "");
        assert_eq!(bars(&[0, 0], 5), "  ");
    }

    #[test]
    fn seconds_are_short() {
        assert_eq!(short(0.0), "0s");
        assert_eq!(short(0.54), "0.5s");
        assert_eq!(short(9.96), "10s");
        assert_eq!(short(61.4), "1m1s");
    }
}
