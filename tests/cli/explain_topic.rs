//! `k explain` about a topic, and about a group at work.

use serde_json::Value;

use crate::broker::{broker, unique};
use crate::window_group::Shared;
use crate::workdir::{Run, Workdir};

#[track_caller]
fn assert_says(run: &Run, lines: &[&str]) {
    run.assert_status(0);
    for line in lines {
        assert!(run.stdout().contains(line), "{line}\n{}", run.stdout());
    }
}

fn json(run: &Run) -> Value {
    run.assert_status(0);
    serde_json::from_str(run.stdout().trim()).expect("JSON")
}

#[test]
fn a_record_of_a_topic_is_found_without_reading_all_of_it() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let dir = &shared.dir;
    // In the middle of what is there.
    let consume = format!("consume {} -b {broker} --exit --format json", shared.topic);
    let records = dir.k(&consume);
    let records = records.stdout().lines().map(serde_json::from_str);
    let offsets = records.filter_map(|record: Result<Value, _>| {
        let record = record.expect("JSON");
        (record["partition"] == 1).then(|| record["offset"].as_i64())?
    });
    let offset = offsets.max().expect("a record") / 2;
    let place = format!("{}:1:{offset}", shared.topic);
    let of_record = |more: &str| {
        dir.k(&format!(
            "explain record {place} --tumbling 10s --exit -b {broker} --format json {more}"
        ))
    };
    let found = of_record("");
    assert!(
        found.stderr().contains("reading from "),
        "{}",
        found.stderr()
    );
    let whole = of_record("--since beginning");
    assert!(
        !whole.stderr().contains("reading from "),
        "{}",
        whole.stderr()
    );
    let (found, whole) = (json(&found), json(&whole));
    for member in ["partition", "place", "at", "key", "columns", "outcome"] {
        assert_eq!(found[member], whole[member], "{member}");
    }
    assert_eq!(found["place"], offset);
    let row = |life: &Value| life["windows"][0]["carried_by"]["values"].clone();
    assert_eq!(
        row(&found),
        row(&whole),
        "as far back as its window reaches"
    );
    // The place names the topic; it is shown as it is typed.
    let told = dir.k(&format!(
        "explain record {place} --tumbling 10s --exit -b {broker}"
    ));
    assert_says(&told, &[&format!("{place}: event time")]);
    dir.k(&format!(
        "explain record {}:1:999999 --tumbling 10s --exit -b {broker}",
        shared.topic
    ))
    .assert_refused(
        1,
        &[
            "no record at offset 999999 in partition 1",
            "k topic describe",
        ],
    );
}

#[test]
fn a_silence_is_told_by_partition_with_what_would_end_it() {
    let Some(broker) = broker() else { return };
    let (workdir, topic) = (Workdir::new(), unique("silent"));
    workdir
        .k(&format!("topic create {topic} --partitions 2 -b {broker}"))
        .assert_status(0);
    workdir.write("in.csv", "at,n\n1767225603000,1\n1767225611000,2\n");
    workdir
        .k(&format!(
            "produce in.csv -t {topic} --partition 1 --time at -b {broker}"
        ))
        .assert_status(0);
    let silence = |more: &str| {
        workdir.k(&format!(
            "explain silence --tumbling 10s --grace 5s --time at --from {topic} -b {broker} {more}"
        ))
    };
    assert_says(
        &silence("--idle 1000000h"),
        &[
            "2 records read, 0 rows so far.\n",
            "Window 2026-01-01T00:00:00Z to 2026-01-01T00:00:10Z (and 1 more) waits for the watermark to reach \
             2026-01-01T00:00:15Z, 5s after its end",
            "  partition 0: empty, no watermark; silent",
            "  partition 1: 2 records, the highest of 2026-01-01T00:00:11Z, watermark 2026-01-01T00:00:11Z; read \
             to its end ← holds the watermark back",
        ],
    );
    let told = json(&silence("--format json"));
    assert_eq!(told["waits"]["missing"], 4_000);
    assert_eq!(told["waits"]["open"], 2);
    assert_eq!(told["partitions"][1]["idle"], true);
    assert!(
        told["reason"].as_str().expect("text").contains(
            "it is at 2026-01-01T00:00:11Z, all partitions are silent, and a record of \
         2026-01-01T00:00:15Z or later in any would advance it that far"
        ),
        "{told}"
    );
    // Without windows it says how far the partitions are.
    assert_says(
        &workdir.k(&format!(
            "explain silence --from {topic} -b {broker} --time at"
        )),
        &["partition 1: 2 records", "No windows were named"],
    );
    let window = workdir.k(&format!(
        "explain window 2026-01-01T00:00:00Z --tumbling 10s --grace 5s --time at --from {topic} -b {broker}"
    ));
    assert_says(
        &window,
        &[
            &format!("    {topic}:1:0  2026-01-01T00:00:03Z  on time\n"),
            "  No row of it has left.\n",
            "  Its next row waits for the watermark to reach 2026-01-01T00:00:15Z; it is at",
        ],
    );
}

#[test]
fn a_group_is_explained_from_outside_and_does_not_notice() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let (dir, group) = (&shared.dir, &shared.group);
    dir.k(&format!("explain silence --group {group} -b {broker}"))
        .assert_refused(1, &["there is no state of a group", "k node list"]);
    let node = format!(
        "window -q {} --from {} --to {} --group {group} -b {broker} --exit",
        shared.window, shared.topic, shared.to
    );
    dir.k(&node).assert_status(0);
    let describe = format!("group describe {group} -b {broker} --format csv");
    let before = dir.k(&describe);
    let silence = dir.k(&format!("explain silence --group {group} -b {broker}"));
    assert_says(
        &silence,
        &["all is read\n", "waits for the watermark to reach"],
    );
    let last = format!("explain window 2026-01-01T00:02:50Z --group {group} -b {broker}");
    let answer = json(&dir.k(&format!("{last} --format json")));
    let tasks = answer["tasks"].as_array().expect("tasks");
    let windows = tasks
        .iter()
        .flat_map(|task| task["windows"].as_array().expect("windows"));
    let windows: Vec<&Value> = windows.collect();
    let counts = windows
        .iter()
        .filter_map(|window| window["values"][0][1].as_i64());
    let rows = shared.rows();
    let of_last = rows
        .iter()
        .filter(|row| row.contains("\"window_start\":1767225770000"));
    let rows: Vec<Value> = of_last
        .map(|row| serde_json::from_str(row).expect("JSON"))
        .collect();
    let shown = rows.iter().filter_map(|row| row["count"].as_i64());
    assert_eq!(counts.sum::<i64>(), shown.sum::<i64>());
    assert_eq!(windows.len(), rows.len());
    let one = windows[0]["key"][0].as_str().expect("a caller");
    assert_says(
        &dir.k(&format!("{last} --key {one}")),
        &[
            &format!(", {one}, in task "),
            "Its next row waits for the watermark to reach 2026-01-01T00:03:00Z",
        ],
    );
    assert_says(
        &dir.k(&format!(
            "explain window 2026-01-01T00:00:00Z --group {group} -b {broker}"
        )),
        &["No task holds such a window"],
    );
    assert_eq!(
        dir.k(&describe).stdout(),
        before.stdout(),
        "it does not notice"
    );
}
