//! The operations that are on their way through a ring, and how many these are.

use std::sync::PoisonError;

use super::slab::{Key, Slab};
use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};
use super::turn::Turn;

pub(super) struct Flight<T> {
    /// A leaf: nothing is called while it is locked.
    slab: Mutex<Slab<T>>,
    /// Not less than the slab holds: where nothing is on its way, no completion is to come.
    count: AtomicUsize,
    limit: usize,
    /// Who reaps guards the completion queue.
    reaping: Turn,
}

impl<T> Flight<T> {
    pub(super) fn new(limit: usize) -> Flight<T> {
        Flight {
            slab: Mutex::new(Slab::new()),
            count: AtomicUsize::new(0),
            limit,
            reaping: Turn::new(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many operations are on their way.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn slab(&self) -> MutexGuard<'_, Slab<T>> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that one more can be kept, and says how many there are beside it. `None` if there is no room.
    pub(super) fn reserve(&self) -> Option<usize> {
        let more = |count| (count < self.limit).then_some(count + 1);
        let order = Ordering::SeqCst;
        self.count.fetch_update(order, order, more).ok()
    }

    /// Keeps an operation for which there is room, until its completion.
    pub(super) fn keep(&self, op: T) -> Key {
        self.slab().insert(op)
    }

    /// Gives an operation up. `None` if there is none of this key, or not any more.
    pub(super) fn remove(&self, key: Key) -> Option<T> {
        let op = self.slab().remove(key);
        if op.is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
        op
    }

    /// Has completions copied out of their queue by one thread at a time, and handed to `land` with their operations.
    pub(super) fn reap<R>(
        &self,
        copy: impl FnMut() -> Vec<(Key, R)>,
        mut land: impl FnMut(Option<T>, R),
    ) {
        self.reaping.take(copy, |completions| {
            for (key, result) in completions {
                land(self.remove(key), result);
            }
        });
    }

    /// Whether the books are right: what is kept is counted.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let slab = self.slab();
        slab.len() <= self.count()
    }
}
