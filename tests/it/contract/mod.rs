//! The rules that users can rely on, each with its tests. The number in a test's comment is that of the rule.
//!
//! Tests that run on every runtime use what the kernel really does. Those that cut an operation at an exact moment, or
//! need an error that no kernel gives on request, use the fault seam and the hand-stepped pool (feature `testing`).

mod append;
mod at;
mod backend_info;
mod cancel;
mod clones;
mod close;
mod errors;
mod fairness;
mod locks;
mod order;
mod own_writes;
mod position;
mod read_ahead;
mod unbuffered;
mod wakers;
mod write_behind;

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::{File, OpenOptions};
use futures_lite::future::yield_now;
use futures_lite::io::{AsyncBufRead, AsyncRead};
use tempfile::TempDir;

use crate::support::temp_dir;

#[cfg(all(unix, feature = "testing"))]
use steps::{EVER, Held, begin, count, drive, stepped, with_faults};

/// A file of these bytes in a directory of its own.
fn sample(bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = temp_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a file");
    (dir, path)
}

/// Options for reading, writing and creating.
fn read_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options
}

/// Options for reading, appending and creating.
fn read_append() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options
}

/// Options for reading and writing without buffers.
fn read_write_unbuffered() -> OpenOptions {
    let mut options = read_write();
    options.unbuffered(true);
    options
}

/// Waits for what another thread does. It gives up in the end, to report a hang.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(100),
            "waited in vain until {what}"
        );
        thread::yield_now();
    }
}

/// Waits for what another thread does, and lets other tasks run. The limit of the runtime's test ends it.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// What `fill_buf` lends, copied.
async fn filled(file: &mut File) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        Pin::new(&mut *file)
            .poll_fill_buf(cx)
            .map_ok(<[u8]>::to_vec)
    })
    .await
}

/// A future of any kind.
#[cfg(all(unix, feature = "testing"))]
type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + 'a>>;

/// What stands in the file, says the kernel.
#[track_caller]
fn on_disk(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the file can be read")
}

/// Error codes, as the kernel gives them.
#[cfg(unix)]
mod code {
    #![allow(dead_code, reason = "most are only used with the feature `testing`")]

    use rustix::io::Errno;

    pub const EINTR: i32 = Errno::INTR.raw_os_error();
    pub const EIO: i32 = Errno::IO.raw_os_error();
    pub const ENOSPC: i32 = Errno::NOSPC.raw_os_error();
    pub const EFBIG: i32 = Errno::FBIG.raw_os_error();
    pub const EBADF: i32 = Errno::BADF.raw_os_error();
    pub const EINVAL: i32 = Errno::INVAL.raw_os_error();
    pub const EROFS: i32 = Errno::ROFS.raw_os_error();
    pub const ENOTSUP: i32 = Errno::NOTSUP.raw_os_error();
    pub const EISDIR: i32 = Errno::ISDIR.raw_os_error();
    pub const EMFILE: i32 = Errno::MFILE.raw_os_error();
}

/// The hand-stepped pool and planned faults.
#[cfg(all(unix, feature = "testing"))]
mod steps {
    use std::future::Future;
    use std::ops::Deref;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use aiofiles::testing::{Call, Faults, Gate, Stepper};

    use crate::support::{CountingWaker, poll_now, within_limit};

    pub const EVER: usize = usize::MAX;

    /// Far more jobs than any operation of these tests takes.
    const ROUNDS: usize = 10_000;

    /// Runs the test on a thread with a pool of its own that only moves when the test says so, and with planned faults.
    #[track_caller]
    pub fn stepped(test: impl FnOnce(&Stepper, &Faults) + Send + 'static) {
        within_limit("the hand-stepped pool", || {
            // Dropped last: what the stepper still runs then meets no planned fault any more.
            let stepper = Stepper::install();
            let faults = Faults::install();
            test(&stepper, &faults);
            faults.clear();
        });
    }

    /// Runs the test on a thread whose operations meet planned faults, on the real pool.
    #[track_caller]
    pub fn with_faults(test: impl FnOnce(&Faults) + Send + 'static) {
        within_limit("the pool with faults", || {
            let faults = Faults::install();
            test(&faults);
        });
    }

    /// Runs jobs one by one until the future is done. It is polled only when it was woken, so a wake-up that is lost
    /// fails the test, and so does work that goes round in circles.
    #[track_caller]
    pub fn drive<F: Future>(stepper: &Stepper, future: F) -> F::Output {
        let mut future = pin!(future);
        let count = CountingWaker::new();
        let waker = count.waker();
        for _ in 0..ROUNDS {
            let before = count.wakes();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            while count.wakes() == before {
                assert!(
                    stepper.run_one(),
                    "it waits, and no job is left that could wake it"
                );
            }
        }
        panic!("after {ROUNDS} polls there is no end of it");
    }

    /// Polls the future, which cannot be done yet.
    #[track_caller]
    pub fn begin<F: Future>(mut future: Pin<&mut F>) {
        assert!(
            poll_now(future.as_mut()).is_pending(),
            "done before any job ran"
        );
    }

    /// A gate that opens when the test ends, also if it fails: whatever waits at it would keep other tests waiting.
    pub struct Held(Gate);

    impl Held {
        /// Holds the `nth` such call back.
        pub fn new(faults: &Faults, call: Call, nth: usize) -> Held {
            Held(faults.stall(call, nth, 1))
        }
    }

    impl Deref for Held {
        type Target = Gate;

        fn deref(&self) -> &Gate {
            &self.0
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    /// Lets every such call go on, and counts it in `faults.struck()`. Plan it after the faults it is to count too.
    pub fn count(faults: &Faults, call: Call) {
        faults.stall(call, 0, EVER).open();
    }
}
