//! A storm of signals, whose handler lets no system call be restarted, over everything: no call is seen to be interrupted,
//! and all data are right.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std has no signals")]
#![allow(
    clippy::disallowed_methods,
    reason = "the storm comes from a thread of its own"
)]

use std::io::{self, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aiofiles::tempfile::{NamedTemporaryFile, TemporaryDirectory};
use aiofiles::{File, OpenOptions, backend};
use aiofiles_proof::backends::{each_backend, is_there, name};
use aiofiles_proof::support::*;
use futures_lite::future::zip;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Signals that were handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// A thread that sends a signal to every other thread, ten thousand times a second.
struct Storm {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    begin: Instant,
}

impl Storm {
    const PAUSE: Duration = Duration::from_micros(100);

    fn begin() -> Storm {
        // SAFETY: zeros are an empty mask and no flags: system calls are not restarted.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler does nothing but count.
        let set =
            unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let stop = Arc::<AtomicBool>::default();
        let own = stop.clone();
        let thread = thread::spawn(move || Storm::blow(&own));
        Storm {
            stop,
            thread: Some(thread),
            begin: Instant::now(),
        }
    }

    fn blow(stop: &AtomicBool) {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let process = std::process::id() as libc::pid_t;
        let begin = Instant::now();
        let mut threads = Vec::new();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            if sent % 64 == 0 {
                let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
                let tasks = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
                threads = tasks
                    .filter(|task| *task != own)
                    .collect::<Vec<libc::pid_t>>();
            }
            for thread in &threads {
                // SAFETY: it takes numbers. A thread that has gone gets nothing.
                unsafe { libc::syscall(libc::SYS_tgkill, process, *thread, libc::SIGUSR1) };
            }
            sent += 1;
            // Whoever comes late does not make up for it.
            let due = Storm::PAUSE * sent;
            let late = begin.elapsed();
            if late < due {
                thread::sleep(due - late);
            } else {
                sent = (late.as_micros() / Storm::PAUSE.as_micros()) as u32;
            }
        }
    }

    /// Signals that were handled, and how many a second.
    fn figures(&self) -> (u64, u64) {
        let handled = HANDLED.load(Ordering::Relaxed);
        (
            handled,
            handled * 1000 / (self.begin.elapsed().as_millis() as u64).max(1),
        )
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Does one thing in `dir`, which belongs to this task, and checks what came of it. Returns how many calls that was.
async fn step(dir: &Path, rng: &mut fastrand::Rng) -> io::Result<usize> {
    let path = dir.join("file");
    let other = dir.join("other");
    let bytes = numbered(rng.usize(1..40_000));
    match rng.usize(..18) {
        0 => {
            aiofiles::write(&path, &bytes).await?;
            assert_same_bytes(aiofiles::read(&path).await?, &bytes);
            Ok(2)
        }
        1 => {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            let mut file = options.unbuffered(rng.bool()).open(&path).await?;
            for piece in bytes.chunks(5000) {
                file.write_all(piece).await?;
            }
            file.flush().await?;
            file.seek(SeekFrom::Start(0)).await?;
            let mut found = Vec::new();
            file.read_to_end(&mut found).await?;
            assert_same_bytes(found, &bytes);
            file.close().await?;
            Ok(6)
        }
        2 => {
            let mut file = File::create(&path).await?;
            file.write_all(&bytes).await?;
            // Dropped with bytes on their way.
            drop(file);
            let mut file = OpenOptions::new().append(true).open(&path).await?;
            file.write_all(b"more").await?;
            file.close().await?;
            let found = aiofiles::read(&path).await?;
            assert_same_bytes(found, [&bytes[..], b"more"].concat());
            Ok(6)
        }
        3 => {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            let file = options.open(&path).await?;
            let (result, bytes) = file.write_all_at(bytes, 1000).await;
            result?;
            let (result, found) = file.read_exact_at(vec![0; bytes.len()], 1000).await;
            result?;
            assert_same_bytes(found, &bytes);
            assert_eq!(file.metadata().await?.len(), bytes.len() as u64 + 1000);
            file.set_len(10).await?;
            assert_eq!(file.metadata().await?.len(), 10);
            Ok(6)
        }
        4 => {
            let mut file = File::create(&path).await?;
            file.write_all(&bytes[..1]).await?;
            if rng.bool() {
                file.sync_all().await?;
            } else {
                file.sync_data().await?;
            }
            Ok(3)
        }
        5 => {
            aiofiles::write(&path, &bytes).await?;
            aiofiles::rename(&path, &other).await?;
            assert!(!aiofiles::exists(&path).await);
            assert_eq!(aiofiles::copy(&other, &path).await?, bytes.len() as u64);
            assert_same_bytes(aiofiles::read(&path).await?, &bytes);
            aiofiles::remove_file(&other).await?;
            Ok(6)
        }
        6 => {
            let tree = dir.join("tree");
            aiofiles::create_dir_all(tree.join("a/b")).await?;
            aiofiles::write(tree.join("a/file"), "text").await?;
            let mut names = Vec::new();
            let mut entries = aiofiles::read_dir(tree.join("a")).await?;
            while let Some(entry) = entries.try_next().await? {
                names.push(entry.file_name());
            }
            names.sort();
            assert_eq!(names, ["b", "file"]);
            let mut walk = aiofiles::walk(&tree);
            let mut count = 0;
            while walk.try_next().await?.is_some() {
                count += 1;
            }
            assert_eq!(count, 4);
            aiofiles::remove_dir_all(&tree).await?;
            Ok(5)
        }
        7 => {
            aiofiles::write_atomic(path.clone(), bytes.clone()).await?;
            assert_same_bytes(aiofiles::read(&path).await?, &bytes);
            Ok(2)
        }
        8 => {
            let mut file = NamedTemporaryFile::new().await?;
            file.write_all(&bytes).await?;
            drop(file.persist(&path).await?);
            assert_same_bytes(aiofiles::read(&path).await?, &bytes);
            Ok(4)
        }
        9 => {
            let mut temporary = TemporaryDirectory::new().await?;
            aiofiles::write(temporary.path().join("file"), &bytes).await?;
            temporary.close().await?;
            assert!(!aiofiles::exists(temporary.path()).await);
            Ok(4)
        }
        10 => {
            aiofiles::write(&path, "").await?;
            let (one, two) = (File::open(&path).await?, File::open(&path).await?);
            one.lock().await?;
            let (waited, freed) = zip(two.lock(), one.unlock()).await;
            waited?;
            freed?;
            Ok(6)
        }
        11 => {
            let fifo = dir.join("fifo");
            if !aiofiles::exists(&fifo).await {
                mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
            }
            let (found, written) = zip(aiofiles::read(&fifo), aiofiles::write(&fifo, &bytes)).await;
            written?;
            assert_same_bytes(found?, &bytes);
            Ok(3)
        }
        12 => {
            let (reader, writer) = io::pipe()?;
            let mut reader = File::from(OwnedFd::from(reader));
            let mut writer = File::from(OwnedFd::from(writer));
            let mut found = Vec::new();
            let write = async {
                writer.write_all(&bytes).await?;
                writer.close().await
            };
            let (read, written) = zip(reader.read_to_end(&mut found), write).await;
            written?;
            read?;
            assert_same_bytes(found, &bytes);
            Ok(3)
        }
        13 => {
            aiofiles::write(&path, &bytes).await?;
            let link = dir.join("link");
            aiofiles::unix::symlink(&path, &link).await?;
            assert_eq!(aiofiles::read_link(&link).await?, path);
            let (real, same) = (
                aiofiles::canonicalize(&link).await?,
                aiofiles::canonicalize(&path).await?,
            );
            assert_eq!(real, same);
            aiofiles::remove_file(&link).await?;
            aiofiles::hard_link(&path, &link).await?;
            assert_same_bytes(aiofiles::read(&link).await?, &bytes);
            aiofiles::remove_file(&link).await?;
            Ok(9)
        }
        14 => {
            let mut file = aiofiles::open_text(&path, "w+").await?;
            file.writelines(["one\n", "two\n"]).await?;
            file.flush().await?;
            file.close().await?;
            let mut file = aiofiles::open_text(&path, "r").await?;
            assert_eq!(file.readline().await?, "one\n");
            assert_eq!(file.read_to_end().await?, "two\n");
            Ok(7)
        }
        15 => {
            aiofiles::write(&path, &bytes).await?;
            let mut from = File::open(&path).await?;
            let mut to = File::create(&other).await?;
            let copied = aiofiles::copy_between(&mut from, &mut to).await?;
            assert_eq!(copied, bytes.len() as u64);
            to.close().await?;
            assert_same_bytes(aiofiles::read(&other).await?, &bytes);
            Ok(6)
        }
        16 => {
            let read = aiofiles::unblock(|| std::fs::read_to_string("Cargo.toml")).await?;
            assert!(read.contains("[package]"));
            let mut file = File::create(&path).await?;
            let clone = file.try_clone().await?;
            file.write_all(&bytes).await?;
            assert_eq!(clone.metadata().await?.len(), bytes.len() as u64);
            assert_eq!(file.stream_position().await?, bytes.len() as u64);
            Ok(6)
        }
        _ => {
            aiofiles::write(&path, &bytes).await?;
            let permissions = aiofiles::metadata(&path).await?.permissions();
            aiofiles::set_permissions(&path, permissions).await?;
            let file = aiofiles::OpenOptions::new().write(true).open(&path).await?;
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).await?;
            assert_eq!(
                aiofiles::metadata(&path).await?.modified()?,
                std::time::SystemTime::UNIX_EPOCH
            );
            Ok(6)
        }
    }
}

async fn steps(dir: PathBuf, mut rng: fastrand::Rng, done: Arc<AtomicUsize>, goal: usize) {
    std::fs::create_dir(&dir).unwrap();
    while done.load(Ordering::Relaxed) < goal {
        let seed = rng.u64(..);
        let calls = step(&dir, &mut fastrand::Rng::with_seed(seed)).await;
        let calls = calls.unwrap_or_else(|error| panic!("step {seed}: {error}"));
        done.fetch_add(calls, Ordering::Relaxed);
    }
}

#[test]
fn a_storm_of_signals_is_not_noticed() {
    each_backend(|| {
        if !is_there() {
            return;
        }
        let seed = Seed::new();
        let mut rng = seed.rng();
        let storm = Storm::begin();
        let begin = Instant::now();
        let goal = iterations(5000);
        let done = Arc::<AtomicUsize>::default();
        // A third of it on each runtime.
        for (n, kind) in [Kind::SmolFour, Kind::TokioMulti, Kind::AsyncStd]
            .into_iter()
            .enumerate()
        {
            let dir = temp_dir();
            let runtime = Runtime::new(kind);
            let tasks = (0..6).map(|task| {
                let steps = steps(
                    dir.path().join(task.to_string()),
                    rng.fork(),
                    done.clone(),
                    goal * (n + 1) / 3,
                );
                runtime.handle().spawn(steps)
            });
            let tasks = tasks.collect::<Vec<_>>();
            runtime.block_on(async {
                for task in tasks {
                    task.await;
                }
            });
        }
        let (handled, rate) = storm.figures();
        drop(storm);
        let calls = done.load(Ordering::Relaxed);
        assert!(handled > 0);
        figure(&format!(
            "signals, {}: {calls} operations in {:.0?}, {handled} signals handled ({rate}/s over all threads), \
             {} operations on rings, 0 interrupted, all data right",
            name(),
            begin.elapsed(),
            backend().submitted()
        ));
    });
}
