//! What a user can see of the backend: which one runs, why, and its counters.

use std::sync::OnceLock;

use super::wish::Wish;
use super::{cache, close, pool};
use crate::stream;

/// What performs the operations of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// The thread pool of the `blocking` crate.
    Pool,
    /// io_uring. No build of this version has it.
    Uring,
}

impl BackendKind {
    /// Whether this process can have it.
    pub(crate) fn is_here(self) -> bool {
        match self {
            BackendKind::Pool => true,
            BackendKind::Uring => false,
        }
    }
}

/// The backend and its counters at one moment; see [`backend()`].
#[derive(Clone, Debug)]
pub struct Backend {
    kind: BackendKind,
    reason: &'static str,
    operations: u64,
    jobs: u64,
    queued: usize,
    running: usize,
    drainers: usize,
    pending_closes: usize,
    buffered: usize,
    cached_reads: u64,
    cache_misses: u64,
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
/// assert_eq!(after.kind(), aiofiles::BackendKind::Pool);
/// assert!(after.operations() > before.operations());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn backend() -> Backend {
    let figures = pool::figures();
    let (cached_reads, cache_misses) = cache::figures();
    Backend {
        kind: BackendKind::Pool,
        reason: reason(),
        operations: figures.operations,
        jobs: figures.jobs,
        queued: figures.queued,
        running: figures.running,
        drainers: figures.drainers,
        pending_closes: close::pending(),
        buffered: stream::buffered(),
        cached_reads,
        cache_misses,
    }
}

/// Why the pool, with the wish of the environment in mind.
fn reason() -> &'static str {
    static REASON: OnceLock<String> = OnceLock::new();
    REASON.get_or_init(|| match Wish::of_process() {
        Wish::Auto => "built without another backend".to_owned(),
        Wish::Pool => "AIOFILES_BACKEND is pool, and built without another backend".to_owned(),
        Wish::Uring => "AIOFILES_BACKEND asks for uring, which this build does not have".to_owned(),
        Wish::Unknown(word) => format!(
            "AIOFILES_BACKEND is {word:?}, which is not known; built without another backend"
        ),
    })
}

impl Backend {
    /// What performs the operations.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// Why it is this backend and no other.
    pub fn reason(&self) -> &str {
        self.reason
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
