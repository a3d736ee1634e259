//! `src/backend/pool.rs`: the queue, and drainers that begin, linger and leave.

use std::future::{Future as _, poll_fn};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use aiofiles::testing::{Call, Faults};
use aiofiles::{Work, set_max_concurrent_operations, with_executor};
use futures_lite::future::zip;

use crate::{block_on, file, one_of, perhaps, schedules, thread};

#[test]
fn no_operation_is_left_in_the_queue() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (file, mut look) = file();
        look.write_all(b"12345678").unwrap();
        let file = Arc::new(file);
        let threads = [(); 3].map(|()| {
            let file = file.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    if let Some((read, buf)) = perhaps(file.read_at(vec![0; 4], 2)) {
                        assert_eq!((read.unwrap(), &buf[..]), (4, &b"3456"[..]));
                    }
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Tasks that are woken some at a time are all woken.
#[test]
fn everybody_is_woken_by_a_queue_of_many() {
    schedules(1000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (file, mut look) = file();
        look.write_all(b"12345678").unwrap();
        let file = Arc::new(file);
        block_on(file.metadata()).unwrap();
        let threads = [(); 2].map(|()| {
            let file = file.clone();
            thread::spawn(move || {
                let read = |offset| file.read_at(vec![0; 1], offset);
                let ((a, b), (c, d)) = block_on(zip(
                    zip(zip(read(0), read(1)), zip(read(2), read(3))),
                    zip(zip(read(4), read(5)), zip(read(6), read(7))),
                ));
                for (result, _) in [a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1] {
                    assert_eq!(result.unwrap(), 1);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Those that are to be woken some at a time do not wait for a job that waits for them.
#[test]
fn nobody_waits_behind_a_job_that_is_stuck() {
    schedules(500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (file, mut look) = file();
        look.write_all(b"12345678").unwrap();
        block_on(file.stream_position()).unwrap();
        let begin = || {
            let mut asked = Box::pin(file.metadata());
            match crate::poll_now(asked.as_mut()) {
                Poll::Ready(answer) => {
                    assert_eq!(answer.unwrap().len(), 8);
                    None
                }
                Poll::Pending => Some(asked),
            }
        };
        // Tasks only wait for more as long as operations are cheap, so many cheap ones come first.
        let cheap = (0..30).map(|_| begin()).collect::<Vec<_>>();
        for asked in cheap.into_iter().flatten() {
            assert_eq!(block_on(asked).unwrap().len(), 8);
        }
        let faults = Faults::install();
        let gate = faults.stall(Call::Metadata, 1 + one_of(3), 1);
        let mut begun = (0..8).map(|_| begin()).collect::<Vec<_>>();
        // As soon as one of them is done, whichever it is, the one that is stuck may go on.
        while begun.iter().any(Option::is_some) {
            if begun.iter().any(Option::is_none) {
                gate.open();
            }
            block_on(poll_fn(|cx| {
                for place in &mut begun {
                    if let Some(asked) = place
                        && let Poll::Ready(answer) = asked.as_mut().poll(cx)
                    {
                        assert_eq!(answer.unwrap().len(), 8);
                        *place = None;
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            }));
        }
        gate.open();
    });
}

/// As long as one device is stuck, another is served, and what was set aside is done in the end.
#[test]
fn a_device_that_is_stuck_hurts_itself_alone() {
    let stuck = rustix::fs::memfd_create("stuck", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let stuck = std::fs::File::from(stuck);
    let other = tempfile::tempfile().unwrap();
    if stuck.metadata().unwrap().dev() == other.metadata().unwrap().dev() {
        eprintln!("skipped: needs a temporary directory that is not in memory");
        return;
    }
    schedules(1000, move || {
        let limit = 2 + one_of(2);
        set_max_concurrent_operations(limit);
        let device = |file: &std::fs::File| aiofiles::File::from(file.try_clone().unwrap());
        let (stuck, other) = (Arc::new(device(&stuck)), device(&other));
        // Which device it is on is not known before.
        block_on(stuck.stream_position()).unwrap();
        block_on(other.stream_position()).unwrap();

        let faults = Faults::install();
        let gate = faults.stall(Call::Read, 0, usize::MAX);
        let begun = [(); 4].map(|()| {
            let stuck = stuck.clone();
            let mut read = Box::pin(async move { stuck.read_at(vec![0; 1], 0).await.0 });
            assert!(crate::poll_now(read.as_mut()).is_pending());
            read
        });
        drop(faults);
        let there = thread::spawn(move || {
            for _ in 0..2 {
                assert_eq!(block_on(other.read_at(vec![0; 1], 0)).0.unwrap(), 0);
            }
        });
        there.join().unwrap();
        gate.open();
        let dropped = one_of(5);
        for (index, read) in begun.into_iter().enumerate() {
            if index != dropped {
                assert_eq!(block_on(read).unwrap(), 0);
            }
        }
    });
}

/// A pool of the user's own does the work, or drops it, at some time.
#[test]
fn what_a_pool_of_the_users_drops_is_done_elsewhere() {
    schedules(1500, || {
        set_max_concurrent_operations(64);
        let (file, look) = file();
        let executor = |work: Work| {
            let keep = one_of(3) > 0;
            thread::spawn(move || {
                if keep {
                    work.run();
                } else {
                    drop(work);
                }
            });
        };
        let done = Arc::new(AtomicUsize::new(0));
        let file = Arc::new(file);
        let threads = [(); 2].map(|()| {
            let (file, done) = (file.clone(), done.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let done = done.clone();
                    block_on(with_executor(
                        executor,
                        aiofiles::unblock(move || done.fetch_add(1, Ordering::Relaxed)),
                    ));
                    block_on(file.metadata()).unwrap();
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), 6);
        drop(look);
    });
}
