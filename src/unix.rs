//! What only Unix has.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use crate::backend::{self, Outlet, Place, delegate, sys};
use crate::error::Context;
use crate::file::File;
use crate::open::OpenOptions;

pub use crate::dirfd::Dir;
#[doc(no_inline)]
pub use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

/// Creates a symbolic link at `dst` that points to `src`.
///
/// This is `symlink(2)`.
///
/// # Cancel safety
///
/// The link may still be created after the future is dropped.
///
/// # Errors
///
/// * `dst` exists.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let link = dir.path().join("link");
/// aiofiles::unix::symlink("a.txt", &link).await?;
/// assert_eq!(aiofiles::read_link(&link).await?.to_str(), Some("a.txt"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(src: P, dst: Q) -> io::Result<()> {
    let (src, dst) = (src.as_ref().to_owned(), dst.as_ref().to_owned());
    delegate::symlink(src.clone(), dst.clone())
        .await
        .on_both("link", &src, &dst)
}

/// Sends up to `len` bytes of a file, from `offset` on, to a socket, a pipe or another file, and says how many they were:
/// fewer only if the file ends before.
///
/// The bytes do not pass through the memory of the process. The position of the file plays no part and stays; what it had
/// accepted comes first. Another file is written at the position that the kernel has for it.
///
/// A socket or a pipe should be non-blocking, as those of async runtimes are: then no thread waits while it is full. It is
/// duplicated for the time of the call.
///
/// This is `sendfile(2)`, on Linux; elsewhere, reading and writing.
///
/// # Cancel safety
///
/// Dropped early, some bytes were sent, or are still being sent.
///
/// # Errors
///
/// * The file was not opened for reading, is no regular file, or is closed.
/// * The other side has gone ([`BrokenPipe`](io::ErrorKind::BrokenPipe)). Bytes before that were sent.
/// * `offset` is larger than any offset can be ([`InvalidInput`](io::ErrorKind::InvalidInput)).
/// * Accepted bytes could not be written.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::os::unix::net::UnixStream;
///
/// # futures_lite::future::block_on(async {
/// let file = aiofiles::File::open("Cargo.toml").await?;
/// let (one, mut other) = UnixStream::pair()?;
/// one.set_nonblocking(true)?;
/// assert_eq!(aiofiles::unix::sendfile(&one, &file, 1, 7).await?, 7);
///
/// let mut sent = [0; 7];
/// other.read_exact(&mut sent)?;
/// assert_eq!(&sent, b"package");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn sendfile<T: AsFd>(to: &T, file: &File, offset: u64, len: u64) -> io::Result<u64> {
    /// How much is sent in one job, so that others have their turn.
    const STRETCH: u64 = 4 * 1024 * 1024;
    let description = file.positional(offset)?.clone();
    let outlet = Outlet::new(to.as_fd())?;
    file.flushed().await?;
    let len = len.min(sys::LARGEST_OFFSET - offset);
    let mut sent = 0;
    while sent < len {
        let (to, from) = (outlet.fd().clone(), description.clone());
        let most = STRETCH.min(len - sent) as usize;
        let send = move || sys::sendfile(&to, from.file(), offset + sent, most);
        match backend::long("send", description.place(), send).await {
            Ok(0) => break,
            Ok(n) => sent += n as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => outlet.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Changes the owner and the group of the file that `path` leads to. `None` leaves the one or the other as it is.
///
/// This is `chown(2)`.
///
/// # Cancel safety
///
/// The change may still be made after the future is dropped.
///
/// # Errors
///
/// * The process may not change them.
/// * Some other I/O error occurred.
///
/// # Examples
///
/// ```
/// use aiofiles::unix::MetadataExt;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// # aiofiles::write(&path, "").await?;
/// let own = aiofiles::metadata(&path).await?;
/// aiofiles::unix::chown(&path, Some(own.uid()), Some(own.gid())).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn chown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let change = backend::change("chown", Place::of(&own), move || {
        backend::sys::chown(&own, uid, gid)
    });
    change.await.on("change the owner of", path)
}

/// Changes the owner and the group of `path` itself, also if it is a symbolic link.
///
/// This is `lchown(2)`; the same as [`chown`] otherwise.
///
/// # Cancel safety
///
/// The change may still be made after the future is dropped.
///
/// # Errors
///
/// The same as [`chown`].
pub async fn lchown<P: AsRef<Path>>(path: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = path.as_ref();
    let own = Arc::<Path>::from(path);
    let change = backend::change("chown", Place::of(&own), move || {
        backend::sys::lchown(&own, uid, gid)
    });
    change.await.on("change the owner of", path)
}

/// Unix options for [`DirBuilder`](crate::DirBuilder).
pub trait DirBuilderExt: Sealed {
    /// Sets the permission bits of new directories, before the umask.
    fn mode(&mut self, mode: u32) -> &mut Self;
}

impl DirBuilderExt for crate::DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.set_mode(mode);
        self
    }
}

/// Unix properties of [`DirEntry`](crate::DirEntry).
pub trait DirEntryExt: Sealed {
    /// The inode number, as the directory has it.
    fn ino(&self) -> u64;
}

impl DirEntryExt for crate::DirEntry {
    fn ino(&self) -> u64 {
        self.inode()
    }
}

/// Unix options for [`OpenOptions`].
pub trait OpenOptionsExt: Sealed {
    /// Sets the permission bits of a new file, before the umask.
    fn mode(&mut self, mode: u32) -> &mut Self;

    /// Passes further `O_` flags to `open(2)`.
    fn custom_flags(&mut self, flags: i32) -> &mut Self;
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        std::os::unix::fs::OpenOptionsExt::mode(&mut self.std, mode);
        self.creation.mode = Some(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.custom_flags = flags;
        self
    }
}

mod private {
    #[expect(unnameable_types, reason = "nobody outside is to implement it")]
    pub trait Sealed {}
    impl Sealed for crate::DirBuilder {}
    impl Sealed for crate::DirEntry {}
    impl Sealed for crate::OpenOptions {}
}
use private::Sealed;

/// Takes over a descriptor, at the position it has. No system call is made before the first operation.
impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File::from(std::fs::File::from(fd))
    }
}

/// The descriptor of a closed file is one that nothing can be read from or written to, never that of another file.
impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.stream() {
            Ok(stream) => stream.description().file().as_fd(),
            // The one that stands for the current directory: open in every process, and nothing can be read from it or
            // written to it.
            Err(_) => rustix::fs::CWD,
        }
    }
}

/// The descriptor of a closed file is -1.
impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.stream()
            .map_or(-1, |stream| stream.description().file().as_raw_fd())
    }
}
