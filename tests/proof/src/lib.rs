//! What the proofs share: runtimes, data and seeds from `tests/common`, and tools of their own.
//!
//! A proof that needs root, a file system or a tool says `skipped: needs ...` where it is not there. What is mounted is
//! mounted in a namespace of its own (`alone_under(&["unshare", "-m"], ...)`), so nothing is left behind.

#[allow(
    clippy::new_without_default,
    reason = "it is no library to the other binaries that take it in"
)]
#[path = "../../common/mod.rs"]
pub mod support;

#[cfg(target_os = "linux")]
pub mod fuse;
#[cfg(target_os = "linux")]
pub mod passthrough;
