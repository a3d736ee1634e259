//! Faults and hand-stepped jobs for tests (feature `testing`).
//!
//! [`Faults`] makes chosen system calls of this crate fail, come short, wait or panic; [`Stepper`] runs the jobs of the
//! thread pool one by one. Both hold for what the present thread submits, so tests can run side by side.

#[doc(inline)]
pub use crate::backend::fault::{Call, Faults, Gate, Stepper};
