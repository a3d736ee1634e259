//! The rules that users can rely on, each with its tests. The number in a test's comment is that of the rule.
//!
//! Tests that run on every runtime use what the kernel really does. Those that cut an operation at an exact moment, or
//! need an error that no kernel gives on request, use the fault seam and the hand-stepped pool (feature `testing`).

mod append;
mod at;
mod backend_info;
mod cancel;
mod clones;
mod close;
mod errors;
mod fairness;
mod locks;
mod order;
mod own_writes;
mod position;
mod read_ahead;
mod unbuffered;
mod wakers;
mod write_behind;

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use aiofiles::{File, OpenOptions};
use futures_lite::io::{AsyncBufRead, AsyncRead};
use tempfile::TempDir;

use crate::files::*;
use crate::support::temp_dir;

#[cfg(all(unix, feature = "testing"))]
use crate::steps::*;

/// Options for reading, appending and creating.
fn read_append() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options
}

/// Options for reading and writing without buffers.
fn read_write_unbuffered() -> OpenOptions {
    let mut options = read_write();
    options.unbuffered(true);
    options
}

/// What `fill_buf` lends, copied.
async fn filled(file: &mut File) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        Pin::new(&mut *file)
            .poll_fill_buf(cx)
            .map_ok(<[u8]>::to_vec)
    })
    .await
}

/// A future of any kind.
#[cfg(all(unix, feature = "testing"))]
type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + 'a>>;

/// What stands in the file, says the kernel.
#[track_caller]
fn on_disk(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the file can be read")
}

/// Error codes, as the kernel gives them.
#[cfg(unix)]
mod code {
    #![allow(dead_code, reason = "most are only used with the feature `testing`")]

    use rustix::io::Errno;

    pub const EINTR: i32 = Errno::INTR.raw_os_error();
    pub const EIO: i32 = Errno::IO.raw_os_error();
    pub const ENOSPC: i32 = Errno::NOSPC.raw_os_error();
    pub const EFBIG: i32 = Errno::FBIG.raw_os_error();
    pub const EBADF: i32 = Errno::BADF.raw_os_error();
    pub const EINVAL: i32 = Errno::INVAL.raw_os_error();
    pub const EROFS: i32 = Errno::ROFS.raw_os_error();
    pub const ENOTSUP: i32 = Errno::NOTSUP.raw_os_error();
    pub const EISDIR: i32 = Errno::ISDIR.raw_os_error();
    pub const EMFILE: i32 = Errno::MFILE.raw_os_error();
}
