//! Answers by doing the work of `k window` again.

use std::time::Duration;

use tempfile::NamedTempFile;

use super::How;
use super::target::Target;
use crate::cli::endpoint::{Endpoint, OneInput};
use crate::cli::window::asked::Asked;
use crate::context::Context;
use crate::engine::watermark::{Bound, END};
use crate::engine::window::{Window, Windows};
use crate::error::{Error, Result};
use crate::explain::trial::Trials;
use crate::explain::{Ending, Lives, Moment, Standing, Teller, Told, Wanted};
use crate::expression::{Expression, Item, Kind, open_up};
use crate::format::{Decoder, TimeFrom};
use crate::journal::{self, Malformed};
use crate::kafka::admin::Admin;
use crate::node::input::{self, Input};
use crate::node::replay::hear::{Choice, Counted, Probe, Records, Retried, WindowsAt};
use crate::node::replay::{self, Idle, Replay};
use crate::node::why_silent;
use crate::plan::{Noted, Plan, Query};
use crate::source::Source;
use crate::source::kafka::{Range, Since, Starts, Until};
use crate::source::series::Piece;
use crate::term::progress::Progress;
use crate::term::units::{DAY, format_time};

/// What is repeated: a plan, and how its input is opened.
struct Run<'o> {
    asked: &'o Asked,
    query: Query,
    input: OneInput,
    /// A condition whose columns are read, too.
    condition: Option<&'o str>,
    context: &'o Context,
    /// Whether the end of what is read closes every window, if nothing can follow.
    ends: bool,
    /// What came through a pipe, where it is read twice.
    _kept: Option<NamedTempFile>,
}

/// An input that is open, and the plan over it.
struct Opened {
    plan: Plan,
    condition: Option<Expression>,
    decoder: Decoder,
    source: Box<dyn Source>,
}

/// Returns the lives of the records that are meant.
pub(super) fn lives(
    asked: &Asked,
    how: &How,
    target: &Target,
    most: usize,
    context: &Context,
) -> Result<Lives> {
    let mut run = Run::new(asked, how, target.condition(), context)?;
    if run.reads_twice() {
        run.keep_pipe()?;
    }
    let since = match target {
        Target::Offset(_, partition, offset) => {
            run.check_offset(target, *partition, *offset)?;
            run.since_record(*partition, *offset)?
        }
        Target::Line(..) | Target::Where(_) => None,
    };
    let Some(mut opened) = run.open(since)? else {
        return Err(target.not_found("an empty topic", 0, 0));
    };
    run.tell(&opened);
    let choice = match target {
        Target::Line(file, line) => Choice::Line(run.file_named(file), *line),
        Target::Offset(_, partition, offset) => Choice::Offset(*partition, *offset),
        Target::Where(_) => Choice::Where(
            opened
                .condition
                .take()
                .ok_or_else(|| Error::bug("the condition is gone"))?,
        ),
    };
    let name = opened.source.name();
    let journal = run.journal(&opened);
    let mut hearer = Records::new(&opened.plan, journal.clone(), choice, most);
    let replay = run.repeat(&mut opened, &mut hearer)?;
    let account = *replay.operator().account();
    drop(replay);
    let mut witness = hearer.witness;
    if witness.is_empty() {
        return Err(target.not_found(&name, account.records(), account.malformed));
    }
    witness.find_ways_out();
    if let Some(mut trials) = Trials::new(&journal, witness.lives()) {
        drop(opened);
        let opened = run.open(since)?;
        let mut opened = opened.ok_or_else(|| Error::refused("the topic is empty now"))?;
        run.repeat(&mut opened, &mut Retried(&mut trials))?;
    }
    let watermark = witness.clock.watermark;
    Ok(Lives {
        teller: Teller::new(journal, watermark),
        lives: witness.into_lives(),
    })
}

/// Returns the stories of the windows at a moment.
pub(super) fn stories(
    asked: &Asked,
    how: &How,
    at: Moment,
    wanted: Wanted,
    context: &Context,
) -> Result<Told> {
    let run = Run::new(asked, how, None, context)?;
    let since = match at {
        Moment::At(at) => run.since_time(at)?,
        Moment::OfDay(_) => None,
    };
    let Some(mut opened) = run.open(since)? else {
        return Err(Error::data("the topic is empty"));
    };
    run.tell(&opened);
    let journal = run.journal(&opened);
    let Opened {
        plan,
        source,
        decoder,
        ..
    } = &mut opened;
    let mut hearer = WindowsAt::new(plan, journal.clone(), at, wanted);
    let mut replay = run.replay(plan, decoder.clone(), source.as_ref())?;
    run.read(&mut replay, source.as_mut(), &mut hearer)?;
    let operator = replay.operator();
    let at_end = |partition| source.at_end(partition);
    let stories = hearer.into_stories();
    let watermark = stories.as_ref().and_then(|stories| stories.clock.watermark);
    let stories = stories.map_or(Vec::new(), |stories| stories.take());
    if stories.is_empty() {
        return Err(nothing_there(operator.account().records()));
    }
    let waits = |window: Window| {
        let due = operator.due_at(window);
        let held = why_silent::held_back(operator.watermarks(), due, at_end);
        match due {
            END => "Its next row waits for the end of the input.".to_owned(),
            due => format!(
                "Its next row waits for the watermark to reach {}{held}.",
                format_time(due)
            ),
        }
    };
    let told = stories.into_iter().map(|story| {
        let waits = (story.ending == Ending::Open).then(|| waits(story.window.into()));
        (story, waits)
    });
    Ok(Told {
        teller: Teller::new(journal, watermark),
        stories: told.collect(),
    })
}

/// Returns how far a run would be that has read everything.
pub(super) fn standing(asked: &Asked, how: &How, context: &Context) -> Result<Standing> {
    let mut run = Run::new(asked, how, None, context)?;
    run.ends = false;
    let Some(mut opened) = run.open(None)? else {
        return Err(Error::data("the topic is empty: nothing has come in yet")
            .hint("`k topic describe` shows its partitions"));
    };
    run.tell(&opened);
    let mut hearer = Counted::default();
    let Opened {
        plan,
        source,
        decoder,
        ..
    } = &mut opened;
    let mut replay = run.replay(plan, decoder.clone(), source.as_ref())?;
    run.read(&mut replay, source.as_mut(), &mut hearer)?;
    let at_end = |partition| source.at_end(partition);
    // Only a topic has an end for now.
    let ends_for_now = |partition| source.is_live() && at_end(partition);
    let reason = why_silent::reason(replay.operator(), &source.name(), ends_for_now);
    let reason = if asked.windows.is_given() {
        reason
    } else {
        "no windows were named: with `--tumbling 10s`, say, it shows which window waits for what"
            .to_owned()
    };
    let reason = match &hearer.malformed {
        Some(first) => format!("{reason}; {}", first_malformed(first, source.is_live())),
        None => reason,
    };
    Ok(Standing::of(
        replay.operator(),
        &hearer.records,
        at_end,
        reason,
    ))
}

/// Says which record does not fit first, and why.
fn first_malformed(first: &Malformed, is_topic: bool) -> String {
    let Malformed {
        partition,
        place,
        file,
        reason,
        ..
    } = first;
    let place = match (is_topic, file) {
        (true, _) => format!("partition {partition}, offset {place}"),
        (false, Some(file)) => format!("line {place} of {file}"),
        (false, None) => format!("line {place}"),
    };
    format!("the first malformed record is in {place}: {reason}")
}

/// Returns the error of a moment at which no window is.
pub(super) fn nothing_there(read: u64) -> Error {
    let records = crate::term::units::format_plural(read, "record");
    Error::data("no record was in such a window")
        .during(format!("looking at {records}"))
        .hint("a time of day is of the stream's first day; another one needs its date")
        .hint("`--key` takes the grouping values as `k window` prints them")
}

impl<'o> Run<'o> {
    fn new(
        asked: &'o Asked,
        how: &How,
        condition: Option<&'o str>,
        context: &'o Context,
    ) -> Result<Self> {
        let query = Query {
            noted: match &how.journal_columns {
                Some(columns) => Noted::Named(columns.clone()),
                None => Noted::Used,
            },
            ..asked.query()?
        };
        Ok(Run {
            asked,
            query,
            input: asked.source()?,
            condition,
            context,
            ends: true,
            _kept: None,
        })
    }

    /// Returns whether a record that was dropped makes a second reading necessary.
    fn reads_twice(&self) -> bool {
        matches!(
            self.query.windows,
            Windows::Session { .. } | Windows::Sliding { .. }
        )
    }

    /// Keeps what comes through a pipe in a file, so that it can be read twice.
    fn keep_pipe(&mut self) -> Result<()> {
        let OneInput::Lines(pieces) = &mut self.input else {
            return Ok(());
        };
        for piece in pieces.iter_mut().filter(|piece| **piece == Piece::Stdin) {
            let cannot = |error| Error::io("keep what comes through the pipe", error);
            let mut kept = NamedTempFile::new().map_err(cannot)?;
            std::io::copy(&mut std::io::stdin().lock(), &mut kept).map_err(cannot)?;
            *piece = Piece::File(kept.path().to_owned());
            self._kept = Some(kept);
        }
        Ok(())
    }

    /// Opens the input and plans over it; `None` for an empty topic.
    fn open(&self, since: Option<i64>) -> Result<Option<Opened>> {
        let (asked, context) = (self.asked, self.context);
        let given = asked.given()?;
        let input = match &self.input {
            OneInput::Lines(pieces) => input::open_files(pieces, given, context).map(Some)?,
            OneInput::Topic(topic) => {
                let settings = asked.broker.settings(context)?;
                let mut range = asked.range.range()?;
                range.group = None;
                if range.until == Until::Never {
                    range.until = Until::End;
                }
                if let (Since::Beginning, Some(since)) = (range.since, since) {
                    range.since = Since::Time(since);
                }
                input::open_topic(topic, &range, given, &settings, context)?
            }
        };
        input.map(|input| self.plan(input)).transpose()
    }

    fn plan(&self, mut input: Input) -> Result<Opened> {
        let mut schema = std::mem::take(&mut input.schema);
        if let Some(condition) = self.condition {
            open_up(&mut schema, condition, Kind::One)?;
        }
        let mut plan = input.form.plan(&self.query, schema, input.record_times)?;
        let condition = self
            .condition
            .map(|condition| Expression::parse_condition(condition, &plan.layout.schema));
        let condition = condition.transpose()?;
        for &index in condition.iter().flat_map(Expression::columns) {
            let item = Item::of_column(&plan.layout.schema, index)?;
            if !plan.noted.iter().any(|known| known.name == item.name) {
                plan.noted.push(item);
            }
            if let Err(at) = plan.layout.wanted.binary_search(&index) {
                plan.layout.wanted.insert(at, index);
            }
        }
        Ok(Opened {
            decoder: input.decoder(plan.layout.clone()),
            plan,
            condition,
            source: input.source,
        })
    }

    /// Says what was taken for the event time, and which columns no record has so far.
    fn tell(&self, opened: &Opened) {
        let (asked, layout) = (self.asked.time.is_some(), &opened.plan.layout);
        let context = self.context;
        input::tell_time(asked, &layout.time, &layout.schema, "the records", context);
        input::warn_of_unseen(&layout.schema, opened.plan.unseen, context);
    }

    fn replay<'p>(
        &self,
        plan: &'p Plan,
        decoder: Decoder,
        source: &dyn Source,
    ) -> Result<Replay<'p>> {
        let idle = Duration::from_millis(self.asked.when.idle.unsigned_abs());
        let exits = self.asked.range.exits();
        let options = replay::Options {
            idle: match (source.is_live(), self.ends) {
                (true, true) if exits => Idle::AtEnd,
                (true, _) => Idle::After(idle),
                (false, true) => Idle::AtEnd,
                (false, false) => Idle::Never,
            },
            ends: self.ends && (exits || !source.is_live()),
        };
        Replay::new(plan, decoder, source.partitions(), options)
    }

    fn read(
        &self,
        replay: &mut Replay<'_>,
        source: &mut dyn Source,
        hearer: &mut dyn replay::Hearer,
    ) -> Result<()> {
        let progress = Progress::new(&self.context.report, "replaying", None);
        replay.run(source, hearer, &progress, &self.context.interrupt)
    }

    fn repeat<'p>(
        &self,
        opened: &'p mut Opened,
        hearer: &mut dyn replay::Hearer,
    ) -> Result<Replay<'p>> {
        let Opened {
            plan,
            source,
            decoder,
            ..
        } = opened;
        let mut replay = self.replay(plan, decoder.clone(), source.as_ref())?;
        self.read(&mut replay, source.as_mut(), hearer)?;
        Ok(replay)
    }

    /// Returns how a person names what is read, piece by piece.
    fn sources(&self) -> Vec<String> {
        let named = self.asked.source().map(|input| input.endpoints());
        let named = named.unwrap_or_default();
        named.iter().map(Endpoint::to_string).collect()
    }

    fn journal(&self, opened: &Opened) -> journal::Plan {
        let partitions = opened.source.partitions();
        journal::Plan::of(&opened.plan, &self.sources(), partitions)
    }

    /// Returns the name of a file where there are several.
    fn file_named(&self, file: &str) -> Option<String> {
        match &self.input {
            OneInput::Lines(pieces) if pieces.len() > 1 => {
                Some(file.strip_prefix("file:").unwrap_or(file).to_owned())
            }
            _ => None,
        }
    }

    /// Refuses an offset that a partition does not hold, which would be waited for.
    fn check_offset(&self, target: &Target, partition: i32, offset: i64) -> Result<()> {
        let OneInput::Topic(topic) = &self.input else {
            return Ok(());
        };
        let settings = self.asked.broker.settings(self.context)?;
        let starts = Starts::find(&Admin::new(&settings)?, topic, Since::Beginning)?;
        let held = starts.iter().find(|(number, _)| *number == partition);
        let is_there = held.is_some_and(|(_, held)| (held.first..held.end).contains(&offset));
        if is_there {
            Ok(())
        } else {
            Err(target.not_found(topic, 0, 0))
        }
    }

    /// Returns from which timestamp on a topic has to be read for the windows of a record; `None` for
    /// its beginning.
    fn since_record(&self, partition: i32, offset: i64) -> Result<Option<i64>> {
        let OneInput::Topic(topic) = &self.input else {
            return Ok(None);
        };
        if self.asked.range.begins().is_some() {
            return Ok(None);
        }
        let range = Range {
            since: Since::Offset(offset),
            until: Until::Offset(offset + 1),
            group: None,
        };
        self.probe(topic, &range, Probe::record(partition, offset))
    }

    /// As [`Run::since_record`], for the windows at a time.
    fn since_time(&self, at: i64) -> Result<Option<i64>> {
        let OneInput::Topic(topic) = &self.input else {
            return Ok(None);
        };
        if self.asked.range.begins().is_some() {
            return Ok(None);
        }
        let range = Range {
            since: Since::Time(at),
            until: Until::End,
            group: None,
        };
        self.probe(topic, &range, Probe::first(at))
    }

    fn probe(&self, topic: &str, range: &Range, mut probe: Probe) -> Result<Option<i64>> {
        let Some(back) = self.reach() else {
            return Ok(None);
        };
        let (asked, context) = (self.asked, self.context);
        let settings = asked.broker.settings(context)?;
        let input = input::open_topic(topic, range, asked.given()?, &settings, context)?;
        let Some(input) = input else {
            return Ok(None);
        };
        let mut opened = self.plan(input)?;
        probe.set_of_record(matches!(opened.plan.layout.time, TimeFrom::Record));
        self.repeat(&mut opened, &mut probe)?;
        let since = probe.found().map(|at| at.saturating_sub(back));
        if let Some(since) = since {
            context.report.status(format!(
                "reading from {} on, as far back as the windows reach, for the records' timestamps \
                 are their event times; `--since beginning` reads all",
                format_time(since)
            ));
        }
        Ok(since)
    }

    /// Returns how far before a record's time another one may be that matters to its windows, in ms; `None`
    /// for any.
    fn reach(&self) -> Option<i64> {
        let Query {
            windows,
            grace_ms,
            bound,
            ..
        } = &self.query;
        let bound = match bound {
            Bound::Fixed(bound_ms) => *bound_ms,
            Bound::Percentile(_) => return None,
        };
        let size = match windows {
            Windows::Aligned(aligned) => aligned.size_ms(),
            Windows::Calendar(calendar) => {
                let size = calendar.size();
                size.fixed_ms() + size.months * 31 * DAY + DAY
            }
            Windows::Sliding { apart_ms } => apart_ms.saturating_mul(2),
            Windows::Session { .. } | Windows::Global => return None,
        };
        Some(size.saturating_add(bound).saturating_add(*grace_ms))
    }
}
