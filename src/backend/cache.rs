//! The page-cache fast path (feature `nowait`): a read that need not wait is made by whoever asks for it.
//!
//! `preadv2(2)` with `RWF_NOWAIT` gives what the page cache has, and refuses to wait for the rest. A hit costs about what
//! `pread` does, and no dispatch to the pool. What it does not answer goes the usual way, which finds out the truth:
//!
//! * Zero bytes are no end of file: kernels 5.9 and 5.10 say so wrongly. The end is where the length of the file is, which
//!   is asked only of files that have answered before, and whose file system is therefore a local one.
//! * `EOPNOTSUPP` is the word of a file system that cannot tell, such as tmpfs, overlayfs and those of the network. It is
//!   remembered for the file. `ENOSYS` and `EPERM` are those of a kernel or a sandbox, and remembered for the process.
//! * Any other error is no answer.
//! * Direct I/O is never asked: it would wait for the device.
//!
//! A miss costs some microseconds, so a file whose pages are not there is asked only now and then ([`PerFile`]).
#![allow(
    unsafe_code,
    reason = "a system call that fills memory which is not initialised"
)]

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::executor;
use super::fault;
use super::sys::{self, Call};
use super::wish::Wish;
use crate::buf;

/// No read that is made in a poll is longer: copying takes time too.
const MOST: usize = 256 * 1024;

/// Reads that were answered here, and those that were not.
static HITS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);

/// The kernel does not know the call, or a sandbox forbids it.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// What the page cache has of the bytes asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// So many, and the file has no more of them.
    All(usize),
    /// The first so many; the others must be waited for.
    Part(usize),
    /// None that are known of.
    Miss,
}

/// How many reads were answered here, and how many were not.
pub(super) fn figures() -> (u64, u64) {
    (HITS.load(Ordering::Relaxed), MISSES.load(Ordering::Relaxed))
}

/// Whether this process may ask at all.
pub(super) fn is_on() -> bool {
    static MAY_ASK: OnceLock<bool> = OnceLock::new();
    let may_ask = || !matches!(Wish::of_process(), Wish::Pool | Wish::Uring) && !kernel_errs();
    *MAY_ASK.get_or_init(may_ask) && !REFUSED.load(Ordering::Relaxed)
}

/// Kernels 5.9 and 5.10 answer with an end that is none. No read would be wrong for that, but many in vain.
fn kernel_errs() -> bool {
    matches!(kernel(), (5, 9 | 10))
}

/// The version of the kernel.
pub(super) fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let number = |word: &str| word.parse::<u32>().ok();
    let mut numbers = release.split(['.', '-', '+']).map_while(number);
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What is known of one open file: whether its file system answers, and whether its pages are likely to be there.
///
/// Two bits each: the answer of the file system, and a count that hits raise and misses lower. Below [`LIKELY`](Self::LIKELY)
/// only every [`TRY_EVERY`](Self::TRY_EVERY)th read asks; the upper four bits count those. A count that is lost between two
/// threads does no harm.
#[derive(Debug)]
pub(super) struct PerFile(AtomicU8);

impl PerFile {
    const ANSWERS: u8 = 0b01;
    const REFUSES: u8 = 0b10;
    const SUPPORT: u8 = 0b11;
    const COUNT: u8 = 0b11 << 2;
    const ONE: u8 = 1 << 2;
    const LIKELY: u8 = 2 << 2;
    const WAITED: u8 = 1 << 4;
    const TRY_EVERY: u8 = 16;

    pub(super) fn new() -> PerFile {
        PerFile(AtomicU8::new(PerFile::LIKELY))
    }

    fn load(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, state: u8) {
        self.0.store(state, Ordering::Relaxed);
    }

    /// Whether the next read is likely to be answered.
    fn is_likely(&self) -> bool {
        let state = self.load();
        state & PerFile::REFUSES == 0 && state & PerFile::COUNT >= PerFile::LIKELY
    }

    /// Whether this read is worth a try.
    fn is_worth_it(&self) -> bool {
        let state = self.load();
        if state & PerFile::REFUSES != 0 {
            return false;
        }
        if state & PerFile::COUNT >= PerFile::LIKELY {
            return true;
        }
        let waited = (state >> 4) + 1;
        let again = waited == PerFile::TRY_EVERY;
        let waited = if again { 0 } else { waited };
        self.store(state & !(0xf * PerFile::WAITED) | (waited * PerFile::WAITED));
        again
    }

    fn hit(&self) {
        let state = self.load() & !PerFile::SUPPORT | PerFile::ANSWERS;
        let full = state & PerFile::COUNT == PerFile::COUNT;
        let next = if full { state } else { state + PerFile::ONE };
        if next != self.load() {
            self.store(next);
        }
    }

    fn miss(&self) {
        let state = self.load();
        if state & PerFile::COUNT != 0 {
            self.store(state - PerFile::ONE);
        }
    }

    fn refuse(&self) {
        self.store(PerFile::REFUSES);
    }

    /// Whether the file system tells what is in the page cache.
    pub(super) fn answers(&self) -> bool {
        self.load() & PerFile::ANSWERS != 0
    }

    /// Whether a read is to be tried.
    pub(super) fn wants_try(&self) -> bool {
        may_ask() && self.is_worth_it()
    }

    /// Reads at `offset` what need not be waited for.
    pub(super) fn read(&self, file: &File, memory: &mut [MaybeUninit<u8>], offset: u64) -> Cached {
        let found = self.ask(file, memory, offset);
        let counter = match found {
            Cached::All(_) => &HITS,
            Cached::Part(_) | Cached::Miss => &MISSES,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The same into memory that is initialised, one buffer after the other, up to [`MOST`] bytes.
    pub(super) fn read_vectored(
        &self,
        file: &File,
        bufs: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> Cached {
        let mut filled = 0;
        for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
            let len = buf.len().min(MOST - filled);
            let memory = buf::as_uninit(&mut buf[..len]);
            match self.read(file, memory, offset + filled as u64) {
                Cached::All(n) => {
                    filled += n;
                    if n < len || filled == MOST {
                        break;
                    }
                }
                Cached::Part(n) => return Cached::Part(filled + n),
                Cached::Miss if filled == 0 => return Cached::Miss,
                Cached::Miss => return Cached::Part(filled),
            }
        }
        Cached::All(filled)
    }

    /// Looks, on a thread of the pool that is about to read so many bytes, whether the last of them is there already: then
    /// it may be worth it to ask again.
    pub(super) fn look(&self, file: &File, len: usize, offset: u64) {
        if may_ask() && self.load() & PerFile::REFUSES == 0 && !self.is_likely() {
            let last = offset.saturating_add(len.saturating_sub(1) as u64);
            let _ = self.ask(file, &mut [MaybeUninit::uninit()], last);
        }
    }

    /// Whether the next read is likely to be answered here.
    pub(super) fn expects_hit(&self) -> bool {
        may_ask() && self.is_likely()
    }

    /// Asks the kernel.
    fn ask(&self, file: &File, memory: &mut [MaybeUninit<u8>], offset: u64) -> Cached {
        let len = memory.len();
        if len == 0 || len > MOST || offset > sys::LARGEST_OFFSET - len as u64 {
            return Cached::Miss;
        }
        let n = match read_nowait(file, memory, offset) {
            Ok(n) => n,
            Err(error) => {
                match error.raw_os_error() {
                    Some(libc::EAGAIN) => {
                        self.store(self.load() | PerFile::ANSWERS);
                        self.miss();
                    }
                    Some(libc::EOPNOTSUPP | libc::EINVAL) => self.refuse(),
                    Some(libc::ENOSYS | libc::EPERM) => REFUSED.store(true, Ordering::Relaxed),
                    // Whoever asks the usual way will hear of it.
                    _ => {}
                }
                return Cached::Miss;
            }
        };
        if n == len {
            self.hit();
            return Cached::All(n);
        }
        // Whatever answers with bytes is local, and knows its length without waiting.
        if n > 0 {
            self.hit();
        }
        if self.answers() && len_now(file).is_ok_and(|end| offset + n as u64 >= end) {
            return Cached::All(n);
        }
        self.miss();
        match n {
            0 => Cached::Miss,
            n => Cached::Part(n),
        }
    }
}

fn may_ask() -> bool {
    is_on() && executor::current().is_none() && !fault::keeps_off_cache()
}

/// The length of a local file, which is in memory.
fn len_now(file: &File) -> io::Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    sys::call(Call::CachedRead, || {
        Ok(statx(file, c"", flags, StatxFlags::SIZE)?.stx_size)
    })
}

/// preadv2(2) with RWF_NOWAIT.
fn read_nowait(file: &File, memory: &mut [MaybeUninit<u8>], offset: u64) -> io::Result<usize> {
    let memory = {
        let len = fault::length(Call::CachedRead, memory.len());
        &mut memory[..len]
    };
    let slice = libc::iovec {
        iov_base: memory.as_mut_ptr().cast(),
        iov_len: memory.len(),
    };
    sys::call(Call::CachedRead, || {
        // SAFETY: the descriptor is open as long as `file` is borrowed. The one slice is memory that is borrowed for
        // writing, and the kernel writes no further than its length. The offset is handed over in two halves, of which
        // 64-bit systems ignore the second.
        let n = unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                file.as_raw_fd(),
                &raw const slice,
                1 as libc::c_ulong,
                offset as libc::c_ulong,
                (offset >> 32) as libc::c_ulong,
                libc::RWF_NOWAIT,
            )
        };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_make_it_rarely_ask_and_hits_often_again() {
        let file = PerFile::new();
        assert!(file.is_worth_it());
        file.miss();
        let tries = (0..64).filter(|_| file.is_worth_it()).count();
        assert_eq!(tries, 4);
        file.hit();
        assert!((0..64).all(|_| file.is_worth_it()));
        // One miss of a file that is usually there changes nothing.
        file.hit();
        file.miss();
        assert!(file.is_worth_it());
        file.refuse();
        assert!((0..64).all(|_| !file.is_worth_it()));
        assert!(!file.is_likely());
    }
}
