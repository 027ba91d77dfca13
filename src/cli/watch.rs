//! `k watch`: the arguments of `k window`, and its stream as a picture, live.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::KeyCode;
use rustix::process::Signal;

use super::endpoint::OneInput;
use super::plot::{Nowhere, hint_at_arrival, subject};
use super::window::asked::Asked;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::interrupt::Interrupt;
use crate::journal;
use crate::kafka::admin::Admin;
use crate::node::input::{self, Input};
use crate::node::{Node, Options as NodeOptions, Outputs};
use crate::picture::ink::Theme;
use crate::plan::{Noted, Plan, Query};
use crate::plot::View;
use crate::term::screen::{Pressed, Screen};
use crate::term::units::{format_duration, parse_positive_duration};
use crate::watch::site::Site;
use crate::watch::{Ear, Frame, GroupLag, Live, Scope, screen as page};

/// The heading of what is shown and where.
const WATCHING: &str = "What is shown";

/// How often the terminal is drawn.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a group's progress is asked for.
const ASKING: Duration = Duration::from_secs(2);

/// Watch a stream as it comes: the picture of `k plot`, live.
///
/// Takes the arguments of `k window`; the source is a topic, a pipe or a file that grows. Processing time
/// goes up: the column of `--arrival`, the broker's time of appending, or the clock. Keys: space pauses,
/// arrows look back, End comes back to now, q quits. With `--web` it is a page, in which a click on a
/// record or a window explains it.
///
/// Memory has a bound. Of a second, 5,000 records of a kind are drawn one by one, and of more a sample,
/// which the picture says. `--keep` of all this is kept to look back, with less detail where it is
/// much, and the last million records or so to explain them. Malformed records are drawn, too.
///
/// With `--group` it shows how much the group has not committed. The topic is read beside the group,
/// from `--since` on and with the windows that are named here: the group is not joined, and its own
/// windows are not seen (`k explain window --group` tells of those).
#[derive(Debug, clap::Args)]
#[command(override_usage = "k watch [OPTIONS] WINDOW [SOURCE]...")]
#[command(after_help = "Examples:
  k gen --rate 100 --delay '100%:lognormal(1s,1)' --out - | k watch --tumbling 10s --out-of-order 5s
  k watch --session 30s --by caller --since end calls
  k watch --tumbling 10s --web calls.csv")]
pub(super) struct Options {
    /// Draw the windows of this key; of several columns, values with commas between [default: the
    /// key with most records]
    #[arg(long, value_name = "KEY", help_heading = WATCHING)]
    key: Option<String>,

    /// Show so much processing time
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_positive_duration, help_heading = WATCHING)]
    show: i64,

    /// Keep so much processing time to look back
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_positive_duration, help_heading = WATCHING)]
    keep: i64,

    /// Serve a page instead, at http://127.0.0.1, and open it if this machine has a browser for it
    #[arg(long, help_heading = WATCHING)]
    web: bool,

    /// The port of the page [default: a free one]
    #[arg(long, value_name = "PORT", requires = "web", help_heading = WATCHING)]
    port: Option<u16>,

    /// Serve the page at this address of the machine, such as 0.0.0.0 for all: everyone who reaches it can
    /// read the stream
    #[arg(long, value_name = "ADDRESS", requires = "web", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), help_heading = WATCHING)]
    listen: IpAddr,

    /// Do not open a browser
    #[arg(long, requires = "web", help_heading = WATCHING)]
    no_open: bool,

    /// Draw the page light or dark; `auto` lets the reader's system say
    #[arg(long, value_enum, value_name = "THEME", requires = "web", default_value = "auto", help_heading = WATCHING)]
    theme: Theme,

    #[command(flatten)]
    asked: Asked,
}

/// Says of flags that `k window` has, too, what they do here.
pub(super) fn adapt(command: clap::Command) -> clap::Command {
    let beside = "Show how much this group has not committed; it is not joined";
    let command = command.mut_arg("group", |group| group.help(beside).long_help(beside));
    // Malformed records are always skipped.
    command.mut_arg("skip_bad", |skip_bad| skip_bad.hide(true))
}

pub(super) fn run(mut options: Options, context: &Context) -> Result<()> {
    if !options.web && !std::io::stdout().is_terminal() {
        return Err(Error::usage("stdout is not a terminal")
            .hint("`--web` serves a page; `k plot` draws once, also to a file"));
    }
    let group = options.asked.range.take_group();
    options.asked.from.append(&mut options.asked.named);
    let source = options.asked.source()?;
    let query = Query {
        noted: Noted::Used,
        ..options.asked.query()?
    };
    let Some(mut input) = options.asked.open_growing(&query, context)? else {
        context.report.status("0 records in: the topic is empty");
        return Ok(());
    };
    let schema = std::mem::take(&mut input.schema);
    let plan = input.form.plan(&query, schema, input.record_times)?;
    let (is_asked, layout) = (options.asked.time.is_some(), &plan.layout);
    let whose = "the records";
    input::tell_time(is_asked, &layout.time, &layout.schema, whose, context);
    input::warn_of_unseen(&plan.layout.schema, plan.unseen, context);
    hint_at_arrival(&options.asked, &plan, context);
    let live = Arc::new(options.live(&plan, &input, &source));
    // What is shown ends the reading, and a signal ends what is shown.
    let stop = Interrupt::default();
    let idle = if options.asked.range.exits() {
        0
    } else {
        options.asked.when.idle.unsigned_abs()
    };
    let asked = match (&group, &source) {
        (Some(group), OneInput::Topic(topic)) => {
            let settings = options.asked.broker.settings(context)?;
            Some((group, topic, Admin::new(&settings)?))
        }
        _ => None,
    };
    std::thread::scope(|scope| {
        let (plan, live, stop) = (&plan, &live, &stop);
        let reading = scope.spawn(move || read(plan, input, idle, live, stop));
        if let Some((group, topic, admin)) = asked {
            scope.spawn(move || ask_for(group, topic, &admin, live, stop));
        }
        let is_over = || reading.is_finished();
        let shown = match options.web {
            true => options.serve(live, &is_over, context),
            false => show(live, &is_over, context),
        };
        stop.set(Signal::TERM.as_raw());
        let read = reading.join();
        let read = read.unwrap_or_else(|_| Err(Error::bug("the thread that reads has ended")));
        match read {
            Err(error) if !matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            _ => shown,
        }
    })
}

impl Options {
    fn live(&self, plan: &Plan, input: &Input, source: &OneInput) -> Live {
        let names = source.endpoints();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let partitions = input.source.partitions();
        let view = View {
            key: self.key.clone(),
            between: None,
        };
        let scope = Scope {
            shown_ms: self.show,
            kept_ms: self.keep.max(self.show),
        };
        let journal = journal::Plan::of(plan, &names, partitions);
        Live::new(subject(plan, input, source), view, journal, scope)
    }

    /// Serves the page until a signal, or the reading has failed.
    fn serve(&self, live: &Arc<Live>, is_over: &dyn Fn() -> bool, context: &Context) -> Result<()> {
        let address = SocketAddr::new(self.listen, self.port.unwrap_or(0));
        let site = Site::serve(address, live.clone(), self.theme)?;
        let address = site.address();
        let url = if self.listen.is_unspecified() {
            format!("http://127.0.0.1:{}/", address.port())
        } else {
            format!("http://{address}/")
        };
        context
            .report
            .status(format!("watching at {url}; Ctrl-C ends it"));
        if !self.listen.is_loopback() {
            context.report.warning(format!(
                "`--listen {}`: everyone who reaches this machine at port {} can read the stream",
                self.listen,
                address.port()
            ));
        }
        if !self.no_open && std::io::stderr().is_terminal() {
            open_browser(&url, context);
        }
        while !context.interrupt.is_set() {
            if is_over() && !live.has_ended() {
                return Ok(()); // the reading reports why it failed
            }
            context.interrupt.sleep_until(Instant::now() + REDRAW);
        }
        context.interrupt.check()
    }
}

/// Windows the input, and lets what is shown hear how.
fn read(
    plan: &Plan,
    mut input: Input,
    idle: u64,
    live: &Arc<Live>,
    stop: &Interrupt,
) -> Result<()> {
    let decoder = input.decoder(plan.layout.clone());
    let options = NodeOptions {
        skip_bad: true,
        commit: false,
        idle: Duration::from_millis(idle),
    };
    let outputs = Outputs {
        listener: Some(Box::new(Ear::new(live.clone()))),
        ..Outputs::default()
    };
    let partitions = input.source.partitions();
    let sink = Box::new(Nowhere);
    let mut node = Node::new(plan, decoder, partitions, sink, outputs, options, stop)?;
    node.set_gauge(live.gauge());
    node.run(input.source.as_mut())
}

/// Asks how far a group is, until the end.
fn ask_for(group: &str, topic: &str, admin: &Admin, live: &Live, stop: &Interrupt) {
    while !stop.is_set() {
        let lag = uncommitted(admin, group, topic);
        live.set_group(GroupLag {
            name: group.to_owned(),
            lag: lag.map_err(|error| error.to_string()),
        });
        stop.sleep_until(Instant::now() + ASKING);
    }
}

/// Returns how many records of a topic a group has not committed.
fn uncommitted(admin: &Admin, group: &str, topic: &str) -> Result<u64> {
    let commits = admin.group_commits(group)?;
    let topics = admin.topics()?;
    let partitions = topics.iter().filter(|known| known.name == topic);
    let partitions = partitions.flat_map(|known| &known.partitions);
    let partitions: Vec<(&str, i32)> = partitions.map(|its| (topic, its.number)).collect();
    let extents = admin.extents(&partitions)?;
    let lags = extents.iter().map(|((topic, number), extent)| {
        let committed = commits.get(&(topic.clone(), *number));
        let from = committed.map_or(extent.first, |committed| committed.offset);
        (extent.end - from.max(extent.first)).max(0).unsigned_abs()
    });
    Ok(lags.sum())
}

/// Opens a page in a browser, if there is one for this session.
fn open_browser(url: &str, context: &Context) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        "xdg-open"
    } else {
        return;
    };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(mut child) => {
            // It is waited for, so that it leaves nothing behind.
            std::thread::spawn(move || child.wait());
        }
        Err(error) => context
            .report
            .detail(format!("`{opener}` does not open it: {error}")),
    }
}

/// Draws on the terminal until the user quits, or the reading has failed.
fn show(live: &Arc<Live>, is_over: &dyn Fn() -> bool, context: &Context) -> Result<()> {
    let mut screen = Screen::open()?;
    let (mut until, mut due) = (None, Instant::now());
    let mut frame: Option<Frame> = None;
    loop {
        context.interrupt.check()?;
        if is_over() && !live.has_ended() {
            return Ok(()); // the reading reports why it failed
        }
        if Instant::now() >= due {
            frame = Some(draw(&mut screen, live, until)?);
            due = Instant::now() + REDRAW;
        }
        let Some(frame) = &frame else { continue };
        let (from, to) = frame.stretch;
        let pressed = screen.wait()?;
        if matches!(pressed, Pressed::Nothing) {
            continue;
        }
        // Back, or forward again, by so many tenths of what is shown.
        let scrubbed = |tenths: i64| {
            let at = to.saturating_add((to - from) / 10 * tenths);
            Some(at.clamp(frame.since, frame.now))
        };
        match pressed {
            Pressed::Nothing | Pressed::Redraw => {}
            Pressed::Leave => return Ok(()),
            Pressed::Interrupt => return Err(Error::stopped(Signal::INT.as_raw())),
            Pressed::Key(key) => match key {
                KeyCode::Char(' ' | 'p') => until = until.is_none().then_some(to),
                KeyCode::Left | KeyCode::Char('h') => until = scrubbed(-2),
                KeyCode::Right | KeyCode::Char('l') => until = scrubbed(2),
                KeyCode::PageUp => until = scrubbed(-10),
                KeyCode::PageDown => until = scrubbed(10),
                KeyCode::Home => until = Some(frame.since),
                KeyCode::End => until = None,
                // A key without a meaning draws nothing.
                _ => continue,
            },
        }
        due = Instant::now();
    }
}

/// Draws what a stream has been until `until`, or is now; returns what was drawn.
fn draw(screen: &mut Screen, live: &Live, until: Option<i64>) -> Result<Frame> {
    let size = screen.size()?;
    let frame = live.frame(until, page::medium(size.into()));
    let keys = "space pauses, arrows look back, q quits";
    let back = frame.now - frame.stretch.1;
    let status = match until {
        None if frame.has_ended => format!("the input has ended; {keys}"),
        None => format!("live; {keys}"),
        Some(_) if back > 0 => {
            let back = format_duration(back / 1_000 * 1_000);
            format!("{back} ago; End comes back to now, {keys}")
        }
        Some(_) => format!("paused; End comes back to now, {keys}"),
    };
    screen.draw(|terminal| page::draw(terminal, &frame, &status))?;
    Ok(frame)
}
