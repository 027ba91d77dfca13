//! The flags to type: a line of `k window` that suits what was found.

use super::{ColumnFound, Findings, Reading, TimeFound};
use crate::column::name::quoted_name;
use crate::term::units::{DAY, HOUR, MINUTE, SECOND, format_duration};

const DECIMAL_COMMA: &str = "--decimal-comma";

/// Returns the expression of a column's times by a pattern.
pub fn parsed(name: &str, pattern: &str) -> String {
    format!("parse_timestamp({}, '{pattern}')", quoted_name(name))
}

/// Returns a word of a command as a shell takes it.
pub fn for_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else if word.contains('\'') && !word.contains(['"', '$', '`', '\\', '!']) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

impl Findings {
    /// Returns the column that identifies records: nearly all its values are different, or all but
    /// those of records that are the same.
    pub fn identity(&self) -> Option<&ColumnFound> {
        let is_identity = |column: &&ColumnFound| {
            let is_measured = matches!(
                column.data_type,
                "decimal" | "double" | "timestamp" | "json"
            );
            let is_time = self.times.iter().any(|time| time.column == column.name);
            column.values >= 2
                && column.nulls == 0
                && (column.distinct * 10 >= column.values * 9
                    || column.values - column.distinct <= self.repeated)
                && !is_measured
                && !is_time
        };
        let named = |column: &&ColumnFound| {
            let name = column.name.to_lowercase();
            !(name == "id" || name.ends_with("id") || name.starts_with("id"))
        };
        let mut found: Vec<&ColumnFound> = self.columns.iter().filter(is_identity).collect();
        found.sort_by_key(named);
        found.first().copied()
    }

    /// Returns how many records repeat the identity of an earlier one.
    pub fn repeated_identities(&self) -> u64 {
        self.identity()
            .map_or(0, |column| column.values - column.distinct)
    }

    /// Returns the column to group by: texts of which few are different.
    fn group(&self) -> Option<&ColumnFound> {
        let texts = self.columns.iter().filter(|column| {
            let is_time = self.times.iter().any(|time| time.column == column.name);
            matches!(column.data_type, "text" | "boolean")
                && !is_time
                && column.distinct >= 2
                && column.distinct * 2 <= column.values
        });
        texts.min_by_key(|column| (column.nulls > 0, column.distinct))
    }

    /// Returns the column to add up: numbers that neither are times nor identify records.
    fn measure(&self) -> Option<&ColumnFound> {
        let identity = self.identity().map(|column| &column.name);
        self.columns.iter().find(|column| {
            let is_time = self.times.iter().any(|time| time.column == column.name);
            let name = column.name.to_lowercase();
            matches!(column.data_type, "bigint" | "decimal" | "double")
                && !is_time
                && identity != Some(&column.name)
                && !name.ends_with("id")
                && column.odd == 0
                && column.distinct > 1
        })
    }

    /// Returns whether `--decimal-comma` reads numbers that are none without it, and takes none away.
    fn wants_decimal_comma(&self) -> bool {
        let columns = || self.columns.iter();
        let has_points = |column: &ColumnFound| {
            column.decimal_commas.is_none() && matches!(column.data_type, "decimal" | "double")
        };
        columns().any(|column| column.has_decimal_comma) && !columns().any(has_points)
    }

    /// Returns the words of a command that windows the source, read with the `given` flags and their
    /// values; `None` where nothing looks like a time.
    pub fn command(&self, source: &str, given: &[(&str, String)]) -> Option<Vec<String>> {
        let time = self.times.first()?;
        let mut words = ["k", "window", "--from", source]
            .map(str::to_owned)
            .to_vec();
        let mut add = |flag: &str, value: String| {
            words.push(flag.to_owned());
            words.push(value);
        };
        for (flag, value) in given {
            add(flag, value.clone());
        }
        if self.wants_decimal_comma() && given.iter().all(|(flag, _)| *flag != DECIMAL_COMMA) {
            add(DECIMAL_COMMA, String::new());
        }
        add("--tumbling", size_for(time).to_owned());
        match &time.reading {
            Reading::Pattern(pattern) => add("--time", parsed(&time.column, pattern)),
            // Nanoseconds have no unit of their own everywhere.
            _ => add("--time", time.column.clone()),
        }
        if let Reading::S | Reading::Us | Reading::Ns = time.reading {
            add("--time-unit", time.reading.name().to_owned());
        }
        if time.step_back_ms > 0 {
            add(
                "--out-of-order",
                format_duration(rounded_up(time.step_back_ms)),
            );
        }
        if let Some(identity) = self.identity()
            && self.repeated_identities() > 0
        {
            add("--distinct", quoted_name(&identity.name));
        }
        if let Some(group) = self.group() {
            add("--by", quoted_name(&group.name));
        }
        if let Some(measure) = self.measure() {
            add(
                "--agg",
                format!("count, sum({})", quoted_name(&measure.name)),
            );
        }
        words.retain(|word| !word.is_empty()); // a flag without a value
        if self.malformed > 0 || time.others > 0 {
            words.push("--skip-bad".to_owned());
        }
        Some(words.iter().map(|word| for_shell(word)).collect())
    }
}

/// Returns the size of some twenty windows over a range.
fn size_for(time: &TimeFound) -> &'static str {
    const SIZES: [(i64, &str); 7] = [
        (SECOND, "1s"),
        (10 * SECOND, "10s"),
        (MINUTE, "1m"),
        (10 * MINUTE, "10m"),
        (HOUR, "1h"),
        (DAY, "1d"),
        (7 * DAY, "1w"),
    ];
    let range = time.to - time.from;
    let fits = SIZES.iter().find(|(size, _)| range / size <= 30);
    fits.map_or("1mo", |(_, size)| size)
}

/// Rounds a duration up to one that people would type.
fn rounded_up(ms: i64) -> i64 {
    let unit = [DAY, HOUR, MINUTE, SECOND]
        .into_iter()
        .find(|unit| ms > *unit);
    let unit = unit.unwrap_or(1);
    (ms + unit - 1) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_expressions_and_for_a_shell() {
        assert_eq!(quoted_name("Zeit"), "Zeit");
        assert_eq!(quoted_name("Order ID"), "\"Order ID\"");
        assert_eq!(quoted_name("1st"), "\"1st\"");
        assert_eq!(quoted_name("when"), "\"when\"");
        assert_eq!(for_shell("data/a.csv"), "data/a.csv");
        assert_eq!(
            for_shell("parse_timestamp(t, 'dd')"),
            "\"parse_timestamp(t, 'dd')\""
        );
        assert_eq!(
            for_shell("parse_timestamp(\"a b\", 'dd')"),
            "'parse_timestamp(\"a b\", '\\''dd'\\'')'"
        );
    }

    #[test]
    fn durations_are_rounded_up_to_whole_units() {
        for (ms, rounded) in [(7, 7), (1_001, 2_000), (61_000, 120_000), (60_000, 60_000)] {
            assert!(rounded_up(ms) >= ms);
            assert_eq!(rounded_up(ms), rounded, "{ms}");
        }
    }
}
