//! What the process may do with a path.

use std::ops::{BitOr, BitOrAssign};
use std::path::Path;
use std::sync::Arc;

use crate::backend::{self, Place, sys};

/// What [`access`] asks for: rights, put together with `|`.
///
/// # Examples
///
/// ```
/// use aiofiles::os::AccessMode;
///
/// let both = AccessMode::READ | AccessMode::WRITE;
/// assert_ne!(both, AccessMode::READ);
/// assert_eq!(both | AccessMode::EXISTS, both);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccessMode(pub(crate) sys::Rights);

impl AccessMode {
    /// No right: whether it exists.
    #[doc(alias = "F_OK")]
    pub const EXISTS: AccessMode = AccessMode(NONE);

    /// To read a file, or the names in a directory.
    #[doc(alias = "R_OK")]
    pub const READ: AccessMode = AccessMode(sys::Rights { read: true, ..NONE });

    /// To write a file, or to change what is in a directory.
    #[doc(alias = "W_OK")]
    pub const WRITE: AccessMode = AccessMode(sys::Rights {
        write: true,
        ..NONE
    });

    /// To execute a file, or to reach what is in a directory.
    #[doc(alias = "X_OK")]
    pub const EXECUTE: AccessMode = AccessMode(sys::Rights {
        execute: true,
        ..NONE
    });

    /// Asks for the rights of the effective user and group, which decide what the process may do, rather than for those
    /// of the real ones. They differ in programs that run with the rights of their owner.
    #[doc(alias = "effective_ids")]
    #[doc(alias = "eaccess")]
    pub const EFFECTIVE_IDS: AccessMode = AccessMode(sys::Rights {
        effective: true,
        ..NONE
    });

    /// Asks about a symbolic link itself.
    #[doc(alias = "follow_symlinks")]
    pub const NO_FOLLOW: AccessMode = AccessMode(sys::Rights {
        no_follow: true,
        ..NONE
    });
}

const NONE: sys::Rights = sys::Rights {
    read: false,
    write: false,
    execute: false,
    effective: false,
    no_follow: false,
};

impl BitOr for AccessMode {
    type Output = AccessMode;

    fn bitor(self, other: AccessMode) -> AccessMode {
        let (one, other) = (self.0, other.0);
        AccessMode(sys::Rights {
            read: one.read || other.read,
            write: one.write || other.write,
            execute: one.execute || other.execute,
            effective: one.effective || other.effective,
            no_follow: one.no_follow || other.no_follow,
        })
    }
}

impl BitOrAssign for AccessMode {
    fn bitor_assign(&mut self, other: AccessMode) {
        *self = *self | other;
    }
}

/// Whether the process has all of these rights on what `path` leads to.
///
/// `false` also if that does not exist, or cannot be found out for whatever reason. The rights are those of the real user;
/// [`AccessMode::EFFECTIVE_IDS`] asks for those that count when a file is opened. Another process may change them any time,
/// so to open the file and to look at the error is often better.
///
/// This is `access(2)` (`faccessat(2)`). On Windows, only the read-only attribute is looked at.
///
/// # Cancel safety
///
/// Cancel safe: it only asks.
///
/// # Examples
///
/// ```
/// use aiofiles::os::{AccessMode, access};
///
/// # futures_lite::future::block_on(async {
/// assert!(access("Cargo.toml", AccessMode::READ | AccessMode::WRITE).await);
/// assert!(!access("no/such.file", AccessMode::EXISTS).await);
/// # });
/// ```
pub async fn access<P: AsRef<Path>>(path: P, mode: AccessMode) -> bool {
    let path = Arc::<Path>::from(path.as_ref());
    backend::query("access", Place::of(&path), move || {
        sys::access(&path, mode.0)
    })
    .await
    .is_ok()
}
