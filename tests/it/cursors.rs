//! Cursors on one open file, and the streams of chunks and lines that are made of what readers give.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use aiofiles::{Chunks, File, LineReader, OpenOptions};
use futures_lite::future::{block_on, poll_once, yield_now};
use futures_lite::io::{AsyncBufRead, AsyncRead};
use futures_lite::{
    AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, Stream, StreamExt as _, future,
};

use crate::files::*;
use crate::support::{
    Seed, alone, assert_same_bytes, every_runtime, iterations, numbered, random_bytes, temp_dir,
};

#[test]
fn a_cursor_starts_where_it_is_told() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = File::open(&path).await.unwrap();
        file.seek(SeekFrom::Start(77)).await.unwrap();
        let foreign = File::from(fs::File::open(&path).unwrap());
        for file in [&file, &foreign] {
            for offset in [0, 1, 50_000, 99_999, 100_000, 200_000, i64::MAX as u64] {
                let mut cursor = file.cursor(offset).unwrap();
                assert_eq!(cursor.stream_position().await.unwrap(), offset);
                assert_eq!(cursor.path(), file.path());
                let begin = (offset as usize).min(bytes.len());
                assert_same_bytes(rest(&mut cursor).await, &bytes[begin..]);
                let end = offset.max(bytes.len() as u64);
                assert_eq!(cursor.stream_position().await.unwrap(), end);
                cursor.seek(SeekFrom::Start(3)).await.unwrap();
                let mut found = [0; 5];
                cursor.read_exact(&mut found).await.unwrap();
                assert_eq!(found, bytes[3..8]);
                // A cursor of a cursor is one like any other.
                let mut other = cursor.cursor(9).unwrap();
                other.read_exact(&mut found).await.unwrap();
                assert_eq!(found, bytes[9..14]);
                assert_eq!(cursor.stream_position().await.unwrap(), 8);
            }
        }
        // The file itself is where it was.
        assert_eq!(file.stream_position().await.unwrap(), 77);
        assert_eq!(foreign.stream_position().await.unwrap(), 0);
        let too_large = file.cursor(i64::MAX as u64 + 1).unwrap_err();
        assert_eq!(too_large.kind(), ErrorKind::InvalidInput);
        let too_large = foreign.cursor(u64::MAX).unwrap_err();
        assert_eq!(too_large.kind(), ErrorKind::InvalidInput);
    });
}

/// The kernel's position, which somebody else may rely on, is not where cursors stand.
#[cfg(unix)]
#[test]
fn a_cursor_leaves_the_position_of_the_kernel() {
    use std::io::Seek as _;

    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(100_000));
        let mut std = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std.seek(SeekFrom::Start(42)).unwrap();
        let file = File::from(std.try_clone().unwrap());
        let mut cursor = file.cursor(1000).unwrap();
        cursor.read_exact(&mut [0; 10]).await.unwrap();
        cursor.write_all(b"written").await.unwrap();
        cursor.seek(SeekFrom::End(-5)).await.unwrap();
        cursor.read_exact(&mut [0; 5]).await.unwrap();
        cursor.flush().await.unwrap();
        assert_eq!(std.stream_position().unwrap(), 42);
        assert_eq!(file.stream_position().await.unwrap(), 42);
    });
}

/// Readers, writers and seekers run at once; each finds in its own part what it should.
#[test]
fn cursors_do_not_disturb_one_another() {
    const PART: usize = 50_000;
    const PARTS: usize = 8;
    every_runtime(|rt| async move {
        let bytes = numbered(PART * PARTS);
        let (_dir, path) = sample(&bytes);
        let file = read_write().open(&path).await.unwrap();
        let seed = Seed::new();
        let mut rng = seed.rng();
        let tasks = (0..PARTS).map(|part| {
            let begin = part * PART;
            let mut cursor = file.cursor(begin as u64).unwrap();
            let mut expected = bytes[begin..begin + PART].to_vec();
            let mut rng = rng.fork();
            rt.spawn(async move {
                let mut at = 0;
                for _ in 0..iterations(200) {
                    let len = rng.usize(..3000).min(PART - at);
                    match rng.u8(..4) {
                        0 => {
                            at = rng.usize(..PART);
                            let to = (begin + at) as u64;
                            assert_eq!(cursor.seek(SeekFrom::Start(to)).await.unwrap(), to);
                        }
                        1 => {
                            let new = random_bytes(&mut rng, len);
                            cursor.write_all(&new).await.unwrap();
                            expected[at..at + len].copy_from_slice(&new);
                            at += len;
                        }
                        _ => {
                            let mut found = vec![0; len];
                            cursor.read_exact(&mut found).await.unwrap();
                            assert_same_bytes(&found, &expected[at..at + len]);
                            at += len;
                        }
                    }
                    let position = cursor.stream_position().await.unwrap();
                    assert_eq!(position, (begin + at) as u64);
                }
                cursor.close().await.unwrap();
                expected
            })
        });
        let mut expected = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            expected.extend(task.await);
        }
        assert_same_bytes(fs::read(&path).unwrap(), expected);
        assert_eq!(file.stream_position().await.unwrap(), 0);
    });
}

/// What one accepted, the others see after its `flush`, also those who have read ahead.
#[test]
fn others_see_what_a_cursor_wrote_once_it_is_flushed() {
    every_runtime(|_| async {
        let (_dir, path) = sample(vec![0; 100_000]);
        let mut file = read_write().open(&path).await.unwrap();
        let mut reader = file.cursor(0).unwrap();
        let mut writer = file.cursor(10).unwrap();
        for round in 1..20 {
            for reader in [&mut file, &mut reader] {
                reader.seek(SeekFrom::Start(0)).await.unwrap();
                reader.read_exact(&mut [0; 5]).await.unwrap();
            }
            writer.seek(SeekFrom::Start(10)).await.unwrap();
            writer.write_all(&vec![round; 90_000]).await.unwrap();
            writer.flush().await.unwrap();
            for reader in [&mut file, &mut reader] {
                let found = rest(reader).await;
                assert_eq!(found[..5], [0; 5]);
                assert_same_bytes(&found[5..90_005], vec![round; 90_000]);
                assert_same_bytes(&found[90_005..], vec![0; 9990]);
            }
        }
    });
}

/// In append mode a cursor appends, wherever it stands, and reads where it stands.
#[test]
fn a_cursor_of_an_appending_file_appends() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).open(&path).await.unwrap();
        let mut cursor = file.cursor(4).unwrap();
        let mut found = [0; 2];
        cursor.read_exact(&mut found).await.unwrap();
        assert_eq!(&found, b"45");
        cursor.write_all(b"abc").await.unwrap();
        cursor.flush().await.unwrap();
        file.write_all(b"def").await.unwrap();
        file.flush().await.unwrap();
        cursor.seek(SeekFrom::Start(1)).await.unwrap();
        cursor.write_all(b"ghi").await.unwrap();
        cursor.close().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789abcdefghi");
    });
}

/// One that is closed or dropped leaves the others as they are, in whatever order they go, the file itself included.
#[test]
fn the_end_of_one_is_not_the_end_of_the_others() {
    every_runtime(|_| async {
        let bytes = numbered(10_000);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write().open(&path).await.unwrap();
        let mut cursors = (0..4)
            .map(|n| file.cursor(n * 1000).unwrap())
            .collect::<Vec<_>>();
        file.close().await.unwrap();
        assert_eq!(
            file.cursor(0).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "a closed file has no cursors"
        );
        cursors.remove(1).close().await.unwrap();
        drop(cursors.remove(0));
        for (cursor, begin) in cursors.iter_mut().zip([2000, 3000]) {
            assert_same_bytes(rest(cursor).await, &bytes[begin..]);
        }
        // Dropped, it still writes what it has accepted.
        let mut last = cursors.pop().unwrap();
        last.seek(SeekFrom::Start(5)).await.unwrap();
        last.write_all(b"accepted").await.unwrap();
        drop(last);
        aiofiles::settle().await;
        assert_eq!(fs::read(&path).unwrap()[5..13], *b"accepted");
        let other = cursors.pop().unwrap();
        assert_eq!(other.metadata().await.unwrap().len(), 10_000);
    });
}

/// They share one descriptor, which is closed with the last of them: by `close` before that returns.
#[cfg(target_os = "linux")]
#[test]
fn the_descriptor_is_closed_with_the_last_of_them() {
    use crate::support::fd_count;

    alone(|| {
        let (_dir, path) = sample(numbered(100_000));
        block_on(async {
            drop(File::open(&path).await.unwrap());
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            while aiofiles::backend().pending_closes() > 0 {
                yield_now().await;
            }
            let before = fd_count();
            for last_is_dropped in [false, true] {
                let mut file = read_write().open(&path).await.unwrap();
                assert_eq!(fd_count(), before + 1);
                let mut cursors = (0..100)
                    .map(|n| file.cursor(n).unwrap())
                    .collect::<Vec<_>>();
                for cursor in &mut cursors {
                    cursor.read_exact(&mut [0; 100]).await.unwrap();
                    cursor.write_all(&[1; 10]).await.unwrap();
                }
                assert_eq!(fd_count(), before + 1);
                file.close().await.unwrap();
                let mut last = cursors.pop().unwrap();
                for (number, mut cursor) in cursors.into_iter().enumerate() {
                    if number % 2 == 0 {
                        cursor.close().await.unwrap();
                    }
                }
                aiofiles::settle().await;
                assert_eq!(fd_count(), before + 1);
                last.read_exact(&mut [0; 10]).await.unwrap();
                if last_is_dropped {
                    drop(last);
                    aiofiles::settle().await;
                    let begin = std::time::Instant::now();
                    while fd_count() > before {
                        assert!(begin.elapsed().as_secs() < 60, "it is never closed");
                        yield_now().await;
                    }
                } else {
                    last.close().await.unwrap();
                    assert_eq!(fd_count(), before);
                }
            }
        });
    });
}

#[test]
fn a_hundred_cursors_read_the_whole_file_at_once() {
    every_runtime(|rt| async move {
        let bytes = numbered(300_000);
        let (_dir, path) = sample(&bytes);
        let file = File::open(&path).await.unwrap();
        let tasks = (0..100).map(|_| {
            let mut cursor = file.cursor(0).unwrap();
            let bytes = bytes.clone();
            rt.spawn(async move { assert_same_bytes(rest(&mut cursor).await, bytes) })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await;
        }
    });
}

/// What is known to have no positions has no cursors; of what somebody else opened, that is found out later.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_has_no_cursors() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    every_runtime(|_| async {
        let dir = temp_dir();
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = File::open(&fifo).await.unwrap();
        let error = reader.cursor(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSeekable);

        let (read, _write) = rustix::pipe::pipe().unwrap();
        let pipe = File::from(fs::File::from(read));
        if let Ok(cursor) = pipe.cursor(5) {
            let error = cursor.stream_position().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSeekable);
        }
        let error = pipe.cursor(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSeekable, "it is known by now");
    });
}

/// std's file of a cursor stands where the cursor did.
#[test]
fn a_cursor_becomes_a_file_of_std_at_its_position() {
    use std::io::Read as _;

    every_runtime(|_| async {
        let bytes = numbered(10_000);
        let (_dir, path) = sample(&bytes);
        let mut file = File::open(&path).await.unwrap();
        let mut cursor = file.cursor(100).unwrap();
        cursor.read_exact(&mut [0; 50]).await.unwrap();
        let mut std = cursor.into_std().await.unwrap();
        let mut found = Vec::new();
        std.read_to_end(&mut found).unwrap();
        assert_same_bytes(found, &bytes[150..]);
        assert_same_bytes(rest(&mut file).await, &bytes);
    });
}

/// What a reader does next.
#[derive(Clone, Debug)]
enum Step {
    /// Gives these bytes, in as many calls as the caller takes.
    Bytes(Vec<u8>),
    /// Fails with the code.
    Fail(i32),
    /// Is interrupted.
    Interrupt,
    /// Is not ready, and wakes at once.
    Wait,
}

/// A reader that does what it is told, and ends.
#[derive(Clone, Debug, Default)]
struct Scripted(VecDeque<Step>);

impl Scripted {
    /// Gives bytes in random pieces, with other things between them.
    fn random(bytes: &[u8], rng: &mut fastrand::Rng, failures: bool) -> Scripted {
        let mut steps = VecDeque::new();
        let mut left = bytes;
        let most = [1, 2, 5, 40, 5000][rng.usize(..5)];
        loop {
            match rng.u8(..12) {
                0 => steps.push_back(Step::Wait),
                1 => steps.push_back(Step::Interrupt),
                2 if failures => steps.push_back(Step::Fail(rng.i32(1..40))),
                _ if left.is_empty() => return Scripted(steps),
                _ => {
                    let (piece, rest) = left.split_at(rng.usize(1..=most).min(left.len()));
                    steps.push_back(Step::Bytes(piece.to_vec()));
                    left = rest;
                }
            }
        }
    }

    fn failures(&self) -> Vec<i32> {
        let code = |step: &Step| match step {
            // Interrupted calls are made again, whichever way they come.
            Step::Fail(code)
                if io::Error::from_raw_os_error(*code).kind() != ErrorKind::Interrupted =>
            {
                Some(*code)
            }
            _ => None,
        };
        self.0.iter().filter_map(code).collect()
    }
}

impl AsyncBufRead for Scripted {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let steps = &mut self.get_mut().0;
        while let Some(Step::Bytes(bytes)) = steps.front() {
            if !bytes.is_empty() {
                break;
            }
            steps.pop_front();
        }
        if let Some(Step::Bytes(_)) | None = steps.front() {
            return match steps.front() {
                Some(Step::Bytes(bytes)) => Poll::Ready(Ok(bytes)),
                _ => Poll::Ready(Ok(&[])),
            };
        }
        match steps.pop_front() {
            Some(Step::Fail(code)) => Poll::Ready(Err(io::Error::from_raw_os_error(code))),
            Some(Step::Interrupt) => Poll::Ready(Err(ErrorKind::Interrupted.into())),
            _ => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        if n > 0 {
            let Some(Step::Bytes(bytes)) = self.0.front_mut() else {
                panic!("{n} bytes more than were lent");
            };
            bytes.drain(..n);
        }
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "there is no room to read into");
        let bytes = match self.as_mut().poll_fill_buf(cx) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}

/// Takes all that a stream gives: items, and the codes of errors. Sometimes it gives up waiting and comes again.
fn take(
    mut stream: impl Stream<Item = io::Result<Vec<u8>>> + Unpin,
    rng: &mut fastrand::Rng,
) -> (Vec<Vec<u8>>, Vec<i32>) {
    let (mut items, mut codes) = (Vec::new(), Vec::new());
    loop {
        let next = if rng.bool() {
            match block_on(poll_once(stream.next())) {
                Some(next) => next,
                None => continue,
            }
        } else {
            block_on(stream.next())
        };
        match next {
            Some(Ok(item)) => items.push(item),
            Some(Err(error)) => codes.push(error.raw_os_error().expect("a code")),
            None => break,
        }
    }
    assert!(
        block_on(stream.next()).is_none(),
        "there is more after the end"
    );
    (items, codes)
}

fn split_in_chunks(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}

#[test]
fn chunks_of_every_size_are_those_of_a_slice() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for len in [0, 1, 2, 7, 64, 100] {
        let bytes = numbered(len);
        for size in (1..=len + 1).chain([1000, usize::MAX]) {
            let expected = split_in_chunks(&bytes, size);
            let (found, _) = take(Chunks::new(&bytes[..], size), &mut rng);
            assert_eq!(found, expected, "{len} bytes by {size}");
            // One byte at a time comes to the same.
            let steps = bytes.iter().map(|byte| Step::Bytes(vec![*byte]));
            let (found, _) = take(Chunks::new(Scripted(steps.collect()), size), &mut rng);
            assert_eq!(found, expected, "{len} bytes by {size}, one by one");
        }
    }
}

/// Whatever the reader does, and whenever the wait is given up: every byte comes once, and every error.
#[test]
fn chunks_lose_no_byte_to_errors_interruptions_and_cancelling() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for _ in 0..iterations(1000) {
        let len = rng.usize(..500);
        let bytes = random_bytes(&mut rng, len);
        let reader = Scripted::random(&bytes, &mut rng, true);
        let size = match rng.u8(..3) {
            0 => rng.usize(1..5),
            1 => rng.usize(1..100),
            _ => rng.usize(1..1000),
        };
        let failures = reader.failures();
        let (found, codes) = take(Chunks::new(reader, size), &mut rng);
        assert_eq!(found, split_in_chunks(&bytes, size));
        assert_eq!(codes, failures);
    }
}

/// A chunk may be larger than the memory it gets at first.
#[test]
fn large_chunks_are_whole() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    let bytes = numbered(3_000_000);
    for size in [
        256 * 1024 - 1,
        256 * 1024,
        256 * 1024 + 1,
        1 << 20,
        2_999_999,
        1 << 40,
    ] {
        let (found, _) = take(Chunks::new(&bytes[..], size), &mut rng);
        assert_eq!(found.len(), bytes.len().div_ceil(size));
        for (found, expected) in found.iter().zip(bytes.chunks(size)) {
            assert_same_bytes(found, expected);
        }
    }
}

#[test]
fn chunks_of_nothing_are_one_error() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let file = File::open(&path).await.unwrap();
        let mut chunks = file.chunks(0);
        let error = chunks.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(chunks.next().await.is_none());
        assert!(chunks.next().await.is_none());
        // The file is as it was.
        assert_eq!(rest(&mut chunks.into_inner()).await, b"content");
    });
}

/// The rest of the file, from its position on, and on from there by whoever takes the file back.
#[test]
fn chunks_of_a_file_are_its_rest() {
    every_runtime(|_| async {
        let bytes = numbered(1_000_000);
        let (_dir, path) = sample(&bytes);
        for (begin, size) in [
            (0, 1000),
            (5, 65_536),
            (999_999, 7),
            (500_000, 400_000),
            (0, 1 << 30),
        ] {
            let mut file = File::open(&path).await.unwrap();
            file.seek(SeekFrom::Start(begin as u64)).await.unwrap();
            let chunks = file.chunks(size);
            let chunks: Vec<_> = chunks.map(Result::unwrap).collect().await;
            assert_eq!(chunks.len(), bytes[begin..].len().div_ceil(size));
            for (found, expected) in chunks.iter().zip(bytes[begin..].chunks(size)) {
                assert_same_bytes(found, expected);
            }
        }
        let file = File::open(&path).await.unwrap();
        let mut chunks = file.chunks(100);
        assert_eq!(chunks.next().await.unwrap().unwrap(), bytes[..100]);
        assert_eq!(chunks.next().await.unwrap().unwrap(), bytes[100..200]);
        assert_same_bytes(rest(&mut chunks.into_inner()).await, &bytes[200..]);
        // What cannot be read says so.
        let dir = temp_dir();
        let write_only = File::create(dir.path().join("file")).await.unwrap();
        assert!(write_only.chunks(10).next().await.unwrap().is_err());
    });
}

/// The naive way to split.
fn split(bytes: &[u8], separator: &[u8], keep: bool, trim: bool) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        let found = left
            .windows(separator.len())
            .position(|window| window == separator);
        let (mut line, next) = match found {
            Some(at) => (&left[..at], &left[at + separator.len()..]),
            None => {
                lines.push(left.to_vec());
                break;
            }
        };
        if keep {
            line = &left[..line.len() + separator.len()];
        } else if trim {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        lines.push(line.to_vec());
        left = next;
    }
    lines
}

/// Separators, some of which overlap themselves.
const SEPARATORS: [&str; 14] = [
    "\n", "\r\n", "\0", "x", "aa", "ab", "aaa", "aba", "abab", "abaab", "aaaaa", "--", "\r",
    "ba\nb",
];

/// Bytes in which parts of the separator are everywhere.
fn full_of(separator: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(..60) {
        match rng.u8(..8) {
            0..3 => bytes.extend_from_slice(separator),
            3 => bytes.extend_from_slice(&separator[..rng.usize(..=separator.len())]),
            4 => bytes.extend_from_slice(&separator[rng.usize(..=separator.len())..]),
            5 => bytes.push(b'\r'),
            6 => bytes.push(b"ab\nx-"[rng.usize(..5)]),
            _ => {
                let len = rng.usize(..10);
                bytes.extend(random_bytes(rng, len));
            }
        }
    }
    bytes
}

/// Whatever the separator, and wherever what is read is cut: the lines are those of the naive way.
#[test]
fn lines_are_those_of_a_naive_splitter() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for round in 0..iterations(10_000) {
        let separator = SEPARATORS[rng.usize(..SEPARATORS.len())].as_bytes();
        let bytes = full_of(separator, &mut rng);
        let (keep, trim) = (rng.bool(), rng.bool());
        let reader = Scripted::random(&bytes, &mut rng, round % 2 == 0);
        let failures = reader.failures();
        let lines = LineReader::new(reader)
            .separator(separator)
            .keep_separator(keep)
            .trim_crlf(trim);
        let (found, codes) = take(lines, &mut rng);
        let expected = split(&bytes, separator, keep, trim);
        assert_eq!(
            found, expected,
            "{bytes:?} by {separator:?}, keep {keep}, trim {trim}"
        );
        assert_eq!(codes, failures);
    }
}

/// Without being told anything, lines end with `\n`, as those of std do.
#[test]
fn plain_lines_are_those_of_std() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for _ in 0..iterations(500) {
        let bytes = full_of(b"\n", &mut rng);
        let expected = io::BufRead::split(io::Cursor::new(&bytes), b'\n');
        let expected = expected.map(Result::unwrap).collect::<Vec<_>>();
        let (found, _) = take(LineReader::new(&bytes[..]), &mut rng);
        assert_eq!(found, expected);
    }
}

/// The cases at the edges, by hand.
#[test]
fn lines_at_the_edges() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    let mut check = |bytes: &str, separator: &str, keep: bool, trim: bool, expected: &[&str]| {
        let lines = LineReader::new(bytes.as_bytes())
            .separator(separator)
            .keep_separator(keep)
            .trim_crlf(trim);
        let (found, _) = take(lines, &mut rng);
        let expected = expected.iter().map(|line| line.as_bytes().to_vec());
        assert_eq!(
            found,
            expected.collect::<Vec<_>>(),
            "{bytes:?} by {separator:?}"
        );
    };
    check("", "\n", false, false, &[]);
    check("", "\n", true, true, &[]);
    check("\n", "\n", false, false, &[""]);
    check("\n\n", "\n", true, false, &["\n", "\n"]);
    check("a", "\n", true, false, &["a"]);
    check("a\nb", "\n", true, false, &["a\n", "b"]);
    check("a\nb\n", "\n", false, false, &["a", "b"]);
    check("a\r\nb\r\r\nc\r", "\n", false, true, &["a", "b\r", "c\r"]);
    check("a\r\nb", "\n", true, true, &["a\r\n", "b"]);
    check("a\r\r\nb\r\n", "\r\n", false, true, &["a", "b"]);
    check("a\rb\n\r\n", "\r\n", false, false, &["a\rb\n"]);
    check("ababa", "aba", false, false, &["", "ba"]);
    check("aaaaa", "aa", false, false, &["", "", "a"]);
    check("aab", "ab", false, false, &["a"]);
    check("--", "---", false, false, &["--"]);
}

#[test]
fn an_empty_separator_is_one_error() {
    let mut lines = LineReader::new(&b"a\nb"[..]).separator("");
    let error = block_on(lines.next()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(block_on(lines.next()).is_none());
    assert!(block_on(lines.next()).is_none());
    assert_eq!(lines.into_inner(), b"a\nb");
}

/// Lines that are longer than any block that a file reads ahead, and separators across the edges of blocks.
#[test]
fn lines_of_a_file_go_across_its_blocks() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        for separator in ["\n", "\r\n", "aba"] {
            let separator = separator.as_bytes();
            let mut bytes = Vec::new();
            let mut lens = vec![0, 1, 8191, 8192, 8190, 300_000];
            lens.extend((0..500).map(|_| rng.usize(..300)));
            rng.shuffle(&mut lens);
            for len in lens {
                bytes.extend((0..len).map(|_| b"ab\rxyz"[rng.usize(..6)]));
                bytes.extend_from_slice(separator);
            }
            bytes.extend_from_slice(b"the end");
            let (_dir, path) = sample(&bytes);
            let expected = split(&bytes, separator, false, true);
            let small = OpenOptions::new()
                .read(true)
                .buffer_size(997)
                .open(&path)
                .await;
            for file in [File::open(&path).await, small] {
                let mut lines = LineReader::new(file.unwrap())
                    .separator(separator)
                    .trim_crlf(true);
                let mut count = 0;
                while let Some(line) = lines.next().await {
                    assert_same_bytes(line.unwrap(), &expected[count]);
                    count += 1;
                }
                assert_eq!(count, expected.len());
            }
        }
    });
}

/// Whoever takes the reader back goes on behind the last line that was handed out.
#[test]
fn the_reader_is_taken_back_behind_the_last_line() {
    every_runtime(|_| async {
        let (_dir, path) = sample("one\ntwo\nthree\n");
        let file = File::open(&path).await.unwrap();
        let mut lines = LineReader::new(file);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        let mut file = lines.into_inner();
        assert_eq!(file.stream_position().await.unwrap(), 4);
        assert_eq!(rest(&mut file).await, b"two\nthree\n");
    });
}

/// Two streams over two cursors of one file, in one task.
#[test]
fn lines_of_two_cursors_are_read_side_by_side() {
    every_runtime(|_| async {
        let lines = (0..20_000).map(|n| format!("line {n}\n"));
        let (_dir, path) = sample(lines.collect::<String>());
        let file = File::open(&path).await.unwrap();
        let one = LineReader::new(file.cursor(0).unwrap());
        let other = LineReader::new(file.cursor(7).unwrap());
        let (mut one, mut other) = (one, other);
        for n in 0..19_999 {
            let (one, other) = future::zip(one.next(), other.next()).await;
            assert_eq!(one.unwrap().unwrap(), format!("line {n}").as_bytes());
            let next = format!("line {}", n + 1);
            assert_eq!(other.unwrap().unwrap(), next.as_bytes());
        }
        assert!(other.next().await.is_none());
        assert_eq!(one.next().await.unwrap().unwrap(), b"line 19999");
    });
}

#[cfg(all(unix, feature = "testing"))]
mod steps {
    use aiofiles::testing::Call;
    use rustix::io::Errno;

    use super::*;
    use crate::steps::*;

    const EIO: i32 = Errno::IO.raw_os_error();

    /// Making a cursor asks the system nothing.
    #[test]
    fn a_cursor_is_made_without_a_system_call() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("content");
            let file = drive(stepper, File::open(&path)).unwrap();
            for call in [Call::Open, Call::Metadata, Call::Seek] {
                faults.fail(call, 0, EVER, EIO);
            }
            let mut cursor = file.cursor(3).unwrap();
            assert_eq!(stepper.waiting(), 0);
            assert_eq!(drive(stepper, rest(&mut cursor)), b"tent");
            assert_eq!(faults.struck(), 0);
        });
    }

    /// An error of a file costs its chunks and lines no byte.
    #[test]
    fn chunks_and_lines_of_a_file_go_on_after_an_error() {
        stepped(|stepper, faults| {
            let bytes = "line\n".repeat(10_000).into_bytes();
            let (_dir, path) = sample(&bytes);
            let file = drive(stepper, File::open(&path)).unwrap();
            faults.short(Call::Read, 0, EVER, 777);
            faults.fail(Call::Read, 5, 2, EIO);
            let (mut found, mut failed) = (Vec::new(), 0);
            let mut chunks = file.chunks(10_000);
            while let Some(chunk) = drive(stepper, chunks.next()) {
                match chunk {
                    Ok(chunk) => found.extend(chunk),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(EIO));
                        failed += 1;
                    }
                }
            }
            assert_same_bytes(found, &bytes);
            assert!(failed > 0);

            let file = drive(stepper, File::open(&path)).unwrap();
            faults.fail(Call::Read, 5, 2, EIO);
            let (mut lines, mut count, mut failed) = (LineReader::new(file), 0, 0);
            while let Some(line) = drive(stepper, lines.next()) {
                match line {
                    Ok(line) => {
                        assert_eq!(line, b"line");
                        count += 1;
                    }
                    Err(_) => failed += 1,
                }
            }
            assert_eq!(count, 10_000);
            assert!(failed > 0);
        });
    }

    /// The error of a write of one cursor is its own.
    #[test]
    fn an_error_of_one_cursor_is_told_by_that_cursor() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("0123456789");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            let mut one = file.cursor(2).unwrap();
            let mut other = file.cursor(5).unwrap();
            faults.fail(Call::Write, 0, 1, EIO);
            drive(stepper, one.write_all(b"one")).unwrap();
            stepper.run_all();
            drive(stepper, other.write_all(b"other")).unwrap();
            drive(stepper, other.flush()).unwrap();
            drive(stepper, file.flush()).unwrap();
            let error = drive(stepper, one.flush()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(EIO));
            drive(stepper, one.flush()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"01oneother");
        });
    }
}
