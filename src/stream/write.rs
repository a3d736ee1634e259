//! Writing behind.
//!
//! A write copies its bytes into a bounded buffer and is done. The first one calls a job, so the bytes are on their way at
//! once; while the job writes, later ones gather in a second buffer, and the job takes that when it comes back.
//!
//! When a write of the operating system fails, the job leaves, and everything that is not written stays: the tail. The
//! next call on the file returns the error; each later one first sends a job to try the tail again.

use std::io::{self, IoSlice};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::{Poll, ready};

use super::buffer::{Buffer, SMALL};
use super::{Caller, Locked, MOST_INLINE, Position, State, Stream};
use crate::backend::{self, sys, trace};
use crate::error::same_error;
use sys::Facts;

/// The most that gathers while a write runs.
const GATHER: usize = 256 * 1024;

/// In append mode, a write up to this size is never split.
const WHOLE: usize = 64 * 1024;

/// The state of writing behind.
#[derive(Debug, Default)]
pub(super) struct WriteBehind {
    phase: Phase,
    /// What the job writes, or the beginning of the tail. The job holds it while it writes.
    front: Buffer,
    /// How much of the front is written.
    written: usize,
    /// How many bytes the job holds that are not written.
    taken: usize,
    /// What was accepted after that.
    gather: Buffer,
    /// A writer waits for room.
    wanted: bool,
    /// Where the first unwritten byte goes.
    start: u64,
    /// In append mode: the position before the first of them, as long as none of them is written.
    before: Option<Position>,
    /// How often a tail may still be tried again although nobody asks.
    chances: u32,
    /// Why the tail could not be written when that was tried last, for whoever closes although others were told.
    reason: Option<io::Error>,
}

/// What becomes of accepted bytes.
#[derive(Debug, Default)]
enum Phase {
    /// There are none.
    #[default]
    Idle,
    /// A job writes them.
    Running {
        /// They are a tail: nothing is accepted until it is written.
        retry: bool,
    },
    /// They could not be written. The error is there until somebody was told.
    Failed(Option<io::Error>),
}

impl WriteBehind {
    pub(super) fn has_unwritten(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Bytes that are accepted and not written.
    fn unwritten(&self) -> usize {
        self.taken + self.front.len().saturating_sub(self.written) + self.gather.len()
    }

    /// Gives memory back that nobody uses.
    pub(super) fn release(&mut self) {
        if let Phase::Idle = self.phase {
            self.front = Buffer::default();
            self.gather = Buffer::default();
        }
    }

    pub(super) fn holds_any(&self) -> bool {
        self.front.capacity() > 0 || self.gather.capacity() > 0
    }

    /// Gives the tail up, and says how long it was.
    fn give_up(&mut self) -> usize {
        let tail = self.unwritten();
        self.front.bytes.clear();
        self.gather.bytes.clear();
        self.written = 0;
        self.phase = Phase::Idle;
        tail
    }

    /// Makes room for more bytes, and says for how many.
    fn room(&mut self, wanted: usize, most: usize) -> usize {
        let len = self.gather.len();
        if len + wanted > self.gather.capacity() && self.gather.capacity() < most {
            // Grow in steps, so that a few small writes do not take a large buffer.
            let enough = (len + wanted).max(self.gather.capacity() * 4).max(1024);
            self.gather.grow(enough.min(most));
        }
        self.gather.capacity().min(most).saturating_sub(len)
    }
}

impl Stream {
    /// Accepts bytes from `bufs` for the position, and moves it. Pending means that nothing was accepted.
    pub(super) fn poll_write_behind(
        self: &Arc<Self>,
        state: &mut State,
        facts: &Facts,
        caller: &Caller<'_, '_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_in_order(state, caller))?;
        if backend::is_ending() {
            return state.wait(caller);
        }
        match state.write.phase {
            Phase::Running { retry: false } => {}
            // A failure is told, and a tail written, before anything new is accepted.
            _ => ready!(self.poll_written(state, caller))?,
        }
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }

        // Find out how much can be accepted.
        let most = self.buffering.size.unwrap_or(GATHER);
        let take = if facts.append && wanted <= WHOLE {
            // Whole or not at all.
            if state.write.room(wanted, most.max(wanted)) < wanted {
                if state.write.gather.len() > 0 {
                    state.write.wanted = true;
                    return state.wait(caller);
                }
                state.write.gather.grow_unasked(wanted);
            }
            wanted
        } else {
            let room = state.write.room(wanted.min(MOST_INLINE), most);
            if room == 0 {
                state.write.wanted = true;
                return state.wait(caller);
            }
            wanted.min(room).min(MOST_INLINE)
        };
        let take = match (facts.append, state.position) {
            (true, position) => {
                if let Phase::Idle = state.write.phase {
                    state.write.before = Some(position);
                }
                state.position = Position::Kernel;
                take
            }
            (false, Position::Known(position)) => {
                let take = ready!(within_limits(position, take))?;
                if let Phase::Idle = state.write.phase {
                    state.write.start = position;
                }
                state.position = Position::Known(position + take as u64);
                take
            }
            (false, _) => unreachable!("only append mode leaves the position to the kernel"),
        };

        // Accept it, and see to it that it is on its way.
        let mut left = take;
        for buf in bufs {
            let n = buf.len().min(left);
            state.write.gather.bytes.extend_from_slice(&buf[..n]);
            left -= n;
        }
        state.read.overwritten();
        state.touched = true;
        self.list_idle(state);
        if let Phase::Idle = state.write.phase {
            self.start_writing(state, false);
        }
        Poll::Ready(Ok(take))
    }

    /// Waits until all that was accepted is written. Returns the error of the job, or tries the tail again if the
    /// error was told before.
    pub(super) fn poll_written(
        self: &Arc<Self>,
        state: &mut State,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<()>> {
        match &mut state.write.phase {
            Phase::Idle => return Poll::Ready(Ok(())),
            Phase::Running { .. } => {}
            Phase::Failed(error) => match error.take() {
                Some(error) => return Poll::Ready(Err(error)),
                None => self.start_writing(state, true),
            },
        }
        state.wait(caller)
    }

    /// Waits for the job, tries a tail once more, and gives it up if that fails and this is its last handle: for closing.
    pub(crate) fn poll_written_or_given_up(
        self: &Arc<Self>,
        tried: &mut bool,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        ready!(self.poll_writes_at(&mut state, caller));
        if state.ordered || state.single.is_running() || state.write.is_running() {
            return state.wait(caller);
        }
        let mut failed = None;
        if let Phase::Failed(error) = &mut state.write.phase {
            if !std::mem::replace(tried, true) {
                self.start_writing(&mut state, true);
                return state.wait(caller);
            }
            let reason = error.take().or_else(|| state.write.reason.take());
            failed = Some(reason.unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
            if state.handles == 0 && state.closing == 1 {
                state.write.give_up();
            }
        }
        state.rethrow();
        let left = state
            .take_left_error()
            .or_else(|| state.single.take_error());
        Poll::Ready(failed.or(left).map_or(Ok(()), Err))
    }

    /// Gives the tail up, and moves the position back to its start.
    pub(crate) fn poll_discard(&self, caller: &Caller<'_, '_>) -> Poll<u64> {
        let mut state = self.lock();
        ready!(self.poll_quiet(&mut state, caller));
        if let Phase::Idle = state.write.phase {
            return Poll::Ready(0);
        }
        let tail = state.write.give_up() as u64;
        if let Some(before) = state.write.before.take() {
            state.position = before;
        } else if let Position::Known(_) = state.position {
            state.position = Position::Known(state.write.start);
        }
        Poll::Ready(tail)
    }

    /// Sends a job for a tail of which nobody will hear again.
    pub(super) fn retry(self: &Arc<Self>, state: &mut State) {
        state.write.chances = 1;
        if let Phase::Failed(_) = state.write.phase {
            state.write.chances = 0;
            self.start_writing(state, true);
        }
    }

    /// Starts the job.
    fn start_writing(self: &Arc<Self>, state: &mut State, retry: bool) {
        state.write.phase = Phase::Running { retry };
        let stream = self.clone();
        backend::spawn_accepted("write behind", self.description.place(), move || {
            stream.write_accepted();
        });
    }

    /// The job: writes what was accepted, and what is accepted meanwhile.
    fn write_accepted(self: Arc<Self>) {
        let append = self.description.facts().is_some_and(|facts| facts.append);
        let mut state = self.lock();
        loop {
            // Take what waits; when nothing does, the work is done.
            let write = &mut state.write;
            let made_room = write.written == write.front.len();
            if made_room {
                write.front.bytes.clear();
                write.written = 0;
                std::mem::swap(&mut write.front, &mut write.gather);
            }
            if write.front.len() == 0 {
                write.phase = Phase::Idle;
                return self.end_writing(state);
            }
            // Writers that waited for room have it now. They are woken by a job that holds nothing, because whoever is
            // woken may end the process on this very thread.
            if made_room && std::mem::take(&mut write.wanted) {
                let wakers = state.waiters.take();
                drop(state);
                let place = self.description.place();
                backend::spawn_accepted("write behind", place, move || self.write_accepted());
                return wakers.wake();
            }
            let write = &mut state.write;
            let front = std::mem::take(&mut write.front);
            let (written, start) = (write.written, write.start);
            write.taken = front.len() - written;
            write.written = 0;
            drop(state);

            // Write it.
            backend::still_moving();
            let bytes = &front.bytes[written..];
            let file = self.description.file();
            let result = panic::catch_unwind(AssertUnwindSafe(|| match append {
                true => sys::write(file, bytes),
                false => self.description.write_at(bytes, start),
            }));

            // Take note of what came of it, before anything else can happen.
            self.description.changed();
            state = self.lock();
            let write = &mut state.write;
            write.front = front;
            write.written = written;
            write.taken = 0;
            let failure = match result {
                Ok(Ok(n)) if n > 0 => {
                    write.written += n;
                    write.before = None;
                    write.start += n as u64;
                    backend::progress();
                    None
                }
                Ok(Ok(_)) => Some(Some(io::ErrorKind::WriteZero.into())),
                Ok(Err(error)) => Some(Some(error)),
                Err(panic) => {
                    state.panic = Some(panic);
                    Some(None)
                }
            };
            if let Some(error) = failure {
                if state.write.chances > 0 {
                    state.write.chances -= 1;
                    continue;
                }
                let kept = state.write.unwritten();
                trace::write_failed(self.description.path(), kept, error.as_ref());
                if let Some(error) = &error {
                    trace::failed(error);
                }
                state.write.reason = error.as_ref().map(same_error);
                state.write.phase = Phase::Failed(error);
                return self.end_writing(state);
            }

            // Step aside if others wait for this thread.
            if state.write.unwritten() > 0 && backend::somebody_waits() {
                drop(state);
                let place = self.description.place();
                return backend::spawn_accepted("write behind", place, move || {
                    self.write_accepted();
                });
            }
        }
    }

    /// The job leaves. If nobody has the file any more, what could not be written is given up.
    fn end_writing(&self, mut state: Locked<'_>) {
        let lingering = state.end_lingering();
        if lingering.is_some() {
            if let Phase::Failed(error) = &state.write.phase {
                let lost = state.write.unwritten();
                trace::bytes_lost(self.description.path(), lost, error.as_ref());
            }
            state.write.give_up();
        }
        let wakers = state.waiters.take();
        drop(state);
        wakers.wake();
        drop(lingering);
    }
}

/// How much of `len` bytes may stand at `position`.
pub(super) fn within_limits(position: u64, len: usize) -> Poll<io::Result<usize>> {
    match sys::LARGEST_OFFSET.saturating_sub(position) {
        0 => Poll::Ready(Err(sys::file_too_large())),
        room => Poll::Ready(Ok(len.min(usize::try_from(room).unwrap_or(usize::MAX)))),
    }
}

/// A buffer without a charge is small enough to be kept while nothing is written.
const _: () = assert!(SMALL <= GATHER);
