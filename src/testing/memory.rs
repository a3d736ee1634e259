//! Directories in file systems that live in memory.

use std::env;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::backend::sys;
use crate::fs;
use crate::tempfile::{Builder, TemporaryDirectory};

/// Creates a private temporary directory in a file system that lives in memory.
///
/// Files there are files like all others: they have paths, the kernel reads and writes them, and their operations run on
/// the thread pool and meet [`Faults`](super::Faults). Only there is no device to wait for, which counts in a test that
/// creates thousands of files, or calls `sync_all` after each write.
///
/// On Linux this is a tmpfs or a ramfs: the directory for temporary files ([`std::env::temp_dir`]) if it is in one,
/// otherwise `/dev/shm`, the directory that the variable `XDG_RUNTIME_DIR` names, or `/run/shm`. Where the process may
/// not write, the next one is taken. No such file system is known on other systems.
///
/// Only the owner may use the directory, which has the mode 0700. It is removed as every [`TemporaryDirectory`] is. What
/// is in it takes memory, of which a container may allow as little as 64 MiB.
///
/// # Cancel safety
///
/// Cancel safe: a dropped future leaves nothing behind.
///
/// # Errors
///
/// * There is no such file system, or the process may not write there ([`Unsupported`](ErrorKind::Unsupported)).
/// * The file system is full.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// use aiofiles::testing::memory_dir;
///
/// # futures_lite::future::block_on(async {
/// let mut dir = match memory_dir().await {
///     // This machine cannot run the test.
///     Err(error) if error.kind() == std::io::ErrorKind::Unsupported => return Ok(()),
///     dir => dir?,
/// };
/// let path = dir.path().join("a.txt");
/// aiofiles::write(&path, "hello").await?;
/// assert_eq!(aiofiles::read(&path).await?, b"hello");
/// dir.close().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn memory_dir() -> io::Result<TemporaryDirectory> {
    for place in places() {
        match create_in(&place).await {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) => {}
            Err(error) if is_out_of_reach(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "there is no file system in memory that this process may write to",
    ))
}

/// Where there may be a file system in memory.
fn places() -> impl Iterator<Item = PathBuf> {
    [
        Some(::tempfile::env::temp_dir()),
        Some(PathBuf::from("/dev/shm")),
        env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        Some(PathBuf::from("/run/shm")),
    ]
    .into_iter()
    .flatten()
}

/// Creates a directory in `place` if that is in memory.
async fn create_in(place: &Path) -> io::Result<Option<TemporaryDirectory>> {
    if !fs::query(place, "query the file system of", sys::is_in_memory).await? {
        return Ok(None);
    }
    let created = Builder::new().dir(place).temporary_directory().await;
    created.map(Some)
}

/// Whether an error says no more than that one has to look elsewhere.
fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}
