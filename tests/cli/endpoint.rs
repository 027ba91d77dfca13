//! What a name stands for, and names that stand for one file.

use std::os::unix::fs::symlink;

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
        ("WINDOW --to new.csv --journal ./new.csv", 2, "one file"),
        ("WINDOW --to new.csv --journal dangling.csv", 2, "one file"),
        ("WINDOW --to old.csv --late-to link.csv", 2, "one file"),
        ("WINDOW --to old.csv --stats-to old.csv", 2, "one file"),
        ("WINDOW --late-to old.csv --bad-to link.csv", 2, "one file"),
        ("WINDOW --journal old.csv >> old.csv", 2, "one file"),
        (
            "WINDOW --late-to /dev/stdout >> old.csv",
            2,
            "`--to -` and `--late-to /dev/stdout`",
        ),
        (
            "WINDOW --stats-to hard.csv",
            1,
            "`hard.csv` is an input: what `--stats-to`",
        ),
        ("WINDOW --journal ./in.csv", 1, "is an input"),
        ("WINDOW >> in.csv", 1, "`-` is an input"),
        ("JOIN --to old.csv --stats-to link.csv", 2, "one file"),
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
        "--to /dev/null --journal /dev/null --stats-to /dev/null",
        "--stats-to /dev/stdout | cat",
        "--to new.csv --late-to - --bad-to - > rest.csv",
    ] {
        dir.shell(&format!("{} {flags}", window.replace(" --skip-bad", "")))
            .assert_status(0);
    }
}
