//! A directory that goes away with all that is in it.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::Builder;
use crate::backend::sys::temporary::{self, Naming};
use crate::backend::{self, Asked, Place};
use crate::error::Context;

/// A directory that is removed, with all that is in it.
///
/// [`close`](Self::close) removes it and returns the error. Dropping removes it on the thread pool, also at the end of
/// the process, unless it was created with [`delete(false)`](Builder::delete), and has nobody to tell an error to.
///
/// Symbolic links are removed and not followed. Where a mode of a directory in it is in the way, the mode is changed.
///
/// # Examples
///
/// ```
/// use aiofiles::tempfile::TemporaryDirectory;
///
/// # futures_lite::future::block_on(async {
/// let mut dir = TemporaryDirectory::new().await?;
/// aiofiles::create_dir_all(dir.path().join("a/b")).await?;
/// dir.close().await?;
/// assert!(!dir.path().exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: Arc<Path>,
    /// `None` once somebody sees to its removal.
    tree: Option<Tree>,
    /// The removal that goes on. It gives back what it could not remove.
    closing: Option<Asked<Removed>>,
}

/// What came of a removal, with the directory if it is still there.
type Removed = thread::Result<(Option<Tree>, io::Result<()>)>;

/// A directory in the file system. Dropping it removes it, unless it is to stay.
#[derive(Debug)]
struct Tree {
    path: Arc<Path>,
    delete: bool,
    ignore_errors: bool,
}

impl Tree {
    /// Nobody is to remove it any more.
    fn stay(&mut self) {
        self.delete = false;
    }

    /// Removes the directory. Runs on a pool thread.
    fn remove(&self) -> io::Result<()> {
        match temporary::remove_tree(&self.path) {
            Err(_) if self.ignore_errors => {
                temporary::remove_what_goes(&self.path);
                Ok(())
            }
            result => result,
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.delete {
            return;
        }
        let tree = Tree {
            path: self.path.clone(),
            // It is removed once.
            delete: false,
            ignore_errors: self.ignore_errors,
        };
        // There is nobody to tell an error to.
        if backend::may_block() {
            let _ = tree.remove();
        } else {
            backend::spawn_accepted_long("remove directory", Place::of(&tree.path), move || {
                let _ = tree.remove();
            });
        }
    }
}

impl TemporaryDirectory {
    /// Creates a directory in that for temporary files. [`Builder::temporary_directory`] has options.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// * The directory for temporary files does not exist, or the process may not write there.
    /// * Some other I/O error occurred.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let dir = aiofiles::tempfile::TemporaryDirectory::new().await?;
    /// assert!(dir.path().is_absolute());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn new() -> io::Result<TemporaryDirectory> {
        Builder::new().temporary_directory().await
    }

    pub(super) async fn create(builder: &Builder) -> io::Result<TemporaryDirectory> {
        let mut tree = builder
            .create("create temporary directory in", create)
            .await?;
        tree.delete = builder.delete;
        tree.ignore_errors = builder.ignore_cleanup_errors;
        Ok(TemporaryDirectory {
            path: tree.path.clone(),
            tree: Some(tree),
            closing: None,
        })
    }

    /// The path, which is absolute. It stays the same when the directory is removed.
    #[doc(alias = "name")]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with all that is in it.
    ///
    /// It is `Ok` if it was removed already, by this or by somebody else. After an error it can be tried again.
    ///
    /// # Cancel safety
    ///
    /// The removal goes on after the future is dropped; closing again waits for it.
    ///
    /// # Errors
    ///
    /// * Something in it cannot be removed; what was removed before is gone. With
    ///   [`ignore_cleanup_errors`](Builder::ignore_cleanup_errors) that is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let mut dir = aiofiles::tempfile::TemporaryDirectory::new().await?;
    /// dir.close().await?;
    /// dir.close().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "cleanup")]
    pub async fn close(&mut self) -> io::Result<()> {
        if let Some(mut tree) = self.tree.take() {
            let (asked, closing) = Asked::new();
            self.closing = Some(asked);
            backend::spawn_accepted_long("remove directory", Place::of(&self.path), move || {
                let remove = AssertUnwindSafe(|| match tree.remove() {
                    Ok(()) => {
                        tree.stay();
                        (None, Ok(()))
                    }
                    Err(error) => (Some(tree), Err(error)),
                });
                closing.give(panic::catch_unwind(remove));
            });
        }
        let Some(closing) = &mut self.closing else {
            return Ok(());
        };
        let removed = closing.await;
        self.closing = None;
        match removed {
            Ok((tree, removed)) => {
                self.tree = tree;
                removed.on("remove directory", &self.path)
            }
            Err(panic) => panic::resume_unwind(panic),
        }
    }

    /// Makes an ordinary directory of it, and gives its path.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let path = aiofiles::tempfile::TemporaryDirectory::new().await?.keep();
    /// assert!(path.exists());
    /// aiofiles::remove_dir(path).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn keep(mut self) -> PathBuf {
        if let Some(tree) = &mut self.tree {
            tree.stay();
        }
        self.path.to_path_buf()
    }
}

/// Creates a directory. Runs on a pool thread.
fn create(naming: &Naming, dir: &Path) -> io::Result<Tree> {
    let path = temporary::create_directory(naming, dir)?;
    Ok(Tree {
        path: Arc::from(path),
        delete: true,
        ignore_errors: false,
    })
}

impl AsRef<Path> for TemporaryDirectory {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
