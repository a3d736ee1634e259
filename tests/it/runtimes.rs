//! The runtimes themselves: each runs everything, and files and futures travel between them.

use std::fs;
use std::future::{Future, poll_fn, ready};
use std::io::SeekFrom;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use aiofiles::File;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};

use crate::support::{
    Kind, Runtime, assert_same_bytes, every_runtime, hostile, iterations, numbered, poll_n,
    poll_now, poll_once, temp_dir, within_limit,
};

/// Those whose tasks end when the runtime is dropped.
const DROPPABLE: [Kind; 4] = [
    Kind::SmolOne,
    Kind::SmolFour,
    Kind::TokioMulti,
    Kind::TokioCurrent,
];

#[test]
fn a_file_is_written_read_sought_closed_and_listed() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        let mut file = options.open(&path).await.unwrap();
        file.write_all(b"hello world").await.unwrap();
        assert_eq!(file.seek(SeekFrom::Start(6)).await.unwrap(), 6);
        let mut found = String::new();
        file.read_to_string(&mut found).await.unwrap();
        assert_eq!(found, "world");
        assert_eq!(file.metadata().await.unwrap().len(), 11);
        file.close().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello world");

        let names: Vec<_> = aiofiles::read_dir(dir.path())
            .await
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
            .await;
        assert_eq!(names, ["file"]);
        aiofiles::remove_file(&path).await.unwrap();
        assert!(!path.exists());
    });
}

#[test]
fn tasks_of_one_runtime_use_files_of_their_own_at_once() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        let tasks: Vec<_> = (0..32)
            .map(|n| {
                let path = dir.path().join(n.to_string());
                rt.spawn(async move {
                    let bytes = numbered(n * 3001);
                    aiofiles::write(&path, &bytes).await.unwrap();
                    let mut found = Vec::new();
                    File::open(&path)
                        .await
                        .unwrap()
                        .read_to_end(&mut found)
                        .await
                        .unwrap();
                    assert_same_bytes(found, bytes);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
}

/// They hold a hundred threads of the pool that our reads run on.
#[test]
fn a_hundred_pool_jobs_that_wait_for_reads_of_ours_finish() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let bytes = numbered(100_000);
        fs::write(&path, &bytes).unwrap();
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let path = path.clone();
                blocking::unblock(move || {
                    block_on(async {
                        if n % 2 == 0 {
                            return aiofiles::read(path).await.unwrap();
                        }
                        let mut found = Vec::new();
                        File::open(path)
                            .await
                            .unwrap()
                            .read_to_end(&mut found)
                            .await
                            .unwrap();
                        found
                    })
                })
            })
            .collect();
        for job in jobs {
            assert_same_bytes(job.await, &bytes);
        }
    });
}

/// A write that returned was accepted, and one that was pending when its task was dropped was not.
#[test]
fn files_in_use_when_their_runtime_is_dropped_hold_what_they_accepted() {
    for first in DROPPABLE {
        for second in Kind::ALL {
            within_limit(&format!("{first}, then {second}"), move || {
                for _ in 0..iterations(3) {
                    drop_while_writing(first, second);
                }
            });
        }
    }
}

fn drop_while_writing(first: Kind, second: Kind) {
    let dir = temp_dir();
    let runtime = Runtime::new(first);
    let whole = Arc::new(numbered(1 << 20));
    let written: Vec<(PathBuf, Arc<AtomicUsize>)> = (0..4)
        .map(|n| {
            (
                dir.path().join(n.to_string()),
                Arc::new(AtomicUsize::new(0)),
            )
        })
        .collect();
    for (path, accepted) in written.clone() {
        let bytes = whole.clone();
        drop(runtime.handle().spawn(async move {
            let mut file = File::create(path).await.unwrap();
            loop {
                let so_far = accepted.load(Ordering::SeqCst);
                let len = file
                    .write(&bytes[so_far..(so_far + 5000).min(bytes.len())])
                    .await
                    .unwrap();
                accepted.fetch_add(len, Ordering::SeqCst);
                if len == 0 {
                    // All of it; the flush is what the drop of the runtime interrupts.
                    file.flush().await.unwrap();
                    poll_fn(|_| Poll::<()>::Pending).await;
                }
            }
        }));
    }
    let begun = written.clone();
    runtime.block_on(async move {
        while begun
            .iter()
            .any(|(_, accepted)| accepted.load(Ordering::SeqCst) < 20_000)
        {
            yield_now().await;
        }
    });
    drop(runtime);

    for (path, accepted) in written {
        let found = Runtime::new(second).block_on(aiofiles::read(path)).unwrap();
        assert_same_bytes(found, &whole[..accepted.load(Ordering::SeqCst)]);
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls the future once on a runtime of this kind, which is then dropped, and gives back what is left to await.
fn begun_on<T: Send + 'static>(
    kind: Kind,
    future: impl Future<Output = T> + Send + 'static,
) -> Boxed<T> {
    let begun = Runtime::new(kind).block_on(async move {
        let mut future: Boxed<T> = Box::pin(future);
        match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(future),
        }
    });
    begun.map_or_else(|pending| pending, |output| Box::pin(ready(output)))
}

#[test]
fn a_future_begun_on_one_runtime_ends_on_another() {
    for first in Kind::ALL {
        for second in Kind::ALL {
            within_limit(&format!("{first}, then {second}"), move || {
                let dir = temp_dir();
                let path = dir.path().join("file");
                let bytes = numbered(100_000);
                let runtime = Runtime::new(second);

                runtime
                    .block_on(begun_on(
                        first,
                        aiofiles::write(path.clone(), bytes.clone()),
                    ))
                    .unwrap();
                let found = runtime
                    .block_on(begun_on(first, aiofiles::read(path.clone())))
                    .unwrap();
                assert_same_bytes(found, &bytes);
                let metadata = runtime
                    .block_on(begun_on(first, aiofiles::metadata(path.clone())))
                    .unwrap();
                assert_eq!(metadata.len(), 100_000);
                let entries = begun_on(first, aiofiles::read_dir(PathBuf::from(dir.path())));
                let listed = runtime.block_on(async { entries.await.unwrap().count().await });
                assert_eq!(listed, 1);

                let mut file = runtime.block_on(begun_on(first, File::open(path))).unwrap();
                let read = begun_on(first, async move {
                    let mut found = Vec::new();
                    file.read_to_end(&mut found).await.unwrap();
                    (file, found)
                });
                let (mut file, found) = runtime.block_on(read);
                assert_same_bytes(found, &bytes);
                let seek = begun_on(first, async move { file.seek(SeekFrom::End(-10)).await });
                assert_eq!(runtime.block_on(seek).unwrap(), 99_990);
            });
        }
    }
}

#[test]
fn an_open_file_travels_through_every_runtime() {
    within_limit("every runtime in turn", || {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let bytes = numbered(Kind::ALL.len() * 3 * 10_000);
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        let mut file = block_on(options.open(&path)).unwrap();
        let mut begin = 0;
        for kind in [Kind::ALL, Kind::ALL, Kind::ALL].concat() {
            let expected = bytes[..begin + 10_000].to_vec();
            // Each runtime on a thread of its own, and gone before the next one begins.
            let turn = thread::spawn(move || {
                Runtime::new(kind).block_on(async move {
                    // The position came along too: it is where the runtime before wrote last.
                    assert_eq!(
                        file.stream_position().await.unwrap(),
                        begin as u64,
                        "under {kind}"
                    );
                    file.write_all(&expected[begin..]).await.unwrap();
                    file.seek(SeekFrom::Start(begin as u64 / 2)).await.unwrap();
                    let mut found = Vec::new();
                    file.read_to_end(&mut found).await.unwrap();
                    assert_same_bytes(found, &expected[begin / 2..]);
                    file
                })
            });
            file = turn.join().unwrap_or_else(|_| panic!("under {kind}"));
            begin += 10_000;
        }
        block_on(file.close()).unwrap();
        assert_same_bytes(fs::read(&path).unwrap(), bytes);
    });
}

/// The clones share one position, so the bytes of both tasks follow each other. Those of one are below 0x80.
#[test]
fn clones_in_two_tasks_write_all_their_bytes_in_their_own_order() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let file = File::create(&path).await.unwrap();
        let mut tasks = Vec::new();
        let mut sent = Vec::new();
        for high_bit in [0, 0x80] {
            let mut clone = file.try_clone().await.unwrap();
            let bytes: Vec<u8> = numbered(100_003)
                .into_iter()
                .map(|byte| byte & 0x7f | high_bit)
                .collect();
            sent.push(bytes.clone());
            tasks.push(rt.spawn(async move {
                for (n, piece) in bytes.chunks(700).enumerate() {
                    clone.write_all(piece).await.unwrap();
                    if n % 3 == 0 {
                        yield_now().await;
                    }
                }
                clone.flush().await.unwrap();
            }));
        }
        for task in tasks {
            task.await;
        }
        assert_eq!(file.stream_position().await.unwrap(), 2 * 100_003);
        let (high, low): (Vec<u8>, Vec<u8>) = fs::read(&path)
            .unwrap()
            .iter()
            .partition(|&&byte| byte >= 0x80);
        assert_same_bytes(low, &sent[0]);
        assert_same_bytes(high, &sent[1]);
    });
}

#[test]
fn clones_in_two_tasks_read_every_byte_once() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let bytes = numbered(200_000);
        fs::write(&path, &bytes).unwrap();
        let file = File::open(&path).await.unwrap();
        let mut tasks = Vec::new();
        for len in [1000, 1501] {
            let mut clone = file.try_clone().await.unwrap();
            tasks.push(rt.spawn(async move {
                let mut pieces: Vec<Vec<u8>> = Vec::new();
                loop {
                    let mut piece = vec![0; len];
                    match clone.read(&mut piece).await.unwrap() {
                        0 => return pieces,
                        read => piece.truncate(read),
                    }
                    pieces.push(piece);
                    yield_now().await;
                }
            }));
        }
        let mut pieces = Vec::new();
        for task in tasks {
            pieces.push(task.await.into_iter().peekable());
        }
        let mut at = 0;
        while at < bytes.len() {
            let next = pieces
                .iter_mut()
                .find_map(|pieces| pieces.next_if(|piece| bytes[at..].starts_with(piece)));
            at += next
                .unwrap_or_else(|| panic!("neither task read on from byte {at}"))
                .len();
        }
        assert!(
            pieces.iter_mut().all(|pieces| pieces.next().is_none()),
            "a byte was read twice"
        );
    });
}

/// Checks of the test tools that every other test relies on.
mod tools {
    use std::mem::take;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_names_the_runtime() {
        let failure = thread::spawn(|| {
            every_runtime(|rt| async move {
                assert_ne!(rt.kind(), Kind::TokioCurrent);
            });
        });
        let panic = failure
            .join()
            .expect_err("the assertion is false on one runtime");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(
            message.starts_with("under tokio on the current thread: assertion"),
            "{message}"
        );
    }

    #[test]
    fn a_panic_of_a_task_reaches_whoever_awaits_it() {
        for kind in Kind::ALL {
            let failure = thread::spawn(move || {
                let runtime = Runtime::new(kind);
                let handle = runtime.handle();
                runtime.block_on(async move { handle.spawn(async { panic!("of a task") }).await });
            });
            let panic = failure.join().expect_err("the task panics");
            assert_eq!(
                panic.downcast_ref::<&str>(),
                Some(&"of a task"),
                "under {kind}"
            );
        }
    }

    #[test]
    fn the_hostile_executor_brings_another_waker_from_another_thread_each_time() {
        let mut polls = Vec::new();
        let polls = hostile::block_on(7, async {
            poll_fn(move |cx| {
                polls.push((cx.waker().clone(), thread::current().id()));
                cx.waker().wake_by_ref();
                if polls.len() < 50 {
                    Poll::Pending
                } else {
                    Poll::Ready(take(&mut polls))
                }
            })
            .await
        });
        for pair in polls.windows(2) {
            assert!(!pair[0].0.will_wake(&pair[1].0));
            assert_ne!(pair[0].1, pair[1].1);
        }
    }

    /// The future is ready only once it is polled before it has woken anybody.
    #[test]
    fn the_hostile_executor_polls_unasked() {
        let unasked = poll_fn({
            let woken = Arc::new(AtomicBool::new(true));
            move |cx| {
                if !woken.swap(false, Ordering::SeqCst) {
                    return Poll::Ready(true);
                }
                let (woken, waker) = (woken.clone(), cx.waker().clone());
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(1));
                    woken.store(true, Ordering::SeqCst);
                    waker.wake();
                });
                Poll::Pending
            }
        });
        assert!(within_limit("the hostile executor", || hostile::block_on(
            7, unasked
        )));
    }

    #[test]
    fn futures_are_dropped_after_as_many_polls_as_asked() {
        every_runtime(|_| async {
            for asked in 0..5 {
                let polls = Arc::new(AtomicUsize::new(0));
                let counted = polls.clone();
                let pending = poll_fn(move |cx| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    cx.waker().wake_by_ref();
                    Poll::<()>::Pending
                });
                assert_eq!(poll_n(pending, asked).await, None);
                assert_eq!(polls.load(Ordering::SeqCst), asked);
                assert_eq!(Arc::strong_count(&polls), 1, "the future is gone");
            }
            assert_eq!(poll_once(ready(1)).await, Some(1));
            assert_eq!(poll_n(yield_now(), 1).await, None);
            assert_eq!(poll_n(yield_now(), 2).await, Some(()));
            assert_eq!(poll_now(std::pin::pin!(ready(1))), Poll::Ready(1));
        });
    }
}
