//! Operations that are not performed, because there is nobody to perform them: they fail as if the kernel had refused their
//! first call.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use super::fork;

/// Why an operation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The process is a child of fork.
    Child,
    /// The system gives no thread, and none is there.
    NoThread,
}

/// The code with which the system has refused a thread, as long as there is none for what is queued; otherwise zero.
static NO_THREAD: AtomicI32 = AtomicI32::new(0);

thread_local! {
    /// What this thread does is refused.
    static HERE: Cell<Option<Refusal>> = const { Cell::new(None) };
}

/// Why nobody will come for what is queued, if nobody will.
pub(super) fn now() -> Option<Refusal> {
    if fork::is_child() {
        Some(Refusal::Child)
    } else if NO_THREAD.load(Ordering::Relaxed) != 0 {
        Some(Refusal::NoThread)
    } else {
        None
    }
}

/// There is no thread for what is queued, or there is one again.
pub(super) fn set_no_thread(why: Option<&io::Error>) {
    /// EAGAIN, or what is nearest to it.
    const USUAL: i32 = 11;
    let code = why.map_or(0, |error| error.raw_os_error().unwrap_or(USUAL));
    NO_THREAD.store(code, Ordering::Relaxed);
}

/// Has every system call of this thread fail until the guard goes.
pub(super) fn enter(refusal: Refusal) -> impl Drop {
    struct Restore(Option<Refusal>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    Restore(HERE.replace(Some(refusal)))
}

/// Called before each system call.
#[inline]
pub(super) fn check() -> io::Result<()> {
    match HERE.get() {
        None => Ok(()),
        Some(Refusal::Child) => Err(fork::refusal()),
        Some(Refusal::NoThread) => Err(match NO_THREAD.load(Ordering::Relaxed) {
            0 => io::ErrorKind::WouldBlock.into(),
            code => io::Error::from_raw_os_error(code),
        }),
    }
}
