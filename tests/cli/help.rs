//! `k --help`, `k help`, and `k` alone.

use crate::workdir::{Run, Workdir};

/// Returns the commands in the order in which `k --help` lists them.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Make:");
    let lines = lines.take_while(|line| *line != "Options:");
    lines
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn k_alone_shows_all_of_its_help_and_is_a_usage_error() {
    let workdir = Workdir::new();
    for command in ["", "topic", "group"] {
        let run = workdir.k(command);
        run.assert_status(2);
        assert_eq!(run.stdout(), "");
        let help = workdir.k(&format!("{command} -h"));
        assert_eq!(run.stderr(), help.stdout());
    }
}

#[test]
fn every_command_is_listed_once_in_a_group_and_has_examples() {
    let workdir = Workdir::new();
    let help = workdir.k("--help");
    help.assert_status(0);
    let listed = commands(help.stdout());
    let script = workdir.k("completions fish");
    let told = script.stdout().lines().filter_map(|line| {
        let rest = line.split_once("__fish_k_needs_command\" -f -a \"")?.1;
        rest.split('"').next()
    });
    let mut told: Vec<&str> = told.collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    told.sort_unstable();
    assert_eq!(sorted, told);
    for command in listed.into_iter().filter(|name| *name != "help") {
        let help = workdir.k(&format!("{command} -h"));
        let long = workdir.k(&format!("help {command}"));
        let is_there = |text: &str| text.contains("Examples:\n  k ");
        assert!(
            is_there(help.stdout()) || is_there(long.stdout()),
            "{command}"
        );
    }
}

#[test]
fn pages_say_what_all_commands_share() {
    let workdir = Workdir::new();
    for page in ["sources", "times", "formats"] {
        let run = workdir.k(&format!("help {page}"));
        run.assert_status(0);
        assert!(run.stdout().lines().all(|line| line.chars().count() <= 80));
        assert!(run.stdout().contains("Examples:\n  k "));
    }
    let all = workdir.k("help functions");
    for name in ["approx_distinct", "mask_keep_left", "p50"] {
        assert!(all.stdout().contains(name), "{name}");
        let one = workdir.k(&format!("help functions {name}"));
        one.assert_status(0);
        assert!(one.stdout().contains("→"), "{}", one.stdout());
    }
    workdir
        .k("help functions nothing")
        .assert_refused(2, &["no function `nothing`", "k help functions"]);
    workdir
        .k("help nothing")
        .assert_refused(2, &["unrecognized subcommand 'nothing'"]);
}

#[test]
fn help_is_a_command_too() {
    let workdir = Workdir::new();
    let same = |help: Run, flag: Run| {
        help.assert_status(0);
        assert_eq!(help.stdout(), flag.stdout());
    };
    same(workdir.k("help"), workdir.k("--help"));
    same(workdir.k("help window"), workdir.k("window --help"));
    same(
        workdir.k("topic help create"),
        workdir.k("topic create --help"),
    );
}

#[test]
fn every_help_fits_its_terminal() {
    let workdir = Workdir::new();
    for columns in [60, 80] {
        let shell = |command: &str| workdir.shell(&format!("COLUMNS={columns} k {command}"));
        let help = shell("--help");
        for command in commands(help.stdout()) {
            let help = shell(&format!("help {command}"));
            // A value in a usage line or an example to be typed is not broken.
            let too_long = help
                .stdout()
                .lines()
                .find(|line| line.chars().count() > columns && !line.starts_with("  k "));
            assert_eq!(too_long.filter(|_| columns == 80), None, "k help {command}");
        }
        assert!(help.stdout().lines().all(|line| line.chars().count() <= 80));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn help_that_cannot_be_written_is_no_success() {
    for command in ["--help", "--version", "window --help", "completions bash"] {
        let run = Workdir::new().shell(&format!("k {command} > /dev/full"));
        run.assert_refused(1, &["cannot write", "no space left on device"]);
    }
}

#[test]
fn the_short_help_of_window_fits_two_screens_and_the_long_one_has_every_flag() {
    let workdir = Workdir::new();
    let short = workdir.shell("COLUMNS=80 k window -h");
    let lines = short.stdout().lines().count();
    assert!(lines <= 48, "{lines} lines:\n{}", short.stdout());
    let long = workdir.shell("COLUMNS=80 k window --help");
    for flag in ["--tumbling", "--grace", "--order-by", "--broker"] {
        assert!(short.stdout().contains(flag), "{flag}");
    }
    for flag in ["--crash-at", "--watermark", "--journal", "--align"] {
        assert!(!short.stdout().contains(flag), "{flag}");
        assert!(long.stdout().contains(flag), "{flag}");
    }
}

#[test]
fn lists_of_sentences_fit_80_columns_and_lose_no_word() {
    let workdir = Workdir::new();
    for command in ["help functions", "check --format table"] {
        let narrow = workdir.shell(&format!("COLUMNS=80 k {command}"));
        narrow.assert_status(0);
        let too_long = |line: &&str| line.chars().count() > 80;
        assert_eq!(narrow.stdout().lines().find(too_long), None, "{command}");
        let wide = workdir.shell(&format!("COLUMNS=1000 k {command}"));
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(narrow.stdout()), words(wide.stdout()), "{command}");
        assert!(narrow.stdout().lines().count() > wide.stdout().lines().count());
    }
}
