//! Pictures: a [`Scene`] of marks, and what it is drawn on.
//!
//! ```text
//! journal events ─► plot ──┐             ┌─► svg     text stays text, light and dark
//! rows of a result ► chart ┴─► Scene ────┼─► png     by tiny-skia, with a font of its own
//!                                        ├─► page    HTML around the SVG
//!                                        └─► cells   braille and letters of a terminal
//! ```
//!
//! A scene knows neither clock nor file, so the same scene gives the same bytes. Its unit is the
//! dot: a pixel on a page, one of the two by four dots of a character in a terminal. Who lays a
//! scene out asks its [`Medium`] how much room text takes.

pub mod axis;
pub mod cells;
mod font;
pub mod ink;
pub mod page;
pub mod png;
pub mod svg;

use ink::{Ink, Symbol};

/// Where a scene is to be drawn: how large it is, and how much room text takes there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Medium {
    /// In dots.
    pub width: f64,
    /// In dots.
    pub height: f64,
    /// Whether it is made of a terminal's characters.
    pub is_cells: bool,
}

/// The dots of a terminal's character, across and down: those of braille.
pub const CELL: (f64, f64) = (2.0, 4.0);

impl Medium {
    /// A page of so many pixels.
    pub fn page(width: u32, height: u32) -> Self {
        Medium {
            width: width.into(),
            height: height.into(),
            is_cells: false,
        }
    }

    /// A terminal of so many columns and lines.
    pub fn terminal(columns: u16, lines: u16) -> Self {
        Medium {
            width: f64::from(columns) * CELL.0,
            height: f64::from(lines) * CELL.1,
            is_cells: true,
        }
    }

    /// Returns how wide a text is, in dots.
    pub fn text_width(&self, text: &str, size: Size) -> f64 {
        if self.is_cells {
            console::measure_text_width(text) as f64 * CELL.0
        } else {
            font::width(text, size.pixels())
        }
    }

    /// Returns how far the lines of a text are apart, in dots.
    pub fn line(&self, size: Size) -> f64 {
        if self.is_cells {
            CELL.1
        } else {
            (size.pixels() * 1.4).round()
        }
    }

    /// Returns one length for a page and another one for a terminal.
    pub fn either(&self, page: f64, cells: f64) -> f64 {
        if self.is_cells { cells } else { page }
    }

    /// Returns `text` in lines of at most so many dots, cut between words.
    pub fn lines_of(&self, text: &str, size: Size, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if self.text_width(&format!("{line} {word}"), size) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    /// Returns `text` cut to so many dots, with `…` where something is missing.
    pub fn fit(&self, text: &str, size: Size, width: f64) -> String {
        if self.text_width(text, size) <= width {
            return text.to_owned();
        }
        let mut fitting = String::new();
        for letter in text.chars() {
            let with = format!("{fitting}{letter}…");
            if self.text_width(&with, size) > width {
                break;
            }
            fitting.push(letter);
        }
        fitting + "…"
    }
}

/// How large a text is. A terminal has one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Of the picture's title.
    Title,
    /// Of axes and legends.
    Label,
    /// Of what stands in the picture.
    Small,
}

impl Size {
    /// Returns its height in pixels.
    pub fn pixels(self) -> f64 {
        match self {
            Size::Title => 16.0,
            Size::Label => 12.0,
            Size::Small => 10.5,
        }
    }
}

/// A place, in dots from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// Returns the point at `x`, `y`.
pub fn point(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A rectangle, in dots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// The left edge.
    pub left: f64,
    /// The upper edge.
    pub top: f64,
    /// The right edge.
    pub right: f64,
    /// The lower edge.
    pub bottom: f64,
}

impl Area {
    /// Returns how wide it is.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Returns how high it is.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Returns whether another one lies in part on the same place.
    pub fn meets(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// On which side of its place a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// The form of a mark.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Straight lines from point to point.
    Line(Vec<Point>),
    /// What lies within straight lines from point to point.
    Outline(Vec<Point>),
    /// A rectangle.
    Box(Area),
    /// Many rectangles of one ink, each of a share from 0 to 1 of its strength.
    Shades(Vec<(Area, f64)>),
    /// A symbol around a place.
    Symbol(Symbol, Point),
    /// Words; the place is on their base line.
    Text {
        /// What they say.
        text: String,
        /// Where.
        at: Point,
        /// On which side of the place.
        anchor: Anchor,
        /// How large.
        size: Size,
        /// Whether they go upwards.
        upwards: bool,
    },
}

/// Something that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Its form.
    pub shape: Shape,
    /// How it is drawn.
    pub ink: Ink,
    /// What it stands for, for programs: pairs of a name and a value, `data-NAME` in SVG.
    pub data: Vec<(&'static str, String)>,
    /// What it stands for, for a person who points at it.
    pub tip: Option<String>,
}

impl Mark {
    /// Returns a mark that stands for nothing but itself.
    pub fn new(ink: Ink, shape: Shape) -> Self {
        Mark {
            shape,
            ink,
            data: Vec::new(),
            tip: None,
        }
    }

    /// Returns a text that begins at `at`.
    pub fn text(ink: Ink, size: Size, at: Point, text: impl Into<String>) -> Self {
        let shape = Shape::Text {
            text: text.into(),
            at,
            anchor: Anchor::Start,
            size,
            upwards: false,
        };
        Mark::new(ink, shape)
    }

    /// Puts a text on another side of its place.
    #[must_use]
    pub fn anchored(mut self, to: Anchor) -> Self {
        if let Shape::Text { anchor, .. } = &mut self.shape {
            *anchor = to;
        }
        self
    }

    /// Says what it stands for, to programs.
    #[must_use]
    pub fn data(mut self, name: &'static str, value: impl ToString) -> Self {
        self.data.push((name, value.to_string()));
        self
    }

    /// Says what it stands for, to a person who points at it.
    #[must_use]
    pub fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }
}

/// Marks that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they are, in one word.
    pub name: &'static str,
    /// In the order in which they are drawn.
    pub marks: Vec<Mark>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// What it is drawn on.
    pub medium: Medium,
    /// What it shows, in a line.
    pub title: String,
    /// What it shows, for someone who cannot see it.
    pub description: String,
    /// In the order in which they are drawn.
    pub groups: Vec<Group>,
    /// Where values lie, if it has axes.
    pub plane: Option<Plane>,
}

/// Where values lie in a picture: their first and last, across and up, at the edges of an area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// Within the axes.
    pub area: Area,
    /// At the left and the right edge.
    pub across: (f64, f64),
    /// At the lower and the upper edge.
    pub up: (f64, f64),
}

impl Scene {
    /// Returns an empty picture.
    pub fn new(medium: Medium, title: impl Into<String>, description: impl Into<String>) -> Self {
        Scene {
            medium,
            title: title.into(),
            description: description.into(),
            groups: Vec::new(),
            plane: None,
        }
    }

    /// Adds marks above those that there are.
    pub fn add(&mut self, name: &'static str, marks: Vec<Mark>) {
        if !marks.is_empty() {
            self.groups.push(Group { name, marks });
        }
    }

    /// Returns all marks, in the order in which they are drawn.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.groups.iter().flat_map(|group| &group.marks)
    }
}
