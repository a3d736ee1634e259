//! The primitives that a slot and the bookkeeping of a ring are made of: a model checker puts its own in this place.

#[cfg(all(feature = "uring", target_os = "linux"))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};
#[cfg(all(feature = "uring", target_os = "linux"))]
pub(super) use std::thread_local;
