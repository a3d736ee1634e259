//! The lines of a text file as a stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncSeek, AsyncWrite};
use futures_lite::Stream;

use super::TextFile;
use crate::file::File;

impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// The lines from the position on, without their terminators: a [`Stream`] of `io::Result<String>`.
    ///
    /// [`readline`](Self::readline) keeps the terminator, and tells thereby whether the last line has one.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut file = aiofiles::open_text("Cargo.toml", "r").await?;
    /// let mut lines = file.lines();
    /// assert_eq!(lines.try_next().await?.unwrap(), "[package]");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn lines(&mut self) -> Lines<'_, F> {
        Lines { file: self }
    }

    /// The same, of a stream that owns the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let lines = aiofiles::open_text("Cargo.toml", "r").await?.into_lines();
    /// let count = lines.filter(|line| line.is_ok()).count().await;
    /// assert!(count > 10);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn into_lines(self) -> IntoLines<F> {
        IntoLines { file: self }
    }

    /// The next line without its terminator.
    fn poll_stripped(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<String>>> {
        let line = ready!(self.poll_line(cx)).map(|line| {
            line.map(|mut line| {
                line.truncate(line.len() - self.options.newline.terminator(&line));
                line
            })
        });
        Poll::Ready(line.transpose())
    }
}

/// The lines of a text file; made by [`TextFile::lines`].
///
/// After an error the stream can be polled on.
///
/// # Cancel safety
///
/// Cancel safe: what was read of a line stays with the file.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Lines<'f, F = File> {
    file: &'f mut TextFile<F>,
}

impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> Stream for Lines<'_, F> {
    type Item = io::Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.file.poll_stripped(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for Lines<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lines").field(self.file).finish()
    }
}

/// The lines of a text file that it owns; made by [`TextFile::into_lines`].
///
/// After an error the stream can be polled on.
///
/// # Cancel safety
///
/// Cancel safe: what was read of a line stays with the file.
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoLines<F = File> {
    file: TextFile<F>,
}

impl<F> IntoLines<F> {
    /// The file, which goes on after the last line that was taken.
    pub fn into_inner(self) -> TextFile<F> {
        self.file
    }
}

impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> Stream for IntoLines<F> {
    type Item = io::Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.file.poll_stripped(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for IntoLines<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntoLines").field(&self.file).finish()
    }
}
