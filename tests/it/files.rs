//! Files to test with, and what they hold.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::{File, OpenOptions};
use futures_lite::AsyncReadExt as _;
use futures_lite::future::yield_now;
use tempfile::TempDir;

use crate::support::temp_dir;

/// A file of these bytes in a directory of its own.
pub fn sample(bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = temp_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a file");
    (dir, path)
}

/// Options for reading, writing and creating.
pub fn read_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options
}

/// Waits for what another thread does. It gives up in the end, to report a hang.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(100),
            "waited in vain until {what}"
        );
        thread::yield_now();
    }
}

/// Waits for what another thread does, and lets other tasks run. The limit of the runtime's test ends it.
pub async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Directories on different file systems, as far as there are any.
pub fn directories() -> Vec<TempDir> {
    let mut dirs = vec![temp_dir()];
    dirs.extend(tempfile::tempdir_in("/dev/shm"));
    dirs
}

/// What is left from the position on.
pub async fn rest(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).await.unwrap();
    bytes
}
