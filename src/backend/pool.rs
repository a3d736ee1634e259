//! The dispatcher: a queue of operations, drained by a few jobs on the `blocking` pool.
//!
//! This is the only file that names the `blocking` crate. Every operation runs inside `blocking::unblock`, but not in a
//! job of its own: a *drainer* takes one operation after another from the queue and leaves when the queue is empty. So
//! one wake-up serves many operations, and the pool stays as small as the work is.
//!
//! * A drainer is started when there is none, and another when work piles up, up to the number of processors; up to
//!   [`PER_DEVICE`] as long as the processors have nothing to do, because the operations wait for a device.
//! * When every drainer has sat in one system call for longer than [`STUCK`] and work is queued, one more starts, up to
//!   [`DRAINERS`]. A timer of the reactor watches for that, and only while work is queued.
//! * Operations of one device never hold more than [`PER_DEVICE`] drainers; the rest of them is set aside.
//! * Operations that are long by nature get a job of their own ([`Manner::Long`]), and those of one device never more than
//!   [`LONG_PER_DEVICE`] at once.
//! * No job waits for another job.
//! * A drainer that has emptied the queue lingers for some microseconds, if that has paid off lately ([`Lingering`]).
//! * While the queue is long and its operations are cheap, tasks are woken some at a time ([`Held`]).
//!
//! [`Manner::Long`]: super::op::Manner::Long

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::alarm::Alarm;
use super::executor::{self, Shared};
use super::fault;
use super::fork;
use super::op::{Manner, Op};
use super::place::Place;
use super::refusal;
use super::slot::{InFlight, Slot};
use super::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Instant, Mutex, MutexGuard, Ordering, thread_local,
};
use super::sys;
use super::threads::{self, Room, Seat};
use super::trace::{self, Entered, Home, Journey, Name, Route};
use super::uring;

/// How many drainers there may be at most, unless the program sets another bound.
const DRAINERS: usize = 64;

/// How many drainers the operations of one device may hold.
const PER_DEVICE: usize = DRAINERS / 2;

/// How many jobs of their own the operations of one device may hold. The pool has some hundreds of threads for all of them.
const LONG_PER_DEVICE: usize = 64;

/// From this many drainers on, something is slow, and it is worth the trouble to find out what. Fewer, if there may be
/// few: what runs before it is looked at, and the share of one device, must leave room for others.
const CROWDED: usize = 5;

/// How long a drainer may sit in one system call before another takes over the queue.
const STUCK: Duration = Duration::from_millis(2);

/// How often to look whether the processors have enough to do.
const LOOK: Duration = Duration::from_millis(1);

/// How much work must wait for each drainer before a further one is worth its wake-up: with less, the queue is empty
/// before the new one has come, and until then it only competes with the tasks that submit.
const WORTH_A_THREAD: Duration = Duration::from_micros(80);

/// For how many jobs the empty queue keeps memory.
const FEW: usize = 64;

/// What operations cost as long as tasks may wait for the next one of them. One that is slow ends that for a while.
const CHEAP: Duration = Duration::from_micros(25);

/// How many tasks may wait at most.
const MOST_HELD: usize = 8;

/// Something that a pool thread can run.
pub(crate) trait Task: Send + Sync {
    /// Does the work. Must not unwind.
    fn run(self: Arc<Self>);

    /// Where the work is done.
    fn place(&self) -> Place {
        Place::anywhere()
    }
}

/// A task in the queue.
pub(crate) struct Job {
    task: Arc<dyn Task>,
    /// Bytes accepted from a user depend on it, so it runs even when the process exits.
    must_run: bool,
    /// The device of which it holds a share already, because it was set aside for that; zero if none.
    holds: u64,
    /// The pool to run it on, if it is the user's own.
    executor: Option<Shared>,
    /// Its system calls are plain ones, whatever the process prefers.
    plain: bool,
    /// What it inherits from the code that submitted it: its fault plan.
    pub(super) context: fault::Context,
    /// What those see of it who are told.
    journey: Journey,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("must_run", &self.must_run)
            .finish_non_exhaustive()
    }
}

impl Job {
    fn new(task: Arc<dyn Task>, must_run: bool, place: &Place, journey: Journey) -> Job {
        Job {
            task,
            must_run,
            holds: 0,
            executor: place.executor().cloned(),
            plain: place.is_plain(),
            context: fault::Context::current(),
            journey,
        }
    }

    /// Whether accepted bytes depend on it.
    pub(super) fn must_run(&self) -> bool {
        self.must_run
    }

    /// Runs the task on this thread.
    pub(crate) fn run(self) {
        let _entered = self.context.enter();
        // What it begins runs where it does.
        let _on = self
            .executor
            .map(|executor| executor::enter(Some(executor)));
        let _plainly = self.plain.then(uring::plainly);
        let _told = self.journey.enter();
        // Tasks catch their own panics; this one catches those of wakers, so that a drainer outlives them.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.task.run()));
    }
}

/// The queue and the drainers.
struct Dispatch {
    queue: VecDeque<Job>,
    /// Work set aside because its device holds its share of drainers, by device.
    aside: BTreeMap<u64, VecDeque<Job>>,
    /// How many drainers hold which device.
    holding: BTreeMap<u64, usize>,
    /// The devices that jobs of their own wait for.
    long: BTreeMap<u64, Long>,
    /// One bit for every drainer that was started and has not left.
    drainers: u64,
    /// Drainers that the pool has not begun to run.
    starting: usize,
    /// Bound on the number of drainers.
    limit: usize,
    /// What an operation cost lately, in nanoseconds.
    usual_cost: u64,
    /// How many drainers are good for something, beyond the number of processors.
    extra: usize,
    /// When it was last looked at that, and how much processor time the process had taken, in nanoseconds.
    looked: (u64, u64),
    /// The timer that looks for stuck drainers is set.
    watched: bool,
    /// Operations and jobs ever started.
    operations: u64,
    jobs: u64,
}

/// The operations of one device that have jobs of their own.
#[derive(Default)]
struct Long {
    running: usize,
    /// Those that wait until one of these has ended.
    aside: VecDeque<Job>,
}

static DISPATCH: Mutex<Dispatch> = Mutex::new(Dispatch {
    queue: VecDeque::new(),
    aside: BTreeMap::new(),
    holding: BTreeMap::new(),
    long: BTreeMap::new(),
    drainers: 0,
    starting: 0,
    limit: DRAINERS,
    usual_cost: 10_000,
    extra: 0,
    looked: (0, 0),
    watched: false,
    operations: 0,
    jobs: 0,
});

/// How many processors there are. Asked by the first drainer, because asking may read files; one until then.
static PROCESSORS: AtomicUsize = AtomicUsize::new(1);

/// How many jobs wait in the queue; a copy that long jobs look at without the lock.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Operations that run now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// When each drainer's present system call began, in nanoseconds since [`epoch`]; zero when it is in none.
static SINCE: [AtomicU64; DRAINERS] = [const { AtomicU64::new(0) }; DRAINERS];

/// Tasks that each drainer has yet to wake.
static HELD: [Held; DRAINERS] = [const { Held(Mutex::new(Vec::new())) }; DRAINERS];

thread_local! {
    /// The drainer that this thread is.
    static DRAINER: Cell<Option<usize>> = const { Cell::new(None) };
    /// This thread belongs to the pool, so it may block.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

fn lock() -> MutexGuard<'static, Dispatch> {
    DISPATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time since some moment, in nanoseconds.
pub(super) fn nanos() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    // Never zero: zero means "in no system call".
    EPOCH.get_or_init(Instant::now).elapsed().as_nanos() as u64 | 1
}

/// Starts `op` on the pool.
pub(crate) fn submit<O: Op>(op: O) -> InFlight<O::Output> {
    let manner = op.manner();
    let place = op.place();
    let journey = match manner {
        Manner::Query | Manner::Change => Journey::begin(op.name(), &place, Route::Pool),
        Manner::Long => Journey::begin(op.name(), &place, Route::Job).with_users_code(),
    };
    let (slot, in_flight) = Slot::new(op);
    let job = Job::new(slot, false, &place, journey);
    match manner {
        Manner::Query | Manner::Change => enqueue(job),
        Manner::Long => start_alone(job),
    }
    in_flight
}

/// Runs `work` on the pool; nobody waits for it, and nothing cancels it.
pub(crate) fn spawn(name: &'static str, place: Place, work: impl FnOnce() + Send + 'static) {
    enqueue(Closure::job(name, place, work, false, Route::Pool));
}

/// Runs `work`, on which accepted bytes depend: the exit of the process waits for it.
pub(crate) fn spawn_accepted(
    name: &'static str,
    place: Place,
    work: impl FnOnce() + Send + 'static,
) {
    enqueue(Closure::job(name, place, accepted(work), true, Route::Pool));
}

/// Runs `work`, which may take long, in a job of its own: the exit of the process waits for it.
pub(crate) fn spawn_accepted_long(
    name: &'static str,
    place: Place,
    work: impl FnOnce() + Send + 'static,
) {
    start_alone(Closure::job(name, place, accepted(work), true, Route::Job));
}

/// Work that the exit of the process waits for, from now on until it has ended.
fn accepted(work: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
    super::exit::accepted();
    move || {
        super::exit::begin();
        // The count must go down whatever happens, or the process would wait for nothing.
        let result = panic::catch_unwind(AssertUnwindSafe(work));
        super::exit::end();
        if let Err(panic) = result {
            panic::resume_unwind(panic);
        }
    }
}

/// Drives `future` to its end, one poll a job; nobody waits for it, and nothing cancels it.
pub(crate) fn drive(
    name: &'static str,
    place: Place,
    future: impl Future<Output = ()> + Send + 'static,
) {
    Driven::start(name, place, future, false);
}

/// The same, and the exit of the process waits for the end.
pub(crate) fn drive_accepted(
    name: &'static str,
    place: Place,
    future: impl Future<Output = ()> + Send + 'static,
) {
    super::exit::accepted();
    Driven::start(name, place, future, true);
}

/// Whether somebody waits in the queue: a long job that loops should then step aside.
pub(crate) fn somebody_waits() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// Tells the watch that the running job begins another system call. Whoever it has something for by now is woken first.
pub(crate) fn still_moving() {
    if let Some(index) = DRAINER.get() {
        HELD[index].wake();
        SINCE[index].store(nanos(), Ordering::Relaxed);
    }
}

/// Wakes a task, at once or after a few more cheap jobs: for the very end of a job, behind which nothing can be slow.
pub(crate) fn wake_soon(waker: Waker) {
    match DRAINER.get() {
        Some(index) => HELD[index].push(waker),
        None => wake(waker),
    }
}

/// Wakes a task. A waker that panics harms nobody but itself.
pub(crate) fn wake(waker: Waker) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

/// Whether this thread may block, because it runs a job of the pool.
pub(crate) fn may_block() -> bool {
    MAY_BLOCK.get()
}

/// Marks this thread as one that may block until the guard goes.
pub(crate) fn allow_blocking() -> impl Drop {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            MAY_BLOCK.set(self.0);
        }
    }
    Restore(MAY_BLOCK.replace(true))
}

/// Figures for [`backend()`](crate::backend()).
pub(super) struct Figures {
    pub(super) operations: u64,
    pub(super) jobs: u64,
    pub(super) queued: usize,
    pub(super) running: usize,
    pub(super) drainers: usize,
}

pub(super) fn figures() -> Figures {
    let dispatch = lock();
    Figures {
        operations: dispatch.operations,
        jobs: dispatch.jobs,
        queued: dispatch.queue.len()
            + dispatch.aside.values().map(VecDeque::len).sum::<usize>()
            + dispatch
                .long
                .values()
                .map(|long| long.aside.len())
                .sum::<usize>()
            + executor::count_away(),
        running: RUNNING.load(Ordering::Relaxed),
        drainers: dispatch.drainers.count_ones() as usize,
    }
}

/// How many processors there are, as far as that was asked.
#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "asked where there are rings")
)]
pub(super) fn processors() -> usize {
    PROCESSORS.load(Ordering::Relaxed)
}

/// Has a slot run whose operation waits in it.
#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "asked where there are rings")
)]
pub(super) fn run_slot(slot: Arc<dyn Task>, journey: Journey) {
    let place = slot.place();
    enqueue(Job::new(slot, false, &place, journey));
}

/// Sets the bound on drainers, between 1 and [`DRAINERS`].
pub(super) fn set_limit(limit: usize) {
    lock().limit = limit.clamp(1, DRAINERS);
}

/// Takes the jobs that must run out of the queue, for a thread that ends the process. `None` when the queue cannot be
/// had within `patience`.
pub(super) fn take_accepted(patience: Duration) -> Option<Vec<Job>> {
    let begin = Instant::now();
    let mut dispatch = loop {
        match DISPATCH.try_lock() {
            Ok(dispatch) => break dispatch,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) if begin.elapsed() > patience => return None,
            Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    };
    let mut taken = Vec::new();
    let dispatch = &mut *dispatch;
    let aside = dispatch.aside.values_mut();
    let long = dispatch.long.values_mut().map(|long| &mut long.aside);
    for queue in std::iter::once(&mut dispatch.queue)
        .chain(aside)
        .chain(long)
    {
        for job in std::mem::take(queue) {
            if job.must_run {
                taken.push(job);
            } else {
                queue.push_back(job);
            }
        }
    }
    taken.extend(executor::take_accepted());
    Some(taken)
}

/// Puts a job into the queue and sees to it that somebody comes for it.
fn enqueue(job: Job) {
    let Some(job) = expected(job) else {
        return;
    };
    if job.executor.is_some() {
        return give_away(job);
    }
    enqueue_here(job, true);
}

/// Takes a job on its way to some thread, unless it is to be stepped by hand, or there will never be a thread for it.
fn expected(job: Job) -> Option<Job> {
    fork::watch();
    if fork::is_child() {
        // What it owns may belong to threads that the child does not have.
        std::mem::forget(job);
        return None;
    }
    fault::intercept(job)
}

/// Gives a job to the user's own pool.
fn give_away(job: Job) {
    {
        let mut dispatch = lock();
        dispatch.operations += 1;
        dispatch.jobs += 1;
    }
    if let Some(executor) = job.executor.clone() {
        executor.give_job(job);
    }
}

/// Takes a job back that the user's own pool did not want.
pub(super) fn bring_back(job: Job) {
    enqueue_here(job, false);
}

/// Puts a job into our own queue.
fn enqueue_here(job: Job, is_new: bool) {
    let mut dispatch = lock();
    dispatch.operations += u64::from(is_new);
    dispatch.queue.push_back(job);
    WAITING.store(dispatch.queue.len(), Ordering::Relaxed);

    let drainers = dispatch.drainers.count_ones() as usize;
    let waits = dispatch.queue.len() as u64 * dispatch.usual_cost;
    let worth_it = drainers < PROCESSORS.load(Ordering::Relaxed) + dispatch.extra
        && dispatch.starting == 0
        && waits > drainers as u64 * WORTH_A_THREAD.as_nanos() as u64;
    let start = if drainers == 0 || worth_it {
        dispatch.begin_drainer()
    } else {
        None
    };
    // A drainer between two jobs comes for this one, and sets the watch if more is left.
    let watch = start.is_none() && dispatch.all_busy() && dispatch.set_watched();
    drop(dispatch);

    if let Some(index) = start {
        start_drainer(index);
    }
    if watch {
        Watch::set();
    }
}

/// Runs a job that may take long outside the queue.
fn start_alone(job: Job) {
    let Some(job) = expected(job) else {
        return;
    };
    if job.executor.is_some() {
        return give_away(job);
    }
    {
        let mut dispatch = lock();
        dispatch.operations += 1;
        dispatch.jobs += 1;
    }
    match executor::of_process() {
        Some(executor) => executor.give_job(job),
        None => begin(Start::Alone(job)),
    }
}

/// Runs a job that may take long on this thread of the pool, and after it those that wait for the same device, unless there
/// are too many of them already.
fn run_alone(job: Job) {
    let _may_block = allow_blocking();
    let device = job.task.place().key();
    let mut next = lock().admit_long(job, device);
    while let Some(job) = next {
        run(job);
        next = lock().release_long(device);
    }
}

pub(super) fn start_drainer_of_ours(index: usize) {
    begin(Start::Drainer(index));
}

/// What a thread of the `blocking` pool is to begin.
pub(super) enum Start {
    Drainer(usize),
    Alone(Job),
}

/// Has a thread of the `blocking` pool begin something, if there is one, or can be one.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that hands work to the pool"
)]
fn begin(start: Start) {
    match threads::room(start) {
        Room::Found(start, seat) => {
            refusal::set_no_thread(None);
            blocking::unblock(move || sit(start, seat)).detach();
        }
        Room::Later => {}
        Room::Refused(refused, error) => {
            for start in refused {
                without_thread(start, &error);
            }
        }
    }
}

/// A job of the `blocking` pool, from its beginning to its end.
fn sit(start: Start, seat: Seat) {
    if let Some(next) = seat.take() {
        begin(next);
    }
    let mut seat = Some(seat);
    let mut next = Some(start);
    while let (Some(start), Some(here)) = (next.take(), &seat) {
        match start {
            Start::Drainer(index) => drain(index),
            Start::Alone(job) => run_alone(job),
        }
        next = here.stay();
        if next.is_some() {
            continue;
        }
        // Where no other thread could be had, this one does what is queued. It gives its seat up under the lock, so that
        // nobody counts on it after that.
        let mut dispatch = lock();
        if dispatch.queue.is_empty() || dispatch.drainers != 0 {
            seat = None;
        } else {
            next = dispatch.begin_drainer().map(Start::Drainer);
        }
    }
}

/// The system gives no thread for this. What runs already goes on with the queue, and a timer tries again. If nothing
/// runs, those who wait are told.
fn without_thread(start: Start, error: &io::Error) {
    let index = match start {
        Start::Drainer(index) => index,
        Start::Alone(job) => return enqueue_here(job, false),
    };
    let (watch, again) = {
        let mut dispatch = lock();
        dispatch.drainers &= !(1 << index);
        dispatch.starting -= 1;
        dispatch.jobs -= 1;
        let mut again = None;
        if dispatch.drainers == 0 && !threads::any_busy() {
            if threads::any_known() {
                // It was about to be free when this was refused another.
                again = dispatch.begin_drainer();
            } else {
                refusal::set_no_thread(Some(error));
            }
        }
        (dispatch.wants_watch(), again)
    };
    if let Some(index) = again {
        start_drainer_of_ours(index);
    }
    if watch {
        Watch::set_or_start(false);
    }
}

/// A seat for a job that one of ours begins by itself, if there are threads for both.
pub(super) fn nest() -> Option<Seat> {
    threads::nest()
}

fn start_drainer(index: usize) {
    match executor::of_process() {
        Some(executor) => executor.give_drainer(index),
        None => start_drainer_of_ours(index),
    }
}

/// Runs a job on this thread of some pool.
pub(super) fn run_here(job: Job) {
    let _may_block = allow_blocking();
    run(job);
}

fn run(job: Job) {
    RUNNING.fetch_add(1, Ordering::Relaxed);
    job.run();
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

/// Takes one job after another until the queue is empty.
pub(super) fn drain(index: usize) {
    let _may_block = allow_blocking();
    DRAINER.set(Some(index));
    if PROCESSORS.load(Ordering::Relaxed) == 1 {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        PROCESSORS.store(processors, Ordering::Relaxed);
    }
    lock().starting -= 1;
    // Whatever unwinds through here, the queue must not be left to a drainer that is none any more.
    let leave = Leave(index);
    let mut holds = 0;
    let mut lingered = false;
    let mut own = Own::default();
    loop {
        // Give back the device of the last job, and find out what to do next.
        let next = {
            let now = nanos();
            let mut dispatch = lock();
            own.in_jobs += dispatch.end_of_job(index, now);
            dispatch.release(std::mem::take(&mut holds));
            dispatch.next(index, now, lingered, &mut own)
        };
        let (job, crowded) = match next {
            Next::Run {
                job,
                crowded,
                watch,
            } => {
                if watch {
                    Watch::set();
                }
                (job, crowded)
            }
            Next::Wake { watch } => {
                if watch {
                    Watch::set();
                }
                HELD[index].wake();
                SINCE[index].store(0, Ordering::Relaxed);
                continue;
            }
            Next::Linger => {
                Lingering::wait();
                lingered = true;
                continue;
            }
            Next::Leave => {
                std::mem::forget(leave);
                break;
            }
        };
        lingered = false;

        // Where many are stuck, a device that holds its share must wait with the rest of its work.
        let job = if crowded && job.holds == 0 {
            let device = job.task.place().key();
            match lock().admit(job, device) {
                Some(job) => job,
                None => continue,
            }
        } else {
            job
        };
        holds = job.holds;
        run(job);
    }
    DRAINER.set(None);
}

/// What a drainer knows of its own jobs since it last looked at the processors, in nanoseconds.
#[derive(Default)]
struct Own {
    /// When that was; zero if it has not yet.
    looked: u64,
    /// What time on a processor it had taken then.
    taken: u64,
    /// How long its jobs took since.
    in_jobs: u64,
}

impl Own {
    /// Begins anew, and says whether the jobs have rather waited than worked since the last time.
    fn look(&mut self, now: u64) -> bool {
        let Some(taken) = sys::thread_time() else {
            return false;
        };
        let last = std::mem::replace(
            self,
            Own {
                looked: now,
                taken,
                in_jobs: 0,
            },
        );
        last.looked != 0 && taken.saturating_sub(last.taken) < last.in_jobs / 2
    }
}

/// What a drainer does next.
enum Next {
    /// Run a job. While few drainers run, nothing is stuck, and nobody needs to know where the work is done; when it is
    /// crowded, somebody does. `watch` says that the watch is to be set.
    Run {
        job: Job,
        crowded: bool,
        watch: bool,
    },
    /// Wake those whose operations are done.
    Wake { watch: bool },
    /// Look at the empty queue a little longer.
    Linger,
    /// Leave: it is out of the list.
    Leave,
}

/// Takes a drainer out of the list, and puts another in its place if there is work.
struct Leave(usize);

impl Drop for Leave {
    fn drop(&mut self) {
        DRAINER.set(None);
        SINCE[self.0].store(0, Ordering::Relaxed);
        HELD[self.0].wake();
        let next = {
            let mut dispatch = lock();
            dispatch.drainers &= !(1 << self.0);
            if dispatch.queue.is_empty() {
                None
            } else {
                dispatch.begin_drainer()
            }
        };
        if let Some(index) = next {
            start_drainer(index);
        }
    }
}

impl Dispatch {
    /// Reserves the number of a new drainer, if there may be one.
    fn begin_drainer(&mut self) -> Option<usize> {
        let running = self.drainers.count_ones() as usize;
        if running >= self.limit {
            return None;
        }
        let index = (!self.drainers).trailing_zeros() as usize;
        self.drainers |= 1 << index;
        self.starting += 1;
        self.jobs += 1;
        Some(index)
    }

    /// The job of a drainer has ended, if it had one: learns from what it cost, and returns that.
    fn end_of_job(&mut self, index: usize, now: u64) -> u64 {
        let since = SINCE[index].swap(0, Ordering::Relaxed);
        if since == 0 {
            return 0;
        }
        let cost = now.saturating_sub(since);
        // A slow one says little about the others.
        self.usual_cost = (self.usual_cost * 15 + cost.min(200_000)) / 16;
        cost
    }

    /// What a drainer is to do.
    fn next(&mut self, index: usize, now: u64, lingered: bool, own: &mut Own) -> Next {
        // It wakes tasks without a job in hand, because a waker may end the process on this thread. One that does not
        // return counts as stuck.
        let held = HELD[index].len();
        let hold = held > 0 && self.may_hold(held);
        if held > 0 && !hold {
            SINCE[index].store(now, Ordering::Relaxed);
            return Next::Wake {
                watch: self.wants_watch(),
            };
        }
        if !self.queue.is_empty() {
            self.look_at_processors(now, own);
        }
        if let Some(job) = self.queue.pop_front() {
            WAITING.store(self.queue.len(), Ordering::Relaxed);
            SINCE[index].store(now, Ordering::Relaxed);
            return Next::Run {
                job,
                crowded: self.crowded(),
                watch: if hold {
                    self.set_watched()
                } else {
                    self.wants_watch()
                },
            };
        }
        if !lingered && Lingering::is_worth_it() {
            return Next::Linger;
        }
        self.drainers &= !(1 << index);
        // A long queue is the exception: its memory is not kept.
        if self.queue.capacity() > FEW {
            self.queue.shrink_to(FEW);
        }
        Next::Leave
    }

    /// Finds out whether the drainers keep the processors busy. If they do not although work is queued, and wait for
    /// something instead, more of them would get more of it.
    fn look_at_processors(&mut self, now: u64, own: &mut Own) {
        let (looked, taken) = self.looked;
        let time = now.saturating_sub(looked);
        if time < LOOK.as_nanos() as u64 {
            return;
        }
        let Some(taken_now) = sys::processor_time() else {
            return;
        };
        self.looked = (now, taken_now);
        let waits = own.look(now);
        // After a pause there is nothing to be learned.
        if time > 20 * LOOK.as_nanos() as u64 {
            return;
        }
        let processors = PROCESSORS.load(Ordering::Relaxed);
        let busy = taken_now.saturating_sub(taken) * 100 / (time * processors as u64);
        if busy < 75 && waits {
            self.extra = (self.extra * 2)
                .max(1)
                .min(PER_DEVICE.saturating_sub(processors));
        } else if busy > 90 {
            self.extra /= 2;
        }
    }

    /// Whether the watch is to be set, because work is queued and nobody is free for it.
    fn wants_watch(&mut self) -> bool {
        !self.queue.is_empty() && self.all_busy() && self.set_watched()
    }

    /// Whether so many drainers run that it matters which device each of them holds.
    fn crowded(&self) -> bool {
        self.drainers.count_ones() as usize >= CROWDED.min(self.limit / 2)
    }

    /// How many drainers one device may hold.
    fn share(&self) -> usize {
        PER_DEVICE.min(self.limit.div_ceil(2))
    }

    /// Lets `job` begin on `device` (zero: unknown), or sets it aside.
    fn admit(&mut self, mut job: Job, device: u64) -> Option<Job> {
        if device == 0 {
            return Some(job);
        }
        let share = self.share();
        let holders = self.holding.entry(device).or_insert(0);
        if *holders < share {
            *holders += 1;
            job.holds = device;
            return Some(job);
        }
        self.aside.entry(device).or_default().push_back(job);
        None
    }

    /// Takes back a part of `device`, or hands it on to a job that was set aside for it. So as long as anything is set
    /// aside, somebody holds a part of its device, and comes here.
    fn release(&mut self, device: u64) {
        if device == 0 {
            return;
        }
        let share = self.share();
        let Some(holders) = self.holding.get_mut(&device) else {
            return;
        };
        if *holders <= share
            && let Some(waiting) = self.aside.get_mut(&device)
        {
            if let Some(mut job) = waiting.pop_front() {
                job.holds = device;
                self.queue.push_front(job);
                return;
            }
            self.aside.remove(&device);
        }
        *holders -= 1;
        if *holders == 0 {
            self.holding.remove(&device);
        }
    }

    /// Lets a long `job` begin on `device` (zero: unknown), or sets it aside.
    fn admit_long(&mut self, job: Job, device: u64) -> Option<Job> {
        if device == 0 {
            return Some(job);
        }
        let long = self.long.entry(device).or_default();
        if long.running < LONG_PER_DEVICE {
            long.running += 1;
            return Some(job);
        }
        long.aside.push_back(job);
        None
    }

    /// A long job of `device` has ended: the next one that waits for it takes its place.
    fn release_long(&mut self, device: u64) -> Option<Job> {
        let long = self.long.get_mut(&device)?;
        if let Some(job) = long.aside.pop_front() {
            return Some(job);
        }
        long.running -= 1;
        if long.running == 0 {
            self.long.remove(&device);
        }
        None
    }

    /// Whether a drainer that has `held` tasks to wake may do another job first: the job is likely to be as cheap as the
    /// last ones, there is enough to do until the tasks come back with more, and it may be interrupted for ever by a waker.
    fn may_hold(&self, held: usize) -> bool {
        self.usual_cost < CHEAP.as_nanos() as u64
            && held < MOST_HELD
            && held < self.queue.len() / 2
            && self.queue.front().is_some_and(|next| !next.must_run)
    }

    /// The drainers there are.
    fn each_drainer(&self) -> impl Iterator<Item = usize> + use<> {
        let drainers = self.drainers;
        (0..DRAINERS).filter(move |index| drainers & (1 << index) != 0)
    }

    /// Whether every drainer runs a job, so that none will come for the next one soon.
    fn all_busy(&self) -> bool {
        self.starting == 0
            && self
                .each_drainer()
                .all(|index| SINCE[index].load(Ordering::Relaxed) != 0)
    }

    /// Marks the queue as watched; `true` if it was not.
    fn set_watched(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// Whether every drainer has sat in one system call for too long.
    fn stuck(&self) -> bool {
        let now = nanos();
        self.starting == 0
            && self.each_drainer().all(|index| {
                let since = SINCE[index].load(Ordering::Relaxed);
                since != 0 && now.saturating_sub(since) > STUCK.as_nanos() as u64
            })
    }
}

/// Looks after [`STUCK`] whether the queue still moves. Set only while work is queued.
struct Watch;

impl Watch {
    fn set() {
        Watch::set_or_start(true);
    }

    /// Sets the timer. If there can be none, another drainer starts, unless there can be none either.
    fn set_or_start(may_start: bool) {
        static ALARM: Alarm = Alarm::new(Watch::look);
        if ALARM.set(STUCK) {
            return;
        }
        // Without a timer nobody will look, so another drainer takes over now. The next operation tries again.
        let start = {
            let mut dispatch = lock();
            dispatch.watched = false;
            if dispatch.queue.is_empty() || !may_start || !dispatch.all_busy() {
                None
            } else {
                dispatch.begin_drainer()
            }
        };
        // What is held from now on sees that there is no watch.
        HELD.iter().for_each(Held::wake);
        if let Some(index) = start {
            start_drainer(index);
        }
    }

    fn look() {
        HELD.iter().for_each(Held::wake);
        let mut dispatch = lock();
        // What a drainer holds by now it may have counted on this watch for.
        if dispatch.queue.is_empty() && HELD.iter().all(|held| held.len() == 0) {
            dispatch.watched = false;
            return;
        }
        let stuck = dispatch.drainers.count_ones() as usize;
        let start = if !dispatch.queue.is_empty() && dispatch.stuck() {
            dispatch.begin_drainer()
        } else {
            None
        };
        drop(dispatch);
        if let Some(index) = start {
            start_drainer(index);
            trace::another_drainer(stuck);
        }
        Watch::set();
    }
}

/// Tasks whose operations are done, and which a drainer will wake after a few more.
///
/// An executor that is woken for every single operation is done with it before the next one is, and goes to sleep and is
/// woken again each time, which costs more than a cheap operation does. Woken for some at a time, it goes on while the
/// drainer does. Should one of the jobs turn out to be slow, the watch wakes those who wait behind it.
struct Held(Mutex<Vec<Waker>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, waker: Waker) {
        self.lock().push(waker);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_iter().for_each(wake);
    }
}

/// A drainer that finds the queue empty looks at it a little longer before it leaves.
///
/// Whoever does one operation after another submits the next as soon as the last has woken it. To wait for that costs
/// less, in time and in work, than to leave and be woken too. Where it does not pay, because operations come too rarely,
/// it is only tried now and then.
struct Lingering;

impl Lingering {
    /// How long to look: some more than it takes to wake a task.
    const LONGEST: Duration = Duration::from_micros(30);

    /// The present credit: lingering that pays earns some, lingering in vain costs some.
    fn credit() -> &'static AtomicUsize {
        static CREDIT: AtomicUsize = AtomicUsize::new(0);
        &CREDIT
    }

    /// Whether to linger: there is credit, or it is time to try again. One drainer at a time.
    fn is_worth_it() -> bool {
        static CHANCES: AtomicUsize = AtomicUsize::new(0);
        const TRY_EVERY: usize = 32;
        Lingering::credit().load(Ordering::Relaxed) > 0
            || CHANCES
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(TRY_EVERY)
    }

    /// Looks at the queue until something is there, but not for long.
    fn wait() {
        static ONE: AtomicBool = AtomicBool::new(false);
        const MOST_CREDIT: usize = 4;
        if ONE.swap(true, Ordering::Acquire) {
            return;
        }
        let begin = Instant::now();
        let came = loop {
            if WAITING.load(Ordering::Relaxed) > 0 {
                break true;
            }
            if begin.elapsed() > Lingering::LONGEST {
                break false;
            }
            for _ in 0..16 {
                std::hint::spin_loop();
            }
        };
        let credit = Lingering::credit();
        let before = credit.load(Ordering::Relaxed);
        let after = if came {
            (before + 1).min(MOST_CREDIT)
        } else {
            before.saturating_sub(1)
        };
        credit.store(after, Ordering::Relaxed);
        ONE.store(false, Ordering::Release);
    }
}

/// A closure as a task.
struct Closure<F> {
    work: Mutex<Option<F>>,
    place: Place,
}

impl<F: FnOnce() + Send + 'static> Closure<F> {
    /// The job that runs `work`.
    fn job(name: &'static str, place: Place, work: F, must_run: bool, route: Route) -> Job {
        let journey = Journey::begin(Name::of(name), &place, route);
        let closure = Arc::new(Closure {
            work: Mutex::new(Some(work)),
            place,
        });
        Job::new(closure.clone(), must_run, &closure.place, journey)
    }
}

impl<F: FnOnce() + Send> Task for Closure<F> {
    fn run(self: Arc<Self>) {
        let work = self
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(work) = work {
            work();
        }
    }

    fn place(&self) -> Place {
        self.place.clone()
    }
}

/// A future that lives on the pool: every wake-up queues one poll.
struct Driven {
    running: Mutex<Option<Running>>,
    queued: AtomicBool,
    /// The exit of the process waits for it.
    must_run: bool,
    executor: Option<Shared>,
    context: fault::Context,
    home: Home,
}

/// The future, as long as it has not ended.
struct Running {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What those see of it who are told. A poll has it.
    journey: Option<Journey>,
}

impl Driven {
    fn start(
        name: &'static str,
        place: Place,
        future: impl Future<Output = ()> + Send + 'static,
        must_run: bool,
    ) {
        let home = Home::here();
        let journey = Journey::of(&home, Name::of(name), &place, Route::Pool);
        let driven = Arc::new(Driven {
            running: Mutex::new(Some(Running {
                future: Box::pin(future),
                journey: Some(journey),
            })),
            queued: AtomicBool::new(false),
            must_run,
            executor: place.executor().cloned(),
            context: fault::Context::current(),
            home,
        });
        driven.wake();
    }
}

impl Wake for Driven {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let executor = self.executor.clone();
            let context = self.context.clone();
            let journey = self.home.untold();
            let must_run = self.must_run;
            enqueue(Job {
                task: self,
                must_run,
                holds: 0,
                executor,
                plain: false,
                context,
                journey,
            });
        }
    }
}

impl Task for Driven {
    fn run(self: Arc<Self>) {
        self.queued.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut place = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = place.as_mut() else {
            return;
        };
        let told = running.journey.take().map(Journey::enter);
        let poll = || {
            running
                .future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        };
        if self.must_run {
            super::exit::begin();
        }
        let ended = panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or(true);
        if ended {
            *place = None;
        } else {
            running.journey = told.map(Entered::pause);
        }
        match (self.must_run, ended) {
            (true, true) => super::exit::end(),
            (true, false) => super::exit::pause(),
            (false, _) => {}
        }
    }
}
