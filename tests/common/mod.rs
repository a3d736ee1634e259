//! What the test binaries share: every runtime behind one call, and the small tools tests are written with.
//!
//! A test binary takes it in with `#[path = "../common/mod.rs"] mod support;` (in `tests/it/main.rs`) or
//! `#[path = "common/mod.rs"] mod support;` (in `tests/name.rs`), and tests begin with `use crate::support::*;`.
//!
//! # Runtimes (`runtime.rs`, `hostile.rs`)
//!
//! ```ignore
//! #[test]
//! fn a_written_byte_is_read_back() {
//!     every_runtime(|rt| async move {          // once per runtime: smol x2, async-std, tokio x2, block_on, hostile
//!         let dir = temp_dir();
//!         let task = rt.spawn(async { 1 });     // a second task of the same runtime; panics travel to the awaiter
//!         assert_eq!(task.await, 1, "under {}", rt.name());
//!     });
//! }
//! ```
//!
//! * [`every_runtime`]`(body)`: runs the body under each of [`Kind::ALL`], one after the other; a failure or a hang
//!   (two minutes) fails the test and names the runtime. `AIOFILES_RUNTIME=tokio` keeps those whose name contains it.
//! * [`on_runtimes`]`(&[Kind::TokioMulti], body)`: the same on a choice of them.
//! * [`Runtime::new`]`(kind)`: one by hand, with [`Runtime::block_on`] (as often as wanted) and [`Runtime::handle`];
//!   dropping it ends its threads and drops its unfinished tasks.
//! * [`hostile::block_on`]`(seed, future)`: polls without a wake, with a new waker each time, from alternating threads.
//!
//! # Cancelling and wakers (`cancel.rs`)
//!
//! * [`poll_once`]`(future).await`, [`poll_n`]`(future, n).await`: `Some(output)`, or `None` with the future dropped
//!   after so many polls (`poll_n` waits to be woken between two polls; `n == 0` drops it unpolled).
//! * [`poll_now`]`(pin!(future))`: one poll from outside any runtime, with a waker that does nothing.
//! * [`CountingWaker`]: a waker that counts how often it was woken.
//!
//! # The rest (`tools.rs`)
//!
//! * [`temp_dir`]`()`: a new directory, removed on drop.
//! * [`numbered`]`(len)`, [`random_bytes`]`(&mut rng, len)`: data in which a lost, doubled or swapped piece shows.
//! * [`assert_same_bytes`]`(found, expected)`: names the first difference instead of printing megabytes.
//! * [`Seed::new`]`()`: from `AIOFILES_SEED` or random, printed if the test panics; `seed.rng()`, `seed.value()`.
//! * [`iterations`]`(normal)`: scaled by `AIOFILES_TEST_SCALE` (such as `0.1` or `100`), at least 1.
//! * [`skip`]`("root")`: prints `skipped: needs root` past libtest's capture, with a running count; use it as
//!   `if !is_root() { return skip("root"); }`.
//! * [`figure`]`("cuts: 10000 on ext4, 0 bytes lost")`: prints how much a test has done, past libtest's capture.
//! * [`is_root`]`()`; on Linux [`fd_count`]`()`, [`all_fd_count`]`()` and [`thread_count`]`()` of this process.
//! * [`alone`]`(|| ...)`: runs the test's body in a process of its own, for tests that count descriptors or threads,
//!   which other tests of the binary would disturb. `AIOFILES_TEST_SCALE`, seeds and skips pass through.
//! * [`alone_under`]`(&["unshare", "-m"], || ...)`: the same, started by a command; ask [`succeeds`]`(&["unshare", "-m",
//!   "true"])` first and skip where it cannot be had. [`is_alone`]`()` tells the new process from the first one.
//! * On Linux, [`seccomp::refuse`]`(call, Verdict::Error(EPERM))`: what a sandbox does, for the rest of the process. With
//!   `AIOFILES_TEST_REFUSE_URING=EPERM` in the environment every test binary refuses io_uring to itself.
//! * [`run_checks`]`(&[(name, check)])`: libtest's words for a binary with a `main` of its own (`harness = false`).
//! * [`within_limit`]`(name, || ...)`: runs a closure on a thread of its own and panics with the name if it hangs.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of this module"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests start threads of their own to play other runtimes"
)]

mod cancel;
mod checks;
pub mod hostile;
mod runtime;
#[cfg(target_os = "linux")]
pub mod seccomp;
mod tools;

pub use cancel::{CountingWaker, poll_n, poll_now, poll_once};
pub use checks::run_checks;
pub use runtime::{Handle, Kind, Runtime, Task, every_runtime, on_runtimes};
#[cfg(unix)]
pub use tools::is_root;
pub use tools::{
    Seed, alone, alone_under, assert_same_bytes, figure, is_alone, iterations, numbered,
    random_bytes, skip, succeeds, temp_dir, within_limit,
};
#[cfg(target_os = "linux")]
pub use tools::{all_fd_count, fd_count, peak, thread_count};
