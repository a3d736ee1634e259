//! What a runtime that drives a ring of its own can do: its tasks stay on their thread, its calls are at offsets and
//! own their buffers.

use std::io;
use std::path::Path;
use std::time::Duration;

use aiofiles::AlignedBuf;

/// The calls that rows are written with, as [`Files`](super::Files) are for the other crates.
#[allow(
    dead_code,
    reason = "only the package `benches/rings` has such runtimes"
)]
pub trait RingFiles: 'static {
    type File: 'static;

    fn block_on<T>(future: impl Future<Output = T>) -> T;
    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T>;
    async fn sleep(time: Duration);

    async fn open(path: &Path) -> io::Result<Self::File>;
    /// Opens a file for reading and writing.
    async fn open_both(path: &Path) -> io::Result<Self::File>;
    async fn open_direct(path: &Path) -> io::Result<Self::File>;
    async fn create(path: &Path) -> io::Result<Self::File>;
    async fn close(file: Self::File) -> io::Result<()>;

    /// Reads once into the memory of the buffer, whose length says afterwards how much.
    async fn read_at(file: &Self::File, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>>;
    /// The same into aligned memory.
    async fn read_direct(file: &Self::File, buf: AlignedBuf, offset: u64)
    -> io::Result<AlignedBuf>;
    async fn write_all_at(file: &Self::File, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>>;
    async fn sync_data(file: &Self::File) -> io::Result<()>;

    async fn write_path(path: &Path, bytes: Vec<u8>) -> io::Result<Vec<u8>>;
    async fn read_path(path: &Path) -> io::Result<Vec<u8>>;
    async fn remove(path: &Path) -> io::Result<()>;
    async fn size(path: &Path) -> io::Result<u64>;
}
