//! The primitives that threads agree by, of which all that is waited for and passed on is made: a model checker puts its
//! own in this place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, Once, RwLock};
pub(crate) use std::thread_local;
pub(crate) use std::time::Instant;
