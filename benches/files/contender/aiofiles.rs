//! This crate.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiofiles::{AlignedBuf, File};
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, StreamExt};

use super::{Files, Hops};
use crate::rows::check;

pub struct Aiofiles;

pub fn hops() -> Hops {
    let backend = aiofiles::backend();
    Hops {
        operations: backend.operations(),
        jobs: backend.jobs(),
    }
}

impl Files for Aiofiles {
    type File = File;
    type At = Arc<File>;
    type Direct = Arc<File>;

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

    async fn open_direct(path: &Path) -> io::Result<Arc<File>> {
        Ok(Arc::new(
            File::options().read(true).direct(true).open(path).await?,
        ))
    }

    async fn read_direct(file: &Arc<File>, buf: AlignedBuf, offset: u64) -> io::Result<AlignedBuf> {
        let (result, buf) = file.read_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn open_at(path: &Path, tasks: u64) -> io::Result<Vec<Arc<File>>> {
        let file = Arc::new(File::options().read(true).write(true).open(path).await?);
        Ok(vec![file; tasks as usize])
    }

    async fn read_at(file: &mut Arc<File>, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        let (result, buf) = file.read_at(buf, offset).await;
        // The rows read whole pages of a file that has them, so one call is enough.
        check("bytes read", result? as u64, buf.capacity() as u64)?;
        Ok(buf)
    }

    async fn write_all_at(file: &mut Arc<File>, buf: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        let (result, buf) = file.write_all_at(buf, offset).await;
        result?;
        Ok(buf)
    }

    async fn sync_data(file: &mut Arc<File>) -> io::Result<()> {
        file.sync_data().await
    }

    async fn read_many_at(file: &mut Arc<File>, ranges: Vec<Range<u64>>) -> io::Result<u64> {
        let mut bytes = 0;
        for result in file.read_many_at(ranges).await {
            bytes += result?.len() as u64;
        }
        Ok(bytes)
    }

    async fn copy_open(from: &mut File, to: &mut File) -> io::Result<u64> {
        futures_lite::io::copy(from, to).await
    }

    async fn copy_open_util(from: &mut File, to: &mut File) -> io::Result<u64> {
        futures_util::io::copy(from, to).await
    }

    async fn lines(path: &Path) -> io::Result<u64> {
        let mut lines = File::open(path).await?.lines();
        let mut bytes = 0;
        while let Some(line) = lines.next().await {
            bytes += line?.len() as u64;
        }
        Ok(bytes)
    }

    async fn text_lines(path: &Path) -> io::Result<u64> {
        let mut file = aiofiles::open_text(path, "r").await?;
        let mut lines = file.lines();
        let mut bytes = 0;
        while let Some(line) = lines.next().await {
            bytes += line?.len() as u64;
        }
        Ok(bytes)
    }

    async fn copy(from: &Path, to: &Path) -> io::Result<u64> {
        aiofiles::copy(from, to).await
    }

    async fn write_path(path: &Path, bytes: &[u8]) -> io::Result<()> {
        aiofiles::write(path, bytes).await
    }

    async fn read_path(path: &Path) -> io::Result<Vec<u8>> {
        aiofiles::read(path).await
    }

    async fn read_many(paths: &[PathBuf]) -> io::Result<u64> {
        let mut files = aiofiles::read_many(paths);
        let mut bytes = 0;
        while let Some((_, content)) = files.next().await {
            bytes += content?.len() as u64;
        }
        Ok(bytes)
    }

    async fn remove(path: &Path) -> io::Result<()> {
        aiofiles::remove_file(path).await
    }

    async fn size(path: &Path) -> io::Result<u64> {
        Ok(aiofiles::metadata(path).await?.len())
    }

    async fn count_files(dir: &Path) -> io::Result<u64> {
        let mut entries = aiofiles::read_dir(dir).await?;
        let mut files = 0;
        while let Some(entry) = entries.next().await {
            files += u64::from(entry?.file_type().await?.is_file());
        }
        Ok(files)
    }
}
