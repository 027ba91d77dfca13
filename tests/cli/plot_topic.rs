//! `k plot`, `--format chart` and `k watch` of a topic.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::broker::{broker, unique};
use crate::plot::{Element, elements};
use crate::running::{Running, await_that};
use crate::watch::{Site, fact};
use crate::window_group::Shared;
use crate::workdir::Workdir;

/// Returns the elements that say something of a kind, as what they say.
fn said<'e>(elements: &'e [Element], name: &str) -> Vec<&'e str> {
    let values = elements.iter().filter_map(|element| element.said.get(name));
    values.map(String::as_str).collect()
}

#[test]
fn a_picture_of_a_topic_has_every_record_and_the_panes_of_its_rows() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("plotted"));
    let generate = "gen -q --rate 10 --seconds 60 --seed 7 --start 2026-01-01 --order end --median-duration 3s";
    dir.k(&format!("{generate} --out data")).assert_status(0);
    let create = format!("topic create {topic} --partitions 3 -b {broker}");
    dir.k(&create).assert_status(0);
    let produce = format!("produce data/mono_signal.csv -t {topic} -b {broker}");
    dir.k(&produce).assert_status(0);
    let plot = |flags: &str| {
        let windows = format!("plot {topic} -b {broker} --tumbling 10s --grace 1h {flags}");
        dir.k(&format!("{windows} --out topic.svg"))
            .assert_status(0);
        dir.read("topic.svg")
    };
    let svg = plot("");
    let drawn = elements(&svg);
    assert_eq!(said(&drawn, "data-record").len(), 600);
    let partitions = drawn
        .iter()
        .filter(|element| element.said.contains_key("data-record"));
    let partitions: BTreeSet<&str> = partitions
        .filter_map(|dot| dot.said.get("data-partition"))
        .map(String::as_str)
        .collect();
    assert_eq!(partitions, BTreeSet::from(["0", "1", "2"]));
    assert!(svg.contains("held back by"));
    assert!(svg.contains(&format!("topic:{topic}: --tumbling 10s --grace 1h")));
    // At the end of the topic the last panes leave: the rows of `k window --exit`.
    let window = format!("window {topic} -b {broker} --tumbling 10s --grace 1h --exit");
    let rows = dir.k(&window);
    let rows: Vec<&str> = rows.stdout().lines().skip(1).collect();
    let counts: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.rsplit(',').next())
        .collect();
    assert_eq!(said(&drawn, "data-value"), counts);

    // The same as a chart: a bar a window, with its count.
    let chart = dir.k(&format!("{window} --format chart"));
    chart.assert_status(0);
    let bars: Vec<&str> = chart.stdout().lines().skip(1).collect();
    assert_eq!(bars.len(), rows.len(), "{}", chart.stdout());
    for (bar, count) in bars.iter().zip(&counts) {
        assert!(bar.ends_with(&format!(" {count}")), "{bar}");
    }
}

#[test]
fn processing_time_is_when_the_broker_appended_where_the_topic_says_so() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("appended"));
    let config = "message.timestamp.type=LogAppendTime";
    let create = format!("topic create {topic} --partitions 1 --config {config} -b {broker}");
    dir.k(&create).assert_status(0);
    dir.write(
        "in.csv",
        "call_id,event_time,caller\n1,1000,a\n2,3000,b\n3,2000,a\n",
    );
    let produce = format!("produce in.csv -t {topic} -b {broker}");
    dir.k(&produce).assert_status(0);
    let plot = format!("plot {topic} -b {broker} --tumbling 10s --time event_time --out a.svg");
    dir.k(&plot).assert_status(0);
    let svg = dir.read("a.svg");
    assert!(svg.contains("processing time (append time)"), "{svg}");
    assert_eq!(said(&elements(&svg), "data-record").len(), 3);
}

#[test]
fn a_topic_is_watched_beside_a_group_and_nothing_is_committed() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let Shared {
        dir, topic, group, ..
    } = &shared;
    let described = || dir.k(&format!("group describe {group} -b {broker}"));
    let flags = "watch --web --no-open --tumbling 10s --by caller --idle 300ms --show 1h --keep 1h";
    let args = format!("{flags} --group {group} --from {topic} -b {broker}");
    let site = Site::of(Running::start(dir, &args));
    let mut frame = serde_json::Value::Null;
    await_that("all records", || {
        frame = site.json("/frame");
        fact(&frame, "records") == "9,000"
    });
    await_that("what is unread", || {
        frame = site.json("/frame");
        fact(&frame, "unread") == "0 records" && !fact(&frame, "uncommitted").is_empty()
    });
    assert_eq!(
        fact(&frame, "uncommitted"),
        format!("9,000 records of {group}")
    );
    assert!(!fact(&frame, "held back by").is_empty(), "{frame}");
    // It has not joined the group, which is not there.
    assert_ne!(described().status, Some(0), "{}", described().stdout());
    // What comes is seen.
    shared.produce("data/mono_signal.csv");
    await_that("more records", || {
        fact(&site.json("/frame"), "records") == "18,000"
    });
    site.end(Signal::TERM);
}
