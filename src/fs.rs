//! Functions on paths.

use std::fs::{Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::backend::sys::{self, Kind};
use crate::backend::{self, Description, Place, delegate};
use crate::error::Context;
use crate::file::File;
use crate::open::{Descriptors, OpenOptions, Opened};
use crate::settle;

/// More than this is not copied in one go for a job of the pool, because copying would hold up the executor.
const COPIED_AT_ONCE: usize = 256 * 1024;

/// The absolute path of `path`, with all symbolic links followed.
///
/// This is `realpath(3)`.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * The path does not exist, or something in it is no directory.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let path = aiofiles::canonicalize("src/../Cargo.toml").await?;
/// assert!(path.is_absolute() && path.ends_with("Cargo.toml"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    delegate::canonicalize(path.clone())
        .await
        .on("canonicalize", &path)
}

/// Creates a directory.
///
/// This is `mkdir(2)`. See [`create_dir_all`] for its parents too.
///
/// # Cancel safety
///
/// The directory may still be created after the future is dropped.
///
/// # Errors
///
/// * `path` exists, or its parent does not.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// aiofiles::create_dir(dir.path().join("new")).await?;
/// assert!(dir.path().join("new").is_dir());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    change(path.as_ref(), "create directory", sys::create_dir).await
}

/// Creates a directory and all of its parents that are missing.
///
/// # Cancel safety
///
/// The directories may still be created after the future is dropped.
///
/// # Errors
///
/// * Something in `path` exists and is no directory.
/// * Some other I/O error occurred. Parents that were created stay.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// aiofiles::create_dir_all(dir.path().join("a/b/c")).await?;
/// assert!(dir.path().join("a/b/c").is_dir());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    change(path.as_ref(), "create directory", sys::create_dir_all).await
}

/// Whether `path` leads to something; `false` also if that cannot be found out.
///
/// See [`try_exists`] for the reason.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::exists("Cargo.toml").await);
/// assert!(!aiofiles::exists("no/such.file").await);
/// # });
/// ```
pub async fn exists<P: AsRef<Path>>(path: P) -> bool {
    try_exists(path).await.unwrap_or(false)
}

/// Whether `path` leads to something.
///
/// A symbolic link that leads nowhere does not. This is `stat(2)`.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * Whether it exists cannot be found out, because a directory may not be searched, for example.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(!aiofiles::try_exists("no/such.file").await?);
/// assert!(aiofiles::try_exists("Cargo.toml/no.file").await.is_err());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn try_exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    query(path.as_ref(), "look for", sys::try_exists).await
}

/// Creates a hard link at `dst` to the file at `src`.
///
/// This is `linkat(2)`.
///
/// # Cancel safety
///
/// The link may still be created after the future is dropped.
///
/// # Errors
///
/// * `src` does not exist or is a directory.
/// * `dst` exists, or is on another file system.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// aiofiles::write(&one, "hello").await?;
/// aiofiles::hard_link(&one, &other).await?;
/// assert_eq!(aiofiles::read(&other).await?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<()> {
    let (src, dst) = (src.as_ref().to_owned(), dst.as_ref().to_owned());
    delegate::hard_link(src.clone(), dst.clone())
        .await
        .on_both("link", &src, &dst)
}

/// The metadata of what `path` leads to.
///
/// Bytes that a dropped [`File`] has accepted and not written yet are waited for. This is `stat(2)` (`statx(2)`).
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * The path does not exist, or the process may not search one of its directories.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::metadata("Cargo.toml").await?.is_file());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref();
    settle::reached_by(path).await;
    query(path, "query metadata of", sys::metadata).await
}

/// The metadata of `path` itself, also if it is a symbolic link.
///
/// This is `lstat(2)`; the same as [`metadata`] otherwise.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// The same as [`metadata`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::symlink_metadata("Cargo.toml").await?.is_file());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref();
    settle::reached_by(path).await;
    query(path, "query metadata of", sys::symlink_metadata).await
}

/// Reads a whole file.
///
/// One dispatch to the thread pool opens, reads and closes it. A FIFO is read until its writers have gone, without
/// holding a thread.
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing.
///
/// # Errors
///
/// * The file does not exist, or the process may not read it.
/// * The file does not fit into memory ([`OutOfMemory`](ErrorKind::OutOfMemory)).
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let manifest = aiofiles::read("Cargo.toml").await?;
/// assert!(manifest.starts_with(b"[package]"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    read_all(path).await.on("read", path)
}

/// Reads a whole file that is text in UTF-8.
///
/// The same as [`read`] otherwise.
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing.
///
/// # Errors
///
/// * The file is not valid UTF-8 ([`InvalidData`](ErrorKind::InvalidData)).
/// * Otherwise the same as [`read`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let manifest = aiofiles::read_to_string("Cargo.toml").await?;
/// assert!(manifest.contains("aiofiles"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    let path = path.as_ref();
    // The job checks the text too: it can be long.
    let check = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| {
            io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8")
        })
    };
    read_and(path, check).await.on("read", path)
}

/// The path that a symbolic link points to.
///
/// This is `readlink(2)`.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * `path` does not exist, or is no symbolic link.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let error = aiofiles::read_link("Cargo.toml").await.unwrap_err();
/// # #[cfg(unix)]
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// # });
/// ```
pub async fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    delegate::read_link(path.clone())
        .await
        .on("read link", &path)
}

/// Removes an empty directory.
///
/// This is `rmdir(2)`.
///
/// # Cancel safety
///
/// The directory may still be removed after the future is dropped.
///
/// # Errors
///
/// * `path` does not exist, is no directory, or is not empty.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("new");
/// aiofiles::create_dir(&path).await?;
/// aiofiles::remove_dir(&path).await?;
/// assert!(!path.exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    change(path.as_ref(), "remove directory", sys::remove_dir).await
}

/// Removes a directory and all that is in it. Symbolic links are removed and not followed.
///
/// Runs in a job of its own, with std's protection against links that are swapped in meanwhile.
///
/// # Cancel safety
///
/// The removal goes on after the future is dropped.
///
/// # Errors
///
/// * `path` does not exist or is no directory.
/// * Something in it cannot be removed; what was removed before is gone.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a");
/// aiofiles::create_dir_all(path.join("b/c")).await?;
/// aiofiles::remove_dir_all(&path).await?;
/// assert!(!path.exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let removed = backend::long("remove directory", Place::of(&own), move || {
        sys::remove_dir_all(&own)
    });
    removed.await.on("remove directory", path)
}

/// Removes a file. A symbolic link is removed, and not what it points to.
///
/// This is `unlink(2)`.
///
/// # Cancel safety
///
/// The file may still be removed after the future is dropped.
///
/// # Errors
///
/// * `path` does not exist or is a directory.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, "hello").await?;
/// aiofiles::remove_file(&path).await?;
/// assert!(!path.exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    change(path.as_ref(), "remove file", sys::remove_file).await
}

/// Renames a file or directory. A file at `dst` is replaced in one step.
///
/// This is `rename(2)`.
///
/// # Cancel safety
///
/// The renaming may still happen after the future is dropped.
///
/// # Errors
///
/// * `src` does not exist.
/// * `dst` is on another file system, or is a directory that is not empty.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// aiofiles::write(&one, "hello").await?;
/// aiofiles::rename(&one, &other).await?;
/// assert_eq!(aiofiles::read(&other).await?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn rename<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<()> {
    let (src, dst) = (src.as_ref(), dst.as_ref());
    let (from, to) = (Arc::<Path>::from(src), dst.to_owned());
    backend::change("rename", Place::of(&from), move || sys::rename(&from, &to))
        .await
        .on_both("rename", src, dst)
}

/// Changes the permissions of what `path` leads to.
///
/// This is `chmod(2)`.
///
/// # Cancel safety
///
/// The change may still be made after the future is dropped.
///
/// # Errors
///
/// * `path` does not exist, or the process may not change it.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// # aiofiles::write(&path, "").await?;
/// let mut permissions = aiofiles::metadata(&path).await?.permissions();
/// permissions.set_readonly(true);
/// aiofiles::set_permissions(&path, permissions).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    delegate::set_permissions(path.clone(), perm)
        .await
        .on("set permissions of", &path)
}

/// Writes a whole file: creates it, or replaces what is in it.
///
/// Up to 256 KiB, one dispatch to the thread pool opens, writes and closes it. When it returns `Ok`, the operating system
/// has everything.
///
/// # Cancel safety
///
/// Dropped early, the file may have been truncated, and written in part or in full.
///
/// # Errors
///
/// * The path is a directory, or the process may not write there.
/// * The device is full.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, "hello").await?;
/// assert_eq!(std::fs::read(&path)?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let path = path.as_ref();
    write_all(path, contents.as_ref()).await.on("write", path)
}

async fn write_all(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let description = if contents.len() <= COPIED_AT_ONCE {
        settle::reached_by(path).await;
        let own = Arc::<Path>::from(path);
        let mut descriptors = Descriptors::default();
        let written = loop {
            let (options, own, bytes) = (options.clone(), own.clone(), contents.to_owned());
            let place = Place::of(&own);
            match backend::change("write", place, move || write_now(&options, own, &bytes)).await {
                Err(error) if descriptors.may_come_free(&error).await => {}
                written => break written?,
            }
        };
        match written {
            Written::All => return Ok(()),
            Written::Special(description) => description,
            Written::NoReader => options.open_description(path).await?,
        }
    } else {
        options.open_description(path).await?
    };
    let mut file = File::from_description(description);
    let written = file.write_all(contents).await;
    written.and(file.close().await)
}

/// What one job made of a whole file to be written.
enum Written {
    All,
    /// It is no file, and may block for ever.
    Special(Arc<Description>),
    /// It is a FIFO that nobody reads.
    NoReader,
}

/// Opens, writes and closes. Runs on a pool thread.
fn write_now(options: &OpenOptions, path: Arc<Path>, mut bytes: &[u8]) -> io::Result<Written> {
    let description = match options.open_now(path, true)? {
        Opened::Description(description) => description,
        Opened::NoReader => return Ok(Written::NoReader),
    };
    if description
        .facts()
        .is_some_and(|facts| facts.kind == Kind::Stream)
    {
        return Ok(Written::Special(description));
    }
    while !bytes.is_empty() {
        match sys::write(description.file(), bytes)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    // Network file systems say here what they could not write.
    description.close()?;
    Ok(Written::All)
}

pub(crate) async fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    read_and(path, Ok).await
}

/// Reads a whole file, and lets the job make something of it.
async fn read_and<T: Send + 'static>(
    path: &Path,
    make: fn(Vec<u8>) -> io::Result<T>,
) -> io::Result<T> {
    settle::reached_by(path).await;
    let path = Arc::<Path>::from(path);
    let mut descriptors = Descriptors::default();
    loop {
        let own = path.clone();
        let read = backend::query("read", Place::of(&path), move || {
            Ok(match read_now(own)? {
                Content::All(bytes) => Ok(make(bytes)?),
                Content::Special(description) => Err(description),
            })
        });
        match read.await {
            Ok(Ok(made)) => return Ok(made),
            Ok(Err(description)) => {
                let mut bytes = Vec::new();
                let mut file = File::from_description(description);
                file.read_to_end(&mut bytes).await?;
                return make(bytes);
            }
            Err(error) if descriptors.may_come_free(&error).await => {}
            Err(error) => return Err(error),
        }
    }
}

/// What one job made of a whole file to be read.
pub(crate) enum Content {
    All(Vec<u8>),
    /// It is no file, and may block for ever.
    Special(Arc<Description>),
}

/// Opens, reads and closes. Runs on a pool thread.
pub(crate) fn read_now(path: Arc<Path>) -> io::Result<Content> {
    let mut options = OpenOptions::new();
    let Opened::Description(description) = options.read(true).open_now(path, true)? else {
        return Err(ErrorKind::WouldBlock.into());
    };
    if description
        .facts()
        .is_some_and(|facts| facts.kind == Kind::Stream)
    {
        return Ok(Content::Special(description));
    }
    let file = description.file();
    let len = description.facts().map_or(0, |facts| facts.len);
    let mut bytes = Vec::new();
    sys::read_to_end(&mut bytes, len, |bytes, room| sys::read(file, bytes, room))?;
    Ok(Content::All(bytes))
}

/// Asks something about a path.
pub(crate) async fn query<T: Send + 'static>(
    path: &Path,
    op: &'static str,
    ask: fn(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let own = Arc::<Path>::from(path);
    backend::query(op, Place::of(&own), move || ask(&own))
        .await
        .on(op, path)
}

/// Changes something about a path.
pub(crate) async fn change<T: Send + 'static>(
    path: &Path,
    op: &'static str,
    change: fn(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let own = Arc::<Path>::from(path);
    backend::change(op, Place::of(&own), move || change(&own))
        .await
        .on(op, path)
}
