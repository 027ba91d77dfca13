//! Functions of text. Positions and lengths count characters, the first is 1.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use super::Parameter::{Bigint, Text};
use super::{Arguments, Function, Returned, Returns, check_growth};
use crate::expression::scalar::Scalar;

const TEXT: &[(&str, super::Parameter)] = &[("text", Text)];
const PADDED: &[(&str, super::Parameter)] =
    &[("text", Text), ("length", Bigint), ("padding", Text)];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("concat", TEXT, Returns::Text, |arguments, arena| {
        joined("", arguments.each(), arena)
    })
    .repeats()
    .sees_null()
    .says("The texts joined; unlike with `||`, null counts as empty.")
    .example("concat('a', null, 'b')", "ab"),
    Function::new(
        "concat_ws",
        &[("separator", Text), ("text", Text)],
        Returns::Text,
        |arguments, arena| {
            if arguments.is_null(0) {
                Ok(Scalar::Null)
            } else {
                joined(arguments.text(0), arguments.each().skip(1), arena)
            }
        },
    )
    .repeats()
    .sees_null()
    .says("The texts that are not null, joined by a separator.")
    .example("concat_ws('-', 'a', null, 'b')", "a-b"),
    Function::new("ucase", TEXT, Returns::Text, |arguments, arena| {
        let text = arguments.text(0);
        if text.is_ascii() {
            let upper = arena.alloc_str(text);
            upper.make_ascii_uppercase();
            return Ok(Scalar::Text(upper));
        }
        Ok(mapped(text, arena, char::to_uppercase))
    })
    .alias("upper")
    .says("The text in upper case.")
    .example("ucase('straße')", "STRASSE"),
    Function::new("lcase", TEXT, Returns::Text, |arguments, arena| {
        let text = arguments.text(0);
        if text.is_ascii() {
            let lower = arena.alloc_str(text);
            lower.make_ascii_lowercase();
            return Ok(Scalar::Text(lower));
        }
        Ok(mapped(text, arena, char::to_lowercase))
    })
    .alias("lower")
    .says("The text in lower case.")
    .example("lcase('Ärger')", "ärger"),
    Function::new("initcap", TEXT, Returns::Text, initcap)
        .says(
            "The text with the first letter of each word in upper case, the others in lower case.",
        )
        .example("initcap('the next CALL')", "The Next Call"),
    Function::new("len", TEXT, Returns::Bigint, |arguments, _| {
        Ok(Scalar::Bigint(characters(arguments.text(0))))
    })
    .alias("length")
    .says("The number of characters.")
    .example("len('café')", "4"),
    Function::new("trim", TEXT, Returns::Text, |arguments, _| {
        Ok(Scalar::Text(arguments.text(0).trim_matches(|c| c <= ' ')))
    })
    .says("The text without leading and trailing blanks.")
    .example("trim('  a b ')", "a b"),
    Function::new(
        "substring",
        &[("text", Text), ("start", Bigint)],
        Returns::Text,
        substring,
    )
    .optional(&[("length", Bigint)])
    .alias("substr")
    .says("The part from a position on; a negative position counts from the end.")
    .example("substring('stream', -3, 2)", "ea"),
    Function::new(
        "instr",
        &[("text", Text), ("part", Text)],
        Returns::Bigint,
        instr,
    )
    .optional(&[("start", Bigint), ("occurrence", Bigint)])
    .sees_null()
    .says("The position of a part, 0 if there is none; a negative start searches backwards.")
    .example("instr('corporate floor', 'or', -3, 2)", "2"),
    Function::new(
        "replace",
        &[("text", Text), ("old", Text), ("new", Text)],
        Returns::Text,
        replace,
    )
    .says("The text with each occurrence of a part replaced.")
    .example("replace('a-b-c', '-', '+')", "a+b+c"),
    Function::new("lpad", PADDED, Returns::Text, |arguments, arena| {
        padded(arguments, arena, true)
    })
    .says("The text padded on the left, or cut, to a length.")
    .example("lpad('7', 3, '0')", "007"),
    Function::new("rpad", PADDED, Returns::Text, |arguments, arena| {
        padded(arguments, arena, false)
    })
    .says("The text padded on the right, or cut, to a length.")
    .example("rpad('ab', 5, 'xy')", "abxyx"),
    Function::new(
        "elt",
        &[("n", Bigint), ("text", Text)],
        Returns::Text,
        |arguments, _| {
            let chosen = arguments.bigint(0).and_then(|n| usize::try_from(n).ok());
            Ok(chosen
                .filter(|n| *n > 0)
                .map_or(Scalar::Null, |n| arguments.get(n)))
        },
    )
    .repeats()
    .sees_null()
    .chooses(|arguments, nth| nth == 0 || arguments.bigint(0) == Some(nth as i64))
    .says("The n-th of the texts, null if there is none.")
    .example("elt(2, 'a', 'b')", "b"),
    Function::new(
        "field",
        &[("text", Text), ("among", Text)],
        Returns::Bigint,
        |arguments, _| {
            let wanted = arguments.get(0);
            let found = arguments.each().skip(1).position(|other| other == wanted);
            let found = found.filter(|_| wanted != Scalar::Null);
            Ok(Scalar::Bigint(found.map_or(0, |at| at as i64 + 1)))
        },
    )
    .repeats()
    .sees_null()
    .chooses(|arguments, nth| {
        let wanted = arguments.get(0);
        let is_found = (1..nth).any(|before| arguments.get(before) == wanted);
        nth == 0 || (wanted != Scalar::Null && !is_found)
    })
    .says("The position of the text among the others, 0 if it is not there.")
    .example("field('b', 'a', 'b')", "2"),
    Function::new(
        "chr",
        &[("code", Bigint)],
        Returns::Text,
        |arguments, arena| {
            let code = arguments
                .bigint(0)
                .and_then(|code| u32::try_from(code).ok());
            let character = code.and_then(char::from_u32);
            let text = character.map(|c| &*arena.alloc_str(c.encode_utf8(&mut [0; 4])));
            Ok(text.map_or(Scalar::Null, Scalar::Text))
        },
    )
    .says("The character with a Unicode code point, null if there is none.")
    .example("chr(233)", "é"),
];

fn joined<'a>(
    separator: &str,
    texts: impl Iterator<Item = Scalar<&'a str>>,
    arena: &'a Bump,
) -> Returned<'a> {
    let mut all = ArenaString::new_in(arena);
    let (mut first, mut longest) = (true, separator.len());
    for text in texts {
        if let Scalar::Text(text) = text {
            if !first {
                all.push_str(separator);
            }
            all.push_str(text);
            longest = longest.max(text.len());
            first = false;
        }
    }
    check_growth(all.len(), longest)?;
    Ok(Scalar::Text(all.into_bump_str()))
}

fn mapped<'a, M: Iterator<Item = char>>(
    text: &str,
    arena: &'a Bump,
    map: impl Fn(char) -> M,
) -> Scalar<&'a str> {
    let mut mapped = ArenaString::with_capacity_in(text.len(), arena);
    mapped.extend(text.chars().flat_map(map));
    Scalar::Text(mapped.into_bump_str())
}

fn initcap<'a>(arguments: Arguments<'_, 'a>, arena: &'a Bump) -> Returned<'a> {
    let text = arguments.text(0);
    let mut capitalised = ArenaString::with_capacity_in(text.len(), arena);
    let mut begins = true;
    for c in text.chars() {
        if begins {
            capitalised.extend(c.to_uppercase())
        } else {
            capitalised.extend(c.to_lowercase())
        }
        begins = c.is_whitespace();
    }
    Ok(Scalar::Text(capitalised.into_bump_str()))
}

fn characters(text: &str) -> i64 {
    text.chars().count() as i64 // a byte loop that the compiler vectorises
}

/// Returns the byte at which the character with an index begins; the end where there is none.
fn byte_of(text: &str, character: i64) -> usize {
    let Ok(character) = usize::try_from(character) else {
        return 0;
    };
    let mut bytes = text.char_indices().map(|(byte, _)| byte);
    bytes.nth(character).unwrap_or(text.len())
}

fn substring<'a>(arguments: Arguments<'_, 'a>, _: &'a Bump) -> Returned<'a> {
    let text = arguments.text(0);
    let start = match arguments.bigint(1).unwrap_or(1) {
        back if back < 0 => characters(text).saturating_add(back).max(0),
        start => start - 1,
    };
    let rest = &text[byte_of(text, start)..];
    let length = arguments.bigint(2).unwrap_or(i64::MAX);
    Ok(Scalar::Text(&rest[..byte_of(rest, length)]))
}

/// Oracle's `instr`, which ksqlDB's documentation describes. Its code gives other numbers where
/// it finds nothing from a position on, or searches backwards for other than two characters.
fn instr<'a>(arguments: Arguments<'_, 'a>, _: &'a Bump) -> Returned<'a> {
    if arguments.is_null(0) || arguments.is_null(1) {
        return Ok(Scalar::Bigint(0));
    }
    let (text, part) = (arguments.text(0), arguments.text(1));
    let position = |at: usize, default: i64| {
        if arguments.values.len() > at {
            arguments.bigint(at)
        } else {
            Some(default)
        }
    };
    let (Some(start), Some(occurrence)) = (position(2, 1), position(3, 1)) else {
        return Ok(Scalar::Null);
    };
    let length = characters(text);
    let Some(skipped) = usize::try_from(occurrence - i64::from(occurrence > 0)).ok() else {
        return Ok(Scalar::Bigint(0));
    };
    if start == 0 || start.unsigned_abs() > length.unsigned_abs() || occurrence == 0 {
        return Ok(Scalar::Bigint(0));
    }
    let found = if start > 0 {
        let from = byte_of(text, start - 1);
        let mut places = text[from..].char_indices().map(|(byte, _)| from + byte);
        nth_place(&mut places, text, part, skipped)
    } else {
        let up_to = byte_of(text, length + start);
        let mut places = text
            .char_indices()
            .rev()
            .map(|(byte, _)| byte)
            .filter(|at| *at <= up_to);
        nth_place(&mut places, text, part, skipped)
    };
    Ok(Scalar::Bigint(
        found.map_or(0, |byte| characters(&text[..byte]) + 1),
    ))
}

/// Returns the place where `part` begins, after `skipped` others.
fn nth_place(
    places: &mut dyn Iterator<Item = usize>,
    text: &str,
    part: &str,
    skipped: usize,
) -> Option<usize> {
    places
        .filter(|byte| text[*byte..].starts_with(part))
        .nth(skipped)
}

fn replace<'a>(arguments: Arguments<'_, 'a>, arena: &'a Bump) -> Returned<'a> {
    let (text, old, new) = (arguments.text(0), arguments.text(1), arguments.text(2));
    if old.is_empty() || !text.contains(old) {
        return Ok(Scalar::Text(text));
    }
    let mut replaced = ArenaString::with_capacity_in(text.len(), arena);
    for (at, part) in text.split(old).enumerate() {
        if at > 0 {
            replaced.push_str(new);
        }
        replaced.push_str(part);
        check_growth(replaced.len(), text.len())?;
    }
    Ok(Scalar::Text(replaced.into_bump_str()))
}

/// Returns the text at its length; null if that is negative or the padding is empty.
fn padded<'a>(arguments: Arguments<'_, 'a>, arena: &'a Bump, at_front: bool) -> Returned<'a> {
    let (text, padding) = (arguments.text(0), arguments.text(2));
    let length = arguments.bigint(1).unwrap_or(-1);
    if length < 0 || padding.is_empty() {
        return Ok(Scalar::Null);
    }
    let missing = length - characters(text);
    if missing <= 0 {
        return Ok(Scalar::Text(&text[..byte_of(text, length)]));
    }
    let whole = text.len().saturating_add(missing as usize);
    check_growth(whole, text.len())?;
    let mut padded = ArenaString::with_capacity_in(whole, arena);
    if !at_front {
        padded.push_str(text);
    }
    padded.extend(padding.chars().cycle().take(missing as usize));
    if at_front {
        padded.push_str(text);
    }
    Ok(Scalar::Text(padded.into_bump_str()))
}
