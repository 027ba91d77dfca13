//! The font of pictures: DejaVu Sans, cut down to Latin, Greek, Cyrillic and a few signs, so that a
//! PNG has the same letters on every machine and a layout knows how wide they are.
//!
//! A browser draws an SVG with its own font. DejaVu is wider than most, so what fits here fits there.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Made by `scripts/picture-font`.
const BYTES: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// Returns the font; `None` if its bytes are no font, which a test rules out.
fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(BYTES, 0).ok()).as_ref()
}

/// Returns how wide a text is, in pixels, where letters are `pixels` high.
pub fn width(text: &str, pixels: f64) -> f64 {
    let Some(face) = face() else {
        return text.chars().count() as f64 * pixels * 0.6;
    };
    let units: f64 = text
        .chars()
        .map(|letter| advance(face, glyph(face, letter)))
        .sum();
    units * pixels / f64::from(face.units_per_em())
}

/// Draws a text: `pen` gets where each letter begins, in pixels from the beginning, and by what its
/// units are multiplied, and then draws it.
pub fn draw<P: OutlineBuilder>(
    text: &str,
    pixels: f64,
    pen: &mut P,
    move_to: impl Fn(&mut P, f64, f64),
) {
    let Some(face) = face() else {
        return;
    };
    let scale = pixels / f64::from(face.units_per_em());
    let mut along = 0.0;
    for letter in text.chars() {
        let glyph = glyph(face, letter);
        move_to(pen, along * scale, scale);
        // A space has no outline.
        let _ = face.outline_glyph(glyph, pen);
        along += advance(face, glyph);
    }
}

fn glyph(face: &Face<'_>, letter: char) -> GlyphId {
    let known = face.glyph_index(letter);
    known
        .or_else(|| face.glyph_index('\u{fffd}'))
        .unwrap_or(GlyphId(0))
}

fn advance(face: &Face<'_>, glyph: GlyphId) -> f64 {
    face.glyph_hor_advance(glyph).unwrap_or(0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_letters_that_pictures_use() {
        let face = face().expect("a font");
        for letter in "Straße Größe Ψ Ж 0:9 … − × ≥ → ▲ ● µ".chars() {
            assert!(face.glyph_index(letter).is_some(), "{letter}");
        }
        assert!(width("WW", 12.0) > width("ii", 12.0));
    }
}
