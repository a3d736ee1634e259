//! `File`: a handle to an open file, and the traits of `futures-io` on it.

use std::fmt;
use std::fs::{FileTimes, Metadata, Permissions};
use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use futures_lite::FutureExt;

use crate::backend::{self, Answer, Description, Place, sys, trace};
use crate::fairness;
use crate::open::OpenOptions;
use crate::settle::Lingering;
use crate::stream::{Buffering, Caller, Lent, Stream, Waiting};
use crate::waiters::Seat;

/// An open file.
///
/// It is read with [`AsyncRead`] and [`AsyncBufRead`], written with [`AsyncWrite`] and moved with [`AsyncSeek`], on any
/// executor. Import the extension traits of `futures-lite`, `smol` or `futures-util` for `read`, `write_all`, `lines` and
/// the like.
///
/// # Position
///
/// A file has a logical position of its own; regular files are read and written at explicit offsets. What is read ahead
/// of the position, or accepted behind it, is never visible in it.
///
/// # Writing
///
/// A write copies its bytes into a bounded buffer and returns; the bytes are on their way to the operating system at
/// once, and later writes gather while one runs. `flush` waits until the operating system has everything,
/// [`sync_all`](File::sync_all) until the device has. If writing fails, the unwritten bytes are kept, and the next call
/// returns the error, with its code; each later one first tries to write them again. `flush`, `sync_*` and `close` never
/// return `Ok` past an unwritten byte.
///
/// # Closing and dropping
///
/// `close` (of `AsyncWrite`) waits for everything and returns the error, if there is one, also that of `close(2)`.
/// Dropping a file never blocks and loses no accepted byte: they are still written, in order, even if the runtime is
/// dropped or the process exits. Only the error has nobody left to go to.
///
/// # Examples
///
/// ```
/// use aiofiles::File;
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let mut file = File::options().read(true).write(true).create(true).open(&path).await?;
/// file.write_all(b"Hello, world").await?;
/// file.seek(std::io::SeekFrom::Start(7)).await?;
///
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "world");
/// file.close().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct File {
    /// The stream behind the handle; `None` once it is closed.
    stream: Option<Handle>,
    /// What closing says, while it goes on.
    closing: Option<Arc<Answer<thread::Result<io::Result<()>>>>>,
    /// The part of a block that `fill_buf` lent.
    lent: Lent,
    /// The last call was a `fill_buf` that had an answer, and nothing was consumed since.
    answered: Option<Answered>,
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
    path: Option<Arc<Path>>,
}

/// When `fill_buf` had an answer.
///
/// `futures-lite` polls `fill_buf` once to see whether it is ready and once more for the bytes, and panics if the second
/// answer is "not yet". Between the two the content may change, or the end of the file may have to be asked for anew.
struct Answered {
    /// How many polls this thread had made.
    turn: u64,
    /// The time, if the answer came from the stream.
    at: Option<Instant>,
}

impl Answered {
    fn new(from_stream: bool) -> Answered {
        Answered {
            turn: fairness::turns(),
            at: from_stream.then(Instant::now),
        }
    }

    /// Whether the present call can be the second one of a pair: nothing else was polled on this thread, and no more
    /// time has gone than a thread may lose between two statements.
    fn is_of_this_poll(&self) -> bool {
        const PAIR: Duration = Duration::from_millis(100);
        self.turn == fairness::turns() && self.at.is_none_or(|at| at.elapsed() < PAIR)
    }
}

/// One handle of a stream, with its seats among the waiters.
struct Handle {
    stream: Arc<Stream>,
    seats: [Seat; 3],
    /// Bytes that were consumed from what `fill_buf` lent, and of which the stream has not heard.
    consumed: AtomicUsize,
    /// Where the first of them stands.
    consumed_from: u64,
    /// It counts no longer: it is being closed.
    closing: bool,
}

/// The roles in which a handle may wait.
const READER: usize = 0;
const WRITER: usize = 1;
const SEEKER: usize = 2;

impl Handle {
    fn new(stream: Arc<Stream>) -> Handle {
        let seats = stream.attach();
        Handle {
            stream,
            seats,
            consumed: AtomicUsize::new(0),
            consumed_from: 0,
            closing: false,
        }
    }

    /// The stream, with the position where the user believes it to be.
    fn stream(&self) -> &Arc<Stream> {
        fairness::count_turn();
        if self.consumed.load(Ordering::Relaxed) > 0 {
            let consumed = self.consumed.swap(0, Ordering::Relaxed);
            self.stream.advance(self.consumed_from, consumed);
        }
        &self.stream
    }

    /// The caller in one of the roles.
    fn caller<'a, 'b>(&self, role: usize, cx: &'a mut Context<'b>) -> Caller<'a, 'b> {
        Caller {
            seat: self.seats[role],
            writer: self.seats[WRITER],
            cx,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.closing {
            self.stream.drop_handle(self.seats);
        }
    }
}

impl File {
    /// Opens a file for reading.
    ///
    /// See [`OpenOptions::open`] for more ways.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped `open` leaks no descriptor.
    ///
    /// # Errors
    ///
    /// * The file does not exist, or the process may not read it.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// assert!(file.metadata().await?.len() > 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing, creates it if it does not exist, and truncates it if it does.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the file may have been created or truncated; no descriptor leaks.
    ///
    /// # Errors
    ///
    /// * A directory of the path does not exist, or the process may not write there.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .await
    }

    /// Creates a file for reading and writing, and fails if it exists.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the file may have been created; no descriptor leaks.
    ///
    /// # Errors
    ///
    /// * The file exists ([`AlreadyExists`](io::ErrorKind::AlreadyExists)).
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("a.txt");
    /// aiofiles::File::create_new(&path).await?;
    /// let error = aiofiles::File::create_new(&path).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .await
    }

    /// Options with everything off: [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// The path that the file was opened with, or was [persisted](crate::tempfile::NamedTemporaryFile::persist) to; `None`
    /// if it was not opened by this crate.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// assert_eq!(file.path(), Some(std::path::Path::new("Cargo.toml")));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Waits until the device has everything: what was accepted, and the file's metadata.
    ///
    /// When it returns `Ok`, every byte that this file accepted before the call was handed to the storage device, and
    /// the kernel reported no error. The *name* of a new file is durable only once its directory is synced too.
    ///
    /// A sync that failed is final: the kernel may have dropped the data, so trying again could wrongly succeed. Every
    /// later sync of this file and its clones returns the error. (A sync that was refused is not final: EINVAL, EROFS,
    /// ENOTSUP.)
    ///
    /// This is `fsync(2)`, in a job of its own.
    ///
    /// # Cancel safety
    ///
    /// The sync goes on after the future is dropped. Its error is kept for the next one.
    ///
    /// # Errors
    ///
    /// * Accepted bytes could not be written.
    /// * The device reported an error, now or at an earlier sync.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let mut file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.write_all(b"hello").await?;
    /// file.sync_all().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn sync_all(&self) -> io::Result<()> {
        self.sync(false).await
    }

    /// Waits until the device has the content, and of the metadata what is needed to read it.
    ///
    /// The same as [`sync_all`](File::sync_all) otherwise. This is `fdatasync(2)`.
    ///
    /// # Cancel safety
    ///
    /// The sync goes on after the future is dropped. Its error is kept for the next one.
    ///
    /// # Errors
    ///
    /// The same as [`sync_all`](File::sync_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let mut file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.write_all(b"hello").await?;
    /// file.sync_data().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync(true).await
    }

    async fn sync(&self, data_only: bool) -> io::Result<()> {
        let description = self.flushed().await?.description().clone();
        let name = if data_only { "sync data" } else { "sync" };
        let place = description.place();
        backend::long(name, place, move || description.sync(data_only)).await
    }

    /// Cuts the file off at `size` bytes, or extends it with zeros. The position stays.
    ///
    /// It takes a place in the order: after what was accepted before, before what comes later.
    ///
    /// This is `ftruncate(2)`.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped. If it then fails, the next call returns the error.
    ///
    /// # Errors
    ///
    /// * Accepted bytes could not be written.
    /// * The file was not opened for writing, or is of a kind that has no length.
    /// * `size` is beyond the limit of the file system, or of file offsets ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.set_len(1 << 20).await?;
    /// assert_eq!(file.metadata().await?.len(), 1 << 20);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        let stream = self.stream()?;
        if size > sys::LARGEST_OFFSET {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a file cannot be that large",
            ));
        }
        stream
            .in_order("set length", move |description| description.set_len(size))
            .await
    }

    /// The metadata of the file, after everything that was accepted.
    ///
    /// This is `fstat(2)` (`statx(2)`).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file is closed.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let mut file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.write_all(b"hello").await?;
    /// assert_eq!(file.metadata().await?.len(), 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let description = self.stopped().await?;
        backend::query("metadata", description.place(), move || {
            sys::file_metadata(description.file())
        })
        .await
    }

    /// Changes the permissions of the file.
    ///
    /// This is `fchmod(2)`.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped.
    ///
    /// # Errors
    ///
    /// * The process may not change them.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// let mut permissions = file.metadata().await?.permissions();
    /// permissions.set_readonly(true);
    /// file.set_permissions(permissions).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let description = self.stopped().await?;
        let place = description.place();
        backend::change("set permissions", place, move || {
            sys::set_file_permissions(description.file(), &permissions)
        })
        .await
    }

    /// Changes the times of last access and last modification.
    ///
    /// It takes a place in the order, so that a write accepted before does not change the time again.
    ///
    /// This is `futimens(2)`.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped. If it then fails, the next call returns the error.
    ///
    /// # Errors
    ///
    /// * Accepted bytes could not be written.
    /// * The process may not change the times.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::FileTimes;
    /// use std::time::{Duration, SystemTime};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    /// file.set_times(FileTimes::new().set_modified(time)).await?;
    /// assert_eq!(file.metadata().await?.modified()?, time);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.stream()?
            .in_order("set times", move |description| {
                sys::set_times(description.file(), times)
            })
            .await
    }

    /// Changes the time of last modification: [`set_times`](File::set_times) with that alone.
    ///
    /// # Cancel safety
    ///
    /// The change may still be made after the future is dropped. If it then fails, the next call returns the error.
    ///
    /// # Errors
    ///
    /// The same as [`set_times`](File::set_times).
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// Another handle to the same open file. Both share one position and one order of writes, as std's do.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits for what was accepted.
    ///
    /// # Errors
    ///
    /// * Accepted bytes could not be written.
    /// * The file is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "abcd").await?;
    /// let mut one = aiofiles::File::open(&path).await?;
    /// let mut other = one.try_clone().await?;
    ///
    /// let mut buf = [0; 2];
    /// one.read_exact(&mut buf).await?;
    /// other.read_exact(&mut buf).await?;
    /// assert_eq!(&buf, b"cd");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn try_clone(&self) -> io::Result<File> {
        Ok(File::from_stream(self.flushed().await?.clone()))
    }

    /// The position: where the next read or write happens.
    ///
    /// The same as `seek(SeekFrom::Current(0))`, by `&self`. No system call, except in append mode after a write.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file has no position (a pipe, a terminal).
    /// * In append mode, accepted bytes could not be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let mut file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// file.write_all(b"hello").await?;
    /// assert_eq!(file.stream_position().await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn stream_position(&self) -> io::Result<u64> {
        Waiting::new(self.stream()?)
            .until(|stream, caller| stream.poll_position(caller))
            .await
    }

    /// Gives up the bytes that could not be written, and moves the position back to where they begin.
    ///
    /// Returns how many bytes were given up; 0 if there is nothing wrong. After a failed write, this is the way to go on
    /// without its bytes.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing has happened, or all of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::File::create(dir.path().join("a.txt")).await?;
    /// assert_eq!(file.discard_unwritten().await, 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn discard_unwritten(&self) -> u64 {
        match self.stream() {
            Ok(stream) => {
                Waiting::new(stream)
                    .until(|stream, caller| stream.poll_discard(caller))
                    .await
            }
            Err(_) => 0,
        }
    }

    /// Whether the file is a terminal. A closed file is none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// assert!(!aiofiles::File::open("Cargo.toml").await?.is_terminal().await);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn is_terminal(&self) -> bool {
        let Ok(stream) = self.stream() else {
            return false;
        };
        let description = stream.description().clone();
        backend::query("is terminal", description.place(), move || {
            sys::is_terminal(description.file())
        })
        .await
    }

    /// Gives std's file back, with everything written and the kernel's position where ours is.
    ///
    /// While clones of the file exist, the descriptor is duplicated (`dup(2)`).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the file, which loses no accepted byte.
    ///
    /// # Errors
    ///
    /// The error holds the `File`, so that nothing is lost.
    ///
    /// * Accepted bytes could not be written.
    /// * The file is closed.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    /// use futures_lite::AsyncReadExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "abcd").await?;
    /// let mut file = aiofiles::File::open(&path).await?;
    /// file.read_exact(&mut [0; 2]).await?;
    ///
    /// let mut rest = String::new();
    /// file.into_std().await?.read_to_string(&mut rest)?;
    /// assert_eq!(rest, "cd");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn into_std(mut self) -> Result<std::fs::File, IntoStdError> {
        match self.give_back().await {
            Ok(file) => Ok(file),
            Err(error) => Err(IntoStdError { file: self, error }),
        }
    }

    async fn give_back(&mut self) -> io::Result<std::fs::File> {
        let stream = self.flushed().await?.clone();
        Waiting::new(&stream)
            .until(|stream, caller| stream.poll_stop_reading(caller))
            .await;

        // Put the kernel's position where ours is, and undo what opening has set.
        let position = match Waiting::new(&stream)
            .until(|stream, caller| stream.poll_position(caller))
            .await
        {
            Ok(position) => Some(position),
            Err(error) if error.kind() == sys::not_seekable().kind() => None,
            Err(error) => return Err(error),
        };
        let description = stream.description().clone();
        backend::change("restore", description.place(), move || {
            description.restore(position)
        })
        .await?;

        // Take the descriptor out if nobody else uses it; otherwise a duplicate serves as well.
        self.stream = None;
        let taken = backend::change("give back", stream.description().place(), move || {
            take_file(stream)
        })
        .await;
        taken.map_err(|(error, stream)| {
            self.stream = Some(Handle::new(stream));
            error
        })
    }

    /// A handle to `stream`.
    pub(crate) fn from_stream(stream: Arc<Stream>) -> File {
        let path = stream.description().path().cloned();
        File {
            stream: Some(Handle::new(stream)),
            closing: None,
            lent: Lent::default(),
            answered: None,
            waited: false,
            path,
        }
    }

    /// A handle to an open file that nobody else has.
    pub(crate) fn from_description(description: Arc<Description>) -> File {
        File::from_stream(Stream::new(description, Buffering::default()))
    }

    /// A handle that is closed.
    pub(crate) fn closed(path: Option<Arc<Path>>) -> File {
        File {
            stream: None,
            closing: None,
            lent: Lent::default(),
            answered: None,
            waited: false,
            path,
        }
    }

    /// Whether it was closed, or begins to be.
    pub(crate) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// The file has another path from now on.
    pub(crate) fn set_path(&mut self, path: Arc<Path>) {
        self.path = Some(path);
    }

    /// The stream, unless the file is closed.
    pub(crate) fn stream(&self) -> io::Result<&Arc<Stream>> {
        self.stream.as_ref().map(Handle::stream).ok_or_else(closed)
    }

    /// The open file, once nothing of this handle is on its way.
    pub(crate) async fn stopped(&self) -> io::Result<Arc<Description>> {
        let stream = self.stream()?;
        Waiting::new(stream)
            .until(|stream, caller| stream.poll_stopped(caller))
            .await;
        Ok(stream.description().clone())
    }

    /// The stream, once the operating system has all that was accepted.
    pub(crate) async fn flushed(&self) -> io::Result<&Arc<Stream>> {
        let stream = self.stream()?;
        Waiting::new(stream)
            .until(|stream, caller| stream.poll_flush(caller))
            .await?;
        Ok(stream)
    }

    /// Lets `poll` have its turn, unless this task has had enough of them in a row.
    fn turn<T>(
        &mut self,
        role: usize,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&Arc<Stream>, &mut Caller<'_, '_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.lent = Lent::default();
        self.answered = None;
        let Some(handle) = &self.stream else {
            return Poll::Ready(Err(closed()));
        };
        ready!(fairness::poll_turn(&mut self.waited, cx));
        let mut caller = handle.caller(role, cx);
        let result = poll(handle.stream(), &mut caller);
        self.waited = result.is_pending();
        result
    }
}

/// Takes the file out of its stream, or duplicates it if somebody else uses it too. Runs on a pool thread.
fn take_file(stream: Arc<Stream>) -> Result<std::fs::File, (io::Error, Arc<Stream>)> {
    // A job that has done its work may be about to let go of the stream.
    for _ in 0..1000 {
        if Arc::strong_count(&stream) == 1 && Arc::strong_count(stream.description()) == 1 {
            break;
        }
        std::thread::yield_now();
    }
    match stream.description().file().try_clone() {
        Ok(duplicate) => Ok(
            match Arc::into_inner(stream).and_then(Stream::into_description) {
                Some(description) => description.into_file().unwrap_or(duplicate),
                None => duplicate,
            },
        ),
        Err(error) => Err((error, stream)),
    }
}

/// What every call on a closed file answers.
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "file is closed")
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let bufs = &mut [IoSliceMut::new(buf)];
        self.turn(READER, cx, |stream, caller| stream.poll_read(caller, bufs))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.turn(READER, cx, |stream, caller| stream.poll_read(caller, bufs))
    }
}

impl AsyncBufRead for File {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let file = self.get_mut();
        let Some(handle) = &file.stream else {
            return Poll::Ready(Err(closed()));
        };
        // Some callers ask twice in one poll, and rely on an answer the second time.
        if file.answered.take().is_some_and(|it| it.is_of_this_poll()) {
            if !handle.stream.is_fresh(&file.lent)
                && let Some(lent) = handle.stream().lend()
            {
                file.lent = lent;
            }
            return Poll::Ready(Ok(file.lent.bytes()));
        }
        ready!(fairness::poll_turn(&mut file.waited, cx));
        // What was lent before and is not consumed is the answer still, unless something has happened since.
        let is_fresh = handle.stream.is_fresh(&file.lent);
        if !is_fresh {
            file.lent = Lent::default();
            let lent = handle.stream().poll_fill(&mut handle.caller(READER, cx));
            file.waited = lent.is_pending();
            file.lent = ready!(lent)?;
        }
        file.waited = false;
        file.answered = Some(Answered::new(!is_fresh));
        Poll::Ready(Ok(file.lent.bytes()))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let file = self.get_mut();
        if let Some(handle) = &mut file.stream {
            file.answered = None;
            if *handle.consumed.get_mut() == 0 {
                handle.consumed_from = file.lent.position();
            }
            *handle.consumed.get_mut() += file.lent.consume(amt);
            if handle.stream.is_shared() {
                handle.stream();
            }
        }
    }
}

impl AsyncWrite for File {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.turn(WRITER, cx, |stream, caller| {
            stream.poll_write(caller, &[IoSlice::new(buf)])
        })
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.turn(WRITER, cx, |stream, caller| stream.poll_write(caller, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turn(WRITER, cx, |stream, caller| stream.poll_flush(caller))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let file = self.get_mut();
        // Begin: from here on the file closes by itself, whether or not anybody waits for it.
        if let Some(handle) = file.stream.take() {
            file.lent = Lent::default();
            let closing = Arc::<Answer<_>>::default();
            file.closing = Some(closing.clone());
            // Whoever opens the file meanwhile finds what was accepted in it.
            let lingering = handle.stream.linger();
            let place = Place::anywhere_at(handle.stream.description().path());
            backend::drive("close", place, async move {
                let result = AssertUnwindSafe(close(handle, lingering)).catch_unwind();
                let result = result.await;
                if let Ok(Err(error)) = &result {
                    trace::failed(error);
                }
                closing.give(result);
            });
        }
        // Wait for it. A file that is closed already is closed.
        let Some(closing) = &file.closing else {
            return Poll::Ready(Ok(()));
        };
        let result = ready!(Pin::new(&mut &**closing).poll(cx));
        file.closing = None;
        match result {
            Ok(result) => Poll::Ready(result),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pos: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.turn(SEEKER, cx, |stream, caller| stream.poll_seek(pos, caller))
    }
}

/// Settles the handle, and closes the descriptor if this was its last user.
async fn close(mut handle: Handle, lingering: Option<Lingering>) -> io::Result<()> {
    let stream = handle.stream().clone();
    handle.closing = true;
    let last = stream.close_handle(handle.seats);
    drop(handle);
    let mut tried = false;
    let mut waiting = Waiting::new(&stream);
    let settled =
        waiting.until(|stream, caller| stream.poll_written_or_given_up(&mut tried, caller));
    // The panic of a job belongs to whoever closes, but the file is closed all the same.
    let settled = AssertUnwindSafe(settled).catch_unwind().await;
    drop(waiting);
    stream.handle_closed();
    drop(lingering);
    let closed = if last {
        // Whoever drops the description last closes it, and tells what close(2) said.
        let closed = stream.description().notify_closed();
        drop(stream);
        (&*closed).await
    } else {
        Ok(())
    };
    match settled {
        Ok(settled) => settled.and(closed),
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Takes over a file of std, at the position it has. No system call is made before the first operation.
impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        File::from_description(Description::foreign(file))
    }
}

/// Borrowing what stays open.
impl File {
    /// A file on a duplicate of an open file's descriptor: closing or dropping it leaves the other open.
    ///
    /// The two share what the system keeps for an open file: flags, locks and the kernel's position. This one begins at that
    /// position, and does not move it; [`into_std`](Self::into_std) puts it where this one is.
    ///
    /// This is `fcntl(2)` with `F_DUPFD_CLOEXEC`, which waits for nothing, so it is done at once.
    ///
    /// # Errors
    ///
    /// * The process has too many open files.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let mut std = std::fs::File::create(&path)?;
    /// std.write_all(b"one ")?;
    ///
    /// let mut file = aiofiles::File::from_borrowed(&std)?;
    /// file.write_all(b"two ").await?;
    /// drop(file.into_std().await?);
    ///
    /// std.write_all(b"three")?;
    /// assert_eq!(std::fs::read(&path)?, b"one two three");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[cfg(unix)]
    #[doc(alias = "closefd")]
    pub fn from_borrowed<D: std::os::fd::AsFd>(descriptor: D) -> io::Result<File> {
        let duplicate = descriptor.as_fd().try_clone_to_owned()?;
        Ok(File::from(std::fs::File::from(duplicate)))
    }

    /// A file on a duplicate of an open file's handle: closing or dropping it leaves the other open.
    ///
    /// The two share what the system keeps for an open file: locks and the kernel's position. This one begins at that
    /// position, and does not move it; [`into_std`](Self::into_std) puts it where this one is.
    ///
    /// # Errors
    ///
    /// * The handle cannot be duplicated.
    #[cfg(windows)]
    #[doc(alias = "closefd")]
    pub fn from_borrowed<H: std::os::windows::io::AsHandle>(handle: H) -> io::Result<File> {
        let duplicate = handle.as_handle().try_clone_to_owned()?;
        Ok(File::from(std::fs::File::from(duplicate)))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("File");
        match &self.stream {
            Some(handle) => debug.field("stream", &handle.stream),
            None => debug.field("closed", &true),
        };
        debug.field("path", &self.path).finish()
    }
}

/// Why [`File::into_std`] failed, and the file.
#[derive(Debug)]
pub struct IntoStdError {
    file: File,
    error: io::Error,
}

impl IntoStdError {
    /// Why it failed.
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// Why it failed, without the file.
    pub fn into_error(self) -> io::Error {
        self.error
    }

    /// The file, with everything that it had accepted.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl fmt::Display for IntoStdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for IntoStdError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<IntoStdError> for io::Error {
    fn from(error: IntoStdError) -> io::Error {
        error.error
    }
}
