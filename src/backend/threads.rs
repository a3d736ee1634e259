//! Whether the `blocking` pool can have the thread that a job of ours may make it start.
//!
//! `blocking` 1.6 and 1.7 try for ever to start a thread that the system refuses, and hold their lock meanwhile. So before
//! a job for which none of the threads that we know is free, a thread is started that does nothing: if that is refused,
//! `blocking` is not asked. One job at a time may be without a thread; further ones are put aside until it has begun.
//!
//! A thread that has done its job is not free for `blocking` until it is back in its loop there, which nobody can see. So
//! it stays here for a moment, for what begins next, and after that it does not count as free for a while.
//!
//! What remains is a race: somebody else may take the place of that thread before `blocking` does. And other jobs of the
//! pool than ours are not known here.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::Start;

/// Our jobs, and the threads of the pool that have done any.
struct Threads {
    /// Threads that live.
    known: usize,
    /// Jobs that were given to the pool and have not ended.
    busy: usize,
    /// A job was given to the pool that may need a new thread, and has not begun.
    awaited: bool,
    /// What is to begin after it.
    aside: VecDeque<Start>,
    /// Busy threads that have nothing to do, and stay.
    staying: usize,
    /// What some of them are to begin.
    offers: VecDeque<Start>,
}

static THREADS: Mutex<Threads> = Mutex::new(Threads {
    known: 0,
    busy: 0,
    awaited: false,
    aside: VecDeque::new(),
    staying: 0,
    offers: VecDeque::new(),
});

/// Notified of every offer.
static OFFERED: Condvar = Condvar::new();

/// When the last job ended.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// How long a thread takes from there to the place where it waits for the next one, at most, unless it is interrupted.
const WAY_BACK: Duration = Duration::from_micros(2);

/// The same with every interruption there may be.
const LONG_WAY_BACK: Duration = Duration::from_millis(10);

/// How long a thread stays that has nothing to do.
const STAY: Duration = Duration::from_millis(1);

/// How many threads stay at the same time.
const MOST_STAYING: usize = 8;

fn lock() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What becomes of something that is to begin.
pub(super) enum Room {
    /// There is a thread for it.
    Found(Start, Seat),
    /// It begins after another.
    Later,
    /// There is none, neither for it nor for what was to begin after it.
    Refused(Vec<Start>, io::Error),
}

/// A share of the pool's threads, for one job.
#[derive(Debug)]
pub(super) struct Seat {
    awaited: bool,
}

/// Finds a thread for a job.
pub(super) fn room(start: Start) -> Room {
    {
        let mut threads = lock();
        if threads.offers.len() < threads.staying {
            threads.offers.push_back(start);
            OFFERED.notify_one();
            return Room::Later;
        }
        if threads.awaited {
            threads.aside.push_back(start);
            return Room::Later;
        }
        threads.busy += 1;
        if threads.busy <= threads.known && !ended_within(LONG_WAY_BACK) {
            return Room::Found(start, Seat { awaited: false });
        }
        threads.awaited = true;
    }
    let Err(error) = probe() else {
        return Room::Found(start, Seat { awaited: true });
    };
    let mut threads = lock();
    threads.awaited = false;
    if threads.busy == 1 && threads.known > 0 {
        // Nobody else would come for it. There is a thread, which is free by now or in an instant.
        drop(threads);
        while ended_within(WAY_BACK) {
            std::hint::spin_loop();
        }
        return Room::Found(start, Seat { awaited: false });
    }
    threads.busy -= 1;
    let mut refused = vec![start];
    refused.extend(threads.aside.drain(..));
    Room::Refused(refused, error)
}

/// Whether a job has ended lately.
fn ended_within(time: Duration) -> bool {
    super::pool::nanos() < ENDED.load(Ordering::Relaxed) + time.as_nanos() as u64
}

impl Seat {
    /// The job begins on this thread. Returns what is to begin next.
    pub(super) fn take(&self) -> Option<Start> {
        thread_local! {
            static HERE: Known = Known::new();
        }
        // While a thread ends it is not known any more, and does not come back.
        let _ = HERE.try_with(|_| ());
        let mut threads = lock();
        if self.awaited {
            threads.awaited = false;
        }
        match threads.awaited {
            true => None,
            false => threads.aside.pop_front(),
        }
    }

    /// The job has nothing more to do: stays for a moment. Returns what this thread is to begin instead of leaving.
    pub(super) fn stay(&self) -> Option<Start> {
        let end = Instant::now() + STAY;
        let mut threads = lock();
        if let Some(start) = threads.aside.pop_front() {
            return Some(start);
        }
        if threads.staying >= MOST_STAYING {
            return None;
        }
        threads.staying += 1;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(start) = threads.offers.pop_front() {
                threads.staying -= 1;
                return Some(start);
            }
            if left.is_zero() {
                threads.staying -= 1;
                return None;
            }
            threads = OFFERED
                .wait_timeout(threads, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// The job has ended.
impl Drop for Seat {
    fn drop(&mut self) {
        ENDED.store(super::pool::nanos(), Ordering::Relaxed);
        lock().busy -= 1;
    }
}

/// Whether any job of ours is at the pool.
pub(super) fn any_busy() -> bool {
    lock().busy > 0
}

/// Whether any thread of the pool has done something of ours, and lives.
pub(super) fn any_known() -> bool {
    lock().known > 0
}

/// A seat for a job that one of ours begins by itself, beside its own, if there is a thread for both.
pub(super) fn nest() -> Option<Seat> {
    let mut threads = lock();
    if threads.awaited || threads.busy + 1 >= threads.known {
        return None;
    }
    threads.busy += 1;
    Some(Seat { awaited: false })
}

/// A thread of the pool, as long as it lives.
struct Known;

impl Known {
    fn new() -> Known {
        lock().known += 1;
        Known
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        lock().known -= 1;
    }
}

/// Starts a thread that does nothing, and waits for its end.
pub(super) fn probe() -> io::Result<()> {
    let thread = thread::Builder::new()
        .name("aiofiles-probe".to_owned())
        .stack_size(16 * 1024)
        .spawn(super::sys::this_thread)?;
    if let Ok(number) = thread.join() {
        // It has still to give its place back.
        for _ in 0..1000 {
            if !super::sys::is_thread(number) {
                break;
            }
            thread::yield_now();
        }
    }
    Ok(())
}
