//! Directories with those above them: created as far as they are missing, removed as far as they are empty.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{self, Place, sys};
use crate::error::Context;

/// What a new directory may be used for, before the umask takes something away.
const USUAL: u32 = 0o777;

/// Creates a directory with these permission bits, of which the umask takes some away. Windows has none.
///
/// [`create_dir`](crate::create_dir) is the same with `0o777`. This is `mkdir(2)`.
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
/// # let dir = tempfile::tempdir()?;
/// aiofiles::os::mkdir(dir.path().join("private"), 0o700).await?;
/// assert!(dir.path().join("private").is_dir());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn mkdir<P: AsRef<Path>>(path: P, mode: u32) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    backend::change("create directory", Place::of(&own), move || {
        sys::create_dir_with_mode(&own, mode)
    })
    .await
    .on("create directory", path)
}

/// Creates a directory with these permission bits, and all of its parents that are missing.
///
/// The parents get the bits `0o777`; the umask takes some away from both. With `exist_ok`, it is no error if `path` is a
/// directory already. [`create_dir_all`](crate::create_dir_all) is the same with `0o777` and `true`.
///
/// # Cancel safety
///
/// The directories may still be created after the future is dropped.
///
/// # Errors
///
/// * `path` exists and is no directory, or `exist_ok` is `false` ([`AlreadyExists`](ErrorKind::AlreadyExists)).
/// * Something above `path` exists and is no directory.
/// * Some other I/O error occurred. Parents that were created stay.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a/b/c");
/// aiofiles::os::makedirs(&path, 0o777, false).await?;
/// aiofiles::os::makedirs(&path, 0o777, true).await?;
///
/// let error = aiofiles::os::makedirs(&path, 0o777, false).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn makedirs<P: AsRef<Path>>(path: P, mode: u32, exist_ok: bool) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let create = backend::change("create directories", Place::of(&own), move || {
        create_with_parents(&own, mode, exist_ok)
    });
    create.await.on("create directory", path)
}

/// Renames a file or directory. Directories of the new path that are missing are created before, and those of the old path
/// that are empty are removed afterwards, from the innermost on, as far as that goes.
///
/// # Cancel safety
///
/// All of it may still happen after the future is dropped.
///
/// # Errors
///
/// * `old` does not exist. Directories that were created for it stay.
/// * `new` is on another file system, or is a directory that is not empty.
/// * Some other I/O error occurred. That an old directory cannot be removed is none.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("one/two/file"), dir.path().join("three/file"));
/// aiofiles::create_dir_all(old.parent().unwrap()).await?;
/// aiofiles::write(&old, "hello").await?;
/// aiofiles::os::renames(&old, &new).await?;
/// assert_eq!(aiofiles::read(&new).await?, b"hello");
/// assert!(!dir.path().join("one").exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn renames<P: AsRef<Path>, Q: AsRef<Path>>(old: P, new: Q) -> io::Result<()> {
    let (old, new) = (old.as_ref(), new.as_ref());
    let (from, to) = (Arc::<Path>::from(old), new.to_owned());
    let rename = backend::change("rename", Place::of(&from), move || {
        refuse_nul(&from)?;
        refuse_nul(&to)?;
        // An empty path and a root have nothing above them to be created.
        if let Some(parent) = to.parent()
            && !is_nothing(parent)
            && !leads_somewhere(parent)?
        {
            create_with_parents(parent, USUAL, false)?;
        }
        sys::rename(&from, &to)?;
        prune(from.parent());
        Ok(())
    });
    rename.await.on_both("rename", old, new)
}

/// Removes an empty directory, and then those above it in `path`, as long as they are empty.
///
/// A `.` in the path counts for nothing.
///
/// # Cancel safety
///
/// The directories may still be removed after the future is dropped.
///
/// # Errors
///
/// * `path` does not exist, is no directory, or is not empty.
/// * Some other I/O error occurred. That a directory above it cannot be removed is none.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # aiofiles::write(dir.path().join("file"), "").await?;
/// aiofiles::create_dir_all(dir.path().join("a/b/c")).await?;
/// aiofiles::os::removedirs(dir.path().join("a/b/c")).await?;
/// assert!(!dir.path().join("a").exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn removedirs<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let remove = backend::change("remove directories", Place::of(&own), move || {
        sys::remove_dir(&own)?;
        prune(own.parent());
        Ok(())
    });
    remove.await.on("remove directory", path)
}

/// Creates a directory and what is missing above it. Runs on a pool thread, as all that follow.
fn create_with_parents(path: &Path, mode: u32, exist_ok: bool) -> io::Result<()> {
    refuse_nul(path)?;
    // Without a `.` at its end, which is nothing that could be created.
    let normal = path.components().collect::<PathBuf>();
    let mut missing = Vec::new();
    for ancestor in normal.ancestors() {
        if is_nothing(ancestor) || leads_somewhere(ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    let Some((leaf, parents)) = missing.split_first() else {
        return create(path, mode, exist_ok);
    };
    for parent in parents.iter().rev() {
        unless_there(create(parent, USUAL, exist_ok))?;
    }
    let created = create(leaf, mode, exist_ok);
    if ends_with_dot(path) {
        // Then it counts as one of those above the `.`.
        unless_there(created)
    } else {
        created
    }
}

/// Takes it that a directory above is there: somebody else was faster, or it ends with `..` and came to be with the last one.
fn unless_there(created: io::Result<()>) -> io::Result<()> {
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

/// Whether the last name in `path` is a `.`.
fn ends_with_dot(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.ends_with(b"/.") || cfg!(windows) && bytes.ends_with(br"\.")
}

/// Refuses a path that no system call takes, before anything is created for it.
fn refuse_nul(path: &Path) -> io::Result<()> {
    match sys::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

/// Creates one directory.
fn create(path: &Path, mode: u32, exist_ok: bool) -> io::Result<()> {
    match sys::create_dir_with_mode(path, mode) {
        // Systems differ in what they say of a directory that exists, when there is also another reason.
        Err(error) if exist_ok => match sys::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Err(unknown)
                if error.kind() == ErrorKind::AlreadyExists && !tells_of_the_path(&unknown) =>
            {
                Err(unknown)
            }
            _ => Err(error),
        },
        created => created,
    }
}

/// Removes directories from the innermost on, until one cannot be removed. That is no error, but the usual end.
fn prune(innermost: Option<&Path>) {
    for directory in innermost.into_iter().flat_map(Path::ancestors) {
        if is_nothing(directory) || sys::remove_dir(directory).is_err() {
            return;
        }
    }
}

/// Whether a path is empty or a root: there is nothing to be created or removed.
fn is_nothing(path: &Path) -> bool {
    path.parent().is_none()
}

/// Whether there is something at the end of the path. What cannot be found out is an error, and no reason to create anything.
fn leads_somewhere(path: &Path) -> io::Result<bool> {
    match sys::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(_) if tells_of_the_path(&error) => Ok(false),
            // What no system was asked about is refused when it is to be created.
            None => Ok(false),
            Some(_) => Err(error),
        },
    }
}

/// Whether the error is one of the path, about which the creation of a directory has the last word.
fn tells_of_the_path(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    ) || error.raw_os_error() == sys::link_loop().raw_os_error()
}
