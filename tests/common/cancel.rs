//! Futures dropped before they are done, and wakers that are watched.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls the future once and drops it: its output, or `None` if it was pending.
pub async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    poll_n(future, 1).await
}

/// Polls the future at most `polls` times, waiting to be woken between two polls, and drops it: its output, or `None`
/// if it was still pending. With 0 the future is dropped without having been polled.
pub async fn poll_n<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    if polls == 0 {
        return None;
    }
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

/// One poll from outside any runtime; nobody is told when the future could go on.
pub fn poll_now<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that does nothing but count.
#[derive(Clone, Default)]
pub struct CountingWaker(Arc<Count>);

#[derive(Default)]
struct Count(AtomicUsize);

impl CountingWaker {
    pub fn new() -> CountingWaker {
        CountingWaker::default()
    }

    /// A waker that counts here.
    pub fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }

    /// How often it was woken so far.
    pub fn wakes(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
