//! Operations that go through io_uring: driven by the reactor under every runtime, with the results of std, also when
//! futures, files and threads go away in the middle of it; and what happens where io_uring is refused.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use aiofiles::{AlignedBuf, Backend, BackendKind, BufResult, File, OpenOptions, backend};
use futures_lite::future::{block_on, yield_now};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use rustix::fs::{Advice, fadvise};
use rustix::process::{Resource, getrlimit};

use crate::files::*;
use crate::nowait::{AUTO, NEEDED, a_loop_of_reads_takes_turns, tells};
use crate::support::seccomp::{self, IO_URING_ENTER, IO_URING_SETUP, Verdict};
use crate::support::*;

/// Whether there are rings here. If not, it is said aloud.
pub fn has_rings() -> bool {
    let backend = backend();
    if backend.kind() == BackendKind::Uring {
        return true;
    }
    skip(&format!("io_uring ({})", backend.reason()));
    false
}

/// Options for reading and writing by way of a ring, whatever the file.
pub fn by_ring() -> OpenOptions {
    let mut options = read_write();
    options.backend(BackendKind::Uring);
    options
}

/// Options for reading and writing past the page cache.
fn direct() -> OpenOptions {
    let mut options = read_write();
    options.direct(true);
    options
}

/// Opens a file for direct I/O, where there is such a thing. If not, it is said aloud.
fn open_direct(path: &Path) -> Option<File> {
    match block_on(direct().open(path)) {
        Ok(file) => Some(file),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            skip("a file system with direct I/O");
            None
        }
    }
}

/// Has the page cache forget the file.
fn make_cold(path: &Path) {
    let file = fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

/// Waits until nothing is queued or runs on the pool.
async fn until_the_pool_rests() {
    until(|| {
        let backend = backend();
        (backend.queued(), backend.running(), backend.drainers()) == (0, 0, 0)
            && backend.pending_closes() == 0
    })
    .await;
}

/// Waits until everything has come back from the kernel. In a process where nobody else submits.
pub fn wait_for_completions() {
    wait_until("all operations are completed", || {
        let backend = backend();
        backend.completed() == backend.submitted()
    });
}

/// Aligned memory with this in it.
fn aligned(bytes: &[u8]) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(bytes.len(), 4096).unwrap();
    assert_eq!(buf.extend_from_slice(bytes), bytes.len());
    buf
}

/// Aligned memory with room for so much.
fn room(len: usize) -> AlignedBuf {
    AlignedBuf::with_capacity(len, 4096).unwrap()
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A read that owns its share of the file.
fn reading(file: &Arc<File>, offset: usize, len: usize) -> Boxed<BufResult<usize, AlignedBuf>> {
    let file = file.clone();
    Box::pin(async move { file.read_at(room(len), offset as u64).await })
}

// ---------------------------------------------------------------------------------------------------------------------
// Driven by the reactor

/// Cold reads, at an offset and at the position, go to the device and come back without the pool.
async fn cold_reads_need_no_pool(path: PathBuf, bytes: Arc<Vec<u8>>, runtime: &'static str) {
    let file = File::open(&path).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(file.cursor(0).unwrap());
    }
    // Memory may be short, or the system may read the file for reasons of its own: then it is tried again.
    let mut submitted = false;
    for mut stream in streams {
        make_cold(&path);
        until_the_pool_rests().await;
        let before = backend();
        let (read, buf) = file.read_at(Vec::with_capacity(4096), 8192).await;
        let after = backend();
        assert_eq!(read.unwrap(), 4096);
        assert_same_bytes(buf, &bytes[8192..12_288]);
        assert_eq!(
            after.operations(),
            before.operations(),
            "{runtime}: the pool had to do with a read at an offset"
        );
        let at_offset = after.submitted() > before.submitted();

        make_cold(&path);
        let before = backend();
        let mut buf = vec![0; 4096];
        stream.seek(io::SeekFrom::Start(40_960)).await.unwrap();
        stream.read_exact(&mut buf).await.unwrap();
        let after = backend();
        assert_same_bytes(buf, &bytes[40_960..45_056]);
        assert_eq!(
            after.operations(),
            before.operations(),
            "{runtime}: the pool had to do with a read at the position"
        );
        let at_position = after.submitted() > before.submitted();
        submitted = at_offset && at_position;
        if submitted {
            break;
        }
    }
    assert!(submitted, "{runtime}: the rings had nothing to do with it");
}

#[test]
fn cold_reads_go_through_a_ring_under_every_runtime() {
    alone_under(AUTO, || {
        let bytes = Arc::new(numbered(256 * 1024));
        let (_dir, path) = sample(&*bytes);
        if !has_rings() {
            return;
        }
        if !tells(&path) {
            return skip(NEEDED);
        }
        every_runtime(|rt| cold_reads_need_no_pool(path.clone(), bytes.clone(), rt.name()));
        wait_for_completions();
    });
}

/// Then that thread drives the reactor, and nobody else may be there to do so.
#[test]
fn cold_reads_come_back_while_another_thread_is_idle_in_the_reactor() {
    alone_under(AUTO, || {
        let bytes = Arc::new(numbered(256 * 1024));
        let (_dir, path) = sample(&*bytes);
        if !has_rings() {
            return;
        }
        if !tells(&path) {
            return skip(NEEDED);
        }
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let idle = thread::spawn(move || {
            // An error: the sender is gone, which is the signal.
            let _ = smol::block_on(stopped.recv());
        });
        every_runtime(|rt| cold_reads_need_no_pool(path.clone(), bytes.clone(), rt.name()));
        drop(stop);
        idle.join().unwrap();
        wait_for_completions();
    });
}

/// Many at once, from many tasks.
#[test]
fn a_thousand_direct_reads_at_once_all_come_back() {
    alone_under(AUTO, || {
        let bytes = Arc::new(numbered(4 << 20));
        let (_dir, path) = sample(&*bytes);
        if !has_rings() {
            return;
        }
        let Some(file) = open_direct(&path) else {
            return;
        };
        let file = Arc::new(file);
        every_runtime(|rt| {
            let (file, bytes) = (file.clone(), bytes.clone());
            async move {
                let before = backend().submitted();
                let tasks = (0..4).map(|n| {
                    let (file, bytes) = (file.clone(), bytes.clone());
                    rt.spawn(async move {
                        let all = (0..256).map(|k| (k * 4 + n) * 4096);
                        let mut reads = all
                            .map(|offset| (offset, reading(&file, offset, 4096)))
                            .collect::<Vec<_>>();
                        for (_, read) in &mut reads {
                            // Those that are done at once must not be polled again.
                            if let Poll::Ready((_, buf)) = poll_now(read.as_mut()) {
                                *read = Box::pin(async move { (Ok(buf.len()), buf) });
                            }
                        }
                        for (offset, read) in reads {
                            let (n, buf) = read.await;
                            assert_eq!(n.unwrap(), 4096);
                            assert_same_bytes(&*buf, &bytes[offset..offset + 4096]);
                        }
                    })
                });
                for task in tasks.collect::<Vec<_>>() {
                    task.await;
                }
                assert!(backend().submitted() >= before + 1024);
            }
        });
        wait_for_completions();
    });
}

/// What a ring does at once is a ready answer too: whoever gets many of them lets others have their turn.
#[test]
fn a_loop_of_reads_by_ring_does_not_keep_the_executor_to_itself() {
    if !has_rings() {
        return;
    }
    on_runtimes(&[Kind::SmolOne, Kind::TokioCurrent], |rt| {
        a_loop_of_reads_takes_turns(rt, by_ring())
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Things that go away in the middle of it

/// The kernel reads for the thread that asks, and fails if that has gone. Nobody else hears of it.
#[test]
fn reads_whose_threads_have_ended_find_their_bytes() {
    alone_under(AUTO, || {
        let bytes = numbered(8 << 20);
        let (_dir, path) = sample(&bytes);
        if !has_rings() {
            return;
        }
        if !tells(&path) {
            return skip(NEEDED);
        }
        let buffered = block_on(File::open(&path)).unwrap();
        fadvise(&buffered, 0, None, Advice::Random).unwrap();
        let files = [Some(buffered), open_direct(&path)];
        let mut waited = 0;
        for file in files.into_iter().flatten() {
            let file = Arc::new(file);
            let mut rng = fastrand::Rng::with_seed(7);
            for _ in 0..iterations(40) {
                make_cold(&path);
                let threads = (0..8).map(|_| {
                    let offsets = (0..8).map(|_| rng.usize(..2048) * 4096).collect::<Vec<_>>();
                    let file = file.clone();
                    thread::spawn(move || {
                        let mut left = Vec::new();
                        for offset in offsets {
                            let mut read = reading(&file, offset, 4096);
                            match poll_now(read.as_mut()) {
                                Poll::Ready(done) => left.push((offset, Ok(done))),
                                Poll::Pending => left.push((offset, Err(read))),
                            }
                        }
                        left
                    })
                });
                let threads = threads.collect::<Vec<_>>();
                for thread in threads {
                    for (offset, read) in thread.join().unwrap() {
                        waited += usize::from(read.is_err());
                        let (n, buf) = read.unwrap_or_else(block_on);
                        assert_eq!(n.unwrap(), 4096);
                        assert_same_bytes(&*buf, &bytes[offset..offset + 4096]);
                    }
                }
            }
        }
        wait_for_completions();
        assert!(waited > 0, "each read was done at once");
        // How many there are is the kernel's business.
        println!(
            "{waited} reads waited, {} were made again",
            backend().retried()
        );
        assert!(backend().retried() <= backend().submitted());
    });
}

/// Memory that a future was dropped with stays away until the kernel has done with it: what is allocated at once in its
/// place is not written to.
#[test]
fn the_memory_of_abandoned_reads_is_not_given_back_early() {
    const PIECE: usize = 16 * 1024;
    const FILLED: u8 = 0xEE;
    alone_under(AUTO, || {
        let bytes = numbered(8 << 20);
        let (_dir, path) = sample(&bytes);
        if !has_rings() {
            return;
        }
        let before = fd_count();
        let buffered = block_on(by_ring().open(&path)).unwrap();
        let files = [Some(buffered), open_direct(&path)];
        let mut rng = fastrand::Rng::with_seed(8);
        let mut abandoned = 0;
        for file in files.into_iter().flatten() {
            for _ in 0..iterations(40) {
                make_cold(&path);
                let mut reads = Vec::new();
                for _ in 0..64 {
                    let offset = rng.usize(..(8 << 20) / PIECE) * PIECE;
                    let mut read = Box::pin(file.read_at(room(PIECE), offset as u64));
                    if poll_now(read.as_mut()).is_pending() {
                        reads.push(read);
                    }
                }
                abandoned += reads.len();
                for read in reads {
                    match rng.bool() {
                        true => drop(read),
                        false => std::mem::forget(read),
                    }
                }
                let others = (0..64)
                    .map(|_| aligned(&[FILLED; PIECE]))
                    .collect::<Vec<_>>();
                wait_for_completions();
                for other in others {
                    assert_same_bytes(&*other, [FILLED; PIECE]);
                }
                // The file is as good as before.
                let (n, buf) = block_on(file.read_at(room(PIECE), 0));
                assert_eq!(n.unwrap(), PIECE);
                assert_same_bytes(&*buf, &bytes[..PIECE]);
            }
        }
        assert!(abandoned > 0, "each read was done at once");
        wait_for_completions();
        wait_until("all files are closed", || fd_count() == before);
    });
}

/// A write whose future was dropped writes what it was given, and nothing that came into its memory later.
#[test]
fn abandoned_writes_write_what_they_were_given() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 256;
    alone_under(AUTO, || {
        let (_dir, path) = sample(vec![0; PIECE * PIECES]);
        if !has_rings() {
            return;
        }
        let before = fd_count();
        let buffered = block_on(by_ring().open(&path)).unwrap();
        let files = [Some(buffered), open_direct(&path)];
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut expected = vec![0; PIECE * PIECES];
        for file in files.into_iter().flatten() {
            let begin = backend().submitted();
            for _ in 0..iterations(10) {
                let mut places = (0..PIECES).collect::<Vec<_>>();
                rng.shuffle(&mut places);
                let mut others = Vec::new();
                for place in places {
                    let bytes = random_bytes(&mut rng, PIECE);
                    expected[place * PIECE..][..PIECE].copy_from_slice(&bytes);
                    let offset = (place * PIECE) as u64;
                    let mut write = Box::pin(file.write_all_at(aligned(&bytes), offset));
                    match poll_now(write.as_mut()) {
                        Poll::Ready((result, _)) => result.unwrap(),
                        Poll::Pending if rng.bool() => drop(write),
                        Poll::Pending => std::mem::forget(write),
                    }
                    others.push(aligned(&[0xEE; PIECE]));
                }
                // It waits for those too.
                block_on(file.sync_all()).unwrap();
                drop(others);
                assert_same_bytes(fs::read(&path).unwrap(), &expected);
            }
            assert!(backend().submitted() > begin);
        }
        wait_for_completions();
        wait_until("all files are closed", || fd_count() == before);
    });
}

/// More than an entry can say is not asked for at once.
#[test]
fn a_read_by_ring_into_four_gigabytes_reads_what_is_there() {
    alone_under(AUTO, || {
        if !has_rings() {
            return;
        }
        let (_dir, path) = sample("text");
        let file = block_on(by_ring().open(&path)).unwrap();
        let begin = backend().submitted();
        // Memory that is never touched costs nothing.
        let (n, buf) = block_on(file.read_at(Vec::with_capacity(1 << 32), 0));
        assert!(backend().submitted() > begin);
        assert_eq!((n.unwrap(), &*buf), (4, &b"text"[..]));
    });
}

/// A write that comes short goes on behind what it has written, and tells why there is no more.
#[test]
fn a_short_write_by_ring_goes_on_where_it_stopped() {
    const PIECE: usize = 4096;
    // The signal that comes with the error is ignored by a child whose parent ignored it.
    let limited = "unset AIOFILES_BACKEND; trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"";
    alone_under(&["sh", "-c", limited], || {
        if !has_rings() {
            return;
        }
        let limit = getrlimit(Resource::Fsize).current;
        let limit = limit.expect("the shell has set it") as usize;
        let (_dir, path) = sample(vec![0; limit]);
        let file = block_on(by_ring().open(&path)).unwrap();
        let bytes = numbered(2 * PIECE);
        let begin = backend().submitted();
        let place = limit - PIECE;
        let (result, _) = block_on(file.write_all_at(aligned(&bytes), place as u64));
        assert!(backend().submitted() >= begin + 2);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EFBIG));
        let found = fs::read(&path).unwrap();
        assert_same_bytes(&found[..place], vec![0; place]);
        assert_same_bytes(&found[place..], &bytes[..PIECE]);
    });
}

/// A descriptor stays what it was as long as the kernel may look at it, although its file was dropped, and others are opened
/// that would get its number.
#[test]
fn files_that_are_dropped_in_the_middle_of_it_are_not_taken_for_others() {
    const PIECE: usize = 4096;
    const FILES: usize = 24;
    alone_under(AUTO, || {
        let dir = temp_dir();
        if !has_rings() {
            return;
        }
        let content = |n: usize| vec![n as u8 + 1; PIECE * 4];
        let path = |n: usize| dir.path().join(n.to_string());
        for n in 0..FILES {
            fs::write(path(n), content(n)).unwrap();
        }
        let victims = (0..FILES)
            .map(|n| {
                let victim = dir.path().join(format!("victim {n}"));
                fs::write(&victim, vec![0xFF; PIECE * 4]).unwrap();
                victim
            })
            .collect::<Vec<_>>();
        let is_direct = open_direct(&path(0)).is_some();
        block_on(until_the_pool_rests());
        let before = fd_count();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut pending = 0;
        for round in 0..iterations(60) {
            let options = match is_direct && round % 2 == 0 {
                true => direct(),
                false => by_ring(),
            };
            let mut begun = Vec::new();
            for n in 0..FILES {
                make_cold(&path(n));
                let file = block_on(options.open(path(n))).unwrap();
                // Each owns its file: with the future, the file goes.
                let mut work: Boxed<()> = match n % 3 {
                    0 => Box::pin(async move {
                        // Beyond what is read.
                        let offset = (PIECE * 3) as u64;
                        let bytes = aligned(&[n as u8 + 1; PIECE]);
                        file.write_all_at(bytes, offset).await.0.unwrap();
                    }),
                    _ => Box::pin(async move {
                        let (read, buf) = file.read_at(room(PIECE), PIECE as u64).await;
                        assert_eq!(read.unwrap(), PIECE);
                        assert_same_bytes(&*buf, [n as u8 + 1; PIECE]);
                    }),
                };
                if poll_now(work.as_mut()).is_pending() {
                    pending += 1;
                    begun.push(work);
                }
            }
            rng.shuffle(&mut begun);
            let kept = begun.split_off(begun.len() / 2);
            drop(begun);
            // These get the numbers of those that were closed.
            let open = victims
                .iter()
                .map(|victim| {
                    fs::File::options()
                        .read(true)
                        .write(true)
                        .open(victim)
                        .unwrap()
                })
                .collect::<Vec<_>>();
            for work in kept {
                block_on(work);
            }
            block_on(aiofiles::settle());
            wait_for_completions();
            for victim in open {
                let mut found = vec![0; PIECE * 4];
                victim.read_exact_at(&mut found, 0).unwrap();
                assert_same_bytes(found, vec![0xFF; PIECE * 4]);
            }
            for n in 0..FILES {
                assert_same_bytes(fs::read(path(n)).unwrap(), content(n));
            }
        }
        assert!(pending > 0, "everything was done at once");
        wait_until("all files are closed", || fd_count() == before);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Beside std

/// What came of a call.
fn outcome<T>(result: io::Result<T>) -> Result<T, Option<i32>> {
    result.map_err(|error| aiofiles::raw_os_error(&error))
}

/// Random reads and writes at offsets, of a file whose every operation is demanded of a ring, and of std's beside it.
async fn beside_std(dir: &Path, is_direct: bool, rounds: usize) {
    const LONGEST: u64 = 200_000;
    let seed = Seed::new();
    let mut rng = seed.rng();
    let (path, twin_path) = (dir.join("file"), dir.join("twin"));
    let start = random_bytes(&mut rng, 65_536);
    fs::write(&path, &start).unwrap();
    fs::write(&twin_path, &start).unwrap();
    let mut options = by_ring();
    let file = match options.direct(is_direct).open(&path).await {
        Ok(file) => file,
        Err(error) if is_direct => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            return skip("a file system with direct I/O");
        }
        Err(error) => panic!("{error}"),
    };
    let twin = fs::File::options()
        .read(true)
        .write(true)
        .open(&twin_path)
        .unwrap();
    // Direct I/O moves whole blocks.
    let block = if is_direct { 4096 } else { 1 };
    let before = backend().submitted();
    for round in 0..rounds {
        let offset = match rng.u8(..8) {
            0 => LONGEST * 1000,
            1 => 0,
            _ => rng.u64(..LONGEST),
        } / block
            * block;
        let len = match rng.u8(..6) {
            0 => 0,
            1 => rng.usize(..10),
            2 => 4096,
            _ => rng.usize(..50_000),
        } / block as usize
            * block as usize;
        if rng.u8(..8) == 0 {
            make_cold(&path);
        }
        let what = format!("round {round}: {len} bytes at {offset}");
        match rng.u8(..8) {
            0 | 1 => {
                let (read, buf) = file.read_at(room(len), offset).await;
                let mut expected = vec![0; len];
                let n = twin.read_at(&mut expected, offset).unwrap();
                assert_eq!(outcome(read), Ok(n), "read_at, {what}");
                assert_same_bytes(&buf[..], &expected[..n]);
            }
            2 | 3 => {
                let (read, buf) = file.read_exact_at(room(len), offset).await;
                let mut expected = vec![0; len];
                let there = twin.metadata().unwrap().len().saturating_sub(offset);
                let n = (there as usize).min(len);
                twin.read_exact_at(&mut expected[..n], offset).unwrap();
                let read = read.map_err(|error| error.kind());
                let all = match n == len {
                    true => Ok(()),
                    false => Err(io::ErrorKind::UnexpectedEof),
                };
                assert_eq!(read, all, "read_exact_at, {what}");
                assert_same_bytes(&buf[..n], &expected[..n]);
            }
            4 => {
                let bytes = random_bytes(&mut rng, len);
                let (written, buf) = file.write_at(aligned(&bytes), offset).await;
                let n = written.unwrap();
                assert!(n > 0 || len == 0, "write_at, {what}");
                assert_same_bytes(&*buf, &bytes);
                twin.write_all_at(&bytes[..n], offset).unwrap();
            }
            5 | 6 => {
                let bytes = random_bytes(&mut rng, len);
                let (written, buf) = file.write_all_at(aligned(&bytes), offset).await;
                written.unwrap();
                assert_same_bytes(&*buf, &bytes);
                twin.write_all_at(&bytes, offset).unwrap();
            }
            _ => {
                let len = rng.u64(..LONGEST);
                file.set_len(len).await.unwrap();
                twin.set_len(len).unwrap();
            }
        }
        assert_eq!(
            file.metadata().await.unwrap().len(),
            twin.metadata().unwrap().len(),
            "{what}"
        );
    }
    assert!(backend().submitted() >= before + rounds as u64 / 4);
    file.sync_all().await.unwrap();
    assert_same_as(&path, &twin);
}

/// Compares two files that may be long and have holes, and makes them short.
#[track_caller]
fn assert_same_as(path: &Path, twin: &fs::File) {
    let file = fs::File::options().read(true).open(path).unwrap();
    let len = file.metadata().unwrap().len();
    assert_eq!(len, twin.metadata().unwrap().len());
    let (mut found, mut expected) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    while offset < len {
        let n = (len - offset).min(1 << 20) as usize;
        file.read_exact_at(&mut found[..n], offset).unwrap();
        twin.read_exact_at(&mut expected[..n], offset).unwrap();
        assert_same_bytes(&found[..n], &expected[..n]);
        offset += n as u64;
    }
}

/// The same on the file systems that there are.
fn beside_std_in(dirs: &[PathBuf]) {
    if !has_rings() {
        return;
    }
    for dir in dirs {
        for is_direct in [false, true] {
            block_on(beside_std(dir, is_direct, iterations(1500)));
        }
    }
    let backend = backend();
    assert!(backend.submitted() > 0);
    wait_for_completions();
    assert_eq!(backend.overflows(), 0, "their queue holds all completions");
}

#[test]
fn operations_at_offsets_have_the_results_of_std() {
    alone_under(AUTO, || {
        let dirs = directories();
        let paths = dirs.iter().map(|dir| dir.path().to_owned());
        beside_std_in(&paths.collect::<Vec<_>>());
    });
}

/// The same where files of one file system stand for those of another.
#[test]
fn operations_at_offsets_have_the_results_of_std_on_overlayfs() {
    let command: &[&str] = &["unshare", "-m", "env", "AIOFILES_BACKEND=auto"];
    if !is_root() || !succeeds(&["unshare", "-m", "true"]) {
        return skip("mounts of its own (`unshare -m`)");
    }
    alone_under(command, || {
        let dir = temp_dir();
        let at = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path.display().to_string()
        };
        let (lower, upper, work, target) = (at("lower"), at("upper"), at("work"), at("target"));
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let mount = ["mount", "-t", "overlay", "-o", &options, "overlay", &target];
        if !succeeds(&mount) {
            return skip("overlayfs");
        }
        beside_std_in(&[PathBuf::from(&target)]);
        block_on(aiofiles::settle());
        assert!(succeeds(&["umount", "--lazy", &target]));
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Refused

/// Uses files in many ways: it works, and no ring has anything to do with it.
fn works_without_rings() {
    let bytes = numbered(300_000);
    let (dir, path) = sample(&bytes);
    let begin = backend();
    block_on(async {
        make_cold(&path);
        let mut file = read_write().open(&path).await.unwrap();
        let (read, buf) = file.read_at(Vec::with_capacity(4096), 8192).await;
        assert_eq!(read.unwrap(), 4096);
        assert_same_bytes(buf, &bytes[8192..12_288]);
        make_cold(&path);
        assert_same_bytes(rest(&mut file).await, &bytes);
        file.write_all(b"at the end").await.unwrap();
        file.flush().await.unwrap();
        file.write_all_at(b"at the beginning", 0).await.0.unwrap();
        file.sync_all().await.unwrap();
        let mut expected = bytes.clone();
        expected[..16].copy_from_slice(b"at the beginning");
        expected.extend_from_slice(b"at the end");
        assert_same_bytes(aiofiles::read(&path).await.unwrap(), &expected);
        assert_eq!(file.metadata().await.unwrap().len(), 300_010);
        file.close().await.unwrap();

        if let Some(file) = open_direct(&path) {
            let (written, _) = file.write_at(aligned(&[7; 4096]), 4096).await;
            assert_eq!(written.unwrap(), 4096);
            let (read, buf) = file.read_at(room(8192), 0).await;
            assert_eq!(read.unwrap(), 8192);
            expected[4096..8192].fill(7);
            assert_same_bytes(&*buf, &expected[..8192]);
        }

        // Who demands a ring hears of it, before anything is done.
        let new = dir.path().join("new");
        let error = by_ring().open(&new).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(!new.exists());
        let mut pool = read_write();
        drop(pool.backend(BackendKind::Pool).open(&new).await.unwrap());
        assert!(new.exists());
    });
    let end = backend();
    assert_eq!((end.submitted(), end.completed(), end.retried()), (0, 0, 0));
    assert!(end.operations() > begin.operations());
    assert_eq!(end.kind(), BackendKind::Pool);
}

/// From now on the kernel refuses a call of io_uring, and the reason says so.
fn refused(call: std::ffi::c_long, code: i32, why: &str) {
    seccomp::refuse(call, Verdict::Error(code));
    works_without_rings();
    let backend = backend();
    assert!(backend.reason().contains(why), "{}", backend.reason());
}

#[test]
fn rings_that_are_not_permitted_are_not_missed() {
    alone_under(AUTO, || {
        refused(IO_URING_SETUP, libc::EPERM, "not permitted");
    });
}

#[test]
fn rings_that_the_kernel_does_not_know_are_not_missed() {
    alone_under(AUTO, || {
        refused(IO_URING_SETUP, libc::ENOSYS, "not implemented");
    });
}

#[test]
fn rings_that_there_is_no_memory_for_are_not_missed() {
    alone_under(AUTO, || {
        refused(IO_URING_SETUP, libc::ENOMEM, "not enough memory");
    });
}

/// Some sandboxes let a ring be made, and nothing be done with it.
#[test]
fn rings_that_nothing_can_be_done_with_are_not_missed() {
    alone_under(AUTO, || refused(IO_URING_ENTER, libc::EPERM, "io_uring"));
}

/// The same if a ring is all that is asked for.
#[test]
fn rings_that_are_asked_for_and_refused_are_named_in_the_reason() {
    alone_under(&["env", "AIOFILES_BACKEND=uring"], || {
        refused(IO_URING_SETUP, libc::EPERM, "asks for uring");
    });
}

/// A program may give up its rights when it has begun its work.
#[test]
fn rings_that_are_refused_in_the_middle_of_it_are_not_missed() {
    alone_under(AUTO, || {
        let bytes = numbered(1 << 20);
        let (_dir, path) = sample(&bytes);
        if !has_rings() {
            return;
        }
        let Some(file) = open_direct(&path) else {
            return;
        };
        let file = Arc::new(file);
        let check = |offset: usize, (read, buf): BufResult<usize, AlignedBuf>| {
            assert_eq!(read.unwrap(), 4096);
            assert_same_bytes(&*buf, &bytes[offset..offset + 4096]);
        };
        let offsets = || (0..256).map(|n| n * 4096);
        let mut begun = Vec::new();
        for offset in offsets() {
            let mut read = reading(&file, offset, 4096);
            match poll_now(read.as_mut()) {
                Poll::Ready(done) => check(offset, done),
                Poll::Pending => begun.push((offset, read)),
            }
        }
        assert!(backend().submitted() >= 256);
        seccomp::refuse(IO_URING_ENTER, Verdict::Error(libc::EPERM));
        for (offset, read) in begun {
            check(offset, block_on(read));
        }
        // This one finds out.
        check(0, block_on(reading(&file, 0, 4096)));
        assert_eq!(backend().kind(), BackendKind::Pool);
        let reason = backend().reason().to_owned();
        assert!(reason.contains("not permitted"), "{reason}");
        let error = block_on(by_ring().open(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let before = backend();
        for offset in offsets() {
            check(offset, block_on(reading(&file, offset, 4096)));
        }
        let (written, _) = block_on(file.write_at(aligned(&[7; 4096]), 4096));
        assert_eq!(written.unwrap(), 4096);
        assert_eq!(&fs::read(&path).unwrap()[4096..8192], [7; 4096]);
        let after = backend();
        assert!(after.operations() >= before.operations() + 257);
        assert_eq!(after.submitted(), before.submitted());
        wait_for_completions();
    });
}

/// Runs a test of this binary once more, marked, in a process of its own.
fn again(test: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(AGAIN, "1")
        .env_remove("AIOFILES_TEST_REFUSE_URING")
        .envs(variables.iter().copied())
        .output()
        .expect("this binary starts again")
}

const AGAIN: &str = "AIOFILES_TEST_AGAIN";

/// Some sandboxes end a process that only asks for a ring: who is told to use the pool does not ask.
#[test]
fn nobody_asks_for_a_ring_where_everything_goes_to_the_pool() {
    if std::env::var_os(AGAIN).is_some() {
        // A process that ends so need not leave its memory behind.
        let none = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        rustix::process::setrlimit(rustix::process::Resource::Core, none).unwrap();
        seccomp::refuse(IO_URING_SETUP, Verdict::Kill);
        works_without_rings();
        assert_eq!(backend().reason(), "AIOFILES_BACKEND is pool");
        return;
    }
    let test = "uring::nobody_asks_for_a_ring_where_everything_goes_to_the_pool";
    let output = again(test, &[("AIOFILES_BACKEND", "pool")]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{output:?}"
    );
    // Otherwise it does, which shows that the sandbox is one.
    if has_rings() {
        let output = again(test, &[("AIOFILES_BACKEND", "auto")]);
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Wishes

/// Which backend has done something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doer {
    Pool,
    Ring,
}

/// Who reads a cold piece of a file that was opened so.
async fn reads(options: &OpenOptions, path: &Path, bytes: &[u8]) -> Doer {
    let file = options.open(path).await.unwrap();
    for _ in 0..20 {
        make_cold(path);
        until_the_pool_rests().await;
        let before = backend();
        let (read, buf) = file.read_at(Vec::with_capacity(4096), 8192).await;
        let after = backend();
        assert_eq!(read.unwrap(), 4096);
        assert_same_bytes(buf, &bytes[8192..12_288]);
        let operations = after.operations() - before.operations();
        let submitted = after.submitted() - before.submitted();
        match (operations, submitted) {
            (1, 0) => return Doer::Pool,
            (0, 1) => return Doer::Ring,
            // The page cache had it all the same.
            (0, 0) => yield_now().await,
            other => panic!("operations of the pool, and of rings: {other:?}"),
        }
    }
    panic!("the page cache has it always");
}

/// What runs, where each open may have a wish of its own.
fn wishes(word: &str, reason: &str) {
    let bytes = numbered(100_000);
    let (dir, path) = sample(&bytes);
    let told: Backend = backend();
    assert!(told.reason().contains(reason), "{}", told.reason());
    if word != "pool" && !has_rings() {
        return;
    }
    let expected = match word {
        "pool" => BackendKind::Pool,
        _ => BackendKind::Uring,
    };
    assert_eq!(told.kind(), expected);
    let is_told = tells(&path);
    block_on(async {
        let options = read_write();
        let doer = reads(&options, &path, &bytes).await;
        match word {
            "pool" => assert_eq!(doer, Doer::Pool),
            "uring" => assert_eq!(doer, Doer::Ring),
            // What waits for the device goes to a ring, where that is known of a file.
            _ if is_told => assert_eq!(doer, Doer::Ring),
            _ => assert_eq!(doer, Doer::Pool),
        }
        let mut pool = read_write();
        pool.backend(BackendKind::Pool);
        assert_eq!(reads(&pool, &path, &bytes).await, Doer::Pool);

        let ring = by_ring();
        if word == "pool" {
            let new = dir.path().join("new");
            let error = ring.open(&new).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("AIOFILES_BACKEND"), "{error}");
            assert!(!new.exists());
        } else {
            assert_eq!(reads(&ring, &path, &bytes).await, Doer::Ring);
            let file = ring.open(&path).await.unwrap();
            let before = backend();
            assert_eq!(file.write_at(b"written", 5).await.0.unwrap(), 7);
            let after = backend();
            assert_eq!(after.submitted(), before.submitted() + 1);
            assert_eq!(after.operations(), before.operations());
            assert_eq!(&fs::read(&path).unwrap()[5..12], b"written");
        }
    });
    wait_for_completions();
    let end = backend();
    assert_eq!(end.submitted() > 0, word != "pool");
    assert_eq!((end.kind(), end.reason()), (told.kind(), told.reason()));
}

#[test]
fn each_open_has_its_wish_beside_auto() {
    alone_under(AUTO, || wishes("auto", "io_uring"));
}

#[test]
fn each_open_has_its_wish_beside_pool() {
    alone_under(&["env", "AIOFILES_BACKEND=pool"], || {
        wishes("pool", "AIOFILES_BACKEND is pool");
    });
}

#[test]
fn each_open_has_its_wish_beside_uring() {
    alone_under(&["env", "AIOFILES_BACKEND=uring"], || {
        wishes("uring", "uring");
    });
}

#[test]
fn each_open_has_its_wish_beside_nonsense() {
    alone_under(&["env", "AIOFILES_BACKEND=nonsense"], || {
        wishes("nonsense", "\"nonsense\"");
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Lengths

/// No entry of a ring, as no system call, moves more than 2^31 bytes: a longer read or write is several.
#[test]
fn lengths_above_what_one_entry_moves_are_moved_in_several() {
    /// A little more than 2 GiB, and what one call moves.
    const LEN: usize = (1 << 31) + 12_345;
    const MOST: usize = 0x7fff_f000;
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let available = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    if available.is_none_or(|kib| kib < 7 << 20) {
        return skip("7 GiB of memory");
    }

    alone_under(AUTO, || {
        let (_dir, path) = sample("");
        if !has_rings() {
            return;
        }
        // Nearly all of it is a hole, with words where one read ends and the next begins, and at the very end.
        let words = [(MOST - 3, b"middle"), (LEN - 6, b"ending")];
        let std = fs::File::options().write(true).open(&path).unwrap();
        for (offset, word) in words {
            std.write_all_at(word, offset as u64).unwrap();
        }
        block_on(async {
            let file = by_ring().open(&path).await.unwrap();
            let before = backend().submitted();
            let (n, buf) = file.read_at(Vec::with_capacity(LEN), 0).await;
            assert_eq!(n.unwrap(), MOST);
            assert_eq!(buf[MOST - 3..], b"mid"[..]);
            let (n, buf) = file.read_exact_at(buf_of(buf, LEN), 0).await;
            n.unwrap();
            let zeros = vec![0; 1 << 20];
            let is_zero = |bytes: &[u8]| bytes.chunks(1 << 20).all(|it| *it == zeros[..it.len()]);
            let mut end = 0;
            for (offset, word) in words {
                assert!(is_zero(&buf[end..offset]));
                end = offset + word.len();
                assert_eq!(buf[offset..end], word[..]);
            }
            assert_eq!(end, LEN);
            drop(buf);

            // What is written is zeros too, but for the very end.
            let mut bytes = vec![0; LEN];
            bytes[LEN - 6..].copy_from_slice(b"behind");
            let (n, bytes) = file.write_at(bytes, 0).await;
            assert_eq!(n.unwrap(), MOST);
            let (n, _) = file.write_all_at(bytes, 0).await;
            n.unwrap();
            assert!(
                backend().submitted() >= before + 6,
                "one read, at least two; and so for the writes"
            );
        });
        let mut end = [0; 6];
        let std = fs::File::open(&path).unwrap();
        std.read_exact_at(&mut end, LEN as u64 - 6).unwrap();
        assert_eq!(&end, b"behind");
        assert_eq!(std.metadata().unwrap().len(), LEN as u64);
    });

    /// The same memory, at its full length.
    fn buf_of(mut buf: Vec<u8>, len: usize) -> Vec<u8> {
        buf.resize(len, 1);
        buf
    }
}
