//! Resource walls: blocked FIFOs, few descriptors, no threads, full disks. And what the crate costs when it does nothing.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "some of these tests need threads of their own"
)]

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::tempfile::{NamedTemporaryFile, TemporaryDirectory};
use aiofiles::{File, OpenOptions, backend, raw_os_error};
use aiofiles_proof::backends::{each_backend, is_there, name};
use aiofiles_proof::support::*;
use futures_lite::future::{self, block_on};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

fn limit_descriptors(current: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(current),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("another number of descriptors");
}

/// Waits until the condition holds, or long enough to be sure that it never will.
fn wait_for(mut holds: impl FnMut() -> bool) -> bool {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn is_idle() -> bool {
    let now = backend();
    now.queued() + now.running() + now.pending_closes() + now.drainers() == 0
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts all of them at once, and waits for all.
async fn all<T>(mut futures: Vec<Boxed<T>>) -> Vec<T> {
    let mut outputs = (0..futures.len()).map(|_| None).collect::<Vec<_>>();
    future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(done) => *output = Some(done),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        match pending {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// FIFOs

/// How many FIFOs are blocked in each direction: more than the pool has threads.
const BLOCKED: usize = 600;

/// No more threads than this: 64 of the pool, those of runtimes, of the reactor and of this test.
const MOST_THREADS: usize = 64 + 24;

/// How long each of so many reads of 4 KiB took, sorted.
async fn latencies(file: &File, size: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0..1000 {
        let offset = n * 4096 % (size - 4096);
        let begin = Instant::now();
        let (read, bytes) = file.read_exact_at(vec![0; 4096], offset as u64).await;
        times.push(begin.elapsed());
        read.unwrap();
        assert_eq!(bytes.len(), 4096);
    }
    times.sort();
    times
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

#[test]
fn hundreds_of_blocked_fifos_hold_no_thread_and_delay_no_file() {
    each_backend(|| {
        if !is_there() {
            return;
        }
        limit_descriptors(4 * BLOCKED as u64);
        let dir = temp_dir();
        let path = dir.path().join("file");
        const SIZE: usize = 1 << 20;
        fs::write(&path, numbered(SIZE)).unwrap();
        let mut figures = Vec::new();
        for kind in [Kind::SmolFour, Kind::TokioMulti, Kind::AsyncStd] {
            let runtime = Runtime::new(kind);
            let handle = runtime.handle();
            let (path, own) = (path.clone(), temp_dir());
            let fifos = own.path().to_owned();
            let line = runtime.block_on(async move {
                let file = File::open(&path).await.unwrap();
                let idle = latencies(&file, SIZE).await;
                let waiting = Arc::<AtomicUsize>::default();
                let mut tasks = Vec::new();
                for n in 0..BLOCKED {
                    let fifo = fifos.join(n.to_string());
                    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
                    let waiting = waiting.clone();
                    tasks.push(handle.spawn(async move {
                        let mut reader = File::open(&fifo).await.unwrap();
                        let mut byte = [0];
                        let mut read = reader.read(&mut byte);
                        assert!(future::poll_once(&mut read).await.is_none());
                        waiting.fetch_add(1, Ordering::SeqCst);
                        let read = read.await;
                        (read, byte)
                    }));
                }
                while waiting.load(Ordering::SeqCst) < BLOCKED {
                    future::yield_now().await;
                }
                // The last reads that were begun find out that there is nothing.
                while !is_idle() {
                    future::yield_now().await;
                }
                let threads = thread_count();
                assert!(threads <= MOST_THREADS, "{threads} threads");
                let beside = latencies(&file, SIZE).await;
                let now = backend();
                assert!(now.running() + now.queued() < 10, "{now:?}");
                for task in &mut tasks {
                    assert!(future::poll_once(task).await.is_none());
                }
                // Whoever is written to goes on; the others never do.
                for (n, task) in tasks.into_iter().enumerate().take(50) {
                    aiofiles::write(fifos.join(n.to_string()), [n as u8])
                        .await
                        .unwrap();
                    let (read, byte) = task.await;
                    assert_eq!((read.unwrap(), byte), (1, [n as u8]));
                }
                format!(
                    "{}: {threads} threads, p99 of a read of 4 KiB {:.0?}, idle {:.0?}",
                    handle.name(),
                    p99(&beside),
                    p99(&idle)
                )
            });
            let begin = Instant::now();
            drop(runtime);
            figures.push(format!(
                "{line}, runtime gone after {:.0?}",
                begin.elapsed()
            ));
        }
        figure(&format!(
            "{BLOCKED} blocked FIFOs, {}: {}",
            name(),
            figures.join("; ")
        ));
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Descriptors

#[test]
fn ten_thousand_operations_at_once_with_256_descriptors_all_end() {
    each_backend(|| {
        if !is_there() {
            return;
        }
        const AT_ONCE: usize = 10_000;
        let dir = temp_dir();
        for n in 0..20 {
            fs::write(dir.path().join(n.to_string()), numbered(3000 + n)).unwrap();
        }
        let runtime = Runtime::new(Kind::TokioMulti);
        limit_descriptors(256);
        // For the descriptors of the reactor and the rings.
        let first = dir.path().join("0");
        block_on(async {
            let mut file = File::open(&first).await.unwrap();
            file.read_exact(&mut [0; 10]).await.unwrap();
        });
        assert!(wait_for(is_idle));
        let before = fd_count();
        let handle = runtime.handle();
        let own = dir.path().to_owned();
        let tally = runtime.block_on(async move {
            let operations = (0..AT_ONCE).map(|n| {
                let path = own.join((n % 20).to_string());
                let new = own.join(format!("new-{n}"));
                handle.spawn(async move {
                    let length = 3000 + n % 20;
                    match n % 8 {
                        0 => {
                            let found = aiofiles::read(&path).await?;
                            assert_same_bytes(found, numbered(length));
                        }
                        1 => {
                            let mut file = File::open(&path).await?;
                            let mut found = Vec::new();
                            file.read_to_end(&mut found).await?;
                            assert_same_bytes(found, numbered(length));
                        }
                        2 => {
                            let file = File::open(&path).await?;
                            let (read, found) = file.read_exact_at(vec![0; 100], 1000).await;
                            read?;
                            assert_same_bytes(found, &numbered(1100)[1000..]);
                        }
                        3 => assert_eq!(aiofiles::metadata(&path).await?.len(), length as u64),
                        4 => {
                            let mut file = File::create(&new).await?;
                            file.write_all(b"text").await?;
                            file.close().await?;
                        }
                        5 => assert_eq!(aiofiles::copy(&path, &new).await?, length as u64),
                        6 => drop(NamedTemporaryFile::new().await?),
                        _ => {
                            let mut entries = aiofiles::read_dir(&own_dir(&path)).await?;
                            assert!(entries.next().await.is_some());
                        }
                    }
                    io::Result::Ok(())
                })
            });
            let mut tally = BTreeMap::new();
            for operation in operations.collect::<Vec<_>>() {
                let code = operation.await.err().map(|error| raw_os_error(&error));
                *tally.entry(code).or_insert(0) += 1;
            }
            tally
        });
        let too_many = Some(Some(Errno::MFILE.raw_os_error()));
        let known = |code| [None, too_many].contains(code);
        assert!(tally.keys().all(known), "{tally:?}");
        assert!(tally[&None] > AT_ONCE / 8, "{tally:?}");
        drop(runtime);
        assert!(wait_for(|| is_idle() && fd_count() <= before));
        figure(&format!(
            "{AT_ONCE} operations at once with 256 descriptors, {}: {} done, {} EMFILE, 0 hung, 0 descriptors leaked",
            name(),
            tally[&None],
            tally.get(&too_many).unwrap_or(&0)
        ));
    });
}

fn own_dir(path: &Path) -> PathBuf {
    path.parent().expect("a directory").to_owned()
}

// ---------------------------------------------------------------------------------------------------------------------
// Threads

/// A control group of this test, which goes away with the value.
struct Pids(PathBuf);

impl Pids {
    const ALL: &str = "/sys/fs/cgroup/pids";

    /// Makes one, or says that there can be none.
    fn new(name: &str) -> Option<Pids> {
        let path = Path::new(Pids::ALL).join(format!("aiofiles-{}-{name}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Some(Pids(path)),
            Err(_) => {
                skip("a control group that counts threads (pids, version 1), and root");
                None
            }
        }
    }

    /// A command that runs what is appended in it.
    fn command(&self) -> [String; 4] {
        let path = self.0.to_str().expect("a path of letters");
        let script = format!(r#"echo $$ > {path}/cgroup.procs; PIDS={path} exec "$@""#);
        ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    }

    /// Allows so many more threads than there are; `None` is any number.
    fn allow(more: Option<usize>) {
        let path = PathBuf::from(std::env::var_os("PIDS").expect("it runs in the control group"));
        let limit = more.map_or("max".to_owned(), |more| {
            let now = fs::read_to_string(path.join("pids.current")).expect("a number");
            (now.trim().parse::<usize>().expect("a number") + more).to_string()
        });
        fs::write(path.join("pids.max"), limit).expect("another limit");
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        // What ran there has ended, but may not be gone.
        wait_for(|| fs::remove_dir(&self.0).is_ok());
    }
}

/// Many operations of all kinds whose results tell of errors, on a directory with files `0` to `9`.
fn operations(dir: &Path, count: usize) -> Vec<Boxed<io::Result<()>>> {
    (0..count).map(|n| operation(dir, n)).collect()
}

fn operation(dir: &Path, n: usize) -> Boxed<io::Result<()>> {
    let path = dir.join((n % 10).to_string());
    let new = dir.join(format!("new-{n}"));
    Box::pin(async move {
        match n % 12 {
            0 => {
                let _ = aiofiles::metadata(&path).await?;
            }
            1 => assert_same_bytes(aiofiles::read(&path).await?, numbered(5000)),
            2 => {
                aiofiles::write(&new, numbered(3000)).await?;
                aiofiles::remove_file(&new).await?;
            }
            3 => assert_eq!(aiofiles::copy(&path, &new).await?, 5000),
            4 => drop(aiofiles::canonicalize(&path).await?),
            5 => {
                aiofiles::create_dir_all(new.join("inner")).await?;
                aiofiles::remove_dir_all(&new).await?;
            }
            6 => {
                let mut file = File::create(&new).await?;
                file.write_all(&numbered(10_000)).await?;
                file.sync_all().await?;
                file.close().await?;
                assert_same_bytes(aiofiles::read(&new).await?, numbered(10_000));
            }
            7 => aiofiles::write_atomic(new, "text").await?,
            8 => {
                let mut entries = aiofiles::read_dir(own_dir(&path)).await?;
                assert!(entries.next().await.is_some());
            }
            9 => {
                let mut temporary = TemporaryDirectory::new().await?;
                temporary.close().await?;
            }
            10 => {
                let mut file = File::open(&path).await?;
                let mut found = Vec::new();
                file.read_to_end(&mut found).await?;
                assert_same_bytes(found, numbered(5000));
            }
            _ => {
                let first = aiofiles::walk(&path).try_next().await?;
                assert_eq!(first.expect("the file itself").depth(), 0);
            }
        }
        Ok(())
    })
}

fn directory() -> tempfile::TempDir {
    let dir = temp_dir();
    for n in 0..10 {
        fs::write(dir.path().join(n.to_string()), numbered(5000)).unwrap();
    }
    dir
}

/// How many were refused a thread; anything else is a failure.
fn refused(results: Vec<io::Result<()>>) -> usize {
    let codes = results
        .into_iter()
        .filter_map(|result| Some(raw_os_error(&result.err()?)))
        .collect::<Vec<_>>();
    let again = Some(Errno::AGAIN.raw_os_error());
    assert!(codes.iter().all(|code| *code == again), "{codes:?}");
    codes.len()
}

/// So many jobs run at the same time, or this hangs.
fn assert_jobs_at_once(count: usize) {
    let barrier = Arc::new(Barrier::new(count));
    let jobs = (0..count).map(|_| -> Boxed<()> {
        let barrier = barrier.clone();
        Box::pin(aiofiles::unblock(move || {
            let _ = barrier.wait();
        }))
    });
    block_on(all(jobs.collect()));
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Where threads are counted, those of the kernel for rings count too, and come whenever they like, also between the moment
/// when a thread could be had and that in which `blocking` wants it. So this is promised of the pool alone.
const POOL: &str = "AIOFILES_BACKEND=pool";

/// How many threads more there may be in each run.
const MORE: [usize; 8] = [0, 1, 2, 3, 5, 8, 16, 29];

#[test]
fn where_threads_are_few_operations_end_and_with_more_threads_all_is_as_before() {
    fn runs(body: impl FnOnce() + Copy + Send + 'static) {
        if is_alone() {
            return alone(body);
        }
        for more in MORE {
            let Some(pids) = Pids::new(&more.to_string()) else {
                return;
            };
            let more = format!("MORE={more}");
            let mut command = vec!["env", POOL, &more];
            let in_group = pids.command();
            command.extend(in_group.iter().map(String::as_str));
            alone_under(&command, body);
        }
    }
    runs(|| {
        let more = std::env::var("MORE")
            .expect("a number")
            .parse()
            .expect("a number");
        let dir = directory();
        Pids::allow(Some(more));
        let mut figures = Vec::new();
        for round in 0..iterations(3) {
            let count = 120;
            let refused = refused(block_on(all(operations(dir.path(), count))));
            match more {
                0 => assert_eq!(refused, count, "round {round}: there is no thread at all"),
                // One thread does everything.
                _ => assert_eq!(refused, 0, "round {round}: there is a thread"),
            }
            figures.push(refused);
        }
        // Nobody spins.
        let (before, begin) = (processor_time(), Instant::now());
        thread::sleep(Duration::from_millis(300));
        let spent = (processor_time() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
        assert!(spent < 0.5, "{spent} of a processor, with nothing to do");
        // Those who come when there are threads again have them all.
        Pids::allow(None);
        assert_eq!(refused(block_on(all(operations(dir.path(), 120)))), 0);
        assert_jobs_at_once(24);
        figure(&format!(
            "{more} threads more, {}: {} rounds of 120 operations, {} refused (EAGAIN), 0 hung, {:.1} % of a processor \
             when idle; then 24 jobs at once",
            name(),
            figures.len(),
            figures.iter().sum::<usize>(),
            spent * 100.0,
        ));
    });
}

/// The wall comes while the program runs, and goes, again and again.
#[test]
fn a_wall_that_comes_and_goes_is_survived() {
    fn runs(body: impl FnOnce() + Copy + Send + 'static) {
        if is_alone() {
            return alone(body);
        }
        let Some(pids) = Pids::new("comes-and-goes") else {
            return;
        };
        let command = pids.command();
        let mut whole = vec!["env", POOL];
        whole.extend(command.iter().map(String::as_str));
        alone_under(&whole, body);
    }
    runs(|| {
        let dir = directory();
        let rounds = iterations(15);
        let (mut walls, mut operated) = (0, 0);
        for round in 0..rounds {
            match round % 3 {
                0 => Pids::allow(None),
                more => {
                    walls += 1;
                    Pids::allow(Some(more - 1));
                }
            }
            // One at a time, many at once, one at a time.
            for n in 0..100 {
                assert_eq!(refused(vec![block_on(operation(dir.path(), n))]), 0);
            }
            assert_eq!(refused(block_on(all(operations(dir.path(), 60)))), 0);
            for _ in 0..500 {
                block_on(aiofiles::metadata(dir.path())).unwrap();
            }
            operated += 660;
        }
        Pids::allow(None);
        assert_jobs_at_once(24);
        figure(&format!(
            "a wall of threads that comes and goes, {}: {walls} walls, {operated} operations, 0 refused, 0 hung; then 24 \
             jobs at once",
            name()
        ));
    });
}

/// Bytes that are accepted while no thread is to be had, and files that are dropped then.
#[test]
fn what_was_accepted_without_a_thread_is_written_when_there_is_one() {
    fn runs(body: impl FnOnce() + Copy + Send + 'static) {
        if is_alone() {
            return alone(body);
        }
        let Some(pids) = Pids::new("accepted") else {
            return;
        };
        alone_under(&pids.command().each_ref().map(String::as_str), body);
    }
    runs(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        // A file that was opened by others: nothing of ours has a thread.
        let std = fs::File::create(&path).unwrap();
        Pids::allow(Some(0));
        let mut file = File::from(std);
        block_on(async {
            let error = aiofiles::metadata(&path).await.unwrap_err();
            assert_eq!(raw_os_error(&error), Some(Errno::AGAIN.raw_os_error()));
            // Its writes wait, whoever waits for them may stop waiting, and nothing is taken that cannot be kept.
            assert!(poll_once(file.write(b"text")).await.is_none());
        });
        assert_eq!(fs::read(&path).unwrap(), b"");
        Pids::allow(None);
        block_on(async {
            assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), 0);
            file.write_all(b"text").await.unwrap();
            file.close().await.unwrap();
        });
        assert_eq!(fs::read(&path).unwrap(), b"text");
    });
}

/// One creation of a thread fails, whichever it is.
#[test]
fn a_single_refusal_is_survived_wherever_it_comes() {
    fn runs(body: impl FnOnce() + Copy + Send + 'static) {
        if is_alone() {
            return alone(body);
        }
        if !succeeds(&["strace", "-f", "-o", "/dev/null", "true"]) {
            return skip("strace");
        }
        for nth in 1..=iterations(6) {
            // Of the thread that begins the operations: its first is the one that only asks.
            let inject = format!("inject=clone3:error=EAGAIN:when={nth}");
            let command = [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=clone3",
                "-e",
                &inject,
            ];
            alone_under(&command, body);
        }
    }
    runs(|| {
        let dir = directory();
        // The injection counts for each thread by itself.
        let own = dir.path().to_owned();
        let results = block_on(all(operations(&own, 60)));
        let refused_first = refused(results);
        for _ in 0..3 {
            assert_eq!(refused(block_on(all(operations(&own, 60)))), 0);
        }
        figure(&format!(
            "one thread refused: {refused_first} of 60 operations refused, then 180 done"
        ));
    });
}

#[test]
fn a_pool_of_the_programs_own_never_needs_another_thread() {
    alone(|| {
        // Two threads that take what comes.
        let (give, take) = std::sync::mpsc::channel::<aiofiles::Work>();
        let take = Arc::new(Mutex::new(take));
        for _ in 0..2 {
            let take = take.clone();
            thread::spawn(move || {
                loop {
                    let work = take.lock().expect("no panic").recv();
                    match work {
                        Ok(work) => work.run(),
                        Err(_) => return,
                    }
                }
            });
        }
        let give = Mutex::new(give);
        aiofiles::set_executor(move |work| {
            give.lock()
                .expect("no panic")
                .send(work)
                .expect("they listen");
        });
        let dir = directory();
        seccomp::refuse(libc::SYS_clone3, seccomp::Verdict::Error(libc::EAGAIN));
        assert!(thread::Builder::new().spawn(|| ()).is_err());
        let rounds = iterations(10);
        for _ in 0..rounds {
            assert_eq!(refused(block_on(all(operations(dir.path(), 120)))), 0);
        }
        figure(&format!(
            "a pool of the program's own, no thread to be had: {} operations, 0 refused, 0 hung",
            rounds * 120
        ));
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Disks

/// A small file system of this test's own, in a namespace of its own.
struct Mount(tempfile::TempDir);

impl Mount {
    fn in_memory(options: &str) -> Mount {
        let mount = Mount(temp_dir());
        run(
            "mount",
            &["-t", "tmpfs", "-o", options, "tmpfs", mount.name()],
        );
        mount
    }

    /// ext4 in a file.
    fn ext4(image: &Path) -> Mount {
        let mount = Mount(temp_dir());
        let image = image.to_str().expect("a path of letters");
        run("truncate", &["-s", "8M", image]);
        run("mkfs.ext4", &["-q", "-F", "-m", "0", image]);
        run("mount", &["-o", "loop", image, mount.name()]);
        mount
    }

    fn name(&self) -> &str {
        self.0.path().to_str().expect("a path of letters")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Takes all the room that there is but for so many bytes.
    fn fill(&self, but: usize) {
        let stat = rustix::fs::statvfs(self.0.path()).expect("the free space");
        let free = (stat.f_bavail * stat.f_frsize) as usize;
        match fs::write(self.at("filler"), vec![0; free.saturating_sub(but)]) {
            Err(error) if error.kind() != ErrorKind::StorageFull => panic!("{error}"),
            _ => {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.at("filler")).expect("it was filled");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        block_on(aiofiles::settle());
        run("umount", &["--lazy", self.name()]);
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
}

/// Whether mounts of its own can be had, and what else is asked for; it says so if not.
fn has_mounts(also: &[&[&str]]) -> bool {
    if is_alone() {
        return true;
    }
    let there = is_root()
        && succeeds(&["unshare", "-m", "true"])
        && also.iter().all(|command| succeeds(command));
    if !there {
        skip("root, mounts of its own (`unshare -m`), and mkfs.ext4 for ext4");
    }
    there
}

/// Fills and frees the file system again and again. Returns how many errors were told, and how many bytes were written.
async fn cycles(mount: &Mount, count: usize, most: usize) -> (usize, usize) {
    let seed = Seed::new();
    let mut rng = seed.rng();
    let whole = numbered(4 << 20);
    let path = mount.at("file");
    let full = Some(Errno::NOSPC.raw_os_error());
    let (mut told, mut total) = (0, 0);
    for cycle in 0..count {
        fs::write(&path, "").unwrap();
        let mut options = OpenOptions::new();
        match cycle % 3 {
            0 => options.append(true),
            1 => options.write(true).unbuffered(true),
            _ => options.write(true),
        };
        let mut file = options.open(&path).await.unwrap();
        let mut accepted = 0;
        // Twice without a pause, on the same open file.
        for _ in 0..2 {
            mount.fill(rng.usize(0..most));
            // Until somebody says that it is full.
            let error = loop {
                let len = match rng.bool() {
                    true => rng.usize(1..100),
                    false => rng.usize(1..30_000),
                };
                let result = match rng.u32(0..10) {
                    0 => file.flush().await.map(|()| 0),
                    1 => file.sync_data().await.map(|()| 0),
                    _ => file.write(&whole[accepted..accepted + len]).await,
                };
                match result {
                    Ok(n) => accepted += n,
                    Err(error) => break error,
                }
                assert!(accepted < whole.len() - 30_000, "it never was full");
            };
            assert_eq!(raw_os_error(&error), full, "cycle {cycle}: {error}");
            told += 1;
            // As long as it is full, nothing succeeds past an unwritten byte.
            match file.flush().await {
                Ok(()) => assert_eq!(fs::read(&path).unwrap().len(), accepted),
                Err(error) => {
                    assert_eq!(raw_os_error(&error), full, "cycle {cycle}: {error}");
                    told += 1;
                }
            }
            mount.empty();
            // One call may tell of what failed before.
            if let Err(error) = file.flush().await {
                assert_eq!(raw_os_error(&error), full, "cycle {cycle}: {error}");
            }
            file.flush().await.expect("there is room");
            let found = fs::read(&path).unwrap();
            assert_same_bytes(found, &whole[..accepted]);
            let n = file.write(&whole[accepted..accepted + 100]).await.unwrap();
            accepted += n;
        }
        file.close().await.expect("there is room");
        assert_same_bytes(fs::read(&path).unwrap(), &whole[..accepted]);
        total += accepted;
    }
    (told, total)
}

#[test]
fn a_small_file_system_in_memory_that_is_filled_and_freed_loses_nothing() {
    if has_mounts(&[]) {
        alone_under(&["unshare", "-m"], || {
            let mount = Mount::in_memory("size=1m");
            let count = iterations(40);
            let (told, bytes) = block_on(cycles(&mount, count, 200_000));
            figure(&format!(
                "tmpfs of 1 MiB: {count} times filled and freed twice, {told} errors told, {bytes} bytes accepted, 0 lost, \
                 0 doubled"
            ));
        });
    }
}

#[test]
fn a_small_ext4_that_is_filled_and_freed_loses_nothing() {
    if has_mounts(&[&["mkfs.ext4", "-V"]]) {
        alone_under(&["unshare", "-m"], || {
            let image = temp_dir();
            let mount = Mount::ext4(&image.path().join("image"));
            let count = iterations(20);
            let (told, bytes) = block_on(cycles(&mount, count, 200_000));
            figure(&format!(
                "ext4 of 8 MiB: {count} times filled and freed twice, {told} errors told, {bytes} bytes accepted, 0 lost, \
                 0 doubled"
            ));
        });
    }
}

#[test]
fn a_file_system_without_room_for_names_says_so_until_there_is() {
    if has_mounts(&[]) {
        alone_under(&["unshare", "-m"], || {
            let mount = Mount::in_memory("size=1m,nr_inodes=20");
            let full = Some(Errno::NOSPC.raw_os_error());
            let count = iterations(40);
            let mut created = 0;
            let create = |n: usize| -> Boxed<io::Result<()>> {
                let path = mount.at(&format!("new-{n}"));
                let dir = mount.0.path().to_owned();
                Box::pin(async move {
                    match n % 6 {
                        0 => File::create(path).await?.close().await,
                        1 => aiofiles::write(path, "text").await,
                        2 => aiofiles::create_dir(path).await,
                        3 => aiofiles::unix::symlink("nowhere", path).await,
                        4 => aiofiles::write_atomic(path, "text").await,
                        _ => {
                            let mut builder = aiofiles::tempfile::Builder::new();
                            let file = builder.dir(&dir).named_temporary_file().await?;
                            file.keep().await.map(drop).map_err(|failed| failed.error)
                        }
                    }
                })
            };
            block_on(async {
                for _ in 0..count {
                    let mut n = 0;
                    let error = loop {
                        match create(n).await {
                            Ok(()) => n += 1,
                            Err(error) => break error,
                        }
                        assert!(n < 20, "it never was full");
                    };
                    created += n;
                    assert_eq!(raw_os_error(&error), full, "{error}");
                    // All of them say so, and leave nothing.
                    let before = fs::read_dir(mount.0.path()).unwrap().count();
                    for n in 100..106 {
                        let error = create(n).await.unwrap_err();
                        assert_eq!(raw_os_error(&error), full, "{n}: {error}");
                    }
                    assert_eq!(fs::read_dir(mount.0.path()).unwrap().count(), before);
                    for entry in fs::read_dir(mount.0.path()).unwrap() {
                        let path = entry.unwrap().path();
                        fs::remove_file(&path)
                            .or_else(|_| fs::remove_dir(&path))
                            .unwrap();
                    }
                }
            });
            figure(&format!(
                "tmpfs of 20 names: {count} times filled and freed, {created} created, each refusal was ENOSPC"
            ));
        });
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Idle

/// How often each thread has gone to sleep by itself, by number, with its name.
fn sleeps() -> BTreeMap<u32, (String, u64)> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let read = |task: io::Result<fs::DirEntry>| {
        let task = task.ok()?;
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let sleeps = field("voluntary_ctxt_switches:")?.trim().parse().ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        Some((number, (field("Name:")?.trim().to_owned(), sleeps)))
    };
    tasks.filter_map(read).collect()
}

/// What kind of thread that is.
fn kind(name: &str) -> &'static str {
    if name.starts_with("blocking") {
        "blocking"
    } else if name == "async-io" {
        "async-io"
    } else if name.starts_with("iou-") {
        "the kernel's"
    } else if name.starts_with("aiofiles") {
        "ours"
    } else {
        "the test's"
    }
}

#[test]
fn after_a_burst_nothing_of_this_crate_stays_awake() {
    each_backend(|| {
        if !is_there() {
            return;
        }
        let dir = directory();
        for result in block_on(all(operations(dir.path(), 504))) {
            result.unwrap();
        }
        assert!(wait_for(|| is_idle() && backend().buffered() == 0));
        // What was to end by itself has ended by then.
        thread::sleep(Duration::from_secs(2));
        let (before, begin) = (sleeps(), Instant::now());
        thread::sleep(Duration::from_secs(4));
        let (after, time) = (sleeps(), begin.elapsed().as_secs_f64());
        let mut kinds = BTreeMap::<_, (usize, u64)>::new();
        for (number, (name, sleeps)) in &after {
            let before = before.get(number).map_or(0, |(_, sleeps)| *sleeps);
            let (threads, times) = kinds.entry(kind(name)).or_default();
            *threads += 1;
            *times += sleeps - before;
        }
        assert!(!kinds.contains_key("ours"), "{after:?}");
        // The reactor has no timer of ours any more.
        let reactor = kinds.get("async-io").copied().unwrap_or_default();
        assert!(reactor.0 <= 1 && reactor.1 <= 8, "{kinds:?}");
        // Each thread of the pool looks twice a second whether it should end, and later if the machine is busy.
        let pool = kinds.get("blocking").copied().unwrap_or_default();
        let most = pool.0 as f64 * (2.0 * time + 2.0);
        assert!(pool.1 as f64 <= most, "{kinds:?}");
        assert_eq!(backend().drainers(), 0);
        let told = kinds.iter().filter(|(kind, _)| **kind != "the test's");
        let told = told.map(|(kind, (threads, sleeps))| {
            format!(
                "{threads} threads of {kind} that wake {:.1} times/s",
                *sleeps as f64 / time
            )
        });
        figure(&format!(
            "idle after a burst of 504 operations, {}: {}",
            name(),
            told.collect::<Vec<_>>().join(", ")
        ));
    });
}
