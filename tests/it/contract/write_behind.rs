//! Rule 3: write-behind.

use std::io::{IoSlice, SeekFrom};

use aiofiles::File;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
#[cfg(all(unix, feature = "testing"))]
use {
    crate::support::poll_once,
    futures_lite::io::AsyncWrite as _,
    std::task::{Context, Waker},
};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered};

/// Rule 3: written bytes are on their way at once, not when somebody flushes: they arrive although nobody polls the file
/// again.
#[test]
fn written_bytes_arrive_although_nobody_flushes() {
    every_runtime(|_| async {
        for append in [false, true] {
            let (_dir, path) = sample("");
            let mut file = read_write().append(append).open(&path).await.unwrap();
            let bytes = numbered(10_000);
            file.write_all(&bytes).await.unwrap();
            until(|| on_disk(&path).len() == bytes.len()).await;
            assert_same_bytes(on_disk(&path), &bytes);
            drop(file);
        }
    });
}

/// Rule 3: `flush` is done when the operating system has everything.
#[test]
fn everything_is_with_the_operating_system_after_a_flush() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = File::create(&path).await.unwrap();
        let bytes = numbered(2_000_000);
        let mut written = 0;
        for len in [1, 10, 100_000, 0, 5, 700_000, 16_384, 300_001] {
            file.write_all(&bytes[written..][..len]).await.unwrap();
            written += len;
            file.flush().await.unwrap();
            assert_same_bytes(on_disk(&path), &bytes[..written]);
            // A second one has nothing to do.
            file.flush().await.unwrap();
        }
    });
}

/// Rule 3: what is written with gaps and over itself stands where the position was.
#[test]
fn every_write_stands_where_the_position_was() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(1000));
        let mut file = read_write().open(&path).await.unwrap();
        let mut expected = numbered(1000);
        for round in 0..100usize {
            let at = (round * 7919) % 200_000;
            let piece = vec![round as u8; 1 + (round * 31) % 5000];
            file.seek(SeekFrom::Start(at as u64)).await.unwrap();
            file.write_all(&piece).await.unwrap();
            if expected.len() < at + piece.len() {
                expected.resize(at + piece.len(), 0);
            }
            expected[at..at + piece.len()].copy_from_slice(&piece);
        }
        file.flush().await.unwrap();
        assert_same_bytes(on_disk(&path), expected);
    });
}

/// Rule 3: a write of several slices is one of their bytes together; empty ones are nothing.
#[test]
fn slices_are_written_as_one() {
    every_runtime(|_| async {
        for unbuffered in [false, true] {
            let (_dir, path) = sample("");
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let slices = [&b""[..], b"one ", b"", b"two ", b"three"].map(IoSlice::new);
            assert_eq!(file.write_vectored(&slices).await.unwrap(), 13);
            assert_eq!(file.write_vectored(&[]).await.unwrap(), 0);
            assert_eq!(file.write_vectored(&[IoSlice::new(b"")]).await.unwrap(), 0);
            assert_eq!(file.write(b"").await.unwrap(), 0);
            assert_eq!(file.stream_position().await.unwrap(), 13);
            file.close().await.unwrap();
            assert_eq!(on_disk(&path), b"one two three");
        }
    });
}

/// Rule 3: while one write runs, later ones gather, and go out together.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn writes_gather_while_one_runs() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = File::create(&path).await.unwrap();
            let gate = Held::new(faults, Call::Write, 0);
            count(faults, Call::Write);
            let bytes = numbered(100_000);
            file.write_all(&bytes[..100]).await.unwrap();
            until(|| gate.waiting() == 1).await;
            for piece in bytes[100..].chunks(100) {
                assert_eq!(file.write(piece).await.unwrap(), 100);
            }
            assert_eq!(on_disk(&path), b"");
            gate.open();
            file.flush().await.unwrap();
            assert_same_bytes(on_disk(&path), &bytes);
            assert_eq!(
                faults.struck(),
                2,
                "one write for the first, one for the rest"
            );
        });
    });
}

/// One `poll_write` that does not fail.
#[cfg(all(unix, feature = "testing"))]
fn write_now(file: &mut File, bytes: &[u8]) -> Poll<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(file)
        .poll_write(&mut cx, bytes)
        .map(Result::unwrap)
}

/// Rule 3: the buffer is bounded, `Pending` has accepted nothing, and the writer goes on once there is room.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_full_buffer_accepts_nothing_until_there_is_room() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            for buffer_size in [None, Some(1), Some(5000), Some(100_000)] {
                let (_dir, path) = sample("");
                let mut options = File::options();
                options.write(true);
                if let Some(size) = buffer_size {
                    options.buffer_size(size);
                }
                let mut file = options.open(&path).await.unwrap();
                faults.clear();
                let gate = Held::new(faults, Call::Write, 0);
                // So many that they do not fit, and not so many that single bytes take long.
                let bytes = numbered(10_000 + buffer_size.unwrap_or(512 * 1024));
                let mut accepted = file.write(&bytes[..1000]).await.unwrap();
                until(|| gate.waiting() == 1).await;
                let first = accepted;
                // With an odd size, so that the last piece does not fit.
                while let Poll::Ready(n) = write_now(&mut file, &bytes[accepted..][..7001]) {
                    assert!(n > 0);
                    accepted += n;
                }
                let gathered = accepted - first;
                let bound = buffer_size.unwrap_or(256 * 1024);
                assert!(
                    gathered <= bound,
                    "{gathered} bytes with a bound of {bound}"
                );
                assert!(gathered > 0);
                assert_eq!(file.stream_position().await.unwrap(), accepted as u64);
                for _ in 0..3 {
                    assert!(poll_once(file.write(&bytes[accepted..])).await.is_none());
                }
                gate.open();
                file.flush().await.unwrap();
                assert_same_bytes(on_disk(&path), &bytes[..accepted]);
                file.write_all(&bytes[accepted..]).await.unwrap();
                file.close().await.unwrap();
                assert_same_bytes(on_disk(&path), &bytes);
            }
        });
    });
}

/// Rule 3: a writer that waits for room goes on as soon as the write under way has made some, and not only when all is
/// written.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_writer_is_woken_when_there_is_room() {
    use crate::support::CountingWaker;
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = File::options()
                .write(true)
                .buffer_size(1000)
                .open(&path)
                .await
                .unwrap();
            let first = Held::new(faults, Call::Write, 0);
            let second = Held::new(faults, Call::Write, 0);
            file.write_all(&[b'1'; 10]).await.unwrap();
            until(|| first.waiting() == 1).await;
            while write_now(&mut file, &[b'2'; 100]).is_ready() {}
            let count = CountingWaker::new();
            let waker = count.waker();
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut file).poll_write(&mut cx, b"3").is_pending());
            first.open();
            until(|| second.waiting() == 1).await;
            until(|| count.wakes() > 0).await;
            assert_eq!(write_now(&mut file, b"3"), Poll::Ready(1));
            second.open();
            file.flush().await.unwrap();
            assert_eq!(on_disk(&path).last(), Some(&b'3'));
        });
    });
}

/// Rule 3: `flush` waits, as long as it takes, and no reading of the file goes past it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn flush_and_read_wait_for_a_write_that_takes_long() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("..........");
            let mut file = read_write().open(&path).await.unwrap();
            let gate = Held::new(faults, Call::Write, 0);
            file.write_all(b"abc").await.unwrap();
            until(|| gate.waiting() == 1).await;
            for _ in 0..10 {
                assert!(poll_once(file.flush()).await.is_none());
                assert!(poll_once(file.read(&mut [0; 4])).await.is_none());
                aiofiles::metadata(&path).await.unwrap();
            }
            gate.open();
            file.flush().await.unwrap();
            assert_eq!(on_disk(&path), b"abc.......");
            let mut rest = String::new();
            file.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, ".......");
        });
    });
}

/// Rule 3: what the kernel takes only a part of is written to its end, in order.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn short_writes_are_continued() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let bytes = numbered(50_000);
        for append in [false, true] {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().append(append).open(&path)).unwrap();
            faults.clear();
            faults.short(Call::Write, 0, 3, 1);
            faults.short(Call::Write, 0, 5, 1000);
            faults.short(Call::Write, 2, 2, 7);
            drive(stepper, file.write_all(&bytes)).unwrap();
            drive(stepper, file.flush()).unwrap();
            assert_same_bytes(on_disk(&path), &bytes);
        }
    });
}

/// Rule 3: many small writes cost few operations.
#[test]
fn a_thousand_small_writes_are_few_operations() {
    crate::support::alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = File::create(&path).await.unwrap();
            let before = aiofiles::backend().operations();
            let bytes = numbered(100_000);
            for piece in bytes.chunks(100) {
                file.write_all(piece).await.unwrap();
            }
            file.flush().await.unwrap();
            let operations = aiofiles::backend().operations() - before;
            assert!(operations < 500, "{operations} operations for 1000 writes");
            assert_same_bytes(on_disk(&path), bytes);
        });
    });
}

/// Rule 3: memory of a buffer is given back with the file.
#[test]
fn buffers_go_with_their_file() {
    crate::support::alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(3 << 20));
            for _ in 0..20 {
                let mut file = read_write().open(&path).await.unwrap();
                file.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
                file.write_all(&numbered(1 << 20)).await.unwrap();
                file.flush().await.unwrap();
                assert!(aiofiles::backend().buffered() > 0);
                drop(file);
                until(|| aiofiles::backend().buffered() == 0).await;
            }
        });
    });
}
