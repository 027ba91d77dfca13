//! Calls and segments as CSV or JSON lines.
//!
//! Most of a generator's time goes into digits, so they come from tables: three digits of
//! milliseconds at once, and the text of a minute is kept for the calls around it. A CSV row
//! of a call has its fields at fixed places in an array that stays, so that a row is some
//! two dozen small stores and one copy.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::callers::phone_number;
use super::digits::{PAIRS, TRIPLES};
use super::{Call, Disposition, Recipe, Segment};

/// What rows look like.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A header and rows with commas.
    Csv,
    /// An object a line.
    Json,
}

/// Writes rows; one for each thread.
#[derive(Debug)]
pub struct Rows {
    format: Format,
    with_arrival: bool,
    tower_digits: usize,
    times: Times,
    row: CallRow,
}

impl Rows {
    /// Returns a writer of a recipe's rows.
    pub fn new(recipe: &Recipe, format: Format) -> Self {
        Rows {
            format,
            with_arrival: recipe.with_arrival,
            tower_digits: tower_digits(recipe.towers),
            times: Times::new(),
            row: CallRow::new(),
        }
    }

    /// Returns the lines before the calls.
    pub fn call_header(&self) -> &'static str {
        match (self.format, self.with_arrival) {
            (Format::Json, _) => "",
            (Format::Csv, false) => {
                "call_id,start_timestamp,end_timestamp,start_timestring,end_timestring,\
                 caller,callee,disposition\n"
            }
            (Format::Csv, true) => {
                "call_id,start_timestamp,end_timestamp,start_timestring,end_timestring,\
                 caller,callee,disposition,arrival_timestamp\n"
            }
        }
    }

    /// Returns the lines before the segments.
    pub fn segment_header(&self) -> &'static str {
        match self.format {
            Format::Json => "",
            Format::Csv => "call_id,tower,start_timestamp,end_timestamp\n",
        }
    }

    /// Adds the row of a call that leaves at `leaves` to `out`.
    #[inline]
    pub fn call(&mut self, call: &Call, leaves: i64, out: &mut Vec<u8>) {
        match self.format {
            Format::Csv
                if THIRTEEN_DIGITS.contains(&call.start)
                    && THIRTEEN_DIGITS.contains(&call.end()) =>
            {
                self.row.write(call, &mut self.times, out);
            }
            Format::Csv => self.any_call(call, out),
            Format::Json => return self.json_call(call, leaves, out),
        }
        if self.with_arrival {
            out.push(b',');
            push_integer(leaves, out);
        }
        out.push(b'\n');
    }

    /// A CSV row, field by field: for times of other than thirteen digits.
    fn any_call(&mut self, call: &Call, out: &mut Vec<u8>) {
        push_integer(call.id, out);
        out.push(b',');
        push_integer(call.start, out);
        out.push(b',');
        push_integer(call.end(), out);
        out.push(b',');
        self.times.push_text(call.start, out);
        out.push(b',');
        self.times.push_text(call.end(), out);
        out.push(b',');
        out.extend_from_slice(&phone_number(call.caller));
        out.push(b',');
        out.extend_from_slice(&phone_number(call.callee));
        out.push(b',');
        out.extend_from_slice(call.disposition.name().as_bytes());
    }

    fn json_call(&mut self, call: &Call, leaves: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"call_id\":");
        push_integer(call.id, out);
        out.extend_from_slice(b",\"start_timestamp\":");
        push_integer(call.start, out);
        out.extend_from_slice(b",\"end_timestamp\":");
        push_integer(call.end(), out);
        out.extend_from_slice(b",\"start_timestring\":\"");
        self.times.push_text(call.start, out);
        out.extend_from_slice(b"\",\"end_timestring\":\"");
        self.times.push_text(call.end(), out);
        out.extend_from_slice(b"\",\"caller\":\"");
        out.extend_from_slice(&phone_number(call.caller));
        out.extend_from_slice(b"\",\"callee\":\"");
        out.extend_from_slice(&phone_number(call.callee));
        out.extend_from_slice(b"\",\"disposition\":\"");
        out.extend_from_slice(call.disposition.name().as_bytes());
        out.push(b'"');
        if self.with_arrival {
            out.extend_from_slice(b",\"arrival_timestamp\":");
            push_integer(leaves, out);
        }
        out.extend_from_slice(b"}\n");
    }

    /// Adds the row of a segment to `out`; towers are numbered from 1: `T042`.
    pub fn segment(&mut self, segment: &Segment, out: &mut Vec<u8>) {
        let [id, tower, start, end, close]: [&[u8]; 5] = match self.format {
            Format::Csv => [b"", b",T", b",", b",", b"\n"],
            Format::Json => [
                b"{\"call_id\":",
                b",\"tower\":\"T",
                b"\",\"start_timestamp\":",
                b",\"end_timestamp\":",
                b"}\n",
            ],
        };
        out.extend_from_slice(id);
        push_integer(segment.call_id, out);
        out.extend_from_slice(tower);
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(segment.tower + 1).as_bytes();
        out.extend_from_slice(&b"0000000"[..self.tower_digits - digits.len()]);
        out.extend_from_slice(digits);
        out.extend_from_slice(start);
        push_integer(segment.start, out);
        out.extend_from_slice(end);
        push_integer(segment.end(), out);
        out.extend_from_slice(close);
    }
}

/// Returns the number of a subscriber as in the columns `caller` and `callee`.
pub fn subscriber_name(subscriber: u32) -> String {
    String::from_utf8_lossy(&phone_number(subscriber)).into_owned()
}

/// Returns the name of a tower as in the column `tower` where there are `towers`.
pub fn tower_name(tower: u32, towers: u32) -> String {
    let digits = tower_digits(towers);
    format!("T{:0digits$}", tower + 1)
}

/// Returns how many digits the names of towers have.
fn tower_digits(towers: u32) -> usize {
    towers.to_string().len().max(3)
}

fn push_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Times of thirteen digits: September 2001 to November 2286.
const THIRTEEN_DIGITS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// The array that CSV rows of calls are put together in; commas are in it from the start.
#[derive(Debug)]
struct CallRow {
    bytes: [u8; CALL_ROW],
    /// The id's digits but the last four, and where they begin.
    id_high: u64,
    id_begin: usize,
}

/// The id ends here; it is as long as it is.
const ID_END: usize = 20;
const START: usize = ID_END + 1;
const END: usize = START + 14;
const START_TEXT: usize = END + 14;
const END_TEXT: usize = START_TEXT + 25;
const CALLER: usize = END_TEXT + 25;
const CALLEE: usize = CALLER + 12;
const DISPOSITION: usize = CALLEE + 12;
const CALL_ROW: usize = DISPOSITION + 16;

impl CallRow {
    fn new() -> Self {
        CallRow {
            bytes: [b','; CALL_ROW],
            id_high: u64::MAX,
            id_begin: 0,
        }
    }

    #[inline]
    fn write(&mut self, call: &Call, times: &mut Times, out: &mut Vec<u8>) {
        self.write_id(call.id);
        let row = &mut self.bytes;
        let (digits, text) = times.both(call.start);
        row[START..START + 13].copy_from_slice(&digits);
        row[START_TEXT..START_TEXT + 24].copy_from_slice(&text);
        let (digits, text) = times.both(call.end());
        row[END..END + 13].copy_from_slice(&digits);
        row[END_TEXT..END_TEXT + 24].copy_from_slice(&text);
        row[CALLER..CALLER + 11].copy_from_slice(&phone_number(call.caller));
        row[CALLEE..CALLEE + 11].copy_from_slice(&phone_number(call.callee));
        let (name, length) = match call.disposition {
            Disposition::Connected => (b"connected", 9),
            Disposition::Busy => (b"busy     ", 4),
            Disposition::Failed => (b"failed   ", 6),
        };
        row[DISPOSITION..DISPOSITION + 9].copy_from_slice(name);
        out.extend_from_slice(&row[self.id_begin..DISPOSITION + length]);
    }

    /// Writes the id. Ids mostly come one after the other: most often its last four digits
    /// alone are new.
    #[inline]
    fn write_id(&mut self, id: u64) {
        let (high, low) = (id / 10_000, (id % 10_000) as usize);
        self.bytes[ID_END - 4..ID_END - 2].copy_from_slice(&PAIRS[low / 100]);
        self.bytes[ID_END - 2..ID_END].copy_from_slice(&PAIRS[low % 100]);
        if high != self.id_high || high == 0 {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(id).as_bytes();
            self.id_begin = ID_END - digits.len();
            self.bytes[self.id_begin..ID_END].copy_from_slice(digits);
            self.id_high = high;
        }
    }
}

/// The text of minutes and of hundreds of seconds around now, kept by their last bits.
#[derive(Debug)]
struct Times {
    minutes: Box<[(i64, [u8; 17]); KEPT]>,
    hundreds: Box<[(u64, [u8; 8]); KEPT]>,
}

/// Calls of up to two hours find their minutes kept.
const KEPT: usize = 128;

impl Times {
    fn new() -> Self {
        Times {
            minutes: Box::new([(i64::MIN, [0; 17]); KEPT]),
            hundreds: Box::new([(u64::MAX, [0; 8]); KEPT]),
        }
    }

    /// Returns a time of thirteen digits as digits and as ISO 8601.
    #[inline]
    fn both(&mut self, ms: i64) -> ([u8; 13], [u8; 24]) {
        let ms = ms as u64;
        let (minute, within) = (ms / 60_000, (ms % 60_000) as usize);
        let (second, milli) = (within / 1_000, within % 1_000);
        let seconds = minute * 60 + second as u64;
        let mut digits = [0; 13];
        digits[..8].copy_from_slice(self.hundred(seconds / 100));
        digits[8..10].copy_from_slice(&PAIRS[(seconds % 100) as usize]);
        digits[10..].copy_from_slice(&TRIPLES[milli][..3]);
        (digits, self.text(minute as i64, second, milli))
    }

    /// Adds a time as ISO 8601 in UTC, always with ms: `2026-01-01T00:00:00.000Z`.
    fn push_text(&mut self, ms: i64, out: &mut Vec<u8>) {
        let within = ms.rem_euclid(60_000) as usize;
        out.extend_from_slice(&self.text(ms.div_euclid(60_000), within / 1_000, within % 1_000));
    }

    #[inline]
    fn text(&mut self, minute: i64, second: usize, milli: usize) -> [u8; 24] {
        let kept = &mut self.minutes[minute as usize % KEPT];
        if kept.0 != minute {
            *kept = (minute, minute_text(minute));
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        text[..17].copy_from_slice(&kept.1);
        text[17..19].copy_from_slice(&PAIRS[second]);
        text[20..].copy_from_slice(&TRIPLES[milli]);
        text
    }

    /// Returns the first eight of ten digits of seconds.
    #[inline]
    fn hundred(&mut self, hundred: u64) -> &[u8; 8] {
        let kept = &mut self.hundreds[hundred as usize % KEPT];
        if kept.0 != hundred {
            *kept = (hundred, hundred_text(hundred));
        }
        &kept.1
    }
}

#[cold]
fn hundred_text(hundred: u64) -> [u8; 8] {
    let mut rest = hundred;
    let mut text = [b'0'; 8];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// Returns a minute since 1970, UTC, as `2026-01-01T00:00:`; years 1 to 9999.
#[cold]
fn minute_text(minute: i64) -> [u8; 17] {
    let at = Timestamp::from_second(minute * 60).unwrap_or(Timestamp::UNIX_EPOCH); // years checked
    let at = TimeZone::UTC.to_datetime(at);
    let year = at.year().unsigned_abs() as usize;
    let mut text = *b"0000-00-00T00:00:";
    text[..2].copy_from_slice(&PAIRS[year / 100]);
    text[2..4].copy_from_slice(&PAIRS[year % 100]);
    for (place, value) in [
        (5, at.month()),
        (8, at.day()),
        (11, at.hour()),
        (14, at.minute()),
    ] {
        text[place..place + 2].copy_from_slice(&PAIRS[value.unsigned_abs() as usize]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::recipe::tests::recipe;
    use super::*;

    fn time_text(ms: i64) -> String {
        let at = Timestamp::from_millisecond(ms).expect("years 1 to 9999");
        at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// The row of a call, written plainly.
    fn plain(call: &Call) -> String {
        format!(
            "{},{},{},{},{},{},{},{}\n",
            call.id,
            call.start,
            call.end(),
            time_text(call.start),
            time_text(call.end()),
            subscriber_name(call.caller),
            subscriber_name(call.callee),
            call.disposition.name()
        )
    }

    fn call(id: u64, start: i64, duration_ms: u32) -> Call {
        let disposition = Disposition::ALL[id as usize % 3];
        let (caller, callee) = (id as u32 % 10_000_000, duration_ms % 10_000_000);
        Call {
            id,
            start,
            duration_ms,
            caller,
            callee,
            disposition,
        }
    }

    #[test]
    fn csv_rows_are_those_that_plain_formatting_makes() {
        let mut rows = Rows::new(&recipe(), Format::Csv);
        let days = 86_400_000;
        for start in [
            1_767_225_600_000,               // 2026
            1_709_164_799_999,               // the last ms before a 29 February
            999_999_990_000,                 // twelve digits, and thirteen at the end
            0,                               // 1970
            -1,                              // before it
            -62_135_596_800_000,             // the year 1
            9_999_999_990_000,               // thirteen digits, and fourteen at the end
            253_402_300_799_999 - 40 * days, // the year 9999
        ] {
            for (step, duration_ms) in [0, 1, 999, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000]
                .into_iter()
                .enumerate()
            {
                for id in [
                    0,
                    1,
                    9,
                    10,
                    9_999,
                    10_000,
                    10_001,
                    123_456_789,
                    999_999_999_999,
                    5,
                ] {
                    let call = call(id, start + 7_919 * step as i64, duration_ms);
                    let mut text = Vec::new();
                    rows.call(&call, call.start, &mut text);
                    assert_eq!(String::from_utf8_lossy(&text), plain(&call));
                }
            }
        }
    }

    #[test]
    fn json_rows_have_the_header_s_names_and_types() {
        let recipe = Recipe {
            with_arrival: true,
            ..recipe()
        };
        let mut rows = Rows::new(&recipe, Format::Json);
        let mut text = Vec::new();
        rows.call(
            &call(4, 1_767_225_600_000, 1_500),
            1_767_225_600_007,
            &mut text,
        );
        rows.segment(
            &Segment {
                call_id: 4,
                start: 1_767_225_600_000,
                duration_ms: 9,
                tower: 41,
            },
            &mut text,
        );
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\"call_id\":4,\"start_timestamp\":1767225600000,\"end_timestamp\":1767225601500,\
             \"start_timestring\":\"2026-01-01T00:00:00.000Z\",\
             \"end_timestring\":\"2026-01-01T00:00:01.500Z\",\
             \"caller\":\"01515955923\",\"callee\":\"01511743067\",\"disposition\":\"busy\",\
             \"arrival_timestamp\":1767225600007}\n\
             {\"call_id\":4,\"tower\":\"T042\",\"start_timestamp\":1767225600000,\
             \"end_timestamp\":1767225600009}\n"
        );
    }

    #[test]
    fn towers_have_numbers_of_one_length() {
        for (towers, first, last) in [(5, "T001", "T005"), (1_000_000, "T0000001", "T1000000")] {
            let mut rows = Rows::new(&Recipe { towers, ..recipe() }, Format::Csv);
            let mut text = Vec::new();
            for tower in [0, towers - 1] {
                let segment = Segment {
                    call_id: 1,
                    start: 0,
                    duration_ms: 1,
                    tower,
                };
                rows.segment(&segment, &mut text);
            }
            assert_eq!(
                String::from_utf8_lossy(&text),
                format!("1,{first},0,1\n1,{last},0,1\n")
            );
        }
    }
}
