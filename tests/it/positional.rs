//! Reading and writing at offsets: the results of std, however many run at once and however many are cancelled.

use std::fs;
use std::future::Future;
use std::io;
use std::sync::Arc;

use aiofiles::{AlignedBuf, File, IoBuf, IoBufMut};
use fastrand::Rng;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{AsyncWriteExt as _, StreamExt as _};
use futures_util::stream::FuturesUnordered;

use crate::files::*;
use crate::support::*;

/// What std does at an offset.
#[cfg(unix)]
mod std_at {
    pub use std::os::unix::fs::FileExt;
}

#[cfg(unix)]
#[test]
fn at_random_offsets_the_results_are_those_of_std() {
    use std_at::FileExt as _;

    const LEN: u64 = 100_000;
    every_runtime(|_| async {
        for dir in directories() {
            let seed = Seed::new();
            let mut rng = seed.rng();
            let (path, twin_path) = (dir.path().join("file"), dir.path().join("twin"));
            let start = random_bytes(&mut rng, LEN as usize);
            fs::write(&path, &start).unwrap();
            fs::write(&twin_path, &start).unwrap();
            let file = read_write().open(&path).await.unwrap();
            let twin = fs::File::options()
                .read(true)
                .write(true)
                .open(&twin_path)
                .unwrap();
            for _ in 0..iterations(500) {
                let len = match rng.u8(..4) {
                    0 => 0,
                    1 => rng.usize(..20),
                    _ => rng.usize(..30_000),
                };
                let offset = match rng.u8(..10) {
                    // Edges of 31 and 32 bits; files have holes there.
                    0 => (1 << 31) - rng.u64(..40_000),
                    1 => (1 << 32) - rng.u64(..40_000),
                    2 => (1 << 32) + rng.u64(..40_000),
                    _ => rng.u64(..2 * LEN),
                };
                match rng.u8(..8) {
                    0 | 1 => {
                        let bytes = random_bytes(&mut rng, len);
                        let (result, bytes) = file.write_at(bytes, offset).await;
                        let written = result.unwrap();
                        assert!(written > 0 || len == 0);
                        twin.write_all_at(&bytes[..written], offset).unwrap();
                    }
                    2 => {
                        let bytes = random_bytes(&mut rng, len).into_boxed_slice();
                        let (result, bytes) = file.write_all_at(bytes, offset).await;
                        result.unwrap();
                        twin.write_all_at(&bytes, offset).unwrap();
                    }
                    3 => {
                        let parts: Vec<Arc<[u8]>> = (0..rng.usize(..5))
                            .map(|_| random_bytes(&mut rng, len / 4).into())
                            .collect();
                        let (result, parts) = file.writev_at(parts, offset).await;
                        let written = result.unwrap();
                        let all = parts.concat();
                        assert!(written > 0 || all.is_empty());
                        twin.write_all_at(&all[..written], offset).unwrap();
                    }
                    4 | 5 => {
                        let buf = Vec::with_capacity(len);
                        let room = buf.capacity();
                        let (result, buf) = file.read_at(buf, offset).await;
                        let mut expected = vec![0; room];
                        let n = twin.read_at(&mut expected, offset).unwrap();
                        assert_eq!(result.unwrap(), n);
                        assert_same_bytes(&buf, &expected[..n]);
                    }
                    6 => {
                        let (result, buf) = file.read_exact_at(vec![1; len], offset).await;
                        let mut expected = vec![1; len];
                        let read = twin.read_exact_at(&mut expected, offset);
                        assert_eq!(
                            result.map_err(|error| error.kind()),
                            read.map_err(|error| error.kind())
                        );
                        if len > 0 {
                            assert_same_bytes(&buf, &expected[..buf.len()]);
                        }
                    }
                    _ => {
                        let bufs = vec![vec![0; len / 3], Vec::with_capacity(len / 2), vec![]];
                        let room = bufs.iter().map(Vec::capacity).sum::<usize>();
                        let (result, bufs) = file.readv_at(bufs, offset).await;
                        let mut expected = vec![0; room];
                        let n = twin.read_at(&mut expected, offset).unwrap();
                        assert_eq!(result.unwrap(), n);
                        assert_same_bytes(bufs.concat(), &expected[..n]);
                    }
                }
            }
            let len = fs::metadata(&twin_path).unwrap().len();
            assert_eq!(file.metadata().await.unwrap().len(), len);
            let (result, rest) = file.read_to_end_at(b"before".to_vec(), len - 50_000).await;
            assert_eq!(result.unwrap(), 50_000);
            let mut expected = vec![0; 50_000];
            twin.read_exact_at(&mut expected, len - 50_000).unwrap();
            assert_eq!(rest[..6], *b"before");
            assert_same_bytes(&rest[6..], &expected);
        }
    });
}

#[test]
fn every_kind_of_buffer_is_read_into_and_written() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let file = read_write().open(&path).await.unwrap();

        async fn writes<B: IoBuf>(file: &File, offset: u64, buf: B, expected: &[u8]) {
            file.write_all_at(buf, offset).await.0.unwrap();
            let (result, found) = file.read_exact_at(vec![0; expected.len()], offset).await;
            result.unwrap();
            assert_eq!(found, expected);
        }
        writes(&file, 0, b"vector".to_vec(), b"vector").await;
        writes(&file, 10, "string".to_owned(), b"string").await;
        writes(&file, 20, "text", b"text").await;
        writes(&file, 30, b"array", b"array").await;
        writes(&file, 40, &b"slice"[..], b"slice").await;
        writes(&file, 50, Box::new(*b"boxed"), b"boxed").await;
        writes(&file, 60, b"boxes".to_vec().into_boxed_slice(), b"boxes").await;
        writes(&file, 70, Arc::<[u8]>::from(*b"shared"), b"shared").await;
        writes(&file, 80, b"a part of it".to_vec().slice(2..6), b"part").await;
        let mut aligned = AlignedBuf::with_capacity(4096, 512).unwrap();
        aligned.extend_from_slice(b"aligned");
        writes(&file, 90, aligned, b"aligned").await;
        #[cfg(feature = "bytes")]
        {
            writes(&file, 100, bytes::Bytes::from_static(b"bytes"), b"bytes").await;
            writes(
                &file,
                110,
                bytes::BytesMut::from(&b"mutable"[..]),
                b"mutable",
            )
            .await;
        }

        fs::write(&path, "0123456789").unwrap();
        async fn reads<B: IoBufMut>(file: &File, buf: B) -> B {
            let (result, buf) = file.read_at(buf, 2).await;
            assert!(result.unwrap() > 0);
            buf
        }
        // A vector has the length of what was read, from its beginning.
        assert_eq!(reads(&file, vec![1; 3]).await, b"234");
        assert_eq!(reads(&file, vec![1; 20]).await, b"23456789");
        let mut roomy = Vec::with_capacity(4);
        roomy.push(b'x');
        let room = roomy.capacity();
        assert_eq!(reads(&file, roomy).await, b"23456789"[..room.min(8)]);
        assert_eq!(*reads(&file, Box::new([b'x'; 10])).await, *b"23456789xx");
        assert_eq!(
            *reads(&file, vec![b'x'; 9].into_boxed_slice()).await,
            *b"23456789x"
        );
        // A part leaves what stands around it.
        let part = reads(&file, b"abcdefgh".to_vec().slice(2..4)).await;
        assert_eq!(part.into_inner(), b"ab23efgh");
        let mut vector = Vec::with_capacity(100);
        vector.extend_from_slice(b"ab");
        let part = reads(&file, vector.slice(2..5)).await;
        assert_eq!(&*part, b"234");
        assert_eq!(part.into_inner(), b"ab234");
        let aligned = AlignedBuf::with_capacity(5, 4096).unwrap();
        assert_eq!(&*reads(&file, aligned).await, b"23456");
        #[cfg(feature = "bytes")]
        assert_eq!(
            reads(&file, bytes::BytesMut::with_capacity(20)).await,
            b"23456789"[..]
        );
        let (result, nothing) = file.read_at(Vec::new(), 2).await;
        assert_eq!((result.unwrap(), nothing), (0, Vec::new()));
    });
}

#[test]
#[should_panic(expected = "behind the content")]
fn a_part_of_a_buffer_begins_within_its_content() {
    let _ = Vec::<u8>::with_capacity(10).slice(1..);
}

#[test]
#[should_panic(expected = "behind the memory")]
fn a_part_of_a_buffer_ends_within_its_memory() {
    let _ = vec![0; 10].into_boxed_slice().slice(..11);
}

#[test]
fn an_aligned_buffer_is_aligned_and_bounded() {
    for align in [1, 512, 4096, 1 << 16] {
        for len in [0, 1, 4096, 100_000] {
            let mut buf = AlignedBuf::zeroed(len, align).unwrap();
            assert_eq!(buf.as_ptr() as usize % align, 0);
            assert!(buf.len() == len && buf.iter().all(|byte| *byte == 0));
            assert_eq!(buf.extend_from_slice(b"more"), 0);
            buf.resize(len + 1);
            assert_eq!((buf.len(), buf.capacity(), buf.align()), (len, len, align));
            buf.clear();
            assert_eq!(buf.extend_from_slice(&[7; 10]), len.min(10));
            assert_eq!(*buf, [7; 10][..len.min(10)]);
        }
    }
    for align in [0, 3, 1 << 63] {
        let error = AlignedBuf::with_capacity(usize::MAX / 2, align).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_thousand_writes_in_any_order_make_the_whole_file() {
    every_runtime(|rt| async move {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let file = Arc::new(read_write().open(&path).await.unwrap());
        let bytes = numbered(1000 * 977);
        let mut pieces = (0..1000).collect::<Vec<_>>();
        Rng::new().shuffle(&mut pieces);
        let tasks = pieces
            .chunks(100)
            .map(|pieces| {
                let (file, pieces) = (file.clone(), pieces.to_vec());
                let bytes = bytes.clone();
                rt.spawn(async move {
                    let mut writes = FuturesUnordered::new();
                    for piece in pieces {
                        let part = bytes[piece * 977..][..977].to_vec();
                        let file = &file;
                        writes
                            .push(async move { file.write_all_at(part, piece as u64 * 977).await });
                    }
                    while let Some((result, _)) = writes.next().await {
                        result.unwrap();
                    }
                })
            })
            .collect::<Vec<_>>();
        for task in tasks {
            task.await;
        }
        assert_same_bytes(fs::read(&path).unwrap(), &bytes);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn twenty_thousand_reads_at_once_are_right_and_bounded_in_memory() {
    alone(|| {
        const READS: usize = 20_000;
        const LEN: usize = 1024;
        let dir = temp_dir();
        let path = dir.path().join("file");
        let bytes = numbered(1 << 20);
        fs::write(&path, &bytes).unwrap();
        block_on(async {
            let file = File::open(&path).await.unwrap();
            let before = peak();
            let threads = thread_count();
            let mut reads = FuturesUnordered::new();
            for read in 0..READS {
                let offset = read * 7919 % (bytes.len() - LEN);
                let file = &file;
                reads.push(async move {
                    (
                        offset,
                        file.read_exact_at(Vec::with_capacity(LEN), offset as u64)
                            .await,
                    )
                });
            }
            let mut most = 0;
            while let Some((offset, (result, found))) = reads.next().await {
                result.unwrap();
                assert_same_bytes(&found, &bytes[offset..][..LEN]);
                most = most.max(aiofiles::backend().running());
            }
            assert!(most <= 64, "{most} ran at once");
            let new = thread_count().saturating_sub(threads);
            assert!(new <= 64, "{new} threads came");
            // The buffers, and some bytes for each operation.
            let took = peak() - before;
            let bound = READS * (LEN + 2048) / 1024;
            assert!(
                took < bound,
                "{took} KiB, and {bound} are the most there may be"
            );
        });
    });
}

/// Cancelled operations happen as a whole or not at all, leave nothing behind, and hold nobody up.
#[cfg(target_os = "linux")]
#[test]
fn a_storm_of_cancelled_operations_leaves_nothing_behind() {
    alone(|| {
        const PAGE: usize = 512;
        const PAGES: usize = 64;
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, vec![0; PAGE * PAGES]).unwrap();
        let seed = Seed::new();
        let mut rng = seed.rng();
        block_on(async {
            let mut file = read_write().open(&path).await.unwrap();
            // The reactor has descriptors of its own, once there is one.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            let descriptors = fd_count();
            // What each page may hold: what was written last, or by one that was cancelled after that.
            let mut may_hold = vec![vec![0_u8]; PAGES];
            for round in 0..iterations(100_000) {
                let page = rng.usize(..PAGES);
                let offset = (page * PAGE) as u64;
                let polls = rng.usize(..4);
                if rng.bool() {
                    let value = (round % 251) as u8;
                    let write = file.write_all_at(vec![value; PAGE], offset);
                    if rng.u8(..50) == 0 {
                        // Never dropped: its slot belongs to the operation all the same.
                        let mut write = Box::pin(write);
                        let _ = poll_now(write.as_mut());
                        std::mem::forget(write);
                        may_hold[page].push(value);
                    } else {
                        // Cancelled ones that came before it may still come after it: writes have no order.
                        if let Some((result, _)) = poll_n(write, polls).await {
                            result.unwrap();
                        }
                        may_hold[page].push(value);
                    }
                } else {
                    let read = file.read_exact_at(vec![1; PAGE], offset);
                    if let Some((result, found)) = poll_n(read, polls).await {
                        result.unwrap();
                        assert!(
                            found
                                .chunks(PAGE)
                                .all(|page| page.iter().all(|byte| *byte == page[0])),
                            "a torn page"
                        );
                        assert!(
                            may_hold[page].contains(&found[0]),
                            "never written: {}",
                            found[0]
                        );
                    }
                }
                if rng.u16(..1000) == 0 {
                    file.flush().await.unwrap();
                    let found = fs::read(&path).unwrap();
                    for (page, may_hold) in may_hold.iter_mut().enumerate() {
                        let value = found[page * PAGE];
                        assert!(may_hold.contains(&value));
                        assert!(
                            found[page * PAGE..][..PAGE]
                                .iter()
                                .all(|byte| *byte == value)
                        );
                        *may_hold = vec![value];
                    }
                }
            }
            file.flush().await.unwrap();
            loop {
                let backend = aiofiles::backend();
                if backend.queued() + backend.running() == 0 {
                    break;
                }
                yield_now().await;
            }
            assert_eq!(fd_count(), descriptors);
            // And everything still works.
            file.write_all_at("the end", 0).await.0.unwrap();
            assert_eq!(file.read_at(vec![0; 7], 0).await.1, b"the end");
            file.close().await.unwrap();
        });
    });
}

/// A buffer that was given back belongs to its owner: nothing that comes later writes to it.
#[test]
fn a_buffer_that_was_given_back_is_not_touched_again() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, numbered(1 << 16)).unwrap();
        let file = read_write().open(&path).await.unwrap();
        let mut mine = Vec::new();
        for round in 0..iterations(200) {
            // Others are on their way, cancelled and not.
            let _ = poll_n(file.read_at(vec![0; 4096], 0), round % 3).await;
            let (result, mut buf) = file.read_at(vec![0; 4096], (round * 64) as u64).await;
            assert_eq!(result.unwrap(), 4096);
            buf.fill(round as u8);
            mine.push(buf);
        }
        for (round, buf) in mine.iter().enumerate() {
            assert!(buf.iter().all(|byte| *byte == round as u8));
        }
    });
}

#[allow(dead_code, reason = "it is enough that it compiles")]
fn futures_are_send(file: &File) {
    fn is_send(_: impl Future + Send) {}
    is_send(file.read_at(Vec::new(), 0));
    is_send(file.read_exact_at(Vec::new(), 0));
    is_send(file.read_to_end_at(Vec::new(), 0));
    is_send(file.read_vectored_at(vec![Vec::new()], 0));
    is_send(file.write_at("", 0));
    is_send(file.write_all_at("", 0));
    is_send(file.write_vectored_at(vec![""], 0));
    is_send(file.read_many_at([0..1, 2..3]));
    is_send(file.read_many_at_together([0..1, 2..3], 0));
    is_send(file.allocate(0, 1));
    is_send(file.punch_hole(0, 1));
    is_send(file.seek_data(0));
    is_send(file.advise(0, 0, aiofiles::Advice::Normal));
    is_send(aiofiles::copy_range(file, 0, file, 1, 1));
}
