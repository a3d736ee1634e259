//! Rule 9: what takes a place in the order of a handle. (`allocate`, `punch_hole`, `copy_range` and `write_at` are not
//! there yet.)

use std::fs::FileTimes;
use std::io::SeekFrom;
use std::time::{Duration, SystemTime};

use aiofiles::File;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered, poll_once};

/// Begins a change and lets it go. On another thread it may be done at once.
async fn cut(change: impl Future<Output = io::Result<()>>) {
    if let Some(done) = poll_once(change).await {
        done.unwrap();
    }
}

/// Rule 9: `set_len` comes after the writes before it, and before the writes after it.
#[test]
fn set_len_stands_between_the_writes_around_it() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = read_write().open(&path).await.unwrap();
        for _ in 0..20 {
            file.write_all(&[b'a'; 100_000]).await.unwrap();
            file.set_len(10).await.unwrap();
            assert_eq!(on_disk(&path), [b'a'; 10]);
            file.write_all(b"b").await.unwrap();
            file.flush().await.unwrap();
            assert_same_bytes(
                on_disk(&path),
                [&[b'a'; 10][..], &[0; 99_990], b"b"].concat(),
            );
            file.seek(SeekFrom::Start(0)).await.unwrap();
        }
    });
}

/// Rule 9: later writes and reads wait for a `set_len` that was cancelled once it had begun.
#[test]
fn a_cancelled_set_len_keeps_its_place() {
    every_runtime(|_| async {
        for _ in 0..20 {
            let (_dir, path) = sample(numbered(100_000));
            let mut file = read_write().open(&path).await.unwrap();
            cut(file.set_len(50)).await;
            file.write_all(b"new").await.unwrap();
            file.flush().await.unwrap();
            assert_same_bytes(on_disk(&path), [b"new", &numbered(50)[3..]].concat());

            let (_dir, path) = sample(numbered(100_000));
            let mut file = read_write().open(&path).await.unwrap();
            file.read_exact(&mut [0; 10]).await.unwrap();
            cut(file.set_len(50)).await;
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).await.unwrap();
            assert_same_bytes(rest, &numbered(50)[10..]);

            cut(file.set_len(200)).await;
            assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), 200);
        }
    });
}

/// Rule 9: while a `set_len` runs, nothing of this handle or its clones passes it.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn nothing_passes_a_set_len_that_runs() {
    use aiofiles::testing::Call;

    use crate::support::poll_now;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(1000));
            let file = read_write().open(&path).await.unwrap();
            let mut clones = Vec::new();
            for _ in 0..5 {
                clones.push(file.try_clone().await.unwrap());
            }
            let gate = Held::new(faults, Call::SetLen, 0);
            assert!(poll_once(file.set_len(4)).await.is_none());
            until(|| gate.waiting() == 1).await;

            let [reader, writer, flusher, seeker, closer] = &mut clones[..] else {
                unreachable!()
            };
            let mut buf = [0; 10];
            let mut waiting: Vec<(&str, Boxed<'_, u64>)> = vec![
                (
                    "read",
                    Box::pin(async { reader.read(&mut buf).await.map(|n| n as u64) }),
                ),
                (
                    "write",
                    Box::pin(async { writer.write(b"w").await.map(|n| n as u64) }),
                ),
                (
                    "flush",
                    Box::pin(async { flusher.flush().await.map(|()| 0) }),
                ),
                ("seek", Box::pin(seeker.seek(SeekFrom::End(0)))),
                (
                    "close",
                    Box::pin(async { closer.close().await.map(|()| 0) }),
                ),
                (
                    "sync",
                    Box::pin(async { file.sync_all().await.map(|()| 0) }),
                ),
                (
                    "metadata",
                    Box::pin(async { file.metadata().await.map(|metadata| metadata.len()) }),
                ),
                (
                    "set_len",
                    Box::pin(async { file.set_len(3).await.map(|()| 0) }),
                ),
            ];
            for _ in 0..10 {
                for (name, future) in &mut waiting {
                    assert!(poll_now(Pin::new(future)).is_pending(), "{name}");
                }
                aiofiles::metadata(&path).await.unwrap();
            }
            assert_eq!(on_disk(&path).len(), 1000);
            gate.open();
            for (name, future) in waiting {
                future
                    .await
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        });
    });
}

/// Rule 9: `set_times` comes after the writes before it, which would change the times again.
#[test]
fn the_times_that_were_set_outlast_the_writes_before() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = File::create(&path).await.unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for _ in 0..20 {
            file.write_all(&[b'a'; 200_000]).await.unwrap();
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time))
                .await
                .unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), time);
            assert_eq!(std::fs::metadata(&path).unwrap().accessed().unwrap(), time);
            // One that was cancelled comes before the write after it.
            file.set_len(0).await.unwrap();
            cut(file.set_modified(time)).await;
            file.write_all(b"later").await.unwrap();
            file.flush().await.unwrap();
            assert_ne!(std::fs::metadata(&path).unwrap().modified().unwrap(), time);
        }
    });
}

/// Rules 9 and 10: the error of a cancelled change is what the next call returns, and that call does nothing else.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_cancelled_change_is_told_by_the_next_call() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        for jobs in [0, 1] {
            let (_dir, path) = sample(numbered(100));
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            faults.fail(Call::SetLen, 0, 1, code::EIO);
            {
                let mut setting = std::pin::pin!(file.set_len(0));
                begin(setting.as_mut());
                for _ in 0..jobs {
                    stepper.run_one();
                }
            }
            let error = drive(stepper, file.write(b"x")).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code::EIO));
            drive(stepper, file.flush()).unwrap();
            assert_same_bytes(on_disk(&path), numbered(100));
        }
    });
}

/// Rules 9 and 10: the same for a call that waits already, and is polled as soon as it is woken.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn the_error_of_a_cancelled_change_is_told_to_whoever_waited_for_it() {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    use aiofiles::testing::Call;

    type Flush = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    /// An executor that polls inside `wake`.
    struct Inline(Mutex<(Option<Flush>, Option<io::Result<()>>)>);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(self.clone());
            let mut task = self.0.lock().unwrap();
            if let Some(flush) = &mut task.0
                && let Poll::Ready(result) = flush.as_mut().poll(&mut Context::from_waker(&waker))
            {
                *task = (None, Some(result));
            }
        }
    }

    stepped(|stepper, faults| {
        let (_dir, path) = sample(numbered(100));
        let file = drive(stepper, read_write().open(&path)).unwrap();
        let mut clone = drive(stepper, file.try_clone()).unwrap();
        faults.fail(Call::SetLen, 0, 1, code::EIO);
        begin(std::pin::pin!(file.set_len(0)));
        let flush: Flush = Box::pin(async move { clone.flush().await });
        let task = Arc::new(Inline(Mutex::new((Some(flush), None))));
        Waker::from(task.clone()).wake();
        stepper.run_all();
        let told = task
            .0
            .lock()
            .unwrap()
            .1
            .take()
            .expect("the flush has ended");
        assert_eq!(
            told.map_err(|error| error.raw_os_error()),
            Err(Some(code::EIO))
        );
    });
}

/// Rule 9: a panic in a change lets those behind it go on.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn those_behind_a_change_that_panics_go_on() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let (_dir, path) = sample(numbered(100));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        faults.panic(Call::SetLen, 0, 2);
        catch_unwind(AssertUnwindSafe(|| drive(stepper, file.set_len(0)))).unwrap_err();
        begin(std::pin::pin!(file.set_len(0)));
        drive(stepper, file.write_all(b"behind")).unwrap();
        drive(stepper, file.flush()).unwrap();
        assert_same_bytes(on_disk(&path), [b"behind", &numbered(100)[6..]].concat());
        assert_eq!(faults.struck(), 2);
    });
}
