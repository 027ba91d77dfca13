//! `k gen`.

use crate::workdir::Workdir;

#[test]
fn the_default_run_makes_calls_segments_and_the_recipe() {
    let dir = Workdir::new();
    let run = dir.k("gen --rate 100 --seconds 60 --seed 7 --start 2026-01-01");
    run.assert_status(0);
    assert!(run.stdout_bytes.is_empty());
    assert!(run.stderr().contains("6,000 calls"), "{}", run.stderr());
    assert!(
        run.stderr()
            .contains("--seed 7 --start 2026-01-01T00:00:00Z"),
        "{}",
        run.stderr()
    );
    assert_eq!(dir.read("data/mono_signal.csv").lines().count(), 6_001);
    assert!(
        dir.read("data/tower.csv")
            .starts_with("call_id,tower,start_timestamp,end_timestamp\n")
    );
    assert!(dir.read("data/gen.json").contains("\"seed\": 7"));
}

#[test]
fn a_closed_pipe_ends_the_run_silently() {
    let run = Workdir::new().shell("k gen --rate 1000 --seconds 1000 --out - | head -3");
    run.assert_status(0);
    assert_eq!(run.stdout().lines().count(), 3);
    assert_eq!(run.stderr(), "");
}
