//! The functions of Python's `os` module, under its names.
//!
//! They are asynchronous as all others of this crate, and give the same errors. Where the crate has the same function under
//! std's name, the one here is only a second name for it.
//!
//! | Python | here | std's name |
//! |---|---|---|
//! | `os.stat(path)`, `os.lstat(path)` | [`stat`], [`lstat`] | [`metadata`](crate::metadata), [`symlink_metadata`](crate::symlink_metadata) |
//! | `os.statvfs(path)` | `statvfs` (Unix) | |
//! | `os.access(path, mode)` | [`access`] | |
//! | `os.getcwd()` | [`getcwd`] | [`current_dir`](std::env::current_dir) |
//! | `os.rename`, `os.replace` | [`rename`], [`replace`] | `rename` |
//! | `os.renames` | [`renames`] | |
//! | `os.remove`, `os.unlink` | [`remove`], [`unlink`] | [`remove_file`](crate::remove_file) |
//! | `os.mkdir(path, mode)` | [`mkdir`] | [`create_dir`](crate::create_dir), [`DirBuilder`](crate::DirBuilder) |
//! | `os.makedirs(path, mode, exist_ok)` | [`makedirs`] | [`create_dir_all`](crate::create_dir_all) |
//! | `os.rmdir` | [`rmdir`] | [`remove_dir`](crate::remove_dir) |
//! | `os.removedirs` | [`removedirs`] | |
//! | `os.link` | [`link`] | [`hard_link`](crate::hard_link) |
//! | `os.symlink` | `symlink` (Unix); `symlink_dir`, `symlink_file` (Windows) | the same |
//! | `os.readlink` | [`readlink`] | [`read_link`](crate::read_link) |
//! | `os.listdir(path)` | [`listdir`] | |
//! | `os.scandir(path)` | [`scandir`] | [`read_dir`](crate::read_dir()) |
//! | `os.sendfile` | `sendfile` (Unix) | |
//! | `aiofiles.os.wrap(function)` | [`wrap`], [`unblock`] | |
//! | `os.path` | [`path`] | |
//!
//! The argument `dir_fd` of Python's functions is a method of `aiofiles::unix::Dir` here.

mod access;
mod directories;
pub mod path;
#[cfg(unix)]
mod statvfs;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use futures_lite::StreamExt;

use crate::backend::{self, Place, sys};
use crate::error::Context;

pub use access::{AccessMode, access};
pub use directories::{makedirs, mkdir, removedirs, renames};
#[cfg(unix)]
pub use statvfs::{StatVfs, statvfs};

pub use crate::dir::read_dir as scandir;
pub use crate::fs::hard_link as link;
pub use crate::fs::metadata as stat;
pub use crate::fs::read_link as readlink;
pub use crate::fs::remove_dir as rmdir;
pub use crate::fs::remove_file as remove;
pub use crate::fs::remove_file as unlink;
pub use crate::fs::rename;
pub use crate::fs::rename as replace;
pub use crate::fs::symlink_metadata as lstat;
pub use crate::unblock::unblock;
pub use crate::unblock::unblock as wrap;
#[cfg(unix)]
pub use crate::unix::{sendfile, symlink};
#[cfg(windows)]
pub use crate::windows::{symlink_dir, symlink_file};

/// The current directory of the process.
///
/// This is `getcwd(2)`.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Errors
///
/// * The directory was removed, or one above it may not be searched.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// assert_eq!(aiofiles::os::getcwd().await?, std::env::current_dir()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "current_dir")]
pub async fn getcwd() -> io::Result<PathBuf> {
    backend::query("current directory", Place::anywhere(), sys::current_dir).await
}

/// The names of what is in a directory, without `.` and `..`, in the order in which the file system has them.
///
/// [`scandir`] gives them one by one, with their types.
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing.
///
/// # Errors
///
/// * `path` does not exist, is no directory, or may not be read.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let names = aiofiles::os::listdir("src").await?;
/// assert!(names.iter().any(|name| name == "lib.rs"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn listdir<P: AsRef<Path>>(path: P) -> io::Result<Vec<OsString>> {
    let path = path.as_ref();
    let mut entries = scandir(path).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next().await {
        names.push(entry.on("read directory", path)?.file_name());
    }
    Ok(names)
}
