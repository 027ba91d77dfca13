//! When a client took the last part of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::time::Instant;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// When a client asked for a part of its answer, or its request began.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Progress(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a body of which this is the progress: the connection asks for the next part when it has
    /// sent the one before.
    pub(crate) fn watch(self, body: Body) -> Watched {
        Watched {
            body,
            progress: self,
        }
    }
}

/// A body that says when it is asked for a part.
pub(super) struct Watched {
    body: Body,
    progress: Progress,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = Pin::new(&mut self.body).poll_frame(context);
        if part.is_ready() {
            let last = &self.progress.0;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        part
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
