//! Buffers that may be lent to the kernel.
//!
//! Positional operations take a buffer and give it back with the result ([`BufResult`]): while an operation runs, the
//! buffer belongs to it, and its memory outlives a future that is dropped. The traits say what such a buffer must promise.
#![allow(
    unsafe_code,
    reason = "memory that is not initialised yet, and what others promise about it"
)]

mod aligned;
mod slice;

use std::io;
use std::mem::MaybeUninit;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

pub use aligned::AlignedBuf;
pub use slice::Slice;

/// The result of an operation that was given a buffer, and the buffer.
pub type BufResult<T, B> = (io::Result<T>, B);

/// A buffer whose content can be written to a file.
///
/// # Safety
///
/// * [`stable_ptr`](Self::stable_ptr) points to [`bytes_total`](Self::bytes_total) bytes of memory that the buffer owns or
///   borrows for ever. It does not change, and the memory stays valid, while the buffer is moved and nothing else is done
///   to it.
/// * The first [`bytes_init`](Self::bytes_init) bytes there are initialised, and that is at most `bytes_total`.
/// * Nobody writes to the memory while somebody else has the buffer.
///
/// # Examples
///
/// ```
/// use aiofiles::IoBuf;
///
/// let buf = vec![1, 2, 3];
/// assert_eq!(buf.bytes_init(), 3);
/// assert_eq!(&*buf.slice(1..), [2, 3]);
/// ```
pub unsafe trait IoBuf: Send + 'static {
    /// Where the memory is.
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes hold content: so many are written.
    fn bytes_init(&self) -> usize;

    /// How many bytes there are.
    fn bytes_total(&self) -> usize;

    /// A part of the buffer, in bytes.
    ///
    /// A part that reaches beyond the content ends with it in writes, and grows with it in reads. Without an end, it
    /// reaches to the end of the memory.
    ///
    /// # Panics
    ///
    /// If the part does not begin within the content, or right behind it, or does not end within the memory.
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        let begin = match range.start_bound() {
            Bound::Included(begin) => *begin,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.bytes_total(),
        };
        Slice::new(self, begin, end)
    }
}

/// A buffer that can be read into.
///
/// A read fills it from its beginning, over what it holds, up to all of its memory.
///
/// # Safety
///
/// * [`stable_mut_ptr`](Self::stable_mut_ptr) is the pointer that [`stable_ptr`](IoBuf::stable_ptr) is, and the memory may
///   be written to through it.
/// * Nobody else looks at the memory while somebody has the buffer.
pub unsafe trait IoBufMut: IoBuf {
    /// Where the memory is.
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// Takes note that `len` bytes were filled from the beginning.
    ///
    /// A buffer that has a length, such as `Vec`, has this one afterwards.
    ///
    /// # Safety
    ///
    /// So many bytes are initialised, and it is at most [`bytes_total`](IoBuf::bytes_total).
    unsafe fn set_init(&mut self, len: usize);
}

/// The content of a buffer.
pub(crate) fn content<B: IoBuf>(buf: &B) -> &[u8] {
    // SAFETY: the trait promises that so many bytes there are valid and initialised, and nobody writes to them while the
    // buffer is borrowed.
    unsafe { std::slice::from_raw_parts(buf.stable_ptr(), buf.bytes_init()) }
}

/// Lets `fill` put bytes to the beginning of all the memory of a buffer, and say how many. They are its content then.
pub(crate) fn fill<B: IoBufMut, E>(
    buf: &mut B,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, (usize, E)>,
) -> Result<usize, E> {
    let (ptr, total) = (buf.stable_mut_ptr(), buf.bytes_total());
    // SAFETY: the trait promises that so many bytes there are valid for writing, and nobody else looks at them while the
    // buffer is borrowed. Initialised or not, they are `MaybeUninit`.
    let memory = unsafe { std::slice::from_raw_parts_mut(ptr.cast::<MaybeUninit<u8>>(), total) };
    let (filled, result) = match fill(memory) {
        Ok(n) => (n, Ok(n)),
        // Nothing has happened to the content.
        Err((0, error)) => return Err(error),
        Err((n, error)) => (n, Err(error)),
    };
    assert!(filled <= total, "no more can be filled than there is");
    // SAFETY: so many bytes were filled, and it is no more than there are.
    unsafe { buf.set_init(filled) };
    result
}

/// Lets `fill` put bytes behind the content of a vector, which has room for `len` of them, and say how many.
pub(crate) fn append(
    bytes: &mut Vec<u8>,
    len: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> usize,
) -> usize {
    let n = fill(&mut bytes.spare_capacity_mut()[..len]);
    assert!(n <= len, "no more can be filled than there is");
    // SAFETY: so many bytes behind the content were filled, and it is no more than there are.
    unsafe { bytes.set_len(bytes.len() + n) };
    n
}

/// All the memory of a buffer, initialised: what held nothing holds zeros.
pub(crate) fn zeroed<B: IoBufMut>(buf: &mut B) -> &mut [u8] {
    let (ptr, init, total) = (buf.stable_mut_ptr(), buf.bytes_init(), buf.bytes_total());
    // SAFETY: as in `fill`.
    let memory = unsafe { std::slice::from_raw_parts_mut(ptr.cast::<MaybeUninit<u8>>(), total) };
    memory[init..].fill(MaybeUninit::new(0));
    // SAFETY: the first `init` bytes were initialised, and the rest is now.
    unsafe { std::slice::from_raw_parts_mut(ptr, total) }
}

/// Initialised memory, for whatever fills memory that need not be. What is given out must not be made less initialised
/// than it is, so it goes to the kernel and nowhere else.
#[cfg(all(feature = "nowait", target_os = "linux"))]
pub(crate) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let (ptr, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: the same memory, borrowed for as long.
    unsafe { std::slice::from_raw_parts_mut(ptr.cast::<MaybeUninit<u8>>(), len) }
}

/// Takes note that the first `len` bytes of a buffer that [`zeroed`] has initialised are its content.
pub(crate) fn set_content<B: IoBufMut>(buf: &mut B, len: usize) {
    assert!(
        len <= buf.bytes_total(),
        "no more can be filled than there is"
    );
    // SAFETY: all of the memory is initialised, and it is no more than there is.
    unsafe { buf.set_init(len) };
}

/// The functions of [`IoBuf`] for what has the names of std; the argument says how much memory there is.
macro_rules! memory {
    ($total:ident) => {
        fn stable_ptr(&self) -> *const u8 {
            self.as_ptr()
        }

        fn bytes_init(&self) -> usize {
            self.len()
        }

        fn bytes_total(&self) -> usize {
            self.$total()
        }
    };
}

/// Those of [`IoBufMut`], for what has a length of its own, and for what has not.
macro_rules! memory_mut {
    (growing) => {
        fn stable_mut_ptr(&mut self) -> *mut u8 {
            self.as_mut_ptr()
        }

        unsafe fn set_init(&mut self, len: usize) {
            // SAFETY: the caller promises what `set_len` asks for.
            unsafe { self.set_len(len) };
        }
    };
    (fixed) => {
        fn stable_mut_ptr(&mut self) -> *mut u8 {
            self.as_mut_ptr()
        }

        unsafe fn set_init(&mut self, _: usize) {}
    };
}

// SAFETY: the memory belongs to the vector and does not move with it; the first `len` bytes are initialised.
unsafe impl IoBuf for Vec<u8> {
    memory!(capacity);
}

// SAFETY: as above; the vector is the only owner of its memory.
unsafe impl IoBufMut for Vec<u8> {
    memory_mut!(growing);
}

// SAFETY: the memory belongs to the box and does not move with it; all of it is initialised.
unsafe impl IoBuf for Box<[u8]> {
    memory!(len);
}

// SAFETY: as above; the box is the only owner of its memory.
unsafe impl IoBufMut for Box<[u8]> {
    memory_mut!(fixed);
}

// SAFETY: the memory belongs to the box and does not move with it; all of it is initialised.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    memory!(len);
}

// SAFETY: as above; the box is the only owner of its memory.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    memory_mut!(fixed);
}

// SAFETY: the memory belongs to the string and does not move with it; the first `len` bytes are initialised.
unsafe impl IoBuf for String {
    memory!(capacity);
}

// SAFETY: the memory is borrowed for ever, initialised, and never written to.
unsafe impl IoBuf for &'static [u8] {
    memory!(len);
}

// SAFETY: the memory is borrowed for ever, initialised, and never written to.
unsafe impl<const N: usize> IoBuf for &'static [u8; N] {
    memory!(len);
}

// SAFETY: the memory is borrowed for ever, initialised, and never written to.
unsafe impl IoBuf for &'static str {
    memory!(len);
}

// SAFETY: the memory is shared by all owners and not written to while there is more than one of them, which is as long as
// this one is not asked for `get_mut`. It is initialised, and does not move.
unsafe impl IoBuf for Arc<[u8]> {
    memory!(len);
}

#[cfg(feature = "bytes")]
mod bytes {
    use bytes::{Bytes, BytesMut};

    use super::{IoBuf, IoBufMut};

    // SAFETY: the memory is shared, initialised, and never written to; it does not move with the handle.
    unsafe impl IoBuf for Bytes {
        memory!(len);
    }

    // SAFETY: the memory is the handle's alone and does not move with it; the first `len` bytes are initialised.
    unsafe impl IoBuf for BytesMut {
        memory!(capacity);
    }

    // SAFETY: as above.
    unsafe impl IoBufMut for BytesMut {
        memory_mut!(growing);
    }
}
