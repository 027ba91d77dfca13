//! Two members of a group, by the library: what one is given while the other has not answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k::error::{Remedy, Result};
use k::interrupt::Interrupt;
use k::kafka::Settings;
use k::kafka::admin::Admin;
use k::kafka::fetched::Fetched;
use k::kafka::member::{Member, Place, Rebalance};
use k::kafka::producer::{Block, Options, Producer, Record};
use k::term::report::{ColorChoice, Report, Verbosity};

use crate::broker::{broker, unique};

const DEADLINE: Duration = Duration::from_secs(180);
/// Much longer than a group needs to share its partitions anew.
const REBALANCE_TIME: Duration = Duration::from_secs(3);

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
    match decided(member, DEADLINE) {
        Some(Rebalance::Given(places)) => {
            member.accept().expect("accepted");
            places
        }
        other => panic!("{other:?}"),
    }
}

/// Returns where a broker is, and a topic with a record in each of some partitions.
fn topic_with(partitions: &[i32]) -> Option<(Settings, String)> {
    let broker = broker()?;
    let report = Report::new(Verbosity::Quiet, ColorChoice::Never);
    let settings = Settings::new(broker.into(), Vec::new(), report, Interrupt::default());
    let settings = settings.expect("settings");
    let topic = unique("shared");
    let admin = Admin::new(&settings).expect("a client");
    let most = partitions.iter().max().expect("a partition");
    admin.create_data_topic(&topic, most + 1).expect("a topic");
    let mut producer = Producer::new(&settings, &Options::default()).expect("a producer");
    let to = producer.topic(&topic).expect("a topic");
    let block = Arc::new(Block::from(Vec::new()));
    for &partition in partitions {
        let record = Record {
            partition,
            ..Record::default()
        };
        producer.send(to, &block, &record).expect("sent");
    }
    producer.flush(|_| {}).expect("delivered");
    Some((settings, topic))
}

/// Reads a partition until there is something to say.
fn read(member: &mut Member, place: &Place) -> Result<Fetched> {
    let until = Instant::now() + DEADLINE;
    loop {
        member.wait(Duration::from_millis(10));
        let read = member.read(place, 9);
        if !read.as_ref().is_ok_and(Fetched::is_empty) {
            return read;
        }
        if member.serve().expect("a member").is_some() {
            member.accept().expect("accepted");
        }
        assert!(Instant::now() < until, "nothing is read");
    }
}

#[test]
fn a_member_whose_next_record_is_gone_joins_anew_once_before_it_says_so() {
    let Some((settings, topic)) = topic_with(&[0; 6]) else {
        return;
    };
    let mut member = Member::join(&settings, &unique("gone"), &[&topic]).expect("a member");
    let mut go_on_from = |offset| {
        let place = given(&mut member).pop().expect("a partition");
        member.begin(&place, offset).expect("begun");
        let read = read(&mut member, &place).map(|fetched| fetched.get(0).offset);
        member.rejoin().expect("a member");
        read.map_err(|error| error.remedy())
    };
    assert_eq!(go_on_from(0), Ok(0));
    let admin = Admin::new(&settings).expect("a client");
    admin.delete_records(&topic, &[(0, 5)]).expect("deleted");
    // Somebody who was away for long may ask for what others have purged.
    assert_eq!(go_on_from(2), Err(Remedy::Rejoin));
    assert_eq!(go_on_from(5), Ok(5));
    assert_eq!(go_on_from(2), Err(Remedy::Rejoin));
    assert_eq!(go_on_from(2), Err(Remedy::ChangeWorld));
}

#[test]
fn a_partition_that_is_begun_anew_stays_a_members_until_it_lets_go_of_it() {
    let Some((settings, topic)) = topic_with(&[0, 0, 0, 1, 1, 1]) else {
        return;
    };
    let group = unique("sharing");
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
    assert_eq!(decided(&mut second, REBALANCE_TIME), None);
    let decided = decided(&mut first, DEADLINE);
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
    // What the first kept continues from where it was begun again.
    let kept = places.iter().find(|&place| !taken.contains(place));
    let kept = kept.expect("one of two");
    let fetched = read(&mut first, kept).expect("read");
    assert_eq!((fetched.len(), fetched.get(0).offset), (1, 2));
}
