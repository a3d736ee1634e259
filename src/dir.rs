//! Directories: creating them, and reading them block by block.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use futures_lite::Stream;

use crate::backend::delegate::{self, DirOptions};
use crate::backend::{self, Place, sys};
use crate::error::Context as _;
use crate::fairness;
use crate::settle;

/// Creates directories, with options.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// aiofiles::DirBuilder::new().recursive(true).create(dir.path().join("a/b")).await?;
/// assert!(dir.path().join("a/b").is_dir());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct DirBuilder {
    options: DirOptions,
}

impl DirBuilder {
    /// A builder that creates one directory with the default permissions.
    pub fn new() -> DirBuilder {
        DirBuilder::default()
    }

    /// Whether missing parents are created too. Then it is no error if the directory exists.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.options.recursive = recursive;
        self
    }

    /// Creates a directory.
    ///
    /// This is `mkdir(2)`.
    ///
    /// # Cancel safety
    ///
    /// The directory may still be created after the future is dropped.
    ///
    /// # Errors
    ///
    /// * The directory exists and `recursive` is off, or its parent does not exist.
    /// * Some other I/O error occurred.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> impl Future<Output = io::Result<()>> + use<P> {
        let path = path.as_ref().to_owned();
        let options = self.options;
        async move {
            let created = delegate::create_dir(options, path.clone()).await;
            created.on("create directory", &path)
        }
    }

    #[cfg(unix)]
    pub(crate) fn set_mode(&mut self, mode: u32) {
        self.options.mode = Some(mode);
    }
}

/// How many entries one job fetches: enough that a dispatch to the pool does not matter, few enough that the first ones
/// come soon.
const BLOCK: usize = 512;

/// The first block is smaller, so that a look at a few entries costs little.
const FIRST_BLOCK: usize = 64;

/// How many blocks a job fetches ahead before it leaves, and with how many left another is called.
const AHEAD: usize = 3;
const FEW: usize = 1;

/// Reads a directory.
///
/// The entries come in the order in which the file system has them, without `.` and `..`. One dispatch to the thread
/// pool fetches hundreds of them, with their types.
///
/// This is `getdents(2)`.
///
/// # Cancel safety
///
/// Cancel safe: it changes nothing.
///
/// # Errors
///
/// * `path` does not exist, is no directory, or may not be read.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let mut entries = aiofiles::read_dir("src").await?;
/// let mut names = Vec::new();
/// while let Some(entry) = entries.try_next().await? {
///     names.push(entry.file_name());
/// }
/// assert!(names.iter().any(|name| name == "lib.rs"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let opened = backend::query("read directory", Place::of(&own), move || {
        let open = Arc::new(OpenDir {
            entries: Mutex::new(Some(sys::read_dir(&own)?)),
            place: Place::of(&own),
            ahead: Mutex::default(),
        });
        let first = open.fetch(FIRST_BLOCK);
        Ok((open, first))
    });
    let (open, first) = opened.await.on("read directory", path)?;
    let mut dir = ReadDir {
        open: Some(open),
        present: Arc::default(),
        used: 0,
        error: None,
        waited: false,
    };
    dir.take(first);
    Ok(dir)
}

/// The entries of a directory: a [`Stream`] of `io::Result<DirEntry>`, made by [`read_dir`].
///
/// After its end it stays at its end. An error ends it too.
pub struct ReadDir {
    /// `None` once there are no further entries to fetch.
    open: Option<Arc<OpenDir>>,
    present: Arc<Block>,
    /// How many entries of the present block were handed out.
    used: usize,
    /// What ended the present block, if it was no end.
    error: Option<io::Error>,
    /// The last poll was pending, so the next one must not yield.
    waited: bool,
}

impl ReadDir {
    /// Makes a block the present one, and has further ones fetched, if there are any.
    fn take(&mut self, fetched: Fetched) {
        let used_up = std::mem::replace(&mut self.present, Arc::new(fetched.block));
        self.used = 0;
        self.error = fetched.error;
        if !fetched.more {
            self.open = None;
        }
        if let Some(open) = &self.open {
            open.call(used_up);
        }
    }
}

impl Drop for ReadDir {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            let mut ahead = open.ahead();
            ahead.abandoned = true;
            let waker = ahead.waker.take();
            // Dropping a waker may drop its task: not under the lock.
            drop(ahead);
            drop(waker);
        }
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(fairness::poll_turn(&mut self.waited, cx));
        let item = self.poll_entry(cx);
        self.waited = item.is_pending();
        item
    }
}

impl ReadDir {
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<DirEntry>>> {
        loop {
            if self.used < self.present.entries.len() {
                self.used += 1;
                let entry = DirEntry {
                    block: self.present.clone(),
                    index: self.used - 1,
                };
                return Poll::Ready(Some(Ok(entry)));
            }
            if let Some(error) = self.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(open) = &self.open else {
                return Poll::Ready(None);
            };
            match ready!(open.poll_fetched(cx)) {
                Ok(fetched) => self.take(fetched),
                Err(panic) => {
                    self.open = None;
                    panic::resume_unwind(panic);
                }
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.open.as_ref().map(|open| &open.place);
        f.debug_struct("ReadDir")
            .field("place", &path)
            .field("present", &(self.present.entries.len() - self.used))
            .finish_non_exhaustive()
    }
}

/// A directory that is being read. Its descriptor is closed on the pool, whoever lets go of it last.
struct OpenDir {
    /// Held by the job while it fetches.
    entries: Mutex<Option<std::fs::ReadDir>>,
    place: Place,
    ahead: Mutex<Ahead>,
}

/// What a job fetches while the present block is used.
#[derive(Default)]
struct Ahead {
    blocks: VecDeque<thread::Result<Fetched>>,
    /// A job fetches more.
    fetching: bool,
    /// Nobody wants it any more.
    abandoned: bool,
    /// Blocks that were used up: dropped by the job, which saves a dispatch.
    used_up: Vec<Arc<Block>>,
    waker: Option<Waker>,
}

/// What was fetched at once.
struct Fetched {
    block: Block,
    /// What ended it, if it was no end.
    error: Option<io::Error>,
    /// There may be further ones.
    more: bool,
}

/// An entry as std has it, and its type.
struct Entry {
    std: std::fs::DirEntry,
    file_type: Result<FileType, i32>,
}

impl OpenDir {
    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a block back that was used up, and calls a job if few are ahead.
    fn call(self: &Arc<Self>, used_up: Arc<Block>) {
        let mut ahead = self.ahead();
        ahead.used_up.push(used_up);
        let ended = ahead.blocks.back().is_some_and(|last| !has_more(last));
        if ahead.fetching || ended || ahead.blocks.len() > FEW {
            return;
        }
        ahead.fetching = true;
        drop(ahead);
        self.spawn();
    }

    fn spawn(self: &Arc<Self>) {
        let open = self.clone();
        backend::spawn("read directory", self.place.clone(), move || open.run());
    }

    /// The next block, or the panic of the job that was to fetch it.
    fn poll_fetched(&self, cx: &mut Context<'_>) -> Poll<thread::Result<Fetched>> {
        let mut ahead = self.ahead();
        if let Some(fetched) = ahead.blocks.pop_front() {
            return Poll::Ready(fetched);
        }
        let replaced = ahead.waker.replace(cx.waker().clone());
        // Dropping a waker may drop its task: not under the lock.
        drop(ahead);
        drop(replaced);
        Poll::Pending
    }

    /// The job: fetches block after block until enough are ahead.
    fn run(self: Arc<Self>) {
        loop {
            backend::still_moving();
            if self.ahead().abandoned {
                return;
            }
            let fetched = panic::catch_unwind(AssertUnwindSafe(|| self.fetch(BLOCK)));
            let (goes_on, used_up, waker) = {
                let mut ahead = self.ahead();
                ahead.fetching = has_more(&fetched) && ahead.blocks.len() + 1 < AHEAD;
                ahead.blocks.push_back(fetched);
                let used_up = std::mem::take(&mut ahead.used_up);
                (ahead.fetching, used_up, ahead.waker.take())
            };
            if let Some(waker) = waker {
                backend::wake(waker);
            }
            drop(used_up);
            // Step aside if others wait for this thread.
            if goes_on && backend::somebody_waits() {
                return self.spawn();
            }
            if !goes_on {
                return;
            }
        }
    }

    /// Fetches up to `most` entries with their types. Runs on a pool thread: some file systems have to be asked for the
    /// type.
    fn fetch(&self, most: usize) -> Fetched {
        let mut open = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::with_capacity(most);
        let mut error = None;
        let mut more = true;
        while more && entries.len() < most {
            match open.as_mut().and_then(sys::next_entry) {
                Some(Ok(std)) => {
                    let file_type =
                        sys::entry_type(&std).map_err(|error| error.raw_os_error().unwrap_or(0));
                    entries.push(Entry { std, file_type });
                }
                ended => {
                    error = ended.and_then(Result::err);
                    more = false;
                    *open = None;
                }
            }
        }
        Fetched {
            block: Block { entries },
            error,
            more,
        }
    }
}

fn has_more(fetched: &thread::Result<Fetched>) -> bool {
    fetched.as_ref().is_ok_and(|fetched| fetched.more)
}

impl Drop for OpenDir {
    fn drop(&mut self) {
        let entries = self
            .entries
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let ahead = std::mem::take(self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner));
        if entries.is_some() || !ahead.blocks.is_empty() || !ahead.used_up.is_empty() {
            backend::drop_elsewhere((entries, ahead));
        }
    }
}

/// Entries that were fetched together. They keep the directory open, so they are dropped on the pool, all at once.
#[derive(Default)]
struct Block {
    entries: Vec<Entry>,
}

impl Drop for Block {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            backend::drop_elsewhere(std::mem::take(&mut self.entries));
        }
    }
}

/// An entry of a directory.
///
/// It keeps the entries that were fetched together with it in memory, a few hundred at most, and the directory open.
#[derive(Clone)]
pub struct DirEntry {
    block: Arc<Block>,
    index: usize,
}

impl DirEntry {
    fn entry(&self) -> &Entry {
        &self.block.entries[self.index]
    }

    fn std(&self) -> &std::fs::DirEntry {
        &self.entry().std
    }

    /// The path of the entry: the directory's path as it was given, and the name.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let entry = aiofiles::read_dir("src").await?.next().await.unwrap()?;
    /// assert!(entry.path().starts_with("src"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn path(&self) -> PathBuf {
        self.std().path()
    }

    /// The name of the entry.
    pub fn file_name(&self) -> OsString {
        self.std().file_name()
    }

    /// The metadata of the entry itself, also if it is a symbolic link.
    ///
    /// This is `fstatat(2)`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The entry has gone.
    /// * Some other I/O error occurred.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let path = Arc::<Path>::from(self.path());
        let mut asked_again = false;
        loop {
            // A dropped file may still be writing; then the size is not what was accepted. It may also come to its end
            // between the two looks, so what was asked while anything lingered is asked once more.
            let doubtful = settle::anything();
            let entry = self.clone();
            let asked = backend::query("metadata", Place::of(&path), move || {
                sys::entry_metadata(entry.std())
            });
            let metadata = asked.await.on("query metadata of", &path)?;
            let identity = sys::identity_of(&metadata);
            if settle::lingers(identity) {
                settle::wait_for(identity).await;
            } else if !doubtful || asked_again {
                return Ok(metadata);
            } else {
                asked_again = true;
            }
        }
    }

    /// The type of the entry itself, also if it is a symbolic link. It came with the entry, without a dispatch.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file system did not tell the type, and asking for it failed.
    pub async fn file_type(&self) -> io::Result<FileType> {
        self.entry()
            .file_type
            .map_err(io::Error::from_raw_os_error)
            .on("query the type of", &self.path())
    }

    #[cfg(unix)]
    pub(crate) fn inode(&self) -> u64 {
        std::os::unix::fs::DirEntryExt::ino(self.std())
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.path()).finish()
    }
}
