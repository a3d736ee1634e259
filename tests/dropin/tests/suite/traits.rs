//! `AsyncRead`, `AsyncWrite` and `AsyncSeek` of `File`, through the extension traits that users have.

use std::io::{ErrorKind, IoSlice, IoSliceMut, SeekFrom};
use std::path::Path;

use async_fs::{File, OpenOptions};
use futures_lite::io::{
    self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt,
    BufReader, BufWriter,
};
use futures_lite::stream::StreamExt;

use super::{kind, pattern, run};

/// The file at `path`, which holds `contents`, open for reading and writing at its start.
async fn open(path: &Path, contents: &[u8]) -> std::io::Result<File> {
    std::fs::write(path, contents)?;
    OpenOptions::new().read(true).write(true).open(path).await
}

/// Reads exactly `n` bytes.
async fn take(file: &mut File, n: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; n];
    file.read_exact(&mut bytes).await?;
    Ok(bytes)
}

// Reading.

#[test]
fn reads_go_on_where_the_last_one_ended() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"0123456789").await?;
        assert_eq!(take(&mut file, 3).await?, b"012");
        assert_eq!(take(&mut file, 1).await?, b"3");
        let mut rest = Vec::new();
        assert_eq!(file.read_to_end(&mut rest).await?, 6);
        assert_eq!(rest, b"456789");
        Ok(())
    });
}

#[test]
fn a_large_file_is_read_in_order_whatever_the_size_of_the_reads() {
    run(|dir| async move {
        let contents = pattern((9 << 20) + 17);
        let path = dir.join("file");
        std::fs::write(&path, &contents)?;
        for size in [4099, 64 << 10, 1 << 20, 16 << 20] {
            let mut file = File::open(&path).await?;
            let mut buf = vec![0; size];
            let mut at = 0;
            loop {
                let n = file.read(&mut buf).await?;
                if n == 0 {
                    break;
                }
                assert!(
                    buf[..n] == contents[at..at + n],
                    "{size} byte reads, at {at}"
                );
                at += n;
            }
            assert_eq!(at, contents.len());
        }
        Ok(())
    });
}

#[test]
fn read_to_end_appends_to_the_buffer() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"text").await?;
        let mut buf = b"before ".to_vec();
        file.read_to_end(&mut buf).await?;
        assert_eq!(buf, b"before text");
        Ok(())
    });
}

#[test]
fn the_end_of_file_is_zero_bytes_until_the_file_grows() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = open(&path, b"one").await?;
        let mut buf = [0; 16];
        assert_eq!(take(&mut file, 3).await?, b"one");
        assert_eq!(file.read(&mut buf).await?, 0);
        assert_eq!(file.read(&mut buf).await?, 0);
        let mut other = std::fs::OpenOptions::new().append(true).open(&path)?;
        std::io::Write::write_all(&mut other, b" two")?;
        assert_eq!(take(&mut file, 4).await?, b" two");
        assert_eq!(file.read(&mut buf).await?, 0);
        Ok(())
    });
}

#[test]
fn read_exact_past_the_end_is_unexpected_eof() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"text").await?;
        assert_eq!(kind(take(&mut file, 5).await), ErrorKind::UnexpectedEof);
        Ok(())
    });
}

#[test]
fn read_to_string_of_what_is_not_utf8_is_invalid_data() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"ok\xff").await?;
        let mut text = String::new();
        let result = file.read_to_string(&mut text).await;
        assert_eq!(kind(result), ErrorKind::InvalidData);
        Ok(())
    });
}

#[test]
fn read_vectored_fills_the_slices_in_order() {
    run(|dir| async move {
        let contents = pattern(100);
        let mut file = open(&dir.join("file"), &contents).await?;
        let mut at = 0;
        loop {
            let (mut one, mut two) = ([0; 7], [0; 5]);
            let slices = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            let n = file.read_vectored(slices).await?;
            if n == 0 {
                break;
            }
            let both = [&one[..], &two[..]].concat();
            assert_eq!(both[..n], contents[at..at + n]);
            at += n;
        }
        assert_eq!(at, contents.len());
        Ok(())
    });
}

#[test]
fn a_file_that_is_not_open_for_reading_cannot_be_read() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut file = OpenOptions::new().write(true).open(&path).await?;
        let err = file.read(&mut [0; 4]).await.expect_err("not readable");
        let mut std = std::fs::OpenOptions::new().write(true).open(&path)?;
        let expected = std::io::Read::read(&mut std, &mut [0; 4]).expect_err("not readable");
        assert_eq!(err.raw_os_error(), expected.raw_os_error());
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn a_directory_can_be_opened_but_not_read() {
    run(|dir| async move {
        let mut file = File::open(&dir).await?;
        assert!(file.metadata().await?.is_dir());
        assert_eq!(kind(file.read(&mut [0; 4]).await), ErrorKind::IsADirectory);
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_claims_to_be_empty_is_read_to_its_end() {
    run(|_| async move {
        let mut file = File::open("/proc/self/status").await?;
        assert_eq!(file.metadata().await?.len(), 0);
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        assert!(text.starts_with("Name:") && text.contains("\nPid:\t"));
        Ok(())
    });
}

// Writing.

#[test]
fn flush_hands_over_what_was_written() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.flush().await?;
        file.write_all(b"one").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"one");
        file.write_all(b" two").await?;
        file.flush().await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"one two");
        Ok(())
    });
}

#[test]
fn a_large_file_is_written_in_order_whatever_the_size_of_the_writes() {
    run(|dir| async move {
        let contents = pattern((9 << 20) + 17);
        for size in [4099, 64 << 10, 1 << 20, 16 << 20] {
            let path = dir.join("file");
            let mut file = File::create(&path).await?;
            for chunk in contents.chunks(size) {
                file.write_all(chunk).await?;
            }
            file.flush().await?;
            assert!(std::fs::read(&path)? == contents, "{size} byte writes");
        }
        Ok(())
    });
}

#[test]
fn many_small_writes_arrive_in_order() {
    run(|dir| async move {
        let path = dir.join("file");
        let contents = pattern(10_000);
        let mut file = File::create(&path).await?;
        for byte in contents.chunks(1) {
            assert_eq!(file.write(byte).await?, 1);
        }
        file.flush().await?;
        assert!(std::fs::read(&path)? == contents);
        Ok(())
    });
}

#[test]
fn a_write_of_nothing_writes_nothing() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        assert_eq!(file.write(b"").await?, 0);
        file.write_all(b"").await?;
        file.write_all(b"text").await?;
        assert_eq!(file.write(b"").await?, 0);
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"text");
        Ok(())
    });
}

#[test]
fn write_vectored_takes_the_slices_in_order() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        let mut accepted = Vec::new();
        for _ in 0..10 {
            let slices = &[
                IoSlice::new(b""),
                IoSlice::new(b"one"),
                IoSlice::new(b"two"),
            ];
            let n = file.write_vectored(slices).await?;
            assert!(n > 0);
            accepted.extend_from_slice(&b"onetwo"[..n]);
        }
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, accepted);
        Ok(())
    });
}

#[test]
fn a_file_that_is_not_open_for_writing_says_so_by_the_flush() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut file = File::open(&path).await?;
        let mut write = async || {
            file.write_all(b"other").await?;
            file.flush().await
        };
        let err = write().await.expect_err("not writable");
        let mut std = std::fs::File::open(&path)?;
        let expected = std::io::Write::write(&mut std, b"other").expect_err("not writable");
        assert_eq!(err.raw_os_error(), expected.raw_os_error());
        assert_eq!(std::fs::read(&path)?, b"text");
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_says_so_by_the_flush() {
    run(|_| async move {
        let mut file = OpenOptions::new().write(true).open("/dev/full").await?;
        let mut write = async || {
            file.write_all(b"text").await?;
            file.flush().await
        };
        assert_eq!(kind(write().await), ErrorKind::StorageFull);
        Ok(())
    });
}

#[test]
fn close_hands_over_what_was_written_and_can_be_repeated() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(&pattern(100_000)).await?;
        file.close().await?;
        assert!(std::fs::read(&path)? == pattern(100_000));
        file.close().await?;
        Ok(())
    });
}

#[test]
fn close_of_a_file_that_was_only_read_succeeds() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"text").await?;
        take(&mut file, 2).await?;
        file.close().await?;
        Ok(())
    });
}

#[test]
fn what_was_flushed_is_there_after_a_drop() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(b"text").await?;
        file.flush().await?;
        drop(file);
        assert_eq!(async_fs::read(&path).await?, b"text");
        Ok(())
    });
}

// Seeking, and reads and writes mixed.

#[test]
fn seek_returns_the_new_position() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"0123456789").await?;
        assert_eq!(file.seek(SeekFrom::Start(7)).await?, 7);
        assert_eq!(take(&mut file, 2).await?, b"78");
        assert_eq!(file.seek(SeekFrom::Current(-4)).await?, 5);
        assert_eq!(take(&mut file, 1).await?, b"5");
        assert_eq!(file.seek(SeekFrom::End(-3)).await?, 7);
        assert_eq!(take(&mut file, 3).await?, b"789");
        assert_eq!(file.seek(SeekFrom::End(0)).await?, 10);
        assert_eq!(file.seek(SeekFrom::Current(0)).await?, 10);
        assert_eq!(file.seek(SeekFrom::Start(0)).await?, 0);
        assert_eq!(take(&mut file, 10).await?, b"0123456789");
        Ok(())
    });
}

#[test]
fn seeking_counts_from_what_was_delivered_not_from_what_was_read_ahead() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        take(&mut file, 10).await?;
        assert_eq!(file.seek(SeekFrom::Current(0)).await?, 10);
        assert_eq!(file.seek(SeekFrom::Current(5)).await?, 15);
        assert_eq!(take(&mut file, 5).await?, contents[15..20]);
        assert_eq!(file.seek(SeekFrom::Current(-20)).await?, 0);
        assert_eq!(take(&mut file, 5).await?, contents[..5]);
        Ok(())
    });
}

#[test]
fn seek_before_the_start_is_invalid_input_and_leaves_the_position() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"0123456789").await?;
        take(&mut file, 4).await?;
        for pos in [
            SeekFrom::Current(-5),
            SeekFrom::End(-11),
            SeekFrom::Current(i64::MIN),
        ] {
            assert_eq!(
                kind(file.seek(pos).await),
                ErrorKind::InvalidInput,
                "{pos:?}"
            );
        }
        assert_eq!(file.seek(SeekFrom::Current(0)).await?, 4);
        assert_eq!(take(&mut file, 1).await?, b"4");
        Ok(())
    });
}

#[test]
fn seek_past_the_end_reads_nothing_and_a_write_there_leaves_zeros() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = open(&path, b"text").await?;
        assert_eq!(file.seek(SeekFrom::Start(8)).await?, 8);
        assert_eq!(file.read(&mut [0; 4]).await?, 0);
        assert_eq!(file.metadata().await?.len(), 4);
        file.write_all(b"x").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"text\0\0\0\0x");
        Ok(())
    });
}

#[test]
fn seek_to_the_end_counts_what_was_just_written() {
    run(|dir| async move {
        let mut file = File::create(dir.join("file")).await?;
        file.write_all(&pattern(300_000)).await?;
        assert_eq!(file.seek(SeekFrom::End(0)).await?, 300_000);
        file.write_all(b"x").await?;
        assert_eq!(file.seek(SeekFrom::Current(0)).await?, 300_001);
        Ok(())
    });
}

#[test]
fn a_write_goes_to_where_reading_stopped() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = open(&path, &pattern(1 << 20)).await?;
        take(&mut file, 10).await?;
        file.write_all(b"here").await?;
        file.flush().await?;
        let mut expected = pattern(1 << 20);
        expected[10..14].copy_from_slice(b"here");
        assert!(std::fs::read(&path)? == expected);
        Ok(())
    });
}

#[test]
fn a_read_goes_on_behind_what_was_written() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"0123456789").await?;
        file.write_all(b"abc").await?;
        assert_eq!(take(&mut file, 2).await?, b"34");
        file.write_all(b"d").await?;
        assert_eq!(take(&mut file, 4).await?, b"6789");
        file.seek(SeekFrom::Start(0)).await?;
        assert_eq!(take(&mut file, 10).await?, b"abc34d6789");
        Ok(())
    });
}

#[test]
fn what_was_written_is_read_back_without_a_flush() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"").await?;
        let contents = pattern(1 << 20);
        file.write_all(&contents).await?;
        file.seek(SeekFrom::Start(0)).await?;
        let mut back = Vec::new();
        file.read_to_end(&mut back).await?;
        assert!(back == contents);
        Ok(())
    });
}

#[test]
fn two_files_on_one_path_have_positions_of_their_own() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut one = open(&path, b"0123456789").await?;
        let mut two = File::open(&path).await?;
        assert_eq!(take(&mut one, 4).await?, b"0123");
        assert_eq!(take(&mut two, 2).await?, b"01");
        one.seek(SeekFrom::End(0)).await?;
        assert_eq!(take(&mut two, 2).await?, b"23");
        Ok(())
    });
}

// The types that are put around a file.

#[test]
fn copy_moves_all_bytes_between_files() {
    run(|dir| async move {
        let contents = pattern(3 << 20);
        std::fs::write(dir.join("from"), &contents)?;
        let from = File::open(dir.join("from")).await?;
        let mut to = File::create(dir.join("to")).await?;
        assert_eq!(io::copy(from, &mut to).await?, contents.len() as u64);
        to.flush().await?;
        assert!(std::fs::read(dir.join("to"))? == contents);
        Ok(())
    });
}

#[test]
fn a_buffered_reader_gives_lines() {
    run(|dir| async move {
        let text: Vec<String> = (0..10_000).map(|i| format!("line {i}")).collect();
        std::fs::write(dir.join("file"), text.join("\r\n"))?;
        let file = File::open(dir.join("file")).await?;
        let lines: Vec<String> = BufReader::new(file).lines().try_collect().await?;
        assert!(lines == text);
        Ok(())
    });
}

#[test]
fn a_buffered_reader_can_seek() {
    run(|dir| async move {
        let mut reader = BufReader::new(open(&dir.join("file"), b"one\ntwo\nthree").await?);
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        assert_eq!(line, "one\n");
        assert_eq!(reader.seek(SeekFrom::Current(0)).await?, 4);
        reader.seek(SeekFrom::Start(8)).await?;
        line.clear();
        reader.read_line(&mut line).await?;
        assert_eq!(line, "three");
        Ok(())
    });
}

#[test]
fn a_buffered_writer_writes_everything() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut writer = BufWriter::new(File::create(&path).await?);
        for i in 0..10_000 {
            writer.write_all(format!("{i}\n").as_bytes()).await?;
        }
        writer.close().await?;
        let expected: String = (0..10_000).map(|i| format!("{i}\n")).collect();
        assert!(std::fs::read_to_string(&path)? == expected);
        Ok(())
    });
}

#[test]
fn a_file_can_be_split_in_a_reader_and_a_writer() {
    run(|dir| async move {
        let path = dir.join("file");
        let (mut reader, mut writer) = io::split(open(&path, b"0123456789").await?);
        let mut four = [0; 4];
        reader.read_exact(&mut four).await?;
        writer.write_all(b"ab").await?;
        writer.flush().await?;
        reader.read_exact(&mut four).await?;
        assert_eq!(&four, b"6789");
        assert_eq!(std::fs::read(&path)?, b"0123ab6789");
        Ok(())
    });
}

#[test]
fn a_file_can_be_a_trait_object() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut writer: Box<dyn AsyncWrite + Send + Unpin> = Box::new(File::create(&path).await?);
        writer.write_all(b"text").await?;
        writer.flush().await?;
        let mut reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(File::open(&path).await?);
        let mut text = String::new();
        reader.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        Ok(())
    });
}

#[test]
fn adapters_of_futures_lite_take_a_file() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"0123456789").await?;
        let mut text = String::new();
        AsyncReadExt::take(&mut file, 3)
            .read_to_string(&mut text)
            .await?;
        assert_eq!(text, "012");
        assert_eq!(take(&mut file, 1).await?, b"3");

        text.clear();
        let other = open(&dir.join("other"), b"abc").await?;
        file.chain(other).read_to_string(&mut text).await?;
        assert_eq!(text, "456789abc");

        let bytes = open(&dir.join("file"), b"xyz").await?.bytes();
        let bytes: Vec<u8> = bytes.try_collect().await?;
        assert_eq!(bytes, b"xyz");
        Ok(())
    });
}

/// Methods of the extension traits are reached with everything of a prelude in scope.
#[test]
fn the_prelude_of_futures_lite_goes_with_a_file() {
    use futures_lite::prelude::*;

    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"").await?;
        file.write_all(b"0123456789").await?;
        file.flush().await?;
        file.seek(SeekFrom::Start(2)).await?;
        let mut two = [0; 2];
        file.read_exact(&mut two).await?;
        assert_eq!(&two, b"23");
        file.close().await?;
        Ok(())
    });
}

mod futures_util {
    use std::io::SeekFrom;

    use async_fs::File;
    use futures_util::io::{
        AllowStdIo, AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, Cursor,
    };
    use futures_util::stream::TryStreamExt;

    use super::super::run;

    #[test]
    fn extension_traits_of_futures_util_go_with_a_file() {
        run(|dir| async move {
            let path = dir.join("file");
            let mut file = File::create(&path).await?;
            file.write_all(b"one\ntwo\n").await?;
            futures_util::io::copy(Cursor::new(b"three\n"), &mut file).await?;
            file.close().await?;

            let mut file = File::open(&path).await?;
            let mut three = [0; 3];
            file.read_exact(&mut three).await?;
            assert_eq!(&three, b"one");
            assert_eq!(file.stream_position().await?, 3);
            file.seek(SeekFrom::Start(0)).await?;
            let mut all = AllowStdIo::new(Vec::new());
            let n = futures_util::io::copy(&mut file, &mut all).await?;
            assert_eq!(n, 14);

            file.seek(SeekFrom::Start(0)).await?;
            let lines: Vec<String> = BufReader::new(file).lines().try_collect().await?;
            assert_eq!(lines, ["one", "two", "three"]);

            let (reader, _writer) = File::open(&path).await?.split();
            let mut text = String::new();
            reader.take(5).read_to_string(&mut text).await?;
            assert_eq!(text, "one\nt");
            Ok(())
        });
    }
}

// Many files and tasks.

#[test]
fn many_files_are_written_and_read_at_once() {
    run(|dir| async move {
        let tasks: Vec<_> = (0..64)
            .map(|i| {
                let path = dir.join(format!("{i}"));
                smol::spawn(async move {
                    let contents = pattern(10_000 + i * 1000);
                    let mut file = File::create(&path).await?;
                    file.write_all(&contents).await?;
                    file.sync_data().await?;
                    let mut back = Vec::new();
                    File::open(&path).await?.read_to_end(&mut back).await?;
                    std::io::Result::Ok(back == contents)
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await?);
        }
        Ok(())
    });
}

#[test]
fn a_file_moves_between_tasks_in_the_middle_of_its_work() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        for chunk in contents.chunks(100_000) {
            let len = chunk.len();
            let (returned, bytes) = smol::spawn(async move {
                let bytes = take(&mut file, len).await;
                (file, bytes)
            })
            .await;
            file = returned;
            assert!(bytes? == chunk);
        }
        Ok(())
    });
}
