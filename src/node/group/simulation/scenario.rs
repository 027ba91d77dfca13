//! What a seed asks for: windows, a guarantee, records, and how much goes wrong.

use std::time::Duration;

use super::dice::Dice;
use super::log::NewRecord;
use super::world::{EPOCH_MS, MS, SECOND, Time, Trouble};
use crate::format::Decoder;
use crate::format::schema::parse_declaration;
use crate::kafka::partitioner::partition_of;
use crate::node::group::commit::Guarantee;
use crate::node::input::{Given, Notation};
use crate::plan::{Plan, Query};

/// The names of the topics, and of the group.
pub(super) const INPUT: &str = "calls";
pub(super) const RESULTS: &str = "results";
pub(super) const GROUP: &str = "g";

/// What a seed asks for.
#[derive(Debug)]
pub(super) struct Scenario {
    pub partitions: i32,
    pub slots: usize,
    pub guarantee: Guarantee,
    pub query: String,
    pub is_repartitioned: bool,
    pub keeps_snapshots: bool,
    pub commit_every: Duration,
    pub feed: Vec<Feed>,
    /// Until when things go wrong.
    pub quiet_at: Time,
    /// How long it is from one fault to the next, at most.
    pub fault_every: Time,
    pub trouble: Trouble,
}

/// A record of the input, and when it is written.
#[derive(Debug)]
pub(super) struct Feed {
    pub at: Time,
    pub partition: i32,
    pub record: NewRecord,
    /// The transaction that it is written in, and whether that is committed.
    pub within: Option<(u64, bool)>,
}

/// The transactions of the input's producer have numbers that the others do not come to.
const UPSTREAM: u64 = 1 << 40;

impl Scenario {
    /// Returns what a seed asks for.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let partitions = dice.pick(&[1, 2, 2, 3, 4]);
        let is_repartitioned = partitions > 1 && dice.happens(350);
        let guarantee = dice.pick(&[
            Guarantee::ExactlyOnce,
            Guarantee::ExactlyOnce,
            Guarantee::ExactlyOnce,
            Guarantee::AtLeastOnce,
            Guarantee::AtMostOnce,
        ]);
        let is_exact = guarantee == Guarantee::ExactlyOnce;
        let mut windows = vec!["--tumbling 2s", "--tumbling 10s", "--hopping 4s,2s"];
        if is_exact {
            windows.extend(["--session 1s", "--sliding 2s"]);
            // Where a session is cut depends on which partition's records come first.
            windows.extend((!is_repartitioned).then_some("--session 1s,3s"));
        }
        let mut query = dice.pick(&windows).to_owned();
        query += " --time @record --agg 'count, sum(seconds) as total'";
        query += if is_repartitioned {
            " --by tower"
        } else {
            " --by caller"
        };
        if dice.happens(300) {
            query += dice.pick(&[" --out-of-order 500ms", " --out-of-order 2s"]);
        }
        if dice.happens(300) {
            query += dice.pick(&[" --grace 1s", " --grace 5s"]);
        }
        if dice.happens(300) {
            query += dice.pick(&[
                " --trigger 'count 1'",
                " --trigger 'early(count 3) watermark'",
            ]);
        }
        let is_on_a_grid = query.starts_with("--tumbling") || query.starts_with("--hopping");
        if is_exact && dice.happens(250) {
            // What a pane holds of several partitions depends on which came first.
            query += if is_repartitioned || dice.happens(500) {
                " --refine retracting"
            } else {
                " --refine discarding"
            };
        }
        if !is_repartitioned && is_on_a_grid && dice.happens(200) {
            query += " --distinct seconds";
        }
        let quiet_at = dice.between(8 * SECOND, 20 * SECOND);
        let faults = dice.below(5);
        Scenario {
            partitions,
            slots: dice.between(1, 4) as usize,
            guarantee,
            query,
            is_repartitioned,
            keeps_snapshots: dice.happens(100),
            commit_every: Duration::from_millis(dice.pick(&[50, 100, 400, 1_000])),
            feed: feed(
                &mut dice,
                partitions,
                quiet_at,
                !is_repartitioned || is_on_a_grid,
            ),
            quiet_at,
            fault_every: [20 * SECOND, 6 * SECOND, 3 * SECOND, 2 * SECOND, SECOND][faults as usize],
            trouble: Trouble {
                lost_answers: dice.pick(&[0, 5, 30]),
                slow: dice.pick(&[5, 50]),
            },
        }
    }

    /// Returns the plan, and what reads the records.
    pub fn plan(&self) -> crate::error::Result<(Plan, Decoder)> {
        let query: Query = self.query.parse()?;
        let mut schema = parse_declaration("caller text, tower text, seconds bigint")?;
        schema.has_parts = true;
        let form = Given::default().form(Notation::Delimited);
        let plan = form.plan(&query, schema, true)?;
        let decoder = form.decoder(plan.layout.clone());
        Ok((plan, decoder))
    }
}

/// Returns the records of the input: event times go up, with some that come late, and now and then a
/// transaction that is given up. Without late records where it depends on those of other partitions
/// whether one is late.
fn feed(dice: &mut Dice, partitions: i32, quiet_at: Time, has_late: bool) -> Vec<Feed> {
    let (records, callers) = (dice.between(20, 160), dice.between(1, 6));
    let transactional = dice.happens(300);
    let pace = quiet_at / (records + 1);
    let mut feed = Vec::new();
    let mut within = None;
    for nth in 0..records {
        let at = nth * pace + dice.between(0, pace);
        let caller = format!("c{}", dice.below(callers));
        let tower = format!("t{}", dice.below(3));
        let line = format!("{caller},{tower},{}", dice.below(100));
        let late = match dice.below(10) {
            _ if !has_late => 0,
            0 => dice.between(0, 4 * SECOND),
            1..=3 => dice.between(0, SECOND),
            _ => 0,
        };
        let event_ms = EPOCH_MS + (at.saturating_sub(late) / MS) as i64;
        if transactional && nth % 5 == 0 {
            within = Some((UPSTREAM + nth, dice.happens(700)));
        }
        feed.push(Feed {
            at,
            partition: partition_of(caller.as_bytes(), partitions),
            record: NewRecord::new(
                Some(event_ms),
                Some(caller.as_bytes()),
                Some(line.as_bytes()),
            ),
            within,
        });
    }
    feed.sort_by_key(|record| record.at);
    feed
}
