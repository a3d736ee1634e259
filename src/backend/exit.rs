//! The end of the process: accepted bytes are written before it.
//!
//! A handler of atexit(3) runs when `main` returns, after a panic in `main`, and in `std::process::exit`. It performs the
//! accepted work that nobody has begun, waits for what runs, and gives up when nothing moves any more.
#![allow(unsafe_code, reason = "std has no hook for the end of the process")]

use std::cell::Cell;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Instant, Mutex, Once, Ordering, thread_local,
};
use super::{pool, trace};

/// How long the process waits while nothing moves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Accepted jobs that have not ended.
static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);

/// Raised whenever accepted bytes reach the operating system.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// The process is ending: nothing more is accepted, or it would never end while others go on writing.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Notified when a job ends.
static ENDED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

thread_local! {
    /// Accepted jobs that run on this thread, one inside the other: `exit` may be called from within one.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// This thread ends the process. What it accepts meanwhile, in another hook, it writes itself.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// Sees to it that the end of the process is noticed.
pub(super) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(install);
}

/// One more job must run before the process ends.
pub(super) fn accepted() {
    watch();
    OUTSTANDING.fetch_add(1, Ordering::AcqRel);
}

/// The job begins on this thread.
pub(super) fn begin() {
    HERE.set(HERE.get() + 1);
}

/// The job leaves this thread, and goes on later.
pub(super) fn pause() {
    HERE.set(HERE.get() - 1);
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// The job has ended on this thread.
pub(super) fn end() {
    HERE.set(HERE.get() - 1);
    PROGRESS.fetch_add(1, Ordering::Relaxed);
    OUTSTANDING.fetch_sub(1, Ordering::AcqRel);
    // Taking the lock keeps the notice from falling between the waiter's look and its sleep.
    drop(ENDED.0.lock().unwrap_or_else(PoisonError::into_inner));
    ENDED.1.notify_all();
}

/// Some accepted bytes have reached the operating system.
pub(crate) fn progress() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// Whether bytes should no longer be accepted, because the process is ending.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed) && !ENDS.get()
}

/// Performs or awaits what was accepted.
fn finish() {
    ENDS.set(true);
    ENDING.store(true, Ordering::Relaxed);
    let mut last = (PROGRESS.load(Ordering::Relaxed), Instant::now());
    // Jobs of this very thread cannot end before we return.
    while OUTSTANDING.load(Ordering::Acquire) > HERE.get() {
        let _may_block = pool::allow_blocking();
        for job in pool::take_accepted(Duration::from_secs(1)).unwrap_or_default() {
            job.run();
        }
        if OUTSTANDING.load(Ordering::Acquire) <= HERE.get() {
            return;
        }
        // The lock is held for an instant by others; a job that died with it does not count.
        if let Ok(guard) = ENDED.0.try_lock() {
            drop(ENDED.1.wait_timeout(guard, Duration::from_millis(20)));
        }
        let now = PROGRESS.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            trace::gave_up(OUTSTANDING.load(Ordering::Relaxed) - HERE.get());
            return;
        }
    }
}

#[cfg(any(unix, windows))]
fn install() {
    use std::ffi::c_int;
    use std::sync::OnceLock;

    /// The process that installed the hook: a forked child has none of the threads that could finish the work.
    static PROCESS: OnceLock<u32> = OnceLock::new();

    unsafe extern "C" {
        fn atexit(hook: extern "C" fn()) -> c_int;
    }

    extern "C" fn hook() {
        if PROCESS.get() == Some(&std::process::id()) {
            // A panic must not leave a function that C calls.
            let _ = std::panic::catch_unwind(|| {
                // A subscriber may write files of this crate, which accept nothing more after that.
                trace::finish();
                finish();
                trace::finish();
            });
        }
    }

    PROCESS.get_or_init(std::process::id);
    // SAFETY: `hook` is a function of this program, takes nothing, and does not unwind.
    let _ = unsafe { atexit(hook) };
}

#[cfg(not(any(unix, windows)))]
fn install() {}
