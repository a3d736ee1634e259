//! Pipes, FIFOs, terminals, sockets: read and written when the reactor says that they are ready, never on a pool thread.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use super::sys;

/// A descriptor that the reactor watches.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Ready {
    io: async_io::Async<Arc<File>>,
    /// O_NONBLOCK is set and nobody else's business, so a call can be tried without asking first.
    nonblocking: AtomicBool,
    /// A FIFO that we opened and that has not been ready yet: as long as no writer has come, the kernel says "end of
    /// file", and means "wait".
    silent: AtomicBool,
}

#[cfg(unix)]
impl Ready {
    /// Registers `file` with the reactor. Fails for what cannot be polled, such as `/dev/null`.
    pub(super) fn new(file: Arc<File>, nonblocking: bool, silent: bool) -> io::Result<Ready> {
        super::alarm::reactor()?;
        Ok(Ready {
            io: async_io::Async::new_nonblocking(file)?,
            nonblocking: AtomicBool::new(nonblocking),
            silent: AtomicBool::new(silent),
        })
    }

    /// O_NONBLOCK is about to be cleared: from now on, ask before each call.
    pub(super) fn will_block(&self) {
        self.nonblocking.store(false, Ordering::Relaxed);
    }

    /// Takes the file from the reactor.
    pub(super) fn into_file(self) -> Option<Arc<File>> {
        self.io.into_inner().ok()
    }

    /// Reads what is there, or says `WouldBlock`.
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.io.get_ref();
        let n = if self.nonblocking.load(Ordering::Relaxed) {
            sys::read_ready(file, buf)?
        } else {
            sys::read_foreign(file, buf)?
        };
        if n == 0 && self.silent.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.silent.store(false, Ordering::Relaxed);
        Ok(n)
    }

    /// Writes what there is room for, or says `WouldBlock`.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let file = self.io.get_ref();
        if self.nonblocking.load(Ordering::Relaxed) {
            sys::write_ready(file, buf)
        } else {
            sys::write_foreign(file, buf)
        }
    }

    /// Waits until there may be something to read. All callers must bring the same waker.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.io.poll_readable(cx);
        if ready.is_ready() {
            self.silent.store(false, Ordering::Relaxed);
        }
        ready
    }

    /// Waits until there may be room to write. All callers must bring the same waker.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_writable(cx)
    }
}

/// Elsewhere there is no readiness of files: what is no regular file is read and written on the pool.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) enum Ready {}

#[cfg(not(unix))]
impl Ready {
    pub(super) fn new(_: Arc<File>, _: bool, _: bool) -> io::Result<Ready> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn will_block(&self) {
        match *self {}
    }

    pub(super) fn into_file(self) -> Option<Arc<File>> {
        match self {}
    }

    pub(crate) fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    pub(crate) fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
