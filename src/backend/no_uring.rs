//! io_uring of a build without it: every operation goes to the pool.

use super::description::Description;
use super::info::RingFigures;
use super::op::Op;
use super::slot::InFlight;

/// An operation that a ring could perform, if there were one.
pub(crate) trait Encode: Op {}

impl<O: Op> Encode for O {}

#[inline(always)]
pub(crate) fn start<O: Encode>(op: O) -> Result<InFlight<O::Output>, O> {
    Err(op)
}

#[inline(always)]
pub(super) fn wants_read(_: &Description) -> bool {
    false
}

pub(super) fn performs() -> bool {
    false
}

#[inline(always)]
pub(super) fn plainly() {}

pub(super) fn is_on() -> bool {
    false
}

pub(super) fn refusal() -> Option<&'static str> {
    Some("built without io_uring")
}

#[inline(always)]
pub(super) fn reap() {}

pub(super) fn figures() -> RingFigures {
    RingFigures::default()
}

/// Plain system calls by way of a ring: none.
pub(super) mod perform {
    use std::fs::File;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    #[cfg(unix)]
    use std::{os::fd::AsFd, path::Path};

    #[inline(always)]
    pub(in crate::backend) fn read(
        _: &File,
        _: &mut [MaybeUninit<u8>],
        _: u64,
    ) -> Option<io::Result<usize>> {
        None
    }

    #[inline(always)]
    pub(in crate::backend) fn write(_: &File, _: &[u8], _: u64) -> Option<io::Result<usize>> {
        None
    }

    #[inline(always)]
    pub(in crate::backend) fn read_vectored(
        _: &File,
        _: &mut [IoSliceMut<'_>],
        _: u64,
    ) -> Option<io::Result<usize>> {
        None
    }

    #[inline(always)]
    pub(in crate::backend) fn write_vectored(
        _: &File,
        _: &[IoSlice<'_>],
        _: u64,
    ) -> Option<io::Result<usize>> {
        None
    }

    #[inline(always)]
    pub(in crate::backend) fn sync(_: &File, _: bool) -> Option<io::Result<()>> {
        None
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline(always)]
    pub(in crate::backend) fn allocate(_: &File, _: u64, _: u64, _: i32) -> Option<io::Result<()>> {
        None
    }

    #[cfg(unix)]
    #[inline(always)]
    pub(in crate::backend) fn len(_: &File) -> Option<io::Result<u64>> {
        None
    }

    #[cfg(unix)]
    #[inline(always)]
    pub(in crate::backend) fn open(
        _: &impl AsFd,
        _: &Path,
        _: u32,
        _: u32,
    ) -> Option<io::Result<File>> {
        None
    }

    #[cfg(unix)]
    #[inline(always)]
    pub(in crate::backend) fn close(file: File) -> Result<io::Result<()>, File> {
        Err(file)
    }
}
