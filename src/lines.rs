//! Cursors over an open file, and streams of chunks and lines.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead};
use futures_lite::Stream;

use crate::file::File;

impl File {
    /// A file with a position of its own, `offset`, on the same open file.
    ///
    /// Any number of cursors can read and write at the same time, each with its own position and buffers. They share the
    /// descriptor: no system call is made, and it is closed with the last of them. Reading and seeking in one does not
    /// disturb the others, and closing one leaves them open. ([`try_clone`](Self::try_clone) makes a handle that shares
    /// the position.)
    ///
    /// What one accepts, others see after its `flush`. The order of a file (of `set_len`, `metadata` and the like) holds
    /// for its own reads and writes, and not for those of its cursors.
    ///
    /// # Errors
    ///
    /// * The file is known to have no positions, or is closed.
    /// * `offset` is larger than any offset can be ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, future};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// # aiofiles::write(&path, "Hello, world").await?;
    /// let file = aiofiles::File::open(&path).await?;
    /// let (mut one, mut other) = (file.cursor(0)?, file.cursor(7)?);
    /// let (mut all, mut rest) = (String::new(), String::new());
    /// future::try_zip(one.read_to_string(&mut all), other.read_to_string(&mut rest)).await?;
    /// assert_eq!((&*all, &*rest), ("Hello, world", "world"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias("Reader", "Writer"))]
    pub fn cursor(&self, offset: u64) -> io::Result<File> {
        Ok(File::from_stream(self.stream()?.cursor(offset)?))
    }

    /// The rest of the file in chunks of `size` bytes: a [`Stream`] of `io::Result<Vec<u8>>`. The last chunk may be
    /// shorter.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::File::open("Cargo.toml").await?;
    /// let mut chunks = file.chunks(100);
    /// while let Some(chunk) = chunks.try_next().await? {
    ///     assert!(chunk.len() <= 100);
    /// }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "iter_chunked")]
    pub fn chunks(self, size: usize) -> Chunks<File> {
        Chunks::new(self, size)
    }
}

/// What a reader gives, in chunks: a [`Stream`] of `io::Result<Vec<u8>>`.
///
/// Each is as long as was asked for, but for the last one. After an error the stream can be polled on: no byte is lost.
///
/// # Cancel safety
///
/// Cancel safe: what was read of a chunk stays with the stream.
///
/// # Examples
///
/// ```
/// use aiofiles::Chunks;
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let mut chunks = Chunks::new(&b"abcdefgh"[..], 3);
/// assert_eq!(chunks.try_next().await?.unwrap(), b"abc");
/// assert_eq!(chunks.try_next().await?.unwrap(), b"def");
/// assert_eq!(chunks.try_next().await?.unwrap(), b"gh");
/// assert_eq!(chunks.try_next().await?, None);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Chunks<R> {
    reader: R,
    size: usize,
    /// The present chunk: its memory, of which so much is filled.
    chunk: Vec<u8>,
    filled: usize,
    ended: bool,
}

impl<R> Chunks<R> {
    /// Chunks of `size` bytes. If that is 0, the stream is one error, [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn new(reader: R, size: usize) -> Chunks<R> {
        Chunks {
            reader,
            size,
            chunk: Vec::new(),
            filled: 0,
            ended: false,
        }
    }

    /// The reader. What was read of a chunk that was not handed out is lost.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: AsyncRead + Unpin> Stream for Chunks<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        /// A large chunk gets its memory in steps, in case there is not so much to read.
        const STEP: usize = 256 * 1024;
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.size == 0 {
            this.ended = true;
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "chunks of 0 bytes",
            ))));
        }
        while this.filled < this.size {
            if this.filled == this.chunk.len() {
                let len = this.size.min((this.filled * 2).max(STEP));
                this.chunk.resize(len, 0);
            }
            let room = &mut this.chunk[this.filled..];
            match ready!(Pin::new(&mut this.reader).poll_read(cx, room)) {
                Ok(0) => {
                    this.ended = true;
                    break;
                }
                Ok(n) => this.filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let mut chunk = std::mem::take(&mut this.chunk);
        chunk.truncate(std::mem::take(&mut this.filled));
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }
}

impl<R> fmt::Debug for Chunks<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What a buffered reader gives, in lines: a [`Stream`] of `io::Result<Vec<u8>>`.
///
/// Lines are bytes in no particular encoding. They end with `\n`, or with a separator of any length, which is left out
/// unless it is asked for. What follows the last separator is a line too, if it is not empty.
///
/// For text, `lines` of `AsyncBufReadExt` does the same with `\n`.
///
/// # Cancel safety
///
/// Cancel safe: what was read of a line stays with the stream.
///
/// # Examples
///
/// ```
/// use aiofiles::LineReader;
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let mut lines = LineReader::new(&b"one\r\ntwo\nthree"[..]).trim_crlf(true);
/// assert_eq!(lines.try_next().await?.unwrap(), b"one");
/// assert_eq!(lines.try_next().await?.unwrap(), b"two");
/// assert_eq!(lines.try_next().await?.unwrap(), b"three");
/// assert_eq!(lines.try_next().await?, None);
///
/// let mut records = LineReader::new(&b"one--two--"[..]).separator("--").keep_separator(true);
/// assert_eq!(records.try_next().await?.unwrap(), b"one--");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct LineReader<R> {
    reader: R,
    separator: Vec<u8>,
    keep_separator: bool,
    trim_crlf: bool,
    /// The present line, as far as it was read.
    line: Vec<u8>,
    ended: bool,
}

impl<R> LineReader<R> {
    /// Lines that end with `\n`.
    pub fn new(reader: R) -> LineReader<R> {
        LineReader {
            reader,
            separator: b"\n".to_vec(),
            keep_separator: false,
            trim_crlf: false,
            line: Vec::new(),
            ended: false,
        }
    }

    /// What lines end with. If it is empty, the stream is one error, [`InvalidInput`](io::ErrorKind::InvalidInput).
    #[must_use]
    pub fn separator(mut self, separator: impl Into<Vec<u8>>) -> LineReader<R> {
        self.separator = separator.into();
        self
    }

    /// Whether lines are given with what they end with.
    #[must_use]
    pub fn keep_separator(mut self, keep: bool) -> LineReader<R> {
        self.keep_separator = keep;
        self
    }

    /// Whether a `\r` before the separator is left out too.
    #[must_use]
    pub fn trim_crlf(mut self, trim: bool) -> LineReader<R> {
        self.trim_crlf = trim;
        self
    }

    /// The reader. What was read of a line that was not handed out is lost.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Hands the present line out.
    fn finish(&mut self, separated: bool) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.line);
        if separated && !self.keep_separator {
            line.truncate(line.len() - self.separator.len());
            if self.trim_crlf && line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        line
    }
}

impl<R: AsyncBufRead + Unpin> Stream for LineReader<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Some(last) = this.separator.last().copied() else {
            this.ended = true;
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an empty separator",
            ))));
        };
        loop {
            let available = match ready!(Pin::new(&mut this.reader).poll_fill_buf(cx)) {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            if available.is_empty() {
                this.ended = true;
                let rest = this.finish(false);
                return Poll::Ready((!rest.is_empty()).then_some(Ok(rest)));
            }
            // A separator ends with its last byte, wherever it began: perhaps in an earlier part of the line.
            let (taken, separated) = match memchr::memchr(last, available) {
                Some(at) => (at + 1, true),
                None => (available.len(), false),
            };
            this.line.extend_from_slice(&available[..taken]);
            Pin::new(&mut this.reader).consume(taken);
            if separated && this.line.ends_with(&this.separator) {
                return Poll::Ready(Some(Ok(this.finish(true))));
            }
        }
    }
}

impl<R> fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("separator", &self.separator)
            .finish_non_exhaustive()
    }
}
