//! An outside judge: stock `fsx`, which does random things to one file and holds all that it reads against what it keeps in
//! memory, on the file system of the example `passthrough`, whose requests this crate serves.
//!
//! It is the program of the crate `fsx` (`cargo install fsx`), in the `PATH`, or where `AIOFILES_FSX` says.
#![cfg(target_os = "linux")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use aiofiles_proof::fuse::{Mounted, backend};
use aiofiles_proof::on_both_backends;
use aiofiles_proof::passthrough::{Caching, Passthrough};
use aiofiles_proof::support::*;
use futures_lite::future::block_on;

/// All that it can do, not only what is its habit.
const CONFIG: &str = "
[weights]
close_open = 1
invalidate = 1
mapread = 5
mapwrite = 5
read = 10
write = 10
truncate = 5
fsync = 1
fdatasync = 1
posix_fallocate = 3
punch_hole = 3
sendfile = 3
posix_fadvise = 1
copy_file_range = 5
";

fn fsx() -> OsString {
    env::var_os("AIOFILES_FSX").unwrap_or_else(|| "fsx".into())
}

fn has_fsx() -> bool {
    let output = Command::new(fsx()).arg("--version").output();
    let has = output.is_ok_and(|output| output.status.success());
    if !has {
        skip("fsx");
    }
    has
}

/// Has it do so many operations on a file of this directory.
fn judge(dir: &Path, seed: u64, operations: usize) -> String {
    let artifacts = temp_dir();
    let config = artifacts.path().join("config.toml");
    fs::write(&config, CONFIG).unwrap();
    let output = Command::new(fsx())
        .args(["-N", &operations.to_string(), "-S", &seed.to_string()])
        .arg("-f")
        .arg(&config)
        .arg("-P")
        .arg(artifacts.path())
        .arg(dir.join("file"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tail = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text[text.len().saturating_sub(20_000)..].to_owned()
    };
    assert!(
        output.status.success() && text.contains("A-OK"),
        "in {dir:?}, with -S {seed} -N {operations}: {}\n{}{}",
        output.status,
        tail(&output.stdout),
        tail(&output.stderr)
    );
    // Its last words.
    text.lines().last().unwrap_or_default().to_owned()
}

/// Judges the passthrough, and what it is made of for comparison.
fn judge_passthrough(caching: Caching) {
    if !has_fsx() {
        return;
    }
    let seed = Seed::new();
    let operations = iterations(1_000);
    let source = temp_dir();
    let words = judge(source.path(), seed.value(), operations.div_ceil(10));
    assert!(words.contains("A-OK"), "{words}");
    fs::remove_file(source.path().join("file")).unwrap();

    let at = temp_dir();
    let before = aiofiles::backend();
    let session = block_on(Passthrough::new(source.path(), caching))
        .and_then(|passthrough| passthrough.spawn(at.path()))
        .expect("a FUSE mount");
    let mounted = Mounted::of(session, at);
    let words = judge(mounted.path(), seed.value(), operations);
    // What is there through the mount is there below it.
    let whole = fs::read(mounted.at("file")).unwrap();
    assert_same_bytes(fs::read(source.path().join("file")).unwrap(), whole);

    let after = aiofiles::backend();
    let served = after.operations() - before.operations();
    assert!(served as usize > operations / 10, "{served} operations");
    let rings = after.submitted() - before.submitted();
    let backend = backend();
    assert_eq!(rings > 0, backend == "uring");
    figure(&format!(
        "fsx: {operations} operations, {caching:?}, {backend}: {words} \
         ({served} operations of the crate, {rings} on rings)"
    ));
}

on_both_backends!(fsx_finds_nothing_without_a_cache, || judge_passthrough(
    Caching::None
));
on_both_backends!(fsx_finds_nothing_with_the_cache_of_the_kernel, || {
    judge_passthrough(Caching::Through);
});
on_both_backends!(fsx_finds_nothing_where_the_kernel_writes_behind, || {
    judge_passthrough(Caching::Back);
});

/// What `fsx` does not do: names, links, directories, modes and times.
fn names_and_links(caching: Caching) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::time::{Duration, SystemTime};

    rustix::process::umask(rustix::fs::Mode::empty());
    let source = temp_dir();
    let at = temp_dir();
    let session = block_on(Passthrough::new(source.path(), caching))
        .and_then(|passthrough| passthrough.spawn(at.path()))
        .expect("a FUSE mount");
    let mounted = Mounted::of(session, at);
    let (here, below) = (
        |name: &str| mounted.at(name),
        |name: &str| source.path().join(name),
    );

    fs::create_dir(here("dir")).unwrap();
    fs::write(here("dir/a"), "hello").unwrap();
    assert_eq!(fs::read(below("dir/a")).unwrap(), b"hello");
    // Renamed with its directory, while it is open.
    let open = fs::File::open(here("dir/a")).unwrap();
    fs::rename(here("dir"), here("new")).unwrap();
    fs::rename(here("new/a"), here("b")).unwrap();
    assert_eq!(std::io::read_to_string(&open).unwrap(), "hello");
    assert!(!below("dir").exists() && below("new").exists());
    // More names.
    fs::hard_link(here("b"), here("new/c")).unwrap();
    std::os::unix::fs::symlink("new/c", here("link")).unwrap();
    assert_eq!(fs::read_link(here("link")).unwrap(), Path::new("new/c"));
    assert_eq!(fs::read(here("link")).unwrap(), b"hello");
    assert_eq!(
        fs::metadata(here("b")).unwrap().ino(),
        fs::metadata(here("new/c")).unwrap().ino()
    );
    assert_eq!(fs::metadata(below("b")).unwrap().nlink(), 2);
    // Removed, and still open.
    fs::remove_file(here("b")).unwrap();
    fs::remove_file(here("new/c")).unwrap();
    assert_eq!(open.metadata().unwrap().len(), 5);
    assert_eq!(
        fs::read(here("b")).unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
    drop(open);
    // Modes, times and lengths.
    fs::write(here("d"), "hello").unwrap();
    fs::set_permissions(here("d"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::metadata(below("d")).unwrap().mode() & 0o7777, 0o600);
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    let file = fs::File::options().write(true).open(here("d")).unwrap();
    file.set_modified(time).unwrap();
    file.set_len(3).unwrap();
    file.set_modified(time).unwrap();
    file.sync_all().unwrap();
    assert_eq!(fs::metadata(below("d")).unwrap().modified().unwrap(), time);
    assert_eq!(fs::read(below("d")).unwrap(), b"hel");
    // Many names, and none of them twice.
    for n in 0..600 {
        fs::write(below(&format!("new/{n}")), "").unwrap();
    }
    let names = |dir| {
        let names = fs::read_dir(dir).unwrap();
        let mut names = names
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>();
        names.sort();
        names
    };
    assert_eq!(names(here("new")), names(below("new")));
    assert_eq!(
        fs::remove_dir(here("new")).unwrap_err().raw_os_error(),
        Some(libc::ENOTEMPTY)
    );
    fs::remove_dir_all(here("new")).unwrap();
    assert!(!below("new").exists());
    assert_eq!(
        rustix::fs::statvfs(here("")).unwrap().f_blocks,
        rustix::fs::statvfs(below("")).unwrap().f_blocks
    );
    // Another file system below it.
    let other = below("other");
    fs::create_dir(&other).unwrap();
    assert!(succeeds(&[
        "mount",
        "-t",
        "tmpfs",
        "tmpfs",
        other.to_str().unwrap()
    ]));
    assert_eq!(
        fs::metadata(here("other")).unwrap_err().raw_os_error(),
        Some(libc::EXDEV)
    );
    assert!(succeeds(&["umount", other.to_str().unwrap()]));
}

on_both_backends!(names_links_modes_and_times_pass_through, || {
    for caching in [Caching::None, Caching::Through, Caching::Back] {
        names_and_links(caching);
    }
});
