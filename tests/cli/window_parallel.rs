//! `k window` over a file by several threads: the same bytes as by one.

use crate::workdir::Workdir;

/// Calls that leave when they end and sometimes later, so that starts are far out of order; some
/// MiB, so that there are several chunks.
fn calls(workdir: &Workdir) {
    workdir
        .k("gen -q --rate 1000 --seconds 60 --seed 3 --start 2026-01-01 --order end --delay 5%:90s --only mono --out .")
        .assert_status(0);
}

/// Returns rows, what was said, and the account of a run by this many threads.
fn run(workdir: &Workdir, flags: &str, threads: usize) -> [String; 3] {
    let line = format!(
        "window {flags} --by caller --agg count,sum(duration),min(callee) --threads {threads} --stats-to stats.json"
    );
    let run = workdir.k(&line);
    let stats = workdir.read("stats.json");
    [run.stdout().to_owned(), run.stderr().to_owned(), stats]
}

#[test]
fn threads_change_nothing() {
    let workdir = Workdir::new();
    calls(&workdir);
    for windows in [
        "--tumbling 10s",
        "--tumbling 10s --grace 30s",
        "--hopping 60s,7s --out-of-order 20s",
        "--global",
    ] {
        let flags = format!("{windows} --from mono_signal.csv");
        let one = run(&workdir, &flags, 1);
        assert!(one[0].lines().count() > 5_000, "{}", one[1]);
        for threads in [2, 5] {
            assert!(
                run(&workdir, &flags, threads) == one,
                "{windows}, {threads} threads"
            );
        }
    }
}

#[test]
fn the_rows_before_a_malformed_record_are_those_of_one_thread() {
    let workdir = Workdir::new();
    calls(&workdir);
    let calls = workdir.read("mono_signal.csv");
    let mut lines: Vec<&str> = calls.lines().collect();
    lines.insert(40_000, "not,a,call");
    lines.insert(50_000, "nor,this");
    workdir.write("bad.csv", lines.join("\n"));
    for more in ["", "--skip-bad"] {
        let flags = format!("--tumbling 10s --from bad.csv {more}");
        let one = run(&workdir, &flags, 1);
        assert!(one[0].lines().count() > 1_000);
        assert!(one[1].contains("bad.csv, line 40001: "), "{}", one[1]);
        assert_eq!(one[1].contains("error: "), more.is_empty(), "{}", one[1]);
        assert!(run(&workdir, &flags, 3) == one, "{more}");
    }
}

#[test]
fn a_file_that_cannot_be_read_on_ends_as_with_one_thread() {
    let workdir = Workdir::new();
    calls(&workdir);
    let calls = workdir.read("mono_signal.csv");
    let lines: Vec<&str> = calls.lines().collect();
    let long = "x".repeat(17 << 20);
    let broken = |after: &[&str], broken: &str, behind: &[&str]| {
        let mut text = after.join("\n");
        text.extend(["\n", broken, "\n"]);
        text + &behind.join("\n")
    };
    let (before, behind) = lines.split_at(40_000);
    workdir.write("quote.csv", broken(before, "\"1,a", behind));
    workdir.write("far.csv", broken(before, "\"1,a", &[&long]));
    workdir.write("line.csv", broken(before, &long, behind));
    // The malformed record in front of it is what is told.
    let mut malformed = before.to_vec();
    malformed.insert(30_000, "not,a,call");
    workdir.write("both.csv", broken(&malformed, "\"1,a", behind));
    for (file, told) in [
        (
            "quote.csv",
            "line 40001: the quote that opens here is not closed before the end of the input",
        ),
        (
            "far.csv",
            "line 40001: the quote that opens here is not closed before the end of 16 MiB",
        ),
        ("line.csv", "line 40001: the record is longer than 16 MiB"),
        ("both.csv", "line 30001: "),
    ] {
        let flags = format!("--tumbling 10s --from {file}");
        let one = run(&workdir, &flags, 1);
        assert!(one[1].contains(told), "{file}: {}", one[1]);
        for threads in [2, 5] {
            let several = run(&workdir, &flags, threads);
            assert!(several == one, "{file}, {threads} threads: {}", several[1]);
        }
    }
}
