//! Rules 10, 16 and 17: errors are reported, with their code, and name the path where there is one.

use std::fs;
use std::io::{ErrorKind, SeekFrom};

use aiofiles::{File, PathError};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered};

/// What rule 10 names: whatever comes after a failed write, one of these tells of it.
#[cfg(all(unix, feature = "testing"))]
const CALLS: [&str; 10] = [
    "read",
    "write",
    "flush",
    "seek",
    "sync_all",
    "sync_data",
    "set_len",
    "try_clone",
    "close",
    "into_std",
];

/// Makes one of the calls. `into_std` takes the file, unless it fails.
#[cfg(all(unix, feature = "testing"))]
async fn perform(call: &str, file: &mut Option<File>) -> io::Result<()> {
    let open = file.as_mut().expect("it was not taken");
    match call {
        "read" => open.read(&mut [0; 4]).await.map(drop),
        "write" => open.write(b"w").await.map(|n| assert_eq!(n, 1)),
        "flush" => open.flush().await,
        "seek" => open.seek(SeekFrom::Start(1)).await.map(drop),
        "sync_all" => open.sync_all().await,
        "sync_data" => open.sync_data().await,
        "set_len" => open.set_len(2).await,
        "try_clone" => open.try_clone().await.map(drop),
        "close" => open.close().await,
        _ => match file.take().expect("it is there").into_std().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let code = io::Error::from_raw_os_error(error.error().raw_os_error().unwrap());
                *file = Some(error.into_file());
                Err(code)
            }
        },
    }
}

/// What the file holds once the call has done its work after `tail` was written.
#[cfg(all(unix, feature = "testing"))]
fn after(call: &str) -> &'static [u8] {
    match call {
        "write" => b"tailw",
        "set_len" => b"ta",
        _ => b"tail",
    }
}

/// Rule 10: the next call after a failed background write returns its error and does nothing else; the tail is kept, and
/// the call after that writes it first.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_next_call_after_a_failed_write_tells_and_does_nothing_else() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for call in CALLS {
            let dir = crate::support::temp_dir();
            let path = dir.path().join("file");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            faults.clear();
            faults.fail(Call::Write, 0, 1, code::ENOSPC);
            drive(stepper, file.write_all(b"tail")).unwrap();
            stepper.run_all();
            assert_eq!(on_disk(&path), b"");
            let before = faults.struck();
            for other in [
                Call::Read,
                Call::SyncAll,
                Call::SyncData,
                Call::SetLen,
                Call::Seek,
            ] {
                count(faults, other);
            }
            let mut file = Some(file);
            let result = drive(stepper, perform(call, &mut file));
            if call == "close" {
                // It has tried once more, with success: there is nothing left to tell.
                result.unwrap();
                assert_eq!(on_disk(&path), b"tail");
                continue;
            }
            let error = result.expect_err(call);
            assert_eq!(error.raw_os_error(), Some(code::ENOSPC), "{call}");
            assert_eq!(faults.struck(), before, "{call} did something else");
            assert_eq!(on_disk(&path), b"", "{call}");
            let open = file.as_mut().unwrap();
            assert_eq!(drive(stepper, open.stream_position()).unwrap(), 4, "{call}");

            drive(stepper, perform(call, &mut file)).unwrap_or_else(|error| {
                panic!("{call}, with room again: {error}");
            });
            if let Some(file) = &mut file {
                drive(stepper, file.close()).unwrap();
            }
            assert_eq!(on_disk(&path), after(call), "{call}");
        }
    });
}

/// Rule 10: each later call tries the tail first, and goes on only if all of it was written.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn every_later_call_tries_the_tail_before_anything_else() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for call in CALLS {
            // The second try writes a part of the tail, or nothing of it.
            for part in [0, 3] {
                let dir = crate::support::temp_dir();
                let path = dir.path().join("file");
                let mut file = drive(stepper, read_write().open(&path)).unwrap();
                faults.clear();
                faults.fail(Call::Write, 0, 1, code::ENOSPC);
                if part > 0 {
                    faults.short(Call::Write, 0, 1, part);
                    faults.fail(Call::Write, 1, 1, code::EIO);
                } else {
                    faults.fail(Call::Write, 0, 1, code::EIO);
                }
                drive(stepper, file.write_all(b"tail")).unwrap();
                let error = drive(stepper, file.flush()).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(code::ENOSPC), "{call}");

                for other in [Call::SyncAll, Call::SyncData, Call::SetLen, Call::Seek] {
                    count(faults, other);
                }
                let before = faults.struck();
                let mut file = Some(file);
                let error = drive(stepper, perform(call, &mut file)).expect_err(call);
                assert_eq!(error.raw_os_error(), Some(code::EIO), "{call}, {part}");
                let more = 1 + usize::from(part > 0);
                assert_eq!(faults.struck() - before, more, "{call} did something else");
                assert_eq!(on_disk(&path), b"tail"[..part], "{call}");
                if call == "close" {
                    continue;
                }
                let open = file.as_mut().unwrap();
                assert_eq!(drive(stepper, open.stream_position()).unwrap(), 4, "{call}");

                drive(stepper, perform(call, &mut file)).unwrap();
                if let Some(file) = &mut file {
                    drive(stepper, file.close()).unwrap();
                }
                assert_eq!(on_disk(&path), after(call), "{call}");
            }
        }
    });
}

/// Rule 10: `flush` and `sync_*` are never `Ok` past an unwritten byte, however often they are called; nothing is synced.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn no_flush_or_sync_is_ok_past_an_unwritten_byte() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = drive(stepper, File::create(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        drive(stepper, file.write_all(b"written, ")).unwrap();
        drive(stepper, file.flush()).unwrap();
        faults.fail(Call::Write, 0, EVER, code::ENOSPC);
        drive(stepper, file.write_all(b"and not")).unwrap();
        for round in 0..20 {
            let result = match round % 5 {
                0 => drive(stepper, file.flush()),
                1 => drive(stepper, file.sync_all()),
                2 => drive(stepper, clone.flush()),
                3 => drive(stepper, clone.sync_data()),
                _ => drive(stepper, file.write_all(b"more")),
            };
            let error = result.expect_err("the bytes are not written");
            assert_eq!(error.raw_os_error(), Some(code::ENOSPC), "call {round}");
            if round % 7 == 6 {
                // Whether anybody waits or not, nothing changes.
                stepper.run_all();
            }
        }
        assert_eq!(on_disk(&path), b"written, ");
        faults.clear();
        drive(stepper, clone.flush()).unwrap();
        assert_eq!(on_disk(&path), b"written, and not");
    });
}

/// Rule 10: a `write` that returns an error accepted none of its bytes.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_write_that_fails_accepts_nothing() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for append in [false, true] {
            let dir = crate::support::temp_dir();
            let path = dir.path().join("file");
            let mut file = drive(stepper, read_write().append(append).open(&path)).unwrap();
            faults.clear();
            let before = faults.struck();
            faults.fail(Call::Write, 0, 3, code::ENOSPC);
            let mut accepted = Vec::new();
            for n in 0..10 {
                let record = format!("record {n}\n");
                match drive(stepper, file.write(record.as_bytes())) {
                    Ok(len) => accepted.extend_from_slice(&record.as_bytes()[..len]),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(code::ENOSPC)),
                }
                stepper.run_all();
            }
            drive(stepper, file.flush()).unwrap();
            assert_same_bytes(on_disk(&path), accepted);
            assert_eq!(faults.struck() - before, 3);
        }
    });
}

/// Rule 10: `discard_unwritten` gives the tail up, says how long it was, and moves the position back to its start.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn discarding_gives_the_tail_up_and_moves_back_to_its_start() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for told_before in [false, true] {
            let (_dir, path) = sample("....................");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            assert_eq!(drive(stepper, file.discard_unwritten()), 0);
            drive(stepper, file.write_all(b"one ")).unwrap();
            drive(stepper, file.flush()).unwrap();
            assert_eq!(drive(stepper, file.discard_unwritten()), 0);
            // Three bytes are written, and the rest is not.
            faults.clear();
            faults.short(Call::Write, 0, 1, 3);
            faults.fail(Call::Write, 1, EVER, code::ENOSPC);
            drive(stepper, file.write_all(b"two and more")).unwrap();
            if told_before {
                drive(stepper, file.flush()).unwrap_err();
            }
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 16);
            assert_eq!(drive(stepper, file.discard_unwritten()), 9);
            assert_eq!(drive(stepper, file.stream_position()).unwrap(), 7);
            assert_eq!(drive(stepper, file.discard_unwritten()), 0);
            // It is as if they had never been accepted.
            faults.clear();
            drive(stepper, file.flush()).unwrap();
            drive(stepper, file.write_all(b" three")).unwrap();
            drive(stepper, file.sync_all()).unwrap();
            drive(stepper, file.close()).unwrap();
            assert_eq!(on_disk(&path), b"one two three.......");
        }
    });
}

/// Rule 10: `discard_unwritten` counts what had gathered behind the failed write too, and waits for a write that runs.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn discarding_counts_everything_that_was_accepted() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = read_write().open(&path).await.unwrap();
            faults.fail(Call::Write, 1, EVER, code::ENOSPC);
            let gate = Held::new(faults, Call::Write, 0);
            file.write_all(b"first").await.unwrap();
            until(|| gate.waiting() == 1).await;
            file.write_all(&[b'x'; 1000]).await.unwrap();
            let mut discarding = Box::pin(file.discard_unwritten());
            assert!(crate::support::poll_now(discarding.as_mut()).is_pending());
            gate.open();
            assert_eq!(discarding.await, 1000);
            assert_eq!(file.stream_position().await.unwrap(), 5);
            assert_eq!(on_disk(&path), b"first");

            // What is left of a write that came short, and what was accepted meanwhile.
            faults.clear();
            faults.short(Call::Write, 0, 1, 2);
            let gate = Held::new(faults, Call::Write, 0);
            faults.fail(Call::Write, 0, EVER, code::ENOSPC);
            file.write_all(b"second").await.unwrap();
            until(|| gate.waiting() == 1).await;
            file.write_all(&[b'x'; 1000]).await.unwrap();
            gate.open();
            assert_eq!(file.discard_unwritten().await, 1004);
            assert_eq!(file.stream_position().await.unwrap(), 7);
            assert_eq!(on_disk(&path), b"firstse");
        });
    });
}

/// Rule 10: a sync that failed is final for every sync of the file and its clones, and for nothing else.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_failed_sync_is_final_for_syncs_and_for_nothing_else() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for first in [Call::SyncAll, Call::SyncData] {
            let (_dir, path) = sample("content");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            faults.clear();
            faults.fail(first, 0, 1, code::EIO);
            let told = if first == Call::SyncAll {
                drive(stepper, file.sync_all())
            } else {
                drive(stepper, file.sync_data())
            };
            assert_eq!(told.unwrap_err().raw_os_error(), Some(code::EIO));
            let struck = faults.struck();
            count(faults, Call::SyncAll);
            count(faults, Call::SyncData);
            let later = drive(stepper, file.try_clone()).unwrap();
            for file in [&file, &clone, &later] {
                for result in [
                    drive(stepper, file.sync_all()),
                    drive(stepper, file.sync_data()),
                ] {
                    assert_eq!(result.unwrap_err().raw_os_error(), Some(code::EIO));
                }
            }
            assert_eq!(faults.struck(), struck, "the kernel was asked again");

            drive(stepper, file.write_all(b"C")).unwrap();
            drive(stepper, file.flush()).unwrap();
            drive(stepper, clone.seek(SeekFrom::Start(0))).unwrap();
            let mut found = String::new();
            drive(stepper, clone.read_to_string(&mut found)).unwrap();
            assert_eq!(found, "Content");
            drive(stepper, file.set_len(3)).unwrap();
            drive(stepper, file.metadata()).unwrap();
            drive(stepper, file.close()).unwrap();
            drive(stepper, later.into_std()).unwrap();

            // Another open of the same file is another matter.
            let other = drive(stepper, read_write().open(&path)).unwrap();
            drive(stepper, other.sync_all()).unwrap();
        }
    });
}

/// Rule 10: a sync that was refused is not final.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_refused_sync_is_not_final() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("content");
        let file = drive(stepper, read_write().open(&path)).unwrap();
        for code in [code::EINVAL, code::EROFS, code::ENOTSUP] {
            faults.fail(Call::SyncAll, 0, 1, code);
            let error = drive(stepper, file.sync_all()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code));
            drive(stepper, file.sync_all()).unwrap();
        }
    });
}

/// Rule 10: the error of a sync that nobody waited for is that of the next one.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_cancelled_sync_is_kept() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("content");
        let file = drive(stepper, read_write().open(&path)).unwrap();
        faults.fail(Call::SyncAll, 0, 1, code::EIO);
        begin(std::pin::pin!(file.sync_all()));
        stepper.run_all();
        assert_eq!(
            drive(stepper, file.sync_data()).unwrap_err().raw_os_error(),
            Some(code::EIO)
        );
    });
}

/// A panic in a job that writes reaches the task that waits, and costs no byte: the next call writes them.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_panic_while_writing_reaches_a_caller_and_costs_no_byte() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for unbuffered in [false, true] {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().unbuffered(unbuffered).open(&path)).unwrap();
            for round in 1..=3 {
                faults.panic(Call::Write, 0, 1);
                let written = catch_unwind(AssertUnwindSafe(|| {
                    drive(stepper, file.write_all(b"bytes")).unwrap();
                    drive(stepper, file.flush()).unwrap();
                }));
                let panic = written.unwrap_err();
                assert_eq!(
                    panic.downcast_ref::<String>().map(String::as_str),
                    Some("a planned panic in Write")
                );
                if unbuffered {
                    // It was not accepted.
                    drive(stepper, file.write_all(b"bytes")).unwrap();
                }
                drive(stepper, file.flush()).unwrap();
                assert_eq!(on_disk(&path), b"bytes".repeat(round));
            }
            // Also with two tasks that wait: the panic goes to one of them, and the other is answered.
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            if !unbuffered {
                faults.panic(Call::Write, 0, 1);
                drive(stepper, file.write_all(b"!")).unwrap();
                let mut one = Box::pin(file.flush());
                let mut other = Box::pin(clone.flush());
                begin(one.as_mut());
                begin(other.as_mut());
                stepper.run_all();
                let ends = [
                    catch_unwind(AssertUnwindSafe(|| drive(stepper, one))),
                    catch_unwind(AssertUnwindSafe(|| drive(stepper, other))),
                ];
                assert_eq!(ends.iter().filter(|end| end.is_err()).count(), 1);
                drive(stepper, clone.flush()).unwrap();
                assert_eq!(on_disk(&path).last(), Some(&b'!'));
            }
        }
    });
}

/// Panics in each kind of job reach the task that waits, and the next call of the same kind works.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_panic_in_a_job_reaches_its_task_and_the_pool_lives_on() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::Call;
    use futures_lite::future::block_on;

    with_faults(|faults| {
        let (dir, path) = sample("content");
        let mut file = block_on(read_write().open(&path)).unwrap();
        type Work<'a> = Box<dyn FnMut(&mut File) -> io::Result<()> + 'a>;
        let other = dir.path().join("other");
        let works: Vec<(Call, Work<'_>)> = vec![
            (
                Call::Open,
                Box::new(|_| block_on(File::open(&path)).map(drop)),
            ),
            (
                Call::Metadata,
                Box::new(|file| block_on(file.metadata()).map(drop)),
            ),
            (
                Call::Metadata,
                Box::new(|_| block_on(aiofiles::metadata(&path)).map(drop)),
            ),
            (Call::SetLen, Box::new(|file| block_on(file.set_len(7)))),
            (Call::SyncAll, Box::new(|file| block_on(file.sync_all()))),
            (Call::SyncData, Box::new(|file| block_on(file.sync_data()))),
            (Call::Lock, Box::new(|file| block_on(file.lock()))),
            (Call::Unlock, Box::new(|file| block_on(file.unlock()))),
            (
                Call::Metadata,
                Box::new(|file| block_on(file.seek(SeekFrom::End(0))).map(drop)),
            ),
            (
                Call::Copy,
                Box::new(|_| block_on(aiofiles::copy(&path, &other)).map(drop)),
            ),
            (
                Call::Read,
                Box::new(|_| block_on(aiofiles::read(&path)).map(drop)),
            ),
        ];
        for (call, mut work) in works {
            faults.clear();
            faults.panic(call, 0, 1);
            let panic = catch_unwind(AssertUnwindSafe(|| work(&mut file))).unwrap_err();
            let text = format!("a planned panic in {call:?}");
            assert_eq!(panic.downcast_ref::<String>(), Some(&text));
            work(&mut file).unwrap();
        }
        block_on(file.close()).unwrap();
    });
}

/// Rule 16: an interrupted call is made again; nobody sees it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn interrupted_calls_are_never_seen() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        for call in [
            Call::Open,
            Call::Metadata,
            Call::Read,
            Call::Write,
            Call::Seek,
            Call::SetLen,
            Call::SyncAll,
            Call::SyncData,
            Call::Close,
            Call::SetPermissions,
            Call::SetTimes,
            Call::Lock,
            Call::Unlock,
        ] {
            faults.fail(call, 0, 3, code::EINTR);
        }
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        drive(stepper, file.write_all(b"content")).unwrap();
        drive(stepper, file.flush()).unwrap();
        assert_eq!(drive(stepper, file.seek(SeekFrom::End(-7))).unwrap(), 0);
        let mut found = String::new();
        drive(stepper, file.read_to_string(&mut found)).unwrap();
        assert_eq!(found, "content");
        drive(stepper, file.set_len(4)).unwrap();
        drive(stepper, file.sync_all()).unwrap();
        drive(stepper, file.sync_data()).unwrap();
        let permissions = drive(stepper, file.metadata()).unwrap().permissions();
        drive(stepper, file.set_permissions(permissions)).unwrap();
        drive(stepper, file.set_modified(std::time::SystemTime::now())).unwrap();
        drive(stepper, file.lock()).unwrap();
        drive(stepper, file.unlock()).unwrap();
        let std = drive(stepper, file.into_std()).unwrap();
        let mut file = File::from(std);
        drive(stepper, file.close()).unwrap();
        assert_eq!(on_disk(&path), b"cont");
        assert!(
            faults.struck() >= 39,
            "only {} calls were struck",
            faults.struck()
        );
    });
}

/// Rule 16: all arguments are checked before anything is created or truncated.
#[test]
fn wrong_arguments_create_and_truncate_nothing() {
    every_runtime(|_| async {
        let (dir, path) = sample("content");
        let new = dir.path().join("new");
        let mut wrong = Vec::new();
        for build in 0..6 {
            let mut options = File::options();
            match build {
                0 => options
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .buffer_size(0),
                1 => options.write(true).create_new(true).buffer_size(0),
                2 => options.read(true).create(true).truncate(true),
                3 => options.append(true).create(true).truncate(true),
                4 => options.create(true).truncate(true),
                _ => options.read(true).create_new(true),
            };
            wrong.push(options);
        }
        for (n, options) in wrong.iter().enumerate() {
            for path in [&path, &new] {
                let error = options.open(path).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "options {n}");
                assert_eq!(PathError::of(&error).unwrap().path(), path);
            }
            assert_eq!(on_disk(&path), b"content", "options {n}");
            assert!(!new.exists(), "options {n}");
        }
        let file = read_write().open(&path).await.unwrap();
        for len in [1 << 63, u64::MAX] {
            assert_eq!(
                file.set_len(len).await.unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        assert_eq!(on_disk(&path), b"content");
    });
}

/// Rule 16: a path that no file can have is refused by all functions alike.
#[test]
fn a_path_with_a_nul_is_refused() {
    every_runtime(|_| async {
        let (dir, path) = sample("content");
        let nul = dir.path().join("a\0b");
        let results = [
            File::open(&nul).await.map(drop),
            File::create(&nul).await.map(drop),
            aiofiles::read(&nul).await.map(drop),
            aiofiles::write(&nul, "x").await,
            aiofiles::metadata(&nul).await.map(drop),
            aiofiles::create_dir(&nul).await,
            aiofiles::rename(&path, &nul).await,
            aiofiles::copy(&path, &nul).await.map(drop),
        ];
        for (n, result) in results.into_iter().enumerate() {
            let error = result.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidInput,
                "function {n}: {error}"
            );
        }
        assert_eq!(on_disk(&path), b"content");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    });
}

/// Rule 17: the text of an error names what was tried, and on which path.
#[cfg(unix)]
#[test]
fn an_error_names_the_operation_and_the_path() {
    every_runtime(|_| async {
        let error = File::open("no/such.file").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to open `no/such.file`: No such file or directory (os error 2)"
        );
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.raw_os_error(), None);
        assert_eq!(aiofiles::raw_os_error(&error), Some(2));
        let path_error = PathError::of(&error).unwrap();
        assert_eq!(path_error.op(), "open");
        assert_eq!(path_error.path(), Path::new("no/such.file"));
        assert_eq!(path_error.to(), None);
        assert_eq!(path_error.raw_os_error(), Some(2));
        assert_eq!(path_error.io_error().kind(), ErrorKind::NotFound);
        assert_eq!(path_error.io_error().raw_os_error(), Some(2));

        let error = aiofiles::rename("no/such.file", "other").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to rename `no/such.file` to `other`: No such file or directory (os error 2)"
        );
        assert_eq!(
            PathError::of(&error).unwrap().to(),
            Some(Path::new("other"))
        );
    });
}

/// Rule 17: every function that takes a path names it, and gives the kind and the code that std gives.
#[cfg(unix)]
#[test]
fn every_function_names_its_paths_and_gives_the_code_of_std() {
    use std::os::unix::fs::symlink;

    #[track_caller]
    fn same<T, U>(
        what: &str,
        ours: io::Result<T>,
        std: io::Result<U>,
        path: &Path,
        to: Option<&Path>,
    ) {
        let (Err(ours), Err(std)) = (ours, std) else {
            panic!("{what}: one of them is Ok");
        };
        assert_eq!(ours.kind(), std.kind(), "{what}");
        assert_eq!(aiofiles::raw_os_error(&ours), std.raw_os_error(), "{what}");
        let named = PathError::of(&ours).unwrap_or_else(|| panic!("{what}: {ours} names no path"));
        assert_eq!(named.path(), path, "{what}");
        assert_eq!(named.to(), to, "{what}");
        assert_eq!(named.raw_os_error(), std.raw_os_error(), "{what}");
        let text = ours.to_string();
        assert!(text.starts_with("failed to "), "{what}: {text}");
        assert!(
            text.contains(&format!("`{}`", path.display())),
            "{what}: {text}"
        );
        assert!(
            text.ends_with(&std.to_string()),
            "{what}: {text}, in std {std}"
        );
    }

    every_runtime(|_| async {
        let (dir, file) = sample("content");
        let none = &dir.path().join("none").join("none");
        let below = &file.join("below");
        let (file, other) = (&*file, &dir.path().join("other"));
        let permissions = || fs::metadata(file).unwrap().permissions();
        same(
            "open",
            File::open(none).await,
            fs::File::open(none),
            none,
            None,
        );
        same(
            "create",
            File::create(none).await,
            fs::File::create(none),
            none,
            None,
        );
        same(
            "create_new",
            File::create_new(file).await,
            fs::File::create_new(file),
            file,
            None,
        );
        same(
            "read",
            aiofiles::read(below).await,
            fs::read(below),
            below,
            None,
        );
        same(
            "read_to_string",
            aiofiles::read_to_string(none).await,
            fs::read_to_string(none),
            none,
            None,
        );
        same(
            "read of a directory",
            aiofiles::read(dir.path()).await,
            fs::read(dir.path()),
            dir.path(),
            None,
        );
        same(
            "write",
            aiofiles::write(none, "x").await,
            fs::write(none, "x"),
            none,
            None,
        );
        let large = vec![b'x'; 1 << 20];
        same(
            "a large write",
            aiofiles::write(none, &large).await,
            fs::write(none, &large),
            none,
            None,
        );
        same(
            "metadata",
            aiofiles::metadata(none).await,
            fs::metadata(none),
            none,
            None,
        );
        same(
            "symlink_metadata",
            aiofiles::symlink_metadata(below).await,
            fs::symlink_metadata(below),
            below,
            None,
        );
        same(
            "try_exists",
            aiofiles::try_exists(below).await,
            fs::exists(below),
            below,
            None,
        );
        same(
            "read_dir",
            aiofiles::read_dir(file).await,
            fs::read_dir(file),
            file,
            None,
        );
        same(
            "create_dir",
            aiofiles::create_dir(file).await,
            fs::create_dir(file),
            file,
            None,
        );
        same(
            "create_dir_all",
            aiofiles::create_dir_all(below).await,
            fs::create_dir_all(below),
            below,
            None,
        );
        same(
            "remove_file",
            aiofiles::remove_file(none).await,
            fs::remove_file(none),
            none,
            None,
        );
        same(
            "remove_dir",
            aiofiles::remove_dir(file).await,
            fs::remove_dir(file),
            file,
            None,
        );
        same(
            "remove_dir_all",
            aiofiles::remove_dir_all(none).await,
            fs::remove_dir_all(none),
            none,
            None,
        );
        same(
            "canonicalize",
            aiofiles::canonicalize(none).await,
            fs::canonicalize(none),
            none,
            None,
        );
        same(
            "read_link",
            aiofiles::read_link(file).await,
            fs::read_link(file),
            file,
            None,
        );
        same(
            "set_permissions",
            aiofiles::set_permissions(none, permissions()).await,
            fs::set_permissions(none, permissions()),
            none,
            None,
        );
        same(
            "rename",
            aiofiles::rename(none, other).await,
            fs::rename(none, other),
            none,
            Some(other),
        );
        same(
            "copy",
            aiofiles::copy(none, other).await,
            fs::copy(none, other),
            none,
            Some(other),
        );
        same(
            "copy of a directory",
            aiofiles::copy(dir.path(), other).await,
            fs::copy(dir.path(), other),
            dir.path(),
            Some(other),
        );
        same(
            "copy_with_progress",
            aiofiles::copy_with_progress(file, none, |_, _| {}).await,
            fs::copy(file, none),
            file,
            Some(none),
        );
        same(
            "hard_link",
            aiofiles::hard_link(file, file).await,
            fs::hard_link(file, file),
            file,
            Some(file),
        );
        same(
            "symlink",
            aiofiles::unix::symlink("x", file).await,
            symlink("x", file),
            Path::new("x"),
            Some(file),
        );
        same(
            "chown",
            aiofiles::unix::chown(none, Some(0), None).await,
            std::os::unix::fs::chown(none, Some(0), None),
            none,
            None,
        );
        same(
            "DirBuilder",
            aiofiles::DirBuilder::new().create(none).await,
            fs::DirBuilder::new().create(none),
            none,
            None,
        );
        assert_eq!(on_disk(file), b"content");
    });
}

/// Rule 17: operations on an open handle return std's error untouched.
#[cfg(unix)]
#[test]
fn errors_of_an_open_file_are_those_of_std() {
    every_runtime(|_| async {
        let (dir, path) = sample("content");

        // A direction it was not opened for.
        let mut reader = File::open(&path).await.unwrap();
        let mut writer = File::options().write(true).open(&path).await.unwrap();
        for unbuffered in [false, true] {
            let mut reader = File::options()
                .read(true)
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let error = reader.write(b"x").await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EBADF));
            let mut writer = File::options()
                .write(true)
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let error = writer.read(&mut [0; 4]).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EBADF));
            assert_eq!(
                filled(&mut writer).await.unwrap_err().raw_os_error(),
                Some(code::EBADF)
            );
        }
        let error = reader.set_len(0).await.unwrap_err();
        let expected = fs::File::open(&path).unwrap().set_len(0).unwrap_err();
        assert_eq!(error.raw_os_error(), expected.raw_os_error());

        // They say so each time, and go on with what they can do.
        assert_eq!(
            reader.write(b"x").await.unwrap_err().raw_os_error(),
            Some(code::EBADF)
        );
        let mut found = String::new();
        reader.read_to_string(&mut found).await.unwrap();
        assert_eq!(found, "content");
        assert_eq!(
            writer.read(&mut [0]).await.unwrap_err().raw_os_error(),
            Some(code::EBADF)
        );
        writer.write_all(b"C").await.unwrap();
        writer.close().await.unwrap();
        assert_eq!(on_disk(&path), b"Content");

        // A foreign file.
        let mut foreign = File::from(fs::File::open(&path).unwrap());
        assert_eq!(
            foreign.write(b"x").await.unwrap_err().raw_os_error(),
            Some(code::EBADF)
        );
        foreign.close().await.unwrap();

        // A directory.
        let mut directory = File::open(dir.path()).await.unwrap();
        let error = directory.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code::EISDIR));
        assert!(directory.metadata().await.unwrap().is_dir());
        directory.sync_all().await.unwrap();
        directory.close().await.unwrap();
    });
}

/// Rule 10: a device that takes nothing says so at each write, and there is nothing left to flush.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_says_so_at_each_write() {
    every_runtime(|_| async {
        let mut full = File::options().write(true).open("/dev/full").await.unwrap();
        for _ in 0..3 {
            let error = full.write(b"x").await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
            full.flush().await.unwrap();
        }
        assert_eq!(full.discard_unwritten().await, 0);
        full.close().await.unwrap();
    });
}

/// Rule 10, with a file system that is really full: every call tells the truth, and once there is room, all is written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_file_system_is_told_of_until_there_is_room() {
    use crate::support::{is_root, skip};

    if !is_root() {
        return skip("root");
    }
    let Some(mount) = Tmpfs::mount() else {
        return skip("the right to mount a tmpfs");
    };
    let root = mount.0.path().to_owned();
    every_runtime(move |_| {
        let root = root.clone();
        async move {
            let filler = root.join("filler");
            let bytes = numbered(300_000);
            for what in 0..4 {
                let path = root.join("file");
                let mut file = read_write().open(&path).await.unwrap();
                // What is left is less than what is written.
                fs::write(&filler, vec![0; 200 * 1024]).unwrap();
                let wrote = async {
                    file.write_all(&bytes).await?;
                    file.flush().await
                };
                let error = wrote.await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                for _ in 0..3 {
                    let error = file.flush().await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                    let error = file.sync_all().await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                    let error = file.write(b"x").await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                }
                // What was accepted is known by the position.
                let accepted = file.stream_position().await.unwrap() as usize;
                match what {
                    0 => {
                        fs::remove_file(&filler).unwrap();
                        file.flush().await.unwrap();
                        assert_same_bytes(on_disk(&path), &bytes[..accepted]);
                        file.write_all(&bytes[accepted..]).await.unwrap();
                        file.close().await.unwrap();
                        assert_same_bytes(on_disk(&path), &bytes);
                    }
                    1 => {
                        let error = file.close().await.unwrap_err();
                        assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                        let found = on_disk(&path);
                        assert_same_bytes(&found, &bytes[..found.len()]);
                        file.close().await.unwrap();
                    }
                    2 => {
                        let tail = file.discard_unwritten().await as usize;
                        assert!(tail > 0);
                        assert_same_bytes(on_disk(&path), &bytes[..accepted - tail]);
                        assert_eq!(
                            file.stream_position().await.unwrap() as usize,
                            accepted - tail
                        );
                        file.sync_all().await.unwrap();
                        file.close().await.unwrap();
                    }
                    _ => {
                        fs::remove_file(&filler).unwrap();
                        drop(file);
                        assert_same_bytes(aiofiles::read(&path).await.unwrap(), &bytes[..accepted]);
                    }
                }
                let _ = fs::remove_file(&filler);
                fs::remove_file(&path).unwrap();
            }
            // The functions that take a path tell too.
            let error = aiofiles::write(root.join("file"), vec![0; 1 << 20])
                .await
                .unwrap_err();
            assert_eq!(aiofiles::raw_os_error(&error), Some(code::ENOSPC));
            let error = aiofiles::write(root.join("file"), vec![0; 1 << 18]).await;
            assert_eq!(
                error.map_err(|error| aiofiles::raw_os_error(&error)),
                Ok(())
            );
            fs::remove_file(root.join("file")).unwrap();
        }
    });
}

/// A small tmpfs of its own, unmounted on drop.
#[cfg(target_os = "linux")]
struct Tmpfs(TempDir);

#[cfg(target_os = "linux")]
impl Tmpfs {
    fn mount() -> Option<Tmpfs> {
        let dir = temp_dir();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=384k", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then_some(Tmpfs(dir))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
    }
}

/// Rule 10, with a limit that every user can set: a file that may not grow tells EFBIG until there is room.
#[cfg(target_os = "linux")]
#[test]
fn a_file_at_its_size_limit_is_told_of_with_the_code() {
    use rustix::process::{Resource, getrlimit};

    const MARK: &str = "AIOFILES_TEST_SIZE_LIMIT";
    if std::env::var_os(MARK).is_none() {
        // The signal that comes with the error is ignored by a child whose parent ignored it.
        let name = std::thread::current().name().unwrap().to_owned();
        let output = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture", "--test-threads=1"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    let limit = getrlimit(Resource::Fsize)
        .current
        .expect("the shell has set it") as usize;
    every_runtime(move |_| async move {
        let dir = temp_dir();
        for unbuffered in [false, true] {
            let path = dir.path().join(unbuffered.to_string());
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let bytes = numbered(limit + 10_000);
            file.write_all(&bytes[..limit - 5000]).await.unwrap();
            file.flush().await.unwrap();
            let wrote = async {
                file.write_all(&bytes[limit - 5000..]).await?;
                file.flush().await
            };
            assert_eq!(wrote.await.unwrap_err().raw_os_error(), Some(code::EFBIG));
            assert_same_bytes(on_disk(&path), &bytes[..limit]);
            if unbuffered {
                assert_eq!(file.stream_position().await.unwrap() as usize, limit);
            } else {
                for _ in 0..2 {
                    let error = file.flush().await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::EFBIG));
                    let error = file.sync_all().await.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::EFBIG));
                }
                assert_eq!(file.discard_unwritten().await, 10_000);
            }
            // The file is as usable as before.
            file.seek(SeekFrom::Start(0)).await.unwrap();
            file.set_len(0).await.unwrap();
            file.write_all(b"small").await.unwrap();
            let error = file.set_len(limit as u64 + 1).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EFBIG));
            file.close().await.unwrap();
            assert_eq!(on_disk(&path), b"small");
        }
    });
}
