//! Directories, trees and copies: what is named by a path and is more than one open file.

mod copy;
mod create;
mod paths;
mod read_dir;
#[cfg(unix)]
mod walk;

use std::any::type_name_of_val;
use std::io::{self, ErrorKind};
use std::path::Path;

use aiofiles::PathError;

use crate::support::*;

/// Checks that an error is of this kind and names these paths and this operation, in its parts and in its text.
#[track_caller]
pub fn assert_names(error: &io::Error, kind: ErrorKind, op: &str, path: &Path, to: Option<&Path>) {
    assert_eq!(error.kind(), kind, "{error}");
    let detail = PathError::of(error).expect("a path in the error");
    assert_eq!((detail.op(), detail.path(), detail.to()), (op, path, to));
    let both = match to {
        Some(to) => format!("`{}` to `{}`", path.display(), to.display()),
        None => format!("`{}`", path.display()),
    };
    assert_eq!(
        error.to_string(),
        format!("failed to {op} {both}: {}", detail.io_error())
    );
}

/// Runs the body of the calling test as a user who is not root: here, or in a process of its own that gives the rights
/// up. The closure must stand directly in the test function.
#[cfg(unix)]
pub fn unprivileged<B: FnOnce() + Send + 'static>(body: B) {
    use std::os::unix::process::CommandExt as _;

    const NOBODY: u32 = 65534;

    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").expect("a function in a crate");
    if !is_root() {
        return within_limit(name, body);
    }
    let binary = std::env::current_exe().expect("the path of this binary");
    let started = std::process::Command::new(binary)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    let output = match started {
        Ok(output) => output,
        // The tests may have been built where nobody else may look.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return skip("a test binary that every user may run");
        }
        Err(error) => panic!("{name} as another user: {error}"),
    };
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{name}, as another user: {}\n{out}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// How many descriptors of this process lead to `path` or below it: no other test has any there.
#[cfg(target_os = "linux")]
fn descriptors_below(path: &Path) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc")
        // Some are closed before they are looked at.
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(path))
        .count()
}
