//! One write at a time: files that are unbuffered, and those whose every write must reach them as it was made.
//!
//! A poll that is pending keeps a copy of its bytes. The next poll is answered by the finished write if its bytes agree;
//! if they do not, the earlier write counts as one that was cancelled and happened all the same.

use std::io::{self, IoSlice};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::{Poll, ready};

use super::write::within_limits;
use super::{Caller, MOST_INLINE, Position, State, Stream, has_position};
use crate::backend::{self, sys, trace};
use crate::waiters::Seat;
use sys::Facts;

/// The one write, and the answers of earlier ones.
#[derive(Debug, Default)]
pub(super) struct Single {
    /// A job writes.
    running: bool,
    /// For whom: the writer of the handle, if it is still there.
    owner: Option<Seat>,
    /// Writes that ended, and whose callers were not told.
    done: Vec<Done>,
}

/// A write that ended.
#[derive(Debug)]
struct Done {
    owner: Seat,
    /// What was written.
    bytes: Vec<u8>,
    result: io::Result<usize>,
}

impl Single {
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Takes the answer that waits for `owner`.
    fn take(&mut self, owner: Seat) -> Option<Done> {
        let index = self.done.iter().position(|done| done.owner == owner)?;
        Some(self.done.swap_remove(index))
    }

    /// Takes the error of a write, from whichever handle: its caller may have gone away.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        let index = self.done.iter().position(|done| done.result.is_err())?;
        self.done.swap_remove(index).result.err()
    }

    /// `owner` does something else: its last write counts as one that was cancelled.
    pub(super) fn forget(&mut self, owner: Seat) {
        self.done
            .retain(|done| done.owner != owner || done.result.is_err());
    }

    /// `owner` goes: its seat may soon be somebody else's. Returns the error that it was not told of.
    pub(super) fn leave(&mut self, owner: Seat) -> Option<io::Error> {
        if self.owner == Some(owner) {
            self.owner = None;
        }
        self.take(owner)?.result.err()
    }
}

impl Stream {
    /// Performs one write of the operating system with the bytes of `bufs`.
    pub(super) fn poll_write_single(
        self: &Arc<Self>,
        state: &mut State,
        facts: &Facts,
        caller: &Caller<'_, '_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Answer with the write that has ended, if it is the one that is asked for. If it is not, it was cancelled and
        // happened all the same; only its error is of interest.
        if let Some(done) = state.single.take(caller.writer)
            && (begins_with(bufs, &done.bytes) || done.result.is_err())
        {
            return Poll::Ready(done.result);
        }
        if state.single.is_running() {
            return state.wait(caller);
        }
        ready!(self.poll_in_order(state, caller))?;

        // Otherwise perform a new one, with bytes of its own.
        let bytes = gather(bufs, MOST_INLINE);
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let at = match state.position {
            _ if facts.append || !has_position(facts) => None,
            Position::Known(position) => {
                ready!(within_limits(position, bytes.len()))?;
                Some(position)
            }
            _ => unreachable!("only append mode leaves the position to the kernel"),
        };
        state.single.running = true;
        state.single.owner = Some(caller.writer);
        state.read.clear();
        let stream = self.clone();
        let append = facts.append;
        backend::spawn("write", self.description.place(), move || {
            stream.write_one(bytes, at, append);
        });
        state.wait(caller)
    }

    /// The job.
    fn write_one(&self, bytes: Vec<u8>, at: Option<u64>, append: bool) {
        let file = self.description.file();
        let result = panic::catch_unwind(AssertUnwindSafe(|| match at {
            Some(offset) => self.description.write_here(&bytes, offset),
            None => sys::write(file, &bytes),
        }));
        if let Ok(Err(error)) = &result {
            trace::failed(error);
        }
        self.description.changed();
        let (wakers, lingering) = {
            let mut state = self.lock();
            match (&result, at) {
                (Ok(Ok(n)), Some(offset)) => state.position = Position::Known(offset + *n as u64),
                (Ok(Ok(_)), None) if append => state.position = Position::Kernel,
                _ => {}
            }
            state.single.running = false;
            match (result, state.single.owner.take()) {
                (Ok(result), Some(owner)) => state.single.done.push(Done {
                    owner,
                    bytes,
                    result,
                }),
                // Its handle has gone; others may still hear of the error.
                (Ok(Err(error)), None) => {
                    if state.handles + state.closing == 0 {
                        trace::bytes_lost(self.description.path(), bytes.len(), Some(&error));
                    }
                    state.leave_error(error);
                }
                (Ok(Ok(_)), None) => {}
                (Err(panic), _) => state.panic = Some(panic),
            }
            let lingering = state.end_lingering();
            (state.waiters.take(), lingering)
        };
        wakers.wake();
        drop(lingering);
    }
}

/// Copies at most `most` bytes together.
pub(super) fn gather(bufs: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let len = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(most);
    let mut bytes = Vec::with_capacity(len);
    for buf in bufs {
        let n = buf.len().min(len - bytes.len());
        bytes.extend_from_slice(&buf[..n]);
    }
    bytes
}

/// Whether the bytes of `bufs` begin with `bytes`.
fn begins_with(bufs: &[IoSlice<'_>], mut bytes: &[u8]) -> bool {
    for buf in bufs {
        let n = buf.len().min(bytes.len());
        if buf[..n] != bytes[..n] {
            return false;
        }
        bytes = &bytes[n..];
    }
    bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_agree_across_any_split_of_the_buffers() {
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
        assert!(begins_with(&bufs, b""));
        assert!(begins_with(&bufs, b"abc"));
        assert!(begins_with(&bufs, b"abcd"));
        assert!(!begins_with(&bufs, b"abcde"));
        assert!(!begins_with(&bufs, b"abd"));
        assert_eq!(gather(&bufs, 3), b"abc");
    }
}
