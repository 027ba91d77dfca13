//! Times as text by a pattern: the letters of Java's `DateTimeFormatter`, which ksqlDB takes.
//!
//! Known are G y u M L Q q d D E H h K k m s S a X x Z O z V, `[…]` around what a text may lack,
//! text in single quotes, and all that is not a letter. Names are English. In: ms since 1970, or
//! text. Out: the other.

use std::fmt::Write;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Zones by the names that clocks have there: short and long, in winter and in summer.
const ZONES: [(&str, [&str; 2], [&str; 2]); 9] = [
    (
        "America/Los_Angeles",
        ["PST", "PDT"],
        ["Pacific Standard Time", "Pacific Daylight Time"],
    ),
    (
        "America/Denver",
        ["MST", "MDT"],
        ["Mountain Standard Time", "Mountain Daylight Time"],
    ),
    (
        "America/Chicago",
        ["CST", "CDT"],
        ["Central Standard Time", "Central Daylight Time"],
    ),
    (
        "America/New_York",
        ["EST", "EDT"],
        ["Eastern Standard Time", "Eastern Daylight Time"],
    ),
    (
        "Europe/London",
        ["GMT", "BST"],
        ["Greenwich Mean Time", "British Summer Time"],
    ),
    (
        "Europe/Berlin",
        ["CET", "CEST"],
        [
            "Central European Standard Time",
            "Central European Summer Time",
        ],
    ),
    (
        "Europe/Athens",
        ["EET", "EEST"],
        [
            "Eastern European Standard Time",
            "Eastern European Summer Time",
        ],
    ),
    (
        "Asia/Tokyo",
        ["JST", "JDT"],
        ["Japan Standard Time", "Japan Daylight Time"],
    ),
    (
        "UTC",
        ["UTC", "UTC"],
        ["Coordinated Universal Time", "Coordinated Universal Time"],
    ),
];

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'p> {
    /// Literal text.
    Text(&'p str),
    /// A letter, and how often it is repeated.
    Field(char, usize),
    /// `[`: what follows may be missing.
    Open,
    /// `]`.
    Close,
}

/// Reads a pattern's pieces from left to right.
#[derive(Clone)]
struct Pieces<'p> {
    rest: &'p str,
    /// Within single quotes.
    quoted: bool,
}

impl<'p> Pieces<'p> {
    fn of(pattern: &'p str) -> Self {
        Pieces {
            rest: pattern,
            quoted: false,
        }
    }

    /// Takes this many bytes off the front.
    fn take(&mut self, bytes: usize) -> &'p str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}

impl<'p> Iterator for Pieces<'p> {
    type Item = Piece<'p>;

    fn next(&mut self) -> Option<Piece<'p>> {
        loop {
            let first = self.rest.chars().next()?;
            if self.rest.starts_with("''") {
                self.take(1);
                return Some(Piece::Text(self.take(1)));
            }
            if first == '\'' {
                self.quoted = !self.quoted;
                self.take(1);
                continue;
            }
            let quoted = self.quoted;
            if !quoted && (first == '[' || first == ']') {
                self.take(1);
                return Some(if first == '[' {
                    Piece::Open
                } else {
                    Piece::Close
                });
            }
            if !quoted && first.is_ascii_alphabetic() {
                let length = self
                    .rest
                    .bytes()
                    .take_while(|b| char::from(*b) == first)
                    .count();
                self.take(length);
                return Some(Piece::Field(first, length));
            }
            let ends = |c: char| {
                c == '\'' || (!quoted && (c.is_ascii_alphabetic() || c == '[' || c == ']'))
            };
            let length = self.rest.find(ends).unwrap_or(self.rest.len());
            return Some(Piece::Text(self.take(length)));
        }
    }
}

/// Says what is wrong with a pattern.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    let mut pieces = Pieces::of(pattern);
    let mut open = 0_usize;
    for piece in pieces.by_ref() {
        match piece {
            Piece::Open => open += 1,
            Piece::Close => {
                open = open
                    .checked_sub(1)
                    .ok_or("a `]` in the pattern closes nothing")?;
            }
            _ => {}
        }
        let known = match piece {
            Piece::Open | Piece::Close => true,
            Piece::Text(text) => !text.contains(['{', '}', '#']),
            Piece::Field('G' | 'y' | 'u' | 'M' | 'L' | 'E' | 'z', 1..=4) => true,
            Piece::Field('d' | 'H' | 'h' | 'K' | 'k' | 'm' | 's', 1..=2) => true,
            Piece::Field('D' | 'Q' | 'q' | 'X' | 'x' | 'Z', 1..=3) => true,
            Piece::Field('O', 1 | 4) => true,
            Piece::Field('S', 1..=9) | Piece::Field('a', 1) | Piece::Field('V', 2) => true,
            Piece::Field(..) => false,
        };
        if !known {
            let what = match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Open | Piece::Close => String::new(),
                Piece::Field(letter, times) => letter.to_string().repeat(times),
            };
            return Err(format!("`{what}` has no meaning in a time pattern"));
        }
    }
    if pieces.quoted {
        Err("a quote in the pattern is not closed".to_owned())
    } else {
        Ok(())
    }
}

/// Appends a time by a pattern that was checked.
pub(crate) fn format(time: &Zoned, pattern: &str, text: &mut impl Write) -> std::fmt::Result {
    for piece in Pieces::of(pattern) {
        match piece {
            Piece::Text(as_it_is) => text.write_str(as_it_is)?,
            // A moment lacks nothing.
            Piece::Open | Piece::Close => {}
            Piece::Field(letter, width) => format_field(time, letter, width, text)?,
        }
    }
    Ok(())
}

fn format_field(
    time: &Zoned,
    letter: char,
    width: usize,
    text: &mut impl Write,
) -> std::fmt::Result {
    let number = match letter {
        'y' | 'u' if width == 2 => i32::from(time.year()).rem_euclid(100),
        'y' | 'u' => time.year().into(),
        'M' | 'L' if width > 2 => {
            return text.write_str(name(&MONTHS, time.month() - 1, width));
        }
        'M' | 'L' => time.month().into(),
        'G' => {
            let names = ["Before Christ", "BC", "Anno Domini", "AD"];
            let at = usize::from(time.year() > 0) * 2 + usize::from(width < 4);
            return text.write_str(names[at]);
        }
        'Q' | 'q' if width == 3 => return write!(text, "Q{}", (time.month() + 2) / 3),
        'Q' | 'q' => ((time.month() + 2) / 3).into(),
        'd' => time.day().into(),
        'D' => time.day_of_year().into(),
        'E' => {
            let day = time.weekday().to_monday_zero_offset();
            return text.write_str(name(&DAYS, day, width));
        }
        'H' => time.hour().into(),
        'k' => (i32::from(time.hour()) + 23) % 24 + 1,
        'h' => (i32::from(time.hour()) + 11) % 12 + 1,
        'K' => i32::from(time.hour()) % 12,
        'm' => time.minute().into(),
        's' => time.second().into(),
        'S' => time.subsec_nanosecond() / 10_i32.pow(9 - width as u32),
        'a' => return text.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'V' => return text.write_str(time.time_zone().iana_name().unwrap_or("UTC")),
        'z' => return format_zone(time, width, text),
        _ => return format_offset(time.offset(), letter, width, text),
    };
    write!(text, "{number:0width$}")
}

/// `PDT`, or `Pacific Daylight Time` of a width of 4, where that name is known.
fn format_zone(time: &Zoned, width: usize, text: &mut impl Write) -> std::fmt::Result {
    let short = time.strftime("%Z").to_string();
    let long = ZONES.iter().find_map(|(zone, short_names, long_names)| {
        let at = short_names.iter().position(|name| *name == short)?;
        let is_there = time.time_zone().iana_name() == Some(*zone);
        (is_there || time.offset() == Offset::UTC).then_some(long_names[at])
    });
    match long {
        Some(long) if width == 4 => text.write_str(long),
        _ => text.write_str(&short),
    }
}

fn name<'n>(names: &[&'n str], at: i8, width: usize) -> &'n str {
    let name = names[at.rem_euclid(names.len() as i8) as usize];
    if width < 4 { &name[..3] } else { name }
}

/// `+01`, `+0130` (X, x: minutes if there are any), `+0100` (XX, Z), `+01:00` (XXX); `Z` for 0
/// by a capital X.
fn format_offset(
    offset: Offset,
    letter: char,
    width: usize,
    text: &mut impl Write,
) -> std::fmt::Result {
    let minutes = offset.seconds() / 60;
    if minutes == 0 && letter == 'X' {
        return text.write_char('Z');
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let is_zero = minutes == 0;
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    if letter == 'O' {
        return match (width, minutes) {
            _ if is_zero => text.write_str("GMT"),
            (4, _) => write!(text, "GMT{sign}{hours:02}:{minutes:02}"),
            (_, 0) => write!(text, "GMT{sign}{hours}"),
            _ => write!(text, "GMT{sign}{hours}:{minutes:02}"),
        };
    }
    write!(text, "{sign}{hours:02}")?;
    match (letter, width) {
        ('X' | 'x', 1) if minutes == 0 => Ok(()),
        ('X' | 'x', 3) => write!(text, ":{minutes:02}"),
        _ => write!(text, "{minutes:02}"),
    }
}

/// What a text has told of a time so far; what is missing is taken from 1970-01-01T00:00.
#[derive(Default, Clone)]
struct Told {
    is_before_christ: bool,
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: Option<i8>,
    afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanosecond: i32,
    zone: Option<TimeZone>,
}

/// Returns the time in a text, read by a checked pattern; `zone` counts where the text names none.
/// `None` where the text does not fit.
pub(crate) fn parse(text: &str, pattern: &str, zone: &TimeZone) -> Option<Timestamp> {
    let pieces: Vec<Piece> = Pieces::of(pattern).collect();
    let mut told = Told::default();
    match read_pieces(&pieces, text, &mut told)? {
        "" => told.time(zone),
        _ => None,
    }
}

/// Takes what pieces of a pattern stand for off the front of `text`; returns the rest.
fn read_pieces<'t>(pieces: &[Piece], text: &'t str, told: &mut Told) -> Option<&'t str> {
    let mut rest = text;
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        at += 1;
        match piece {
            Piece::Text(as_it_is) => rest = rest.strip_prefix(as_it_is)?,
            Piece::Field(letter, width) => {
                // Adjacent digits are separated by their counts.
                let adjacent = matches!(pieces.get(at), Some(Piece::Field(next, width))
                    if is_numeric(*next, *width));
                rest = told.take(rest, *letter, *width, adjacent)?;
            }
            Piece::Open => {
                let end = at + length_in_brackets(&pieces[at..]);
                let mut more = told.clone();
                if let Some(behind) = read_pieces(&pieces[at..end], rest, &mut more) {
                    (*told, rest) = (more, behind);
                }
                at = end;
            }
            Piece::Close => {}
        }
    }
    Some(rest)
}

/// Returns how many pieces there are before the bracket that closes; all where none does.
fn length_in_brackets(pieces: &[Piece]) -> usize {
    let mut open = 1;
    let closes = pieces.iter().position(|piece| {
        match piece {
            Piece::Open => open += 1,
            Piece::Close => open -= 1,
            _ => {}
        }
        open == 0
    });
    closes.unwrap_or(pieces.len())
}

fn is_numeric(letter: char, width: usize) -> bool {
    match letter {
        'M' | 'L' => width <= 2,
        'Q' | 'q' => width <= 2,
        'y' | 'u' | 'd' | 'D' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'S' => true,
        _ => false,
    }
}

impl Told {
    /// Takes a field off the front of `text`; returns the rest.
    fn take<'t>(
        &mut self,
        text: &'t str,
        letter: char,
        width: usize,
        adjacent: bool,
    ) -> Option<&'t str> {
        if !is_numeric(letter, width) {
            return self.take_word(text, letter, width);
        }
        let most = match (letter, width) {
            ('S', width) => width,
            (_, width) if adjacent => width,
            ('y' | 'u', 2) => 2,
            ('y' | 'u', _) => 4,
            ('D', _) => 3,
            ('Q' | 'q', _) => width,
            _ => 2,
        };
        let digits = text
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if digits < width.min(most) || digits == 0 {
            return None;
        }
        let (number, rest) = text.split_at(digits);
        let number: i32 = number.parse().ok()?;
        let small = i8::try_from(number).ok();
        match letter {
            'y' | 'u' if width == 2 => self.year = i16::try_from(2_000 + number).ok(),
            'y' | 'u' => self.year = i16::try_from(number).ok(),
            'M' | 'L' => self.month = small,
            'd' => self.day = small,
            'D' => self.day_of_year = i16::try_from(number).ok(),
            'H' => self.hour = small,
            'k' => {
                self.hour = small
                    .filter(|hour| (1..=24).contains(hour))
                    .map(|hour| hour % 24)
            }
            'h' => {
                self.hour = small
                    .filter(|hour| (1..=12).contains(hour))
                    .map(|hour| hour % 12);
                self.afternoon.get_or_insert(false);
            }
            'K' => {
                self.hour = small.filter(|hour| (0..=11).contains(hour));
                self.afternoon.get_or_insert(false);
            }
            // The quarter follows from the month.
            'Q' | 'q' => {}
            'm' => self.minute = small?,
            's' => self.second = small?,
            _ => self.nanosecond = number * 10_i32.pow(9 - width as u32),
        }
        Some(rest)
    }

    fn take_word<'t>(&mut self, text: &'t str, letter: char, width: usize) -> Option<&'t str> {
        match letter {
            'M' | 'L' => {
                let (month, rest) = take_name(text, &MONTHS, width)?;
                self.month = Some(month + 1);
                Some(rest)
            }
            'G' => {
                let names = [("Anno Domini", "AD"), ("Before Christ", "BC")];
                let short_or_long = |(long, short)| if width < 4 { short } else { long };
                let names = names.map(short_or_long);
                let at = names.iter().position(|name| text.starts_with(name))?;
                self.is_before_christ = at == 1;
                text.strip_prefix(names[at])
            }
            'Q' | 'q' => text
                .strip_prefix('Q')?
                .strip_prefix(|c: char| ('1'..='4').contains(&c)),
            // The day of the week follows from the date.
            'E' => take_name(text, &DAYS, width).map(|(_, rest)| rest),
            'a' => {
                let (half, rest) = text.split_at_checked(2)?;
                let afternoon = half.eq_ignore_ascii_case("pm");
                self.afternoon = Some(afternoon);
                (afternoon || half.eq_ignore_ascii_case("am")).then_some(rest)
            }
            'z' if width == 4 && zone_named(text).is_some() => {
                let (zone, rest) = zone_named(text)?;
                self.zone = Some(TimeZone::get(zone).ok()?);
                Some(rest)
            }
            'V' | 'z' => {
                let in_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
                let end = text.find(|c| !in_name(c)).unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                let known = ZONES.iter().find(|(_, short, _)| short.contains(&name));
                let zone = known
                    .filter(|_| letter == 'z')
                    .map_or(name, |(zone, ..)| *zone);
                self.zone = Some(TimeZone::get(zone).ok()?);
                Some(rest)
            }
            'O' => {
                let rest = text.strip_prefix("GMT")?;
                let (offset, rest) = match rest.starts_with(['+', '-']) {
                    true => take_offset(rest).or_else(|| take_hour(rest))?,
                    false => (Offset::UTC, rest),
                };
                self.zone = Some(TimeZone::fixed(offset));
                Some(rest)
            }
            _ => {
                let (offset, rest) = take_offset(text)?;
                self.zone = Some(TimeZone::fixed(offset));
                Some(rest)
            }
        }
    }

    fn time(self, zone: &TimeZone) -> Option<Timestamp> {
        let year = match (self.year, self.is_before_christ) {
            (Some(year), true) => 1 - year,
            (year, _) => year.unwrap_or(1970),
        };
        let date = match self.day_of_year {
            Some(day) => Date::new(year, 1, 1)
                .ok()?
                .with()
                .day_of_year(day)
                .build()
                .ok()?,
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let hour = self.hour.unwrap_or(0);
        let hour = match self.afternoon {
            Some(true) => hour % 12 + 12,
            Some(false) => hour % 12,
            None => hour,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let local = DateTime::from_parts(date, time);
        let zone = self.zone.as_ref().unwrap_or(zone);
        zone.to_timestamp(local).ok()
    }
}

/// Returns whether a word is an English name of a day, in three letters or in all.
pub(super) fn is_weekday(word: &str) -> bool {
    let whole = |width| take_name(word, &DAYS, width).is_some_and(|(_, rest)| rest.is_empty());
    whole(3) || whole(4)
}

/// Takes an English name off the front of `text`, in any case: three letters, or all from a
/// width of 4 on.
fn take_name<'t>(text: &'t str, names: &[&str], width: usize) -> Option<(i8, &'t str)> {
    (0..).zip(names).find_map(|(at, name)| {
        let name = if width < 4 { &name[..3] } else { name };
        let (word, rest) = text.split_at_checked(name.len())?;
        word.eq_ignore_ascii_case(name).then_some((at, rest))
    })
}

/// Takes a zone's long name off the front of `text`; returns the zone and the rest.
fn zone_named(text: &str) -> Option<(&'static str, &str)> {
    ZONES.iter().find_map(|(zone, _, long)| {
        let rest = long.iter().find_map(|name| text.strip_prefix(name))?;
        Some((*zone, rest))
    })
}

/// Takes `+1` off the front of `text`.
fn take_hour(text: &str) -> Option<(Offset, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let hours: i32 = text.get(1..2)?.parse().ok()?;
    let offset = Offset::from_seconds(sign * hours * 3_600).ok()?;
    Some((offset, text.get(2..)?))
}

/// Takes `Z`, `+01`, `+0130` or `+01:30` off the front of `text`.
fn take_offset(text: &str) -> Option<(Offset, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Offset::UTC, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two_digits = |text: &str| -> Option<i32> {
        let digits = text.get(..2)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let hours = two_digits(text.get(1..)?)?;
    let rest = text.get(3..)?;
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = match two_digits(after_colon) {
        Some(minutes) => (minutes, after_colon.get(2..)?),
        None => (0, rest),
    };
    let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?;
    Some((offset, rest))
}
