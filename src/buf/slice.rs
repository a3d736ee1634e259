//! A part of a buffer, as a buffer.

use std::ops::Deref;

use super::{IoBuf, IoBufMut, content};

/// A part of a buffer: made by [`IoBuf::slice`], taken apart by [`into_inner`](Slice::into_inner).
///
/// It dereferences to its content.
///
/// # Examples
///
/// Read 100 bytes, and not all that the vector has room for:
///
/// ```
/// use aiofiles::{File, IoBuf};
///
/// # futures_lite::future::block_on(async {
/// let file = File::open("Cargo.toml").await?;
/// let (result, part) = file.read_exact_at(Vec::with_capacity(4096).slice(..100), 0).await;
/// result?;
/// assert_eq!(part.into_inner().len(), 100);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    pub(super) fn new(buf: B, begin: usize, end: usize) -> Slice<B> {
        assert!(
            begin <= end,
            "a slice that begins at {begin} and ends at {end}"
        );
        assert!(
            begin <= buf.bytes_init(),
            "a slice that begins at {begin}, behind the content of {} bytes",
            buf.bytes_init()
        );
        assert!(
            end <= buf.bytes_total(),
            "a slice that ends at {end}, behind the memory of {} bytes",
            buf.bytes_total()
        );
        Slice { buf, begin, end }
    }

    /// The whole buffer.
    pub fn into_inner(self) -> B {
        self.buf
    }

    /// The whole buffer.
    pub fn get_ref(&self) -> &B {
        &self.buf
    }

    /// Where the part begins in the buffer, in bytes.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Where the part ends in the buffer, in bytes.
    pub fn end(&self) -> usize {
        self.end
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        content(self)
    }
}

impl<B: IoBuf> AsRef<[u8]> for Slice<B> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: a part of memory for which the same was promised. The buffer cannot be changed while it is in here, so the
// part stays within it.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        self.buf.stable_ptr().wrapping_add(self.begin)
    }

    fn bytes_init(&self) -> usize {
        self.buf
            .bytes_init()
            .min(self.end)
            .saturating_sub(self.begin)
    }

    fn bytes_total(&self) -> usize {
        self.end - self.begin
    }
}

// SAFETY: as above.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.buf.stable_mut_ptr().wrapping_add(self.begin)
    }

    unsafe fn set_init(&mut self, len: usize) {
        // What stands behind the part is not given up.
        let filled = self.begin + len;
        if filled > self.buf.bytes_init() {
            // SAFETY: what lies before the part was initialised when it was made, and so many bytes of it are now.
            unsafe { self.buf.set_init(filled) };
        }
    }
}
