//! `compio`.

use std::io;
use std::path::Path;
use std::time::Duration;

use aiofiles::AlignedBuf;
use compio::buf::BufResult;
use compio::fs::{File, OpenOptions};
use compio::io::{AsyncReadAt, AsyncWriteAtExt};
use compio::runtime::Runtime;

use super::aligned::Aligned;
use crate::contender::RingFiles;

pub struct Compio;

thread_local! {
    /// Serves all runs, so that none pays for the ring. It is never dropped: at the end of the thread it would look for
    /// other thread-local values, which may be gone.
    static RUNTIME: &'static Runtime = Box::leak(Box::new(Runtime::new().expect("a compio runtime")));
}

impl RingFiles for Compio {
    type File = File;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        RUNTIME.with(|runtime| runtime.block_on(future))
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> {
        let task = compio::runtime::spawn(future);
        async { task.await.expect("a task panicked") }
    }

    async fn sleep(time: Duration) {
        compio::time::sleep(time).await;
    }

    async fn open(path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn open_both(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path).await
    }

    async fn open_direct(path: &Path) -> io::Result<File> {
        let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
        OpenOptions::new()
            .read(true)
            .custom_flags(flag)
            .open(path)
            .await
    }

    async fn create(path: &Path) -> io::Result<File> {
        File::create(path).await
    }

    async fn close(file: File) -> io::Result<()> {
        file.close().await
    }

    async fn read_at(file: &File, mut buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        buf.clear();
        let BufResult(result, buf) = file.read_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn read_direct(file: &File, buf: AlignedBuf, offset: u64) -> io::Result<AlignedBuf> {
        let BufResult(result, buf) = file.read_at(Aligned(buf), offset).await;
        Ok(buf.into_first(result?))
    }

    async fn write_all_at(mut file: &File, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        let BufResult(result, buf) = file.write_all_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn sync_data(file: &File) -> io::Result<()> {
        file.sync_data().await
    }

    async fn write_path(path: &Path, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let BufResult(result, bytes) = compio::fs::write(path, bytes).await;
        result?;
        Ok(bytes)
    }

    async fn read_path(path: &Path) -> io::Result<Vec<u8>> {
        compio::fs::read(path).await
    }

    async fn remove(path: &Path) -> io::Result<()> {
        compio::fs::remove_file(path).await
    }

    async fn size(path: &Path) -> io::Result<u64> {
        Ok(compio::fs::metadata(path).await?.len())
    }
}
