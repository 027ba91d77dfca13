//! What a record carries through a join: its columns as they were written, ready for a row.
//!
//! In: a record's bytes, CSV or JSON. Out: a piece of a row, CSV or JSON: what is joined on by its
//! value, so that equal values are equal bytes, then the other columns, each after a comma. Text
//! keeps its bytes and a number its digits. A column is parsed only where it has to be written
//! differently.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::{Column, DataType, ValueRef};
use crate::format::dialect::Dialect;
use crate::notation::{Notation, push_csv, push_csv_text, push_json};
use crate::number::{Number, canonical_double};
use crate::plan::join::SidePlan;

/// Writes the pieces of one side's records.
#[derive(Debug)]
pub(super) struct Part {
    to: Notation,
    /// What the records do differently.
    dialect: Dialect,
    /// Whether they are as `k` writes them, so that fields are carried as they are written.
    is_plain: bool,
    /// What is before each of what is joined on: `{"call_id":`.
    before_keys: Vec<Vec<u8>>,
    /// The one field that is not carried, if it is one and the others are carried as they are.
    key: Option<usize>,
    /// The other columns, in order.
    carried: Vec<Carried>,
}

#[derive(Debug)]
struct Carried {
    index: usize,
    name: String,
    data_type: DataType,
    /// What is before its value: `,"tower":`.
    before: Vec<u8>,
}

/// The values of one JSON object, in the order of the carried columns.
pub(super) type Members<'a> = Vec<Option<&'a RawValue>>;

impl Part {
    pub fn new(side: &SidePlan, to: Notation, dialect: Dialect) -> Self {
        let member = |before: u8, name: &str| match to {
            Notation::Csv => vec![before],
            Notation::Json => {
                let mut member = vec![before];
                push_json(&mut member, ValueRef::Text(name));
                member.push(b':');
                member
            }
        };
        let field = |index: usize| &side.schema.fields[index];
        let keys = side.keys.iter().enumerate();
        let mut before_keys: Vec<_> = keys
            .map(|(nth, key)| member(if nth == 0 { b'{' } else { b',' }, &key.name))
            .collect();
        if let (Notation::Csv, Some(first)) = (to, before_keys.first_mut()) {
            first.clear();
        }
        let is_carried = |index: usize| side.carried.iter().any(|(carried, _)| *carried == index);
        let is_plain = dialect == Dialect::default();
        let mut others = (0..side.schema.width()).filter(|&index| !is_carried(index));
        let key = others
            .next()
            .filter(|_| is_plain && others.next().is_none());
        let carried = side.carried.iter().map(|(index, name)| Carried {
            index: *index,
            name: field(*index).name.clone(),
            data_type: field(*index).data_type,
            before: member(b',', name),
        });
        Part {
            to,
            is_plain,
            dialect,
            before_keys,
            key,
            carried: carried.collect(),
        }
    }

    /// Appends what a row is joined on; returns whether some of it is null.
    #[inline]
    pub fn push_keys(
        &self,
        columns: &[Cow<'_, Column<'_>>],
        row: usize,
        line: &mut Vec<u8>,
    ) -> bool {
        let mut is_null = false;
        for (before, column) in self.before_keys.iter().zip(columns) {
            line.extend_from_slice(before);
            is_null |= self.push_key(column, row, line);
        }
        is_null
    }

    #[inline]
    fn push_key(&self, column: &Column<'_>, row: usize, line: &mut Vec<u8>) -> bool {
        let value = match column {
            Column::Bigint(values) => {
                if let Some(value) = values.get(row) {
                    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                    return false;
                }
                ValueRef::Null
            }
            // -0 equals 0.
            Column::Double(values) => values.get(row).map_or(ValueRef::Null, |value| {
                ValueRef::Double(canonical_double(value))
            }),
            // 1.50 equals 1.5.
            Column::Decimal(values) => canonical(values.get(row).map(Number::Decimal)),
            Column::Number(values) => canonical(values.get(row)),
            column => column.value_ref(row),
        };
        match self.to {
            Notation::Csv => push_csv(line, value),
            Notation::Json => push_json(line, value),
        }
        value == ValueRef::Null
    }

    /// Appends the other columns as nulls.
    pub fn push_nulls(&self, line: &mut Vec<u8>) {
        for carried in &self.carried {
            line.extend_from_slice(&carried.before);
            if self.to == Notation::Json {
                line.extend_from_slice(b"null");
            }
        }
    }

    /// Appends the other columns of a CSV record, which has as many fields as its header.
    #[inline]
    pub fn push_delimited(&self, record: &[u8], line: &mut Vec<u8>) {
        let Dialect {
            delimiter,
            spelling,
        } = &self.dialect;
        if let (Notation::Csv, Some(key)) = (self.to, self.key) {
            let (start, end) = nth_field(record, key);
            if key > 0 {
                line.push(b',');
                line.extend_from_slice(&record[..start - 1]);
            }
            line.extend_from_slice(&record[end..]);
            return;
        }
        let mut fields = Fields::new(record, *delimiter).enumerate();
        let mut text = Vec::new();
        for carried in &self.carried {
            let field = fields.find(|(nth, _)| *nth == carried.index);
            let field = field.map_or(&[][..], |(_, field)| field);
            line.extend_from_slice(&carried.before);
            if self.to == Notation::Csv && self.is_plain {
                line.extend_from_slice(field);
                continue;
            }
            text.clear();
            unquote(field, &mut text);
            if spelling.is_null(&text) {
                text.clear();
            }
            match self.to {
                Notation::Csv if text.is_empty() => {} // `""` would be a text
                Notation::Csv => push_csv_text(line, &text),
                Notation::Json => push_json_field(line, carried.data_type, &text),
            }
        }
    }

    /// Appends the other columns of a JSON object.
    ///
    /// # Errors
    /// Says where it is not JSON.
    pub fn push_json<'a>(
        &self,
        object: &'a [u8],
        members: &mut Members<'a>,
        line: &mut Vec<u8>,
    ) -> Result<(), String> {
        members.clear();
        members.resize(self.carried.len(), None);
        let mut json = serde_json::Deserializer::from_slice(object);
        let carried = &self.carried;
        json.deserialize_map(Object { carried, members })
            .map_err(|error| error.to_string())?;
        for (carried, value) in self.carried.iter().zip(members.iter()) {
            line.extend_from_slice(&carried.before);
            let value = value.map_or("null", RawValue::get);
            let value = if self.dialect.spelling.is_plain() || !is_null(value, &self.dialect) {
                value
            } else {
                "null"
            };
            match self.to {
                Notation::Json => push_json_value(line, value),
                Notation::Csv => push_csv_value(line, value),
            }
        }
        Ok(())
    }
}

/// Returns a number so that equal ones are equal bytes.
fn canonical(number: Option<Number>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, |number| number.canonical().into())
}

/// Returns where the `nth` field of a CSV record begins and ends.
#[inline]
fn nth_field(record: &[u8], nth: usize) -> (usize, usize) {
    let mut fields = Fields::new(record, Dialect::default().delimiter);
    let mut start = 0;
    for _ in 0..nth {
        start += fields.next().map_or(0, |field| field.len() + 1);
    }
    (start, start + fields.next().map_or(0, <[u8]>::len))
}

/// The fields of a CSV record as they are written, quotes included.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Fields<'a> {
    #[inline]
    fn new(record: &'a [u8], delimiter: u8) -> Self {
        Fields {
            rest: Some(record),
            delimiter,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = match rest.first() {
            Some(b'"') => end_of_quoted(rest, self.delimiter),
            _ => memchr::memchr(self.delimiter, rest),
        };
        let (field, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        self.rest = rest;
        Some(field)
    }
}

/// Returns where the delimiter is that ends a field that begins with a quote. What is between the
/// closing quote and that belongs to the field, as the `csv` crate has it.
fn end_of_quoted(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr(b'"', &bytes[at..])? + 1;
        match bytes.get(at) {
            // A doubled quote is one that belongs to the text.
            Some(b'"') => at += 1,
            _ => return memchr::memchr(delimiter, &bytes[at..]).map(|end| at + end),
        }
    }
}

/// Appends the text of a CSV field without its quotes.
fn unquote(field: &[u8], text: &mut Vec<u8>) {
    let Some((b'"', mut rest)) = field.split_first() else {
        return text.extend_from_slice(field);
    };
    while let Some(quote) = memchr::memchr(b'"', rest) {
        text.extend_from_slice(&rest[..quote]);
        rest = &rest[quote + 1..];
        if rest.first() != Some(&b'"') {
            break; // the closing one
        }
        text.push(b'"');
        rest = &rest[1..];
    }
    text.extend_from_slice(rest);
}

/// Appends a CSV field as a JSON value. What is not a number in a column of numbers is text.
fn push_json_field(line: &mut Vec<u8>, data_type: DataType, field: &[u8]) {
    let text = std::str::from_utf8(field).unwrap_or_default(); // checked before
    let is_number = || {
        let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        begins && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
    };
    match data_type {
        DataType::Any if !text.is_empty() => push_json(line, ValueRef::Any(text)),
        _ if text.is_empty() => line.extend_from_slice(b"null"),
        DataType::Bigint | DataType::Double | DataType::Decimal if is_number() => {
            line.extend_from_slice(field)
        }
        DataType::Boolean if text.eq_ignore_ascii_case("true") => line.extend_from_slice(b"true"),
        DataType::Boolean if text.eq_ignore_ascii_case("false") => line.extend_from_slice(b"false"),
        _ => push_json(line, ValueRef::Text(text)),
    }
}

/// Returns whether a JSON value is spelled as null.
fn is_null(value: &str, dialect: &Dialect) -> bool {
    let text = if value.starts_with('"') {
        serde_json::from_str(value).unwrap_or_default() // it has been parsed before
    } else {
        Cow::Borrowed(value)
    };
    dialect.spelling.is_null(text.as_bytes())
}

/// Appends a JSON value as it is written, on one line.
fn push_json_value(line: &mut Vec<u8>, value: &str) {
    let start = line.len();
    line.extend_from_slice(value.as_bytes());
    if is_nested(value) {
        // Outside of texts, which have none, a line end is a blank.
        let line_ends = line[start..].iter_mut().filter(|byte| **byte == b'\n');
        line_ends.for_each(|byte| *byte = b' ');
    }
}

/// Returns whether a JSON value is an object or a list.
fn is_nested(value: &str) -> bool {
    value.starts_with(['{', '['])
}

/// Appends a JSON value as a CSV field; an object or a list is its JSON.
fn push_csv_value(line: &mut Vec<u8>, value: &str) {
    let text = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    match text {
        _ if value == "null" => {}
        _ if is_nested(value) => push_csv_text(line, value.as_bytes()),
        None => line.extend_from_slice(value.as_bytes()),
        Some(text) if !text.contains('\\') => push_csv_text(line, text.as_bytes()),
        // It has been parsed before.
        Some(_) => {
            let text: String = serde_json::from_str(value).unwrap_or_default();
            push_csv_text(line, text.as_bytes());
        }
    }
}

/// Finds the carried members of an object, as they are written.
struct Object<'p, 'a> {
    carried: &'p [Carried],
    members: &'p mut Members<'a>,
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        // Members come in the order of the columns as a rule.
        let mut guess = 0;
        loop {
            let name = Name {
                carried: self.carried,
                guess,
            };
            match members.next_key_seed(name)? {
                None => return Ok(()),
                Some(None) => drop(members.next_value::<IgnoredAny>()?),
                Some(Some(at)) => {
                    self.members[at] = Some(members.next_value()?);
                    guess = at + 1;
                }
            }
        }
    }
}

/// Finds which carried column a member is.
struct Name<'p> {
    carried: &'p [Carried],
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let is_guess = |carried: &Carried| carried.name == name;
        if self.carried.get(self.guess).is_some_and(is_guess) {
            return Ok(Some(self.guess));
        }
        Ok(self.carried.iter().position(|carried| carried.name == name))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::expression::Expression;
    use crate::format::TimeFrom;
    use crate::format::schema::parse_declaration;
    use crate::plan::join::Key;

    fn part(columns: &str, key: usize, to: Notation) -> Part {
        let schema = parse_declaration(columns).expect("columns");
        let others = schema.fields.iter().enumerate();
        let others = others.filter(|(index, _)| *index != key);
        let carried = others.map(|(index, field)| (index, field.name.clone()));
        let carried = carried.collect();
        let time = TimeFrom::Nowhere;
        let name = schema.fields[key].name.clone();
        let expression = Expression::parse(&name, &schema).expect("a column");
        Part::new(
            &SidePlan {
                schema,
                keys: vec![Key {
                    name,
                    expression: expression.into(),
                }],
                time,
                carried,
            },
            to,
            Dialect::default(),
        )
    }

    fn delimited(columns: &str, key: usize, to: Notation, record: &str) -> String {
        let mut line = Vec::new();
        part(columns, key, to).push_delimited(record.as_bytes(), &mut line);
        String::from_utf8(line).expect("UTF-8")
    }

    fn object(columns: &str, to: Notation, record: &str) -> Result<String, String> {
        let (mut line, mut members) = (Vec::new(), Vec::new());
        part(columns, 0, to).push_json(record.as_bytes(), &mut members, &mut line)?;
        Ok(String::from_utf8(line).expect("UTF-8"))
    }

    #[test]
    fn csv_keeps_every_byte_wherever_the_key_stands() {
        let columns = "a string, b string, c string";
        for (record, rests) in [
            ("1,2,3", [",2,3", ",1,3", ",1,2"]),
            (",\"\",3", [",\"\",3", ",,3", ",,\"\""]),
            (
                "\"x,\"\"y\",\"\n\",5\" pipe",
                [
                    ",\"\n\",5\" pipe",
                    ",\"x,\"\"y\",5\" pipe",
                    ",\"x,\"\"y\",\"\n\"",
                ],
            ),
            (
                "\"a\"b,1.50,007",
                [",1.50,007", ",\"a\"b,007", ",\"a\"b,1.50"],
            ),
        ] {
            for (key, rest) in rests.into_iter().enumerate() {
                assert_eq!(delimited(columns, key, Notation::Csv, record), rest);
            }
        }
        assert_eq!(delimited("a string", 0, Notation::Csv, "1"), "");
    }

    #[test]
    fn fields_are_those_that_the_csv_crate_reads() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        for _ in 0..20_000 {
            let letters =
                (0..rng.random_range(1..12)).map(|_| b"a,,\"\"\r"[rng.random_range(0..6)]);
            let record: Vec<u8> = letters.collect();
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .terminator(csv::Terminator::Any(b'\n'))
                .from_reader(&record[..]);
            let read = reader.byte_records().next().expect("a record");
            let read: Vec<Vec<u8>> = read.expect("CSV").iter().map(<[u8]>::to_vec).collect();
            let unquoted = Fields::new(&record, b',').map(|field| {
                let mut text = Vec::new();
                unquote(field, &mut text);
                text
            });
            let unquoted: Vec<Vec<u8>> = unquoted.collect();
            assert_eq!(unquoted, read, "{:?}", record.escape_ascii().to_string());
        }
    }

    #[test]
    fn csv_becomes_json_without_harm_to_numbers() {
        let columns = "k bigint, n bigint, d double, b boolean, t string, e string";
        let json = |record: &str| delimited(columns, 0, Notation::Json, record);
        assert_eq!(
            json("1,12345678901234567890,1.50,TRUE,\"say \"\"so\"\", é\",\"\""),
            r#","n":12345678901234567890,"d":1.50,"b":true,"t":"say \"so\", é","e":null"#
        );
        assert_eq!(
            json("1,007,.5,maybe,1,"),
            r#","n":"007","d":".5","b":"maybe","t":"1","e":null"#
        );
    }

    #[test]
    fn json_keeps_every_byte_of_a_value() {
        let columns = "k bigint, n bigint, d double, t string, z string";
        let record =
            r#"{"t":"caf\u00e9 \"x\"", "x":[1], "d": 1.50e0, "k":1, "n":12345678901234567890}"#;
        assert_eq!(
            object(columns, Notation::Json, record),
            Ok(r#","n":12345678901234567890,"d":1.50e0,"t":"caf\u00e9 \"x\"","z":null"#.to_owned())
        );
        assert_eq!(
            object(columns, Notation::Csv, record),
            Ok(r#",12345678901234567890,1.50e0,"café ""x""","#.to_owned())
        );
        assert_eq!(
            object(columns, Notation::Csv, r#"{"t":"","d":null,"n":true}"#),
            Ok(r#",true,,"","#.to_owned())
        );
        let nested = "{\"d\":{\"x\": [1,\n2]},\"z\":[]}";
        assert_eq!(
            object(columns, Notation::Json, nested),
            Ok(r#","n":null,"d":{"x": [1, 2]},"t":null,"z":[]"#.to_owned())
        );
        assert_eq!(
            object(columns, Notation::Csv, nested),
            Ok(",,\"{\"\"x\"\": [1,\n2]}\",,[]".to_owned())
        );
    }

    #[test]
    fn keys_of_one_value_are_equal_bytes() {
        let key = |column: Column<'_>| {
            let mut line = Vec::new();
            let null = part("k double, t string", 0, Notation::Json).push_keys(
                &[Cow::Owned(column)],
                0,
                &mut line,
            );
            (String::from_utf8(line).expect("UTF-8"), null)
        };
        let double = |value: f64| key(Column::Double([Some(value)].into_iter().collect()));
        assert_eq!(double(-0.0), double(0.0));
        let text = |text| key(Column::Text([text].into_iter().collect()));
        assert_eq!(text(Some("a\"")), (r#"{"k":"a\"""#.to_owned(), false));
        assert_eq!(text(None), (r#"{"k":null"#.to_owned(), true));
    }
}
