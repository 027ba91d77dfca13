//! `k window --group --state DIR`: a restart that reads only what came after its snapshots, and
//! snapshots that are not what they should be.

use std::path::{Path, PathBuf};

use crate::broker::broker;
use crate::running::Running;
use crate::window_group::Shared;
use crate::workdir::{Run, Workdir};

const STATE: &str = "--state state --exit";

/// Returns the file of a partition's snapshot, or one beside it.
fn file(shared: &Shared, name: &str) -> PathBuf {
    let folder = format!("state/{}-window-changelog", shared.group);
    shared.dir.path(&folder).join(name)
}

fn snapshots(shared: &Shared) -> Vec<PathBuf> {
    let files = (0..4).map(|partition| file(shared, &format!("{partition}.snapshot")));
    files.collect()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("a snapshot");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("a snapshot");
}

/// Returns the sums over all partitions of what a run says it has restored: rows, how many of
/// them were in a snapshot, and how many records it has read of the changelog.
fn restored(run: &Run) -> (u64, u64, u64) {
    run.assert_status(0);
    let number = |line: &str, after: &str| {
        let (_, line) = line.split_once(after).expect("it is said");
        let digits = line.split(' ').next().expect("a number");
        digits.replace(',', "").parse::<u64>().expect("a number")
    };
    let said = run.stderr().lines();
    let said = said.filter(|line| line.contains(": restored "));
    said.fold((0, 0, 0), |(rows, in_snapshot, read), line| {
        (
            rows + number(line, ": restored "),
            in_snapshot + number(line, " s: "),
            read + number(line, "snapshot, then "),
        )
    })
}

#[test]
fn a_restart_reads_only_what_came_after_its_snapshots() {
    let Some(broker) = broker() else { return };
    for (window, guarantee) in [
        (
            "--tumbling 10s --by caller --agg count,sum(duration)",
            "exactly-once",
        ),
        ("--tumbling 10s --by callee --agg count", "exactly-once"),
        ("--hopping 20s,5s --by caller --agg count", "at-most-once"),
    ] {
        let shared = Shared {
            window: window.to_owned(),
            ..Shared::without_records(broker)
        };
        let state = format!("{STATE} --guarantee {guarantee}");
        for piece in shared.pieces::<3>() {
            shared.produce(&piece);
            let run = shared.k(&state);
            let (rows, in_snapshot, read) = restored(&run);
            assert_eq!((in_snapshot, read), (rows, 0), "{window}: {}", run.stderr());
        }
        assert!(shared.last_rows() == shared.expected(), "{window}");
        let (rows, ..) = restored(&shared.k(&state));
        assert!(rows > 0, "{window}");
        // Without the folder all is read as ever.
        let run = shared.k("--exit");
        run.assert_status(0);
        assert!(!run.stderr().contains("snapshot"), "{}", run.stderr());
    }
}

#[test]
fn a_snapshot_that_is_not_what_it_should_be_is_told_and_not_trusted() {
    let Some(broker) = broker() else { return };
    let other = Shared::new(broker);
    other.k(STATE).assert_status(0);

    let shared = Shared::without_records(broker);
    type Harm<'h> = Box<dyn Fn(&[PathBuf]) + 'h>;
    let each = |harm: fn(&mut Vec<u8>)| -> Harm<'_> {
        Box::new(move |files| files.iter().for_each(|file| change(file, harm)))
    };
    let harms: [(Harm<'_>, &str); 6] = [
        (
            each(|bytes| *bytes.last_mut().expect("a byte") ^= 1),
            "is damaged",
        ),
        (each(|bytes| bytes.truncate(bytes.len() - 1)), "breaks off"),
        (each(|bytes| bytes.truncate(100)), "is damaged"),
        (
            each(|bytes| *bytes = b"caller,count\nNoa,7\n".to_vec()),
            "another version",
        ),
        (
            Box::new(|files| {
                let kept = shared.dir.path("kept");
                std::fs::copy(&files[3], &kept).expect("a copy");
                (0..3).rev().for_each(|nth| {
                    std::fs::copy(&files[nth], &files[nth + 1]).expect("a copy");
                });
                std::fs::copy(&kept, &files[0]).expect("a copy");
            }),
            "is of another partition",
        ),
        (
            Box::new(|files| {
                for (other, file) in snapshots(&other).iter().zip(files) {
                    std::fs::copy(other, file).expect("a copy");
                }
            }),
            "is of another group",
        ),
    ];
    let [first, pieces @ ..] = &shared.pieces::<7>();
    shared.produce(first);
    shared.k(STATE).assert_status(0);
    for ((harm, flaw), piece) in harms.iter().zip(pieces) {
        harm(&snapshots(&shared));
        shared.produce(piece);
        let run = shared.k(STATE);
        let (_, in_snapshot, read) = restored(&run);
        let said = run.stderr();
        assert_eq!(said.matches(flaw).count(), 4, "{said}");
        let may_serve = *flaw == "breaks off";
        assert!(read > 0 && (in_snapshot == 0 || may_serve), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
    assert!(shared.last_rows() == shared.expected());
    // Each was mended by the run that has told of it.
    let (rows, in_snapshot, read) = restored(&shared.k(STATE));
    assert_eq!((in_snapshot, read), (rows, 0));
}

#[test]
fn a_snapshot_of_a_state_before_a_reset_is_not_that_of_the_state_after_it() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let keep = |from: &str, to: &str| {
        for partition in 0..4 {
            let name = |ending: &str| file(&shared, &format!("{partition}.{ending}"));
            std::fs::copy(name(from), name(to)).expect("a copy");
        }
    };
    shared.k(STATE).assert_status(0);
    keep("snapshot", "kept");
    // The same plan, so that only the topic tells that it was made again.
    let anew = shared.k(&format!("{STATE} --reset"));
    anew.assert_status(0);
    assert!(!anew.stderr().contains("snapshot"), "{}", anew.stderr());
    keep("kept", "snapshot");
    let run = shared.k(STATE);
    let (_, in_snapshot, read) = restored(&run);
    assert!(in_snapshot == 0 && read > 0, "{}", run.stderr());
    let said = run
        .stderr()
        .matches("is of another plan, or of a state before a reset");
    assert_eq!(said.count(), 4, "{}", run.stderr());
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn a_process_that_is_killed_leaves_snapshots_that_are_older_and_right() {
    let Some(broker) = broker() else { return };
    for guarantee in ["exactly-once", "at-least-once"] {
        let shared = Shared::without_records(broker);
        let state = format!("{STATE} --guarantee {guarantee}");
        let [before, after] = shared.pieces();
        shared.produce(&before);
        shared.k(&state).assert_status(0);
        shared.produce(&after);
        // It dies when it has committed, and before it has told its snapshots.
        let run = shared.k(&format!("{state} --crash-at committed"));
        assert_eq!(run.status, None, "it was to die: {}", run.stderr());
        let run = shared.k(&state);
        let (_, in_snapshot, read) = restored(&run);
        assert!(in_snapshot > 0 && read > 0, "{}", run.stderr());
        assert!(shared.last_rows() == shared.expected(), "{guarantee}");
    }
}

#[test]
fn processes_may_share_a_folder() {
    let Some(broker) = broker() else { return };
    let shared = Shared::without_records(broker);
    for piece in shared.pieces::<2>() {
        shared.produce(&piece);
        for run in [shared.start(STATE), shared.start(STATE)].map(Running::ended) {
            run.assert_status(0);
        }
    }
    assert!(shared.last_rows() == shared.expected());
    // Where one slept for long another had the partition, and could not add to its snapshot.
    let (rows, ..) = restored(&shared.k(STATE));
    assert!(rows > 0);
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn a_folder_that_cannot_be_written_in_is_refused_before_anything_is_read() {
    let dir = Workdir::new();
    dir.write("file", "");
    let window = "window --tumbling 1s --from t --to u --group g --state file -b 127.0.0.1:1";
    dir.k(window).assert_refused(
        1,
        &["cannot write in `file/g-window-changelog`", "--state DIR"],
    );
}
