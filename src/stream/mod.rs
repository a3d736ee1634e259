//! The stream behind a file: one position, what is read ahead of it, what is written behind it.
//!
//! A [`Stream`] belongs to a handle and its clones. All of its state stands in one [`State`] behind one lock, which is
//! never held across a system call. Whoever cannot go on waits in [`Waiters`]; whoever changes the state wakes them.
//!
//! * [`read`] reads ahead, [`write`] writes behind, [`single`] is one write at a time for unbuffered files, [`special`]
//!   is for what has no position. [`order`] keeps changes like `set_len` in their place between reads and writes, and
//!   [`at`] counts writes at offsets, which have no place.
//! * Jobs on the pool hold the stream, so it outlives its handles until all that was accepted is written.

mod at;
mod buffer;
mod idle;
mod order;
mod read;
mod single;
mod special;
mod write;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice, SeekFrom};
use std::ops::{Deref, DerefMut};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::backend::{self, Description, sys, trace};
use crate::settle::Lingering;
use crate::sync::{AtomicBool, Instant, Mutex, MutexGuard, Ordering};
use crate::waiters::{Seat, Waiters};

pub(crate) use buffer::buffered;
pub(crate) use order::Waiting;
pub(crate) use read::Lent;

use at::WritesAt;
use read::ReadAhead;
use single::Single;
use sys::{Facts, Kind};
use write::WriteBehind;

/// No poll copies more than this, however large the caller's buffer is.
const MOST_INLINE: usize = 256 * 1024;

/// An answer of the kernel that nobody took is not believed any more after this time.
const OLD: Duration = Duration::from_secs(1);

/// How a file is to be buffered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffering {
    /// Every write is one write of the operating system, and nothing is read ahead.
    pub(crate) unbuffered: bool,
    /// The most that is read ahead, and the most that one buffer of write-behind holds.
    pub(crate) size: Option<usize>,
}

/// One position on an open file, shared by a handle and its clones.
pub(crate) struct Stream {
    description: Arc<Description>,
    buffering: Buffering,
    state: Mutex<State>,
    /// Wakes everybody who waits; the reactor holds it for special files.
    waker: OnceLock<Waker>,
    /// It had more than one handle at some time.
    shared: AtomicBool,
}

/// All that changes about a stream.
struct State {
    position: Position,
    /// What was read ahead.
    read: ReadAhead,
    /// What was accepted and is not written yet.
    write: WriteBehind,
    /// The write of an unbuffered file.
    single: Single,
    /// The question that a job asks the kernel now.
    asking: Option<Question>,
    /// The answer to [`Question::End`].
    end: Option<Box<End>>,
    /// A question could not be answered.
    asked_in_vain: Option<io::Error>,
    /// An operation that takes a place in the order runs.
    ordered: bool,
    /// Writes at offsets.
    writes_at: WritesAt,
    /// Errors of operations whose callers were not told yet, and may have gone away, by number.
    left_errors: BTreeMap<u64, io::Error>,
    /// The last number that an operation got.
    number: u64,
    /// The panic of a job that nobody awaited directly.
    panic: Option<Box<dyn Any + Send>>,
    waiters: Waiters,
    /// Handles that share this stream.
    handles: usize,
    /// Handles that are being closed, and will deal with what cannot be written.
    closing: usize,
    /// Present once the last handle is gone with bytes on their way.
    lingering: Option<Box<Lingering>>,
    /// Used since the last look for idle buffers.
    touched: bool,
    /// In the list of those who may hold idle buffers.
    listed: bool,
}

/// Where the next read or write happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Not asked yet: somebody else opened the file.
    Unknown,
    Known(u64),
    /// Where the kernel left it after a write in append mode, or after somebody else who shares its position.
    Kernel,
}

/// What a stream may have to ask the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// What kind of file is it?
    Facts,
    /// Where is the kernel's position?
    Position,
    /// Where does the file end?
    End,
}

/// The state, locked. Wakers that were replaced meanwhile are dropped after it is released, and what a ring is to do
/// begins then.
struct Locked<'a>(Option<MutexGuard<'a, State>>);

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_deref().expect("it is locked until it is dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0
            .as_deref_mut()
            .expect("it is locked until it is dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let replaced = std::mem::take(&mut self.waiters.replaced);
        let beginning = self.read.beginning.take();
        self.0 = None;
        drop(replaced);
        if let Some(filling) = beginning {
            filling.begin();
        }
    }
}

/// Where the file ended when the kernel was asked.
struct End {
    end: u64,
    changes: u64,
    at: Instant,
}

impl End {
    /// Whether it is the answer to the seek that polls now. If it was another's, who went away before the answer came, it
    /// is as old as that, and the file of others may have grown since.
    fn is_current(&self, description: &Description) -> bool {
        self.changes == description.changes() && self.at.elapsed() < OLD
    }
}

/// Who polls: its seat among the waiters, and its task.
pub(crate) struct Caller<'a, 'b> {
    pub(crate) seat: Seat,
    /// The seat of the writer of its handle, which tells one handle from another.
    pub(crate) writer: Seat,
    pub(crate) cx: &'a mut Context<'b>,
}

impl State {
    /// Makes the caller wait for the next change.
    fn wait<T>(&mut self, caller: &Caller<'_, '_>) -> Poll<T> {
        self.waiters.wait(caller.seat, caller.cx.waker());
        Poll::Pending
    }

    /// Continues the panic of a job in the task that comes next.
    fn rethrow(&mut self) {
        if let Some(panic) = self.panic.take() {
            panic::resume_unwind(panic);
        }
    }

    /// A number for an operation that may leave an error.
    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Leaves an error for whoever comes next.
    fn leave_error(&mut self, error: io::Error) {
        let number = self.next_number();
        self.leave_numbered(number, error);
    }

    /// The same with the number that the operation has got.
    fn leave_numbered(&mut self, number: u64, error: io::Error) {
        self.left_errors.insert(number, error);
    }

    /// The operation's own caller was told of its error.
    fn told(&mut self, number: u64) {
        self.left_errors.remove(&number);
    }

    /// Takes the first error that was left.
    fn take_left_error(&mut self) -> Option<io::Error> {
        Some(self.left_errors.pop_first()?.1)
    }

    /// Something else than a seek or a read is done: what was found for one that was cancelled is not the answer to the
    /// next.
    fn forget_answers(&mut self) {
        self.end = None;
        self.read.forget_outcome();
    }

    /// Gives the seats of a handle up; its wakers are returned to be dropped outside the lock.
    fn leave(&mut self, seats: [Seat; 3]) -> [Option<Waker>; 3] {
        if let Some(error) = seats.iter().find_map(|seat| self.single.leave(*seat)) {
            self.leave_error(error);
        }
        seats.map(|seat| self.waiters.leave(seat))
    }

    /// Ends the time for which others wait for a dropped file, if nobody is left who has it.
    fn end_lingering(&mut self) -> Option<Box<Lingering>> {
        if self.handles == 0 && self.closing == 0 {
            self.lingering.take()
        } else {
            None
        }
    }

    /// Whether accepted bytes, or a write under way, are not yet with the operating system.
    fn has_unwritten(&self) -> bool {
        self.write.has_unwritten() || self.single.is_running()
    }
}

impl Stream {
    pub(crate) fn new(description: Arc<Description>, buffering: Buffering) -> Arc<Stream> {
        // A file that was just opened stands at its beginning; one that somebody else opened stands somewhere.
        let position = match description.facts() {
            Some(_) => Position::Known(0),
            None => Position::Unknown,
        };
        Stream::standing(description, buffering, position)
    }

    /// A stream of a file that nobody else has, which stands at `position`.
    pub(crate) fn new_at(description: Arc<Description>, position: u64) -> Arc<Stream> {
        Stream::standing(description, Buffering::default(), Position::Known(position))
    }

    /// Another position on the same open file, with buffers of its own.
    pub(crate) fn cursor(&self, position: u64) -> io::Result<Arc<Stream>> {
        if position > sys::LARGEST_OFFSET {
            return Err(invalid_seek());
        }
        let facts = self.description.facts();
        if facts.is_some_and(|facts| !has_position(facts)) {
            return Err(sys::not_seekable());
        }
        Ok(Stream::standing(
            self.description.clone(),
            self.buffering,
            Position::Known(position),
        ))
    }

    fn standing(
        description: Arc<Description>,
        buffering: Buffering,
        position: Position,
    ) -> Arc<Stream> {
        Arc::new(Stream {
            description,
            buffering,
            state: Mutex::new(State {
                position,
                read: ReadAhead::default(),
                write: WriteBehind::default(),
                single: Single::default(),
                asking: None,
                end: None,
                asked_in_vain: None,
                ordered: false,
                writes_at: WritesAt::default(),
                left_errors: BTreeMap::new(),
                number: 0,
                panic: None,
                waiters: Waiters::default(),
                handles: 0,
                closing: 0,
                lingering: None,
                touched: false,
                listed: false,
            }),
            waker: OnceLock::new(),
            shared: AtomicBool::new(false),
        })
    }

    pub(crate) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    fn lock(&self) -> Locked<'_> {
        Locked(Some(
            self.state.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// Reserves a seat among the waiters.
    pub(crate) fn enter(&self) -> Seat {
        self.lock().waiters.enter()
    }

    /// Gives a seat among the waiters up.
    pub(crate) fn leave(&self, seat: Seat) {
        let waker = self.lock().waiters.leave(seat);
        drop(waker);
    }

    /// One more handle shares the stream; gives it a seat for each of its three roles.
    pub(crate) fn attach(&self) -> [Seat; 3] {
        self.description.enter();
        let mut state = self.lock();
        state.handles += 1;
        if state.handles > 1 {
            self.shared.store(true, Ordering::Relaxed);
        }
        [(); 3].map(|()| state.waiters.enter())
    }

    /// A handle is dropped. What it and its clones accepted is still written, and others can wait for that.
    pub(crate) fn drop_handle(self: &Arc<Self>, seats: [Seat; 3]) {
        self.description.leave();
        let mut state = self.lock();
        let wakers = state.leave(seats);
        state.handles -= 1;
        if state.handles == 0 && state.closing == 0 && state.has_unwritten() {
            let facts = self.description.facts();
            state.lingering = facts.map(|facts| Box::new(Lingering::begin(facts.identity)));
            // A tail that could not be written gets one more chance.
            self.retry(&mut state);
        }
        drop(state);
        drop(wakers);
    }

    /// A handle begins to close: it no longer counts as one, but sees to what it and its clones accepted. `true` if it
    /// was the last one of the description.
    pub(crate) fn close_handle(&self, seats: [Seat; 3]) -> bool {
        let last = self.description.leave();
        let mut state = self.lock();
        let wakers = state.leave(seats);
        state.handles -= 1;
        state.closing += 1;
        drop(state);
        drop(wakers);
        last
    }

    /// The handle has done all it could about what was accepted.
    pub(crate) fn handle_closed(&self) {
        self.lock().closing -= 1;
    }

    /// Whether somebody else may move the position.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// Makes others wait for what this stream has not written, while it is being closed.
    pub(crate) fn linger(&self) -> Option<Lingering> {
        let unwritten = self.lock().has_unwritten();
        let facts = self.description.facts().filter(|_| unwritten)?;
        Some(Lingering::begin(facts.identity))
    }

    /// Whether it reads on from a position that the kernel does not know.
    pub(crate) fn has_position_of_its_own(&self) -> bool {
        let known = matches!(self.lock().position, Position::Known(_));
        known && self.description.facts().is_some_and(has_position)
    }

    /// The description, if no other stream has it.
    pub(crate) fn into_description(self) -> Option<Description> {
        Arc::into_inner(self.description)
    }

    /// What kind of file it is; asked in the first operation on a file that somebody else opened.
    fn poll_facts(
        self: &Arc<Self>,
        state: &mut State,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<Facts>> {
        state.rethrow();
        if let Some(facts) = self.description.facts() {
            if state.position == Position::Unknown {
                state.position = if self.description.shares_position() && has_position(facts) {
                    Position::Kernel
                } else {
                    Position::Known(facts.position)
                };
            }
            return Poll::Ready(Ok(*facts));
        }
        self.poll_asked(state, Question::Facts, caller)
    }

    /// Whether reads and writes of this kind of file go through the buffers.
    fn is_buffered(&self, facts: &Facts) -> bool {
        facts.kind == Kind::Regular && !self.buffering.unbuffered
    }

    /// Asks the kernel something, or returns the error of having asked.
    fn poll_asked<T>(
        self: &Arc<Self>,
        state: &mut State,
        question: Question,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<T>> {
        if let Some(error) = state.asked_in_vain.take() {
            return Poll::Ready(Err(error));
        }
        if state.asking.is_none() {
            state.asking = Some(question);
            let stream = self.clone();
            backend::spawn("ask", self.description.place(), move || {
                stream.ask(question);
            });
        }
        state.wait(caller)
    }

    /// The job that asks.
    fn ask(&self, question: Question) {
        let description = &*self.description;
        let changes = description.changes();
        let answer = panic::catch_unwind(AssertUnwindSafe(|| match question {
            Question::Facts => description.probe().map(|facts| facts.position),
            Question::Position => sys::seek(description.file(), SeekFrom::Current(0)),
            Question::End => sys::end(description.file()),
        }));
        if let Ok(Err(error)) = &answer {
            trace::failed(error);
        }
        let wakers = {
            let mut state = self.lock();
            state.asking = None;
            match (question, answer) {
                (_, Err(panic)) => state.panic = Some(panic),
                (_, Ok(Err(error))) => state.asked_in_vain = Some(error),
                (Question::Facts, Ok(Ok(_))) => {}
                (Question::Position, Ok(Ok(position))) => {
                    // If something was accepted since, the kernel has moved on, or will.
                    let current = changes == description.changes() && !state.has_unwritten();
                    if current && state.position == Position::Kernel {
                        state.position = Position::Known(position);
                    }
                }
                (Question::End, Ok(Ok(end))) => {
                    state.end = Some(Box::new(End {
                        end,
                        changes,
                        at: Instant::now(),
                    }));
                }
            }
            state.waiters.take()
        };
        wakers.wake();
    }

    /// Waits until every accepted byte is written and every change in the order is made, and returns the error of
    /// whatever failed since the last call; with a tail that was told of already, tries to write it first.
    fn poll_settled(
        self: &Arc<Self>,
        state: &mut State,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_in_order(state, caller))?;
        if state.single.is_running() {
            return state.wait(caller);
        }
        if let Some(error) = state.single.take_error() {
            return Poll::Ready(Err(error));
        }
        self.poll_written(state, caller)
    }

    /// Waits for changes that took their place in the order before.
    fn poll_in_order(&self, state: &mut State, caller: &Caller<'_, '_>) -> Poll<io::Result<()>> {
        state.rethrow();
        if state.ordered {
            return state.wait(caller);
        }
        Poll::Ready(state.take_left_error().map_or(Ok(()), Err))
    }

    /// Waits until nothing is on its way, whatever came of it.
    fn poll_quiet(&self, state: &mut State, caller: &Caller<'_, '_>) -> Poll<()> {
        state.rethrow();
        if state.ordered || state.single.is_running() || state.write.is_running() {
            return state.wait(caller);
        }
        Poll::Ready(())
    }

    /// The position, asked from the kernel where only the kernel knows it. Call it settled.
    fn poll_position_now(
        self: &Arc<Self>,
        state: &mut State,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<u64>> {
        match state.position {
            Position::Known(position) => Poll::Ready(Ok(position)),
            Position::Unknown => unreachable!("the facts were asked first"),
            Position::Kernel => self.poll_asked(state, Question::Position, caller),
        }
    }

    /// Waits until the operating system has everything that was accepted.
    pub(crate) fn poll_flush(self: &Arc<Self>, caller: &Caller<'_, '_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if self
            .description
            .facts()
            .is_some_and(|facts| facts.kind == Kind::Stream)
        {
            state.rethrow();
            return Poll::Ready(state.take_left_error().map_or(Ok(()), Err));
        }
        state.forget_answers();
        ready!(self.poll_writes_at(&mut state, caller));
        self.poll_settled(&mut state, caller)
    }

    /// Waits until nothing is on its way, without taking any error.
    pub(crate) fn poll_stopped(&self, caller: &Caller<'_, '_>) -> Poll<()> {
        self.poll_quiet(&mut self.lock(), caller)
    }

    /// The position.
    pub(crate) fn poll_position(
        self: &Arc<Self>,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<u64>> {
        let mut state = self.lock();
        let facts = ready!(self.poll_facts(&mut state, caller))?;
        if !has_position(&facts) {
            return Poll::Ready(Err(sys::not_seekable()));
        }
        state.forget_answers();
        // What was accepted counts, so only append mode has to wait for the kernel.
        if facts.append {
            ready!(self.poll_settled(&mut state, caller))?;
        }
        self.poll_position_now(&mut state, caller)
    }

    /// Accepts or writes bytes of `bufs` at the position, and moves it.
    pub(crate) fn poll_write(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let facts = ready!(self.poll_facts(&mut state, caller))?;
        state.forget_answers();
        if !facts.writable {
            return Poll::Ready(Err(sys::bad_descriptor()));
        }
        if facts.kind == Kind::Stream {
            drop(state);
            return self.poll_write_special(caller, bufs);
        }
        let result = if self.is_buffered(&facts) {
            self.poll_write_behind(&mut state, &facts, caller, bufs)
        } else {
            self.poll_write_single(&mut state, &facts, caller, bufs)
        };
        disturb_readers(state);
        result
    }

    /// Moves the position. It moves in the poll that is ready, or not at all.
    pub(crate) fn poll_seek(
        self: &Arc<Self>,
        to: SeekFrom,
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<u64>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let facts = ready!(self.poll_facts(state, caller))?;
        if !has_position(&facts) {
            return Poll::Ready(Err(sys::not_seekable()));
        }
        ready!(self.poll_settled(state, caller))?;

        // Find what the offset counts from.
        let (base, offset) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(offset) => (ready!(self.poll_position_now(state, caller))?, offset),
            SeekFrom::End(offset) => match state.end.take() {
                Some(answer) if answer.is_current(&self.description) => (answer.end, offset),
                _ => return self.poll_asked(state, Question::End, caller),
            },
        };
        let position = match base.checked_add_signed(offset) {
            Some(position) if position <= sys::LARGEST_OFFSET => position,
            _ => return Poll::Ready(Err(invalid_seek())),
        };

        // Move. What was read ahead and lies around the new position stays.
        state.position = Position::Known(position);
        state.read.moved(position);
        state.single.forget(caller.writer);
        if !self.is_buffered(&facts) {
            state.read.clear();
        }
        disturb_readers(guard);
        Poll::Ready(Ok(position))
    }

    /// Wakes everybody who waits.
    fn wake_all(&self) {
        let wakers = self.lock().waiters.take();
        wakers.wake();
    }
}

/// Wakes a reader that waits, through another handle, for a block that was given up.
fn disturb_readers(mut state: Locked<'_>) {
    if state.read.gives_up_on_reader() {
        let wakers = state.waiters.take();
        drop(state);
        wakers.wake();
    }
}

/// Whether positions mean anything to this kind of file.
fn has_position(facts: &Facts) -> bool {
    matches!(facts.kind, Kind::Regular | Kind::Positional)
}

fn invalid_seek() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "invalid seek to a negative or overflowing position",
    )
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Stream");
        debug.field("description", &self.description);
        if let Ok(state) = self.state.try_lock() {
            debug.field("position", &state.position);
        }
        debug.finish_non_exhaustive()
    }
}
