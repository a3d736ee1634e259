//! The space of files: reserved, given back, found and copied. The results are those of the system's own calls.

#![cfg(unix)]

use std::fs;
use std::io::{self, ErrorKind, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use aiofiles::{Advice, File, OpenOptions, copy_range};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::files::*;
use crate::support::*;

const BEYOND: u64 = i64::MAX as u64 + 1;

/// A FIFO, opened for reading and writing, so that nobody waits for anybody.
#[cfg(target_os = "linux")]
async fn fifo(dir: &Path) -> File {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let path = dir.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .await
        .unwrap()
}

/// Where the file system of these tests cannot give space back, there is nothing to be seen.
fn punched(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            skip("a file system with holes");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn allocate_extends_with_zeros_and_keeps_what_is_there() {
    every_runtime(|_| async {
        for dir in directories() {
            let path = dir.path().join("file");
            let bytes = numbered(10_000);
            fs::write(&path, &bytes).unwrap();
            let mut file = read_write().open(&path).await.unwrap();
            file.seek(SeekFrom::Start(77)).await.unwrap();
            // Within the file nothing changes.
            file.allocate(0, 5000).await.unwrap();
            file.allocate(9999, 1).await.unwrap();
            assert_same_bytes(fs::read(&path).unwrap(), &bytes);
            file.allocate(5000, 45_000).await.unwrap();
            let mut expected = bytes.clone();
            expected.resize(50_000, 0);
            assert_same_bytes(fs::read(&path).unwrap(), &expected);
            // Beyond the end too.
            file.allocate(100_000, 1_000_000).await.unwrap();
            expected.resize(1_100_000, 0);
            assert_same_bytes(fs::read(&path).unwrap(), &expected);
            assert_eq!(file.stream_position().await.unwrap(), 77);
            assert_same_bytes(rest(&mut file).await, &expected[77..]);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn allocate_reserves_space() {
    block_on(async {
        let (_dir, path) = sample("");
        let file = read_write().open(&path).await.unwrap();
        file.set_len(1 << 20).await.unwrap();
        let before = fs::metadata(&path).unwrap().blocks();
        file.allocate(0, 1 << 20).await.unwrap();
        let reserved = (fs::metadata(&path).unwrap().blocks() - before) * 512;
        let ext4 = rustix::fs::statfs(&path).unwrap().f_type == 0xef53;
        if !ext4 {
            return skip("ext4");
        }
        assert!(reserved >= 1 << 20, "{reserved} bytes");
    });
}

#[test]
fn ranges_that_are_empty_or_reach_too_far_are_refused() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = read_write().open(&path).await.unwrap();
        for (offset, len) in [
            (0, 0),
            (5, 0),
            (0, BEYOND),
            (1, BEYOND - 1),
            (BEYOND, 1),
            (BEYOND - 1, 1),
            (5, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let error = file.allocate(offset, len).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{offset}, {len}");
            let error = file.punch_hole(offset, len).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{offset}, {len}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    });
}

/// What is there too large to be had is an error of the system, and it does no harm.
#[cfg(target_os = "linux")]
#[test]
fn more_space_than_there_is_cannot_be_reserved() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let mut file = read_write().open(&path).await.unwrap();
        let error = file.allocate(0, BEYOND - 1).await.unwrap_err();
        let kinds = [ErrorKind::StorageFull, ErrorKind::FileTooLarge];
        assert!(kinds.contains(&error.kind()), "{error}");
        file.flush().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_space_of_what_cannot_be_written_or_is_no_file_is_refused() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let mut read_only = File::open(&path).await.unwrap();
        let directory = File::open(dir.path()).await.unwrap();
        let fifo = fifo(dir.path()).await;
        let mut closed = read_write().open(&path).await.unwrap();
        closed.close().await.unwrap();
        for (what, file) in [
            ("read only", &read_only),
            ("directory", &directory),
            ("fifo", &fifo),
            ("closed", &closed),
        ] {
            assert!(file.allocate(0, 100).await.is_err(), "{what}");
            assert!(file.punch_hole(0, 100).await.is_err(), "{what}");
        }
        // The errors were told, and nobody else hears of them.
        assert_eq!(rest(&mut read_only).await, b"0123456789");
        read_only.close().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    });
}

#[test]
fn a_punched_hole_reads_as_zeros_and_the_length_stays() {
    every_runtime(|_| async {
        for dir in directories() {
            let path = dir.path().join("file");
            let bytes = numbered(300_000);
            fs::write(&path, &bytes).unwrap();
            let mut file = read_write().open(&path).await.unwrap();
            file.seek(SeekFrom::Start(11)).await.unwrap();
            let mut expected = bytes.clone();
            for (offset, len) in [
                (0, 10),
                (4096, 8192),
                (100_001, 33_333),
                (299_990, 1000),
                (1 << 40, 5),
            ] {
                if !punched(file.punch_hole(offset, len).await) {
                    return;
                }
                let begin = (offset as usize).min(expected.len());
                let end = ((offset + len) as usize).min(expected.len());
                expected[begin..end].fill(0);
                assert_same_bytes(fs::read(&path).unwrap(), &expected);
            }
            let before = fs::metadata(&path).unwrap().blocks();
            file.punch_hole(0, 300_000).await.unwrap();
            assert!(fs::metadata(&path).unwrap().blocks() < before);
            assert_eq!(file.stream_position().await.unwrap(), 11);
            assert_same_bytes(rest(&mut file).await, vec![0; 299_989]);
        }
    });
}

/// Nobody who has read ahead gives out what is no longer there: not the file, nor a clone, nor a cursor.
#[test]
fn what_was_read_ahead_is_not_what_was_punched_out_or_copied_over() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let file = read_write().open(&path).await.unwrap();
        let mut clone = file.try_clone().await.unwrap();
        let mut cursor = file.cursor(0).unwrap();
        for punch in [true, false] {
            fs::write(&path, &bytes).unwrap();
            for reader in [&mut clone, &mut cursor] {
                reader.seek(SeekFrom::Start(0)).await.unwrap();
                reader.read_exact(&mut [0; 100]).await.unwrap();
            }
            let mut expected = bytes.clone();
            if punch {
                if !punched(file.punch_hole(200, 90_000).await) {
                    continue;
                }
                expected[200..90_200].fill(0);
            } else {
                copy_range(&file, 0, &file, 200, 150).await.unwrap();
                expected.copy_within(0..150, 200);
            }
            for reader in [&mut clone, &mut cursor] {
                assert_same_bytes(rest(reader).await, &expected[100..]);
            }
        }
    });
}

/// Both take their place between what was accepted before and what is accepted later, without any flush.
#[test]
fn space_is_reserved_and_given_back_in_the_order_of_writes() {
    every_runtime(|_| async {
        for _ in 0..iterations(10) {
            let (_dir, path) = sample("");
            let mut file = read_write().open(&path).await.unwrap();
            let bytes = numbered(500_000);
            file.write_all(&bytes).await.unwrap();
            file.allocate(0, 600_000).await.unwrap();
            if !punched(file.punch_hole(100, 400_000).await) {
                return;
            }
            file.seek(SeekFrom::Start(200)).await.unwrap();
            file.write_all(b"later").await.unwrap();
            file.close().await.unwrap();
            let mut expected = bytes;
            expected[100..400_100].fill(0);
            expected[200..205].copy_from_slice(b"later");
            expected.resize(600_000, 0);
            assert_same_bytes(fs::read(&path).unwrap(), expected);
        }
    });
}

/// What `lseek` says.
#[cfg(target_os = "linux")]
fn seek_of_the_kernel(file: &fs::File, to: rustix::fs::SeekFrom) -> Option<u64> {
    match rustix::fs::seek(file, to) {
        Ok(found) => Some(found),
        Err(rustix::io::Errno::NXIO) => None,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn data_and_holes_are_found_where_the_kernel_finds_them() {
    every_runtime(|_| async {
        for dir in directories() {
            let seed = Seed::new();
            let mut rng = seed.rng();
            let path = dir.path().join("file");
            let twin = fs::File::create(&path).unwrap();
            let places = [0, 1 << 20, (1 << 31) - 5000, (1 << 32) - 5000, 1 << 33];
            for place in &places[rng.usize(..2)..4] {
                twin.write_all_at(&numbered(10_000), *place).unwrap();
            }
            twin.set_len(1 << 33).unwrap();
            let twin = fs::File::open(&path).unwrap();
            let mut file = read_write().open(&path).await.unwrap();
            file.seek(SeekFrom::Start(77)).await.unwrap();
            for _ in 0..iterations(50) {
                let offset = match rng.u8(..10) {
                    0 => u64::MAX,
                    1 => BEYOND,
                    2 => BEYOND - 1,
                    3 => places[rng.usize(..5)],
                    _ => places[rng.usize(..5)].saturating_sub(20_000) + rng.u64(..40_000),
                };
                let (mut data, mut hole) = (None, None);
                if offset < BEYOND {
                    data = seek_of_the_kernel(&twin, rustix::fs::SeekFrom::Data(offset));
                    hole = seek_of_the_kernel(&twin, rustix::fs::SeekFrom::Hole(offset));
                }
                assert_eq!(file.seek_data(offset).await.unwrap(), data, "{offset}");
                assert_eq!(file.seek_hole(offset).await.unwrap(), hole, "{offset}");
                assert_eq!(file.stream_position().await.unwrap(), 77);
            }
            // An empty file has neither.
            let empty = File::create(dir.path().join("empty")).await.unwrap();
            assert_eq!(empty.seek_data(0).await.unwrap(), None);
            assert_eq!(empty.seek_hole(0).await.unwrap(), None);
        }
    });
}

/// What was accepted is found, and the kernel's own position, which others may rely on, is put back.
#[cfg(target_os = "linux")]
#[test]
fn looking_for_data_moves_nothing() {
    use std::io::Seek as _;

    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let options = || fs::File::options().read(true).write(true).to_owned();
        let mut std = options().open(&path).unwrap();
        std.seek(SeekFrom::Start(4)).unwrap();
        let mut file = File::from(std.try_clone().unwrap());
        assert_eq!(file.seek_data(2).await.unwrap(), Some(2));
        assert_eq!(file.seek_hole(2).await.unwrap(), Some(10));
        assert_eq!(std.stream_position().unwrap(), 4);
        file.write_all(b"accepted and not flushed").await.unwrap();
        assert_eq!(file.seek_hole(12).await.unwrap(), Some(28));
        assert_eq!(file.stream_position().await.unwrap(), 28);
        assert_eq!(std.stream_position().unwrap(), 4);

        // In append mode the kernel's position is that of the last write.
        fs::write(&path, "0123456789").unwrap();
        let mut appending = OpenOptions::new();
        let mut appending = appending.read(true).append(true).open(&path).await.unwrap();
        appending.write_all(b"abc").await.unwrap();
        assert_eq!(appending.seek_hole(0).await.unwrap(), Some(13));
        assert_eq!(appending.seek_data(3).await.unwrap(), Some(3));
        assert_eq!(appending.stream_position().await.unwrap(), 13);
        appending.write_all(b"def").await.unwrap();
        assert_eq!(appending.seek_data(1).await.unwrap(), Some(1));
        assert_eq!(appending.stream_position().await.unwrap(), 16);
        appending.close().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789abcdef");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_positions_has_neither_data_nor_holes() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let mut fifo = fifo(dir.path()).await;
        for error in [fifo.seek_data(0).await, fifo.seek_hole(5).await] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::NotSeekable);
        }
        fifo.write_all(b"x").await.unwrap();
        fifo.read_exact(&mut [0]).await.unwrap();
        let mut closed = File::open(&path).await.unwrap();
        closed.close().await.unwrap();
        let error = closed.seek_data(0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

const ADVICE: [Advice; 6] = [
    Advice::Normal,
    Advice::Sequential,
    Advice::Random,
    Advice::WillNeed,
    Advice::DontNeed,
    Advice::NoReuse,
];

#[test]
fn advice_of_every_kind_changes_nothing() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write().open(&path).await.unwrap();
        for advice in ADVICE {
            file.seek(SeekFrom::Start(9)).await.unwrap();
            for (offset, len) in [
                (0, 0),
                (0, 100_000),
                (50_000, u64::MAX),
                (1 << 40, 5),
                (BEYOND - 1, 0),
                (BEYOND - 1, u64::MAX),
            ] {
                file.advise(offset, len, advice).await.unwrap();
            }
            let error = file.advise(BEYOND, 1, advice).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_same_bytes(rest(&mut file).await, &bytes[9..]);
        }
        file.close().await.unwrap();
        let error = file.advise(0, 0, Advice::Normal).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_takes_no_advice() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let fifo = fifo(dir.path()).await;
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let pipe = File::from(fs::File::from(read));
        for advice in ADVICE {
            assert!(fifo.advise(0, 0, advice).await.is_err());
            assert!(pipe.advise(0, 0, advice).await.is_err());
        }
    });
}

/// What copying within or between contents comes to.
fn copied(from: &[u8], from_offset: u64, to: &mut Vec<u8>, to_offset: u64, len: u64) -> u64 {
    let begin = from_offset.min(from.len() as u64) as usize;
    let n = ((from.len() - begin) as u64).min(len) as usize;
    if n > 0 {
        let at = to_offset as usize;
        to.resize(to.len().max(at + n), 0);
        to[at..at + n].copy_from_slice(&from[begin..begin + n]);
    }
    n as u64
}

/// On one file system, where the kernel copies, and between two, where it may not.
#[test]
fn random_ranges_are_copied_between_files_and_within_one() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let dirs = directories();
        for other in &dirs {
            let paths = [dirs[0].path().join("one"), other.path().join("other")];
            let mut contents = Vec::new();
            let mut files = Vec::new();
            for path in &paths {
                let len = rng.usize(..600_000);
                let bytes = random_bytes(&mut rng, len);
                fs::write(path, &bytes).unwrap();
                contents.push(bytes);
                let mut file = read_write().open(path).await.unwrap();
                file.seek(SeekFrom::Start(5)).await.unwrap();
                files.push(file);
            }
            for _ in 0..iterations(60) {
                let (from, to) = (rng.usize(..2), rng.usize(..2));
                let (from_offset, to_offset) = (rng.u64(..700_000), rng.u64(..700_000));
                let len = match rng.u8(..10) {
                    0 => 0,
                    1 => u64::MAX,
                    2 => BEYOND,
                    3 => 1 << 40,
                    4..7 => rng.u64(..600_000),
                    _ => rng.u64(..5000),
                };
                let end = |offset: u64| offset.saturating_add(len);
                let overlap =
                    from == to && from_offset < end(to_offset) && to_offset < end(from_offset);
                // See `a_copy_within_a_file_ends_where_the_file_ended`.
                let present = contents[from].len() as u64;
                if from == to && end(from_offset.max(to_offset)) > present {
                    continue;
                }
                let n = copy_range(&files[from], from_offset, &files[to], to_offset, len).await;
                if overlap {
                    assert_eq!(n.unwrap_err().kind(), ErrorKind::InvalidInput);
                } else {
                    let source = contents[from].clone();
                    let expected = copied(&source, from_offset, &mut contents[to], to_offset, len);
                    assert_eq!(n.unwrap(), expected, "{from_offset} to {to_offset}, {len}");
                }
                for file in &files {
                    assert_eq!(file.stream_position().await.unwrap(), 5);
                }
            }
            for (path, content) in paths.iter().zip(&contents) {
                assert_same_bytes(fs::read(path).unwrap(), content);
            }
        }
    });
}

/// What a copy makes of the end of its own file is not copied too.
#[test]
fn a_copy_within_a_file_ends_where_the_file_ended() {
    every_runtime(|_| async {
        let bytes = numbered(1000);
        for (from, to, len) in [(500, 2000, 1500), (0, 1500, 1500), (900, 5000, 1 << 12)] {
            let (_dir, path) = sample(&bytes);
            let file = read_write().open(&path).await.unwrap();
            let mut expected = bytes.clone();
            let n = copied(&bytes, from, &mut expected, to, len);
            let found = copy_range(&file, from, &file, to, len).await.unwrap();
            assert_eq!(found, n, "{from} to {to}, {len}");
            assert_same_bytes(fs::read(&path).unwrap(), expected);
        }
    });
}

/// More than one job copies, in pieces that fit together.
#[test]
fn a_long_copy_is_whole() {
    const LEN: u64 = 140 << 20;
    within_limit("a long copy", || {
        let (dir, path) = sample("");
        let source = fs::File::options().write(true).open(&path).unwrap();
        let marks = (0..14).map(|n| n * (10 << 20) + n * 1001);
        let marks = marks.chain([(64 << 20) - 3, (128 << 20) - 3, LEN - 6]);
        let marks = marks.collect::<Vec<u64>>();
        for mark in &marks {
            source
                .write_all_at(format!("{mark:06}").as_bytes(), *mark)
                .unwrap();
        }
        let target = dir.path().join("target");
        block_on(async {
            let from = File::open(&path).await.unwrap();
            let to = read_write().open(&target).await.unwrap();
            let n = copy_range(&from, 1, &to, 2, u64::MAX).await.unwrap();
            let len = fs::metadata(&path).unwrap().len();
            assert_eq!(n, len - 1);
            assert_eq!(fs::metadata(&target).unwrap().len(), len + 1);
        });
        let target = fs::File::open(&target).unwrap();
        let source = fs::File::open(&path).unwrap();
        for mark in marks {
            let (mut expected, mut found) = ([0; 12], [0; 12]);
            let begin = mark.saturating_sub(6).max(1);
            let n = source.read_at(&mut expected, begin).unwrap();
            let m = target.read_at(&mut found, begin + 1).unwrap();
            assert_eq!((n, expected), (m, found), "at {mark}");
        }
    });
}

/// Everything that both had accepted comes first: it is copied, and copied over.
#[test]
fn what_was_accepted_comes_before_a_copy() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = |name: &str| dir.path().join(name);
        for len in [10, 3000, 2_000_000] {
            let bytes = numbered(len);
            let mut from = read_write().open(path("from")).await.unwrap();
            let mut to = read_write().open(path("to")).await.unwrap();
            to.write_all(&vec![1; len + 7]).await.unwrap();
            from.write_all(&bytes).await.unwrap();
            let n = copy_range(&from, 0, &to, 3, u64::MAX).await.unwrap();
            assert_eq!(n, len as u64);
            // What comes later comes over it.
            to.seek(SeekFrom::Start(5)).await.unwrap();
            to.write_all(b"xy").await.unwrap();
            to.close().await.unwrap();
            let mut expected = vec![1; len + 7];
            expected[3..len + 3].copy_from_slice(&bytes);
            expected[5..7].copy_from_slice(b"xy");
            assert_same_bytes(fs::read(path("to")).unwrap(), &expected);

            // Within one file.
            let end = len as u64;
            assert_eq!(copy_range(&from, 0, &from, end, end).await.unwrap(), end);
            from.close().await.unwrap();
            assert_same_bytes(
                fs::read(path("from")).unwrap(),
                [&bytes[..], &bytes].concat(),
            );
            fs::remove_file(path("from")).unwrap();
            fs::remove_file(path("to")).unwrap();
        }
    });
}

/// However one file comes to be on both sides: itself, a clone, a cursor, opened twice, or by a link.
#[test]
fn ranges_of_one_file_that_overlap_are_refused() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        fs::hard_link(&path, dir.path().join("link")).unwrap();
        let file = read_write().open(&path).await.unwrap();
        let others = [
            file.try_clone().await.unwrap(),
            file.cursor(0).unwrap(),
            read_write().open(&path).await.unwrap(),
            read_write().open(dir.path().join("link")).await.unwrap(),
        ];
        for other in others.iter().chain([&file]) {
            for (from, to, len) in [
                (0, 0, 1),
                (0, 5, 6),
                (5, 0, 6),
                (0, 100, 101),
                (0, 100, u64::MAX),
            ] {
                let error = copy_range(&file, from, other, to, len).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let error = copy_range(other, from, &file, to, len).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
            // Those that only touch do not.
            assert_eq!(copy_range(&file, 0, other, 5, 5).await.unwrap(), 5);
            assert_eq!(fs::read(&path).unwrap(), b"0123401234");
            assert_eq!(copy_range(other, 3, &file, 0, 0).await.unwrap(), 0);
            fs::write(&path, "0123456789").unwrap();
        }
    });
}

/// Also if somebody else has opened both, so that nothing is known of them yet.
#[test]
fn overlapping_ranges_of_one_file_that_others_opened_are_refused() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let options = || fs::File::options().read(true).write(true).to_owned();
        let from = File::from(options().open(&path).unwrap());
        let to = File::from(options().open(&path).unwrap());
        let result = copy_range(&from, 0, &to, 5, 1000).await;
        let kind = result.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::InvalidInput));
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    });
}

#[test]
fn copies_that_cannot_be_made_are_refused() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let other = dir.path().join("other");
        fs::write(&other, "other").unwrap();
        let file = read_write().open(&path).await.unwrap();
        let read_only = File::open(&other).await.unwrap();
        let write_only = File::create(dir.path().join("third")).await.unwrap();
        let mut appending = OpenOptions::new();
        let appending = appending
            .read(true)
            .append(true)
            .open(&other)
            .await
            .unwrap();
        let mut closed = File::open(&path).await.unwrap();
        closed.close().await.unwrap();

        assert!(copy_range(&write_only, 0, &file, 0, 5).await.is_err());
        assert!(copy_range(&file, 0, &read_only, 0, 5).await.is_err());
        assert!(copy_range(&file, 0, &appending, 0, 5).await.is_err());
        // It is not the target that appends here.
        assert_eq!(copy_range(&appending, 0, &file, 0, 0).await.unwrap(), 0);
        assert_eq!(
            copy_range(&appending, 1, &write_only, 0, 9).await.unwrap(),
            4
        );
        for (from, to) in [(&closed, &file), (&file, &closed)] {
            let error = copy_range(from, 0, to, 0, 5).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        for (from, to) in [(BEYOND, 0), (0, BEYOND), (u64::MAX, u64::MAX)] {
            let error = copy_range(&file, from, &write_only, to, 5)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        // Where a file can end, nothing can be copied to or from.
        assert_eq!(
            copy_range(&file, BEYOND - 1, &write_only, 0, 5)
                .await
                .unwrap(),
            0
        );
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        assert_eq!(fs::read(&other).unwrap(), b"other");
    });
}

/// What the kernel does not copy is read and written: files of procfs, devices.
#[cfg(target_os = "linux")]
#[test]
fn special_files_are_copied_too() {
    every_runtime(|_| async {
        let (dir, path) = sample("");
        let file = read_write().open(&path).await.unwrap();
        let version = fs::read("/proc/version").unwrap();
        let from = File::open("/proc/version").await.unwrap();
        let n = copy_range(&from, 6, &file, 0, u64::MAX).await.unwrap();
        assert_eq!(n, version.len() as u64 - 6);
        assert_eq!(fs::read(&path).unwrap(), version[6..]);

        let zero = File::open("/dev/zero").await.unwrap();
        assert_eq!(
            copy_range(&zero, 0, &file, 3, 700_000).await.unwrap(),
            700_000
        );
        assert_same_bytes(&fs::read(&path).unwrap()[3..], vec![0; 700_000]);

        let full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .await
            .unwrap();
        let error = copy_range(&file, 0, &full, 0, 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);

        let fifo = fifo(dir.path()).await;
        for (from, to) in [(&file, &fifo), (&fifo, &file)] {
            let error = copy_range(from, 0, to, 0, 5).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSeekable);
        }
        let directory = File::open(dir.path()).await.unwrap();
        assert!(copy_range(&directory, 0, &file, 0, 5).await.is_err());
    });
}

#[cfg(feature = "testing")]
mod steps {
    use std::pin::pin;

    use aiofiles::raw_os_error;
    use aiofiles::testing::Call;
    use rustix::io::Errno;

    use super::*;
    use crate::steps::*;

    const ENOSPC: i32 = Errno::NOSPC.raw_os_error();
    const EIO: i32 = Errno::IO.raw_os_error();
    const UNSUPPORTED: i32 = Errno::OPNOTSUPP.raw_os_error();

    /// Where nothing can be reserved, the file has its length at least, and never becomes shorter.
    #[test]
    fn without_reservations_allocate_sets_the_length() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("0123456789");
            let file = drive(stepper, read_write().open(&path)).unwrap();
            faults.fail(Call::Allocate, 0, EVER, UNSUPPORTED);
            for (offset, len, expected) in [(0, 5, 10), (9, 1, 10), (5, 20, 25), (0, 3, 25)] {
                drive(stepper, file.allocate(offset, len)).unwrap();
                assert_eq!(fs::metadata(&path).unwrap().len(), expected);
            }
            assert_eq!(fs::read(&path).unwrap()[..12], *b"0123456789\0\0");
            let error = drive(stepper, file.punch_hole(0, 5)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(fs::read(&path).unwrap()[..5], *b"01234");
        });
    }

    /// The error goes to the caller, or to the next call if the caller has gone; never to both.
    #[test]
    fn the_error_of_a_change_of_space_is_told_once() {
        for (cancelled, what) in (0..4).map(|n| (n % 2 == 0, n / 2)) {
            stepped(move |stepper, faults| {
                let (_dir, path) = sample("0123456789");
                let mut file = drive(stepper, read_write().open(&path)).unwrap();
                faults.fail(Call::Allocate, 0, 1, ENOSPC);
                let told = {
                    let change = async {
                        match what {
                            0 => file.allocate(0, 100).await,
                            _ => file.punch_hole(0, 5).await,
                        }
                    };
                    if cancelled {
                        begin(pin!(change));
                        stepper.run_all();
                        None
                    } else {
                        Some(drive(stepper, change))
                    }
                };
                let told = told.unwrap_or_else(|| drive(stepper, file.flush()));
                let error = told.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::StorageFull);
                drive(stepper, file.flush()).unwrap();
                drive(stepper, file.close()).unwrap();
            });
        }
    }

    /// A change of space that nobody waits for any more still takes its place.
    #[test]
    fn a_cancelled_change_of_space_is_made_in_its_place() {
        stepped(|stepper, _| {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            drive(stepper, file.write_all(b"before")).unwrap();
            stepper.run_all();
            begin(pin!(file.allocate(0, 10)));
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            drive(stepper, clone.write_all(b"after")).unwrap();
            drive(stepper, clone.flush()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"beforeafter");
        });
    }

    /// Bytes that were accepted and could not be written are told of before anything is changed.
    #[test]
    fn a_failed_write_comes_before_a_change_of_space() {
        stepped(|stepper, faults| {
            let (dir, path) = sample("");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            let other = drive(stepper, read_write().open(dir.path().join("other"))).unwrap();
            for what in 0..5 {
                faults.fail(Call::Write, 0, 1, EIO);
                drive(stepper, file.write_all(b"accepted")).unwrap();
                let result = match what {
                    0 => drive(stepper, file.allocate(0, 100)),
                    1 => drive(stepper, file.punch_hole(0, 100)),
                    2 => drive(stepper, file.seek_data(0)).map(drop),
                    3 => drive(stepper, copy_range(&file, 0, &other, 0, 5)).map(drop),
                    _ => drive(stepper, copy_range(&other, 0, &file, 0, 5)).map(drop),
                };
                assert_eq!(raw_os_error(&result.unwrap_err()), Some(EIO), "{what}");
                drive(stepper, file.flush()).unwrap();
                faults.clear();
            }
            assert_eq!(fs::read(&path).unwrap(), b"accepted".repeat(5));
        });
    }

    /// Looking for data only asks: if nobody waits for the answer, nobody else hears of its error.
    #[test]
    fn the_error_of_a_cancelled_look_for_data_is_nobody_s() {
        for hole in [false, true] {
            stepped(move |stepper, faults| {
                let (_dir, path) = sample("0123456789");
                let mut file = drive(stepper, read_write().open(&path)).unwrap();
                faults.fail(Call::Seek, 0, 1, EIO);
                if hole {
                    begin(pin!(file.seek_hole(0)));
                } else {
                    begin(pin!(file.seek_data(0)));
                }
                stepper.run_all();
                drive(stepper, file.flush()).unwrap();
            });
        }
    }

    /// An error of looking for data is told, and the kernel's position is put back all the same.
    #[test]
    fn an_error_of_looking_for_data_leaves_the_position() {
        use std::io::Seek as _;

        stepped(|stepper, faults| {
            let (_dir, path) = sample("0123456789");
            let mut std = fs::File::open(&path).unwrap();
            std.seek(SeekFrom::Start(4)).unwrap();
            let file = File::from(std.try_clone().unwrap());
            drive(stepper, file.stream_position()).unwrap();
            for nth in 0..2 {
                faults.fail(Call::Seek, nth, 1, EIO);
                let error = drive(stepper, file.seek_data(2)).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(EIO));
                assert_eq!(std.stream_position().unwrap(), 4);
                faults.clear();
            }
            assert_eq!(drive(stepper, file.seek_data(2)).unwrap(), Some(2));
        });
    }

    #[test]
    fn errors_of_copying_are_told_and_what_was_copied_before_stays() {
        stepped(|stepper, faults| {
            let bytes = numbered(1000);
            let (dir, path) = sample(&bytes);
            let target = dir.path().join("target");
            let from = drive(stepper, File::open(&path)).unwrap();
            let mut to = drive(stepper, read_write().open(&target)).unwrap();
            // Short calls go on.
            faults.short(Call::Copy, 0, EVER, 300);
            assert_eq!(
                drive(stepper, copy_range(&from, 0, &to, 0, 1000)).unwrap(),
                1000
            );
            assert_same_bytes(fs::read(&target).unwrap(), &bytes);
            fs::write(&target, "").unwrap();

            faults.fail(Call::Copy, 2, 1, ENOSPC);
            let error = drive(stepper, copy_range(&from, 0, &to, 0, 1000)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert_same_bytes(fs::read(&target).unwrap(), &bytes[..600]);
            // It was told.
            drive(stepper, to.flush()).unwrap();
            drive(stepper, to.close()).unwrap();
        });
    }

    /// The same where reading and writing stand in for the kernel's copying: between file systems, and out of procfs.
    #[test]
    fn errors_of_writing_are_errors_of_copying() {
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
            return skip("/dev/shm");
        };
        stepped(move |stepper, faults| {
            let bytes = numbered(700_000);
            let (_dir, path) = sample(&bytes);
            let target = dir.path().join("target");
            let from = drive(stepper, File::open(&path)).unwrap();
            let mut to = drive(stepper, read_write().open(&target)).unwrap();
            count(faults, Call::Write);
            drive(stepper, copy_range(&from, 0, &to, 0, u64::MAX)).unwrap();
            if faults.struck() == 0 {
                return skip("two file systems between which the kernel does not copy");
            }
            faults.clear();
            fs::write(&target, "").unwrap();
            faults.short(Call::Write, 0, EVER, 100_000);
            faults.fail(Call::Write, 4, EVER, ENOSPC);
            let error = drive(stepper, copy_range(&from, 0, &to, 0, u64::MAX)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            // One buffer by three writes, and the first of the next.
            assert_same_bytes(fs::read(&target).unwrap(), &bytes[..256 * 1024 + 100_000]);
            faults.clear();
            drive(stepper, to.flush()).unwrap();

            faults.fail(Call::Read, 1, 1, EIO);
            let error = drive(stepper, copy_range(&from, 0, &to, 0, u64::MAX)).unwrap_err();
            assert_eq!(raw_os_error(&error), Some(EIO));
            drive(stepper, to.flush()).unwrap();
        });
    }

    /// Dropped early, a copy that fails after that is told by the next call on the target.
    #[test]
    fn the_error_of_a_cancelled_copy_is_told_by_the_target() {
        stepped(|stepper, faults| {
            let (dir, path) = sample("0123456789");
            let from = drive(stepper, File::open(&path)).unwrap();
            let mut to = drive(stepper, read_write().open(dir.path().join("to"))).unwrap();
            faults.fail(Call::Copy, 0, 1, ENOSPC);
            {
                let mut copy = pin!(copy_range(&from, 0, &to, 0, 10));
                while faults.struck() == 0 && stepper.waiting() == 0 {
                    begin(copy.as_mut());
                }
            }
            stepper.run_all();
            assert_eq!(faults.struck(), 1, "the copy was on its way");
            let error = drive(stepper, to.flush()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            drive(stepper, to.flush()).unwrap();
        });
    }

    /// A copy holds its place in the order of the target: what is accepted while it runs comes after it.
    #[test]
    fn what_comes_during_a_copy_comes_after_it() {
        stepped(|stepper, _| {
            let (dir, path) = sample("0123456789");
            let target = dir.path().join("to");
            let from = drive(stepper, File::open(&path)).unwrap();
            let mut to = drive(stepper, read_write().open(&target)).unwrap();
            let clone = drive(stepper, to.try_clone()).unwrap();
            let mut copy = pin!(copy_range(&from, 0, &clone, 0, 10));
            begin(copy.as_mut());
            begin(pin!(to.write(b"no")));
            assert_eq!(drive(stepper, copy.as_mut()).unwrap(), 10);
            drive(stepper, to.write_all(b"xy")).unwrap();
            drive(stepper, to.flush()).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"xy23456789");
        });
    }
}
