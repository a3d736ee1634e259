//! What is checked.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::machine::{LARGE, Memory, Settings, USUAL, Way, Work, check, ring};
use crate::op::Manner::{Change, Query};
use crate::pool::Task as _;
use crate::slot::{InFlight, Slot};
use crate::turn::Turn;

/// Waits for the output, and gives it back.
fn wait(in_flight: InFlight<Work>) {
    drop(block_on(in_flight));
}

/// Polls once, and drops what comes of it.
fn poll_and_drop(in_flight: InFlight<Work>) {
    let mut in_flight = pin!(in_flight);
    let mut cx = Context::from_waker(Waker::noop());
    match in_flight.as_mut().poll(&mut cx) {
        Poll::Ready(work) => drop(work),
        Poll::Pending => {}
    }
}

#[test]
fn one_operation_is_completed_and_noticed() {
    for way in [Way::AtOnce, Way::Later, Way::InParts, Way::Elsewhere] {
        check(USUAL, move || {
            let memory = Memory::new();
            wait(Work::new(&memory, Query, way).start());
            assert_eq!(memory.dropped(), 1);
        });
    }
}

#[test]
fn two_operations_of_one_thread() {
    for ways in [[Way::Later, Way::Later], [Way::Later, Way::AtOnce]] {
        check(LARGE, move || {
            let memories = [Memory::new(), Memory::new()];
            let [one, two] = [0, 1].map(|n| Work::new(&memories[n], Query, ways[n]).start());
            wait(one);
            wait(two);
            assert_eq!(memories.map(|memory| memory.dropped()), [1, 1]);
        });
    }
}

#[test]
fn two_threads_submit() {
    for limit in [2, 1] {
        let settings = Settings { limit, ..LARGE };
        check(settings, || {
            let other = thread::spawn(|| {
                let memory = Memory::new();
                wait(Work::new(&memory, Query, Way::AtOnce).start());
                assert_eq!(memory.dropped(), 1);
            });
            let memory = Memory::new();
            wait(Work::new(&memory, Query, Way::Later).start());
            assert_eq!(memory.dropped(), 1);
            other.join().unwrap();
        });
    }
}

#[test]
fn a_future_is_dropped_at_any_time() {
    for manner in [Query, Change] {
        for way in [Way::Later, Way::InParts, Way::Elsewhere] {
            for polled in [false, true] {
                check(USUAL, move || {
                    let memory = Memory::new();
                    let in_flight = Work::new(&memory, manner, way).start();
                    match polled {
                        true => poll_and_drop(in_flight),
                        false => drop(in_flight),
                    }
                });
            }
        }
    }
}

#[test]
fn a_future_goes_to_another_thread() {
    check(USUAL, || {
        let memory = Memory::new();
        let mut in_flight = Work::new(&memory, Query, Way::Later).start();
        let mut cx = Context::from_waker(Waker::noop());
        if pin!(&mut in_flight).poll(&mut cx).is_pending() {
            thread::spawn(move || wait(in_flight));
        }
    });
}

#[test]
fn an_operation_of_the_pool() {
    for manner in [Query, Change] {
        for dropped in [false, true] {
            check(USUAL, move || {
                let memory = Memory::new();
                let (slot, in_flight) = Slot::new(Work::new(&memory, manner, Way::AtOnce));
                let pool = thread::spawn(move || slot.run());
                match dropped {
                    true => poll_and_drop(in_flight),
                    false => wait(in_flight),
                }
                pool.join().unwrap();
                assert_eq!(memory.dropped(), 1);
            });
        }
    }
}

#[test]
fn the_reactor_cannot_watch() {
    for refusals in [1, 2] {
        let settings = Settings { refusals, ..USUAL };
        check(settings, || {
            let memory = Memory::new();
            wait(Work::new(&memory, Query, Way::Later).start());
            assert_eq!(memory.dropped(), 1);
        });
    }
}

#[test]
fn what_is_kept_is_counted() {
    check(USUAL, || {
        let memory = Memory::new();
        let other = thread::spawn(|| {
            ring().assert_consistent();
            ring().assert_consistent();
        });
        wait(Work::new(&memory, Query, Way::Later).start());
        other.join().unwrap();
    });
}

/// What several threads have done in turns.
struct Turns {
    turn: Turn,
    /// Wishes, and how many of these the work has seen.
    wishes: AtomicUsize,
    seen: UnsafeCell<usize>,
    /// The most that anybody knew of when nobody was at it.
    followed: Count,
}

// SAFETY: loom sees to the order of all access.
unsafe impl Sync for Turns {}
// SAFETY: as above.
unsafe impl Send for Turns {}

impl Turns {
    fn wish(&self, nested: bool) {
        self.wishes.fetch_add(1, Ordering::Relaxed);
        let work = || {
            // SAFETY: one thread at a time is at it.
            self.seen.with_mut(|seen| unsafe {
                *seen = self.wishes.load(Ordering::Relaxed);
                *seen
            })
        };
        let mut nested = nested;
        self.turn.take(work, |seen| {
            self.followed.fetch_max(seen, Ordering::SeqCst);
            if std::mem::take(&mut nested) {
                self.wish(false);
            }
        });
    }
}

#[test]
fn every_wish_is_seen() {
    for nested in [false, true] {
        for threads in [2, 3] {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = Some(3);
            builder.check(move || {
                let turns = Arc::new(Turns {
                    turn: Turn::new(),
                    wishes: AtomicUsize::new(0),
                    seen: UnsafeCell::new(0),
                    followed: Count::new(0),
                });
                let others = (1..threads).map(|_| {
                    let turns = turns.clone();
                    thread::spawn(move || turns.wish(false))
                });
                let others = others.collect::<Vec<_>>();
                turns.wish(nested);
                for other in others {
                    other.join().unwrap();
                }
                let wishes = turns.wishes.load(Ordering::Relaxed);
                assert_eq!(turns.followed.load(Ordering::SeqCst), wishes);
            });
        }
    }
}
