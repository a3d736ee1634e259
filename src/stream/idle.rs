//! Buffers of streams that are not used are given back.
//!
//! A stream that holds a buffer stands in a list. A timer of the reactor looks at the list every second while
//! there is anything in it, and frees the buffers of those that were not used since its last look.

use std::sync::{Arc, PoisonError, TryLockError, Weak};
use std::time::Duration;

use super::{State, Stream, has_position};
use crate::backend::Alarm;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// How often the list is looked at.
const LOOK: Duration = Duration::from_secs(1);

static LIST: Mutex<Vec<Weak<Stream>>> = Mutex::new(Vec::new());

/// The timer of the next look is set.
static SET: AtomicBool = AtomicBool::new(false);

impl Stream {
    /// Puts the stream into the list, if it is not there yet.
    pub(super) fn list_idle(self: &Arc<Self>, state: &mut State) {
        if state.listed {
            return;
        }
        state.listed = true;
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        // Streams that have gone are dropped from the list before it grows.
        if list.len() == list.capacity() {
            list.retain(|stream| stream.strong_count() > 0);
            let room = list.len().max(64);
            list.reserve(room);
        }
        list.push(Arc::downgrade(self));
        drop(list);
        look_later();
    }

    /// Frees what has lain unused since the last look; `false` when there is nothing to look after any more.
    fn release_idle(&self) -> bool {
        // Whoever holds the lock uses the stream.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return true,
        };
        if std::mem::take(&mut state.touched) {
            return true;
        }
        let can_reread = self.description.facts().is_some_and(has_position);
        state.read.release(can_reread);
        state.write.release();
        let holds = state.read.holds_any() || state.write.holds_any();
        state.listed = holds;
        holds
    }
}

/// Sets the timer of the next look.
fn look_later() {
    static ALARM: Alarm = Alarm::new(look);
    if !SET.swap(true, Ordering::AcqRel) && !ALARM.set(LOOK) {
        // The next stream that is listed tries again.
        SET.store(false, Ordering::Release);
    }
}

/// Frees the buffers of those that were not used since the last look.
fn look() {
    // Streams are looked at outside the list's lock: whoever lists one holds that one's lock.
    SET.store(false, Ordering::Release);
    let listed = std::mem::take(&mut *LIST.lock().unwrap_or_else(PoisonError::into_inner));
    let kept = listed
        .into_iter()
        .filter(|stream| stream.upgrade().is_some_and(|stream| stream.release_idle()));
    let kept = kept.collect::<Vec<_>>();
    let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    list.extend(kept);
    let again = !list.is_empty();
    drop(list);
    if again {
        look_later();
    }
}
