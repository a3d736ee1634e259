//! The fault seam of a build without the feature `testing`: nothing of it.

use std::io;

use super::pool::Job;
use super::sys::Call;

/// What a job inherits from the code that submitted it: nothing.
#[derive(Clone)]
pub(crate) struct Context;

impl Context {
    #[inline(always)]
    pub(crate) fn current() -> Context {
        Context
    }

    #[inline(always)]
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }
}

pub(crate) struct Entered;

#[cfg_attr(
    not(all(feature = "nowait", target_os = "linux")),
    allow(dead_code, reason = "there are no such reads in this build")
)]
#[inline(always)]
pub(crate) fn keeps_off_cache() -> bool {
    false
}

#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there are no rings in this build")
)]
#[inline(always)]
pub(crate) fn keeps_off_ring() -> bool {
    false
}

/// What becomes of an operation that a ring performs: what the kernel says.
#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there are no rings in this build")
)]
#[derive(Default)]
pub(crate) struct Fate;

#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there are no rings in this build")
)]
impl Fate {
    #[inline(always)]
    pub(crate) fn of(_: Call) -> Fate {
        Fate
    }

    #[inline(always)]
    pub(crate) fn lets_through(&self) -> bool {
        true
    }

    #[inline(always)]
    pub(crate) fn land(self, result: i32, land: impl FnOnce(Fate, i32)) {
        land(self, result);
    }

    #[inline(always)]
    pub(crate) fn panic(&self) {}
}

#[inline(always)]
pub(crate) fn before(_: Call) -> io::Result<()> {
    Ok(())
}

#[inline(always)]
pub(crate) fn length(_: Call, len: usize) -> usize {
    len
}

#[inline(always)]
pub(crate) fn intercept(job: Job) -> Option<Job> {
    Some(job)
}
