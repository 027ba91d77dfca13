//! What was gathered → marks.
//!
//! From below: the grid, stretches in which nothing came, windows, partitions' watermarks, records, the
//! watermark, panes, words. A page is laid out in pixels, a terminal in characters, by the same code.

mod frame;
mod partitions;
mod records;
mod windows;

use super::lives::Life;
use super::{Fate, Gathered};
use crate::engine::pane::Timing;
use crate::picture::ink::{Ink, Symbol};
use crate::picture::{Mark, Medium, Plane, Scene, Size, point};
use crate::term::units::{HOUR, MINUTE, SECOND, format_count, format_duration};
use frame::Frame;

/// Draws what was gathered so far.
pub fn draw(gathered: &mut Gathered, medium: Medium) -> Scene {
    gathered.finish();
    draw_all(gathered, medium)
}

/// Draws a stretch of processing time of a run that goes on.
pub fn draw_stretch(gathered: &mut Gathered, stretch: (i64, i64), medium: Medium) -> Scene {
    let mut cut = gathered.cut(stretch);
    let scene = draw_all(&mut cut, medium);
    gathered.take_back(cut);
    scene
}

fn draw_all(gathered: &mut Gathered, medium: Medium) -> Scene {
    let key = gathered
        .view
        .key
        .is_none()
        .then(|| gathered.lives.busiest());
    let key = key
        .flatten()
        .or_else(|| (gathered.lives.keys().0 > 0).then_some(0));
    let stretch = gathered.stretch;
    let lives = key.map_or(Vec::new(), |key| gathered.lives.of(key));
    let lives: Vec<Life> = match stretch {
        Some(stretch) => {
            let seen = lives.iter().filter_map(|life| life.within(stretch));
            seen.collect()
        }
        None => lives.into_iter().cloned().collect(),
    };
    let title = format!("{}: {}", gathered.subject.source, gathered.subject.asked);
    let mut scene = Scene::new(medium, title.clone(), account(gathered));
    let Some(frame) = Frame::new(gathered, &lives, key, medium) else {
        let at = point(0.0, medium.line(Size::Title));
        let words = Mark::text(
            Ink::Text,
            Size::Title,
            at,
            format!("{title}: no record to draw"),
        );
        scene.add("words", vec![words]);
        return scene;
    };
    scene.plane = Some(Plane {
        area: frame.area,
        across: frame.across.range(),
        up: frame.up.range(),
    });
    let lives = frame.visible(lives);
    frame.axes(&mut scene);
    frame.quiet(gathered, &mut scene);
    frame.windows(&lives, gathered, &mut scene);
    frame.partitions(gathered, &mut scene);
    frame.ideal(gathered, &mut scene);
    frame.records(gathered, key, &mut scene);
    frame.watermark(gathered, &mut scene);
    frame.panes(&lives, gathered, &mut scene);
    frame.silences(gathered, &mut scene);
    frame.named(gathered, &mut scene);
    scene
}

/// Says in a sentence where every record went.
fn account(gathered: &Gathered) -> String {
    let all = [
        Fate::OnTime,
        Fate::Late,
        Fate::Expired,
        Fate::Malformed,
        Fate::Filtered,
        Fate::Duplicate,
        Fate::Other,
    ];
    let parts = all.into_iter().filter_map(|fate| {
        let count = gathered.count(fate);
        let always = matches!(fate, Fate::OnTime | Fate::Late | Fate::Expired);
        (count > 0 || always).then(|| format!("{} {}", format_count(count), fate.name()))
    });
    let parts: Vec<String> = parts.collect();
    if gathered.stretch.is_some() {
        let records = format_count(gathered.records());
        return format!("{records} records in the picture = {}", parts.join(" + "));
    }
    format!(
        "{} records = {} → {} rows",
        format_count(gathered.records()),
        parts.join(" + "),
        format_count(gathered.rows)
    )
}

/// How a fate is drawn.
fn look(fate: Fate) -> (Ink, Symbol) {
    match fate {
        Fate::OnTime => (Ink::OnTime, Symbol::Disc),
        Fate::Late => (Ink::Late, Symbol::Triangle),
        Fate::Expired => (Ink::Expired, Symbol::Cross),
        Fate::Filtered => (Ink::Filtered, Symbol::Circle),
        Fate::Duplicate => (Ink::Duplicate, Symbol::Square),
        Fate::Malformed => (Ink::Malformed, Symbol::Plus),
        Fate::Other => (Ink::Other, Symbol::Point),
    }
}

fn pane_ink(timing: Timing) -> Ink {
    match timing {
        Timing::Early => Ink::Early,
        Timing::OnTime => Ink::Pane,
        Timing::Late => Ink::LatePane,
    }
}

/// Writes a duration as finely as a person needs.
pub fn about(ms: i64) -> String {
    match ms {
        ..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{:.1} s", ms as f64 / SECOND as f64).replace(".0 s", " s"),
        MINUTE..HOUR => format_duration(ms / SECOND * SECOND),
        _ => format_duration(ms / MINUTE * MINUTE),
    }
}
