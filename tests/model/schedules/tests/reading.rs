//! `src/stream/read.rs`: the job that reads ahead, against readers that go away, and changes.

use std::collections::BTreeSet;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aiofiles::set_max_concurrent_operations;
use aiofiles::testing::{Call, Faults};
use futures_lite::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _};

use crate::{block_on, code, file, narrow_file, one_of, perhaps, schedules, thread};

/// Longer than what is read ahead at first.
const LEN: usize = 20_000;

/// What stands at an offset: the offset, and in its highest bit whether it was changed.
fn byte(offset: usize) -> u8 {
    (offset % 127) as u8
}

const CHANGED: u8 = 0x80;

fn bytes() -> Vec<u8> {
    (0..LEN).map(byte).collect()
}

/// Two readers of one position share the bytes, and those that are cancelled take none.
#[test]
fn readers_that_go_away_lose_and_double_nothing() {
    schedules(1000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut first, mut look) = file();
        look.write_all(&bytes()).unwrap();
        block_on(first.seek(SeekFrom::Start(0))).unwrap();
        let second = block_on(first.try_clone()).unwrap();
        let threads = [first, second].map(|mut file| {
            thread::spawn(move || {
                let faults = Faults::install();
                faults.short(Call::Read, one_of(2), 1, 1000);
                let mut got = Vec::new();
                loop {
                    let mut buf = vec![0; 1 + one_of(8000)];
                    match perhaps(file.read(&mut buf)) {
                        Some(Ok(0)) => return got,
                        Some(Ok(n)) => got.push(buf[..n].to_vec()),
                        Some(Err(error)) => panic!("{error}"),
                        None => {}
                    }
                }
            })
        });
        let got = threads.map(|thread| thread.join().unwrap());

        // The pieces of both are the bytes of the file, taken in turns of some kind.
        let fits = |at: usize, piece: &[u8]| (0..piece.len()).all(|n| piece[n] == byte(at + n));
        let mut ways = vec![(0, 0, 0)];
        let mut seen = BTreeSet::new();
        let mut is_possible = false;
        while let Some((first, second, at)) = ways.pop() {
            is_possible |= (first, second, at) == (got[0].len(), got[1].len(), LEN);
            if !seen.insert((first, second)) {
                continue;
            }
            if let Some(piece) = got[0].get(first).filter(|piece| fits(at, piece)) {
                ways.push((first + 1, second, at + piece.len()));
            }
            if let Some(piece) = got[1].get(second).filter(|piece| fits(at, piece)) {
                ways.push((first, second + 1, at + piece.len()));
            }
        }
        let lens = got.map(|got| got.iter().map(Vec::len).collect::<Vec<_>>());
        assert!(
            is_possible,
            "bytes were lost or doubled in pieces of {lens:?}"
        );
    });
}

/// A read that begins after a change has ended finds it, through every handle.
#[test]
fn nothing_stale_is_read_after_a_change() {
    schedules(1000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut reader, mut look) = file();
        look.write_all(&bytes()).unwrap();
        block_on(reader.seek(SeekFrom::Start(0))).unwrap();
        let writer = block_on(reader.try_clone()).unwrap();
        let has_changed = Arc::new(AtomicBool::new(false));
        let changing = thread::spawn({
            let has_changed = has_changed.clone();
            move || {
                let changed = bytes()
                    .iter()
                    .map(|byte| byte | CHANGED)
                    .collect::<Vec<_>>();
                assert_eq!(block_on(writer.write_at(changed, 0)).0.unwrap(), LEN);
                has_changed.store(true, Ordering::Relaxed);
            }
        });
        let mut at = 0;
        let mut by_lines = one_of(2) == 0;
        loop {
            let is_new = has_changed.load(Ordering::Relaxed);
            let mut buf = vec![0; 1 + one_of(6000)];
            let n = if by_lines {
                perhaps(reader.fill_buf()).map(|lent| {
                    let lent = lent.unwrap();
                    let n = lent.len().min(buf.len());
                    buf[..n].copy_from_slice(&lent[..n]);
                    n
                })
            } else {
                perhaps(reader.read(&mut buf)).map(Result::unwrap)
            };
            let Some(n) = n else { continue };
            for byte_there in &buf[..n] {
                assert_eq!(byte_there & !CHANGED, byte(at));
                assert!(!is_new || byte_there & CHANGED != 0, "byte {at} is stale");
                at += 1;
            }
            if by_lines {
                reader.consume(n);
            }
            if n == 0 {
                break;
            }
            by_lines ^= one_of(4) == 0;
        }
        assert_eq!(at, LEN);
        changing.join().unwrap();
    });
}

/// An error of a job is told to whoever waits for the bytes, and they can be read later.
#[test]
fn errors_of_reading_ahead_are_told_where_they_belong() {
    const EIO: i32 = 5;
    schedules(1000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut file, mut look) = narrow_file();
        look.write_all(b"12345678").unwrap();
        let faults = Faults::install();
        faults.fail(Call::Read, one_of(3), 1 + one_of(2), EIO);
        let mut got = Vec::new();
        loop {
            let mut buf = [0; 3];
            match perhaps(file.read(&mut buf)) {
                Some(Ok(0)) => break,
                Some(Ok(n)) => got.extend_from_slice(&buf[..n]),
                Some(Err(error)) => assert_eq!(code(&error), EIO),
                None => {}
            }
        }
        assert_eq!(got, b"12345678");
    });
}

/// Wherever somebody reads, and whoever has gone away before, there is what stands there.
#[test]
fn a_reader_that_jumps_finds_what_stands_there() {
    schedules(1000, || {
        set_max_concurrent_operations([1, 2, 64][one_of(3)]);
        let (mut file, mut look) = file();
        look.write_all(&bytes()).unwrap();
        block_on(file.seek(SeekFrom::Start(0))).unwrap();
        let mut at = 0;
        for _ in 0..8 {
            if one_of(2) == 0 {
                let to = [0, one_of(LEN), LEN - one_of(3), LEN][one_of(4)];
                if let Some(moved) = perhaps(file.seek(SeekFrom::Start(to as u64))) {
                    assert_eq!(moved.unwrap(), to as u64);
                }
                at = block_on(file.stream_position()).unwrap() as usize;
            }
            let mut buf = vec![0; 1 + one_of(9000)];
            if let Some(read) = perhaps(file.read(&mut buf)) {
                let n = read.unwrap();
                assert!(n > 0 || at == LEN, "an end at {at}");
                for (n, found) in buf[..n].iter().enumerate() {
                    assert_eq!(*found, byte(at + n), "byte {n} of a read at {at}");
                }
                at += n;
            }
        }
        // What reads ahead has left the file when somebody else has it.
        drop(perhaps(file.read(&mut [0; 1])));
        let at = block_on(file.stream_position()).unwrap();
        let mut file = block_on(file.into_std()).unwrap();
        assert_eq!(file.stream_position().unwrap(), at);
    });
}
