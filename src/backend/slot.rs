//! One operation on its way: the slot that owns it, and the future that waits for it.
//!
//! The slot owns the operation, the operation owns the memory and the descriptor, and only its completion frees the
//! slot. Dropping the future gives up the result and nothing else.

use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use super::op::{Manner, Op};
use super::place::Place;
use super::pool::{self, Task};
use super::refusal::{self, Refusal};
use super::sync::{Mutex, MutexGuard};
use super::trace::{self, Journey};
use super::uring;

/// Where an operation is.
enum Stage<O: Op> {
    /// Nobody has begun it; the slot holds it.
    Queued(O),
    /// A pool thread performs it and holds it.
    Running,
    /// A ring has it.
    OnRing,
    /// It ended, or panicked; the slot holds what came of it.
    Done(thread::Result<O::Output>),
    /// The result was handed over, or nobody wanted it.
    Taken,
}

struct State<O: Op> {
    stage: Stage<O>,
    /// Whom to wake when it is done.
    waker: Option<Waker>,
    /// The future was dropped.
    abandoned: bool,
}

/// Owns one operation from its submission to the hand-over of its result.
pub(crate) struct Slot<O: Op> {
    state: Mutex<State<O>>,
}

impl<O: Op> Slot<O> {
    /// Puts `op` into a new slot and gives the future that waits for it.
    pub(super) fn new(op: O) -> (Arc<Slot<O>>, InFlight<O::Output>) {
        Slot::at(Stage::Queued(op))
    }

    /// A slot of an operation that a ring has, and the future that waits for it.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn on_ring() -> (Arc<Slot<O>>, InFlight<O::Output>) {
        Slot::at(Stage::OnRing)
    }

    fn at(stage: Stage<O>) -> (Arc<Slot<O>>, InFlight<O::Output>) {
        let slot = Arc::new(Slot {
            state: Mutex::new(State {
                stage,
                waker: None,
                abandoned: false,
            }),
        });
        (slot.clone(), InFlight { slot })
    }

    /// The ring could not do it: the pool does.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn queue(self: Arc<Self>, op: O, journey: Journey) {
        self.lock().stage = Stage::Queued(op);
        pool::run_slot(self, journey);
    }

    /// Whether anything is to be done about the operation still.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn is_wanted(&self, op: &O) -> bool {
        !(self.lock().abandoned && op.manner() == Manner::Query)
    }

    /// Hands the result over, or drops it here.
    pub(super) fn finish(&self, result: thread::Result<O::Output>) {
        let (waker, unwanted) = {
            let mut state = self.lock();
            if state.abandoned {
                state.stage = Stage::Taken;
                (None, Some(result))
            } else {
                state.stage = Stage::Done(result);
                (state.waker.take(), None)
            }
        };
        drop(unwanted);
        if let Some(waker) = waker {
            pool::wake_soon(waker);
        }
    }

    /// Nobody will come for it: it is refused here, if whoever waits would understand that. In a child of fork, where
    /// nobody ever will, the rest is done here.
    fn refuse(&self, refusal: Refusal) {
        if !O::tells() && refusal != Refusal::Child {
            return;
        }
        let op = {
            let mut state = self.lock();
            match std::mem::replace(&mut state.stage, Stage::Running) {
                Stage::Queued(op) => op,
                other => {
                    state.stage = other;
                    return;
                }
            }
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let _refused = O::tells().then(|| refusal::enter(refusal));
            op.run()
        }));
        self.lock().stage = Stage::Done(result);
    }

    fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Op> Task for Slot<O> {
    fn run(self: Arc<Self>) {
        // Take the operation out, unless it only asks something that nobody wants to know any more.
        let op = {
            let mut state = self.lock();
            match std::mem::replace(&mut state.stage, Stage::Running) {
                Stage::Queued(op) if !(state.abandoned && op.manner() == Manner::Query) => op,
                unwanted => {
                    state.stage = Stage::Taken;
                    drop(state);
                    drop(unwanted);
                    trace::skipped();
                    return;
                }
            }
        };

        // Perform it. A panic is a result like another: it belongs to whoever waits.
        let result = panic::catch_unwind(AssertUnwindSafe(|| op.run()));
        trace::ended(|| O::error(result.as_ref().ok()?));

        // Hand the result over. If nobody wants it, it is dropped here, where dropping may block.
        self.finish(result);
    }

    fn place(&self) -> Place {
        match &self.lock().stage {
            Stage::Queued(op) => op.place(),
            _ => Place::anywhere(),
        }
    }
}

/// A slot, as whoever waits for it sees it: the operation itself is none of their business. (The type of the operation
/// would otherwise be part of that of every future, and its being `'static` could not be proven for the lifetimes that
/// are erased there.)
trait Awaited<T>: Send + Sync {
    /// Takes the output, or the panic.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<thread::Result<T>>;

    /// Nobody waits any more.
    fn abandon(&self);
}

impl<O: Op> Awaited<O::Output> for Slot<O> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<thread::Result<O::Output>> {
        let mut state = self.lock();
        if matches!(state.stage, Stage::OnRing) {
            drop(state);
            uring::reap();
            state = self.lock();
        }
        if matches!(state.stage, Stage::Queued(_))
            && let Some(refusal) = refusal::now()
        {
            drop(state);
            self.refuse(refusal);
            state = self.lock();
        }
        match std::mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Done(result) => Poll::Ready(result),
            Stage::Taken => unreachable!("an operation was polled after it was done"),
            waiting => {
                state.stage = waiting;
                let known = matches!(&state.waker, Some(waker) if waker.will_wake(cx.waker()));
                let replaced = if known {
                    None
                } else {
                    state.waker.replace(cx.waker().clone())
                };
                // Dropping a waker may drop its task, and with it this very future: not under the lock.
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let waker = state.waker.take();
        // A result that nobody took is dropped outside the lock: its own drop may submit an operation.
        let unwanted = match &state.stage {
            Stage::Done(_) => Some(std::mem::replace(&mut state.stage, Stage::Taken)),
            _ => None,
        };
        drop(state);
        drop(waker);
        drop(unwanted);
    }
}

/// A submitted operation. Yields its output; dropping it abandons the result, never the memory.
#[must_use = "a submitted operation runs anyway, but its result is lost"]
pub(crate) struct InFlight<T> {
    slot: Arc<dyn Awaited<T>>,
}

impl<T> Future for InFlight<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.slot.poll(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        self.slot.abandon();
    }
}

impl<T> fmt::Debug for InFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}
