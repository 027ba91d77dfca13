//! Cases of ksqlDB's language: statements, records, and what the queries write.
//!
//! `cases/` holds them as text that a person can read; `k ksql test tests/ksql/cases` runs them, too.
//! `src/ksql/trial/text.rs` says how they are written.

mod random;

use std::path::Path;

use k::ksql::trial;

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ksql/cases");
    let (mut cases, mut wrong) = (0, Vec::new());
    for file in trial::files(&folder).expect("the cases") {
        for outcome in trial::run(&file).expect("cases") {
            cases += 1;
            if !outcome.difference.is_empty() {
                let place = format!("{}:{}", file.display(), outcome.line);
                wrong.push(format!(
                    "{place}: {}\n{}",
                    outcome.title,
                    outcome.difference.join("\n")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases differ\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(cases > 0, "no case in {}", folder.display());
}
