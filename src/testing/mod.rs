//! Faults, hand-stepped jobs and directories in memory for tests (feature `testing`).
//!
//! [`Faults`] makes chosen system calls of this crate fail, come short, wait or panic; [`Stepper`] runs the jobs of the
//! thread pool one by one. Both hold for what the present thread submits, so tests can run side by side.
//!
//! [`memory_dir`] creates a directory for files that never reach a device.

mod memory;

#[doc(inline)]
pub use crate::backend::fault::{Call, Faults, Gate, Stepper};
pub use memory::memory_dir;
