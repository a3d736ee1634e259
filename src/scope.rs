//! Scopes: a file that is closed however its use ends.

use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;

use futures_io::{AsyncBufRead, AsyncSeek, AsyncWrite};

use crate::text::TextFile;

/// What [`with`] can close: everything that is an [`AsyncWrite`], and text files.
pub trait Scoped {
    /// Closes it, and says what went wrong.
    ///
    /// # Cancel safety
    ///
    /// It is closed all the same, by being dropped if not otherwise.
    fn leave(&mut self) -> impl Future<Output = io::Result<()>>;
}

impl<F: AsyncWrite + Unpin> Scoped for F {
    async fn leave(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_close(cx)).await
    }
}

impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> Scoped for TextFile<F> {
    async fn leave(&mut self) -> io::Result<()> {
        self.close().await
    }
}

/// Opens a file, lets `body` use it, and closes it, whether the body returns a value or an error, panics or is cancelled.
///
/// `open` is what opens it: a future of [`File::open`](crate::File::open), [`open`](crate::open()),
/// [`open_text`](crate::open_text) and the like, or `std::future::ready(Ok(file))` for one that is open. A body that
/// returns is followed by `close`, which waits for what was accepted. If the body panics or the future is dropped, the
/// file is dropped, which loses no accepted byte.
///
/// # Cancel safety
///
/// The file is closed. What it had accepted is still written; the rest is as with the function that opens it, and with
/// the body.
///
/// # Errors
///
/// * That of `open`.
/// * That of the body, whatever closing says.
/// * If there is none, that of `close`.
///
/// # Examples
///
/// ```
/// use aiofiles::File;
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let len = aiofiles::with(File::create(&path), async |file| {
///     file.write_all(b"Hello, ").await?;
///     file.write_all(b"world").await?;
///     file.stream_position().await
/// })
/// .await?;
/// assert_eq!(len, 12);
/// assert_eq!(aiofiles::read(&path).await?, b"Hello, world");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "async with")]
#[doc(alias = "scope")]
pub async fn with<O, F, B, T, E>(open: O, body: B) -> Result<T, E>
where
    O: IntoFuture<Output = io::Result<F>>,
    F: Scoped,
    B: AsyncFnOnce(&mut F) -> Result<T, E>,
    E: From<io::Error>,
{
    let mut file = open.await?;
    let result = body(&mut file).await;
    let closed = file.leave().await;
    let value = result?;
    closed?;
    Ok(value)
}
