//! `write_atomic`: the old content or the new one, whatever happens.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use aiofiles::write_atomic;
use futures_lite::future;

use crate::dirs::{assert_names, unprivileged};
use crate::files::sample;
use crate::support::*;

/// What is in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    names.sort();
    names
}

#[test]
fn a_file_is_created_or_replaced() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        write_atomic(&path, "new").await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let plain = dir.path().join("plain");
        fs::write(&plain, "").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().mode(),
            fs::metadata(&plain).unwrap().mode()
        );
        fs::remove_file(&plain).unwrap();

        let before = fs::File::open(&path).unwrap();
        let bytes = numbered(3_000_000);
        write_atomic(&path, bytes.clone()).await.unwrap();
        assert_same_bytes(fs::read(&path).unwrap(), &bytes);
        // Another file took the name; who had the old one open has it still.
        assert_ne!(
            before.metadata().unwrap().ino(),
            fs::metadata(&path).unwrap().ino()
        );
        assert_eq!(std::io::read_to_string(before).unwrap(), "new");
        write_atomic(&path, "").await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(names(dir.path()), ["file"]);
    });
}

#[test]
fn a_path_relative_to_the_current_directory_is_written_there() {
    alone(|| {
        let dir = temp_dir();
        std::env::set_current_dir(dir.path()).unwrap();
        future::block_on(write_atomic("file", "new")).unwrap();
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["file"]);
        std::env::set_current_dir("/").unwrap();
    });
}

#[test]
fn permissions_stay() {
    every_runtime(|_| async {
        let (dir, path) = sample("old");
        for mode in [0o600, 0o444, 0o4755, 0o666, 0o000] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write_atomic(&path, format!("{mode:o}")).await.unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(names(dir.path()), ["file"]);
    });
}

#[test]
fn owners_stay_where_they_can() {
    if !is_root() {
        return skip("root");
    }
    every_runtime(|_| async {
        let (_dir, path) = sample("old");
        std::os::unix::fs::chown(&path, Some(1234), Some(2345)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4711)).unwrap();
        write_atomic(&path, "new").await.unwrap();
        let metadata = fs::metadata(&path).unwrap();
        // Also those bits that a change of the owner takes away.
        assert_eq!(
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777),
            (1234, 2345, 0o4711)
        );
    });
}

#[test]
fn links_are_followed_and_stay() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (sub, other) = (dir.path().join("sub"), dir.path().join("other"));
        fs::create_dir(&sub).unwrap();
        fs::create_dir(&other).unwrap();
        let (file, link, chain) = (
            sub.join("file"),
            other.join("link"),
            dir.path().join("chain"),
        );
        symlink("../sub/file", &link).unwrap();
        symlink("other/link", &chain).unwrap();
        // One that leads nowhere yet, and then somewhere.
        for text in ["first", "second"] {
            write_atomic(&chain, text).await.unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            assert!(chain.is_symlink() && link.is_symlink() && !file.is_symlink());
        }
        assert_eq!(names(&other), ["link"]);
        assert_eq!(names(&sub), ["file"]);

        let round = dir.path().join("round");
        symlink("round", &round).unwrap();
        let error = write_atomic(&round, "text").await.unwrap_err();
        let theirs = fs::write(&round, "text").unwrap_err();
        assert_eq!(error.kind(), theirs.kind());
        assert_eq!(aiofiles::raw_os_error(&error), theirs.raw_os_error());
    });
}

#[test]
fn what_is_no_file_is_not_replaced() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (fifo, missing) = (dir.path().join("fifo"), dir.path().join("no/file"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let (root, nothing, null) = (Path::new("/"), Path::new(""), Path::new("/dev/null"));
        for (path, kind) in [
            (dir.path(), ErrorKind::IsADirectory),
            (root, ErrorKind::IsADirectory),
            (Path::new(".."), ErrorKind::IsADirectory),
            (&fifo, ErrorKind::InvalidInput),
            (null, ErrorKind::InvalidInput),
            (&missing, ErrorKind::NotFound),
            (nothing, ErrorKind::NotFound),
            (Path::new("a\0b"), ErrorKind::InvalidInput),
            (&dir.path().join("new/"), ErrorKind::NotADirectory),
        ] {
            let error = write_atomic(path, "text").await.unwrap_err();
            assert_names(&error, kind, "write", path, None);
        }
        assert_eq!(names(dir.path()), ["fifo"]);
    });
}

#[test]
fn without_the_right_to_create_files_nothing_changes() {
    unprivileged(|| {
        let (dir, path) = sample("old");
        for mode in [0o500, 0o300, 0o000] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = future::block_on(write_atomic(&path, "new")).unwrap_err();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
            assert_names(&error, ErrorKind::PermissionDenied, "write", &path, None);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(dir.path()), ["file"]);
        }
        // A file that may not be written is replaced, because that is a matter of the directory.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        future::block_on(write_atomic(&path, "new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    });
}

#[cfg(feature = "testing")]
mod faults {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;

    use aiofiles::testing::Call;

    use super::*;
    use crate::steps::{EVER, stepped, with_faults};

    /// Every kind of system call that takes a part.
    const CALLS: [Call; 8] = [
        Call::Metadata,
        Call::Open,
        Call::Write,
        Call::SetPermissions,
        Call::SyncAll,
        Call::Rename,
        Call::SetLen,
        Call::RemoveFile,
    ];

    /// Strikes the nth call of each kind until there is none any more and `attempt` succeeds, and says how many were struck.
    fn each_call(attempt: impl Fn(Call, usize) -> bool) -> usize {
        let until_success = |call| (0..).take_while(|nth| !attempt(call, *nth)).count();
        CALLS.into_iter().map(until_success).sum()
    }

    #[test]
    fn whatever_fails_the_old_content_stays_and_nothing_else() {
        with_faults(|faults| {
            let (dir, path) = sample("old");
            let link = dir.path().join("link");
            symlink("file", &link).unwrap();
            let new = numbered(10_000);
            let failures = each_call(|call, nth| {
                fs::write(&path, "old").unwrap();
                // Several writes, so that some has a part behind it.
                faults.short(Call::Write, 0, EVER, 4000);
                faults.fail(call, nth, 1, 5);
                let result = future::block_on(write_atomic(&link, new.clone()));
                faults.clear();
                assert_eq!(names(dir.path()), ["file", "link"], "{call:?} {nth}");
                let found = fs::read(&path).unwrap();
                // The second sync is that of the directory.
                if result.is_ok() || (call, nth) == (Call::SyncAll, 1) {
                    assert_same_bytes(found, &new);
                } else {
                    assert_eq!(found, b"old", "{call:?} {nth}");
                }
                if let Err(error) = &result {
                    assert_eq!(aiofiles::raw_os_error(error), Some(5), "{error}");
                }
                result.is_ok()
            });
            // Three of the metadata, one of a link's text, two opened, three writes, one of the bits, two syncs, one rename.
            assert_eq!(failures, 13);
        });
    }

    #[test]
    fn whatever_panics_the_old_content_stays_and_nothing_else() {
        with_faults(|faults| {
            let (dir, path) = sample("old");
            let panics = each_call(|call, nth| {
                fs::write(&path, "old").unwrap();
                faults.panic(call, nth, 1);
                let write = || future::block_on(write_atomic(&path, "new"));
                let result = catch_unwind(AssertUnwindSafe(write));
                faults.clear();
                let replaced = result.is_ok() || (call, nth) == (Call::SyncAll, 1);
                let expected = if replaced { "new" } else { "old" };
                assert_eq!(fs::read_to_string(&path).unwrap(), expected);
                assert_eq!(names(dir.path()), ["file"], "{call:?} {nth}");
                result.is_ok()
            });
            assert_eq!(panics, 9);
        });
    }

    #[test]
    fn a_device_that_writes_nothing_is_an_error() {
        with_faults(|faults| {
            let (dir, path) = sample("old");
            faults.short(Call::Write, 1, 1, 0);
            faults.short(Call::Write, 0, 1, 1);
            let error = future::block_on(write_atomic(&path, "new")).unwrap_err();
            assert_names(&error, ErrorKind::WriteZero, "write", &path, None);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(dir.path()), ["file"]);
        });
    }

    /// EINVAL: what some file systems say to the sync of a directory.
    #[test]
    fn a_directory_that_cannot_be_synced_is_no_error() {
        with_faults(|faults| {
            let (_dir, path) = sample("old");
            faults.fail(Call::SyncAll, 1, 1, 22);
            future::block_on(write_atomic(&path, "new")).unwrap();
            assert_eq!(faults.struck(), 1);
            assert_eq!(fs::read(&path).unwrap(), b"new");
            // For the file itself it is one.
            faults.fail(Call::SyncAll, 0, 1, 22);
            future::block_on(write_atomic(&path, "newer")).unwrap_err();
            assert_eq!(fs::read(&path).unwrap(), b"new");
        });
    }

    #[test]
    fn a_cancelled_call_replaces_the_file_or_has_never_begun() {
        stepped(|stepper, _| {
            let (dir, path) = sample("old");
            drop(write_atomic(&path, "new"));
            assert_eq!(stepper.run_all(), 0);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert!(poll_now(pin!(write_atomic(&path, "new"))).is_pending());
            assert_eq!(fs::read(&path).unwrap(), b"old");
            // All of it is one job.
            assert_eq!(stepper.run_all(), 1);
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(names(dir.path()), ["file"]);
        });
    }
}

/// Tells a process of [`a_process_killed_at_any_moment_leaves_one_content_or_the_other`] which file to write.
const FILE: &str = "AIOFILES_TEST_ATOMIC";

/// Content that tells its own length: `n` decides all of it.
fn content(n: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(n);
    let len = rng.usize(0..200_000);
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.extend(random_bytes(&mut rng, len));
    bytes
}

#[test]
fn a_process_killed_at_any_moment_leaves_one_content_or_the_other() {
    if let Some(path) = std::env::var_os(FILE) {
        return future::block_on(async {
            for n in 1.. {
                write_atomic(&path, content(n)).await.unwrap();
                // It is killed at some byte or other.
                std::io::stderr().write_all(b".").unwrap();
            }
        });
    }
    let seed = Seed::new();
    let mut rng = seed.rng();
    let (dir, path) = sample(content(0));
    let mut last = 0;
    for _ in 0..iterations(12) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "atomic::a_process_killed_at_any_moment_leaves_one_content_or_the_other",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut progress = child.stderr.take().unwrap();
        let count = rng.usize(1..6);
        progress.read_exact(&mut vec![0; count]).unwrap();
        // Somewhere within the next one.
        for _ in 0..rng.usize(0..100_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let found = fs::read(&path).unwrap();
        let n = u64::from_be_bytes(found[..8].try_into().unwrap());
        assert!(n >= count as u64, "after {count} contents there was {n}");
        assert_same_bytes(&found, content(n));
        last = last.max(n);
        // What a killed process leaves behind is only what it was writing.
        for name in names(dir.path()) {
            if name != "file" {
                assert!(
                    name.starts_with(".aiofiles-") && name.ends_with(".tmp"),
                    "{name}"
                );
                fs::remove_file(dir.path().join(name)).unwrap();
            }
        }
    }
    assert!(last > 0);
}
