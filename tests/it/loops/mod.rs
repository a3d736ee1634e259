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

use std::collections::BTreeMap;
use std::env;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use std::sync::LazyLock;

use aiofiles::testing::Call;

use crate::support::{Seed, alone, fd_count, figure, iterations, numbered};
use stage::{Action, Fault, Found, Outcome, Snapshot, Stage, Told, Way};

/// One way to use one public operation.
pub struct Operation {
    name: String,
    /// The functions that it is there for, as the catalogue finds them: file and name.
    covers: &'static [&'static str],
    /// Whether something besides the jobs of the pool may wake it.
    outside: bool,
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
        outside: false,
        perform: Box::new(perform),
    }
}

impl Operation {
    fn outside(mut self) -> Operation {
        self.outside = true;
        self
    }

    /// Performs it in a directory of its own, and counts descriptors before and after.
    fn run(&self, fault: Option<Fault>) -> Outcome {
        let before = fd_count();
        let stage = Stage::new(fault, self.outside);
        let run = catch_unwind(AssertUnwindSafe(|| (self.perform)(&stage)));
        if let Err(panic) = run {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            stage.wrong(format!("beside the operation: {}", text.unwrap_or("?")));
        }
        let mut outcome = stage.end();
        let after = fd_count();
        if after != before {
            let text = format!("{before} descriptors before, {after} after");
            outcome.wrong.push(text);
        }
        outcome
    }
}

/// Every kind of call.
const CALLS: [Call; 22] = [
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

/// Every error of the list.
const ERRORS: [i32; 12] = [
    libc::EIO,
    libc::ENOSPC,
    libc::EDQUOT,
    libc::EINTR,
    libc::EAGAIN,
    libc::EMFILE,
    libc::ENFILE,
    libc::EACCES,
    libc::EPERM,
    libc::EROFS,
    libc::EFBIG,
    libc::ENOMEM,
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
    operations: usize,
    faults: usize,
    /// What was wrong, and with which faults.
    wrong: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn judge(&mut self, operation: &Operation, fault: Fault, clean: &Outcome, found: &Outcome) {
        self.faults += 1;
        for text in judge::judge(&operation.name, &fault, clean, found) {
            let (name, call) = (&operation.name, fault.call);
            let wrong = self.wrong.entry(format!("{name}, {call:?}: {text}"));
            wrong.or_default().push(fault.to_string());
        }
    }

    /// Says what came of it, and fails if something was wrong.
    fn end(self, what: &str) {
        let wrong = self.wrong.values().map(Vec::len).sum::<usize>();
        let (operations, faults) = (self.operations, self.faults);
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

#[test]
fn every_error_at_every_call_of_every_operation_is_told_and_costs_nothing() {
    alone(|| {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let mut tally = Tally::default();
        in_silence(|| {
            for operation in operations() {
                tally.operations += 1;
                let clean = clean_run(&operation, &mut tally);
                if is_chosen() {
                    eprintln!("{}: {:?}", operation.name, clean.made);
                }
                for &(call, count) in &clean.made {
                    let (errors, most) = if runs_all() {
                        (ERRORS.to_vec(), MOST)
                    } else {
                        let mut errors = ERRORS;
                        rng.shuffle(&mut errors);
                        (errors[..2].to_vec(), 3)
                    };
                    for nth in 0..count.min(most) {
                        for &code in &errors {
                            for persistent in [false, true] {
                                let fault = Fault {
                                    call,
                                    nth,
                                    persistent,
                                    action: Action::Fail(code),
                                };
                                let found = operation.run(Some(fault));
                                tally.judge(&operation, fault, &clean, &found);
                            }
                        }
                    }
                }
            }
        });
        tally.end("loops");
    });
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
    clean
}
