//! `serde_json` alone over JSON lines, without `k`: what `scripts/bench-json` compares `k window`
//! with.
//!
//! In: a file of calls. Out: `records milliseconds`, their number and the sum of their durations,
//! so that nothing of the parsing can be left out.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};

use serde::Deserialize;

/// The members that `k window` reads there; the others are passed over.
#[derive(Deserialize)]
struct Call<'a> {
    caller: &'a str,
    start_timestamp: i64,
    end_timestamp: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: json_loop FILE")?;
    let mut lines = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut line = Vec::new();
    let (mut records, mut milliseconds) = (0_u64, 0_i64);
    while lines.read_until(b'\n', &mut line)? > 0 {
        let call: Call<'_> = serde_json::from_slice(&line)?;
        records += u64::from(!call.caller.is_empty());
        milliseconds += call.end_timestamp - call.start_timestamp;
        line.clear();
    }
    println!("{records} {milliseconds}");
    Ok(())
}
