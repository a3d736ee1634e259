//! Rule 18: no task keeps its executor to itself.

use std::io::SeekFrom;
use std::task::{Context, Waker};

use aiofiles::{File, OpenOptions};
use futures_lite::future::block_on;
use futures_lite::io::{AsyncSeek as _, AsyncWrite as _};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{CountingWaker, alone, numbered, poll_once, within_limit};

/// So many ready answers in a row are allowed.
const IN_A_ROW: usize = 128;

/// No poll copies more than this.
const INLINE: usize = 256 * 1024;

/// Polls again and again, as a loop in a task does: at least one poll in so many is pending, and wakes at once.
fn yields(what: &str, mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let count = CountingWaker::new();
    let waker = count.waker();
    let mut cx = Context::from_waker(&waker);
    let mut in_a_row = 0;
    let mut yields = 0;
    for _ in 0..2000 {
        let before = count.wakes();
        match poll(&mut cx) {
            Poll::Ready(()) => {
                in_a_row += 1;
                assert!(
                    in_a_row <= IN_A_ROW,
                    "{what}: {in_a_row} ready answers in a row"
                );
            }
            Poll::Pending => {
                in_a_row = 0;
                if count.wakes() > before {
                    // It yielded; the poll after that is never pending for the same reason.
                    yields += 1;
                    let again = count.wakes();
                    match poll(&mut cx) {
                        Poll::Ready(()) => in_a_row = 1,
                        Poll::Pending => {
                            assert_eq!(count.wakes(), again, "{what}: yielded twice");
                        }
                    }
                }
                // It waits for a job otherwise.
                wait_until("the task is woken", || count.wakes() > before);
            }
        }
    }
    assert!(yields > 0, "{what}: never yielded");
}

/// Rule 18: after 128 ready answers in a row a task yields once.
#[test]
fn a_task_yields_after_128_ready_answers() {
    within_limit("yields", || {
        let (_dir, path) = sample(numbered(1 << 20));
        let mut file = block_on(read_write().open(&path)).unwrap();
        let mut file = Pin::new(&mut file);
        yields("read", |cx| {
            file.as_mut()
                .poll_read(cx, &mut [0])
                .map(|n| assert_eq!(n.unwrap(), 1))
        });
        yields("fill_buf and consume", |cx| {
            let filled = file
                .as_mut()
                .poll_fill_buf(cx)
                .map(|filled| assert!(!filled.unwrap().is_empty()));
            if filled.is_ready() {
                file.as_mut().consume(1);
            }
            filled
        });
        yields("seek", |cx| {
            file.as_mut()
                .poll_seek(cx, SeekFrom::Current(0))
                .map(|at| assert!(at.unwrap() < 1 << 20))
        });
        yields("write", |cx| {
            file.as_mut()
                .poll_write(cx, b"x")
                .map(|n| assert_eq!(n.unwrap(), 1))
        });
        yields("flush", |cx| {
            file.as_mut().poll_flush(cx).map(Result::unwrap)
        });
    });
}

/// Rule 18: the calls by `&self` that need not wait yield too.
#[test]
fn a_task_that_asks_again_and_again_yields() {
    within_limit("yields", || {
        let (_dir, path) = sample("content");
        let file = block_on(read_write().open(&path)).unwrap();
        yields("stream_position", |cx| {
            std::pin::pin!(file.stream_position())
                .poll(cx)
                .map(|at| assert!(at.unwrap() < 1 << 20))
        });
        yields("try_clone", |cx| {
            std::pin::pin!(file.try_clone())
                .poll(cx)
                .map(|clone| drop(clone.unwrap()))
        });
    });
}

/// Rule 18: the first poll after one that waited never yields, even if the other half of a split file was polled since.
#[test]
fn the_poll_after_a_pending_one_never_yields() {
    within_limit("yields", || {
        let (_dir, path) = sample(numbered(1 << 20));
        let mut file = block_on(read_write().open(&path)).unwrap();
        let mut other = block_on(read_write().open(&path)).unwrap();
        block_on(other.read_exact(&mut [0])).unwrap();
        let (mut file, mut other) = (Pin::new(&mut file), Pin::new(&mut other));
        for _ in 0..20 {
            // Make it wait, for the end is always asked.
            let count = CountingWaker::new();
            let waker = count.waker();
            let mut cx = Context::from_waker(&waker);
            let to = SeekFrom::End(0);
            let mut polled = file.as_mut().poll_seek(&mut cx, to);
            if polled.is_pending() && count.wakes() > 0 {
                polled = file.as_mut().poll_seek(&mut cx, to);
            }
            // Meanwhile many ready answers of another file, up to the limit of the thread.
            let mut ignored = Context::from_waker(Waker::noop());
            while other
                .as_mut()
                .poll_seek(&mut ignored, SeekFrom::Start(0))
                .is_ready()
            {}
            for _ in 0..IN_A_ROW - 1 {
                let _ = other.as_mut().poll_seek(&mut ignored, SeekFrom::Start(0));
            }
            if polled.is_pending() {
                wait_until("the seek is woken", || count.wakes() > 0);
                assert!(file.as_mut().poll_seek(&mut cx, to).is_ready());
            }
        }
    });
}

/// Rule 18: no poll moves more than 256 KiB, however large the buffers of both sides are.
#[test]
fn no_poll_copies_more_than_256_kib() {
    alone(|| {
        block_on(async {
            let bytes = numbered(8 << 20);
            let (_dir, path) = sample(&bytes);
            for unbuffered in [false, true] {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .unbuffered(unbuffered)
                    .buffer_size(2 << 20);
                let mut file = options.open(&path).await.unwrap();
                let mut buf = vec![0; 4 << 20];
                let mut most = 0;
                for _ in 0..20 {
                    let n = file.read(&mut buf).await.unwrap();
                    most = most.max(n);
                    // Let the blocks gather ahead.
                    aiofiles::metadata(&path).await.unwrap();
                }
                assert!(most <= INLINE, "read {most} bytes in one poll");
                let slices = &mut [io::IoSliceMut::new(&mut buf)];
                assert!(file.read_vectored(slices).await.unwrap() <= INLINE);
                for _ in 0..20 {
                    let n = file.write(&bytes).await.unwrap();
                    assert!(n <= INLINE, "wrote {n} bytes in one poll");
                }
                let slices = &[io::IoSlice::new(&bytes), io::IoSlice::new(&bytes)];
                assert!(file.write_vectored(slices).await.unwrap() <= INLINE);
                file.flush().await.unwrap();
            }
        });
    });
}

/// Rule 18: beside a task that reads what is there already, another task of the same thread gets its turns.
#[test]
fn a_busy_reader_leaves_turns_to_others_on_its_thread() {
    crate::support::on_runtimes(
        &[
            crate::support::Kind::SmolOne,
            crate::support::Kind::TokioCurrent,
        ],
        |rt| async move {
            use std::sync::Arc;
            use std::sync::atomic::{AtomicUsize, Ordering};

            let (_dir, path) = sample(numbered(100_000));
            let turns = Arc::new(AtomicUsize::new(0));
            let stop = Arc::new(AtomicUsize::new(0));
            let other = rt.spawn({
                let (turns, stop) = (turns.clone(), stop.clone());
                async move {
                    while stop.load(Ordering::SeqCst) == 0 {
                        turns.fetch_add(1, Ordering::SeqCst);
                        futures_lite::future::yield_now().await;
                    }
                }
            });
            let mut file = File::open(&path).await.unwrap();
            let mut reads = 0;
            while file.read(&mut [0]).await.unwrap() > 0 {
                reads += 1;
            }
            let turns = turns.load(Ordering::SeqCst);
            stop.store(1, Ordering::SeqCst);
            other.await;
            assert!(
                turns >= reads / IN_A_ROW,
                "{turns} turns beside {reads} reads"
            );
            let _ = poll_once(file.seek_to_start()).await;
        },
    );
}

trait SeekToStart {
    async fn seek_to_start(&mut self) -> io::Result<u64>;
}

impl SeekToStart for File {
    async fn seek_to_start(&mut self) -> io::Result<u64> {
        futures_lite::AsyncSeekExt::seek(self, SeekFrom::Start(0)).await
    }
}
