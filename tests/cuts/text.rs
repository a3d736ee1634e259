//! Text files, over files of every kind.

use std::fs;
use std::io::{SeekFrom, Write as _};
use std::path::Path;

use aiofiles::tempfile::{Builder, SpooledTemporaryFile};
use aiofiles::{Encoding, File, OpenOptions, TextFile, TextOptions, TextPosition, Wrapped};
use futures_lite::{
    AsyncBufRead, AsyncSeek, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _,
};

use crate::bench::{Bench, Case, Seen, all, either, nothing, says};
use crate::support::poll_now;

const TEXT: &str = "one\ntwo \u{e4}\u{20ac}\nthree\r\nfour\nfive and more\n";

/// The text as it stands in the file.
fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
    if encoding == Encoding::UTF_8 {
        return text.as_bytes().to_vec();
    }
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

const ENCODINGS: [Encoding; 2] = [Encoding::UTF_8, Encoding::UTF_16];

/// What is read, a text file at a time.
type Reading<F> = (Option<TextFile<F>>, String);

/// What comes next, and that it can be closed.
async fn rest<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin>(
    (text, mut found): Reading<F>,
) -> String {
    let Some(mut text) = text else {
        return "gone".to_owned();
    };
    match text.read_to_end().await {
        Ok(rest) => found.push_str(&rest),
        Err(error) => return error.to_string(),
    }
    text.close().await.unwrap();
    found
}

impl Bench<'_> {
    /// A method of a text file, over files of every kind, from which nothing or a line was read.
    fn text<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin>(
        &mut self,
        case: Case,
        open: &impl AsyncFn(&Path, Vec<u8>) -> F,
        act: impl AsyncFn(&mut Reading<F>),
    ) {
        for encoding in ENCODINGS {
            for lines in 0..2 {
                self.case(
                    case.noisy(),
                    async |dir: &Path| {
                        let file = open(dir, encoded(encoding, TEXT)).await;
                        let mut text = TextOptions::new().encoding(encoding).wrap(file);
                        let mut found = String::new();
                        for _ in 0..lines {
                            found.push_str(&text.readline().await.unwrap());
                        }
                        (Some(text), found)
                    },
                    async |reading: &mut Reading<F>| act(reading).await,
                    rest,
                );
            }
        }
    }

    /// All methods that every text file has.
    fn texts<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin>(
        &mut self,
        open: &impl AsyncFn(&Path, Vec<u8>) -> F,
    ) {
        // Reading.
        self.text(nothing("TextFile::read"), open, async |(text, found)| {
            found.push_str(&text.as_mut().unwrap().read(7).await.unwrap());
        });
        self.text(
            nothing("TextFile::readline"),
            open,
            async |(text, found)| {
                found.push_str(&text.as_mut().unwrap().readline().await.unwrap());
            },
        );
        self.text(
            nothing("TextFile::read_to_end"),
            open,
            async |(text, found)| {
                found.push_str(&text.as_mut().unwrap().read_to_end().await.unwrap());
            },
        );
        self.text(
            says("TextFile::readlines", a_rest),
            open,
            async |(text, found)| {
                let lines = text.as_mut().unwrap().readlines(None).await.unwrap();
                found.push_str(&lines.concat());
            },
        );
        self.text(nothing("TextFile::lines"), open, async |(text, found)| {
            if let Some(line) = text.as_mut().unwrap().lines().next().await {
                found.push_str(&line.unwrap());
                found.push('\n');
            }
        });
        self.text(nothing("TextFile::tell"), open, async |(text, _)| {
            text.as_mut().unwrap().tell().await.unwrap();
        });

        // Writing.
        self.text(either("TextFile::write"), open, async |(text, _)| {
            text.as_mut()
                .unwrap()
                .write("new \u{20ac}\n")
                .await
                .unwrap();
        });
        self.text(
            says("TextFile::writelines", some_lines),
            open,
            async |(text, _)| {
                let text = text.as_mut().unwrap();
                text.seek_to_end().await.unwrap();
                text.writelines(["A\n", "B\n", "C\n"]).await.unwrap();
            },
        );
        self.text(nothing("TextFile::flush"), open, async |(text, _)| {
            text.as_mut().unwrap().flush().await.unwrap();
        });
        self.text(all("TextFile::close"), open, async |(text, _)| {
            text.as_mut().unwrap().close().await.unwrap();
        });

        // Moving.
        self.text(either("TextFile::seek"), open, async |(text, found)| {
            found.push_str(&text.as_mut().unwrap().read(9).await.unwrap());
            text.as_mut()
                .unwrap()
                .seek(TextPosition::START)
                .await
                .unwrap();
        });
        self.text(
            either("TextFile::seek_to_end"),
            open,
            async |(text, found)| {
                text.as_mut().unwrap().seek_to_end().await.unwrap();
            },
        );
        self.text(says("TextFile::detach", gone), open, async |(text, _)| {
            drop(text.take().unwrap().detach().await.unwrap());
        });
    }
}

/// What is found is the end of what there was, behind the line that was read before: lines are lost, and nothing else.
fn a_rest(before: &Seen, _: &Seen, found: &Seen) -> bool {
    let rest = found.handle.strip_prefix("one\n").unwrap_or(&found.handle);
    found.tree == before.tree && before.handle.ends_with(rest)
}

fn gone(before: &Seen, after: &Seen, found: &Seen) -> bool {
    found.tree == before.tree && found.handle == after.handle
}

/// Some of the lines were written, the first ones, and what was read before is not read again.
fn some_lines(before: &Seen, after: &Seen, found: &Seen) -> bool {
    let file = |seen: &Seen| seen.tree.values().next().cloned().unwrap_or_default();
    let (was, is, will) = (file(before), file(found), file(after));
    let is_part = is.len() >= was.len() && is.len() <= will.len() && will.starts_with(&is);
    is_part && (found.handle == before.handle || found.handle == after.handle)
}

pub fn cases(bench: &mut Bench<'_>) {
    // Files of all kinds.
    let opened: [fn(&mut OpenOptions); 3] = [
        |_| {},
        // Text takes more than one write.
        |options| {
            options.buffer_size(3);
        },
        |options| {
            options.unbuffered(true);
        },
    ];
    for how in opened {
        let open = async |dir: &Path, bytes: Vec<u8>| {
            fs::write(dir.join("file"), bytes).unwrap();
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            how(&mut options);
            options.open(dir.join("file")).await.unwrap()
        };
        bench.texts::<File>(&open);
        bench.text(either("TextFile::truncate"), &open, async |(text, _)| {
            text.as_mut().unwrap().truncate().await.unwrap();
        });
    }
    let open = async |dir: &Path, bytes: Vec<u8>| {
        fs::write(dir.join("file"), bytes).unwrap();
        let mut options = fs::File::options();
        let file = options.read(true).write(true).open(dir.join("file"));
        aiofiles::wrap(file.unwrap()).seekable()
    };
    bench.texts::<Wrapped<fs::File>>(&open);
    let open = async |dir: &Path, bytes: Vec<u8>| {
        let mut spooled = Builder::new().dir(dir).spooled_temporary_file(60).unwrap();
        spooled.write_all(&bytes).await.unwrap();
        spooled.seek(SeekFrom::Start(0)).await.unwrap();
        spooled
    };
    bench.text::<SpooledTemporaryFile>(
        nothing("TextFile::readline"),
        &open,
        async |(text, found)| {
            found.push_str(&text.as_mut().unwrap().readline().await.unwrap());
        },
    );
    // Nobody but the handle sees what is in it.
    bench.text(either("TextFile::seek_to_end"), &open, async |(text, _)| {
        text.as_mut().unwrap().seek_to_end().await.unwrap();
    });

    // Of a write that is dropped, `close` hands over the rest; dropped too, it has closed the file or can be called again.
    bench.case(
        says("TextFile::close", |before, after, found| {
            found == after || found == before
        })
        .noisy(),
        async |dir: &Path| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).buffer_size(3);
            let file = options.open(dir.join("file")).await.unwrap();
            let mut text = TextOptions::new().wrap(file);
            let _ = poll_now(std::pin::pin!(text.write("longer than the buffer\n")));
            text
        },
        async |text: &mut TextFile| text.close().await.unwrap(),
        async |mut text: TextFile| {
            // Whichever it was, this comes to its end, and then it is closed.
            text.close().await.unwrap();
            let error = text.write("x").await.unwrap_err();
            error.to_string()
        },
    );

    // The lines of a file as a stream of its own.
    bench.case(
        nothing("TextFile::into_lines").noisy(),
        async |dir: &Path| {
            let mut file = fs::File::create(dir.join("file")).unwrap();
            file.write_all(TEXT.as_bytes()).unwrap();
            let text = aiofiles::open_text(dir.join("file"), "r").await.unwrap();
            (text.into_lines(), String::new())
        },
        async |(lines, found): &mut (aiofiles::IntoLines, String)| {
            while let Some(line) = lines.next().await {
                found.push_str(&line.unwrap());
            }
        },
        async |(mut lines, mut found): (aiofiles::IntoLines, String)| {
            while let Some(line) = lines.next().await {
                found.push_str(&line.unwrap());
            }
            found
        },
    );
    bench.case(
        nothing("Stdio::is_terminal"),
        async |_: &Path| aiofiles::stdio::stdin(),
        async |input| {
            input.is_terminal().await;
        },
        async |_| String::new(),
    );
}
