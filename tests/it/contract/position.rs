//! Rule 1: the position.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};

use aiofiles::File;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::*;
use crate::support::{alone, assert_same_bytes, every_runtime, numbered, poll_once};

/// Rule 1. The position is that of the logical file, whatever was read ahead of it.
#[test]
fn the_position_counts_what_was_read_and_written_and_nothing_else() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(100_000));
        let mut file = read_write().open(&path).await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 0);
        file.read_exact(&mut [0; 10]).await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 10);
        file.write_all(&[b'w'; 5]).await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 15);
        let lent = filled(&mut file).await.unwrap().len();
        assert!(lent > 3);
        assert_eq!(file.stream_position().await.unwrap(), 15);
        file.consume(3);
        assert_eq!(file.stream_position().await.unwrap(), 18);
        assert_eq!(file.seek(SeekFrom::Current(-8)).await.unwrap(), 10);
        assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 99_999);
        assert_eq!(file.seek(SeekFrom::Start(200_000)).await.unwrap(), 200_000);
        assert_eq!(file.read(&mut [0; 10]).await.unwrap(), 0);
        assert_eq!(file.stream_position().await.unwrap(), 200_000);

        let mut expected = numbered(100_000);
        expected[10..15].fill(b'w');
        file.flush().await.unwrap();
        assert_same_bytes(on_disk(&path), expected);
    });
}

/// Rule 1: regular files are read and written at explicit offsets, so the kernel's position stays where it was.
#[test]
fn the_kernel_position_of_a_regular_file_is_left_alone() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(50_000));
        let mut std = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std.seek(SeekFrom::Start(7)).unwrap();
        let mut file = File::from(std.try_clone().unwrap());
        file.read_exact(&mut [0; 1000]).await.unwrap();
        file.write_all(b"written").await.unwrap();
        file.seek(SeekFrom::Start(3)).await.unwrap();
        file.read_exact(&mut [0; 10]).await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(std.stream_position().unwrap(), 7);
        // And nobody who moves it disturbs us.
        std.seek(SeekFrom::Start(40_000)).unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 13);
        let mut buf = [0; 8];
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(buf, numbered(50_000)[13..21]);
    });
}

/// Rule 1: `From` makes no system call.
#[test]
fn taking_over_a_file_of_std_submits_nothing() {
    alone(|| {
        let (_dir, path) = sample("content");
        let before = aiofiles::backend().operations();
        let file = File::from(fs::File::open(&path).unwrap());
        assert_eq!(aiofiles::backend().operations(), before);
        assert_eq!(file.path(), None);
        drop(file);
    });
}

/// Rule 1: `From<OwnedFd>` makes no system call, and starts where the descriptor stands.
#[cfg(unix)]
#[test]
fn an_owned_descriptor_goes_on_where_it_stands() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let mut std = fs::File::open(&path).unwrap();
        std.seek(SeekFrom::Start(4)).unwrap();
        let mut file = File::from(std::os::fd::OwnedFd::from(std));
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "456789");
    });
}

/// Rule 1: the kernel's position is read in the job of the first operation, so not before it.
#[test]
fn the_position_of_a_foreign_file_is_read_by_the_first_operation() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let mut std = fs::File::open(&path).unwrap();
        let mut file = File::from(std.try_clone().unwrap());
        std.seek(SeekFrom::Start(5)).unwrap();
        let mut buf = [0; 2];
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"56");
    });
}

/// Rule 1, and the fault of a peer: From, read, flush, read must not skip what was read ahead.
#[test]
fn every_operation_on_a_foreign_file_at_an_offset_finds_the_offset() {
    every_runtime(|_| async {
        let bytes = numbered(1 << 20);
        let (_dir, path) = sample(&bytes);
        let open = || {
            let mut std = fs::File::options()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            std.seek(SeekFrom::Start(100)).unwrap();
            File::from(std)
        };
        assert_eq!(open().stream_position().await.unwrap(), 100);
        assert_eq!(open().seek(SeekFrom::Current(1)).await.unwrap(), 101);
        assert_eq!(
            open().into_std().await.unwrap().stream_position().unwrap(),
            100
        );
        assert_eq!(filled(&mut open()).await.unwrap()[..8], bytes[100..108]);

        let mut file = open();
        let mut buf = [0; 10];
        for round in 0..4 {
            file.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(buf, &bytes[100 + round * 10..][..10]);
            file.flush().await.unwrap();
        }

        let mut file = open();
        file.write_all(b"here").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(
            on_disk(&path)[98..106],
            [&bytes[98..100], b"here", &bytes[104..106]].concat()
        );
    });
}

/// Rule 1, and the fault of a peer: nothing that waits for the device may move the reader.
#[test]
fn reading_goes_on_after_syncs_flushes_and_changes_of_the_length() {
    every_runtime(|_| async {
        let bytes = numbered(1 << 20);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write().open(&path).await.unwrap();
        let mut buf = [0; 10];
        let mut at = 0;
        for step in 0..8 {
            file.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(buf, &bytes[at..at + 10]);
            at += 10;
            match step {
                0 => file.sync_all().await.unwrap(),
                1 => file.sync_data().await.unwrap(),
                2 => file.flush().await.unwrap(),
                3 => file.set_len(900_000).await.unwrap(),
                4 => drop(file.metadata().await.unwrap()),
                5 => drop(file.try_clone().await.unwrap()),
                6 => file.lock().await.unwrap(),
                _ => file.unlock().await.unwrap(),
            }
            assert_eq!(file.stream_position().await.unwrap(), at as u64);
        }
    });
}

/// Rule 1: `set_len` does not move the position, even from beyond the new end.
#[test]
fn the_position_stays_where_a_shorter_file_has_no_byte() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(100));
        let mut file = read_write().open(&path).await.unwrap();
        file.seek(SeekFrom::Start(80)).await.unwrap();
        file.set_len(10).await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 80);
        assert_eq!(file.read(&mut [0; 4]).await.unwrap(), 0);
        file.write_all(b"end").await.unwrap();
        file.flush().await.unwrap();
        assert_same_bytes(
            on_disk(&path),
            [&numbered(100)[..10], &[0; 70], b"end"].concat(),
        );
    });
}

/// Rule 1: `into_std` writes everything, and puts the kernel's position where ours is.
#[test]
fn into_std_gives_back_a_file_that_stands_at_our_position() {
    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path) = sample(&bytes);

        // After a read with much ahead of it.
        let mut file = read_write().open(&path).await.unwrap();
        file.read_exact(&mut [0; 1000]).await.unwrap();
        let mut std = file.into_std().await.unwrap();
        let mut buf = [0; 16];
        std.read_exact(&mut buf).unwrap();
        assert_same_bytes(buf, &bytes[1000..1016]);

        // After `fill_buf`, of which a part was consumed.
        let mut file = File::from(std);
        filled(&mut file).await.unwrap();
        file.consume(5);
        let mut std = file.into_std().await.unwrap();
        assert_eq!(std.stream_position().unwrap(), 1021);

        // After writes that are on their way.
        std.seek(SeekFrom::Start(0)).unwrap();
        let mut file = File::from(std);
        file.write_all(&[b'x'; 70_000]).await.unwrap();
        let mut std = file.into_std().await.unwrap();
        assert_eq!(std.stream_position().unwrap(), 70_000);
        std.write_all(b"y").unwrap();

        // After a seek beyond the end.
        let mut file = File::from(std);
        file.seek(SeekFrom::End(10)).await.unwrap();
        let mut std = file.into_std().await.unwrap();
        assert_eq!(std.stream_position().unwrap(), 300_010);

        let mut expected = bytes;
        expected[..70_000].fill(b'x');
        expected[70_000] = b'y';
        assert_same_bytes(on_disk(&path), expected);
    });
}

/// Rule 1: the file that `into_std` gives back behaves as std's own: reading it blocks, and it is the same open file.
#[cfg(unix)]
#[test]
fn into_std_gives_back_the_very_descriptor_without_flags_of_ours() {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{OFlags, fcntl_getfl};

    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let mut file = read_write().open(&path).await.unwrap();
        file.read_exact(&mut [0; 2]).await.unwrap();
        let fd = file.as_raw_fd();
        let std = file.into_std().await.unwrap();
        assert_eq!(std.as_raw_fd(), fd);
        assert!(!fcntl_getfl(&std).unwrap().contains(OFlags::NONBLOCK));
    });
}

/// Rule 1: on an error `into_std` gives the file back, with everything it had accepted.
#[test]
fn into_std_of_a_closed_file_gives_the_closed_file_back() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let mut file = File::open(&path).await.unwrap();
        file.close().await.unwrap();
        let error = file.into_std().await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "file is closed");
        let mut file = error.into_file();
        file.close().await.unwrap();
        assert_eq!(
            std::io::Error::from(file.into_std().await.unwrap_err()).kind(),
            ErrorKind::InvalidInput
        );
    });
}

/// Rule 1: a seek takes effect in the poll that is ready; one that is dropped before leaves the old position.
#[test]
fn a_cancelled_seek_leaves_the_old_position() {
    every_runtime(|_| async {
        let bytes = numbered(200_000);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write().open(&path).await.unwrap();
        file.read_exact(&mut [0; 100]).await.unwrap();

        // Where the end is must be asked, so the first poll is pending.
        assert_eq!(poll_once(file.seek(SeekFrom::End(0))).await.map(drop), None);
        assert_eq!(file.stream_position().await.unwrap(), 100);
        let mut buf = [0; 50];
        file.read_exact(&mut buf).await.unwrap();
        assert_same_bytes(buf, &bytes[100..150]);

        // A seek after writes waits for them. Whether that takes one poll is left to chance, and told by its output.
        let mut at = 150;
        for round in 0..50 {
            file.write_all(&[b'w'; 1000]).await.unwrap();
            at += 1000;
            if let Some(sought) = poll_once(file.seek(SeekFrom::Start(round))).await {
                at = sought.unwrap();
                assert_eq!(at, round);
            }
            assert_eq!(file.stream_position().await.unwrap(), at);
        }
    });
}

/// Rule 1: the end that a cancelled seek asked for is not the end that a later one finds.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_seek_from_the_end_finds_the_end_of_now_after_a_cancelled_one() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(100));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        begin(std::pin::pin!(file.seek(SeekFrom::End(0))));
        stepper.run_all();
        // A poll that seeks could not be told from the next one of the cancelled seek; this shows that it was given up.
        drive(stepper, file.read_exact(&mut [0; 10])).unwrap();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&[1; 50])
            .unwrap();
        let end = drive(stepper, file.seek(SeekFrom::End(0))).unwrap();
        assert_eq!(end, 150);

        // So does some time.
        begin(std::pin::pin!(file.seek(SeekFrom::End(0))));
        stepper.run_all();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&[1; 50])
            .unwrap();
        let end = drive(stepper, file.seek(SeekFrom::End(0))).unwrap();
        assert_eq!(end, 200);
    });
}

/// Rule 1: a seek is cut before its job, and after it; both leave the old position.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_seek_cut_before_or_after_its_job_moves_nothing() {
    stepped(|stepper, _| {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut buf = [0; 10];
        for run_the_job in [false, true] {
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            drive(stepper, file.read_exact(&mut buf)).unwrap();
            begin(std::pin::pin!(file.seek(SeekFrom::End(-5))));
            if run_the_job {
                stepper.run_all();
            }
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 10);
            drive(stepper, file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(buf, &bytes[10..20]);

            // One that waits for a write is cut too.
            drive(stepper, file.write_all(&bytes[20..23])).unwrap();
            begin(std::pin::pin!(file.seek(SeekFrom::Start(0))));
            if run_the_job {
                stepper.run_all();
            }
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 23);
            drive(stepper, file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(buf, &bytes[23..33]);
        }
    });
}

/// Rule 1 and 16: a seek before the beginning, or beyond what an offset can say, is refused and moves nothing.
#[test]
fn a_seek_to_no_position_is_refused_and_moves_nothing() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(100));
        let mut file = read_write().open(&path).await.unwrap();
        file.seek(SeekFrom::Start(40)).await.unwrap();
        for to in [
            SeekFrom::Current(-41),
            SeekFrom::Current(i64::MIN),
            SeekFrom::Current(i64::MAX),
            SeekFrom::End(-101),
            SeekFrom::End(i64::MAX),
            SeekFrom::Start(1 << 63),
            SeekFrom::Start(u64::MAX),
        ] {
            let error = file.seek(to).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{to:?}");
            assert_eq!(file.stream_position().await.unwrap(), 40, "{to:?}");
        }
        let largest = i64::MAX as u64;
        assert_eq!(file.seek(SeekFrom::Start(largest)).await.unwrap(), largest);
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), largest);
        assert_eq!(
            file.seek(SeekFrom::Current(1)).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            file.seek(SeekFrom::Current(-largest.cast_signed()))
                .await
                .unwrap(),
            0
        );
    });
}

/// Rule 1: offsets around 2^31 and 2^32 are offsets like others.
#[test]
fn offsets_beyond_31_and_32_bits_are_read_and_written() {
    every_runtime(|_| async {
        let dir = temp_dir();
        for unbuffered in [false, true] {
            let path = dir.path().join(unbuffered.to_string());
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            for power in [31, 32] {
                let at = (1u64 << power) - 3;
                file.seek(SeekFrom::Start(at)).await.unwrap();
                file.write_all(b"across").await.unwrap();
                assert_eq!(file.stream_position().await.unwrap(), at + 6);
                file.seek(SeekFrom::Start(at - 1)).await.unwrap();
                let mut buf = [1; 7];
                file.read_exact(&mut buf).await.unwrap();
                assert_eq!(&buf, b"\0across");
                let mut rest = Vec::new();
                assert_eq!(file.read_to_end(&mut rest).await.unwrap(), 0);
                assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), at + 6);
            }
            assert_eq!(file.metadata().await.unwrap().len(), (1 << 32) + 3);
        }
    });
}

/// Rule 1 and 16: near the largest offset a read finds what std finds there, and a write fails and is not lost in silence.
#[cfg(unix)]
#[test]
fn the_largest_offsets_read_and_write_as_in_std() {
    use std::os::unix::fs::FileExt as _;

    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        // A file of its own, because some file systems write there.
        let (_stds_dir, stds_path) = sample("content");
        let stds = fs::File::options()
            .read(true)
            .write(true)
            .open(&stds_path)
            .unwrap();
        for unbuffered in [false, true] {
            for below in [100_000, 4096, 100, 10] {
                let at = i64::MAX as u64 - below;
                let mut file = read_write()
                    .unbuffered(unbuffered)
                    .open(&path)
                    .await
                    .unwrap();
                file.seek(SeekFrom::Start(at)).await.unwrap();
                let expected = stds.read_at(&mut [0; 10], at);
                let found = file.read(&mut [0; 10]).await;
                assert_eq!(
                    found.as_ref().ok(),
                    expected.as_ref().ok(),
                    "read {below} below the limit: {found:?}, in std {expected:?}"
                );
                assert_eq!(file.stream_position().await.unwrap(), at);

                let expected = stds.write_all_at(b"0123456789", at);
                let written = async {
                    file.write_all(b"0123456789").await?;
                    file.flush().await
                };
                let written = written.await;
                assert_eq!(
                    written.as_ref().map_err(std::io::Error::raw_os_error),
                    expected.as_ref().map_err(std::io::Error::raw_os_error),
                    "write {below} below the limit"
                );
                let mut after = at;
                if written.is_ok() {
                    after += 10;
                    let mut found = [0; 10];
                    let reader = fs::File::open(&path).unwrap();
                    reader.read_exact_at(&mut found, at).unwrap();
                    assert_eq!(&found, b"0123456789");
                    file.set_len(7).await.unwrap();
                    stds.set_len(7).unwrap();
                }
                file.discard_unwritten().await;
                assert_eq!(file.stream_position().await.unwrap(), after);
                file.close().await.unwrap();
            }
        }
        assert_eq!(on_disk(&path), b"content");
    });
}

/// Rule 1: bytes go to where the position says, also if a part of what `fill_buf` lent is consumed after the write.
#[test]
fn a_write_between_fill_buf_and_consume_lands_at_the_position() {
    every_runtime(|_| async {
        let (_dir, path) = sample([b'.'; 100]);
        let mut file = read_write().open(&path).await.unwrap();
        filled(&mut file).await.unwrap();
        file.write_all(b"12345").await.unwrap();
        file.consume(3);
        let at = file.stream_position().await.unwrap() as usize;
        file.write_all(b"x").await.unwrap();
        file.flush().await.unwrap();
        let found = on_disk(&path);
        assert_eq!(found.iter().position(|b| *b == b'x'), Some(at));
        assert_eq!(file.stream_position().await.unwrap() as usize, at + 1);
    });
}

/// Rule 1: lines read one after another, with seeks between them, are those at the position.
#[test]
fn lines_follow_the_position() {
    every_runtime(|_| async {
        let text: String = (0..2000).map(|n| format!("line {n:04}\n")).collect();
        let (_dir, path) = sample(&text);
        let mut file = File::open(&path).await.unwrap();
        let mut line = String::new();
        for n in [0usize, 1, 1999, 7, 8, 1000] {
            file.seek(SeekFrom::Start(n as u64 * 10)).await.unwrap();
            line.clear();
            file.read_line(&mut line).await.unwrap();
            assert_eq!(line, format!("line {n:04}\n"));
            assert_eq!(file.stream_position().await.unwrap(), n as u64 * 10 + 10);
        }
    });
}

/// Rule 1: an error of a read leaves the position, and is told once.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_failed_read_moves_nothing_and_the_next_one_reads() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        futures_lite::future::block_on(async {
            let mut file = File::open(&path).await.unwrap();
            let mut buf = [0; 100];
            file.read_exact(&mut buf).await.unwrap();
            file.seek(SeekFrom::Start(50_000)).await.unwrap();
            faults.fail(Call::Read, 0, 1, code::EIO);
            let error = file.read(&mut buf).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EIO));
            assert_eq!(file.stream_position().await.unwrap(), 50_000);
            file.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(buf, &bytes[50_000..50_100]);
        });
    });
}

/// Rule 1: whatever could not be found out about a foreign file is told, and asked again by the next operation.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_failed_first_look_at_a_foreign_file_is_told_and_repeated() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        let (_dir, path) = sample("content");
        faults.fail(Call::Metadata, 0, 1, code::EIO);
        let mut file = File::from(fs::File::open(&path).unwrap());
        assert_eq!(faults.struck(), 0);
        futures_lite::future::block_on(async {
            let mut text = String::new();
            let error = file.read_to_string(&mut text).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EIO));
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "content");
        });
    });
}
