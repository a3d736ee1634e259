//! The open file itself: the descriptor, what is known about it, and its end.
//!
//! Every operation holds the description it works on, so the descriptor outlives them all. Whoever holds it last closes
//! it; when that happens on a thread that must not block, the closing goes to the pool.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::Waker;

use super::answer::Answer;
use super::cache::{self, Cached, PerFile};
use super::close;
use super::direct::{DirectAlignment, Uncut};
use super::executor::{self, Shared};
use super::info::BackendKind;
use super::place::Place;
use super::ready::Ready;
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
use super::sys::{self, Facts};
use super::trace::{self, Label};
use super::uring;
use super::wish::Wish;

/// An open file, shared by its handles and the operations that run on it.
pub(crate) struct Description {
    /// `None` only while it is being dropped.
    file: Option<Arc<File>>,
    facts: OnceLock<Facts>,
    /// Readiness of something that is neither file nor directory.
    ready: OnceLock<Ready>,
    /// We opened it.
    ours: bool,
    /// We opened it and set O_NONBLOCK on it.
    made_nonblocking: bool,
    /// The file lock. Held around flock(2), so that taking and releasing do not overtake one another.
    lock: Mutex<()>,
    path: Option<Arc<Path>>,
    /// The pool that its operations run on, if it is the user's own.
    executor: Option<Shared>,
    /// Others read and write it at the kernel's position, and so do we.
    shares_position: bool,
    /// How often the content was changed through handles made from one another.
    changes: AtomicU64,
    /// What is known of its pages in the page cache.
    cache: PerFile,
    /// The backend that was asked for when it was opened.
    backend: Option<BackendKind>,
    /// Handles and cursors on it.
    users: AtomicUsize,
    /// The error of a sync that failed: final.
    sync_error: Mutex<Option<Box<FinalError>>>,
    /// Told what close(2) says.
    closed: Mutex<Option<Arc<Answer<io::Result<()>>>>>,
    /// Grants of which nobody was told yet.
    lock_untold: AtomicUsize,
    /// The lock of which somebody was told: [`UNLOCKED`], [`LOCKED`] or [`SHARED`].
    lock_kept: AtomicU8,
    /// Callers that wait for a file lock, in their order.
    lock_line: Mutex<VecDeque<Arc<Mutex<Option<Waker>>>>>,
    /// What direct I/O has left behind the end of the file.
    uncut: Mutex<Option<Box<Uncut>>>,
}

/// How a file is locked.
const UNLOCKED: u8 = 0;
const LOCKED: u8 = 1;
const SHARED: u8 = 2;

/// An error that is returned more than once.
#[derive(Clone, Debug)]
enum FinalError {
    Os(i32),
    Other(io::ErrorKind, String),
}

impl Description {
    /// Takes over a descriptor that somebody else opened. Makes no system call.
    pub(crate) fn foreign(file: File) -> Arc<Description> {
        Arc::new(Description::new(file, None))
    }

    /// The same, of one that this path led to.
    pub(crate) fn foreign_at(file: File, path: Arc<Path>) -> Arc<Description> {
        Arc::new(Description::new(file, Some(path)))
    }

    /// Takes over a duplicate of a descriptor whose position belongs to others too: writes go where the kernel says.
    pub(crate) fn sharing_position(file: File) -> Arc<Description> {
        let mut description = Description::new(file, None);
        description.shares_position = true;
        Arc::new(description)
    }

    /// Takes over a descriptor that this crate has just opened, with what is known about it. Runs on a pool thread.
    ///
    /// `made_nonblocking` says that O_NONBLOCK is our doing and not the user's wish.
    pub(crate) fn opened(
        file: File,
        facts: Facts,
        made_nonblocking: bool,
        path: Arc<Path>,
        backend: Option<BackendKind>,
    ) -> io::Result<Arc<Description>> {
        let mut description = Description::new(file, Some(path));
        description.backend = backend;
        description.ours = true;
        description.made_nonblocking = made_nonblocking;
        let facts = description.register(facts)?;
        let _ = description.facts.set(facts);
        Ok(Arc::new(description))
    }

    fn new(file: File, path: Option<Arc<Path>>) -> Description {
        Description {
            file: Some(Arc::new(file)),
            facts: OnceLock::new(),
            ready: OnceLock::new(),
            ours: false,
            made_nonblocking: false,
            lock: Mutex::new(()),
            lock_untold: AtomicUsize::new(0),
            lock_kept: AtomicU8::new(UNLOCKED),
            path,
            executor: executor::current(),
            shares_position: false,
            changes: AtomicU64::new(0),
            cache: PerFile::new(),
            backend: None,
            users: AtomicUsize::new(0),
            sync_error: Mutex::new(None),
            closed: Mutex::new(None),
            lock_line: Mutex::new(VecDeque::new()),
            uncut: Mutex::new(None),
        }
    }

    /// Makes something that may block for ever known to the reactor. What cannot be polled does not block for long.
    fn register(&self, mut facts: Facts) -> io::Result<Facts> {
        if facts.kind != sys::Kind::Stream {
            return Ok(facts);
        }
        let ours = self.ours;
        let silent = ours && facts.fifo && !facts.writable;
        let reopened = if ours {
            None
        } else {
            sys::reopen_terminal(self.file(), &facts)
        };
        let ready = match reopened {
            Some(file) => Ready::new(Arc::new(file), true, silent),
            None => Ready::new(self.shared(), ours && facts.nonblocking, silent),
        };
        match ready {
            Ok(ready) => drop(self.ready.set(ready)),
            // Without a descriptor for the reactor it cannot be used, because it might hold a thread for ever.
            Err(error) if sys::is_out_of_descriptors(&error) => return Err(error),
            Err(_) => facts.kind = sys::Kind::Plain,
        }
        Ok(facts)
    }

    /// Finds out what the file is. Runs on a pool thread.
    pub(crate) fn probe(&self) -> io::Result<Facts> {
        if let Some(facts) = self.facts.get() {
            return Ok(*facts);
        }
        let mut facts = self.register(sys::probe(self.file())?)?;
        // A write without an offset, as in append mode.
        facts.append |= self.shares_position;
        Ok(*self.facts.get_or_init(|| facts))
    }

    pub(crate) fn facts(&self) -> Option<&Facts> {
        self.facts.get()
    }

    pub(crate) fn ready(&self) -> Option<&Ready> {
        self.ready.get()
    }

    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        self.path.as_ref()
    }

    /// Whether others use the kernel's position too.
    pub(crate) fn shares_position(&self) -> bool {
        self.shares_position
    }

    pub(crate) fn file(&self) -> &File {
        self.file
            .as_ref()
            .expect("only dropping takes the file away")
    }

    fn shared(&self) -> Arc<File> {
        self.file
            .clone()
            .expect("only dropping takes the file away")
    }

    /// Whether it is worth a try to read what the page cache has. Who asks is to try.
    pub(crate) fn tries_cached(&self) -> bool {
        self.may_be_cached() && self.cache.wants_try()
    }

    /// Reads what the page cache has of the bytes at `offset`. Never waits.
    pub(crate) fn read_cached(&self, memory: &mut [MaybeUninit<u8>], offset: u64) -> Cached {
        self.cache.read(self.file(), memory, offset)
    }

    /// The same into one buffer after the other.
    pub(crate) fn read_cached_vectored(&self, bufs: &mut [IoSliceMut<'_>], offset: u64) -> Cached {
        self.cache.read_vectored(self.file(), bufs, offset)
    }

    /// Whether the next read is likely to find its bytes in the page cache, so that nobody need fetch them before.
    pub(crate) fn expects_cached(&self) -> bool {
        self.may_be_cached() && self.cache.expects_hit()
    }

    /// Notices, before so many bytes are read on a pool thread, whether the page cache has them.
    pub(crate) fn look_for_cached(&self, len: usize, offset: u64) {
        if self.may_be_cached() {
            self.cache.look(self.file(), len, offset);
        }
    }

    /// Finds out what the page cache asks about the file, if nobody did before. Runs on a pool thread.
    pub(crate) fn prepare_cached(&self) {
        if cache::is_on() || uring::is_on() {
            // Whoever needs the facts for more than speed asks again, and hears of the error.
            let _ = self.probe();
        }
    }

    /// Whether what is read ahead goes through a ring.
    pub(crate) fn fills_by_ring(&self) -> bool {
        self.is_regular() && !self.is_direct() && uring::wants_read(self) && uring::is_on()
    }

    /// Whether a ring may have its operations at all.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn allows_ring(&self) -> bool {
        self.backend != Some(BackendKind::Pool)
            && self.facts.get().is_some_and(|facts| !facts.is_served)
    }

    /// Whether all that can is to go through a ring.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn demands_ring(&self) -> bool {
        self.is_regular()
            && match self.backend {
                Some(backend) => backend == BackendKind::Uring,
                None => Wish::of_process() == &Wish::Uring,
            }
    }

    /// Whether the file system tells what need not be waited for: then the rest is what waits for the device.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn tells_cached(&self) -> bool {
        self.is_regular() && self.cache.answers()
    }

    /// Whether writes at offsets may go through a ring: they may be made twice, so they must not append.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn is_overwritten(&self) -> bool {
        let facts = self.facts.get();
        self.is_regular() && facts.is_some_and(|facts| facts.writable && !facts.append)
    }

    /// Whether it is a file that may be read and written by whoever does so best.
    fn is_regular(&self) -> bool {
        self.backend != Some(BackendKind::Pool)
            && self.executor.is_none()
            && self.facts.get().is_some_and(|facts| {
                facts.kind == sys::Kind::Regular && facts.is_file && !facts.is_served
            })
    }

    /// Whether reads may be answered by the page cache.
    fn may_be_cached(&self) -> bool {
        self.is_regular()
            && self.backend != Some(BackendKind::Uring)
            && self
                .facts
                .get()
                .is_some_and(|facts| facts.readable && facts.direct.is_none())
    }

    /// Appends up to `len` bytes at `offset` to `buf`. Runs on a pool thread, as all that follow.
    pub(crate) fn read_at(&self, buf: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        match self.direct() {
            Some(alignment) => alignment.read_at(self.file(), buf, len, offset),
            None => sys::read_at(self.file(), buf, len, offset),
        }
    }

    /// Writes at `offset`.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.direct() {
            Some(alignment) => alignment.write_at(self.file(), bytes, offset, &self.uncut),
            None => sys::write_at(self.file(), bytes, offset),
        }
    }

    /// Writes at `offset` to a file that may know no such call.
    pub(crate) fn write_here(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.direct() {
            Some(alignment) => alignment.write_at(self.file(), bytes, offset, &self.uncut),
            None => sys::write_here(self.file(), bytes, offset),
        }
    }

    /// Copies up to `len` bytes to another file, and says how many they were: 0 at the end of this one. An error comes
    /// beside the number, because what was copied before it is copied.
    pub(crate) fn copy_range(
        &self,
        read_at: u64,
        to: &Description,
        write_at: u64,
        len: u64,
    ) -> (u64, io::Result<()>) {
        const PIECE: u64 = 256 * 1024;
        if self.direct().or(to.direct()).is_none() {
            return sys::copy_range(self.file(), read_at, to.file(), write_at, len);
        }
        // The kernel would copy in pieces that direct I/O refuses.
        let mut copied = 0;
        let mut piece = Vec::new();
        while copied < len {
            piece.clear();
            let most = PIECE.min(len - copied) as usize;
            let n = match self.read_at(&mut piece, most, read_at + copied) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => return (copied, Err(error)),
            };
            let mut written = 0;
            while written < n {
                match to.write_at(&piece[written..], write_at + copied) {
                    Ok(0) => return (copied, Err(io::ErrorKind::WriteZero.into())),
                    Ok(n) => {
                        written += n;
                        copied += n as u64;
                    }
                    Err(error) => return (copied, Err(error)),
                }
            }
        }
        (copied, Ok(()))
    }

    /// Sets the length of the file.
    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        sys::set_len(self.file(), len)?;
        *lock(&self.uncut) = None;
        Ok(())
    }

    /// Reserves space, and extends the file if it ends before that.
    pub(crate) fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        sys::allocate(self.file(), offset, len)?;
        *lock(&self.uncut) = None;
        Ok(())
    }

    /// Whether both are open files of one file, as far as it is known.
    pub(crate) fn is_same_file(&self, other: &Description) -> bool {
        match (self.facts(), other.facts()) {
            // Zeros are no identity.
            (Some(one), Some(other)) => one.identity == other.identity && one.identity != (0, 0),
            _ => std::ptr::eq(self, other),
        }
    }

    /// Whether it is read and written past the page cache.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct().is_some()
    }

    /// Refuses what direct I/O cannot do, if that is what happens here.
    pub(crate) fn check_direct(
        &self,
        memory: *const u8,
        len: usize,
        offset: u64,
    ) -> io::Result<()> {
        match self.direct() {
            Some(alignment) => alignment.check(memory, len, offset),
            None => Ok(()),
        }
    }

    /// What direct I/O asks for, if this is what happens here.
    pub(crate) fn direct(&self) -> Option<DirectAlignment> {
        self.facts.get()?.direct
    }

    /// Where operations on it do their work.
    pub(crate) fn place(&self) -> Place {
        let place = match (self.facts.get(), &self.file) {
            (Some(facts), _) => Place::device(facts.identity.0),
            (None, Some(file)) => Place::open(file),
            (None, None) => Place::anywhere(),
        };
        place
            .on(self.executor.as_ref())
            .plainly(self.backend == Some(BackendKind::Pool))
            .labelled(Label::of(self.path.as_ref()))
    }

    /// The number of changes so far: what was read ahead under an older number is stale.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Takes note that the content changed.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// One more handle.
    pub(crate) fn enter(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    /// One handle less; `true` when it was the last.
    pub(crate) fn leave(&self) -> bool {
        self.users.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Syncs, unless an earlier sync has failed: then the kernel may have dropped the data, and trying again could
    /// wrongly succeed. Runs on a pool thread.
    pub(crate) fn sync(&self, data_only: bool) -> io::Result<()> {
        if let Some(error) = &*lock(&self.sync_error) {
            return Err(error.to_error());
        }
        let result = if data_only {
            sys::sync_data(self.file())
        } else {
            sys::sync_all(self.file())
        };
        if let Err(error) = &result
            && !sys::is_sync_refused(error)
        {
            lock(&self.sync_error).get_or_insert_with(|| Box::new(FinalError::of(error)));
            trace::sync_failed(self.path.as_ref(), error);
        }
        result
    }

    /// Makes it what somebody else expects of an open file: the kernel's position at `position`, and blocking if it
    /// is we who made it something else. Runs on a pool thread.
    pub(crate) fn restore(&self, position: Option<u64>) -> io::Result<()> {
        if let Some(position) = position {
            sys::seek(self.file(), io::SeekFrom::Start(position))?;
        }
        if self.made_nonblocking {
            if let Some(ready) = self.ready.get() {
                ready.will_block();
            }
            sys::set_nonblocking(self.file(), false)?;
        }
        Ok(())
    }

    /// Tries to lock the file; `true` if it is locked, of which nobody was told yet. Runs on a pool thread.
    pub(crate) fn try_lock(&self, shared: bool) -> io::Result<bool> {
        let _turn = lock(&self.lock);
        let granted = sys::try_lock(self.file(), shared)?;
        if granted {
            self.lock_untold.fetch_add(1, Ordering::SeqCst);
        }
        Ok(granted)
    }

    /// Takes note that somebody was told of a grant and relies on it.
    pub(crate) fn keep_lock(&self, shared: bool) {
        let kept = if shared { SHARED } else { LOCKED };
        // In this order: whoever sees that no grant is untold sees that one was kept.
        self.lock_kept.store(kept, Ordering::SeqCst);
        self.lock_untold.fetch_sub(1, Ordering::SeqCst);
    }

    /// Gives up a grant of which nobody was told, and releases the lock unless somebody else has yet to be told of one.
    /// If somebody relies on the lock that there was before, it is that again. Runs on a pool thread.
    pub(crate) fn release_lock(&self) {
        let _turn = lock(&self.lock);
        let last = self.lock_untold.fetch_sub(1, Ordering::SeqCst) == 1;
        if !last {
            return;
        }
        // Its owner has gone; there is nobody to tell.
        let _ = match self.lock_kept.load(Ordering::SeqCst) {
            UNLOCKED => sys::unlock(self.file()),
            kept => sys::try_lock(self.file(), kept == SHARED).map(drop),
        };
    }

    /// Releases the lock. Runs on a pool thread.
    pub(crate) fn unlock(&self) -> io::Result<()> {
        let _turn = lock(&self.lock);
        self.lock_kept.store(UNLOCKED, Ordering::SeqCst);
        sys::unlock(self.file())
    }

    /// Gives the standard library's file back, if nobody else holds this description.
    pub(crate) fn into_file(mut self) -> Option<File> {
        let ready = self.ready.take();
        let file = self.shared();
        drop(ready);
        self.file = None;
        Arc::into_inner(file)
    }

    /// Closes it, if nobody else uses it, and says what close(2) said. Runs on a pool thread.
    pub(crate) fn close(self: Arc<Self>) -> io::Result<()> {
        let closed = self.notify_closed();
        drop(self);
        closed.take().unwrap_or(Ok(()))
    }

    /// Asks to be told what close(2) says.
    pub(crate) fn notify_closed(&self) -> Arc<Answer<io::Result<()>>> {
        lock(&self.closed).get_or_insert_with(Arc::default).clone()
    }

    /// The callers that wait for a file lock.
    pub(crate) fn lock_line(&self) -> MutexGuard<'_, VecDeque<Arc<Mutex<Option<Waker>>>>> {
        lock(&self.lock_line)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FinalError {
    fn of(error: &io::Error) -> FinalError {
        match error.raw_os_error() {
            Some(code) => FinalError::Os(code),
            None => FinalError::Other(error.kind(), error.to_string()),
        }
    }

    fn to_error(&self) -> io::Error {
        match self {
            FinalError::Os(code) => io::Error::from_raw_os_error(*code),
            FinalError::Other(kind, text) => io::Error::new(*kind, text.clone()),
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // The reactor forgets the descriptor before it is closed. A terminal that was opened again has one of its own.
        let watched = self.ready.take().and_then(Ready::into_file);
        let Some(file) = self.file.take() else { return };
        let reopened = watched.filter(|watched| !Arc::ptr_eq(watched, &file));
        let closed = self
            .closed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // `into_file` took it already.
        let Some(file) = Arc::into_inner(file) else {
            return;
        };
        if let Some(reopened) = reopened.and_then(Arc::into_inner) {
            close::close(reopened, None, None);
        }
        close::close(file, self.facts.get().map(|facts| facts.identity.0), closed);
    }
}

/// Std's own output would ask the kernel for the path.
impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("descriptor", &self.file.as_deref().map(sys::number))
            .field("facts", &self.facts.get())
            .finish_non_exhaustive()
    }
}
