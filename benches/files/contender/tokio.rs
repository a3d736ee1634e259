//! `tokio::fs`.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use aiofiles::AlignedBuf;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};

use super::{Files, open_direct, read_direct_now};

pub struct TokioFs;

impl Files for TokioFs {
    type File = File;
    type At = File;
    type Direct = Arc<std::fs::File>;

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
        file.read_exact(buf).await?;
        Ok(())
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

    async fn open_direct(path: &Path) -> io::Result<Arc<std::fs::File>> {
        Ok(Arc::new(open_direct(path)?))
    }

    async fn read_direct(
        file: &Arc<std::fs::File>,
        buf: AlignedBuf,
        offset: u64,
    ) -> io::Result<AlignedBuf> {
        let file = file.clone();
        let read = move || read_direct_now(&file, buf, offset);
        tokio::task::spawn_blocking(read)
            .await
            .expect("it does not panic")
    }

    async fn open_at(path: &Path, tasks: u64) -> io::Result<Vec<File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut files = Vec::new();
        for _ in 0..tasks {
            files.push(options.open(path).await?);
        }
        Ok(files)
    }

    async fn read_at(file: &mut File, mut buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        Self::seek(file, offset).await?;
        Self::read_exact(file, &mut buf).await?;
        Ok(buf)
    }

    async fn write_all_at(file: &mut File, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        Self::seek(file, offset).await?;
        Self::write_all(file, &buf).await?;
        Self::flush(file).await?;
        Ok(buf)
    }

    async fn sync_data(file: &mut File) -> io::Result<()> {
        file.sync_data().await
    }

    async fn copy_open(from: &mut File, to: &mut File) -> io::Result<u64> {
        tokio::io::copy(from, to).await
    }

    async fn copy_open_util(from: &mut File, to: &mut File) -> io::Result<u64> {
        tokio::io::copy(from, to).await
    }

    async fn lines(path: &Path) -> io::Result<u64> {
        let mut lines = BufReader::new(File::open(path).await?).lines();
        let mut bytes = 0;
        while let Some(line) = lines.next_line().await? {
            bytes += line.len() as u64;
        }
        Ok(bytes)
    }

    async fn copy(from: &Path, to: &Path) -> io::Result<u64> {
        tokio::fs::copy(from, to).await
    }

    async fn write_path(path: &Path, bytes: &[u8]) -> io::Result<()> {
        tokio::fs::write(path, bytes).await
    }

    async fn read_path(path: &Path) -> io::Result<Vec<u8>> {
        tokio::fs::read(path).await
    }

    async fn remove(path: &Path) -> io::Result<()> {
        tokio::fs::remove_file(path).await
    }

    async fn size(path: &Path) -> io::Result<u64> {
        Ok(tokio::fs::metadata(path).await?.len())
    }

    async fn count_files(dir: &Path) -> io::Result<u64> {
        let mut entries = tokio::fs::read_dir(dir).await?;
        let mut files = 0;
        while let Some(entry) = entries.next_entry().await? {
            files += u64::from(entry.file_type().await?.is_file());
        }
        Ok(files)
    }
}
