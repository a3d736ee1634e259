//! Files that are closed however their use ends.

use std::future::{pending, ready};
use std::io::{self, ErrorKind};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use aiofiles::{File, memory, open_text, with};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};

use crate::support::*;

/// What a body can say beside errors of files.
#[derive(Debug)]
enum Mine {
    Own(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Mine {
    fn from(error: io::Error) -> Mine {
        Mine::Io(error)
    }
}

/// Ends a scope over a file of bytes and one over text in each of the four ways.
async fn each_way(dir: &Path, count: bool) {
    let bytes = numbered(300_000);
    for way in 0..8 {
        let path = dir.join(way.to_string());
        match way {
            0 => {
                let done = with(File::create(&path), async |file| {
                    file.write_all(&bytes).await?;
                    Ok::<_, io::Error>("done")
                });
                assert_eq!(done.await.unwrap(), "done");
            }
            1 => {
                let failed = with(File::create(&path), async |file| {
                    file.write_all(&bytes).await?;
                    Err::<(), _>(Mine::Own("no"))
                });
                assert!(matches!(failed.await, Err(Mine::Own("no"))));
            }
            2 => {
                let panicked = with(File::create(&path), async |file| {
                    file.write_all(&bytes).await?;
                    if path.exists() {
                        panic!("as planned");
                    }
                    Ok::<_, io::Error>(())
                });
                let panic = AssertUnwindSafe(panicked).catch_unwind().await;
                assert_eq!(
                    *panic.unwrap_err().downcast::<&str>().unwrap(),
                    "as planned"
                );
            }
            3 => {
                let (told, accepted) = smol::channel::bounded::<()>(1);
                let cancelled = with(File::create(&path), async |file| {
                    file.write_all(&bytes).await?;
                    told.send(()).await.unwrap();
                    pending::<io::Result<()>>().await
                });
                let accepted = async {
                    accepted.recv().await.unwrap();
                    Ok(())
                };
                futures_lite::future::or(cancelled, accepted).await.unwrap();
            }
            4 => {
                let done = with(open_text(&path, "w"), async |file| {
                    file.write("text").await?;
                    Ok::<_, Mine>(4)
                });
                assert_eq!(done.await.unwrap(), 4);
            }
            5 => {
                let failed = with(open_text(&path, "w"), async |file| {
                    file.write("text").await?;
                    Err::<(), _>(Mine::Own("no"))
                });
                assert!(matches!(failed.await, Err(Mine::Own("no"))));
            }
            6 => {
                let panicked = with(open_text(&path, "w"), async |file| {
                    file.write("text").await?;
                    if path.exists() {
                        panic!("as planned");
                    }
                    Ok::<_, io::Error>(())
                });
                AssertUnwindSafe(panicked).catch_unwind().await.unwrap_err();
            }
            _ => {
                let (told, accepted) = smol::channel::bounded::<()>(1);
                let cancelled = with(open_text(&path, "w"), async |file| {
                    file.write("text").await?;
                    told.send(()).await.unwrap();
                    pending::<io::Result<()>>().await
                });
                let accepted = async {
                    accepted.recv().await.unwrap();
                    Ok(())
                };
                futures_lite::future::or(cancelled, accepted).await.unwrap();
            }
        }
        // What was accepted is there.
        let expected = if way < 4 { &bytes[..] } else { b"text" };
        // Where `close` has returned, for others too.
        if matches!(way, 0 | 1 | 4 | 5) {
            assert_same_bytes(std::fs::read(&path).unwrap(), expected);
        }
        assert_same_bytes(aiofiles::read(&path).await.unwrap(), expected);
        #[cfg(target_os = "linux")]
        if count {
            // Dropped files are closed by the pool, soon.
            crate::files::until(|| descriptors(&path) == 0).await;
        }
    }
}

/// How many descriptors of this process lead to the file.
#[cfg(target_os = "linux")]
fn descriptors(path: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
        .filter(|target| target == path)
        .count()
}

#[test]
fn what_was_accepted_is_written_however_the_scope_ends() {
    every_runtime(|runtime| async move {
        let dir = temp_dir();
        each_way(dir.path(), false).await;
        // A scope can be a task.
        let path = dir.path().join("task");
        let own = path.clone();
        let task = runtime.spawn(async move {
            with(File::create(own), async |file| {
                file.write_all(b"text").await?;
                Ok::<_, io::Error>(())
            })
            .await
        });
        task.await.unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"text");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_descriptor_is_closed_however_the_scope_ends() {
    alone(|| {
        every_runtime(|_| async {
            let dir = temp_dir();
            let path = dir.path().join("one");
            let inside = with(File::create(&path), async |_| {
                Ok::<_, io::Error>(descriptors(&path))
            });
            assert_eq!(inside.await.unwrap(), 1);
            assert_eq!(descriptors(&path), 0);
            each_way(dir.path(), true).await;
        });
    });
}

#[test]
fn errors_of_opening_come_alone_and_those_of_the_body_first() {
    every_runtime(|_| async {
        let missing = with(File::open("no/such/file"), async |_| {
            panic!("nothing was opened");
            #[expect(unreachable_code, reason = "the type of the result")]
            Ok::<(), io::Error>(())
        });
        assert_eq!(missing.await.unwrap_err().kind(), ErrorKind::NotFound);

        // A file that is open, and one that was closed inside.
        let file = File::open("Cargo.toml").await.unwrap();
        let n = with(ready(Ok(file)), async |file| {
            let n = file.read(&mut [0; 4]).await?;
            file.close().await?;
            Ok::<_, io::Error>(n)
        });
        assert_eq!(n.await.unwrap(), 4);

        struct Unclosable;
        impl io::Write for Unclosable {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(ErrorKind::StorageFull.into())
            }
        }
        let wrapped = || ready(Ok(aiofiles::wrap(Unclosable)));
        let closing = with(wrapped(), async |file| {
            Ok::<_, Mine>(file.write(b"x").await?)
        });
        match closing.await {
            Err(Mine::Io(error)) => assert_eq!(error.kind(), ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
        let body = with(wrapped(), async |_| Err::<(), _>(Mine::Own("first")));
        assert!(matches!(body.await, Err(Mine::Own("first"))));
        let found = with(ready(Ok(memory("abc"))), async |file| {
            let mut text = String::new();
            file.read_to_string(&mut text).await?;
            Ok::<_, io::Error>(text)
        });
        assert_eq!(found.await.unwrap(), "abc");
    });
}
