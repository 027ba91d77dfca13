//! `k doctor`, with stand-ins for podman and podman-compose.

use crate::stack::Machine;

/// A podman that says of itself what `info` says, and has no container and no image.
fn podman(info: &str) -> String {
    format!(
        r#"case "$1 $2" in
  "--version "*) echo "podman version 4.3.1" ;;
  "info "*) echo '{info}' ;;
  "ps "*) ;;
  *) exit 1 ;;
esac"#
    )
}

fn machine(info: &str) -> Machine {
    Machine::bare()
        .with_program("podman", &podman(info))
        .with_program("podman-compose", "echo 'podman-compose version 1.0.3'")
}

/// Returns the line of a check and, if there is one, the line below it that says what to do.
#[track_caller]
fn finding<'a>(lines: &'a str, check: &str) -> (&'a str, Option<&'a str>) {
    let mut lines = lines
        .lines()
        .skip_while(|line| line.split_whitespace().nth(1) != Some(check));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no line of `{check}`"));
    (
        line,
        lines
            .next()
            .filter(|line| line.trim_start().starts_with("fix: ")),
    )
}

#[test]
fn without_an_engine_it_says_what_to_install() {
    let run = Machine::bare().k("doctor");
    run.assert_status(1);
    let (line, fix) = finding(run.stdout(), "engine");
    assert!(line.starts_with("problem "), "{line}");
    assert!(
        fix.is_some_and(|fix| fix.contains("podman podman-compose")),
        "{fix:?}"
    );
    assert!(
        run.stderr().contains("1 problem") && run.stderr().contains("k demo"),
        "{}",
        run.stderr()
    );
}

#[test]
fn json_has_a_line_for_each_finding() {
    let run = Machine::bare().k("doctor --format json");
    run.assert_status(1);
    let findings: Vec<serde_json::Value> = run
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(findings.len() >= 5, "{findings:?}");
    assert_eq!(
        (&findings[0]["check"], &findings[0]["verdict"]),
        (&"engine".into(), &"problem".into())
    );
    for finding in &findings {
        let is_well = finding["verdict"] == "ok";
        assert_eq!(finding["fix"].is_null(), is_well, "{finding}");
    }
}

#[test]
fn an_engine_that_does_not_answer_is_a_problem_with_its_own_words() {
    let broken = "case $1 in --version) echo podman version 5.0.0;; *) echo 'Error: unable to connect to Podman socket' >&2; exit 125;; esac";
    let run = Machine::bare().with_program("podman", broken).k("doctor");
    run.assert_status(1);
    let (line, fix) = finding(run.stdout(), "engine");
    assert!(line.contains("unable to connect"), "{line}");
    assert!(
        fix.is_some_and(|fix| fix.contains("podman machine start")),
        "{fix:?}"
    );
}

#[test]
fn known_bugs_of_the_compose_tool_are_told_by_its_version() {
    let run = machine("{}").k("doctor");
    let (line, fix) = finding(run.stdout(), "compose");
    assert!(
        line.starts_with("ok ") && line.contains("1.0.3: hides failed starts"),
        "{line}"
    );
    assert_eq!(fix, None);
}

#[test]
#[cfg(target_os = "linux")] // elsewhere podman's machine has its own network
fn containers_that_cannot_find_each_other_are_a_problem_with_the_package_to_install() {
    let run = machine(r#"{"host": {"networkBackend": "cni"}}"#).k("doctor");
    let has_dnsname = ["/usr/lib/cni/dnsname", "/usr/libexec/cni/dnsname"]
        .iter()
        .any(|plugin| std::path::Path::new(plugin).exists());
    let (line, fix) = finding(run.stdout(), "names");
    assert_eq!(line.starts_with("problem "), !has_dnsname, "{line}");
    assert_eq!(
        fix.is_some_and(|fix| fix.contains("dnsname")),
        !has_dnsname,
        "{fix:?}"
    );
}

#[test]
fn a_broker_that_was_named_must_be_there() {
    let run = Machine::bare().k("doctor -b 127.0.0.1:1");
    run.assert_status(1);
    let (line, fix) = finding(run.stdout(), "broker");
    assert!(
        line.starts_with("problem ") && line.contains("127.0.0.1:1"),
        "{line}"
    );
    assert!(fix.is_some_and(|fix| fix.contains("--broker")), "{fix:?}");
}

#[test]
fn lines_without_a_fix_fit_eighty_columns() {
    let run = Machine::bare().with("COLUMNS", "80").k("doctor");
    for line in run.stdout().lines().filter(|line| !line.contains("fix: ")) {
        // A path has no blank to go on behind.
        let is_one_word = line.split_whitespace().count() == 1;
        assert!(line.chars().count() <= 80 || is_one_word, "{line}");
    }
}
