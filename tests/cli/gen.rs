//! `k gen`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::workdir::{Run, Workdir};

const HEADER: &str = "call_id,start_timestamp,end_timestamp,start_timestring,end_timestring,\
                      caller,callee,disposition";

/// FNV-1a with 64 bits: enough to tell whether bytes are the same.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn signal(child: &std::process::Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

#[test]
fn the_default_run_makes_calls_segments_and_the_recipe() {
    let dir = Workdir::new();
    let run = dir.k("gen --rate 100 --seconds 60 --seed 7 --start 2026-01-01");
    run.assert_status(0);
    assert!(run.stdout_bytes.is_empty());
    for part in [
        "wrote 6,000 calls to data/mono_signal.csv (",
        " tower segments to data/tower.csv (",
        " connected, ",
        "none out of order",
        "`--seed 7 --start 2026-01-01T00:00:00Z`",
    ] {
        assert!(run.stderr().contains(part), "{part}: {}", run.stderr());
    }
    let calls = dir.read("data/mono_signal.csv");
    assert_eq!(calls.lines().next(), Some(HEADER));
    assert_eq!(calls.lines().count(), 6_001);
    let tower = dir.read("data/tower.csv");
    assert!(tower.starts_with("call_id,tower,start_timestamp,end_timestamp\n"));
    let recipe: serde_json::Value = serde_json::from_str(&dir.read("data/gen.json")).expect("JSON");
    assert_eq!(recipe["seed"], 7);
    assert_eq!(recipe["start_timestamp"], 1_767_225_600_000_i64);
    assert_eq!(recipe["calls"], 6_000);
    assert_eq!(recipe["max_duration_ms"], 3_600_000);
    assert_eq!(recipe["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(recipe["complete"], true);
    assert_eq!(
        recipe["files"],
        serde_json::json!(["mono_signal.csv", "tower.csv"])
    );
    assert_eq!(recipe["written_calls"], 6_000);
    assert_eq!(recipe["written_segments"], tower.lines().count() - 1);
}

#[test]
fn the_recipe_names_its_files_and_those_of_an_earlier_run_are_warned_of() {
    let dir = Workdir::new();
    let first = dir.k("gen --rate 10 --seconds 6");
    first.assert_status(0);
    assert!(!first.stderr().contains("warning"), "{}", first.stderr());
    let calls = dir.read("data/mono_signal.csv");
    for (flags, file, older) in [
        ("--only tower", "tower.csv", "`data/mono_signal.csv`"),
        (
            "--only mono --format json",
            "mono_signal.jsonl",
            "`data/mono_signal.csv`, `data/tower.csv`",
        ),
    ] {
        let run = dir.k(&format!("gen --rate 10 --seconds 6 {flags}"));
        run.assert_status(0);
        let warned = format!("not what `data/gen.json` describes: {older}\n");
        assert!(run.stderr().contains(&warned), "{}", run.stderr());
        let recipe: serde_json::Value =
            serde_json::from_str(&dir.read("data/gen.json")).expect("JSON");
        assert_eq!(recipe["files"], serde_json::json!([file]));
        assert!(recipe["written_calls"].is_null() != recipe["written_segments"].is_null());
        assert_eq!(dir.read("data/mono_signal.csv"), calls);
    }
}

#[test]
fn the_checked_in_sample_is_what_its_recipe_makes_on_this_platform() {
    let dir = Workdir::new();
    dir.k("gen --rate 10 --seconds 60 --seed 2026 --start 2026-01-01 --out sample")
        .assert_status(0);
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample");
    for name in ["mono_signal.csv", "tower.csv", "gen.json"] {
        let kept = std::fs::read_to_string(sample.join(name)).expect("the sample");
        assert!(
            dir.read(&format!("sample/{name}")) == kept,
            "{name} differs"
        );
    }
}

#[test]
fn one_seed_gives_the_same_bytes_for_any_threads_output_and_pace() {
    // Fixed: platforms are compared by these numbers.
    for (flags, calls, segments) in [
        (
            "--seed 1 --start 2026-01-01",
            0xadb5_67fa_0d53_00aa,
            0x3338_eccf_c323_bc4e,
        ),
        (
            "--seed 1 --start 2026-01-01 --arrivals poisson --order end --delay 5%:30s \
             --duplicates 1% --with-arrival --skew 1.1 --sigma 2",
            0xc91e_411e_bc7f_1400,
            0x9028_836a_7c8e_53dd,
        ),
        (
            "--seed 1 --start 2026-01-01 --delay 20%:pareto(100ms,0.5) --with-arrival",
            0x5258_c6b0_45e4_c9f7,
            0x3338_eccf_c323_bc4e,
        ),
        (
            "--seed 1 --start 2026-01-01 --delay 50%:exp(10s) --with-arrival",
            0xfcf5_af1f_dd98_1444,
            0x3338_eccf_c323_bc4e,
        ),
        (
            "--seed 1 --start 2026-01-01 --delay 50%:lognormal(2s,2) --with-arrival",
            0xbfcd_de64_faa5_80d8,
            0x3338_eccf_c323_bc4e,
        ),
        (
            "--seed 1 --start 1969-12-31T23:59:30 --format json --towers 3000",
            0xcd84_539e_f1be_6f45,
            0x26cb_d9b1_78fd_eec1,
        ),
    ] {
        let flags = format!("gen -q --rate 1000 --seconds 60 {flags}");
        let mut found = Vec::new();
        for how in [
            "--threads 1",
            "--threads 2",
            "--threads 3",
            "--pace 1000000x",
        ] {
            let dir = Workdir::new();
            dir.k(&format!("{flags} {how}")).assert_status(0);
            let ending = if flags.contains("json") {
                "jsonl"
            } else {
                "csv"
            };
            found.push([
                hash(dir.read(&format!("data/mono_signal.{ending}")).as_bytes()),
                hash(dir.read(&format!("data/tower.{ending}")).as_bytes()),
            ]);
            let stdout = |only| hash(&dir.k(&format!("{flags} {how} --out - {only}")).stdout_bytes);
            found.push([stdout("--only mono"), stdout("--only tower")]);
        }
        assert!(
            found.iter().all(|hashes| *hashes == [calls, segments]),
            "{flags}: {found:x?}"
        );
    }
}

#[test]
fn rows_leave_in_the_order_of_their_arrival_and_none_is_lost() {
    let dir = Workdir::new();
    let base = "gen -q --rate 500 --seconds 60 --seed 3 --start 2026-01-01 --out -";
    let plain = dir.k(base);
    let run = dir.k(&format!(
        "{base} --order end --delay 10%:5m --duplicates 5% --with-arrival"
    ));
    let mut arrived = i64::MIN;
    let mut calls = BTreeMap::new();
    let mut copies = 0;
    for line in run.stdout().lines().skip(1) {
        let (call, arrival) = line.rsplit_once(',').expect("an arrival");
        let arrival: i64 = arrival.parse().expect("ms");
        let end: i64 = call.split(',').nth(2).expect("an end").parse().expect("ms");
        assert!(
            arrived <= arrival && (end..=end + 300_000).contains(&arrival),
            "{line}"
        );
        arrived = arrival;
        let id: u64 = call
            .split(',')
            .next()
            .expect("an id")
            .parse()
            .expect("a number");
        copies += u32::from(calls.insert(id, call).is_some());
    }
    assert!((1_300..1_700).contains(&copies), "{copies}");
    // Sorted by id and without copies, these are the calls of the run without any of that.
    assert!(plain.stdout().lines().skip(1).eq(calls.into_values()));
}

#[test]
fn tower_segments_are_in_the_order_of_their_starts_and_tile_the_calls() {
    let dir = Workdir::new();
    dir.k("gen -q --rate 500 --seconds 60 --seed 3 --start 2026-01-01")
        .assert_status(0);
    let mut segments: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    let mut newest = i64::MIN;
    for line in dir.read("data/tower.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |nth: usize| fields[nth].parse::<i64>().expect("a number");
        assert!(newest <= number(2), "{line}");
        newest = number(2);
        segments
            .entry(number(0) as u64)
            .or_default()
            .push((number(2), number(3)));
    }
    for line in dir.read("data/mono_signal.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |nth: usize| fields[nth].parse::<i64>().expect("a number");
        let own = segments.remove(&(number(0) as u64)).unwrap_or_default();
        assert_eq!(fields[7] == "connected", !own.is_empty(), "{line}");
        let mut at = number(1);
        for (start, end) in own {
            assert_eq!(start, at, "{line}");
            at = end;
        }
        assert_eq!(at, number(2), "{line}");
    }
    assert!(segments.is_empty());
}

#[test]
fn the_summary_says_how_far_rows_are_out_of_order() {
    let run = Workdir::new()
        .k("gen --rate 10 --seconds 60 --seed 1 --order end --duplicates 10% --out -");
    run.assert_status(0);
    assert!(
        run.stderr().contains(" out of order, by up to "),
        "{}",
        run.stderr()
    );
    assert!(run.stderr().contains("(600 calls, "), "{}", run.stderr());
}

#[test]
fn the_default_run_ends_now_on_whole_seconds() {
    let run = Workdir::new().k("gen -q --rate 1 --seconds 100 --out -");
    let first = run.stdout().lines().nth(1).expect("a call");
    let start: i64 = first
        .split(',')
        .nth(1)
        .expect("a start")
        .parse()
        .expect("ms");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as i64;
    assert_eq!(start % 1_000, 0);
    assert!(
        (now - 160_000..=now - 100_000).contains(&start),
        "{start} {now}"
    );
}

#[test]
fn with_a_pace_rows_leave_when_they_are_due() {
    let dir = Workdir::new();
    let began = Instant::now();
    let mut child = dir.spawn(
        "gen -q --rate 10 --seconds 3 --pace 5x --out -",
        Stdio::null(),
    );
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let times: Vec<Duration> = lines.map(|_| began.elapsed()).collect();
    assert!(child.wait().expect("it ends").success());
    // Call 15 is due after 0.3 s, call 29 after 0.58 s; a busy machine may be later.
    assert_eq!(times.len(), 31);
    for (line, due_ms) in [(16, 300), (30, 580)] {
        assert!(
            times[line] >= Duration::from_millis(due_ms),
            "{line}: {:?}",
            times[line]
        );
    }
}

#[test]
fn with_a_pace_a_row_can_be_read_before_the_next_one_is_due() {
    let dir = Workdir::new();
    // The second call is due in a quarter of an hour.
    let flags = "gen --rate 0.001 --seconds 10000 --pace real --out -";
    let mut child = dir.spawn(flags, Stdio::null());
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines: Vec<String> = stdout.lines().take(2).map_while(Result::ok).collect();
    assert!(lines[1].starts_with("0,"), "{lines:?}");
    signal(&child, Signal::INT);
    let run = Run::of(child.wait_with_output().expect("it ends"));
    run.assert_status(130);
    assert!(
        run.stderr().contains("wrote 1 call to stdout"),
        "{}",
        run.stderr()
    );
}

/// Runs a line on a terminal of its own, and returns what is there; `None` without util-linux.
fn on_a_terminal(test: &str, dir: &Workdir, line: &str) -> Option<String> {
    let found = dir.shell("script --version");
    if !found.stdout().contains("util-linux") {
        let reason = "there is no `script` of util-linux, which gives a terminal";
        writeln!(std::io::stderr(), "SKIPPED {test}: {reason}").expect("stderr");
        return None;
    }
    let run = dir.shell(&format!("script -qec '{line}' /dev/null"));
    run.assert_status(0);
    Some(run.stdout().to_owned())
}

#[test]
fn no_bar_stands_between_the_records_on_a_terminal() {
    let dir = Workdir::new();
    let gen_line =
        "k gen --rate 4 --seconds 2 --median-duration 100ms --max-duration 1s --pace real";
    let to_terminal = format!("{gen_line} --out -");
    let test = "no_bar_stands_between_the_records_on_a_terminal";
    let Some(shown) = on_a_terminal(test, &dir, &to_terminal) else {
        return;
    };
    let rows = shown.lines().filter(|line| {
        let id = line.split(',').next().unwrap_or_default();
        id.parse::<u64>().is_ok() && line.split(',').count() == 8
    });
    assert_eq!(rows.count(), 8, "{shown:?}");
    assert!(!shown.contains("generating"), "{shown:?}");
    let to_pipe = on_a_terminal(test, &dir, &format!("{to_terminal} | cat"));
    assert!(to_pipe.is_some_and(|shown| !shown.contains("generating")));
    // Into a folder there is room for one, which tells the time and guesses nothing.
    let to_folder = on_a_terminal(test, &dir, gen_line).expect("a terminal");
    assert!(to_folder.contains("1 s of 2 s"), "{to_folder:?}");
    assert!(!to_folder.contains("left"), "{to_folder:?}");
}

#[test]
fn with_a_pace_it_is_told_how_long_segments_follow_and_a_signal_ends_them() {
    for (order, said, calls) in [
        (
            "start",
            "all calls are written; segments follow until ",
            Some(200),
        ),
        (
            "end",
            "all calls have started; their rows and segments follow until ",
            None,
        ),
    ] {
        let dir = Workdir::new();
        let flags = format!("gen --rate 200 --seconds 1 --seed 1 --pace real --order {order}");
        let mut child = dir.spawn(&flags, Stdio::null());
        let stderr = child.stderr.take().expect("a pipe");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let line = lines.next().expect("a line");
        let clock = line.strip_prefix(said).unwrap_or_else(|| panic!("{line}"));
        let (clock, rest) = clock.split_once("; ").expect("a way out");
        let (hours, minutes) = clock.split_once(':').expect("20:07");
        assert!(hours.parse::<u8>().is_ok_and(|hours| hours < 24), "{line}");
        assert!(
            minutes.parse::<u8>().is_ok_and(|minutes| minutes < 60),
            "{line}"
        );
        assert_eq!(rest, "Ctrl-C ends the run here");
        signal(&child, Signal::INT);
        let told: Vec<String> = lines.collect();
        let told = told.join("\n");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        let written = dir.read("data/mono_signal.csv").lines().count() - 1;
        let segments = dir.read("data/tower.csv").lines().count() - 1;
        assert!(calls.is_none_or(|calls| calls == written), "{written}");
        assert!(told.contains(&format!("wrote {written} call")), "{told}");
        assert!(
            told.contains(&format!("{segments} tower segment")),
            "{told}"
        );
        let recipe: serde_json::Value =
            serde_json::from_str(&dir.read("data/gen.json")).expect("JSON");
        assert_eq!(recipe["complete"], false);
        assert_eq!(recipe["written_calls"], written);
        assert_eq!(recipe["written_segments"], segments);
    }
    // Nothing is said where nothing follows for long.
    let dir = Workdir::new();
    let run = dir.k("gen --rate 200 --seconds 1 --pace 3600x");
    run.assert_status(0);
    assert!(!run.stderr().contains("follow"), "{}", run.stderr());
}

#[test]
fn a_closed_pipe_ends_the_run_silently() {
    for flags in ["", "--order end", "--pace 1000x", "--only tower"] {
        let line = format!("k gen --rate 1000 --seconds 1000 --out - {flags} | head -3");
        let run = Workdir::new().shell(&line);
        run.assert_status(0);
        assert_eq!(run.stdout().lines().count(), 3);
        assert_eq!(run.stderr(), "", "{flags}");
    }
}

#[test]
fn a_signal_ends_the_run_with_whole_lines_and_says_how_many_calls_there_are() {
    for (number, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = Workdir::new();
        let child = dir.spawn("gen --rate 100 --seconds 3600 --pace real", Stdio::null());
        // The recipe and the headers are there before the first wait.
        let begun = |name: &str| std::fs::metadata(dir.path(name)).is_ok_and(|file| file.len() > 0);
        while !begun("data/mono_signal.csv") || !begun("data/tower.csv") {
            std::thread::yield_now();
        }
        let asked = Instant::now();
        signal(&child, number);
        let run = Run::of(child.wait_with_output().expect("it ends"));
        assert!(asked.elapsed() < Duration::from_secs(2));
        run.assert_status(status);
        let calls = dir.read("data/mono_signal.csv");
        assert!(calls.ends_with('\n'));
        let said = format!("wrote {} call", calls.lines().count() - 1);
        assert!(run.stderr().contains(&said), "{said}: {}", run.stderr());
        assert!(run.stderr().contains("stopped"), "{}", run.stderr());
        let recipe: serde_json::Value =
            serde_json::from_str(&dir.read("data/gen.json")).expect("JSON");
        assert_eq!(recipe["complete"], false);
        assert_eq!(recipe["written_calls"], calls.lines().count() - 1);
        let segments = dir.read("data/tower.csv").lines().count() - 1;
        assert_eq!(recipe["written_segments"], segments);
    }
}

#[test]
fn a_signal_ends_a_run_whose_reader_does_not_read() {
    let dir = Workdir::new();
    let mut child = dir.spawn("gen --rate 1000000 --seconds 3600 --out -", Stdio::null());
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut taken = vec![0; 1_000];
    stdout.read_exact(&mut taken).expect("some rows");
    signal(&child, Signal::INT);
    let run = Run::of(child.wait_with_output().expect("it ends"));
    run.assert_status(130);
    // What it says it wrote is what is in the pipe, but for the row that was cut off.
    stdout.read_to_end(&mut taken).expect("the rest");
    let rows = taken.iter().filter(|byte| **byte == b'\n').count() - 1;
    let said = format!("wrote {rows} calls");
    assert!(
        run.stderr().replace(',', "").contains(&said),
        "{said}: {}",
        run.stderr()
    );
}

#[test]
fn a_full_disk_is_told() {
    for flags in ["", "--order end", "--only tower"] {
        let line = format!("k gen --rate 100 --seconds 60 --out - {flags} > /dev/full");
        Workdir::new()
            .shell(&line)
            .assert_refused(1, &["cannot write stdout", "no space left on device"]);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let dir = Workdir::new();
    dir.write("taken", "");
    dir.k("gen --rate 1 --seconds 1 --out taken")
        .assert_refused(2, &["`--out taken` is not a folder", "--out - > taken"]);
    dir.k("gen --rate 1 --seconds 1 --out calls.csv")
        .assert_refused(2, &["`--out calls.csv` is not a folder"]);
    dir.k("gen --rate 1 --seconds 1 --out taken/below")
        .assert_refused(1, &["cannot create the folder `taken/below`"]);
    dir.write("data/mono_signal.csv/x", "");
    dir.k("gen --rate 1 --seconds 1")
        .assert_refused(1, &["cannot write `data/mono_signal.csv`: is a directory"]);
}

#[test]
fn values_that_make_no_sense_are_usage_errors() {
    for (flags, parts) in [
        ("--rate 0 --seconds 1", ["--rate", "above zero"]),
        ("--rate -5 --seconds 1", ["--rate", "above zero"]),
        ("--rate NaN --seconds 1", ["--rate", "above zero"]),
        ("--rate fast --seconds 1", ["--rate", "without a unit"]),
        ("--rate 1 --seconds 0", ["--seconds", "above zero"]),
        ("--rate 1 --seconds 60s", ["--seconds", "without a unit"]),
        ("--rate 0.001 --seconds 1", ["makes no calls", "--rate"]),
        ("--rate 1e15 --seconds 1e15", ["10^12", "--rate"]),
        (
            "--rate 1 --seconds 1 --busy 60% --failed 50%",
            ["--busy", "more than 100%"],
        ),
        (
            "--rate 1 --seconds 1 --busy 120%",
            ["--busy", "between 0 and 1"],
        ),
        (
            "--rate 1 --seconds 1 --callers 1",
            ["--callers 1", "a caller needs someone to call"],
        ),
        (
            "--rate 1 --seconds 1 --callers -1",
            ["--callers", "whole number"],
        ),
        ("--rate 1 --seconds 1 --towers 0", ["--towers 0", "1 to "]),
        (
            "--rate 1 --seconds 1 --start 253402300799999",
            ["--start", "years 1 to 9999"],
        ),
        (
            "--rate 1 --seconds 1 --start 10000-01-01",
            ["--start", "ISO 8601"],
        ),
        ("--rate 1 --seconds 1 --seed -1", ["--seed", "whole number"]),
        (
            "--rate 1 --seconds 1 --sigma -1",
            ["--sigma", "from 0 to 10"],
        ),
        (
            "--rate 1 --seconds 1 --skew inf",
            ["--skew", "from 0 to 10"],
        ),
        (
            "--rate 1 --seconds 1 --median-duration 60",
            ["--median-duration", "no unit"],
        ),
        (
            "--rate 1 --seconds 1 --max-duration 99d",
            ["--max-duration", "at most 30d"],
        ),
        ("--rate 1 --seconds 1 --delay 5%", ["--delay", "5%:30s"]),
        (
            "--rate 1 --seconds 1 --delay 5%:pareto(1s)",
            ["--delay", "pareto(1s,2)"],
        ),
        ("--rate 1 --seconds 1 --pace 0x", ["--pace", "60x"]),
        (
            "--rate 1 --seconds 1 --threads 0",
            ["--threads", "1 to 256"],
        ),
        ("--seconds 1", ["--rate", "required"]),
    ] {
        let dir = Workdir::new();
        dir.k(&format!("gen {flags}")).assert_refused(2, &parts);
        assert!(!dir.path("data").exists(), "{flags}");
    }
}

#[test]
fn one_output_alone_leaves_the_other_out() {
    let dir = Workdir::new();
    dir.k("gen --rate 10 --seconds 1 --only mono --out a")
        .assert_status(0);
    assert!(dir.path("a/mono_signal.csv").exists() && !dir.path("a/tower.csv").exists());
    dir.k("gen --rate 10 --seconds 1 --only tower --out b")
        .assert_status(0);
    assert!(dir.path("b/tower.csv").exists() && !dir.path("b/mono_signal.csv").exists());
}

#[test]
fn a_run_that_cannot_begin_leaves_the_files_of_the_one_before() {
    let dir = Workdir::new();
    dir.k("gen --rate 10 --seconds 6 --seed 1").assert_status(0);
    let files = || ["data/mono_signal.csv", "data/gen.json"].map(|name| dir.read(name));
    let before = files();
    std::fs::remove_file(dir.path("data/tower.csv")).expect("a file removed");
    std::fs::create_dir(dir.path("data/tower.csv")).expect("a folder");
    dir.k("gen --rate 10 --seconds 6 --seed 2")
        .assert_refused(1, &["tower.csv"]);
    assert_eq!(files(), before);
    std::fs::remove_dir(dir.path("data/tower.csv")).expect("a folder removed");
    std::os::unix::fs::symlink("mono_signal.csv", dir.path("data/tower.csv")).expect("a link");
    dir.k("gen --rate 10 --seconds 6 --seed 2")
        .assert_refused(2, &["mono_signal.csv", "tower.csv", "the same file"]);
    assert_eq!(files(), before);
}

#[test]
fn a_killed_run_leaves_a_recipe_that_is_whole_and_not_older_than_its_data() {
    const RUNS: i64 = 40;
    let dir = Workdir::new();
    dir.k("gen --rate 10 --seconds 6 --start 2020-01-01")
        .assert_status(0);
    let files = [dir.path("data/gen.json"), dir.path("data/mono_signal.csv")];
    let seen = || {
        let of_file = |path| {
            let metadata = std::fs::metadata(path).ok();
            metadata.map(|metadata| (metadata.len(), metadata.modified().ok()))
        };
        files.each_ref().map(of_file)
    };
    for run in 0..RUNS {
        let start = 1_767_225_600_000 + run * 86_400_000;
        let before = seen();
        let flags = format!("gen -q --rate 10 --seconds 6 --start {start}");
        let mut child = dir.spawn(&flags, std::process::Stdio::null());
        // At its first trace, or some instants later, up to its end.
        while seen() == before && child.try_wait().expect("a process").is_none() {}
        (0..run * 1_000).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap_or(()); // it may have ended
        child.wait().expect("a process");
        let recipe: serde_json::Value =
            serde_json::from_str(&dir.read("data/gen.json")).expect("a whole recipe");
        let calls = dir.read("data/mono_signal.csv");
        let first = calls.lines().nth(1).and_then(|row| row.split(',').nth(1));
        let of_recipe = recipe["start_timestamp"].to_string();
        assert!(
            first.is_none_or(|first| first == of_recipe) || recipe["complete"] == false,
            "{first:?} is not of {recipe}"
        );
    }
}
