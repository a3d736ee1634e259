//! An open directory, and what is named relative to it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File as StdFile, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use crate::backend::{self, Description, Place, sys};
use crate::error::Context;
use crate::file::File;
use crate::open::{OpenOptions, open_patiently};
use crate::os::AccessMode;
use crate::settle;
use sys::dirfd;

/// An open directory: paths that are given to its methods begin there.
///
/// It is the directory that counts and not its name: all of it goes on working when the directory, or one above it, is
/// renamed or replaced by another. An absolute path is taken as it is, and `..` and symbolic links may lead out of the
/// directory, so this does not keep anybody in.
///
/// The `*at` system calls do that, on the thread pool. Dropping it closes the descriptor, on the pool too. Errors name
/// the path under which the directory was opened, with the other path behind it.
///
/// # Examples
///
/// ```
/// use aiofiles::unix::Dir;
/// use futures_lite::AsyncWriteExt;
///
/// # futures_lite::future::block_on(async {
/// # let temp = tempfile::tempdir()?;
/// # let (old, new) = (temp.path().join("old"), temp.path().join("new"));
/// # aiofiles::create_dir(&old).await?;
/// let dir = Dir::open(&old).await?;
/// aiofiles::rename(&old, &new).await?;
///
/// let options = aiofiles::OpenOptions::new().write(true).create(true).clone();
/// let mut file = dir.open_file_with("a.txt", &options).await?;
/// file.write_all(b"hello").await?;
/// file.close().await?;
/// dir.sync_all().await?;
/// assert_eq!(aiofiles::read(new.join("a.txt")).await?, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "dir_fd")]
pub struct Dir {
    description: Arc<Description>,
    /// Under which it was opened; empty if somebody else did that.
    path: Arc<Path>,
}

impl Dir {
    /// Opens a directory.
    ///
    /// This is `open(2)`.
    ///
    /// # Cancel safety
    ///
    /// A dropped `open` leaks no descriptor.
    ///
    /// # Errors
    ///
    /// * `path` does not exist, is no directory, or may not be read.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let src = aiofiles::unix::Dir::open("src").await?;
    /// assert!(src.metadata("lib.rs").await?.is_file());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open<P: AsRef<Path>>(path: P) -> io::Result<Dir> {
        let path = Arc::<Path>::from(path.as_ref());
        let own = path.clone();
        let open = move || dirfd::open_dir(&own);
        opened(path, open).await
    }

    /// Opens a directory relative to this one.
    ///
    /// This is `openat(2)`.
    ///
    /// # Cancel safety
    ///
    /// A dropped `open_dir` leaks no descriptor.
    ///
    /// # Errors
    ///
    /// The same as [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let text = aiofiles::unix::Dir::open("src").await?.open_dir("text").await?;
    /// assert!(text.metadata("mod.rs").await?.is_file());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open_dir<P: AsRef<Path>>(&self, path: P) -> io::Result<Dir> {
        let own = path.as_ref().to_owned();
        let description = self.description.clone();
        let full = Arc::from(self.path.join(&own));
        let open = move || dirfd::open_dir_at(description.file(), &own);
        opened(full, open).await
    }

    /// Opens a file for reading.
    ///
    /// The same as [`open_file_with`](Self::open_file_with) otherwise.
    ///
    /// # Cancel safety
    ///
    /// A dropped `open_file` leaks no descriptor.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncReadExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::unix::Dir::open(".").await?;
    /// let mut manifest = String::new();
    /// dir.open_file("Cargo.toml").await?.read_to_string(&mut manifest).await?;
    /// assert!(manifest.contains("aiofiles"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open_file<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        self.open_file_with(path, &options).await
    }

    /// Opens a file with options.
    ///
    /// This is `openat(2)`; the same as [`OpenOptions::open`] otherwise. [`File::path`] tells the path under which this
    /// directory was opened, with `path` behind it.
    ///
    /// # Cancel safety
    ///
    /// A dropped `open_file_with` leaks no descriptor. The file may have been created or truncated.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// let options = aiofiles::OpenOptions::new().write(true).create_new(true).clone();
    /// dir.open_file_with("new", &options).await?;
    /// assert!(dir.open_file_with("new", &options).await.is_err());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open_file_with<P: AsRef<Path>>(
        &self,
        path: P,
        options: &OpenOptions,
    ) -> io::Result<File> {
        let path = path.as_ref();
        let full = Arc::<Path>::from(self.path.join(path));
        options
            .open_in(&self.description, path, full.clone())
            .await
            .on("open", &full)
    }

    /// The metadata of what `path` leads to; that of the directory itself for `"."`.
    ///
    /// Bytes that a dropped [`File`] has accepted and not written yet are waited for. This is `openat(2)` with `O_PATH`, and
    /// `fstat(2)`. On Apple's systems, the directory is asked for its present path first. It is not supported elsewhere
    /// than there and on Linux, Android and FreeBSD.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The path does not exist, or the process may not search one of its directories.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::unix::Dir::open("src").await?;
    /// assert!(dir.metadata("lib.rs").await?.is_file());
    /// assert!(dir.metadata(".").await?.is_dir());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "fstatat")]
    pub async fn metadata<P: AsRef<Path>>(&self, path: P) -> io::Result<Metadata> {
        self.metadata_of(path.as_ref(), true).await
    }

    /// The metadata of `path` itself, also if it is a symbolic link.
    ///
    /// The same as [`metadata`](Self::metadata) otherwise.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// The same as [`metadata`](Self::metadata).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::unix::Dir::open("src").await?;
    /// assert!(!dir.symlink_metadata("lib.rs").await?.is_symlink());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn symlink_metadata<P: AsRef<Path>>(&self, path: P) -> io::Result<Metadata> {
        self.metadata_of(path.as_ref(), false).await
    }

    async fn metadata_of(&self, path: &Path, follow: bool) -> io::Result<Metadata> {
        let (dir, own) = (self.description.clone(), path.to_owned());
        settle::reached(self.place(), move || dirfd::identity(dir.file(), &own)).await;
        self.query(path, "query metadata of", move |dir, path| {
            open_patiently(|| dirfd::metadata(dir, path, follow))
        })
        .await
    }

    /// Whether the process has all of these rights on what `path` leads to; see [`os::access`](crate::os::access).
    ///
    /// This is `faccessat(2)`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::os::AccessMode;
    ///
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::unix::Dir::open("src").await?;
    /// assert!(dir.access("lib.rs", AccessMode::READ).await);
    /// assert!(!dir.access("no.file", AccessMode::EXISTS).await);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "faccessat")]
    pub async fn access<P: AsRef<Path>>(&self, path: P, mode: AccessMode) -> bool {
        let ask = move |dir: &StdFile, path: &Path| sys::access_at(dir, path, mode.0);
        let asked = self.query(path.as_ref(), "query the access to", ask);
        asked.await.is_ok()
    }

    /// Creates a directory.
    ///
    /// This is `mkdirat(2)`.
    ///
    /// # Cancel safety
    ///
    /// The directory may still be created after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `path` exists, or its parent does not.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.create_dir("new").await?;
    /// assert!(temp.path().join("new").is_dir());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "mkdirat")]
    pub async fn create_dir<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.create_dir_with_mode(path, 0o777).await
    }

    /// Creates a directory with these permission bits, of which the umask takes some away.
    ///
    /// The same as [`create_dir`](Self::create_dir) otherwise.
    ///
    /// # Cancel safety
    ///
    /// The directory may still be created after the future is dropped.
    ///
    /// # Errors
    ///
    /// The same as [`create_dir`](Self::create_dir).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.create_dir_with_mode("private", 0o700).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn create_dir_with_mode<P: AsRef<Path>>(&self, path: P, mode: u32) -> io::Result<()> {
        let create = move |dir: &StdFile, path: &Path| dirfd::create_dir(dir, path, mode);
        self.change(path.as_ref(), "create directory", create).await
    }

    /// Removes a file. A symbolic link is removed, and not what it points to.
    ///
    /// This is `unlinkat(2)`.
    ///
    /// # Cancel safety
    ///
    /// The file may still be removed after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `path` does not exist or is a directory.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// # aiofiles::write(temp.path().join("a.txt"), "").await?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.remove_file("a.txt").await?;
    /// assert!(!temp.path().join("a.txt").exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "unlinkat")]
    pub async fn remove_file<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.change(path.as_ref(), "remove file", dirfd::remove_file)
            .await
    }

    /// Removes an empty directory.
    ///
    /// This is `unlinkat(2)` with `AT_REMOVEDIR`.
    ///
    /// # Cancel safety
    ///
    /// The directory may still be removed after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `path` does not exist, is no directory, or is not empty.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.create_dir("new").await?;
    /// dir.remove_dir("new").await?;
    /// assert!(!temp.path().join("new").exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn remove_dir<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.change(path.as_ref(), "remove directory", dirfd::remove_dir)
            .await
    }

    /// Renames a file or directory of this one to a path relative to `to_dir`. A file there is replaced in one step.
    ///
    /// This is `renameat(2)`.
    ///
    /// # Cancel safety
    ///
    /// The renaming may still happen after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `from` does not exist.
    /// * `to` is on another file system, or is a directory that is not empty.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// # aiofiles::write(temp.path().join("one"), "hello").await?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.rename("one", &dir, "other").await?;
    /// assert_eq!(std::fs::read(temp.path().join("other"))?, b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "renameat")]
    pub async fn rename<P: AsRef<Path>, Q: AsRef<Path>>(
        &self,
        from: P,
        to_dir: &Dir,
        to: Q,
    ) -> io::Result<()> {
        self.change_both(from.as_ref(), to_dir, to.as_ref(), "rename", dirfd::rename)
            .await
    }

    /// Creates a hard link to a file of this directory, at a path relative to `to_dir`.
    ///
    /// This is `linkat(2)`. A symbolic link is linked itself.
    ///
    /// # Cancel safety
    ///
    /// The link may still be created after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `from` does not exist or is a directory.
    /// * `to` exists, or is on another file system.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// # aiofiles::write(temp.path().join("one"), "hello").await?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.hard_link("one", &dir, "other").await?;
    /// assert_eq!(std::fs::read(temp.path().join("other"))?, b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "linkat")]
    pub async fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(
        &self,
        from: P,
        to_dir: &Dir,
        to: Q,
    ) -> io::Result<()> {
        self.change_both(from.as_ref(), to_dir, to.as_ref(), "link", dirfd::hard_link)
            .await
    }

    /// Creates a symbolic link at `link` that points to `target`, whatever that is.
    ///
    /// This is `symlinkat(2)`.
    ///
    /// # Cancel safety
    ///
    /// The link may still be created after the future is dropped.
    ///
    /// # Errors
    ///
    /// * `link` exists.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.symlink("a.txt", "link").await?;
    /// assert_eq!(dir.read_link("link").await?.to_str(), Some("a.txt"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "symlinkat")]
    pub async fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(
        &self,
        target: P,
        link: Q,
    ) -> io::Result<()> {
        let (target, link) = (target.as_ref(), link.as_ref());
        let (dir, text, name) = (self.description.clone(), target.to_owned(), link.to_owned());
        let create = move || dirfd::symlink(&text, dir.file(), &name);
        backend::change("link symbolically", self.place(), create)
            .await
            .on_both("link", target, &self.path.join(link))
    }

    /// The path that a symbolic link points to.
    ///
    /// This is `readlinkat(2)`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * `path` does not exist, or is no symbolic link.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::unix::Dir::open("src").await?;
    /// let error = dir.read_link("lib.rs").await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readlinkat")]
    pub async fn read_link<P: AsRef<Path>>(&self, path: P) -> io::Result<std::path::PathBuf> {
        self.query(path.as_ref(), "read link", dirfd::read_link)
            .await
    }

    /// The names of what is in the directory, without `.` and `..`, in the order in which the file system has them.
    ///
    /// It may be called any number of times, also at once. This is `getdents(2)`, in a job of its own.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// * The process has too many open files: reading takes a descriptor of its own.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let names = aiofiles::unix::Dir::open("src").await?.names().await?;
    /// assert!(names.iter().any(|name| name == "lib.rs"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "listdir")]
    #[doc(alias = "read_dir")]
    pub async fn names(&self) -> io::Result<Vec<OsString>> {
        let dir = self.description.clone();
        let read = move || open_patiently(|| dirfd::names(dir.file()));
        backend::long("read directory", self.place(), read)
            .await
            .on("read directory", &self.path)
    }

    /// Waits until the names in the directory are on the device: those of new files, and that others are gone.
    ///
    /// What is in the files needs a [`File::sync_all`] of each. A sync that failed is final, as that of a file. This is
    /// `fsync(2)`.
    ///
    /// # Cancel safety
    ///
    /// The sync goes on after the future is dropped.
    ///
    /// # Errors
    ///
    /// * The device failed.
    /// * The file system does not sync directories ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let temp = tempfile::tempdir()?;
    /// let dir = aiofiles::unix::Dir::open(temp.path()).await?;
    /// dir.create_dir("new").await?;
    /// dir.sync_all().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "fsync")]
    #[doc(alias = "sync")]
    pub async fn sync_all(&self) -> io::Result<()> {
        let dir = self.description.clone();
        backend::long("sync", self.place(), move || dir.sync(false)).await
    }

    fn place(&self) -> Place {
        Place::of(&self.path)
    }

    /// Asks something about a path.
    async fn query<T: Send + 'static>(
        &self,
        path: &Path,
        op: &'static str,
        ask: impl FnOnce(&StdFile, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (dir, own) = (self.description.clone(), path.to_owned());
        backend::query(op, self.place(), move || ask(dir.file(), &own))
            .await
            .on(op, &self.path.join(path))
    }

    /// Changes something about a path.
    async fn change(
        &self,
        path: &Path,
        op: &'static str,
        change: impl FnOnce(&StdFile, &Path) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (dir, own) = (self.description.clone(), path.to_owned());
        backend::change(op, self.place(), move || change(dir.file(), &own))
            .await
            .on(op, &self.path.join(path))
    }

    /// Changes something about two paths.
    async fn change_both(
        &self,
        from: &Path,
        to_dir: &Dir,
        to: &Path,
        op: &'static str,
        change: fn(&StdFile, &Path, &StdFile, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let (dir, own) = (self.description.clone(), from.to_owned());
        let (other, new) = (to_dir.description.clone(), to.to_owned());
        backend::change(op, self.place(), move || {
            change(dir.file(), &own, other.file(), &new)
        })
        .await
        .on_both(op, &self.path.join(from), &to_dir.path.join(to))
    }
}

/// A directory that `open` opens on the pool.
async fn opened(
    path: Arc<Path>,
    open: impl Fn() -> io::Result<StdFile> + Send + 'static,
) -> io::Result<Dir> {
    let own = path.clone();
    // What is opened is a description at once: if nobody waits any more, it is closed on the pool.
    let open = backend::query("open", Place::of(&path), move || {
        let file = open_patiently(open)?;
        Ok(Description::foreign_at(file, own))
    });
    let description = open.await.on("open", &path)?;
    Ok(Dir { description, path })
}

/// Takes over the descriptor of a directory. No system call is made; if it is none of a directory, the first operation
/// says so. Errors name only the path that is given to the operation.
impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Dir {
        Dir {
            description: Description::foreign(StdFile::from(fd)),
            path: Arc::from(Path::new("")),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.description.file().as_fd()
    }
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.description.file().as_raw_fd()
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir")
            .field("path", &self.path)
            .field("descriptor", &self.as_raw_fd())
            .finish()
    }
}
