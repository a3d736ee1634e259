//! Memory that begins at a multiple of some power of two, as direct I/O asks for.

use std::alloc::{self, Layout};
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{IoBuf, IoBufMut};

/// A buffer whose memory is aligned, for direct I/O.
///
/// It has a fixed capacity and a length, and dereferences to its content.
///
/// # Examples
///
/// ```
/// use aiofiles::AlignedBuf;
///
/// let mut buf = AlignedBuf::with_capacity(8192, 4096)?;
/// assert_eq!(buf.as_ptr() as usize % 4096, 0);
///
/// assert_eq!(buf.extend_from_slice(b"some bytes"), 10);
/// assert_eq!(&*buf, b"some bytes");
/// # std::io::Result::Ok(())
/// ```
pub struct AlignedBuf {
    memory: NonNull<u8>,
    layout: Layout,
    len: usize,
}

// SAFETY: the buffer is the only owner of its memory.
unsafe impl Send for AlignedBuf {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer of `capacity` bytes that begins at a multiple of `align` bytes.
    ///
    /// # Errors
    ///
    /// * `align` is not a power of two, or both together are too large ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * There is not so much memory ([`OutOfMemory`](io::ErrorKind::OutOfMemory)).
    pub fn with_capacity(capacity: usize, align: usize) -> io::Result<AlignedBuf> {
        let Ok(layout) = Layout::from_size_align(capacity, align) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an alignment must be a power of two, and a buffer no larger than `isize::MAX`",
            ));
        };
        let memory = if capacity == 0 {
            // Aligned, never dereferenced, and never freed.
            NonNull::without_provenance(
                std::num::NonZero::new(align).expect("a power of two is not zero"),
            )
        } else {
            // SAFETY: the layout has a size.
            let memory = unsafe { alloc::alloc(layout) };
            NonNull::new(memory).ok_or(io::ErrorKind::OutOfMemory)?
        };
        Ok(AlignedBuf {
            memory,
            layout,
            len: 0,
        })
    }

    /// A buffer of `len` zeros that begins at a multiple of `align` bytes.
    ///
    /// # Errors
    ///
    /// The same as [`with_capacity`](Self::with_capacity).
    pub fn zeroed(len: usize, align: usize) -> io::Result<AlignedBuf> {
        let mut buf = AlignedBuf::with_capacity(len, align)?;
        buf.resize(len);
        Ok(buf)
    }

    /// How many bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What its memory begins at a multiple of.
    pub fn align(&self) -> usize {
        self.layout.align()
    }

    /// Forgets the content.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Cuts the content off at `len` bytes, or extends it with zeros; it never becomes longer than the capacity.
    pub fn resize(&mut self, len: usize) {
        let len = len.min(self.capacity());
        if len > self.len {
            // SAFETY: within the memory, behind the content.
            let end = unsafe { self.memory.as_ptr().add(self.len) };
            // SAFETY: so much is there, and nobody else has it.
            unsafe { end.write_bytes(0, len - self.len) };
        }
        self.len = len;
    }

    /// Appends as much of `bytes` as there is room for, and says how much that was.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let begin = self.len;
        let n = bytes.len().min(self.capacity() - begin);
        self.resize(begin + n);
        self[begin..].copy_from_slice(&bytes[..n]);
        n
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this very layout.
            unsafe { alloc::dealloc(self.memory.as_ptr(), self.layout) };
        }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are initialised, and nobody writes to them while they are borrowed.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are initialised, and nobody else has them while they are borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the memory belongs to the buffer and does not move with it; the first `len` bytes are initialised.
unsafe impl IoBuf for AlignedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.memory.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: as above; the buffer is the only owner of its memory.
unsafe impl IoBufMut for AlignedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        self.len = len;
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("align", &self.align())
            .finish()
    }
}
