//! Files that were dropped with bytes on their way: a process-wide list, by which others wait for them.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::backend::{self, Place, sys};
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::waiters::{Seat, Waiters};

/// Device and inode.
type Identity = (u64, u64);

/// Dropped files of one identity.
struct Entry {
    /// Tells it from earlier entries of the same identity.
    number: u64,
    files: usize,
    waiters: Waiters,
}

static LIST: Mutex<BTreeMap<Identity, Entry>> = Mutex::new(BTreeMap::new());

/// How many files the list holds: almost always none, and then nobody takes its lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn lock() -> MutexGuard<'static, BTreeMap<Identity, Entry>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stands for a dropped file in the list until its bytes are written or given up.
#[derive(Debug)]
pub(crate) struct Lingering(Identity);

impl Lingering {
    pub(crate) fn begin(identity: Identity) -> Lingering {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut list = lock();
        let entry = list.entry(identity).or_insert_with(|| Entry {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            files: 0,
            waiters: Waiters::new(),
        });
        entry.files += 1;
        COUNT.fetch_add(1, Ordering::AcqRel);
        Lingering(identity)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let wakers = {
            let mut list = lock();
            COUNT.fetch_sub(1, Ordering::AcqRel);
            match list.get_mut(&self.0) {
                Some(entry) if entry.files > 1 => {
                    entry.files -= 1;
                    None
                }
                _ => list.remove(&self.0).map(|mut entry| entry.waiters.take()),
            }
        };
        if let Some(wakers) = wakers {
            wakers.wake();
        }
    }
}

/// A seat among those who wait for the dropped files of one identity.
struct Waiting {
    identity: Identity,
    /// The entry in which the seat is.
    entered: Option<(u64, Seat)>,
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut list = lock();
        let Some(entry) = list.get_mut(&self.identity) else {
            return Poll::Ready(());
        };
        // One seat for this future, whatever wakers it brings.
        let seat = match self.entered {
            Some((number, seat)) if number == entry.number => seat,
            _ => entry.waiters.enter(),
        };
        self.entered = Some((entry.number, seat));
        entry.waiters.wait(seat, cx.waker());
        // Dropping a waker may drop a task, and that a file: not under the lock.
        let replaced = std::mem::take(&mut entry.waiters.replaced);
        drop(list);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((number, seat)) = self.entered else {
            return;
        };
        let mut list = lock();
        let waker = match list.get_mut(&self.identity) {
            Some(entry) if entry.number == number => entry.waiters.leave(seat),
            _ => None,
        };
        drop(list);
        drop(waker);
    }
}

/// Waits until no dropped file of this identity has bytes on their way.
pub(crate) async fn wait_for(identity: Identity) {
    let mut waiting = Waiting {
        identity,
        entered: None,
    };
    poll_fn(|cx| waiting.poll(cx)).await;
}

/// Whether any dropped file has bytes on their way.
pub(crate) fn anything() -> bool {
    COUNT.load(Ordering::Acquire) > 0
}

/// Whether a dropped file of this identity has bytes on their way.
pub(crate) fn lingers(identity: Identity) -> bool {
    anything() && lock().contains_key(&identity)
}

/// Waits for the dropped file that `path` leads to, if there is one.
pub(crate) async fn reached_by(path: &Path) {
    if !anything() {
        return;
    }
    let asked = Arc::<Path>::from(path);
    reached(Place::of(&asked), move || sys::identity(&asked)).await;
}

/// Waits for the dropped file whose identity `ask` finds out on the pool.
pub(crate) async fn reached(
    place: Place,
    ask: impl FnOnce() -> io::Result<Identity> + Send + 'static,
) {
    if anything()
        && let Ok(identity) = backend::query("identify", place, ask).await
    {
        wait_for(identity).await;
    }
}

/// Waits until every byte that dropped files had accepted is with the operating system.
///
/// A [`File`](crate::File) that is dropped still writes what it accepted. This crate's own functions wait for that where
/// they reach such a file; call `settle` before a path is handed to another process, or to code that uses std.
///
/// Bytes that could not be written have nobody left to hear of it: use `close` to learn of errors.
///
/// # Cancel safety
///
/// Cancel safe: it only waits.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("a.txt");
///
/// let mut file = aiofiles::File::create(&path).await?;
/// file.write_all(b"hello").await?;
/// drop(file);
///
/// aiofiles::settle().await;
/// assert_eq!(std::fs::read(&path)?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn settle() {
    if !anything() {
        return;
    }
    let present = lock().keys().copied().collect::<Vec<_>>();
    for identity in present {
        wait_for(identity).await;
    }
}
