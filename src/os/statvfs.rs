//! What a file system says of itself.

use std::io;
use std::path::Path;

use crate::backend::sys;
use crate::fs;

/// The size of a file system, and how much of it is in use; see [`statvfs`].
///
/// Blocks are counted in units of [`fragment_size`](Self::fragment_size), as POSIX has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatVfs {
    /// The preferred size of reads and writes, in bytes.
    #[doc(alias = "f_bsize")]
    pub block_size: u64,
    /// The size of one block of those that are counted here, in bytes.
    #[doc(alias = "f_frsize")]
    pub fragment_size: u64,
    /// How many blocks there are.
    #[doc(alias = "f_blocks")]
    pub blocks: u64,
    /// How many of them are free.
    #[doc(alias = "f_bfree")]
    pub blocks_free: u64,
    /// How many of them are free for users without privileges.
    #[doc(alias = "f_bavail")]
    pub blocks_available: u64,
    /// How many inodes there are, and so how many files there can be. Zero if the file system has no such bound.
    #[doc(alias = "f_files")]
    pub files: u64,
    /// How many of them are free.
    #[doc(alias = "f_ffree")]
    pub files_free: u64,
    /// How many of them are free for users without privileges.
    #[doc(alias = "f_favail")]
    pub files_available: u64,
    /// The number of the file system.
    #[doc(alias = "f_fsid")]
    pub id: u64,
    /// The `ST_` flags with which it is mounted, as the system numbers them.
    #[doc(alias = "f_flag")]
    pub flags: u64,
    /// The longest name that a file can have, in bytes.
    #[doc(alias = "f_namemax")]
    pub name_max: u64,
}

impl StatVfs {
    /// The size of the file system, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.fragment_size)
    }

    /// How many bytes are free.
    pub fn free_bytes(&self) -> u64 {
        self.blocks_free.saturating_mul(self.fragment_size)
    }

    /// How many bytes are free for users without privileges.
    pub fn available_bytes(&self) -> u64 {
        self.blocks_available.saturating_mul(self.fragment_size)
    }
}

/// The size of the file system that `path` is on, and how much of it is in use.
///
/// This is `statvfs(3)`.
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
/// let root = aiofiles::os::statvfs("/").await?;
/// assert!(root.available_bytes() <= root.total_bytes());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn statvfs<P: AsRef<Path>>(path: P) -> io::Result<StatVfs> {
    let stat = fs::query(path.as_ref(), "query the file system of", sys::statvfs).await?;
    Ok(StatVfs {
        block_size: stat.f_bsize,
        fragment_size: stat.f_frsize,
        blocks: stat.f_blocks,
        blocks_free: stat.f_bfree,
        blocks_available: stat.f_bavail,
        files: stat.f_files,
        files_free: stat.f_ffree,
        files_available: stat.f_favail,
        id: stat.f_fsid,
        flags: stat.f_flag.bits(),
        name_max: stat.f_namemax,
    })
}
