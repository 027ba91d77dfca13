//! A scene as a PNG, by tiny-skia.
//!
//! Twice as many pixels as the scene has dots: sharp on a screen of today, and in print.

use tiny_skia::{
    Color, FillRule, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::ink::{HATCH, Ink, Rgb, SYMBOL_STROKE, Strokes, Symbol, Theme};
use super::{Anchor, Area, Mark, Point, Scene, Shape, Size, font};
use crate::error::{Error, Result};

/// How many pixels a dot has.
const SCALE: f32 = 2.0;

/// Draws a scene; [`Theme::Auto`] is light.
///
/// # Errors
/// `refused` for a picture that does not fit into memory.
pub fn draw(scene: &Scene, theme: Theme) -> Result<Vec<u8>> {
    let pixels = |dots: f64| (dots as f32 * SCALE).ceil() as u32;
    let (width, height) = (pixels(scene.medium.width), pixels(scene.medium.height));
    let pixmap = Pixmap::new(width, height).ok_or_else(|| {
        Error::refused(format!(
            "a picture of {width} × {height} pixels is too large"
        ))
    })?;
    let mut sheet = Sheet {
        pixmap,
        is_dark: theme == Theme::Dark,
    };
    let paper = sheet.color(Ink::Paper, 1.0);
    sheet.pixmap.fill(paper);
    for mark in scene.marks() {
        sheet.draw(mark);
    }
    let encoded = sheet.pixmap.encode_png();
    encoded.map_err(|error| Error::bug("the picture cannot be encoded").caused_by(error))
}

struct Sheet {
    pixmap: Pixmap,
    is_dark: bool,
}

impl Sheet {
    fn color(&self, ink: Ink, opacity: f64) -> Color {
        let look = ink.look();
        let [red, green, blue]: Rgb = if self.is_dark { look.dark } else { look.light };
        let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
        Color::from_rgba8(red, green, blue, alpha)
    }

    fn paint(&self, ink: Ink, opacity: f64) -> Paint<'static> {
        let mut paint = Paint::default();
        paint.set_color(self.color(ink, opacity));
        paint.anti_alias = true;
        paint
    }

    fn draw(&mut self, mark: &Mark) {
        let look = mark.ink.look();
        match &mark.shape {
            Shape::Line(points) => {
                self.stroke(mark.ink, &path(points, false), look.stroke, look.dash)
            }
            Shape::Outline(points) => {
                let path = path(points, true);
                self.fill(mark.ink, &path, look.fill);
                self.stroke(mark.ink, &path, look.stroke, look.dash);
            }
            Shape::Box(area) => {
                let path = path(&corners(*area), true);
                self.fill(mark.ink, &path, look.fill);
                self.stroke(mark.ink, &path, look.stroke, look.dash);
            }
            Shape::Shades(shades) => {
                for (area, strength) in shades {
                    if mark.ink.is_hatched() {
                        let ends = [(area.left, area.bottom), (area.right, area.top)];
                        let line = path(&ends.map(|(x, y)| Point { x, y }), false);
                        self.stroke_faintly(mark.ink, &line, *strength);
                        continue;
                    }
                    let area = Rect::from_ltrb(
                        area.left as f32,
                        area.top as f32,
                        area.right as f32,
                        area.bottom as f32,
                    );
                    let mut paint = self.paint(mark.ink, *strength);
                    // Neighbours meet without a seam.
                    paint.anti_alias = false;
                    if let Some(area) = area {
                        self.pixmap.fill_rect(area, &paint, scaled(), None);
                    }
                }
            }
            Shape::Symbol(symbol, at) => self.symbol(mark.ink, *symbol, *at),
            Shape::Text {
                text,
                at,
                anchor,
                size,
                upwards,
            } => {
                let pixels = size.pixels();
                let width = font::width(text, pixels);
                let before = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => width / 2.0,
                    Anchor::End => width,
                };
                let mut pen = Pen {
                    path: PathBuilder::new(),
                    x: 0.0,
                    scale: 1.0,
                };
                font::draw(text, pixels, &mut pen, |pen, along, scale| {
                    (pen.x, pen.scale) = ((along - before) as f32, scale as f32);
                });
                let turn = if *upwards { -90.0 } else { 0.0 };
                let place = scaled()
                    .pre_translate(at.x as f32, at.y as f32)
                    .pre_rotate(turn);
                let paint = self.paint(mark.ink, 1.0);
                if let Some(path) = pen.path.finish() {
                    if *size == Size::Small {
                        // Read above whatever lies below it.
                        let halo = Stroke {
                            width: 3.0,
                            line_join: LineJoin::Round,
                            ..Stroke::default()
                        };
                        let paper = self.paint(Ink::Paper, 1.0);
                        self.pixmap.stroke_path(&path, &paper, &halo, place, None);
                    }
                    let rule = FillRule::Winding;
                    self.pixmap.fill_path(&path, &paint, rule, place, None);
                }
            }
        }
    }

    fn symbol(&mut self, ink: Ink, symbol: Symbol, at: Point) {
        let moved = |corners: &[(f64, f64)]| -> Vec<Point> {
            let corner = |&(x, y): &(f64, f64)| Point {
                x: at.x + x,
                y: at.y + y,
            };
            corners.iter().map(corner).collect()
        };
        match symbol.strokes() {
            Strokes::Round(radius, is_filled) => {
                let circle = PathBuilder::from_circle(at.x as f32, at.y as f32, radius as f32);
                match is_filled {
                    true => self.fill(ink, &circle, 1.0),
                    false => self.stroke(ink, &circle, SYMBOL_STROKE, (0.0, 0.0)),
                }
            }
            Strokes::Filled(corners) => self.fill(ink, &path(&moved(corners), true), 1.0),
            Strokes::Hollow(corners) => {
                self.stroke(ink, &path(&moved(corners), true), SYMBOL_STROKE, (0.0, 0.0));
            }
            Strokes::Lines(lines) => {
                for line in lines {
                    self.stroke(ink, &path(&moved(line), false), SYMBOL_STROKE, (0.0, 0.0));
                }
            }
        }
    }

    fn fill(&mut self, ink: Ink, path: &Option<tiny_skia::Path>, opacity: f64) {
        if let (Some(path), true) = (path, opacity > 0.0) {
            let paint = self.paint(ink, opacity);
            let rule = FillRule::Winding;
            self.pixmap.fill_path(path, &paint, rule, scaled(), None);
        }
    }

    fn stroke_faintly(&mut self, ink: Ink, path: &Option<tiny_skia::Path>, opacity: f64) {
        if let Some(path) = path {
            let stroke = Stroke {
                width: HATCH as f32,
                ..Stroke::default()
            };
            let paint = self.paint(ink, opacity);
            self.pixmap
                .stroke_path(path, &paint, &stroke, scaled(), None);
        }
    }

    fn stroke(
        &mut self,
        ink: Ink,
        path: &Option<tiny_skia::Path>,
        width: f64,
        (dash, gap): (f64, f64),
    ) {
        if let (Some(path), true) = (path, width > 0.0) {
            let stroke = Stroke {
                width: width as f32,
                line_join: LineJoin::Round,
                dash: StrokeDash::new(vec![dash as f32, gap as f32], 0.0),
                ..Stroke::default()
            };
            let paint = self.paint(ink, 1.0);
            self.pixmap
                .stroke_path(path, &paint, &stroke, scaled(), None);
        }
    }
}

fn scaled() -> Transform {
    Transform::from_scale(SCALE, SCALE)
}

fn corners(area: Area) -> [Point; 4] {
    let corner = |x, y| Point { x, y };
    [
        corner(area.left, area.top),
        corner(area.right, area.top),
        corner(area.right, area.bottom),
        corner(area.left, area.bottom),
    ]
}

/// Returns a path through points; `None` where there is no length.
fn path(points: &[Point], is_closed: bool) -> Option<tiny_skia::Path> {
    let mut path = PathBuilder::new();
    for (nth, at) in points.iter().enumerate() {
        match nth {
            0 => path.move_to(at.x as f32, at.y as f32),
            _ => path.line_to(at.x as f32, at.y as f32),
        }
    }
    if is_closed {
        path.close();
    }
    path.finish()
}

/// Draws a letter's outline into a path; letters of fonts go up, pictures down.
struct Pen {
    path: PathBuilder,
    x: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
