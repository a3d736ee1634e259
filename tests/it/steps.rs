//! The hand-stepped pool and planned faults.

#![cfg(all(unix, feature = "testing"))]

use std::future::Future;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use aiofiles::testing::{Call, Faults, Gate, Stepper};

use crate::support::{CountingWaker, poll_now, within_limit};

pub const EVER: usize = usize::MAX;

/// Far more jobs than any operation of these tests takes.
const ROUNDS: usize = 10_000;

/// Runs the test on a thread with a pool of its own that only moves when the test says so, and with planned faults.
#[track_caller]
pub fn stepped(test: impl FnOnce(&Stepper, &Faults) + Send + 'static) {
    within_limit("the hand-stepped pool", || {
        // Dropped last: what the stepper still runs then meets no planned fault any more.
        let stepper = Stepper::install();
        let faults = Faults::install();
        test(&stepper, &faults);
        faults.clear();
    });
}

/// Runs the test on a thread whose operations meet planned faults, on the real pool.
#[track_caller]
pub fn with_faults(test: impl FnOnce(&Faults) + Send + 'static) {
    within_limit("the pool with faults", || {
        let faults = Faults::install();
        test(&faults);
    });
}

/// Runs jobs one by one until the future is done. It is polled only when it was woken, so a wake-up that is lost
/// fails the test, and so does work that goes round in circles.
#[track_caller]
pub fn drive<F: Future>(stepper: &Stepper, future: F) -> F::Output {
    let mut future = pin!(future);
    let count = CountingWaker::new();
    let waker = count.waker();
    for _ in 0..ROUNDS {
        let before = count.wakes();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while count.wakes() == before {
            assert!(
                stepper.run_one(),
                "it waits, and no job is left that could wake it"
            );
        }
    }
    panic!("after {ROUNDS} polls there is no end of it");
}

/// Polls the future, which cannot be done yet.
#[track_caller]
pub fn begin<F: Future>(mut future: Pin<&mut F>) {
    assert!(
        poll_now(future.as_mut()).is_pending(),
        "done before any job ran"
    );
}

/// A gate that opens when the test ends, also if it fails: whatever waits at it would keep other tests waiting.
pub struct Held(Gate);

impl Held {
    /// Holds the `nth` such call back.
    pub fn new(faults: &Faults, call: Call, nth: usize) -> Held {
        Held(faults.stall(call, nth, 1))
    }

    /// Holds every such call back.
    pub fn all(faults: &Faults, call: Call) -> Held {
        Held(faults.stall(call, 0, EVER))
    }
}

impl Deref for Held {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Lets every such call go on, and counts it in `faults.struck()`. Plan it after the faults it is to count too.
pub fn count(faults: &Faults, call: Call) {
    faults.stall(call, 0, EVER).open();
}
