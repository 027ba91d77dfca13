//! `k top`: plain tables for scripts, a screen for people, and clear words without a broker.

use crate::broker::{broker, unique};
use crate::terminal::on_a_terminal;
use crate::workdir::Workdir;

#[test]
fn once_prints_topics_groups_and_nodes_of_a_real_broker() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.k("gen -q --rate 10 --seconds 10 --seed 1")
        .assert_status(0);
    let (topic, group) = (unique("calls"), unique("readers"));
    let node = unique("node");
    for command in [
        format!("produce -q data/mono_signal.csv -t {topic} -b {broker}"),
        format!("consume -q {topic} --group {group} --limit 40 -b {broker}"),
        format!("window -q --tumbling 1s --from {topic} --group {node} --exit -b {broker}"),
    ] {
        dir.k(&command).assert_status(0);
    }
    // Groups of other tests may read topics with long names: wide enough for all.
    let run = dir.shell(&format!(
        "COLUMNS=1000 k top --once --interval 100ms -b {broker}"
    ));
    run.assert_status(0);
    let row = |name: &str| -> Vec<&str> {
        let mut lines = run.stdout().lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        line.expect("a row").split_whitespace().collect()
    };
    assert_eq!(row(&topic), [&*topic, "3", "100", "0/s"]);
    let of_group = row(&group);
    assert_eq!(of_group[..5], [&*group, &*topic, "empty", "0", "60"]);
    assert_eq!(of_group.last(), Some(&"never"));
    assert_eq!(row(&node)[..3], [&*node, &*topic, "empty"]);
    // What the node has noted beside its offsets.
    let noted = format!("{topic} 0");
    let mut lines = run.stdout().lines();
    let noted = lines.find(|line| line.starts_with(&node) && line.contains(&noted));
    assert!(
        noted.is_some_and(|line| line.contains("Z ")),
        "{}",
        run.stdout()
    );
    assert_eq!(run.stderr(), "");
}

#[test]
fn without_a_broker_or_a_terminal_it_says_so() {
    let dir = Workdir::new();
    dir.k("top --once -b 127.0.0.1:1")
        .assert_refused(1, &["cannot reach Kafka at `127.0.0.1:1`"]);
    dir.k("top -b 127.0.0.1:1")
        .assert_refused(2, &["not a terminal", "k top --once"]);
}

#[test]
fn the_terminal_is_given_back_whichever_key_leaves() {
    let Some(broker) = broker() else { return };
    let args = ["top", "-b", broker];
    for (keys, status) in [("q", 0), ("\\x03", 130)] {
        let Some((ended, seen)) = on_a_terminal(&Workdir::new(), &args, "leaves", keys) else {
            return;
        };
        assert_eq!(ended, status, "{seen}");
        let entered = seen.find("\u{1b}[?1049h").expect("a screen of its own");
        let left = seen.rfind("\u{1b}[?1049l").expect("the old screen again");
        assert!(entered < left, "{seen}");
        assert!(seen.contains("topic"), "{seen}");
        // Without colour: no foreground or background but the default.
        let colored = (30..=37)
            .chain(40..=47)
            .any(|code| seen.contains(&format!("\u{1b}[{code}m")));
        assert!(!colored, "{seen:?}");
    }
}
