//! Methods of open files.

use std::fs;
use std::fs::FileTimes;
use std::io::{IoSlice, IoSliceMut, Read as _, SeekFrom};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use aiofiles::testing::{Call, Faults};
use aiofiles::unix::PermissionsExt as _;
use aiofiles::{Advice, File, OpenOptions};
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _,
};

use crate::bench::{Bench, Case, Leaves, Seen, all, either, nothing, says, then};

/// What stands in the file.
const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// In what state a file is when something is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Opened,
    /// Taken over from std: the first operation asks what it is.
    Foreign,
    /// With bytes on their way.
    Busy,
    Append,
    Unbuffered,
    /// It has a clone.
    Shared,
    /// Bytes are there that were read ahead.
    Ahead,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Opened,
        Kind::Foreign,
        Kind::Busy,
        Kind::Append,
        Kind::Unbuffered,
        Kind::Shared,
        Kind::Ahead,
    ];

    /// What an operation of such a file waits for before it begins.
    fn waits(self) -> bool {
        matches!(self, Kind::Foreign | Kind::Busy)
    }
}

/// A file in use.
pub struct Used {
    file: Option<File>,
    _clone: Option<File>,
    path: PathBuf,
}

impl Used {
    async fn new(dir: &Path, kind: Kind) -> Used {
        let path = dir.join("file");
        fs::write(&path, CONTENT).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = match kind {
            Kind::Foreign => {
                let mut file = fs::File::options()
                    .read(true)
                    .write(true)
                    .open(&path)
                    .unwrap();
                std::io::Seek::seek(&mut file, SeekFrom::Start(2)).unwrap();
                File::from(file)
            }
            Kind::Append => options.append(true).open(&path).await.unwrap(),
            Kind::Unbuffered => options.unbuffered(true).open(&path).await.unwrap(),
            _ => options.open(&path).await.unwrap(),
        };
        if kind != Kind::Foreign {
            file.seek(SeekFrom::Start(2)).await.unwrap();
        }
        match kind {
            Kind::Busy => file.write_all(b"##").await.unwrap(),
            Kind::Ahead => file.read_exact(&mut [0; 2]).await.unwrap(),
            _ => {}
        }
        let clone = match kind {
            Kind::Shared => Some(file.try_clone().await.unwrap()),
            _ => None,
        };
        Used {
            file: Some(file),
            _clone: clone,
            path,
        }
    }

    fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("it is there")
    }

    /// Where it stands, what comes then, and that it can be written to and closed.
    async fn look(self) -> String {
        let lock = fs::File::open(&self.path).unwrap().try_lock().is_ok();
        let Some(mut file) = self.file else {
            return format!("gone, to be locked: {lock}");
        };
        let position = match file.stream_position().await {
            Ok(position) => position,
            Err(error) => return error.to_string(),
        };
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).await.unwrap();
        file.write_all(b"!").await.unwrap();
        file.close().await.unwrap();
        let rest = rest.escape_ascii();
        format!("at {position}, then {rest}, to be locked: {lock}")
    }
}

impl Bench<'_> {
    /// A method of a file, in every state in which a file can be.
    fn file(&mut self, case: Case, act: impl AsyncFn(&mut File)) {
        for kind in Kind::ALL {
            self.file_of(kind, case, &act);
        }
    }

    fn file_of(&mut self, kind: Kind, case: Case, act: impl AsyncFn(&mut File)) {
        let case = match case.leaves() {
            Leaves::All if kind.waits() => case.leaving(Leaves::Either),
            _ => case,
        };
        self.case(
            case,
            async |dir: &Path| Used::new(dir, kind).await,
            async |used: &mut Used| act(used.file()).await,
            async |used: Used| used.look().await,
        );
    }

    /// A method that takes the file.
    fn taken_file(&mut self, case: Case, act: impl AsyncFn(File)) {
        for kind in Kind::ALL {
            self.case(
                case,
                async |dir: &Path| Used::new(dir, kind).await,
                async |used: &mut Used| {
                    let file = used.file.take().expect("it is there");
                    act(file).await;
                },
                async |used: Used| used.look().await,
            );
        }
    }
}

/// The second file holds a beginning of the first, and both positions, which the handle tells, are at its end or before.
fn a_beginning_is_copied(before: &Seen, _: &Seen, found: &Seen) -> bool {
    let content = |seen: &Seen| seen.tree[Path::new("to")].clone();
    let content = content(found).replace(&content(before), "");
    let positions = found
        .handle
        .split(' ')
        .map(|at| at.parse::<usize>().unwrap());
    let positions = positions.collect::<Vec<_>>();
    let [from, to] = positions[..] else {
        return false;
    };
    CONTENT.starts_with(content.as_bytes()) && from == to && to <= content.len()
}

pub fn cases(bench: &mut Bench<'_>) {
    // What only asks.
    bench.file(nothing("File::metadata"), async |file| {
        file.metadata().await.unwrap();
    });
    bench.file(nothing("File::stream_position"), async |file| {
        file.stream_position().await.unwrap();
    });
    bench.file(nothing("File::is_terminal"), async |file| {
        assert!(!file.is_terminal().await);
    });
    bench.file(nothing("File::try_clone"), async |file| {
        drop(file.try_clone().await.unwrap());
    });
    bench.file(nothing("File::direct_alignment"), async |file| {
        file.direct_alignment().await.unwrap();
    });
    bench.file(nothing("File::seek_data"), async |file| {
        file.seek_data(1).await.unwrap();
    });
    bench.file(nothing("File::seek_hole"), async |file| {
        file.seek_hole(1).await.unwrap();
    });
    bench.file(nothing("File::advise"), async |file| {
        file.advise(0, 0, Advice::Sequential).await.unwrap();
    });
    bench.file(nothing("File::sync_all"), async |file| {
        file.sync_all().await.unwrap();
    });
    bench.file(nothing("File::sync_data"), async |file| {
        file.sync_data().await.unwrap();
    });
    bench.file(nothing("path::sameopenfile"), async |file| {
        assert!(aiofiles::os::path::sameopenfile(file, file).await.unwrap());
    });
    bench.file(nothing("File::discard_unwritten"), async |file| {
        assert_eq!(file.discard_unwritten().await, 0);
    });

    // Reading at offsets.
    bench.file(nothing("File::read_at"), async |file| {
        assert_eq!(file.read_at(vec![0; 9], 4).await.0.unwrap(), 9);
    });
    bench.file(nothing("File::read_exact_at"), async |file| {
        file.read_exact_at(vec![0; 9], 4).await.0.unwrap();
    });
    bench.file(nothing("File::read_to_end_at"), async |file| {
        file.read_to_end_at(Vec::new(), 4).await.0.unwrap();
    });
    bench.file(
        nothing("File::read_vectored_at File::readv_at"),
        async |file| {
            let bufs = || vec![vec![0; 4]; 3];
            file.read_vectored_at(bufs(), 4).await.0.unwrap();
            file.readv_at(bufs(), 4).await.0.unwrap();
        },
    );
    bench.file(nothing("File::read_many_at"), async |file| {
        assert_eq!(file.read_many_at([0..4, 20..22, 8..9]).await.len(), 3);
    });
    bench.file(nothing("File::read_many_at_together"), async |file| {
        let read = file.read_many_at_together([0..4, 20..22, 8..9], 4);
        assert_eq!(read.await.len(), 3);
    });

    // Changes.
    bench.file(all("File::set_len"), async |file| {
        file.set_len(5).await.unwrap();
    });
    bench.file(all("File::set_permissions"), async |file| {
        let permissions = aiofiles::Permissions::from_mode(0o600);
        file.set_permissions(permissions).await.unwrap();
    });
    // What `look` writes sets the time anew: it is not to write then.
    for name in ["File::set_times", "File::set_modified"] {
        for kind in Kind::ALL {
            let leaves = if kind.waits() { either } else { all };
            bench.case(
                leaves(name),
                async |dir: &Path| Used::new(dir, kind).await,
                async |used: &mut Used| {
                    let file = used.file();
                    let set = match name {
                        "File::set_modified" => file.set_modified(then()).await,
                        _ => file.set_times(FileTimes::new().set_modified(then())).await,
                    };
                    set.unwrap();
                },
                async |mut used: Used| used.file().stream_position().await.unwrap().to_string(),
            );
        }
    }
    bench.file(all("File::allocate"), async |file| {
        file.allocate(30, 30).await.unwrap();
    });
    bench.file(all("File::punch_hole"), async |file| {
        file.punch_hole(20, 4).await.unwrap();
    });
    bench.file(all("File::write_at"), async |file| {
        assert_eq!(file.write_at("text", 20).await.0.unwrap(), 4);
    });
    bench.file(all("File::write_all_at"), async |file| {
        file.write_all_at("text", 20).await.0.unwrap();
    });
    bench.file(all("File::write_vectored_at"), async |file| {
        file.write_vectored_at(vec!["te", "xt"], 20)
            .await
            .0
            .unwrap();
    });
    bench.file(all("File::writev_at"), async |file| {
        file.writev_at(vec!["te", "xt"], 20).await.0.unwrap();
    });
    bench.taken_file(all("File::into_std"), async |file| {
        drop(file.into_std().await.unwrap());
    });

    // Locks: what is cancelled holds nothing.
    bench.file(nothing("File::lock"), async |file| {
        file.lock().await.unwrap();
    });
    bench.file(nothing("File::lock_shared"), async |file| {
        file.lock_shared().await.unwrap();
    });
    bench.file(nothing("File::try_lock"), async |file| {
        file.try_lock().await.unwrap();
    });
    bench.file(nothing("File::try_lock_shared"), async |file| {
        file.try_lock_shared().await.unwrap();
    });
    for shared in [false, true] {
        let held = async move |dir: &Path| {
            let mut used = Used::new(dir, Kind::Opened).await;
            match shared {
                true => used.file().lock_shared().await.unwrap(),
                false => used.file().lock().await.unwrap(),
            }
            used
        };
        bench.case(
            all("File::unlock"),
            held,
            async |used: &mut Used| used.file().unlock().await.unwrap(),
            async |used: Used| used.look().await,
        );
        // What it holds already it holds still, and as it did.
        for again in [false, true] {
            bench.case(
                nothing("File::lock File::lock_shared"),
                held,
                async |used: &mut Used| match again {
                    true => used.file().lock_shared().await.unwrap(),
                    false => used.file().lock().await.unwrap(),
                },
                async |used: Used| {
                    let other = fs::File::open(&used.path).unwrap();
                    let shared = other.try_lock_shared().is_ok();
                    drop(other);
                    format!("{}, shared: {shared}", used.look().await)
                },
            );
        }
    }

    // The traits of files. Their wakers lie in the file.
    bench.file(nothing("read").noisy(), async |file| {
        assert!(file.read(&mut [0; 5]).await.unwrap() > 0);
    });
    bench.file(nothing("read_vectored").noisy(), async |file| {
        let (mut one, mut two) = ([0; 3], [0; 3]);
        let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert!(file.read_vectored(&mut bufs).await.unwrap() > 0);
    });
    bench.file(nothing("fill_buf").noisy(), async |file| {
        assert!(!file.fill_buf().await.unwrap().is_empty());
    });
    for to in [SeekFrom::Start(9), SeekFrom::Current(3), SeekFrom::End(-4)] {
        bench.file(nothing("seek").noisy(), async |file| {
            file.seek(to).await.unwrap();
        });
    }
    bench.file(nothing("flush").noisy(), async |file| {
        file.flush().await.unwrap();
    });
    for kind in Kind::ALL {
        let close = async |file: &mut File| file.close().await.unwrap();
        let case = all("close").noisy();
        bench.case(
            case,
            async |dir: &Path| Used::new(dir, kind).await,
            async |used: &mut Used| close(used.file()).await,
            async |used: Used| used.look().await,
        );
    }
    for kind in Kind::ALL {
        // Pending means that nothing was accepted; unbuffered, what was begun is made.
        let case = match kind {
            Kind::Unbuffered => all("write write_vectored"),
            _ => nothing("write write_vectored"),
        };
        bench.file_of(kind, case.noisy(), async |file| {
            assert_eq!(file.write(b"text").await.unwrap(), 4);
        });
        bench.file_of(kind, case.noisy(), async |file| {
            let bufs = [IoSlice::new(b"te"), IoSlice::new(b"xt")];
            file.write_vectored(&bufs).await.unwrap();
        });
    }

    // A tail that cannot be written.
    bench.case(
        either("File::discard_unwritten"),
        async |dir: &Path| {
            let mut used = Used::new(dir, Kind::Opened).await;
            let faults = Faults::install();
            faults.fail(Call::Write, 0, usize::MAX, 28);
            used.file().write_all(b"tail").await.unwrap();
            used.file().flush().await.unwrap_err();
            drop(faults);
            used
        },
        async |used: &mut Used| assert_eq!(used.file().discard_unwritten().await, 4),
        async |used: Used| used.look().await,
    );

    // Two files.
    let two = async |dir: &Path| {
        fs::write(dir.join("from"), CONTENT).unwrap();
        let from = File::open(dir.join("from")).await.unwrap();
        let to = File::options()
            .read(true)
            .write(true)
            .create(true)
            .open(dir.join("to"));
        (from, to.await.unwrap())
    };
    let positions = async |(from, to): (File, File)| {
        let (from, to) = (from.stream_position().await, to.stream_position().await);
        format!("{} {}", from.unwrap(), to.unwrap())
    };
    bench.case(
        says("copy::copy_between", a_beginning_is_copied),
        two,
        async |(from, to): &mut (File, File)| {
            aiofiles::copy_between(from, to).await.unwrap();
        },
        positions,
    );
    bench.case(
        either("space::copy_range"),
        two,
        async |(from, to): &mut (File, File)| {
            let copied = aiofiles::copy_range(from, 0, to, 0, u64::MAX).await;
            assert_eq!(copied.unwrap(), CONTENT.len() as u64);
        },
        positions,
    );
    bench.case(
        says("unix::sendfile", |_, after, found| {
            found.tree == after.tree && CONTENT.starts_with(found.handle.as_bytes())
        }),
        async |dir: &Path| {
            let used = Used::new(dir, Kind::Opened).await;
            let (one, other) = UnixStream::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            other.set_nonblocking(true).unwrap();
            (used, one, other)
        },
        async |(used, one, _): &mut (Used, UnixStream, UnixStream)| {
            let len = CONTENT.len() as u64;
            aiofiles::unix::sendfile(one, used.file(), 0, len)
                .await
                .unwrap();
        },
        async |(_, _, mut other): (Used, UnixStream, UnixStream)| {
            let mut sent = vec![0; 100];
            let n = other.read(&mut sent).unwrap_or(0);
            String::from_utf8(sent[..n].to_vec()).unwrap()
        },
    );
}
