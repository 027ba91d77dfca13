//! `k window --group G --to TOPIC`: one node of a group, from flags to the final account.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Options;
use crate::cli::endpoint::{Endpoint, OneInput};
use crate::column::Schema;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::format::dialect::{Dialect, delimiter_name};
use crate::format::schema;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::Member;
use crate::kafka::producer::{self, Producer};
use crate::node::group::commit::{Crash, Guarantee, Lease};
use crate::node::group::metrics::Metrics;
use crate::node::group::plan::{COLUMNS, Described};
use crate::node::group::snapshot::{self, Snapshots};
use crate::node::group::{self, Node, Parts, keys};
use crate::node::input::or_a_file;
use crate::node::input::{self, Form, Notation};
use crate::plan::{Plan, Query};
use crate::sink::topic::{Shared, TopicSink};
use crate::source::kafka::{Range, Starts};
use crate::term::units::{parse_bytes, parse_positive_duration};

/// The plan's entry for records that are repartitioned by their group.
const REPARTITION: &str = "--repartition";
const YES: &str = "yes";

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

/// How many results and changes may be in flight: more would only take memory, since the broker sets
/// the pace.
const AT_ONCE: usize = 20_000;

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
        let every = Duration::from_millis(self.commit.unwrap_or(100).unsigned_abs());
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
                Error::usage("`--journal` is for a single reader, not for a group")
                    .hint("leave `--group` out: the windows are the same"),
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
        let starts = Starts::find(&admin, &from, range.since);
        let starts = starts.map_err(|error| or_a_file(&from, error))?;
        if self.group.reset {
            group::reset(&admin, &group)?;
            folder.iter().try_for_each(snapshot::Folder::clear)?;
        }
        let built_with = match Described::load(&admin, &settings, &group)? {
            Some(built_with) => built_with,
            None => {
                let began = self.begin_state(query, (&group, &from), &admin, &settings, context)?;
                let Some(built_with) = began else {
                    context.report.status("0 records in: the topic is empty");
                    return Ok(());
                };
                built_with
            }
        };
        let columns = self.columns(Some(&built_with), &from, &settings, context)?;
        let Some((schema, form)) = columns else {
            context.report.status("0 records in: the topic is empty");
            return Ok(());
        };
        let mut plan = super::asked::plan(query, schema.clone(), &form, true)?;
        let (asked, layout) = (self.asked.time.is_some(), &plan.layout);
        input::tell_time(asked, &layout.time, &layout.schema, "the records", context);
        input::warn_of_unseen(&plan.layout.schema, plan.unseen, context);
        let decoder = form.decoder(plan.layout.clone());
        let was_repartitioned = built_with.get(REPARTITION) == Some(YES);
        let is_repartitioned = self.group.repartition || was_repartitioned;
        let described = self.described(&plan, &from, &schema, &form, is_repartitioned);
        // Over the columns as they were then: what was declared since does not change what was said.
        let built_columns = built_columns(&built_with)?;
        let columns_then = built_columns.map_or(schema, |(columns, _)| columns);
        let before = super::asked::plan(&built_with.query(&group)?, columns_then, &form, true);
        let before =
            before.map_err(|why| Described::unreadable(&group, &built_with.flags(), &why))?;
        described.check(&group, &plan, (&built_with, &before))?;
        let taken = plan.take_over(&before.state_types());
        taken.map_err(|types| Described::other_type(&group, types))?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        if is_repartitioned {
            group::refuse_lost_repartition(&admin, &settings, &group, &starts)?;
            context.report.detail(
                "`--by` is not the record key: records are repartitioned through a topic of the group",
            );
        }

        let snapshots = folder.map(|folder| Snapshots::open(folder, &group, &built_with, &admin));
        let snapshots = snapshots.transpose()?;
        let lease = Lease::of(Member::session(&settings)?);
        let options = producer::Options {
            transactional: (guarantee == Guarantee::ExactlyOnce).then(|| transactional_id(&group)),
            open_for: commit_every,
            patient: true,
            at_once: Some(AT_ONCE),
            within: Some(lease.within),
            ..producer::Options::default()
        };
        let producer = Shared::new(Producer::new(&settings, &options)?);
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
        drop(node); // leaves the group, whatever is reported below
        match ended {
            Err(error) if !matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            ended => {
                self.tell(&plan, &account, watermark, open, context)?;
                ended
            }
        }
    }

    /// Creates the state of a group: records the plan it is built with, unless another process was
    /// faster. Returns the plan that was recorded; `None` for an empty topic with `--exit`.
    fn begin_state(
        &self,
        query: &Query,
        (group, from): (&str, &str),
        admin: &Admin,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<Described>> {
        let load = || Described::load(admin, settings, group);
        let Some((schema, form)) = self.columns(None, from, settings, context)? else {
            return Ok(None);
        };
        let plan = super::asked::plan(query, schema.clone(), &form, true)?;
        let decoder = form.decoder(plan.layout.clone());
        // A topic that was empty holds records by now: `columns` has waited for them.
        let now = Starts::find(admin, from, self.asked.range.range()?.since)?;
        let remains = group::refuse_lost_state(settings, group, &now)
            .and_then(|()| group::refuse_remains(admin, settings, group));
        if let Err(error) = remains {
            // What was found may come from a process that has started in the meantime.
            return load()?.map_or(Err(error), |built_with| Ok(Some(built_with)));
        }
        let is_repartitioned = self.group.repartition
            || keys::need_repartition(&plan, decoder, settings, &now, &context.interrupt)?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        let described = self.described(&plan, from, &schema, &form, is_repartitioned);
        described.store(admin, settings, group, now.len())?;
        // Another process may have been faster.
        Ok(load()?.or(Some(described)))
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

    /// Refuses flags that need all records of a group in one partition.
    fn refuse_scattered(&self, plan: &Plan, is_repartitioned: bool) -> Result<()> {
        let by_clock = plan.arrival.is_some() && plan.trigger.periods().next().is_some();
        let refused = [
            (plan.distinct.is_some(), "--distinct"),
            (by_clock, "--arrival"),
            (!plan.is_on_a_grid() && self.late_to.is_some(), "--late-to"),
        ];
        let mut refused = refused.into_iter();
        match refused.find(|(is_given, _)| *is_given && is_repartitioned) {
            None => Ok(()),
            Some((_, flag)) => Err(Error::refused(format!(
                "`{flag}` needs the records of a group in one partition, and here `--by` is \
                 not the record key"
            ))
            .hint("write the topic again with that key (`k produce --key COLUMN`), or leave `--group` out")),
        }
    }

    /// Returns the columns of the topic: those that the group's state was built with, else those of its
    /// first records; `None` for an empty topic with `--exit`.
    fn columns(
        &self,
        built_with: Option<&Described>,
        topic: &str,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<(Schema, Form)>> {
        let given = self.asked.given()?;
        let built_with = built_with.map(built_columns).transpose()?.flatten();
        if let Some((schema, notation)) = built_with {
            let form = given.form(notation);
            let declared = given.declared.unwrap_or_default();
            let mut names = declared.fields.iter().map(|field| &field.name);
            let unknown = names.find(|name| schema.index_of(name).is_none());
            return match unknown.filter(|_| notation != Notation::Json) {
                Some(name) => Err(Error::usage(format!(
                    "`--schema` declares column `{name}`, which the group's records do not have"
                ))
                .hint(format!("the columns are {}", schema.names()))),
                None => Ok(Some((schema::declare(schema, &declared), form))),
            };
        }
        let exits = self.asked.range.exits();
        let range = Range {
            group: None,
            since: crate::source::kafka::Since::Beginning,
            until: if exits {
                crate::source::kafka::Until::End
            } else {
                crate::source::kafka::Until::Never
            },
        };
        let input = input::open_topic(topic, &range, given, settings, context)?;
        Ok(input.map(|input| (input.schema, input.form)))
    }

    /// Returns what the state depends on.
    fn described(
        &self,
        plan: &Plan,
        from: &str,
        schema: &Schema,
        form: &Form,
        is_repartitioned: bool,
    ) -> Described {
        let change = schema.change.map(|index| schema.fields[index].name.clone());
        let Dialect {
            delimiter,
            spelling,
        } = &form.dialect;
        let delimiter = if *delimiter == Dialect::default().delimiter {
            String::new()
        } else {
            delimiter_name(*delimiter)
        };
        let format = match form.notation {
            Notation::Json => "json",
            Notation::Raw => "raw",
            Notation::Delimited => "csv",
        };
        let repartition = if is_repartitioned { YES } else { "" };
        Described::new(
            plan,
            [
                ("--from", from.to_owned()),
                (REPARTITION, repartition.to_owned()),
                ("--delimiter", delimiter),
                ("--null", spelling.nulls.join("\n")),
                (COLUMNS, schema::declaration(schema)),
                ("change", change.unwrap_or_default()),
                ("format", format.to_owned()),
            ],
        )
    }
}

/// Returns the columns that a group's state was built with, and how its records are written.
fn built_columns(built_with: &Described) -> Result<Option<(Schema, Notation)>> {
    let (Some(columns), Some(format)) = (built_with.get(COLUMNS), built_with.get("format")) else {
        return Ok(None);
    };
    let notation = match format {
        "json" => Notation::Json,
        "raw" => Notation::Raw,
        _ => Notation::Delimited,
    };
    let mut schema = match columns {
        "" => Schema::default(),
        columns => schema::parse_declaration(columns)?,
    };
    schema.open = notation == Notation::Json;
    schema.has_parts = true;
    schema.change = built_with
        .get("change")
        .and_then(|name| schema.index_of(name));
    Ok(Some((schema, notation)))
}

/// Returns a unique name for the transactions of this process. It begins with the group's name, so
/// that one ACL by prefix covers both.
fn transactional_id(group: &str) -> String {
    format!("{group}-k-{:016x}", rand::random::<u64>())
}
