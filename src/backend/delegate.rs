//! Path functions that gain nothing from operations of our own: `async-fs` performs them.
//!
//! A future of `async-fs` un-queues its work when it is dropped. Here it is driven on the pool instead, so that once
//! polled it runs to its end, as every other change does.

use std::fs::Permissions;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;

use futures_lite::FutureExt;

use super::answer::Answer;
use super::executor;
use super::place::Place;
use super::pool;
use super::sys::{Call, call};

pub(crate) async fn canonicalize(path: PathBuf) -> io::Result<PathBuf> {
    let own = path.clone();
    let future = async move { async_fs::canonicalize(path).await };
    driven(Call::Metadata, future, move || std::fs::canonicalize(own)).await
}

pub(crate) async fn read_link(path: PathBuf) -> io::Result<PathBuf> {
    let own = path.clone();
    let future = async move { async_fs::read_link(path).await };
    driven(Call::Metadata, future, move || std::fs::read_link(own)).await
}

pub(crate) async fn hard_link(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let own = (src.clone(), dst.clone());
    let future = async move { async_fs::hard_link(src, dst).await };
    driven(Call::Link, future, move || std::fs::hard_link(own.0, own.1)).await
}

pub(crate) async fn set_permissions(path: PathBuf, permissions: Permissions) -> io::Result<()> {
    let own = (path.clone(), permissions.clone());
    let future = async move { async_fs::set_permissions(path, permissions).await };
    driven(Call::SetPermissions, future, move || {
        std::fs::set_permissions(own.0, own.1)
    })
    .await
}

#[cfg(unix)]
pub(crate) async fn symlink(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let own = (src.clone(), dst.clone());
    let future = async move { async_fs::unix::symlink(src, dst).await };
    driven(Call::Link, future, move || {
        std::os::unix::fs::symlink(own.0, own.1)
    })
    .await
}

#[cfg(windows)]
pub(crate) async fn symlink_dir(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let own = (src.clone(), dst.clone());
    let future = async move { async_fs::windows::symlink_dir(src, dst).await };
    driven(Call::Link, future, move || {
        std::os::windows::fs::symlink_dir(own.0, own.1)
    })
    .await
}

#[cfg(windows)]
pub(crate) async fn symlink_file(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    let own = (src.clone(), dst.clone());
    let future = async move { async_fs::windows::symlink_file(src, dst).await };
    driven(Call::Link, future, move || {
        std::os::windows::fs::symlink_file(own.0, own.1)
    })
    .await
}

/// How a directory is to be created.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DirOptions {
    pub(crate) recursive: bool,
    pub(crate) mode: Option<u32>,
}

pub(crate) async fn create_dir(options: DirOptions, path: PathBuf) -> io::Result<()> {
    let own = path.clone();
    let future = async move {
        let mut builder = async_fs::DirBuilder::new();
        builder.recursive(options.recursive);
        #[cfg(unix)]
        if let Some(mode) = options.mode {
            async_fs::unix::DirBuilderExt::mode(&mut builder, mode);
        }
        builder.create(path).await
    };
    driven(Call::CreateDir, future, move || {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(options.recursive);
        #[cfg(unix)]
        if let Some(mode) = options.mode {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        }
        builder.create(own)
    })
    .await
}

/// Drives `future` on the pool, and waits for what comes of it. Where the user's own pool is to do it, of which `async-fs`
/// knows nothing, `std` does the same there.
async fn driven<T: Send + 'static>(
    what: Call,
    future: impl Future<Output = io::Result<T>> + Send + 'static,
    std: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if executor::is_users_own() {
        return super::change(Place::anywhere(), move || {
            call(what, || Ok(()))?;
            std()
        })
        .await;
    }
    let answer = Arc::<Answer<_>>::default();
    let told = answer.clone();
    pool::drive(async move {
        let result = AssertUnwindSafe(async move {
            call(what, || Ok(()))?;
            future.await
        });
        told.give(result.catch_unwind().await);
    });
    match (&*answer).await {
        Ok(result) => result,
        Err(panic) => panic::resume_unwind(panic),
    }
}
