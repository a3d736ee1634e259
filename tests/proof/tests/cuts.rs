//! Power cuts: what was synced is there after them, and `write_atomic` leaves the old content or the new.
//!
//! A file system on a loop device is written to through this crate by several tasks, and at a random moment its power is
//! cut from another thread: nothing reaches the device any more, the journal included. Every operation has to end, with
//! an error. Then the file system is mounted again, which replays its journal, and the files are compared with what was
//! promised.
//!
//! What counts is what was heard before the cut began. While it goes on, `fsync(2)` itself says more than is true: a plain
//! program whose four threads wrote and synced met 27 calls that returned 0 for bytes that were gone afterwards in 60
//! cuts of ext4, and 18 in 60 cuts of XFS (Linux 6.18); and on XFS, `fsync` of a directory returns 0 ever after. With a
//! real cut nobody would have heard it.
//!
//! Each test is a process with mounts of its own, for the backend that it is about.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "the power is cut by a thread that belongs to no runtime"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::unix::Dir;
use aiofiles::{BackendKind, File, OpenOptions};
use aiofiles_proof::mounts::FileSystem;
use aiofiles_proof::support::*;
use fastrand::Rng;
use futures_lite::future::zip;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// How many cuts each test makes.
const CUTS: usize = 20;

/// The power is cut at most so long after the tasks began.
const LATEST: Duration = Duration::from_millis(20);

/// No file grows larger.
const MOST: usize = 100_000;

#[test]
fn a_power_cut_on_ext4_loses_nothing_that_was_synced() {
    if is_there(FileSystem::Ext4) {
        alone_under(&["env", "AIOFILES_BACKEND=pool", "unshare", "-m"], || {
            cuts(FileSystem::Ext4, BackendKind::Pool);
        });
    }
}

#[test]
fn a_power_cut_on_ext4_loses_nothing_that_was_synced_with_rings() {
    if is_there(FileSystem::Ext4) {
        alone_under(&["env", "AIOFILES_BACKEND=uring", "unshare", "-m"], || {
            cuts(FileSystem::Ext4, BackendKind::Uring);
        });
    }
}

#[test]
fn a_power_cut_on_xfs_loses_nothing_that_was_synced() {
    if is_there(FileSystem::Xfs) {
        alone_under(&["env", "AIOFILES_BACKEND=pool", "unshare", "-m"], || {
            cuts(FileSystem::Xfs, BackendKind::Pool);
        });
    }
}

#[test]
fn a_power_cut_on_xfs_loses_nothing_that_was_synced_with_rings() {
    if is_there(FileSystem::Xfs) {
        alone_under(&["env", "AIOFILES_BACKEND=uring", "unshare", "-m"], || {
            cuts(FileSystem::Xfs, BackendKind::Uring);
        });
    }
}

fn is_there(kind: FileSystem) -> bool {
    let missing = kind.missing();
    if let Some(needs) = &missing {
        skip(needs);
    }
    missing.is_none()
}

// ---------------------------------------------------------------------------------------------------------------------
// Cuts

fn cuts(kind: FileSystem, backend: BackendKind) {
    if aiofiles::backend().kind() != backend && backend == BackendKind::Uring {
        return skip("io_uring");
    }
    let dir = temp_dir();
    let mut mount = kind.make(dir.path());
    let seed = Seed::new();
    let mut rng = seed.rng();
    let mut tally = Tally::default();
    let count = iterations(CUTS);
    for n in 0..count {
        let place = mount.path().join(n.to_string());
        fs::create_dir(&place).expect("a directory");
        sync_dir(mount.path()).expect("its name is on the device");
        let (fate, begun) = Fate::new();
        let power = mount.power();
        let runtimes = [
            Kind::SmolOne,
            Kind::SmolFour,
            Kind::TokioMulti,
            Kind::TokioCurrent,
            Kind::BlockOn,
        ];
        let runtime = Runtime::new(runtimes[rng.usize(..runtimes.len())]);
        let handle = runtime.handle();
        let tasks = rng.usize(1..5);
        let waits_for = rng.usize(..=tasks);
        let after = Duration::from_micros(rng.u64(..=LATEST.as_micros() as u64));
        let is_cut = fate.is_cut.clone();
        let cut = thread::spawn(move || {
            begun.into_iter().take(waits_for).for_each(drop);
            thread::sleep(after);
            is_cut.store(true, SeqCst);
            power.cut();
        });
        let work = work(place.clone(), tasks, handle, fate, rng.fork());
        let ledgers = runtime.block_on(work);
        cut.join().expect("the power is cut");
        drop(runtime);
        be_quiet();

        mount.restart();
        for ledger in &ledgers {
            ledger.check(&mut tally);
        }
        fs::remove_dir_all(&place).expect("the directory goes");
    }
    let submitted = aiofiles::backend().submitted();
    if backend == BackendKind::Uring && submitted == 0 {
        return skip("operations that go to io_uring");
    }
    assert_eq!(backend == BackendKind::Uring, submitted > 0);
    let Tally {
        syncs,
        bytes,
        names,
        replaced,
        unsynced,
    } = tally;
    figure(&format!(
        "cuts: {count} on {kind} with {backend:?}, 0 promises broken: {syncs} syncs, {bytes} bytes synced last, {names} names, \
         {replaced} write_atomic; {unsynced} files were not as written last; {submitted} operations on rings"
    ));
}

/// Waits until nothing of this crate is at work, and nothing of it has a file open.
fn be_quiet() {
    smol::block_on(aiofiles::settle());
    let since = Instant::now();
    loop {
        let now = aiofiles::backend();
        let busy = now.queued() + now.running() + now.pending_closes();
        if busy == 0 && now.submitted() == now.completed() {
            return;
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "after a cut, operations do not end: {now:?}"
        );
        thread::yield_now();
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// What the tasks know of the cut that is to come.
#[derive(Clone)]
struct Fate {
    is_cut: Arc<AtomicBool>,
    /// Told once by each task.
    begun: Sender<()>,
}

impl Fate {
    fn new() -> (Fate, Receiver<()>) {
        let (begun, told) = channel();
        let is_cut = Arc::default();
        (Fate { is_cut, begun }, told)
    }

    fn begins(&self) {
        // The power may be cut already.
        let _ = self.begun.send(());
    }

    /// Whether the cut has not begun, so that what was heard just now counts.
    fn has_power(&self) -> bool {
        !self.is_cut.load(SeqCst)
    }
}

/// Several tasks write until the power is cut, and look around then.
async fn work(
    place: PathBuf,
    count: usize,
    rt: Handle,
    fate: Fate,
    mut rng: Rng,
) -> Vec<Box<dyn Ledger>> {
    let mut tasks = Vec::new();
    for n in 0..count {
        let (fate, rng) = (fate.clone(), rng.fork());
        let place = place.join(n.to_string());
        let ledger: Pin<Box<dyn Future<Output = Box<dyn Ledger>> + Send>> =
            match rng.clone().u8(..5) {
                0 => Box::pin(names(place, fate, rng)),
                1 | 2 => Box::pin(replacing(place, fate, rng)),
                _ => Box::pin(bytes(place, fate, rng)),
            };
        tasks.push(rt.spawn(ledger));
    }
    let mut ledgers = Vec::new();
    for task in tasks {
        ledgers.push(task.await);
    }
    rt.spawn(async move { without_power(&place, &mut rng).await })
        .await;
    ledgers
}

/// The error is one of a device without power.
#[track_caller]
fn assert_without_power(error: &io::Error) {
    let code = aiofiles::raw_os_error(error);
    assert!(
        code.is_some_and(|code| [libc::EIO, libc::EROFS, libc::ESHUTDOWN].contains(&code)),
        "not the error of a device without power: {error:?}"
    );
}

/// What one task was promised.
trait Ledger: Send {
    fn check(&self, tally: &mut Tally);
}

#[derive(Default)]
struct Tally {
    syncs: usize,
    bytes: usize,
    names: usize,
    replaced: usize,
    unsynced: usize,
}

// ---------------------------------------------------------------------------------------------------------------------
// The bytes of one file

/// One file, as its task knows it.
#[derive(Debug)]
struct Bytes {
    path: PathBuf,
    shape: Shape,
    /// What a reader would see.
    now: Vec<u8>,
    /// What was on the device when a sync was `Ok` last.
    synced: Vec<u8>,
    /// What has been begun since then: bytes, and where they go.
    since: Vec<(usize, Vec<u8>)>,
    /// Lengths since then.
    shortest: usize,
    longest: usize,
    /// Its name was synced.
    named: bool,
    syncs: usize,
    /// What it has done, because no seed repeats a failure: which operation, where, and with how many bytes.
    history: Vec<(u8, usize, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    append: bool,
    unbuffered: bool,
    direct: bool,
    buffer_size: Option<usize>,
}

impl Shape {
    fn random(rng: &mut Rng) -> Shape {
        let direct = rng.u8(..6) == 0;
        Shape {
            append: !direct && rng.u8(..4) == 0,
            unbuffered: rng.u8(..4) == 0,
            direct,
            buffer_size: (rng.u8(..4) == 0).then(|| rng.usize(1..60_000)),
        }
    }

    fn options(self) -> OpenOptions {
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .append(self.append)
            .create(true)
            .unbuffered(self.unbuffered)
            .direct(self.direct);
        if let Some(size) = self.buffer_size {
            options.buffer_size(size);
        }
        options
    }
}

async fn bytes(path: PathBuf, fate: Fate, mut rng: Rng) -> Box<dyn Ledger> {
    let mut ledger = Bytes {
        path,
        shape: Shape::random(&mut rng),
        now: Vec::new(),
        synced: Vec::new(),
        since: Vec::new(),
        shortest: 0,
        longest: 0,
        named: false,
        syncs: 0,
        history: Vec::new(),
    };
    let mut file = None;
    let Err(error) = ledger.write(&mut file, &fate, &mut rng).await;
    assert_without_power(&error);
    if let Some(file) = file {
        end(file, &ledger, &mut rng).await;
    }
    Box::new(ledger)
}

impl Bytes {
    /// Writes and syncs until something fails.
    async fn write(
        &mut self,
        handle: &mut Option<File>,
        fate: &Fate,
        rng: &mut Rng,
    ) -> Result<Infallible, io::Error> {
        let options = self.shape.options();
        *handle = Some(options.open(&self.path).await?);
        fate.begins();
        loop {
            let file = match &mut *handle {
                None => handle.insert(options.open(&self.path).await?),
                Some(file) => file,
            };
            let most = MOST >> rng.u32(..14);
            let len = rng.usize(1..=most);
            let begin = rng.usize(..=MOST - len);
            let operation = rng.u8(..40);
            self.history.push((operation, begin, len));
            match operation {
                0..14 => {
                    let data = random_bytes(rng, len);
                    let begin = match self.shape.append {
                        true if self.now.len() > MOST => continue,
                        true => self.now.len(),
                        false => {
                            file.seek(SeekFrom::Start(begin as u64)).await?;
                            begin
                        }
                    };
                    self.put(begin, &data);
                    file.write_all(&data).await?;
                }
                // Such writes need aligned memory with direct I/O, and know no offset in append mode.
                14..20 if !self.shape.direct && !self.shape.append => {
                    // There is no order between these and what is on its way from the position.
                    file.flush().await?;
                    let data = random_bytes(rng, len);
                    self.put(begin, &data);
                    match rng.u8(..3) {
                        0 => file.write_all_at(data, begin as u64).await.0?,
                        // What was begun before a sync counts for it.
                        1 => {
                            let write = file.write_all_at(data, begin as u64);
                            let (written, synced) = zip(write, file.sync_data()).await;
                            synced?;
                            self.mark_synced(fate);
                            written.0?;
                        }
                        _ => self.cancelled(file, data, begin, fate).await?,
                    }
                }
                20 | 21 => {
                    self.set_len(begin);
                    file.set_len(begin as u64).await?;
                }
                22 => {
                    self.grow(begin + len);
                    file.allocate(begin as u64, len as u64).await?;
                }
                23 => {
                    let end = (begin + len).min(self.now.len());
                    if begin < end {
                        self.put(begin, &vec![0; end - begin]);
                    }
                    file.punch_hole(begin as u64, len as u64).await?;
                }
                24 | 25 => file.flush().await?,
                26 => {
                    let len = file.metadata().await?.len();
                    if fate.has_power() {
                        assert_eq!(len, self.now.len() as u64, "the length before the cut");
                    }
                }
                27 => {
                    // A path is read as it is, while the file is open.
                    file.flush().await?;
                    let found = aiofiles::read(&self.path).await?;
                    if fate.has_power() {
                        assert_same_bytes(found, &self.now);
                    }
                }
                28 => *handle = None,
                29 => {
                    let mut file = handle.take().expect("it is open");
                    file.close().await?;
                }
                30 => {
                    let dir = Dir::open(self.path.parent().expect("a directory")).await?;
                    dir.sync_all().await?;
                    self.named |= fate.has_power();
                }
                31..36 => {
                    file.sync_all().await?;
                    self.mark_synced(fate);
                }
                _ => {
                    file.sync_data().await?;
                    self.mark_synced(fate);
                }
            }
        }
    }

    /// A write at an offset that is given up after one poll. It may happen; a sync waits for it, and then the file tells.
    async fn cancelled(
        &mut self,
        file: &File,
        data: Vec<u8>,
        begin: usize,
        fate: &Fate,
    ) -> io::Result<()> {
        self.put(begin, &data);
        if let Some((result, _)) = poll_once(file.write_all_at(data, begin as u64)).await {
            result?;
        }
        file.sync_all().await?;
        let (result, found) = file.read_to_end_at(Vec::new(), 0).await;
        result?;
        self.now = found;
        self.mark_synced(fate);
        Ok(())
    }

    /// Bytes are about to be written.
    fn put(&mut self, begin: usize, data: &[u8]) {
        self.grow(begin + data.len());
        self.now[begin..begin + data.len()].copy_from_slice(data);
        self.since.push((begin, data.to_owned()));
    }

    /// The file is about to be so long at least.
    fn grow(&mut self, len: usize) {
        if len > self.now.len() {
            self.since
                .push((self.now.len(), vec![0; len - self.now.len()]));
            self.now.resize(len, 0);
            self.longest = self.longest.max(len);
        }
    }

    fn set_len(&mut self, len: usize) {
        self.grow(len);
        // The bytes behind the new end may become zeros before it is the end.
        self.since.push((len, vec![0; self.now.len() - len]));
        self.now.truncate(len);
        self.shortest = self.shortest.min(len);
    }

    /// A sync was `Ok`.
    fn mark_synced(&mut self, fate: &Fate) {
        if !fate.has_power() {
            return;
        }
        self.synced.clone_from(&self.now);
        self.since.clear();
        (self.shortest, self.longest) = (self.now.len(), self.now.len());
        self.syncs += 1;
    }
}

impl Ledger for Bytes {
    fn check(&self, tally: &mut Tally) {
        let path = self.path.display();
        let found = match fs::read(&self.path) {
            Ok(found) => found,
            Err(error) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                assert!(missing && !self.named, "{path}: {error}; {:?}", self.shape);
                tally.unsynced += 1;
                return;
            }
        };
        // Direct I/O writes whole blocks, and cuts the file off behind the last one afterwards.
        let block = if self.shape.direct && !self.since.is_empty() {
            4096
        } else {
            1
        };
        assert!(
            (self.shortest..=self.longest.next_multiple_of(block)).contains(&found.len()),
            "{path}: {} to {} bytes were written, {} synced, {} are there; {:?}, {:?}",
            self.shortest,
            self.longest,
            self.synced.len(),
            found.len(),
            self.shape,
            self.history
        );
        // What may be there but what was synced: whatever was written since, or nothing yet.
        let mut expected = self.synced.clone();
        expected.resize(found.len(), 0);
        let mut excused = vec![false; found.len()];
        for (begin, data) in &self.since {
            let there = found.iter().zip(&mut excused).skip(*begin);
            for ((found, excused), written) in there.zip(data) {
                *excused |= found == written || *found == 0;
            }
        }
        for (i, excused) in excused.into_iter().enumerate() {
            if excused || i >= self.longest {
                expected[i] = found[i];
            }
        }
        let context = format!(
            "{path}, after {} syncs; {:?}, {:?}",
            self.syncs, self.shape, self.history
        );
        assert!(
            found == expected,
            "{context}: {}",
            difference(&found, &expected)
        );
        tally.syncs += self.syncs;
        tally.bytes += self.synced.len();
        tally.unsynced += usize::from(found != self.now);
    }
}

fn difference(found: &[u8], expected: &[u8]) -> String {
    let differs = |i: &usize| found[*i] != expected[*i];
    let places = (0..found.len()).filter(differs).collect::<Vec<_>>();
    match places[..] {
        [first, .., last] => format!("{} bytes differ, from {first} to {last}", places.len()),
        _ => format!("bytes differ at {places:?}"),
    }
}

/// The end of a file whose device has no power: everything ends, and no sync says that it had done anything.
async fn end(mut file: File, ledger: &Bytes, rng: &mut Rng) {
    for _ in 0..rng.usize(..4) {
        match rng.u8(..9) {
            0 => drop(file.write_all(b"too late").await),
            1 => drop(file.read(&mut [0; 100]).await),
            2 => drop(file.flush().await),
            3 => drop(file.set_len(5).await),
            4 => drop(file.metadata().await),
            5 => drop(file.seek(SeekFrom::End(0)).await),
            6 => drop(file.try_clone().await),
            7 => drop(file.write_at(vec![1; 4096], 0).await),
            _ => drop(file.read_at(vec![0; 4096], 0).await),
        }
    }
    let synced = match rng.bool() {
        true => file.sync_all().await,
        false => file.sync_data().await,
    };
    let error = synced.expect_err("nothing can be synced without power");
    assert_without_power(&error);
    match rng.u8(..4) {
        0 => drop(file.close().await),
        1 => drop(file.into_std().await),
        2 => {
            file.discard_unwritten().await;
            let again = file.sync_all().await;
            assert!(
                again.is_err(),
                "{:?}: a sync that failed is final",
                ledger.shape
            );
        }
        _ => drop(file),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Files that are replaced as a whole

/// Files that `write_atomic` writes, as their task knows them.
#[derive(Default)]
struct Replaced {
    seed: u64,
    /// The directory, and how many files are written to in turn.
    dir: PathBuf,
    files: usize,
    /// Of each file: the version that was promised last, and the one that was begun. 0 is no file at all.
    promised: Vec<usize>,
    sent: Vec<usize>,
}

async fn replacing(dir: PathBuf, fate: Fate, mut rng: Rng) -> Box<dyn Ledger> {
    let files = rng.usize(1..4);
    let mut ledger = Replaced {
        seed: rng.u64(..),
        dir,
        files,
        promised: vec![0; files],
        sent: vec![0; files],
    };
    let Err(error) = ledger.write(&fate, &mut rng).await;
    assert_without_power(&error);
    Box::new(ledger)
}

impl Replaced {
    async fn write(&mut self, fate: &Fate, rng: &mut Rng) -> Result<Infallible, io::Error> {
        aiofiles::create_dir(&self.dir).await?;
        let parent = Dir::open(self.dir.parent().expect("a directory")).await?;
        parent.sync_all().await?;
        fate.begins();
        loop {
            let file = rng.usize(..self.files);
            self.sent[file] += 1;
            let content = self.content(file, self.sent[file]);
            aiofiles::write_atomic(self.dir.join(file.to_string()), content).await?;
            if fate.has_power() {
                self.promised[file] = self.sent[file];
            }
        }
    }

    fn content(&self, file: usize, version: usize) -> Vec<u8> {
        let number = (file + version * self.files) as u64;
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number));
        let most = MOST >> rng.u32(..16);
        let len = rng.usize(..=most);
        random_bytes(&mut rng, len)
    }
}

impl Ledger for Replaced {
    fn check(&self, tally: &mut Tally) {
        for file in 0..self.files {
            let path = self.dir.join(file.to_string());
            let (promised, sent) = (self.promised[file], self.sent[file]);
            let found = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && promised == 0 => continue,
                found => found.unwrap_or_else(|error| panic!("{path:?}, {promised}: {error}")),
            };
            let is = |version| version > 0 && found == self.content(file, version);
            assert!(
                (promised..=sent).any(is),
                "{path:?} is no version from {promised} to {sent}: {} bytes",
                found.len()
            );
            tally.replaced += promised;
            tally.unsynced += usize::from(!is(sent));
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Names

/// A directory in which files come, go and change their names, as its task knows it.
struct Names {
    dir: PathBuf,
    seed: u64,
    /// Files by their names, with the number that decides their content.
    now: BTreeMap<usize, u64>,
    /// The same when the directory was synced last.
    synced: BTreeMap<usize, u64>,
    /// Names that something was begun with since then.
    since: BTreeSet<usize>,
    /// The directory itself is there for sure.
    named: bool,
    syncs: usize,
}

async fn names(dir: PathBuf, fate: Fate, mut rng: Rng) -> Box<dyn Ledger> {
    let mut ledger = Names {
        dir,
        seed: rng.u64(..),
        now: BTreeMap::new(),
        synced: BTreeMap::new(),
        since: BTreeSet::new(),
        named: false,
        syncs: 0,
    };
    let Err(error) = ledger.write(&fate, &mut rng).await;
    assert_without_power(&error);
    Box::new(ledger)
}

impl Names {
    async fn write(&mut self, fate: &Fate, rng: &mut Rng) -> Result<Infallible, io::Error> {
        let parent = Dir::open(self.dir.parent().expect("a directory")).await?;
        aiofiles::create_dir(&self.dir).await?;
        parent.sync_all().await?;
        self.named = fate.has_power();
        fate.begins();
        let dir = Dir::open(&self.dir).await?;
        for number in 0.. {
            let (name, other) = (rng.usize(..20), rng.usize(..20));
            match rng.u8(..10) {
                0..5 => {
                    self.since.insert(name);
                    // A new file that takes the place of an old one would have its content for a while.
                    if self.now.remove(&name).is_some() {
                        aiofiles::remove_file(self.path(name)).await?;
                    }
                    let mut file = match rng.bool() {
                        true => File::create_new(self.path(name)).await?,
                        false => {
                            let mut options = File::options();
                            let options = options.write(true).create_new(true);
                            dir.open_file_with(name.to_string(), options).await?
                        }
                    };
                    file.write_all(&self.content(number)).await?;
                    file.sync_all().await?;
                    file.close().await?;
                    self.now.insert(name, number);
                }
                5 if self.now.contains_key(&name) => {
                    self.since.insert(name);
                    match rng.bool() {
                        true => aiofiles::remove_file(self.path(name)).await?,
                        false => dir.remove_file(name.to_string()).await?,
                    }
                    self.now.remove(&name);
                }
                6 | 7 if self.now.contains_key(&name) && name != other => {
                    self.since.extend([name, other]);
                    match rng.bool() {
                        true => aiofiles::rename(self.path(name), self.path(other)).await?,
                        false => {
                            dir.rename(name.to_string(), &dir, other.to_string())
                                .await?;
                        }
                    }
                    let moved = self.now.remove(&name).expect("it is there");
                    self.now.insert(other, moved);
                }
                8 | 9 => {
                    match rng.bool() {
                        true => dir.sync_all().await?,
                        false => Dir::open(&self.dir).await?.sync_all().await?,
                    }
                    if fate.has_power() {
                        self.synced.clone_from(&self.now);
                        self.since.clear();
                        self.syncs += 1;
                    }
                }
                _ => {}
            }
        }
        unreachable!("so many operations")
    }

    fn path(&self, name: usize) -> PathBuf {
        self.dir.join(name.to_string())
    }

    fn content(&self, number: u64) -> Vec<u8> {
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number));
        let len = rng.usize(1..3000);
        random_bytes(&mut rng, len)
    }
}

impl Ledger for Names {
    fn check(&self, tally: &mut Tally) {
        if !self.named {
            return;
        }
        assert!(self.dir.is_dir(), "{:?} was synced", self.dir);
        for name in (0..20).filter(|name| !self.since.contains(name)) {
            let path = self.path(name);
            match self.synced.get(&name) {
                Some(&number) => {
                    let found = fs::read(&path);
                    let found = found.unwrap_or_else(|error| panic!("{path:?}: {error}"));
                    assert_same_bytes(found, self.content(number));
                }
                None => assert!(!path.exists(), "{path:?} was removed, and that synced"),
            }
            tally.names += 1;
        }
        tally.syncs += self.syncs;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Without power

/// Everything else ends too, as it does with std.
async fn without_power(place: &Path, rng: &mut Rng) {
    // The last task may have ended on an error of the moment before; now there is no doubt.
    while fs::File::create(place.join("probe")).is_ok() {
        thread::yield_now();
    }
    let (path, new) = (place.join("0"), place.join("new"));
    type Ended = io::Result<()>;
    fn same(what: &str, ours: Ended, std: Ended) {
        let code = |ended: &Ended| ended.as_ref().err().map(aiofiles::raw_os_error);
        assert_eq!(
            code(&ours),
            code(&std),
            "{what}: {ours:?}, with std {std:?}"
        );
    }
    match rng.u8(..16) {
        0 => same(
            "create",
            File::create(&new).await.map(drop),
            fs::File::create(&new).map(drop),
        ),
        1 => same(
            "write",
            aiofiles::write(&new, "new").await,
            fs::write(&new, "new"),
        ),
        2 => same(
            "metadata",
            aiofiles::metadata(&path).await.map(drop),
            fs::metadata(&path).map(drop),
        ),
        3 => same(
            "read",
            aiofiles::read(&path).await.map(drop),
            fs::read(&path).map(drop),
        ),
        4 => same(
            "rename",
            aiofiles::rename(&path, &new).await,
            fs::rename(&path, &new),
        ),
        5 => same(
            "create_dir",
            aiofiles::create_dir(&new).await,
            fs::create_dir(&new),
        ),
        6 => same(
            "create_dir_all",
            aiofiles::create_dir_all(new.join("a")).await,
            fs::create_dir_all(new.join("a")),
        ),
        7 => same(
            "hard_link",
            aiofiles::hard_link(&path, &new).await,
            fs::hard_link(&path, &new),
        ),
        8 => same(
            "symlink",
            aiofiles::unix::symlink("0", &new).await,
            std::os::unix::fs::symlink("0", &new),
        ),
        9 => same(
            "canonicalize",
            aiofiles::canonicalize(&path).await.map(drop),
            fs::canonicalize(&path).map(drop),
        ),
        10 => drop(aiofiles::read_dir(place).await),
        11 => drop(aiofiles::copy(&path, &new).await),
        12 => drop(aiofiles::remove_dir_all(place).await),
        13 => drop(aiofiles::remove_file(&path).await),
        14 => {
            let written = aiofiles::write_atomic(&new, "new").await;
            written.expect_err("nothing is written without power");
        }
        _ => {
            let made = aiofiles::tempfile::Builder::new()
                .dir(place)
                .named_temporary_file()
                .await;
            made.map(drop).expect_err("nothing is made without power");
        }
    }
}
