//! A dead mount hurts only itself: a FUSE file system that stops to answer, with thousands of operations on it.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiofiles::{AlignedBuf, File, OpenOptions, raw_os_error};
use aiofiles_proof::fuse::puppet::{Asked, Puppet, Strings};
use aiofiles_proof::fuse::{BACKENDS, Mounted, backend, own_mounts};
use aiofiles_proof::on_both_backends;
use aiofiles_proof::passthrough::Caching;
use aiofiles_proof::support::*;
use futures_lite::future::block_on;
use futures_lite::{AsyncWriteExt as _, FutureExt as _, StreamExt as _};
use smol::Timer;

/// Those whose threads end or sleep when nothing is to be done.
const RUNTIMES: [Kind; 3] = [Kind::SmolFour, Kind::TokioMulti, Kind::AsyncStd];

/// How many operations hang, of each of these kinds the same number.
const HANGING: usize = 2_002;
const KINDS: usize = 13;

/// How many are done elsewhere meanwhile: hundreds of them at least, and thousands with a scale of 10.
fn elsewhere_count() -> usize {
    iterations(300).next_multiple_of(100)
}

/// How many files there are, and how long each of them is.
const FILES: usize = 50;
const LEN: usize = 10_000;

/// What one of the writes writes.
const PIECE: usize = 16;

fn piece(n: usize) -> Vec<u8> {
    numbered((n + 1) * PIECE).split_off(n * PIECE)
}

/// The mount, and files on it that are open before it stops.
struct Scene {
    mounted: Mounted,
    strings: Strings,
    /// Everybody reads and syncs these.
    open: Vec<Arc<File>>,
    /// Everybody writes to this one, at offsets.
    target: Arc<File>,
}

impl Scene {
    async fn new() -> Scene {
        let (puppet, strings) = Puppet::new(Caching::None, Duration::ZERO);
        for n in 0..FILES {
            strings.put(&format!("{n}"), &numbered(LEN));
        }
        strings.put("target", b"");
        let mounted = Mounted::new(puppet);
        let mut open = Vec::new();
        for n in 0..FILES {
            let file = File::open(mounted.at(&format!("{n}"))).await.unwrap();
            open.push(Arc::new(file));
        }
        let target = open_to_write(&mounted.at("target")).await;
        Scene {
            mounted,
            strings,
            open,
            target: Arc::new(target),
        }
    }

    fn at(&self, n: usize) -> PathBuf {
        self.mounted.at(&format!("{}", n % FILES))
    }

    /// One of the operations, which asserts in the end that it found what it should, and that its file holds what it wrote.
    async fn operation(&self, n: usize, elsewhere: &Path) -> impl Future<Output = ()> + use<> {
        let path = self.at(n);
        let open = self.open[n % FILES].clone();
        let target = self.target.clone();
        let own = self.mounted.at(&format!("own-{n}"));
        let copy = elsewhere.join(format!("copy-{n}"));
        let all = self.mounted.path().to_owned();
        // It is there before all stops.
        let (mut lane, mut foreign) = (None, None);
        if n % KINDS == 12 {
            foreign = Some(std::fs::File::open(&path).unwrap());
        }
        if n % KINDS == 6 {
            self.strings.put(&format!("own-{n}"), b"");
            lane = Some(open_to_write(&own).await);
        }
        async move {
            match n % KINDS {
                0 => drop(File::open(&path).await.unwrap()),
                1 => {
                    let offset = n * 3 % LEN;
                    let (result, buf) = open.read_exact_at(vec![0; 100], offset as u64).await;
                    if offset + 100 <= LEN {
                        result.unwrap();
                        assert_same_bytes(buf, &numbered(LEN)[offset..offset + 100]);
                    } else {
                        assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                    }
                }
                2 => {
                    let offset = (n * PIECE) as u64;
                    target.write_all_at(piece(n), offset).await.0.unwrap();
                }
                3 => assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), LEN as u64),
                4 => {
                    let mut entries = aiofiles::read_dir(&all).await.unwrap();
                    let mut count = 0;
                    while let Some(entry) = entries.next().await {
                        entry.unwrap();
                        count += 1;
                    }
                    assert!(count > FILES, "{count}");
                }
                5 => assert_same_bytes(aiofiles::read(&path).await.unwrap(), numbered(LEN)),
                6 => {
                    let mut lane = lane.unwrap();
                    for n in 0..100 {
                        lane.write_all(&piece(n)).await.unwrap();
                    }
                    lane.flush().await.unwrap();
                }
                7 => open.sync_all().await.unwrap(),
                8 => assert_eq!(aiofiles::canonicalize(&path).await.unwrap(), path),
                9 => {
                    let mode = std::fs::Permissions::from_mode(0o644);
                    aiofiles::set_permissions(&path, mode).await.unwrap();
                }
                10 => aiofiles::write(&own, numbered(1_000)).await.unwrap(),
                11 => {
                    aiofiles::copy(&path, &copy).await.unwrap();
                    assert_same_bytes(std::fs::read(&copy).unwrap(), numbered(LEN));
                }
                // Somebody else has opened it, and nothing is known of it yet.
                _ => {
                    let file = File::from(foreign.unwrap());
                    assert_eq!(file.metadata().await.unwrap().len(), LEN as u64);
                }
            }
        }
    }

    /// What the operations that change something have left.
    fn check(&self, n: usize) {
        let own = format!("own-{n}");
        match n % KINDS {
            2 => {
                let found = self.strings.content("target");
                assert_same_bytes(&found[n * PIECE..(n + 1) * PIECE], piece(n));
            }
            6 => assert_same_bytes(self.strings.content(&own), numbered(100 * PIECE)),
            10 => assert_same_bytes(self.strings.content(&own), numbered(1_000)),
            _ => {}
        }
    }
}

async fn open_to_write(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.write(true).open(path).await.unwrap()
}

/// One of many operations elsewhere, of every kind that hangs on the mount.
async fn elsewhere(n: usize, dir: &Path) {
    let path = dir.join(format!("{n}"));
    aiofiles::write(&path, piece(n)).await.unwrap();
    match n % 6 {
        0 => assert_same_bytes(aiofiles::read(&path).await.unwrap(), piece(n)),
        1 => assert_eq!(aiofiles::metadata(&path).await.unwrap().len(), PIECE as u64),
        2 => {
            let file = OpenOptions::new().read(true).write(true).clone();
            let file = file.open(&path).await.unwrap();
            file.write_all_at(piece(n + 1), PIECE as u64)
                .await
                .0
                .unwrap();
            file.sync_all().await.unwrap();
            let (result, buf) = file.read_exact_at(vec![0; 2 * PIECE], 0).await;
            result.unwrap();
            assert_same_bytes(buf, [piece(n), piece(n + 1)].concat());
        }
        3 => assert_eq!(aiofiles::canonicalize(&path).await.unwrap(), path),
        4 => {
            let to = dir.join(format!("copy of {n}"));
            aiofiles::copy(&path, &to).await.unwrap();
            assert_same_bytes(aiofiles::read(&to).await.unwrap(), piece(n));
        }
        _ => {
            let mode = std::fs::Permissions::from_mode(0o600);
            aiofiles::set_permissions(&path, mode).await.unwrap();
            let mut file = open_to_write(&path).await;
            file.write_all(&piece(n)).await.unwrap();
            file.close().await.unwrap();
        }
    }
    aiofiles::remove_file(&path).await.unwrap();
}

/// The processor time that this process has taken.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn wait_until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        Timer::after(Duration::from_millis(2)).await;
    }
}

/// Thousands of operations hang; nobody else does, and in the end nothing is lost.
async fn stall(rt: Handle) {
    let scene = Scene::new().await;
    let dir = temp_dir();
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut operations = Vec::new();
    for n in 0..HANGING {
        operations.push(scene.operation(n, dir.path()).await);
    }
    // What is accepted before, and while it hangs, is written whoever still holds the file.
    let mut accepted = Vec::new();
    for n in 0..10 {
        let name = format!("accepted-{n}");
        scene.strings.put(&name, b"");
        accepted.push((open_to_write(&scene.mounted.at(&name)).await, name));
    }
    aiofiles::settle().await;
    let idle = thread_count();

    scene.strings.stop();
    let mut tasks = Vec::new();
    for operation in operations {
        let (begun, ended) = (begun.clone(), ended.clone());
        tasks.push(rt.spawn(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            operation.await;
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    let mut names = Vec::new();
    for (mut file, name) in accepted {
        file.write_all(&numbered(5_000)).await.unwrap();
        names.push(name);
        // Half of them are dropped with what they have accepted.
        if names.len() % 2 == 0 {
            tasks.push(rt.spawn(async move { file.close().await.unwrap() }));
        }
    }
    wait_until(|| begun.load(Ordering::SeqCst) == HANGING && scene.strings.waiting() > 0).await;

    // Elsewhere everything goes on.
    let others = elsewhere_count();
    for first in (0..others).step_by(100) {
        let some = (first..first + 100).map(|n| {
            let dir = dir.path().to_owned();
            rt.spawn(async move { elsewhere(n, &dir).await })
        });
        for task in some.collect::<Vec<_>>() {
            task.await;
        }
    }
    assert_eq!(ended.load(Ordering::SeqCst), 0, "nothing answers there");

    // Who does not want to wait need not.
    let mut given_up = Vec::new();
    for n in HANGING..HANGING + 10 * KINDS {
        // Nothing can be opened before.
        if n % KINDS == 6 || n % KINDS == 12 {
            continue;
        }
        let operation = scene.operation(n, dir.path()).await;
        let answered = async {
            operation.await;
            true
        };
        let late = async {
            Timer::after(Duration::from_millis(1)).await;
            false
        };
        assert!(!answered.or(late).await, "operation {n} was answered");
        given_up.push(n);
        assert!(scene.strings.waiting() > 0);
    }

    // It costs next to nothing.
    let (threads, began, before) = (thread_count(), Instant::now(), processor_time());
    Timer::after(Duration::from_secs(1)).await;
    let (taken, time) = (processor_time() - before, began.elapsed());
    assert!(
        taken < time / 4,
        "{taken:?} of processor time in {time:?}, while all wait"
    );
    // Those that take from the queue, those for long operations on the mount and between it and elsewhere, those that
    // `async-fs` performs, and the same elsewhere. All 500 that the pool may have would mean that nothing bounds them.
    assert!(threads < 350, "{threads} threads");
    assert_eq!(ended.load(Ordering::SeqCst), 0, "nothing answers there");
    let waiting = scene.strings.waiting();

    // It comes back.
    scene.strings.go_on();
    for task in tasks {
        task.await;
    }
    assert_eq!(ended.load(Ordering::SeqCst), HANGING);
    aiofiles::settle().await;
    (0..HANGING).for_each(|n| scene.check(n));
    for name in &names {
        assert_same_bytes(scene.strings.content(name), numbered(5_000));
    }
    // What was given up after it had begun is made all the same: `flush` waits for the writes at offsets.
    scene.target.sync_all().await.unwrap();
    for n in given_up {
        if n % KINDS == 2 {
            scene.check(n);
        }
    }
    figure(&format!(
        "stalled: {HANGING} operations hang, {others} elsewhere are done, under {}, {}: {threads} threads ({idle} before), \
         {waiting} requests at the server, {taken:.1?} of processor time in {time:.1?}; all {HANGING} are done when it goes on",
        rt.name(),
        backend()
    ));
}

on_both_backends!(
    two_thousand_operations_hang_on_a_dead_mount_and_nothing_else_does_under_smol,
    || on_runtimes(&[Kind::SmolFour], stall)
);
on_both_backends!(
    two_thousand_operations_hang_on_a_dead_mount_and_nothing_else_does_under_tokio,
    || on_runtimes(&[Kind::TokioMulti], stall)
);
on_both_backends!(
    two_thousand_operations_hang_on_a_dead_mount_and_nothing_else_does_under_async_std,
    || on_runtimes(&[Kind::AsyncStd], stall)
);

/// The kernel takes files of FUSE for ready at any time, so a ring would wait for the server in the call that submits, on
/// the thread of the executor.
#[test]
fn a_direct_read_of_a_dead_mount_does_not_hold_the_executor() {
    let Some(command) = own_mounts("AIOFILES_BACKEND=auto") else {
        return;
    };
    alone_under(&command, || {
        let (puppet, strings) = Puppet::new(Caching::Through, Duration::ZERO);
        strings.put("file", &numbered(8192));
        let mounted = Mounted::new(puppet);
        // A ring that is made is tried out.
        let before = aiofiles::backend().submitted();
        let mut options = OpenOptions::new();
        options.read(true).write(true).direct(true);
        let file = block_on(options.open(mounted.at("file"))).unwrap();
        let buf = || AlignedBuf::with_capacity(4096, 4096).unwrap();
        let (result, found) = block_on(file.read_at(buf(), 4096));
        assert_eq!(result.unwrap(), 4096);

        strings.stop();
        let mut read = pin!(file.read_at(buf(), 4096));
        let mut write = pin!(file.write_at(found, 0));
        assert!(poll_now(read.as_mut()).is_pending());
        assert!(poll_now(write.as_mut()).is_pending());
        strings.go_on();
        let (result, _) = block_on(read);
        assert_eq!(result.unwrap(), 4096);
        let (result, found) = block_on(write);
        assert_eq!(result.unwrap(), 4096);
        assert_same_bytes(&strings.content("file")[..4096], &found[..]);
        assert_eq!(aiofiles::backend().submitted(), before);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// It never comes back

/// What the kernel says of a connection that has ended, to those who waited and to those who come later.
const ENDED: [i32; 2] = [libc::ECONNABORTED, libc::ENOTCONN];

/// The connection ends while operations wait; all are told, and what was accepted is not forgotten.
async fn abort(rt: Handle) {
    const WAITING: usize = 600;
    let scene = Scene::new().await;
    let dir = temp_dir();
    let paths = (0..FILES).map(|n| scene.at(n)).collect::<Vec<_>>();
    let mut lane = open_to_write(&scene.mounted.at("target")).await;
    let mut closed = open_to_write(&scene.mounted.at("0")).await;

    scene.strings.stop();
    let told = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..WAITING {
        let (path, open, told) = (
            paths[n % FILES].clone(),
            scene.open[n % FILES].clone(),
            told.clone(),
        );
        let target = scene.target.clone();
        let copy = dir.path().join(format!("{n}"));
        tasks.push(rt.spawn(async move {
            let result = match n % 8 {
                0 => File::open(&path).await.map(drop),
                1 => open.read_at(vec![0; 10], 0).await.0.map(drop),
                2 => target.write_at(piece(n), 0).await.0.map(drop),
                3 => aiofiles::metadata(&path).await.map(drop),
                4 => aiofiles::read(&path).await.map(drop),
                5 => open.sync_all().await,
                6 => aiofiles::canonicalize(&path).await.map(drop),
                _ => aiofiles::copy(&path, &copy).await.map(drop),
            };
            let error = result.expect_err("it never came back");
            let code = raw_os_error(&error).expect("a code");
            assert!(ENDED.contains(&code), "{n}: {error}");
            told.fetch_add(1, Ordering::SeqCst);
        }));
    }
    lane.write_all(b"accepted").await.unwrap();
    closed.write_all(b"accepted").await.unwrap();
    wait_until(|| scene.strings.waiting() > 0).await;
    assert_eq!(told.load(Ordering::SeqCst), 0);

    scene.mounted.abort();
    for task in tasks {
        task.await;
    }
    // What was accepted cannot be written: told at least once, and again as long as it is not.
    let code = |result: std::io::Result<()>| raw_os_error(&result.expect_err("it is gone"));
    let first = code(lane.flush().await).unwrap();
    assert!(ENDED.contains(&first), "{first}");
    for _ in 0..3 {
        assert_eq!(code(lane.flush().await), Some(libc::ENOTCONN));
        assert_eq!(code(lane.sync_all().await), Some(libc::ENOTCONN));
        assert_eq!(
            code(lane.write(b"more").await.map(drop)),
            Some(libc::ENOTCONN)
        );
    }
    assert_eq!(lane.discard_unwritten().await, 8);
    lane.flush().await.unwrap();
    // A sync of it is final all the same: the kernel itself says no.
    assert_eq!(code(lane.sync_all().await), Some(libc::ENOTCONN));
    // Closing tells it, and closes.
    let said = code(closed.close().await).unwrap();
    assert!(ENDED.contains(&said), "{said}");
    closed.close().await.unwrap();
    assert_eq!(
        closed.write(b"more").await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    // Whoever comes later.
    let later = File::open(&paths[0]).await.unwrap_err();
    assert_eq!(raw_os_error(&later), Some(libc::ENOTCONN));
    assert_eq!(later.kind(), ErrorKind::NotConnected);
    assert!(later.to_string().contains(paths[0].to_str().unwrap()));
    figure(&format!(
        "ended: {} of {WAITING} waiting operations are told, under {}, {}",
        told.load(Ordering::SeqCst),
        rt.name(),
        backend()
    ));
}

on_both_backends!(when_the_connection_ends_everybody_is_told, || {
    on_runtimes(&RUNTIMES, abort);
});

// ---------------------------------------------------------------------------------------------------------------------
// What could be asked without waiting

/// Runs a call on a thread, and says whether it came back while the server did not answer, and with what.
fn comes_back<T: Send + 'static>(
    strings: &Strings,
    asked: Asked,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, usize> {
    let before = (strings.count(asked), strings.waiting());
    strings.stop();
    let thread = std::thread::Builder::new().spawn(call).expect("a thread");
    // It comes back, or the server is asked: one of them must happen.
    while !thread.is_finished() && strings.waiting() == before.1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let result = if thread.is_finished() {
        assert_eq!(strings.count(asked), before.0, "it asked and did not wait");
        Ok(())
    } else {
        assert_eq!(
            strings.count(asked),
            before.0 + 1,
            "it asked something else"
        );
        // Still there a while later.
        std::thread::sleep(Duration::from_millis(50));
        assert!(!thread.is_finished());
        Err(strings.waiting())
    };
    strings.go_on();
    let answer = thread.join().expect("it does not panic");
    result.map(|()| answer)
}

/// An open that the cache of names can answer is no open that need not wait: `openat2` with `RESOLVE_CACHED` finds the file
/// without its file system, and then asks that to open it. So it is no call to make on a thread that must not wait.
#[test]
fn an_open_by_the_cache_of_names_waits_for_the_file_system() {
    let Some(command) = own_mounts(BACKENDS[0]) else {
        return;
    };
    alone_under(&command, || {
        use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
        // The kernel believes names and attributes for an hour.
        let (puppet, strings) = Puppet::new(Caching::Through, Duration::from_secs(3600));
        strings.put("file", b"hello");
        let mounted = Mounted::new(puppet);
        let path = mounted.at("file");
        drop(std::fs::read(&path).unwrap());
        std::fs::metadata(&path).unwrap();

        let at = path.clone();
        let stated = comes_back(&strings, Asked::Attributes, move || {
            let wanted = StatxFlags::BASIC_STATS;
            statx(CWD, &at, AtFlags::STATX_DONT_SYNC, wanted).map(|stat| stat.stx_size)
        });
        assert_eq!(stated, Ok(Ok(5)), "statx with AT_STATX_DONT_SYNC");

        let at = path.clone();
        let plain = comes_back(&strings, Asked::Attributes, move || {
            std::fs::metadata(at).unwrap().len()
        });
        assert_eq!(plain, Ok(5), "stat, of attributes that are believed");

        let open = move || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::CACHED)
        };
        let opened = comes_back(&strings, Asked::Open, open);
        assert_eq!(opened.err(), Some(1), "openat2 with RESOLVE_CACHED");
        figure(
            "cached: on FUSE, openat2(RESOLVE_CACHED, O_NONBLOCK) of a cached name waits for FUSE_OPEN; \
             statx(AT_STATX_DONT_SYNC) of cached attributes does not wait",
        );
    });
}
