//! Sequences of operations on a file, with faults, on the hand-stepped pool, cut at any moment: against the model in
//! memory of `tests/it/oracle/faults.rs`.
#![no_main]

use std::sync::LazyLock;

use aiofiles::tempfile::TemporaryDirectory;
use libfuzzer_sys::fuzz_target;

// The oracle of the tests, of which a part is used here.
#[path = "../it/oracle/drive.rs"]
#[allow(dead_code, reason = "as above")]
mod drive;
#[path = "../it/oracle/faults.rs"]
#[allow(dead_code, unused_imports, reason = "as above")]
mod faults;
#[path = "../it/oracle/session.rs"]
#[allow(dead_code, unused_imports, reason = "as above")]
mod session;
#[path = "../it/oracle/steps.rs"]
#[allow(dead_code, reason = "as above")]
mod steps;

// Of the tools of the tests, those that it takes.
#[path = "../common/cancel.rs"]
#[allow(dead_code, reason = "as above")]
mod cancel;
#[path = "../common/tools.rs"]
#[allow(dead_code, reason = "as above")]
mod tools;

mod support {
    pub(crate) use crate::cancel::{CountingWaker, poll_n};
    pub(crate) use crate::tools::{Seed, iterations, numbered, temp_dir};

    /// A fuzzer is alone.
    pub(crate) fn alone(body: impl FnOnce()) {
        body();
    }
}

/// Of steps that take so many bytes each, more would only take longer.
const STEP: usize = 3;
const MOST: usize = 100;

static DIR: LazyLock<TemporaryDirectory> = LazyLock::new(|| {
    let dir = futures_lite::future::block_on(aiofiles::testing::memory_dir());
    dir.expect("a directory in memory")
});

fuzz_target!(|input: (u16, &[u8])| {
    let (seed, bytes) = input;
    // Each step is drawn from bytes of its own, so that one can be changed, left out or put in.
    let steps = bytes.chunks(STEP).take(MOST).map(|bytes| {
        bytes
            .iter()
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
    });
    let plan = faults::Plan::drawn(seed.into(), steps);
    if let Err(failure) = faults::attempt(&plan, DIR.path()) {
        panic!("{}", faults::story(&plan, &failure));
    }
});
