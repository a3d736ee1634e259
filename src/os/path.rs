//! The functions of Python's `os.path` that ask the file system, under its names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::backend::{self, Place, sys};
use crate::error::Context;
use crate::fs;

pub use crate::fs::exists;

/// The absolute path of `path`, in its shortest form: without `.`, `..` and doubled slashes.
///
/// Only the text of the path is looked at. So a `..` behind a symbolic link does not lead to where the link's target is,
/// and nothing need exist; [`canonicalize`](crate::canonicalize) asks the file system. On Unix, two slashes at the
/// beginning stay two, as POSIX says, and more become one. On Windows this is
/// [`std::path::absolute`].
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * The path is relative, and the current directory cannot be found out.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let path = aiofiles::os::path::abspath("src/./text/../lib.rs").await?;
/// assert_eq!(path, std::env::current_dir()?.join("src/lib.rs"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "absolute")]
pub async fn abspath<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    let path = path.as_ref();
    match sys::normal_if_absolute(path) {
        Some(normal) => Ok(normal),
        None => {
            let own = path.to_owned();
            let absolute =
                backend::query("absolute", Place::anywhere(), move || sys::absolute(&own));
            absolute.await.on("find the absolute path of", path)
        }
    }
}

/// Whether `path` leads to a regular file; `false` also if that cannot be found out.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::os::path::isfile("Cargo.toml").await);
/// assert!(!aiofiles::os::path::isfile("src").await);
/// # });
/// ```
#[doc(alias = "is_file")]
pub async fn isfile<P: AsRef<Path>>(path: P) -> bool {
    is(path.as_ref(), |path| Ok(sys::metadata(path)?.is_file())).await
}

/// Whether `path` leads to a directory; `false` also if that cannot be found out.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::os::path::isdir("src").await);
/// assert!(!aiofiles::os::path::isdir("Cargo.toml").await);
/// # });
/// ```
#[doc(alias = "is_dir")]
pub async fn isdir<P: AsRef<Path>>(path: P) -> bool {
    is(path.as_ref(), |path| Ok(sys::metadata(path)?.is_dir())).await
}

/// Whether `path` itself is a symbolic link, also one that leads nowhere; `false` also if that cannot be found out.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(!aiofiles::os::path::islink("src").await);
/// # });
/// ```
#[doc(alias = "is_symlink")]
pub async fn islink<P: AsRef<Path>>(path: P) -> bool {
    let ask = |path: &Path| Ok(sys::symlink_metadata(path)?.is_symlink());
    is(path.as_ref(), ask).await
}

/// Whether a file system is mounted at `path`; `false` also if that cannot be found out.
///
/// On Unix, that is told by the directory above: it is on another device, or is the same directory. So a directory that is
/// mounted a second time within its own file system is not noticed. A symbolic link is no mount point. On Windows, the
/// roots of drives and shares are.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # #[cfg(unix)]
/// assert!(aiofiles::os::path::ismount("/").await);
/// assert!(!aiofiles::os::path::ismount("src").await);
/// # });
/// ```
pub async fn ismount<P: AsRef<Path>>(path: P) -> bool {
    is(path.as_ref(), sys::is_mount).await
}

/// The length of the file at `path`, in bytes.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// The same as [`metadata`](crate::metadata).
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let size = aiofiles::os::path::getsize("Cargo.toml").await?;
/// assert_eq!(size, aiofiles::read("Cargo.toml").await?.len() as u64);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn getsize<P: AsRef<Path>>(path: P) -> io::Result<u64> {
    Ok(fs::metadata(path).await?.len())
}

/// When the file at `path` was read last, as far as the file system keeps account of that.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// The same as [`metadata`](crate::metadata).
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let read = aiofiles::os::path::getatime("Cargo.toml").await?;
/// assert_eq!(read, std::fs::metadata("Cargo.toml")?.accessed()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn getatime<P: AsRef<Path>>(path: P) -> io::Result<SystemTime> {
    let path = path.as_ref();
    let metadata = fs::metadata(path).await?;
    metadata.accessed().on("query metadata of", path)
}

/// When the content of the file at `path` was changed last.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// The same as [`metadata`](crate::metadata).
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let changed = aiofiles::os::path::getmtime("Cargo.toml").await?;
/// assert_eq!(changed, std::fs::metadata("Cargo.toml")?.modified()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn getmtime<P: AsRef<Path>>(path: P) -> io::Result<SystemTime> {
    let path = path.as_ref();
    let metadata = fs::metadata(path).await?;
    metadata.modified().on("query metadata of", path)
}

/// When the file at `path`, or its owner, permissions or links, were changed last. On Windows, when it was created.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// The same as [`metadata`](crate::metadata).
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let changed = aiofiles::os::path::getctime("Cargo.toml").await?;
/// assert!(changed > std::time::SystemTime::UNIX_EPOCH);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn getctime<P: AsRef<Path>>(path: P) -> io::Result<SystemTime> {
    let path = path.as_ref();
    let metadata = fs::metadata(path).await?;
    sys::change_time(&metadata).on("query metadata of", path)
}

/// Whether both paths lead to the same file or directory.
///
/// On Unix, device and inode tell; on Windows, the canonical paths, so hard links to one file count as different there.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * One of the paths does not exist, or the process may not search one of its directories.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert!(aiofiles::os::path::samefile("Cargo.toml", "src/../Cargo.toml").await?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "is_same_file")]
pub async fn samefile<P: AsRef<Path>, Q: AsRef<Path>>(one: P, other: Q) -> io::Result<bool> {
    let one = Arc::<Path>::from(one.as_ref());
    let other = other.as_ref().to_owned();
    let same = backend::query("same file", Place::of(&one), move || {
        let ask = |path| sys::metadata(path).on("query metadata of", path);
        let (of_one, of_other) = (ask(&one)?, ask(&other)?);
        sys::same_file((&one, &of_one), (&other, &of_other))
    });
    same.await
}

/// Whether both are open files of one file.
///
/// Device and inode tell.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * One of the files is closed.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let one = aiofiles::File::open("Cargo.toml").await?;
/// let other = aiofiles::File::open("Cargo.toml").await?;
/// assert!(aiofiles::os::path::sameopenfile(&one, &other).await?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[cfg(unix)]
pub async fn sameopenfile(one: &crate::File, other: &crate::File) -> io::Result<bool> {
    let one = one.stream()?.description().clone();
    let other = other.stream()?.description().clone();
    let same = backend::query("same file", one.place(), move || {
        let (one, other) = (
            sys::file_metadata(one.file())?,
            sys::file_metadata(other.file())?,
        );
        Ok(sys::identity_of(&one) == sys::identity_of(&other))
    });
    same.await
}

/// Asks something of a path to which an error is a no.
async fn is(path: &Path, ask: fn(&Path) -> io::Result<bool>) -> bool {
    let own = Arc::<Path>::from(path);
    backend::query("ask", Place::of(&own), move || ask(&own))
        .await
        .unwrap_or(false)
}
