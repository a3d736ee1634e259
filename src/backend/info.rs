//! What a user can see of the backend: which one runs, why, and its counters.

use super::wish::Wish;
use super::{cache, close, pool, uring};
use crate::stream;

/// What performs the operations of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// The thread pool of the `blocking` crate.
    Pool,
    /// io_uring for what waits for the device, and the thread pool for the rest (feature `uring`, on Linux).
    Uring,
}

impl BackendKind {
    /// Why this process cannot have it, if it cannot.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        match self {
            BackendKind::Pool => None,
            BackendKind::Uring => uring::refusal(),
        }
    }
}

/// The backend and its counters at one moment; see [`backend()`].
#[derive(Clone, Debug)]
pub struct Backend {
    kind: BackendKind,
    reason: String,
    operations: u64,
    jobs: u64,
    queued: usize,
    running: usize,
    drainers: usize,
    pending_closes: usize,
    buffered: usize,
    cached_reads: u64,
    cache_misses: u64,
    submitted: u64,
    completed: u64,
    retried: u64,
    overflows: u64,
}

/// What has happened on rings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RingFigures {
    pub(super) submitted: u64,
    pub(super) completed: u64,
    pub(super) retried: u64,
    pub(super) overflows: u64,
}

/// Tells which backend runs, why, and what it has done so far.
///
/// The counters belong to the whole process. They are read one after another, so they may be from slightly different
/// moments.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let before = aiofiles::backend();
/// aiofiles::metadata("Cargo.toml").await?;
/// let after = aiofiles::backend();
///
/// assert!(after.operations() > before.operations());
/// println!("{:?}: {}", after.kind(), after.reason());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn backend() -> Backend {
    let figures = pool::figures();
    let (cached_reads, cache_misses) = cache::figures();
    let (kind, reason) = kind();
    let rings = uring::figures();
    Backend {
        kind,
        reason,
        operations: figures.operations,
        jobs: figures.jobs,
        queued: figures.queued,
        running: figures.running,
        drainers: figures.drainers,
        pending_closes: close::pending(),
        buffered: stream::buffered(),
        cached_reads,
        cache_misses,
        submitted: rings.submitted,
        completed: rings.completed,
        retried: rings.retried,
        overflows: rings.overflows,
    }
}

/// What performs the operations, and why, with the wish of the environment in mind.
fn kind() -> (BackendKind, String) {
    let wish = Wish::of_process();
    let refusal = uring::refusal();
    let reason = match (wish, refusal) {
        (Wish::Auto, None) => "io_uring is there".to_owned(),
        (Wish::Auto, Some(refusal)) => refusal.to_owned(),
        (Wish::Pool, _) => "AIOFILES_BACKEND is pool".to_owned(),
        (Wish::Uring, None) => {
            "AIOFILES_BACKEND is uring: whatever io_uring has an operation for goes there"
                .to_owned()
        }
        (Wish::Uring, Some(refusal)) => {
            format!("AIOFILES_BACKEND asks for uring, which cannot be had: {refusal}")
        }
        (Wish::Unknown(word), refusal) => format!(
            "AIOFILES_BACKEND is {word:?}, which is not known; {}",
            refusal.unwrap_or("io_uring is there")
        ),
    };
    match refusal {
        None => (BackendKind::Uring, reason),
        Some(_) => (BackendKind::Pool, reason),
    }
}

impl Backend {
    /// What performs the operations.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// Why it is this backend and no other.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Operations handed to the thread pool since the process began.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Jobs (`blocking::unblock` calls) that were started to run them. One job runs many operations when there are many.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// Operations that wait in the queue now.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Operations that run now.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Jobs that take operations from the queue now.
    pub fn drainers(&self) -> usize {
        self.drainers
    }

    /// Dropped files whose descriptors are not closed yet.
    pub fn pending_closes(&self) -> usize {
        self.pending_closes
    }

    /// Reads that the page cache answered in the poll that asked, without a dispatch (feature `nowait`).
    pub fn cached_reads(&self) -> u64 {
        self.cached_reads
    }

    /// Reads that the page cache was asked for in vain, and that went the usual way.
    pub fn cache_misses(&self) -> u64 {
        self.cache_misses
    }

    /// Operations that were submitted to io_uring (feature `uring`).
    pub fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Operations that io_uring has completed, whatever came of them. The others are on their way.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// Operations that io_uring answered with an error that need not have to do with the file, and that the thread pool
    /// did again: most of them were submitted by a thread that has ended.
    pub fn retried(&self) -> u64 {
        self.retried
    }

    /// How often the kernel had more completions than their queue holds, and was asked for the rest.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Bytes of memory that read-ahead and write-behind hold beyond the small buffers that every file may have.
    pub fn buffered(&self) -> usize {
        self.buffered
    }
}

/// Sets how many jobs may take operations from the queue at the same time, between 1 and 64; 64 by default.
///
/// So many operations can be stuck in the kernel (on a dead network mount, say) before others wait. In ordinary work
/// about as many run as there are processors. Operations that get a job of their own ([`File::sync_all`], [`copy`],
/// [`remove_dir_all`]) do not count.
///
/// [`File::sync_all`]: crate::File::sync_all
/// [`copy`]: crate::copy()
/// [`remove_dir_all`]: crate::remove_dir_all
///
/// # Examples
///
/// ```
/// aiofiles::set_max_concurrent_operations(16);
/// ```
#[doc(alias = "max_requests")]
pub fn set_max_concurrent_operations(limit: usize) {
    pool::set_limit(limit);
}
