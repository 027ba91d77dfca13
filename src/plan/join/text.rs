//! The plan of a join as flags, printed and read.
//!
//! The text is canonical, as that of a plan of windows is ([`crate::plan::clauses`]). It names no
//! input: `--table` stands alone. What differs between the sides is there twice, first of the left; an
//! empty `--time` is that of a table that holds from the beginning.

use std::fmt;
use std::str::FromStr;

use super::{JoinPlan, JoinQuery, SideQuery};
use crate::engine::join::{Kind, Method};
use crate::error::{Error, Result};
use crate::format::{TimeFrom, TimeUnit};
use crate::plan::clauses::quoted;
use crate::plan::time::{time_zone, zone_name};
use crate::term::units::{format_duration, parse_duration};

/// UTC, as `--zone` takes it.
const UTC: &str = "UTC";

impl fmt::Display for JoinPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.query.method {
            Method::Within(ms) => write!(f, "--within {}", format_duration(ms))?,
            Method::Table => f.write_str("--table")?,
        }
        write!(f, " --on {}", quoted(&self.on))?;
        if self.query.kind != Kind::default() {
            write!(f, " --type {}", name_of(self.query.kind))?;
        }
        let sides = &self.sides;
        let times = [0, 1].map(|nth: usize| match &sides[nth].time {
            TimeFrom::Nowhere => String::new(),
            time => time.text(&sides[nth].schema),
        });
        write_both(f, "--time", &times, None)?;
        // What has no numbers is read by any unit.
        let units = sides.each_ref().map(|side| side.time.unit());
        let units = [units[0].or(units[1]), units[1].or(units[0])];
        let default = TimeUnit::default();
        let units = units.map(|unit| unit.unwrap_or(default));
        let of_default = Some(default.name());
        write_both(f, "--time-unit", &units.map(TimeUnit::name), of_default)?;
        let zones = self.query.sides.each_ref();
        let zones = zones.map(|side| zone_name(side.reading.zone.as_ref()).unwrap_or(UTC));
        write_both(f, "--zone", &zones, Some(UTC))?;
        let bounds = self.query.sides.each_ref();
        let bounds = bounds.map(|side| format_duration(side.out_of_order_ms));
        write_both(f, "--out-of-order", &bounds, Some(&format_duration(0)))
    }
}

/// Writes a flag once for both sides, or twice where they differ; not at all where both have the default.
fn write_both(
    f: &mut fmt::Formatter<'_>,
    flag: &str,
    values: &[impl AsRef<str>; 2],
    default: Option<&str>,
) -> fmt::Result {
    let [left, right] = values.each_ref().map(AsRef::as_ref);
    if left != right {
        return write!(f, " {flag} {} {flag} {}", quoted(left), quoted(right));
    }
    match default {
        Some(default) if default == left => Ok(()),
        _ => write!(f, " {flag} {}", quoted(left)),
    }
}

/// Returns the name of a kind, as `--type` takes it.
fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Inner => "inner",
        Kind::Left => "left",
        Kind::Outer => "outer",
    }
}

impl FromStr for JoinQuery {
    type Err = Error;

    /// Reads the flags of a query, as a plan prints them.
    ///
    /// # Errors
    /// `usage` for an unknown flag, and for a value that it does not take.
    fn from_str(text: &str) -> Result<Self> {
        let words = shlex::split(text)
            .ok_or_else(|| Error::usage(format!("a quote has no end in `{text}`")))?;
        let mut words = words.into_iter();
        let (mut on, mut method, mut kind) = (None, None, Kind::default());
        let mut of_sides: Vec<(String, Vec<String>)> = Vec::new();
        while let Some(flag) = words.next() {
            if flag == "--table" {
                method = Some(Method::Table);
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| Error::usage(format!("`{flag}` has no value")))?;
            match flag.as_str() {
                "--within" => {
                    let within =
                        parse_duration(&value).map_err(|why| wrong(&flag, &value, &why))?;
                    method = Some(Method::Within(within));
                }
                "--on" => on = Some(value),
                "--type" => {
                    let kinds = [Kind::Inner, Kind::Left, Kind::Outer];
                    let named = kinds.into_iter().find(|kind| name_of(*kind) == value);
                    kind = named.ok_or_else(|| wrong(&flag, &value, "there is no such type"))?;
                }
                _ => match of_sides.iter_mut().find(|(known, _)| *known == flag) {
                    Some((_, values)) if values.len() == 2 => {
                        return Err(Error::usage(format!("`{flag}` is given more than twice")));
                    }
                    Some((_, values)) => values.push(value),
                    None => of_sides.push((flag, vec![value])),
                },
            }
        }
        let mut sides: [SideQuery; 2] = Default::default();
        for (flag, values) in &of_sides {
            for (nth, side) in sides.iter_mut().enumerate() {
                let value = &values[nth.min(values.len() - 1)];
                side.set(flag, value, values.len() == 1)?;
            }
        }
        Ok(JoinQuery {
            on: on.ok_or_else(|| Error::usage(format!("no `--on` in `{text}`")))?,
            method: method
                .ok_or_else(|| Error::usage(format!("no `--within` or `--table` in `{text}`")))?,
            kind,
            sides,
        })
    }
}

impl SideQuery {
    /// Takes the value of a flag, which may be given once for both sides.
    fn set(&mut self, flag: &str, value: &str, is_shared: bool) -> Result<()> {
        match flag {
            "--time" => {
                self.time = (!value.is_empty()).then(|| value.to_owned());
                self.shared = is_shared;
            }
            "--time-unit" => {
                let unit = TimeUnit::named(value);
                self.reading.unit =
                    unit.ok_or_else(|| wrong(flag, value, "there is no such unit"))?;
            }
            "--zone" => self.reading.zone = Some(time_zone(value)?),
            "--out-of-order" => {
                let bound = parse_duration(value);
                self.out_of_order_ms = bound.map_err(|why| wrong(flag, value, &why))?;
            }
            _ => return Err(Error::usage(format!("unknown flag `{flag}` of a plan"))),
        }
        Ok(())
    }
}

fn wrong(flag: &str, value: &str, why: &str) -> Error {
    Error::usage(format!("`{flag} {value}` does not fit: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::schema::parse_declaration;
    use crate::plan::join::{Given, SidePlan};

    fn plan(text: &str) -> Result<JoinPlan> {
        let given = |columns: &str, record_times: bool| Given {
            schema: parse_declaration(columns).expect("columns"),
            record_times,
        };
        let left = "id bigint, \"two words\" string, a string, at bigint, start_timestamp bigint";
        let right = "key bigint, \"two words\" string, a string, came timestamp, at bigint";
        let right = given(right, text.contains("@record"));
        text.parse::<JoinQuery>()?.plan([given(left, false), right])
    }

    /// Returns the text of a plan, of which its own text is another spelling, and which is the same.
    fn canonical(text: &str) -> String {
        let first = plan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = first.to_string();
        let again = plan(&printed).unwrap_or_else(|error| panic!("{text} → {printed}: {error}"));
        assert_eq!(again.to_string(), printed, "{text}");
        assert_eq!(again.columns, first.columns, "{text}");
        for (again, first) in again.sides.iter().zip(&first.sides) {
            let time = |side: &SidePlan| side.time.describe(&side.schema);
            assert_eq!(time(again), time(first), "{text}");
            assert_eq!(again.layout().wanted, first.layout().wanted, "{text}");
            assert_eq!(again.carried, first.carried, "{text}");
            let keys = |side: &SidePlan| {
                let keys = side.keys.iter();
                let keys = keys.map(|key| (key.name.clone(), key.expression.text().to_owned()));
                keys.collect::<Vec<_>>()
            };
            assert_eq!(keys(again), keys(first), "{text}");
        }
        printed
    }

    #[test]
    fn a_plan_of_a_join_has_one_text_whatever_was_typed() {
        for (typed, expected) in [
            (
                "--within 60s --on 'key=id' --time at",
                "--within 1m --on 'id = key' --time at",
            ),
            (
                "--table --on 'two words' --type left",
                "--table --on '\"two words\"' --type left --time start_timestamp --time ''",
            ),
            (
                "--table --on 'LOWER(a)=Lower(a) as name' --time at --time '' --zone UTC",
                "--table --on 'lower(a) as name' --time at --time ''",
            ),
            (
                "--within 1h --on 'a, (id=1) = (key = 2) as b' --type outer --time at --time came \
                 --time-unit s --out-of-order 0s --out-of-order 90s",
                "--within 1h --on 'a, (id = 1) = (key = 2) as b' --type outer --time at \
                 --time came --time-unit s --time-unit ms --out-of-order 0s --out-of-order 1m30s",
            ),
            (
                "--within 1h --on 'a = a as a' --time at --time @record --time-unit us \
                 --zone Europe/Paris --zone UTC",
                "--within 1h --on a --time at --time @record --time-unit us --zone Europe/Paris \
                 --zone UTC",
            ),
        ] {
            assert_eq!(canonical(typed), expected, "{typed}");
        }
    }

    #[test]
    fn what_is_no_text_of_a_join_is_refused() {
        for (text, said) in [
            ("--on a", "no `--within` or `--table`"),
            ("--within 1m", "no `--on`"),
            ("--within 1m --on", "`--on` has no value"),
            ("--within ten --on a", "`--within ten` does not fit"),
            ("--within 1m --on a --type right", "no such type"),
            ("--within 1m --on a --time-unit h", "no such unit"),
            ("--within 1m --on a --by a", "unknown flag `--by`"),
            (
                "--table --on a --time a --time b --time c",
                "more than twice",
            ),
            ("--within '1m", "a quote has no end"),
        ] {
            let error = text.parse::<JoinQuery>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    /// One of some spellings of a flag, or none.
    fn flag(spellings: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        prop::option::of(prop::sample::select(spellings)).prop_map(Option::unwrap_or_default)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn what_a_plan_of_a_join_prints_has_the_same_plan(
            method in prop::sample::select(&["--within 90s", "--table"][..]),
            on in prop::sample::select(&[
                "--on a", "--on 'id = key'", "--on 'key=id as n, a'", "--on 'two words'",
                "--on '(a=\"two words\") = (key>1 or at = 2)'", "--on 'id+1 = key*2, lower(a)'",
            ][..]),
            kind in flag(&["--type left", "--type inner"]),
            time in flag(&[
                "--time at", "--time start_timestamp", "--time at --time came", "--time at --time ''",
                "--time 'at*1000'", "--time '' --time @record", "--time @record",
            ]),
            unit in flag(&["--time-unit s", "--time-unit s --time-unit ns", "--time-unit ms"]),
            zone in flag(&["--zone Europe/Paris", "--zone UTC --zone Asia/Tokyo"]),
            bound in flag(&["--out-of-order 60s", "--out-of-order 1m --out-of-order 0s"]),
        ) {
            let text = [method, on, kind, time, unit, zone, bound].join(" ");
            // Not all flags go together; those are refused.
            if plan(&text).is_ok() {
                canonical(&text);
            }
        }
    }
}
