//! Chunks made by several threads, taken in order by one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Arrivals, Chunk, Recipe};
use crate::error::Result;

/// What one thread works on; the vectors inside are used again.
struct Work<T> {
    chunk: Chunk,
    product: T,
}

/// Calls `make` for each chunk of the recipe in `threads` threads and `take` for each product
/// in the order of the chunks in this thread.
///
/// At most four chunks a thread and four more are underway. Each has a product from `new`, which
/// comes back to `make` as `take` left it.
///
/// # Errors
/// The first error of `take`, which ends the run.
pub fn in_order<T: Send>(
    recipe: &Recipe,
    threads: usize,
    new: impl Fn() -> T,
    make: impl Fn(&Chunk, &mut T) + Sync,
    take: impl FnMut(&mut T) -> Result<()>,
) -> Result<()> {
    let (free_sender, free) = channel();
    for _ in 0..4 * threads + 4 {
        let work = Work {
            chunk: Chunk::default(),
            product: new(),
        };
        free_sender.send(work).unwrap_or(()); // the receiver is right here
    }
    let plan = Mutex::new((Arrivals::new(recipe), free));
    let (done_sender, done) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let done_sender = done_sender.clone();
            let (plan, make) = (&plan, &make);
            scope.spawn(move || {
                while let Some(mut work) = next(plan) {
                    // A chunk that never comes would be waited for.
                    let make = AssertUnwindSafe(|| make(&work.chunk, &mut work.product));
                    let made = catch_unwind(make).map(|()| work);
                    if made.is_err() | done_sender.send(made).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done_sender);
        take_in_order(done, free_sender, take)
    })
}

/// Returns the next chunk once a place for it is free; `None` after the last one, and if the
/// receiver is dropped.
fn next<T>(plan: &Mutex<(Arrivals, Receiver<Work<T>>)>) -> Option<Work<T>> {
    let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
    let (arrivals, free) = &mut *plan;
    let mut work = free.recv().ok()?;
    arrivals.next_into(&mut work.chunk).then_some(work)
}

/// Hands the products over in order; a panic of a thread goes on here. Owns both ends, so that the threads end when it returns.
fn take_in_order<T>(
    done: Receiver<thread::Result<Work<T>>>,
    free: Sender<Work<T>>,
    mut take: impl FnMut(&mut T) -> Result<()>,
) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut expected = 0;
    for made in done {
        let work = made.unwrap_or_else(|panic| resume_unwind(panic));
        early.insert(work.chunk.number, work);
        while let Some(mut work) = early.remove(&expected) {
            take(&mut work.product)?;
            expected += 1;
            free.send(work).unwrap_or(()); // no thread is left to use it
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::recipe::tests::recipe;
    use super::*;

    #[test]
    fn a_thread_that_panics_ends_the_run() {
        let recipe = Recipe {
            rate: 10_000.0,
            ..recipe()
        };
        let mut chunk = Chunk::default();
        let mut arrivals = Arrivals::new(&recipe);
        let chunks = std::iter::from_fn(|| arrivals.next_into(&mut chunk).then_some(()));
        assert!(chunks.count() > 20, "more than there are places for");
        let run = || {
            let make = |chunk: &Chunk, _: &mut ()| assert_ne!(chunk.number, 1, "broken");
            in_order(&recipe, 2, || (), make, |()| Ok(()))
        };
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}
