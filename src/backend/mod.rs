//! The seam between what a user names and what the operating system does.
//!
//! An operation is a value that owns everything it touches. [`submit`] gives it to the thread pool, [`transfer`] to a ring
//! of io_uring if that is the right place, and both return the future that waits for it.
//!
//! # Following one read
//!
//! 1. `file.rs`, `File::poll_read`: asks the stream behind the handle.
//! 2. `stream/read.rs`: what was read ahead is copied out; otherwise a job that fills a buffer is given to
//! 3. `backend/pool.rs`, [`spawn`]: the queue, and a drainer on the `blocking` pool that runs the job, which calls
//! 4. `backend/sys/mod.rs`, [`sys::read_at`]: `pread(2)`.
//!
//! With the feature `nowait`, step 2 asks `backend/cache.rs` first, and most reads end there. With the feature `uring`, the
//! block is filled by way of `backend/transfer.rs`, whose operations have two interpretations: `run`, for the pool, and an
//! entry in `backend/uring/encode.rs`.
//!
//! The rooms here never name `File` of this crate; the rooms above never name threads.

mod alarm;
mod answer;
#[cfg_attr(
    not(all(feature = "nowait", target_os = "linux")),
    path = "no_cache.rs"
)]
mod cache;
mod close;
pub(crate) mod delegate;
mod description;
mod direct;
mod executor;
mod exit;
#[cfg_attr(not(feature = "testing"), path = "no_fault.rs")]
pub(crate) mod fault;
pub(crate) mod fork;
mod info;
mod op;
#[cfg(unix)]
mod outlet;
mod place;
mod pool;
mod ready;
mod refusal;
mod slot;
pub(crate) mod sys;
mod threads;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub(crate) mod trace;
mod transfer;
#[cfg_attr(not(all(feature = "uring", target_os = "linux")), path = "no_uring.rs")]
mod uring;
mod wish;

use crate::sync;
pub(crate) use alarm::{Alarm, pause};
pub(crate) use answer::Asked;
pub(crate) use cache::Cached;
pub(crate) use close::{
    one_ended as one_close_ended, pending as pending_closes, work_off as work_off_closes,
};
pub(crate) use description::Description;
pub use direct::DirectAlignment;
pub(crate) use executor::Shared;
pub use executor::{Executor, Work, set_executor, with_executor};
pub(crate) use exit::{is_ending, progress};
pub use info::{Backend, BackendKind, backend, set_max_concurrent_operations};
pub(crate) use op::{Call, Fallible, Manner, Op, Opaque};
#[cfg(unix)]
pub(crate) use outlet::Outlet;
pub(crate) use place::Place;
pub(crate) use pool::{
    drive, drive_accepted, may_block, somebody_waits, spawn, spawn_accepted, spawn_accepted_long,
    still_moving, wake, wake_soon,
};
pub(crate) use slot::InFlight;
pub(crate) use transfer::{Fill, ReadAt, Then, WriteAt};

/// Starts `op`.
pub(crate) fn submit<O: Op>(op: O) -> InFlight<O::Output> {
    pool::submit(op)
}

/// Starts an operation that a ring may perform, on the ring if that is the right place.
pub(crate) fn transfer<O: uring::Encode>(op: O) -> InFlight<O::Output> {
    uring::start(op).unwrap_or_else(pool::submit)
}

/// Runs a closure that only asks something; abandoned before it began, it is skipped.
pub(crate) fn query<F, T>(name: &'static str, place: Place, call: F) -> InFlight<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Fallible + Send + 'static,
{
    submit(Call {
        name: trace::Name::of(name),
        manner: Manner::Query,
        place,
        call,
    })
}

/// Runs a closure that changes something; submitted, it runs to its end.
pub(crate) fn change<F, T>(name: &'static str, place: Place, call: F) -> InFlight<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Fallible + Send + 'static,
{
    submit(Call {
        name: trace::Name::of(name),
        manner: Manner::Change,
        place,
        call,
    })
}

/// Runs a closure that may take long in a job of its own; submitted, it runs to its end.
pub(crate) fn long<F, T>(name: &'static str, place: Place, call: F) -> InFlight<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Fallible + Send + 'static,
{
    submit(Call {
        name: trace::Name::of(name),
        manner: Manner::Long,
        place,
        call,
    })
}

/// Drops something whose drop may block: here if this thread may block, otherwise on the pool.
pub(crate) fn drop_elsewhere<T: Send + 'static>(value: T) {
    run_elsewhere("close", Place::anywhere(), move || drop(value));
}

/// Does something that may block: here if this thread may block, otherwise on the pool.
pub(crate) fn run_elsewhere(
    name: &'static str,
    place: Place,
    work: impl FnOnce() + Send + 'static,
) {
    if pool::may_block() {
        work();
    } else {
        spawn(name, place, work);
    }
}
