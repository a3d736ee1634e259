//! Path functions that gain nothing from operations of our own: `async-fs` performs them.
//!
//! A future of `async-fs` un-queues its work when it is dropped. Here it is driven on the pool instead, so that once
//! polled it runs to its end, as every other change does.

use std::fs::Permissions;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use super::answer::Answer;
use super::pool;
use super::sys::{Call, call};

pub(crate) async fn canonicalize(path: PathBuf) -> io::Result<PathBuf> {
    driven(
        Call::Metadata,
        async move { async_fs::canonicalize(path).await },
    )
    .await
}

pub(crate) async fn read_link(path: PathBuf) -> io::Result<PathBuf> {
    driven(
        Call::Metadata,
        async move { async_fs::read_link(path).await },
    )
    .await
}

pub(crate) async fn hard_link(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    driven(
        Call::Link,
        async move { async_fs::hard_link(src, dst).await },
    )
    .await
}

pub(crate) async fn set_permissions(path: PathBuf, permissions: Permissions) -> io::Result<()> {
    driven(Call::SetPermissions, async move {
        async_fs::set_permissions(path, permissions).await
    })
    .await
}

#[cfg(unix)]
pub(crate) async fn symlink(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    driven(Call::Link, async move {
        async_fs::unix::symlink(src, dst).await
    })
    .await
}

#[cfg(windows)]
pub(crate) async fn symlink_dir(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    driven(Call::Link, async move {
        async_fs::windows::symlink_dir(src, dst).await
    })
    .await
}

#[cfg(windows)]
pub(crate) async fn symlink_file(src: PathBuf, dst: PathBuf) -> io::Result<()> {
    driven(Call::Link, async move {
        async_fs::windows::symlink_file(src, dst).await
    })
    .await
}

/// The builder of `async-fs`, asked to create `path`.
pub(crate) fn create_dir(
    builder: &async_fs::DirBuilder,
    path: &Path,
) -> impl Future<Output = io::Result<()>> + Send + use<> {
    let created = builder.create(path.to_owned());
    driven(Call::CreateDir, created)
}

/// Drives `future` on the pool, and waits for what comes of it.
fn driven<T: Send + 'static>(
    what: Call,
    future: impl Future<Output = io::Result<T>> + Send + 'static,
) -> impl Future<Output = io::Result<T>> + Send {
    let mut future = Some(future);
    let mut waiting = None;
    std::future::poll_fn(move |cx| {
        let answer = waiting.get_or_insert_with(|| {
            let answer = Arc::<Answer<_>>::default();
            if let Some(future) = future.take() {
                let told = answer.clone();
                pool::drive(async move {
                    let result = match call(what, || Ok(())) {
                        Ok(()) => future.await,
                        Err(error) => Err(error),
                    };
                    told.give(result);
                });
            }
            answer
        });
        Pin::new(&mut &**answer).poll(cx)
    })
}
