//! When to give other tasks a turn.
//!
//! What was read ahead, or fits into a buffer, is an answer without waiting. A task that loops over such answers would
//! never let its executor go, so after a number of them in a row it yields once.

use std::cell::Cell;

/// So many ready answers in a row are enough.
const IN_A_ROW: u32 = 128;

thread_local! {
    /// Ready answers of this thread since it last waited or yielded.
    static READY: Cell<u32> = const { Cell::new(0) };
}

/// Counts one more poll, and says whether the task should yield first. The poll after one that waited never does.
pub(crate) fn enough(waited: bool) -> bool {
    let ready = if waited { 1 } else { READY.get() + 1 };
    let enough = ready > IN_A_ROW;
    READY.set(if enough { 0 } else { ready });
    enough
}
