//! Random plans and inputs, and an operator that is fed with them.

use jiff::tz::TimeZone;
use k::column::DataType;
use k::engine::account::Account;
use k::engine::aggregate::{Function, Share, seen};
use k::engine::combine::handoff::Combining;
use k::engine::operator::{Operator, Settings};
use k::engine::pane::trigger::{Repeat, Trigger};
use k::engine::pane::{Panes, Refinement};
use k::engine::watermark::Bound;
use k::engine::window::calendar::Calendar;
use k::engine::window::{Aligned, Windows};
use k::term::period::Period;
use k::term::units::DAY;
use proptest::prelude::*;

use crate::feed::{Log, Pane, Row, feed, taken};
use crate::group::Event;

/// How many partitions an input has at most.
const PARTITIONS: usize = 3;
/// Returns what may be computed beside `count` and `sum`, over the values.
fn functions() -> Vec<Function> {
    let median = Share::new(0.5).expect("a share");
    vec![
        Function::Count,
        Function::CountDistinct,
        Function::ApproxDistinct,
        Function::Min,
        Function::Max,
        Function::Avg,
        Function::Stddev,
        Function::Quantile(median),
        Function::Top(2),
        Function::First,
        Function::Last,
        Function::Collect(3),
    ]
}

/// Something that goes in.
#[derive(Debug, Clone)]
pub enum Op {
    Record(Row),
    Tick(i64),
    Idle(usize, bool),
    Watermark(usize, i64),
}

/// Which windows, as the user would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Starts at `offset` and every `advance` before and after it.
    Grid {
        size: i64,
        advance: i64,
        offset: i64,
    },
    /// Days of Paris, around the day of 23 hours in 2026; times are counted from it in [`STEP`]s.
    Days {
        days: i64,
        advance: i64,
    },
    Session {
        gap: i64,
        max: Option<i64>,
    },
    Sliding {
        apart: i64,
    },
    Global,
}

/// 2026-03-29 at 00:00, UTC.
const SHORT_DAY: i64 = 1_774_742_400_000;
/// A little under three hours.
const STEP: i64 = 10_000_001;

impl Shape {
    fn windows(self) -> Windows {
        match self {
            Shape::Grid {
                size,
                advance,
                offset,
            } => {
                let windows = Aligned::hopping(size, advance).expect("sizes");
                Windows::Aligned(windows.aligned_at(offset))
            }
            Shape::Days { days, advance } => {
                let zone = TimeZone::get("Europe/Paris").expect("a zone");
                let [size, advance] = [days, advance].map(|days| Period {
                    ms: days * DAY,
                    ..Period::default()
                });
                let days = Calendar::new(size, advance, zone, Period::default());
                Windows::Calendar(days.expect("sizes"))
            }
            Shape::Session { gap, max } => Windows::Session {
                gap_ms: gap,
                max_ms: max,
            },
            Shape::Sliding { apart } => Windows::Sliding { apart_ms: apart },
            Shape::Global => Windows::Global,
        }
    }

    /// Returns whether windows are the same for all keys.
    pub fn is_grid(self) -> bool {
        matches!(
            self,
            Shape::Grid { .. } | Shape::Days { .. } | Shape::Global
        )
    }

    /// Returns the ms of a duration as it was drawn.
    fn duration(self, drawn: i64) -> i64 {
        match self {
            Shape::Days { .. } => drawn * STEP,
            _ => drawn,
        }
    }

    /// Returns the time of one as it was drawn.
    fn time(self, drawn: i64) -> i64 {
        match self {
            Shape::Days { .. } => SHORT_DAY + drawn * STEP,
            _ => drawn,
        }
    }

    fn trigger(self, mut trigger: Trigger) -> Trigger {
        if let Trigger::Panes { early, late, .. } = &mut trigger {
            for repeat in [early, late] {
                repeat.every_ms = repeat.every_ms.map(|every| self.duration(every));
            }
        }
        trigger
    }

    fn bound(self, bound: Bound) -> Bound {
        match bound {
            Bound::Fixed(bound_ms) => Bound::Fixed(self.duration(bound_ms)),
            learned => learned,
        }
    }
}

/// What is computed: count and sum, and perhaps more.
#[derive(Debug, Clone)]
pub struct Plan {
    pub shape: Shape,
    pub trigger: Trigger,
    pub refinement: Refinement,
    pub grace_ms: i64,
    pub bound: Bound,
    pub partitions: usize,
    /// Whether each window and key takes one record of each value.
    pub distinct: bool,
    pub more: Vec<Function>,
    /// Whether records take earlier ones back.
    pub net: bool,
}

impl Plan {
    pub fn of(shape: Shape, partitions: usize, bound: Bound) -> Self {
        Plan {
            shape,
            trigger: Trigger::Final,
            refinement: Refinement::Accumulating,
            grace_ms: 0,
            bound,
            partitions,
            distinct: false,
            more: Vec::new(),
            net: false,
        }
    }

    /// Returns the plan with the least grace that covers every delay.
    pub fn with_enough_grace(&self, rows: &[Row]) -> Self {
        let mut high = i64::MIN;
        let mut grace_ms = 0;
        for row in rows {
            high = high.max(row.at);
            grace_ms = grace_ms.max(high - row.at);
        }
        Plan {
            grace_ms,
            ..self.clone()
        }
    }

    pub fn without_maximum(&self) -> Self {
        let shape = match self.shape {
            Shape::Session { gap, .. } => Shape::Session { gap, max: None },
            other => other,
        };
        Plan {
            shape,
            ..self.clone()
        }
    }

    pub fn with_trigger(&self, trigger: Trigger) -> Self {
        Plan {
            trigger,
            ..self.clone()
        }
    }

    pub fn with_refinement(&self, refinement: Refinement) -> Self {
        Plan {
            refinement,
            ..self.clone()
        }
    }

    pub fn operator(&self) -> Operator {
        let mut operator = Operator::new(self.settings(), self.partitions);
        operator.log_changes();
        operator
    }

    /// Returns an operator that hands on what it reads of one partition.
    pub fn upstream(&self) -> Operator {
        let settings = Settings {
            trigger: Trigger::Final,
            ..self.settings()
        };
        let mut operator = Operator::new(settings, 1);
        let apart = match self.shape {
            Shape::Session { max, .. } => max.is_some(),
            Shape::Sliding { .. } => true,
            _ => false,
        };
        operator.hand_on(if apart || self.trigger.counts() {
            Combining::ByRecord
        } else {
            Combining::ByWindow
        });
        operator
    }

    fn settings(&self) -> Settings {
        let make = if self.net {
            Function::net_accumulator
        } else {
            Function::accumulator
        };
        let count = make(Function::Count, None);
        let of_value = |function: Function| make(function, Some(DataType::Bigint));
        let rest = [Function::Sum].into_iter().chain(self.more.iter().copied());
        let aggregates = [count].into_iter().chain(rest.map(of_value));
        let aggregates = aggregates.collect::<k::error::Result<_>>();
        Settings {
            windows: self.shape.windows(),
            grace_ms: self.grace_ms,
            bound: self.bound,
            trigger: self.trigger,
            refinement: self.refinement,
            aggregates: aggregates.expect("functions"),
            distinct: self.distinct.then(|| seen(DataType::Bigint)),
        }
    }

    /// Feeds records of one partition as one batch; `first` is the number of the first.
    pub fn feed(&self, operator: &mut Operator, rows: &[&Row], first: u64) -> Vec<Pane> {
        let mut of_value = vec![true; 2 + self.more.len()];
        of_value[0] = false;
        feed(operator, rows, first, &of_value)
    }
}

/// An operator of a plan.
pub struct Run<'p> {
    plan: &'p Plan,
    pub operator: Operator,
    pub log: Log,
    /// What operators before this one have counted.
    counted: Account,
    /// How many records went in.
    records: u64,
}

impl<'p> Run<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        Run {
            plan,
            operator: plan.operator(),
            log: Log::default(),
            counted: Account::default(),
            records: 0,
        }
    }

    /// Returns where every record went.
    pub fn account(&self) -> Account {
        let mut account = self.counted;
        account.absorb(self.operator.account());
        account
    }

    pub fn act(&mut self, op: &Op) -> Vec<Pane> {
        let mut panes = Panes::default();
        match op {
            Op::Record(row) => return self.feed(&[row]),
            Op::Tick(at) => self.operator.on_tick(*at, &mut panes),
            Op::Idle(partition, idle) => self.operator.on_idle(*partition, *idle, &mut panes),
            Op::Watermark(partition, at) => self.operator.on_watermark(*partition, *at, &mut panes),
        }
        taken(&panes)
    }

    /// Feeds records of one partition as one batch.
    pub fn feed(&mut self, rows: &[&Row]) -> Vec<Pane> {
        let first = self.records;
        self.records += rows.len() as u64;
        self.plan.feed(&mut self.operator, rows, first)
    }

    pub fn end(&mut self) -> Vec<Pane> {
        let mut panes = Panes::default();
        self.operator.on_end(&mut panes);
        taken(&panes)
    }

    /// Shows the open windows as they are, as a run of a group does at its end.
    pub fn show_open(&mut self) -> Vec<Pane> {
        let mut panes = Panes::default();
        self.operator.show_open(&mut panes);
        taken(&panes)
    }

    /// Goes on with an operator that was restored from the log of what has changed.
    pub fn restart(&mut self) {
        self.log.take(&mut self.operator);
        self.counted = self.account();
        let restored = self.log.restore(self.plan.operator());
        self.operator = restored.expect("what was logged");
    }
}

/// Windows of any kind; sessions without a maximum where `naive` has to know them.
fn shape(any_maximum: bool) -> impl Strategy<Value = Shape> {
    let hopping = (1_i64..40, 1_i64..40, 0_i64..40).prop_map(|(left, right, offset)| Shape::Grid {
        size: left.max(right),
        advance: left.min(right),
        offset,
    });
    let tumbling = (1_i64..40).prop_map(|size| Shape::Grid {
        size,
        advance: size,
        offset: 0,
    });
    let longer = if any_maximum {
        prop::option::of(0_i64..40).boxed()
    } else {
        Just(None).boxed()
    };
    let session = (1_i64..15, longer).prop_map(|(gap, longer)| Shape::Session {
        gap,
        max: longer.map(|longer| gap + longer),
    });
    let days = (1_i64..9, 1_i64..9).prop_map(|(left, right)| Shape::Days {
        days: left.max(right),
        advance: left.min(right),
    });
    prop_oneof![
        2 => tumbling,
        2 => hopping,
        2 => days,
        4 => session,
        3 => (1_i64..15).prop_map(|apart| Shape::Sliding { apart }),
        1 => Just(Shape::Global),
    ]
}

fn repeat() -> impl Strategy<Value = Repeat> {
    let every = prop::option::weighted(0.4, 1_i64..30);
    let count = prop::option::weighted(0.4, 1_u64..4);
    (every, count).prop_map(|(every_ms, count)| Repeat { every_ms, count })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let parts = (repeat(), repeat()).prop_map(|(early, late)| Trigger::Panes {
        early,
        watermark: true,
        late,
    });
    let always = repeat().prop_map(|always| Trigger::Panes {
        early: always,
        watermark: false,
        late: always,
    });
    prop_oneof![1 => Just(Trigger::Final), 4 => parts, 3 => always]
}

fn refinement() -> impl Strategy<Value = Refinement> {
    prop_oneof![
        Just(Refinement::Discarding),
        Just(Refinement::Accumulating),
        Just(Refinement::Retracting),
    ]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        2 => Just(Bound::Fixed(0)),
        2 => (0_i64..30).prop_map(Bound::Fixed),
        1 => (1.0..=100.0).prop_map(Bound::Percentile),
    ]
}

fn plan(any_maximum: bool) -> impl Strategy<Value = Plan> {
    let grace = prop_oneof![Just(0_i64), 0_i64..40];
    let shape = shape(any_maximum);
    (
        shape,
        trigger(),
        refinement(),
        grace,
        bound(),
        1..=PARTITIONS,
        prop::bool::weighted(0.3),
    )
        .prop_map(
            |(shape, trigger, refinement, grace, bound, partitions, net)| Plan {
                trigger: shape.trigger(trigger),
                refinement,
                grace_ms: shape.duration(grace),
                net,
                ..Plan::of(shape, partitions, shape.bound(bound))
            },
        )
}

/// A record as it is drawn: how long after the one before it came, and how late.
#[derive(Debug, Clone)]
struct Drawn {
    after: i64,
    delay: i64,
    key: u8,
    value: Option<i64>,
    partition: usize,
    filtered: bool,
    /// How many records later it comes once more.
    again: Option<usize>,
    /// How many records later it is taken back, or before, if records are.
    taken_back: Option<usize>,
}

fn drawn(filtered: bool) -> impl Strategy<Value = Drawn> {
    let filtered = if filtered {
        prop::bool::weighted(0.1).boxed()
    } else {
        Just(false).boxed()
    };
    let delay = prop_oneof![3 => Just(0_i64), 3 => 0_i64..10, 1 => 0_i64..60];
    let after = prop_oneof![4 => 0_i64..4, 1 => 0_i64..40];
    (
        after,
        delay,
        0_u8..4,
        prop::option::weighted(0.9, -9_i64..100),
        0..PARTITIONS,
        filtered,
        prop::option::weighted(0.1, 1_usize..6),
        prop::option::weighted(0.3, 0_usize..9),
    )
        .prop_map(
            |(after, delay, key, value, partition, filtered, again, taken_back)| Drawn {
                after,
                delay,
                key,
                value,
                partition,
                filtered,
                again,
                taken_back,
            },
        )
}

/// Turns what was drawn into records in the order in which they come, duplicates among them.
fn rows_of(drawn: &[Drawn], plan: &Plan) -> Vec<Row> {
    let mut clock = -60;
    let mut coming: Vec<(usize, Row)> = Vec::new();
    for (nth, drawn) in drawn.iter().enumerate() {
        clock += drawn.after;
        let row = Row {
            partition: drawn.partition % plan.partitions,
            at: plan.shape.time(clock - drawn.delay),
            arrival: Some(plan.shape.time(clock)),
            key: Some(match drawn.key {
                0 => None,
                1 => Some("a".to_owned()),
                2 => Some("b".to_owned()),
                _ => Some("a key that is longer than what stands in place".to_owned()),
            }),
            value: drawn.value,
            filtered: drawn.filtered,
            taken_back: false,
        };
        if let Some(later) = drawn.taken_back.filter(|_| plan.net) {
            let taken_back = true;
            let row = row.clone();
            coming.push((nth + later, Row { taken_back, ..row }));
        }
        if let Some(again) = drawn.again {
            coming.push((nth + again, row.clone()));
        }
        coming.push((nth, row));
    }
    coming.sort_by_key(|(nth, _)| *nth);
    coming.into_iter().map(|(_, row)| row).collect()
}

/// A plan whose results `naive` can compute, and records of which none is filtered.
pub fn plan_and_rows() -> impl Strategy<Value = (Plan, Vec<Row>)> {
    let rows = prop::collection::vec(drawn(false), 0..60);
    (plan(false), rows).prop_map(|(plan, drawn)| {
        let rows = rows_of(&drawn, &plan);
        (plan, rows)
    })
}

/// As [`plan_and_ops`], with more aggregates, and where windows are shared by all keys perhaps one
/// record of each value.
pub fn wide_plan_and_ops() -> impl Strategy<Value = (Plan, Vec<Op>)> {
    let more = prop::sample::subsequence(functions(), 0..4);
    (plan_and_ops(), more, any::<bool>()).prop_map(|((plan, ops), mut more, distinct)| {
        let distinct = distinct && plan.shape.is_grid() && !plan.net;
        let retracts = |function: &Function| {
            let made = function.net_accumulator(Some(DataType::Bigint));
            made.is_ok()
        };
        more.retain(|function| !plan.net || retracts(function));
        let plan = Plan {
            more,
            distinct,
            ..plan
        };
        (plan, ops)
    })
}

/// A plan with records, moves of processing time and of watermarks, partitions that fall silent
/// and speak again.
pub fn plan_and_ops() -> impl Strategy<Value = (Plan, Vec<Op>)> {
    let beside = (
        any::<prop::sample::Index>(),
        0..PARTITIONS,
        -60_i64..200,
        0_u8..4,
    );
    let beside = prop::collection::vec(beside, 0..8);
    let rows = prop::collection::vec(drawn(true), 0..60);
    (plan(true), rows, beside).prop_map(|(plan, drawn, beside)| {
        let rows = rows_of(&drawn, &plan).into_iter();
        let mut ops: Vec<Op> = rows.map(Op::Record).collect();
        for (place, partition, at, kind) in beside {
            let (place, partition) = (place.index(ops.len() + 1), partition % plan.partitions);
            let at = plan.shape.time(at);
            let op = match kind {
                0 => Op::Tick(at),
                1 => Op::Watermark(partition, at),
                2 => Op::Idle(partition, true),
                _ => Op::Idle(partition, false),
            };
            ops.insert(place, op);
        }
        (plan, ops)
    })
}

/// What happens to a group beside what goes in, over and over.
pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..PARTITIONS, any::<bool>()).prop_map(|(nth, stops)| Event::Upstream { nth, stops }),
        3 => (0_usize..20).prop_map(Event::Read),
        2 => any::<bool>().prop_map(|shows| Event::Downstream { shows }),
    ];
    prop::collection::vec(event, 0..30)
}
