//! Windows as boxes, and their panes.

use super::frame::Frame;
use super::pane_ink;
use crate::engine::window::Window;
use crate::picture::ink::Ink;
use crate::picture::{Anchor, Area, CELL, Mark, Scene, Shape, Size, point};
use crate::plot::Gathered;
use crate::plot::dot::edge;
use crate::plot::gather::bounded;
use crate::plot::lives::{Life, Shown};
use crate::term::units::format_count;

impl Frame {
    pub(super) fn windows(&self, lives: &[Life], gathered: &Gathered, scene: &mut Scene) {
        let (from, to) = self.across.range();
        let range = (from as i64, to as i64);
        let mut marks = Vec::new();
        for life in lives {
            let mut left = Vec::new();
            let mut right = Vec::new();
            let ends = life.stages.iter().skip(1).map(|(when, _)| *when);
            let last = self.last_of(life, gathered);
            for ((when, window), until) in life.stages.iter().zip(ends.chain([last])) {
                let (start, end) = bounded(*window, range);
                let (start, end) = (
                    self.across.clamped(start as f64),
                    self.across.clamped(end as f64),
                );
                let (bottom, top) = (self.up.clamped(*when as f64), self.up.clamped(until as f64));
                left.extend([point(start, bottom), point(start, top)]);
                right.extend([point(end, bottom), point(end, top)]);
            }
            let shape = match life.stages.len() {
                1 => Shape::Box(Area {
                    left: left[0].x,
                    right: right[0].x,
                    bottom: left[0].y,
                    top: left[1].y,
                }),
                _ => {
                    left.extend(right.into_iter().rev());
                    Shape::Outline(left)
                }
            };
            let mark = Mark::new(Ink::Window, shape).tip(self.describe(life, gathered));
            marks.push(
                with_window(mark, life.window(), gathered.lives.name(life.key))
                    .data("records", life.records)
                    .data("windows", life.windows),
            );
        }
        scene.add("windows", marks);
    }

    /// Returns when a window was seen last: of one that is open still, that is now.
    fn last_of(&self, life: &Life, gathered: &Gathered) -> i64 {
        match (life.is_over(), gathered.has_ended) {
            (false, false) => self.up.range().1 as i64,
            _ => life.last,
        }
    }

    fn describe(&self, life: &Life, gathered: &Gathered) -> String {
        let key = gathered.lives.name(life.key);
        let of = if key.is_empty() {
            String::new()
        } else {
            format!(" of {key}")
        };
        let window = life.window();
        let several = match life.windows {
            1 => "window".to_owned(),
            several => format!("{} windows", format_count(several)),
        };
        let mut told = format!(
            "{several} {} to {}{of}: {} records",
            edge(window.start),
            edge(window.end),
            format_count(life.records)
        );
        for (count, what) in [(life.late, "late"), (life.expired, "expired")] {
            if count > 0 {
                told += &format!(", {} {what}", format_count(count));
            }
        }
        told
    }

    pub(super) fn panes(&self, lives: &[Life], gathered: &Gathered, scene: &mut Scene) {
        let (from, to) = self.across.range();
        let range = (from as i64, to as i64);
        let mut marks = Vec::new();
        let mut words: Vec<Mark> = Vec::new();
        let mut taken: Vec<Area> = Vec::new();
        for life in lives {
            let key = gathered.lives.name(life.key);
            for shown in life.panes.iter() {
                let stages = life.stages.iter().rev();
                let stage = stages.clone().find(|(when, _)| *when <= shown.when);
                let window = stage
                    .or(life.stages.first())
                    .map_or(life.window(), |(_, window)| *window);
                let (start, end) = bounded(window, range);
                let (left, right) = (
                    self.across.clamped(start as f64),
                    self.across.clamped(end as f64),
                );
                if left >= right && start != end {
                    continue;
                }
                // A session of a single record has no length, and is seen all the same.
                let half = (self.medium.either(8.0, CELL.0) - (right - left)).max(0.0) / 2.0;
                let (left, right) = (left - half, right + half);
                let y = self.up.clamped(shown.when as f64);
                let ends = vec![point(left, y), point(right, y)];
                let mark = Mark::new(pane_ink(shown.timing), Shape::Line(ends));
                let mark = with_window(mark, life.window(), key).data("pane", shown.index);
                let mark = mark
                    .data("timing", shown.timing.name())
                    .data("value", &shown.value);
                marks.push(mark.tip(told_of_pane(shown, life, key, gathered)));
                if life.windows == 1 {
                    words.extend(self.value(shown, (left, right, y), &mut taken));
                }
            }
        }
        scene.add("panes", marks);
        scene.add("values", words);
    }

    /// Writes a pane's value above it, if there is room.
    fn value(
        &self,
        shown: &Shown,
        (left, right, y): (f64, f64, f64),
        taken: &mut Vec<Area>,
    ) -> Option<Mark> {
        let medium = self.medium;
        let words = if shown.is_retraction {
            format!("−({})", shown.value)
        } else {
            shown.value.clone()
        };
        let width = medium.text_width(&words, Size::Small);
        if width > (right - left).max(medium.either(20.0, 0.0)) || words.is_empty() {
            return None;
        }
        let base = y - medium.either(4.0, CELL.1 / 2.0);
        let middle = (left + right) / 2.0;
        let own = Area {
            left: middle - width / 2.0,
            right: middle + width / 2.0,
            top: base - medium.line(Size::Small) * 0.8,
            bottom: base,
        };
        if own.top < self.area.top - medium.either(12.0, CELL.1)
            || taken.iter().rev().take(200).any(|other| own.meets(other))
        {
            return None;
        }
        taken.push(own);
        let mark = Mark::text(
            pane_ink(shown.timing),
            Size::Small,
            point(middle, base),
            words,
        );
        Some(mark.anchored(Anchor::Middle))
    }
}

fn told_of_pane(shown: &Shown, life: &Life, key: &str, gathered: &Gathered) -> String {
    let of = if key.is_empty() {
        String::new()
    } else {
        format!(" of {key}")
    };
    let sign = if shown.is_retraction {
        "takes back "
    } else {
        ""
    };
    let timing = shown.timing.name().replace('_', " ");
    let window = life.window();
    format!(
        "{timing} pane {}{of} ({} to {}): {sign}{} = {}, by {}{}",
        shown.index,
        edge(window.start),
        edge(window.end),
        gathered.subject.value,
        shown.value,
        shown.why,
        if shown.is_last { ", the last" } else { "" }
    )
}

fn with_window(mark: Mark, window: Window, key: &str) -> Mark {
    let mark = mark.data("start", window.start).data("end", window.end);
    match key {
        "" => mark,
        key => mark.data("key", key),
    }
}
