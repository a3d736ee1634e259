//! A file that is in memory as long as it is small.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

use super::builder::now;
use super::{Builder, PersistError};
use crate::backend::sys::temporary::Naming;
use crate::backend::{self, Description, InFlight, Place, sys};
use crate::error::Context as _;
use crate::fairness;
use crate::file::{self, File};
use crate::stream::Stream;

/// No poll copies or clears more than this.
const MOST_INLINE: usize = 256 * 1024;

/// A temporary file that is in memory until it becomes too large for that.
///
/// The write after which the position would be above `max_size` moves everything to a file without a name, as a
/// [`TemporaryFile`](super::TemporaryFile) is, and goes there itself; so do all that follow. A position of exactly
/// `max_size` stays in memory. With 0 there is no such limit. [`rollover`](Self::rollover) and [`file`](Self::file)
/// move it in any case.
///
/// Whether it is in memory or not makes no difference to what is read and written. In memory, nothing is dispatched to
/// the thread pool.
///
/// # Errors
///
/// If the file cannot be created or filled, the write returns the error and has accepted nothing. Everything is in
/// memory as before, and the next write that needs it tries again.
///
/// # Examples
///
/// ```
/// use aiofiles::tempfile::SpooledTemporaryFile;
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// let mut file = SpooledTemporaryFile::new(5);
/// file.write_all(b"Hello").await?;
/// assert!(!file.is_rolled());
/// file.write_all(b", world").await?;
/// assert!(file.is_rolled());
///
/// let mut text = String::new();
/// file.seek(std::io::SeekFrom::Start(0)).await?;
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "Hello, world");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct SpooledTemporaryFile {
    state: State,
    /// The content, until it is in a file. What is beyond its end is zero, and is not content.
    memory: Arc<Vec<u8>>,
    end: usize,
    position: u64,
    /// 0 if there is none.
    max_size: usize,
    naming: Arc<Naming>,
    dir: Arc<Path>,
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
    /// The last call lent bytes of the memory.
    lent: bool,
}

/// Where the content is, and who may use it.
///
/// ```text
/// Memory -> Rolling -> Rolled -> (a closed file)
///    |  ^------'  |
///    `-> Closed <-'
/// ```
enum State {
    /// In memory.
    Memory,
    /// In memory, and a job copies it to a file. Reading and seeking go on meanwhile; whoever wants to change something
    /// waits for the job. If it fails, nothing has happened.
    Rolling(InFlight<io::Result<Arc<Description>>>),
    /// In a file, as are the position and everything else.
    Rolled(File),
    /// It was in memory and is closed.
    Closed,
}

impl SpooledTemporaryFile {
    /// A file that is in memory up to `max_size` bytes; 0 means any number. Nothing is created.
    ///
    /// [`Builder::spooled_temporary_file`] has options.
    ///
    /// # Examples
    ///
    /// ```
    /// let file = aiofiles::tempfile::SpooledTemporaryFile::new(1 << 20);
    /// assert!(!file.is_rolled());
    /// ```
    pub fn new(max_size: usize) -> SpooledTemporaryFile {
        SpooledTemporaryFile::create(&Builder::new(), max_size)
    }

    pub(super) fn create(builder: &Builder, max_size: usize) -> SpooledTemporaryFile {
        let (naming, dir) = builder.parts();
        SpooledTemporaryFile {
            state: State::Memory,
            memory: Arc::default(),
            end: 0,
            position: 0,
            max_size,
            naming: Arc::new(naming),
            dir,
            waited: false,
            lent: false,
        }
    }

    /// Whether it is in a file.
    pub fn is_rolled(&self) -> bool {
        matches!(self.state, State::Rolled(_))
    }

    /// How long it may become in memory; 0 if there is no limit.
    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// Moves it to a file, if it is not there yet. The position stays.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no byte is lost, and whatever is called next goes on with it.
    ///
    /// # Errors
    ///
    /// * The file cannot be created or filled. Everything is in memory as before.
    /// * It is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::tempfile::SpooledTemporaryFile::new(0);
    /// file.rollover().await?;
    /// assert!(file.is_rolled());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "roll")]
    pub async fn rollover(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_rolled(cx)).await
    }

    /// The file it is in. It is moved there if need be, so this is a way to a descriptor.
    ///
    /// # Cancel safety
    ///
    /// As that of [`rollover`](Self::rollover).
    ///
    /// # Errors
    ///
    /// Those of [`rollover`](Self::rollover).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # futures_lite::future::block_on(async {
    /// use std::os::fd::AsRawFd;
    ///
    /// let mut file = aiofiles::tempfile::SpooledTemporaryFile::new(0);
    /// assert!(file.file().await?.as_raw_fd() >= 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "fileno")]
    pub async fn file(&mut self) -> io::Result<&mut File> {
        self.rollover().await?;
        match &mut self.state {
            State::Rolled(file) => Ok(file),
            _ => Err(file::closed()),
        }
    }

    /// The file it is in, as one like others. It is moved there if need be.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the file.
    ///
    /// # Errors
    ///
    /// Those of [`rollover`](Self::rollover), with the file as it was before.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::tempfile::SpooledTemporaryFile::new(0);
    /// file.write_all(b"hello").await?;
    /// let file = file.into_file().await?;
    /// assert_eq!(file.metadata().await?.len(), 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn into_file(mut self) -> Result<File, PersistError<SpooledTemporaryFile>> {
        match self.rollover().await {
            Ok(()) => match self.state {
                State::Rolled(file) => Ok(file),
                _ => Err(PersistError {
                    error: file::closed(),
                    file: self,
                }),
            },
            Err(error) => Err(PersistError { error, file: self }),
        }
    }

    /// Cuts the file off at `size` bytes, or extends it with zeros. The position stays.
    ///
    /// If `size` is above `max_size`, it is moved to a file first.
    ///
    /// # Cancel safety
    ///
    /// In memory, cancel safe: nothing has happened, or all of it. In a file, as that of [`File::set_len`].
    ///
    /// # Errors
    ///
    /// * There is not so much memory ([`OutOfMemory`](ErrorKind::OutOfMemory)).
    /// * Those of [`rollover`](Self::rollover) and [`File::set_len`].
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncReadExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::tempfile::SpooledTemporaryFile::new(100);
    /// file.set_len(3).await?;
    ///
    /// let mut bytes = Vec::new();
    /// file.read_to_end(&mut bytes).await?;
    /// assert_eq!(bytes, [0, 0, 0]);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "truncate")]
    pub async fn set_len(&mut self, size: u64) -> io::Result<()> {
        if size > sys::LARGEST_OFFSET {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "a file cannot be that large",
            ));
        }
        poll_fn(|cx| self.poll_set_len(size, cx)).await?;
        match &self.state {
            State::Rolled(file) => file.set_len(size).await,
            _ => Ok(()),
        }
    }

    /// Sets the length in memory, or moves everything to a file.
    fn poll_set_len(&mut self, size: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lent = false;
        ready!(self.poll_changeable(cx))?;
        if self.is_rolled() {
            return Poll::Ready(Ok(()));
        }
        if self.is_too_large(size) {
            return self.poll_rolled(cx);
        }
        let end = in_memory(size)?;
        ready!(self.poll_zeros(end, cx))?;
        if end < self.end {
            Arc::make_mut(&mut self.memory).truncate(end);
        }
        self.end = end;
        Poll::Ready(Ok(()))
    }

    /// Whether a file of this size is not to be in memory.
    fn is_too_large(&self, size: u64) -> bool {
        self.max_size > 0 && size > self.max_size as u64
    }

    /// Waits until nobody copies the memory.
    fn poll_changeable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Rolling(_) => self.poll_rolled(cx),
            State::Closed => Poll::Ready(Err(file::closed())),
            State::Memory | State::Rolled(_) => Poll::Ready(Ok(())),
        }
    }

    /// Sees to it that everything is in a file.
    fn poll_rolled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A panic of the job leaves everything in memory.
        let mut job = match std::mem::replace(&mut self.state, State::Memory) {
            State::Memory => self.begin_rollover(),
            State::Rolling(job) => job,
            State::Rolled(file) => {
                self.state = State::Rolled(file);
                return Poll::Ready(Ok(()));
            }
            State::Closed => {
                self.state = State::Closed;
                return Poll::Ready(Err(file::closed()));
            }
        };
        let Poll::Ready(rolled) = Pin::new(&mut job).poll(cx) else {
            self.state = State::Rolling(job);
            self.waited = true;
            return Poll::Pending;
        };
        let stream = Stream::new_at(rolled?, self.position);
        self.state = State::Rolled(File::from_stream(stream));
        self.memory = Arc::default();
        self.end = 0;
        Poll::Ready(Ok(()))
    }

    /// Starts the job that copies the memory to a file.
    fn begin_rollover(&self) -> InFlight<io::Result<Arc<Description>>> {
        let (memory, end) = (self.memory.clone(), self.end);
        let (naming, dir) = (self.naming.clone(), self.dir.clone());
        let place = Place::of(&dir);
        let copy = move || {
            let description =
                now(&naming, &dir, super::file::open).on("create temporary file in", &dir)?;
            let bytes = &memory[..end];
            let mut written = 0;
            while written < end {
                match sys::write_at(description.file(), &bytes[written..], written as u64)? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    n => written += n,
                }
                backend::still_moving();
            }
            Ok(description)
        };
        if end > MOST_INLINE {
            backend::long("spool", place, copy)
        } else {
            backend::query("spool", place, copy)
        }
    }

    /// Sees to it that there are bytes up to `end`, be they content or zeros beyond it.
    fn poll_zeros(&mut self, end: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let memory = Arc::make_mut(&mut self.memory);
        if memory.len() >= end {
            return Poll::Ready(Ok(()));
        }
        memory
            .try_reserve(end - memory.len())
            .map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        let next = end.min(memory.len() + MOST_INLINE);
        memory.resize(next, 0);
        if next < end {
            // That was work enough for one poll.
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes to the memory, or says that everything is in a file by now (`None`).
    fn poll_write_memory(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<Option<usize>>> {
        self.lent = false;
        if self.is_rolled() {
            return Poll::Ready(Ok(None));
        }
        ready!(fairness::poll_turn(&mut self.waited, cx));
        ready!(self.poll_changeable(cx))?;
        if self.is_rolled() {
            return Poll::Ready(Ok(None));
        }
        let n = buf.len().min(MOST_INLINE);
        let end = self.position + n as u64;
        if self.is_too_large(end) {
            ready!(self.poll_rolled(cx))?;
            return Poll::Ready(Ok(None));
        }
        if n > 0 {
            let (begin, end) = (in_memory(self.position)?, in_memory(end)?);
            ready!(self.poll_zeros(begin, cx))?;
            let memory = Arc::make_mut(&mut self.memory);
            let inside = n.min(memory.len() - begin);
            memory
                .try_reserve(n - inside)
                .map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
            memory[begin..begin + inside].copy_from_slice(&buf[..inside]);
            memory.extend_from_slice(&buf[inside..n]);
            self.end = self.end.max(end);
            self.position += n as u64;
        }
        self.waited = false;
        Poll::Ready(Ok(Some(n)))
    }

    /// What is between the position and the end, in memory.
    fn rest(&self) -> &[u8] {
        let begin = usize::try_from(self.position).map_or(self.end, |at| at.min(self.end));
        &self.memory[begin..self.end]
    }
}

/// An offset, as an index.
fn in_memory(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::OutOfMemory.into())
}

impl AsyncRead for SpooledTemporaryFile {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_vectored(cx, &mut [IoSliceMut::new(buf)])
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let spooled = self.get_mut();
        spooled.lent = false;
        match &mut spooled.state {
            State::Rolled(file) => return Pin::new(file).poll_read_vectored(cx, bufs),
            State::Closed => return Poll::Ready(Err(file::closed())),
            State::Memory | State::Rolling(_) => {}
        }
        ready!(fairness::poll_turn(&mut spooled.waited, cx));
        spooled.waited = false;
        let mut rest = spooled.rest();
        rest = &rest[..rest.len().min(MOST_INLINE)];
        let mut read = 0;
        for buf in bufs {
            let n = buf.len().min(rest.len());
            buf[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            read += n;
        }
        spooled.position += read as u64;
        Poll::Ready(Ok(read))
    }
}

impl AsyncBufRead for SpooledTemporaryFile {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let spooled = self.get_mut();
        if !spooled.is_rolled() {
            if matches!(spooled.state, State::Closed) {
                return Poll::Ready(Err(file::closed()));
            }
            // Some callers ask twice in one poll, and rely on an answer the second time.
            if !std::mem::take(&mut spooled.lent) {
                ready!(fairness::poll_turn(&mut spooled.waited, cx));
                spooled.waited = false;
                spooled.lent = true;
            }
            return Poll::Ready(Ok(spooled.rest()));
        }
        match &mut spooled.state {
            State::Rolled(file) => Pin::new(file).poll_fill_buf(cx),
            _ => Poll::Ready(Err(file::closed())),
        }
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let spooled = self.get_mut();
        spooled.lent = false;
        match &mut spooled.state {
            State::Rolled(file) => Pin::new(file).consume(amt),
            State::Memory | State::Rolling(_) => {
                spooled.position += amt.min(spooled.rest().len()) as u64;
            }
            State::Closed => {}
        }
    }
}

impl AsyncWrite for SpooledTemporaryFile {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let spooled = self.get_mut();
        if let Some(n) = ready!(spooled.poll_write_memory(cx, buf))? {
            return Poll::Ready(Ok(n));
        }
        match &mut spooled.state {
            State::Rolled(file) => Pin::new(file).poll_write(cx, buf),
            _ => Poll::Ready(Err(file::closed())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let spooled = self.get_mut();
        let first = bufs.iter().find(|buf| !buf.is_empty());
        if let Some(n) = ready!(spooled.poll_write_memory(cx, first.map_or(&[], |buf| buf)))? {
            return Poll::Ready(Ok(n));
        }
        match &mut spooled.state {
            State::Rolled(file) => Pin::new(file).poll_write_vectored(cx, bufs),
            _ => Poll::Ready(Err(file::closed())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let spooled = self.get_mut();
        spooled.lent = false;
        ready!(spooled.poll_changeable(cx))?;
        match &mut spooled.state {
            State::Rolled(file) => Pin::new(file).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let spooled = self.get_mut();
        spooled.lent = false;
        if let State::Rolled(file) = &mut spooled.state {
            return Pin::new(file).poll_close(cx);
        }
        // What is in memory, or on its way from there to a file that nobody has, goes away.
        spooled.state = State::Closed;
        spooled.memory = Arc::default();
        spooled.end = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for SpooledTemporaryFile {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pos: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let spooled = self.get_mut();
        spooled.lent = false;
        match &mut spooled.state {
            State::Rolled(file) => return Pin::new(file).poll_seek(cx, pos),
            State::Closed => return Poll::Ready(Err(file::closed())),
            State::Memory | State::Rolling(_) => {}
        }
        ready!(fairness::poll_turn(&mut spooled.waited, cx));
        spooled.waited = false;
        let (base, offset) = match pos {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(offset) => (spooled.position, offset),
            SeekFrom::End(offset) => (spooled.end as u64, offset),
        };
        match base.checked_add_signed(offset) {
            Some(position) if position <= sys::LARGEST_OFFSET => {
                spooled.position = position;
                Poll::Ready(Ok(position))
            }
            _ => Poll::Ready(Err(io::Error::new(
                ErrorKind::InvalidInput,
                "invalid seek to a negative or overflowing position",
            ))),
        }
    }
}

impl fmt::Debug for SpooledTemporaryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SpooledTemporaryFile");
        match &self.state {
            State::Rolled(file) => debug.field("file", file),
            State::Closed => debug.field("closed", &true),
            State::Memory | State::Rolling(_) => debug
                .field("len", &self.end)
                .field("position", &self.position),
        };
        debug.field("max_size", &self.max_size).finish()
    }
}
