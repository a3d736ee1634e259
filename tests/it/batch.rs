//! Many reads with one dispatch: ranges of an open file, and whole files. Each has the result that std gives.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use aiofiles::{File, OpenOptions, PathError, read_many};
use fastrand::Rng;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{AsyncWriteExt as _, StreamExt as _};

use crate::files::*;
use crate::support::*;

const BEYOND: u64 = i64::MAX as u64 + 1;

/// What std reads in a range: less where the file ends.
#[cfg(unix)]
fn std_range(file: &fs::File, range: &Range<u64>) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;

    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) => panic!("{error}"),
        }
    }
    bytes.truncate(filled);
    bytes
}

/// The kinds of errors, or the content.
fn kinds(results: Vec<io::Result<Vec<u8>>>) -> Vec<Result<Vec<u8>, ErrorKind>> {
    let kind = |result: io::Result<Vec<u8>>| result.map_err(|error| error.kind());
    results.into_iter().map(kind).collect()
}

/// Small files of random sizes, and what is in them.
fn many_files(dir: &Path, count: usize, rng: &mut Rng) -> BTreeMap<PathBuf, Vec<u8>> {
    let file = |number: usize| {
        let path = dir.join(format!("{number}.txt"));
        let len = match rng.u8(..10) {
            0 => 0,
            1 => rng.usize(..100_000),
            _ => rng.usize(..2000),
        };
        let bytes = random_bytes(rng, len);
        fs::write(&path, &bytes).unwrap();
        (path, bytes)
    };
    (0..count).map(file).collect()
}

/// Takes what the stream gives, and checks that each path comes exactly once, with its content.
async fn assert_gives(
    files: impl futures_lite::Stream<Item = (PathBuf, io::Result<Vec<u8>>)>,
    mut expected: BTreeMap<PathBuf, Vec<u8>>,
) {
    let mut files = std::pin::pin!(files);
    while let Some((path, found)) = files.next().await {
        let expected = expected.remove(&path);
        let expected = expected.unwrap_or_else(|| panic!("{} came twice", path.display()));
        assert_same_bytes(found.unwrap(), expected);
    }
    assert!(expected.is_empty(), "{} never came", expected.len());
    assert!(files.next().await.is_none(), "there is more after the end");
}

/// Overlapping, empty, backwards in the file, beyond its end, in holes beyond 31 and 32 bits; with and without reading
/// them together.
#[cfg(unix)]
#[test]
fn random_ranges_hold_what_std_reads_there() {
    use std::os::unix::fs::FileExt as _;

    const DATA: u64 = 200_000;
    const PLACES: [u64; 3] = [0, (1 << 31) - DATA / 2, (1 << 32) - DATA / 2];
    every_runtime(|_| async {
        for dir in directories() {
            let seed = Seed::new();
            let mut rng = seed.rng();
            let path = dir.path().join("file");
            let twin = fs::File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .unwrap();
            for place in PLACES {
                let bytes = random_bytes(&mut rng, DATA as usize);
                twin.write_all_at(&bytes, place).unwrap();
            }
            let file = File::open(&path).await.unwrap();
            for _ in 0..iterations(12) {
                let range = |rng: &mut Rng| {
                    let start = PLACES[rng.usize(..3)] + rng.u64(..DATA + 50_000);
                    let len = match rng.u16(..200) {
                        0..40 => 0,
                        // More than is read together, and more than one step of a long range.
                        40 => rng.u64(..6 << 20),
                        _ => rng.u64(..2000),
                    };
                    start..start + len
                };
                let mut ranges = (0..rng.usize(..300))
                    .map(|_| range(&mut rng))
                    .collect::<Vec<_>>();
                // The last place where a range can be.
                ranges.push(BEYOND - 11..BEYOND - 1);
                let gap = [0, 1, 100, 4096, 1 << 20, u64::MAX][rng.usize(..6)];
                let separate = file.read_many_at(ranges.clone()).await;
                let together = file.read_many_at_together(ranges.clone(), gap).await;
                assert_eq!(
                    (separate.len(), together.len()),
                    (ranges.len(), ranges.len())
                );
                let results = separate.into_iter().zip(together);
                for (range, (separate, together)) in ranges.iter().zip(results) {
                    let expected = std_range(&twin, range);
                    assert_same_bytes(separate.unwrap(), &expected);
                    assert_same_bytes(together.unwrap(), &expected);
                }
            }
        }
    });
}

#[test]
fn a_batch_of_nothing_is_nothing() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = File::open(&path).await.unwrap();
        assert!(file.read_many_at([]).await.is_empty());
        assert!(file.read_many_at_together([], 100).await.is_empty());
        let empty = vec![0..0, 5..5, 100..100];
        let expected = vec![Ok(Vec::new()); 3];
        assert_eq!(kinds(file.read_many_at(empty.clone()).await), expected);
        assert_eq!(kinds(file.read_many_at_together(empty, 0).await), expected);
    });
}

/// A range that makes no sense is refused, and those around it are read.
#[test]
fn a_senseless_range_costs_only_itself() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = File::open(&path).await.unwrap();
        let ranges = [
            0..3,
            Range { start: 6, end: 4 },
            7..9,
            2..BEYOND,
            BEYOND..BEYOND + 5,
            u64::MAX..u64::MAX,
            5..100,
        ];
        let refused = Err(ErrorKind::InvalidInput);
        let expected = [
            Ok(b"012".to_vec()),
            refused.clone(),
            Ok(b"78".to_vec()),
            refused.clone(),
            refused.clone(),
            refused,
            Ok(b"56789".to_vec()),
        ];
        assert_eq!(kinds(file.read_many_at(ranges).await), expected);
    });
}

/// The same for ranges that are read together: one that makes no sense is nobody's neighbour.
#[test]
fn a_backwards_range_among_neighbours_costs_only_itself() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = File::open(&path).await.unwrap();
        for gap in [0, 3, 4096, u64::MAX] {
            let ranges = [0..3, Range { start: 6, end: 4 }, 7..9, 5..100];
            let expected = [
                Ok(b"012".to_vec()),
                Err(ErrorKind::InvalidInput),
                Ok(b"78".to_vec()),
                Ok(b"56789".to_vec()),
            ];
            let found = kinds(file.read_many_at_together(ranges, gap).await);
            assert_eq!(found, expected, "with a gap of {gap}");
        }
    });
}

/// One that reaches where no file can is refused, and not those that it overlaps.
#[test]
fn a_range_that_reaches_too_far_costs_its_neighbours_nothing() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = File::open(&path).await.unwrap();
        for gap in [0, 3, 4096, u64::MAX] {
            let ranges = [BEYOND - 20..BEYOND - 10, BEYOND - 15..BEYOND + 1];
            let found = kinds(file.read_many_at_together(ranges, gap).await);
            let expected = [Ok(Vec::new()), Err(ErrorKind::InvalidInput)];
            assert_eq!(found, expected, "with a gap of {gap}");
        }
    });
}

/// What has no such reads says so for every range.
#[test]
fn every_range_of_a_file_that_cannot_be_read_has_an_error() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let ranges = [0..3, 4..4, 5..8];
        let mut closed = File::open(&path).await.unwrap();
        closed.close().await.unwrap();
        let expected = vec![Err(ErrorKind::InvalidInput); 3];
        assert_eq!(kinds(closed.read_many_at(ranges.clone()).await), expected);
        let found = kinds(closed.read_many_at_together(ranges.clone(), 10).await);
        assert_eq!(found, expected);

        let write_only = File::create(dir.path().join("other")).await.unwrap();
        write_only.write_all_at("0123456789", 0).await.0.unwrap();
        let found = write_only.read_many_at([0..3, 5..8]).await;
        assert!(found.len() == 2 && found.iter().all(Result::is_err));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn ranges_of_a_pipe_or_a_directory_have_the_system_s_error() {
    use aiofiles::raw_os_error;
    use rustix::io::Errno;

    every_runtime(|_| async {
        let (dir, _) = sample("");
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let pipe = File::from(fs::File::from(read));
        let directory = File::open(dir.path()).await.unwrap();
        for (file, code) in [(pipe, Errno::SPIPE), (directory, Errno::ISDIR)] {
            for together in [false, true] {
                let ranges = [0..3, 100..200];
                let found = if together {
                    file.read_many_at_together(ranges, 1000).await
                } else {
                    file.read_many_at(ranges).await
                };
                assert_eq!(found.len(), 2);
                for result in found {
                    let error = result.unwrap_err();
                    assert_eq!(raw_os_error(&error), Some(code.raw_os_error()));
                }
            }
        }
    });
}

/// A range may be far longer than the file: memory is taken for what is there, or some steps more.
#[cfg(target_os = "linux")]
#[test]
fn a_range_of_a_tebibyte_on_a_short_file_takes_little_memory() {
    alone(|| {
        let (_dir, path) = sample("0123456789");
        block_on(async {
            let file = File::open(&path).await.unwrap();
            let _ = file.read_many_at(Some(0..5)).await;
            let before = peak();
            for long in [3..3 + (1 << 40), 3..BEYOND - 1] {
                let expected = [Ok(b"3456789".to_vec())];
                let found = file.read_many_at([long.clone()]).await;
                assert_eq!(kinds(found), expected);
                let found = file.read_many_at_together([long], u64::MAX).await;
                assert_eq!(kinds(found), expected);
            }
            let took = peak() - before;
            assert!(took < 32 * 1024, "{took} KiB");
        });
    });
}

/// Those who do not know the length ask for more than there is: what is kept of each is what was found.
#[cfg(target_os = "linux")]
#[test]
fn many_ranges_beyond_the_end_keep_little_memory() {
    alone(|| {
        let (_dir, path) = sample("0123456789");
        block_on(async {
            let file = File::open(&path).await.unwrap();
            let _ = file.read_many_at(Some(0..5)).await;
            let before = peak();
            let found = file.read_many_at(vec![3..3 + (1 << 40); 100]).await;
            let kept = found
                .iter()
                .map(|found| found.as_ref().unwrap().capacity())
                .sum::<usize>();
            let took = peak() - before;
            assert!(took < 32 * 1024, "{took} KiB");
            assert!(kept < 32 << 20, "{kept} bytes of capacity");
        });
    });
}

/// Hundreds of ranges are one dispatch.
#[cfg(target_os = "linux")]
#[test]
fn a_batch_is_few_dispatches() {
    alone(|| {
        let (_dir, path) = sample(numbered(100_000));
        block_on(async {
            let file = File::open(&path).await.unwrap();
            let dispatches = |before: u64| aiofiles::backend().operations() - before;
            let ranges = |count: u64| (0..count).map(|n| n * 97..n * 97 + 50);
            for (count, most) in [(0, 0), (1, 1), (256, 1), (1000, 5)] {
                let before = aiofiles::backend().operations();
                for result in file.read_many_at(ranges(count)).await {
                    assert_eq!(result.unwrap().len(), 50);
                }
                let dispatched = dispatches(before);
                assert!(dispatched <= most, "{dispatched} for {count} ranges");
            }
            // Together they are one read, so one dispatch has room for more of them.
            let before = aiofiles::backend().operations();
            for result in file.read_many_at_together(ranges(1000), 47).await {
                assert_eq!(result.unwrap().len(), 50);
            }
            assert!(dispatches(before) <= 1);
        });
    });
}

/// Batches that are given up at any moment leave nothing behind, and hold nobody up.
#[cfg(target_os = "linux")]
#[test]
fn cancelled_batches_leave_nothing_behind() {
    alone(|| {
        let bytes = numbered(1 << 20);
        let (_dir, path) = sample(&bytes);
        let seed = Seed::new();
        let mut rng = seed.rng();
        block_on(async {
            let mut file = File::open(&path).await.unwrap();
            // The reactor has descriptors of its own, once there is one.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            let descriptors = fd_count();
            for _ in 0..iterations(500) {
                let ranges = (0..rng.u64(..1000)).map(|n| n * 1000..n * 1000 + 900);
                let ranges = ranges.collect::<Vec<_>>();
                let gap = rng.u64(..200);
                let polls = rng.usize(..4);
                let found = if rng.bool() {
                    poll_n(file.read_many_at(ranges.clone()), polls).await
                } else {
                    poll_n(file.read_many_at_together(ranges.clone(), gap), polls).await
                };
                for (range, found) in ranges.iter().zip(found.into_iter().flatten()) {
                    let expected = &bytes[range.start as usize..range.end as usize];
                    assert_same_bytes(found.unwrap(), expected);
                }
            }
            file.close().await.unwrap();
            while aiofiles::backend().queued() + aiofiles::backend().running() > 0 {
                yield_now().await;
            }
            assert_eq!(fd_count(), descriptors - 1);
        });
    });
}

#[test]
fn many_files_are_read_once_each_and_whole() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let files = many_files(dir.path(), 500, &mut rng);
        let mut paths = files.keys().cloned().collect::<Vec<_>>();
        rng.shuffle(&mut paths);
        assert_gives(read_many(&paths), files).await;
    });
}

#[test]
fn no_file_at_all_is_the_end_at_once() {
    every_runtime(|_| async {
        let mut files = read_many([""; 0]);
        assert!(files.next().await.is_none());
        assert!(files.next().await.is_none());
    });
}

/// A path that is named twice is read twice.
#[test]
fn a_path_comes_as_often_as_it_was_named() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let found = read_many(vec![&path; 40]).collect::<Vec<_>>().await;
        assert_eq!(found.len(), 40);
        for (found, content) in found {
            assert_eq!((&found, &*content.unwrap()), (&path, &b"content"[..]));
        }
    });
}

/// An error names the path, as that of `read` does, and costs the other files nothing.
#[test]
fn files_that_cannot_be_read_cost_the_others_nothing() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut files = many_files(dir.path(), 100, &mut rng);
        fs::create_dir(dir.path().join("directory")).unwrap();
        let missing = dir.path().join("missing");
        let below = dir.path().join("0.txt/below");
        let bad = [missing, below, dir.path().join("directory"), PathBuf::new()];
        let mut paths = files.keys().cloned().collect::<Vec<_>>();
        for _ in 0..5 {
            paths.extend(bad.clone());
        }
        rng.shuffle(&mut paths);
        let mut errors = 0;
        let mut found = read_many(&paths);
        while let Some((path, result)) = found.next().await {
            match result {
                Ok(found) => assert_same_bytes(found, files.remove(&path).expect("one of them")),
                Err(error) => {
                    errors += 1;
                    assert!(bad.contains(&path), "{error}");
                    let detail = PathError::of(&error).expect("a path in the error");
                    assert_eq!((detail.op(), detail.path()), ("read", &*path));
                    let expected = fs::read(&path).unwrap_err();
                    assert_eq!(error.kind(), expected.kind());
                    assert_eq!(detail.raw_os_error(), expected.raw_os_error());
                }
            }
        }
        assert_eq!((errors, files.len()), (5 * bad.len(), 0));
    });
}

/// Needs a user whom permissions mean something.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_be_read_costs_the_others_nothing() {
    use std::os::unix::fs::PermissionsExt as _;

    const NOBODY: [&str; 4] = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let command = if is_root() && !is_alone() {
        &NOBODY[..]
    } else {
        &[]
    };
    if !command.is_empty() {
        let binary = std::env::current_exe().unwrap();
        let list = [command, &[binary.to_str().unwrap(), "--list"]].concat();
        if !succeeds(&list) {
            return skip("setpriv, and a test binary that every user may run");
        }
    }
    alone_under(command, || {
        let dir = temp_dir();
        let mut rng = Rng::new();
        let mut files = many_files(dir.path(), 50, &mut rng);
        let closed = dir.path().join("7.txt");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
        files.remove(&closed);
        let paths = (0..50).map(|n| dir.path().join(format!("{n}.txt")));
        let mut refused = 0;
        block_on(async {
            let mut found = read_many(paths);
            while let Some((path, result)) = found.next().await {
                match result {
                    Ok(found) => assert_same_bytes(found, files.remove(&path).unwrap()),
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                        assert_eq!(PathError::of(&error).unwrap().path(), closed);
                        assert_eq!(path, closed);
                    }
                }
            }
        });
        assert_eq!((refused, files.len()), (1, 0));
    });
}

/// Large files, which fill a job alone, and files of procfs, which tell no length.
#[test]
fn large_files_and_files_without_a_length_are_read_among_small_ones() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut files = many_files(dir.path(), 100, &mut rng);
        for (number, len) in [
            (3, 5 << 20),
            (20, 3 << 20),
            (21, (2 << 20) + 1),
            (99, 1 << 20),
        ] {
            let path = dir.path().join(format!("{number}.txt"));
            let bytes = numbered(len);
            fs::write(&path, &bytes).unwrap();
            files.insert(path, bytes);
        }
        #[cfg(target_os = "linux")]
        for path in ["/proc/version", "/proc/self/cmdline", "/dev/null"] {
            files.insert(path.into(), fs::read(path).unwrap());
        }
        let mut paths = files.keys().cloned().collect::<Vec<_>>();
        rng.shuffle(&mut paths);
        assert_gives(read_many(paths), files).await;
        #[cfg(target_os = "linux")]
        {
            let (_, status) = read_many(["/proc/self/status"]).next().await.unwrap();
            assert!(status.unwrap().starts_with(b"Name:"));
        }
    });
}

/// A FIFO waits for its writer, and nobody else does.
#[cfg(target_os = "linux")]
#[test]
fn a_fifo_among_the_files_holds_none_of_them_up() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    every_runtime(|_| async {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let files = many_files(dir.path(), 200, &mut rng);
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut paths = files.keys().cloned().collect::<Vec<_>>();
        paths.insert(20, fifo.clone());
        let mut found = read_many(&paths);
        assert_gives((&mut found).take(200), files).await;

        let bytes = numbered(100_000);
        let (name, content) = (fifo.clone(), bytes.clone());
        let writer = std::thread::spawn(move || fs::write(name, content).unwrap());
        let (path, content) = found.next().await.unwrap();
        assert_eq!(path, fifo);
        assert_same_bytes(content.unwrap(), bytes);
        assert!(found.next().await.is_none());
        writer.join().unwrap();
    });
}

/// A file that was dropped with bytes on their way is whole, as for `read`.
#[test]
fn what_a_dropped_file_had_accepted_is_read() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut paths = Vec::new();
        let bytes = numbered(300_000);
        for number in 0..30 {
            let path = dir.path().join(number.to_string());
            let mut file = File::create(&path).await.unwrap();
            file.write_all(&bytes).await.unwrap();
            paths.push(path);
        }
        let files = paths.iter().map(|path| (path.clone(), bytes.clone()));
        assert_gives(read_many(&paths), files.collect()).await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn many_small_files_are_few_dispatches() {
    alone(|| {
        let dir = temp_dir();
        let bytes = numbered(500);
        let files = (0..500).map(|n| (dir.path().join(n.to_string()), bytes.clone()));
        let files = files.collect::<BTreeMap<_, _>>();
        for path in files.keys() {
            fs::write(path, &bytes).unwrap();
        }
        let before = aiofiles::backend().operations();
        let paths = files.keys().cloned().collect::<Vec<_>>();
        block_on(assert_gives(read_many(paths), files));
        let dispatched = aiofiles::backend().operations() - before;
        assert!(dispatched <= 500 / 10, "{dispatched} dispatches");
    });
}

/// Dropped at any moment, the stream leaves no descriptor open, also none of a FIFO.
#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_is_dropped_early_leaves_no_descriptor() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    alone(|| {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let files = many_files(dir.path(), 200, &mut rng);
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut paths = files.keys().cloned().collect::<Vec<_>>();
        block_on(async {
            // The reactor has descriptors of its own, once there is one.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            let descriptors = fd_count();
            for round in 0..iterations(200) {
                rng.shuffle(&mut paths);
                let mut named = paths.clone();
                if round % 2 == 0 {
                    named.insert(rng.usize(..20), fifo.clone());
                }
                let mut files = read_many(named);
                for _ in 0..rng.usize(..100) {
                    let polls = rng.usize(..3);
                    let _ = poll_n(files.next(), polls).await;
                }
            }
            let begin = std::time::Instant::now();
            while fd_count() != descriptors {
                assert!(begin.elapsed().as_secs() < 60, "{} are open", fd_count());
                yield_now().await;
            }
        });
    });
}

/// However slowly the content is taken, only so much of it is read ahead.
#[cfg(target_os = "linux")]
#[test]
fn what_is_read_ahead_of_a_slow_reader_is_bounded() {
    alone(|| {
        const FILES: usize = 200;
        let dir = temp_dir();
        // Holes take no disk, and memory like any other bytes.
        let paths = (0..FILES).map(|n| dir.path().join(n.to_string()));
        let paths = paths.collect::<Vec<_>>();
        for path in &paths {
            fs::File::create(path).unwrap().set_len(1 << 20).unwrap();
        }
        block_on(async {
            let before = peak();
            let mut files = read_many(&paths);
            for _ in 0..FILES {
                let (_, content) = files.next().await.unwrap();
                assert_eq!(content.unwrap().len(), 1 << 20);
                while aiofiles::backend().queued() + aiofiles::backend().running() > 0 {
                    yield_now().await;
                }
            }
            let took = (peak() - before) / 1024;
            assert!(took < 50, "{took} MiB of {FILES}");
        });
    });
}

#[allow(dead_code, reason = "it is enough that it compiles")]
fn the_stream_can_be_sent_and_shown() {
    fn is_send(stream: impl futures_lite::Stream + Send + Sync + Unpin + std::fmt::Debug) {
        drop(stream);
    }
    is_send(read_many(["a"]));
}

#[cfg(all(unix, feature = "testing"))]
mod steps {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use aiofiles::raw_os_error;
    use aiofiles::testing::Call;
    use futures_lite::Stream as _;
    use rustix::io::Errno;

    use super::*;
    use crate::steps::*;

    const EIO: i32 = Errno::IO.raw_os_error();
    const EMFILE: i32 = Errno::MFILE.raw_os_error();

    /// The codes of errors, or the content.
    fn codes(results: Vec<io::Result<Vec<u8>>>) -> Vec<Result<Vec<u8>, Option<i32>>> {
        let code = |result: io::Result<Vec<u8>>| result.map_err(|error| raw_os_error(&error));
        results.into_iter().map(code).collect()
    }

    /// Neighbours are one system call, up to 1 MiB; others are one each.
    #[test]
    fn reading_together_takes_fewer_system_calls() {
        stepped(|stepper, faults| {
            let bytes = numbered(3 << 20);
            let (_dir, path) = sample(&bytes);
            let file = drive(stepper, File::open(&path)).unwrap();
            count(faults, Call::Read);
            let mut rng = Rng::new();
            let small = (0..100).map(|n| n * 100..n * 100 + 10);
            let mut small = small.collect::<Vec<Range<u64>>>();
            rng.shuffle(&mut small);
            let adjoining = (0..48).map(|n| n << 16..(n + 1) << 16);
            let adjoining = adjoining.collect::<Vec<Range<u64>>>();
            let overlapping = (0..100).map(|n| n * 10..n * 10 + 50).collect();
            let twice = vec![5..10; 10];
            let long = vec![0..2 << 20, 1000..2000, 2 << 20..3 << 20];
            for (ranges, gap, expected) in [
                (&small, None, 100),
                (&small, Some(0), 100),
                (&small, Some(89), 100),
                (&small, Some(90), 1),
                (&small, Some(u64::MAX), 1),
                // 1 MiB each.
                (&adjoining, Some(0), 3),
                (&adjoining, Some(u64::MAX), 3),
                (&overlapping, Some(0), 1),
                (&twice, Some(0), 1),
                (&twice, None, 10),
                // What is longer than that by itself is read by itself.
                (&long, Some(0), 3),
            ] {
                let before = faults.struck();
                let found = match gap {
                    Some(gap) => drive(stepper, file.read_many_at_together(ranges.clone(), gap)),
                    None => drive(stepper, file.read_many_at(ranges.clone())),
                };
                let reads = faults.struck() - before;
                assert_eq!(reads, expected, "{} ranges, {gap:?}", ranges.len());
                for (range, found) in ranges.iter().zip(found) {
                    let expected = &bytes[range.start as usize..range.end as usize];
                    assert_same_bytes(found.unwrap(), expected);
                }
            }
        });
    }

    #[test]
    fn a_read_that_fails_fails_its_range_only() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("0123456789");
            let file = drive(stepper, File::open(&path)).unwrap();
            faults.fail(Call::Read, 2, 1, EIO);
            let ranges = [0..2, 2..4, 4..6, 6..8, 8..10];
            let found = codes(drive(stepper, file.read_many_at(ranges)));
            let text = |text: &str| Ok(text.as_bytes().to_vec());
            let expected = [
                text("01"),
                text("23"),
                Err(Some(EIO)),
                text("67"),
                text("89"),
            ];
            assert_eq!(found, expected);

            // Whoever is read together fails together.
            faults.fail(Call::Read, 1, 1, EIO);
            let ranges = [8..10, 0..1, 6..7, 2..3];
            let found = codes(drive(stepper, file.read_many_at_together(ranges, 1)));
            assert_eq!(
                found,
                [Err(Some(EIO)), text("0"), Err(Some(EIO)), text("2")]
            );
            drive(stepper, file.read_many_at(Some(0..1)))
                .pop()
                .unwrap()
                .unwrap();
        });
    }

    /// A part of a range that was read before an error is not given out as the whole.
    #[test]
    fn an_error_in_the_middle_of_a_long_range_is_its_result() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample(numbered(100));
            let file = drive(stepper, File::open(&path)).unwrap();
            faults.short(Call::Read, 0, EVER, 30);
            faults.fail(Call::Read, 2, 1, EIO);
            let found = drive(stepper, file.read_many_at(Some(0..100)));
            assert_eq!(codes(found), [Err(Some(EIO))]);
        });
    }

    /// Reads that come short go on within the same dispatch, and interrupted ones are made again.
    #[test]
    fn short_and_interrupted_reads_go_on() {
        stepped(|stepper, faults| {
            let bytes = numbered(1000);
            let (_dir, path) = sample(&bytes);
            let file = drive(stepper, File::open(&path)).unwrap();
            faults.short(Call::Read, 0, EVER, 7);
            faults.fail(Call::Read, 3, 5, Errno::INTR.raw_os_error());
            for gap in [0, 100] {
                let ranges = [500..1100, 0..450];
                let mut read = pin!(file.read_many_at_together(ranges, gap));
                begin(read.as_mut());
                assert_eq!(stepper.run_all(), 1);
                let Poll::Ready(found) = poll_now(read) else {
                    panic!("its job ran");
                };
                let mut found = found.into_iter().map(Result::unwrap);
                assert_same_bytes(found.next().unwrap(), &bytes[500..]);
                assert_same_bytes(found.next().unwrap(), &bytes[..450]);
            }
        });
    }

    /// A batch that nobody waits for any more is not read, and its next job never begins.
    #[test]
    fn a_cancelled_batch_is_skipped() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample(numbered(10_000));
            let file = drive(stepper, File::open(&path)).unwrap();
            count(faults, Call::Read);
            let ranges = (0..1000).map(|n| n * 10..n * 10 + 5);
            let ranges = ranges.collect::<Vec<Range<u64>>>();
            begin(pin!(file.read_many_at(ranges.clone())));
            stepper.run_all();
            assert_eq!(faults.struck(), 0);

            let mut read = Box::pin(file.read_many_at(ranges));
            begin(read.as_mut());
            assert!(stepper.run_one());
            let done = faults.struck();
            assert!(done < 1000, "{done} in one job");
            begin(read.as_mut());
            drop(read);
            stepper.run_all();
            assert_eq!(faults.struck(), done);
            assert_eq!(drive(stepper, file.read_many_at(Some(0..5))).len(), 1);
        });
    }

    /// While nobody polls, a few jobs were started, and no further one comes.
    #[test]
    fn nothing_more_is_read_while_nobody_polls() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("content");
            count(faults, Call::Open);
            let mut files = read_many(vec![path; 1000]);
            assert_eq!(stepper.waiting(), 0, "it begins with the first poll");
            begin(pin!(files.next()));
            let jobs = stepper.waiting();
            assert!((2..=8).contains(&jobs), "{jobs} jobs");
            assert_eq!(stepper.run_all(), jobs);
            assert!(faults.struck() <= 128, "{} files", faults.struck());
            // Whoever takes one has not asked for all the others.
            drive(stepper, files.next()).unwrap().1.unwrap();
            stepper.run_all();
            assert!(faults.struck() <= 256, "{} files", faults.struck());
            drop(files);
            assert_eq!(stepper.run_all(), 0);
        });
    }

    /// The order is that in which they are read: one job reads the files in the order of their paths.
    #[test]
    fn files_come_in_the_order_in_which_they_are_read() {
        stepped(|stepper, _| {
            let dir = temp_dir();
            let paths = (0..10).map(|n| dir.path().join(n.to_string()));
            let paths = paths.collect::<Vec<_>>();
            for path in &paths {
                fs::write(path, "content").unwrap();
            }
            let found = drive(
                stepper,
                read_many(&paths).map(|(path, _)| path).collect::<Vec<_>>(),
            );
            assert_eq!(found, paths);
        });
    }

    /// However many FIFOs wait for their writers, the other files are read.
    #[cfg(target_os = "linux")]
    #[test]
    fn many_fifos_among_the_files_hold_none_of_them_up() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        stepped(|stepper, _| {
            let dir = temp_dir();
            let mut paths = Vec::new();
            for number in 0..200 {
                let path = dir.path().join(number.to_string());
                if number < 20 {
                    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
                } else {
                    fs::write(&path, "content").unwrap();
                }
                paths.push(path);
            }
            let mut files = read_many(paths);
            let mut found = 0;
            let mut idle = 0;
            while idle < 3 {
                match poll_now(pin!(files.next())) {
                    Poll::Ready(file) => {
                        assert_eq!(file.expect("FIFOs are left").1.unwrap(), b"content");
                        found += 1;
                    }
                    Poll::Pending if stepper.run_all() == 0 => idle += 1,
                    Poll::Pending => idle = 0,
                }
            }
            assert_eq!(found, 180);
        });
    }

    /// Rule 18 holds for this stream too: a task that takes one file after the other lets others have their turn.
    #[test]
    fn a_task_that_takes_files_yields_after_128() {
        stepped(|stepper, _| {
            let (_dir, path) = sample("content");
            let mut files = read_many(vec![path; 5000]);
            let count = CountingWaker::new();
            let waker = count.waker();
            let (mut in_a_row, mut taken) = (0, 0);
            while taken < 5000 {
                // Whatever it waits for is done before the next poll, as on a fast pool.
                stepper.run_all();
                match Pin::new(&mut files).poll_next(&mut Context::from_waker(&waker)) {
                    Poll::Ready(file) => {
                        file.unwrap().1.unwrap();
                        taken += 1;
                        in_a_row += 1;
                        assert!(in_a_row <= 128, "{in_a_row} ready answers in a row");
                    }
                    Poll::Pending => in_a_row = 0,
                }
            }
        });
    }

    /// A file that finds no descriptor free is read once there is one, or its error is told; the others are read.
    #[test]
    fn a_file_that_finds_no_descriptor_costs_the_others_nothing() {
        stepped(|stepper, faults| {
            let dir = temp_dir();
            let files = many_files(dir.path(), 40, &mut Rng::new());
            faults.fail(Call::Open, 5, 1, EMFILE);
            let paths = files.keys().cloned().collect::<Vec<_>>();
            drive(stepper, assert_gives(read_many(paths), files));
        });
    }

    #[test]
    fn an_error_of_one_file_is_told_with_its_path() {
        stepped(|stepper, faults| {
            let dir = temp_dir();
            let mut files = many_files(dir.path(), 40, &mut Rng::new());
            faults.fail(Call::Open, 20, 1, EIO);
            let mut found = read_many(files.keys().cloned().collect::<Vec<_>>());
            let mut failed = 0;
            while let Some((path, result)) = drive(stepper, found.next()) {
                let expected = files.remove(&path).unwrap();
                match result {
                    Ok(found) => assert_same_bytes(found, expected),
                    Err(error) => {
                        failed += 1;
                        assert_eq!(raw_os_error(&error), Some(EIO));
                        assert_eq!(PathError::of(&error).unwrap().path(), path);
                    }
                }
            }
            assert_eq!((failed, files.len()), (1, 0));
        });
    }

    /// What a dropped file has not written yet is waited for, and only that file waits.
    #[test]
    fn a_dropped_file_is_waited_for_and_holds_no_other_up() {
        with_faults(|faults| {
            block_on(async {
                let dir = temp_dir();
                let files = many_files(dir.path(), 100, &mut Rng::new());
                let late = dir.path().join("late");
                let gate = faults.stall(Call::Write, 0, 1);
                let mut file = OpenOptions::new();
                let mut file = file.write(true).create(true).open(&late).await.unwrap();
                file.write_all(b"accepted").await.unwrap();
                drop(file);
                let mut paths = files.keys().cloned().collect::<Vec<_>>();
                paths.insert(0, late.clone());
                let mut found = read_many(&paths);
                assert_gives((&mut found).take(100), files).await;
                assert!(poll_once(found.next()).await.is_none());
                gate.open();
                let (path, content) = found.next().await.unwrap();
                assert_eq!((path, content.unwrap()), (late, b"accepted".to_vec()));
            });
        });
    }
}
