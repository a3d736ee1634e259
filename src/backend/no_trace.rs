//! What a subscriber of `tracing` is told by a build without that feature: nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::place::Place;

/// Who is told: nobody.
#[derive(Clone)]
pub(crate) struct Home;

impl Home {
    #[inline(always)]
    pub(crate) fn here() -> Home {
        Home
    }

    #[inline(always)]
    pub(super) fn untold(&self) -> Journey {
        Journey
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Name;

impl Name {
    #[inline(always)]
    pub(crate) fn of(_: &'static str) -> Name {
        Name
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Label;

impl Label {
    #[inline(always)]
    pub(crate) fn none() -> Label {
        Label
    }

    #[inline(always)]
    pub(crate) fn of(_: Option<&Arc<Path>>) -> Label {
        Label
    }

    #[inline(always)]
    pub(super) fn path(&self) -> Option<&Arc<Path>> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Pool,
    Job,
    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    Ring,
}

/// An operation on its way: nothing of it.
pub(crate) struct Journey;

impl Journey {
    #[inline(always)]
    pub(crate) fn begin(_: Name, _: &Place, _: Route) -> Journey {
        Journey
    }

    #[inline(always)]
    pub(crate) fn of(_: &Home, _: Name, _: &Place, _: Route) -> Journey {
        Journey
    }

    #[inline(always)]
    pub(crate) fn with_users_code(self) -> Journey {
        Journey
    }

    #[inline(always)]
    pub(crate) fn enter(self) -> Entered {
        Entered
    }

    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "there is no ring")
    )]
    #[inline(always)]
    pub(super) fn retried(&self, _: i32) {}
}

pub(crate) struct Entered;

impl Entered {
    #[inline(always)]
    pub(super) fn pause(self) -> Journey {
        Journey
    }
}

#[inline(always)]
pub(crate) fn ended<'a>(_: impl FnOnce() -> Option<&'a io::Error>) {}

#[inline(always)]
pub(crate) fn skipped() {}

#[inline(always)]
pub(crate) fn failed(_: &io::Error) {}

#[inline(always)]
pub(crate) fn write_failed(_: Option<&Arc<Path>>, _: usize, _: Option<&io::Error>) {}

#[inline(always)]
pub(crate) fn bytes_lost(_: Option<&Arc<Path>>, _: usize, _: Option<&io::Error>) {}

#[inline(always)]
pub(super) fn sync_failed(_: Option<&Arc<Path>>, _: &io::Error) {}

#[inline(always)]
pub(super) fn another_drainer(_: usize) {}

#[cfg_attr(
    not(all(feature = "uring", target_os = "linux")),
    allow(dead_code, reason = "there is no ring")
)]
#[inline(always)]
pub(super) fn ring_overflow() {}

#[inline(always)]
pub(crate) fn waits_for_descriptors(_: usize) {}

#[inline(always)]
pub(super) fn gave_up(_: usize) {}

#[inline(always)]
pub(super) fn finish() {}
