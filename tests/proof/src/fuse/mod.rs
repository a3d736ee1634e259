//! File systems of our own, mounted for one test.

pub mod puppet;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fuser::{BackgroundSession, Config, Filesystem, MountOption, Session};
use futures_lite::future;
use tempfile::TempDir;

use crate::support::{is_root, skip, succeeds, temp_dir};

/// What the operations of a test's own process are performed by.
pub const BACKENDS: [&str; 2] = ["AIOFILES_BACKEND=pool", "AIOFILES_BACKEND=uring"];

/// A command after which mounts are seen by the process and its children alone, with a variable set, such as one of
/// [`BACKENDS`]; or nothing, said aloud, where there can be no FUSE file system.
pub fn own_mounts(variable: &str) -> Option<[&str; 4]> {
    if !is_root() {
        skip("root");
    } else if !Path::new("/dev/fuse").exists() {
        skip("/dev/fuse");
    } else if !succeeds(&["unshare", "-m", "true"]) {
        skip("mounts of its own (`unshare -m`)");
    } else {
        return Some(["unshare", "-m", "env", variable]);
    }
    None
}

/// Whether the backend that the environment asks for is the one that runs; said aloud if not.
pub fn has_backend() -> bool {
    use aiofiles::BackendKind;
    let has = backend() != "uring" || aiofiles::backend().kind() == BackendKind::Uring;
    if !has {
        skip("io_uring");
    }
    has
}

/// Makes two tests of a body: with a mount namespace, on the pool and with every operation on a ring that has one.
#[macro_export]
macro_rules! on_both_backends {
    ($name:ident, $body:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "a body may need none of them")]
            use super::*;
            use $crate::fuse::{BACKENDS, has_backend, own_mounts};
            use $crate::support::alone_under;

            #[test]
            fn on_the_pool() {
                if let Some(command) = own_mounts(BACKENDS[0]) {
                    alone_under(&command, || $body());
                }
            }

            #[test]
            fn on_rings() {
                if let Some(command) = own_mounts(BACKENDS[1]) {
                    alone_under(&command, || {
                        if has_backend() {
                            $body();
                        }
                    });
                }
            }
        }
    };
}

/// The backend that the environment asks for.
pub fn backend() -> String {
    std::env::var("AIOFILES_BACKEND").unwrap_or_default()
}

/// A mounted file system, which goes away with the value. For processes that have mounts of their own.
pub struct Mounted {
    session: Option<BackgroundSession>,
    /// What ends the connection to the kernel.
    abort: PathBuf,
    guard: Child,
    dir: TempDir,
}

impl Mounted {
    /// Mounts it, and serves it by a thread of its own.
    pub fn new(file_system: impl Filesystem) -> Mounted {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("aiofiles-proof".to_owned())];
        let dir = temp_dir();
        let session = Session::new(file_system, dir.path(), &config).expect("a FUSE mount");
        Mounted::of(session.spawn().expect("a thread"), dir)
    }

    /// Takes over one that is mounted at `dir`.
    pub fn of(session: BackgroundSession, dir: TempDir) -> Mounted {
        let device = fs::metadata(dir.path()).expect("the mount answers").dev();
        let connection = rustix::fs::minor(device);
        let control = Path::new("/sys/fs/fuse/connections");
        let abort = control.join(format!("{connection}/abort"));
        if !abort.exists() {
            let mount = Command::new("mount")
                .args(["-t", "fusectl", "fusectl"])
                .arg(control)
                .output()
                .expect("mount");
            assert!(mount.status.success(), "{mount:?}");
        }
        Mounted {
            session: Some(session),
            guard: guard(&abort),
            abort,
            dir,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Has the kernel end the connection: whoever waits is told, and everybody who comes later.
    pub fn abort(&self) {
        fs::write(&self.abort, "1").expect("the connection can be ended");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Files that are closed in the background still use it.
        if !std::thread::panicking() {
            future::block_on(aiofiles::settle());
        }
        let lazily = rustix::mount::UnmountFlags::DETACH;
        if let Err(error) = rustix::mount::unmount(self.dir.path(), lazily) {
            eprintln!("unmounting {:?}: {error}", self.dir.path());
        }
        // Operations that were given up may still wait for it, and would wait for ever once this process, which serves them,
        // has begun to end.
        let _ = fs::write(&self.abort, "1");
        drop(self.session.take());
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Ends the connection when this process fails, or ends and did not unmount it. Threads that wait for a file system of their
/// own process cannot even be killed: it is closed when the last of them ends.
fn guard(abort: &Path) -> Child {
    let (own, hook) = (abort.to_owned(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        // After the file system is unmounted there is no such file.
        let _ = fs::write(&own, "1");
        hook(panic);
    }));
    // It may be killed, and then it is a zombie, or has another parent than the one that has started it.
    let script = "parent() { cut -d' ' -f4 /proc/$0/stat; }; begun=$(parent); \
                  while grep -q '^State:.[^Z]' /proc/$0/status && test $(parent) = $begun; do sleep 1; done; \
                  echo 1 > \"$1\"";
    Command::new("sh")
        .args(["-c", script, &std::process::id().to_string()])
        .arg(abort)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh")
}
