//! Rule 4: `unbuffered`.

use std::fs;
use std::io::{SeekFrom, Write as _};

use aiofiles::File;
#[cfg(all(unix, feature = "testing"))]
use futures_lite::AsyncBufReadExt as _;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered, poll_once};

/// Rule 4: `Ok(n)` means that the operating system has those bytes.
#[test]
fn a_write_that_is_done_is_with_the_operating_system() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = read_write_unbuffered().open(&path).await.unwrap();
        let bytes = numbered(1_000_000);
        let mut written = 0;
        for len in [1, 10, 100_000, 5, 200_000] {
            let n = file.write(&bytes[written..][..len]).await.unwrap();
            written += n;
            assert_same_bytes(on_disk(&path), &bytes[..written]);
        }
        file.write_all(&bytes[written..]).await.unwrap();
        assert_same_bytes(on_disk(&path), &bytes);
        assert_eq!(file.stream_position().await.unwrap(), 1_000_000);
    });
}

/// Rule 4: nothing is read ahead, so what others write is seen by the next read.
#[test]
fn every_read_finds_what_stands_in_the_file_now() {
    every_runtime(|_| async {
        let (_dir, path) = sample([b'0'; 100]);
        let mut other = fs::File::options().write(true).open(&path).unwrap();
        let mut file = read_write_unbuffered().open(&path).await.unwrap();
        let mut buf = [0; 10];
        for round in 0..9u8 {
            file.read_exact(&mut buf).await.unwrap();
            assert_eq!(buf, [b'0' + round; 10]);
            std::io::Seek::seek(&mut other, SeekFrom::Start(0)).unwrap();
            other.write_all(&[b'1' + round; 100]).unwrap();
        }
    });
}

/// Rule 4: a read asks for what its caller wants, and for no byte more.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_read_is_one_read_of_its_own_length() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let bytes = numbered(200_000);
        let (_dir, path) = sample(&bytes);
        let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
        count(faults, Call::Read);
        let mut at = 0;
        for len in [1, 10, 8192, 100_000, 3] {
            let before = faults.struck();
            let mut buf = vec![0; len];
            assert_eq!(drive(stepper, file.read(&mut buf)).unwrap(), len);
            assert_same_bytes(&buf, &bytes[at..][..len]);
            at += len;
            stepper.run_all();
            assert_eq!(faults.struck() - before, 1, "{len} bytes");
        }
    });
}

/// Rule 4: one write is one write(2) with all its bytes.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_write_is_one_write_of_the_kernel() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("");
        let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
        count(faults, Call::Write);
        for len in [1, 10, 8192, 100_000, 3] {
            let before = faults.struck();
            assert_eq!(drive(stepper, file.write(&vec![b'x'; len])).unwrap(), len);
            drive(stepper, file.flush()).unwrap();
            assert_eq!(faults.struck() - before, 1, "{len} bytes");
        }
    });
}

/// Rule 4: a `poll_write` that is pending keeps a copy; the next one with the same bytes gets the answer, and the bytes
/// are written once. It may bring more bytes behind them.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_next_poll_with_the_same_bytes_gets_the_answer() {
    stepped(|stepper, _| {
        for again in [&b"hello"[..], b"hello, world"] {
            for jobs_before in [0, 1] {
                let (_dir, path) = sample("");
                let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
                let mut first = b"hello".to_vec();
                begin(std::pin::pin!(file.write(&first)));
                // The copy is our own: what becomes of the caller's buffer is the caller's business.
                first.fill(b'x');
                for _ in 0..jobs_before {
                    stepper.run_one();
                }
                assert_eq!(drive(stepper, file.write(again)).unwrap(), 5);
                assert_eq!(drive(stepper, file.stream_position()).unwrap(), 5);
                drive(stepper, file.flush()).unwrap();
                assert_eq!(on_disk(&path), b"hello");
            }
        }
    });
}

/// Rule 4: if the bytes do not agree, the earlier write was cancelled and has happened, and the new bytes are written
/// behind it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn other_bytes_are_written_behind_those_of_a_cancelled_write() {
    stepped(|stepper, _| {
        for other in [&b"HELLO"[..], b"he", b"hellO and more"] {
            for jobs_before in [0, 1] {
                let (_dir, path) = sample("");
                let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
                begin(std::pin::pin!(file.write(b"hello")));
                for _ in 0..jobs_before {
                    stepper.run_one();
                }
                assert_eq!(drive(stepper, file.write(other)).unwrap(), other.len());
                assert_eq!(on_disk(&path), [b"hello", other].concat());
                assert_eq!(
                    drive(stepper, file.stream_position()).unwrap(),
                    5 + other.len() as u64
                );
            }
        }
    });
}

/// Rule 4: the error of a cancelled write is returned, and the new bytes are not lost in silence: that write has failed.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_cancelled_write_is_returned_to_the_next_one() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("");
        let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
        faults.fail(Call::Write, 0, 1, code::ENOSPC);
        begin(std::pin::pin!(file.write(b"lost")));
        let error = drive(stepper, file.write(b"other")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
        drive(stepper, file.flush()).unwrap();
        let written = on_disk(&path);
        // The contract lets the new bytes be submitted or not; what is said of the position is true.
        assert_eq!(
            drive(stepper, file.stream_position()).unwrap(),
            written.len() as u64
        );
        drive(stepper, file.write_all(b"!")).unwrap();
        assert_eq!(on_disk(&path), [&written[..], b"!"].concat());
    });
}

/// Rules 4 and 10: the error of a cancelled write is told by whatever comes next, once.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_cancelled_write_is_told_by_whatever_comes_next() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for next in [
            "read",
            "flush",
            "seek",
            "sync_all",
            "set_len",
            "try_clone",
            "close",
        ] {
            let (_dir, path) = sample("content");
            let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
            faults.fail(Call::Write, 0, 1, code::ENOSPC);
            begin(std::pin::pin!(file.write(b"lost")));
            let result = match next {
                "read" => drive(stepper, file.read(&mut [0; 4])).map(drop),
                "flush" => drive(stepper, file.flush()),
                "seek" => drive(stepper, file.seek(SeekFrom::Start(1))).map(drop),
                "sync_all" => drive(stepper, file.sync_all()),
                "set_len" => drive(stepper, file.set_len(0)),
                "try_clone" => drive(stepper, file.try_clone()).map(drop),
                _ => drive(stepper, file.close()),
            };
            let error = result.expect_err(next);
            assert_eq!(error.raw_os_error(), Some(code::ENOSPC), "{next}");
            assert_eq!(on_disk(&path), b"content");
            if next != "close" {
                assert_eq!(drive(stepper, file.stream_position()).unwrap(), 0);
                drive(stepper, file.flush()).unwrap();
            }
        }
    });
}

/// Rules 4 and 10: so is the error of a write whose handle has gone, by another handle.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_write_of_a_dropped_clone_is_told() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for dropped_before in [true, false] {
            let (_dir, path) = sample("content");
            let mut file = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            faults.fail(Call::Write, 0, 1, code::ENOSPC);
            begin(std::pin::pin!(clone.write(b"lost")));
            if !dropped_before {
                stepper.run_all();
            }
            drop(clone);
            let error = drive(stepper, file.flush()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
            drive(stepper, file.flush()).unwrap();
            assert_eq!(on_disk(&path), b"content");
        }
    });
}

/// Rule 4: a write that its caller gave up is done before anything that comes after it.
#[test]
fn a_cancelled_write_is_done_before_what_comes_after() {
    every_runtime(|_| async {
        for _ in 0..30 {
            let (_dir, path) = sample("....................");
            let mut file = read_write_unbuffered().open(&path).await.unwrap();
            let _ = poll_once(file.write(b"abc")).await;
            let mut rest = String::new();
            file.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, ".".repeat(17));
            assert_eq!(&on_disk(&path)[..4], b"abc.");
            let _ = poll_once(file.write(b"end")).await;
            file.close().await.unwrap();
            assert_eq!(&on_disk(&path)[3..], [&[b'.'; 17][..], b"end"].concat());
        }
    });
}

/// Rule 4: a cancelled read loses no byte: they go to the next one.
#[test]
fn a_cancelled_read_gives_its_bytes_to_the_next() {
    every_runtime(|_| async {
        let bytes = numbered(20_000);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write_unbuffered().open(&path).await.unwrap();
        let mut found = Vec::new();
        while found.len() < bytes.len() {
            let mut buf = vec![0; 500];
            if let Some(n) = poll_once(file.read(&mut buf)).await {
                found.extend_from_slice(&buf[..n.unwrap()]);
            } else {
                let n = file.read(&mut buf[..300]).await.unwrap();
                found.extend_from_slice(&buf[..n]);
            }
        }
        assert_same_bytes(found, bytes);
    });
}

/// Rule 4: `fill_buf` reads once, up to `buffer_size`; those bytes go to the next reads.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn fill_buf_reads_once_and_its_bytes_go_to_the_next_read() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for size in [None, Some(100), Some(50_000)] {
            let bytes = numbered(200_000);
            let (_dir, path) = sample(&bytes);
            let mut options = read_write_unbuffered();
            if let Some(size) = size {
                options.buffer_size(size);
            }
            let mut file = drive(stepper, options.open(&path)).unwrap();
            faults.clear();
            count(faults, Call::Read);
            let before = faults.struck();
            let filled_with = drive(stepper, filled(&mut file)).unwrap();
            assert_same_bytes(&filled_with, &bytes[..filled_with.len()]);
            if let Some(size) = size {
                assert_eq!(filled_with.len(), size);
            }
            assert_eq!(drive(stepper, filled(&mut file)).unwrap(), filled_with);
            file.consume(10);
            let mut buf = [0; 20];
            drive(stepper, file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(buf, &bytes[10..30]);
            assert_eq!(faults.struck() - before, 1);
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 30);
        }
    });
}

/// Rule 4: a write or a seek drops what `fill_buf` has read.
#[test]
fn a_write_or_seek_drops_what_fill_buf_has_read() {
    every_runtime(|_| async {
        let (_dir, path) = sample([b'.'; 100]);
        let mut other = fs::File::options().write(true).open(&path).unwrap();
        let mut file = read_write_unbuffered().open(&path).await.unwrap();

        filled(&mut file).await.unwrap();
        other.write_all(&[b'1'; 100]).unwrap();
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 0);
        assert_eq!(filled(&mut file).await.unwrap()[0], b'1');

        std::io::Seek::seek(&mut other, SeekFrom::Start(0)).unwrap();
        other.write_all(&[b'2'; 100]).unwrap();
        file.write_all(b"w").await.unwrap();
        assert_eq!(filled(&mut file).await.unwrap()[0], b'2');
        assert_eq!(file.stream_position().await.unwrap(), 1);
    });
}

/// Rule 4, of files that are always unbuffered: a seek drops what `fill_buf` has read of procfs.
#[cfg(target_os = "linux")]
#[test]
fn a_seek_in_procfs_drops_what_fill_buf_has_read() {
    crate::support::alone(|| {
        futures_lite::future::block_on(async {
            let mut file = File::open("/proc/self/comm").await.unwrap();
            let before = filled(&mut file).await.unwrap();
            assert!(before.len() > 1);
            fs::write("/proc/self/comm", "renamed").unwrap();
            file.seek(SeekFrom::Start(0)).await.unwrap();
            let mut found = String::new();
            file.read_to_string(&mut found).await.unwrap();
            assert_eq!(found, "renamed\n");
        });
    });
}

/// Rules 4 and 16: however long the caller's buffer is, a call that the kernel can do is made.
#[test]
fn huge_buffers_are_read_and_written_in_part() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        for unbuffered in [false, true] {
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            // Memory that nobody touches costs nothing; three gigabytes are more than one call can move.
            let mut huge = vec![0; 3 << 30];
            assert_eq!(file.read(&mut huge).await.unwrap(), 7);
            drop(huge);
            let huge = vec![0; 3 << 30];
            file.seek(SeekFrom::Start(0)).await.unwrap();
            let n = file.write(&huge).await.unwrap();
            assert!(n > 0 && n <= 256 * 1024, "{n}");
            file.set_len(0).await.unwrap();
            file.seek(SeekFrom::Start(0)).await.unwrap();
            file.write_all(b"content").await.unwrap();
            file.close().await.unwrap();
        }
    });
}
