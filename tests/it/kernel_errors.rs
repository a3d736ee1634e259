//! Errors that the kernel really gives: a full file system, a limit on file sizes, permissions, a read-only mount.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::io::{self, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::time::SystemTime;

use aiofiles::unix::PermissionsExt as _;
use aiofiles::{DirBuilder, File, OpenOptions, PathError, raw_os_error};
use futures_lite::future;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

/// Kind and code of the error, or `None`.
fn verdict<T>(result: &io::Result<T>) -> Option<(ErrorKind, Option<i32>)> {
    let error = result.as_ref().err()?;
    Some((error.kind(), raw_os_error(error)))
}

fn code<T>(result: &io::Result<T>) -> Option<i32> {
    raw_os_error(result.as_ref().err()?)
}

// ---------------------------------------------------------------------------------------------------------------------
// Mounts

/// A command after which mounts are seen by the process and its children alone, or nothing, said aloud.
fn own_mounts() -> Option<&'static [&'static str]> {
    let command: (&[&str], &[&str]) = if is_root() {
        (&["unshare", "-m"], &["unshare", "-m", "true"])
    } else {
        (&["unshare", "-rm"], &["unshare", "-rm", "true"])
    };
    if succeeds(command.1) {
        return Some(command.0);
    }
    skip("mounts of its own (`unshare -m`)");
    None
}

/// A file system in memory, which goes away with the value.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Mount {
        let mount = Mount(temp_dir());
        mount.call("mount", &["-t", "tmpfs", "-o", options, "tmpfs"]);
        mount
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn call(&self, command: &str, args: &[&str]) {
        let output = Command::new(command).args(args).arg(self.path()).output();
        let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(output.status.success(), "{command}: {output:?}");
    }

    /// Takes all the room that there is but for so many bytes.
    fn fill(&self, but: usize) {
        let stat = rustix::fs::statvfs(self.path()).expect("the free space");
        let free = (stat.f_bavail * stat.f_frsize) as usize;
        // A write in the background may be quicker: then the filler comes short, and takes all there is.
        match std::fs::write(self.at("filler"), vec![0; free.saturating_sub(but)]) {
            Err(error) if error.kind() != ErrorKind::StorageFull => panic!("{error}"),
            _ => {}
        }
    }

    /// Gives it back.
    fn empty(&self) {
        match std::fs::remove_file(self.at("filler")) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Files that are closed in the background still use it.
        future::block_on(aiofiles::settle());
        self.call("umount", &["--lazy"]);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// No more room

/// Something that refuses to store more than so much, until it does not.
trait Narrow {
    /// The code it refuses with.
    fn code(&self) -> Errno;
    fn path(&self) -> PathBuf;
    fn restrict(&self, room: usize);
    fn relax(&self);
}

impl Narrow for Mount {
    fn code(&self) -> Errno {
        Errno::NOSPC
    }

    fn path(&self) -> PathBuf {
        self.at("file")
    }

    fn restrict(&self, room: usize) {
        self.empty();
        self.fill(room);
    }

    fn relax(&self) {
        self.empty();
    }
}

/// The limit of this process on the size of files (`ulimit -f`).
struct SizeLimit(tempfile::TempDir);

impl Narrow for SizeLimit {
    fn code(&self) -> Errno {
        Errno::FBIG
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("file")
    }

    fn restrict(&self, room: usize) {
        let written = std::fs::metadata(self.path()).map_or(0, |metadata| metadata.len());
        self.set(Some(written + room as u64));
    }

    fn relax(&self) {
        self.set(None);
    }
}

impl SizeLimit {
    fn set(&self, limit: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: limit,
            maximum,
        };
        setrlimit(Resource::Fsize, limit).expect("a limit on file sizes");
    }
}

/// A process that a write beyond the limit does not kill.
const NO_SIGXFSZ: [&str; 4] = ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"];

/// No sequence accepts more than this.
const MOST: usize = 500_000;

/// How the file is opened in a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Buffered,
    Append,
    Unbuffered,
}

/// Does random things to files on something narrow, and holds each answer against what stands in the file.
async fn random_sequences(narrow: &impl Narrow, count: usize) {
    let seed = Seed::new();
    let mut rng = seed.rng();
    let whole = numbered(MOST + 200_000);
    for n in 0..count {
        let how = [How::Buffered, How::Append, How::Unbuffered][n % 3];
        let context = format!("sequence {n}, {how:?}");
        let path = narrow.path();
        narrow.relax();
        std::fs::write(&path, "").unwrap();
        // What was accepted, and not given up, is whole[..accepted].
        let mut accepted = 0;
        let mut file = open(&path, how, accepted).await;
        narrow.restrict(rng.usize(0..200_000));
        let mut restricted = true;
        let mut log = Vec::new();
        for _ in 0..rng.usize(5..30) {
            let mut result = Ok(());
            match rng.u32(0..20) {
                0..8 if accepted < MOST => {
                    let len = match rng.bool() {
                        true => rng.usize(1..100),
                        false => rng.usize(1..200_000),
                    };
                    let bytes = &whole[accepted..accepted + len];
                    match file.write(bytes).await {
                        Ok(n) => {
                            log.push(format!("write {len} -> {n}"));
                            assert!(n > 0 && n <= len, "{context}: {log:?}");
                            accepted += n;
                        }
                        Err(error) => result = Err(error),
                    }
                    if result.is_err() {
                        log.push(format!("write {len} -> {result:?}"));
                    }
                }
                op @ 8..14 => {
                    result = match op {
                        8..=10 => file.flush().await,
                        11..=12 => file.sync_all().await,
                        _ => file.sync_data().await,
                    };
                    log.push(format!("flush or sync -> {result:?}"));
                    if result.is_ok() {
                        // Never Ok past an unwritten byte.
                        let found = std::fs::read(&path).unwrap();
                        assert!(
                            found == whole[..accepted],
                            "{context}: Ok with {} of {accepted} bytes: {log:?}",
                            found.len()
                        );
                    }
                }
                14 => {
                    let given_up = file.discard_unwritten().await as usize;
                    log.push(format!("discard -> {given_up}"));
                    accepted -= given_up;
                    let found = std::fs::read(&path).unwrap();
                    assert!(
                        found == whole[..accepted],
                        "{context}: {} of {accepted} bytes: {log:?}",
                        found.len()
                    );
                }
                15 | 16 if !restricted => {
                    narrow.restrict(rng.usize(0..100_000));
                    log.push("restricted".to_owned());
                    restricted = true;
                }
                15..18 if restricted => {
                    narrow.relax();
                    restricted = false;
                    // One call may tell of what failed before; the one after it has no reason to fail.
                    let first = file.flush().await;
                    let second = file.flush().await;
                    log.push(format!("relaxed, flush -> {first:?}, {second:?}"));
                    assert!(second.is_ok(), "{context}: {log:?}");
                    let found = std::fs::read(&path).unwrap();
                    assert!(
                        found == whole[..accepted],
                        "{context}: {} of {accepted} bytes: {log:?}",
                        found.len()
                    );
                }
                18 => {
                    result = file.close().await;
                    log.push(format!("close -> {result:?}"));
                    let found = std::fs::read(&path).unwrap();
                    assert!(whole.starts_with(&found), "{context}: {log:?}");
                    assert!(found.len() <= accepted, "{context}: {log:?}");
                    assert!(
                        result.is_err() || found.len() == accepted,
                        "{context}: {log:?}"
                    );
                    file.close().await.expect("it is closed");
                    accepted = found.len();
                    file = open(&path, how, accepted).await;
                }
                19 => {
                    drop(file);
                    aiofiles::settle().await;
                    log.push("drop".to_owned());
                    let found = std::fs::read(&path).unwrap();
                    assert!(whole.starts_with(&found), "{context}: {log:?}");
                    assert!(
                        restricted && found.len() <= accepted || found.len() == accepted,
                        "{context}: {} of {accepted} bytes: {log:?}",
                        found.len()
                    );
                    accepted = found.len();
                    file = open(&path, how, accepted).await;
                }
                _ => {}
            }
            if let Err(error) = result {
                let errno = error.raw_os_error();
                assert_eq!(
                    errno,
                    Some(narrow.code().raw_os_error()),
                    "{context}: {log:?}"
                );
            }
            // What is written is always a beginning of what was accepted: no hole, nothing twice.
            let found = std::fs::read(&path).unwrap();
            assert!(whole[..accepted].starts_with(&found), "{context}: {log:?}");
        }
        narrow.relax();
        // The next sequence begins with an empty file.
        drop(file);
        aiofiles::settle().await;
    }
}

/// Opens the file to go on behind its end.
async fn open(path: &Path, how: How, end: usize) -> File {
    let mut options = OpenOptions::new();
    match how {
        How::Append => options.append(true),
        How::Buffered | How::Unbuffered => options.write(true),
    };
    options.unbuffered(how == How::Unbuffered);
    let mut file = options.open(path).await.unwrap();
    if how != How::Append {
        file.seek(SeekFrom::Start(end as u64)).await.unwrap();
    }
    file
}

#[test]
fn on_a_full_file_system_no_flush_sync_or_close_is_ok_past_an_unwritten_byte() {
    let Some(command) = own_mounts() else { return };
    alone_under(command, || {
        let mount = Mount::new("size=1m");
        future::block_on(random_sequences(&mount, iterations(600)));
    });
}

#[test]
fn at_the_limit_on_file_sizes_no_flush_sync_or_close_is_ok_past_an_unwritten_byte() {
    alone_under(&NO_SIGXFSZ, || {
        let limit = SizeLimit(temp_dir());
        future::block_on(random_sequences(&limit, iterations(600)));
    });
}

/// Accepts more than there is room for, and asks again and again.
async fn an_error_stays_until_the_tail_is_written(narrow: &impl Narrow) {
    let full = Some(narrow.code().raw_os_error());
    let bytes = numbered(400_000);
    for how in [How::Buffered, How::Append] {
        narrow.relax();
        std::fs::write(narrow.path(), "").unwrap();
        narrow.restrict(100_000);
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            How::Append => options.append(true),
            _ => options.write(true),
        };
        let mut file = options.open(narrow.path()).await.unwrap();
        let mut accepted = 0;
        let error = loop {
            match file.write(&bytes[accepted..]).await {
                Ok(0) => break file.flush().await.unwrap_err(),
                Ok(n) => accepted += n,
                Err(error) => break error,
            }
        };
        assert_eq!(error.raw_os_error(), full);
        for _ in 0..3 {
            assert_eq!(code(&file.flush().await), full, "{how:?}");
            assert_eq!(code(&file.sync_all().await), full, "{how:?}");
            assert_eq!(code(&file.sync_data().await), full, "{how:?}");
            assert_eq!(code(&file.write(b"more").await), full, "{how:?}");
            assert_eq!(code(&file.read(&mut [0; 4]).await), full, "{how:?}");
            assert_eq!(code(&file.seek(SeekFrom::Start(0)).await), full, "{how:?}");
            assert_eq!(code(&file.set_len(1 << 20).await), full, "{how:?}");
            assert_eq!(code(&file.try_clone().await.map(drop)), full, "{how:?}");
        }
        let error = file.into_std().await.unwrap_err();
        assert_eq!(error.error().raw_os_error(), full, "{how:?}");
        let mut file = error.into_file();
        // It can still be asked what it is.
        assert!(file.metadata().await.unwrap().len() < accepted as u64);
        // With room, all of it goes where it belongs.
        narrow.relax();
        file.flush().await.unwrap();
        file.sync_all().await.unwrap();
        assert_same_bytes(std::fs::read(narrow.path()).unwrap(), &bytes[..accepted]);
        file.write_all(b"more").await.unwrap();
        file.close().await.unwrap();
        let found = std::fs::read(narrow.path()).unwrap();
        assert_same_bytes(found, [&bytes[..accepted], b"more"].concat());

        // Without, closing tells it once, and closes.
        narrow.restrict(0);
        let mut file = OpenOptions::new()
            .append(true)
            .open(narrow.path())
            .await
            .unwrap();
        let before = std::fs::metadata(narrow.path()).unwrap().len();
        let mut accepted = 0;
        while accepted < 100_000 {
            match file.write(&bytes[accepted..]).await {
                Ok(n) => accepted += n,
                Err(_) => break,
            }
        }
        assert_eq!(code(&file.close().await), full);
        file.close().await.unwrap();
        let after = std::fs::metadata(narrow.path()).unwrap().len();
        assert!(after < before + accepted as u64);
        // Whatever was given up does not come back.
        narrow.relax();
        aiofiles::settle().await;
        assert_eq!(std::fs::metadata(narrow.path()).unwrap().len(), after);
    }
}

#[test]
fn a_full_file_system_is_told_of_by_every_call_until_there_is_room() {
    let Some(command) = own_mounts() else { return };
    alone_under(command, || {
        let mount = Mount::new("size=1m");
        future::block_on(an_error_stays_until_the_tail_is_written(&mount));
    });
}

#[test]
fn the_limit_on_file_sizes_is_told_of_by_every_call_until_it_is_raised() {
    alone_under(&NO_SIGXFSZ, || {
        let limit = SizeLimit(temp_dir());
        future::block_on(an_error_stays_until_the_tail_is_written(&limit));
    });
}

#[test]
fn functions_on_whole_files_tell_that_the_file_system_is_full() {
    let Some(command) = own_mounts() else { return };
    alone_under(command, || {
        future::block_on(async {
            let full = Some(Errno::NOSPC.raw_os_error());
            let mount = Mount::new("size=1m,nr_inodes=10");
            let elsewhere = temp_dir();
            let source = elsewhere.path().join("source");
            std::fs::write(&source, numbered(600_000)).unwrap();
            mount.fill(100_000);
            for len in [200_000, 600_000] {
                let path = mount.at("written");
                let error = aiofiles::write(&path, numbered(len)).await.unwrap_err();
                assert_eq!(raw_os_error(&error), full);
                assert_eq!(error.kind(), ErrorKind::StorageFull);
                assert_eq!(PathError::of(&error).unwrap().path(), path);
                std::fs::remove_file(path).unwrap();
            }
            let path = mount.at("copied");
            let error = aiofiles::copy(&source, &path).await.unwrap_err();
            assert_eq!(raw_os_error(&error), full);
            assert_eq!(PathError::of(&error).unwrap().to(), Some(&*path));
            let error = aiofiles::copy_with_progress(&source, &path, |_, _| {})
                .await
                .unwrap_err();
            assert_eq!(raw_os_error(&error), full);
            let mut from = File::open(&source).await.unwrap();
            let mut to = File::create(&path).await.unwrap();
            let copied = aiofiles::copy_between(&mut from, &mut to).await;
            assert_eq!(code(&copied), full);
            drop(to);

            // No room for another name.
            mount.empty();
            let mut n = 0;
            while std::fs::write(mount.at(&format!("name-{n}")), "").is_ok() {
                n += 1;
            }
            let new = mount.at("new");
            assert_eq!(code(&aiofiles::create_dir(&new).await), full);
            assert_eq!(
                code(&aiofiles::create_dir_all(new.join("below")).await),
                full
            );
            assert_eq!(code(&DirBuilder::new().create(&new).await), full);
            assert_eq!(code(&File::create(&new).await.map(drop)), full);
            assert_eq!(code(&aiofiles::write(&new, "").await), full);
            assert_eq!(code(&aiofiles::unix::symlink("to", &new).await), full);
        });
    });
}

#[test]
fn a_process_that_ends_with_bytes_that_cannot_be_written_ends() {
    let Some(command) = own_mounts() else { return };
    // The process is watched, not only the body.
    within_limit("a process of its own", || {
        alone_under(command, || {
            let mount = Mount::new("size=1m");
            mount.fill(0);
            let (path, bytes) = (mount.at("file"), numbered(100_000));
            future::block_on(async move {
                for _ in 0..3 {
                    let mut file = File::create(&path).await.unwrap();
                    assert!(file.write(&bytes).await.unwrap() > 0);
                    // Neither the drop nor the wait for it hangs.
                    drop(file);
                    aiofiles::settle().await;
                    // And one that is still there when the process ends.
                    let mut file = File::create(&path).await.unwrap();
                    assert!(file.write(&bytes).await.unwrap() > 0);
                    std::mem::forget(file);
                }
            });
        });
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// What must not be

type Outcome = io::Result<()>;
type Calls = Vec<(
    &'static str,
    Box<dyn Fn(PathBuf) -> Pin<Box<dyn Future<Output = Outcome>>>>,
    Box<dyn Fn(PathBuf) -> Outcome>,
)>;

/// Functions that something in the way refuses, and what std has for them.
fn calls() -> Calls {
    let mut calls: Calls = Vec::new();
    macro_rules! call {
        ($name:literal, |$p:ident| $ours:expr, |$q:ident| $stds:expr) => {
            calls.push((
                $name,
                Box::new(|$p: PathBuf| Box::pin(async move { $ours.await.map(drop) })),
                Box::new(|$q: PathBuf| $stds.map(drop)),
            ));
        };
    }
    fn mode() -> aiofiles::Permissions {
        aiofiles::Permissions::from_mode(0o700)
    }
    call!("read", |p| aiofiles::read(p), |p| std::fs::read(p));
    call!("read_to_string", |p| aiofiles::read_to_string(p), |p| {
        std::fs::read_to_string(p)
    });
    call!("write", |p| aiofiles::write(p, "new"), |p| std::fs::write(
        p, "new"
    ));
    call!(
        "metadata",
        |p| aiofiles::metadata(p),
        |p| std::fs::metadata(p)
    );
    call!("symlink_metadata", |p| aiofiles::symlink_metadata(p), |p| {
        std::fs::symlink_metadata(p)
    });
    call!("canonicalize", |p| aiofiles::canonicalize(p), |p| {
        std::fs::canonicalize(p)
    });
    call!("try_exists", |p| aiofiles::try_exists(p), |p| {
        std::fs::exists(p)
    });
    call!(
        "read_dir",
        |p| aiofiles::read_dir(p),
        |p| std::fs::read_dir(p)
    );
    call!("create_dir", |p| aiofiles::create_dir(p), |p| {
        std::fs::create_dir(p)
    });
    call!("create_dir_all", |p| aiofiles::create_dir_all(p), |p| {
        std::fs::create_dir_all(p)
    });
    call!("remove_file", |p| aiofiles::remove_file(p), |p| {
        std::fs::remove_file(p)
    });
    call!("remove_dir", |p| aiofiles::remove_dir(p), |p| {
        std::fs::remove_dir(p)
    });
    call!("remove_dir_all", |p| aiofiles::remove_dir_all(p), |p| {
        std::fs::remove_dir_all(p)
    });
    call!(
        "rename",
        |p| aiofiles::rename(&p, p.with_extension("new")),
        |p| std::fs::rename(&p, p.with_extension("new"))
    );
    call!(
        "hard_link",
        |p| aiofiles::hard_link(&p, p.with_extension("new")),
        |p| std::fs::hard_link(&p, p.with_extension("new"))
    );
    call!(
        "symlink",
        |p| aiofiles::unix::symlink("to", p.with_extension("new")),
        |p| std::os::unix::fs::symlink("to", p.with_extension("new"))
    );
    call!(
        "copy",
        |p| aiofiles::copy(&p, p.with_extension("new")),
        |p| std::fs::copy(&p, p.with_extension("new"))
    );
    call!(
        "set_permissions",
        |p| aiofiles::set_permissions(p, mode()),
        |p| std::fs::set_permissions(p, mode())
    );
    call!("chown", |p| aiofiles::unix::chown(p, Some(0), None), |p| {
        std::os::unix::fs::chown(p, Some(0), None)
    });
    call!(
        "lchown",
        |p| aiofiles::unix::lchown(p, Some(0), None),
        |p| std::os::unix::fs::lchown(p, Some(0), None)
    );
    call!("File::open", |p| File::open(p), |p| std::fs::File::open(p));
    call!("File::create", |p| File::create(p), |p| {
        std::fs::File::create(p)
    });
    call!("File::create_new", |p| File::create_new(p), |p| {
        std::fs::File::create_new(p)
    });
    call!("append", |p| OpenOptions::new().append(true).open(p), |p| {
        std::fs::OpenOptions::new().append(true).open(p)
    });
    calls
}

/// Holds ours against std's on a path in two directories that `make` prepares alike, and says how many were refused.
async fn refused_alike(name: &str, make: impl Fn(&Path), unmake: impl Fn(&Path)) -> usize {
    let mut refused = 0;
    for (function, ours, stds) in calls() {
        let dirs = [temp_dir(), temp_dir()];
        dirs.iter().for_each(|dir| make(dir.path()));
        let path = dirs[0].path().join(name);
        let (result, expected) = (ours(path.clone()).await, stds(dirs[1].path().join(name)));
        assert_eq!(
            verdict(&result),
            verdict(&expected),
            "{function} of {name}: {result:?}"
        );
        if let Err(error) = &result {
            let detail = PathError::of(error).expect("an operation and a path");
            // The first path of a link is what it points to.
            let named = detail.to().unwrap_or(detail.path()).with_extension("");
            assert_eq!(named, path, "{function} of {name}");
            refused += 1;
        }
        dirs.iter().for_each(|dir| unmake(dir.path()));
    }
    refused
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, aiofiles::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_the_permissions_do_not_allow_is_refused_as_in_std() {
    let command: &[&str] = if is_root() {
        &[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]
    } else {
        &["env"]
    };
    let exe = std::env::current_exe().unwrap();
    let lists = [command, &[exe.to_str().unwrap(), "--list"]].concat();
    if !succeeds(&lists) {
        return skip("another user who can run the test binary (`setpriv`)");
    }
    alone_under(command, || {
        assert!(!is_root(), "root may do everything");
        future::block_on(async {
            // A file without any permission.
            let make = |dir: &Path| {
                std::fs::write(dir.join("secret"), "text").unwrap();
                set_mode(&dir.join("secret"), 0);
            };
            assert!(refused_alike("secret", make, |_| {}).await >= 8);

            // A directory that may not be written.
            let make = |dir: &Path| {
                std::fs::create_dir_all(dir.join("closed/empty")).unwrap();
                std::fs::write(dir.join("closed/file"), "text").unwrap();
                set_mode(&dir.join("closed"), 0o500);
            };
            let unmake = |dir: &Path| set_mode(&dir.join("closed"), 0o700);
            for name in [
                "closed/file",
                "closed/empty",
                "closed/missing",
                "closed/a/b",
            ] {
                assert!(refused_alike(name, make, unmake).await >= 5, "{name}");
            }
            // One that may not be searched, so that nobody can tell what is in it.
            let make = |dir: &Path| {
                make(dir);
                set_mode(&dir.join("closed"), 0o600);
            };
            for name in ["closed/file", "closed/missing", "closed/empty/.."] {
                assert!(refused_alike(name, make, unmake).await >= 20, "{name}");
            }
            let dir = temp_dir();
            make(dir.path());
            assert!(!aiofiles::exists(dir.path().join("closed/file")).await);
            unmake(dir.path());

            // An open file stays open, and what it may not do on it is std's business.
            let path = dir.path().join("closed/file");
            let mut file = File::open(&path).await.unwrap();
            let stds = std::fs::File::open(&path).unwrap();
            set_mode(&path, 0);
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "text");
            let times = std::fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            assert_eq!(
                verdict(&file.set_times(times).await),
                verdict(&stds.set_times(times))
            );
        });
    });
}

#[test]
fn a_read_only_file_system_refuses_what_it_refuses_in_std() {
    let Some(command) = own_mounts() else { return };
    alone_under(command, || {
        future::block_on(async {
            let mount = Mount::new("size=1m");
            std::fs::create_dir(mount.at("dir")).unwrap();
            std::fs::write(mount.at("file"), "text").unwrap();
            let open = std::fs::File::open(mount.at("file")).unwrap();
            mount.call("mount", &["-o", "remount,bind,ro"]);
            for name in ["file", "dir", "missing"] {
                for (function, ours, stds) in calls() {
                    let path = mount.at(name);
                    let (result, expected) = (ours(path.clone()).await, stds(path));
                    assert_eq!(verdict(&result), verdict(&expected), "{function} of {name}");
                }
            }
            let read_only = Some(Errno::ROFS.raw_os_error());
            assert_eq!(
                code(&File::create(mount.at("file")).await.map(drop)),
                read_only
            );
            assert_eq!(
                code(&aiofiles::write(mount.at("new"), "text").await),
                read_only
            );
            // What it has can be read.
            let mut file = File::from(open);
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "text");
            file.sync_all().await.unwrap();
            let error = file.set_modified(SystemTime::UNIX_EPOCH).await.unwrap_err();
            assert_eq!(error.raw_os_error(), read_only);
            // An error of one change is told once, and spoils nothing.
            file.flush().await.unwrap();
        });
    });
}

#[test]
fn two_file_systems_are_not_one() {
    let Some(command) = own_mounts() else { return };
    alone_under(command, || {
        future::block_on(async {
            let mount = Mount::new("size=4m");
            let dir = temp_dir();
            let bytes = numbered(1_000_000);
            let (here, there) = (dir.path().join("here"), mount.at("there"));
            std::fs::write(&here, &bytes).unwrap();
            let crossed = Some(Errno::XDEV.raw_os_error());
            let error = aiofiles::rename(&here, &there).await.unwrap_err();
            assert_eq!(raw_os_error(&error), crossed);
            assert_eq!(PathError::of(&error).unwrap().to(), Some(&*there));
            assert_eq!(code(&aiofiles::hard_link(&here, &there).await), crossed);
            // Copies cross over, by every way there is.
            aiofiles::copy(&here, &there).await.unwrap();
            assert_same_bytes(std::fs::read(&there).unwrap(), &bytes);
            aiofiles::copy_with_progress(&here, &there, |_, _| {})
                .await
                .unwrap();
            assert_same_bytes(std::fs::read(&there).unwrap(), &bytes);
            let mut from = File::open(&here).await.unwrap();
            let mut to = File::create(&there).await.unwrap();
            aiofiles::copy_between(&mut from, &mut to).await.unwrap();
            to.close().await.unwrap();
            assert_same_bytes(std::fs::read(&there).unwrap(), &bytes);
            // What is in use stays.
            let busy = Some(Errno::BUSY.raw_os_error());
            assert_eq!(code(&aiofiles::remove_dir(mount.path()).await), busy);
            assert_eq!(
                code(&aiofiles::rename(mount.path(), dir.path().join("new")).await),
                busy
            );
        });
    });
}

#[test]
fn odd_places_answer_as_they_answer_std() {
    within_limit("block_on", || {
        future::block_on(async {
            let dir = temp_dir();
            // A socket is no FIFO, though both answer ENXIO.
            let socket = dir.path().join("socket");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            for (name, ours, stds) in calls() {
                // Those that would change the socket, and `copy`, which looks first and says so in its own words.
                let left_out = ["rename", "hard_link", "symlink", "copy", "chown", "lchown"];
                if !name.starts_with("remove") && !left_out.contains(&name) {
                    let (result, expected) = (ours(socket.clone()).await, stds(socket.clone()));
                    assert_eq!(verdict(&result), verdict(&expected), "{name}");
                }
            }
            // Memory at 0, which is not there.
            let mut ours = File::open("/proc/self/mem").await.unwrap();
            let mut stds = std::fs::File::open("/proc/self/mem").unwrap();
            let expected = verdict(&io::Read::read(&mut stds, &mut [0; 4]));
            assert_eq!(expected.unwrap().1, Some(Errno::IO.raw_os_error()));
            for _ in 0..3 {
                assert_eq!(verdict(&ours.read(&mut [0; 4]).await), expected);
            }
            let result = aiofiles::read("/proc/self/mem").await;
            assert_eq!(verdict(&result), expected);
            // A program that runs.
            let exe = dir.path().join("program");
            std::fs::copy("/bin/sleep", &exe).unwrap();
            let mut running = Command::new(&exe).arg("600").spawn().unwrap();
            let open = OpenOptions::new().write(true).open(&exe).await;
            running.kill().unwrap();
            running.wait().unwrap();
            assert_eq!(code(&open.map(drop)), Some(Errno::TXTBSY.raw_os_error()));
        });
    });
}
