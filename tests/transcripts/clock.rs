//! Times in transcripts: ms since 1970, times of day, or ISO 8601.

use k::engine::watermark::{BEGINNING, END};
use k::term::units::{HOUR, MINUTE, SECOND, format_time, parse_time};

/// How a case writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notation {
    /// `17`
    #[default]
    Milliseconds,
    /// `12:00:26`, `-00:00:01.500`
    TimeOfDay,
    /// `2026-03-29T00:30:00Z`
    Iso,
}

impl Notation {
    /// Returns the notation that `time` is written in.
    pub fn of(time: &str) -> Notation {
        match (time.contains('T'), time.contains(':')) {
            (true, _) => Notation::Iso,
            (false, true) => Notation::TimeOfDay,
            (false, false) => Notation::Milliseconds,
        }
    }

    /// Returns a time as text.
    pub fn print(self, at: i64) -> String {
        match (at, self) {
            (BEGINNING, _) => "beginning".to_owned(),
            (END, _) => "end".to_owned(),
            (_, Notation::Milliseconds) => at.to_string(),
            (_, Notation::Iso) => format_time(at),
            (_, Notation::TimeOfDay) => {
                let (sign, ms) = (if at < 0 { "-" } else { "" }, at.abs());
                let (hours, minutes) = (ms / HOUR, ms / MINUTE % 60);
                let (seconds, rest) = (ms / SECOND % 60, ms % SECOND);
                let fraction = match rest {
                    0 => String::new(),
                    rest => format!(".{rest:03}"),
                };
                format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
            }
        }
    }
}

/// Reads a time.
pub fn parse(text: &str) -> Result<i64, String> {
    match Notation::of(text) {
        _ if text == "end" => Ok(END),
        _ if text == "beginning" => Ok(BEGINNING),
        Notation::TimeOfDay => {
            parse_time_of_day(text).ok_or_else(|| format!("`{text}` is no time of day"))
        }
        _ if text.starts_with(['+', '-']) && text.parse::<i64>().is_err() => {
            Err(format!("`{text}` is not a timestamp"))
        }
        _ => parse_time(text, 0).map_err(|_| format!("`{text}` is not a timestamp")),
    }
}

fn parse_time_of_day(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = rest.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    let fits = parts.next().is_none() && minutes < 60 && seconds < 60.0;
    let ms = (seconds * SECOND as f64).round() as i64;
    fits.then_some(sign * (hours * HOUR + minutes * MINUTE + ms))
}
