//! Memory that a process shares with the children that it forks: what a child says there outlives it, however it ends.
#![allow(unsafe_code, reason = "no crate that the tests use offers such memory")]

use std::io;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU64;

/// What may lie in memory that another process writes to: atomics, all of which begin as 0.
///
/// # Safety
///
/// Every bit pattern is a value, and all of it may change at any time.
pub unsafe trait Report {}

// SAFETY: an atomic integer.
unsafe impl Report for AtomicU64 {}

/// A value of `R` in memory that children made by `fork` share with this process.
pub struct Shared<R: Report>(NonNull<R>);

// SAFETY: it is nothing but a reference to atomics, which any thread may use.
unsafe impl<R: Report> Send for Shared<R> {}
// SAFETY: as above.
unsafe impl<R: Report> Sync for Shared<R> {}

impl<R: Report> Shared<R> {
    /// All bits are 0.
    pub fn new() -> Shared<R> {
        // SAFETY: a new mapping wherever there is room, of no file.
        let memory = unsafe {
            libc::mmap(
                null_mut(),
                size_of::<R>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Shared(NonNull::new(memory.cast()).expect("it is mapped"))
    }
}

impl<R: Report> Default for Shared<R> {
    fn default() -> Shared<R> {
        Shared::new()
    }
}

impl<R: Report> Deref for Shared<R> {
    type Target = R;

    fn deref(&self) -> &R {
        // SAFETY: mapped until it is dropped, page-aligned, and any bits are a value.
        unsafe { self.0.as_ref() }
    }
}

impl<R: Report> Drop for Shared<R> {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no reference outlives this value.
        let unmapped = unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<R>()) };
        assert_eq!(unmapped, 0, "{}", io::Error::last_os_error());
    }
}
