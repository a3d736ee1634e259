//! Changes that take a place in the order of a stream: reads and writes wait for those that came before.

use std::future::{Future, poll_fn};
use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Caller, Position, Stream, has_position};
use crate::backend::{self, Description, sys};
use crate::error::same_error;
use crate::fairness;
use crate::sync::{AtomicU64, Ordering};
use crate::waiters::Seat;

/// A seat among the waiters for the time of one call.
pub(crate) struct Waiting<'a> {
    stream: &'a Arc<Stream>,
    seat: Seat,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(stream: &'a Arc<Stream>) -> Waiting<'a> {
        Waiting {
            stream,
            seat: stream.enter(),
        }
    }

    /// Polls `poll` until it is ready.
    pub(crate) fn until<T>(
        &mut self,
        mut poll: impl FnMut(&Arc<Stream>, &mut Caller<'_, '_>) -> Poll<T>,
    ) -> impl Future<Output = T> {
        let mut waited = false;
        poll_fn(move |cx: &mut Context<'_>| {
            ready!(fairness::poll_turn(&mut waited, cx));
            let mut caller = Caller {
                seat: self.seat,
                writer: self.seat,
                cx,
            };
            let result = poll(self.stream, &mut caller);
            waited = result.is_pending();
            result
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.stream.leave(self.seat);
    }
}

impl Stream {
    /// Performs `work` in its place in the order: after all that was accepted before, and before all that comes later,
    /// also if the caller goes away.
    pub(crate) async fn in_order<T: Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce(&Description) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.take_turn(name, work, true).await
    }

    /// The same for a question: if nobody is there to hear its error, nobody needs to.
    pub(crate) async fn ask_in_order<T: Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce(&Description) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.take_turn(name, work, false).await
    }

    /// Puts the kernel's position where ours is, and follows it from then on: for others who share it.
    pub(crate) async fn hand_position_over(self: &Arc<Self>) -> io::Result<()> {
        let stream = self.clone();
        self.in_order("hand position over", move |description| {
            // Reads and seeks wait for this, so nobody moves it meanwhile.
            let Position::Known(position) = stream.lock().position else {
                return Ok(());
            };
            if description.facts().is_some_and(has_position) {
                sys::seek(description.file(), SeekFrom::Start(position))?;
                stream.lock().position = Position::Kernel;
            }
            Ok(())
        })
        .await
    }

    /// Copies up to `len` bytes from an offset in `source` to one in this file, in its place in the order. An error comes
    /// beside the number of bytes that were copied before it.
    pub(crate) async fn copy_in_order(
        self: &Arc<Self>,
        source: Arc<Description>,
        read_at: u64,
        write_at: u64,
        len: u64,
    ) -> (u64, io::Result<()>) {
        let copied = Arc::new(AtomicU64::new(0));
        let count = copied.clone();
        let result = self.in_order("copy", move |target| {
            let (n, result) = source.copy_range(read_at, target, write_at, len);
            count.store(n, Ordering::Relaxed);
            result
        });
        let result = result.await;
        (copied.load(Ordering::Relaxed), result)
    }

    async fn take_turn<T: Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce(&Description) -> io::Result<T> + Send + 'static,
        is_change: bool,
    ) -> io::Result<T> {
        let number = Waiting::new(self)
            .until(|stream, caller| stream.poll_take_place(caller))
            .await?;
        let stream = self.clone();
        let done = backend::change(name, self.description().place(), move || {
            // Whatever happens, those who wait behind this must go on.
            let mut end = EndOrder {
                stream: &stream,
                number,
                error: None,
            };
            let result = work(stream.description());
            if is_change {
                end.error = result.as_ref().err().map(same_error);
                stream.description().changed();
            }
            drop(end);
            result
        });
        let result = done.await;
        // The caller is there after all, so nobody else needs to be told.
        if result.is_err() {
            self.told(number);
        }
        result
    }

    fn poll_take_place(self: &Arc<Self>, caller: &Caller<'_, '_>) -> Poll<io::Result<u64>> {
        let mut state = self.lock();
        ready!(self.poll_facts(&mut state, caller))?;
        ready!(self.poll_writes_at(&mut state, caller));
        ready!(self.poll_settled(&mut state, caller))?;
        state.ordered = true;
        state.forget_answers();
        // From now on nothing that was read before is the answer to a read.
        self.description().changed();
        Poll::Ready(Ok(state.next_number()))
    }
}

/// Lets those who wait go on, and leaves an error for the next call, in case its own caller has gone away.
struct EndOrder<'a> {
    stream: &'a Stream,
    number: u64,
    error: Option<io::Error>,
}

impl Drop for EndOrder<'_> {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.stream.lock();
            state.ordered = false;
            if let Some(error) = self.error.take() {
                state.leave_numbered(self.number, error);
            }
            state.waiters.take()
        };
        wakers.wake();
    }
}
