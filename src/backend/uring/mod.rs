//! io_uring behind the same operations (feature `uring`).
//!
//! An operation that waits for the device goes through a ring of this process, and the reactor of `async-io` notices when
//! it is done: no thread waits for it. What goes where is decided by the operation ([`Encode::wants_ring`]); what the ring
//! refuses, or answers in a way that has to do with the ring rather than the file, is done on the pool, by the same value.
//!
//! * `slab.rs` says who owns what, and until when. `ring.rs` submits and reaps, `notify.rs` has the reactor watch. What the
//!   threads agree on is apart from the kernel, so that it can be checked in all orders (`tests/model`): `flight.rs` counts
//!   what is on its way, `turn.rs` sees to it that one thread at a time reaps, and `arm.rs` that the reactor tells.
//! * `encode.rs` has the entries of the operations, `perform.rs` those of plain system calls, for `AIOFILES_BACKEND=uring`.
//! * There are as many rings as processors, up to [`RINGS`]; each is made when it is first used, by a thread that was given
//!   its number. Their flags are plain: with `COOP_TASKRUN` completions would wait for threads that are busy elsewhere,
//!   `SINGLE_ISSUER` and `DEFER_TASKRUN` want one thread, and `SQPOLL` a processor.
//! * A read whose submitting thread ends before it is done fails with `EFAULT` or `ECANCELED`, and is made again.
#![allow(
    unsafe_code,
    reason = "addresses are given to the kernel, and queues are shared with it"
)]

mod arm;
mod encode;
mod flight;
mod notify;
pub(super) mod perform;
mod ring;
mod slab;
mod turn;

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use io_uring::{Probe, opcode, squeue};

use super::description::Description;
use super::info::RingFigures;
use super::op::Op;
use super::slot::{InFlight, Slot};
use super::sync;
use super::sys::Call;
use super::trace::{self, Journey, Route};
use super::transfer::Step;
use super::wish::Wish;
use super::{cache, executor, exit, fault, pool};
use ring::{OnRing, Ring};

/// How many rings there may be.
const RINGS: usize = 8;

/// The rings, as far as they were made.
static ALL: [AtomicPtr<Ring>; RINGS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; RINGS];

/// Why there are none.
static REFUSED: OnceLock<String> = OnceLock::new();

/// Operations that a ring answered in a way that made the pool do them again.
static RETRIED: AtomicU64 = AtomicU64::new(0);

/// An operation that a ring can perform too.
///
/// # Safety
///
/// What [`entry`](Self::entry) makes names memory that belongs to the operation, that does not move with it, and that
/// nobody else uses while the operation is left alone; and the descriptor of an open file of which it has a share.
pub(crate) unsafe trait Encode: Op + Sized {
    /// What the fault seam calls it.
    const CALL: Call;

    /// Whether the ring is the right place for it.
    fn wants_ring(&self) -> bool;

    /// What the kernel is to do next.
    fn entry(&mut self) -> squeue::Entry;

    /// The kernel has done it: with how many bytes, or an error. A panic is one that the fault seam has planned.
    fn completed(self, result: thread::Result<io::Result<usize>>) -> Step<Self>;
}

/// Starts an operation on a ring, or gives it back.
pub(crate) fn start<O: Encode>(op: O) -> Result<InFlight<O::Output>, O> {
    if !op.wants_ring() || op.place().executor().is_some() || !may_use() {
        return Err(op);
    }
    let Some(ring) = ring() else {
        return Err(op);
    };
    let journey = Journey::begin(op.name(), &op.place(), Route::Ring);
    let (slot, in_flight) = Slot::on_ring();
    Travelling::send(ring, slot, op, journey);
    Ok(in_flight)
}

/// Whether the operations of this thread may go through a ring, as far as it is known; finds it out if it is not.
pub(super) fn is_on() -> bool {
    may_use() && ring().is_some()
}

/// Whether nothing else is to perform what this thread does.
fn may_use() -> bool {
    may_perform() && !fault::keeps_off_ring()
}

/// The same for plain system calls, which meet planned faults on their way to a ring too.
fn may_perform() -> bool {
    !PLAINLY.get() && executor::current().is_none() && !exit::is_ending()
}

thread_local! {
    /// What this thread does is to be done by plain system calls.
    static PLAINLY: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread make plain system calls, until the guard goes.
pub(super) fn plainly() -> impl Drop {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLAINLY.set(self.0);
        }
    }
    Restore(PLAINLY.replace(true))
}

/// Whether everything is to go through the ring that can.
pub(super) fn is_forced() -> bool {
    *Wish::of_process() == Wish::Uring
}

/// Why there is no ring.
pub(super) fn refusal() -> Option<&'static str> {
    if ring().is_some() {
        return None;
    }
    Some(REFUSED.get().map_or(
        "not enough memory or descriptors for a ring now",
        String::as_str,
    ))
}

/// Completes what is done on the ring of this thread, and on those that are in the way.
pub(super) fn reap() {
    each_ring(|ring| ring.reap());
}

fn look_after_all() {
    each_ring(Ring::look_after);
}

fn each_ring(mut call: impl FnMut(&'static Ring)) {
    for ring in &ALL {
        if let Some(ring) = made(ring) {
            call(ring);
        }
    }
}

/// What has happened on all rings.
pub(super) fn figures() -> RingFigures {
    let mut sum = RingFigures {
        retried: RETRIED.load(Ordering::Relaxed),
        ..RingFigures::default()
    };
    each_ring(|ring| {
        let counters = &ring.counters;
        // What is completed was submitted: in this order no more is completed than submitted.
        sum.completed += counters.completed.load(Ordering::SeqCst);
        sum.submitted += counters.submitted.load(Ordering::SeqCst);
        sum.overflows += counters.overflows.load(Ordering::Relaxed);
    });
    sum
}

/// The ring of this thread. Made on first use; `None` if there can be none.
fn ring() -> Option<&'static Ring> {
    if REFUSED.get().is_some() {
        return None;
    }
    let place = &ALL[number()];
    made(place).or_else(|| make(place))
}

fn made(place: &AtomicPtr<Ring>) -> Option<&'static Ring> {
    // SAFETY: the pointer is null, or was made of a `&'static Ring`.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}

/// The number of this thread's ring.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = NUMBER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    });
    number % pool::processors().clamp(1, RINGS)
}

/// Makes a ring, unless somebody has done so meanwhile.
fn make(place: &AtomicPtr<Ring>) -> Option<&'static Ring> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if REFUSED.get().is_some() {
        return None;
    }
    if let Some(ring) = made(place) {
        return Some(ring);
    }
    // The wish comes before the first call that a sandbox might punish.
    let refusal = match unwanted().map_or_else(
        || Ring::new().and_then(check),
        |why| Err(io::Error::other(why)),
    ) {
        Ok(ring) => {
            place.store(std::ptr::from_ref(ring).cast_mut(), Ordering::Release);
            return Some(ring);
        }
        // There may be room another time.
        Err(error) if is_for_now(&error) => return None,
        Err(error) => error,
    };
    let _ = REFUSED.set(match refusal.raw_os_error() {
        Some(_) => format!("io_uring is refused: {refusal}"),
        None => refusal.to_string(),
    });
    None
}

/// The kernel takes nothing more from a ring, as when a program gave up its rights: then none is used any more.
fn give_up(ring: &'static Ring, error: &io::Error) {
    // One that is only tried out has an answer of its own.
    let is_ours = |place| made(place).is_some_and(|known| std::ptr::eq(known, ring));
    if ALL.iter().any(is_ours) {
        let _ = REFUSED.set(format!("io_uring is refused by now: {error}"));
    }
}

/// Why this process is to have no ring, if that is known beforehand.
fn unwanted() -> Option<&'static str> {
    if *Wish::of_process() == Wish::Pool {
        return Some("AIOFILES_BACKEND is pool");
    }
    // Versions before this one have errors that nobody can work around: results that are lost or wrong, and rings that
    // hang. On 32 bits, user space and kernel do not agree on all entries.
    if !cfg!(target_pointer_width = "64") || cfg!(target_arch = "powerpc64") {
        return Some("io_uring is not used on this architecture");
    }
    if cache::kernel() < (6, 1) {
        return Some("io_uring is used from Linux 6.1 on");
    }
    None
}

/// Whether a ring could be had another time.
fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::EINTR)
    )
}

/// Makes sure that a new ring knows the operations and does one: a sandbox may allow to make it, and nothing else.
fn check(ring: &'static Ring) -> io::Result<&'static Ring> {
    let mut probe = Probe::new();
    ring.uring().submitter().register_probe(&mut probe)?;
    let needed = [
        opcode::Read::CODE,
        opcode::Write::CODE,
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::Close::CODE,
    ];
    if !needed.iter().all(|code| probe.is_supported(*code)) {
        return Err(io::Error::other(
            "this kernel's io_uring has not all operations",
        ));
    }
    match ring.try_out()? {
        true => Ok(ring),
        false => Err(io::Error::other(
            "io_uring does not perform what it is given",
        )),
    }
}

/// An operation that a ring has, with the slot that waits for what comes of it.
struct Travelling<O: Encode> {
    slot: Arc<Slot<O>>,
    /// `None` for a moment, when it goes on to somewhere else.
    op: Option<O>,
    journey: Journey,
    /// What it inherits from the code that submitted it, and what that has planned.
    context: fault::Context,
    fate: fault::Fate,
}

impl<O: Encode> Travelling<O> {
    fn send(ring: &'static Ring, slot: Arc<Slot<O>>, op: O, journey: Journey) {
        let travelling = Travelling {
            slot,
            op: Some(op),
            journey,
            context: fault::Context::current(),
            fate: fault::Fate::of(O::CALL),
        };
        if let Err(refused) = ring.submit(Box::new(travelling)) {
            // As if the kernel had refused it.
            refused.complete(-libc::ECANCELED);
        }
    }
}

// SAFETY: the operation is behind a pointer that does not move, and is left alone until `complete`; the rest is what
// `Encode` promises.
unsafe impl<O: Encode> OnRing for Travelling<O> {
    fn entry(&mut self) -> squeue::Entry {
        match &mut self.op {
            Some(op) if self.fate.lets_through() => op.entry(),
            _ => opcode::Nop::new().build(),
        }
    }

    fn complete(mut self: Box<Self>, result: i32) {
        let fate = std::mem::take(&mut self.fate);
        fate.land(result, |fate, result| self.landed(&fate, result));
    }
}

impl<O: Encode> Travelling<O> {
    /// The kernel has done it, and nothing keeps that back any more.
    fn landed(self, fate: &fault::Fate, result: i32) {
        let Some(op) = self.op else { return };
        let (slot, journey) = (self.slot, self.journey);
        let _entered = self.context.enter();
        // What has to do with the ring, or with the thread that submitted, is no answer about the file.
        let result = match usize::try_from(result) {
            Ok(n) => Ok(n),
            Err(_) if is_no_answer(-result) => {
                RETRIED.fetch_add(1, Ordering::Relaxed);
                journey.retried(-result);
                return slot.queue(op, journey);
            }
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        let told = journey.enter();
        let result = panic::catch_unwind(|| fate.panic()).map(|()| result);
        match panic::catch_unwind(AssertUnwindSafe(|| op.completed(result))) {
            Ok(Step::Done(output)) => {
                trace::ended(|| O::error(&output));
                slot.finish(Ok(output));
            }
            Ok(Step::Again(op)) if slot.is_wanted(&op) => {
                let journey = told.pause();
                match ring() {
                    Some(ring) => Travelling::send(ring, slot, op, journey),
                    None => slot.queue(op, journey),
                }
            }
            Ok(Step::Again(op)) => drop(op),
            Err(panic) => slot.finish(Err(panic)),
        }
    }
}

/// Whether an error code says nothing about the file, or might not.
fn is_no_answer(code: i32) -> bool {
    matches!(
        code,
        libc::EFAULT
            | libc::ECANCELED
            | libc::EAGAIN
            | libc::EINTR
            | libc::EOPNOTSUPP
            | libc::EINVAL
    )
}

/// Whether reads of an open file go through a ring: those that wait for the device.
pub(super) fn wants_read(description: &Description) -> bool {
    description.allows_ring()
        && (description.demands_ring() || description.is_direct() || description.tells_cached())
}

/// Whether writes at offsets do. A write to the page cache would only be handed to a thread of the kernel.
pub(super) fn wants_write(description: &Description) -> bool {
    description.is_overwritten() && (description.demands_ring() || description.is_direct())
}

/// Whether this thread's plain system calls are to be made by way of a ring.
pub(super) fn performs() -> bool {
    is_forced() && may_perform()
}
