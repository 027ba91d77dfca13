//! Where the picture's values lie: its axes, heading and legend.

use super::{account, look, pane_ink};
use crate::engine::pane::Timing;
use crate::picture::axis::{self, Scale, Tick};
use crate::picture::ink::Ink;
use crate::picture::{Anchor, Area, CELL, Mark, Medium, Scene, Shape, Size, point};
use crate::plot::gather::bounded;
use crate::plot::lives::{Key, Life, fold};
use crate::plot::{Clock, FATES, Gathered};
use crate::term::units::{format_count, format_plural};

/// Windows of which more lie side by side than this many pixels allow are drawn as one.
const NARROWEST: f64 = 3.0;

/// Where the picture's values lie.
pub(super) struct Frame {
    pub(super) medium: Medium,
    /// Within the axes.
    pub(super) area: Area,
    pub(super) across: Scale,
    pub(super) up: Scale,
    pub(super) ticks: [Vec<Tick>; 2],
    /// What stands beside the axes.
    pub(super) names: [String; 2],
    pub(super) heading: Vec<Mark>,
    /// Where partitions that hold the watermark back are named, if there are several.
    pub(super) strip: Option<Area>,
}

impl Frame {
    /// Lays the picture out; `None` where there is nothing to draw.
    pub(super) fn new(
        gathered: &Gathered,
        lives: &[Life],
        key: Option<Key>,
        medium: Medium,
    ) -> Option<Self> {
        let (across, up) = extent(gathered, lives)?;
        let names = names(gathered, (across, up));
        let across = match gathered.view.between {
            Some(_) => across,
            None => padded(across, 0.01),
        };
        let up = match gathered.stretch {
            Some(_) => padded(up, 0.015),
            None => padded(up, 0.03),
        };
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
        // One value alone says nothing of the scale.
        let up_most = (height / medium.either(48.0, 3.0 * line)) as usize;
        let up_most = up_most.max(2);
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
    pub(super) fn visible(&self, lives: Vec<Life>) -> Vec<Life> {
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

    pub(super) fn axes(&self, scene: &mut Scene) {
        let (area, medium) = (self.area, self.medium);
        let mut words = self.heading.clone();
        let [across, up] = &self.ticks;
        let axes = axis::draw(medium, area, (&self.across, across), (&self.up, up));
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
        scene.add("axes", axes);
        scene.add("words", words);
    }
}

/// The first and the last value, across and up.
type Extent = ((f64, f64), (f64, f64));

/// Returns the stretches that are drawn, across and up.
fn extent(gathered: &Gathered, lives: &[Life]) -> Option<Extent> {
    let spread = &gathered.spread;
    let range = gathered.view.between.or(spread.range());
    let (mut least, mut most) = range.or_else(|| around_watermark(gathered))?;
    let (low, mut high) = gathered.stretch.or(gathered.up)?;
    let range = (least, most);
    let ends = |life: &Life| bounded(life.window(), range);
    if gathered.view.between.is_none() {
        let near = lives.iter().map(ends);
        for (start, end) in
            near.filter(|(start, end)| spread.is_near(*start) || spread.is_near(*end))
        {
            (least, most) = (least.min(start), most.max(end));
        }
    }
    if gathered.stretch.is_none() {
        for life in lives {
            let (start, end) = ends(life);
            if start <= most && end >= least {
                high = high.max(life.last);
            }
        }
    }
    Some(((least as f64, most as f64), (low as f64, high as f64)))
}

/// Returns where event time is in a stretch in which nothing comes.
fn around_watermark(gathered: &Gathered) -> Option<(i64, i64)> {
    let (from, to) = gathered.stretch?;
    let half = (to - from) / 2;
    let last = gathered.watermark.last();
    Some(last.map_or((from, to), |&(_, at)| {
        (at.saturating_sub(half), at.saturating_add(half))
    }))
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
    if gathered.sampled > 1 {
        words.push(format!(
            "of up to {} records one is drawn",
            gathered.sampled
        ));
    }
    let astray = gathered.spread.astray();
    if astray > 0 && gathered.view.between.is_none() {
        words.push(format!(
            "{} far outside, drawn at the edge",
            format_plural(astray, "record")
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
    // What is made of dots is named by dots: its level parts, and those of dashes.
    if !gathered.watermark.is_empty() {
        line_of(Ink::Watermark, "⠒", "watermark");
    }
    if gathered.partitions.len() > 1 {
        line_of(Ink::Partition, "⠐", "of a partition");
    }
    if matches!(gathered.subject.clock, Clock::Time(_)) {
        line_of(Ink::Ideal, "⠁", "no delay");
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
                let ink = pane_ink(timing);
                let letter = ink.stroke_letter().unwrap_or('━').to_string();
                line_of(
                    ink,
                    &letter,
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
