//! Tests of the built binary: each runs `k` in a temporary folder of its own and looks at
//! what it wrote, what it said and how it ended. A module per command, and one
//! each for brokers that go, for signals, and for programs that are not ours.

mod belongs;
mod broker;
mod check;
mod compare;
mod completions;
mod consume;
mod derived;
mod doctor;
mod endpoint;
mod r#gen;
mod group;
mod help;
mod input;
mod interop;
mod join;
mod join_topic;
mod live;
mod member;
mod notes;
mod operations;
mod outage;
mod podman;
mod produce;
mod readme;
mod repartition;
mod running;
mod secure;
mod signals;
mod snapshot;
mod stack;
mod streams;
mod top;
mod topic;
mod transactions;
mod values;
mod window;
mod window_aggregate;
mod window_ahead;
mod window_group;
mod window_journal;
mod window_model;
mod window_parallel;
mod window_topic;
mod workdir;
