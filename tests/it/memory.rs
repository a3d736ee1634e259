//! Directories in memory, and that the suite runs in one where it is said to.

use std::env;
use std::fs;
use std::io::{ErrorKind, SeekFrom};
use std::path::Path;

use aiofiles::tempfile::Builder;
use aiofiles::testing::memory_dir;
use aiofiles::{File, OpenOptions, copy_range, open_text, read_dir, walk, write_atomic};
use futures_lite::future::block_on;
use futures_lite::{AsyncBufReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _};

use crate::files::{read_write, rest, until};
use crate::support::{assert_same_bytes, every_runtime, numbered, skip, temp_dir};

const NEEDS: &str = "a file system in memory";

/// Whether this is in a tmpfs or a ramfs.
#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    let found = rustix::fs::statfs(path).unwrap().f_type as u32;
    [0x0102_1994, 0x8584_58f6].contains(&found)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

/// Whether there is a file system in memory. If temporary files are in one, there is.
fn there_is_one() -> bool {
    match block_on(memory_dir()) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            assert!(!is_in_memory(&env::temp_dir()), "{error}");
            false
        }
        dir => dir.unwrap().path().exists(),
    }
}

/// The directory of a test is in memory if the variable says so, and in any case where std has temporary files.
#[test]
fn the_suite_runs_where_it_is_said_to_run() {
    let dir = temp_dir();
    assert_eq!(dir.path().parent(), Some(&*env::temp_dir()));
    if env::var_os("AIOFILES_TEST_IN_MEMORY").is_some() {
        assert!(is_in_memory(dir.path()), "{:?} is not", dir.path());
    }
}

#[test]
fn a_directory_in_memory_is_in_memory_and_private() {
    if !there_is_one() {
        return skip(NEEDS);
    }
    every_runtime(|_| async {
        let dir = memory_dir().await.unwrap();
        assert!(dir.path().is_absolute());
        assert!(is_in_memory(dir.path()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
            let metadata = fs::symlink_metadata(dir.path()).unwrap();
            assert_eq!(metadata.permissions().mode(), 0o40700);
            assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // Each is another one.
        let other = memory_dir().await.unwrap();
        assert_ne!(other.path(), dir.path());
        // The directory for temporary files is preferred.
        let usual = env::temp_dir();
        let in_usual = dir.path().parent() == Some(&*usual);
        assert_eq!(in_usual, is_in_memory(&usual));
    });
}

#[test]
fn a_directory_in_memory_goes_when_it_is_closed_or_dropped() {
    if !there_is_one() {
        return skip(NEEDS);
    }
    every_runtime(|_| async {
        let mut dir = memory_dir().await.unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "text").unwrap();
        dir.close().await.unwrap();
        assert!(!dir.path().exists());
        drop(dir);

        // With bytes that are on their way.
        let dir = memory_dir().await.unwrap();
        let path = dir.path().to_owned();
        let mut file = File::create(path.join("file")).await.unwrap();
        file.write_all(&numbered(300_000)).await.unwrap();
        drop((file, dir));
        aiofiles::settle().await;
        until(|| !path.exists()).await;
    });
}

#[test]
fn what_is_done_with_files_can_be_done_in_memory() {
    if !there_is_one() {
        return skip(NEEDS);
    }
    every_runtime(|_| async {
        let mut root = memory_dir().await.unwrap();
        let dir = root.path();
        let path = dir.join("file");
        let bytes = numbered(300_000);

        // Through the buffers, and past them.
        let mut file = read_write().open(&path).await.unwrap();
        file.write_all(&bytes).await.unwrap();
        file.flush().await.unwrap();
        assert_same_bytes(fs::read(&path).unwrap(), &bytes);
        file.seek(SeekFrom::Start(100)).await.unwrap();
        assert_same_bytes(rest(&mut file).await, &bytes[100..]);
        let (read, part) = file.read_exact_at(vec![0; 1000], 5000).await;
        read.unwrap();
        assert_same_bytes(part, &bytes[5000..6000]);
        file.write_all_at("at an offset", 7).await.0.unwrap();
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        file.set_len(20).await.unwrap();
        let expected = [&bytes[..7], b"at an offset", &bytes[19..20]].concat();
        assert_same_bytes(fs::read(&path).unwrap(), &expected);
        file.lock().await.unwrap();
        file.unlock().await.unwrap();
        let mut clone = file.try_clone().await.unwrap();
        let mut cursor = file.cursor(7).unwrap();
        clone.seek(SeekFrom::Start(7)).await.unwrap();
        assert_same_bytes(rest(&mut clone).await, &expected[7..]);
        assert_same_bytes(rest(&mut cursor).await, &expected[7..]);
        assert_eq!(file.metadata().await.unwrap().len(), 20);
        drop((clone, cursor));
        file.close().await.unwrap();

        let mut options = OpenOptions::new();
        options.append(true).create(true).unbuffered(true);
        let mut log = options.open(dir.join("log")).await.unwrap();
        for _ in 0..3 {
            log.write_all(b"line\n").await.unwrap();
        }
        log.close().await.unwrap();
        let mut lines = File::open(dir.join("log")).await.unwrap().lines();
        assert_eq!(lines.next().await.unwrap().unwrap(), "line");
        assert_eq!(lines.count().await, 2);
        let mut text = open_text(dir.join("text"), "w+").await.unwrap();
        assert_eq!(text.write("Grüße\n").await.unwrap(), 6);
        text.close().await.unwrap();

        // By their paths.
        let (copy, moved) = (dir.join("copy"), dir.join("moved"));
        assert_eq!(aiofiles::copy(&path, &copy).await.unwrap(), 20);
        aiofiles::rename(&copy, &moved).await.unwrap();
        aiofiles::hard_link(&moved, &copy).await.unwrap();
        write_atomic(&moved, "another").await.unwrap();
        assert_eq!(aiofiles::read(&moved).await.unwrap(), b"another");
        assert_same_bytes(aiofiles::read(&copy).await.unwrap(), &expected);
        let (from, to) = (
            File::open(&copy).await.unwrap(),
            read_write().open(&moved).await.unwrap(),
        );
        let copied = copy_range(&from, 7, &to, 7, 5).await.unwrap();
        assert_eq!(copied, 5);
        assert_eq!(aiofiles::read(&moved).await.unwrap(), b"anotherat an");
        #[cfg(unix)]
        {
            let link = dir.join("link");
            aiofiles::unix::symlink("file", &link).await.unwrap();
            assert_eq!(aiofiles::metadata(&link).await.unwrap().len(), 20);
            assert_eq!(aiofiles::read_link(&link).await.unwrap(), Path::new("file"));
            aiofiles::remove_file(&link).await.unwrap();
        }
        let mut permissions = aiofiles::metadata(&path).await.unwrap().permissions();
        permissions.set_readonly(true);
        aiofiles::set_permissions(&path, permissions).await.unwrap();
        assert!(fs::metadata(&path).unwrap().permissions().readonly());

        // Directories, and what is temporary in them.
        let deep = dir.join("a/b/c");
        aiofiles::create_dir_all(&deep).await.unwrap();
        aiofiles::write(deep.join("leaf"), "leaf").await.unwrap();
        let mut temporary = Builder::new();
        temporary.dir(&deep);
        let mut nameless = temporary.temporary_file().await.unwrap();
        nameless.write_all(b"text").await.unwrap();
        nameless.close().await.unwrap();
        let named = temporary.named_temporary_file().await.unwrap();
        named.persist(deep.join("persisted")).await.unwrap();
        let mut names = read_dir(&deep)
            .await
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
            .await;
        names.sort();
        assert_eq!(names, ["leaf", "persisted"]);
        let found = walk(dir).map(|entry| entry.unwrap().depth());
        // The root; five files, `a`; `b`, `c`, and two files.
        let mut depths = found.collect::<Vec<_>>().await;
        depths.sort_unstable();
        assert_eq!(depths, [0, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4]);
        aiofiles::remove_dir_all(dir.join("a")).await.unwrap();
        aiofiles::create_dir(&deep).await.unwrap_err();
        root.close().await.unwrap();
        assert!(!root.path().exists());
    });
}

#[cfg(target_os = "linux")]
mod steps {
    use aiofiles::testing::Call;
    use aiofiles::{PathError, raw_os_error};

    use super::*;
    use crate::steps::{EVER, drive, stepped, with_faults};
    use crate::support::{alone_under, poll_now};

    const ENOENT: i32 = 2;
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    const ENOSPC: i32 = 28;
    const EROFS: i32 = 30;

    fn names(dir: &Path) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names = entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>();
        names.sort();
        names
    }

    #[test]
    fn without_a_file_system_in_memory_it_is_unsupported() {
        with_faults(|faults| {
            for (call, code) in [
                (Call::Metadata, ENOENT),
                (Call::Metadata, EACCES),
                (Call::CreateDir, EACCES),
                (Call::CreateDir, EROFS),
            ] {
                faults.fail(call, 0, EVER, code);
                let error = block_on(memory_dir()).unwrap_err();
                faults.clear();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{call:?}: {error}");
                assert!(error.to_string().contains("in memory"), "{error}");
            }
        });
    }

    #[test]
    fn errors_other_than_that_one_must_look_elsewhere_are_returned() {
        with_faults(|faults| {
            faults.fail(Call::Metadata, 0, 1, EIO);
            let error = block_on(memory_dir()).unwrap_err();
            assert_eq!(raw_os_error(&error), Some(EIO));
            let detail = PathError::of(&error).unwrap();
            assert_eq!(detail.path(), env::temp_dir());
            faults.clear();

            if !there_is_one() {
                return skip(NEEDS);
            }
            faults.fail(Call::CreateDir, 0, 1, ENOSPC);
            let error = block_on(memory_dir()).unwrap_err();
            assert_eq!(raw_os_error(&error), Some(ENOSPC));
            let detail = PathError::of(&error).unwrap();
            assert!(is_in_memory(detail.path()));
        });
    }

    /// In a process whose temporary files are in memory, where nobody else has any.
    #[test]
    fn a_cancelled_creation_in_memory_leaves_nothing() {
        if !there_is_one() {
            return skip(NEEDS);
        }
        let outer = block_on(memory_dir()).unwrap();
        let variable = format!("TMPDIR={}", outer.path().display());
        alone_under(&["env", &variable], || {
            stepped(|stepper, faults| {
                let place = env::temp_dir();
                let before = names(&place);
                for steps in 0..6 {
                    let mut creation = Box::pin(memory_dir());
                    for _ in 0..steps {
                        if poll_now(creation.as_mut()).is_ready() {
                            break;
                        }
                        stepper.run_one();
                    }
                    drop(creation);
                    stepper.run_all();
                    assert_eq!(names(&place), before, "after {steps} steps");
                }

                let dir = drive(stepper, memory_dir()).unwrap();
                assert_eq!(dir.path().parent(), Some(&*place));
                assert_eq!(names(&place).len(), before.len() + 1);
                drop(dir);
                stepper.run_all();
                assert_eq!(names(&place), before);

                // Where nothing can be created, it is not.
                faults.fail(Call::CreateDir, 0, 1, EACCES);
                match drive(stepper, memory_dir()) {
                    Ok(dir) => assert_ne!(dir.path().parent(), Some(&*place)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
                }
                assert_eq!(faults.struck(), 1);
                assert_eq!(names(&place), before);
                stepper.run_all();
            });
        });
    }
}
