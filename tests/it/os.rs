//! Python's `os` and `os.path`: every name once, beside std or beside what Python itself has recorded.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aiofiles::os::{self, AccessMode, path};
use aiofiles::{File, raw_os_error};
use futures_lite::{AsyncWriteExt as _, StreamExt as _, future};

use crate::dirs::{assert_names, unprivileged};
use crate::files::sample;
use crate::support::*;

// ---------------------------------------------------------------------------------------------------------------------
// What Python has recorded

/// The recorded lines of one kind: arguments and results.
fn recorded(kind: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let lines = include_str!("../data/os.txt").lines();
    let found = lines
        .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))
        .map(|line| {
            let (arguments, results) = line.split_once(" => ").expect("arguments and results");
            let words = |text: &str| text.split(' ').map(word).collect();
            (words(arguments), words(results))
        })
        .collect::<Vec<_>>();
    assert!(found.len() > 500, "only {} of {kind}", found.len());
    found
}

/// Text is hexadecimal with a dot before it.
fn word(word: &str) -> String {
    let Some(hexadecimal) = word.strip_prefix('.') else {
        return word.to_owned();
    };
    let bytes = (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("a byte"));
    String::from_utf8(bytes.collect()).expect("text")
}

#[test]
fn absolute_paths_are_those_of_python() {
    alone(|| {
        for cwd in ["/", "/usr/share"] {
            if std::env::set_current_dir(cwd).is_err()
                || std::env::current_dir().is_ok_and(|found| found != Path::new(cwd))
            {
                return skip("a directory /usr/share");
            }
            future::block_on(async {
                for (arguments, results) in recorded("abspath") {
                    if arguments[0] == cwd {
                        let found = path::abspath(&arguments[1]).await.unwrap();
                        // Paths that differ in their slashes only are equal.
                        assert_eq!(found.to_str(), Some(&*results[0]), "{arguments:?}");
                    }
                }
            });
        }
    });
}

/// The names below `root`, directories with a slash.
fn tree_below(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            if path.is_dir() {
                found.insert(format!("{name}/"));
                ahead.push(path);
            } else if name != "keep" {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Does with every recorded tree what Python did, and compares the error and the tree that is left.
async fn compare_trees(kind: &str, call: impl AsyncFn(&str, &[String]) -> std::io::Result<()>) {
    // In memory where that can be had: thousands of directories take their time on a disk that others use too.
    let temp = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| temp_dir());
    for (n, (arguments, results)) in recorded(kind).into_iter().enumerate() {
        let outer = temp.path().join(n.to_string());
        // Deep enough that no path leads out.
        let root = outer.join("1/2/3/root");
        fs::create_dir_all(&root).unwrap();
        for entry in arguments[0].split_whitespace().chain(["keep"]) {
            match entry.strip_suffix('/') {
                Some(directory) => fs::create_dir_all(root.join(directory)).unwrap(),
                None => fs::write(root.join(entry), "").unwrap(),
            }
        }
        let called = call(root.to_str().unwrap(), &arguments[1..]).await;
        let kind = match &*results[0] {
            "ok" => None,
            "EEXIST" => Some(ErrorKind::AlreadyExists),
            "EINVAL" => Some(ErrorKind::InvalidInput),
            "EISDIR" => Some(ErrorKind::IsADirectory),
            "ENOENT" => Some(ErrorKind::NotFound),
            "ENOTDIR" => Some(ErrorKind::NotADirectory),
            "ENOTEMPTY" => Some(ErrorKind::DirectoryNotEmpty),
            other => panic!("{other}"),
        };
        assert_eq!(
            called.err().map(|error| error.kind()),
            kind,
            "{arguments:?}"
        );
        let left = results[1].split_whitespace().map(str::to_owned).collect();
        assert_eq!(tree_below(&root), left, "{arguments:?}");
        fs::remove_dir_all(&outer).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn directories_are_created_with_their_parents_as_python_does() {
    future::block_on(compare_trees("makedirs", async |root, arguments| {
        let path = format!("{root}/{}", arguments[0]);
        os::makedirs(path, 0o777, arguments[1] == "True").await
    }));
}

#[cfg(target_os = "linux")]
#[test]
fn directories_are_removed_with_their_parents_as_python_does() {
    future::block_on(compare_trees("removedirs", async |root, arguments| {
        os::removedirs(format!("{root}/{}", arguments[0])).await
    }));
}

#[cfg(target_os = "linux")]
#[test]
fn files_are_renamed_with_their_directories_as_python_does() {
    future::block_on(compare_trees("renames", async |root, arguments| {
        let (old, new) = (&arguments[0], &arguments[1]);
        os::renames(format!("{root}/{old}"), format!("{root}/{new}")).await
    }));
}

// ---------------------------------------------------------------------------------------------------------------------
// os

#[test]
fn stat_tells_what_std_tells() {
    every_runtime(|_| async {
        let (dir, path) = sample("0123456789");
        let link = dir.path().join("link");
        symlink("file", &link).unwrap();
        assert_eq!(os::stat(&path).await.unwrap().len(), 10);
        assert_eq!(os::stat(&link).await.unwrap().len(), 10);
        assert!(os::lstat(&link).await.unwrap().is_symlink());
        let missing = dir.path().join("missing");
        let error = os::stat(&missing).await.unwrap_err();
        let op = "query metadata of";
        assert_names(&error, ErrorKind::NotFound, op, &missing, None);
    });
}

#[test]
fn statvfs_tells_what_the_system_tells() {
    every_runtime(|_| async {
        let (ours, theirs) = (
            os::statvfs("/").await.unwrap(),
            rustix::fs::statvfs("/").unwrap(),
        );
        assert_eq!(
            (
                ours.block_size,
                ours.fragment_size,
                ours.blocks,
                ours.files,
                ours.id,
                ours.name_max
            ),
            (
                theirs.f_bsize,
                theirs.f_frsize,
                theirs.f_blocks,
                theirs.f_files,
                theirs.f_fsid,
                theirs.f_namemax
            )
        );
        assert_eq!(ours.flags, theirs.f_flag.bits());
        assert_eq!(ours.total_bytes(), theirs.f_blocks * theirs.f_frsize);
        assert!(ours.available_bytes() <= ours.free_bytes());
        assert!(ours.free_bytes() <= ours.total_bytes() && ours.files_available <= ours.files_free);
        let missing = Path::new("/no/such/file");
        let error = os::statvfs(missing).await.unwrap_err();
        let op = "query the file system of";
        assert_names(&error, ErrorKind::NotFound, op, missing, None);
        assert_eq!(raw_os_error(&error), Some(2));
        let error = os::statvfs("a\0b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn files_are_removed_and_renamed_and_replaced() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        for remove in [true, false] {
            fs::write(&one, "").unwrap();
            if remove {
                os::remove(&one).await.unwrap();
            } else {
                os::unlink(&one).await.unwrap();
            }
            assert!(!one.exists());
        }
        fs::write(&one, "one").unwrap();
        os::rename(&one, &other).await.unwrap();
        assert!(!one.exists() && other.exists());
        os::rename(&other, &one).await.unwrap();
        assert!(one.exists() && !other.exists());

        fs::write(&other, "other").unwrap();
        os::replace(&one, &other).await.unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"one");
        fs::write(&one, "new").unwrap();
        os::replace(&other, &one).await.unwrap();
        assert_eq!(fs::read(&one).unwrap(), b"one");
        assert!(!other.exists());
    });
}

#[test]
fn directories_come_with_their_bits_and_go() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (one, deep) = (dir.path().join("one"), dir.path().join("a/b/c"));
        os::mkdir(&one, 0o700).await.unwrap();
        assert_eq!(fs::metadata(&one).unwrap().mode() & 0o777, 0o700);
        let error = os::mkdir(&one, 0o700).await.unwrap_err();
        let op = "create directory";
        assert_names(&error, ErrorKind::AlreadyExists, op, &one, None);
        os::rmdir(&one).await.unwrap();
        assert!(!one.exists());

        // The parents get what every new directory gets.
        os::makedirs(&deep, 0o700, false).await.unwrap();
        fs::create_dir(&one).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&deep), 0o700);
        assert_eq!(mode(&dir.path().join("a")), mode(&one));
        let error = os::makedirs(&deep, 0o700, false).await.unwrap_err();
        assert_names(&error, ErrorKind::AlreadyExists, op, &deep, None);

        fs::remove_dir(&one).unwrap();
        fs::write(dir.path().join("keep"), "").unwrap();
        os::removedirs(&deep).await.unwrap();
        assert!(!dir.path().join("a").exists());
        let error = os::removedirs(&deep).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, "remove directory", &deep, None);
    });
}

#[test]
fn a_rename_into_a_new_directory_and_back_leaves_no_directory() {
    every_runtime(|_| async {
        let (dir, file) = sample("text");
        fs::write(dir.path().join("keep"), "").unwrap();
        let inner = dir.path().join("sub/sub/file");
        os::renames(&file, &inner).await.unwrap();
        assert!(!file.exists() && inner.exists());
        os::renames(&inner, &file).await.unwrap();
        assert!(file.exists() && !dir.path().join("sub").exists());
        let missing = dir.path().join("missing");
        let error = os::renames(&missing, &inner).await.unwrap_err();
        assert_names(
            &error,
            ErrorKind::NotFound,
            "rename",
            &missing,
            Some(&inner),
        );
    });
}

/// Nothing is created for a path that no system call takes.
#[test]
fn a_nul_is_refused_before_anything_is_created() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let bad = dir.path().join("a/b\0c/d");
        let error = os::makedirs(&bad, 0o777, true).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for bad in [&bad, &dir.path().join("a/b\0")] {
            let error = os::renames(&file, bad).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(tree_below(dir.path()), BTreeSet::from(["file".to_owned()]));
        assert!(!os::access("a\0b", AccessMode::EXISTS).await);
        assert!(!path::exists("a\0b").await && !path::isfile("a\0b").await);
        assert!(!path::isdir("a\0b").await && !path::islink("a\0b").await);
        assert!(!path::ismount("a\0b").await);
    });
}

#[test]
fn links_are_made_and_read() {
    every_runtime(|_| async {
        let (dir, file) = sample("text");
        let (hard, soft) = (dir.path().join("hard"), dir.path().join("soft"));
        let before = fs::metadata(&file).unwrap();
        os::link(&file, &hard).await.unwrap();
        let linked = fs::metadata(&hard).unwrap();
        assert_eq!(
            (linked.ino(), linked.nlink()),
            (before.ino(), before.nlink() + 1)
        );
        os::unlink(&hard).await.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().nlink(), before.nlink());

        os::symlink(&file, &soft).await.unwrap();
        assert_eq!(fs::metadata(&soft).unwrap().ino(), before.ino());
        assert_eq!(os::readlink(&soft).await.unwrap(), file);
        os::unlink(&soft).await.unwrap();
        assert!(file.exists());
        // The text is given back as it is, whatever it may mean.
        os::symlink("no/../such//file", &soft).await.unwrap();
        let text = os::readlink(&soft).await.unwrap();
        assert_eq!(text.to_str(), Some("no/../such//file"));
    });
}

#[test]
fn the_names_in_a_directory_are_listed() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let names = async || {
            let mut names = os::listdir(dir.path()).await.unwrap();
            names.sort();
            let mut scanned = os::scandir(dir.path()).await.unwrap();
            let mut again = Vec::new();
            while let Some(entry) = scanned.next().await {
                again.push(entry.unwrap().file_name());
            }
            again.sort();
            assert_eq!(names, again);
            names
        };
        assert_eq!(names().await, [""; 0]);
        fs::write(dir.path().join("one"), "").unwrap();
        assert_eq!(names().await, ["one"]);
        fs::create_dir(dir.path().join("directory")).unwrap();
        assert_eq!(names().await, ["directory", "one"]);
        fs::remove_file(dir.path().join("one")).unwrap();
        assert_eq!(names().await, ["directory"]);
        for n in 0..700 {
            fs::write(dir.path().join(format!("many{n}")), "").unwrap();
        }
        assert_eq!(names().await.len(), 701);

        let missing = dir.path().join("missing");
        let op = "read directory";
        let error = os::listdir(&missing).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, op, &missing, None);
        let error = os::scandir(&missing).await.unwrap_err();
        assert_names(&error, ErrorKind::NotFound, op, &missing, None);
    });
}

#[cfg(feature = "testing")]
#[test]
fn an_error_between_two_names_is_told() {
    use aiofiles::testing::Call;

    crate::steps::with_faults(|faults| {
        let dir = temp_dir();
        for n in 0..10 {
            fs::write(dir.path().join(n.to_string()), "").unwrap();
        }
        faults.fail(Call::ReadDir, 5, 1, 5);
        let error = future::block_on(os::listdir(dir.path())).unwrap_err();
        assert_eq!(raw_os_error(&error), Some(5));
        assert!(
            error.to_string().starts_with("failed to read directory `"),
            "{error}"
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_is_sent_to_a_socket_and_to_a_file() {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (dir, path) = sample(&bytes);
        let source = File::open(&path).await.unwrap();
        let copy = fs::File::create(dir.path().join("copy")).unwrap();
        let sent = os::sendfile(&copy, &source, 0, u64::MAX).await.unwrap();
        assert_eq!(sent, 100_000);
        assert_same_bytes(fs::read(dir.path().join("copy")).unwrap(), &bytes);

        let (one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let peer = std::thread::spawn(move || {
            let mut received = Vec::new();
            other.read_to_end(&mut received).unwrap();
            received
        });
        os::sendfile(&one, &source, 0, 100_000).await.unwrap();
        drop(one);
        assert_same_bytes(peer.join().unwrap(), &bytes);
    });
}

#[test]
fn the_current_directory_is_that_of_std() {
    every_runtime(|_| async {
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(os::getcwd().await.unwrap(), cwd);
        assert_eq!(path::abspath("file").await.unwrap(), cwd.join("file"));
        assert_eq!(
            path::abspath(cwd.join("file")).await.unwrap(),
            cwd.join("file")
        );
    });
}

#[test]
fn a_current_directory_that_was_removed_is_an_error() {
    alone(|| {
        let dir = temp_dir();
        let gone = dir.path().join("gone");
        fs::create_dir(&gone).unwrap();
        std::env::set_current_dir(&gone).unwrap();
        fs::remove_dir(&gone).unwrap();
        future::block_on(async {
            let error = os::getcwd().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let error = path::abspath("file").await.unwrap_err();
            let op = "find the absolute path of";
            assert_names(&error, ErrorKind::NotFound, op, Path::new("file"), None);
            // Nobody needs to ask for it then.
            let found = path::abspath("/a/../file").await.unwrap();
            assert_eq!(found, Path::new("/file"));
        });
        std::env::set_current_dir("/").unwrap();
    });
}

#[test]
fn a_closure_runs_on_another_thread_and_its_panic_comes_back() {
    every_runtime(|_| async {
        let here = std::thread::current().id();
        let there = os::wrap(|| std::thread::current().id()).await;
        assert_ne!(here, there);
        assert_eq!(aiofiles::unblock(|| 1 + 1).await, 2);
        let panicking =
            std::panic::AssertUnwindSafe(aiofiles::unblock(|| panic!("of the closure")));
        let panic = future::FutureExt::catch_unwind(panicking)
            .await
            .unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"of the closure"));
    });
}

/// More closures than there can be drainers wait for one that comes last: each has a job of its own.
#[test]
fn closures_that_wait_for_one_another_do_not_hold_each_other_up() {
    every_runtime(|rt| async move {
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(70));
        let tasks = (0..70).map(|_| {
            let barrier = barrier.clone();
            rt.spawn(aiofiles::unblock(move || barrier.wait().is_leader()))
        });
        let mut leaders = 0;
        for task in tasks.collect::<Vec<_>>() {
            leaders += usize::from(task.await);
        }
        assert_eq!(leaders, 1);
    });
}

#[cfg(feature = "testing")]
#[test]
fn a_closure_that_was_polled_runs_and_one_that_was_not_does_not() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    crate::steps::stepped(|stepper, _| {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = || {
            let runs = runs.clone();
            aiofiles::unblock(move || runs.fetch_add(1, Ordering::SeqCst))
        };
        drop(count());
        assert_eq!(stepper.waiting(), 0);
        assert!(poll_now(std::pin::pin!(count())).is_pending());
        assert_eq!(stepper.run_all(), 1);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// access

const RIGHTS: [AccessMode; 4] = [
    AccessMode::EXISTS,
    AccessMode::READ,
    AccessMode::WRITE,
    AccessMode::EXECUTE,
];

/// What is granted on a file and on a directory with these bits: existence, reading, writing, executing.
async fn assert_access(dir: &Path, mode: u32, of_file: [bool; 4], of_directory: [bool; 4]) {
    let (file, directory) = (dir.join("file"), dir.join("directory"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&directory).unwrap();
    for (path, expected) in [(&file, of_file), (&directory, of_directory)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (right, expected) in RIGHTS.into_iter().zip(expected) {
            let found = os::access(path, right).await;
            assert_eq!(found, expected, "{mode:o} {right:?} {path:?}");
            // The same user is the effective one here.
            let found = os::access(path, right | AccessMode::EFFECTIVE_IDS).await;
            assert_eq!(found, expected, "{mode:o} {right:?} {path:?}");
        }
        let all = RIGHTS
            .into_iter()
            .fold(AccessMode::EXISTS, |all, right| all | right);
        assert_eq!(os::access(path, all).await, expected == [true; 4]);
    }
    fs::remove_file(&file).unwrap();
    fs::remove_dir(&directory).unwrap();
    for right in RIGHTS {
        assert!(!os::access(&file, right).await && !os::access(&directory, right).await);
    }
}

#[test]
fn access_is_what_the_bits_grant() {
    unprivileged(|| {
        let dir = temp_dir();
        future::block_on(async {
            for (mode, granted) in [
                (0o777, [true, true, true, true]),
                (0o666, [true, true, true, false]),
                (0o444, [true, true, false, false]),
                (0o000, [true, false, false, false]),
            ] {
                assert_access(dir.path(), mode, granted, granted).await;
            }
        });
    });
}

#[test]
fn access_of_root_lacks_only_the_execution_of_what_nobody_may_execute() {
    if !is_root() {
        return skip("root");
    }
    every_runtime(|_| async {
        let dir = temp_dir();
        let all = [true; 4];
        assert_access(dir.path(), 0o777, all, all).await;
        for mode in [0o666, 0o444, 0o000] {
            assert_access(dir.path(), mode, [true, true, true, false], all).await;
        }
    });
}

#[test]
fn access_asks_about_the_real_user_unless_it_is_told_otherwise() {
    const PROGRAM: [&str; 4] = ["setpriv", "--euid", "65534", "--"];
    if !is_alone() {
        if !is_root() || !succeeds(&[&PROGRAM[..], &["true"]].concat()) {
            return skip("root and setpriv");
        }
        let binary = std::env::current_exe().unwrap();
        let binary = binary.to_str().expect("a path in UTF-8");
        if !succeeds(&[&PROGRAM[..], &["test", "-x", binary]].concat()) {
            return skip("a test binary that every user may run");
        }
    }
    alone_under(&PROGRAM, || {
        let secret = ["/etc/shadow", "/proc/1/environ", "/root"]
            .into_iter()
            .find(|path| {
                fs::symlink_metadata(path)
                    .is_ok_and(|data| data.uid() == 0 && data.mode() & 0o007 == 0)
            });
        let Some(secret) = secret else {
            return skip("a file that only root may read");
        };
        future::block_on(async {
            assert!(os::access(secret, AccessMode::READ).await);
            assert!(!os::access(secret, AccessMode::READ | AccessMode::EFFECTIVE_IDS).await);
            assert!(os::access(secret, AccessMode::EXISTS | AccessMode::EFFECTIVE_IDS).await);
        });
    });
}

#[test]
fn access_follows_links_unless_it_is_told_otherwise() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let link = dir.path().join("link");
        symlink("missing", &link).unwrap();
        assert!(!os::access(&link, AccessMode::EXISTS).await);
        // Old kernels cannot be asked for that.
        let known = rustix::fs::accessat(
            rustix::fs::CWD,
            &link,
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        );
        let found = os::access(&link, AccessMode::EXISTS | AccessMode::NO_FOLLOW).await;
        assert_eq!(found, known.is_ok());
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// os.path

#[test]
fn paths_are_what_they_lead_to() {
    every_runtime(|_| async {
        let (dir, file) = sample("0123456789");
        let (link, broken, to_dir) = (
            dir.path().join("link"),
            dir.path().join("broken"),
            dir.path().join("to_dir"),
        );
        symlink("file", &link).unwrap();
        symlink("missing", &broken).unwrap();
        symlink(".", &to_dir).unwrap();
        let missing = dir.path().join("missing");
        let below = file.join("below");
        // exists, isfile, isdir, islink
        for (path, expected) in [
            (&*file, [true, true, false, false]),
            (dir.path(), [true, false, true, false]),
            (&link, [true, true, false, true]),
            (&to_dir, [true, false, true, true]),
            (&broken, [false, false, false, true]),
            (&missing, [false; 4]),
            (&below, [false; 4]),
            (Path::new(""), [false; 4]),
        ] {
            let found = [
                path::exists(path).await,
                path::isfile(path).await,
                path::isdir(path).await,
                path::islink(path).await,
            ];
            assert_eq!(found, expected, "{path:?}");
        }
        assert_eq!(path::getsize(&link).await.unwrap(), 10);
        let error = path::getsize(&broken).await.unwrap_err();
        let op = "query metadata of";
        assert_names(&error, ErrorKind::NotFound, op, &broken, None);
    });
}

#[test]
fn the_length_includes_what_a_dropped_file_had_accepted() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut file = File::create(&path).await.unwrap();
        file.write_all(&numbered(100_000)).await.unwrap();
        drop(file);
        assert_eq!(path::getsize(&path).await.unwrap(), 100_000);
    });
}

#[test]
fn mount_points_are_told_by_the_directory_above() {
    every_runtime(|_| async {
        let (dir, file) = sample("");
        let link = dir.path().join("link");
        symlink("/", &link).unwrap();
        assert!(
            path::ismount("/").await && path::ismount("//").await && path::ismount("/..").await
        );
        for path in [dir.path(), &*file, &*link, &dir.path().join("missing")] {
            assert!(!path::ismount(path).await, "{path:?}");
        }
        #[cfg(target_os = "linux")]
        assert!(path::ismount("/proc").await && !path::ismount("/proc/self").await);
    });
}

/// A file on which another one is mounted; a directory on which one of the same file system is mounted is no mount point to
/// Python, except for its other inode, which it does not look at.
#[cfg(target_os = "linux")]
#[test]
fn a_file_can_be_a_mount_point() {
    const COMMAND: [&str; 2] = ["unshare", "-m"];
    if !is_alone() && !succeeds(&[&COMMAND[..], &["true"]].concat()) {
        return skip("unshare -m");
    }
    alone_under(&COMMAND, || {
        let (dir, file) = sample("");
        let source = Path::new("/proc/self/status");
        let arguments = [
            "mount",
            "--bind",
            source.to_str().unwrap(),
            file.to_str().unwrap(),
        ];
        if !succeeds(&arguments) {
            return skip("mount");
        }
        assert!(future::block_on(path::ismount(&file)));
        assert!(!future::block_on(path::ismount(dir.path())));
        assert!(succeeds(&["umount", file.to_str().unwrap()]));
        assert!(!future::block_on(path::ismount(&file)));
    });
}

#[test]
fn times_are_those_of_the_file() {
    every_runtime(|_| async {
        let (dir, path) = sample("");
        let second = Duration::from_secs(1);
        for (accessed, modified) in [
            (
                SystemTime::UNIX_EPOCH + 5 * second,
                SystemTime::UNIX_EPOCH + 7 * second,
            ),
            // Before the beginning of all times.
            (
                SystemTime::UNIX_EPOCH - 5 * second,
                SystemTime::UNIX_EPOCH - second / 2,
            ),
        ] {
            let times = fs::FileTimes::new()
                .set_accessed(accessed)
                .set_modified(modified);
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_times(times)
                .unwrap();
            assert_eq!(path::getatime(&path).await.unwrap(), accessed);
            assert_eq!(path::getmtime(&path).await.unwrap(), modified);
        }
        let metadata = fs::metadata(&path).unwrap();
        let changed = path::getctime(&path).await.unwrap();
        let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs() as i64, metadata.ctime());
        assert_eq!(i64::from(since.subsec_nanos()), metadata.ctime_nsec());

        let missing = dir.path().join("missing");
        for error in [
            path::getatime(&missing).await.unwrap_err(),
            path::getmtime(&missing).await.unwrap_err(),
            path::getctime(&missing).await.unwrap_err(),
        ] {
            let op = "query metadata of";
            assert_names(&error, ErrorKind::NotFound, op, &missing, None);
        }
    });
}

#[test]
fn files_are_the_same_if_they_have_one_inode() {
    every_runtime(|_| async {
        let (dir, file) = sample("");
        let (hard, link, other) = (
            dir.path().join("hard"),
            dir.path().join("link"),
            dir.path().join("other"),
        );
        fs::hard_link(&file, &hard).unwrap();
        symlink("hard", &link).unwrap();
        fs::write(&other, "").unwrap();
        for (path, same) in [(&file, true), (&hard, true), (&link, true), (&other, false)] {
            assert_eq!(path::samefile(&file, path).await.unwrap(), same, "{path:?}");
            let (one, two) = (
                File::open(&file).await.unwrap(),
                File::open(path).await.unwrap(),
            );
            assert_eq!(
                path::sameopenfile(&one, &two).await.unwrap(),
                same,
                "{path:?}"
            );
        }
        let missing = dir.path().join("missing");
        for (one, two) in [(&file, &missing), (&missing, &file)] {
            let error = path::samefile(one, two).await.unwrap_err();
            let op = "query metadata of";
            assert_names(&error, ErrorKind::NotFound, op, &missing, None);
        }
        let mut closed = File::open(&file).await.unwrap();
        closed.close().await.unwrap();
        let error = path::sameopenfile(&closed, &closed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
