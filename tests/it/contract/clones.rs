//! Rule 1: handles that were made from one another share one position and one write lane.

use std::io::SeekFrom;
use std::sync::Arc;

use aiofiles::File;
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::*;
use crate::support::{assert_same_bytes, every_runtime, iterations, numbered};

/// Rule 1: what one handle reads, the other has passed over; what one seeks, the other finds.
#[test]
fn clones_share_the_position() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut one = read_write().open(&path).await.unwrap();
        let mut other = one.try_clone().await.unwrap();
        let mut third = other.try_clone().await.unwrap();
        let mut buf = [0; 10];
        for round in 0..10 {
            for (n, file) in [&mut one, &mut other, &mut third].into_iter().enumerate() {
                file.read_exact(&mut buf).await.unwrap();
                assert_same_bytes(buf, &bytes[(round * 3 + n) * 10..][..10]);
            }
        }
        assert_eq!(other.stream_position().await.unwrap(), 300);
        third.seek(SeekFrom::Start(50_000)).await.unwrap();
        assert_eq!(one.stream_position().await.unwrap(), 50_000);
        one.read_exact(&mut buf).await.unwrap();
        assert_same_bytes(buf, &bytes[50_000..50_010]);
        filled(&mut other).await.unwrap();
        other.consume(10);
        assert_eq!(third.seek(SeekFrom::Current(0)).await.unwrap(), 50_020);
    });
}

/// Rule 1: bytes that clones write stand in the file in the order in which they were accepted.
#[test]
fn clones_write_one_after_another_in_one_lane() {
    every_runtime(|_| async {
        let (_dir, path) = sample("");
        let mut one = read_write().open(&path).await.unwrap();
        let mut other = one.try_clone().await.unwrap();
        let bytes = numbered(300_000);
        for (n, piece) in bytes.chunks(1000).enumerate() {
            let file = if n % 2 == 0 { &mut one } else { &mut other };
            file.write_all(piece).await.unwrap();
        }
        assert_eq!(one.stream_position().await.unwrap(), 300_000);
        // Flushing one flushes what the other has written.
        one.flush().await.unwrap();
        assert_same_bytes(on_disk(&path), &bytes);
    });
}

/// Rule 1: what one clone writes, the other reads, at once and everywhere.
#[test]
fn a_clone_reads_what_the_other_has_just_written() {
    every_runtime(|_| async {
        let (_dir, path) = sample(numbered(50_000));
        let mut writer = read_write().open(&path).await.unwrap();
        let mut reader = writer.try_clone().await.unwrap();
        let mut expected = numbered(50_000);
        let mut buf = vec![0; 3000];
        for round in 0..30u64 {
            let at = (round * 7919) % 40_000;
            writer.seek(SeekFrom::Start(at)).await.unwrap();
            writer.write_all(&[round as u8; 1000]).await.unwrap();
            expected[at as usize..][..1000].fill(round as u8);
            let from = at.saturating_sub(1000);
            reader.seek(SeekFrom::Start(from)).await.unwrap();
            reader.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(&buf, &expected[from as usize..][..3000]);
        }
    });
}

/// Rule 1: dropping or closing one handle leaves the others as they are.
#[test]
fn a_clone_outlives_the_handle_it_was_made_from() {
    every_runtime(|_| async {
        let (_dir, path) = sample("0123456789");
        let mut one = read_write().open(&path).await.unwrap();
        one.read_exact(&mut [0; 2]).await.unwrap();
        let mut other = one.try_clone().await.unwrap();
        one.write_all(b"ab").await.unwrap();
        drop(one);
        let mut third = other.try_clone().await.unwrap();
        other.write_all(b"cd").await.unwrap();
        other.close().await.unwrap();
        assert_eq!(on_disk(&path), b"01abcd6789");
        let mut rest = String::new();
        third.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "6789");
        third.close().await.unwrap();
    });
}

/// Rule 1: several tasks write through clones; every record is there once and whole. So for lanes, for append mode, and
/// for unbuffered files, where each write is one of the kernel.
#[test]
fn records_that_tasks_write_through_clones_are_each_there_once() {
    every_runtime(|rt| async move {
        let dir = crate::support::temp_dir();
        for (append, unbuffered) in [(false, false), (true, false), (false, true), (true, true)] {
            let path = dir.path().join(format!("{append} {unbuffered}"));
            let mut options = read_write();
            options.append(append).unbuffered(unbuffered);
            let file = options.open(&path).await.unwrap();
            let mut tasks = Vec::new();
            for task in 0..4 {
                let mut file = file.try_clone().await.unwrap();
                tasks.push(rt.spawn(async move {
                    for n in 0..iterations(50) {
                        let record = format!("{task}:{n:06}\n");
                        // One call each, so that records are pieces of a write or whole.
                        assert_eq!(file.write(record.as_bytes()).await.unwrap(), record.len());
                        futures_lite::future::yield_now().await;
                    }
                    file.flush().await.unwrap();
                }));
            }
            for task in tasks {
                task.await;
            }
            let text = String::from_utf8(on_disk(&path)).unwrap();
            let mut found: Vec<_> = text.lines().collect();
            found.sort_unstable();
            let mut expected: Vec<_> = (0..4)
                .flat_map(|task| (0..iterations(50)).map(move |n| format!("{task}:{n:06}")))
                .collect();
            expected.sort_unstable();
            assert_eq!(
                found.len(),
                expected.len(),
                "append: {append}, unbuffered: {unbuffered}"
            );
            assert_eq!(
                found, expected,
                "append: {append}, unbuffered: {unbuffered}"
            );
        }
    });
}

/// Rules 1 and 4: of two clones of an unbuffered file that write at once, each gets the answer to its own write, in
/// whatever order they are polled.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn two_clones_that_write_unbuffered_at_once_each_write_once() {
    use crate::support::poll_now;

    stepped(|stepper, _| {
        let dir = crate::support::temp_dir();
        for first_polled in [0, 1] {
            let path = dir.path().join(first_polled.to_string());
            let mut one = drive(stepper, read_write_unbuffered().open(&path)).unwrap();
            let mut other = drive(stepper, one.try_clone()).unwrap();
            let mut writes = [
                Box::pin(one.write(b"from one\n")),
                Box::pin(other.write(b"from the other\n")),
            ];
            let mut done = [None, None];
            for write in &mut writes {
                begin(write.as_mut());
            }
            for _ in 0..100 {
                stepper.run_all();
                for n in [first_polled, 1 - first_polled] {
                    if done[n].is_none()
                        && let Poll::Ready(result) = poll_now(writes[n].as_mut())
                    {
                        done[n] = Some(result.unwrap());
                    }
                }
            }
            assert_eq!(done, [Some(9), Some(15)]);
            let mut lines: Vec<_> = String::from_utf8(on_disk(&path))
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort_unstable();
            assert_eq!(lines, ["from one", "from the other"]);
        }
    });
}

/// Rule 1: several tasks read through clones; every byte comes to one of them, and none comes twice.
#[test]
fn clones_that_read_at_once_share_the_bytes_out() {
    every_runtime(|rt| async move {
        let bytes = numbered(400_000);
        let (_dir, path) = sample(&bytes);
        let file = File::open(&path).await.unwrap();
        let found = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let mut file = file.try_clone().await.unwrap();
            let found = found.clone();
            tasks.push(rt.spawn(async move {
                // Groups of eight tell their place; reads end at odd places only if a block does.
                let mut buf = vec![0; 800];
                loop {
                    let n = file.read(&mut buf).await.unwrap();
                    if n == 0 {
                        return;
                    }
                    found.lock().unwrap().push(buf[..n].to_vec());
                }
            }));
        }
        for task in tasks {
            task.await;
        }
        let mut pieces = std::mem::take(&mut *found.lock().unwrap());
        assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), bytes.len());
        assert!(pieces.iter().all(|piece| piece.len() % 8 == 0));
        let place = |piece: &Vec<u8>| {
            bytes
                .chunks(8)
                .position(|group| group == &piece[..8])
                .unwrap()
        };
        pieces.sort_by_cached_key(place);
        assert_same_bytes(pieces.concat(), bytes);
    });
}

/// Rule 1: `into_std` of one handle while another reads comes to an end, and so does the read.
#[test]
fn into_std_of_a_clone_does_not_stop_a_reader() {
    every_runtime(|rt| async move {
        let bytes = numbered(200_000);
        let (_dir, path) = sample(&bytes);
        for _ in 0..10 {
            let mut file = File::open(&path).await.unwrap();
            let clone = file.try_clone().await.unwrap();
            let reader = rt.spawn(async move {
                let mut found = Vec::new();
                file.read_to_end(&mut found).await.unwrap();
                found
            });
            let std = clone.into_std().await.unwrap();
            assert_same_bytes(reader.await, &bytes);
            drop(std);
        }
    });
}

/// Rule 1: the same, with both polled at every wake-up, the reader first.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn into_std_and_a_reader_on_one_thread_do_not_keep_each_other_from_ending() {
    stepped(|stepper, _| {
        let bytes = numbered(20_000);
        let (_dir, path) = sample(&bytes);
        let mut file = drive(stepper, File::open(&path)).unwrap();
        let clone = drive(stepper, file.try_clone()).unwrap();
        let mut buf = [0; 100];
        let both = futures_lite::future::zip(file.read_exact(&mut buf), clone.into_std());
        let (read, std) = drive(stepper, both);
        read.unwrap();
        std.unwrap();
        assert_same_bytes(buf, &bytes[..100]);
    });
}

/// Rule 1: while clones exist, `into_std` gives a descriptor of the same open file, and the clones go on.
#[test]
fn clones_go_on_after_into_std_of_one_of_them() {
    every_runtime(|_| async {
        use std::io::{Read as _, Seek as _};

        let bytes = numbered(50_000);
        let (_dir, path) = sample(&bytes);
        let mut one = read_write().open(&path).await.unwrap();
        let mut other = one.try_clone().await.unwrap();
        one.read_exact(&mut [0; 100]).await.unwrap();
        let mut std = one.into_std().await.unwrap();
        let mut buf = [0; 100];
        std.read_exact(&mut buf).unwrap();
        assert_same_bytes(buf, &bytes[100..200]);
        // The clone stands where it stood; regular files do not share the kernel's position with us.
        other.read_exact(&mut buf).await.unwrap();
        assert_same_bytes(buf, &bytes[100..200]);
        other.write_all(b"late").await.unwrap();
        other.close().await.unwrap();
        std.seek(SeekFrom::Start(200)).unwrap();
        std.read_exact(&mut buf[..4]).unwrap();
        assert_eq!(&buf[..4], b"late");
    });
}

/// Rule 1: a clone of a FIFO is never made blocking by the `into_std` of another: its polls would hold the executor.
#[cfg(target_os = "linux")]
#[test]
fn into_std_of_a_fifo_does_not_make_the_polls_of_a_clone_block() {
    use std::io::Write as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use crate::support::{poll_now, within_limit};

    within_limit("polls of a clone", || {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (mut clone, std, mut writer) = futures_lite::future::block_on(async {
            let one = File::open(&path).await.unwrap();
            let mut clone = one.try_clone().await.unwrap();
            let mut writer = std::fs::File::options().write(true).open(&path).unwrap();
            writer.write_all(b"x").unwrap();
            clone.read_exact(&mut [0]).await.unwrap();
            (clone, one.into_std().await.unwrap(), writer)
        });
        let mut buf = [0; 4];
        // Nothing is there to be read, so this is pending; or it blocks, and the test hangs.
        assert!(poll_now(std::pin::pin!(clone.read(&mut buf))).is_pending());
        writer.write_all(b"late").unwrap();
        futures_lite::future::block_on(clone.read_exact(&mut buf)).unwrap();
        assert_eq!(&buf, b"late");
        drop(std);
    });
}

/// Rule 1: bytes that clones write, while another consumes what `fill_buf` lent it, stand where the position says.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_clone_that_consumes_while_another_writes_does_not_misplace_bytes() {
    stepped(|stepper, _| {
        let (_dir, path) = sample([b'.'; 100]);
        let mut reader = drive(stepper, read_write().open(&path)).unwrap();
        let mut writer = drive(stepper, reader.try_clone()).unwrap();
        drive(stepper, filled(&mut reader)).unwrap();
        // The position is at 5 after this, and the bytes are still on their way.
        drive(stepper, writer.write_all(b"12345")).unwrap();
        reader.consume(3);
        let at = drive(stepper, writer.stream_position()).unwrap();
        drive(stepper, writer.write_all(b"x")).unwrap();
        assert_eq!(drive(stepper, writer.stream_position()).unwrap(), at + 1);
        drive(stepper, writer.flush()).unwrap();
        let found = on_disk(&path).iter().position(|b| *b == b'x');
        assert_eq!(found, Some(at as usize));
    });
}

/// Rule 1: `try_clone` waits for what is on its way.
#[test]
fn a_clone_is_made_after_the_writes_before_it() {
    every_runtime(|_| async {
        let dir = crate::support::temp_dir();
        let path = dir.path().join("file");
        let mut file = File::create(&path).await.unwrap();
        let bytes = numbered(500_000);
        file.write_all(&bytes).await.unwrap();
        let clone = file.try_clone().await.unwrap();
        assert_same_bytes(on_disk(&path), bytes);
        drop(clone);
    });
}
