//! `unix::Dir`: what is named relative to an open directory.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use aiofiles::os::AccessMode;
use aiofiles::unix::{Dir, OpenOptionsExt as _};
use aiofiles::{File, OpenOptions};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};

use crate::dirs::assert_names;
use crate::support::*;

#[test]
fn it_goes_on_working_when_the_directory_is_renamed() {
    every_runtime(|_| async {
        let temp = temp_dir();
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        fs::create_dir(&old).unwrap();
        let dir = Dir::open(&old).await.unwrap();
        fs::rename(&old, &new).unwrap();
        // Another directory has the name now, and nothing may happen there.
        fs::create_dir(&old).unwrap();

        let mut options = OpenOptions::new();
        options.write(true).create(true);
        let mut file = dir.open_file_with("file", &options).await.unwrap();
        assert_eq!(file.path(), Some(&*old.join("file")));
        file.write_all(b"text").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(fs::read(new.join("file")).unwrap(), b"text");
        let mut text = String::new();
        let mut file = dir.open_file("file").await.unwrap();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "text");

        assert_eq!(dir.metadata("file").await.unwrap().len(), 4);
        dir.create_dir("sub").await.unwrap();
        dir.rename("file", &dir, "renamed").await.unwrap();
        dir.hard_link("renamed", &dir, "hard").await.unwrap();
        dir.symlink("hard", "link").await.unwrap();
        let target = dir.read_link("link").await.unwrap();
        assert_eq!(target, Path::new("hard"));
        assert!(dir.metadata("link").await.unwrap().is_file());
        assert!(dir.symlink_metadata("link").await.unwrap().is_symlink());
        assert!(dir.access("hard", AccessMode::READ).await);
        let mut names = dir.names().await.unwrap();
        names.sort();
        assert_eq!(names, ["hard", "link", "renamed", "sub"]);
        dir.sync_all().await.unwrap();
        dir.remove_file("link").await.unwrap();
        dir.remove_dir("sub").await.unwrap();
        assert!(
            new.join("hard").exists()
                && !new.join("link").is_symlink()
                && !new.join("sub").exists()
        );
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
    });
}

#[test]
fn directories_are_opened_below_one_another_and_files_move_between_them() {
    every_runtime(|_| async {
        let temp = temp_dir();
        fs::create_dir_all(temp.path().join("one/deep")).unwrap();
        fs::create_dir(temp.path().join("two")).unwrap();
        fs::write(temp.path().join("one/deep/file"), "text").unwrap();
        let root = Dir::open(temp.path()).await.unwrap();
        let deep = root
            .open_dir("one")
            .await
            .unwrap()
            .open_dir("deep")
            .await
            .unwrap();
        let two = root.open_dir("two").await.unwrap();
        deep.hard_link("file", &two, "hard").await.unwrap();
        deep.rename("file", &two, "file").await.unwrap();
        assert_eq!(deep.names().await.unwrap(), [""; 0]);
        assert_eq!(fs::read(temp.path().join("two/file")).unwrap(), b"text");
        assert_eq!(fs::read(temp.path().join("two/hard")).unwrap(), b"text");
        let error = deep.rename("file", &two, "file").await.unwrap_err();
        let (from, to) = (
            temp.path().join("one/deep/file"),
            temp.path().join("two/file"),
        );
        assert_names(&error, ErrorKind::NotFound, "rename", &from, Some(&to));
    });
}

#[test]
fn metadata_is_that_of_std() {
    every_runtime(|_| async {
        let temp = temp_dir();
        fs::write(temp.path().join("file"), "text").unwrap();
        symlink("file", temp.path().join("link")).unwrap();
        symlink("missing", temp.path().join("broken")).unwrap();
        let dir = Dir::open(temp.path()).await.unwrap();
        for name in ["file", "link", ".", "..", "/"] {
            let (ours, theirs) = (
                dir.metadata(name).await.unwrap(),
                fs::metadata(temp.path().join(name)).unwrap(),
            );
            let parts = |data: fs::Metadata| (data.dev(), data.ino(), data.mode(), data.len());
            assert_eq!(parts(ours), parts(theirs), "{name}");
            let (ours, theirs) = (
                dir.symlink_metadata(name).await.unwrap(),
                fs::symlink_metadata(temp.path().join(name)).unwrap(),
            );
            assert_eq!(parts(ours), parts(theirs), "{name}");
        }
        assert!(dir.symlink_metadata("broken").await.unwrap().is_symlink());
        let error = dir.metadata("broken").await.unwrap_err();
        let path = temp.path().join("broken");
        assert_names(
            &error,
            ErrorKind::NotFound,
            "query metadata of",
            &path,
            None,
        );
        // No right on the file is needed, and a FIFO is not opened for it.
        let (fifo, mode) = (temp.path().join("fifo"), rustix::fs::Mode::empty());
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(dir.metadata("fifo").await.unwrap().mode() & 0o777, 0);
    });
}

#[test]
fn the_length_includes_what_a_dropped_file_had_accepted() {
    every_runtime(|_| async {
        let temp = temp_dir();
        let dir = Dir::open(temp.path()).await.unwrap();
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        let bytes = numbered(100_000);
        let mut file = dir.open_file_with("file", &options).await.unwrap();
        file.write_all(&bytes).await.unwrap();
        drop(file);
        assert_eq!(dir.metadata("file").await.unwrap().len(), 100_000);
        let mut file = dir
            .open_file_with("file", options.truncate(true))
            .await
            .unwrap();
        file.write_all(&bytes).await.unwrap();
        drop(file);
        let mut found = Vec::new();
        let mut file = dir.open_file("file").await.unwrap();
        file.read_to_end(&mut found).await.unwrap();
        assert_same_bytes(found, bytes);
    });
}

/// Whatever options are given, opening means what std means by them.
#[test]
fn options_mean_what_they_mean_to_std() {
    future::block_on(async {
        let temp = temp_dir();
        let dir = Dir::open(temp.path()).await.unwrap();
        let path = temp.path().join("file");
        for bits in 0..1 << 7 {
            let bit = |n: u32| bits & 1 << n != 0;
            let mut ours = OpenOptions::new();
            ours.read(bit(0))
                .write(bit(1))
                .append(bit(2))
                .truncate(bit(3));
            ours.create(bit(4)).create_new(bit(5)).mode(0o640);
            let mut results = [true, false].map(|_| None);
            for (relative, result) in [true, false].into_iter().zip(&mut results) {
                let _ = fs::remove_file(&path);
                if bit(6) {
                    fs::write(&path, "text").unwrap();
                }
                let opened = if relative {
                    dir.open_file_with("file", &ours).await
                } else {
                    ours.open(&path).await
                };
                let error = opened
                    .as_ref()
                    .err()
                    .map(|error| (error.kind(), error.to_string()));
                let flags = opened
                    .ok()
                    .map(|file| rustix::fs::fcntl_getfl(&file).unwrap());
                let left = fs::read(&path).ok();
                let mode = fs::metadata(&path).map(|data| data.mode()).ok();
                // std has a text of its own for options that make no sense.
                let kind = error.map(|(kind, _)| kind);
                *result = Some((kind, flags, left, mode));
            }
            assert_eq!(results[0], results[1], "{bits:07b}");
        }
    });
}

#[test]
fn directories_are_created_with_their_bits() {
    every_runtime(|_| async {
        let temp = temp_dir();
        let dir = Dir::open(temp.path()).await.unwrap();
        let mode = |name: &str| fs::metadata(temp.path().join(name)).unwrap().mode();
        dir.create_dir_with_mode("private", 0o700).await.unwrap();
        assert_eq!(mode("private") & 0o777, 0o700);
        dir.create_dir("ours").await.unwrap();
        fs::create_dir(temp.path().join("theirs")).unwrap();
        assert_eq!(mode("ours"), mode("theirs"));
    });
}

#[test]
fn errors_name_the_operation_and_the_whole_path() {
    every_runtime(|_| async {
        let temp = temp_dir();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        fs::create_dir_all(temp.path().join("full/sub")).unwrap();
        let missing = temp.path().join("missing");
        let error = Dir::open(&missing).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "open", &missing, None);
        let error = Dir::open(&file).await.unwrap_err();
        assert_names(&error, ErrorKind::NotADirectory, "open", &file, None);
        let dir = Dir::open(temp.path()).await.unwrap();
        let not_found = ErrorKind::NotFound;
        for (error, op) in [
            (dir.open_dir("missing").await.unwrap_err(), "open"),
            (dir.open_file("missing").await.unwrap_err(), "open"),
            (
                dir.symlink_metadata("missing").await.unwrap_err(),
                "query metadata of",
            ),
            (dir.remove_file("missing").await.unwrap_err(), "remove file"),
            (
                dir.remove_dir("missing").await.unwrap_err(),
                "remove directory",
            ),
            (dir.read_link("missing").await.unwrap_err(), "read link"),
        ] {
            assert_names(&error, not_found, op, &missing, None);
            assert_eq!(aiofiles::raw_os_error(&error), Some(2));
        }
        let error = dir.create_dir("file").await.unwrap_err();
        assert_names(
            &error,
            ErrorKind::AlreadyExists,
            "create directory",
            &file,
            None,
        );
        let full = temp.path().join("full");
        let error = dir.remove_dir("full").await.unwrap_err();
        assert_names(
            &error,
            ErrorKind::DirectoryNotEmpty,
            "remove directory",
            &full,
            None,
        );
        let error = dir.symlink("target", "file").await.unwrap_err();
        let target = Path::new("target");
        assert_names(
            &error,
            ErrorKind::AlreadyExists,
            "link",
            target,
            Some(&file),
        );
        assert!(!dir.access("missing", AccessMode::EXISTS).await);
        for error in [
            dir.open_file("a\0b").await.unwrap_err(),
            dir.create_dir("a\0b").await.unwrap_err(),
            dir.metadata("a\0b").await.unwrap_err(),
            dir.symlink("a\0b", "link").await.unwrap_err(),
            dir.rename("file", &dir, "a\0b").await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    });
}

#[test]
fn a_descriptor_of_a_directory_can_be_taken_over() {
    every_runtime(|_| async {
        let temp = temp_dir();
        fs::write(temp.path().join("file"), "text").unwrap();
        let dir = Dir::from(OwnedFd::from(fs::File::open(temp.path()).unwrap()));
        assert_eq!(dir.names().await.unwrap(), ["file"]);
        assert_eq!(dir.as_fd().as_raw_fd(), dir.as_raw_fd());
        let error = dir.open_file("missing").await.unwrap_err();
        let missing = Path::new("missing");
        assert_names(&error, ErrorKind::NotFound, "open", missing, None);

        let file = Dir::from(OwnedFd::from(
            fs::File::open(temp.path().join("file")).unwrap(),
        ));
        let error = file.names().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
    });
}

/// Names are read through a descriptor of their own, so calls do not disturb one another.
#[test]
fn names_are_complete_however_many_ask_at_once() {
    every_runtime(|rt| async move {
        let temp = temp_dir();
        for n in 0..300 {
            fs::write(temp.path().join(n.to_string()), "").unwrap();
        }
        let dir = std::sync::Arc::new(Dir::open(temp.path()).await.unwrap());
        let tasks = (0..8).map(|_| {
            let dir = dir.clone();
            rt.spawn(async move { dir.names().await.unwrap().len() })
        });
        for task in tasks.collect::<Vec<_>>() {
            assert_eq!(task.await, 300);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_below_a_directory_waits_for_its_reader() {
    every_runtime(|rt| async move {
        let temp = temp_dir();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = temp.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let dir = Dir::open(temp.path()).await.unwrap();
        let writer = rt.spawn(async move {
            let mut options = OpenOptions::new();
            let mut writer = dir
                .open_file_with("fifo", options.write(true))
                .await
                .unwrap();
            writer.write_all(b"text").await.unwrap();
            writer.close().await.unwrap();
        });
        let mut text = String::new();
        let mut reader = File::open(&fifo).await.unwrap();
        while text.is_empty() {
            // Before the writer has come, there is nothing to read and an end.
            reader.read_to_string(&mut text).await.unwrap();
        }
        writer.await;
        assert_eq!(text, "text");
    });
}

/// Every directory, file and cancelled call gives its descriptor back.
#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_is_left() {
    alone(|| {
        let temp = temp_dir();
        fs::create_dir(temp.path().join("sub")).unwrap();
        fs::write(temp.path().join("file"), "text").unwrap();
        future::block_on(async {
            let round = async |whole: bool| {
                let dir = Dir::open(temp.path()).await.unwrap();
                let sub = dir.open_dir("sub").await.unwrap();
                drop(dir.open_file("file").await.unwrap());
                dir.metadata("file").await.unwrap();
                dir.names().await.unwrap();
                if !whole {
                    poll_once(Dir::open(temp.path())).await;
                    poll_once(dir.open_file("file")).await;
                    poll_once(dir.open_dir("sub")).await;
                    poll_once(dir.metadata("file")).await;
                    poll_once(dir.names()).await;
                }
                drop((dir, sub));
            };
            // The reactor and the pool have descriptors of their own by then.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            round(true).await;
            let idle = async || {
                loop {
                    let now = aiofiles::backend();
                    if now.queued() + now.running() + now.pending_closes() == 0 {
                        return;
                    }
                    future::yield_now().await;
                }
            };
            idle().await;
            let before = fd_count();
            for _ in 0..50 {
                round(false).await;
            }
            crate::files::until(|| fd_count() <= before).await;
        });
    });
}

#[cfg(feature = "testing")]
#[test]
fn changes_that_were_polled_happen_and_others_do_not() {
    use std::pin::pin;

    crate::steps::stepped(|stepper, _| {
        let temp = temp_dir();
        let dir = crate::steps::drive(stepper, Dir::open(temp.path())).unwrap();
        drop(dir.create_dir("unpolled"));
        assert_eq!(stepper.waiting(), 0);
        assert!(poll_now(pin!(dir.create_dir("polled"))).is_pending());
        // The descriptor stays until the job is done.
        drop(dir);
        stepper.run_all();
        assert!(temp.path().join("polled").is_dir() && !temp.path().join("unpolled").exists());
    });
}

/// A sync that failed may have lost something, so the next one cannot be trusted.
#[cfg(feature = "testing")]
#[test]
fn a_failed_sync_is_final() {
    use aiofiles::testing::Call;

    crate::steps::with_faults(|faults| {
        let temp = temp_dir();
        future::block_on(async {
            let dir = Dir::open(temp.path()).await.unwrap();
            dir.sync_all().await.unwrap();
            faults.fail(Call::SyncAll, 0, 1, 5);
            for _ in 0..2 {
                let error = dir.sync_all().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(5));
            }
            let dir = Dir::open(temp.path()).await.unwrap();
            dir.sync_all().await.unwrap();
        });
    });
}
