//! Links, modes, owners' rights and the extension traits.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::Path;

use async_fs::unix::{
    DirBuilderExt, DirEntryExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use async_fs::{
    DirBuilder, File, OpenOptions, Permissions, canonicalize, copy, create_dir, create_dir_all,
    hard_link, metadata, read, read_dir, read_link, read_to_string, remove_dir, remove_dir_all,
    remove_file, rename, set_permissions, symlink_metadata, write,
};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use futures_lite::stream::StreamExt;
use rustix::fs::OFlags;

use super::{child, kind, mode, nul, run, too_long};

// Symbolic links.

#[test]
fn a_symlink_holds_its_target_word_for_word() {
    run(|dir| async move {
        for target in ["file", "../x/./y//z", "/absolute", "no such thing"] {
            let link = dir.join("link");
            symlink(target, &link).await?;
            assert_eq!(std::fs::read_link(&link)?.as_os_str(), target);
            assert_eq!(read_link(&link).await?.as_os_str(), target);
            remove_file(&link).await?;
        }
        Ok(())
    });
}

#[test]
fn symlink_reports_the_kinds_of_error_that_std_does() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        let exists = symlink("target", dir.join("file")).await;
        assert_eq!(kind(exists), ErrorKind::AlreadyExists);
        let missing = symlink("target", dir.join("no/link")).await;
        assert_eq!(kind(missing), ErrorKind::NotFound);
        let empty = symlink("", dir.join("link")).await;
        assert_eq!(kind(empty), ErrorKind::NotFound);
        for (target, link) in [(nul(&dir), dir.join("link")), (dir.join("x"), nul(&dir))] {
            assert_eq!(kind(symlink(target, link).await), ErrorKind::InvalidInput);
        }
        let long = symlink("target", too_long(&dir)).await;
        assert_eq!(kind(long), ErrorKind::InvalidFilename);
        assert_eq!(std::fs::read(dir.join("file"))?, b"text");
        Ok(())
    });
}

#[test]
fn reading_and_writing_follow_a_link() {
    run(|dir| async move {
        let (file, link) = (dir.join("file"), dir.join("link"));
        symlink("file", &link).await?;
        write(&link, "text").await?;
        assert_eq!(std::fs::read(&file)?, b"text");
        assert_eq!(read(&link).await?, b"text");
        assert_eq!(canonicalize(&link).await?, file);
        assert_eq!(copy(&link, dir.join("copy")).await?, 4);
        assert!(std::fs::symlink_metadata(dir.join("copy"))?.is_file());
        set_permissions(&link, Permissions::from_mode(0o640)).await?;
        assert_eq!(mode(&file), 0o640);
        Ok(())
    });
}

#[test]
fn metadata_follows_a_link_and_symlink_metadata_does_not() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "text")?;
        symlink("file", dir.join("link")).await?;
        let followed = metadata(dir.join("link")).await?;
        let link = symlink_metadata(dir.join("link")).await?;
        assert!(followed.is_file() && !followed.is_symlink());
        assert!(link.is_symlink() && !link.is_file());
        assert_eq!(followed.ino(), metadata(dir.join("file")).await?.ino());
        assert_ne!(link.ino(), followed.ino());
        Ok(())
    });
}

#[test]
fn a_link_to_nowhere_is_there_but_leads_to_not_found() {
    run(|dir| async move {
        let link = dir.join("link");
        symlink("missing", &link).await?;
        assert!(symlink_metadata(&link).await?.is_symlink());
        assert_eq!(kind(metadata(&link).await), ErrorKind::NotFound);
        assert_eq!(kind(read(&link).await), ErrorKind::NotFound);
        assert_eq!(kind(canonicalize(&link).await), ErrorKind::NotFound);
        assert_eq!(kind(create_dir(&link).await), ErrorKind::AlreadyExists);
        let mut create_new = OpenOptions::new();
        create_new.write(true).create_new(true);
        let result = create_new.open(&link).await;
        assert_eq!(kind(result), ErrorKind::AlreadyExists);
        assert!(!dir.join("missing").exists());
        Ok(())
    });
}

#[test]
fn a_loop_of_links_is_the_error_that_it_is_in_std() {
    run(|dir| async move {
        let (a, b) = (dir.join("a"), dir.join("b"));
        symlink("b", &a).await?;
        symlink("a", &b).await?;
        assert_eq!(kind(metadata(&a).await), kind(std::fs::metadata(&a)));
        assert_eq!(kind(read(&a).await), kind(std::fs::read(&a)));
        assert_eq!(kind(File::open(&a).await), kind(std::fs::File::open(&a)));
        Ok(())
    });
}

#[test]
fn removing_and_renaming_touch_the_link_and_not_its_target() {
    run(|dir| async move {
        let (d, link) = (dir.join("d"), dir.join("link"));
        std::fs::create_dir(&d)?;
        std::fs::write(d.join("file"), "text")?;
        symlink("d", &link).await?;
        rename(&link, dir.join("renamed")).await?;
        assert!(std::fs::symlink_metadata(dir.join("renamed"))?.is_symlink());
        remove_file(dir.join("renamed")).await?;
        assert!(d.join("file").exists());

        symlink("d", &link).await?;
        assert_eq!(kind(remove_dir(&link).await), ErrorKind::NotADirectory);
        remove_dir_all(&link).await?;
        assert!(std::fs::symlink_metadata(&link).is_err());
        assert!(d.join("file").exists());
        Ok(())
    });
}

#[test]
fn remove_dir_all_does_not_follow_links_inside() {
    run(|dir| async move {
        std::fs::create_dir_all(dir.join("outside"))?;
        std::fs::write(dir.join("outside/file"), "text")?;
        std::fs::create_dir_all(dir.join("tree/sub"))?;
        symlink(dir.join("outside"), dir.join("tree/sub/link")).await?;
        remove_dir_all(dir.join("tree")).await?;
        assert!(!dir.join("tree").exists());
        assert!(dir.join("outside/file").exists());
        Ok(())
    });
}

#[test]
fn hard_link_is_the_same_inode_and_counted() {
    run(|dir| async move {
        let (one, two) = (dir.join("one"), dir.join("two"));
        std::fs::write(&one, "text")?;
        hard_link(&one, &two).await?;
        let (one_is, two_is) = (metadata(&one).await?, metadata(&two).await?);
        assert_eq!((one_is.dev(), one_is.ino()), (two_is.dev(), two_is.ino()));
        assert_eq!(one_is.nlink(), 2);
        remove_file(&one).await?;
        assert_eq!(metadata(&two).await?.nlink(), 1);
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn hard_link_of_a_link_is_a_link() {
    run(|dir| async move {
        symlink("missing", dir.join("link")).await?;
        hard_link(dir.join("link"), dir.join("two")).await?;
        assert_eq!(read_link(dir.join("two")).await?.as_os_str(), "missing");
        Ok(())
    });
}

// Modes.

#[test]
fn set_permissions_sets_the_mode() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "")?;
        for bits in [0o600, 0o755, 0o000, 0o4755, 0o644] {
            set_permissions(&path, Permissions::from_mode(bits)).await?;
            assert_eq!(mode(&path), bits);
            let read_back = metadata(&path).await?.permissions();
            assert_eq!(read_back.mode() & 0o7777, bits);
        }
        let file = File::open(&path).await?;
        file.set_permissions(Permissions::from_mode(0o400)).await?;
        assert_eq!(mode(&path), 0o400);
        assert_eq!(file.metadata().await?.mode() & 0o7777, 0o400);
        Ok(())
    });
}

#[test]
fn copy_takes_the_mode_along() {
    run(|dir| async move {
        let (from, to) = (dir.join("from"), dir.join("to"));
        std::fs::write(&from, "text")?;
        for bits in [0o600, 0o755, 0o640] {
            std::fs::set_permissions(&from, Permissions::from_mode(bits))?;
            let _ = std::fs::remove_file(&to);
            copy(&from, &to).await?;
            assert_eq!(mode(&to), bits, "a new file");
            std::fs::set_permissions(&to, Permissions::from_mode(0o666))?;
            copy(&from, &to).await?;
            assert_eq!(mode(&to), bits, "a file that existed");
        }
        Ok(())
    });
}

/// What the modes of everything that the crate creates are under the process's umask.
#[test]
fn new_files_and_directories_have_their_mode_less_the_umask() {
    const MASKS: [u32; 4] = [0o000, 0o022, 0o027, 0o077];
    if !child::is_child() {
        for mask in MASKS {
            child::rerun(
                &["sh", "-c", &format!("umask {mask:03o}; exec \"$0\" \"$@\"")],
                module_path!(),
                "new_files_and_directories_have_their_mode_less_the_umask",
            );
        }
        return;
    }
    run(|dir| async move {
        // The umask is what std leaves out of a directory that would be open to all.
        std::fs::create_dir(dir.join("probe"))?;
        let mask = 0o777 & !mode(dir.join("probe"));
        let masked = |bits: u32| bits & !mask;

        write(dir.join("written"), "text").await?;
        assert_eq!(mode(dir.join("written")), masked(0o666));
        File::create(dir.join("created")).await?;
        assert_eq!(mode(dir.join("created")), masked(0o666));
        create_dir(dir.join("d")).await?;
        assert_eq!(mode(dir.join("d")), masked(0o777));
        create_dir_all(dir.join("a/b")).await?;
        assert_eq!(mode(dir.join("a")), masked(0o777));
        assert_eq!(mode(dir.join("a/b")), masked(0o777));

        for bits in [0o666, 0o640, 0o600, 0o444] {
            let path = dir.join(format!("file {bits:o}"));
            let mut options = OpenOptions::new();
            options.write(true).create(true).mode(bits);
            options.open(&path).await?;
            assert_eq!(mode(&path), masked(bits), "{bits:o}");
        }
        for bits in [0o766, 0o740, 0o700] {
            let top = dir.join(format!("directory {bits:o}"));
            DirBuilder::new().mode(bits).create(&top).await?;
            assert_eq!(mode(&top), masked(bits), "{bits:o}");
            DirBuilder::new()
                .recursive(true)
                .mode(bits)
                .create(top.join("a/b"))
                .await?;
            assert_eq!(mode(top.join("a")), masked(bits), "{bits:o}");
            assert_eq!(mode(top.join("a/b")), masked(bits), "{bits:o}");
        }
        Ok(())
    });
}

#[test]
fn mode_is_for_new_files_only() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o640))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o600);
        options.open(&path).await?;
        assert_eq!(mode(&path), 0o640);
        Ok(())
    });
}

#[test]
fn a_file_created_without_rights_can_be_written_by_who_created_it() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0);
        let mut file = options.open(&path).await?;
        file.write_all(b"text").await?;
        file.flush().await?;
        assert_eq!(mode(&path), 0);
        assert_eq!(file.metadata().await?.len(), 4);
        Ok(())
    });
}

// Flags.

#[test]
fn custom_flags_reach_the_kernel() {
    run(|dir| async move {
        let (file, link) = (dir.join("file"), dir.join("link"));
        std::fs::write(&file, "text")?;
        symlink("file", &link).await?;
        let mut options = OpenOptions::new();
        options.read(true);

        options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
        options.open(&file).await?;
        let refused = kind(options.open(&link).await);
        let std = std::os::unix::fs::OpenOptionsExt::custom_flags(
            std::fs::OpenOptions::new().read(true),
            OFlags::NOFOLLOW.bits() as i32,
        )
        .open(&link);
        assert_eq!(refused, kind(std));

        // The last call is the one that counts.
        options.custom_flags(OFlags::DIRECTORY.bits() as i32);
        options.open(&dir).await?;
        assert_eq!(kind(options.open(&file).await), ErrorKind::NotADirectory);
        options.custom_flags(0);
        options.open(&link).await?;
        Ok(())
    });
}

#[test]
fn custom_flags_do_not_change_the_access() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::RDWR.bits() as i32);
        let mut file = options.open(&path).await?;
        let access = rustix::fs::fcntl_getfl(&file)? & OFlags::RWMODE;
        assert_eq!(access, OFlags::RDONLY);
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        Ok(())
    });
}

#[test]
fn files_are_opened_close_on_exec() {
    use rustix::io::{FdFlags, fcntl_getfd};

    run(|dir| async move {
        let file = File::create(dir.join("file")).await?;
        assert!(fcntl_getfd(&file)?.contains(FdFlags::CLOEXEC));
        Ok(())
    });
}

// Entries and types.

#[test]
fn an_entry_has_the_inode_number_of_what_it_names() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        std::fs::create_dir(dir.join("d"))?;
        symlink("file", dir.join("link")).await?;
        let mut entries = read_dir(&dir).await?;
        while let Some(entry) = entries.try_next().await? {
            let metadata = symlink_metadata(entry.path()).await?;
            assert_eq!(entry.ino(), metadata.ino(), "{entry:?}");
            assert_eq!(entry.clone().ino(), metadata.ino(), "{entry:?}");
        }
        Ok(())
    });
}

#[test]
fn an_entry_does_not_follow_links() {
    run(|dir| async move {
        symlink("missing", dir.join("link")).await?;
        let entry = read_dir(&dir).await?.next().await.expect("one entry")?;
        assert!(entry.file_type().await?.is_symlink());
        assert!(entry.metadata().await?.is_symlink());
        Ok(())
    });
}

#[test]
fn the_special_types_are_told_apart() {
    run(|dir| async move {
        let _listener = UnixListener::bind(dir.join("socket"))?;
        let socket = metadata(dir.join("socket")).await?.file_type();
        assert!(socket.is_socket() && !socket.is_fifo());
        let null = metadata("/dev/null").await?.file_type();
        assert!(null.is_char_device() && !null.is_block_device());
        let entry = read_dir(&dir).await?.next().await.expect("one entry")?;
        assert!(entry.file_type().await?.is_socket());
        Ok(())
    });
}

#[test]
fn metadata_ext_gives_what_std_gives() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let std = std::fs::metadata(&path)?;
        let opened = File::open(&path).await?.metadata().await?;
        for metadata in [metadata(&path).await?, opened] {
            assert_eq!(metadata.dev(), std.dev());
            assert_eq!(metadata.ino(), std.ino());
            assert_eq!(metadata.mode(), std.mode());
            assert_eq!(metadata.uid(), std.uid());
            assert_eq!(metadata.gid(), std.gid());
            assert_eq!(metadata.size(), 4);
            assert_eq!(metadata.mtime(), std.mtime());
            assert_eq!(metadata.mtime_nsec(), std.mtime_nsec());
            assert_eq!(metadata.blocks(), std.blocks());
        }
        Ok(())
    });
}

// Rights.

#[cfg(target_os = "linux")]
#[test]
fn what_even_root_may_not_do_is_permission_denied() {
    run(|dir| async move {
        // A directory has one name only.
        let result = hard_link(&dir, dir.join("link")).await;
        assert_eq!(kind(result), ErrorKind::PermissionDenied);
        let mode = Permissions::from_mode(0o777);
        let result = set_permissions("/proc/self/status", mode).await;
        assert_eq!(kind(result), ErrorKind::PermissionDenied);
        Ok(())
    });
}

#[test]
fn what_the_user_may_not_do_is_permission_denied() {
    if !child::is_child() {
        if let Some(command) = child::without_privileges() {
            child::rerun(
                &command,
                module_path!(),
                "what_the_user_may_not_do_is_permission_denied",
            );
        }
        return;
    }

    #[track_caller]
    fn denied<T>(result: std::io::Result<T>) {
        assert_eq!(kind(result), ErrorKind::PermissionDenied);
    }
    let set = |path: &Path, bits| std::fs::set_permissions(path, Permissions::from_mode(bits));

    run(move |dir| async move {
        let file = dir.join("file");
        std::fs::write(&file, "text")?;
        set(&file, 0o000)?;
        denied(read(&file).await);
        denied(read_to_string(&file).await);
        denied(write(&file, "other").await);
        denied(copy(&file, dir.join("copy")).await);
        denied(File::open(&file).await);
        denied(File::create(&file).await);
        denied(OpenOptions::new().append(true).open(&file).await);
        assert_eq!(metadata(&file).await?.len(), 4);

        let locked = dir.join("locked");
        std::fs::create_dir(&locked)?;
        std::fs::write(locked.join("file"), "text")?;
        std::fs::create_dir(locked.join("d"))?;
        set(&locked, 0o500)?;
        denied(write(locked.join("new"), "text").await);
        denied(File::create(locked.join("new")).await);
        denied(create_dir(locked.join("new")).await);
        denied(create_dir_all(locked.join("new/below")).await);
        denied(DirBuilder::new().create(locked.join("new")).await);
        denied(symlink("target", locked.join("new")).await);
        denied(rename(locked.join("file"), dir.join("moved")).await);
        denied(remove_file(locked.join("file")).await);
        denied(remove_dir(locked.join("d")).await);
        denied(remove_dir_all(&locked).await);
        assert_eq!(read(locked.join("file")).await?, b"text");

        set(&locked, 0o000)?;
        denied(read_dir(&locked).await);
        denied(metadata(locked.join("file")).await);
        denied(symlink_metadata(locked.join("file")).await);
        denied(canonicalize(locked.join("file")).await);
        denied(read_link(locked.join("file")).await);
        denied(hard_link(locked.join("file"), dir.join("linked")).await);
        set(&locked, 0o700)?;

        denied(set_permissions("/", Permissions::from_mode(0o777)).await);
        Ok(())
    });
}
