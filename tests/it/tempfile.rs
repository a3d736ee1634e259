//! Temporary files and directories: what they are, and that they go away when they are to.

use std::fmt::Debug;
use std::fs;
use std::io::{Cursor, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::pin;

use aiofiles::tempfile::{
    Builder, NamedTemporaryFile, SpooledTemporaryFile, TemporaryDirectory, TemporaryFile,
};
use aiofiles::{Newlines, PathError, TextFile, TextOptions, TextPosition, backend};
use futures_lite::future::block_on;
use futures_lite::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _,
    AsyncWrite, AsyncWriteExt as _,
};

use crate::files::{rest, until};
use crate::support::{
    Seed, alone, assert_same_bytes, every_runtime, iterations, numbered, poll_now, poll_once,
    temp_dir,
};

/// Options for things in this directory.
fn within(dir: &Path) -> Builder {
    let mut builder = Builder::new();
    builder.dir(dir);
    builder
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// Waits until something is gone that is dropped now: what was dropped before and is not gone by then is to stay.
async fn what_is_dropped_is_gone() {
    let dir = temp_dir();
    drop(within(dir.path()).named_temporary_file().await.unwrap());
    drop(within(dir.path()).temporary_directory().await.unwrap());
    until(|| names(dir.path()).is_empty()).await;
}

async fn read_all(file: &mut (impl AsyncBufRead + AsyncSeek + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).await.unwrap();
    file.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[test]
fn all_kinds_go_from_thread_to_thread_and_can_be_shown() {
    fn check<T: Send + Unpin + Debug + 'static>() {}
    check::<TemporaryFile>();
    check::<NamedTemporaryFile>();
    check::<SpooledTemporaryFile>();
    check::<TemporaryDirectory>();
    check::<Builder>();
    fn shared<T: Sync>() {}
    shared::<TemporaryFile>();
    shared::<NamedTemporaryFile>();
    shared::<TemporaryDirectory>();
}

// ---------------------------------------------------------------------------------------------------------------------
// Files

#[test]
fn a_temporary_file_has_no_name_and_is_read_and_written_like_others() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut file = within(dir.path()).temporary_file().await.unwrap();
        assert_eq!(names(dir.path()), [""; 0]);
        assert_eq!(file.path(), None);
        for line in ["one\n", "two\n", "three\n"] {
            file.write_all(line.as_bytes()).await.unwrap();
        }
        file.flush().await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 14);
        file.seek(SeekFrom::Start(0)).await.unwrap();
        let mut line = String::new();
        for expected in ["one\n", "two\n", "three\n"] {
            line.clear();
            file.read_line(&mut line).await.unwrap();
            assert_eq!(line, expected);
        }
        file.close().await.unwrap();
        let error = file.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_named_file_is_removed_when_its_options_say_so() {
    every_runtime(|_| async {
        let dir = temp_dir();
        // Whether it is to be deleted, and on close; whether it is there after close, and after the drop.
        for (delete, on_close, after_close, after_drop) in [
            (true, true, false, false),
            (true, false, true, false),
            (false, true, true, true),
            (false, false, true, true),
        ] {
            let mut file = within(dir.path())
                .delete(delete)
                .delete_on_close(on_close)
                .named_temporary_file()
                .await
                .unwrap();
            let path = file.path().to_owned();
            file.write_all(b"hello").await.unwrap();
            file.flush().await.unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"hello");
            file.close().await.unwrap();
            let options = format!("delete {delete}, on close {on_close}");
            assert_eq!(path.exists(), after_close, "{options}: closed");
            file.close().await.unwrap();
            assert_eq!(file.path(), path);
            drop(file);
            if after_drop {
                what_is_dropped_is_gone().await;
                assert!(path.exists(), "{options}: dropped");
                fs::remove_file(&path).unwrap();
            } else {
                until(|| !path.exists()).await;
            }
        }
    });
}

#[test]
fn a_dropped_named_file_is_removed_and_what_is_not_to_be_deleted_stays() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.write_all(&numbered(100_000)).await.unwrap();
        let other = dir.path().join("other");
        fs::hard_link(file.path(), &other).unwrap();
        drop(file);
        until(|| names(dir.path()) == ["other"]).await;
        // What was accepted has come first.
        assert_same_bytes(fs::read(&other).unwrap(), numbered(100_000));

        let mut kept = within(dir.path());
        let file = kept.delete(false).named_temporary_file().await.unwrap();
        let path = file.path().to_owned();
        drop(file);
        what_is_dropped_is_gone().await;
        assert!(path.exists());
    });
}

#[test]
fn a_file_that_somebody_else_removed_is_an_error_of_close_and_none_of_drop() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        fs::remove_file(file.path()).unwrap();
        let error = file.close().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(PathError::of(&error).unwrap().path(), file.path());
        // It was told, and is not tried again.
        file.close().await.unwrap();
        fs::write(file.path(), "another's").unwrap();
        let path = file.path().to_owned();
        drop(file);
        what_is_dropped_is_gone().await;
        assert!(path.exists());

        let file = within(dir.path()).named_temporary_file().await.unwrap();
        fs::remove_file(file.path()).unwrap();
        drop(file);
        let file = within(dir.path()).named_temporary_file().await.unwrap();
        fs::remove_file(file.path()).unwrap();
        let error = file.remove().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn remove_closes_and_removes_whatever_the_options_say() {
    every_runtime(|_| async {
        let dir = temp_dir();
        for (delete, on_close) in [(true, true), (true, false), (false, true)] {
            let mut file = within(dir.path())
                .delete(delete)
                .delete_on_close(on_close)
                .named_temporary_file()
                .await
                .unwrap();
            if !on_close {
                file.close().await.unwrap();
            }
            file.remove().await.unwrap();
            assert_eq!(names(dir.path()), [""; 0]);
        }
        // Once polled, it happens whether or not anybody waits.
        let file = within(dir.path()).named_temporary_file().await.unwrap();
        poll_once(file.remove()).await;
        until(|| names(dir.path()).is_empty()).await;
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        poll_once(file.close()).await;
        until(|| names(dir.path()).is_empty()).await;
        file.close().await.unwrap();
    });
}

#[test]
fn persist_renames_with_all_bytes_and_replaces_what_is_there() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("settings");
        fs::write(&path, "old").unwrap();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.write_all(b"new").await.unwrap();
        let mut file = file.persist(&path).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(file.path(), Some(&*path));
        // The position goes on.
        file.write_all(b"er").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(names(dir.path()), ["settings"]);

        // One that was closed before, but not removed by that.
        let mut options = within(dir.path());
        let mut file = options
            .delete_on_close(false)
            .named_temporary_file()
            .await
            .unwrap();
        file.write_all(b"closed").await.unwrap();
        file.close().await.unwrap();
        drop(file.persist(&path).await.unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"closed");
        assert_eq!(names(dir.path()), ["settings"]);
    });
}

#[test]
fn persist_that_fails_gives_the_file_back() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("settings");
        fs::write(&path, "old").unwrap();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.write_all(b"new").await.unwrap();

        let failed = file.persist(dir.path().join("no/such")).await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::NotFound);
        let detail = PathError::of(&failed.error).unwrap();
        assert_eq!(detail.path(), failed.file.path());
        assert_eq!(detail.to(), Some(&*dir.path().join("no/such")));

        let failed = failed.file.persist_noclobber(&path).await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"old");

        let mut file = failed.file;
        file.write_all(b"er").await.unwrap();
        assert_same_bytes(read_all(&mut file).await, "newer");
        let other = dir.path().join("other");
        drop(file.persist_noclobber(&other).await.unwrap());
        assert_eq!(fs::read(&other).unwrap(), b"newer");
        assert_eq!(names(dir.path()), ["other", "settings"]);

        // What was given back is removed as before.
        let file = within(dir.path()).named_temporary_file().await.unwrap();
        drop(file.persist_noclobber(&path).await.unwrap_err());
        until(|| names(dir.path()) == ["other", "settings"]).await;
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.close().await.unwrap();
        let failed = file.persist(&path).await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::NotFound);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    });
}

#[test]
fn keep_makes_an_ordinary_file_of_it() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.write_all(b"hello").await.unwrap();
        let (file, path) = file.keep().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        drop(file);
        what_is_dropped_is_gone().await;
        assert!(path.exists());

        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.close().await.unwrap();
        let failed = file.keep().await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::NotFound);
        assert!(!failed.file.path().exists());
    });
}

#[test]
fn reopen_gives_a_second_position_on_the_same_file() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut file = within(dir.path()).named_temporary_file().await.unwrap();
        file.write_all(b"hello").await.unwrap();
        let mut second = file.reopen().await.unwrap();
        assert_eq!(rest(&mut second).await, b"hello");
        second.write_all(b"!").await.unwrap();
        second.flush().await.unwrap();
        assert_eq!(rest(file.as_file_mut()).await, b"!");

        // Another file has its path.
        fs::remove_file(file.path()).unwrap();
        fs::write(file.path(), "").unwrap();
        let error = file.reopen().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(PathError::of(&error).unwrap().path(), file.path());
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Names and permissions

#[test]
fn names_have_their_prefix_suffix_and_directory() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut options = within(dir.path());
        options.prefix("begin-").suffix(".end").rand_bytes(9);
        let file = options.named_temporary_file().await.unwrap();
        let sub = options.temporary_directory().await.unwrap();
        for path in [file.path(), sub.path()] {
            assert_eq!(path.parent(), Some(dir.path()));
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(name.len(), "begin-".len() + 9 + ".end".len(), "{name}");
            assert!(
                name.starts_with("begin-") && name.ends_with(".end"),
                "{name}"
            );
        }
        assert!(file.path().is_file() && sub.path().is_dir());
        assert_ne!(file.path(), sub.path());

        // Without options they are where the system has them.
        let file = NamedTemporaryFile::new().await.unwrap();
        let sub = TemporaryDirectory::new().await.unwrap();
        for path in [file.path(), sub.path()] {
            assert_eq!(path.parent(), Some(&*std::env::temp_dir()));
        }
    });
}

#[test]
fn a_relative_directory_becomes_an_absolute_path() {
    alone(|| {
        let dir = temp_dir();
        std::env::set_current_dir(dir.path()).unwrap();
        fs::create_dir("sub").unwrap();
        let (file, sub) = block_on(async {
            let mut options = Builder::new();
            options.dir("sub");
            (
                options.named_temporary_file().await.unwrap(),
                options.temporary_directory().await.unwrap(),
            )
        });
        assert!(file.path().is_absolute() && sub.path().is_absolute());
        // What is removed is what was created, wherever the process is by then.
        std::env::set_current_dir("/").unwrap();
        drop((file, sub));
        block_on(until(|| names(&dir.path().join("sub")).is_empty()));
    });
}

#[test]
fn bad_names_are_refused_before_anything_is_created() {
    every_runtime(|_| async {
        let dir = temp_dir();
        for part in ["a/b", "../a", "/a", "a\0b"] {
            let (mut prefix, mut suffix) = (within(dir.path()), within(dir.path()));
            for options in [prefix.prefix(part), suffix.suffix(part)] {
                let errors = [
                    options.temporary_file().await.err(),
                    options.named_temporary_file().await.err(),
                    options.temporary_directory().await.err(),
                    options.spooled_temporary_file(1).err(),
                ];
                for error in errors {
                    assert_eq!(error.unwrap().kind(), ErrorKind::InvalidInput, "{part:?}");
                }
            }
        }
        let mut options = within(dir.path());
        let error = options
            .prefix("")
            .rand_bytes(0)
            .named_temporary_file()
            .await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(names(dir.path()), [""; 0]);

        // A name that cannot vary is had once.
        let mut options = within(dir.path());
        options.prefix("only").rand_bytes(0);
        let file = options.named_temporary_file().await.unwrap();
        for error in [
            options.named_temporary_file().await.err(),
            options.temporary_directory().await.err(),
        ] {
            assert_eq!(error.unwrap().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(file.path(), dir.path().join("only"));

        // The error names the directory.
        let missing = dir.path().join("missing");
        for error in [
            within(&missing).temporary_file().await.err(),
            within(&missing).named_temporary_file().await.err(),
            within(&missing).temporary_directory().await.err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(PathError::of(&error).unwrap().path(), missing);
            assert!(aiofiles::raw_os_error(&error).is_some());
        }
    });
}

#[cfg(unix)]
#[test]
fn permissions_are_the_same_under_any_umask() {
    alone(|| {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let dir = temp_dir();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        for umask in [0, 0o022, 0o777] {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
            block_on(async {
                let mut options = within(dir.path());
                let unnamed = options.temporary_file().await.unwrap();
                let named = options.named_temporary_file().await.unwrap();
                let sub = options.temporary_directory().await.unwrap();
                let unnamed = unnamed.metadata().await.unwrap().mode() & 0o7777;
                assert_eq!(unnamed, 0o600, "umask {umask:o}");
                assert_eq!(mode(named.path()), 0o600, "umask {umask:o}");
                assert_eq!(mode(sub.path()), 0o700, "umask {umask:o}");

                options.permissions(PermissionsExt::from_mode(0o754));
                let unnamed = options.temporary_file().await.unwrap();
                let named = options.named_temporary_file().await.unwrap();
                let sub = options.temporary_directory().await.unwrap();
                let unnamed = unnamed.metadata().await.unwrap().mode() & 0o7777;
                assert_eq!(unnamed, 0o754, "umask {umask:o}");
                assert_eq!(mode(named.path()), 0o754, "umask {umask:o}");
                assert_eq!(mode(sub.path()), 0o754, "umask {umask:o}");
            });
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Spooled files

#[test]
fn a_spooled_file_rolls_over_above_its_size_and_not_at_it() {
    every_runtime(|_| async {
        // In one write, and in several.
        for pieces in [&[10][..], &[4, 6], &[1; 10]] {
            let mut file = SpooledTemporaryFile::new(10);
            for piece in pieces {
                file.write_all(&vec![b'x'; *piece]).await.unwrap();
            }
            assert!(!file.is_rolled(), "{pieces:?}: 10 bytes");
            assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 10);
            file.write_all(b"y").await.unwrap();
            assert!(file.is_rolled(), "{pieces:?}: 11 bytes");
            assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 11);
            assert_same_bytes(read_all(&mut file).await, b"xxxxxxxxxxy");
        }
        // The position counts, and not the length.
        let mut file = SpooledTemporaryFile::new(10);
        file.write_all(&[b'x'; 10]).await.unwrap();
        file.seek(SeekFrom::Start(9)).await.unwrap();
        file.write_all(b"z").await.unwrap();
        assert!(!file.is_rolled());
        file.seek(SeekFrom::Start(10)).await.unwrap();
        assert_eq!(file.write(b"!").await.unwrap(), 1);
        assert!(file.is_rolled());
        assert_same_bytes(read_all(&mut file).await, b"xxxxxxxxxz!");
        // Also where there is nothing before it.
        let mut file = SpooledTemporaryFile::new(10);
        file.seek(SeekFrom::Start(100)).await.unwrap();
        assert!(!file.is_rolled());
        file.write_all(b"x").await.unwrap();
        assert!(file.is_rolled());
        assert_same_bytes(read_all(&mut file).await, [&[0; 100][..], b"x"].concat());
        // Without a size there is no limit.
        let mut file = SpooledTemporaryFile::new(0);
        file.write_all(&numbered(3 << 20)).await.unwrap();
        file.set_len(4 << 20).await.unwrap();
        file.set_len(3 << 20).await.unwrap();
        assert!(!file.is_rolled());
        assert_same_bytes(read_all(&mut file).await, numbered(3 << 20));
    });
}

#[test]
fn a_spooled_file_rolls_over_within_one_long_write() {
    every_runtime(|_| async {
        // Much more than is accepted at once, with a limit inside of that, and beyond it.
        for size in [1000, 300_000, 700_000] {
            let bytes = numbered(1_000_000);
            let mut file = SpooledTemporaryFile::new(size);
            file.write_all(&bytes).await.unwrap();
            assert!(file.is_rolled());
            assert_same_bytes(read_all(&mut file).await, &bytes);
        }
        // Of many lines, no more are in memory than there may be.
        let mut file = TextOptions::new().wrap(SpooledTemporaryFile::new(100));
        let lines = (0..50).map(|n| format!("line {n}\n"));
        file.writelines(lines.clone()).await.unwrap();
        assert!(file.get_ref().is_rolled());
        file.seek(TextPosition::START).await.unwrap();
        assert_eq!(file.read_to_end().await.unwrap(), lines.collect::<String>());
    });
}

#[test]
fn the_position_and_what_was_read_stay_over_a_rollover() {
    every_runtime(|_| async {
        let bytes = numbered(5000);
        let mut file = SpooledTemporaryFile::new(10_000);
        file.write_all(&bytes).await.unwrap();
        file.seek(SeekFrom::Start(1000)).await.unwrap();
        let mut part = vec![0; 500];
        file.read_exact(&mut part).await.unwrap();
        assert_same_bytes(&part, &bytes[1000..1500]);
        assert_eq!(file.fill_buf().await.unwrap(), &bytes[1500..]);
        file.consume(100);
        file.rollover().await.unwrap();
        file.rollover().await.unwrap();
        assert!(file.is_rolled());
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 1600);
        file.read_exact(&mut part).await.unwrap();
        assert_same_bytes(&part, &bytes[1600..2100]);
        file.write_all(b"abc").await.unwrap();
        let expected = [&bytes[..2100], b"abc", &bytes[2103..]].concat();
        assert_same_bytes(read_all(&mut file).await, expected);
        // A position beyond the end stays too.
        let mut file = SpooledTemporaryFile::new(0);
        file.seek(SeekFrom::Start(7)).await.unwrap();
        let file = &mut file.into_file().await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 7);
    });
}

#[cfg(unix)]
#[test]
fn a_descriptor_of_a_spooled_file_has_its_bytes() {
    every_runtime(|_| async {
        use std::os::fd::AsFd;
        let mut file = SpooledTemporaryFile::new(0);
        file.write_all(b"hello").await.unwrap();
        let descriptor = file.file().await.unwrap().as_fd().try_clone_to_owned();
        let mut bytes = [0; 10];
        let n = rustix::io::pread(descriptor.unwrap(), &mut bytes, 0).unwrap();
        assert_eq!(&bytes[..n], b"hello");
        assert!(file.is_rolled());
    });
}

#[test]
fn the_length_of_a_spooled_file_can_be_set() {
    every_runtime(|_| async {
        let mut file = SpooledTemporaryFile::new(10);
        file.write_all(b"hello").await.unwrap();
        file.set_len(3).await.unwrap();
        file.set_len(6).await.unwrap();
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 5);
        assert_same_bytes(read_all(&mut file).await, b"hel\0\0\0");
        file.set_len(10).await.unwrap();
        assert!(!file.is_rolled());
        file.set_len(11).await.unwrap();
        assert!(file.is_rolled());
        assert_same_bytes(read_all(&mut file).await, b"hel\0\0\0\0\0\0\0\0");
        file.set_len(2).await.unwrap();
        assert_same_bytes(read_all(&mut file).await, b"he");
        let error = file.set_len(u64::MAX).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // A change that is given up half-way has not happened.
        let mut file = SpooledTemporaryFile::new(0);
        file.write_all(b"x").await.unwrap();
        assert!(poll_once(file.set_len(1 << 20)).await.is_none());
        assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), 1);
        file.seek(SeekFrom::Start(1 << 20)).await.unwrap();
        assert!(poll_once(file.write(b"y")).await.is_none());
        assert_same_bytes(read_all(&mut file).await, b"x");
    });
}

#[test]
fn a_closed_spooled_file_answers_as_every_closed_file_does() {
    every_runtime(|_| async {
        for rolled in [false, true] {
            let mut file = SpooledTemporaryFile::new(0);
            file.write_all(b"hello").await.unwrap();
            if rolled {
                file.rollover().await.unwrap();
            }
            file.close().await.unwrap();
            file.close().await.unwrap();
            let errors = [
                file.read(&mut [0]).await.err(),
                file.fill_buf().await.err(),
                file.write(b"x").await.err(),
                file.flush().await.err(),
                file.seek(SeekFrom::Start(0)).await.err(),
                file.set_len(1).await.err(),
            ];
            for (n, error) in errors.into_iter().enumerate() {
                assert_eq!(
                    error.expect("an error").to_string(),
                    "file is closed",
                    "{n}"
                );
            }
            assert_eq!(file.is_rolled(), rolled);
        }
        let mut file = SpooledTemporaryFile::new(0);
        file.close().await.unwrap();
        file.rollover().await.unwrap_err();
        let failed = file.into_file().await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn in_memory_nothing_is_dispatched_to_the_pool() {
    alone(|| {
        block_on(async {
            let before = backend().operations();
            let mut file = SpooledTemporaryFile::new(1 << 20);
            file.write_all(&numbered(1 << 20)).await.unwrap();
            file.flush().await.unwrap();
            assert_same_bytes(read_all(&mut file).await, numbered(1 << 20));
            file.set_len(7).await.unwrap();
            file.close().await.unwrap();
            drop(file);
            drop(SpooledTemporaryFile::new(5));
            assert_eq!(backend().operations(), before);
        });
    });
}

/// A spooled file is a `Cursor` that may be in a file.
#[test]
fn a_spooled_file_agrees_with_a_cursor() {
    let rounds = iterations(200);
    every_runtime(move |_| async move {
        let seed = Seed::new();
        let mut rng = seed.rng();
        for _ in 0..rounds {
            let size = [0, 1, 100, 5000][rng.usize(..4)];
            let mut file = SpooledTemporaryFile::new(size);
            let mut model = Cursor::new(Vec::<u8>::new());
            let mut rolled = false;
            for _ in 0..30 {
                match rng.u8(..7) {
                    0 | 1 => {
                        let mut bytes = vec![0; rng.usize(..200)];
                        rng.fill(&mut bytes);
                        // A cursor fills up to its position even for nothing; a file does not.
                        if !bytes.is_empty() {
                            std::io::Write::write_all(&mut model, &bytes).unwrap();
                        }
                        file.write_all(&bytes).await.unwrap();
                        if !bytes.is_empty() {
                            rolled |= size > 0 && model.position() > size as u64;
                        }
                    }
                    2 => {
                        let (mut ours, mut theirs) = (vec![0; 100], vec![0; 100]);
                        let n = std::io::Read::read(&mut model, &mut theirs).unwrap();
                        let mut found = 0;
                        // A file may give less at a time.
                        while found < n {
                            found += file.read(&mut ours[found..n]).await.unwrap();
                        }
                        assert_same_bytes(ours, theirs);
                    }
                    3 => {
                        let to = match rng.u8(..3) {
                            0 => SeekFrom::Start(rng.u64(..300)),
                            1 => SeekFrom::Current(rng.i64(-300..300)),
                            _ => SeekFrom::End(rng.i64(-300..100)),
                        };
                        let theirs = std::io::Seek::seek(&mut model, to);
                        let ours = file.seek(to).await;
                        assert_eq!(
                            ours.map_err(|error| error.kind()),
                            theirs.map_err(|error| error.kind())
                        );
                    }
                    4 => {
                        let len = rng.usize(..400);
                        model.get_mut().resize(len, 0);
                        file.set_len(len as u64).await.unwrap();
                        rolled |= size > 0 && len > size;
                    }
                    5 => {
                        let ours = file.fill_buf().await.unwrap();
                        let theirs = std::io::BufRead::fill_buf(&mut model).unwrap();
                        let n = ours.len().min(7);
                        assert_eq!(ours[..n], theirs[..n]);
                        assert_eq!(ours.is_empty(), theirs.is_empty());
                        file.consume(n);
                        std::io::BufRead::consume(&mut model, n);
                    }
                    _ if rng.u8(..8) == 0 => {
                        file.rollover().await.unwrap();
                        rolled = true;
                    }
                    _ => file.flush().await.unwrap(),
                }
                let position = file.seek(SeekFrom::Current(0)).await.unwrap();
                assert_eq!(position, model.position());
            }
            // A write of nothing beyond the size may have moved it, too.
            assert!(file.is_rolled() >= rolled, "size {size}");
            assert_same_bytes(read_all(&mut file).await, model.get_ref());
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Directories

/// Puts some files, directories and links into a directory.
fn fill(dir: &Path) {
    fs::create_dir_all(dir.join("a/b/c")).unwrap();
    for name in ["one", "a/two", "a/b/c/three"] {
        fs::write(dir.join(name), name).unwrap();
    }
}

#[test]
fn a_temporary_directory_is_removed_with_all_that_is_in_it() {
    every_runtime(|_| async {
        let outer = temp_dir();
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        fill(dir.path());
        dir.close().await.unwrap();
        assert!(!dir.path().exists());
        dir.close().await.unwrap();

        let dir = within(outer.path()).temporary_directory().await.unwrap();
        fill(dir.path());
        drop(dir);
        until(|| names(outer.path()).is_empty()).await;

        // Somebody else has removed it.
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        fs::remove_dir(dir.path()).unwrap();
        dir.close().await.unwrap();
        let dir = within(outer.path()).temporary_directory().await.unwrap();
        fs::remove_dir(dir.path()).unwrap();
        drop(dir);

        // A removal that nobody waits for goes on.
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        fill(dir.path());
        poll_once(dir.close()).await;
        dir.close().await.unwrap();
        assert_eq!(names(outer.path()), [""; 0]);
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        fill(dir.path());
        poll_once(dir.close()).await;
        drop(dir);
        until(|| names(outer.path()).is_empty()).await;
    });
}

#[test]
fn a_directory_that_is_to_stay_stays() {
    every_runtime(|_| async {
        let outer = temp_dir();
        let path = within(outer.path())
            .temporary_directory()
            .await
            .unwrap()
            .keep();
        let mut options = within(outer.path());
        let dir = options.delete(false).temporary_directory().await.unwrap();
        let other = dir.path().to_owned();
        drop(dir);
        what_is_dropped_is_gone().await;
        assert!(path.is_dir() && other.is_dir());
        // Asked to, it goes all the same.
        let mut dir = options.temporary_directory().await.unwrap();
        dir.close().await.unwrap();
        assert!(!dir.path().exists());
    });
}

#[cfg(unix)]
#[test]
fn links_in_a_temporary_directory_are_removed_and_not_followed() {
    every_runtime(|_| async {
        let outer = temp_dir();
        fill(outer.path());
        let before = names(outer.path());
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        std::os::unix::fs::symlink(outer.path().join("a"), dir.path().join("dir")).unwrap();
        std::os::unix::fs::symlink(outer.path().join("one"), dir.path().join("file")).unwrap();
        dir.close().await.unwrap();
        assert_eq!(names(outer.path()), before);
        assert_eq!(fs::read(outer.path().join("a/two")).unwrap(), b"a/two");
    });
}

/// Modes are in nobody's way who is root.
#[cfg(unix)]
#[test]
fn a_mode_is_not_in_the_way_of_removal() {
    every_runtime(|_| async {
        use std::os::unix::fs::PermissionsExt;
        let outer = temp_dir();
        let mut dir = within(outer.path()).temporary_directory().await.unwrap();
        fill(dir.path());
        for name in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
        }
        dir.close().await.unwrap();
        assert_eq!(names(outer.path()), [""; 0]);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Text

async fn text_goes_there_and_back<F>(mut file: TextFile<F>) -> TextFile<F>
where
    F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin,
{
    file.write("Grüße\nund Küsse\n").await.unwrap();
    file.seek(TextPosition::START).await.unwrap();
    assert_eq!(file.readline().await.unwrap(), "Grüße\n");
    assert_eq!(file.read(3).await.unwrap(), "und");
    file.write("--").await.unwrap();
    file.seek(TextPosition::START).await.unwrap();
    assert_eq!(file.read_to_end().await.unwrap(), "Grüße\nund--üsse\n");
    file
}

#[test]
fn text_is_written_to_and_read_from_every_kind() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let text = TextOptions::new();
        let file = text.wrap(within(dir.path()).temporary_file().await.unwrap());
        let mut file = text_goes_there_and_back(file).await;
        file.seek(TextPosition::START).await.unwrap();
        file.readline().await.unwrap();
        file.truncate().await.unwrap();
        assert_eq!(read_all(file.get_mut()).await, "Grüße\n".as_bytes());

        let file = text.wrap(within(dir.path()).named_temporary_file().await.unwrap());
        let mut file = text_goes_there_and_back(file).await;
        file.seek(TextPosition::START).await.unwrap();
        file.readline().await.unwrap();
        file.truncate().await.unwrap();
        let path = dir.path().join("kept");
        let named = file.detach().await.unwrap();
        drop(named.persist(&path).await.unwrap());
        assert_eq!(fs::read(&path).unwrap(), "Grüße\n".as_bytes());
        let mut file = text.wrap(within(dir.path()).named_temporary_file().await.unwrap());
        file.write("text").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(names(dir.path()), ["kept"]);

        for size in [0, 3, 10, 100] {
            let file = text.wrap(within(dir.path()).spooled_temporary_file(size).unwrap());
            let mut file = text_goes_there_and_back(file).await;
            assert_eq!(file.get_ref().is_rolled(), size == 3 || size == 10);
            file.seek(TextPosition::START).await.unwrap();
            file.readline().await.unwrap();
            file.truncate().await.unwrap();
            assert_eq!(read_all(file.get_mut()).await, "Grüße\n".as_bytes());
        }
    });
}

#[test]
fn a_spooled_text_file_counts_bytes_and_tells_its_newlines() {
    every_runtime(|_| async {
        // Two characters, six bytes.
        let mut file = TextOptions::new().wrap(SpooledTemporaryFile::new(5));
        file.write("€€").await.unwrap();
        assert!(file.get_ref().is_rolled());
        let mut file = TextOptions::new().wrap(SpooledTemporaryFile::new(6));
        file.write("€€").await.unwrap();
        assert!(!file.get_ref().is_rolled());

        for size in [0, 1] {
            for (bytes, expected) in [("a\nb\n", "\n"), ("a\r\nb\r\n", "\r\n")] {
                let mut file = SpooledTemporaryFile::new(size);
                file.write_all(bytes.as_bytes()).await.unwrap();
                file.seek(SeekFrom::Start(0)).await.unwrap();
                let mut file = TextOptions::new().wrap(file);
                let none = file.newlines();
                assert_eq!(none, Newlines::default());
                assert_eq!(file.read_to_end().await.unwrap(), "a\nb\n");
                let seen = file.newlines();
                assert_ne!(seen, none);
                let mut other = TextOptions::new().wrap(SpooledTemporaryFile::new(0));
                other
                    .get_mut()
                    .write_all(expected.as_bytes())
                    .await
                    .unwrap();
                other.seek(TextPosition::START).await.unwrap();
                other.read_to_end().await.unwrap();
                assert_eq!(seen, other.newlines());
            }
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// What is left behind

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_that_are_dropped_leave_nothing() {
    use crate::support::fd_count;
    alone(|| {
        let dir = temp_dir();
        let dir = dir.path();
        block_on(async {
            // Whatever is made once, the timers among it.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            drop(within(dir).named_temporary_file().await.unwrap());
            until(|| names(dir).is_empty()).await;
            until(|| backend().pending_closes() == 0).await;
            let before = fd_count();
            for n in 0..1000 {
                match n % 4 {
                    0 => drop(within(dir).temporary_file().await.unwrap()),
                    1 => {
                        let mut file = within(dir).named_temporary_file().await.unwrap();
                        file.write_all(b"hello").await.unwrap();
                    }
                    2 => drop(within(dir).temporary_directory().await.unwrap()),
                    _ => {
                        let mut file = within(dir).spooled_temporary_file(3).unwrap();
                        file.write_all(b"hello").await.unwrap();
                        assert!(file.is_rolled());
                    }
                }
            }
            until(|| names(dir).is_empty()).await;
            until(|| fd_count() <= before).await;

            // The same where nobody waits for the end of the creation.
            for n in 0..1000 {
                match n % 4 {
                    0 => drop(poll_once(within(dir).temporary_file()).await),
                    1 => drop(poll_once(within(dir).named_temporary_file()).await),
                    2 => drop(poll_once(within(dir).temporary_directory()).await),
                    _ => {
                        let mut file = within(dir).spooled_temporary_file(3).unwrap();
                        drop(poll_once(file.write(b"hello")).await);
                    }
                }
            }
            let idle =
                || backend().queued() + backend().running() + backend().pending_closes() == 0;
            until(|| idle() && names(dir).is_empty() && fd_count() <= before).await;
        });
    });
}

#[cfg(all(unix, feature = "testing"))]
mod stepped {
    use aiofiles::testing::{Call, Stepper};

    use super::*;
    use crate::steps::{Held, begin, drive, stepped, with_faults};

    /// Creates one of the three kinds, and gives the path if it has one.
    async fn create(dir: &Path, kind: usize) -> (Box<dyn Send>, Option<PathBuf>) {
        let builder = within(dir);
        match kind {
            0 => (Box::new(builder.temporary_file().await.unwrap()), None),
            1 => {
                let file = builder.named_temporary_file().await.unwrap();
                let path = file.path().to_owned();
                (Box::new(file), Some(path))
            }
            _ => {
                let dir = builder.temporary_directory().await.unwrap();
                let path = dir.path().to_owned();
                (Box::new(dir), Some(path))
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn creation_that_is_cancelled_at_any_moment_leaves_nothing() {
        use crate::support::fd_count;
        alone(|| {
            stepped(|stepper, _| {
                let dir = temp_dir();
                let before = fd_count();
                for kind in 0..3 {
                    // Before the first poll, before the job, after the job.
                    drop(create(dir.path(), kind));
                    assert_eq!(stepper.waiting(), 0);
                    {
                        let mut creation = pin!(create(dir.path(), kind));
                        begin(creation.as_mut());
                    }
                    stepper.run_all();
                    assert_eq!(names(dir.path()), [""; 0], "kind {kind}");
                    assert_eq!(fd_count(), before, "kind {kind}");
                    {
                        let mut creation = pin!(create(dir.path(), kind));
                        begin(creation.as_mut());
                        assert!(stepper.run_one());
                        assert!(kind == 0 || names(dir.path()).len() == 1);
                    }
                    stepper.run_all();
                    assert_eq!(names(dir.path()), [""; 0], "kind {kind}");
                    assert_eq!(fd_count(), before, "kind {kind}");
                    // Not cancelled, it is there.
                    let (value, path) = drive(stepper, create(dir.path(), kind));
                    assert!(path.is_none_or(|path| path.exists()));
                    drop(value);
                    stepper.run_all();
                    assert_eq!(names(dir.path()), [""; 0], "kind {kind}");
                    assert_eq!(fd_count(), before, "kind {kind}");
                }
            });
        });
    }

    #[test]
    fn a_drop_removes_nothing_itself() {
        stepped(|stepper, _| {
            let dir = temp_dir();
            for kind in 1..3 {
                let (value, path) = drive(stepper, create(dir.path(), kind));
                let path = path.unwrap();
                stepper.run_all();
                drop(value);
                assert!(path.exists(), "kind {kind}: gone before any job ran");
                assert!(stepper.waiting() > 0);
                stepper.run_all();
                assert!(!path.exists(), "kind {kind}");
            }
        });
    }

    /// A file is removed when what it had accepted is written, and not before.
    #[test]
    fn a_file_is_removed_after_its_bytes_are_written() {
        with_faults(|faults| {
            block_on(async {
                let dir = temp_dir();
                let mut file = within(dir.path()).named_temporary_file().await.unwrap();
                let other = dir.path().join("other");
                fs::hard_link(file.path(), &other).unwrap();
                let path = file.path().to_owned();
                let gate = Held::new(faults, Call::Write, 0);
                file.write_all(b"hello").await.unwrap();
                drop(file);
                until(|| gate.waiting() == 1).await;
                what_is_dropped_is_gone().await;
                assert!(path.exists(), "removed before its bytes were written");
                gate.open();
                until(|| !path.exists()).await;
                assert_eq!(fs::read(&other).unwrap(), b"hello");
            });
        });
    }

    /// What can never be written does not keep the file.
    #[test]
    fn a_file_whose_bytes_cannot_be_written_is_removed() {
        stepped(|stepper, faults| {
            let dir = temp_dir();
            for close in [false, true] {
                let mut file = drive(stepper, within(dir.path()).named_temporary_file()).unwrap();
                faults.fail(Call::Write, 0, usize::MAX, 28);
                drive(stepper, file.write_all(b"hello")).unwrap();
                if close {
                    let error = drive(stepper, file.close()).unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(28));
                    assert_eq!(names(dir.path()), [""; 0]);
                }
                drop(file);
                stepper.run_all();
                assert_eq!(names(dir.path()), [""; 0]);
                faults.clear();
            }
        });
    }

    #[test]
    fn errors_of_removal_are_returned_by_close() {
        with_faults(|faults| {
            block_on(async {
                let dir = temp_dir();
                let mut file = within(dir.path()).named_temporary_file().await.unwrap();
                faults.fail(Call::RemoveFile, 0, 1, 13);
                let error = file.close().await.unwrap_err();
                assert_eq!(aiofiles::raw_os_error(&error), Some(13));
                let detail = PathError::of(&error).unwrap();
                assert_eq!((detail.op(), detail.path()), ("remove file", file.path()));
                let file = within(dir.path()).named_temporary_file().await.unwrap();
                faults.fail(Call::Close, 0, 1, 5);
                let path = file.path().to_owned();
                let error = file.remove().await.unwrap_err();
                assert_eq!(aiofiles::raw_os_error(&error), Some(5));
                assert!(!path.exists(), "what could not be closed is removed");

                // A directory can be tried again.
                let mut tree = within(dir.path()).temporary_directory().await.unwrap();
                fill(tree.path());
                faults.fail(Call::RemoveDirAll, 0, 1, 5);
                let error = tree.close().await.unwrap_err();
                assert_eq!(aiofiles::raw_os_error(&error), Some(5));
                let detail = PathError::of(&error).unwrap();
                assert_eq!(
                    (detail.op(), detail.path()),
                    ("remove directory", tree.path())
                );
                tree.close().await.unwrap();
                assert!(!tree.path().exists());

                // Nobody is told, and what can be removed is removed.
                let mut tree = within(dir.path())
                    .ignore_cleanup_errors(true)
                    .temporary_directory()
                    .await
                    .unwrap();
                fill(tree.path());
                faults.fail(Call::RemoveDirAll, 0, 1, 5);
                faults.fail(Call::RemoveFile, 0, 1, 5);
                tree.close().await.unwrap();
                let mut left = 0;
                let mut stack = vec![tree.path().to_owned()];
                while let Some(dir) = stack.pop() {
                    for entry in fs::read_dir(dir).unwrap() {
                        let entry = entry.unwrap();
                        match entry.file_type().unwrap().is_dir() {
                            true => stack.push(entry.path()),
                            false => left += 1,
                        }
                    }
                }
                assert_eq!(left, 1, "one file could not be removed");
                assert_eq!(faults.struck(), 5);
            });
        });
    }

    #[test]
    fn creation_that_fails_leaves_nothing() {
        with_faults(|faults| {
            block_on(async {
                let dir = temp_dir();
                // After the file is there: what it is cannot be asked.
                for nth in 0..3 {
                    for kind in 0..3 {
                        faults.fail(Call::Metadata, nth, 1, 5);
                        let builder = within(dir.path());
                        let failed = match kind {
                            0 => builder.temporary_file().await.is_err(),
                            1 => builder.named_temporary_file().await.is_err(),
                            _ => builder.temporary_directory().await.is_err(),
                        };
                        faults.clear();
                        assert_eq!(failed, kind < 2 || nth == 0, "kind {kind}, call {nth}");
                        until(|| names(dir.path()).is_empty()).await;
                    }
                }
                // A panic of the job is one of the caller.
                for call in [Call::Metadata, Call::SetPermissions] {
                    let mut builder = within(dir.path());
                    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
                    for directory in [false, true] {
                        faults.panic(call, 0, 1);
                        let created = async {
                            match directory {
                                false => drop(builder.named_temporary_file().await),
                                true => drop(builder.temporary_directory().await),
                            }
                        };
                        let created = std::panic::AssertUnwindSafe(created);
                        let panicked = futures_lite::FutureExt::catch_unwind(created).await;
                        panicked.unwrap_err();
                        faults.clear();
                        assert_eq!(names(dir.path()), [""; 0]);
                    }
                }
            });
        });
    }

    #[test]
    fn a_rollover_that_fails_is_reported_and_loses_no_byte() {
        with_faults(|faults| {
            block_on(async {
                let bytes = numbered(1000);
                for (call, nth, code) in [
                    (Call::Open, 0, 5),
                    (Call::Write, 0, 28),
                    (Call::Write, 1, 28),
                ] {
                    let mut file = SpooledTemporaryFile::new(1000);
                    file.write_all(&bytes).await.unwrap();
                    faults.short(Call::Write, 0, usize::MAX, 300);
                    faults.fail(call, nth, 2, code);
                    // The write has accepted nothing, and everything is as before.
                    let error = file.write(b"more").await.unwrap_err();
                    assert_eq!(aiofiles::raw_os_error(&error), Some(code), "{call:?}");
                    assert!(!file.is_rolled());
                    assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 1000);
                    let error = file.rollover().await.unwrap_err();
                    assert_eq!(aiofiles::raw_os_error(&error), Some(code), "{call:?}");
                    faults.clear();
                    assert_same_bytes(read_all(&mut file).await, &bytes);
                    // The next one succeeds.
                    file.write_all(b"more").await.unwrap();
                    assert!(file.is_rolled());
                    assert_same_bytes(read_all(&mut file).await, [&bytes, &b"more"[..]].concat());
                }
                // `into_file` gives the value back.
                let mut file = SpooledTemporaryFile::new(0);
                file.write_all(&bytes).await.unwrap();
                faults.fail(Call::Open, 0, 1, 5);
                let failed = file.into_file().await.unwrap_err();
                assert_eq!(aiofiles::raw_os_error(&failed.error), Some(5));
                let mut file = failed.file.into_file().await.unwrap();
                assert_eq!(file.stream_position().await.unwrap(), 1000);
                assert_same_bytes(read_all(&mut file).await, &bytes);
                // A panic of the job too leaves everything in memory.
                let mut file = SpooledTemporaryFile::new(0);
                file.write_all(&bytes).await.unwrap();
                faults.panic(Call::Open, 0, 1);
                let rolling = std::panic::AssertUnwindSafe(file.rollover());
                let panicked = futures_lite::FutureExt::catch_unwind(rolling).await;
                panicked.unwrap_err();
                assert_same_bytes(read_all(&mut file).await, &bytes);
                file.rollover().await.unwrap();
                assert_same_bytes(read_all(&mut file).await, &bytes);
            });
        });
    }

    /// Whoever reads does not wait for the move, and whoever writes is not forgotten for that.
    #[test]
    fn reading_and_seeking_go_on_during_a_rollover() {
        fn unfinished(stepper: &Stepper, file: &mut SpooledTemporaryFile) {
            begin(pin!(file.write(b"!")));
            assert!(!file.is_rolled());
            assert_eq!(stepper.waiting(), 1);
        }
        stepped(|stepper, _| {
            let mut file = SpooledTemporaryFile::new(5);
            drive(stepper, file.write_all(b"hello")).unwrap();
            unfinished(stepper, &mut file);
            // The write is cancelled: it has accepted nothing. Reading is answered from memory.
            block_on(async {
                file.seek(SeekFrom::Start(1)).await.unwrap();
                let mut bytes = [0; 2];
                file.read_exact(&mut bytes).await.unwrap();
                assert_eq!(&bytes, b"el");
            });
            // The position is the one that it has when the move is done.
            drive(stepper, file.write_all(b"p!")).unwrap();
            assert!(file.is_rolled());
            assert_same_bytes(drive(stepper, read_all(&mut file)), b"help!");

            // Closed or dropped meanwhile.
            let mut file = SpooledTemporaryFile::new(1);
            unfinished_of_two(stepper, &mut file);
            assert!(poll_now(pin!(file.close())).is_ready());
            let mut file = SpooledTemporaryFile::new(1);
            unfinished_of_two(stepper, &mut file);
            drop(file);
            stepper.run_all();
        });
        fn unfinished_of_two(_: &Stepper, file: &mut SpooledTemporaryFile) {
            begin(pin!(file.write(b"two")));
        }
    }

    #[test]
    fn a_cancelled_persist_either_renames_or_removes() {
        for steps in 0..6 {
            stepped(move |stepper, _| {
                let dir = temp_dir();
                let path = dir.path().join("settings");
                let mut file = drive(stepper, within(dir.path()).named_temporary_file()).unwrap();
                drive(stepper, file.write_all(b"new")).unwrap();
                {
                    let mut persist = Box::pin(file.persist(&path));
                    for _ in 0..steps {
                        if poll_now(persist.as_mut()).is_ready() {
                            break;
                        }
                        stepper.run_one();
                    }
                }
                stepper.run_all();
                match &*names(dir.path()) {
                    [] => assert!(steps < 5, "it was done"),
                    [name] => {
                        assert!(steps > 1, "it was not begun");
                        assert_eq!(name, "settings");
                        assert_eq!(fs::read(&path).unwrap(), b"new");
                    }
                    more => panic!("{more:?}"),
                }
            });
        }
    }
}
