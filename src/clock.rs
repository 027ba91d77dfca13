//! The clock and the background threads of a group's node, which tests can replace.
//!
//! In a test, a stand-in may take the place of the system's clock and threads for everything that one
//! thread runs. So the same code runs again step by step, as often as a seed asks for it. Outside of
//! tests these are the system's own, and nothing is looked up.

use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Returns the time of a clock that never goes back.
#[inline]
pub(crate) fn now() -> Instant {
    #[cfg(test)]
    if let Some(stand_in) = stand_in::current() {
        return stand_in.now();
    }
    Instant::now()
}

/// Returns how long ago `then` was.
#[inline]
pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// Returns processing time by the clock, in ms since 1970, UTC.
#[inline]
pub(crate) fn now_ms() -> i64 {
    #[cfg(test)]
    if let Some(stand_in) = stand_in::current() {
        return stand_in.now_ms();
    }
    jiff::Timestamp::now().as_millisecond()
}

/// Waits.
pub(crate) fn sleep(time: Duration) {
    #[cfg(test)]
    if let Some(stand_in) = stand_in::current() {
        return stand_in.sleep(time);
    }
    std::thread::sleep(time);
}

/// Work on a thread of its own, whose result is asked for now and then. Nobody waits for the thread
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct Errand<T> {
    answer: mpsc::Receiver<T>,
    /// Missing where a stand-in does the work.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Errand<T> {
    /// Begins the work.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, answer) = mpsc::channel();
        let work = move || sender.send(work()).unwrap_or(()); // nobody may wait any more
        #[cfg(test)]
        if let Some(stand_in) = stand_in::current() {
            stand_in.spawn(Box::new(work));
            return Errand {
                answer,
                thread: None,
            };
        }
        Errand {
            answer,
            thread: Some(std::thread::spawn(work)),
        }
    }

    /// Returns the result, once it is there.
    ///
    /// # Errors
    /// `bug` where the thread has ended without one; its panic is passed on.
    pub fn answer(&mut self) -> Option<Result<T>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let ended = self.thread.take().map(JoinHandle::join);
                if let Some(Err(panic)) = ended {
                    std::panic::resume_unwind(panic);
                }
                Some(Err(Error::bug("a thread ended without a result")))
            }
        }
    }
}

/// What takes the place of the system in a test.
#[cfg(test)]
pub(crate) mod stand_in {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    /// A clock, and what stands in for threads.
    pub(crate) trait StandIn {
        fn now(&self) -> Instant;
        fn now_ms(&self) -> i64;
        fn sleep(&self, time: Duration);
        fn spawn(&self, work: Box<dyn FnOnce() + Send>);
        /// Takes a line for a person.
        fn note(&self, line: &str);
    }

    thread_local! {
        static CURRENT: RefCell<Option<Rc<dyn StandIn>>> = const { RefCell::new(None) };
    }

    /// Returns the stand-in of this thread, if there is one.
    pub(crate) fn current() -> Option<Rc<dyn StandIn>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs `test` with a stand-in.
    pub(crate) fn with<T>(stand_in: Rc<dyn StandIn>, test: impl FnOnce() -> T) -> T {
        CURRENT.with_borrow_mut(|current| *current = Some(stand_in));
        let result = test();
        CURRENT.with_borrow_mut(|current| *current = None);
        result
    }
}
