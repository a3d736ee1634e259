//! Where this crate differs from `async-fs` on purpose. Each test says what `async-fs` 2.2.0 does there.

use std::future::Future;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Seek, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_fs::{File, OpenOptions, PathError, raw_os_error};
use futures_lite::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::ours::{kind, pattern, run};

async fn take(file: &mut File, n: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; n];
    file.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Opens a file of `contents` for reading and writing.
async fn open(path: &Path, contents: &[u8]) -> std::io::Result<File> {
    std::fs::write(path, contents)?;
    OpenOptions::new().read(true).write(true).open(path).await
}

// Reading goes on where it stopped, whatever stands between two reads.

/// `async-fs` throws away what it has read ahead, stays where the kernel's position is, and so skips bytes silently.
#[test]
fn a_read_after_a_sync_skips_nothing() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        assert_eq!(take(&mut file, 10).await?, contents[..10]);
        file.sync_all().await?;
        assert_eq!(take(&mut file, 10).await?, contents[10..20]);
        file.sync_data().await?;
        assert_eq!(take(&mut file, 10).await?, contents[20..30]);
        file.set_len(contents.len() as u64).await?;
        assert_eq!(take(&mut file, 10).await?, contents[30..40]);
        Ok(())
    });
}

/// As above: there, a file made from one of `std` counts as written to, so that a flush throws away what was read ahead.
#[test]
fn a_read_after_a_flush_of_a_file_of_std_skips_nothing() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        std::fs::write(dir.join("file"), &contents)?;
        let mut std = std::fs::File::open(dir.join("file"))?;
        std.seek(SeekFrom::Start(5))?;
        let mut file = File::from(std);
        assert_eq!(take(&mut file, 5).await?, contents[5..10]);
        file.flush().await?;
        assert_eq!(take(&mut file, 10).await?, contents[10..20]);
        Ok(())
    });
}

/// As above: there, a file that was once written to stays so while it is read.
#[test]
fn a_read_after_a_write_a_read_and_a_flush_skips_nothing() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        file.write_all(&contents[..10]).await?;
        assert_eq!(take(&mut file, 10).await?, contents[10..20]);
        file.flush().await?;
        assert_eq!(take(&mut file, 10).await?, contents[20..30]);
        Ok(())
    });
}

/// `async-fs` forgets what it has read ahead at the first poll of the seek and does not come back to it.
#[test]
fn a_seek_that_is_dropped_halfway_leaves_the_position() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        assert_eq!(take(&mut file, 10).await?, contents[..10]);
        let done = {
            let mut seek = pin!(file.seek(SeekFrom::Start(500)));
            let mut cx = Context::from_waker(Waker::noop());
            matches!(seek.as_mut().poll(&mut cx), Poll::Ready(Ok(500)))
        };
        let at = if done { 500 } else { 10 };
        assert_eq!(take(&mut file, 10).await?, contents[at..at + 10]);
        Ok(())
    });
}

/// `async-fs` takes a read of no bytes for the end of the file, and skips what it has read ahead.
#[test]
fn a_read_of_no_bytes_reads_no_bytes() {
    run(|dir| async move {
        let contents = pattern(1 << 20);
        let mut file = open(&dir.join("file"), &contents).await?;
        for at in [0, 10, 20] {
            assert_eq!(file.read(&mut []).await?, 0);
            assert_eq!(take(&mut file, 10).await?, contents[at..at + 10]);
        }
        Ok(())
    });
}

/// `async-fs` uses the first slice that is not empty and no other.
#[test]
fn vectored_reads_and_writes_use_all_slices() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"").await?;
        let slices = &[IoSlice::new(b"0123"), IoSlice::new(b"4567")];
        assert_eq!(file.write_vectored(slices).await?, 8);
        file.seek(SeekFrom::Start(0)).await?;
        let (mut one, mut two) = ([0; 2], [0; 3]);
        let slices = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(file.read_vectored(slices).await?, 5);
        assert_eq!((&one, &two), (b"01", b"234"));
        Ok(())
    });
}

// What was accepted is written, and seen.

/// `async-fs` may lose what was not flushed.
#[test]
fn what_was_written_and_not_flushed_survives_a_drop() {
    run(|dir| async move {
        for i in 0..20 {
            let path = dir.join(format!("{i}"));
            let contents = pattern(1000 + i * 50_000);
            let mut file = File::create(&path).await?;
            file.write_all(&contents).await?;
            drop(file);
            assert!(async_fs::read(&path).await? == contents, "file {i}");
        }
        Ok(())
    });
}

/// `async-fs` has nothing of the kind.
#[test]
fn settle_waits_for_what_dropped_files_still_write() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(&pattern(1 << 20)).await?;
        drop(file);
        async_fs::settle().await;
        assert!(std::fs::read(&path)? == pattern(1 << 20));
        Ok(())
    });
}

/// `async-fs` asks the system at once, and may tell the length before the write.
#[test]
fn metadata_of_a_file_counts_what_was_just_written() {
    run(|dir| async move {
        let mut file = File::create(dir.join("file")).await?;
        let contents = pattern(4 << 20);
        for round in 1..=5 {
            file.write_all(&contents).await?;
            assert_eq!(file.metadata().await?.len(), round * (4 << 20));
        }
        Ok(())
    });
}

/// `async-fs` answers `WriteZero` to the write that comes after a failed one; the system's code comes with the flush,
/// once, and the next flush is `Ok`.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_says_so_with_its_code_and_goes_on_saying_so() {
    const ENOSPC: Option<i32> = Some(28);

    run(|_| async move {
        let mut file = OpenOptions::new().write(true).open("/dev/full").await?;
        for _ in 0..3 {
            let err = file.write_all(&pattern(16 << 20)).await;
            let err = err.expect_err("16 MiB fit in no buffer");
            assert_eq!(err.raw_os_error(), ENOSPC);
            assert_eq!(err.kind(), ErrorKind::StorageFull);
        }
        Ok(())
    });
}

// Errors name the path.

/// `async-fs` returns the error of `std`, which says neither what failed nor where.
#[test]
fn the_text_of_an_error_has_the_path() {
    run(|dir| async move {
        let path = dir.join("missing");
        let shown = path.display().to_string();
        let errors = [
            File::open(&path).await.expect_err("missing"),
            async_fs::read(&path).await.expect_err("missing"),
            async_fs::metadata(&path).await.expect_err("missing"),
            async_fs::remove_file(&path).await.expect_err("missing"),
            async_fs::canonicalize(&path).await.expect_err("missing"),
        ];
        for err in errors {
            assert!(err.to_string().contains(&shown), "{err}");
        }
        let to = dir.join("to");
        let err = async_fs::rename(&path, &to).await.expect_err("missing");
        assert!(err.to_string().contains(&shown), "{err}");
        assert!(err.to_string().contains(&to.display().to_string()), "{err}");
        Ok(())
    });
}

/// `async-fs` answers with `io::Error::raw_os_error`. An `io::Error` has either a text or a code, and ours has the text.
#[test]
fn the_code_of_an_error_with_a_path_is_found_by_raw_os_error() {
    // `ENOENT`, and Windows's `ERROR_FILE_NOT_FOUND`.
    const MISSING: Option<i32> = Some(2);

    run(|dir| async move {
        let path = dir.join("missing");
        let err = File::open(&path).await.expect_err("missing");
        assert_eq!(err.kind(), ErrorKind::NotFound);
        assert_eq!(err.raw_os_error(), None);
        assert_eq!(raw_os_error(&err), MISSING);
        let detail = PathError::of(&err).expect("an error with a path");
        assert_eq!(detail.path(), path);
        assert_eq!(detail.to(), None);
        assert_eq!(detail.raw_os_error(), MISSING);
        assert_eq!(detail.io_error().raw_os_error(), MISSING);

        let err = async_fs::copy(&path, dir.join("to")).await;
        let err = err.expect_err("missing");
        let detail = PathError::of(&err).expect("an error with two paths");
        assert_eq!(detail.path(), path);
        assert_eq!(detail.to(), Some(dir.join("to").as_path()));

        // Of a plain error, too.
        let plain = std::fs::read(&path).expect_err("missing");
        assert_eq!(raw_os_error(&plain), MISSING);
        Ok(())
    });
}

// Closing.

/// `async-fs` keeps the descriptor open until the file is dropped.
#[cfg(target_os = "linux")]
#[test]
fn close_closes_the_descriptor() {
    use std::os::fd::AsRawFd;

    run(|dir| async move {
        let path = dir.join("file");
        let mut file = open(&path, b"text").await?;
        let entry = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert_eq!(std::fs::read_link(&entry)?, path);
        file.close().await?;
        // Another test may have the number by now, for a file of its own.
        assert_ne!(std::fs::read_link(&entry).ok(), Some(path));
        drop(file);
        Ok(())
    });
}

/// `async-fs` panics in reads, writes and seeks of a closed file, and answers everything else as before.
#[test]
fn a_closed_file_answers_invalid_input() {
    run(|dir| async move {
        let mut file = open(&dir.join("file"), b"text").await?;
        let permissions = file.metadata().await?.permissions();
        file.close().await?;
        let invalid = ErrorKind::InvalidInput;
        assert_eq!(kind(file.read(&mut [0; 4]).await), invalid);
        assert_eq!(kind(file.write(b"x").await), invalid);
        assert_eq!(kind(file.seek(SeekFrom::Start(0)).await), invalid);
        assert_eq!(kind(file.metadata().await), invalid);
        assert_eq!(kind(file.set_len(0).await), invalid);
        assert_eq!(kind(file.sync_all().await), invalid);
        assert_eq!(kind(file.sync_data().await), invalid);
        assert_eq!(kind(file.set_permissions(permissions).await), invalid);
        file.close().await?;
        assert_eq!(std::fs::read(dir.join("file"))?, b"text");
        Ok(())
    });
}

/// `async-fs` gives the descriptor, which is still open there.
#[cfg(unix)]
#[test]
fn a_closed_file_has_no_descriptor_of_its_own() {
    use std::os::fd::{AsFd, AsRawFd};

    run(|dir| async move {
        let path = dir.join("file");
        let mut file = open(&path, b"text").await?;
        let raw = file.as_raw_fd();
        file.close().await?;
        assert_eq!(file.as_raw_fd(), -1);
        // Nothing can be read through what is left, nor through whatever file has the number next.
        assert_ne!(file.as_fd().as_raw_fd(), raw);
        assert_eq!(
            rustix::io::read(file.as_fd(), &mut [0; 4]),
            Err(rustix::io::Errno::BADF)
        );
        Ok(())
    });
}
