//! Buffers of read-ahead and write-behind, and the budget that all of them together keep to.
//!
//! A small buffer is free: every file may have some. A larger one is charged to the process-wide budget, and when the
//! budget is spent a small one has to do. Nothing ever waits for the budget.

use crate::sync::{AtomicUsize, Ordering};

/// A buffer of this size is not charged.
pub(super) const SMALL: usize = 16 * 1024;

/// What larger buffers may take together. One reader may have a megabyte ahead of it, many share this.
const BUDGET: usize = 2 * 1024 * 1024;

static SPENT: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the budget that are spent.
pub(crate) fn buffered() -> usize {
    SPENT.load(Ordering::Relaxed)
}

/// Memory with its charge.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    charge: usize,
}

impl Buffer {
    /// A buffer of `size` bytes, or of as many as the budget allows.
    pub(super) fn new(size: usize) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.grow(size);
        buffer
    }

    /// Makes the capacity `size`, or as much as the budget allows. Never shrinks.
    pub(super) fn grow(&mut self, mut size: usize) {
        while size > SMALL && !self.charge_for(size) {
            size = (size / 2).max(SMALL);
        }
        self.grow_unasked(size);
    }

    /// Makes the capacity `size`, whatever the budget says.
    pub(super) fn grow_unasked(&mut self, size: usize) {
        self.bytes
            .reserve_exact(size.saturating_sub(self.bytes.len()));
    }

    /// Raises the charge to `size` if the budget allows it: the less is left, the less one buffer may have of it.
    fn charge_for(&mut self, size: usize) -> bool {
        let more = size.saturating_sub(self.charge);
        let fits =
            |spent: usize| (more <= BUDGET.saturating_sub(spent) / 4).then_some(spent + more);
        if more > 0
            && SPENT
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
                .is_err()
        {
            return false;
        }
        self.charge += more;
        true
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.charge > 0 {
            SPENT.fetch_sub(self.charge, Ordering::Relaxed);
        }
    }
}
