//! Two members of a group, by the library: what one is given while the other has not answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k::interrupt::Interrupt;
use k::kafka::Settings;
use k::kafka::admin::Admin;
use k::kafka::member::{Member, Place, Rebalance};
use k::kafka::producer::{Block, Options, Producer, Record};
use k::term::report::{ColorChoice, Report, Verbosity};

use crate::broker::{broker, unique};

const PATIENCE: Duration = Duration::from_secs(60);
/// Much longer than a group needs to share its partitions anew.
const LONG: Duration = Duration::from_secs(3);

/// Serves a member until the group has decided something.
fn decided(member: &mut Member, within: Duration) -> Option<Rebalance> {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if let Some(rebalance) = member.serve().expect("a member") {
            return Some(rebalance);
        }
        std::thread::yield_now();
    }
    None
}

/// Serves a member until it is given partitions; returns them.
fn given(member: &mut Member) -> Vec<Place> {
    match decided(member, PATIENCE) {
        Some(Rebalance::Given(places)) => {
            member.accept().expect("accepted");
            places
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_that_is_begun_anew_stays_a_members_until_it_lets_go_of_it() {
    let Some(broker) = broker() else { return };
    let report = Report::new(Verbosity::Quiet, ColorChoice::Never);
    let settings = Settings::new(broker.into(), Vec::new(), report, Interrupt::default());
    let settings = settings.expect("settings");
    let (topic, group) = (unique("shared"), unique("sharing"));
    let admin = Admin::new(&settings).expect("a client");
    admin.create_data_topic(&topic, 2).expect("a topic");
    let mut producer = Producer::new(&settings, &Options::default()).expect("a producer");
    let to = producer.topic(&topic).expect("a topic");
    let block = Arc::new(Block::from(Vec::new()));
    for partition in [0, 0, 0, 1, 1, 1] {
        let record = Record {
            partition,
            ..Record::default()
        };
        producer.send(to, &block, &record).expect("sent");
    }
    producer.flush(|_| {}).expect("delivered");

    let mut first = Member::join(&settings, &group, &[&topic]).expect("a member");
    let places = given(&mut first);
    assert_eq!(places.len(), 2);
    for place in &places {
        first.begin(place, 0).expect("begun");
    }
    let mut second = Member::join(&settings, &group, &[&topic]).expect("a member");
    // The group has decided that the first is to let go of one, which it has not looked at.
    assert_eq!(given(&mut second), []);
    for place in &places {
        first.begin(place, 2).expect("begun anew");
        first.read(place, 9).expect("read");
    }
    assert_eq!(decided(&mut second, LONG), None);
    let decided = decided(&mut first, PATIENCE);
    let Some(Rebalance::Taken { places: taken, .. }) = decided else {
        panic!("{decided:?}");
    };
    first.release(&taken).expect("let go of");
    assert_eq!(given(&mut first), []);
    let got = loop {
        let got = given(&mut second);
        if !got.is_empty() {
            break got;
        }
    };
    assert_eq!(got, taken);
    // What the first has kept goes on from where it was begun anew.
    let kept = places.iter().find(|&place| !taken.contains(place));
    let kept = kept.expect("one of two");
    let until = Instant::now() + PATIENCE;
    let fetched = loop {
        first.wait(Duration::from_millis(10));
        let fetched = first.read(kept, 9).expect("read");
        if !fetched.is_empty() {
            break fetched;
        }
        if first.serve().expect("a member").is_some() {
            first.accept().expect("accepted");
        }
        assert!(Instant::now() < until, "nothing is read");
    };
    assert_eq!((fetched.len(), fetched.get(0).offset), (1, 2));
}
