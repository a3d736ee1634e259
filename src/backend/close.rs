//! Closing: close(2) with its result, on a thread that may block.
//!
//! Closings have a list of their own. A pool job works it off, and an open that finds no free descriptor works it off
//! itself before it tries once more.
#![allow(unsafe_code, reason = "std drops the result of close(2)")]

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::answer::Answer;
use super::place::Place;
use super::pool;
use super::sys::{Call, call};

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

/// Files that wait to be closed.
static LIST: Mutex<Vec<Closing>> = Mutex::new(Vec::new());

/// Files that wait to be closed or are being closed.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Closes `file` here if this thread may block, otherwise on the pool.
pub(super) fn close(file: File, device: Option<u64>, closed: Option<Arc<Answer<io::Result<()>>>>) {
    let closing = Closing { file, closed };
    if pool::may_block() {
        return closing.run();
    }
    PENDING.fetch_add(1, Ordering::Relaxed);
    LIST.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(closing);
    pool::spawn(device.map_or(Place::Anywhere, Place::Device), || {
        work_off(1);
    });
}

/// Closes up to `most` of the files that wait for it, and says how many they were.
pub(crate) fn work_off(most: usize) -> usize {
    let mut count = 0;
    while count < most {
        let closing = LIST.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(closing) = closing else { break };
        closing.run();
        PENDING.fetch_sub(1, Ordering::Relaxed);
        ended();
        count += 1;
    }
    count
}

/// Those who wait until a file that is being closed has been.
static WAITING: Mutex<Vec<Waker>> = Mutex::new(Vec::new());

fn ended() {
    let waiting = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    for waker in waiting {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

/// Waits until nothing that is pending now is pending any more, or a file was closed.
pub(crate) async fn one_ended() {
    let mut waited = false;
    poll_fn(|cx| {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waited || pending() == 0 {
            return Poll::Ready(());
        }
        waited = true;
        waiting.push(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// How many files wait to be closed or are being closed.
pub(crate) fn pending() -> usize {
    PENDING.load(Ordering::Relaxed)
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
