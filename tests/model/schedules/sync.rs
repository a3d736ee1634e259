//! In place of `src/sync.rs`: the primitives of `shuttle`, which decides at each use of one who goes on.

use std::sync::atomic::AtomicU64 as Count;
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};

pub(crate) use std::sync::Once;
pub(crate) use std::sync::atomic::Ordering;

pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock};

/// Atomics that begin each schedule with what they were made with, so that those of the process do too. Whoever comes to
/// one may be held up there. The model only knows the order of `SeqCst`.
macro_rules! atomic {
    ($name:ident, $value:ty $(, $method:ident)*) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            first: $value,
            value: std::sync::atomic::$name,
            schedule: Count,
            /// Where the schedule decides. What follows is done in one step.
            door: shuttle::sync::atomic::AtomicBool,
        }

        #[allow(dead_code, reason = "not all of them are changed in all ways")]
        impl $name {
            pub(crate) const fn new(value: $value) -> $name {
                $name {
                    first: value,
                    value: std::sync::atomic::$name::new(value),
                    schedule: Count::new(0),
                    door: shuttle::sync::atomic::AtomicBool::new(false),
                }
            }

            fn value(&self) -> &std::sync::atomic::$name {
                self.door.load(Ordering::SeqCst);
                let schedule = blocking::schedule();
                let former = self.schedule.swap(schedule, Ordering::Relaxed);
                if former != schedule && former != 0 {
                    self.value.store(self.first, Ordering::Relaxed);
                }
                &self.value
            }

            pub(crate) fn load(&self, _: Ordering) -> $value {
                self.value().load(Ordering::Relaxed)
            }

            pub(crate) fn store(&self, value: $value, _: Ordering) {
                self.value().store(value, Ordering::Relaxed);
            }

            pub(crate) fn swap(&self, value: $value, _: Ordering) -> $value {
                self.value().swap(value, Ordering::Relaxed)
            }

            $(
                pub(crate) fn $method(&self, value: $value, _: Ordering) -> $value {
                    self.value().$method(value, Ordering::Relaxed)
                }
            )*

            pub(crate) fn fetch_update(
                &self,
                _: Ordering,
                _: Ordering,
                update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.value()
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU64, u64, fetch_add, fetch_sub);
atomic!(AtomicUsize, usize, fetch_add, fetch_sub);

/// One whose time limits are always over by the time somebody looks.
#[derive(Debug)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl Condvar {
    pub(crate) const fn new() -> Condvar {
        Condvar(shuttle::sync::Condvar::new())
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> shuttle::sync::LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout<T>(&self, guard: MutexGuard<'_, T>, _: Duration) -> TimedOut {
        drop(guard);
        shuttle::thread::yield_now();
        TimedOut
    }
}

/// In place of the guard, which nobody wants back.
pub(crate) struct TimedOut;

/// A moment in the time of the model, which goes on a little, and sometimes more, whenever somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Instant {
        let step = match thread_rng().gen_range(0..48) {
            0 => thread_rng().gen_range(1_000_000..5_000_000),
            _ => thread_rng().gen_range(0..2_000),
        };
        Instant(blocking::pass(Duration::from_nanos(step)))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(Instant::now().0.saturating_sub(self.0))
    }
}

/// What each thread of the model has of its own.
pub(crate) struct LocalKey<T: 'static>(pub(crate) shuttle::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    pub(crate) fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.0.with(look)
    }

    pub(crate) fn try_with<R>(
        &'static self,
        look: impl FnOnce(&T) -> R,
    ) -> Result<R, shuttle::thread::AccessError> {
        self.0.try_with(look)
    }
}

impl<T: 'static> LocalKey<std::cell::Cell<T>> {
    pub(crate) fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(|cell| cell.get())
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

macro_rules! local {
    ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $init:expr };)*) => {
        $(
            $(#[$attr])*
            static $name: $crate::sync::LocalKey<$type> =
                $crate::sync::LocalKey(shuttle::thread::LocalKey {
                    init: || $init,
                    _p: std::marker::PhantomData,
                });
        )*
    };
}

pub(crate) use local as thread_local;
