//! The one error of `k`, grouped by what a caller can do about it.
//!
//! In: whatever went wrong, with its place and its source. Out: at most eight lines for people (see
//! [`Error::lines`]) and an exit status. Late, expired and malformed records that a run was told to
//! skip are not errors: they are outcomes, counted and shown at the end.

use std::fmt;

use crate::term::printable::printable;

/// `std::result::Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The command line, an expression or a plan is wrong: type it again. Exit status 2.
    Retype,
    /// ksqlDB has it and `k` has not yet: do without, or use ksqlDB. Exit status 3.
    DoWithout,
    /// A record does not fit: mend it, skip it or keep it aside. Exit status 1.
    MendData,
    /// The world refused (file, disk, topic, permission): change it. Exit status 1.
    ChangeWorld,
    /// The broker cannot be reached or is not ready: try again later. Exit status 1.
    Retry,
    /// Another member took over: drop uncommitted state and rejoin. Exit status 1.
    Rejoin,
    /// The person stopped the run (signal 2 or 15): nothing to mend. Exit status 128 + signal.
    Stopped(i32),
    /// The reader has closed the output (`| head`): not reported. Exit status 0.
    ClosedPipe,
    /// `k` itself is wrong: report it. Exit status 1.
    Bug,
}

impl Remedy {
    /// Returns whether a person has nothing to mend: of a group, the next process begins at the last commit.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Remedy::Retry | Remedy::Rejoin | Remedy::Stopped(_))
    }
}

/// What happened, where, and what to do next.
#[derive(Debug)]
pub struct Error(Box<Details>);

/// Boxed, so that a `Result` stays small where nothing goes wrong.
#[derive(Debug)]
struct Details {
    remedy: Remedy,
    message: String,
    snippet: Option<Snippet>,
    during: Vec<String>,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A typed text with the part of it that is wrong, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snippet {
    text: String,
    start: usize,
    end: usize,
}

impl Error {
    fn new(remedy: Remedy, message: impl Into<String>) -> Self {
        Error(Box::new(Details {
            remedy,
            message: message.into(),
            snippet: None,
            during: Vec::new(),
            hints: Vec::new(),
            source: None,
        }))
    }

    /// Returns an error about something typed wrongly: a flag, an expression, a column's name.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Remedy::Retype, message)
    }

    /// Returns an error about something that `k` has not yet; `what` names it.
    pub(crate) fn not_yet(what: impl fmt::Display) -> Self {
        Self::new(Remedy::DoWithout, format!("not supported yet: {what}"))
    }

    /// Returns an error about a record that does not fit; the message names its place.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Remedy::MendData, message)
    }

    /// Returns an error about a world that refused: a file, a disk, a topic, a check.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Remedy::ChangeWorld, message)
    }

    /// Returns an error about something out of reach for now, such as a broker.
    pub(crate) fn retry(message: impl Into<String>) -> Self {
        Self::new(Remedy::Retry, message)
    }

    /// Returns an error about a process that another one has fenced off.
    pub(crate) fn fenced(message: impl Into<String>) -> Self {
        Self::new(Remedy::Rejoin, message)
    }

    /// Returns an error about a fault of `k` itself.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Remedy::Bug, message)
    }

    /// Returns the error of a run that a signal ended.
    pub(crate) fn stopped(signal: i32) -> Self {
        Self::new(Remedy::Stopped(signal), "stopped")
    }

    /// Returns the error of reading or writing `what`; a closed pipe becomes [`Remedy::ClosedPipe`].
    ///
    /// `what` completes "cannot …": `read data/tower.csv`.
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        let remedy = match source.kind() {
            std::io::ErrorKind::BrokenPipe => Remedy::ClosedPipe,
            _ => Remedy::ChangeWorld,
        };
        let reason = reason_of(&source);
        Self::new(remedy, format!("cannot {what}: {reason}")).caused_by(source)
    }

    /// Marks the bytes `start..end` of `text` as the wrong part, shown with carets.
    pub fn at(mut self, text: &str, start: usize, end: usize) -> Self {
        let text = text.to_owned();
        self.0.snippet = Some(Snippet { text, start, end });
        self
    }

    /// Adds what was being done, from the inside out: "reading topic `t`, partition 2".
    pub(crate) fn during(mut self, doing: impl Into<String>) -> Self {
        self.0.during.push(doing.into());
        self
    }

    /// Adds what the user can do next; names only commands that exist.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Keeps the error that led to this one.
    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns what a caller can do about it.
    pub fn remedy(&self) -> Remedy {
        self.0.remedy
    }

    /// Returns the exit status of a process that ends with this error.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.0.remedy {
            Remedy::Retype => 2,
            Remedy::DoWithout => 3,
            Remedy::Stopped(signal) => 128 + signal as u8,
            Remedy::ClosedPipe => 0,
            _ => 1,
        }
    }

    /// Returns the error as lines for a terminal, at most eight; the first begins with `error: `.
    /// Empty for a closed pipe and for a run that the user stopped.
    pub fn lines(&self) -> Vec<String> {
        if matches!(self.0.remedy, Remedy::ClosedPipe | Remedy::Stopped(_)) {
            return Vec::new();
        }
        let mut lines: Vec<String> = format!("error: {}", self.0.message)
            .lines()
            .map(str::to_owned)
            .collect();
        if let Some(snippet) = &self.0.snippet {
            lines.extend(snippet.lines());
        }
        lines.extend(self.0.during.iter().map(|doing| format!("  while {doing}")));
        if self.0.remedy == Remedy::Bug {
            lines.push("hint: this is a bug in `k`; please report it".to_owned());
        }
        lines.extend(self.0.hints.iter().map(|hint| format!("hint: {hint}")));
        lines.truncate(8);
        lines
    }
}

impl Snippet {
    /// Returns the line of the text that holds the wrong part, and carets under that part.
    fn lines(&self) -> [String; 2] {
        let start = self.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |at| start + at);
        let shown = |start: usize, end: usize| printable(&self.text.as_bytes()[start..end]);
        let line = shown(line_start, line_end);
        let before = console::measure_text_width(&shown(line_start, start));
        let wrong = shown(start, self.end.clamp(start, line_end));
        let carets = console::measure_text_width(&wrong).max(1);
        [
            format!("  {line}"),
            format!("  {}{}", " ".repeat(before), "^".repeat(carets)),
        ]
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Returns the operating system's words without Rust's "(os error 28)" and in lower case.
fn reason_of(source: &std::io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "unknown reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_the_way_out() {
        let error = Error::retry("cannot reach Kafka at `127.0.0.1:9092`: connection refused")
            .during("reading topic `mono_signal`, partition 2, offset 1041")
            .hint("start the stack with `k start`, or name another broker with `--broker`");
        assert_eq!(error.exit_status(), 1);
        assert_eq!(error.lines().len(), 3);
    }

    #[test]
    fn carets_stand_under_the_wrong_token() {
        let text = "disposition == 'café' and durtion > 3";
        let start = text.find("durtion").expect("in the text");
        let error = Error::usage("unknown column `durtion`").at(text, start, start + 7);
        assert_eq!(
            error.lines(),
            [
                "error: unknown column `durtion`",
                "  disposition == 'café' and durtion > 3",
                "                            ^^^^^^^",
            ]
        );
    }

    #[test]
    fn a_caret_past_the_end_still_shows() {
        let error = Error::usage("expected a value").at("a >", 3, 3);
        assert_eq!(error.lines()[1..], ["  a >", "     ^"]);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let error = Error::io("write", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.exit_status(), error.lines().len()), (0, 0));
    }

    #[test]
    fn a_full_disk_is_named_in_lower_case() {
        let error = Error::io("write `out.csv`", rustix::io::Errno::NOSPC.into());
        assert_eq!(
            error.lines(),
            ["error: cannot write `out.csv`: no space left on device"]
        );
    }
}
