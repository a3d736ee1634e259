//! `File` under the adapters of other crates: what they promise for any reader and writer holds for it, byte for byte,
//! on every runtime.

use std::fs;
use std::path::{Path, PathBuf};

use aiofiles::File;

use crate::support::{assert_same_bytes, numbered};

/// Long enough for several buffers of everybody, and a multiple of nothing.
const LEN: usize = 300_007;

/// A new file of these bytes, opened for reading.
async fn reader(dir: &Path, name: &str, bytes: &[u8]) -> File {
    let path = dir.join(name);
    fs::write(&path, bytes).expect("a file to read");
    File::open(path).await.expect("the file opens")
}

/// A new empty file, opened for writing, and its path.
async fn writer(dir: &Path, name: &str) -> (File, PathBuf) {
    let path = dir.join(name);
    (File::create(&path).await.expect("the file opens"), path)
}

#[track_caller]
fn assert_file_holds(path: &Path, expected: &[u8]) {
    assert_same_bytes(fs::read(path).expect("the file can be read"), expected);
}

/// A text whose lines have every awkward shape: empty, one longer than any buffer, `\r\n`, and a last one without an end.
fn awkward_text() -> String {
    let mut text: String = (0..3000)
        .map(|n| format!("{n}:{}\n", "ä".repeat(n % 40)))
        .collect();
    text.push_str("\n\r\n\n");
    text.push_str(&"long ".repeat(40_000));
    text.push_str("\r\nno end");
    text
}

/// Cuts the bytes into pieces of 1, 2, 4 ... 128 KiB, 1, 2 ...
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..=17).cycle().map_while(move |power| {
        let piece = bytes.split_off(..bytes.len().min(1 << power))?;
        (!piece.is_empty()).then_some(piece)
    })
}

mod with_futures_util {
    use std::io::{ErrorKind, SeekFrom};
    use std::pin::Pin;

    use aiofiles::OpenOptions;
    use futures_lite::future::yield_now;
    use futures_util::io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncSeekExt as _,
        AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter, LineWriter, copy, copy_buf,
    };
    use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};

    use super::*;
    use crate::support::{Seed, every_runtime, temp_dir};

    #[test]
    fn read_to_end_and_read_to_string_give_the_rest_of_the_file() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut file = reader(dir.path(), "bytes", &bytes).await;
            let mut start = [0; 1000];
            file.read_exact(&mut start).await.unwrap();
            let mut rest = b"kept".to_vec();
            assert_eq!(file.read_to_end(&mut rest).await.unwrap(), LEN - 1000);
            assert_same_bytes(start, &bytes[..1000]);
            assert_same_bytes(rest, [b"kept", &bytes[1000..]].concat());

            let text = awkward_text();
            let mut file = reader(dir.path(), "text", text.as_bytes()).await;
            let mut found = String::new();
            file.read_to_string(&mut found).await.unwrap();
            assert_same_bytes(found, text);
        });
    }

    #[test]
    fn read_exact_past_the_end_is_an_unexpected_end_and_read_at_the_end_is_0() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let mut file = reader(dir.path(), "file", b"four").await;
            let error = file.read_exact(&mut [0; 5]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            assert_eq!(file.read(&mut [0; 5]).await.unwrap(), 0);
        });
    }

    #[test]
    fn take_stops_at_its_limit_and_leaves_the_rest_to_the_file() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut file = reader(dir.path(), "file", &bytes).await;
            let (mut first, mut second) = (Vec::new(), Vec::new());
            (&mut file)
                .take(100_001)
                .read_to_end(&mut first)
                .await
                .unwrap();
            file.read_to_end(&mut second).await.unwrap();
            assert_same_bytes(first, &bytes[..100_001]);
            assert_same_bytes(second, &bytes[100_001..]);
        });
    }

    #[test]
    fn chain_reads_one_file_after_the_other() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let first = reader(dir.path(), "first", &bytes[..70_000]).await;
            let second = reader(dir.path(), "second", &bytes[70_000..]).await;
            let mut found = Vec::new();
            first.chain(second).read_to_end(&mut found).await.unwrap();
            assert_same_bytes(found, bytes);
        });
    }

    #[test]
    fn buf_reader_of_any_capacity_gives_every_byte() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            for capacity in [1000, 8192, 1 << 20] {
                let file = reader(dir.path(), "file", &bytes).await;
                let mut found = Vec::new();
                BufReader::with_capacity(capacity, file)
                    .read_to_end(&mut found)
                    .await
                    .unwrap();
                assert_same_bytes(found, &bytes);
            }
        });
    }

    #[test]
    fn seeks_through_buf_reader_land_where_std_lands() {
        every_runtime(|_| async {
            use std::io::{BufRead as _, Read as _, Seek as _};

            let dir = temp_dir();
            let file = reader(dir.path(), "file", &numbered(LEN)).await;
            let mut ours = BufReader::new(file);
            let mut stds =
                std::io::BufReader::new(fs::File::open(dir.path().join("file")).unwrap());
            let seed = Seed::new();
            let mut rng = seed.rng();
            for _ in 0..200 {
                let to = match rng.u8(..4) {
                    0 => SeekFrom::Start(rng.u64(..LEN as u64 + 10)),
                    1 => SeekFrom::End(-rng.i64(0..LEN as i64)),
                    _ => SeekFrom::Current(rng.i64(-5000..5000)),
                };
                match (ours.seek(to).await, stds.seek(to)) {
                    (Ok(ours), Ok(stds)) => assert_eq!(ours, stds, "{to:?}"),
                    (Err(ours), Err(stds)) => assert_eq!(ours.kind(), stds.kind(), "{to:?}"),
                    (ours, stds) => panic!("{to:?}: {ours:?}, but std {stds:?}"),
                }
                let (mut found, mut expected) = ([0; 300], [0; 300]);
                let len = stds.read(&mut expected[..rng.usize(1..300)]).unwrap();
                ours.read_exact(&mut found[..len]).await.unwrap();
                assert_same_bytes(&found[..len], &expected[..len]);
                let at_end = stds.fill_buf().unwrap().is_empty();
                assert_eq!(ours.fill_buf().await.unwrap().is_empty(), at_end);
            }
        });
    }

    #[test]
    fn lines_are_those_of_std_with_and_without_a_buf_reader() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let expected: Vec<&str> = text.lines().collect();
            let file = reader(dir.path(), "file", text.as_bytes()).await;
            let found: Vec<String> = file.lines().try_collect().await.unwrap();
            assert!(found == expected, "lines of the file itself");
            let file = reader(dir.path(), "file", text.as_bytes()).await;
            let found: Vec<String> = BufReader::with_capacity(10, file)
                .lines()
                .try_collect()
                .await
                .unwrap();
            assert!(found == expected, "lines through a BufReader");
        });
    }

    #[test]
    fn read_until_and_read_line_end_after_the_delimiter() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let mut file = reader(dir.path(), "file", text.as_bytes()).await;
            for (n, expected) in text
                .as_bytes()
                .split_inclusive(|&byte| byte == b'\n')
                .enumerate()
            {
                if n % 2 == 0 {
                    let mut found = Vec::new();
                    file.read_until(b'\n', &mut found).await.unwrap();
                    assert_same_bytes(found, expected);
                } else {
                    let mut found = String::new();
                    file.read_line(&mut found).await.unwrap();
                    assert_same_bytes(found, expected);
                }
            }
            assert_eq!(file.read_until(b'\n', &mut Vec::new()).await.unwrap(), 0);
        });
    }

    /// Whatever was read ahead of the line does not move the place of the next byte.
    #[test]
    fn lines_and_writes_take_turns_on_one_position() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let mut text = awkward_text().into_bytes();
            fs::write(&path, &text).unwrap();
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .await
                .unwrap();
            let mut at = 0;
            for turn in 0..100 {
                let mut line = Vec::new();
                file.read_until(b'\n', &mut line).await.unwrap();
                assert_same_bytes(&line, &text[at..][..line.len()]);
                at += line.len();
                let new = vec![b'a' + turn % 26; 1 + usize::from(turn)];
                file.write_all(&new).await.unwrap();
                text[at..][..new.len()].copy_from_slice(&new);
                at += new.len();
                assert_eq!(file.stream_position().await.unwrap(), at as u64);
            }
            file.close().await.unwrap();
            assert_file_holds(&path, &text);
        });
    }

    #[test]
    fn buf_writer_writes_every_byte_in_order() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            for capacity in [1, 1000, 1 << 20] {
                let (file, path) = writer(dir.path(), "file").await;
                let mut writer = BufWriter::with_capacity(capacity, file);
                for piece in pieces(&bytes) {
                    writer.write_all(piece).await.unwrap();
                }
                writer.close().await.unwrap();
                assert_file_holds(&path, &bytes);
            }
        });
    }

    #[test]
    fn line_writer_writes_every_byte_in_order() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let (file, path) = writer(dir.path(), "file").await;
            let mut writer = LineWriter::new(file);
            for piece in pieces(text.as_bytes()) {
                writer.write_all(piece).await.unwrap();
            }
            writer.close().await.unwrap();
            assert_file_holds(&path, text.as_bytes());
        });
    }

    #[test]
    fn a_sink_writes_every_item_in_order() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let (file, path) = writer(dir.path(), "file").await;
            let items: Vec<_> = pieces(&bytes).map(|piece| Ok(piece.to_vec())).collect();
            let mut sink = file.into_sink();
            sink.send_all(&mut stream::iter(items)).await.unwrap();
            sink.close().await.unwrap();
            assert_file_holds(&path, &bytes);
        });
    }

    #[test]
    fn copy_and_copy_buf_move_the_rest_of_the_file() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut from = reader(dir.path(), "from", &bytes).await;
            from.seek(SeekFrom::Start(7)).await.unwrap();
            let (mut to, path) = writer(dir.path(), "copy").await;
            assert_eq!(copy(&mut from, &mut to).await.unwrap(), LEN as u64 - 7);
            assert_file_holds(&path, &bytes[7..]);

            from.seek(SeekFrom::End(-100_000)).await.unwrap();
            let (mut to, path) = writer(dir.path(), "copy_buf").await;
            assert_eq!(copy_buf(&mut from, &mut to).await.unwrap(), 100_000);
            assert_file_holds(&path, &bytes[LEN - 100_000..]);
        });
    }

    #[test]
    fn trait_objects_read_and_write_like_the_file() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut readers: Vec<Box<dyn AsyncRead + Unpin + Send>> = Vec::new();
            for (n, piece) in bytes.chunks(100_000).enumerate() {
                readers.push(Box::new(reader(dir.path(), &n.to_string(), piece).await));
            }
            let (file, path) = writer(dir.path(), "to").await;
            let mut to: Pin<Box<dyn AsyncWrite + Send>> = Box::pin(file);
            for reader in readers {
                copy(reader, &mut to).await.unwrap();
            }
            to.close().await.unwrap();
            assert_file_holds(&path, &bytes);

            let mut buffered: Box<dyn AsyncBufRead + Unpin + Send + Sync> =
                Box::new(File::open(path).await.unwrap());
            let mut found = Vec::new();
            while !buffered.fill_buf().await.unwrap().is_empty() {
                let part = buffered.fill_buf().await.unwrap();
                let len = part.len().min(4999);
                found.extend_from_slice(&part[..len]);
                buffered.consume_unpin(len);
            }
            assert_same_bytes(found, bytes);
        });
    }

    /// The halves share the file's position: whatever lies below it in the end was either read once or written once.
    /// Old bytes are below 0x80 and new ones above, so the file itself tells which.
    #[test]
    fn split_halves_in_two_tasks_share_one_position_and_lose_no_byte() {
        every_runtime(|rt| async move {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let old: Vec<u8> = numbered(LEN).into_iter().map(|byte| byte & 0x7f).collect();
            fs::write(&path, &old).unwrap();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .await
                .unwrap();
            let (mut read_half, mut write_half) = file.split();
            let seed = Seed::new();
            let (mut read_rng, mut write_rng) =
                (seed.rng(), fastrand::Rng::with_seed(!seed.value()));

            let reading = rt.spawn(async move {
                let mut read = Vec::new();
                while read.len() < 100_000 {
                    let mut piece = vec![0; read_rng.usize(1..3000)];
                    let len = read_half.read(&mut piece).await.unwrap();
                    assert_ne!(len, 0, "the file ends further on");
                    read.extend_from_slice(&piece[..len]);
                    if read_rng.bool() {
                        yield_now().await;
                    }
                }
                (read_half, read)
            });
            let writing = rt.spawn(async move {
                let mut written = Vec::new();
                while written.len() < 100_000 {
                    let start = written.len();
                    written.extend((0..write_rng.usize(1..3000)).map(|n| (start + n) as u8 | 0x80));
                    write_half.write_all(&written[start..]).await.unwrap();
                    if write_rng.bool() {
                        yield_now().await;
                    }
                }
                write_half.flush().await.unwrap();
                (write_half, written)
            });
            let (read_half, read) = reading.await;
            let (write_half, written) = writing.await;

            let file = read_half.reunite(write_half).expect("halves of one file");
            let end = file.stream_position().await.unwrap() as usize;
            assert_eq!(end, read.len() + written.len());
            let found = fs::read(&path).unwrap();
            let (new_in_file, left_in_file): (Vec<u8>, Vec<u8>) =
                found[..end].iter().partition(|&&byte| byte >= 0x80);
            assert_same_bytes(new_in_file, written);
            assert_same_bytes(left_in_file, read);
            assert_same_bytes(&found[end..], &old[end..]);
        });
    }

    #[test]
    fn a_stream_of_files_read_concurrently_gives_each_its_own_bytes() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let lens: Vec<usize> = (0..32).map(|n| n * n * 97).collect();
            for &len in &lens {
                fs::write(dir.path().join(len.to_string()), &bytes[LEN - len..]).unwrap();
            }
            let mut found: Vec<(usize, Vec<u8>)> = stream::iter(lens.clone())
                .map(|len| {
                    let path = dir.path().join(len.to_string());
                    async move {
                        let mut found = Vec::new();
                        File::open(path)
                            .await
                            .unwrap()
                            .read_to_end(&mut found)
                            .await
                            .unwrap();
                        (len, found)
                    }
                })
                .buffer_unordered(8)
                .collect()
                .await;
            found.sort_unstable();
            assert_eq!(found.len(), lens.len());
            for (len, found) in found {
                assert_same_bytes(found, &bytes[LEN - len..]);
            }
        });
    }
}

mod with_futures_lite {
    use std::io::SeekFrom;

    use futures_lite::StreamExt as _;
    use futures_lite::io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufReader,
        BufWriter, copy, split,
    };

    use super::*;
    use crate::support::{every_runtime, temp_dir};

    #[test]
    fn take_chain_and_read_to_end_compose() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let first = reader(dir.path(), "first", &bytes).await;
            let mut second = reader(dir.path(), "second", &bytes).await;
            second.seek(SeekFrom::Start(100_001)).await.unwrap();
            let mut found = Vec::new();
            first
                .take(100_001)
                .chain(second)
                .read_to_end(&mut found)
                .await
                .unwrap();
            assert_same_bytes(found, bytes);
        });
    }

    #[test]
    fn bytes_gives_them_one_by_one() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(20_001);
            let file = reader(dir.path(), "file", &bytes).await;
            let found: Vec<u8> = file.bytes().try_collect().await.unwrap();
            assert_same_bytes(found, bytes);
        });
    }

    #[test]
    fn lines_and_split_are_those_of_std_with_and_without_a_buf_reader() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let lines: Vec<&str> = text.lines().collect();
            let parts: Vec<&[u8]> = text.as_bytes().split(|&byte| byte == b':').collect();
            let file = || async { reader(dir.path(), "file", text.as_bytes()).await };

            let found: Vec<String> = file().await.lines().try_collect().await.unwrap();
            assert!(found == lines, "lines of the file itself");
            let found: Vec<String> = BufReader::new(file().await)
                .lines()
                .try_collect()
                .await
                .unwrap();
            assert!(found == lines, "lines through a BufReader");
            let found: Vec<Vec<u8>> = file().await.split(b':').try_collect().await.unwrap();
            assert!(found == parts, "parts of the file itself");
            let found: Vec<Vec<u8>> = BufReader::new(file().await)
                .split(b':')
                .try_collect()
                .await
                .unwrap();
            assert!(found == parts, "parts through a BufReader");
        });
    }

    #[test]
    fn buf_writer_writes_every_byte_and_seeks_behind_them() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let (file, path) = writer(dir.path(), "file").await;
            let mut writer = BufWriter::with_capacity(3000, file);
            writer.write_all(&[0xff; 10]).await.unwrap();
            for piece in pieces(&bytes[10..]) {
                writer.write_all(piece).await.unwrap();
            }
            writer.seek(SeekFrom::Start(0)).await.unwrap();
            writer.write_all(&bytes[..10]).await.unwrap();
            writer.flush().await.unwrap();
            assert_file_holds(&path, &bytes);
        });
    }

    #[test]
    fn boxed_readers_and_writers_copy_every_byte() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let from = reader(dir.path(), "from", &bytes).await.boxed_reader();
            let (file, path) = writer(dir.path(), "to").await;
            let mut to = file.boxed_writer();
            assert_eq!(copy(from, &mut to).await.unwrap(), LEN as u64);
            to.close().await.unwrap();
            assert_file_holds(&path, &bytes);
        });
    }

    /// Reading goes on from where writing stopped, as the halves share the file's position.
    #[test]
    fn split_halves_take_turns_on_one_position() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let old = numbered(LEN);
            fs::write(&path, &old).unwrap();
            let file = File::options()
                .read(true)
                .write(true)
                .open(&path)
                .await
                .unwrap();
            let (mut read_half, mut write_half) = split(file);
            let mut expected = old.clone();
            let mut at = 0;
            for turn in 0..100 {
                let new = vec![turn; 1000 + usize::from(turn)];
                write_half.write_all(&new).await.unwrap();
                expected[at..at + new.len()].copy_from_slice(&new);
                at += new.len();
                let mut found = vec![0; 1500];
                read_half.read_exact(&mut found).await.unwrap();
                assert_same_bytes(found, &old[at..at + 1500]);
                at += 1500;
            }
            write_half.close().await.unwrap();
            assert_file_holds(&path, &expected);
        });
    }
}

mod with_async_std {
    use async_std::io::prelude::BufReadExt as _;
    use async_std::io::{BufReader, BufWriter, ReadExt as _, SeekFrom, WriteExt as _, copy};
    use async_std::stream::StreamExt as _;

    use super::*;
    use crate::support::{every_runtime, temp_dir};

    #[test]
    fn copy_and_the_buffers_of_async_std_move_every_byte() {
        every_runtime(|_| async {
            use async_std::io::prelude::SeekExt as _;

            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut from = reader(dir.path(), "from", &bytes).await;
            let (mut to, path) = writer(dir.path(), "plain").await;
            assert_eq!(copy(&mut from, &mut to).await.unwrap(), LEN as u64);
            assert_file_holds(&path, &bytes);

            from.seek(SeekFrom::Start(11)).await.unwrap();
            let (to, path) = writer(dir.path(), "buffered").await;
            let mut to = BufWriter::new(to);
            assert_eq!(
                copy(&mut BufReader::new(from), &mut to).await.unwrap(),
                LEN as u64 - 11
            );
            to.flush().await.unwrap();
            assert_file_holds(&path, &bytes[11..]);
        });
    }

    #[test]
    fn the_readers_of_async_std_agree_with_std() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let mut lines = reader(dir.path(), "file", text.as_bytes()).await.lines();
            let mut found = Vec::new();
            while let Some(line) = lines.next().await {
                found.push(line.unwrap());
            }
            assert!(found.iter().eq(text.lines()), "lines of the file itself");

            let mut found = String::new();
            reader(dir.path(), "file", text.as_bytes())
                .await
                .take(4999)
                .read_to_string(&mut found)
                .await
                .unwrap();
            assert_same_bytes(found, &text.as_bytes()[..4999]);
        });
    }
}

mod with_smol {
    use super::*;
    use crate::support::{every_runtime, temp_dir};

    #[test]
    fn copy_of_smol_moves_every_byte() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut from = reader(dir.path(), "from", &bytes).await;
            let (mut to, path) = writer(dir.path(), "to").await;
            assert_eq!(
                smol::io::copy(&mut from, &mut to).await.unwrap(),
                LEN as u64
            );
            assert_file_holds(&path, &bytes);
        });
    }
}

mod with_tokio_compat {
    use std::io::SeekFrom;

    use tokio::io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufReader,
        BufStream, BufWriter, copy, copy_buf,
    };
    use tokio_util::compat::{FuturesAsyncReadCompatExt as _, FuturesAsyncWriteCompatExt as _};

    use super::*;
    use crate::support::{every_runtime, temp_dir};

    #[test]
    fn copy_and_copy_buf_of_tokio_move_every_byte() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let mut from = reader(dir.path(), "from", &bytes).await.compat();
            let (to, path) = writer(dir.path(), "copy").await;
            assert_eq!(
                copy(&mut from, &mut to.compat_write()).await.unwrap(),
                LEN as u64
            );
            assert_file_holds(&path, &bytes);

            from.seek(SeekFrom::Start(13)).await.unwrap();
            let (to, path) = writer(dir.path(), "copy_buf").await;
            let mut to = BufWriter::new(to.compat_write());
            assert_eq!(copy_buf(&mut from, &mut to).await.unwrap(), LEN as u64 - 13);
            to.shutdown().await.unwrap();
            assert_file_holds(&path, &bytes[13..]);
        });
    }

    #[test]
    fn the_readers_of_tokio_agree_with_std() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let text = awkward_text();
            let mut lines = reader(dir.path(), "file", text.as_bytes())
                .await
                .compat()
                .lines();
            for expected in text.lines() {
                assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(expected));
            }
            assert_eq!(lines.next_line().await.unwrap(), None);

            let file = reader(dir.path(), "file", text.as_bytes()).await.compat();
            let mut found = Vec::new();
            BufReader::new(file)
                .take(4999)
                .read_to_end(&mut found)
                .await
                .unwrap();
            assert_same_bytes(found, &text.as_bytes()[..4999]);
        });
    }

    #[test]
    fn a_buf_stream_of_tokio_writes_then_reads_one_file() {
        every_runtime(|_| async {
            let dir = temp_dir();
            let bytes = numbered(LEN);
            let path = dir.path().join("file");
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            let mut stream = BufStream::new(options.open(&path).await.unwrap().compat());
            for piece in pieces(&bytes) {
                stream.write_all(piece).await.unwrap();
            }
            stream.seek(SeekFrom::Start(500)).await.unwrap();
            let mut found = Vec::new();
            stream.read_to_end(&mut found).await.unwrap();
            assert_same_bytes(found, &bytes[500..]);
            assert_file_holds(&path, &bytes);
        });
    }
}

/// Two ends of a connection, each sending one file and receiving another at the same time.
mod over_sockets {
    use std::net::Ipv4Addr;

    use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    use super::*;
    use crate::support::{Handle, Kind, every_runtime, on_runtimes, temp_dir};

    async fn exchange<S>(rt: Handle, left: S, right: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let dir = temp_dir();
        let to_the_right = numbered(LEN);
        let to_the_left: Vec<u8> = to_the_right.iter().rev().copied().collect();
        let mut tasks = Vec::new();
        let mut received = Vec::new();
        for (socket, name, bytes) in [
            (left, "left", &to_the_right),
            (right, "right", &to_the_left),
        ] {
            let mut from = reader(dir.path(), &format!("from {name}"), bytes).await;
            let (mut to, path) = writer(dir.path(), &format!("at {name}")).await;
            let (mut incoming, mut outgoing) = socket.split();
            tasks.push(rt.spawn(async move {
                let sent = copy(&mut from, &mut outgoing).await.unwrap();
                outgoing.close().await.unwrap();
                sent
            }));
            tasks.push(rt.spawn(async move {
                // Not up to the end of the stream: `close` does not shut down the sockets of async-std.
                let received = copy((&mut incoming).take(LEN as u64), &mut to)
                    .await
                    .unwrap();
                to.close().await.unwrap();
                received
            }));
            received.push(path);
        }
        for task in tasks {
            assert_eq!(task.await, LEN as u64);
        }
        assert_file_holds(&received[0], &to_the_left);
        assert_file_holds(&received[1], &to_the_right);
    }

    #[test]
    fn tcp_of_smol_carries_files_both_ways() {
        every_runtime(|rt| async move {
            let listener = smol::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .unwrap();
            let left = smol::net::TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (right, _) = listener.accept().await.unwrap();
            exchange(rt, left, right).await;
        });
    }

    #[test]
    fn tcp_of_async_std_carries_files_both_ways() {
        every_runtime(|rt| async move {
            let listener = async_std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .unwrap();
            let left = async_std::net::TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (right, _) = listener.accept().await.unwrap();
            exchange(rt, left, right).await;
        });
    }

    #[test]
    fn tcp_of_tokio_carries_files_both_ways() {
        on_runtimes(&Kind::TOKIO, |rt| async move {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .unwrap();
            let left = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (right, _) = listener.accept().await.unwrap();
            exchange(rt, left.compat(), right.compat()).await;
        });
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets_of_smol_carry_files_both_ways() {
        every_runtime(|rt| async move {
            let (left, right) = smol::net::unix::UnixStream::pair().unwrap();
            exchange(rt, left, right).await;
        });
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets_of_async_std_carry_files_both_ways() {
        every_runtime(|rt| async move {
            let (left, right) = async_std::os::unix::net::UnixStream::pair().unwrap();
            exchange(rt, left, right).await;
        });
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets_of_tokio_carry_files_both_ways() {
        on_runtimes(&Kind::TOKIO, |rt| async move {
            let (left, right) = tokio::net::UnixStream::pair().unwrap();
            exchange(rt, left.compat(), right.compat()).await;
        });
    }
}
