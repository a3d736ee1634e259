//! The functions of `os::path` on any bytes: what std says of the same path, and what `abspath` promises of the text.
#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::future::Future;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use aiofiles::os::path;
use aiofiles::testing::Stepper;
use libfuzzer_sys::fuzz_target;

/// A directory of a few things with short names.
static TREE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let at = |name| tree.path().join(name);
    fs::create_dir_all(at("d/e")).expect("d/e");
    fs::write(at("f"), "12345").expect("f");
    fs::write(at("d/f"), "").expect("d/f");
    symlink("f", at("l")).expect("l");
    symlink("d", at("m")).expect("m");
    symlink("nowhere", at("n")).expect("n");
    symlink("o", at("o")).expect("o");
    tree
});

/// Runs the future and its jobs on this thread.
fn run<T>(future: impl Future<Output = T>) -> T {
    let stepper = Stepper::install();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
        assert!(stepper.run_one(), "pending, and nothing is left to run");
    }
}

/// Both are good and the same, or both are the same error.
fn same<T: PartialEq + std::fmt::Debug>(ours: std::io::Result<T>, of_std: std::io::Result<T>) {
    match (&ours, &of_std) {
        (Ok(one), Ok(other)) if one == other => {}
        (Err(one), Err(other))
            if one.kind() == other.kind()
                && aiofiles::raw_os_error(one) == other.raw_os_error() => {}
        _ => panic!("we said {ours:?}, and std {of_std:?}"),
    }
}

/// What `abspath` says, found in another way.
fn normal(path: &Path, current: &Path) -> PathBuf {
    let whole = current.join(path);
    let slashes = whole
        .as_os_str()
        .as_bytes()
        .iter()
        .take_while(|byte| **byte == b'/')
        .count();
    let mut names = Vec::new();
    for component in whole.components() {
        match component {
            Component::ParentDir => drop(names.pop()),
            Component::Normal(name) => names.push(name),
            _ => {}
        }
    }
    let root = if slashes == 2 { "//" } else { "/" };
    let mut normal = PathBuf::from(root);
    normal.extend(names);
    normal
}

fuzz_target!(|paths: (&[u8], &[u8])| {
    let text = Path::new(OsStr::from_bytes(paths.0));
    let path = &TREE.path().join(text);
    let other = &TREE.path().join(OsStr::from_bytes(paths.1));

    assert_eq!(run(path::isfile(path)), path.is_file());
    assert_eq!(run(path::isdir(path)), path.is_dir());
    assert_eq!(run(path::islink(path)), path.is_symlink());
    assert_eq!(run(path::exists(path)), path.exists());
    let metadata = || Ok((fs::metadata(path)?.len(), fs::metadata(path)?.modified()?));
    let before = metadata();
    let ours = run(path::getsize(path)).and_then(|len| Ok((len, run(path::getmtime(path))?)));
    // Others may be at work where a path leads that leaves the tree.
    if before.is_err() || before.as_ref().ok() == metadata().as_ref().ok() {
        same(ours, before);
    }
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let is_same = identity(path).and_then(|one| Ok(one == identity(other)?));
    same(run(path::samefile(path, other)), is_same);
    if run(path::ismount(path)) {
        assert!(path.is_dir() && !path.is_symlink());
    }

    let current = std::env::current_dir().expect("it is there");
    let absolute = run(path::abspath(text)).expect("nothing is asked but the current directory");
    assert!(absolute.is_absolute());
    let expected = normal(text, &current);
    assert_eq!(absolute.as_os_str(), expected.as_os_str(), "of {text:?}");
    assert_eq!(
        run(path::abspath(&absolute)).expect("as above").as_os_str(),
        absolute.as_os_str()
    );
});
