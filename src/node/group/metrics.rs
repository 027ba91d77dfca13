//! The metrics of a process of a group, for Prometheus.
//!
//! In: figures of the process and of each of its tasks, every now and then. Out: text in the format
//! of OpenMetrics, which Prometheus reads, at `http://HOST:PORT/metrics`. Names follow Prometheus's
//! conventions: a prefix, base units, `_total` for what only grows.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::restore::Found;
use crate::engine::account::Account;
use crate::engine::watermark::{BEGINNING, END};
use crate::error::{Error, Result};
use crate::kafka::member::Place;
use crate::web::{Answer, Bytes, Request, Response, Server};

/// How often figures are published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(250);

/// The figures of a process, served as long as this lives.
pub struct Metrics {
    figures: Figures,
    registry: Arc<Mutex<Registry>>,
    server: Server,
    published: Option<Instant>,
}

/// The figures of a task.
pub(super) struct TaskFigures<'p> {
    /// Its partition.
    pub place: &'p Place,
    /// How many records there are that it has not read, as far as that is known.
    pub lag: Option<i64>,
    /// How far event time has come, in ms since 1970, UTC.
    pub watermark: i64,
    /// How many windows and keys are open, and how many bytes they take in the changelog.
    pub state: (u64, u64),
}

/// The labels of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTask {
    topic: String,
    partition: i32,
}

/// Where records went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Where a state was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct From {
    from: &'static str,
}

struct Figures {
    records: Family<Outcome, Counter>,
    rows: Counter,
    lag: Family<OfTask, Gauge>,
    delay: Family<OfTask, Gauge<f64, AtomicU64>>,
    state_rows: Family<OfTask, Gauge>,
    state_bytes: Family<OfTask, Gauge>,
    restoring: Gauge,
    commits: Histogram,
    restores: Histogram,
    restored: Family<From, Counter>,
    rewinds: Counter,
}

impl Metrics {
    /// Serves figures at an address; port 0 takes one that is free.
    ///
    /// # Errors
    /// `refused` when the address is taken or not of this machine.
    pub fn serve(address: SocketAddr) -> Result<Self> {
        let refused = |source| {
            Error::io(format!("serve metrics at `{address}`"), source)
                .hint(format!("`--metrics {}:0` picks a free port", address.ip()))
        };
        let figures = Figures::default();
        let registry = Arc::new(Mutex::new(figures.register()));
        let page = Mutex::new(Page::default());
        let of = registry.clone();
        let answer = move |request: &Request| Answer::Now(answer(request, &page, &of));
        Ok(Metrics {
            figures,
            registry,
            server: Server::start(address, answer).map_err(refused)?,
            published: None,
        })
    }

    /// Returns where they are served.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns whether it is time to publish.
    pub(super) fn is_due(&self) -> bool {
        self.published
            .is_none_or(|at| at.elapsed() >= PUBLISH_INTERVAL)
    }

    /// Publishes the figures of the process at `now`, in ms since 1970, UTC; former tasks are dropped.
    pub(super) fn publish<'p>(
        &mut self,
        now: i64,
        account: &Account,
        tasks: impl Iterator<Item = TaskFigures<'p>>,
        restoring: usize,
    ) {
        self.published = Some(Instant::now());
        let _whole = lock(&self.registry); // nobody sees half of it
        self.figures.publish(now, account, tasks, restoring);
    }

    /// Notes a commit.
    pub(super) fn committed(&self, took: Duration) {
        self.figures.commits.observe(took.as_secs_f64());
    }

    /// Notes a state that was restored, and where it was found.
    pub(super) fn restored(&self, took: Duration, found: Found) {
        self.figures.restored(took, found);
    }

    /// Notes that the process went back to its last commit.
    pub(super) fn rewound(&self) {
        self.figures.rewinds.inc();
    }
}

impl Default for Figures {
    fn default() -> Self {
        Figures {
            records: Family::default(),
            rows: Counter::default(),
            lag: Family::default(),
            delay: Family::default(),
            state_rows: Family::default(),
            state_bytes: Family::default(),
            restoring: Gauge::default(),
            // 1 ms to 8 s, and 10 ms to 3 min.
            commits: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            restores: Histogram::new(exponential_buckets(0.01, 4.0, 8)),
            restored: Family::default(),
            rewinds: Counter::default(),
        }
    }
}

impl Figures {
    /// Returns them by name, each with its help.
    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("k");
        registry.register(
            "records",
            "Records that were read, by where they went",
            self.records.clone(),
        );
        registry.register("rows", "Rows of results that left", self.rows.clone());
        registry.register(
            "lag_records",
            "Records of the partition that are not read yet",
            self.lag.clone(),
        );
        registry.register_with_unit(
            "watermark_delay",
            "How far the task's event time is behind the clock",
            Unit::Seconds,
            self.delay.clone(),
        );
        registry.register(
            "state_rows",
            "Windows and keys that the task holds open",
            self.state_rows.clone(),
        );
        registry.register_with_unit(
            "state",
            "State of the task, as it stands in its changelog",
            Unit::Bytes,
            self.state_bytes.clone(),
        );
        registry.register(
            "restoring_tasks",
            "Tasks whose state is being restored",
            self.restoring.clone(),
        );
        registry.register_with_unit(
            "commit_duration",
            "Time that commits of results, state and offsets took",
            Unit::Seconds,
            self.commits.clone(),
        );
        registry.register_with_unit(
            "restore_duration",
            "Time that restoring a task's state took",
            Unit::Seconds,
            self.restores.clone(),
        );
        registry.register(
            "restored_rows",
            "Rows that states were restored from: of snapshots, and read of the changelog",
            self.restored.clone(),
        );
        registry.register(
            "rewinds",
            "Times that the process went back to its last commit",
            self.rewinds.clone(),
        );
        registry
    }

    fn restored(&self, took: Duration, found: Found) {
        self.restores.observe(took.as_secs_f64());
        for (from, rows) in [("snapshot", found.rows), ("changelog", found.records)] {
            self.restored.get_or_create(&From { from }).inc_by(rows);
        }
    }

    fn publish<'p>(
        &self,
        now: i64,
        account: &Account,
        tasks: impl Iterator<Item = TaskFigures<'p>>,
        restoring: usize,
    ) {
        for (outcome, count) in [
            ("on_time", account.on_time),
            ("late", account.late),
            ("expired", account.expired),
            ("malformed", account.malformed),
            ("ahead", account.ahead),
            ("filtered", account.filtered),
            ("duplicate", account.duplicates),
        ] {
            let counter = self.records.get_or_create(&Outcome { outcome });
            counter.inner().store(count, Ordering::Relaxed);
        }
        self.rows.inner().store(account.rows, Ordering::Relaxed);
        self.restoring.set(restoring as i64);
        self.lag.clear();
        self.delay.clear();
        self.state_rows.clear();
        self.state_bytes.clear();
        for task in tasks {
            let labels = OfTask {
                topic: task.place.topic.to_string(),
                partition: task.place.partition,
            };
            if let Some(lag) = task.lag {
                self.lag.get_or_create(&labels).set(lag);
            }
            if task.watermark != BEGINNING && task.watermark != END {
                let delay = now.saturating_sub(task.watermark) as f64 / 1e3;
                self.delay.get_or_create(&labels).set(delay);
            }
            let (rows, bytes) = task.state;
            self.state_rows.get_or_create(&labels).set(rows as i64);
            self.state_bytes.get_or_create(&labels).set(bytes as i64);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of the figures. However many ask, it is put together four times a second at most, and
/// their answers share it.
#[derive(Default)]
struct Page {
    text: Bytes,
    made: Option<Instant>,
}

impl Page {
    fn text(&mut self, registry: &Mutex<Registry>) -> Bytes {
        if self.made.is_none_or(|at| at.elapsed() >= PUBLISH_INTERVAL) {
            let mut text = String::new();
            // A string takes all that is written to it.
            if encode(&mut text, &lock(registry)).is_ok() {
                (self.text, self.made) = (Bytes::from(text), Some(Instant::now()));
            }
        }
        self.text.clone()
    }
}

fn answer(request: &Request, page: &Mutex<Page>, registry: &Mutex<Registry>) -> Response {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || request.uri().path() != "/metrics" {
        let mut response = Response::new(Bytes::from("the metrics are at /metrics\n").into());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(lock(page).text(registry).into());
    let format = HeaderValue::from_static(FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_under_the_names_that_prometheus_expects() {
        let figures = Figures::default();
        let registry = figures.register();
        let account = Account {
            on_time: 7,
            late: 2,
            ..Account::default()
        };
        let place = Place {
            topic: "calls".into(),
            partition: 3,
        };
        let task = |watermark| TaskFigures {
            place: &place,
            lag: Some(5),
            watermark,
            state: (11, 220),
        };
        figures.publish(10_500, &account, [task(9_000)].into_iter(), 1);
        figures.commits.observe(0.003);
        figures.restored(
            Duration::from_millis(20),
            Found {
                rows: 30,
                records: 4,
            },
        );
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        for line in [
            "# HELP k_records Records that were read, by where they went.",
            "# TYPE k_records counter",
            "k_records_total{outcome=\"on_time\"} 7",
            "k_records_total{outcome=\"late\"} 2",
            "k_lag_records{topic=\"calls\",partition=\"3\"} 5",
            "k_watermark_delay_seconds{topic=\"calls\",partition=\"3\"} 1.5",
            "k_state_rows{topic=\"calls\",partition=\"3\"} 11",
            "k_state_bytes{topic=\"calls\",partition=\"3\"} 220",
            "k_restoring_tasks 1",
            "# TYPE k_commit_duration_seconds histogram",
            "k_commit_duration_seconds_bucket{le=\"0.004\"} 1",
            "k_commit_duration_seconds_bucket{le=\"0.002\"} 0",
            "k_commit_duration_seconds_count 1",
            "k_restored_rows_total{from=\"snapshot\"} 30",
            "k_restored_rows_total{from=\"changelog\"} 4",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // Before the first record there is no event time, and a task that is gone has no figures.
        figures.publish(10_500, &account, [task(BEGINNING)].into_iter(), 0);
        text.clear();
        encode(&mut text, &registry).expect("text");
        assert!(!text.contains("k_watermark_delay_seconds{"));
        figures.publish(10_500, &account, std::iter::empty(), 0);
        text.clear();
        encode(&mut text, &registry).expect("text");
        assert!(!text.contains("partition="), "{text}");
    }
}
