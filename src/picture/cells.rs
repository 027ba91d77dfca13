//! A scene as the characters of a terminal: lines in braille, by ratatui's canvas; symbols, shades, panes
//! and words as characters above them.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Context, Line};

use super::ink::{Ink, Symbol};
use super::{Anchor, CELL, Mark, Point, Scene, Shape, Size};

/// How dense a shade is drawn, from the least to the most.
const SHADES: [char; 4] = ['░', '▒', '▓', '█'];

/// Draws a character where no symbol and no word is.
fn put_below(
    column: i64,
    line: i64,
    letter: char,
    style: Style,
    screen: Rect,
    buffer: &mut Buffer,
) {
    let (Ok(column), Ok(line)) = (u16::try_from(column), u16::try_from(line)) else {
        return;
    };
    if column >= screen.width || line >= screen.height {
        return;
    }
    let cell = &mut buffer[(screen.x + column, screen.y + line)];
    // Of panes in one line of characters the last one is seen.
    let is_pane = |known: char| {
        let panes = [Ink::Early, Ink::Pane, Ink::LatePane].map(Ink::stroke_letter);
        panes.contains(&Some(known))
    };
    let is_below = |known: char| {
        known == ' ' || SHADES.contains(&known) || is_braille(known) || is_pane(known)
    };
    if cell.symbol().chars().all(is_below) {
        cell.set_char(letter).set_style(style);
    }
}

fn is_braille(letter: char) -> bool {
    ('\u{2800}'..='\u{28ff}').contains(&letter)
}

/// Draws a scene on a screen, from its upper left corner.
pub fn draw(scene: &Scene, area: Rect, buffer: &mut Buffer) {
    let (width, height) = (
        f64::from(area.width) * CELL.0,
        f64::from(area.height) * CELL.1,
    );
    // The middle of the first dot is at 0, as that of the last is at the upper bound.
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, width - 1.0])
        .y_bounds([0.0, height - 1.0])
        .paint(|context| {
            for mark in scene.marks() {
                draw_lines(context, mark, height - 1.0);
                context.layer();
            }
        });
    canvas.render(area, buffer);
    for mark in scene.marks() {
        draw_characters(mark, area, buffer);
    }
}

fn draw_lines(context: &mut Context<'_>, mark: &Mark, top: f64) {
    let color = mark.ink.look().cell;
    let dash = mark.ink.look().dash.0 > 0.0;
    let mut line = |from: Point, to: Point| {
        let pieces = if dash {
            dashes(from, to)
        } else {
            vec![(from, to)]
        };
        for (from, to) in pieces {
            context.draw(&Line {
                x1: from.x.round(),
                y1: (top - from.y).round(),
                x2: to.x.round(),
                y2: (top - to.y).round(),
                color,
            });
        }
    };
    match &mark.shape {
        Shape::Line(_) if mark.ink.stroke_letter().is_some() => {}
        Shape::Line(points) => points.windows(2).for_each(|ends| line(ends[0], ends[1])),
        Shape::Outline(points) if mark.ink.look().stroke > 0.0 => {
            let next = points.iter().cycle().skip(1);
            points
                .iter()
                .zip(next)
                .for_each(|(&from, &to)| line(from, to));
        }
        Shape::Box(area) if mark.ink.look().stroke > 0.0 && !is_bar(mark.ink) => {
            let corner = |x, y| Point { x, y };
            let (left, right) = (area.left, area.right);
            let corners = [
                corner(left, area.top),
                corner(right, area.top),
                corner(right, area.bottom),
                corner(left, area.bottom),
            ];
            (0..4).for_each(|nth| line(corners[nth], corners[(nth + 1) % 4]));
        }
        _ => {}
    }
}

/// Cuts a line into dashes of a dot and as much between them.
fn dashes(from: Point, to: Point) -> Vec<(Point, Point)> {
    const STEP: f64 = 4.0;
    let (width, height) = (to.x - from.x, to.y - from.y);
    let steps = (width.hypot(height) / STEP).ceil().clamp(1.0, 1_000.0) as usize;
    let at = |share: f64| Point {
        x: from.x + width * share,
        y: from.y + height * share,
    };
    let dash = |nth: usize| {
        let begin = nth as f64 / steps as f64;
        (at(begin), at(begin + 0.3 / steps as f64))
    };
    (0..steps).map(dash).collect()
}

/// Returns the characters that a stretch covers by more than half, and at least the first.
fn covered(from: f64, to: f64) -> std::ops::Range<i64> {
    let first = from.floor() as i64;
    first..(to.round() as i64).max(first + 1)
}

/// Returns whether a box is filled by blocks.
fn is_bar(ink: Ink) -> bool {
    matches!(ink, Ink::Series(_))
}

fn draw_characters(mark: &Mark, screen: Rect, buffer: &mut Buffer) {
    let style = Style::new().fg(mark.ink.look().cell);
    let mut put = |column: f64, line: f64, letter: &str, style: Style| {
        if column < 0.0 || line < 0.0 {
            return;
        }
        let (column, line) = (column as u16, line as u16);
        if column < screen.width && line < screen.height {
            let cell = &mut buffer[(screen.x + column, screen.y + line)];
            cell.set_symbol(letter).set_style(style);
        }
    };
    match &mark.shape {
        Shape::Symbol(symbol, at) => {
            let letter = symbol.letter().to_string();
            let style = match symbol {
                Symbol::Cross | Symbol::Triangle => style.add_modifier(Modifier::BOLD),
                _ => style,
            };
            put(
                (at.x / CELL.0).floor(),
                (at.y / CELL.1).floor(),
                &letter,
                style,
            );
        }
        Shape::Shades(shades) => {
            for (area, strength) in shades {
                let nth = (strength * SHADES.len() as f64).ceil().max(1.0) as usize - 1;
                let letter = mark
                    .ink
                    .letter()
                    .unwrap_or(SHADES[nth.min(SHADES.len() - 1)])
                    .to_string();
                for line in covered(area.top / CELL.1, area.bottom / CELL.1) {
                    for column in covered(area.left / CELL.0, area.right / CELL.0) {
                        put(column as f64, line as f64, &letter, style);
                    }
                }
            }
        }
        Shape::Box(area) if is_bar(mark.ink) => {
            // In eighths of a character to the right; whole ones upwards.
            const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
            let lines = (area.top / CELL.1).floor() as i64..(area.bottom / CELL.1).ceil() as i64;
            for line in lines {
                let mut column = (area.left / CELL.0).floor();
                let end = area.right / CELL.0;
                while column < end {
                    let eighths = ((end - column) * 8.0).round().clamp(0.0, 8.0) as usize;
                    if eighths > 0 {
                        put(column, line as f64, EIGHTHS[eighths], style);
                    }
                    column += 1.0;
                }
            }
        }
        Shape::Text {
            text,
            at,
            anchor,
            size,
            ..
        } => {
            let style = match size {
                Size::Title => style.add_modifier(Modifier::BOLD),
                Size::Label | Size::Small => style,
            };
            let width = console::measure_text_width(text) as f64;
            let begin = (at.x / CELL.0).round()
                - match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => (width / 2.0).floor(),
                    Anchor::End => width,
                };
            // The base line is the lower edge of a character.
            let line = (at.y / CELL.1).ceil() - 1.0;
            let mut column = begin.max(0.0);
            for letter in text.chars() {
                let letter = letter.to_string();
                let columns = console::measure_text_width(&letter) as f64;
                if columns > 0.0 {
                    put(column, line, &letter, style);
                    column += columns;
                }
            }
        }
        Shape::Line(points) => {
            let ends = points.first().zip(points.last());
            if let (Some(letter), Some((from, to))) = (mark.ink.stroke_letter(), ends) {
                let line = (from.y / CELL.1).floor() as i64;
                for column in covered(from.x / CELL.0, to.x / CELL.0) {
                    put_below(column, line, letter, style, screen, buffer);
                }
            }
        }
        Shape::Outline(_) | Shape::Box(_) => {}
    }
}

/// Draws a scene as lines of text, coloured by escape sequences if `color`.
pub fn text(scene: &Scene, color: bool) -> String {
    let columns = (scene.medium.width / CELL.0) as u16;
    let lines = (scene.medium.height / CELL.1) as u16;
    let area = Rect::new(0, 0, columns, lines);
    let mut buffer = Buffer::empty(area);
    draw(scene, area, &mut buffer);
    let mut text = String::new();
    for line in 0..lines {
        let mut row = String::new();
        let mut current = (Color::Reset, false);
        let mut skip = 0;
        for column in 0..columns {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let cell = &buffer[(column, line)];
            let wanted = (cell.fg, cell.modifier.contains(Modifier::BOLD));
            if color && wanted != current && cell.symbol() != " " {
                row.push_str(&escape(wanted));
                current = wanted;
            }
            row.push_str(cell.symbol());
            skip = console::measure_text_width(cell.symbol()).saturating_sub(1);
        }
        row.truncate(row.trim_end_matches([' ', '\u{2800}']).len());
        if current != (Color::Reset, false) {
            row.push_str("\x1b[0m");
        }
        text.push_str(&row);
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text.push('\n');
    text
}

/// Returns what makes a terminal write in a colour, and boldly or not.
fn escape((color, bold): (Color, bool)) -> String {
    let mut escape = "\x1b[0".to_owned();
    if bold {
        escape.push_str(";1");
    }
    let number = match color {
        Color::Red => Some(31),
        Color::Green => Some(32),
        Color::Yellow => Some(33),
        Color::Blue => Some(34),
        Color::Magenta => Some(35),
        Color::Cyan => Some(36),
        Color::Gray => Some(37),
        Color::DarkGray => Some(90),
        _ => None,
    };
    if let Some(number) = number {
        let _ = write!(escape, ";{number}");
    }
    escape + "m"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Group, Medium, point};

    #[test]
    fn symbols_and_words_lie_above_lines() {
        let mut scene = Scene::new(Medium::terminal(8, 2), "", "");
        let line = Shape::Line(vec![point(0.0, 5.0), point(15.0, 5.0)]);
        scene.add("watermark", vec![Mark::new(Ink::Watermark, line)]);
        let cross = Shape::Symbol(Symbol::Cross, point(5.0, 6.0));
        scene.add("records", vec![Mark::new(Ink::Expired, cross)]);
        scene.add(
            "text",
            vec![Mark::text(Ink::Text, Size::Label, point(0.0, 4.0), "ab…")],
        );
        assert_eq!(text(&scene, false), "ab…\n⠒⠒×⠒⠒⠒⠒⠒\n");
        assert!(text(&scene, true).contains("\x1b[0;1;31m×"));
    }

    #[test]
    fn panes_differ_from_other_lines_without_a_colour_and_leave_records_and_words_as_they_are() {
        let mut scene = Scene::new(Medium::terminal(8, 4), "", "");
        let line = |ink, line: f64| {
            let y = line * CELL.1 + 1.0;
            let ends = vec![point(0.0, y), point(15.0, y)];
            Mark::new(ink, Shape::Line(ends))
        };
        let disc = Shape::Symbol(Symbol::Disc, point(5.0, 5.0));
        scene.add("records", vec![Mark::new(Ink::OnTime, disc)]);
        scene.add("watermark", vec![line(Ink::Watermark, 3.0)]);
        let panes = [Ink::Early, Ink::Pane, Ink::LatePane].into_iter();
        let panes = panes.zip([0.0, 1.0, 2.0]);
        scene.add("panes", panes.map(|(ink, nth)| line(ink, nth)).collect());
        let words = Mark::text(Ink::Text, Size::Label, point(8.0, 4.0), "17");
        scene.add("values", vec![words]);
        assert_eq!(
            text(&scene, false),
            "╌╌╌╌17╌╌\n━━•━━━━━\n════════\n⠒⠒⠒⠒⠒⠒⠒⠒\n"
        );
        let close = line(Ink::Pane, 0.0);
        scene.groups.insert(
            3,
            Group {
                name: "panes",
                marks: vec![close],
            },
        );
        assert!(text(&scene, false).starts_with("━━━━17━━\n"));
    }
}
