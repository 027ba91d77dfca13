//! Reads a journal: which records made others late, by moving the watermark past their windows.
//!
//! One wrong clock can make all records behind it late. The journal says which record moved the
//! watermark each time, and how late each record after it was.
//!
//! ```sh
//! k window --tumbling 10s --grace 5s --from data/sample/mono_signal.csv --journal run.jsonl
//! cargo run --example blame -- run.jsonl
//! ```

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use k::journal::{Event, Read, Reader};
use k::term::units::{format_plural, format_time};

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1);
    let path = path.context("usage: blame JOURNAL")?;
    let (plan, events) = Reader::open(Path::new(&path))?;
    println!(
        "watermark over {}, by `{}`",
        plan.sources.join(", "),
        plan.time
    );
    let blamed = blame(events)?;
    match blamed.is_empty() {
        true => println!("no record was late"),
        false => blamed
            .iter()
            .for_each(|blamed| println!("{}", blamed.line())),
    }
    Ok(())
}

/// A record that moved the watermark, and what came too late for that.
#[derive(Debug, PartialEq)]
struct Blamed {
    /// A line of a file, or an offset.
    place: u64,
    /// Its event time, in ms since 1970, UTC.
    at: i64,
    late: u64,
    expired: u64,
}

impl Blamed {
    fn line(&self) -> String {
        format!(
            "{} at {}: made {} late and {} expired",
            self.place,
            format_time(self.at),
            format_plural(self.late, "record"),
            format_plural(self.expired, "record"),
        )
    }
}

/// Returns the records that made others late, those with the most expired ones first. A record of
/// several windows counts once a window.
fn blame(events: impl Iterator<Item = k::error::Result<Event>>) -> Result<Vec<Blamed>> {
    let mut blamed: HashMap<u64, Blamed> = HashMap::new();
    let mut current: Option<Read> = None;
    let mut mover: Option<Read> = None;
    for event in events {
        let (late, expired) = match event? {
            Event::Read(read) => {
                current = Some(read);
                continue;
            }
            Event::Watermark(moved) => {
                // The record that moved it is the one that was read last.
                let by = current.take_if(|read| Some(read.record) == moved.record);
                mover = by.or(mover);
                continue;
            }
            Event::Assigned(assigned) => (u64::from(assigned.late), 0),
            Event::Expired(_) => (0, 1),
            _ => continue,
        };
        if let Some(mover) = mover.as_ref().filter(|_| late + expired > 0) {
            let blamed = blamed.entry(mover.record).or_insert(Blamed {
                place: mover.place,
                at: mover.at,
                late: 0,
                expired: 0,
            });
            blamed.late += late;
            blamed.expired += expired;
        }
    }
    let mut blamed: Vec<Blamed> = blamed.into_values().collect();
    blamed.sort_by_key(|blamed| {
        (
            std::cmp::Reverse((blamed.expired, blamed.late)),
            blamed.place,
        )
    });
    Ok(blamed)
}

#[cfg(test)]
mod tests {
    use k::engine::window::{Aligned, Windows};
    use k::format::{Decoder, delimited};
    use k::interrupt::Interrupt;
    use k::node::journal::JournalFile;
    use k::node::{Node, Options, Outputs};
    use k::outlet::Outlet;
    use k::plan::Query;
    use k::sink::text::{Notation, TextSink};

    use super::*;

    /// Windows some event times, and returns who is to blame.
    fn of(times: &[i64]) -> Result<Vec<Blamed>> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let lines = times.iter().map(|at| format!("{at}\n"));
        std::fs::write(path("in.csv"), format!("at\n{}", lines.collect::<String>()))?;
        let interrupt = Interrupt::default();
        let create = |name| Outlet::create(&path(name), interrupt.clone());
        let (mut source, schema) = delimited::open(&path("in.csv"), b',', &interrupt)?;
        let query = Query {
            time: Some("at".to_owned()),
            grace_ms: 5,
            ..Query::over(Windows::Aligned(Aligned::tumbling(10)?))
        };
        let plan = query.plan(schema, false)?;
        let outputs = Outputs {
            journal: Some(JournalFile::new(
                create("journal")?,
                vec!["in.csv".to_owned()],
            )),
            ..Outputs::default()
        };
        let (decoder, header) = (Decoder::csv(plan.layout.clone()), plan.header());
        let sink = Box::new(TextSink::new(create("rows")?, Notation::Csv, header));
        let options = Options::default();
        Node::new(&plan, decoder, 1, sink, outputs, options, &interrupt)?.run(&mut source)?;
        let (_, events) = Reader::open(&path("journal"))?;
        blame(events)
    }

    #[test]
    fn the_record_that_moved_the_watermark_past_a_window_is_to_blame() -> Result<()> {
        // 12 closes the window of 1 and 2, whose grace ends at 15; 99 ends every other one.
        let blamed = of(&[1, 12, 2, 11, 99, 13, 3, 98])?;
        let blamed_of = |place, at, late, expired| Blamed {
            place,
            at,
            late,
            expired,
        };
        assert_eq!(blamed, [blamed_of(6, 99, 0, 2), blamed_of(3, 12, 1, 0)]);
        assert_eq!(
            blamed[1].line(),
            "3 at 1970-01-01T00:00:00.012Z: made 1 record late and 0 records expired"
        );
        assert_eq!(of(&[1, 2, 30, 31])?, []);
        Ok(())
    }
}
