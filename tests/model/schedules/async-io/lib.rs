//! In place of the crate `async-io`: timers that go off at some time, for each a thread of the model.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use async_io::Async;

/// A timer, which is given up when it is dropped.
pub struct Timer(Arc<State>);

struct State {
    // Nothing of the model happens while it is locked.
    waker: Mutex<Option<Waker>>,
    is_due: AtomicBool,
    is_set: AtomicBool,
    after: Duration,
}

impl Timer {
    /// At any time, which is that late then. But nobody's patience is worn out by a timer that is set for long.
    pub fn after(after: Duration) -> Timer {
        Timer(Arc::new(State {
            after: after.min(Duration::from_millis(5)),
            waker: Mutex::new(None),
            is_due: AtomicBool::new(false),
            is_set: AtomicBool::new(false),
        }))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_due.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        if !self.0.is_set.swap(true, Ordering::Relaxed) {
            let state = self.0.clone();
            shuttle::thread::spawn(move || {
                shuttle::thread::yield_now();
                blocking::pass(state.after);
                state.is_due.store(true, Ordering::Relaxed);
                let waker = state.waker.lock().unwrap().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = self.0.waker.lock().unwrap().take();
        drop(waker);
    }
}
