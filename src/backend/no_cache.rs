//! The page-cache fast path of a build without it: every read is dispatched.

use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;

/// What the page cache has of the bytes asked for: nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "it is the same type as in a build with the fast path"
)]
pub(crate) enum Cached {
    All(usize),
    Part(usize),
    Miss,
}

pub(super) fn figures() -> (u64, u64) {
    (0, 0)
}

pub(super) fn is_on() -> bool {
    false
}

#[derive(Debug)]
pub(super) struct PerFile;

impl PerFile {
    #[inline(always)]
    pub(super) fn wants_try(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn new() -> PerFile {
        PerFile
    }

    #[inline(always)]
    pub(super) fn read(&self, _: &File, _: &mut [MaybeUninit<u8>], _: u64) -> Cached {
        Cached::Miss
    }

    #[inline(always)]
    pub(super) fn read_vectored(&self, _: &File, _: &mut [IoSliceMut<'_>], _: u64) -> Cached {
        Cached::Miss
    }

    #[inline(always)]
    pub(super) fn look(&self, _: &File, _: usize, _: u64) {}

    #[cfg_attr(
        not(all(feature = "uring", target_os = "linux")),
        allow(dead_code, reason = "asked where there are rings")
    )]
    pub(super) fn answers(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn expects_hit(&self) -> bool {
        false
    }
}
