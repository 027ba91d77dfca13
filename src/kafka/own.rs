//! librdkafka properties that only `k` sets, because its guarantees rest on them.
//!
//! On the command line they are rejected. In a file that programs share they are ignored with a
//! warning, as in Kafka Streams.

/// A property that a person cannot set.
#[derive(Debug)]
pub struct Own {
    /// Its names; the first is the usual one.
    pub names: &'static [&'static str],
    /// What another value would do.
    pub why: &'static str,
    /// What a person can do instead.
    pub instead: &'static str,
}

const BY_THE_CLOCK: &str = "offsets would be committed before what was made of the records";
const COMMITS: &str = "`--group NAME` commits, and `--guarantee` of `k window` says how surely";
const FEWER_ACKS: &str = "rows that count as written could be lost or doubled";
const ACKS: &str = "write `--acks` for `k produce`; `k window` has `--guarantee`";

const OWN: &[Own] = &[
    Own {
        names: &["isolation.level"],
        why: "records of aborted transactions would count",
        instead: "`k consume --uncommitted` shows them",
    },
    Own {
        names: &["enable.auto.commit", "auto.commit.enable"],
        why: BY_THE_CLOCK,
        instead: COMMITS,
    },
    Own {
        names: &["enable.auto.offset.store"],
        why: BY_THE_CLOCK,
        instead: COMMITS,
    },
    Own {
        names: &["auto.offset.reset"],
        why: "records that are gone would be passed over without a word",
        instead: "`--since` says where to begin",
    },
    Own {
        names: &["transactional.id"],
        why: "processes with the same one would fence each other off",
        instead: "`k window --guarantee exactly-once` makes one for each process; `k produce` writes without transactions",
    },
    Own {
        names: &["group.id"],
        why: "`--group` alone names the group",
        instead: "write `--group NAME`",
    },
    Own {
        names: &["partition.assignment.strategy"],
        why: "partitions would change hands while their rows are on the way",
        instead: "leave it out: groups share partitions by `cooperative-sticky`",
    },
    Own {
        names: &["enable.idempotence"],
        why: FEWER_ACKS,
        instead: ACKS,
    },
    Own {
        names: &["acks", "request.required.acks"],
        why: FEWER_ACKS,
        instead: ACKS,
    },
    Own {
        names: &["max.in.flight.requests.per.connection", "max.in.flight"],
        why: "rows could be doubled when a partition gets another leader",
        instead: "leave it out: `k` sends as much at once as its guarantee allows",
    },
];

/// Returns why a person cannot set a property; `None` where they can.
pub fn find(name: &str) -> Option<&'static Own> {
    OWN.iter().find(|own| own.names.contains(&name))
}
