//! K_PREFIX: the user's own topics and groups on a broker that a class shares.

use crate::broker::{broker, unique};
use crate::stack::Machine;

/// The user of the class, with a prefix that no other test has.
struct Person {
    machine: Machine,
    prefix: String,
}

impl Person {
    fn new(broker: &str, name: &str) -> Self {
        let prefix = format!("{}-", unique(name));
        let machine = Machine::bare()
            .with("K_BROKER", broker)
            .with("K_PREFIX", prefix.clone());
        Person { machine, prefix }
    }

    #[track_caller]
    fn k(&self, args: &str) -> String {
        let run = self.machine.k(args);
        run.assert_status(0);
        run.stdout().to_owned()
    }

    /// Returns the first column of a listing, without its heading and without the prefix.
    #[track_caller]
    fn names(&self, args: &str) -> Vec<String> {
        let listed = self.k(args);
        let names = listed.lines().skip(1).map(|line| {
            let name = line.split(',').next().unwrap_or_default();
            let own = name.strip_prefix(self.prefix.as_str());
            own.unwrap_or_else(|| panic!("`{name}` is a stranger's"))
                .to_owned()
        });
        names.collect()
    }
}

#[test]
fn two_of_a_class_share_a_broker_and_each_sees_what_is_theirs() {
    let Some(broker) = broker() else { return };
    let (ada, bob) = (Person::new(broker, "ada"), Person::new(broker, "bob"));
    for (person, calls) in [
        (&ada, "1,1767225601000\n2,1767225611000\n"),
        (&bob, "3,1767225601000\n"),
    ] {
        let workdir = &person.machine.workdir;
        workdir.write(
            "mono_signal.csv",
            format!("call_id,start_timestamp\n{calls}"),
        );
        workdir.write(
            "tower.csv",
            "call_id,tower,start_timestamp\n1,T,1767225601500\n3,T,1767225601500\n",
        );
        person.k("produce mono_signal.csv tower.csv");
    }
    // By default, by name, and by a name that was copied with its prefix.
    assert_eq!(ada.k("window --tumbling 10s --exit -q").lines().count(), 3);
    assert_eq!(bob.k("consume mono_signal --exit -q").lines().count(), 1);
    let copied = format!("consume {}mono_signal --exit -q", ada.prefix);
    assert_eq!(ada.k(&copied).lines().count(), 2);
    let joined = ada.k("join mono_signal tower --on call_id --within 1h --exit -q --format json");
    assert_eq!(joined.lines().count(), 1, "{joined}");

    ada.k("window --from mono_signal --tumbling 10s --group counts --to calls --exit");
    ada.k("consume calls --group readers --exit");
    assert_eq!(ada.names("group list --format csv"), ["counts", "readers"]);
    assert_eq!(bob.names("group list --format csv"), [""; 0]);
    assert_eq!(ada.names("node list --format csv"), ["counts"]);
    assert!(
        ada.k("group describe counts --format csv")
            .contains(&format!("{}mono_signal", ada.prefix))
    );
    assert_eq!(
        ada.names("topic list --format csv"),
        [
            "calls",
            "counts-window-changelog",
            "counts-window-repartition",
            "mono_signal",
            "tower"
        ]
    );
    assert_eq!(
        bob.names("topic list --format csv"),
        ["mono_signal", "tower"]
    );

    bob.k("topic delete mono_signal --yes");
    assert_eq!(bob.names("topic list --format csv"), ["tower"]);
    assert_eq!(
        ada.k("consume topic:mono_signal --exit -q").lines().count(),
        2
    );
}

#[test]
fn an_envelope_is_produced_to_a_topic_of_ones_own() {
    let Some(broker) = broker() else { return };
    let (ada, bob) = (Person::new(broker, "ada"), Person::new(broker, "bob"));
    ada.machine
        .workdir
        .write("calls.csv", "caller,at\na,1\nb,2\n");
    ada.k("produce calls.csv");
    let envelopes = ada.k("consume calls --exit --format json -q");
    bob.machine.workdir.write("calls.jsonl", envelopes);
    bob.k("produce calls.jsonl");
    assert_eq!(
        bob.names("topic list --format csv"),
        [format!("{}calls", ada.prefix)]
    );
}

#[test]
fn a_prefix_that_no_topic_can_have_is_a_usage_error() {
    let machine = Machine::bare().with("K_PREFIX", "ada/");
    machine
        .k("topic list")
        .assert_refused(2, &["K_PREFIX", "`ada/`", "K_PREFIX=ada-"]);
}
