//! A partition that the group has given to this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Errand;
use crate::error::Result;

/// A task, or what will be one once what it remembers, an `R`, is restored.
pub(crate) enum Slot<R, T> {
    /// What it remembers is being read.
    Restoring(Restoring<R>),
    /// It processes records.
    Working(Box<T>),
}

impl<R, T> Slot<R, T> {
    /// Returns the task, if it is at work.
    pub fn task(&self) -> Option<&T> {
        match self {
            Slot::Working(task) => Some(task),
            Slot::Restoring(_) => None,
        }
    }

    /// As [`Slot::task`], to be changed.
    pub fn task_mut(&mut self) -> Option<&mut T> {
        match self {
            Slot::Working(task) => Some(task),
            Slot::Restoring(_) => None,
        }
    }
}

/// A restoration under way, on a thread of its own; given up when it is dropped.
pub(crate) struct Restoring<R> {
    errand: Errand<Result<R>>,
    is_enough: Arc<AtomicBool>,
}

impl<R: Send + 'static> Restoring<R> {
    /// Begins to restore; `restore` is to stop soon once its flag is set.
    pub fn begin(restore: impl FnOnce(&AtomicBool) -> Result<R> + Send + 'static) -> Self {
        let is_enough = Arc::<AtomicBool>::default();
        let with = is_enough.clone();
        Restoring {
            errand: Errand::begin(move || restore(&with)),
            is_enough,
        }
    }

    /// Returns what was found, once it is there.
    pub fn answer(&mut self) -> Option<Result<R>> {
        self.errand.answer().map(Result::flatten)
    }
}

impl<R> Drop for Restoring<R> {
    fn drop(&mut self) {
        self.is_enough.store(true, Ordering::Relaxed);
    }
}
