//! Pools of the user's own: for one call, for one open file, for the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use aiofiles::{Executor, File, OpenOptions, Work, with_executor};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};

use crate::files::*;
use crate::support::*;

/// Starts a thread for each piece of work, and counts them.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Executor for Counting {
    fn execute(&self, work: Work) {
        self.0.fetch_add(1, Ordering::SeqCst);
        thread::Builder::new()
            .name("counted".into())
            .spawn(|| work.run())
            .expect("a thread");
    }
}

/// All kinds of operations, with the results that they have to have.
async fn everything(dir: &std::path::Path) {
    let path = dir.join("file");
    let bytes = numbered(300_000);
    aiofiles::write(&path, &bytes).await.unwrap();
    assert_same_bytes(aiofiles::read(&path).await.unwrap(), &bytes);
    aiofiles::copy(&path, dir.join("copy")).await.unwrap();
    assert!(aiofiles::canonicalize(&path).await.unwrap().is_absolute());
    aiofiles::hard_link(&path, dir.join("link")).await.unwrap();
    aiofiles::remove_file(dir.join("link")).await.unwrap();
    aiofiles::create_dir_all(dir.join("sub/directory"))
        .await
        .unwrap();
    aiofiles::remove_dir_all(dir.join("sub")).await.unwrap();
    let permissions = aiofiles::metadata(&path).await.unwrap().permissions();
    aiofiles::set_permissions(&path, permissions).await.unwrap();
    let mut builder = aiofiles::tempfile::Builder::new();
    let temporary = builder.dir(dir).named_temporary_file().await;
    let mut temporary = temporary.unwrap();
    temporary.write_all(b"text").await.unwrap();
    temporary.close().await.unwrap();
    assert_eq!(aiofiles::unblock(|| 7).await, 7);
    #[cfg(unix)]
    aiofiles::os::statvfs(dir).await.unwrap();
    assert_eq!(aiofiles::read_dir(dir).await.unwrap().count().await, 2);
    aiofiles::remove_file(dir.join("copy")).await.unwrap();
    let mut file = read_write().open(&path).await.unwrap();
    use_file(&mut file, &bytes).await;
    drop(file);
    assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), 100);
}

async fn use_file(file: &mut File, bytes: &[u8]) {
    let mut found = Vec::new();
    file.read_to_end(&mut found).await.unwrap();
    assert_same_bytes(&found, bytes);
    file.seek(std::io::SeekFrom::Start(0)).await.unwrap();
    file.write_all(b"other").await.unwrap();
    file.flush().await.unwrap();
    let (read, found) = file.read_at(vec![0; 5], 0).await;
    assert_eq!((read.unwrap(), &*found), (5, &b"other"[..]));
    file.sync_data().await.unwrap();
    file.set_len(100).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len(), 100);
}

#[test]
fn what_a_future_does_runs_on_its_pool() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let pool = Counting::default();
        with_executor(pool.clone(), everything(dir.path())).await;
        assert!(pool.count() >= 22, "{}", pool.count());
        // Outside, nothing does.
        let before = pool.count();
        everything(dir.path()).await;
        assert_eq!(pool.count(), before);
    });
}

#[test]
fn a_file_that_was_opened_on_a_pool_stays_there() {
    every_runtime(|_| async {
        let bytes = numbered(300_000);
        let (_dir, path) = sample(&bytes);
        let pool = Counting::default();
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).executor(pool.clone());
        let mut file = options.open(&path).await.unwrap();
        assert_eq!(pool.count(), 1);
        use_file(&mut file, &bytes).await;
        assert!(pool.count() > 7, "{}", pool.count());

        let mut before = pool.count();
        let mut grew = |what: &str| {
            assert!(pool.count() > before, "{what}");
            before = pool.count();
        };
        let clone = file.try_clone().await.unwrap();
        clone.metadata().await.unwrap();
        grew("a clone");
        let mut cursor = clone.cursor(5).unwrap();
        cursor.read_exact(&mut [0; 5]).await.unwrap();
        grew("a cursor");
        let opened = with_executor(pool.clone(), File::open(&path));
        let opened = opened.await.unwrap();
        grew("an open in a future");
        opened.metadata().await.unwrap();
        grew("what was opened in a future");

        // Others know nothing of it.
        let other = File::open(&path).await.unwrap();
        other.metadata().await.unwrap();
        assert_eq!(pool.count(), before);
    });
}

/// No thread of the usual pool is there.
#[cfg(target_os = "linux")]
#[test]
fn the_pool_of_the_process_takes_everything() {
    alone(|| {
        let pool = Counting::default();
        aiofiles::set_executor(pool.clone());
        let dir = temp_dir();
        block_on(everything(dir.path()));
        assert!(pool.count() > 0);
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
            let name = name.unwrap_or_default();
            assert!(!name.starts_with("blocking"), "{name}");
        }

        // A call with a pool of its own keeps it.
        let own = Counting::default();
        block_on(with_executor(own.clone(), everything(dir.path())));
        assert!(own.count() >= 22, "{}", own.count());
    });
}

/// Nothing is lost by a pool that is shut down, or broken.
#[test]
fn work_that_a_pool_does_not_do_is_done_elsewhere() {
    let drops = |work: Work| drop(work);
    let panics = |_: Work| panic!("a broken pool");
    every_runtime(move |_| async move {
        let dir = temp_dir();
        with_executor(drops, everything(dir.path())).await;
        with_executor(panics, everything(dir.path())).await;
    });
    alone(move || {
        aiofiles::set_executor(drops);
        let dir = temp_dir();
        block_on(everything(dir.path()));
        aiofiles::set_executor(panics);
        block_on(everything(dir.path()));
    });
}

/// A pool that would do the work at once, on the thread that must not block, does not get to do it.
#[test]
fn work_is_never_done_by_whoever_begins_it() {
    let at_once = |work: Work| work.run();
    every_runtime(move |_| async move {
        let dir = temp_dir();
        with_executor(at_once, everything(dir.path())).await;
        let here = thread::current().id();
        let path = dir.path().join("file");
        let opening = aiofiles::open_with(path, "r", move |path, options| {
            assert_ne!(thread::current().id(), here);
            options.open(path)
        });
        with_executor(at_once, opening).await.unwrap();
    });
    alone(move || {
        aiofiles::set_executor(at_once);
        let dir = temp_dir();
        block_on(everything(dir.path()));
    });
}

/// The bytes of a file outlive the runtime whose pool was to write them.
#[test]
fn bytes_outlive_the_runtime_of_their_pool() {
    for _ in 0..iterations(20) {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.max_blocking_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        let pool = move |work: Work| drop(handle.spawn_blocking(|| work.run()));
        let file = runtime.block_on(async {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).executor(pool);
            let mut file = options.open(&path).await.unwrap();
            file.write_all(&numbered(100_000)).await.unwrap();
            file
        });
        runtime.shutdown_background();
        drop(file);
        block_on(aiofiles::settle());
        assert_same_bytes(std::fs::read(&path).unwrap(), numbered(100_000));
    }
}

#[test]
fn a_panic_of_an_operation_reaches_who_waits_for_it() {
    let pool = Counting::default();
    let (_dir, path) = sample("content");
    let opening = aiofiles::open_with(&path, "r", |_, _| panic!("as planned"));
    let opening = AssertUnwindSafe(|| block_on(with_executor(pool.clone(), opening)));
    assert!(catch_unwind(opening).is_err());
    assert_eq!(pool.count(), 1);
    let read = block_on(with_executor(pool, aiofiles::read(&path)));
    assert_eq!(read.unwrap(), b"content");
}

/// Work that nobody has begun is counted as queued.
#[test]
fn work_that_waits_in_a_pool_is_queued() {
    alone(|| {
        let (_dir, path) = sample("content");
        let kept = Arc::new(Mutex::new(Vec::new()));
        let pool = {
            let kept = kept.clone();
            move |work: Work| kept.lock().unwrap().push(work)
        };
        let mut reading = Box::pin(with_executor(pool, aiofiles::read(&path)));
        assert!(poll_now(reading.as_mut()).is_pending());
        assert_eq!(aiofiles::backend().queued(), 1);
        for work in std::mem::take(&mut *kept.lock().unwrap()) {
            work.run();
        }
        assert_eq!(aiofiles::backend().queued(), 0);
        assert_eq!(block_on(reading).unwrap(), b"content");
    });
}
