//! Objects of `std::io` as files: what they see, what comes of it, and where it runs.

use std::cmp::min;
use std::fmt;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use aiofiles::{Newline, TextOptions, TextPosition, Wrapped, memory, wrap};
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, FutureExt as _,
    StreamExt as _,
};
use mockall::Sequence;

use crate::support::*;

/// All that a file can do.
trait Object: Read + Write + Seek + Send {}
impl<T: Read + Write + Seek + Send> Object for T {}

mockall::mock! {
    Object {}

    impl Read for Object {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;
    }

    impl Write for Object {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize>;
        fn flush(&mut self) -> io::Result<()>;
    }

    impl Seek for Object {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64>;
    }
}

#[test]
fn a_mock_sees_each_call_as_it_was_made() {
    every_runtime(|_| async {
        let mut mock = MockObject::new();
        let mut order = Sequence::new();
        mock.expect_read()
            .times(1)
            .in_sequence(&mut order)
            .withf(|buf| buf.len() == 10)
            .returning(|buf| {
                buf[..5].copy_from_slice(b"hello");
                Ok(5)
            });
        mock.expect_seek()
            .times(1)
            .in_sequence(&mut order)
            .withf(|to| *to == SeekFrom::End(-2))
            .returning(|_| Ok(3));
        mock.expect_write()
            .times(1)
            .in_sequence(&mut order)
            .withf(|bytes| bytes == b"world")
            .returning(|_| Ok(2));
        mock.expect_write()
            .times(1)
            .in_sequence(&mut order)
            .withf(|bytes| bytes == b"rld")
            .returning(|_| Err(ErrorKind::StorageFull.into()));
        mock.expect_flush()
            .times(1)
            .in_sequence(&mut order)
            .returning(|| Ok(()));

        // As a trait object, which is how a program takes one that is to be replaced.
        let object: Box<dyn Object> = Box::new(mock);
        let mut file = wrap(object);
        let mut buf = [0; 10];
        assert_eq!(file.read(&mut buf).await.unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
        assert_eq!(file.seek(SeekFrom::End(-2)).await.unwrap(), 3);
        let error = file.write_all(b"world").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        file.close().await.unwrap();
    });
}

#[test]
fn random_operations_are_those_of_a_cursor() {
    every_runtime(|_| async {
        let seed = Seed::new();
        let mut rng = seed.rng();
        let bytes = random_bytes(&mut rng, 50_000);
        let files = [
            wrap(Cursor::new(bytes.clone())).seekable(),
            memory(bytes.clone()),
        ];
        for mut file in files {
            let mut oracle = Cursor::new(bytes.clone());
            for _ in 0..iterations(400) {
                let len = rng.usize(..20_000);
                match rng.u8(..6) {
                    0 => {
                        let (mut found, mut expected) = (vec![0; len], vec![0; len]);
                        let n = file.read(&mut found).await.unwrap();
                        // Fewer bytes than there are may come, but none only at the end.
                        oracle.read_exact(&mut expected[..n]).unwrap();
                        assert_same_bytes(&found[..n], &expected[..n]);
                        let left = oracle.get_ref().len() as u64
                            - min(oracle.position(), oracle.get_ref().len() as u64);
                        assert!(n > 0 || len == 0 || left == 0);
                    }
                    1 => {
                        let found = file.fill_buf().await.unwrap().to_vec();
                        let n = rng.usize(..=found.len());
                        file.consume(n);
                        let mut expected = vec![0; found.len()];
                        let position = oracle.position();
                        oracle.read_exact(&mut expected).unwrap();
                        oracle.set_position(position + n as u64);
                        assert_same_bytes(found, expected);
                    }
                    2 => {
                        let bytes = random_bytes(&mut rng, len);
                        let n = file.write(&bytes).await.unwrap();
                        assert_eq!(oracle.write(&bytes).unwrap(), n);
                    }
                    3 => file.flush().await.unwrap(),
                    _ => {
                        let to = match rng.u8(..3) {
                            0 => SeekFrom::Start(rng.u64(..60_000)),
                            1 => SeekFrom::End(rng.i64(-70_000..5_000)),
                            _ => SeekFrom::Current(rng.i64(-40_000..40_000)),
                        };
                        let found = file.seek(to).await.map_err(|error| error.kind());
                        assert_eq!(found, oracle.seek(to).map_err(|error| error.kind()));
                    }
                }
                let position = file.seek(SeekFrom::Current(0));
                if rng.bool() {
                    assert_eq!(position.await.unwrap(), oracle.position());
                }
            }
            assert_same_bytes(file.into_inner().await.into_inner(), oracle.into_inner());
        }
    });
}

#[test]
fn one_direction_is_enough() {
    struct OnlyRead(&'static [u8]);
    impl Read for OnlyRead {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            Read::read(&mut self.0, buf)
        }
    }
    struct OnlyWrite(Vec<u8>);
    impl Write for OnlyWrite {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Write::write(&mut self.0, &buf[..min(buf.len(), 7)])
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.push(b'.');
            Ok(())
        }
    }
    every_runtime(|_| async {
        let lines = wrap(OnlyRead(b"one\ntwo\n\nfour")).lines();
        let lines = lines.map(|line| line.unwrap()).collect::<Vec<_>>().await;
        assert_eq!(lines, ["one", "two", "", "four"]);

        let mut file = wrap(OnlyWrite(Vec::new()));
        file.write_all(b"more than seven bytes").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(file.into_inner().await.0, b"more than seven bytes.");
    });
}

/// Fails, panics, or says what cannot be, at the first call of each kind, and then does as a cursor does.
#[derive(Default)]
struct Moody {
    inner: Cursor<Vec<u8>>,
    moods: Vec<Mood>,
}

#[derive(Clone, Copy)]
enum Mood {
    Interrupted,
    Fails,
    Panics,
    Lies,
}

impl Moody {
    fn mood<T>(
        &mut self,
        lie: T,
        call: impl FnOnce(&mut Cursor<Vec<u8>>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.moods.pop() {
            None => call(&mut self.inner),
            Some(Mood::Interrupted) => Err(ErrorKind::Interrupted.into()),
            Some(Mood::Fails) => Err(io::Error::from_raw_os_error(5)),
            Some(Mood::Panics) => panic!("in a bad mood"),
            Some(Mood::Lies) => Ok(lie),
        }
    }
}

impl Read for Moody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.mood(usize::MAX, |inner| inner.read(buf))
    }
}

impl Write for Moody {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.mood(usize::MAX, |inner| inner.write(buf))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.mood((), |inner| inner.flush())
    }
}

impl Seek for Moody {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.mood(u64::MAX, |inner| inner.seek(to))
    }
}

#[test]
fn errors_and_panics_reach_the_caller_and_the_object_goes_on() {
    every_runtime(|_| async {
        for immediate in [false, true] {
            let object = Moody {
                inner: Cursor::new(b"abcdef".to_vec()),
                moods: Vec::new(),
            };
            let mut file = wrap(object);
            if immediate {
                file = file.immediate();
            }
            let mut byte = [0];
            let is_panic = |caught: Result<_, Box<dyn std::any::Any + Send>>| {
                let text = caught.map(drop).unwrap_err();
                assert_eq!(*text.downcast::<&str>().unwrap(), "in a bad mood");
            };
            for mood in [Mood::Fails, Mood::Panics, Mood::Lies, Mood::Interrupted] {
                file.get_mut().await.moods = vec![mood];
                let read = AssertUnwindSafe(file.read(&mut byte)).catch_unwind().await;
                match mood {
                    Mood::Panics => is_panic(read.map(drop)),
                    Mood::Fails => assert_eq!(read.unwrap().unwrap_err().raw_os_error(), Some(5)),
                    Mood::Lies => assert_eq!(read.unwrap().unwrap_err().kind(), ErrorKind::Other),
                    Mood::Interrupted => assert_eq!(read.unwrap().unwrap(), 1),
                }
                file.get_mut().await.moods = vec![mood];
                let written = AssertUnwindSafe(file.write(b"x")).catch_unwind().await;
                match mood {
                    Mood::Panics => is_panic(written.map(drop)),
                    Mood::Fails => {
                        assert_eq!(written.unwrap().unwrap_err().raw_os_error(), Some(5));
                    }
                    Mood::Lies => {
                        assert_eq!(written.unwrap().unwrap_err().kind(), ErrorKind::Other);
                    }
                    Mood::Interrupted => assert_eq!(written.unwrap().unwrap(), 1),
                }
            }
            // Nothing of what failed has moved it: one byte was read, one written.
            assert_eq!(file.get_ref().unwrap().inner.get_ref(), b"axcdef");
            assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 2);
            file.get_mut().await.moods = vec![Mood::Fails];
            assert_eq!(file.close().await.unwrap_err().raw_os_error(), Some(5));
            file.close().await.unwrap();
        }
    });
}

#[test]
fn after_close_every_call_is_an_error_and_the_object_is_there() {
    every_runtime(|_| async {
        let mut file = memory("text");
        assert_eq!(file.fill_buf().await.unwrap(), b"text");
        file.close().await.unwrap();
        file.close().await.unwrap();
        let errors = [
            file.read(&mut [0]).await.unwrap_err(),
            file.fill_buf().await.map(drop).unwrap_err(),
            file.write(b"x").await.unwrap_err(),
            file.flush().await.unwrap_err(),
            file.seek(SeekFrom::Start(0)).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "file is closed");
        }
        assert_eq!(file.get_ref().unwrap().get_ref(), b"text");
        assert_eq!(file.into_inner().await.into_inner(), b"text");
    });
}

/// Does what a cursor does when it is told to, and takes note of where it was.
struct Slow {
    inner: Cursor<Vec<u8>>,
    told: Receiver<io::Result<()>>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    calls: Vec<String>,
    threads: Vec<ThreadId>,
    dropped_on: Option<ThreadId>,
}

impl Slow {
    fn new(bytes: &str) -> (Slow, Sender<io::Result<()>>, Arc<Mutex<Log>>) {
        let (tell, told) = channel();
        let log = Arc::<Mutex<Log>>::default();
        let slow = Slow {
            inner: Cursor::new(bytes.into()),
            told,
            log: log.clone(),
        };
        (slow, tell, log)
    }

    fn wait(&self, call: impl fmt::Display) -> io::Result<()> {
        {
            let mut log = self.log.lock().unwrap();
            log.calls.push(call.to_string());
            log.threads.push(thread::current().id());
        }
        // When the teller has gone it is slow no more.
        self.told.recv().unwrap_or(Ok(()))
    }
}

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(format_args!("read {}", buf.len()))?;
        self.inner.read(buf)
    }
}

impl Write for Slow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.wait(format_args!("write {}", String::from_utf8_lossy(buf)))?;
        self.inner.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.wait("flush")
    }
}

impl Seek for Slow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.wait(format_args!("seek {to:?}"))?;
        self.inner.seek(to)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.log.lock().unwrap().dropped_on = Some(thread::current().id());
    }
}

#[test]
fn a_cancelled_read_loses_no_byte_and_no_error() {
    every_runtime(|_| async {
        let (slow, tell, log) = Slow::new("abcdefgh");
        let mut file = wrap(slow);
        assert!(poll_once(file.read(&mut [0; 6])).await.is_none());
        assert!(file.get_ref().is_none());
        tell.send(Ok(())).unwrap();
        let mut buf = [0; 4];
        assert_eq!(file.read(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"abcd");
        assert_eq!(file.fill_buf().await.unwrap(), b"ef");
        assert_eq!(file.read(&mut buf).await.unwrap(), 2);

        assert!(poll_once(file.fill_buf()).await.is_none());
        tell.send(Err(io::Error::from_raw_os_error(5))).unwrap();
        tell.send(Ok(())).unwrap();
        // A flush comes between, and hears nothing of it.
        file.flush().await.unwrap();
        let error = file.read(&mut buf).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(5));
        drop(tell);
        assert_eq!(file.read(&mut buf).await.unwrap(), 2);
        assert_eq!(&buf[..2], b"gh");
        assert_eq!(file.fill_buf().await.unwrap(), b"");
        let calls = log.lock().unwrap().calls.join(", ");
        assert_eq!(calls, "read 6, read 8192, flush, read 4, read 8192");
    });
}

#[test]
fn a_cancelled_write_is_made_once() {
    every_runtime(|_| async {
        let (slow, tell, log) = Slow::new("");
        let mut file = wrap(slow);
        // The same bytes again: that write is the answer.
        assert!(poll_once(file.write(b"abc")).await.is_none());
        tell.send(Ok(())).unwrap();
        assert_eq!(file.write(b"abcdef").await.unwrap(), 3);
        // Other bytes: it has happened before them.
        assert!(poll_once(file.write(b"123")).await.is_none());
        tell.send(Ok(())).unwrap();
        tell.send(Ok(())).unwrap();
        assert_eq!(file.write(b"xyz").await.unwrap(), 3);
        // Its error goes to whoever comes next, which does nothing else.
        for next in 0..4 {
            assert!(poll_once(file.write(b"...")).await.is_none());
            tell.send(Err(io::Error::from_raw_os_error(28))).unwrap();
            let error = match next {
                0 => file.write(b"xyz").await.unwrap_err(),
                1 => file.flush().await.unwrap_err(),
                2 => file.read(&mut [0]).await.unwrap_err(),
                _ => file.seek(SeekFrom::Start(0)).await.unwrap_err(),
            };
            assert_eq!(error.raw_os_error(), Some(28));
        }
        // Closing returns it too, and flushes all the same.
        assert!(poll_once(file.write(b"...")).await.is_none());
        tell.send(Err(io::Error::from_raw_os_error(28))).unwrap();
        drop(tell);
        assert_eq!(file.close().await.unwrap_err().raw_os_error(), Some(28));
        let calls = log.lock().unwrap().calls.join(", ");
        assert_eq!(
            calls,
            "write abc, write 123, write xyz, write ..., write ..., write ..., write ..., write ..., flush"
        );
        let object = file.into_inner().await;
        assert_eq!(object.inner.get_ref(), b"abc123xyz");
    });
}

#[test]
fn a_cancelled_seek_answers_the_next_one_to_the_same_place() {
    every_runtime(|_| async {
        let (slow, tell, log) = Slow::new("abcdef");
        let mut file = wrap(slow);
        assert!(poll_once(file.seek(SeekFrom::Current(2))).await.is_none());
        drop(tell);
        assert_eq!(file.seek(SeekFrom::Current(2)).await.unwrap(), 2);
        assert_eq!(log.lock().unwrap().calls.len(), 1);
        assert_eq!(file.fill_buf().await.unwrap(), b"cdef");
        file.consume(1);
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 3);
    });
}

#[test]
fn the_object_lives_on_the_pool_and_what_is_immediate_stays_here() {
    every_runtime(|runtime| async move {
        let (slow, tell, log) = Slow::new("abc");
        drop(tell);
        let mut file = wrap(slow);
        file.read(&mut [0]).await.unwrap();
        file.write_all(b"x").await.unwrap();
        file.close().await.unwrap();
        let here = thread::current().id();
        drop(file);
        crate::files::until(|| log.lock().unwrap().dropped_on.is_some()).await;
        // The hostile executor and those of several threads poll on others: only a look at the pool's own tells.
        let threads = log.lock().unwrap().threads.clone();
        assert_eq!(threads.len(), 3);
        if matches!(
            runtime.kind(),
            Kind::BlockOn | Kind::SmolOne | Kind::TokioCurrent
        ) {
            assert!(
                threads.iter().all(|thread| *thread != here),
                "{}",
                runtime.name()
            );
            assert_ne!(log.lock().unwrap().dropped_on, Some(here));
        }

        let (slow, tell, log) = Slow::new("abc");
        drop(tell);
        let mut file = wrap(slow).immediate();
        // No thread of the pool could have answered the first poll.
        assert_eq!(poll_once(file.read(&mut [0])).await.unwrap().unwrap(), 1);
        poll_once(file.write_all(b"x")).await.unwrap().unwrap();
        poll_once(file.close()).await.unwrap().unwrap();
        drop(file);
        assert!(log.lock().unwrap().dropped_on.is_some());
    });
}

#[test]
fn a_wrapper_that_is_dropped_while_a_write_runs_still_writes() {
    every_runtime(|_| async {
        let (slow, tell, log) = Slow::new("");
        let mut file = wrap(slow);
        assert!(poll_once(file.write(b"abc")).await.is_none());
        drop(file);
        assert!(log.lock().unwrap().dropped_on.is_none());
        drop(tell);
        crate::files::until(|| log.lock().unwrap().dropped_on.is_some()).await;
        assert_eq!(log.lock().unwrap().calls, ["write abc"]);
    });
}

#[test]
fn text_over_memory_and_over_an_object() {
    async fn check<F>(file: F) -> F
    where
        F: futures_lite::AsyncBufRead + futures_lite::AsyncWrite + futures_lite::AsyncSeek + Unpin,
    {
        let mut text = TextOptions::new().newline(Newline::CrLf).wrap(file);
        assert_eq!(text.readline().await.unwrap(), "größe\r\n");
        assert_eq!(text.read(1).await.unwrap(), "m");
        text.write("é\n").await.unwrap();
        text.seek(TextPosition::START).await.unwrap();
        assert_eq!(text.read_to_end().await.unwrap(), "größe\r\nmé\r\n!");
        text.detach().await.unwrap()
    }
    every_runtime(|_| async {
        const BEFORE: &str = "größe\r\nm1234!";
        check(memory(BEFORE)).await;
        check(wrap(Cursor::new(BEFORE.as_bytes().to_vec()))).await;
        let dir = temp_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, BEFORE).unwrap();
        let file = std::fs::File::options().read(true).write(true).open(&path);
        check(wrap(file.unwrap())).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "größe\r\nmé\r\n!");
    });
}

#[test]
fn large_transfers_are_whole() {
    every_runtime(|_| async {
        let bytes = numbered(1 << 20);
        for mut file in [memory(bytes.clone()), wrap(Cursor::new(bytes.clone()))] {
            let mut found = Vec::new();
            file.read_to_end(&mut found).await.unwrap();
            assert_same_bytes(&found, &bytes);
            file.write_all(&bytes).await.unwrap();
            assert_same_bytes(
                file.into_inner().await.into_inner(),
                [&bytes[..], &bytes].concat(),
            );
        }
    });
}

#[test]
fn a_task_over_memory_lets_others_have_their_turn() {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = polls.clone();
    futures_lite::future::block_on(async move {
        let endless = async {
            let mut zeros = wrap(io::repeat(0)).immediate();
            loop {
                zeros.read_exact(&mut [0; 10]).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let other = async {
            for _ in 0..3 {
                futures_lite::future::yield_now().await;
            }
        };
        futures_lite::future::or(endless, other).await;
    });
    assert!(polls.load(Ordering::Relaxed) < 1000);
}

#[test]
fn wrappers_are_send_and_sync_as_their_objects_are() {
    fn check<T: Send + Sync + Unpin>(_: &T) {}
    check(&memory(""));
    check(&aiofiles::stdio::stdin());
    fn sends<T: Send>(_: &T) {}
    sends(&wrap(std::cell::Cell::new(0)));
    assert!(format!("{:?}", memory("ab")).starts_with("Wrapped { object: Some(Cursor"));
    let _: Wrapped<Cursor<Vec<u8>>> = memory(vec![1]);
}
