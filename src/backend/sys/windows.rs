//! System calls as Windows has them. Written from the documentation of std and not run by the tests of this crate.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::windows::fs::FileExt;
use std::path::Path;

use super::{Access, Advice, Call, Creation, Extent, call};
use crate::backend::DirectAlignment;

/// std has no name for the flag that asks for direct I/O.
pub(crate) const DIRECT: Option<i32> = None;

/// What the crate must know about an open file to treat it right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// It is a regular file, on whatever file system.
    pub(crate) is_file: bool,
    /// A process serves its file system. Not known here.
    pub(crate) is_served: bool,
    /// It is a FIFO.
    pub(crate) fifo: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) append: bool,
    pub(crate) nonblocking: bool,
    /// Windows tells no device and inode through std: zeros, which makes every lingering file look like this one.
    pub(crate) identity: (u64, u64),
    /// The kernel's position when the facts were found.
    pub(crate) position: u64,
    /// The length of a regular file when the facts were found.
    pub(crate) len: u64,
    /// It is read and written past the page cache, and what that asks for. Never so here.
    pub(crate) direct: Option<DirectAlignment>,
}

/// std does not tell.
pub(crate) fn processor_time() -> Option<u64> {
    None
}

/// std does not tell.
pub(crate) fn thread_time() -> Option<u64> {
    None
}

/// Threads have no numbers here.
pub(crate) fn this_thread() {}

pub(crate) fn is_thread((): ()) -> bool {
    false
}

/// How a file wants to be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "pipes and consoles are read and written on the pool here"
)]
pub(crate) enum Kind {
    Regular,
    Positional,
    Plain,
    Stream,
}

pub(crate) fn probe(mut file: &File) -> io::Result<Facts> {
    let len = super::file_metadata(file)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|metadata| metadata.len());
    let position = call(Call::Seek, || io::Seek::stream_position(&mut file));
    Ok(Facts {
        kind: if len.is_some() && position.is_ok() {
            Kind::Regular
        } else {
            Kind::Plain
        },
        is_file: len.is_some(),
        is_served: false,
        fifo: false,
        // The access of a handle cannot be asked for; the first call in a wrong direction tells.
        readable: true,
        writable: true,
        append: false,
        nonblocking: false,
        identity: (0, 0),
        position: position.unwrap_or(0),
        len: len.unwrap_or(0),
        direct: None,
    })
}

/// The same for a file that was just opened.
pub(crate) fn probe_opened(file: &File, access: Access, _: i32, _: bool) -> io::Result<Facts> {
    let facts = probe(file)?;
    Ok(Facts {
        readable: access.read,
        writable: access.write || access.append,
        append: access.append,
        ..facts
    })
}

/// The device of an open file. Not known here.
pub(crate) fn device_at_once(_: &File) -> Option<u64> {
    None
}

pub(crate) fn has_nonblocking(_: i32) -> bool {
    false
}

/// The number of the handle.
pub(crate) fn number(file: &File) -> usize {
    std::os::windows::io::AsRawHandle::as_raw_handle(file) as usize
}

pub(crate) fn is_terminal(file: &File) -> bool {
    std::io::IsTerminal::is_terminal(file)
}

pub(crate) fn identity(_: &Path) -> io::Result<(u64, u64)> {
    Ok((0, 0))
}

pub(crate) fn identity_of(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}

/// What tells one file system from another: the prefix of a canonical path, which is a drive or a share.
pub(crate) type Device = std::ffi::OsString;

pub(crate) fn device(path: &Path, metadata: &std::fs::Metadata) -> io::Result<Device> {
    let canonical = directory_id(path, metadata)?;
    let prefix = canonical.components().next();
    Ok(prefix.map_or_else(Device::new, |prefix| prefix.as_os_str().to_owned()))
}

/// What tells one directory from another, by whatever path it is reached: its canonical path.
pub(crate) type DirectoryId = std::path::PathBuf;

pub(crate) fn directory_id(path: &Path, _: &std::fs::Metadata) -> io::Result<DirectoryId> {
    call(Call::Metadata, || std::fs::canonicalize(path))
}

pub(crate) fn is_fifo(_: &Path) -> bool {
    false
}

pub(crate) fn reopen_terminal(_: &File, _: &Facts) -> Option<File> {
    None
}

pub(crate) fn set_nonblocking(_: &File, _: bool) -> io::Result<()> {
    Ok(())
}

// Both move the kernel's position too. Nobody relies on it: the crate keeps its own, and `into_std` seeks.
pub(super) fn pwrite(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buf, offset)
}

pub(super) fn pread(file: &File, buf: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
    into_spare(buf, len, |spare| match file.seek_read(spare, offset) {
        // Reading at the end is an error here.
        Err(error) if error.raw_os_error() == Some(ERROR_HANDLE_EOF) => Ok(0),
        result => result,
    })
}

pub(super) fn pread_into(
    file: &File,
    memory: &mut [MaybeUninit<u8>],
    offset: u64,
) -> io::Result<usize> {
    // std only reads into memory that is initialised.
    let mut bytes = Vec::new();
    let n = pread(file, &mut bytes, memory.len(), offset)?;
    memory[..n].copy_from_slice(
        &bytes
            .iter()
            .copied()
            .map(MaybeUninit::new)
            .collect::<Vec<_>>(),
    );
    Ok(n)
}

/// There is no such call: one buffer is moved.
pub(super) fn preadv(file: &File, bufs: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
    let first = bufs.iter_mut().find(|buf| !buf.is_empty());
    match file.seek_read(first.map_or(&mut [][..], |buf| &mut buf[..]), offset) {
        Err(error) if error.raw_os_error() == Some(ERROR_HANDLE_EOF) => Ok(0),
        result => result,
    }
}

pub(super) fn pwritev(file: &File, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let first = bufs.iter().find(|buf| !buf.is_empty());
    pwrite(file, first.map_or(&[][..], |buf| &buf[..]), offset)
}

pub(super) fn allocate(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn seek_extent(file: &File, offset: u64, extent: Extent) -> io::Result<Option<u64>> {
    super::without_holes(file, offset, extent)
}

pub(super) fn advise(_: &File, _: u64, _: u64, _: Advice) -> io::Result<()> {
    Ok(())
}

const ERROR_HANDLE_EOF: i32 = 38;
const ERROR_INVALID_HANDLE: i32 = 6;
const ERROR_SEEK_ON_DEVICE: i32 = 132;
const ERROR_FILE_TOO_LARGE: i32 = 223;
const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;

pub(super) fn plain_read(mut file: &File, buf: &mut Vec<u8>, len: usize) -> io::Result<usize> {
    into_spare(buf, len, |spare| io::Read::read(&mut file, spare))
}

fn into_spare(
    buf: &mut Vec<u8>,
    len: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let begin = buf.len();
    buf.resize(begin + len, 0);
    let result = read(&mut buf[begin..]);
    buf.truncate(begin + *result.as_ref().unwrap_or(&0));
    result
}

pub(crate) fn open(
    path: &Path,
    options: &std::fs::OpenOptions,
    _: Access,
    _: Creation,
    _: i32,
) -> io::Result<File> {
    call(Call::Open, || options.open(path))
}

pub(crate) fn end(file: &File) -> io::Result<u64> {
    super::file_metadata(file).map(|metadata| metadata.len())
}

pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
}

pub(crate) fn is_sync_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Unsupported
    )
}

pub(crate) fn is_no_reader(_: &io::Error) -> bool {
    false
}

/// A duplicate of a standard stream of the process.
pub(crate) fn standard(number: u8) -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    call(Call::Metadata, || {
        let duplicate = match number {
            0 => std::io::stdin().as_handle().try_clone_to_owned(),
            1 => std::io::stdout().as_handle().try_clone_to_owned(),
            _ => std::io::stderr().as_handle().try_clone_to_owned(),
        };
        duplicate.map(File::from)
    })
}

pub(crate) fn bad_descriptor() -> io::Error {
    io::Error::from_raw_os_error(ERROR_INVALID_HANDLE)
}

pub(crate) fn not_seekable() -> io::Error {
    io::Error::from_raw_os_error(ERROR_SEEK_ON_DEVICE)
}

pub(crate) fn file_too_large() -> io::Error {
    io::Error::from_raw_os_error(ERROR_FILE_TOO_LARGE)
}

#[cfg(feature = "testing")]
pub(crate) fn is_in_memory(_: &Path) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn kernel_copy(
    _: &File,
    _: u64,
    _: &File,
    _: u64,
    _: usize,
) -> io::Result<Option<usize>> {
    Ok(None)
}

pub(crate) fn set_create_mode(_: &mut std::fs::OpenOptions, _: &std::fs::Permissions) {}
