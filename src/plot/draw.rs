//! What was gathered → marks.
//!
//! From below: the grid, stretches in which nothing came, windows, partitions' watermarks, records, the
//! watermark, panes, words. A page is laid out in pixels, a terminal in characters, by the same code.

use super::gather::{Dot, EXACT, bounded};
use super::lives::{Key, Life, Shown, fold};
use super::{Clock, FATES, Fate, Gathered};
use crate::engine::pane::Timing;
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;
use crate::picture::axis::{self, Scale, Tick};
use crate::picture::ink::{Ink, Symbol};
use crate::picture::{Anchor, Area, CELL, Mark, Medium, Scene, Shape, Size, point};
use crate::term::units::{HOUR, MINUTE, SECOND, format_count, format_duration, format_time};

/// How many late and expired records have words beside them at most.
const MOST_NAMED: usize = 12;
/// Windows of which more lie side by side than this many pixels allow are drawn as one.
const NARROWEST: f64 = 3.0;

/// Draws what was gathered so far.
pub fn draw(gathered: &mut Gathered, medium: Medium) -> Scene {
    gathered.finish();
    let key = gathered
        .view
        .key
        .is_none()
        .then(|| gathered.lives.busiest());
    let key = key
        .flatten()
        .or_else(|| (gathered.lives.keys().0 > 0).then_some(0));
    let lives: Vec<Life> = match key {
        Some(key) => gathered.lives.of(key).into_iter().cloned().collect(),
        None => Vec::new(),
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
    let lives = frame.visible(lives);
    frame.axes(&mut scene);
    frame.quiet(gathered, &mut scene);
    frame.windows(&lives, gathered, &mut scene);
    frame.partitions(gathered, &mut scene);
    frame.ideal(gathered, &mut scene);
    frame.records(gathered, key, &mut scene);
    frame.watermark(gathered, &mut scene);
    frame.panes(&lives, gathered, &mut scene);
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

/// Where the picture's values lie.
struct Frame {
    medium: Medium,
    /// Within the axes.
    area: Area,
    across: Scale,
    up: Scale,
    ticks: [Vec<Tick>; 2],
    /// What stands beside the axes.
    names: [String; 2],
    heading: Vec<Mark>,
    /// Where partitions that hold the watermark back are named, if there are several.
    strip: Option<Area>,
}

impl Frame {
    /// Lays the picture out; `None` where there is nothing to draw.
    fn new(gathered: &Gathered, lives: &[Life], key: Option<Key>, medium: Medium) -> Option<Self> {
        let (across, up) = extent(gathered, lives)?;
        let names = names(gathered, (across, up));
        let across = match gathered.view.between {
            Some(_) => across,
            None => padded(across, 0.01),
        };
        let up = padded(up, 0.03);
        let line = medium.line(Size::Label);
        let mut heading = Vec::new();
        let mut top = medium.either(14.0, 0.0);
        let room = medium.width - medium.either(32.0, 0.0);
        let left = medium.either(16.0, 0.0);
        let mut say = |size: Size, ink: Ink, words: &str, top: &mut f64| {
            *top += medium.line(size);
            let words = medium.fit(words, size, room);
            let base = *top - medium.either(5.0, 0.0);
            heading.push(Mark::text(ink, size, point(left, base), words));
        };
        let title = format!("{}: {}", gathered.subject.source, gathered.subject.asked);
        say(Size::Title, Ink::Text, &title, &mut top);
        if !medium.is_cells {
            say(Size::Label, Ink::Faint, &account(gathered), &mut top);
        }
        if let Some(words) = which_windows(gathered, lives, key) {
            say(Size::Label, Ink::Faint, &words, &mut top);
        }
        top += medium.either(6.0, 0.0);
        top = legend(
            gathered,
            lives,
            medium,
            (left, left + room, top),
            &mut heading,
        );
        let is_time = matches!(gathered.subject.clock, Clock::Time(_));

        // A terminal has its vertical name above the axis.
        let bottom = medium.height - medium.either(46.0, 2.0 * line + 1.0);
        top += medium.either(12.0, line);
        let height = bottom - top;
        let up_most = (height / medium.either(48.0, 3.0 * line)) as usize;
        let up_ticks = match is_time {
            true => axis::times(up, up_most),
            false => axis::numbers(up, up_most, true),
        };
        let widest = up_ticks
            .iter()
            .map(|tick| medium.text_width(&tick.label, Size::Label));
        let widest = widest.fold(0.0, f64::max);
        let has_strip = gathered.partitions.len() > 1;
        let strip_width = medium.either(84.0, 9.0 * CELL.0);
        let area = Area {
            left: left + widest + medium.either(26.0, CELL.0),
            right: medium.width
                - medium.either(20.0, 1.0)
                - if has_strip { strip_width } else { 0.0 },
            top,
            bottom,
        };
        let across_most = area.width() / medium.either(92.0, 12.0 * CELL.0);
        let ticks = [axis::times(across, across_most as usize), up_ticks];
        Some(Frame {
            medium,
            area,
            across: Scale::new(across, (area.left, area.right)),
            up: Scale::new(up, (area.bottom, area.top)),
            ticks,
            names,
            heading,
            strip: has_strip.then(|| Area {
                left: area.right + medium.either(10.0, CELL.0),
                right: area.right + medium.either(18.0, 2.0 * CELL.0),
                ..area
            }),
        })
    }

    /// Returns the windows that lie in the picture; where too many lie side by side, as one.
    fn visible(&self, lives: Vec<Life>) -> Vec<Life> {
        let (from, to) = self.across.range();
        let range = (from as i64, to as i64);
        let is_visible = |life: &Life| {
            let (start, end) = bounded(life.window(), range);
            start as f64 <= to && end as f64 >= from
        };
        let lives: Vec<Life> = lives.into_iter().filter(is_visible).collect();
        let narrowest = self.medium.either(NARROWEST, CELL.0) * 2.0;
        let most = (self.across.length() / narrowest) as usize;
        // Windows that overlap each other take no more room than those that do not.
        let width = |life: &Life| {
            let (start, end) = bounded(life.window(), range);
            self.across.place(end as f64) - self.across.place(start as f64)
        };
        let mean = lives.iter().map(width).sum::<f64>() / lives.len().max(1) as f64;
        match lives.len() > most && (mean < narrowest || lives.len() > 4 * most) {
            true => fold(lives, most),
            false => lives,
        }
    }

    fn axes(&self, scene: &mut Scene) {
        let (area, medium) = (self.area, self.medium);
        let mut grid = Vec::new();
        let mut words = self.heading.clone();
        let line = |from, to| Shape::Line(vec![from, to]);
        for tick in &self.ticks[0] {
            let x = self.across.place(tick.at);
            if !medium.is_cells {
                let shape = line(point(x, area.top), point(x, area.bottom));
                grid.push(Mark::new(Ink::Grid, shape));
            }
            let base = area.bottom + medium.either(17.0, 1.0 + CELL.1);
            let half = medium.text_width(&tick.label, Size::Label) / 2.0;
            // At the edges it stays on the page.
            let x = x.clamp(half, medium.width - half);
            let label = Mark::text(Ink::Faint, Size::Label, point(x, base), &tick.label);
            words.push(label.anchored(Anchor::Middle));
        }
        for tick in &self.ticks[1] {
            let y = self.up.place(tick.at);
            if !medium.is_cells {
                let shape = line(point(area.left, y), point(area.right, y));
                grid.push(Mark::new(Ink::Grid, shape));
            }
            let base = match medium.is_cells {
                true => (y / CELL.1).floor() * CELL.1 + CELL.1,
                false => y + 4.0,
            };
            let at = point(area.left - medium.either(8.0, CELL.0), base);
            let label = Mark::text(Ink::Faint, Size::Label, at, &tick.label);
            words.push(label.anchored(Anchor::End));
        }
        let corner = point(area.left, area.bottom);
        let axes = [point(area.left, area.top), point(area.right, area.bottom)];
        let axes = axes.map(|end| Mark::new(Ink::Axis, line(corner, end)));
        grid.extend(axes);
        let middle = (area.left + area.right) / 2.0;
        let base = medium.height - medium.either(10.0, 0.0);
        let name = Mark::text(Ink::Text, Size::Label, point(middle, base), &self.names[0]);
        words.push(name.anchored(Anchor::Middle));
        words.push(match medium.is_cells {
            true => Mark::text(Ink::Text, Size::Label, point(0.0, area.top), &self.names[1]),
            false => {
                let at = point(17.0, (area.top + area.bottom) / 2.0);
                let mut name = Mark::text(Ink::Text, Size::Label, at, &self.names[1]);
                name = name.anchored(Anchor::Middle);
                if let Shape::Text { upwards, .. } = &mut name.shape {
                    *upwards = true;
                }
                name
            }
        });
        scene.add("axes", grid);
        scene.add("words", words);
    }

    /// Stretches of processing time in which nothing came.
    fn quiet(&self, gathered: &Gathered, scene: &mut Scene) {
        let mut marks = Vec::new();
        let least = self.area.height() * 0.08;
        for &(from, to) in &gathered.gaps {
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

    fn windows(&self, lives: &[Life], gathered: &Gathered, scene: &mut Scene) {
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
            let mark = Mark::new(Ink::Window, shape).tip(self.told(life, gathered));
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
        let is_over = life.is_merged || life.panes.iter().any(|pane| pane.is_last);
        match (is_over, gathered.has_ended) {
            (false, false) => self.up.range().1 as i64,
            _ => life.last,
        }
    }

    fn told(&self, life: &Life, gathered: &Gathered) -> String {
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

    /// The watermark of each partition, and which of them holds the others back.
    fn partitions(&self, gathered: &Gathered, scene: &mut Scene) {
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
            let tip = format!("partition {partition} holds the watermark back");
            let mark = Mark::new(Ink::Behind, Shape::Box(area));
            marks.push(mark.data("partition", partition).tip(&tip));
            let line = self.medium.line(Size::Small);
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
        for (nth, partition) in gathered.partitions.iter().enumerate() {
            for &(when, idle) in partition
                .idle
                .iter()
                .filter(|(when, _)| self.up.holds(*when as f64))
            {
                if !idle || when as f64 >= last {
                    continue;
                }
                let reached = partition.watermark.last();
                let x = reached.map_or(self.area.left, |(_, at)| self.across.clamped(*at as f64));
                let at = point(x, self.up.place(when as f64));
                let words =
                    Mark::text(Ink::Faint, Size::Small, at, format!("partition {nth} idle"));
                marks.push(words.data("partition", nth).data("idle", when));
            }
        }
        scene.add("partitions", marks);
    }

    /// Where records would lie that come when they happen.
    fn ideal(&self, gathered: &Gathered, scene: &mut Scene) {
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

    fn records(&self, gathered: &Gathered, key: Option<Key>, scene: &mut Scene) {
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
        let cells = gathered.density.cells(fate, most);
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

    fn watermark(&self, gathered: &Gathered, scene: &mut Scene) {
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
    fn stepped<'s>(
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

    fn panes(&self, lives: &[Life], gathered: &Gathered, scene: &mut Scene) {
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
        let meets = |other: &Area| {
            own.left < other.right
                && other.left < own.right
                && own.top < other.bottom
                && other.top < own.bottom
        };
        if own.top < self.area.top - medium.either(12.0, CELL.1)
            || taken.iter().rev().take(200).any(meets)
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

    /// Says by how much records were too late, where there are few.
    fn named(&self, gathered: &Gathered, scene: &mut Scene) {
        let cloud = &gathered.clouds[Fate::Expired as usize];
        if self.medium.is_cells || cloud.dots.len() > MOST_NAMED {
            return;
        }
        let mark = |dot: &Dot| {
            let at = self.place_of(dot);
            let words = format!("{} too late", about(dot.late_by_ms));
            let width = self.medium.text_width(&words, Size::Small);
            let (x, anchor) = match at.x + 8.0 + width < self.area.right {
                true => (at.x + 8.0, Anchor::Start),
                false => (at.x - 8.0, Anchor::End),
            };
            Mark::text(Ink::Expired, Size::Small, point(x, at.y + 4.0), words).anchored(anchor)
        };
        scene.add("lateness", cloud.dots.iter().map(mark).collect());
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

/// Writes a duration as finely as a person needs.
fn about(ms: i64) -> String {
    match ms {
        ..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{:.1} s", ms as f64 / SECOND as f64).replace(".0 s", " s"),
        MINUTE..HOUR => format_duration(ms / SECOND * SECOND),
        _ => format_duration(ms / MINUTE * MINUTE),
    }
}

/// Writes the end of a window; those of all time have none.
fn edge(at: i64) -> String {
    match at {
        BEGINNING => "the beginning".to_owned(),
        END => "the end".to_owned(),
        at => format_time(at),
    }
}

/// The first and the last value, across and up.
type Extent = ((f64, f64), (f64, f64));

/// Returns the stretches that are drawn, across and up.
fn extent(gathered: &Gathered, lives: &[Life]) -> Option<Extent> {
    let (mut least, mut most) = match (gathered.view.between, gathered.across) {
        (Some(between), _) => between,
        (None, across) => across?,
    };
    let (low, mut high) = gathered.up?;
    let range = (least, most);
    if gathered.view.between.is_none() {
        for life in lives {
            let (start, end) = bounded(life.window(), range);
            (least, most) = (least.min(start), most.max(end));
        }
    }
    for life in lives {
        let (start, end) = bounded(life.window(), range);
        if start <= most && end >= least {
            high = high.max(life.last);
        }
    }
    Some(((least as f64, most as f64), (low as f64, high as f64)))
}

/// Leaves room beside the outermost values.
fn padded((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let padding = ((high - low) * share).max(0.5);
    (low - padding, high + padding)
}

/// Returns what stands beside the axes.
fn names(gathered: &Gathered, (across, up): Extent) -> [String; 2] {
    let upwards = match &gathered.subject.clock {
        Clock::Time(by) => format!("processing time ({by}), {} UTC", axis::days(up)),
        Clock::Order => "order of reading (number of records)".to_owned(),
    };
    [format!("event time, {} UTC", axis::days(across)), upwards]
}

/// Says whose windows are drawn, where that is not plain.
fn which_windows(gathered: &Gathered, lives: &[Life], key: Option<Key>) -> Option<String> {
    let (keys, are_more) = gathered.lives.keys();
    let mut words = Vec::new();
    if let Some(key) = key
        && !gathered.subject.keys.is_empty()
    {
        let name = gathered.lives.name(key);
        let names = gathered.subject.keys.join(",");
        words.push(match &gathered.view.key {
            Some(_) => format!("windows of {names} = {name}"),
            None if keys == 1 => format!("windows of {names} = {name}"),
            None => format!(
                "windows of {names} = {name}, the busiest of {}{} (`--key` takes another)",
                format_count(keys as u64),
                if are_more { " and more" } else { "" }
            ),
        });
    } else if let Some(key) = &gathered.view.key {
        words.push(format!("no record of {key}"));
    }
    let most = lives.iter().map(|life| life.windows).max().unwrap_or(1);
    if most > 1 {
        words.push(format!(
            "a box is of up to {} windows (`--between` shows them)",
            format_count(most)
        ));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// Explains symbols and lines, in as many lines as it takes; returns where they end.
fn legend(
    gathered: &Gathered,
    lives: &[Life],
    medium: Medium,
    (left, right, top): (f64, f64, f64),
    marks: &mut Vec<Mark>,
) -> f64 {
    let line = medium.line(Size::Label);
    let (mut x, mut base) = (left, top + line);
    let mut add = |swatch: &dyn Fn(f64, f64) -> Mark, words: &str| {
        let width = medium.text_width(words, Size::Label);
        let swatch_width = medium.either(26.0, 2.0 * CELL.0);
        if x + swatch_width + width > right && x > left {
            (x, base) = (left, base + line);
        }
        marks.push(swatch(x, base));
        let at = point(x + swatch_width, base - medium.either(3.0, 0.0));
        marks.push(Mark::text(Ink::Text, Size::Label, at, words));
        x += swatch_width + width + medium.either(18.0, 2.0 * CELL.0);
    };
    let middle = medium.either(7.0, CELL.1 / 2.0);
    for fate in FATES.into_iter().rev() {
        let count = gathered.count(fate);
        let (ink, symbol) = look(fate);
        if count > 0 {
            let swatch = |x: f64, base: f64| {
                let x = x + medium.either(12.0, 0.0);
                Mark::new(ink, Shape::Symbol(symbol, point(x, base - middle)))
            };
            add(&swatch, &format!("{} {}", fate.name(), format_count(count)));
        }
    }
    let mut line_of = |ink: Ink, letter: &str, words: &str| {
        let swatch = |x: f64, base: f64| match medium.is_cells {
            true => Mark::text(ink, Size::Label, point(x, base), letter),
            false => {
                let y = base - middle;
                Mark::new(ink, Shape::Line(vec![point(x, y), point(x + 20.0, y)]))
            }
        };
        add(&swatch, words);
    };
    if !gathered.watermark.is_empty() {
        line_of(Ink::Watermark, "━", "watermark");
    }
    if gathered.partitions.len() > 1 {
        line_of(Ink::Partition, "╌", "of a partition");
    }
    if matches!(gathered.subject.clock, Clock::Time(_)) {
        line_of(Ink::Ideal, "┄", "no delay");
    }
    if !lives.is_empty() {
        let timings = [
            (Timing::Early, "early pane"),
            (Timing::OnTime, "pane"),
            (Timing::Late, "late pane"),
        ];
        for (timing, words) in timings {
            let has = |life: &Life| life.panes.iter().any(|pane| pane.timing == timing);
            if lives.iter().any(has) {
                line_of(
                    pane_ink(timing),
                    "━",
                    &format!("{words}: {}", gathered.subject.value),
                );
            }
        }
        let swatch = |x: f64, base: f64| match medium.is_cells {
            true => Mark::text(Ink::Window, Size::Label, point(x, base), "□"),
            false => {
                let area = Area {
                    left: x + 2.0,
                    right: x + 20.0,
                    top: base - 13.0,
                    bottom: base - 2.0,
                };
                Mark::new(Ink::Window, Shape::Box(area))
            }
        };
        add(&swatch, "window");
    }
    base
}
