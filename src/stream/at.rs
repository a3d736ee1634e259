//! Writes at offsets of the caller.
//!
//! They have no order among themselves, nor with what is accepted behind the position. But `flush` and its like wait for
//! all that were begun before, and return the error of one whose caller went away. A write that comes while somebody
//! waits begins after that, or the wait might never end.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use super::order::Waiting;
use super::{Caller, State, Stream};
use crate::error::same_error;

/// The writes that run now.
#[derive(Debug, Default)]
pub(super) struct WritesAt {
    running: u32,
    /// Somebody waits until none of them runs.
    awaited: bool,
}

impl Stream {
    /// One more write begins.
    pub(crate) async fn begin_write_at(self: &Arc<Self>) -> WriteAt {
        // Nearly always nobody waits.
        let begun = {
            let mut state = self.lock();
            (!state.writes_at.awaited).then(|| self.begun(&mut state))
        };
        match begun {
            Some(begun) => begun,
            None => {
                Waiting::new(self)
                    .until(|stream, caller| {
                        let mut state = stream.lock();
                        if state.writes_at.awaited {
                            return state.wait(caller);
                        }
                        Poll::Ready(stream.begun(&mut state))
                    })
                    .await
            }
        }
    }

    fn begun(self: &Arc<Self>, state: &mut State) -> WriteAt {
        state.writes_at.running += 1;
        WriteAt {
            stream: self.clone(),
            number: state.next_number(),
            error: None,
        }
    }

    /// Waits until no write at an offset runs that was begun before.
    pub(super) fn poll_writes_at(&self, state: &mut State, caller: &Caller<'_, '_>) -> Poll<()> {
        if state.writes_at.running == 0 {
            return Poll::Ready(());
        }
        state.writes_at.awaited = true;
        state.wait(caller)
    }

    /// The caller of the write was told of its error, so nobody else needs to be.
    pub(crate) fn told(&self, number: u64) {
        self.lock().told(number);
    }
}

/// A write at an offset that was begun and has not ended.
pub(crate) struct WriteAt {
    stream: Arc<Stream>,
    number: u64,
    error: Option<io::Error>,
}

impl WriteAt {
    /// Tells it from others.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// It has ended. Its error is left for others until its own caller has it.
    pub(crate) fn end<T>(mut self, result: &io::Result<T>) {
        self.error = result.as_ref().err().map(same_error);
    }
}

/// Also if it panicked, which is an error for whoever comes next if its caller went away.
impl Drop for WriteAt {
    fn drop(&mut self) {
        if thread::panicking() {
            self.error = Some(io::Error::other("a write at an offset panicked"));
        }
        self.stream.description().changed();
        let wakers = {
            let mut state = self.stream.lock();
            if let Some(error) = self.error.take() {
                state.leave_numbered(self.number, error);
            }
            state.writes_at.running -= 1;
            let last = state.writes_at.running == 0;
            if !last || !std::mem::take(&mut state.writes_at.awaited) {
                return;
            }
            state.waiters.take()
        };
        wakers.wake();
    }
}
