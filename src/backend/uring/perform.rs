//! Plain system calls by way of a ring, for `AIOFILES_BACKEND=uring`: the thread waits until it is done.
//!
//! It is slower than the call itself, and proves the entries on every file system.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, Thread};

use io_uring::{opcode, squeue, types};

use super::ring::OnRing;
use crate::backend::sys;

/// An entry whose thread waits for it.
struct Waited {
    entry: squeue::Entry,
    answer: Arc<Waiting>,
}

struct Waiting {
    thread: Thread,
    /// [`NOT_YET`], or what the kernel says.
    result: AtomicI32,
}

/// No result of the kernel.
const NOT_YET: i32 = i32::MIN;

// SAFETY: `perform` does not return before `complete` was called, and what the entry names is borrowed for as long.
unsafe impl OnRing for Waited {
    fn entry(&mut self) -> squeue::Entry {
        self.entry.clone()
    }

    fn complete(self: Box<Self>, result: i32) {
        self.answer.result.store(result, Ordering::Release);
        self.answer.thread.unpark();
    }
}

/// Waits until the kernel has done what `entry` says. `None` if the call is to be made the usual way.
///
/// # Safety
///
/// What the entry names stays valid until this returns, and nobody else uses it in a way that conflicts.
unsafe fn perform(entry: squeue::Entry) -> Option<io::Result<usize>> {
    let ring = super::ring().filter(|_| super::performs())?;
    let answer = Arc::new(Waiting {
        thread: thread::current(),
        result: AtomicI32::new(NOT_YET),
    });
    let waited = Waited {
        // Otherwise a file system that a process serves would be waited for in the call that submits, and everybody who
        // uses the ring with it.
        entry: entry.flags(squeue::Flags::ASYNC),
        answer: answer.clone(),
    };
    if ring.submit(Box::new(waited)).is_err() {
        return None;
    }
    loop {
        ring.reap();
        match answer.result.load(Ordering::Acquire) {
            NOT_YET => thread::park(),
            result => {
                return match usize::try_from(result) {
                    Ok(n) => Some(Ok(n)),
                    Err(_) if super::is_no_answer(-result) => None,
                    Err(_) => Some(Err(io::Error::from_raw_os_error(-result))),
                };
            }
        }
    }
}

/// Whether `file` has offsets: a ring ignores those of a pipe, and waits. It is no place for what a process serves either.
fn has_offsets(file: &File) -> bool {
    super::performs() && rustix::fs::tell(file).is_ok() && !sys::is_served(file)
}

fn fd(file: &impl AsFd) -> types::Fd {
    types::Fd(file.as_fd().as_raw_fd())
}

/// pread(2)
pub(in crate::backend) fn read(
    file: &File,
    memory: &mut [MaybeUninit<u8>],
    offset: u64,
) -> Option<io::Result<usize>> {
    if !has_offsets(file) {
        return None;
    }
    let entry = opcode::Read::new(fd(file), memory.as_mut_ptr().cast(), memory.len() as u32);
    // SAFETY: file and memory are borrowed until it returns.
    unsafe { perform(entry.offset(offset).build()) }
}

/// pwrite(2)
pub(in crate::backend) fn write(
    file: &File,
    bytes: &[u8],
    offset: u64,
) -> Option<io::Result<usize>> {
    if !has_offsets(file) {
        return None;
    }
    let entry = opcode::Write::new(fd(file), bytes.as_ptr(), bytes.len() as u32);
    // SAFETY: file and bytes are borrowed until it returns.
    unsafe { perform(entry.offset(offset).build()) }
}

/// preadv(2)
pub(in crate::backend) fn read_vectored(
    file: &File,
    bufs: &mut [IoSliceMut<'_>],
    offset: u64,
) -> Option<io::Result<usize>> {
    if !has_offsets(file) {
        return None;
    }
    // std promises that these are what the kernel's own slices are.
    let slices = bufs.as_mut_ptr().cast::<libc::iovec>();
    let entry = opcode::Readv::new(fd(file), slices, bufs.len() as u32);
    // SAFETY: the file, the slices and the memory behind them are borrowed until it returns.
    unsafe { perform(entry.offset(offset).build()) }
}

/// pwritev(2)
pub(in crate::backend) fn write_vectored(
    file: &File,
    bufs: &[IoSlice<'_>],
    offset: u64,
) -> Option<io::Result<usize>> {
    if !has_offsets(file) {
        return None;
    }
    let slices = bufs.as_ptr().cast::<libc::iovec>();
    let entry = opcode::Writev::new(fd(file), slices, bufs.len() as u32);
    // SAFETY: as above.
    unsafe { perform(entry.offset(offset).build()) }
}

/// fsync(2), or fdatasync(2)
pub(in crate::backend) fn sync(file: &File, data_only: bool) -> Option<io::Result<()>> {
    let flags = if data_only {
        types::FsyncFlags::DATASYNC
    } else {
        types::FsyncFlags::empty()
    };
    let entry = opcode::Fsync::new(fd(file)).flags(flags).build();
    // SAFETY: the file is borrowed until it returns.
    let result = unsafe { perform(entry) }?;
    Some(result.map(drop))
}

/// fallocate(2)
pub(in crate::backend) fn allocate(
    file: &File,
    offset: u64,
    len: u64,
    mode: i32,
) -> Option<io::Result<()>> {
    let entry = opcode::Fallocate::new(fd(file), len)
        .offset(offset)
        .mode(mode)
        .build();
    // SAFETY: the file is borrowed until it returns.
    let result = unsafe { perform(entry) }?;
    Some(result.map(drop))
}

/// statx(2), for the length of a regular file.
pub(in crate::backend) fn len(file: &File) -> Option<io::Result<u64>> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let entry = opcode::Statx::new(fd(file), c"".as_ptr(), answer.as_mut_ptr().cast())
        .flags(libc::AT_EMPTY_PATH)
        .mask(libc::STATX_SIZE | libc::STATX_TYPE)
        .build();
    // SAFETY: the file is borrowed, and the memory for the answer is here, until it returns.
    let result = unsafe { perform(entry) }?;
    // SAFETY: it is made of numbers, and was zeroed; the kernel has put others in their place.
    let answer = unsafe { answer.assume_init() };
    let is_file = u32::from(answer.stx_mode) & libc::S_IFMT == libc::S_IFREG;
    match result {
        Ok(_) if !is_file => None,
        result => Some(result.map(|_| answer.stx_size)),
    }
}

/// openat(2)
pub(in crate::backend) fn open(
    dir: &impl AsFd,
    path: &Path,
    flags: u32,
    mode: u32,
) -> Option<io::Result<File>> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let entry = opcode::OpenAt::new(fd(dir), path.as_ptr())
        .flags(flags.cast_signed())
        .mode(mode)
        .build();
    // SAFETY: the directory is borrowed, and the path is here, until it returns.
    let opened = match unsafe { perform(entry) }? {
        Ok(opened) => i32::try_from(opened).ok()?,
        Err(error) => return Some(Err(error)),
    };
    // SAFETY: the kernel has just opened it for us.
    Some(Ok(File::from(unsafe { OwnedFd::from_raw_fd(opened) })))
}

/// close(2). Gives the file back if it is not closed.
pub(in crate::backend) fn close(file: File) -> Result<io::Result<()>, File> {
    let number = file.into_raw_fd();
    // SAFETY: the descriptor was the file's, which gave it up.
    match unsafe { perform(opcode::Close::new(types::Fd(number)).build()) } {
        Some(result) => Ok(result.map(drop)),
        // SAFETY: no ring has taken it, or it was stopped before it began: the descriptor is as it was.
        None => Err(unsafe { File::from_raw_fd(number) }),
    }
}
