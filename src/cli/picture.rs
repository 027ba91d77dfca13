//! Where a picture goes: to the terminal, or to a file whose ending says how it is drawn.

use std::path::{Path, PathBuf};

use console::Term;

use super::endpoint::{self, Endpoint};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::outlet::{Outlet, replace};
use crate::picture::ink::Theme;
use crate::picture::{Medium, Scene, cells, page, png, svg};

/// The heading of what a picture looks like.
pub(super) const PICTURE: &str = "The picture";

/// How large a picture is in a file, in pixels.
const PAGE: (u32, u32) = (960, 600);
/// How large it is where nobody says how large the terminal is, in characters.
const TERMINAL: (u32, u32) = (80, 24);
/// The most pixels or characters in either direction.
const LARGEST: u32 = 10_000;

/// Where a picture goes, and how it looks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = PICTURE)]
pub(super) struct PictureOptions {
    /// Write it to a file: .svg, .png, or .html [default: the terminal]
    #[arg(long, value_name = "FILE", value_parser = parse_file)]
    out: Option<PathBuf>,

    /// Make it so large: pixels in a file, characters in a terminal [default: 960x600; the
    /// terminal's size]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    size: Option<(u32, u32)>,

    /// Draw it for a light page or a dark one; `auto` lets the reader's system say, and a PNG is light
    #[arg(long, value_enum, value_name = "THEME", default_value = "auto")]
    theme: Theme,
}

/// Returns the terminal as it is, but for `below` lines; 80 characters by 24 where stdout is none.
pub(super) fn terminal_medium(below: u16) -> Medium {
    let terminal = Term::stdout();
    if !terminal.is_term() {
        return in_characters(TERMINAL.0, TERMINAL.1);
    }
    let (lines, columns) = terminal.size();
    in_characters(columns.into(), lines.saturating_sub(below).max(8).into())
}

fn in_characters(columns: u32, lines: u32) -> Medium {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    Medium::terminal(side(columns), side(lines))
}

/// What a file's ending says.
enum Form {
    Svg,
    Png,
    Html,
}

fn form(path: &Path) -> Option<Form> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "svg" => Some(Form::Svg),
        "png" => Some(Form::Png),
        "html" | "htm" => Some(Form::Html),
        _ => None,
    }
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match form(&path) {
        Some(_) => Ok(path),
        None => Err("name a file that ends with .svg, .png or .html".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x');
    let sides = sides.map(|(width, height)| (width.parse::<u32>(), height.parse::<u32>()));
    match sides {
        Some((Ok(width @ 20..=LARGEST), Ok(height @ 8..=LARGEST))) => Ok((width, height)),
        _ => Err("write it as `960x600`, at most 10000 either way".to_owned()),
    }
}

impl PictureOptions {
    /// Returns what the picture is drawn on; the terminal keeps `below` lines for what follows it.
    pub fn medium(&self, below: u16) -> Medium {
        if self.out.is_some() {
            let (width, height) = self.size.unwrap_or(PAGE);
            return Medium::page(width, height);
        }
        match self.size {
            Some((columns, lines)) => in_characters(columns, lines),
            None => terminal_medium(below),
        }
    }

    /// Returns whether it is written to a file.
    pub fn is_file(&self) -> bool {
        self.out.is_some()
    }

    /// Refuses a file that is read.
    ///
    /// # Errors
    /// `refused` where the picture would destroy an input.
    pub fn refuse_collisions(&self, inputs: &[Endpoint]) -> Result<()> {
        let out = self.out.clone().map(Endpoint::File);
        endpoint::refuse_collisions(inputs, out.iter().map(|out| ("--out", out)))
    }

    /// Draws a picture where it is to go.
    ///
    /// # Errors
    /// `refused` for a file or a terminal that takes none.
    pub fn show(&self, scene: &Scene, context: &Context) -> Result<()> {
        let Some(path) = &self.out else {
            let text = cells::text(scene, console::colors_enabled());
            return Outlet::stdout(context.interrupt.clone())?.write(text.as_bytes());
        };
        let bytes = match form(path) {
            Some(Form::Png) => png::draw(scene, self.theme)?,
            Some(Form::Html) => page::draw(scene, self.theme).into_bytes(),
            Some(Form::Svg) | None => svg::draw(scene, self.theme).into_bytes(),
        };
        let written = replace(path, &bytes);
        written.map_err(|source| Error::io(format!("write `{}`", path.display()), source))?;
        context
            .report
            .status(format!("drawn to {}", path.display()));
        Ok(())
    }
}
