//! What a process and its group agree on before it joins.
//!
//! Comes in: a [`Request`], what a person wants. Goes out: an [`Agreement`], the plan over the columns that
//! all processes of the group share, and what its state was built with. The first process of a group
//! writes that down, and every other one is compared with it.

use std::time::Duration;

use super::commit::{Guarantee, Lease};
use super::plan::{COLUMNS, Described};
use super::snapshot::Folder;
use super::{keys, refuse_lost_repartition, refuse_lost_state, refuse_remains, reset};
use crate::column::Schema;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::dialect::{Dialect, delimiter_name};
use crate::format::{Decoder, schema};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::Member;
use crate::kafka::producer::{self, Producer};
use crate::node::input::{self, Form, Given, Notation, or_a_file};
use crate::plan::{Plan, Query};
use crate::sink::topic::Shared;
use crate::source::kafka::{Range, Since, Starts, Until};

/// What the plan says where records are brought together by what they are grouped by.
pub(super) const REPARTITION: &str = "--repartition";
pub(super) const YES: &str = "yes";

/// How many results and changes may be in flight: more would only take memory, since the broker sets
/// the pace.
const AT_ONCE: usize = 20_000;

/// What a process is to do for a group.
#[derive(Debug)]
pub struct Request<'r> {
    /// The group's name.
    pub group: &'r str,
    /// The topic that is read.
    pub topic: &'r str,
    /// What is computed.
    pub query: &'r Query,
    /// What a person says of the records.
    pub given: Given,
    /// Where a group begins that has committed nothing.
    pub since: Since,
    /// Whether the run ends at what the topic holds.
    pub exits: bool,
    /// Whether records are brought together by what they are grouped by, even if the first ones have it as
    /// their key.
    pub repartition: bool,
    /// Whether late records are set aside.
    pub keeps_late: bool,
    /// Whether the group's state and offsets are forgotten first.
    pub reset: bool,
    /// Where this machine keeps the state, too.
    pub folder: Option<&'r Folder>,
}

/// What a process and its group agree on.
#[derive(Debug)]
pub struct Agreement {
    /// What is computed, with states of the types that the group's have.
    pub plan: Plan,
    /// Reads the topic's records.
    pub decoder: Decoder,
    /// Where the topic's partitions begin and end.
    pub starts: Starts,
    /// What the state was built with.
    pub built_with: Described,
    /// Whether records are brought together by what they are grouped by.
    pub is_repartitioned: bool,
}

impl Request<'_> {
    /// Finds what the group's state was built with, or begins it; `None` for an empty topic that is not
    /// waited for.
    ///
    /// # Errors
    /// `usage` for a plan that does not fit the records, `refused` for one that is not the group's, or a
    /// state that its topic or its offsets do not go together with.
    pub fn agree(
        &self,
        admin: &Admin,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<Agreement>> {
        let group = self.group;
        let starts = Starts::find(admin, self.topic, self.since);
        let starts = starts.map_err(|error| or_a_file(self.topic, error))?;
        if self.reset {
            reset(admin, group)?;
            self.folder.map_or(Ok(()), Folder::clear)?;
        }
        let built_with = match Described::load(admin, settings, group)? {
            Some(built_with) => Some(built_with),
            None => self.begin_state(admin, settings, context)?,
        };
        let Some(built_with) = built_with else {
            return Ok(None);
        };
        let columns = self.columns(Some(&built_with), settings, context)?;
        let Some((schema, form)) = columns else {
            return Ok(None);
        };
        let mut plan = form.plan(self.query, schema.clone(), true)?;
        let (asked, layout) = (self.query.time.is_some(), &plan.layout);
        input::tell_time(asked, &layout.time, &layout.schema, "the records", context);
        input::warn_of_unseen(&layout.schema, plan.unseen, context);
        let decoder = form.decoder(plan.layout.clone());
        let was_repartitioned = built_with.get(REPARTITION) == Some(YES);
        let is_repartitioned = self.repartition || was_repartitioned;
        let described = self.described(&plan, &schema, &form, is_repartitioned);
        // Over the columns as they were then: what was declared since does not change what was said.
        let columns_then = built_columns(&built_with)?.map_or(schema, |(columns, _)| columns);
        let before = form
            .plan(&built_with.query(group)?, columns_then, true)
            .map_err(|why| Described::unreadable(group, &built_with.flags(), &why))?;
        described.check(group, &plan, (&built_with, &before))?;
        plan.take_over(&before.state_types())
            .map_err(|types| Described::other_type(group, types))?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        if is_repartitioned {
            refuse_lost_repartition(admin, settings, group, &starts)?;
            context.report.detail(
                "`--by` is not the record key: records are repartitioned through a topic of the group",
            );
        }
        Ok(Some(Agreement {
            plan,
            decoder,
            starts,
            built_with,
            is_repartitioned,
        }))
    }

    /// Creates the state of a group: records the plan it is built with, unless another process was
    /// faster. Returns the plan that was recorded; `None` for an empty topic with `exits`.
    fn begin_state(
        &self,
        admin: &Admin,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<Described>> {
        let load = || Described::load(admin, settings, self.group);
        let Some((schema, form)) = self.columns(None, settings, context)? else {
            return Ok(None);
        };
        let plan = form.plan(self.query, schema.clone(), true)?;
        let decoder = form.decoder(plan.layout.clone());
        // A topic that was empty holds records by now: `columns` has waited for them.
        let now = Starts::find(admin, self.topic, self.since)?;
        let remains = refuse_lost_state(settings, self.group, &now)
            .and_then(|()| refuse_remains(admin, settings, self.group));
        if let Err(error) = remains {
            // What was found may come from a process that has started in the meantime.
            return load()?.map_or(Err(error), |built_with| Ok(Some(built_with)));
        }
        let is_repartitioned = self.repartition
            || keys::need_repartition(&plan, decoder, settings, &now, &context.interrupt)?;
        self.refuse_scattered(&plan, is_repartitioned)?;
        let described = self.described(&plan, &schema, &form, is_repartitioned);
        described.store(admin, settings, self.group, now.len())?;
        // Another process may have been faster.
        Ok(load()?.or(Some(described)))
    }

    /// Refuses flags that need all records of a group in one partition.
    fn refuse_scattered(&self, plan: &Plan, is_repartitioned: bool) -> Result<()> {
        let by_clock = plan.arrival.is_some() && plan.trigger.periods().next().is_some();
        let refused = [
            (plan.distinct.is_some(), "--distinct"),
            (by_clock, "--arrival"),
            (!plan.is_on_a_grid() && self.keeps_late, "--late-to"),
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

    /// Returns the columns of the topic: those that the group's state was built with, else those
    /// of its first records; `None` for an empty topic that is not waited for.
    fn columns(
        &self,
        built_with: Option<&Described>,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<(Schema, Form)>> {
        let given = self.given.clone();
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
        let range = Range {
            group: None,
            since: Since::Beginning,
            until: if self.exits { Until::End } else { Until::Never },
        };
        let input = input::open_topic(self.topic, &range, given, settings, context)?;
        Ok(input.map(|input| (input.schema, input.form)))
    }

    /// Returns what the state depends on.
    fn described(
        &self,
        plan: &Plan,
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
                ("--from", self.topic.to_owned()),
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
pub(super) fn built_columns(built_with: &Described) -> Result<Option<(Schema, Notation)>> {
    let (Some(columns), Some(format)) = (built_with.get(COLUMNS), built_with.get("format")) else {
        return Ok(None);
    };
    built(columns, format, built_with.get("change")).map(Some)
}

/// Returns columns as they were declared, and how records are written.
///
/// # Errors
/// `usage` for a declaration of another version.
pub(in crate::node) fn built(
    columns: &str,
    format: &str,
    change: Option<&str>,
) -> Result<(Schema, Notation)> {
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
    schema.change = change.and_then(|name| schema.index_of(name));
    Ok((schema, notation))
}

/// Opens the producer of a process: for its results, its state and what it sets aside. Returns it with
/// how long what it sends may be on its way.
///
/// # Errors
/// As [`Producer::new`].
pub fn open_producer(
    settings: &Settings,
    group: &str,
    guarantee: Guarantee,
    commit_every: Duration,
) -> Result<(Shared, Lease)> {
    let lease = Lease::of(Member::session(settings)?);
    let options = producer::Options {
        transactional: (guarantee == Guarantee::ExactlyOnce).then(|| transactional_id(group)),
        open_for: commit_every,
        patient: true,
        at_once: Some(AT_ONCE),
        within: Some(lease.within),
        in_group: true,
        ..producer::Options::default()
    };
    let producer = Shared::new(Producer::new(settings, &options)?);
    Ok((producer, lease))
}

/// Returns a unique name for the transactions of this process. It begins with the group's name, so
/// that one ACL by prefix covers both.
fn transactional_id(group: &str) -> String {
    format!("{group}-k-{:016x}", rand::random::<u64>())
}
