//! Pools of the user's own: for the process, for one call, or for one open file.
//!
//! Work that was given to such a pool stays in a list of ours until a thread of the pool begins it. So it is not lost when
//! the pool never does: it is brought back when the pool drops it, and the end of the process takes what must be done
//! from the list.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::pin::pin;
use std::sync::{Arc, PoisonError};

use super::pool::{self, Job};
use super::sync::{Mutex, MutexGuard, RwLock, thread_local};

/// A thread pool for operations that wait for files, in the place of that of the `blocking` crate.
///
/// Any function that takes [`Work`] is one. It must run the work, or have it run, on a thread that may block; the order
/// does not matter. Work that is dropped without being run, because its pool is shut down, goes to the pool of the
/// `blocking` crate: no accepted byte is lost by that.
///
/// * [`set_executor`] sets it for the process,
/// * [`with_executor`] for what a future does,
/// * [`OpenOptions::executor`](crate::OpenOptions::executor) for one open file.
///
/// # Examples
///
/// ```
/// use aiofiles::{Executor, Work, with_executor};
///
/// /// A thread for each piece of work.
/// struct Threads;
///
/// impl Executor for Threads {
///     fn execute(&self, work: Work) {
///         std::thread::spawn(|| work.run());
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let text = with_executor(Threads, aiofiles::read_to_string("Cargo.toml")).await?;
/// assert!(text.contains("[package]"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// The pool of tokio:
///
/// ```
/// use aiofiles::{Work, with_executor};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let runtime = tokio::runtime::Handle::current();
/// let blocking = move |work: Work| drop(runtime.spawn_blocking(|| work.run()));
/// assert!(with_executor(blocking, aiofiles::metadata("Cargo.toml")).await?.is_file());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub trait Executor: Send + Sync + 'static {
    /// Takes work, and does not wait for it. It is called by whatever begins an operation, also by threads of pools.
    fn execute(&self, work: Work);
}

impl<F: Fn(Work) + Send + Sync + 'static> Executor for F {
    fn execute(&self, work: Work) {
        self(work);
    }
}

impl<E: Executor + ?Sized> Executor for Arc<E> {
    fn execute(&self, work: Work) {
        (**self).execute(work);
    }
}

/// One piece of work for an [`Executor`].
#[must_use = "it is done elsewhere if it is dropped"]
pub struct Work(Option<Piece>);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// The job with this number.
    Job(u64),
    /// The drainer with this number.
    Drainer(usize),
}

impl Work {
    /// Does the work on this thread, and returns when that is done. It does not panic.
    ///
    /// Called in [`Executor::execute`] itself it does nothing, and the work is done elsewhere: whoever begins an operation
    /// may hold locks, and must not wait for it.
    pub fn run(mut self) {
        if GIVING.get() {
            return;
        }
        match self.0.take() {
            Some(Piece::Job(number)) => {
                // The end of the process may have taken it.
                let job = away().jobs.remove(&number);
                if let Some(job) = job {
                    pool::run_here(job);
                }
            }
            Some(Piece::Drainer(index)) => pool::drain(index),
            None => {}
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        match self.0.take() {
            Some(Piece::Job(number)) => {
                let job = away().jobs.remove(&number);
                if let Some(job) = job {
                    pool::bring_back(job);
                }
            }
            Some(Piece::Drainer(index)) => pool::start_drainer_of_ours(index),
            None => {}
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.0).finish()
    }
}

/// An executor, as files and jobs hold it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn Executor>);

impl Shared {
    pub(crate) fn new(executor: impl Executor) -> Shared {
        Shared(Arc::new(executor))
    }

    /// Gives it a piece of work. If it panics, the work is dropped, and done elsewhere.
    fn give(&self, piece: Piece) {
        let work = Work(Some(piece));
        let former = GIVING.replace(true);
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.0.execute(work)));
        GIVING.set(former);
    }

    /// Gives it a job.
    pub(super) fn give_job(&self, job: Job) {
        let number = {
            let mut away = away();
            away.next += 1;
            let number = away.next;
            away.jobs.insert(number, job);
            number
        };
        self.give(Piece::Job(number));
    }

    /// Gives it a drainer.
    pub(super) fn give_drainer(&self, index: usize) {
        self.give(Piece::Drainer(index));
    }
}

// A panic of an executor ends in `give`, and nothing of ours is half done by then.
impl UnwindSafe for Shared {}
impl RefUnwindSafe for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

/// Jobs that were given away, and that nobody has begun.
struct Away {
    jobs: BTreeMap<u64, Job>,
    next: u64,
}

static AWAY: Mutex<Away> = Mutex::new(Away {
    jobs: BTreeMap::new(),
    next: 0,
});

fn away() -> MutexGuard<'static, Away> {
    AWAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many jobs were given away that nobody has begun.
pub(super) fn count_away() -> usize {
    away().jobs.len()
}

/// Takes those that must run, for a thread that ends the process.
pub(super) fn take_accepted() -> Vec<Job> {
    // Whoever holds the lock is about to release it, unless it died with it.
    let Ok(mut away) = AWAY.try_lock() else {
        return Vec::new();
    };
    let (accepted, others) = std::mem::take(&mut away.jobs)
        .into_iter()
        .partition::<BTreeMap<_, _>, _>(|(_, job)| job.must_run());
    away.jobs = others;
    accepted.into_values().collect()
}

/// That of the process.
static PROCESS: RwLock<Option<Shared>> = RwLock::new(None);

thread_local! {
    /// This thread is about to give work away.
    static GIVING: Cell<bool> = const { Cell::new(false) };
    /// That of the future that this thread polls, or of the job that it runs.
    static CURRENT: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// That of the process, if one was set.
pub(super) fn of_process() -> Option<Shared> {
    PROCESS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Whether the present call goes to a pool of the user's own.
pub(super) fn is_users_own() -> bool {
    current().is_some() || of_process().is_some()
}

/// That of the present call, if there is one.
pub(crate) fn current() -> Option<Shared> {
    // While a thread ends there is none any more.
    CURRENT
        .try_with(|current| current.borrow().clone())
        .unwrap_or_default()
}

/// Makes an executor that of the present call until the guard goes.
pub(super) fn enter(executor: Option<Shared>) -> impl Drop {
    struct Restore(Option<Shared>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let former = self.0.take();
            let _ = CURRENT.try_with(|current| current.replace(former));
        }
    }
    Restore(
        CURRENT
            .try_with(|current| current.replace(executor))
            .unwrap_or_default(),
    )
}

/// Sets the pool of the process: operations run there from now on.
///
/// Operations wait in a queue of this crate, and a few jobs of the pool take one after another from there, as many as
/// [`set_max_concurrent_operations`](crate::set_max_concurrent_operations) says at most. A call or a file that has an
/// executor of its own keeps it.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// aiofiles::set_executor(|work: aiofiles::Work| drop(std::thread::spawn(|| work.run())));
/// assert!(aiofiles::exists("Cargo.toml").await);
/// # });
/// ```
pub fn set_executor(executor: impl Executor) {
    let new = Some(Shared::new(executor));
    let old = {
        let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *process, new)
    };
    // What a pool does when it is dropped is not for us to know.
    drop(old);
}

/// Runs the operations that `future` begins on `executor`.
///
/// Each is one piece of [`Work`]. A file that is opened in the future stays with the executor. Tasks that the future
/// spawns are not the future.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Examples
///
/// See [`Executor`].
pub async fn with_executor<F: Future>(executor: impl Executor, future: F) -> F::Output {
    let executor = Shared::new(executor);
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _entered = enter(Some(executor.clone()));
        future.as_mut().poll(cx)
    })
    .await
}
