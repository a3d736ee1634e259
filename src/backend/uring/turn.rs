//! Taking turns at something that one thread does for all.
#![allow(
    clippy::missing_const_for_thread_local,
    reason = "the macro of a model checker takes no `const`"
)]

use std::cell::Cell;
use std::sync::TryLockError;

use super::sync::{AtomicBool, Mutex, Ordering};

/// Sees to it that after every call of [`take`](Self::take) the work is done at least once more from its beginning, by
/// this thread or by the one that is at it, and that nobody waits for that.
#[derive(Debug)]
pub(super) struct Turn {
    /// Only ever swapped: who swaps knows of all that was done before earlier swaps, also by those that found the lock
    /// taken, which says nothing about what is known.
    again: AtomicBool,
    at_it: Mutex<()>,
}

super::sync::thread_local! {
    /// For which turn this thread does what follows the work, and comes back to look whether there is more.
    static FOLLOWS: Cell<*const Turn> = Cell::new(std::ptr::null());
}

impl Turn {
    pub(super) fn new() -> Turn {
        Turn {
            again: AtomicBool::new(false),
            at_it: Mutex::new(()),
        }
    }

    /// Has `work` done, and what follows from it, for which others may already work again.
    pub(super) fn take<T>(&self, mut work: impl FnMut() -> T, mut follow: impl FnMut(T)) {
        loop {
            self.again.swap(true, Ordering::SeqCst);
            // What follows here may ask for more of the same: the loop around it does that.
            if std::ptr::eq(FOLLOWS.with(Cell::get), self) {
                return;
            }
            let done = {
                // Whoever is at it sees the wish when it has done.
                let _at_it = match self.at_it.try_lock() {
                    Ok(guard) => guard,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => return,
                };
                // From here on wishes are new ones.
                self.again.swap(false, Ordering::SeqCst);
                work()
            };
            {
                let _follows = Follows::new(self);
                follow(done);
            }
            if !self.again.swap(false, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// Until it is dropped, the thread comes back; also if what follows panics, it is not taken for one that does any longer.
struct Follows(*const Turn);

impl Follows {
    fn new(turn: &Turn) -> Follows {
        Follows(FOLLOWS.with(|follows| follows.replace(turn)))
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        FOLLOWS.with(|follows| follows.set(self.0));
    }
}
