//! `src/stream/write.rs`: the job that writes what was accepted, against writers, failures, and the end of handles.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiofiles::testing::{Call, Faults};
use aiofiles::{File, set_max_concurrent_operations};
use futures_lite::AsyncWriteExt as _;

use crate::{block_on, code, content, file, narrow_file, one_of, perhaps, schedules, thread};

/// Marks that only this writer makes, each another one: the next `len` of them.
pub(crate) struct Marks {
    writer: u8,
    next: u8,
}

impl Marks {
    pub(crate) fn of(writer: u8) -> Marks {
        Marks { writer, next: 0 }
    }

    /// Bytes to be written. They are new until they are accepted.
    pub(crate) fn peek(&self, len: usize) -> Vec<u8> {
        let next = self.next;
        (0..len as u8)
            .map(|n| self.writer << 6 | (next + n))
            .collect()
    }

    pub(crate) fn accepted(&mut self, n: usize) {
        self.next += n as u8;
        assert!(self.next < 1 << 6);
    }

    /// That all of them are in the file, each once and in their order.
    pub(crate) fn are_all_in(&self, content: &[u8]) {
        let found = content
            .iter()
            .copied()
            .filter(|byte| byte >> 6 == self.writer);
        assert!(
            found.eq(self
                .peek(0)
                .into_iter()
                .chain(Marks::of(self.writer).peek(self.next.into()))),
            "{} of writer {} were accepted, and this is there: {content:02x?}",
            self.next,
            self.writer
        );
    }

    pub(crate) fn number(&self) -> usize {
        self.next.into()
    }
}

/// Writes some marks, and may be cancelled before it.
fn write_some(file: &mut File, marks: &mut Marks) -> io::Result<()> {
    let bytes = marks.peek(1 + one_of(4));
    match perhaps(file.write(&bytes)) {
        Some(Ok(n)) => {
            marks.accepted(n);
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

#[test]
fn two_writers_of_one_file_lose_double_and_disorder_nothing() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (first, look) = if one_of(2) == 0 {
            file()
        } else {
            narrow_file()
        };
        let second = block_on(first.try_clone()).unwrap();
        let mut writer = 0;
        let threads = [first, second].map(|mut file| {
            writer += 1;
            let mut marks = Marks::of(writer);
            let look = look.try_clone().unwrap();
            thread::spawn(move || {
                for _ in 0..3 {
                    write_some(&mut file, &mut marks).unwrap();
                    if one_of(3) == 0 {
                        block_on(file.flush()).unwrap();
                        marks.are_all_in(&content(&look));
                    }
                }
                block_on(file.flush()).unwrap();
                marks.are_all_in(&content(&look));
                marks.number()
            })
        });
        let accepted = threads.map(|thread| thread.join().unwrap());
        assert_eq!(content(&look).len(), accepted.iter().sum::<usize>());
    });
}

/// Told at least once, and no `flush` says that all is well before all is written.
#[test]
fn a_tail_is_told_of_tried_again_and_not_forgotten() {
    const ENOSPC: i32 = 28;
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (first, look) = if one_of(2) == 0 {
            file()
        } else {
            narrow_file()
        };
        let second = block_on(first.try_clone()).unwrap();
        let failing = 1 + one_of(2);
        let told = Arc::new(AtomicUsize::new(0));
        let mut writer = 0;
        let threads = [first, second].map(|mut file| {
            writer += 1;
            let mut marks = Marks::of(writer);
            let (look, told) = (look.try_clone().unwrap(), told.clone());
            thread::spawn(move || {
                let faults = Faults::install();
                faults.fail(Call::Write, one_of(2), failing, ENOSPC);
                faults.short(Call::Write, 0, 2, 1);
                let tell = |error: io::Error| {
                    assert_eq!(code(&error), ENOSPC);
                    told.fetch_add(1, Ordering::Relaxed);
                };
                for _ in 0..3 {
                    let written = write_some(&mut file, &mut marks);
                    written.unwrap_or_else(&tell);
                    match perhaps(file.flush()) {
                        Some(Ok(())) => marks.are_all_in(&content(&look)),
                        Some(Err(error)) => tell(error),
                        None => {}
                    }
                }
                while let Err(error) = block_on(file.flush()) {
                    tell(error);
                }
                marks.are_all_in(&content(&look));
                (marks.number(), faults.struck())
            })
        });
        let (accepted, struck): (Vec<_>, Vec<_>) = threads
            .map(|thread| thread.join().unwrap())
            .into_iter()
            .unzip();
        assert_eq!(content(&look).len(), accepted.iter().sum::<usize>());
        // Shortened writes count as struck too.
        let failures = struck.iter().sum::<usize>().saturating_sub(4);
        assert!(
            failures == 0 || told.load(Ordering::Relaxed) > 0,
            "{failures} failures, and nobody knows"
        );
    });
}

/// `set_len` has its place between what was accepted before and after, whether or not anybody waits for it.
#[test]
fn a_change_that_is_cancelled_keeps_its_place() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut file, look) = file();
        let mut other = block_on(file.try_clone()).unwrap();
        let flusher = thread::spawn(move || {
            for _ in 0..2 {
                perhaps(other.flush()).unwrap_or(Ok(())).unwrap();
            }
        });
        block_on(file.write_all(b"aaaa")).unwrap();
        if one_of(2) == 0 {
            // Then it takes its place in the first poll.
            block_on(file.flush()).unwrap();
        }
        let cut = perhaps(file.set_len(2));
        block_on(file.write_all(b"bb")).unwrap();
        block_on(file.flush()).unwrap();
        flusher.join().unwrap();
        match (cut, &content(&look)[..]) {
            (None | Some(Ok(())), b"aa\0\0bb") | (None, b"aaaabb") => {}
            other => panic!("{other:?}"),
        }
    });
}

/// `flush` waits for every write at an offset that was begun before, also if it was cancelled.
#[test]
fn writes_at_offsets_are_waited_for() {
    schedules(1500, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (file, look) = file();
        block_on(file.stream_position()).unwrap();
        let file = Arc::new(file);
        let mut flushing = block_on(file.try_clone()).unwrap();
        let other = thread::spawn({
            let file = file.clone();
            move || {
                for round in 1..4 {
                    assert_eq!(block_on(file.write_at(vec![round], 1)).0.unwrap(), 1);
                }
            }
        });
        for round in 1..4 {
            // Nobody else flushes, so it begins at once.
            let mut write = Box::pin(file.write_at(vec![round], 0));
            if crate::poll_now(write.as_mut()).is_pending() && one_of(2) == 0 {
                assert_eq!(block_on(write).0.unwrap(), 1);
            }
            block_on(flushing.flush()).unwrap();
            assert_eq!(content(&look).first(), Some(&round));
        }
        other.join().unwrap();
    });
}
