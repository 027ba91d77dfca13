//! A partition that the group has given to this process.

/// A task, or what will be one once what it remembers is restored.
pub(crate) enum Slot<R, T> {
    /// What it remembers is being read.
    Restoring(R),
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
