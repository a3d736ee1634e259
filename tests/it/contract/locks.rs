//! Rule 14: locks.

use std::fs::{self, TryLockError};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiofiles::File;
use futures_lite::future::yield_now;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{Kind, every_runtime, numbered, on_runtimes, poll_n, poll_once};

fn is_locked_for_std(path: &Path) -> bool {
    match fs::File::open(path).unwrap().try_lock() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => panic!("{error}"),
    }
}

/// Rule 14: a lock excludes other openers until it is released, and is the one that std and other processes see.
#[test]
fn a_lock_excludes_others_until_unlock() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let file = read_write().open(&path).await.unwrap();
        let other = read_write().open(&path).await.unwrap();
        file.lock().await.unwrap();
        assert!(is_locked_for_std(&path));
        assert!(matches!(
            other.try_lock().await,
            Err(TryLockError::WouldBlock)
        ));
        assert!(matches!(
            other.try_lock_shared().await,
            Err(TryLockError::WouldBlock)
        ));
        file.unlock().await.unwrap();
        assert!(!is_locked_for_std(&path));
        // To release what is not held is no error.
        file.unlock().await.unwrap();
        other.try_lock().await.unwrap();
        assert!(is_locked_for_std(&path));
        drop(other);
        file.lock().await.unwrap();
    });
}

/// Rule 14: shared locks go together, and keep an exclusive one out.
#[test]
fn shared_locks_go_together() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let one = File::open(&path).await.unwrap();
        let other = File::open(&path).await.unwrap();
        let third = File::open(&path).await.unwrap();
        one.lock_shared().await.unwrap();
        other.try_lock_shared().await.unwrap();
        assert!(third.try_lock().await.is_err());
        one.unlock().await.unwrap();
        assert!(third.try_lock().await.is_err());
        other.unlock().await.unwrap();
        third.try_lock().await.unwrap();
    });
}

/// Rule 14: `lock` waits for whoever holds it, and gets it without being told again.
#[test]
fn a_waiting_lock_is_granted_once_the_holder_lets_go() {
    every_runtime(|rt| async move {
        let (_dir, path) = sample("");
        let std = fs::File::open(&path).unwrap();
        std.lock().unwrap();
        let file = File::open(&path).await.unwrap();
        let granted = Arc::new(AtomicUsize::new(0));
        let task = rt.spawn({
            let granted = granted.clone();
            async move {
                file.lock().await.unwrap();
                granted.fetch_add(1, Ordering::SeqCst);
                file
            }
        });
        // Other operations go on meanwhile.
        for _ in 0..20 {
            assert_eq!(aiofiles::read(&path).await.unwrap(), b"");
        }
        assert_eq!(granted.load(Ordering::SeqCst), 0);
        std.unlock().unwrap();
        let file = task.await;
        assert!(is_locked_for_std(&path));
        drop(file);
    });
}

/// Rule 14: locks count critical sections of many tasks, each with a file of its own.
#[test]
fn tasks_that_lock_exclude_each_other() {
    every_runtime(|rt| async move {
        let (_dir, path) = sample("0");
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                rt.spawn(async move {
                    for _ in 0..5 {
                        let mut file = read_write().open(&path).await.unwrap();
                        file.lock().await.unwrap();
                        let mut text = String::new();
                        file.read_to_string(&mut text).await.unwrap();
                        let next = text.parse::<u32>().unwrap() + 1;
                        yield_now().await;
                        file.set_len(0).await.unwrap();
                        futures_lite::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(0))
                            .await
                            .unwrap();
                        file.write_all(next.to_string().as_bytes()).await.unwrap();
                        // Unlocking settles the writes, so the next one finds them.
                        file.unlock().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(on_disk(&path), b"40");
    });
}

/// Rule 14: callers on one open file are served in the order in which they came.
#[test]
fn callers_on_one_open_file_are_served_in_order() {
    // On one thread, so that nobody is told late.
    on_runtimes(&[Kind::SmolOne, Kind::TokioCurrent], |rt| async move {
        let (_dir, path) = sample("");
        let std = fs::File::open(&path).unwrap();
        std.lock().unwrap();
        let file = Arc::new(File::open(&path).await.unwrap());
        let served = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for n in 0..10 {
            let waiting = Arc::new(AtomicUsize::new(0));
            tasks.push(rt.spawn({
                let (file, served, waiting) = (file.clone(), served.clone(), waiting.clone());
                async move {
                    let mut lock = Box::pin(file.lock());
                    poll_fn(|cx| {
                        let polled = lock.as_mut().poll(cx);
                        waiting.store(1, Ordering::SeqCst);
                        polled
                    })
                    .await
                    .unwrap();
                    served.lock().unwrap().push(n);
                }
            }));
            until(|| waiting.load(Ordering::SeqCst) > 0).await;
        }
        std.unlock().unwrap();
        for task in tasks {
            task.await;
        }
        assert_eq!(*served.lock().unwrap(), (0..10).collect::<Vec<_>>());
    });
}

/// Rule 14: a cancelled `lock` holds nothing, wherever it was cut.
#[test]
fn a_cancelled_lock_holds_nothing() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let file = File::open(&path).await.unwrap();
        for polls in [0, 1, 1, 1, 2, 3] {
            if poll_n(file.lock(), polls).await.is_some() {
                file.unlock().await.unwrap();
            }
            // The release of a lock that was granted too late is on its way.
            let other = File::open(&path).await.unwrap();
            other.lock().await.unwrap();
            other.unlock().await.unwrap();
        }
        // So does one that was waiting.
        let std = fs::File::open(&path).unwrap();
        std.lock().unwrap();
        assert!(poll_n(file.lock(), 3).await.is_none());
        std.unlock().unwrap();
        std.lock().unwrap();
    });
}

/// Rule 14: the same, cut before its job, after its job, and with the handle gone.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_lock_cut_before_or_after_its_job_holds_nothing() {
    stepped(|stepper, _| {
        let (_dir, path) = sample("");
        for jobs in [0, 1] {
            let file = drive(stepper, File::open(&path)).unwrap();
            {
                let mut lock = std::pin::pin!(file.lock());
                begin(lock.as_mut());
                for _ in 0..jobs {
                    assert!(stepper.run_one());
                }
            }
            drop(file);
            stepper.run_all();
            assert!(!is_locked_for_std(&path), "cut after {jobs} jobs");
        }
        // Cut after its job, with the handle still open: the lock is released, not only at the close.
        let file = drive(stepper, File::open(&path)).unwrap();
        {
            let mut lock = std::pin::pin!(file.lock());
            begin(lock.as_mut());
            stepper.run_one();
        }
        stepper.run_all();
        assert!(!is_locked_for_std(&path));
        drop(file);
    });
}

/// Rule 14: who calls `lock` again after a `lock` of his was cancelled (a timeout) has the lock when he is told so, and
/// keeps it: the release of the cancelled one must not take it away.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_lock_after_a_cancelled_one_is_kept() {
    stepped(|stepper, _| {
        let (_dir, path) = sample("");
        for jobs in [0, 1] {
            let file = drive(stepper, File::open(&path)).unwrap();
            {
                let mut lock = std::pin::pin!(file.lock());
                begin(lock.as_mut());
                for _ in 0..jobs {
                    stepper.run_one();
                }
            }
            drive(stepper, file.lock()).unwrap();
            assert!(is_locked_for_std(&path), "cut after {jobs} jobs");
            stepper.run_all();
            assert!(
                is_locked_for_std(&path),
                "cut after {jobs} jobs: taken away later"
            );
            drive(stepper, file.unlock()).unwrap();
            assert!(!is_locked_for_std(&path));
        }
    });
}

/// Rule 14: the same, on real threads.
#[test]
fn a_lock_after_cancelled_ones_excludes_others() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let file = File::open(&path).await.unwrap();
        for _ in 0..100 {
            let _ = poll_once(file.lock()).await;
            file.lock().await.unwrap();
            for _ in 0..3 {
                assert!(is_locked_for_std(&path));
                file.metadata().await.unwrap();
            }
            file.unlock().await.unwrap();
        }
    });
}

/// Rule 14: a cancelled `lock` of a file that is locked already leaves that lock.
#[test]
fn a_cancelled_second_lock_does_not_release_the_first() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let file = File::open(&path).await.unwrap();
        file.lock().await.unwrap();
        for polls in [1, 2] {
            let _ = poll_n(file.lock(), polls).await;
            for _ in 0..5 {
                file.metadata().await.unwrap();
                assert!(is_locked_for_std(&path));
            }
        }
    });
}

/// Rule 14: whoever waits behind a cancelled caller is served.
#[test]
fn a_cancelled_waiter_lets_those_behind_it_go_on() {
    every_runtime(|rt| async move {
        let (_dir, path) = sample("");
        let std = fs::File::open(&path).unwrap();
        std.lock().unwrap();
        let file = Arc::new(File::open(&path).await.unwrap());
        let mut first = Box::pin(file.lock());
        let mut second = Box::pin(file.lock());
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        let third = rt.spawn({
            let file = file.clone();
            async move { file.lock().await }
        });
        drop(second);
        std.unlock().unwrap();
        drop(first);
        third.await.unwrap();
    });
}

/// Rule 14: one prober per open file, however many callers wait.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_thousand_callers_on_one_open_file_try_with_one_job() {
    stepped(|stepper, _| {
        let (_dir, path) = sample("");
        let std = fs::File::open(&path).unwrap();
        std.lock().unwrap();
        let file = drive(stepper, File::open(&path)).unwrap();
        let mut locks: Vec<_> = (0..1000).map(|_| Box::pin(file.lock())).collect();
        for lock in &mut locks {
            begin(lock.as_mut());
            // The first poll may have yielded to other tasks.
            begin(lock.as_mut());
        }
        assert_eq!(stepper.waiting(), 1);
        std.unlock().unwrap();
        for lock in locks {
            drive(stepper, lock).unwrap();
        }
    });
}

/// Rule 14, and the fault of a peer: a thousand callers that wait, each with a file of its own, hold no thread, so a read
/// beside them comes to its end.
#[test]
fn a_thousand_waiting_locks_do_not_delay_a_read() {
    on_runtimes(
        &[Kind::SmolOne, Kind::TokioCurrent, Kind::AsyncStd],
        |rt| async move {
            let (dir, path) = sample("");
            let bytes = numbered(1 << 20);
            let data = dir.path().join("data");
            fs::write(&data, &bytes).unwrap();
            let std = fs::File::open(&path).unwrap();
            std.lock().unwrap();
            let waiting = Arc::new(AtomicUsize::new(0));
            let mut tasks = Vec::new();
            for _ in 0..1000 {
                let file = File::open(&path).await.unwrap();
                let waiting = waiting.clone();
                tasks.push(rt.spawn(async move {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    file.lock().await.unwrap();
                    waiting.fetch_sub(1, Ordering::SeqCst);
                    file.unlock().await.unwrap();
                }));
            }
            until(|| waiting.load(Ordering::SeqCst) == 1000).await;
            for _ in 0..10 {
                crate::support::assert_same_bytes(aiofiles::read(&data).await.unwrap(), &bytes);
            }
            assert_eq!(waiting.load(Ordering::SeqCst), 1000);
            std.unlock().unwrap();
            for task in tasks {
                task.await;
            }
        },
    );
}

/// Rule 14: waiting is done by a timer, so it needs no thread.
#[cfg(target_os = "linux")]
#[test]
fn waiting_for_locks_holds_no_thread() {
    use crate::support::{alone, thread_count};

    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let std = fs::File::open(&path).unwrap();
            std.lock().unwrap();
            let mut files = Vec::new();
            for _ in 0..200 {
                files.push(File::open(&path).await.unwrap());
            }
            let mut locks: Vec<_> = files.iter().map(|file| Box::pin(file.lock())).collect();
            for _ in 0..5 {
                for lock in &mut locks {
                    assert!(poll_once(lock).await.is_none());
                }
                aiofiles::metadata(&path).await.unwrap();
            }
            // The test's own threads, the reactor's, and a few of the pool.
            assert!(thread_count() < 50, "{} threads", thread_count());
        });
    });
}

/// Rule 14: the lock belongs to the open file: it ends with its last handle, and not before.
#[test]
fn the_last_handle_takes_the_lock_with_it() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let file = File::open(&path).await.unwrap();
        let mut clone = file.try_clone().await.unwrap();
        file.lock().await.unwrap();
        drop(file);
        // A clone has it too.
        clone.lock().await.unwrap();
        assert!(is_locked_for_std(&path));
        clone.close().await.unwrap();
        assert!(!is_locked_for_std(&path));
    });
}

/// Rules 10 and 14: an error of the kernel is told with its code, by each of the functions.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn errors_of_locking_are_told_and_hold_nothing() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample("");
        let file = drive(stepper, File::open(&path)).unwrap();
        faults.fail(Call::Lock, 0, 4, code::EIO);
        assert_eq!(
            drive(stepper, file.lock()).unwrap_err().raw_os_error(),
            Some(code::EIO)
        );
        assert_eq!(
            drive(stepper, file.lock_shared())
                .unwrap_err()
                .raw_os_error(),
            Some(code::EIO)
        );
        for result in [
            drive(stepper, file.try_lock()),
            drive(stepper, file.try_lock_shared()),
        ] {
            match result {
                Err(TryLockError::Error(error)) => {
                    assert_eq!(error.raw_os_error(), Some(code::EIO));
                }
                other => panic!("{other:?}"),
            }
        }
        faults.fail(Call::Unlock, 0, 1, code::EIO);
        assert_eq!(
            drive(stepper, file.unlock()).unwrap_err().raw_os_error(),
            Some(code::EIO)
        );
        assert!(!is_locked_for_std(&path));
        drive(stepper, file.lock()).unwrap();
        assert!(is_locked_for_std(&path));
    });
}

/// Rules 11 and 14: a closed file cannot be locked.
#[test]
fn a_closed_file_cannot_be_locked() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = File::open(&path).await.unwrap();
        file.close().await.unwrap();
        assert_eq!(
            file.lock().await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert!(matches!(
            file.try_lock().await,
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::InvalidInput
        ));
    });
}
