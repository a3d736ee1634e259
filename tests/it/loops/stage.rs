//! What one operation is performed on: a directory, a pool that is stepped by hand, and one planned fault.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::fs;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use aiofiles::File;
use aiofiles::testing::{Call, Faults, Stepper};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tempfile::TempDir;

use super::{CALLS, ERRORS};
use crate::files::wait_until;
use crate::steps::EVER;
use crate::support::{CountingWaker, temp_dir};

/// How often a call is made, at the most, that is interrupted or not ready "for ever": it is made again each time, so for
/// ever would be for ever.
const LONG: usize = 50;

/// What the planned fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Fail(i32),
    Short(usize),
    Panic,
}

/// The planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: Call,
    pub nth: usize,
    pub persistent: bool,
    pub action: Action,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.persistent { "ever" } else { "once" };
        match self.action {
            Action::Fail(code) => {
                let named = ERRORS.iter().find(|(_, named)| *named == code);
                let name = named.map_or("?", |(name, _)| name);
                write!(f, "{name} at {} {times}", self.nth)
            }
            action => write!(f, "{action:?} at {} {times}", self.nth),
        }
    }
}

impl Fault {
    pub fn code(&self) -> Option<i32> {
        match self.action {
            Action::Fail(code) => Some(code),
            _ => None,
        }
    }

    /// The words of the panic, if one is planned.
    pub fn planned_panic(&self) -> Option<String> {
        let text = match self.call {
            Call::RingRead | Call::RingWrite => "a planned panic in a completion".to_owned(),
            call => format!("a planned panic in {call:?}"),
        };
        (self.action == Action::Panic).then_some(text)
    }

    /// Whether this is an error after which the call is simply made again.
    fn is_retried(&self) -> bool {
        matches!(self.action, Action::Fail(libc::EINTR | libc::EAGAIN))
    }

    fn plan(&self, faults: &Faults) {
        let times = match (self.persistent, self.is_retried()) {
            (false, _) => 1,
            (true, true) => LONG,
            (true, false) => EVER,
        };
        match self.action {
            Action::Fail(code) => faults.fail(self.call, self.nth, times, code),
            Action::Short(most) => faults.short(self.call, self.nth, times, most),
            Action::Panic => faults.panic(self.call, self.nth, times),
        }
    }
}

/// What an operation has told its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Ok(String),
    /// The code of the operating system, if there is one, and the text.
    Err(Option<i32>, String),
    Panic(String),
}

/// What stands in a directory: kinds, modes and contents by name.
pub type Snapshot = BTreeMap<String, (u32, Vec<u8>)>;

/// What came of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub told: Option<Told>,
    /// Calls that were struck.
    pub struck: usize,
    /// Calls that were made in the operation, by their kind.
    pub made: Vec<(Call, usize)>,
    pub before: Snapshot,
    pub after: Snapshot,
    /// What else can be compared with the clean run.
    pub notes: Vec<String>,
    /// A later call told of the fault.
    pub told_later: bool,
    /// What was wrong whatever the clean run has done.
    pub wrong: Vec<String>,
    /// Names that an error may leave with any beginning of these bytes.
    pub partial: BTreeMap<String, Vec<u8>>,
    /// Files whose content after an error was looked at by whoever knows what it may be.
    pub checked: BTreeSet<String>,
}

/// What an open file is found to be after an operation.
pub struct Found<'a> {
    /// What the operation told: `Ok` or not.
    pub ok: bool,
    /// It panicked: then what it had done may be known to nobody.
    pub panicked: bool,
    pub position: Option<u64>,
    pub content: &'a [u8],
}

/// What a file was opened for, as far as the judge may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Read,
    Write,
    Both,
    /// To be read too.
    Append,
}

/// How an operation is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// By hand: nothing but its jobs wakes it.
    Stepped,
    /// By hand, and something else may wake it too: a timer, readiness, the pool of `async-fs`.
    Outside,
    /// By the real pool, and whatever else makes these calls.
    Live(&'static [Call]),
}

pub struct Stage {
    // In this order: what the stepper still runs when it goes meets no fault any more.
    faults: Faults,
    stepper: Option<Stepper>,
    dir: TempDir,
    fault: Option<Fault>,
    manner: Manner,
    acted: Cell<bool>,
    outcome: RefCell<Outcome>,
    after: RefCell<Option<Snapshot>>,
}

impl Stage {
    pub fn new(fault: Option<Fault>, manner: Manner) -> Stage {
        let stepper = match manner {
            Manner::Live(_) => None,
            _ => Some(Stepper::install()),
        };
        let faults = Faults::install();
        Stage {
            faults,
            stepper,
            dir: temp_dir(),
            fault,
            manner,
            acted: Cell::new(false),
            outcome: RefCell::new(Outcome {
                told: None,
                struck: 0,
                made: Vec::new(),
                before: Snapshot::new(),
                after: Snapshot::new(),
                notes: Vec::new(),
                told_later: false,
                wrong: Vec::new(),
                partial: BTreeMap::new(),
                checked: BTreeSet::new(),
            }),
            after: RefCell::new(None),
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Before

    /// The directory that belongs to the operation.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of these bytes.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// A directory, with those above it.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// An error may leave any beginning of `bytes` in the file of this name, or no file.
    pub fn may_leave(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut outcome = self.outcome.borrow_mut();
        let bytes = bytes.as_ref().to_vec();
        outcome.partial.insert(name.to_owned(), bytes);
    }

    /// Performs something that is to meet no fault.
    #[track_caller]
    pub fn now<F: Future>(&self, future: F) -> F::Output {
        self.drive(future)
    }

    fn drive<F: Future>(&self, future: F) -> F::Output {
        /// Far more jobs than any operation takes.
        const ROUNDS: usize = 1_000_000;
        let Some(stepper) = &self.stepper else {
            return block_on(future);
        };
        let mut future = pin!(future);
        let count = CountingWaker::new();
        let waker = count.waker();
        for _ in 0..ROUNDS {
            let before = count.wakes();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            let begin = Instant::now();
            while count.wakes() == before {
                if stepper.run_one() {
                    continue;
                }
                assert!(
                    self.manner == Manner::Outside && begin.elapsed() < Duration::from_secs(100),
                    "it hangs: it waits, and no job is left that could wake it"
                );
                thread::sleep(Duration::from_micros(20));
            }
        }
        panic!("it goes round in circles: after {ROUNDS} polls there is no end of it");
    }

    // -----------------------------------------------------------------------------------------------------------------
    // The operation

    /// Performs the operation, with the fault in its way until the last of its jobs is done. What it gives must not name
    /// what differs from run to run; the directory is taken out of it. Whether it was `Ok`.
    pub fn act<T: Debug>(&self, future: impl Future<Output = io::Result<T>>) -> bool {
        assert!(!self.acted.replace(true), "one act for each stage");
        self.run_all();
        self.outcome.borrow_mut().before = self.snapshot();
        if let Manner::Live(calls) = self.manner {
            // As long as nothing is planned for them, none of them is made.
            calls
                .iter()
                .for_each(|call| self.faults.short(*call, 0, 0, 1));
        }
        let before = CALLS.map(|call| self.faults.made(call));
        if let Some(fault) = &self.fault {
            fault.plan(&self.faults);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result = self.drive(future);
            self.run_all();
            result
        }));
        let told = match result {
            Ok(Ok(given)) => {
                let text = format!("{given:?}");
                Told::Ok(text.replace(&self.dir().display().to_string(), "DIR"))
            }
            Ok(Err(error)) => Told::Err(aiofiles::raw_os_error(&error), error.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
                Told::Panic(text.unwrap_or_else(|| "a panic without a text".into()))
            }
        };
        // What a panic has left behind.
        while catch_unwind(AssertUnwindSafe(|| self.run_all())).is_err() {}
        let ok = matches!(told, Told::Ok(_));
        let mut outcome = self.outcome.borrow_mut();
        outcome.told = Some(told);
        outcome.struck = self.faults.struck();
        let made = CALLS.into_iter().zip(before);
        let made = made.map(|(call, before)| (call, self.faults.made(call) - before));
        outcome.made = made.filter(|(_, made)| *made > 0).collect();
        self.faults.clear();
        ok
    }

    fn run_all(&self) {
        let Some(stepper) = &self.stepper else {
            return wait_until("everything has come to its end", || {
                let backend = aiofiles::backend();
                backend.queued() + backend.running() + backend.pending_closes() == 0
                    && backend.submitted() == backend.completed()
            });
        };
        stepper.run_all();
    }

    /// Whether the operation was told to fail by a sync that is final.
    fn sync_is_final(&self) -> bool {
        let is_sync = |fault: &Fault| {
            matches!(fault.call, Call::SyncAll | Call::SyncData)
                && matches!(fault.action, Action::Fail(_))
                && !matches!(
                    fault.code(),
                    Some(libc::EINTR | libc::EINVAL | libc::EROFS | libc::ENOTSUP)
                )
        };
        self.fault.as_ref().is_some_and(is_sync) && self.outcome.borrow().struck > 0
    }

    // -----------------------------------------------------------------------------------------------------------------
    // After

    /// Whether the operation panicked, and what it had is gone.
    pub fn panicked(&self) -> bool {
        matches!(self.outcome.borrow().told, Some(Told::Panic(_)))
    }

    /// Something that must be as in the clean run if the operation was `Ok`.
    pub fn note(&self, text: impl Into<String>) {
        self.outcome.borrow_mut().notes.push(text.into());
    }

    /// Something that must never be.
    pub fn wrong(&self, text: impl Into<String>) {
        self.outcome.borrow_mut().wrong.push(text.into());
    }

    /// The error of the fault, for what tells of it otherwise than by an error.
    pub fn planned_error(&self) -> io::Error {
        let code = self.fault.as_ref().and_then(Fault::code);
        code.map_or_else(
            || io::Error::other("no fault"),
            io::Error::from_raw_os_error,
        )
    }

    /// The operation has told of the fault by what it gave.
    pub fn told_otherwise(&self) {
        self.outcome.borrow_mut().told_later = true;
    }

    /// Says so if it is not true.
    pub fn ensure(&self, condition: bool, text: &str) {
        if !condition {
            self.wrong(text);
        }
    }

    /// Whether `error` is that of the fault.
    fn is_planned(&self, error: &io::Error) -> bool {
        let Some(fault) = &self.fault else {
            return false;
        };
        match fault.planned_panic() {
            Some(text) => error.to_string() == text,
            None => fault.code().is_some() && aiofiles::raw_os_error(error) == fault.code(),
        }
    }

    /// Performs what must succeed now that there is no fault any more.
    pub fn succeeds<T>(
        &self,
        what: &str,
        future: impl Future<Output = io::Result<T>>,
    ) -> Option<T> {
        match self.now(future) {
            Ok(given) => Some(given),
            Err(error) => {
                self.wrong(format!("{what}, afterwards: {error}"));
                None
            }
        }
    }

    /// Performs what may tell of the fault. A panic that was planned is an error then.
    pub fn hear<T>(&self, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let Some(planned) = self.fault.and_then(|fault| fault.planned_panic()) else {
            return self.now(future);
        };
        match catch_unwind(AssertUnwindSafe(|| self.now(future))) {
            Ok(answer) => answer,
            Err(panic) if panic.downcast_ref() == Some(&planned) => Err(io::Error::other(planned)),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Takes note of the answer of a call after the operation, which may tell of the fault if nothing has yet. Whether it
    /// did.
    pub fn told_later<T>(&self, what: &str, answer: io::Result<T>) -> bool {
        match answer {
            Ok(_) => false,
            Err(error) if self.is_planned(&error) => {
                let mut outcome = self.outcome.borrow_mut();
                if matches!(outcome.told, Some(Told::Err(..) | Told::Panic(_))) {
                    outcome
                        .wrong
                        .push(format!("{what} tells of what was told before"));
                }
                outcome.told_later = true;
                true
            }
            Err(error) => {
                self.wrong(format!("{what}, afterwards: {error}"));
                false
            }
        }
    }

    /// Whether the fault strikes this kind of call.
    pub fn strikes(&self, call: Call) -> bool {
        self.fault.is_some_and(|fault| fault.call == call)
    }

    /// Checks that the file is as usable as before, and that what it holds is right. `path` leads to it as long as it has
    /// a name.
    pub fn check(
        &self,
        file: &mut File,
        path: Option<&Path>,
        way: Way,
        is_right: impl FnOnce(&Found<'_>) -> bool,
    ) {
        // What was accepted is written, and what was not told is told.
        if self.told_later("flush", self.hear(file.flush())) {
            self.succeeds("flush", file.flush());
        }
        let position = match self.now(file.stream_position()) {
            Ok(position) => Some(position),
            Err(error) => {
                self.wrong(format!("stream_position, afterwards: {error}"));
                None
            }
        };
        let on_disk = |file: &mut File| match path {
            Some(path) => fs::read(path).expect("the file is there"),
            None => {
                let read = self.now(file.read_to_end_at(Vec::new(), 0));
                if let (Err(error), _) = &read {
                    self.wrong(format!("read_to_end_at, afterwards: {error}"));
                }
                read.1
            }
        };
        let content = on_disk(file);
        // Nothing is lost of what comes next.
        if way != Way::Write {
            let mut rest = Vec::new();
            self.succeeds("read_to_end", file.read_to_end(&mut rest));
            let from = position.map_or(0, |position| position as usize);
            self.ensure(
                rest == content[from.min(content.len())..],
                "the rest of the file is not what is read",
            );
        }
        if let Some(name) = path.and_then(Path::file_name) {
            let name = name.to_string_lossy().into_owned();
            self.outcome.borrow_mut().checked.insert(name);
        }
        let ok = matches!(self.outcome.borrow().told, Some(Told::Ok(_)));
        let panicked = matches!(self.outcome.borrow().told, Some(Told::Panic(_)));
        let found = Found {
            ok,
            panicked,
            position,
            content: &content,
        };
        if !is_right(&found) {
            self.wrong(format!(
                "the file is not right: position {position:?}, {} bytes: {}",
                content.len(),
                String::from_utf8_lossy(&content[..content.len().min(60)])
            ));
        }
        self.note(format!("position {position:?}"));
        self.keep_snapshot();
        // It can be written, and read from the beginning.
        let mut expected = content;
        if way != Way::Read {
            if way != Way::Append {
                self.succeeds("seek", file.seek(SeekFrom::End(0)));
            }
            self.succeeds("write", file.write_all(b"more"));
            self.succeeds("flush", file.flush());
            expected.extend_from_slice(b"more");
            self.ensure(
                on_disk(file) == expected,
                "what is written afterwards does not come after the rest",
            );
        }
        if way != Way::Write {
            let mut all = Vec::new();
            self.succeeds("seek", file.seek(SeekFrom::Start(0)));
            self.succeeds("read_to_end", file.read_to_end(&mut all));
            self.ensure(all == expected, "what is read afterwards is not the file");
        }
        match self.now(file.sync_all()) {
            Err(error) if self.sync_is_final() && self.is_planned(&error) => {}
            Ok(()) if !self.sync_is_final() => {}
            result => self.wrong(format!("sync_all, afterwards: {result:?}")),
        }
        self.succeeds("close", file.close());
    }

    /// Takes down now what stands in the directory, rather than at the end.
    pub fn keep_snapshot(&self) {
        self.run_all();
        self.after
            .borrow_mut()
            .get_or_insert_with(|| self.snapshot());
    }

    fn snapshot(&self) -> Snapshot {
        let mut found = Snapshot::new();
        list(self.dir(), "", &mut found);
        found
    }

    /// Lets everything come to its end, and says what came of it.
    pub fn end(self) -> Outcome {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            self.run_all();
            self.now(aiofiles::settle());
            self.run_all();
        }));
        if panicked.is_err() {
            self.wrong("a panic in what was left");
        }
        self.keep_snapshot();
        let mut outcome = self.outcome.into_inner();
        outcome.after = self.after.into_inner().expect("it was taken down");
        outcome
    }
}

fn list(dir: &Path, prefix: &str, found: &mut Snapshot) {
    for entry in fs::read_dir(dir).expect("the directory is listed") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().expect("it is there");
        let kind = metadata.file_type();
        let content = if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link");
            target.into_os_string().into_encoded_bytes()
        } else if kind.is_file() {
            fs::read(entry.path()).expect("a file")
        } else {
            Vec::new()
        };
        found.insert(name.clone(), (metadata.mode(), content));
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), found);
        }
    }
}
