//! Reading ahead.
//!
//! A job fills one block after another and leaves when enough is ahead of the reader; the reader takes from the first
//! block and calls a new job when half of that is gone. How much is enough starts at what the first read asks for, and
//! grows only while reading goes on where it left off. Blocks must outlast a dispatch to the pool, or the reader would
//! wait for every one of them.
//!
//! An unbuffered file is read by the same code: one block of the size asked for, and nothing ahead. What is left in the
//! block belongs to a read that was cancelled, and goes to the next one.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::thread;

use super::buffer::Buffer;
use super::{Caller, MOST_INLINE, Position, State, Stream};
use crate::backend::{self, Cached, Fill, Then, sys, trace};
use crate::buf;
use crate::fairness;
use crate::sync::Instant;
use sys::{Facts, Kind};

/// The least that is read at once: less costs as much.
const LEAST: usize = 8 * 1024;

/// From this size on, a read somewhere in the middle reads what was asked for.
const PAGE: usize = 4 * 1024;

/// The most that is ahead of a reader.
const WINDOW: usize = 1024 * 1024;

/// The largest block: large enough to outlast a dispatch, small enough that four of them fit into the window.
const BLOCK: usize = 256 * 1024;

/// What an unbuffered file reads for `fill_buf`, unless a size was set.
const UNBUFFERED: usize = 8 * 1024;

/// The largest block that is read in a poll.
const CACHED_BLOCK: usize = 64 * 1024;

/// From this size on, a read of what the page cache has is worth a system call of its own.
const WORTH_A_CALL: usize = 16 * 1024;

/// How often a block is read again because the content changed meanwhile, before the race counts as the reader's.
const RACES: usize = 3;

/// The state of reading ahead.
#[derive(Default)]
pub(super) struct ReadAhead {
    /// Adjoining blocks; the first one holds the position, if any does.
    blocks: VecDeque<Block>,
    /// Where the next block begins.
    next: u64,
    /// A job fills blocks for this epoch.
    filling: bool,
    /// Jobs that run, of whatever epoch, and blocks that a ring fills.
    fillers: usize,
    /// A block that a ring is to fill as soon as the state is not locked any more.
    pub(super) beginning: Option<Box<Filling>>,
    /// Somebody waits until none of them runs.
    stopping: bool,
    /// A reader waits for what a job finds.
    awaited: bool,
    /// Jobs of older epochs fill for nobody.
    epoch: u64,
    /// How many bytes are to be ahead of the reader.
    window: usize,
    /// Where the last read ended: one that begins here goes on.
    ended: u64,
    /// The last block came short, so there is no more for now.
    short: bool,
    /// What a job found instead of bytes, and where; told once.
    outcome: Option<Box<Outcome>>,
    /// The change count under which the blocks were read.
    changes: u64,
    /// It is an older one by now, but the reader that waited all the time may have what was read meanwhile.
    raced: bool,
    /// Blocks to be filled again.
    spare: Vec<Arc<Buffer>>,
}

/// What a job found instead of bytes.
#[derive(Debug)]
struct Outcome {
    /// Where it looked.
    offset: u64,
    /// `Ok` is the end of the file.
    result: io::Result<()>,
    at: Instant,
}

impl Outcome {
    /// Whether it is the answer to the read that polls now at `position`. If it was another's, who went away before the
    /// answer came, it is as old as that, and the file may have grown since.
    fn answers(&self, position: u64) -> bool {
        self.offset == position && self.at.elapsed() < super::OLD
    }
}

/// A block that is being filled.
pub(super) struct Filling {
    stream: Arc<Stream>,
    /// For which readers.
    epoch: u64,
    /// Where it begins.
    offset: u64,
    /// How long it was to be, and is.
    planned: usize,
    len: usize,
    /// Nobody else has it.
    data: Arc<Buffer>,
    /// The change count before it is read.
    changes: u64,
    /// How often that was another one afterwards.
    races: usize,
}

impl Filling {
    fn buffer(&mut self) -> &mut Buffer {
        Arc::get_mut(&mut self.data).expect("nobody else has a spare one")
    }

    /// Whether the content changed while it was read: then it may be old, and is to be read again.
    fn is_outdated(&mut self, facts: &Facts) -> bool {
        let now = self.stream.description.changes();
        if now == self.changes || facts.kind != Kind::Regular {
            return false;
        }
        self.races += 1;
        if self.has_lost() {
            return false;
        }
        self.changes = now;
        true
    }

    /// Whether the content changed each time that it was read: it is as old as the count says, and not to be read again.
    fn has_lost(&self) -> bool {
        self.races > RACES
    }

    /// Has it filled by a ring.
    pub(super) fn begin(mut self) {
        let description = self.stream.description.clone();
        let bytes = std::mem::take(&mut self.buffer().bytes);
        let (len, offset) = (self.len, self.offset);
        // Whoever waits for it waits in the state of the stream.
        drop(backend::transfer(Fill {
            description,
            bytes,
            len,
            offset,
            then: self,
        }));
    }

    /// Gives the block to the readers, and says whether they want more.
    fn hand_over(self, result: thread::Result<io::Result<usize>>) -> bool {
        let lost = self.has_lost();
        let Filling {
            stream,
            epoch,
            offset,
            planned,
            len,
            data,
            changes,
            ..
        } = self;
        let Some(facts) = stream.description.facts() else {
            return false;
        };
        let mut state = stream.lock();
        if state.read.epoch != epoch {
            return false;
        }
        state.touched = true;
        if state.read.blocks.is_empty() {
            state.read.changes = changes;
        } else if state.read.changes != changes {
            state.read.clear();
            return false;
        }
        let more = match result {
            Ok(Ok(n)) if n > 0 => {
                stream.list_idle(&mut state);
                state.read.blocks.push_back(Block { offset, data });
                state.read.next = offset + n as u64;
                state.read.short = n < len;
                // Without a charge for it, a reader has one small block ahead and no more.
                n == len && len == planned && stream.is_buffered(facts)
            }
            Ok(result) => {
                // Only a reader that waits hears of it. One that has yet to come asks anew: the file may have
                // grown by then.
                if state.read.awaited {
                    state.read.outcome = Some(Box::new(Outcome {
                        offset,
                        result: result.map(drop),
                        at: Instant::now(),
                    }));
                }
                state.read.short = true;
                false
            }
            Err(panic) => {
                state.panic = Some(panic);
                false
            }
        };
        let position = match state.position {
            Position::Known(position) => position,
            _ => state.read.next,
        };
        let more = more && state.read.plan(position, true).is_some();
        state.read.filling = more;
        let awaited = std::mem::take(&mut state.read.awaited);
        state.read.raced = lost && awaited;
        let wakers = state.waiters.take();
        drop(state);
        if more {
            wakers.wake();
        } else {
            wakers.wake_soon();
        }
        more
    }
}

impl Then for Filling {
    fn filled(
        mut self,
        bytes: Vec<u8>,
        result: thread::Result<io::Result<usize>>,
    ) -> Option<Fill<Filling>> {
        let stream = self.stream.clone();
        let again = stream
            .description
            .facts()
            .is_some_and(|facts| self.is_outdated(facts));
        self.buffer().bytes = bytes;
        let next = if again {
            self.buffer().bytes.clear();
            Some(self)
        } else {
            let epoch = self.epoch;
            let more = self.hand_over(result);
            more.then(|| stream.next_block(epoch)).flatten()
        };
        let Some(mut next) = next else {
            stream.end_filling();
            return None;
        };
        Some(Fill {
            description: stream.description.clone(),
            bytes: std::mem::take(&mut next.buffer().bytes),
            len: next.len,
            offset: next.offset,
            then: next,
        })
    }
}

/// What is there at the position.
enum Ahead {
    /// Blocks that hold bytes from here on.
    Blocks(u64),
    /// The caller's buffers, into which `n` bytes were read from here on.
    Read { position: u64, n: usize },
    /// The end of the file.
    End,
}

/// Bytes of the file.
#[derive(Clone, Debug)]
struct Block {
    offset: u64,
    data: Arc<Buffer>,
}

impl Block {
    fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

/// A part of a block that is lent to the caller of `fill_buf`.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    data: Option<Arc<Buffer>>,
    begin: usize,
    /// Where the data stands in the file.
    offset: u64,
    /// The change count under which it was lent.
    changes: u64,
}

impl Lent {
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.data {
            Some(data) => &data.bytes[self.begin..],
            None => &[],
        }
    }

    /// The position that the bytes stand at.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.begin as u64
    }

    /// Passes over `n` bytes, or as many as there are, and says how many they were.
    pub(crate) fn consume(&mut self, n: usize) -> usize {
        let n = n.min(self.bytes().len());
        self.begin += n;
        n
    }
}

impl ReadAhead {
    /// Forgets everything that was read ahead, also what a job is reading now.
    pub(super) fn clear(&mut self) {
        self.give_up_blocks();
        self.epoch += 1;
        self.filling = false;
        self.window = 0;
        self.outcome = None;
        self.raced = false;
    }

    /// Something was written: what was read ahead is not what stands in the file.
    pub(super) fn overwritten(&mut self) {
        if self.filling || !self.blocks.is_empty() || self.outcome.is_some() {
            self.clear();
        }
    }

    /// What a job found was for a read that was cancelled.
    pub(super) fn forget_outcome(&mut self) {
        self.outcome = None;
    }

    /// Whether a reader waits although no job reads for it any more.
    pub(super) fn gives_up_on_reader(&mut self) -> bool {
        !self.filling && std::mem::take(&mut self.awaited)
    }

    /// The position moved: keeps the blocks if it lies within them.
    pub(super) fn moved(&mut self, position: u64) {
        self.outcome = None;
        let inside = self
            .blocks
            .front()
            .is_some_and(|first| first.offset <= position)
            && position < self.next;
        if inside {
            self.pass(position);
        } else if !self.blocks.is_empty() || self.filling {
            self.clear();
        }
        if position != self.ended {
            self.window = 0;
        }
        self.ended = position;
    }

    /// Gives blocks back that lie before `position`.
    fn pass(&mut self, position: u64) {
        while self
            .blocks
            .front()
            .is_some_and(|first| first.end() <= position)
        {
            if let Some(block) = self.blocks.pop_front() {
                self.recycle(block);
            }
        }
    }

    /// Keeps the memory of a block for the next ones, unless somebody still looks at it.
    fn recycle(&mut self, mut block: Block) {
        let keep = self.spare.len() + self.blocks.len() <= self.window / BLOCK;
        if keep && let Some(buffer) = Arc::get_mut(&mut block.data) {
            buffer.bytes.clear();
            self.spare.push(block.data);
        }
    }

    /// A buffer of `size` bytes, or of as many as there may be.
    fn spare_of(&mut self, size: usize) -> Arc<Buffer> {
        let spare = self.spare.pop();
        spare
            .filter(|spare| spare.capacity() == size)
            .unwrap_or_else(|| Arc::new(Buffer::new(size)))
    }

    /// Gives all blocks back; reading goes on elsewhere.
    fn give_up_blocks(&mut self) {
        while let Some(block) = self.blocks.pop_front() {
            self.recycle(block);
        }
    }

    /// The bytes at `position` that are there.
    fn at(&self, position: u64) -> Option<(&Block, usize)> {
        let first = self.blocks.front()?;
        (first.offset <= position && position < first.end())
            .then(|| (first, (position - first.offset) as usize))
    }

    /// Lends the bytes at `position` that are there.
    fn lend(&self, position: u64) -> Option<Lent> {
        let (block, begin) = self.at(position)?;
        Some(Lent {
            data: Some(block.data.clone()),
            begin,
            offset: block.offset,
            changes: self.changes,
        })
    }

    /// How many bytes are ahead of `position`.
    fn ahead(&self, position: u64) -> usize {
        if self.blocks.is_empty() {
            0
        } else {
            self.next.saturating_sub(position) as usize
        }
    }

    /// How long the next block is to be; `None` when enough is ahead.
    fn plan(&self, position: u64, buffered: bool) -> Option<usize> {
        let ahead = self.ahead(position);
        let whole = !buffered || (ahead == 0 && self.window <= BLOCK / 4);
        let block = if whole {
            self.window
        } else {
            (self.window / 2).min(BLOCK)
        };
        (ahead + block <= self.window && block > 0).then_some(block)
    }

    /// Gives memory back that nobody uses. What was read ahead is only given back if it can be read again.
    pub(super) fn release(&mut self, can_reread: bool) {
        if can_reread && !self.filling {
            self.clear();
            self.blocks = VecDeque::new();
        }
        self.spare = Vec::new();
    }

    pub(super) fn holds_any(&self) -> bool {
        !self.spare.is_empty() || !self.blocks.is_empty()
    }
}

impl Stream {
    /// Reads into `bufs` from the position, and moves it.
    pub(crate) fn poll_read(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let facts = ready!(self.poll_facts(&mut state, caller))?;
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        state.end = None;
        if !facts.readable {
            return Poll::Ready(Err(sys::bad_descriptor()));
        }
        if facts.kind == Kind::Stream && state.read.blocks.is_empty() {
            drop(state);
            return self.poll_read_special(caller, bufs);
        }
        let position = match ready!(self.poll_ahead(&mut state, &facts, wanted, bufs, caller))? {
            Ahead::Blocks(position) => position,
            Ahead::Read { position, n } => {
                self.moved_on(&mut state, &facts, position, n);
                return Poll::Ready(Ok(n));
            }
            Ahead::End => return Poll::Ready(Ok(0)),
        };

        // Copy out of the blocks, as far as they and the bound on inline work reach.
        let mut copied = 0;
        for buf in bufs {
            let mut buf = &mut buf[..];
            while !buf.is_empty() && copied < MOST_INLINE {
                let Some((block, begin)) = state.read.at(position + copied as u64) else {
                    break;
                };
                let bytes = &block.data.bytes[begin..];
                let n = bytes.len().min(buf.len()).min(MOST_INLINE - copied);
                buf[..n].copy_from_slice(&bytes[..n]);
                buf = &mut buf[n..];
                copied += n;
                state.read.pass(position + copied as u64);
            }
        }
        self.moved_on(&mut state, &facts, position, copied);
        Poll::Ready(Ok(copied))
    }

    /// Lends the bytes at the position; an empty loan means end of file.
    pub(crate) fn poll_fill(
        self: &Arc<Self>,
        caller: &mut Caller<'_, '_>,
    ) -> Poll<io::Result<Lent>> {
        let mut state = self.lock();
        let facts = ready!(self.poll_facts(&mut state, caller))?;
        if !facts.readable {
            return Poll::Ready(Err(sys::bad_descriptor()));
        }
        // Bytes that were taken in may be gone again, to a clone on another thread; only the kernel says what the end is.
        while facts.kind == Kind::Stream && state.read.blocks.is_empty() {
            drop(state);
            if !ready!(self.poll_fill_special(caller))? {
                return Poll::Ready(Ok(Lent::default()));
            }
            state = self.lock();
        }
        let wanted = match self.buffering.size {
            Some(size) if self.buffering.unbuffered => size,
            _ if self.is_buffered(&facts) => LEAST,
            _ => UNBUFFERED,
        };
        let ahead = ready!(self.poll_ahead(&mut state, &facts, wanted, &mut [], caller))?;
        let lent = match ahead {
            Ahead::Blocks(position) => state.read.lend(position),
            Ahead::Read { .. } | Ahead::End => None,
        };
        Poll::Ready(Ok(lent.unwrap_or_default()))
    }

    /// Lends the bytes at the position if they are there.
    pub(crate) fn lend(&self) -> Option<Lent> {
        let state = self.lock();
        let Position::Known(position) = state.position else {
            return None;
        };
        let current = state.read.changes == self.description.changes();
        state.read.lend(position).filter(|_| current)
    }

    /// Whether bytes that were lent are still what stands at the position.
    pub(crate) fn is_fresh(&self, lent: &Lent) -> bool {
        !lent.bytes().is_empty() && lent.changes == self.description.changes() && !self.is_shared()
    }

    /// Moves the position over `n` bytes that were lent at `from`, unless a clone has moved it meanwhile.
    pub(crate) fn advance(self: &Arc<Self>, from: u64, n: usize) {
        let mut state = self.lock();
        let (Position::Known(position), Some(facts)) = (state.position, self.description.facts())
        else {
            return;
        };
        if position != from {
            return;
        }
        state.read.pass(position + n as u64);
        self.moved_on(&mut state, facts, position, n);
    }

    /// Takes note that the reader has gone `n` bytes on, and calls for more when half of what was ahead is gone.
    fn moved_on(self: &Arc<Self>, state: &mut State, facts: &Facts, position: u64, n: usize) {
        let position = position + n as u64;
        state.position = Position::Known(position);
        state.touched = true;
        let read = &mut state.read;
        read.ended = position;
        let goes_on =
            read.window > LEAST && !read.filling && !read.short && self.is_buffered(facts);
        let ahead = read.ahead(position);
        if goes_on && ahead > 0 && ahead <= read.window / 2 && !self.description.expects_cached() {
            self.widen(read, 0);
            self.fill(state);
        }
    }

    /// Waits until bytes are there at the position. If they need not be waited for, they may go to `bufs` at once.
    fn poll_ahead(
        self: &Arc<Self>,
        state: &mut State,
        facts: &Facts,
        wanted: usize,
        bufs: &mut [IoSliceMut<'_>],
        caller: &Caller<'_, '_>,
    ) -> Poll<io::Result<Ahead>> {
        if facts.kind != Kind::Stream {
            ready!(self.poll_settled(state, caller))?;
        }
        let position = ready!(self.poll_position_now(state, caller))?;
        if wanted == 0 {
            return Poll::Ready(Ok(Ahead::End));
        }

        // What was read before a change is not what stands in the file.
        let changes = self.description.changes();
        let raced = std::mem::take(&mut state.read.raced);
        if !raced && state.read.changes != changes && has_blocks_to_distrust(state, facts) {
            state.read.clear();
        }

        state.read.awaited = false;

        // If bytes are there, they are the answer.
        if state.read.at(position).is_some() {
            return Poll::Ready(Ok(Ahead::Blocks(position)));
        }
        if facts.kind == Kind::Stream {
            // The end of a special file was found by the caller.
            return Poll::Ready(Ok(Ahead::End));
        }

        // If the job found something else here, that is the answer, once.
        if let Some(outcome) = state.read.outcome.take()
            && outcome.answers(position)
        {
            return Poll::Ready(outcome.result.map(|()| Ahead::End));
        }

        // Otherwise they must be fetched: by this very poll, if they are in memory, or else by a job.
        if !state.read.filling {
            self.plan_window(state, facts, position, wanted);
            if let Some(ahead) = self.read_cached(state, facts, position, wanted, bufs) {
                return Poll::Ready(Ok(ahead));
            }
            self.fill(state);
        }
        state.read.awaited = true;
        state.wait(caller)
    }

    /// Decides how much is to be read ahead, now that nothing is.
    fn plan_window(&self, state: &mut State, facts: &Facts, position: u64, wanted: usize) {
        let goes_on = state.read.ended == position && state.read.window > 0;
        if !goes_on || !self.is_buffered(facts) {
            state.read.clear();
        }
        let wanted = wanted.min(MOST_INLINE);
        if !self.is_buffered(facts) {
            state.read.window = wanted;
        } else if goes_on {
            self.widen(&mut state.read, wanted);
        } else {
            // Whoever begins at the beginning will probably go on.
            let window = if position == 0 || wanted < PAGE {
                wanted.max(LEAST)
            } else {
                wanted
            };
            state.read.window = window.min(self.largest_window());
        }
        state.read.next = position;
    }

    /// Reads what the page cache has: to `bufs` if that is as good as reading ahead, otherwise to a block.
    fn read_cached(
        self: &Arc<Self>,
        state: &mut State,
        facts: &Facts,
        position: u64,
        wanted: usize,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Option<Ahead> {
        if facts.kind != Kind::Regular || !self.description.tries_cached() {
            return None;
        }
        state.read.give_up_blocks();
        let block = state.read.window.min(CACHED_BLOCK);
        if !bufs.is_empty() && (wanted >= block || wanted >= WORTH_A_CALL) {
            return match self.description.read_cached_vectored(bufs, position) {
                Cached::All(0) => Some(Ahead::End),
                Cached::All(n) | Cached::Part(n) => {
                    fairness::charge(n);
                    Some(Ahead::Read { position, n })
                }
                Cached::Miss => None,
            };
        }

        // The change may be made after the bytes were read, or before: only if there was none, the block holds what the
        // file does.
        let changes = self.description.changes();
        let mut data = state.read.spare_of(block);
        let buffer = Arc::get_mut(&mut data).expect("nobody else has a spare one");
        let len = block.min(buffer.capacity());
        let mut cached = Cached::Miss;
        buf::append(&mut buffer.bytes, len, |memory| {
            cached = self.description.read_cached(memory, position);
            match cached {
                Cached::All(n) | Cached::Part(n) => n,
                Cached::Miss => 0,
            }
        });
        if changes != self.description.changes() {
            return None;
        }
        match cached {
            Cached::Miss => None,
            Cached::All(0) => Some(Ahead::End),
            Cached::All(n) | Cached::Part(n) => {
                fairness::charge(n);
                state.read.changes = changes;
                state.read.short = n < len;
                state.read.next = position + n as u64;
                state.read.blocks.push_back(Block {
                    offset: position,
                    data,
                });
                self.list_idle(state);
                Some(Ahead::Blocks(position))
            }
        }
    }

    /// Lets the window grow: reading goes on where it left off.
    fn widen(&self, read: &mut ReadAhead, wanted: usize) {
        read.window = (read.window * 4).max(wanted).min(self.largest_window());
    }

    fn largest_window(&self) -> usize {
        self.buffering.size.unwrap_or(WINDOW)
    }

    /// Throws away what was read ahead, and waits until no job reads any more.
    pub(crate) fn poll_stop_reading(&self, caller: &Caller<'_, '_>) -> Poll<()> {
        let mut state = self.lock();
        if state.handles > 1 {
            // Others go on reading, and whoever asks will get a duplicate.
            return Poll::Ready(());
        }
        state.read.clear();
        if state.read.fillers > 0 {
            state.read.stopping = true;
            return state.wait(caller);
        }
        super::disturb_readers(state);
        Poll::Ready(())
    }

    /// Starts filling blocks.
    fn fill(self: &Arc<Self>, state: &mut State) {
        state.read.filling = true;
        state.read.short = false;
        if state.read.blocks.is_empty() {
            state.read.changes = self.description.changes();
        }
        state.read.fillers += 1;
        let epoch = state.read.epoch;
        if self.description.fills_by_ring() {
            // It may be done at once, which changes the state: it begins when that is not locked any more.
            state.read.beginning = self.begin_block(state, epoch).map(Box::new);
            if state.read.beginning.is_some() {
                return;
            }
        }
        let stream = self.clone();
        backend::spawn("read ahead", self.description.place(), move || {
            stream.run_filler(epoch);
        });
    }

    /// The job.
    fn run_filler(self: Arc<Self>, epoch: u64) {
        let goes_on = self.fill_blocks(epoch);
        if goes_on {
            let place = self.description.place();
            return backend::spawn("read ahead", place, move || self.run_filler(epoch));
        }
        self.end_filling();
    }

    /// A job has ended, or what stands for it.
    fn end_filling(&self) {
        let wakers = {
            let mut state = self.lock();
            state.read.fillers -= 1;
            let stopped = state.read.fillers == 0 && std::mem::take(&mut state.read.stopping);
            if !state.read.gives_up_on_reader() && !stopped {
                return;
            }
            state.waiters.take()
        };
        wakers.wake();
    }

    /// Fills one block after another until enough is ahead. `true` if it only stepped aside.
    fn fill_blocks(self: &Arc<Self>, epoch: u64) -> bool {
        let Some(facts) = self.description.facts() else {
            return false;
        };
        while let Some(mut filling) = self.next_block(epoch) {
            backend::still_moving();
            self.description
                .look_for_cached(filling.planned, filling.offset);
            let buffer = filling.buffer();
            let mut bytes = std::mem::take(&mut buffer.bytes);
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                loop {
                    let result = match facts.kind {
                        Kind::Regular | Kind::Positional => {
                            let (len, offset) = (filling.len, filling.offset);
                            self.description.read_at(&mut bytes, len, offset)
                        }
                        Kind::Plain | Kind::Stream => {
                            sys::read(self.description.file(), &mut bytes, filling.len)
                        }
                    };
                    if !filling.is_outdated(facts) {
                        return result;
                    }
                    bytes.clear();
                }
            }));
            filling.buffer().bytes = bytes;
            if let Ok(Err(error)) = &result {
                trace::failed(error);
            }
            if !filling.hand_over(result) {
                return false;
            }
            // Step aside if others wait for this thread: this job can be long.
            if backend::somebody_waits() {
                return true;
            }
        }
        false
    }

    /// Begins the next block, if one is wanted.
    fn next_block(self: &Arc<Self>, epoch: u64) -> Option<Filling> {
        self.begin_block(&mut self.lock(), epoch)
    }

    /// The same with the state at hand.
    fn begin_block(self: &Arc<Self>, state: &mut State, epoch: u64) -> Option<Filling> {
        // Leave when nobody wants these blocks any more, or enough is ahead.
        if state.read.epoch != epoch {
            return None;
        }
        let facts = self.description.facts()?;
        let position = match state.position {
            Position::Known(position) => position,
            _ => state.read.next,
        };
        let Some(planned) = state.read.plan(position, self.is_buffered(facts)) else {
            state.read.filling = false;
            return None;
        };
        let data = state.read.spare_of(planned);
        Some(Filling {
            epoch,
            offset: state.read.next,
            planned,
            len: planned.min(data.capacity()),
            data,
            changes: self.description.changes(),
            races: 0,
            stream: self.clone(),
        })
    }

    /// Takes bytes of a special file in, for `fill_buf`.
    pub(super) fn carry(&self, buffer: Buffer) {
        let mut state = self.lock();
        let offset = match state.position {
            _ if !state.read.blocks.is_empty() => state.read.next,
            Position::Known(position) => position,
            _ => 0,
        };
        state.read.next = offset + buffer.len() as u64;
        state.read.changes = self.description.changes();
        state.read.blocks.push_back(Block {
            offset,
            data: Arc::new(buffer),
        });
    }
}

/// Bytes of something without position cannot be read again, so no change makes them wrong.
fn has_blocks_to_distrust(state: &State, facts: &Facts) -> bool {
    super::has_position(facts)
        && (!state.read.blocks.is_empty() || state.read.filling || state.read.outcome.is_some())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::io::Write as _;
    use std::task::{Context, Waker};

    use super::*;
    use crate::backend::Description;
    use crate::backend::fault::Stepper;

    #[test]
    fn what_lost_every_race_is_for_the_reader_that_waited_and_for_nobody_else() {
        let stepper = Stepper::install();
        for awaited in [true, false] {
            let mut file = ::tempfile::tempfile().unwrap();
            file.write_all(b"old content").unwrap();
            let description = Description::foreign(file);
            let facts = description.probe().unwrap();
            let stream = Stream::new_at(description.clone(), 0);
            let [seat, writer, _] = stream.attach();
            let read = || {
                let cx = &mut Context::from_waker(Waker::noop());
                let mut buf = [0; 4];
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                stream
                    .poll_read(&mut Caller { seat, writer, cx }, bufs)
                    .map(|n| buf[..n.unwrap()].to_vec())
            };
            assert!(read().is_pending());
            stream.lock().read.awaited = awaited;

            // The job that it called reads, and each time the content has changed when it has done so.
            let epoch = stream.lock().read.epoch;
            let mut filling = stream.next_block(epoch).unwrap();
            for _ in 0..RACES {
                description.changed();
                assert!(filling.is_outdated(&facts));
            }
            description.changed();
            assert!(!filling.is_outdated(&facts));
            filling.buffer().bytes.extend_from_slice(b"old content");
            filling.hand_over(Ok(Ok(11)));

            if awaited {
                assert_eq!(read(), Poll::Ready(b"old ".to_vec()));
            }
            assert!(read().is_pending(), "it began after the last change");
            stepper.run_all();
        }
    }
}
