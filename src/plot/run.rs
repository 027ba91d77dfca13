//! Records in a row, by column: what is kept of them is what is kept of their events one by one, without
//! an event a record.

use super::Fate;
use super::dot::Dot;
use super::gather::{Clock, Gathered};
use super::lives::{Key, OTHERS};
use crate::engine::pane::journal::{Event, Moves, Run};
use crate::engine::watermark::BEGINNING;

/// The numbers of keys by those that the engine has for them.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// How often the engine's had come to name others when these were looked up.
    named: u64,
    /// [`UNKNOWN`] where none was looked up.
    known: Vec<Key>,
    bytes: Vec<u8>,
}

/// Stands for a key that was not looked up; no key has this number, and it is not that of the others.
const UNKNOWN: Key = OTHERS - 1;

impl Gathered {
    /// Takes note of a run. `clock` is processing time before it, where the events know it.
    pub(super) fn take_run(&mut self, clock: Option<i64>, run: &Run<'_>) {
        let Some(last) = run.times.len().checked_sub(1) else {
            return;
        };
        self.settle();
        if let (Clock::Time(_), Some(clock)) = (&self.subject.clock, clock) {
            self.now = self.now.max(clock);
        }
        if self.numbers.named != run.keys_named() {
            self.numbers.named = run.keys_named();
            self.numbers.known.clear();
        }
        let one_key = run.key(0).is_none().then(|| self.key_of(&[]));
        let mut moves = run.moves;
        // Of one key the windows have the same records: they are counted together.
        let (mut together, mut came) = (0, BEGINNING);
        for row in 0..last {
            let record = run.record + row as u64;
            let when = self.arrive(record, run.arrival(row));
            let at = run.times[row];
            if moves.observe(at) {
                self.move_to(Some((run.partition, moves.reached)), moves.combined);
            }
            let key = one_key.unwrap_or_else(|| self.number_of(run, row));
            let is_selected = run.selected.is_none_or(|selected| selected[row]);
            if is_selected && one_key.is_some() && together > 0 {
                together += 1;
                came = came.max(when);
            } else if is_selected {
                for &window in run.windows {
                    self.lives.assign(key, window, &[], when, false);
                }
                together = 1;
                came = when;
            }
            self.lives.count(key);
            let fate = if is_selected {
                Fate::OnTime
            } else {
                Fate::Filtered
            };
            let dot = Dot {
                at,
                when,
                record,
                place: run.place(row),
                partition: run.partition,
                key,
                late_by_ms: 0,
            };
            self.put(self.fate_of(key, fate), dot, true, 1);
        }
        if let Some(key) = one_key
            && together > 1
        {
            for &window in run.windows {
                self.lives.add(key, window, came, together - 1);
            }
        }
        self.partition(run.partition).records += last as u64;
        let moved = moves.observe(run.times[last]).then_some(moves);
        self.take_last(run, last, moved);
    }

    /// Takes note of the last record of a run, of which more may be known when the next one comes.
    fn take_last(&mut self, run: &Run<'_>, row: usize, moved: Option<Moves>) {
        let record = run.record + row as u64;
        let mut key = std::mem::take(&mut self.numbers.bytes);
        key.clear();
        run.push_key(row, &mut key);
        let read = Event::Read {
            record,
            partition: run.partition,
            place: run.place(row),
            at: run.times[row],
            arrival: run.arrival(row),
            key: &key,
            arguments: &[],
            columns: &[],
            taken_back: false,
        };
        self.take(None, &read);
        self.numbers.bytes = key;
        if let Some(Moves {
            reached, combined, ..
        }) = moved
        {
            self.move_to(Some((run.partition, reached)), combined);
        }
        if run.selected.is_some_and(|selected| !selected[row]) {
            return self.take(None, &Event::Filtered { record });
        }
        for &window in run.windows {
            let assigned = Event::Assigned {
                record,
                window,
                late_by_ms: None,
                joins: &[],
            };
            self.take(None, &assigned);
        }
    }

    /// Returns the number of a record's key.
    #[inline]
    fn number_of(&mut self, run: &Run<'_>, row: usize) -> Key {
        let Some(id) = run.key(row) else {
            return OTHERS;
        };
        match self.numbers.known.get(id) {
            Some(&key) if key != UNKNOWN => key,
            _ => self.look_up(run, row, id),
        }
    }

    #[cold]
    fn look_up(&mut self, run: &Run<'_>, row: usize, id: usize) -> Key {
        let mut bytes = std::mem::take(&mut self.numbers.bytes);
        bytes.clear();
        run.push_key(row, &mut bytes);
        let key = self.key_of(&bytes);
        self.numbers.bytes = bytes;
        let known = &mut self.numbers.known;
        if known.len() <= id {
            known.resize(id + 1, UNKNOWN);
        }
        known[id] = key;
        key
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use crate::column::{Column, Values};
    use crate::engine::aggregate::Function;
    use crate::engine::operator::{Input, Noted, Operator, Settings};
    use crate::engine::pane::journal::{Detail, Event, Journal, Misfit, Run};
    use crate::engine::pane::trigger::Trigger;
    use crate::engine::pane::{Panes, Refinement};
    use crate::engine::watermark::Bound;
    use crate::engine::window::{Aligned, Windows};
    use crate::picture::ink::Theme;
    use crate::picture::{Medium, cells, svg};
    use crate::plot::vary::{Outlook, Varied, Vary, Watcher};
    use crate::plot::{Clock, Gathered, Listener, Subject, View, draw};

    /// Hears every record by itself: the plain way, which runs are held against.
    #[derive(Debug, Clone)]
    struct OneByOne<J>(J);

    impl<J: Journal> Journal for OneByOne<J> {
        fn note(&mut self, now: Option<i64>, event: Event<'_>) {
            self.0.note(now, event);
        }
    }

    /// Counts how many records come in runs.
    #[derive(Debug, Clone)]
    struct Counting<J>(J, Arc<AtomicU64>);

    impl<J: Journal> Journal for Counting<J> {
        fn note(&mut self, now: Option<i64>, event: Event<'_>) {
            self.0.note(now, event);
        }

        fn note_run(&mut self, now: Option<i64>, run: &Run<'_>) {
            self.1.fetch_add(run.times.len() as u64, Ordering::Relaxed);
            self.0.note_run(now, run);
        }

        fn detail(&self) -> Detail {
            self.0.detail()
        }
    }

    /// When records come, as far as anybody knows.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Came {
        Unknown,
        Column,
        Appended,
    }

    #[derive(Debug, Clone)]
    struct Stream {
        seed: u64,
        records: usize,
        batch: u64,
        partitions: usize,
        /// None for records without a key.
        keys: u64,
        /// Of so many records one is filtered; none if 0.
        filtered: u64,
        /// Of so many records one is late, by up to so many ms.
        late: (u64, i64),
        came: Came,
        windows: (i64, i64),
        grace_ms: i64,
        bound_ms: i64,
        view: View,
    }

    fn stream() -> impl Strategy<Value = Stream> {
        let records = prop_oneof![1 => 0..100_usize, 3 => 1_600..4_000_usize];
        let came = prop_oneof![
            Just(Came::Unknown),
            Just(Came::Column),
            Just(Came::Appended)
        ];
        let keys = prop_oneof![Just(0_u64), Just(1), Just(7), Just(900)];
        let filtered = prop_oneof![Just(0_u64), Just(2), Just(50)];
        let windows = (150..2_000_i64, 150..2_000_i64);
        let windows = windows.prop_map(|(one, other)| (one.max(other), one.min(other)));
        let key = prop::option::weighted(0.3, (0..9_u64).prop_map(|key| format!("k{key}")));
        let between = prop::option::weighted(0.2, (0..3_000_i64, 1..3_000_i64));
        (
            (any::<u64>(), records, 1..400_u64, 1..4_usize),
            (keys, filtered, (1..60_u64, 1..5_000_i64), came),
            (windows, 0..900_i64, 0..900_i64),
            (key, between),
        )
            .prop_map(|(shape, rows, windows, (key, between))| Stream {
                seed: shape.0,
                records: shape.1,
                batch: shape.2,
                partitions: shape.3,
                keys: rows.0,
                filtered: rows.1,
                late: rows.2,
                came: rows.3,
                windows: windows.0,
                grace_ms: windows.1,
                bound_ms: windows.2,
                view: View {
                    key,
                    between: between.map(|(from, length)| (from, from + length)),
                },
            })
    }

    impl Stream {
        fn subject(&self) -> Subject {
            Subject {
                source: "calls".to_owned(),
                asked: "--hopping".to_owned(),
                keys: vec!["who".to_owned(); usize::from(self.keys > 0)],
                value: "count".to_owned(),
                clock: match self.came {
                    Came::Column => Clock::Time("came".to_owned()),
                    _ => Clock::Order,
                },
                partitions: self.partitions,
            }
        }

        /// Lets an engine take the stream, and a listener hear it.
        fn play(&self, listener: Box<dyn Journal>) {
            let windows = Aligned::hopping(self.windows.0, self.windows.1).expect("sizes");
            let settings = Settings {
                windows: Windows::Aligned(windows),
                grace_ms: self.grace_ms,
                bound: Bound::Fixed(self.bound_ms),
                trigger: Trigger::Final,
                refinement: Refinement::Accumulating,
                aggregates: vec![Function::Count.accumulator(None).expect("a count")],
                distinct: None,
            };
            let mut operator = Operator::new(settings, self.partitions);
            operator.set_journal(listener);
            let mut state = self.seed;
            let mut random = move |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % below.max(1)
            };
            let (mut panes, mut clock, mut read) = (Panes::default(), 0, 0);
            while read < self.records {
                let partition = random(self.partitions as u64) as usize;
                match random(12) {
                    0 => operator.on_idle(partition, random(2) == 0, &mut panes),
                    1 => operator.on_clock(clock),
                    _ => {}
                }
                let rows = (1 + random(self.batch)) as usize;
                let mut times = Vec::with_capacity(rows);
                let mut came = Vec::with_capacity(rows);
                for _ in 0..rows {
                    clock += random(4) as i64;
                    let delay = match random(self.late.0) {
                        0 => random(self.late.1 as u64) as i64,
                        _ => random(3) as i64,
                    };
                    times.push(clock - delay);
                    came.push(clock + random(2) as i64 * 5);
                }
                let names = (0..rows).map(|_| format!("k{}", random(self.keys)));
                let names: Vec<String> = names.collect();
                let names = Values::from_iter(names.iter().map(|name| Some(name.as_str())));
                let keys = [Cow::Owned(Column::Text(names))];
                let selected = |_| self.filtered == 0 || random(self.filtered) > 0;
                let selected: Vec<bool> = (0..rows).map(selected).collect();
                let appended: Vec<Option<i64>> = came.iter().copied().map(Some).collect();
                let places: Vec<u64> = (0..rows as u64)
                    .map(|row| read as u64 * 2 + row * 2)
                    .collect();
                let misfit = Misfit {
                    before: rows / 2,
                    place: 1,
                    at: None,
                    reason: "odd",
                    is_ahead: false,
                };
                let input = Input {
                    partition,
                    origin: partition as u32,
                    first: read as u64,
                    noted: Noted {
                        places: if rows.is_multiple_of(2) { &places } else { &[] },
                        appended: if self.came == Came::Appended {
                            &appended
                        } else {
                            &[]
                        },
                        columns: &[],
                    },
                    malformed: if rows.is_multiple_of(5) {
                        &[misfit]
                    } else {
                        &[]
                    },
                    times: &times,
                    arrivals: (self.came == Came::Column).then_some(&came),
                    selected: (self.filtered > 0).then_some(&selected),
                    keys: if self.keys > 0 { &keys } else { &[] },
                    arguments: &[None],
                    carried: &[],
                    taken_back: None,
                    distinct: None,
                    parts: None,
                };
                operator.on_batch(&input, &mut panes).expect("a count");
                panes.clear();
                read += rows;
            }
            operator.on_end(&mut panes);
        }

        /// Returns the picture on a page and in a terminal.
        fn drawn(&self, hear: impl FnOnce(Listener) -> Box<dyn Journal>) -> [String; 2] {
            let gathered = Gathered::new(self.subject(), self.view.clone());
            let listener = Listener::new(gathered);
            self.play(hear(listener.clone()));
            listener.with(|gathered| {
                let page = svg::draw(&draw(gathered, Medium::page(960, 600)), Theme::Auto);
                [
                    page,
                    cells::text(&draw(gathered, Medium::terminal(80, 24)), true),
                ]
            })
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn runs_make_the_picture_that_records_one_by_one_make(stream in stream()) {
            let each = stream.drawn(|listener| Box::new(OneByOne(listener)));
            let runs = stream.drawn(|listener| Box::new(listener));
            prop_assert_eq!(&each[1], &runs[1]);
            prop_assert!(each[0] == runs[0], "the pages differ");
        }

        #[test]
        fn runs_cost_what_records_one_by_one_cost(stream in stream(), is_grace in any::<bool>()) {
            let what = if is_grace { Varied::Grace } else { Varied::OutOfOrder };
            let vary = Vary { what, values: vec![0, 300, 2_000] };
            let stream = match what {
                Varied::Grace => Stream { grace_ms: 0, ..stream },
                Varied::OutOfOrder => Stream { bound_ms: 0, ..stream },
            };
            let costs = |hear: &dyn Fn(Watcher) -> Box<dyn Journal>| {
                let watcher = Watcher::new(Outlook::new(vary.clone(), stream.grace_ms));
                stream.play(hear(watcher.clone()));
                watcher.with(|outlook| (outlook.choices(), outlook.recommendation()))
            };
            let each = costs(&|watcher| Box::new(OneByOne(watcher)));
            prop_assert_eq!(each, costs(&|watcher| Box::new(watcher)));
        }
    }

    #[test]
    fn most_records_of_a_stream_in_order_come_in_runs() {
        let stream = Stream {
            seed: 1,
            records: 20_000,
            batch: 400,
            partitions: 1,
            keys: 7,
            filtered: 2,
            late: (1_000, 1_000),
            came: Came::Column,
            windows: (2_000, 1_000),
            grace_ms: 0,
            bound_ms: 10,
            view: View::default(),
        };
        let count = Arc::new(AtomicU64::new(0));
        stream.drawn(|listener| Box::new(Counting(listener, count.clone())));
        let in_runs = count.load(Ordering::Relaxed);
        assert!(in_runs > 15_000, "{in_runs}");
    }
}
