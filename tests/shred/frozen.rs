//! Operations that a ring has for as long as this wants: on a file system that is frozen, and on one whose device is.

use std::borrow::Borrow;
use std::fs;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use aiofiles::{AlignedBuf, BackendKind, File, OpenOptions, backend};
use futures_lite::AsyncWriteExt as _;
use futures_lite::future::{self, block_on};

use crate::support::*;

/// The unit of direct I/O here.
const BLOCK: usize = 4096;

/// Blocks of the file that are written to, and those after them that are read.
const WRITTEN: usize = 24;
const READ: usize = 24;

/// A file system in a file of another one, which is in a file too.
///
/// What is written to the inner one while the outer one is frozen hangs in the device, and everything after it too.
struct Mounts {
    dir: tempfile::TempDir,
    mounted: Vec<PathBuf>,
}

impl Mounts {
    /// `None` if they cannot be had, said aloud.
    fn new() -> Option<Mounts> {
        let mut mounts = Mounts {
            dir: temp_dir(),
            mounted: Vec::new(),
        };
        let outer = mounts.mount(&mounts.at("image"), "outer", 48 << 20)?;
        mounts.mount(&outer.join("image"), "inner", 16 << 20)?;
        Some(mounts)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn mount(&mut self, image: &Path, name: &str, len: u64) -> Option<PathBuf> {
        let at = self.at(name);
        fs::create_dir(&at).unwrap();
        fs::File::create(image).unwrap().set_len(len).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (image, place) = (text(image), text(&at));
        // Without a journal: a thread of the kernel that writes it would hang too.
        let done = succeeds(&["mkfs.ext4", "-q", "-F", "-O", "^has_journal", &image])
            && succeeds(&["mount", "-t", "ext4", "-o", "loop", &image, &place]);
        if !done {
            skip("a loop device with ext4");
            return None;
        }
        self.mounted.push(at.clone());
        Some(at)
    }

    /// Freezes one of them.
    fn freeze(&self, name: &str) -> Frozen {
        // It thaws as soon as nobody holds the other end of the pipe, or after a while: a process that waits for a
        // frozen file system cannot even be killed.
        let script = "fsfreeze -f \"$0\" && echo frozen && { timeout 60 cat; fsfreeze -u \"$0\"; }";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(self.at(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut answer = BufReader::new(child.stdout.take().unwrap());
        answer.read_line(&mut line).unwrap();
        assert_eq!(line, "frozen\n");
        Frozen(child)
    }

    /// They can be unmounted: nobody has a file open there.
    fn unmount(mut self) {
        while let Some(at) = self.mounted.pop() {
            let output = Command::new("umount").arg(&at).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        // Only after a failure there are any; a lazy unmount cannot be refused.
        while let Some(at) = self.mounted.pop() {
            let _ = Command::new("umount").arg("--lazy").arg(&at).output();
        }
    }
}

/// Thaws when it is dropped.
struct Frozen(Child);

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Operations that rings have now.
fn on_rings() -> u64 {
    let backend = backend();
    backend.submitted() - backend.completed()
}

/// Writes that the device of a file has now.
fn writes_in_device(path: &Path) -> usize {
    let dev = fs::metadata(path).unwrap().dev();
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let counts = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/inflight")).unwrap();
    counts.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// What a block of the file holds in the end.
fn block(number: usize) -> Vec<u8> {
    vec![number as u8 + 1; BLOCK]
}

fn offset(number: usize) -> u64 {
    (number * BLOCK) as u64
}

fn aligned(bytes: &[u8]) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(BLOCK, BLOCK).unwrap();
    buf.extend_from_slice(bytes);
    buf
}

/// Makes the file as it is before, on the device.
fn make_file(path: &Path) {
    let old = (0..WRITTEN).flat_map(|_| vec![0; BLOCK]);
    let rest = (WRITTEN..WRITTEN + READ).flat_map(block);
    fs::write(path, old.chain(rest).collect::<Vec<_>>()).unwrap();
    fs::File::open(path).unwrap().sync_all().unwrap();
}

fn open_direct(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).direct(true);
    block_on(options.open(path)).unwrap()
}

/// A file that the page cache has nothing of, opened as usual.
fn make_cold_file(path: &Path) -> File {
    fs::write(path, block(0).repeat(READ)).unwrap();
    let std = fs::File::open(path).unwrap();
    std.sync_all().unwrap();
    rustix::fs::fadvise(&std, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    block_on(File::open(path)).unwrap()
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Begins it, so that it is on its way, and gives it back.
fn begin<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pending<'a, T> {
    let mut future: Pending<'a, T> = Box::pin(future);
    assert!(poll_now(pin!(&mut future)).is_pending(), "nothing holds it");
    future
}

/// Begins it, and gives it up in one of the ways there are.
fn begin_and_give_up<T>(future: impl Future<Output = T> + Send, way: usize) {
    let future = begin(future);
    match way % 3 {
        0 => drop(future),
        1 => std::mem::forget(future),
        _ => thread::scope(|scope| drop(scope.spawn(|| drop(future)))),
    }
}

async fn write(file: impl Borrow<File>, number: usize) {
    let buf = aligned(&block(number));
    let (result, buf) = file.borrow().write_at(buf, offset(number)).await;
    assert_eq!(result.unwrap(), BLOCK);
    assert_same_bytes(&buf[..], block(number));
}

async fn read(file: impl Borrow<File>, number: usize) {
    let (result, buf) = file.borrow().read_at(aligned(&[]), offset(number)).await;
    assert_eq!(result.unwrap(), BLOCK);
    assert_same_bytes(&buf[..], block(number));
}

/// Runtimes end while a task of theirs waits for a write. Each is made, driven and dropped by a thread of its own.
fn end_runtimes(file: &Arc<File>) -> Vec<thread::JoinHandle<()>> {
    let end = |kind| {
        let file = file.clone();
        let (begun, has_begun) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Runtime::new(kind);
            let is_begun = Arc::new(AtomicBool::new(false));
            let seen = is_begun.clone();
            let task = runtime.handle().spawn(async move {
                let write = begin(write(file, 1));
                is_begun.store(true, Ordering::SeqCst);
                write.await;
            });
            runtime.block_on(async move {
                while !seen.load(Ordering::SeqCst) {
                    future::yield_now().await;
                }
            });
            begun.send(()).unwrap();
            drop(runtime);
            drop(task);
        });
        has_begun.recv().unwrap();
        thread
    };
    [Kind::TokioMulti, Kind::TokioCurrent, Kind::SmolFour]
        .map(end)
        .into()
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A child of `fork` polls what its parent waits for, and gives it up: that neither ends it nor does anything to the ring.
fn fork(waiting: &mut Vec<Pending<'_, ()>>) {
    // SAFETY: only this thread goes on in the child. It allocates, which the C library allows there, takes no lock that
    // another thread could have at this time, when all wait for the device, and ends.
    match unsafe { libc::fork() } {
        0 => {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                let pending = |future: &mut Pending<'_, ()>| poll_now(pin!(future)).is_pending();
                let all_pending = waiting.iter_mut().all(pending);
                waiting.clear();
                all_pending
            }));
            let code = if let Ok(true) = polled { 0 } else { 1 };
            // SAFETY: it does not return.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = -1;
            // SAFETY: it is our child, and the status has a place.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!((waited, status), (child, 0));
        }
    }
}

/// One round: what is on its way while one of the file systems is frozen, and what is there after that.
fn round(mounts: &Mounts, frozen: &str) {
    let path = mounts.at("inner").join("file");
    let cold_path = mounts.at("inner").join("cold");
    // One is dropped while operations are on their way.
    make_file(&path);
    let (kept, dropped) = (Arc::new(open_direct(&path)), open_direct(&path));
    let cold = make_cold_file(&cold_path);
    let retried = backend().retried();

    let guard = mounts.freeze(frozen);
    let mut waiting = Vec::new();
    for number in 0..WRITTEN {
        begin_and_give_up(write(&dropped, number), number);
        waiting.push(begin(write(kept.clone(), number)));
    }
    let mut in_flight = 2 * WRITTEN as u64;
    // What is read waits for no file system, but for the device, behind what is written.
    if frozen == "outer" {
        wait_until(|| writes_in_device(&path) >= 2);
        for number in WRITTEN..WRITTEN + READ {
            begin_and_give_up(read(&dropped, number), number);
            waiting.push(begin(read(kept.clone(), number)));
        }
        begin_and_give_up(cold.read_at(vec![0; BLOCK], 0), 0);
        in_flight += 2 * READ as u64 + 1;
    }
    assert_eq!(on_rings(), in_flight);
    fork(&mut waiting);
    let mut ended = end_runtimes(&kept);
    in_flight += ended.len() as u64;
    if frozen == "outer" {
        join(ended.drain(..));
    }
    drop((kept, dropped, cold));
    // Memory that was given back too early would be had here, and what is written from it spoilt.
    drop([0; 64].map(|_| aligned(&[0xEE; BLOCK])));
    assert_eq!(on_rings(), in_flight);

    drop(guard);
    // A thread does not end before the threads that work for it in the kernel, and these were waiting.
    join(ended);
    for future in waiting {
        block_on(future);
    }
    wait_until(|| on_rings() == 0);
    block_on(aiofiles::settle());
    assert_eq!(backend().retried(), retried);
    let expected = (0..WRITTEN + READ).flat_map(block).collect::<Vec<_>>();
    assert_same_bytes(fs::read(&path).unwrap(), expected);
}

#[test]
fn operations_on_a_frozen_file_system_keep_what_the_kernel_uses() {
    if !is_root() {
        return skip("root");
    }
    if !succeeds(&["fsfreeze", "-V"]) || !succeeds(&["unshare", "-m", "true"]) {
        return skip("`fsfreeze` and mounts of its own (`unshare -m`)");
    }
    alone_under(&["unshare", "-m"], || {
        if backend().kind() != BackendKind::Uring {
            return skip("io_uring");
        }
        let Some(mounts) = Mounts::new() else { return };
        // What stays for ever is there after this.
        let path = mounts.at("inner").join("file");
        make_file(&path);
        let mut file = open_direct(&path);
        block_on(file.close()).unwrap();
        let fds = fd_count();
        for _ in 0..iterations(3) {
            for frozen in ["inner", "outer"] {
                round(&mounts, frozen);
            }
        }
        // The last share of a file goes a moment after the operation is counted as completed.
        wait_until(|| fd_count() == fds);
        mounts.unmount();
        crate::assert_unspoilt();
    });
}
