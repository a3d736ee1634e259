//! Objects of `std::io` as asynchronous files.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

use crate::backend::{self, Fallible, InFlight, Place};
use crate::fairness;

/// What `fill_buf` reads at once.
const FILL: usize = 8 * 1024;

/// No operation copies more than this, however large the caller's buffer is.
const MOST: usize = 256 * 1024;

/// Any object of [`std::io`] as an asynchronous file: made by [`wrap`] and [`memory`].
///
/// It is an [`AsyncRead`] and [`AsyncBufRead`] where the object is a [`Read`], an [`AsyncWrite`] where that is a [`Write`],
/// and an [`AsyncSeek`] where that is a [`Seek`]. [`TextOptions::wrap`](crate::TextOptions::wrap) makes a text file of one
/// that is all of these.
///
/// Each call of the object runs on the thread pool, in a job of its own, one at a time. The object sees the calls that
/// were made: a write is one write of at most 256 KiB, and a read asks for what the caller asked for. `Ok` means that the
/// object has said so. Its errors are returned, and its panics go on in the caller; either way the object can be used
/// afterwards.
///
/// # Positions
///
/// Nothing is read ahead but by `fill_buf`, which reads once, 8 KiB at most, and what a cancelled read has read. These
/// bytes go to the next reads. A `seek` counts from where the reader is, and drops them.
///
/// The object itself is already beyond them. Where it has a position, and is read and written in turns, say so with
/// [`seekable`](Wrapped::seekable): then a write goes where the next byte would be read. Without that, a seek must
/// stand between `fill_buf` and a write. Reading and writing objects without positions, like sockets, have nothing to
/// do with one another.
///
/// # Closing and dropping
///
/// `close` flushes. Then every call answers [`InvalidInput`](io::ErrorKind::InvalidInput), "file is closed"; the object
/// is still there, for [`get_ref`](Wrapped::get_ref) and [`into_inner`](Wrapped::into_inner). When the wrapper is dropped,
/// the object is dropped on the pool. A write that is on its way then is still made.
///
/// # Cancel safety
///
/// | method | if dropped before it is ready |
/// |---|---|
/// | `read`, `fill_buf` | Cancel safe. What was read, or the error, goes to the next read. |
/// | `write` | It may still be made. The next write with the same bytes gets its result, and any other call comes after it and gets its error. |
/// | `flush` | It goes on. The next call gets its error. |
/// | `seek` | It may still be made. The next seek to the same place gets its result. |
/// | `close` | The wrapper is closed all the same. |
///
/// # Examples
///
/// ```
/// use std::io::Cursor;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// let mut file = aiofiles::wrap(Cursor::new(b"Hello, world".to_vec()));
/// file.read_exact(&mut [0; 7]).await?;
/// file.write_all(b"there").await?;
/// assert_eq!(file.into_inner().await.into_inner(), b"Hello, there");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Wrapped<T> {
    state: State<T>,
    /// What the object has given and nobody has consumed, and how much of it was.
    bytes: Vec<u8>,
    consumed: usize,
    /// What came of an operation, and of which nobody was told yet.
    outcome: Option<Outcome>,
    /// The error of a read that was cancelled.
    read_error: Option<io::Error>,
    closed: bool,
    /// `close` was called and has not ended.
    closing: bool,
    /// What `close` is going to return.
    close_error: Option<io::Error>,
    /// The last call was a flush.
    flushed: bool,
    /// Calls are made here and now.
    immediate: bool,
    /// Moves the position, of an object that is known to have one.
    seek: Option<SeekIn<T>>,
    /// Drops the object where that may block.
    dispose: fn(Box<T>),
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
    /// When `fill_buf` has found the end: its caller may ask twice in one poll.
    ended: Option<u64>,
}

/// How an object is sought.
type SeekIn<T> = fn(&mut T, SeekFrom) -> io::Result<u64>;

/// Where the object is.
enum State<T> {
    /// It is here, and nothing runs.
    Idle(Box<T>),
    /// A job has it, and gives it back with what came of its call.
    Busy(InFlight<(Box<T>, Outcome)>),
    /// It was taken out: by `into_inner`, or by drop.
    Gone,
}

/// What came of a call.
enum Outcome {
    /// The bytes; none at the end.
    Read(Vec<u8>, io::Result<()>),
    /// How much of the bytes was written. The position was moved back over so many bytes before.
    Write(Vec<u8>, usize, io::Result<usize>),
    Flush(io::Result<()>),
    Seek(SeekFrom, io::Result<u64>),
    /// In a lock, which nobody needs, so that the wrapper can be shared.
    Panic(Mutex<Box<dyn Any + Send>>),
}

/// With the object, which is given back.
impl<T> Fallible for (Box<T>, Outcome) {
    fn error(&self) -> Option<&io::Error> {
        match &self.1 {
            Outcome::Read(_, result) | Outcome::Flush(result) => result.error(),
            Outcome::Write(_, _, result) => result.error(),
            Outcome::Seek(_, result) => result.error(),
            Outcome::Panic(_) => None,
        }
    }
}

/// Makes an asynchronous file of any object of [`std::io`], whose calls run on the thread pool.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
///
/// # futures_lite::future::block_on(async {
/// let (reader, mut writer) = std::io::pipe()?;
/// std::io::Write::write_all(&mut writer, b"Hello")?;
///
/// let mut found = [0; 5];
/// aiofiles::wrap(reader).read_exact(&mut found).await?;
/// assert_eq!(&found, b"Hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "register")]
pub fn wrap<T: Send + 'static>(object: T) -> Wrapped<T> {
    Wrapped {
        state: State::Idle(Box::new(object)),
        bytes: Vec::new(),
        consumed: 0,
        outcome: None,
        read_error: None,
        closed: false,
        closing: false,
        close_error: None,
        flushed: false,
        immediate: false,
        seek: None,
        dispose: |object| backend::drop_elsewhere(object),
        waited: false,
        ended: None,
    }
}

/// A file in memory, with these bytes and the position at their beginning: for tests of what reads and writes files.
///
/// It dispatches nothing to the thread pool. Otherwise it is what [`wrap`] makes of a [`Cursor`]. The bytes can be looked
/// at while it is open, and after it was closed.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncBufReadExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// let mut file = aiofiles::memory("one\ntwo\n");
/// let mut line = String::new();
/// file.read_line(&mut line).await?;
/// file.write_all(b"2").await?;
/// assert_eq!(file.get_ref().unwrap().get_ref(), b"one\n2wo\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "BytesIO")]
pub fn memory(bytes: impl Into<Vec<u8>>) -> Wrapped<Cursor<Vec<u8>>> {
    wrap(Cursor::new(bytes.into())).seekable().immediate()
}

impl<T> Wrapped<T> {
    /// Says that no call of the object ever waits: they are made here and now, and nothing is dispatched to the thread
    /// pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, future};
    ///
    /// # future::block_on(async {
    /// let mut zeros = aiofiles::wrap(std::io::repeat(0)).immediate();
    /// let read = future::poll_once(zeros.read(&mut [1; 10])).await;
    /// assert_eq!(read.unwrap()?, 10);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn immediate(mut self) -> Wrapped<T> {
        self.immediate = true;
        self.dispose = drop;
        self
    }

    /// Says that the object has one position for reading and writing: then a write goes where the next byte would be
    /// read, whatever `fill_buf` has read before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Cursor;
    /// use futures_lite::{AsyncBufReadExt, AsyncWriteExt};
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::wrap(Cursor::new(b"abcd".to_vec())).seekable();
    /// assert_eq!(file.fill_buf().await?, b"abcd");
    /// file.consume(1);
    /// file.write_all(b"x").await?;
    /// assert_eq!(file.into_inner().await.into_inner(), b"axcd");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn seekable(mut self) -> Wrapped<T>
    where
        T: Seek,
    {
        self.seek = Some(T::seek);
        self
    }

    /// The object, unless an operation that was cancelled still has it. Its position may be beyond that of the reader.
    ///
    /// # Examples
    ///
    /// ```
    /// let file = aiofiles::memory("text");
    /// assert_eq!(file.get_ref().unwrap().get_ref(), b"text");
    /// ```
    pub fn get_ref(&self) -> Option<&T> {
        match &self.state {
            State::Idle(object) => Some(object),
            _ => None,
        }
    }

    /// The object, once no operation has it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::memory("text");
    /// file.get_mut().await.get_mut().clear();
    /// # });
    /// ```
    pub async fn get_mut(&mut self) -> &mut T {
        poll_fn(|cx| self.poll_idle(cx)).await;
        self.object()
    }

    /// Gives the object back, once no operation has it. What it has not flushed it has not flushed.
    ///
    /// Bytes that were read and not consumed are lost; a seek to the current position puts them back before. The error of
    /// a cancelled operation is lost too; `flush` returns it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the object.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Cursor;
    ///
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::wrap(Cursor::new(Vec::<u8>::new()));
    /// assert_eq!(file.into_inner().await.position(), 0);
    /// # });
    /// ```
    #[doc(alias = "detach")]
    pub async fn into_inner(mut self) -> T {
        poll_fn(|cx| self.poll_idle(cx)).await;
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(object) => *object,
            _ => unreachable!("nothing has the object"),
        }
    }

    fn object(&mut self) -> &mut T {
        match &mut self.state {
            State::Idle(object) => object,
            _ => unreachable!("nothing has the object"),
        }
    }

    /// Bytes that were read and not consumed.
    fn rest(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    fn consume_some(&mut self, n: usize) {
        self.consumed += n;
        if self.consumed == self.bytes.len() {
            self.drop_rest();
        }
    }

    fn drop_rest(&mut self) {
        self.bytes.clear();
        self.consumed = 0;
        // A large buffer is not kept for a wrapper that may lie idle.
        if self.bytes.capacity() > FILL {
            self.bytes = Vec::new();
        }
    }

    /// Waits until no operation has the object.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Busy(operation) = &mut self.state {
            let (object, outcome) = ready!(Pin::new(operation).poll(cx));
            self.state = State::Idle(object);
            self.note(outcome);
        }
        Poll::Ready(())
    }

    /// Takes note of what came of a call.
    fn note(&mut self, outcome: Outcome) {
        match &outcome {
            Outcome::Write(_, back, _) if *back > 0 => self.drop_rest(),
            Outcome::Seek(_, Ok(_)) => self.drop_rest(),
            _ => {}
        }
        self.flushed = matches!(outcome, Outcome::Flush(_));
        self.outcome = Some(outcome);
    }

    /// Waits for the operation before, and takes its outcome if `is_own` says that it is the one that is asked for.
    /// The bytes and the errors of others are kept, or returned.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        is_own: impl FnOnce(&Outcome) -> bool,
    ) -> Poll<io::Result<Option<Outcome>>> {
        ready!(fairness::poll_turn(&mut self.waited, cx));
        self.waited = true;
        ready!(self.poll_idle(cx));
        self.waited = false;
        self.ended = None;
        let outcome = match self.outcome.take() {
            Some(Outcome::Panic(panic)) => rethrow(panic),
            Some(outcome) if is_own(&outcome) => return Poll::Ready(Ok(Some(outcome))),
            outcome => outcome,
        };
        let result = match outcome {
            Some(Outcome::Read(bytes, result)) => {
                self.read_error = result.err();
                self.bytes = bytes;
                Ok(None)
            }
            Some(Outcome::Write(_, _, result)) => result.map(|_| None),
            Some(Outcome::Flush(result)) => result.map(|()| None),
            // It has not moved, and whoever wanted it to has gone.
            Some(Outcome::Seek(..)) | Some(Outcome::Panic(_)) | None => Ok(None),
        };
        Poll::Ready(result)
    }

    fn check_open(&self) -> io::Result<()> {
        match self.closed {
            true => Err(crate::file::closed()),
            false => Ok(()),
        }
    }
}

impl<T: Send + 'static> Wrapped<T> {
    /// Makes a call: here and now, or on the pool. The outcome is to be had from `poll_outcome`.
    fn start(&mut self, call: impl FnOnce(&mut T) -> Outcome + Send + 'static) {
        let call = |object: &mut T| {
            panic::catch_unwind(AssertUnwindSafe(|| call(object)))
                .unwrap_or_else(|panic| Outcome::Panic(Mutex::new(panic)))
        };
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(mut object) if self.immediate => {
                let outcome = call(&mut object);
                self.state = State::Idle(object);
                self.note(outcome);
            }
            State::Idle(mut object) => {
                // It is a user's code, and may take long.
                self.state = State::Busy(backend::long("call", Place::anywhere(), move || {
                    let outcome = call(&mut object);
                    (object, outcome)
                }));
            }
            state => self.state = state,
        }
    }

    /// Waits for the call that was just made.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.waited = true;
        ready!(self.poll_idle(cx));
        self.waited = false;
        match self.outcome.take() {
            Some(Outcome::Panic(panic)) => rethrow(panic),
            Some(outcome) => Poll::Ready(outcome),
            None => unreachable!("a call has an outcome"),
        }
    }
}

impl<T: Read + Send + 'static> Wrapped<T> {
    /// Waits until there are bytes that nobody has consumed; `false` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<bool>> {
        self.check_open()?;
        let is_own = |outcome: &Outcome| matches!(outcome, Outcome::Read(..));
        let outcome = match ready!(self.poll_turn(cx, is_own))? {
            Some(outcome) => outcome,
            None if !self.rest().is_empty() => return Poll::Ready(Ok(true)),
            None => {
                if let Some(error) = self.read_error.take() {
                    return Poll::Ready(Err(error));
                }
                self.drop_rest();
                let mut bytes = std::mem::take(&mut self.bytes);
                self.start(move |object| {
                    bytes.resize(len, 0);
                    let result = uninterrupted(|| object.read(&mut bytes));
                    let result = result.and_then(|n| within(n, len));
                    bytes.truncate(result.as_ref().map_or(0, |n| *n));
                    Outcome::Read(bytes, result.map(drop))
                });
                ready!(self.poll_outcome(cx))
            }
        };
        let Outcome::Read(bytes, result) = outcome else {
            unreachable!("it was a read");
        };
        result?;
        self.bytes = bytes;
        self.consumed = 0;
        Poll::Ready(Ok(!self.bytes.is_empty()))
    }
}

/// Continues the panic of the object.
fn rethrow(panic: Mutex<Box<dyn Any + Send>>) -> ! {
    panic::resume_unwind(panic.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Makes a call again that was interrupted.
fn uninterrupted<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Refuses a number that no buffer of this length accounts for.
fn within(n: usize, len: usize) -> io::Result<usize> {
    match n <= len {
        true => Ok(n),
        false => Err(io::Error::other("the object moved more than it was given")),
    }
}

impl<T: Read + Send + 'static> AsyncRead for Wrapped<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            this.check_open()?;
            return Poll::Ready(Ok(0));
        }
        if !ready!(this.poll_fill(cx, buf.len().min(MOST)))? {
            return Poll::Ready(Ok(0));
        }
        let n = this.rest().len().min(buf.len()).min(MOST);
        buf[..n].copy_from_slice(&this.rest()[..n]);
        this.consume_some(n);
        Poll::Ready(Ok(n))
    }
}

impl<T: Read + Send + 'static> AsyncBufRead for Wrapped<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        // Some callers ask twice in one poll, and rely on an answer the second time.
        if this.ended.take() == Some(fairness::turns()) {
            return Poll::Ready(Ok(&[]));
        }
        // What was read before is the answer, unless an operation that was cancelled may yet change it.
        let is_quiet = matches!(this.state, State::Idle(_)) && this.outcome.is_none();
        if this.closed || !is_quiet || this.rest().is_empty() {
            let found = ready!(this.poll_fill(cx, FILL))?;
            this.ended = (!found).then(fairness::turns);
        }
        Poll::Ready(Ok(this.rest()))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let this = self.get_mut();
        this.ended = None;
        this.consume_some(amt.min(this.rest().len()));
    }
}

impl<T: Write + Send + 'static> AsyncWrite for Wrapped<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_open()?;
        // A write that was cancelled and had these bytes is the one that is asked for.
        let is_own = |outcome: &Outcome| match outcome {
            Outcome::Write(bytes, _, _) => buf.starts_with(bytes),
            _ => false,
        };
        let outcome = match ready!(this.poll_turn(cx, is_own))? {
            Some(outcome) => outcome,
            None if buf.is_empty() => return Poll::Ready(Ok(0)),
            None => {
                let bytes = buf[..buf.len().min(MOST)].to_vec();
                let back = this.rest().len();
                let seek = this.seek.filter(|_| back > 0);
                this.start(move |object| {
                    let mut moved = 0;
                    if let Some(seek) = seek {
                        let to = SeekFrom::Current(-(back as i64));
                        if let Err(error) = uninterrupted(|| seek(object, to)) {
                            return Outcome::Write(bytes, 0, Err(error));
                        }
                        moved = back;
                    }
                    let result = uninterrupted(|| object.write(&bytes));
                    let result = result.and_then(|n| within(n, bytes.len()));
                    Outcome::Write(bytes, moved, result)
                });
                ready!(this.poll_outcome(cx))
            }
        };
        match outcome {
            Outcome::Write(_, _, result) => Poll::Ready(result),
            _ => unreachable!("it was a write"),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open()?;
        this.poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed && !this.closing {
            return Poll::Ready(Ok(()));
        }
        (this.closed, this.closing) = (true, true);
        // The error of what was cancelled comes first, and the object is flushed all the same.
        let mut flushed = ready!(this.poll_flushed(cx));
        if flushed.is_err() && this.close_error.is_none() && !this.flushed {
            this.close_error = flushed.err();
            flushed = ready!(this.poll_flushed(cx));
        }
        this.closing = false;
        Poll::Ready(this.close_error.take().map_or(flushed, Err))
    }
}

impl<T: Write + Send + 'static> Wrapped<T> {
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_own = |outcome: &Outcome| matches!(outcome, Outcome::Flush(_));
        let outcome = match ready!(self.poll_turn(cx, is_own))? {
            Some(outcome) => outcome,
            None => {
                self.start(|object| Outcome::Flush(uninterrupted(|| object.flush())));
                ready!(self.poll_outcome(cx))
            }
        };
        match outcome {
            Outcome::Flush(result) => Poll::Ready(result),
            _ => unreachable!("it was a flush"),
        }
    }
}

impl<T: Seek + Send + 'static> AsyncSeek for Wrapped<T> {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pos: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        this.check_open()?;
        let is_own = |outcome: &Outcome| matches!(outcome, Outcome::Seek(to, _) if *to == pos);
        let outcome = match ready!(this.poll_turn(cx, is_own))? {
            Some(outcome) => outcome,
            None => {
                // The object is beyond what was read and not consumed.
                let rest = this.rest().len() as i64;
                let to = match pos {
                    SeekFrom::Current(offset) => match offset.checked_sub(rest) {
                        Some(offset) => SeekFrom::Current(offset),
                        None => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
                    },
                    pos => pos,
                };
                this.start(move |object| Outcome::Seek(pos, uninterrupted(|| object.seek(to))));
                ready!(this.poll_outcome(cx))
            }
        };
        match outcome {
            Outcome::Seek(_, result) => Poll::Ready(result),
            _ => unreachable!("it was a seek"),
        }
    }
}

impl<T> Drop for Wrapped<T> {
    fn drop(&mut self) {
        // A job that has the object drops it.
        if let State::Idle(object) = std::mem::replace(&mut self.state, State::Gone) {
            (self.dispose)(object);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Wrapped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped")
            .field("object", &self.get_ref())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
