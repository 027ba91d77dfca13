//! Ctrl-C and SIGTERM: noted once, asked for at every safe point.
//!
//! The first signal asks for a clean stop, a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::clock;
use crate::error::{Error, Result};

/// Whether the user has asked the run to stop; clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    /// Whether the next signal ends the process at once.
    again: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen to SIGINT and SIGTERM.
    ///
    /// # Errors
    /// `refused` when the operating system takes no handler.
    pub fn listen() -> Result<Self> {
        let interrupt = Interrupt::default();
        let again = &interrupt.again;
        for signal in [SIGINT, SIGTERM] {
            let refused = |source| Error::io("listen to signals", source);
            // Order matters: the shutdown looks at `again` before this signal sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, again.clone())
                .map_err(refused)?;
            flag::register(signal, again.clone()).map_err(refused)?;
            flag::register_usize(signal, interrupt.signal.clone(), signal as usize)
                .map_err(refused)?;
        }
        Ok(interrupt)
    }

    /// Forgets a signal, which has ended what it was meant for and not the process; returns it, or 0.
    pub(crate) fn take(&self) -> i32 {
        self.again.store(false, Ordering::Relaxed);
        self.signal.swap(0, Ordering::Relaxed) as i32
    }

    /// Asks for a stop as the signal `signal` would.
    pub(crate) fn set(&self, signal: i32) {
        self.signal.store(signal as usize, Ordering::Relaxed);
    }

    /// Returns whether to stop.
    pub(crate) fn is_set(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// Returns the error to end with once a signal has come: its exit status is 130 or 143.
    ///
    /// # Errors
    /// `stopped` after a signal.
    pub fn check(&self) -> Result<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Error::stopped(signal as i32)),
        }
    }

    /// Waits until `due`, or less where a signal comes first.
    pub(crate) fn sleep_until(&self, due: Instant) {
        const POLL_INTERVAL: Duration = Duration::from_millis(50);
        while !self.is_set() {
            let left = due.saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            clock::sleep(left.min(POLL_INTERVAL));
        }
    }
}
