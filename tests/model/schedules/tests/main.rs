//! The whole crate, with files of the operating system, under schedules that are drawn at random: `shuttle` decides at
//! every lock, atomic, thread and timer who goes on. See `../../README.md`.
//!
//! That everybody comes to an end is a part of every test: if somebody waits for ever, the model says so.
#![allow(
    clippy::disallowed_methods,
    reason = "the threads are those of the model"
)]

mod dispatcher;
mod ends;
mod reading;
mod writing;

use std::future::Future;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, FailurePersistence, Runner};

pub(crate) use shuttle::future::block_on;
pub(crate) use shuttle::thread;

/// Runs `body` under so many schedules, times `AIOFILES_TEST_SCALE`. `AIOFILES_SEED` repeats those of an earlier run.
pub(crate) fn schedules(number: usize, body: impl Fn() + Send + Sync + 'static) {
    // What belongs to the process belongs to one schedule at a time, and is not to be relied on after a failure.
    static ONE: Mutex<()> = Mutex::new(());
    static FAILED: AtomicBool = AtomicBool::new(false);
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        !FAILED.swap(true, Ordering::Relaxed),
        "not run: another test has failed before"
    );

    let scale = std::env::var("AIOFILES_TEST_SCALE").map_or(1.0, |text| {
        text.parse::<f64>()
            .expect("AIOFILES_TEST_SCALE is a number")
    });
    let number = ((number as f64 * scale) as usize).max(1);
    let seed = std::env::var("AIOFILES_SEED").map_or_else(
        |_| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), number),
        |text| text.parse().expect("AIOFILES_SEED is a number"),
    );
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("to repeat these schedules: AIOFILES_SEED={}", self.0);
            }
        }
    }
    let _seed = Seed(seed);

    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::None;
    let scheduler = RandomScheduler::new_from_seed(seed, number);
    Runner::new(scheduler, config).run(move || {
        blocking::begin_schedule();
        body();
        // Whatever has begun comes to an end, and leaves nothing.
        let mut looks = 0;
        loop {
            let backend = aiofiles::backend();
            looks += 1;
            assert!(looks < 10_000, "it comes to no end: {backend:?}");
            if backend.queued() + backend.running() + backend.drainers() == 0
                && backend.pending_closes() == 0
            {
                break;
            }
            thread::yield_now();
        }
    });
    FAILED.store(false, Ordering::Relaxed);
    let test = std::thread::current();
    eprintln!("{}: {number} schedules", test.name().unwrap_or("?"));
}

/// A decision of the schedule.
pub(crate) fn one_of(n: usize) -> usize {
    thread_rng().gen_range(0..n)
}

/// A file without a name, and another handle on it for looking.
pub(crate) fn file() -> (aiofiles::File, std::fs::File) {
    let file = tempfile::tempfile().expect("a temporary file");
    let look = file.try_clone().expect("a duplicate");
    (aiofiles::File::from(file), look)
}

/// The same with room for so few bytes that writers wait for it.
pub(crate) fn narrow_file() -> (aiofiles::File, std::fs::File) {
    let look = tempfile::tempfile().expect("a temporary file");
    let mut options = aiofiles::OpenOptions::new();
    options.read(true).write(true).buffer_size(4);
    let path = format!("/proc/self/fd/{}", look.as_raw_fd());
    (block_on(options.open(path)).expect("the same file"), look)
}

/// What a file holds.
pub(crate) fn content(file: &std::fs::File) -> Vec<u8> {
    let len = file.metadata().expect("metadata").len();
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    bytes
}

/// Drives a future to its end, or drops it after some polls; then `None`.
pub(crate) fn perhaps<T>(future: impl Future<Output = T>) -> Option<T> {
    match one_of(4) {
        0 => None,
        1 => {
            let mut future = pin!(future);
            for _ in 0..=one_of(8) {
                if let std::task::Poll::Ready(output) = poll_now(future.as_mut()) {
                    return Some(output);
                }
                thread::yield_now();
            }
            None
        }
        _ => Some(block_on(future)),
    }
}

/// One poll, after which nobody is woken.
pub(crate) fn poll_now<F: Future>(future: Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The code of an error.
pub(crate) fn code(error: &io::Error) -> i32 {
    aiofiles::raw_os_error(error).expect("an error of the operating system")
}
