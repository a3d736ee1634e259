//! When to give other tasks a turn.
//!
//! What was read ahead, or fits into a buffer, is an answer without waiting. A task that loops over such answers would
//! never let its executor go, so after a number of them in a row it yields once.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::sync::thread_local;

/// So many ready answers in a row are enough.
const IN_A_ROW: u32 = 128;

thread_local! {
    /// Ready answers of this thread since it last waited or yielded.
    static READY: Cell<u32> = const { Cell::new(0) };
    /// Polls and calls of this thread.
    static TURNS: Cell<u64> = const { Cell::new(0) };
}

/// How many polls and calls this thread has made: two equal answers mean that nothing came between.
pub(crate) fn turns() -> u64 {
    TURNS.get()
}

/// Counts a call that is no poll.
pub(crate) fn count_turn() {
    TURNS.set(TURNS.get() + 1);
}

/// Counts bytes that were copied in a poll and had to come from the system: many of them are as good as many answers.
pub(crate) fn charge(bytes: usize) {
    const ONE: usize = 4 * 1024;
    READY.set(READY.get().saturating_add((bytes / ONE) as u32));
}

/// The same as [`poll_turn`] for a call that has not waited yet.
pub(crate) async fn turn() {
    let mut waited = false;
    poll_fn(|cx| poll_turn(&mut waited, cx)).await;
}

/// Counts one more poll, and is pending, with the task woken, if it has had enough of them. The poll after one that
/// waited never is.
pub(crate) fn poll_turn(waited: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
    count_turn();
    let ready = if *waited { 1 } else { READY.get() + 1 };
    if ready <= IN_A_ROW {
        READY.set(ready);
        return Poll::Ready(());
    }
    READY.set(0);
    *waited = true;
    cx.waker().wake_by_ref();
    Poll::Pending
}
