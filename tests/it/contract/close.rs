//! Rule 11: closing.

use std::fs::{FileTimes, TryLockError};
use std::io::{Error, ErrorKind, SeekFrom};

use aiofiles::File;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered, poll_once};

/// Rule 11: `close` settles the handle: afterwards every byte is with the operating system.
#[test]
fn everything_is_written_when_close_is_done() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        for len in [0, 1, 100_000, 3_000_000] {
            let path = dir.path().join(len.to_string());
            let mut file = File::create(&path).await.unwrap();
            file.write_all(&numbered(len)).await.unwrap();
            file.close().await.unwrap();
            assert_same_bytes(on_disk(&path), numbered(len));
        }
    });
}

/// Rule 11: later closes are `Ok`, and every other call says that the file is closed.
#[test]
fn a_closed_file_refuses_everything_but_another_close() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let mut file = read_write().open(&path).await.unwrap();
        filled(&mut file).await.unwrap();
        file.close().await.unwrap();
        file.close().await.unwrap();

        fn closed<T>(what: &str, result: io::Result<T>) {
            let Err(error) = result else {
                panic!("{what} of a closed file is Ok");
            };
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
            assert_eq!(error.to_string(), "file is closed", "{what}");
        }
        closed("read", file.read(&mut [0; 4]).await);
        closed("an empty read", file.read(&mut []).await);
        closed(
            "read_vectored",
            file.read_vectored(&mut [io::IoSliceMut::new(&mut [0])])
                .await,
        );
        closed("fill_buf", filled(&mut file).await);
        closed("write", file.write(b"x").await);
        closed(
            "write_vectored",
            file.write_vectored(&[io::IoSlice::new(b"x")]).await,
        );
        closed("flush", file.flush().await);
        closed("seek", file.seek(SeekFrom::Start(0)).await);
        closed("sync_all", file.sync_all().await);
        closed("sync_data", file.sync_data().await);
        closed("set_len", file.set_len(0).await);
        closed("metadata", file.metadata().await);
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        closed("set_permissions", file.set_permissions(permissions).await);
        closed("set_times", file.set_times(FileTimes::new()).await);
        let now = std::time::SystemTime::now();
        closed("set_modified", file.set_modified(now).await);
        closed("try_clone", file.try_clone().await);
        closed("stream_position", file.stream_position().await);
        closed("lock", file.lock().await);
        closed("lock_shared", file.lock_shared().await);
        closed("unlock", file.unlock().await);
        for tried in [file.try_lock().await, file.try_lock_shared().await] {
            match tried {
                Err(TryLockError::Error(error)) => closed("try_lock", Err::<(), _>(error)),
                other => panic!("{other:?}"),
            }
        }
        let mut other = File::open(&path).await.unwrap();
        closed(
            "copy_between from",
            aiofiles::copy_between(&mut file, &mut other).await,
        );
        closed(
            "copy_between to",
            aiofiles::copy_between(&mut other, &mut file).await,
        );
        file.consume(0);
        assert_eq!(file.discard_unwritten().await, 0);
        assert!(!file.is_terminal().await);
        closed("into_std", file.into_std().await.map_err(Error::from));
        assert_eq!(on_disk(&path), b"content");
    });
}

/// Rule 11: `as_raw_fd` of a closed file is -1, and `as_fd` is a harmless descriptor, the same for all, never another
/// file's.
#[cfg(unix)]
#[test]
fn the_descriptor_of_a_closed_file_is_harmless() {
    use std::os::fd::{AsFd as _, AsRawFd as _};

    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let mut closed = Vec::new();
        for _ in 0..3 {
            let mut file = read_write().open(&path).await.unwrap();
            assert!(file.as_raw_fd() >= 0);
            assert_eq!(file.as_fd().as_raw_fd(), file.as_raw_fd());
            file.close().await.unwrap();
            closed.push(file);
        }
        // New files may take the numbers that the closed ones had.
        let open: Vec<_> = [(); 3].map(|()| std::fs::File::open(&path).unwrap()).into();
        for file in &closed {
            assert_eq!(file.as_raw_fd(), -1);
            let fd = file.as_fd();
            assert_eq!(fd.as_raw_fd(), closed[0].as_fd().as_raw_fd());
            assert!(open.iter().all(|open| open.as_raw_fd() != fd.as_raw_fd()));
            // Nothing comes of it.
            assert!(rustix::io::read(fd, &mut [0; 4]).is_err());
            assert!(rustix::io::write(fd, b"x").is_err());
        }
    });
}

/// Rule 11: the last handle closes the descriptor, and `close` is done when it is closed; other handles keep it open.
#[cfg(target_os = "linux")]
#[test]
fn the_descriptor_is_gone_when_the_last_close_is_done() {
    use std::os::fd::AsRawFd as _;

    use crate::support::alone;

    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(1 << 20));
            for _ in 0..100 {
                let mut file = read_write().open(&path).await.unwrap();
                let mut clone = file.try_clone().await.unwrap();
                let fd = file.as_raw_fd();
                let open = || std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
                // Much is being read ahead, and something written.
                file.read_exact(&mut [0; 1000]).await.unwrap();
                file.write_all(b"x").await.unwrap();
                file.close().await.unwrap();
                assert!(open());
                clone.write_all(b"y").await.unwrap();
                clone.close().await.unwrap();
                assert!(!open());
            }
        });
    });
}

/// Rule 11: a dropped close future closes all the same, and so does the file when it is dropped too.
#[cfg(target_os = "linux")]
#[test]
fn a_dropped_close_future_closes() {
    use std::os::fd::AsRawFd as _;

    use crate::support::alone;

    alone(|| {
        futures_lite::future::block_on(async {
            let dir = crate::support::temp_dir();
            let bytes = numbered(400_000);
            for round in 0..50 {
                let path = dir.path().join(round.to_string());
                let mut file = File::create(&path).await.unwrap();
                let fd = file.as_raw_fd();
                file.write_all(&bytes).await.unwrap();
                let _ = poll_once(file.close()).await;
                assert_eq!(file.as_raw_fd(), -1);
                if round % 2 == 0 {
                    drop(file);
                } else {
                    // A later close waits for the one that was begun.
                    file.close().await.unwrap();
                    assert_same_bytes(on_disk(&path), &bytes);
                }
                let target = format!("/proc/self/fd/{fd}");
                until(|| std::fs::read_link(&target).map_or(true, |open| open != path)).await;
                assert_same_bytes(on_disk(&path), &bytes);
            }
        });
    });
}

/// Rule 11: dropped files are closed in a pool job, and all of them are closed in the end.
#[cfg(target_os = "linux")]
#[test]
fn dropped_files_are_closed() {
    use crate::support::{alone, fd_count};

    alone(|| {
        let (_dir, path) = sample(numbered(100_000));
        let files = futures_lite::future::block_on(async {
            let mut files = Vec::new();
            for _ in 0..100 {
                let mut file = File::open(&path).await.unwrap();
                file.read_exact(&mut [0; 10]).await.unwrap();
                files.push(file);
            }
            files
        });
        let open = fd_count();
        // Outside any runtime.
        drop(files);
        wait_until("a hundred descriptors are closed", || {
            fd_count() <= open - 100
        });
        wait_until("nothing is to be closed any more", || {
            aiofiles::backend().pending_closes() == 0
        });
    });
}

/// Rule 11: an open that finds no free descriptor waits for the closing of dropped files, and tries once more.
#[cfg(target_os = "linux")]
#[test]
fn an_open_without_a_free_descriptor_waits_for_dropped_files() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    use crate::support::{all_fd_count, alone};

    alone(|| {
        let (_dir, path) = sample("content");
        futures_lite::future::block_on(async {
            File::open(&path).await.unwrap();
            // The reactor takes some descriptors for itself, once and for all.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            until(|| aiofiles::backend().pending_closes() == 0).await;
            let limit = Rlimit {
                current: Some(all_fd_count() as u64 + 20),
                maximum: Some(all_fd_count() as u64 + 20),
            };
            setrlimit(Resource::Nofile, limit).unwrap();
            let mut refused = 0;
            for _ in 0..iterations_here() {
                let mut files = Vec::new();
                let error = loop {
                    match File::open(&path).await {
                        Ok(file) => files.push(file),
                        Err(error) => break error,
                    }
                };
                assert_eq!(aiofiles::raw_os_error(&error), Some(code::EMFILE));
                refused += 1;
                // All of them are let go, and opened again at once.
                let count = files.len();
                drop(files);
                let mut again = Vec::new();
                for _ in 0..count {
                    again.push(
                        File::open(&path)
                            .await
                            .expect("enough descriptors are free"),
                    );
                }
            }
            assert!(refused > 0);
        });
    });
}

#[cfg(target_os = "linux")]
fn iterations_here() -> usize {
    crate::support::iterations(50)
}

/// Rule 11: the same, while another thread of the pool is busy with the only closing.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn an_open_without_a_free_descriptor_waits_for_a_closing_that_has_begun() {
    use aiofiles::testing::{Call, Faults};
    use rustix::process::{Resource, Rlimit, setrlimit};

    use crate::support::{all_fd_count, alone};

    alone(|| {
        let (_dir, path) = sample("content");
        let faults = Faults::install();
        futures_lite::future::block_on(async {
            // The reactor, which looks after stuck calls, has descriptors of its own.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            let file = File::open(&path).await.unwrap();
            let other = File::open(&path).await.unwrap();
            drop(other);
            until(|| aiofiles::backend().pending_closes() == 0).await;
            let limit = Rlimit {
                current: Some(all_fd_count() as u64),
                maximum: Some(all_fd_count() as u64),
            };
            let gate = Held::new(&faults, Call::Close, 0);
            drop(file);
            until(|| gate.waiting() == 1).await;
            setrlimit(Resource::Nofile, limit).unwrap();
            // More than one may have been free below the highest.
            let mut fill = Vec::new();
            while let Ok(std) = std::fs::File::open(&path) {
                fill.push(std);
            }
            let others = async {
                // Other jobs pass, so the open has had its turn, and waits to be woken.
                for _ in 0..10 {
                    aiofiles::metadata(&path).await.unwrap();
                }
                gate.open();
            };
            let (opened, ()) = futures_lite::future::zip(File::open(&path), others).await;
            drop(opened.expect("a descriptor becomes free"));
        });
    });
}

/// Rule 11: dropping never blocks, and what was accepted is written after it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn dropping_a_file_does_no_system_call_on_its_thread() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = drive(stepper, File::create(&path)).unwrap();
        drive(stepper, file.write_all(b"accepted")).unwrap();
        for call in [Call::Write, Call::Close, Call::Metadata, Call::Seek] {
            count(faults, call);
        }
        drop(file);
        assert_eq!(faults.struck(), 0);
        assert_eq!(on_disk(&path), b"");
        stepper.run_all();
        assert_eq!(on_disk(&path), b"accepted");
        assert!(faults.struck() >= 2);
    });
}

/// Rule 11: what close(2) said is what the last close says, once.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_last_close_tells_what_the_kernel_said() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("content");
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        faults.fail(Call::Close, 0, 1, code::EIO);
        drive(stepper, file.close()).unwrap();
        assert_eq!(faults.struck(), 0);
        drive(stepper, clone.write_all(b"x")).unwrap();
        let error = drive(stepper, clone.close()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code::EIO));
        assert_eq!(faults.struck(), 1);
        drive(stepper, clone.close()).unwrap();
        drive(stepper, file.close()).unwrap();
        assert_eq!(on_disk(&path), b"xontent");
    });
}

/// Rule 11: an interrupted close(2) has closed; it is not made again, and nobody hears of it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_interrupted_close_is_a_close() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("content");
        let mut file = drive(stepper, File::open(&path)).unwrap();
        faults.fail(Call::Close, 0, 1, code::EINTR);
        drive(stepper, file.close()).unwrap();
    });
}

/// Rule 11: `close` retries a tail once; if that fails, it returns the error, gives the tail up, and closes.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn close_retries_a_tail_once_and_closes_whatever_comes_of_it() {
    use std::os::fd::AsRawFd as _;

    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        for told_before in [false, true] {
            for failures in [1, 2, EVER] {
                let path = dir.path().join(format!("{told_before} {failures}"));
                let mut file = drive(stepper, File::create(&path)).unwrap();
                faults.clear();
                faults.fail(Call::Write, 0, failures, code::ENOSPC);
                count(faults, Call::Close);
                drive(stepper, file.write_all(b"tail")).unwrap();
                if told_before {
                    let error = drive(stepper, file.flush()).unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                }
                // The first failure is that of the job that the write has started.
                let before = faults.struck();
                let result = drive(stepper, file.close());
                if failures == 1 {
                    result.unwrap();
                    assert_eq!(on_disk(&path), b"tail");
                } else {
                    let error = result.unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
                    assert_eq!(on_disk(&path), b"");
                    let tries = faults.struck() - before - 1;
                    let expected = if told_before { 1 } else { 2 };
                    assert_eq!(tries, expected, "told before: {told_before}");
                }
                assert_eq!(file.as_raw_fd(), -1);
                drive(stepper, file.close()).unwrap();
                stepper.run_all();
            }
        }
    });
}

/// Rule 11: the last close waits for operations that run, also those that were cancelled.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_last_close_waits_for_an_operation_that_runs() {
    use aiofiles::testing::Call;
    use futures_lite::future::block_on;

    use crate::support::{poll_now, within_limit};

    within_limit("the pool", || {
        let (_dir, path) = sample("content");
        let faults = aiofiles::testing::Faults::install();
        block_on(async {
            let mut file = read_write().open(&path).await.unwrap();
            let gate = Held::new(&faults, Call::SyncAll, 0);
            assert!(poll_once(file.sync_all()).await.is_none());
            until(|| gate.waiting() == 1).await;
            let mut closing = Box::pin(file.close());
            for _ in 0..20 {
                assert!(poll_now(closing.as_mut()).is_pending());
                aiofiles::metadata(&path).await.unwrap();
            }
            gate.open();
            closing.await.unwrap();
        });
    });
}

/// Rule 11: the close of one of several handles does not wait for what others do, but settles.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_close_of_one_of_several_handles_settles_and_is_ok() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = drive(stepper, File::create(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        drive(stepper, file.write_all(b"settled")).unwrap();
        count(faults, Call::Close);
        drive(stepper, file.close()).unwrap();
        assert_eq!(on_disk(&path), b"settled");
        drive(stepper, clone.write_all(b", and more")).unwrap();
        drive(stepper, clone.close()).unwrap();
        assert_eq!(on_disk(&path), b"settled, and more");
        assert_eq!(faults.struck(), 1);
    });
}

/// Rules 10 and 11: the close of one of several handles tells of the tail, and leaves it to the others.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_close_of_one_of_several_handles_gives_no_tail_up() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("");
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        faults.fail(Call::Write, 0, EVER, code::ENOSPC);
        drive(stepper, file.write_all(b"not lost")).unwrap();
        let error = drive(stepper, file.close()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code::ENOSPC));
        faults.clear();
        drive(stepper, clone.flush()).unwrap();
        assert_eq!(on_disk(&path), b"not lost");
        drive(stepper, clone.close()).unwrap();
    });
}

/// Rules 10 and 11: a failing clone that is dropped while the other closes does not let the close say `Ok`.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_close_beside_the_drop_of_a_clone_tells_the_error() {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    use aiofiles::testing::{Call, Faults};
    use futures_lite::future::block_on;
    use futures_lite::io::{AsyncRead as _, AsyncWrite as _};

    use crate::support::{poll_now, within_limit};

    /// Its drop comes in the middle of the drop of the clone that it waits on, and there it begins to close the other.
    struct Closer(Mutex<Option<File>>, Arc<Mutex<Option<File>>>);
    impl Wake for Closer {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Closer {
        fn drop(&mut self) {
            let mut file = self.0.lock().unwrap().take().unwrap();
            let _ = Pin::new(&mut file).poll_close(&mut Context::from_waker(Waker::noop()));
            // Once the closing has begun, others wait for the bytes.
            wait_until("the file is in the list", || {
                poll_now(std::pin::pin!(aiofiles::settle())).is_pending()
            });
            *self.1.lock().unwrap() = Some(file);
        }
    }

    crate::support::alone(|| {
        within_limit("the pool", || {
            let faults = Faults::install();
            let dir = crate::support::temp_dir();
            let path = dir.path().join("file");
            let closing = Arc::new(Mutex::new(None));
            let gate = block_on(async {
                let mut file = read_write().open(&path).await.unwrap();
                let mut clone = file.try_clone().await.unwrap();
                faults.fail(Call::Write, 1, EVER, code::ENOSPC);
                let gate = Held::new(&faults, Call::Write, 0);
                file.write_all(b"accepted").await.unwrap();
                until(|| gate.waiting() == 1).await;
                file.write_all(b"and this will fail").await.unwrap();
                let waker = Waker::from(Arc::new(Closer(Mutex::new(Some(file)), closing.clone())));
                let mut cx = Context::from_waker(&waker);
                // It waits for the write, and the stream holds the only waker.
                assert!(
                    Pin::new(&mut clone)
                        .poll_read(&mut cx, &mut [0])
                        .is_pending()
                );
                drop(waker);
                drop(clone);
                gate
            });
            let mut file = closing.lock().unwrap().take().unwrap();
            gate.open();
            let result = block_on(file.close());
            assert_eq!(on_disk(&path), b"accepted");
            assert_eq!(
                result.map_err(|error| error.raw_os_error()),
                Err(Some(code::ENOSPC))
            );
        });
    });
}

/// Rules 10 and 11: of two handles that close at once, neither says `Ok` past bytes that cannot be written.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn two_handles_that_close_at_once_both_tell_of_the_tail() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for told_before in [false, true] {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            let mut clone = drive(stepper, file.try_clone()).unwrap();
            faults.clear();
            faults.fail(Call::Write, 0, EVER, code::ENOSPC);
            drive(stepper, file.write_all(b"lost")).unwrap();
            if told_before {
                drive(stepper, file.flush()).unwrap_err();
            }
            let both = futures_lite::future::zip(file.close(), clone.close());
            let (one, other) = drive(stepper, both);
            for result in [one, other] {
                assert_eq!(
                    result.map_err(|error| error.raw_os_error()),
                    Err(Some(code::ENOSPC))
                );
            }
            assert_eq!(on_disk(&path), b"");
        }
    });
}

/// Rule 11: a panic in a job does not keep `close` from ending.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn close_ends_although_a_job_of_the_file_panicked() {
    use std::os::fd::AsRawFd as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let dir = crate::support::temp_dir();
        for call in [Call::Write, Call::Close] {
            let path = dir.path().join(format!("{call:?}"));
            let mut file = drive(stepper, File::create(&path)).unwrap();
            let struck = faults.struck();
            faults.panic(call, 0, 1);
            drive(stepper, file.write_all(b"accepted")).unwrap();
            // The panic, an error, or success after the retry: anything but waiting for ever.
            let _ = catch_unwind(AssertUnwindSafe(|| drive(stepper, file.close())));
            assert_eq!(faults.struck() - struck, 1, "{call:?}");
            faults.clear();
            assert_eq!(file.as_raw_fd(), -1);
            drive(stepper, file.close()).unwrap();
            assert_eq!(on_disk(&path), b"accepted", "{call:?}");
        }
    });
}
