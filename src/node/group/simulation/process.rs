//! A process of the group, as `k window --group` makes it.

use std::path::Path;
use std::sync::Arc;

use super::client::View;
use super::group::SESSION;
use super::scenario::{GROUP, INPUT, RESULTS, Scenario};
use super::world::lock;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::producer::{self, Producer};
use crate::node::Outputs;
use crate::node::group::commit::{Guarantee, Lease};
use crate::node::group::plan::Described;
use crate::node::group::snapshot::{Folder, Snapshots};
use crate::node::group::{Node, Options, Parts};
use crate::plan::Plan;
use crate::sink::topic::{Shared, TopicSink};
use crate::source::kafka::{Since, Starts};
use crate::term::report::{ColorChoice, Report, Verbosity};
use std::time::Duration;

/// Returns how a process reaches the world.
pub(super) fn settings(view: View, interrupt: Interrupt) -> Settings {
    let report = Report::new(Verbosity::Verbose, ColorChoice::Never);
    Settings::of_cluster(Arc::new(view), report, interrupt)
}

/// Works for the group until a signal, or until everything is read.
pub(super) fn work(
    view: View,
    scenario: &Scenario,
    folder: Option<&Path>,
    exits: bool,
    interrupt: Interrupt,
) -> Result<()> {
    let process = view.process;
    let number = lock(&view.world).processes.len();
    let settings = settings(view, interrupt.clone());
    let report = Report::new(Verbosity::Verbose, ColorChoice::Never);
    let (plan, decoder) = scenario.plan()?;
    let admin = Admin::new(&settings)?;
    let starts = Starts::find(&admin, INPUT, Since::Beginning)?;
    let guarantee = scenario.guarantee;
    let lease = Lease::of(Duration::from_micros(SESSION));
    let is_exact = guarantee == Guarantee::ExactlyOnce;
    let producer = Producer::new(
        &settings,
        &producer::Options {
            transactional: is_exact.then(|| format!("{GROUP}-k-{process}-{number}")),
            open_for: scenario.commit_every,
            patient: true,
            within: Some(lease.within),
            ..producer::Options::default()
        },
    )?;
    let producer = Shared::new(producer);
    let sink = sink(&admin, &plan, producer.clone())?;
    let snapshots = match folder {
        Some(folder) => {
            let folder = Folder::open(folder, GROUP)?;
            let described = Described::new(&plan, []);
            Some(Snapshots::open(folder, GROUP, &described, &admin)?)
        }
        None => None,
    };
    let parts = Parts {
        plan: &plan,
        decoder,
        sink: Box::new(sink),
        producer,
        outputs: Outputs::default(),
        metrics: None,
        snapshots,
        admin: &admin,
        settings: &settings,
        report: &report,
        interrupt: &interrupt,
    };
    let options = Options {
        group: GROUP.to_owned(),
        topic: INPUT.to_owned(),
        since: Since::Beginning,
        to: RESULTS.to_owned(),
        is_repartitioned: scenario.is_repartitioned,
        idle: Duration::from_secs(1_000),
        guarantee,
        lease,
        commit_every: scenario.commit_every,
        max_state: None,
        exit: exits,
        skip_bad: false,
        crash: None,
    };
    Node::join(parts, options, starts)?.run()
}

/// Returns the sink of the results.
pub(super) fn sink(admin: &Admin, plan: &Plan, producer: Shared) -> Result<TopicSink> {
    let tombstones = plan.refinement != crate::engine::pane::Refinement::Retracting;
    TopicSink::open_shared(admin, RESULTS, plan.header(), tombstones, producer)
}
