//! Who runs the jobs while a future waits, and when the future is dropped instead.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use fastrand::Rng;
use futures_lite::future::{or, yield_now};

use crate::support::poll_n;

/// Who runs the jobs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drive {
    /// The thread pool, or a ring. Whoever started this wants to know how many futures were really cut.
    Pool(&'static AtomicUsize),
    /// This thread, one job after another, whenever the generator says so: see [`stepped`].
    #[cfg(feature = "testing")]
    Stepped,
}

impl Drive {
    /// Runs the future to its end. With `cancel` it may be dropped earlier, and then there is no output.
    pub(super) async fn run<F: Future>(
        self,
        rng: &mut Rng,
        cancel: bool,
        future: F,
    ) -> Option<F::Output> {
        match self {
            Drive::Pool(_) if !cancel => Some(future.await),
            Drive::Pool(cuts) => {
                let polls = rng.usize(..5);
                let future = Watched {
                    future: Box::pin(future),
                    under_way: false,
                    cuts,
                };
                if rng.bool() {
                    return poll_n(future, polls).await;
                }
                // The loser is dropped.
                let timeout = async {
                    for _ in 0..polls {
                        yield_now().await;
                    }
                    None
                };
                or(async { Some(future.await) }, timeout).await
            }
            #[cfg(feature = "testing")]
            Drive::Stepped => stepped::run(rng, cancel, future),
        }
    }
}

/// Counts itself if it is dropped after a poll that was pending.
struct Watched<F> {
    future: Pin<Box<F>>,
    under_way: bool,
    cuts: &'static AtomicUsize,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let poll = self.future.as_mut().poll(cx);
        self.under_way = poll.is_pending();
        poll
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        if self.under_way {
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(feature = "testing")]
pub(super) use stepped::{run_job, stepped};

#[cfg(feature = "testing")]
mod stepped {
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll};

    use aiofiles::testing::Stepper;
    use fastrand::Rng;

    use crate::support::CountingWaker;

    thread_local! {
        static STEPPER: RefCell<Option<Stepper>> = const { RefCell::new(None) };
    }

    /// Runs `body` with a hand-stepped pool on this thread.
    pub(in super::super) fn stepped<T>(body: impl FnOnce() -> T) -> T {
        struct Uninstall;
        impl Drop for Uninstall {
            fn drop(&mut self) {
                // Dropping it runs what is left, so it must not be borrowed meanwhile.
                drop(STEPPER.take());
            }
        }
        STEPPER.set(Some(Stepper::install()));
        let _uninstall = Uninstall;
        body()
    }

    /// Runs the oldest job; `false` when there is none.
    pub(in super::super) fn run_job() -> bool {
        STEPPER.with_borrow(|stepper| stepper.as_ref().expect("inside of `stepped`").run_one())
    }

    fn waiting() -> usize {
        STEPPER.with_borrow(|stepper| stepper.as_ref().expect("inside of `stepped`").waiting())
    }

    /// Polls, runs jobs and gives up at random. A future that is pending while nothing is left that could wake it is
    /// a hang, and fails the test.
    pub(super) fn run<F: Future>(rng: &mut Rng, cancel: bool, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let wakes = CountingWaker::new();
        let waker = wakes.waker();
        let mut cx = Context::from_waker(&waker);
        let mut seen = None;
        loop {
            let may_go_on = seen.is_none_or(|seen| wakes.wakes() > seen);
            match rng.u8(..16) {
                0 | 1 if cancel => return None,
                // Executors may poll although nobody asked.
                draw if draw == 2 || may_go_on && draw < 9 => {
                    seen = Some(wakes.wakes());
                    if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                        return Some(output);
                    }
                }
                _ if waiting() > 0 => {
                    run_job();
                }
                _ if may_go_on => {}
                _ => panic!("pending, and neither woken nor anything left to run"),
            }
        }
    }
}
