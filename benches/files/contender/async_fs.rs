//! `async-fs`.

use std::io::{self, SeekFrom};
use std::path::Path;

use async_fs::File;
use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, StreamExt};

use super::Files;

pub struct AsyncFs;

impl Files for AsyncFs {
    type File = File;

    async fn open(path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn create(path: &Path) -> io::Result<File> {
        File::create(path).await
    }

    async fn read(file: &mut File, buf: &mut [u8]) -> io::Result<usize> {
        file.read(buf).await
    }

    async fn read_exact(file: &mut File, buf: &mut [u8]) -> io::Result<()> {
        file.read_exact(buf).await
    }

    async fn seek(file: &mut File, offset: u64) -> io::Result<u64> {
        file.seek(SeekFrom::Start(offset)).await
    }

    async fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes).await
    }

    async fn flush(file: &mut File) -> io::Result<()> {
        file.flush().await
    }

    async fn copy_open(from: &mut File, to: &mut File) -> io::Result<u64> {
        futures_lite::io::copy(from, to).await
    }

    async fn copy_open_util(from: &mut File, to: &mut File) -> io::Result<u64> {
        futures_util::io::copy(from, to).await
    }

    async fn lines(path: &Path) -> io::Result<u64> {
        let mut lines = BufReader::new(File::open(path).await?).lines();
        let mut bytes = 0;
        while let Some(line) = lines.next().await {
            bytes += line?.len() as u64;
        }
        Ok(bytes)
    }

    async fn copy(from: &Path, to: &Path) -> io::Result<u64> {
        async_fs::copy(from, to).await
    }

    async fn write_path(path: &Path, bytes: &[u8]) -> io::Result<()> {
        async_fs::write(path, bytes).await
    }

    async fn read_path(path: &Path) -> io::Result<Vec<u8>> {
        async_fs::read(path).await
    }

    async fn remove(path: &Path) -> io::Result<()> {
        async_fs::remove_file(path).await
    }

    async fn size(path: &Path) -> io::Result<u64> {
        Ok(async_fs::metadata(path).await?.len())
    }

    async fn count_files(dir: &Path) -> io::Result<u64> {
        let mut entries = async_fs::read_dir(dir).await?;
        let mut files = 0;
        while let Some(entry) = entries.next().await {
            files += u64::from(entry?.file_type().await?.is_file());
        }
        Ok(files)
    }
}
