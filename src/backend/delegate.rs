//! Path functions that gain nothing from operations of our own: `async-fs` performs them.
//!
//! A future of `async-fs` un-queues its work when it is dropped. Here it is driven on the pool instead, so that once
//! polled it runs to its end, as every other change does. While it runs, it has a thread of the pool to itself, so those of
//! one device take turns ([`Turn`]).

use std::collections::{BTreeMap, VecDeque};
use std::fs::Permissions;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_lite::FutureExt;

use super::answer::Asked;
use super::executor;
use super::fork;
use super::place::Place;
use super::pool;
use super::sys::{Call, call};
use super::trace;

pub(crate) async fn canonicalize(path: PathBuf) -> io::Result<PathBuf> {
    let future = |path| async { async_fs::canonicalize::<PathBuf>(path).await };
    let task = ("canonicalize", Arc::from(path.as_path()));
    driven(task, Call::Metadata, path, future, std::fs::canonicalize).await
}

pub(crate) async fn read_link(path: PathBuf) -> io::Result<PathBuf> {
    let future = |path| async { async_fs::read_link::<PathBuf>(path).await };
    let task = ("read link", Arc::from(path.as_path()));
    driven(task, Call::Metadata, path, future, std::fs::read_link).await
}

pub(crate) async fn hard_link(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let future = |(src, dst): Two| async { async_fs::hard_link(src, dst).await };
    let std = |(src, dst): Two| std::fs::hard_link(src, dst);
    let task = ("link", Arc::from(src.as_path()));
    driven(task, Call::Link, (src, dst), future, std).await
}

pub(crate) async fn set_permissions(path: PathBuf, permissions: Permissions) -> io::Result<()> {
    type Arguments = (PathBuf, Permissions);
    let future = |(path, permissions): Arguments| async {
        async_fs::set_permissions(path, permissions).await
    };
    let std = |(path, permissions): Arguments| std::fs::set_permissions(path, permissions);
    let task = ("set permissions", Arc::from(path.as_path()));
    driven(task, Call::SetPermissions, (path, permissions), future, std).await
}

#[cfg(unix)]
pub(crate) async fn symlink(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let future = |(src, dst): Two| async { async_fs::unix::symlink(src, dst).await };
    let std = |(src, dst): Two| std::os::unix::fs::symlink(src, dst);
    let task = ("link symbolically", Arc::from(dst.as_path()));
    driven(task, Call::Link, (src, dst), future, std).await
}

#[cfg(windows)]
pub(crate) async fn symlink_dir(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let future = |(src, dst): Two| async { async_fs::windows::symlink_dir(src, dst).await };
    let std = |(src, dst): Two| std::os::windows::fs::symlink_dir(src, dst);
    let task = ("link symbolically", Arc::from(dst.as_path()));
    driven(task, Call::Link, (src, dst), future, std).await
}

#[cfg(windows)]
pub(crate) async fn symlink_file(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let future = |(src, dst): Two| async { async_fs::windows::symlink_file(src, dst).await };
    let std = |(src, dst): Two| std::os::windows::fs::symlink_file(src, dst);
    let task = ("link symbolically", Arc::from(dst.as_path()));
    driven(task, Call::Link, (src, dst), future, std).await
}

/// What is linked, and where.
type Two = (PathBuf, PathBuf);

/// How a directory is to be created.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DirOptions {
    pub(crate) recursive: bool,
    pub(crate) mode: Option<u32>,
}

pub(crate) async fn create_dir(options: DirOptions, path: PathBuf) -> io::Result<()> {
    let future = move |path: PathBuf| async move {
        let mut builder = async_fs::DirBuilder::new();
        builder.recursive(options.recursive);
        #[cfg(unix)]
        if let Some(mode) = options.mode {
            async_fs::unix::DirBuilderExt::mode(&mut builder, mode);
        }
        builder.create(path).await
    };
    let std = move |path| {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(options.recursive);
        #[cfg(unix)]
        if let Some(mode) = options.mode {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        }
        builder.create::<PathBuf>(path)
    };
    let task = ("create directory", Arc::from(path.as_path()));
    driven(task, Call::CreateDir, path, future, std).await
}

/// Drives the future on the pool, and waits for what comes of it. Where the user's own pool is to do it, of which `async-fs`
/// knows nothing, or where there is no second thread for it, `std` does the same there.
async fn driven<A, F, T>(
    (name, path): (&'static str, Arc<Path>),
    what: Call,
    arguments: A,
    future: impl FnOnce(A) -> F,
    std: impl FnOnce(A) -> io::Result<T> + Send + 'static,
) -> io::Result<T>
where
    A: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let place = Place::anywhere_at(Some(&path));
    let is_ours = !fork::is_child() && !executor::is_users_own();
    let Some(seat) = is_ours.then(pool::nest).flatten() else {
        // It takes a place among those of its device.
        return super::change(name, Place::of(&path), move || {
            call(what, || Ok(()))?;
            std(arguments)
        })
        .await;
    };
    let (asked, told) = Asked::new();
    let future = future(arguments);
    pool::drive(name, place, async move {
        let result = AssertUnwindSafe(async move {
            call(what, || Ok(()))?;
            let _turn = Turn::on(Place::of(&path).key()).await;
            future.await
        });
        let result = result.catch_unwind().await;
        drop(seat);
        if let Ok(Err(error)) = &result {
            trace::failed(error);
        }
        told.give(result);
    });
    match asked.await {
        Ok(result) => result,
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// How many of these operations may be under way on one device.
const MOST: usize = 32;

/// The right to hold a thread for something that one device is asked for, until it is dropped.
struct Turn(u64);

/// Who has a turn on a device, and who waits for one.
#[derive(Default)]
struct Turns {
    taken: usize,
    waiting: VecDeque<Waker>,
}

/// Those of every device that anybody has a turn on.
static TURNS: Mutex<BTreeMap<u64, Turns>> = Mutex::new(BTreeMap::new());

impl Turn {
    /// Waits for a turn on a device (zero: unknown).
    ///
    /// Whoever waits is not dropped before its end. Should another come first when it is woken, it waits once more, and is
    /// woken by that one.
    async fn on(device: u64) -> Option<Turn> {
        if device == 0 {
            return None;
        }
        poll_fn(|cx| {
            let mut turns = turns();
            let turns = turns.entry(device).or_default();
            if turns.taken < MOST {
                turns.taken += 1;
                return Poll::Ready(Some(Turn(device)));
            }
            turns.waiting.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut all = turns();
            let Some(turns) = all.get_mut(&self.0) else {
                return;
            };
            turns.taken -= 1;
            let next = turns.waiting.pop_front();
            if turns.taken == 0 && next.is_none() {
                all.remove(&self.0);
            }
            next
        };
        if let Some(next) = next {
            pool::wake(next);
        }
    }
}

fn turns() -> MutexGuard<'static, BTreeMap<u64, Turns>> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}
