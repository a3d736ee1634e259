//! Whether the `blocking` pool can have the thread that a job of ours may make it start.
//!
//! `blocking` 1.6 and 1.7 try for ever to start a thread that the system refuses, and hold their lock meanwhile. So before
//! a job for which none of the threads that we know is free, a thread is started that does nothing: if that is refused,
//! `blocking` is not asked. One job at a time may be without a thread; further ones are put aside until it has begun.
//!
//! A thread that has done its job is not free for `blocking` until it is back in its loop there, which nobody can see. So
//! it stays here for a moment, for what begins next, and after that it is doubtful for a while whether it is free.
//!
//! What remains is a race: somebody else may take the place of that thread before `blocking` does. And other jobs of the
//! pool than ours are not known here.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::{self, Start};

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
    /// When the last jobs ended, as far as it is doubtful whether their threads are free.
    ended: VecDeque<u64>,
    /// When a thread could be had.
    could: u64,
}

static THREADS: Mutex<Threads> = Mutex::new(Threads {
    known: 0,
    busy: 0,
    awaited: false,
    aside: VecDeque::new(),
    staying: 0,
    offers: VecDeque::new(),
    ended: VecDeque::new(),
    could: 0,
});

/// Notified of every offer.
static OFFERED: Condvar = Condvar::new();

/// How long a thread takes from its job to the place where it waits for the next one, at most, unless it is interrupted.
const WAY_BACK: Duration = Duration::from_micros(2);

/// The same with every interruption there may be.
const LONG_WAY_BACK: Duration = Duration::from_millis(10);

/// So long it is believed that a thread can be had, once one could be.
const HOLDS: Duration = Duration::from_millis(100);

/// How long a thread stays that has nothing to do.
const STAY: Duration = Duration::from_millis(1);

/// How many threads stay at the same time.
const MOST_STAYING: usize = 8;

/// A model has threads for everything, and forgets them after each of its runs.
const IS_MODEL: bool = cfg!(aiofiles_model);

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
        let now = pool::nanos();
        let mut threads = lock();
        if IS_MODEL {
            threads.busy += 1;
            return Room::Found(start, Seat { awaited: false });
        }
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
        if threads.is_free(now) {
            return Room::Found(start, Seat { awaited: false });
        }
        threads.awaited = true;
    }
    let refused = probe();
    let mut threads = lock();
    let Err(error) = refused else {
        threads.could = pool::nanos();
        return Room::Found(start, Seat { awaited: true });
    };
    threads.could = 0;
    threads.awaited = false;
    if threads.busy == 1 && threads.known > 0 {
        // Nobody else would come for it. There is a thread, which is free by now or in an instant.
        threads.wait_for_the_last();
        return Room::Found(start, Seat { awaited: false });
    }
    threads.busy -= 1;
    let mut refused = vec![start];
    refused.extend(threads.aside.drain(..));
    Room::Refused(refused, error)
}

impl Threads {
    /// Whether there is a thread for all jobs, the new one too.
    fn is_free(&mut self, now: u64) -> bool {
        if self.busy > self.known {
            return false;
        }
        let is_old = |ended: &u64| ended + (LONG_WAY_BACK.as_nanos() as u64) < now;
        while self.ended.front().is_some_and(is_old) {
            self.ended.pop_front();
        }
        if self.busy + self.ended.len() <= self.known {
            return true;
        }
        // They are free by now, but for a bad accident. Then another thread is started, which will hardly be refused.
        let believed = self.could != 0 && now < self.could + HOLDS.as_nanos() as u64;
        if believed {
            self.wait_for_the_last();
        }
        believed
    }

    /// Gives the thread that has left last the time that it needs.
    fn wait_for_the_last(&self) {
        if let Some(ended) = self.ended.back() {
            while pool::nanos() < ended + WAY_BACK.as_nanos() as u64 {
                std::hint::spin_loop();
            }
        }
    }
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
        if IS_MODEL {
            return None;
        }
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
        let now = pool::nanos();
        let mut threads = lock();
        threads.busy -= 1;
        threads.ended.push_back(now);
        // It is enough to know as many as there are threads.
        if threads.ended.len() > threads.known {
            threads.ended.pop_front();
        }
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
