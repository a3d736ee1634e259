//! Reads that the page cache answers: in the first poll, with the bytes that std gives, whatever the kernel says to them.

use std::fs;
use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut, SeekFrom, Write as _};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;

use aiofiles::{AlignedBuf, Backend, BackendKind, File, OpenOptions, backend, open_text};
use futures_lite::future::{block_on, yield_now};
use futures_lite::io::AsyncBufRead as _;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};
use rustix::io::{Errno, ReadWriteFlags};

use crate::files::*;
use crate::support::*;

/// What most of these tests need.
pub const NEEDED: &str = "a file system that answers RWF_NOWAIT";

/// Runs a test in a process of its own where each operation goes where it is fastest, whatever the environment says.
pub const AUTO: &[&str] = &["env", "AIOFILES_BACKEND=auto"];

/// The same where everything goes to the pool.
const POOL: &[&str] = &["env", "AIOFILES_BACKEND=pool"];

/// Whether the file system tells what need not be waited for. The kernel itself is asked, so that an error of the crate is
/// not taken for a lack of the file system.
pub fn tells(path: &Path) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    if release.starts_with("5.9.") || release.starts_with("5.10.") {
        // What these kernels tell is wrong.
        return false;
    }
    let file = fs::File::open(path).expect("the file opens");
    let mut byte = [0];
    let mut bufs = [IoSliceMut::new(&mut byte)];
    let asked = rustix::io::preadv2(&file, &mut bufs, 0, ReadWriteFlags::NOWAIT);
    matches!(asked, Ok(_) | Err(Errno::AGAIN))
}

/// What comes of a future that waits for nothing: at most it lets other tasks have their turn.
#[track_caller]
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let count = CountingWaker::new();
    let waker = count.waker();
    for _ in 0..100 {
        let before = count.wakes();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => assert!(count.wakes() > before, "it waits"),
        }
    }
    panic!("it only lets others have their turn");
}

/// How often the page cache was asked so far.
fn asked(backend: &Backend) -> u64 {
    backend.cached_reads() + backend.cache_misses()
}

/// What `fill_buf` lends, copied.
async fn filled(file: &mut File) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        Pin::new(&mut *file)
            .poll_fill_buf(cx)
            .map_ok(<[u8]>::to_vec)
    })
    .await
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers at once

/// Watches that the pool has nothing to do, and the page cache has.
struct Watch(Backend);

impl Watch {
    fn new() -> Watch {
        Watch(backend())
    }

    /// Since the last time, the page cache has answered so many reads or more, and nobody else did anything.
    #[track_caller]
    fn answered(&mut self, what: &str, least: u64) {
        let now = backend();
        let (operations, submitted) = (
            now.operations() - self.0.operations(),
            now.submitted() - self.0.submitted(),
        );
        assert_eq!((operations, submitted), (0, 0), "{what} was dispatched");
        let answered = now.cached_reads() - self.0.cached_reads();
        assert!(answered >= least, "{what}: {answered} answers");
        self.0 = now;
    }
}

#[test]
fn reads_at_offsets_are_answered_in_the_first_poll() {
    alone_under(AUTO, || {
        let bytes = numbered(300_000);
        let (_dir, path) = sample(&bytes);
        if !tells(&path) {
            return skip(NEEDED);
        }
        let file = block_on(File::open(&path)).unwrap();
        let mut watch = Watch::new();
        for (offset, len) in [
            (0, 4096),
            (100_000, 100),
            (1, 65_536),
            (4095, 2),
            (10_000, 256 * 1024),
        ] {
            let (read, buf) = at_once(file.read_at(Vec::with_capacity(len), offset as u64));
            assert_eq!(read.unwrap(), len);
            assert_same_bytes(buf, &bytes[offset..offset + len]);
            watch.answered("read_at", 1);
        }
        let (read, buf) = at_once(file.read_exact_at(vec![0; 65_536], 65_536));
        read.unwrap();
        assert_same_bytes(buf, &bytes[65_536..131_072]);
        watch.answered("read_exact_at", 1);

        // The end of the file is known too.
        let (read, buf) = at_once(file.read_at(vec![7; 4096], 299_000));
        assert_eq!(read.unwrap(), 1000);
        assert_same_bytes(&buf[..1000], &bytes[299_000..]);
        watch.answered("read_at across the end", 1);
        for offset in [300_000, 300_001, 1 << 40] {
            assert_eq!(at_once(file.read_at(vec![7; 10], offset)).0.unwrap(), 0);
        }
        watch.answered("read_at behind the end", 3);
        let (read, buf) = at_once(file.read_exact_at(vec![7; 10], 299_995));
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_same_bytes(&buf[..5], &bytes[299_995..]);
        watch.answered("read_exact_at across the end", 1);

        let ranges = [0..10, 200_000..260_000, 299_990..400_000, 500_000..500_010];
        let found = at_once(file.read_many_at(ranges.clone()));
        for (range, found) in ranges.into_iter().zip(found) {
            let within = |offset: u64| offset.min(300_000) as usize;
            assert_same_bytes(
                found.unwrap(),
                &bytes[within(range.start)..within(range.end)],
            );
        }
        watch.answered("read_many_at", 4);
    });
}

#[test]
fn reads_at_the_position_are_answered_in_the_first_poll() {
    alone_under(AUTO, || {
        let bytes = numbered(300_000);
        let (_dir, path) = sample(&bytes);
        if !tells(&path) {
            return skip(NEEDED);
        }
        let mut file = block_on(File::open(&path)).unwrap();
        let mut watch = Watch::new();
        let mut buf = vec![0; 100];
        at_once(file.read_exact(&mut buf)).unwrap();
        assert_same_bytes(&buf, &bytes[..100]);
        watch.answered("read_exact", 1);
        let lent = at_once(filled(&mut file)).unwrap();
        assert!(!lent.is_empty());
        assert_same_bytes(&lent, &bytes[100..100 + lent.len()]);
        watch.answered("fill_buf of what is there", 0);
        at_once(file.seek(SeekFrom::Start(150_000))).unwrap();
        let lent = at_once(filled(&mut file)).unwrap();
        assert!(!lent.is_empty());
        assert_same_bytes(&lent, &bytes[150_000..150_000 + lent.len()]);
        watch.answered("fill_buf", 1);
        let mut large = vec![0; 65_536];
        at_once(file.seek(SeekFrom::Start(200_000))).unwrap();
        let n = at_once(file.read(&mut large)).unwrap();
        assert_same_bytes(&large[..n], &bytes[200_000..200_000 + n]);
        watch.answered("a large read", 1);
        let (mut one, mut other) = ([0; 5000], [0; 5000]);
        at_once(file.seek(SeekFrom::Start(10))).unwrap();
        let n = at_once(
            file.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)]),
        );
        assert_same_bytes(
            &[one, other].concat()[..n.unwrap()],
            &bytes[10..10 + 5000 + 5000],
        );
        watch.answered("read_vectored", 1);

        // To the end, and no further; but an end is none for ever.
        at_once(file.seek(SeekFrom::Start(0))).unwrap();
        assert_same_bytes(at_once(rest(&mut file)), &bytes);
        watch.answered("read_to_end", 2);
        for _ in 0..3 {
            assert_eq!(at_once(file.read(&mut buf)).unwrap(), 0);
            assert_eq!(at_once(filled(&mut file)).unwrap(), b"");
        }
        watch.answered("reads at the end", 6);
        let mut other = fs::File::options().append(true).open(&path).unwrap();
        other.write_all(b"more").unwrap();
        assert_eq!(at_once(rest(&mut file)), b"more");
        watch.answered("a read behind what was the end", 1);
    });
}

#[test]
fn lines_are_answered_in_the_first_poll() {
    alone_under(AUTO, || {
        let lines = (0..2000).map(|n| format!("line {n}")).collect::<Vec<_>>();
        let (_dir, path) = sample(lines.join("\n"));
        if !tells(&path) {
            return skip(NEEDED);
        }
        let mut file = block_on(open_text(&path, "r")).unwrap();
        let mut watch = Watch::new();
        let mut found = Vec::new();
        let mut stream = file.lines();
        while let Some(line) = at_once(stream.next()) {
            found.push(line.unwrap());
        }
        assert_eq!(found, lines);
        watch.answered("lines", 1);
    });
}

/// Of a file that somebody else opened, the first operation finds out what it is; from then on it is like others.
#[test]
fn foreign_files_are_answered_from_the_second_read_on() {
    alone_under(AUTO, || {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        if !tells(&path) {
            return skip(NEEDED);
        }
        let file = File::from(fs::File::open(&path).unwrap());
        assert_eq!(block_on(file.read_at(vec![0; 10], 0)).0.unwrap(), 10);
        let mut watch = Watch::new();
        let (read, buf) = at_once(file.read_at(Vec::with_capacity(4096), 50_000));
        assert_eq!(read.unwrap(), 4096);
        assert_same_bytes(buf, &bytes[50_000..54_096]);
        watch.answered("the second read", 1);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers that are none

/// Reads the file in every way, and compares with what it holds.
#[cfg(feature = "testing")]
async fn every_read_is_right(file: &mut File, bytes: &[u8]) {
    let len = bytes.len();
    let n = file.read(&mut [0; 100]).await.unwrap();
    assert!(n > 0, "the file does not end at its beginning");
    let mut buf = vec![0; 5000];
    file.read_exact(&mut buf).await.unwrap();
    assert_same_bytes(&buf, &bytes[n..n + 5000]);
    let lent = filled(file).await.unwrap();
    assert!(!lent.is_empty(), "nor does it end here");
    assert_same_bytes(&lent, &bytes[n + 5000..n + 5000 + lent.len()]);
    let mut large = vec![0; 40_000];
    file.read_exact(&mut large).await.unwrap();
    assert_same_bytes(&large, &bytes[n + 5000..n + 45_000]);
    file.seek(SeekFrom::Start(len as u64 - 30_000))
        .await
        .unwrap();
    assert_same_bytes(rest(file).await, &bytes[len - 30_000..]);
    assert_eq!(file.read(&mut buf).await.unwrap(), 0);
    file.seek(SeekFrom::Start(0)).await.unwrap();

    for (offset, room) in [(0, 10), (8192, 4096), (1, 70_000), (len - 10, 100)] {
        let n = room.min(len - offset);
        let expected = &bytes[offset..offset + n];
        let at = offset as u64;
        let (read, buf) = file.read_at(Vec::with_capacity(room), at).await;
        assert_eq!(read.unwrap(), n, "at {offset}");
        assert_same_bytes(buf, expected);
        let (read, buf) = file.read_exact_at(vec![0; room], at).await;
        assert_eq!(read.is_ok(), n == room);
        assert_same_bytes(&buf[..n], expected);
        let (read, bufs) = file
            .read_vectored_at(vec![vec![0; 5], vec![0; room - 5]], at)
            .await;
        assert_eq!(read.unwrap(), n);
        assert_same_bytes(&bufs.concat()[..n], expected);
        let range = at..at + room as u64;
        for found in file.read_many_at([range.clone(), range.clone()]).await {
            assert_same_bytes(found.unwrap(), expected);
        }
        for found in file.read_many_at_together([range], 0).await {
            assert_same_bytes(found.unwrap(), expected);
        }
        let (read, buf) = file.read_to_end_at(Vec::new(), at).await;
        assert_eq!(read.unwrap(), len - offset);
        assert_same_bytes(buf, &bytes[offset..]);
    }
    assert_eq!(file.read_at(vec![0; 5], len as u64).await.0.unwrap(), 0);
}

/// Reads a new file in every way, with each of these plans.
#[cfg(feature = "testing")]
fn reads_right_with(plans: impl FnOnce(&mut dyn FnMut(&str, &dyn Fn()))) {
    let bytes = numbered(100_000);
    let (_dir, path) = sample(&bytes);
    if !tells(&path) {
        return skip(NEEDED);
    }
    plans(&mut |what, plan| {
        let mut file = block_on(File::open(&path)).unwrap();
        plan();
        let read =
            std::panic::AssertUnwindSafe(|| block_on(every_read_is_right(&mut file, &bytes)));
        if let Err(panic) = std::panic::catch_unwind(read) {
            eprintln!("with {what}");
            std::panic::resume_unwind(panic);
        }
    });
}

/// How often a plan strikes, and from which call on.
#[cfg(feature = "testing")]
const STRIKES: [(usize, usize); 9] = [
    (0, 1),
    (0, 2),
    (0, usize::MAX),
    (1, 1),
    (1, 3),
    (1, usize::MAX),
    (2, 1),
    (3, 2),
    (5, usize::MAX),
];

/// Short counts are short counts; none is an end of the file, unless the file ends there.
#[cfg(feature = "testing")]
#[test]
fn short_counts_are_completed_and_none_is_taken_for_the_end() {
    use aiofiles::testing::Call;

    alone_under(AUTO, || {
        let faults = aiofiles::testing::Faults::install();
        reads_right_with(|read| {
            for most in [0, 1, 100, 4095, 4096, 10_000] {
                for (nth, times) in STRIKES {
                    let before = faults.struck();
                    read(&format!("{most} bytes, {times} times from {nth}"), &|| {
                        faults.clear();
                        faults.short(Call::CachedRead, nth, times, most);
                    });
                    assert!(faults.struck() > before, "nobody asked the page cache");
                }
            }
            // Not even if it cannot be found out where the file ends.
            for nth in 0..6 {
                read(&format!("no bytes, and no length after {nth}"), &|| {
                    faults.clear();
                    faults.short(Call::CachedRead, 0, usize::MAX, 0);
                    faults.fail(Call::CachedRead, nth, usize::MAX, Errno::IO.raw_os_error());
                });
            }
        });
    });
}

/// What the page cache fails with is not what the file fails with.
#[cfg(feature = "testing")]
#[test]
fn errors_of_the_page_cache_are_told_to_nobody() {
    use aiofiles::testing::Call;

    alone_under(AUTO, || {
        let faults = aiofiles::testing::Faults::install();
        reads_right_with(|read| {
            let errors = [
                Errno::AGAIN,
                Errno::IO,
                Errno::INTR,
                Errno::INVAL,
                Errno::BADF,
                Errno::NOMEM,
                Errno::OPNOTSUPP,
                Errno::FAULT,
                Errno::CANCELED,
                Errno::NOSPC,
                Errno::OVERFLOW,
                Errno::STALE,
                Errno::ACCESS,
            ];
            for error in errors {
                for (nth, times) in STRIKES {
                    // A call that is interrupted is made again, for ever if need be.
                    let times = if error == Errno::INTR {
                        times.min(50)
                    } else {
                        times
                    };
                    let before = faults.struck();
                    read(&format!("{error:?}, {times} times from {nth}"), &|| {
                        faults.clear();
                        faults.fail(Call::CachedRead, nth, times, error.raw_os_error());
                    });
                    let struck = faults.struck() - before;
                    assert!(struck > 0 || nth > 0, "nobody asked the page cache");
                }
            }
        });
    });
}

/// A file system that cannot tell is not asked again about this file, through whatever handle; but about others.
#[cfg(feature = "testing")]
#[test]
fn a_file_system_that_cannot_tell_is_asked_once_for_each_file() {
    use aiofiles::testing::{Call, Faults};

    alone_under(AUTO, || {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        if !tells(&path) {
            return skip(NEEDED);
        }
        let faults = Faults::install();
        faults.fail(Call::CachedRead, 0, 1, Errno::OPNOTSUPP.raw_os_error());
        crate::steps::count(&faults, Call::CachedRead);
        block_on(async {
            let mut file = File::open(&path).await.unwrap();
            let mut cursor = file.cursor(0).unwrap();
            let mut clone = file.try_clone().await.unwrap();
            every_read_is_right(&mut file, &bytes).await;
            assert_eq!(faults.struck(), 1);
            every_read_is_right(&mut cursor, &bytes).await;
            every_read_is_right(&mut clone, &bytes).await;
            assert_eq!(faults.struck(), 1);

            let other = File::open(&path).await.unwrap();
            let before = backend().cached_reads();
            assert_eq!(other.read_at(vec![0; 10], 0).await.0.unwrap(), 10);
            assert_eq!(faults.struck(), 2);
            assert_eq!(backend().cached_reads(), before + 1);
        });
    });
}

/// Kernels without the call, and sandboxes that forbid it, are not asked again about anything.
#[cfg(feature = "testing")]
fn is_asked_once(error: Errno) {
    use aiofiles::testing::{Call, Faults};

    let bytes = numbered(100_000);
    let (_dir, path) = sample(&bytes);
    if !tells(&path) {
        return skip(NEEDED);
    }
    let faults = Faults::install();
    faults.fail(Call::CachedRead, 0, 1, error.raw_os_error());
    crate::steps::count(&faults, Call::CachedRead);
    for _ in 0..3 {
        let mut file = block_on(File::open(&path)).unwrap();
        block_on(every_read_is_right(&mut file, &bytes));
        assert_eq!(faults.struck(), 1);
    }
    drop(faults);
    let before = asked(&backend());
    let mut file = block_on(File::open(&path)).unwrap();
    block_on(every_read_is_right(&mut file, &bytes));
    assert_eq!(asked(&backend()), before);
}

#[cfg(feature = "testing")]
#[test]
fn a_kernel_without_the_call_is_asked_once() {
    alone_under(AUTO, || is_asked_once(Errno::NOSYS));
}

#[cfg(feature = "testing")]
#[test]
fn a_sandbox_that_forbids_the_call_is_asked_once() {
    alone_under(AUTO, || is_asked_once(Errno::PERM));
}

/// A real file system that cannot tell.
#[test]
fn a_file_in_memory_is_asked_about_once_and_read_by_the_pool() {
    alone_under(AUTO, || {
        let bytes = numbered(100_000);
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
            return skip("/dev/shm");
        };
        let path = dir.path().join("file");
        fs::write(&path, &bytes).unwrap();
        if tells(&path) {
            return skip("a file system that does not answer RWF_NOWAIT");
        }
        block_on(async {
            let mut file = File::open(&path).await.unwrap();
            let before = backend();
            for n in 0..20 {
                let (read, buf) = file.read_at(Vec::with_capacity(100), n * 1000).await;
                assert_eq!(read.unwrap(), 100);
                assert_same_bytes(buf, &bytes[n as usize * 1000..][..100]);
            }
            assert_same_bytes(rest(&mut file).await, &bytes);
            let after = backend();
            assert_eq!(asked(&after), asked(&before) + 1);
            assert!(after.operations() >= before.operations() + 21);
            assert_eq!(after.submitted(), before.submitted());
        });
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Files that are not asked about

#[test]
fn direct_io_and_special_files_do_not_ask() {
    alone_under(AUTO, || {
        block_on(async {
            let bytes = numbered(64 * 1024);
            let (dir, path) = sample(&bytes);
            let before = asked(&backend());

            let status = aiofiles::read("/proc/self/status").await.unwrap();
            assert!(status.starts_with(b"Name:"));
            let mut file = File::open("/proc/self/status").await.unwrap();
            assert!(rest(&mut file).await.starts_with(b"Name:"));
            let (read, _) = file.read_at(vec![0; 100], 0).await;
            assert!(read.unwrap() > 0);
            let sys = File::open("/sys/kernel/mm/transparent_hugepage/enabled").await;
            if let Ok(mut file) = sys {
                assert!(!rest(&mut file).await.is_empty());
            }

            let mut zeros = File::open("/dev/zero").await.unwrap();
            let mut buf = [7; 100];
            zeros.read_exact(&mut buf).await.unwrap();
            assert_eq!(buf, [0; 100]);
            assert_eq!(zeros.read_at(vec![7; 100], 5).await.1, [0; 100]);

            let fifo = dir.path().join("fifo");
            let status = std::process::Command::new("mkfifo").arg(&fifo).status();
            assert!(status.unwrap().success());
            let mut reader = File::open(&fifo).await.unwrap();
            let mut writer = OpenOptions::new().write(true).open(&fifo).await.unwrap();
            writer.write_all(b"through the pipe").await.unwrap();
            writer.close().await.unwrap();
            assert_eq!(rest(&mut reader).await, b"through the pipe");

            let mut nobody = OpenOptions::new().write(true).open(&path).await.unwrap();
            nobody.read(&mut [0; 10]).await.unwrap_err();
            nobody.read_at(vec![0; 10], 0).await.0.unwrap_err();
            assert_eq!(asked(&backend()), before);

            let direct = OpenOptions::new().read(true).direct(true).open(&path).await;
            match direct {
                Ok(mut file) => {
                    let buf = AlignedBuf::with_capacity(8192, 4096).unwrap();
                    let (read, buf) = file.read_at(buf, 4096).await;
                    assert_eq!(read.unwrap(), 8192);
                    assert_same_bytes(&*buf, &bytes[4096..12_288]);
                    assert_same_bytes(rest(&mut file).await, &bytes);
                    assert_eq!(asked(&backend()), before, "direct I/O");
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                    skip("a file system with direct I/O");
                }
            }
            // And an ordinary one does, where that is of use.
            if tells(&path) {
                let file = File::open(&path).await.unwrap();
                assert_eq!(file.read_at(vec![0; 10], 0).await.0.unwrap(), 10);
                assert_eq!(asked(&backend()), before + 1);
            }
        });
    });
}

#[test]
fn nobody_asks_where_everything_goes_to_the_pool() {
    alone_under(POOL, || {
        block_on(async {
            let bytes = numbered(100_000);
            let (_dir, path) = sample(&bytes);
            let mut file = read_write().open(&path).await.unwrap();
            let before = backend().operations();
            for _ in 0..10 {
                let (read, buf) = file.read_at(Vec::with_capacity(4096), 4096).await;
                assert_eq!(read.unwrap(), 4096);
                assert_same_bytes(buf, &bytes[4096..8192]);
            }
            assert!(backend().operations() >= before + 10);
            assert_same_bytes(rest(&mut file).await, &bytes);
            assert_eq!(asked(&backend()), 0);
        });
    });
}

#[test]
fn nobody_asks_about_a_file_that_was_opened_for_the_pool() {
    alone_under(AUTO, || {
        block_on(async {
            let bytes = numbered(100_000);
            let (_dir, path) = sample(&bytes);
            let mut options = read_write();
            let mut file = options
                .backend(BackendKind::Pool)
                .open(&path)
                .await
                .unwrap();
            let mut cursor = file.cursor(0).unwrap();
            let before = backend();
            for _ in 0..10 {
                let (read, buf) = file.read_at(Vec::with_capacity(4096), 4096).await;
                assert_eq!(read.unwrap(), 4096);
                assert_same_bytes(buf, &bytes[4096..8192]);
            }
            assert_same_bytes(rest(&mut file).await, &bytes);
            assert_same_bytes(rest(&mut cursor).await, &bytes);
            let after = backend();
            assert_eq!(asked(&after), asked(&before));
            assert!(after.operations() >= before.operations() + 10);

            if tells(&path) {
                let other = File::open(&path).await.unwrap();
                assert_eq!(other.read_at(vec![0; 10], 0).await.0.unwrap(), 10);
                assert_eq!(backend().cached_reads(), after.cached_reads() + 1);
            }
        });
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Other tasks

/// A task that reads and reads what is in memory, of a file opened so, lets others have their turn.
pub async fn a_loop_of_reads_takes_turns(rt: Handle, options: OpenOptions) {
    let bytes = numbered(1 << 20);
    let (_dir, path) = sample(&bytes);
    let turns = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let other = rt.spawn({
        let (turns, stop) = (turns.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                turns.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        }
    });
    let mut file = options.open(&path).await.unwrap();
    // No more than so many reads between two turns of the other task, for each kind of read.
    let (mut between, mut last, mut kind) = (0, 0, "");
    let mut check = |most: u32, what: &'static str| {
        let now = turns.load(Ordering::Relaxed);
        let is_same = now == last && what == kind;
        between = if is_same { between + 1 } else { 0 };
        (last, kind) = (now, what);
        assert!(between <= most, "{what}: {between} reads without a turn");
    };
    for n in 0..iterations(100_000) as u64 {
        let (read, _) = file.read_at(vec![0; 64], n * 64 % (1 << 20)).await;
        assert_eq!(read.unwrap(), 64);
        check(128, "small reads at offsets");
    }
    for n in 0..iterations(10_000) as u64 {
        let (read, _) = file
            .read_at(Vec::with_capacity(65_536), n * 65_536 % (1 << 20))
            .await;
        assert_eq!(read.unwrap(), 65_536);
        check(16, "large reads at offsets");
    }
    for _ in 0..iterations(1000) {
        let (read, _) = file.read_at(Vec::with_capacity(1 << 20), 0).await;
        assert_eq!(read.unwrap(), 1 << 20);
        check(2, "the largest reads at offsets");
    }
    for n in 0..iterations(100_000) {
        if n % 10_000 == 0 {
            file.seek(SeekFrom::Start(0)).await.unwrap();
        }
        file.read_exact(&mut [0; 64]).await.unwrap();
        check(128, "small reads at the position");
    }
    let mut buf = vec![0; 65_536];
    for n in 0..iterations(10_000) {
        if n % 16 == 0 {
            file.seek(SeekFrom::Start(0)).await.unwrap();
        }
        file.read_exact(&mut buf).await.unwrap();
        check(16, "large reads at the position");
    }
    for _ in 0..iterations(10_000) {
        let ranges = (0..16).map(|n| n * 65_536..n * 65_536 + 1000);
        assert_eq!(file.read_many_at(ranges).await.len(), 16);
        check(16, "read_many_at");
    }
    stop.store(true, Ordering::Relaxed);
    other.await;
}

#[test]
fn a_loop_of_cached_reads_does_not_keep_the_executor_to_itself() {
    alone_under(AUTO, || {
        let (_dir, path) = sample("content");
        if !tells(&path) {
            return skip(NEEDED);
        }
        on_runtimes(&[Kind::SmolOne, Kind::TokioCurrent], |rt| {
            a_loop_of_reads_takes_turns(rt, read_write())
        });
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Files that change

/// One file, used through three handles with two positions, beside what it should hold.
async fn random_changes(path: &Path, mut rng: fastrand::Rng, rounds: usize) {
    const LONGEST: usize = 300_000;
    let mut expected = random_bytes(&mut rng, 100_000);
    fs::write(path, &expected).unwrap();
    let file = read_write().open(path).await.unwrap();
    let clone = file.try_clone().await.unwrap();
    let cursor = file.cursor(0).unwrap();
    let mut handles = [file, clone, cursor];
    for _ in 0..rounds {
        let handle = &mut handles[rng.usize(..3)];
        let offset = rng.usize(..LONGEST);
        let len = match rng.u8(..3) {
            0 => rng.usize(..100),
            1 => 4096,
            _ => rng.usize(..60_000),
        };
        let there = |expected: &[u8]| {
            let begin = offset.min(expected.len());
            expected[begin..(offset + len).min(expected.len())].to_vec()
        };
        match rng.u8(..10) {
            0 => {
                let bytes = random_bytes(&mut rng, len);
                handle
                    .write_all_at(bytes.clone(), offset as u64)
                    .await
                    .0
                    .unwrap();
                overwrite(&mut expected, offset, &bytes);
            }
            1 => {
                let bytes = random_bytes(&mut rng, len);
                handle.seek(SeekFrom::Start(offset as u64)).await.unwrap();
                handle.write_all(&bytes).await.unwrap();
                handle.flush().await.unwrap();
                overwrite(&mut expected, offset, &bytes);
            }
            2 => {
                handle.set_len(offset as u64).await.unwrap();
                expected.resize(offset, 0);
            }
            3 | 4 => {
                let (read, buf) = handle.read_at(Vec::with_capacity(len), offset as u64).await;
                assert_eq!(read.unwrap(), buf.len());
                assert_same_bytes(buf, there(&expected));
            }
            5 => {
                let range = offset as u64..(offset + len) as u64;
                let mut found = handle.read_many_at([range]).await;
                assert_same_bytes(found.pop().unwrap().unwrap(), there(&expected));
            }
            6 => {
                handle.seek(SeekFrom::Start(offset as u64)).await.unwrap();
                let lent = filled(handle).await.unwrap();
                let begin = offset.min(expected.len());
                assert_eq!(lent.is_empty(), begin == expected.len());
                assert_same_bytes(&lent, &expected[begin..begin + lent.len()]);
            }
            _ => {
                // Sometimes it goes on where it is.
                if rng.bool() {
                    handle.seek(SeekFrom::Start(offset as u64)).await.unwrap();
                }
                let begin = handle.stream_position().await.unwrap() as usize;
                let mut buf = vec![0; len];
                let mut n = 0;
                while n < len {
                    match handle.read(&mut buf[n..]).await.unwrap() {
                        0 => break,
                        more => n += more,
                    }
                }
                let begin = begin.min(expected.len());
                assert_same_bytes(
                    &buf[..n],
                    &expected[begin..(begin + len).min(expected.len())],
                );
            }
        }
    }
    assert_same_bytes(fs::read(path).unwrap(), expected);
}

/// What a write leaves in a file.
fn overwrite(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

#[test]
fn what_was_changed_is_what_is_read_on_several_threads() {
    alone_under(AUTO, || {
        let dir = temp_dir();
        let seed = Seed::new();
        thread::scope(|scope| {
            for n in 0..4 {
                let path = dir.path().join(n.to_string());
                let rng = fastrand::Rng::with_seed(seed.value().wrapping_add(n));
                scope.spawn(move || block_on(random_changes(&path, rng, iterations(1500))));
            }
        });
        let path = dir.path().join("0");
        if !tells(&path) {
            return skip(NEEDED);
        }
        assert!(backend().cached_reads() > 0);
    });
}

/// Who reads after a write has ended finds what it wrote, on whatever thread and through whatever handle.
#[test]
fn a_read_that_begins_after_a_write_finds_it_on_another_thread() {
    alone_under(AUTO, || {
        let (_dir, path) = sample(vec![0; 8192]);
        let file = block_on(read_write().open(&path)).unwrap();
        // Two copies of a number in two pages.
        let written = Arc::new(AtomicU64::new(0));
        let is_done = Arc::new(AtomicBool::new(false));
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
        let mut readers = Vec::new();
        for way in 0..3 {
            let mut cursor = file.cursor(0).unwrap();
            let (written, is_done) = (written.clone(), is_done.clone());
            readers.push(thread::spawn(move || {
                let mut reads = 0;
                while !is_done.load(Ordering::SeqCst) || reads == 0 {
                    reads += 1;
                    let least = written.load(Ordering::SeqCst);
                    let found = block_on(async {
                        match way {
                            0 => cursor.read_at(vec![0; 8], 4096).await.1,
                            1 => {
                                let mut found = cursor.read_many_at([4096..4104, 0..1]).await;
                                found.swap_remove(0).unwrap()
                            }
                            _ => {
                                let mut buf = vec![0; 8];
                                cursor.seek(SeekFrom::Start(4096)).await.unwrap();
                                cursor.read_exact(&mut buf).await.unwrap();
                                buf
                            }
                        }
                    });
                    let found = number(&found);
                    assert!(found >= least, "way {way}: {found} is older than {least}");
                }
            }));
        }
        block_on(async {
            for n in 1..=iterations(5000) as u64 {
                let bytes = n.to_be_bytes().to_vec();
                file.write_all_at(bytes, 4096).await.0.unwrap();
                written.store(n, Ordering::SeqCst);
            }
        });
        is_done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}
