//! Children of fork(2): of all threads, a child has only the one that forked.
//!
//! So nothing that it hands to the pool would ever be done, and whatever a lock of this crate guards may be half changed for
//! ever. Once the parent has used the pool, operations of a child that goes on without exec(2) are refused.
#![allow(unsafe_code, reason = "std has no hook for fork")]

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process was forked from one that had threads of ours.
static CHILD: AtomicBool = AtomicBool::new(false);

/// Sees to it that a child will know what it is.
pub(super) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(install);
}

/// Whether this process is such a child.
pub(crate) fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed)
}

/// Refuses what such a child wants.
pub(crate) fn check() -> io::Result<()> {
    if is_child() { Err(refusal()) } else { Ok(()) }
}

/// What such a child is told.
pub(super) fn refusal() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "a child of fork has none of the threads that perform file operations",
    )
}

#[cfg(unix)]
fn install() {
    use std::ffi::c_int;

    type Hook = Option<unsafe extern "C" fn()>;

    unsafe extern "C" {
        fn pthread_atfork(prepare: Hook, parent: Hook, child: Hook) -> c_int;
    }

    unsafe extern "C" fn hook() {
        CHILD.store(true, Ordering::Relaxed);
    }

    // SAFETY: `hook` is a function of this program, takes nothing, and does what may be done after fork.
    let _ = unsafe { pthread_atfork(None, None, Some(hook)) };
}

#[cfg(not(unix))]
fn install() {}
