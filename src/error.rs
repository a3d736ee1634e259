//! Errors that name what was tried and on which path.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What failed, on which path, and why.
///
/// Functions of this crate that take a path return an [`io::Error`] of the kind that std gives, with a `PathError`
/// inside. An `io::Error` cannot carry both a text and an OS error code, so [`io::Error::raw_os_error`] is `None` for
/// such an error; [`PathError::raw_os_error`], or the function [`raw_os_error`] for any error, has the code.
///
/// Operations on an open file return std's error untouched.
///
/// # Examples
///
/// ```
/// use aiofiles::PathError;
///
/// # futures_lite::future::block_on(async {
/// let error = aiofiles::read("no/such.file").await.unwrap_err();
///
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// # #[cfg(unix)]
/// assert_eq!(error.to_string(), "failed to read `no/such.file`: No such file or directory (os error 2)");
///
/// let detail = PathError::of(&error).unwrap();
/// assert_eq!(detail.op(), "read");
/// assert_eq!(detail.path().to_str(), Some("no/such.file"));
/// # #[cfg(unix)]
/// assert_eq!(detail.raw_os_error(), Some(2));
/// # });
/// ```
pub struct PathError {
    op: &'static str,
    path: PathBuf,
    to: Option<PathBuf>,
    error: io::Error,
}

impl PathError {
    /// Finds the `PathError` inside `error`.
    pub fn of(error: &io::Error) -> Option<&PathError> {
        error.get_ref()?.downcast_ref()
    }

    /// What was tried: `"open"`, `"rename"`.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// The path it was tried on; the first one of two.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The second path of operations that have two.
    pub fn to(&self) -> Option<&Path> {
        self.to.as_deref()
    }

    /// The error as std gives it.
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }

    /// The error code of the operating system.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {} `{}`", self.op, self.path.display())?;
        if let Some(to) = &self.to {
            write!(f, " to `{}`", to.display())?;
        }
        write!(f, ": {}", self.error)
    }
}

impl fmt::Debug for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PathError");
        debug.field("op", &self.op).field("path", &self.path);
        if let Some(to) = &self.to {
            debug.field("to", to);
        }
        debug.field("error", &self.error).finish()
    }
}

impl Error for PathError {
    /// The text of the cause is part of this error's, so the chain goes on behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// The error code of the operating system in `error`, also if the error names a path.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let error = aiofiles::File::open("no/such.file").await.unwrap_err();
/// assert_eq!(error.raw_os_error(), None);
/// # #[cfg(unix)]
/// assert_eq!(aiofiles::raw_os_error(&error), Some(2));
/// # });
/// ```
pub fn raw_os_error(error: &io::Error) -> Option<i32> {
    error
        .raw_os_error()
        .or_else(|| PathError::of(error)?.raw_os_error())
}

/// Puts the operation and the path into an error.
pub(crate) trait Context<T> {
    /// For an operation on one path.
    fn on(self, op: &'static str, path: &Path) -> io::Result<T>;

    /// For an operation on two paths.
    fn on_both(self, op: &'static str, path: &Path, to: &Path) -> io::Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn on(self, op: &'static str, path: &Path) -> io::Result<T> {
        self.map_err(|error| wrap(op, path, None, error))
    }

    fn on_both(self, op: &'static str, path: &Path, to: &Path) -> io::Result<T> {
        self.map_err(|error| wrap(op, path, Some(to), error))
    }
}

#[cold]
fn wrap(op: &'static str, path: &Path, to: Option<&Path>, error: io::Error) -> io::Error {
    let kind = error.kind();
    io::Error::new(
        kind,
        PathError {
            op,
            path: path.to_owned(),
            to: to.map(Path::to_owned),
            error,
        },
    )
}

/// An error that says the same.
pub(crate) fn same_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_are_named_and_the_code_is_kept() {
        let error: io::Result<()> = Err(io::Error::from_raw_os_error(18));
        let error = error
            .on_both("rename", Path::new("a"), Path::new("b"))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("failed to rename `a` to `b`: ")
        );
        assert_eq!(raw_os_error(&error), Some(18));
        assert_eq!(error.kind(), io::Error::from_raw_os_error(18).kind());
        assert_eq!(
            PathError::of(&error).and_then(PathError::to),
            Some(Path::new("b"))
        );
    }
}
