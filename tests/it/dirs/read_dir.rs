//! Reading a directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aiofiles::{ReadDir, read_dir};
use futures_lite::StreamExt as _;
use futures_lite::future::block_on;

use super::assert_names;
use crate::support::*;

/// Makes so many files, named by their numbers.
fn fill(dir: &Path, count: usize) -> BTreeSet<OsString> {
    (0..count)
        .map(|n| {
            let name = OsString::from(n.to_string());
            fs::write(dir.join(&name), "").expect("a file");
            name
        })
        .collect()
}

/// The names that are left in the stream, none of them twice.
async fn names(entries: &mut ReadDir) -> BTreeSet<OsString> {
    let mut names = BTreeSet::new();
    while let Some(entry) = entries.next().await {
        let name = entry.unwrap().file_name();
        assert!(names.insert(name.clone()), "{name:?} comes twice");
    }
    names
}

/// The numbers around the sizes of the first block, of later blocks, and of several of them.
#[test]
fn every_entry_comes_once_whatever_their_number() {
    within_limit("directories of all sizes", || {
        for count in [0, 1, 63, 64, 65, 511, 512, 513, 575, 576, 577, 1089] {
            let dir = temp_dir();
            let expected = fill(dir.path(), count);
            let found = block_on(async { names(&mut read_dir(dir.path()).await.unwrap()).await });
            assert_eq!(found, expected, "of {count} files");
        }
    });
}

#[test]
fn five_thousand_entries_come_once_under_every_runtime() {
    let dir = temp_dir();
    let expected = fill(dir.path(), 5000);
    every_runtime(|_| {
        let (path, expected) = (dir.path().to_owned(), expected.clone());
        async move {
            let mut entries = read_dir(&path).await.unwrap();
            assert!(names(&mut entries).await == expected);
        }
    });
}

#[test]
fn the_stream_stays_at_its_end() {
    every_runtime(|_| async {
        for count in [0, 1, 64, 100] {
            let dir = temp_dir();
            fill(dir.path(), count);
            let mut entries = read_dir(dir.path()).await.unwrap();
            assert_eq!(names(&mut entries).await.len(), count);
            // What comes later does not come.
            fs::write(dir.path().join("late"), "").unwrap();
            for _ in 0..3 {
                assert!(entries.next().await.is_none());
            }
        }
    });
}

#[cfg(unix)]
#[test]
fn entries_have_the_types_that_the_file_system_tells() {
    use std::os::unix::ffi::OsStringExt as _;

    use aiofiles::unix::{DirEntryExt as _, FileTypeExt as _};

    every_runtime(|_| async {
        let dir = temp_dir();
        let odd = OsString::from_vec(b"not \xff UTF-8".to_vec());
        fs::write(dir.path().join(&odd), "text").unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();

        let mut seen = 0;
        let mut entries = read_dir(dir.path()).await.unwrap();
        while let Some(entry) = entries.try_next().await.unwrap() {
            let (name, path) = (entry.file_name(), entry.path());
            assert_eq!(path, dir.path().join(&name));
            let std = fs::symlink_metadata(&path).unwrap();
            assert_eq!(entry.file_type().await.unwrap(), std.file_type());
            assert_eq!(
                entry.ino(),
                std::os::unix::fs::MetadataExt::ino(&std),
                "{name:?}"
            );
            // The entry's own, not that of what a link leads to.
            let metadata = entry.metadata().await.unwrap();
            assert_eq!(metadata.file_type(), std.file_type(), "{name:?}");
            assert_eq!(metadata.len(), std.len(), "{name:?}");
            seen |= match &name {
                name if *name == odd => usize::from(metadata.is_file()),
                name if name == "dir" => 2 * usize::from(metadata.is_dir()),
                name if name == "link" => 4 * usize::from(metadata.is_symlink()),
                _ => 8 * usize::from(metadata.file_type().is_fifo()),
            };
        }
        assert_eq!(seen, 15);
    });
}

#[test]
fn the_error_of_opening_names_the_path() {
    block_on(async {
        let dir = temp_dir();
        let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
        fs::write(&file, "").unwrap();
        for (path, kind) in [
            (missing, ErrorKind::NotFound),
            (file, ErrorKind::NotADirectory),
        ] {
            let error = read_dir(&path).await.unwrap_err();
            assert_names(&error, kind, "read directory", &path, None);
        }
    });
}

#[test]
fn an_entry_outlives_its_stream_and_the_rest_of_its_directory() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("sub");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "text").unwrap();
        let entry = read_dir(&path)
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .unwrap();
        let copy = entry.clone();
        drop(entry);
        assert_eq!(copy.metadata().await.unwrap().len(), 4);
        assert!(copy.file_type().await.unwrap().is_file());

        fs::remove_dir_all(&path).unwrap();
        let error = copy.metadata().await.unwrap_err();
        let file = path.join("file");
        assert_names(
            &error,
            ErrorKind::NotFound,
            "query metadata of",
            &file,
            None,
        );
        assert_eq!(copy.path(), file);
        // The type came with the entry.
        assert!(copy.file_type().await.unwrap().is_file());
    });
}

#[test]
fn a_directory_removed_while_it_is_read_ends_without_an_error() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("sub");
        fs::create_dir(&path).unwrap();
        let expected = fill(&path, 700);
        let mut entries = read_dir(&path).await.unwrap();
        let first = entries.next().await.unwrap().unwrap().file_name();
        fs::remove_dir_all(&path).unwrap();
        let mut found = names(&mut entries).await;
        assert!(found.insert(first));
        assert!(found.is_subset(&expected));
        // Two blocks were fetched, or were about to be.
        assert!(found.len() >= 64, "{}", found.len());
    });
}

/// Both directories have the same name at different times, so a path would lead to the wrong one.
#[cfg(unix)]
#[test]
fn the_metadata_of_an_entry_is_that_of_its_directory_even_if_it_was_renamed() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("sub");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "first").unwrap();
        let entry = read_dir(&path)
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .unwrap();
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        assert_eq!(entry.metadata().await.unwrap().len(), 5);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "the second").unwrap();
        assert_eq!(entry.metadata().await.unwrap().len(), 5);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_dropped_anywhere_closes_its_directory() {
    use super::descriptors_below;

    every_runtime(|_| async {
        let dir = temp_dir();
        fill(dir.path(), 200);
        for taken in [0, 1, 63, 64, 65, 200] {
            let mut entries = read_dir(dir.path()).await.unwrap();
            for _ in 0..taken {
                assert!(entries.next().await.unwrap().is_ok());
            }
            let entry = entries.next().await;
            drop(entries);
            if entry.is_some() {
                assert_eq!(descriptors_below(dir.path()), 1, "an entry holds it");
            }
            drop(entry);
            while descriptors_below(dir.path()) > 0 {
                std::thread::yield_now();
            }
        }
        // Dropped while the first block is on its way.
        for polls in 0..3 {
            drop(poll_n(read_dir(dir.path()), polls).await);
        }
        while descriptors_below(dir.path()) > 0 {
            std::thread::yield_now();
        }
    });
}

/// 5,000 entries are some ten blocks. One job fetches all of them while their reader keeps up; at worst each takes a job
/// of its own, and another that drops it.
#[test]
fn reading_with_types_takes_a_few_dispatches_for_thousands_of_entries() {
    alone(|| {
        let dir = temp_dir();
        fill(dir.path(), 5000);
        block_on(async {
            let before = aiofiles::backend().operations();
            let mut entries = read_dir(dir.path()).await.unwrap();
            let mut count = 0;
            while let Some(entry) = entries.try_next().await.unwrap() {
                count += usize::from(entry.file_type().await.unwrap().is_file());
            }
            assert_eq!(count, 5000);
            let operations = aiofiles::backend().operations() - before;
            assert!((2..=24).contains(&operations), "{operations} operations");
        });
    });
}

#[cfg(all(unix, feature = "testing"))]
mod stepped {
    use std::pin::pin;
    use std::task::{Context, Poll};

    use aiofiles::testing::{Call, Faults};
    use futures_lite::AsyncWriteExt as _;
    use rustix::io::Errno;

    use super::*;
    use crate::steps::*;

    #[test]
    fn the_next_block_is_fetched_before_anybody_asks_for_it() {
        stepped(|stepper, _| {
            let dir = temp_dir();
            fill(dir.path(), 100);
            let mut entries = drive(stepper, read_dir(dir.path())).unwrap();
            assert_eq!(stepper.waiting(), 1);
            assert!(stepper.run_one());
            for _ in 0..100 {
                assert!(poll_now(pin!(entries.next())).is_ready());
            }
        });
    }

    #[test]
    fn a_next_that_was_dropped_loses_no_entry() {
        stepped(|stepper, _| {
            let dir = temp_dir();
            let expected = fill(dir.path(), 700);
            let mut entries = drive(stepper, read_dir(dir.path())).unwrap();
            let mut found = BTreeSet::new();
            while found.len() < expected.len() {
                match poll_now(pin!(entries.next())) {
                    Poll::Ready(entry) => {
                        assert!(found.insert(entry.unwrap().unwrap().file_name()));
                    }
                    Poll::Pending => {
                        // The first yields to other tasks after many ready answers.
                        stepper.run_one();
                    }
                }
            }
            assert!(found == expected);
            assert!(drive(stepper, entries.next()).is_none());
        });
    }

    #[test]
    fn a_panic_in_the_middle_comes_after_the_entries_before_it_and_ends_the_stream() {
        use std::panic::{AssertUnwindSafe, catch_unwind};

        for (nth, before) in [(64, 64), (100, 64), (576, 576)] {
            stepped(move |stepper, _| {
                let dir = temp_dir();
                fill(dir.path(), 1000);
                let faults = Faults::install();
                faults.panic(Call::ReadDir, nth + 1, 1);
                let mut entries = drive(stepper, read_dir(dir.path())).unwrap();
                for _ in 0..before {
                    assert!(drive(stepper, entries.next()).unwrap().is_ok());
                }
                let next = AssertUnwindSafe(|| drive(stepper, entries.next()));
                assert!(catch_unwind(next).is_err(), "{nth}");
                assert!(drive(stepper, entries.next()).is_none());
            });
        }
    }

    #[test]
    fn an_error_in_the_middle_comes_after_the_entries_before_it_and_ends_the_stream() {
        for nth in [0, 1, 63, 64, 100, 576] {
            stepped(move |stepper, _| {
                let dir = temp_dir();
                fill(dir.path(), 1000);
                let faults = Faults::install();
                // The first call opens the directory.
                faults.fail(Call::ReadDir, nth + 1, 1, Errno::IO.raw_os_error());
                let mut entries = drive(stepper, read_dir(dir.path())).unwrap();
                for _ in 0..nth {
                    drive(stepper, entries.next()).unwrap().unwrap();
                }
                let error = drive(stepper, entries.next()).unwrap().unwrap_err();
                assert_eq!(
                    aiofiles::raw_os_error(&error),
                    Some(Errno::IO.raw_os_error())
                );
                for _ in 0..3 {
                    assert!(drive(stepper, entries.next()).is_none());
                }
            });
        }
    }

    #[test]
    fn a_type_that_could_not_be_asked_for_is_an_error_of_that_entry_alone() {
        stepped(|stepper, _| {
            let dir = temp_dir();
            fill(dir.path(), 3);
            let faults = Faults::install();
            faults.fail(Call::Metadata, 1, 1, Errno::ACCESS.raw_os_error());
            let mut entries = drive(stepper, read_dir(dir.path())).unwrap();
            for n in 0..3 {
                let entry = drive(stepper, entries.next()).unwrap().unwrap();
                let result = drive(stepper, entry.file_type());
                if n != 1 {
                    assert!(result.unwrap().is_file());
                    continue;
                }
                let error = result.unwrap_err();
                assert_names(
                    &error,
                    ErrorKind::PermissionDenied,
                    "query the type of",
                    &entry.path(),
                    None,
                );
            }
        });
    }

    /// The bytes of the dropped file arrive after its entry was looked at, and before the answer is handed over.
    #[test]
    fn the_metadata_of_an_entry_counts_what_a_dropped_file_had_accepted() {
        within_limit("the pool with faults", || {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let faults = Faults::install();
            let writing = Held::new(&faults, Call::Write, 0);
            block_on(async {
                let mut file = aiofiles::File::create(&path).await.unwrap();
                let mut entries = read_dir(dir.path()).await.unwrap();
                let entry = entries.next().await.unwrap().unwrap();
                file.write_all(b"hello").await.unwrap();
                drop(file);

                // The first poll must not have the answer already: it would wait for the file then.
                let looking = Held::new(&faults, Call::Metadata, 0);
                let mut metadata = pin!(entry.metadata());
                let waker = CountingWaker::new();
                let waker_of_it = waker.waker();
                let mut cx = Context::from_waker(&waker_of_it);
                assert!(metadata.as_mut().poll(&mut cx).is_pending());
                looking.open();
                while waker.wakes() == 0 {
                    std::thread::yield_now();
                }
                writing.open();
                aiofiles::settle().await;
                assert_eq!(metadata.await.unwrap().len(), 5);
            });
        });
    }
}
