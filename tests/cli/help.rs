//! `k --help`, `k help`, and `k` alone.

use crate::workdir::{Run, Workdir};

/// Returns the commands in the order in which a help lists them.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("    "))
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
fn commands_are_listed_in_the_order_of_the_workshop() {
    let help = Workdir::new().k("--help");
    help.assert_status(0);
    let listed = commands(help.stdout());
    assert_eq!(
        listed[..9],
        [
            "gen", "produce", "consume", "topic", "group", "window", "join", "node", "demo"
        ]
    );
    assert_eq!(listed.last(), Some(&"help"));
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
        assert!(
            help.stdout()
                .lines()
                .all(|line| line.chars().count() <= columns)
        );
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
