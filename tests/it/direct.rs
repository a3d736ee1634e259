//! Direct I/O: the same content as std's, at any length; what the kernel would refuse is refused with the reason.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use aiofiles::unix::OpenOptionsExt as _;
use aiofiles::{AlignedBuf, DirectAlignment, File, IoBuf as _, OpenOptions};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::support::*;

fn direct() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).direct(true);
    options
}

/// A file opened for direct I/O and what it asks for, where there is such a thing.
async fn open(path: &Path) -> Option<(File, DirectAlignment)> {
    match direct().open(path).await {
        Ok(file) => {
            let alignment = file.direct_alignment().await.unwrap();
            Some((file, alignment.expect("it is open for direct I/O")))
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            skip("a file system with direct I/O");
            None
        }
    }
}

#[test]
fn reads_and_writes_at_the_position_have_the_results_of_std() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (path, twin_path) = (dir.path().join("file"), dir.path().join("twin"));
        let seed = Seed::new();
        let mut rng = seed.rng();
        let start = random_bytes(&mut rng, 30_001);
        fs::write(&path, &start).unwrap();
        fs::write(&twin_path, &start).unwrap();
        let Some((mut file, _)) = open(&path).await else {
            return;
        };
        let mut twin = fs::File::options()
            .read(true)
            .write(true)
            .open(&twin_path)
            .unwrap();
        for _ in 0..iterations(200) {
            match rng.u8(..6) {
                0 => {
                    let to = SeekFrom::Start(rng.u64(..60_000));
                    assert_eq!(file.seek(to).await.unwrap(), twin.seek(to).unwrap());
                }
                1 => {
                    let to = SeekFrom::End(rng.i64(-500..500));
                    assert_eq!(
                        file.seek(to).await.ok(),
                        twin.seek(to).ok(),
                        "{to:?} is possible in both or in none"
                    );
                }
                2 => {
                    let len = rng.u64(..60_000);
                    file.set_len(len).await.unwrap();
                    twin.set_len(len).unwrap();
                }
                3 => {
                    let len = rng.usize(..20_000);
                    let (mut found, mut expected) = (vec![0; len], vec![0; len]);
                    let n = read_full(&mut file, &mut found).await;
                    let mut m = 0;
                    while m < len {
                        match twin.read(&mut expected[m..]).unwrap() {
                            0 => break,
                            more => m += more,
                        }
                    }
                    assert_eq!(n, m);
                    assert_same_bytes(&found, &expected);
                }
                _ => {
                    let len = match rng.u8(..3) {
                        0 => rng.usize(..20),
                        1 => 512 * rng.usize(..20),
                        _ => rng.usize(..20_000),
                    };
                    let bytes = random_bytes(&mut rng, len);
                    file.write_all(&bytes).await.unwrap();
                    twin.write_all(&bytes).unwrap();
                }
            }
            assert_eq!(
                file.stream_position().await.unwrap(),
                twin.stream_position().unwrap()
            );
            if rng.u8(..4) == 0 {
                file.flush().await.unwrap();
                assert_same_bytes(fs::read(&path).unwrap(), fs::read(&twin_path).unwrap());
            }
        }
        file.close().await.unwrap();
        assert_same_bytes(fs::read(&path).unwrap(), fs::read(&twin_path).unwrap());
    });
}

async fn read_full(file: &mut File, buf: &mut [u8]) -> usize {
    let mut n = 0;
    while n < buf.len() {
        match file.read(&mut buf[n..]).await.unwrap() {
            0 => break,
            more => n += more,
        }
    }
    n
}

#[test]
fn at_offsets_blocks_are_read_and_written_and_the_rest_is_refused() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let Some((file, alignment)) = open(&path).await else {
            return;
        };
        let DirectAlignment { memory, offset, .. } = alignment;
        assert!(memory.is_power_of_two() && offset.is_power_of_two());
        let bytes = numbered(4 * offset);
        let mut buf = AlignedBuf::with_capacity(4 * offset, memory).unwrap();
        buf.extend_from_slice(&bytes);
        let (result, buf) = file.write_all_at(buf, offset as u64).await;
        result.unwrap();
        assert_same_bytes(&fs::read(&path).unwrap()[offset..], &bytes);

        // The last read comes short, and is no error.
        let (result, buf) = file.read_at(buf, 3 * offset as u64).await;
        assert_eq!(result.unwrap(), 2 * offset);
        assert_same_bytes(&buf, &bytes[2 * offset..]);
        let (result, buf) = file.read_exact_at(buf, 3 * offset as u64).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_same_bytes(&buf, &bytes[2 * offset..]);

        // Misaligned: the offset, the length, the memory.
        let part = AlignedBuf::zeroed(2 * offset, memory).unwrap();
        let (result, part) = file.read_at(part, 1).await;
        let told = result.unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::InvalidInput);
        assert!(told.to_string().contains(&offset.to_string()), "{told}");
        let (result, part) = file.write_at(part.slice(..offset - 1), 0).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let part = part.into_inner();
        if memory > 1 {
            let (result, _) = file.write_all_at(part.slice(1..offset + 1), 0).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 5 * offset as u64);

        // What takes any offset makes blocks of it.
        let (result, rest) = file.read_to_end_at(Vec::new(), offset as u64 + 7).await;
        assert_eq!(result.unwrap(), bytes.len() - 7);
        assert_same_bytes(&rest, &bytes[7..]);
        let ranges = [offset as u64 + 3..offset as u64 + 11, 0..5];
        let found = file.read_many_at(ranges).await;
        assert_eq!(found[0].as_ref().unwrap(), &bytes[3..11]);
        assert_eq!(found[1].as_ref().unwrap(), &[0; 5]);
    });
}

#[test]
fn files_that_end_within_a_block_are_read_to_their_end_and_copied() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        for len in [0, 1, 511, 4096, 4097, 300_000] {
            let bytes = numbered(len);
            fs::write(&path, &bytes).unwrap();
            let Some((mut file, _)) = open(&path).await else {
                return;
            };
            let mut found = Vec::new();
            file.read_to_end(&mut found).await.unwrap();
            assert_same_bytes(&found, &bytes);

            let _ = fs::remove_file(&other);
            let Some((mut to, _)) = open(&other).await else {
                return;
            };
            let copied = aiofiles::copy_range(&file, 0, &to, 100, u64::MAX).await;
            assert_eq!(copied.unwrap(), len as u64);
            let expected = if len == 0 {
                vec![]
            } else {
                [vec![0; 100], bytes.clone()].concat()
            };
            assert_same_bytes(fs::read(&other).unwrap(), &expected);
            file.seek(SeekFrom::Start(0)).await.unwrap();
            assert_eq!(
                aiofiles::copy_between(&mut file, &mut to).await.unwrap(),
                len as u64
            );
            to.close().await.unwrap();
            assert_same_bytes(&fs::read(&other).unwrap()[..len], &bytes);
        }
    });
}

#[test]
fn the_flag_of_the_system_is_the_same_and_appending_is_refused() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        if open(&path).await.is_none() {
            return;
        }
        let refused = direct().append(true).open(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);

        let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flag);
        let mut file = options.open(&path).await.unwrap();
        assert!(file.direct_alignment().await.unwrap().is_some());
        file.write_all(b"any length").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"any length");

        // Also that of one that was opened elsewhere.
        let mut file = File::from(file.into_std().await.unwrap());
        assert!(file.direct_alignment().await.unwrap().is_some());
        file.seek(SeekFrom::Start(4)).await.unwrap();
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "length");
        assert_eq!(
            File::open(&path)
                .await
                .unwrap()
                .direct_alignment()
                .await
                .unwrap(),
            None
        );
    });
}
