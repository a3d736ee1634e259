//! A file without a name.

use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

use super::Builder;
use crate::backend::Description;
use crate::backend::sys::temporary::{Naming, create_unnamed};
use crate::file::File;

/// A file that has no name: nobody else can open it, and it goes with the last descriptor, whatever happens.
///
/// It is open for reading and writing, and dereferences to [`File`] for what else can be done with it.
///
/// On Linux it never has a name, where the file system can do that (`O_TMPFILE`); otherwise the name is removed right
/// after the file was created. Prefix and suffix of a [`Builder`] mean nothing.
///
/// # Examples
///
/// ```
/// use aiofiles::tempfile::TemporaryFile;
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # futures_lite::future::block_on(async {
/// let mut file = TemporaryFile::new().await?;
/// file.write_all(b"hello").await?;
/// file.seek(std::io::SeekFrom::Start(0)).await?;
///
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TemporaryFile {
    file: File,
}

impl TemporaryFile {
    /// Creates a file in the directory for temporary files. [`Builder::temporary_file`] has options.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// * The directory does not exist, or the process may not write there.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::tempfile::TemporaryFile::new().await?;
    /// assert_eq!(file.metadata().await?.len(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn new() -> io::Result<TemporaryFile> {
        Builder::new().temporary_file().await
    }

    pub(super) async fn create(builder: &Builder) -> io::Result<TemporaryFile> {
        let description = builder.create("create temporary file in", open).await?;
        Ok(TemporaryFile {
            file: File::from_description(description),
        })
    }

    /// The file.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// The file.
    pub fn as_file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file, as one like others.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Creates a file without a name. Runs on a pool thread.
pub(super) fn open(naming: &Naming, dir: &Path) -> io::Result<Arc<Description>> {
    let description = Description::foreign(create_unnamed(naming, dir)?);
    description.probe()?;
    Ok(description)
}

impl Deref for TemporaryFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// Forwards the traits of `futures-io` to the field `file`, but for closing.
macro_rules! forward_to_file {
    ($type:ty) => {
        impl AsyncRead for $type {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.file).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.file).poll_read_vectored(cx, bufs)
            }
        }

        impl AsyncBufRead for $type {
            fn poll_fill_buf(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<&[u8]>> {
                Pin::new(&mut self.get_mut().file).poll_fill_buf(cx)
            }

            fn consume(mut self: Pin<&mut Self>, amt: usize) {
                Pin::new(&mut self.file).consume(amt);
            }
        }

        impl AsyncSeek for $type {
            fn poll_seek(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pos: SeekFrom,
            ) -> Poll<io::Result<u64>> {
                Pin::new(&mut self.file).poll_seek(cx, pos)
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.file).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.file).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.file).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().poll_closed(cx)
            }
        }
    };
}

pub(super) use forward_to_file;

forward_to_file!(TemporaryFile);

impl TemporaryFile {
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_close(cx)
    }
}
