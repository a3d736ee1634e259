//! What is dropped is given back: descriptors, memory, threads.
#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    reason = "the allocator of this binary counts what it hands out"
)]

#[path = "common/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::io::{SeekFrom, pipe};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiofiles::{BackendKind, File, OpenOptions, backend};
use futures_lite::future;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::*;

/// Counts the bytes that are handed out now, and the most there ever were since it was reset.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as our caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes on the heap now.
fn heap() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// What the queue may have kept of its room, and pool threads of theirs. After a thousand rounds this is less than the
/// smallest thing that a round could leave.
const SLACK: usize = 32 * 1024;

/// Waits until the condition holds, or long enough to be sure that it never will: the caller asserts it.
fn wait_for(mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Descriptors and heap, when nothing is on its way any more.
fn settled() -> (usize, usize) {
    wait_for(|| {
        let now = backend();
        now.queued() + now.running() + now.pending_closes() + now.drainers() == 0
    });
    (fd_count(), heap())
}

/// Asserts that neither descriptors nor heap have grown since, once all has settled.
#[track_caller]
fn assert_nothing_leaked(before: (usize, usize), slack: usize, what: &str) {
    wait_for(|| fd_count() <= before.0 && heap() <= before.1 + slack);
    let now = settled();
    assert!(
        now.0 <= before.0 && now.1 <= before.1 + slack,
        "{what}: {} descriptors and {} bytes on the heap, {} and {} before",
        now.0,
        now.1,
        before.0,
        before.1
    );
}

/// Runs the round often enough for every table to have its size, and then asserts that further rounds leave nothing.
fn leaves_nothing(what: &str, rounds: usize, round: impl FnMut()) {
    leaves_little(SLACK, what, rounds, round);
}

/// The same with another slack.
fn leaves_little(slack: usize, what: &str, rounds: usize, mut round: impl FnMut()) {
    for _ in 0..rounds {
        round();
    }
    let mut before = settled();
    // A thread that is started late has memory of its own. What leaks does so every time.
    for _ in 0..3 {
        for _ in 0..rounds {
            round();
        }
        let now = settled();
        if now.0 <= before.0 && now.1 <= before.1 + slack {
            return;
        }
        before = now;
    }
    for _ in 0..rounds {
        round();
    }
    assert_nothing_leaked(before, slack, what);
}

/// Polls the future once and drops it.
fn cancel<F: Future>(future: F) {
    drop(poll_now(pin!(future)));
}

/// No more threads than this, however slow the device is: 64 of the pool, libtest's, the reactor's, the runtime's.
const MOST_THREADS: usize = 64 + 8;

#[test]
fn cancelled_operations_leave_neither_descriptors_nor_memory_nor_threads() {
    alone(|| {
        let dir = temp_dir();
        let (path, fifo) = (dir.path().join("file"), dir.path().join("fifo"));
        std::fs::write(&path, numbered(1 << 20)).unwrap();
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let rounds = iterations(1000);
        let new = dir.path().join("new");

        leaves_nothing("open", rounds, || cancel(File::open(&path)));
        leaves_nothing("create", rounds, || cancel(File::create(&new)));
        leaves_nothing("create_new", rounds, || cancel(File::create_new(&path)));
        leaves_nothing("open a FIFO to read", rounds, || cancel(File::open(&fifo)));
        leaves_nothing("open a FIFO to write", rounds, || {
            cancel(OpenOptions::new().write(true).open(&fifo));
        });
        leaves_nothing("open what is missing", rounds, || {
            cancel(File::open(dir.path().join("missing")));
        });
        leaves_nothing("read a whole file", rounds, || {
            cancel(aiofiles::read(&path));
        });
        leaves_nothing("read a FIFO", rounds, || cancel(aiofiles::read(&fifo)));
        leaves_nothing("write a whole file", rounds, || {
            cancel(aiofiles::write(&new, "text"));
        });
        leaves_nothing("write a FIFO", rounds, || {
            cancel(aiofiles::write(&fifo, "text"));
        });
        leaves_nothing("metadata", rounds, || cancel(aiofiles::metadata(&path)));
        leaves_nothing("read_dir", rounds, || {
            cancel(aiofiles::read_dir(dir.path()));
        });
        leaves_nothing("walk", rounds, || cancel(aiofiles::walk(dir.path()).next()));

        // The same on open files, each with its own, dropped after the cancelled call.
        let open =
            || future::block_on(OpenOptions::new().read(true).write(true).open(&path)).unwrap();
        leaves_nothing("read", rounds, || cancel(open().read(&mut [0; 100])));
        leaves_nothing("read much", rounds, || {
            cancel(open().read(&mut vec![0; 1 << 20]));
        });
        leaves_nothing("fill_buf", rounds, || cancel(open().fill_buf()));
        leaves_nothing("seek", rounds, || cancel(open().seek(SeekFrom::End(0))));
        leaves_nothing("set_len", rounds, || cancel(open().set_len(1 << 20)));
        leaves_nothing("metadata of a file", rounds, || cancel(open().metadata()));
        leaves_nothing("try_clone", rounds, || cancel(open().try_clone()));
        leaves_nothing("lock", rounds, || cancel(open().lock()));
        leaves_nothing("into_std", rounds, || cancel(open().into_std()));
        leaves_nothing("close", rounds, || cancel(open().close()));
        leaves_nothing("write and flush", rounds, || {
            let mut file = open();
            cancel(file.write(&[1; 100]));
            cancel(file.flush());
        });
        leaves_nothing("write and close", rounds, || {
            let mut file = open();
            cancel(file.write(&[1; 100_000]));
            cancel(file.close());
        });
        leaves_nothing("a lock that somebody has", rounds / 10 + 1, || {
            let (one, other) = (open(), open());
            future::block_on(async {
                one.lock().await.unwrap();
                assert!(poll_n(other.lock(), 2).await.is_none());
            });
        });
        leaves_nothing("a pipe", rounds, || {
            let (reader, writer) = pipe().unwrap();
            let mut reader = File::from(OwnedFd::from(reader));
            assert!(future::block_on(reader.stream_position()).is_err());
            cancel(reader.read(&mut [0; 4]));
            cancel(reader.fill_buf());
            drop(writer);
        });
        // On one file that stays open.
        let mut file = open();
        leaves_nothing("read, on one file", rounds, || {
            cancel(file.read(&mut [0; 100]));
            cancel(file.seek(SeekFrom::Start(0)));
        });
        drop(file);
        assert!(thread_count() <= MOST_THREADS, "{} threads", thread_count());
        assert_eq!(backend().buffered(), 0);
        // What `async-fs` performs may take more of them, and each has memory of its own.
        leaves_little(4 * SLACK, "canonicalize", rounds, || {
            cancel(aiofiles::canonicalize(&path));
        });
    });
}

/// On the backend that the process is told to use: `AIOFILES_BACKEND`.
#[test]
fn a_thousand_cancelled_opens_leave_nothing() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let rounds = iterations(1000);
        let mut opened = 0;
        let mut cuts = 0;
        leaves_nothing("open, cut somewhere", rounds / 2 + 1, || {
            opened += 1;
            let cut = future::block_on(poll_n(File::open(&path), 1 + opened % 3));
            cuts += usize::from(cut.is_none());
        });
        assert!(cuts > opened / 4, "only {cuts} of {opened} opens were cut");
        assert!(thread_count() <= MOST_THREADS, "{} threads", thread_count());
        figure(&format!(
            "cancel: {cuts} of {opened} opens cut on {:?}, no descriptor left, {} threads, nothing on the heap",
            backend().kind(),
            thread_count()
        ));
    });
}

#[test]
fn cancelled_copies_and_temporary_files_leave_nothing() {
    alone(|| {
        let dir = temp_dir();
        let (path, new) = (dir.path().join("file"), dir.path().join("new"));
        std::fs::write(&path, numbered(100_000)).unwrap();
        let rounds = iterations(1000);
        // What was begun goes on, so it is waited for from time to time: a long queue keeps much room. And what may take
        // long has threads of its own, each with memory.
        let leaves_nothing = |what: &str, rounds: usize, round: &mut dyn FnMut()| {
            let mut begun = 0;
            leaves_little(4 * SLACK, what, rounds, || {
                round();
                begun += 1;
                if begun % 16 == 0 {
                    settled();
                }
            });
        };
        let mut builder = aiofiles::tempfile::Builder::new();
        let builder = builder.dir(dir.path());
        let open =
            || future::block_on(OpenOptions::new().read(true).write(true).open(&path)).unwrap();
        leaves_nothing("copy", rounds, &mut || cancel(aiofiles::copy(&path, &new)));
        leaves_nothing("copy_with_progress", rounds, &mut || {
            cancel(aiofiles::copy_with_progress(&path, &new, |_, _| {}));
        });
        leaves_nothing("write_atomic", rounds, &mut || {
            cancel(aiofiles::write_atomic(&new, "text"));
        });
        leaves_nothing("temporary_file", rounds, &mut || {
            cancel(builder.temporary_file());
        });
        leaves_nothing("named_temporary_file", rounds, &mut || {
            cancel(builder.named_temporary_file());
        });
        leaves_nothing("temporary_directory", rounds, &mut || {
            cancel(builder.temporary_directory());
        });
        leaves_nothing("read_at", rounds, &mut || {
            cancel(open().read_at(vec![0; 10_000], 7));
        });
        leaves_nothing("write_at", rounds, &mut || {
            cancel(open().write_at(vec![0; 10_000], 7));
        });
        leaves_nothing("lock_shared", rounds, &mut || cancel(open().lock_shared()));
        leaves_nothing("copy_between", rounds, &mut || {
            let (mut from, mut to) = (open(), future::block_on(File::create(&new)).unwrap());
            cancel(aiofiles::copy_between(&mut from, &mut to));
        });
        let names = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 2, "temporary files stay");
    });
}

#[test]
fn ten_thousand_files_opened_and_dropped_leave_nothing() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        leaves_nothing("open and drop", iterations(10_000), || {
            drop(future::block_on(File::open(&path)).unwrap());
        });
        leaves_nothing("open, read and drop", iterations(2000), || {
            future::block_on(async {
                let mut file = File::open(&path).await.unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).await.unwrap();
                assert_eq!(text, "text");
            });
        });
        leaves_nothing("open, write and drop", iterations(2000), || {
            future::block_on(async {
                let mut file = File::create(&path).await.unwrap();
                file.write_all(b"text").await.unwrap();
            });
        });
        leaves_nothing("read_dir, to the end and not", iterations(2000), || {
            future::block_on(async {
                let mut entries = aiofiles::read_dir("/etc").await.unwrap();
                let entry = entries.next().await;
                drop(entries);
                entry.unwrap().unwrap().metadata().await.unwrap();
                let mut entries = aiofiles::read_dir(dir.path()).await.unwrap();
                while let Some(entry) = entries.next().await {
                    entry.unwrap();
                }
            });
        });
        leaves_nothing("closed, used after, dropped", iterations(2000), || {
            future::block_on(async {
                let mut file = File::open(&path).await.unwrap();
                file.close().await.unwrap();
                file.read(&mut [0; 4]).await.unwrap_err();
            });
        });
        leaves_nothing("clones", iterations(2000), || {
            future::block_on(async {
                let file = File::open(&path).await.unwrap();
                let mut clone = file.try_clone().await.unwrap();
                drop(file);
                clone.read(&mut [0; 4]).await.unwrap();
                drop(clone.into_std().await.unwrap());
            });
        });
        assert!(thread_count() <= MOST_THREADS, "{} threads", thread_count());
    });
}

#[test]
fn a_dropped_runtime_leaves_nothing_of_the_operations_it_ran() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(1 << 20)).unwrap();
        let round = |kind| {
            let runtime = Runtime::new(kind);
            for n in 0..20 {
                let (path, new) = (path.clone(), dir.path().join(format!("new-{n}")));
                drop(runtime.handle().spawn(async move {
                    let mut file = File::open(&path).await.unwrap();
                    let mut new = File::create(&new).await.unwrap();
                    loop {
                        let mut buf = vec![0; 10_000];
                        let n = file.read(&mut buf).await.unwrap();
                        new.write_all(&buf[..n]).await.unwrap();
                        file.seek(SeekFrom::Start(0)).await.unwrap();
                        new.seek(SeekFrom::Start(0)).await.unwrap();
                    }
                }));
            }
            let path = path.clone();
            runtime.block_on(async move {
                for _ in 0..10 {
                    aiofiles::metadata(&path).await.unwrap();
                }
            });
        };
        for kind in [Kind::TokioMulti, Kind::TokioCurrent, Kind::SmolFour] {
            leaves_nothing(kind.name(), iterations(20), || round(kind));
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory of open files

/// How many files are open at once.
const OPEN: usize = 1000;

fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = OPEN as u64 + 200;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        setrlimit(Resource::Nofile, limit).expect("more descriptors");
    }
}

/// What each of so many files costs on the heap after `make`, once their buffers are given back: waits for the bound.
fn cost(bound: usize, mut make: impl FnMut() -> File) -> usize {
    let mut files = Vec::with_capacity(OPEN);
    // The first ones pay for what is made once.
    files.extend(std::iter::repeat_with(&mut make).take(OPEN / 5));
    files.clear();
    wait_for(|| backend().buffered() == 0);
    let (_, before) = settled();
    files.extend(std::iter::repeat_with(&mut make).take(OPEN));
    wait_for(|| heap() < before + OPEN * bound);
    heap().saturating_sub(before) / OPEN
}

/// What one idle file may take.
const BOUND_OF_ONE: usize = 1024;

/// What the reactor keeps for each descriptor that it watches, on top of that.
const OF_THE_REACTOR: usize = 256;

#[test]
fn an_open_idle_file_costs_less_than_a_kilobyte() {
    alone(|| {
        raise_descriptor_limit();
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let open =
            || future::block_on(OpenOptions::new().read(true).write(true).open(&path)).unwrap();
        let bytes = cost(BOUND_OF_ONE, open);
        assert!(
            bytes < BOUND_OF_ONE,
            "{bytes} bytes for a file that was opened"
        );
        let bytes = cost(BOUND_OF_ONE, || {
            File::from(std::fs::File::open(&path).unwrap())
        });
        assert!(
            bytes < BOUND_OF_ONE,
            "{bytes} bytes for a file that was taken over"
        );
        let bytes = cost(BOUND_OF_ONE + OF_THE_REACTOR, || {
            let (reader, _) = pipe().unwrap();
            let file = File::from(OwnedFd::from(reader));
            assert!(future::block_on(file.stream_position()).is_err());
            file
        });
        assert!(
            bytes < BOUND_OF_ONE + OF_THE_REACTOR,
            "{bytes} bytes for the end of a pipe"
        );
    });
}

#[test]
fn a_file_that_was_used_costs_less_than_a_kilobyte_once_it_is_idle() {
    alone(|| {
        raise_descriptor_limit();
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let open =
            || future::block_on(OpenOptions::new().read(true).write(true).open(&path)).unwrap();
        for (what, len) in [("little", 100), ("some", 10_000), ("much", 60_000)] {
            let bytes = cost(BOUND_OF_ONE, || {
                let mut file = open();
                future::block_on(file.read_exact(&mut vec![0; len])).unwrap();
                file
            });
            assert!(
                bytes < BOUND_OF_ONE,
                "{bytes} bytes for a file that was read {what}"
            );
            let bytes = cost(BOUND_OF_ONE, || {
                let mut file = open();
                future::block_on(async {
                    file.write_all(&numbered(len)).await.unwrap();
                    file.flush().await.unwrap();
                });
                file
            });
            assert!(
                bytes < BOUND_OF_ONE,
                "{bytes} bytes for a file that was written {what}"
            );
        }
    });
}

#[test]
fn buffers_are_given_back_when_nobody_uses_them() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let text = (0..400_000)
            .map(|n| format!("line {n}\n"))
            .collect::<String>();
        std::fs::write(&path, &text).unwrap();
        future::block_on(async {
            let given_back = |what: &str| {
                wait_for(|| backend().buffered() == 0);
                assert_eq!(backend().buffered(), 0, "after {what}");
            };
            // Each of them stays open. What is read in the poll that asks needs no buffer.
            let mut options = File::options();
            let options = options.read(true).backend(BackendKind::Pool);
            let mut reader = options.open(&path).await.unwrap();
            reader
                .read_exact(&mut vec![0; text.len() / 2])
                .await
                .unwrap();
            assert!(backend().buffered() > 0, "something is read ahead");
            given_back("half of a file was read");

            let mut lines = File::open(&path).await.unwrap().lines();
            for n in 0..200_000 {
                let line = lines.next().await.unwrap().unwrap();
                assert_eq!(line, format!("line {n}"));
            }
            assert!(backend().buffered() > 0, "something is read ahead");
            // The block of which a part is lent stays with its file, and nothing else; it goes with the file.
            wait_for(|| backend().buffered() <= BLOCK);
            assert!(
                backend().buffered() <= BLOCK,
                "{} bytes",
                backend().buffered()
            );
            assert_eq!(lines.next().await.unwrap().unwrap(), "line 200000");
            drop(lines);
            given_back("a file that lent a block was dropped");

            let mut writer = File::create(dir.path().join("new")).await.unwrap();
            writer.write_all(text.as_bytes()).await.unwrap();
            writer.flush().await.unwrap();
            given_back("a file was written");

            let mut filled = File::open(&path).await.unwrap();
            filled
                .read_exact(&mut vec![0; text.len() / 2])
                .await
                .unwrap();
            assert!(!filled.fill_buf().await.unwrap().is_empty());
            wait_for(|| backend().buffered() <= BLOCK);
            assert!(
                backend().buffered() <= BLOCK,
                "{} bytes",
                backend().buffered()
            );
            let mut rest = String::new();
            filled.read_to_string(&mut rest).await.unwrap();
            assert_same_bytes(rest, &text[text.len() / 2..]);
            drop(filled);
            given_back("bytes were looked at and the file was dropped");

            let mut dropped = File::open(&path).await.unwrap();
            dropped
                .read_exact(&mut vec![0; text.len() / 2])
                .await
                .unwrap();
            drop(dropped);
            given_back("a file was dropped");

            // Whoever was idle goes on where it was.
            let mut rest = String::new();
            reader.read_to_string(&mut rest).await.unwrap();
            assert_same_bytes(rest, &text[text.len() / 2..]);
        });
    });
}

/// The largest piece that is read ahead at once.
const BLOCK: usize = 256 * 1024;

/// How many files are read or written at once, and how large each is.
const MANY: usize = 64;
const LARGE: usize = 4 << 20;

/// What all buffers may take together: the budget of a few megabytes, and 16 KiB for each reader and each half of a writer.
const BOUND: usize = (4 << 20) + (1 << 20) + MANY * 2 * 16 * 1024;

fn large_files(dir: &Path) -> Vec<PathBuf> {
    let paths = (0..MANY).map(|n| dir.join(n.to_string()));
    let paths = paths.collect::<Vec<_>>();
    for path in &paths {
        // Without blocks on the disk.
        std::fs::File::create(path)
            .unwrap()
            .set_len(LARGE as u64)
            .unwrap();
    }
    paths
}

#[test]
fn sixty_four_readers_together_keep_to_the_budget() {
    alone(|| {
        future::block_on(async {
            let dir = temp_dir();
            let mut files = Vec::new();
            for path in large_files(dir.path()) {
                files.push(File::open(path).await.unwrap());
            }
            let mut buf = vec![0; 64 * 1024];
            let (_, before) = settled();
            PEAK.store(before, Ordering::Relaxed);
            for _ in 0..LARGE / buf.len() {
                for file in &mut files {
                    file.read_exact(&mut buf).await.unwrap();
                }
            }
            let peak = PEAK.load(Ordering::Relaxed) - before;
            assert!(
                peak < BOUND,
                "{MANY} readers take {peak} bytes, more than {BOUND}"
            );
            for file in &mut files {
                assert_eq!(file.read(&mut buf).await.unwrap(), 0);
            }
        });
    });
}

#[test]
fn sixty_four_readers_at_once_keep_to_the_budget() {
    alone(|| {
        let dir = temp_dir();
        let paths = large_files(dir.path());
        let runtime = Runtime::new(Kind::TokioMulti);
        let handle = runtime.handle();
        runtime.block_on(async move {
            let mut files = Vec::new();
            for path in &paths {
                files.push((File::open(path).await.unwrap(), vec![0; 64 * 1024]));
            }
            let (_, before) = settled();
            PEAK.store(before, Ordering::Relaxed);
            let tasks = files.into_iter().map(|(mut file, mut buf)| {
                handle.spawn(async move {
                    let mut sum = 0;
                    loop {
                        match file.read(&mut buf).await.unwrap() {
                            0 => return sum,
                            n => sum += n,
                        }
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                assert_eq!(task.await, LARGE);
            }
            let peak = PEAK.load(Ordering::Relaxed) - before;
            assert!(
                peak < BOUND,
                "{MANY} readers take {peak} bytes, more than {BOUND}"
            );
        });
    });
}

#[test]
fn sixty_four_writers_at_once_keep_to_the_budget() {
    alone(|| {
        let dir = temp_dir();
        let runtime = Runtime::new(Kind::TokioMulti);
        let handle = runtime.handle();
        runtime.block_on(async move {
            let mut files = Vec::new();
            for n in 0..MANY {
                let file = File::create(dir.path().join(n.to_string())).await.unwrap();
                files.push((file, numbered(64 * 1024)));
            }
            let (_, before) = settled();
            PEAK.store(before, Ordering::Relaxed);
            let tasks = files.into_iter().map(|(mut file, buf)| {
                handle.spawn(async move {
                    for _ in 0..LARGE / 4 / buf.len() {
                        file.write_all(&buf).await.unwrap();
                    }
                    file.close().await.unwrap();
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await;
            }
            let peak = PEAK.load(Ordering::Relaxed) - before;
            assert!(
                peak < BOUND,
                "{MANY} writers take {peak} bytes, more than {BOUND}"
            );
        });
    });
}

#[test]
fn ten_thousand_operations_at_once_give_their_memory_back() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let runtime = Runtime::new(Kind::TokioMulti);
        let round = || {
            let (path, handle) = (path.clone(), runtime.handle());
            runtime.block_on(async move {
                let tasks = (0..10_000).map(|_| {
                    let path = path.clone();
                    handle.spawn(async move { aiofiles::metadata(path).await.map(|m| m.len()) })
                });
                for task in tasks.collect::<Vec<_>>() {
                    assert_eq!(task.await.unwrap(), 4);
                }
            });
        };
        round();
        let before = settled();
        for _ in 0..3 {
            round();
        }
        // How full the queue was differs from round to round, so its room may; the smallest thing that each of the
        // operations could leave would come to twice as much.
        let (descriptors, now) = settled();
        assert!(
            descriptors <= before.0 && now < before.1 + 3 * 10_000 * 16,
            "{descriptors} descriptors and {now} bytes on the heap, {before:?} before"
        );
        assert!(thread_count() <= MOST_THREADS, "{} threads", thread_count());
    });
}
