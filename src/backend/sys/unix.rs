//! System calls as Unix has them.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
#[cfg(target_os = "linux")]
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;

use super::{Access, Advice, Call, Creation, Extent, call, perform, uring};
use crate::backend::DirectAlignment;

/// What the crate must know about an open file to treat it right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// It is a regular file, on whatever file system.
    pub(crate) is_file: bool,
    /// A process serves its file system, by FUSE. Rings cannot have such files: the kernel takes them for ready at any time,
    /// and waits for the process in the call that submits; and when the process answers in part, the kernel goes on in the
    /// wrong place (as of Linux 6.18, with `FOPEN_DIRECT_IO`).
    pub(crate) is_served: bool,
    /// It is a FIFO.
    pub(crate) fifo: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) append: bool,
    /// O_NONBLOCK is set on the description.
    pub(crate) nonblocking: bool,
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    /// The kernel's position when the facts were found.
    pub(crate) position: u64,
    /// The length of a regular file when the facts were found.
    pub(crate) len: u64,
    /// It is read and written past the page cache, and what that asks for.
    pub(crate) direct: Option<DirectAlignment>,
}

/// The processor time that this process has taken so far, in nanoseconds.
pub(crate) fn processor_time() -> Option<u64> {
    Some(nanos_of(rustix::time::ClockId::ProcessCPUTime))
}

/// The processor time that this thread has taken so far, in nanoseconds.
pub(crate) fn thread_time() -> Option<u64> {
    Some(nanos_of(rustix::time::ClockId::ThreadCPUTime))
}

/// The number of this thread.
#[cfg(target_os = "linux")]
pub(crate) fn this_thread() -> rustix::process::Pid {
    rustix::thread::gettid()
}

/// Whether there is a thread of this number, or only what is left of it.
#[cfg(target_os = "linux")]
pub(crate) fn is_thread(number: rustix::process::Pid) -> bool {
    rustix::process::test_kill_process(number) != Err(rustix::io::Errno::SRCH)
}

/// Other systems do not number them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn this_thread() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_thread((): ()) -> bool {
    false
}

fn nanos_of(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How a file wants to be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file on a real file system, or a block device: read ahead of and written behind.
    Regular,
    /// It has positions, but each call must reach it as it was made: procfs, sysfs, /dev/zero, a directory.
    Positional,
    /// It has no position and never blocks for long: a character device that cannot be polled.
    Plain,
    /// It has no position and may block for ever: a pipe, a terminal, a socket.
    Stream,
}

/// Finds the facts about `file`.
pub(crate) fn probe(file: &File) -> io::Result<Facts> {
    let metadata = super::file_metadata(file)?;
    let flags = call(Call::Metadata, || Ok(rustix::fs::fcntl_getfl(file)?))?;
    let mode = flags & OFlags::RWMODE;
    let file_type = metadata.file_type();
    // An O_PATH descriptor cannot be read, written or sought.
    let position = match call(Call::Seek, || Ok(rustix::fs::tell(file)?)) {
        Ok(position) => Some(position),
        Err(error) if has_no_position(&error) => None,
        Err(error) => return Err(error),
    };

    let keeper = if file_type.is_file() {
        keeper(file, metadata.dev())
    } else {
        Keeper::Kernel
    };
    let kind = if file_type.is_file() {
        keeper.kind()
    } else if file_type.is_block_device() {
        Kind::Regular
    } else if file_type.is_fifo() || file_type.is_socket() || is_terminal(file) {
        Kind::Stream
    } else if position.is_some() {
        Kind::Positional
    } else {
        // Whether it can be polled is found out by registering it.
        Kind::Stream
    };
    // A pseudo file may have no position after all.
    let kind = if kind != Kind::Stream && position.is_none() {
        Kind::Plain
    } else {
        kind
    };

    Ok(Facts {
        kind,
        is_file: file_type.is_file(),
        is_served: keeper == Keeper::Process,
        fifo: file_type.is_fifo(),
        readable: mode != OFlags::WRONLY,
        writable: mode != OFlags::RDONLY,
        append: flags.contains(OFlags::APPEND),
        nonblocking: flags.contains(OFlags::NONBLOCK),
        identity: (metadata.dev(), metadata.ino()),
        position: position.unwrap_or(0),
        direct: is_direct(flags.bits() as i32).then(|| direct_alignment(file)),
        len: if file_type.is_file() {
            metadata.len()
        } else {
            0
        },
    })
}

/// Whether lseek(2) says that positions mean nothing to this file.
fn has_no_position(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::SPIPE | Errno::BADF | Errno::INVAL)
    )
}

/// The number of the descriptor.
pub(crate) fn number(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

/// The same for a file that was just opened by [`open`], with fewer questions, because most is known.
///
/// O_NONBLOCK, which [`open`] has set, is cleared where it means nothing, unless the file is open for a moment only.
pub(crate) fn probe_opened(
    file: &File,
    access: Access,
    custom_flags: i32,
    for_a_moment: bool,
) -> io::Result<Facts> {
    let metadata = super::file_metadata(file)?;
    let is_file = metadata.file_type().is_file();
    if !is_file {
        let facts = probe(file)?;
        // What never blocks for long is treated as std would have opened it.
        if facts.kind == Kind::Stream || has_nonblocking(custom_flags) {
            return Ok(facts);
        }
        set_nonblocking(file, false)?;
        return Ok(Facts {
            nonblocking: false,
            ..facts
        });
    }
    // A descriptor that is only a place in the tree has no such flag.
    let place_only = is_place_only(custom_flags);
    if !has_nonblocking(custom_flags) && !for_a_moment && !place_only {
        let mut flags = OFlags::from_bits_retain(custom_flags as u32);
        flags.set(
            OFlags::APPEND,
            access.append || flags.contains(OFlags::APPEND),
        );
        call(Call::Metadata, || Ok(rustix::fs::fcntl_setfl(file, flags)?))?;
    }
    let keeper = keeper(file, metadata.dev());
    Ok(Facts {
        kind: keeper.kind(),
        is_file: true,
        is_served: keeper == Keeper::Process,
        fifo: false,
        readable: access.read,
        writable: access.write || access.append,
        append: access.append || custom_flags & OFlags::APPEND.bits() as i32 != 0,
        nonblocking: has_nonblocking(custom_flags),
        identity: (metadata.dev(), metadata.ino()),
        position: 0,
        len: metadata.len(),
        direct: is_direct(custom_flags).then(|| direct_alignment(file)),
    })
}

/// The flag that asks for direct I/O, if there is one.
#[cfg(target_os = "linux")]
pub(crate) const DIRECT: Option<i32> = Some(OFlags::DIRECT.bits() as i32);

#[cfg(not(target_os = "linux"))]
pub(crate) const DIRECT: Option<i32> = None;

fn is_direct(flags: i32) -> bool {
    DIRECT.is_some_and(|direct| flags & direct != 0)
}

/// What direct I/O on `file` asks for.
#[cfg(target_os = "linux")]
fn direct_alignment(file: &File) -> DirectAlignment {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let asked = call(Call::Metadata, || {
        Ok(statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?)
    });
    match asked {
        // Zero means that the file system does it by way of the page cache after all.
        Ok(told)
            if told.stx_mask & StatxFlags::DIOALIGN.bits() != 0
                && told.stx_dio_mem_align.is_power_of_two()
                && told.stx_dio_offset_align.is_power_of_two() =>
        {
            DirectAlignment {
                memory: told.stx_dio_mem_align as usize,
                offset: told.stx_dio_offset_align as usize,
            }
        }
        _ => DirectAlignment::SAFE,
    }
}

#[cfg(not(target_os = "linux"))]
fn direct_alignment(_: &File) -> DirectAlignment {
    DirectAlignment::SAFE
}

/// Whether O_PATH is among the flags.
#[cfg(target_os = "linux")]
fn is_place_only(flags: i32) -> bool {
    flags & OFlags::PATH.bits() as i32 != 0
}

#[cfg(not(target_os = "linux"))]
fn is_place_only(_: i32) -> bool {
    false
}

/// Whether O_NONBLOCK is among the flags.
pub(crate) fn has_nonblocking(flags: i32) -> bool {
    flags & OFlags::NONBLOCK.bits() as i32 != 0
}

pub(crate) fn is_terminal(file: &File) -> bool {
    std::io::IsTerminal::is_terminal(file)
}

/// Device and inode of whatever `path` leads to.
pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    super::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Device and inode in `metadata`.
pub(crate) fn identity_of(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// What tells one file system from another.
pub(crate) type Device = u64;

/// The file system that something is on, given its path and its metadata.
pub(crate) fn device(_: &Path, metadata: &std::fs::Metadata) -> io::Result<Device> {
    Ok(metadata.dev())
}

/// What tells one directory from another, by whatever path it is reached.
pub(crate) type DirectoryId = (u64, u64);

/// The directory that a path leads to, given its metadata.
pub(crate) fn directory_id(_: &Path, metadata: &std::fs::Metadata) -> io::Result<DirectoryId> {
    Ok(identity_of(metadata))
}

/// Whether `path` leads to a FIFO.
pub(crate) fn is_fifo(path: &Path) -> bool {
    super::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Opens a terminal that somebody else has opened once more, not blocking, so that the other description stays as it is.
///
/// A terminal that blocks takes a write whole or waits, however little room its readiness stands for, and it refuses
/// RWF_NOWAIT. The other side of a pseudo terminal cannot be opened again: that would make a new one.
#[cfg(target_os = "linux")]
pub(crate) fn reopen_terminal(file: &File, facts: &Facts) -> Option<File> {
    use std::os::fd::AsRawFd;

    if facts.nonblocking || !is_terminal(file) {
        return None;
    }
    let device = super::file_metadata(file).ok()?.rdev();
    if device == rustix::fs::makedev(5, 2) {
        return None;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(facts.readable).write(facts.writable);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let access = Access {
        read: facts.readable,
        write: facts.writable,
        append: false,
    };
    let flags = OFlags::NOCTTY.bits() as i32;
    open(
        Path::new(&path),
        &options,
        access,
        Creation::default(),
        flags,
    )
    .ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen_terminal(_: &File, _: &Facts) -> Option<File> {
    None
}

/// A duplicate of a standard stream of the process.
pub(crate) fn standard(number: u8) -> io::Result<File> {
    use std::os::fd::AsFd as _;
    call(Call::Metadata, || {
        let duplicate = match number {
            0 => std::io::stdin().as_fd().try_clone_to_owned(),
            1 => std::io::stdout().as_fd().try_clone_to_owned(),
            _ => std::io::stderr().as_fd().try_clone_to_owned(),
        };
        duplicate.map(File::from)
    })
}

/// Sets or clears O_NONBLOCK on the description.
pub(crate) fn set_nonblocking(file: &File, nonblocking: bool) -> io::Result<()> {
    call(Call::Metadata, || {
        let mut flags = rustix::fs::fcntl_getfl(file)?;
        flags.set(OFlags::NONBLOCK, nonblocking);
        Ok(rustix::fs::fcntl_setfl(file, flags)?)
    })
}

pub(super) fn pwrite(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buf, offset)
}

pub(super) fn pread(file: &File, buf: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
    into_spare(buf, len, |spare| {
        Ok(rustix::io::pread(file, spare, offset)?)
    })
}

pub(super) fn pread_into(
    file: &File,
    memory: &mut [MaybeUninit<u8>],
    offset: u64,
) -> io::Result<usize> {
    let (filled, _) = rustix::io::pread(file, memory, offset)?;
    Ok(filled.len())
}

pub(super) fn preadv(file: &File, bufs: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::preadv(file, bufs, offset)?)
}

pub(super) fn pwritev(file: &File, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, bufs, offset)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, rustix::fs::FallocateFlags::empty(), offset, len)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(file, flags, offset, len)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fallocate(
    file: &File,
    flags: rustix::fs::FallocateFlags,
    offset: u64,
    len: u64,
) -> io::Result<()> {
    let mode = flags.bits().cast_signed();
    perform::allocate(file, offset, len, mode)
        .unwrap_or_else(|| Ok(rustix::fs::fallocate(file, flags, offset, len)?))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn allocate(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
pub(super) fn seek_extent(file: &File, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
    let to = match extent {
        Extent::Data => rustix::fs::SeekFrom::Data(offset),
        Extent::Hole => rustix::fs::SeekFrom::Hole(offset),
    };
    match rustix::fs::seek(file, to) {
        Ok(found) => Ok(Some(found)),
        // There is none, or the offset lies beyond the end.
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
pub(super) fn seek_extent(file: &File, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
    super::without_holes(file, offset, extent)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn advise(file: &File, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
    use rustix::fs::Advice as Kernel;
    let advice = match advice {
        Advice::Normal => Kernel::Normal,
        Advice::Sequential => Kernel::Sequential,
        Advice::Random => Kernel::Random,
        Advice::WillNeed => Kernel::WillNeed,
        Advice::DontNeed => Kernel::DontNeed,
        Advice::NoReuse => Kernel::NoReuse,
    };
    let len = std::num::NonZeroU64::new(len);
    Ok(rustix::fs::fadvise(file, offset, len, advice)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn advise(_: &File, _: u64, _: u64, _: Advice) -> io::Result<()> {
    Ok(())
}

/// Sends up to `len` bytes from `offset` to `to`, and says how many they were: 0 at the end of the file.
#[cfg(target_os = "linux")]
pub(crate) fn sendfile(to: &OwnedFd, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    call(Call::Copy, || {
        let mut offset = offset;
        let len = super::clamp(Call::Copy, len);
        Ok(rustix::fs::sendfile(to, file, Some(&mut offset), len)?)
    })
}

/// The same by reading and writing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sendfile(to: &OwnedFd, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    let mut bytes = Vec::new();
    super::read_at(file, &mut bytes, len.min(64 * 1024), offset)?;
    call(Call::Write, || Ok(rustix::io::write(to, &bytes)?))
}

pub(super) fn plain_read(file: &File, buf: &mut Vec<u8>, len: usize) -> io::Result<usize> {
    into_spare(buf, len, |spare| Ok(rustix::io::read(file, spare)?))
}

/// Lets `read` fill at most `len` bytes of the memory behind the content of `buf`.
fn into_spare(
    buf: &mut Vec<u8>,
    len: usize,
    read: impl FnOnce(rustix::buffer::SpareCapacity<'_, u8>) -> io::Result<usize>,
) -> io::Result<usize> {
    buf.reserve_exact(len);
    if buf.capacity() - buf.len() == len {
        return read(spare_capacity(buf));
    }
    // More room than wanted: read into memory of the right size and append it.
    let mut exact = Vec::with_capacity(len);
    let n = read(spare_capacity(&mut exact))?;
    buf.extend_from_slice(&exact);
    Ok(n)
}

/// Opens a file with O_NONBLOCK, so that a FIFO or a device does not hold the thread.
pub(crate) fn open(
    path: &Path,
    options: &std::fs::OpenOptions,
    access: Access,
    creation: Creation,
    custom_flags: i32,
) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    // What std refuses before it asks the kernel is left to std.
    let is_sound = super::dirfd::are_sound(access, creation)
        && !std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).contains(&0);
    if uring::performs() && is_sound {
        return super::dirfd::open(rustix::fs::CWD, path, access, creation, custom_flags);
    }

    let mut options = options.clone();
    options.custom_flags(custom_flags | OFlags::NONBLOCK.bits() as i32);
    let file = call(Call::Open, || options.open(path));
    match file {
        // A lease on the file, or a driver that does not know O_NONBLOCK: open it as std would.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            options.custom_flags(custom_flags);
            call(Call::Open, || options.open(path))
        }
        result => result,
    }
}

pub(crate) fn chown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    call(Call::SetPermissions, || {
        std::os::unix::fs::chown(path, uid, gid)
    })
}

pub(crate) fn lchown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    call(Call::SetPermissions, || {
        std::os::unix::fs::lchown(path, uid, gid)
    })
}

/// What the kernel says of the end of a file or block device.
pub(crate) fn end(file: &File) -> io::Result<u64> {
    if uring::performs()
        && let Some(len) = call(Call::Metadata, || perform::len(file).transpose())?
    {
        return Ok(len);
    }
    let metadata = super::file_metadata(file)?;
    if metadata.file_type().is_file() {
        return Ok(metadata.len());
    }
    super::seek(file, io::SeekFrom::End(0))
}

/// The error codes that mean "too many open files".
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// A sync that fails so was refused, and nothing was lost by it.
pub(crate) fn is_sync_refused(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::ROFS | Errno::NOTSUP)
    )
}

/// ENXIO: what a FIFO answers to a writer while it has no reader.
pub(crate) fn is_no_reader(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NXIO)
}

/// The error of a call in a direction that the file was not opened for.
pub(crate) fn bad_descriptor() -> io::Error {
    rustix::io::Errno::BADF.into()
}

/// The error of a seek on something that has no position.
pub(crate) fn not_seekable() -> io::Error {
    rustix::io::Errno::SPIPE.into()
}

/// The error of a write beyond the largest file.
pub(crate) fn file_too_large() -> io::Error {
    rustix::io::Errno::FBIG.into()
}

/// Reads from something without position whose description is ours, O_NONBLOCK set.
pub(crate) fn read_ready(file: &File, buf: &mut [u8]) -> io::Result<usize> {
    let len = super::clamp(Call::Read, buf.len());
    call(Call::Read, || Ok(rustix::io::read(file, &mut buf[..len])?))
}

/// Reads from something without position whose description is somebody else's: O_NONBLOCK may not be set on it.
pub(crate) fn read_foreign(file: &File, buf: &mut [u8]) -> io::Result<usize> {
    if !is_ready(file, rustix::event::PollFlags::IN)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let len = super::clamp(Call::Read, buf.len());
    let buf = &mut buf[..len];
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{Errno, ReadWriteFlags};
        let slices = &mut [io::IoSliceMut::new(buf)];
        // Offset -1 is the kernel's own position.
        match call(Call::Read, || {
            Ok(rustix::io::preadv2(
                file,
                slices,
                u64::MAX,
                ReadWriteFlags::NOWAIT,
            )?)
        }) {
            Err(error) if nowait_refused(Errno::from_io_error(&error)) => {}
            result => return result,
        }
    }
    // Somebody else may take what poll has announced; then this blocks until there is more.
    call(Call::Read, || Ok(rustix::io::read(file, &mut *buf)?))
}

/// Writes to something without position whose description is ours, O_NONBLOCK set.
pub(crate) fn write_ready(file: &File, buf: &[u8]) -> io::Result<usize> {
    write_plain(file, buf, buf.len())
}

/// Writes to something without position whose description is somebody else's.
pub(crate) fn write_foreign(file: &File, buf: &[u8]) -> io::Result<usize> {
    if !is_ready(file, rustix::event::PollFlags::OUT)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{Errno, ReadWriteFlags};
        let slices = &[io::IoSlice::new(
            &buf[..super::clamp(Call::Write, buf.len())],
        )];
        match call(Call::Write, || {
            Ok(rustix::io::pwritev2(
                file,
                slices,
                u64::MAX,
                ReadWriteFlags::NOWAIT,
            )?)
        }) {
            Err(error) if nowait_refused(Errno::from_io_error(&error)) => {}
            result => return result,
        }
    }
    // So much what is ready takes at once: a terminal may have room for one byte, a pipe has for more.
    let most = if is_nonblocking(file) {
        buf.len()
    } else if is_terminal(file) {
        1
    } else {
        PIPE_BUF
    };
    write_plain(file, buf, most)
}

/// Whether O_NONBLOCK is set on the description: its owner may have done so.
fn is_nonblocking(file: &File) -> bool {
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}

/// What POSIX lets a pipe take whole.
const PIPE_BUF: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

fn write_plain(file: &File, buf: &[u8], most: usize) -> io::Result<usize> {
    let len = super::clamp(Call::Write, buf.len().min(most));
    call(Call::Write, || Ok(rustix::io::write(file, &buf[..len])?))
}

#[cfg(target_os = "linux")]
fn nowait_refused(errno: Option<rustix::io::Errno>) -> bool {
    use rustix::io::Errno;
    matches!(
        errno,
        Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE | Errno::PERM)
    )
}

fn is_ready(file: &File, what: rustix::event::PollFlags) -> io::Result<bool> {
    use rustix::event::{PollFd, Timespec, poll};
    let mut fds = [PollFd::new(file, what)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    call(Call::Metadata, || Ok(poll(&mut fds, Some(&now))?)).map(|ready| ready > 0)
}

/// Who keeps the bytes of a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// A file system of the kernel.
    Kernel,
    /// A process, by way of FUSE.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "told on Linux only")
    )]
    Process,
    /// Nobody: they are made up at each call.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "told on Linux only")
    )]
    Nobody,
}

impl Keeper {
    fn kind(self) -> Kind {
        match self {
            Keeper::Kernel | Keeper::Process => Kind::Regular,
            Keeper::Nobody => Kind::Positional,
        }
    }
}

/// What was found for each device, so that an open does not ask again.
#[cfg(target_os = "linux")]
static KEEPERS: Mutex<BTreeMap<u64, Keeper>> = Mutex::new(BTreeMap::new());

/// Who keeps the bytes of `file`, which is on this device.
#[cfg(target_os = "linux")]
fn keeper(file: &File, device: u64) -> Keeper {
    /// Magic numbers of file systems whose files are interfaces: procfs, sysfs, cgroup (both), debugfs, tracefs,
    /// configfs, securityfs, selinuxfs, smackfs, bpf, pstore, efivarfs, fusectl, binfmt_misc, devpts, mqueue, nsfs,
    /// resctrl, xenfs.
    const INTERFACES: [u64; 20] = [
        0x9fa0,
        0x6265_6572,
        0x27_e0eb,
        0x6367_7270,
        0x6462_6720,
        0x7472_6163,
        0x6265_6570,
        0x7363_6673,
        0xf97c_ff8c,
        0x4341_5d53,
        0xcafe_4a11,
        0x6165_676c,
        0xde5e_81e4,
        0x6573_5543,
        0x4249_4e4d,
        0x1cd1,
        0x1980_0202,
        0x6e73_6673,
        0x0765_5821,
        0xabba_1974,
    ];
    /// The magic number of FUSE.
    const FUSE: u64 = 0x6573_5546;

    if let Some(keeper) = known_keeper(device) {
        return keeper;
    }
    match call(Call::Metadata, || Ok(rustix::fs::fstatfs(file)?)) {
        Ok(stat) => {
            let keeper = match stat.f_type as u64 {
                FUSE => Keeper::Process,
                magic if INTERFACES.contains(&magic) => Keeper::Nobody,
                _ => Keeper::Kernel,
            };
            KEEPERS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(device, keeper);
            keeper
        }
        // Unknown: treat it as an interface, which is always right and sometimes slow.
        Err(_) => Keeper::Nobody,
    }
}

#[cfg(target_os = "linux")]
fn known_keeper(device: u64) -> Option<Keeper> {
    let keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    keepers.get(&device).copied()
}

/// Whether a process serves the file system of an open file. The process is not asked, unless nobody did before.
#[cfg(target_os = "linux")]
#[cfg_attr(
    not(feature = "uring"),
    expect(dead_code, reason = "asked where there are rings")
)]
pub(crate) fn is_served(file: &File) -> bool {
    device_at_once(file).is_some_and(|device| keeper(file, device) == Keeper::Process)
}

/// The device of an open file, if it can be had without asking its file system.
#[cfg(target_os = "linux")]
pub(crate) fn device_at_once(file: &File) -> Option<u64> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(file, "", flags, StatxFlags::empty()).ok()?;
    Some(makedev(stat.stx_dev_major, stat.stx_dev_minor))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn device_at_once(_: &File) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn keeper(_: &File, _: u64) -> Keeper {
    Keeper::Kernel
}

/// Whether the file system of `path` lives in memory.
#[cfg(all(feature = "testing", target_os = "linux"))]
pub(crate) fn is_in_memory(path: &Path) -> io::Result<bool> {
    /// Magic numbers of tmpfs and ramfs.
    const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
    let stat = call(Call::Metadata, || Ok(rustix::fs::statfs(path)?))?;
    // They have 32 bits, whatever the type of the field has here.
    Ok(IN_MEMORY.contains(&(stat.f_type as u32)))
}

/// No such file system is known here.
#[cfg(all(feature = "testing", not(target_os = "linux")))]
pub(crate) fn is_in_memory(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Has the kernel copy; `None` where it cannot.
#[cfg(target_os = "linux")]
pub(super) fn kernel_copy(
    from: &File,
    mut read_at: u64,
    to: &File,
    mut write_at: u64,
    len: usize,
) -> io::Result<Option<usize>> {
    use rustix::io::Errno;
    match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), len) {
        Ok(n) => Ok(Some(n)),
        // Other file systems, special files, old kernels, sandboxes.
        Err(
            Errno::XDEV
            | Errno::INVAL
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::PERM
            | Errno::TXTBSY
            | Errno::ISDIR,
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn kernel_copy(
    _: &File,
    _: u64,
    _: &File,
    _: u64,
    _: usize,
) -> io::Result<Option<usize>> {
    Ok(None)
}

/// Has a file created with these permissions.
pub(crate) fn set_create_mode(
    options: &mut std::fs::OpenOptions,
    permissions: &std::fs::Permissions,
) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    options.mode(permissions.mode());
}
