//! Rules 8 and 9: what operations at offsets have to do with the position, with `flush` and its like, and with errors.

use std::io::{ErrorKind, SeekFrom};

use aiofiles::{File, IoBuf as _};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, numbered};

/// They neither use nor move the position, and see what was accepted once it was flushed.
#[test]
fn operations_at_offsets_leave_the_position_and_see_what_was_flushed() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = read_write().open(&path).await.unwrap();
        file.seek(SeekFrom::Start(50)).await.unwrap();
        let (result, found) = file.read_exact_at(vec![0; 100].slice(..), 5000).await;
        result.unwrap();
        assert_same_bytes(&found, &bytes[5000..5100]);
        assert_eq!(file.write_at(b"new", 60).await.0.unwrap(), 3);
        assert_eq!(file.stream_position().await.unwrap(), 50);

        file.write_all(b"accepted").await.unwrap();
        file.flush().await.unwrap();
        let (result, found) = file.read_at(Vec::with_capacity(13), 50).await;
        assert_eq!(result.unwrap(), 13);
        assert_eq!(found[..8], *b"accepted");
        assert_eq!(found[10..], *b"new");
        assert_eq!(file.stream_position().await.unwrap(), 58);
    });
}

/// Rule 8: a reader that has read ahead finds what a completed write at an offset has written, also one of a cursor.
#[test]
fn what_was_read_ahead_is_not_what_a_write_at_an_offset_has_replaced() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(50_000));
        let mut file = read_write().open(&path).await.unwrap();
        let cursor = file.cursor(0).unwrap();
        for (round, writer) in [(1, false), (2, true)] {
            let mut start = [0; 10];
            file.seek(SeekFrom::Start(0)).await.unwrap();
            file.read_exact(&mut start).await.unwrap();
            let content = vec![round; 20];
            let write = async |file: &File, bytes: Vec<u8>, offset| {
                let written: &File = if writer { &cursor } else { file };
                written.write_all_at(bytes, offset).await.0.unwrap();
            };
            write(&file, content.clone(), 10).await;
            let mut found = vec![0; 20];
            file.read_exact(&mut found).await.unwrap();
            assert_eq!(found, content);

            // Nor what was lent.
            assert_ne!(filled(&mut file).await.unwrap()[..5], [7; 5]);
            write(&file, vec![7; 5], 30).await;
            assert_eq!(filled(&mut file).await.unwrap()[..5], [7; 5]);
            assert_eq!(filled(&mut file).await.unwrap()[..5], [7; 5]);
            write(&file, vec![0; 5], 30).await;
        }
    });
}

/// In append mode the offset means nothing, as on Linux.
#[cfg(target_os = "linux")]
#[test]
fn in_append_mode_the_system_appends() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let file = read_append().open(&path).await.unwrap();
        assert_eq!(file.write_at("abc", 2).await.0.unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789abc");
        assert_eq!(file.read_at(vec![0; 2], 2).await.1, b"23");
    });
}

/// Buffers come back with every error, and hold what they held.
#[test]
fn buffers_come_back_with_errors() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let content = b"content".to_vec();

        let read_only = File::open(&path).await.unwrap();
        let (result, buf) = read_only.write_at(content.clone(), 0).await;
        assert!(result.is_err());
        assert_eq!(buf, content);

        let write_only = File::create(dir.path().join("other")).await.unwrap();
        let (result, buf) = write_only.read_at(content.clone(), 0).await;
        assert!(result.is_err());
        assert_eq!(buf, content);

        // Nothing has no offsets beyond the largest, and nothing can be written at that.
        for offset in [u64::MAX, i64::MAX as u64 + 1] {
            let (result, buf) = read_only.read_at(content.clone(), offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(buf, content);
            let (result, _) = write_only.write_all_at(content.clone(), offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let (result, _) = write_only.write_at("x", i64::MAX as u64).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::FileTooLarge);
        let (result, buf) = read_only.read_at(content.clone(), i64::MAX as u64).await;
        assert_eq!((result.unwrap(), buf), (0, Vec::new()));

        // What there was is kept, and told.
        let (result, buf) = read_only.read_exact_at(Vec::with_capacity(20), 4).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(buf, b"456789");

        let mut closed = File::open(&path).await.unwrap();
        closed.close().await.unwrap();
        let (result, buf) = closed.read_at(content.clone(), 0).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(buf, content);
        let (result, _) = closed.write_vectored_at(vec!["a", "b"], 0).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(closed.cursor(0).is_err());

        let directory = File::open(dir.path()).await.unwrap();
        assert!(directory.read_at(content.clone(), 0).await.0.is_err());
    });
}

#[cfg(all(unix, feature = "testing"))]
mod steps {
    use std::pin::pin;

    use aiofiles::raw_os_error;
    use aiofiles::testing::Call;
    use rustix::io::Errno;

    use super::*;
    use crate::contract::{begin, drive, stepped};
    use crate::support::poll_now;

    const ENOSPC: i32 = Errno::NOSPC.raw_os_error();

    /// Rule 9: `flush` and its like wait for what was begun before, also if it was cancelled.
    #[test]
    fn flush_and_its_like_wait_for_writes_at_offsets() {
        for (cancelled, what) in (0..10).map(|n| (n % 2 == 0, n / 2)) {
            stepped(move |stepper, _| {
                let (_dir, path) = sample("");
                let mut file = drive(stepper, read_write().open(&path)).unwrap();
                let writer = drive(stepper, file.try_clone()).unwrap();
                let mut write = Box::pin(writer.write_all_at("content", 3));
                begin(write.as_mut());
                let write = (!cancelled).then_some(write);
                {
                    let mut waiting: Pin<Box<dyn Future<Output = io::Result<()>>>> = match what {
                        0 => Box::pin(file.flush()),
                        1 => Box::pin(file.sync_all()),
                        2 => Box::pin(file.sync_data()),
                        3 => Box::pin(file.set_len(20)),
                        _ => Box::pin(file.close()),
                    };
                    assert!(poll_now(Pin::new(&mut waiting)).is_pending());
                    // Only closing goes on by itself.
                    let others = usize::from(what == 4);
                    assert_eq!(stepper.waiting(), 1 + others, "{what}");
                    assert_eq!(std::fs::read(&path).unwrap(), b"");
                    drive(stepper, waiting).unwrap();
                }
                assert_eq!(std::fs::read(&path).unwrap()[..10], *b"\0\0\0content");
                drop(write);
            });
        }
    }

    /// Rule 9: they return the error of one that was cancelled, once; that of one that was not goes to its caller.
    #[test]
    fn errors_of_cancelled_writes_at_offsets_are_told() {
        for (cancelled, what) in (0..10).map(|n| (n % 2 == 0, n / 2)) {
            stepped(move |stepper, faults| {
                let (_dir, path) = sample("");
                let mut file = drive(stepper, read_write().open(&path)).unwrap();
                let writer = drive(stepper, file.try_clone()).unwrap();
                faults.fail(Call::Write, 0, 1, ENOSPC);
                let mut write = Box::pin(writer.write_at("content", 3));
                begin(write.as_mut());
                if cancelled {
                    drop(write);
                    stepper.run_all();
                } else {
                    let (result, buf) = drive(stepper, write);
                    assert_eq!(raw_os_error(&result.unwrap_err()), Some(ENOSPC));
                    assert_eq!(buf, "content");
                }
                let told = match what {
                    0 => drive(stepper, file.flush()),
                    1 => drive(stepper, file.sync_all()),
                    2 => drive(stepper, file.set_len(20)),
                    3 => drive(stepper, file.write(b"x")).map(drop),
                    _ => drive(stepper, file.close()),
                };
                if cancelled {
                    assert_eq!(raw_os_error(&told.unwrap_err()), Some(ENOSPC), "{what}");
                    if what != 4 {
                        drive(stepper, file.flush()).unwrap();
                    }
                } else {
                    told.unwrap();
                }
            });
        }
    }

    /// Every one of many that were cancelled is told.
    #[test]
    fn no_error_of_many_cancelled_writes_is_forgotten() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            faults.fail(Call::Write, 0, 5, ENOSPC);
            for offset in 0..10 {
                begin(pin!(file.write_at("x", offset)));
            }
            stepper.run_all();
            for _ in 0..5 {
                let told = drive(stepper, file.flush()).unwrap_err();
                assert_eq!(raw_os_error(&told), Some(ENOSPC));
            }
            drive(stepper, file.flush()).unwrap();
        });
    }

    /// While somebody waits, no further write begins, or the wait might never end; one that was cancelled holds nobody up.
    #[test]
    fn writes_that_come_during_a_flush_begin_after_those_it_waits_for() {
        stepped(|stepper, _| {
            let (_dir, path) = sample("");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            let writer = drive(stepper, file.try_clone()).unwrap();
            for flushed in [true, false] {
                let mut first = pin!(writer.write_at("1", 0));
                begin(first.as_mut());
                let mut flush = Box::pin(file.flush());
                begin(flush.as_mut());
                let mut second = pin!(writer.write_at("2", 1));
                begin(second.as_mut());
                assert_eq!(stepper.waiting(), 1, "the second has to wait");
                if flushed {
                    drive(stepper, flush).unwrap();
                } else {
                    drop(flush);
                }
                assert_eq!(drive(stepper, second.as_mut()).0.unwrap(), 1);
                assert_eq!(drive(stepper, first.as_mut()).0.unwrap(), 1);
            }
        });
    }

    /// A write that panics is none that anybody has to wait for.
    #[test]
    fn a_panic_in_a_write_at_an_offset_reaches_its_caller_and_leaves_the_file_usable() {
        use std::panic::{AssertUnwindSafe, catch_unwind};

        stepped(|stepper, faults| {
            let (_dir, path) = sample("0123");
            let mut file = drive(stepper, read_write().open(&path)).unwrap();
            faults.panic(Call::Write, 0, 1);
            let write = AssertUnwindSafe(|| drive(stepper, file.write_at("x", 0)));
            assert!(catch_unwind(write).is_err());
            drive(stepper, file.flush()).unwrap();
            assert_eq!(drive(stepper, file.write_at("x", 0)).0.unwrap(), 1);
            faults.panic(Call::Read, 0, 1);
            let read = AssertUnwindSafe(|| drive(stepper, file.read_at(vec![0; 4], 0)));
            assert!(catch_unwind(read).is_err());
            assert_eq!(drive(stepper, file.read_at(vec![0; 4], 0)).1, b"x123");
        });
    }

    /// What comes short goes on within the same dispatch.
    #[test]
    fn exact_and_all_go_on_after_short_calls_in_one_dispatch() {
        stepped(|stepper, faults| {
            let (_dir, path) = sample("");
            let file = drive(stepper, read_write().open(&path)).unwrap();
            let bytes = numbered(1000);
            faults.short(Call::Write, 0, usize::MAX, 7);
            faults.short(Call::Read, 0, usize::MAX, 11);
            let mut write = pin!(file.write_all_at(bytes.clone(), 5));
            begin(write.as_mut());
            assert_eq!(stepper.run_all(), 1);
            assert!(poll_now(write).is_ready());
            for exact in [true, false] {
                let mut read = Box::pin(async {
                    if exact {
                        file.read_exact_at(Vec::with_capacity(1000), 5).await.1
                    } else {
                        file.read_to_end_at(Vec::new(), 5).await.1
                    }
                });
                begin(read.as_mut());
                assert_eq!(stepper.run_all(), 1);
                match poll_now(read.as_mut()) {
                    Poll::Ready(found) => assert_same_bytes(&found, &bytes),
                    Poll::Pending => panic!("its job ran"),
                }
            }
            let mut vectored = pin!(file.read_vectored_at(vec![vec![0; 8], vec![0; 8]], 5));
            begin(vectored.as_mut());
            stepper.run_all();
            match poll_now(vectored) {
                Poll::Ready((result, bufs)) => {
                    let n = result.unwrap();
                    assert!((1..=11).contains(&n), "{n}");
                    assert_same_bytes(bufs.concat(), &bytes[..n]);
                }
                Poll::Pending => panic!("its job ran"),
            }
        });
    }
}
