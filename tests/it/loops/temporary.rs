//! Temporary files and directories. Each is created with the fault too, so that an error leaves nothing of it.

use std::cell::Cell;
use std::fs;
use std::io::{self, SeekFrom};

use aiofiles::tempfile::{
    Builder, NamedTemporaryFile, SpooledTemporaryFile, TemporaryDirectory, TemporaryFile,
};
use aiofiles::testing::Call;
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{Found, Operation, Stage, Way, data, op};

fn builder(stage: &Stage) -> Builder {
    let mut builder = Builder::new();
    builder.dir(stage.dir());
    builder
}

/// The same with a name that does not differ from run to run.
fn of_one_name(stage: &Stage) -> Builder {
    let mut builder = builder(stage);
    builder.prefix("named").rand_bytes(0);
    builder
}

pub fn operations() -> Vec<Operation> {
    let mut all = unnamed();
    all.extend(named());
    all.extend(spooled());
    all.extend(directories());
    all
}

fn unnamed() -> Vec<Operation> {
    vec![
        op("TemporaryFile::new", &["tempfile/file.rs new"], |stage| {
            stage.act(async { TemporaryFile::new().await.map(drop) });
        }),
        op(
            "temporary_file",
            &["tempfile/builder.rs temporary_file"],
            |stage| {
                let builder = builder(stage);
                let mut made = None;
                stage.act(async {
                    made = Some(builder.temporary_file().await?);
                    Ok(())
                });
                if let Some(mut file) = made {
                    stage.check(file.as_file_mut(), None, Way::Both, |found| {
                        found.content.is_empty()
                    });
                }
            },
        ),
        op("temporary_file, written, read and closed", &[], |stage| {
            let builder = builder(stage);
            stage.act(async {
                let mut file = builder.temporary_file().await?;
                file.write_all(b"text").await?;
                file.seek(SeekFrom::Start(0)).await?;
                let mut text = String::new();
                file.read_to_string(&mut text).await?;
                file.close().await?;
                Ok(text)
            });
        }),
    ]
}

fn named() -> Vec<Operation> {
    vec![
        op(
            "NamedTemporaryFile::new",
            &["tempfile/named.rs new"],
            |stage| {
                stage.act(async { NamedTemporaryFile::new().await.map(drop) });
            },
        ),
        op(
            "named_temporary_file",
            &["tempfile/builder.rs named_temporary_file"],
            |stage| {
                let builder = of_one_name(stage);
                let mut made = None;
                stage.act(async {
                    made = Some(builder.named_temporary_file().await?);
                    Ok(())
                });
                if let Some(mut file) = made {
                    let path = file.path().to_owned();
                    let right = |found: &Found<'_>| found.content.is_empty();
                    stage.check(file.as_file_mut(), Some(&path), Way::Both, right);
                    drop(file);
                }
            },
        ),
        op("reopen", &["tempfile/named.rs reopen"], |stage| {
            let builder = of_one_name(stage);
            stage.may_leave("named", "text");
            stage.act(async {
                let mut file = builder.named_temporary_file().await?;
                file.write_all(b"text").await?;
                let mut other = file.reopen().await?;
                let mut text = String::new();
                other.read_to_string(&mut text).await?;
                Ok(text)
            });
        }),
        op("close of a named file", &[], |stage| {
            let builder = of_one_name(stage);
            stage.may_leave("named", "text");
            let closed = Cell::new(false);
            stage.act(async {
                let mut file = builder.named_temporary_file().await?;
                file.write_all(b"text").await?;
                let result = file.close().await;
                closed.set(true);
                file.close().await?;
                result
            });
            if closed.get() && !stage.strikes(Call::RemoveFile) {
                stage.ensure(!stage.path("named").exists(), "it is still there");
            }
        }),
        op(
            "remove of a named file",
            &["tempfile/named.rs remove"],
            |stage| {
                let builder = of_one_name(stage);
                stage.may_leave("named", "text");
                let removed = Cell::new(false);
                stage.act(async {
                    let mut file = builder.named_temporary_file().await?;
                    file.write_all(b"text").await?;
                    let result = file.remove().await;
                    removed.set(true);
                    result
                });
                if removed.get() && !stage.strikes(Call::RemoveFile) {
                    stage.ensure(!stage.path("named").exists(), "it is still there");
                }
            },
        ),
        op("persist", &["tempfile/named.rs persist"], |stage| {
            let builder = builder(stage);
            let path = stage.file("target", "old");
            let mut persisted = None;
            stage.act(async {
                let mut file = builder.named_temporary_file().await?;
                file.write_all(b"text").await?;
                persisted = Some(file.persist(&path).await?);
                Ok(())
            });
            if let Some(mut file) = persisted {
                stage.check(&mut file, Some(&path), Way::Both, |found| {
                    found.content == b"text"
                });
            }
        }),
        op("persist, tried again after an error", &[], |stage| {
            let builder = of_one_name(stage);
            stage.may_leave("named", "text");
            let path = stage.file("target", "old");
            let mut file = None;
            stage.act(async {
                let mut made = builder.named_temporary_file().await?;
                made.write_all(b"text").await?;
                match made.persist(&path).await {
                    Ok(persisted) => drop(persisted),
                    Err(error) => {
                        file = Some(error.file);
                        return Err(error.error);
                    }
                }
                Ok(())
            });
            if let Some(file) = file {
                stage.keep_snapshot();
                let persisted = stage.now(file.persist(&path));
                stage.ensure(persisted.is_ok(), "persist fails afterwards");
                drop(persisted);
                let content = fs::read(&path).unwrap();
                stage.ensure(content == b"text", "persist loses bytes afterwards");
            }
        }),
        op(
            "persist_noclobber",
            &["tempfile/named.rs persist_noclobber"],
            |stage| {
                let builder = builder(stage);
                let path = stage.path("target");
                stage.act(async {
                    let mut file = builder.named_temporary_file().await?;
                    file.write_all(b"text").await?;
                    drop(file.persist_noclobber(&path).await?);
                    Ok(())
                });
            },
        ),
        op(
            "keep of a named file",
            &["tempfile/named.rs keep"],
            |stage| {
                let builder = of_one_name(stage);
                stage.may_leave("named", "text");
                stage.act(async {
                    let mut file = builder.named_temporary_file().await?;
                    file.write_all(b"text").await?;
                    let (mut file, path) = file.keep().await?;
                    file.close().await?;
                    Ok(path)
                });
            },
        ),
        op("drop of a named file", &[], |stage| {
            let builder = of_one_name(stage);
            stage.may_leave("named", "text");
            stage.act(async {
                let mut file = builder.named_temporary_file().await?;
                file.write_all(b"text").await?;
                drop(file);
                Ok(())
            });
        }),
    ]
}

fn spooled() -> Vec<Operation> {
    /// Writes so much that it does not stay in memory.
    async fn written(file: &mut SpooledTemporaryFile) -> io::Result<()> {
        file.write_all(data(50)).await?;
        file.write_all(&data(200)[50..]).await
    }

    /// It holds the beginning of what was written, which its position tells.
    fn check(stage: &Stage, mut file: SpooledTemporaryFile, whole: &[u8]) {
        if stage.told_later("flush", stage.hear(file.flush())) {
            stage.succeeds("flush", file.flush());
        }
        let Some(at) = stage.succeeds("stream_position", file.seek(SeekFrom::Current(0))) else {
            return;
        };
        let mut bytes = Vec::new();
        stage.succeeds("seek", file.seek(SeekFrom::Start(0)));
        stage.succeeds("read_to_end", file.read_to_end(&mut bytes));
        stage.ensure(whole.starts_with(&bytes), "the bytes are not those written");
        stage.ensure(bytes.len() as u64 >= at, "it holds less than was accepted");
        stage.note(format!("{} bytes", bytes.len()));
        stage.succeeds("write", file.write_all(b"more"));
        stage.succeeds("rollover", file.rollover());
        stage.succeeds("seek", file.seek(SeekFrom::Start(0)));
        let mut all = Vec::new();
        stage.succeeds("read_to_end", file.read_to_end(&mut all));
        stage.ensure(
            all == [&bytes[..], b"more"].concat(),
            "what is written next is not there",
        );
        stage.succeeds("close", file.close());
    }

    vec![
        op(
            "spooled file, written beyond its memory",
            &["tempfile/spooled.rs AsyncWrite for SpooledTemporaryFile"],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(100).unwrap();
                stage.act(async {
                    written(&mut file).await?;
                    file.flush().await
                });
                check(stage, file, data(200));
            },
        ),
        op(
            "rollover",
            &[
                "tempfile/spooled.rs rollover",
                "tempfile/builder.rs spooled_temporary_file",
            ],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(1000).unwrap();
                stage.now(file.write_all(data(200))).unwrap();
                stage.act(file.rollover());
                check(stage, file, data(200));
            },
        ),
        op("rollover of much", &[], |stage| {
            let mut file = builder(stage).spooled_temporary_file(1 << 20).unwrap();
            stage.now(file.write_all(data(300_000))).unwrap();
            stage.act(file.rollover());
            check(stage, file, data(300_000));
        }),
        op(
            "SpooledTemporaryFile::file",
            &["tempfile/spooled.rs file"],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(1000).unwrap();
                stage.now(file.write_all(data(200))).unwrap();
                stage.act(async { Ok(file.file().await?.path().is_some()) });
                check(stage, file, data(200));
            },
        ),
        op(
            "SpooledTemporaryFile::into_file",
            &["tempfile/spooled.rs into_file"],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(1000).unwrap();
                stage.now(file.write_all(data(200))).unwrap();
                let mut given = None;
                stage.act(async {
                    match file.into_file().await {
                        Ok(file) => given = Some(Ok(file)),
                        Err(error) => {
                            given = Some(Err(error.file));
                            return Err(error.error);
                        }
                    }
                    Ok(())
                });
                match given {
                    Some(Ok(mut file)) => stage.check(&mut file, None, Way::Both, |found| {
                        found.content == data(200) && found.position == Some(200)
                    }),
                    Some(Err(file)) => check(stage, file, data(200)),
                    None => stage.ensure(stage.panicked(), "neither file came back"),
                }
            },
        ),
        op(
            "SpooledTemporaryFile::set_len",
            &["tempfile/spooled.rs set_len"],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(300).unwrap();
                stage.now(file.write_all(data(200))).unwrap();
                stage.act(file.set_len(1000));
                let mut whole = data(200).to_vec();
                whole.resize(1000, 0);
                stage.succeeds("seek", file.seek(SeekFrom::End(0)));
                check(stage, file, &whole);
            },
        ),
        op(
            "spooled file, read after it rolled",
            &["tempfile/spooled.rs AsyncRead for SpooledTemporaryFile"],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(100).unwrap();
                stage.now(written(&mut file)).unwrap();
                stage.now(file.seek(SeekFrom::Start(0))).unwrap();
                let mut bytes = Vec::new();
                stage.act(file.read_to_end(&mut bytes));
                stage.ensure(
                    data(200).starts_with(&bytes),
                    "the bytes are not those written",
                );
                stage.succeeds("seek", file.seek(SeekFrom::End(0)));
                check(stage, file, data(200));
            },
        ),
        op(
            "spooled file, sought after it rolled",
            &[
                "tempfile/spooled.rs AsyncSeek for SpooledTemporaryFile",
                "tempfile/spooled.rs AsyncBufRead for SpooledTemporaryFile",
            ],
            |stage| {
                let mut file = builder(stage).spooled_temporary_file(100).unwrap();
                stage.now(written(&mut file)).unwrap();
                stage.act(file.seek(SeekFrom::End(-50)));
                stage.succeeds("seek", file.seek(SeekFrom::End(0)));
                check(stage, file, data(200));
            },
        ),
    ]
}

fn directories() -> Vec<Operation> {
    vec![
        op(
            "TemporaryDirectory::new",
            &["tempfile/directory.rs new"],
            |stage| {
                stage.act(async { TemporaryDirectory::new().await.map(drop) });
            },
        ),
        op(
            "temporary_directory, and drop",
            &["tempfile/builder.rs temporary_directory"],
            |stage| {
                let builder = of_one_name(stage);
                stage.may_leave("named", "");
                stage.act(async {
                    let made = builder.temporary_directory().await?;
                    drop(made);
                    Ok(())
                });
            },
        ),
        op(
            "close of a temporary directory",
            &["tempfile/directory.rs close"],
            |stage| {
                let builder = builder(stage);
                let mut made = None;
                stage.act(async {
                    let mut dir = builder.temporary_directory().await?;
                    fs::write(dir.path().join("file"), "text").unwrap();
                    let closed = dir.close().await;
                    made = Some(dir);
                    closed
                });
                if let Some(mut dir) = made {
                    // What could not be removed is removed by the next one.
                    stage.succeeds("close", dir.close());
                    stage.ensure(!dir.path().exists(), "it is still there");
                }
            },
        ),
        op("memory_dir", &["testing/memory.rs memory_dir"], |stage| {
            stage.act(async {
                match aiofiles::testing::memory_dir().await {
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
                    made => made.map(drop),
                }
            });
        }),
    ]
}
