//! `k completions`.

use crate::workdir::Workdir;

#[test]
fn the_script_for_bash_completes_k() {
    let run = Workdir::new().k("completions bash");
    run.assert_status(0);
    assert!(run.stdout().contains("complete -F _k"), "{}", run.stdout());
}

#[test]
fn an_unknown_shell_is_a_usage_error_in_at_most_eight_lines() {
    let run = Workdir::new().k("completions tcsh");
    run.assert_refused(2, &["tcsh", "bash"]);
}

#[test]
fn there_is_a_manual_page_for_every_command_with_its_flags() {
    let workdir = Workdir::new();
    workdir.k("man pages/man1").assert_status(0);
    for (page, part) in [("k.1", r"k\-window"), ("k-topic-create.1", "partitions")] {
        let text = workdir.read(&format!("pages/man1/{page}"));
        assert!(
            text.starts_with(".ie") && text.contains(part),
            "{page}: {text}"
        );
    }
}
