//! Rule 13: who is woken, and how often.

use std::io::SeekFrom;
use std::sync::Arc;

use aiofiles::File;
use futures_lite::future::zip;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
#[cfg(all(unix, feature = "testing"))]
use {
    crate::support::{CountingWaker, poll_now},
    futures_lite::io::{AsyncSeek as _, AsyncWrite as _},
    std::sync::atomic::{AtomicUsize, Ordering},
    std::task::{Context, Wake, Waker},
};

use super::*;
use crate::support::{Runtime, assert_same_bytes, every_runtime, numbered, within_limit};

/// Rule 13: the last waker counts, whichever operation it is.
#[test]
fn only_the_waker_of_the_last_poll_is_needed() {
    // The hostile executor brings another waker with every poll, and never polls again if an earlier one is woken.
    let hostile = Runtime::new(crate::support::Kind::Hostile);
    within_limit("the hostile executor", move || {
        hostile.block_on(async {
            let bytes = numbered(300_000);
            let (_dir, path) = sample(&bytes);
            for _ in 0..20 {
                let mut file = read_write().open(&path).await.unwrap();
                let mut found = Vec::new();
                file.read_to_end(&mut found).await.unwrap();
                assert_same_bytes(found, &bytes);
                file.seek(SeekFrom::End(-1000)).await.unwrap();
                file.write_all(&bytes[299_000..]).await.unwrap();
                file.flush().await.unwrap();
                file.set_len(300_000).await.unwrap();
                file.sync_data().await.unwrap();
                file.lock().await.unwrap();
                file.close().await.unwrap();
            }
        });
    });
}

/// Rule 13: a read that is polled with one waker and then with another wakes the second, once, and the first never.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_waker_that_was_replaced_is_not_woken() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(1000));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let clone = drive(stepper, file.try_clone()).unwrap();
        let (old, new) = (CountingWaker::new(), CountingWaker::new());
        let mut buf = [0; 10];

        let mut reading = std::pin::pin!(file.read(&mut buf));
        poll_with(reading.as_mut(), &old);
        poll_with(reading.as_mut(), &new);
        let mut asking = std::pin::pin!(clone.metadata());
        poll_with(asking.as_mut(), &old);
        poll_with(asking.as_mut(), &new);
        stepper.run_all();
        assert_eq!((old.wakes(), new.wakes()), (0, 2));
        assert!(poll_now(reading).is_ready());
        assert!(poll_now(asking).is_ready());
    });
}

/// Rule 13: one completion wakes the task that waits for it once, and no other task before.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn one_completion_wakes_its_task_once() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(100_000));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        macro_rules! woken_once {
            ($future:expr) => {{
                let count = CountingWaker::new();
                let mut future = std::pin::pin!($future);
                poll_with(future.as_mut(), &count);
                assert_eq!(count.wakes(), 0, "{}: before any job", stringify!($future));
                stepper.run_all();
                assert_eq!(count.wakes(), 1, "{}", stringify!($future));
                assert!(poll_now(future).is_ready(), "{}", stringify!($future));
            }};
        }
        woken_once!(aiofiles::try_exists(&path));
        let mut buf = [0; 10];
        woken_once!(file.read(&mut buf));
        woken_once!(file.seek(SeekFrom::End(0)));
        woken_once!(file.metadata());
        woken_once!(file.set_len(200_000));
        woken_once!(file.sync_all());
        woken_once!(file.lock());
        woken_once!(file.unlock());
        drive(stepper, file.write_all(&[1; 1000])).unwrap();
        woken_once!(file.flush());
        drive(stepper, file.write_all(&[1; 1000])).unwrap();
        woken_once!(file.close());
    });
}

/// Rule 13: one task that waits in several roles at once is woken once by one completion.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_task_that_waits_in_many_roles_is_woken_once() {
    stepped(|stepper, _| {
        let dir = crate::support::temp_dir();
        let mut file = drive(stepper, read_write().open(dir.path().join("file"))).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        drive(stepper, file.write_all(b"bytes on their way")).unwrap();

        let count = CountingWaker::new();
        let waker = count.waker();
        let mut cx = Context::from_waker(&waker);
        let mut asking = std::pin::pin!(file.metadata());
        poll_with(asking.as_mut(), &count);
        let mut clone = Pin::new(&mut clone);
        assert!(clone.as_mut().poll_read(&mut cx, &mut [0; 4]).is_pending());
        assert!(clone.as_mut().poll_flush(&mut cx).is_pending());
        let to = SeekFrom::Start(0);
        assert!(clone.as_mut().poll_seek(&mut cx, to).is_pending());
        stepper.run_all();
        assert_eq!(count.wakes(), 1);
    });
}

/// Rule 13: a change of the state wakes every role concerned: all of these wait for the same write.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_end_of_a_write_wakes_everybody_who_waits_for_it() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(1000));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clones: Vec<_> = (0..4)
            .map(|_| drive(stepper, file.try_clone()).unwrap())
            .collect();
        drive(stepper, file.write_all(b"on its way")).unwrap();

        let [reader, flusher, seeker, closer] = &mut clones[..] else {
            unreachable!()
        };
        let mut buf = [0; 10];
        let mut waiting: Vec<(&str, Boxed<'_, ()>)> = vec![
            (
                "read",
                Box::pin(async { reader.read_exact(&mut buf).await }),
            ),
            ("flush", Box::pin(async { flusher.flush().await })),
            (
                "seek",
                Box::pin(async { seeker.seek(SeekFrom::Current(0)).await.map(drop) }),
            ),
            ("close", Box::pin(async { closer.close().await })),
            (
                "metadata",
                Box::pin(async { file.metadata().await.map(drop) }),
            ),
            ("set_len", Box::pin(async { file.set_len(2000).await })),
            ("sync", Box::pin(async { file.sync_all().await })),
            (
                "clone",
                Box::pin(async { file.try_clone().await.map(drop) }),
            ),
            ("lock", Box::pin(async { file.lock().await })),
        ];
        let counts: Vec<_> = waiting.iter().map(|_| CountingWaker::new()).collect();
        for ((name, future), count) in waiting.iter_mut().zip(&counts) {
            assert!(
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(&count.waker()))
                    .is_pending(),
                "{name} did not wait"
            );
        }
        // Each is polled only when it is woken, until all are done.
        let mut seen = vec![0; waiting.len()];
        let mut done = vec![false; waiting.len()];
        for _ in 0..1000 {
            stepper.run_one();
            for n in 0..waiting.len() {
                if !done[n] && counts[n].wakes() > seen[n] {
                    seen[n] = counts[n].wakes();
                    if let Poll::Ready(result) = waiting[n]
                        .1
                        .as_mut()
                        .poll(&mut Context::from_waker(&counts[n].waker()))
                    {
                        result.unwrap_or_else(|error| panic!("{}: {error}", waiting[n].0));
                        done[n] = true;
                    }
                }
            }
        }
        for ((name, _), done) in waiting.iter().zip(done) {
            assert!(done, "{name} was never woken again");
        }
    });
}

#[cfg(all(unix, feature = "testing"))]
#[track_caller]
fn poll_with<F: Future>(future: Pin<&mut F>, count: &CountingWaker) {
    assert!(
        future
            .poll(&mut Context::from_waker(&count.waker()))
            .is_pending(),
        "done before any job ran"
    );
}

/// Rule 13: a reader whose clone seeks away, so that what it waited for is thrown away, is still woken.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_reader_whose_clone_seeks_is_woken() {
    stepped(|stepper, _| {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        let mut buf = [0; 8];
        let count = CountingWaker::new();
        {
            let mut reading = std::pin::pin!(file.read_exact(&mut buf));
            poll_with(reading.as_mut(), &count);
            drive(stepper, clone.seek(SeekFrom::Start(50_000))).unwrap();
            stepper.run_all();
            assert_eq!(count.wakes(), 1, "the reader waits for ever");
            drive(stepper, reading).unwrap();
        }
        assert_same_bytes(buf, &bytes[50_000..50_008]);
    });
}

/// Rule 13, on real threads: while one clone reads, another seeks, and neither ever hangs.
#[test]
fn readers_and_seekers_of_one_position_all_come_to_an_end() {
    every_runtime(|rt| async move {
        let (_dir, path) = sample(numbered(200_000));
        let mut file = File::open(&path).await.unwrap();
        let mut clone = file.try_clone().await.unwrap();
        let reader = rt.spawn(async move {
            for _ in 0..300 {
                file.read(&mut [0; 100]).await.unwrap();
            }
        });
        let seeker = rt.spawn(async move {
            for n in 0..300 {
                clone.seek(SeekFrom::Start(n * 600)).await.unwrap();
            }
        });
        reader.await;
        seeker.await;
    });
}

/// Rule 13: a task that is polled again and again while a write is on its way does not keep that write from happening.
/// (An executor may poll inside `wake`.)
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_flush_that_is_polled_at_every_wake_comes_to_an_end() {
    stepped(|stepper, _| {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = drive(stepper, File::create(&path)).unwrap();
        let bytes = numbered(1 << 20);
        drive(stepper, async {
            file.write_all(&bytes).await?;
            file.flush().await
        })
        .unwrap();
        assert_same_bytes(on_disk(&path), bytes);
    });
}

/// A waker that keeps somebody's file, and lets it go when it goes itself.
#[cfg(all(unix, feature = "testing"))]
struct Keeper {
    _file: File,
    dropped: Arc<AtomicUsize>,
}

#[cfg(all(unix, feature = "testing"))]
impl Wake for Keeper {
    fn wake(self: Arc<Self>) {}
}

#[cfg(all(unix, feature = "testing"))]
impl Drop for Keeper {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Rule 13: a waker that is replaced is dropped outside every lock, because its drop may use the file. (The waker of a
/// task may be the last to hold that task, and the task a clone.)
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_replaced_waker_whose_drop_uses_the_file_does_no_harm() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(1000));
        let mut file = drive(stepper, File::open(&path)).unwrap();
        let dropped = Arc::<AtomicUsize>::default();
        let waker = Waker::from(Arc::new(Keeper {
            _file: drive(stepper, file.try_clone()).unwrap(),
            dropped: dropped.clone(),
        }));
        let mut cx = Context::from_waker(&waker);
        assert!(
            Pin::new(&mut file)
                .poll_read(&mut cx, &mut [0; 4])
                .is_pending()
        );
        drop(waker);
        assert_eq!(dropped.load(Ordering::SeqCst), 0, "the file has it still");
        let mut buf = [0; 4];
        begin(std::pin::pin!(file.read(&mut buf)));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        drive(stepper, file.read_exact(&mut buf)).unwrap();
        assert_same_bytes(buf, numbered(4));
    });
}

/// A waker that panics, as one of a broken executor may.
#[cfg(all(unix, feature = "testing"))]
struct Panicking;

#[cfg(all(unix, feature = "testing"))]
impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

/// Rules 6 and 13: a waker of one task that panics neither loses accepted bytes nor keeps another task waiting.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_waker_that_panics_harms_nobody_else() {
    stepped(|stepper, _| {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();

        drive(stepper, file.write_all(b"accepted")).unwrap();
        let waker = Waker::from(Arc::new(Panicking));
        let count = CountingWaker::new();
        {
            let mut panicking = Context::from_waker(&waker);
            assert!(Pin::new(&mut file).poll_flush(&mut panicking).is_pending());
            let mut flushing = std::pin::pin!(clone.flush());
            poll_with(flushing.as_mut(), &count);
            stepper.run_all();
            assert!(count.wakes() > 0, "the second task was not woken");
            assert!(poll_now(flushing).is_ready());
        }
        assert_eq!(on_disk(&path)[..8], *b"accepted");

        // The same for a read.
        {
            let mut panicking = Context::from_waker(&waker);
            assert!(
                Pin::new(&mut file)
                    .poll_read(&mut panicking, &mut [0; 8])
                    .is_pending()
            );
            stepper.run_all();
        }
        let mut found = Vec::new();
        drive(stepper, file.read_to_end(&mut found)).unwrap();
        assert_same_bytes(found, &bytes[8..]);
        drive(stepper, file.into_std()).unwrap();
    });
}

/// Rule 13: `&self` methods take any number of waiters, of one task and of many.
#[test]
fn a_hundred_calls_on_one_handle_wait_at_once() {
    every_runtime(|rt| async move {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = File::create(&path).await.unwrap();
        let bytes = numbered(1 << 20);
        file.write_all(&bytes).await.unwrap();
        let file = Arc::new(file);
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let file = file.clone();
                rt.spawn(async move {
                    match n % 5 {
                        0 => assert_eq!(file.metadata().await.unwrap().len(), 1 << 20),
                        1 => file.sync_data().await.unwrap(),
                        2 => assert_eq!(file.stream_position().await.unwrap(), 1 << 20),
                        3 => file.set_len(1 << 20).await.unwrap(),
                        _ => drop(file.try_clone().await.unwrap()),
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_same_bytes(on_disk(&path), bytes);
    });
}

/// Rule 13: the halves of a split file, in two tasks, wait in roles of their own.
#[test]
fn the_halves_of_a_split_file_do_not_take_each_others_wakers() {
    every_runtime(|rt| async move {
        let bytes = numbered(2 << 20);
        let (_dir, path) = sample(&bytes);
        let file = read_write().open(&path).await.unwrap();
        let (mut reader, mut writer) = futures_lite::io::split(file);
        let reading = rt.spawn(async move {
            let mut count = 0;
            loop {
                match reader.read(&mut vec![0; 10_000]).await.unwrap() {
                    0 => return count,
                    n => count += n,
                }
            }
        });
        let writing = rt.spawn(async move {
            for _ in 0..50 {
                writer.write_all(&[0; 100]).await.unwrap();
                writer.flush().await.unwrap();
            }
        });
        // Both move the one position: together they pass over the file once.
        let (read, ()) = zip(reading, writing).await;
        assert!(read <= 2 << 20, "read {read} bytes");
    });
}

/// Rule 13: a wait that was cancelled leaves no waker behind.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn cancelled_waits_leave_no_waker_behind() {
    struct Quiet;
    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(1000));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        let held = Arc::new(Quiet);
        for _ in 0..3 {
            let waker = Waker::from(held.clone());
            let mut cx = Context::from_waker(&waker);
            drive(stepper, file.write_all(b"on its way")).unwrap();
            assert!(std::pin::pin!(file.metadata()).poll(&mut cx).is_pending());
            assert!(std::pin::pin!(file.set_len(5)).poll(&mut cx).is_pending());
            assert!(std::pin::pin!(file.lock()).poll(&mut cx).is_pending());
            assert!(std::pin::pin!(file.sync_all()).poll(&mut cx).is_pending());
            assert!(std::pin::pin!(file.flush()).poll(&mut cx).is_pending());
            drop(waker);
            stepper.run_all();
        }
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// Rules 7 and 13: nor does a wait for a dropped file that was cancelled, however long the file takes.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn cancelled_waits_for_a_dropped_file_leave_no_waker_behind() {
    struct Quiet;
    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }
    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample("");
            let mut file = read_write().open(&path).await.unwrap();
            let gate = Held::new(faults, aiofiles::testing::Call::Write, 0);
            file.write_all(b"late").await.unwrap();
            until(|| gate.waiting() == 1).await;
            drop(file);
            let held = Arc::new(Quiet);
            let mut waits = 0;
            for _ in 0..20 {
                let waker = Waker::from(held.clone());
                let mut cx = Context::from_waker(&waker);
                let mut reading = std::pin::pin!(aiofiles::read(&path));
                let mut settling = std::pin::pin!(aiofiles::settle());
                // The first poll asks which file it is, a later one waits for it.
                for _ in 0..20 {
                    waits += usize::from(reading.as_mut().poll(&mut cx).is_pending());
                    waits += usize::from(settling.as_mut().poll(&mut cx).is_pending());
                    aiofiles::metadata("Cargo.toml").await.unwrap();
                }
            }
            assert_eq!(waits, 800, "all of them wait for the file");
            until(|| aiofiles::backend().queued() == 0).await;
            let left = Arc::strong_count(&held) - 1;
            // A job that has just ended may be about to let go of one or two.
            assert!(left <= 2, "{left} wakers of tasks that have gone");
        });
    });
}
