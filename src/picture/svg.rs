//! A scene as SVG.
//!
//! Each group of marks is a `<g>` of its name, each mark has its ink as a class and what it stands for
//! as `data-` attributes. The style sheet follows the reader's system between light and dark. Numbers
//! have one digit behind the point, so the same scene gives the same bytes everywhere.

use std::fmt::Write;

use super::ink::HATCH;
use super::ink::{INKS, Ink, Look, Rgb, SYMBOL_STROKE, SYMBOLS, Strokes, Symbol, Theme};
use super::{Anchor, Area, Mark, Point, Scene, Shape, Size};

/// The fonts of text: the system's own.
const FONTS: &str = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif";

/// How many steps of strength shades have: each is one path.
const STRENGTHS: f64 = 8.0;

/// Draws a scene.
pub fn draw(scene: &Scene, theme: Theme) -> String {
    let (width, height) = (scene.medium.width, scene.medium.height);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{0}\" height=\"{1}\" \
         role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n\
         <desc id=\"description\">{}</desc>",
        Dot(width),
        Dot(height),
        Escaped(&scene.title),
        Escaped(&scene.description)
    );
    style(&mut svg, theme);
    symbols(&mut svg, scene);
    let _ = writeln!(
        svg,
        "<rect class=\"paper\" width=\"{}\" height=\"{}\"/>",
        Dot(width),
        Dot(height)
    );
    for group in &scene.groups {
        let _ = writeln!(svg, "<g class=\"{}\">", group.name);
        for mark in &group.marks {
            draw_mark(&mut svg, mark);
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn style(svg: &mut String, theme: Theme) {
    let _ = writeln!(svg, "<style>\ntext{{font-family:{FONTS}}}");
    for size in [Size::Title, Size::Label, Size::Small] {
        let weight = if size == Size::Title {
            ";font-weight:600"
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            ".{}{{font-size:{}px{weight}}}",
            name_of(size),
            size.pixels()
        );
    }
    // How lines and fills look does not depend on the page.
    for look in INKS.map(Ink::look) {
        let _ = write!(svg, ".{}{{", look.class);
        if look.stroke > 0.0 {
            let _ = write!(
                svg,
                "stroke-width:{};stroke-linejoin:round;fill-opacity:{}",
                look.stroke, look.fill
            );
            if look.dash.0 > 0.0 {
                let _ = write!(svg, ";stroke-dasharray:{} {}", look.dash.0, look.dash.1);
            }
        } else if look.fill < 1.0 {
            let _ = write!(svg, "fill-opacity:{}", look.fill);
        }
        svg.push_str("}\n");
    }
    match theme {
        Theme::Light => colors(svg, |look| look.light),
        Theme::Dark => colors(svg, |look| look.dark),
        Theme::Auto => {
            colors(svg, |look| look.light);
            svg.push_str("@media (prefers-color-scheme:dark){\n");
            colors(svg, |look| look.dark);
            svg.push_str("}\n");
        }
    }
    // Behind the rules of single inks, which they override. Words of an ink whose boxes are pale, and in a
    // group of such a name, are not pale.
    svg.push_str(
        ".line{fill:none}\ntext.title,text.label,text.small{stroke:none;fill-opacity:1}\n",
    );
    let halo = |[red, green, blue]: Rgb| {
        format!(
            "text.small{{stroke:#{red:02x}{green:02x}{blue:02x};stroke-width:3px;\
             stroke-dasharray:none;paint-order:stroke}}\n"
        )
    };
    let paper = Ink::Paper.look();
    svg.push_str(&halo(if theme == Theme::Dark {
        paper.dark
    } else {
        paper.light
    }));
    if theme == Theme::Auto {
        let _ = writeln!(
            svg,
            "@media (prefers-color-scheme:dark){{\n{}}}",
            halo(paper.dark)
        );
    }
    svg.push_str("</style>\n");
}

fn colors(svg: &mut String, of: impl Fn(&Look) -> Rgb) {
    for look in INKS.map(Ink::look) {
        let [red, green, blue] = of(&look);
        let color = format!("#{red:02x}{green:02x}{blue:02x}");
        let stroke = match look.stroke > 0.0 {
            true => format!(";stroke:{color}"),
            false => String::new(),
        };
        let _ = writeln!(svg, ".{}{{fill:{color};color:{color}{stroke}}}", look.class);
    }
}

/// Defines the symbols that a scene uses; each takes the colour of the mark that uses it.
fn symbols(svg: &mut String, scene: &Scene) {
    let uses = |symbol: Symbol| {
        scene
            .marks()
            .any(|mark| matches!(mark.shape, Shape::Symbol(used, _) if used == symbol))
    };
    let used: Vec<Symbol> = SYMBOLS.into_iter().filter(|&symbol| uses(symbol)).collect();
    if used.is_empty() {
        return;
    }
    svg.push_str("<defs>\n");
    let hollow = format!("style=\"fill:none;stroke:currentColor;stroke-width:{SYMBOL_STROKE}\"");
    let filled = "style=\"fill:currentColor;stroke:none\"";
    for symbol in used {
        let id = symbol.name();
        let _ = match symbol.strokes() {
            Strokes::Round(radius, is_filled) => {
                let style = if is_filled { filled } else { &hollow };
                writeln!(svg, "<circle id=\"{id}\" r=\"{radius}\" {style}/>")
            }
            Strokes::Filled(corners) => {
                writeln!(svg, "<path id=\"{id}\" d=\"{}Z\" {filled}/>", Path(corners))
            }
            Strokes::Hollow(corners) => {
                writeln!(svg, "<path id=\"{id}\" d=\"{}Z\" {hollow}/>", Path(corners))
            }
            Strokes::Lines(lines) => {
                let lines: String = lines.iter().map(|line| Path(line).to_string()).collect();
                writeln!(svg, "<path id=\"{id}\" d=\"{lines}\" {hollow}/>")
            }
        };
    }
    svg.push_str("</defs>\n");
}

/// Straight lines from corner to corner.
struct Path<'p>(&'p [(f64, f64)]);

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, (x, y)) in self.0.iter().enumerate() {
            let letter = if nth == 0 { 'M' } else { 'L' };
            write!(f, "{letter}{} {}", Dot(*x), Dot(*y))?;
        }
        Ok(())
    }
}

fn draw_mark(svg: &mut String, mark: &Mark) {
    let class = mark.ink.look().class;
    let mut attributes = String::new();
    for (name, value) in &mark.data {
        let _ = write!(attributes, " data-{name}=\"{}\"", Escaped(value));
    }
    let (element, content) = match &mark.shape {
        Shape::Line(points) => (
            format!("path class=\"{class} line\" d=\"{}\"", Steps(points)),
            String::new(),
        ),
        Shape::Outline(points) => (
            format!("path class=\"{class}\" d=\"{}Z\"", Steps(points)),
            String::new(),
        ),
        Shape::Box(area) => (
            format!(
                "rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
                Dot(area.left),
                Dot(area.top),
                Dot(area.width()),
                Dot(area.height())
            ),
            String::new(),
        ),
        Shape::Shades(shades) => return draw_shades(svg, mark.ink, &attributes, shades),
        Shape::Symbol(symbol, at) => (
            format!(
                "use class=\"{class}\" href=\"#{}\" x=\"{}\" y=\"{}\"",
                symbol.name(),
                Dot(at.x),
                Dot(at.y)
            ),
            String::new(),
        ),
        Shape::Text {
            text,
            at,
            anchor,
            size,
            upwards,
        } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let (x, y) = (Dot(at.x), Dot(at.y));
            let turned = match upwards {
                true => format!(" transform=\"rotate(-90 {x} {y})\""),
                false => String::new(),
            };
            (
                format!(
                    "text class=\"{class} {}\" x=\"{x}\" y=\"{y}\"{anchor}{turned}",
                    name_of(*size)
                ),
                Escaped(text).to_string(),
            )
        }
    };
    let tip = match &mark.tip {
        Some(tip) => format!("<title>{}</title>", Escaped(tip)),
        None => String::new(),
    };
    let tag = element.split(' ').next().unwrap_or_default();
    let _ = match content.is_empty() && tip.is_empty() {
        true => writeln!(svg, "<{element}{attributes}/>"),
        false => writeln!(svg, "<{element}{attributes}>{tip}{content}</{tag}>"),
    };
}

/// Draws rectangles of one ink: those of about the same strength are one path.
fn draw_shades(svg: &mut String, ink: Ink, attributes: &str, shades: &[(Area, f64)]) {
    let (class, is_hatched) = (ink.look().class, ink.is_hatched());
    let step_of = |strength: f64| (strength * STRENGTHS).ceil().clamp(1.0, STRENGTHS);
    for step in 1..=STRENGTHS as u32 {
        let step = f64::from(step);
        let mut path = String::new();
        for (area, _) in shades
            .iter()
            .filter(|(_, strength)| step_of(*strength) == step)
        {
            if is_hatched {
                let (left, bottom) = (Dot(area.left), Dot(area.bottom));
                let _ = write!(
                    path,
                    "M{left} {bottom}L{} {}",
                    Dot(area.right),
                    Dot(area.top)
                );
                continue;
            }
            let _ = write!(
                path,
                "M{} {}h{}v{}h{}z",
                Dot(area.left),
                Dot(area.top),
                Dot(area.width()),
                Dot(area.height()),
                Dot(-area.width())
            );
        }
        if !path.is_empty() {
            let opacity = Dot(step / STRENGTHS * 100.0);
            let _ = writeln!(
                svg,
                "<path class=\"{class}\" style=\"{}\" d=\"{path}\"{attributes}/>",
                match is_hatched {
                    true => format!(
                        "fill:none;stroke:currentColor;stroke-width:{HATCH};stroke-opacity:{opacity}%"
                    ),
                    false => format!("stroke:none;fill-opacity:{opacity}%"),
                }
            );
        }
    }
}

fn name_of(size: Size) -> &'static str {
    match size {
        Size::Title => "title",
        Size::Label => "label",
        Size::Small => "small",
    }
}

/// A length with at most one digit behind the point.
struct Dot(f64);

impl std::fmt::Display for Dot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round();
        match tenths % 10.0 == 0.0 {
            // Also of -0.
            true => write!(f, "{}", tenths as i64 / 10),
            false => write!(f, "{:.1}", tenths / 10.0),
        }
    }
}

/// The points of a line; those that are where the one before is are left out.
struct Steps<'p>(&'p [Point]);

impl std::fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut last = None;
        for (nth, at) in self.0.iter().enumerate() {
            let text = format!("{} {}", Dot(at.x), Dot(at.y));
            if last.as_ref() == Some(&text) && nth + 1 < self.0.len() {
                continue;
            }
            let letter = if nth == 0 { 'M' } else { 'L' };
            write!(f, "{letter}{text}")?;
            last = Some(text);
        }
        Ok(())
    }
}

/// A text in XML: what the format does not allow is replaced.
pub(super) struct Escaped<'t>(pub &'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_str(" ")?,
                letter if letter.is_control() || letter == '\u{fffe}' || letter == '\u{ffff}' => {
                    f.write_str("\u{fffd}")?;
                }
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Medium, point};

    #[test]
    fn text_is_escaped_and_marks_say_what_they_are() {
        let mut scene = Scene::new(Medium::page(100, 50), "a < b", "\u{1}\"");
        let dot = Mark::new(
            Ink::Late,
            Shape::Symbol(Symbol::Triangle, point(1.25, -0.02)),
        );
        scene.add("records", vec![dot.data("place", "x\"y").tip("<late>")]);
        let svg = draw(&scene, Theme::Auto);
        assert!(
            svg.contains("<title id=\"title\">a &lt; b</title>"),
            "{svg}"
        );
        assert!(svg.contains("\u{fffd}&quot;</desc>"), "{svg}");
        let mark = "<use class=\"late\" href=\"#triangle\" x=\"1.3\" y=\"0\" \
                    data-place=\"x&quot;y\"><title>&lt;late&gt;</title></use>";
        assert!(svg.contains(mark), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"), "{svg}");
        assert!(!draw(&scene, Theme::Dark).contains("prefers-color-scheme"));
    }
}
