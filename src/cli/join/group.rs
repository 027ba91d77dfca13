//! `k join --group G --to TOPIC`: one process of a group, from flags to the final account.

use std::time::Duration;

use super::Options;
use crate::cli::endpoint::{Endpoint, OneInput, refuse_collisions};
use crate::cli::names;
use crate::cli::window::commit_every;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::kafka::admin::Admin;
use crate::node::group::commit::Guarantee;
use crate::node::group::start::open_producer;
use crate::node::input::Notation;
use crate::node::join::group::start::{Agreement, Request};
use crate::node::join::group::{self, Node, Parts};
use crate::term::units::parse_positive_duration;

/// How a process works in a group.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "As part of a group (--group, from two topics to a topic)")]
pub(super) struct GroupOptions {
    /// Share the partitions of both topics with the processes of this group, and go on where it has
    /// committed.
    #[arg(long, value_name = "NAME", value_parser = names::parse)]
    group: Option<String>,

    /// Commit rows, state and offsets this often [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    commit: Option<i64>,

    /// Delete the group's state and offsets and start over; no process of the group may be running.
    #[arg(long)]
    reset: bool,

    /// Always repartition both topics through topics of the group. By default this is done for a topic
    /// whose first records show that `--on` is not their key, or that has other partitions.
    #[arg(long)]
    repartition: bool,
}

impl GroupOptions {
    /// Returns the group, if one was named.
    ///
    /// # Errors
    /// `usage` for flags that need a group, and for an empty name.
    pub fn name(&self) -> Result<Option<&str>> {
        let flags = [
            ("--commit", self.commit.is_some()),
            ("--reset", self.reset),
            ("--repartition", self.repartition),
        ];
        let mut given = flags.into_iter().filter(|(_, given)| *given);
        match (self.group.as_deref(), given.next()) {
            (None, Some((flag, _))) => Err(Error::usage(format!("`{flag}` needs `--group`"))
                .hint("a group joins two topics: `k join LEFT RIGHT … --to TOPIC --group NAME`")),
            (Some(""), _) => Err(Error::usage("the name of the group is empty")),
            (group, _) => Ok(group),
        }
    }
}

impl Options {
    /// Runs as one process of a group.
    pub(super) fn run_grouped(&self, group: &str, context: &Context) -> Result<()> {
        if self.input == Some(Notation::Raw) {
            return Err(super::no_raw_lines());
        }
        if self.table.is_some() {
            return Err(Error::usage("a table cannot be joined in a group yet")
                .hint("leave `--group` out: one process then reads all of the stream and the table")
                .hint(
                    "ksqlDB's language joins a stream with a table in several processes: `k ksql`",
                ));
        }
        let topics = self.joined_topics()?;
        let Endpoint::Topic(to) = &self.to else {
            return Err(Error::usage(format!(
                "a group writes to a topic, and `--to` is {}: what a crash interrupts could not be taken back there",
                self.to
            ))
            .hint("name a topic: `--to joined`; `k consume joined` then reads it"));
        };
        if self.range.ends_early() {
            return Err(
                Error::usage("`--until` is for a single reader, not for a group")
                    .hint("use `--exit`: a group then ends once it has read what the topics hold"),
            );
        }
        let read = topics
            .each_ref()
            .map(|topic| Endpoint::Topic(topic.clone()));
        let stats = self.stats.file();
        let stats = stats.iter().map(|to| ("--stats-to", to));
        refuse_collisions(&read, [("--to", &self.to)].into_iter().chain(stats))?;
        self.times.refuse_for(&self.to)?;
        let commit_every = commit_every(self.group.commit, Guarantee::ExactlyOnce)?;
        let settings = self.broker.settings(context)?;
        let admin = Admin::new(&settings)?;
        let query = self.query()?;
        let request = Request {
            group,
            topics: topics.each_ref().map(String::as_str),
            query: &query,
            given: self.given()?,
            since: self.range.range()?.since,
            exits: self.range.exits(),
            repartition: self.group.repartition,
            reset: self.group.reset,
        };
        let Some(agreement) = request.agree(&admin, &settings, context)? else {
            context.report.status("nothing to join: a topic is empty");
            return Ok(());
        };
        let Agreement {
            plan,
            forms,
            layout,
        } = agreement;
        let (producer, _) = open_producer(&settings, group, Guarantee::ExactlyOnce, commit_every)?;
        let parts = Parts {
            plan: &plan,
            forms,
            layout,
            producer,
            admin: &admin,
            settings: &settings,
            report: &context.report,
            interrupt: &context.interrupt,
        };
        let options = group::Options {
            group: group.to_owned(),
            to: to.clone(),
            idle: Duration::from_millis(self.idle.unsigned_abs()),
            commit_every,
            exit: self.range.exits(),
            skip_bad: self.skip_bad,
        };
        let mut node = Node::join(parts, options)?;
        let ended = node.run();
        let (account, watermark) = (node.account(), node.watermark());
        let skipped = node.take_first_skipped();
        drop(node); // leaves the group, whatever is reported below
        match ended {
            Err(error) if !matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            ended => {
                let skipped = skipped.each_ref().map(Option::as_deref);
                self.tell(&plan, (&account, watermark), skipped, context)?;
                ended
            }
        }
    }

    /// Returns the topics that a group joins.
    fn joined_topics(&self) -> Result<[String; 2]> {
        let [left, right] = self.sources()?;
        let topic = |source: OneInput| match source {
            OneInput::Topic(topic) => Ok(topic),
            OneInput::Lines(_) => Err(Error::usage(
                "a group shares the partitions of topics, and a side is not a topic",
            )
            .hint("`k produce FILE -t TOPIC` makes one of a file, or leave `--group` out")),
        };
        let topics = [topic(left)?, topic(right)?];
        if topics[0] == topics[1] {
            return Err(
                Error::usage("a topic cannot be joined with itself in a group yet")
                    .hint("leave `--group` out: one process reads it twice"),
            );
        }
        Ok(topics)
    }
}
