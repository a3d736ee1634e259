//! Few descriptors: every operation ends, and fails only where it really needs one more.
#![cfg(target_os = "linux")]

#[path = "common/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiofiles::{BackendKind, File, OpenOptions, backend, raw_os_error};
use futures_lite::future;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use futures_util::future::join_all;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::*;

/// So many descriptors the process may have.
const DESCRIPTORS: u64 = 256;

/// So many operations are started at once.
const AT_ONCE: usize = 10_000;

fn limit_descriptors(limit: u64) {
    let limit = Rlimit {
        current: Some(limit),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("a limit on descriptors");
}

/// Takes every descriptor that is left.
fn take_all() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

/// How often which code came; `None` is success.
fn tally<T>(results: impl IntoIterator<Item = io::Result<T>>) -> BTreeMap<Option<i32>, usize> {
    let mut tally = BTreeMap::new();
    for result in results {
        let code = result
            .as_ref()
            .err()
            .map(|error| raw_os_error(error).unwrap_or(-1));
        *tally.entry(code).or_insert(0) += 1;
    }
    tally
}

fn too_many() -> Option<i32> {
    Some(Errno::MFILE.raw_os_error())
}

/// Waits until nothing is queued, runs, or is to be closed.
async fn settled() {
    loop {
        let now = backend();
        if now.queued() + now.running() + now.pending_closes() == 0 {
            return;
        }
        future::yield_now().await;
    }
}

/// A few files with content of their own.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let file = |n: usize| (dir.join(n.to_string()), numbered(3000 + n));
    let files = (0..20).map(file).collect::<Vec<_>>();
    for (path, bytes) in &files {
        std::fs::write(path, bytes).unwrap();
    }
    files
}

/// Runs the body on tokio, whose own descriptors are taken before the limit comes.
fn under_the_limit<F>(body: impl FnOnce(Handle, tempfile::TempDir) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Runtime::new(Kind::TokioMulti);
    limit_descriptors(DESCRIPTORS);
    runtime.block_on(body(runtime.handle(), temp_dir()));
}

#[test]
fn ten_thousand_whole_files_at_once_need_few_descriptors() {
    alone(|| {
        under_the_limit(|rt, dir| async move {
            let files = Arc::new(files(dir.path()));
            let reads = (0..AT_ONCE).map(|n| {
                let files = files.clone();
                rt.spawn(async move {
                    let (path, bytes) = &files[n % files.len()];
                    let found = aiofiles::read(path).await?;
                    assert_same_bytes(found, bytes);
                    io::Result::Ok(())
                })
            });
            let results = join_all(reads.collect::<Vec<_>>()).await;
            assert_eq!(tally(results), BTreeMap::from([(None, AT_ONCE)]));

            let writes = (0..AT_ONCE).map(|n| {
                let path = dir.path().join(format!("new-{}", n % 100));
                rt.spawn(aiofiles::write(path, numbered(100)))
            });
            let results = join_all(writes.collect::<Vec<_>>()).await;
            assert_eq!(tally(results), BTreeMap::from([(None, AT_ONCE)]));
            let metadata = (0..AT_ONCE).map(|n| {
                let path = dir.path().join(format!("new-{}", n % 100));
                rt.spawn(async move {
                    aiofiles::metadata(path)
                        .await
                        .map(|m| assert_eq!(m.len(), 100))
                })
            });
            let results = join_all(metadata.collect::<Vec<_>>()).await;
            assert_eq!(tally(results), BTreeMap::from([(None, AT_ONCE)]));
        });
    });
}

#[test]
fn of_ten_thousand_opens_at_once_those_fail_that_find_no_descriptor_and_all_end() {
    alone(|| {
        under_the_limit(|rt, dir| async move {
            let files = Arc::new(files(dir.path()));
            // For the descriptors of the reactor.
            aiofiles::read(&files[0].0).await.unwrap();
            settled().await;
            let before = fd_count();
            let reads = (0..AT_ONCE).map(|n| {
                let files = files.clone();
                rt.spawn(async move {
                    let (path, bytes) = &files[n % files.len()];
                    let mut file = File::open(path).await?;
                    let mut found = Vec::new();
                    file.read_to_end(&mut found).await?;
                    assert_same_bytes(found, bytes);
                    io::Result::Ok(())
                })
            });
            let results = tally(join_all(reads.collect::<Vec<_>>()).await);
            assert!(
                results.keys().all(|code| [None, too_many()].contains(code)),
                "{results:?}"
            );
            assert!(results[&None] >= DESCRIPTORS as usize / 2, "{results:?}");
            // Nothing has leaked, and everything works again.
            settled().await;
            assert!(
                fd_count() <= before + 3,
                "{} descriptors, {before} before",
                fd_count()
            );
            for (path, bytes) in files.iter() {
                let mut found = Vec::new();
                File::open(path)
                    .await
                    .unwrap()
                    .read_to_end(&mut found)
                    .await
                    .unwrap();
                assert_same_bytes(found, bytes);
            }
        });
    });
}

#[test]
fn tasks_that_hold_fewer_files_than_the_limit_never_meet_it_though_dropped_files_are_closed_later()
{
    alone(|| {
        under_the_limit(|rt, dir| async move {
            let files = Arc::new(files(dir.path()));
            // So many tasks, each with one file at a time, and one more that is being closed.
            let tasks = (0..DESCRIPTORS as usize - 60).map(|n| {
                let (files, dir) = (files.clone(), dir.path().to_owned());
                rt.spawn(async move {
                    for round in 0..30 {
                        let (path, bytes) = &files[(n + round) % files.len()];
                        let mut file = File::open(path).await?;
                        let mut found = [0; 100];
                        file.read_exact(&mut found).await?;
                        assert_same_bytes(found, &bytes[..100]);
                        drop(file);
                        let mut file = File::create(dir.join(format!("new-{n}"))).await?;
                        file.write_all(&bytes[..100]).await?;
                        // Dropped with bytes on their way.
                    }
                    io::Result::Ok(())
                })
            });
            let tasks = tasks.collect::<Vec<_>>();
            let count = tasks.len();
            assert_eq!(
                tally(join_all(tasks).await),
                BTreeMap::from([(None, count)])
            );
        });
    });
}

#[test]
fn files_that_are_opened_and_dropped_in_turn_never_meet_the_limit() {
    alone(|| {
        future::block_on(async {
            let dir = temp_dir();
            let path = dir.path().join("file");
            std::fs::write(&path, "text").unwrap();
            aiofiles::read(&path).await.unwrap();
            limit_descriptors(fd_count() as u64 + 8);
            for n in 0..iterations(10_000) {
                let mut file = File::open(&path)
                    .await
                    .unwrap_or_else(|error| panic!("open {n}: {error}"));
                if n % 3 == 0 {
                    file.read_exact(&mut [0; 2]).await.unwrap();
                }
                drop(file);
                if n % 5 == 0 {
                    let mut entries = aiofiles::read_dir(dir.path()).await.unwrap();
                    drop(entries.next().await);
                }
            }
        });
    });
}

#[test]
fn with_no_descriptor_left_what_needs_none_works_and_the_rest_says_so() {
    alone(|| {
        let dir = temp_dir();
        let files = files(dir.path());
        let (path, bytes) = &files[0];
        // An open file, with bytes that are accepted while nothing is left.
        let mut file =
            future::block_on(OpenOptions::new().read(true).write(true).open(path)).unwrap();
        limit_descriptors(64);
        let taken = take_all();
        future::block_on(async {
            let error = File::open(path).await.unwrap_err();
            assert_eq!(raw_os_error(&error), too_many());
            let error = aiofiles::read(path).await.unwrap_err();
            assert_eq!(raw_os_error(&error), too_many());
            // Many at once, so that the queue fills and its watch is needed.
            for _ in 0..20 {
                let all =
                    join_all((0..100).map(|n| aiofiles::metadata(&files[n % files.len()].0))).await;
                assert_eq!(tally(all), BTreeMap::from([(None, 100)]));
            }
            assert!(aiofiles::exists(path).await);
            aiofiles::rename(path, path.with_extension("new"))
                .await
                .unwrap();
            aiofiles::rename(path.with_extension("new"), path)
                .await
                .unwrap();
            let mut found = Vec::new();
            file.read_to_end(&mut found).await.unwrap();
            assert_same_bytes(found, bytes);
            file.write_all(b"more").await.unwrap();
            file.flush().await.unwrap();
            file.sync_all().await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), bytes.len() as u64 + 4);
            let many = numbered(2 << 20);
            file.write_all(&many).await.unwrap();
            file.flush().await.unwrap();
            assert_eq!(
                file.try_clone().await.unwrap().as_raw_fd(),
                file.as_raw_fd()
            );
        });
        drop(taken);
        future::block_on(file.close()).unwrap();
    });
}

#[test]
fn a_closed_file_has_a_harmless_descriptor_even_when_none_is_left() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let mut file = future::block_on(File::create(&path)).unwrap();
        future::block_on(file.close()).unwrap();
        limit_descriptors(64);
        let taken = take_all();
        let fd = file.as_fd();
        assert!(
            taken
                .iter()
                .all(|other| other.as_raw_fd() != fd.as_raw_fd())
        );
        assert!(rustix::io::write(fd, b"text").is_err());
    });
}

#[test]
fn a_lock_is_waited_for_without_a_descriptor() {
    alone(|| {
        // FIFOs and locks wait by timers of the reactor, which itself needs descriptors, once.
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        future::block_on(async {
            let (one, other) = (
                File::open(&path).await.unwrap(),
                File::open(&path).await.unwrap(),
            );
            one.lock().await.unwrap();
            // The first wait of all.
            assert!(poll_n(other.lock(), 3).await.is_none());
            limit_descriptors(64);
            let taken = take_all();
            assert!(poll_once(other.lock()).await.is_none());
            let locked = async {
                // It waits, until the other one goes.
                let lock = other.lock();
                let unlock = async {
                    for _ in 0..20 {
                        aiofiles::metadata(&path).await.unwrap();
                    }
                    one.unlock().await.unwrap();
                };
                future::zip(lock, unlock).await.0
            };
            locked.await.unwrap();
            drop(taken);
        });
    });
}

#[test]
fn a_thousand_copies_at_once_end_and_fail_only_for_want_of_descriptors() {
    alone(|| {
        under_the_limit(|rt, dir| async move {
            let files = Arc::new(files(dir.path()));
            let copies = (0..1000).map(|n| {
                let from = files[n % files.len()].0.clone();
                let to = dir.path().join(format!("copy-{n}"));
                rt.spawn(aiofiles::copy(from, to))
            });
            let results = tally(join_all(copies.collect::<Vec<_>>()).await);
            assert!(
                results.keys().all(|code| [None, too_many()].contains(code)),
                "{results:?}"
            );
            assert!(results[&None] >= 100, "{results:?}");
            let reads = (0..1000).map(|_| {
                let dir = dir.path().to_owned();
                rt.spawn(async move {
                    let mut entries = aiofiles::read_dir(dir).await?;
                    let mut count = 0;
                    while let Some(entry) = entries.next().await {
                        entry?;
                        count += 1;
                    }
                    assert!(count >= 20);
                    io::Result::Ok(())
                })
            });
            let results = tally(join_all(reads.collect::<Vec<_>>()).await);
            assert!(
                results.keys().all(|code| [None, too_many()].contains(code)),
                "{results:?}"
            );
        });
    });
}

#[test]
fn buffers_are_given_back_even_if_the_first_of_them_found_no_descriptor_for_the_timer() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(4 << 20)).unwrap();
        // What is read in the poll that asks needs no buffer.
        let mut options = File::options();
        let options = options.read(true).backend(BackendKind::Pool);
        let mut files = [(); 2].map(|()| future::block_on(options.open(&path)).unwrap());
        limit_descriptors(64);
        let mut taken = take_all();
        for file in &mut files {
            future::block_on(file.read_exact(&mut vec![0; 2 << 20])).unwrap();
            assert!(backend().buffered() > 0, "something is read ahead");
            // The second one finds descriptors again.
            taken.clear();
        }
        let limit = Instant::now() + Duration::from_secs(20);
        while backend().buffered() > 0 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(backend().buffered(), 0);
    });
}
