//! Performs one operation after another, and cuts each wherever it can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aiofiles::testing::{Call, Faults, Stepper};
use fastrand::Rng;
use futures_lite::AsyncSeekExt as _;
use tempfile::TempDir;

use crate::support::{CountingWaker, Seed, fd_count, figure, iterations, poll_now, temp_dir};

/// What a future leaves that was cut after its first poll. One that was never polled leaves nothing.
#[derive(Clone, Copy)]
pub enum Leaves {
    /// All is as if it had not been called.
    Nothing,
    /// All is as if it had come to its end: what was begun runs on.
    All,
    /// Nothing or all of it.
    Either,
    /// What the function says: it is given what is left of nothing, of all, and of the cut.
    Says(fn(&Seen, &Seen, &Seen) -> bool),
}

/// What is to be seen when all has come to its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// Names below the directory, and what stands there.
    pub tree: BTreeMap<PathBuf, String>,
    /// What the handle says and does.
    pub handle: String,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, what) in &self.tree {
            writeln!(f, "  {}: {}", path.display(), excerpt(what))?;
        }
        write!(f, "  the handle: {}", excerpt(&self.handle))
    }
}

fn excerpt(text: &str) -> String {
    let mut begin = text.chars().take(200).collect::<String>();
    if begin.len() < text.len() {
        begin.push_str(&format!("... ({} bytes)", text.len()));
    }
    begin
}

/// One call with its surroundings.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it covers: functions as the catalogue names them.
    names: &'static str,
    leaves: Leaves,
    /// What it calls is done by threads of another crate, which no stepper steps.
    foreign: bool,
    /// The waker lies in a handle that outlives the future, so it may be woken after the drop.
    noisy: bool,
}

impl Case {
    const fn new(names: &'static str, leaves: Leaves) -> Case {
        Case {
            names,
            leaves,
            foreign: false,
            noisy: false,
        }
    }

    pub const fn leaves(self) -> Leaves {
        self.leaves
    }

    pub const fn leaving(self, leaves: Leaves) -> Case {
        Case { leaves, ..self }
    }

    pub const fn foreign(self) -> Case {
        Case {
            foreign: true,
            ..self
        }
    }

    pub const fn noisy(self) -> Case {
        Case {
            noisy: true,
            ..self
        }
    }
}

pub const fn nothing(names: &'static str) -> Case {
    Case::new(names, Leaves::Nothing)
}

pub const fn all(names: &'static str) -> Case {
    Case::new(names, Leaves::All)
}

pub const fn either(names: &'static str) -> Case {
    Case::new(names, Leaves::Either)
}

pub const fn says(names: &'static str, says: fn(&Seen, &Seen, &Seen) -> bool) -> Case {
    Case::new(names, Leaves::Says(says))
}

/// The directory is as before or as after, whatever the handle says, which may have gone.
pub fn either_tree(before: &Seen, after: &Seen, found: &Seen) -> bool {
    found.tree == before.tree || found.tree == after.tree
}

/// The directory is as after.
pub fn tree_as_after(_: &Seen, after: &Seen, found: &Seen) -> bool {
    found.tree == after.tree
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The three parts of a case, whatever their types are.
trait Trial {
    fn make<'a>(&'a mut self, dir: &'a Path) -> Boxed<'a, ()>;
    fn act<'a>(&'a mut self) -> Boxed<'a, ()>;
    fn look<'a>(&'a mut self) -> Boxed<'a, String>;
}

struct Parts<S, M, A, L> {
    state: Option<S>,
    make: M,
    act: A,
    look: L,
}

impl<S, M, A, L> Trial for Parts<S, M, A, L>
where
    M: AsyncFn(&Path) -> S,
    A: AsyncFn(&mut S),
    L: AsyncFn(S) -> String,
{
    fn make<'a>(&'a mut self, dir: &'a Path) -> Boxed<'a, ()> {
        Box::pin(async {
            let state = (self.make)(dir).await;
            self.state = Some(state);
        })
    }

    fn act<'a>(&'a mut self) -> Boxed<'a, ()> {
        let state = self.state.as_mut().expect("it was made");
        Box::pin((self.act)(state))
    }

    fn look<'a>(&'a mut self) -> Boxed<'a, String> {
        let state = self.state.take().expect("it was made");
        Box::pin((self.look)(state))
    }
}

/// Every call that the seam can hold. (What the page cache answers is read by the poll itself, which cannot be cut.)
const CALLS: &[Call] = &[
    Call::Open,
    Call::Metadata,
    Call::Read,
    Call::Write,
    Call::Seek,
    Call::SetLen,
    Call::SyncAll,
    Call::SyncData,
    Call::Close,
    Call::SetPermissions,
    Call::SetTimes,
    Call::Lock,
    Call::Unlock,
    Call::ReadDir,
    Call::Link,
    Call::Rename,
    Call::RemoveFile,
    Call::RemoveDir,
    Call::RemoveDirAll,
    Call::CreateDir,
    Call::Copy,
    Call::Allocate,
];

/// Where a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Nowhere.
    Never,
    /// After so many polls and jobs.
    After(usize),
    /// While the job is in this call, the nth of them.
    In(Call, usize),
}

/// In which order jobs run and the future is polled.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// All jobs run before the future is polled again, rather than one.
    hasty: bool,
    /// So many answers in a row, of those after which a task yields, are left to it.
    left: usize,
}

/// How one performance ended.
struct End {
    done: bool,
    polls: usize,
    /// The gate has held a call.
    held: bool,
}

/// After so many answers in a row a task yields.
const IN_A_ROW: usize = 128;

/// How many answers of one operation are tried as the one at which it yields.
const YIELDS: usize = 24;

/// Longer than any wait of an operation that is not stuck.
const STUCK: Duration = Duration::from_secs(100);

pub struct Bench<'a> {
    /// Without one, jobs run on the real pool.
    stepper: Option<&'a Stepper>,
    /// Only takes down what is covered.
    lists: bool,
    /// Where the directories of the cases are.
    place: TempDir,
    /// Where temporary files go that name no directory.
    scratch: TempDir,
    pub covered: BTreeSet<&'static str>,
    /// Which cases have their turn.
    rng: Rng,
    _seed: Seed,
    cases: usize,
    performed: usize,
    cuts: usize,
    wrong: Vec<&'static str>,
}

impl<'a> Bench<'a> {
    pub fn stepped(stepper: &'a Stepper) -> Bench<'a> {
        Bench::new(Some(stepper), false)
    }

    pub fn gated() -> Bench<'a> {
        Bench::new(None, false)
    }

    pub fn listing() -> Bench<'a> {
        Bench::new(None, true)
    }

    fn new(stepper: Option<&'a Stepper>, lists: bool) -> Bench<'a> {
        let (place, scratch) = (temp_dir(), temp_dir());
        let seed = Seed::new();
        let bench = Bench {
            rng: seed.rng(),
            _seed: seed,
            stepper,
            lists,
            place,
            scratch,
            covered: BTreeSet::new(),
            cases: 0,
            performed: 0,
            cuts: 0,
            wrong: Vec::new(),
        };
        if !lists {
            // Once in a process, which is why that is one of its own.
            tempfile::env::override_temp_dir(bench.scratch.path())
                .expect("nobody has set it before");
            // What the reactor and the standard streams open for good is open from now on.
            bench.drive(nothing("the beginning"), async {
                smol::Timer::after(Duration::from_millis(1)).await;
                aiofiles::stdio::stdin().is_terminal().await;
            });
        }
        bench
    }

    /// The figures at the end.
    pub fn tell(&self, what: &str) {
        assert!(self.wrong.is_empty(), "wrong, see above: {:#?}", self.wrong);
        assert!(self.cuts > self.cases * 2, "hardly anything was cut");
        figure(&format!(
            "cancel: {} cases of {} functions, cut at {} {what} in {} runs, 0 wrong",
            self.cases,
            self.covered.len(),
            self.cuts,
            self.performed,
        ));
    }

    /// Cuts `act` wherever it can be cut: on what `make` gives, with what `look` sees afterwards.
    pub fn case<S>(
        &mut self,
        case: Case,
        make: impl AsyncFn(&Path) -> S,
        act: impl AsyncFn(&mut S),
        look: impl AsyncFn(S) -> String,
    ) {
        self.covered.extend(case.names.split_whitespace());
        if self.lists {
            return;
        }
        if let Ok(wanted) = std::env::var("AIOFILES_CASE")
            && !case.names.contains(&wanted)
        {
            return;
        }
        // While calls are held, each case is performed many times: a tenth of them has its turn, or as many as are wanted.
        if self.stepper.is_none() && !self.has_turn(10) {
            return;
        }
        self.cases += 1;
        let mut parts = Parts {
            state: None,
            make,
            act,
            look,
        };
        // The others are tried all the same: one mistake shows in many of them.
        let whole = panic::catch_unwind(AssertUnwindSafe(|| self.cut_everywhere(case, &mut parts)));
        if whole.is_err() {
            self.wrong.push(case.names);
        }
    }

    /// Whether one of so many is done this time; all are if the scale is as much.
    fn has_turn(&mut self, of: usize) -> bool {
        self.rng.usize(..of) < iterations(1)
    }

    fn cut_everywhere(&mut self, case: Case, trial: &mut dyn Trial) {
        let calm = Pace {
            hasty: false,
            left: IN_A_ROW,
        };
        let (_, before) = self.perform(case, trial, Cut::After(0), calm, None);
        let (whole, after) = self.perform(case, trial, Cut::Never, calm, None);
        assert!(whole.done);
        if let Leaves::All | Leaves::Either = case.leaves {
            assert_ne!(before, after, "{}: nobody could see it", case.names);
        }
        let reference = (before, after);
        if self.stepper.is_some() {
            for hasty in [false, true] {
                let pace = Pace { hasty, ..calm };
                self.cut_after_each_event(case, trial, pace, &reference);
            }
            // Where a task yields, from the first such place on, until there is none any more.
            let yields = if self.has_turn(3) { YIELDS } else { 0 };
            for left in 0..yields {
                let pace = Pace { hasty: false, left };
                let (end, found) = self.perform(case, trial, Cut::Never, pace, None);
                assert_eq!(found, reference.1, "{}, yielding", case.names);
                if end.polls <= whole.polls {
                    break;
                }
                self.cut_after_each_event(case, trial, pace, &reference);
            }
        } else {
            for &call in CALLS {
                for nth in 0.. {
                    let cut = Cut::In(call, nth);
                    let (end, found) = self.perform(case, trial, cut, calm, Some(&reference.1));
                    if !end.done {
                        self.judge(case, cut, calm, &reference, &found);
                    }
                    if !end.held {
                        break;
                    }
                }
            }
        }
    }

    fn cut_after_each_event(
        &mut self,
        case: Case,
        trial: &mut dyn Trial,
        pace: Pace,
        reference: &(Seen, Seen),
    ) {
        for events in 0.. {
            let cut = Cut::After(events);
            // Of what was not even polled nothing is to be waited for.
            let expected = Some(&reference.1).filter(|_| events > 0);
            let (end, found) = self.perform(case, trial, cut, pace, expected);
            if end.done {
                break;
            }
            self.judge(case, cut, pace, reference, &found);
        }
    }

    fn judge(
        &mut self,
        case: Case,
        cut: Cut,
        pace: Pace,
        (before, after): &(Seen, Seen),
        found: &Seen,
    ) {
        self.cuts += 1;
        let right = match case.leaves {
            _ if cut == Cut::After(0) => found == before,
            Leaves::Nothing => found == before,
            // A task that yields has not begun.
            Leaves::All if pace.left < IN_A_ROW => found == before || found == after,
            Leaves::All => found == after,
            Leaves::Either => found == before || found == after,
            Leaves::Says(right) => right(before, after, found),
        };
        assert!(
            right,
            "{}, cut {cut:?}, {pace:?}, left:\n{found:?}\nof nothing would be left:\n{before:?}\nand of all:\n{after:?}",
            case.names
        );
    }

    /// Performs the case once, cut or not, and looks at what is left when all has come to its end.
    fn perform(
        &mut self,
        case: Case,
        trial: &mut dyn Trial,
        cut: Cut,
        pace: Pace,
        expected: Option<&Seen>,
    ) -> (End, Seen) {
        self.performed += 1;
        if std::env::var_os("AIOFILES_SHOW_CUTS").is_some() {
            eprintln!("{}: {cut:?}, {pace:?}", case.names);
        }
        // What others have dropped goes when it goes.
        wait_until(true, || aiofiles::backend().pending_closes() == 0);
        let descriptors = fd_count();
        let dir = tempfile::tempdir_in(&self.place).expect("a directory");
        self.drive(case, trial.make(dir.path()));
        let end = match cut {
            Cut::In(call, nth) => self.cut_in_call(case, trial, call, nth),
            Cut::Never => self.cut_after(case, trial, usize::MAX, pace),
            Cut::After(events) => self.cut_after(case, trial, events, pace),
        };
        self.settle(case);
        if let (true, Leaves::All, Some(expected)) = (case.foreign, case.leaves, expected)
            && pace.left == IN_A_ROW
        {
            // The threads of the other crate tell nobody when they have done it.
            wait_until(true, || {
                self.settle(case);
                tree(dir.path()) == expected.tree
            });
        }
        let handle = self.drive(case, trial.look());
        self.settle(case);
        let what = format_args!("{}, cut {cut:?}, {pace:?}", case.names);
        wait_until(case.foreign, || fd_count() <= descriptors);
        let left = fd_count();
        assert!(
            left <= descriptors,
            "{what}: {descriptors} descriptors before, and {left} after"
        );
        assert!(
            fs::read_dir(&self.scratch)
                .expect("it is there")
                .next()
                .is_none(),
            "{what}: a temporary file stays"
        );
        let tree = tree(dir.path());
        (end, Seen { tree, handle })
    }

    /// Drops the future after so many polls and jobs.
    fn cut_after(&self, case: Case, trial: &mut dyn Trial, events: usize, pace: Pace) -> End {
        let count = CountingWaker::new();
        let waker = count.waker();
        let mut cx = Context::from_waker(&waker);
        let mut future = trial.act();
        let (mut happened, mut polls) = (0, 0);
        let mut seen = None;
        let mut begin = Instant::now();
        let done = loop {
            if happened == events {
                break false;
            }
            let woken = seen.is_none_or(|seen| count.wakes() > seen);
            let first = polls == 0;
            if woken && (first || !pace.hasty || self.waiting() == 0) {
                seen = Some(count.wakes());
                if first || pace.left < IN_A_ROW {
                    leave_turns(pace.left);
                }
                happened += 1;
                polls += 1;
                if future.as_mut().poll(&mut cx).is_ready() {
                    break true;
                }
            } else if self.waiting() > 0 {
                let before = count.wakes();
                self.run_one();
                happened += 1;
                assert!(
                    case.foreign || count.wakes() <= before + 1,
                    "{}: one job has woken the task {} times",
                    case.names,
                    count.wakes() - before
                );
            } else {
                // Timers, the pool, and threads of other crates.
                assert!(
                    begin.elapsed() < STUCK,
                    "{}: it waits, and nobody will wake it",
                    case.names
                );
                thread::yield_now();
                continue;
            }
            begin = Instant::now();
        };
        drop(future);
        if let Some(stepper) = self.stepper
            && !case.noisy
            && !case.foreign
        {
            let before = count.wakes();
            stepper.run_all();
            assert_eq!(
                count.wakes(),
                before,
                "{}: woken after its drop",
                case.names
            );
        }
        End {
            done,
            polls,
            held: false,
        }
    }

    /// Drops the future while a job is in the nth such call.
    fn cut_in_call(&self, case: Case, trial: &mut dyn Trial, call: Call, nth: usize) -> End {
        let faults = Faults::install();
        let gate = faults.stall(call, nth, 1);
        let count = CountingWaker::new();
        let waker = count.waker();
        let mut cx = Context::from_waker(&waker);
        let mut future = trial.act();
        let mut polls = 0;
        let mut seen = None;
        let begin = Instant::now();
        let done = loop {
            if gate.waiting() > 0 {
                break false;
            }
            if seen.is_none_or(|seen| count.wakes() > seen) {
                seen = Some(count.wakes());
                polls += 1;
                if future.as_mut().poll(&mut cx).is_ready() {
                    break true;
                }
            } else {
                assert!(
                    begin.elapsed() < STUCK,
                    "{}: it waits, and nobody will wake it",
                    case.names
                );
                thread::yield_now();
            }
        };
        drop(future);
        let held = faults.struck() > 0;
        gate.open();
        drop(faults);
        End { done, polls, held }
    }

    /// Runs a future that is not cut.
    fn drive<T>(&self, case: Case, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let count = CountingWaker::new();
        let waker = count.waker();
        let mut cx = Context::from_waker(&waker);
        let mut seen = None;
        let mut begin = Instant::now();
        loop {
            if seen.is_none_or(|seen| count.wakes() > seen) {
                seen = Some(count.wakes());
                if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                    return output;
                }
                begin = Instant::now();
            } else if !self.run_one() {
                assert!(
                    begin.elapsed() < STUCK,
                    "{}: afterwards somebody waits, and nobody will wake them",
                    case.names
                );
                thread::yield_now();
            }
        }
    }

    /// Lets all that is on its way come to its end.
    fn settle(&self, case: Case) {
        let begin = Instant::now();
        loop {
            while self.run_one() {}
            let now = aiofiles::backend();
            if now.queued() + now.running() + now.pending_closes() == 0 && self.waiting() == 0 {
                break;
            }
            assert!(
                begin.elapsed() < STUCK,
                "{}: never idle: {now:?}",
                case.names
            );
            thread::yield_now();
        }
        self.drive(case, aiofiles::settle());
    }

    fn run_one(&self) -> bool {
        self.stepper.is_some_and(Stepper::run_one)
    }

    fn waiting(&self) -> usize {
        self.stepper.map_or(0, Stepper::waiting)
    }
}

/// Leaves so many answers in a row to this thread before its task is to yield.
fn leave_turns(left: usize) {
    let mut memory = aiofiles::memory([]);
    let mut turn = || poll_now(pin!(memory.seek(std::io::SeekFrom::Start(0)))).is_ready();
    // It yields once, and then counts from the beginning.
    while turn() {}
    for _ in 0..IN_A_ROW.saturating_sub(left) {
        assert!(turn(), "too early");
    }
}

fn wait_until(patient: bool, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while patient && !holds() && begin.elapsed() < STUCK {
        thread::yield_now();
    }
}

/// A time that stands for itself; others are left out.
pub fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

/// What stands below a directory.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        let mode = metadata.permissions().mode() & 0o7777;
        let mut what = if metadata.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            format!("directory {mode:o}")
        } else if metadata.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).expect("a link"))
        } else if metadata.is_file() {
            let content = fs::read(&path).expect("a file");
            let links = metadata.nlink();
            format!("file {mode:o} {links} {}", content.escape_ascii())
        } else {
            format!("special {mode:o}")
        };
        if metadata.is_file() && metadata.modified().ok() == Some(then()) {
            what.push_str(" of then");
        }
        let name = path.strip_prefix(root).expect("below it");
        if name != Path::new("") {
            found.insert(name.to_owned(), what);
        }
    }
    found
}
