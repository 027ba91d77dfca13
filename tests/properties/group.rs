//! Tasks of a group that stop and go on: their state is in a changelog, and what they hand on in a topic.

use k::engine::operator::Operator;
use k::engine::pane::Panes;

use crate::feed::{Log, Pane, taken};
use crate::inputs::{Op, Plan};

/// What happens to a group beside what goes in.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A task upstream commits, and perhaps begins again.
    Upstream { nth: usize, stops: bool },
    /// The task downstream reads this many records.
    Read(usize),
    /// The task downstream commits, perhaps once it has shown its open windows, and begins again.
    Downstream { shows: bool },
}

/// Whether tasks stop when they are to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    Never,
    /// They are killed, and show nothing.
    Killed,
    /// At the end of what is there: open windows are shown.
    Shown,
}

/// Records are read in several places, and windows are held in one.
pub struct Group<'p> {
    plan: &'p Plan,
    upstream: Vec<Upstream>,
    downstream: Operator,
    log: Log,
    /// What is between, and how many of it downstream has read.
    topic: Vec<Message>,
    position: usize,
    records: u64,
    stops: Stops,
}

struct Upstream {
    operator: Operator,
    header: Vec<u8>,
}

/// A record of the topic between.
enum Message {
    Part(Vec<u8>, Vec<u8>),
    Mark(usize, i64),
}

impl<'p> Group<'p> {
    pub fn new(plan: &'p Plan, stops: Stops) -> Self {
        let upstream = (0..plan.partitions).map(|_| Upstream::new(plan.upstream()));
        Group {
            plan,
            upstream: upstream.collect(),
            downstream: plan.operator(),
            log: Log::default(),
            topic: Vec::new(),
            position: 0,
            records: 0,
            stops,
        }
    }

    pub fn act(&mut self, op: &Op) -> Vec<Pane> {
        let mut panes = Panes::default();
        match op {
            Op::Record(row) => {
                let upstream = &mut self.upstream[row.partition].operator;
                let of_one = crate::feed::Row {
                    partition: 0,
                    ..row.clone()
                };
                self.plan.feed(upstream, &[&of_one], self.records);
                self.records += 1;
            }
            Op::Tick(at) => self.downstream.on_tick(*at, &mut panes),
            Op::Watermark(partition, at) => {
                let upstream = &mut self.upstream[*partition].operator;
                upstream.on_watermark(0, *at, &mut panes);
            }
            Op::Idle(partition, idle) => self.downstream.on_idle(*partition, *idle, &mut panes),
        }
        taken(&panes)
    }

    pub fn happens(&mut self, event: Event) -> Vec<Pane> {
        match event {
            Event::Upstream { nth, stops } => self.commit_upstream(nth, stops),
            Event::Read(records) => return self.read(records),
            Event::Downstream { shows } if self.stops != Stops::Never => {
                let mut panes = Panes::default();
                if shows && self.stops == Stops::Shown {
                    self.downstream.show_open(&mut panes);
                }
                self.log.take(&mut self.downstream);
                let restored = self.log.restore(self.plan.operator());
                self.downstream = restored.expect("what was logged");
                return taken(&panes);
            }
            Event::Downstream { .. } => {}
        }
        Vec::new()
    }

    fn commit_upstream(&mut self, nth: usize, stops: bool) {
        let nth = nth % self.upstream.len();
        let upstream = &mut self.upstream[nth];
        let topic = &mut self.topic;
        let taken = upstream.operator.take_parts(|key, part| {
            topic.push(Message::Part(key.to_owned(), part.to_owned()));
        });
        taken.expect("states");
        let watermark = upstream.operator.watermarks().combined();
        topic.push(Message::Mark(nth, watermark));
        upstream.header = upstream.operator.save_header().expect("a header");
        if stops && self.stops != Stops::Never {
            upstream.operator = self.plan.upstream();
            let loaded = upstream.operator.load_header(&upstream.header);
            loaded.expect("what was saved");
        }
    }

    fn read(&mut self, records: usize) -> Vec<Pane> {
        let (mut panes, mut parts) = (Panes::default(), self.downstream.no_parts());
        let end = self.topic.len().min(self.position + records);
        for message in &self.topic[self.position..end] {
            match message {
                Message::Part(key, part) => parts.push(key, part).expect("a part"),
                Message::Mark(nth, watermark) => {
                    self.downstream
                        .on_parts(&parts, &mut panes)
                        .expect("the types of the plan");
                    parts.clear();
                    self.downstream.on_watermark(*nth, *watermark, &mut panes);
                }
            }
        }
        self.downstream
            .on_parts(&parts, &mut panes)
            .expect("the types of the plan");
        self.position = end;
        taken(&panes)
    }

    /// Reads what there is, and ends the input.
    pub fn end(&mut self) -> Vec<Pane> {
        for nth in 0..self.upstream.len() {
            self.commit_upstream(nth, false);
        }
        let mut panes = self.read(usize::MAX - self.position);
        let mut last = Panes::default();
        self.downstream.on_end(&mut last);
        panes.extend(taken(&last));
        panes
    }
}

impl Upstream {
    fn new(operator: Operator) -> Self {
        let header = operator.save_header().expect("a header");
        Upstream { operator, header }
    }
}
