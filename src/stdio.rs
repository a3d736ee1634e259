//! The standard streams: one shared state for each, and any number of handles to it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use futures_lite::FutureExt as _;

use crate::backend::{self, Asked, Description, InFlight, Place, sys};
use crate::file::File;
use crate::stream::{Buffering, Stream};
use crate::text::{TextFile, TextOptions};

/// The streams, once they are in use. Each holds one handle for ever, so that none of the others is the last.
static STREAMS: [OnceLock<File>; 3] = [const { OnceLock::new() }; 3];

/// The beginning of a line that a text handle has taken out of standard input. It belongs to nobody before its end has
/// come, so whoever goes away meanwhile takes nothing along, and no two handles share a line.
static BEGUN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A line that is longer comes in parts.
const LONGEST: usize = 1024 * 1024;

fn begun() -> MutexGuard<'static, Vec<u8>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Stdin,
    Stdout,
    Stderr,
}

/// A handle to standard input, standard output or standard error: made by [`stdin`], [`stdout`] and [`stderr`].
///
/// There is nothing to open and nothing to close. All handles of one stream share its state, as the clones of a
/// [`File`] do: what one has read, no other reads, and writes reach the stream in the order in which they were accepted.
/// A write of up to 64 KiB is not mixed with those of other handles.
///
/// The descriptor is duplicated in the first operation. What the process puts in its place later is not noticed.
///
/// # Pipes and terminals
///
/// They wait for readiness, and hold no thread: a read of standard input that waits does not keep the process from
/// ending. Each write is one write of the operating system.
///
/// # Files
///
/// If a stream leads to a regular file, others use the same position: the shell, the children, `println!`, standard
/// error beside standard output.
///
/// * Standard output is written behind, and standard error is not: where a write to standard error returns, the
///   operating system has it. Both go to where the position of the operating system is, and move it on. So nobody
///   overwrites anybody, and `flush` puts everything that was accepted in its place.
/// * Standard input begins at that position, and reads ahead of it. `flush` moves it to where the reader is, for a child
///   that reads on; the next read begins where the child has left it.
///
/// # Closing
///
/// `close` does what `flush` does. The stream stays open, and so does the handle.
///
/// # Cancel safety
///
/// The same as that of [`File`]; standard error as an unbuffered one.
///
/// # Errors
///
/// * The descriptor was closed.
/// * Standard input is written to, or another stream is read from.
/// * Standard output and standard error have no positions to seek.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// let mut out = aiofiles::stdio::stdout();
/// out.write_all(b"Hello, world\n").await?;
/// out.flush().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Stdio {
    which: Which,
    /// The handle, once the first operation has got it.
    file: Option<File>,
    /// The job that duplicates the descriptor.
    opening: Option<InFlight<io::Result<()>>>,
    /// Flushing of standard input that goes on.
    handing: Option<Asked<thread::Result<io::Result<()>>>>,
    /// For text: only whole lines are lent, because a text file keeps what it has decoded to itself.
    by_line: bool,
    /// What this handle has taken from the stream, and how much of it was consumed.
    line: Vec<u8>,
    consumed: usize,
}

/// Standard input.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
///
/// # futures_lite::future::block_on(async {
/// # if false {
/// let mut bytes = Vec::new();
/// aiofiles::stdio::stdin().read_to_end(&mut bytes).await?;
/// # }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "stdin_bytes")]
pub fn stdin() -> Stdio {
    Stdio::new(Which::Stdin)
}

/// Standard output. Flush it before somebody else writes there.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// aiofiles::stdio::stdout().write_all(b"accepted, and written at exit at the latest\n").await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "stdout_bytes")]
pub fn stdout() -> Stdio {
    Stdio::new(Which::Stdout)
}

/// Standard error, which is unbuffered.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// aiofiles::stdio::stderr().write_all(b"something is wrong\n").await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "stderr_bytes")]
pub fn stderr() -> Stdio {
    Stdio::new(Which::Stderr)
}

/// Standard input as text in UTF-8. [`Stdio::text`] is for others.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # if false {
/// let answer = aiofiles::stdio::stdin_text().readline().await?;
/// # }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stdin_text() -> TextFile<Stdio> {
    stdin().text(TextOptions::new())
}

/// Standard output as text in UTF-8. [`Stdio::text`] is for others.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let mut out = aiofiles::stdio::stdout_text();
/// out.write("Grüße\n").await?;
/// out.flush().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stdout_text() -> TextFile<Stdio> {
    stdout().text(TextOptions::new())
}

/// Standard error as text in UTF-8. [`Stdio::text`] is for others.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// aiofiles::stdio::stderr_text().write("something is wrong\n").await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stderr_text() -> TextFile<Stdio> {
    stderr().text(TextOptions::new())
}

impl Stdio {
    fn new(which: Which) -> Stdio {
        Stdio {
            which,
            file: None,
            opening: None,
            handing: None,
            by_line: false,
            line: Vec::new(),
            consumed: 0,
        }
    }

    /// Makes a text file of the handle.
    ///
    /// From standard input it takes one whole line at a time, so handles can take turns after each line, those of bytes
    /// too, and what was read of a line is not lost with a handle. What is left of a line in which reading ended
    /// stays with its text file. Characters that come without the end of a line have to wait for it (or for the end of
    /// the input, or more than 1 MiB); `options.wrap(stdin())` does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{Encoding, TextOptions, stdio};
    ///
    /// # futures_lite::future::block_on(async {
    /// let latin = TextOptions::new().encoding(Encoding::LATIN_1);
    /// let mut out = stdio::stdout().text(latin);
    /// out.write("caf\u{e9}\n").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn text(mut self, options: TextOptions) -> TextFile<Stdio> {
        self.by_line = self.which == Which::Stdin;
        options.wrap(self)
    }

    /// Whether the stream is a terminal. One that was closed is none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let mut out = aiofiles::stdio::stdout();
    /// let colours = out.is_terminal().await;
    /// # });
    /// ```
    #[doc(alias = "isatty")]
    pub async fn is_terminal(&mut self) -> bool {
        match poll_fn(|cx| self.poll_file(cx).map_ok(drop)).await {
            Ok(()) => match &self.file {
                Some(file) => file.is_terminal().await,
                None => false,
            },
            Err(_) => false,
        }
    }

    /// The handle; the first operation waits for a job that duplicates the descriptor.
    fn poll_file(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut File>> {
        while self.file.is_none() {
            let shared = &STREAMS[self.which as usize];
            if let Some(file) = shared.get() {
                self.opening = None;
                self.file = Some(File::from_stream(file.stream()?.clone()));
                break;
            }
            let which = self.which;
            let opening = self.opening.get_or_insert_with(|| {
                backend::query("open stream", Place::anywhere(), move || open(which))
            });
            let opened = ready!(Pin::new(opening).poll(cx));
            self.opening = None;
            opened?;
        }
        Poll::Ready(Ok(self.file.as_mut().expect("it was just put there")))
    }

    /// The handle, if the stream is one to be read from.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut File>>> {
        if self.which != Which::Stdin {
            return Poll::Ready(Err(sys::bad_descriptor()));
        }
        self.poll_file(cx).map_ok(Pin::new)
    }

    /// The handle, if the stream is one to be written to.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut File>>> {
        if self.which == Which::Stdin {
            return Poll::Ready(Err(sys::bad_descriptor()));
        }
        self.poll_file(cx).map_ok(Pin::new)
    }

    /// What was taken from the stream and not consumed.
    fn rest(&self) -> &[u8] {
        &self.line[self.consumed..]
    }

    fn consume_line(&mut self, n: usize) {
        self.consumed += n;
        if self.consumed == self.line.len() {
            self.line = Vec::new();
            self.consumed = 0;
        }
    }

    /// Takes a line out of the stream; nothing at the end.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut file = ready!(self.poll_input(cx))?;
        let mut begun = begun();
        loop {
            let lent = ready!(file.as_mut().poll_fill_buf(cx))?;
            if lent.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', lent);
            let len = end.map_or(lent.len(), |end| end + 1);
            begun.extend_from_slice(&lent[..len]);
            file.as_mut().consume(len);
            // The stream hears of it before somebody else has a turn.
            file.stream()?;
            if end.is_some() || begun.len() >= LONGEST {
                break;
            }
        }
        self.line = std::mem::take(&mut begun);
        self.consumed = 0;
        Poll::Ready(Ok(()))
    }

    /// Moves the position of a file, counted from where the reader is.
    fn poll_seek_input(&mut self, cx: &mut Context<'_>, pos: SeekFrom) -> Poll<io::Result<u64>> {
        ready!(self.poll_input(cx))?;
        let mut begun = begun();
        let pos = match pos {
            SeekFrom::Current(offset) => {
                // The stream is beyond what was taken.
                let taken = (self.rest().len() + begun.len()) as i64;
                match offset.checked_sub(taken) {
                    Some(offset) => SeekFrom::Current(offset),
                    None => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
                }
            }
            pos => pos,
        };
        let position = ready!(ready!(self.poll_input(cx))?.poll_seek(cx, pos))?;
        begun.clear();
        self.consume_line(self.rest().len());
        Poll::Ready(Ok(position))
    }

    /// Puts the position of the operating system where the reader is.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.handing.is_none() {
            // A stream that nobody has read from yet is where it was.
            if STREAMS[self.which as usize].get().is_none() {
                return Poll::Ready(Ok(()));
            }
            let stream = ready!(self.poll_input(cx))?.stream()?.clone();
            if !stream.has_position_of_its_own() {
                return Poll::Ready(Ok(()));
            }
            if !self.rest().is_empty() || !begun().is_empty() {
                ready!(self.poll_seek_input(cx, SeekFrom::Current(0)))?;
            }
            let (asked, handing) = Asked::new();
            self.handing = Some(asked);
            backend::drive("hand position over", Place::anywhere(), async move {
                let result = AssertUnwindSafe(stream.hand_position_over()).catch_unwind();
                handing.give(result.await);
            });
        }
        let Some(handing) = &mut self.handing else {
            return Poll::Ready(Ok(()));
        };
        let result = ready!(Pin::new(handing).poll(cx));
        self.handing = None;
        Poll::Ready(result.unwrap_or_else(|panic| panic::resume_unwind(panic)))
    }
}

/// Puts a stream among those in use. Runs on a pool thread.
fn open(which: Which) -> io::Result<()> {
    let shared = &STREAMS[which as usize];
    if shared.get().is_none() {
        let description = Description::sharing_position(sys::standard(which as u8)?);
        let buffering = Buffering {
            unbuffered: which == Which::Stderr,
            ..Buffering::default()
        };
        // If another job was faster, this duplicate is closed again.
        let _ = shared.set(File::from_stream(Stream::new(description, buffering)));
    }
    Ok(())
}

impl AsyncRead for Stdio {
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
        let this = self.get_mut();
        // A flush that was given up does not count for what is read now.
        this.handing = None;
        if this.rest().is_empty() && this.which == Which::Stdin {
            let mut begun = begun();
            if !begun.is_empty() {
                let n = io::Read::read_vectored(&mut &begun[..], bufs)?;
                begun.drain(..n);
                return Poll::Ready(Ok(n));
            }
        }
        if !this.rest().is_empty() {
            let n = io::Read::read_vectored(&mut this.rest(), bufs)?;
            this.consume_line(n);
            return Poll::Ready(Ok(n));
        }
        ready!(this.poll_input(cx))?.poll_read_vectored(cx, bufs)
    }
}

impl AsyncBufRead for Stdio {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        this.handing = None;
        if this.rest().is_empty() {
            if this.by_line {
                ready!(this.poll_line(cx))?;
            } else if this.which == Which::Stdin {
                this.line = std::mem::take(&mut begun());
                this.consumed = 0;
            }
        }
        if this.by_line || !this.rest().is_empty() {
            return Poll::Ready(Ok(this.rest()));
        }
        ready!(this.poll_input(cx))?.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let this = self.get_mut();
        let taken = this.rest().len();
        if taken > 0 {
            this.consume_line(amt.min(taken));
        } else if let Some(file) = &mut this.file {
            Pin::new(file).consume(amt);
        }
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_output(cx))?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_output(cx))?.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.which {
            Which::Stdin => this.poll_hand_over(cx),
            _ => ready!(this.poll_output(cx))?.poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Standard input has positions if it is a file. The others have none, because others write there too.
impl AsyncSeek for Stdio {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pos: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        if this.which != Which::Stdin {
            return Poll::Ready(Err(sys::not_seekable()));
        }
        this.handing = None;
        this.poll_seek_input(cx, pos)
    }
}

/// Another handle to the same stream.
impl Clone for Stdio {
    fn clone(&self) -> Stdio {
        Stdio {
            by_line: self.by_line,
            ..Stdio::new(self.which)
        }
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stdio").field(&self.which).finish()
    }
}
