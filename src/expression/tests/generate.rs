//! Random expressions whose types fit.

use rand::{Rng, RngExt};

use crate::column::DataType;

/// What random expressions are made of, by type. In a shape, a single letter is a hole: `b` for a
/// bigint, `d` for a double, `m` for a decimal, `o` for a boolean, `t` for a text.
pub struct Grammar {
    pub bigints: Production,
    pub doubles: Production,
    /// Without a leaf where there are no decimals.
    pub decimals: Production,
    pub booleans: Production,
    pub texts: Production,
}

pub struct Production {
    pub leaves: &'static [&'static str],
    pub shapes: &'static [&'static str],
}

/// All that `k` knows.
pub const EVERYTHING: Grammar = Grammar {
    bigints: Production {
        leaves: &[
            "n",
            "duration",
            "0",
            "2",
            "-1",
            "9223372036854775807",
            "null",
        ],
        shapes: &[
            "(b + b)",
            "b - b",
            "b * b",
            "b / b",
            "b % b",
            "- b",
            "abs(b)",
            "len(t)",
            "case when o then b else b end",
            "case b when b then b when b then b end",
            "cast(d as bigint)",
            "cast(m as bigint)",
            "round(m)",
            "try_cast(t as bigint)",
            "coalesce(b, b)",
            "instr(t, t, b)",
            "round(d)",
            "nullif(b, b)",
            "extract(hour from b)",
            "extract('week', cast(b as timestamp), 'Europe/Paris')",
            "unix_timestamp(date_trunc('month', b))",
            "unix_timestamp(timestampadd(quarters, b, b))",
            "stringtotimestamp(t, 'yyyy-MM-dd')",
            "cast(cast(b as timestamp) as bigint)",
        ],
    },
    doubles: Production {
        leaves: &["x", "0.5", "1e18", "-0.0", "n"],
        shapes: &[
            "(d + d)",
            "d - d",
            "d * d",
            "cast(m as double)",
            "(d / b)",
            "d % d",
            "- d",
            "floor(d)",
            "sqrt(d)",
            "greatest(d, b)",
            "round(d, b)",
            "case when o then d end",
            "try_cast(t as double)",
        ],
    },
    decimals: Production {
        leaves: &["price", "decimal '0.10'", "decimal '-7'", "n"],
        shapes: &[
            "(m + m)",
            "m - m",
            "m * price",
            "price / m",
            "m % price",
            "- m",
            "m * 1.1",
            "abs(m)",
            "floor(m)",
            "round(m, b)",
            "trunc(m, b)",
            "greatest(m, b)",
            "cast(b as decimal)",
            "try_cast(d as decimal)",
            "try_cast(t as decimal)",
            "case when o then m end",
        ],
    },
    booleans: Production {
        leaves: &["flag", "true", "false", "null"],
        shapes: &[
            "o and o",
            "(o or o)",
            "not o",
            "b = b",
            "m < m",
            "price = d",
            "m is distinct from m",
            "price in (m, 0.5)",
            "d < d",
            "t <> t",
            "b >= d",
            "t like t",
            "b between b and b",
            "b not in (b, b, 3)",
            "t in ('a', t)",
            "(b is null)",
            "(o is not true)",
            "t is distinct from t",
            "o = (o)",
            "not (o and o)",
            "b in (1, 2, 3, 4, 5, 6, 7, 8, 9, null)",
            "cast(b as timestamp) < timestamp '2026-01-01'",
            "timestamp '1970-01-01T00:00:00.001Z' between cast(b as timestamp) and b",
            "regexp_like(t, '(.)[a-c]+$')",
            "regexp_like(t, t)",
            "t like '%a%'",
        ],
    },
    texts: Production {
        leaves: &[
            "text", "caller", "'a'", "''", "'café'", "'%a_'", "'12'", "null",
        ],
        shapes: &[
            "t || t",
            "t + t",
            "ucase(t)",
            "substring(t, b, b)",
            "trim(t)",
            "lpad(t, 3, t)",
            "concat(t, t)",
            "case when o then t else t end",
            "cast(b as text)",
            "replace(t, t, t)",
            "cast(d as text)",
            "cast(m as text)",
            "initcap(t)",
            "format_timestamp(b, 'yyyy-MM-dd EEE HH:mm:ss.SSS XXX', 'Asia/Kolkata')",
            "format_timestamp(b, t)",
            "cast(cast(b as timestamp) as text)",
            "regexp_extract('([a-z])(.)', t, b)",
            "regexp_replace(t, '[aeiou]', t)",
            "mask_left(t, b)",
            "extractjsonfield(t, '$.a')",
            "concat_ws(t, t, t)",
        ],
    },
};

impl Grammar {
    /// Returns an expression of any type.
    pub fn expression(&self, random: &mut impl Rng) -> String {
        let types = [
            DataType::Decimal,
            DataType::Bigint,
            DataType::Double,
            DataType::Boolean,
            DataType::Text,
        ];
        let types = &types[usize::from(self.decimals.leaves.is_empty())..];
        let data_type = types[random.random_range(0..types.len())];
        self.of_type(random, data_type, 4)
    }

    fn of_type(&self, random: &mut impl Rng, data_type: DataType, depth: usize) -> String {
        let Production { leaves, shapes } = match data_type {
            DataType::Bigint | DataType::Timestamp => &self.bigints,
            DataType::Double => &self.doubles,
            DataType::Decimal => &self.decimals,
            DataType::Boolean => &self.booleans,
            DataType::Text | DataType::Number | DataType::Any => &self.texts,
        };
        if depth == 0 || random.random_range(0..4) == 0 {
            return leaves[random.random_range(0..leaves.len())].to_owned();
        }
        let shape: Vec<char> = shapes[random.random_range(0..shapes.len())]
            .chars()
            .collect();
        let mut text = String::new();
        for (at, letter) in shape.iter().enumerate() {
            match hole(&shape, at) {
                Some(hole) => text.push_str(&self.of_type(random, hole, depth - 1)),
                None => text.push(*letter),
            }
        }
        text
    }
}

fn hole(shape: &[char], at: usize) -> Option<DataType> {
    let joins = |at: usize| {
        shape
            .get(at)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '\'' | '%'))
    };
    if joins(at + 1) || at.checked_sub(1).is_some_and(joins) {
        return None;
    }
    match shape[at] {
        'b' => Some(DataType::Bigint),
        'd' => Some(DataType::Double),
        'm' => Some(DataType::Decimal),
        'o' => Some(DataType::Boolean),
        't' => Some(DataType::Text),
        _ => None,
    }
}
