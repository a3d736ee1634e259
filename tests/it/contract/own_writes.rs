//! Rule 7: a program reads its own writes.

use std::fs::FileTimes;
use std::time::SystemTime;

use aiofiles::File;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{alone, assert_same_bytes, every_runtime, numbered, poll_now, poll_once};

const LEN: usize = 1_000_000;

/// A file whose bytes are accepted, and most of them on their way.
async fn written(path: &Path) -> File {
    let mut file = read_write().open(path).await.unwrap();
    file.write_all(&numbered(LEN)).await.unwrap();
    file
}

/// Rule 7, and the fault of two peers: `metadata` counts what was written.
#[test]
fn metadata_counts_what_was_written_before() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let mut file = File::create(dir.path().join("file")).await.unwrap();
        let mut len = 0;
        for piece in 0..50 {
            file.write_all(&numbered(piece * 1000)).await.unwrap();
            len += piece as u64 * 1000;
            assert_eq!(file.metadata().await.unwrap().len(), len);
        }
    });
}

/// Rule 7: each of these on a handle settles its writes first.
#[test]
fn whatever_asks_or_changes_an_open_file_comes_after_its_writes() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        for what in 0..10 {
            let path = dir.path().join(what.to_string());
            let file = written(&path).await;
            match what {
                0 => assert_eq!(file.metadata().await.unwrap().len(), LEN as u64),
                1 => {
                    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
                    permissions.set_readonly(true);
                    file.set_permissions(permissions).await.unwrap();
                }
                2 => file.set_times(FileTimes::new()).await.unwrap(),
                3 => file.set_modified(SystemTime::now()).await.unwrap(),
                4 => file.lock().await.unwrap(),
                5 => file.lock_shared().await.unwrap(),
                6 => file.try_lock().await.unwrap(),
                7 => file.try_lock_shared().await.unwrap(),
                8 => file.unlock().await.unwrap(),
                _ => drop(file.try_clone().await.unwrap()),
            }
            assert_same_bytes(on_disk(&path), numbered(LEN));
        }
    });
}

/// Rule 7: they wait as long as it takes.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn whatever_asks_or_changes_an_open_file_waits_for_its_writes() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = read_write().open(&path).await.unwrap();
            let gate = Held::new(faults, Call::Write, 0);
            file.write_all(b"written").await.unwrap();
            until(|| gate.waiting() == 1).await;
            let permissions = std::fs::metadata(&path).unwrap().permissions();
            let mut waiting: Vec<(&str, Boxed<'_, ()>)> = vec![
                (
                    "metadata",
                    Box::pin(async { file.metadata().await.map(drop) }),
                ),
                (
                    "set_permissions",
                    Box::pin(file.set_permissions(permissions)),
                ),
                ("set_times", Box::pin(file.set_times(FileTimes::new()))),
                ("lock", Box::pin(file.lock())),
                ("unlock", Box::pin(file.unlock())),
                (
                    "try_clone",
                    Box::pin(async { file.try_clone().await.map(drop) }),
                ),
                (
                    "try_lock",
                    Box::pin(async { file.try_lock().await.map_err(io::Error::from) }),
                ),
            ];
            for _ in 0..10 {
                for (name, future) in &mut waiting {
                    assert!(poll_now(Pin::new(future)).is_pending(), "{name}");
                }
                aiofiles::metadata(&path).await.unwrap();
            }
            gate.open();
            for (name, future) in waiting {
                future
                    .await
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        });
    });
}

/// Rule 7: whatever of this crate reaches a file that was dropped with bytes on their way finds them.
#[test]
fn a_dropped_file_is_found_complete_by_every_path_that_leads_to_it() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let bytes = numbered(LEN);
        let target = dir.path().join("copy");
        for what in 0..12 {
            let path = dir.path().join(what.to_string());
            let other = dir.path().join(format!("{what}, linked"));
            std::fs::write(&path, "").unwrap();
            std::fs::hard_link(&path, &other).unwrap();
            drop(written(&path).await);
            match what {
                0 => {
                    let mut found = Vec::new();
                    let mut file = File::open(&path).await.unwrap();
                    file.read_to_end(&mut found).await.unwrap();
                    assert_same_bytes(found, &bytes);
                }
                1 => assert_same_bytes(aiofiles::read(&path).await.unwrap(), &bytes),
                2 => {
                    assert_eq!(aiofiles::copy(&path, &target).await.unwrap(), LEN as u64);
                    assert_same_bytes(on_disk(&target), &bytes);
                }
                3 => assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), LEN as u64),
                4 => {
                    let metadata = aiofiles::symlink_metadata(&path).await.unwrap();
                    assert_eq!(metadata.len(), LEN as u64);
                }
                5 => {
                    let copied = aiofiles::copy_with_progress(&path, &target, |_, _| {}).await;
                    assert_eq!(copied.unwrap(), LEN as u64);
                    assert_same_bytes(on_disk(&target), &bytes);
                }
                6 => {
                    let error = aiofiles::read_to_string(&path).await.unwrap_err();
                    // The bytes are no text; what matters is that they were all there.
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    assert_same_bytes(on_disk(&path), &bytes);
                }
                7 => assert_same_bytes(aiofiles::read(&other).await.unwrap(), &bytes),
                8 => {
                    // An open that truncates must not be overtaken by the bytes of before.
                    let mut file = File::create(&path).await.unwrap();
                    file.write_all(b"new").await.unwrap();
                    file.close().await.unwrap();
                    aiofiles::settle().await;
                    assert_same_bytes(on_disk(&path), b"new");
                }
                9 => {
                    aiofiles::write(&other, "new").await.unwrap();
                    aiofiles::settle().await;
                    assert_same_bytes(on_disk(&path), b"new");
                }
                10 => {
                    std::fs::write(&target, "short").unwrap();
                    aiofiles::copy(&target, &path).await.unwrap();
                    aiofiles::settle().await;
                    assert_same_bytes(on_disk(&path), b"short");
                }
                _ => {
                    let mut file = read_append().open(&path).await.unwrap();
                    file.write_all(b"end").await.unwrap();
                    file.close().await.unwrap();
                    assert_same_bytes(on_disk(&path), [&bytes[..], b"end"].concat());
                }
            }
        }
    });
}

/// Rule 7: a symbolic link leads to the dropped file too.
#[cfg(unix)]
#[test]
fn a_dropped_file_is_found_complete_through_a_symbolic_link() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        for _ in 0..5 {
            drop(written(&dir.path().join("file")).await);
            assert_same_bytes(aiofiles::read(&link).await.unwrap(), numbered(LEN));
            std::fs::remove_file(dir.path().join("file")).unwrap();
        }
    });
}

/// Rule 7: it does not matter how many handles there were, nor which of them wrote.
#[test]
fn the_last_of_several_handles_leaves_a_complete_file() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        for _ in 0..10 {
            let mut file = File::create(&path).await.unwrap();
            let mut clone = file.try_clone().await.unwrap();
            file.write_all(&numbered(LEN)).await.unwrap();
            drop(file);
            clone.write_all(b"end").await.unwrap();
            drop(clone);
            let found = aiofiles::read(&path).await.unwrap();
            assert_same_bytes(found, [&numbered(LEN)[..], b"end"].concat());
        }
    });
}

/// Rule 7: `settle` waits for all of them, for when another process is to read the files.
#[test]
fn everything_is_with_the_operating_system_after_settle() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let path = |n: usize| dir.path().join(n.to_string());
        for n in 0..20 {
            drop(written(&path(n)).await);
        }
        aiofiles::settle().await;
        for n in 0..20 {
            assert_same_bytes(on_disk(&path(n)), numbered(LEN));
        }
    });
}

/// Rule 7: it waits for each of several dropped files that are one and the same to the file system.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn settle_waits_for_every_dropped_handle_of_one_file() {
    use futures_lite::AsyncSeekExt as _;

    alone(|| {
        stepped(|stepper, _| {
            let (_dir, path) = sample("............");
            let mut one = drive(stepper, read_write().open(&path)).unwrap();
            let mut two = drive(stepper, read_write().open(&path)).unwrap();
            drive(stepper, two.seek(io::SeekFrom::Start(4))).unwrap();
            drive(stepper, one.write_all(b"one ")).unwrap();
            drive(stepper, two.write_all(b"two ")).unwrap();
            drop(one);
            drop(two);
            let mut settling = std::pin::pin!(aiofiles::settle());
            begin(settling.as_mut());
            assert!(stepper.run_one());
            assert_eq!(on_disk(&path), b"one ........");
            begin(settling.as_mut());
            drive(stepper, settling);
            assert_eq!(on_disk(&path), b"one two ....");
        });
    });
}

/// Rule 7: while nothing is on its way, `settle` is done at once, and nobody asks the file system for it.
#[test]
fn nothing_is_asked_while_no_dropped_file_has_bytes_on_their_way() {
    alone(|| {
        let mut settling = std::pin::pin!(aiofiles::settle());
        assert!(poll_now(settling.as_mut()).is_ready());
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("content");
            // A file that was flushed, and one that was read, leave nothing to wait for.
            let mut file = read_write().open(&path).await.unwrap();
            file.write_all(b"content").await.unwrap();
            file.flush().await.unwrap();
            drop(file);
            drop(File::open(&path).await.unwrap());
            assert_eq!(poll_once(aiofiles::settle()).await, Some(()));
            until(|| aiofiles::backend().pending_closes() == 0).await;
            let before = aiofiles::backend().operations();
            aiofiles::metadata(&path).await.unwrap();
            assert_eq!(aiofiles::backend().operations() - before, 1);
        });
    });
}

/// Rule 7: whatever reaches the file waits as long as the bytes take; what reaches others does not.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn only_what_reaches_the_dropped_file_waits_for_it() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (dir, path) = sample("");
            let elsewhere = dir.path().join("elsewhere");
            std::fs::write(&elsewhere, "other").unwrap();
            let mut file = File::create(&path).await.unwrap();
            let gate = Held::new(faults, Call::Write, 0);
            file.write_all(b"late").await.unwrap();
            until(|| gate.waiting() == 1).await;
            drop(file);

            let target = dir.path().join("target");
            let mut waiting: Vec<(&str, Boxed<'_, u64>)> = vec![
                (
                    "read",
                    Box::pin(async { Ok(aiofiles::read(&path).await?.len() as u64) }),
                ),
                (
                    "metadata",
                    Box::pin(async { Ok(aiofiles::metadata(&path).await?.len()) }),
                ),
                (
                    "open",
                    Box::pin(async { Ok(File::open(&path).await?.metadata().await?.len()) }),
                ),
                ("copy", Box::pin(aiofiles::copy(&path, &target))),
                (
                    "settle",
                    Box::pin(async {
                        aiofiles::settle().await;
                        Ok(on_disk(&path).len() as u64)
                    }),
                ),
            ];
            for _ in 0..10 {
                for (name, future) in &mut waiting {
                    assert!(poll_now(Pin::new(future)).is_pending(), "{name}");
                }
                assert_eq!(aiofiles::read(&elsewhere).await.unwrap(), b"other");
            }
            gate.open();
            for (name, future) in waiting {
                assert_eq!(future.await.unwrap(), 4, "{name}");
            }
        });
    });
}

/// Rules 7 and 11: a file whose close was begun and not waited for is waited for as a dropped one is.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_file_whose_close_was_cancelled_is_waited_for() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (dir, path) = sample("");
            let elsewhere = dir.path().join("elsewhere");
            std::fs::write(&elsewhere, "other").unwrap();
            let mut file = File::create(&path).await.unwrap();
            let gate = Held::new(faults, Call::Write, 0);
            file.write_all(b"late").await.unwrap();
            until(|| gate.waiting() == 1).await;
            assert!(poll_once(file.close()).await.is_none());
            drop(file);
            let mut reading = Box::pin(aiofiles::read(&path));
            let mut early = poll_now(reading.as_mut());
            for _ in 0..10 {
                assert_eq!(aiofiles::read(&elsewhere).await.unwrap(), b"other");
                if early.is_pending() {
                    early = poll_now(reading.as_mut());
                }
            }
            assert!(
                early.is_pending(),
                "read before the bytes were there: {early:?}"
            );
            gate.open();
            assert_eq!(reading.await.unwrap(), b"late");
        });
    });
}

/// Rules 7 and 10: bytes that can never be written do not keep others waiting: after one more try they are given up.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn bytes_that_cannot_be_written_keep_nobody_waiting() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for (failures, told_before) in [(1, false), (1, true), (EVER, false), (EVER, true)] {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, File::create(&path)).unwrap();
            faults.clear();
            faults.fail(Call::Write, 0, failures, code::ENOSPC);
            drive(stepper, file.write_all(b"late")).unwrap();
            if told_before {
                drive(stepper, file.flush()).unwrap_err();
            }
            drop(file);
            let found = drive(stepper, aiofiles::read(&path)).unwrap();
            let expected = if failures == 1 { &b"late"[..] } else { b"" };
            assert_eq!(found, expected, "told before: {told_before}");
        }
    });
}

/// Rule 7: a name that is renamed leads to the file all the same.
#[test]
fn a_dropped_file_that_was_renamed_is_found_complete() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let (path, other) = (dir.path().join("one"), dir.path().join("other"));
        for _ in 0..10 {
            drop(written(&path).await);
            aiofiles::rename(&path, &other).await.unwrap();
            assert_same_bytes(aiofiles::read(&other).await.unwrap(), numbered(LEN));
        }
    });
}
