//! The primitives that `turn.rs` is made of: a model checker puts its own in this place.

pub(super) use std::sync::Mutex;
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::thread_local;
