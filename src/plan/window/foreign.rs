//! A plan as a statement of another engine: `k window … --as ksql|flink|spark`.
//!
//! What the other engine cannot say is refused, so that a statement that is printed gives the same
//! windows: ksqlDB's EMIT FINAL is `k`'s default; Flink's SQL has no grace; Spark's statement is a
//! batch, in which nothing is late.

use super::Plan;
use crate::column::{DataType, Schema};
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::format::{TimeFrom, TimeUnit};
use crate::ksql::lexer::{self, Kind};
use crate::ksql::names;
use crate::term::units::parse_duration;

/// Another engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// ksqlDB, and `k ksql`.
    Ksql,
    /// Flink SQL.
    Flink,
    /// Spark SQL.
    Spark,
}

/// Where the records are, for the declaration that stands before the query.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The name of the stream or table.
    pub name: String,
    /// The file or topic.
    pub place: String,
    /// Whether it is a topic.
    pub is_topic: bool,
    /// Whether values are JSON; else CSV.
    pub is_json: bool,
}

/// The windows that all of them have, in ms.
#[derive(Debug, Clone, Copy)]
enum Windows {
    Tumbling(i64),
    Hopping(i64, i64),
    Session(i64),
}

impl Plan {
    /// Returns the plan as a statement of another engine, with the declaration of its source.
    ///
    /// # Errors
    /// `usage` with what the other engine has no words for.
    pub fn statement(&self, dialect: Dialect, origin: &Origin) -> Result<String> {
        let writer = Writer {
            plan: self,
            dialect,
            origin,
        };
        writer.check()?;
        let windows = writer.windows()?;
        match dialect {
            Dialect::Ksql => writer.ksql(windows),
            Dialect::Flink => writer.flink(windows),
            Dialect::Spark => writer.spark(windows),
        }
    }
}

struct Writer<'a> {
    plan: &'a Plan,
    dialect: Dialect,
    origin: &'a Origin,
}

impl Writer<'_> {
    fn engine(&self) -> &'static str {
        match self.dialect {
            Dialect::Ksql => "ksqlDB",
            Dialect::Flink => "Flink SQL",
            Dialect::Spark => "Spark SQL",
        }
    }

    fn refuse(&self, what: &str) -> Error {
        Error::usage(format!("{} cannot say {what}", self.engine()))
    }

    /// Refuses what none of the statements can hold.
    fn check(&self) -> Result<()> {
        let plan = self.plan;
        let refused = [
            (plan.distinct.is_some(), "--distinct"),
            (
                plan.change.is_some(),
                "--change: records that take others back",
            ),
            (plan.selection.is_some(), "--select"),
            (
                plan.ranking.is_some(),
                "--having, --order-by or --limit as `k` means them",
            ),
            (plan.ahead_ms.is_some(), "--ahead"),
            (plan.by_arrival, "windows of processing time"),
            (plan.panes, "--panes"),
            (
                plan.trigger != Trigger::default(),
                "--trigger and --emit changes as `k` means them",
            ),
            (plan.refinement != Refinement::default(), "--refine"),
            (plan.decimal_comma, "--decimal-comma"),
            (plan.by.is_empty(), "windows without --by"),
            (
                self.dialect == Dialect::Flink && plan.grace_ms > 0,
                "--grace: it drops what comes behind the watermark",
            ),
        ];
        if let Some((_, what)) = refused.into_iter().find(|(is_asked, _)| *is_asked) {
            return Err(self.refuse(what));
        }
        let used = self.used();
        let mut derived = self.schema().derived.iter().map(|(at, _)| *at);
        match derived.find(|at| used.contains(at)) {
            Some(at) => {
                let name = &self.schema().fields[at].name;
                Err(self.refuse(&format!(
                    "{name}, which `k` computes: no record has that column"
                )))
            }
            None => Ok(()),
        }
    }

    fn windows(&self) -> Result<Windows> {
        let clause = super::spec::clause(&self.plan.windows);
        let (name, value) = clause.value.split_once(' ').unwrap_or((&clause.value, ""));
        let parts: Option<Vec<i64>> = value
            .split(',')
            .map(|part| parse_duration(part.trim()).ok())
            .collect();
        match (name, parts.as_deref()) {
            ("--tumbling", Some([size])) => Ok(Windows::Tumbling(*size)),
            ("--hopping", Some([size, advance])) => Ok(Windows::Hopping(*size, *advance)),
            ("--session", Some([gap])) => Ok(Windows::Session(*gap)),
            _ => Err(self.refuse(&clause.value)),
        }
    }

    /// Returns how far behind the highest time the watermark stays.
    fn bound_ms(&self) -> Result<i64> {
        match self.plan.bound {
            Bound::Fixed(ms) => Ok(ms),
            Bound::Percentile(_) => Err(self.refuse("a watermark that is learned")),
        }
    }

    fn schema(&self) -> &Schema {
        &self.plan.layout.schema
    }

    /// Returns the column of event times, which holds ms.
    fn time(&self) -> Result<&str> {
        match self.plan.layout.time {
            TimeFrom::Column(at, TimeUnit::Ms) => Ok(&self.schema().fields[at].name),
            TimeFrom::Column(..) => Err(self.refuse("--time-unit other than ms")),
            _ => Err(self.refuse("an event time that is not a column")),
        }
    }

    fn quoted(&self, name: &str) -> String {
        let is_plain = self.dialect == Dialect::Ksql
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !names::is_reserved(&name.to_uppercase());
        match is_plain {
            true => name.to_owned(),
            false => format!("`{}`", name.replace('`', "``")),
        }
    }

    fn type_of(&self, of: DataType) -> &'static str {
        match (of, self.dialect) {
            (DataType::Bigint | DataType::Timestamp, _) => "BIGINT",
            (DataType::Double | DataType::Number, _) => "DOUBLE",
            (DataType::Decimal, _) => "DECIMAL(28, 9)",
            (DataType::Boolean, _) => "BOOLEAN",
            (DataType::Text | DataType::Any, Dialect::Ksql) => "VARCHAR",
            (DataType::Text | DataType::Any, _) => "STRING",
        }
    }

    /// Returns the columns with their types: all of a line of CSV, those that are read of JSON.
    fn columns(&self) -> Result<String> {
        let time = self.time()?;
        let used = self.used();
        let fields = self.schema().fields.iter().enumerate();
        let wanted = fields.filter(|(at, field)| {
            let is_own = !self
                .schema()
                .derived
                .iter()
                .any(|(derived, _)| derived == at);
            let is_used = used.contains(at) || field.name == time;
            is_own && (is_used || !self.origin.is_json)
        });
        let columns = wanted.map(|(_, field)| {
            let of = match field.name == time {
                true => "BIGINT",
                false => self.type_of(field.data_type),
            };
            format!("{} {of}", self.quoted(&field.name))
        });
        Ok(columns.collect::<Vec<_>>().join(", "))
    }

    /// Returns the columns that expressions read.
    fn used(&self) -> Vec<usize> {
        let by = self.plan.by.iter().map(|item| &item.expression);
        let arguments = self
            .plan
            .aggregates
            .iter()
            .filter_map(|aggregate| aggregate.argument.as_ref());
        let all = by.chain(arguments).chain(self.plan.filter.as_ref());
        all.flat_map(Expression::columns).copied().collect()
    }

    fn keys(&self) -> Result<Vec<String>> {
        let key = |item: &crate::expression::Item| match item.expression.column() {
            Some(at) => Ok(self.quoted(&self.schema().fields[at].name)),
            None => Err(self
                .refuse(&format!(
                    "--by {}, which `k` computes",
                    item.expression.text()
                ))
                .hint("group by a column that is in the records")),
        };
        self.plan.by.iter().map(key).collect()
    }

    fn aggregates(&self) -> Result<Vec<String>> {
        let mut written = Vec::new();
        for aggregate in &self.plan.aggregates {
            let text = aggregate.to_string();
            let function = text
                .split('(')
                .next()
                .unwrap_or_default()
                .trim()
                .to_uppercase();
            let function = function.split_whitespace().next().unwrap_or_default();
            let is_shared = ["COUNT", "SUM", "AVG", "MIN", "MAX"].contains(&function);
            let column = match &aggregate.argument {
                None => Some("*".to_owned()),
                Some(argument) => argument
                    .column()
                    .map(|at| self.quoted(&self.schema().fields[at].name)),
            };
            if !is_shared || aggregate.carried.is_some() {
                let refused = self.refuse(&format!("{text} as `k` means it"));
                return Err(refused.hint("count, sum, avg, min and max mean the same there"));
            }
            let Some(column) = column else {
                let refused = self.refuse(&format!("{text}, whose argument `k` computes"));
                return Err(refused
                    .hint("name a column that is in the records: --agg 'max(end_timestamp)'"));
            };
            let name = self.quoted(&aggregate.name.replace(['(', ')', '*'], "_"));
            written.push(format!("{function}({column}) AS {name}"));
        }
        Ok(written)
    }

    /// Returns WHERE with what all of them understand; empty for no filter.
    fn filter(&self) -> Result<String> {
        let Some(filter) = &self.plan.filter else {
            return Ok(String::new());
        };
        let text = filter.text();
        let is_shared = |kind: &Kind| match kind {
            Kind::Word(word) => {
                let is_keyword = [
                    "AND", "OR", "NOT", "IS", "NULL", "IN", "BETWEEN", "LIKE", "TRUE", "FALSE",
                ]
                .contains(&word.as_str());
                is_keyword
                    || self
                        .schema()
                        .fields
                        .iter()
                        .any(|field| field.name.to_uppercase() == *word)
            }
            Kind::Symbol(symbol) => {
                !["%", "||", "->", "=>", "[", "]", "{", "}", ".", ";"].contains(symbol)
            }
            Kind::Text(_) | Kind::Integer(_) | Kind::End => true,
            _ => false,
        };
        let tokens = lexer::tokens(text).unwrap_or_default();
        match !tokens.is_empty() && tokens.iter().all(|token| is_shared(&token.kind)) {
            true => Ok(format!("\nWHERE {text}")),
            false => Err(self.refuse(&format!("--where {text} with certainty"))),
        }
    }

    fn ksql(&self, windows: Windows) -> Result<String> {
        let late = duration(self.plan.grace_ms + self.bound_ms()?);
        let windows = match windows {
            Windows::Tumbling(size) => {
                format!("TUMBLING (SIZE {}, GRACE PERIOD {late})", duration(size))
            }
            Windows::Hopping(size, advance) => format!(
                "HOPPING (SIZE {}, ADVANCE BY {}, GRACE PERIOD {late})",
                duration(size),
                duration(advance)
            ),
            Windows::Session(gap) => format!("SESSION ({}, GRACE PERIOD {late})", duration(gap)),
        };
        let name = self.quoted(&self.origin.name);
        let format = if self.origin.is_json {
            "JSON"
        } else {
            "DELIMITED"
        };
        let keys = self.keys()?;
        Ok(format!(
            "CREATE STREAM {name} ({}) WITH (KAFKA_TOPIC='{}', KEY_FORMAT='NONE', VALUE_FORMAT='{format}', TIMESTAMP='{}');\n\
             CREATE TABLE {} WITH (KEY_FORMAT='JSON') AS\nSELECT {}, {}\nFROM {name}\nWINDOW {windows}{}\nGROUP BY {}\nEMIT FINAL;\n",
            self.columns()?,
            self.origin.name,
            self.quoted(self.time()?),
            self.quoted(&format!("{}_windows", self.origin.name)),
            keys.join(", "),
            self.aggregates()?.join(", "),
            self.filter()?,
            keys.join(", "),
        ))
    }

    fn flink(&self, windows: Windows) -> Result<String> {
        let name = self.quoted(&self.origin.name);
        let time = self.quoted(self.time()?);
        let at = "DESCRIPTOR(event_time)";
        let keys = self.keys()?;
        let table = match windows {
            Windows::Tumbling(size) => {
                format!("TUMBLE(TABLE {name}, {at}, {})", self.interval(size)?)
            }
            Windows::Hopping(size, advance) => {
                format!(
                    "HOP(TABLE {name}, {at}, {}, {})",
                    self.interval(advance)?,
                    self.interval(size)?
                )
            }
            Windows::Session(gap) => format!(
                "SESSION(TABLE {name} PARTITION BY ({}), {at}, {})",
                keys.join(", "),
                self.interval(gap)?
            ),
        };
        let format = if self.origin.is_json { "json" } else { "csv" };
        let connector = match self.origin.is_topic {
            true => format!(
                "'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = 'localhost:9092', 'scan.startup.mode' = 'earliest-offset', 'format' = '{format}'",
                self.origin.place
            ),
            false => format!(
                "'connector' = 'filesystem', 'path' = '{}', 'format' = '{format}'",
                self.origin.place.replace('\'', "''")
            ),
        };
        let header = match self.origin.is_topic || self.origin.is_json {
            true => "",
            false => "-- Flink reads no header: take the file's first line away.\n",
        };
        Ok(format!(
            "{header}CREATE TABLE {name} ({}, event_time AS TO_TIMESTAMP_LTZ({time}, 3), WATERMARK FOR event_time AS event_time - {}) WITH ({connector});\n\
             SELECT window_start, window_end, {}, {}\nFROM TABLE({table}){}\nGROUP BY window_start, window_end, {};\n",
            self.columns()?,
            self.interval(self.bound_ms()?)?,
            keys.join(", "),
            self.aggregates()?.join(", "),
            self.filter()?,
            keys.join(", "),
        ))
    }

    /// Writes a duration for Flink, which takes no more than 999 days, and of smaller units no more than
    /// a larger one holds.
    fn interval(&self, ms: i64) -> Result<String> {
        let (seconds, ms) = (ms / 1_000, ms % 1_000);
        let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
        if days > 999 {
            return Err(self.refuse("a duration above 999 days"));
        }
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        Ok(format!(
            "INTERVAL '{days} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}' DAY(3) TO SECOND(3)"
        ))
    }

    fn spark(&self, windows: Windows) -> Result<String> {
        if self.origin.is_topic {
            return Err(self.refuse("a topic as the source of a statement alone; name a file"));
        }
        let name = self.quoted(&self.origin.name);
        let time = format!("timestamp_millis({})", self.quoted(self.time()?));
        let ms = |ms: i64| format!("'{ms} milliseconds'");
        let window = match windows {
            Windows::Tumbling(size) => format!("window({time}, {})", ms(size)),
            Windows::Hopping(size, advance) => {
                format!("window({time}, {}, {})", ms(size), ms(advance))
            }
            Windows::Session(gap) => format!("session_window({time}, {})", ms(gap)),
        };
        let (format, header) = match self.origin.is_json {
            true => ("json", ""),
            false => ("csv", ", header 'true'"),
        };
        let keys = self.keys()?;
        Ok(format!(
            "-- A batch: no record is late.\n\
             CREATE TEMPORARY VIEW {name} ({}) USING {format} OPTIONS (path '{}'{header});\n\
             SELECT unix_millis(w.start) AS window_start, unix_millis(w.end) AS window_end, {}, {}\nFROM (SELECT *, {window} AS w FROM {name}){}\nGROUP BY w, {};\n",
            self.columns()?,
            self.origin.place.replace('\'', "\\'"),
            keys.join(", "),
            self.aggregates()?.join(", "),
            self.filter()?,
            keys.join(", "),
        ))
    }
}

/// Writes a duration in ksqlDB's largest fitting unit.
fn duration(ms: i64) -> String {
    let units = [
        (86_400_000, "DAYS"),
        (3_600_000, "HOURS"),
        (60_000, "MINUTES"),
        (1_000, "SECONDS"),
    ];
    let fitting = units
        .into_iter()
        .find(|(unit_ms, _)| ms > 0 && ms % unit_ms == 0);
    let (unit_ms, unit) = fitting.unwrap_or((1, "MILLISECONDS"));
    format!("{} {unit}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Field;
    use crate::plan::Query;

    fn statement(flags: &str, dialect: Dialect) -> Result<String> {
        let query: Query = flags.parse()?;
        let field = |(name, data_type): (&str, DataType)| Field {
            name: name.to_owned(),
            data_type,
        };
        let columns = [
            ("caller", DataType::Text),
            ("seconds", DataType::Bigint),
            ("at", DataType::Bigint),
        ];
        let schema = Schema {
            fields: columns.map(field).to_vec(),
            ..Schema::default()
        };
        let origin = Origin {
            name: "calls".to_owned(),
            place: "calls.csv".to_owned(),
            is_topic: false,
            is_json: false,
        };
        query.plan(schema, false)?.statement(dialect, &origin)
    }

    const FLAGS: &str = "--hopping 1m,10s --by caller --agg 'count, sum(seconds) as s' --where 'seconds > 3' --time at";

    #[test]
    fn each_engine_has_its_words() {
        let ksql = statement(FLAGS, Dialect::Ksql).expect("a statement");
        assert!(
            ksql.contains(
                "HOPPING (SIZE 1 MINUTES, ADVANCE BY 10 SECONDS, GRACE PERIOD 0 MILLISECONDS)"
            ),
            "{ksql}"
        );
        let flink = statement(FLAGS, Dialect::Flink).expect("a statement");
        assert!(flink.contains("HOP(TABLE `calls`, DESCRIPTOR(event_time), INTERVAL '0 00:00:10.000' DAY(3) TO SECOND(3), INTERVAL '0 00:01:00.000' DAY(3) TO SECOND(3))"), "{flink}");
        let spark = statement(FLAGS, Dialect::Spark).expect("a statement");
        assert!(
            spark.contains(
                "window(timestamp_millis(`at`), '60000 milliseconds', '10000 milliseconds')"
            ),
            "{spark}"
        );
    }

    #[test]
    fn what_an_engine_cannot_say_is_refused() {
        for (more, dialect, words) in [
            ("--grace 5s", Dialect::Flink, "Flink SQL cannot say --grace"),
            (
                "--distinct seconds",
                Dialect::Ksql,
                "ksqlDB cannot say --distinct",
            ),
            (
                "--limit 3 --order-by count",
                Dialect::Spark,
                "Spark SQL cannot say",
            ),
        ] {
            let error = statement(&format!("{FLAGS} {more}"), dialect).expect_err("refused");
            assert!(error.to_string().starts_with(words), "{error}");
        }
    }
}
