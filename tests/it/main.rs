//! The integration tests, in one binary.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests use the thread pool as users do"
)]

#[path = "../common/mod.rs"]
mod support;

mod adapters;
mod bad_input;
mod contract;
mod dirs;
mod kernel_errors;
mod oracle;
mod runtimes;
mod special;
