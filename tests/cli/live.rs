//! What `k` says while an input stays open, when it ends by itself, and what it leaves out then.

use rustix::process::Signal;

use crate::broker::{broker, unique};
use crate::running::Running;
use crate::workdir::Workdir;

/// Records a second apart but for a gap, which closes the windows before it.
const PIPED: &str = "at,who\n1000,a\n2000,b\n3000,a\n30000,a\n31000,b\n";

/// Writes a topic of one partition with `records` records a second apart; returns its name.
fn filled(workdir: &Workdir, broker: &str, records: i64) -> String {
    let topic = unique("live");
    let row = |nth: i64| format!("c,{}\n", 1_767_225_600_000 + 1_000 * nth);
    let rows: String = (0..records).map(row).collect();
    let produce = format!("produce - -t {topic} --partitions 1 -b {broker}");
    let run = workdir.k_with_input(&produce, format!("caller,start_timestamp\n{rows}"));
    run.assert_status(0);
    topic
}

#[test]
fn a_run_that_is_stopped_says_what_is_open() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = filled(&workdir, broker, 35);
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let follow = format!("window --tumbling 10s --from {topic} -b {broker}");
        let running = Running::start(&workdir, &follow);
        running.await_lines(4);
        let run = running.ended_by(signal);
        run.assert_status(status);
        let told = "35 records in, all on time";
        let open = "→ 3 rows, 1 window open with 5 records (`--exit` shows it); watermark";
        assert!(run.stderr().contains(told), "{}", run.stderr());
        assert!(run.stderr().contains(open), "{}", run.stderr());
    }
}

#[test]
fn a_pipe_that_is_stopped_says_what_is_open_of_every_kind_of_window() {
    for (windows, rows, open) in [
        ("--tumbling 10s", 1, "1 window open with 2 records"),
        (
            "--hopping 10s,5s --by who",
            4,
            "2 windows open with 4 records, each counted once per window",
        ),
        ("--session 5s --by who", 2, "2 windows open with 2 records"),
        (
            "--sliding 2s",
            6,
            "2 windows open with 3 records, each counted once per window",
        ),
    ] {
        let workdir = Workdir::new();
        let mut running = Running::start(
            &workdir,
            &format!("window {windows} --time at --from - --stats json"),
        );
        running.write(PIPED);
        running.await_lines(rows + 1);
        let run = running.ended_by(Signal::INT);
        run.assert_status(130);
        let told = format!("{open} (the end of the input shows");
        let counted = open.split(',').next().unwrap_or(open);
        let counted: Vec<&str> = counted.split(' ').collect();
        let members = format!(
            "\"open_records\":{},\"open_windows\":{},",
            counted[4], counted[0]
        );
        assert!(
            run.stderr().contains(&members),
            "{windows}: {}",
            run.stderr()
        );
        assert!(run.stderr().contains(&told), "{windows}: {}", run.stderr());
    }
}

#[test]
fn a_reader_that_has_gone_ends_a_run_that_follows_a_topic() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = filled(&workdir, broker, 35);
    // It has written all its rows when `head` ends: none would tell it.
    let follow = format!("k window -q --tumbling 10s --from {topic} -b {broker}");
    let piped = workdir.shell(&format!(
        "(timeout 30 {follow}; echo $? >status) | head -4; cat status"
    ));
    assert_eq!(
        piped.stdout().lines().last(),
        Some("0"),
        "{}",
        piped.stderr()
    );
}

#[test]
fn a_topic_that_holds_records_says_how_many_it_held_and_holds() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = filled(&workdir, broker, 5);
    let again = workdir.k_with_input(
        &format!("produce - -t {topic} -b {broker}"),
        "caller,start_timestamp\na,1767225600000\nb,1767225600001\n",
    );
    again.assert_status(0);
    for told in [
        format!("topic `{topic}` already holds 5 records; these are appended"),
        "2 records acknowledged; it held 5 and now holds 7".to_owned(),
    ] {
        assert!(again.stderr().contains(&told), "{}", again.stderr());
    }
}

#[test]
fn a_silent_input_of_produce_is_named() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = unique("silent");
    let mut running = Running::start(&workdir, &format!("produce - -t {topic} -b {broker}"));
    running.write("caller\na\nb\n");
    running.await_said("waiting for records from stdin: none for 5s, 2 sent so far");
    running.close();
    running.ended().assert_status(0);
}

#[test]
fn times_of_sending_are_not_taken_without_a_word() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = unique("untimed");
    workdir
        .k_with_input(
            &format!("produce - -t {topic} -b {broker}"),
            "who,made_at,n\na,1767225600000,1\n",
        )
        .assert_status(0);
    let told =
        "event times are the records' own timestamps; to use `made_at`, write `--time COLUMN`";
    for (more, is_told) in [
        ("", true),
        ("--time @record", false),
        ("--time made_at", false),
    ] {
        let window = format!("window --global --from {topic} --exit {more} -b {broker}");
        let run = workdir.k(&window);
        run.assert_status(0);
        assert_eq!(
            run.stderr().matches(told).count(),
            usize::from(is_told),
            "{more}"
        );
    }
    let left = "event times are the left records' own timestamps";
    let join = workdir.shell(&format!(
        "k join {topic} {topic} --on who --within 1h --exit --time '' --time made_at -b {broker}"
    ));
    assert!(join.stderr().contains(left), "{}", join.stderr());
    assert!(!join.stderr().contains("right records' own"));
}

#[test]
fn a_window_takes_its_source_as_other_commands_do() {
    let workdir = Workdir::new();
    workdir.write("lines.csv", PIPED);
    let named = workdir.k("window --tumbling 10s --time at --from lines.csv");
    let placed = workdir.k("window lines.csv --tumbling 10s --time at");
    placed.assert_status(0);
    assert_eq!(placed.stdout(), named.stdout());
    let both = workdir.k("window lines.csv --from lines.csv --global --time at");
    both.assert_status(0);
    assert_eq!(both.stdout(), "window_start,window_end,count\n,,10\n");
}
