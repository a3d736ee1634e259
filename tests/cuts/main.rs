//! Futures cut at every await point: what is left is nothing, all of it, or what the documentation says.
//!
//! Every public asynchronous function is performed again and again ([`bench`]), and its future dropped a little later
//! each time, until it comes to its end uncut: before its first poll, with its job queued, with its job ended and the
//! result not taken, and where a task yields; on the hand-stepped pool, so each moment is met exactly. On the real pool,
//! a gate holds one system call of the job after another, and the future is dropped meanwhile. After each cut all that
//! is on its way comes to its end, and what is to be seen then, in the directory and through the handle, is compared
//! with what the function leaves if it is never polled and if it ends.
#![cfg(all(target_os = "linux", feature = "testing"))]
#![expect(
    clippy::disallowed_methods,
    reason = "closures of the user's run on threads of the user's"
)]

#[path = "../common/mod.rs"]
mod support;

mod bench;
mod catalogue;
mod directories;
mod files;
mod paths;
mod streams;
mod temporaries;
mod text;
mod waiters;

use aiofiles::testing::Stepper;

use bench::Bench;
use support::alone;

/// All that is public and asynchronous.
fn everything(bench: &mut Bench<'_>) {
    paths::cases(bench);
    directories::cases(bench);
    files::cases(bench);
    streams::cases(bench);
    text::cases(bench);
    temporaries::cases(bench);
}

#[test]
fn futures_are_cut_at_every_await_point_on_the_hand_stepped_pool() {
    alone(|| {
        let stepper = Stepper::install();
        let mut bench = Bench::stepped(&stepper);
        everything(&mut bench);
        bench.tell("await points");
    });
}

#[test]
fn futures_are_cut_while_their_job_is_in_a_system_call() {
    alone(|| {
        let mut bench = Bench::gated();
        everything(&mut bench);
        bench.tell("system calls");
    });
}
