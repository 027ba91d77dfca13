//! The plan of a windowed aggregation as flags, printed and read.

use std::fmt;
use std::str::FromStr;

use super::spec::{self, WindowSpec};
use super::{Change, Noted, Plan, Query, Ranked};
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::{Error, Result};
use crate::expression::column_text;
use crate::format::{Reading, TimeUnit};
use crate::plan::clauses::{Clause, Clauses};
use crate::plan::time::{ARRIVAL, time_zone, unit_name, zone_name};
use crate::term::period::Period;
use crate::term::units::{format_duration, parse_duration};

impl Plan {
    /// Returns the flags that ask for this plan.
    pub fn clauses(&self) -> Clauses {
        let schema = &self.layout.schema;
        let duration = |ms: i64| (ms != 0).then(|| format_duration(ms));
        let time = if self.by_arrival {
            ARRIVAL.to_owned()
        } else {
            self.layout.time.text(schema)
        };
        let arrival_unit = self.arrival.map(|(_, unit)| unit);
        let units = [self.layout.time.unit(), arrival_unit]
            .into_iter()
            .flatten();
        let change = match self.change {
            Some(index) => Some(column_text(schema, index)),
            None => schema.change.map(|_| "none".to_owned()),
        };
        let (out_of_order, learned) = match self.bound {
            Bound::Fixed(ms) => (duration(ms), None),
            Bound::Percentile(percent) => (None, Some(format!("percentile:{percent}"))),
        };
        let ranking = self.ranking.as_ref();
        let order = ranking.map(|ranking| list(&ranking.order));
        let flag = |is_set: bool| is_set.then(String::new);
        let clauses = [
            ("--zone", zone_name(self.zone.as_ref()).map(str::to_owned)),
            ("--by", Some(list(&self.by)).filter(|by| !by.is_empty())),
            ("--agg", Some(list(&self.aggregates))),
            ("--where", self.filter.as_ref().map(ToString::to_string)),
            (
                "--distinct",
                self.distinct.as_ref().map(ToString::to_string),
            ),
            ("--change", change),
            ("--time", Some(time)),
            (
                "--time-unit",
                units.filter_map(unit_name).next().map(str::to_owned),
            ),
            (
                "--arrival",
                self.arrival.map(|(index, _)| column_text(schema, index)),
            ),
            ("--ahead", self.ahead_ms.map(format_duration)),
            ("--out-of-order", out_of_order),
            ("--watermark", learned),
            ("--grace", duration(self.grace_ms)),
            ("--trigger", unless_default(&self.trigger)),
            ("--refine", unless_default(&self.refinement)),
            ("--panes", flag(self.panes)),
            (
                "--select",
                self.selection
                    .as_ref()
                    .map(|selection| list(&selection.items)),
            ),
            (
                "--having",
                ranking
                    .and_then(|ranking| ranking.having.as_ref())
                    .map(ToString::to_string),
            ),
            ("--order-by", order.filter(|order| !order.is_empty())),
            (
                "--limit",
                ranking
                    .and_then(|ranking| ranking.limit)
                    .map(|limit| limit.to_string()),
            ),
            ("--decimal-comma", flag(self.decimal_comma)),
        ];
        let clauses = clauses
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| Clause { name, value }));
        Clauses(
            std::iter::once(spec::clause(&self.windows))
                .chain(clauses)
                .collect(),
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clauses().fmt(f)
    }
}

fn list(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

fn unless_default<T: ToString + Default + PartialEq>(value: &T) -> Option<String> {
    (*value != T::default()).then(|| value.to_string())
}

/// Reads `percentile:99`.
///
/// # Errors
/// What is wrong, for clap.
pub fn parse_percentile(text: &str) -> Result<f64, String> {
    let percent = text.strip_prefix("percentile:").map(str::parse::<f64>);
    match percent {
        Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("write `percentile:99`, with a number above 0 and at most 100".to_owned()),
    }
}

impl FromStr for Query {
    type Err = Error;

    /// Reads the flags of a query, as a plan prints them.
    ///
    /// # Errors
    /// `usage` for an unknown flag, and for a value that it does not take.
    fn from_str(text: &str) -> Result<Self> {
        let words = shlex::split(text)
            .ok_or_else(|| Error::usage(format!("a quote has no end in `{text}`")))?;
        let mut words = words.into_iter();
        let (mut spec, mut align) = (None, None);
        let mut query = Query {
            filter: None,
            by: None,
            aggregates: "count".to_owned(),
            distinct: None,
            change: Change::AsSeen,
            select: None,
            ranked: Ranked::default(),
            time: None,
            arrival: None,
            reading: Reading::default(),
            decimal_comma: false,
            windows: Windows::Global,
            grace_ms: 0,
            ahead_ms: None,
            bound: Bound::Fixed(0),
            trigger: Trigger::default(),
            refinement: Refinement::default(),
            panes: false,
            noted: Noted::Nothing,
        };
        while let Some(flag) = words.next() {
            match flag.as_str() {
                "--global" => spec = Some(WindowSpec::Global),
                "--panes" => query.panes = true,
                "--decimal-comma" => query.decimal_comma = true,
                flag => {
                    let value = words
                        .next()
                        .ok_or_else(|| Error::usage(format!("`{flag}` has no value")))?;
                    let wrong =
                        |why: String| Error::usage(format!("`{flag} {value}` does not fit: {why}"));
                    match WindowSpec::parse(flag, &value) {
                        Some(read) => spec = Some(read.map_err(wrong)?),
                        None if flag == "--align" => {
                            align = Some(Period::parse(&value).map_err(wrong)?);
                        }
                        None => query.set(flag, value)?,
                    }
                }
            }
        }
        let spec = spec.ok_or_else(|| Error::usage(format!("no windows in `{text}`")))?;
        query.windows = spec.windows(align, query.reading.zone.as_ref())?;
        Ok(query)
    }
}

impl Query {
    /// Takes the value of a flag that is not one of windows.
    fn set(&mut self, flag: &str, value: String) -> Result<()> {
        let wrong = |why: String| Error::usage(format!("`{flag} {value}` does not fit: {why}"));
        let unknown = || wrong("there is no such value".to_owned());
        match flag {
            "--zone" => self.reading.zone = Some(time_zone(&value)?),
            "--ahead" => self.ahead_ms = Some(parse_duration(&value).map_err(wrong)?),
            "--out-of-order" => self.bound = Bound::Fixed(parse_duration(&value).map_err(wrong)?),
            "--watermark" => {
                self.bound = Bound::Percentile(parse_percentile(&value).map_err(wrong)?)
            }
            "--grace" => self.grace_ms = parse_duration(&value).map_err(wrong)?,
            "--trigger" => self.trigger = value.parse()?,
            "--time-unit" => self.reading.unit = TimeUnit::named(&value).ok_or_else(unknown)?,
            "--refine" => self.refinement = Refinement::named(&value).ok_or_else(unknown)?,
            "--limit" => self.ranked.limit = Some(value.parse().map_err(|_| unknown())?),
            "--change" if value == "none" => self.change = Change::Never,
            "--change" => self.change = Change::Column(value),
            "--agg" => self.aggregates = value,
            "--by" => self.by = Some(value),
            "--where" => self.filter = Some(value),
            "--distinct" => self.distinct = Some(value),
            "--time" => self.time = Some(value),
            "--arrival" => self.arrival = Some(value),
            "--select" => self.select = Some(value),
            "--having" => self.ranked.having = Some(value),
            "--order-by" => self.ranked.order_by = Some(value),
            _ => return Err(Error::usage(format!("unknown flag `{flag}` of a plan"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::column::Schema;
    use crate::format::schema::parse_declaration;
    use crate::plan::clauses::Difference;

    fn schema() -> Schema {
        let columns = "start_timestamp bigint, duration bigint, caller string, a string, \
                       \"two words\" string, change string, came timestamp, price decimal";
        let mut schema = parse_declaration(columns).expect("columns");
        schema.change = schema.index_of("change");
        schema
    }

    fn plan(text: &str) -> Result<Plan> {
        text.parse::<Query>()?.plan(schema(), true)
    }

    /// Returns the text of a plan, of which its own text is another spelling.
    fn canonical(text: &str) -> String {
        let first = plan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = first.to_string();
        let again = plan(&printed).unwrap_or_else(|error| panic!("{text} → {printed}: {error}"));
        assert_eq!(again.to_string(), printed, "{text}");
        assert_eq!(again.clauses().difference(&first.clauses()), None);
        printed
    }

    #[test]
    fn a_plan_has_one_text_whatever_was_typed() {
        for (typed, expected) in [
            (
                "--tumbling 60s",
                "--tumbling 1m --agg count --time start_timestamp",
            ),
            (
                "--agg 'COUNT(*), Sum( DURATION ) as sum_duration' --global --by 'caller  as caller,(a)'",
                "--global --by 'caller, a' --agg 'count, sum(duration)' --time start_timestamp",
            ),
            (
                "--tumbling 10s --agg 'p99.9(price) as slow, count(distinct a)' --where \"a='x' and(duration>1)\"",
                "--tumbling 10s --agg 'p99.9(price) as slow, count(distinct a)' --where \"a = 'x' and duration > 1\" --time start_timestamp",
            ),
            (
                "--session 90s --trigger 'count 1' --refine retracting --time @timestamp --change none",
                "--session 1m30s --agg count --change none --time @record --trigger changes --refine retracting",
            ),
            (
                "--tumbling 1h --zone Europe/Paris --time came --time-unit s --out-of-order 90s --grace 0s",
                "--tumbling 1h --zone Europe/Paris --agg count --time came --out-of-order 1m30s",
            ),
            (
                "--tumbling 1d --zone UTC --time '\"two words\"' --watermark percentile:99.0 --ahead 0s",
                "--tumbling 1d --agg count --time '\"two words\"' --ahead 0s --watermark percentile:99",
            ),
            (
                "--sliding 1m --time @arrival --arrival start_timestamp --time-unit us --panes --select 'count*2 as n'",
                "--sliding 1m --agg count --time @arrival --time-unit us --arrival start_timestamp --panes --select 'count * 2 as n'",
            ),
            (
                "--tumbling 1m --having count>1 --order-by 'count  desc, window_end asc' --limit 3 --distinct a --change none",
                "--tumbling 1m --agg count --distinct a --change none --time start_timestamp --having 'count > 1' --order-by 'count desc, window_end' --limit 3",
            ),
        ] {
            // In these records a column `change` takes others back.
            let expected = if expected.contains("--change") {
                expected.to_owned()
            } else {
                expected.replacen(" --time", " --change change --time", 1)
            };
            assert_eq!(canonical(typed), expected, "{typed}");
        }
    }

    #[test]
    fn the_first_difference_is_named_and_what_is_shown_is_none_of_the_state() {
        let clauses = |text: &str| plan(text).expect(text).clauses().of_state();
        let one = clauses("--tumbling 10s --by caller --where \"a='x'\" --limit 3");
        let other = clauses("--hopping 1m,10s --by caller --panes --select count");
        let Difference { name, was, is } = one.difference(&other).expect("a difference");
        assert_eq!(name, "the window");
        assert_eq!(was.as_deref(), Some("--hopping 1m,10s"));
        assert_eq!(is.as_deref(), Some("--tumbling 10s"));
        let other = clauses("--tumbling 10000ms --by caller --panes --select count");
        let Difference { name, was, is } = one.difference(&other).expect("a difference");
        assert_eq!((name.as_str(), was), ("--where", None));
        assert_eq!(is.as_deref(), Some("a = 'x'"));
        let same = clauses("--tumbling 10s --by caller --where \"(a)  ='x'\" --panes");
        assert_eq!(one.difference(&same), None);
    }

    #[test]
    fn what_is_no_text_of_a_plan_is_refused() {
        for (text, said) in [
            ("--by caller", "no windows"),
            ("--tumbling 10s --by", "`--by` has no value"),
            ("--tumbling 10s --trigger 'count 0'", "invalid trigger"),
            ("--tumbling ten", "`--tumbling ten` does not fit"),
            ("--tumbling 10s --refine twice", "no such value"),
            ("--tumbling 10s --colour red", "unknown flag `--colour`"),
            ("--tumbling '10s", "a quote has no end"),
        ] {
            let error = text.parse::<Query>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    /// One of some spellings of a flag, or none.
    fn flag(spellings: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        prop::option::of(prop::sample::select(spellings)).prop_map(Option::unwrap_or_default)
    }

    fn queries() -> impl Strategy<Value = String> {
        let windows = prop::sample::select(
            &[
                "--tumbling 90s",
                "--tumbling 7d --align 3d1h",
                "--hopping 1mo,1w --align 2d",
                "--hopping 1y,3mo --align 14mo5d",
                "--hopping 36h,12h --align 13h",
                "--session 10s,25s",
                "--sliding 61s",
                "--global",
            ][..],
        );
        let what = (
            flag(&["--zone Europe/Paris", "--zone UTC"]),
            flag(&["--by caller", "--by 'lower(a)  as \"as\", \"two words\"'"]),
            flag(&[
                "--agg 'sum(duration+1), top(price, 3)'",
                "--agg 'quantile(duration, .25), max_by(a, -duration) as \"m n\"'",
                "--agg 'count(*) as n'",
            ]),
            flag(&[
                "--where \"a like '%''x\\\"' or not(price>1.50)\"",
                "--where 'duration between 1 and 2+3'",
            ]),
            flag(&["--change none", "--change a"]),
        );
        let when = (
            flag(&[
                "--time @record",
                "--time 'duration*1000'",
                "--time '\"two words\"'",
                "--time @arrival",
            ]),
            flag(&["--time-unit ns", "--time-unit ms"]),
            flag(&["--arrival came", "--arrival duration"]),
            flag(&["--out-of-order 1m", "--watermark percentile:97.5"]),
            flag(&["--grace 1000ms", "--grace 0s"]),
            flag(&[
                "--trigger 'every 60s or count 1'",
                "--trigger 'early(changes) watermark'",
                "--trigger 'watermark late(count 2 or count 3)'",
            ]),
            flag(&["--refine discarding", "--refine accumulating"]),
        );
        (
            windows,
            what,
            when,
            flag(&["--panes"]),
            flag(&["--decimal-comma"]),
        )
            .prop_map(
                |(windows, (zone, by, agg, condition, change), when, panes, comma)| {
                    let (time, unit, arrival, bound, grace, trigger, refine) = when;
                    [
                        windows, zone, by, agg, condition, change, time, unit, arrival, bound,
                        grace, trigger, refine, panes, comma,
                    ]
                    .join(" ")
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn what_a_plan_prints_has_the_same_plan(text in queries()) {
            // Not all flags go together; those are refused.
            if plan(&text).is_ok() {
                canonical(&text);
            }
        }
    }
}
