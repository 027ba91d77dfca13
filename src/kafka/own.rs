//! librdkafka properties that only `k` sets, because its guarantees rest on them.
//!
//! On the command line they are rejected. In a file that programs share they are ignored with a
//! warning, as in Kafka Streams.

/// A property that the user cannot set.
#[derive(Debug)]
pub struct Own {
    /// Its names; the first is the usual one.
    pub names: &'static [&'static str],
    /// What another value would do.
    pub why: &'static str,
    /// What the user can do instead.
    pub instead: &'static str,
}

const BY_THE_CLOCK: &str = "offsets would be committed before the results of their records";
const COMMITS: &str = "`--group NAME` commits; for `k window`, `--guarantee` says how safely";
const FEWER_ACKS: &str = "rows that count as written could be lost or duplicated";
const ACKS: &str = "use `--acks` of `k produce`, `--guarantee` of `k window`";

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
        why: "records that are gone would be skipped silently",
        instead: "use `--since` to choose where to start",
    },
    Own {
        names: &["transactional.id"],
        why: "processes with the same one would fence each other off",
        instead: "`k window --guarantee exactly-once` creates one for each process; `k produce` writes without transactions",
    },
    Own {
        names: &["group.id"],
        why: "only `--group` names the group",
        instead: "use `--group NAME`",
    },
    Own {
        names: &["partition.assignment.strategy"],
        why: "partitions would move to other processes while their rows are in flight",
        instead: "leave it out: groups always use `cooperative-sticky`",
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
        why: "rows could be duplicated when a partition gets another leader",
        instead: "leave it out: `k` sends as many at once as its guarantee allows",
    },
];

/// Returns why the user cannot set a property; `None` where they can.
pub fn find(name: &str) -> Option<&'static Own> {
    OWN.iter().find(|own| own.names.contains(&name))
}
