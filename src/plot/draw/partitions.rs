//! The watermark of each partition, and which of them holds the others back.

use super::frame::Frame;
use crate::picture::ink::Ink;
use crate::picture::{Anchor, Area, CELL, Mark, Scene, Shape, Size, point};
use crate::plot::Gathered;

impl Frame {
    /// The watermark of each partition, and which of them holds the others back.
    pub(super) fn partitions(&self, gathered: &Gathered, scene: &mut Scene) {
        let Some(strip) = self.strip else {
            return;
        };
        let mut marks = Vec::new();
        for (nth, partition) in gathered.partitions.iter().enumerate() {
            let last = self.up.range().1;
            let line = self.stepped(partition.watermark.iter(), last);
            if line.len() > 1 {
                let mark = Mark::new(Ink::Partition, Shape::Line(line));
                let tip = format!("watermark of partition {nth}");
                marks.push(mark.data("partition", nth).tip(tip));
            }
        }
        let (_, last) = self.up.range();
        let steps: Vec<(i64, usize)> = gathered.behind.iter().copied().collect();
        let ends = steps.iter().skip(1).map(|(when, _)| *when as f64);
        let mut parts: Vec<(f64, f64, usize)> = Vec::new();
        for (&(when, partition), until) in steps.iter().zip(ends.chain([last])) {
            let (bottom, top) = (self.up.clamped(when as f64), self.up.clamped(until));
            match parts.last_mut() {
                Some(before) if before.2 == partition => before.1 = top,
                // What is narrower than a line of the picture belongs to its neighbour.
                Some(before) if bottom - top < self.medium.either(1.0, CELL.1) => before.1 = top,
                _ => parts.push((bottom, top, partition)),
            }
        }
        let heading = point(
            self.medium.width - self.medium.either(8.0, 0.0),
            self.area.top - self.medium.either(6.0, 0.0),
        );
        let heading = Mark::text(Ink::Behind, Size::Small, heading, "held back by");
        marks.push(heading.anchored(Anchor::End));
        let mut free_below = f64::INFINITY;
        for (bottom, top, partition) in parts {
            let area = Area {
                top,
                bottom,
                ..strip
            };
            let line = self.medium.line(Size::Small);
            if bottom - top < line {
                // Partitions that take turns every moment hold nothing back.
                continue;
            }
            let tip = format!("partition {partition} holds the watermark back");
            let mark = Mark::new(Ink::Behind, Shape::Box(area));
            marks.push(mark.data("partition", partition).tip(&tip));
            if bottom - top >= line && bottom <= free_below {
                let base = (top + bottom) / 2.0 + self.medium.either(4.0, 0.0);
                let base = match self.medium.is_cells {
                    true => (base / CELL.1).ceil() * CELL.1,
                    false => base,
                };
                let at = point(strip.right + self.medium.either(5.0, 0.0), base);
                let name = if self.medium.is_cells {
                    "part. "
                } else {
                    "partition "
                };
                let words = format!("{name}{partition}");
                marks.push(Mark::text(Ink::Behind, Size::Small, at, words));
                free_below = base - line;
            }
        }
        scene.add("partitions", marks);
    }
    /// Says where partitions fell silent.
    pub(super) fn silences(&self, gathered: &Gathered, scene: &mut Scene) {
        if self.strip.is_none() {
            return;
        }
        let mut marks = Vec::new();
        for (nth, partition) in gathered.partitions.iter().enumerate() {
            let silences = partition.idle.iter().filter(|(_, idle)| *idle);
            // At the end of what is read all of them are silent.
            let silences =
                silences.filter(|(when, _)| *when < gathered.now && self.up.holds(*when as f64));
            for &(when, _) in silences {
                let reached = partition.watermark.last();
                let x = reached.map_or(self.area.left, |(_, at)| self.across.clamped(*at as f64));
                let words = format!("partition {nth} idle");
                let width = self.medium.text_width(&words, Size::Small);
                let (x, anchor) = match x + width < self.area.right {
                    true => (x, Anchor::Start),
                    false => (self.area.right, Anchor::End),
                };
                let at = point(x, self.up.place(when as f64));
                let words = Mark::text(Ink::Faint, Size::Small, at, words).anchored(anchor);
                marks.push(words.data("partition", nth).data("idle", when));
            }
        }
        scene.add("silences", marks);
    }
}
