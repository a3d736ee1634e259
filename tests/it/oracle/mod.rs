//! Random operations on a file of ours and on one of std, with the results compared after every one.
//!
//! A session is drawn from a seed (`steps.rs`), and performed (`session.rs`) with the pool or with a hand-stepped one
//! (`drive.rs`). When the files differ, the operations that led there are printed with the seed of the session; with
//! `AIOFILES_SEED` set to that, it is the first session of the next run. A session on the hand-stepped pool is repeated
//! with fewer and fewer operations first, and printed as the shortest that still fails.

mod drive;
#[cfg(feature = "testing")]
mod faults;
mod session;
mod steps;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiofiles::{BackendKind, backend};
use drive::Drive;
use session::{Tally, perform};
use steps::Plan;

use crate::support::{Kind, Seed, every_runtime, figure, iterations, on_runtimes, skip, temp_dir};

/// How many operations a session has.
const STEPS: usize = 400;

/// Performs sessions until there were so many operations.
async fn sessions(operations: usize, cancel: bool, dir: &Path) -> Tally {
    static CUTS: AtomicUsize = AtomicUsize::new(0);
    let seed = Seed::new();
    let mut tally = Tally::default();
    for number in 0.. {
        if tally.operations >= operations {
            break;
        }
        let plan = Plan::random(seed.value().wrapping_add(number), STEPS, cancel);
        match perform(&plan, Drive::Pool(&CUTS), dir).await {
            Ok(outcomes) => tally.add(&outcomes),
            Err(divergence) => panic!("{}", divergence.story()),
        }
    }
    tally
}

/// Performs sessions until so many operations were cut under every runtime: dropped after a poll that was pending. Those
/// that were dropped unpolled do not count.
#[track_caller]
fn cut(wanted: usize, cuts: &'static AtomicUsize, plan: fn(u64) -> Plan) {
    let each = wanted.div_ceil(Kind::ALL.len());
    every_runtime(move |_| async move {
        let begin = cuts.load(Ordering::Relaxed);
        let dir = temp_dir();
        let seed = Seed::new();
        for number in 0.. {
            if cuts.load(Ordering::Relaxed) - begin >= each {
                break;
            }
            let plan = plan(seed.value().wrapping_add(number));
            if let Err(divergence) = perform(&plan, Drive::Pool(cuts), dir.path()).await {
                panic!("{}", divergence.story());
            }
        }
    });
}

/// How many operations are cut, each way.
const CUTS: usize = 10_000;

#[test]
fn a_hundred_thousand_operations_have_the_results_of_std() {
    on_runtimes(&[Kind::BlockOn], |_| async {
        let dir = temp_dir();
        let tally = sessions(iterations(100_000), false, dir.path()).await;
        assert_eq!(tally.cancelled, 0);
        assert!(
            tally.errors > tally.operations / 1000,
            "hardly any errors were compared: {tally:?}"
        );
    });
}

#[test]
fn under_every_runtime_operations_have_the_results_of_std() {
    every_runtime(|_| async {
        let dir = temp_dir();
        sessions(iterations(10_000), false, dir.path()).await;
    });
}

/// On whatever the process is told to use: `AIOFILES_BACKEND`.
#[test]
fn cancelled_operations_lose_double_and_disorder_no_byte() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let before = backend().submitted();
    cut(iterations(CUTS), &COUNT, |seed| {
        Plan::small(seed, STEPS, true)
    });
    let submitted = backend().submitted() - before;
    let forced = std::env::var("AIOFILES_BACKEND").is_ok_and(|wish| wish == "uring");
    if forced && submitted == 0 {
        return skip("rings that are used");
    }
    let place = match (backend().kind(), forced) {
        (BackendKind::Uring, true) => format!("rings ({submitted} entries)"),
        (BackendKind::Uring, false) => format!("pool and rings ({submitted} entries)"),
        _ => "the pool".to_owned(),
    };
    let count = COUNT.load(Ordering::Relaxed);
    figure(&format!(
        "cancel: {count} cut operations on {place}, 0 wrong"
    ));
}

/// The same where nobody forces anything: files past the page cache, and files that the page cache does not have.
#[cfg(all(feature = "uring", target_os = "linux"))]
#[test]
fn cancelled_operations_on_direct_and_cold_files_lose_double_and_disorder_no_byte() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    if backend().kind() != BackendKind::Uring {
        return skip("io_uring");
    }
    let dir = temp_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, "x").expect("a file");
    let mut direct = aiofiles::OpenOptions::new();
    direct.read(true).direct(true);
    if futures_lite::future::block_on(direct.open(&path)).is_err() {
        return skip("a file system with direct I/O");
    }
    let before = backend().submitted();
    cut(iterations(CUTS), &COUNT, |seed| {
        let plan = Plan::small(seed, STEPS, true);
        if seed % 2 == 0 {
            plan.directly()
        } else {
            plan.cold()
        }
    });
    let submitted = backend().submitted() - before;
    if submitted == 0 {
        return skip("rings that are used");
    }
    let count = COUNT.load(Ordering::Relaxed);
    figure(&format!(
        "cancel: {count} cut operations on direct and cold files ({submitted} entries of rings), 0 wrong"
    ));
}

#[cfg(feature = "testing")]
mod on_the_hand_stepped_pool {
    use std::path::Path;
    use std::thread;

    use futures_lite::future::block_on;

    use super::STEPS;
    use super::drive::{Drive, stepped};
    use super::session::{Divergence, Outcome, Tally, perform};
    use super::steps::{Plan, Step, minimised};
    use crate::support::{Seed, alone, iterations, temp_dir};

    /// What went wrong, if anything did, also by a panic.
    fn attempt(plan: &Plan, dir: &Path) -> Result<Vec<Outcome>, Option<Box<Divergence>>> {
        // A thread of its own: how many answers in a row a thread had decides when the next one is held back.
        let outcome = thread::scope(|scope| {
            let session = || stepped(|| block_on(perform(plan, Drive::Stepped, dir)));
            scope.spawn(session).join()
        });
        match outcome {
            Ok(verdict) => verdict.map_err(Some),
            Err(_) => Err(None),
        }
    }

    fn sessions(operations: usize, cancel: bool) -> Tally {
        let dir = temp_dir();
        let seed = Seed::new();
        let mut tally = Tally::default();
        for number in 0.. {
            if tally.operations >= operations {
                break;
            }
            let plan = Plan::random(seed.value().wrapping_add(number), STEPS, cancel);
            match attempt(&plan, dir.path()) {
                Ok(outcomes) => tally.add(&outcomes),
                Err(first) => {
                    let with = |steps: &[Step]| Plan {
                        steps: steps.to_vec(),
                        ..plan.clone()
                    };
                    let fails = |steps: &[Step]| attempt(&with(steps), dir.path()).is_err();
                    let shortest = with(&minimised(plan.steps.clone(), fails));
                    let story =
                        |found: Option<Box<Divergence>>| found.map(|divergence| divergence.story());
                    match attempt(&shortest, dir.path()) {
                        Err(Some(divergence)) => panic!("{}", divergence.story()),
                        outcome => panic!(
                            "{:?}\nnot the same twice, or a panic (see above): {:?}\nthe steps that remain: {:#?}",
                            story(first),
                            outcome.map_err(story),
                            shortest
                        ),
                    }
                }
            }
        }
        tally
    }

    #[test]
    fn operations_have_the_results_of_std_whenever_their_jobs_run() {
        // `settle`, which the sessions call, also waits for the files of other tests.
        alone(|| {
            sessions(iterations(20_000), false);
        });
    }

    #[test]
    fn operations_cut_at_any_moment_lose_double_and_disorder_no_byte() {
        alone(|| {
            let tally = sessions(iterations(40_000), true);
            assert!(
                tally.cancelled > tally.operations / 10,
                "hardly any operation was cut: {tally:?}"
            );
        });
    }

    /// What makes a failure on this pool worth more than one on the other: it can be looked at again.
    #[test]
    fn a_session_gives_the_same_answers_each_time() {
        alone(|| {
            let dir = temp_dir();
            let seed = Seed::new();
            for number in 0..iterations(10) as u64 {
                let plan = Plan::random(seed.value().wrapping_add(number), STEPS, true);
                let answers =
                    || attempt(&plan, dir.path()).map_err(|found| found.map(|it| it.story()));
                assert_eq!(answers(), answers(), "seed {}", plan.seed);
            }
        });
    }
}
