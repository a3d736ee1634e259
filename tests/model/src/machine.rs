//! A ring, and a kernel and a reactor for it.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread;

use crate::arm::Arm;
use crate::flight::Flight;
use crate::op::{Manner, Op};
use crate::place::Place;
use crate::slab::Key;
use crate::slot::{InFlight, Slot};
use crate::trace::{Journey, Name};

/// What the kernel does with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It does it in the call that submits it.
    AtOnce,
    /// It does it later.
    Later,
    /// It does a part later, and the rest later still, when it is asked again.
    InParts,
    /// It says later that somebody else must do it.
    Elsewhere,
}

/// Results of the kernel.
const DONE: i32 = 0;
const PART: i32 = 1;
const ELSEWHERE: i32 = -1;

/// Memory that an operation owns and the kernel writes to. Who gives it back writes to it too: loom complains of two who
/// do so without an order between them.
pub(crate) struct Memory {
    byte: UnsafeCell<u8>,
    /// Not a part of what is modelled.
    dropped: Count,
}

// SAFETY: loom sees to the order of all access.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn new() -> Arc<Memory> {
        Arc::new(Memory {
            byte: UnsafeCell::new(0),
            dropped: Count::new(0),
        })
    }

    fn write(&self) {
        assert_eq!(self.dropped(), 0, "written to after it was dropped");
        // SAFETY: the pointer is good, and not kept.
        self.byte.with_mut(|byte| unsafe { *byte += 1 });
    }

    /// How often it was given back.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// An operation, which is its own output.
pub(crate) struct Work {
    memory: Arc<Memory>,
    manner: Manner,
    way: Way,
    /// Has loom report what is never dropped.
    _track: loom::alloc::Track<()>,
}

impl Work {
    pub(crate) fn new(memory: &Arc<Memory>, manner: Manner, way: Way) -> Work {
        ring().kernel.epoll().alive += 1;
        Work {
            memory: memory.clone(),
            manner,
            way,
            _track: loom::alloc::Track::new(()),
        }
    }

    /// Sends it on its way through the ring.
    pub(crate) fn start(self) -> InFlight<Work> {
        let (slot, in_flight) = Slot::on_ring();
        Travelling { slot, op: self }.send();
        in_flight
    }
}

impl Op for Work {
    type Output = Work;

    fn name(&self) -> Name {
        Name
    }

    fn manner(&self) -> Manner {
        self.manner
    }

    fn place(&self) -> Place {
        Place
    }

    fn error(_: &Work) -> Option<&io::Error> {
        None
    }

    fn run(self) -> Work {
        self.memory.write();
        self
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.memory.write();
        self.memory.dropped.fetch_add(1, Ordering::SeqCst);
        let ring = ring();
        ring.kernel.epoll().alive -= 1;
        ring.kernel.news.notify_one();
    }
}

/// As that of `src/backend/uring/mod.rs`.
struct Travelling {
    slot: Arc<Slot<Work>>,
    op: Work,
}

impl Travelling {
    fn send(self) {
        if let Err(refused) = ring().submit(self) {
            refused.complete(ELSEWHERE);
        }
    }

    fn complete(self, result: i32) {
        let Travelling { slot, mut op } = self;
        match result {
            ELSEWHERE => slot.queue(op, Journey),
            PART if slot.is_wanted(&op) => {
                op.way = Way::Later;
                Travelling { slot, op }.send();
            }
            PART => drop(op),
            _ => slot.finish(Ok(op)),
        }
    }
}

/// As that of `src/backend/uring/ring.rs` and `notify.rs`, where they call what is checked here.
pub(crate) struct Ring {
    flight: Flight<Travelling>,
    arm: Arm,
    kernel: Kernel,
}

impl Ring {
    fn submit(&self, op: Travelling) -> Result<(), Travelling> {
        if self.flight.reserve().is_none() {
            return Err(op);
        }
        let (memory, way) = (op.op.memory.clone(), op.op.way);
        let key = self.flight.keep(op);
        self.kernel.enter(key, memory, way);
        self.reap();
        if self.flight.count() > 0 {
            self.set_again();
        }
        Ok(())
    }

    pub(crate) fn reap(&self) {
        if self.flight.count() == 0 {
            return;
        }
        self.flight.reap(
            || self.kernel.copy_completions(),
            |op, result| op.expect("nobody's completion").complete(result),
        );
    }

    fn set_again(&self) {
        if !self.arm.set(|| self.kernel.arm()) {
            self.kernel.set_alarm();
        }
    }

    fn noticed(&self) {
        let reap = || {
            self.reap();
            self.flight.count() > 0
        };
        if !self.arm.told(reap, || self.kernel.arm()) {
            self.kernel.set_alarm();
        }
    }

    fn look_after(&self) {
        self.reap();
        if self.flight.count() > 0 {
            self.set_again();
        }
    }

    /// What is kept is counted.
    pub(crate) fn assert_consistent(&self) {
        assert!(self.flight.is_consistent());
    }
}

struct Kernel {
    /// Completions, and what has become of these.
    queue: [UnsafeCell<Option<(Key, i32)>>; 4],
    tail: AtomicUsize,
    head: AtomicUsize,
    epoll: Mutex<Epoll>,
    /// There is something to do for the thread of the reactor.
    news: Condvar,
}

// SAFETY: loom sees to the order of all access to the queue.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// What an epoll instance knows of the ring, and what the reactor's thread has to do.
struct Epoll {
    /// It tells once that there are completions.
    is_armed: bool,
    /// There may be some.
    is_ready: bool,
    /// So often it cannot be armed.
    refusals: usize,
    /// The timer has run out that looks after the ring.
    alarm: bool,
    /// Nothing more is submitted but what is there.
    is_over: bool,
    /// Operations that were not dropped.
    alive: usize,
}

impl Kernel {
    fn epoll(&self) -> MutexGuard<'_, Epoll> {
        self.epoll.lock().unwrap()
    }

    /// Takes an entry of the submission queue.
    fn enter(&self, key: Key, memory: Arc<Memory>, way: Way) {
        let (result, writes) = match way {
            Way::AtOnce | Way::Later => (DONE, true),
            Way::InParts => (PART, true),
            Way::Elsewhere => (ELSEWHERE, false),
        };
        let work = move |kernel: &Kernel| {
            if writes {
                memory.write();
            }
            // The kernel keeps no address beyond this.
            drop(memory);
            kernel.post(key, result);
        };
        match way {
            Way::AtOnce => work(self),
            _ => drop(thread::spawn(move || work(&ring().kernel))),
        }
    }

    /// Puts a completion into the queue. One thread at a time, as in the kernel.
    fn post(&self, key: Key, result: i32) {
        let mut epoll = self.epoll();
        let tail = self.tail.load(Ordering::Relaxed);
        // SAFETY: nobody reads this place before the tail has moved.
        self.queue[tail % 4].with_mut(|place| unsafe { *place = Some((key, result)) });
        self.tail.store(tail + 1, Ordering::Release);
        if epoll.is_armed {
            epoll.is_ready = true;
            self.news.notify_one();
        }
    }

    fn copy_completions(&self) -> Vec<(Key, i32)> {
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Acquire);
        let copied = (head..tail).filter_map(|at| {
            // SAFETY: the kernel has filled these places, and one thread at a time takes from them.
            self.queue[at % 4].with_mut(|place| unsafe { (*place).take() })
        });
        let copied = copied.collect();
        self.head.store(tail, Ordering::Release);
        copied
    }

    fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == self.tail.load(Ordering::Acquire)
    }

    /// EPOLL_CTL_MOD with EPOLLONESHOT: looks at the state as it is.
    fn arm(&self) -> bool {
        let mut epoll = self.epoll();
        if epoll.refusals > 0 {
            epoll.refusals -= 1;
            return false;
        }
        epoll.is_armed = true;
        if !self.is_empty() {
            epoll.is_ready = true;
            self.news.notify_one();
        }
        true
    }

    fn set_alarm(&self) {
        self.epoll().alarm = true;
        self.news.notify_one();
    }

    /// The thread of the reactor, until all is over.
    fn drive(&self, ring: &Ring) {
        loop {
            let mut epoll = self.epoll();
            if epoll.alarm {
                epoll.alarm = false;
                drop(epoll);
                ring.look_after();
            } else if epoll.is_ready {
                epoll.is_ready = false;
                // What somebody else has reaped meanwhile is not told, and it stays armed.
                if !self.is_empty() {
                    epoll.is_armed = false;
                    drop(epoll);
                    ring.noticed();
                    // If somebody else is about to reap, it is told of the same again and again until that is done.
                    thread::yield_now();
                }
            } else if epoll.is_over && epoll.alive == 0 {
                return;
            } else {
                drop(self.news.wait(epoll));
            }
        }
    }
}

std::thread_local! {
    /// The ring of this execution: all threads of a model run in one of the system.
    static RING: RefCell<Option<Arc<Ring>>> = const { RefCell::new(None) };
}

pub(crate) fn ring() -> Arc<Ring> {
    RING.with_borrow(|ring| ring.clone().expect("a ring"))
}

/// What a model may have more or less of.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// How many operations may be on their way.
    pub(crate) limit: usize,
    /// How often the reactor cannot watch.
    pub(crate) refusals: usize,
    /// How often loom takes the processor away from a thread that could go on.
    pub(crate) preemptions: usize,
}

pub(crate) const USUAL: Settings = Settings {
    limit: 4,
    refusals: 0,
    preemptions: 2,
};

/// For those with so many threads that they would take minutes.
pub(crate) const LARGE: Settings = Settings {
    preemptions: 1,
    ..USUAL
};

/// Runs `body` in all orders, beside a reactor that goes on until every operation was dropped. It finds out that one never
/// is, because nobody can go on then.
pub(crate) fn check(settings: Settings, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(settings.preemptions);
    builder.check(move || {
        let ring = Arc::new(Ring {
            flight: Flight::new(settings.limit),
            arm: Arm::new(),
            kernel: Kernel {
                queue: std::array::from_fn(|_| UnsafeCell::new(None)),
                tail: AtomicUsize::new(0),
                head: AtomicUsize::new(0),
                epoll: Mutex::new(Epoll {
                    is_armed: false,
                    is_ready: false,
                    refusals: settings.refusals,
                    alarm: false,
                    is_over: false,
                    alive: 0,
                }),
                news: Condvar::new(),
            },
        });
        RING.set(Some(ring.clone()));
        let reactor = {
            let ring = ring.clone();
            thread::spawn(move || ring.kernel.drive(&ring))
        };
        body();
        ring.kernel.epoll().is_over = true;
        ring.kernel.news.notify_one();
        reactor.join().unwrap();
        assert_eq!(ring.flight.count(), 0);
        ring.assert_consistent();
        assert!(ring.kernel.is_empty());
        RING.set(None);
    });
}
