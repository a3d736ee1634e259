//! Rule 2: append mode.

use std::fs;
use std::io::{SeekFrom, Write as _};

use aiofiles::File;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{Seed, assert_same_bytes, every_runtime, iterations, numbered};

/// The largest write that is never split.
const WHOLE: usize = 64 * 1024;

/// Rule 2: `OpenOptions::append` starts at 0, as std does, and stands at the end after a write.
#[test]
fn append_starts_at_zero_and_stands_at_the_end_after_a_write() {
    every_runtime(|_| async {
        for unbuffered in [false, true] {
            let (_dir, path) = sample(numbered(100));
            let mut file = read_append()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 0);
            let mut buf = [0; 10];
            file.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(buf, numbered(10));
            file.write_all(b"end").await.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 103);
            assert_eq!(file.read(&mut buf).await.unwrap(), 0);
            // A seek counts for reads, and for no write.
            file.seek(SeekFrom::Start(1)).await.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 1);
            file.write_all(b"!").await.unwrap();
            assert_eq!(file.seek(SeekFrom::Current(-4)).await.unwrap(), 100);
            let mut rest = String::new();
            file.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "end!");
            file.close().await.unwrap();
        }
    });
}

/// Rule 2: only the kernel knows where an append ended, so it is asked, after everything is written.
#[test]
fn the_position_after_an_append_counts_what_others_appended() {
    every_runtime(|_| async {
        for unbuffered in [false, true] {
            let (_dir, path) = sample("");
            let mut file = read_append()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let mut other = fs::File::options().append(true).open(&path).unwrap();
            let mut end = 0;
            for round in 0..20 {
                other.write_all(&[b'o'; 7]).unwrap();
                file.write_all(&vec![b'w'; round * 5000]).await.unwrap();
                end += 7 + round as u64 * 5000;
                if round > 0 {
                    assert_eq!(file.stream_position().await.unwrap(), end);
                }
            }
        }
    });
}

/// Rule 2: a position that was asked for and not waited for is not the answer after another write.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_position_is_that_after_the_last_write_whatever_was_cancelled() {
    stepped(|stepper, _| {
        for jobs_before_the_write in [0, 1] {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_append().open(&path)).unwrap();
            drive(stepper, file.write_all(b"first")).unwrap();
            drive(stepper, file.flush()).unwrap();
            begin(std::pin::pin!(file.stream_position()));
            for _ in 0..jobs_before_the_write {
                stepper.run_one();
            }
            drive(stepper, file.write_all(b"second")).unwrap();
            stepper.run_all();
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 11);
            // The same between two clones.
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            drive(stepper, file.write_all(b"third")).unwrap();
            drive(stepper, file.flush()).unwrap();
            let mut asked = std::pin::pin!(file.stream_position());
            begin(asked.as_mut());
            drive(stepper, clone.write_all(b"fourth")).unwrap();
            let position = drive(stepper, asked).unwrap();
            assert!([16, 22].contains(&position), "{position}");
            drive(stepper, clone.flush()).unwrap();
            assert_eq!(drive(stepper, clone.stream_position()).unwrap(), 22);
        }
    });
}

/// Rule 2: reads settle the lane first, so they find what was appended.
#[test]
fn a_read_finds_what_was_appended_before_it() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = read_append().open(&path).await.unwrap();
        let mut expected = Vec::new();
        for round in 0..20usize {
            let piece = numbered(round * 3001);
            file.write_all(&piece).await.unwrap();
            expected.extend_from_slice(&piece);
            let from = expected.len().saturating_sub(2000);
            file.seek(SeekFrom::Start(from as u64)).await.unwrap();
            let mut found = Vec::new();
            file.read_to_end(&mut found).await.unwrap();
            assert_same_bytes(found, &expected[from..]);
        }
    });
}

/// Rule 2: lines of several open files, each written by a task of its own, do not mix.
#[test]
fn lines_of_several_writers_do_not_mix() {
    every_runtime(|rt| async move {
        let seed = Seed::new();
        let dir = crate::support::temp_dir();
        let path = dir.path().join("log");
        let mut tasks = Vec::new();
        for writer in 0..4u64 {
            let mut rng = fastrand::Rng::with_seed(seed.value() ^ writer);
            let path = path.clone();
            let rounds = iterations(60);
            tasks.push(rt.spawn(async move {
                let mut options = File::options();
                options.append(true).create(true);
                // Also with a buffer that is smaller than a line, and with none.
                match writer {
                    2 => drop(options.buffer_size(4096)),
                    3 => drop(options.unbuffered(true)),
                    _ => {}
                }
                let mut file = options.open(&path).await.unwrap();
                for n in 0..rounds {
                    let longest = [20, 100, 5000, WHOLE][rng.usize(..4)];
                    let line = line(writer, n, rng.usize(20..=longest));
                    assert_eq!(file.write(&line).await.unwrap(), line.len());
                    if rng.usize(..10) == 0 {
                        file.flush().await.unwrap();
                    }
                }
                file.close().await.unwrap();
            }));
        }
        for task in tasks {
            task.await;
        }
        let mut next = [0; 4];
        for found in String::from_utf8(on_disk(&path)).unwrap().lines() {
            let mut words = found.split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (writer, n, len) = (number(), number(), number());
            assert_eq!(next[writer], n, "lines of writer {writer} in order");
            next[writer] += 1;
            let expected = line(writer as u64, n, len);
            assert_eq!(
                found.as_bytes(),
                &expected[..len - 1],
                "line {n} of writer {writer}"
            );
        }
        assert_eq!(next, [iterations(60); 4]);
    });
}

/// A line of this length that tells what it is.
fn line(writer: u64, n: usize, len: usize) -> Vec<u8> {
    let mut line = format!("{writer} {n} {len} ").into_bytes();
    line.resize(len - 1, b'a' + writer as u8);
    line.push(b'\n');
    line
}

/// Rule 2: a write of up to 64 KiB goes out in one write(2), also with a small buffer, also from several slices, also
/// when the budget for buffers is spent.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_append_of_64_kib_is_one_write() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        for (name, buffer_size, unbuffered) in [
            ("default", None, false),
            ("small", Some(4096), false),
            ("unbuffered", None, true),
        ] {
            let path = dir.path().join(name);
            let mut options = read_append();
            options.unbuffered(unbuffered);
            if let Some(size) = buffer_size {
                options.buffer_size(size);
            }
            let mut file = drive(stepper, options.open(&path)).unwrap();
            faults.clear();
            count(faults, Call::Write);
            let bytes = numbered(WHOLE);
            let mut writes = 0;
            for len in [1, 4095, 4096, 4097, 16_384, 16_385, WHOLE - 1, WHOLE] {
                let before = faults.struck();
                assert_eq!(drive(stepper, file.write(&bytes[..len])).unwrap(), len);
                drive(stepper, file.flush()).unwrap();
                assert_eq!(faults.struck() - before, 1, "{name}: {len} bytes");
                writes += len;
            }
            let before = faults.struck();
            let slices: Vec<_> = bytes.chunks(10_000).map(io::IoSlice::new).collect();
            let n = drive(stepper, file.write_vectored(&slices)).unwrap();
            assert_eq!(n, WHOLE, "{name}: slices");
            drive(stepper, file.flush()).unwrap();
            assert_eq!(faults.struck() - before, 1, "{name}: slices");
            assert_eq!(on_disk(&path).len(), writes + WHOLE);
        }
    });
}

/// Rule 2: what gathers while a write runs goes out with whole neighbours: wherever a write(2) ends, a record ends.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn gathered_records_are_never_cut() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let seed = Seed::new();
        let mut rng = seed.rng();
        for round in 0..iterations(100) {
            let (_dir, path) = sample("");
            let mut options = read_append();
            if rng.bool() {
                options.buffer_size(rng.usize(1..200_000));
            }
            let mut file = drive(stepper, options.open(&path)).unwrap();
            faults.clear();
            // Some calls go through, and then none does.
            let passed = rng.usize(..6);
            faults.fail(Call::Write, passed, EVER, code::ENOSPC);
            let mut ends = vec![0];
            for _ in 0..rng.usize(1..40) {
                let len = [10, 1000, 30_000, WHOLE][rng.usize(..4)];
                let len = rng.usize(1..=len);
                match drive(stepper, file.write(&numbered(len))) {
                    Ok(n) => {
                        assert_eq!(n, len);
                        ends.push(ends[ends.len() - 1] + len);
                    }
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                        break;
                    }
                }
                if rng.usize(..4) == 0 {
                    stepper.run_one();
                }
            }
            stepper.run_all();
            let len = on_disk(&path).len();
            assert!(
                ends.contains(&len),
                "round {round}: cut at {len}, records end at {ends:?}"
            );
            drive(stepper, file.discard_unwritten());
        }
    });
}

/// Rule 2: pieces of a longer write follow one another, none is lost, and none comes twice.
#[test]
fn longer_appends_are_complete() {
    every_runtime(|_| async {
        let (_dir, path) = sample("begin");
        let mut file = read_append().open(&path).await.unwrap();
        let bytes = numbered(1_500_000);
        file.write_all(&bytes).await.unwrap();
        file.flush().await.unwrap();
        assert_same_bytes(on_disk(&path), [b"begin", &bytes[..]].concat());
        assert_eq!(file.stream_position().await.unwrap(), 1_500_005);
    });
}

/// Rule 2: a foreign file in append mode is one too.
#[test]
fn a_foreign_file_in_append_mode_appends() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123");
        let std = fs::File::options()
            .read(true)
            .append(true)
            .open(&path)
            .unwrap();
        let mut file = File::from(std);
        assert_eq!(file.stream_position().await.unwrap(), 0);
        file.seek(SeekFrom::Start(2)).await.unwrap();
        file.write_all(b"end").await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 7);
        file.close().await.unwrap();
        assert_eq!(on_disk(&path), b"0123end");
    });
}
