//! No text makes the parser, the checker or an evaluation panic or hang.
//!
//! `scripts/fuzz-expression` runs the long one for a given time.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::time::{ClockId, clock_gettime};

use super::generate::EVERYTHING;
use super::*;

/// What texts are put together of, beside what the grammar makes.
const TOKENS: [&str; 72] = [
    "n",
    "x",
    "flag",
    "text",
    "caller",
    "\"My Column\"",
    "`n`",
    "1",
    "0",
    "2.5",
    ".5",
    "1e9",
    "'a'",
    "''",
    "null",
    "true",
    "and",
    "or",
    "not",
    "is",
    "in",
    "like",
    "between",
    "case",
    "when",
    "then",
    "else",
    "end",
    "cast",
    "as",
    "bigint",
    "(",
    ")",
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "<>",
    "<",
    "||",
    "p99",
    "len(",
    "distinct",
    "timestamp",
    "'2026-01-01'",
    "extract(",
    "hour",
    "from",
    "date_trunc(",
    "'month'",
    "regexp_like(",
    "'(a+)+$'",
    "'['",
    "escape",
    "try_cast(",
    "99999999999999999999",
    "1e999",
    "--",
    "/*",
    "*/",
    "\"",
    "'",
    "\u{0}",
    "é",
    "日本",
    "count(",
    "::",
];

/// Far more than any text of this length needs.
const AT_MOST: Duration = Duration::from_secs(10);

/// Returns the time that this thread has spent on a processor, whatever else the machine does.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.try_into().expect("a time since the thread began")
}

/// Parses random texts, and evaluates those that are expressions, until told to end.
fn fuzz(seed: u64, mut goes_on: impl FnMut(u64) -> bool) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (schema, columns, mut arena) = (schema(), batch(), Bump::new());
    let mut valid = 0;
    for round in 0.. {
        if !goes_on(round) {
            break;
        }
        let text = random_text(&mut random);
        let began = processor_time();
        let tried = AssertUnwindSafe(|| try_text(&text, &schema, &columns, &arena));
        match std::panic::catch_unwind(tried) {
            Ok(parsed) => valid += u64::from(parsed),
            Err(_) => panic!("seed {seed}, round {round}: {text:?} panics"),
        }
        let took = processor_time() - began;
        assert!(
            took < AT_MOST,
            "seed {seed}, round {round}: {text:?} takes {took:?}"
        );
        arena.reset();
    }
    valid
}

/// Returns whether the text is an expression.
fn try_text(text: &str, schema: &Schema, columns: &Columns<'_>, arena: &Bump) -> bool {
    for error in [
        Expression::parse_condition(text, schema).err(),
        parse_list(text, schema).err(),
        parse_calls(text, schema).err(),
    ]
    .into_iter()
    .flatten()
    {
        assert_eq!(error.exit_status(), 2);
        assert!(error.lines().len() <= 8, "{text}");
    }
    let Ok(expression) = Expression::parse(text, schema) else {
        return false;
    };
    // The arena outlives the batch's own texts, which are static.
    let evaluated = expression.evaluate(columns, arena);
    assert_eq!(evaluated.column.len(), columns.rows);
    true
}

/// Returns tokens or bytes in a row, or an expression that was cut, mended or repeated.
fn random_text(random: &mut ChaCha8Rng) -> String {
    let mut text = match random.random_range(0..8) {
        0 => (0..random.random_range(0..24))
            .map(|_| char::from(random.random_range(0..128_u8)))
            .collect(),
        1 | 2 => tokens(random),
        _ => EVERYTHING.expression(random),
    };
    for _ in 0..random.random_range(0..3) {
        let at = place(&text, random);
        match random.random_range(0..5) {
            0 => text.insert_str(at, TOKENS[random.random_range(0..TOKENS.len())]),
            1 => text.truncate(at),
            2 => drop(text.drain(..at)),
            3 => {
                let other = EVERYTHING.expression(random);
                text.insert_str(at, &other);
            }
            _ => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                text.insert_str(at, &token.repeat(random.random_range(1..400)));
            }
        }
    }
    text
}

fn tokens(random: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(0..16) {
        text.push_str(TOKENS[random.random_range(0..TOKENS.len())]);
        if random.random_range(0..5) > 0 {
            text.push(' ');
        }
    }
    text
}

/// Returns a place between two characters.
fn place(text: &str, random: &mut ChaCha8Rng) -> usize {
    let at = random.random_range(0..=text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[test]
fn no_text_makes_an_expression_panic_or_hang() {
    let valid = fuzz(9, |round| round < 30_000);
    assert!(valid > 3_000, "{valid}");
}

#[test]
#[ignore = "as long as K_FUZZ_SECONDS says; `scripts/fuzz-expression` runs it"]
fn no_text_makes_an_expression_panic_or_hang_for_long() {
    let number = |name, default| {
        let given = std::env::var(name).ok();
        given.map_or(default, |given| given.parse().expect("a number"))
    };
    let (seed, seconds) = (number("K_FUZZ_SEED", 1), number("K_FUZZ_SECONDS", 10));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    let valid = fuzz(seed, |round| {
        rounds = round;
        Instant::now() < end
    });
    println!("seed {seed}: {rounds} texts, {valid} of them expressions, no panic, no hang");
}
