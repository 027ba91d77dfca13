//! A group's state and its offsets, once they do not go together any more: topics that are deleted and
//! made again, offsets that are gone or set by hand, rows of the changelog that are gone.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::Signal;

use crate::broker::{broker, read_topic};
use crate::running::Running;
use crate::transactions::{abort, begin};
use crate::window_group::Shared;

/// Groups by what the topic's key is, and by what it is not.
const WINDOWS: [&str; 2] = ["--tumbling 10s --by caller", "--tumbling 10s --by callee"];

/// A group that has read half of its input, and the file with the other half.
fn half(broker: &str, window: &str) -> (Shared, String) {
    let mut shared = Shared::without_records(broker);
    let [before, after] = shared.pieces();
    shared.window = window.to_owned();
    shared.produce(&before);
    shared.k("--exit").assert_status(0);
    (shared, after)
}

fn config(shared: &Shared) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &shared.broker);
    config
}

fn admin(shared: &Shared) -> AdminClient<DefaultClientContext> {
    config(shared).create().expect("a client")
}

/// Runs what the crate has to be waited for.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    loop {
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
}

/// Deletes the group, as a broker does with the offsets of one that has rested for seven days.
fn forget_group(shared: &Shared) {
    let admin = admin(shared);
    let deleted = admin.delete_groups(&[&shared.group], &AdminOptions::new());
    let deleted = wait_for(deleted).expect("an answer");
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

/// Sets the group to an offset of a partition, as `kafka-consumer-groups.sh --reset-offsets` does.
fn set_offset(shared: &Shared, partition: i32, offset: i64) {
    let mut config = config(shared);
    let consumer: BaseConsumer = config
        .set("group.id", &shared.group)
        .create()
        .expect("a client");
    let mut offsets = TopicPartitionList::new();
    let added = offsets.add_partition_offset(&shared.topic, partition, Offset::Offset(offset));
    added.expect("a partition");
    let committed = consumer.commit(&offsets, CommitMode::Sync);
    committed.expect("it is committed");
}

fn changelog(shared: &Shared) -> String {
    format!("{}-window-changelog", shared.group)
}

/// Deletes a topic and makes it again, with the records of a file.
fn make_again(shared: &Shared, file: &str) {
    let Shared {
        dir, topic, broker, ..
    } = shared;
    let delete = format!("topic delete {topic} --yes -b {broker}");
    dir.k(&delete).assert_status(0);
    shared.produce(file);
}

#[test]
fn a_topic_that_was_made_again_is_not_added_to_the_state_of_the_other() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, after) = half(broker, window);
        make_again(&shared, "data/mono_signal.csv");
        let said = "was deleted and created again";
        shared.k("--exit").assert_refused(1, &[said, "`--reset`"]);
        shared.k("--exit --reset").assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
        // Under a process that runs, too; it is told by the topic's id.
        let running = shared.start("-v");
        running.await_said("given partitions 0, 1, 2, 3");
        make_again(&shared, &after);
        let ended = running.ended();
        ended.assert_status(1);
        // Whether it is looked up between the two or after them.
        let is_told = [said, "is gone"]
            .iter()
            .any(|part| ended.stderr().contains(part));
        assert!(is_told, "{}", ended.stderr());
    }
}

#[test]
fn a_group_whose_offsets_are_gone_goes_on_where_its_state_stands() {
    let Some(broker) = broker() else { return };
    let (shared, after) = half(broker, WINDOWS[0]);
    forget_group(&shared);
    shared.produce(&after);
    let run = shared.k("--exit");
    run.assert_status(0);
    let said = "the group's offset is gone; continuing at";
    assert!(run.stderr().contains(said), "{}", run.stderr());
    assert!(shared.last_rows() == shared.expected());
    // The group knows of it again.
    forget_group(&shared);
    shared.k("--exit").assert_status(0);
    let again = shared.k("--exit");
    assert!(!again.stderr().contains(said), "{}", again.stderr());
    assert!(shared.last_rows() == shared.expected());
    // What is handed on upstream has no state but beside the offsets.
    let (shared, after) = half(broker, WINDOWS[1]);
    forget_group(&shared);
    shared.produce(&after);
    let parts = ["no offset any more", "`--reset`"];
    shared.k("--exit").assert_refused(1, &parts);
    shared.k("--exit --reset").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn offsets_that_were_set_by_hand_are_refused_where_the_state_stands_elsewhere() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, after) = half(broker, window);
        shared.produce(&after);
        set_offset(&shared, 1, 7);
        let run = shared.k("--exit");
        let set = format!(
            "was set to offset 7 of topic `{}`, partition 1",
            shared.topic
        );
        run.assert_refused(1, &[&set, "`--reset`"]);
        if window == WINDOWS[0] {
            let said = run.stderr();
            let (_, position) = said.split_once("--to-offset ").expect("the way back");
            let digits: String = position.chars().take_while(char::is_ascii_digit).collect();
            set_offset(&shared, 1, digits.parse().expect("an offset"));
            shared.k("--exit").assert_status(0);
        } else {
            shared.k("--exit --reset").assert_status(0);
        }
        assert!(shared.last_rows() == shared.expected(), "{window}");
    }
}

#[test]
fn a_group_whose_next_records_are_gone_can_go_on_without_them() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, after) = half(broker, window);
        shared.produce(&after);
        // All but the last three of each partition, and so some that were not read.
        let held = read_topic(broker, &shared.topic);
        let ends = (0..4).map(|number| {
            let offsets = held.iter().filter(|record| record.partition == number);
            let last = offsets.map(|record| record.offset).max();
            (number, last.expect("a record") - 2)
        });
        let firsts: Vec<(i32, i64)> = ends.collect();
        let mut before = TopicPartitionList::new();
        for &(number, first) in &firsts {
            let added = before.add_partition_offset(&shared.topic, number, Offset::Offset(first));
            added.expect("a partition");
        }
        let admin = admin(&shared);
        let deleted = admin.delete_records(&before, &AdminOptions::new());
        wait_for(deleted).expect("they are deleted");
        let run = shared.k("--exit");
        run.assert_status(1);
        for said in ["the next records are gone", "`--reset`"] {
            assert!(run.stderr().contains(said), "{}", run.stderr());
        }
        let is_told = run.stderr().contains("--to-earliest");
        assert_eq!(is_told, window == WINDOWS[0], "{}", run.stderr());
        if is_told {
            firsts
                .iter()
                .for_each(|&(number, first)| set_offset(&shared, number, first));
            let run = shared.k("--exit");
            run.assert_status(0);
            assert!(run.stderr().contains("12 records in"), "{}", run.stderr());
            assert!(run.stderr().contains("of state"), "{}", run.stderr());
            // But not past records that are there.
            shared.produce(&after);
            set_offset(&shared, 1, firsts[1].1 + 4);
            shared.k("--exit").assert_refused(1, &["would be left out"]);
        } else {
            // For the broker the run that has ended may be a member a moment longer, a session at most.
            let asked = Instant::now();
            let mut run = shared.k("--exit --reset");
            while run.stderr().contains("has members") && asked.elapsed() < Duration::from_secs(30)
            {
                run = shared.k("--exit --reset");
            }
            run.assert_status(0);
        }
    }
}

#[test]
fn a_changelog_of_which_a_partition_was_emptied_is_refused() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, _) = half(broker, window);
        let topic = changelog(&shared);
        // A compacted topic takes no request to delete records; made again, it is empty.
        let plan = read_topic(broker, &topic);
        let plan = plan.iter().filter(|record| record.partition == 0);
        let lines: Vec<String> = plan
            .map(|record| {
                let text = |bytes: &Option<Vec<u8>>| {
                    use base64::Engine;
                    let coded = base64::engine::general_purpose::STANDARD;
                    bytes.as_ref().map(|bytes| coded.encode(bytes))
                };
                let record = serde_json::json!({
                    "topic": topic, "partition": 0, "offset": record.offset,
                    "timestamp": record.timestamp,
                    "key_base64": text(&record.key), "value_base64": text(&record.value),
                });
                record.to_string()
            })
            .collect();
        let dir = &shared.dir;
        dir.write("changelog.jsonl", lines.join("\n") + "\n");
        let k = |args: &str| {
            dir.k(&format!("{args} -b {broker}")).assert_status(0);
        };
        k(&format!("topic delete {topic} --yes"));
        k(&format!(
            "topic create {topic} --partitions 4 --config cleanup.policy=compact"
        ));
        k(&format!(
            "produce changelog.jsonl -t {topic} --keep-partition"
        ));
        let gone = format!("its state is gone from topic `{topic}`");
        shared.k("--exit").assert_refused(1, &[&gone, "`--reset`"]);
    }
}

/// Makes the changelog again, with the same rows and another text of the plan.
fn change_plan(shared: &Shared, change: impl Fn(&mut Vec<[String; 2]>)) {
    use base64::Engine;
    let Shared { broker, dir, .. } = shared;
    let topic = changelog(shared);
    let coded = base64::engine::general_purpose::STANDARD;
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| coded.encode(bytes));
    let lines = read_topic(broker, &topic).into_iter().map(|mut record| {
        if record
            .key
            .as_ref()
            .is_some_and(|key| key.starts_with(b"plan"))
        {
            let plan = record.value.expect("a plan");
            let mut plan = serde_json::from_slice(&plan).expect("pairs");
            change(&mut plan);
            record.value = Some(serde_json::to_vec(&plan).expect("JSON"));
        }
        let record = serde_json::json!({
            "topic": topic, "partition": record.partition, "offset": record.offset,
            "timestamp": record.timestamp,
            "key_base64": text(record.key), "value_base64": text(record.value),
        });
        record.to_string() + "\n"
    });
    dir.write("changelog.jsonl", lines.collect::<String>());
    for args in [
        format!("topic delete {topic} --yes"),
        format!("topic create {topic} --partitions 4 --config cleanup.policy=compact"),
        format!("produce changelog.jsonl -t {topic} --keep-partition"),
    ] {
        dir.k(&format!("{args} -b {broker}")).assert_status(0);
    }
}

/// Versions before kept each flag by itself, as it was typed.
#[test]
fn a_state_of_the_version_before_goes_on() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, after) = half(broker, window);
        let by = window.rsplit(' ').next().expect("a column");
        change_plan(&shared, |plan| {
            plan.retain(|[name, _]| name != "plan");
            for (flag, typed) in [
                ("the window", "--tumbling 10s"),
                ("--by", by),
                ("--agg", "COUNT( * )"),
                ("--where", ""),
                ("--distinct", ""),
                ("--change", ""),
                ("--time", ""),
                ("--time-unit", "ms"),
                ("--arrival", ""),
                ("--having", ""),
                ("--decimal-comma", ""),
                ("--trigger", ""),
                ("--refine", "accumulating"),
                ("--out-of-order", "0s"),
                ("--ahead", ""),
                ("--grace", "0s"),
            ] {
                plan.push([flag, typed].map(str::to_owned));
            }
        });
        shared.produce(&after);
        let other = shared.k("--exit --grace 1s");
        other.assert_refused(1, &["another plan: --grace was not given and is `1s`"]);
        shared.k("--exit").assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
        change_plan(&shared, |plan| {
            plan.retain(|[name, _]| name != "--agg");
            plan.push(["--agg", "guess(caller)"].map(str::to_owned));
        });
        let parts = [
            "another version of `k`",
            "`guess`",
            "guess(caller)",
            "`--reset`",
        ];
        shared.k("--exit").assert_refused(1, &parts);
    }
}

#[test]
fn a_changelog_that_is_deleted_under_a_group_ends_it() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let (shared, after) = half(broker, window);
        let running = shared.start("-v");
        running.await_said("given partitions 0, 1, 2, 3");
        let topic = changelog(&shared);
        let delete = format!("topic delete {topic} --yes -b {broker}");
        shared.dir.k(&delete).assert_status(0);
        shared.produce(&after);
        let ended = running.ended();
        ended.assert_status(1);
        let said = ended.stderr();
        assert!(said.contains(&format!("topic `{topic}` is gone")), "{said}");
    }
}

/// A transaction of somebody else's that stays open in the result topic, as one that a broker has
/// forgotten does.
#[test]
fn a_run_to_the_end_waits_until_its_last_rows_can_be_read() {
    let Some(broker) = broker() else { return };
    let (shared, after) = half(broker, WINDOWS[0]);
    shared.produce(&after);
    let other = begin(broker, &shared.to, &[0]);
    let running = shared.start("--exit");
    running.await_said(&format!(
        "waiting for an open transaction in topic `{}`, partition 0",
        shared.to
    ));
    abort(&other);
    running.ended().assert_status(0);
    assert!(shared.last_rows() == shared.expected());
    // Whoever stops it need not wait.
    let _other = begin(broker, &shared.to, &[0]);
    let running = shared.start("--exit");
    running.await_said("waiting for an open transaction");
    running.ended_by(Signal::INT).assert_status(130);
}

#[test]
fn processes_that_begin_a_group_at_once_all_work_for_it() {
    let Some(broker) = broker() else { return };
    for round in 0..6 {
        let mut shared = Shared::new(broker);
        shared.window = WINDOWS[round % 2].to_owned();
        let running: Vec<Running> = (0..4).map(|_| shared.start("--exit")).collect();
        for run in running.into_iter().map(Running::ended) {
            run.assert_status(0);
        }
        assert!(shared.last_rows() == shared.expected(), "round {round}");
    }
}

/// The second is stopped while it waits for the first records, and wakes up when the first has committed.
#[test]
fn a_process_that_another_has_been_quicker_than_takes_its_plan() {
    let Some(broker) = broker() else { return };
    for window in WINDOWS {
        let mut shared = Shared::without_records(broker);
        shared.window = window.to_owned();
        let Shared { topic, dir, .. } = &shared;
        // The broker would delete records of these times soon.
        let kept = "--config retention.ms=-1";
        let create = format!("topic create {topic} --partitions 4 {kept} -b {broker}");
        dir.k(&create).assert_status(0);
        let second = shared.start("-v");
        second.await_said(&format!("reading topic `{topic}` from offset"));
        second.signal(Signal::STOP);
        shared.produce("data/mono_signal.csv");
        shared.k("--exit").assert_status(0);
        second.signal(Signal::CONT);
        second.await_said("given partitions");
        second.ended_by(Signal::TERM).assert_status(143);
        assert!(shared.last_rows() == shared.expected(), "{window}");
    }
}

/// Two plans that are begun at once both leave a row. Which of them counts does not change when the
/// changelog is compacted, which leaves the last row of each key.
#[test]
fn of_two_plans_that_are_begun_at_once_one_counts_for_good() {
    let Some(broker) = broker() else { return };
    for round in 0..6 {
        let shared = Shared::new(broker);
        let wheres = ["duration>0", "duration>1"];
        let running = wheres.map(|text| shared.start(&format!("--exit --where {text}")));
        let runs = running.map(Running::ended);
        let won = runs.iter().position(|run| run.status == Some(0));
        let won = won.unwrap_or_else(|| panic!("{}{}", runs[0].stderr(), runs[1].stderr()));
        runs[1 - won].assert_refused(1, &["another plan", "--where"]);
        let mut plans: Vec<(Vec<u8>, String)> = Vec::new();
        for record in read_topic(broker, &changelog(&shared)) {
            let key = record.key.expect("a key");
            if key.starts_with(b"plan") {
                plans.retain(|(known, _)| *known != key);
                let value = record.value.expect("a plan");
                plans.push((key, String::from_utf8(value).expect("JSON")));
            }
        }
        let text = wheres[won].replace('>', " > ");
        let counts = plans[0].1.contains(&text);
        assert!(counts, "round {round}: {plans:?}");
        shared
            .k(&format!("--exit --where {}", wheres[won]))
            .assert_status(0);
    }
}
