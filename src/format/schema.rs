//! Which columns an input has, and of which types: declared, known by name, or as their use asks.
//!
//! In: `--schema` text, a header, or the first records. Out: a [`Schema`]. No type is guessed from
//! values: an undeclared column without a known name is [`DataType::Any`].

use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::column::derived::{Path, Step};
use crate::column::known::of_names;
use crate::column::{DataType, Digits, Field, Schema};
use crate::error::{Error, Result};
use crate::source::{Records, SAMPLE};

/// How many paths into members are kept of them.
const MAX_NESTED: usize = 1_000;

/// Reads a declaration such as `caller string, n bigint, "Order ID" string, price decimal(10, 2)`.
///
/// # Errors
/// `usage` with carets under what is not `NAME TYPE`.
pub(crate) fn parse_declaration(text: &str) -> Result<Schema> {
    let mut schema = Schema::default();
    let mut start = 0;
    for part in parts(text) {
        let at = start + part.len() - part.trim_start().len();
        let wrong = |message: String| {
            Error::usage(message)
                .at(text, at, at + part.trim().len())
                .hint(
                    "declare columns as `caller string, n bigint, \"Order ID\" string`; types are \
                     bigint, double, decimal, boolean, string, timestamp",
                )
        };
        start += part.len() + 1;
        let Some((name, kind)) = name_and_type(part.trim()) else {
            return Err(wrong("each column needs a name and a type".to_owned()));
        };
        let (data_type, digits) = match declared_type(kind) {
            Some(declared) => declared,
            None => return Err(wrong(format!("unknown type `{kind}`"))),
        };
        if schema.index_of(&name).is_some() {
            return Err(wrong(format!("column `{name}` is declared twice")));
        }
        let index = schema.fields.len();
        schema.digits.extend(digits.map(|digits| (index, digits)));
        schema.fields.push(Field { name, data_type });
    }
    Ok(schema)
}

/// Writes columns as [`parse_declaration`] reads them.
pub(crate) fn declaration(schema: &Schema) -> String {
    let is_plain = |name: &str| {
        let mut characters = name.chars();
        characters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@'))
    };
    let columns = schema.named().map(|(index, field)| {
        let kind = match schema.digits_of(index) {
            Some(digits) => digits.to_string(),
            None => field.data_type.to_string(),
        };
        if is_plain(&field.name) {
            format!("{} {kind}", field.name)
        } else {
            format!("\"{}\" {kind}", field.name.replace('"', "\"\""))
        }
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// Cuts a declaration at its commas, but for those in quotes and parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut depth) = (false, 0_i32);
    text.split(move |c: char| {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        c == ',' && !quoted && depth <= 0
    })
}

/// Returns the name and the type of `NAME TYPE`; a name in double quotes holds any characters.
fn name_and_type(part: &str) -> Option<(String, &str)> {
    let (name, kind) = match part.strip_prefix('"') {
        Some(quoted) => {
            let mut end = quoted.find('"')?;
            while quoted[end + 1..].starts_with('"') {
                end += 2 + quoted[end + 2..].find('"')?;
            }
            (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])
        }
        None => {
            let (name, kind) = part.split_once(char::is_whitespace)?;
            (name.to_owned(), kind)
        }
    };
    let kind = kind.trim();
    let has_blanks = kind
        .split_once('(')
        .map_or(kind, |(kind, _)| kind.trim_end());
    let whole = !name.is_empty() && !kind.is_empty() && !has_blanks.contains(char::is_whitespace);
    whole.then_some((name, kind))
}

/// Returns the type of a declaration: a name of SQL's, a decimal perhaps with its digits, or `any`
/// for one that use decides.
fn declared_type(kind: &str) -> Option<(DataType, Option<Digits>)> {
    let (name, arguments) = match kind.split_once('(') {
        Some((name, arguments)) => (name.trim_end(), Some(arguments.strip_suffix(')')?)),
        None => (kind, None),
    };
    if name.eq_ignore_ascii_case("any") && arguments.is_none() {
        return Some((DataType::Any, None));
    }
    let data_type = DataType::named(name)?;
    let number = |text: &str| text.trim().parse::<u8>().ok().map(u32::from);
    match (data_type, arguments) {
        (_, None) => Some((data_type, None)),
        (DataType::Decimal, Some(digits)) => {
            let (all, fraction) = digits.split_once(',').unwrap_or((digits, "0"));
            let (all, fraction) = (number(all)?, number(fraction)?);
            let digits = Digits { all, fraction };
            (fraction <= all).then_some((data_type, Some(digits)))
        }
        (DataType::Text, Some(length)) => number(length).map(|_| (data_type, None)),
        _ => None,
    }
}

/// Returns the members that the first JSON objects of some records have, in the order of their first
/// appearance; others may come, and are columns, too.
pub(crate) fn of_objects(records: &Records<'_>) -> Schema {
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    let mut nested = HashSet::new();
    let mut first = None;
    for bytes in objects(records).take(SAMPLE) {
        let Ok(Names(members)) = serde_json::from_slice(bytes) else {
            continue; // malformed, and decoding says so
        };
        for (name, value) in members {
            let mut path = Path {
                member: name,
                steps: Vec::new(),
            };
            add_nested(value, &mut path, &mut nested);
            if seen.insert(path.member.clone()) {
                names.push(path.member);
            }
        }
        first.get_or_insert(names.len());
    }
    let mut nested: Vec<Path> = nested.into_iter().collect();
    nested.sort_by_cached_key(Path::to_string);
    let of_first = of_names(&names[..first.unwrap_or(0)]);
    Schema {
        change: of_first.change,
        open: true,
        nested,
        ..of_names(&names)
    }
}

/// Returns `found` with the types that the user declared, and behind it the declared columns that
/// it has not.
pub(crate) fn declare(found: Schema, declared: &Schema) -> Schema {
    let mut schema = found;
    for (nth, field) in declared.fields.iter().enumerate() {
        let known = schema.index_of(&field.name);
        let index = known.unwrap_or(schema.fields.len());
        match known {
            Some(index) => schema.fields[index].data_type = field.data_type,
            None => schema.fields.push(field.clone()),
        }
        schema.digits.retain(|(of, _)| *of != index);
        let digits = declared.digits_of(nth);
        schema.digits.extend(digits.map(|digits| (index, digits)));
    }
    schema
}

/// Returns the bytes of each of some records.
fn objects<'a>(records: &'a Records<'_>) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
    match records {
        Records::Lines(lines) => {
            let lines = lines.bytes.split(|&byte| byte == b'\n');
            Box::new(lines.filter(|line| !line.trim_ascii().is_empty()))
        }
        Records::Messages(messages) => {
            Box::new(messages.iter().filter_map(|message| message.value))
        }
    }
}

/// Adds the paths of what lies in a value, of the first element of each list; as far as messages need.
fn add_nested(value: &RawValue, path: &mut Path, nested: &mut HashSet<Path>) {
    const DEEPEST: usize = 8;
    let mut add = |step: Step, value: &RawValue| {
        path.steps.push(step);
        if nested.len() < MAX_NESTED && path.steps.len() <= DEEPEST {
            if !nested.contains(path) {
                nested.insert(path.clone());
            }
            add_nested(value, path, nested);
        }
        path.steps.pop();
    };
    let text = value.get();
    if text.starts_with('{') {
        let Names(members) = serde_json::from_str(text).unwrap_or_default();
        let members = members.into_iter();
        members.for_each(|(name, value)| add(Step::Member(name), value));
    } else if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        elements
            .iter()
            .take(1)
            .for_each(|value| add(Step::Element(0), value));
    }
}

/// The members of a JSON object, in their order.
#[derive(Default)]
struct Names<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Names<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Names<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Names<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Names(members))
            }
        }
        object.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_take_quoted_names_and_the_types_of_sql() {
        let text =
            r#"a int, "Order ID" string, p decimal(10, 2), "a,""b" float, t timestamp, b bool"#;
        let schema = parse_declaration(text).expect("a declaration");
        let declared: Vec<_> = schema
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field.data_type))
            .collect();
        let expected = [
            ("a", DataType::Bigint),
            ("Order ID", DataType::Text),
            ("p", DataType::Decimal),
            ("a,\"b", DataType::Double),
            ("t", DataType::Timestamp),
            ("b", DataType::Boolean),
        ];
        assert_eq!(declared, expected);
        let again = parse_declaration(&declaration(&schema)).expect("what was written");
        assert_eq!(again, schema);
        for wrong in [
            "a",
            "a b",
            "a int int",
            "\"a int",
            "a bigint(3)",
            "a decimal(x)",
            "a int, a int",
            "a decimal(1",
            "a decimal(1, 2)",
            "a decimal(1, 1, 1)",
            "",
        ] {
            assert!(parse_declaration(wrong).is_err(), "{wrong}");
        }
    }
}
