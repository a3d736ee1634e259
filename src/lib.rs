//! Asynchronous files for every executor.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod backend;
mod copy;
mod dir;
mod error;
mod fairness;
mod file;
mod fs;
mod lock;
mod open;
mod settle;
mod stream;
mod walk;

#[doc(no_inline)]
pub use std::fs::{FileType, Metadata, Permissions};

pub use backend::{Backend, BackendKind, backend, set_max_concurrent_operations};
pub use copy::{copy, copy_between, copy_with_progress};
pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use error::{PathError, raw_os_error};
pub use file::{File, IntoStdError};
pub use fs::{
    canonicalize, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, try_exists, write,
};
pub use open::OpenOptions;
pub use settle::settle;
pub use walk::{Walk, WalkEntry, walk};

#[cfg(feature = "testing")]
pub mod testing;
#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;
