//! Pipes, FIFOs and the standard streams, which have no position, and wait for readiness.

use std::fs;
use std::io::{self, Read as _, Write as _, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use aiofiles::{File, OpenOptions};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Operation, Stage, op};

fn fifo(stage: &Stage) -> PathBuf {
    let path = stage.path("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

/// The other side of a FIFO, which waits for nothing.
fn other_side(path: &PathBuf) -> fs::File {
    let mut options = fs::File::options();
    options.read(true).write(true);
    options.custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}

/// What is there now.
fn drained(mut reader: impl io::Read) -> Vec<u8> {
    let mut buf = [0; 100];
    match reader.read(&mut buf) {
        Ok(n) => buf[..n].to_vec(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Vec::new(),
        Err(error) => panic!("the other side: {error}"),
    }
}

pub fn operations() -> Vec<Operation> {
    let all = vec![
        op("read from a pipe", &[], |stage| {
            let (reader, mut writer) = pipe().unwrap();
            writer.write_all(b"text, and more").unwrap();
            let mut file = File::from(OwnedFd::from(reader));
            let mut buf = [0; 4];
            let read = stage.act(file.read(&mut buf));
            drop(writer);
            let mut rest = String::new();
            stage.succeeds("read_to_string", file.read_to_string(&mut rest));
            let left = if read { ", and more" } else { "text, and more" };
            stage.ensure(rest == left, "bytes are lost or doubled");
            stage.succeeds("close", file.close());
        }),
        op("write to a pipe", &[], |stage| {
            let (mut reader, writer) = pipe().unwrap();
            let mut file = File::from(OwnedFd::from(writer));
            let written = stage.act(file.write(b"text"));
            stage.succeeds("flush", file.flush());
            stage.succeeds("write", file.write_all(b"more"));
            stage.succeeds("close", file.close());
            let mut found = String::new();
            reader.read_to_string(&mut found).unwrap();
            let right = if written { "textmore" } else { "more" };
            stage.ensure(found == right, "bytes are lost or doubled");
        }),
        op("close of a pipe", &[], |stage| {
            let (mut reader, writer) = pipe().unwrap();
            let mut file = File::from(OwnedFd::from(writer));
            stage.now(file.write_all(b"text")).unwrap();
            stage.act(file.close());
            stage.succeeds("close", file.close());
            let mut found = String::new();
            reader.read_to_string(&mut found).unwrap();
            stage.ensure(found == "text", "bytes are lost");
        }),
        op("open of a FIFO, and read", &[], |stage| {
            let path = fifo(stage);
            let mut other = other_side(&path);
            other.write_all(b"text").unwrap();
            let mut buf = [0; 4];
            let read = stage.act(async {
                let mut file = File::open(&path).await?;
                file.read_exact(&mut buf).await
            });
            let left = drained(&other);
            let right = if read {
                buf == *b"text" && left.is_empty()
            } else {
                left == b"text"
            };
            stage.ensure(right, "bytes are lost or doubled");
        }),
        op("open of a FIFO, and write", &[], |stage| {
            let path = fifo(stage);
            let other = other_side(&path);
            let written = stage.act(async {
                let mut file = OpenOptions::new().write(true).open(&path).await?;
                file.write_all(b"text").await
            });
            let found = drained(&other);
            let right = if written { &b"text"[..] } else { b"" };
            stage.ensure(found == right, "bytes are lost or doubled");
        }),
        op("write of a whole FIFO", &[], |stage| {
            let path = fifo(stage);
            let other = other_side(&path);
            let ok = stage.act(aiofiles::write(&path, "text"));
            let found = drained(&other);
            let right = found == b"text" || !ok && found.is_empty();
            stage.ensure(right, "bytes are lost or doubled");
        }),
        op("into_std of a FIFO", &[], |stage| {
            let path = fifo(stage);
            let mut other = other_side(&path);
            other.write_all(b"text").unwrap();
            let mut file = Some(stage.now(File::open(&path)).unwrap());
            stage.act(async {
                match file.take().expect("it is there").into_std().await {
                    Ok(std) => {
                        let flags = rustix::fs::fcntl_getfl(&std)?;
                        Ok(flags.contains(rustix::fs::OFlags::NONBLOCK))
                    }
                    Err(error) => {
                        let code = aiofiles::raw_os_error(error.error()).unwrap_or(0);
                        file = Some(error.into_file());
                        Err(io::Error::from_raw_os_error(code))
                    }
                }
            });
            if let Some(mut file) = file {
                let mut buf = [0; 4];
                stage.succeeds("read_exact", file.read_exact(&mut buf));
                stage.ensure(buf == *b"text", "bytes are lost");
            }
        }),
        op(
            "stdin, read",
            &[
                "stdio.rs AsyncRead for Stdio",
                "stdio.rs AsyncBufRead for Stdio",
            ],
            |stage| {
                let mut stdin = aiofiles::stdio::stdin();
                stage.act(stdin.read(&mut [0; 4]));
                stage.succeeds("read", stdin.read(&mut [0; 4]));
            },
        ),
        op(
            "stdout, write and flush",
            &[
                "stdio.rs AsyncWrite for Stdio",
                "stdio.rs AsyncSeek for Stdio",
            ],
            |stage| {
                let mut stdout = aiofiles::stdio::stdout();
                stage.act(async {
                    stdout.write_all(b" ").await?;
                    stdout.flush().await
                });
                if stage.told_later("flush", stage.hear(stdout.flush())) {
                    stage.succeeds("flush", stdout.flush());
                }
                stage.succeeds("write", stdout.write_all(b" "));
                stage.succeeds("flush", stdout.flush());
            },
        ),
        op("stdout, is_terminal", &["stdio.rs is_terminal"], |stage| {
            stage.act(async { Ok(aiofiles::stdio::stdout().is_terminal().await) });
        }),
    ];
    all.into_iter().map(Operation::outside).collect()
}
