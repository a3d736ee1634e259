//! What the crate does where: no file system call on the executor's thread, and few dispatches to the pool.
//!
//! In the first test, `strace` watches a process that performs every public operation once, on an executor of one
//! thread. In the second one, [`aiofiles::backend()`] counts how many dispatches each operation takes.
#![cfg(target_os = "linux")]

#[path = "common/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs::FileTimes;
use std::future::Future;
use std::io::{IoSlice, IoSliceMut, SeekFrom, Write as _, pipe};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aiofiles::tempfile::{Builder, NamedTemporaryFile, TemporaryDirectory, TemporaryFile};
use aiofiles::unix::{
    DirBuilderExt as _, DirEntryExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use aiofiles::{DirBuilder, File, OpenOptions, PathError, backend};
use futures_lite::future;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::*;

// ---------------------------------------------------------------------------------------------------------------------
// The thread

/// Stands before the name of an operation in the trace.
const MARK: &str = "card: ";

/// Leaves a line in the trace. It tells the thread, too.
fn mark(operation: &str) {
    let line = format!("{MARK}{operation}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error");
}

/// Does something that is no part of the test on a thread of its own.
fn elsewhere<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

/// A subscriber that wants to hear everything, and writes a file about it.
struct Everything;

impl tracing::Subscriber for Everything {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("aiofiles")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        write_down();
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        write_down();
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

fn write_down() {
    std::fs::write("/dev/null", "told").expect("the way to nowhere");
}

/// Calls that no file system has a part in.
const HARMLESS: [&str; 40] = [
    // Memory, time, threads, and waiting.
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "futex",
    "clone",
    "clone3",
    "set_robust_list",
    "rseq",
    "gettid",
    "getpid",
    "tgkill",
    "kill",
    "sched_yield",
    "sched_getaffinity",
    "sigaltstack",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "prctl",
    "getrandom",
    "clock_gettime",
    "clock_nanosleep",
    "nanosleep",
    "restart_syscall",
    "exit",
    // The reactor, and readiness.
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd2",
    "timerfd_create",
    "timerfd_settime",
    "poll",
    "ppoll",
    "pipe2",
    "socketpair",
];

/// What the features do on the executor's thread, as the documentation of the crate lists it: reads that do not wait, and
/// the length of a file that has answered such a read.
const NOWAIT: [(&str, &str); 3] = [
    ("preadv2", ", RWF_NOWAIT)"),
    (
        "statx",
        ", \"\", AT_STATX_DONT_SYNC|AT_EMPTY_PATH, STATX_SIZE, ",
    ),
    ("uname", ""),
];
const URING: [(&str, &str); 3] = [
    ("io_uring_setup", ""),
    ("io_uring_register", "IORING_REGISTER_PROBE"),
    ("io_uring_enter", ""),
];

/// Calls that are harmless on what is no file: on pipes, sockets, terminals, and the reactor's own descriptors.
const ON_STREAMS: [&str; 5] = ["read", "write", "close", "fcntl", "recvfrom"];

/// Whether a line of the trace, behind the thread's number, is a call that may stand on the executor's thread in this
/// build.
fn is_allowed(call: &str) -> bool {
    let listed = |list: &[(&str, &str)]| {
        let name = call.split('(').next();
        list.iter()
            .any(|(allowed, how)| name == Some(allowed) && call.contains(how))
    };
    is_always_allowed(call)
        || cfg!(feature = "nowait") && listed(&NOWAIT)
        || cfg!(feature = "uring") && listed(&URING)
}

/// Whether it may in every build.
fn is_always_allowed(call: &str) -> bool {
    let (name, args) = call.split_once('(').unwrap_or((call, ""));
    // The first argument with what strace says it leads to: `7<pipe:[123]>`.
    let target = args
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let target = target.map_or("", |(target, _)| target);
    let is_stream = [
        "pipe:",
        "socket:",
        "anon_inode:",
        "UNIX",
        "/dev/pts/",
        "/dev/ptmx",
    ]
    .iter()
    .any(|kind| target.starts_with(kind))
        || target.ends_with("/fifo");
    if name.starts_with("preadv2") || name.starts_with("pwritev2") {
        return is_stream && call.contains("RWF_NOWAIT");
    }
    // A new number for an open file; it asks the file nothing.
    let duplicates = name == "fcntl" && call.contains("F_DUPFD_CLOEXEC");
    HARMLESS.contains(&name) || is_stream && ON_STREAMS.contains(&name) || duplicates
}

/// The calls of a trace with the number of their thread. What was split because another thread came between is put
/// together again; signals and ends of threads are left out.
fn whole_calls(trace: &str) -> Vec<(String, String)> {
    let mut calls = Vec::<(String, String)>::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.starts_with("---") || call.starts_with("+++") {
            continue;
        }
        let begun = calls.iter_mut().rev().find(|(number, _)| number == thread);
        match (call.strip_prefix("<... "), begun) {
            (Some(rest), Some((_, begun))) => {
                begun.push_str(rest.split_once("resumed>").map_or("", |(_, rest)| rest));
            }
            (Some(_), None) => {}
            (None, _) => calls.push((thread.to_owned(), call.replace(" <unfinished ...>", ""))),
        }
    }
    calls
}

#[test]
fn the_executors_thread_makes_no_file_system_call() {
    let trace = temp_dir();
    let path = trace.path().join("trace");
    let strace = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "-s",
        "200",
        "-o",
        path.to_str().expect("a path in ASCII"),
    ];
    if !is_alone() && !succeeds(&[&strace[..], &["true"]].concat()) {
        return skip("strace");
    }
    alone_under(&strace, || {
        let dir = temp_dir();
        // Telling it of everything takes no call on this thread either.
        tracing::subscriber::set_global_default(Everything).expect("the only one");
        future::block_on(every_operation(dir.path()));
    });
    if is_alone() {
        return;
    }

    let trace = std::fs::read(&path).expect("the trace");
    let trace = whole_calls(&String::from_utf8_lossy(&trace));
    let marked = |call: &str| {
        let text = call.strip_prefix("write(2")?;
        let (_, text) = text.split_once(MARK)?;
        Some(text.split_once("\\n")?.0.to_owned())
    };
    let begin = trace.iter().find(|(_, call)| marked(call).is_some());
    let (thread, _) = begin.expect("the operations begin");
    let mut operation = None;
    let mut operations = BTreeSet::new();
    let mut violations = Vec::new();
    let mut ended = false;
    for (_, call) in trace.iter().filter(|(number, _)| number == thread) {
        if let Some(next) = marked(call) {
            ended = next == "end";
            operations.insert(next.clone());
            operation = Some(next);
            continue;
        }
        let Some(operation) = &operation else {
            continue;
        };
        if ended {
            break;
        }
        if !is_allowed(call) {
            violations.push(format!("{operation}: {call}"));
        }
    }
    assert!(ended, "the operations end");
    assert!(
        operations.len() > 90,
        "only {} operations were seen",
        operations.len()
    );
    // The pool did what the executor did not.
    assert!(
        trace
            .iter()
            .any(|(number, call)| number != thread && call.starts_with("openat("))
    );
    assert!(
        violations.is_empty(),
        "on the executor's thread:\n{}",
        violations.join("\n")
    );
}

#[test]
fn the_watch_over_the_trace_sees_what_it_is_there_for() {
    for call in [
        r#"openat(AT_FDCWD</>, "/x", O_RDONLY) = 3</x>"#,
        "close(3</tmp/x>) = 0",
        "close(3</tmp/x> <unfinished ...>",
        "read(3</tmp/x>, ...",
        "pread64(3</tmp/x>, ...",
        "preadv2(3</tmp/x>, [], 1, -1, RWF_NOWAIT) = 1",
        "preadv2(3<pipe:[5]>, [], 1, -1, 0) = 1",
        "write(3</tmp/x>, ...",
        "statx(AT_FDCWD</>, ...",
        "fstat(3<pipe:[5]>, ...",
        "fsync(3</tmp/x>) = 0",
        "fcntl(3</tmp/x>, F_GETFL) = 0",
        "getdents64(3</tmp>, ...",
        "unlink(\"/tmp/x\") = 0",
        "flock(3</tmp/x>, LOCK_EX|LOCK_NB) = 0",
        "lseek(3</tmp/x>, 0, SEEK_CUR) = 0",
        "getcwd(\"/\", 512) = 2",
    ] {
        assert!(!is_always_allowed(call), "{call}");
    }
    for call in [
        "futex(0x7f, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>",
        "epoll_ctl(5<anon_inode:[eventpoll]>, EPOLL_CTL_MOD, ...",
        "write(6<anon_inode:[eventfd]>, ...",
        "close(3<pipe:[5]>) = 0",
        "preadv2(3<pipe:[5]>, [], 1, -1, RWF_NOWAIT) = 1",
        "read(3</tmp/dir/fifo>, ...",
    ] {
        assert!(is_always_allowed(call), "{call}");
    }
    // No feature waits for a file, or asks one about more than its length.
    for call in [
        "preadv2(3</tmp/x>, [], 1, 0, 0) = 1",
        "pwritev2(3</tmp/x>, [], 1, 0, RWF_NOWAIT) = 1",
        r#"statx(3</tmp/x>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_SIZE, {}) = 0"#,
        r#"statx(AT_FDCWD</>, "/x", AT_STATX_DONT_SYNC, STATX_SIZE, {}) = 0"#,
        "pread64(3</tmp/x>, ...",
        "close(3</tmp/x>) = 0",
    ] {
        assert!(!is_allowed(call), "{call}");
    }
}

/// Performs every public operation, each under its mark.
async fn every_operation(dir: &Path) {
    let (file, other, sub) = (dir.join("file"), dir.join("other"), dir.join("sub"));
    let fifo = dir.join("fifo");
    elsewhere(|| {
        std::fs::write(&file, numbered(3 << 20)).unwrap();
        std::fs::create_dir(dir.join("full")).unwrap();
        for n in 0..700 {
            std::fs::write(dir.join("full").join(n.to_string()), "").unwrap();
        }
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    });
    let missing = dir.join("missing");
    let mut options = OpenOptions::new();
    options.read(true).write(true);

    // Functions on paths.
    mark("metadata");
    let permissions = aiofiles::metadata(&file).await.unwrap().permissions();
    mark("symlink_metadata");
    aiofiles::symlink_metadata(&file).await.unwrap();
    mark("exists");
    assert!(aiofiles::exists(&file).await);
    mark("try_exists");
    assert!(aiofiles::try_exists(&file).await.unwrap());
    mark("canonicalize");
    aiofiles::canonicalize(&file).await.unwrap();
    mark("read");
    assert_eq!(aiofiles::read(&file).await.unwrap().len(), 3 << 20);
    mark("read of what is missing");
    let error = aiofiles::read(&missing).await.unwrap_err();
    assert!(
        PathError::of(&error)
            .unwrap()
            .to_string()
            .contains("missing")
    );
    mark("read of a relative path");
    aiofiles::read("no/such/file").await.unwrap_err();
    mark("write");
    aiofiles::write(&other, "text").await.unwrap();
    mark("write, long");
    aiofiles::write(&other, vec![b'x'; 1 << 20]).await.unwrap();
    mark("read_to_string");
    assert_eq!(
        aiofiles::read_to_string(&other).await.unwrap().len(),
        1 << 20
    );
    mark("copy");
    aiofiles::copy(&file, &other).await.unwrap();
    mark("copy_with_progress");
    aiofiles::copy_with_progress(&file, &other, |_, _| {})
        .await
        .unwrap();
    mark("hard_link");
    aiofiles::hard_link(&other, dir.join("link")).await.unwrap();
    mark("symlink");
    aiofiles::unix::symlink("file", dir.join("symlink"))
        .await
        .unwrap();
    mark("read_link");
    aiofiles::read_link(dir.join("symlink")).await.unwrap();
    mark("chown");
    aiofiles::unix::chown(&other, None, None).await.unwrap();
    mark("lchown");
    aiofiles::unix::lchown(dir.join("symlink"), None, None)
        .await
        .unwrap();
    mark("set_permissions");
    aiofiles::set_permissions(&other, aiofiles::Permissions::from_mode(0o600))
        .await
        .unwrap();
    mark("rename");
    aiofiles::rename(&other, dir.join("renamed")).await.unwrap();
    mark("remove_file");
    aiofiles::remove_file(dir.join("renamed")).await.unwrap();
    mark("create_dir");
    aiofiles::create_dir(&sub).await.unwrap();
    mark("create_dir_all");
    aiofiles::create_dir_all(sub.join("a/b")).await.unwrap();
    mark("DirBuilder");
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(sub.join("c/d"))
        .await
        .unwrap();
    mark("remove_dir");
    aiofiles::remove_dir(sub.join("c/d")).await.unwrap();
    mark("remove_dir_all");
    aiofiles::remove_dir_all(&sub).await.unwrap();

    mark("write_atomic");
    aiofiles::write_atomic(&other, "text").await.unwrap();
    mark("write_atomic, cancelled");
    poll_once(aiofiles::write_atomic(&other, "text")).await;
    mark("unblock");
    let there = aiofiles::unblock(|| std::env::current_dir().is_ok()).await;
    assert!(there);
    every_operation_of_python(dir, &file).await;
    every_operation_in_a_directory(dir).await;

    // Directories.
    mark("read_dir");
    let mut entries = aiofiles::read_dir(dir.join("full")).await.unwrap();
    mark("entries of a directory");
    let mut kept = Vec::new();
    while let Some(entry) = entries.next().await {
        kept.push(entry.unwrap());
    }
    assert_eq!(kept.len(), 700);
    mark("DirEntry::file_type");
    assert!(kept[0].file_type().await.unwrap().is_file());
    mark("DirEntry::metadata");
    assert_eq!(kept[0].metadata().await.unwrap().len(), 0);
    mark("DirEntry, what it knows");
    assert!(kept[0].path().ends_with(kept[0].file_name()) && kept[0].ino() > 0);
    mark("the drop of a directory and its entries");
    drop((entries, kept));
    mark("the drop of a directory that is being read");
    let mut entries = aiofiles::read_dir(dir.join("full")).await.unwrap();
    let entry = entries.next().await.unwrap().unwrap();
    drop(entries);
    mark("the drop of the last entry");
    drop(entry);
    mark("walk");
    let mut walk = aiofiles::walk(dir)
        .follow_links(true)
        .max_depth(3)
        .min_depth(1);
    let mut count = 0;
    while let Some(entry) = walk.next().await {
        let entry = entry.unwrap();
        count += usize::from(entry.metadata().is_file() && entry.depth() > 0);
    }
    assert!(count > 700);
    mark("the drop of a walk that goes on");
    let mut walk = aiofiles::walk(dir);
    let entry = walk.next().await.unwrap().unwrap();
    drop(walk);
    drop(entry);

    // Opening.
    mark("File::open");
    let mut reader = File::open(&file).await.unwrap();
    mark("File::create");
    let mut writer = File::create(&other).await.unwrap();
    mark("File::create_new");
    let new = File::create_new(dir.join("new")).await.unwrap();
    mark("OpenOptions::open");
    let mut both = options
        .mode(0o600)
        .custom_flags(0)
        .open(&other)
        .await
        .unwrap();
    mark("open, cancelled");
    // Traced, this thread may be slower than the pool.
    drop(poll_once(File::open(&file)).await);
    mark("open of a directory");
    let directory = File::open(dir).await.unwrap();
    mark("sync_all of a directory");
    directory.sync_all().await.unwrap();
    mark("the drop of files");
    drop((new, directory));

    // Reading.
    let mut buf = vec![0; 10_000];
    mark("read of a file");
    assert!(reader.read(&mut buf).await.unwrap() > 0);
    mark("read_vectored");
    let (one, two) = buf.split_at_mut(5000);
    let slices = &mut [IoSliceMut::new(one), IoSliceMut::new(two)];
    assert!(reader.read_vectored(slices).await.unwrap() > 0);
    mark("read_exact of a megabyte");
    reader.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    mark("fill_buf");
    assert!(!reader.fill_buf().await.unwrap().is_empty());
    mark("consume");
    reader.consume(10);
    mark("read_until");
    reader.read_until(b'\n', &mut Vec::new()).await.unwrap();
    mark("read, cancelled");
    poll_once(reader.read(&mut buf)).await;
    mark("seek, from everywhere");
    for to in [SeekFrom::Start(9), SeekFrom::Current(1), SeekFrom::End(-5)] {
        reader.seek(to).await.unwrap();
    }
    mark("stream_position");
    reader.stream_position().await.unwrap();
    mark("read_to_end");
    reader.read_to_end(&mut Vec::new()).await.unwrap();
    mark("the drop of a file that reads ahead");
    reader.seek(SeekFrom::Start(0)).await.unwrap();
    reader.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    drop(reader);

    // Writing.
    mark("write of a file");
    writer.write_all(b"text").await.unwrap();
    mark("write_vectored");
    let slices = [IoSlice::new(b"one"), IoSlice::new(b"two")];
    assert!(writer.write_vectored(&slices).await.unwrap() > 0);
    mark("write of a megabyte");
    writer.write_all(&numbered(1 << 20)).await.unwrap();
    mark("flush");
    writer.flush().await.unwrap();
    mark("sync_all");
    writer.sync_all().await.unwrap();
    mark("sync_data");
    writer.sync_data().await.unwrap();
    mark("set_len");
    writer.set_len(1000).await.unwrap();
    mark("metadata of a file");
    writer.metadata().await.unwrap();
    mark("set_permissions of a file");
    writer.set_permissions(permissions).await.unwrap();
    mark("set_times");
    writer
        .set_times(FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH))
        .await
        .unwrap();
    mark("set_modified");
    writer.set_modified(SystemTime::UNIX_EPOCH).await.unwrap();
    mark("discard_unwritten");
    assert_eq!(writer.discard_unwritten().await, 0);
    mark("is_terminal");
    assert!(!writer.is_terminal().await);
    mark("what a file knows of itself");
    assert_eq!(writer.path(), Some(&*other));
    assert!(writer.as_raw_fd() >= 0 && writer.as_fd().as_raw_fd() >= 0);
    assert!(!format!("{writer:?} {:?}", backend()).is_empty());

    // Locks.
    mark("lock");
    writer.lock().await.unwrap();
    mark("try_lock, in vain");
    both.try_lock().await.unwrap_err();
    mark("lock, waited for and cancelled");
    assert!(poll_n(both.lock(), 3).await.is_none());
    mark("unlock");
    writer.unlock().await.unwrap();
    mark("lock_shared");
    both.lock_shared().await.unwrap();
    mark("try_lock_shared");
    writer.try_lock_shared().await.unwrap();
    mark("try_clone");
    let mut clone = both.try_clone().await.unwrap();
    mark("write to a clone");
    clone.write_all(b"text").await.unwrap();
    let mut read_many = aiofiles::read_many([&file, &file]);
    let (one, _other) = elsewhere(|| {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (one, other)
    });
    mark("copy_between");
    both.seek(SeekFrom::Start(0)).await.unwrap();
    let mut target = File::create(dir.join("target")).await.unwrap();
    aiofiles::copy_between(&mut both, &mut target)
        .await
        .unwrap();
    mark("read_at");
    both.read_at(vec![0; 100], 7).await.0.unwrap();
    mark("read_exact_at");
    both.read_exact_at(Box::new([0; 10]), 7).await.0.unwrap();
    mark("read_to_end_at");
    both.read_to_end_at(Vec::new(), 7).await.0.unwrap();
    mark("read_vectored_at");
    both.readv_at(vec![vec![0; 10]; 3], 7).await.0.unwrap();
    mark("read_at, cancelled");
    poll_once(both.read_at(vec![0; 100], 7)).await;
    mark("write_at");
    both.write_at("text", 7).await.0.unwrap();
    mark("write_all_at");
    both.write_all_at("text", 7).await.0.unwrap();
    mark("write_vectored_at");
    both.writev_at(vec!["text", "text"], 7).await.0.unwrap();
    mark("write_at, cancelled");
    poll_once(both.write_at("text", 7)).await;
    mark("read_many_at");
    both.read_many_at([0..10, 20..30]).await;
    mark("read_many");
    while let Some((_, read)) = read_many.next().await {
        read.unwrap();
    }
    mark("cursor");
    let mut cursor = both.cursor(7).unwrap();
    cursor.read(&mut buf).await.unwrap();
    mark("the drop of a cursor");
    drop(cursor);
    mark("chunks");
    let mut chunks = both.cursor(0).unwrap().chunks(100);
    while let Some(chunk) = chunks.next().await {
        chunk.unwrap();
    }
    mark("lines of bytes");
    let mut lines = aiofiles::LineReader::new(both.cursor(0).unwrap());
    while let Some(line) = lines.next().await {
        line.unwrap();
    }
    mark("allocate");
    target.allocate(0, 100_000).await.unwrap();
    mark("punch_hole");
    let _ = target.punch_hole(0, 10_000).await;
    mark("seek_data and seek_hole");
    target.seek_data(0).await.unwrap();
    target.seek_hole(0).await.unwrap();
    mark("advise");
    target
        .advise(0, 0, aiofiles::Advice::DontNeed)
        .await
        .unwrap();
    mark("copy_range");
    aiofiles::copy_range(&both, 0, &target, 10, 1000)
        .await
        .unwrap();
    mark("sendfile");
    aiofiles::unix::sendfile(&one, &both, 0, 100).await.unwrap();
    mark("direct_alignment");
    both.direct_alignment().await.unwrap();
    mark("direct");
    let mut direct = OpenOptions::new();
    if let Ok(mut direct) = direct
        .read(true)
        .write(true)
        .direct(true)
        .open(&other)
        .await
    {
        direct.write_all(b"text").await.unwrap();
        direct.flush().await.unwrap();
    }
    mark("close of a clone");
    clone.close().await.unwrap();
    mark("close");
    target.write_all(b"text").await.unwrap();
    target.close().await.unwrap();
    mark("close, again");
    target.close().await.unwrap();
    mark("read of a closed file");
    target.read(&mut buf).await.unwrap_err();
    mark("the drop of a closed file");
    drop(target);
    mark("close, cancelled");
    poll_once(both.close()).await;
    mark("the drop of a file that is being closed");
    drop(both);
    mark("the drop of a file with bytes on their way");
    writer.write_all(&numbered(200_000)).await.unwrap();
    drop(writer);
    mark("settle");
    aiofiles::settle().await;
    mark("open of a file that was dropped with bytes on their way");
    let mut writer = File::create(&other).await.unwrap();
    writer.write_all(&numbered(200_000)).await.unwrap();
    drop(writer);
    drop(File::open(&other).await.unwrap());

    // Append mode and unbuffered files.
    mark("append");
    let mut append = OpenOptions::new().append(true).open(&other).await.unwrap();
    append.write_all(b"line\n").await.unwrap();
    mark("stream_position in append mode");
    append.stream_position().await.unwrap();
    mark("unbuffered");
    let mut single = options.unbuffered(true).open(&other).await.unwrap();
    mark("unbuffered read");
    single.read_exact(&mut [0; 10]).await.unwrap();
    mark("unbuffered write");
    single.write_all(b"text").await.unwrap();
    mark("unbuffered write, cancelled");
    poll_once(single.write(b"text")).await;
    mark("the drop of an unbuffered file that is being written");
    drop(single);

    // Files of std.
    mark("From<std::fs::File>");
    let mut taken = File::from(elsewhere(|| std::fs::File::open(&file).unwrap()));
    mark("the first read of a file of std");
    taken.read_exact(&mut [0; 10]).await.unwrap();
    mark("into_std");
    let back = taken.into_std().await.unwrap();
    mark("the drop of a file of std, elsewhere");
    elsewhere(move || drop(back));
    mark("the drop of a file of std that was never used");
    drop(File::from(elsewhere(|| {
        std::fs::File::open(&file).unwrap()
    })));
    mark("into_std of a closed file");
    let mut closed = File::open(&file).await.unwrap();
    closed.close().await.unwrap();
    drop(closed.into_std().await.unwrap_err());

    // What is no file.
    mark("a pipe");
    let (reader, writer) = pipe().unwrap();
    let (mut reader, mut writer) = (
        File::from(OwnedFd::from(reader)),
        File::from(OwnedFd::from(writer)),
    );
    mark("write to a pipe");
    writer.write_all(b"text").await.unwrap();
    mark("read from a pipe");
    reader.read_exact(&mut [0; 4]).await.unwrap();
    mark("read from an empty pipe, cancelled");
    poll_once(reader.read(&mut [0; 4])).await;
    mark("close of a pipe");
    writer.close().await.unwrap();
    mark("the end of a pipe");
    assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0);
    mark("the drop of a pipe");
    drop((reader, writer));
    mark("open of a FIFO");
    let mut reader = File::open(&fifo).await.unwrap();
    let mut writer = OpenOptions::new().write(true).open(&fifo).await.unwrap();
    mark("write and read of a FIFO");
    writer.write_all(b"text").await.unwrap();
    reader.read_exact(&mut [0; 4]).await.unwrap();
    mark("into_std of a FIFO");
    let back = reader.into_std().await.unwrap();
    elsewhere(move || drop(back));
    mark("the drop of a FIFO");
    drop(writer);
    mark("open of a FIFO to write, cancelled");
    assert!(
        poll_n(OpenOptions::new().write(true).open(&fifo), 4)
            .await
            .is_none()
    );
    mark("/dev/null");
    aiofiles::write("/dev/null", "text").await.unwrap();
    let mut null = options.unbuffered(false).open("/dev/null").await.unwrap();
    null.write_all(b"text").await.unwrap();
    assert_eq!(null.read(&mut [0; 4]).await.unwrap(), 0);
    drop(null);
    mark("procfs");
    aiofiles::read("/proc/self/status").await.unwrap();
    let mut status = File::open("/proc/self/status").await.unwrap();
    status.read_to_end(&mut Vec::new()).await.unwrap();
    drop(status);
    mark("text");
    text(&dir.join("text")).await;
    // The standard streams: the output leads to a file, as in `program > file`, if the test is started so.
    mark("stdin");
    let mut input = aiofiles::stdio::stdin();
    input.read(&mut [0; 10]).await.unwrap();
    mark("stdin, text");
    aiofiles::stdio::stdin_text().readline().await.unwrap();
    mark("stdin, flush");
    input.flush().await.unwrap();
    mark("stdout");
    let mut output = aiofiles::stdio::stdout();
    output.write_all(b"stdout\n").await.unwrap();
    output.flush().await.unwrap();
    mark("stdout, text");
    let mut text = aiofiles::stdio::stdout_text();
    text.write("text\n").await.unwrap();
    text.close().await.unwrap();
    mark("stderr");
    let mut errors = aiofiles::stdio::stderr();
    errors.write_all(b"stderr\n").await.unwrap();
    errors.flush().await.unwrap();
    mark("stdio, is_terminal");
    assert!(!output.is_terminal().await);
    mark("stdio, drop");
    drop((input, output, text, errors));

    // Objects of std, and scopes.
    let object = elsewhere(|| std::fs::File::options().read(true).write(true).open(&other));
    mark("wrap");
    let mut object = aiofiles::wrap(object.unwrap()).seekable();
    mark("wrap, read");
    object.read(&mut [0; 10]).await.unwrap();
    mark("wrap, fill_buf");
    object.fill_buf().await.unwrap();
    mark("wrap, write");
    object.write_all(b"text").await.unwrap();
    mark("wrap, seek");
    object.seek(SeekFrom::Start(0)).await.unwrap();
    mark("wrap, a cancelled write");
    poll_once(object.write(b"text")).await;
    mark("wrap, get_mut");
    object.get_mut().await;
    mark("wrap, close");
    object.close().await.unwrap();
    mark("wrap, drop");
    drop(object);
    mark("with");
    aiofiles::with(File::create(&other), async |file| {
        file.write_all(b"text").await
    })
    .await
    .unwrap();
    mark("with, failing");
    aiofiles::with(File::open(&other), async |_| {
        Err::<(), _>(std::io::Error::other("no"))
    })
    .await
    .unwrap_err();

    // What goes away.
    let mut temporary = Builder::new();
    temporary.dir(dir);
    mark("temporary_file");
    let mut unnamed = temporary.temporary_file().await.unwrap();
    unnamed.write_all(b"text").await.unwrap();
    mark("close of a temporary file");
    unnamed.close().await.unwrap();
    mark("the drop of a temporary file");
    drop(temporary.temporary_file().await.unwrap());
    mark("temporary files where the system has them");
    drop(TemporaryFile::new().await.unwrap());
    drop(NamedTemporaryFile::new().await.unwrap());
    drop(TemporaryDirectory::new().await.unwrap());
    mark("named_temporary_file");
    let mut named = temporary.named_temporary_file().await.unwrap();
    named.write_all(b"text").await.unwrap();
    mark("reopen");
    let mut reopened = named.reopen().await.unwrap();
    reopened.read_exact(&mut [0; 4]).await.unwrap();
    drop(reopened);
    mark("close of a named file");
    named.close().await.unwrap();
    mark("the drop of a named file that is closed");
    drop(named);
    mark("the drop of a named file");
    drop(temporary.named_temporary_file().await.unwrap());
    mark("the drop of a named file with bytes on their way");
    let mut named = temporary.named_temporary_file().await.unwrap();
    named.write_all(&numbered(200_000)).await.unwrap();
    drop(named);
    mark("remove of a named file");
    let named = temporary.named_temporary_file().await.unwrap();
    named.remove().await.unwrap();
    mark("persist");
    let named = temporary.named_temporary_file().await.unwrap();
    drop(named.persist(dir.join("persisted")).await.unwrap());
    mark("persist_noclobber, in vain");
    let named = temporary.named_temporary_file().await.unwrap();
    let named = named.persist_noclobber(dir.join("persisted")).await;
    mark("keep of a named file");
    drop(named.unwrap_err().file.keep().await.unwrap());
    mark("named_temporary_file, cancelled");
    poll_once(temporary.named_temporary_file()).await;
    mark("a spooled file");
    let mut spooled = temporary.spooled_temporary_file(10).unwrap();
    spooled.write_all(b"text").await.unwrap();
    spooled.seek(SeekFrom::Start(0)).await.unwrap();
    spooled.read_exact(&mut [0; 4]).await.unwrap();
    spooled.set_len(6).await.unwrap();
    mark("rollover");
    spooled.rollover().await.unwrap();
    spooled.write_all(b"text").await.unwrap();
    spooled.set_len(6).await.unwrap();
    mark("the file of a spooled file");
    assert!(spooled.file().await.unwrap().as_raw_fd() >= 0);
    drop(spooled.into_file().await.unwrap());
    mark("temporary_directory");
    let mut sub = temporary.temporary_directory().await.unwrap();
    aiofiles::write(sub.path().join("file"), "text")
        .await
        .unwrap();
    mark("close of a temporary directory");
    sub.close().await.unwrap();
    drop(sub);
    mark("the drop of a temporary directory");
    drop(temporary.temporary_directory().await.unwrap());
    mark("keep of a temporary directory");
    temporary.temporary_directory().await.unwrap().keep();
    mark("temporary_directory, cancelled");
    poll_once(temporary.temporary_directory()).await;
    #[cfg(feature = "testing")]
    every_operation_of_tests().await;
    mark("set_max_concurrent_operations");
    aiofiles::set_max_concurrent_operations(64);
    // What is given back by a timer is given back there, too.
    mark("an idle second");
    let mut idle = File::open(&file).await.unwrap();
    idle.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    smol::Timer::after(Duration::from_millis(2500)).await;
    drop(idle);
    mark("end");
}

/// Performs every operation of text files and of opening by a mode.
#[expect(
    clippy::disallowed_methods,
    reason = "a pool of the user's own has threads"
)]
async fn text(path: &Path) {
    mark("open with a mode");
    let mut bytes = aiofiles::open(path, "a+").await.unwrap();
    bytes.write_all(b"bytes\n").await.unwrap();
    mark("wrap");
    drop(aiofiles::TextOptions::new().wrap(bytes));
    mark("open_with");
    let opened = aiofiles::open_with(path, "a", |path, options| options.open(path));
    drop(opened.await.unwrap());
    mark("open_text");
    let options = aiofiles::TextOptions::new().encoding(aiofiles::Encoding::UTF_16);
    let mut file = options.line_buffering(true).open(path, "w+").await.unwrap();
    mark("write of text");
    file.write("text\nof\nmany\nlines\n").await.unwrap();
    file.writelines(["and", "more"]).await.unwrap();
    file.flush().await.unwrap();
    mark("seek and tell of text");
    file.seek(aiofiles::TextPosition::START).await.unwrap();
    assert_eq!(file.readline().await.unwrap(), "text\n");
    let position = file.tell().await.unwrap();
    file.seek_to_end().await.unwrap();
    file.seek(position).await.unwrap();
    mark("read of text");
    assert_eq!(file.read(3).await.unwrap(), "of\n");
    assert_eq!(file.lines().next().await.unwrap().unwrap(), "many");
    assert_eq!(file.readlines(Some(1)).await.unwrap(), ["lines\n"]);
    assert_eq!(file.read_to_end().await.unwrap(), "andmore");
    mark("write of text after a read");
    file.seek(position).await.unwrap();
    file.read(1).await.unwrap();
    file.write("x").await.unwrap();
    mark("truncate of text");
    file.truncate().await.unwrap();
    mark("detach");
    let bytes = file.detach().await.unwrap();
    assert_eq!(bytes.stream_position().await.unwrap(), 16);
    mark("with_executor");
    let thread = |work: aiofiles::Work| drop(std::thread::spawn(|| work.run()));
    aiofiles::with_executor(thread, aiofiles::metadata(path))
        .await
        .unwrap();
    mark("close of text");
    aiofiles::TextOptions::new()
        .wrap(bytes)
        .close()
        .await
        .unwrap();
    mark("from_borrowed");
    let std = elsewhere(|| std::fs::File::open(path).unwrap());
    let mut borrowed = File::from_borrowed(&std).unwrap();
    borrowed.read_exact(&mut [0; 4]).await.unwrap();
    borrowed.close().await.unwrap();
    elsewhere(move || drop(std));
    mark("into_lines");
    let lines = aiofiles::open_text("Cargo.toml", "r")
        .await
        .unwrap()
        .into_lines();
    assert!(lines.count().await > 10);
}

/// The functions of `os` and `os::path` that are not only other names.
async fn every_operation_of_python(dir: &Path, file: &Path) {
    use aiofiles::os::{self, AccessMode, path};

    let deep = dir.join("p/q/r");
    mark("statvfs");
    os::statvfs(dir).await.unwrap();
    mark("access");
    assert!(os::access(file, AccessMode::READ | AccessMode::EFFECTIVE_IDS).await);
    mark("getcwd");
    os::getcwd().await.unwrap();
    mark("mkdir");
    os::mkdir(dir.join("p"), 0o700).await.unwrap();
    mark("makedirs");
    os::makedirs(&deep, 0o777, true).await.unwrap();
    mark("renames");
    os::renames(&deep, dir.join("s/t")).await.unwrap();
    mark("removedirs");
    os::removedirs(dir.join("s/t")).await.unwrap();
    mark("listdir");
    assert_eq!(os::listdir(dir.join("full")).await.unwrap().len(), 700);
    mark("abspath");
    path::abspath("file").await.unwrap();
    path::abspath(file).await.unwrap();
    mark("isfile, isdir, islink, ismount");
    assert!(path::isfile(file).await && path::isdir(dir).await);
    assert!(!path::islink(file).await && !path::ismount(file).await);
    mark("getsize, getatime, getmtime, getctime");
    assert_eq!(path::getsize(file).await.unwrap(), 3 << 20);
    path::getatime(file).await.unwrap();
    path::getmtime(file).await.unwrap();
    path::getctime(file).await.unwrap();
    mark("samefile");
    assert!(path::samefile(file, file).await.unwrap());
    mark("sameopenfile");
    let open = File::open(file).await.unwrap();
    assert!(path::sameopenfile(&open, &open).await.unwrap());
}

/// What is there for tests and asks the file system for something.
#[cfg(feature = "testing")]
async fn every_operation_of_tests() {
    use aiofiles::testing::memory_dir;

    mark("memory_dir");
    let memory = match memory_dir().await {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            return skip("a file system in memory");
        }
        memory => memory.unwrap(),
    };
    mark("a file in memory");
    let path = memory.path().join("file");
    aiofiles::write(&path, "text").await.unwrap();
    let mut file = File::open(&path).await.unwrap();
    file.read_exact(&mut [0; 4]).await.unwrap();
    mark("the drop of a directory in memory");
    drop((file, memory));
    mark("memory_dir, cancelled");
    poll_once(memory_dir()).await;
}

/// The methods of `Dir`.
async fn every_operation_in_a_directory(path: &Path) {
    use aiofiles::os::AccessMode;
    use aiofiles::unix::Dir;

    mark("Dir::open");
    let dir = Dir::open(path).await.unwrap();
    mark("Dir::open, cancelled");
    poll_once(Dir::open(path)).await;
    mark("Dir::open_dir");
    let full = dir.open_dir("full").await.unwrap();
    mark("Dir::open_file");
    drop(dir.open_file("file").await.unwrap());
    mark("Dir::open_file_with");
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let made = dir.open_file_with("made", &options).await.unwrap();
    mark("the drop of a file of a Dir");
    drop(made);
    mark("Dir::metadata, symlink_metadata");
    assert_eq!(dir.metadata("made").await.unwrap().len(), 0);
    assert!(dir.symlink_metadata("made").await.unwrap().is_file());
    mark("Dir::access");
    assert!(dir.access("made", AccessMode::READ).await);
    mark("Dir::create_dir, create_dir_with_mode, remove_dir");
    dir.create_dir("made dir").await.unwrap();
    dir.remove_dir("made dir").await.unwrap();
    dir.create_dir_with_mode("made dir", 0o700).await.unwrap();
    dir.remove_dir("made dir").await.unwrap();
    mark("Dir::hard_link, rename, remove_file");
    dir.hard_link("made", &dir, "hard").await.unwrap();
    dir.rename("hard", &dir, "moved").await.unwrap();
    dir.remove_file("moved").await.unwrap();
    mark("Dir::symlink, read_link");
    dir.symlink("made", "soft").await.unwrap();
    dir.read_link("soft").await.unwrap();
    dir.remove_file("soft").await.unwrap();
    mark("Dir::names");
    assert_eq!(full.names().await.unwrap().len(), 700);
    mark("Dir::sync_all");
    dir.sync_all().await.unwrap();
    mark("what a Dir knows of itself");
    assert!(dir.as_fd().as_raw_fd() >= 0 && !format!("{dir:?}").is_empty());
    mark("the drop of a Dir");
    drop((dir, full));
}

// ---------------------------------------------------------------------------------------------------------------------
// The dispatches

/// Dispatches to the pool while the future runs: `(what it gave, how many)`.
async fn dispatches<T>(future: impl Future<Output = T>) -> (T, u64) {
    let before = backend().operations();
    let output = future.await;
    (output, backend().operations() - before)
}

/// A table of operations with their dispatches and the most that they may take.
#[derive(Default)]
struct Card(Vec<(&'static str, u64, u64)>);

impl Card {
    /// Counts the dispatches of the future, once nothing else is on its way.
    async fn takes<T>(
        &mut self,
        what: &'static str,
        most: u64,
        future: impl Future<Output = T>,
    ) -> T {
        idle().await;
        let (output, count) = dispatches(future).await;
        self.0.push((what, count, most));
        output
    }
}

/// Waits until the pool has nothing to do.
async fn idle() {
    loop {
        let now = backend();
        if now.queued() + now.running() + now.pending_closes() == 0 {
            return;
        }
        future::yield_now().await;
    }
}

#[test]
fn each_operation_takes_as_few_dispatches_as_it_needs() {
    alone(|| {
        let dir = temp_dir();
        let card = future::block_on(fill_card(dir.path()));
        let table = card
            .0
            .iter()
            .map(|(what, count, most)| format!("{count:5} of {most:5}  {what}\n"));
        let table = table.collect::<String>();
        if env::var_os("AIOFILES_SHOW_CARD").is_some() {
            eprintln!("{table}");
        }
        let too_many = card.0.iter().any(|(_, count, most)| count > most);
        assert!(!too_many, "dispatches, and the most there may be:\n{table}");
    });
}

async fn fill_card(dir: &Path) -> Card {
    let mut card = Card::default();
    let (path, other) = (dir.join("file"), dir.join("other"));
    let megabyte = numbered(1 << 20);
    std::fs::write(&path, &megabyte).unwrap();
    let small = dir.join("small");
    std::fs::write(&small, "line\n".repeat(1000)).unwrap();
    std::fs::create_dir(dir.join("full")).unwrap();
    for n in 0..1000 {
        std::fs::write(dir.join("full").join(n.to_string()), "").unwrap();
    }

    // Functions on paths: one dispatch each, whatever they do in it.
    card.takes("metadata", 1, aiofiles::metadata(&path))
        .await
        .unwrap();
    card.takes("symlink_metadata", 1, aiofiles::symlink_metadata(&path))
        .await
        .unwrap();
    card.takes("try_exists", 1, aiofiles::try_exists(&path))
        .await
        .unwrap();
    card.takes("read of 1 MiB", 1, aiofiles::read(&path))
        .await
        .unwrap();
    card.takes("read_to_string", 1, aiofiles::read_to_string(&small))
        .await
        .unwrap();
    card.takes(
        "write of 100 KiB",
        1,
        aiofiles::write(&other, &megabyte[..100 << 10]),
    )
    .await
    .unwrap();
    card.takes("write of 1 MiB", 24, aiofiles::write(&other, &megabyte))
        .await
        .unwrap();
    card.takes("copy of 1 MiB", 1, aiofiles::copy(&path, &other))
        .await
        .unwrap();
    card.takes(
        "copy_with_progress of 1 MiB",
        8,
        aiofiles::copy_with_progress(&path, &other, |_, _| {}),
    )
    .await
    .unwrap();
    card.takes("rename", 1, aiofiles::rename(&other, dir.join("renamed")))
        .await
        .unwrap();
    card.takes("remove_file", 1, aiofiles::remove_file(dir.join("renamed")))
        .await
        .unwrap();
    card.takes("create_dir", 1, aiofiles::create_dir(dir.join("sub")))
        .await
        .unwrap();
    card.takes(
        "create_dir_all",
        1,
        aiofiles::create_dir_all(dir.join("sub/a/b")),
    )
    .await
    .unwrap();
    card.takes(
        "remove_dir_all",
        1,
        aiofiles::remove_dir_all(dir.join("sub")),
    )
    .await
    .unwrap();
    card.takes("write_atomic of 1 MiB", 1, async {
        aiofiles::write_atomic(&other, megabyte.clone()).await
    })
    .await
    .unwrap();
    card.takes("makedirs", 1, async {
        aiofiles::os::makedirs(dir.join("sub/a/b"), 0o777, false).await
    })
    .await
    .unwrap();
    card.takes("removedirs", 1, async {
        aiofiles::os::removedirs(dir.join("sub/a/b")).await
    })
    .await
    .unwrap();
    card.takes("abspath of an absolute path", 0, async {
        aiofiles::os::path::abspath(&path).await
    })
    .await
    .unwrap();
    let open = card
        .takes("Dir::open", 1, aiofiles::unix::Dir::open(dir))
        .await
        .unwrap();
    card.takes("Dir::metadata", 1, open.metadata("small"))
        .await
        .unwrap();
    card.takes("Dir::open_dir and names of 1,000 entries", 3, async {
        open.open_dir("full").await.unwrap().names().await
    })
    .await
    .unwrap();
    // What async-fs performs is polled on the pool, once to begin and once when it is done.
    card.takes("canonicalize", 2, aiofiles::canonicalize(&path))
        .await
        .unwrap();
    card.takes(
        "set_permissions",
        2,
        aiofiles::set_permissions(&path, aiofiles::Permissions::from_mode(0o600)),
    )
    .await
    .unwrap();

    // Directories: hundreds of entries in one.
    let entries = card
        .takes("read_dir of 1,000 entries", 5, async {
            aiofiles::read_dir(dir.join("full"))
                .await
                .unwrap()
                .count()
                .await
        })
        .await;
    assert_eq!(entries, 1000);
    let mut first = card
        .takes("read_dir", 2, aiofiles::read_dir(dir.join("full")))
        .await
        .unwrap();
    let entry = card
        .takes("the first entry", 1, first.next())
        .await
        .unwrap()
        .unwrap();
    card.takes("DirEntry::file_type", 0, entry.file_type())
        .await
        .unwrap();
    card.takes("DirEntry::metadata", 1, entry.metadata())
        .await
        .unwrap();
    drop((first, entry));
    let entries = card
        .takes(
            "walk over 1,000 entries",
            12,
            aiofiles::walk(dir.join("full")).count(),
        )
        .await;
    assert_eq!(entries, 1001);

    // Reading.
    let mut file = card.takes("open", 1, File::open(&path)).await.unwrap();
    card.takes("the first read", 1, file.read(&mut [0; 4096]))
        .await
        .unwrap();
    card.takes("a read of what is there", 0, file.read(&mut [0; 1000]))
        .await
        .unwrap();
    card.takes("seek", 0, file.seek(SeekFrom::Start(0)))
        .await
        .unwrap();
    card.takes("stream_position", 0, file.stream_position())
        .await
        .unwrap();
    card.takes("flush of a reader", 0, file.flush())
        .await
        .unwrap();
    card.takes("seek from the end", 1, file.seek(SeekFrom::End(0)))
        .await
        .unwrap();
    file.seek(SeekFrom::Start(0)).await.unwrap();
    card.takes("1 MiB in 256 reads", 16, async {
        for _ in 0..256 {
            file.read_exact(&mut [0; 4096]).await.unwrap();
        }
    })
    .await;
    card.takes("the end", 1, file.read(&mut [0; 4096]))
        .await
        .unwrap();
    card.takes("metadata of a file", 1, file.metadata())
        .await
        .unwrap();
    card.takes("try_clone", 0, file.try_clone()).await.unwrap();
    card.takes("lock", 1, file.lock()).await.unwrap();
    card.takes("unlock", 1, file.unlock()).await.unwrap();
    card.takes("read_at", 1, file.read_at(vec![0; 4096], 100))
        .await
        .0
        .unwrap();
    card.takes("read_exact_at of 1 MB", 1, async {
        file.read_exact_at(vec![0; 1_000_000], 100).await.0
    })
    .await
    .unwrap();
    card.takes("read_many_at of 100 ranges", 1, async {
        let ranges = (0..100).map(|n| n * 5000..n * 5000 + 4096);
        file.read_many_at(ranges).await.len()
    })
    .await;
    card.takes("cursor", 0, async { file.cursor(0).unwrap() })
        .await;
    card.takes("close", 2, file.close()).await.unwrap();
    let mut lines = File::open(&small).await.unwrap().lines();
    card.takes("1,000 lines", 4, async {
        for _ in 0..1000 {
            lines.next().await.unwrap().unwrap();
        }
    })
    .await;
    let mut file = File::open(&path).await.unwrap();
    card.takes("a read at random", 1, async {
        file.seek(SeekFrom::Start(500_000)).await.unwrap();
        file.read_exact(&mut [0; 4096]).await.unwrap();
    })
    .await;
    card.takes("read_to_end of 1 MiB", 16, async {
        file.seek(SeekFrom::Start(0)).await.unwrap();
        file.read_to_end(&mut Vec::new()).await.unwrap()
    })
    .await;
    card.takes("into_std", 2, file.into_std()).await.unwrap();

    // Writing.
    let mut file = File::create(&other).await.unwrap();
    card.takes("write", 1, file.write_all(b"text"))
        .await
        .unwrap();
    card.takes("flush of nothing", 0, file.flush())
        .await
        .unwrap();
    card.takes("write and flush", 1, async {
        file.write_all(b"text").await.unwrap();
        file.flush().await.unwrap();
    })
    .await;
    card.takes("1,000 writes of 100 bytes and a flush", 200, async {
        for _ in 0..1000 {
            file.write_all(&[b'x'; 100]).await.unwrap();
        }
        file.flush().await.unwrap();
    })
    .await;
    card.takes("1 MiB in 16 writes and a flush", 17, async {
        for part in megabyte.chunks(64 << 10) {
            file.write_all(part).await.unwrap();
        }
        file.flush().await.unwrap();
    })
    .await;
    card.takes("write_all_at", 1, file.write_all_at("text", 7))
        .await
        .0
        .unwrap();
    card.takes("set_len", 1, file.set_len(100)).await.unwrap();
    card.takes("set_modified", 1, file.set_modified(SystemTime::UNIX_EPOCH))
        .await
        .unwrap();
    card.takes("sync_all", 1, file.sync_all()).await.unwrap();
    card.takes("sync_data", 1, file.sync_data()).await.unwrap();
    card.takes("write and sync_all", 2, async {
        file.write_all(b"text").await.unwrap();
        file.sync_all().await.unwrap();
    })
    .await;
    card.takes("the drop of a file", 1, async { drop(file) })
        .await;
    let mut file = OpenOptions::new()
        .write(true)
        .unbuffered(true)
        .open(&other)
        .await
        .unwrap();
    card.takes("an unbuffered write", 1, file.write_all(b"text"))
        .await
        .unwrap();
    drop(file);

    // Files of std, and what is no file.
    let mut file = card
        .takes("From<std::fs::File>", 0, async {
            File::from(std::fs::File::open(&path).unwrap())
        })
        .await;
    card.takes("its first read", 2, file.read(&mut [0; 4096]))
        .await
        .unwrap();
    let (reader, writer) = pipe().unwrap();
    let (mut reader, mut writer) = (
        File::from(OwnedFd::from(reader)),
        File::from(OwnedFd::from(writer)),
    );
    card.takes("the first write to a pipe", 1, writer.write_all(b"text"))
        .await
        .unwrap();
    card.takes("a write to a pipe", 0, writer.write_all(b"text"))
        .await
        .unwrap();
    card.takes(
        "the first read from a pipe",
        1,
        reader.read_exact(&mut [0; 4]),
    )
    .await
    .unwrap();
    card.takes("a read from a pipe", 0, reader.read_exact(&mut [0; 4]))
        .await
        .unwrap();
    // Objects of std, and what is in memory.
    let mut object = aiofiles::wrap(std::io::Cursor::new(vec![0; 100_000]));
    card.takes("a read of an object", 1, object.read(&mut [0; 4096]))
        .await
        .unwrap();
    card.takes("a write of an object", 1, object.write_all(&[1; 4096]))
        .await
        .unwrap();
    let mut memory = aiofiles::memory(vec![b'\n'; 100_000]);
    card.takes("all that is done in memory", 0, async {
        memory.read_to_end(&mut Vec::new()).await.unwrap();
        memory.seek(SeekFrom::Start(0)).await.unwrap();
        memory.write_all(&[1; 4096]).await.unwrap();
        memory.close().await.unwrap();
    })
    .await;
    // What goes away.
    let mut temporary = Builder::new();
    temporary.dir(dir);
    let file = card
        .takes("temporary_file", 1, temporary.temporary_file())
        .await
        .unwrap();
    drop(file);
    let mut file = card
        .takes("named_temporary_file", 1, temporary.named_temporary_file())
        .await
        .unwrap();
    card.takes("close of a named file", 4, file.close())
        .await
        .unwrap();
    let file = temporary.named_temporary_file().await.unwrap();
    card.takes("the drop of a named file", 2, async { drop(file) })
        .await;
    let mut spooled = temporary.spooled_temporary_file(1 << 20).unwrap();
    card.takes("1 MiB in a spooled file", 0, spooled.write_all(&megabyte))
        .await
        .unwrap();
    card.takes("rollover", 1, spooled.rollover()).await.unwrap();
    drop(spooled);
    let mut sub = card
        .takes("temporary_directory", 1, temporary.temporary_directory())
        .await
        .unwrap();
    card.takes("close of a temporary directory", 1, sub.close())
        .await
        .unwrap();
    card.takes("settle, with nothing to wait for", 0, aiofiles::settle())
        .await;
    card
}
