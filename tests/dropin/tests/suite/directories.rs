//! `ReadDir`, `DirEntry` and `DirBuilder`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;

use async_fs::{DirBuilder, DirEntry, read_dir};
use futures_lite::stream::StreamExt;

use super::{kind, nul, run};

/// The only entry of the directory at `path`.
async fn only_entry(path: &Path) -> io::Result<DirEntry> {
    let mut entries = read_dir(path).await?;
    let entry = entries.next().await.expect("one entry")?;
    assert!(entries.next().await.is_none(), "more than one entry");
    Ok(entry)
}

#[test]
fn read_dir_gives_every_entry_once_and_no_dots() {
    run(|dir| async move {
        for count in [0, 1, 500] {
            let parent = dir.join(format!("{count}"));
            std::fs::create_dir(&parent)?;
            let names: BTreeSet<OsString> =
                (0..count).map(|i| format!("file {i}").into()).collect();
            for name in &names {
                std::fs::write(parent.join(name), "")?;
            }
            let entries: Vec<DirEntry> = read_dir(&parent).await?.try_collect().await?;
            assert_eq!(entries.len(), count);
            let seen: BTreeSet<OsString> = entries.iter().map(DirEntry::file_name).collect();
            assert_eq!(seen, names);
        }
        Ok(())
    });
}

#[test]
fn an_entry_has_the_path_of_the_directory_as_it_was_given() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("d"))?;
        std::fs::write(dir.join("d/file"), "")?;
        let entry = only_entry(&dir.join("d")).await?;
        assert_eq!(entry.file_name(), "file");
        assert_eq!(entry.path(), dir.join("d/file"));
        let roundabout = dir.join("d/../d");
        assert_eq!(
            only_entry(&roundabout).await?.path(),
            roundabout.join("file")
        );
        Ok(())
    });
}

#[test]
fn a_relative_directory_gives_relative_paths() {
    run(|_| async move {
        let entry = read_dir(".").await?.next().await.expect("an entry")?;
        assert_eq!(entry.path(), Path::new(".").join(entry.file_name()));
        Ok(())
    });
}

#[test]
fn an_entry_knows_its_metadata_and_type() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        std::fs::create_dir(dir.join("d"))?;
        let mut entries = read_dir(&dir).await?;
        while let Some(entry) = entries.try_next().await? {
            let metadata = entry.metadata().await?;
            let is_file = entry.file_name() == "file";
            assert_eq!(metadata.is_file(), is_file);
            assert_eq!(entry.file_type().await?.is_file(), is_file);
            assert_eq!(entry.file_type().await?.is_dir(), !is_file);
            if is_file {
                assert_eq!(metadata.len(), 4);
            }
        }
        Ok(())
    });
}

#[test]
fn metadata_of_an_entry_is_read_when_asked_for() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let entry = only_entry(&dir).await?;
        std::fs::write(dir.join("file"), "longer text")?;
        assert_eq!(entry.metadata().await?.len(), 11);
        std::fs::remove_file(dir.join("file"))?;
        assert_eq!(kind(entry.metadata().await), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn an_entry_and_its_clone_outlive_the_stream() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let clone = {
            let mut entries = read_dir(&dir).await?;
            let entry = entries.next().await.expect("one entry")?;
            entry.clone()
        };
        assert_eq!(clone.path(), dir.join("file"));
        assert_eq!(clone.metadata().await?.len(), 4);
        let task = smol::spawn(async move { clone.file_type().await });
        assert!(task.await?.is_file());
        Ok(())
    });
}

#[test]
fn the_end_of_the_stream_stays_the_end() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        let mut entries = read_dir(&dir).await?;
        assert!(entries.next().await.is_some());
        for _ in 0..3 {
            assert!(entries.next().await.is_none());
        }
        Ok(())
    });
}

#[test]
fn two_streams_of_one_directory_are_independent() {
    run(|dir| async move {
        for i in 0..10 {
            std::fs::write(dir.join(format!("{i}")), "")?;
        }
        let mut first = read_dir(&dir).await?;
        let second = read_dir(&dir).await?;
        first.next().await.expect("ten entries")?;
        assert_eq!(second.count().await, 10);
        assert_eq!(first.count().await, 9);
        Ok(())
    });
}

#[test]
fn a_stream_dropped_halfway_leaves_the_directory_removable() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("d"))?;
        for i in 0..100 {
            std::fs::write(dir.join(format!("d/{i}")), "")?;
        }
        let mut entries = read_dir(dir.join("d")).await?;
        entries.next().await.expect("a hundred entries")?;
        drop(entries);
        async_fs::remove_dir_all(dir.join("d")).await?;
        assert!(!dir.join("d").exists());
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_utf8() {
    use std::os::unix::ffi::OsStringExt;

    run(|dir| async move {
        let name = OsString::from_vec(b"not \xff utf-8".to_vec());
        std::fs::write(dir.join(&name), "text")?;
        let entry = only_entry(&dir).await?;
        assert_eq!(entry.file_name(), name);
        assert_eq!(async_fs::read(entry.path()).await?, b"text");
        Ok(())
    });
}

/// An entry refers to its directory itself there, not to the directory's path.
#[cfg(target_os = "linux")]
#[test]
fn metadata_of_an_entry_survives_a_rename_of_the_directory() {
    run(|dir| async move {
        std::fs::create_dir(dir.join("before"))?;
        std::fs::write(dir.join("before/file"), "text")?;
        let entry = only_entry(&dir.join("before")).await?;
        std::fs::rename(dir.join("before"), dir.join("after"))?;
        assert_eq!(entry.metadata().await?.len(), 4);
        assert!(entry.file_type().await?.is_file());
        Ok(())
    });
}

#[test]
fn a_builder_makes_one_level_unless_told_otherwise() {
    run(|dir| async move {
        for builder in [DirBuilder::new(), DirBuilder::default()] {
            let result = builder.create(dir.join("a/b")).await;
            assert_eq!(kind(result), ErrorKind::NotFound);
            builder.create(dir.join("a")).await?;
            let again = builder.create(dir.join("a")).await;
            assert_eq!(kind(again), ErrorKind::AlreadyExists);
            std::fs::remove_dir(dir.join("a"))?;
        }
        Ok(())
    });
}

#[test]
fn a_recursive_builder_makes_every_level_and_accepts_what_exists() {
    run(|dir| async move {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.create(dir.join("a/b/c")).await?;
        builder.create(dir.join("a/b/c")).await?;
        assert!(dir.join("a/b/c").is_dir());

        builder.recursive(false);
        let result = builder.create(dir.join("x/y")).await;
        assert_eq!(kind(result), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn a_builder_can_be_changed_while_its_future_waits() {
    run(|dir| async move {
        let mut builder = DirBuilder::new();
        let create = builder.recursive(true).create(dir.join("a/b"));
        builder.recursive(false);
        create.await?;
        assert!(dir.join("a/b").is_dir());
        Ok(())
    });
}

#[test]
fn a_builder_reports_the_kinds_of_error_that_std_does() {
    run(|dir| async move {
        let mut builder = DirBuilder::new();
        std::fs::write(dir.join("file"), "")?;
        for recursive in [false, true] {
            builder.recursive(recursive);
            let result = builder.create(nul(&dir)).await;
            assert_eq!(kind(result), ErrorKind::InvalidInput);
            let result = builder.create(dir.join("file")).await;
            assert_eq!(kind(result), ErrorKind::AlreadyExists);
            #[cfg(unix)]
            {
                let result = builder.create(dir.join("file/below")).await;
                assert_eq!(kind(result), ErrorKind::NotADirectory);
                let result = builder.create(super::too_long(&dir)).await;
                assert_eq!(kind(result), ErrorKind::InvalidFilename);
            }
        }
        Ok(())
    });
}
