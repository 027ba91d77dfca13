//! WINDOW clauses as the engine's windows.

use super::syntax::{Window as Clause, WindowKind};
use crate::engine::lateness;
use crate::engine::window::{Aligned, Window, Windows};
use crate::error::Result;

/// For how long windows take late records where a statement does not say: a day.
pub const DEFAULT_GRACE_MS: i64 = 86_400_000;

/// Returns the engine's windows, and the grace.
///
/// # Errors
/// `usage` for sizes that make no windows.
pub fn windows_of(clause: &Clause) -> Result<(Windows, i64)> {
    let windows = match clause.kind {
        WindowKind::Tumbling { size_ms } => Windows::Aligned(Aligned::tumbling(size_ms)?),
        WindowKind::Hopping {
            size_ms,
            advance_ms,
        } => Windows::Aligned(Aligned::hopping(size_ms, advance_ms)?),
        WindowKind::Session { gap_ms } => Windows::Session {
            gap_ms,
            max_ms: None,
        },
    };
    Ok((windows, clause.grace_ms.unwrap_or(DEFAULT_GRACE_MS)))
}

/// Which windows take no more records, by stream time: the engine's rule with the latest time seen
/// as its watermark.
#[derive(Debug, Clone, Copy)]
pub struct Lateness(lateness::Lateness);

impl Lateness {
    /// Returns the rule for windows with a grace.
    pub fn new(windows: &Windows, grace_ms: i64) -> Self {
        Lateness(lateness::Lateness::new(windows, grace_ms))
    }

    /// Returns whether a window takes no more records.
    pub fn is_expired(&self, window: Window, stream_time: i64) -> bool {
        stream_time >= self.0.expires_at(window)
    }
}
