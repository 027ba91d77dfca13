//! `k plot`: the arguments of `k window`, and a picture in place of rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::endpoint::{Endpoint, OneInput};
use super::picture::{PICTURE, PictureOptions};
use super::window::asked::Asked;
use crate::context::Context;
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::engine::pane::journal::Journal;
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::{Error, Remedy, Result};
use crate::journal::Reader;
use crate::node::input::{self, Input};
use crate::node::{Node, Options as NodeOptions, Outputs};
use crate::plan::{Plan, Query};
use crate::plot::vary::{self, Outlook, Varied, Vary, Watcher};
use crate::plot::{self, Clock, Gathered, Listener, Subject, View, replay};
use crate::sink::Sink;
use crate::term::units::{now_ms, parse_duration, parse_time};

/// Draw a stream: event and processing time, watermark, windows.
///
/// Event time goes across, processing time up: the column of `--arrival`, or the order of reading. Each
/// record is a mark whose colour and shape say what became of it; of thousands, shades say how many are
/// where. The stepped line is the watermark: what lies to its left is late. A window is a box from
/// its first record to its last pane, and a pane a line across it with its value. With several
/// keys, the windows are those of the busiest one.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k plot [OPTIONS] WINDOW [SOURCE]...")]
#[command(after_help = "Examples:
  k plot --tumbling 10s data/mono_signal.csv
  k plot --session 30s --by caller --key C17 --arrival arrival_timestamp --out calls.svg calls.csv
  k gen --rate 10 --seconds 60 --order end --out - | k plot --tumbling 20s --grace 5s")]
pub(super) struct Options {
    /// Draw the windows of this key; of several columns, values with commas between [default: the
    /// key with most records]
    #[arg(long, value_name = "KEY", help_heading = PICTURE)]
    key: Option<String>,

    /// Draw event times from A to B: ISO 8601, ms since 1970, or `-10m`
    #[arg(long, value_name = "A,B", value_parser = parse_between, help_heading = PICTURE)]
    between: Option<(i64, i64)>,

    /// Draw what other values would lose, and how long rows would wait: `out-of-order=0s,2s,10s,1m`,
    /// or `grace=…`
    #[arg(long, value_name = "FLAG=VALUE,…", value_parser = parse_vary, conflicts_with = "journal", help_heading = PICTURE)]
    vary: Option<Vary>,

    /// Draw what this journal of `k window --journal` says, in place of a source
    #[arg(long, value_name = "FILE", conflicts_with_all = ["window", "named", "from"], help_heading = PICTURE)]
    journal: Option<PathBuf>,

    #[command(flatten)]
    picture: PictureOptions,

    #[command(flatten)]
    asked: Asked,
}

fn parse_vary(text: &str) -> Result<Vary, String> {
    let example = "write `out-of-order=0s,2s,10s` or `grace=0s,5s`";
    let (flag, values) = text.split_once('=').ok_or(example)?;
    let what = match flag.trim_start_matches('-') {
        "out-of-order" => Varied::OutOfOrder,
        "grace" => Varied::Grace,
        _ => return Err(example.to_owned()),
    };
    let values = values.split(',').map(|value| parse_duration(value.trim()));
    let values = values.collect::<Result<BTreeSet<i64>, String>>()?;
    Ok(Vary {
        what,
        values: values.into_iter().collect(),
    })
}

fn parse_between(text: &str) -> Result<(i64, i64), String> {
    let (from, to) = text.split_once(',').ok_or("write two times: `A,B`")?;
    let now = now_ms();
    let (from, to) = (parse_time(from.trim(), now)?, parse_time(to.trim(), now)?);
    match from < to {
        true => Ok((from, to)),
        false => Err("the second time is not after the first".to_owned()),
    }
}

pub(super) fn run(mut options: Options, context: &Context) -> Result<()> {
    if let Some(path) = &options.journal {
        return options.draw_journal(path, context);
    }
    let asked = &mut options.asked;
    if !asked.windows.is_given() {
        return Err(Error::usage("no window is named").hint(
            "`--tumbling 10s`, `--hopping`, `--session`, `--sliding` or `--global`; or `--journal FILE`",
        ));
    }
    asked.from.append(&mut asked.named);
    if asked.range.group().is_some() {
        return Err(Error::usage("`k plot` reads for itself, not for a group")
            .hint("leave `--group` away: the records are windowed alike"));
    }
    let source = asked.source()?;
    if matches!(source, OneInput::Topic(_)) {
        // A picture has an end.
        asked.range.end_at_present();
    }
    options.picture.refuse_collisions(&source.endpoints())?;
    let mut query = options.asked.query()?;
    if let Some(vary) = &options.vary {
        vary_from_zero(&mut query, vary);
    }
    let Some(mut input) = options.asked.open(&query, context)? else {
        context.report.status("0 records in: the topic is empty");
        return Ok(());
    };
    let schema = std::mem::take(&mut input.schema);
    let mut plan = input.form.plan(&query, schema, input.record_times)?;
    let (is_asked, layout) = (options.asked.time.is_some(), &plan.layout);
    input::tell_time(
        is_asked,
        &layout.time,
        &layout.schema,
        "the records",
        context,
    );
    input::warn_of_unseen(&plan.layout.schema, plan.unseen, context);
    let subject = subject(&plan, &input, &source);
    hint_at_arrival(&options.asked, &plan, context);
    if let Some(vary) = &options.vary {
        return options.draw_varied(vary, &mut plan, input, &subject, context);
    }
    let listener = Listener::new(Gathered::new(subject, options.view()));
    let gathered = options.gather(
        &plan,
        input,
        Box::new(listener.clone()),
        Vec::new(),
        context,
    );
    let ended = gathered.map(drop);
    // What came before a signal is drawn.
    if let Err(error) = &ended
        && !matches!(error.remedy(), Remedy::Stopped(_))
    {
        return ended;
    }
    let medium = options.picture.medium(2);
    let scene = listener.with(|gathered| plot::draw(gathered, medium));
    options.picture.show(&scene, context)?;
    ended
}

/// Sets what is varied to zero: what other values do is known from that.
fn vary_from_zero(query: &mut Query, vary: &Vary) {
    match vary.what {
        Varied::OutOfOrder => query.bound = Bound::Fixed(0),
        Varied::Grace => query.grace_ms = 0,
    }
}

/// Returns an engine for each value, with what hears how long its rows wait.
fn engine_for_each(
    vary: &Vary,
    plan: &mut Plan,
    partitions: usize,
) -> Result<(Vec<Operator>, Vec<plot::Waits>)> {
    let (mut engines, mut waits) = (Vec::new(), Vec::new());
    for &value in &vary.values {
        match vary.what {
            Varied::OutOfOrder => plan.bound = Bound::Fixed(value),
            Varied::Grace => plan.grace_ms = value,
        }
        let (mut engine, wait) = (plan.operator(partitions)?, plot::Waits::default());
        engine.set_journal(Box::new(wait.clone()));
        engines.push(engine);
        waits.push(wait);
    }
    Ok((engines, waits))
}

impl Options {
    fn view(&self) -> View {
        View {
            key: self.key.clone(),
            between: self.between,
        }
    }

    fn draw_journal(&self, path: &Path, context: &Context) -> Result<()> {
        let input = Endpoint::File(path.to_owned());
        self.picture.refuse_collisions(&[input])?;
        let (plan, events) = Reader::open(path)?;
        let mut gathered = Gathered::new(replay::subject(&plan), self.view());
        for event in events {
            replay::take(&mut gathered, &event?);
            context.interrupt.check()?;
        }
        let scene = plot::draw(&mut gathered, self.picture.medium(2));
        self.picture.show(&scene, context)
    }

    /// Draws what other values would lose.
    fn draw_varied(
        &self,
        vary: &Vary,
        plan: &mut Plan,
        input: Input,
        subject: &Subject,
        context: &Context,
    ) -> Result<()> {
        let windows = &plan.windows;
        let depends_on_records =
            matches!(windows, Windows::Session { .. } | Windows::Sliding { .. });
        let watcher = Watcher::new(Outlook::new(vary.clone(), plan.grace_ms));
        let listener = Box::new(watcher.clone());
        let outlook = if depends_on_records {
            let partitions = input.source.partitions();
            let (engines, waits) = engine_for_each(vary, plan, partitions)?;
            let engines = self.gather(plan, input, listener, engines, context)?;
            Some(Outlook::tried(vary.clone(), &engines, &waits))
        } else {
            self.gather(plan, input, listener, Vec::new(), context)?;
            None
        };
        let medium = self.picture.medium(2);
        let (scene, told) = watcher.with(|watched| {
            let outlook = outlook.as_ref().unwrap_or(watched);
            let scene = vary::draw(outlook, &subject.source, &subject.asked, medium);
            (scene, outlook.recommendation())
        });
        self.picture.show(&scene, context)?;
        if self.picture.is_file() {
            context.report.status(told); // a terminal has it in the picture
        }
        Ok(())
    }

    /// Windows the input, and lets the listener see how; returns the other engines that took the same
    /// records.
    fn gather(
        &self,
        plan: &Plan,
        mut input: Input,
        listener: Box<dyn Journal>,
        others: Vec<Operator>,
        context: &Context,
    ) -> Result<Vec<Operator>> {
        let decoder = input.decoder(plan.layout.clone());
        let options = NodeOptions {
            skip_bad: self.asked.skip_bad,
            commit: false,
            idle: Duration::ZERO,
        };
        let outputs = Outputs {
            listener: Some(listener),
            ..Outputs::default()
        };
        let partitions = input.source.partitions();
        let sink = Box::new(Nowhere);
        let interrupt = &context.interrupt;
        let mut node = Node::new(plan, decoder, partitions, sink, outputs, options, interrupt)?;
        node.set_others(others);
        node.run(input.source.as_mut())?;
        Ok(node.take_others())
    }
}

/// Returns what a picture of an input is of.
pub(super) fn subject(plan: &Plan, input: &Input, source: &OneInput) -> Subject {
    let names = source.endpoints();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Subject {
        source: match &names[..] {
            [] => "stdin".to_owned(),
            [name] if name == "-" => "stdin".to_owned(),
            [name] => name.clone(),
            [first, ..] => format!("{first} and {} more", names.len() - 1),
        },
        asked: plan.clauses().headline().to_string(),
        keys: plan.by.iter().map(|item| item.name.clone()).collect(),
        value: plan
            .aggregates
            .first()
            .map(|aggregate| aggregate.name.clone())
            .unwrap_or_default(),
        clock: match (plan.arrival, plan.by_arrival) {
            (Some((column, _)), _) => Clock::Time(plan.layout.schema.fields[column].name.clone()),
            (None, _) => Clock::Order,
        },
        partitions: input.source.partitions(),
    }
}

/// Says which column may be processing time, where none was named.
pub(super) fn hint_at_arrival(asked: &Asked, plan: &Plan, context: &Context) {
    let mut fields = plan.layout.schema.fields.iter();
    let column = fields.find(|field| field.name.starts_with("arrival"));
    if let (None, Some(column)) = (&asked.arrival, column) {
        context.report.hint(format!(
            "`--arrival {}` draws processing time up, in place of the order of reading",
            column.name
        ));
    }
}

/// Takes rows that nobody reads: the picture is drawn of events.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _panes: &Panes) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
