//! What is no regular file: FIFOs, pipes, terminals, sockets, devices, procfs and sysfs.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, IoSlice, Read as _, SeekFrom, Write as _, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use aiofiles::unix::{FileTypeExt as _, OpenOptionsExt as _};
use aiofiles::{File, OpenOptions, PathError, backend, raw_os_error};
use futures_lite::future::{self, zip};
use futures_lite::{
    AsyncBufRead as _, AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWrite as _,
    AsyncWriteExt as _, StreamExt as _,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::OpenptFlags;

use crate::support::*;

/// Runs the future on the calling thread alone, which hangs if the future blocks it: then the test fails.
#[track_caller]
fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    within_limit("block_on", || future::block_on(future))
}

/// A new FIFO.
fn fifo(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    path
}

/// A new pseudo-terminal in raw mode: its controlling side, and the path of its user side.
fn terminal() -> (OwnedFd, PathBuf) {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let controller = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
    rustix::pty::grantpt(&controller).expect("granted");
    rustix::pty::unlockpt(&controller).expect("unlocked");
    let mut modes = tcgetattr(&controller).expect("modes");
    modes.make_raw();
    tcsetattr(&controller, OptionalActions::Now, &modes).expect("raw mode");
    let path = rustix::pty::ptsname(&controller, Vec::new()).expect("a name");
    let path = PathBuf::from(path.into_string().expect("a path in ASCII"));
    (controller, path)
}

/// Opens a terminal as somebody else would: blocking.
fn open_terminal(path: &Path) -> OwnedFd {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags_(OFlags::NOCTTY)
        .open(path);
    file.expect("the user side").into()
}

/// std's `custom_flags`, whose trait has the name of ours.
trait CustomFlags {
    fn custom_flags_(&mut self, flags: OFlags) -> &mut Self;
}

impl CustomFlags for std::fs::OpenOptions {
    fn custom_flags_(&mut self, flags: OFlags) -> &mut Self {
        std::os::unix::fs::OpenOptionsExt::custom_flags(self, flags.bits() as i32)
    }
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    let flags = rustix::fs::fcntl_getfl(fd).expect("flags");
    flags.contains(OFlags::NONBLOCK)
}

/// A pair of connected sockets as files.
fn sockets() -> (File, File) {
    let (one, other) = UnixStream::pair().expect("sockets");
    (OwnedFd::from(one).into(), OwnedFd::from(other).into())
}

/// Has the file find out what it is, so that the next poll reaches the operating system.
async fn probe(file: &File) {
    let error = file
        .stream_position()
        .await
        .expect_err("it has no position");
    assert_eq!(error.raw_os_error(), Some(Errno::SPIPE.raw_os_error()));
}

// ---------------------------------------------------------------------------------------------------------------------
// FIFOs

#[test]
fn a_fifo_opens_at_once_for_reading_and_the_first_read_waits_for_data() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let mut reader = File::open(&path).await.unwrap();
        let mut buf = [0; 16];
        assert!(
            poll_once(reader.read(&mut buf)).await.is_none(),
            "no writer"
        );

        // std's open does not wait, because there is a reader.
        let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        assert!(poll_once(reader.read(&mut buf)).await.is_none(), "no data");

        writer.write_all(b"data").unwrap();
        assert_eq!(reader.read(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"data");
        assert!(poll_once(reader.read(&mut buf)).await.is_none(), "no more");

        drop(writer);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0, "the end");
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0, "and again");
    });
}

#[test]
fn a_writer_that_comes_and_goes_without_a_word_is_the_end_of_a_fifo() {
    run(async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        // Before the first read ...
        let mut reader = File::open(&path).await.unwrap();
        drop(std::fs::OpenOptions::new().write(true).open(&path).unwrap());
        assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0);

        // ... and while one waits.
        let mut reader = File::open(&path).await.unwrap();
        let mut buf = [0; 4];
        let mut read = pin!(reader.read(&mut buf));
        assert!(future::poll_once(&mut read).await.is_none());
        drop(std::fs::OpenOptions::new().write(true).open(&path).unwrap());
        assert_eq!(read.await.unwrap(), 0);
    });
}

#[test]
fn a_fifo_opens_for_writing_as_soon_as_there_is_a_reader() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let mut options = OpenOptions::new();
        let mut open = pin!(options.write(true).open(&path));
        for _ in 0..3 {
            assert!(future::poll_once(&mut open).await.is_none());
            // Other operations go on meanwhile.
            assert!(
                aiofiles::metadata(&path)
                    .await
                    .unwrap()
                    .file_type()
                    .is_fifo()
            );
        }
        let mut reader = File::open(&path).await.unwrap();
        let mut writer = open.await.unwrap();
        writer.write_all(b"data").await.unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "data");
    });
}

#[test]
fn a_cancelled_open_of_a_fifo_leaves_nobody_at_it() {
    alone(|| {
        future::block_on(async {
            let dir = temp_dir();
            let path = fifo(dir.path(), "fifo");
            // One complete pass first, for the descriptors of the reactor.
            let reader = File::open(&path).await.unwrap();
            drop(OpenOptions::new().write(true).open(&path).await.unwrap());
            drop(reader);
            settled().await;
            let before = fd_count();

            for polls in [1, 2, 5] {
                let mut options = OpenOptions::new();
                let open = options.write(true).open(&path);
                assert!(poll_n(open, polls).await.is_none(), "there is no reader");
                poll_once(File::open(&path)).await;
                poll_once(aiofiles::read(&path)).await;
                poll_once(aiofiles::write(&path, "never written")).await;
            }
            settled().await;
            assert_eq!(fd_count(), before);

            // A reader that comes now meets no writer, and no data.
            let mut reader = File::open(&path).await.unwrap();
            assert!(poll_once(reader.read(&mut [0; 4])).await.is_none());
        });
    });
}

/// Waits until no operation is queued or runs and no file waits to be closed.
async fn settled() {
    loop {
        let now = backend();
        if now.queued() + now.running() + now.pending_closes() + now.drainers() == 0 {
            return;
        }
        future::yield_now().await;
    }
}

#[test]
fn whole_files_are_read_from_and_written_to_fifos_without_a_thread_of_their_own() {
    run(async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let bytes = numbered(300_000);
        let (read, written) = zip(aiofiles::read(&path), aiofiles::write(&path, &bytes)).await;
        written.unwrap();
        assert_same_bytes(read.unwrap(), bytes);
        let (read, written) = zip(
            aiofiles::read_to_string(&path),
            aiofiles::write(&path, "text"),
        )
        .await;
        written.unwrap();
        assert_eq!(read.unwrap(), "text");
    });
}

/// How many FIFOs are blocked, in each direction: more than the pool has threads.
const BLOCKED: usize = 600;

/// No more threads than this, whatever is blocked and however slow the device is: 64 of the pool, and those of the runtime.
const MOST_THREADS: usize = 64 + 16;

#[test]
fn six_hundred_blocked_fifos_hold_no_thread_and_delay_neither_files_nor_the_exit() {
    // Not only the body is watched, but also whether the process ends after it.
    within_limit("a process of its own", || {
        alone(|| {
            raise_descriptor_limit(2 * BLOCKED as u64);
            let dir = temp_dir();
            let runtime = Runtime::new(Kind::TokioMulti);
            let handle = runtime.handle();
            let path = dir.path().to_owned();
            let opened = Arc::new(AtomicUsize::new(0));
            runtime.block_on(async move {
                let mut tasks = Vec::new();
                for n in 0..BLOCKED {
                    // Writers that wait for a reader, by three ways.
                    let there = fifo(&path, &format!("write-{n}"));
                    tasks.push(handle.spawn(async move {
                        match n % 3 {
                            0 => drop(OpenOptions::new().write(true).open(there).await),
                            1 => drop(File::create(there).await),
                            _ => drop(aiofiles::write(there, "text").await),
                        }
                        unreachable!("there is no reader");
                    }));
                    // Readers that wait for data, by two ways.
                    let there = fifo(&path, &format!("read-{n}"));
                    let opened = opened.clone();
                    tasks.push(handle.spawn(async move {
                        if n % 2 == 0 {
                            let mut reader = File::open(there).await.unwrap();
                            opened.fetch_add(1, Ordering::SeqCst);
                            drop(reader.read(&mut [0; 16]).await);
                        } else {
                            opened.fetch_add(1, Ordering::SeqCst);
                            drop(aiofiles::read(there).await);
                        }
                        unreachable!("there is no writer");
                    }));
                }
                while opened.load(Ordering::SeqCst) < BLOCKED {
                    future::yield_now().await;
                }

                let mut threads = 0;
                for n in 0..200 {
                    let file = path.join(format!("file-{}", n % 10));
                    let bytes = numbered(10_000 + n);
                    aiofiles::write(&file, &bytes).await.unwrap();
                    assert_same_bytes(aiofiles::read(&file).await.unwrap(), bytes);
                    threads = threads.max(thread_count());
                }
                assert!(
                    threads <= MOST_THREADS,
                    "{threads} threads while {BLOCKED} FIFOs are blocked in each direction"
                );
                for task in &mut tasks {
                    let ended = future::poll_once(task).await.is_some();
                    assert!(!ended, "a FIFO without other end is not ready");
                }
            });
            // Nor does the runtime wait for them.
            drop(runtime);
        });
    });
}

fn raise_descriptor_limit(wanted: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted + 100) {
        limit.current = Some(wanted + 100);
        setrlimit(Resource::Nofile, limit).expect("more descriptors");
    }
}

#[test]
fn copies_to_fifos_hold_no_thread() {
    alone(|| {
        future::block_on(async {
            let dir = temp_dir();
            let file = dir.path().join("file");
            aiofiles::write(&file, "text").await.unwrap();
            let mut copies = (0..BLOCKED / 2)
                .map(|n| {
                    let fifo = fifo(dir.path(), &format!("fifo-{n}"));
                    Box::pin(aiofiles::copy(file.clone(), fifo))
                })
                .collect::<Vec<_>>();
            let mut threads = 0;
            for _ in 0..100 {
                for copy in &mut copies {
                    assert!(future::poll_once(copy).await.is_none(), "no reader");
                }
                assert_eq!(aiofiles::read(&file).await.unwrap(), b"text");
                threads = threads.max(thread_count());
            }
            // Let them go before anything else is said, so that the process can end.
            let readers = (0..BLOCKED / 2).map(|n| {
                let path = dir.path().join(format!("fifo-{n}"));
                std::fs::OpenOptions::new()
                    .read(true)
                    .custom_flags_(OFlags::NONBLOCK)
                    .open(path)
                    .unwrap()
            });
            let readers = readers.collect::<Vec<_>>();
            for copy in copies {
                assert_eq!(copy.await.unwrap(), 4);
            }
            for mut reader in readers {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                assert_eq!(text, "text");
            }
            assert!(
                threads <= MOST_THREADS,
                "{threads} threads while {} copies wait for readers of FIFOs",
                BLOCKED / 2
            );
        });
    });
}

#[test]
fn a_file_is_copied_to_a_fifo_with_progress_as_without() {
    run(async {
        let dir = temp_dir();
        let (file, fifo) = (dir.path().join("file"), fifo(dir.path(), "fifo"));
        let bytes = numbered(200_000);
        aiofiles::write(&file, &bytes).await.unwrap();
        let (read, copied) = zip(aiofiles::read(&fifo), aiofiles::copy(&file, &fifo)).await;
        assert_eq!(copied.unwrap(), bytes.len() as u64);
        assert_same_bytes(read.unwrap(), &bytes);

        let (mut done, mut reader) = (0, File::open(&fifo).await.unwrap());
        let copy = async {
            // Whatever comes of it, the reader must learn that there is no more.
            let copied = aiofiles::copy_with_progress(&file, &fifo, |now, _| done = now).await;
            drop(std::fs::OpenOptions::new().write(true).open(&fifo));
            copied
        };
        let mut read = Vec::new();
        let (copied, all) = zip(copy, reader.read_to_end(&mut read)).await;
        all.unwrap();
        assert_eq!(copied.unwrap(), bytes.len() as u64);
        assert_eq!(done, bytes.len() as u64);
        assert_same_bytes(read, bytes);
    });
}

#[test]
fn a_fifo_as_source_of_a_copy_is_refused_at_once() {
    run(async {
        let dir = temp_dir();
        let (fifo, file) = (fifo(dir.path(), "fifo"), dir.path().join("file"));
        for error in [
            aiofiles::copy(&fifo, &file).await.unwrap_err(),
            aiofiles::copy_with_progress(&fifo, &file, |_, _| {})
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(PathError::of(&error).unwrap().path(), fifo);
        }
        assert!(!file.exists());
    });
}

#[test]
fn into_std_gives_a_fifo_back_blocking_unless_the_user_wanted_otherwise() {
    run(async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let reader = File::open(&path).await.unwrap();
        assert!(is_nonblocking(&reader), "our own doing");
        let reader = reader.into_std().await.unwrap();
        assert!(!is_nonblocking(&reader));

        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        let wanted = options.open(&path).await.unwrap().into_std().await.unwrap();
        assert!(is_nonblocking(&wanted));

        // The writer's end too, and after it was used.
        let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
        writer.write_all(b"text").await.unwrap();
        assert!(!is_nonblocking(writer.into_std().await.unwrap()));
        let mut text = [0; 4];
        (&reader).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"text");
    });
}

#[test]
fn a_fifo_opened_nonblocking_by_its_user_answers_as_the_kernel_does() {
    run(async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let mut options = OpenOptions::new();
        options
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        let error = options.open(&path).await.unwrap_err();
        assert_eq!(raw_os_error(&error), Some(Errno::NXIO.raw_os_error()));
    });
}

#[test]
fn regular_files_are_opened_with_the_flags_that_std_opens_them_with() {
    run(async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let ours = File::open(&path).await.unwrap();
        let stds = std::fs::File::open(&path).unwrap();
        let flags = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fcntl_getfl(fd).unwrap();
        assert_eq!(flags(ours.as_fd()), flags(stds.as_fd()));
        let appends =
            |options: &mut std::fs::OpenOptions| options.append(true).open(&path).unwrap();
        let stds = appends(&mut std::fs::OpenOptions::new());
        let ours = OpenOptions::new().append(true).open(&path).await.unwrap();
        assert_eq!(flags(ours.as_fd()), flags(stds.as_fd()));
        for device in ["/dev/null", "/proc/self/status"] {
            let ours = File::open(device).await.unwrap();
            let stds = std::fs::File::open(device).unwrap();
            assert_eq!(flags(ours.as_fd()), flags(stds.as_fd()), "{device}");
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Pipes

#[test]
fn a_foreign_blocking_pipe_never_blocks_the_executor_and_never_becomes_nonblocking() {
    every_runtime(|_| async {
        let (reader, writer) = pipe().unwrap();
        // Descriptors of somebody else that lead to the same descriptions.
        let (watched_reader, watched_writer) =
            (reader.try_clone().unwrap(), writer.try_clone().unwrap());
        let unchanged =
            || assert!(!is_nonblocking(&watched_reader) && !is_nonblocking(&watched_writer));
        let (mut reader, mut writer) = (
            File::from(OwnedFd::from(reader)),
            File::from(OwnedFd::from(writer)),
        );
        probe(&reader).await;
        unchanged();

        // A read that waits, and other work on the same thread.
        let mut buf = [0; 16];
        assert!(poll_once(reader.read(&mut buf)).await.is_none());
        unchanged();
        let read = async { reader.read(&mut buf).await.unwrap() };
        let write = async {
            for _ in 0..3 {
                aiofiles::metadata("/").await.unwrap();
                unchanged();
            }
            writer.write_all(b"data").await.unwrap();
        };
        assert_eq!(zip(read, write).await.0, 4);
        unchanged();

        // A write that waits.
        let mut accepted = 0;
        let bytes = numbered(1 << 20);
        while let Some(n) = poll_once(writer.write(&bytes[accepted..])).await {
            accepted += n.unwrap();
        }
        assert!(accepted >= 4096 && accepted < bytes.len());
        unchanged();
        let write = async {
            writer.write_all(&bytes[accepted..]).await.unwrap();
            unchanged();
        };
        let read = async {
            let mut all = vec![0; bytes.len()];
            reader.read_exact(&mut all).await.unwrap();
            all
        };
        let (all, ()) = zip(read, write).await;
        assert_same_bytes(all, &bytes);
        unchanged();
        // Not even afterwards.
        reader.close().await.unwrap();
        let writer = writer.into_std().await.unwrap();
        assert!(!is_nonblocking(writer));
        unchanged();
    });
}

#[test]
fn of_two_readers_of_one_blocking_pipe_the_one_that_gets_nothing_waits_on_without_blocking() {
    run(async {
        let (reader, mut writer) = pipe().unwrap();
        let mut one = File::from(OwnedFd::from(reader.try_clone().unwrap()));
        let mut other = File::from(OwnedFd::from(reader));
        probe(&one).await;
        probe(&other).await;
        for round in 0..100_u8 {
            let (mut buf, mut other_buf) = ([0; 4], [0; 4]);
            let mut reads = [pin!(one.read(&mut buf)), pin!(other.read(&mut other_buf))];
            for read in &mut reads {
                assert!(future::poll_once(read).await.is_none());
            }
            writer.write_all(&[round]).unwrap();
            // Both are told, and one of them comes too late.
            let [one, other] = reads;
            let n = future::or(one, other).await.unwrap();
            assert_eq!(n, 1);
            assert!(buf[0] == round || other_buf[0] == round);
        }
    });
}

#[test]
fn a_cancelled_read_of_a_pipe_loses_nothing_and_a_cancelled_write_has_written_nothing() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let (mut reader, mut writer) = (
            File::from(OwnedFd::from(reader)),
            File::from(OwnedFd::from(writer)),
        );
        let mut accepted = Vec::new();
        let bytes = numbered(1 << 18);
        // Also the first poll of all, before anything is known of the descriptors.
        for _ in 0..3 {
            assert!(poll_once(reader.read(&mut [0; 64])).await.is_none());
            probe(&reader).await;
        }
        loop {
            match poll_once(writer.write(&bytes[accepted.len()..])).await {
                Some(n) => accepted.extend_from_slice(&bytes[accepted.len()..][..n.unwrap()]),
                None if accepted.is_empty() => probe(&writer).await,
                None => break,
            }
        }
        for _ in 0..3 {
            assert!(poll_once(writer.write(b"never written")).await.is_none());
        }
        drop(writer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        assert_same_bytes(all, accepted);
    });
}

#[test]
fn the_end_of_a_pipe_and_the_loss_of_its_reader_wake_whoever_waits() {
    every_runtime(|_| async {
        let (reader, writer) = pipe().unwrap();
        let mut reader = File::from(OwnedFd::from(reader));
        probe(&reader).await;
        let mut buf = [0; 4];
        let mut read = pin!(reader.read(&mut buf));
        assert!(future::poll_once(&mut read).await.is_none());
        drop(writer);
        assert_eq!(read.await.unwrap(), 0);

        let (reader, writer) = pipe().unwrap();
        let mut writer = File::from(OwnedFd::from(writer));
        probe(&writer).await;
        let bytes = vec![0; 1 << 20];
        let mut write = pin!(writer.write_all(&bytes));
        assert!(future::poll_once(&mut write).await.is_none());
        drop(reader);
        assert_eq!(write.await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn one_write_is_one_packet_of_a_pipe_in_packet_mode() {
    run(async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let (reader, writer) = pipe_with(PipeFlags::DIRECT).unwrap();
        let mut reader = std::fs::File::from(reader);
        let mut writer = File::from(writer);
        let mut buf = [0; 8192];
        for _ in 0..iterations(300) {
            // Three packets in the pipe before any of them is read: they must not melt into one.
            let mut sent = Vec::new();
            for _ in 0..3 {
                let len = rng.usize(1..=4096);
                let packet = random_bytes(&mut rng, len);
                let n = if rng.bool() {
                    writer.write(&packet).await.unwrap()
                } else {
                    let (one, two) = packet.split_at(rng.usize(0..=packet.len()));
                    let slices = [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(two)];
                    writer.write_vectored(&slices).await.unwrap()
                };
                assert_eq!(n, packet.len(), "a packet is written whole");
                sent.push(packet);
            }
            for packet in sent {
                let n = reader.read(&mut buf).unwrap();
                assert_same_bytes(&buf[..n], packet);
            }
        }
    });
}

#[test]
fn one_write_is_one_message_of_a_socket_that_keeps_messages_apart() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    run(async {
        for kind in [SocketType::SEQPACKET, SocketType::DGRAM] {
            let (one, other) =
                socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None).unwrap();
            let (mut sender, mut receiver) = (File::from(one), File::from(other));
            let mut buf = vec![0; 100_000];
            for len in [1, 100, 4096, 4097, 10_000] {
                let message = numbered(len);
                assert_eq!(sender.write(&message).await.unwrap(), len);
                assert_eq!(sender.write(b"next").await.unwrap(), 4);
                let n = receiver.read(&mut buf).await.unwrap();
                assert_same_bytes(&buf[..n], message);
                assert_eq!(receiver.read(&mut buf).await.unwrap(), 4);
            }
            // Of several buffers too.
            let message = numbered(30_000);
            let (one, two) = message.split_at(10_000);
            let slices = [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(two)];
            assert_eq!(sender.write_vectored(&slices).await.unwrap(), 30_000);
            let n = receiver.read(&mut buf).await.unwrap();
            assert_same_bytes(&buf[..n], message);
            // One that leaves no room for another.
            let message = numbered(60_000);
            assert_eq!(sender.write(&message).await.unwrap(), 60_000);
            assert_eq!(receiver.read(&mut buf).await.unwrap(), 60_000);
            assert_same_bytes(&buf[..60_000], message);
        }
    });
}

#[test]
fn writes_that_a_pipe_takes_whole_do_not_mix() {
    const BLOCK: usize = 4096;
    every_runtime(|rt| async move {
        let (reader, writer) = pipe().unwrap();
        let mut reader = File::from(OwnedFd::from(reader));
        let writer = File::from(OwnedFd::from(writer));
        let mut tasks = Vec::new();
        for n in 0..4 {
            let mut clone = writer.try_clone().await.unwrap();
            tasks.push(rt.spawn(async move {
                for len in (0..100).map(|k| BLOCK - k * 7) {
                    assert_eq!(clone.write(&vec![b'0' + n; len]).await.unwrap(), len);
                }
            }));
        }
        drop(writer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        for task in tasks {
            task.await;
        }
        // Each task's blocks come in their order, each in one piece.
        let mut next = [0; 4];
        let mut rest = &all[..];
        while let Some(&first) = rest.first() {
            let n = usize::from(first - b'0');
            let (block, behind) = rest.split_at(BLOCK - next[n] * 7);
            assert!(block.iter().all(|&byte| byte == first), "blocks are mixed");
            next[n] += 1;
            rest = behind;
        }
        assert_eq!(next, [100; 4]);
    });
}

#[test]
fn a_fifo_opened_for_both_has_no_end() {
    run(async {
        let dir = temp_dir();
        let path = fifo(dir.path(), "fifo");
        let mut options = OpenOptions::new();
        let mut both = options.read(true).write(true).open(&path).await.unwrap();
        assert!(poll_once(both.read(&mut [0; 4])).await.is_none());
        both.write_all(b"text").await.unwrap();
        let mut text = [0; 4];
        both.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"text");
        // Its own writing side keeps it open.
        drop(std::fs::OpenOptions::new().write(true).open(&path).unwrap());
        assert!(poll_once(both.read(&mut text)).await.is_none());
    });
}

#[test]
fn what_fill_buf_took_from_a_pipe_goes_to_the_next_read_first() {
    run(async {
        let (reader, mut writer) = pipe().unwrap();
        let mut reader = File::from(OwnedFd::from(reader));
        writer.write_all(b"abcdef").unwrap();
        assert_eq!(reader.fill_buf().await.unwrap(), b"abcdef");
        reader.consume(2);
        assert_eq!(reader.fill_buf().await.unwrap(), b"cdef");
        let mut two = [0; 2];
        reader.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"cd");

        // What was taken in outlasts the writer.
        writer.write_all(b"gh").unwrap();
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "efgh");
        assert_eq!(reader.fill_buf().await.unwrap(), b"");
    });
}

#[test]
fn lines_come_from_a_pipe_as_they_are_written() {
    every_runtime(|_| async {
        let (reader, writer) = pipe().unwrap();
        let mut writer = File::from(OwnedFd::from(writer));
        let mut lines = File::from(OwnedFd::from(reader)).lines();
        assert!(poll_once(lines.next()).await.is_none());
        let text = (0..5000).map(|n| format!("line {n}\n")).collect::<String>();
        let write = async move {
            for part in text.as_bytes().chunks(777) {
                writer.write_all(part).await.unwrap();
            }
            writer.write_all(b"without an end").await.unwrap();
        };
        let read = async {
            for n in 0..5000 {
                let line = lines.next().await.unwrap().unwrap();
                assert_eq!(line, format!("line {n}"));
            }
            assert_eq!(lines.next().await.unwrap().unwrap(), "without an end");
            assert!(lines.next().await.is_none());
        };
        zip(write, read).await;
    });
}

#[test]
fn two_clones_that_fill_their_buffers_from_one_pipe_never_see_a_false_end() {
    within_limit("two threads", || {
        let (reader, mut writer) = pipe().unwrap();
        let reader = File::from(OwnedFd::from(reader));
        let clone = future::block_on(reader.try_clone()).unwrap();
        // The trait's own method: that of the extension traits polls twice.
        let threads = [reader, clone].map(|mut reader| {
            std::thread::spawn(move || {
                future::block_on(async {
                    let drained = |cx: &mut Context<'_>| loop {
                        let n = match ready!(Pin::new(&mut reader).poll_fill_buf(cx)) {
                            Ok(bytes) => bytes.len(),
                            Err(error) => panic!("{error}"),
                        };
                        if n == 0 {
                            return Poll::Ready(());
                        }
                        Pin::new(&mut reader).consume(n);
                    };
                    std::future::poll_fn(drained).await;
                });
            })
        });
        let anybody_left = || threads.iter().any(|thread| thread.is_finished());
        for _ in 0..iterations(20_000) {
            writer.write_all(b"x").unwrap();
            while rustix::io::ioctl_fionread(&writer).unwrap() > 0 && !anybody_left() {
                std::thread::yield_now();
            }
        }
        let too_early = anybody_left();
        drop(writer);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!too_early, "a reader saw an end while the writer was there");
    });
}

#[test]
fn pipes_refuse_what_std_refuses() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let stds = std::fs::File::from(OwnedFd::from(writer.try_clone().unwrap()));
        let mut writer = File::from(OwnedFd::from(writer));
        let code = |result: std::io::Result<()>| result.map_err(|error| error.raw_os_error());
        assert_eq!(code(writer.sync_all().await), code(stds.sync_all()));
        assert_eq!(code(writer.sync_data().await), code(stds.sync_data()));
        assert_eq!(code(writer.set_len(3).await), code(stds.set_len(3)));
        for to in [SeekFrom::Start(0), SeekFrom::Current(0), SeekFrom::End(0)] {
            let (ours, stds) = (writer.seek(to).await, std::io::Seek::seek(&mut &stds, to));
            assert_eq!(code(ours.map(drop)), code(stds.map(drop)), "{to:?}");
        }
        assert!(writer.metadata().await.unwrap().file_type().is_fifo());
        // A refused sync is not final, and none of it spoils the pipe.
        writer.write_all(b"text").await.unwrap();
        writer.flush().await.unwrap();
        writer.close().await.unwrap();
        drop(stds);
        let mut text = String::new();
        let mut reader = reader;
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Sockets and terminals

/// A read that waits on one half does not keep the other half from writing.
async fn is_split(file: File, far: &mut (impl std::io::Read + std::io::Write)) {
    let (mut reader, mut writer) = futures_lite::io::split(file);
    let mut buf = [0; 16];
    for _ in 0..3 {
        let mut read = pin!(reader.read(&mut buf));
        assert!(future::poll_once(&mut read).await.is_none());
        writer.write_all(b"ping").await.unwrap();
        writer.flush().await.unwrap();
        let mut ping = [0; 4];
        far.read_exact(&mut ping).unwrap();
        assert_eq!(&ping, b"ping");
        assert!(future::poll_once(&mut read).await.is_none());
        far.write_all(b"pong").unwrap();
        assert_eq!(read.await.unwrap(), 4);
        assert_eq!(&buf[..4], b"pong");
    }
}

#[test]
fn a_read_that_waits_on_a_socket_does_not_hold_up_writes() {
    every_runtime(|_| async {
        let (one, mut other) = UnixStream::pair().unwrap();
        is_split(File::from(OwnedFd::from(one)), &mut other).await;
    });
}

#[test]
fn a_read_that_waits_on_a_terminal_does_not_hold_up_writes() {
    every_runtime(|_| async {
        let (controller, path) = terminal();
        // Its user side, opened by us ...
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32);
        let user = options.open(&path).await.unwrap();
        is_split(user, &mut std::fs::File::from(controller)).await;

        // ... or by somebody else, and its controlling side.
        let (controller, path) = terminal();
        let user = open_terminal(&path);
        is_split(File::from(user), &mut std::fs::File::from(controller)).await;
        let (controller, path) = terminal();
        let user = open_terminal(&path);
        is_split(File::from(controller), &mut std::fs::File::from(user)).await;
    });
}

#[test]
fn writes_to_a_blocking_terminal_that_nobody_reads_wait_without_blocking_the_executor() {
    run(async {
        let (controller, path) = terminal();
        let user = open_terminal(&path);
        let watched = user.try_clone().unwrap();
        let mut writer = File::from(user);
        probe(&writer).await;
        let bytes = numbered(1 << 20);
        let mut accepted = 0;
        while let Some(n) = poll_once(writer.write(&bytes[accepted..])).await {
            accepted += n.unwrap();
            assert!(accepted < bytes.len(), "a terminal takes only so much");
        }
        assert!(!is_nonblocking(&watched));
        // It goes on when somebody reads.
        let mut reader = File::from(controller);
        let mut all = vec![0; bytes.len()];
        let (read, written) = zip(
            reader.read_exact(&mut all),
            writer.write_all(&bytes[accepted..]),
        )
        .await;
        read.unwrap();
        written.unwrap();
        assert_same_bytes(all, bytes);
    });
}

#[test]
fn data_goes_through_sockets_in_both_directions_at_once() {
    every_runtime(|rt| async move {
        let (one, other) = sockets();
        let bytes = numbered(1 << 20);
        let (sum, len) = (bytes.clone(), bytes.len());
        let far = rt.spawn(async move {
            let (mut reader, mut writer) = futures_lite::io::split(other);
            let mut all = vec![0; len];
            let (read, written) = zip(reader.read_exact(&mut all), writer.write_all(&sum)).await;
            read.unwrap();
            written.unwrap();
            all
        });
        let (mut reader, mut writer) = futures_lite::io::split(one);
        let mut all = vec![0; len];
        let (read, written) = zip(reader.read_exact(&mut all), writer.write_all(&bytes)).await;
        read.unwrap();
        written.unwrap();
        assert_same_bytes(&all, &bytes);
        assert_same_bytes(far.await, &bytes);
    });
}

#[test]
fn the_half_close_of_a_socket_is_its_end() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let mut reader = File::from(OwnedFd::from(one));
        other.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0);
        reader.write_all(b"text").await.unwrap();
        let mut text = [0; 4];
        (&other).read_exact(&mut text).unwrap();
    });
}

#[test]
fn the_end_is_lent_as_often_as_it_is_asked_for() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"text").unwrap();
        drop(writer);
        let files = [
            File::open(&path).await.unwrap(),
            File::open("/dev/null").await.unwrap(),
            File::open("/proc/self/comm").await.unwrap(),
            File::from(OwnedFd::from(reader)),
        ];
        for mut file in files {
            let mut all = Vec::new();
            file.read_to_end(&mut all).await.unwrap();
            // `fill_buf` of futures-lite polls a second time once it is ready, and panics if that is not.
            for _ in 0..3 {
                assert_eq!(file.fill_buf().await.unwrap(), b"");
            }
        }
    });
}

#[test]
fn what_is_lent_is_lent_again_in_the_next_poll_however_often() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(&numbered(8000)).unwrap();
        let files = [
            File::open(&path).await.unwrap(),
            File::from(OwnedFd::from(reader)),
        ];
        for mut file in files {
            for n in 0..2000 {
                // Reads in between, so that every number of polls comes before some `fill_buf`, which polls twice.
                if n % 3 == 0 {
                    file.read_exact(&mut [0; 1]).await.unwrap();
                }
                assert!(!file.fill_buf().await.unwrap().is_empty());
                file.consume(1);
            }
        }
    });
}

#[test]
fn terminals_are_told_from_everything_else() {
    run(async {
        let (controller, path) = terminal();
        let user = open_terminal(&path);
        assert!(File::from(user).is_terminal().await);
        assert!(File::from(controller).is_terminal().await);
        let (reader, _writer) = pipe().unwrap();
        assert!(!File::from(OwnedFd::from(reader)).is_terminal().await);
        let (one, _other) = sockets();
        assert!(!one.is_terminal().await);
        for path in ["/dev/null", "/proc/self/status"] {
            let mut file = File::open(path).await.unwrap();
            assert!(!file.is_terminal().await, "{path}");
            file.close().await.unwrap();
            assert!(!file.is_terminal().await, "{path}, closed");
        }
    });
}

#[test]
fn a_terminal_whose_other_side_has_gone_answers_as_it_answers_std() {
    run(async {
        // Both sides, taken over and opened by us, with a read that waits and with none.
        for (waits, side) in [
            (false, 0),
            (true, 0),
            (false, 1),
            (true, 1),
            (false, 2),
            (true, 2),
        ] {
            let terminals = [terminal(), terminal()].map(|(controller, path)| {
                let user = open_terminal(&path);
                let (here, there) = if side == 1 {
                    (controller, user)
                } else {
                    (user, controller)
                };
                (here, there, path)
            });
            let [(ours, our_far, path), (stds, std_far, _)] = terminals;
            let mut ours = match side {
                2 => {
                    let mut options = OpenOptions::new();
                    options.read(true).write(true);
                    options.custom_flags(OFlags::NOCTTY.bits() as i32);
                    options.open(&path).await.unwrap()
                }
                _ => File::from(ours),
            };
            probe(&ours).await;
            let (mut buf, mut std_buf) = ([0; 4], [0; 4]);
            let read = {
                let mut read = pin!(ours.read(&mut buf));
                if waits {
                    assert!(future::poll_once(&mut read).await.is_none());
                }
                drop((our_far, std_far));
                read.await
            };
            let mut stds = std::fs::File::from(stds);
            let expected = stds.read(&mut std_buf);
            let case = format!("side {side}, a read waits: {waits}");
            // How much of a write is taken may differ, whether it is taken may not.
            let code =
                |result: std::io::Result<usize>| result.err().map(|error| error.raw_os_error());
            assert_eq!(code(read), code(expected), "{case}");
            let (write, expected) = (ours.write(b"text").await, stds.write(b"text"));
            assert_eq!(code(write), code(expected), "{case}");
        }
    });
}

#[test]
fn a_write_to_a_terminal_that_its_user_made_nonblocking_is_not_cut_into_pieces() {
    run(async {
        let (controller, path) = terminal();
        let user = open_terminal(&path);
        for side in [&controller, &user] {
            let flags = rustix::fs::fcntl_getfl(side).unwrap();
            rustix::fs::fcntl_setfl(side, flags | OFlags::NONBLOCK).unwrap();
        }
        let (mut controller, mut user) = (File::from(controller), File::from(user));
        let mut buf = [0; 100];
        assert_eq!(controller.write(&[b'x'; 100]).await.unwrap(), 100);
        user.read_exact(&mut buf).await.unwrap();
        assert_eq!(user.write(&[b'y'; 100]).await.unwrap(), 100);
        controller.read_exact(&mut buf).await.unwrap();
        assert_eq!(buf, [b'y'; 100]);
    });
}

#[test]
fn into_std_gives_a_terminal_that_we_opened_back_blocking() {
    run(async {
        let (_controller, path) = terminal();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32);
        let file = options.open(&path).await.unwrap();
        assert!(!is_nonblocking(file.into_std().await.unwrap()));
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Devices

#[test]
fn the_null_device_takes_everything_and_gives_nothing() {
    every_runtime(|_| async {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .open("/dev/null")
            .await
            .unwrap();
        file.write_all(&numbered(1 << 20)).await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(file.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(file.fill_buf().await.unwrap(), b"");
        assert_eq!(aiofiles::read("/dev/null").await.unwrap(), b"");
        aiofiles::write("/dev/null", vec![0; 1 << 20])
            .await
            .unwrap();
        file.close().await.unwrap();
    });
}

#[test]
fn the_zero_device_gives_zeros_without_end() {
    run(async {
        let mut file = File::open("/dev/zero").await.unwrap();
        let mut buf = vec![1; 700_000];
        file.read_exact(&mut buf).await.unwrap();
        assert!(buf.iter().all(|&byte| byte == 0));
        let lent = file.fill_buf().await.unwrap();
        assert!(!lent.is_empty() && lent.iter().all(|&byte| byte == 0));
    });
}

#[test]
fn the_full_device_refuses_each_write_by_itself() {
    every_runtime(|_| async {
        let full = Some(Errno::NOSPC.raw_os_error());
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .open("/dev/full")
            .await
            .unwrap();
        for _ in 0..3 {
            let error = file.write(b"text").await.unwrap_err();
            assert_eq!(error.raw_os_error(), full);
            // Nothing was accepted, so nothing is left to be flushed.
            file.flush().await.unwrap();
        }
        assert_eq!(file.discard_unwritten().await, 0);
        // It can still be read.
        let mut buf = [1; 10];
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(buf, [0; 10]);
        file.close().await.unwrap();

        let error = aiofiles::write("/dev/full", "text").await.unwrap_err();
        assert_eq!(raw_os_error(&error), full);
        let error = aiofiles::write("/dev/full", vec![0; 1 << 20])
            .await
            .unwrap_err();
        assert_eq!(raw_os_error(&error), full);
        assert_eq!(
            PathError::of(&error).unwrap().path(),
            Path::new("/dev/full")
        );
    });
}

#[test]
fn random_devices_give_as_much_as_is_asked_for_and_never_the_same() {
    run(async {
        for device in ["/dev/urandom", "/dev/random"] {
            let mut file = File::open(device).await.unwrap();
            let (mut one, mut other) = (vec![0; 100_000], vec![0; 100_000]);
            file.read_exact(&mut one).await.unwrap();
            file.read_exact(&mut other).await.unwrap();
            assert!(one != other, "{device}");
            // No byte comes twice, also after a look ahead and a seek.
            let lent = file.fill_buf().await.unwrap().to_vec();
            let n = lent.len();
            file.consume(n);
            file.seek(SeekFrom::Start(0)).await.unwrap();
            let mut again = vec![0; n];
            file.read_exact(&mut again).await.unwrap();
            assert!(lent != again, "{device}");
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Files that the kernel makes up

/// Files whose content does not change while the test runs; some must be read in one piece.
const MADE_UP: [&str; 8] = [
    "/proc/filesystems",
    "/proc/devices",
    "/proc/self/limits",
    "/proc/self/mountinfo",
    "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/random/boot_id",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/devices/system/cpu/online",
];

/// What one large read after the other gives.
fn whole(path: &str) -> Vec<u8> {
    let mut file = std::fs::File::open(path).unwrap();
    let (mut all, mut buf) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buf).unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

#[test]
fn files_that_say_they_are_empty_are_read_to_their_end() {
    every_runtime(|_| async {
        for path in MADE_UP {
            if !Path::new(path).exists() {
                skip(path);
                continue;
            }
            let expected = whole(path);
            assert!(!expected.is_empty(), "{path}");
            let found = aiofiles::read(path).await.unwrap();
            assert!(
                found == expected,
                "{path}: {} of {} bytes",
                found.len(),
                expected.len()
            );
            let text = aiofiles::read_to_string(path).await.unwrap();
            assert!(
                text.as_bytes() == expected,
                "{path}: {} of {} bytes",
                text.len(),
                expected.len()
            );
            let mut all = Vec::new();
            File::open(path)
                .await
                .unwrap()
                .read_to_end(&mut all)
                .await
                .unwrap();
            assert!(all == std::fs::read(path).unwrap(), "{path}");
        }
    });
}

#[test]
fn a_file_of_many_pages_that_says_it_is_empty_is_read_to_its_end() {
    const PATH: &str = "/proc/kallsyms";
    if !Path::new(PATH).exists() {
        return skip(PATH);
    }
    run(async {
        let expected = whole(PATH);
        assert!(expected.len() > 100_000);
        assert_eq!(aiofiles::metadata(PATH).await.unwrap().len(), 0);
        let found = aiofiles::read(PATH).await.unwrap();
        assert!(
            found == expected,
            "{} of {} bytes",
            found.len(),
            expected.len()
        );
        let mut all = Vec::new();
        let mut file = File::open(PATH).await.unwrap();
        file.read_to_end(&mut all).await.unwrap();
        assert!(all == expected, "{} of {} bytes", all.len(), expected.len());
    });
}

#[test]
fn files_of_procfs_are_read_in_pieces_as_std_reads_them() {
    run(async {
        for path in MADE_UP.iter().filter(|path| Path::new(path).exists()) {
            let mut ours = File::open(path).await.unwrap();
            let mut stds = std::fs::File::open(path).unwrap();
            for piece in [7, 100, 1000, 5000].into_iter().cycle().take(40) {
                let (mut our_buf, mut std_buf) = (vec![0; piece], vec![0; piece]);
                let n = ours.read(&mut our_buf).await.unwrap();
                assert_eq!(n, stds.read(&mut std_buf).unwrap(), "{path}");
                assert_same_bytes(&our_buf[..n], &std_buf[..n]);
            }
            let position = std::io::Seek::stream_position(&mut stds).unwrap();
            assert_eq!(ours.stream_position().await.unwrap(), position);
            // And again from the beginning, line by line.
            ours.seek(SeekFrom::Start(0)).await.unwrap();
            let lines = ours
                .lines()
                .map(|line| line.unwrap())
                .collect::<Vec<_>>()
                .await;
            let whole = String::from_utf8(whole(path)).unwrap();
            assert!(lines.iter().map(String::as_str).eq(whole.lines()), "{path}");
        }
    });
}

#[test]
fn a_write_to_procfs_is_one_write_of_the_operating_system() {
    alone(|| {
        future::block_on(async {
            // The kernel takes each write for a whole name.
            let mut options = OpenOptions::new();
            let mut file = options.write(true).open("/proc/self/comm").await.unwrap();
            file.write_all(b"first").await.unwrap();
            file.write_all(b"second").await.unwrap();
            assert_eq!(std::fs::read("/proc/self/comm").unwrap(), b"second\n");
            file.write_vectored(&[IoSlice::new(b"th"), IoSlice::new(b"ird")])
                .await
                .unwrap();
            assert_eq!(aiofiles::read("/proc/self/comm").await.unwrap(), b"third\n");
            file.close().await.unwrap();
            aiofiles::write("/proc/self/comm", "fourth").await.unwrap();
            assert_eq!(
                aiofiles::read("/proc/self/comm").await.unwrap(),
                b"fourth\n"
            );
            // What the kernel refuses, it refuses at once.
            let error = aiofiles::write("/proc/self/oom_score_adj", "no number")
                .await
                .unwrap_err();
            assert_eq!(raw_os_error(&error), Some(Errno::INVAL.raw_os_error()));
        });
    });
}

#[test]
fn a_write_that_waits_is_told_of_by_its_latest_waker() {
    run(async {
        let (reader, writer) = pipe().unwrap();
        let (mut reader, mut writer) = (reader, File::from(OwnedFd::from(writer)));
        probe(&writer).await;
        let bytes = vec![0; 1 << 20];
        let (first, latest) = (CountingWaker::new(), CountingWaker::new());
        for counting in [&first, &latest] {
            let waker = counting.waker();
            let mut cx = Context::from_waker(&waker);
            // Fills the pipe first.
            while let Poll::Ready(n) = Pin::new(&mut writer).poll_write(&mut cx, &bytes) {
                n.unwrap();
            }
        }
        let mut sink = vec![0; 1 << 20];
        assert!(reader.read(&mut sink).unwrap() > 0);
        while latest.wakes() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(first.wakes(), 0);
    });
}

#[test]
fn a_descriptor_taken_over_keeps_its_number() {
    let (reader, _writer) = pipe().unwrap();
    let number = reader.as_raw_fd();
    let file = File::from(OwnedFd::from(reader));
    assert_eq!(file.as_raw_fd(), number);
    assert_eq!(file.as_fd().as_raw_fd(), number);
    assert!(file.path().is_none());
}

#[test]
fn a_device_that_is_waited_for_holds_no_thread() {
    const PATH: &str = "/dev/kmsg";
    if std::fs::File::open(PATH).is_err() {
        return skip("/dev/kmsg and the right to read it");
    }
    alone(|| {
        future::block_on(async {
            let mut reader = File::open(PATH).await.unwrap();
            // Beyond the last message of the kernel a read waits for the next one.
            let (mut buf, mut messages) = ([0; 8192], 0);
            while let Some(read) = poll_once(reader.read(&mut buf)).await {
                match read {
                    Ok(n) => messages += usize::from(n > 0),
                    // Messages were overwritten before they were read.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
                }
            }
            assert!(messages > 0);
            settled().await;
            assert_eq!(backend().running(), 0, "a read that waits on the pool");
        });
    });
}
