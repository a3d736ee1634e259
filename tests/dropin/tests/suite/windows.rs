//! Links and the extension traits.

use std::io::ErrorKind;

use async_fs::windows::{MetadataExt, OpenOptionsExt, symlink_dir, symlink_file};
use async_fs::{File, OpenOptions, metadata, read, symlink_metadata};

use super::{kind, run};

/// `ERROR_PRIVILEGE_NOT_HELD`: this account may not make links.
const NO_PRIVILEGE: i32 = 1314;

#[test]
fn links_lead_to_files_and_directories() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("d"))?;
        std::fs::write(dir.join("d/file"), "text")?;
        // Asked of std, whose error has the code at hand.
        if let Err(err) = std::os::windows::fs::symlink_file("x", dir.join("probe")) {
            assert_eq!(err.raw_os_error(), Some(NO_PRIVILEGE));
            eprintln!("skipped: needs an account that may make symbolic links");
            return Ok(());
        }
        symlink_dir(dir.join("d"), dir.join("dir link")).await?;
        symlink_file(dir.join("d/file"), dir.join("file link")).await?;
        assert_eq!(read(dir.join("dir link/file")).await?, b"text");
        assert_eq!(read(dir.join("file link")).await?, b"text");
        assert!(symlink_metadata(dir.join("file link")).await?.is_symlink());
        Ok(())
    });
}

#[test]
fn attributes_are_given_to_a_new_file_and_read_back() {
    const FILE_ATTRIBUTE_HIDDEN: u32 = 2;

    run(|dir| async move {
        let path = dir.join("file");
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        options
            .attributes(FILE_ATTRIBUTE_HIDDEN)
            .open(&path)
            .await?;
        let attributes = metadata(&path).await?.file_attributes();
        assert_eq!(attributes & FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_HIDDEN);
        Ok(())
    });
}

#[test]
fn a_file_opened_without_sharing_is_opened_once() {
    const ERROR_SHARING_VIOLATION: i32 = 32;

    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut options = OpenOptions::new();
        let alone = options.read(true).share_mode(0).open(&path).await?;
        let second = std::fs::File::open(&path).expect_err("not shared");
        assert_eq!(second.raw_os_error(), Some(ERROR_SHARING_VIOLATION));
        assert_eq!(kind(File::open(&path).await), second.kind());
        assert_eq!(alone.metadata().await?.len(), 4);
        Ok(())
    });
}

#[test]
fn the_access_mode_overrides_read_and_write() {
    const FILE_READ_ATTRIBUTES: u32 = 0x80;

    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut options = OpenOptions::new();
        let file = options
            .access_mode(FILE_READ_ATTRIBUTES)
            .custom_flags(0)
            .security_qos_flags(0)
            .open(&path)
            .await?;
        assert_eq!(file.metadata().await?.len(), 4);
        let missing = options.open(dir.join("missing")).await;
        assert_eq!(kind(missing), ErrorKind::NotFound);
        Ok(())
    });
}
