//! The system calls, each at one place: every result that the kernel gives this crate passes [`call`].
//!
//! What differs between systems stands in the files beside this one, which all offer the same functions.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use super::uring::{self, perform};
use super::{fault, refusal};
use crate::buf;

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod platform;
pub(crate) mod temporary;

#[cfg_attr(unix, path = "os_unix.rs")]
#[cfg_attr(windows, path = "os_windows.rs")]
mod os;

#[cfg(unix)]
pub(crate) mod dirfd;

pub(crate) use os::*;
pub(crate) use platform::*;

/// A kind of system call, as the fault seam names it.
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "public with the fault seam")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// open(2)
    Open,
    /// fstat(2), stat(2), lstat(2), fstatfs(2) and fcntl(2): whatever only asks.
    Metadata,
    /// read(2), pread(2)
    Read,
    /// preadv2(2) with RWF_NOWAIT (feature `nowait`). As long as no fault is planned for it, code with a plan does
    /// not make such reads.
    #[cfg_attr(
        not(all(feature = "nowait", target_os = "linux")),
        allow(dead_code, reason = "there are no such reads in this build")
    )]
    CachedRead,
    /// A read that a ring of io_uring performs (feature `uring`). As long as no fault is planned for this or
    /// [`RingWrite`](Call::RingWrite), code with a plan does not use rings. An error of such a fault stands in the
    /// completion, and a stalled one has no thread to wait on: what was read is kept back until the gate is opened.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there are no rings in this build")
    )]
    RingRead,
    /// write(2), pwrite(2)
    Write,
    /// The same as [`RingRead`](Call::RingRead) for a write.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there are no rings in this build")
    )]
    RingWrite,
    /// lseek(2)
    Seek,
    /// ftruncate(2)
    SetLen,
    /// fsync(2)
    SyncAll,
    /// fdatasync(2)
    SyncData,
    /// close(2)
    Close,
    /// fchmod(2), chmod(2), chown(2)
    SetPermissions,
    /// futimens(2)
    SetTimes,
    /// flock(2) to lock
    Lock,
    /// flock(2) to unlock
    Unlock,
    /// getdents(2)
    ReadDir,
    /// link(2), symlink(2)
    Link,
    /// rename(2)
    Rename,
    /// unlink(2)
    RemoveFile,
    /// rmdir(2)
    RemoveDir,
    /// Removal of a whole tree.
    RemoveDirAll,
    /// mkdir(2)
    CreateDir,
    /// copy_file_range(2) and what stands in for it.
    Copy,
    /// fallocate(2)
    Allocate,
}

/// Makes one system call: the only way in which this crate asks the kernel for anything about files.
///
/// An interrupted call is made again, so `Interrupted` is never seen outside.
pub(crate) fn call<T>(what: Call, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        let allowed = refusal::check().and_then(|()| fault::before(what));
        match allowed.and_then(|()| call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What a file was opened for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
}

/// What becomes of a file that is opened: what [`std::fs::OpenOptions`] cannot be asked for.
#[cfg_attr(
    not(unix),
    expect(
        dead_code,
        reason = "asked where files are opened relative to directories"
    )
)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Creation {
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) mode: Option<u32>,
}

/// Rights on a path that are asked for.
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "not every system tells all of them")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rights {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    /// Those of the effective user, rather than those of the real one.
    pub(crate) effective: bool,
    /// Of a symbolic link itself.
    pub(crate) no_follow: bool,
}

/// The most that one call moves, on any system: Linux's own bound, which is also below 2^31.
pub(crate) const MOST: usize = 0x7fff_f000;

/// The most slices that one call takes: `IOV_MAX`.
const MOST_SLICES: usize = 1024;

/// The largest offset that a file can have.
pub(crate) const LARGEST_OFFSET: u64 = i64::MAX as u64;

/// Bounds the length of one read or write.
pub(crate) fn clamp(what: Call, len: usize) -> usize {
    fault::length(what, len.min(MOST))
}

pub(crate) fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    call(Call::Write, || {
        let bytes = &buf[..clamp(Call::Write, buf.len())];
        perform::write(file, bytes, offset).unwrap_or_else(|| platform::pwrite(file, bytes, offset))
    })
}

/// Writes at `offset` to a file that may know no such call: many files of procfs only take a write at the kernel's own
/// position, which is moved there first.
pub(crate) fn write_here(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    match write_at(file, buf, offset) {
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
            // Where it cannot be moved either, the write goes where it goes, as that of std does.
            let _ = seek(file, io::SeekFrom::Start(offset));
            write(file, buf)
        }
        result => result,
    }
}

/// Writes where the kernel's own position, or append mode, says.
pub(crate) fn write(mut file: &File, buf: &[u8]) -> io::Result<usize> {
    call(Call::Write, || {
        io::Write::write(&mut file, &buf[..clamp(Call::Write, buf.len())])
    })
}

/// Appends up to `len` bytes at `offset` to `buf`, without initialising memory first. Zero means end of file.
pub(crate) fn read_at(
    file: &File,
    buf: &mut Vec<u8>,
    len: usize,
    offset: u64,
) -> io::Result<usize> {
    let len = len.min(room_at(offset));
    if len == 0 {
        return Ok(0);
    }
    call(Call::Read, || {
        let len = clamp(Call::Read, len);
        if uring::performs() {
            buf.reserve_exact(len);
            let mut result = None;
            buf::append(buf, len, |memory| {
                result = perform::read(file, memory, offset);
                result
                    .as_ref()
                    .map_or(0, |read| *read.as_ref().unwrap_or(&0))
            });
            if let Some(result) = result {
                return result;
            }
        }
        platform::pread(file, buf, len, offset)
    })
}

/// Fills the beginning of `memory` from `offset`. Zero means end of file, or no memory.
pub(crate) fn read_into(
    file: &File,
    memory: &mut [MaybeUninit<u8>],
    offset: u64,
) -> io::Result<usize> {
    let len = memory.len().min(room_at(offset));
    if len == 0 {
        return Ok(0);
    }
    call(Call::Read, || {
        let memory = &mut memory[..clamp(Call::Read, len)];
        perform::read(file, memory, offset)
            .unwrap_or_else(|| platform::pread_into(file, memory, offset))
    })
}

/// Appends what `read` reads, which is told for how much there is room, until that is nothing.
///
/// `len` is a hint at how much it will be: files of procfs tell no length, others grow or shrink meanwhile.
pub(crate) fn read_to_end(
    bytes: &mut Vec<u8>,
    len: u64,
    mut read: impl FnMut(&mut Vec<u8>, usize) -> io::Result<usize>,
) -> io::Result<()> {
    /// What is read beyond the expected end.
    const PROBE: usize = 32;
    bytes.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX))?;
    loop {
        let room = bytes.capacity() - bytes.len();
        let n = if room > 0 {
            read(bytes, room)?
        } else {
            // Find out whether there is more before room is made for it.
            let mut probe = Vec::with_capacity(PROBE);
            let n = read(&mut probe, PROBE)?;
            if n > 0 {
                bytes.try_reserve(n.max(8 * 1024))?;
                bytes.extend_from_slice(&probe);
            }
            n
        };
        if n == 0 {
            return Ok(());
        }
    }
}

/// How many bytes there may be from `offset` on: no call may reach beyond the largest offset, also one that asks for more
/// than there is.
fn room_at(offset: u64) -> usize {
    usize::try_from(LARGEST_OFFSET.saturating_sub(offset)).unwrap_or(usize::MAX)
}

/// Fills one buffer after the other from `offset`.
pub(crate) fn read_vectored_at(
    file: &File,
    bufs: &mut [IoSliceMut<'_>],
    offset: u64,
) -> io::Result<usize> {
    let room = room_at(offset);
    let len = bufs
        .iter()
        .map(|buf| buf.len())
        .fold(0, usize::saturating_add);
    if len.min(room) == 0 {
        return Ok(0);
    }
    call(Call::Read, || {
        let most = clamp(Call::Read, len.min(room));
        if most == len {
            let count = bufs.len().min(MOST_SLICES);
            let bufs = &mut bufs[..count];
            return perform::read_vectored(file, bufs, offset)
                .unwrap_or_else(|| platform::preadv(file, bufs, offset));
        }
        // A call that may not move all of it moves a part of the first.
        let first = bufs.iter_mut().find(|buf| !buf.is_empty());
        let first = first.map_or(&mut [][..], |buf| &mut buf[..]);
        let most = most.min(first.len());
        platform::preadv(file, &mut [IoSliceMut::new(&mut first[..most])], offset)
    })
}

/// Writes one buffer after the other at `offset`.
pub(crate) fn write_vectored_at(
    file: &File,
    bufs: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    let room = room_at(offset);
    let len = bufs
        .iter()
        .map(|buf| buf.len())
        .fold(0, usize::saturating_add);
    call(Call::Write, || {
        let most = clamp(Call::Write, len.min(room));
        if most == len {
            let bufs = &bufs[..bufs.len().min(MOST_SLICES)];
            return perform::write_vectored(file, bufs, offset)
                .unwrap_or_else(|| platform::pwritev(file, bufs, offset));
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let first = first.map_or(&[][..], |buf| &buf[..]);
        platform::pwrite(file, &first[..most.min(first.len())], offset)
    })
}

/// Reserves space, and extends the file if it ends before that.
pub(crate) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    match call(Call::Allocate, || platform::allocate(file, offset, len)) {
        // Where nothing can be reserved, the length is right at least.
        Err(error) if is_unsupported(&error) => {
            let end = offset + len;
            if file_metadata(file)?.len() < end {
                set_len(file, end)?;
            }
            Ok(())
        }
        result => result,
    }
}

/// Gives space back: what was there reads as zeros.
pub(crate) fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    call(Call::Allocate, || platform::punch_hole(file, offset, len))
}

/// Where the next data, or the next hole, begins. The kernel's position is put back.
pub(crate) fn seek_extent(file: &File, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
    let position = seek(file, io::SeekFrom::Current(0))?;
    let found = call(Call::Seek, || platform::seek_extent(file, offset, extent));
    seek(file, io::SeekFrom::Start(position))?;
    found
}

/// The answers for a system that knows of no holes: all is data, and the hole is the end.
#[cfg_attr(
    any(target_os = "linux", target_os = "macos", target_os = "freebsd"),
    expect(dead_code, reason = "for systems that do not tell")
)]
fn without_holes(file: &File, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
    let end = file.metadata()?.len();
    Ok(match extent {
        _ if offset >= end => None,
        Extent::Data => Some(offset),
        Extent::Hole => Some(end),
    })
}

/// Tells the kernel how the file will be used. Where there is no such call, nothing happens.
pub(crate) fn advise(file: &File, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
    call(Call::Metadata, || {
        platform::advise(file, offset, len, advice)
    })
}

/// What [`seek_extent`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Data,
    Hole,
}

/// How a part of a file will be used; see [`File::advise`](crate::File::advise).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// In no particular way.
    Normal,
    /// From its beginning to its end.
    Sequential,
    /// Here and there: reading ahead is of no use.
    Random,
    /// Soon: the kernel may begin to read it.
    WillNeed,
    /// Not soon: the kernel may drop it from its cache.
    DontNeed,
    /// Once.
    NoReuse,
}

fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// The same from the kernel's own position.
pub(crate) fn read(file: &File, buf: &mut Vec<u8>, len: usize) -> io::Result<usize> {
    call(Call::Read, || {
        platform::plain_read(file, buf, clamp(Call::Read, len))
    })
}

pub(crate) fn seek(mut file: &File, to: io::SeekFrom) -> io::Result<u64> {
    call(Call::Seek, || io::Seek::seek(&mut file, to))
}

pub(crate) fn file_metadata(file: &File) -> io::Result<Metadata> {
    call(Call::Metadata, || file.metadata())
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    call(Call::Metadata, || fs::metadata(path))
}

pub(crate) fn symlink_metadata(path: &Path) -> io::Result<Metadata> {
    call(Call::Metadata, || fs::symlink_metadata(path))
}

pub(crate) fn try_exists(path: &Path) -> io::Result<bool> {
    call(Call::Metadata, || fs::exists(path))
}

pub(crate) fn sync_all(file: &File) -> io::Result<()> {
    call(Call::SyncAll, || {
        perform::sync(file, false).unwrap_or_else(|| file.sync_all())
    })
}

pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    call(Call::SyncData, || {
        perform::sync(file, true).unwrap_or_else(|| file.sync_data())
    })
}

pub(crate) fn set_len(file: &File, len: u64) -> io::Result<()> {
    call(Call::SetLen, || file.set_len(len))
}

pub(crate) fn set_file_permissions(file: &File, permissions: &Permissions) -> io::Result<()> {
    call(Call::SetPermissions, || {
        file.set_permissions(permissions.clone())
    })
}

pub(crate) fn set_times(file: &File, times: FileTimes) -> io::Result<()> {
    call(Call::SetTimes, || file.set_times(times))
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    call(Call::Unlock, || file.unlock())
}

/// Tries to lock; `false` when somebody else holds the lock.
pub(crate) fn try_lock(file: &File, shared: bool) -> io::Result<bool> {
    call(Call::Lock, || {
        let result = if shared {
            file.try_lock_shared()
        } else {
            file.try_lock()
        };
        match result {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    })
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    call(Call::Rename, || fs::rename(from, to))
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    call(Call::RemoveFile, || fs::remove_file(path))
}

pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    call(Call::RemoveDir, || fs::remove_dir(path))
}

pub(crate) fn remove_dir_all(path: &Path) -> io::Result<()> {
    call(Call::RemoveDirAll, || fs::remove_dir_all(path))
}

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    call(Call::CreateDir, || fs::create_dir(path))
}

pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    call(Call::CreateDir, || fs::create_dir_all(path))
}

pub(crate) fn read_link(path: &Path) -> io::Result<PathBuf> {
    call(Call::Metadata, || fs::read_link(path))
}

pub(crate) fn current_dir() -> io::Result<PathBuf> {
    call(Call::Metadata, std::env::current_dir)
}

pub(crate) fn read_dir(path: &Path) -> io::Result<fs::ReadDir> {
    call(Call::ReadDir, || fs::read_dir(path))
}

/// The next entry of a directory.
pub(crate) fn next_entry(dir: &mut fs::ReadDir) -> Option<io::Result<fs::DirEntry>> {
    // The end is no error, so it passes as a success without an entry.
    let next = call(Call::ReadDir, || match dir.next() {
        // To std any error is the end: asked again, it has no more entries, and nobody would know that some are missing.
        Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(Err(
            io::Error::other("reading the directory was interrupted"),
        ))),
        next => Ok(next),
    });
    next.unwrap_or_else(|error| Some(Err(error)))
}

pub(crate) fn entry_type(entry: &fs::DirEntry) -> io::Result<fs::FileType> {
    call(Call::Metadata, || entry.file_type())
}

pub(crate) fn entry_metadata(entry: &fs::DirEntry) -> io::Result<Metadata> {
    call(Call::Metadata, || entry.metadata())
}

/// Copies a whole file as std does, without waiting for a FIFO.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    // std opens the source before it looks what it is, and would wait for the writer of a FIFO.
    if !metadata(from)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the source path is neither a regular file nor a symlink to a regular file",
        ));
    }
    call(Call::Copy, || fs::copy(from, to))
}

/// Copies up to `len` bytes from one position to another, and says how many they were: 0 at the end of the source. An
/// error comes beside the number, because what was copied before it is copied.
pub(crate) fn copy_range(
    from: &File,
    read_at: u64,
    to: &File,
    write_at: u64,
    len: u64,
) -> (u64, io::Result<()>) {
    let mut copied = 0;
    while copied < len {
        let most = usize::try_from(len - copied).unwrap_or(MOST);
        match copy_some(from, read_at + copied, to, write_at + copied, most) {
            Ok(0) => break,
            Ok(n) => copied += n,
            Err(error) => return (copied, Err(error)),
        }
    }
    (copied, Ok(()))
}

/// Copies by one call of the kernel if it can, otherwise one buffer.
fn copy_some(from: &File, source: u64, to: &File, target: u64, most: usize) -> io::Result<u64> {
    let most = clamp(Call::Copy, most);
    match call(Call::Copy, || kernel_copy(from, source, to, target, most))? {
        Some(n) if n > 0 => Ok(n as u64),
        // The kernel refuses, or says 0, which it also does for files that it makes up at each call.
        _ => plain_copy(from, source, to, target, most),
    }
}

/// Copies one buffer by reading and writing.
fn plain_copy(from: &File, source: u64, to: &File, target: u64, most: usize) -> io::Result<u64> {
    let len = most.min(256 * 1024);
    let mut buf = Vec::with_capacity(len);
    let n = read_at(from, &mut buf, len, source)?;
    let mut written = 0;
    while written < n {
        match write_at(to, &buf[written..], target + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            // The next call meets the error again, with what was written accounted for.
            Err(_) if written > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written as u64)
}
