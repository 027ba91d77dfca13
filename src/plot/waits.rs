//! How long rows wait, of a run whose records somebody else counts.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::pane::journal::{Detail, Event, Journal};
use crate::engine::watermark::END;

/// For how long rows have waited after the end of their window, of a run that somebody else counts.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Mutex<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    ms: i64,
    rows: i64,
    has_ended: bool,
}

impl Waits {
    /// Returns the mean, in ms of processing time, where that is known.
    pub(super) fn mean_ms(&self) -> Option<i64> {
        let waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waited.ms.checked_div(waited.rows)
    }
}

impl Journal for Waits {
    fn note(&mut self, now: Option<i64>, event: Event<'_>) {
        let mut waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // What the end shows has not waited for its watermark.
            Event::End => waited.has_ended = true,
            Event::Pane { firing, .. } if firing.is_last && !waited.has_ended => {
                if let Some(now) = now.filter(|_| firing.window.end < END) {
                    let wait = now.saturating_sub(firing.window.end).max(0);
                    waited.ms = waited.ms.saturating_add(wait);
                    waited.rows += 1;
                }
            }
            _ => {}
        }
    }

    fn detail(&self) -> Detail {
        Detail::Outline
    }
}
