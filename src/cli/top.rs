//! `k top`: topics, groups and nodes, live.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::KeyCode;
use rustix::process::Signal;

use super::broker::BrokerOptions;
use super::names;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::admin::Admin;
use crate::term::screen::{Pressed, Screen};
use crate::term::units::{self, format_time, now_ms};
use crate::top::draw::{Around, draw};
use crate::top::view::View;
use crate::top::{Commit, Group, History, Partition, Snapshot, Topic};

/// Show rates of topics, lag of groups, watermarks of nodes, live.
///
/// `written` and `read` are records per second over the last five samples. `behind` is how long the
/// oldest unread record of a group has been there; `>` means longer than `k top` has been running.
/// The busiest come first; what is quiet is dim. `clear in` is when a group will have read everything at its current rate. A node is a `k window
/// --group`; its watermark and state are those of its last commit. `q` or Ctrl-C quits.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k top
  k top live
  k top --once | grep calls")]
pub(super) struct Options {
    /// Show only topics and groups with this in their names.
    #[arg(value_name = "PART", default_value = "", hide_default_value = true)]
    filter: String,

    /// Print plain tables once, after two samples.
    #[arg(long)]
    once: bool,

    /// How often to ask the broker.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::parse_positive_duration)]
    interval: i64,

    /// Also show Kafka's internal topics.
    #[arg(long)]
    internal: bool,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// What has all of a table that is printed once.
const WIDER: &str = "a pipe, as in `k top --once | cat`,";

/// How many rows a page has.
const PAGE: isize = 10;

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if !options.once && !std::io::stdout().is_terminal() {
        return Err(Error::usage("stdout is not a terminal")
            .hint("`k top --once` prints plain tables, for scripts"));
    }
    let settings = options.broker.settings(context)?;
    let asker = Asker {
        admin: Admin::new(&settings)?,
        internal: options.internal,
    };
    let interval = Duration::from_millis(options.interval.unsigned_abs());
    let mut history = History::default();
    let began = Instant::now();
    // Before the screen opens, so that an error is reported as usual.
    history.push(asker.snapshot()?);
    if options.once {
        context.interrupt.sleep_until(began + interval);
        context.interrupt.check()?;
        history.push(asker.snapshot()?);
        let (tables, shortages) = View::new(&history, &options.filter).plain();
        print(&tables)?;
        let hints = shortages.iter().filter_map(|short| short.hint(WIDER));
        hints.for_each(|hint| context.report.hint(hint));
        return Ok(());
    }
    let snapshots = asker.ask_every(interval)?;
    let mut screen = Screen::open()?;
    let title = match options.filter.as_str() {
        "" => settings.brokers.clone(),
        filter => format!("{}  {filter}", settings.brokers),
    };
    watch(
        &mut screen,
        history,
        &snapshots,
        (&title, &options.filter),
        context,
    )
}

/// Draws until the user quits.
fn watch(
    screen: &mut Screen,
    mut history: History,
    snapshots: &Receiver<Result<Snapshot>>,
    (title, filter): (&str, &str),
    context: &Context,
) -> Result<()> {
    const LEAVE: &str = "q leaves, arrows scroll";
    let mut status = LEAVE.to_owned();
    let (mut is_new, mut scroll) = (true, 0_usize);
    loop {
        context.interrupt.check()?;
        loop {
            match snapshots.try_recv() {
                Ok(Ok(snapshot)) => {
                    history.push(snapshot);
                    LEAVE.clone_into(&mut status);
                }
                // The broker may come back; the last figures stay on the screen.
                Ok(Err(error)) => status = error.to_string(),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::bug("the thread that asks the broker has ended"));
                }
            }
            is_new = true;
        }
        if is_new {
            let now = history.now().map_or(0, |now| now.at);
            let at = format_time(now - now.rem_euclid(units::SECOND));
            let around = Around {
                title: &format!("k top  {title}  {at}"),
                status: &status,
                color: console::colors_enabled(),
                scroll,
            };
            let view = View::new(&history, filter);
            scroll = scroll.min(view.longest());
            screen.draw(|frame| draw(frame, &view, around))?;
            is_new = false;
        }
        match screen.wait()? {
            Pressed::Nothing => {}
            Pressed::Redraw => is_new = true,
            Pressed::Key(key) => {
                if let Some(rows) = scrolled(key) {
                    scroll = scroll.saturating_add_signed(rows);
                    is_new = true;
                }
            }
            Pressed::Leave => return Ok(()),
            Pressed::Interrupt => return Err(Error::stopped(Signal::INT.as_raw())),
        }
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|source| Error::io("write", source))
}

/// Returns how many rows a key scrolls.
fn scrolled(key: KeyCode) -> Option<isize> {
    Some(match key {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown | KeyCode::Char(' ') => PAGE,
        KeyCode::PageUp => -PAGE,
        KeyCode::Home => isize::MIN,
        KeyCode::End => isize::MAX,
        _ => return None,
    })
}

/// Takes samples from a broker.
struct Asker {
    admin: Admin,
    internal: bool,
}

impl Asker {
    /// Takes samples in a thread of its own, since a broker may not answer for a while. The thread
    /// ends when its receiver is dropped.
    fn ask_every(self, interval: Duration) -> Result<Receiver<Result<Snapshot>>> {
        let (sender, receiver) = mpsc::channel();
        let ask = move || {
            loop {
                let due = Instant::now() + interval;
                if sender.send(self.snapshot()).is_err() {
                    return;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        };
        std::thread::Builder::new()
            .name("asker".to_owned())
            .spawn(ask)
            .map_err(|source| Error::io("start a thread", source))?;
        Ok(receiver)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            at: now_ms(),
            topics: self.topics()?,
            groups: self.groups()?,
        })
    }

    fn topics(&self) -> Result<Vec<Topic>> {
        let mut topics = self.admin.topics()?;
        topics.retain(|topic| self.internal || !topic.name.starts_with("__"));
        topics.retain(|topic| names::is_own(&topic.name));
        let partitions: Vec<(&str, i32)> = topics
            .iter()
            .flat_map(|topic| {
                let numbers = topic.partitions.iter();
                numbers.map(|partition| (topic.name.as_str(), partition.number))
            })
            .collect();
        let extents = self.admin.extents(&partitions)?;
        let topic = |topic: &crate::kafka::admin::Topic| {
            let numbers = topic.partitions.iter().map(|partition| partition.number);
            let extent = |number| extents.get(&(topic.name.clone(), number)).copied();
            let partitions = numbers.map(|number| {
                let extent = extent(number).unwrap_or_default();
                Partition {
                    number,
                    first: extent.first,
                    end: extent.end,
                }
            });
            Topic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        };
        Ok(topics.iter().map(topic).collect())
    }

    /// A group that disappears in the meantime is left out.
    fn groups(&self) -> Result<Vec<Group>> {
        let mut groups = self.admin.groups()?;
        groups.retain(|group| names::is_own(&group.name));
        let described = groups.into_iter().filter_map(|group| {
            let (group, members) = self.admin.group(&group.name).ok()?;
            let commits = self.admin.group_commits(&group.name).ok()?.into_iter();
            let commit =
                |((topic, partition), committed): ((String, i32), crate::source::Committed)| {
                    Commit {
                        topic,
                        partition,
                        offset: committed.offset,
                        note: committed.metadata,
                    }
                };
            Some(Group {
                state: group.state,
                members: members.len(),
                commits: commits.map(commit).collect(),
                name: group.name,
            })
        });
        Ok(described.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs a program on a terminal of its own; prints what it wrote there, and last whether the
    /// terminal was as before when it had ended.
    const DRIVER: &str = r#"
import os, pty, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    modes = termios.tcgetattr(0)
    child = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
    print("SAME" if termios.tcgetattr(0) == modes else "OTHER", child)
    sys.stdout.flush()
    os._exit(0)
seen = b""
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    seen += read
os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
"#;

    #[test]
    #[ignore = "run on a terminal by `a_panic_gives_the_terminal_back_before_it_is_told`"]
    fn a_screen_that_panics() {
        let _screen = Screen::open().expect("a terminal");
        panic!("as a bug would");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let this = std::env::current_exe().expect("this program");
        let panics = "cli::top::tests::a_screen_that_panics";
        let run = Command::new("python3")
            .args(["-c", DRIVER])
            .arg(this)
            .args(["--exact", panics, "--ignored", "--nocapture"])
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output();
        let Ok(run) = run else {
            eprintln!(
                "SKIPPED the terminal after a panic: no python3 here to make a terminal with"
            );
            return;
        };
        let seen = String::from_utf8_lossy(&run.stdout);
        let place = |part: &str| {
            seen.find(part)
                .unwrap_or_else(|| panic!("{part:?}: {seen}"))
        };
        let entered = place("\u{1b}[?1049h");
        let left = place("\u{1b}[?1049l");
        let told = place("as a bug would");
        assert!(entered < left && left < told, "{seen}");
        // Lines and echo again; and the program did fail.
        assert!(seen.contains("SAME 101"), "{seen}");
    }
}
