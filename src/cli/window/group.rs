//! `k window --group G --to TOPIC`: the node of a group, from flags to the account at the end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Options;
use crate::cli::Context;
use crate::cli::endpoint::{Endpoint, OneInput, or_a_file};
use crate::cli::input::{self, Form, Notation};
use crate::column::Schema;
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
use crate::plan::{Plan, Query};
use crate::sink::topic::{Shared, TopicSink};
use crate::source::kafka::{Range, Starts};
use crate::term::units::{parse_bytes, parse_positive_duration};

/// What the plan says where records are brought together by what they are grouped by.
const REPARTITION: &str = "--repartition";
const YES: &str = "yes";

/// How a process works in a group.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Working in a group (--group, from a topic to a topic)")]
pub(super) struct GroupOptions {
    /// What a crash may do to the results [default: exactly-once]
    #[arg(long, value_enum, value_name = "HOW")]
    guarantee: Option<Guarantee>,

    /// Make results, state and offsets visible this often [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    commit: Option<i64>,

    /// End before the state of this process outgrows this much: `512MiB`.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    max_state: Option<u64>,

    /// Keep the state in this folder, too, so that a restart on this machine reads only what came
    /// after it; processes may share it. What does not fit is told, and read from the topic.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Forget the group's state and offsets, and begin anew; no process of it may be running.
    #[arg(long)]
    reset: bool,

    /// Bring records together by what they are grouped by, through a topic of the group's own, even
    /// if the first ones have it as their key; where they have not, it is done anyway. `--distinct`,
    /// and `--late-to` of sessions and sliding windows, need it as the key.
    #[arg(long)]
    repartition: bool,

    /// Serve this process's figures to Prometheus at http://HOST:PORT/metrics, such as
    /// `127.0.0.1:9464`: records, lag, watermark delay, commits, state; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,

    /// Die as if killed, to see what a guarantee is worth: when results and state are `produced`,
    /// or offsets are `committed`, at the first commit or the Nth: `produced,3`.
    #[arg(long, value_name = "STEP[,N]")]
    crash_at: Option<Crash>,
}

/// How long a transaction may be open before it is committed. Whoever restores a state gives up on one
/// that a process has left behind only after twice as long.
const LONGEST_COMMIT: Duration = Duration::from_secs(30);

/// How many results and changes may be on their way at once: more take memory and are no faster,
/// since the node works as fast as the broker takes them.
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

    /// Returns how often results, state and offsets are to become visible.
    fn commit_every(&self, guarantee: Guarantee) -> Result<Duration> {
        let every = Duration::from_millis(self.commit.unwrap_or(100).unsigned_abs());
        if guarantee == Guarantee::ExactlyOnce && every > LONGEST_COMMIT {
            Err(Error::usage(format!(
                "`--commit` takes {} s at most where each result is to be seen once",
                LONGEST_COMMIT.as_secs()
            ))
            .hint("readers wait for what a process that was killed had not committed"))
        } else {
            Ok(every)
        }
    }
}

impl Options {
    /// Returns the topics and the group, if the flags ask for the node of a group: with a group,
    /// from a topic, to a topic.
    pub(super) fn grouped(&self) -> Result<Option<(String, String, String)>> {
        let from = match self.source()? {
            OneInput::Topic(from) => Some(from),
            OneInput::Lines(_) => None,
        };
        match (self.range.group(), from, &self.to) {
            (Some(group), Some(from), Endpoint::Topic(to)) => {
                Ok(Some((group.to_owned(), from, to.clone())))
            }
            (group, ..) => match self.group.given() {
                Some(flag) if group.is_none() => {
                    Err(Error::usage(format!("`{flag}` needs `--group`"))
                        .hint("a group shares a topic: `--from TOPIC --to TOPIC --group NAME`"))
                }
                Some(flag) => Err(Error::usage(format!(
                    "`{flag}` is for a group that reads a topic and writes to a topic"
                ))
                .hint("name them by `--from TOPIC --to TOPIC`")),
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
                Error::usage("`--journal` tells of one reader, not of a group")
                    .hint("leave `--group` away: the records are windowed alike"),
            );
        }
        if self.range.ends_early() {
            return Err(Error::usage("`--until` is for one reader, not for a group")
                .hint("with `--exit` a group ends once it has read what the topic holds"));
        }
        self.refuse_unranked()?;
        self.refuse_collisions()?;
        let metrics = self.group.metrics.map(Metrics::serve).transpose()?;
        if let Some(metrics) = &metrics {
            let address = metrics.address();
            context
                .report
                .status(format!("figures at http://{address}/metrics"));
        }
        let folder = self.group.state.as_ref();
        let folder = folder.map(|dir| snapshot::Folder::open(dir, &group));
        let folder = folder.transpose()?;
        let settings = self.broker.settings(context)?;
        let range = self.range.range()?;
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
        let mut plan = super::plan(query, schema.clone(), &form, true)?;
        let (asked, layout) = (self.time.is_some(), &plan.layout);
        input::tell_time(asked, &layout.time, &layout.schema, "the records", context);
        input::warn_of_unseen(&plan.layout.schema, plan.unseen, context);
        let decoder = form.decoder(plan.layout.clone());
        let was_repartitioned = built_with.get(REPARTITION) == Some(YES);
        let is_repartitioned = self.group.repartition || was_repartitioned;
        let described = self.described(&plan, &from, &schema, &form, is_repartitioned);
        // Over the columns as they were then: what was declared since does not change what was said.
        let built_columns = built_columns(&built_with)?;
        let columns_then = built_columns.map_or(schema, |(columns, _)| columns);
        let before = super::plan(&built_with.query(&group)?, columns_then, &form, true);
        let before =
            before.map_err(|why| Described::unreadable(&group, &built_with.flags(), &why))?;
        described.check(&group, &plan, (&built_with, &before))?;
        let taken = plan.take_over(&before.state_types());
        taken.map_err(|types| Described::other_type(&group, types))?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        if is_repartitioned {
            group::refuse_lost_repartition(&admin, &settings, &group, &starts)?;
            context.report.detail(
                "records are brought together by what they are grouped by: it is not their key",
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
            idle: Duration::from_millis(self.when.idle.unsigned_abs()),
            guarantee,
            lease,
            commit_every,
            max_state: self.group.max_state,
            exit: self.range.exits(),
            skip_bad: self.skip_bad,
            crash: self.group.crash_at,
        };
        let mut node = Node::join(parts, options, starts)?;
        let ended = node.run();
        let (account, watermark, open) = (node.account(), node.watermark(), node.open());
        drop(node); // leaves the group, whatever is told below
        match ended {
            Err(error) if !matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            ended => {
                self.tell(&plan, &account, watermark, open, context)?;
                ended
            }
        }
    }

    /// Begins the state of a group: writes down what it is built with, unless another process has been
    /// quicker. Returns what counts; `None` for an empty topic that is not waited for.
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
        let plan = super::plan(query, schema.clone(), &form, true)?;
        let decoder = form.decoder(plan.layout.clone());
        // A topic that was empty holds records now: its columns were waited for.
        let now = Starts::find(admin, from, self.range.range()?.since)?;
        let remains = group::refuse_lost_state(settings, group, &now)
            .and_then(|()| group::refuse_remains(admin, settings, group));
        if let Err(error) = remains {
            // What is there may be of a process that has begun meanwhile.
            return load()?.map_or(Err(error), |built_with| Ok(Some(built_with)));
        }
        let is_repartitioned = self.group.repartition
            || keys::need_repartition(&plan, decoder, settings, &now, &context.interrupt)?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        let described = self.described(&plan, from, &schema, &form, is_repartitioned);
        described.store(admin, settings, group, now.len())?;
        // Another process may have been quicker.
        Ok(load()?.or(Some(described)))
    }

    /// Refuses what a process cannot say that has some of the keys only, and whose windows that were
    /// shown open go on.
    fn refuse_unranked(&self) -> Result<()> {
        let ranked = self.ranked();
        if let Some(flag) = ranked.of_windows() {
            return Err(Error::usage(format!(
                "`{flag}` needs all keys of a window, and a process of a group has its own only"
            ))
            .hint(format!(
                "leave `{flag}` away here, and window the result: `k window --from {} --time window_start … {flag} …`",
                self.to
            ))
            .hint("or leave `--group` away: one process reads all"));
        }
        if ranked.having.is_some() && self.range.exits() {
            Err(Error::usage(
                "with `--exit` a group shows windows that go on, and `--having` could not take their rows back",
            )
            .hint(format!(
                "leave `--having` away here: `k consume {} --where …` chooses when it reads",
                self.to
            )))
        } else {
            Ok(())
        }
    }

    /// Refuses what cannot be computed of records that lie in several partitions.
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
                "`{flag}` needs the records of a group in one partition, and here their key is \
                 another one than what `--by` groups them by"
            ))
            .hint("write the topic anew with that key (`k produce --key COLUMN`), or leave `--group` away")),
        }
    }

    /// Returns the columns of the topic: those that the group's state was built with, else those
    /// of its first records; none of an empty topic that is not waited for.
    fn columns(
        &self,
        built_with: Option<&Described>,
        topic: &str,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<(Schema, Form)>> {
        let given = self.given()?;
        let built_with = built_with.map(built_columns).transpose()?.flatten();
        if let Some((schema, notation)) = built_with {
            let form = given.form(notation);
            let declared = given.declared.unwrap_or_default();
            let mut names = declared.fields.iter().map(|field| &field.name);
            let unknown = names.find(|name| schema.index_of(name).is_none());
            return match unknown.filter(|_| notation != Notation::Json) {
                Some(name) => Err(Error::usage(format!(
                    "`--schema` declares column `{name}`, which the group's records have not"
                ))
                .hint(format!("there are {}", schema.names()))),
                None => Ok(Some((schema::declare(schema, &declared), form))),
            };
        }
        let exits = self.range.exits();
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

/// Returns a name for the transactions of this process that no other has. It begins with the group's,
/// so that one rule by prefix lets a person have both.
fn transactional_id(group: &str) -> String {
    format!("{group}-k-{:016x}", rand::random::<u64>())
}
