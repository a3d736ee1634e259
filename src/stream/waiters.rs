//! Who waits for a stream: a slab of wakers, a place in it for every role of every handle.

use std::panic::{self, AssertUnwindSafe};
use std::task::Waker;

/// A place among the waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// The wakers of those who wait now.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    places: Vec<Option<Waker>>,
    free: Vec<u32>,
    /// How many of the places hold a waker.
    waiting: usize,
    /// Wakers that gave way to newer ones. Dropping one may drop a task, and that a handle of this very stream, so they
    /// are dropped once the lock is released.
    pub(super) replaced: Vec<Waker>,
}

impl Waiters {
    /// Reserves a place.
    pub(super) fn enter(&mut self) -> Place {
        match self.free.pop() {
            Some(index) => Place(index),
            None => {
                self.places.push(None);
                Place(self.places.len() as u32 - 1)
            }
        }
    }

    /// Gives a place up; its waker is returned to be dropped outside the lock.
    pub(super) fn leave(&mut self, place: Place) -> Option<Waker> {
        self.free.push(place.0);
        let waker = self.places[place.0 as usize].take();
        self.waiting -= usize::from(waker.is_some());
        waker
    }

    /// Waits in a place; the last waker counts.
    pub(super) fn wait(&mut self, place: Place, waker: &Waker) {
        match &mut self.places[place.0 as usize] {
            Some(present) if present.will_wake(waker) => {}
            Some(present) => self
                .replaced
                .push(std::mem::replace(present, waker.clone())),
            none => {
                *none = Some(waker.clone());
                self.waiting += 1;
            }
        }
    }

    /// Takes the wakers out, each task once, to be woken outside the lock.
    pub(super) fn take(&mut self) -> Wakers {
        let mut wakers = Wakers::default();
        if self.waiting == 0 {
            return wakers;
        }
        self.waiting = 0;
        for waker in self.places.iter_mut().filter_map(Option::take) {
            // Roles of one task are neighbours, or nearly: a look at a few is enough to wake it once.
            if wakers.first.is_none() {
                wakers.first = Some(waker);
            } else if !wakers
                .rest
                .iter()
                .rev()
                .take(6)
                .chain(&wakers.first)
                .any(|known| known.will_wake(&waker))
            {
                wakers.rest.push(waker);
            }
        }
        wakers
    }
}

/// Wakers to be woken once the lock is released.
#[derive(Debug, Default)]
#[must_use = "whoever was taken out must be woken"]
pub(super) struct Wakers {
    /// The usual single waiter, without an allocation.
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakers {
    /// Wakes them all. A waker that panics harms nobody but itself: the others are woken, and the job goes on.
    pub(super) fn wake(self) {
        for waker in self.first.into_iter().chain(self.rest) {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}
