//! A frame on a terminal of any size: figures, the picture, the last panes and late records.

use ratatui::Frame as Screen;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::live::Frame;
use crate::picture::{Medium, cells};
use crate::term::printable::printable;

/// A terminal has lists below the picture if it has so many lines more than that needs.
const LEAST_PICTURE: u16 = 18;
/// How many lines the lists have at most, with their headings.
const MOST_LIST: u16 = 7;

/// The parts of a screen.
struct Parts {
    facts: Rect,
    picture: Rect,
    lists: Rect,
    status: Rect,
}

fn parts(area: Rect) -> Parts {
    let free = area.height.saturating_sub(2);
    let lists = free.saturating_sub(LEAST_PICTURE).min(MOST_LIST);
    let lists = if lists < 3 { 0 } else { lists };
    let [facts, picture, lists, status] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(lists),
        Constraint::Length(1),
    ])
    .areas(area);
    Parts {
        facts,
        picture,
        lists,
        status,
    }
}

/// Returns what the picture is drawn on, on a screen of a size.
pub(crate) fn medium(area: Rect) -> Medium {
    let picture = parts(area).picture;
    Medium::terminal(picture.width, picture.height.max(8))
}

/// Draws a frame over the whole screen; `status` is the last line.
pub(crate) fn draw(screen: &mut Screen<'_>, frame: &Frame, status: &str) {
    let parts = parts(screen.area());
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let facts = frame.facts.iter();
    let facts = facts.map(|(name, value)| format!("{name} {value}"));
    let facts = printable(facts.collect::<Vec<_>>().join("  ").as_bytes());
    screen.render_widget(Paragraph::new(facts).style(strong), parts.facts);
    if parts.picture.height >= 8 {
        cells::draw(&frame.scene, parts.picture, screen.buffer_mut());
    }
    let [left, right] =
        Layout::horizontal([Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)]).areas(parts.lists);
    let lates = frame.lates.iter().map(|late| late.words.clone());
    list(screen, left, "last panes", frame.panes.iter().cloned());
    list(screen, right, "last late or dropped", lates);
    screen.render_widget(Paragraph::new(status), parts.status);
}

fn list(screen: &mut Screen<'_>, area: Rect, heading: &str, lines: impl Iterator<Item = String>) {
    if area.height == 0 {
        return;
    }
    let dim = Style::new().add_modifier(Modifier::DIM);
    let heading = Line::styled(heading.to_owned(), dim);
    let lines = lines.map(|line| Line::raw(printable(line.as_bytes())));
    let lines: Vec<Line<'_>> = std::iter::once(heading).chain(lines).collect();
    let area = Rect {
        width: area.width.saturating_sub(1),
        ..area
    };
    screen.render_widget(Paragraph::new(lines), area);
}
