//! Windows a file: how many calls each caller made every ten seconds, and for how long.
//!
//! ```text
//! file ─► columns ─► windows, keys, aggregates ─► CSV on stdout
//! ```
//!
//! The same as `k window --tumbling 10s --by caller --agg 'count, sum(duration)' FILE`:
//!
//! ```sh
//! cargo run --example window_file -- data/sample/mono_signal.csv
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use k::engine::account::Account;
use k::engine::window::{Aligned, Windows};
use k::format::{Decoder, delimited};
use k::interrupt::Interrupt;
use k::node::{Node, Options, Outputs};
use k::outlet::Outlet;
use k::plan::Query;
use k::sink::text::{Notation, TextSink};
use k::term::units::SECOND;

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1);
    let path = path.context("usage: window_file FILE.csv")?;
    // Ctrl-C ends the run between two batches: what is written are whole rows.
    let interrupt = Interrupt::listen()?;
    let rows = Outlet::stdout(interrupt.clone())?;
    let account = window(Path::new(&path), rows, &interrupt)?;
    eprintln!(
        "{} records in, {} expired, {} rows out",
        account.records(),
        account.expired,
        account.rows
    );
    Ok(())
}

/// Windows the calls of a CSV file; returns where every record went.
fn window(path: &Path, rows: Outlet, interrupt: &Interrupt) -> Result<Account> {
    let (mut source, schema) = delimited::open(path, b',', interrupt)?;
    let query = Query {
        by: Some("caller".to_owned()),
        aggregates: "count, sum(duration)".to_owned(),
        grace_ms: 5 * SECOND,
        ..Query::over(Windows::Aligned(Aligned::tumbling(10 * SECOND)?))
    };
    // From here on every column exists and every type fits.
    let plan = query.plan(schema, false)?;
    let decoder = Decoder::csv(plan.layout.clone());
    let sink = Box::new(TextSink::new(rows, Notation::Csv, plan.header()));
    let (outputs, options) = (Outputs::default(), Options::default());
    let mut node = Node::new(&plan, decoder, 1, sink, outputs, options, interrupt)?;
    node.run(&mut source)
        .with_context(|| format!("cannot window {}", path.display()))?;
    Ok(*node.account())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_and_caller_has_a_row() {
        let folder = tempfile::tempdir().expect("a folder");
        let (calls, rows) = (folder.path().join("calls.csv"), folder.path().join("rows"));
        let text = "caller,start_timestamp,end_timestamp\na,1000,1500\nb,2000,2000\n\
                    a,9999,19999\na,10000,10001\na,1,2\n";
        std::fs::write(&calls, text).expect("a file");
        let interrupt = Interrupt::default();
        let outlet = Outlet::create(&rows, interrupt.clone()).expect("a file");
        let account = window(&calls, outlet, &interrupt).expect("good calls");
        assert_eq!(
            std::fs::read_to_string(&rows).expect("rows"),
            "window_start,window_end,caller,count,sum_duration\n\
             0,10000,a,3,10501\n0,10000,b,1,0\n10000,20000,a,1,1\n"
        );
        // The window of 1 ms had closed, and its grace had not passed.
        assert_eq!((account.on_time, account.late, account.expired), (4, 1, 0));
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = folder.path().join("calls.csv");
        std::fs::write(&calls, "caller,start_timestamp,end_timestamp\na,x,1\n").expect("a file");
        let interrupt = Interrupt::default();
        let outlet = Outlet::create(&folder.path().join("rows"), interrupt.clone());
        let error = window(&calls, outlet.expect("a file"), &interrupt).expect_err("no time");
        assert!(
            format!("{error:#}").contains("calls.csv, line 2"),
            "{error:#}"
        );
    }
}
