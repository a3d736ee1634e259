//! Walking a tree: everything below a path, with metadata, block by block.
//!
//! This is what a user names: the stream and its entries. The walk itself, which a job takes up where the last one left
//! it, is in [`walker`]. Reading one directory is in `dir.rs`.

mod walker;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_lite::Stream;

use crate::backend::{self, Place, sys};
use crate::fairness;
use crate::fs::query;
use crate::settle;

use walker::{Fetched, Walker, has_vanished};

/// How many paths one job looks at: enough that a dispatch to the pool does not matter, few enough that the two blocks
/// which a walk holds, one used up and one ahead, are small.
const BLOCK: usize = 256;

/// The first block is smaller, so that a look at a few entries costs little.
const FIRST_BLOCK: usize = 32;

/// Walks a tree: the path itself, and everything below it, with metadata.
///
/// A directory comes before its content, and the path itself comes first, with depth 0. Otherwise the order is that of
/// the file system. One dispatch to the thread pool fetches hundreds of entries and their metadata, and the next ones are
/// fetched while these are used, so an entry can be a little older than the moment it is handed out. At most 10
/// directories are open at the same time, however deep the tree is.
///
/// Symbolic links are not followed unless [`Walk::follow_links`] asks for it; only a `path` that is itself a link to a
/// directory is walked, because it was named. What is removed while the walk goes on is left out. A directory is entered
/// after it was seen to be one; the standard library gives no means to notice that somebody puts a link in its place at
/// that very moment, so a walk through a tree that an enemy may change must not be trusted to stay inside it.
///
/// This is `opendir(3)`, `getdents(2)` and `lstat(2)` (`statx(2)`).
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing. Dropping a future of `next` loses no entry.
///
/// # Errors
///
/// An error is an item of the stream and names its path; the walk goes on with the next entry.
///
/// * `path` does not exist.
/// * A directory may not be read.
/// * A followed link leads to a directory that contains it.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let mut walk = aiofiles::walk("src");
/// let (mut files, mut bytes) = (0, 0);
/// while let Some(entry) = walk.try_next().await? {
///     if entry.file_type().is_file() {
///         files += 1;
///         bytes += entry.metadata().len();
///     }
/// }
/// assert!(files > 10 && bytes > 10_000);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "os.walk")]
pub fn walk<P: AsRef<Path>>(path: P) -> Walk {
    let root = path.as_ref().to_owned();
    Walk {
        place: Place::of(&Arc::from(root.as_path())),
        fresh: Some(Walker::new(root)),
        present: Vec::new().into_iter(),
        next: None,
        settling: None,
        waited: false,
    }
}

/// A walk through a tree: a [`Stream`] of `io::Result<WalkEntry>`, made by [`walk`].
///
/// Its options are set before the first entry is asked for; after that they change nothing. After its end it stays at
/// its end.
#[must_use = "a walk does nothing until entries are asked for"]
pub struct Walk {
    place: Place,
    /// The walk itself, until the first job takes it.
    fresh: Option<Walker>,
    present: vec::IntoIter<io::Result<WalkEntry>>,
    /// The job that fetches the next block, while the present one is used up.
    next: Option<Fetch>,
    /// An entry whose bytes a dropped file still writes.
    settling: Option<Settling>,
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
}

type Fetch = Pin<Box<dyn Future<Output = Fetched> + Send + Sync>>;
type Settling = Pin<Box<dyn Future<Output = io::Result<WalkEntry>> + Send + Sync>>;

impl Walk {
    /// Whether symbolic links are followed. Then an entry that is a link has the type and the metadata of what the link
    /// leads to, and if that is a directory, its content comes too.
    ///
    /// A link that leads nowhere comes as the link it is. A link to a directory that contains it comes as an error of
    /// the kind [`Other`](io::ErrorKind::Other).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # #[cfg(unix)] {
    /// aiofiles::create_dir(dir.path().join("a")).await?;
    /// aiofiles::write(dir.path().join("a/file"), "hello").await?;
    /// aiofiles::unix::symlink("a", dir.path().join("link")).await?;
    ///
    /// assert_eq!(aiofiles::walk(dir.path()).count().await, 4);
    /// // `link/file` comes too.
    /// assert_eq!(aiofiles::walk(dir.path()).follow_links(true).count().await, 5);
    /// # }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn follow_links(self, follow: bool) -> Walk {
        self.set(|walker| walker.follow_links = follow)
    }

    /// The depth of the deepest entries that come; directories there are not entered. The path itself has depth 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// assert_eq!(aiofiles::walk("src").max_depth(0).count().await, 1);
    /// # });
    /// ```
    pub fn max_depth(self, depth: usize) -> Walk {
        self.set(|walker| walker.max_depth = depth)
    }

    /// The depth of the first entries that come; directories before that are entered and left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let without = aiofiles::walk("src").min_depth(1).count().await;
    /// assert_eq!(without + 1, aiofiles::walk("src").count().await);
    /// # });
    /// ```
    pub fn min_depth(self, depth: usize) -> Walk {
        self.set(|walker| walker.min_depth = depth)
    }

    /// Whether the walk stays on the file system of its path. Directories where another one is mounted come, and are not
    /// entered.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let here = aiofiles::walk("src").same_file_system(true).count().await;
    /// assert_eq!(here, aiofiles::walk("src").count().await);
    /// # });
    /// ```
    #[doc(alias = "one_file_system")]
    pub fn same_file_system(self, same: bool) -> Walk {
        self.set(|walker| walker.same_file_system = same)
    }

    /// Leaves out the content of directories for which `prune` returns `true`. The directories themselves come.
    ///
    /// `prune` is asked before a directory would be entered, and runs on a thread of the pool, so it may block, but it
    /// runs ahead of the entries that are handed out. If it panics, the panic goes on in the task that polls, and the
    /// walk is at its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut walk = aiofiles::walk("src").prune(|entry| entry.file_name() == "backend");
    /// while let Some(entry) = walk.try_next().await? {
    ///     assert!(!entry.path().starts_with("src/backend/sys"));
    /// }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn prune<F>(self, prune: F) -> Walk
    where
        F: FnMut(&WalkEntry) -> bool + Send + 'static,
    {
        self.set(|walker| walker.set_prune(prune))
    }

    fn set(mut self, set: impl FnOnce(&mut Walker)) -> Walk {
        if let Some(walker) = &mut self.fresh {
            set(walker);
        }
        self
    }

    /// Has a job fetch the next block.
    fn fetch(&self, walker: Walker, most: usize) -> Fetch {
        let place = self.place.clone();
        let user_code = walker.has_prune();
        let job = move || walker.advance(most);
        // A user's code may take as long as it likes, so it must not hold up the queue.
        Box::pin(if user_code {
            backend::long("walk", place, job)
        } else {
            backend::query("walk", place, job)
        })
    }

    /// The next item, as soon as it is there.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<WalkEntry>>> {
        loop {
            // Wait for the file whose entry is to come next.
            if let Some(mut settling) = self.settling.take() {
                match settling.as_mut().poll(cx) {
                    Poll::Ready(Err(error)) if has_vanished(&error) => {}
                    Poll::Ready(item) => return Poll::Ready(Some(item)),
                    Poll::Pending => {
                        self.settling = Some(settling);
                        return Poll::Pending;
                    }
                }
            }

            // Take from the present block.
            match self.present.next() {
                Some(Ok(entry)) if entry.unsettled => {
                    self.settling = Some(Box::pin(settled(entry)));
                    continue;
                }
                Some(item) => return Poll::Ready(Some(item)),
                None => {}
            }

            // Wait for the next one. The job is put back only if it is pending: were it to panic, the walk is over.
            let next = match self.fresh.take() {
                Some(walker) => Some(self.fetch(walker, FIRST_BLOCK)),
                None => self.next.take(),
            };
            let Some(mut next) = next else {
                return Poll::Ready(None);
            };
            let Poll::Ready(fetched) = next.as_mut().poll(cx) else {
                self.next = Some(next);
                return Poll::Pending;
            };
            self.present = fetched.found.into_iter();
            self.next = fetched.walker.map(|walker| self.fetch(walker, BLOCK));
        }
    }
}

impl Stream for Walk {
    type Item = io::Result<WalkEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(fairness::poll_turn(&mut self.waited, cx));
        let item = self.poll_item(cx);
        self.waited = item.is_pending();
        item
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("place", &self.place)
            .field("present", &self.present.len())
            .finish_non_exhaustive()
    }
}

/// A file or directory that a [`Walk`] found.
#[derive(Clone)]
pub struct WalkEntry {
    path: PathBuf,
    depth: usize,
    metadata: Metadata,
    /// It is a link, and the metadata is that of what it leads to.
    followed: bool,
    /// A dropped file was still writing when the metadata was asked for.
    unsettled: bool,
}

impl WalkEntry {
    /// The path: that of the walk, and the names from there on.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let paths = aiofiles::walk("src").map(|entry| entry.unwrap().into_path()).collect::<Vec<_>>().await;
    /// assert_eq!(paths[0].to_str(), Some("src"));
    /// assert!(paths.contains(&"src/lib.rs".into()));
    /// # });
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path, without a copy.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// The name: the last part of the path, or all of a path that has no name, such as `/`.
    pub fn file_name(&self) -> &OsStr {
        self.path
            .file_name()
            .unwrap_or_else(|| self.path.as_os_str())
    }

    /// How many directories lie between the path of the walk and the entry; 0 for that path itself, 1 for what is in it.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The type: that of the link, if it is one and was not followed.
    pub fn file_type(&self) -> FileType {
        self.metadata.file_type()
    }

    /// The metadata, fetched together with the entry: that of the link, if it is one and was not followed.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Whether the path is a symbolic link, followed or not.
    pub fn path_is_symlink(&self) -> bool {
        self.followed || self.metadata.is_symlink()
    }
}

impl fmt::Debug for WalkEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalkEntry")
            .field("path", &self.path)
            .field("depth", &self.depth)
            .field("file_type", &self.metadata.file_type())
            .finish_non_exhaustive()
    }
}

/// Waits for the dropped file that the entry is, and asks for its metadata again.
async fn settled(mut entry: WalkEntry) -> io::Result<WalkEntry> {
    settle::wait_for(sys::identity_of(&entry.metadata)).await;
    let ask = if entry.followed {
        sys::metadata
    } else {
        sys::symlink_metadata
    };
    entry.metadata = query(&entry.path, "walk", ask).await?;
    entry.unsettled = false;
    Ok(entry)
}
