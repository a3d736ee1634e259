//! Rule 8: reading ahead is coherent; and how far it goes.

use std::fs;
use std::io::{SeekFrom, Write as _};

use aiofiles::{BackendKind, File};
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use super::*;
use crate::support::{alone, assert_same_bytes, every_runtime, numbered};

/// Rule 8: what was read ahead is thrown away when a handle of the same file changes it, in whatever way.
#[test]
fn no_reader_finds_what_was_there_before_a_change_of_a_clone() {
    every_runtime(|_| async {
        let bytes = numbered(100_000);
        for change in 0..5 {
            let (dir, path) = sample(&bytes);
            let mut reader = read_write().open(&path).await.unwrap();
            let mut clone = reader.try_clone().await.unwrap();
            let mut start = [0; 100];
            reader.read_exact(&mut start).await.unwrap();
            let mut expected = bytes.clone();
            match change {
                0 => {
                    clone.seek(SeekFrom::Start(150)).await.unwrap();
                    clone.write_all(b"new").await.unwrap();
                    expected[150..153].copy_from_slice(b"new");
                }
                1 => {
                    clone.set_len(120).await.unwrap();
                    expected.truncate(120);
                }
                2 => {
                    clone.set_len(120).await.unwrap();
                    clone.set_len(200).await.unwrap();
                    expected.truncate(120);
                    expected.resize(200, 0);
                }
                3 => {
                    let other = dir.path().join("other");
                    fs::write(&other, [b'n'; 500]).unwrap();
                    clone.seek(SeekFrom::Start(110)).await.unwrap();
                    let mut other = File::open(&other).await.unwrap();
                    let copied = aiofiles::copy_between(&mut other, &mut clone).await;
                    assert_eq!(copied.unwrap(), 500);
                    expected[110..610].fill(b'n');
                }
                _ => {
                    // The same handle changes what it has read ahead itself.
                    drop(clone);
                    reader.write_all(b"own").await.unwrap();
                    expected[100..103].copy_from_slice(b"own");
                }
            }
            reader.seek(SeekFrom::Start(100)).await.unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert_same_bytes(rest, &expected[100..]);
        }
    });
}

/// Rule 8: the same while a job reads ahead: a change in the middle of its reads leaves nothing old behind.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_change_during_a_read_leaves_nothing_old() {
    use aiofiles::testing::Call;

    with_faults(|faults| {
        futures_lite::future::block_on(async {
            for nth in 0..3 {
                let (_dir, path) = sample([b'o'; 100_000]);
                let mut reader = read_write().open(&path).await.unwrap();
                let mut clone = reader.try_clone().await.unwrap();
                let mut found = vec![0; 1000];
                reader.read_exact(&mut found[..500]).await.unwrap();
                faults.clear();
                let gate = Held::new(faults, Call::Read, nth);
                {
                    // Somewhere on its way to the end it is held back, or it is not.
                    let mut reading = Box::pin(reader.read_to_end(&mut found));
                    for _ in 0..20 {
                        let _ = crate::support::poll_now(reading.as_mut());
                        aiofiles::metadata(&path).await.unwrap();
                    }
                }
                clone.seek(SeekFrom::Start(0)).await.unwrap();
                clone.write_all(&[b'n'; 100_000]).await.unwrap();
                gate.open();
                clone.seek(SeekFrom::Start(0)).await.unwrap();
                let mut all = Vec::new();
                reader.read_to_end(&mut all).await.unwrap();
                assert_same_bytes(all, [b'n'; 100_000]);
            }
        });
    });
}

/// Rule 8: end of file is never remembered: a file that grows is read on, however it grows.
#[test]
fn a_file_that_grows_is_read_on_after_its_end() {
    every_runtime(|_| async {
        for unbuffered in [false, true] {
            let (_dir, path) = sample("");
            let mut other = fs::File::options().append(true).open(&path).unwrap();
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let mut buf = vec![0; 100_000];
            for len in [1, 8192, 8191, 16_384, 40_960, 65_536, 3] {
                assert_eq!(file.read(&mut buf).await.unwrap(), 0);
                assert_eq!(filled(&mut file).await.unwrap(), b"");
                other.write_all(&numbered(len)).unwrap();
                file.read_exact(&mut buf[..len]).await.unwrap();
                assert_same_bytes(&buf[..len], numbered(len));
            }
            let end = file.stream_position().await.unwrap();
            assert_eq!(file.read(&mut buf).await.unwrap(), 0);
            file.set_len(end + 5).await.unwrap();
            assert_eq!(file.read(&mut buf).await.unwrap(), 5);
            assert_eq!(file.read(&mut buf).await.unwrap(), 0);
        }
    });
}

/// Rule 8: nor is the end remembered that a job found while it read ahead, long before the reader comes there.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_end_of_file_that_was_found_ahead_is_not_remembered() {
    stepped(|stepper, _| {
        // Lengths at which blocks of every growth end just at the end of the file.
        for len in [
            8192, 16_384, 40_960, 32_768, 65_536, 131_072, 172_032, 262_144,
        ] {
            let (_dir, path) = sample(numbered(len));
            let mut file = drive(stepper, File::open(&path)).unwrap();
            let mut found = vec![0; len];
            for piece in found.chunks_mut(4096) {
                drive(stepper, file.read_exact(piece)).unwrap();
                stepper.run_all();
            }
            assert_same_bytes(&found, numbered(len));
            fs::File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"grown")
                .unwrap();
            let mut buf = [0; 10];
            let n = drive(stepper, file.read(&mut buf)).unwrap();
            assert_eq!(&buf[..n], b"grown", "{len} bytes");
        }
    });
}

/// Rule 8: nor the end that a cancelled read was to be told of.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_end_of_file_that_nobody_was_told_is_not_remembered() {
    stepped(|stepper, _| {
        let (_dir, path) = sample(numbered(100));
        let mut file = drive(stepper, read_write().open(&path)).unwrap();
        drive(stepper, file.seek(SeekFrom::Start(100))).unwrap();
        let mut buf = [0; 50];

        // Our own handle makes the file longer.
        begin(std::pin::pin!(file.read(&mut buf)));
        stepper.run_all();
        drive(stepper, file.set_len(110)).unwrap();
        assert_eq!(drive(stepper, file.read(&mut buf)).unwrap(), 10);

        // Others do. A read could not be told from the next poll of the cancelled one, so something else comes between.
        begin(std::pin::pin!(file.read(&mut buf)));
        stepper.run_all();
        assert_eq!(
            drive(stepper, file.seek(SeekFrom::Current(0))).unwrap(),
            110
        );
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&[1; 7])
            .unwrap();
        assert_eq!(drive(stepper, file.read(&mut buf)).unwrap(), 7);

        // Or some time.
        begin(std::pin::pin!(file.read(&mut buf)));
        stepper.run_all();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&[1; 9])
            .unwrap();
        assert_eq!(drive(stepper, file.read(&mut buf)).unwrap(), 9);
    });
}

/// Rule 8: nor the end that `fill_buf` has told. Its future polls the file twice, and the second poll leaves no answer
/// behind.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_end_of_file_that_fill_buf_told_is_not_told_again() {
    stepped(|stepper, _| {
        let (_dir, path) = sample("");
        let mut file = drive(stepper, File::open(&path)).unwrap();
        assert_eq!(drive(stepper, file.fill_buf()).unwrap(), b"");
        stepper.run_all();
        fs::write(&path, "grown").unwrap();
        let mut buf = [0; 10];
        assert_eq!(drive(stepper, file.read(&mut buf)).unwrap(), 5);
    });
}

/// Rule 8: an error that was found ahead of the reader is told when the reader comes there, and everything before it is
/// read first.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn an_error_ahead_of_the_reader_costs_no_byte_before_it() {
    use aiofiles::testing::Call;

    stepped(|stepper, faults| {
        let bytes = numbered(500_000);
        let (_dir, path) = sample(&bytes);
        for nth in 0..8 {
            let mut file = drive(stepper, File::open(&path)).unwrap();
            faults.clear();
            faults.fail(Call::Read, nth, 1, code::EIO);
            let mut found = Vec::new();
            let mut errors = 0;
            loop {
                let mut buf = [0; 3000];
                match drive(stepper, file.read(&mut buf)) {
                    Ok(0) => break,
                    Ok(n) => found.extend_from_slice(&buf[..n]),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(code::EIO));
                        assert_eq!(
                            drive(stepper, file.stream_position()).unwrap(),
                            found.len() as u64
                        );
                        errors += 1;
                    }
                }
            }
            assert_same_bytes(found, &bytes);
            // One that nobody waited for may have been found out anew, and been gone by then.
            assert!(errors <= 1);
        }
    });
}

/// Rule 8: reading goes on byte for byte, whatever seeks come between, near and far, forward and back.
#[test]
fn seeks_near_and_far_find_their_bytes() {
    every_runtime(|_| async {
        let bytes = numbered(600_000);
        let (_dir, path) = sample(&bytes);
        let mut file = File::open(&path).await.unwrap();
        let seed = crate::support::Seed::new();
        let mut rng = seed.rng();
        let mut at = 0usize;
        for _ in 0..crate::support::iterations(500) {
            match rng.u8(..4) {
                0 => at = rng.usize(..600_000),
                1 => at = (at + rng.usize(..10_000)).min(600_000),
                2 => at = at.saturating_sub(rng.usize(..10_000)),
                _ => {}
            }
            file.seek(SeekFrom::Start(at as u64)).await.unwrap();
            let mut buf = vec![0; rng.usize(1..20_000)];
            let n = file.read(&mut buf).await.unwrap();
            assert!(n > 0 || at == 600_000);
            assert_same_bytes(&buf[..n], &bytes[at..at + n]);
            at += n;
        }
    });
}

/// Rule 8: several slices are filled one after the other.
#[test]
fn slices_are_filled_in_order() {
    every_runtime(|_| async {
        use std::io::IoSliceMut;

        for unbuffered in [false, true] {
            let bytes = numbered(10_000);
            let (_dir, path) = sample(&bytes);
            let mut file = read_write()
                .unbuffered(unbuffered)
                .open(&path)
                .await
                .unwrap();
            let (mut a, mut b, mut c) = ([0; 7], [0; 500], [0; 93]);
            let slices = &mut [
                IoSliceMut::new(&mut a),
                IoSliceMut::new(&mut []),
                IoSliceMut::new(&mut b),
                IoSliceMut::new(&mut c),
            ];
            let n = file.read_vectored(slices).await.unwrap();
            let found = [&a[..], &b, &c].concat();
            assert!(n > 0);
            assert_same_bytes(&found[..n], &bytes[..n]);
            assert!(found[n..].iter().all(|b| *b == 0));
            if !unbuffered {
                assert_eq!(n, 600);
            }
            assert_eq!(file.stream_position().await.unwrap(), n as u64);
            assert_eq!(file.read_vectored(&mut []).await.unwrap(), 0);
            assert_eq!(file.read(&mut []).await.unwrap(), 0);
            assert_eq!(file.stream_position().await.unwrap(), n as u64);
        }
    });
}

/// What this process has read so far, without what this function itself reads.
#[cfg(target_os = "linux")]
struct Pulled {
    own: u64,
    base: u64,
}

#[cfg(target_os = "linux")]
impl Pulled {
    fn new() -> Pulled {
        let mut pulled = Pulled { own: 0, base: 0 };
        pulled.base = pulled.all();
        pulled
    }

    fn all(&mut self) -> u64 {
        let text = fs::read_to_string("/proc/self/io").expect("Linux counts what is read");
        let rchar = text.strip_prefix("rchar: ").expect("the first line");
        let rchar: u64 = rchar.lines().next().unwrap().parse().unwrap();
        let others = rchar - self.own;
        self.own += text.len() as u64;
        others
    }

    /// Bytes since `new`.
    fn bytes(&mut self) -> u64 {
        self.all() - self.base
    }
}

/// What the reactor reads from its own descriptors meanwhile.
#[cfg(target_os = "linux")]
const SLACK: u64 = 2048;

/// Waits until nothing is read any more.
#[cfg(target_os = "linux")]
async fn quiet() {
    // A job that is between the queue and its end is counted as one or the other, except for an instant.
    for _ in 0..3 {
        until(|| {
            let backend = aiofiles::backend();
            backend.queued() == 0 && backend.running() == 0 && backend.drainers() == 0
        })
        .await;
    }
}

/// Options for reading in a way that the kernel counts: it does not count what goes through io_uring.
#[cfg(target_os = "linux")]
fn counted() -> aiofiles::OpenOptions {
    let mut options = File::options();
    options.read(true);
    if std::env::var_os("AIOFILES_BACKEND").is_some_and(|backend| backend == "uring") {
        options.backend(BackendKind::Pool);
    }
    options
}

/// Read-ahead bounds, and the fault of a peer: reading a header of 16 bytes pulls in at most 16 KiB, in each of many
/// files.
#[cfg(target_os = "linux")]
#[test]
fn reading_a_header_pulls_in_little_of_the_file() {
    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(4 << 20));
            drop(File::open(&path).await.unwrap());
            quiet().await;
            let mut pulled = Pulled::new();
            for round in 1..=20 {
                let mut file = counted().open(&path).await.unwrap();
                file.read_exact(&mut [0; 16]).await.unwrap();
                quiet().await;
                let bytes = pulled.bytes();
                assert!(bytes >= round * 16);
                assert!(
                    bytes <= round * 16 * 1024,
                    "{bytes} bytes for {round} headers"
                );
            }
        });
    });
}

/// Read-ahead bounds: reads at random places pull in little more than they ask for.
#[cfg(target_os = "linux")]
#[test]
fn reads_at_random_places_read_nothing_ahead() {
    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(16 << 20));
            let mut file = File::open(&path).await.unwrap();
            quiet().await;
            for size in [100u64, 4096, 65_536] {
                let mut pulled = Pulled::new();
                let mut buf = vec![0; size as usize];
                for n in 0..50u64 {
                    let at = (n * 7_919 * 1013) % (15 << 20);
                    file.seek(SeekFrom::Start(at)).await.unwrap();
                    file.read_exact(&mut buf).await.unwrap();
                }
                quiet().await;
                let bytes = pulled.bytes();
                let most = 50 * size.max(8192) + SLACK;
                assert!(bytes <= most, "{bytes} bytes for 50 reads of {size}");
            }
        });
    });
}

/// Read-ahead bounds: a reader has at most about a megabyte ahead of it, and at most `buffer_size`, if that was set.
#[cfg(target_os = "linux")]
#[test]
fn no_more_is_ahead_of_a_reader_than_the_bound() {
    alone(|| {
        futures_lite::future::block_on(async {
            let (_dir, path) = sample(numbered(8 << 20));
            for buffer_size in [
                None,
                Some(1),
                Some(4096),
                Some(10_000),
                Some(65_536),
                Some(300_000),
            ] {
                // What is read in the poll that asks is not read ahead.
                let mut options = File::options();
                options.read(true).backend(BackendKind::Pool);
                if let Some(size) = buffer_size {
                    options.buffer_size(size);
                }
                let mut file = options.open(&path).await.unwrap();
                quiet().await;
                let mut pulled = Pulled::new();
                let bound = buffer_size.unwrap_or(1 << 20) as u64;
                let mut most = 0;
                let step = (bound / 10).clamp(1, 50_000);
                let mut buf = vec![0; step as usize];
                for n in 1..=150 {
                    file.read_exact(&mut buf).await.unwrap();
                    quiet().await;
                    most = most.max(pulled.bytes() - n * step);
                }
                // What the bound says, and for the default a block that is on its way.
                let allowed = if buffer_size.is_none() {
                    bound + 256 * 1024
                } else {
                    bound
                };
                assert!(
                    most <= allowed + SLACK,
                    "{most} bytes ahead with a bound of {bound}"
                );
                if buffer_size.is_none() {
                    assert!(most > 100_000, "only {most} bytes are read ahead");
                }
            }
        });
    });
}

/// Read-ahead bounds: a file is read once, not again and again, when it is read from beginning to end.
#[cfg(target_os = "linux")]
#[test]
fn sequential_reading_reads_every_byte_once() {
    alone(|| {
        futures_lite::future::block_on(async {
            let bytes = numbered(4 << 20);
            let (_dir, path) = sample(&bytes);
            for size in [1000, 65_536, 1 << 20] {
                let mut file = counted().open(&path).await.unwrap();
                quiet().await;
                let mut pulled = Pulled::new();
                let mut found = Vec::new();
                let mut buf = vec![0; size];
                loop {
                    let n = file.read(&mut buf).await.unwrap();
                    if n == 0 {
                        break;
                    }
                    found.extend_from_slice(&buf[..n]);
                }
                quiet().await;
                let bytes_read = pulled.bytes() - (4 << 20);
                assert!(
                    bytes_read <= SLACK,
                    "{bytes_read} bytes too many in reads of {size}"
                );
                assert_same_bytes(found, &bytes);
            }
        });
    });
}

/// Memory: buffers of all files together keep to a budget, and every file can still be read and written beside it.
#[cfg(target_os = "linux")]
#[test]
fn many_readers_and_writers_keep_to_the_budget() {
    alone(|| {
        futures_lite::future::block_on(async {
            let bytes = numbered(2 << 20);
            let (dir, path) = sample(&bytes);
            let mut readers = Vec::new();
            let mut writers = Vec::new();
            for n in 0..64 {
                readers.push(File::open(&path).await.unwrap());
                writers.push(File::create(dir.path().join(n.to_string())).await.unwrap());
            }
            let mut most = 0;
            let mut buf = vec![0; 32 * 1024];
            for at in (0..bytes.len()).step_by(buf.len()) {
                for (reader, writer) in readers.iter_mut().zip(&mut writers) {
                    reader.read_exact(&mut buf).await.unwrap();
                    assert_same_bytes(&buf, &bytes[at..at + buf.len()]);
                    writer.write_all(&buf).await.unwrap();
                    most = most.max(aiofiles::backend().buffered());
                }
            }
            // A few megabytes, where without a budget it would be some 64 and 16.
            assert!(most > 0);
            assert!(most <= 8 << 20, "{most} bytes of buffers");
            for (n, mut writer) in writers.into_iter().enumerate() {
                writer.close().await.unwrap();
                assert_same_bytes(on_disk(&dir.path().join(n.to_string())), &bytes);
            }
            drop(readers);
            until(|| aiofiles::backend().buffered() == 0).await;
        });
    });
}

/// Memory: the buffers of files that nobody uses are given back, and reading goes on afterwards.
#[test]
fn idle_buffers_are_given_back() {
    alone(|| {
        futures_lite::future::block_on(async {
            let bytes = numbered(4 << 20);
            let (_dir, path) = sample(&bytes);
            let mut options = read_write();
            let options = options.backend(BackendKind::Pool);
            let mut file = options.open(&path).await.unwrap();
            let mut buf = vec![0; 1 << 20];
            file.read_exact(&mut buf).await.unwrap();
            assert!(aiofiles::backend().buffered() > 0);
            until(|| aiofiles::backend().buffered() == 0).await;
            file.read_exact(&mut buf).await.unwrap();
            assert_same_bytes(&buf, &bytes[1 << 20..2 << 20]);

            file.write_all(&vec![b'w'; 1 << 20]).await.unwrap();
            file.flush().await.unwrap();
            until(|| aiofiles::backend().buffered() == 0).await;
            file.write_all(b"again").await.unwrap();
            file.flush().await.unwrap();
            assert_eq!(
                &on_disk(&path)[3 << 20..][..6],
                [b"again", &bytes[(3 << 20) + 5..][..1]].concat()
            );
        });
    });
}

/// Memory: the same after a panic of a job has passed through the file.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn idle_buffers_are_given_back_after_a_panic() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::{Call, Faults};
    use futures_lite::future::block_on;

    alone(|| {
        let bytes = numbered(4 << 20);
        let (_dir, path) = sample(&bytes);
        let faults = Faults::install();
        let mut file = block_on(File::open(&path)).unwrap();
        faults.panic(Call::Read, 0, 1);
        let mut buf = vec![0; 1 << 20];
        catch_unwind(AssertUnwindSafe(|| block_on(file.read(&mut buf)))).unwrap_err();
        block_on(file.read_exact(&mut buf)).unwrap();
        assert_same_bytes(&buf, &bytes[..1 << 20]);
        wait_until("the buffers are given back", || {
            aiofiles::backend().buffered() == 0
        });
    });
}

/// A panic in a job that reads reaches the task that waits for it, and leaves file, clone and pool usable.
#[cfg(all(unix, feature = "testing"))]
#[test]
fn a_panic_while_reading_reaches_the_reader_and_nobody_else() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use aiofiles::testing::Call;

    with_faults(|faults| {
        use futures_lite::future::block_on;

        let bytes = numbered(100_000);
        let (_dir, path) = sample(&bytes);
        let mut file = block_on(File::open(&path)).unwrap();
        let mut clone = block_on(file.try_clone()).unwrap();
        for round in 0..20 {
            // Far from where the clones have read before.
            let at = (round % 2) * 50_000 + 10_000;
            block_on(file.seek(SeekFrom::Start(at as u64))).unwrap();
            faults.panic(Call::Read, 0, 1);
            let mut buf = [0; 10];
            let panic = catch_unwind(AssertUnwindSafe(|| block_on(file.read(&mut buf))));
            let panic = panic.unwrap_err();
            assert_eq!(
                panic.downcast_ref::<String>().map(String::as_str),
                Some("a planned panic in Read")
            );
            block_on(clone.read_exact(&mut buf)).unwrap();
            assert_same_bytes(buf, &bytes[at..at + 10]);
            block_on(file.read_exact(&mut buf)).unwrap();
            assert_same_bytes(buf, &bytes[at + 10..at + 20]);
        }
    });
}
