//! What is taken piece by piece: each piece comes once, in order, wherever the taking is cut.

use std::fs;
use std::io::{Cursor, Read as _, SeekFrom, Write as _, pipe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;

use aiofiles::{File, OpenOptions};
use futures_lite::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, Stream,
    StreamExt as _,
};

use crate::bench::{Bench, Case, all, either, nothing, says};
use crate::support::numbered;

impl Bench<'_> {
    /// Takes piece after piece until there is none any more, and after the cut goes on with it.
    fn pieces<S>(
        &mut self,
        case: Case,
        make: impl AsyncFn(&Path) -> S,
        next: impl AsyncFn(&mut S) -> Option<String>,
    ) {
        self.case(
            case.noisy(),
            async |dir: &Path| (make(dir).await, String::new()),
            async |(source, found): &mut (S, String)| {
                while let Some(piece) = next(source).await {
                    found.push_str(&piece);
                }
            },
            async |(mut source, mut found): (S, String)| {
                while let Some(piece) = next(&mut source).await {
                    found.push_str(&piece);
                }
                found
            },
        );
    }

    /// Writes piece after piece. Afterwards the file holds what was accepted, or a little more if it is unbuffered.
    fn written<S: futures_lite::AsyncWrite + Unpin>(
        &mut self,
        more: usize,
        make: impl AsyncFn(&Path) -> S,
        content: impl AsyncFn(S) -> Vec<u8>,
    ) {
        const PIECE: usize = 3000;
        let bytes = numbered(30_000);
        let case = says("write", |_, _, found| found.handle == "right").noisy();
        self.case(
            case,
            async |dir: &Path| (make(dir).await, 0),
            async |(file, sent): &mut (S, usize)| {
                while *sent < bytes.len() {
                    let end = bytes.len().min(*sent + PIECE);
                    *sent += file.write(&bytes[*sent..end]).await.unwrap();
                }
                file.flush().await.unwrap();
            },
            async |(file, sent): (S, usize)| {
                let found = content(file).await;
                assert!(
                    bytes.starts_with(&found),
                    "not a beginning of what was sent"
                );
                assert!(
                    found.len() >= sent && found.len() <= sent + more,
                    "{} bytes of {sent}",
                    found.len()
                );
                "right".to_owned()
            },
        );
    }
}

fn text<T: AsRef<[u8]>>(bytes: T) -> String {
    bytes.as_ref().escape_ascii().to_string()
}

async fn next<S: Stream<Item = std::io::Result<T>> + Unpin, T>(stream: &mut S) -> Option<T> {
    stream.next().await.map(Result::unwrap)
}

/// A file of numbered bytes in lines.
fn long(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("file");
    let lines = (0..3000).map(|n| format!("line {n}\n"));
    fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

pub fn cases(bench: &mut Bench<'_>) {
    // Directories.
    let many = |dir: &Path| {
        for n in 0..80 {
            fs::write(dir.join(format!("{n} ")), "").unwrap();
        }
    };
    bench.pieces(
        nothing("dir::read_dir"),
        async |dir: &Path| {
            many(dir);
            aiofiles::read_dir(dir).await.unwrap()
        },
        async |entries| Some(text(next(entries).await?.file_name().into_encoded_bytes())),
    );
    bench.pieces(
        nothing("DirEntry::metadata DirEntry::file_type"),
        async |dir: &Path| {
            fs::write(dir.join("file"), "12").unwrap();
            let mut entries = aiofiles::read_dir(dir).await.unwrap();
            (next(&mut entries).await.unwrap(), true)
        },
        async |(entry, fresh)| {
            if !std::mem::take(fresh) {
                return None;
            }
            // If it is cut, it is asked once more.
            *fresh = true;
            let metadata = entry.metadata().await.unwrap();
            assert!(entry.file_type().await.unwrap().is_file());
            *fresh = false;
            Some(metadata.len().to_string())
        },
    );
    bench.pieces(
        nothing("walk"),
        async |dir: &Path| {
            many(dir);
            fs::create_dir_all(dir.join("p/q/r")).unwrap();
            (aiofiles::walk(dir), dir.components().count())
        },
        async |(walk, depth)| {
            let path = next(walk).await?.into_path();
            let below = path
                .components()
                .skip(*depth)
                .collect::<std::path::PathBuf>();
            Some(format!("{} ", below.display()))
        },
    );
    bench.pieces(
        nothing("read_many"),
        async |dir: &Path| {
            let paths = (0..6).map(|n| dir.join(format!("{n}")));
            let paths = paths.collect::<Vec<_>>();
            for path in &paths {
                fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
            }
            aiofiles::read_many(paths)
        },
        async |many| {
            let (_, read) = many.next().await?;
            Some(text(read.unwrap()))
        },
    );

    // Files, read in every way.
    let opened: [fn(&mut OpenOptions); 4] = [
        |_| {},
        |options| {
            options.unbuffered(true);
        },
        |options| {
            options.buffer_size(500);
        },
        |options| {
            options.append(true);
        },
    ];
    for how in opened {
        let open = async move |dir: &Path| {
            let mut options = OpenOptions::new();
            options.read(true);
            how(&mut options);
            options.open(long(dir)).await.unwrap()
        };
        bench.pieces(nothing("read"), open, async |file| {
            let mut buf = [0; 900];
            let n = file.read(&mut buf).await.unwrap();
            (n > 0).then(|| text(&buf[..n]))
        });
        bench.pieces(nothing("fill_buf"), open, async |file| {
            let lent = file.fill_buf().await.unwrap();
            let some = text(&lent[..lent.len().min(1000)]);
            file.consume(1000);
            (!some.is_empty()).then_some(some)
        });
        // A seek between the pieces, which is made or not, and then again.
        bench.pieces(
            nothing("read seek"),
            async |dir: &Path| (open(dir).await, 0),
            async |(file, at)| {
                file.seek(SeekFrom::Start(*at)).await.unwrap();
                let mut buf = [0; 4000];
                let n = file.read(&mut buf).await.unwrap();
                *at += n as u64;
                (n > 0).then(|| text(&buf[..n]))
            },
        );
    }
    bench.pieces(
        nothing("read"),
        async |dir: &Path| File::from(fs::File::open(long(dir)).unwrap()),
        async |file| {
            let mut buf = [0; 900];
            let n = file.read(&mut buf).await.unwrap();
            (n > 0).then(|| text(&buf[..n]))
        },
    );
    bench.pieces(
        nothing("lines"),
        async |dir: &Path| File::open(long(dir)).await.unwrap().lines(),
        async |lines| next(lines).await,
    );
    bench.pieces(
        nothing("LineReader"),
        async |dir: &Path| aiofiles::LineReader::new(File::open(long(dir)).await.unwrap()),
        async |lines| next(lines).await.map(text),
    );
    bench.pieces(
        nothing("chunks"),
        async |dir: &Path| {
            File::open(long(dir))
                .await
                .unwrap()
                .cursor(7)
                .unwrap()
                .chunks(777)
        },
        async |chunks| next(chunks).await.map(text),
    );

    // Pipes, whose bytes cannot be read again.
    bench.pieces(
        nothing("read"),
        async |_| {
            let (reader, mut writer) = pipe().unwrap();
            writer.write_all(&numbered(5000)).unwrap();
            File::from(OwnedFd::from(reader))
        },
        async |file| {
            let mut buf = [0; 900];
            let n = file.read(&mut buf).await.unwrap();
            (n > 0).then(|| text(&buf[..n]))
        },
    );
    bench.pieces(
        nothing("fill_buf"),
        async |_| {
            let (reader, mut writer) = pipe().unwrap();
            writer.write_all(&numbered(5000)).unwrap();
            File::from(OwnedFd::from(reader))
        },
        async |file| {
            let lent = file.fill_buf().await.unwrap();
            let some = text(&lent[..lent.len().min(1000)]);
            file.consume(1000);
            (!some.is_empty()).then_some(some)
        },
    );

    // Writing.
    let on_disk = async |mut file: File| {
        file.flush().await.unwrap();
        fs::read(file.path().unwrap()).unwrap()
    };
    let options = [
        (0, None, false, false),
        (0, Some(700), false, false),
        (0, None, true, false),
        (3000, None, false, true),
        (3000, None, true, true),
    ];
    for (more, size, append, unbuffered) in options {
        bench.written(
            more,
            async |dir: &Path| {
                let mut options = OpenOptions::new();
                options
                    .write(!append)
                    .append(append)
                    .create(true)
                    .unbuffered(unbuffered);
                if let Some(size) = size {
                    options.buffer_size(size);
                }
                options.open(dir.join("file")).await.unwrap()
            },
            on_disk,
        );
    }
    bench.written(
        3000,
        async |_| {
            let (reader, writer) = pipe().unwrap();
            (Some(reader), File::from(OwnedFd::from(writer))).into()
        },
        async |Piped { reader, file }: Piped| {
            drop(file.into_std().await.unwrap());
            let mut found = Vec::new();
            reader.unwrap().read_to_end(&mut found).unwrap();
            found
        },
    );

    objects(bench);
}

/// The end of a pipe that is written to, and the other.
struct Piped {
    reader: Option<std::io::PipeReader>,
    file: File,
}

impl From<(Option<std::io::PipeReader>, File)> for Piped {
    fn from((reader, file): (Option<std::io::PipeReader>, File)) -> Piped {
        Piped { reader, file }
    }
}

impl futures_lite::AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.file).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.file).poll_close(cx)
    }
}

/// Objects of std.
fn objects(bench: &mut Bench<'_>) {
    type Object = aiofiles::Wrapped<Cursor<Vec<u8>>>;
    let make = async |_: &Path| {
        let mut object = aiofiles::wrap(Cursor::new(numbered(200))).seekable();
        object.read_exact(&mut [0; 10]).await.unwrap();
        Some(object)
    };
    // Where it stands, and what is in it.
    let look = async |object: Option<Object>| {
        let Some(mut object) = object else {
            return "gone".to_owned();
        };
        let position = object.seek(SeekFrom::Current(0)).await;
        let position = position.map_err(|error| error.to_string());
        let mut rest = Vec::new();
        if position.is_ok() {
            object.read_to_end(&mut rest).await.unwrap();
        }
        let all = object.into_inner().await.into_inner();
        format!("at {position:?}, then {}, in {}", text(rest), text(all))
    };
    let object = |object: &mut Option<Object>| -> Object { object.take().expect("it is there") };
    bench.case(
        nothing("Wrapped::get_mut").noisy(),
        make,
        async |it| {
            it.as_mut().unwrap().get_mut().await;
        },
        look,
    );
    bench.case(
        all("Wrapped::into_inner"),
        make,
        async |it| {
            drop(object(it).into_inner().await);
        },
        look,
    );
    bench.case(
        nothing("read").noisy(),
        make,
        async |it| {
            assert!(it.as_mut().unwrap().read(&mut [0; 5]).await.unwrap() > 0);
        },
        look,
    );
    bench.case(
        nothing("fill_buf").noisy(),
        make,
        async |it| {
            assert!(!it.as_mut().unwrap().fill_buf().await.unwrap().is_empty());
        },
        look,
    );
    bench.case(
        either("write").noisy(),
        make,
        async |it| {
            assert_eq!(it.as_mut().unwrap().write(b"text").await.unwrap(), 4);
        },
        look,
    );
    bench.case(
        nothing("flush").noisy(),
        make,
        async |it| {
            it.as_mut().unwrap().flush().await.unwrap();
        },
        look,
    );
    bench.case(
        either("seek").noisy(),
        make,
        async |it| {
            it.as_mut()
                .unwrap()
                .seek(SeekFrom::Start(50))
                .await
                .unwrap();
        },
        look,
    );
    bench.case(
        all("close").noisy(),
        make,
        async |it| {
            it.as_mut().unwrap().close().await.unwrap();
        },
        look,
    );
}
