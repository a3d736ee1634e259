//! An executor that is as unkind as the rules of `Future` allow.
//!
//! * Every poll brings a new waker, and only the last one counts: a future that wakes an earlier one is never polled
//!   again, and the test hangs until the watchdog names it.
//! * Every poll comes from another thread than the one before.
//! * A pending future is sometimes polled again although nobody woke it. That happens at most a few times in a row, so
//!   that it cannot hide a lost wake-up.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs the future to its end; the seed decides where the unasked polls come.
pub fn block_on<T: Send + 'static>(
    seed: u64,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    block_on_boxed(seed, Box::pin(future))
}

fn block_on_boxed<T: Send + 'static>(seed: u64, mut future: Boxed<T>) -> T {
    let mut rng = fastrand::Rng::with_seed(seed);
    let pollers = [Poller::start(), Poller::start()];
    for poller in pollers.iter().cycle() {
        let last = Arc::new(LastWaker {
            woken: AtomicBool::new(false),
            driver: thread::current(),
        });
        let answer;
        (future, answer) = poller.poll(future, Waker::from(last.clone()));
        match answer {
            Ok(Poll::Ready(output)) => return output,
            Ok(Poll::Pending) => {
                let unasked = rng.u8(..3) == 0;
                while !unasked && !last.woken.load(Ordering::SeqCst) {
                    thread::park();
                }
            }
            Err(panic) => resume_unwind(panic),
        }
    }
    unreachable!("the pollers take turns without end")
}

/// The waker of one poll.
struct LastWaker {
    woken: AtomicBool,
    driver: Thread,
}

impl Wake for LastWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.driver.unpark();
    }
}

/// A thread that polls what it is sent and sends it back.
struct Poller<T> {
    requests: Sender<(Boxed<T>, Waker)>,
    answers: Receiver<(Boxed<T>, thread::Result<Poll<T>>)>,
}

impl<T: Send + 'static> Poller<T> {
    fn start() -> Poller<T> {
        let (requests, to_poll) = channel::<(Boxed<T>, Waker)>();
        let (polled, answers) = channel();
        let name = thread::current().name().unwrap_or("hostile").to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || {
                for (mut future, waker) in to_poll {
                    let mut cx = Context::from_waker(&waker);
                    let answer = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
                    drop(waker);
                    if polled.send((future, answer)).is_err() {
                        return;
                    }
                }
            })
            .expect("a thread");
        Poller { requests, answers }
    }

    fn poll(&self, future: Boxed<T>, waker: Waker) -> (Boxed<T>, thread::Result<Poll<T>>) {
        self.requests
            .send((future, waker))
            .expect("the poller waits for requests");
        self.answers
            .recv()
            .expect("the poller answers every request")
    }
}
