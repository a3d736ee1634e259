//! `tokio-uring`.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use aiofiles::AlignedBuf;
use tokio_uring::Runtime;
use tokio_uring::fs::{File, OpenOptions};

use super::aligned::Aligned;
use crate::contender::RingFiles;

pub struct TokioUring;

thread_local! {
    /// Serves all runs, so that none pays for the ring. It is never dropped: at the end of the thread it would look for
    /// other thread-local values, which may be gone.
    static RUNTIME: &'static Runtime = {
        let runtime = Runtime::new(&tokio_uring::builder());
        Box::leak(Box::new(runtime.expect("a tokio-uring runtime")))
    };
}

impl RingFiles for TokioUring {
    type File = File;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        RUNTIME.with(|runtime| runtime.block_on(future))
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> {
        let task = tokio_uring::spawn(future);
        async { task.await.expect("a task panicked") }
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
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
        let (result, buf) = file.read_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn read_direct(file: &File, buf: AlignedBuf, offset: u64) -> io::Result<AlignedBuf> {
        let (result, buf) = file.read_at(Aligned(buf), offset).await;
        Ok(buf.into_first(result?))
    }

    async fn write_all_at(file: &File, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        let (result, buf) = file.write_all_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn sync_data(file: &File) -> io::Result<()> {
        file.sync_data().await
    }

    async fn write_path(path: &Path, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let file = File::create(path).await?;
        let bytes = Self::write_all_at(&file, bytes, 0).await?;
        file.close().await?;
        Ok(bytes)
    }

    async fn read_path(path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path).await?;
        let len = file.statx().await?.stx_size;
        let (result, bytes) = file
            .read_exact_at(Vec::with_capacity(len as usize), 0)
            .await;
        result?;
        file.close().await?;
        Ok(bytes)
    }

    async fn remove(path: &Path) -> io::Result<()> {
        tokio_uring::fs::remove_file(path).await
    }

    async fn size(path: &Path) -> io::Result<u64> {
        Ok(tokio_uring::fs::statx(path).await?.stx_size)
    }
}
