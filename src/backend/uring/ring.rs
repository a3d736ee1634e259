//! One ring: its two queues, and the operations that are on their way through it.
//!
//! Any thread submits, and any thread reaps: whoever polls a future that waits, and whoever drives the reactor that watches
//! the ring (`notify.rs`). Submitting and reaping have locks of their own, and neither is held over the other, because
//! `io_uring_enter` may copy much, and the thread of the reactor must not wait for that.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, opcode, squeue};

use super::flight::Flight;
use super::slab::Key;
use crate::backend::{fork, trace};

/// Entries of the submission queue. It is emptied by every call, so it need not be large.
const SUBMISSIONS: u32 = 64;

/// Entries of the completion queue. So many operations at most are on their way, and the queue never overflows.
const COMPLETIONS: u32 = 4096;

/// How often the kernel is asked again that has no room now, before a timer does that.
const TRIES: usize = 4;

/// How long until it is.
const LATER: Duration = Duration::from_millis(1);

/// An operation as a ring sees it.
///
/// # Safety
///
/// The entry names a descriptor that stays open, and memory that stays valid and that nobody else uses in a way that
/// conflicts with the operation, as long as the value is not dropped and no function of it is called.
pub(super) unsafe trait OnRing: Send {
    /// What the kernel is to do.
    fn entry(&mut self) -> squeue::Entry;

    /// The kernel has done it: a number that is not negative, or an error code below zero.
    fn complete(self: Box<Self>, result: i32);
}

pub(super) struct Ring {
    uring: IoUring,
    /// Guards the submission queue, and is held while that is handed over.
    submitting: Mutex<Submitting>,
    flight: Flight<Box<dyn OnRing>>,
    pub(super) watch: super::notify::Watch,
    /// The kernel refuses it for good.
    is_dead: AtomicBool,
    pub(super) counters: Counters,
}

/// What has happened on a ring so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) submitted: AtomicU64,
    pub(super) completed: AtomicU64,
    /// Completions of nobody. There are none, but for an error of ours or of the kernel.
    strays: AtomicU64,
    /// How often the kernel kept completions back, because the queue was full.
    pub(super) overflows: AtomicU64,
}

/// The submission queue, as far as it is ours.
#[derive(Debug, Default)]
struct Submitting {
    /// The keys of entries that stand in it.
    queued: VecDeque<Key>,
    /// What the next calls answer, instead of making them.
    #[cfg(test)]
    faults: VecDeque<i32>,
}

impl Ring {
    /// Makes a ring that stays for ever. It has been used once when it is given out.
    pub(super) fn new() -> io::Result<&'static Ring> {
        Ring::with_sizes(SUBMISSIONS, COMPLETIONS, COMPLETIONS as usize)
    }

    fn with_sizes(submissions: u32, completions: u32, limit: usize) -> io::Result<&'static Ring> {
        // The memory of a ring is not there in a child of fork.
        fork::watch();
        let uring = IoUring::builder()
            .dontfork()
            .setup_clamp()
            .setup_submit_all()
            .setup_cqsize(completions)
            .build(submissions)?;
        let ring = Box::leak(Box::new(Ring {
            uring,
            submitting: Mutex::default(),
            flight: Flight::new(limit),
            watch: super::notify::Watch::new(),
            is_dead: AtomicBool::new(false),
            counters: Counters::default(),
        }));
        ring.watch.begin(ring)?;
        Ok(ring)
    }

    pub(super) fn uring(&self) -> &IoUring {
        &self.uring
    }

    /// Whether it does what it is given: nothing, as the first thing.
    pub(super) fn try_out(&'static self) -> io::Result<bool> {
        let done = Arc::new(AtomicBool::new(false));
        let nothing = Box::new(Nothing(done.clone()));
        // It is done at once, in the thread that asks for it.
        let taken = self.submit(nothing).is_ok();
        Ok(taken && done.load(Ordering::Relaxed) && !self.is_dead.load(Ordering::Relaxed))
    }

    /// How many operations are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.flight.count()
    }

    /// Whether this process can use it.
    fn is_usable(&self) -> bool {
        !self.is_dead.load(Ordering::Relaxed) && !fork::is_child()
    }

    fn submitting(&self) -> MutexGuard<'_, Submitting> {
        self.submitting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an operation on its way, or gives it back.
    pub(super) fn submit(&'static self, mut op: Box<dyn OnRing>) -> Result<(), Box<dyn OnRing>> {
        if !self.is_usable() {
            return Err(op);
        }
        let Some(others) = self.flight.reserve() else {
            return Err(op);
        };

        // The slab owns it before the kernel hears of it.
        let entry = op.entry();
        let key = self.flight.keep(op);
        let entry = entry.user_data(key.user_data());
        let refused = {
            let mut submitting = self.submitting();
            if !self.push(&mut submitting, &entry, key) {
                None
            } else {
                self.counters.submitted.fetch_add(1, Ordering::Relaxed);
                Some(self.hand_over(&mut submitting))
            }
        };
        match refused {
            Some(refused) => self.give_back(refused),
            // The kernel has not seen it.
            None => return self.flight.remove(key).map_or(Ok(()), Err),
        }

        // Often it is done by now. If not, somebody is to notice.
        self.reap_here();
        if self.in_flight() > 0 {
            self.watch.set(self, others == 0);
        }
        Ok(())
    }

    /// Puts an entry into the submission queue, if there is room.
    fn push(&self, submitting: &mut Submitting, entry: &squeue::Entry, key: Key) -> bool {
        // Only a kernel that has no room now leaves entries behind.
        if submitting.queued.len() >= self.uring.params().sq_entries() as usize {
            return false;
        }
        // SAFETY: there is one submission queue at a time, because `submitting` is locked.
        let mut queue = unsafe { self.uring.submission_shared() };
        // SAFETY: what the entry names is owned by an operation in the slab until its completion has been reaped, as
        // `OnRing` and `slab.rs` say.
        let pushed = unsafe { queue.push(entry) }.is_ok();
        if pushed {
            submitting.queued.push_back(key);
        }
        pushed
    }

    /// Hands the submission queue over to the kernel. Gives the keys of entries that it will never take.
    fn hand_over(&'static self, submitting: &mut Submitting) -> Vec<Key> {
        let mut tries = 0;
        loop {
            let result = self.enter(submitting);
            let left = self.queued();
            let taken = submitting.queued.len().saturating_sub(left);
            submitting.queued.drain(..taken);
            if left == 0 {
                return Vec::new();
            }
            match result {
                Err(error) if is_for_good(&error) => {
                    // Nobody enters it again, so what the kernel has not taken is ours.
                    self.is_dead.store(true, Ordering::Relaxed);
                    super::give_up(self, &error);
                    return submitting.queued.drain(..).collect();
                }
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                // No memory, or too much under way: what is done makes room. The entries stay where they are.
                _ => {
                    tries += 1;
                    if tries == TRIES {
                        self.watch.look_after(LATER);
                        return Vec::new();
                    }
                }
            }
        }
    }

    fn enter(&self, submitting: &mut Submitting) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(code) = submitting.faults.pop_front() {
            return Err(io::Error::from_raw_os_error(code));
        }
        let _ = submitting;
        self.uring.submitter().submit()
    }

    /// How many entries the kernel has not taken. Only called while `submitting` is locked.
    fn queued(&self) -> usize {
        // SAFETY: there is one submission queue at a time, because `submitting` is locked by the caller.
        unsafe { self.uring.submission_shared() }.len()
    }

    /// Runs operations elsewhere that the kernel will never take.
    fn give_back(&self, keys: Vec<Key>) {
        for key in keys {
            if let Some(op) = self.flight.remove(key) {
                self.counters.completed.fetch_add(1, Ordering::Relaxed);
                op.complete(-libc::ECANCELED);
            }
        }
    }

    /// Hands over what stands in the submission queue still.
    pub(super) fn flush(&'static self) {
        if !self.is_usable() {
            return;
        }
        let refused = {
            let mut submitting = self.submitting();
            if submitting.queued.is_empty() {
                Vec::new()
            } else {
                self.hand_over(&mut submitting)
            }
        };
        self.give_back(refused);
    }

    /// Completes what the kernel has done. If another thread is at it, that does so once more.
    pub(super) fn reap(&self) {
        if self.in_flight() > 0 && !fork::is_child() {
            self.reap_here();
        }
    }

    /// The same, in the process that made the ring.
    fn reap_here(&self) {
        self.flight.reap(
            || self.copy_completions(),
            |op, result| self.complete(op, result),
        );
    }

    /// Takes completions out of their queue. Only called by whoever reaps.
    fn copy_completions(&self) -> Vec<(Key, i32)> {
        let mut copied = Vec::new();
        loop {
            // SAFETY: there is one completion queue at a time, because one thread reaps at a time.
            let queue = unsafe { self.uring.completion_shared() };
            let before = copied.len();
            copied.extend(queue.map(|it| (Key::from_user_data(it.user_data()), it.result())));
            if copied.len() == before || !self.flush_overflow() {
                return copied;
            }
        }
    }

    /// Has the kernel put completions into their queue for which it had no room; `false` if there are none.
    fn flush_overflow(&self) -> bool {
        if self.flight.limit() <= self.uring.params().cq_entries() as usize {
            return false;
        }
        {
            let Ok(_submitting) = self.submitting.try_lock() else {
                // Whoever submits flushes too.
                return false;
            };
            // SAFETY: there is one submission queue at a time, because `submitting` is locked.
            if !unsafe { self.uring.submission_shared() }.cq_overflow() {
                return false;
            }
        }
        self.counters.overflows.fetch_add(1, Ordering::Relaxed);
        trace::ring_overflow();
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: it submits nothing, waits for nothing and has no argument.
        let flushed = unsafe {
            self.uring
                .submitter()
                .enter::<libc::sigset_t>(0, 0, flags, None)
        };
        flushed.is_ok()
    }

    fn complete(&self, op: Option<Box<dyn OnRing>>, result: i32) {
        match op {
            Some(op) => {
                self.counters.completed.fetch_add(1, Ordering::Relaxed);
                op.complete(result);
            }
            None => {
                self.counters.strays.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The operation that a new ring is tried out with.
struct Nothing(Arc<AtomicBool>);

// SAFETY: the entry names nothing.
unsafe impl OnRing for Nothing {
    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build()
    }

    fn complete(self: Box<Self>, result: i32) {
        self.0.store(result >= 0, Ordering::Relaxed);
    }
}

/// Whether the kernel, or a sandbox, will never take anything from this ring.
fn is_for_good(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EBADF
                | libc::ENXIO
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EACCES
                | libc::ENOSYS
                | libc::EBADFD
                | libc::EINVAL
        )
    )
}

/// The descriptor of a ring, for the reactor.
pub(super) struct RingFd(pub(super) &'static Ring);

impl AsFd for RingFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring is never dropped, so its descriptor stays open.
        unsafe { BorrowedFd::borrow_raw(self.0.uring.as_raw_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Instant;

    use io_uring::types;

    use super::*;

    /// What operations of these tests leave behind.
    #[derive(Default)]
    struct Log {
        results: Mutex<Vec<i32>>,
        /// Buffers that were dropped.
        dropped: AtomicUsize,
    }

    impl Log {
        fn results(&self) -> Vec<i32> {
            self.results.lock().unwrap().clone()
        }

        fn wait_for(&self, ring: &'static Ring, count: usize) {
            let begin = Instant::now();
            while self.results().len() < count {
                ring.reap();
                assert!(
                    begin.elapsed() < Duration::from_secs(60),
                    "it takes too long"
                );
                thread::yield_now();
            }
        }
    }

    struct NoOp(Arc<Log>);

    // SAFETY: the entry names nothing.
    unsafe impl OnRing for NoOp {
        fn entry(&mut self) -> squeue::Entry {
            opcode::Nop::new().build()
        }

        fn complete(self: Box<Self>, result: i32) {
            self.0.results.lock().unwrap().push(result);
        }
    }

    /// Reads one byte of a pipe: it takes as long as the test wants.
    struct Byte {
        log: Arc<Log>,
        pipe: Arc<OwnedFd>,
        byte: Box<[u8; 1]>,
    }

    // SAFETY: the byte has a place of its own, and the pipe is shared.
    unsafe impl OnRing for Byte {
        fn entry(&mut self) -> squeue::Entry {
            let fd = types::Fd(self.pipe.as_raw_fd());
            opcode::Read::new(fd, self.byte.as_mut_ptr(), 1)
                .offset(u64::MAX)
                .build()
        }

        fn complete(self: Box<Self>, result: i32) {
            assert!(result != 1 || *self.byte == [7]);
            self.log.results.lock().unwrap().push(result);
        }
    }

    impl Drop for Byte {
        fn drop(&mut self) {
            self.log.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A small ring, if there can be any.
    fn small(limit: usize) -> Option<&'static Ring> {
        match Ring::with_sizes(4, 8, limit) {
            Ok(ring) => Some(ring),
            Err(error) => {
                eprintln!("skipped: needs io_uring ({error})");
                None
            }
        }
    }

    fn inject(ring: &Ring, codes: impl IntoIterator<Item = i32>) {
        ring.submitting().faults.extend(codes);
    }

    fn submit_patiently(ring: &'static Ring, mut op: Box<dyn OnRing>) {
        while let Err(back) = ring.submit(op) {
            op = back;
            ring.look_after();
            thread::yield_now();
        }
    }

    #[test]
    fn every_entry_is_completed_once_whatever_the_kernel_has_no_room_for() {
        let Some(ring) = small(8) else { return };
        let log = Arc::new(Log::default());
        let codes = [libc::EAGAIN, libc::EBUSY, libc::EINTR, libc::ENOMEM];
        inject(ring, codes.into_iter().cycle().take(3000));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        submit_patiently(ring, Box::new(NoOp(log.clone())));
                    }
                });
            }
        });
        inject(ring, []);
        let begin = Instant::now();
        while log.results().len() < 1000 {
            ring.look_after();
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(log.results(), [0; 1000]);
        assert_eq!(ring.in_flight(), 0);
        assert!(ring.flight.is_consistent());
        assert_eq!(ring.counters.submitted.load(Ordering::SeqCst), 1000);
        assert_eq!(ring.counters.completed.load(Ordering::SeqCst), 1000);
        assert_eq!(ring.counters.strays.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn no_more_are_on_their_way_than_there_may_be() {
        let Some(ring) = small(3) else { return };
        let log = Arc::new(Log::default());
        let (reader, mut writer) = std::io::pipe().unwrap();
        let pipe = Arc::new(OwnedFd::from(reader));
        let byte = || {
            let (log, pipe) = (log.clone(), pipe.clone());
            let byte = Box::new([0]);
            Box::new(Byte { log, pipe, byte })
        };
        for _ in 0..3 {
            assert!(ring.submit(byte()).is_ok());
        }
        assert!(ring.submit(byte()).is_err());
        writer.write_all(&[7]).unwrap();
        log.wait_for(ring, 1);
        assert!(ring.submit(byte()).is_ok());
        assert!(ring.submit(byte()).is_err());
        drop(writer);
        log.wait_for(ring, 4);
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn completions_beyond_the_queue_are_fetched_and_memory_lives_until_then() {
        let Some(ring) = small(100) else { return };
        let log = Arc::new(Log::default());
        let (reader, mut writer) = std::io::pipe().unwrap();
        let pipe = Arc::new(OwnedFd::from(reader));
        for _ in 0..40 {
            let (log, pipe) = (log.clone(), pipe.clone());
            let byte = Box::new([0]);
            submit_patiently(ring, Box::new(Byte { log, pipe, byte }));
        }
        drop(pipe);
        assert_eq!(log.dropped.load(Ordering::SeqCst), 0);
        assert_eq!(ring.in_flight(), 40);
        writer.write_all(&[7; 39]).unwrap();
        drop(writer);
        log.wait_for(ring, 40);
        let mut results = log.results();
        results.sort_unstable();
        assert_eq!(results[0], 0);
        assert_eq!(results[1..], [1; 39]);
        assert_eq!(log.dropped.load(Ordering::SeqCst), 40);
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn a_ring_that_is_refused_gives_everything_back_and_takes_nothing_more() {
        let Some(ring) = small(8) else { return };
        let log = Arc::new(Log::default());
        inject(ring, [libc::EBUSY; TRIES]);
        assert!(ring.submit(Box::new(NoOp(log.clone()))).is_ok());
        assert_eq!(log.results(), [0; 0], "it stands in the queue");
        inject(ring, [libc::EPERM]);
        assert!(ring.submit(Box::new(NoOp(log.clone()))).is_ok());
        assert_eq!(log.results(), [-libc::ECANCELED; 2]);
        assert!(ring.submit(Box::new(NoOp(log.clone()))).is_err());
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn a_child_of_fork_does_not_touch_the_ring() {
        let Some(ring) = small(8) else { return };
        let (reader, _writer) = std::io::pipe().unwrap();
        let log = Arc::new(Log::default());
        let op = Byte {
            log: log.clone(),
            pipe: Arc::new(OwnedFd::from(reader)),
            byte: Box::new([0]),
        };
        assert!(ring.submit(Box::new(op)).is_ok());
        let (mut answer, from_child) = std::io::pipe().unwrap();
        // SAFETY: the child makes no call but those that a signal handler may make, and ends.
        match unsafe { libc::fork() } {
            0 => {
                let nothing = NoOp(log);
                ring.reap();
                let refused = ring.submit(Box::new(nothing)).is_err();
                let _ = File::from(OwnedFd::from(from_child)).write_all(&[u8::from(refused)]);
                // SAFETY: it does not return.
                unsafe { libc::_exit(0) }
            }
            child => {
                drop(from_child);
                let mut refused = [0];
                answer.read_exact(&mut refused).unwrap();
                assert_eq!(refused, [1]);
                // SAFETY: it is our child.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
                assert_eq!(ring.in_flight(), 1);
            }
        }
    }
}
