//! Loops until clean: every public operation, with each error of the list at each call it makes, once and for ever. The
//! caller hears of it as the contract says, nothing hangs or panics, nothing is left behind, and an open file is as usable
//! as before, with every byte that it accepted.
//!
//! A clean run counts how often each kind of call is made. Then the operation is performed anew for each of these calls
//! and each error, on the pool that is stepped by hand, and what came of it is judged beside the clean run.

#![cfg(all(target_os = "linux", feature = "testing"))]

mod catalogue;
mod directories;
mod files;
mod judge;
mod paths;
mod stage;
mod streams;
mod temporary;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use std::sync::LazyLock;

use aiofiles::testing::Call;

use crate::support::{Seed, alone_under, fd_count, figure, iterations, numbered, skip, temp_dir};
use stage::{Action, Fault, Found, Manner, Outcome, Snapshot, Stage, Told, Way};

/// One way to use one public operation.
pub struct Operation {
    name: String,
    /// The functions that it is there for, as the catalogue finds them: file and name.
    covers: &'static [&'static str],
    manner: Manner,
    perform: Box<dyn Fn(&Stage)>,
}

fn op(
    name: impl Into<String>,
    covers: &'static [&'static str],
    perform: impl Fn(&Stage) + 'static,
) -> Operation {
    Operation {
        name: name.into(),
        covers,
        manner: Manner::Stepped,
        perform: Box::new(perform),
    }
}

impl Operation {
    /// Something besides the jobs of the pool may wake it.
    fn outside(mut self) -> Operation {
        self.manner = Manner::Outside;
        self
    }

    /// It is performed by the real pool, and whatever else makes these calls.
    fn live(mut self, calls: &'static [Call]) -> Operation {
        self.manner = Manner::Live(calls);
        self
    }

    /// Performs it in a directory of its own, and counts descriptors before and after.
    fn run(&self, fault: Option<Fault>) -> Outcome {
        let before = descriptors();
        let stage = Stage::new(fault, self.manner);
        let run = catch_unwind(AssertUnwindSafe(|| (self.perform)(&stage)));
        if let Err(panic) = run {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            stage.wrong(format!("beside the operation: {}", text.unwrap_or("?")));
        }
        let mut outcome = stage.end();
        let after = descriptors();
        if after != before {
            let text = format!("{before} descriptors before, {after} after");
            outcome.wrong.push(text);
        }
        outcome
    }
}

/// Every kind of call but [`Call::CachedRead`], whose faults change whether such reads are made at all.
/// What comes of its faults is in `nowait.rs`.
const CALLS: [Call; 24] = [
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
    Call::RingRead,
    Call::RingWrite,
];

/// Every error of the list.
const ERRORS: [(&str, i32); 12] = [
    ("EIO", libc::EIO),
    ("ENOSPC", libc::ENOSPC),
    ("EDQUOT", libc::EDQUOT),
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("EMFILE", libc::EMFILE),
    ("ENFILE", libc::ENFILE),
    ("EACCES", libc::EACCES),
    ("EPERM", libc::EPERM),
    ("EROFS", libc::EROFS),
    ("EFBIG", libc::EFBIG),
    ("ENOMEM", libc::ENOMEM),
];

/// Bytes to write, or to find.
fn data(len: usize) -> &'static [u8] {
    static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| numbered(1 << 20));
    &DATA[..len]
}

/// So many calls of one kind are struck, one in each run.
const MOST: usize = 20;

fn operations() -> Vec<Operation> {
    let mut all = paths::operations();
    all.extend(directories::operations());
    all.extend(files::operations());
    all.extend(streams::operations());
    all.extend(texts::operations());
    all.extend(temporary::operations());
    if let Ok(wanted) = env::var("AIOFILES_LOOPS") {
        all.retain(|operation| operation.name.contains(&wanted));
    }
    all
}

/// Whether the variable `AIOFILES_LOOPS` names those operations that are to be performed: then more is said about them.
fn is_chosen() -> bool {
    env::var_os("AIOFILES_LOOPS").is_some()
}

/// What a pass has seen.
#[derive(Default)]
struct Tally {
    operations: BTreeSet<String>,
    faults: usize,
    /// What was wrong, and with which faults.
    wrong: BTreeMap<String, Vec<String>>,
}

impl Tally {
    /// Performs the operation with this fault, judges it, and says how many calls were struck.
    fn try_out(
        &mut self,
        operation: &Operation,
        clean: &Outcome,
        call: Call,
        nth: usize,
        persistent: bool,
        action: Action,
    ) -> usize {
        let fault = Fault {
            call,
            nth,
            persistent,
            action,
        };
        let found = operation.run(Some(fault));
        self.judge(operation, fault, clean, &found);
        found.struck
    }

    fn judge(&mut self, operation: &Operation, fault: Fault, clean: &Outcome, found: &Outcome) {
        self.faults += 1;
        self.operations.insert(operation.name.clone());
        for text in judge::judge(&operation.name, &fault, clean, found) {
            let (name, call) = (&operation.name, fault.call);
            let wrong = self.wrong.entry(format!("{name}, {call:?}: {text}"));
            wrong.or_default().push(fault.to_string());
        }
    }

    /// Says what came of it, and fails if something was wrong.
    fn end(self, what: &str) {
        let wrong = self.wrong.values().map(Vec::len).sum::<usize>();
        let (operations, faults) = (self.operations.len(), self.faults);
        figure(&format!(
            "{what}: {operations} operations, {faults} faults, {wrong} wrong"
        ));
        let listed = self.wrong.iter().map(|(text, faults)| {
            let few = faults
                .iter()
                .take(12)
                .map(String::as_str)
                .collect::<Vec<_>>();
            format!("{text}\n    {} times: {}\n", faults.len(), few.join(", "))
        });
        assert!(self.wrong.is_empty(), "{}", listed.collect::<String>());
    }
}

/// Whether all of it is run, and not a slice.
fn runs_all() -> bool {
    iterations(1) >= 10
}

/// Nothing is said of panics that are caught.
fn in_silence(test: impl FnOnce()) {
    if !is_chosen() {
        panic::set_hook(Box::new(|_| {}));
    }
    let result = catch_unwind(AssertUnwindSafe(test));
    let _ = panic::take_hook();
    if let Err(panic) = result {
        panic::resume_unwind(panic);
    }
}

/// Errors at each of these calls that the operations make, once and for ever.
fn fail_each(operations: Vec<Operation>, calls: &[Call], tally: &mut Tally) {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for operation in operations {
        let clean = clean_run(&operation, tally);
        let made = clean.made.iter().filter(|(call, _)| calls.contains(call));
        for &(call, count) in made {
            let mut errors = ERRORS.to_vec();
            let mut most = MOST;
            if !runs_all() {
                rng.shuffle(&mut errors);
                errors.truncate(2);
                most = 1;
            }
            for nth in 0..count.min(most) {
                for &(_, code) in &errors {
                    for persistent in [false, true] {
                        let action = Action::Fail(code);
                        tally.try_out(&operation, &clean, call, nth, persistent, action);
                    }
                }
            }
        }
    }
}

/// A panic at each of these calls that the operations make.
fn panic_each(operations: Vec<Operation>, calls: &[Call], tally: &mut Tally) {
    for operation in operations {
        let clean = clean_run(&operation, tally);
        let most = if runs_all() { MOST } else { 1 };
        let made = clean.made.iter().filter(|(call, _)| calls.contains(call));
        for &(call, count) in made {
            for nth in 0..count.min(most) {
                tally.try_out(&operation, &clean, call, nth, false, Action::Panic);
            }
        }
    }
}

/// These calls move so many bytes at the most, always. What is done in one call by its nature is left out.
fn shorten_each(operations: Vec<Operation>, calls: &[Call], tally: &mut Tally) {
    /// Operations that may give or take less than they were asked for, or whose answer is how much it was.
    const SINGLE: &[&str] = &[
        "read (",
        "read_vectored (",
        "fill_buf and consume (",
        "read after a write (",
        "read_at (",
        "read_vectored_at (",
        "write (",
        "write_vectored (",
        "write_at (",
        "write_at, dropped",
        "write_vectored_at (",
        "many writes, tried again",
        "into_std (Unbuffered",
        "read from a pipe",
        "write to a pipe",
        "stdin",
        // A socket has no room for that many pieces that nobody takes.
        "sendfile",
    ];
    /// So many calls are too many for each length.
    const MANY: usize = 40;
    for operation in operations {
        if SINGLE.iter().any(|name| operation.name.starts_with(name)) {
            continue;
        }
        let clean = clean_run(&operation, tally);
        let made = clean.made.iter().filter(|(call, _)| calls.contains(call));
        for &(call, _) in made {
            let action = Action::Short(4096);
            let struck = tally.try_out(&operation, &clean, call, 0, true, action);
            // Direct I/O moves whole blocks.
            if struck > MANY || operation.name.contains("(Direct") {
                continue;
            }
            let lengths = if runs_all() { 1..=64 } else { 1..=2 };
            for most in lengths.chain([7]) {
                let action = Action::Short(most);
                tally.try_out(&operation, &clean, call, 0, true, action);
            }
        }
    }
}

/// Runs a pass in a process of its own, whose temporary files go to a directory of their own.
macro_rules! pass {
    ($what:literal, $environment:expr, $pass:expr) => {
        // What direct I/O leaves behind the end is judged for the blocks of a device.
        if env::var_os("AIOFILES_TEST_IN_MEMORY").is_some() {
            return skip("a file system on a device");
        }
        let dir = temp_dir();
        let place = format!("TMPDIR={}", dir.path().display());
        let mut command = vec!["env", &place];
        command.extend_from_slice($environment);
        alone_under(&command, || {
            let mut tally = Tally::default();
            let pass = $pass;
            in_silence(|| pass(&mut tally));
            tally.end($what);
        });
    };
}

#[test]
fn every_error_at_every_call_of_every_operation_is_told_and_costs_nothing() {
    pass!("loops", &[], |tally: &mut Tally| fail_each(
        operations(),
        &CALLS,
        tally
    ));
}

#[test]
fn a_panic_at_any_call_of_any_operation_is_told_and_costs_nothing() {
    pass!("loops, panics", &[], |tally: &mut Tally| panic_each(
        operations(),
        &CALLS,
        tally
    ));
}

#[test]
fn calls_that_come_short_change_nothing() {
    const CALLS: [Call; 3] = [Call::Read, Call::Write, Call::Copy];
    pass!("loops, short calls", &[], |tally: &mut Tally| shorten_each(
        operations(),
        &CALLS,
        tally
    ));
}

#[test]
fn every_error_panic_and_short_answer_of_a_ring_is_told_and_costs_nothing() {
    const RINGS: &[Call] = &[Call::RingRead, Call::RingWrite];
    pass!(
        "loops, rings",
        &["AIOFILES_BACKEND=uring"],
        |tally: &mut Tally| {
            let backend = aiofiles::backend();
            if backend.kind() != aiofiles::BackendKind::Uring {
                return skip(&format!("io_uring ({})", backend.reason()));
            }
            let live = || files::operations().into_iter().map(|it| it.live(RINGS));
            fail_each(live().collect(), RINGS, tally);
            panic_each(live().collect(), RINGS, tally);
            shorten_each(live().collect(), RINGS, tally);
        }
    );
}

/// How many there are when nothing is being closed any more.
fn descriptors() -> usize {
    crate::files::wait_until("nothing is being closed", || {
        let backend = aiofiles::backend();
        backend.pending_closes() == 0 && backend.queued() == 0 && backend.running() == 0
    });
    fd_count()
}

/// Without a fault, twice: what is needed for the first time is there the second time.
fn clean_run(operation: &Operation, tally: &mut Tally) -> Outcome {
    operation.run(None);
    let clean = operation.run(None);
    let name = &operation.name;
    let mut wrong = clean.wrong.clone();
    if !matches!(clean.told, Some(Told::Ok(_))) {
        wrong.push(format!("{:?}", clean.told));
    }
    for text in wrong {
        let wrong = tally.wrong.entry(format!("{name}: {text}"));
        wrong.or_default().push("none".to_owned());
    }
    if is_chosen() {
        eprintln!("{}: {:?}", operation.name, clean.made);
    }
    clean
}
