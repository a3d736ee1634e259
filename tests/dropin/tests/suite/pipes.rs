//! Files that are no files: pipes, FIFOs and devices, none of which can seek.

use std::io::{ErrorKind, SeekFrom, pipe};
use std::os::fd::OwnedFd;

use async_fs::{File, OpenOptions};
use futures_lite::future::try_zip;
use futures_lite::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{kind, pattern, run};

/// Both ends of a pipe as files.
fn pipe_of_files() -> std::io::Result<(File, File)> {
    let (reader, writer) = pipe()?;
    Ok((OwnedFd::from(reader).into(), OwnedFd::from(writer).into()))
}

#[test]
fn what_goes_into_a_pipe_comes_out_of_it() {
    run(|_| async move {
        let (mut reader, mut writer) = pipe_of_files()?;
        writer.write_all(b"text").await?;
        writer.flush().await?;
        let mut four = [0; 4];
        reader.read_exact(&mut four).await?;
        assert_eq!(&four, b"text");
        Ok(())
    });
}

#[test]
fn more_than_a_pipe_holds_goes_through_it() {
    run(|_| async move {
        let (mut reader, mut writer) = pipe_of_files()?;
        let contents = pattern(1 << 20);
        let write = async {
            writer.write_all(&contents).await?;
            writer.flush().await?;
            drop(writer);
            Ok(())
        };
        let read = async {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await?;
            std::io::Result::Ok(all)
        };
        let ((), all) = try_zip(write, read).await?;
        assert!(all == contents);
        Ok(())
    });
}

#[test]
fn a_read_waits_until_something_comes() {
    run(|_| async move {
        let (mut reader, mut writer) = pipe_of_files()?;
        let task = smol::spawn(async move {
            let mut one = [0];
            reader.read_exact(&mut one).await?;
            std::io::Result::Ok(one[0])
        });
        smol::Timer::after(std::time::Duration::from_millis(20)).await;
        assert!(!task.is_finished());
        writer.write_all(b"x").await?;
        writer.flush().await?;
        assert_eq!(task.await?, b'x');
        Ok(())
    });
}

#[test]
fn the_end_of_a_pipe_comes_when_the_writer_is_dropped() {
    run(|_| async move {
        let (mut reader, writer) = pipe_of_files()?;
        drop(writer);
        assert_eq!(reader.read(&mut [0; 4]).await?, 0);
        Ok(())
    });
}

#[test]
fn a_pipe_without_reader_is_broken() {
    run(|_| async move {
        let (reader, mut writer) =
            pipe().map(|(reader, writer)| (reader, File::from(OwnedFd::from(writer))))?;
        drop(reader);
        let mut write = async || {
            writer.write_all(b"text").await?;
            writer.flush().await
        };
        // A child process that another test is starting may have a copy of the reading end for a moment.
        let mut result = Ok(());
        while result.is_ok() {
            result = write().await;
        }
        assert_eq!(kind(result), ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_pipe_cannot_seek() {
    run(|_| async move {
        let (mut reader, _writer) = pipe_of_files()?;
        let result = reader.seek(SeekFrom::Current(0)).await;
        assert_eq!(kind(result), ErrorKind::NotSeekable);
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_two_ends_of_a_fifo_are_opened_by_path() {
    use async_fs::unix::FileTypeExt;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    run(|dir| async move {
        let path = dir.join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let metadata = async_fs::symlink_metadata(&path).await?;
        assert!(metadata.file_type().is_fifo());

        let write = async {
            let mut writer = OpenOptions::new().write(true).open(&path).await?;
            writer.write_all(b"text").await?;
            writer.flush().await?;
            Ok(())
        };
        let read = async {
            let mut text = String::new();
            File::open(&path).await?.read_to_string(&mut text).await?;
            std::io::Result::Ok(text)
        };
        let ((), text) = try_zip(write, read).await?;
        assert_eq!(text, "text");
        Ok(())
    });
}

#[test]
fn the_null_device_takes_everything_and_gives_nothing() {
    run(|_| async move {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .await?;
        file.write_all(&pattern(1 << 20)).await?;
        file.flush().await?;
        assert_eq!(file.read(&mut [0; 4]).await?, 0);
        assert_eq!(async_fs::read("/dev/null").await?, b"");
        async_fs::write("/dev/null", "text").await?;
        Ok(())
    });
}

#[test]
fn the_zero_device_never_ends() {
    run(|_| async move {
        let mut file = File::open("/dev/zero").await?;
        let mut buf = vec![1; 300_000];
        file.read_exact(&mut buf).await?;
        assert!(buf.iter().all(|&byte| byte == 0));
        Ok(())
    });
}
