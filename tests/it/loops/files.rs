//! The methods of `File`, of every kind of file that has a position.

use std::fs::{self, FileTimes};
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiofiles::{Advice, AlignedBuf, File, OpenOptions, Permissions};
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, StreamExt as _,
};

use super::{Found, Manner, Operation, Stage, Way, data, op};
use crate::support::temp_dir;

/// So long that it is read ahead in several blocks, and written behind in several writes.
const LONG: usize = 600_000;

/// How a file came to be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    /// A file of std, of which nothing is known yet.
    Foreign,
    Append,
    Unbuffered,
    UnbufferedAppend,
    /// A clone, beside the handle that it was made from.
    Clone,
    /// A position of its own on an open file.
    Cursor,
    Direct,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Own,
        Kind::Foreign,
        Kind::Append,
        Kind::Unbuffered,
        Kind::UnbufferedAppend,
        Kind::Clone,
        Kind::Cursor,
        Kind::Direct,
    ];

    fn appends(self) -> bool {
        matches!(self, Kind::Append | Kind::UnbufferedAppend)
    }

    fn way(self) -> Way {
        if self.appends() {
            Way::Append
        } else {
            Way::Both
        }
    }

    /// Opens the file; what stays open beside it comes with it.
    fn open(self, stage: &Stage, path: &Path) -> (File, Option<File>) {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(!self.appends())
            .append(self.appends());
        options.unbuffered(matches!(self, Kind::Unbuffered | Kind::UnbufferedAppend));
        options.direct(self == Kind::Direct);
        if self == Kind::Foreign {
            let std = fs::File::options().read(true).write(true).open(path);
            return (File::from(std.unwrap()), None);
        }
        let file = stage.now(options.open(path)).unwrap();
        match self {
            Kind::Clone => (stage.now(file.try_clone()).unwrap(), Some(file)),
            Kind::Cursor => (file.cursor(0).unwrap(), Some(file)),
            _ => (file, None),
        }
    }
}

/// Whether there is direct I/O where temporary directories are.
fn has_direct() -> bool {
    let dir = temp_dir();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let mut options = OpenOptions::new();
    let opened = futures_lite::future::block_on(options.read(true).direct(true).open(path));
    opened.is_ok()
}

/// A file of this kind that is open.
struct Subject {
    kind: Kind,
    path: PathBuf,
    base: Vec<u8>,
    file: File,
    beside: Option<File>,
}

impl Subject {
    fn new(kind: Kind, stage: &Stage, base: impl AsRef<[u8]>) -> Subject {
        let base = base.as_ref().to_vec();
        let path = stage.file("file", &base);
        let (file, beside) = kind.open(stage, &path);
        Subject {
            kind,
            path,
            base,
            file,
            beside,
        }
    }

    fn check(mut self, stage: &Stage, is_right: impl FnOnce(&Found<'_>, &[u8]) -> bool) {
        let (way, base) = (self.kind.way(), &self.base);
        stage.check(&mut self.file, Some(&self.path), way, |found| {
            is_right(found, base)
        });
        drop(self.beside);
    }

    /// It holds what it held; after an error its position is the old one.
    fn unchanged(self, stage: &Stage) {
        self.check(stage, |found, base| {
            found.content == base && (found.ok || found.position == Some(0))
        });
    }

    /// It holds what it held, wherever its position is.
    fn unchanged_anywhere(self, stage: &Stage) {
        self.check(stage, |found, base| found.content == base);
    }

    /// What was accepted of `data`, which the position tells, stands over what there was.
    fn wrote(self, stage: &Stage, data: &[u8]) {
        let appends = self.kind.appends();
        self.check(stage, |found, base| {
            wrote(found, base, data, appends, data.len())
        });
    }
}

/// Whether what was accepted of `data` stands over `base`, or behind it, and is not more than `most` after an error.
fn wrote(found: &Found<'_>, base: &[u8], data: &[u8], appends: bool, most: usize) -> bool {
    let Some(position) = found.position else {
        return false;
    };
    let (start, accepted) = match (appends, position) {
        (false, position) => (0, position as usize),
        (true, 0) => (base.len(), 0),
        (true, end) => match (end as usize).checked_sub(base.len()) {
            Some(accepted) => (base.len(), accepted),
            None => return false,
        },
    };
    accepted <= data.len()
        && (found.ok || accepted <= most)
        && (!found.ok || accepted == data.len())
        && found.content == over(base, start, &data[..accepted])
}

/// Whether a copy by direct I/O failed when all was written, and what is behind it in the last block was to be cut off.
fn is_padded(kind: Kind, found: &Found<'_>, whole: &[u8]) -> bool {
    let rest = found.content.strip_prefix(whole);
    let is_padding = |rest: &[u8]| rest.len() < 4096 && rest.iter().all(|byte| *byte == 0);
    kind == Kind::Direct && !found.ok && rest.is_some_and(is_padding)
}

/// `data` over `base`, from `start` on.
fn over(base: &[u8], start: usize, data: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    bytes.resize(bytes.len().max(start + data.len()), 0);
    bytes[start..start + data.len()].copy_from_slice(data);
    bytes
}

/// One operation for each kind of file.
fn of_each(
    all: &mut Vec<Operation>,
    kinds: &[Kind],
    name: &str,
    covers: &'static [&'static str],
    perform: impl Fn(Kind, &Stage) + Copy + 'static,
) {
    for (n, &kind) in kinds.iter().enumerate() {
        let name = format!("{name} ({kind:?})");
        let covers = if n == 0 { covers } else { &[] };
        all.push(op(name, covers, move |stage| perform(kind, stage)));
    }
}

pub fn operations() -> Vec<Operation> {
    let mut kinds = Kind::ALL.to_vec();
    if !has_direct() {
        kinds.retain(|kind| *kind != Kind::Direct);
    }
    let mut all = opening();
    reading(&mut all, &kinds);
    writing(&mut all, &kinds);
    asking(&mut all, &kinds);
    changing(&mut all, &kinds);
    ending(&mut all, &kinds);
    at_offsets(&mut all, &kinds);
    copying(&mut all);
    all
}

/// Opens with the fault, and checks what was opened.
fn opens<F: Future<Output = io::Result<File>>>(
    stage: &Stage,
    path: &Path,
    way: Way,
    open: F,
    content: &[u8],
) {
    let mut opened = None;
    stage.act(async {
        opened = Some(open.await?);
        Ok(())
    });
    if let Some(mut file) = opened {
        stage.check(&mut file, Some(path), way, |found| found.content == content);
    }
}

fn opening() -> Vec<Operation> {
    vec![
        op("File::open", &["file.rs open"], |stage| {
            let path = stage.file("a", "text");
            opens(stage, &path, Way::Read, File::open(path.clone()), b"text");
        }),
        op("File::create", &["file.rs create"], |stage| {
            let path = stage.file("a", "text");
            stage.may_leave("a", "");
            opens(stage, &path, Way::Write, File::create(path.clone()), b"");
        }),
        op("File::create_new", &["file.rs create_new"], |stage| {
            let path = stage.path("new");
            stage.may_leave("new", "");
            opens(stage, &path, Way::Both, File::create_new(path.clone()), b"");
        }),
        op("OpenOptions::open", &["open.rs open"], |stage| {
            let path = stage.path("new");
            stage.may_leave("new", "");
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            opens(stage, &path, Way::Both, options.open(path.clone()), b"");
        }),
        op("open with a mode", &[], |stage| {
            let path = stage.file("a", "text");
            opens(
                stage,
                &path,
                Way::Both,
                aiofiles::open(path.clone(), "r+b"),
                b"text",
            );
        }),
        op("open with a mode, to append", &[], |stage| {
            let path = stage.file("a", "text");
            opens(
                stage,
                &path,
                Way::Append,
                aiofiles::open(path.clone(), "a+"),
                b"text",
            );
        }),
        op("open_with", &["open.rs open_with"], |stage| {
            let path = stage.file("a", "text");
            let open = aiofiles::open_with(path.clone(), "a+", |path, options| options.open(path));
            opens(stage, &path, Way::Append, open, b"text");
        }),
        op("open of a directory", &[], |stage| {
            let path = stage.directory("sub");
            stage.act(async {
                let directory = File::open(path).await?;
                directory.sync_all().await?;
                Ok(directory.metadata().await?.is_dir())
            });
        }),
        op("open of a device", &[], |stage| {
            stage.act(async {
                let device = File::open("/dev/null").await?;
                Ok(device.metadata().await?.file_type().is_char_device())
            });
        }),
        op("open of procfs, and read", &[], |stage| {
            stage.act(async {
                let mut text = String::new();
                let mut file = File::open("/proc/self/status").await?;
                file.read_to_string(&mut text).await?;
                Ok(text.contains("Pid:"))
            });
        }),
        op("File::from_borrowed", &["file.rs from_borrowed"], |stage| {
            let path = stage.file("a", "text");
            let std = fs::File::open(&path).unwrap();
            let open = async { File::from_borrowed(&std) };
            opens(stage, &path, Way::Read, open, b"text");
        }),
        op(
            "open while descriptors are short and files are dropped",
            &[],
            |stage| {
                let path = stage.file("a", "text");
                let dropped = [(); 3].map(|()| stage.now(File::open(&path)).unwrap());
                let open = async {
                    drop(dropped);
                    File::open(&path).await
                };
                opens(stage, &path, Way::Read, open, b"text");
            },
        ),
    ]
}

fn reading(all: &mut Vec<Operation>, kinds: &[Kind]) {
    of_each(
        all,
        kinds,
        "read",
        &["file.rs AsyncRead for File"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(9000));
            let mut buf = [0; 100];
            stage.act(subject.file.read(&mut buf));
            subject.unchanged(stage);
        },
    );
    of_each(all, kinds, "read_vectored", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(9000));
        let (mut one, mut other) = ([0; 100], [0; 50]);
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        stage.act(subject.file.read_vectored(&mut slices));
        subject.unchanged(stage);
    });
    of_each(all, kinds, "read_exact of much", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(LONG));
        let mut buf = vec![0; LONG - 1000];
        if stage.act(subject.file.read_exact(&mut buf)) {
            stage.ensure(buf == data(LONG)[..LONG - 1000], "the wrong bytes");
        }
        subject.unchanged_anywhere(stage);
    });
    of_each(all, kinds, "read_to_end", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(LONG));
        let mut bytes = Vec::new();
        stage.act(subject.file.read_to_end(&mut bytes));
        stage.ensure(data(LONG).starts_with(&bytes), "the wrong bytes");
        let read = bytes.len() as u64;
        subject.check(stage, |found, base| {
            found.content == base && found.position == Some(read)
        });
    });
    of_each(
        all,
        kinds,
        "fill_buf and consume",
        &["file.rs AsyncBufRead for File"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(9000));
            stage.act(async {
                let lent = subject.file.fill_buf().await?;
                assert!(!lent.is_empty() && data(9000).starts_with(lent));
                subject.file.consume(10);
                Ok(())
            });
            subject.unchanged(stage);
        },
    );
    of_each(all, kinds, "read_until", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, "line\n".repeat(2000));
        let mut lines = Vec::new();
        stage.act(async {
            for _ in 0..1500 {
                subject.file.read_until(b'\n', &mut lines).await?;
            }
            Ok(())
        });
        let read = lines.len() as u64;
        subject.check(stage, |found, base| {
            found.content == base && found.position == Some(read) && base.starts_with(&lines)
        });
    });
    of_each(all, kinds, "read after a seek", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(LONG));
        stage
            .now(subject.file.seek(SeekFrom::Start(200_000)))
            .unwrap();
        let mut buf = [0; 100];
        if stage.act(subject.file.read_exact(&mut buf)) {
            stage.ensure(buf == data(LONG)[200_000..200_100], "the wrong bytes");
        }
        subject.check(stage, |found, base| {
            found.content == base && (found.ok || found.position == Some(200_000))
        });
    });
    of_each(all, kinds, "read at the end", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, "");
        let mut buf = [0; 100];
        stage.act(subject.file.read(&mut buf));
        subject.unchanged(stage);
    });
    of_each(
        all,
        kinds,
        "chunks",
        &["lines.rs Stream for Chunks"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(9000));
            let mut chunks = subject.file.chunks(4000);
            let mut bytes = Vec::new();
            stage.act(async {
                while let Some(chunk) = chunks.next().await {
                    bytes.extend(chunk?);
                }
                Ok(())
            });
            // Going on afterwards, nothing is missing.
            while let Some(Ok(chunk)) = stage.now(chunks.next()) {
                bytes.extend(chunk);
            }
            stage.ensure(bytes == subject.base, "the chunks are not the file");
        },
    );
    of_each(
        all,
        kinds,
        "LineReader",
        &["lines.rs Stream for LineReader"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, "line\n".repeat(3000));
            let mut lines = aiofiles::LineReader::new(subject.file);
            let mut count = 0;
            stage.act(async {
                while let Some(line) = lines.next().await {
                    assert_eq!(line?, b"line");
                    count += 1;
                }
                Ok(())
            });
            while let Some(Ok(line)) = stage.now(lines.next()) {
                stage.ensure(line == b"line", "half a line");
                count += 1;
            }
            stage.ensure(count == 3000, "the lines are not those of the file");
        },
    );
    of_each(all, kinds, "read after a write", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(9000));
        if stage.now(subject.file.write_all(b"data")).is_err() {
            stage.wrong("write, beforehand");
        }
        let mut buf = [0; 100];
        stage.act(subject.file.read(&mut buf));
        let appends = kind.appends();
        subject.check(stage, |found, base| {
            let start = if appends { base.len() } else { 0 };
            let end = (start + 4) as u64;
            found.content == over(base, start, b"data") && (found.ok || found.position == Some(end))
        });
    });
}

fn writing(all: &mut Vec<Operation>, kinds: &[Kind]) {
    of_each(
        all,
        kinds,
        "write",
        &["file.rs AsyncWrite for File"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.write(b"data"));
            subject.wrote(stage, b"data");
        },
    );
    of_each(all, kinds, "write_vectored", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        let slices = [IoSlice::new(b"one, "), IoSlice::new(b"two")];
        let whole = stage.act(subject.file.write_vectored(&slices));
        let appends = kind.appends();
        let _ = whole;
        subject.check(stage, |found, base| {
            // It may take a part of them, and says so.
            [&b"one, "[..], b"one, two"]
                .iter()
                .any(|data| wrote(found, base, data, appends, data.len()))
        });
    });
    of_each(all, kinds, "write and flush", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(async {
            subject.file.write_all(b"data").await?;
            subject.file.flush().await
        });
        subject.wrote(stage, b"data");
    });
    of_each(
        all,
        kinds,
        "write of much, and flush",
        &[],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let data = data(LONG);
            stage.act(async {
                subject.file.write_all(data).await?;
                subject.file.flush().await
            });
            subject.wrote(stage, data);
        },
    );
    of_each(
        all,
        kinds,
        "many writes, tried again after errors, and flush",
        &[],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let mut accepted = Vec::new();
            stage.act(async {
                let mut result = Ok(());
                for n in 0..20 {
                    let record = format!("record {n}\n");
                    match subject.file.write(record.as_bytes()).await {
                        Ok(n) => accepted.extend_from_slice(&record.as_bytes()[..n]),
                        Err(error) => result = result.and(Err(error)),
                    }
                }
                result.and(subject.file.flush().await)
            });
            let appends = kind.appends();
            subject.check(stage, |found, base| {
                let start = if appends { base.len() } else { 0 };
                found.content == over(base, start, &accepted)
            });
        },
    );
    of_each(all, kinds, "flush after a write", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        let mut told = false;
        let ok = stage.act(async {
            subject.file.write_all(b"data").await?;
            told = subject.file.flush().await.is_err();
            // The answer to the second one is that of the operation.
            subject.file.flush().await
        });
        if ok && told {
            stage.told_otherwise();
        }
        subject.wrote(stage, b"data");
    });
    of_each(
        all,
        kinds,
        "sync_all after a write",
        &["file.rs sync_all"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(async {
                subject.file.write_all(b"data").await?;
                subject.file.sync_all().await
            });
            subject.wrote(stage, b"data");
        },
    );
    of_each(
        all,
        kinds,
        "sync_data after a write",
        &["file.rs sync_data"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(async {
                subject.file.write_all(b"data").await?;
                subject.file.sync_data().await
            });
            subject.wrote(stage, b"data");
        },
    );
    of_each(
        all,
        kinds,
        "discard_unwritten",
        &["file.rs discard_unwritten"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(async {
                subject.file.write_all(b"data").await?;
                match subject.file.discard_unwritten().await {
                    0 => Ok(()),
                    // Whoever is told a number knows that it could not be written.
                    4 => Err(stage.planned_error()),
                    n => panic!("{n} bytes of 4 are given up"),
                }
            });
            let appends = kind.appends();
            subject.check(stage, |found, base| match found.ok {
                true => wrote(found, base, b"data", appends, 4),
                // Of a panic it hears before it has discarded anything.
                false if found.panicked => wrote(found, base, b"data", appends, 4),
                false => wrote(found, base, b"", appends, 0),
            });
        },
    );
    of_each(all, kinds, "seek after a write", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(async {
            subject.file.write_all(b"data").await?;
            subject.file.seek(SeekFrom::Start(500)).await
        });
        let appends = kind.appends();
        subject.check(stage, |found, base| {
            let start = if appends { base.len() } else { 0 };
            let all = found.content == over(base, start, b"data");
            let none = !found.ok && found.content == base && found.position == Some(0);
            (all || none) && (!found.ok || found.position == Some(500))
        });
    });
}

fn asking(all: &mut Vec<Operation>, kinds: &[Kind]) {
    of_each(
        all,
        kinds,
        "seek",
        &["file.rs AsyncSeek for File"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.seek(SeekFrom::Start(100)));
            subject.unchanged(stage);
        },
    );
    of_each(all, kinds, "seek from the end", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(subject.file.seek(SeekFrom::End(-100)));
        subject.unchanged(stage);
    });
    of_each(all, kinds, "seek from the position", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(subject.file.seek(SeekFrom::Current(100)));
        subject.unchanged(stage);
    });
    of_each(
        all,
        kinds,
        "stream_position",
        &["file.rs stream_position"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.stream_position());
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "stream_position after a write",
        &[],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            stage.act(async {
                subject.file.write_all(b"data").await?;
                subject.file.stream_position().await
            });
            subject.wrote(stage, b"data");
        },
    );
    of_each(
        all,
        kinds,
        "metadata",
        &["file.rs metadata"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(async { Ok(subject.file.metadata().await?.len()) });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "is_terminal",
        &["file.rs is_terminal"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(async { Ok(subject.file.is_terminal().await) });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "direct_alignment",
        &["at.rs direct_alignment"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.direct_alignment());
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "seek_data",
        &["space.rs seek_data"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.seek_data(0));
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "seek_hole",
        &["space.rs seek_hole"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.seek_hole(0));
            subject.unchanged(stage);
        },
    );
    of_each(all, kinds, "advise", &["space.rs advise"], |kind, stage| {
        let subject = Subject::new(kind, stage, data(900));
        stage.act(subject.file.advise(0, 0, Advice::Sequential));
        subject.unchanged(stage);
    });
    of_each(
        all,
        kinds,
        "try_clone",
        &["file.rs try_clone"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let mut clone = None;
            stage.act(async {
                subject.file.write_all(b"data").await?;
                clone = Some(subject.file.try_clone().await?);
                Ok(())
            });
            subject.wrote(stage, b"data");
            drop(clone);
        },
    );
    of_each(all, kinds, "cursor", &["lines.rs cursor"], |kind, stage| {
        let subject = Subject::new(kind, stage, data(900));
        let mut buf = [0; 100];
        stage.act(async {
            let mut cursor = subject.file.cursor(500)?;
            cursor.read_exact(&mut buf).await?;
            assert_eq!(buf, data(900)[500..600]);
            Ok(())
        });
        subject.unchanged(stage);
    });
}

fn changing(all: &mut Vec<Operation>, kinds: &[Kind]) {
    of_each(
        all,
        kinds,
        "set_len",
        &["file.rs set_len"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.set_len(100));
            subject.check(stage, |found, base| {
                found.content == &base[..100] || !found.ok && found.content == base
            });
        },
    );
    of_each(all, kinds, "set_len after a write", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(async {
            subject.file.write_all(b"data").await?;
            subject.file.set_len(2000).await
        });
        let appends = kind.appends();
        subject.check(stage, |found, base| {
            let start = if appends { base.len() } else { 0 };
            let mut longer = over(base, start, b"data");
            let written = found.content == longer;
            longer.resize(2000, 0);
            let none = found.content == base && found.position == Some(0);
            found.content == longer || !found.ok && (written || none)
        });
    });
    of_each(
        all,
        kinds,
        "set_permissions",
        &["file.rs set_permissions"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            let mode = Permissions::from_mode(0o640);
            stage.act(subject.file.set_permissions(mode));
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "set_times",
        &["file.rs set_times"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
            stage.act(subject.file.set_times(FileTimes::new().set_modified(time)));
            let modified = fs::metadata(&subject.path).unwrap().modified().unwrap();
            stage.note(format!("modified {}", modified == time));
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "set_modified after a write",
        &["file.rs set_modified"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
            stage.act(async {
                subject.file.write_all(b"data").await?;
                subject.file.set_modified(time).await
            });
            let modified = fs::metadata(&subject.path).unwrap().modified().unwrap();
            stage.note(format!("modified {}", modified == time));
            subject.wrote(stage, b"data");
        },
    );
    let locks = [
        "lock",
        "lock_shared",
        "try_lock",
        "try_lock_shared",
        "unlock",
    ];
    for which in locks {
        let covers: &'static [&'static str] = match which {
            "lock" => &["lock.rs lock"],
            "lock_shared" => &["lock.rs lock_shared"],
            "try_lock" => &["lock.rs try_lock"],
            "try_lock_shared" => &["lock.rs try_lock_shared"],
            _ => &["lock.rs unlock"],
        };
        of_each(all, &kinds[..2], which, covers, move |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            if which == "unlock" {
                stage.now(subject.file.lock()).unwrap();
            }
            stage.act(async {
                match which {
                    "lock" => subject.file.lock().await,
                    "lock_shared" => subject.file.lock_shared().await,
                    "try_lock" => subject.file.try_lock().await.map_err(io::Error::from),
                    "try_lock_shared" => subject
                        .file
                        .try_lock_shared()
                        .await
                        .map_err(io::Error::from),
                    _ => subject.file.unlock().await,
                }
            });
            let other = fs::File::open(&subject.path).unwrap();
            stage.note(format!("free: {}", other.try_lock().is_ok()));
            drop(other);
            // Whoever waits for the lock gets it.
            stage.succeeds("unlock", subject.file.unlock());
            stage.succeeds("lock", subject.file.lock());
            subject.unchanged(stage);
        });
    }
    of_each(
        all,
        kinds,
        "allocate",
        &["space.rs allocate"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.allocate(0, 2000));
            subject.check(stage, |found, base| {
                let mut longer = base.to_vec();
                longer.resize(2000, 0);
                found.content == longer || !found.ok && found.content == base
            });
        },
    );
    of_each(
        all,
        kinds,
        "punch_hole",
        &["space.rs punch_hole"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            stage.act(subject.file.punch_hole(100, 200));
            subject.check(stage, |found, base| {
                let punched = over(base, 100, &[0; 200]);
                found.content == punched || !found.ok && found.content == base
            });
        },
    );
}

fn ending(all: &mut Vec<Operation>, kinds: &[Kind]) {
    of_each(all, kinds, "close", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        stage.act(subject.file.close());
        // It is closed, whatever it has told.
        let error = stage.now(subject.file.read(&mut [0; 4])).unwrap_err();
        stage.ensure(
            error.kind() == io::ErrorKind::InvalidInput,
            "it is not closed",
        );
        stage.succeeds("close", subject.file.close());
    });
    of_each(all, kinds, "close after a write", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        let data = data(100);
        let start = if kind.appends() { 900 } else { 0 };
        stage.may_leave("file", over(&subject.base, start, data));
        // What could not be written is given up, and its error told.
        let accepted = std::cell::Cell::new(false);
        let ok = stage.act(async {
            subject.file.write_all(data).await?;
            accepted.set(true);
            subject.file.close().await
        });
        if !ok && !accepted.get() {
            stage.succeeds("close", subject.file.close());
        }
        stage.succeeds("close", subject.file.close());
    });
    of_each(all, kinds, "close after an error", &[], |kind, stage| {
        let mut subject = Subject::new(kind, stage, data(900));
        let start = if kind.appends() { 900 } else { 0 };
        stage.may_leave("file", over(&subject.base, start, b"data"));
        // The error is told by the flush, and the close tries once more.
        stage.act(async {
            let written = subject.file.write_all(b"data").await;
            let flushed = subject.file.flush().await;
            let closed = subject.file.close().await;
            written.and(flushed).and(closed)
        });
        stage.succeeds("close", subject.file.close());
    });
    of_each(
        all,
        kinds,
        "drop, and settle",
        &["settle.rs settle"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let start = if kind.appends() { 900 } else { 0 };
            stage.may_leave("file", over(&subject.base, start, b"data"));
            stage.act(async {
                let written = subject.file.write_all(b"data").await;
                drop(subject.file);
                drop(subject.beside);
                aiofiles::settle().await;
                written
            });
        },
    );
    of_each(
        all,
        kinds,
        "drop, and read of the same file",
        &[],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let start = if kind.appends() { 900 } else { 0 };
            let whole = over(&subject.base, start, b"data");
            stage.may_leave("file", &whole);
            stage.act(async {
                let written = subject.file.write_all(b"data").await;
                drop(subject.file);
                drop(subject.beside);
                let read = aiofiles::read(&subject.path).await;
                written?;
                Ok(read? == whole)
            });
        },
    );
    of_each(
        all,
        kinds,
        "into_std",
        &["file.rs into_std"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let mut given = None;
            let file = subject.file;
            stage.act(async {
                let mut file = file;
                if let Err(error) = file.write_all(b"data").await {
                    given = Some(Err(file));
                    return Err(error);
                }
                match file.into_std().await {
                    Ok(std) => {
                        given = Some(Ok(std));
                        Ok(())
                    }
                    Err(error) => {
                        let code = aiofiles::raw_os_error(error.error());
                        given = Some(Err(error.into_file()));
                        Err(code.map_or_else(
                            || io::Error::other("no code"),
                            io::Error::from_raw_os_error,
                        ))
                    }
                }
            });
            match given {
                Some(Ok(mut std)) => {
                    let position = io::Seek::stream_position(&mut std).unwrap();
                    stage.note(format!("the kernel's position {position}"));
                }
                Some(Err(file)) => {
                    subject.file = file;
                    subject.wrote(stage, b"data");
                }
                None => stage.ensure(stage.panicked(), "neither file came back"),
            }
        },
    );
    of_each(all, &[Kind::Own], "with", &["scope.rs with"], |_, stage| {
        let path = stage.path("new");
        stage.may_leave("new", "data");
        stage.act(aiofiles::with(File::create(path), async |file| {
            file.write_all(b"data").await
        }));
    });
}

fn at_offsets(all: &mut Vec<Operation>, kinds: &[Kind]) {
    // Memory as direct I/O wants it.
    fn room(len: usize) -> AlignedBuf {
        AlignedBuf::with_capacity(len, 4096).unwrap()
    }
    fn aligned(bytes: &[u8]) -> AlignedBuf {
        let mut buf = room(bytes.len());
        buf.extend_from_slice(bytes);
        buf
    }
    of_each(all, kinds, "read_at", &["at.rs read_at"], |kind, stage| {
        let subject = Subject::new(kind, stage, data(12_288));
        stage.act(async {
            let (read, buf) = subject.file.read_at(room(4096), 4096).await;
            let read = read?;
            assert_eq!(buf[..read], data(12_288)[4096..4096 + read]);
            Ok(read)
        });
        subject.unchanged(stage);
    });
    of_each(
        all,
        kinds,
        "read_exact_at",
        &["at.rs read_exact_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let (read, buf) = subject.file.read_exact_at(room(8192), 4096).await;
                read?;
                assert_eq!(buf[..], data(12_288)[4096..]);
                Ok(())
            });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "read_to_end_at",
        &["at.rs read_to_end_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let (read, buf) = subject.file.read_to_end_at(Vec::new(), 4096).await;
                read?;
                assert_eq!(buf[..], data(12_288)[4096..]);
                Ok(())
            });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "read_vectored_at",
        &["at.rs read_vectored_at", "at.rs readv_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let bufs = vec![room(4096), room(4096)];
                let (read, bufs) = subject.file.readv_at(bufs, 4096).await;
                let read = read?;
                let bytes = bufs.iter().flat_map(|buf| buf.to_vec()).collect::<Vec<_>>();
                assert_eq!(bytes[..read], data(12_288)[4096..4096 + read]);
                Ok(read)
            });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "read_many_at",
        &["batch.rs read_many_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let ranges = [0..100, 5000..6000, 12_000..20_000];
                let found = subject.file.read_many_at(ranges).await;
                every_range(found, &[0..100, 5000..6000, 12_000..12_288])
            });
            subject.unchanged(stage);
        },
    );
    of_each(
        all,
        kinds,
        "read_many_at_together",
        &["batch.rs read_many_at_together"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let ranges = [0..100, 120..200, 12_000..20_000];
                let found = subject.file.read_many_at_together(ranges, 64).await;
                every_range(found, &[0..100, 120..200, 12_000..12_288])
            });
            subject.unchanged(stage);
        },
    );

    /// After an error, any beginning of the bytes may have been written.
    fn wrote_at(subject: Subject, stage: &Stage, data: &[u8]) {
        let kind = subject.kind;
        subject.check(stage, |found, base| {
            let start = if kind.appends() { base.len() } else { 4096 };
            let lens = if found.ok {
                data.len()..=data.len()
            } else {
                0..=data.len()
            };
            let mut right = lens.map(|n| over(base, start, &data[..n]));
            right.any(|right| found.content == right || found.content == base && !found.ok)
        });
    }
    of_each(
        all,
        kinds,
        "write_at",
        &["at.rs write_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async { subject.file.write_at(aligned(&[b'x'; 4096]), 4096).await.0 });
            wrote_at(subject, stage, &[b'x'; 4096]);
        },
    );
    of_each(
        all,
        kinds,
        "write_all_at",
        &["at.rs write_all_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                subject
                    .file
                    .write_all_at(aligned(&[b'x'; 4096]), 4096)
                    .await
                    .0
            });
            wrote_at(subject, stage, &[b'x'; 4096]);
        },
    );
    of_each(
        all,
        kinds,
        "write_vectored_at",
        &["at.rs write_vectored_at", "at.rs writev_at"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                let bufs = vec![aligned(&[b'x'; 4096]), aligned(&[b'y'; 4096])];
                subject.file.writev_at(bufs, 4096).await.0
            });
            let data = [[b'x'; 4096], [b'y'; 4096]].concat();
            wrote_at(subject, stage, &data);
        },
    );
    of_each(
        all,
        kinds,
        "write_at, dropped, and flush",
        &[],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(12_288));
            stage.act(async {
                // Begun, and nobody waits for it. A ring may have done it by then.
                let write = subject.file.write_at(aligned(&[b'x'; 4096]), 4096);
                match crate::support::poll_once(write).await {
                    Some((Err(error), _)) => Err(error),
                    _ => subject.file.flush().await,
                }
            });
            wrote_at(subject, stage, &[b'x'; 4096]);
        },
    );
}

/// The first error, if there is one; the other ranges are right.
fn every_range(
    found: Vec<io::Result<Vec<u8>>>,
    ranges: &[std::ops::Range<usize>],
) -> io::Result<()> {
    let mut result = Ok(());
    assert_eq!(found.len(), ranges.len());
    for (found, range) in found.into_iter().zip(ranges) {
        match found {
            Ok(bytes) => assert_eq!(bytes, data(12_288)[range.clone()]),
            Err(error) => result = result.and(Err(error)),
        }
    }
    result
}

fn copying(all: &mut Vec<Operation>) {
    let kinds = [
        Kind::Own,
        Kind::Foreign,
        Kind::Unbuffered,
        Kind::Clone,
        Kind::Direct,
    ];
    of_each(
        all,
        &kinds,
        "copy_between",
        &["copy.rs copy_between"],
        |kind, stage| {
            let mut subject = Subject::new(kind, stage, data(900));
            let mut source = source(kind, stage);
            let data = data(9000);
            stage.act(aiofiles::copy_between(&mut source, &mut subject.file));
            subject.check(stage, |found, base| {
                wrote(found, base, data, false, data.len())
                    || is_padded(kind, found, &over(base, 0, data))
                    || found.panicked && found.content == over(base, 0, data)
            });
            // It stands where its copy ends.
            let at = stage.succeeds("stream_position", source.stream_position());
            stage.note(format!("the source at {at:?}"));
        },
    );
    of_each(
        all,
        &kinds,
        "copy_range",
        &["space.rs copy_range"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            let source = source(kind, stage);
            stage.act(aiofiles::copy_range(&source, 0, &subject.file, 100, 5000));
            let data = data(5000);
            subject.check(stage, |found, base| {
                let lens = if found.ok {
                    data.len()..=data.len()
                } else {
                    0..=data.len()
                };
                let mut right = lens.map(|n| over(base, 100, &data[..n]));
                found.position == Some(0)
                    && (right.any(|right| found.content == right)
                        || is_padded(kind, found, &over(base, 100, data)))
            });
        },
    );
    of_each(
        all,
        &kinds[..2],
        "sendfile",
        &["unix.rs sendfile"],
        |kind, stage| {
            let subject = Subject::new(kind, stage, data(900));
            let (to, mut from) = std::os::unix::net::UnixStream::pair().unwrap();
            to.set_nonblocking(true).unwrap();
            stage.act(aiofiles::unix::sendfile(&to, &subject.file, 100, 500));
            drop(to);
            let mut sent = Vec::new();
            io::Read::read_to_end(&mut from, &mut sent).unwrap();
            stage.note(format!("{} bytes sent", sent.len()));
            let whole = &data(900)[100..600];
            stage.ensure(whole.starts_with(&sent), "what was sent is not of the file");
            subject.unchanged(stage);
        },
    );
    let sendfile = all.len() - 2;
    all[sendfile..]
        .iter_mut()
        .for_each(|operation| operation.manner = Manner::Outside);

    fn source(kind: Kind, stage: &Stage) -> File {
        let path = stage.file("source", data(9000));
        kind.open(stage, &path).0
    }
}
