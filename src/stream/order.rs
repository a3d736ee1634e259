//! Changes that take a place in the order of a stream: reads and writes wait for those that came before.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Caller, Place, Stream};
use crate::backend::{self, Description};

/// A place among the waiters for the time of one call.
pub(crate) struct Waiting<'a> {
    stream: &'a Arc<Stream>,
    place: Place,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(stream: &'a Arc<Stream>) -> Waiting<'a> {
        Waiting {
            stream,
            place: stream.enter(),
        }
    }

    /// Polls `poll` until it is ready.
    pub(crate) fn until<T>(
        &mut self,
        mut poll: impl FnMut(&Arc<Stream>, &mut Caller<'_, '_>) -> Poll<T>,
    ) -> impl Future<Output = T> {
        poll_fn(move |cx: &mut Context<'_>| {
            poll(
                self.stream,
                &mut Caller { place: self.place, writer: self.place, cx },
            )
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.stream.leave(self.place);
    }
}

impl Stream {
    /// Performs `work` in its place in the order: after all that was accepted before, and before all that comes later,
    /// also if the caller goes away.
    pub(crate) async fn in_order<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Description) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        Waiting::new(self)
            .until(|stream, caller| stream.poll_take_place(caller))
            .await?;
        let stream = self.clone();
        let done = backend::change(self.description().place(), move || {
            // Whatever happens, those who wait behind this must go on.
            let end = EndOrder(&stream);
            let result = work(stream.description());
            stream.description().changed();
            drop(end);
            Outcome {
                stream,
                result: Some(result),
            }
        });
        let mut outcome = done.await;
        outcome
            .result
            .take()
            .expect("the job has put the result there")
    }

    fn poll_take_place(self: &Arc<Self>, caller: &Caller<'_, '_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        ready!(self.poll_facts(&mut state, caller))?;
        ready!(self.poll_settled(&mut state, caller))?;
        state.ordered = true;
        // From now on nothing that was read before is the answer to a read.
        self.description().changed();
        Poll::Ready(Ok(()))
    }
}

/// Lets those who wait go on.
struct EndOrder<'a>(&'a Stream);

impl Drop for EndOrder<'_> {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.0.lock();
            state.ordered = false;
            state.waiters.take()
        };
        wakers.wake();
    }
}

/// What came of the work. If nobody takes an error, it is kept for the next call on the file.
struct Outcome<T> {
    stream: Arc<Stream>,
    result: Option<io::Result<T>>,
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.result.take() {
            self.stream.lock().left_error.get_or_insert(error);
        }
    }
}
