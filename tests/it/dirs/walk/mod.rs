//! Walking a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use aiofiles::{Walk, walk};
use futures_lite::StreamExt as _;
use futures_lite::future::block_on;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::assert_names;
use crate::support::*;

mod reference;
#[cfg(feature = "testing")]
mod stepped;

use reference::{Options, told_by, told_by_std};

/// Builds `dir/0/1/2/...`, with so many files beside each directory.
fn spine(dir: &Path, depth: usize, beside: usize) -> PathBuf {
    let mut path = dir.to_owned();
    for _ in 0..depth {
        path.push("d");
        fs::create_dir(&path).expect("a directory");
        for n in 0..beside {
            fs::write(path.with_file_name(n.to_string()), "").expect("a file");
        }
    }
    path
}

/// Removes the tree from its end, because std holds every level open at once.
fn fell(dir: &Path, mut end: PathBuf) {
    while end != dir {
        fs::remove_dir(&end).expect("an empty directory");
        end.pop();
    }
}

/// Deeper than the number of directories that are open at once, with entries left in each of them.
#[test]
fn directories_that_were_read_to_their_end_are_walked_to_it_too() {
    every_runtime(|_| async {
        let dir = temp_dir();
        spine(dir.path(), 40, 5);
        let options = Options::default();
        let told = told_by(walk(dir.path()), dir.path(), options).await;
        assert_eq!(told, told_by_std(dir.path(), options));
        assert_eq!(told.len(), 1 + 40 * 6);
    });
}

#[test]
fn a_tree_of_a_thousand_levels_is_walked_to_its_end() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let end = spine(dir.path(), 1000, 0);
        let mut depth = 0;
        let mut walk = walk(dir.path());
        while let Some(entry) = walk.try_next().await.unwrap() {
            assert_eq!(entry.depth(), depth);
            depth += 1;
        }
        assert_eq!(depth, 1001);
        fell(dir.path(), end);
    });
}

#[test]
fn the_root_may_be_a_file_a_link_or_nothing() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let [file, sub, link, dangling, missing] =
            ["file", "sub", "link", "dangling", "missing"].map(|name| dir.path().join(name));
        fs::write(&file, "text").unwrap();
        fs::create_dir(&sub).unwrap();
        fs::write(sub.join("inside"), "").unwrap();
        symlink("sub", &link).unwrap();
        symlink("missing", &dangling).unwrap();

        let mut alone = walk(&file);
        let entry = alone.next().await.unwrap().unwrap();
        assert_eq!((entry.path(), entry.depth()), (&*file, 0));
        assert_eq!(entry.metadata().len(), 4);
        assert!(alone.next().await.is_none());

        // A link that is named is walked, and told of as what it is.
        for (follow, is_link) in [(false, true), (true, false)] {
            let mut named = walk(&link).follow_links(follow);
            let entry = named.next().await.unwrap().unwrap();
            assert_eq!(entry.path(), link);
            assert_eq!(entry.file_type().is_symlink(), is_link);
            assert!(entry.path_is_symlink());
            let inside = named.next().await.unwrap().unwrap();
            assert_eq!(inside.path(), link.join("inside"));
            assert!(named.next().await.is_none());

            let mut nowhere = walk(&dangling).follow_links(follow);
            let entry = nowhere.next().await.unwrap().unwrap();
            assert!(entry.file_type().is_symlink());
            assert!(nowhere.next().await.is_none());
        }

        for path in [&missing, Path::new("")] {
            let mut nothing = walk(path);
            let error = nothing.next().await.unwrap().unwrap_err();
            assert_names(&error, ErrorKind::NotFound, "walk", path, None);
            assert!(nothing.next().await.is_none());
        }
    });
}

#[test]
fn a_link_that_leads_back_is_an_error_of_that_link_alone() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        for (name, target) in [
            ("here", "."),
            ("up", ".."),
            ("top", "../.."),
            ("self", "self"),
        ] {
            symlink(target, inner.join(name)).unwrap();
        }
        fs::write(inner.join("file"), "").unwrap();

        let mut errors = BTreeMap::new();
        let mut paths = BTreeSet::new();
        let mut walk = walk(dir.path()).follow_links(true);
        while let Some(entry) = walk.next().await {
            match entry {
                Ok(entry) => assert!(paths.insert(entry.into_path())),
                Err(error) => {
                    let path = aiofiles::PathError::of(&error).unwrap().path().to_owned();
                    assert!(errors.insert(path, error).is_none());
                }
            }
        }
        let expected = ["", "a", "a/b", "a/b/file"].map(|path| dir.path().join(path));
        let there = |path: &PathBuf| paths.contains(path) || *path == dir.path().join("");
        assert!(expected.iter().all(there), "{paths:?}");
        assert_eq!(paths.len(), 4);

        for (name, around) in [("here", "a/b"), ("up", "a"), ("top", "")] {
            let path = inner.join(name);
            let error = &errors[&path];
            assert_names(error, ErrorKind::Other, "walk", &path, None);
            let around = dir.path().join(around);
            let around = around.to_str().unwrap().trim_end_matches('/');
            let text = format!("the link leads back to `{around}`, which contains it");
            assert!(error.to_string().ends_with(&text), "{error}");
        }
        // Nobody can tell where it leads.
        let error = &errors[&inner.join("self")];
        assert_eq!(
            aiofiles::raw_os_error(error),
            Some(rustix::io::Errno::LOOP.raw_os_error())
        );
        assert_eq!(errors.len(), 4);
    });
}

#[test]
fn a_pruned_directory_comes_and_is_not_entered() {
    every_runtime(|_| async {
        let dir = temp_dir();
        for path in ["keep/keep/leave", "leave/keep", "keep/leave/leave"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(dir.path().join("keep/leave.txt"), "").unwrap();
        let (asked, told) = std::sync::mpsc::channel();
        let mut walk = walk(dir.path()).max_depth(2).prune(move |entry| {
            // Asked for directories that would be entered, and with all that is known of them.
            assert!(entry.file_type().is_dir() && entry.metadata().is_dir());
            assert!(entry.depth() < 2);
            asked.send(entry.path().to_owned()).unwrap();
            entry.file_name() == "leave"
        });
        let mut found = BTreeSet::new();
        while let Some(entry) = walk.try_next().await.unwrap() {
            found.insert(entry.path().strip_prefix(dir.path()).unwrap().to_owned());
        }
        let expected = [
            "",
            "keep",
            "keep/keep",
            "keep/leave",
            "keep/leave.txt",
            "leave",
        ];
        assert_eq!(found, expected.into_iter().map(PathBuf::from).collect());
        drop(walk);
        let asked = told.iter().collect::<BTreeSet<_>>();
        let expected = [
            dir.path().to_owned(),
            dir.path().join("keep"),
            dir.path().join("leave"),
        ];
        assert_eq!(asked, expected.into_iter().collect());
    });
}

#[test]
fn a_panic_of_prune_goes_on_in_the_task_and_ends_the_walk() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let mut walk = walk(dir.path()).prune(|entry| match entry.depth() {
            0 => false,
            _ => panic!("of prune"),
        });
        let (walk, panic) = rt
            .spawn(async move {
                let next = std::panic::AssertUnwindSafe(walk.next());
                let panic = futures_lite::FutureExt::catch_unwind(next)
                    .await
                    .unwrap_err();
                (walk, panic)
            })
            .await;
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"of prune"));
        let mut walk = walk;
        assert!(walk.next().await.is_none());
    });
}

#[test]
fn a_walk_may_stay_on_its_file_system() {
    let device = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.dev());
    let root = device(Path::new("/")).unwrap();
    let other = ["/proc", "/sys", "/dev", "/dev/shm", "/run", "/tmp"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| {
            path.is_dir() && path.parent() == Some(Path::new("/")) && device(path).unwrap() != root
        });
    let Some(other) = other else {
        return skip("a directory of the root on another file system");
    };
    every_runtime(|_| {
        let other = other.clone();
        async move {
            for same in [true, false] {
                let way = other.clone();
                let mut walk = walk("/")
                    .max_depth(2)
                    .same_file_system(same)
                    .prune(move |entry| entry.depth() == 1 && entry.path() != way);
                let (mut itself, mut inside) = (0, 0);
                // What cannot be looked at there is nobody's business here.
                while let Some(entry) = walk.next().await {
                    let Ok(entry) = entry else { continue };
                    itself += usize::from(entry.path() == other);
                    inside += usize::from(entry.depth() == 2);
                    assert!(entry.depth() < 2 || entry.path().starts_with(&other));
                }
                assert_eq!(itself, 1);
                assert_eq!(inside > 0, !same, "of {other:?}");
            }
        }
    });
}

#[test]
fn options_set_after_the_first_entry_change_nothing() {
    block_on(async {
        let dir = temp_dir();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let mut walk = walk(dir.path());
        assert!(walk.next().await.is_some());
        assert_eq!(walk.max_depth(0).min_depth(7).count().await, 1);
    });
}

#[test]
fn a_walk_and_its_entries_may_be_sent_and_shared_and_shown() {
    fn check<T: Send + Sync + Unpin + std::fmt::Debug + 'static>(_: &T) {}
    block_on(async {
        let mut walk = walk("src").prune(|_| true);
        check(&walk);
        let entry = walk.next().await.unwrap().unwrap();
        check(&entry);
        assert!(format!("{:?}", entry.clone()).contains("src"));
        assert!(format!("{walk:?}").contains("src"));
    });
}

/// Another thread removes and makes directories all the while. What it does not touch comes exactly once, and nothing is
/// an error.
#[test]
fn a_tree_that_changes_is_walked_without_errors() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let mut steady = BTreeSet::from([dir.path().to_owned()]);
        for n in 0..50 {
            let path = dir.path().join(format!("steady{n}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "").unwrap();
            steady.extend([path.join("file"), path]);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicUsize::new(0));
        let changer = {
            let (root, stop) = (dir.path().to_owned(), stop.clone());
            let rounds = rounds.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for n in 0..20 {
                        let path = root.join(format!("steady{n}/gone{n}"));
                        fs::create_dir_all(path.join("deep/deeper")).unwrap();
                        fs::write(path.join("deep/file"), "").unwrap();
                        // Sometimes a file comes in the place of the directory.
                        fs::remove_dir_all(&path).unwrap();
                        if n % 3 == 0 {
                            fs::write(&path, "").unwrap();
                            fs::remove_file(&path).unwrap();
                        }
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        for follow in [false, true] {
            let until = rounds.load(Ordering::Relaxed) + iterations(3);
            while rounds.load(Ordering::Relaxed) < until {
                let mut found = Vec::new();
                let mut walk = walk(dir.path()).follow_links(follow);
                while let Some(entry) = walk.next().await {
                    let path = entry.unwrap().into_path();
                    if !path.to_string_lossy().contains("gone") {
                        found.push(path);
                    }
                }
                let once = found.iter().cloned().collect::<BTreeSet<_>>();
                assert_eq!((found.len(), &once), (steady.len(), &steady));
            }
        }
        stop.store(true, Ordering::Relaxed);
        changer.join().unwrap();
    });
}

#[test]
fn what_may_not_be_read_is_one_error_that_names_it_and_the_walk_goes_on() {
    super::unprivileged(|| {
        let dir = temp_dir();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let [unreadable, unsearchable, open] =
            ["unreadable", "unsearchable", "open"].map(|name| dir.path().join(name));
        for path in [&unreadable, &unsearchable, &open] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "").unwrap();
        }
        mode(&unreadable, 0o300);
        mode(&unsearchable, 0o600);
        let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
        block_on(async {
            let mut walk = walk(dir.path());
            while let Some(entry) = walk.next().await {
                match entry {
                    Ok(entry) => assert!(found.insert(entry.into_path())),
                    Err(error) => errors.push(error),
                }
            }
        });
        mode(&unreadable, 0o700);
        mode(&unsearchable, 0o700);
        let expected = [
            dir.path(),
            &unreadable,
            &unsearchable,
            &open,
            &open.join("file"),
        ];
        assert_eq!(found, expected.map(Path::to_owned).into_iter().collect());
        fn path(error: &std::io::Error) -> &Path {
            aiofiles::PathError::of(error).unwrap().path()
        }
        errors.sort_by(|one, other| path(one).cmp(path(other)));
        let [one, other] = &errors[..] else {
            panic!("{errors:?}");
        };
        let kind = ErrorKind::PermissionDenied;
        assert_names(one, kind, "read directory", &unreadable, None);
        assert_names(other, kind, "walk", &unsearchable.join("file"), None);
    });
}

/// Blocks of hundreds of entries: far fewer dispatches than entries, whose metadata came with them. (A block also ends
/// after some time, so there may be more of them on a slow device.)
#[test]
fn a_walk_with_metadata_takes_a_few_dispatches_for_thousands_of_entries() {
    alone(|| {
        let dir = temp_dir();
        for n in 0..3000 {
            fs::write(dir.path().join(n.to_string()), "abc").unwrap();
        }
        block_on(async {
            let before = aiofiles::backend().operations();
            let mut bytes = 0;
            let mut walk = walk(dir.path()).min_depth(1);
            while let Some(entry) = walk.try_next().await.unwrap() {
                bytes += entry.metadata().len();
            }
            assert_eq!(bytes, 9000);
            let operations = aiofiles::backend().operations() - before;
            assert!((12..300).contains(&operations), "{operations} operations");
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_walk_holds_few_descriptors_and_closes_them_when_it_is_dropped() {
    use super::descriptors_below;

    every_runtime(|_| async {
        let dir = temp_dir();
        let end = spine(dir.path(), 100, 0);
        for dropped_at in [0, 1, 5, 40, 100] {
            let mut walk = walk(dir.path());
            for _ in 0..dropped_at {
                walk.next().await.unwrap().unwrap();
                // Ten; but a listing of descriptors is no snapshot and may count some twice.
                let open = descriptors_below(dir.path());
                assert!(open <= 20, "{open} descriptors");
            }
            drop(walk);
            while descriptors_below(dir.path()) > 0 {
                thread::yield_now();
            }
        }
        drop(poll_once(walk(dir.path()).next()).await);
        while descriptors_below(dir.path()) > 0 {
            thread::yield_now();
        }
        fell(dir.path(), end);
    });
}

#[test]
fn names_that_are_not_utf_8_come_as_they_are() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let name = OsString::from_vec(b"\xff\xfe dir".to_vec());
        let path = dir.path().join(&name);
        fs::create_dir(&path).unwrap();
        mknodat(CWD, path.join(&name), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let mut walk = walk(&path);
        let root = walk.next().await.unwrap().unwrap();
        assert_eq!((root.path(), root.file_name()), (&*path, &*name));
        let inside = walk.next().await.unwrap().unwrap();
        assert_eq!(inside.path(), path.join(&name));
        assert_eq!(inside.file_name(), OsStr::new(&name));
        assert!(inside.file_type().is_fifo());
        assert!(walk.next().await.is_none());
    });
}
