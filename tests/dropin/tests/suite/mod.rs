//! Programs against `async_fs` 2.2, compiled twice: see `ours.rs` and `real.rs` beside this directory.

#[cfg(unix)]
mod child;
mod directories;
mod file;
mod functions;
mod imports;
mod open_options;
#[cfg(unix)]
mod pipes;
mod shapes;
mod traits;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Runs `test` once under each executor, in an empty directory of its own.
///
/// Under the first, the calling thread polls the future; under the second, a worker does. The bound says that no
/// future in any of the tests keeps the whole from being spawned.
pub fn run<F, Fut>(test: F)
where
    F: Fn(PathBuf) -> Fut,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let under = |executor: &str, block_on: &dyn Fn(Fut) -> io::Result<()>| {
        let dir = tempfile::tempdir().expect("no temporary directory");
        let path = dir.path().canonicalize().expect("the directory is there");
        if let Err(err) = block_on(test(path)) {
            panic!("under {executor}: {err} ({err:?})");
        }
    };
    under("futures_lite::future::block_on", &|test| {
        futures_lite::future::block_on(test)
    });
    under("smol::spawn", &|test| smol::block_on(smol::spawn(test)));
}

/// The kind of the error that `result` has to be.
#[track_caller]
pub fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("succeeded where an error was expected"),
        Err(err) => err.kind(),
    }
}

/// Bytes that differ from place to place, `len` of them.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// A path with a NUL byte in it, which no system call takes.
pub fn nul(dir: &Path) -> PathBuf {
    dir.join("nul\0byte")
}

/// A path whose last component is longer than any file system allows.
pub fn too_long(dir: &Path) -> PathBuf {
    dir.join("x".repeat(300))
}

/// The permission bits of what `path` names, without following a link.
#[cfg(unix)]
pub fn mode(path: impl AsRef<Path>) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::symlink_metadata(path).expect("nothing there to have a mode");
    metadata.permissions().mode() & 0o7777
}
