//! Reads a journal that `--journal` has written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::{Event, Plan, VERSION};
use crate::error::{Error, Remedy, Result};

/// The events of a journal, in their order, after its first line.
#[derive(Debug)]
pub struct Reader<R> {
    lines: R,
    name: String,
    /// The number of the line that was read last.
    number: u64,
    line: String,
}

impl Reader<BufReader<File>> {
    /// Opens a journal and reads its first line.
    ///
    /// # Errors
    /// `refused` where the file cannot be read; as [`Reader::new`].
    pub fn open(path: &Path) -> Result<(Plan, Self)> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::io(format!("open `{name}`"), error))?;
        Reader::new(BufReader::new(file), &name)
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line of a journal that the user calls `name`.
    ///
    /// # Errors
    /// `data` for what is not a journal, or one of a later version.
    pub fn new(lines: R, name: &str) -> Result<(Plan, Self)> {
        let mut reader = Reader {
            lines,
            name: name.to_owned(),
            number: 0,
            line: String::new(),
        };
        let no_journal = |name: &str| {
            Error::data(format!(
                "`{name}` is not a journal: its first line is not a plan"
            ))
            .hint("write one with `k window … --journal FILE`")
        };
        match reader.next_event() {
            Ok(Some(Event::Plan(plan))) if plan.version > VERSION => Err(Error::data(format!(
                "`{name}` is a journal of version {}, and this `k` reads version {VERSION}",
                plan.version
            ))
            .hint("read it with the `k` that wrote it, or a later one")),
            Ok(Some(Event::Plan(plan))) => Ok((*plan, reader)),
            Ok(_) => Err(no_journal(name)),
            Err(error) if error.remedy() == Remedy::MendData => Err(no_journal(name)),
            Err(error) => Err(error),
        }
    }

    /// Returns the number of the line that was read last.
    pub fn line(&self) -> u64 {
        self.number
    }

    /// Returns the next event; `None` at the end.
    fn next_event(&mut self) -> Result<Option<Event>> {
        self.line.clear();
        let read = self.lines.read_line(&mut self.line);
        let read = read.map_err(|error| Error::io(format!("read `{}`", self.name), error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let event = Event::parse(&self.line).map_err(|error| {
            let place = format!("`{}`, line {}", self.name, self.number);
            if self.line.ends_with('\n') {
Error::data(format!("{place}: {error}"))
                    .hint("a journal is not edited by hand; write it again")
} else {
Error::data(format!("{place} is cut off: {error}"))
                    .hint("the run that wrote it was killed, or is still at work; without the last line the rest can be read")
}
        });
        event.map(Some)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.next_event().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = concat!(
        r#"{"event":"plan","version":1,"sources":["calls.csv"],"partitions":1,"windows":"#,
        r#"{"kind":"tumbling","size":10000,"advance":10000,"gap":null,"max":null,"closes_after":0},"#,
        r#""grace":0,"out_of_order":0,"percentile":null,"ahead":null,"trigger":"final","#,
        r#""refinement":"accumulating","time":"at","arrival":null,"zone":null,"where":null,"#,
        r#""distinct":null,"keys":["caller"],"aggregates":[],"columns":["at"]}"#,
    );

    fn read(journal: &str) -> Result<(Plan, Vec<Event>)> {
        let (plan, reader) = Reader::new(journal.as_bytes(), "run.jsonl")?;
        Ok((plan, reader.collect::<Result<_>>()?))
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let lines = [
            r#"{"event":"read","record":0,"partition":0,"place":2,"at":1000,"arrival":null,"key":["Ä"],"arguments":[123456789012345678901234567890,1.50],"columns":[1000],"change":"+","now":null}"#,
            r#"{"event":"watermark","partition":0,"at":1000,"combined":1000,"record":0,"now":null}"#,
            r#"{"event":"assigned","record":0,"window":[0,10000],"late":false,"by":null,"joins":[[1,2]],"now":null}"#,
            r#"{"event":"closed","window":[null,null],"key":["Ä"],"now":7}"#,
            r#"{"event":"pane","window":[0,10000],"key":["Ä"],"timing":"on_time","pane":0,"is_last":true,"change":"-","why":"grace","values":[null],"now":null}"#,
            r#"{"event":"ahead","record":1,"partition":0,"place":3,"at":null,"reason":"too \"far\"","now":null}"#,
            r#"{"event":"end","now":null}"#,
        ];
        let journal = format!("{PLAN}\n{}\n", lines.join("\n"));
        let (plan, events) = read(&journal).expect("a journal");
        let written: Vec<String> = std::iter::once(&Event::Plan(Box::new(plan)))
            .chain(&events)
            .map(|event| serde_json::to_string(event).expect("JSON"))
            .collect();
        assert_eq!(written.join("\n") + "\n", journal);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line_and_the_way_out() {
        let later = PLAN.replace("\"version\":1", "\"version\":2");
        let cases = [
            (String::new(), "not a journal"),
            ("a,b\n1,2\n".to_owned(), "not a journal"),
            (format!("{later}\n"), "of version 2"),
            (format!("{PLAN}\n{{\"event\":\"pa"), "line 2 is cut off"),
            (
                format!("{PLAN}\n{{\"event\":\"pa\"}}\n"),
                "line 2: unknown event `pa`",
            ),
            (
                format!("{PLAN}\n{{\"event\":\"tick\"}}\n"),
                "line 2: missing field `at`",
            ),
        ];
        for (journal, told) in cases {
            let error = read(&journal).expect_err(told);
            assert!(error.lines()[0].contains(told), "{:?}", error.lines());
            assert!(error.lines().len() > 1, "{:?}", error.lines());
        }
    }
}
