//! `sendfile`: the bytes of a file arrive, wherever they are sent, and no thread waits for a slow reader.

#![cfg(unix)]

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use aiofiles::unix::sendfile;
use aiofiles::{File, OpenOptions};
use futures_lite::{AsyncSeekExt as _, AsyncWriteExt as _};

use crate::support::*;

const LEN: usize = 3_000_000;

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    (one, other)
}

#[test]
fn everything_arrives_at_a_reader_that_takes_its_time() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let bytes = numbered(LEN);
        fs::write(&path, &bytes).unwrap();
        let mut file = File::open(&path).await.unwrap();
        file.seek(SeekFrom::Start(5)).await.unwrap();
        let (to, mut from) = pair();
        let reader = thread::spawn(move || {
            let (mut found, mut piece) = (Vec::new(), vec![0; 100_000]);
            loop {
                thread::sleep(Duration::from_millis(1));
                match from.read(&mut piece).unwrap() {
                    0 => return found,
                    n => found.extend_from_slice(&piece[..n]),
                }
            }
        });
        assert_eq!(sendfile(&to, &file, 0, 10).await.unwrap(), 10);
        let sent = sendfile(&to, &file, 10, u64::MAX).await.unwrap();
        assert_eq!(sent, LEN as u64 - 10);
        assert_eq!(sendfile(&to, &file, LEN as u64, 10).await.unwrap(), 0);
        assert_eq!(file.stream_position().await.unwrap(), 5);
        drop(to);
        assert_same_bytes(reader.join().unwrap(), &bytes);
    });
}

#[test]
fn a_file_and_a_pipe_are_sent_to_as_well() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .open(&path)
            .await
            .unwrap();
        // What was accepted comes first.
        let bytes = numbered(200_000);
        file.write_all(&bytes).await.unwrap();

        let other = dir.path().join("other");
        let mut to = fs::File::create(&other).unwrap();
        to.seek(SeekFrom::Start(3)).unwrap();
        let sent = sendfile(&to, &file, 100, 100_000).await.unwrap();
        assert_eq!(sent, 100_000);
        assert_eq!(to.stream_position().unwrap(), 100_003);
        assert_same_bytes(&fs::read(&other).unwrap()[3..], &bytes[100..100_100]);

        let (mut from, to) = io::pipe().unwrap();
        assert_eq!(sendfile(&to, &file, 0, 1000).await.unwrap(), 1000);
        let mut found = vec![0; 1000];
        from.read_exact(&mut found).unwrap();
        assert_same_bytes(&found, &bytes[..1000]);
        drop(from);
        let gone = sendfile(&to, &file, 0, 1000).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let (to, _from) = pair();
        let write_only = File::create(&path).await.unwrap();
        assert!(sendfile(&to, &write_only, 0, 10).await.is_err());
        let mut file = File::open(&path).await.unwrap();
        let beyond = sendfile(&to, &file, u64::MAX, 1).await.unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::InvalidInput);
        file.close().await.unwrap();
        let closed = sendfile(&to, &file, 0, 1).await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::InvalidInput);
    });
}

/// While the reader does not read, nobody waits on the pool; and a cancelled call leaves no descriptor behind.
#[cfg(target_os = "linux")]
#[test]
fn a_full_socket_holds_no_thread_and_no_descriptor() {
    alone(|| {
        let dir = temp_dir();
        let path = dir.path().join("file");
        fs::write(&path, numbered(LEN)).unwrap();
        futures_lite::future::block_on(async {
            let file = File::open(&path).await.unwrap();
            let mut pairs = Vec::new();
            smol::Timer::after(Duration::from_millis(1)).await;
            for _ in 0..100 {
                pairs.push(pair());
            }
            let descriptors = fd_count();
            for (to, _) in &pairs {
                // Full after some polls, and then it waits for the other side.
                let sent = futures_lite::future::or(
                    async { Some(sendfile(to, &file, 0, LEN as u64).await) },
                    async {
                        smol::Timer::after(Duration::from_millis(5)).await;
                        None
                    },
                );
                assert!(sent.await.is_none(), "it cannot all have room");
            }
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            while aiofiles::backend().running() > 0 || fd_count() > descriptors {
                assert!(std::time::Instant::now() < deadline, "something is held");
                smol::Timer::after(Duration::from_millis(5)).await;
            }
            assert!(aiofiles::metadata(&path).await.is_ok());
        });
    });
}
