//! How completions are noticed: the reactor of `async-io` watches the descriptor of the ring.
//!
//! The waker that the reactor has is not that of a task. It reaps, in whichever thread drives the reactor, and completed
//! operations wake their own tasks. The ring is watched only while something is on its way.
//!
//! * It is one `static` table of functions, so the reactor takes all copies for the same. It would wake a waker that it
//!   replaces with a lock held, and reaping, which watches again, would wait for that lock.
//! * The reactor tells once, and then looks at the state of the ring as it is when it is to watch again. So whatever was
//!   completed before is noticed at once, and nothing falls between.
//! * While some thread is in `async_io::block_on`, the thread of the reactor itself only looks now and then. If it is that
//!   thread which reaps, whoever submits the first operation wakes it from its nap ([`Watch::set`]).

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use async_io::Async;

use super::arm::Arm;
use super::ring::{Ring, RingFd};
use crate::backend::alarm::{self, Alarm};

/// Watches one ring.
pub(super) struct Watch {
    fd: OnceLock<Async<RingFd>>,
    arm: Arm,
    /// First operations so far.
    firsts: AtomicUsize,
}

/// The last completions were noticed by the thread of the reactor itself.
static BY_REACTOR: AtomicBool = AtomicBool::new(false);

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            fd: OnceLock::new(),
            arm: Arm::new(),
            firsts: AtomicUsize::new(0),
        }
    }

    /// Makes the ring known to the reactor.
    pub(super) fn begin(&self, ring: &'static Ring) -> io::Result<()> {
        alarm::reactor()?;
        let fd = Async::new_nonblocking(RingFd(ring))?;
        let _ = self.fd.set(fd);
        Ok(())
    }

    /// Sees to it that what completes from now on is noticed. `first` says that nothing was on its way before.
    pub(super) fn set(&self, ring: &'static Ring, first: bool) {
        self.set_again(ring);
        // Now and then without, in case this is not the right thing any more.
        if first
            && BY_REACTOR.load(Ordering::Relaxed)
            && self.firsts.fetch_add(1, Ordering::Relaxed) % 64 != 63
        {
            // At its end it wakes the thread of the reactor.
            async_io::block_on(std::future::ready(()));
        }
    }

    fn set_again(&self, ring: &'static Ring) {
        if !self.arm.set(|| self.ask(ring)) {
            self.look_after(Duration::from_millis(1));
        }
    }

    /// Asks the reactor to tell. `false` if it cannot watch now.
    fn ask(&self, ring: &'static Ring) -> bool {
        let Some(fd) = self.fd.get() else {
            return false;
        };
        let waker = waker(ring);
        let mut cx = Context::from_waker(&waker);
        // It may say that something was there before; only when it says no more, it will tell.
        while let Poll::Ready(result) = fd.poll_readable(&mut cx) {
            if result.is_err() {
                return false;
            }
        }
        true
    }

    /// Has all rings looked after a little later, because something is stuck.
    pub(super) fn look_after(&self, time: Duration) {
        static ALARM: Alarm = Alarm::new(super::look_after_all);
        ALARM.set(time);
    }

    /// Something may have completed.
    fn noticed(&self, ring: &'static Ring) {
        BY_REACTOR.store(is_reactor(), Ordering::Relaxed);
        let reap = || {
            ring.reap();
            ring.in_flight() > 0
        };
        if !self.arm.told(reap, || self.ask(ring)) {
            self.look_after(Duration::from_millis(1));
        }
    }
}

impl Ring {
    /// Does what is stuck, and sees to it that the rest is noticed.
    pub(super) fn look_after(&'static self) {
        self.flush();
        self.reap();
        if self.in_flight() > 0 {
            self.watch.set_again(self);
        }
    }
}

/// Whether this is the reactor's own thread, rather than one of an executor.
fn is_reactor() -> bool {
    thread_local! {
        static IS_REACTOR: Cell<Option<bool>> = const { Cell::new(None) };
    }
    IS_REACTOR.get().unwrap_or_else(|| {
        let is_reactor = std::thread::current().name() == Some("async-io");
        IS_REACTOR.set(Some(is_reactor));
        is_reactor
    })
}

fn waker(ring: &'static Ring) -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |ring| RawWaker::new(ring, &TABLE),
        on_event,
        on_event,
        |_| (),
    );
    fn on_event(ring: *const ()) {
        // SAFETY: it is the reference to a ring that the waker was made of, and rings are never dropped.
        let ring = unsafe { &*ring.cast::<Ring>() };
        ring.watch.noticed(ring);
    }
    let data = std::ptr::from_ref(ring).cast::<()>();
    // SAFETY: the data is never freed and may be used by any thread, so nothing need be done to clone or drop it, and
    // waking does no more than `noticed` does, which any thread may call.
    unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
}
