//! Who is measured: a crate with files ([`Files`]) under a [`Runtime`].

mod aiofiles;
mod async_fs;
mod ring;
mod runtime;
mod tokio;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use ring::RingFiles;
pub use runtime::{Runtime, at_once, at_once_here, threads};

use ::aiofiles::AlignedBuf;

use crate::rings::Ring;
use crate::rows::Workload;

/// One column of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// Blocking calls, on up to 32 threads.
    Std,
    AiofilesOnSmol,
    AiofilesOnTokio,
    AsyncFsOnSmol,
    Tokio,
    /// A runtime on io_uring. Only `benches/rings` has any.
    Ring(Ring),
}

impl Contender {
    /// In the order of the tables.
    pub fn all() -> impl Iterator<Item = Contender> {
        let everywhere = [
            Contender::Std,
            Contender::AiofilesOnSmol,
            Contender::AiofilesOnTokio,
            Contender::AsyncFsOnSmol,
            Contender::Tokio,
        ];
        everywhere.into_iter().chain(Ring::ALL.map(Contender::Ring))
    }

    pub fn name(self) -> &'static str {
        match self {
            Contender::Std => "std",
            Contender::AiofilesOnSmol => "aiofiles/smol",
            Contender::AiofilesOnTokio => "aiofiles/tokio",
            Contender::AsyncFsOnSmol => "async-fs/smol",
            Contender::Tokio => "tokio::fs",
            Contender::Ring(ring) => ring.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<Contender> {
        Contender::all().find(|contender| contender.name() == name)
    }

    pub fn is_ours(self) -> bool {
        matches!(self, Contender::AiofilesOnSmol | Contender::AiofilesOnTokio)
    }

    /// Whether a run failed with this error because the contender has no calls for the work.
    pub fn lacks(self, error: &io::Error) -> bool {
        matches!(self, Contender::Ring(_)) && error.kind() == io::ErrorKind::Unsupported
    }

    /// What the thread-pool dispatch of this crate has done so far, if this contender uses it.
    pub fn hops(self) -> Option<Hops> {
        self.is_ours().then(aiofiles::hops)
    }

    /// Does `units` units of `work` and returns when they are done.
    pub fn run<W: Workload>(self, work: &W, units: u64) -> io::Result<W::Outcome> {
        use runtime::{Smol, Tokio};
        match self {
            Contender::Std => work.blocking(units),
            Contender::AiofilesOnSmol => {
                Smol::block_on(work.with::<aiofiles::Aiofiles, Smol>(units))
            }
            Contender::AiofilesOnTokio => {
                Tokio::block_on(work.with::<aiofiles::Aiofiles, Tokio>(units))
            }
            Contender::AsyncFsOnSmol => Smol::block_on(work.with::<async_fs::AsyncFs, Smol>(units)),
            Contender::Tokio => Tokio::block_on(work.with::<tokio::TokioFs, Tokio>(units)),
            Contender::Ring(ring) => ring.run(work, units),
        }
    }
}

/// Opens a file for reading past the page cache, as std does.
#[cfg(target_os = "linux")]
pub fn open_direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
    File::options().read(true).custom_flags(flag).open(path)
}

#[cfg(not(target_os = "linux"))]
pub fn open_direct(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads into the buffer, here and now.
fn read_direct_now(file: &File, mut buf: AlignedBuf, offset: u64) -> io::Result<AlignedBuf> {
    let n = crate::rows::read_at(file, &mut buf, offset)?;
    buf.resize(n);
    Ok(buf)
}

/// Counters of the thread-pool dispatch.
#[derive(Clone, Copy, Default)]
pub struct Hops {
    pub operations: u64,
    pub jobs: u64,
}

/// The calls that rows are written with, each in the way its crate means it to be used.
pub trait Files: 'static {
    type File: Send + 'static;
    /// What a task reads and writes at offsets: one open file for all tasks, or a handle of its own where the crate has
    /// no calls for that, and seeks.
    type At: Send + 'static;
    /// A file open for direct I/O.
    type Direct: Clone + Send + Sync + 'static;

    fn open_direct(path: &Path) -> impl Future<Output = io::Result<Self::Direct>> + Send;
    /// Fills the buffer. The peers have no such call: they do what their users do, and block a thread of the pool.
    fn read_direct(
        file: &Self::Direct,
        buf: AlignedBuf,
        offset: u64,
    ) -> impl Future<Output = io::Result<AlignedBuf>> + Send;

    fn open(path: &Path) -> impl Future<Output = io::Result<Self::File>> + Send;
    fn create(path: &Path) -> impl Future<Output = io::Result<Self::File>> + Send;
    fn read(
        file: &mut Self::File,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;
    fn read_exact(
        file: &mut Self::File,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send;
    fn seek(file: &mut Self::File, offset: u64) -> impl Future<Output = io::Result<u64>> + Send;
    fn write_all(
        file: &mut Self::File,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send;
    fn flush(file: &mut Self::File) -> impl Future<Output = io::Result<()>> + Send;

    /// Opens a file for reading and writing by so many tasks.
    fn open_at(path: &Path, tasks: u64) -> impl Future<Output = io::Result<Vec<Self::At>>> + Send;
    /// Fills the memory of the buffer, and gives it back.
    fn read_at(
        file: &mut Self::At,
        buf: Vec<u8>,
        offset: u64,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send;
    /// Gives the content of the buffer to the operating system, and the buffer back.
    fn write_all_at(
        file: &mut Self::At,
        buf: Vec<u8>,
        offset: u64,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send;
    fn sync_data(file: &mut Self::At) -> impl Future<Output = io::Result<()>> + Send;
    /// The bytes in these ranges, each read into memory of its own.
    fn read_many_at(
        file: &mut Self::At,
        ranges: Vec<Range<u64>>,
    ) -> impl Future<Output = io::Result<u64>> + Send {
        async move {
            let mut bytes = 0;
            for range in ranges {
                let buf = vec![0; (range.end - range.start) as usize];
                bytes += Self::read_at(file, buf, range.start).await?.len() as u64;
            }
            Ok(bytes)
        }
    }

    /// `io::copy` of futures-lite, or the runtime's own.
    fn copy_open(
        from: &mut Self::File,
        to: &mut Self::File,
    ) -> impl Future<Output = io::Result<u64>> + Send;
    /// `io::copy` of futures-util, or the runtime's own.
    fn copy_open_util(
        from: &mut Self::File,
        to: &mut Self::File,
    ) -> impl Future<Output = io::Result<u64>> + Send;
    /// The bytes of all lines, without their ends, through the runtime's `lines`.
    fn lines(path: &Path) -> impl Future<Output = io::Result<u64>> + Send;
    /// The same through a text file, where there is such a thing.
    fn text_lines(path: &Path) -> impl Future<Output = io::Result<u64>> + Send {
        Self::lines(path)
    }

    fn copy(from: &Path, to: &Path) -> impl Future<Output = io::Result<u64>> + Send;
    fn write_path(path: &Path, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    fn read_path(path: &Path) -> impl Future<Output = io::Result<Vec<u8>>> + Send;
    /// The bytes in these files, each read as a whole.
    fn read_many(paths: &[PathBuf]) -> impl Future<Output = io::Result<u64>> + Send {
        async move {
            let mut bytes = 0;
            for path in paths {
                bytes += Self::read_path(path).await?.len() as u64;
            }
            Ok(bytes)
        }
    }
    fn remove(path: &Path) -> impl Future<Output = io::Result<()>> + Send;
    fn size(path: &Path) -> impl Future<Output = io::Result<u64>> + Send;
    /// The number of entries of `dir` whose type is "file".
    fn count_files(dir: &Path) -> impl Future<Output = io::Result<u64>> + Send;
}
