//! The same test on every backend, each in a process of its own.

use aiofiles::BackendKind;

use crate::support::{alone, alone_under, is_alone, skip};

/// Runs the body of the calling test once for each backend, in processes of their own. It must stand directly in the test
/// function, and ask [`is_there`] first.
#[track_caller]
pub fn each_backend<B: FnOnce() + Copy + Send + 'static>(body: B) {
    each_backend_under(&[], body);
}

/// The same, started by a command.
#[track_caller]
pub fn each_backend_under<B: FnOnce() + Copy + Send + 'static>(command: &[&str], body: B) {
    if is_alone() {
        return alone(body);
    }
    for backend in ["pool", "uring"] {
        let backend = format!("AIOFILES_BACKEND={backend}");
        let mut whole = vec!["env", &backend];
        whole.extend(command);
        alone_under(&whole, body);
    }
}

/// The backend of this process.
pub fn name() -> String {
    std::env::var("AIOFILES_BACKEND").unwrap_or_else(|_| "auto".to_owned())
}

/// Whether the backend that is asked for can be had. It says so if not.
pub fn is_there() -> bool {
    let there = name() != "uring" || aiofiles::backend().kind() == BackendKind::Uring;
    if !there {
        skip("io_uring");
    }
    there
}
