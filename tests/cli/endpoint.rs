//! What a name stands for, and names that stand for one file.

use std::os::unix::fs::symlink;

use crate::broker::{broker, unique};
use crate::workdir::Workdir;

const INPUT: &str = "t\n2026-01-05T12:00:00Z\n2026-01-04T12:00:00Z\nnone\n";

#[test]
fn outputs_that_are_one_file_and_an_output_that_is_an_input_are_refused() {
    let dir = Workdir::new();
    let files = || {
        dir.write("in.csv", INPUT);
        dir.write("old.csv", "kept\n");
    };
    files();
    symlink("old.csv", dir.path("link.csv")).expect("a link");
    symlink("new.csv", dir.path("dangling.csv")).expect("a link");
    std::fs::hard_link(dir.path("in.csv"), dir.path("hard.csv")).expect("a link");
    let window = "k window --tumbling 1d --time t --skip-bad --from in.csv";
    let join = "k join in.csv in.csv --on t --within 1d --time t --skip-bad";
    for (line, status, said) in [
        (
            "WINDOW --to old.csv --journal old.csv",
            2,
            "`--to old.csv` and `--journal old.csv`",
        ),
        (
            "WINDOW --to new.csv --journal ./new.csv",
            2,
            "the same file",
        ),
        (
            "WINDOW --to new.csv --journal dangling.csv",
            2,
            "the same file",
        ),
        ("WINDOW --to old.csv --late-to link.csv", 2, "the same file"),
        ("WINDOW --to old.csv --stats-to old.csv", 2, "the same file"),
        (
            "WINDOW --late-to old.csv --bad-to link.csv",
            2,
            "the same file",
        ),
        ("WINDOW --journal old.csv >> old.csv", 2, "the same file"),
        (
            "WINDOW --late-to /dev/stdout >> old.csv",
            2,
            "`--to -` and `--late-to /dev/stdout`",
        ),
        (
            "WINDOW --stats-to hard.csv",
            1,
            "`hard.csv` is an input: `--stats-to`",
        ),
        ("WINDOW --journal ./in.csv", 1, "is an input"),
        ("WINDOW >> in.csv", 1, "stdout is an input"),
        ("JOIN --to old.csv --stats-to link.csv", 2, "the same file"),
        ("JOIN --stats-to hard.csv", 1, "is an input"),
    ] {
        let line = line.replace("WINDOW", window).replace("JOIN", join);
        dir.shell(&line).assert_refused(status, &[said]);
        assert_eq!(dir.read("in.csv"), INPUT, "{line}");
        assert_eq!(dir.read("old.csv"), "kept\n", "{line}");
        assert!(!dir.path("new.csv").exists(), "{line}");
    }
    // Nothing is destroyed on a device, in a pipe, or where two are told one after the other.
    for flags in [
        "--skip-bad --to /dev/null --journal /dev/null --stats-to /dev/null",
        "--skip-bad --stats-to /dev/stdout | cat",
        "--to new.csv --late-to - --bad-to - > rest.csv",
    ] {
        dir.shell(&format!("{} {flags}", window.replace(" --skip-bad", "")))
            .assert_status(0);
        assert!(std::path::Path::new("/dev/stdout").is_symlink());
    }
}

#[test]
fn a_name_with_the_ending_of_a_file_or_of_a_file_that_exists_is_a_file() {
    let dir = Workdir::new();
    dir.write("calls", "t,id\n2026-01-05T12:00:00Z,1\n");
    dir.shell("cp calls tab.tsv && cp calls calls.log")
        .assert_status(0);
    // No broker is at this port: what is taken for a topic is refused.
    let k = |line: &str| dir.shell(&line.replace("k ", "K_BROKER=127.0.0.1:1 k "));
    for to in ["out.txt", "out.tsv", "out.ndjson", "OUT.CSV", "out.log"] {
        let said = format!("→ 1 row to {to};");
        let run = k(&format!(
            "k window --global --time t --from calls --to {to}"
        ));
        run.assert_status(0);
        assert!(run.stderr().contains(&said), "{}", run.stderr());
        let is_json = dir.read(to).starts_with('{');
        assert_eq!(is_json, to == "out.ndjson", "{to}: {}", dir.read(to));
        let run = k(&format!(
            "k join calls tab.tsv --on id --within 1s --time t --to {to}"
        ));
        run.assert_status(0);
        assert!(run.stderr().contains(&said), "{}", run.stderr());
    }
    for line in [
        "k window -q --global --time t --from calls.log --late-to late.txt --bad-to bad.txt",
        "k window -q --global --time t --from calls > all && k compare all all",
        "k join -q calls --table tab.tsv --on id --time t",
    ] {
        k(line).assert_status(0);
    }
    for line in [
        "k produce other",
        "k window --global --time t --from calls --to other",
        "k window --global --time t --from topic:calls",
        "k join calls topic:tab.tsv --on id --within 1s --time t",
        "k compare calls other",
    ] {
        let run = k(line);
        assert!(
            matches!(run.status, Some(1 | 2)),
            "{line}: {}",
            run.stderr()
        );
    }
}

#[test]
fn a_topic_that_is_made_is_told() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.write(
        "in.csv",
        "t,id\n2026-01-05T12:00:00Z,1\n2026-01-04T12:00:00Z,2\nnone,3\n",
    );
    let names = ["rows", "late", "bad", "pairs", "sent"].map(unique);
    let [rows, late, bad, pairs, sent] = &names;
    for (flags, made) in [
        (
            format!(
                "window --tumbling 1d --time t --from in.csv --to {rows} --late-to {late} --bad-to {bad}"
            ),
            vec![
                (rows, "3 partitions"),
                (late, "1 partition"),
                (bad, "1 partition"),
            ],
        ),
        (
            format!(
                "join in.csv in.csv --on id --within 1s --time t --skip-bad --to topic:{pairs}"
            ),
            vec![(pairs, "3 partitions")],
        ),
        (
            format!("produce in.csv -t {sent}"),
            vec![(sent, "3 partitions")],
        ),
    ] {
        let run = dir.k(&format!("{flags} -b {broker}"));
        run.assert_status(0);
        for (name, partitions) in &made {
            let said = format!("created topic `{name}` with {partitions}\n");
            assert_eq!(run.stderr().matches(&said).count(), 1, "{}", run.stderr());
        }
        let again = dir.k(&format!("{flags} -b {broker}"));
        assert!(!again.stderr().contains("created"), "{}", again.stderr());
        if !flags.starts_with("produce") {
            let to = format!(" to topic:{};", made[0].0);
            assert!(again.stderr().contains(&to), "{}", again.stderr());
        }
    }
    let input = dir.k(&format!(
        "window --tumbling 1d --time window_start --from {rows} --to topic:{rows} -b {broker}"
    ));
    input.assert_refused(2, &["is an input", "endless loop"]);
}
