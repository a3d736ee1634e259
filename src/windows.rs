//! What only Windows has.

use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};
use std::path::Path;
use std::ptr;
use std::sync::LazyLock;

use crate::backend::{delegate, sys};
use crate::error::Context;
use crate::file::File;
use crate::open::OpenOptions;

#[doc(no_inline)]
pub use std::os::windows::fs::MetadataExt;

/// Creates a symbolic link to a directory: at `dst`, pointing to `src`.
///
/// Making links needs a privilege, or the developer mode of the system.
///
/// # Cancel safety
///
/// The link may still be created after the future is dropped.
///
/// # Errors
///
/// * `dst` exists.
/// * The process lacks the privilege.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let link = dir.path().join("link");
/// let made = aiofiles::windows::symlink_dir(".", &link).await;
/// // It fails without the privilege.
/// assert_eq!(made.is_ok(), aiofiles::read_dir(&link).await.is_ok());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn symlink_dir<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<()> {
    let (src, dst) = (src.as_ref().to_owned(), dst.as_ref().to_owned());
    delegate::symlink_dir(src.clone(), dst.clone())
        .await
        .on_both("link", &src, &dst)
}

/// Creates a symbolic link to a file: at `dst`, pointing to `src`.
///
/// The same as [`symlink_dir`] otherwise.
///
/// # Cancel safety
///
/// The link may still be created after the future is dropped.
///
/// # Errors
///
/// The same as [`symlink_dir`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let link = dir.path().join("link");
/// let made = aiofiles::windows::symlink_file("a.txt", &link).await;
/// // It fails without the privilege.
/// assert_eq!(made.is_ok(), aiofiles::read_link(&link).await.is_ok());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn symlink_file<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<()> {
    let (src, dst) = (src.as_ref().to_owned(), dst.as_ref().to_owned());
    delegate::symlink_file(src.clone(), dst.clone())
        .await
        .on_both("link", &src, &dst)
}

/// Windows options for [`OpenOptions`]: the arguments of `CreateFile`.
pub trait OpenOptionsExt: Sealed {
    /// Sets `dwDesiredAccess`, whatever `read`, `write` and `append` say.
    fn access_mode(&mut self, access: u32) -> &mut Self;

    /// Sets `dwShareMode`: what others may do with the file while it is open. All of it by default.
    fn share_mode(&mut self, val: u32) -> &mut Self;

    /// Adds flags to `dwFlagsAndAttributes`.
    fn custom_flags(&mut self, flags: u32) -> &mut Self;

    /// Sets the attributes of a new file in `dwFlagsAndAttributes`.
    fn attributes(&mut self, val: u32) -> &mut Self;

    /// Sets the impersonation level in `dwFlagsAndAttributes`, and `SECURITY_SQOS_PRESENT`: how far the server of a named
    /// pipe may act for this process.
    fn security_qos_flags(&mut self, flags: u32) -> &mut Self;
}

impl OpenOptionsExt for OpenOptions {
    fn access_mode(&mut self, access: u32) -> &mut Self {
        self.std.access_mode(access);
        self.access = access_of(access);
        self
    }

    fn share_mode(&mut self, val: u32) -> &mut Self {
        self.std.share_mode(val);
        self
    }

    fn custom_flags(&mut self, flags: u32) -> &mut Self {
        self.std.custom_flags(flags);
        self
    }

    fn attributes(&mut self, val: u32) -> &mut Self {
        self.std.attributes(val);
        self
    }

    fn security_qos_flags(&mut self, flags: u32) -> &mut Self {
        self.std.security_qos_flags(flags);
        self
    }
}

/// What an access mask allows.
fn access_of(mask: u32) -> sys::Access {
    const GENERIC_ALL: u32 = 0x1000_0000;
    const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
    const GENERIC_READ: u32 = 0x8000_0000;
    const GENERIC_WRITE: u32 = 0x4000_0000;
    const FILE_READ_DATA: u32 = 1;
    const FILE_WRITE_DATA: u32 = 2;
    const FILE_APPEND_DATA: u32 = 4;

    let has = |bits: u32| mask & (bits | GENERIC_ALL | MAXIMUM_ALLOWED) != 0;
    let write = has(GENERIC_WRITE | FILE_WRITE_DATA);
    sys::Access {
        read: has(GENERIC_READ | FILE_READ_DATA),
        write,
        // With this right alone, every write goes to the end of the file.
        append: !write && has(FILE_APPEND_DATA),
    }
}

mod private {
    #[expect(unnameable_types, reason = "nobody outside is to implement it")]
    pub trait Sealed {}
    impl Sealed for crate::OpenOptions {}
}
use private::Sealed;

/// Takes over a handle, at the position it has. No system call is made before the first operation.
impl From<OwnedHandle> for File {
    fn from(handle: OwnedHandle) -> File {
        File::from(std::fs::File::from(handle))
    }
}

/// The handle of a closed file is one that nothing can be read from or written to, never that of another file.
impl AsHandle for File {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        /// The reading end of a pipe that nobody can write to.
        static HARMLESS: LazyLock<OwnedHandle> = LazyLock::new(|| {
            let pipe = std::io::pipe().expect("a closed file's handle needs one that is free");
            OwnedHandle::from(pipe.0)
        });
        match self.stream() {
            Ok(stream) => stream.description().file().as_handle(),
            Err(_) => HARMLESS.as_handle(),
        }
    }
}

/// The handle of a closed file is null.
impl AsRawHandle for File {
    fn as_raw_handle(&self) -> RawHandle {
        self.stream().map_or(ptr::null_mut(), |stream| {
            stream.description().file().as_raw_handle()
        })
    }
}
