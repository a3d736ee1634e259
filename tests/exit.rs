//! The ends of a process: whatever a file had accepted by then is in it.
//!
//! This binary has a `main` of its own (`harness = false` in the manifest), because its children leave through it. Without
//! the variable [`CHILD`] it runs the checks at the bottom, each of which starts it again as a child, many times.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests end the process on threads of every kind, those of the pool too"
)]

#[path = "common/mod.rs"]
mod support;

use std::env;
use std::future::{Future, pending};
use std::io::{ErrorKind, Write as _};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio, exit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::File;
use aiofiles::tempfile::{Builder, NamedTemporaryFile, TemporaryDirectory};
use futures_lite::AsyncWriteExt as _;
use support::*;

/// Present in the environment of children: how they are to end, under which runtime, and the seed of what they write.
const CHILD: &str = "AIOFILES_TEST_EXIT";

/// How many bytes a child writes at most.
const MOST: usize = 1 << 20;

fn main() -> ExitCode {
    if let Ok(plan) = env::var(CHILD) {
        let words = plan.split(' ').collect::<Vec<_>>();
        let [way, runtime, seed] = words[..] else {
            panic!("the plan of a child has three words: {plan}")
        };
        let kind = Kind::ALL[runtime.parse::<usize>().expect("an index")];
        let rng = fastrand::Rng::with_seed(seed.parse().expect("a seed"));
        let path = env::args_os().nth(1).expect("the path of the file");
        return child(way, kind, rng, Path::new(&path));
    }
    run_checks(CHECKS)
}

// ---------------------------------------------------------------------------------------------------------------------
// Children

/// Writes to `path`, and ends in the way asked for.
fn child(way: &str, kind: Kind, mut rng: fastrand::Rng, path: &Path) -> ExitCode {
    let runtime = Runtime::new(kind);
    let path = path.to_owned();
    match way {
        // The file is dropped, then the runtime, then `main` returns.
        "return" => {
            runtime.block_on(async move { drop(accept(&path, &mut rng).await) });
        }
        // The file outlives the runtime, and nothing ever drops it.
        "return-leaked" => {
            let file = runtime.block_on(async move { accept(&path, &mut rng).await });
            drop(runtime);
            std::mem::forget(file);
        }
        "exit" => runtime.block_on(async move {
            let _file = accept(&path, &mut rng).await;
            exit(0)
        }),
        "exit-dropped" => runtime.block_on(async move {
            drop(accept(&path, &mut rng).await);
            exit(0)
        }),
        // On a thread that belongs to nobody, while the runtime is busy elsewhere.
        "exit-elsewhere" => {
            let file = runtime.block_on(async move { accept(&path, &mut rng).await });
            let thread = thread::spawn(move || {
                let _file = file;
                exit(0)
            });
            let _ = thread.join();
        }
        // On a thread of the very pool that performs the writes.
        "exit-in-pool" => runtime.block_on(async move {
            let _file = accept(&path, &mut rng).await;
            smol::unblock(|| exit(0)).await;
        }),
        "panic" => runtime.block_on(async move {
            let _file = accept(&path, &mut rng).await;
            panic!("as planned")
        }),
        // The runtime drops the task, and the task the file.
        "drop-runtime" => {
            let (tell, told) = smol::channel::bounded::<()>(1);
            let task = runtime.handle().spawn(async move {
                let file = accept(&path, &mut rng).await;
                let _ = tell.send(()).await;
                pending::<()>().await;
                drop(file);
            });
            runtime.block_on(async move { told.recv().await.expect("the task accepts") });
            drop(runtime);
            drop(task);
        }
        // No hook runs, so what counts is what was flushed.
        "abort-flushed" => runtime.block_on(async move {
            let mut file = accept(&path, &mut rng).await;
            file.flush().await.expect("flushed");
            std::process::abort()
        }),
        "abort-unbuffered" => runtime.block_on(async move {
            let mut file = File::options()
                .write(true)
                .create(true)
                .unbuffered(true)
                .open(&path)
                .await
                .expect("a new file");
            write_pieces(&mut file, &mut rng).await;
            std::process::abort()
        }),
        "many-files" => runtime.block_on(async move {
            let mut files = Vec::new();
            for n in 0..MANY {
                let mut file = File::create(path.join(n.to_string())).await.expect("new");
                file.write_all(&numbered(rng.usize(1..64 << 10)))
                    .await
                    .expect("accepted");
                files.push(file);
            }
            exit(0)
        }),
        // What goes away has to go by then.
        "temporary-return" => {
            runtime.block_on(async move { drop(temporary(&path, &mut rng).await) });
        }
        "temporary-exit" => runtime.block_on(async move {
            drop(temporary(&path, &mut rng).await);
            exit(0)
        }),
        "temporary-in-pool" => runtime.block_on(async move {
            drop(temporary(&path, &mut rng).await);
            smol::unblock(|| exit(0)).await;
        }),
        "temporary-closed" => runtime.block_on(async move {
            let (files, dirs) = temporary(&path, &mut rng).await;
            for mut file in files {
                let _ = poll_once(file.close()).await;
            }
            for mut dir in dirs {
                let _ = poll_once(dir.close()).await;
            }
            exit(0)
        }),
        // A pool of the user's own that does nothing any more once the bytes are accepted.
        "executor" => runtime.block_on(async move {
            static KEPT: Mutex<Option<Vec<aiofiles::Work>>> = Mutex::new(None);
            let pool = |work: aiofiles::Work| {
                if let Some(kept) = &mut *KEPT.lock().expect("no panic") {
                    return kept.push(work);
                }
                thread::spawn(|| work.run());
            };
            let mut options = File::options();
            let options = options.write(true).create(true).executor(pool);
            let mut file = options.open(&path).await.expect("a new file");
            file.flush().await.expect("it is open");
            *KEPT.lock().expect("no panic") = Some(Vec::new());
            // As much as is accepted before anything is written.
            let accepted = file.write(&numbered(rng.usize(1..MOST))).await;
            report(accepted.expect("accepted"));
            exit(0)
        }),
        // The only thread there may be sits in a call that does not return.
        #[cfg(feature = "testing")]
        "stuck" => runtime.block_on(async move {
            use aiofiles::testing::{Call, Faults};

            let mut file = File::create(&path).await.expect("a new file");
            aiofiles::set_max_concurrent_operations(1);
            {
                let faults = Faults::install();
                let gate = faults.stall(Call::Metadata, 0, 1);
                let mut asking = Box::pin(aiofiles::metadata("."));
                assert!(poll_now(asking.as_mut()).is_pending());
                while gate.waiting() == 0 {
                    thread::yield_now();
                }
                std::mem::forget(asking);
            }
            let accepted = file.write(&numbered(rng.usize(1..MOST))).await;
            report(accepted.expect("accepted"));
            exit(0)
        }),
        "busy" => busy(runtime, &path),
        "in-waker" => in_waker(runtime, path),
        _ => panic!("no such way to end: {way}"),
    }
    ExitCode::SUCCESS
}

/// What goes away, in a new directory: files, files with bytes on their way, or directories with files in them. Only one
/// of these, because the end of the process may wait for one and forget another.
async fn temporary(
    path: &Path,
    rng: &mut fastrand::Rng,
) -> (Vec<NamedTemporaryFile>, Vec<TemporaryDirectory>) {
    const COUNT: usize = 30;
    std::fs::create_dir(path).expect("a directory");
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    let mut options = Builder::new();
    options.dir(path);
    let what = rng.usize(..3);
    for n in 0..COUNT {
        if what == 2 {
            let dir = options.temporary_directory().await.expect("a directory");
            for name in 0..20 {
                std::fs::write(dir.path().join(name.to_string()), "").expect("a file");
            }
            dirs.push(dir);
        } else {
            files.push(options.named_temporary_file().await.expect("a file"));
        }
        if what == 1 {
            let bytes = numbered(n * 10_000);
            files[n].write_all(&bytes).await.expect("accepted");
        }
    }
    assert_eq!(std::fs::read_dir(path).expect("a directory").count(), COUNT);
    (files, dirs)
}

/// How many files the child of `many-files` leaves.
const MANY: usize = 100;

/// Creates the file, and has it accept a number of bytes that the generator decides: reported to the parent, because
/// `write` may accept fewer than it is given.
async fn accept(path: &Path, rng: &mut fastrand::Rng) -> File {
    let mut file = File::create(path).await.expect("a new file");
    write_pieces(&mut file, rng).await;
    file
}

async fn write_pieces(file: &mut File, rng: &mut fastrand::Rng) {
    // Small sizes are as likely as large ones.
    let most = MOST >> rng.u32(0..20);
    let len = rng.usize(1..=most);
    let bytes = numbered(len);
    let mut accepted = 0;
    if rng.bool() {
        // In the usual way, in a few pieces.
        let piece = rng.usize(1..=len).max(len / 16);
        for piece in bytes.chunks(piece) {
            file.write_all(piece).await.expect("accepted");
        }
        accepted = len;
    } else {
        for _ in 0..rng.usize(1..4) {
            accepted += file.write(&bytes[accepted..]).await.expect("accepted");
        }
    }
    report(accepted);
}

/// Tells the parent how many bytes were accepted.
fn report(accepted: usize) {
    let mut out = std::io::stdout();
    out.write_all(format!("{accepted}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
}

/// The process exits while other threads write and do not stop.
fn busy(runtime: Runtime, path: &Path) {
    static ACCEPTED: [AtomicUsize; WRITERS] = [const { AtomicUsize::new(0) }; WRITERS];
    std::fs::create_dir(path).expect("a directory");
    let runtime = std::sync::Arc::new(runtime);
    for (n, total) in ACCEPTED.iter().enumerate() {
        let (runtime, path) = (runtime.clone(), path.join(n.to_string()));
        thread::spawn(move || {
            runtime.block_on(async move {
                let mut file = File::create(path).await.expect("a new file");
                let bytes = numbered(MOST);
                let mut accepted = 0;
                while accepted < FAR_TOO_MUCH {
                    let n = file.write(&bytes[accepted % MOST..]).await;
                    accepted += n.expect("accepted");
                    total.store(accepted, Ordering::SeqCst);
                }
            });
            // The exit waits for us, and not only for what was accepted before it.
            std::process::abort();
        });
    }
    let totals = || {
        ACCEPTED
            .each_ref()
            .map(|total| total.load(Ordering::SeqCst))
    };
    while totals().iter().any(|&total| total < MOST) {
        thread::yield_now();
    }
    let [a, b, c, d] = totals();
    println!("{a} {b} {c} {d}");
    exit(0);
}

/// How many threads of the child of `busy` write.
const WRITERS: usize = 4;

/// What each of them writes before the exit counts as one that does not come.
const FAR_TOO_MUCH: usize = 256 << 20;

/// The process exits in a waker, which a job of the pool wakes while it holds accepted bytes.
fn in_waker(runtime: Runtime, path: std::path::PathBuf) {
    struct Exit;
    impl std::task::Wake for Exit {
        fn wake(self: std::sync::Arc<Self>) {
            exit(0)
        }
    }
    runtime.block_on(async move {
        let mut file = File::create(path).await.expect("a new file");
        let bytes = numbered(MOST);
        let waker = std::task::Waker::from(std::sync::Arc::new(Exit));
        let mut cx = std::task::Context::from_waker(&waker);
        let mut accepted = 0;
        // Until a write has to wait, and leaves its waker with the job.
        loop {
            let piece = &bytes[accepted % MOST..];
            let poll = std::pin::pin!(file.write(piece)).poll(&mut cx);
            match poll {
                std::task::Poll::Ready(n) => accepted += n.expect("accepted"),
                std::task::Poll::Pending => break,
            }
            report(accepted);
        }
        loop {
            thread::park();
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Checks

/// What came of a child.
struct Ended {
    /// The numbers of bytes that it said last were accepted.
    accepted: Vec<usize>,
    code: Option<i32>,
    errors: String,
}

/// Starts this binary as a child and waits for its end. Panics if that does not come.
fn run_child(way: &str, kind: Kind, seed: u64, path: &Path) -> Ended {
    let runtime = Kind::ALL.iter().position(|&known| known == kind);
    let mut child = Command::new(env::current_exe().expect("the path of this binary"))
        .arg(path)
        .env(
            CHILD,
            format!("{way} {} {seed}", runtime.expect("a known kind")),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary starts again");
    // Not a limit on speed: the crate itself gives up after 10 s without progress.
    let limit = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().expect("a child to wait for") {
            Some(status) => break status,
            None if Instant::now() < limit => thread::sleep(Duration::from_millis(1)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{way}, {kind}, seed {seed}: the process did not end within a minute");
            }
        }
    };
    let output = child.wait_with_output().expect("what the child printed");
    let told = String::from_utf8_lossy(&output.stdout);
    Ended {
        accepted: told.lines().last().map_or(Vec::new(), |line| {
            let numbers = line.split(' ').map(str::parse);
            numbers.collect::<Result<_, _>>().expect("numbers of bytes")
        }),
        code: status.code(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `round` for each of so many rounds, a few at a time, each with a file of its own.
fn rounds(count: usize, round: impl Fn(usize, &Path) + Sync) {
    let dir = temp_dir();
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || failure.lock().expect("no panic").is_some() {
                        return;
                    }
                    let path = dir.path().join(n.to_string());
                    let result = catch_unwind(std::panic::AssertUnwindSafe(|| round(n, &path)));
                    if let Err(panic) = result {
                        failure.lock().expect("no panic").get_or_insert(panic);
                    }
                    match std::fs::remove_file(&path) {
                        Err(error) if error.kind() != ErrorKind::NotFound => {
                            let _ = std::fs::remove_dir_all(&path);
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    if let Some(panic) = failure.into_inner().expect("no panic") {
        std::panic::resume_unwind(panic);
    }
}

/// Ends so many children in this way, the runtimes taking turns, and looks for the bytes they had accepted.
fn nothing_is_lost(way: &str, kinds: &[Kind], code: Option<i32>) {
    let seed = Seed::new();
    rounds(iterations(100), |n, path| {
        let kind = kinds[n % kinds.len()];
        let seed = seed.value().wrapping_add(n as u64);
        let ended = run_child(way, kind, seed, path);
        assert_eq!(
            ended.code, code,
            "{way}, {kind}, seed {seed}: {}",
            ended.errors
        );
        let found = std::fs::read(path).expect("the file exists");
        assert_eq!(
            ended.accepted,
            [found.len()],
            "{way}, {kind}, seed {seed}: bytes accepted, and bytes in the file"
        );
        assert!(!found.is_empty(), "nothing was accepted");
        assert_same_bytes(&found, numbered(found.len()));
    });
}

const WHEN_MAIN_RETURNS: fn() = || nothing_is_lost("return", &RUNTIMES, Some(0));
const WHEN_THE_FILE_IS_NEVER_DROPPED: fn() =
    || nothing_is_lost("return-leaked", &RUNTIMES, Some(0));
const BY_EXIT: fn() = || nothing_is_lost("exit", &RUNTIMES, Some(0));
const BY_DROP_AND_EXIT: fn() = || nothing_is_lost("exit-dropped", &RUNTIMES, Some(0));
const BY_EXIT_ON_ANOTHER_THREAD: fn() = || nothing_is_lost("exit-elsewhere", &RUNTIMES, Some(0));
const BY_EXIT_IN_A_POOL_JOB: fn() = || nothing_is_lost("exit-in-pool", &RUNTIMES, Some(0));
const BY_EXIT_BEFORE_ITS_POOL_BEGINS: fn() = || nothing_is_lost("executor", &RUNTIMES, Some(0));
const BY_A_PANIC_IN_MAIN: fn() = || nothing_is_lost("panic", &RUNTIMES, Some(101));
const BY_DROPPING_THE_RUNTIME: fn() = || {
    nothing_is_lost(
        "drop-runtime",
        &[
            Kind::SmolOne,
            Kind::SmolFour,
            Kind::TokioMulti,
            Kind::TokioCurrent,
        ],
        Some(0),
    );
};
#[cfg(feature = "testing")]
const BY_EXIT_WHILE_EVERY_THREAD_IS_STUCK: fn() = || nothing_is_lost("stuck", &RUNTIMES, Some(0));
/// A child that aborts has no code.
const WHAT_WAS_FLUSHED_BY_ABORT: fn() = || nothing_is_lost("abort-flushed", &RUNTIMES, None);
const WHAT_WAS_WRITTEN_UNBUFFERED_BY_ABORT: fn() =
    || nothing_is_lost("abort-unbuffered", &RUNTIMES, None);

/// All but the hostile executor, whose threads are its own.
const RUNTIMES: [Kind; 6] = [
    Kind::SmolOne,
    Kind::SmolFour,
    Kind::AsyncStd,
    Kind::TokioMulti,
    Kind::TokioCurrent,
    Kind::BlockOn,
];

fn a_hundred_files_with_bytes_on_their_way_are_all_whole() {
    let seed = Seed::new();
    rounds(iterations(20), |n, path| {
        std::fs::create_dir(path).expect("a directory");
        let kind = RUNTIMES[n % RUNTIMES.len()];
        let seed = seed.value().wrapping_add(n as u64);
        let ended = run_child("many-files", kind, seed, path);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let mut rng = fastrand::Rng::with_seed(seed);
        for n in 0..MANY {
            let found = std::fs::read(path.join(n.to_string())).expect("the file exists");
            assert_same_bytes(found, numbered(rng.usize(1..64 << 10)));
        }
    });
}

fn what_was_accepted_before_exit_is_there_though_threads_keep_writing() {
    let whole = numbered(MOST);
    rounds(iterations(12), |_, path| {
        // The writers share no thread.
        let kind = Kind::BlockOn;
        let ended = run_child("busy", kind, 0, path);
        assert_eq!(
            ended.code,
            Some(0),
            "{kind}: the process did not end while its threads wrote {FAR_TOO_MUCH} bytes each; {}",
            ended.errors
        );
        assert_eq!(ended.accepted.len(), WRITERS);
        for (n, &accepted) in ended.accepted.iter().enumerate() {
            let found = std::fs::read(path.join(n.to_string())).expect("the file exists");
            assert!(
                found.len() >= accepted,
                "{kind}: {accepted} bytes were accepted before exit, and the file has {}",
                found.len()
            );
            for (index, part) in found.chunks(MOST).enumerate() {
                assert!(part == &whole[..part.len()], "part {index} differs");
            }
        }
    });
}

fn what_is_temporary_is_gone_if_it_was_dropped_before_the_end() {
    let ways = [
        "temporary-return",
        "temporary-exit",
        "temporary-in-pool",
        "temporary-closed",
    ];
    let seed = Seed::new();
    rounds(iterations(96), |n, path| {
        let (way, kind) = (
            ways[n % ways.len()],
            RUNTIMES[n / ways.len() % RUNTIMES.len()],
        );
        let seed = seed.value().wrapping_add(n as u64);
        let ended = run_child(way, kind, seed, path);
        assert_eq!(ended.code, Some(0), "{way}, {kind}: {}", ended.errors);
        let left = std::fs::read_dir(path).expect("its directory").count();
        assert_eq!(
            left, 0,
            "{way}, {kind}: files and directories that are left"
        );
    });
}

fn nothing_is_lost_by_exit_in_a_waker_that_the_writing_job_wakes() {
    let whole = numbered(MOST);
    rounds(iterations(20), |n, path| {
        let kind = RUNTIMES[n % RUNTIMES.len()];
        let ended = run_child("in-waker", kind, 0, path);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let found = std::fs::read(path).expect("the file exists");
        assert_eq!(
            ended.accepted,
            [found.len()],
            "{kind}: bytes accepted, and bytes in the file"
        );
        for part in found.chunks(MOST) {
            assert_same_bytes(part, &whole[..part.len()]);
        }
    });
}

const CHECKS: &[(&str, fn())] = &[
    ("nothing_is_lost_when_main_returns", WHEN_MAIN_RETURNS),
    (
        "nothing_is_lost_when_the_file_is_never_dropped",
        WHEN_THE_FILE_IS_NEVER_DROPPED,
    ),
    ("nothing_is_lost_by_exit", BY_EXIT),
    ("nothing_is_lost_by_drop_and_exit", BY_DROP_AND_EXIT),
    (
        "nothing_is_lost_by_exit_on_another_thread",
        BY_EXIT_ON_ANOTHER_THREAD,
    ),
    (
        "nothing_is_lost_by_exit_in_a_pool_job",
        BY_EXIT_IN_A_POOL_JOB,
    ),
    (
        "nothing_is_lost_by_exit_before_its_pool_begins",
        BY_EXIT_BEFORE_ITS_POOL_BEGINS,
    ),
    #[cfg(feature = "testing")]
    (
        "nothing_is_lost_by_exit_while_every_thread_is_stuck",
        BY_EXIT_WHILE_EVERY_THREAD_IS_STUCK,
    ),
    ("nothing_is_lost_by_a_panic_in_main", BY_A_PANIC_IN_MAIN),
    (
        "nothing_is_lost_by_dropping_the_runtime",
        BY_DROPPING_THE_RUNTIME,
    ),
    (
        "what_was_flushed_is_not_lost_by_abort",
        WHAT_WAS_FLUSHED_BY_ABORT,
    ),
    (
        "what_was_written_unbuffered_is_not_lost_by_abort",
        WHAT_WAS_WRITTEN_UNBUFFERED_BY_ABORT,
    ),
    (
        "a_hundred_files_with_bytes_on_their_way_are_all_whole",
        a_hundred_files_with_bytes_on_their_way_are_all_whole,
    ),
    (
        "what_was_accepted_before_exit_is_there_though_threads_keep_writing",
        what_was_accepted_before_exit_is_there_though_threads_keep_writing,
    ),
    (
        "what_is_temporary_is_gone_if_it_was_dropped_before_the_end",
        what_is_temporary_is_gone_if_it_was_dropped_before_the_end,
    ),
    (
        "nothing_is_lost_by_exit_in_a_waker_that_the_writing_job_wakes",
        nothing_is_lost_by_exit_in_a_waker_that_the_writing_job_wakes,
    ),
];
