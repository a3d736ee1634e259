//! Rule 19: the backend is visible.

use std::process::Command;

use aiofiles::{BackendKind, File};
use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::{alone, every_runtime, numbered};

/// Rule 19: `backend()` tells which one runs, and why.
#[test]
fn a_build_without_another_backend_runs_on_the_pool_and_says_why() {
    every_runtime(|_| async {
        let backend = aiofiles::backend();
        if !cfg!(feature = "uring") {
            assert_eq!(backend.kind(), BackendKind::Pool);
        }
        assert!(!backend.reason().is_empty());
        let debug = format!("{:?}", backend.clone());
        assert!(debug.contains(&format!("{:?}", backend.kind())), "{debug}");
        assert!(debug.contains("operations"), "{debug}");
    });
}

/// Rule 19: the counters count operations, and the jobs that carry them.
#[test]
fn the_counters_tell_what_was_done() {
    alone(|| {
        block_on(async {
            let before = aiofiles::backend();
            assert_eq!((before.operations(), before.jobs()), (0, 0));
            assert_eq!(
                (before.queued(), before.running(), before.drainers()),
                (0, 0, 0)
            );
            assert_eq!((before.pending_closes(), before.buffered()), (0, 0));

            let (_dir, path) = sample("content");
            aiofiles::metadata(&path).await.unwrap();
            let after = aiofiles::backend();
            assert_eq!(after.operations(), 1);
            assert_eq!(after.jobs(), 1);
            // A snapshot stays what it was.
            aiofiles::metadata(&path).await.unwrap();
            assert_eq!(after.operations(), 1);
            until(|| aiofiles::backend().drainers() == 0).await;
            assert_eq!(aiofiles::backend().running(), 0);
        });
    });
}

/// Rule 19, and what a hop costs: each of these takes one trip to the pool and no more.
#[test]
fn each_operation_is_one_hop() {
    alone(|| {
        block_on(async {
            let (dir, path) = sample(numbered(100_000));
            let operations = || aiofiles::backend().operations();
            let mut last = operations();
            let mut hops = |what: &str, most: u64| {
                let now = operations();
                assert!(now - last <= most, "{what}: {} hops", now - last);
                last = now;
            };
            let mut file = read_write().open(&path).await.unwrap();
            hops("open", 1);
            file.read_exact(&mut [0; 100]).await.unwrap();
            hops("the first read", 1);
            for _ in 0..80 {
                file.read_exact(&mut [0; 100]).await.unwrap();
            }
            hops("80 reads out of what is there", 0);
            file.seek(io::SeekFrom::Start(50_000)).await.unwrap();
            hops("seek", 0);
            file.read_exact(&mut [0; 4000]).await.unwrap();
            hops("a read elsewhere", 1);
            assert_eq!(file.stream_position().await.unwrap(), 54_000);
            hops("stream_position", 0);
            file.write_all(b"x").await.unwrap();
            file.flush().await.unwrap();
            hops("write and flush", 1);
            file.metadata().await.unwrap();
            hops("metadata", 1);
            file.sync_data().await.unwrap();
            hops("sync_data", 1);
            file.set_len(100).await.unwrap();
            hops("set_len", 1);
            drop(file.try_clone().await.unwrap());
            hops("try_clone", 0);
            aiofiles::write(dir.path().join("other"), "content")
                .await
                .unwrap();
            hops("write of a small file", 1);
            aiofiles::read(&path).await.unwrap();
            hops("read of a file", 1);
            aiofiles::copy(&path, dir.path().join("copy"))
                .await
                .unwrap();
            hops("copy", 1);
            let mut foreign = File::from(std::fs::File::open(&path).unwrap());
            foreign.read_exact(&mut [0; 10]).await.unwrap();
            hops("the first read of a foreign file", 2);
        });
    });
}

/// Rule 19: one job serves many operations, where there are many.
#[test]
fn many_operations_share_a_few_jobs() {
    alone(|| {
        block_on(async {
            let (_dir, path) = sample("content");
            let mut waiting: Vec<_> = (0..1000)
                .map(|_| Box::pin(aiofiles::metadata(&path)))
                .collect();
            for asking in &mut waiting {
                let _ = poll_once(asking).await;
            }
            for asking in waiting {
                // Those that were ready at their first poll must not be polled again; most were not.
                drop(asking);
            }
            until(|| {
                let backend = aiofiles::backend();
                backend.queued() == 0 && backend.running() == 0
            })
            .await;
            let backend = aiofiles::backend();
            assert_eq!(backend.operations(), 1000);
            assert!(backend.jobs() < 300, "{} jobs", backend.jobs());
        });
    });
}

/// Rule 19, and what the counters are for: operations that are stuck in the kernel do not stop others, even when every
/// thread is preempted at the worst moments.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn operations_go_on_beside_stuck_ones_on_a_busy_machine() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use aiofiles::testing::{Call, Faults};

    alone(|| {
        let (dir, path) = sample("content");
        // As many as there are processors, so that no drainer is left; and threads that take the processors away.
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let faults = Faults::install();
        let gates: Vec<_> = (0..processors.max(2))
            .map(|n| {
                faults.clear();
                let gate = Held::new(&faults, Call::Write, 0);
                block_on(async {
                    let mut file = File::create(dir.path().join(n.to_string())).await.unwrap();
                    file.write_all(b"stuck").await.unwrap();
                });
                wait_until("the write is stuck", || gate.waiting() == 1);
                gate
            })
            .collect();
        drop(faults);
        assert!(aiofiles::backend().drainers() >= gates.len());
        assert!(aiofiles::backend().running() >= gates.len());

        let stop = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..processors * 3)
            .map(|_| {
                let stop = stop.clone();
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || {
                    for _ in 0..crate::support::iterations(150) {
                        block_on(aiofiles::metadata(&path)).unwrap();
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for thread in busy {
            thread.join().unwrap();
        }
        drop(gates);
    });
}

/// Operations of one device leave room for those of another, and come back when it is their turn, whatever the bound.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn one_device_does_not_take_every_thread_and_what_waits_for_it_is_not_forgotten() {
    use aiofiles::testing::{Call, Faults};

    alone(|| {
        for limit in [2, 4, 8, 64] {
            aiofiles::set_max_concurrent_operations(limit);
            let (_dir, path) = sample("content");
            let faults = Faults::install();
            let gate = Held::all(&faults, Call::Metadata);
            let slow: Vec<_> = (0..limit * 3)
                .map(|_| {
                    let mut asking = Box::pin(aiofiles::metadata(&path));
                    assert!(block_on(poll_once(&mut asking)).is_none());
                    asking
                })
                .collect();
            drop(faults);
            wait_until("half of the threads are stuck", || {
                gate.waiting() >= limit / 2
            });
            for _ in 0..10 {
                let other = block_on(aiofiles::read("/proc/self/status")).unwrap();
                assert!(!other.is_empty());
                assert!(gate.waiting() < limit, "{} of {limit}", gate.waiting());
            }
            gate.open();
            for asking in slow {
                assert_eq!(block_on(asking).unwrap().len(), 7, "limit {limit}");
            }
            wait_until("nothing is left", || {
                let backend = aiofiles::backend();
                (backend.queued(), backend.running(), backend.drainers()) == (0, 0, 0)
            });
        }
    });
}

/// What was set aside comes back although the device is held by so few by then that nobody looks at devices any more.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn operations_that_were_set_aside_come_back_when_few_are_left() {
    use aiofiles::testing::{Call, Faults};

    alone(|| {
        let (_dir, path) = sample("content");
        let faults = Faults::install();
        let ask = || {
            faults.clear();
            let gate = Held::new(&faults, Call::Metadata, 0);
            let mut asking = Box::pin(aiofiles::metadata(&path));
            assert!(block_on(poll_once(&mut asking)).is_none());
            (gate, asking)
        };
        // Of 64, so that some begin before anybody looks at devices.
        let mut slow = Vec::new();
        while slow.len() < 12 {
            slow.push(ask());
            wait_until("it is stuck", || slow.last().unwrap().0.waiting() == 1);
        }
        // From now on there may be fewer, so all further ones are set aside by the first drainers that are let go.
        aiofiles::set_max_concurrent_operations(4);
        let others: Vec<_> = (0..20).map(|_| ask()).collect();
        for (gate, _) in &others {
            gate.open();
        }
        for (gate, _) in &slow[..4] {
            gate.open();
        }
        wait_until("they were set aside", || {
            aiofiles::backend().drainers() == 8
        });
        assert_eq!(aiofiles::backend().queued(), 20);
        for (gate, asking) in slow {
            gate.open();
            block_on(asking).unwrap();
        }
        for (_, asking) in others {
            assert_eq!(block_on(asking).unwrap().len(), 7);
        }
    });
}

/// The same when no descriptor is left, not even for the reactor, whose timer would look after stuck calls.
#[cfg(all(target_os = "linux", feature = "testing"))]
#[test]
fn operations_go_on_beside_stuck_ones_without_a_descriptor_for_the_reactor() {
    use aiofiles::testing::{Call, Faults};
    use rustix::process::{Resource, Rlimit, setrlimit};

    use crate::support::all_fd_count;

    alone(|| {
        let (_dir, path) = sample("content");
        let faults = Faults::install();
        block_on(async {
            let mut file = read_write().open(&path).await.unwrap();
            let gate = Held::new(&faults, Call::Write, 0);
            file.write_all(b"stuck").await.unwrap();
            until(|| gate.waiting() == 1).await;
            let limit = Rlimit {
                current: Some(all_fd_count() as u64),
                maximum: Some(all_fd_count() as u64),
            };
            setrlimit(Resource::Nofile, limit).unwrap();
            let mut fill = Vec::new();
            while let Ok(std) = std::fs::File::open(&path) {
                fill.push(std);
            }
            // It needs no descriptor.
            for _ in 0..10 {
                assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), 7);
            }
        });
    });
}

/// Rule 19: a value of `AIOFILES_BACKEND` that is not known, or cannot be had, shows in `backend()`, and nothing fails.
#[test]
fn a_backend_that_cannot_be_had_shows_in_the_reason() {
    const MARK: &str = "AIOFILES_TEST_BACKEND_CHILD";
    if std::env::var_os(MARK).is_some() {
        let (_dir, path) = sample("content");
        assert_eq!(block_on(aiofiles::read(path)).unwrap(), b"content");
        println!("reason: {:?}", aiofiles::backend().reason());
        println!("kind: {:?}", aiofiles::backend().kind());
        return;
    }
    let reason = |value: Option<&str>| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = std::thread::current().name().unwrap().to_owned();
        child
            .args(["--exact", &name, "--nocapture", "--test-threads=1"])
            .env(MARK, "1");
        match value {
            Some(value) => child.env("AIOFILES_BACKEND", value),
            None => child.env_remove("AIOFILES_BACKEND"),
        };
        let output = child.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{value:?}: {out}");
        if !cfg!(feature = "uring") || value == Some("pool") {
            assert!(out.contains("kind: Pool"), "{value:?}: {out}");
        }
        out.lines()
            .find_map(|line| line.split_once("reason: "))
            .unwrap_or_else(|| panic!("no reason in {out}"))
            .1
            .to_owned()
    };
    let auto = reason(Some("auto"));
    assert_eq!(reason(None), auto);
    assert!(!reason(Some("pool")).contains("nonsense"));
    // What was asked for and is not had is named.
    for value in ["uring", "nonsense"] {
        let told = reason(Some(value));
        assert!(told.contains(value), "AIOFILES_BACKEND={value}: {told}");
    }
}

/// Rule 19: one open may demand a backend, and fails, before it has done anything, if that cannot be had.
#[test]
fn a_backend_that_was_demanded_and_cannot_be_had_is_unsupported() {
    every_runtime(|_| async {
        let (dir, path) = sample("content");
        let file = read_write()
            .backend(BackendKind::Pool)
            .open(&path)
            .await
            .unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 7);

        if aiofiles::backend().kind() == BackendKind::Uring {
            let mut options = read_write();
            let options = options.backend(BackendKind::Uring);
            let file = options.open(&path).await.unwrap();
            let before = aiofiles::backend().submitted();
            let (read, buf) = file.read_at(Vec::with_capacity(10), 0).await;
            assert_eq!((read.unwrap(), &*buf), (7, &b"content"[..]));
            assert!(aiofiles::backend().submitted() > before);
            return;
        }
        let new = dir.path().join("new");
        let demanded = read_write()
            .create(true)
            .backend(BackendKind::Uring)
            .open(&new)
            .await;
        assert_eq!(
            demanded.unwrap_err().kind(),
            std::io::ErrorKind::Unsupported
        );
        assert!(!new.exists());
    });
}

/// Rule 19: what a file holds is visible too.
#[test]
fn debug_of_a_file_tells_what_it_is() {
    every_runtime(|_| async {
        let (_dir, path) = sample("content");
        let mut file = File::open(&path).await.unwrap();
        file.read_exact(&mut [0; 3]).await.unwrap();
        let debug = format!("{file:?}");
        assert!(debug.contains(path.to_str().unwrap()), "{debug}");
        assert!(debug.contains('3'), "{debug}");
        assert_eq!(file.path(), Some(&*path));
        file.write(b"x").await.unwrap_err();
        file.close().await.unwrap();
        assert!(format!("{file:?}").contains("closed"));
    });
}
