//! The events of a journal as those of the engine, so that a file is drawn as a run is.

use crate::column::{Column, Value, Values};
use crate::engine::key;
use crate::engine::pane::journal::{Event as Happened, Misfit, Why};
use crate::engine::pane::{Firing, Timing};
use crate::engine::watermark::BEGINNING;
use crate::engine::window::Window;
use crate::journal::{Change, Closed, Event, Json, Kind, Length, Malformed, Plan};
use crate::plot::{Clock, Gathered, Subject};
use crate::term::units::format_duration;

/// Returns what a journal is of, as its first line says it.
pub fn subject(plan: &Plan) -> Subject {
    Subject {
        source: match &plan.sources[..] {
            [] => "a journal".to_owned(),
            [name] => name.clone(),
            [first, ..] => format!("{first} and {} more", plan.sources.len() - 1),
        },
        asked: asked(plan),
        keys: plan.keys.clone(),
        value: plan
            .aggregates
            .first()
            .map(|aggregate| aggregate.name.clone())
            .unwrap_or_default(),
        clock: match &plan.arrival {
            Some(column) => Clock::Time(column.clone()),
            None => Clock::Order,
        },
        partitions: plan.partitions,
    }
}

/// Writes what is computed as flags.
fn asked(plan: &Plan) -> String {
    let length = |length: &Option<Length>| match length {
        Some(Length::Ms(ms)) => format_duration(*ms),
        Some(Length::Calendar(period)) => period.clone(),
        None => String::new(),
    };
    let windows = &plan.windows;
    let mut asked = match windows.kind {
        Kind::Tumbling => format!("--tumbling {}", length(&windows.size)),
        Kind::Hopping => {
            format!(
                "--hopping {},{}",
                length(&windows.size),
                length(&windows.advance)
            )
        }
        Kind::Session => {
            let gap = windows.gap.map(format_duration).unwrap_or_default();
            let max = windows.max.map(|max| format!(",{}", format_duration(max)));
            format!("--session {gap}{}", max.unwrap_or_default())
        }
        Kind::Sliding => format!("--sliding {}", length(&windows.size)),
        Kind::Global => "--global".to_owned(),
    };
    if !plan.keys.is_empty() {
        asked += &format!(" --by {}", plan.keys.join(","));
    }
    if let Some(condition) = &plan.filter {
        asked += &format!(" --where \"{condition}\"");
    }
    if let Some(ms) = plan.out_of_order.filter(|ms| *ms > 0) {
        asked += &format!(" --out-of-order {}", format_duration(ms));
    }
    if let Some(percent) = plan.percentile {
        asked += &format!(" --watermark percentile:{percent}");
    }
    if plan.grace > 0 {
        asked += &format!(" --grace {}", format_duration(plan.grace));
    }
    asked
}

/// Takes note of an event of a journal.
pub fn take(gathered: &mut Gathered, event: &Event) {
    let window = |bounds: crate::journal::Bounds| Window::from(bounds);
    match event {
        Event::Plan(_) => {}
        Event::Read(read) => gathered.take(
            read.now,
            &Happened::Read {
                record: read.record,
                partition: read.partition,
                place: read.place,
                at: read.at,
                arrival: read.arrival,
                key: &bytes(&read.key),
                arguments: &[],
                columns: &[],
                taken_back: read.change == Change::TakenBack,
            },
        ),
        Event::Watermark(moved) => gathered.take(
            moved.now,
            &Happened::Watermark {
                partition: moved.partition.zip(moved.at),
                combined: moved.combined.unwrap_or(BEGINNING),
                record: moved.record,
            },
        ),
        Event::Idle(idle) => gathered.take(
            idle.now,
            &Happened::Idle {
                partition: idle.partition,
                idle: idle.idle,
            },
        ),
        Event::Tick(tick) => gathered.take(tick.now, &Happened::Tick { at: tick.at }),
        Event::Filtered(filtered) => {
            let record = filtered.record;
            gathered.take(filtered.now, &Happened::Filtered { record });
        }
        Event::Duplicate(duplicate) => gathered.take(
            duplicate.now,
            &Happened::Duplicate {
                record: duplicate.record,
                window: window(duplicate.window),
            },
        ),
        Event::Assigned(assigned) => {
            let joins: Vec<Window> = assigned.joins.iter().copied().map(Window::from).collect();
            gathered.take(
                assigned.now,
                &Happened::Assigned {
                    record: assigned.record,
                    window: window(assigned.window),
                    late_by_ms: assigned.by.or(assigned.late.then_some(0)),
                    joins: &joins,
                },
            );
        }
        Event::Made(made) => gathered.take(
            made.now,
            &Happened::Made {
                window: window(made.window),
                key: &bytes(&made.key),
                moments: &made.moments,
            },
        ),
        Event::Expired(expired) => gathered.take(
            expired.now,
            &Happened::Expired {
                record: expired.record,
                window: window(expired.window),
                by_ms: expired.by,
            },
        ),
        Event::Closed(Closed { window, key, now }) => {
            let (window, key) = (Window::from(*window), bytes(key));
            gathered.take(*now, &Happened::Closed { window, key: &key });
        }
        Event::Left(Closed { window, key, now }) => {
            let (window, key) = (Window::from(*window), bytes(key));
            gathered.take(*now, &Happened::Left { window, key: &key });
        }
        Event::Pane(pane) => {
            let first = pane
                .values
                .first()
                .map(|value| Value::Text(value.plain().into()));
            gathered.take(
                pane.now,
                &Happened::Pane {
                    firing: Firing {
                        window: window(pane.window),
                        timing: match pane.timing.as_str() {
                            "early" => Timing::Early,
                            "late" => Timing::Late,
                            _ => Timing::OnTime,
                        },
                        index: pane.pane,
                        is_last: pane.is_last,
                        is_retraction: pane.change == Change::TakenBack,
                    },
                    key: &bytes(&pane.key),
                    why: match pane.why.as_str() {
                        "grace" => Why::Grace,
                        "count" => Why::Count,
                        "every" => Why::Every,
                        "stop" => Why::Stop,
                        _ => Why::Close,
                    },
                    values: first.as_slice(),
                },
            );
        }
        Event::Malformed(malformed) => take_malformed(gathered, malformed, false),
        Event::Ahead(malformed) => take_malformed(gathered, malformed, true),
        Event::End(end) => gathered.take(end.now, &Happened::End),
    }
}

fn take_malformed(gathered: &mut Gathered, malformed: &Malformed, is_ahead: bool) {
    let misfit = Misfit {
        before: 0,
        place: malformed.place,
        at: malformed.at,
        reason: &malformed.reason,
        is_ahead,
    };
    gathered.take(
        malformed.now,
        &Happened::Malformed {
            record: malformed.record,
            partition: malformed.partition,
            misfit: &misfit,
        },
    );
}

/// Returns the bytes of a key, each value as its text.
fn bytes(values: &[Json]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        let text = (!value.is_null()).then(|| value.plain());
        let column = Column::Text(Values::from_iter([text.as_deref()]));
        key::push(&mut bytes, &column, 0);
    }
    bytes
}
