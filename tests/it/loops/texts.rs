//! Text files.

use std::io;
use std::path::{Path, PathBuf};

use aiofiles::{Encoding, File, TextFile, TextOptions, TextPosition};
use futures_lite::StreamExt as _;

use super::{Operation, Stage, Way, op};

/// Characters of one, two and three bytes.
fn text() -> String {
    "a line, é, €\n".repeat(2000)
}

/// A file of text that is open.
fn opened(stage: &Stage, mode: &str) -> (PathBuf, TextFile) {
    let path = stage.file("file", text());
    let file = stage.now(aiofiles::open_text(&path, mode)).unwrap();
    (path, file)
}

/// What is read afterwards comes behind what was read: nothing is lost or doubled.
fn reads_on(stage: &Stage, path: &Path, mut file: TextFile, read: &str) {
    if let Some(rest) = stage.succeeds("read_to_end", file.read_to_end()) {
        let whole = format!("{read}{rest}");
        stage.ensure(whole == text(), "what is read is not the text");
    }
    check(stage, path, file, Way::Both, |_, content, _| {
        content == text().as_bytes()
    });
}

/// The file is as usable as before, and what it holds is right.
fn check(
    stage: &Stage,
    path: &Path,
    mut file: TextFile,
    way: Way,
    is_right: impl FnOnce(bool, &[u8], usize) -> bool,
) {
    if stage.told_later("flush", stage.hear(file.flush())) {
        stage.succeeds("flush", file.flush());
    }
    if let Some(mut file) = stage.succeeds("detach", file.detach()) {
        stage.check(&mut file, Some(path), way, |found| {
            let position = found.position.unwrap_or(0) as usize;
            is_right(found.ok, found.content, position)
        });
    }
}

/// What was accepted of `data`, which the position tells, stands over the beginning of the text.
fn wrote(stage: &Stage, path: &Path, file: TextFile, data: &str) {
    check(stage, path, file, Way::Both, |ok, content, position| {
        let data = data.as_bytes();
        position <= data.len()
            && (!ok || position == data.len())
            && content[..position] == data[..position]
            && content[position..] == text().as_bytes()[position..]
    });
}

pub fn operations() -> Vec<Operation> {
    let mut all = opening();
    all.extend(reading());
    all.extend(writing());
    all.extend(moving());
    all
}

fn opening() -> Vec<Operation> {
    vec![
        op("open_text", &["text/options.rs open_text"], |stage| {
            let path = stage.file("file", text());
            let mut opened = None;
            stage.act(async {
                opened = Some(aiofiles::open_text(&path, "r+").await?);
                Ok(())
            });
            if let Some(file) = opened {
                reads_on(stage, &path, file, "");
            }
        }),
        op("open_text, to append", &[], |stage| {
            let path = stage.file("file", text());
            let mut opened = None;
            stage.act(async {
                opened = Some(aiofiles::open_text(&path, "a+").await?);
                Ok(())
            });
            if let Some(file) = opened {
                check(stage, &path, file, Way::Append, |_, content, position| {
                    content == text().as_bytes() && position == content.len()
                });
            }
        }),
        op("TextOptions::open", &["text/options.rs open"], |stage| {
            let path = stage.path("new");
            stage.may_leave("new", "");
            let mut opened = None;
            stage.act(async {
                let options = TextOptions::new().encoding(Encoding::UTF_16);
                opened = Some(options.open(&path, "w+").await?);
                Ok(())
            });
            if let Some(file) = opened {
                check(stage, &path, file, Way::Both, |_, content, _| {
                    content.is_empty()
                });
            }
        }),
    ]
}

fn reading() -> Vec<Operation> {
    vec![
        op("TextFile::read", &["text/mod.rs read"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let mut read = String::new();
            stage.act(async {
                read = file.read(20_000).await?;
                Ok(read.len())
            });
            reads_on(stage, &path, file, &read);
        }),
        op(
            "TextFile::read_to_end",
            &["text/mod.rs read_to_end"],
            |stage| {
                let (path, mut file) = opened(stage, "r+");
                let mut read = String::new();
                stage.act(async {
                    read = file.read_to_end().await?;
                    Ok(read.len())
                });
                reads_on(stage, &path, file, &read);
            },
        ),
        op("TextFile::readline", &["text/mod.rs readline"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let mut read = String::new();
            stage.act(async {
                for _ in 0..1900 {
                    read.push_str(&file.readline().await?);
                }
                Ok(read.len())
            });
            reads_on(stage, &path, file, &read);
        }),
        op("TextFile::readlines", &["text/mod.rs readlines"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let mut read = String::new();
            let ok = stage.act(async {
                read = file.readlines(Some(15_000)).await?.concat();
                Ok(read.len())
            });
            if ok {
                return reads_on(stage, &path, file, &read);
            }
            // The lines before the error are lost, and what comes next begins with one.
            if let Some(rest) = stage.succeeds("read_to_end", file.read_to_end()) {
                stage.ensure(text().ends_with(&rest), "what is read is not the text");
                let whole = rest.is_empty() || rest.starts_with("a line");
                stage.ensure(whole, "half a line");
            }
        }),
        op(
            "TextFile::lines",
            &["text/lines.rs Stream for Lines"],
            |stage| {
                let (path, mut file) = opened(stage, "r+");
                let mut read = String::new();
                stage.act(async {
                    let mut lines = file.lines();
                    while let Some(line) = lines.next().await {
                        read.push_str(&line?);
                        read.push('\n');
                    }
                    Ok(read.len())
                });
                reads_on(stage, &path, file, &read);
            },
        ),
        op(
            "TextFile::into_lines",
            &["text/lines.rs Stream for IntoLines"],
            |stage| {
                let (path, file) = opened(stage, "r+");
                let mut read = String::new();
                let mut lines = file.into_lines();
                stage.act(async {
                    while let Some(line) = lines.next().await {
                        read.push_str(&line?);
                        read.push('\n');
                    }
                    Ok(read.len())
                });
                reads_on(stage, &path, lines.into_inner(), &read);
            },
        ),
    ]
}

fn writing() -> Vec<Operation> {
    vec![
        op("TextFile::write", &["text/mod.rs write"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let data = "é€x".repeat(1000);
            stage.act(file.write(&data));
            wrote(stage, &path, file, &data);
        }),
        op("TextFile::write, with line buffering", &[], |stage| {
            let path = stage.file("file", text());
            let options = TextOptions::new().line_buffering(true);
            let mut file = stage.now(options.open(&path, "r+")).unwrap();
            stage.act(file.write("é€\nx"));
            wrote(stage, &path, file, "é€\nx");
        }),
        op(
            "TextFile::writelines",
            &["text/mod.rs writelines"],
            |stage| {
                let (path, mut file) = opened(stage, "r+");
                let lines = vec!["é€\n"; 500];
                stage.act(async {
                    file.writelines(&lines).await?;
                    file.flush().await
                });
                wrote(stage, &path, file, &lines.concat());
            },
        ),
        op("TextFile::write of UTF-16", &[], |stage| {
            let path = stage.file("file", "");
            stage.may_leave("file", utf_16("é€x"));
            let options = TextOptions::new().encoding(Encoding::UTF_16);
            let mut file = stage.now(options.open(&path, "r+")).unwrap();
            stage.act(async {
                file.write("é€x").await?;
                file.flush().await
            });
            check(stage, &path, file, Way::Both, |ok, content, position| {
                let whole = utf_16("é€x");
                content.len() == position
                    && if ok {
                        content == whole
                    } else {
                        whole.starts_with(content)
                    }
            });
        }),
        op("TextFile::flush", &["text/mod.rs flush"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            stage.act(async {
                file.write("é€x").await?;
                file.flush().await
            });
            wrote(stage, &path, file, "é€x");
        }),
        op("TextFile::close", &["text/mod.rs close"], |stage| {
            let (_, mut file) = opened(stage, "r+");
            let mut whole = text().into_bytes();
            whole[.."é€x".len()].copy_from_slice("é€x".as_bytes());
            stage.may_leave("file", whole);
            stage.act(async {
                let written = file.write("é€x").await;
                let closed = file.close().await;
                written.and(closed)
            });
            stage.succeeds("close", file.close());
        }),
        op("TextFile::write after a read", &[], |stage| {
            let (path, mut file) = opened(stage, "r+");
            stage.now(file.read(7)).unwrap();
            stage.act(async {
                file.write("WRITTEN").await?;
                file.flush().await
            });
            check(stage, &path, file, Way::Both, |ok, content, position| {
                let mut written = text().into_bytes();
                written[7..14].copy_from_slice(b"WRITTEN");
                let all = content == written && position == 14;
                all || !ok && content == text().as_bytes() && position == 7
            });
        }),
    ]
}

/// Text as UTF-16 in the order of this machine, with a mark.
fn utf_16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_ne_bytes).collect()
}

fn moving() -> Vec<Operation> {
    vec![
        op("TextFile::tell", &["text/mod.rs tell"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let read = stage.now(file.read(9)).unwrap();
            stage.act(async { Ok(file.tell().await?.offset()) });
            reads_on(stage, &path, file, &read);
        }),
        op("TextFile::seek", &["text/mod.rs seek"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            let read = stage.now(file.read(9)).unwrap();
            let moved = stage.act(file.seek(TextPosition::START));
            reads_on(stage, &path, file, if moved { "" } else { &read });
        }),
        op(
            "TextFile::seek_to_end",
            &["text/mod.rs seek_to_end"],
            |stage| {
                let (path, mut file) = opened(stage, "r+");
                let read = stage.now(file.read(9)).unwrap();
                let moved = stage.act(async { Ok(file.seek_to_end().await?.offset()) });
                // One that did not come to its end, not even with an error, is completed by the next call.
                let moved = moved || stage.panicked();
                let read = if moved { text() } else { read };
                reads_on(stage, &path, file, &read);
            },
        ),
        op("TextFile::truncate", &["text/mod.rs truncate"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            stage.now(file.read(9)).unwrap();
            stage.act(file.truncate());
            check(stage, &path, file, Way::Both, |ok, content, position| {
                let whole = text();
                let cut = "a line, é".len();
                position == cut
                    && (content == &whole.as_bytes()[..cut] || !ok && content == whole.as_bytes())
            });
        }),
        op("TextFile::detach", &["text/mod.rs detach"], |stage| {
            let (path, mut file) = opened(stage, "r+");
            stage.now(file.read(9)).unwrap();
            let mut given = None::<File>;
            stage.act(async {
                given = Some(file.detach().await?);
                io::Result::Ok(())
            });
            if let Some(mut file) = given {
                stage.check(&mut file, Some(&path), Way::Both, |found| {
                    found.position == Some("a line, é".len() as u64)
                });
            }
        }),
    ]
}
