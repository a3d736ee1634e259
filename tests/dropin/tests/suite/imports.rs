//! Every public name of `async_fs`, imported by name and used.
//!
//! `unused_imports` is denied: an inherent method of ours named like one of a trait would make the trait's import
//! unused, and break the build of those who deny warnings.

use async_fs::{
    DirBuilder, DirEntry, File, FileType, Metadata, OpenOptions, Permissions, ReadDir,
    canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_dir, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, write,
};

use futures_lite::stream::StreamExt;

use super::run;

#[test]
fn every_name_can_be_imported_and_used() {
    run(|dir| async move {
        let file = dir.join("file");
        write(&file, "text").await?;
        assert_eq!(read(&file).await?, b"text");
        assert_eq!(read_to_string(&file).await?, "text");
        assert_eq!(canonicalize(&file).await?, file);
        assert_eq!(copy(&file, dir.join("copy")).await?, 4);
        rename(dir.join("copy"), dir.join("renamed")).await?;
        hard_link(&file, dir.join("hard")).await?;
        remove_file(dir.join("hard")).await?;
        assert!(read_link(&file).await.is_err());

        let permissions: Permissions = metadata(&file).await?.permissions();
        set_permissions(&file, permissions).await?;
        let kind: FileType = symlink_metadata(&file).await?.file_type();
        assert!(kind.is_file());

        create_dir(dir.join("a")).await?;
        create_dir_all(dir.join("b/c")).await?;
        remove_dir(dir.join("a")).await?;
        remove_dir_all(dir.join("b")).await?;
        DirBuilder::new().create(dir.join("d")).await?;

        let opened: File = OpenOptions::new().read(true).open(&file).await?;
        let metadata: Metadata = opened.metadata().await?;
        assert_eq!(metadata.len(), 4);

        let mut entries: ReadDir = read_dir(&dir).await?;
        let mut names = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            let entry: DirEntry = entry;
            names.push(entry.file_name().into_string().expect("names are UTF-8"));
        }
        names.sort();
        assert_eq!(names, ["d", "file", "renamed"]);
        Ok(())
    });
}

#[cfg(unix)]
mod unix {
    use async_fs::unix::{
        DirBuilderExt, DirEntryExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
        symlink,
    };

    use super::super::run;
    use async_fs::{DirBuilder, OpenOptions};
    use futures_lite::stream::StreamExt;

    #[test]
    fn every_unix_name_can_be_imported_and_used() {
        run(|dir| async move {
            let file = dir.join("file");
            let options = OpenOptions::new()
                .write(true)
                .create(true)
                .mode(0o600)
                .custom_flags(0)
                .open(&file);
            let metadata = options.await?.metadata().await?;
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            assert!(!metadata.file_type().is_fifo());

            let entry = async_fs::read_dir(&dir).await?.next().await.unwrap()?;
            assert_eq!(entry.ino(), metadata.ino());

            DirBuilder::new().mode(0o700).create(dir.join("d")).await?;
            symlink("file", dir.join("link")).await?;
            assert_eq!(
                async_fs::read_link(dir.join("link")).await?.as_os_str(),
                "file"
            );
            Ok(())
        });
    }
}

#[cfg(windows)]
mod windows {
    use async_fs::windows::{MetadataExt, OpenOptionsExt, symlink_dir, symlink_file};

    use super::super::run;

    #[test]
    fn every_windows_name_can_be_imported_and_used() {
        run(|dir| async move {
            let file = dir.join("file");
            let options = async_fs::OpenOptions::new()
                .write(true)
                .create(true)
                .access_mode(0x4000_0000)
                .share_mode(7)
                .custom_flags(0)
                .attributes(0x80)
                .security_qos_flags(0)
                .open(&file);
            let metadata = options.await?.metadata().await?;
            assert_ne!(metadata.file_attributes(), 0);
            // Links need a right that not every account has: both functions are called, either answer is right.
            let _ = symlink_file(&file, dir.join("file link")).await;
            let _ = symlink_dir(&dir, dir.join("dir link")).await;
            Ok(())
        });
    }
}
