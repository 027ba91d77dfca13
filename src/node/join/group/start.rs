//! What a process and its group agree on before it joins.
//!
//! Comes in: a [`Request`], what a person wants. Goes out: an [`Agreement`]: the plan over the columns that all
//! processes of the group share, and how the work is spread. The first process of a group writes that down
//! as the first row of the group's changelog, and every other one is compared with it.

use super::super::Options as StageOptions;
use super::super::stage::{Load, Stage};
use super::feed::KeyCheck;
use super::layout::{Layout, SideLayout, changelog_of, repartition_of};
use super::{METADATA, internal_topics};
use crate::column::Schema;
use crate::context::Context;
use crate::engine::join::{Content, Join, Side};
use crate::error::{Error, Result};
use crate::format::dialect::delimiter_name;
use crate::format::schema;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::node::group::keys::sample;
use crate::node::group::plan::Described;
use crate::node::group::start::built;
use crate::node::group::{changelog, reset, topics};
use crate::node::input::{self, Form, Given, Notation, or_a_file};
use crate::plan::join::{Given as GivenSide, name_of};
use crate::plan::{JoinPlan, JoinQuery};
use crate::sink::joined::RecordKeys;
use crate::source::kafka::{Range, Since, Starts, Until};
use crate::source::{Batch, Records};

/// What the description says of the sides whose records are brought together.
const REPARTITION: &str = "--repartition";

/// What a process is to do for a group.
pub struct Request<'r> {
    /// The group's name.
    pub group: &'r str,
    /// The topics that are joined.
    pub topics: [&'r str; 2],
    /// What is joined.
    pub(crate) query: &'r JoinQuery,
    /// What a person says of the records.
    pub given: [Given; 2],
    /// Where a group begins that has committed nothing.
    pub(crate) since: Since,
    /// Whether the run ends at what the topics hold.
    pub exits: bool,
    /// Whether records are brought together by what they are joined on, even where the first ones are.
    pub repartition: bool,
    /// Whether the group's state and offsets are forgotten first.
    pub reset: bool,
}

/// What a process and its group agree on.
pub struct Agreement {
    /// What is joined.
    pub(crate) plan: JoinPlan,
    /// How the records are written.
    pub forms: [Form; 2],
    /// How the work is spread.
    pub(crate) layout: Layout,
}

/// The columns of a side, and how its records are written.
type Columns = (Schema, Form);

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
        for topic in self.topics {
            admin
                .topic(topic)
                .map_err(|error| or_a_file(topic, error))?;
        }
        if self.reset {
            reset(admin, group)?;
        }
        self.refuse_windows(admin)?;
        let load = || Described::load_from(admin, settings, changelog_of(group));
        let built_with = match load()? {
            Some(built_with) => built_with,
            None => {
                let Some(columns) = self.columns(None, settings, context)? else {
                    return Ok(None);
                };
                let starts = self.starts(admin)?;
                if let Err(error) = self.refuse_remains(admin, settings, &starts) {
                    // What was found may come from a process that has started in the meantime.
                    load()?.ok_or(error)?
                } else {
                    let described = self.begin_state(columns, starts, admin, settings, context)?;
                    // Another process may have been faster.
                    load()?.unwrap_or(described)
                }
            }
        };
        let Some(columns) = self.columns(Some(&built_with), settings, context)? else {
            return Ok(None);
        };
        let starts = self.starts(admin)?;
        let spread = match built_with.get(REPARTITION) {
            Some(text) => Side::BOTH.map(|side| text.contains(name_of(side))),
            None => [false; 2],
        };
        let spread = spread.map(|spread| spread || self.repartition);
        let partitions = built_with
            .get("partitions")
            .and_then(|text| text.parse().ok());
        let partitions = partitions.unwrap_or_else(|| starts[0].len() as i32);
        let (plan, forms) = self.plan(columns.clone())?;
        let described = self.described(&plan, &columns, &starts, (spread, partitions));
        described.check_text(group, &built_with)?;
        let layout = layout(group, self.topics, starts, (spread, partitions));
        tell(&layout, context);
        Ok(Some(Agreement {
            plan,
            forms,
            layout,
        }))
    }

    fn starts(&self, admin: &Admin) -> Result<[Starts; 2]> {
        let [left, right] = self
            .topics
            .map(|topic| Starts::find(admin, topic, self.since));
        Ok([left?, right?])
    }

    /// Returns the plan over columns.
    fn plan(&self, columns: [Columns; 2]) -> Result<(JoinPlan, [Form; 2])> {
        let [(left, left_form), (right, right_form)] = columns;
        let given = [left, right].map(|schema| GivenSide {
            schema,
            record_times: true,
        });
        Ok((self.query.clone().plan(given)?, [left_form, right_form]))
    }

    /// Creates the state of a group: decides how the work is spread, and writes that and the plan down.
    fn begin_state(
        &self,
        columns: [Columns; 2],
        starts: [Starts; 2],
        admin: &Admin,
        settings: &Settings,
        context: &Context,
    ) -> Result<Described> {
        let (plan, forms) = self.plan(columns.clone())?;
        let mut lies_right = [false; 2];
        if !self.repartition {
            for side in Side::BOTH {
                let nth = side.index();
                let (starts, form) = (&starts[nth], &forms[nth]);
                lies_right[nth] = lies_by_key(&plan, side, form, starts, settings, context)?;
            }
        }
        let counts = starts.each_ref().map(|starts| starts.len() as i32);
        let (spread, partitions) = spread(lies_right, counts);
        let described = self.described(&plan, &columns, &starts, (spread, partitions));
        let topic = changelog_of(self.group);
        described.store_in(admin, settings, &topic, partitions as usize)?;
        Ok(described)
    }

    /// Refuses a group whose state is of windows.
    fn refuse_windows(&self, admin: &Admin) -> Result<()> {
        if admin.find_topic(&changelog::name_of(self.group))?.is_none() {
            return Ok(());
        }
        Err(
            Error::refused(format!("group `{}` is one of `k window`", self.group))
                .hint("use another `--group`: each computes one thing"),
        )
    }

    /// Refuses to begin with what an earlier group of the same name has left: offsets without a state, or
    /// records on their way between its tasks.
    fn refuse_remains(
        &self,
        admin: &Admin,
        settings: &Settings,
        starts: &[Starts; 2],
    ) -> Result<()> {
        let group = self.group;
        for starts in starts {
            let committed = topics::committed(settings, group, starts)?;
            let mut commits = committed.iter().flatten();
            if commits.any(|commit| commit.metadata == METADATA) {
                return Err(Error::refused(format!(
                    "group `{group}` has read topic `{}`, but there is no state of it",
                    starts.topic()
                ))
                .hint(
                    "start over with `--reset`, which deletes its offsets, or use another `--group`",
                ));
            }
        }
        let changelog = changelog_of(group);
        for topic in internal_topics(group).filter(|topic| *topic != changelog) {
            if admin.find_topic(&topic)?.is_some() {
                return Err(Error::refused(format!(
                    "topic `{topic}` exists, but there is no state of group `{group}`"
                ))
                .hint("start over with `--reset`, which deletes it, or use another `--group`"));
            }
        }
        Ok(())
    }

    /// Returns the columns of both topics: those that the group's state was built with, else those of their
    /// first records; `None` for an empty topic that is not waited for.
    fn columns(
        &self,
        built_with: Option<&Described>,
        settings: &Settings,
        context: &Context,
    ) -> Result<Option<[Columns; 2]>> {
        let mut both = Vec::with_capacity(2);
        for side in Side::BOTH {
            let given = self.given[side.index()].clone();
            let known = built_with.map(|built_with| built_columns(built_with, side));
            if let Some((schema, notation)) = known.transpose()?.flatten() {
                let form = given.form(notation);
                let declared = given.declared.unwrap_or_default();
                both.push((schema::declare(schema, &declared), form));
                continue;
            }
            let range = Range {
                group: None,
                since: Since::Beginning,
                until: if self.exits { Until::End } else { Until::Never },
            };
            let topic = self.topics[side.index()];
            match input::open_topic(topic, &range, given, settings, context)? {
                Some(input) => both.push((input.schema, input.form)),
                None => return Ok(None),
            }
        }
        Ok(both.try_into().ok())
    }

    /// Returns what the state depends on.
    fn described(
        &self,
        plan: &JoinPlan,
        columns: &[Columns; 2],
        starts: &[Starts; 2],
        (spread, partitions): ([bool; 2], i32),
    ) -> Described {
        let spread = Side::BOTH.into_iter().filter(|side| spread[side.index()]);
        let spread: Vec<&str> = spread.map(name_of).collect();
        let mut parts = vec![
            (REPARTITION.to_owned(), spread.join(" ")),
            ("partitions".to_owned(), partitions.to_string()),
        ];
        for side in Side::BOTH {
            let (schema, form) = &columns[side.index()];
            let delimiter = delimiter_name(form.dialect.delimiter);
            let of = |what: &str| part_of(side, what);
            parts.extend([
                (of("topic"), self.topics[side.index()].to_owned()),
                (of("partitions"), starts[side.index()].len().to_string()),
                (of("columns"), schema::declaration(schema)),
                (of("format"), notation_name(form.notation).to_owned()),
                (of("delimiter"), delimiter),
                (of("nulls"), form.dialect.spelling.nulls.join("\n")),
            ]);
        }
        let named = parts.iter().map(|(name, text)| (&**name, text.clone()));
        Described::of_text(plan.to_string(), named)
    }
}

fn part_of(side: Side, what: &str) -> String {
    format!("the {} {what}", name_of(side))
}

fn notation_name(notation: Notation) -> &'static str {
    match notation {
        Notation::Json => "json",
        Notation::Raw => "raw",
        Notation::Delimited => "csv",
    }
}

/// Returns the columns of a side that a group's state was built with, and how its records are written.
fn built_columns(built_with: &Described, side: Side) -> Result<Option<(Schema, Notation)>> {
    let columns = built_with.get(&part_of(side, "columns"));
    let format = built_with.get(&part_of(side, "format"));
    match columns.zip(format) {
        Some((columns, format)) => built(columns, format, None).map(Some),
        None => Ok(None),
    }
}

/// Returns how a join is spread: which sides are repartitioned, and over how many partitions.
pub(crate) fn layout(
    group: &str,
    topics: [&str; 2],
    starts: [Starts; 2],
    (spread, partitions): ([bool; 2], i32),
) -> Layout {
    let [left, right] = starts;
    let side = |side: Side, starts: Starts| SideLayout {
        topic: topics[side.index()].into(),
        starts,
        via: spread[side.index()].then(|| repartition_of(group, side).into()),
    };
    Layout {
        sides: [side(Side::Left, left), side(Side::Right, right)],
        partitions,
        changelog: changelog_of(group),
    }
}

/// Decides which sides are brought together by what they are joined on, and over how many partitions: the
/// topic with more partitions that lies by it decides, and the other one is read as it lies only if it has as
/// many.
fn spread(lies_right: [bool; 2], counts: [i32; 2]) -> ([bool; 2], i32) {
    let [left, right] = counts;
    let partitions = match lies_right {
        [true, true] => left.max(right),
        [true, false] => left,
        [false, true] => right,
        [false, false] => left.max(right),
    };
    let spread = |nth: usize| !(lies_right[nth] && counts[nth] == partitions);
    ([spread(0), spread(1)], partitions)
}

/// Returns whether the records of a topic lie in the partition that what they are joined on belongs to, as
/// far as the first ones show.
fn lies_by_key(
    plan: &JoinPlan,
    side: Side,
    form: &Form,
    starts: &Starts,
    settings: &Settings,
    context: &Context,
) -> Result<bool> {
    if starts.len() == 1 {
        return Ok(true);
    }
    let planned = &plan.sides[side.index()];
    let options = StageOptions {
        skip_bad: true,
        idle: std::time::Duration::ZERO,
        notation: crate::notation::Notation::Json,
    };
    let name = format!("topic `{}`", starts.topic());
    let decoder = form.decoder(planned.layout());
    let mut stage = Stage::new(name, planned, decoder, false, &options);
    let mut load = Load::new(Join::new(&plan.settings([1, 1])).records());
    load.offsets = Some(Vec::new());
    let check = KeyCheck {
        keys: RecordKeys::new(plan.keys()),
        partitions: starts.len() as i32,
    };
    let mut looked_at = false;
    let is_other = sample(settings, starts, &context.interrupt, |messages| {
        let batch = Batch {
            partition: 0,
            records: Records::Messages(messages.clone()),
        };
        stage.fill(batch, &mut load);
        load.records
            .each(|_, _, _, content| looked_at |= content == Content::Keyed);
        Ok(check.first_elsewhere(messages.into_iter(), &load).is_some())
    })?;
    Ok(looked_at && !is_other)
}

/// Says how the work is spread.
fn tell(layout: &Layout, context: &Context) {
    let of = |side: Side| &layout.side(side).topic;
    let (left, right) = (of(Side::Left), of(Side::Right));
    let spread = Side::BOTH.map(|side| layout.side(side).via.is_some());
    let report = &context.report;
    match spread {
        [false, false] => report.detail(format!(
            "`{left}` and `{right}` lie alike, by what is joined on: they are joined partition by partition"
        )),
        [true, true] => report.detail(format!(
            "neither `{left}` nor `{right}` lies by what is joined on: both are repartitioned through topics of the group"
        )),
        [first, _] => {
            let (one, other) = if first { (left, right) } else { (right, left) };
            report.detail(format!(
                "`{one}` does not lie as `{other}` does, by what is joined on: it is repartitioned through a topic of the group"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_right_in_more_partitions_decides() {
        for (lies_right, counts, expected) in [
            ([true, true], [3, 3], ([false, false], 3)),
            ([true, true], [1, 3], ([true, false], 3)),
            ([true, false], [2, 6], ([false, true], 2)),
            ([false, true], [3, 3], ([true, false], 3)),
            ([false, false], [2, 6], ([true, true], 6)),
        ] {
            assert_eq!(
                spread(lies_right, counts),
                expected,
                "{lies_right:?} {counts:?}"
            );
        }
    }
}
