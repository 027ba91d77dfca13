//! The terminal as a screen: taken over, drawn on, and asked for keys.

use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::Size;
use ratatui::{DefaultTerminal, Frame};

use crate::error::{Error, Result};

/// How long a wait for a key lasts before signals and news are looked for.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// The terminal's alternate screen; restored however the run ends.
pub(crate) struct Screen(DefaultTerminal);

/// What a wait for a key has brought.
pub(crate) enum Pressed {
    /// Nothing that means anything.
    Nothing,
    /// The terminal has another size.
    Redraw,
    /// `q` or Escape.
    Leave,
    /// Ctrl-C: in raw mode it is a key, not a signal.
    Interrupt,
    /// Any other key.
    Key(KeyCode),
}

impl Screen {
    /// Takes over the terminal; a panic restores it too.
    ///
    /// # Errors
    /// Of the terminal.
    pub(crate) fn open() -> Result<Self> {
        let terminal = ratatui::try_init();
        terminal
            .map(Screen)
            .map_err(|source| Error::io("take the terminal over", source))
    }

    /// Returns how many columns and lines there are.
    ///
    /// # Errors
    /// Of the terminal.
    pub(crate) fn size(&self) -> Result<Size> {
        self.0.size().map_err(not_drawn)
    }

    /// Draws all of it.
    ///
    /// # Errors
    /// Of the terminal.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.0.draw(draw).map(|_| ()).map_err(not_drawn)
    }

    /// Waits a moment for a key.
    ///
    /// # Errors
    /// Of the terminal.
    pub(crate) fn wait(&self) -> Result<Pressed> {
        let unread = |source| Error::io("read the terminal", source);
        if !event::poll(POLL_TIMEOUT).map_err(unread)? {
            return Ok(Pressed::Nothing);
        }
        Ok(match event::read().map_err(unread)? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    Pressed::Interrupt
                }
                KeyCode::Char('q') | KeyCode::Esc => Pressed::Leave,
                other => Pressed::Key(other),
            },
            Event::Resize(..) => Pressed::Redraw,
            _ => Pressed::Nothing,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn not_drawn(source: std::io::Error) -> Error {
    Error::io("draw on the terminal", source)
}
