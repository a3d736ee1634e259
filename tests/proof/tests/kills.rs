//! Processes that are killed while they write: what the operating system was said to have is in the file, in order.
//!
//! This binary has a `main` of its own (`harness = false` in the manifest) and one thread, so that a child is one `fork` and
//! nothing else. A child says in memory that it shares with its parent what it is about to write, and what it has been
//! promised: after `flush`, an unbuffered write, `write_at`, `close` or `write_atomic` has returned `Ok`. A moment later it is
//! killed.

use std::env;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::{BackendKind, File};
use aiofiles_proof::shared::{Report, Shared};
use aiofiles_proof::support::*;
use fastrand::Rng;
use futures_lite::{AsyncSeekExt as _, AsyncWriteExt as _};

/// How many children are killed under each backend.
const KILLS: usize = 100;

/// A child is killed at most so long after it began to write.
const LATEST: Duration = Duration::from_millis(20);

/// So many things are written to at once at most: files, or blocks of one file.
const TRACKS: usize = 8;

/// A child that has written so much of one track writes no more.
const MOST: usize = 8 << 20;

/// All content is from here: [`content`].
static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| numbered(2 * MOST));

const CHECKS: [(&str, fn()); 2] = [
    ("kills_on_the_thread_pool_lose_nothing", || kills("pool")),
    ("kills_with_rings_lose_nothing", || kills("uring")),
];

fn main() -> ExitCode {
    run_checks(&CHECKS)
}

// ---------------------------------------------------------------------------------------------------------------------
// Children

/// What a child tells.
struct Told {
    /// Writing begins.
    begun: AtomicU64,
    /// The child waits to be killed.
    finished: AtomicU64,
    /// The rings are there.
    uring: AtomicU64,
    /// What rings were given, by the last count.
    submitted: AtomicU64,
    /// What was begun of each track: bytes, or a version.
    sent: [AtomicU64; TRACKS],
    /// What is there, as the crate says.
    promised: [AtomicU64; TRACKS],
}

// SAFETY: nothing but atomic integers.
unsafe impl Report for Told {}

impl Told {
    fn send(&self, track: usize, up_to: usize) {
        self.sent[track].store(up_to as u64, SeqCst);
    }

    /// Says that what was sent of this track is there.
    fn promise(&self, track: usize) {
        self.promised[track].store(self.sent[track].load(SeqCst), SeqCst);
        self.submitted
            .store(aiofiles::backend().submitted(), SeqCst);
    }

    fn sent(&self, track: usize) -> usize {
        self.sent[track].load(SeqCst) as usize
    }

    fn promised(&self, track: usize) -> usize {
        self.promised[track].load(SeqCst) as usize
    }

    fn reset(&self) {
        let Told {
            begun,
            finished,
            uring,
            submitted,
            sent,
            promised,
        } = self;
        let all = [begun, finished, uring, submitted]
            .into_iter()
            .chain(sent)
            .chain(promised);
        all.for_each(|number| number.store(0, SeqCst));
    }
}

/// What a child does. Everything that is random about it is decided before the fork, or by its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `flush` after each piece.
    Flushed,
    /// Unbuffered pieces.
    Unbuffered,
    /// The same two in append mode, behind what was there.
    Appended,
    AppendedUnbuffered,
    /// Blocks of one file, `write_at` and now and then a `flush`.
    At,
    /// Blocks of one file, by way of the position.
    InPlace,
    /// Tasks with a file each, which flush after each piece.
    SeveralFiles,
    /// One new file after another: `write`, or `create` and `close`, or dropped and settled.
    WholeFiles,
    /// One file replaced again and again.
    Replaced,
    /// One new file after another, with `write_atomic`.
    Atomic,
}

impl Shape {
    const ALL: [Shape; 10] = [
        Shape::Flushed,
        Shape::Unbuffered,
        Shape::Appended,
        Shape::AppendedUnbuffered,
        Shape::At,
        Shape::InPlace,
        Shape::SeveralFiles,
        Shape::WholeFiles,
        Shape::Replaced,
        Shape::Atomic,
    ];
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    shape: Shape,
    runtime: Kind,
    /// The largest piece, or the length of all blocks.
    size: usize,
    /// What is in the file before the child comes.
    before: usize,
    seed: u64,
}

impl Plan {
    fn random(rng: &mut Rng) -> Plan {
        let runtimes = [
            Kind::SmolOne,
            Kind::SmolFour,
            Kind::TokioMulti,
            Kind::TokioCurrent,
            Kind::BlockOn,
        ];
        let most = 1 << rng.u32(4..19);
        Plan {
            shape: Shape::ALL[rng.usize(..Shape::ALL.len())],
            runtime: runtimes[rng.usize(..runtimes.len())],
            size: rng.usize(1..=most),
            before: rng.usize(..20_000),
            seed: rng.u64(..),
        }
    }

    /// Puts there what the child begins with.
    fn prepare(self, dir: &Path) {
        fs::create_dir(dir).expect("a directory");
        let path = dir.join("0");
        match self.shape {
            Shape::Appended | Shape::AppendedUnbuffered => fs::write(path, content(0, self.before)),
            Shape::At | Shape::InPlace => {
                let blocks = (0..TRACKS).map(|track| self.version(track, 0));
                fs::write(path, blocks.collect::<Vec<_>>().concat())
            }
            Shape::Replaced => fs::write(path, self.version(0, 0)),
            _ => Ok(()),
        }
        .expect("what the child begins with");
    }

    /// The content of a block, or of a file that is written whole. The lengths of files differ.
    fn version(self, track: usize, version: usize) -> &'static [u8] {
        let whole = matches!(
            self.shape,
            Shape::WholeFiles | Shape::Replaced | Shape::Atomic
        );
        let len = match whole {
            true => self.size.saturating_sub(version % 5 * (self.size / 7)),
            false => self.size,
        };
        content(1 + track + version * TRACKS, len)
    }
}

/// Bytes that differ from those of other numbers nearly everywhere.
fn content(number: usize, len: usize) -> &'static [u8] {
    let begin = number * 1_000_003 % MOST;
    &DATA[begin..begin + len]
}

/// What the child is.
async fn write(plan: Plan, dir: &'static Path, told: &'static Told, rt: Handle) -> io::Result<()> {
    let mut rng = Rng::with_seed(plan.seed);
    let path = dir.join("0");
    let mut options = File::options();
    options.write(true);
    if rng.u8(..4) == 0 {
        options.buffer_size(1 << rng.u32(8..20));
    }
    told.begun.store(1, SeqCst);
    match plan.shape {
        Shape::Flushed => {
            let file = options.create(true).open(path).await?;
            flushed(plan, file, 0, 0, told, rng).await?;
        }
        Shape::Unbuffered => {
            let file = options.create(true).unbuffered(true).open(path).await?;
            unbuffered(plan, file, 0, told, rng).await?;
        }
        Shape::Appended => {
            let file = options.append(true).open(path).await?;
            flushed(plan, file, 0, plan.before, told, rng).await?;
        }
        Shape::AppendedUnbuffered => {
            let file = options.append(true).unbuffered(true).open(path).await?;
            unbuffered(plan, file, plan.before, told, rng).await?;
        }
        Shape::At => {
            let mut file = options.open(path).await?;
            for version in 1.. {
                let (one, other) = two_tracks(&mut rng);
                let write = async |track| {
                    told.send(track, version);
                    let offset = (track * plan.size) as u64;
                    file.write_all_at(plan.version(track, version), offset)
                        .await
                        .0
                };
                let (first, second) = futures_lite::future::zip(write(one), write(other)).await;
                first.and(second)?;
                if rng.bool() {
                    file.flush().await?;
                }
                told.promise(one);
                told.promise(other);
            }
        }
        Shape::InPlace => {
            let mut file = options.open(path).await?;
            for version in 1.. {
                let (one, other) = two_tracks(&mut rng);
                for track in [one, other] {
                    told.send(track, version);
                    let offset = (track * plan.size) as u64;
                    file.seek(io::SeekFrom::Start(offset)).await?;
                    file.write_all(plan.version(track, version)).await?;
                }
                file.flush().await?;
                told.promise(one);
                told.promise(other);
            }
        }
        Shape::SeveralFiles => {
            let tasks = (0..TRACKS).map(|track| {
                let (options, rng) = (options.clone(), rng.fork());
                rt.spawn(async move {
                    let path = dir.join(track.to_string());
                    let file = options.clone().create(true).open(path).await?;
                    flushed(plan, file, track, 0, told, rng).await
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await?;
            }
        }
        Shape::WholeFiles => {
            for n in 0..MOST / plan.size {
                let (path, bytes) = (dir.join(n.to_string()), plan.version(0, n));
                told.send(0, n + 1);
                match rng.u8(..3) {
                    0 => aiofiles::write(path, bytes).await?,
                    way => {
                        let mut file = options.create(true).open(path).await?;
                        file.write_all(bytes).await?;
                        if way == 1 {
                            file.close().await?;
                        } else {
                            drop(file);
                            aiofiles::settle().await;
                        }
                    }
                }
                told.promise(0);
            }
        }
        Shape::Replaced => {
            for version in 1.. {
                told.send(0, version);
                aiofiles::write_atomic(&path, plan.version(0, version)).await?;
                told.promise(0);
            }
        }
        Shape::Atomic => {
            for n in 0..MOST / plan.size {
                told.send(0, n + 1);
                let path = dir.join(n.to_string());
                aiofiles::write_atomic(path, plan.version(0, n)).await?;
                told.promise(0);
            }
        }
    }
    Ok(())
}

fn two_tracks(rng: &mut Rng) -> (usize, usize) {
    let one = rng.usize(..TRACKS);
    (one, (one + rng.usize(1..TRACKS)) % TRACKS)
}

/// Writes pieces, and flushes after some. The file has `begin` bytes already.
async fn flushed(
    plan: Plan,
    mut file: File,
    track: usize,
    begin: usize,
    told: &Told,
    mut rng: Rng,
) -> io::Result<()> {
    let mut end = begin;
    told.send(track, end);
    while end < MOST - 3 * plan.size {
        for _ in 0..rng.usize(1..4) {
            let piece = &content(track, MOST)[end..end + rng.usize(1..=plan.size)];
            end += piece.len();
            told.send(track, end);
            file.write_all(piece).await?;
        }
        file.flush().await?;
        told.promise(track);
    }
    Ok(())
}

async fn unbuffered(
    plan: Plan,
    mut file: File,
    mut end: usize,
    told: &Told,
    mut rng: Rng,
) -> io::Result<()> {
    while end < MOST - plan.size {
        let piece = &content(0, MOST)[end..end + rng.usize(1..=plan.size)];
        told.send(0, end + piece.len());
        end += file.write(piece).await?;
        told.send(0, end);
        told.promise(0);
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// The parent

fn kills(backend: &str) {
    let dir = temp_dir();
    let seed = Seed::new();
    let mut rng = seed.rng();
    let told: &'static Shared<Told> = Box::leak(Box::new(Shared::new()));
    LazyLock::force(&DATA);
    let count = iterations(KILLS);
    let mut tally = Tally::default();
    for n in 0..count {
        let plan = Plan::random(&mut rng);
        let place: &'static Path = Box::leak(dir.path().join(n.to_string()).into_boxed_path());
        plan.prepare(place);
        told.reset();
        killed(
            plan,
            backend,
            place,
            told,
            rng.u32(..=LATEST.as_micros() as u32),
        );
        if (told.uring.load(SeqCst) == 1) != (backend == "uring") {
            return skip("io_uring");
        }
        tally.submitted += told.submitted.load(SeqCst);
        catch_unwind(AssertUnwindSafe(|| plan.check(place, told, &mut tally)))
            .unwrap_or_else(|_| panic!("kill {n} under {backend}: {plan:?}"));
        fs::remove_dir_all(place).expect("the directory goes");
    }
    match backend {
        "uring" if tally.submitted == 0 => return skip("operations that go to io_uring"),
        "pool" => assert_eq!(tally.submitted, 0, "the pool was asked for"),
        _ => {}
    }
    let Tally {
        amid,
        bytes,
        versions,
        temporary,
        submitted,
    } = tally;
    figure(&format!(
        "kills: {count} under {backend}, {amid} of them amid a write; {bytes} bytes and {versions} versions promised, \
         0 lost; {temporary} temporary files left, {submitted} operations on rings"
    ));
}

/// Has a child write, and kills it `after` so many microseconds.
fn killed(plan: Plan, backend: &str, dir: &'static Path, told: &'static Told, after: u32) {
    let child = Child::fork(|| {
        // SAFETY: this process has one thread, and nobody has looked at the environment but that one.
        unsafe { env::set_var("AIOFILES_BACKEND", backend) };
        let uring = aiofiles::backend().kind() == BackendKind::Uring;
        told.uring.store(uring.into(), SeqCst);
        let runtime = Runtime::new(plan.runtime);
        let handle = runtime.handle();
        let end = runtime.block_on(write(plan, dir, told, handle));
        end.expect("nothing stands in the way of writing");
        told.finished.store(1, SeqCst);
        loop {
            thread::park();
        }
    });
    child.wait_until(|| told.begun.load(SeqCst) == 1);
    thread::sleep(Duration::from_micros(after.into()));
    child.kill();
}

struct Child(libc::pid_t);

impl Child {
    /// The child runs `body`, which does not return, in a copy of this process, which has one thread.
    fn fork(body: impl FnOnce()) -> Child {
        let threads = thread_count();
        assert_eq!(threads, 1, "other threads would be missing in the child");
        // SAFETY: the only thread goes on in the child, so everything is as it left it.
        match unsafe { libc::fork() } {
            0 => {
                // Where it panics, that is all: what belongs to the parent stays.
                let _ = catch_unwind(AssertUnwindSafe(body));
                // SAFETY: it ends the process.
                unsafe { libc::_exit(1) }
            }
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            pid => Child(pid),
        }
    }

    /// Waits for a word of the child.
    fn wait_until(&self, word: impl Fn() -> bool) {
        let since = Instant::now();
        while !word() {
            assert_eq!(
                self.status(libc::WNOHANG),
                None,
                "the child has ended by itself"
            );
            if since.elapsed() > Duration::from_secs(120) {
                self.kill();
                panic!("the child hangs");
            }
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Kills it, and waits until it is no more.
    fn kill(&self) {
        // SAFETY: it is our child, and was not waited for, so the number is still its own.
        let sent = unsafe { libc::kill(self.0, libc::SIGKILL) };
        assert_eq!(sent, 0, "{}", io::Error::last_os_error());
        let status = self.status(0).expect("it is waited for");
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        assert!(killed, "the child has ended by itself: {status:#x}");
    }

    fn status(&self, flags: i32) -> Option<i32> {
        let mut status = 0;
        // SAFETY: it writes to `status` only.
        match unsafe { libc::waitpid(self.0, &raw mut status, flags) } {
            0 => None,
            pid if pid == self.0 => Some(status),
            _ => panic!("waitpid: {}", io::Error::last_os_error()),
        }
    }
}

#[derive(Default)]
struct Tally {
    /// Children that were killed while something was on its way.
    amid: usize,
    /// Bytes of streams that were promised and found.
    bytes: usize,
    /// Versions of blocks, and whole files, that were.
    versions: usize,
    /// Temporary files that `write_atomic` has left behind.
    temporary: usize,
    submitted: u64,
}

impl Plan {
    /// Compares what is there with what was promised, and with what was sent after that.
    fn check(self, dir: &Path, told: &Told, tally: &mut Tally) {
        let mut amid = false;
        match self.shape {
            Shape::Flushed
            | Shape::Unbuffered
            | Shape::Appended
            | Shape::AppendedUnbuffered
            | Shape::SeveralFiles => {
                let before = match self.shape {
                    Shape::Appended | Shape::AppendedUnbuffered => self.before,
                    _ => 0,
                };
                for track in 0..TRACKS {
                    let (promised, sent) = (told.promised(track), told.sent(track).max(before));
                    amid |= promised < sent;
                    let Ok(found) = fs::read(dir.join(track.to_string())) else {
                        assert_eq!(promised, 0, "file {track} is missing");
                        continue;
                    };
                    assert!(
                        (promised.max(before)..=sent).contains(&found.len()),
                        "of file {track}, {promised} bytes were promised, {sent} sent, {} are there",
                        found.len()
                    );
                    assert_same_bytes(&found, content(track, found.len()));
                    tally.bytes += promised;
                }
            }
            Shape::At | Shape::InPlace => {
                let found = fs::read(dir.join("0")).expect("the file");
                assert_eq!(found.len(), self.size * TRACKS);
                for (track, found) in found.chunks(self.size).enumerate() {
                    let (promised, sent) = (told.promised(track), told.sent(track));
                    amid |= promised < sent;
                    // A beginning of the new, and of what was there before, the rest.
                    let (old, new) = (self.version(track, promised), self.version(track, sent));
                    let begin = found.iter().zip(new).take_while(|(a, b)| a == b).count();
                    assert_same_bytes(&found[begin..], &old[begin..]);
                    tally.versions += promised;
                }
            }
            Shape::WholeFiles | Shape::Atomic => {
                let (promised, sent) = (told.promised(0), told.sent(0));
                amid |= promised < sent;
                for n in 0..promised {
                    let found = fs::read(dir.join(n.to_string())).expect("the file was promised");
                    assert_same_bytes(found, self.version(0, n));
                }
                for n in promised..sent {
                    let Ok(found) = fs::read(dir.join(n.to_string())) else {
                        continue;
                    };
                    let whole = self.version(0, n);
                    let part = match self.shape {
                        Shape::Atomic => whole.len(),
                        _ => found.len(),
                    };
                    assert_same_bytes(found, &whole[..part]);
                }
                tally.versions += promised;
                self.check_names(dir, sent, tally);
            }
            Shape::Replaced => {
                let (promised, sent) = (told.promised(0), told.sent(0));
                amid |= promised < sent;
                let found = fs::read(dir.join("0")).expect("it was there, and is replaced");
                let (old, new) = (self.version(0, promised), self.version(0, sent));
                assert_same_bytes(&found, if found == old { old } else { new });
                tally.versions += promised;
                self.check_names(dir, 1, tally);
            }
        }
        tally.amid += usize::from(amid);
    }

    /// There is nothing but the files that were sent, and of `write_atomic` one file that it had not yet renamed.
    fn check_names(self, dir: &Path, sent: usize, tally: &mut Tally) {
        let mut temporary = 0;
        for entry in fs::read_dir(dir).expect("the directory") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("a plain name");
            if name.starts_with(".aiofiles-") && self.shape != Shape::WholeFiles {
                temporary += 1;
            } else {
                let n = name.parse::<usize>().expect("a number");
                assert!(n < sent, "nobody has sent {n}");
            }
        }
        assert!(temporary <= 1, "{temporary} temporary files");
        tally.temporary += temporary;
    }
}
