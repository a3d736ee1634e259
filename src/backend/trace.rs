//! What a subscriber of `tracing` is told (feature `tracing`).
//!
//! A subscriber may do anything: wait for a lock, write to a slow disk, or write through this very crate and wait for
//! that. So it is not called by those who have something to tell, which may hold locks, or be the thread that the
//! subscriber would wait for. They leave it in a queue, and a thread of its own, the teller, calls the subscriber. What the
//! teller has this crate do is not told, or there would be no end of it.
//!
//! * Whoever submits an operation looks up its subscriber and its span ([`Listener`]). The job, and what it submits in
//!   turn, keeps to these, whatever thread it runs on.
//! * A subscriber that is asked whether it is interested, and for its present span, is asked by whoever submits.
//! * Spans are given back by the teller too: that may be their end, of which a subscriber may write something.
//! * The end of the process waits for the teller, but not for long.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;
use tracing::{Level, Span, field};

use super::executor;
use super::place::Place;
use super::{exit, info};

/// The target of all that is told.
const TARGET: &str = "aiofiles";

/// How much may wait to be told before further operations are passed over.
const MOST: usize = 16 * 1024;

/// How long the end of the process waits for what is not told yet.
const PATIENCE: Duration = Duration::from_secs(1);

// ---------------------------------------------------------------------------------------------------------------------
// Who is told

/// Who is told, and as part of what.
struct Listener {
    dispatch: Dispatch,
    /// The span of whoever submitted.
    caller: Span,
    /// Each operation is to be told.
    operations: bool,
}

impl Listener {
    /// The subscriber of this thread, if there is one that wants to hear anything.
    fn of_thread() -> Option<Listener> {
        if !tracing::enabled!(target: TARGET, Level::WARN) {
            return None;
        }
        let caller = if tracing::enabled!(target: TARGET, Level::DEBUG) {
            Span::current()
        } else {
            Span::none()
        };
        Some(Listener {
            dispatch: dispatcher::get_default(Dispatch::clone),
            caller,
            operations: tracing::enabled!(target: TARGET, Level::TRACE),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let caller = mem::replace(&mut self.caller, Span::none());
        if !caller.is_none() && !is_teller() {
            tell(move |_| drop(caller));
        }
    }
}

/// Who is told of what a thread does.
#[derive(Clone, Default)]
enum Listening {
    /// Whoever is the subscriber of the thread.
    #[default]
    Thread,
    Nobody,
    To(Arc<Listener>),
}

impl Listening {
    /// Who is to be told of what this thread submits.
    fn here() -> Listening {
        if LevelFilter::current() == LevelFilter::OFF {
            return Listening::Thread;
        }
        let known = CURRENT.try_with(|current| current.borrow().listening.clone());
        match known.unwrap_or_default() {
            Listening::Thread => match Listener::of_thread() {
                Some(listener) => {
                    let listener = Arc::new(listener);
                    introduce(&listener);
                    Listening::To(listener)
                }
                // Threads of the pool may have another one, which is none of its business.
                None => Listening::Nobody,
            },
            known => known,
        }
    }
}

/// What this thread is at.
#[derive(Default)]
struct Current {
    listening: Listening,
    trip: Option<Trip>,
}

thread_local! {
    static CURRENT: RefCell<Current> = const {
        RefCell::new(Current { listening: Listening::Thread, trip: None })
    };
}

/// Has a closure at hand what this thread is at. `None` while the thread ends.
fn with_current<T>(call: impl FnOnce(&mut Current) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| call(&mut current.borrow_mut()))
        .ok()
}

/// Who is told of what a future does that lives on the pool.
#[derive(Clone)]
pub(crate) struct Home(Listening);

impl Home {
    pub(crate) fn here() -> Home {
        Home(Listening::here())
    }

    /// A part of an operation that is told of by itself.
    pub(super) fn untold(&self) -> Journey {
        Journey {
            listening: self.0.clone(),
            trip: None,
            caller: None,
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Operations

/// What kind of operation it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name(&'static str);

impl Name {
    #[inline(always)]
    pub(crate) fn of(name: &'static str) -> Name {
        Name(name)
    }
}

/// The path that an open file was opened by, for whoever is told of its operations.
#[derive(Clone, Debug)]
pub(crate) struct Label(Option<Arc<Path>>);

impl Label {
    pub(crate) fn none() -> Label {
        Label(None)
    }

    pub(crate) fn of(path: Option<&Arc<Path>>) -> Label {
        let is_wanted = LevelFilter::current() == LevelFilter::TRACE;
        Label(path.filter(|_| is_wanted).cloned())
    }

    pub(super) fn path(&self) -> Option<&Arc<Path>> {
        self.0.as_ref()
    }
}

/// Where an operation is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// By the queue.
    Pool,
    /// In a job of its own.
    Job,
    /// By a ring.
    Ring,
}

/// An operation on its way, as those see it who are told of it.
pub(crate) struct Journey {
    listening: Listening,
    /// `None` if it is not told of.
    trip: Option<Trip>,
    /// It runs code of a user, which is to find itself in the span of the caller: this one.
    caller: Option<Span>,
}

struct Trip {
    number: u64,
    listener: Arc<Listener>,
    queued: Instant,
    begun: Option<Instant>,
    error: Option<String>,
}

impl Journey {
    /// An operation is submitted by this thread.
    pub(crate) fn begin(name: Name, place: &Place, route: Route) -> Journey {
        Journey::of(&Home(Listening::here()), name, place, route)
    }

    /// The same, by the job of a future.
    pub(crate) fn of(home: &Home, name: Name, place: &Place, route: Route) -> Journey {
        let listening = home.0.clone();
        let trip = match &listening {
            Listening::To(listener) if listener.operations => {
                Trip::begin(listener, name, place, route)
            }
            _ => None,
        };
        Journey {
            listening,
            trip,
            caller: None,
        }
    }

    /// It may run code of a user, and has a job of its own.
    pub(crate) fn with_users_code(mut self) -> Journey {
        if let Listening::To(_) = &self.listening {
            self.caller = Some(Span::current());
        }
        self
    }

    /// The operation is performed by this thread until the guard goes.
    pub(crate) fn enter(mut self) -> Entered {
        if let Some(trip) = &mut self.trip {
            trip.begun.get_or_insert_with(Instant::now);
        }
        let mut listening = self.listening;
        let mut users = None;
        if let Listening::To(listener) = &listening
            && let Some(caller) = self.caller
        {
            let guard = dispatcher::set_default(&listener.dispatch);
            users = Some((caller.entered(), guard));
            listening = Listening::Thread;
        }
        let current = Current {
            listening,
            trip: self.trip,
        };
        Entered {
            former: with_current(|place| mem::replace(place, current)),
            _users: users,
        }
    }

    /// The ring answered with an error that need not have to do with the file: the pool does it.
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    pub(super) fn retried(&self, errno: i32) {
        let Listening::To(listener) = &self.listening else {
            return;
        };
        let number = self.trip.as_ref().map(|trip| trip.number);
        listener.clone().report(number, move |span| {
            if number.is_some() {
                span.record("on", "pool");
            }
            tracing::debug!(
                target: TARGET,
                parent: span,
                errno,
                "io_uring gave no answer: the thread pool does it again",
            );
        });
    }
}

impl Trip {
    fn begin(listener: &Arc<Listener>, name: Name, place: &Place, route: Route) -> Option<Trip> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        /// Operations that were passed over.
        static MISSED: AtomicUsize = AtomicUsize::new(0);
        if BACKLOG.load(Ordering::Relaxed) >= MOST {
            MISSED.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let missed = MISSED.swap(0, Ordering::Relaxed);
        if missed > 0 {
            listener.clone().report(None, move |_| {
                tracing::debug!(
                    target: TARGET,
                    operations = missed,
                    "the subscriber is slow, and is not told of some operations",
                );
            });
        }
        let on = match route {
            Route::Ring => "ring",
            _ if place.executor().is_some() || executor::of_process().is_some() => "executor",
            Route::Job => "job",
            Route::Pool => "pool",
        };
        let (path, device) = place.site();
        let path = path.cloned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let told = listener.clone();
        tell(move |open| {
            let span = told.with(|| {
                tracing::trace_span!(
                    target: TARGET,
                    parent: &told.caller,
                    "operation",
                    op = name.0,
                    on,
                    path = path.as_deref().map(|path| field::display(path.display())),
                    device,
                )
            });
            open.insert(number, span);
        });
        let queued = Instant::now();
        Some(Trip {
            number,
            listener: listener.clone(),
            queued,
            // A ring has no queue that it waits in.
            begun: (route == Route::Ring).then_some(queued),
            error: None,
        })
    }

    /// It has ended; `skipped` says that nobody wanted to know any more what it was to find out.
    fn end(self, skipped: bool) {
        let now = Instant::now();
        let begun = self.begun.unwrap_or(now);
        let (waited, ran) = (begun - self.queued, now - begun);
        let Trip {
            number,
            listener,
            error,
            ..
        } = self;
        tell(move |open| {
            let Some(span) = open.remove(&number) else {
                return;
            };
            listener.with(|| match error {
                _ if skipped => {
                    tracing::trace!(target: TARGET, parent: &span, ?waited, "skipped");
                }
                Some(error) => {
                    tracing::trace!(target: TARGET, parent: &span, ?waited, ?ran, error, "failed");
                }
                None => tracing::trace!(target: TARGET, parent: &span, ?waited, ?ran, "done"),
            });
        });
    }
}

/// While it is there, this thread performs an operation.
pub(crate) struct Entered {
    former: Option<Current>,
    /// The span and the subscriber of whoever submitted code of a user.
    _users: Option<(EnteredSpan, DefaultGuard)>,
}

impl Entered {
    /// The operation goes on later, or somewhere else.
    pub(super) fn pause(self) -> Journey {
        let current = with_current(mem::take).unwrap_or_default();
        Journey {
            listening: current.listening,
            trip: current.trip,
            caller: None,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let former = self.former.take().unwrap_or_default();
        let current = with_current(|place| mem::replace(place, former));
        if let Some(trip) = current.and_then(|current| current.trip) {
            trip.end(false);
        }
    }
}

/// The operation of this thread has ended; whoever waits for it is not told yet.
pub(crate) fn ended<'a>(error: impl FnOnce() -> Option<&'a io::Error>) {
    if let Some(mut trip) = with_current(|current| current.trip.take()).flatten() {
        if let Some(error) = error() {
            trip.error = Some(error.to_string());
        }
        trip.end(false);
    }
}

/// It is not performed at all.
pub(crate) fn skipped() {
    if let Some(trip) = with_current(|current| current.trip.take()).flatten() {
        trip.end(true);
    }
}

/// The operation of this thread has failed, of which its output says nothing.
pub(crate) fn failed(error: &io::Error) {
    with_current(|current| {
        if let Some(trip) = &mut current.trip {
            trip.error = Some(error.to_string());
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Events

impl Listener {
    /// Has the present thread, which is the teller, tell it something.
    fn with<T>(&self, call: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, call)
    }

    /// Has it told something as part of an operation, or else of what its caller does.
    fn report(self: Arc<Self>, number: Option<u64>, event: impl FnOnce(&Span) + Send + 'static) {
        tell(move |open| {
            let span = number.and_then(|number| open.get(&number));
            self.with(|| event(span.unwrap_or(&self.caller)));
        });
    }
}

/// Has an event told, if anybody wants to hear of such.
fn report(level: Level, event: impl FnOnce(&Span) + Send + 'static) {
    if level > LevelFilter::current() {
        return;
    }
    let number = with_current(|current| current.trip.as_ref().map(|trip| trip.number)).flatten();
    if let Listening::To(listener) = Listening::here() {
        listener.report(number, event);
    }
}

/// Says, once, what performs the operations.
fn introduce(listener: &Arc<Listener>) {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.load(Ordering::Relaxed) || IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    listener.clone().report(None, |_| {
        // Finding out may make a ring.
        let (kind, reason) = info::kind();
        tracing::debug!(target: TARGET, parent: None, backend = ?kind, reason, "backend");
        if info::is_wish_unfulfilled() {
            tracing::warn!(target: TARGET, parent: None, backend = ?kind, "{reason}");
        }
    });
}

/// Text of a path that may not be known.
fn text(path: Option<&Arc<Path>>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

/// A write of accepted bytes has failed, and so many are kept.
pub(crate) fn write_failed(path: Option<&Arc<Path>>, kept: usize, error: Option<&io::Error>) {
    if LevelFilter::current() < LevelFilter::DEBUG {
        return;
    }
    let (path, error) = (text(path), error.map(io::Error::to_string));
    report(Level::DEBUG, move |span| {
        tracing::debug!(
            target: TARGET,
            parent: span,
            path,
            kept,
            error,
            "a write in the background failed",
        );
    });
}

/// So many accepted bytes of a dropped file could not be written, and nobody is there to hear of it.
pub(crate) fn bytes_lost(path: Option<&Arc<Path>>, lost: usize, error: Option<&io::Error>) {
    let (path, error) = (text(path), error.map(io::Error::to_string));
    report(Level::WARN, move |span| {
        tracing::warn!(
            target: TARGET,
            parent: span,
            path,
            lost,
            error,
            "bytes of a dropped file could not be written",
        );
    });
}

/// A sync has failed, and no other will be made on this open file.
pub(super) fn sync_failed(path: Option<&Arc<Path>>, error: &io::Error) {
    if LevelFilter::current() < LevelFilter::DEBUG {
        return;
    }
    let (path, error) = (text(path), error.to_string());
    report(Level::DEBUG, move |span| {
        tracing::debug!(target: TARGET, parent: span, path, error, "a sync failed, which is final");
    });
}

/// All drainers are stuck, and one more is started.
pub(super) fn another_drainer(stuck: usize) {
    report(Level::DEBUG, move |_| {
        tracing::debug!(
            target: TARGET,
            parent: None,
            stuck,
            "all threads are stuck in the kernel: another takes over",
        );
    });
}

/// The kernel had more completions than their queue holds.
#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there is no ring")
)]
pub(super) fn ring_overflow() {
    report(Level::DEBUG, |_| {
        tracing::debug!(target: TARGET, parent: None, "the completion queue of a ring overflowed");
    });
}

/// Somebody who opens a file waits for descriptors of dropped ones.
pub(crate) fn waits_for_descriptors(pending: usize) {
    report(Level::DEBUG, move |span| {
        tracing::debug!(
            target: TARGET,
            parent: span,
            pending,
            "out of descriptors: waits for dropped files to be closed",
        );
    });
}

/// The process ends although accepted work is not done.
pub(super) fn gave_up(jobs: usize) {
    // Whoever holds the queue may be dead.
    if queue_within(PATIENCE).is_none() {
        return;
    }
    report(Level::WARN, move |_| {
        tracing::warn!(
            target: TARGET,
            parent: None,
            jobs,
            "the process ends, and what it accepted is not all written",
        );
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// The teller

/// Spans of operations that have not ended, by number.
type Open = BTreeMap<u64, Span>;

/// Something to be told.
type Piece = Box<dyn FnOnce(&mut Open) + Send>;

struct Queue {
    pieces: VecDeque<Piece>,
    /// There is a teller.
    started: bool,
    /// It tells something now.
    busy: bool,
}

/// A leaf: nothing is called while it is locked.
static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    pieces: VecDeque::new(),
    started: false,
    busy: false,
});

/// There is more to tell.
static MORE: Condvar = Condvar::new();

/// All is told.
static DONE: Condvar = Condvar::new();

/// How many pieces are not told yet.
static BACKLOG: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_TELLER: Cell<bool> = const { Cell::new(false) };
}

fn is_teller() -> bool {
    IS_TELLER.get()
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for the end of the process, which waits for nobody for ever.
fn queue_within(patience: Duration) -> Option<MutexGuard<'static, Queue>> {
    let begin = Instant::now();
    loop {
        match QUEUE.try_lock() {
            Ok(queue) => return Some(queue),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begin.elapsed() > patience => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

/// Leaves something for the teller.
fn tell(piece: impl FnOnce(&mut Open) + Send + 'static) {
    let piece = Box::new(piece);
    BACKLOG.fetch_add(1, Ordering::Relaxed);
    let start = {
        let mut queue = queue();
        queue.pieces.push_back(piece);
        !mem::replace(&mut queue.started, true)
    };
    MORE.notify_one();
    if start {
        exit::watch();
        let teller = thread::Builder::new().name("aiofiles-tracing".to_owned());
        if teller.spawn(tell_all).is_err() {
            // The next one tries again.
            queue().started = false;
        }
    }
}

/// The teller: a thread that never ends, because nothing else may wait for a subscriber.
fn tell_all() {
    IS_TELLER.set(true);
    with_current(|current| current.listening = Listening::Nobody);
    let mut open = Open::new();
    loop {
        let pieces = {
            let mut queue = queue();
            queue.busy = false;
            while queue.pieces.is_empty() {
                DONE.notify_all();
                queue = MORE.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.busy = true;
            mem::take(&mut queue.pieces)
        };
        for piece in pieces {
            // A subscriber that panics misses what it was told, and nothing else.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| piece(&mut open)));
            BACKLOG.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// At the end of the process: waits until all is told, but not for long.
pub(super) fn finish() {
    let begin = Instant::now();
    while !is_teller() {
        let Some(queue) = queue_within(PATIENCE) else {
            return;
        };
        if !queue.started || (queue.pieces.is_empty() && !queue.busy) {
            return;
        }
        let _ = DONE.wait_timeout(queue, Duration::from_millis(20));
        if begin.elapsed() > PATIENCE {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::subscriber::set_default;
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Writes down the events, and what becomes of the field `on`.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<String>>);

    impl Visit for Notes {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if matches!(field.name(), "message" | "on" | "errno") {
                *self.0.lock().unwrap() += &format!("{} {value:?}\n", field.name());
            }
        }
    }

    impl Subscriber for Notes {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_a_ring_does_not_answer_is_told_and_goes_to_the_pool() {
        let notes = Notes::default();
        {
            let _default = set_default(notes.clone());
            let journey = Journey::begin(Name::of("read at"), &Place::anywhere(), Route::Ring);
            journey.retried(14);
            drop(journey.enter());
            ring_overflow();
        }
        let expected = "on \"ring\"\n\
            on \"pool\"\n\
            message io_uring gave no answer: the thread pool does it again\n\
            errno 14\n\
            message done\n\
            message the completion queue of a ring overflowed\n";
        let begin = Instant::now();
        loop {
            let told = notes.0.lock().unwrap().clone();
            if told.ends_with(expected) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{told}");
            thread::yield_now();
        }
    }
}
