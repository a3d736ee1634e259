//! Walks that are cut at an exact moment, and errors that no file system gives on request.

use std::pin::pin;
use std::task::Poll;

use aiofiles::WalkEntry;
use aiofiles::testing::{Call, Faults};
use futures_lite::AsyncWriteExt as _;
use rustix::io::Errno;

use super::*;
use crate::steps::*;

/// A directory with this many files.
fn files(count: usize) -> TempDir {
    let dir = temp_dir();
    for n in 0..count {
        fs::write(dir.path().join(n.to_string()), "").expect("a file");
    }
    dir
}

#[test]
fn nothing_is_done_before_an_entry_is_asked_for_and_one_block_ahead_after_that() {
    stepped(|stepper, _| {
        let dir = files(1000);
        let mut walk = walk(dir.path());
        assert_eq!(stepper.waiting(), 0);
        drive(stepper, walk.next()).unwrap().unwrap();
        assert_eq!(stepper.waiting(), 1);
        assert!(stepper.run_one());
        assert_eq!(
            stepper.waiting(),
            0,
            "no block is fetched before there is room for it"
        );
        // The whole of it, and the beginning of the next one.
        let mut ready = 0;
        while let Poll::Ready(entry) = poll_now(pin!(walk.next())) {
            entry.unwrap().unwrap();
            ready += 1;
        }
        assert!(ready > 30, "{ready}");
    });
}

#[test]
fn a_next_that_was_dropped_loses_no_entry() {
    stepped(|stepper, _| {
        let dir = files(700);
        let mut walk = walk(dir.path());
        let mut found = BTreeSet::new();
        while found.len() < 701 {
            match poll_now(pin!(walk.next())) {
                Poll::Ready(entry) => {
                    assert!(found.insert(entry.unwrap().unwrap().into_path()));
                }
                Poll::Pending => drop(stepper.run_one()),
            }
        }
        assert!(drive(stepper, walk.next()).is_none());
    });
}

#[test]
fn a_block_that_nobody_waits_for_any_more_is_not_fetched() {
    stepped(|stepper, _| {
        let dir = files(1000);
        let faults = Faults::install();
        faults.stall(Call::ReadDir, 0, usize::MAX).open();
        let mut walk = walk(dir.path());
        drive(stepper, walk.next()).unwrap().unwrap();
        let before = faults.struck();
        drop(walk);
        stepper.run_all();
        assert_eq!(faults.struck(), before);
    });
}

#[test]
fn an_error_of_the_file_system_is_told_once_and_the_walk_goes_on() {
    let eio = Errno::IO.raw_os_error();
    stepped(move |stepper, _| {
        let dir = files(3);
        let sub = dir.path().join("sub");
        fs::create_dir(&sub).unwrap();
        fs::write(sub.join("file"), "").unwrap();
        for (call, nths) in [(Call::Metadata, 0..6), (Call::ReadDir, 0..8)] {
            for nth in nths {
                let faults = Faults::install();
                faults.fail(call, nth, 1, eio);
                let mut walk = walk(dir.path());
                let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
                while let Some(entry) = drive(stepper, walk.next()) {
                    match entry {
                        Ok(entry) => assert!(found.insert(entry.into_path())),
                        Err(error) => errors.push(error),
                    }
                }
                let [error] = &errors[..] else {
                    panic!("{call:?} {nth}: {errors:?}");
                };
                assert_eq!(aiofiles::raw_os_error(error), Some(eio));
                let detail = aiofiles::PathError::of(error).unwrap();
                let (op, path) = (detail.op(), detail.path());
                if call == Call::Metadata {
                    assert_eq!(op, "walk");
                    assert!(!found.contains(path), "{path:?}");
                } else {
                    assert_eq!(op, "read directory");
                    assert!(path == dir.path() || path == sub);
                    assert!(found.contains(path), "{path:?}");
                }
                // Of the rest nothing is lost, as long as the directory that holds it can be read.
                if path == sub && call == Call::ReadDir {
                    assert!((5..=6).contains(&found.len()), "{found:?}");
                } else if path != sub && path != dir.path() {
                    assert_eq!(found.len(), 5, "{found:?}");
                }
            }
        }
    });
}

#[test]
fn a_lack_of_descriptors_is_overcome_by_giving_some_back() {
    stepped(|stepper, _| {
        let dir = temp_dir();
        spine(dir.path(), 8, 3);
        let faults = Faults::install();
        let expected = told_by_std(dir.path(), Options::default());
        // Whichever opening it strikes. A listing that meets it is not opened, so it is an error there.
        for nth in 0..40 {
            faults.clear();
            faults.fail(Call::ReadDir, nth, 1, Errno::MFILE.raw_os_error());
            let mut walk = walk(dir.path());
            let mut found = BTreeSet::new();
            let mut error = None;
            while let Some(entry) = drive(stepper, walk.next()) {
                match entry {
                    Ok(entry) => assert!(found.insert(entry.into_path())),
                    Err(told) => assert!(error.replace(told).is_none()),
                }
            }
            if nth == 0 {
                assert!(error.is_none(), "{error:?}");
            }
            if error.is_none() {
                assert!(found.iter().eq(expected.keys()), "{nth}");
            }
        }
    });
}

/// The job looks at the file before its bytes have arrived.
#[test]
fn an_entry_counts_what_a_dropped_file_had_accepted() {
    for written_early in [false, true] {
        stepped(move |stepper, _| {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let mut file = drive(stepper, aiofiles::File::create(&path)).unwrap();
            let mut walk = walk(dir.path()).min_depth(1);
            assert!(poll_now(pin!(walk.next())).is_pending());
            assert!(matches!(
                poll_now(pin!(file.write_all(b"hello"))),
                Poll::Ready(Ok(()))
            ));
            drop(file);
            // The look, and then the write.
            assert!(stepper.run_one());
            assert_eq!(fs::metadata(&path).unwrap().len(), 0);
            if written_early {
                stepper.run_all();
            } else {
                assert!(poll_now(pin!(walk.next())).is_pending());
            }
            let entry = drive(stepper, walk.next()).unwrap().unwrap();
            assert_eq!(entry.metadata().len(), 5);
            assert!(drive(stepper, walk.next()).is_none());
        });
    }
}

#[test]
fn an_entry_that_vanishes_while_its_bytes_arrive_is_left_out() {
    stepped(|stepper, _| {
        let dir = files(2);
        let path = dir.path().join("file");
        let mut file = drive(stepper, aiofiles::File::create(&path)).unwrap();
        let mut walk = walk(dir.path()).min_depth(1);
        assert!(poll_now(pin!(walk.next())).is_pending());
        assert!(poll_now(pin!(file.write_all(b"hello"))).is_ready());
        drop(file);
        assert!(stepper.run_one());
        fs::remove_file(&path).unwrap();
        let mut found = BTreeSet::new();
        while let Some(entry) = drive(stepper, walk.next()) {
            found.insert(entry.unwrap().file_name().to_owned());
        }
        assert_eq!(found, ["0", "1"].map(OsString::from).into_iter().collect());
    });
}

/// A walk without a user's code waits in the queue with everybody else; one with it has a job of its own.
#[test]
fn entries_come_the_same_with_and_without_a_users_code() {
    stepped(|stepper, _| {
        let dir = files(300);
        let mut plain = walk(dir.path());
        let mut asked = walk(dir.path()).prune(|entry: &WalkEntry| entry.depth() > 0);
        for _ in 0..301 {
            let one = drive(stepper, plain.next()).unwrap().unwrap();
            let other = drive(stepper, asked.next()).unwrap().unwrap();
            assert_eq!(one.path(), other.path());
        }
        assert!(drive(stepper, plain.next()).is_none());
        assert!(drive(stepper, asked.next()).is_none());
    });
}
