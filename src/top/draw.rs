//! A view on a screen of any size, readable without colour.
//!
//! The sections share the lines: each keeps its heading and a row, the one with most rows gives way
//! first, and says how many there is no room for.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::view::{Section, View, bars};
use crate::term::table::Align;

/// The gap between two columns.
const GAP: u16 = 2;
/// A volume needs at least this many columns beside its topic, or is left out.
const LEAST_VOLUME: u16 = 5;

/// What is around the sections.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Where the broker is, and what time it is.
    pub title: &'a str,
    /// What went wrong, or how to leave.
    pub status: &'a str,
    /// Whether to colour.
    pub color: bool,
    /// How many rows are scrolled past in a section that has no room for all.
    pub scroll: usize,
}

/// Draws a view over the whole screen.
pub fn draw(frame: &mut Frame<'_>, view: &View, around: Around<'_>) {
    let [title, body, status] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let strong = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(around.title).style(strong), title);
    frame.render_widget(Paragraph::new(around.status), status);
    let sections = [&view.topics, &view.groups, &view.nodes];
    let shown: Vec<usize> = (0..3).filter(|&at| !sections[at].rows.is_empty()).collect();
    let rows: Vec<u16> = shown
        .iter()
        .map(|&at| u16::try_from(sections[at].rows.len()).unwrap_or(u16::MAX))
        .collect();
    // A blank line above each section, and its heading.
    let free = body.height.saturating_sub(2 * shown.len() as u16);
    let heights = share(&rows, free);
    let mut top = body.y;
    for (&at, height) in shown.iter().zip(heights) {
        let height = (height + 1).min(body.bottom().saturating_sub(top + 1));
        let area = Rect::new(body.x, top + 1, body.width, height);
        let volumes = (at == 0).then_some(&view.volumes[..]);
        draw_section(frame, sections[at], volumes, area, around);
        top = area.bottom();
    }
}

/// Shares lines: the largest wish is cut until all fit, none below one line.
fn share(wishes: &[u16], lines: u16) -> Vec<u16> {
    let mut heights = wishes.to_vec();
    while heights.iter().map(|&height| u32::from(height)).sum::<u32>() > u32::from(lines) {
        match heights.iter_mut().max() {
            Some(most) if *most > 1 => *most -= 1,
            _ => break,
        }
    }
    heights
}

fn draw_section(
    frame: &mut Frame<'_>,
    section: &Section,
    volumes: Option<&[Vec<u64>]>,
    area: Rect,
    around: Around<'_>,
) {
    if area.height == 0 {
        return;
    }
    let (widths, volume) = widths(section, area.width, volumes.is_some());
    let lines = usize::from(area.height) - 1;
    let left_over = section.rows.len().saturating_sub(lines);
    let whole = match left_over {
        0 => section.rows.len(),
        _ => lines.saturating_sub(1),
    };
    let cells = |cells: &[String], extra: Option<String>| {
        let columns = cells.iter().zip(section.columns).zip(&widths);
        let aligned = columns.map(|((text, (_, align)), &width)| cell(text, *align, width));
        let extra = extra.map(|text| Cell::from(Text::from(text)));
        Row::new(aligned.chain(extra).collect::<Vec<_>>())
    };
    let headings: Vec<String> = section
        .columns
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let of_volume =
        volume.map(|width| cut(if width < 11 { "volume" } else { "last minute" }, width));
    let heading = cells(&headings, of_volume)
        .style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
    let above = around.scroll.min(section.rows.len() - whole);
    let rows = section
        .rows
        .iter()
        .enumerate()
        .skip(above)
        .take(whole)
        .map(|(at, row)| {
            let history = volumes.and_then(|volumes| volumes.get(at)).zip(volume);
            let extra = history.map(|(history, width)| bars(history, usize::from(width)));
            let row_ = cells(row, extra);
            if around.color && row.iter().any(|cell| cell == "never") {
                row_.style(Style::new().fg(Color::Yellow))
            } else {
                row_
            }
        });
    let constraints = widths.iter().copied().chain(volume).map(Constraint::Length);
    let table = Table::new(rows, constraints)
        .header(heading)
        .column_spacing(GAP);
    frame.render_widget(table, area);
    if left_over > 0 && lines > 0 {
        let last = Rect::new(area.x, area.bottom() - 1, area.width, 1);
        let below = section.rows.len() - whole - above;
        let more = match (above, below) {
            (0, below) => format!("… {below} more"),
            (above, 0) => format!("… {above} above"),
            (above, below) => format!("… {above} above, {below} below"),
        };
        frame.render_widget(Paragraph::new(more), last);
    }
}

/// Returns the width of each column, and what is left for a volume. Where a screen is too narrow,
/// the widest column of text gives way, then the columns at the end.
fn widths(section: &Section, width: u16, with_volume: bool) -> (Vec<u16>, Option<u16>) {
    const LEAST: u16 = 6;
    let widest = |at: usize| {
        let cells = section.rows.iter().map(|row| row[at].chars().count());
        let heading = section.columns[at].0.chars().count();
        u16::try_from(cells.max().unwrap_or(0).max(heading)).unwrap_or(u16::MAX)
    };
    let mut widths: Vec<u16> = (0..section.columns.len()).map(widest).collect();
    let total = |widths: &[u16]| -> u32 {
        let gaps = u32::from(GAP) * widths.len().saturating_sub(1) as u32;
        widths.iter().map(|&width| u32::from(width)).sum::<u32>() + gaps
    };
    while total(&widths) > u32::from(width) && widths.len() > 1 {
        let texts = widths.iter_mut().zip(section.columns);
        let texts = texts.filter(|(_, (_, align))| *align == Align::Left);
        match texts.map(|(width, _)| width).max() {
            Some(most) if *most > LEAST => *most -= 1,
            _ => drop(widths.pop()),
        }
    }
    let left = u32::from(width).saturating_sub(total(&widths) + u32::from(GAP));
    let left = u16::try_from(left).unwrap_or(0).min(60);
    (
        widths,
        (with_volume && left >= LEAST_VOLUME).then_some(left),
    )
}

fn cell(text: &str, align: Align, width: u16) -> Cell<'static> {
    let line = Line::from(cut(text, width));
    Cell::from(match align {
        Align::Left => line,
        Align::Right => line.right_aligned(),
    })
}

/// Cuts text that is too long, and shows that it is.
fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.chars().count() > width {
        text.chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::{Commit, Group, History, Partition, Snapshot, Topic};
    use super::*;

    const START: i64 = 1_767_225_600_000;

    /// Half a minute of a workshop: calls come, one group keeps up, another does not, a node works.
    fn history() -> History {
        let mut history = History::default();
        for second in 0..30_i64 {
            let written: i64 = (0..second).map(|at| 60 + 40 * (at % 7)).sum();
            let topic = |name: &str, partitions: i32, times: i64| Topic {
                name: name.to_owned(),
                partitions: (0..partitions)
                    .map(|number| Partition {
                        number,
                        first: 0,
                        end: written * times,
                    })
                    .collect(),
            };
            let commit = |partition: i32, offset: i64, note: &str| Commit {
                topic: "mono_signal".to_owned(),
                partition,
                offset,
                note: note.to_owned(),
            };
            let group = |name: &str, state: &str, members, commits: Vec<Commit>| Group {
                name: name.to_owned(),
                state: state.to_owned(),
                members,
                commits,
            };
            let note = format!(
                "k:window watermark={} rows={} bytes={} at={}",
                START + second * 1_000,
                40 + second,
                (40 + second) * 96,
                START + second * 1_000
            );
            let committed = |share: i64| (written * share) / 10;
            let mut topics = vec![topic("mono_signal", 3, 1), topic("tower", 3, 2)];
            topics.extend(
                (1..=6).map(|nth| topic(&format!("a_topic_with_a_rather_long_name_{nth}"), nth, 0)),
            );
            history.push(Snapshot {
                at: START + second * 1_000,
                topics,
                groups: vec![
                    group(
                        "calls",
                        "stable",
                        2,
                        (0..3).map(|at| commit(at, written - 10, &note)).collect(),
                    ),
                    group("nobody", "empty", 0, Vec::new()),
                    group(
                        "slow",
                        "stable",
                        1,
                        (0..3).map(|at| commit(at, committed(4), "")).collect(),
                    ),
                ],
            });
        }
        history
    }

    /// Returns what stands on a screen of a size, line by line.
    fn screen(width: u16, height: u16) -> String {
        screen_of("", 0, width, height)
    }

    fn screen_of(filter: &str, scroll: usize, width: u16, height: u16) -> String {
        let view = View::new(&history(), filter);
        let around = Around {
            title: "k top  127.0.0.1:9092  2026-01-01T00:00:29Z",
            status: "q leaves",
            color: false,
            scroll,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
        terminal
            .draw(|frame| draw(frame, &view, around))
            .expect("a picture");
        let buffer = terminal.backend().buffer();
        let lines = (0..height).map(|y| {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol());
            format!("{}\n", cells.collect::<String>().trim_end())
        });
        lines.collect()
    }

    /// The pictures lie beside this file; `K_REWRITE=1` rewrites them.
    #[test]
    fn screens_of_three_sizes_are_as_drawn() {
        for (width, height) in [(80, 24), (120, 40), (50, 14)] {
            let path = format!(
                "{}/src/top/snapshots/{width}x{height}.txt",
                env!("CARGO_MANIFEST_DIR")
            );
            let drawn = screen(width, height);
            if std::env::var_os("K_REWRITE").is_some() {
                std::fs::write(&path, &drawn).expect("a picture written");
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(drawn, expected, "{path}\n{drawn}");
        }
    }

    #[test]
    fn what_has_no_room_is_scrolled_to_as_far_as_there_are_rows() {
        let top = screen(80, 20);
        assert!(top.contains("\ntower "), "{top}");
        assert!(top.contains("… 3 more"), "{top}");
        let middle = screen_of("", 1, 80, 20);
        assert!(
            !middle.contains("\ntower ") && middle.contains("\nmono_signal "),
            "{middle}"
        );
        assert!(middle.contains("… 1 above, 2 below"), "{middle}");
        let end = screen_of("", 1_000, 80, 20);
        assert!(
            end.contains("long_name_6") && end.contains("… 3 above"),
            "{end}"
        );
    }

    #[test]
    fn a_filter_leaves_topics_and_groups_of_other_names_out() {
        let screen = screen_of("slow", 0, 80, 24);
        assert!(screen.contains("\nslow "), "{screen}");
        assert!(
            !screen.contains("tower") && !screen.contains("calls"),
            "{screen}"
        );
        let screen = screen_of("tower", 0, 80, 24);
        assert!(
            screen.contains("\ntower ") && !screen.contains("slow"),
            "{screen}"
        );
    }

    #[test]
    fn what_is_quiet_is_dim_and_comes_last() {
        let view = View::new(&history(), "");
        let names: Vec<&str> = view.topics.rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names[..2], ["tower", "mono_signal"]);
        assert!(view.topics.is_quiet[2..].iter().all(|&is_quiet| is_quiet));
        let groups: Vec<&str> = view.groups.rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(groups, ["calls", "slow", "nobody"]);
        assert_eq!(view.groups.is_quiet, [false, false, true]);
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (80, 2), (20, 5), (3, 40)] {
            screen(width, height);
        }
    }

    #[test]
    fn the_section_with_most_rows_gives_way() {
        assert_eq!(share(&[8, 3, 2], 20), [8, 3, 2]);
        assert_eq!(share(&[8, 3, 2], 9), [4, 3, 2]);
        assert_eq!(share(&[8, 3, 2], 2), [1, 1, 1]);
    }

    #[test]
    fn scripts_get_plain_tables() {
        let plain = View::new(&history(), "").plain().0;
        assert!(plain.starts_with("topic "), "{plain}");
        assert!(plain.contains("\n\ngroup "), "{plain}");
        assert!(plain.contains("\n\nnode "), "{plain}");
        assert!(plain.ends_with('\n'));
        assert!(plain.lines().all(|line| line.trim_end() == line));
    }
}
