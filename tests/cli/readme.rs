//! What README.md and the pages of docs/ show is what the binary does.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

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

/// README.md and every page of docs/.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("NOTES.md")];
    for folder in ["docs", "docs/design"] {
        let files = std::fs::read_dir(root.join(folder)).expect("a folder");
        let files = files.map(|file| file.expect("a file").path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|end| end == "md")));
    }
    pages
}

#[test]
fn every_transcript_of_the_pages_is_real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workdir = Workdir::new();
    symlink(root.join("data"), workdir.path("data")).expect("a link");
    let mut shown = 0;
    for file in pages() {
        let page = std::fs::read_to_string(&file).expect("a page");
        for (command, expected) in transcripts(&page) {
            // As on the narrowest terminal that pages are written for.
            let run = workdir.shell(&format!("export COLUMNS=80\n{command}"));
            // What is shown: rows, and below them the summary where the page shows it.
            let seen = format!("{}{}", run.stdout(), run.stderr());
            let is_shown = seen == expected || run.stdout() == expected;
            assert!(is_shown, "{}: $ {command}\n{seen}", file.display());
            shown += 1;
        }
    }
    assert!(shown >= 9, "{shown}");
}

#[test]
fn every_link_of_the_pages_leads_to_a_file() {
    let mut followed = 0;
    for file in pages() {
        let page = std::fs::read_to_string(&file).expect("a page");
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().expect("it is closed");
            let link = link.split('#').next().expect("a part");
            if link.is_empty() || link.starts_with("http") {
                continue;
            }
            let target = file.parent().expect("a folder").join(link);
            assert!(target.exists(), "{}: {link}", file.display());
            followed += 1;
        }
    }
    assert!(followed >= 20, "{followed}");
}
