//! A scene as a page of HTML: the SVG, and nothing from elsewhere.

use super::Scene;
use super::ink::{Ink, Theme};
use super::svg::{self, Escaped};

/// Draws a scene as a page.
pub fn draw(scene: &Scene, theme: Theme) -> String {
    let color = |dark: bool| {
        let look = Ink::Paper.look();
        let [red, green, blue] = if dark { look.dark } else { look.light };
        format!("#{red:02x}{green:02x}{blue:02x}")
    };
    let body = match theme {
        Theme::Light => format!("body{{background:{}}}", color(false)),
        Theme::Dark => format!("body{{background:{}}}", color(true)),
        Theme::Auto => format!(
            "body{{background:{}}}@media (prefers-color-scheme:dark){{body{{background:{}}}}}",
            color(false),
            color(true)
        ),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <style>body{{margin:0}}svg{{display:block;width:100%;height:auto;max-height:100vh}}{body}</style>\n\
         </head>\n<body>\n{}</body>\n</html>\n",
        Escaped(&scene.title),
        svg::draw(scene, theme)
    )
}
