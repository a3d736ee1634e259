//! The fault seam and the hand-stepped pool (feature `testing`).
//!
//! Every system call of the crate passes [`before`] and every length passes [`length`]; every job passes [`intercept`], and
//! every operation of a ring has a [`Fate`].
//! A plan belongs to the code under test and not to the process: it is found through a thread-local that a job inherits
//! from whoever submitted it, so tests that run side by side do not disturb one another.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};

use super::pool::Job;
use super::sync::{Condvar, Mutex, MutexGuard, thread_local};
pub use super::sys::Call;

/// What a job inherits from the code that submitted it.
#[derive(Clone, Default)]
pub(crate) struct Context {
    faults: Option<Arc<Plan>>,
    stepper: Option<Arc<Mutex<VecDeque<Job>>>>,
}

thread_local! {
    static CURRENT: RefCell<Context> = const { RefCell::new(Context { faults: None, stepper: None }) };
}

impl Context {
    pub(crate) fn current() -> Context {
        // While a thread ends there is no plan any more.
        CURRENT
            .try_with(|current| current.borrow().clone())
            .unwrap_or_default()
    }

    /// Whether what need not be dispatched is dispatched all the same: by hand, or because faults are planned for what
    /// dispatched jobs call, and not for `calls`.
    fn keeps_off(&self, calls: &[Call]) -> bool {
        let is_planned = |plan: &Arc<Plan>| {
            let rules = plan.rules();
            rules.iter().any(|rule| calls.contains(&rule.call))
        };
        self.stepper.is_some() || self.faults.as_ref().is_some_and(|plan| !is_planned(plan))
    }

    /// Makes this the context of the present thread until the guard goes.
    pub(crate) fn enter(&self) -> Entered {
        Entered(
            CURRENT
                .try_with(|current| current.replace(self.clone()))
                .unwrap_or_default(),
        )
    }
}

/// Restores the former context when dropped.
pub(crate) struct Entered(Context);

impl Drop for Entered {
    fn drop(&mut self) {
        let former = std::mem::take(&mut self.0);
        let _ = CURRENT.try_with(|current| current.replace(former));
    }
}

/// Whether this thread is to make no reads of the fast path: jobs are stepped by hand, or faults are planned, and none for
/// [`Call::CachedRead`].
#[cfg_attr(
    not(all(feature = "nowait", target_os = "linux")),
    allow(dead_code, reason = "there are no such reads in this build")
)]
pub(crate) fn keeps_off_cache() -> bool {
    Context::current().keeps_off(&[Call::CachedRead])
}

/// Whether the operations of this thread are not for rings: jobs are stepped by hand, or faults are planned, and none for
/// [`Call::RingRead`] or [`Call::RingWrite`].
#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there are no rings in this build")
)]
pub(crate) fn keeps_off_ring() -> bool {
    Context::current().keeps_off(&[Call::RingRead, Call::RingWrite])
}

/// Called before each system call: the plan may make it fail, wait or panic.
pub(crate) fn before(call: Call) -> io::Result<()> {
    match Context::current().faults {
        Some(plan) => plan.before(call),
        None => Ok(()),
    }
}

/// How many of `len` bytes this call may move.
pub(crate) fn length(call: Call, len: usize) -> usize {
    match Context::current().faults {
        Some(plan) => plan.length(call, len),
        None => len,
    }
}

/// What the plan has in store for an operation that a ring performs.
#[derive(Default)]
pub(crate) struct Fate(Option<Action>);

#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there are no rings in this build")
)]
impl Fate {
    /// The fate of one that the present thread submits.
    pub(crate) fn of(call: Call) -> Fate {
        let Some(plan) = Context::current().faults else {
            return Fate(None);
        };
        *plan.made().entry(call).or_default() += 1;
        Fate(plan.strike(call, |action| !matches!(action, Action::Short(_))))
    }

    /// Whether the kernel sees the operation at all.
    pub(crate) fn lets_through(&self) -> bool {
        !matches!(self.0, Some(Action::Fail(_) | Action::Panic))
    }

    /// Calls `land` with what the kernel has answered, or with what the plan says instead; at once, or when a gate is
    /// opened.
    pub(crate) fn land(self, result: i32, land: impl FnOnce(Fate, i32) + Send + 'static) {
        match self.0 {
            Some(Action::Fail(code)) => land(self, -code),
            Some(Action::Stall(gate)) => gate.hold(Box::new(move || land(Fate(None), result))),
            _ => land(self, result),
        }
    }

    /// Panics if that is planned.
    pub(crate) fn panic(&self) {
        if let Some(Action::Panic) = self.0 {
            panic!("a planned panic in a completion");
        }
    }
}

/// Gives `job` to the hand-stepped pool, if one is installed.
pub(crate) fn intercept(job: Job) -> Option<Job> {
    match job.context.stepper.clone() {
        Some(stepper) => {
            stepper
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(job);
            None
        }
        None => Some(job),
    }
}

/// What a fault does to the calls it strikes.
#[derive(Clone, Debug)]
enum Action {
    Fail(i32),
    Short(usize),
    Panic,
    Stall(Gate),
}

#[derive(Debug)]
struct Rule {
    call: Call,
    /// How many further calls are let through first.
    skip: usize,
    /// How many are struck after that.
    strikes: usize,
    action: Action,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Mutex<Vec<Rule>>,
    struck: Mutex<usize>,
    made: Mutex<HashMap<Call, usize>>,
}

impl Plan {
    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The action that strikes this call, if one does.
    fn strike(&self, call: Call, kind: fn(&Action) -> bool) -> Option<Action> {
        let mut rules = self.rules();
        for rule in rules
            .iter_mut()
            .filter(|rule| rule.call == call && kind(&rule.action))
        {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.strikes > 0 {
                rule.strikes = rule
                    .strikes
                    .saturating_sub(usize::from(rule.strikes != usize::MAX));
                *self.struck.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                return Some(rule.action.clone());
            }
        }
        None
    }

    fn made(&self) -> MutexGuard<'_, HashMap<Call, usize>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn before(&self, call: Call) -> io::Result<()> {
        *self.made().entry(call).or_default() += 1;
        match self.strike(call, |action| !matches!(action, Action::Short(_))) {
            Some(Action::Fail(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Action::Panic) => panic!("a planned panic in {call:?}"),
            Some(Action::Stall(gate)) => {
                gate.wait();
                Ok(())
            }
            Some(Action::Short(_)) | None => Ok(()),
        }
    }

    fn length(&self, call: Call, len: usize) -> usize {
        match self.strike(call, |action| matches!(action, Action::Short(_))) {
            Some(Action::Short(most)) => len.min(most),
            _ => len,
        }
    }
}

/// Faults for the operations that the present thread submits, until it is dropped.
///
/// A fault names a system call and strikes from its `nth` occurrence on (counted from 0, from when the fault was
/// planned), `times` times; `usize::MAX` is for ever.
///
/// # Examples
///
/// ```
/// use aiofiles::testing::{Call, Faults};
///
/// # futures_lite::future::block_on(async {
/// let dir = tempfile::tempdir()?;
/// let faults = Faults::install();
/// faults.fail(Call::Write, 0, 1, 28);
///
/// let error = aiofiles::write(dir.path().join("a.txt"), "hello").await.unwrap_err();
/// assert_eq!(aiofiles::raw_os_error(&error), Some(28));
/// assert_eq!(faults.struck(), 1);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Faults {
    plan: Arc<Plan>,
    former: Option<Arc<Plan>>,
    /// Belongs to the thread that installed it.
    thread: PhantomData<*const ()>,
}

impl Faults {
    /// Begins an empty plan for this thread.
    pub fn install() -> Faults {
        let plan = Arc::<Plan>::default();
        let former = CURRENT.with(|current| current.borrow_mut().faults.replace(plan.clone()));
        Faults {
            plan,
            former,
            thread: PhantomData,
        }
    }

    /// Makes calls fail with an OS error code.
    pub fn fail(&self, call: Call, nth: usize, times: usize, code: i32) {
        self.plan(call, nth, times, Action::Fail(code));
    }

    /// Makes calls move at most `most` bytes.
    pub fn short(&self, call: Call, nth: usize, times: usize, most: usize) {
        self.plan(call, nth, times, Action::Short(most));
    }

    /// Makes calls panic on the pool thread.
    pub fn panic(&self, call: Call, nth: usize, times: usize) {
        self.plan(call, nth, times, Action::Panic);
    }

    /// Makes calls wait on their pool thread until the gate is opened.
    pub fn stall(&self, call: Call, nth: usize, times: usize) -> Gate {
        let gate = Gate::default();
        self.plan(call, nth, times, Action::Stall(gate.clone()));
        gate
    }

    /// Forgets what was planned.
    pub fn clear(&self) {
        self.plan.rules().clear();
    }

    /// How many calls were struck so far.
    pub fn struck(&self) -> usize {
        *self
            .plan
            .struck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many such calls were made so far, struck or not.
    pub fn made(&self, call: Call) -> usize {
        self.plan.made().get(&call).copied().unwrap_or(0)
    }

    fn plan(&self, call: Call, skip: usize, strikes: usize, action: Action) {
        self.plan.rules().push(Rule {
            call,
            skip,
            strikes,
            action,
        });
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let former = self.former.take();
        let _ = CURRENT.try_with(|current| current.borrow_mut().faults = former);
    }
}

/// Holds stalled calls back until it is opened.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    open: bool,
    /// Threads that wait.
    waiting: usize,
    /// What is done on rings, and has no thread to wait on.
    held: Vec<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateState")
            .field("open", &self.open)
            .field("waiting", &(self.waiting + self.held.len()))
            .finish()
    }
}

impl Gate {
    /// Lets every stalled call go on, now and later.
    pub fn open(&self) {
        let held = {
            let mut state = self.lock();
            state.open = true;
            std::mem::take(&mut state.held)
        };
        self.inner.1.notify_all();
        for land in held {
            land();
        }
    }

    /// How many calls wait at the gate now.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        state.waiting + state.held.len()
    }

    fn wait(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        while !state.open {
            state = self
                .inner
                .1
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// Calls `land` when it is open.
    fn hold(&self, land: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        if state.open {
            drop(state);
            land();
        } else {
            state.held.push(land);
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hand-stepped pool: jobs that the present thread submits wait here until they are run one by one.
///
/// With it a test cuts an operation before, during and after its job, without sleeping. Jobs that a job submits land
/// here too. Dropping the stepper runs what is left.
///
/// # Examples
///
/// ```
/// use aiofiles::testing::Stepper;
/// use futures_lite::future;
///
/// let stepper = Stepper::install();
/// let mut read = Box::pin(aiofiles::read("Cargo.toml"));
/// future::block_on(async {
///     assert!(future::poll_once(&mut read).await.is_none());
///     assert!(stepper.run_one());
///     assert!(future::poll_once(&mut read).await.unwrap().is_ok());
/// });
/// ```
#[derive(Debug)]
pub struct Stepper {
    jobs: Arc<Mutex<VecDeque<Job>>>,
    former: Option<Arc<Mutex<VecDeque<Job>>>>,
    /// Belongs to the thread that installed it.
    thread: PhantomData<*const ()>,
}

impl Stepper {
    /// Takes the place of the pool for this thread.
    pub fn install() -> Stepper {
        let jobs = Arc::new(Mutex::new(VecDeque::new()));
        let former = CURRENT.with(|current| current.borrow_mut().stepper.replace(jobs.clone()));
        Stepper {
            jobs,
            former,
            thread: PhantomData,
        }
    }

    /// Runs the oldest job on this thread; `false` when there is none.
    pub fn run_one(&self) -> bool {
        let job = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some(job) = job else { return false };
        let _may_block = super::pool::allow_blocking();
        job.run();
        true
    }

    /// Runs jobs until none is left, and says how many there were.
    pub fn run_all(&self) -> usize {
        std::iter::repeat_with(|| self.run_one())
            .take_while(|ran| *ran)
            .count()
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.run_all();
        let former = self.former.take();
        let _ = CURRENT.try_with(|current| current.borrow_mut().stepper = former);
    }
}
