//! The integration tests, in one binary.

#![allow(
    dead_code,
    clippy::type_complexity,
    clippy::wrong_self_convention,
    clippy::result_large_err,
    reason = "tests say things where they stand, and not every helper is used in every build"
)]
#![cfg_attr(
    not(feature = "testing"),
    allow(
        unused_imports,
        reason = "the tests that step and fail operations need them"
    )
)]
#![expect(
    clippy::disallowed_methods,
    reason = "these tests use the thread pool as users do"
)]

#[path = "../common/mod.rs"]
mod support;

mod adapters;
#[cfg(unix)]
mod atomic;
mod bad_input;
mod batch;
mod contract;
mod cursors;
mod direct;
#[cfg(unix)]
mod dirfd;
mod dirs;
mod executor;
mod files;
mod kernel_errors;
mod loops;
#[cfg(feature = "testing")]
mod memory;
#[cfg(all(feature = "nowait", target_os = "linux"))]
mod nowait;
mod oracle;
#[cfg(unix)]
mod os;
mod positional;
#[cfg(all(feature = "uring", feature = "testing", target_os = "linux"))]
mod ring_faults;
mod runtimes;
mod scope;
mod sendfile;
mod space;
mod special;
mod steps;
mod tempfile;
mod text;
#[cfg(all(unix, feature = "tracing"))]
mod tracing;
#[cfg(not(feature = "tracing"))]
mod untold;
#[cfg(all(feature = "uring", target_os = "linux"))]
mod uring;
mod wrap;
