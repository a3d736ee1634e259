//! Whether the reactor will tell of a ring.

use std::sync::PoisonError;

use super::sync::{AtomicBool, Mutex, Ordering};

/// Sees to it that the reactor is asked to tell once, and again after it has told, if there is more to come.
#[derive(Debug)]
pub(super) struct Arm {
    /// The reactor will tell, or somebody is about to ask for that.
    is_set: AtomicBool,
    setting: Mutex<()>,
}

impl Arm {
    pub(super) fn new() -> Arm {
        Arm {
            is_set: AtomicBool::new(false),
            setting: Mutex::new(()),
        }
    }

    /// Calls `watch`, which asks the reactor to tell, unless it will. `false` if it cannot be asked now.
    pub(super) fn set(&self, watch: impl FnOnce() -> bool) -> bool {
        if self.is_set.swap(true, Ordering::SeqCst) {
            return true;
        }
        let _setting = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let will_tell = watch();
        if !will_tell {
            self.is_set.store(false, Ordering::SeqCst);
        }
        will_tell
    }

    /// The reactor has told. `reap` completes what is done, and says whether more is on its way.
    pub(super) fn told(&self, reap: impl FnOnce() -> bool, watch: impl FnOnce() -> bool) -> bool {
        // First this: what is submitted while the rest goes on may be done too late for that. It is a swap so that what
        // was submitted by those that found it set is counted below.
        self.is_set.swap(false, Ordering::SeqCst);
        !reap() || self.set(watch)
    }
}
