//! One answer on its way from a job to whoever asked.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::sync::Mutex;

/// A place where a job leaves an answer, and one task waits for it.
pub(crate) struct Answer<T> {
    state: Mutex<(Option<T>, Option<Waker>)>,
}

impl<T> Default for Answer<T> {
    fn default() -> Answer<T> {
        Answer {
            state: Mutex::new((None, None)),
        }
    }
}

impl<T> Answer<T> {
    /// The answer, if it is there.
    pub(crate) fn take(&self) -> Option<T> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .take()
    }

    /// Leaves the answer.
    pub(crate) fn give(&self, answer: T) {
        let waker = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = Some(answer);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The answer is handed over once.
impl<T> Future for &Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                let replaced = state.1.replace(cx.waker().clone());
                // Dropping a waker may drop its task: not under the lock.
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }
}

/// Whoever waits for an answer. When that goes, nobody is woken any more.
pub(crate) struct Asked<T>(Arc<Answer<T>>);

impl<T> Asked<T> {
    /// A question, and where its answer is to be left.
    pub(crate) fn new() -> (Asked<T>, Arc<Answer<T>>) {
        let answer = Arc::<Answer<T>>::default();
        (Asked(answer.clone()), answer)
    }
}

impl<T> Future for Asked<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut &*self.0).poll(cx)
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = state.1.take();
        // Dropping a waker may drop its task: not under the lock.
        drop(state);
        drop(waker);
    }
}

impl<T> fmt::Debug for Asked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
