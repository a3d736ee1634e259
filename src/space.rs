//! The space that a file takes: reserving it, giving it back, finding it, copying it; and how it will be used.

use std::io;

use crate::backend;
use crate::backend::sys::{self, Advice, Extent};
use crate::file::File;

impl File {
    /// Reserves space for `len` bytes from `offset` on, so that writing there does not fail for want of it. The file is
    /// extended with zeros if it ends before.
    ///
    /// It takes a place in the order, as [`set_len`](Self::set_len) does. The position stays.
    ///
    /// This is `fallocate(2)`. Where the file system or the operating system has no such thing, the file only gets its
    /// length.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped. If it then fails, the next call returns the error.
    ///
    /// # Errors
    ///
    /// * There is not so much space ([`StorageFull`](io::ErrorKind::StorageFull)).
    /// * `len` is 0, or the range ends beyond the largest offset ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * The file was not opened for writing, or is no regular file.
    /// * Accepted bytes could not be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.allocate(0, 1 << 20).await?;
    /// assert_eq!(file.metadata().await?.len(), 1 << 20);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        check_range(offset, len)?;
        self.stream()?
            .in_order("allocate", move |description| {
                description.allocate(offset, len)
            })
            .await
    }

    /// Gives the space of `len` bytes from `offset` on back to the file system. They read as zeros; the length stays.
    ///
    /// It takes a place in the order, as [`set_len`](Self::set_len) does.
    ///
    /// This is `fallocate(2)` with `FALLOC_FL_PUNCH_HOLE`, on Linux.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped. If it then fails, the next call returns the error.
    ///
    /// # Errors
    ///
    /// * Neither the file system nor the operating system has such a thing
    ///   ([`Unsupported`](io::ErrorKind::Unsupported)).
    /// * `len` is 0, or the range ends beyond the largest offset ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * The file was not opened for writing, or is no regular file.
    /// * Accepted bytes could not be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, vec![1; 100_000]).await?;
    /// let file = aiofiles::OpenOptions::new().read(true).write(true).open(&path).await?;
    /// match file.punch_hole(0, 50_000).await {
    ///     Ok(()) => assert_eq!(file.read_exact_at(Box::new([1; 3]), 49_997).await.1, Box::new([0; 3])),
    ///     Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::Unsupported),
    /// }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        check_range(offset, len)?;
        self.stream()?
            .in_order("punch hole", move |description| {
                sys::punch_hole(description.file(), offset, len)
            })
            .await
    }

    /// Where the next data begins, from `offset` on: `None` if only a hole follows, or nothing.
    ///
    /// It finds what was accepted before. The position stays.
    ///
    /// This is `lseek(2)` with `SEEK_DATA`. Where a system knows of no holes, everything up to the end is data.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file has no positions, or is closed.
    /// * Accepted bytes could not be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.write_all_at("end", 1 << 20).await.0?;
    /// let data = file.seek_data(0).await?.expect("there is some");
    /// assert!(data <= 1 << 20);
    /// assert_eq!(file.seek_hole(data).await?, Some((1 << 20) + 3));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "SEEK_DATA")]
    pub async fn seek_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.seek_extent(offset, Extent::Data).await
    }

    /// Where the next hole begins, from `offset` on; the end of the file counts as one. `None` if `offset` lies at or
    /// beyond the end.
    ///
    /// The same as [`seek_data`](Self::seek_data) otherwise. This is `lseek(2)` with `SEEK_HOLE`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// The same as [`seek_data`](Self::seek_data).
    #[doc(alias = "SEEK_HOLE")]
    pub async fn seek_hole(&self, offset: u64) -> io::Result<Option<u64>> {
        self.seek_extent(offset, Extent::Hole).await
    }

    /// In the order, because the kernel's position is moved and put back, and a write in append mode moves it too.
    async fn seek_extent(&self, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
        let stream = self.stream()?;
        if offset > sys::LARGEST_OFFSET {
            return Ok(None);
        }
        stream
            .ask_in_order("seek extent", move |description| {
                sys::seek_extent(description.file(), offset, extent)
            })
            .await
    }

    /// Tells the kernel how `len` bytes from `offset` on will be used; a `len` of 0 means everything from there on.
    ///
    /// A hint that changes nothing but speed. [`WillNeed`](Advice::WillNeed) has the kernel read ahead. This is
    /// `posix_fadvise(2)`; where there is none, nothing happens.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is a hint.
    ///
    /// # Errors
    ///
    /// * The file is a pipe or the like, or is closed.
    /// * `offset` is larger than any offset can be ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// file.advise(0, 0, aiofiles::Advice::WillNeed).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "posix_fadvise")]
    pub async fn advise(&self, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
        let description = self.positional(offset)?.clone();
        let len = len.min(sys::LARGEST_OFFSET - offset);
        backend::query("advise", description.place(), move || {
            sys::advise(description.file(), offset, len, advice)
        })
        .await
    }
}

/// Copies up to `len` bytes from an offset in one open file to an offset in another, and says how many they were: fewer
/// only if `from` ends before.
///
/// Positions play no part and stay. Everything that both files had accepted comes first; the copy takes a place in the
/// order of `to`. Both may be the same file, if the ranges do not overlap; its end is the one that it had at first.
///
/// This is `copy_file_range(2)`, which shares blocks where the file system can; otherwise reading and writing, in jobs of
/// their own.
///
/// # Cancel safety
///
/// Dropped early, some bytes were copied. If copying fails after that, the next call on `to` returns the error.
///
/// # Errors
///
/// * `from` was not opened for reading, `to` not for writing, or is in append mode.
/// * An offset is larger than any can be, or the ranges overlap in one file
///   ([`InvalidInput`](io::ErrorKind::InvalidInput)).
/// * Accepted bytes could not be written.
/// * Some other I/O error occurred. Bytes before it were copied.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// # aiofiles::write(&one, "Hello, world").await?;
/// let from = aiofiles::File::open(&one).await?;
/// let to = aiofiles::File::create(&other).await?;
/// assert_eq!(aiofiles::copy_range(&from, 7, &to, 0, 100).await?, 5);
/// assert_eq!(aiofiles::read(&other).await?, b"world");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "copy_file_range")]
pub async fn copy_range(
    from: &File,
    from_offset: u64,
    to: &File,
    to_offset: u64,
    len: u64,
) -> io::Result<u64> {
    /// How much is copied in one job: a second's work at most, so that others have their turn.
    const STRETCH: u64 = 64 * 1024 * 1024;
    let source = from.positional(from_offset)?.clone();
    let target = to.positional(to_offset)?.clone();
    from.flushed().await?;
    to.flushed().await?;

    // Within one file, what is copied moves the end: the end that it had is the one that is meant.
    let known = source.facts().is_some() && target.facts().is_some();
    let end = if known && !source.is_same_file(&target) {
        None
    } else {
        let (one, other) = (source.clone(), target.clone());
        let end_of_one_file = backend::query("identify", source.place(), move || {
            one.probe()?;
            other.probe()?;
            let end = one.is_same_file(&other).then(|| sys::end(one.file()));
            end.transpose()
        });
        end_of_one_file.await?
    };
    if target.facts().is_some_and(|facts| facts.append) {
        return Err(sys::bad_descriptor());
    }
    let overlaps = end.is_some()
        && from_offset < to_offset.saturating_add(len)
        && to_offset < from_offset.saturating_add(len);
    if overlaps {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "ranges of one file that overlap",
        ));
    }
    // No end of a range can lie farther than that.
    let len = len
        .min(
            end.unwrap_or(sys::LARGEST_OFFSET)
                .saturating_sub(from_offset),
        )
        .min(sys::LARGEST_OFFSET - to_offset);

    let mut copied = 0;
    while copied < len {
        let source = source.clone();
        let stretch = STRETCH.min(len - copied);
        let (read_at, write_at) = (from_offset + copied, to_offset + copied);
        let (n, result) = to
            .stream()?
            .copy_in_order(source, read_at, write_at, stretch)
            .await;
        copied += n;
        result?;
        if n == 0 {
            break;
        }
    }
    Ok(copied)
}

/// Refuses a range that is empty, or that no file can have.
fn check_range(offset: u64, len: u64) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(end) if len > 0 && end <= sys::LARGEST_OFFSET => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a range must not be empty, nor end where no file can",
        )),
    }
}
