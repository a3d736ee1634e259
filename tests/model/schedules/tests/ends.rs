//! The ends of handles and of the process: what was accepted is written.

use std::ffi::c_int;
use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use aiofiles::set_max_concurrent_operations;
use aiofiles::testing::{Call, Faults};
use futures_lite::AsyncWriteExt as _;
use futures_lite::future::or;

use crate::writing::Marks;
use crate::{block_on, code, content, file, narrow_file, one_of, perhaps, schedules, thread};

const EIO: i32 = 5;

/// Also if the first try to write it fails.
#[test]
fn what_a_dropped_file_accepted_is_written() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut first, look) = if one_of(2) == 0 {
            file()
        } else {
            narrow_file()
        };
        let second = (one_of(2) == 0).then(|| block_on(first.try_clone()).unwrap());
        let faults = Faults::install();
        faults.fail(Call::Write, 0, one_of(2), EIO);
        let mut marks = Marks::of(1);
        for _ in 0..2 {
            let bytes = marks.peek(3);
            match perhaps(first.write(&bytes)) {
                Some(Ok(n)) => marks.accepted(n),
                Some(Err(error)) => assert_eq!(code(&error), EIO),
                None => {}
            }
        }
        let other = thread::spawn(move || drop(second));
        drop(first);
        other.join().unwrap();
        block_on(aiofiles::settle());
        marks.are_all_in(&content(&look));
    });
}

/// If it cannot be written, whoever closes hears of it, also if somebody else drops a handle meanwhile.
#[test]
fn closing_waits_for_what_was_accepted() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (first, look) = file();
        let second = block_on(first.try_clone()).unwrap();
        let mut writer = 0;
        let times = [0, 1, usize::MAX][one_of(3)];
        let threads = [first, second].map(|mut file| {
            writer += 1;
            let mut marks = Marks::of(writer);
            let look = look.try_clone().unwrap();
            thread::spawn(move || {
                let faults = Faults::install();
                faults.fail(Call::Write, one_of(2), times, EIO);
                for _ in 0..2 {
                    match block_on(file.write(&marks.peek(2))) {
                        Ok(n) => marks.accepted(n),
                        Err(error) => assert_eq!(code(&error), EIO),
                    }
                }
                if one_of(3) == 0 {
                    return drop(file);
                }
                match perhaps(file.close()) {
                    Some(Ok(())) => marks.are_all_in(&content(&look)),
                    Some(Err(error)) => assert_eq!(code(&error), EIO),
                    None => drop(file),
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        block_on(aiofiles::settle());
    });
}

/// What the crate has called at the end of the process.
static HOOK: OnceLock<extern "C" fn()> = OnceLock::new();

/// In place of that of the C library.
// SAFETY: nothing else in this program calls it.
#[unsafe(no_mangle)]
extern "C" fn atexit(hook: extern "C" fn()) -> c_int {
    let _ = HOOK.set(hook);
    0
}

/// Whoever waits is let go when the process has ended.
#[derive(Default)]
struct End {
    is_over: AtomicBool,
    waiting: Mutex<Vec<std::task::Waker>>,
}

impl End {
    async fn is_over(&self) {
        poll_fn(|cx| {
            if self.is_over.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            self.waiting.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn is_here(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(std::task::Waker::wake);
    }
}

#[test]
fn the_end_of_the_process_waits_for_what_was_accepted() {
    schedules(2000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let end = Arc::new(End::default());
        let files = [1, 2].map(|writer| {
            let (file, look) = if one_of(2) == 0 {
                file()
            } else {
                narrow_file()
            };
            block_on(file.stream_position()).unwrap();
            (writer, file, look)
        });
        // The pool may be held up for as long as the process lives.
        let (stuck, _look) = file();
        let faults = Faults::install();
        let gate = faults.stall(Call::Read, 0, usize::MAX);
        let mut stuck = Box::pin(async move { stuck.read_at(vec![0; 1], 0).await.0 });
        let holds_up = one_of(2) == 0 && crate::poll_now(stuck.as_mut()).is_pending();
        drop(faults);
        let files = files.map(|(writer, mut file, look)| {
            let marks = Arc::new(Mutex::new(Marks::of(writer)));
            let (end, ours) = (end.clone(), marks.clone());
            let writing = thread::spawn(move || {
                block_on(or(
                    async {
                        for _ in 0..3 {
                            let bytes = ours.lock().unwrap().peek(2);
                            let n = file.write(&bytes).await.unwrap();
                            ours.lock().unwrap().accepted(n);
                        }
                        drop(file);
                    },
                    end.is_over(),
                ));
            });
            (writing, marks, look)
        });
        for _ in 0..one_of(20) {
            thread::yield_now();
        }

        // What is accepted from now on is not promised.
        let accepted = [0, 1].map(|index| files[index].1.lock().unwrap().number());
        if let Some(hook) = HOOK.get() {
            hook();
        }
        for ((_, _, look), accepted) in files.iter().zip(accepted) {
            assert!(
                content(look).len() >= accepted,
                "{accepted} were accepted before, and not all are there"
            );
        }
        end.is_here();
        gate.open();
        if holds_up {
            assert_eq!(block_on(stuck).unwrap(), 0);
        }
        for (writing, marks, look) in files {
            writing.join().unwrap();
            block_on(aiofiles::settle());
            marks.lock().unwrap().are_all_in(&content(&look));
        }
    });
}
