//! Reading and writing at offsets of the caller's choice: any number at once, on one open file, by `&self`.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use futures_lite::FutureExt;

use crate::backend::{self, Cached, Description, DirectAlignment, InFlight, ReadAt, WriteAt, sys};
use crate::buf::{self, BufResult, IoBuf, IoBufMut};
use crate::fairness;
use crate::file::File;
use crate::stream::Stream;

/// # Reading and writing at offsets
///
/// These functions take `&self` and an offset in bytes, and neither use nor move the position. Any number of them may
/// run at once. They take a buffer and give it back with the result, because it belongs to the operation while that runs,
/// also if the future is dropped.
///
/// Each is one dispatch to the thread pool, however many system calls it takes to complete it.
///
/// They go straight to the operating system, past the buffers of the file's position:
///
/// * `read_at` finds what was accepted by the position's writes after their `flush`. Before that it finds what the
///   operating system happens to have already. It always finds what a completed `write_at` has written.
/// * Reads at the position, of this file, its clones and its cursors, find what a completed `write_at` has written.
/// * Operations that run at the same time have no order. `flush`, `sync_all`, `sync_data`, `set_len` and `close` of this
///   handle or a clone wait for each `write_at` that was begun before, cancelled or not, and return the error of one that
///   was cancelled.
/// * In append mode the operating system appends what `write_at` writes, whatever the offset says (Linux), or writes at
///   the offset (elsewhere).
///
/// Offsets above `i64::MAX` are [`InvalidInput`](io::ErrorKind::InvalidInput). What has no positions, such as a pipe,
/// fails with the system's error (`ESPIPE`). If an operation panics, its buffer is gone with it.
impl File {
    /// Reads at `offset` into the buffer, once, and says how many bytes were read: 0 only at the end of the file, or if
    /// the buffer has no room.
    ///
    /// It fills the buffer from its beginning, over what it holds, up to all of its memory, without initialising it
    /// first. Afterwards a `Vec` is as long as what was read.
    ///
    /// This is `pread(2)`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing. The buffer is lost.
    ///
    /// # Errors
    ///
    /// * The file was not opened for reading, has no positions, or is closed.
    /// * `offset` is larger than any offset can be ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// let (result, buf) = file.read_at(Vec::with_capacity(100), 7).await;
    /// assert_eq!(result?, 5);
    /// assert_eq!(buf, b"world");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.read_into(buf, offset, false).await
    }

    /// Reads at `offset` until all memory of the buffer is filled.
    ///
    /// Use [`IoBuf::slice`] to read less than a buffer has room for.
    ///
    /// This is `pread(2)`, repeated.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing. The buffer is lost.
    ///
    /// # Errors
    ///
    /// * The file ends before ([`UnexpectedEof`](io::ErrorKind::UnexpectedEof)); the buffer holds what there was.
    /// * The same as [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// let (result, buf) = file.read_exact_at(Box::new([0; 5]), 7).await;
    /// result?;
    /// assert_eq!(&*buf, b"world");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_exact_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        let all = buf.bytes_total();
        let (result, buf) = self.read_into(buf, offset, true).await;
        let result = match result {
            Ok(n) if n < all => Err(io::ErrorKind::UnexpectedEof.into()),
            result => result.map(drop),
        };
        (result, buf)
    }

    /// Reads from `offset` to the end of the file, appends that to `buf`, and says how many bytes it was.
    ///
    /// This is `pread(2)`, repeated, after `fstat(2)` for the length.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing. The buffer is lost.
    ///
    /// # Errors
    ///
    /// * There is not enough memory ([`OutOfMemory`](io::ErrorKind::OutOfMemory)).
    /// * The same as [`read_at`](Self::read_at). The buffer holds what was read before.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// let (result, buf) = file.read_to_end_at(Vec::new(), 9).await;
    /// assert_eq!(result?, buf.len());
    /// assert_eq!(buf.len() as u64 + 9, file.metadata().await?.len());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_to_end_at(&self, buf: Vec<u8>, offset: u64) -> BufResult<usize, Vec<u8>> {
        self.read_operation("read to end at", buf, offset, move |description, buf| {
            let before = buf.len();
            let len = sys::file_metadata(description.file())?
                .len()
                .saturating_sub(offset);
            let mut next = offset;
            sys::read_to_end(buf, len, |buf, room| {
                backend::still_moving();
                let n = description.read_at(buf, room, next)?;
                next += n as u64;
                Ok(n)
            })?;
            Ok(buf.len() - before)
        })
        .await
    }

    /// Reads at `offset` into one buffer after the other, once, and says how many bytes were read.
    ///
    /// Memory of the buffers that is not initialised is initialised first.
    ///
    /// This is `preadv(2)`; where there is none, one buffer is read into.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing. The buffers are lost.
    ///
    /// # Errors
    ///
    /// The same as [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// let bufs = vec![Vec::with_capacity(5), Vec::with_capacity(100)];
    /// let (result, bufs) = file.read_vectored_at(bufs, 0).await;
    /// assert_eq!(result?, 12);
    /// assert_eq!(bufs, [&b"Hello"[..], b", world"]);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "preadv")]
    pub async fn read_vectored_at<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        self.read_operation(
            "read vectored at",
            bufs,
            offset,
            move |description, bufs| {
                let mut slices = bufs
                    .iter_mut()
                    .map(|buf| IoSliceMut::new(buf::zeroed(buf)))
                    .collect::<Vec<_>>();
                for slice in &slices {
                    description.check_direct(slice.as_ptr(), slice.len(), offset)?;
                }
                let read = sys::read_vectored_at(description.file(), &mut slices, offset)?;
                let mut left = read;
                for buf in bufs {
                    let n = left.min(buf.bytes_total());
                    buf::set_content(buf, n);
                    left -= n;
                }
                Ok(read)
            },
        )
        .await
    }

    /// The same as [`read_vectored_at`](Self::read_vectored_at).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing. The buffers are lost.
    pub async fn readv_at<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        self.read_vectored_at(bufs, offset).await
    }

    /// Writes the content of the buffer at `offset`, once, and says how many bytes were written.
    ///
    /// The operating system has them then. The file grows if they reach beyond its end, with zeros in between.
    ///
    /// This is `pwrite(2)`.
    ///
    /// # Cancel safety
    ///
    /// The write may still be made after the future is dropped. If it then fails, the next call on the file returns the
    /// error.
    ///
    /// # Errors
    ///
    /// * The file was not opened for writing, has no positions, or is closed.
    /// * `offset` is larger than any offset can be ([`InvalidInput`](io::ErrorKind::InvalidInput)), or the file would be
    ///   too large ([`FileTooLarge`](io::ErrorKind::FileTooLarge)).
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let file = aiofiles::File::create(&path).await?;
    /// let (result, buf) = file.write_at(b"world", 7).await;
    /// assert_eq!(result?, buf.len());
    /// file.write_at("Hello, ", 0).await.0?;
    /// assert_eq!(std::fs::read(&path)?, b"Hello, world");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.write_from(buf, offset, false).await
    }

    /// Writes all the content of the buffer at `offset`.
    ///
    /// This is `pwrite(2)`, repeated.
    ///
    /// # Cancel safety
    ///
    /// The write may still be made after the future is dropped. If it then fails, the next call on the file returns the
    /// error.
    ///
    /// # Errors
    ///
    /// The same as [`write_at`](Self::write_at). A part of the content may have been written then.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let file = aiofiles::File::create(&path).await?;
    /// let (one, other) = futures_lite::future::zip(
    ///     file.write_all_at(vec![1; 100_000], 0),
    ///     file.write_all_at(vec![2; 100_000], 100_000),
    /// ).await;
    /// one.0?;
    /// other.0?;
    /// assert_eq!(file.metadata().await?.len(), 200_000);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        let (result, buf) = self.write_from(buf, offset, true).await;
        (result.map(drop), buf)
    }

    /// Writes the content of one buffer after the other at `offset`, once, and says how many bytes were written.
    ///
    /// This is `pwritev(2)`; where there is none, one buffer is written.
    ///
    /// # Cancel safety
    ///
    /// The write may still be made after the future is dropped. If it then fails, the next call on the file returns the
    /// error.
    ///
    /// # Errors
    ///
    /// The same as [`write_at`](Self::write_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let file = aiofiles::File::create(&path).await?;
    /// let (result, _) = file.write_vectored_at(vec!["Hello, ", "world"], 0).await;
    /// assert_eq!(result?, 12);
    /// assert_eq!(std::fs::read(&path)?, b"Hello, world");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "pwritev")]
    pub async fn write_vectored_at<B: IoBuf>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        self.write_operation(bufs, offset, move |description, bufs| {
            let slices = bufs
                .iter()
                .map(|buf| IoSlice::new(buf::content(buf)))
                .collect::<Vec<_>>();
            if slices.iter().all(|slice| slice.is_empty()) {
                return Ok(0);
            }
            check_room(offset)?;
            for slice in &slices {
                description.check_direct(slice.as_ptr(), slice.len(), offset)?;
            }
            sys::write_vectored_at(description.file(), &slices, offset)
        })
        .await
    }

    /// The same as [`write_vectored_at`](Self::write_vectored_at).
    ///
    /// # Cancel safety
    ///
    /// The write may still be made after the future is dropped. If it then fails, the next call on the file returns the
    /// error.
    pub async fn writev_at<B: IoBuf>(&self, bufs: Vec<B>, offset: u64) -> BufResult<usize, Vec<B>> {
        self.write_vectored_at(bufs, offset).await
    }

    /// What direct I/O asks for, if the file was opened with [`OpenOptions::direct`](crate::OpenOptions::direct) or
    /// `O_DIRECT`; `None` if it was not.
    ///
    /// This is `statx(2)` with `STATX_DIOALIGN`, when the file is opened. Where the kernel does not tell, both are 4,096.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// assert_eq!(file.direct_alignment().await?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn direct_alignment(&self) -> io::Result<Option<DirectAlignment>> {
        let description = self.positional(0)?.clone();
        backend::query("probe", description.place(), move || {
            Ok(description.probe()?.direct)
        })
        .await
    }

    /// Reads into the memory of one buffer, once or until it is full.
    async fn read_into<B: IoBufMut>(
        &self,
        mut buf: B,
        offset: u64,
        whole: bool,
    ) -> BufResult<usize, B> {
        let description = match self.positional(offset) {
            Ok(description) => description,
            Err(error) => return (Err(error), buf),
        };
        let mut filled = 0;
        if description.tries_cached() {
            match read_cached(description, &mut buf, offset).await {
                Cached::All(n) => return (Ok(n), buf),
                Cached::Part(n) => filled = n,
                Cached::Miss => {}
            }
        }
        let read = backend::transfer(ReadAt {
            description: description.clone(),
            buf,
            offset,
            filled,
            whole,
        });
        taking_turns(read).await
    }

    /// Dispatches a read with its buffer.
    async fn read_operation<B: Send + 'static, T: Send + 'static>(
        &self,
        name: &'static str,
        mut buf: B,
        offset: u64,
        read: impl FnOnce(&Description, &mut B) -> io::Result<T> + Send + 'static,
    ) -> BufResult<T, B> {
        let description = match self.positional(offset) {
            Ok(description) => description.clone(),
            Err(error) => return (Err(error), buf),
        };
        backend::query(name, description.place(), move || {
            description.prepare_cached();
            let result = read(&description, &mut buf);
            (result, buf)
        })
        .await
    }

    /// Writes the content of one buffer, once or all of it.
    async fn write_from<B: IoBuf>(&self, buf: B, offset: u64, whole: bool) -> BufResult<usize, B> {
        let (description, stream) = match (self.positional(offset), self.stream()) {
            (Ok(description), Ok(stream)) => (description.clone(), stream),
            (Err(error), _) | (_, Err(error)) => return (Err(error), buf),
        };
        let begun = stream.begin_write_at().await;
        let number = begun.number();
        let write = backend::transfer(WriteAt {
            description,
            buf,
            offset,
            written: 0,
            whole,
            done: |result: &io::Result<usize>| begun.end(result),
        });
        heard(stream, number, taking_turns(write)).await
    }

    /// Dispatches a write with its buffer.
    async fn write_operation<B: Send + 'static, T: Send + 'static>(
        &self,
        buf: B,
        offset: u64,
        write: impl FnOnce(&Description, &B) -> io::Result<T> + Send + 'static,
    ) -> BufResult<T, B> {
        let (description, stream) = match (self.positional(offset), self.stream()) {
            (Ok(description), Ok(stream)) => (description.clone(), stream),
            (Err(error), _) | (_, Err(error)) => return (Err(error), buf),
        };
        let begun = stream.begin_write_at().await;
        let number = begun.number();
        let write = backend::change("write vectored at", description.place(), move || {
            let result = write(&description, &buf);
            begun.end(&result);
            (result, buf)
        });
        heard(stream, number, write).await
    }

    /// The open file, if it is open and can have such an offset.
    pub(crate) fn positional(&self, offset: u64) -> io::Result<&Arc<Description>> {
        if offset > sys::LARGEST_OFFSET {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no file has an offset that large",
            ));
        }
        Ok(self.stream()?.description())
    }
}

/// Reads what the page cache has into the memory of a buffer. Before that, others have their turn, if this task has had
/// enough of them.
async fn read_cached<B: IoBufMut>(description: &Description, buf: &mut B, offset: u64) -> Cached {
    fairness::turn().await;
    let mut cached = Cached::Miss;
    let filled = buf::fill(buf, |memory| {
        cached = description.read_cached(memory, offset);
        match cached {
            Cached::All(n) | Cached::Part(n) => Ok(n),
            // The content is as it was.
            Cached::Miss => Err((0, ())),
        }
    });
    fairness::charge(filled.unwrap_or(0));
    cached
}

/// Waits for a write whose error, or panic, nobody else need be told of if it gets here.
async fn heard<T, B>(
    stream: &Stream,
    number: u64,
    write: impl Future<Output = BufResult<T, B>>,
) -> BufResult<T, B> {
    let written = AssertUnwindSafe(write).catch_unwind().await;
    if !matches!(written, Ok((Ok(_), _))) {
        stream.told(number);
    }
    written.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// Waits for an operation. What a ring has done at once is a ready answer like others: when there were enough of them in a
/// row, other tasks have their turn.
pub(crate) async fn taking_turns<B>(
    mut in_flight: InFlight<BufResult<usize, B>>,
) -> BufResult<usize, B> {
    let mut has_waited = false;
    let output = poll_fn(|cx| {
        let output = Pin::new(&mut in_flight).poll(cx);
        has_waited |= output.is_pending();
        output
    })
    .await;
    if !has_waited {
        fairness::charge(*output.0.as_ref().unwrap_or(&0));
        fairness::turn().await;
    }
    output
}

/// Whether a byte can stand at `offset`.
fn check_room(offset: u64) -> io::Result<()> {
    if offset < sys::LARGEST_OFFSET {
        Ok(())
    } else {
        Err(sys::file_too_large())
    }
}
