//! Who owns what while the kernel has it, and until when.
//!
//! An operation on its way through a ring is a box in the slab of that ring. It owns all that the kernel was told of: the
//! buffer that it reads from or writes to, and a share of the open file. The kernel is told addresses and a descriptor,
//! and a key that finds the box again.
//!
//! * **From before until after.** The box goes into the slab before its entry goes into the submission queue, and leaves it
//!   when the completion of that very entry has been taken out of the completion queue. In between nothing touches it, so
//!   the memory stays where it is, and the descriptor stays open and means the same file.
//! * **A future owns nothing of it.** It holds the slot to which the result will go. Dropped, forgotten with
//!   `mem::forget`, or lost together with its runtime, it takes nothing away from under the kernel; the completion finds
//!   nobody waiting, and the box is dropped then.
//! * **Rings are never closed.** Closing a ring does not wait for what it has under way: the kernel goes on writing to memory
//!   that its owner believes to be free. So a ring is made once and leaked, and the end of the process cleans up.
//! * **No entry is taken back.** Once it stands in the submission queue, only its completion ends it, whatever
//!   `io_uring_enter` says: the kernel may have seen it all the same. The one exception is a ring that refuses every call
//!   from then on and will never be entered again: what it has not taken by then it never will.
//! * **A key is used once.** It holds the number of the place and how often that was used before. A completion with a key
//!   that is not there any more is counted, and otherwise ignored.
//! * **Nothing foreign under a lock.** Completions are copied out of the queue first. Wakers are woken, buffers dropped and
//!   operations run again when no lock of the ring is held.

/// A number that the kernel gives back with the completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn from_user_data(user_data: u64) -> Key {
        Key(user_data)
    }

    pub(super) fn user_data(self) -> u64 {
        self.0
    }

    fn new(index: usize, generation: u32) -> Key {
        Key(u64::from(generation) << 32 | index as u64)
    }

    fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Values under keys that are never used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    /// Places that hold nothing.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Slab<T> {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Keeps a value, and gives the key to it.
    pub(super) fn insert(&mut self, value: T) -> Key {
        match self.free.pop() {
            Some(index) => {
                let index = index as usize;
                let place = &mut self.places[index];
                place.value = Some(value);
                Key::new(index, place.generation)
            }
            None => {
                let index = self.places.len();
                self.places.push(Place {
                    generation: 0,
                    value: Some(value),
                });
                Key::new(index, 0)
            }
        }
    }

    /// Gives a value back. `None` if nothing is kept under this key, or not any more.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index())?;
        if place.generation != key.generation() {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index() as u32);
        Some(value)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_for_one_value() {
        let mut slab = Slab::new();
        let one = slab.insert("one");
        let two = slab.insert("two");
        assert_eq!(slab.remove(one), Some("one"));
        assert_eq!(slab.remove(one), None);
        let three = slab.insert("three");
        assert_eq!(three.index(), one.index());
        assert_ne!(three, one);
        assert_eq!(slab.remove(one), None);
        assert_eq!(slab.remove(Key::from_user_data(u64::MAX)), None);
        assert_eq!(
            slab.remove(Key::from_user_data(two.user_data())),
            Some("two")
        );
        assert_eq!(slab.remove(three), Some("three"));
    }
}
