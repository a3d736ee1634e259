//! Timers of the reactor.
//!
//! `async-io` makes its reactor on first use, and panics if the process has no descriptors or no thread left for it. So it
//! is only used once there are some.

use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::sync::{AtomicBool, Mutex, Ordering};
use super::{fork, threads};

/// Waits for some time.
pub(crate) async fn pause(time: Duration) -> io::Result<()> {
    reactor()?;
    async_io::Timer::after(time).await;
    Ok(())
}

/// Sees to it that the reactor can be used, or says why it cannot.
pub(super) fn reactor() -> io::Result<()> {
    fork::check()?;
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    if !IS_THERE.load(Ordering::Relaxed) {
        // It takes a thread, and three descriptors on Linux, and no more elsewhere.
        threads::probe()?;
        drop((io::pipe()?, io::pipe()?));
        // Somebody else may have taken them by now.
        let mut timer = async_io::Timer::after(Duration::from_secs(1));
        let made = panic::catch_unwind(AssertUnwindSafe(|| {
            let _ = Pin::new(&mut timer).poll(&mut Context::from_waker(Waker::noop()));
        }));
        if made.is_err() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        IS_THERE.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// A process-wide timer that calls a function.
pub(crate) struct Alarm {
    timer: Mutex<Option<async_io::Timer>>,
    waker: OnceLock<Waker>,
    call: fn(),
}

impl Alarm {
    pub(crate) const fn new(call: fn()) -> Alarm {
        Alarm {
            timer: Mutex::new(None),
            waker: OnceLock::new(),
            call,
        }
    }

    /// Sets the timer anew; `false` if there can be none now.
    pub(crate) fn set(&self, after: Duration) -> bool {
        if reactor().is_err() {
            return false;
        }
        let waker = self
            .waker
            .get_or_init(|| Waker::from(Arc::new(Ring(self.call))));
        // The lock is held until the timer is in its place: it may go off before, and set itself anew.
        let mut place = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut timer = async_io::Timer::after(after);
        let due = Pin::new(&mut timer)
            .poll(&mut Context::from_waker(waker))
            .is_ready();
        *place = Some(timer);
        drop(place);
        if due {
            waker.wake_by_ref();
        }
        true
    }
}

struct Ring(fn());

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}
