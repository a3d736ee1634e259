//! Tests that need a process of their own: they run the test binary again, for one test, under a command.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const MARK: &str = "DROPIN_CHILD";

/// Whether this process is one that [`rerun`] started.
pub fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// Runs the test `name` of the calling module again under `command`, which gets the program and its arguments
/// appended, and passes when it passes there.
///
/// `module` is the caller's `module_path!()`.
pub fn rerun(command: &[&str], module: &str, name: &str) {
    let (_crate, module) = module.split_once("::").expect("tests live in a module");
    let exe = env::current_exe().expect("the path of the test binary");
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(exe)
        .args(["--exact", &format!("{module}::{name}")])
        .env(MARK, "1")
        .output()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "under {command:?}:\n{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A command that gives up root's rights, or `None`, said aloud, where that cannot be had.
pub fn without_privileges() -> Option<Vec<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Some(vec!["env"]);
    }
    let command = vec![
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let exe = env::current_exe().expect("the path of the test binary");
    let runs = |args: &[&Path]| {
        let status = Command::new(command[0])
            .args(&command[1..])
            .args(args)
            .output();
        status.is_ok_and(|output| output.status.success())
    };
    if runs(&[&exe, Path::new("--list")]) {
        return Some(command);
    }
    // Not `println!`, which the test harness captures.
    let reason =
        "skipped: needs a user without root's rights who can run the test binary (`setpriv`)";
    let _ = writeln!(std::io::stderr(), "{reason}");
    None
}
