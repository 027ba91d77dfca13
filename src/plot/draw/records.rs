//! Records, the watermark, and stretches in which nothing came.

use super::frame::Frame;
use super::{about, look};
use crate::engine::watermark::BEGINNING;
use crate::picture::ink::{Ink, Symbol};
use crate::picture::{Anchor, Area, CELL, Mark, Scene, Shape, Size, point};
use crate::plot::dot::Dot;
use crate::plot::gather::EXACT;
use crate::plot::lives::Key;
use crate::plot::{Clock, FATES, Fate, Gathered};
use crate::term::units::format_time;

/// How many late and expired records have words beside them at most.
const MOST_NAMED: usize = 12;

/// A stretch without records is shown if it is so many times as long as two records are apart in the mean.
const UNUSUAL: f64 = 5.0;

impl Frame {
    /// Stretches of processing time in which nothing came.
    pub(super) fn quiet(&self, gathered: &Gathered, scene: &mut Scene) {
        let mut marks = Vec::new();
        // On a terminal the words have a line of their own.
        let lines = self.medium.either(0.0, 3.0 * CELL.1);
        let least = (self.area.height() * 0.08).max(lines);
        let (first, last) = self.up.range();
        let usual = (last - first) / gathered.records().max(1) as f64;
        for &(from, to) in &gathered.gaps {
            if ((to - from) as f64) < UNUSUAL * usual {
                continue;
            }
            let (bottom, top) = (self.up.clamped(from as f64), self.up.clamped(to as f64));
            if bottom - top < least {
                continue;
            }
            let band = Area {
                top,
                bottom,
                ..self.area
            };
            let words = format!("nothing came for {}", about(to - from));
            if !self.medium.is_cells {
                let mark = Mark::new(Ink::Quiet, Shape::Box(band));
                marks.push(mark.tip(&words).data("from", from).data("to", to));
            }
            let base = (top + bottom) / 2.0 + self.medium.either(4.0, 0.0);
            let at = point(self.area.right - self.medium.either(8.0, CELL.0), base);
            let words = Mark::text(Ink::Faint, Size::Small, at, words);
            marks.push(words.anchored(Anchor::End));
        }
        scene.add("quiet", marks);
    }

    /// Where records would lie that come when they happen.
    pub(super) fn ideal(&self, gathered: &Gathered, scene: &mut Scene) {
        if !matches!(gathered.subject.clock, Clock::Time(_)) {
            return;
        }
        let (across, up) = (self.across.range(), self.up.range());
        let (from, to) = (across.0.max(up.0), across.1.min(up.1));
        if from < to {
            let ends = [from, to].map(|at| point(self.across.place(at), self.up.place(at)));
            let mark = Mark::new(Ink::Ideal, Shape::Line(ends.to_vec()));
            scene.add("ideal", vec![mark.tip("event time = processing time")]);
        }
    }

    pub(super) fn records(&self, gathered: &Gathered, key: Option<Key>, scene: &mut Scene) {
        let mut marks = Vec::new();
        let several_keys = gathered.view.key.is_none() && gathered.lives.keys().0 > 1;
        let exact = self.exact();
        for fate in FATES {
            let (ink, symbol) = look(fate);
            let cloud = &gathered.clouds[fate as usize];
            if cloud.dots.len() > exact {
                marks.extend(self.shades(gathered, fate, ink));
                continue;
            }
            for dot in &cloud.dots {
                let at = self.place_of(dot);
                let is_faint = several_keys && Some(dot.key) != key;
                let (ink, symbol) = match fate {
                    Fate::OnTime if is_faint => (Ink::OnTime, Symbol::Point),
                    _ => (ink, symbol),
                };
                let mark = Mark::new(ink, Shape::Symbol(symbol, at));
                let mut mark = mark.data("record", dot.record).data("place", dot.place);
                if dot.at > BEGINNING {
                    mark = mark.data("at", dot.at);
                }
                mark = mark.data("when", dot.when);
                if gathered.partitions.len() > 1 {
                    mark = mark.data("partition", dot.partition);
                }
                marks.push(mark.tip(self.told_of(dot, fate, gathered)));
            }
        }
        scene.add("records", marks);
    }

    /// Returns how many records of a fate are drawn one by one.
    fn exact(&self) -> usize {
        match self.medium.is_cells {
            true => (self.area.width() / CELL.0 * 4.0) as usize,
            false => EXACT,
        }
    }

    fn place_of(&self, dot: &Dot) -> crate::picture::Point {
        point(
            self.across.clamped(dot.at as f64),
            self.up.clamped(dot.when as f64),
        )
    }

    fn told_of(&self, dot: &Dot, fate: Fate, gathered: &Gathered) -> String {
        let key = gathered.lives.name(dot.key);
        let key = if key.is_empty() {
            String::new()
        } else {
            format!(" of {key}")
        };
        let place = match gathered.partitions.len() {
            0 | 1 => format!("record {}", dot.place),
            _ => format!("record {}:{}", dot.partition, dot.place),
        };
        let by = match dot.late_by_ms {
            0 => String::new(),
            by => format!(" by {}", about(by)),
        };
        let at = match dot.at {
            BEGINNING => "no time".to_owned(),
            at => format_time(at),
        };
        format!("{place}{key}: {at}, {}{by}", fate.name())
    }

    /// Many records of a fate: how many are where.
    fn shades(&self, gathered: &Gathered, fate: Fate, ink: Ink) -> Option<Mark> {
        let cell = 3.0;
        let most = match self.medium.is_cells {
            true => (
                self.area.width() as usize,
                (self.area.height() / 2.0) as usize,
            ),
            false => (
                (self.area.width() / cell) as usize,
                (self.area.height() / cell) as usize,
            ),
        };
        let cells = gathered.spread.density.cells(fate, most);
        let highest = cells.iter().map(|cell| cell.count).max()? as f64;
        let least = self.medium.either(1.5, 0.0);
        let shades = cells.iter().filter_map(|cell| {
            let area = Area {
                left: self.across.place(cell.across.0 as f64).max(self.area.left),
                right: self.across.place(cell.across.1 as f64).min(self.area.right),
                top: self.up.place(cell.up.1 as f64).max(self.area.top),
                bottom: self.up.place(cell.up.0 as f64).min(self.area.bottom),
            };
            let area = Area {
                right: area.right.max(area.left + least),
                bottom: area.bottom.max(area.top + least),
                ..area
            };
            // A single record is seen beside thousands.
            let strength = 0.25 + 0.75 * ((cell.count as f64).ln_1p() / highest.ln_1p());
            (area.left <= area.right && area.top <= area.bottom).then_some((area, strength))
        });
        let mark = Mark::new(ink, Shape::Shades(shades.collect()));
        Some(
            mark.data("fate", fate.name())
                .data("count", gathered.count(fate)),
        )
    }

    pub(super) fn watermark(&self, gathered: &Gathered, scene: &mut Scene) {
        let (_, last) = self.up.range();
        let mut line = self.stepped(gathered.watermark.iter(), last);
        let Some(&end) = line.last() else {
            return;
        };
        if gathered.has_ended && gathered.view.between.is_none() {
            // The end of the input: above every event time.
            line.push(point(self.area.right, end.y));
        }
        let mark = Mark::new(Ink::Watermark, Shape::Line(line));
        scene.add("watermark", vec![mark.tip("watermark")]);
    }

    /// Returns the corners of a line that goes up in time and to the right in steps.
    pub(super) fn stepped<'s>(
        &self,
        steps: impl Iterator<Item = &'s (i64, i64)>,
        until: f64,
    ) -> Vec<crate::picture::Point> {
        let mut line = Vec::new();
        let mut before: Option<f64> = None;
        for &(when, at) in steps {
            let (x, y) = (self.across.clamped(at as f64), self.up.clamped(when as f64));
            if let Some(before) = before {
                line.push(point(before, y));
            }
            line.push(point(x, y));
            before = Some(x);
        }
        if let Some(before) = before {
            line.push(point(before, self.up.place(until)));
        }
        line
    }

    /// Says by how much records were too late, where there are few.
    pub(super) fn named(&self, gathered: &Gathered, scene: &mut Scene) {
        let cloud = &gathered.clouds[Fate::Expired as usize];
        if self.medium.is_cells || cloud.dots.len() > MOST_NAMED {
            return;
        }
        let line = self.medium.line(Size::Small);
        let mut taken: Vec<Area> = Vec::new();
        let mark = |dot: &Dot| {
            let at = self.place_of(dot);
            let words = format!("{} too late", about(dot.late_by_ms));
            let width = self.medium.text_width(&words, Size::Small);
            let is_free = |area: &Area| !taken.iter().any(|other| area.meets(other));
            let below = |area: Area, by: f64| Area {
                top: area.top + by,
                bottom: area.bottom + by,
                ..area
            };
            // To the right of its record, else to the left; a line lower where another one stands.
            let beside = [at.x + 8.0, at.x - 8.0 - width].map(|left| Area {
                left,
                right: left + width,
                top: at.y + 4.0 - line,
                bottom: at.y + 4.0,
            });
            let places = [0.0, line, -line].into_iter();
            let mut places = places.flat_map(|by| beside.map(|area| below(area, by)));
            let inside = |area: &Area| area.left > self.area.left && area.right < self.area.right;
            let place = places.find(|area| inside(area) && is_free(area))?;
            taken.push(place);
            let (x, anchor) = match place.left > at.x {
                true => (place.left, Anchor::Start),
                false => (place.right, Anchor::End),
            };
            let at = point(x, place.bottom);
            Some(Mark::text(Ink::Expired, Size::Small, at, words).anchored(anchor))
        };
        scene.add("lateness", cloud.dots.iter().filter_map(mark).collect());
    }
}
