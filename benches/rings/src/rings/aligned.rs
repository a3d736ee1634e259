//! Memory for direct I/O, as each runtime wants to see its buffers.
#![allow(
    unsafe_code,
    reason = "the buffer traits of the runtimes are unsafe to implement"
)]

use std::mem::MaybeUninit;

use aiofiles::AlignedBuf;

/// All of it is initialised and may be read into; its length never changes.
pub struct Aligned(pub AlignedBuf);

impl Aligned {
    /// The first `n` bytes: what a read has given.
    pub fn into_first(self, n: usize) -> AlignedBuf {
        let mut buf = self.0;
        buf.resize(n);
        buf
    }
}

impl compio::buf::IoBuf for Aligned {
    fn as_init(&self) -> &[u8] {
        &self.0
    }
}

impl compio::buf::SetLen for Aligned {
    unsafe fn set_len(&mut self, _: usize) {}
}

impl compio::buf::IoBufMut for Aligned {
    fn as_uninit(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes: &mut [u8] = &mut self.0;
        // SAFETY: the two have the same layout, and the runtime writes nothing but bytes that are initialised.
        unsafe { &mut *(bytes as *mut [u8] as *mut [MaybeUninit<u8>]) }
    }
}

// SAFETY: the memory is on the heap, so it stays where it is when the value moves.
unsafe impl monoio::buf::IoBuf for Aligned {
    fn read_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: as above.
unsafe impl monoio::buf::IoBufMut for Aligned {
    fn write_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.0.len()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

// SAFETY: as above.
unsafe impl tokio_uring::buf::IoBuf for Aligned {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }

    fn bytes_total(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: as above.
unsafe impl tokio_uring::buf::IoBufMut for Aligned {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}
