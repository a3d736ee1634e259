//! How a text file is to be opened.

use std::io;
use std::path::Path;

use super::{Encoding, Errors, Newline, TextFile};
use crate::error::Context;
use crate::mode::Mode;
use crate::open::open_mode;

/// How text stands in a file.
///
/// By default that is UTF-8, strictly, with [`Newline::Universal`].
///
/// # Examples
///
/// ```
/// use aiofiles::{Encoding, Errors, TextOptions};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let latin = TextOptions::new().encoding(Encoding::LATIN_1).errors(Errors::XmlCharRefReplace);
/// let mut file = latin.open(&path, "w").await?;
/// file.write("10 €, à peu près").await?;
/// file.close().await?;
/// assert_eq!(aiofiles::read(&path).await?, b"10 &#8364;, \xe0 peu pr\xe8s");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    pub(super) encoding: Encoding,
    pub(super) errors: Errors,
    pub(super) newline: Newline,
    pub(super) line_buffering: bool,
}

impl Default for TextOptions {
    fn default() -> TextOptions {
        TextOptions::new()
    }
}

impl TextOptions {
    /// UTF-8, strict, universal newlines.
    pub const fn new() -> TextOptions {
        TextOptions {
            encoding: Encoding::UTF_8,
            errors: Errors::Strict,
            newline: Newline::Universal,
            line_buffering: false,
        }
    }

    /// The encoding.
    #[must_use]
    pub const fn encoding(mut self, encoding: Encoding) -> TextOptions {
        self.encoding = encoding;
        self
    }

    /// What becomes of bytes that are no text, and of characters that the encoding does not have.
    #[must_use]
    pub const fn errors(mut self, errors: Errors) -> TextOptions {
        self.errors = errors;
        self
    }

    /// Which ends of lines there are, and what becomes of them.
    #[must_use]
    pub const fn newline(mut self, newline: Newline) -> TextOptions {
        self.newline = newline;
        self
    }

    /// Flushes after every write that ends a line.
    #[must_use]
    pub const fn line_buffering(mut self, line_buffering: bool) -> TextOptions {
        self.line_buffering = line_buffering;
        self
    }

    /// Opens a text file with a [`Mode`]: `"r"`, `"w+"`, `"at"`.
    ///
    /// # Cancel safety
    ///
    /// The file may still be created or truncated after the future is dropped; no descriptor is leaked.
    ///
    /// # Errors
    ///
    /// * The mode is none, or one of bytes ([`InvalidInput`](io::ErrorKind::InvalidInput)). Nothing was opened.
    /// * Those of [`OpenOptions::open`](crate::OpenOptions::open).
    pub async fn open<P: AsRef<Path>>(self, path: P, mode: &str) -> io::Result<TextFile> {
        let path = path.as_ref();
        let mode = Mode::of_text(mode).on("open", path)?;
        let file = open_mode(path, mode).await?;
        Ok(TextFile::new(file, self, mode.appends()))
    }

    /// Makes a text file of a file of bytes, which goes on where that is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{File, TextOptions};
    ///
    /// # futures_lite::future::block_on(async {
    /// let file = File::open("Cargo.toml").await?;
    /// let mut text = TextOptions::new().wrap(file);
    /// assert_eq!(text.readline().await?, "[package]\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "TextIOWrapper")]
    pub fn wrap<F>(self, file: F) -> TextFile<F> {
        TextFile::new(file, self, false)
    }
}

/// Opens a text file in UTF-8, with universal newlines. [`TextOptions::open`] opens others.
///
/// The mode is one of [`Mode`], without `b`. [`open`](crate::open()) is for files of bytes.
///
/// # Cancel safety
///
/// The file may still be created or truncated after the future is dropped; no descriptor is leaked.
///
/// # Errors
///
/// * The mode is none, or one of bytes ([`InvalidInput`](io::ErrorKind::InvalidInput)). Nothing was opened.
/// * Those of [`OpenOptions::open`](crate::OpenOptions::open).
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let mut file = aiofiles::open_text(&path, "w").await?;
/// file.write("Hello\n").await?;
/// file.close().await?;
///
/// let mut file = aiofiles::open_text(&path, "r").await?;
/// assert_eq!(file.readline().await?, "Hello\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn open_text<P: AsRef<Path>>(path: P, mode: &str) -> io::Result<TextFile> {
    TextOptions::new().open(path, mode).await
}
