//! What README.md shows is what the binary does.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::workdir::Workdir;

/// Returns each command of the page's consoles with the lines that it shows below.
fn transcripts(page: &str) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = Vec::new();
    for console in page.split("```console\n").skip(1) {
        let console = console.split("```").next().expect("a block ends");
        for line in console.lines() {
            match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push((command.to_owned(), String::new())),
                (None, Some((_, lines))) => *lines += &format!("{line}\n"),
                (None, None) => panic!("a console begins with a command: {line}"),
            }
        }
    }
    shown
}

#[test]
fn every_transcript_of_the_readme_is_real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let workdir = Workdir::new();
    symlink(root.join("data"), workdir.path("data")).expect("a link");
    let transcripts = transcripts(&page);
    assert!(transcripts.len() >= 4);
    for (command, expected) in transcripts {
        let run = workdir.shell(&command);
        // What a person sees: rows, and below them the summary where the page shows it.
        let seen = format!("{}{}", run.stdout(), run.stderr());
        let shown = seen == expected || run.stdout() == expected;
        assert!(shown, "$ {command}\n{seen}");
    }
}
