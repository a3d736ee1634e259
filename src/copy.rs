//! Copying files: paths, and open files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::backend::sys::{self, Kind};
use crate::backend::{self, Description, Place};
use crate::error::Context;
use crate::file::File;
use crate::open::OpenOptions;
use crate::settle;

/// How much one job copies before it reports.
const STRETCH: u64 = 16 * 1024 * 1024;

/// Copies the content and the permissions of the file at `src` to the file at `dst`, and replaces what was there.
///
/// Returns the number of bytes copied. On Linux the kernel copies (`copy_file_range(2)`, which shares the blocks on file
/// systems that can); the whole copy is one job of its own.
///
/// For progress, see [`copy_with_progress`]; for open files, [`copy_between`].
///
/// # Cancel safety
///
/// The copy goes on after the future is dropped.
///
/// # Errors
///
/// * `src` is no file ([`InvalidInput`](io::ErrorKind::InvalidInput)), or does not exist.
/// * The process may not read `src` or write `dst`.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// aiofiles::write(&one, "hello").await?;
/// assert_eq!(aiofiles::copy(&one, &other).await?, 5);
/// assert_eq!(aiofiles::read(&other).await?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<u64> {
    let (src, dst) = (src.as_ref(), dst.as_ref());
    settle::reached_by(src).await;
    settle::reached_by(dst).await;
    let (from, to) = (Arc::<Path>::from(src), dst.to_owned());
    let place = Place::between(Place::of(&from), Place::of(&Arc::from(dst)));
    let copied = backend::long("copy", place, move || {
        // A FIFO without a reader, or a full one, would hold this thread.
        let special =
            sys::metadata(&to).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        if special {
            Ok(None)
        } else {
            sys::copy(&from, &to).map(Some)
        }
    });
    let copied = match copied.await {
        Ok(Some(copied)) => Ok(copied),
        Ok(None) => copy_reporting(src, dst, |_, _| {}).await,
        Err(error) => Err(error),
    };
    copied.on_both("copy", src, dst)
}

/// Copies as [`copy`] does, and tells how far it has come.
///
/// `progress` is called in the task that awaits, after every 16 MiB and at the end, with the number of bytes copied and
/// the size of the file as it was at the beginning.
///
/// # Cancel safety
///
/// Dropped early, `dst` holds a part of the file.
///
/// # Errors
///
/// The same as [`copy`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// # aiofiles::write(&one, "hello").await?;
/// let mut shown = Vec::new();
/// aiofiles::copy_with_progress(&one, &other, |done, total| shown.push((done, total))).await?;
/// assert_eq!(shown, [(5, 5)]);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy_with_progress<P, Q, F>(src: P, dst: Q, progress: F) -> io::Result<u64>
where
    P: AsRef<Path>,
    Q: AsRef<Path>,
    F: FnMut(u64, u64),
{
    let (src, dst) = (src.as_ref(), dst.as_ref());
    copy_reporting(src, dst, progress)
        .await
        .on_both("copy", src, dst)
}

async fn copy_reporting(
    src: &Path,
    dst: &Path,
    mut progress: impl FnMut(u64, u64),
) -> io::Result<u64> {
    // Open both as std's copy does: the source must be a file, and the new one gets its permissions.
    let own = Arc::<Path>::from(src);
    let metadata = backend::query("metadata", Place::of(&own), move || sys::metadata(&own)).await?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    let from = OpenOptions::new()
        .read(true)
        .clone()
        .open_description(src)
        .await?;
    let permissions = metadata.permissions();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    sys::set_create_mode(&mut options.std, &permissions);
    let to = options.open_description(dst).await?;
    if to.facts().is_some_and(|facts| facts.kind == Kind::Regular) {
        let to = to.clone();
        backend::change("set permissions", to.place(), move || {
            sys::set_file_permissions(to.file(), &permissions)
        })
        .await?;
    }

    // Copy stretch by stretch.
    let total = metadata.len();
    let regular = to.facts().is_some_and(|facts| facts.kind == Kind::Regular);
    let mut done = 0;
    if regular {
        loop {
            let (n, result) = copy_stretch(&from, &to, done).await;
            done += n;
            if n > 0 || (done == 0 && result.is_ok()) {
                progress(done, total);
            }
            result?;
            if n == 0 {
                // Network file systems say here what they could not write.
                drop(from);
                File::from_description(to).close().await?;
                return Ok(done);
            }
        }
    }
    let mut to = File::from_description(to);
    let mut from = File::from_description(from);
    loop {
        let n = futures_lite::io::copy((&mut from).take(STRETCH), &mut to).await?;
        done += n;
        if n > 0 || done == 0 {
            progress(done, total);
        }
        if n == 0 {
            to.close().await?;
            return Ok(done);
        }
    }
}

/// Copies one stretch in a job of its own; 0 at the end of the source.
async fn copy_stretch(
    from: &Arc<Description>,
    to: &Arc<Description>,
    at: u64,
) -> (u64, io::Result<()>) {
    let (from, to) = (from.clone(), to.clone());
    let place = Place::between(from.place(), to.place());
    backend::long("copy", place, move || {
        let copied = sys::copy_range(from.file(), at, to.file(), at, STRETCH);
        to.changed();
        copied
    })
    .await
}

/// Copies from the position of `from` to its end, to the position of `to`, and moves both positions.
///
/// Returns the number of bytes copied. Between two regular files the kernel copies, with everything settled first;
/// otherwise this is [`futures_lite::io::copy`]. Within one file, the end is the one that the file had at the beginning;
/// if the ranges overlap, bytes may be copied that were copied before.
///
/// # Cancel safety
///
/// Dropped early, some bytes were copied; the positions tell how many, except for those that were on their way.
///
/// # Errors
///
/// * `from` was not opened for reading, or `to` not for writing.
/// * Some other I/O error occurred, also one of an earlier write to `to`.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
/// # aiofiles::write(&one, "world").await?;
/// let mut from = aiofiles::File::open(&one).await?;
/// let mut to = aiofiles::File::create(&other).await?;
/// to.write_all(b"hello ").await?;
/// assert_eq!(aiofiles::copy_between(&mut from, &mut to).await?, 5);
/// to.close().await?;
/// assert_eq!(aiofiles::read(&other).await?, b"hello world");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy_between(from: &mut File, to: &mut File) -> io::Result<u64> {
    // Everything accepted comes first, and the error of what could not be written.
    from.flush().await?;
    to.flush().await?;
    // Positions are asked for, which finds out what kind of files they are.
    let positions = (from.stream_position().await, to.stream_position().await);
    let (source, target) = (from.stopped().await?, to.stopped().await?);
    let plain = |description: &Description| {
        let plain = |facts: &sys::Facts| facts.kind == Kind::Regular && !facts.append;
        description.facts().is_some_and(plain)
    };
    let (Ok(mut read_at), Ok(mut write_at), true, true) =
        (positions.0, positions.1, plain(&source), plain(&target))
    else {
        return futures_lite::io::copy(from, to).await;
    };

    // Within one file, what is copied moves the end: the end that it had is the one that is meant.
    let end = if source.is_same_file(&target) {
        let source = source.clone();
        backend::query("find end", source.place(), move || sys::end(source.file())).await?
    } else {
        u64::MAX
    };

    // Copy stretch by stretch, each in its place among the changes of the target.
    let mut copied = 0;
    loop {
        let len = STRETCH.min(end.saturating_sub(read_at));
        let source = source.clone();
        let (n, result) = to
            .stream()?
            .copy_in_order(source, read_at, write_at, len)
            .await;
        read_at += n;
        write_at += n;
        copied += n;
        if n > 0 {
            File::seek_both((from, read_at), (to, write_at)).await?;
        }
        result?;
        if n == 0 {
            return Ok(copied);
        }
    }
}

/// The error of std for a source that is no file.
fn not_a_file() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the source path is neither a regular file nor a symlink to a regular file",
    )
}
