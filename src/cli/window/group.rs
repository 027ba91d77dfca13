//! `k window --group G --to TOPIC`: one node of a group, from flags to the final account.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Options;
use crate::cli::endpoint::{Endpoint, OneInput};
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::kafka::admin::Admin;
use crate::node::group::commit::{Crash, Guarantee};
use crate::node::group::metrics::Metrics;
use crate::node::group::snapshot::{self, Snapshots};
use crate::node::group::start::{Agreement, Request, open_producer};
use crate::node::group::{self, Node, Parts};
use crate::plan::Query;
use crate::sink::topic::TopicSink;
use crate::term::units::{parse_bytes, parse_positive_duration};

/// How a process works in a group.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "As part of a group (--group, from a topic to a topic)")]
pub(super) struct GroupOptions {
    /// How often a record may count in the results after a crash [default: exactly-once]
    #[arg(long, value_enum, value_name = "HOW")]
    guarantee: Option<Guarantee>,

    /// Commit results, state and offsets this often [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    commit: Option<i64>,

    /// End before the state of this process exceeds this size: `512MiB`.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    max_state: Option<u64>,

    /// Keep a local copy of the state in this folder: a restart on this machine then reads only what came
    /// after it. Processes may share the folder. A copy that does not fit is reported, and the state is
    /// read from its topic.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Delete the group's state and offsets and start over; no process of the group may be running.
    #[arg(long)]
    reset: bool,

    /// Always pre-aggregate in each process and send partial results through an internal topic. By
    /// default this is done if the first records show that `--by` is not their key. `--distinct`, and
    /// `--late-to` of sessions and sliding windows, need `--by` to be the record key.
    #[arg(long)]
    repartition: bool,

    /// Serve metrics of this process to Prometheus at http://HOST:PORT/metrics, such as
    /// `127.0.0.1:9464`: records, lag, watermark delay, commits, state. Port 0 picks a free port.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,

    /// Crash on purpose, to test the guarantee: once results and state are `produced`, or offsets are
    /// `committed`; at the first commit, or the Nth: `produced,3`.
    #[arg(long, value_name = "STEP[,N]")]
    crash_at: Option<Crash>,
}

/// How long a transaction may be open before it is committed. A process that restores a state waits
/// twice as long for one that a crashed process has left open.
const MAX_COMMIT: Duration = Duration::from_secs(30);

impl GroupOptions {
    /// Returns the flag that was given, if one was.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--guarantee", self.guarantee.is_some()),
            ("--commit", self.commit.is_some()),
            ("--max-state", self.max_state.is_some()),
            ("--state", self.state.is_some()),
            ("--reset", self.reset),
            ("--repartition", self.repartition),
            ("--metrics", self.metrics.is_some()),
            ("--crash-at", self.crash_at.is_some()),
        ];
        let mut flags = flags.into_iter();
        flags.find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// Returns how often results, state and offsets are committed.
    fn commit_every(&self, guarantee: Guarantee) -> Result<Duration> {
        commit_every(self.commit, guarantee)
    }
}

/// Returns how often a process of a group commits, of `--commit` in ms.
pub(in crate::cli) fn commit_every(asked: Option<i64>, guarantee: Guarantee) -> Result<Duration> {
    let every = Duration::from_millis(asked.unwrap_or(100).unsigned_abs());
    if guarantee == Guarantee::ExactlyOnce && every > MAX_COMMIT {
        Err(Error::usage(format!(
            "`--commit` takes at most {} s with the guarantee exactly-once",
            MAX_COMMIT.as_secs()
        ))
        .hint("after a crash, readers wait that long for the open transaction to end"))
    } else {
        Ok(every)
    }
}

impl Options {
    /// Returns the topics and the group, if the flags ask for a node of a group: with a group, from a
    /// topic, to a topic.
    pub(super) fn grouped(&self) -> Result<Option<(String, String, String)>> {
        let from = match self.asked.source()? {
            OneInput::Topic(from) => Some(from),
            OneInput::Lines(_) => None,
        };
        match (self.asked.range.group(), from, &self.to) {
            (Some(group), Some(from), Endpoint::Topic(to)) => {
                Ok(Some((group.to_owned(), from, to.clone())))
            }
            (group, ..) => match self.group.given() {
                Some(flag) if group.is_none() => {
                    Err(Error::usage(format!("`{flag}` needs `--group`"))
                        .hint("a group shares a topic: `--from TOPIC --to TOPIC --group NAME`"))
                }
                Some(flag) => Err(Error::usage(format!(
                    "`{flag}` is for a group that reads one topic and writes another"
                ))
                .hint("name both: `--from TOPIC --to TOPIC`")),
                None => Ok(None),
            },
        }
    }

    /// Runs as one process of a group.
    pub(super) fn run_grouped(
        &self,
        query: &Query,
        (group, from, to): (String, String, String),
        context: &Context,
    ) -> Result<()> {
        let guarantee = self.group.guarantee.unwrap_or_default();
        let commit_every = self.group.commit_every(guarantee)?;
        if self.journal.is_some() {
            return Err(
                Error::usage(
                    "`--journal` is of one engine, and a group has one for each partition, which moves from process to process",
                )
                .hint("leave `--group` out, and the topic is read beside the group, with one watermark")
                .hint("`k explain window --group NAME` answers from what the group has committed"),
            );
        }
        if self.asked.range.ends_early() {
            return Err(
                Error::usage("`--until` is for a single reader, not for a group")
                    .hint("use `--exit`: a group then ends once it has read what the topic holds"),
            );
        }
        self.refuse_unranked()?;
        self.refuse_collisions()?;
        self.times.refuse_for(&self.to)?;
        let metrics = self.group.metrics.map(Metrics::serve).transpose()?;
        if let Some(metrics) = &metrics {
            let address = metrics.address();
            context
                .report
                .status(format!("metrics at http://{address}/metrics"));
        }
        let folder = self.group.state.as_ref();
        let folder = folder.map(|dir| snapshot::Folder::open(dir, &group));
        let folder = folder.transpose()?;
        let settings = self.asked.broker.settings(context)?;
        let range = self.asked.range.range()?;
        let admin = Admin::new(&settings)?;
        let request = Request {
            group: &group,
            topic: &from,
            query,
            given: self.asked.given()?,
            since: range.since,
            exits: self.asked.range.exits(),
            repartition: self.group.repartition,
            keeps_late: self.late_to.is_some(),
            reset: self.group.reset,
            folder: folder.as_ref(),
        };
        let Some(agreement) = request.agree(&admin, &settings, context)? else {
            context.report.status("0 records in: the topic is empty");
            return Ok(());
        };
        let Agreement {
            plan,
            decoder,
            starts,
            built_with,
            is_repartitioned,
        } = agreement;
        let snapshots = folder.map(|folder| Snapshots::open(folder, &group, &built_with, &admin));
        let snapshots = snapshots.transpose()?;
        let (producer, lease) = open_producer(&settings, &group, guarantee, commit_every)?;
        let sink = TopicSink::open_shared(
            &admin,
            &to,
            plan.header(),
            self.tombstones(&plan),
            producer.clone(),
        )?;
        let sink = super::in_front(&plan, Box::new(sink));
        let outputs = self.outputs(context, Some(&producer))?;
        let parts = Parts {
            plan: &plan,
            decoder,
            sink,
            producer,
            outputs,
            metrics,
            snapshots,
            admin: &admin,
            settings: &settings,
            report: &context.report,
            interrupt: &context.interrupt,
        };
        let options = group::Options {
            group,
            topic: from,
            since: range.since,
            to,
            is_repartitioned,
            idle: Duration::from_millis(self.asked.when.idle.unsigned_abs()),
            guarantee,
            lease,
            commit_every,
            max_state: self.group.max_state,
            exit: self.asked.range.exits(),
            skip_bad: self.asked.skip_bad,
            crash: self.group.crash_at,
        };
        let mut node = Node::join(parts, options, starts)?;
        let ended = node.run();
        let (account, watermark, open) = (node.account(), node.watermark(), node.open());
        let first_skipped = node.first_skipped();
        drop(node); // leaves the group, whatever is reported below
        match ended {
            Err(error) if !matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            ended => {
                self.tell(&plan, &account, watermark, open, first_skipped, context)?;
                ended
            }
        }
    }

    /// Refuses flags that a process with only some of the keys cannot serve, or that windows shown while
    /// still open cannot.
    fn refuse_unranked(&self) -> Result<()> {
        let ranked = self.asked.ranked();
        if let Some(flag) = ranked.of_windows() {
            return Err(Error::usage(format!(
                "`{flag}` needs all keys of a window, and each process of a group has only some"
            ))
            .hint(format!(
                "leave `{flag}` out here, and apply it to the result: `k window --from {} --time window_start … {flag} …`",
                self.to
            ))
            .hint("or leave `--group` out: one process then reads everything"));
        }
        if ranked.having.is_some() && self.asked.range.exits() {
            Err(Error::usage(
                "with `--exit` a group shows windows that are still open, and `--having` could not take their rows back",
            )
            .hint(format!(
                "leave `--having` out here, and filter the result: `k consume {} --where …`",
                self.to
            )))
        } else {
            Ok(())
        }
    }
}
