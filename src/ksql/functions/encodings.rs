//! Bytes ⇄ text and numbers, characters by number, masks, regular expressions, distances.

use regex::Regex;

use super::{Call, Outcome, Scalar, lenient, strict};
use crate::ksql::value::{Value, base64, from_base64};

const MASK: &str = "The text with its letters and digits replaced: X, x, n, and - for all else; null keeps a kind.";

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "TO_BYTES(text STRING, encoding STRING) BYTES",
        "A text in hex, utf8, ascii or base64 as bytes.",
        |call| Ok(Value::Bytes(bytes_of(call.text(0), call.text(1))?.into())),
    ),
    strict(
        "FROM_BYTES(bytes BYTES, encoding STRING) STRING",
        "Bytes as a text in hex, utf8, ascii or base64.",
        |call| Ok(text_of(call.bytes(0), call.text(1))?.into()),
    ),
    strict(
        "ENCODE(text STRING, from STRING, to STRING) STRING",
        "A text in another encoding: hex, utf8, ascii, base64.",
        |call| {
            if call.text(1).eq_ignore_ascii_case(call.text(2)) {
                return Err(format!("{} is the encoding already", call.text(1)));
            }
            Ok(text_of(&bytes_of(call.text(0), call.text(1))?, call.text(2))?.into())
        },
    ),
    strict(
        "INT_FROM_BYTES(bytes BYTES) INT",
        "Four bytes as a number.",
        |call| Ok(Value::Int(i32::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "INT_FROM_BYTES(bytes BYTES, order STRING) INT",
        "Four bytes as a number, BIG_ENDIAN or LITTLE_ENDIAN.",
        |call| Ok(Value::Int(i32::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "BIGINT_FROM_BYTES(bytes BYTES) BIGINT",
        "Eight bytes as a number.",
        |call| Ok(Value::Bigint(i64::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "BIGINT_FROM_BYTES(bytes BYTES, order STRING) BIGINT",
        "Eight bytes as a number, BIG_ENDIAN or LITTLE_ENDIAN.",
        |call| Ok(Value::Bigint(i64::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "DOUBLE_FROM_BYTES(bytes BYTES) DOUBLE",
        "Eight bytes as a number.",
        |call| Ok(Value::Double(f64::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "DOUBLE_FROM_BYTES(bytes BYTES, order STRING) DOUBLE",
        "Eight bytes as a number, BIG_ENDIAN or LITTLE_ENDIAN.",
        |call| Ok(Value::Double(f64::from_be_bytes(ordered(call)?))),
    ),
    strict(
        "UUID(bytes BYTES) STRING",
        "Sixteen bytes as a UUID; null if there are more or fewer.",
        |call| {
            if call.bytes(0).len() != 16 {
                return Ok(Value::Null);
            }
            let digits = text_of(call.bytes(0), "hex")?;
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
            Ok(parts.join("-").into())
        },
    ),
    strict(
        "CHR(code INT) STRING",
        "The character of a number.",
        |call| {
            Ok(u32::try_from(call.whole(0))
                .ok()
                .and_then(char::from_u32)
                .map_or(Value::Null, |c| c.to_string().into()))
        },
    ),
    strict(
        "CHR(code STRING) STRING",
        "The character of UTF-16 codes: \\u004b.",
        |call| {
            let codes = call
                .text(0)
                .strip_prefix("\\u")
                .map(|text| text.split("\\u").map(|code| u16::from_str_radix(code, 16)));
            let units: Option<Vec<u16>> =
                codes.and_then(|codes| codes.collect::<Result<_, _>>().ok());
            Ok(units
                .and_then(|units| String::from_utf16(&units).ok())
                .map_or(Value::Null, Value::from))
        },
    ),
    lenient("MASK(text STRING) STRING", MASK, |call| {
        masked(call, 1, |_, _| true)
    }),
    lenient(
        "MASK(text STRING, upper STRING, lower STRING, digit STRING, other STRING) STRING",
        MASK,
        |call| masked(call, 1, |_, _| true),
    ),
    lenient(
        "MASK_LEFT(text STRING, n INT) STRING",
        "The first n characters masked.",
        |call| masked(call, 2, |at, _| at < count(call)),
    ),
    lenient(
        "MASK_LEFT(text STRING, n INT, upper STRING, lower STRING, digit STRING, other STRING) STRING",
        "The first n characters masked.",
        |call| masked(call, 2, |at, _| at < count(call)),
    ),
    lenient(
        "MASK_RIGHT(text STRING, n INT) STRING",
        "The last n characters masked.",
        |call| masked(call, 2, |at, length| at + count(call) >= length),
    ),
    lenient(
        "MASK_RIGHT(text STRING, n INT, upper STRING, lower STRING, digit STRING, other STRING) STRING",
        "The last n characters masked.",
        |call| masked(call, 2, |at, length| at + count(call) >= length),
    ),
    lenient(
        "MASK_KEEP_LEFT(text STRING, n INT) STRING",
        "All but the first n characters masked.",
        |call| masked(call, 2, |at, _| at >= count(call)),
    ),
    lenient(
        "MASK_KEEP_LEFT(text STRING, n INT, upper STRING, lower STRING, digit STRING, other STRING) STRING",
        "All but the first n characters masked.",
        |call| masked(call, 2, |at, _| at >= count(call)),
    ),
    lenient(
        "MASK_KEEP_RIGHT(text STRING, n INT) STRING",
        "All but the last n characters masked.",
        |call| masked(call, 2, |at, length| at + count(call) < length),
    ),
    lenient(
        "MASK_KEEP_RIGHT(text STRING, n INT, upper STRING, lower STRING, digit STRING, other STRING) STRING",
        "All but the last n characters masked.",
        |call| masked(call, 2, |at, length| at + count(call) < length),
    ),
    strict(
        "SPLIT(text STRING, separator STRING) ARRAY<STRING>",
        "The pieces between separators; without one, the characters.",
        |call| {
            let (text, separator) = (call.text(0), call.text(1));
            Ok(Value::array(match separator {
                "" => text.chars().map(|c| c.to_string().into()).collect(),
                _ => text.split(separator).map(Value::from).collect(),
            }))
        },
    ),
    strict(
        "SPLIT(bytes BYTES, separator BYTES) ARRAY<BYTES>",
        "The pieces between separators; without one, the bytes.",
        |call| {
            let (mut rest, separator) = (call.bytes(0), call.bytes(1));
            let piece = |bytes: &[u8]| Value::Bytes(bytes.into());
            if separator.is_empty() {
                return Ok(Value::array(rest.chunks(1).map(piece).collect()));
            }
            let mut pieces = Vec::new();
            while let Some(at) = rest
                .windows(separator.len())
                .position(|window| window == separator)
            {
                pieces.push(piece(&rest[..at]));
                rest = &rest[at + separator.len()..];
            }
            pieces.push(piece(rest));
            Ok(Value::array(pieces))
        },
    ),
    strict(
        "SPLIT_TO_MAP(text STRING, between STRING, within STRING) MAP<STRING, STRING>",
        "Entries between one separator, key and value between another.",
        |call| {
            let (between, within) = (call.text(1), call.text(2));
            if between.is_empty() || within.is_empty() {
                return Ok(Value::Null);
            }
            if between == within {
                return Ok(Value::Null);
            }
            // Of `a:b:c` the first two count.
            let entries = call.text(0).split(between).filter_map(|entry| {
                let mut parts = entry.split(within);
                Some((parts.next()?, parts.next()?))
            });
            Ok(Value::map(
                entries.map(|(key, value)| (key.into(), value.into())),
            ))
        },
    ),
    strict(
        "REGEXP_EXTRACT(pattern STRING, text STRING) STRING",
        "The first match.",
        extract,
    ),
    strict(
        "REGEXP_EXTRACT(pattern STRING, text STRING, group INT) STRING",
        "A group of the first match.",
        extract,
    ),
    strict(
        "REGEXP_EXTRACT_ALL(pattern STRING, text STRING) ARRAY<STRING>",
        "All matches.",
        extract_all,
    ),
    strict(
        "REGEXP_EXTRACT_ALL(pattern STRING, text STRING, group INT) ARRAY<STRING>",
        "A group of all matches.",
        extract_all,
    ),
    strict(
        "REGEXP_REPLACE(text STRING, pattern STRING, new STRING) STRING",
        "The text with every match replaced; $1 is a group.",
        |call| {
            Ok(regex(call.text(1))?
                .replace_all(call.text(0), braced(call.text(2)))
                .into_owned()
                .into())
        },
    ),
    strict(
        "REGEXP_SPLIT_TO_ARRAY(text STRING, pattern STRING) ARRAY<STRING>",
        "The pieces between matches.",
        |call| {
            let pattern = regex(call.text(1))?;
            let mut pieces: Vec<&str> = pattern.split(call.text(0)).collect();
            // Java's split, which ksqlDB takes for such patterns, has no empty pieces at the ends.
            if pattern.find("").is_some() {
                if pieces.len() > 1 && pieces[0].is_empty() {
                    pieces.remove(0);
                }
                while pieces.len() > 1 && pieces.last().is_some_and(|piece| piece.is_empty()) {
                    pieces.pop();
                }
            }
            Ok(Value::array(pieces.into_iter().map(Value::from).collect()))
        },
    ),
    strict(
        "GEO_DISTANCE(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE) DOUBLE",
        "Kilometres between two places.",
        distance,
    ),
    lenient(
        "GEO_DISTANCE(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE, unit STRING) DOUBLE",
        "The distance between two places, in KM or MI.",
        distance,
    ),
];

fn bytes_of(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    let invalid = || format!("{text} is not {encoding}");
    match encoding.to_lowercase().as_str() {
        "utf8" => Ok(text.as_bytes().to_vec()),
        "ascii" => Ok(text
            .encode_utf16()
            .map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(b'?'))
            .collect()),
        "base64" => match from_base64(text) {
            Some(Value::Bytes(bytes)) => Ok(bytes.to_vec()),
            _ => Err(invalid()),
        },
        "hex" => {
            // `0xa` is padded; any other odd number of digits is not hexadecimal.
            let digits = match text.strip_prefix("0x") {
                Some(digits) if digits.len() % 2 == 1 => format!("0{digits}"),
                Some(digits) => digits.to_owned(),
                None => text
                    .strip_prefix(['x', 'X'])
                    .and_then(|rest| rest.strip_prefix('\'')?.strip_suffix('\''))
                    .unwrap_or(text)
                    .to_owned(),
            };
            if digits.len() % 2 == 1 {
                return Err(invalid());
            }
            let pairs = digits.as_bytes().chunks(2).map(|pair| {
                std::str::from_utf8(pair)
                    .ok()
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            });
            pairs.collect::<Option<_>>().ok_or_else(invalid)
        }
        _ => Err(format!(
            "Supported input encodings are: hex, utf8, ascii and base64; not {encoding}"
        )),
    }
}

fn text_of(bytes: &[u8], encoding: &str) -> Result<String, String> {
    match encoding.to_lowercase().as_str() {
        "utf8" => Ok(String::from_utf8_lossy(bytes).into_owned()),
        "ascii" => Ok(bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii() {
                    char::from(*byte)
                } else {
                    '\u{fffd}'
                }
            })
            .collect()),
        "base64" => Ok(base64(bytes)),
        "hex" => Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => Err(format!(
            "Supported output encodings are: hex, utf8, ascii and base64; not {encoding}"
        )),
    }
}

/// Returns the bytes of a number, the highest first.
fn ordered<const N: usize>(call: &Call) -> Result<[u8; N], String> {
    let mut bytes: [u8; N] = call
        .bytes(0)
        .try_into()
        .map_err(|_| format!("{} bytes where {N} are a number", call.bytes(0).len()))?;
    match (call.count(), call.text(1).to_uppercase().as_str()) {
        (1, _) | (_, "BIG_ENDIAN") => {}
        (_, "LITTLE_ENDIAN") => bytes.reverse(),
        (_, other) => {
            return Err(format!(
                "the order is BIG_ENDIAN or LITTLE_ENDIAN, not {other}"
            ));
        }
    }
    Ok(bytes)
}

/// Returns how many characters MASK_LEFT and its siblings count; none is an error before this.
fn count(call: &Call) -> usize {
    usize::try_from(call.whole(1)).unwrap_or_default()
}

/// Masks the characters at the given places, by the four masks that begin at an argument.
fn masked(call: &Call, masks: usize, is_masked: impl Fn(usize, usize) -> bool) -> Outcome {
    let Some(text) = call.some_text(0) else {
        return Ok(Value::Null);
    };
    if masks == 2 && call.value(1).as_i64().is_none_or(|count| count < 0) {
        return Err("the number of characters is negative or null".to_owned());
    }
    let mask = |nth: usize, default: char| -> Result<Option<char>, String> {
        let text = match call.values.get(masks + nth) {
            None => return Ok(Some(default)),
            Some(value) => value.as_str(),
        };
        let Some(text) = text else {
            return Ok(None);
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(mask), None) => Ok(Some(mask)),
            _ => Err(format!("a mask is one character, not '{text}'")),
        }
    };
    let (upper, lower) = (mask(0, 'X')?, mask(1, 'x')?);
    let (digit, other) = (mask(2, 'n')?, mask(3, '-')?);
    let length = text.chars().count();
    let changed = text.chars().enumerate().map(|(at, c)| {
        let mask = match c {
            _ if !is_masked(at, length) => None,
            _ if c.is_uppercase() => upper,
            _ if c.is_lowercase() => lower,
            _ if c.is_numeric() => digit,
            _ => other,
        };
        mask.unwrap_or(c)
    });
    Ok(changed.collect::<String>().into())
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// Writes Java's `$1` as `${1}`, so that a letter may follow.
fn braced(new: &str) -> String {
    let mut braced = String::new();
    let mut rest = new.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('$', Some(digit)) if digit.is_ascii_digit() => {
                rest.next();
                braced.push_str(&format!("${{{digit}}}"));
            }
            ('$', _) => braced.push_str("$$"),
            ('\\', Some(escaped)) => {
                rest.next();
                braced.push_str(if escaped == '$' { "$$" } else { "" });
                if escaped != '$' {
                    braced.push(escaped);
                }
            }
            _ => braced.push(c),
        }
    }
    braced
}

fn group(call: &Call) -> Result<usize, String> {
    let group = if call.count() > 2 { call.whole(2) } else { 0 };
    usize::try_from(group).map_err(|_| format!("there is no group {group}"))
}

fn extract(call: &Call) -> Outcome {
    let group = group(call)?;
    let found = regex(call.text(0))?
        .captures(call.text(1))
        .and_then(|found| found.get(group).map(|found| found.as_str().to_owned()));
    Ok(found.into())
}

fn extract_all(call: &Call) -> Outcome {
    let (pattern, group) = (regex(call.text(0))?, group(call)?);
    if group >= pattern.captures_len() {
        return Ok(Value::Null);
    }
    let found = pattern.captures_iter(call.text(1)).map(|found| {
        found
            .get(group)
            .map(|found| found.as_str().to_owned())
            .into()
    });
    Ok(Value::array(found.collect()))
}

/// By the haversine formula, on a sphere of ksqlDB's size.
fn distance(call: &Call) -> Outcome {
    if call.values[..4].iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let radius = match call.text(4).trim().to_uppercase().as_str() {
        "" | "KM" | "KILOMETER" | "KILOMETERS" | "KILOMETRE" | "KILOMETRES" => 6371.0,
        "MI" | "MILE" | "MILES" => 3959.0,
        unit => return Err(format!("the unit is KM or MI, not {unit}")),
    };
    let (lat1, lat2) = (call.double(0), call.double(2));
    let (lon1, lon2) = (call.double(1), call.double(3));
    let is_place =
        |lat: f64, lon: f64| (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    if !is_place(lat1, lon1) || !is_place(lat2, lon2) {
        return Err("latitudes lie between -90 and 90, longitudes between -180 and 180".to_owned());
    }
    let half = |from: f64, to: f64| libm::sin((to - from).to_radians() / 2.0);
    let (lat, lon) = (half(lat1, lat2), half(lon1, lon2));
    let a = lat * lat + lon * lon * libm::cos(lat1.to_radians()) * libm::cos(lat2.to_radians());
    Ok(Value::Double(2.0 * radius * libm::asin(a.sqrt())))
}
