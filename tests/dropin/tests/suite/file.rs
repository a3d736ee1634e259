//! The methods and conversions of `File`.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use async_fs::{File, OpenOptions};
use futures_lite::future::try_zip;
use futures_lite::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{kind, pattern, run};

#[test]
fn sync_all_and_sync_data_hand_over_what_was_written() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(b"one").await?;
        file.sync_all().await?;
        assert_eq!(std::fs::read(&path)?, b"one");
        file.write_all(b" two").await?;
        file.sync_data().await?;
        assert_eq!(std::fs::read(&path)?, b"one two");
        file.sync_all().await?;
        file.sync_data().await?;
        Ok(())
    });
}

#[test]
fn a_file_open_for_reading_can_be_synced() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let file = File::open(dir.join("file")).await?;
        file.sync_all().await?;
        file.sync_data().await?;
        Ok(())
    });
}

#[test]
fn set_len_shrinks_and_grows_with_zeros() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "0123456789")?;
        let file = OpenOptions::new().write(true).open(&path).await?;
        file.set_len(4).await?;
        assert_eq!(std::fs::read(&path)?, b"0123");
        file.set_len(6).await?;
        assert_eq!(std::fs::read(&path)?, b"0123\0\0");
        file.set_len(0).await?;
        assert_eq!(std::fs::read(&path)?, b"");
        Ok(())
    });
}

#[test]
fn set_len_comes_after_earlier_writes_and_leaves_the_position() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(b"0123456789").await?;
        file.set_len(4).await?;
        assert_eq!(std::fs::read(&path)?, b"0123");
        file.write_all(b"x").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"0123\0\0\0\0\0\0x");
        Ok(())
    });
}

#[test]
fn set_len_that_cannot_be_is_invalid_input() {
    run(|dir| async move {
        let path = dir.join("file");
        let file = File::create(&path).await?;
        assert_eq!(kind(file.set_len(u64::MAX).await), ErrorKind::InvalidInput);
        let file = File::open(&path).await?;
        let std = std::fs::File::open(&path)?;
        assert_eq!(kind(file.set_len(1).await), kind(std.set_len(1)));
        assert_eq!(std::fs::metadata(&path)?.len(), 0);
        Ok(())
    });
}

#[test]
fn metadata_of_a_file_is_current() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        assert_eq!(file.metadata().await?.len(), 0);
        assert!(file.metadata().await?.is_file());
        file.write_all(&pattern(1000)).await?;
        file.flush().await?;
        assert_eq!(file.metadata().await?.len(), 1000);
        file.set_len(10).await?;
        assert_eq!(file.metadata().await?.len(), 10);
        assert_eq!(
            file.metadata().await?.modified()?,
            std::fs::metadata(&path)?.modified()?
        );
        Ok(())
    });
}

#[test]
fn set_permissions_of_a_file_changes_the_file() {
    run(|dir| async move {
        let path = dir.join("file");
        let file = File::create(&path).await?;
        let mut permissions = file.metadata().await?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions.clone()).await?;
        assert!(std::fs::metadata(&path)?.permissions().readonly());
        assert_eq!(file.metadata().await?.permissions(), permissions);
        Ok(())
    });
}

#[test]
fn methods_run_side_by_side_on_one_file() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut file = File::create(&path).await?;
        file.write_all(&pattern(1 << 20)).await?;
        try_zip(file.sync_all(), file.sync_data()).await?;
        try_zip(file.set_len(10), file.metadata()).await?;

        let file = Arc::new(file);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let file = Arc::clone(&file);
                smol::spawn(async move { Ok(file.metadata().await?.len()) })
            })
            .collect();
        for task in tasks {
            let len: std::io::Result<u64> = task.await;
            assert_eq!(len?, 10);
        }
        Ok(())
    });
}

#[test]
fn a_removed_file_can_still_be_read_and_written() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .await?;
        async_fs::remove_file(&path).await?;
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        file.write_all(b"more").await?;
        file.flush().await?;
        assert_eq!(file.metadata().await?.len(), 8);
        assert!(!path.exists());
        Ok(())
    });
}

#[test]
fn a_file_of_std_keeps_its_position_when_read() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "0123456789")?;
        let mut std = std::fs::File::open(dir.join("file"))?;
        std.seek(SeekFrom::Start(4))?;
        let mut file = File::from(std);
        let mut rest = String::new();
        file.read_to_string(&mut rest).await?;
        assert_eq!(rest, "456789");
        Ok(())
    });
}

#[test]
fn a_file_of_std_keeps_its_position_when_written() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut std = std::fs::File::create(&path)?;
        std.write_all(b"one ")?;
        let mut file = File::from(std);
        file.write_all(b"two").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"one two");
        Ok(())
    });
}

#[test]
fn a_file_of_std_keeps_its_position_when_sought() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "0123456789")?;
        let mut std = std::fs::File::open(dir.join("file"))?;
        let mut three = [0; 3];
        std.read_exact(&mut three)?;
        let mut file: File = std.into();
        file.flush().await?;
        assert_eq!(file.seek(SeekFrom::Current(2)).await?, 5);
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn an_owned_descriptor_becomes_a_file() {
    use std::os::fd::{AsRawFd, OwnedFd};

    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let fd = OwnedFd::from(std::fs::File::open(dir.join("file"))?);
        let number = fd.as_raw_fd();
        let mut file = File::from(fd);
        assert_eq!(file.as_raw_fd(), number);
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        Ok(())
    });
}

#[cfg(unix)]
#[test]
fn the_descriptor_of_a_file_is_the_files_own() {
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::MetadataExt;

    run(|dir| async move {
        let file = File::create(dir.join("file")).await?;
        assert_eq!(file.as_fd().as_raw_fd(), file.as_raw_fd());
        let metadata = file.metadata().await?;
        assert_eq!(rustix::fs::fstat(&file)?.st_ino as u64, metadata.ino());
        let duplicate = std::fs::File::from(file.as_fd().try_clone_to_owned()?);
        assert_eq!(duplicate.metadata()?.ino(), metadata.ino());
        Ok(())
    });
}

#[cfg(windows)]
#[test]
fn the_handle_of_a_file_is_the_files_own() {
    use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};

    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let handle = OwnedHandle::from(std::fs::File::open(dir.join("file"))?);
        let number = handle.as_raw_handle() as usize;
        let file = File::from(handle);
        assert_eq!(file.as_raw_handle() as usize, number);
        assert_eq!(file.as_handle().as_raw_handle() as usize, number);
        Ok(())
    });
}
