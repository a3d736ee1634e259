//! How something temporary is to be created.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf, is_separator};
use std::sync::Arc;

use super::{NamedTemporaryFile, SpooledTemporaryFile, TemporaryDirectory, TemporaryFile};
use crate::backend::sys::temporary::Naming;
use crate::backend::{self, Place, sys};
use crate::error::Context;
use crate::open::Descriptors;

/// Options of temporary files and directories.
///
/// # Examples
///
/// ```
/// use aiofiles::tempfile::Builder;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let file = Builder::new()
///     .prefix("report-")
///     .suffix(".txt")
///     .dir(dir.path())
///     .named_temporary_file()
///     .await?;
/// let name = file.path().file_name().unwrap().to_str().unwrap();
/// assert!(name.starts_with("report-") && name.ends_with(".txt"));
/// assert_eq!(file.path().parent(), Some(dir.path()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    naming: Naming,
    dir: Option<PathBuf>,
    pub(super) delete: bool,
    pub(super) delete_on_close: bool,
    pub(super) ignore_cleanup_errors: bool,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// Names like `.tmpQ3x9bE` in the directory for temporary files of the system, and everything is removed.
    pub fn new() -> Builder {
        Builder {
            naming: Naming {
                prefix: OsString::from(".tmp"),
                suffix: OsString::new(),
                random: 6,
                permissions: None,
            },
            dir: None,
            delete: true,
            delete_on_close: true,
            ignore_cleanup_errors: false,
        }
    }

    /// What names begin with. It must not contain a separator of paths. By default `.tmp`.
    pub fn prefix<S: AsRef<OsStr> + ?Sized>(&mut self, prefix: &S) -> &mut Builder {
        self.naming.prefix = prefix.as_ref().to_owned();
        self
    }

    /// What names end with: `".txt"`. It must not contain a separator of paths. By default nothing.
    pub fn suffix<S: AsRef<OsStr> + ?Sized>(&mut self, suffix: &S) -> &mut Builder {
        self.naming.suffix = suffix.as_ref().to_owned();
        self
    }

    /// How many random characters are between prefix and suffix, 6 by default.
    ///
    /// With 0 there is only one name, and creating fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if
    /// something has it.
    pub fn rand_bytes(&mut self, rand: usize) -> &mut Builder {
        self.naming.random = rand;
        self
    }

    /// The directory in which it is created. By default that of the system for temporary files:
    /// [`std::env::temp_dir`], on Unix the variable `TMPDIR` or `/tmp`.
    #[doc(alias = "in")]
    pub fn dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Builder {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// The permissions, exactly as they are given, whatever the umask is.
    ///
    /// By default 0600 for files and 0700 for directories. Where there are no modes, creating fails with
    /// [`Unsupported`](io::ErrorKind::Unsupported).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # futures_lite::future::block_on(async {
    /// use aiofiles::unix::PermissionsExt;
    /// use aiofiles::{Permissions, tempfile::Builder};
    ///
    /// let shared = Permissions::from_mode(0o664);
    /// let file = Builder::new().permissions(shared).named_temporary_file().await?;
    /// assert_eq!(file.metadata().await?.permissions().mode() & 0o777, 0o664);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "mode")]
    pub fn permissions(&mut self, permissions: Permissions) -> &mut Builder {
        self.naming.permissions = Some(permissions);
        self
    }

    /// Whether a named file or a directory is removed when it is dropped, and a named file when it is closed. By default
    /// it is.
    #[doc(alias = "keep")]
    #[doc(alias = "disable_cleanup")]
    pub fn delete(&mut self, delete: bool) -> &mut Builder {
        self.delete = delete;
        self
    }

    /// Whether a named file is removed when it is closed already, as it is by default, or only when it is dropped. If it
    /// is not to be removed at all, this means nothing.
    pub fn delete_on_close(&mut self, delete_on_close: bool) -> &mut Builder {
        self.delete_on_close = delete_on_close;
        self
    }

    /// Whether closing a directory removes what it can and is `Ok` all the same if something is left. By default it is an
    /// error.
    pub fn ignore_cleanup_errors(&mut self, ignore: bool) -> &mut Builder {
        self.ignore_cleanup_errors = ignore;
        self
    }

    /// Creates a file that has no name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// Those of [`named_temporary_file`](Builder::named_temporary_file).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::tempfile::Builder::new().dir(dir.path()).temporary_file().await?;
    /// assert_eq!(std::fs::read_dir(dir.path())?.count(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn temporary_file(&self) -> io::Result<TemporaryFile> {
        TemporaryFile::create(self).await
    }

    /// Creates a file that has a path.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// * Prefix or suffix contain a separator of paths or a zero byte ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    /// * The directory does not exist, or the process may not write there.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let file = aiofiles::tempfile::Builder::new().suffix(".log").named_temporary_file().await?;
    /// assert!(file.path().exists());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "tempfile")]
    #[doc(alias = "mkstemp")]
    pub async fn named_temporary_file(&self) -> io::Result<NamedTemporaryFile> {
        NamedTemporaryFile::create(self).await
    }

    /// Makes a file that is in memory until it becomes longer than `max_size`. Nothing is created before that.
    ///
    /// # Errors
    ///
    /// * Prefix or suffix contain a separator of paths or a zero byte ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let file = aiofiles::tempfile::Builder::new().dir(dir.path()).spooled_temporary_file(1 << 20)?;
    /// assert!(!file.is_rolled());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn spooled_temporary_file(&self, max_size: usize) -> io::Result<SpooledTemporaryFile> {
        self.check()?;
        Ok(SpooledTemporaryFile::create(self, max_size))
    }

    /// Creates a directory.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// Those of [`named_temporary_file`](Builder::named_temporary_file).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::tempfile::Builder::new().prefix("build-").temporary_directory().await?;
    /// assert!(dir.path().is_dir());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "tempdir")]
    #[doc(alias = "mkdtemp")]
    pub async fn temporary_directory(&self) -> io::Result<TemporaryDirectory> {
        TemporaryDirectory::create(self).await
    }

    /// Refuses names that would lead elsewhere.
    fn check(&self) -> io::Result<()> {
        for (what, part) in [
            ("prefix", &self.naming.prefix),
            ("suffix", &self.naming.suffix),
        ] {
            let bytes = part.as_encoded_bytes();
            let leads_elsewhere = |byte: &u8| *byte == 0 || is_separator(char::from(*byte));
            if bytes.iter().any(leads_elsewhere) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("the {what} of a temporary name contains a separator or a zero byte"),
                ));
            }
        }
        let parts = self.naming.prefix.len() + self.naming.suffix.len();
        if parts == 0 && self.naming.random == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a temporary name needs a prefix, a suffix or random characters",
            ));
        }
        Ok(())
    }

    /// Has a job create something. A result that nobody takes removes itself.
    pub(super) async fn create<T: Send + 'static>(
        &self,
        what: &'static str,
        create: fn(&Naming, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let dir = self.place();
        self.check().on(what, &dir)?;
        let naming = Arc::new(self.naming.clone());
        let mut descriptors = Descriptors::default();
        loop {
            let (naming, own) = (naming.clone(), dir.clone());
            // Dropped before it has begun, nothing is to be created.
            let created = backend::query("create", Place::of(&dir), move || {
                now(&naming, &own, create)
            });
            match created.await {
                Err(error) if descriptors.may_come_free(&error).await => {}
                created => return created.on(what, &dir),
            }
        }
    }

    /// What a job needs to create something.
    pub(super) fn parts(&self) -> (Naming, Arc<Path>) {
        (self.naming.clone(), self.place())
    }

    fn place(&self) -> Arc<Path> {
        match &self.dir {
            Some(dir) => Arc::from(&**dir),
            None => Arc::from(::tempfile::env::temp_dir()),
        }
    }
}

/// Creates something here and now. Runs on a pool thread.
pub(super) fn now<T>(
    naming: &Naming,
    dir: &Path,
    create: fn(&Naming, &Path) -> io::Result<T>,
) -> io::Result<T> {
    match create(naming, dir) {
        // Dropped files that nobody has begun to close may hold what is missing.
        Err(error) if sys::is_out_of_descriptors(&error) && backend::pending_closes() > 0 => {
            backend::work_off_closes();
            create(naming, dir)
        }
        created => created,
    }
}
