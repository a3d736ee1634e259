//! What goes away again.

use std::fs;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use aiofiles::File;
use aiofiles::tempfile::{
    Builder, NamedTemporaryFile, SpooledTemporaryFile, TemporaryDirectory, TemporaryFile,
};
use futures_lite::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::bench::{Bench, Case, all, either, either_tree, nothing, says, tree_as_after};

/// Options for this directory, and a name that is always the same.
fn builder(dir: &Path) -> Builder {
    let mut builder = Builder::new();
    builder.dir(dir).prefix("temporary").rand_bytes(0);
    builder
}

/// A named file with text in it, and its directory.
struct Named {
    file: Option<NamedTemporaryFile>,
    dir: PathBuf,
}

impl Named {
    async fn new(dir: &Path) -> Named {
        let mut file = builder(dir).named_temporary_file().await.unwrap();
        file.write_all(b"accepted").await.unwrap();
        fs::write(dir.join("there"), "there").unwrap();
        Named {
            file: Some(file),
            dir: dir.to_owned(),
        }
    }
}

impl Bench<'_> {
    /// A method of a named file. What is left of it is dropped in the end.
    fn named(&mut self, case: Case, act: impl AsyncFn(&mut Named)) {
        self.case(
            case,
            Named::new,
            async |named: &mut Named| act(named).await,
            async |named: Named| {
                drop(named.file);
                String::new()
            },
        );
    }

    /// A method of a file that is in memory first.
    fn spooled(&mut self, case: Case, max: usize, act: impl AsyncFn(&mut SpooledTemporaryFile)) {
        self.case(
            case.noisy(),
            async |dir: &Path| {
                let mut spooled = builder(dir).spooled_temporary_file(max).unwrap();
                spooled.write_all(b"0123456789").await.unwrap();
                spooled.seek(SeekFrom::Start(4)).await.unwrap();
                spooled
            },
            async |spooled: &mut SpooledTemporaryFile| act(spooled).await,
            async |mut spooled: SpooledTemporaryFile| {
                let position = match spooled.seek(SeekFrom::Current(0)).await {
                    Ok(position) => position,
                    Err(error) => return error.to_string(),
                };
                let mut content = String::new();
                spooled.seek(SeekFrom::Start(0)).await.unwrap();
                spooled.read_to_string(&mut content).await.unwrap();
                format!("at {position} of {content}")
            },
        );
    }
}

pub fn cases(bench: &mut Bench<'_>) {
    // What is made is nobody's if the future is dropped.
    let nothing_there = async |_: PathBuf| String::new();
    let own = async |dir: &Path| dir.to_owned();
    bench.case(
        nothing("Builder::temporary_file"),
        own,
        async |dir| {
            drop(builder(dir).temporary_file().await.unwrap());
        },
        nothing_there,
    );
    bench.case(
        nothing("Builder::named_temporary_file"),
        own,
        async |dir| {
            drop(builder(dir).named_temporary_file().await.unwrap());
        },
        nothing_there,
    );
    bench.case(
        nothing("Builder::temporary_directory"),
        own,
        async |dir| {
            drop(builder(dir).temporary_directory().await.unwrap());
        },
        nothing_there,
    );
    bench.case(
        nothing("TemporaryFile::new"),
        own,
        async |_| {
            drop(TemporaryFile::new().await.unwrap());
        },
        nothing_there,
    );
    bench.case(
        nothing("NamedTemporaryFile::new"),
        own,
        async |_| {
            drop(NamedTemporaryFile::new().await.unwrap());
        },
        nothing_there,
    );
    bench.case(
        nothing("TemporaryDirectory::new"),
        own,
        async |_| {
            drop(TemporaryDirectory::new().await.unwrap());
        },
        nothing_there,
    );

    // Files with names.
    bench.named(nothing("NamedTemporaryFile::reopen"), async |named| {
        drop(named.file.as_ref().unwrap().reopen().await.unwrap());
    });
    bench.named(nothing("NamedTemporaryFile::remove"), async |named| {
        named.file.take().unwrap().remove().await.unwrap();
    });
    bench.named(nothing("close").noisy(), async |named| {
        named.file.as_mut().unwrap().close().await.unwrap();
    });
    bench.named(either("NamedTemporaryFile::persist"), async |named| {
        let to = named.dir.join("there");
        drop(named.file.take().unwrap().persist(to).await.unwrap());
    });
    bench.named(
        either("NamedTemporaryFile::persist_noclobber"),
        async |named| {
            let to = named.dir.join("new");
            drop(
                named
                    .file
                    .take()
                    .unwrap()
                    .persist_noclobber(to)
                    .await
                    .unwrap(),
            );
        },
    );
    bench.named(either("NamedTemporaryFile::keep"), async |named| {
        drop(named.file.take().unwrap().keep().await.unwrap());
    });
    // One that is not to go away.
    let kept = async |dir: &Path| {
        let mut builder = builder(dir);
        let mut file = builder.delete(false).named_temporary_file().await.unwrap();
        file.write_all(b"accepted").await.unwrap();
        Named {
            file: Some(file),
            dir: dir.to_owned(),
        }
    };
    let gone = async |named: Named| {
        drop(named.file);
        String::new()
    };
    bench.case(
        says("NamedTemporaryFile::persist", either_tree),
        kept,
        async |named| {
            let to = named.dir.join("new");
            drop(named.file.take().unwrap().persist(to).await.unwrap());
        },
        gone,
    );
    // Polled, it is removed all the same.
    bench.case(
        all("NamedTemporaryFile::remove"),
        kept,
        async |named| {
            named.file.take().unwrap().remove().await.unwrap();
        },
        gone,
    );

    // Directories.
    bench.case(
        all("TemporaryDirectory::close").noisy(),
        async |dir: &Path| {
            let temporary = builder(dir).temporary_directory().await.unwrap();
            fs::write(temporary.path().join("file"), "text").unwrap();
            Some(temporary)
        },
        async |temporary: &mut Option<TemporaryDirectory>| {
            temporary.as_mut().unwrap().close().await.unwrap();
        },
        async |temporary: Option<TemporaryDirectory>| {
            // Unless it was closed, it stays.
            let there = temporary.as_ref().unwrap().path().exists();
            temporary.unwrap().keep();
            there.to_string()
        },
    );

    // Files that are in memory first.
    for max in [5, 10, 100] {
        bench.spooled(nothing("SpooledTemporaryFile::rollover"), max, async |it| {
            it.rollover().await.unwrap();
        });
        bench.spooled(nothing("SpooledTemporaryFile::file"), max, async |it| {
            assert!(it.file().await.unwrap().metadata().await.unwrap().is_file());
        });
        bench.spooled(either("SpooledTemporaryFile::set_len"), max, async |it| {
            it.set_len(40).await.unwrap();
        });
        bench.spooled(either("SpooledTemporaryFile::set_len"), max, async |it| {
            it.set_len(2).await.unwrap();
        });
        bench.spooled(nothing("write"), max, async |it| {
            assert_eq!(it.write(b"longer text").await.unwrap(), 11);
        });
        bench.spooled(nothing("read"), max, async |it| {
            assert!(it.read(&mut [0; 3]).await.unwrap() > 0);
        });
        bench.spooled(nothing("flush"), max, async |it| it.flush().await.unwrap());
        bench.spooled(all("close"), max, async |it| it.close().await.unwrap());
    }
    bench.case(
        says("SpooledTemporaryFile::into_file", tree_as_after),
        async |dir: &Path| {
            let mut spooled = builder(dir).spooled_temporary_file(100).unwrap();
            spooled.write_all(b"0123456789").await.unwrap();
            Some(spooled)
        },
        async |spooled: &mut Option<SpooledTemporaryFile>| {
            let file: File = spooled.take().unwrap().into_file().await.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 10);
        },
        async |_| String::new(),
    );
}
