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
        let heading = point(
            self.medium.width - self.medium.either(8.0, 0.0),
            self.area.top - self.medium.either(6.0, 0.0),
        );
        let heading = Mark::text(Ink::Behind, Size::Small, heading, "held back by");
        marks.push(heading.anchored(Anchor::End));
        let mut free_below = f64::INFINITY;
        for (bottom, top, partition) in self.held_back(gathered) {
            let area = Area {
                top,
                bottom,
                ..strip
            };
            let line = self.medium.line(Size::Small);
            if bottom - top < line {
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
    /// Returns from where up to where which partition holds the watermark back. Partitions that take turns
    /// every moment hold nothing back.
    fn held_back(&self, gathered: &Gathered) -> Vec<(f64, f64, usize)> {
        let (_, last) = self.up.range();
        let steps: Vec<(i64, usize)> = gathered.behind.iter().copied().collect();
        let ends = steps.iter().skip(1).map(|(when, _)| *when as f64);
        let moment = self.medium.either(1.0, CELL.1);
        let line = self.medium.line(Size::Small);
        let mut parts: Vec<(f64, f64, Option<usize>)> = Vec::new();
        for (&(when, partition), until) in steps.iter().zip(ends.chain([last])) {
            let (bottom, top) = (self.up.clamped(when as f64), self.up.clamped(until));
            let held = (bottom - top >= moment).then_some(partition);
            match &mut parts[..] {
                [.., before] if before.2 == held => before.1 = top,
                // A short turn of others changes nothing.
                [.., before, (turn, _, None)] if before.2 == held && *turn - bottom < line => {
                    before.1 = top;
                    parts.pop();
                }
                _ => parts.push((bottom, top, held)),
            }
        }
        let held = parts.into_iter();
        held.filter_map(|(bottom, top, held)| Some((bottom, top, held?)))
            .collect()
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

#[cfg(test)]
mod tests {
    use crate::engine::pane::journal::Event;
    use crate::picture::{Medium, Shape};
    use crate::plot::{Clock, Gathered, Subject, View, draw};

    /// Returns which partitions are said to hold the watermark back, when each record moves one of three.
    fn said(partition_of: impl Fn(u64) -> usize, at_of: impl Fn(u64) -> i64) -> Vec<String> {
        let subject = Subject {
            source: "calls".to_owned(),
            asked: "--tumbling 10s".to_owned(),
            keys: Vec::new(),
            value: "count".to_owned(),
            clock: Clock::Order,
            partitions: 3,
        };
        let mut gathered = Gathered::new(subject, View::default());
        for record in 0..3_000 {
            let (partition, at) = (partition_of(record), at_of(record));
            let read = Event::Read {
                record,
                partition,
                place: record,
                at,
                arrival: None,
                key: &[],
                arguments: &[],
                columns: &[],
                taken_back: false,
            };
            gathered.take(None, &read);
            let moved = Event::Watermark {
                partition: Some((partition, at)),
                combined: at,
                record: Some(record),
            };
            gathered.take(None, &moved);
            gathered.take(None, &Event::Filtered { record });
        }
        let scene = draw(&mut gathered, Medium::page(960, 600));
        let strips = scene
            .marks()
            .filter(|mark| matches!(mark.shape, Shape::Box(_)));
        let tips = strips.filter_map(|mark| mark.tip.clone());
        tips.filter(|tip| tip.contains("holds")).collect()
    }

    #[test]
    fn partitions_that_take_turns_hold_nothing_back_and_one_that_stays_behind_does() {
        let turns = said(|record| record as usize % 3, |record| record as i64 * 10);
        assert_eq!(turns, [""; 0]);
        // The second one stops a third of the way.
        let stays = said(
            |record| match record {
                0..1_000 => record as usize % 3,
                _ => record as usize % 2 * 2,
            },
            |record| record as i64 * 10,
        );
        assert_eq!(stays, ["partition 1 holds the watermark back"]);
    }
}
