//! A file with a name that goes away.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, SeekFrom};
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

use ::tempfile::TempPath;
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use futures_lite::{AsyncWriteExt, FutureExt};

use super::Builder;
use super::file::forward_to_file;
use crate::backend::sys::temporary::{self, Naming, create_named};
use crate::backend::{self, Asked, Description, Place, sys};
use crate::error::Context as _;
use crate::file::File;
use crate::open::OpenOptions;
use crate::settle;

/// A temporary file that has a path, by which others can open it.
///
/// It is open for reading and writing, and dereferences to [`File`] for what else can be done with it.
///
/// | [`delete`](Builder::delete) | [`delete_on_close`](Builder::delete_on_close) | the file is removed |
/// |---|---|---|
/// | yes (default) | yes (default) | by `close`, or when the value is dropped |
/// | yes | no | when the value is dropped |
/// | no | | never |
///
/// `close` is that of `AsyncWrite`. It returns the error if the file cannot be removed, also if somebody else has removed
/// it already ([`NotFound`](ErrorKind::NotFound)). Dropping removes the file on the thread pool, also at the end of the
/// process, and has nobody to tell an error to. [`remove`](Self::remove) closes and removes in any case;
/// [`persist`](Self::persist) and [`keep`](Self::keep) make an ordinary file of it.
///
/// # Examples
///
/// ```
/// use aiofiles::tempfile::NamedTemporaryFile;
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// let mut file = NamedTemporaryFile::new().await?;
/// file.write_all(b"hello").await?;
/// file.flush().await?;
///
/// let path = file.path().to_owned();
/// assert_eq!(aiofiles::read(&path).await?, b"hello");
/// file.close().await?;
/// assert!(!path.exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct NamedTemporaryFile {
    /// Dropped before the name, so that what it has accepted is on its way by then.
    file: File,
    /// The name in the file system. `None` once somebody sees to its removal.
    name: Option<Name>,
    path: Arc<Path>,
    delete_on_close: bool,
    /// What closing and removing say, while they go on.
    closing: Option<Asked<thread::Result<io::Result<()>>>>,
}

/// The name of a temporary file. Dropping it removes the file, unless it is to stay.
#[derive(Debug)]
struct Name {
    /// `None` once the file is removed or renamed.
    path: Option<TempPath>,
    place: Place,
    /// Device and inode: others can tell by it whether bytes are on their way to the file.
    identity: (u64, u64),
    delete: bool,
}

impl Name {
    /// Removes the file. Runs on a pool thread. Whatever comes of it, it is not tried again.
    fn remove(&mut self) -> io::Result<()> {
        match self.path.take() {
            Some(path) => sys::remove_file(&path),
            None => Ok(()),
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if !self.delete || self.path.is_none() {
            return;
        }
        let mut name = Name {
            path: self.path.take(),
            place: self.place.clone(),
            identity: self.identity,
            // It is removed once.
            delete: false,
        };
        // There is nobody to tell an error to.
        if settle::lingers(name.identity) {
            backend::drive_accepted("remove", Place::anywhere(), async move {
                settle::wait_for(name.identity).await;
                let _ = name.remove();
            });
        } else if backend::may_block() {
            let _ = name.remove();
        } else {
            backend::spawn_accepted("remove", name.place.clone(), move || {
                let _ = name.remove();
            });
        }
    }
}

impl NamedTemporaryFile {
    /// Creates a file in the directory for temporary files. [`Builder::named_temporary_file`] has options.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// * The directory does not exist, or the process may not write there.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::tempfile::NamedTemporaryFile::new().await?;
    /// assert!(file.path().is_absolute());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn new() -> io::Result<NamedTemporaryFile> {
        Builder::new().named_temporary_file().await
    }

    pub(super) async fn create(builder: &Builder) -> io::Result<NamedTemporaryFile> {
        let (description, mut name) = builder.create("create temporary file in", open).await?;
        name.delete = builder.delete;
        let path = description.path().cloned();
        Ok(NamedTemporaryFile {
            file: File::from_description(description),
            name: Some(name),
            path: path.expect("it was created with one"),
            delete_on_close: builder.delete_on_close,
            closing: None,
        })
    }

    /// The path, which is absolute. It stays the same when the file is removed.
    #[doc(alias = "name")]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// The file. Closing it does not remove it.
    pub fn as_file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Opens the file once more, for reading and writing, with a position of its own.
    ///
    /// What this one has accepted is written before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaks no descriptor.
    ///
    /// # Errors
    ///
    /// * The path leads to no file, or to another one ([`NotFound`](ErrorKind::NotFound)).
    /// * Accepted bytes could not be written.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::tempfile::NamedTemporaryFile;
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # futures_lite::future::block_on(async {
    /// let mut file = NamedTemporaryFile::new().await?;
    /// file.write_all(b"hello").await?;
    ///
    /// let mut text = String::new();
    /// file.reopen().await?.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn reopen(&self) -> io::Result<File> {
        self.settle().await?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .await?;
        let opened = file.stream()?.description().facts();
        let same = match (&self.name, opened) {
            (Some(name), Some(facts)) => facts.identity == name.identity,
            _ => false,
        };
        if same {
            Ok(file)
        } else {
            Err(gone()).on("open", &self.path)
        }
    }

    /// Closes the file and removes it, also where neither closing nor dropping would.
    ///
    /// # Cancel safety
    ///
    /// The file is closed and removed all the same if the future is dropped after it was polled.
    ///
    /// # Errors
    ///
    /// * Somebody else has removed it ([`NotFound`](ErrorKind::NotFound)).
    /// * It cannot be removed. It is not tried again.
    /// * Accepted bytes could not be written, or closing failed. The file is removed all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::tempfile::Builder::new().delete(false).named_temporary_file().await?;
    /// let path = file.path().to_owned();
    /// file.remove().await?;
    /// assert!(!path.exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "unlink")]
    pub async fn remove(mut self) -> io::Result<()> {
        if let Some(name) = &mut self.name {
            name.delete = true;
        }
        self.delete_on_close = true;
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// Makes an ordinary file of it, with another path. Whatever file is there is replaced, in one step.
    ///
    /// What was accepted is written before. This is `rename(2)`, so the new path must be on the same file system.
    ///
    /// # Cancel safety
    ///
    /// The file may still be renamed after the future is dropped. If it is not, it is removed, unless it was not to be.
    ///
    /// # Errors
    ///
    /// The error holds the file, with its old path.
    ///
    /// * `path` is on another file system, or is a directory.
    /// * The file was removed ([`NotFound`](ErrorKind::NotFound)).
    /// * Accepted bytes could not be written.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::tempfile::Builder;
    /// use futures_lite::AsyncWriteExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("settings");
    /// # aiofiles::write(&path, "old").await?;
    /// let mut file = Builder::new().dir(dir.path()).named_temporary_file().await?;
    /// file.write_all(b"new").await?;
    /// file.sync_all().await?;
    /// file.persist(&path).await?;
    /// assert_eq!(aiofiles::read(&path).await?, b"new");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn persist<P: AsRef<Path>>(self, path: P) -> Result<File, PersistError> {
        self.persisted(path.as_ref(), true).await
    }

    /// Makes an ordinary file of it, with another path, where nothing may be yet.
    ///
    /// The same as [`persist`](Self::persist) otherwise. This is `renameat2(2)` where that can be told to replace
    /// nothing, and otherwise a link, after which the old path is removed.
    ///
    /// # Cancel safety
    ///
    /// The file may still be renamed after the future is dropped. If it is not, it is removed, unless it was not to be.
    ///
    /// # Errors
    ///
    /// * Something has that path ([`AlreadyExists`](ErrorKind::AlreadyExists)).
    /// * Otherwise the same as [`persist`](Self::persist).
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::tempfile::Builder;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("settings");
    /// # aiofiles::write(&path, "old").await?;
    /// let file = Builder::new().dir(dir.path()).named_temporary_file().await?;
    /// let failed = file.persist_noclobber(&path).await.unwrap_err();
    /// assert_eq!(failed.error.kind(), std::io::ErrorKind::AlreadyExists);
    /// failed.file.persist_noclobber(dir.path().join("other")).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn persist_noclobber<P: AsRef<Path>>(self, path: P) -> Result<File, PersistError> {
        self.persisted(path.as_ref(), false).await
    }

    async fn persisted(mut self, to: &Path, overwrite: bool) -> Result<File, PersistError> {
        match self.rename(to, overwrite).await {
            Ok(()) => {
                self.file.set_path(Arc::from(to));
                Ok(self.file)
            }
            Err(error) => Err(PersistError { error, file: self }),
        }
    }

    async fn rename(&mut self, to: &Path, overwrite: bool) -> io::Result<()> {
        self.settle().await?;
        let Some(mut name) = self.name.take() else {
            return Err(gone()).on_both("persist", &self.path, to);
        };
        let own = to.to_owned();
        // The job has the name meanwhile: if nobody waits any more, it removes what it could not rename.
        let (renamed, name) = backend::change("persist", name.place.clone(), move || {
            let renamed = temporary::persist(&mut name.path, &own, overwrite);
            (renamed, name)
        })
        .await;
        if renamed.is_err() {
            self.name = Some(name);
        }
        renamed.on_both("persist", &self.path, to)
    }

    /// Makes an ordinary file of it, which keeps its path.
    ///
    /// What was accepted is written before.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the file is dropped, and removed unless it was not to be.
    ///
    /// # Errors
    ///
    /// The error holds the file.
    ///
    /// * The file was removed ([`NotFound`](ErrorKind::NotFound)).
    /// * Accepted bytes could not be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::tempfile::Builder::new().dir(dir.path()).named_temporary_file().await?;
    /// let (file, path) = file.keep().await?;
    /// drop(file);
    /// assert!(path.exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn keep(mut self) -> Result<(File, PathBuf), PersistError> {
        let kept = match self.settle().await {
            Ok(()) if self.name.is_none() => Err(gone()).on("keep", &self.path),
            settled => settled,
        };
        if let Err(error) = kept {
            return Err(PersistError { error, file: self });
        }
        if let Some(name) = &mut self.name {
            name.delete = false;
        }
        let path = self.path.to_path_buf();
        Ok((self.file, path))
    }

    /// Waits until the operating system has what was accepted. A file that is closed has seen to that.
    async fn settle(&self) -> io::Result<()> {
        if !self.file.is_closed() {
            self.file.flushed().await?;
        }
        Ok(())
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Begin: from here on it closes and is removed by itself, whether or not anybody waits for it.
        let removes = |name: &mut Name| name.delete && self.delete_on_close;
        if let Some(mut name) = self.name.take_if(removes) {
            let closed = File::closed(Some(self.path.clone()));
            let mut file = std::mem::replace(&mut self.file, closed);
            let (asked, closing) = Asked::new();
            self.closing = Some(asked);
            let path = self.path.clone();
            backend::drive_accepted("close", Place::anywhere(), async move {
                let closed = AssertUnwindSafe(file.close()).catch_unwind().await;
                // This is a job of the pool.
                let removed = panic::catch_unwind(AssertUnwindSafe(|| name.remove()));
                closing.give(match (closed, removed) {
                    (Ok(closed), Ok(removed)) => Ok(closed.and(removed.on("remove file", &path))),
                    (Err(panic), _) | (_, Err(panic)) => Err(panic),
                });
            });
        }
        let Some(closing) = &mut self.closing else {
            return Pin::new(&mut self.file).poll_close(cx);
        };
        let result = ready!(Pin::new(closing).poll(cx));
        self.closing = None;
        match result {
            Ok(result) => Poll::Ready(result),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

/// Creates a file with a name. Runs on a pool thread.
fn open(naming: &Naming, dir: &Path) -> io::Result<(Arc<Description>, Name)> {
    // Until all is well, the path removes the file when it is dropped.
    let (file, mut path) = create_named(naming, dir)?;
    let description = Description::foreign_at(file, Arc::from(&*path));
    let facts = description.probe()?;
    path.disable_cleanup(true);
    let name = Name {
        path: Some(path),
        place: Place::device(facts.identity.0),
        identity: facts.identity,
        delete: true,
    };
    Ok((description, name))
}

fn gone() -> io::Error {
    io::Error::new(
        ErrorKind::NotFound,
        "the temporary file is not there any more",
    )
}

impl Deref for NamedTemporaryFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl AsRef<Path> for NamedTemporaryFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

forward_to_file!(NamedTemporaryFile);

/// Why a temporary file could not become an ordinary one, and the file.
#[derive(Debug)]
pub struct PersistError<F = NamedTemporaryFile> {
    /// Why it failed.
    pub error: io::Error,
    /// The file, as it was before.
    pub file: F,
}

impl<F> fmt::Display for PersistError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F: fmt::Debug> Error for PersistError<F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<F> From<PersistError<F>> for io::Error {
    fn from(error: PersistError<F>) -> io::Error {
        error.error
    }
}
