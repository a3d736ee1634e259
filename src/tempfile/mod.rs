//! Temporary files and directories.
//!
//! | to | use |
//! |---|---|
//! | have a file that nobody else can open | [`TemporaryFile`] |
//! | have one with a path, and perhaps keep it in the end | [`NamedTemporaryFile`] |
//! | keep little in memory, and much in a file | [`SpooledTemporaryFile`] |
//! | have a directory for any number of files | [`TemporaryDirectory`] |
//! | choose names, places, permissions and what is removed | [`Builder`] |
//! | write and read text | [`TextOptions::wrap`](crate::TextOptions::wrap) any of these files |
//!
//! Random names, and names that nobody has, come from the crate [`tempfile`](https://docs.rs/tempfile). Everything runs
//! on the thread pool, and the files are read and written as any [`File`](crate::File) is.
//!
//! # Who may read them
//!
//! On Unix, files have the mode 0600 and directories 0700, whatever the umask is: only their owner may use them.
//! [`Builder::permissions`] sets others.
//!
//! # When they are removed
//!
//! `close` removes, and returns the error. Dropping removes too: that never blocks, runs on the thread pool after bytes
//! that are on their way, and is waited for at the end of the process, as accepted bytes are; but its error has nobody
//! to go to. What is still alive when the process ends stays, as does everything after `_exit`, an abort or a fatal
//! signal. The exception is what has no name: that goes with the process.
//!
//! A future of this module that creates something and is dropped leaves nothing behind.
//!
//! # Examples
//!
//! ```
//! use aiofiles::tempfile::TemporaryDirectory;
//!
//! # futures_lite::future::block_on(async {
//! let mut dir = TemporaryDirectory::new().await?;
//! let path = dir.path().join("a.txt");
//! aiofiles::write(&path, "hello").await?;
//!
//! dir.close().await?;
//! assert!(!path.exists());
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

mod builder;
mod directory;
mod file;
mod named;
mod spooled;

pub use builder::Builder;
pub use directory::TemporaryDirectory;
pub use file::TemporaryFile;
pub use named::{NamedTemporaryFile, PersistError};
pub use spooled::SpooledTemporaryFile;
