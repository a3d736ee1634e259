//! fork: a child has none of its parent's threads. Its operations say so, it ends as it likes, and the parent never notices.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std has no fork")]

use std::future::Future;
use std::io::{self, ErrorKind, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiofiles::{File, backend};
use aiofiles_proof::backends::{each_backend, is_there, name};
use aiofiles_proof::support::*;
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};

/// Forks; the child runs `run` and ends with its code, or with 101 if it panics. One that hangs is killed after a minute.
fn fork(run: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: the child goes on with this thread only. The allocator of the C library can be used there, and what else it
    // uses is the subject of the test.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: it takes a number.
            unsafe { libc::alarm(60) };
            let code = catch_unwind(AssertUnwindSafe(run)).unwrap_or(101);
            // SAFETY: it ends the process.
            unsafe { libc::_exit(code) }
        }
        child => child,
    }
}

/// The code with which a child ends, or minus the signal.
fn wait(child: libc::pid_t) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: the status is a local variable.
        let result = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if result == child {
            break;
        }
        let error = io::Error::last_os_error();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    }
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        -libc::WTERMSIG(status)
    }
}

/// What a child tells: 0 if the operation was refused, 1 if it succeeded, 2 if it failed otherwise.
fn refused<T>(future: impl Future<Output = io::Result<T>>) -> i32 {
    match block_on(future) {
        Err(error) if error.kind() == ErrorKind::Unsupported => 0,
        Err(_) => 2,
        Ok(_) => 1,
    }
}

/// All of these are refused.
fn everything_is_refused(dir: &Path, file: &mut File) -> i32 {
    let (path, new) = (dir.join("file"), dir.join("new"));
    let on_paths = refused(aiofiles::metadata(&path))
        + refused(aiofiles::read(&path))
        + refused(aiofiles::write(&new, "text"))
        + refused(aiofiles::write_atomic(new.clone(), "text"))
        + refused(File::open(&path))
        + refused(File::create(&new))
        + refused(aiofiles::copy(&path, &new))
        + refused(aiofiles::rename(&path, &new))
        + refused(aiofiles::canonicalize(&path))
        + refused(aiofiles::create_dir_all(&new))
        + refused(aiofiles::remove_dir_all(dir))
        + refused(aiofiles::read_dir(dir))
        + refused(aiofiles::tempfile::NamedTemporaryFile::new())
        + refused(async { aiofiles::walk(dir).next().await.expect("the path itself") });
    let on_files = refused(file.read(&mut [0; 10]))
        + refused(file.write(b"text"))
        + refused(file.seek(SeekFrom::Start(0)))
        + refused(file.flush())
        + refused(file.sync_all())
        + refused(file.metadata())
        + refused(file.set_len(0))
        + refused(async { file.read_at(vec![0; 10], 0).await.0 })
        + refused(file.close());
    on_paths + on_files
}

/// The parent's work: files that are written, read and compared, until it is told to stop.
async fn work(dir: PathBuf, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) {
    let path = dir.join("worked-on");
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) || round == 0 {
        round += 1;
        let bytes = numbered(50_000 + round % 1000);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .await
            .unwrap();
        for piece in bytes.chunks(7000) {
            file.write_all(piece).await.unwrap();
        }
        file.flush().await.unwrap();
        let (result, read) = file.read_exact_at(vec![0; 10_000], 20_000).await;
        result.unwrap();
        assert_same_bytes(read, &bytes[20_000..30_000]);
        file.seek(SeekFrom::Start(0)).await.unwrap();
        let mut found = Vec::new();
        file.read_to_end(&mut found).await.unwrap();
        assert_same_bytes(found, &bytes);
        file.close().await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn children_are_refused_or_end_and_the_parent_is_unharmed() {
    each_backend(|| {
        if !is_there() {
            return;
        }
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let runtimes = [Kind::TokioMulti, Kind::SmolFour].map(Runtime::new);
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = Vec::new();
        for (n, runtime) in runtimes.iter().enumerate() {
            let own = dir.path().join(n.to_string());
            std::fs::create_dir(&own).unwrap();
            let work = work(own, stop.clone(), done.clone());
            tasks.push(runtime.handle().spawn(work));
        }
        // Read ahead and written to, but nothing is on its way.
        let mut file = block_on(File::options().read(true).write(true).open(&path)).unwrap();
        let mut found = vec![0; 60_000];
        block_on(file.read_exact(&mut found)).unwrap();
        assert_same_bytes(found, &numbered(100_000)[..60_000]);

        let count = iterations(40);
        let submitted = backend().submitted();
        let mut codes = [0; 4];
        for n in 0..count {
            let child = fork(|| match n % 4 {
                0 => 0,
                1 => std::process::exit(0),
                2 => refused(aiofiles::metadata(&path)),
                _ => everything_is_refused(dir.path(), &mut file),
            });
            let code = wait(child);
            assert_eq!(code, 0, "child {n} of kind {}", n % 4);
            codes[n % 4] += 1;
        }
        // The parent's position, and what it had read ahead, are where they were.
        let mut rest = Vec::new();
        block_on(file.read_to_end(&mut rest)).unwrap();
        assert_same_bytes(rest, &numbered(100_000)[60_000..]);
        // And its work goes on.
        let before = done.load(Ordering::Relaxed);
        let limit = Instant::now() + Duration::from_secs(60);
        while done.load(Ordering::Relaxed) < before + 2 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        for (runtime, task) in runtimes.iter().zip(tasks) {
            runtime.block_on(task);
        }
        let rounds = done.load(Ordering::Relaxed);
        assert!(rounds > before, "the parent's work has stopped");
        assert_eq!(std::fs::read(&path).unwrap(), numbered(100_000));
        let on_rings = backend().submitted() - submitted;
        assert!(
            name() != "uring" || on_rings > 0,
            "nothing went through a ring"
        );
        figure(&format!(
            "fork, {}: {count} children ({codes:?} that _exit, exit, ask once, ask for everything), 0 hung, 0 succeeded; \
             {rounds} rounds of the parent with right data, {on_rings} operations on rings",
            name()
        ));
    });
}

#[test]
fn a_child_of_a_process_that_has_not_used_the_crate_can_use_it() {
    each_backend(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, numbered(100_000)).unwrap();
        let child = fork(|| {
            block_on(async {
                assert_same_bytes(aiofiles::read(&path).await.unwrap(), numbered(100_000));
                let mut file = File::create(dir.path().join("new")).await.unwrap();
                file.write_all(&numbered(50_000)).await.unwrap();
                file.close().await.unwrap();
            });
            0
        });
        assert_eq!(wait(child), 0);
        assert_eq!(
            std::fs::read(dir.path().join("new")).unwrap(),
            numbered(50_000)
        );
        // So can its parent.
        assert_same_bytes(block_on(aiofiles::read(&path)).unwrap(), numbered(100_000));
    });
}
