//! What a cut future does to others: it keeps nobody waiting, and the error of what it began is told.

use std::fs::{self, FileTimes};
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::task::{Context, Poll};
use std::thread;

use aiofiles::testing::{Call, Faults, Stepper};
use aiofiles::{File, OpenOptions};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::bench::then;
use crate::support::{CountingWaker, alone, figure, iterations, numbered, poll_now, temp_dir};

type Boxed<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

/// Something that is done with a file.
type Call1 = (&'static str, for<'a> fn(&'a mut File) -> Boxed<'a>);

const OPERATIONS: [Call1; 18] = [
    ("read", |file| {
        Box::pin(async { file.read(&mut [0; 5]).await.map(drop) })
    }),
    ("write", |file| {
        Box::pin(async { file.write(b"text").await.map(drop) })
    }),
    ("seek", |file| {
        Box::pin(async { file.seek(io::SeekFrom::End(-3)).await.map(drop) })
    }),
    ("flush", |file| Box::pin(async { file.flush().await })),
    ("close", |file| Box::pin(async { file.close().await })),
    ("metadata", |file| {
        Box::pin(async { file.metadata().await.map(drop) })
    }),
    ("set_len", |file| Box::pin(async { file.set_len(20).await })),
    ("set_modified", |file| {
        Box::pin(async { file.set_modified(then()).await })
    }),
    ("allocate", |file| {
        Box::pin(async { file.allocate(0, 20).await })
    }),
    ("sync_all", |file| Box::pin(async { file.sync_all().await })),
    ("lock", |file| Box::pin(async { file.lock().await })),
    ("unlock", |file| Box::pin(async { file.unlock().await })),
    ("try_clone", |file| {
        Box::pin(async { file.try_clone().await.map(drop) })
    }),
    ("stream_position", |file| {
        Box::pin(async { file.stream_position().await.map(drop) })
    }),
    ("write_at", |file| {
        Box::pin(async { file.write_at("x", 3).await.0.map(drop) })
    }),
    ("read_at", |file| {
        Box::pin(async { file.read_at(vec![0; 4], 3).await.0.map(drop) })
    }),
    ("seek_hole", |file| {
        Box::pin(async { file.seek_hole(0).await.map(drop) })
    }),
    ("discard_unwritten", |file| {
        Box::pin(async {
            file.discard_unwritten().await;
            Ok(())
        })
    }),
];

/// One of the clones does something and is cut after so many events, while the other waits: that one comes to its end,
/// polled only when it is woken. `false` if there was nothing left to be cut.
fn cut_beside(
    stepper: &Stepper,
    dir: &Path,
    (name, operation): Call1,
    (other_name, other): Call1,
    busy: bool,
    events: usize,
) -> bool {
    let path = dir.join("file");
    fs::write(&path, "0123456789").unwrap();
    let drive = |future: Boxed<'_>| drive(stepper, name, future).unwrap();
    let mut file = None;
    drive(Box::pin(async {
        let mut options = OpenOptions::new();
        file = Some(options.read(true).write(true).open(&path).await?);
        Ok(())
    }));
    let mut file = file.unwrap();
    let mut clone = None;
    drive(Box::pin(async {
        clone = Some(file.try_clone().await?);
        if busy {
            file.write_all(b"on its way").await?;
        }
        Ok(())
    }));
    let mut clone = clone.unwrap();
    let count = CountingWaker::new();
    let waker = count.waker();
    let mut beside = other(&mut clone);
    let mut seen = None;
    let mut done = false;
    let mut cut = false;
    {
        let own = CountingWaker::new();
        let own_waker = own.waker();
        let mut first = operation(&mut file);
        let mut own_seen = None;
        for event in 0.. {
            if event == events {
                cut = true;
                break;
            }
            if own_seen.is_none_or(|seen| own.wakes() > seen) {
                own_seen = Some(own.wakes());
                if first
                    .as_mut()
                    .poll(&mut Context::from_waker(&own_waker))
                    .is_ready()
                {
                    break;
                }
            } else if !done && seen.is_none_or(|seen| count.wakes() > seen) {
                seen = Some(count.wakes());
                done = beside
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready();
            } else {
                assert!(stepper.run_one(), "{name} waits, beside {other_name}");
            }
        }
    }
    while !done {
        if seen.is_none_or(|seen| count.wakes() > seen) {
            seen = Some(count.wakes());
            done = beside
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready();
        } else {
            assert!(
                stepper.run_one(),
                "{other_name} waits for ever, after {name} was cut at {events}"
            );
        }
    }
    drop(beside);
    drop((file, clone));
    stepper.run_all();
    cut
}

fn drive(stepper: &Stepper, name: &str, mut future: Boxed<'_>) -> io::Result<()> {
    loop {
        if let Poll::Ready(result) = poll_now(future.as_mut()) {
            return result;
        }
        assert!(stepper.run_one(), "{name} waits");
    }
}

#[test]
fn whoever_waits_beside_a_cut_future_is_woken() {
    alone(|| {
        let stepper = Stepper::install();
        let dir = temp_dir();
        let mut cuts = 0;
        for operation in OPERATIONS {
            for other in OPERATIONS {
                for busy in [false, true] {
                    let mut events = 0;
                    while cut_beside(&stepper, dir.path(), operation, other, busy, events) {
                        events += 1;
                    }
                    cuts += events;
                }
            }
        }
        assert!(cuts > 1000, "only {cuts} cuts");
        figure(&format!(
            "cancel: {cuts} futures cut beside another that waits, all of these came to their end"
        ));
    });
}

/// Changes whose error, once they were dropped, the next call is to tell, and the call of the system that fails.
const FAILING: [(&str, Call, for<'a> fn(&'a mut File) -> Boxed<'a>); 10] = [
    ("set_len", Call::SetLen, |file| {
        Box::pin(async { file.set_len(3).await })
    }),
    ("set_modified", Call::SetTimes, |file| {
        Box::pin(async { file.set_modified(then()).await })
    }),
    ("set_times", Call::SetTimes, |file| {
        Box::pin(async { file.set_times(FileTimes::new().set_modified(then())).await })
    }),
    ("allocate", Call::Allocate, |file| {
        Box::pin(async { file.allocate(0, 9).await })
    }),
    ("punch_hole", Call::Allocate, |file| {
        Box::pin(async { file.punch_hole(0, 9).await })
    }),
    ("write_at", Call::Write, |file| {
        Box::pin(async { file.write_at("x", 3).await.0.map(drop) })
    }),
    ("write_all_at", Call::Write, |file| {
        Box::pin(async { file.write_all_at("x", 3).await.0 })
    }),
    ("write_vectored_at", Call::Write, |file| {
        Box::pin(async { file.write_vectored_at(vec!["x"], 3).await.0.map(drop) })
    }),
    ("writev_at", Call::Write, |file| {
        Box::pin(async { file.writev_at(vec!["x"], 3).await.0.map(drop) })
    }),
    ("unbuffered write", Call::Write, |file| {
        Box::pin(async { file.write(b"x").await.map(drop) })
    }),
];

#[test]
fn the_error_of_a_change_that_was_cut_is_told_once_by_the_next_call() {
    alone(|| {
        let stepper = Stepper::install();
        let dir = temp_dir();
        let path = dir.path().join("file");
        let mut told = 0;
        for (name, call, operation) in FAILING {
            // Before its job, and after it with the result not taken.
            for jobs in [0, 1] {
                for next in ["flush", "read", "set_len", "sync_all", "close"] {
                    fs::write(&path, "0123456789").unwrap();
                    let mut file = None;
                    drive(
                        &stepper,
                        name,
                        Box::pin(async {
                            let mut options = OpenOptions::new();
                            options
                                .read(true)
                                .write(true)
                                .unbuffered(name.starts_with("un"));
                            file = Some(options.open(&path).await?);
                            Ok(())
                        }),
                    )
                    .unwrap();
                    let mut file = file.unwrap();
                    let faults = Faults::install();
                    faults.fail(call, 0, 1, 5);
                    {
                        let mut future = operation(&mut file);
                        assert!(poll_now(future.as_mut()).is_pending(), "{name}");
                        for _ in 0..jobs {
                            stepper.run_one();
                        }
                    }
                    drop(faults);
                    let call = async |file: &mut File| match next {
                        "flush" => file.flush().await,
                        "read" => file.read(&mut [0; 3]).await.map(drop),
                        "set_len" => file.set_len(12).await,
                        "sync_all" => file.sync_all().await,
                        _ => file.close().await,
                    };
                    let error = drive(&stepper, next, Box::pin(call(&mut file))).unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(5), "{next} after {name}");
                    drive(&stepper, next, Box::pin(call(&mut file)))
                        .unwrap_or_else(|error| panic!("{next} after {name}: twice {error}"));
                    told += 1;
                }
            }
        }
        figure(&format!(
            "cancel: {told} errors of changes that were cut, each told once by the next call"
        ));
    });
}

/// Polls the future with another waker each time, so many times before each job. Only the last is woken, and once.
fn swap_wakers(stepper: &Stepper, name: &str, mut future: Boxed<'_>, polls: usize) -> usize {
    let mut polled = 0;
    loop {
        let counts = (0..polls).map(|_| CountingWaker::new()).collect::<Vec<_>>();
        for count in &counts {
            let waker = count.waker();
            polled += 1;
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                result.unwrap_or_else(|error| panic!("{name}: {error}"));
                return polled;
            }
        }
        let (last, others) = counts.split_last().expect("there is one");
        while last.wakes() == 0 {
            assert!(stepper.run_one(), "{name}: the last waker is not woken");
        }
        assert_eq!(last.wakes(), 1, "{name}: woken more than once");
        let woken = others.iter().map(CountingWaker::wakes).sum::<usize>();
        assert_eq!(woken, 0, "{name}: a waker that was replaced is woken");
    }
}

#[test]
fn of_many_wakers_only_the_last_is_woken_and_once() {
    alone(|| {
        let stepper = Stepper::install();
        let dir = temp_dir();
        let path = dir.path().join("file");
        let wanted = iterations(10_000);
        let mut polls = 0;
        while polls < wanted {
            for (name, operation) in OPERATIONS {
                for each in [2, 5] {
                    fs::write(&path, numbered(1000)).unwrap();
                    let mut file = None;
                    let open = async {
                        let mut options = OpenOptions::new();
                        file = Some(options.read(true).write(true).open(&path).await?);
                        Ok(())
                    };
                    polls += swap_wakers(&stepper, "open", Box::pin(open), each);
                    let mut file = file.unwrap();
                    drive(
                        &stepper,
                        name,
                        Box::pin(async { file.write_all(b"on its way").await }),
                    )
                    .unwrap();
                    polls += swap_wakers(&stepper, name, operation(&mut file), each);
                    drop(file);
                    stepper.run_all();
                }
            }
        }
        figure(&format!(
            "cancel: {polls} polls with another waker each, only the last was woken, and once"
        ));
    });
}

#[test]
fn a_future_that_is_polled_by_one_thread_after_another_is_woken_where_it_was_last() {
    alone(|| {
        type Sent = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, numbered(100_000)).unwrap();
        let wanted = iterations(10_000);
        let round = |n: usize, path: std::path::PathBuf| -> Sent {
            match n % 4 {
                0 => Box::pin(async move { aiofiles::metadata(path).await.map(drop) }),
                1 => Box::pin(async move { aiofiles::read(path).await.map(drop) }),
                2 => Box::pin(async move {
                    let mut file = File::open(path).await?;
                    file.read_exact(&mut [0; 20_000]).await?;
                    file.seek(io::SeekFrom::End(-5)).await?;
                    file.read_to_end(&mut Vec::new()).await.map(drop)
                }),
                _ => Box::pin(async move {
                    let mut file = OpenOptions::new().write(true).open(path).await?;
                    file.write_all(&[1; 100]).await?;
                    file.flush().await?;
                    file.set_len(100_000).await?;
                    file.lock().await?;
                    file.write_at("x", 7).await.0?;
                    file.close().await
                }),
            }
        };
        // Two threads that poll what they are sent, once, with a waker of its own, and send it on.
        let (to_first, first) = channel::<(Sent, CountingWaker)>();
        let (to_second, second) = channel::<(Sent, CountingWaker)>();
        let (polled, answers) = channel();
        let polls = thread::scope(|scope| {
            for requests in [first, second] {
                let polled = polled.clone();
                scope.spawn(move || {
                    for (mut future, count) in requests {
                        let waker = count.waker();
                        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
                        drop(waker);
                        polled.send((future, poll)).unwrap();
                    }
                });
            }
            let mut polls = 0;
            for n in 0.. {
                if polls >= wanted {
                    break;
                }
                let mut future = round(n, path.clone());
                let mut counts = Vec::new();
                loop {
                    let count = CountingWaker::new();
                    let to = if polls % 2 == 0 {
                        &to_first
                    } else {
                        &to_second
                    };
                    to.send((future, count.clone())).unwrap();
                    polls += 1;
                    let (back, poll) = answers.recv().unwrap();
                    future = back;
                    counts.push(count);
                    if let Poll::Ready(result) = poll {
                        result.unwrap();
                        break;
                    }
                    // Every third time it is polled again although nobody asked.
                    let last = counts.last().expect("it was pushed");
                    while polls % 3 != 0 && last.wakes() == 0 {
                        thread::yield_now();
                    }
                }
                drop(future);
                for count in counts {
                    assert!(
                        count.wakes() <= 1,
                        "one waker was woken {} times",
                        count.wakes()
                    );
                }
            }
            drop((to_first, to_second));
            polls
        });
        figure(&format!(
            "cancel: {polls} polls from alternating threads, each waker woken at most once, none waited for in vain"
        ));
    });
}
