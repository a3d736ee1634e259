//! Who waits: a slab of wakers, a seat in it for everybody who may wait.
//!
//! A stream has one, with a seat for every role of every handle; so have the process-wide lists of what goes on after
//! its owner has gone.

use std::task::Waker;

use crate::backend;

/// A seat among the waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat(u32);

/// The wakers of those who wait now.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    seats: Vec<Option<Waker>>,
    free: Vec<u32>,
    /// How many of the seats hold a waker.
    waiting: usize,
    /// Wakers that gave way to newer ones. Dropping one may drop a task, and that a handle of this very stream, so they
    /// are dropped once the lock is released.
    pub(crate) replaced: Vec<Waker>,
}

impl Waiters {
    pub(crate) const fn new() -> Waiters {
        Waiters {
            seats: Vec::new(),
            free: Vec::new(),
            waiting: 0,
            replaced: Vec::new(),
        }
    }

    /// Reserves a seat.
    pub(crate) fn enter(&mut self) -> Seat {
        match self.free.pop() {
            Some(index) => Seat(index),
            None => {
                self.seats.push(None);
                Seat(self.seats.len() as u32 - 1)
            }
        }
    }

    /// Gives a seat up; its waker is returned to be dropped outside the lock.
    pub(crate) fn leave(&mut self, seat: Seat) -> Option<Waker> {
        self.free.push(seat.0);
        let waker = self.seats[seat.0 as usize].take();
        self.waiting -= usize::from(waker.is_some());
        waker
    }

    /// Waits in a seat; the last waker counts.
    pub(crate) fn wait(&mut self, seat: Seat, waker: &Waker) {
        match &mut self.seats[seat.0 as usize] {
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
    pub(crate) fn take(&mut self) -> Wakers {
        let mut wakers = Wakers::default();
        if self.waiting == 0 {
            return wakers;
        }
        self.waiting = 0;
        for waker in self.seats.iter_mut().filter_map(Option::take) {
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
pub(crate) struct Wakers {
    /// The usual single waiter, without an allocation.
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakers {
    /// Wakes them all.
    pub(crate) fn wake(self) {
        self.first
            .into_iter()
            .chain(self.rest)
            .for_each(backend::wake);
    }

    /// Wakes them all, perhaps a little later: for the very end of a job.
    pub(crate) fn wake_soon(self) {
        self.first
            .into_iter()
            .chain(self.rest)
            .for_each(backend::wake_soon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_was_left_is_the_next_one_s_and_keeps_no_waker() {
        let mut waiters = Waiters::new();
        let (one, two) = (waiters.enter(), waiters.enter());
        assert_ne!(one, two);
        waiters.wait(one, Waker::noop());
        assert!(waiters.leave(one).is_some());
        assert!(waiters.leave(two).is_none());
        for _ in 0..100 {
            let seats = [waiters.enter(), waiters.enter()];
            assert_ne!(seats[0], seats[1]);
            assert!(
                seats
                    .map(|seat| waiters.leave(seat))
                    .iter()
                    .all(Option::is_none)
            );
        }
        assert_eq!(waiters.seats.len(), 2);
    }
}
