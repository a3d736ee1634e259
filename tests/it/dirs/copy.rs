//! Copying: paths, and open files.

use std::fs;
use std::io::{ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};

use aiofiles::{File, copy, copy_between, copy_with_progress};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tempfile::TempDir;

use super::assert_names;
use crate::files::rest;
use crate::support::*;

const MIB: usize = 1 << 20;

/// How much is copied between two reports of progress.
const STRETCH: usize = 16 * MIB;

/// A directory with a file of these bytes, the file's path, and the path for its copy.
fn sample(bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf, PathBuf) {
    let dir = temp_dir();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, bytes).expect("a file");
    (dir, from, to)
}

#[test]
fn a_copy_has_the_content_and_replaces_what_was_there() {
    every_runtime(|_| async {
        for len in [0, 1, 8191, 3 * MIB + 5] {
            let (_dir, from, to) = sample(numbered(len));
            fs::write(&to, "a longer text than some of the files have").unwrap();
            assert_eq!(copy(&from, &to).await.unwrap(), len as u64);
            assert_same_bytes(fs::read(&to).unwrap(), numbered(len));

            fs::write(&to, "a longer text than some of the files have").unwrap();
            let copied = copy_with_progress(&from, &to, |_, _| ()).await;
            assert_eq!(copied.unwrap(), len as u64);
            assert_same_bytes(fs::read(&to).unwrap(), numbered(len));
        }
    });
}

#[cfg(unix)]
#[test]
fn a_copy_has_the_permissions_that_std_gives_it() {
    use std::os::unix::fs::PermissionsExt as _;

    every_runtime(|_| async {
        let (dir, from, to) = sample("text");
        for (mode, present) in [
            (0o640, None),
            (0o751, None),
            (0o600, Some(0o666)),
            (0o444, Some(0o600)),
        ] {
            fs::set_permissions(&from, fs::Permissions::from_mode(mode)).unwrap();
            let targets = [
                to.clone(),
                dir.path().join("progress"),
                dir.path().join("std"),
            ];
            for target in &targets {
                let _ = fs::remove_file(target);
                if let Some(mode) = present {
                    fs::write(target, "").unwrap();
                    fs::set_permissions(target, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            copy(&from, &targets[0]).await.unwrap();
            copy_with_progress(&from, &targets[1], |_, _| ())
                .await
                .unwrap();
            fs::copy(&from, &targets[2]).unwrap();
            let modes = targets.map(|path| fs::metadata(path).unwrap().permissions().mode());
            assert_eq!(modes, [modes[2]; 3], "of a file with mode {mode:o}");
        }
    });
}

#[test]
fn only_files_are_copied() {
    every_runtime(|_| async {
        let (dir, _, to) = sample("");
        let error = copy(dir.path(), &to).await.unwrap_err();
        let kind = ErrorKind::InvalidInput;
        assert_names(&error, kind, "copy", dir.path(), Some(&to));
        let error = copy_with_progress(dir.path(), &to, |_, _| ())
            .await
            .unwrap_err();
        assert_names(&error, kind, "copy", dir.path(), Some(&to));
        assert!(!to.exists());
    });
}

/// Opening it would wait for a writer.
#[cfg(unix)]
#[test]
fn a_fifo_is_not_copied_and_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    every_runtime(|_| async {
        let (dir, _, to) = sample("");
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let error = copy(&fifo, &to).await.unwrap_err();
        assert_names(&error, ErrorKind::InvalidInput, "copy", &fifo, Some(&to));
        let error = copy_with_progress(&fifo, &to, |_, _| ()).await.unwrap_err();
        assert_names(&error, ErrorKind::InvalidInput, "copy", &fifo, Some(&to));
        assert!(!to.exists());
    });
}

#[test]
fn an_error_of_the_target_names_both_paths() {
    every_runtime(|_| async {
        let (dir, from, _) = sample("text");
        for to in [dir.path().to_owned(), dir.path().join("no/where")] {
            let theirs = fs::copy(&from, &to).unwrap_err().kind();
            let error = copy(&from, &to).await.unwrap_err();
            assert_names(&error, theirs, "copy", &from, Some(&to));
            let error = copy_with_progress(&from, &to, |_, _| ()).await.unwrap_err();
            assert_names(&error, theirs, "copy", &from, Some(&to));
        }
    });
}

/// The file is a hole, so that the test moves little.
#[test]
fn progress_is_told_in_order_after_every_stretch_and_at_the_end() {
    every_runtime(|_| async {
        for len in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 7] {
            let (_dir, from, to) = sample("");
            let file = fs::OpenOptions::new().write(true).open(&from).unwrap();
            file.set_len(len as u64).unwrap();
            let mut told = Vec::new();
            let copied = copy_with_progress(&from, &to, |done, total| told.push((done, total)));
            assert_eq!(copied.await.unwrap(), len as u64);
            let mut expected = (1..=len / STRETCH).map(|n| n * STRETCH).collect::<Vec<_>>();
            if len % STRETCH > 0 || len == 0 {
                expected.push(len);
            }
            let expected = expected.iter().map(|&done| (done as u64, len as u64));
            assert_eq!(told, expected.collect::<Vec<_>>());
            assert_eq!(fs::metadata(&to).unwrap().len(), len as u64);
        }
    });
}

/// Files of procfs have content and the size 0.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_it_is_empty_is_copied_to_its_end() {
    every_runtime(|_| async {
        let source = Path::new("/proc/version");
        let content = fs::read(source).unwrap();
        assert!(!content.is_empty() && fs::metadata(source).unwrap().len() == 0);
        let len = content.len() as u64;
        let (_dir, _, to) = sample("");
        assert_eq!(copy(source, &to).await.unwrap(), len);
        assert_same_bytes(fs::read(&to).unwrap(), &content);

        let mut told = Vec::new();
        let copied = copy_with_progress(source, &to, |done, total| told.push((done, total)));
        assert_eq!(copied.await.unwrap(), len);
        assert_eq!(told, [(len, 0)]);
        assert_same_bytes(fs::read(&to).unwrap(), &content);

        let mut from = File::open(source).await.unwrap();
        let mut target = File::create(&to).await.unwrap();
        assert_eq!(copy_between(&mut from, &mut target).await.unwrap(), len);
        assert_eq!(target.stream_position().await.unwrap(), len);
        target.close().await.unwrap();
        assert_same_bytes(fs::read(&to).unwrap(), &content);
    });
}

#[test]
fn between_open_files_both_positions_move_over_what_is_copied() {
    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path, other) = sample(&bytes);
        fs::write(&other, vec![b'x'; 400_000]).unwrap();
        let mut from = File::open(&path).await.unwrap();
        let mut to = File::options()
            .read(true)
            .write(true)
            .open(&other)
            .await
            .unwrap();

        // Both have bytes read ahead, and the target has bytes on their way.
        let mut begin = vec![0; 1000];
        from.read_exact(&mut begin).await.unwrap();
        to.read_exact(&mut begin[..500]).await.unwrap();
        to.write_all(b"written").await.unwrap();
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 299_000);
        assert_eq!(from.stream_position().await.unwrap(), 300_000);
        assert_eq!(to.stream_position().await.unwrap(), 507 + 299_000);
        assert!(rest(&mut from).await.is_empty());
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 0);
        to.write_all(b"behind").await.unwrap();
        to.flush().await.unwrap();

        let mut expected = vec![b'x'; 400_000];
        expected[500..507].copy_from_slice(b"written");
        expected[507..299_507].copy_from_slice(&bytes[1000..]);
        expected[299_507..299_513].copy_from_slice(b"behind");
        assert_same_bytes(fs::read(&other).unwrap(), &expected);
        // What stands behind was read before and is read again.
        assert_same_bytes(rest(&mut to).await, &expected[299_513..]);
        to.seek(SeekFrom::Start(0)).await.unwrap();
        assert_same_bytes(rest(&mut to).await, &expected);
    });
}

#[test]
fn bytes_that_the_source_accepted_are_copied_too() {
    every_runtime(|_| async {
        let (_dir, path, other) = sample("");
        let mut from = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        let mut to = File::create(&other).await.unwrap();
        let bytes = numbered(100_000);
        from.write_all(&bytes).await.unwrap();
        from.seek(SeekFrom::Start(10)).await.unwrap();
        from.write_all(&bytes[10..20]).await.unwrap();
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 99_980);
        assert_same_bytes(fs::read(&other).unwrap(), &bytes[20..]);
    });
}

#[test]
fn a_target_in_append_mode_gets_the_bytes_at_its_end() {
    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path, other) = sample(&bytes);
        fs::write(&other, "present").unwrap();
        let mut from = File::open(&path).await.unwrap();
        from.seek(SeekFrom::Start(7)).await.unwrap();
        let mut to = File::options().append(true).open(&other).await.unwrap();
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 299_993);
        to.close().await.unwrap();
        let found = fs::read(&other).unwrap();
        assert_same_bytes(&found[..7], b"present");
        assert_same_bytes(&found[7..], &bytes[7..]);
    });
}

#[cfg(unix)]
#[test]
fn a_pipe_is_copied_until_its_writers_have_gone() {
    use std::os::fd::OwnedFd;

    every_runtime(|_| async {
        let (_dir, _, path) = sample("");
        let (reader, mut writer) = std::io::pipe().unwrap();
        let bytes = numbered(300_000);
        let sent = bytes.clone();
        let thread = std::thread::spawn(move || {
            std::io::Write::write_all(&mut writer, &sent).unwrap();
        });
        let mut from = File::from(OwnedFd::from(reader));
        let mut to = File::create(&path).await.unwrap();
        to.write_all(b"head").await.unwrap();
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 300_000);
        assert_eq!(to.stream_position().await.unwrap(), 300_004);
        to.close().await.unwrap();
        thread.join().unwrap();
        let found = fs::read(&path).unwrap();
        assert_same_bytes(&found[..4], b"head");
        assert_same_bytes(&found[4..], bytes);
    });
}

#[cfg(unix)]
#[test]
fn a_pipe_gets_what_a_file_holds() {
    use std::os::fd::OwnedFd;

    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path, _) = sample(&bytes);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let thread = std::thread::spawn(move || {
            let mut found = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut found).unwrap();
            found
        });
        let mut from = File::open(&path).await.unwrap();
        let mut to = File::from(OwnedFd::from(writer));
        assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 300_000);
        to.close().await.unwrap();
        drop(to);
        assert_same_bytes(thread.join().unwrap(), bytes);
    });
}

#[test]
fn files_of_the_wrong_direction_and_closed_ones_are_refused() {
    every_runtime(|_| async {
        let (_dir, path, other) = sample("text");
        let theirs = std::io::copy(
            &mut fs::File::open(&path).unwrap(),
            &mut fs::File::open(&path).unwrap(),
        );
        let mut from = File::open(&path).await.unwrap();
        let mut to = File::create(&other).await.unwrap();
        let mut from_again = File::open(&path).await.unwrap();
        let error = copy_between(&mut from, &mut from_again).await.unwrap_err();
        assert_eq!(error.raw_os_error(), theirs.unwrap_err().raw_os_error());
        assert!(copy_between(&mut to, &mut from_again).await.is_err());

        to.close().await.unwrap();
        for error in [
            copy_between(&mut from, &mut to).await.unwrap_err(),
            copy_between(&mut to, &mut from).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "file is closed");
        }
        assert_eq!(rest(&mut from).await, b"text");
    });
}

/// Clones share their position, so each byte is copied onto itself.
#[test]
fn a_file_copied_to_its_own_clone_stays_as_it_is() {
    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path, _) = sample(&bytes);
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        let mut clone = file.try_clone().await.unwrap();
        file.seek(SeekFrom::Start(1000)).await.unwrap();
        assert_eq!(copy_between(&mut file, &mut clone).await.unwrap(), 299_000);
        assert_eq!(file.stream_position().await.unwrap(), 300_000);
        assert_same_bytes(fs::read(&path).unwrap(), bytes);
    });
}

/// Offsets that do not fit into 32 bits; and so little data that the test is quick.
#[cfg(unix)]
#[test]
fn files_of_five_gibibytes_are_copied_at_their_ends() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    every_runtime(|_| async {
        const FAR: u64 = 5 << 30;
        let (_dir, path, other) = sample("");
        let bytes = numbered(100_000);
        let sparse = fs::OpenOptions::new().write(true).open(&path).unwrap();
        sparse.write_all_at(&bytes, FAR).unwrap();
        sparse.set_len(FAR + MIB as u64).unwrap();

        let mut from = File::open(&path).await.unwrap();
        let mut to = File::create(&other).await.unwrap();
        from.seek(SeekFrom::Start(FAR)).await.unwrap();
        to.seek(SeekFrom::Start(FAR + 1)).await.unwrap();
        let copied = copy_between(&mut from, &mut to).await.unwrap();
        assert_eq!(copied, MIB as u64);
        let end = FAR + MIB as u64;
        assert_eq!(from.stream_position().await.unwrap(), end);
        assert_eq!(to.stream_position().await.unwrap(), end + 1);
        to.close().await.unwrap();

        let target = fs::File::open(&other).unwrap();
        let mut found = vec![0; MIB + 1];
        target.read_exact_at(&mut found, FAR).unwrap();
        assert_same_bytes(&found[1..=bytes.len()], &bytes);
        assert!(found[bytes.len() + 1..].iter().all(|byte| *byte == 0));
        let metadata = target.metadata().unwrap();
        assert_eq!(metadata.len(), end + 1);
        // What was not copied is a hole.
        assert!(metadata.blocks() * 512 < 8 * MIB as u64);
    });
}

#[cfg(all(unix, feature = "testing"))]
mod stepped {
    use std::pin::pin;
    use std::task::{Context, Poll};

    use aiofiles::testing::{Call, Faults};
    use rustix::io::Errno;

    use super::*;
    use crate::steps::*;

    #[test]
    fn a_copy_goes_on_after_its_future_is_dropped() {
        stepped(|stepper, _| {
            let (_dir, from, to) = sample("text");
            assert!(poll_now(pin!(copy(&from, &to))).is_pending());
            assert!(!to.exists());
            assert_eq!(stepper.run_all(), 1);
            assert_eq!(fs::read(&to).unwrap(), b"text");
        });
    }

    #[test]
    fn a_copy_with_progress_that_is_dropped_ends_with_the_stretch_that_runs() {
        stepped(|stepper, _| {
            let (_dir, from, to) = sample("");
            let file = fs::OpenOptions::new().write(true).open(&from).unwrap();
            file.set_len(5 * STRETCH as u64).unwrap();
            let mut told = Vec::new();
            {
                let mut copying = pin!(copy_with_progress(&from, &to, |done, _| {
                    told.push(done);
                    // The next stretch has not been asked for yet.
                    assert_eq!(stepper.waiting(), 0);
                }));
                let waker = CountingWaker::new();
                // Until the job of the second stretch waits.
                while fs::metadata(&to).map_or(0, |metadata| metadata.len()) < STRETCH as u64 {
                    let waker = waker.waker();
                    let polled = copying.as_mut().poll(&mut Context::from_waker(&waker));
                    assert!(polled.is_pending());
                    assert!(stepper.run_one());
                }
                assert!(poll_now(copying.as_mut()).is_pending());
                assert_eq!(stepper.waiting(), 1);
            }
            assert_eq!(told, [STRETCH as u64]);
            stepper.run_all();
            assert_eq!(fs::metadata(&to).unwrap().len(), 2 * STRETCH as u64);
        });
    }

    /// The kernel refuses to copy, or copies little at a time.
    #[test]
    fn what_the_kernel_does_not_copy_is_read_and_written() {
        for short in [false, true] {
            stepped(move |stepper, _| {
                let bytes = numbered(700_000);
                let (_dir, path, other) = sample(&bytes);
                let faults = Faults::install();
                if short {
                    faults.short(Call::Copy, 0, usize::MAX, 65_537);
                }
                faults.short(Call::Read, 3, 1, 1);
                faults.short(Call::Write, 1, 1, 1);
                faults.fail(Call::Read, 2, 1, Errno::INTR.raw_os_error());
                drive(stepper, async {
                    let mut from = File::open(&path).await.unwrap();
                    // The kernel does not copy a file onto itself, so it reads and writes.
                    let mut onto = File::options().write(true).open(&path).await.unwrap();
                    assert_eq!(copy_between(&mut from, &mut onto).await.unwrap(), 700_000);
                    from.seek(SeekFrom::Start(0)).await.unwrap();
                    let mut to = File::create(&other).await.unwrap();
                    assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 700_000);
                    onto.close().await.unwrap();
                    to.close().await.unwrap();
                });
                assert!(faults.struck() >= 3, "{}", faults.struck());
                assert_same_bytes(fs::read(&path).unwrap(), &bytes);
                assert_same_bytes(fs::read(&other).unwrap(), &bytes);
            });
        }
    }

    #[test]
    fn an_error_on_the_way_is_returned_and_the_positions_tell_what_was_copied() {
        stepped(|stepper, _| {
            let bytes = numbered(10_000);
            let (_dir, path, other) = sample(&bytes);
            let faults = Faults::install();
            drive(stepper, async {
                let mut from = File::open(&path).await.unwrap();
                let mut to = File::create(&other).await.unwrap();
                faults.short(Call::Copy, 0, usize::MAX, 1000);
                faults.fail(Call::Copy, 3, 1, Errno::NOSPC.raw_os_error());
                let error = copy_between(&mut from, &mut to).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
                assert_eq!(fs::metadata(&other).unwrap().len(), 3000);
                assert_eq!(from.stream_position().await.unwrap(), 3000);
                assert_eq!(to.stream_position().await.unwrap(), 3000);
                // The device has room again.
                assert_eq!(copy_between(&mut from, &mut to).await.unwrap(), 7000);
                to.close().await.unwrap();
            });
            assert_same_bytes(fs::read(&other).unwrap(), bytes);
        });
    }

    /// Both handles are of the same file, so every byte that is copied moves its end; where it ended counts.
    #[test]
    fn a_file_copied_to_another_place_in_itself_is_copied_to_the_end_it_had() {
        for distance in [5, 10] {
            stepped(move |stepper, _| {
                let (_dir, path, _) = sample("0123456789");
                let (mut from, mut to) = drive(stepper, async {
                    let from = File::open(&path).await.unwrap();
                    let mut to = File::options().write(true).open(&path).await.unwrap();
                    to.seek(SeekFrom::Start(distance)).await.unwrap();
                    (from, to)
                });
                {
                    let mut copying = pin!(copy_between(&mut from, &mut to));
                    // Far more jobs than ten bytes need: it must not go on until the device is full.
                    let mut jobs = 0;
                    loop {
                        match poll_now(copying.as_mut()) {
                            Poll::Ready(copied) => {
                                assert_eq!(copied.unwrap(), 10);
                                break;
                            }
                            Poll::Pending => assert!(stepper.run_one()),
                        }
                        jobs += 1;
                        assert!(jobs < 4, "it copies what it has copied");
                    }
                }
                let expected = "0123456789"[..distance as usize].to_owned() + "0123456789";
                assert_eq!(fs::read_to_string(&path).unwrap(), expected);
            });
        }
    }

    #[test]
    fn a_source_with_bytes_it_could_not_write_is_not_copied_without_them() {
        stepped(|stepper, _| {
            let (_dir, path, other) = sample("text");
            let faults = Faults::install();
            drive(stepper, async {
                let mut from = File::options()
                    .read(true)
                    .write(true)
                    .open(&path)
                    .await
                    .unwrap();
                let mut to = File::create(&other).await.unwrap();
                faults.fail(Call::Write, 0, 1, Errno::NOSPC.raw_os_error());
                from.write_all(b"long text").await.unwrap();
                let error = copy_between(&mut from, &mut to).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
                to.close().await.unwrap();
                assert_eq!(fs::read(&other).unwrap(), b"");
                let _ = from.discard_unwritten().await;
            });
        });
    }
}
