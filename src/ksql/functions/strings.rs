//! Text: lengths, cutting, padding, replacing. Positions count from 1, and characters, not UTF-16
//! units as in Java.

use super::{Call, Outcome, Scalar, lenient, strict};
use crate::ksql::types::Type;
use crate::ksql::value::{Value, text_of};

/// How long a text may become by padding or repeating.
const MAX_LENGTH: usize = 1 << 20;

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "LEN(text STRING) INT",
        "How many characters a text has.",
        |call| Ok(Value::Int(call.text(0).chars().count() as i32)),
    ),
    strict(
        "LEN(bytes BYTES) INT",
        "How many bytes there are.",
        |call| Ok(Value::Int(call.bytes(0).len() as i32)),
    ),
    strict(
        "UCASE(text STRING) STRING",
        "The text in upper case.",
        |call| Ok(call.text(0).to_uppercase().into()),
    ),
    strict(
        "LCASE(text STRING) STRING",
        "The text in lower case.",
        |call| Ok(call.text(0).to_lowercase().into()),
    ),
    strict(
        "TRIM(text STRING) STRING",
        "The text without blanks at its ends.",
        |call| {
            // Java's trim: all characters up to the blank.
            Ok(call.text(0).trim_matches(|c: char| c <= ' ').into())
        },
    ),
    strict(
        "INITCAP(text STRING) STRING",
        "Each word with a capital first letter, the rest in lower case.",
        |call| {
            let mut starts = true;
            let mut text = String::new();
            for c in call.text(0).chars() {
                if starts {
                    text.extend(c.to_uppercase())
                } else {
                    text.extend(c.to_lowercase())
                }
                starts = c.is_whitespace();
            }
            Ok(text.into())
        },
    ),
    strict(
        "SUBSTRING(text STRING, pos INT) STRING",
        "The text from a position on; a negative one counts from the end.",
        substring,
    ),
    strict(
        "SUBSTRING(text STRING, pos INT, length INT) STRING",
        "So many characters from a position on.",
        substring,
    ),
    strict(
        "SUBSTRING(bytes BYTES, pos INT) BYTES",
        "The bytes from a position on.",
        substring_of_bytes,
    ),
    strict(
        "SUBSTRING(bytes BYTES, pos INT, length INT) BYTES",
        "So many bytes from a position on.",
        substring_of_bytes,
    ),
    lenient(
        "CONCAT(text STRING...) STRING",
        "The texts one after the other; nulls are left out.",
        |call| {
            Ok(call
                .values
                .iter()
                .filter_map(Value::as_str)
                .collect::<String>()
                .into())
        },
    ),
    lenient(
        "CONCAT(bytes BYTES...) BYTES",
        "The bytes one after the other; nulls are left out.",
        |call| {
            let all: Vec<u8> = (0..call.count())
                .flat_map(|at| call.bytes(at))
                .copied()
                .collect();
            Ok(Value::Bytes(all.into()))
        },
    ),
    lenient(
        "CONCAT_WS(separator STRING, text STRING...) STRING",
        "The texts with a separator between them; nulls are left out.",
        |call| {
            let Some(separator) = call.some_text(0) else {
                return Ok(Value::Null);
            };
            let texts: Vec<&str> = call.values[1..].iter().filter_map(Value::as_str).collect();
            Ok(texts.join(separator).into())
        },
    ),
    lenient(
        "CONCAT_WS(separator BYTES, bytes BYTES...) BYTES",
        "The bytes with a separator between them; nulls are left out.",
        |call| {
            if call.value(0).is_null() {
                return Ok(Value::Null);
            }
            let parts: Vec<&[u8]> = (1..call.count())
                .filter(|at| !call.value(*at).is_null())
                .map(|at| call.bytes(at))
                .collect();
            Ok(Value::Bytes(parts.join(call.bytes(0)).into()))
        },
    ),
    strict(
        "LPAD(text STRING, length INT, padding STRING) STRING",
        "The text padded on the left to a length, or cut to it.",
        |call| pad(call, true),
    ),
    strict(
        "RPAD(text STRING, length INT, padding STRING) STRING",
        "The text padded on the right to a length, or cut to it.",
        |call| pad(call, false),
    ),
    strict(
        "LPAD(bytes BYTES, length INT, padding BYTES) BYTES",
        "The bytes padded on the left to a length, or cut to it.",
        |call| pad_bytes(call, true),
    ),
    strict(
        "RPAD(bytes BYTES, length INT, padding BYTES) BYTES",
        "The bytes padded on the right to a length, or cut to it.",
        |call| pad_bytes(call, false),
    ),
    strict(
        "REPLACE(text STRING, old STRING, new STRING) STRING",
        "The text with every `old` replaced by `new`.",
        |call| {
            let (text, old, new) = (call.text(0), call.text(1), call.text(2));
            let found = if old.is_empty() {
                text.len() + 1
            } else {
                text.matches(old).count()
            };
            bounded(text.len() + found * new.len())?;
            Ok(text.replace(old, new).into())
        },
    ),
    lenient(
        "INSTR(text STRING, part STRING) INT",
        "Where a part is found first; 0 if nowhere.",
        instr,
    ),
    lenient(
        "INSTR(text STRING, part STRING, pos INT) INT",
        "Where it is found from a position on; a negative one searches backwards.",
        instr,
    ),
    lenient(
        "INSTR(text STRING, part STRING, pos INT, nth INT) INT",
        "Where it is found for the nth time.",
        instr,
    ),
    strict(
        "MD5(text STRING) STRING",
        "The MD5 sum of the text's bytes in UTF-8, as hexadecimal digits.",
        |call| Ok(format!("{:x}", md5::compute(call.text(0))).into()),
    ),
    lenient("TO_STRING(value T) STRING", "The value as text.", |call| {
        Ok(text_of(call.value(0), &call.types[0]).map_or(Value::Null, Value::from))
    }),
];

/// Returns the range of `pos` and a length among `length` items.
fn range(call: &Call, length: usize) -> std::ops::Range<usize> {
    let (pos, length) = (call.whole(1), length as i64);
    let start = match pos {
        0 => 0,
        1.. => (pos - 1).min(length),
        _ => (length + pos).max(0),
    };
    let wanted = if call.count() > 2 {
        call.whole(2)
    } else {
        length
    };
    let end = start.saturating_add(wanted).clamp(start, length);
    start as usize..end as usize
}

fn substring(call: &Call) -> Outcome {
    let range = range(call, call.text(0).chars().count());
    Ok(call
        .text(0)
        .chars()
        .skip(range.start)
        .take(range.len())
        .collect::<String>()
        .into())
}

fn substring_of_bytes(call: &Call) -> Outcome {
    Ok(Value::Bytes(
        call.bytes(0)[range(call, call.bytes(0).len())].into(),
    ))
}

fn bounded(length: usize) -> Result<(), String> {
    if length > MAX_LENGTH {
        Err(format!("a text of {length} bytes is too long"))
    } else {
        Ok(())
    }
}

/// Returns so many items of which the padding is repeated as often as is needed.
fn padded<T: Clone>(items: Vec<T>, padding: &[T], length: usize, on_the_left: bool) -> Vec<T> {
    let missing = length.saturating_sub(items.len());
    let filler = padding.iter().cycle().take(missing).cloned();
    let kept = items.into_iter().take(length);
    if on_the_left {
        filler.chain(kept).collect()
    } else {
        kept.chain(filler).collect()
    }
}

fn pad(call: &Call, on_the_left: bool) -> Outcome {
    let padding: Vec<char> = call.text(2).chars().collect();
    let Ok(length) = usize::try_from(call.whole(1)) else {
        return Ok(Value::Null);
    };
    if padding.is_empty() {
        return Ok(Value::Null);
    }
    bounded(length)?;
    Ok(padded(
        call.text(0).chars().collect(),
        &padding,
        length,
        on_the_left,
    )
    .into_iter()
    .collect::<String>()
    .into())
}

fn pad_bytes(call: &Call, on_the_left: bool) -> Outcome {
    let Ok(length) = usize::try_from(call.whole(1)) else {
        return Ok(Value::Null);
    };
    if call.bytes(2).is_empty() {
        return Ok(Value::Null);
    }
    bounded(length)?;
    Ok(Value::Bytes(
        padded(call.bytes(0).to_vec(), call.bytes(2), length, on_the_left).into(),
    ))
}

fn instr(call: &Call) -> Outcome {
    if call.value(0).is_null() || call.value(1).is_null() {
        return Ok(Value::Int(0));
    }
    if call.values[2..].iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let text: Vec<char> = call.text(0).chars().collect();
    let part: Vec<char> = call.text(1).chars().collect();
    let pos = if call.count() > 2 { call.whole(2) } else { 1 };
    let nth = if call.count() > 3 { call.whole(3) } else { 1 };
    let is_at = |start: &usize| text[*start..].starts_with(&part);
    let last = text.len() as i64 - part.len() as i64;
    let nth = usize::try_from(nth - 1).ok();
    let found = match (pos, nth) {
        (0, _) | (_, None) => None,
        _ if last < 0 => None,
        (1.., Some(nth)) => (pos - 1..=last)
            .map(|start| start as usize)
            .filter(is_at)
            .nth(nth),
        (_, Some(nth)) => {
            let from = last.min(text.len() as i64 + pos);
            (0..=from)
                .rev()
                .map(|start| start as usize)
                .filter(is_at)
                .nth(nth)
        }
    };
    Ok(Value::Int(found.map_or(0, |at| at as i32 + 1)))
}

/// The result is a decimal as the argument is; of families that share it.
pub(super) fn as_first(types: &[Type]) -> Result<Type, String> {
    types
        .first()
        .cloned()
        .ok_or_else(|| "no argument".to_owned())
}
