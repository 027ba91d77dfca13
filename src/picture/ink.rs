//! What marks look like: colours of a light and a dark page, lines, symbols.
//!
//! The colours are those of M. Okabe and K. Ito ("Color Universal Design", 2008), which people who do
//! not see red or green tell apart, lightened on a dark page. No meaning is in a colour alone: records
//! differ by their symbol, lines by their dashes, series by their order in the legend.

use ratatui::style::Color;

/// What a mark is, which says how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ink {
    /// The page.
    Paper,
    /// The lines of axes.
    Axis,
    /// The lines behind the picture.
    Grid,
    /// Words.
    Text,
    /// Words of less weight.
    Faint,
    /// A record that is on time.
    OnTime,
    /// A record whose window had closed, and took it.
    Late,
    /// A record that came after its window's grace.
    Expired,
    /// A record that `--where` did not select.
    Filtered,
    /// A record whose window had one of its value.
    Duplicate,
    /// A record that could not be read, or was ahead.
    Malformed,
    /// A record of another key than the one whose windows are drawn.
    Other,
    /// The watermark.
    Watermark,
    /// The watermark of a partition.
    Partition,
    /// The watermark of the partition that holds the others back.
    Behind,
    /// Where event time is processing time.
    Ideal,
    /// A window.
    Window,
    /// A pane before the close.
    Early,
    /// The pane at the close.
    Pane,
    /// A pane after the close.
    LatePane,
    /// A time in which nothing came.
    Quiet,
    /// One of some series.
    Series(u8),
}

/// A colour of red, green and blue.
pub type Rgb = [u8; 3];

/// How many series have a colour of their own.
pub const SERIES: u8 = 6;

/// How an ink is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its name, a class of CSS.
    pub class: &'static str,
    /// On a light page.
    pub light: Rgb,
    /// On a dark page.
    pub dark: Rgb,
    /// In a terminal.
    pub cell: Color,
    /// How wide its lines are, in pixels; 0 for none.
    pub stroke: f64,
    /// Of what lengths its dashes and gaps are, in pixels; 0 for a whole line.
    pub dash: (f64, f64),
    /// How strongly boxes and outlines are filled, from 0 to 1.
    pub fill: f64,
}

/// The form of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    /// A filled circle: on time.
    Disc,
    /// A filled triangle: late.
    Triangle,
    /// A cross: expired.
    Cross,
    /// A circle: filtered.
    Circle,
    /// A square: a duplicate.
    Square,
    /// A plus: malformed, or ahead.
    Plus,
    /// A point: of another key.
    Point,
    /// A filled diamond: a pane.
    Diamond,
}

/// Every symbol.
pub const SYMBOLS: [Symbol; 8] = [
    Symbol::Disc,
    Symbol::Triangle,
    Symbol::Cross,
    Symbol::Circle,
    Symbol::Square,
    Symbol::Plus,
    Symbol::Point,
    Symbol::Diamond,
];

/// What a symbol is made of, in pixels around its place.
#[derive(Debug, Clone, Copy)]
pub enum Strokes {
    /// A circle of a radius; filled or not.
    Round(f64, bool),
    /// Corners of a filled form.
    Filled(&'static [(f64, f64)]),
    /// Corners of a form that is not filled.
    Hollow(&'static [(f64, f64)]),
    /// Lines.
    Lines(&'static [[(f64, f64); 2]]),
}

impl Symbol {
    /// Returns its name, an id in SVG.
    pub fn name(self) -> &'static str {
        match self {
            Symbol::Disc => "disc",
            Symbol::Triangle => "triangle",
            Symbol::Cross => "cross",
            Symbol::Circle => "circle",
            Symbol::Square => "square",
            Symbol::Plus => "plus",
            Symbol::Point => "point",
            Symbol::Diamond => "diamond",
        }
    }

    /// Returns its character in a terminal.
    pub fn letter(self) -> char {
        match self {
            Symbol::Disc => '•',
            Symbol::Triangle => '▲',
            Symbol::Cross => '×',
            Symbol::Circle => '○',
            Symbol::Square => '□',
            Symbol::Plus => '+',
            Symbol::Point => '·',
            Symbol::Diamond => '◆',
        }
    }

    /// Returns what it is made of.
    pub fn strokes(self) -> Strokes {
        match self {
            Symbol::Disc => Strokes::Round(2.6, true),
            Symbol::Triangle => Strokes::Filled(&[(0.0, -5.0), (4.8, 3.6), (-4.8, 3.6)]),
            Symbol::Cross => {
                Strokes::Lines(&[[(-3.6, -3.6), (3.6, 3.6)], [(-3.6, 3.6), (3.6, -3.6)]])
            }
            Symbol::Circle => Strokes::Round(2.8, false),
            Symbol::Square => {
                Strokes::Hollow(&[(-3.0, -3.0), (3.0, -3.0), (3.0, 3.0), (-3.0, 3.0)])
            }
            Symbol::Plus => Strokes::Lines(&[[(-4.2, 0.0), (4.2, 0.0)], [(0.0, -4.2), (0.0, 4.2)]]),
            Symbol::Point => Strokes::Round(1.4, true),
            Symbol::Diamond => Strokes::Filled(&[(0.0, -4.2), (4.2, 0.0), (0.0, 4.2), (-4.2, 0.0)]),
        }
    }
}

impl Ink {
    /// Returns the character that many marks of it are in a terminal; `None` for blocks, denser where
    /// there are more.
    pub fn letter(self) -> Option<char> {
        let symbol = match self {
            Ink::Late => Symbol::Triangle,
            Ink::Expired => Symbol::Cross,
            Ink::Filtered => Symbol::Circle,
            Ink::Duplicate => Symbol::Square,
            Ink::Malformed => Symbol::Plus,
            Ink::Other => Symbol::Point,
            _ => return None,
        };
        Some(symbol.letter())
    }

    /// Returns the character of which a level line of it is made in a terminal, so that it differs from
    /// others by more than colour; `None` for the dots of braille.
    pub fn stroke_letter(self) -> Option<char> {
        match self {
            Ink::Early => Some('╌'),
            Ink::Pane => Some('━'),
            Ink::LatePane => Some('═'),
            _ => None,
        }
    }

    /// Returns whether shades of it are hatched, so that they differ from others by more than colour.
    pub fn is_hatched(self) -> bool {
        matches!(self, Ink::Late | Ink::Expired)
    }
}

/// How wide the lines of hatched shades are, in pixels.
pub const HATCH: f64 = 1.6;

/// How wide the lines of hollow symbols are, in pixels.
pub const SYMBOL_STROKE: f64 = 1.8;

const fn look(class: &'static str, light: u32, dark: u32, cell: Color) -> Look {
    Look {
        class,
        light: rgb(light),
        dark: rgb(dark),
        cell,
        stroke: 0.0,
        dash: (0.0, 0.0),
        fill: 1.0,
    }
}

const fn rgb(hex: u32) -> Rgb {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8]
}

impl Look {
    const fn lined(self, stroke: f64, fill: f64) -> Look {
        Look {
            stroke,
            fill,
            ..self
        }
    }

    const fn dashed(self, dash: f64, gap: f64) -> Look {
        Look {
            dash: (dash, gap),
            ..self
        }
    }
}

/// Every ink, in the order of the style sheet.
pub const INKS: [Ink; 27] = [
    Ink::Paper,
    Ink::Axis,
    Ink::Grid,
    Ink::Text,
    Ink::Faint,
    Ink::OnTime,
    Ink::Late,
    Ink::Expired,
    Ink::Filtered,
    Ink::Duplicate,
    Ink::Malformed,
    Ink::Other,
    Ink::Watermark,
    Ink::Partition,
    Ink::Behind,
    Ink::Ideal,
    Ink::Window,
    Ink::Early,
    Ink::Pane,
    Ink::LatePane,
    Ink::Quiet,
    Ink::Series(0),
    Ink::Series(1),
    Ink::Series(2),
    Ink::Series(3),
    Ink::Series(4),
    Ink::Series(5),
];

impl Ink {
    /// Returns how it is drawn.
    pub const fn look(self) -> Look {
        use Color::{Blue, Cyan, DarkGray, Gray, Green, Magenta, Red, Reset, Yellow};
        match self {
            Ink::Paper => look("paper", 0xff_ff_ff, 0x0d_11_17, Reset),
            Ink::Axis => look("axis", 0x57_60_6a, 0x8b_94_9e, Gray).lined(1.0, 0.0),
            Ink::Grid => look("grid", 0xe6_e8_eb, 0x21_26_2d, DarkGray).lined(1.0, 0.0),
            Ink::Text => look("text", 0x1f_23_28, 0xe6_ed_f3, Reset),
            Ink::Faint => look("faint", 0x57_60_6a, 0x9d_a7_b1, Gray),
            Ink::OnTime => look("on-time", 0x00_72_b2, 0x56_b4_e9, Blue),
            Ink::Late => look("late", 0xd9_8a_00, 0xff_c1_3b, Yellow),
            Ink::Expired => look("expired", 0xc8_3a_00, 0xff_7b_4d, Red),
            Ink::Filtered => look("filtered", 0x8c_95_9f, 0x76_80_8b, Gray),
            Ink::Duplicate => look("duplicate", 0x8c_95_9f, 0x76_80_8b, Gray),
            Ink::Malformed => look("malformed", 0xa3_3e_7c, 0xe3_9b_c7, Magenta),
            Ink::Other => look("other", 0xa8_b0_b9, 0x5c_66_70, Gray),
            Ink::Watermark => look("watermark", 0x00_7a_5a, 0x2f_c8_98, Green).lined(2.2, 0.0),
            Ink::Partition => look("partition", 0x7a_b8_a4, 0x2b_7a_63, Cyan)
                .lined(1.2, 0.0)
                .dashed(5.0, 3.0),
            Ink::Behind => look("behind", 0xa3_3e_7c, 0xe3_9b_c7, Magenta).lined(1.6, 0.10),
            Ink::Ideal => look("ideal", 0x57_60_6a, 0x8b_94_9e, Gray)
                .lined(1.2, 0.0)
                .dashed(2.0, 4.0),
            Ink::Window => look("window", 0x00_72_b2, 0x56_b4_e9, Cyan).lined(1.0, 0.08),
            Ink::Early => look("early", 0x6f_56_b5, 0xb5_a1_f0, Magenta).lined(1.6, 0.0),
            Ink::Pane => look("pane", 0x1f_23_28, 0xe6_ed_f3, Reset).lined(2.6, 0.0),
            Ink::LatePane => look("late-pane", 0xd9_8a_00, 0xff_c1_3b, Yellow).lined(2.6, 0.0),
            Ink::Quiet => look("quiet", 0x8c_95_9f, 0x76_80_8b, DarkGray).lined(0.0, 0.14),
            Ink::Series(nth) => match nth % SERIES {
                0 => look("series-0", 0x00_72_b2, 0x56_b4_e9, Blue).lined(2.0, 0.85),
                1 => look("series-1", 0xd5_5e_00, 0xff_8a_4c, Red).lined(2.0, 0.85),
                2 => look("series-2", 0x00_9e_73, 0x2f_c8_98, Green).lined(2.0, 0.85),
                3 => look("series-3", 0xa3_3e_7c, 0xe3_9b_c7, Magenta).lined(2.0, 0.85),
                4 => look("series-4", 0xd9_8a_00, 0xff_c1_3b, Yellow).lined(2.0, 0.85),
                _ => look("series-5", 0x57_60_6a, 0xb1_ba_c4, Gray).lined(2.0, 0.85),
            },
        }
    }
}

/// The page that a picture is looked at on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Theme {
    /// As the reader's system is; where a file cannot follow it, light.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}
