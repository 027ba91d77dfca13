//! A result as a chart: rows of windows and keys → a [`Scene`].
//!
//! | result | chart |
//! |---|---|
//! | windows of one key | a bar a window, or a line where they are too many for a terminal |
//! | windows of several keys | a line a key, those with the highest sums; each has its symbol |
//! | one window, or none | a bar a key, the highest first |
//!
//! What does not fit is left out, and the heading says how much that is.

mod sink;

use std::collections::BTreeMap;

pub use sink::ChartSink;

use crate::picture::axis::{self, Scale, Tick};
use crate::picture::ink::{Ink, SERIES, Symbol};
use crate::picture::{Anchor, Area, CELL, Mark, Medium, Scene, Shape, Size, point};
use crate::term::units::format_count;
use crate::verify::table::{ResultTable, Span, key_text, number};

/// How many windows are drawn at most: the last ones.
pub const MOST_WINDOWS: usize = 2_000;

/// The symbols of series, in the order of their inks.
const SYMBOLS: [Symbol; SERIES as usize] = [
    Symbol::Disc,
    Symbol::Triangle,
    Symbol::Square,
    Symbol::Diamond,
    Symbol::Cross,
    Symbol::Circle,
];

/// What is drawn of a result.
#[derive(Debug, Clone, Copy)]
pub struct What<'w> {
    /// Where the rows come from.
    pub title: &'w str,
    /// The place of the measure that is drawn.
    pub measure: usize,
    /// Whether rows of a window and key add up, and do not replace each other.
    pub adds_up: bool,
}

/// One value by window and key.
struct Values {
    /// By window, in the order of their starts.
    windows: Vec<(Span, BTreeMap<String, f64>)>,
    /// The keys with the sums of their values, the highest first.
    keys: Vec<(String, f64)>,
    /// How many windows came before those that are drawn.
    left_out: usize,
}

impl Values {
    fn of(table: &ResultTable, what: What<'_>) -> Self {
        let mut windows: BTreeMap<Span, BTreeMap<String, f64>> = BTreeMap::new();
        for (cell, row) in &table.rows {
            let values = if what.adds_up { &row.sums } else { &row.values };
            if let Some(value) = values.get(what.measure).and_then(number) {
                let of_window = windows.entry(cell.span).or_default();
                of_window.insert(key_text(&cell.key), value);
            }
        }
        let left_out = windows.len().saturating_sub(MOST_WINDOWS);
        let windows: Vec<_> = windows.into_iter().skip(left_out).collect();
        let mut sums: BTreeMap<&String, f64> = BTreeMap::new();
        for (key, value) in windows.iter().flat_map(|(_, values)| values) {
            *sums.entry(key).or_default() += value;
        }
        let mut keys: Vec<_> = sums
            .into_iter()
            .map(|(key, sum)| (key.clone(), sum))
            .collect();
        // Equal ones stay in the order of their names.
        keys.sort_by(|one, other| other.1.total_cmp(&one.1));
        Values {
            windows,
            keys,
            left_out,
        }
    }

    /// Returns the least and the highest value, and 0.
    fn range(&self) -> (f64, f64) {
        let values = self.windows.iter().flat_map(|(_, values)| values.values());
        values.fold((0.0, 0.0), |(least, most), &value| {
            (value.min(least), value.max(most))
        })
    }
}

/// Draws a result.
pub fn draw(table: &ResultTable, what: What<'_>, medium: Medium) -> Scene {
    let values = Values::of(table, what);
    let name = table.measures.get(what.measure).map_or("", String::as_str);
    let title = format!("{}: {name}", what.title);
    let mut chart = Chart {
        scene: Scene::new(medium, title.clone(), format!("{} rows", table.rows.len())),
        medium,
        values,
        name,
        top: medium.either(14.0, 0.0),
        heading: Vec::new(),
    };
    chart.say(Size::Title, Ink::Text, &title);
    let keys = chart.values.keys.len();
    match &chart.values.windows[..] {
        [] => chart.say(Size::Label, Ink::Faint, "no row holds a number"),
        [_] => chart.bars_of_keys(&table.keys),
        windows if keys == 1 && medium.is_cells && windows.len() <= chart.lines_left() => {
            chart.bars_of_windows();
        }
        _ => chart.over_time(&table.keys),
    }
    let heading = std::mem::take(&mut chart.heading);
    chart.scene.add("words", heading);
    chart.scene
}

struct Chart<'c> {
    scene: Scene,
    medium: Medium,
    values: Values,
    name: &'c str,
    /// Where the heading ends.
    top: f64,
    heading: Vec<Mark>,
}

impl Chart<'_> {
    fn say(&mut self, size: Size, ink: Ink, words: &str) {
        self.top += self.medium.line(size);
        let left = self.medium.either(16.0, 0.0);
        let words = self.medium.fit(words, size, self.medium.width - 2.0 * left);
        let base = self.top - self.medium.either(5.0, 0.0);
        self.heading
            .push(Mark::text(ink, size, point(left, base), words));
    }

    /// Returns how many bars of a line each there is room for.
    fn lines_left(&self) -> usize {
        let room = self.medium.height - self.top - self.medium.either(16.0, 0.0);
        (room / self.bar_height()).max(1.0) as usize
    }

    fn bar_height(&self) -> f64 {
        self.medium.either(22.0, CELL.1)
    }

    /// One window: a bar a key, the highest first.
    fn bars_of_keys(&mut self, names: &[String]) {
        let (keys, span) = (self.values.keys.clone(), self.values.windows[0].0);
        if span != Span::ALL_TIME {
            self.say(Size::Label, Ink::Faint, &format!("window {span}"));
        }
        // A line that names them.
        let room = self.lines_left().saturating_sub(1).max(1);
        if keys.len() > room {
            let words = format!(
                "the {} highest of {} by {}",
                format_count(room as u64),
                format_count(keys.len() as u64),
                names.join(", ")
            );
            self.say(Size::Label, Ink::Faint, &words);
        }
        let bars: Vec<(String, f64)> = keys.into_iter().take(room).collect();
        self.bars(&bars);
    }

    /// One key in a terminal: a bar a window, the first one above.
    fn bars_of_windows(&mut self) {
        let label = |span: &Span| match *span {
            Span::ALL_TIME => "all time".to_owned(),
            Span { start, .. } => axis::time_of_day(start),
        };
        let start = |of: Option<&(Span, _)>| of.map_or(0.0, |(span, _)| span.start as f64);
        let windows = &self.values.windows;
        let days = axis::days((start(windows.first()), start(windows.last())));
        if let Some(Mark {
            shape: Shape::Text { text, .. },
            ..
        }) = self.heading.first_mut()
        {
            *text = self.medium.fit(
                &format!("{text} by window_start, {days} UTC"),
                Size::Title,
                self.medium.width,
            );
        }
        let bars = self.values.windows.iter().map(|(span, values)| {
            let value = values.values().next().copied().unwrap_or(0.0);
            (label(span), value)
        });
        let bars: Vec<(String, f64)> = bars.collect();
        self.bars(&bars);
    }

    /// Bars to the right, each with its name before it and its value behind it.
    fn bars(&mut self, bars: &[(String, f64)]) {
        let medium = self.medium;
        let widest = |texts: &mut dyn Iterator<Item = String>, most: f64| {
            let widths = texts.map(|text| medium.text_width(&text, Size::Label));
            widths.fold(0.0, f64::max).min(most)
        };
        let left = medium.either(16.0, 0.0);
        let gap = medium.either(8.0, CELL.0);
        let step = bars
            .iter()
            .map(|(_, value)| resolution(*value))
            .fold(1.0, f64::min);
        let names = widest(
            &mut bars.iter().map(|(name, _)| name.clone()),
            medium.width / 3.0,
        );
        let shown = |value: f64| axis::number(value, step);
        let values = widest(
            &mut bars.iter().map(|(_, value)| shown(*value)),
            medium.width / 4.0,
        );
        let from = left + names + gap;
        let to = medium.width - left - values - gap;
        let (least, most) = self.values.range();
        let scale = Scale::new((least, most), (from, to));
        let (mut marks, mut words) = (Vec::new(), Vec::new());
        let height = self.bar_height();
        let mut top = self.top + medium.either(8.0, 0.0);
        for (name, value) in bars {
            let base = top + medium.either(15.0, CELL.1);
            let at = point(from - gap, base);
            let label = medium.fit(name, Size::Label, names);
            words.push(Mark::text(Ink::Text, Size::Label, at, label).anchored(Anchor::End));
            let (zero, end) = (scale.place(0.0), scale.place(*value));
            let area = Area {
                left: zero.min(end),
                right: zero.max(end),
                top: top + medium.either(2.0, 0.0),
                bottom: top + height - medium.either(2.0, 0.0),
            };
            let mark = Mark::new(Ink::Series(0), Shape::Box(area));
            marks.push(
                mark.data("name", name)
                    .data("value", value)
                    .tip(format!("{name}: {value}")),
            );
            let end = match medium.is_cells {
                true => (area.right / CELL.0).ceil() * CELL.0,
                false => area.right,
            };
            let at = point(end + gap, base);
            words.push(Mark::text(Ink::Text, Size::Label, at, shown(*value)));
            top += height;
        }
        self.scene.add("bars", marks);
        self.scene.add("labels", words);
    }

    /// Time across, the value up: bars of one key, lines of several.
    fn over_time(&mut self, names: &[String]) {
        let medium = self.medium;
        let spans: Vec<Span> = self.values.windows.iter().map(|(span, _)| *span).collect();
        let bounded = spans.iter().filter(|span| **span != Span::ALL_TIME);
        let from = bounded.clone().map(|span| span.start).min().unwrap_or(0) as f64;
        let to = bounded.map(|span| span.end).max().unwrap_or(0) as f64;
        let shown = self.values.keys.len().min(SERIES.into());
        self.legend(names, shown);
        let line = medium.line(Size::Label);
        let top = self.top + medium.either(28.0, line);
        let bottom = medium.height - medium.either(46.0, 2.0 * line + 1.0);
        let (least, most) = self.values.range();
        let most = most + (most - least) * 0.04;
        let up_most = ((bottom - top) / medium.either(48.0, 3.0 * line)) as usize;
        let up_ticks = axis::numbers((least, most), up_most, false);
        let widest = up_ticks
            .iter()
            .map(|tick| medium.text_width(&tick.label, Size::Label));
        let area = Area {
            left: medium.either(16.0, 0.0)
                + widest.fold(0.0, f64::max)
                + medium.either(10.0, CELL.0),
            right: medium.width - medium.either(24.0, 1.0),
            top,
            bottom,
        };
        let across = Scale::new((from, to), (area.left, area.right));
        let up = Scale::new((least, most), (area.bottom, area.top));
        let across_most = (area.width() / medium.either(92.0, 12.0 * CELL.0)) as usize;
        self.axes(
            area,
            (across, axis::times((from, to), across_most)),
            (up, up_ticks),
        );
        let zero = up.place(0.0);
        let mut marks = Vec::new();
        if self.values.keys.len() == 1 {
            for (span, values) in &self.values.windows {
                for value in values.values() {
                    let (left, right) = (
                        across.place(span.start as f64),
                        across.place(span.end as f64),
                    );
                    let gap = if right - left > 4.0 && !medium.is_cells {
                        1.0
                    } else {
                        0.0
                    };
                    let height = up.place(*value);
                    let area = Area {
                        left: left + gap,
                        right: (right - gap).max(left + gap + medium.either(1.0, 0.0)),
                        top: height.min(zero),
                        bottom: height.max(zero),
                    };
                    let shape = match medium.is_cells {
                        true => {
                            Shape::Line(vec![point(area.left, height), point(area.right, height)])
                        }
                        false => Shape::Box(area),
                    };
                    let mark = Mark::new(Ink::Series(0), shape);
                    let mark = mark.data("start", span.start).data("end", span.end);
                    marks.push(mark.data("value", value).tip(format!("{span}: {value}")));
                }
            }
        } else {
            for nth in (0..shown).rev() {
                let (key, _) = &self.values.keys[nth];
                let of_key = self.values.windows.iter().filter_map(|(span, values)| {
                    let middle = (span.start as f64 + span.end as f64) / 2.0;
                    let value = values.get(key)?;
                    Some((span, point(across.clamped(middle), up.place(*value)), value))
                });
                let points: Vec<_> = of_key.collect();
                let line = points.iter().map(|(_, at, _)| *at).collect();
                let ink = Ink::Series(nth as u8);
                marks.push(Mark::new(ink, Shape::Line(line)).data("key", key).tip(key));
                // Symbols need room to be told apart.
                let room = medium.either(14.0, 4.0 * CELL.0);
                if points.len() as f64 * room <= area.width() {
                    for (span, at, value) in points {
                        let mark = Mark::new(ink, Shape::Symbol(SYMBOLS[nth], at));
                        let mark = mark.data("key", key).data("start", span.start);
                        marks.push(
                            mark.data("value", value)
                                .tip(format!("{key}, {span}: {value}")),
                        );
                    }
                }
            }
        }
        self.scene.add("values", marks);
    }

    /// Says which line is which key, and what is left out.
    fn legend(&mut self, names: &[String], shown: usize) {
        let keys = &self.values.keys;
        let mut words = Vec::new();
        if keys.len() > shown {
            let all = format_count(keys.len() as u64);
            let of = names.join(", ");
            words.push(format!(
                "the {shown} of {all} by {of} with the highest sums"
            ));
        }
        if self.values.left_out > 0 {
            let left_out = format_count(self.values.left_out as u64);
            words.push(format!(
                "the last {MOST_WINDOWS} windows; {left_out} came before"
            ));
        }
        if !words.is_empty() {
            self.say(Size::Label, Ink::Faint, &words.join("; "));
        }
        if self.values.keys.len() < 2 {
            return;
        }
        let medium = self.medium;
        let left = medium.either(16.0, 0.0);
        let (mut x, line) = (left, medium.line(Size::Label));
        self.top += medium.either(6.0, 0.0) + line;
        for (nth, symbol) in SYMBOLS.into_iter().enumerate().take(shown) {
            let most = medium.width / 4.0;
            let name = medium.fit(&self.values.keys[nth].0, Size::Label, most);
            let width = medium.text_width(&name, Size::Label) + medium.either(40.0, 4.0 * CELL.0);
            if x + width > medium.width - left && x > left {
                (x, self.top) = (left, self.top + line);
            }
            let ink = Ink::Series(nth as u8);
            let middle = self.top - medium.either(7.0, CELL.1 / 2.0);
            let at = point(x + medium.either(8.0, 0.0), middle);
            self.heading.push(Mark::new(ink, Shape::Symbol(symbol, at)));
            let at = point(
                x + medium.either(20.0, 2.0 * CELL.0),
                self.top - medium.either(3.0, 0.0),
            );
            self.heading
                .push(Mark::text(Ink::Text, Size::Label, at, name));
            x += width;
        }
    }

    fn axes(&mut self, area: Area, across: (Scale, Vec<Tick>), up: (Scale, Vec<Tick>)) {
        let medium = self.medium;
        let mut marks = axis::draw(medium, area, (&across.0, &across.1), (&up.0, &up.1));
        let range = across.0.range();
        let middle = (area.left + area.right) / 2.0;
        let base = medium.height - medium.either(10.0, 0.0);
        let name = format!("window, {} UTC", axis::days(range));
        let name = Mark::text(Ink::Text, Size::Label, point(middle, base), name);
        marks.push(name.anchored(Anchor::Middle));
        let at = point(medium.either(16.0, 0.0), area.top - medium.either(6.0, 0.0));
        marks.push(Mark::text(Ink::Text, Size::Label, at, self.name));
        self.scene.add("axes", marks);
    }
}

/// Returns how finely a value is to be written.
fn resolution(value: f64) -> f64 {
    if value.fract() == 0.0 {
        1.0
    } else {
        10_f64
            .powf(value.abs().max(1e-6).log10().floor() - 2.0)
            .min(0.1)
    }
}
