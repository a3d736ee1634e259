//! Closing: close(2) with its result, on a thread that may block.
//!
//! Files that wait to be closed stand in a list. Each has a pool job that comes for it; an open that finds no free
//! descriptor closes them all itself before it tries once more.
#![allow(unsafe_code, reason = "std drops the result of close(2)")]

use std::collections::BTreeMap;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::answer::Answer;
use super::fork;
use super::place::Place;
use super::pool;
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
use super::sys::{Call, call};
use super::uring::perform;
use crate::waiters::{Seat, Waiters};

struct Closing {
    file: File,
    closed: Option<Arc<Answer<io::Result<()>>>>,
}

impl Closing {
    fn run(self) {
        let close = AssertUnwindSafe(|| close_now(self.file));
        let panicked = |_| Err(io::Error::other("closing a file panicked"));
        let result = panic::catch_unwind(close).unwrap_or_else(panicked);
        if let Some(closed) = self.closed {
            closed.give(result);
        }
    }
}

/// Files that wait to be closed, by number.
static LIST: Mutex<BTreeMap<u64, Closing>> = Mutex::new(BTreeMap::new());

/// Files that wait to be closed or are being closed.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// How many of them were closed.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Those who wait for that.
static WAITERS: Mutex<Waiters> = Mutex::new(Waiters::new());

fn list() -> MutexGuard<'static, BTreeMap<u64, Closing>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn waiters() -> MutexGuard<'static, Waiters> {
    WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes `file` here if this thread may block, otherwise on the pool.
pub(super) fn close(file: File, device: Option<u64>, closed: Option<Arc<Answer<io::Result<()>>>>) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let closing = Closing { file, closed };
    if pool::may_block() || fork::is_child() {
        return closing.run();
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    PENDING.fetch_add(1, Ordering::Relaxed);
    list().insert(number, closing);
    pool::spawn(
        "close",
        device.map_or_else(Place::anywhere, Place::device),
        move || {
            let closing = list().remove(&number);
            if let Some(closing) = closing {
                end(closing);
            }
        },
    );
}

/// Closes the files that wait for it, here and now.
pub(crate) fn work_off() {
    loop {
        let closing = list().pop_first();
        match closing {
            Some((_, closing)) => end(closing),
            None => return,
        }
    }
}

/// Closes one of the list.
fn end(closing: Closing) {
    closing.run();
    PENDING.fetch_sub(1, Ordering::Relaxed);
    ENDED.fetch_add(1, Ordering::Release);
    let wakers = waiters().take();
    wakers.wake();
}

/// How many files wait to be closed or are being closed.
pub(crate) fn pending() -> usize {
    PENDING.load(Ordering::Relaxed)
}

/// Waits until one of the files that are pending now is closed, if there is any.
pub(crate) async fn one_ended() {
    let mut waiting = Waiting {
        ended_before: ENDED.load(Ordering::Acquire),
        seat: waiters().enter(),
    };
    poll_fn(|cx| waiting.poll(cx)).await;
}

struct Waiting {
    ended_before: usize,
    seat: Seat,
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiters = waiters();
        if pending() == 0 || ENDED.load(Ordering::Acquire) != self.ended_before {
            return Poll::Ready(());
        }
        waiters.wait(self.seat, cx.waker());
        // Dropping a waker may drop a task, and that a file: not under the lock.
        let replaced = std::mem::take(&mut waiters.replaced);
        drop(waiters);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waker = waiters().leave(self.seat);
        drop(waker);
    }
}

/// close(2), once: after an error the descriptor is gone all the same, and after EINTR too.
#[cfg(unix)]
fn close_now(file: File) -> io::Result<()> {
    use std::ffi::c_int;
    use std::os::fd::IntoRawFd;

    unsafe extern "C" {
        fn close(fd: c_int) -> c_int;
    }

    let mut file = Some(file);
    call(Call::Close, || {
        let Some(file) = file.take() else {
            return Ok(());
        };
        let file = match perform::close(file) {
            Ok(result) => return result,
            Err(file) => file,
        };
        let fd = file.into_raw_fd();
        // SAFETY: the descriptor was owned by `file`, which gave it up; nobody else closes it.
        let result = unsafe { close(fd) };
        if result == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        }
    })
}

#[cfg(not(unix))]
fn close_now(file: File) -> io::Result<()> {
    call(Call::Close, || Ok(()))?;
    drop(file);
    Ok(())
}
