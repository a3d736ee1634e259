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
use crate::backend::{self, sys};
use sys::Facts;

/// The one write.
#[derive(Debug)]
pub(super) enum Single {
    /// There is none.
    None,
    /// A job performs it.
    Running,
    /// It ended, and its caller was not told.
    Done {
        /// What was written.
        bytes: Vec<u8>,
        result: io::Result<usize>,
    },
}

impl Single {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Single::Running)
    }

    /// Takes the error of a write whose caller went away.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        match std::mem::replace(self, Single::None) {
            Single::Done {
                result: Err(error), ..
            } => Some(error),
            other => {
                *self = other;
                None
            }
        }
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
        if state.single.is_running() {
            return state.wait(caller);
        }
        ready!(self.poll_in_order(state, caller))?;

        // Answer with the write that has ended, if it is the one that is asked for.
        if let Single::Done { bytes, result } = std::mem::replace(&mut state.single, Single::None) {
            if begins_with(bufs, &bytes) || result.is_err() {
                return Poll::Ready(result);
            }
        }

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
        state.single = Single::Running;
        state.read.clear();
        let stream = self.clone();
        let append = facts.append;
        backend::spawn(self.description.place(), move || {
            stream.write_one(bytes, at, append)
        });
        state.wait(caller)
    }

    /// The job.
    fn write_one(&self, bytes: Vec<u8>, at: Option<u64>, append: bool) {
        let file = self.description.file();
        let result = panic::catch_unwind(AssertUnwindSafe(|| match at {
            Some(offset) => sys::write_here(file, &bytes, offset),
            None => sys::write(file, &bytes),
        }));
        self.description.changed();
        let (wakers, lingering) = {
            let mut state = self.lock();
            match (&result, at) {
                (Ok(Ok(n)), Some(offset)) => state.position = Position::Known(offset + *n as u64),
                (Ok(Ok(_)), None) if append => state.position = Position::Kernel,
                _ => {}
            }
            state.single = match result {
                Ok(result) => Single::Done { bytes, result },
                Err(panic) => {
                    state.panic = Some(panic);
                    Single::None
                }
            };
            let lingering = if state.handles == 0 {
                state.lingering.take()
            } else {
                None
            };
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
